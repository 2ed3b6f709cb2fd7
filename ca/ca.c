/* SPDX-License-Identifier: Apache-2.0
 *
 * The role: what was accepted (profiles, authorities), a queue, and workers that answer. */
#include "ca/internal.h"

#include "base/clock.h"
#include "base/der.h"
#include "base/log.h"
#include "base/record.h"
#include "base/text.h"
#include "pkix/oid.h"

#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

AUTO_DEFINE(X509, X509_free)

struct job {
	struct job *next;
	enum ca_port port;
	uint16_t type;
	uint64_t id;
	int64_t deadline;
	size_t n;
	uint8_t body[];
};

struct queue {
	struct job *head, **tail;
	unsigned n;
};

struct ca {
	struct ca_config c;
	struct counter counter;
	pthread_rwlock_t tables;
	struct accepted profiles[CA_PROFILE_MAX];
	size_t profile_n;
	struct authority *authorities[CA_AUTHORITY_MAX];
	size_t authority_n;

	pthread_mutex_t lock;
	pthread_cond_t work;
	struct queue issue, ocsp; /* OCSP gets at most half of the workers while an ISSUE waits */
	unsigned workers, ocsp_busy;
	bool stop;
	pthread_t thread[CA_WORKER_MAX];

	pthread_mutex_t crl_lock;
	struct crl_job crl[CA_PORT_COUNT];
	_Atomic uint64_t issued, answered, crls;
};

/* --- Tables */

static const struct accepted *profile_of(const struct ca *ca, const uint8_t digest[32])
{
	for (size_t i = 0; i < ca->profile_n; i++)
		if (memcmp(ca->profiles[i].digest, digest, 32) == 0)
			return &ca->profiles[i];
	return NULL;
}

static struct authority *authority_of(const struct ca *ca, const struct ca_gen *g)
{
	for (size_t i = 0; i < ca->authority_n; i++)
		if (ca->authorities[i]->gen.gen == g->gen && strcmp(ca->authorities[i]->gen.name, g->name) == 0)
			return ca->authorities[i];
	return NULL;
}

static struct authority *authority_or_fail(const struct ca *ca, const struct ca_gen *g, struct err *e)
{
	struct authority *a = authority_of(ca, g);

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

static void authority_free(struct authority *a)
{
	responder_free(a->responder);
	signer_close(&a->signer);
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

static bool do_profile_put(struct ca *ca, struct span body, struct buf *out, struct err *e)
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
	if (profile_of(ca, a.digest) == NULL) {
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

static bool do_authority_put(struct ca *ca, struct span body, struct err *e)
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
	    (!a->cert.is_ca && !err_set(e, ERR_BAD_REQUEST, "not an authority's certificate"))) {
		authority_free(a);
		return err_in(e, "authority %s generation %u", q->gen.name, q->gen.gen);
	}
	pthread_rwlock_wrlock(&ca->tables);
	/* The same again after a restart of ra: what is here stays, with its quarantine. */
	if (authority_of(ca, &q->gen) != NULL || ca->authority_n == CA_AUTHORITY_MAX) {
		good = authority_of(ca, &q->gen) != NULL || err_set(e, ERR_TOO_LARGE, "more than %d authorities", CA_AUTHORITY_MAX);
		authority_free(a);
	} else {
		ca->authorities[ca->authority_n++] = a;
	}
	pthread_rwlock_unlock(&ca->tables);
	return good;
}

static bool do_responder_put(struct ca *ca, struct span body, struct err *e)
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
	good = cert_parse(&r->cert, r->der.p, r->der.n, e) && signer_open(&r->signer, ca->c.hsm, q.key_id, r->cert.spki, e);
	if (good)
		digest_sha1(r->key_hash, r->cert.key.point.p, r->cert.key.point.n);
	pthread_rwlock_wrlock(&ca->tables);
	a = good ? authority_or_fail(ca, &q.gen, e) : NULL;
	good = a != NULL && cert_has_eku(&r->cert, OID_OCSP_SIGNING) && cert_verify_by(&r->cert, &a->cert.key, e);
	if (good) {
		responder_free(a->responder);
		a->responder = r;
	} else {
		responder_free(r);
	}
	pthread_rwlock_unlock(&ca->tables);
	return good || err_in(e, "responder of %s", q.gen.name);
}

/* --- Issuing. Under the read lock of the tables. */

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
	       lint_certificate(span_of(&tbs), &lc, e) && sign_certificate(ca, a, span_of(&tbs), out, e);
}

