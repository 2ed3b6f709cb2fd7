/* SPDX-License-Identifier: Apache-2.0 */
#include "pkix/name.h"

#include "tests/cu.h"

#include "base/text.h"

#include <openssl/x509.h>

static struct dn dn_of(enum dn_type type, const char *value)
{
	struct dn d = { 0 };

	CU_ASSERT_TRUE_FATAL(dn_add(&d, type, value));
	return d;
}

static const char *repeated(const char *s, size_t n, char out[DN_VALUE_MAX])
{
	size_t len = strlen(s);

	for (size_t i = 0; i < n; i++)
		memcpy(out + i * len, s, len);
	out[n * len] = 0;
	return out;
}

static void test_bounds_at_n_and_over__X509_10(void)
{
	static const struct {
		enum dn_type type;
		size_t max;
	} rows[] = {
		{ DN_CN, 64 }, { DN_O, 64 }, { DN_OU, 64 }, { DN_ST, 128 }, { DN_L, 128 }, { DN_SERIAL_NUMBER, 64 },
		{ DN_EMAIL, 255 }, { DN_DC, 63 }, { DN_QUALIFIER, 64 },
	};
	char text[DN_VALUE_MAX];
	struct err e;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct dn d = dn_of(rows[i].type, repeated("a", rows[i].max, text));

		CU_ASSERT_TRUE(dn_check(&d, &e));
		if (rows[i].max == 255) { /* one more does not even fit */
			CU_ASSERT_FALSE(dn_add(&d, rows[i].type,
			                       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
			                       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
			                       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
			                       "aaaaaaaaaaaaaaaaaaaa"));
			continue;
		}
		d = dn_of(rows[i].type, repeated("a", rows[i].max + 1, text));
		e = (struct err){ 0 };
		CU_ASSERT_FALSE(dn_check(&d, &e));
		CU_ASSERT_EQUAL(e.kind, ERR_BAD_NAME);
	}
	/* Characters are counted, not octets. */
	struct dn d = dn_of(DN_CN, repeated("\xc3\xbc", 64, text));

	CU_ASSERT_TRUE(dn_check(&d, NULL));
	d = dn_of(DN_CN, repeated("\xc3\xbc", 65, text));
	CU_ASSERT_FALSE(dn_check(&d, NULL));
}

static void test_values_refused__X509_10(void)
{
	static const struct {
		enum dn_type type;
		const char *value;
	} bad[] = {
		{ DN_CN, "" }, { DN_CN, " pump" }, { DN_CN, "pump " }, { DN_CN, "pu\nmp" }, { DN_CN, "pu\x7fmp" },
		{ DN_CN, "pu\x1bmp" }, { DN_CN, "pump\xff" }, { DN_CN, "\xc0\x80" }, { DN_CN, "\xed\xa0\x80" },
		{ DN_C, "D" }, { DN_C, "DEU" }, { DN_C, "de" }, { DN_C, "D1" }, { DN_C, "\xc3\x9c" },
		{ DN_SERIAL_NUMBER, "SN_1" }, { DN_SERIAL_NUMBER, "SN*1" }, { DN_SERIAL_NUMBER, "\xc3\xbc" },
		{ DN_QUALIFIER, "a@b" }, { DN_EMAIL, "n\xc3\xbc@a.example" }, { DN_DC, "w\xc3\xa4rd" }, { (enum dn_type)0, "a" },
		{ (enum dn_type)99, "a" },
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct dn d = dn_of(bad[i].type, bad[i].value);
		struct err e = { 0 };

		CU_ASSERT_FALSE(dn_check(&d, &e));
		CU_ASSERT_EQUAL(e.kind, ERR_BAD_NAME);
	}
}

