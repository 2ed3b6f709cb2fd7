/* SPDX-License-Identifier: Apache-2.0
 *
 * Public keys: which ones we take, and their strength. No private keys here. */
#ifndef CADUCEUS_PKIX_KEY_H
#define CADUCEUS_PKIX_KEY_H

#include "base/buf.h"
#include "base/err.h"

#include <openssl/evp.h>

AUTO_DEFINE(EVP_PKEY, EVP_PKEY_free)

/* Bits, so that a profile can name a set. Append only: they are part of a profile's canonical form. */
enum key_type {
	KEY_P256 = 1, KEY_P384 = 2, KEY_P521 = 4, KEY_ED25519 = 8, KEY_RSA = 16,
};

struct key_info {
	enum key_type type;
	unsigned bits;        /* RSA modulus bits, EC field bits, 256 for Ed25519 */
	struct span point;    /* the subjectPublicKey bits without the unused-bits octet (SKI and OCSP hash these) */
	struct span algorithm; /* AlgorithmIdentifier, whole */
};

/* Contract word ("ecdsa-p256", "rsa-3072", "ed25519"); for RSA with its length, kept in out. size >= 16. */
void key_name(const struct key_info *k, char *out, size_t size);

/* Walks a SubjectPublicKeyInfo (whole element) strictly: named curves P-256, P-384, P-521 only, uncompressed point
 * of the right length (explicit parameters, compressed and hybrid forms are refused), RSA with NULL parameters,
 * 2048..8192 bits in whole octets, odd 65537 <= e < 2^256, Ed25519 without parameters. ERR_BAD_KEY says what is wrong.
 * X509-35 (range part), X509-36. Cheap: the big-number work is weak_key.h's. */
MUST_USE bool key_parse(struct key_info *out, struct span spki, struct err *e);
/* Makes the EVP key without the OSSL_DECODER (EVP_PKEY_fromdata), and has OpenSSL check it fully (EC: on curve,
 * not infinity, n*Q = O). Caller frees. */
MUST_USE bool key_load(EVP_PKEY **out, const struct key_info *k, struct err *e);

/* RFC 7093, 2, method 1: leftmost 160 bits of SHA-256 over the subjectPublicKey bits. */
void key_ski(const struct key_info *k, uint8_t out[20]);

/* Signature algorithms (X509-03, 04): sha256 with P-256 and RSA, sha384 with P-384, sha512 with P-521, Ed25519. */
enum sig_alg {
	SIG_ECDSA_SHA256 = 1, SIG_ECDSA_SHA384, SIG_ECDSA_SHA512, SIG_ED25519,
	SIG_RSA_SHA256, SIG_RSA_SHA384, SIG_RSA_SHA512,
};
/* The one we sign with under a key of this type. */
enum sig_alg sig_alg_of(enum key_type t);
/* Adds the AlgorithmIdentifier: RSA with NULL, the others without parameters. */
void sig_alg_der(struct buf *out, enum sig_alg a);
/* Reads one (whole element): exact octets only. SHA-1, MD5 and PSS are ERR_BAD_CSR and named. */
MUST_USE bool sig_alg_parse(enum sig_alg *out, struct span whole, struct err *e);
const char *sig_alg_digest(enum sig_alg a); /* "SHA256", NULL for Ed25519 */
/* Verifies sig (X.509 form: DER for ECDSA) over tbs. False: it does not hold (ERR_BAD_CSR) or OpenSSL failed. */
MUST_USE bool sig_verify(EVP_PKEY *key, enum sig_alg a, struct span tbs, struct span sig, struct err *e);

/* Digests. SHA-1 serves only as an identifier (OCSP CertID and byKey, CONF-08). */
void digest_sha256(uint8_t out[32], const void *p, size_t n);
void digest_sha384(uint8_t out[48], const void *p, size_t n);
void digest_sha1(uint8_t out[20], const void *p, size_t n);

#endif
