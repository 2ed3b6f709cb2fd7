/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cursor.h"
#include "base/record.h"
#include "base/text.h"
#include "tests/cu.h"

static bool valid(const char *hex)
{
	uint8_t p[128];
	size_t n = 0;

	CU_ASSERT_TRUE_FATAL(hex_get(hex, p, sizeof p, &n));
	return record_valid((struct span){ p, n });
}

/* type, length of the name, name, value. 61: "a" */
static void test_records_refused(void)
{
	static const char *const bad[] = {
		"01", "0101", "010161", "01016100000001", "0101610000000278", "01016100010001", "0000", "00016100000000",
		"07016100000000", "ff016100000000", "0100000000" "00", "01014100000000", "01012e00000000", "01010000000000",
		"0102610000000000", "0120" "6161616161616161616161616161616161616161616161616161616161616161" "00000000",
		"01ff61", "020161", "02016100000000000000", "030161" "0000000000000002", "030161ffffffffffffffff",
		"01016100000000" "01", "010161ffffffff", "01016100010000",
	};

	for (size_t i = 0; i < COUNT_OF(bad); i++)
		CU_ASSERT_FALSE(valid(bad[i]));
}

static void test_records_taken(void)
{
	CU_ASSERT_TRUE(valid(""));
	CU_ASSERT_TRUE(valid("01016100000000"));
	CU_ASSERT_TRUE(valid("0301610000000000000001"));
	CU_ASSERT_TRUE(valid("011f" "61616161616161616161616161616161616161616161616161616161616161" "00000000"));
	CU_ASSERT_TRUE(record_valid((struct span){ NULL, 0 }));
}

static void test_every_type_comes_back(void)
{
	AUTO_BUF b = { 0 };
	size_t ends[8], n = 0;
	struct field f;
	struct rd r;

	record_text(&b, "name", "pump-1");
	ends[n++] = b.n;
	record_int(&b, "n", INT64_MIN);
	ends[n++] = b.n;
	record_bool(&b, "on", true);
	ends[n++] = b.n;
	record_bytes(&b, "der", "\0\1", 2);
	ends[n++] = b.n;
	record_time(&b, "at", -1);
	ends[n++] = b.n;
	record_list(&b, "san", "dns:a");
	ends[n++] = b.n;
	record_list(&b, "san", "dns:b");
	ends[n++] = b.n;
	CU_ASSERT_TRUE(record_valid(span_of(&b)));
	r = rd_of(b.p, b.n);
	CU_ASSERT_TRUE(record_next(&r, &f) && f.type == FIELD_TEXT && f.octets.n == 6);
	CU_ASSERT_TRUE(record_next(&r, &f) && f.type == FIELD_INT && f.number == INT64_MIN);
	CU_ASSERT_TRUE(record_next(&r, &f) && f.type == FIELD_BOOL && f.number == 1);
	CU_ASSERT_TRUE(record_next(&r, &f) && f.type == FIELD_BYTES && f.octets.n == 2);
	CU_ASSERT_TRUE(record_next(&r, &f) && f.type == FIELD_TIME && f.number == -1);
	CU_ASSERT_TRUE(record_next(&r, &f) && f.type == FIELD_LIST && strcmp(f.name, "san") == 0);
	CU_ASSERT_TRUE(record_next(&r, &f) && f.octets.p[4] == 'b');
	CU_ASSERT_FALSE(record_next(&r, &f));
	CU_ASSERT_TRUE(rd_done(&r));
	/* Cut anywhere but between two fields it is refused. */
	for (size_t at = 1, k = 0; at < b.n; at++) {
		k += at == ends[k];
		CU_ASSERT_EQUAL(record_valid((struct span){ b.p, at }), k != 0 && at == ends[k - 1]);
	}
}

static void test_lookup(void)
{
	AUTO_BUF b = { 0 };
	char text[8];
	struct field f;

	record_text(&b, "name", "first");
	record_text(&b, "name", "second");
	record_text(&b, "long", "12345678");
	record_text(&b, "dirty", "a\x1b");
	record_int(&b, "n", 7);
	record_time(&b, "at", 9);
	CU_ASSERT_TRUE(record_get_text(span_of(&b), "name", text, sizeof text));
	CU_ASSERT_STRING_EQUAL(text, "first");
	CU_ASSERT_TRUE(record_get_text(span_of(&b), "absent", text, sizeof text));
	CU_ASSERT_STRING_EQUAL(text, "");
	CU_ASSERT_FALSE(record_get_text(span_of(&b), "long", text, sizeof text));
	CU_ASSERT_STRING_EQUAL(text, "");
	CU_ASSERT_FALSE(record_get_text(span_of(&b), "dirty", text, sizeof text));
	CU_ASSERT_TRUE(record_get_text(span_of(&b), "n", text, sizeof text) && text[0] == 0);
	CU_ASSERT_EQUAL(record_get_int(span_of(&b), "n", -1), 7);
	CU_ASSERT_EQUAL(record_get_int(span_of(&b), "at", -1), 9);
	CU_ASSERT_EQUAL(record_get_int(span_of(&b), "name", -1), -1);
	CU_ASSERT_FALSE(record_find(span_of(&b), "name", FIELD_BYTES, &f));
	/* What stands behind a broken field is not found. */
	wr_u8(&b, 99);
	record_int(&b, "hidden", 1);
	CU_ASSERT_EQUAL(record_get_int(span_of(&b), "hidden", -1), -1);
}

