/* SPDX-License-Identifier: Apache-2.0 */
#include "pkix/csr.h"

#include "tests/cu.h"

#include "tests/unit/pkix_make.h"

#include <openssl/x509v3.h>

#define OID_MS_EXTENSION_REQUEST "1.3.6.1.4.1.311.2.1.14"

static struct csr parsed;

/* Parses an exact heap copy, so that the sanitizer sees a read behind the end. The spans are dead afterwards. */
static bool parse(const struct buf *der, struct err *e)
{
	uint8_t *copy = mem_dup(der->p, der->n);
	bool good = csr_parse(&parsed, copy, der->n, e);

	free(copy);
	return good;
}

static void refuse(const struct buf *der, enum err_kind kind, const char *word)
{
	struct err e = { 0 };

	CU_ASSERT_FALSE(parse(der, &e));
	if (e.kind != kind || strstr(e.text, word) == NULL)
		printf("\n  %s '%s', wanted %s '%s'\n", err_kind_name(e.kind), e.text, err_kind_name(kind), word);
	CU_ASSERT_EQUAL(e.kind, kind);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, word));
}

static void refuse_made(const struct make_csr *m, enum err_kind kind, const char *word)
{
	AUTO_BUF der = { 0 };

	make_csr(&der, m);
	refuse(&der, kind, word);
}

/* A request of P-256 whose [0] holds these attributes. */
static void with_attributes(struct buf *out, const struct buf *attributes)
{
	out->n = 0;
	make_csr(out, &(struct make_csr){ .key = make_key(MAKE_P256), .attributes = attributes });
}

static void with_extensions(struct buf *out, const struct buf *extensions)
{
	AUTO_BUF attributes = { 0 };

	make_extension_request(&attributes, OID_EXTENSION_REQUEST, extensions);
	with_attributes(out, &attributes);
}

/* What OpenSSL makes for a device, of every type of key. */
static void openssl_csr(struct buf *out, EVP_PKEY *key, const char *san)
{
	X509_REQ *req = X509_REQ_new();
	X509_NAME *name = X509_NAME_new();
	STACK_OF(X509_EXTENSION) *list = NULL;
	unsigned char *der = NULL;
	int n;

	X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8, (const uint8_t *)"St. Hedwig", -1, -1, 0);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const uint8_t *)"pump-7", -1, -1, 0);
	CU_ASSERT_TRUE_FATAL(X509_REQ_set_subject_name(req, name) == 1 && X509_REQ_set_pubkey(req, key) == 1 &&
	                     X509_REQ_set_version(req, X509_REQ_VERSION_1) == 1);
	if (san != NULL) {
		X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);

		CU_ASSERT_PTR_NOT_NULL_FATAL(ext);
		X509v3_add_ext(&list, ext, -1);
		CU_ASSERT_EQUAL_FATAL(X509_REQ_add_extensions(req, list), 1);
		X509_EXTENSION_free(ext);
		sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
	}
	CU_ASSERT_TRUE_FATAL(
		X509_REQ_sign(req, key, EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519 ? NULL : EVP_sha256()) > 0);
	n = i2d_X509_REQ(req, &der);
	CU_ASSERT_TRUE_FATAL(n > 0);
	buf_add(out, der, (size_t)n);
	OPENSSL_free(der);
	X509_NAME_free(name);
	X509_REQ_free(req);
}

static void test_requests_of_openssl__X509_34(void)
{
	for (int i = 0; i < MAKE_KEYS; i++) {
		AUTO_BUF der = { 0 };
		AUTO_BUF spki = { 0 };
		struct err e = { 0 };
		char text[80];

		openssl_csr(&der, make_key((enum make_key)i), "DNS:Pump-7.Example,IP:192.0.2.7,IP:2001:db8::7,email:n@a.example");
		make_spki(&spki, make_key((enum make_key)i));
		CU_ASSERT_TRUE_FATAL(csr_parse(&parsed, der.p, der.n, &e));
		CU_ASSERT_TRUE(csr_verify(&parsed, &e));
		CU_ASSERT_TRUE(span_equal(parsed.spki, span_of(&spki)));
		dn_text(&parsed.dn, text, sizeof text);
		CU_ASSERT_STRING_EQUAL(text, "O=St. Hedwig,CN=pump-7");
		CU_ASSERT_TRUE(parsed.has_san && parsed.san.n == 4);
		CU_ASSERT_STRING_EQUAL(parsed.san.v[0].value, "pump-7.example"); /* lower-cased */
		CU_ASSERT_EQUAL(parsed.ext_n, 1);
		CU_ASSERT_FALSE(parsed.asks_ca || parsed.asks_constraints || parsed.asks_policies || parsed.has_challenge);
	}
}

