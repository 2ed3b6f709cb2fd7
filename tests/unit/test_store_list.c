/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists: every row once, in bounded pages, whatever the filter; and the sweep: what goes, and what must stay. */
#include "tests/cu.h"

#include "base/text.h"
#include "store/store.h"

#include <stdlib.h>
#include <unistd.h>

enum { ROWS = 4300, NOW = 5000000, DEVICES = 10 };

static char dir[64], uri[96];
static int64_t subject[DEVICES];

static void serial_of(unsigned n, uint8_t out[16])
{
	memset(out, 0, 16);
	out[0] = 0x40;
	out[1] = (uint8_t)(n % 7); /* not in the order of issuance */
	out[14] = (uint8_t)(n >> 8);
	out[15] = (uint8_t)n;
}

static void add(struct store *s, unsigned n, int64_t subject_id, int64_t not_after)
{
	struct intent i = { .ref = 1, .serial_n = 16 };
	struct certificate c = { .ref = 1, .serial_n = 16, .not_after = not_after, .issued = (int64_t)n, .subject = subject_id };
	struct err e = { 0 };

	serial_of(n, i.serial);
	serial_of(n, c.serial);
	strcpy(i.purpose, "enroll");
	c.profile_digest[0] = 1;
	c.spki[0] = (uint8_t)n;
	c.spki[1] = (uint8_t)(n >> 8);
	snprintf(c.dn, sizeof c.dn, "CN=d%u", n);
	CU_ASSERT_TRUE_FATAL(store_intent_add(s, &i, &e) && store_certificate_add(s, &c, (struct span){ (const uint8_t *)"x", 1 }, &e));
}

static void set_revoked(struct store *s, unsigned n)
{
	uint8_t serial[16];
	struct err e = { 0 };
	uint64_t seq;

	serial_of(n, serial);
	CU_ASSERT_TRUE_FATAL(store_status_set(s, 1, (struct span){ serial, 16 }, STORE_REVOKED, 4, 77, &seq, &e));
}

static struct store *open_empty(void)
{
	struct store *s = NULL;
	struct err e = { 0 };
	uint8_t digest[32] = { 1 };
	struct profile_row p = { .active = true };
	struct generation g = { .gen = 1, .key_id_n = 1 };

	strcpy(dir, "/tmp/cad-list-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(uri, sizeof uri, "sqlite:%s/t.db", dir);
	CU_ASSERT_TRUE_FATAL(store_open(&s, uri, true, &e));
	memcpy(p.digest, digest, 32);
	strcpy(p.name, "device");
	strcpy(g.name, "devices");
	CU_ASSERT_TRUE_FATAL(store_begin(s, &e) && store_profile_put(s, &p, (struct span){ digest, 32 }, &e) &&
	                     store_generation_add(s, &g, (struct span){ digest, 32 }, &e));
	for (int i = 0; i < DEVICES; i++) {
		struct subject d = { .enabled = true };

		strcpy(d.kind, "device");
		snprintf(d.name, sizeof d.name, "d%d", i);
		CU_ASSERT_TRUE_FATAL(store_subject_add(s, &d, &e));
		subject[i] = d.id;
	}
	return s;
}

/* A third has ended; many end at the same moment; every tenth is revoked. */
static struct store *open_full(void)
{
	struct store *s = open_empty();
	struct err e = { 0 };

