/* SPDX-License-Identifier: Apache-2.0
 *
 * From a ready order to its certificate (RFC 8555, 7.4): `processing` and the request are written with the intent, `valid`
 * with the certificate. What fails for now is tried again by the clock, under a new serial, also after a restart. */
#include "ra/acme_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { CN_MAX = 64 }; /* RFC 5280, A.1: ub-common-name */

/* --- Clients that wait */

bool acme_wait_add(struct acme *s, const struct acme_wait *w)
{
	if (s->wait_n == ACME_WAIT_MAX)
		return false;
	s->wait[s->wait_n++] = *w;
	return true;
}

static void wait_remove(struct acme *s, size_t i)
{
	s->wait[i] = s->wait[--s->wait_n];
}

/* The order as it is now. */
static void tell_one(struct ra *ra, struct acme *s, const struct acme_wait *w)
{
	struct err e = { 0 };

	acme_answer_clear(s);
	if (w->order == 0)
		acme_give(ra, w->client, s);
	else if (acme_order_load(ra, s, w->order, &e) && acme_answer_order(ra, s, &e))
		acme_give(ra, w->client, s);
	else
		answer_error(ra, RA_PORT_ENROLL, w->client, &e);
}

static void tell_waiting(struct ra *ra, struct acme *s, int64_t order)
{
	for (size_t i = 0; i < s->wait_n;) {
		struct acme_wait w = s->wait[i];

		if (w.order != order) {
			i++;
			continue;
		}
		wait_remove(s, i);
		tell_one(ra, s, &w);
	}
}

void acme_waits_continue(struct ra *ra)
{
	struct acme *s = ra->acme;

	for (size_t i = 0; i < s->wait_n;) {
		struct acme_wait w = s->wait[i];

		if (ra->mono < w.until && (w.seq == 0 || ra->va_seen < w.seq)) {
			i++;
			continue;
		}
		wait_remove(s, i);
		tell_one(ra, s, &w);
	}
}

void acme_waits_failed(struct ra *ra, const struct err *e)
{
	struct acme *s = ra->acme;

	for (size_t i = 0; i < s->wait_n; i++)
		answer_error(ra, RA_PORT_ENROLL, s->wait[i].client, e);
	s->wait_n = 0;
}

/* --- The request against the order (ACME-37) */

static bool bad_csr(struct acme *s, const char *fmt, const char *what)
{
	/* Not a literal for one of its callers' sake: fmt is one of ours. */
	char text[400];

	snprintf(text, sizeof text, "%s%s", fmt, what);
	return acme_no(s, ACME_BAD_CSR, "%s", text);
}

static bool order_san(struct acme *s, struct err *e)
{
	s->san.n = 0;
	for (uint32_t i = 0; i < s->name_n; i++)
		if (!san_from_text(&s->san.v[s->san.n++], s->name[i].text, false, e))
			return false;
	san_list_normalise(&s->san);
	return true;
}

/* A CN is one of the names, in whatever case. */
static bool cn_is_name(const struct acme *s, const char *cn)
{
	for (uint32_t i = 0; i < s->name_n; i++) {
		struct acme_identifier id;
		AUTO_FREE char *ip = mem_printf("ip:%s", cn);
		char text[SAN_VALUE_MAX + 8];
		struct san san;

		acme_identifier_of(s->name[i].text, &id);
		if (strcasecmp(id.value, cn) == 0)
			return true;
		if (!san_from_text(&san, ip, false, NULL))
			continue;
		san_to_text(&san, text, sizeof text);
		if (strcmp(text, s->name[i].text) == 0)
			return true;
	}
	return false;
}

static bool same_names(struct acme *s)
{
	const char *cn = dn_first(&s->csr.dn, DN_CN);
	char text[SAN_VALUE_MAX + 8];

	if (s->csr.has_san)
		san_list_normalise(&s->csr.san);
	for (size_t i = 0; s->csr.has_san && i < s->csr.san.n; i++) {
		san_to_text(&s->csr.san.v[i], text, sizeof text);
		if (!san_list_has(&s->san, &s->csr.san.v[i]))
			return bad_csr(s, "the request has a name that the order has not: ", text);
	}
	if (cn != NULL && !cn_is_name(s, cn))
		return bad_csr(s, "the request's CN is none of the order's names: ", cn);
	for (size_t i = 0; i < s->san.n; i++) {
		char one[SAN_VALUE_MAX + 8];

		san_to_text(&s->san.v[i], text, sizeof text);
		snprintf(one, sizeof one, "%s", strchr(text, ':') + 1);
		if (!(s->csr.has_san && san_list_has(&s->csr.san, &s->san.v[i])) && !(cn != NULL && strcasecmp(cn, one) == 0))
			return bad_csr(s, "the request lacks a name of the order: ", text);
	}
	return true;
}