static void test_a_flipped_bit_never_verifies__X509_34(void)
{
	static const enum make_key which[] = { MAKE_P256, MAKE_ED25519, MAKE_RSA2048 };

	for (size_t k = 0; k < 3; k++) {
		AUTO_BUF der = { 0 };

		openssl_csr(&der, make_key(which[k]), "DNS:pump-7.example");
		for (size_t i = 0; i < der.n; i++) {
			uint8_t *copy = mem_dup(der.p, der.n);
			struct err e = { 0 };

			copy[i] ^= (uint8_t)(1 << i % 8);
			CU_ASSERT_FALSE(csr_parse(&parsed, copy, der.n, &e) && csr_verify(&parsed, &e));
			CU_ASSERT_TRUE(e.kind == ERR_BAD_CSR || e.kind == ERR_BAD_KEY || e.kind == ERR_BAD_NAME);
			CU_ASSERT_NOT_EQUAL(e.text[0], 0);
			free(copy);
		}
	}
}

static void test_signature_of_another_key__X509_34(void)
{
	AUTO_BUF der = { 0 };
	AUTO_BUF spki = { 0 };
	struct err e = { 0 };

	make_spki(&spki, make_key(MAKE_P256_OTHER));
	make_csr(&der, &(struct make_csr){ .key = make_key(MAKE_P256), .spki = &spki });
	CU_ASSERT_TRUE_FATAL(csr_parse(&parsed, der.p, der.n, &e));
	CU_ASSERT_FALSE(csr_verify(&parsed, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_BAD_CSR);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "signed by the key"));
	/* An empty signature, and one of another kind of key */
	spki.n = der.n = 0;
	make_spki(&spki, make_key(MAKE_ED25519));
	refuse_made(&(struct make_csr){ .key = make_key(MAKE_P256), .spki = &spki }, ERR_BAD_CSR, "kind of key");
	spki.n = 0;
	make_spki(&spki, make_key(MAKE_RSA2048));
	refuse_made(&(struct make_csr){ .key = make_key(MAKE_ED25519), .spki = &spki }, ERR_BAD_CSR, "kind of key");
}

static void test_cut_and_continued(void)
{
	AUTO_BUF der = { 0 };

	openssl_csr(&der, make_key(MAKE_P256), "DNS:pump-7.example");
	for (size_t n = 0; n < der.n; n++) {
		struct buf cut = { der.p, n, n };

		refuse(&cut, ERR_BAD_CSR, "");
	}
	buf_byte(&der, 0);
	refuse(&der, ERR_BAD_CSR, "1 bytes after the request");
	der.n--;
	buf_reserve(&der, der.n);
	buf_add(&der, der.p, der.n);
	refuse(&der, ERR_BAD_CSR, "after the request");
}

static void test_too_large(void)
{
	AUTO_BUF der = { 0 };
	AUTO_BUF attributes = { 0 };
	size_t mark = der_begin(&attributes, DER_SEQUENCE), set;
	static uint8_t filler[CSR_MAX];

	make_oid(&attributes, "1.2.3.4");
	set = der_begin(&attributes, DER_SET);
	der_put(&attributes, DER_OCTETS, filler, sizeof filler);
	der_end(&attributes, set);
	der_end(&attributes, mark);
	with_attributes(&der, &attributes);
	refuse(&der, ERR_BAD_CSR, "limit 32768");
}