	for (unsigned n = 0; n < ROWS; n++)
		add(s, n, subject[n % DEVICES], n % 3 == 0 ? NOW - 1000 + n % 2 : n % 5 == 0 ? NOW + 100 + n : NOW + 50);
	for (unsigned n = 0; n < ROWS; n += 10)
		set_revoked(s, n);
	CU_ASSERT_TRUE_FATAL(store_commit(s, &e));
	return s;
}

static void close_all(struct store *s)
{
	char command[128];

	store_close(s);
	snprintf(command, sizeof command, "rm -rf %s", dir);
	(void)!system(command);
}

struct heard {
	unsigned times[ROWS], n, page, refuse_at;
};

static bool hear(void *arg, const struct certificate *row)
{
	struct heard *h = arg;

	if (h->refuse_at != 0 && h->page == h->refuse_at)
		return false;
	h->page++;
	h->n++;
	h->times[row->issued]++;
	return true;
}

/* All pages of a filter; returns how many there were. */
static unsigned all_pages(struct store *s, struct certificate_filter f, unsigned limit, struct heard *h)
{
	char after[STORE_NEXT] = "", next[STORE_NEXT];
	struct err e = { 0 };
	unsigned pages = 0;

	f.after = after;
	do {
		h->page = 0;
		CU_ASSERT_TRUE_FATAL(store_certificate_list(s, &f, limit, hear, h, next, &e));
		CU_ASSERT_TRUE(h->page <= limit);
		memcpy(after, next, sizeof after);
		CU_ASSERT_TRUE_FATAL(++pages < 2 * ROWS);
	} while (next[0] != 0);
	return pages;
}

static bool revoked(unsigned n)
{
	return n % 10 == 0;
}

static bool ended(unsigned n)
{
	return n % 3 == 0;
}

static void check(struct store *s, struct certificate_filter f, bool (*wanted)(unsigned))
{
	struct heard *h = mem_new(sizeof *h);
	static const unsigned limits[] = { 500, 7, 61 };

	f.now = NOW;
	for (size_t k = 0; k < COUNT_OF(limits); k++) {
		memset(h, 0, sizeof *h);
		h->refuse_at = k == 2 ? 13 : 0; /* who lists has no room for more */
		(void)all_pages(s, f, limits[k], h);
		for (unsigned n = 0; n < ROWS; n++)
			CU_ASSERT_EQUAL_FATAL(h->times[n], wanted(n));
	}
	free(h);
}

static bool any(unsigned n)
{
	(void)n;
	return true;
}

static bool none(unsigned n)
{
	return n == ROWS;
}

static bool valid(unsigned n)
{
	return !revoked(n) && !ended(n);
}

static bool soon(unsigned n)
{
	return valid(n) && n % 5 != 0;
}

static bool of_third(unsigned n)
{
	return n % DEVICES == 3;
}

static bool of_third_valid(unsigned n)
{
	return of_third(n) && valid(n);
}

static bool begins(unsigned n)
{
	char text[16];

	snprintf(text, sizeof text, "d%u", n);
	return strncmp(text, "d429", 4) == 0;
}

static void test_every_row_once_whatever_the_filter(void)
{
	struct store *s = open_full();

	check(s, (struct certificate_filter){ .status = -1 }, any);
	check(s, (struct certificate_filter){ .status = 0 }, valid);
	check(s, (struct certificate_filter){ .status = 1 }, revoked);
	check(s, (struct certificate_filter){ .status = 2 }, ended);
	check(s, (struct certificate_filter){ .status = -1, .expiring_before = NOW + 60 }, soon);
	check(s, (struct certificate_filter){ .status = -1, .device = "D3" }, of_third);
	check(s, (struct certificate_filter){ .status = 0, .subject_id = subject[3] }, of_third_valid);
	check(s, (struct certificate_filter){ .status = -1, .subject_prefix = "CN=d429" }, begins);
	check(s, (struct certificate_filter){ .status = -1, .ca = "devices", .profile = "device" }, any);
	check(s, (struct certificate_filter){ .status = 1, .ca = "devices" }, revoked);
	check(s, (struct certificate_filter){ .status = -1, .ca = "servers" }, none);
	check(s, (struct certificate_filter){ .status = -1, .profile = "server" }, none);
	check(s, (struct certificate_filter){ .status = -1, .device = "nobody" }, none);
	close_all(s);
}

/* What is looked for at the end of thousands takes pages without rows: nobody waits for the scan. */
static void test_a_page_is_bounded(void)
{
	struct store *s = open_full();
	struct heard *h = mem_new(sizeof *h);

	CU_ASSERT_TRUE(all_pages(s, (struct certificate_filter){ .status = -1, .now = NOW, .subject_prefix = "CN=d4299" }, 500, h) >= 3);
	CU_ASSERT_EQUAL(h->n, 1);
	free(h);
	close_all(s);
}

static void test_a_foreign_continuation_is_refused(void)
{
	static const char *const bad[] = { "x", "7", "e0.0.0.", "i0.0.5.zz", "i", "i1.2", "i0.0.0.4040404040404040404040404040404040404040404" };
	struct store *s = open_full();
	struct heard *h = mem_new(sizeof *h);
	char next[STORE_NEXT];
	struct err e = { 0 };

	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		CU_ASSERT_FALSE(store_certificate_list(s, &(struct certificate_filter){ .status = -1, .after = bad[i] }, 5, hear, h, next, &e));
		CU_ASSERT_EQUAL(e.kind, ERR_BAD_REQUEST);
	}
	CU_ASSERT_EQUAL(h->n, 0);
	free(h);
	close_all(s);
}

