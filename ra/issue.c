/* SPDX-License-Identifier: Apache-2.0
 *
 * The one path to a certificate: serial and intent recorded, ca asked, certificate and audit recorded, answered. */
#include "ra/internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

bool issue_pending_same(struct ra *ra, const uint8_t key[32])
{
	for (const struct work *w = ra->under_way; w != NULL; w = w->next)
		if (w->kind == WORK_LEAF && memcmp(w->leaf->row.request_key, key, 32) == 0)
			return true;
	return false;
}

unsigned issue_pending_uses(struct ra *ra, int64_t credential)
{
	unsigned n = 0;

	for (const struct work *w = credential != 0 ? ra->under_way : NULL; w != NULL; w = w->next)
		n += w->kind == WORK_LEAF && w->leaf->credential == credential;
	return n;
}

/* What is under way has no row yet. */
static bool pending_elsewhere(const struct ra *ra, const uint8_t spki[32], int64_t subject, const char *dn)
{
	for (const struct work *w = ra->under_way; w != NULL; w = w->next) {
		const struct leaf *l = w->kind == WORK_LEAF ? w->leaf : NULL;

		if (l != NULL && memcmp(l->row.spki, spki, 32) == 0 && (l->subject != subject || (subject == 0 && strcmp(l->row.dn, dn) != 0)))
			return true;
	}
	return false;
}

/* X509-40, 39, max_key_age: is this key free for this subject? */
static bool check_key(struct ra *ra, const struct issue_order *o, const uint8_t spki[32], struct err *e)
{
	const struct profile *p = &o->profile->p;
	char dn[sizeof ((struct certificate *)0)->dn];
	int64_t other, first;
	bool blocked;

	if (!store_key_blocked(ra->c.store, spki, &blocked, e))
		return false;
	if (blocked)
		return err_set(e, ERR_BAD_KEY, "this key was revoked as compromised and is refused for ever; make a new key");
	if (!p->shared_key) {
		dn_text(&o->grant->subject, dn, sizeof dn);
		if (!store_spki_owner(ra->c.store, spki, o->subject, ra->now, &other, e))
			return false;
		/* Officers' requests are nobody's: there the name tells who is who. */
		if (other == 0 && o->subject == 0 && !store_spki_other_name(ra->c.store, spki, dn, ra->now, &other, e))
			return false;
		if (other != 0 || pending_elsewhere(ra, spki, o->subject, dn))
			return err_set(e, ERR_BAD_KEY, "this key belongs to a certificate of somebody else; make a new key");
	}
	if (p->max_key_age != 0) {
		if (!store_spki_first(ra->c.store, spki, o->subject, &first, e))
			return false;
		if (first != 0 && ra->now - first > p->max_key_age)
			return err_set(e, ERR_BAD_KEY, "this key is older than profile %s allows; make a new key", p->name);
	}
	return true;
}

static void fill_row(struct ra *ra, struct certificate *row, const struct issue_order *o, const struct generation *g,
                     const struct serial *s, const struct validity *v, const uint8_t spki[32])
{
	*row = (struct certificate){ .ref = g->ref, .subject = o->subject, .gen = g->gen, .serial_n = s->n,
		                     .not_before = v->not_before, .not_after = v->not_after, .issued = ra->now, .lint_version = CA_LINT_VERSION };
	memcpy(row->serial, s->v, s->n);
	snprintf(row->ca, sizeof row->ca, "%s", g->name);
	memcpy(row->profile_digest, o->profile->digest, 32);
	snprintf(row->profile, sizeof row->profile, "%s", o->profile->p.name);
	dn_text(&o->grant->subject, row->dn, sizeof row->dn);
	memcpy(row->spki, spki, 32);
	if (o->request_key != NULL)
		memcpy(row->request_key, o->request_key, 32);
}

/* What an intent, and what the count of those issued, says of where a request came from. */
static const struct {
	const char *purpose, *protocol;
} origins[] = {
	[LEAF_EST] = { "enroll", "est" }, [LEAF_OFFICER] = { "officer", "officer" }, [LEAF_TLS] = { "tls", "internal" },
	[LEAF_ACME] = { "acme", "acme" },
};