static void test_weak_algorithms_are_named__X509_04(void)
{
	static const struct {
		const char *md, *alg, *word;
		enum make_key key;
	} rows[] = {
		{ "SHA1", "300d06092a864886f70d0101050500", "SHA-1", MAKE_RSA2048 },
		{ "MD5", "300d06092a864886f70d0101040500", "MD5", MAKE_RSA2048 },
		{ "SHA224", "300d06092a864886f70d01010e0500", "SHA-224", MAKE_RSA2048 },
		{ "SHA1", "300906072a8648ce3d0401", "SHA-1", MAKE_P256 },
		{ "SHA256", "300d06092a864886f70d01010a3000", "RSA-PSS", MAKE_RSA2048 },
		{ "SHA256", "300b06092a864886f70d01010b", "these parameters", MAKE_RSA2048 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint8_t octets[32];
		struct buf alg = { octets, 0, sizeof octets };

		CU_ASSERT_TRUE_FATAL(hex_get(rows[i].alg, octets, sizeof octets, &alg.n));
		refuse_made(&(struct make_csr){ .key = make_key(rows[i].key), .md = rows[i].md, .alg = &alg }, ERR_BAD_CSR,
		            rows[i].word);
	}
}

static void test_weak_keys_say_what_to_use__X509_35__X509_36(void)
{
	AUTO(EVP_PKEY) *small = EVP_RSA_gen(1024);
	AUTO(EVP_PKEY) *koblitz = EVP_EC_gen("secp256k1");
	AUTO(EVP_PKEY) *explicit = EVP_EC_gen("P-256");

	refuse_made(&(struct make_csr){ .key = small }, ERR_BAD_KEY, "use at least 2048");
	if (koblitz != NULL)
		refuse_made(&(struct make_csr){ .key = koblitz }, ERR_BAD_KEY, "use P-256");
	CU_ASSERT_EQUAL(EVP_PKEY_set_utf8_string_param(explicit, "encoding", "explicit"), 1);
	refuse_made(&(struct make_csr){ .key = explicit }, ERR_BAD_KEY, "named curve");
}

static void test_version_and_subject_refused(void)
{
	AUTO_BUF bad = { 0 };

	for (int v = 1; v < 4; v++)
		refuse_made(&(struct make_csr){ .key = make_key(MAKE_P256), .version = v }, ERR_BAD_CSR, "version");
	refuse_made(&(struct make_csr){ .key = make_key(MAKE_P256), .subject = &bad }, ERR_BAD_CSR, "subject");
	buf_add(&bad, "\x30\x0c\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x0c\x01\x00", 14);
	refuse_made(&(struct make_csr){ .key = make_key(MAKE_P256), .subject = &bad }, ERR_BAD_NAME, "CN");
}

/* The octets of every SEQUENCE length made indefinite or long. */
static void test_lengths_other_than_der_refused(void)
{
	AUTO_BUF der = { 0 };
	struct buf out;

	with_attributes(&der, NULL);
	out = (struct buf){ 0 };
	buf_add(&out, "\x30\x80", 2);
	CU_ASSERT_TRUE_FATAL(der.p[1] == 0x81);
	buf_add(&out, der.p + 3, der.n - 3);
	buf_add(&out, "\0\0", 2);
	refuse(&out, ERR_BAD_CSR, "");
	out.n = 0;
	buf_add(&out, "\x30\x82\x00", 3);
	buf_add(&out, der.p + 2, der.n - 2);
	refuse(&out, ERR_BAD_CSR, "");
	out.n = 0;
	buf_add(&out, "\x30\x85\0\0\0\0", 6);
	buf_add(&out, der.p + 2, der.n - 2);
	refuse(&out, ERR_BAD_CSR, "");
	out.n = 0;
	buf_add(&out, "\x3f\x81", 2);
	buf_add(&out, der.p + 2, der.n - 2);
	refuse(&out, ERR_BAD_CSR, "");
	buf_free(&out);
}

static void test_extensions_twice_refused__X509_33(void)
{
	AUTO_BUF der = { 0 };
	AUTO_BUF ext = { 0 };
	AUTO_BUF two = { 0 };

	make_san_dns(&ext, "pump-7.example");
	make_san_dns(&ext, "pump-8.example");
	with_extensions(&der, &ext);
	refuse(&der, ERR_BAD_CSR, "twice");
	/* Twice the attribute, the standard's and Microsoft's form together, two values in one */
	ext.n = 0;
	make_san_dns(&ext, "pump-7.example");
	make_extension_request(&two, OID_EXTENSION_REQUEST, &ext);
	make_extension_request(&two, OID_EXTENSION_REQUEST, &ext);
	with_attributes(&der, &two);
	refuse(&der, ERR_BAD_CSR, "twice");
	two.n = 0;
	make_extension_request(&two, OID_EXTENSION_REQUEST, &ext);
	make_extension_request(&two, OID_MS_EXTENSION_REQUEST, &ext);
	with_attributes(&der, &two);
	refuse(&der, ERR_BAD_CSR, "two extension requests");
	two.n = 0;
	size_t one = der_begin(&two, DER_SEQUENCE), set;

	make_oid(&two, OID_EXTENSION_REQUEST);
	set = der_begin(&two, DER_SET);
	der_put(&two, DER_SEQUENCE, ext.p, ext.n);
	der_put(&two, DER_SEQUENCE, ext.p, ext.n);
	der_end(&two, set);
	der_end(&two, one);
	with_attributes(&der, &two);
	refuse(&der, ERR_BAD_CSR, "extensionRequest");
}

static void attribute(struct buf *out, const char *oid, const char *text)
{
	size_t one = der_begin(out, DER_SEQUENCE), set;

	make_oid(out, oid);
	set = der_begin(out, DER_SET);
	if (text != NULL)
		der_put(out, DER_UTF8, text, strlen(text));
	der_end(out, set);
	der_end(out, one);
}

static void test_attributes_refused(void)
{
	AUTO_BUF der = { 0 };
	AUTO_BUF a = { 0 };
	char oid[32];

	attribute(&a, OID_CHALLENGE_PASSWORD, "secret");
	attribute(&a, OID_CHALLENGE_PASSWORD, "secret");
	with_attributes(&der, &a);
	refuse(&der, ERR_BAD_CSR, "twice");
	a.n = 0;
	attribute(&a, "1.2.3.4", NULL); /* a SET without a value */
	with_attributes(&der, &a);
	refuse(&der, ERR_BAD_CSR, "attribute");
	a.n = 0;
	buf_add(&a, "\x30\x02\x06\x00", 4);
	with_attributes(&der, &a);
	refuse(&der, ERR_BAD_CSR, "attribute");
	a.n = 0;
	buf_add(&a, "\x02\x01\x00", 3);
	with_attributes(&der, &a);
	refuse(&der, ERR_BAD_CSR, "attribute");
	a.n = 0;
	for (int i = 0; i < 17; i++) {
		snprintf(oid, sizeof oid, "1.2.3.%d", i);
		attribute(&a, oid, "x");
	}
	with_attributes(&der, &a);
	refuse(&der, ERR_BAD_CSR, "too many attributes");
}

static void test_malformed_extensions_refused__X509_33(void)
{
	static const struct {
		const char *der;
		size_t n;
		const char *word;
	} rows[] = {
#define BAD(s, word) { s, sizeof s - 1, word }
		BAD("", "extensionRequest"), BAD("\x05\x00", "extension"), BAD("\x30\x00", "extension"),
		BAD("\x30\x05\x06\x03\x55\x1d\x11", "extension"),                                        /* no value */
		BAD("\x30\x09\x06\x00\x04\x05\x30\x03\x82\x01\x61", "extension"),                        /* empty OID */
		BAD("\x30\x0a\x06\x01\x80\x04\x05\x30\x03\x82\x01\x61", "extension"),                    /* no OID */
		BAD("\x30\x0f\x06\x03\x55\x1d\x11\x01\x01\x00\x04\x05\x30\x03\x82\x01\x61", "critical"),
		BAD("\x30\x0f\x06\x03\x55\x1d\x11\x01\x01\x01\x04\x05\x30\x03\x82\x01\x61", "critical"), /* BER's TRUE */
		BAD("\x30\x0c\x06\x03\x55\x1d\x11\x03\x05\x30\x03\x82\x01\x61", "extension"),
		BAD("\x30\x0e\x06\x03\x55\x1d\x11\x04\x05\x30\x03\x82\x01\x61\x05\x00", "extension"),
		BAD("\x30\x0e\x06\x03\x55\x1d\x11\x04\x07\x30\x03\x82\x01\x61\x05\x00", "subjectAltName"),
		BAD("\x30\x0c\x06\x03\x55\x1d\x13\x04\x05\x30\x03\x0c\x01\x61", "basicConstraints"),
		BAD("\x30\x0a\x06\x03\x55\x1d\x0f\x04\x03\x03\x01\x08", "keyUsage"),
		BAD("\x30\x0b\x06\x03\x55\x1d\x0f\x04\x04\x03\x02\x07\x01", "keyUsage"),  /* unused bits that are set */
		BAD("\x30\x09\x06\x03\x55\x1d\x25\x04\x02\x30\x00", "extendedKeyUsage"),
		BAD("\x30\x0c\x06\x03\x55\x1d\x25\x04\x05\x30\x03\x0c\x01\x61", "extendedKeyUsage"),
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		AUTO_BUF ext = { 0 };
		AUTO_BUF der = { 0 };

		buf_add(&ext, rows[i].der, rows[i].n);
		with_extensions(&der, &ext);
		refuse(&der, ERR_BAD_CSR, rows[i].word);
	}
}

static void test_names_in_requests_refused__X509_30__X509_31(void)
{
	AUTO_BUF der = { 0 };
	AUTO_BUF ext = { 0 };
	AUTO_BUF names = { 0 };
	size_t mark;

	make_san_dns(&ext, "pump_7.example");
	with_extensions(&der, &ext);
	refuse(&der, ERR_BAD_NAME, "pump_7.example");
	ext.n = 0;
	make_san_dns(&ext, "pump-7.example.");
	with_extensions(&der, &ext);
	refuse(&der, ERR_BAD_NAME, "pump-7.example.");
	ext.n = 0;
	EXTENSION(&ext, OID_EXT_SAN, false, "\x30\x04\xa4\x02\x30\x00");
	with_extensions(&der, &ext);
	refuse(&der, ERR_BAD_NAME, "[4]");
	ext.n = 0;
	EXTENSION(&ext, OID_EXT_SAN, false, "\x30\x00");
	with_extensions(&der, &ext);
	refuse(&der, ERR_BAD_NAME, "empty");
	ext.n = 0;
	mark = der_begin(&names, DER_SEQUENCE);
	for (int i = 0; i < 101; i++) {
		char name[32];

		snprintf(name, sizeof name, "n%d.example", i);
		der_put(&names, DER_CONTEXT | 2, name, strlen(name));
	}
	der_end(&names, mark);
	make_extension(&ext, OID_EXT_SAN, false, names.p, names.n);
	with_extensions(&der, &ext);
	refuse(&der, ERR_BAD_NAME, "more than 100");
}

struct wish {
	const char *oid, *value;
	size_t n;
	bool ca, constraints, policies;
};

/* What a leaf must not ask for is told, not hidden: policy refuses it. */
static void test_wishes_of_an_authority_are_seen__X509_33(void)
{
	static const struct wish rows[] = {
#define WISH(oid, v, ...) { oid, v, sizeof v - 1, __VA_ARGS__ }
		WISH(OID_EXT_BASIC_CONSTRAINTS, "\x30\x03\x01\x01\xff", true, false, false),
		WISH(OID_EXT_BASIC_CONSTRAINTS, "\x30\x06\x01\x01\xff\x02\x01\x00", true, false, false),
		WISH(OID_EXT_BASIC_CONSTRAINTS, "\x30\x00", false, false, false),
		WISH(OID_EXT_BASIC_CONSTRAINTS, "\x30\x03\x01\x01\x00", false, false, false),
		WISH(OID_EXT_KEY_USAGE, "\x03\x02\x02\x04", true, false, false),     /* keyCertSign */
		WISH(OID_EXT_KEY_USAGE, "\x03\x02\x01\x02", true, false, false),     /* cRLSign */
		WISH(OID_EXT_KEY_USAGE, "\x03\x02\x01\x86", true, false, false),
		WISH(OID_EXT_KEY_USAGE, "\x03\x02\x05\xa0", false, false, false),
		WISH(OID_EXT_KEY_USAGE, "\x03\x03\x07\x00\x80", false, false, false), /* decipherOnly */
		WISH(OID_EXT_NAME_CONSTRAINTS, "\x30\x00", false, true, false),
		WISH(OID_EXT_POLICY_CONSTRAINTS, "\x30\x00", false, true, false),
		WISH("2.5.29.54", "\x02\x01\x00", false, true, false),               /* inhibitAnyPolicy */
		WISH(OID_EXT_POLICIES, "\x30\x00", false, false, true),
		WISH("2.5.29.33", "\x30\x00", false, false, true),                   /* policyMappings */
		WISH("1.3.6.1.4.1.311.20.2", "\x1e\x00", false, false, false),
	};
	static const char *const forms[] = { OID_EXTENSION_REQUEST, OID_MS_EXTENSION_REQUEST };

	for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
		const struct wish *w = &rows[i / 2];
		AUTO_BUF ext = { 0 };
		AUTO_BUF a = { 0 };
		AUTO_BUF der = { 0 };
		AUTO_BUF oid = { 0 };
		struct err e = { 0 };

		make_extension(&ext, w->oid, true, w->value, w->n);
		make_extension_request(&a, forms[i % 2], &ext);
		with_attributes(&der, &a);
		CU_ASSERT_TRUE_FATAL(csr_parse(&parsed, der.p, der.n, &e));
		CU_ASSERT_TRUE(csr_verify(&parsed, &e));
		CU_ASSERT_TRUE(parsed.asks_ca == w->ca && parsed.asks_constraints == w->constraints &&
		               parsed.asks_policies == w->policies);
		make_oid(&oid, w->oid);
		CU_ASSERT_TRUE(parsed.ext_n == 1 && parsed.ext_oid[0].n == oid.n - 2 &&
		               memcmp(parsed.ext_oid[0].p, oid.p + 2, oid.n - 2) == 0);
	}
}

