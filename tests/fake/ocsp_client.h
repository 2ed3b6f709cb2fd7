/* SPDX-License-Identifier: Apache-2.0
 *
 * An OCSP client's side by OpenSSL, and requests put together by hand where OpenSSL would not make them. */
#ifndef CADUCEUS_TESTS_FAKE_OCSP_CLIENT_H
#define CADUCEUS_TESTS_FAKE_OCSP_CLIENT_H

#include "base/der.h"
#include "base/mem.h"
#include "pkix/oid.h"

#include <openssl/ocsp.h>
#include <openssl/x509v3.h>
#include <string.h>

#define UNUSED __attribute__((unused))
AUTO_DEFINE(X509, X509_free)
AUTO_DEFINE(OCSP_REQUEST, OCSP_REQUEST_free)

/* A self-signed authority with a new P-256 key. Caller frees; kept may be NULL. */
static UNUSED X509 *client_authority(const char *cn, int days, EVP_PKEY **kept)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);
	X509V3_CTX ctx;

	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 0x1234);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0);
	X509_set_issuer_name(x, name);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_time_adj_ex(X509_getm_notAfter(x), days, 0, NULL);
	X509_set_pubkey(x, key);
	X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
	for (int i = 0; i < 3; i++) {
		static const int nid[] = { NID_basic_constraints, NID_key_usage, NID_subject_key_identifier };
		static const char *const value[] = { "critical,CA:TRUE", "critical,keyCertSign,cRLSign", "hash" };
		X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid[i], value[i]);

		X509_add_ext(x, ext, -1);
		X509_EXTENSION_free(ext);
	}
	X509_sign(x, key, EVP_sha256());
	if (kept != NULL)
		*kept = key;
	else
		EVP_PKEY_free(key);
	return x;
}

/* Adds an extension whose value is these octets. */
static UNUSED void client_extension(OCSP_REQUEST *req, const char *oid, bool critical, struct span value)
{
	ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
	ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
	X509_EXTENSION *ext;

	ASN1_OCTET_STRING_set(octets, value.p, (int)value.n);
	ext = X509_EXTENSION_create_by_OBJ(NULL, object, critical, octets);
	OCSP_REQUEST_add_ext(req, ext, -1);
	X509_EXTENSION_free(ext);
	ASN1_OCTET_STRING_free(octets);
	ASN1_OBJECT_free(object);
}

/* nonce_n below 0: none; OpenSSL itself refuses to make one of no octets, so all are made here. */
static UNUSED void client_nonce(OCSP_REQUEST *req, const uint8_t *nonce, int nonce_n)
{
	AUTO_BUF inner = { 0 };

	if (nonce_n < 0)
		return;
	der_put(&inner, DER_OCTETS, nonce, (size_t)nonce_n);
	client_extension(req, OID_OCSP_NONCE, false, span_of(&inner));
}

static UNUSED void client_add(OCSP_REQUEST *req, const EVP_MD *md, X509 *issuer, const void *serial, size_t n)
{
	BIGNUM *number = BN_bin2bn(serial, (int)n, NULL);
	ASN1_INTEGER *integer = BN_to_ASN1_INTEGER(number, NULL);

	OCSP_request_add0_id(req, OCSP_cert_id_new(md, X509_get_subject_name(issuer), X509_get0_pubkey_bitstr(issuer), integer));
	ASN1_INTEGER_free(integer);
	BN_free(number);
}

static UNUSED void client_der(struct buf *out, OCSP_REQUEST *req)
{
	unsigned char *der = NULL;
	int n = i2d_OCSP_REQUEST(req, &der);

	out->n = 0;
	if (n > 0)
		buf_add(out, der, (size_t)n);
	OPENSSL_free(der);
}

static UNUSED void client_request(struct buf *out, const EVP_MD *md, X509 *issuer, const void *serial, size_t n,
                                  const uint8_t *nonce, int nonce_n)
{
	AUTO(OCSP_REQUEST) *req = OCSP_REQUEST_new();

	client_add(req, md, issuer, serial, n);
	client_nonce(req, nonce, nonce_n);
	client_der(out, req);
}

/* By hand: a CertID with the parameters as they are given (empty: absent). */
static UNUSED void hand_cert_id(struct buf *b, const char *oid, struct span parameters, struct span name_hash,
                                struct span key_hash, struct span serial)
{
	size_t id = der_begin(b, DER_SEQUENCE), alg = der_begin(b, DER_SEQUENCE);

	(void)!der_put_oid(b, oid);
	buf_add(b, parameters.p, parameters.n);
	der_end(b, alg);
	der_put(b, DER_OCTETS, name_hash.p, name_hash.n);
	der_put(b, DER_OCTETS, key_hash.p, key_hash.n);
	der_put(b, DER_INTEGER, serial.p, serial.n);
	der_end(b, id);
}

/* version: whole element or empty; ids: CertIDs one after another, n times the same; extensions: whole Extensions. */
static UNUSED void hand_request(struct buf *out, struct span version, struct span id, size_t n, struct span single_extensions,
                                struct span extensions)
{
	size_t all, tbs, list, one, ext;

	out->n = 0;
	all = der_begin(out, DER_SEQUENCE);
	tbs = der_begin(out, DER_SEQUENCE);
	buf_add(out, version.p, version.n);
	list = der_begin(out, DER_SEQUENCE);
	for (size_t i = 0; i < n; i++) {
		one = der_begin(out, DER_SEQUENCE);
		buf_add(out, id.p, id.n);
		if (single_extensions.n != 0)
			der_put(out, DER_CONTEXT_CONS | 0, single_extensions.p, single_extensions.n);
		der_end(out, one);
	}
	der_end(out, list);
	if (extensions.n != 0) {
		ext = der_begin(out, DER_CONTEXT_CONS | 2);
		buf_add(out, extensions.p, extensions.n);
		der_end(out, ext);
	}
	der_end(out, tbs);
	der_end(out, all);
}

#endif
