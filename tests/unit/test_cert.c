/* SPDX-License-Identifier: Apache-2.0 */
#include "pkix/cert.h"

#include "tests/cu.h"

#include "tests/unit/pkix_make.h"

#include <openssl/x509v3.h>

static struct cert parsed;

static bool parse(const struct buf *der, struct err *e)
{
	uint8_t *copy = mem_dup(der->p, der->n);
	bool good = cert_parse(&parsed, copy, der->n, e);

	free(copy);
	return good;
}

static void refuse(const struct buf *der, const char *word)
{
	struct err e = { 0 };

	CU_ASSERT_FALSE(parse(der, &e));
	if (e.kind != ERR_BAD_CERT || strstr(e.text, word) == NULL)
		printf("\n  %s '%s', wanted '%s'\n", err_kind_name(e.kind), e.text, word);
	CU_ASSERT_EQUAL(e.kind, ERR_BAD_CERT);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, word));
}

/* A device's certificate by a P-256 authority, with parts as the caller wants them. */
static void make(struct buf *out, struct make_cert m)
{
	out->n = 0;
	if (m.key == NULL)
		m.key = make_key(MAKE_P256);
	m.signer = make_key(MAKE_P384);
	m.subject = "pump-7";
	m.issuer = "devices";
	make_cert(out, &m);
}

static void with_extensions(struct buf *out, const struct buf *extensions)
{
	make(out, (struct make_cert){ .extensions = extensions });
}

static void usual_extensions(struct buf *out)
{
	EXTENSION(out, OID_EXT_BASIC_CONSTRAINTS, true, "\x30\x00");
	EXTENSION(out, OID_EXT_KEY_USAGE, true, "\x03\x02\x07\x80");
	EXTENSION(out, OID_EXT_SKI, false, "\x04\x04\x01\x02\x03\x04");
	EXTENSION(out, OID_EXT_AKI, false, "\x30\x06\x80\x04\x05\x06\x07\x08");
	make_eku(out, OID_CLIENT_AUTH);
	make_san_dns(out, "Pump-7.example");
}

static void test_algorithm_inside_and_outside__X509_03(void)
{
	static const enum sig_alg other[] = { SIG_ECDSA_SHA256, SIG_RSA_SHA384, SIG_ED25519 };
	AUTO_BUF der = { 0 };
	AUTO_BUF null = { 0 };

	for (size_t i = 0; i < 3; i++) {
		AUTO_BUF alg = { 0 };

		sig_alg_der(&alg, other[i]);
		make(&der, (struct make_cert){ .inner_alg = &alg });
		refuse(&der, "two signature algorithms");
	}
	/* The same algorithm with NULL where none belongs, inside, outside, and both */
	buf_add(&null, "\x30\x0c\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03\x05\x00", 14);
	make(&der, (struct make_cert){ .inner_alg = &null });
	refuse(&der, "two signature algorithms");
	make(&der, (struct make_cert){ .outer_alg = &null });
	refuse(&der, "1.2.840.10045.4.3.3");
	make(&der, (struct make_cert){ .outer_alg = &null, .inner_alg = &null });
	refuse(&der, "1.2.840.10045.4.3.3");
}

static void test_weak_algorithms_refused__X509_04(void)
{
	AUTO_BUF der = { 0 };
	AUTO_BUF alg = { 0 };

	buf_add(&alg, "\x30\x09\x06\x07\x2a\x86\x48\xce\x3d\x04\x01", 11);
	make(&der, (struct make_cert){ .inner_alg = &alg, .outer_alg = &alg, .md = "SHA1" });
	refuse(&der, "SHA-1");
	AUTO(EVP_PKEY) *small = EVP_RSA_gen(1024);

	make(&der, (struct make_cert){ .key = small });
	refuse(&der, "RSA key of 1024 bits");
}