static bool do_issue(struct ca *ca, struct span body, struct buf *out, struct err *e)
{
	AUTO_FREE struct ca_issue *i = mem_new(sizeof *i);
	AUTO_FREE struct csr *csr = mem_new(sizeof *csr);
	const struct accepted *p;
	struct authority *a;

	if (!ca_issue_get(body, i, e))
		return false;
	p = profile_of(ca, i->profile);
	if (p == NULL)
		return err_set(e, ERR_POLICY, "a profile version that was not accepted here");
	a = authority_or_fail(ca, &i->gen, e);
	if (a == NULL)
		return false;
	if (strcmp(p->p.authority, "*") == 0)
		return err_set(e, ERR_POLICY, "profile %s is for keys that are made here", p->p.name);
	return csr_parse(csr, i->csr.p, i->csr.n, e) && issue_check_csr(&p->p, csr, e) && csr_verify(csr, e) &&
	       issue_under(ca, a, &p->p, i, csr->spki, out, e);
}

static bool new_key(struct ca *ca, enum hsm_alg alg, const char *label, struct hsm_key **key, uint8_t id[HSM_ID_MAX], size_t *n,
                    struct err *e)
{
	return hsm_key_generate(ca->c.hsm, alg, label, id, n, e) && hsm_key_find(ca->c.hsm, (struct span){ id, *n }, key, e);
}

static bool do_responder_create(struct ca *ca, struct span body, struct buf *out, struct err *e)
{
	AUTO_FREE struct ca_issue *i = mem_new(sizeof *i);
	AUTO_STRUCT(hsm_key) *key = NULL;
	AUTO_BUF cert = { 0 };
	const struct accepted *p;
	struct authority *a;
	uint8_t id[HSM_ID_MAX];
	char label[64];
	size_t n;

	if (!ca_issue_get(body, i, e))
		return false;
	p = profile_of(ca, i->profile);
	if (p == NULL || strcmp(p->p.authority, "*") != 0)
		return err_set(e, ERR_POLICY, "not the profile of an OCSP responder");
	a = authority_or_fail(ca, &i->gen, e);
	if (a == NULL)
		return false;
	snprintf(label, sizeof label, "%s-%u-ocsp", i->gen.name, i->gen.gen);
	if (!new_key(ca, HSM_P256, label, &key, id, &n, e) || !issue_under(ca, a, &p->p, i, hsm_key_spki(key), &cert, e))
		return false;
	ca_created_put(out, &(struct ca_created){ span_of(&cert), { id, n } });
	return true;
}

