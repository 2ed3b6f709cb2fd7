/* SPDX-License-Identifier: Apache-2.0 */
#include "pkix/key.h"

#include "base/der.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

AUTO_DEFINE(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
AUTO_DEFINE(EVP_MD_CTX, EVP_MD_CTX_free)
AUTO_DEFINE(OSSL_PARAM_BLD, OSSL_PARAM_BLD_free)
AUTO_DEFINE(OSSL_PARAM, OSSL_PARAM_free)
AUTO_DEFINE(BIGNUM, BN_free)

enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = 8192, RSA_EXPONENT_BITS_MAX = 256 };

static const uint8_t oid_ec[] = { 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01 };
static const uint8_t oid_rsa[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01 };
static const uint8_t oid_ed25519[] = { 0x2b, 0x65, 0x70 };

static const struct curve {
	enum key_type type;
	const char *group, *word;
	unsigned bits, octets;
	uint8_t oid_n;
	uint8_t oid[8];
} curves[] = {
	{ KEY_P256, "P-256", "ecdsa-p256", 256, 32, 8, { 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 } },
	{ KEY_P384, "P-384", "ecdsa-p384", 384, 48, 5, { 0x2b, 0x81, 0x04, 0x00, 0x22 } },
	{ KEY_P521, "P-521", "ecdsa-p521", 521, 66, 5, { 0x2b, 0x81, 0x04, 0x00, 0x23 } },
};

static bool is(struct span oid, const uint8_t *want, size_t n)
{
	return oid.n == n && memcmp(oid.p, want, n) == 0;
}

static const struct curve *curve_of(enum key_type t)
{
	for (size_t i = 0; i < COUNT_OF(curves); i++)
		if (curves[i].type == t)
			return &curves[i];
	return NULL;
}

void key_name(const struct key_info *k, char *out, size_t size)
{
	const struct curve *c = curve_of(k->type);

	if (k->type == KEY_RSA)
		snprintf(out, size, "rsa-%u", k->bits);
	else
		snprintf(out, size, "%s", c != NULL ? c->word : "ed25519");
}

static bool parse_ec(struct key_info *out, struct der *params, struct err *e)
{
	const struct curve *c = NULL;
	struct span oid;

	if (der_peek(params) == DER_SEQUENCE)
		return err_set(e, ERR_BAD_KEY, "EC key with explicit parameters; use a named curve (P-256)");
	oid = der_span(params, DER_OID);
	if (!der_done(params))
		return err_set(e, ERR_BAD_KEY, "malformed EC key parameters");
	for (size_t i = 0; i < COUNT_OF(curves); i++)
		if (is(oid, curves[i].oid, curves[i].oid_n))
			c = &curves[i];
	if (c == NULL)
		return err_set(e, ERR_BAD_KEY, "EC key on a curve that is not accepted; use P-256, P-384 or P-521");
	if (out->point.n == 1 + c->octets && (out->point.p[0] == 2 || out->point.p[0] == 3))
		return err_set(e, ERR_BAD_KEY, "EC key with a compressed point; send it uncompressed");
	if (out->point.n == 1 && out->point.p[0] == 0)
		return err_set(e, ERR_BAD_KEY, "EC key that is the point at infinity; make a new key");
	if (out->point.n != 1 + 2 * (size_t)c->octets || out->point.p[0] != 4)
		return err_set(e, ERR_BAD_KEY, "EC key whose point is no uncompressed point of its curve");
	out->type = c->type;
	out->bits = c->bits;
	return true;
}

static bool positive(struct span s)
{
	return s.n != 0 && (s.p[0] & 0x80) == 0 && (s.n == 1 || s.p[0] != 0 || (s.p[1] & 0x80) != 0);
}

static unsigned bit_length(struct span n)
{
	unsigned bits;

	while (n.n != 0 && n.p[0] == 0)
		n.p++, n.n--;
	bits = (unsigned)n.n * 8;
	for (unsigned mask = 0x80; n.n != 0 && (n.p[0] & mask) == 0; mask >>= 1)
		bits--;
	return bits;
}

/* X509-35, what can be told without arithmetic. */
static bool parse_rsa(struct key_info *out, struct der *params, struct err *e)
{
	struct der bits = der_of_span(out->point), key = der_in(&bits, DER_SEQUENCE);
	struct span null = der_span(params, DER_NULL), n = der_span(&key, DER_INTEGER), x = der_span(&key, DER_INTEGER);

	if (!der_done(params) || null.n != 0 || !der_done(&key) || !der_done(&bits) || !positive(n) || !positive(x))
		return err_set(e, ERR_BAD_KEY, "malformed RSA key");
	out->type = KEY_RSA;
	out->bits = bit_length(n);
	if (out->bits < RSA_BITS_MIN || out->bits > RSA_BITS_MAX)
		return err_set(e, ERR_BAD_KEY, "RSA key of %u bits; use at least %d and at most %d (or an EC key on P-256)",
		               out->bits, RSA_BITS_MIN, RSA_BITS_MAX);
	if (out->bits % 8 != 0 || (n.p[n.n - 1] & 1) == 0)
		return err_set(e, ERR_BAD_KEY, "RSA modulus that is even or of %u bits, no whole octets", out->bits);
	/* The smallest odd number of 17 bits is 65537. */
	if (bit_length(x) < 17 || bit_length(x) > RSA_EXPONENT_BITS_MAX || (x.p[x.n - 1] & 1) == 0)
		return err_set(e, ERR_BAD_KEY, "RSA exponent that is even, below 65537 or too large; use 65537");
	return true;
}