static void test_serials_refused(void)
{
	static const struct {
		const char *der;
		size_t n;
	} bad[] = {
		{ "\x02\x00", 2 }, { "\x02\x01\x80", 3 }, { "\x02\x01\xff", 3 }, { "\x02\x02\x00\x01", 4 },
		{ "\x02\x02\x00\x00", 4 }, { "\x0a\x01\x01", 3 },
		{ "\x02\x15\x01" "aaaaaaaaaaaaaaaaaaaa", 23 }, { "\x02\x16\x00\x80" "aaaaaaaaaaaaaaaaaaaa", 24 },
	};
	AUTO_BUF der = { 0 };
	char text[41];

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct buf serial = { (uint8_t *)bad[i].der, bad[i].n, bad[i].n };

		make(&der, (struct make_cert){ .serial = &serial });
		refuse(&der, "serial");
	}
	struct buf serial = { (uint8_t *)"\x02\x15\x00\x80" "aaaaaaaaaaaaaaaaaaa", 23, 23 };

	make(&der, (struct make_cert){ .serial = &serial });
	CU_ASSERT_TRUE(parse(&der, NULL) && parsed.serial.n == 20 && parsed.serial.v[0] == 0x80);
	serial_text(&parsed.serial, text, sizeof text);
	CU_ASSERT_STRING_EQUAL(text, "8061616161616161616161616161616161616161");
}

static void test_serial_text(void)
{
	static const char *const bad[] = { "", "1", "0g", "47 11", "0x4711", "47:11", "471", "-4711",
		                           "000102030405060708090a0b0c0d0e0f1011121314" };
	struct serial s, t;
	char text[41];

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		CU_ASSERT_FALSE(serial_from_text(&s, bad[i]));
	CU_ASSERT_TRUE(serial_from_text(&s, "40AbCd") && serial_from_text(&t, "40aBcD") && serial_equal(&s, &t));
	serial_text(&s, text, sizeof text);
	CU_ASSERT_STRING_EQUAL(text, "40abcd");
	CU_ASSERT_TRUE(serial_from_text(&t, "40abce") && !serial_equal(&s, &t));
	CU_ASSERT_TRUE(serial_from_text(&t, "40ab") && !serial_equal(&s, &t));
}

static void test_version_and_form_refused(void)
{
	AUTO_BUF der = { 0 };
	AUTO_BUF ext = { 0 };

	make(&der, (struct make_cert){ .v1 = true });
	refuse(&der, "version 3");
	usual_extensions(&ext);
	with_extensions(&der, &ext);
	for (size_t n = 0; n < der.n; n++) {
		struct buf cut = { der.p, n, n };

		refuse(&cut, "");
	}
	buf_byte(&der, 0);
	refuse(&der, "malformed");
	der.n = 0;
	buf_reserve(&der, CERT_MAX + 1);
	memset(der.p, 0, CERT_MAX + 1);
	der.n = CERT_MAX + 1;
	refuse(&der, "limit");
}

static void test_extensions_refused__X509_44(void)
{
	AUTO_BUF der = { 0 };
	AUTO_BUF ext = { 0 };
	char oid[32];

	make_san_dns(&ext, "pump-7.example");
	make_san_dns(&ext, "pump-8.example");
	with_extensions(&der, &ext);
	refuse(&der, "twice");
	ext.n = 0;
	EXTENSION(&ext, "1.2.3.4", false, "\x05\x00");
	EXTENSION(&ext, "1.2.3.4", false, "\x05\x00");
	with_extensions(&der, &ext);
	refuse(&der, "twice");
	ext.n = 0;
	for (int i = 0; i < 65; i++) {
		snprintf(oid, sizeof oid, "1.2.3.%d", i);
		EXTENSION(&ext, oid, false, "\x05\x00");
	}
	with_extensions(&der, &ext);
	refuse(&der, "too many");
	static const struct {
		const char *oid, *value;
		size_t n;
		const char *word;
	} rows[] = {
#define BAD(oid, s, word) { oid, s, sizeof s - 1, word }
		BAD(OID_EXT_SAN, "\x30\x80\x82\x01\x61\x00\x00", "subjectAltName"), BAD(OID_EXT_SAN, "\x31\x00", "subjectAltName"),
		BAD(OID_EXT_SAN, "\x30\x03\x82\x02\x61", "subjectAltName"), BAD(OID_EXT_SAN, "\x30\x00\x00", "subjectAltName"),
		BAD(OID_EXT_BASIC_CONSTRAINTS, "\x31\x00", "basicConstraints"),
		BAD(OID_EXT_BASIC_CONSTRAINTS, "\x30\x00\x05\x00", "basicConstraints"),
		BAD(OID_EXT_BASIC_CONSTRAINTS, "\x30\x03\x01\x01\x01", "basicConstraints"),
		BAD(OID_EXT_BASIC_CONSTRAINTS, "\x30\x06\x01\x01\xff\x02\x01\xff", "basicConstraints"),
		BAD(OID_EXT_KEY_USAGE, "\x03\x01\x08", "keyUsage"), BAD(OID_EXT_KEY_USAGE, "\x04\x01\x80", "keyUsage"),
		BAD(OID_EXT_EKU, "\x30\x02\x0c\x00", "extendedKeyUsage"), BAD(OID_EXT_EKU, "\x30\x00\x00", "extendedKeyUsage"),
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		ext.n = 0;
		make_extension(&ext, rows[i].oid, true, rows[i].value, rows[i].n);
		with_extensions(&der, &ext);
		refuse(&der, rows[i].word);
	}
}

