/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/der.h"
#include "base/text.h"
#include "tests/cu.h"

struct bytes {
	uint8_t p[64];
	size_t n;
};

static struct der hex(const char *text)
{
	static struct bytes b[4];
	static unsigned next;
	struct bytes *mine = &b[next++ % 4];

	CU_ASSERT_TRUE_FATAL(hex_get(text, mine->p, sizeof mine->p, &mine->n));
	return der_of(mine->p, mine->n);
}

static bool is_hex(struct buf *b, const char *want)
{
	char text[1024];

	CU_ASSERT_TRUE_FATAL(b->n < 500);
	hex_put(text, b->p, b->n);
	return strcmp(text, want) == 0;
}

/* X.690, 8.1.2, 8.1.3 and 10.1 */
static void test_headers_refused(void)
{
	static const char *const bad[] = {
		"", "04", "0401", "040201", "0480", "04800000", "048100", "04817f" "00", "0481", "04820080", "048200ff", "0482ff",
		"0483000080", "0484000000", "048400000080", "0484ffffffff", "0485000000000100", "04ff", "1f0100", "3f0100",
		"df8101" "00", "ff1f00", "0403aabb",
	};

	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct der d = hex(bad[i]), in;
		int tag;

		CU_ASSERT_PTR_NULL(der_any(&d, &tag, &in).p);
		CU_ASSERT_TRUE(d.bad && in.bad);
		CU_ASSERT_EQUAL(tag, -1);
		CU_ASSERT_FALSE(der_done(&d));
		/* Failure sticks: nothing more is read. */
		CU_ASSERT_EQUAL(der_peek(&d), -1);
		CU_ASSERT_TRUE(der_any(&d, &tag, &in).p == NULL && d.bad);
	}
}

static void test_long_forms(void)
{
	static const size_t lengths[] = { 0, 1, 127, 128, 255, 256, 65535, 65536, 70000 };

	for (size_t i = 0; i < COUNT_OF(lengths); i++) {
		AUTO_BUF b = { 0 };
		uint8_t *content = mem_new(lengths[i]);
		struct der d;

		der_put(&b, DER_OCTETS, content, lengths[i]);
		free(content);
		d = der_of(b.p, b.n);
		CU_ASSERT_EQUAL(der_span(&d, DER_OCTETS).n, lengths[i]);
		CU_ASSERT_TRUE(der_done(&d));
		/* One octet less, or one more. */
		d = der_of(b.p, b.n - 1);
		CU_ASSERT_PTR_NULL(der_span(&d, DER_OCTETS).p);
		buf_byte(&b, 0);
		d = der_of(b.p, b.n);
		(void)der_span(&d, DER_OCTETS);
		CU_ASSERT_FALSE(der_done(&d));
	}
}

static void test_wrong_tag_takes_nothing(void)
{
	struct der d = hex("020105"), in;

	CU_ASSERT_FALSE(der_optional(&d, DER_OCTETS, &in));
	CU_ASSERT_FALSE(d.bad);
	CU_ASSERT_TRUE(der_optional(&d, DER_INTEGER, &in));
	CU_ASSERT_TRUE(der_done(&d));
	d = hex("020105");
	CU_ASSERT_PTR_NULL(der_whole(&d, DER_OCTETS).p);
	CU_ASSERT_TRUE(d.bad);
	d = hex("3003020105");
	in = der_in(&d, DER_SET);
	CU_ASSERT_TRUE(in.bad && d.bad);
}

static void test_integers_refused(void)
{
	static const char *const bad[] = { "0200", "0201ff", "020180", "02020001", "0202007f", "0202ff80", "020900ff",
		                           "0209010000000000000000", "020a00ffffffffffffffffff", "040101", "0a0101", "2201" "00" };

	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct der d = hex(bad[i]);

		CU_ASSERT_EQUAL(der_uint(&d), 0);
		CU_ASSERT_TRUE(d.bad);
	}
}

static void test_integers(void)
{
	static const uint64_t values[] = { 0, 1, 127, 128, 255, 256, 32767, 32768, UINT32_MAX, INT64_MAX, (uint64_t)INT64_MAX + 1,
		                           UINT64_MAX };
	AUTO_BUF b = { 0 };

	for (size_t i = 0; i < COUNT_OF(values); i++) {
		struct der d;

		b.n = 0;
		der_put_uint(&b, values[i]);
		d = der_of(b.p, b.n);
		CU_ASSERT_EQUAL(der_uint(&d), values[i]);
		CU_ASSERT_TRUE(der_done(&d));
	}
	b.n = 0;
	der_put_unsigned(&b, (const uint8_t *)"\0\0\x80\x01", 4);
	CU_ASSERT_TRUE(is_hex(&b, "0203008001"));
	b.n = 0;
	der_put_unsigned(&b, (const uint8_t *)"\0\0", 2);
	CU_ASSERT_TRUE(is_hex(&b, "020100"));
	b.n = 0;
	der_put_unsigned(&b, NULL, 0);
	CU_ASSERT_TRUE(is_hex(&b, "020100"));
}

