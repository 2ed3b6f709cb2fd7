/* SPDX-License-Identifier: Apache-2.0
 *
 * An ACME client's side for tests: keys as JWK, and JWS signed by OpenSSL, every part of which can be another. */
#ifndef CADUCEUS_TESTS_ACME_MAKE_H
#define CADUCEUS_TESTS_ACME_MAKE_H

#include "tests/cu.h"
#include "tests/unit/pkix_make.h"

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/hmac.h>

MAKE void make_b64url(struct buf *out, const void *p, size_t n)
{
	b64url_put(out, p, n);
}

MAKE void make_number(struct buf *out, EVP_PKEY *key, const char *param, int octets)
{
	uint8_t raw[1024];
	BIGNUM *n = NULL;

	CU_ASSERT_TRUE_FATAL(EVP_PKEY_get_bn_param(key, param, &n) == 1);
	if (octets == 0)
		octets = BN_num_bytes(n);
	CU_ASSERT_TRUE_FATAL(BN_bn2binpad(n, raw, octets) == octets);
	BN_free(n);
	make_b64url(out, raw, (size_t)octets);
}

MAKE int make_curve_octets(EVP_PKEY *key)
{
	return (EVP_PKEY_get_bits(key) + 7) / 8;
}

/* The members of a public JWK, as a client would write them: no blank, "kty" first. */
MAKE void make_jwk(struct buf *out, EVP_PKEY *key)
{
	uint8_t raw[32];
	size_t n = sizeof raw;

	if (EVP_PKEY_is_a(key, "RSA")) {
		buf_text(out, "{\"kty\":\"RSA\",\"n\":\"");
		make_number(out, key, OSSL_PKEY_PARAM_RSA_N, 0);
		buf_text(out, "\",\"e\":\"");
		make_number(out, key, OSSL_PKEY_PARAM_RSA_E, 0);
	} else if (EVP_PKEY_is_a(key, "ED25519")) {
		CU_ASSERT_TRUE_FATAL(EVP_PKEY_get_raw_public_key(key, raw, &n) == 1);
		buf_text(out, "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"");
		make_b64url(out, raw, n);
	} else {
		int octets = make_curve_octets(key);

		buf_printf(out, "{\"kty\":\"EC\",\"crv\":\"%s\",\"x\":\"", octets == 32 ? "P-256" : octets == 48 ? "P-384" : "P-521");
		make_number(out, key, OSSL_PKEY_PARAM_EC_PUB_X, octets);
		buf_text(out, "\",\"y\":\"");
		make_number(out, key, OSSL_PKEY_PARAM_EC_PUB_Y, octets);
	}
	buf_text(out, "\"}");
}

MAKE const char *make_jws_alg(EVP_PKEY *key)
{
	return EVP_PKEY_is_a(key, "RSA") ? "RS256" : EVP_PKEY_is_a(key, "ED25519") ? "EdDSA"
	       : make_curve_octets(key) == 32 ? "ES256" : make_curve_octets(key) == 48 ? "ES384" : "ES512";
}

/* The signature as a JWS has it. */
MAKE void make_signature(struct buf *out, EVP_PKEY *key, const char *alg, struct span input)
{
	uint8_t sig[1024], raw[132];
	size_t n = sizeof sig;
	const uint8_t *p = sig;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	const char *md = strcmp(alg, "EdDSA") == 0 ? NULL : strcmp(alg, "ES384") == 0 ? "SHA384" : strcmp(alg, "ES512") == 0 ? "SHA512" : "SHA256";
	int octets = make_curve_octets(key);
	ECDSA_SIG *rs;

	CU_ASSERT_TRUE_FATAL(EVP_DigestSignInit_ex(ctx, NULL, md, NULL, NULL, key, NULL) == 1 &&
	                     EVP_DigestSign(ctx, sig, &n, input.p, input.n) == 1);
	EVP_MD_CTX_free(ctx);
	if (!EVP_PKEY_is_a(key, "EC")) {
		buf_add(out, sig, n);
		return;
	}
	rs = d2i_ECDSA_SIG(NULL, &p, (long)n);
	CU_ASSERT_TRUE_FATAL(BN_bn2binpad(ECDSA_SIG_get0_r(rs), raw, octets) == octets &&
	                     BN_bn2binpad(ECDSA_SIG_get0_s(rs), raw + octets, octets) == octets);
	ECDSA_SIG_free(rs);
	buf_add(out, raw, 2 * (size_t)octets);
}

/* {"protected":…,"payload":…,"signature":…} of a header's text and a payload, signed with key by alg; with mac set by
 * HMAC with SHA-256 under it. */
MAKE void make_jws(struct buf *out, const char *header, const char *payload, EVP_PKEY *key, const char *mac)
{
	AUTO_BUF input = { 0 };
	AUTO_BUF signature = { 0 };
	size_t dot;
	uint8_t md[32];
	unsigned n = sizeof md;

	b64url_put(&input, header, strlen(header));
	dot = input.n;
	buf_byte(&input, '.');
	b64url_put(&input, payload, strlen(payload));
	if (mac != NULL) {
		HMAC(EVP_sha256(), mac, (int)strlen(mac), input.p, input.n, md, &n);
		buf_add(&signature, md, n);
	} else {
		make_signature(&signature, key, make_jws_alg(key), span_of(&input));
	}
	buf_printf(out, "{\"protected\":\"%.*s\",\"payload\":\"%.*s\",\"signature\":\"", (int)dot, (char *)input.p, (int)(input.n - dot - 1),
	           (char *)input.p + dot + 1);
	b64url_put(out, signature.p, signature.n);
	buf_text(out, "\"}");
}

#endif
