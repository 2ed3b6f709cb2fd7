/* SPDX-License-Identifier: Apache-2.0
 *
 * What ra may speak of: the profile versions that were accepted, the authorities and their responders. */
#include "ca/internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "pkix/oid.h"

#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

AUTO_DEFINE(X509, X509_free)

const struct accepted *tables_profile(const struct ca *ca, const uint8_t digest[32])
{
	for (size_t i = 0; i < ca->profile_n; i++)
		if (memcmp(ca->profiles[i].digest, digest, 32) == 0)
			return &ca->profiles[i];
	return NULL;
}

struct authority *tables_authority(const struct ca *ca, const struct ca_gen *g)
{
	for (size_t i = 0; i < ca->authority_n; i++)
		if (ca->authorities[i]->gen.gen == g->gen && strcmp(ca->authorities[i]->gen.name, g->name) == 0)
			return ca->authorities[i];
	return NULL;
}

struct authority *tables_authority_or_fail(const struct ca *ca, const struct ca_gen *g, struct err *e)
{
	struct authority *a = tables_authority(ca, g);

	if (a == NULL)
		err_set(e, ERR_NOT_FOUND, "authority %s generation %u is not known here", g->name, g->gen);
	return a;
}

struct issuer issuer_of(const struct authority *a)
{
	return (struct issuer){
		.name = a->cert.subject, .ski = a->cert.ski, .not_before = a->cert.not_before, .not_after = a->cert.not_after,
		.aia_ocsp = a->aia_ocsp, .aia_issuer = a->aia_issuer, .cdp = a->cdp, .cert = &a->cert, .alg = a->signer.alg,
	};
}

static void responder_free(struct responder *r)
{
	if (r == NULL)
		return;
	signer_close(&r->signer);
	buf_free(&r->der);
	free(r);
}

void tables_authority_free(struct authority *a)
{
	responder_free(a->responder);
	signer_close(&a->signer);
	free(a->constraints);
	buf_free(&a->der);
	free(a);
}

/* --- Profiles: a sample is judged by OpenSSL before a version is used (X509-45) */

static bool sample_request(const struct profile *p, struct ca_issue *i, struct buf *spki, struct err *e)
{
	AUTO(EVP_PKEY) *key = EVP_EC_gen("P-256");
	int n = key != NULL ? i2d_PUBKEY(key, NULL) : 0;
	uint8_t *at;

	if (n <= 0)
		return err_set(e, ERR_INTERNAL, "sample key");
	buf_reserve(spki, (size_t)n);
	at = spki->p;
	spki->n = (size_t)i2d_PUBKEY(key, &at);
	*i = (struct ca_issue){ .serial = { 16, { 0x40, 1 } }, .not_before = 1700000000 * US_PER_SECOND };
	i->not_after = i->not_before + p->validity - US_PER_SECOND;
	if ((p->san_types & 1u << SAN_DNS) != 0 && !san_from_text(&i->san.v[i->san.n++], "dns:sample.example", false, e))
		return false;
	if (!dn_add(&i->subject, DN_CN, "sample.example"))
		return false;
	for (size_t k = 0; k < p->subject_n; k++) {
		enum dn_type type;

		if (!dn_type_parse(p->subject[k].type, &type) || !dn_add(&i->subject, type, p->subject[k].value))
			return err_set(e, ERR_POLICY, "profile %s: subject attribute %s is not known", p->name, p->subject[k].type);
	}
	return dn_check(&i->subject, e);
}

static bool judged_by_openssl(const struct profile *p, struct span der, struct err *e)
{
	const uint8_t *at = der.p;
	AUTO(X509) *x = d2i_X509(NULL, &at, (long)der.n);
	unsigned char *again = NULL;
	int n = x != NULL ? i2d_X509(x, &again) : -1;
	bool same = n == (int)der.n && memcmp(again, der.p, der.n) == 0;

	OPENSSL_free(again);
	if (!same || at != der.p + der.n)
		return err_set(e, ERR_POLICY, "profile %s: OpenSSL does not read its certificates as they were written", p->name);
	if (X509_check_ca(x) != 0 || (X509_get_extension_flags(x) & (EXFLAG_INVALID | EXFLAG_CA)) != 0)
		return err_set(e, ERR_POLICY, "profile %s: OpenSSL takes its certificates for malformed or an authority's", p->name);
	return true;
}