/* --- The cursor below */

static void test_cursor_fails_once_for_all(void)
{
	static const uint8_t p[] = { 0, 0, 0, 3, 'a', 'b' };
	struct rd r = rd_of(p, sizeof p);
	uint8_t four[4] = { 9, 9, 9, 9 };
	char text[8] = "x";

	rd_text(&r, text, sizeof text);
	CU_ASSERT_TRUE(r.bad);
	CU_ASSERT_STRING_EQUAL(text, "");
	CU_ASSERT_EQUAL(rd_u8(&r), 0);
	CU_ASSERT_EQUAL(rd_u64(&r), 0);
	CU_ASSERT_FALSE(rd_bool(&r));
	rd_fixed(&r, four, 4);
	CU_ASSERT_EQUAL(four[3], 0);
	CU_ASSERT_PTR_NULL(rd_span(&r, 10).p);
	CU_ASSERT_FALSE(rd_done(&r));
}

static void test_cursor_refuses(void)
{
	static const uint8_t nul[] = { 0, 0, 0, 2, 'a', 0 }, two = 2;
	struct rd r = rd_of(nul, sizeof nul);
	char text[3];

	rd_text(&r, text, sizeof text);
	CU_ASSERT_TRUE(r.bad);
	r = rd_of(nul, sizeof nul);
	rd_text(&r, text, 2); /* no room for the end */
	CU_ASSERT_TRUE(r.bad);
	r = rd_of(nul, sizeof nul);
	CU_ASSERT_PTR_NULL(rd_span(&r, 1).p);
	CU_ASSERT_TRUE(r.bad);
	r = rd_of(&two, 1);
	CU_ASSERT_FALSE(rd_bool(&r));
	CU_ASSERT_TRUE(r.bad);
	r = rd_of(nul, sizeof nul);
	(void)rd_u32(&r);
	CU_ASSERT_FALSE(rd_done(&r)); /* octets are left */
	r = rd_of(NULL, 1);
	CU_ASSERT_TRUE(r.bad);
	r = rd_of(NULL, 0);
	CU_ASSERT_TRUE(rd_done(&r));
	CU_ASSERT_EQUAL(rd_u8(&r), 0);
	CU_ASSERT_TRUE(r.bad);
}

static void test_cursor_both_ways(void)
{
	AUTO_BUF b = { 0 };
	char text[8];
	struct rd r;

	wr_u8(&b, 0xfe);
	wr_u16(&b, 0xfedc);
	wr_u32(&b, 0xfedcba98);
	wr_u64(&b, UINT64_MAX - 1);
	wr_i64(&b, INT64_MIN);
	wr_bool(&b, true);
	wr_text(&b, "");
	wr_span(&b, NULL, 0);
	wr_text(&b, "1234567");
	r = rd_of(b.p, b.n);
	CU_ASSERT_EQUAL(rd_u8(&r), 0xfe);
	CU_ASSERT_EQUAL(rd_u16(&r), 0xfedc);
	CU_ASSERT_EQUAL(rd_u32(&r), 0xfedcba98);
	CU_ASSERT_EQUAL(rd_u64(&r), UINT64_MAX - 1);
	CU_ASSERT_EQUAL(rd_i64(&r), INT64_MIN);
	CU_ASSERT_TRUE(rd_bool(&r));
	rd_text(&r, text, sizeof text);
	CU_ASSERT_EQUAL(rd_span(&r, 0).n, 0);
	rd_text(&r, text, sizeof text);
	CU_ASSERT_STRING_EQUAL(text, "1234567");
	CU_ASSERT_TRUE(rd_done(&r));
}

static const struct cu_case cases[] = {
	{ "records_refused", test_records_refused },
	{ "records_taken", test_records_taken },
	{ "every_type_comes_back", test_every_type_comes_back },
	{ "lookup", test_lookup },
	{ "cursor_fails_once_for_all", test_cursor_fails_once_for_all },
	{ "cursor_refuses", test_cursor_refuses },
	{ "cursor_both_ways", test_cursor_both_ways },
};

CU_MAIN(cases)