/* Most clients ask without one: who the certificate is for then stands in lists by a name of it, the account's own if it is
 * one of them. */
static void name_subject(struct acme *s)
{
	const char *cn = NULL;

	for (uint32_t i = 0; i < s->name_n; i++) {
		const char *dns = strncmp(s->name[i].text, "dns:", 4) == 0 ? s->name[i].text + 4 : NULL;

		if (dns == NULL || dns[0] == '*' || strlen(dns) > CN_MAX)
			continue;
		if (cn == NULL || strcasecmp(dns, s->account.name) == 0)
			cn = dns;
	}
	if (cn != NULL && dn_first(&s->csr.dn, DN_CN) == NULL)
		(void)!dn_add(&s->csr.dn, DN_CN, cn);
}

/* What policy makes of it; s->csr.san becomes the order's names. */
static bool grant(struct ra *ra, struct acme *s, const struct active *p, uint8_t spki[32], struct err *e)
{
	struct policy_names any = { .name = s->account.name, .any = true };
	struct err why;
	bool account;

	if (!order_san(s, e))
		return false;
	if (!csr_parse(&s->csr, s->order.csr.p, s->order.csr.n, &why))
		return bad_csr(s, why.text, "");
	if (!same_names(s))
		return false;
	digest_sha256(spki, s->csr.spki.p, s->csr.spki.n);
	if (!store_acme_account_key(ra->c.store, spki, &account, e))
		return false;
	if (account)
		return bad_csr(s, "the request's key is an account's; a certificate's is another one (RFC 8555, 11.1)", "");
	s->csr.has_san = true;
	s->csr.san = s->san;
	name_subject(s);
	return policy_grant(&s->grant, &p->p, &any, &s->csr, &why) || bad_csr(s, why.text, "");
}

/* --- Issue */

static bool start(struct ra *ra, struct acme *s, const struct active *p, const uint8_t spki[32], struct err *e)
{
	char actor[300];

	acme_actor(&s->account, actor, sizeof actor);
	return issue_start(ra, &(struct issue_order){ .origin = LEAF_ACME, .port = RA_PORT_ENROLL, .deadline = ra->mono + ACME_ISSUE_WAIT,
	                                              .profile = p, .csr = &s->csr, .csr_der = span_of(&s->order.csr), .spki = spki,
	                                              .grant = &s->grant, .subject = s->account.subject, .source = &s->q.source,
	                                              .actor = actor, .auth = "acme", .event = "cert.issue", .acme_order = s->order.id },
	                   e);
}

#define NOT_PROVEN "an authorization of this order does not hold any more; order anew"

/* Every name is still proven: name is empty. Else it is the first that is not. */
static bool proven(struct ra *ra, struct acme *s, char name[STORE_NAME + 8], struct err *e)
{
	for (uint32_t i = 0; i < s->name_n; i++) {
		struct acme_authorization *z = &s->another;

		snprintf(name, STORE_NAME + 8, "%s", s->name[i].text);
		if (!store_acme_authorization(ra->c.store, s->name[i].authorization, z, e)) {
			if (e->kind != ERR_NOT_FOUND)
				return false;
			z->state = ACME_EXPIRED;
		}
		/* Of this account and for this name, whatever number the row has. */
		if (acme_authorization_seen(z, ra->now) != ACME_VALID || z->account != s->order.account || strcmp(z->name, name) != 0)
			return true;
	}
	name[0] = 0;
	return true;
}

static bool is_ready(struct ra *ra, struct acme *s)
{
	enum acme_state seen = acme_order_seen(&s->order, ra->now);

	if (seen == ACME_READY)
		return true;
	return acme_no(s, ACME_ORDER_NOT_READY, "the order is %s, not ready%s", acme_state_name(seen),
	               seen == ACME_PENDING ? ": its authorizations come first" : "");
}