static void test_what_is_asked_is_kept__X509_33(void)
{
	AUTO_BUF der = { 0 };
	AUTO_BUF ext = { 0 };
	AUTO_BUF a = { 0 };
	struct err e = { 0 };
	char oid[32];

	make_eku(&ext, OID_CLIENT_AUTH);
	make_san_dns(&ext, "PUMP-7.example");
	attribute(&a, OID_CHALLENGE_PASSWORD, "secret");
	attribute(&a, "1.3.6.1.4.1.311.13.2.3", "10.0.19045.2"); /* what Windows adds */
	make_extension_request(&a, OID_EXTENSION_REQUEST, &ext);
	with_attributes(&der, &a);
	CU_ASSERT_TRUE_FATAL(csr_parse(&parsed, der.p, der.n, &e));
	CU_ASSERT_TRUE(parsed.has_challenge && parsed.has_san && parsed.eku.n == 12 && parsed.ext_n == 2);
	CU_ASSERT_STRING_EQUAL(parsed.san.v[0].value, "pump-7.example");
	/* Nothing of it is left in the next one. */
	der.n = 0;
	make_csr(&der, &(struct make_csr){ .key = make_key(MAKE_P256), .without_attributes = true });
	CU_ASSERT_TRUE_FATAL(csr_parse(&parsed, der.p, der.n, &e));
	CU_ASSERT_FALSE(parsed.has_challenge || parsed.has_san || parsed.eku.n != 0 || parsed.ext_n != 0 || parsed.san.n != 0);
	ext.n = 0;
	for (int i = 0; i <= CSR_EXT_MAX; i++) {
		snprintf(oid, sizeof oid, "1.2.3.%d", i);
		EXTENSION(&ext, oid, false, "\x05\x00");
	}
	with_extensions(&der, &ext);
	refuse(&der, ERR_BAD_CSR, "too many");
}

