/* SPDX-License-Identifier: Apache-2.0
 *
 * EST enrolment: who is it, may they, under which names; then the one path (issue.c). */
#include "ra/internal.h"

#include "base/clock.h"
#include "base/text.h"
#include "ra/password.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { RULE_MAX = 256 };

/* Who asks, as far as it is known. */
struct who {
	struct subject subject;
	const char *auth;         /* "password", "certificate" */
	int64_t credential;       /* the password's; 0 none */
	bool used_up;             /* the password is right, but no use is left: good for a replay alone */
	bool expired;
	struct certificate cert;  /* reenroll: the one that is renewed */
	struct san_list cert_san;
	struct dn cert_dn;
	bool has_cert;
};

struct password_search {
	const char *password;
	int64_t now;
	struct credential best;
	bool found;
};

static bool try_password(void *arg, const struct credential *c)
{
	struct password_search *s = arg;

	if (c->revoked || !password_fits(s->password, c->salt, c->hash))
		return true;
	s->best = *c;
	s->found = true;
	return false;
}

/* An unknown name costs as much as a wrong password. */
static void waste(const char *password)
{
	static const uint8_t salt[16] = { 1 };
	uint8_t out[32];

	password_hash(password, salt, out);
}

/* What guessers elsewhere do is theirs: only a wrong password meets the limits of its name and address. */
static bool wrong_password(struct ra *ra, const struct ra_enroll *q, struct err *e)
{
	if (!limiter_allows(ra->limiter, q->user, q->source.address, ra->mono, e))
		return false;
	limiter_failed(ra->limiter, q->user, q->source.address, ra->mono);
	return err_set(e, ERR_UNAUTHENTICATED, "name or password is wrong");
}

static bool by_password(struct ra *ra, const struct ra_enroll *q, struct who *who, struct err *e)
{
	struct password_search s = { .password = q->password, .now = ra->now };

	if (!limiter_allows_pair(ra->limiter, q->user, q->source.address, ra->mono, e))
		return false;
	if (!store_subject_by_name(ra->c.store, "device", q->user, &who->subject, e)) {
		if (e->kind != ERR_NOT_FOUND)
			return false;
		waste(q->password);
		return wrong_password(ra, q, e);
	}
	if (!store_credential_list(ra->c.store, who->subject.id, "est-password", try_password, &s, e))
		return false;
	if (!s.found)
		return wrong_password(ra, q, e);
	limiter_passed(ra->limiter, q->user, q->source.address);
	who->auth = "password";
	who->credential = s.best.id;
	who->used_up = s.best.uses_left <= (int64_t)issue_pending_uses(ra, s.best.id);
	who->expired = s.best.expires <= ra->now;
	return true;
}

static bool ours(struct ra *ra, const struct cert *c, struct certificate *row, struct err *e)
{
	for (size_t i = 0; i < ra->gen_n; i++) {
		struct cert *issuer = mem_new(sizeof *issuer);
		bool same = cert_parse(issuer, ra->gen_cert[i].p, ra->gen_cert[i].n, NULL) && span_equal(issuer->subject, c->issuer) &&
		            span_equal(issuer->ski, c->aki);

		free(issuer);
		if (same)
			return store_certificate_by_serial(ra->c.store, ra->gens[i].ref, (struct span){ c->serial.v, c->serial.n }, row, e);
	}
	return err_set(e, ERR_NOT_FOUND, "no such certificate");
}

