/* SPDX-License-Identifier: Apache-2.0
 *
 * What is done for who asks: certificates, keys, CRLs, OCSP answers, the token's state. All under the read lock of the
 * tables. */
#include "ca/internal.h"

#include "base/clock.h"
#include "base/der.h"
#include "base/record.h"
#include "base/text.h"
#include "pkix/oid.h"
#include "pkix/weak_key.h"

#include <stdio.h>
#include <string.h>

/* --- Issuing */

static bool sign_certificate(struct ca *ca, struct authority *a, struct span tbs, struct buf *out, struct err *e)
{
	AUTO_BUF sig = { 0 };

	if (!counter_next(&ca->counter, e) || !signer_sign(&a->signer, ca->c.hsm, tbs, &sig, e))
		return false;
	x509_assemble(out, tbs, a->signer.alg, span_of(&sig));
	ca->issued++;
	return true;
}

static bool issue_under(struct ca *ca, struct authority *a, const struct profile *p, const struct ca_issue *i, struct span spki,
                        struct buf *out, struct err *e)
{
	const struct issuer is = issuer_of(a);
	const struct lint_context lc = { .profile = p, .issuer_name = is.name, .issuer_ski = is.ski,
		                         .issuer_not_before = is.not_before, .issuer_not_after = is.not_after,
		                         .max_validity = p->validity < limits_validity(p) ? p->validity : limits_validity(p) };
	AUTO_BUF tbs = { 0 };

	return issue_check(p, &is, i, ca->c.now(), e) && x509_compose_leaf(&tbs, p, &is, i, spki, e) &&
	       names_check(a, &i->subject, &i->san, e) && lint_certificate(span_of(&tbs), &lc, e) && sign_certificate(ca, a, span_of(&tbs), out, e);
}

bool act_issue(struct ca *ca, struct span body, struct buf *out, struct err *e)
{
	AUTO_FREE struct ca_issue *i = mem_new(sizeof *i);
	AUTO_FREE struct csr *csr = mem_new(sizeof *csr);
	const struct accepted *p;
	struct authority *a;

	if (!ca_issue_get(body, i, e))
		return false;
	p = tables_profile(ca, i->profile);
	if (p == NULL)
		return err_set(e, ERR_POLICY, "a profile version that was not accepted here");
	a = tables_authority_or_fail(ca, &i->gen, e);
	if (a == NULL)
		return false;
	if (strcmp(p->p.authority, "*") == 0)
		return err_set(e, ERR_POLICY, "profile %s is for keys that are made here", p->p.name);
	return csr_parse(csr, i->csr.p, i->csr.n, e) && issue_check_csr(&p->p, csr, e) && csr_verify(csr, e) &&
	       key_check_weak(&csr->key, e) && issue_under(ca, a, &p->p, i, csr->spki, out, e);
}

static bool new_key(struct ca *ca, enum hsm_alg alg, const char *label, struct hsm_key **key, uint8_t id[HSM_ID_MAX], size_t *n,
                    struct err *e)
{
	return hsm_key_generate(ca->c.hsm, alg, label, id, n, e) && hsm_key_find(ca->c.hsm, (struct span){ id, *n }, key, e);
}

bool act_responder_create(struct ca *ca, struct span body, struct buf *out, struct err *e)
{
	AUTO_FREE struct ca_issue *i = mem_new(sizeof *i);
	AUTO_STRUCT(hsm_key) *key = NULL;
	AUTO_BUF cert = { 0 };
	const struct accepted *p;
	struct authority *a;
	struct issuer is;
	uint8_t id[HSM_ID_MAX];
	char label[64];
	size_t n;

	if (!ca_issue_get(body, i, e))
		return false;
	p = tables_profile(ca, i->profile);
	if (p == NULL || strcmp(p->p.authority, "*") != 0)
		return err_set(e, ERR_POLICY, "not the profile of an OCSP responder");
	a = tables_authority_or_fail(ca, &i->gen, e);
	if (a == NULL)
		return false;
	snprintf(label, sizeof label, "%s-%u-ocsp", i->gen.name, i->gen.gen);
	/* What can be refused is refused before a key is made for it. */
	is = issuer_of(a);
	if (!issue_check(&p->p, &is, i, ca->c.now(), e) || !new_key(ca, HSM_P256, label, &key, id, &n, e))
		return false;
	if (!issue_under(ca, a, &p->p, i, hsm_key_spki(key), &cert, e)) {
		(void)!hsm_key_destroy(ca->c.hsm, (struct span){ id, n }, NULL);
		return false;
	}
	ca_created_put(out, &(struct ca_created){ span_of(&cert), { id, n } });
	return true;
}

