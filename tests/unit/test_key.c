/* SPDX-License-Identifier: Apache-2.0 */
#include "pkix/key.h"

#include "tests/cu.h"

#include "tests/unit/pkix_make.h"

#include <openssl/core_names.h>
#include <openssl/rand.h>

static const struct {
	enum make_key made;
	enum key_type type;
	unsigned bits;
	const char *word;
} keys[] = {
	{ MAKE_P256, KEY_P256, 256, "ecdsa-p256" }, { MAKE_P384, KEY_P384, 384, "ecdsa-p384" },
	{ MAKE_P521, KEY_P521, 521, "ecdsa-p521" }, { MAKE_ED25519, KEY_ED25519, 256, "ed25519" },
	{ MAKE_RSA2048, KEY_RSA, 2048, "rsa-2048" }, { MAKE_RSA3072, KEY_RSA, 3072, "rsa-3072" },
};

/* Parses an exact heap copy, so that the sanitizer sees a read behind the end. */
static bool parse(struct key_info *k, const struct buf *spki, struct err *e)
{
	uint8_t *copy = mem_dup(spki->p, spki->n);
	bool good = key_parse(k, (struct span){ copy, spki->n }, e);

	free(copy);
	return good;
}

static void refuse(const struct buf *spki, const char *word)
{
	struct key_info k;
	struct err e = { 0 };

	CU_ASSERT_FALSE(parse(&k, spki, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_BAD_KEY);
	if (strstr(e.text, word) == NULL)
		printf("\n  '%s' does not say '%s'\n", e.text, word);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, word));
}

/* SubjectPublicKeyInfo of an algorithm OID, parameters as they stand, and key bits. */
static void compose(struct buf *out, const char *oid, const void *params, size_t params_n, const void *bits, size_t n)
{
	size_t whole, alg;

	out->n = 0;
	whole = der_begin(out, DER_SEQUENCE);
	alg = der_begin(out, DER_SEQUENCE);
	make_oid(out, oid);
	buf_add(out, params, params_n);
	der_end(out, alg);
	der_put_bits(out, bits, n, 0);
	der_end(out, whole);
}

static const char p256_params[] = "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";

static void ec(struct buf *out, const void *bits, size_t n)
{
	compose(out, OID_EC_PUBLIC_KEY, p256_params, sizeof p256_params - 1, bits, n);
}

static void test_every_type_is_read_as_openssl_does__X509_36(void)
{
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		AUTO_BUF spki = { 0 };
		AUTO(EVP_PKEY) *loaded = NULL;
		struct key_info k;
		struct err e = { 0 };
		char word[16];

		make_spki(&spki, make_key(keys[i].made));
		CU_ASSERT_TRUE_FATAL(key_parse(&k, span_of(&spki), &e));
		CU_ASSERT_TRUE(k.type == keys[i].type && k.bits == keys[i].bits);
		key_name(&k, word, sizeof word);
		CU_ASSERT_STRING_EQUAL(word, keys[i].word);
		CU_ASSERT_TRUE_FATAL(key_load(&loaded, &k, &e));
		CU_ASSERT_EQUAL(EVP_PKEY_eq(loaded, make_key(keys[i].made)), 1);
		for (size_t n = 0; n < spki.n; n++) {
			struct buf cut = { spki.p, n, n };

			CU_ASSERT_FALSE(parse(&k, &cut, &e));
		}
		buf_byte(&spki, 0);
		refuse(&spki, "SubjectPublicKeyInfo");
	}
}

static void point_of(EVP_PKEY *key, uint8_t *out, size_t *n)
{
	CU_ASSERT_TRUE_FATAL(EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, out, 200, n) == 1);
	CU_ASSERT_TRUE_FATAL(out[0] == 4);
}

static void test_point_forms_refused__X509_36(void)
{
	uint8_t point[200], other[200];
	size_t n;
	AUTO_BUF b = { 0 };

	point_of(make_key(MAKE_P256), point, &n);
	CU_ASSERT_EQUAL_FATAL(n, 65);
	memcpy(other, point, n);
	for (uint8_t form = 2; form <= 3; form++) {
		other[0] = form;
		ec(&b, other, 33);
		refuse(&b, "compressed");
	}
	for (int form = 0; form < 256; form++) {
		other[0] = (uint8_t)form;
		ec(&b, other, 65);
		if (form != 4)
			refuse(&b, "uncompressed"); /* 6 and 7 are the hybrid forms */
	}
	ec(&b, "\0", 1);
	refuse(&b, "infinity");
	ec(&b, "", 0);
	refuse(&b, "EC key");
	ec(&b, point, 64);
	refuse(&b, "EC key");
	memcpy(other, point, n);
	other[65] = 0;
	ec(&b, other, 66);
	refuse(&b, "EC key");
	compose(&b, OID_EC_PUBLIC_KEY, "\x06\x05\x2b\x81\x04\x00\x22", 7, point, 65); /* P-384 with a point of P-256 */
	refuse(&b, "point");
}