/* OpenSSL reads what we write: string types and values. */
static void test_encodings__X509_10(void)
{
	static const struct {
		enum dn_type type;
		const char *value;
		int nid, string;
	} rows[] = {
		{ DN_C, "DE", NID_countryName, V_ASN1_PRINTABLESTRING },
		{ DN_ST, "Berlin", NID_stateOrProvinceName, V_ASN1_UTF8STRING },
		{ DN_L, "K\xc3\xb6penick", NID_localityName, V_ASN1_UTF8STRING },
		{ DN_O, "St. Hedwig", NID_organizationName, V_ASN1_UTF8STRING },
		{ DN_OU, "Ward 3", NID_organizationalUnitName, V_ASN1_UTF8STRING },
		{ DN_CN, "pump-7", NID_commonName, V_ASN1_UTF8STRING },
		{ DN_SERIAL_NUMBER, "SN 4711/1", NID_serialNumber, V_ASN1_PRINTABLESTRING },
		{ DN_EMAIL, "n@a.example", NID_pkcs9_emailAddress, V_ASN1_IA5STRING },
		{ DN_DC, "ward", NID_domainComponent, V_ASN1_IA5STRING },
		{ DN_QUALIFIER, "q", NID_dnQualifier, V_ASN1_PRINTABLESTRING },
	};
	struct dn d = { 0 }, back;
	AUTO_BUF der = { 0 };
	struct err e = { 0 };
	const uint8_t *p;
	unsigned ignored = 9;
	X509_NAME *name;

	for (size_t i = 0; i < DN_MAX; i++)
		CU_ASSERT_TRUE_FATAL(dn_add(&d, rows[i].type, rows[i].value));
	CU_ASSERT_FALSE(dn_add(&d, DN_CN, "one more"));
	CU_ASSERT_TRUE(dn_check(&d, &e));
	dn_der(&der, &d);
	p = der.p;
	name = d2i_X509_NAME(NULL, &p, (long)der.n);
	CU_ASSERT_PTR_NOT_NULL_FATAL(name);
	CU_ASSERT_EQUAL(X509_NAME_entry_count(name), DN_MAX);
	for (int i = 0; i < DN_MAX; i++) {
		X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);
		const ASN1_STRING *s = X509_NAME_ENTRY_get_data(entry);

		CU_ASSERT_EQUAL(OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry)), rows[i].nid);
		CU_ASSERT_EQUAL(ASN1_STRING_type(s), rows[i].string);
		CU_ASSERT_EQUAL(memcmp(ASN1_STRING_get0_data(s), rows[i].value, strlen(rows[i].value)), 0);
	}
	X509_NAME_free(name);
	CU_ASSERT_TRUE_FATAL(dn_parse(&back, span_of(&der), &ignored, &e));
	CU_ASSERT_EQUAL(ignored, 0);
	CU_ASSERT_EQUAL(back.n, d.n);
	for (size_t i = 0; i < DN_MAX; i++)
		CU_ASSERT_STRING_EQUAL(back.attr[i].value, d.attr[i].value);
	for (size_t n = 0; n < der.n; n++) {
		uint8_t *cut = mem_dup(der.p, n);

		CU_ASSERT_FALSE(dn_parse(&back, (struct span){ cut, n }, NULL, NULL));
		free(cut);
	}
}

static bool parse_hex(const char *hex, struct dn *d, unsigned *ignored, struct err *e)
{
	uint8_t der[300];
	size_t n;

	CU_ASSERT_TRUE_FATAL(hex_get(hex, der, sizeof der, &n));
	return dn_parse(d, (struct span){ der, n }, ignored, e);
}

static void test_malformed_names_refused__X509_10(void)
{
	static const char *const bad[] = {
		"", "31", "3100", "30", "3001", "300000", "30023100", "3080310000", "3003300101",
		"300531033001ff", "30053103300100",                 /* pairs that are none */
		"3008310630040603550403",                           /* no value */
		"300c310a300806035504030c016100",                   /* cut, and behind the end */
		"300e310c300a06035504030c01610500",                 /* two values in a pair */
		"300c310a30080603550403020161",                     /* BIT STRING */
		"300c310a30080603550403040161",                     /* OCTET STRING */
		"300f310d300b06035504031c0400000061",               /* UniversalString */
		"300c310a300806035504030c0100",                     /* NUL */
		"300c310a300806035504030c01ff",                     /* no UTF-8 */
		"300c310a300806035504030c010a",                     /* line feed */
		"300c310a300806035504031e0161",                     /* BMPString of one octet */
		"300d310b300906035504031e02d800",                   /* half a surrogate pair */
		"300d310b300906035504031e020000",
		"300c310a30080603550403140107",                     /* T61String with BEL */
		"300d310b300906035504030c810161",                   /* length not minimal */
	};
	struct dn d;
	struct err e;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		e = (struct err){ 0 };
		if (parse_hex(bad[i], &d, NULL, &e))
			printf("\n  taken: %s\n", bad[i]);
		CU_ASSERT_EQUAL(e.kind, ERR_BAD_NAME);
	}
}

