/* SPDX-License-Identifier: Apache-2.0 */
#include "crl/ocsp_request.h"

#include "tests/cu.h"
#include "tests/fake/ocsp_client.h"

#include "base/text.h"

static const uint8_t octets[300] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };
static const uint8_t serial_16[16] = { 0x4f, 0xff, 0xff, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
static const struct span none = { NULL, 0 };
static const struct span der_null = { (const uint8_t *)"\x05\x00", 2 };
static X509 *issuer;
static EVP_PKEY *issuer_key;

__attribute__((constructor)) static void make_issuer(void)
{
	issuer = client_authority("devices", 1000, &issuer_key);
}

__attribute__((destructor)) static void free_issuer(void)
{
	X509_free(issuer);
	EVP_PKEY_free(issuer_key);
}

static struct span span_of_octets(size_t n)
{
	return (struct span){ octets, n };
}

static bool parses(const struct buf *b, struct ocsp_request *q)
{
	/* A copy of just this size, so that the sanitizer sees a read behind the end. */
	uint8_t *exact = malloc(b->n != 0 ? b->n : 1);
	struct ocsp_request mine;
	bool good;

	if (b->n != 0)
		memcpy(exact, b->p, b->n);
	good = ocsp_request_parse(&mine, exact, b->n, NULL);
	free(exact);
	return good && (q == NULL || ocsp_request_parse(q, b->p, b->n, NULL));
}

static void plain(struct buf *out)
{
	client_request(out, EVP_sha1(), issuer, serial_16, sizeof serial_16, octets, 16);
}

static void test_refuses_every_truncation__OCSP_14(void)
{
	AUTO_BUF b = { 0 };
	size_t n;

	plain(&b);
	CU_ASSERT_TRUE(parses(&b, NULL));
	for (n = b.n; b.n-- > 0;)
		CU_ASSERT_FALSE(parses(&b, NULL));
	b.n = n;
	CU_ASSERT_TRUE(parses(&b, NULL));
}

static void test_refuses_trailing_octets__OCSP_14(void)
{
	AUTO_BUF b = { 0 };

	plain(&b);
	buf_byte(&b, 0);
	CU_ASSERT_FALSE(parses(&b, NULL));
	b.n--;
	buf_add(&b, b.p, b.n / 2);
	CU_ASSERT_FALSE(parses(&b, NULL));
}

static void test_refuses_garbage__OCSP_14(void)
{
	static const char *const hex[] = { "", "00", "30", "3000", "30023000", "300430023000", "3080", "0500", "300630043000a200",
		                           "30840000000430023000", "ff", "ffffffffffffffff" };
	AUTO_BUF b = { 0 };
	uint8_t der[64];

	for (size_t i = 0; i < COUNT_OF(hex); i++) {
		b.n = 0;
		size_t n;

		CU_ASSERT_TRUE_FATAL(hex_get(hex[i], der, sizeof der, &n));
		buf_add(&b, der, n);
		CU_ASSERT_FALSE(parses(&b, NULL));
	}
	b.n = 0;
	for (int i = 0; i < OCSP_REQUEST_MAX + 1; i++)
		buf_byte(&b, 0x30);
	CU_ASSERT_FALSE(parses(&b, NULL));
}

static void test_refuses_a_wrong_version__OCSP_14(void)
{
	static const struct {
		const char *hex;
		bool good;
	} rows[] = { { "a003020100", true }, { "a003020101", false }, { "a00402020000", false }, { "a0030201ff", false },
		     { "a0020200", false },  { "a000", false },       { "a0050201000500", false } };
	AUTO_BUF id = { 0 };
	AUTO_BUF b = { 0 };
	uint8_t version[16];
	size_t n;

	hand_cert_id(&id, OID_SHA1, none, span_of_octets(20), span_of_octets(20), span_of_octets(3));
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		CU_ASSERT_TRUE_FATAL(hex_get(rows[i].hex, version, sizeof version, &n));
		hand_request(&b, (struct span){ version, n }, span_of(&id), 1, none, none);
		CU_ASSERT_EQUAL(parses(&b, NULL), rows[i].good);
	}
}