/* A new authority: in provisioning alone, until officers' signatures can be asked for. */
static bool check_create(const struct ca *ca, const struct ca_create *c, struct authority **parent, struct err *e)
{
	struct constraints judged;

	*parent = NULL;
	if (c->constraints.n != 0 && !constraints_parse(&judged, c->constraints, e))
		return false;
	/* X509-35: BR 6.1.5 has 2,048 for leaves; what signs for years has more. */
	if (strcmp(c->alg, "rsa-2048") == 0)
		return err_set(e, ERR_POLICY, "an authority's RSA key has 3,072 bits at least: rsa-3072, or ecdsa-p256");
	for (uint32_t i = 0; i < c->eku_n; i++) {
		AUTO_BUF der = { 0 };

		if (!der_put_oid(&der, c->eku[i]))
			return err_set(e, ERR_BAD_REQUEST, "purpose '%.63s' of an authority is no OID", c->eku[i]);
	}
	if (!ca->c.provision)
		return err_set(e, ERR_DENIED, "authorities are made while an instance is made, not in service");
	if (!dn_check(&c->subject, e) || c->subject.n == 0 || c->not_after <= c->not_before || c->path_len < 0 || c->path_len > 4)
		return err_set(e, ERR_BAD_REQUEST, "an authority needs a subject, a validity and a path length");
	if (c->parent.gen == 0)
		return true;
	*parent = tables_authority_or_fail(ca, &c->parent, e);
	if (*parent == NULL)
		return false;
	if ((*parent)->cert.path_len <= c->path_len)
		return err_set(e, ERR_POLICY, "the path length must be below the parent's");
	return names_check(*parent, &c->subject, NULL, e);
}

static bool compose_authority(struct ca *ca, const struct ca_create *c, struct authority *parent, struct signer *self,
                              struct buf *out, struct err *e)
{
	struct issuer is = parent != NULL ? issuer_of(parent) : (struct issuer){ 0 };
	const struct lint_context lc = { .issuer_name = is.name, .issuer_ski = is.ski, .issuer_not_before = is.not_before,
		                         .issuer_not_after = is.not_after };
	struct signer *s = parent != NULL ? &parent->signer : self;
	AUTO_BUF tbs = { 0 };
	AUTO_BUF sig = { 0 };

	if (!x509_compose_ca(&tbs, c, parent != NULL ? &is : NULL, s->alg, hsm_key_spki(self->key), e) ||
	    !lint_certificate(span_of(&tbs), &lc, e) || !signer_sign(s, ca->c.hsm, span_of(&tbs), &sig, e))
		return false;
	x509_assemble(out, span_of(&tbs), s->alg, span_of(&sig));
	return true;
}

bool act_authority_create(struct ca *ca, struct span body, struct buf *out, struct err *e)
{
	AUTO_FREE struct ca_create *c = mem_new(sizeof *c);
	struct signer self = { 0 };
	struct authority *parent;
	AUTO_BUF cert = { 0 };
	uint8_t id[HSM_ID_MAX];
	enum hsm_alg alg;
	char label[64];
	bool good;
	size_t n;

	if (!ca_create_get(body, c, e) || !check_create(ca, c, &parent, e))
		return false;
	if (!hsm_alg_parse(c->alg, &alg))
		return err_set(e, ERR_BAD_REQUEST, "key algorithm '%s' is not known", c->alg);
	snprintf(label, sizeof label, "%s-%u", c->gen.name, c->gen.gen);
	if (!new_key(ca, alg, label, &self.key, id, &n, e))
		return false;
	struct span spki = hsm_key_spki(self.key);
	AUTO_BUF copy = { 0 };

	buf_add(&copy, spki.p, spki.n);
	signer_close(&self);
	good = signer_open(&self, ca->c.hsm, (struct span){ id, n }, span_of(&copy), e) &&
	       compose_authority(ca, c, parent, &self, &cert, e);
	signer_close(&self);
	if (good)
		ca_created_put(out, &(struct ca_created){ span_of(&cert), { id, n } });
	return good;
}

/* --- CRLs: one at a time a port, lock-step */

bool act_crl(struct ca *ca, const struct job *job, struct span body, struct buf *out, struct err *e)
{
	struct crl_job *j = &ca->crl[job->port];
	struct authority *a;
	struct ca_crl c;
	bool good;

	pthread_mutex_lock(&ca->crl_lock);
	if (job->type == CA_CRL_BEGIN) {
		good = ca_crl_get(body, &c, e) && (a = tables_authority_or_fail(ca, &c.gen, e)) != NULL && crl_begin(j, a, &c, out, e);
	} else if (job->type == CA_CRL_ENTRIES) {
		good = crl_add(j, body, out, e);
	} else {
		a = tables_authority_or_fail(ca, &j->c.gen, e);
		good = a != NULL && crl_end(j, a, ca->c.hsm, out, e);
		ca->crls += good;
	}
	if (!good)
		crl_drop(j);
	pthread_mutex_unlock(&ca->crl_lock);
	return good;
}