static void test_old_string_types_and_unknown_attributes(void)
{
	struct dn d;
	struct err e = { 0 };
	unsigned ignored = 7;

	CU_ASSERT_TRUE(parse_hex("3000", &d, &ignored, &e));
	CU_ASSERT_TRUE(d.n == 0 && ignored == 0);
	CU_ASSERT_TRUE(parse_hex("300c310a300806035504031401fc", &d, &ignored, &e));
	CU_ASSERT_STRING_EQUAL(d.attr[0].value, "\xc3\xbc");
	CU_ASSERT_TRUE(parse_hex("300d310b300906035504031e0220ac", &d, &ignored, &e));
	CU_ASSERT_STRING_EQUAL(d.attr[0].value, "\xe2\x82\xac");
	/* A given name beside a CN in one RDN: counted, not kept. */
	CU_ASSERT_TRUE(parse_hex("301631143008060355042a0c0161300806035504030c0162", &d, &ignored, &e));
	CU_ASSERT_TRUE(d.n == 1 && ignored == 1 && strcmp(dn_first(&d, DN_CN), "b") == 0);
	CU_ASSERT_PTR_NULL(dn_first(&d, DN_O));
}

static void test_text_of_a_name(void)
{
	struct dn d = { 0 };
	char text[600], tiny[9];
	enum dn_type t;

	CU_ASSERT_TRUE(dn_add(&d, DN_CN, "#pump, \"7\"") && dn_add(&d, DN_O, "St. Hedwig+\xc3\xbc"));
	dn_text(&d, text, sizeof text);
	CU_ASSERT_STRING_EQUAL(text, "CN=\\#pump\\, \\\"7\\\",O=St. Hedwig\\+\xc3\xbc");
	for (size_t size = 1; size < 40; size++) {
		char *exact = mem_new(size);

		dn_text(&d, exact, size);
		CU_ASSERT_TRUE(strlen(exact) < size && strncmp(exact, text, strlen(exact)) == 0);
		CU_ASSERT_TRUE(text_is_clean_utf8(exact, strlen(exact)));
		free(exact);
	}
	d = (struct dn){ 0 };
	dn_text(&d, tiny, sizeof tiny);
	CU_ASSERT_STRING_EQUAL(tiny, "");
	CU_ASSERT_FALSE(dn_type_parse("cn", &t));
	CU_ASSERT_FALSE(dn_type_parse("", &t));
	CU_ASSERT_FALSE(dn_type_parse("X", &t));
	CU_ASSERT_TRUE(dn_type_parse("serialNumber", &t) && t == DN_SERIAL_NUMBER);
}

static void test_door_round_trip(void)
{
	struct dn d = { 0 }, back;
	AUTO_BUF b = { 0 };
	struct rd r;

	CU_ASSERT_TRUE(dn_add(&d, DN_CN, "pump-7") && dn_add(&d, DN_O, "St. Hedwig"));
	dn_put(&b, &d);
	for (size_t n = 0; n < b.n; n++) {
		r = rd_of(b.p, n);
		dn_get(&r, &back);
		CU_ASSERT_FALSE(rd_done(&r));
	}
	r = rd_of(b.p, b.n);
	dn_get(&r, &back);
	CU_ASSERT_TRUE(rd_done(&r));
	CU_ASSERT_STRING_EQUAL(back.attr[1].value, "St. Hedwig");
}

static const struct cu_case table[] = {
	{ "test_bounds_at_n_and_over__X509_10", test_bounds_at_n_and_over__X509_10 },
	{ "test_values_refused__X509_10", test_values_refused__X509_10 },
	{ "test_encodings__X509_10", test_encodings__X509_10 },
	{ "test_malformed_names_refused__X509_10", test_malformed_names_refused__X509_10 },
	{ "test_old_string_types_and_unknown_attributes", test_old_string_types_and_unknown_attributes },
	{ "test_text_of_a_name", test_text_of_a_name },
	{ "test_door_round_trip", test_door_round_trip },
};

CU_MAIN(table)