bool issue_start(struct ra *ra, const struct issue_order *o, struct err *e)
{
	struct generation *g = gen_newest(ra, o->profile->p.authority);
	AUTO_FREE struct ca_issue *i = mem_new(sizeof *i);
	struct validity v;
	uint8_t spki[32];
	struct work *w;

	if (g == NULL)
		return err_set(e, ERR_CONFLICT, "profile %s names authority %s, which does not exist", o->profile->p.name,
		               o->profile->p.authority);
	if (ra->setup_phase != SETUP_DONE || !o->profile->accepted) {
		err_set(e, ERR_BUSY, "the signer is starting; try again in a moment");
		e->retry_after = 1;
		return false;
	}
	if (ra->now < g->not_before) {
		err_set(e, ERR_BUSY, "the service's clock stands before its authority was made; nothing is issued until it is right");
		e->retry_after = 60;
		return false;
	}
	if (o->spki != NULL)
		memcpy(spki, o->spki, sizeof spki);
	else
		digest_sha256(spki, o->csr->spki.p, o->csr->spki.n);
	if (!writing_allowed(ra, e) || !check_key(ra, o, spki, e) || !policy_validity(&v, &o->profile->p, g->not_before, g->not_after, ra->now, e))
		return false;
	/* Before the intent: an order that waits for room keeps what this has written. */
	w = work_new(ra, WORK_LEAF, CA_ISSUE, o->deadline, e);
	if (w == NULL)
		return false;
	if (!intent_make(ra, g->ref, o->subject, origins[o->origin].purpose, &i->serial, e)) {
		work_free(ra, w);
		return false;
	}
	memcpy(i->profile, o->profile->digest, 32);
	snprintf(i->gen.name, sizeof i->gen.name, "%s", g->name);
	i->gen.gen = g->gen;
	i->not_before = v.not_before;
	i->not_after = v.not_after;
	i->subject = o->grant->subject;
	i->san = o->grant->san;
	i->eku_mask = o->grant->eku_mask;
	i->csr = o->csr_der;
	w->port = o->port;
	w->client = o->client;
	w->ref = g->ref;
	w->serial = i->serial;
	w->leaf = mem_new(sizeof *w->leaf);
	w->leaf->origin = o->origin;
	if (o->source != NULL)
		w->leaf->source = *o->source;
	snprintf(w->leaf->actor, sizeof w->leaf->actor, "%s", o->actor);
	w->leaf->auth = o->auth;
	w->leaf->event = o->event;
	w->leaf->subject = o->subject;
	w->leaf->credential = o->credential;
	w->leaf->wrapped = o->profile->p.est_wrapped;
	w->leaf->chain = o->chain;
	w->leaf->acme_order = o->acme_order;
	w->leaf->clamped = v.clamped;
	w->leaf->ignored = o->grant->dn_ignored + o->grant->ext_ignored;
	fill_row(ra, &w->leaf->row, o, g, &i->serial, &v, spki);
	ca_issue_put(&w->ask, i);
	ask_ca(ra, w, span_of(&w->ask));
	return true;
}

void issue_deliver(struct ra *ra, enum ra_port port, uint64_t client, enum leaf_origin origin, const struct certificate *row,
                   struct span der, bool wrapped, bool chain)
{
	struct ra_enrolled a = { .cert = der, .wrapped = wrapped };
	AUTO_BUF body = { 0 };
	AUTO_BUF rec = { 0 };

	if (origin == LEAF_ACME)
		return; /* acme_delivered: the answer is its order */
	if (origin == LEAF_OFFICER) {
		officer_certificate_row(&rec, row, ra->now, true, der);
		wr_span(&body, rec.p, rec.n);
		officer_rows(ra, client, "certificate", false, "", 1, span_of(&body));
		return;
	}
	for (struct generation *g = gen_by_ref(ra, row->ref); chain && g != NULL && a.chain_n < 4; g = gen_by_ref(ra, g->parent))
		a.chain[a.chain_n++] = span_of(&ra->gen_cert[gen_index(ra, g)]);
	ra_enrolled_put(&body, &a);
	answer(ra, port, client, RA_OK, span_of(&body));
}

static void audit_leaf(struct ra *ra, const struct leaf *l, const char *serial, const char *outcome, const char *why)
{
	struct audit_event ev = { .event = l->event, .outcome = outcome, .actor = l->actor, .auth = l->auth,
		                  .source = l->source.address[0] != 0 ? &l->source : NULL, .object_type = "certificate", .object = serial };
	char spki[65], ignored[16], gen[16];

	hex_put(spki, l->row.spki, 32);
	snprintf(ignored, sizeof ignored, "%u", l->ignored);
	snprintf(gen, sizeof gen, "%u", l->row.gen);
	audit_detail(&ev, "ca", l->row.ca);
	audit_detail(&ev, "gen", gen);
	audit_detail(&ev, "profile", l->row.profile);
	audit_detail(&ev, "subject", l->row.dn);
	audit_detail(&ev, "spki_sha256", spki);
	audit_detail(&ev, "reason", why);
	if (l->ignored != 0)
		audit_detail(&ev, "ignored", ignored);
	if (l->clamped)
		audit_detail(&ev, "validity", "VALIDITY_CLAMPED");
	audit(ra, &ev);
}