/* front has checked the path; status and owner are ours to know. */
static bool by_certificate(struct ra *ra, const struct ra_enroll *q, struct who *who, struct err *e)
{
	AUTO_FREE struct cert *c = mem_new(sizeof *c);
	char when[32];
	bool blocked;

	if (!cert_parse(c, q->client.p, q->client.n, e))
		return false;
	if (!ours(ra, c, &who->cert, e))
		return e->kind != ERR_NOT_FOUND ? false
		                                : err_set(e, ERR_BAD_CERT, "client certificate: it was not issued by this authority");
	clock_rfc3339_s(who->cert.revoked_at, when, sizeof when);
	if (who->cert.status == STORE_REVOKED)
		return err_set(e, ERR_DENIED, "client certificate: it was revoked on %s (%s)", when,
		               crl_reason_name((enum crl_reason)who->cert.reason));
	if (c->not_after + US_PER_SECOND <= ra->now || c->not_before > ra->now)
		return err_set(e, ERR_BAD_CERT, "client certificate: it is not valid now");
	if (!store_key_blocked(ra->c.store, who->cert.spki, &blocked, e))
		return false;
	if (blocked)
		return err_set(e, ERR_DENIED, "client certificate: its key was revoked as compromised; enrol anew with a password and a new key");
	if (!cert_has_eku(c, "1.3.6.1.5.5.7.3.2"))
		return err_set(e, ERR_BAD_CERT, "client certificate: it is not for client authentication");
	if (who->cert.subject == 0 || !store_subject_by_id(ra->c.store, who->cert.subject, &who->subject, e))
		return err_set(e, ERR_DENIED, "client certificate: it belongs to no device");
	who->cert_san = c->san;
	if (!dn_parse(&who->cert_dn, c->subject, NULL, e))
		return false;
	san_list_normalise(&who->cert_san);
	who->auth = "certificate";
	who->has_cert = true;
	return true;
}

/* A right password counts before a certificate; a re-enrolment is always by certificate. */
static bool identify(struct ra *ra, const struct ra_enroll *q, struct who *who, struct err *e)
{
	if (q->client.n != 0 && (q->op == RA_SIMPLE_REENROLL || q->user[0] == 0))
		return by_certificate(ra, q, who, e);
	if (q->op == RA_SIMPLE_REENROLL && q->client_why[0] != 0)
		return err_set(e, ERR_BAD_CERT, "client certificate: %s", q->client_why);
	if (q->op == RA_SIMPLE_REENROLL)
		return err_set(e, ERR_UNAUTHENTICATED, "simplereenroll needs the certificate that is to be renewed");
	if (q->user[0] == 0)
		return err_set(e, ERR_UNAUTHENTICATED, "a name and password (Basic) is needed");
	return by_password(ra, q, who, e);
}

/* Which profile, and does its door stand open to this device? */
static const struct active *authorize(struct ra *ra, const struct ra_enroll *q, const struct who *who, struct err *e)
{
	const struct active *p = profile_active(ra, q->label[0] != 0 ? q->label : who->subject.profile);

	if (p == NULL || (p->p.doors & DOOR_EST) == 0) {
		err_set(e, ERR_NOT_FOUND, "no EST label of this name: a label is a profile with the est door");
		return NULL;
	}
	if (!who->subject.enabled) {
		err_set(e, ERR_DENIED, "%s is disabled; ask a PKI officer", who->subject.name);
		return NULL;
	}
	if (strcmp(p->p.name, who->subject.profile) != 0) {
		err_set(e, ERR_DENIED, "%s is registered for profile %s, not %s", who->subject.name, who->subject.profile, p->p.name);
		return NULL;
	}
	return p;
}

struct rules {
	size_t n;
	struct san rule[RULE_MAX];
};

static bool take_rule(void *arg, const struct identifier *id)
{
	struct rules *r = arg;
	AUTO_FREE char *text = mem_printf("%s:%s", id->type, id->value);

	if (strcmp(id->type, "tag") != 0 && r->n < RULE_MAX && san_from_text(&r->rule[r->n], text, true, NULL))
		r->n++;
	return true;
}

/* EST-26: identity, label, operation, key, names; not the CSR, whose signature changes. */
static void request_key(uint8_t out[32], const struct ra_enroll *q, const struct who *who, const struct active *p,
                        const struct csr *csr, const struct grant *g)
{
	AUTO_BUF b = { 0 };

	wr_text(&b, who->subject.uuid);
	wr_text(&b, p->p.name);
	wr_u8(&b, (uint8_t)q->op);
	wr_span(&b, csr->spki.p, csr->spki.n);
	dn_put(&b, &g->subject);
	san_list_put(&b, &g->san);
	wr_u32(&b, g->eku_mask);
	if (who->has_cert)
		wr_span(&b, who->cert.serial, who->cert.serial_n);
	digest_sha256(out, b.p, b.n);
}