static void test_off_curve_points_refused__X509_36(void)
{
	uint8_t point[200], off[200];
	AUTO_BUF b = { 0 };
	size_t n, refused = 0;
	struct key_info k;
	struct err e;

	point_of(make_key(MAKE_P256), point, &n);
	for (size_t bit = 8; bit < n * 8; bit += 7) {
		AUTO(EVP_PKEY) *key = NULL;

		memcpy(off, point, n);
		off[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ec(&b, off, n);
		CU_ASSERT_TRUE_FATAL(key_parse(&k, span_of(&b), &e)); /* told apart only by arithmetic */
		e = (struct err){ 0 };
		refused += !key_load(&key, &k, &e) && e.kind == ERR_BAD_KEY;
	}
	CU_ASSERT_EQUAL(refused, (n * 8 - 8 + 6) / 7);
	/* (0, 0), and coordinates at and above the field's prime: an alias of a point is not the point. */
	memset(off + 1, 0, 64);
	off[0] = 4;
	ec(&b, off, 65);
	EVP_PKEY *key = NULL;

	CU_ASSERT_TRUE(key_parse(&k, span_of(&b), &e) && !key_load(&key, &k, &e));
	memset(off + 1, 0xff, 64);
	ec(&b, off, 65);
	CU_ASSERT_TRUE(key_parse(&k, span_of(&b), &e) && !key_load(&key, &k, &e));
	CU_ASSERT_PTR_NULL(key);
}

/* What key_load takes, OpenSSL's full validation takes, and the other way round. */
static void test_key_load_agrees_with_full_validation__X509_36(void)
{
	static const enum make_key which[] = { MAKE_P256, MAKE_P384, MAKE_P521 };

	for (size_t i = 0; i < 3; i++) {
		AUTO_BUF spki = { 0 };
		AUTO(EVP_PKEY) *key = NULL;
		EVP_PKEY_CTX *ctx;
		struct key_info k;

		make_spki(&spki, make_key(which[i]));
		CU_ASSERT_TRUE_FATAL(key_parse(&k, span_of(&spki), NULL) && key_load(&key, &k, NULL));
		ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
		CU_ASSERT_EQUAL(EVP_PKEY_public_check(ctx), 1);
		EVP_PKEY_CTX_free(ctx);
	}
}

static void test_curves_and_parameters_refused__X509_36(void)
{
	static const char *const groups[] = { "secp256k1", "brainpoolP256r1", "P-192", "P-224", "brainpoolP384r1" };
	uint8_t point[200];
	size_t n;
	AUTO_BUF b = { 0 };
	AUTO_BUF explicit = { 0 };

	for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
		AUTO(EVP_PKEY) *key = EVP_EC_gen(groups[i]);
		AUTO_BUF spki = { 0 };

		if (key == NULL) /* a distribution may leave some out */
			continue;
		make_spki(&spki, key);
		refuse(&spki, "P-256");
	}
	EVP_PKEY *key = make_key(MAKE_P256_OTHER);

	CU_ASSERT_EQUAL(EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_ENCODING, "explicit"), 1);
	make_spki(&explicit, key);
	CU_ASSERT_TRUE(explicit.n > 200);
	refuse(&explicit, "explicit parameters");
	point_of(make_key(MAKE_P256), point, &n);
	compose(&b, OID_EC_PUBLIC_KEY, "\x05\x00", 2, point, n); /* implicitlyCA */
	refuse(&b, "parameters");
	compose(&b, OID_EC_PUBLIC_KEY, "", 0, point, n);
	refuse(&b, "parameters");
	compose(&b, OID_EC_PUBLIC_KEY, "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x05\x00", 12, point, n);
	refuse(&b, "parameters");
	compose(&b, "1.3.132.1.12", p256_params, sizeof p256_params - 1, point, n); /* id-ecDH */
	refuse(&b, "not accepted");
	compose(&b, "1.2.840.10040.4.1", "", 0, point, n); /* DSA */
	refuse(&b, "not accepted");
	compose(&b, "1.2.840.113549.1.1.10", "", 0, point, n); /* RSASSA-PSS key */
	refuse(&b, "not accepted");
	compose(&b, "1.3.101.113", "", 0, point, 57); /* Ed448 */
	refuse(&b, "not accepted");
}