bool key_parse(struct key_info *out, struct span spki, struct err *e)
{
	struct der d = der_of_span(spki), in = der_in(&d, DER_SEQUENCE), alg, params;
	struct span oid;

	*out = (struct key_info){ 0 };
	out->algorithm = der_whole(&in, DER_SEQUENCE);
	alg = der_of_span(out->algorithm);
	params = der_in(&alg, DER_SEQUENCE);
	oid = der_span(&params, DER_OID);
	out->point = der_bits(&in, NULL);
	if (!der_done(&in) || !der_done(&d) || params.bad)
		return err_set(e, ERR_BAD_KEY, "the public key is no SubjectPublicKeyInfo");
	if (is(oid, oid_ec, sizeof oid_ec))
		return parse_ec(out, &params, e);
	if (is(oid, oid_rsa, sizeof oid_rsa))
		return parse_rsa(out, &params, e);
	if (is(oid, oid_ed25519, sizeof oid_ed25519)) {
		out->type = KEY_ED25519;
		out->bits = 256;
		return (der_done(&params) && out->point.n == 32) || err_set(e, ERR_BAD_KEY, "malformed Ed25519 key");
	}
	return err_set(e, ERR_BAD_KEY, "key of a type that is not accepted; use EC (P-256), RSA or Ed25519");
}

static bool from_params(EVP_PKEY **out, const char *type, int selection, OSSL_PARAM *params, struct err *e)
{
	AUTO(EVP_PKEY_CTX) *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);

	if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 || EVP_PKEY_fromdata(ctx, out, selection, params) != 1) {
		ERR_clear_error();
		return err_set(e, ERR_BAD_KEY, "the public key is no valid %s key", type);
	}
	return true;
}

/* The curves, without a point: copying one costs a quarter of what OpenSSL takes to make a curve anew for each key. */
static EVP_PKEY *blank[COUNT_OF(curves)];
static pthread_once_t blank_once = PTHREAD_ONCE_INIT;

static void make_blank(void)
{
	for (size_t i = 0; i < COUNT_OF(curves); i++) {
		OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)curves[i].group, 0),
			                OSSL_PARAM_construct_end() };

		if (!from_params(&blank[i], "EC", EVP_PKEY_KEY_PARAMETERS, params, NULL))
			abort();
	}
}

static bool load_ec(EVP_PKEY **out, const struct key_info *k, struct err *e)
{
	AUTO(EVP_PKEY) *key = NULL;

	pthread_once(&blank_once, make_blank);
	key = EVP_PKEY_dup(blank[curve_of(k->type) - curves]);
	/* Decoding the point proves that it is on the curve and not infinity; these curves have cofactor 1, so n*Q = O
	 * follows (SP 800-56A, 5.6.2.3.3). */
	if (key == NULL || EVP_PKEY_set1_encoded_public_key(key, k->point.p, k->point.n) != 1) {
		ERR_clear_error();
		return err_set(e, ERR_BAD_KEY, "the public key is no valid EC key");
	}
	*out = TAKE(key);
	return true;
}

static bool load_rsa(EVP_PKEY **out, const struct key_info *k, struct err *e)
{
	struct der bits = der_of_span(k->point), key = der_in(&bits, DER_SEQUENCE);
	struct span n = der_span(&key, DER_INTEGER), x = der_span(&key, DER_INTEGER);
	AUTO(BIGNUM) *bn = BN_bin2bn(n.p, (int)n.n, NULL);
	AUTO(BIGNUM) *bx = BN_bin2bn(x.p, (int)x.n, NULL);
	AUTO(OSSL_PARAM_BLD) *bld = OSSL_PARAM_BLD_new();
	AUTO(OSSL_PARAM) *params = NULL;

	if (bn == NULL || bx == NULL || bld == NULL || OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, bn) != 1 ||
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, bx) != 1 ||
	    (params = OSSL_PARAM_BLD_to_param(bld)) == NULL)
		return err_set(e, ERR_INTERNAL, "RSA key");
	return from_params(out, "RSA", EVP_PKEY_PUBLIC_KEY, params, e);
}

bool key_load(EVP_PKEY **out, const struct key_info *k, struct err *e)
{
	*out = NULL;
	switch (k->type) {
	case KEY_RSA:
		return load_rsa(out, k, e);
	case KEY_ED25519:
		*out = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, k->point.p, k->point.n);
		return *out != NULL || err_set(e, ERR_BAD_KEY, "the public key is no valid Ed25519 key");
	default:
		return load_ec(out, k, e);
	}
}