static bool judge_sample(const struct profile *p, struct err *e)
{
	static const uint8_t name[] = { 0x30, 0x0d, 0x31, 0x0b, 0x30, 0x09, 6, 3, 0x55, 4, 3, 0x0c, 2, 'C', 'A' };
	static const uint8_t ski[20] = { 1 };
	const struct issuer is = { .name = { name, sizeof name }, .ski = { ski, 20 }, .aia_ocsp = "http://sample.example/ocsp",
		                   .aia_issuer = "http://sample.example/ca/a/1.cer", .cdp = "http://sample.example/crl/a/1.crl",
		                   .not_after = INT64_MAX, .alg = SIG_ECDSA_SHA256 };
	AUTO_FREE struct ca_issue *i = mem_new(sizeof *i);
	struct lint_context lc = { .profile = p, .issuer_name = is.name, .issuer_ski = is.ski, .issuer_not_after = INT64_MAX,
		                   .max_validity = p->validity };
	AUTO_BUF spki = { 0 };
	AUTO_BUF tbs = { 0 };
	AUTO_BUF der = { 0 };

	if (!sample_request(p, i, &spki, e) || !x509_compose_leaf(&tbs, p, &is, i, span_of(&spki), e) ||
	    !lint_certificate(span_of(&tbs), &lc, e))
		return false;
	x509_assemble(&der, span_of(&tbs), SIG_ECDSA_SHA256, (struct span){ (const uint8_t *)"\x30\x06\x02\x01\x01\x02\x01\x01", 8 });
	return judged_by_openssl(p, span_of(&der), e);
}

bool tables_profile_put(struct ca *ca, struct span body, struct buf *out, struct err *e)
{
	struct accepted a;
	struct rd r = rd_of(body.p, body.n);
	bool good = true;

	profile_get(&r, &a.p);
	if (!rd_done(&r))
		return err_set(e, ERR_BAD_REQUEST, "malformed profile");
	digest_sha256(a.digest, body.p, body.n);
	if (!limits_check(&a.p, e) || !judge_sample(&a.p, e))
		return false;
	pthread_rwlock_wrlock(&ca->tables);
	if (tables_profile(ca, a.digest) == NULL) {
		/* Old versions stay until the table is full: requests under way still name them. */
		if (ca->profile_n == CA_PROFILE_MAX) {
			memmove(ca->profiles, ca->profiles + 1, sizeof ca->profiles[0] * (CA_PROFILE_MAX - 1));
			ca->profile_n--;
		}
		ca->profiles[ca->profile_n++] = a;
	}
	pthread_rwlock_unlock(&ca->tables);
	buf_add(out, a.digest, sizeof a.digest);
	return good;
}

/* A key signs as the authority that its certificate names, so ra can't invent one for it: it is signed by itself, or by
 * an authority that came before, whose child it then is. */
static bool is_ours(const struct ca *ca, struct authority *a)
{
	if (span_equal(a->cert.issuer, a->cert.subject))
		return cert_verify_by(&a->cert, &a->cert.key, NULL);
	for (size_t i = 0; i < ca->authority_n; i++) {
		if (span_equal(a->cert.issuer, ca->authorities[i]->cert.subject) &&
		    cert_verify_by(&a->cert, &ca->authorities[i]->cert.key, NULL)) {
			a->parent = ca->authorities[i];
			return true;
		}
	}
	return false;
}

static bool take_constraints(struct authority *a, struct err *e)
{
	if (a->cert.constraints.n == 0)
		return true;
	a->constraints = mem_new(sizeof *a->constraints);
	return constraints_parse(a->constraints, a->cert.constraints, e);
}