/* A new authority: in provisioning alone, until officers' signatures can be asked for. */
static bool check_create(const struct ca *ca, const struct ca_create *c, struct authority **parent, struct err *e)
{
	*parent = NULL;
	if (!ca->c.provision)
		return err_set(e, ERR_DENIED, "authorities are made while an instance is made, not in service");
	if (!dn_check(&c->subject, e) || c->subject.n == 0 || c->not_after <= c->not_before || c->path_len < 0 || c->path_len > 4)
		return err_set(e, ERR_BAD_REQUEST, "an authority needs a subject, a validity and a path length");
	if (c->parent.gen == 0)
		return true;
	*parent = authority_or_fail(ca, &c->parent, e);
	if (*parent == NULL)
		return false;
	if ((*parent)->cert.path_len <= c->path_len)
		return err_set(e, ERR_POLICY, "the path length must be below the parent's");
	return true;
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

static bool do_authority_create(struct ca *ca, struct span body, struct buf *out, struct err *e)
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

static bool do_crl(struct ca *ca, const struct job *job, struct span body, struct buf *out, struct err *e)
{
	struct crl_job *j = &ca->crl[job->port];
	struct authority *a;
	struct ca_crl c;
	bool good;

	pthread_mutex_lock(&ca->crl_lock);
	if (job->type == CA_CRL_BEGIN) {
		good = ca_crl_get(body, &c, e) && (a = authority_or_fail(ca, &c.gen, e)) != NULL && crl_begin(j, a, &c, out, e);
	} else if (job->type == CA_CRL_ENTRIES) {
		good = crl_add(j, body, out, e);
	} else {
		a = authority_or_fail(ca, &j->c.gen, e);
		good = a != NULL && crl_end(j, a, ca->c.hsm, out, e);
		ca->crls += good;
	}
	if (!good)
		crl_drop(j);
	pthread_mutex_unlock(&ca->crl_lock);
	return good;
}

static bool do_ocsp(struct ca *ca, struct span body, struct buf *out, struct err *e)
{
	struct ca_ocsp o;
	struct authority *a;
	int64_t now = ca->c.now();

	if (!ca_ocsp_get(body, &o, e))
		return false;
	if (o.produced_at > now + US_PER_MINUTE || o.produced_at < now - US_PER_MINUTE || o.this_update < now - 10 * US_PER_MINUTE)
		return err_set(e, ERR_BAD_REQUEST, "an OCSP answer that is not dated now");
	a = authority_or_fail(ca, &o.gen, e);
	if (a == NULL || !ocsp_answer(out, &o, a, ca->c.hsm, e))
		return false;
	ca->answered++;
	return true;
}

/* --- State and the token, for officers */

static void do_state(struct ca *ca, struct buf *out)
{
	struct ca_state s = { 0 };
	struct hsm_stats t;
	struct err e;

	hsm_stats(ca->c.hsm, &t);
	s.hsm_up = hsm_health(ca->c.hsm, &e);
	snprintf(s.hsm_text, sizeof s.hsm_text, s.hsm_up ? "%s (%s %s, serial %s)" : "%.200s", s.hsm_up ? t.token : e.text,
	         t.manufacturer, t.model, t.serial);
	s.sessions = t.sessions;
	pthread_mutex_lock(&ca->lock);
	s.queue = ca->issue.n + ca->ocsp.n;
	pthread_mutex_unlock(&ca->lock);
	s.issued = ca->issued;
	s.ocsp = ca->answered;
	s.crls = ca->crls;
	s.issued_ever = ca->counter.value;
	s.profiles = (uint32_t)ca->profile_n;
	s.authorities = (uint32_t)ca->authority_n;
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

static bool do_hsm_test(struct ca *ca, struct buf *out, struct err *e)
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

/* --- Dispatch */

static bool run(struct ca *ca, const struct job *job, struct buf *out, struct err *e)
{
	struct span body = { job->body, job->n };

	switch (job->type) {
	case CA_PROFILE_PUT:
		return do_profile_put(ca, body, out, e);
	case CA_AUTHORITY_PUT:
		return do_authority_put(ca, body, e);
	case CA_RESPONDER_PUT:
		return do_responder_put(ca, body, e);
	default:
		break;
	}
	pthread_rwlock_rdlock(&ca->tables);
	bool good = false;

	switch (job->type) {
	case CA_STATE:
		do_state(ca, out);
		good = true;
		break;
	case CA_AUTHORITY_CREATE:
		good = do_authority_create(ca, body, out, e);
		break;
	case CA_RESPONDER_CREATE:
		good = do_responder_create(ca, body, out, e);
		break;
	case CA_ISSUE:
		good = do_issue(ca, body, out, e);
		break;
	case CA_CRL_BEGIN:
	case CA_CRL_ENTRIES:
	case CA_CRL_END:
		good = do_crl(ca, job, body, out, e);
		break;
	case CA_OCSP:
		good = do_ocsp(ca, body, out, e);
		break;
	case CA_HSM_LIST:
		good = hsm_list(ca->c.hsm, list_row, out, e);
		break;
	case CA_HSM_TEST:
		good = do_hsm_test(ca, out, e);
		break;
	default:
		err_set(e, ERR_BAD_REQUEST, "no such request");
	}
	pthread_rwlock_unlock(&ca->tables);
	return good;
}

static void answer(struct ca *ca, const struct job *job)
{
	struct err e = { .kind = ERR_INTERNAL };
	AUTO_BUF out = { 0 };
	struct frame f = { .type = CA_OK, .id = job->id };

	if (job->deadline != 0 && clock_mono() > job->deadline)
		err_set(&e, ERR_TIMEOUT, "the request waited too long");
	else if (run(ca, job, &out, &e))
		e.kind = ERR_NONE;
	if (e.kind != ERR_NONE) {
		log_event(e.kind == ERR_INTERNAL || e.kind == ERR_HSM || e.kind == ERR_LINT ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO,
		          "refused", "type", LOG_NUM(job->type), "kind", err_kind_name(e.kind), "why", e.text, NULL);
		f.type = CA_FAILED;
		out.n = 0;
		ca_failure_put(&out, &e);
	}
	f.body = span_of(&out);
	ca->c.reply(ca->c.arg, job->port, &f);
}

static void push(struct queue *q, struct job *job)
{
	job->next = NULL;
	*q->tail = job;
	q->tail = &job->next;
	q->n++;
}

static struct job *pop(struct queue *q)
{
	struct job *job = q->head;

	if (job == NULL)
		return NULL;
	q->head = job->next;
	if (q->head == NULL)
		q->tail = &q->head;
	q->n--;
	return job;
}

/* With the lock held. */
static struct job *choose(struct ca *ca, bool *is_ocsp)
{
	unsigned half = ca->workers > 1 ? ca->workers / 2 : 1;

	*is_ocsp = ca->ocsp.n != 0 && (ca->issue.n == 0 || ca->ocsp_busy < half);
	/* One worker alone takes them in turn. */
	if (ca->workers == 1 && ca->issue.n != 0 && ca->ocsp.n != 0)
		*is_ocsp = ca->answered % 2 == 0;
	return pop(*is_ocsp ? &ca->ocsp : &ca->issue);
}

static void *worker(void *arg)
{
	struct ca *ca = arg;

	pthread_mutex_lock(&ca->lock);
	for (;;) {
		bool is_ocsp;
		struct job *job = choose(ca, &is_ocsp);

		if (job == NULL && ca->stop)
			break;
		if (job == NULL) {
			pthread_cond_wait(&ca->work, &ca->lock);
			continue;
		}
		ca->ocsp_busy += is_ocsp;
		pthread_mutex_unlock(&ca->lock);
		answer(ca, job);
		free(job);
		pthread_mutex_lock(&ca->lock);
		ca->ocsp_busy -= is_ocsp;
	}
	pthread_mutex_unlock(&ca->lock);
	return NULL;
}

bool ca_open(struct ca **out, const struct ca_config *c, struct err *e)
{
	AUTO_STRUCT(ca) *ca = mem_new(sizeof *ca);
	struct hsm_stats t;

	ca->c = *c;
	pthread_rwlock_init(&ca->tables, NULL);
	pthread_mutex_init(&ca->lock, NULL);
	pthread_mutex_init(&ca->crl_lock, NULL);
	pthread_cond_init(&ca->work, NULL);
	ca->issue.tail = &ca->issue.head;
	ca->ocsp.tail = &ca->ocsp.head;
	if (!counter_open(&ca->counter, c->dir, e))
		return false;
	hsm_stats(c->hsm, &t);
	ca->workers = c->workers != 0 ? c->workers : t.sessions;
	if (ca->workers > CA_WORKER_MAX)
		ca->workers = CA_WORKER_MAX;
	for (unsigned i = 0; i < ca->workers; i++)
		if (pthread_create(&ca->thread[i], NULL, worker, ca) != 0) {
			ca->workers = i;
			return err_set(e, ERR_INTERNAL, "no thread");
		}
	*out = TAKE(ca);
	return true;
}

static void refuse(struct ca *ca, enum ca_port port, uint64_t id, enum err_kind kind, const char *why)
{
	AUTO_BUF body = { 0 };
	struct err e;

	err_set(&e, kind, "%s", why);
	e.retry_after = 1;
	ca_failure_put(&body, &e);
	ca->c.reply(ca->c.arg, port, &(struct frame){ .type = CA_FAILED, .id = id, .body = span_of(&body) });
}

void ca_feed(struct ca *ca, enum ca_port port, const struct frame *f)
{
	struct job *job;

	/* What comes from va may ask for answers and the state, and nothing else. */
	if (port == CA_PORT_VA && f->type != CA_OCSP && f->type != CA_STATE) {
		log_event(LOG_LEVEL_ERROR, "va asked for what is not its own", "type", LOG_NUM(f->type), NULL);
		refuse(ca, port, f->id, ERR_DENIED, "not on this channel");
		return;
	}
	job = mem_new(sizeof *job + f->body.n);
	job->port = port;
	job->type = f->type;
	job->id = f->id;
	job->deadline = f->deadline;
	job->n = f->body.n;
	if (f->body.n != 0)
		memcpy(job->body, f->body.p, f->body.n);
	pthread_mutex_lock(&ca->lock);
	if (ca->issue.n + ca->ocsp.n >= CA_QUEUE_MAX) {
		pthread_mutex_unlock(&ca->lock);
		free(job);
		refuse(ca, port, f->id, ERR_BUSY, "the queue to the token is full");
		return;
	}
	push(f->type == CA_OCSP ? &ca->ocsp : &ca->issue, job);
	pthread_cond_signal(&ca->work);
	pthread_mutex_unlock(&ca->lock);
}

void ca_port_reset(struct ca *ca, enum ca_port port)
{
	pthread_mutex_lock(&ca->crl_lock);
	crl_drop(&ca->crl[port]);
	pthread_mutex_unlock(&ca->crl_lock);
}

void ca_close(struct ca *ca)
{
	struct job *job;

	if (ca == NULL)
		return;
	pthread_mutex_lock(&ca->lock);
	ca->stop = true;
	pthread_cond_broadcast(&ca->work);
	pthread_mutex_unlock(&ca->lock);
	for (unsigned i = 0; i < ca->workers; i++)
		pthread_join(ca->thread[i], NULL);
	while ((job = pop(&ca->issue)) != NULL || (job = pop(&ca->ocsp)) != NULL)
		free(job);
	for (int i = 0; i < CA_PORT_COUNT; i++)
		crl_drop(&ca->crl[i]);
	for (size_t i = 0; i < ca->authority_n; i++)
		authority_free(ca->authorities[i]);
	counter_close(&ca->counter);
	pthread_mutex_destroy(&ca->lock);
	pthread_mutex_destroy(&ca->crl_lock);
	pthread_cond_destroy(&ca->work);
	pthread_rwlock_destroy(&ca->tables);
	free(ca);
}