static void digest(const EVP_MD *md, uint8_t *out, const void *p, size_t n)
{
	if (EVP_Digest(p, n, out, NULL, md, NULL) != 1)
		abort();
}

/* Looked up once: it is asked for several times a certificate. */
static EVP_MD *sha256;
static pthread_once_t sha256_once = PTHREAD_ONCE_INIT;

static void fetch_sha256(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (sha256 == NULL)
		abort();
}

void digest_sha256(uint8_t out[32], const void *p, size_t n)
{
	pthread_once(&sha256_once, fetch_sha256);
	digest(sha256, out, p, n);
}

void digest_sha384(uint8_t out[48], const void *p, size_t n)
{
	digest(EVP_sha384(), out, p, n);
}

void digest_sha1(uint8_t out[20], const void *p, size_t n)
{
	digest(EVP_sha1(), out, p, n);
}

void key_ski(const struct key_info *k, uint8_t out[20])
{
	uint8_t full[32];

	digest_sha256(full, k->point.p, k->point.n);
	memcpy(out, full, 20);
}

/* --- Signature algorithms */

static const struct algorithm {
	enum sig_alg alg;
	const char *digest;
	uint8_t n;
	uint8_t der[16]; /* the AlgorithmIdentifier, whole */
} algorithms[] = {
	{ SIG_ECDSA_SHA256, "SHA256", 12, { 0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02 } },
	{ SIG_ECDSA_SHA384, "SHA384", 12, { 0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03 } },
	{ SIG_ECDSA_SHA512, "SHA512", 12, { 0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04 } },
	{ SIG_ED25519, NULL, 7, { 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70 } },
	{ SIG_RSA_SHA256, "SHA256", 15, { 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00 } },
	{ SIG_RSA_SHA384, "SHA384", 15, { 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c, 0x05, 0x00 } },
	{ SIG_RSA_SHA512, "SHA512", 15, { 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d, 0x05, 0x00 } },
};

/* Those that people still send, to be named in the refusal. */
static const struct {
	const char *name, *oid;
} refused[] = {
	{ "SHA-1 with RSA", "1.2.840.113549.1.1.5" }, { "MD5 with RSA", "1.2.840.113549.1.1.4" },
	{ "SHA-1 with ECDSA", "1.2.840.10045.4.1" },  { "RSA-PSS", "1.2.840.113549.1.1.10" },
	{ "SHA-224 with RSA", "1.2.840.113549.1.1.14" }, { "SHA-224 with ECDSA", "1.2.840.10045.4.3.1" },
};

static const struct algorithm *algorithm(enum sig_alg a)
{
	for (size_t i = 0; i < COUNT_OF(algorithms); i++)
		if (algorithms[i].alg == a)
			return &algorithms[i];
	abort();
}

enum sig_alg sig_alg_of(enum key_type t)
{
	switch (t) {
	case KEY_P384:
		return SIG_ECDSA_SHA384;
	case KEY_P521:
		return SIG_ECDSA_SHA512;
	case KEY_ED25519:
		return SIG_ED25519;
	case KEY_RSA:
		return SIG_RSA_SHA256;
	default:
		return SIG_ECDSA_SHA256;
	}
}

void sig_alg_der(struct buf *out, enum sig_alg a)
{
	buf_add(out, algorithm(a)->der, algorithm(a)->n);
}

const char *sig_alg_digest(enum sig_alg a)
{
	return algorithm(a)->digest;
}

bool sig_alg_parse(enum sig_alg *out, struct span whole, struct err *e)
{
	struct der d = der_of_span(whole), in = der_in(&d, DER_SEQUENCE);
	struct span oid = der_span(&in, DER_OID);
	char text[80];

	for (size_t i = 0; i < COUNT_OF(algorithms); i++) {
		if (is(whole, algorithms[i].der, algorithms[i].n)) {
			*out = algorithms[i].alg;
			return true;
		}
	}
	if (in.bad || !der_oid_text(oid, text, sizeof text))
		return err_set(e, ERR_BAD_CSR, "malformed signature algorithm");
	for (size_t i = 0; i < COUNT_OF(refused); i++)
		if (strcmp(refused[i].oid, text) == 0)
			return err_set(e, ERR_BAD_CSR, "signed with %s, which is not accepted; sign with SHA-256",
			               refused[i].name);
	return err_set(e, ERR_BAD_CSR, "signature algorithm %s with these parameters is not accepted; sign with SHA-256",
	               text);
}

bool sig_verify(EVP_PKEY *key, enum sig_alg a, struct span tbs, struct span sig, struct err *e)
{
	AUTO(EVP_MD_CTX) *ctx = EVP_MD_CTX_new();
	const char *md = sig_alg_digest(a);

	if (ctx == NULL)
		return err_set(e, ERR_INTERNAL, "digest context");
	if (EVP_DigestVerifyInit_ex(ctx, NULL, md, NULL, NULL, key, NULL) != 1 ||
	    EVP_DigestVerify(ctx, sig.p, sig.n, tbs.p, tbs.n) != 1) {
		ERR_clear_error();
		return err_set(e, ERR_BAD_CSR, "the signature does not hold");
	}
	return true;
}