static void test_one_to_twenty_requests__OCSP_13(void)
{
	AUTO_BUF id = { 0 };
	AUTO_BUF b = { 0 };
	struct ocsp_request q;

	hand_cert_id(&id, OID_SHA1, none, span_of_octets(20), span_of_octets(20), span_of_octets(3));
	for (size_t n = 0; n <= 22; n++) {
		hand_request(&b, none, span_of(&id), n, none, none);
		CU_ASSERT_EQUAL(parses(&b, &q), n >= 1 && n <= 20);
		if (n >= 1 && n <= 20)
			CU_ASSERT_EQUAL(q.n, n);
	}
}

static void test_nonce_lengths__OCSP_11__QRK_10(void)
{
	static const struct {
		int n;
		bool good;
	} rows[] = { { 0, false }, { 1, true },  { 8, true },   { 15, true },   { 16, true },
		     { 32, true }, { 33, true }, { 128, true }, { 129, false }, { 300, false } };
	AUTO_BUF b = { 0 };
	struct ocsp_request q;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		client_request(&b, EVP_sha1(), issuer, serial_16, sizeof serial_16, octets, rows[i].n);
		CU_ASSERT_EQUAL(parses(&b, &q), rows[i].good);
		if (rows[i].good)
			CU_ASSERT_TRUE(span_equal(q.nonce, span_of_octets((size_t)rows[i].n)));
	}
	client_request(&b, EVP_sha1(), issuer, serial_16, sizeof serial_16, NULL, -1);
	CU_ASSERT_TRUE(parses(&b, &q) && q.nonce.n == 0);
}

/* RFC 9654, 2.1: the extension as the RFC prints it. */
static void test_nonce_vector__OCSP_11(void)
{
	AUTO_BUF id = { 0 };
	AUTO_BUF list = { 0 };
	AUTO_BUF b = { 0 };
	uint8_t ext[64];
	size_t n, seq;
	struct ocsp_request q;

	CU_ASSERT_TRUE_FATAL(hex_get("302f06092b060105050730010204220420dd49d4072c449da1c317bd1c1bdffedbe150312ec4cd0add18e5bd6f84bf14c8",
	                             ext, sizeof ext, &n));
	seq = der_begin(&list, DER_SEQUENCE);
	buf_add(&list, ext, n);
	der_end(&list, seq);
	hand_cert_id(&id, OID_SHA256, none, span_of_octets(32), span_of_octets(32), span_of_octets(3));
	hand_request(&b, none, span_of(&id), 1, none, span_of(&list));
	CU_ASSERT_TRUE_FATAL(parses(&b, &q));
	CU_ASSERT_TRUE(q.nonce.n == 32 && memcmp(q.nonce.p, ext + n - 32, 32) == 0);
}

static void test_refuses_a_nonce_that_is_none__OCSP_11(void)
{
	static const struct {
		const char *value;
		size_t n;
	} rows[] = { { "", 0 }, { "\x01\x02\x03", 3 }, { "\x04", 1 }, { "\x04\x02\x01", 3 }, { "\x04\x01\x01\x00", 4 },
		     { "\x02\x01\x01", 3 }, { "\x24\x03\x04\x01\x01", 5 }, { "\x04\x81\x01\x01", 4 } };

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO(OCSP_REQUEST) *req = OCSP_REQUEST_new();
		AUTO_BUF b = { 0 };

		client_add(req, EVP_sha1(), issuer, serial_16, sizeof serial_16);
		client_extension(req, OID_OCSP_NONCE, false, (struct span){ (const uint8_t *)rows[i].value, rows[i].n });
		client_der(&b, req);
		CU_ASSERT_FALSE(parses(&b, NULL));
	}
}