static void test_one_is_found(void)
{
	struct store *s = open_full();
	struct certificate *got = mem_array(2, sizeof *got);
	uint8_t serial[16];
	char hex[64];
	struct err e = { 0 };
	unsigned n;

	serial_of(4001, serial);
	hex_put(hex, serial, 16);
	CU_ASSERT_TRUE(store_certificate_by_prefix(s, hex, got, &n, &e));
	CU_ASSERT_TRUE(n == 1 && got[0].issued == 4001);
	hex[31] = 0; /* half an octet less: sixteen of which some are there */
	CU_ASSERT_TRUE(store_certificate_by_prefix(s, hex, got, &n, &e));
	CU_ASSERT_TRUE(n == 2 && memcmp(got[0].serial, serial, 15) == 0 && memcmp(got[1].serial, serial, 15) == 0);
	CU_ASSERT_TRUE(store_certificate_by_prefix(s, "4", got, &n, &e) && n == 2);
	CU_ASSERT_TRUE(store_certificate_by_prefix(s, "5", got, &n, &e) && n == 0);
	CU_ASSERT_TRUE(store_certificate_by_prefix(s, "3fffff", got, &n, &e) && n == 0);
	CU_ASSERT_TRUE(store_certificate_by_prefix(s, "40404040404040404040404040404040404040404040", got, &n, &e) && n == 0);

	/* The newest that holds: 4293 has ended. */
	CU_ASSERT_TRUE(store_certificate_newest(s, subject[3], NOW, got, &e));
	CU_ASSERT_EQUAL(got->issued, 4283);
	/* All of this one's are revoked. */
	CU_ASSERT_TRUE(store_certificate_newest(s, subject[0], NOW, got, &e));
	CU_ASSERT_EQUAL(got->issued, 4290);
	CU_ASSERT_FALSE(store_certificate_newest(s, 9999, NOW, got, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_NOT_FOUND);
	free(got);
	close_all(s);
}

static void test_expiring_are_counted_in_parts(void)
{
	struct store *s = open_full();
	struct expiring_count c = { .now = NOW, .before = NOW + 60 };
	struct err e = { 0 };
	unsigned parts = 0;
	int64_t wanted = 0;

	for (unsigned n = 0; n < ROWS; n++)
		wanted += soon(n);
	while (!c.done) {
		CU_ASSERT_TRUE_FATAL(store_expiring_count(s, &c, 100000, &e));
		CU_ASSERT_TRUE_FATAL(++parts < ROWS);
	}
	CU_ASSERT_EQUAL(c.n, wanted);
	CU_ASSERT_TRUE(parts > 1);
	c = (struct expiring_count){ .now = NOW, .before = NOW + 60 };
	while (!c.done)
		CU_ASSERT_TRUE_FATAL(store_expiring_count(s, &c, 100, &e));
	CU_ASSERT_EQUAL(c.n, 100);
	close_all(s);
}

static void count_gone(void *arg, int64_t ref, struct span serial, int64_t not_after)
{
	(void)ref;
	(void)serial;
	CU_ASSERT_TRUE(not_after < 1000);
	++*(unsigned *)arg;
}

static bool there(struct store *s, unsigned n)
{
	struct certificate *c = mem_new(sizeof *c);
	uint8_t serial[16];
	struct err e = { 0 };
	bool found;

	serial_of(n, serial);
	found = store_certificate_by_serial(s, 1, (struct span){ serial, 16 }, c, &e);
	free(c);
	return found;
}

static void sweep_all(struct store *s, int64_t before, int64_t revoked_before, unsigned limit, unsigned *gone)
{
	struct sweep at = { .before = before, .revoked_before = revoked_before };
	struct err e = { 0 };

	*gone = 0;
	for (int i = 0; !at.done; i++)
		CU_ASSERT_TRUE_FATAL(i < 10000 && store_sweep(s, &at, limit, count_gone, gone, &e));
}

static void test_the_sweep_takes_what_ended_and_nothing_else__CRL_11(void)
{
	struct store *s = open_empty();
	uint8_t blocked[32] = { 5 };
	struct err e = { 0 };
	unsigned gone;

	for (unsigned n = 1; n <= 20; n++)
		add(s, n, subject[0], n <= 10 ? 900 : n <= 12 ? 1000 : 5000);
	set_revoked(s, 3); /* no CRL since its end */
	add(s, 21, subject[0], 5000);
	CU_ASSERT_TRUE(store_key_block(s, blocked, "test", 1, &e));
	sweep_all(s, 1000, 1000, 3, &gone);
	for (unsigned n = 1; n <= 21; n++)
		CU_ASSERT_EQUAL(there(s, n), n == 3 || n == 5 || n > 10);
	CU_ASSERT_EQUAL(gone, 8);
	/* A CRL has been made, but the next would still list it. */
	CU_ASSERT_TRUE(store_crl_published(s, 1, 901, 5000, &e));
	sweep_all(s, 1000, 900, 3, &gone);
	CU_ASSERT_TRUE(gone == 0 && there(s, 3));
	/* It was on one after its end, and will not be on the next. */
	sweep_all(s, 1000, 901, 3, &gone);
	CU_ASSERT_TRUE(gone == 1 && !there(s, 3));
	/* The feed's newest stays: numbers go on above it. */
	add(s, 30, subject[0], 900);
	sweep_all(s, 1000, 901, 3, &gone);
	CU_ASSERT_TRUE(gone == 0 && there(s, 30));
	add(s, 31, subject[0], 5000);
	sweep_all(s, 1000, 901, 3, &gone);
	CU_ASSERT_TRUE(gone == 1 && !there(s, 30));
	/* Its status is gone, too. */
	struct intent again = { .ref = 1, .serial_n = 16, .purpose = "enroll" };

	serial_of(3, again.serial);
	CU_ASSERT_TRUE(store_intent_add(s, &again, &e));
	CU_ASSERT_TRUE(store_commit(s, &e));
	close_all(s);
}

static const struct cu_case cases[] = {
	{ "every_row_once_whatever_the_filter", test_every_row_once_whatever_the_filter },
	{ "a_page_is_bounded", test_a_page_is_bounded },
	{ "a_foreign_continuation_is_refused", test_a_foreign_continuation_is_refused },
	{ "one_is_found", test_one_is_found },
	{ "expiring_are_counted_in_parts", test_expiring_are_counted_in_parts },
	{ "the_sweep_takes_what_ended_and_nothing_else__CRL_11", test_the_sweep_takes_what_ended_and_nothing_else__CRL_11 },
};
CU_MAIN(cases)