static void test_booleans(void)
{
	static const char *const bad[] = { "0100", "010101", "010180", "0101fe", "01020000", "0102ffff", "0201ff", "" };
	struct der d;

	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		d = hex(bad[i]);
		CU_ASSERT_FALSE(der_bool(&d));
		CU_ASSERT_TRUE(d.bad);
	}
	d = hex("0101ff");
	CU_ASSERT_TRUE(der_bool(&d) && der_done(&d));
	d = hex("010100");
	CU_ASSERT_TRUE(!der_bool(&d) && der_done(&d));
}

static void test_bit_strings(void)
{
	static const char *const bad[] = { "0300", "030108", "030101", "03020801", "030207ff", "03020101", "03020981", "2303030100" };
	unsigned unused;
	struct der d;

	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		d = hex(bad[i]);
		CU_ASSERT_PTR_NULL(der_bits(&d, &unused).p);
		CU_ASSERT_TRUE(d.bad);
	}
	/* Whole octets where those are demanded. */
	d = hex("03020780");
	CU_ASSERT_PTR_NULL(der_bits(&d, NULL).p);
	d = hex("03020780");
	CU_ASSERT_EQUAL(der_bits(&d, &unused).n, 1);
	CU_ASSERT_EQUAL(unused, 7);
	d = hex("030100");
	CU_ASSERT_EQUAL(der_bits(&d, NULL).n, 0);
	CU_ASSERT_TRUE(der_done(&d));
}

static bool time_of(int tag, const char *text, int64_t *us)
{
	AUTO_BUF b = { 0 };
	struct der d;

	der_put(&b, tag, text, strlen(text));
	d = der_of(b.p, b.n);
	*us = der_time(&d);
	return der_done(&d);
}

/* RFC 5280, 4.1.2.5 */
static void test_times_refused__X509_05(void)
{
	static const char *const utc[] = { "", "2611241000Z", "261124100000", "261124100000z", "261124100000+0000",
		                           "26112410000.0Z", "261324100000Z", "260229100000Z", "261124240000Z", "261124106000Z",
		                           "261124100060Z", "2611 4100000Z", "+61124100000Z", "20261124100000Z" };
	static const char *const general[] = { "261124100000Z", "20261124100000", "20261124100000.0Z", "202611241000Z",
		                               "20261124100000+0100", "00000101000000Z", "20260230000000Z", "2026112410000aZ" };
	int64_t us;

	for (size_t i = 0; i < COUNT_OF(utc); i++)
		CU_ASSERT_FALSE(time_of(DER_UTCTIME, utc[i], &us));
	for (size_t i = 0; i < COUNT_OF(general); i++)
		CU_ASSERT_FALSE(time_of(DER_GENTIME, general[i], &us));
	CU_ASSERT_FALSE(time_of(DER_OCTETS, "261124100000Z", &us));
}

static void test_times_around_2050__X509_05(void)
{
	static const struct {
		int64_t s;
		const char *want; /* with its tag in front */
	} table[] = {
		{ INT64_C(2524607999), "170d3439313233313233353935395a" },
		{ INT64_C(2524608000), "180f32303530303130313030303030305a" },
		{ INT64_C(-631152000), "170d3530303130313030303030305a" },
		{ INT64_C(-631152001), "180f31393439313233313233353935395a" },
		{ INT64_C(1709164800), "170d3234303232393030303030305a" },
		{ INT64_C(4107542400), "180f32313030303330313030303030305a" },
		{ INT64_C(253402300799), "180f39393939313233313233353935395a" },
	};

	for (size_t i = 0; i < COUNT_OF(table); i++) {
		AUTO_BUF b = { 0 };
		struct der d;

		der_put_time(&b, table[i].s * US_PER_SECOND + 999999);
		CU_ASSERT_TRUE(is_hex(&b, table[i].want));
		d = der_of(b.p, b.n);
		CU_ASSERT_EQUAL(der_time(&d), table[i].s * US_PER_SECOND);
		CU_ASSERT_TRUE(der_done(&d));
	}
	int64_t us;

	CU_ASSERT_TRUE(time_of(DER_UTCTIME, "491231235959Z", &us) && us == INT64_C(2524607999) * US_PER_SECOND);
	CU_ASSERT_TRUE(time_of(DER_UTCTIME, "500101000000Z", &us) && us == INT64_C(-631152000) * US_PER_SECOND);
}

