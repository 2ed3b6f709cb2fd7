/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys, requests and certificates for tests, composed octet by octet so that each part can be wrong, and signed by
 * OpenSSL. Keys are made once and live as long as the test. */
#ifndef CADUCEUS_TESTS_PKIX_MAKE_H
#define CADUCEUS_TESTS_PKIX_MAKE_H

#include "base/clock.h"
#include "base/der.h"
#include "base/text.h"
#include "pkix/cert.h"
#include "pkix/csr.h"
#include "pkix/oid.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#define MAKE static __attribute__((unused))

enum make_key { MAKE_P256, MAKE_P256_OTHER, MAKE_P384, MAKE_P521, MAKE_ED25519, MAKE_RSA2048, MAKE_RSA3072, MAKE_KEYS };

static EVP_PKEY *made_keys[MAKE_KEYS];

MAKE EVP_PKEY *make_key(enum make_key which)
{
	EVP_PKEY **k = &made_keys[which];

	if (*k != NULL)
		return *k;
	switch (which) {
	case MAKE_P384:
		return *k = EVP_EC_gen("P-384");
	case MAKE_P521:
		return *k = EVP_EC_gen("P-521");
	case MAKE_ED25519:
		return *k = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	case MAKE_RSA2048:
		return *k = EVP_RSA_gen(2048);
	case MAKE_RSA3072:
		return *k = EVP_RSA_gen(3072);
	default:
		return *k = EVP_EC_gen("P-256");
	}
}

MAKE void make_free(void)
{
	for (int i = 0; i < MAKE_KEYS; i++) {
		EVP_PKEY_free(made_keys[i]);
		made_keys[i] = NULL;
	}
}

/* SubjectPublicKeyInfo by OpenSSL. */
MAKE void make_spki(struct buf *out, EVP_PKEY *key)
{
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(key, &der);

	CU_ASSERT_TRUE_FATAL(n > 0);
	buf_add(out, der, (size_t)n);
	OPENSSL_free(der);
}

MAKE void make_oid(struct buf *out, const char *dotted)
{
	CU_ASSERT_TRUE_FATAL(der_put_oid(out, dotted));
}

MAKE void make_name(struct buf *out, const char *cn)
{
	struct dn d = { 0 };

	CU_ASSERT_TRUE_FATAL(dn_add(&d, DN_CN, cn));
	dn_der(out, &d);
}

/* One Extension; critical as it stands. */
MAKE void make_extension(struct buf *out, const char *oid, bool critical, const void *value, size_t n)
{
	size_t mark = der_begin(out, DER_SEQUENCE);

	make_oid(out, oid);
	if (critical)
		der_put_bool(out, true);
	der_put(out, DER_OCTETS, value, n);
	der_end(out, mark);
}
#define EXTENSION(out, oid, critical, text) make_extension(out, oid, critical, text, sizeof text - 1)

MAKE void make_eku(struct buf *out, const char *purpose)
{
	AUTO_BUF v = { 0 };
	size_t mark = der_begin(&v, DER_SEQUENCE);

	make_oid(&v, purpose);
	der_end(&v, mark);
	make_extension(out, OID_EXT_EKU, false, v.p, v.n);
}

MAKE void make_san_dns(struct buf *out, const char *dns)
{
	AUTO_BUF v = { 0 };
	size_t mark = der_begin(&v, DER_SEQUENCE);

	der_put(&v, DER_CONTEXT | 2, dns, strlen(dns));
	der_end(&v, mark);
	make_extension(out, OID_EXT_SAN, false, v.p, v.n);
}

/* Attribute with one value: the extensionRequest (or its Microsoft form) over a list of extensions. */
MAKE void make_extension_request(struct buf *out, const char *oid, const struct buf *extensions)
{
	size_t one = der_begin(out, DER_SEQUENCE), set;

	make_oid(out, oid);
	set = der_begin(out, DER_SET);
	der_put(out, DER_SEQUENCE, extensions->p, extensions->n);
	der_end(out, set);
	der_end(out, one);
}

MAKE enum sig_alg make_alg(EVP_PKEY *key)
{
	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_ED25519:
		return SIG_ED25519;
	case EVP_PKEY_RSA:
		return SIG_RSA_SHA256;
	default:
		return EVP_PKEY_get_bits(key) == 256 ? SIG_ECDSA_SHA256 :
		       EVP_PKEY_get_bits(key) == 384 ? SIG_ECDSA_SHA384 : SIG_ECDSA_SHA512;
	}
}