/* The problem is told, and what it does to the order stays. */
static bool end_order(struct ra *ra, struct acme *s, enum acme_problem p, const char *name, const char *detail, struct err *e)
{
	if (!acme_order_fail(ra, s, p, name, detail, e))
		return false;
	(void)acme_no(s, p, "%s", detail);
	return true;
}

bool acme_finalize(struct ra *ra, const struct in *in, struct acme *s, struct err *e)
{
	const struct active *p;
	char name[STORE_NAME + 8];
	uint8_t spki[32];
	bool now = true;
	int64_t until;

	if (!acme_order_load(ra, s, s->q.id, e))
		return acme_missing(s, "order", e);
	if (s->order.account != s->account.id)
		return acme_no(s, ACME_UNAUTHORIZED, "the order is another account's");
	if (!is_ready(ra, s) || !proven(ra, s, name, e))
		return false;
	if (name[0] != 0)
		return end_order(ra, s, ACME_UNAUTHORIZED, name, NOT_PROVEN, e);
	p = acme_realm(ra, s->order.profile);
	if (p == NULL)
		return end_order(ra, s, ACME_INVALID_PROFILE, "", "the order's profile was withdrawn; order anew", e);
	s->order.csr.n = 0;
	buf_add(&s->order.csr, s->q.csr.p, s->q.csr.n);
	if (!grant(ra, s, p, spki, e) || !acme_order_move(ra, s, ACME_PROCESSING, e))
		return false;
	s->order.due = ra->now + ACME_DUE_AGAIN;
	if (!start(ra, s, p, spki, e)) {
		if (e->kind == ERR_BAD_KEY)
			return bad_csr(s, e->text, "");
		if (e->kind != ERR_BUSY)
			return false;
		now = false; /* ca is not there yet, and will be */
		s->order.due = ra->now + US_PER_SECOND;
	}
	if (!store_acme_order_put(ra->c.store, &s->order, e))
		return false;
	until = ra->mono + ACME_ISSUE_WAIT;
	if (in->f.deadline != 0 && in->f.deadline - US_PER_SECOND < until)
		until = in->f.deadline - US_PER_SECOND;
	s->later = now && acme_wait_add(s, &(struct acme_wait){ .client = in->f.id, .order = s->order.id, .until = until });
	return s->later || acme_answer_order(ra, s, e);
}

static bool working_on(const struct ra *ra, int64_t order)
{
	for (size_t i = 0; i < RA_OUTSTANDING; i++)
		if (ra->work[i].kind == WORK_LEAF && ra->work[i].leaf->acme_order == order)
			return true;
	return false;
}

/* s->order is in processing and its time has come. */
bool acme_issue_again(struct ra *ra, struct acme *s, struct err *e)
{
	const struct active *p = acme_realm(ra, s->order.profile);
	char name[STORE_NAME + 8];
	uint8_t spki[32];

	if (working_on(ra, s->order.id))
		return store_acme_order_due(ra->c.store, s->order.id, ra->now + ACME_DUE_AGAIN, e);
	if (!store_acme_account(ra->c.store, s->order.account, &s->account, e))
		return false;
	acme_answer_clear(s);
	s->q.source = (struct ra_source){ .address = "" };
	if (s->account.state != ACME_VALID)
		return acme_order_fail(ra, s, ACME_UNAUTHORIZED, "", "the account has ended", e);
	if (p == NULL)
		return acme_order_fail(ra, s, ACME_INVALID_PROFILE, "", "the order's profile was withdrawn; order anew", e);
	if (s->order.expires <= ra->now)
		return acme_order_fail(ra, s, ACME_MALFORMED, "", "the order has expired", e);
	if (!proven(ra, s, name, e))
		return false;
	if (name[0] != 0)
		return acme_order_fail(ra, s, ACME_UNAUTHORIZED, name, NOT_PROVEN, e);
	/* OPS-17: what can wait takes no room that officers and new requests need. */
	if (ra->outstanding >= RA_OUTSTANDING / 2)
		return store_acme_order_due(ra->c.store, s->order.id, ra->now + 2 * US_PER_SECOND, e);
	if (grant(ra, s, p, spki, e) && start(ra, s, p, spki, e))
		return store_acme_order_due(ra->c.store, s->order.id, ra->now + ACME_DUE_AGAIN, e);
	if (s->a.problem != ACME_OK)
		return acme_order_fail(ra, s, s->a.problem, "", s->a.detail, e);
	if (e->kind == ERR_BAD_KEY)
		return acme_order_fail(ra, s, ACME_BAD_CSR, "", e->text, e);
	/* For now: ca starts, the disk is full, an authority's time is not right. */
	return store_acme_order_due(ra->c.store, s->order.id, ra->now + 2 * US_PER_SECOND, e);
}