static void test_refuses_two_nonces__OCSP_11(void)
{
	AUTO(OCSP_REQUEST) *req = OCSP_REQUEST_new();
	AUTO_BUF b = { 0 };

	client_add(req, EVP_sha1(), issuer, serial_16, sizeof serial_16);
	client_nonce(req, octets, 8);
	client_nonce(req, octets, 9);
	client_der(&b, req);
	CU_ASSERT_FALSE(parses(&b, NULL));
}

static void test_unknown_extensions__OCSP_15(void)
{
	for (int critical = 0; critical < 2; critical++) {
		AUTO(OCSP_REQUEST) *req = OCSP_REQUEST_new();
		AUTO_BUF b = { 0 };
		struct ocsp_request q;

		client_add(req, EVP_sha1(), issuer, serial_16, sizeof serial_16);
		client_nonce(req, octets, 8);
		client_extension(req, "1.3.6.1.4.1.32473.1", critical != 0, span_of_octets(4));
		client_der(&b, req);
		CU_ASSERT_EQUAL(parses(&b, &q), critical == 0);
		if (critical == 0)
			CU_ASSERT_EQUAL(q.nonce.n, 8);
	}
}

static void test_unknown_extensions_of_one_certificate__OCSP_15(void)
{
	AUTO_BUF id = { 0 };
	AUTO_BUF b = { 0 };

	hand_cert_id(&id, OID_SHA1, none, span_of_octets(20), span_of_octets(20), span_of_octets(3));
	for (int critical = 0; critical < 2; critical++) {
		AUTO_BUF list = { 0 };
		size_t seq = der_begin(&list, DER_SEQUENCE), ext = der_begin(&list, DER_SEQUENCE);

		CU_ASSERT_TRUE_FATAL(der_put_oid(&list, "1.3.6.1.4.1.32473.1"));
		if (critical != 0)
			der_put_bool(&list, true);
		der_put(&list, DER_OCTETS, octets, 3);
		der_end(&list, ext);
		der_end(&list, seq);
		hand_request(&b, none, span_of(&id), 2, span_of(&list), none);
		CU_ASSERT_EQUAL(parses(&b, NULL), critical == 0);
	}
}

/* A request that names its sender and is signed is answered like any other. */
static void test_requestor_and_signature_are_read_over__OCSP_15(void)
{
	AUTO(OCSP_REQUEST) *req = OCSP_REQUEST_new();
	AUTO_BUF b = { 0 };
	struct ocsp_request q;

	client_add(req, EVP_sha256(), issuer, serial_16, sizeof serial_16);
	client_nonce(req, octets, 32);
	OCSP_request_set1_name(req, X509_get_subject_name(issuer));
	client_der(&b, req);
	CU_ASSERT_TRUE(parses(&b, NULL));
	CU_ASSERT_TRUE(OCSP_request_sign(req, issuer, issuer_key, EVP_sha256(), NULL, OCSP_NOCERTS));
	client_der(&b, req);
	CU_ASSERT_TRUE(parses(&b, &q) && q.nonce.n == 32 && q.n == 1 && q.id[0].serial.n == 16);
}

static void test_hashes_and_their_lengths__OCSP_05(void)
{
	static const struct {
		const char *oid;
		size_t n;
		enum cert_id_hash hash;
	} rows[] = { { OID_SHA1, 20, CERT_ID_SHA1 }, { OID_SHA256, 32, CERT_ID_SHA256 }, { OID_SHA384, 48, CERT_ID_SHA384 },
		     { OID_SHA512, 64, CERT_ID_SHA512 } };
	AUTO_BUF b = { 0 };
	struct ocsp_request q;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		for (size_t n = rows[i].n - 1; n <= rows[i].n + 1; n++) {
			for (int null = 0; null < 2; null++) {
				AUTO_BUF id = { 0 };
				bool good = n == rows[i].n;

				hand_cert_id(&id, rows[i].oid, null ? der_null : none, span_of_octets(n), span_of_octets(rows[i].n),
				             span_of_octets(3));
				hand_request(&b, none, span_of(&id), 1, none, none);
				CU_ASSERT_EQUAL(parses(&b, &q), good);
				if (good)
					CU_ASSERT_TRUE(q.id[0].hash == rows[i].hash && span_equal(q.id[0].whole, span_of(&id)));
				id.n = 0;
				hand_cert_id(&id, rows[i].oid, null ? der_null : none, span_of_octets(rows[i].n), span_of_octets(n),
				             span_of_octets(3));
				hand_request(&b, none, span_of(&id), 1, none, none);
				CU_ASSERT_EQUAL(parses(&b, NULL), good);
			}
		}
	}
}