/* SEQUENCE { tbs, algorithm, signature }. */
MAKE void make_signed(struct buf *out, const struct buf *tbs, const struct buf *alg, EVP_PKEY *key, const char *md)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t n = 1024, mark;
	uint8_t sig[1024];

	CU_ASSERT_TRUE_FATAL(EVP_DigestSignInit_ex(ctx, NULL, md, NULL, NULL, key, NULL) == 1 &&
	                     EVP_DigestSign(ctx, sig, &n, tbs->p, tbs->n) == 1);
	EVP_MD_CTX_free(ctx);
	mark = der_begin(out, DER_SEQUENCE);
	buf_add(out, tbs->p, tbs->n);
	buf_add(out, alg->p, alg->n);
	der_put_bits(out, sig, n, 0);
	der_end(out, mark);
}

/* What is zero has its usual form. */
struct make_csr {
	EVP_PKEY *key;
	const struct buf *subject, *spki, *attributes, *alg; /* attributes: content of the [0] */
	const char *md;
	int version;
	bool without_attributes;
};

MAKE void make_csr(struct buf *out, const struct make_csr *m)
{
	AUTO_BUF info = { 0 };
	AUTO_BUF alg = { 0 };
	size_t mark = der_begin(&info, DER_SEQUENCE);

	der_put_uint(&info, (uint64_t)m->version);
	if (m->subject != NULL)
		buf_add(&info, m->subject->p, m->subject->n);
	else
		make_name(&info, "pump-7");
	if (m->spki != NULL)
		buf_add(&info, m->spki->p, m->spki->n);
	else
		make_spki(&info, m->key);
	if (!m->without_attributes)
		der_put(&info, DER_CONTEXT_CONS | 0, m->attributes != NULL ? m->attributes->p : NULL,
		        m->attributes != NULL ? m->attributes->n : 0);
	der_end(&info, mark);
	sig_alg_der(&alg, make_alg(m->key));
	make_signed(out, &info, m->alg != NULL ? m->alg : &alg, m->key,
	            m->md != NULL ? m->md : sig_alg_digest(make_alg(m->key)));
}

#define MAKE_NOW (INT64_C(1795514400) * US_PER_SECOND) /* 2026-11-24T10:00:00Z */

struct make_cert {
	EVP_PKEY *key, *signer;
	const char *subject, *issuer;
	int64_t not_before, not_after;              /* 0: a day around MAKE_NOW */
	const struct buf *serial, *extensions;      /* serial: the whole INTEGER; extensions: the list's content */
	const struct buf *inner_alg, *outer_alg;
	const char *md;
	bool v1;
};

MAKE void make_cert(struct buf *out, const struct make_cert *m)
{
	AUTO_BUF tbs = { 0 };
	AUTO_BUF alg = { 0 };
	size_t mark = der_begin(&tbs, DER_SEQUENCE), in;

	sig_alg_der(&alg, make_alg(m->signer));
	if (!m->v1) {
		in = der_begin(&tbs, DER_CONTEXT_CONS | 0);
		der_put_uint(&tbs, 2);
		der_end(&tbs, in);
	}
	if (m->serial != NULL)
		buf_add(&tbs, m->serial->p, m->serial->n);
	else
		der_put_uint(&tbs, 0x4711);
	buf_add(&tbs, m->inner_alg != NULL ? m->inner_alg->p : alg.p, m->inner_alg != NULL ? m->inner_alg->n : alg.n);
	make_name(&tbs, m->issuer);
	in = der_begin(&tbs, DER_SEQUENCE);
	der_put_time(&tbs, m->not_before != 0 ? m->not_before : MAKE_NOW - US_PER_DAY);
	der_put_time(&tbs, m->not_after != 0 ? m->not_after : MAKE_NOW + US_PER_DAY);
	der_end(&tbs, in);
	make_name(&tbs, m->subject);
	make_spki(&tbs, m->key);
	if (m->extensions != NULL) {
		in = der_begin(&tbs, DER_CONTEXT_CONS | 3);
		der_put(&tbs, DER_SEQUENCE, m->extensions->p, m->extensions->n);
		der_end(&tbs, in);
	}
	der_end(&tbs, mark);
	make_signed(out, &tbs, m->outer_alg != NULL ? m->outer_alg : &alg, m->signer,
	            m->md != NULL ? m->md : sig_alg_digest(make_alg(m->signer)));
}

#endif