static void test_ed25519_form_refused__X509_36(void)
{
	AUTO_BUF b = { 0 };
	char key[40] = { 1 };

	for (size_t n = 0; n < 40; n++) {
		compose(&b, OID_ED25519, "", 0, key, n);
		if (n != 32)
			refuse(&b, "Ed25519");
	}
	compose(&b, OID_ED25519, "\x05\x00", 2, key, 32);
	refuse(&b, "Ed25519");
}

/* An RSA key of a modulus of so many bits, all ones but as said, and an exponent as it stands. */
static void rsa(struct buf *out, unsigned bits, bool even, const void *exponent, size_t exponent_n)
{
	AUTO_BUF key = { 0 };
	uint8_t n[1100];
	size_t octets = (bits + 7) / 8, mark;

	memset(n, 0xff, sizeof n);
	n[0] = (uint8_t)(0xff >> (octets * 8 - bits));
	n[octets - 1] = even ? 0xfe : 0xff;
	mark = der_begin(&key, DER_SEQUENCE);
	der_put_unsigned(&key, n, octets);
	der_put(&key, DER_INTEGER, exponent, exponent_n);
	der_end(&key, mark);
	compose(out, OID_RSA_ENCRYPTION, "\x05\x00", 2, key.p, key.n);
}

static void test_rsa_lengths__X509_35(void)
{
	static const unsigned bad[] = { 8, 9, 512, 1023, 1024, 1536, 2040, 2047, 8193, 8200, 8704 };
	static const unsigned odd[] = { 2049, 2050, 2055, 3071, 3073, 4095, 8191 };
	static const unsigned good[] = { 2048, 2056, 3072, 4096, 8192 };
	AUTO_BUF b = { 0 };
	struct key_info k;
	char word[16], text[32];

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		rsa(&b, bad[i], false, "\x01\x00\x01", 3);
		refuse(&b, "use at least 2048");
		snprintf(text, sizeof text, "of %u bits", bad[i]);
		refuse(&b, text);
	}
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
		rsa(&b, odd[i], false, "\x01\x00\x01", 3);
		refuse(&b, "whole octets");
	}
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		rsa(&b, good[i], false, "\x01\x00\x01", 3);
		CU_ASSERT_TRUE(parse(&k, &b, NULL) && k.bits == good[i]);
		key_name(&k, word, sizeof word);
		snprintf(text, sizeof text, "rsa-%u", good[i]);
		CU_ASSERT_STRING_EQUAL(word, text);
	}
	rsa(&b, 2048, true, "\x01\x00\x01", 3);
	refuse(&b, "even");
}

static void test_rsa_exponents__X509_35(void)
{
	static const struct {
		const char *der;
		size_t n;
	} bad[] = {
		{ "\x00", 1 }, { "\x01", 1 }, { "\x03", 1 }, { "\x11", 1 }, { "\x01\x01", 2 }, { "\x00\xff\xff", 3 },
		{ "\x01\x00\x00", 3 }, { "\x01\x00\x02", 3 }, { "\x00\x01\x00\x01", 4 }, { "\xff\x00\x01", 3 }, { "", 0 },
	};
	uint8_t large[34];
	AUTO_BUF b = { 0 };
	struct key_info k;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		rsa(&b, 2048, false, bad[i].der, bad[i].n);
		refuse(&b, "RSA");
	}
	memset(large, 0xff, sizeof large);
	large[0] = 1;
	rsa(&b, 2048, false, large, 33); /* 2^257 - 1 */
	refuse(&b, "exponent");
	large[0] = 0;
	rsa(&b, 2048, false, large, 33); /* 2^256 - 1 */
	CU_ASSERT_TRUE(parse(&k, &b, NULL));
	rsa(&b, 2048, false, "\x01\x00\x03", 3);
	CU_ASSERT_TRUE(parse(&k, &b, NULL));
}