/* Refused by ca before its key was used: the serial stands nowhere. Otherwise it is reported as revoked for ever. */
static bool refused_unsigned(enum err_kind kind)
{
	return kind == ERR_BAD_CSR || kind == ERR_BAD_KEY || kind == ERR_BAD_NAME || kind == ERR_POLICY || kind == ERR_LINT ||
	       kind == ERR_BAD_REQUEST || kind == ERR_DENIED || kind == ERR_TOO_LARGE;
}

static void close_intent(struct ra *ra, const struct work *w, bool signed_perhaps, const char *why)
{
	struct generation *g = gen_by_ref(ra, w->ref);
	char serial[2 * SERIAL_MAX + 1];
	uint64_t seq;
	struct err e;

	serial_text(&w->serial, serial, sizeof serial);
	if (!signed_perhaps) {
		if (!store_intent_close(ra->c.store, w->ref, (struct span){ w->serial.v, w->serial.n }, &e)) {
			ra->audit_ok = false;
			snprintf(ra->last_failure, sizeof ra->last_failure, "%.255s", e.text);
		}
	} else if (!store_serial_void(ra->c.store, w->ref, (struct span){ w->serial.v, w->serial.n }, ra->now, g->not_after, &seq, &e)) {
		ra->audit_ok = false;
		snprintf(ra->last_failure, sizeof ra->last_failure, "%.255s", e.text);
	}
	if (w->leaf != NULL)
		audit_leaf(ra, w->leaf, serial, "failed", why);
}

/* No certificate: who waits is told, and an order goes on or ends. */
static void given_up(struct ra *ra, struct work *w, bool for_good, const struct err *why)
{
	if (w->leaf->origin == LEAF_ACME)
		acme_not_issued(ra, w->leaf, for_good, why);
	else
		answer_error(ra, w->port, w->client, why);
	work_free(ra, w);
}

/* ca died with it in its hands: perhaps it has signed. That serial is closed and a new one drawn, once. */
void issue_ca_lost(struct ra *ra, struct work *w)
{
	struct err e;

	close_intent(ra, w, true, "the signer restarted; never delivered");
	if (w->leaf->retried || ra->mono > w->deadline) {
		err_set(&e, ERR_BUSY, "the signer is restarting; try again in a moment");
		e.retry_after = 1;
		given_up(ra, w, false, &e);
		return;
	}
	w->leaf->retried = w->leaf->waiting = true;
	w->serial.n = 0;
	if (ra->setup_phase == SETUP_DONE)
		issue_ca_back(ra);
}

void issue_cancel(struct ra *ra, int64_t subject)
{
	for (const struct work *w = subject != 0 ? ra->under_way : NULL; w != NULL; w = w->next)
		if (w->kind == WORK_LEAF && w->leaf->subject == subject)
			w->leaf->cancelled = true;
}

static bool ask_again(struct ra *ra, struct work *w, struct err *e)
{
	AUTO_FREE struct ca_issue *i = mem_new(sizeof *i);
	AUTO_BUF ask = { 0 };
	const struct active *p = profile_by_digest(ra, w->leaf->row.profile_digest);

	if (p == NULL || !p->accepted)
		return err_set(e, ERR_BUSY, "the profile has changed meanwhile; ask again");
	if (!ca_issue_get(span_of(&w->ask), i, e) || !intent_make(ra, w->ref, w->leaf->subject, "enroll", &i->serial, e))
		return false;
	w->serial = i->serial;
	memcpy(w->leaf->row.serial, i->serial.v, i->serial.n);
	w->leaf->waiting = false;
	w->generation++; /* an answer to the first asking is nobody's now */
	ca_issue_put(&ask, i);
	ask_ca(ra, w, span_of(&ask));
	return true;
}

void issue_ca_back(struct ra *ra)
{
	struct err e;

	for (struct work *w = ra->under_way, *next; w != NULL; w = next) {
		next = w->next;
		if (w->kind != WORK_LEAF || !w->leaf->waiting || ask_again(ra, w, &e))
			continue;
		given_up(ra, w, false, &e);
	}
}