static void test_refuses_other_parameters__OCSP_05(void)
{
	static const struct span bad[] = { { (const uint8_t *)"\x05\x01\x00", 3 }, { (const uint8_t *)"\x05\x00\x05\x00", 4 },
		                           { (const uint8_t *)"\x02\x01\x01", 3 }, { (const uint8_t *)"\x05", 1 } };
	AUTO_BUF b = { 0 };

	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		AUTO_BUF id = { 0 };

		hand_cert_id(&id, OID_SHA1, bad[i], span_of_octets(20), span_of_octets(20), span_of_octets(3));
		hand_request(&b, none, span_of(&id), 1, none, none);
		CU_ASSERT_FALSE(parses(&b, NULL));
	}
}

static void test_a_hash_that_nobody_is_known_by__OCSP_06(void)
{
	AUTO_BUF id = { 0 };
	AUTO_BUF b = { 0 };
	struct ocsp_request q;

	hand_cert_id(&id, "2.16.840.1.101.3.4.2.4", none, span_of_octets(28), span_of_octets(28), span_of_octets(3));
	hand_request(&b, none, span_of(&id), 1, none, none);
	CU_ASSERT_TRUE(parses(&b, &q) && q.id[0].hash == CERT_ID_HASHES);
	id.n = 0;
	hand_cert_id(&id, "2.16.840.1.101.3.4.2.4", none, span_of_octets(120), span_of_octets(120), span_of_octets(20));
	CU_ASSERT_TRUE_FATAL(id.n > OCSP_CERTID_MAX);
	hand_request(&b, none, span_of(&id), 1, none, none);
	CU_ASSERT_FALSE(parses(&b, NULL));
}

static void test_serials__OCSP_14(void)
{
	static const struct {
		const char *content;
		bool good, impossible;
		size_t n;
	} rows[] = {
		{ "", false, false, 0 },         /* no octets */
		{ "0001", false, false, 0 },     /* not minimal */
		{ "0000", false, false, 0 },     /* not minimal */
		{ "ff80", false, false, 0 },     /* not minimal */
		{ "00", true, true, 1 },         /* zero */
		{ "80", true, true, 1 },         /* negative */
		{ "01", true, false, 1 },
		{ "0080", true, false, 1 },
		{ "7fffffffffffffffffffffffffffffffffffffff", true, false, 20 },
		{ "00ffffffffffffffffffffffffffffffffffffffff", true, false, 20 },
		{ "40ffffffffffffffffffffffffffffffffffffffff", true, true, 20 }, /* 21 octets */
	};
	AUTO_BUF b = { 0 };
	struct ocsp_request q;
	uint8_t content[32];
	size_t n;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_BUF id = { 0 };

		CU_ASSERT_TRUE_FATAL(hex_get(rows[i].content, content, sizeof content, &n));
		hand_cert_id(&id, OID_SHA1, none, span_of_octets(20), span_of_octets(20), (struct span){ content, n });
		hand_request(&b, none, span_of(&id), 1, none, none);
		CU_ASSERT_EQUAL(parses(&b, &q), rows[i].good);
		if (rows[i].good)
			CU_ASSERT_TRUE(q.id[0].impossible == rows[i].impossible && q.id[0].serial.n == rows[i].n);
	}
}