static void test_a_flipped_bit_never_verifies(void)
{
	AUTO_BUF der = { 0 };
	AUTO_BUF ext = { 0 };
	AUTO_BUF issuer = { 0 };
	struct key_info k;
	struct err e = { 0 };

	usual_extensions(&ext);
	with_extensions(&der, &ext);
	make_spki(&issuer, make_key(MAKE_P384));
	CU_ASSERT_TRUE_FATAL(key_parse(&k, span_of(&issuer), &e));
	CU_ASSERT_TRUE_FATAL(cert_parse(&parsed, der.p, der.n, &e) && cert_verify_by(&parsed, &k, &e));
	for (size_t i = 0; i < der.n; i++) {
		uint8_t *copy = mem_dup(der.p, der.n);

		copy[i] ^= (uint8_t)(1 << i % 8);
		e = (struct err){ 0 };
		CU_ASSERT_FALSE(cert_parse(&parsed, copy, der.n, &e) && cert_verify_by(&parsed, &k, &e));
		CU_ASSERT_EQUAL(e.kind, ERR_BAD_CERT);
		free(copy);
	}
	issuer.n = 0;
	make_spki(&issuer, make_key(MAKE_P256));
	CU_ASSERT_TRUE_FATAL(key_parse(&k, span_of(&issuer), &e) && cert_parse(&parsed, der.p, der.n, &e));
	CU_ASSERT_FALSE(cert_verify_by(&parsed, &k, &e));
}

/* What we read is what OpenSSL reads. */
static void test_read_as_openssl_does(void)
{
	for (int i = 0; i < MAKE_KEYS; i++) {
		AUTO_BUF der = { 0 };
		AUTO_BUF ext = { 0 };
		AUTO_BUF spki = { 0 };
		struct err e = { 0 };
		const uint8_t *p;
		X509 *x;

		usual_extensions(&ext);
		make(&der, (struct make_cert){ .extensions = &ext, .key = make_key((enum make_key)i) });
		CU_ASSERT_TRUE_FATAL(cert_parse(&parsed, der.p, der.n, &e));
		p = der.p;
		x = d2i_X509(NULL, &p, (long)der.n);
		CU_ASSERT_PTR_NOT_NULL_FATAL(x);
		CU_ASSERT_EQUAL(X509_verify(x, make_key(MAKE_P384)), 1);
		CU_ASSERT_EQUAL(ASN1_INTEGER_get(X509_get0_serialNumber(x)), 0x4711);
		CU_ASSERT_TRUE(parsed.serial.n == 2 && parsed.serial.v[0] == 0x47 && parsed.serial.v[1] == 0x11);
		CU_ASSERT_EQUAL(X509_get_key_usage(x), KU_DIGITAL_SIGNATURE);
		CU_ASSERT_EQUAL(parsed.key_usage, 1);
		CU_ASSERT_EQUAL(parsed.not_before, MAKE_NOW - US_PER_DAY);
		CU_ASSERT_EQUAL(parsed.not_after, MAKE_NOW + US_PER_DAY);
		CU_ASSERT_TRUE(parsed.ski.n == 4 && memcmp(parsed.ski.p, ASN1_STRING_get0_data(X509_get0_subject_key_id(x)), 4) == 0);
		CU_ASSERT_TRUE(parsed.aki.n == 4 && memcmp(parsed.aki.p, ASN1_STRING_get0_data(X509_get0_authority_key_id(x)), 4) == 0);
		CU_ASSERT_TRUE(!parsed.is_ca && parsed.path_len == -1 && parsed.has_eku && parsed.has_san);
		CU_ASSERT_TRUE(cert_has_eku(&parsed, OID_CLIENT_AUTH) && !cert_has_eku(&parsed, OID_SERVER_AUTH));
		CU_ASSERT_STRING_EQUAL(parsed.san.v[0].value, "pump-7.example");
		make_spki(&spki, make_key((enum make_key)i));
		CU_ASSERT_TRUE(span_equal(parsed.spki, span_of(&spki)));
		X509_free(x);
	}
}