struct scratch {
	uint8_t spki[32];
	struct ra_enroll q;
	struct who who;
	struct csr csr;
	struct grant grant;
	struct rules rules;
};

/* One request at a time: 160 kB are not made anew, nor cleared, for each. What the lists hold beyond their count is never
 * read; all that says who somebody is begins empty. */
static struct scratch *scratch_clear(struct ra *ra)
{
	struct scratch *s = ra->scratch;

	if (s == NULL)
		s = ra->scratch = mem_new(sizeof *s);
	memset(&s->who, 0, offsetof(struct who, cert_san));
	s->who.cert_san.n = 0;
	s->who.cert_dn = (struct dn){ 0 };
	s->who.has_cert = false;
	s->rules.n = s->grant.san.n = 0;
	s->grant.subject = (struct dn){ 0 };
	s->grant.eku_mask = 0;
	s->grant.dn_ignored = s->grant.ext_ignored = 0;
	s->grant.cn_dropped = false;
	mem_wipe(&s->q, sizeof s->q);
	return s;
}

static bool replay(struct ra *ra, const struct in *in, const struct scratch *s, const uint8_t key[32], const struct active *p,
                   struct err *e)
{
	const struct ra_enroll *q = &s->q;
	struct audit_event ev = { .event = "cert.replay", .outcome = "success", .auth = "system", .source = &q->source,
		                  .object_type = "certificate" };
	struct certificate row;
	struct serial serial;
	AUTO_BUF der = { 0 };
	char text[2 * SERIAL_MAX + 1];

	if (!store_certificate_by_request(ra->c.store, key, s->spki, ra->now - US_PER_DAY, &row, e) ||
	    !store_certificate_der(ra->c.store, row.id, &der, e))
		return false;
	/* ca is not asked, so the proof of possession is looked at here (X509-34). */
	if (!csr_verify(&s->csr, e))
		return false;
	serial.n = (uint8_t)row.serial_n;
	memcpy(serial.v, row.serial, row.serial_n);
	serial_text(&serial, text, sizeof text);
	ev.actor = row.subject_name;
	ev.object = text;
	audit_detail(&ev, "reason", "the same request again: the same certificate");
	audit(ra, &ev);
	issue_deliver(ra, in->port, in->f.id, LEAF_EST, &row, span_of(&der), p->p.est_wrapped, p->p.est_chain);
	return true;
}

static bool check_password_left(const struct who *who, struct err *e)
{
	if (who->expired)
		return err_set(e, ERR_UNAUTHENTICATED, "the password has expired; ask a PKI officer for a new one (caduceus device password %s)",
		               who->subject.name);
	if (who->used_up)
		return err_set(e, ERR_UNAUTHENTICATED,
		               "the password has been used up; ask a PKI officer for a new one (caduceus device password %s)",
		               who->subject.name);
	return true;
}

/* EST-05: what policy makes of the request must be what the certificate has. */
static bool same_names(const struct who *who, const struct active *p, const struct grant *g, struct err *e)
{
	const char *was = dn_first(&who->cert_dn, DN_CN), *is = dn_first(&g->subject, DN_CN);
	bool same_profile = memcmp(p->digest, who->cert.profile_digest, 32) == 0;
	char dn[600];

	dn_text(&g->subject, dn, sizeof dn);
	/* The fixed attributes are the profile's: when an officer has changed it, its renewals follow, the device's own name
	 * stays. */
	if (same_profile ? strcasecmp(dn, who->cert.dn) != 0 : (was == NULL) != (is == NULL) || (was != NULL && strcasecmp(was, is) != 0))
		return err_set(e, ERR_BAD_NAME, "a renewal keeps the subject: the certificate has %.120s, the request %.120s", who->cert.dn, dn);
	if (!san_list_equal(&g->san, &who->cert_san))
		return err_set(e, ERR_BAD_NAME, "a renewal keeps the alternative names; ask for those of the certificate, or enroll anew");
	return true;
}

