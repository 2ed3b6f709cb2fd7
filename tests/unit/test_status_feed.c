/* SPDX-License-Identifier: Apache-2.0
 *
 * The feed's codecs and the status table. */
#include "base/clock.h"
#include "crl/table.h"

#include "tests/cu.h"

static struct status_entry entry(uint32_t ref, const char *serial, enum status_state state, uint64_t seq)
{
	struct status_entry en = { .ref = ref, .state = state, .seq = seq, .not_after = 9 };

	CU_ASSERT_TRUE_FATAL(serial_from_text(&en.serial, serial));
	if (state == STATUS_REVOKED) {
		en.reason = REASON_KEY_COMPROMISE;
		en.revoked_at = 1000;
	}
	return en;
}

static bool read_back(const struct buf *b, struct status_entry *out)
{
	struct rd r = rd_of(b->p, b->n);

	return status_entry_get(&r, out) && rd_done(&r);
}

static void test_entry_refuses_what_can_not_be(void)
{
	struct status_entry good = entry(7, "40ff", STATUS_REVOKED, 5), bad, out;

	for (int i = 0; i < 6; i++) {
		AUTO_BUF b = { 0 };

		bad = good;
		if (i == 0)
			bad.state = (enum status_state)2;
		if (i == 1)
			bad.reason = (enum crl_reason)7;
		if (i == 2)
			bad.reason = (enum crl_reason)11;
		if (i == 3)
			bad.serial.n = 0;
		if (i == 4)
			bad.serial.v[0] = 0;
		if (i == 5)
			bad.seq = 0;
		status_entry_put(&b, &bad);
		CU_ASSERT_FALSE(read_back(&b, &out));
	}
}

static void test_entry_refuses_a_long_serial(void)
{
	AUTO_BUF b = { 0 };
	struct status_entry out;
	uint8_t serial[21];

	memset(serial, 0x41, sizeof serial);
	wr_u32(&b, 1);
	wr_span(&b, serial, sizeof serial);
	wr_u8(&b, 0);
	wr_u8(&b, 0);
	wr_i64(&b, 0);
	wr_i64(&b, 0);
	wr_u64(&b, 1);
	CU_ASSERT_FALSE(read_back(&b, &out));
}

static void test_entry_refuses_every_truncation(void)
{
	struct status_entry en = entry(7, "40ff01", STATUS_REVOKED, 5), out;
	AUTO_BUF b = { 0 };

	status_entry_put(&b, &en);
	for (size_t n = 0; n < b.n; n++) {
		struct rd r = rd_of(b.p, n);

		CU_ASSERT_FALSE(status_entry_get(&r, &out));
	}
	CU_ASSERT_TRUE_FATAL(read_back(&b, &out));
	CU_ASSERT_TRUE(out.ref == 7 && out.seq == 5 && out.state == STATUS_REVOKED && out.reason == REASON_KEY_COMPROMISE &&
	               out.revoked_at == 1000 && out.not_after == 9 && serial_equal(&out.serial, &en.serial));
}

static void test_authority_and_crl_refuse_truncated_and_trailing(void)
{
	struct status_authority a = { .ref = 3, .gen = { "devices", 2 }, .newest = true, .cert = { (const uint8_t *)"cert", 4 },
		                      .issuer = { (const uint8_t *)"is", 2 }, .has_responder = true, .responder_not_after = 77,
		                      .ocsp_lifetime = 8, .unknown_revoked = true }, got;
	struct status_crl c = { .gen = { "root", 1 }, .newest = true, .number = 9, .this_update = 1, .next_update = 2 }, read;
	AUTO_BUF b = { 0 };

	status_authority_put(&b, &a);
	for (size_t n = 0; n < b.n; n++)
		CU_ASSERT_FALSE(status_authority_get((struct span){ b.p, n }, &got, NULL));
	CU_ASSERT_TRUE(status_authority_get(span_of(&b), &got, NULL));
	CU_ASSERT_TRUE(got.ref == 3 && strcmp(got.gen.name, "devices") == 0 && got.gen.gen == 2 && got.newest && got.cert.n == 4 &&
	               got.issuer.n == 2 && got.has_responder && got.responder_not_after == 77 && got.ocsp_lifetime == 8 &&
	               got.unknown_revoked);
	buf_byte(&b, 0);
	CU_ASSERT_FALSE(status_authority_get(span_of(&b), &got, NULL));

	b.n = 0;
	status_crl_put(&b, &c);
	for (size_t n = 0; n < b.n; n++)
		CU_ASSERT_FALSE(status_crl_get((struct span){ b.p, n }, &read, NULL));
	CU_ASSERT_TRUE(status_crl_get(span_of(&b), &read, NULL));
	CU_ASSERT_TRUE(strcmp(read.gen.name, "root") == 0 && read.gen.gen == 1 && read.newest && read.number == 9 &&
	               read.this_update == 1 && read.next_update == 2);
	buf_byte(&b, 0);
	CU_ASSERT_FALSE(status_crl_get(span_of(&b), &read, NULL));
}