static void test_rsa_form_refused__X509_35(void)
{
	AUTO_BUF b = { 0 };
	AUTO_BUF good = { 0 };
	struct key_info k;

	rsa(&good, 2048, false, "\x01\x00\x01", 3);
	CU_ASSERT_TRUE_FATAL(key_parse(&k, span_of(&good), NULL));
	compose(&b, OID_RSA_ENCRYPTION, "", 0, k.point.p, k.point.n); /* parameters left out */
	refuse(&b, "RSA");
	compose(&b, OID_RSA_ENCRYPTION, "\x05\x01\x00", 3, k.point.p, k.point.n);
	refuse(&b, "RSA");
	compose(&b, OID_RSA_ENCRYPTION, "\x05\x00\x05\x00", 4, k.point.p, k.point.n);
	refuse(&b, "RSA");
	compose(&b, OID_RSA_ENCRYPTION, "\x05\x00", 2, k.point.p, k.point.n - 1);
	refuse(&b, "RSA");
	compose(&b, OID_RSA_ENCRYPTION, "\x05\x00", 2, "\x30\x06\x02\x01\x00\x02\x01\x03", 8); /* modulus zero */
	refuse(&b, "of 0 bits");
	compose(&b, OID_RSA_ENCRYPTION, "\x05\x00", 2, "", 0);
	refuse(&b, "RSA");
	compose(&b, OID_RSA_ENCRYPTION, "\x05\x00", 2, "\x30\x00", 2);
	refuse(&b, "RSA");
}

static void test_der_slips_refused(void)
{
	static const char *const bad[] = {
		"", "30", "3000", "3080", "30800000", "300430000300", "30023000", "040430000300", "3005300003020000",
		"300530000301", "3006300004020000", /* OCTET STRING for BIT STRING */
		"300a300506032b6570030101", /* seven unused bits of nothing */
	};
	struct key_info k;
	struct err e;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		uint8_t der[64];
		size_t n;

		CU_ASSERT_TRUE_FATAL(hex_get(bad[i], der, sizeof der, &n));
		e = (struct err){ 0 };
		CU_ASSERT_FALSE(key_parse(&k, (struct span){ der, n }, &e));
		CU_ASSERT_EQUAL(e.kind, ERR_BAD_KEY);
	}
	CU_ASSERT_FALSE(key_parse(&k, (struct span){ NULL, 0 }, NULL));
}

/* RFC 7093, 2, method 1. */
static void test_ski_is_recomputed__X509_12(void)
{
	AUTO_BUF spki = { 0 };
	struct key_info k;
	uint8_t ski[20], point[200], full[32];
	unsigned n = 0;
	size_t point_n;

	make_spki(&spki, make_key(MAKE_P256));
	CU_ASSERT_TRUE_FATAL(key_parse(&k, span_of(&spki), NULL));
	point_of(make_key(MAKE_P256), point, &point_n);
	CU_ASSERT_TRUE(EVP_Digest(point, point_n, full, &n, EVP_sha256(), NULL) == 1 && n == 32);
	key_ski(&k, ski);
	CU_ASSERT_EQUAL(memcmp(ski, full, 20), 0);
}