/* Whatever a mutation makes: nothing crashes, and what is taken is a request of as many certificates to OpenSSL. */
static void test_mutations_against_openssl__OCSP_14(void)
{
	AUTO_BUF b = { 0 };
	struct ocsp_request q;
	unsigned taken = 0;

	plain(&b);
	for (size_t at = 0; at < b.n; at++) {
		for (int bit = 0; bit < 8; bit++) {
			const unsigned char *p = b.p;

			b.p[at] ^= (uint8_t)(1 << bit);
			if (parses(&b, &q)) {
				AUTO(OCSP_REQUEST) *judge = d2i_OCSP_REQUEST(NULL, &p, (long)b.n);

				CU_ASSERT_PTR_NOT_NULL(judge);
				CU_ASSERT_EQUAL(OCSP_request_onereq_count(judge), (int)q.n);
				taken++;
			}
			b.p[at] ^= (uint8_t)(1 << bit);
		}
	}
	CU_ASSERT_TRUE(taken > 100 && taken < b.n * 8);
}

/* --- GET */

enum escape { AS_IT_IS, UPPER, LOWER };
static void url(struct buf *out, const struct buf *der, enum escape how)
{
	AUTO_BUF text = { 0 };

	b64_put(&text, der->p, der->n, B64_ONE_LINE);
	out->n = 0;
	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = text.p[i];

		if (how != AS_IT_IS && (c == '+' || c == '/' || c == '='))
			buf_printf(out, how == UPPER ? "%%%02X" : "%%%02x", c);
		else
			buf_byte(out, c);
	}
}

static void test_get_in_every_spelling__OCSP_02(void)
{
	AUTO_BUF der = { 0 };
	AUTO_BUF text = { 0 };

	/* Many serials and lengths: all of + / // = come up. */
	for (unsigned i = 0; i < 300; i++) {
		uint8_t serial[20] = { 0x40, (uint8_t)(i * 37), (uint8_t)(255 - i), 0xff, 0xfb, 0xef, 0xff, 0xff, 0xfe };

		client_request(&der, i % 2 ? EVP_sha1() : EVP_sha256(), issuer, serial, 9 + i % 12, NULL, -1);
		for (int how = 0; how < 3; how++) {
			AUTO_BUF back = { 0 };
			AUTO_BUF slashed = { 0 };

			url(&text, &der, (enum escape)how);
			CU_ASSERT_TRUE(ocsp_get_decode(&back, buf_str(&text), NULL) && span_equal(span_of(&back), span_of(&der)));
			back.n = 0;
			buf_text(&slashed, "//");
			buf_add(&slashed, text.p, text.n);
			CU_ASSERT_TRUE(ocsp_get_decode(&back, buf_str(&slashed), NULL) && span_equal(span_of(&back), span_of(&der)));
		}
	}
}

/* One slash of two is lost on the way: what was meant is found, or nothing is; never another request. */
static void test_get_with_a_folded_slash__OCSP_02(void)
{
	AUTO_BUF der = { 0 };
	unsigned folded = 0, found = 0;

	for (unsigned i = 0; i < 600; i++) {
		uint8_t serial[16] = { 0x41, (uint8_t)(i * 7), (uint8_t)i, 0x0f, 0xff, 0x01, (uint8_t)(i / 2), 9, 8, 7 };
		AUTO_BUF text = { 0 };
		AUTO_BUF back = { 0 };
		char *pair;

		client_request(&der, EVP_sha1(), issuer, serial, 8 + i % 8, NULL, -1);
		url(&text, &der, AS_IT_IS);
		pair = strstr(buf_str(&text), "//");
		if (pair == NULL || strstr(pair + 1, "//") != NULL)
			continue;
		memmove(pair, pair + 1, strlen(pair));
		folded++;
		if (ocsp_get_decode(&back, (char *)text.p, NULL)) {
			found++;
			CU_ASSERT_TRUE(span_equal(span_of(&back), span_of(&der)));
		}
	}
	CU_ASSERT_TRUE(folded > 10 && found > 0);
}