/* The paper's own vector (Aumasson and Bernstein, appendix A), where integers are little-endian as here. */
static void test_hash_is_siphash_2_4(void)
{
	uint8_t octets[16], input[15];
	uint64_t key[2];

	for (uint8_t i = 0; i < 16; i++)
		octets[i] = i;
	memcpy(key, octets, 16);
	memcpy(input, octets, 15);
	if (((uint8_t *)&(uint16_t){ 1 })[0] == 1)
		CU_ASSERT_EQUAL(keyed_hash(key, input, 15), 0xa129ca6149be45e5);
}

static void test_higher_sequence_wins_in_any_order(void)
{
	struct table *t = table_new();
	struct status_entry good = entry(1, "41", STATUS_GOOD, 4), revoked = entry(1, "41", STATUS_REVOKED, 9), out;

	CU_ASSERT_TRUE(table_put(t, &revoked));
	CU_ASSERT_FALSE(table_put(t, &good));
	CU_ASSERT_FALSE(table_put(t, &revoked));
	CU_ASSERT_TRUE(table_get(t, 1, &good.serial, &out));
	CU_ASSERT_TRUE(out.state == STATUS_REVOKED && out.reason == REASON_KEY_COMPROMISE && out.revoked_at == 1000 && out.seq == 9);
	good.seq = 10;
	CU_ASSERT_TRUE(table_put(t, &good));
	CU_ASSERT_TRUE(table_get(t, 1, &good.serial, &out) && out.state == STATUS_GOOD);
	CU_ASSERT_EQUAL(table_count(t), 1);
	table_free(t);
}

/* An entry is found by all of its serial and generation: whatever the hash says, nothing else answers for it. */
static void test_no_serial_answers_for_another(void)
{
	struct table *t = table_new();
	struct status_entry en = { .ref = 5, .serial = { .n = 2 }, .seq = 1 }, out;

	/* 60,000 serials of two octets fill the table several times its first size: every bucket has collisions. */
	for (unsigned v = 0x0100; v < 0x0100 + 60000; v += 2) {
		en.serial.v[0] = (uint8_t)(v >> 8);
		en.serial.v[1] = (uint8_t)v;
		en.seq++;
		CU_ASSERT_TRUE(table_put(t, &en));
	}
	CU_ASSERT_EQUAL(table_count(t), 30000);
	for (unsigned v = 0x0100; v < 0x0100 + 60000; v++) {
		en.serial.v[0] = (uint8_t)(v >> 8);
		en.serial.v[1] = (uint8_t)v;
		CU_ASSERT_EQUAL(table_get(t, 5, &en.serial, &out), v % 2 == 0);
		CU_ASSERT_FALSE(table_get(t, 6, &en.serial, &out));
	}
	/* The same octets in another length are another serial. */
	en.serial.n = 3;
	en.serial.v[2] = 0;
	CU_ASSERT_FALSE(table_get(t, 5, &en.serial, &out));
	table_free(t);
}

static void nth_entry(struct status_entry *en, unsigned v)
{
	*en = (struct status_entry){ .ref = 5, .serial = { .n = 3, .v = { 1, (uint8_t)(v >> 8), (uint8_t)v } }, .seq = v + 1,
		                     .state = v % 3 == 0 ? STATUS_REVOKED : STATUS_GOOD, .revoked_at = v, .not_after = v * US_PER_SECOND };
}