static bool record(struct ra *ra, struct work *w, struct span der, struct err *e)
{
	struct leaf *l = w->leaf;
	char serial[2 * SERIAL_MAX + 1], labels[128];

	serial_text(&w->serial, serial, sizeof serial);
	if (!store_certificate_add(ra->c.store, &l->row, der, e))
		return false;
	/* EST-26: a use of a password counts in the issuing commit. */
	if (l->credential != 0 && !store_credential_use(ra->c.store, l->credential, e))
		return false;
	if (l->origin == LEAF_ACME && !acme_issued(ra, l, e))
		return false;
	audit_leaf(ra, l, serial, "success", NULL);
	snprintf(labels, sizeof labels, "protocol=\"%s\",profile=\"%s\",ca=\"%s\"", origins[l->origin].protocol, l->row.profile, l->row.ca);
	metrics_add(ra->metrics, "caduceus_issued_total", labels, 1);
	return true;
}

static void leaf_answered(struct ra *ra, struct work *w, bool good, struct span der, const struct err *why)
{
	struct err e = *why;
	bool answered_good = good;

	if (!good && (why->kind == ERR_TIMEOUT || why->kind == ERR_BUSY)) {
		issue_ca_lost(ra, w);
		return;
	}
	if (good && w->leaf->cancelled) {
		good = err_set(&e, ERR_BUSY, "%s was disabled, or a certificate of it revoked, while this was under way; ask again",
		               w->leaf->actor);
		e.retry_after = 1;
	}
	if (good && !store_savepoint(ra->c.store, &e))
		good = false;
	else if (good && !record(ra, w, der, &e)) {
		store_rollback_to(ra->c.store);
		good = false;
	} else if (good) {
		good = store_release(ra->c.store, &e);
	}
	if (good) {
		issue_deliver(ra, w->port, w->client, w->leaf->origin, &w->leaf->row, der, w->leaf->wrapped, w->leaf->chain);
		if (w->leaf->origin == LEAF_ACME)
			acme_delivered(ra, w->leaf);
		work_free(ra, w);
	} else {
		close_intent(ra, w, answered_good || !refused_unsigned(why->kind), e.text);
		if (!answered_good && refused_unsigned(why->kind) && w->leaf->source.address[0] != 0)
			limiter_bad_request(ra->limiter, w->leaf->actor, w->leaf->source.address, ra->mono);
		given_up(ra, w, !answered_good && refused_unsigned(why->kind), &e);
	}
}

static bool record_responder(struct ra *ra, struct work *w, struct span body, struct err *e)
{
	struct generation *g = gen_by_ref(ra, w->ref);
	const struct active *p = profile_active(ra, "ocsp");
	struct certificate row = { .ref = w->ref, .serial_n = w->serial.n, .issued = ra->now, .lint_version = CA_LINT_VERSION };
	AUTO_FREE struct cert *c = mem_new(sizeof *c);
	struct ca_created made;
	struct dn dn;

	memcpy(row.serial, w->serial.v, w->serial.n);
	if (p == NULL || !ca_created_get(body, &made, e) || !cert_parse(c, made.cert.p, made.cert.n, e) ||
	    !dn_parse(&dn, c->subject, NULL, e))
		return false;
	memcpy(row.profile_digest, p->digest, 32);
	dn_text(&dn, row.dn, sizeof row.dn);
	row.not_before = c->not_before;
	row.not_after = c->not_after;
	digest_sha256(row.spki, c->spki.p, c->spki.n);
	return store_certificate_add(ra->c.store, &row, made.cert, e) &&
	       store_responder_set(ra->c.store, g->ref, made.key_id, made.cert, c->not_before, c->not_after, e) && gens_load(ra, e);
}

static void responder_answered(struct ra *ra, struct work *w, bool good, struct span body, const struct err *why)
{
	struct audit_event ev = { .event = "ocsp.responder", .outcome = "success", .actor = "ra", .auth = "system", .object_type = "authority" };
	struct err e = *why;
	int64_t ref = w->ref;

	ra->provisioning = false;
	if (good && !record_responder(ra, w, body, &e))
		good = false;
	if (!good) {
		ra->responder_retry_at = ra->mono + US_PER_MINUTE;
		log_event(LOG_LEVEL_ERROR, "OCSP responder not renewed; tried again in a minute", "why", e.text, NULL);
		close_intent(ra, w, !refused_unsigned(e.kind), e.text);
	}
	ev.object = gen_by_ref(ra, w->ref)->name;
	ev.outcome = good ? "success" : "failed";
	audit_detail(&ev, "reason", good ? NULL : e.text);
	audit(ra, &ev);
	work_free(ra, w);
	/* Answers under the old one go on until ca has the new one. */
	if (good)
		setup_responder(ra, gen_by_ref(ra, ref));
}

void issue_answered(struct ra *ra, struct work *w, bool good, struct span body, const struct err *why)
{
	if (w->kind == WORK_RESPONDER)
		responder_answered(ra, w, good, body, why);
	else
		leaf_answered(ra, w, good, body, why);
}
