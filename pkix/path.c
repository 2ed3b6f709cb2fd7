/* SPDX-License-Identifier: Apache-2.0 */
#include "pkix/cert.h"

#include "base/clock.h"

#include <openssl/err.h>
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

/* Leaf, issuing authority, root, and two more for a rollover. Level 2 wants 112 bits: no SHA-1, RSA from 2048. */
enum { DEPTH_MAX = 4, SECURITY_LEVEL = 2 };

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

/* "it" is what was presented, "its authority" what stands above it in the chain. */
static bool say_when(X509_STORE_CTX *ctx, const char *whose, struct err *e)
{
	X509 *x = X509_STORE_CTX_get_current_cert(ctx);
	struct tm when;
	char date[72] = "an unreadable date";

	if (x != NULL && ASN1_TIME_to_tm(X509_get0_notAfter(x), &when) == 1)
		snprintf(date, sizeof date, "%04d-%02d-%02d %02d:%02d UTC", when.tm_year + 1900, when.tm_mon + 1,
		         when.tm_mday, when.tm_hour, when.tm_min);
	return err_set(e, ERR_BAD_CERT, "%s expired on %s; enroll again with a name and password", whose, date);
}

static bool explain(X509_STORE_CTX *ctx, enum trust_purpose purpose, struct err *e)
{
	int code = X509_STORE_CTX_get_error(ctx);
	const char *whose = X509_STORE_CTX_get_error_depth(ctx) > 0 ? "its authority" : "it";

	switch (code) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return say_when(ctx, whose, e);
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return err_set(e, ERR_BAD_CERT, "%s is not valid yet; look at the clocks", whose);
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		return err_set(e, ERR_BAD_CERT, "it was not issued by this authority");
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
		return err_set(e, ERR_BAD_CERT, "%s has a signature that does not hold", whose);
	case X509_V_ERR_INVALID_PURPOSE:
		return err_set(e, ERR_BAD_CERT, "%s is not for %s authentication (extended key usage)", whose,
		               purpose == TRUST_SERVER ? "server" : "client");
	default:
		return err_set(e, ERR_BAD_CERT, "%s does not hold: %s", whose, X509_verify_cert_error_string(code));
	}
}

static bool judge(X509_STORE_CTX *ctx, int64_t now, enum trust_purpose purpose, struct err *e)
{
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);

	X509_VERIFY_PARAM_set_time(param, (time_t)(now / US_PER_SECOND));
	X509_VERIFY_PARAM_set_depth(param, DEPTH_MAX);
	X509_VERIFY_PARAM_set_auth_level(param, SECURITY_LEVEL);
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
	if (purpose != TRUST_ANY)
		X509_STORE_CTX_set_purpose(ctx, purpose == TRUST_CLIENT ? X509_PURPOSE_SSL_CLIENT : X509_PURPOSE_SSL_SERVER);
	return X509_verify_cert(ctx) == 1 || explain(ctx, purpose, e);
}

/* OpenSSL takes a certificate without EKU for any use, and an authority's own as a client's. Ours always say. */
static bool is_leaf(X509 *x, struct err *e)
{
	if ((X509_get_extension_flags(x) & EXFLAG_XKUSAGE) == 0)
		return err_set(e, ERR_BAD_CERT, "it does not say what it is for (extended key usage)");
	if (X509_check_ca(x) != 0)
		return err_set(e, ERR_BAD_CERT, "it is an authority's certificate, not a client's or server's");
	return true;
}

bool trust_check(const struct trust *t, struct span leaf, const struct span *chain, size_t chain_n, int64_t now,
                 enum trust_purpose purpose, struct err *e)
{
	AUTO(X509) *x = leaf.n <= CERT_MAX ? decode(leaf) : NULL;
	AUTO(X509_STORE_CTX) *ctx = X509_STORE_CTX_new();
	bool good;

	/* The peer's own intermediates add nothing: all issuers that count are ours and known. */
	(void)chain;
	(void)chain_n;
	if (x == NULL) {
		ERR_clear_error();
		return err_set(e, ERR_BAD_CERT, "it is no certificate");
	}
	if (ctx == NULL || X509_STORE_CTX_init(ctx, t->roots, x, t->issuing) != 1)
		return err_set(e, ERR_INTERNAL, "certificate verification");
	good = judge(ctx, now, purpose, e) && (purpose == TRUST_ANY || is_leaf(x, e));
	ERR_clear_error();
	return good;
}
