/* SPDX-License-Identifier: Apache-2.0 */
#include "pkix/cert.h"

#include "base/clock.h"
#include "pkix/oid.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static void free_stack(STACK_OF(X509) *s)
{
	sk_X509_pop_free(s, X509_free);
}

AUTO_DEFINE(X509, X509_free)
AUTO_DEFINE(X509_STORE_CTX, X509_STORE_CTX_free)

/* Leaf, issuing authority, root, and two more for a rollover. Level 2 wants 112 bits: no SHA-1, RSA from 2048. */
enum { DEPTH_MAX = 4, SECURITY_LEVEL = 2 };

/* An issuing authority whose path to a root has been judged: what is left of a leaf's path is the leaf. */
struct issuer {
	struct buf der;
	struct cert cert;              /* views into der */
	EVP_PKEY *key;                 /* NULL: nothing is known of those below it */
	int64_t not_before, not_after; /* seconds: when all of its path is valid */
	bool purpose[TRUST_ANY];       /* for which all of its path may be used */
};

struct trust {
	X509_STORE *roots;
	STACK_OF(X509) *issuing;
	struct issuer *known;
	size_t known_n;
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

static int64_t seconds(const ASN1_TIME *t)
{
	struct tm when;

	return ASN1_TIME_to_tm(t, &when) == 1 ? (int64_t)timegm(&when) : INT64_MIN;
}

/* One certificate of the path, `below` intermediates under it: what OpenSSL asks of it only when a leaf is below. Name
 * constraints and address blocks are judged name by name, so nothing is known beforehand. */
static bool add_to_path(struct issuer *k, X509 *x, int below)
{
	static const int by_name[] = { NID_name_constraints, NID_policy_constraints, NID_sbgp_ipAddrBlock, NID_sbgp_autonomousSysNum };
	int64_t from = seconds(X509_get0_notBefore(x)), to = seconds(X509_get0_notAfter(x));

	for (size_t i = 0; i < COUNT_OF(by_name); i++)
		if (X509_get_ext_by_NID(x, by_name[i], -1) >= 0)
			return false;
	if (X509_check_ca(x) != 1 || (X509_get_pathlen(x) >= 0 && below > X509_get_pathlen(x)))
		return false;
	k->not_before = from > k->not_before ? from : k->not_before;
	k->not_after = to < k->not_after ? to : k->not_after;
	k->purpose[TRUST_CLIENT] &= X509_check_purpose(x, X509_PURPOSE_SSL_CLIENT, 1) == 1;
	k->purpose[TRUST_SERVER] &= X509_check_purpose(x, X509_PURPOSE_SSL_SERVER, 1) == 1;
	return from != INT64_MIN;
}

/* The dates aside, which are looked at with each leaf. */
static bool judge_path(struct issuer *k, const struct trust *t, X509 *x)
{
	AUTO(X509_STORE_CTX) *ctx = X509_STORE_CTX_new();
	X509_VERIFY_PARAM *param;
	STACK_OF(X509) *path;
	int below = 0;

	if (ctx == NULL || X509_STORE_CTX_init(ctx, t->roots, x, t->issuing) != 1)
		return false;
	param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_depth(param, DEPTH_MAX - 1);
	X509_VERIFY_PARAM_set_auth_level(param, SECURITY_LEVEL);
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT | X509_V_FLAG_NO_CHECK_TIME);
	if (X509_verify_cert(ctx) != 1)
		return false;
	path = X509_STORE_CTX_get0_chain(ctx);
	for (int i = 0; i < sk_X509_num(path); i++) {
		if (!add_to_path(k, sk_X509_value(path, i), below))
			return false;
		below += (X509_get_extension_flags(sk_X509_value(path, i)) & EXFLAG_SI) == 0;
	}
	return true;
}

static void know(struct trust *t, struct span der, X509 *x)
{
	struct issuer *k = &t->known[t->known_n++];

	*k = (struct issuer){ .not_before = INT64_MIN, .not_after = INT64_MAX, .purpose = { true, true } };
	buf_add(&k->der, der.p, der.n);
	if (cert_parse(&k->cert, k->der.p, k->der.n, NULL) && k->cert.ski.n != 0 && judge_path(k, t, x))
		(void)!key_load(&k->key, &k->cert.key, NULL);
	ERR_clear_error();
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
	t->known = mem_array(issuing_n + 1, sizeof *t->known);
	for (size_t i = 0; i < issuing_n; i++)
		know(t, issuing[i], sk_X509_value(t->issuing, (int)i));
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
	for (size_t i = 0; i < t->known_n; i++) {
		buf_free(&t->known[i].der);
		EVP_PKEY_free(t->known[i].key);
	}
	free(t->known);
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

static const struct issuer *issuer_of(const struct trust *t, const struct cert *c)
{
	for (size_t i = 0; i < t->known_n; i++)
		if (t->known[i].key != NULL && span_equal(t->known[i].cert.subject, c->issuer) && span_equal(t->known[i].cert.ski, c->aki))
			return &t->known[i];
	return NULL;
}

/* A signature of another kind than the key is never asked about. */
static bool is_alg_of(enum sig_alg a, enum key_type t)
{
	switch (a) {
	case SIG_ED25519:
		return t == KEY_ED25519;
	case SIG_RSA_SHA256: case SIG_RSA_SHA384: case SIG_RSA_SHA512:
		return t == KEY_RSA;
	default:
		return t == KEY_P256 || t == KEY_P384 || t == KEY_P521;
	}
}

bool trust_knows(const struct trust *t, struct span leaf, int64_t now, enum trust_purpose purpose)
{
	static const char *const eku[TRUST_ANY] = { [TRUST_CLIENT] = OID_CLIENT_AUTH, [TRUST_SERVER] = OID_SERVER_AUTH };
	static const unsigned digital_signature = 1 << 0, key_cert_sign = 1 << 5;
	static const size_t empty_name = 2;
	int64_t at = now / US_PER_SECOND;
	const struct issuer *k;
	struct cert c;

	if (purpose == TRUST_ANY || !cert_parse(&c, leaf.p, leaf.n, NULL) || (k = issuer_of(t, &c)) == NULL)
		return false;
	if (!c.plain || c.is_ca || c.path_len != -1 || c.ski.n == 0 || c.subject.n <= empty_name || (c.has_san && c.san.n == 0))
		return false;
	if ((c.key_usage & (digital_signature | key_cert_sign)) != digital_signature || !cert_has_eku(&c, eku[purpose]) ||
	    !k->purpose[purpose])
		return false;
	if (now < c.not_before || now >= c.not_after || at < k->not_before || at >= k->not_after)
		return false;
	return is_alg_of(c.alg, k->cert.key.type) && sig_verify(k->key, c.alg, c.tbs, c.signature, NULL);
}

bool trust_check(const struct trust *t, struct span leaf, const struct span *chain, size_t chain_n, int64_t now,
                 enum trust_purpose purpose, struct err *e)
{
	AUTO(X509) *x = NULL;
	AUTO(X509_STORE_CTX) *ctx = NULL;
	bool good;

	/* The peer's own intermediates add nothing: all issuers that count are ours and known. */
	(void)chain;
	(void)chain_n;
	if (trust_knows(t, leaf, now, purpose))
		return true;
	/* All others are OpenSSL's, and so is the reason of a refusal. */
	x = leaf.n <= CERT_MAX ? decode(leaf) : NULL;
	ctx = X509_STORE_CTX_new();
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