bool tables_authority_put(struct ca *ca, struct span body, struct err *e)
{
	AUTO_FREE struct ca_authority *q = mem_new(sizeof *q);
	struct authority *a = mem_new(sizeof *a);
	bool good = true;

	if (!ca_authority_get(body, q, e)) {
		free(a);
		return false;
	}
	a->gen = q->gen;
	buf_add(&a->der, q->cert.p, q->cert.n);
	memcpy(a->aia_ocsp, q->aia_ocsp, sizeof a->aia_ocsp);
	memcpy(a->aia_issuer, q->aia_issuer, sizeof a->aia_issuer);
	memcpy(a->cdp, q->cdp, sizeof a->cdp);
	if (!cert_parse(&a->cert, a->der.p, a->der.n, e) || !signer_open(&a->signer, ca->c.hsm, q->key_id, a->cert.spki, e) ||
	    !take_constraints(a, e) || (!a->cert.is_ca && !err_set(e, ERR_BAD_REQUEST, "not an authority's certificate"))) {
		tables_authority_free(a);
		return err_in(e, "authority %s generation %u", q->gen.name, q->gen.gen);
	}
	a->signer.metrics = ca->metrics;
	pthread_rwlock_wrlock(&ca->tables);
	/* The same again after a restart of ra: what is here stays, with its quarantine. */
	if (tables_authority(ca, &q->gen) != NULL) {
		tables_authority_free(a);
	} else if (ca->authority_n == CA_AUTHORITY_MAX || !is_ours(ca, a)) {
		good = ca->authority_n == CA_AUTHORITY_MAX
		               ? err_set(e, ERR_TOO_LARGE, "more than %d authorities", CA_AUTHORITY_MAX)
		               : err_set(e, ERR_DENIED, "authority %s generation %u: its certificate was signed by none that is here",
		                         q->gen.name, q->gen.gen);
		tables_authority_free(a);
	} else {
		ca->authorities[ca->authority_n++] = a;
	}
	pthread_rwlock_unlock(&ca->tables);
	return good;
}

/* The key of a responder that was replaced has nothing left to sign; the same key stays what it was. */
static void retire(struct ca *ca, const struct responder *old, struct responder *fresh)
{
	struct err e;

	if (old == NULL)
		return;
	if (old->key_id_n == fresh->key_id_n && memcmp(old->key_id, fresh->key_id, old->key_id_n) == 0) {
		fresh->signer.quarantined = old->signer.quarantined;
		return;
	}
	if (!hsm_key_destroy(ca->c.hsm, (struct span){ old->key_id, old->key_id_n }, &e))
		log_event(LOG_LEVEL_WARN, "the old responder's key stays on the token", "why", e.text, NULL);
}

bool tables_responder_put(struct ca *ca, struct span body, struct err *e)
{
	struct responder *r = mem_new(sizeof *r);
	struct ca_responder q;
	struct authority *a;
	bool good;

	if (!ca_responder_get(body, &q, e)) {
		responder_free(r);
		return false;
	}
	buf_add(&r->der, q.cert.p, q.cert.n);
	memcpy(r->key_id, q.key_id.p, q.key_id.n);
	r->key_id_n = q.key_id.n;
	good = cert_parse(&r->cert, r->der.p, r->der.n, e) && signer_open(&r->signer, ca->c.hsm, q.key_id, r->cert.spki, e);
	if (good)
		r->signer.metrics = ca->metrics;
	if (good)
		digest_sha1(r->key_hash, r->cert.key.point.p, r->cert.key.point.n);
	pthread_rwlock_wrlock(&ca->tables);
	a = good ? tables_authority_or_fail(ca, &q.gen, e) : NULL;
	good = a != NULL && cert_has_eku(&r->cert, OID_OCSP_SIGNING) && cert_verify_by(&r->cert, &a->cert.key, e);
	if (good) {
		retire(ca, a->responder, r);
		responder_free(a->responder);
		a->responder = r;
	} else {
		responder_free(r);
	}
	pthread_rwlock_unlock(&ca->tables);
	return good || err_in(e, "responder of %s", q.gen.name);
}