/* What was swept is not there; all else is found, with what was said of it, and the table gets smaller. */
static void test_what_was_swept_is_gone(void)
{
	struct table *t = table_new();
	struct status_entry en, out;
	enum { N = 40000 };

	for (unsigned v = 0; v < N; v++) {
		nth_entry(&en, v);
		CU_ASSERT_TRUE(table_put(t, &en));
	}
	for (unsigned v = 0; v < N; v++) {
		nth_entry(&en, v);
		if (v % 7 != 0)
			CU_ASSERT_TRUE(table_drop(t, 5, &en.serial));
	}
	CU_ASSERT_EQUAL(table_count(t), (N + 6) / 7);
	for (unsigned v = 0; v < N; v++) {
		nth_entry(&en, v);
		CU_ASSERT_EQUAL_FATAL(table_get(t, 5, &en.serial, &out), v % 7 == 0);
		if (v % 7 == 0)
			CU_ASSERT_TRUE(out.state == en.state && out.seq == en.seq && out.not_after == en.not_after &&
			               out.revoked_at == (v % 3 == 0 ? en.revoked_at : 0));
		CU_ASSERT_FALSE(v % 7 != 0 && table_drop(t, 5, &en.serial));
	}
	CU_ASSERT_FALSE(table_drop(t, 6, &en.serial));
	for (unsigned v = 0; v < N; v++) {
		nth_entry(&en, v);
		(void)table_drop(t, 5, &en.serial);
	}
	CU_ASSERT_EQUAL(table_count(t), 0);
	table_free(t);
}

static void count_dropped(void *arg, uint32_t ref, const struct serial *s)
{
	CU_ASSERT_TRUE(ref == 5 && s->n == 3);
	++*(unsigned *)arg;
}

/* After a snapshot: gone is what ended and did not come again; what lives stays, whatever ra has forgotten. */
static void test_a_snapshot_ends_what_was_swept_unheard(void)
{
	struct table *t = table_new();
	struct status_entry en, out;
	unsigned dropped = 0;
	enum { N = 9000 };

	for (unsigned v = 0; v < N; v++) {
		nth_entry(&en, v);
		(void)table_put(t, &en);
	}
	table_snapshot_begin(t, 3 * N);
	for (unsigned v = 0; v < N; v += 2) {
		nth_entry(&en, v);
		CU_ASSERT_FALSE(table_put(t, &en));
	}
	table_snapshot_end(t, 5000 * US_PER_SECOND, count_dropped, &dropped);
	CU_ASSERT_EQUAL(dropped, 2500);
	for (unsigned v = 0; v < N; v++) {
		nth_entry(&en, v);
		CU_ASSERT_EQUAL(table_get(t, 5, &en.serial, &out), v % 2 == 0 || v >= 5000);
	}
	/* The next snapshot marks anew. */
	dropped = 0;
	table_snapshot_begin(t, 0);
	table_snapshot_end(t, 3000 * US_PER_SECOND, count_dropped, &dropped);
	CU_ASSERT_EQUAL(dropped, 1500);
	table_free(t);
}

static const struct cu_case cases[] = {
	{ "what_was_swept_is_gone", test_what_was_swept_is_gone },
	{ "a_snapshot_ends_what_was_swept_unheard", test_a_snapshot_ends_what_was_swept_unheard },
	{ "entry_refuses_what_can_not_be", test_entry_refuses_what_can_not_be },
	{ "entry_refuses_a_long_serial", test_entry_refuses_a_long_serial },
	{ "entry_refuses_every_truncation", test_entry_refuses_every_truncation },
	{ "authority_and_crl_refuse_truncated_and_trailing", test_authority_and_crl_refuse_truncated_and_trailing },
	{ "hash_is_siphash_2_4", test_hash_is_siphash_2_4 },
	{ "higher_sequence_wins_in_any_order", test_higher_sequence_wins_in_any_order },
	{ "no_serial_answers_for_another", test_no_serial_answers_for_another },
};
CU_MAIN(cases)