static bool enroll(struct ra *ra, const struct in *in, struct scratch *s, struct err *e)
{
	struct ra_enroll *q = &s->q;
	struct policy_names names;
	const struct active *p;
	uint8_t key[32];

	if (q->label[0] != 0 && ((p = profile_active(ra, q->label)) == NULL || (p->p.doors & DOOR_EST) == 0))
		return err_set(e, ERR_NOT_FOUND, "no EST label of this name: a label is a profile with the est door");
	if (!identify(ra, q, &s->who, e))
		return false;
	if (!limiter_allows_request(ra->limiter, s->who.subject.name, q->source.address, ra->mono, e))
		return false;
	p = authorize(ra, q, &s->who, e);
	if (p == NULL || !csr_parse(&s->csr, q->csr.p, q->csr.n, e) ||
	    !store_identifier_list(ra->c.store, s->who.subject.id, take_rule, &s->rules, e))
		return false;
	names = (struct policy_names){ .name = s->who.subject.name, .rule_n = s->rules.n, .rule = s->rules.rule };
	if (!policy_grant(&s->grant, &p->p, &names, &s->csr, e))
		return false;
	if (q->op == RA_SIMPLE_REENROLL && !same_names(&s->who, p, &s->grant, e))
		return false;
	digest_sha256(s->spki, s->csr.spki.p, s->csr.spki.n);
	request_key(key, q, &s->who, p, &s->csr, &s->grant);
	if (replay(ra, in, s, key, p, e))
		return true;
	if (e->kind != ERR_NOT_FOUND)
		return false;
	if (issue_pending_same(ra, key)) {
		err_set(e, ERR_BUSY, "the same request is under way; try again in a moment");
		e->retry_after = 1;
		return false;
	}
	if (!check_password_left(&s->who, e))
		return false;
	return issue_start(ra, &(struct issue_order){
	                               .origin = LEAF_EST, .port = in->port, .client = in->f.id,
	                               .deadline = in->f.deadline != 0 ? in->f.deadline : ra->mono + 20 * US_PER_SECOND,
	                               .profile = p, .csr = &s->csr, .csr_der = q->csr, .spki = s->spki, .grant = &s->grant,
	                               .subject = s->who.subject.id, .credential = s->who.credential, .request_key = key,
	                               .source = &q->source, .actor = s->who.subject.name, .auth = s->who.auth,
	                               .event = q->op == RA_SIMPLE_REENROLL ? "cert.renew" : "cert.issue", .chain = p->p.est_chain },
	                   e);
}

static void audit_refusal(struct ra *ra, const char *event, const char *actor, const char *auth, const struct ra_source *source,
                          const char *label, const struct err *e)
{
	struct audit_event ev = { .event = event, .outcome = "refused", .actor = actor, .auth = auth, .source = source,
		                  .object_type = "request", .object = "" };
	char labels[64];

	snprintf(labels, sizeof labels, "reason=\"%s\"", err_kind_name(e->kind));
	metrics_add(ra->metrics, "caduceus_rejected_total", labels, 1);
	audit_detail(&ev, "kind", err_kind_name(e->kind));
	audit_detail(&ev, "reason", e->text);
	audit_detail(&ev, "label", label);
	audit(ra, &ev);
}

void enroll_request(struct ra *ra, const struct in *in)
{
	struct scratch *s = scratch_clear(ra);
	struct err e = { 0 };
	bool good;

	/* AUD-12: what could not be recorded is not begun. A record of every refusal would fill the last of the disk. */
	if (!writing_allowed(ra, &e)) {
		metrics_add(ra->metrics, "caduceus_rejected_total", "reason=\"store\"", 1);
		answer_error(ra, in->port, in->f.id, &e);
		return;
	}
	good = ra_enroll_get(in->f.body, &s->q, &e) && store_savepoint(ra->c.store, &e);
	if (good && !enroll(ra, in, s, &e)) {
		store_rollback_to(ra->c.store);
		good = false;
	} else if (good) {
		good = store_release(ra->c.store, &e);
	}
	if (!good) {
		audit_refusal(ra, s->q.op == RA_SIMPLE_REENROLL ? "est.simplereenroll" : "est.simpleenroll",
		              s->who.subject.name[0] != 0 ? s->who.subject.name : s->q.user, s->who.auth != NULL ? s->who.auth : "none",
		              &s->q.source, s->q.label, &e);
		answer_error(ra, in->port, in->f.id, &e);
	}
	mem_wipe(s->q.password, sizeof s->q.password);
}