static void test_signature_algorithms_octet_for_octet__X509_03__X509_04(void)
{
	static const struct {
		enum sig_alg alg;
		const char *hex;
	} rows[] = {
		{ SIG_RSA_SHA256, "300d06092a864886f70d01010b0500" }, { SIG_RSA_SHA384, "300d06092a864886f70d01010c0500" },
		{ SIG_RSA_SHA512, "300d06092a864886f70d01010d0500" }, { SIG_ECDSA_SHA256, "300a06082a8648ce3d040302" },
		{ SIG_ECDSA_SHA384, "300a06082a8648ce3d040303" }, { SIG_ECDSA_SHA512, "300a06082a8648ce3d040304" },
		{ SIG_ED25519, "300506032b6570" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		AUTO_BUF b = { 0 };
		char hex[64];
		enum sig_alg a;

		sig_alg_der(&b, rows[i].alg);
		hex_put(hex, b.p, b.n);
		CU_ASSERT_STRING_EQUAL(hex, rows[i].hex);
		CU_ASSERT_TRUE(sig_alg_parse(&a, span_of(&b), NULL) && a == rows[i].alg);
	}
	CU_ASSERT_EQUAL(sig_alg_of(KEY_P256), SIG_ECDSA_SHA256);
	CU_ASSERT_EQUAL(sig_alg_of(KEY_P384), SIG_ECDSA_SHA384);
	CU_ASSERT_EQUAL(sig_alg_of(KEY_P521), SIG_ECDSA_SHA512);
	CU_ASSERT_EQUAL(sig_alg_of(KEY_ED25519), SIG_ED25519);
	CU_ASSERT_EQUAL(sig_alg_of(KEY_RSA), SIG_RSA_SHA256);
}

static void test_signature_algorithms_refused__X509_03__X509_04(void)
{
	static const struct {
		const char *hex, *word;
	} rows[] = {
		{ "300d06092a864886f70d0101050500", "SHA-1" }, { "300d06092a864886f70d0101040500", "MD5" },
		{ "300906072a8648ce3d0401", "SHA-1" }, { "300d06092a864886f70d01010a3000", "PSS" },
		{ "300d06092a864886f70d01010e0500", "SHA-224" }, { "300a06082a8648ce3d040301", "SHA-224" },
		{ "300b06092a864886f70d01010b", "1.2.840.113549.1.1.11" },       /* RSA without NULL */
		{ "300c06082a8648ce3d0403020500", "1.2.840.10045.4.3.2" },       /* ECDSA with NULL */
		{ "300706032b65700500", "1.3.101.112" }, { "300506032b6571", "1.3.101.113" },
		{ "300b06092a864886f70d010101", "1.2.840.113549.1.1.1" }, { "3000", "malformed" }, { "", "malformed" },
		{ "30800603", "malformed" }, { "310506032b6570", "malformed" }, { "300406022b80", "malformed" },
		{ "30060602808001", "malformed" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint8_t der[64];
		size_t n;
		enum sig_alg a;
		struct err e = { 0 };

		CU_ASSERT_TRUE_FATAL(hex_get(rows[i].hex, der, sizeof der, &n));
		CU_ASSERT_FALSE(sig_alg_parse(&a, (struct span){ der, n }, &e));
		CU_ASSERT_EQUAL(e.kind, ERR_BAD_CSR);
		CU_ASSERT_PTR_NOT_NULL(strstr(e.text, rows[i].word));
	}
}

static void test_digests_by_known_answers(void)
{
	uint8_t d[48];
	char hex[97];

	digest_sha1(d, "abc", 3);
	hex_put(hex, d, 20);
	CU_ASSERT_STRING_EQUAL(hex, "a9993e364706816aba3e25717850c26c9cd0d89d");
	digest_sha256(d, "abc", 3);
	hex_put(hex, d, 32);
	CU_ASSERT_STRING_EQUAL(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	digest_sha384(d, "abc", 3);
	hex_put(hex, d, 48);
	CU_ASSERT_STRING_EQUAL(hex, "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
	                            "8086072ba1e7cc2358baeca134c825a7");
	digest_sha256(d, NULL, 0);
	hex_put(hex, d, 32);
	CU_ASSERT_STRING_EQUAL(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	make_free();
}

static const struct cu_case table[] = {
	{ "test_point_forms_refused__X509_36", test_point_forms_refused__X509_36 },
	{ "test_off_curve_points_refused__X509_36", test_off_curve_points_refused__X509_36 },
	{ "test_curves_and_parameters_refused__X509_36", test_curves_and_parameters_refused__X509_36 },
	{ "test_ed25519_form_refused__X509_36", test_ed25519_form_refused__X509_36 },
	{ "test_rsa_lengths__X509_35", test_rsa_lengths__X509_35 },
	{ "test_rsa_exponents__X509_35", test_rsa_exponents__X509_35 },
	{ "test_rsa_form_refused__X509_35", test_rsa_form_refused__X509_35 },
	{ "test_der_slips_refused", test_der_slips_refused },
	{ "test_every_type_is_read_as_openssl_does__X509_36", test_every_type_is_read_as_openssl_does__X509_36 },
	{ "test_key_load_agrees_with_full_validation__X509_36", test_key_load_agrees_with_full_validation__X509_36 },
	{ "test_ski_is_recomputed__X509_12", test_ski_is_recomputed__X509_12 },
	{ "test_signature_algorithms_octet_for_octet__X509_03__X509_04",
	  test_signature_algorithms_octet_for_octet__X509_03__X509_04 },
	{ "test_signature_algorithms_refused__X509_03__X509_04", test_signature_algorithms_refused__X509_03__X509_04 },
	{ "test_digests_by_known_answers", test_digests_by_known_answers },
};

CU_MAIN(table)