static void test_empty_subject_is_read__X509_11(void)
{
	AUTO_BUF subject = { 0 };
	AUTO_BUF der = { 0 };

	buf_add(&subject, "\x30\x00", 2);
	make_csr(&der, &(struct make_csr){ .key = make_key(MAKE_P256), .subject = &subject });
	CU_ASSERT_TRUE(csr_parse(&parsed, der.p, der.n, NULL) && parsed.dn.n == 0 && parsed.subject.n == 2);
	make_free();
}

static const struct cu_case table[] = {
	{ "test_a_flipped_bit_never_verifies__X509_34", test_a_flipped_bit_never_verifies__X509_34 },
	{ "test_signature_of_another_key__X509_34", test_signature_of_another_key__X509_34 },
	{ "test_cut_and_continued", test_cut_and_continued },
	{ "test_too_large", test_too_large },
	{ "test_weak_algorithms_are_named__X509_04", test_weak_algorithms_are_named__X509_04 },
	{ "test_weak_keys_say_what_to_use__X509_35__X509_36", test_weak_keys_say_what_to_use__X509_35__X509_36 },
	{ "test_version_and_subject_refused", test_version_and_subject_refused },
	{ "test_lengths_other_than_der_refused", test_lengths_other_than_der_refused },
	{ "test_extensions_twice_refused__X509_33", test_extensions_twice_refused__X509_33 },
	{ "test_attributes_refused", test_attributes_refused },
	{ "test_malformed_extensions_refused__X509_33", test_malformed_extensions_refused__X509_33 },
	{ "test_names_in_requests_refused__X509_30__X509_31", test_names_in_requests_refused__X509_30__X509_31 },
	{ "test_requests_of_openssl__X509_34", test_requests_of_openssl__X509_34 },
	{ "test_wishes_of_an_authority_are_seen__X509_33", test_wishes_of_an_authority_are_seen__X509_33 },
	{ "test_what_is_asked_is_kept__X509_33", test_what_is_asked_is_kept__X509_33 },
	{ "test_empty_subject_is_read__X509_11", test_empty_subject_is_read__X509_11 },
};

CU_MAIN(table)