void refused_notice(struct ra *ra, const struct in *in)
{
	AUTO_FREE struct ra_refused *r = mem_new(sizeof *r);
	struct err e;

	if (!writing_allowed(ra, &e) || !ra_refused_get(in->f.body, r, &e))
		return;
	err_set(&e, r->kind, "%s", r->text);
	audit_refusal(ra, r->what, r->user, "none", &r->source, "", &e);
}

/* --- The enrolment listener's own certificate (OPS-19): names are the configuration's, whatever the request says. */

static void add_name(struct rules *r, const char *host)
{
	AUTO_FREE char *ip = mem_printf("ip:%s", host);
	AUTO_FREE char *dns = mem_printf("dns:%s", host);

	if (san_from_text(&r->rule[r->n], ip, false, NULL) || san_from_text(&r->rule[r->n], dns, false, NULL))
		r->n++;
}

static void own_names(struct ra *ra, struct rules *r)
{
	char host[256];
	uint16_t port;

	r->n = 0;
	if (config_url_host(ra->config->public_enroll, host, sizeof host))
		add_name(r, host);
	if (strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0) {
		add_name(r, "localhost");
		add_name(r, "127.0.0.1");
		add_name(r, "::1");
	}
	if (config_host_port(ra->config->listen_enroll, host, sizeof host, &port) && strcmp(host, "0.0.0.0") != 0 &&
	    strcmp(host, "::") != 0)
		add_name(r, host);
}

static bool own_subject(struct ra *ra, struct subject *s, struct err *e)
{
	if (store_subject_by_name(ra->c.store, "service", "enroll", s, e))
		return true;
	if (e->kind != ERR_NOT_FOUND)
		return false;
	*s = (struct subject){ .enabled = true, .created = ra->now };
	strcpy(s->kind, "service");
	strcpy(s->name, "enroll");
	strcpy(s->profile, "server");
	return store_subject_add(ra->c.store, s, e);
}

static bool own_certificate(struct ra *ra, const struct in *in, struct scratch *s, struct err *e)
{
	struct rd r = rd_of(in->f.body.p, in->f.body.n);
	struct span der = rd_span(&r, CSR_MAX);
	const struct active *p = profile_active(ra, "server");
	struct policy_names names = { .name = "enroll", .any = true };

	if (!rd_done(&r) || p == NULL || (p->p.doors & DOOR_INTERNAL) == 0)
		return err_set(e, ERR_CONFLICT, "profile server is not there or has no internal door");
	own_names(ra, &s->rules);
	if (!own_subject(ra, &s->who.subject, e) || !csr_parse(&s->csr, der.p, der.n, e))
		return false;
	if (s->csr.dn.n != 0 || s->csr.has_san || s->rules.n == 0)
		return err_set(e, ERR_BAD_NAME, "names of the own certificate come from the configuration");
	s->csr.has_san = true;
	s->csr.san.n = s->rules.n;
	memcpy(s->csr.san.v, s->rules.rule, s->rules.n * sizeof s->rules.rule[0]);
	return policy_grant(&s->grant, &p->p, &names, &s->csr, e) &&
	       issue_start(ra, &(struct issue_order){ .origin = LEAF_TLS, .port = in->port, .client = in->f.id,
	                                              .deadline = ra->mono + 20 * US_PER_SECOND, .profile = p, .csr = &s->csr,
	                                              .csr_der = der, .grant = &s->grant, .subject = s->who.subject.id,
	                                              .actor = "front", .auth = "system", .event = "tls.renew", .chain = true },
	                   e);
}

void tls_request(struct ra *ra, const struct in *in)
{
	struct scratch *s = scratch_clear(ra);
	struct err e = { 0 };

	if (!own_certificate(ra, in, s, &e)) {
		/* While an instance is made, front asks until its authority is there. */
		if (e.kind != ERR_BUSY && e.kind != ERR_STORE && !(ra->c.provision && e.kind == ERR_CONFLICT))
			audit_refusal(ra, "tls.renew", "front", "system", NULL, "", &e);
		answer_error(ra, in->port, in->f.id, &e);
	}
}