static void test_oids_refused(void)
{
	static const char *const text[] = { "", "1", ".", "1.", ".1", "1..2", "3.1", "0.40", "1.40", "01.2", "1.02", "1.2.x", "1.2 ",
		                            "-1.2", "1.2.99999999999999999999", "2.5.4.3.",
		                            "1.2.3.4294967295.4294967295.4294967295.4294967295.4294967295.4294967295.4294967295."
		                            "4294967295.4294967295.4294967295.4294967295.4294967295.4294967295" };
	static const char *const content[] = { "", "80", "8001", "2a80", "2a8001", "2aff", "2affffffffffffffffffff7f" };
	AUTO_BUF b = { 0 };
	char out[128];

	for (size_t i = 0; i < COUNT_OF(text); i++) {
		CU_ASSERT_FALSE(der_put_oid(&b, text[i]));
		CU_ASSERT_EQUAL(b.n, 0);
	}
	for (size_t i = 0; i < COUNT_OF(content); i++) {
		struct der d = hex(content[i]);

		CU_ASSERT_FALSE(der_oid_text((struct span){ d.p, (size_t)(d.end - d.p) }, out, sizeof out));
	}
	CU_ASSERT_FALSE(der_oid_text((struct span){ (const uint8_t *)"\x55\x04\x03", 3 }, out, 7));
	CU_ASSERT_TRUE(der_oid_text((struct span){ (const uint8_t *)"\x55\x04\x03", 3 }, out, 8));
}

static void test_oids(void)
{
	static const char *const table[] = { "0.0", "0.39", "1.0", "1.39", "2.0", "2.5.4.3", "2.999", "2.16.840.1.101.3.4.2.1",
		                             "1.2.840.113549.1.9.14", "1.3.6.1.4.1.4294967295.1", "2.23.136.1.1.0" };

	for (size_t i = 0; i < COUNT_OF(table); i++) {
		AUTO_BUF b = { 0 };
		char text[128];
		struct der d;

		CU_ASSERT_TRUE(der_put_oid(&b, table[i]));
		d = der_of(b.p, b.n);
		CU_ASSERT_TRUE(der_oid_text(der_span(&d, DER_OID), text, sizeof text));
		CU_ASSERT_STRING_EQUAL(text, table[i]);
	}
}

static void test_nested_writing(void)
{
	AUTO_BUF b = { 0 };
	uint8_t filler[300] = { 0 };
	size_t outer = der_begin(&b, DER_SEQUENCE), inner = der_begin(&b, DER_CONTEXT_CONS | 3);

	der_put_bool(&b, true);
	der_put_null(&b);
	der_put(&b, DER_OCTETS, filler, sizeof filler);
	der_end(&b, inner);
	der_put_bits(&b, "\xa0", 1, 5);
	der_end(&b, outer);

	struct der d = der_of(b.p, b.n), seq = der_in(&d, DER_SEQUENCE), in = der_in(&seq, DER_CONTEXT_CONS | 3);
	unsigned unused;

	CU_ASSERT_TRUE(der_bool(&in));
	CU_ASSERT_EQUAL(der_span(&in, DER_NULL).n, 0);
	CU_ASSERT_EQUAL(der_span(&in, DER_OCTETS).n, 300);
	CU_ASSERT_TRUE(der_done(&in));
	CU_ASSERT_EQUAL(der_bits(&seq, &unused).n, 1);
	CU_ASSERT_EQUAL(unused, 5);
	CU_ASSERT_TRUE(der_done(&seq) && der_done(&d));
}

static void test_nothing_to_read(void)
{
	struct der d = der_of(NULL, 0), bad = der_of(NULL, 3);

	CU_ASSERT_TRUE(der_done(&d));
	CU_ASSERT_EQUAL(der_peek(&d), -1);
	CU_ASSERT_FALSE(der_done(&bad));
	CU_ASSERT_EQUAL(der_peek(&bad), -1);
}

static const struct cu_case cases[] = {
	{ "headers_refused", test_headers_refused },
	{ "long_forms", test_long_forms },
	{ "wrong_tag_takes_nothing", test_wrong_tag_takes_nothing },
	{ "integers_refused", test_integers_refused },
	{ "integers", test_integers },
	{ "booleans", test_booleans },
	{ "bit_strings", test_bit_strings },
	{ "times_refused__X509_05", test_times_refused__X509_05 },
	{ "times_around_2050__X509_05", test_times_around_2050__X509_05 },
	{ "oids_refused", test_oids_refused },
	{ "oids", test_oids },
	{ "nested_writing", test_nested_writing },
	{ "nothing_to_read", test_nothing_to_read },
};

CU_MAIN(cases)
