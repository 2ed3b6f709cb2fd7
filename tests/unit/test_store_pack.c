/* SPDX-License-Identifier: Apache-2.0
 *
 * What is kept small comes back to the octet: whatever it was, after any rollback, from any dictionary, and never from a
 * damaged row. */
#include "tests/cu.h"

#include "store/pack.h"
#include "store/sqlite.h"
#include "store/store.h"

#include <stdlib.h>
#include <unistd.h>

static char dir[64], uri[96];

static struct store *open_again(void)
{
	struct store *s = NULL;
	struct err e = { 0 };

	CU_ASSERT_TRUE_FATAL(store_open(&s, uri, true, &e));
	return s;
}

static struct store *open_new(void)
{
	strcpy(dir, "/tmp/cad-pack-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(uri, sizeof uri, "sqlite:%s/t.db", dir);
	return open_again();
}

static void close_all(struct store *s)
{
	char command[128];

	store_close(s);
	snprintf(command, sizeof command, "rm -rf %s", dir);
	(void)!system(command);
}

/* Like a record: most of it is the same each time, n and some random digits are its own. */
static void record(struct buf *out, unsigned n, unsigned seed)
{
	out->n = 0;
	buf_printf(out, "{\"actor\":{\"auth\":\"password\",\"id\":\"pump-%u\"},\"boot\":2,\"detail\":{\"ca\":\"devices\",\"gen\":\"1\","
	                "\"profile\":\"device\",\"subject\":\"CN=pump-%u,O=St. Hedwig\"},\"event\":\"cert.issue\",\"serial\":\"",
	           n, n);
	for (int i = 0; i < 8; i++)
		buf_printf(out, "%08x", (seed = seed * 1103515245 + 12345));
	buf_printf(out, "\",\"outcome\":\"success\",\"time\":\"2026-11-24T10:%02u:%02u.123456Z\"}", n / 60 % 60, n % 60);
}

static bool comes_back(struct store *s, struct span kept, struct span raw)
{
	AUTO_BUF out = { 0 };
	struct err e;

	return pack_get(s, kept, &out, &e) && span_equal(span_of(&out), raw);
}

static void test_comes_back_and_is_small(void)
{
	struct store *s = open_new();
	struct err e = { 0 };
	size_t last = 0;
	struct buf kept[40] = { { 0 } };
	AUTO_BUF raw = { 0 };

	CU_ASSERT_TRUE(store_begin(s, &e));
	for (unsigned n = 0; n < 40; n++) {
		record(&raw, n, n);
		CU_ASSERT_TRUE(pack_put(s, "record", span_of(&raw), &kept[n], &e));
		CU_ASSERT_TRUE(comes_back(s, span_of(&kept[n]), span_of(&raw)));
		last = kept[n].n * 100 / raw.n;
	}
	CU_ASSERT_TRUE(last < 45);
	CU_ASSERT_TRUE(store_commit(s, &e));
	/* Another process, later. */
	store_close(s);
	s = open_again();
	CU_ASSERT_TRUE(store_begin(s, &e));
	for (unsigned n = 0; n < 40; n++) {
		record(&raw, n, n);
		CU_ASSERT_TRUE(comes_back(s, span_of(&kept[n]), span_of(&raw)));
	}
	record(&raw, 41, 41);
	kept[0].n = 0;
	CU_ASSERT_TRUE(pack_put(s, "record", span_of(&raw), &kept[0], &e));
	CU_ASSERT_TRUE(kept[0].n * 100 < raw.n * 45);
	store_rollback(s);
	for (unsigned n = 0; n < 40; n++)
		buf_free(&kept[n]);
	close_all(s);
}

static int64_t dictionaries(struct store *s)
{
	struct err e;
	AUTO_QUERY *q = query(s, &e, "SELECT count(*) FROM dictionary", "");

	return q != NULL && step(s, q, &e) == 1 ? sqlite3_column_int64(q, 0) : -1;
}

/* A dictionary that went with its transaction has given its number to another one. */
static void test_a_rolled_back_dictionary_is_forgotten(void)
{
	struct store *s = open_new();
	struct err e = { 0 };
	AUTO_BUF raw = { 0 };
	AUTO_BUF kept = { 0 };

	for (int how = 0; how < 2; how++) {
		CU_ASSERT_TRUE(store_begin(s, &e) && store_savepoint(s, &e));
		for (unsigned n = 0; n < 6; n++) {
			record(&raw, n, n);
			kept.n = 0;
			CU_ASSERT_TRUE(pack_put(s, "lost", span_of(&raw), &kept, &e));
		}
		CU_ASSERT_EQUAL(dictionaries(s), 1);
		if (how == 0) {
			store_rollback_to(s);
			CU_ASSERT_TRUE(store_commit(s, &e));
		} else {
			store_rollback(s);
		}
		CU_ASSERT_EQUAL(dictionaries(s), 0);
		CU_ASSERT_TRUE(store_begin(s, &e));
		record(&raw, 7, 7);
		kept.n = 0;
		CU_ASSERT_TRUE(pack_put(s, "lost", span_of(&raw), &kept, &e));
		CU_ASSERT_TRUE(span_equal(span_of(&kept), span_of(&raw)));
		store_rollback(s);
	}
	close_all(s);
}

/* What repeats nothing is kept as it is, and makes few dictionaries. */
static void test_noise_is_kept_as_it_is(void)
{
	struct store *s = open_new();
	struct err e = { 0 };
	uint8_t noise[600];
	unsigned seed = 1;

	CU_ASSERT_TRUE(store_begin(s, &e));
	for (int n = 0; n < 2000; n++) {
		AUTO_BUF kept = { 0 };

		for (size_t i = 0; i < sizeof noise; i++)
			noise[i] = (uint8_t)((seed = seed * 1103515245 + 12345) >> 16);
		noise[0] = 0x30;
		CU_ASSERT_TRUE(pack_put(s, "noise", (struct span){ noise, sizeof noise }, &kept, &e));
		CU_ASSERT_TRUE(kept.n <= sizeof noise);
		CU_ASSERT_TRUE(comes_back(s, span_of(&kept), (struct span){ noise, sizeof noise }));
	}
	CU_ASSERT_TRUE(dictionaries(s) < 12);
	store_rollback(s);
	close_all(s);
}

static void test_refuses(void)
{
	struct store *s = open_new();
	struct err e = { 0 };
	AUTO_BUF raw = { 0 };
	AUTO_BUF kept = { 0 };
	AUTO_BUF out = { 0 };
	AUTO_BUF large = { 0 };
	static const uint8_t mark[] = { 1, 2, 3 };
	unsigned good = 0;

	CU_ASSERT_TRUE(store_begin(s, &e));
	CU_ASSERT_FALSE(pack_put(s, "x", (struct span){ mark, 3 }, &kept, &e));
	for (unsigned n = 0; n < 6; n++) {
		record(&raw, n, n);
		kept.n = 0;
		CU_ASSERT_TRUE(pack_put(s, "x", span_of(&raw), &kept, &e));
	}
	CU_ASSERT_EQUAL_FATAL(kept.p[0], 1);
	/* Each octet changed, each end cut off: an error, or other octets; never more than was said. */
	for (size_t i = 0; i < kept.n; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			kept.p[i] ^= (uint8_t)(1 << bit);
			out.n = 0;
			good += pack_get(s, span_of(&kept), &out, &e) && span_equal(span_of(&out), span_of(&raw));
			CU_ASSERT_TRUE(out.n <= PACK_RAW_MAX);
			kept.p[i] ^= (uint8_t)(1 << bit);
		}
		out.n = 0;
		CU_ASSERT_FALSE(i != 0 && pack_get(s, (struct span){ kept.p, i }, &out, &e));
	}
	CU_ASSERT_TRUE(good < 8);
	/* A length that nobody wrote. */
	CU_ASSERT_FALSE(pack_get(s, (struct span){ (const uint8_t *)"\x01\x01\x28\xb5\x2f\xfd\xe0\xff\xff\xff\xff\xff\xff\xff\x7f", 15 }, &out, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_STORE);
	/* Too large for it: kept as it is. */
	buf_reserve(&large, PACK_RAW_MAX + 1);
	memset(large.p, 'a', PACK_RAW_MAX + 1);
	large.n = PACK_RAW_MAX + 1;
	kept.n = 0;
	CU_ASSERT_TRUE(pack_put(s, "x", span_of(&large), &kept, &e));
	CU_ASSERT_TRUE(span_equal(span_of(&kept), span_of(&large)));
	store_rollback(s);
	close_all(s);
}

static const struct cu_case cases[] = {
	{ "comes back and is small", test_comes_back_and_is_small },
	{ "a rolled back dictionary is forgotten", test_a_rolled_back_dictionary_is_forgotten },
	{ "noise is kept as it is", test_noise_is_kept_as_it_is },
	{ "refuses", test_refuses },
};
CU_MAIN(cases)