/* --- What becomes of it: within the transaction that records the certificate */

bool acme_issued(struct ra *ra, const struct leaf *l, struct err *e)
{
	struct acme *s = ra->acme;
	AUTO_BUF names = { 0 };

	if (!acme_order_load(ra, s, l->acme_order, e) || !acme_order_move(ra, s, ACME_VALID, e))
		return false;
	s->order.certificate = l->row.id;
	s->order.csr.n = 0;
	/* Next, its authorizations have run out. */
	s->order.due = s->order.expires + ACME_KEEP_AUTHORIZATION;
	if (s->order.due > l->row.not_after)
		s->order.due = l->row.not_after;
	acme_names_text(s->name, s->name_n, &names);
	if (s->order.replaced == 0)
		rate_count(s->rate, RATE_DUPLICATES, s->order.account, buf_str(&names), ra->mono);
	return store_acme_order_put(ra->c.store, &s->order, e);
}

void acme_delivered(struct ra *ra, const struct leaf *l)
{
	tell_waiting(ra, ra->acme, l->acme_order);
}

/* for_good: another try would fare no better. */
void acme_not_issued(struct ra *ra, const struct leaf *l, bool for_good, const struct err *why)
{
	enum acme_problem p = why->kind == ERR_BAD_CSR || why->kind == ERR_BAD_KEY || why->kind == ERR_BAD_NAME || why->kind == ERR_POLICY
	                              ? ACME_BAD_CSR
	                              : ACME_SERVER_INTERNAL;
	struct acme *s = ra->acme;
	struct err e = { 0 };
	bool good = store_savepoint(ra->c.store, &e);

	if (!good)
		return;
	good = acme_order_load(ra, s, l->acme_order, &e);
	if (good && s->order.state == ACME_PROCESSING && for_good)
		good = acme_order_fail(ra, s, p, "", p == ACME_BAD_CSR ? why->text : "the certificate could not be made; ask a PKI officer", &e);
	else if (good && s->order.state == ACME_PROCESSING)
		good = store_acme_order_due(ra->c.store, s->order.id, ra->now + 2 * US_PER_SECOND, &e);
	if (!good || !store_release(ra->c.store, &e)) {
		log_event(LOG_LEVEL_ERROR, "an order could not be ended", "why", e.text, NULL);
		store_rollback_to(ra->c.store);
	}
	tell_waiting(ra, s, l->acme_order);
}

/* --- The certificate (7.4.2) */

/* The default chain without the root (ACME-39); the one other path has it. */
static void chain(struct ra *ra, struct acme *s, const struct certificate *row)
{
	struct ra_acme_answer *a = &s->a;
	const struct generation *g = gen_by_ref(ra, row->ref);

	a->parts |= RA_ACME_HAS_CHAIN;
	a->alternates = 1;
	a->chain[0] = span_of(&s->der);
	a->chain_n = 1;
	for (; g != NULL && a->chain_n < ACME_CHAIN_MAX && (g->parent != 0 || s->q.alternate == 1); g = gen_by_ref(ra, g->parent))
		a->chain[a->chain_n++] = span_of(&ra->gen_cert[gen_index(ra, g)]);
}

bool acme_certificate(struct ra *ra, const struct in *in, struct acme *s, struct err *e)
{
	(void)in;
	if (!acme_order_load(ra, s, s->q.id, e))
		return acme_missing(s, "certificate", e);
	if (s->order.account != s->account.id)
		return acme_no(s, ACME_UNAUTHORIZED, "the certificate is another account's");
	if (s->order.certificate == 0)
		return acme_no(s, ACME_NOT_FOUND, "the order has no certificate: it is %s", acme_state_name(acme_order_seen(&s->order, ra->now)));
	if (s->q.alternate > 1)
		return acme_no(s, ACME_NOT_FOUND, "there is no such chain");
	if (!store_certificate_by_id(ra->c.store, s->order.certificate, &s->row, e) ||
	    !store_certificate_der(ra->c.store, s->order.certificate, &s->der, e))
		return acme_missing(s, "certificate", e);
	chain(ra, s, &s->row);
	return true;
}