static void test_authority_and_absent_extensions(void)
{
	AUTO_BUF der = { 0 };
	AUTO_BUF ext = { 0 };

	EXTENSION(&ext, OID_EXT_BASIC_CONSTRAINTS, true, "\x30\x06\x01\x01\xff\x02\x01\x00");
	EXTENSION(&ext, OID_EXT_KEY_USAGE, true, "\x03\x02\x01\x06");
	with_extensions(&der, &ext);
	CU_ASSERT_TRUE(parse(&der, NULL) && parsed.is_ca && parsed.path_len == 0 && parsed.key_usage == (1 << 5 | 1 << 6));
	ext.n = 0;
	EXTENSION(&ext, OID_EXT_BASIC_CONSTRAINTS, true, "\x30\x0b\x01\x01\xff\x02\x06\x7f\xff\xff\xff\xff\xff");
	with_extensions(&der, &ext);
	CU_ASSERT_TRUE(parse(&der, NULL) && parsed.path_len == 255);
	/* Nothing of it is left in the next one. */
	make(&der, (struct make_cert){ 0 });
	CU_ASSERT_TRUE(parse(&der, NULL));
	CU_ASSERT_FALSE(parsed.is_ca || parsed.has_san || parsed.has_eku || parsed.key_usage != 0 || parsed.path_len != -1 ||
	                parsed.ski.n != 0 || parsed.aki.n != 0 || cert_has_eku(&parsed, OID_CLIENT_AUTH));
}

static void test_foreign_certificates_are_read(void)
{
	AUTO_BUF der = { 0 };
	AUTO_BUF ext = { 0 };

	EXTENSION(&ext, OID_EXT_SAN, false, "\x30\x0f\xa4\x02\x30\x00\x82\x03\x61_\x62\x82\x01\x61\x88\x01\x2a");
	EXTENSION(&ext, "1.3.6.1.4.1.311.21.7", false, "\x05\x00");
	EXTENSION(&ext, "2.5.29.99", true, "\x05\x00");
	EXTENSION(&ext, "1.3.6.1.5.5.7.1.1", false, "no DER at all");
	with_extensions(&der, &ext);
	CU_ASSERT_TRUE(parse(&der, NULL) && parsed.has_san && parsed.san.n == 1);
	CU_ASSERT_STRING_EQUAL(parsed.san.v[0].value, "a");
}

static void test_dates_of_both_kinds__X509_05(void)
{
	static const struct civil last = { 2049, 12, 31, 23, 59, 59 }, first = { 2050, 1, 1, 0, 0, 0 };
	AUTO_BUF der = { 0 };
	int64_t utc, general;

	CU_ASSERT_TRUE_FATAL(clock_from_civil(&last, &utc) && clock_from_civil(&first, &general));
	make(&der, (struct make_cert){ .not_before = utc, .not_after = general });
	CU_ASSERT_TRUE(parse(&der, NULL) && parsed.not_before == utc && parsed.not_after == general);
	make_free();
}

static const struct cu_case table[] = {
	{ "test_algorithm_inside_and_outside__X509_03", test_algorithm_inside_and_outside__X509_03 },
	{ "test_weak_algorithms_refused__X509_04", test_weak_algorithms_refused__X509_04 },
	{ "test_serials_refused", test_serials_refused },
	{ "test_serial_text", test_serial_text },
	{ "test_version_and_form_refused", test_version_and_form_refused },
	{ "test_extensions_refused__X509_44", test_extensions_refused__X509_44 },
	{ "test_a_flipped_bit_never_verifies", test_a_flipped_bit_never_verifies },
	{ "test_read_as_openssl_does", test_read_as_openssl_does },
	{ "test_authority_and_absent_extensions", test_authority_and_absent_extensions },
	{ "test_foreign_certificates_are_read", test_foreign_certificates_are_read },
	{ "test_dates_of_both_kinds__X509_05", test_dates_of_both_kinds__X509_05 },
};

CU_MAIN(table)