static void test_get_refuses_what_is_no_base64__OCSP_02(void)
{
	static const char *const bad[] = { "", "/", "%", "%4", "%zz", "M%4", "MFE", "MFE*", "MF=E", "MFEw=", "%00", "MFEw%00", "====",
		                           "MFE%3", "M-_w", "////", "MFEw?" };

	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		AUTO_BUF der = { 0 };

		CU_ASSERT_FALSE(ocsp_get_decode(&der, bad[i], NULL));
	}
}

static void test_get_that_is_long__OCSP_02(void)
{
	AUTO(OCSP_REQUEST) *req = OCSP_REQUEST_new();
	AUTO_BUF der = { 0 };
	AUTO_BUF text = { 0 };
	AUTO_BUF back = { 0 };
	AUTO_BUF endless = { 0 };
	struct ocsp_request q;

	for (int i = 0; i < 20; i++)
		client_add(req, EVP_sha1(), issuer, serial_16, sizeof serial_16);
	client_nonce(req, octets, 128);
	client_der(&der, req);
	url(&text, &der, UPPER);
	CU_ASSERT_TRUE(text.n > 2000);
	CU_ASSERT_TRUE(ocsp_get_decode(&back, buf_str(&text), NULL) && span_equal(span_of(&back), span_of(&der)));
	CU_ASSERT_TRUE(parses(&back, &q) && q.n == 20 && q.nonce.n == 128);
	for (int i = 0; i <= 2 * OCSP_REQUEST_MAX; i++)
		buf_byte(&endless, 'A');
	CU_ASSERT_FALSE(ocsp_get_decode(&back, buf_str(&endless), NULL));
}

static const struct cu_case cases[] = {
	{ "refuses_every_truncation__OCSP_14", test_refuses_every_truncation__OCSP_14 },
	{ "refuses_trailing_octets__OCSP_14", test_refuses_trailing_octets__OCSP_14 },
	{ "refuses_garbage__OCSP_14", test_refuses_garbage__OCSP_14 },
	{ "refuses_a_wrong_version__OCSP_14", test_refuses_a_wrong_version__OCSP_14 },
	{ "one_to_twenty_requests__OCSP_13", test_one_to_twenty_requests__OCSP_13 },
	{ "nonce_lengths__OCSP_11__QRK_10", test_nonce_lengths__OCSP_11__QRK_10 },
	{ "nonce_vector__OCSP_11", test_nonce_vector__OCSP_11 },
	{ "refuses_a_nonce_that_is_none__OCSP_11", test_refuses_a_nonce_that_is_none__OCSP_11 },
	{ "refuses_two_nonces__OCSP_11", test_refuses_two_nonces__OCSP_11 },
	{ "unknown_extensions__OCSP_15", test_unknown_extensions__OCSP_15 },
	{ "unknown_extensions_of_one_certificate__OCSP_15", test_unknown_extensions_of_one_certificate__OCSP_15 },
	{ "requestor_and_signature_are_read_over__OCSP_15", test_requestor_and_signature_are_read_over__OCSP_15 },
	{ "hashes_and_their_lengths__OCSP_05", test_hashes_and_their_lengths__OCSP_05 },
	{ "refuses_other_parameters__OCSP_05", test_refuses_other_parameters__OCSP_05 },
	{ "a_hash_that_nobody_is_known_by__OCSP_06", test_a_hash_that_nobody_is_known_by__OCSP_06 },
	{ "serials__OCSP_14", test_serials__OCSP_14 },
	{ "mutations_against_openssl__OCSP_14", test_mutations_against_openssl__OCSP_14 },
	{ "get_in_every_spelling__OCSP_02", test_get_in_every_spelling__OCSP_02 },
	{ "get_with_a_folded_slash__OCSP_02", test_get_with_a_folded_slash__OCSP_02 },
	{ "get_refuses_what_is_no_base64__OCSP_02", test_get_refuses_what_is_no_base64__OCSP_02 },
	{ "get_that_is_long__OCSP_02", test_get_that_is_long__OCSP_02 },
};

CU_MAIN(cases)