bool act_ocsp(struct ca *ca, struct span body, struct buf *out, struct err *e)
{
	struct ca_ocsp o;
	struct authority *a;
	int64_t now = ca->c.now();

	if (!ca_ocsp_get(body, &o, e))
		return false;
	if (o.produced_at > now + US_PER_MINUTE || o.produced_at < now - US_PER_MINUTE || o.this_update < now - 10 * US_PER_MINUTE)
		return err_set(e, ERR_BAD_REQUEST, "an OCSP answer that is not dated now");
	a = tables_authority_or_fail(ca, &o.gen, e);
	if (a == NULL || !ocsp_answer(out, &o, a, ca->c.hsm, e))
		return false;
	ca->answered++;
	return true;
}

/* --- State and the token, for officers */

/* Not only the log says so: what such a key signed is not signed until somebody acts. */
static void say_quarantined(const struct ca *ca, struct ca_state *s)
{
	for (size_t i = 0; i < ca->authority_n; i++) {
		const struct authority *a = ca->authorities[i];
		bool own = a->signer.quarantined;

		if (!own && (a->responder == NULL || !a->responder->signer.quarantined))
			continue;
		s->hsm_up = false;
		snprintf(s->hsm_text, sizeof s->hsm_text, "a signature by the key of %s%s did not hold; the key is not used until a restart",
		         own ? "" : "the responder of ", a->gen.name);
	}
}

void act_state(struct ca *ca, struct buf *out)
{
	AUTO_BUF counted = { 0 };
	struct ca_state s = { 0 };
	struct hsm_stats t;
	struct err e;

	hsm_stats(ca->c.hsm, &t);
	/* Nobody may be asking for signatures just now: what has come back is found here. */
	s.hsm_up = hsm_recover(ca->c.hsm, &e);
	snprintf(s.hsm_text, sizeof s.hsm_text, s.hsm_up ? "%s (%s %s, serial %s)" : "%.200s", s.hsm_up ? t.token : e.text,
	         t.manufacturer, t.model, t.serial);
	say_quarantined(ca, &s);
	s.sessions = t.sessions;
	pthread_mutex_lock(&ca->lock);
	s.queue = ca->issue.n + ca->ocsp.n;
	pthread_mutex_unlock(&ca->lock);
	s.issued = ca->issued;
	s.ocsp = ca->answered;
	s.crls = ca->crls;
	s.issued_ever = counter_value(&ca->counter);
	s.profiles = (uint32_t)ca->profile_n;
	s.authorities = (uint32_t)ca->authority_n;
	metrics_put(ca->metrics, &counted);
	s.metrics = span_of(&counted);
	ca_state_put(out, &s);
}

static void list_row(void *arg, const struct hsm_key_row *k)
{
	struct buf *out = arg;
	AUTO_BUF row = { 0 };
	char id[2 * HSM_ID_MAX + 1];

	hex_put(id, k->id, k->id_n);
	record_text(&row, "label", k->label);
	record_text(&row, "id", id);
	record_text(&row, "algorithm", hsm_alg_name(k->alg));
	record_bool(&row, "sensitive", k->sensitive);
	record_bool(&row, "extractable", k->extractable);
	record_bool(&row, "always_sensitive", k->always_sensitive);
	record_bool(&row, "never_extractable", k->never_extractable);
	record_bool(&row, "local", k->local);
	if (out->n + row.n + 4 <= FRAME_BODY_MAX)
		wr_span(out, row.p, row.n);
}

bool act_hsm_list(struct ca *ca, struct buf *out, struct err *e)
{
	return hsm_list(ca->c.hsm, list_row, out, e);
}

bool act_hsm_test(struct ca *ca, struct buf *out, struct err *e)
{
	static const uint8_t message[] = "caduceus hsm test";
	struct hsm_stats t;
	int64_t tested = 0;

	for (size_t i = 0; i < ca->authority_n; i++) {
		struct authority *a = ca->authorities[i];
		AUTO_BUF sig = { 0 };

		if (!signer_sign(&a->signer, ca->c.hsm, (struct span){ message, sizeof message }, &sig, e))
			return err_in(e, "%s-%u", a->gen.name, a->gen.gen);
		tested++;
	}
	hsm_stats(ca->c.hsm, &t);
	record_bool(out, "ok", true);
	record_text(out, "token", t.token);
	record_text(out, "module", t.module);
	record_int(out, "sessions", t.sessions);
	record_int(out, "signatures", (int64_t)t.signatures);
	record_int(out, "tested", tested);
	record_text(out, "text", "a signature of every authority's key was made and verified");
	return true;
}

