/* SPDX-License-Identifier: Apache-2.0 */
#include "pkix/cert.h"

#include "base/clock.h"
#include "base/der.h"
#include "base/text.h"

#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

static void free_stack(STACK_OF(X509) *s)
{
	sk_X509_pop_free(s, X509_free);
}

AUTO_DEFINE(X509, X509_free)
AUTO_DEFINE(X509_STORE_CTX, X509_STORE_CTX_free)

struct trust {
	X509_STORE *roots;
	STACK_OF(X509) *issuing;
};

static X509 *decode(struct span der)
{
	const uint8_t *p = der.p;
	X509 *x = d2i_X509(NULL, &p, (long)der.n);

	if (x != NULL && p != der.p + der.n) {
		X509_free(x);
		return NULL;
	}
	return x;
}

bool trust_new(struct trust **out, const struct span *roots, size_t root_n, const struct span *issuing,
               size_t issuing_n, struct err *e)
{
	AUTO_STRUCT(trust) *t = mem_new(sizeof *t);

	t->roots = X509_STORE_new();
	t->issuing = sk_X509_new_null();
	if (t->roots == NULL || t->issuing == NULL)
		return err_set(e, ERR_INTERNAL, "trust store");
	for (size_t i = 0; i < root_n; i++) {
		AUTO(X509) *x = decode(roots[i]);

		if (x == NULL || X509_STORE_add_cert(t->roots, x) != 1)
			return err_set(e, ERR_BAD_CERT, "a trust anchor is no certificate");
	}
	for (size_t i = 0; i < issuing_n; i++) {
		AUTO(X509) *x = decode(issuing[i]);

		if (x == NULL || sk_X509_push(t->issuing, x) == 0)
			return err_set(e, ERR_BAD_CERT, "an issuing certificate is no certificate");
		(void)TAKE(x);
	}
	*out = TAKE(t);
	return true;
}

void trust_free(struct trust *t)
{
	if (t == NULL)
		return;
	X509_STORE_free(t->roots);
	if (t->issuing != NULL)
		free_stack(t->issuing);
	free(t);
}

static bool explain(int code, X509 *leaf, struct err *e)
{
	struct tm when;
	char date[72] = "?";

	switch (code) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		if (ASN1_TIME_to_tm(X509_get0_notAfter(leaf), &when) == 1)
			snprintf(date, sizeof date, "%04d-%02d-%02d %02d:%02d UTC", when.tm_year + 1900, when.tm_mon + 1,
			         when.tm_mday, when.tm_hour, when.tm_min);
		return err_set(e, ERR_BAD_CERT, "it expired on %s; enroll again with a name and password", date);
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return err_set(e, ERR_BAD_CERT, "it is not valid yet; look at the clocks");
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		return err_set(e, ERR_BAD_CERT, "it was not issued by this authority");
	case X509_V_ERR_INVALID_PURPOSE:
		return err_set(e, ERR_BAD_CERT, "it is not for this use (extended key usage)");
	default:
		return err_set(e, ERR_BAD_CERT, "%s", X509_verify_cert_error_string(code));
	}
}

bool trust_check(const struct trust *t, struct span leaf, const struct span *chain, size_t chain_n, int64_t now,
                 enum trust_purpose purpose, struct err *e)
{
	AUTO(X509) *x = leaf.n <= CERT_MAX ? decode(leaf) : NULL;
	AUTO(X509_STORE_CTX) *ctx = X509_STORE_CTX_new();
	STACK_OF(X509) *untrusted = sk_X509_dup(t->issuing);
	int code = X509_V_ERR_UNSPECIFIED;
	bool good = false;

	/* The peer's own intermediates add nothing: all issuers that count are ours and known. */
	(void)chain;
	(void)chain_n;
	if (x == NULL) {
		sk_X509_free(untrusted);
		return err_set(e, ERR_BAD_CERT, "it is no certificate");
	}
	if (ctx != NULL && untrusted != NULL && X509_STORE_CTX_init(ctx, t->roots, x, untrusted) == 1) {
		X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);

		X509_VERIFY_PARAM_set_time(param, (time_t)(now / US_PER_SECOND));
		X509_VERIFY_PARAM_set_depth(param, 4);
		X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
		if (purpose != TRUST_ANY)
			X509_STORE_CTX_set_purpose(ctx, purpose == TRUST_CLIENT ? X509_PURPOSE_SSL_CLIENT
			                                                        : X509_PURPOSE_SSL_SERVER);
		good = X509_verify_cert(ctx) == 1;
		code = X509_STORE_CTX_get_error(ctx);
	}
	sk_X509_free(untrusted);
	return good || explain(code, x, e);
}

/* 1.2.840.113549.1.7.2 and .1 */
static const uint8_t oid_signed_data[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02 };
static const uint8_t oid_data[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01 };

void cms_certs_only(struct buf *out, const struct span *certs, size_t n)
{
	size_t info = der_begin(out, DER_SEQUENCE), content, data, encap, set;

	der_put(out, DER_OID, oid_signed_data, sizeof oid_signed_data);
	content = der_begin(out, DER_CONTEXT_CONS | 0);
	data = der_begin(out, DER_SEQUENCE);
	der_put_uint(out, 1);
	der_put(out, DER_SET, NULL, 0); /* no digest algorithms */
	encap = der_begin(out, DER_SEQUENCE);
	der_put(out, DER_OID, oid_data, sizeof oid_data);
	der_end(out, encap);
	set = der_begin(out, DER_CONTEXT_CONS | 0);
	for (size_t i = 0; i < n; i++)
		buf_add(out, certs[i].p, certs[i].n);
	der_end(out, set);
	der_put(out, DER_SET, NULL, 0); /* no signers */
	der_end(out, data);
	der_end(out, content);
	der_end(out, info);
}
