/* SPDX-License-Identifier: Apache-2.0
 *
 * ACME's questions: who signed, may they; the operation; its answer. */
#include "ra/acme_internal.h"

#include "base/clock.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool acme_no(struct acme *s, enum acme_problem p, const char *fmt, ...)
{
	va_list ap;

	s->a.problem = p;
	s->a.parts = 0;
	va_start(ap, fmt);
	vsnprintf(s->a.detail, sizeof s->a.detail, fmt, ap);
	va_end(ap);
	return false;
}

bool acme_slow(struct acme *s, int wait, const char *fmt, ...)
{
	va_list ap;

	s->a.problem = ACME_RATE_LIMITED;
	s->a.parts = 0;
	s->a.retry_after = wait;
	va_start(ap, fmt);
	vsnprintf(s->a.detail, sizeof s->a.detail, fmt, ap);
	va_end(ap);
	return false;
}

bool acme_missing(struct acme *s, const char *what, const struct err *e)
{
	return e->kind != ERR_NOT_FOUND ? false : acme_no(s, ACME_NOT_FOUND, "there is no such %s", what);
}

void acme_counted(struct ra *ra, const char *family, const char *fmt, ...)
{
	char labels[METRIC_LABELS_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(labels, sizeof labels, fmt, ap);
	va_end(ap);
	metrics_add(ra->metrics, family, labels, 1);
}

void acme_actor(const struct acme_account *a, char *out, size_t size)
{
	snprintf(out, size, "acme/%lld (%.200s)", (long long)a->id, a->name);
}

const struct active *acme_realm(const struct ra *ra, const char *name)
{
	const struct active *p = profile_active(ra, name);

	return p != NULL && (p->p.doors & DOOR_ACME) != 0 ? p : NULL;
}

/* --- Answers */

/* What the lists hold beyond their counts is never read. */
void acme_answer_clear(struct acme *s)
{
	struct ra_acme_answer *a = &s->a;

	a->parts = 0;
	a->problem = ACME_OK;
	a->detail[0] = 0;
	a->retry_after = 0;
	a->sub_n = 0;
	a->account = 0;
	a->created = false;
}

void acme_give(struct ra *ra, uint64_t client, struct acme *s)
{
	AUTO_BUF body = { 0 };

	ra_acme_answer_put(&body, &s->a);
	answer(ra, RA_PORT_ENROLL, client, RA_OK, span_of(&body));
}

bool acme_answer_order(struct ra *ra, struct acme *s, struct err *e)
{
	const struct acme_order *o = &s->order;
	struct ra_acme_answer *a = &s->a;

	(void)e;
	a->parts |= RA_ACME_HAS_ORDER;
	a->order.id = o->id;
	a->order.expires = o->expires;
	a->order.state = acme_order_seen(o, ra->now);
	a->order.identifier_n = a->order.authorization_n = s->name_n;
	for (uint32_t i = 0; i < s->name_n; i++) {
		acme_identifier_of(s->name[i].text, &a->order.identifier[i]);
		a->order.authorization[i] = s->name[i].authorization;
	}
	a->order.not_before = a->order.not_after = 0;
	snprintf(a->order.profile, sizeof a->order.profile, "%s", o->profile);
	snprintf(a->order.replaces, sizeof a->order.replaces, "%s", o->replaces);
	a->order.certificate = o->certificate != 0;
	a->order.error = (enum acme_problem)o->error;
	snprintf(a->order.error_detail, sizeof a->order.error_detail, "%s", o->error_detail);
	acme_identifier_of(o->error_name, &a->order.error_identifier);
	if (a->order.state == ACME_INVALID && o->error == ACME_OK) {
		a->order.error = ACME_MALFORMED;
		strcpy(a->order.error_detail, "the order has expired");
	}
	if (a->order.state == ACME_PROCESSING && a->retry_after == 0)
		a->retry_after = 2;
	return true;
}

void acme_answer_authorization(struct ra *ra, struct acme *s)
{
	const struct acme_authorization *z = &s->authorization;
	struct ra_acme_answer *a = &s->a;
	AUTO_BUF token = { 0 };

	a->parts |= RA_ACME_HAS_AUTHORIZATION;
	a->authorization.id = z->id;
	a->authorization.expires = z->expires;
	a->authorization.state = acme_authorization_seen(z, ra->now);
	a->authorization.challenge_state = (enum acme_state)z->challenge;
	acme_identifier_of(z->name, &a->authorization.identifier);
	a->authorization.wildcard = acme_is_wildcard(z->name);
	if (a->authorization.wildcard)
		snprintf(a->authorization.identifier.value, sizeof a->authorization.identifier.value, "%.255s", z->name + strlen("dns:*."));
	b64url_put(&token, z->token, sizeof z->token);
	snprintf(a->authorization.token, sizeof a->authorization.token, "%s", buf_str(&token));
	a->authorization.methods = acme_methods_of(z->name);
	a->authorization.method = (enum acme_method)z->method;
	a->authorization.validated = z->validated;
	a->authorization.error = (enum acme_problem)z->error;
	snprintf(a->authorization.error_detail, sizeof a->authorization.error_detail, "%s", z->error_detail);
	if (a->authorization.state == ACME_PENDING && z->challenge == ACME_PROCESSING && a->retry_after == 0)
		a->retry_after = 3;
}

void acme_answer_account(struct acme *s)
{
	const struct acme_account *z = &s->account;
	struct ra_acme_answer *a = &s->a;
	const char *p = buf_str(&s->account.contacts);

	a->parts |= RA_ACME_HAS_ACCOUNT;
	a->account = z->id;
	a->of.state = (enum acme_state)z->state;
	a->of.terms_agreed = z->terms[0] != 0;
	a->of.eab = z->eab != 0;
	for (a->of.contact_n = 0; *p != 0 && a->of.contact_n < ACME_CONTACT_MAX; a->of.contact_n++) {
		size_t n = strcspn(p, "\n");

		snprintf(a->of.contact[a->of.contact_n], sizeof a->of.contact[0], "%.*s", (int)n, p);
		p += n + (p[n] == '\n');
	}
}

/* --- Operations */

enum who { BY_ACCOUNT, BY_ANYBODY, BY_EITHER };
static const struct operation {
	const char *name;   /* of a refusal's record; NULL: it only reads */
	enum who who;
	bool small;         /* refused without a record: what a client does by itself, in any number */
	acme_op *run;
} operations[RA_ACME_OP_COUNT] = {
	[RA_ACME_KEY] = { NULL, BY_ANYBODY, true, acme_key },
	[RA_ACME_NEW_ACCOUNT] = { "acme.account.new", BY_ANYBODY, false, acme_new_account },
	[RA_ACME_ACCOUNT] = { NULL, BY_ACCOUNT, true, acme_account_get },
	[RA_ACME_CONTACTS] = { "acme.account.update", BY_ACCOUNT, false, acme_contacts },
	[RA_ACME_DEACTIVATE] = { "acme.account.deactivate", BY_ACCOUNT, false, acme_deactivate },
	[RA_ACME_KEY_CHANGE] = { "acme.account.key", BY_ACCOUNT, false, acme_key_change },
	[RA_ACME_ORDERS] = { NULL, BY_ACCOUNT, true, acme_orders },
	[RA_ACME_NEW_ORDER] = { "acme.order.new", BY_ACCOUNT, false, acme_new_order },
	[RA_ACME_ORDER] = { NULL, BY_ACCOUNT, true, acme_order_get },
	[RA_ACME_AUTHORIZATION] = { NULL, BY_ACCOUNT, true, acme_authorization_get },
	[RA_ACME_AUTHORIZATION_END] = { "acme.authorization.end", BY_ACCOUNT, false, acme_authorization_end },
	[RA_ACME_CHALLENGE] = { NULL, BY_ACCOUNT, true, acme_challenge },
	[RA_ACME_CHALLENGE_START] = { "acme.challenge", BY_ACCOUNT, false, acme_challenge_start },
	[RA_ACME_FINALIZE] = { "acme.finalize", BY_ACCOUNT, false, acme_finalize },
	[RA_ACME_CERTIFICATE] = { NULL, BY_ACCOUNT, true, acme_certificate },
	[RA_ACME_REVOKE] = { "acme.revoke", BY_EITHER, false, acme_revoke },
	[RA_ACME_RENEWAL_INFO] = { NULL, BY_ANYBODY, true, acme_renewal_info },
};

/* A record would be as cheap to cause as these are: they are counted. */
static bool recorded(const struct operation *o, enum acme_problem p)
{
	return o->name != NULL && !o->small && p != ACME_RATE_LIMITED && p != ACME_ORDER_NOT_READY && p != ACME_ACCOUNT_DOES_NOT_EXIST;
}

enum { REFUSALS_OF_ONE = 100, REFUSALS_OF_STRANGERS = 2000 }; /* records in an hour */

/* Nor is what anybody may cause recorded in any number: of one account, of one address without an account, of all those. The
 * last record says so. */
static bool room_for_record(struct ra *ra, struct acme *s, bool *last)
{
	int64_t account = s->known ? s->account.id : 0;
	const char *address = s->known ? "" : s->q.source.address;
	int wait;

	*last = false;
	if (!rate_allows(s->rate, RATE_REFUSALS, account, address, REFUSALS_OF_ONE, ra->mono, &wait) ||
	    (!s->known && !rate_allows(s->rate, RATE_REFUSALS, 0, "*", REFUSALS_OF_STRANGERS, ra->mono, &wait)))
		return false;
	rate_count(s->rate, RATE_REFUSALS, account, address, ra->mono);
	if (!s->known)
		rate_count(s->rate, RATE_REFUSALS, 0, "*", ra->mono);
	*last = !rate_allows(s->rate, RATE_REFUSALS, account, address, REFUSALS_OF_ONE, ra->mono, &wait);
	return true;
}

static void audit_refused(struct ra *ra, struct acme *s, const struct operation *o)
{
	struct audit_event ev = { .event = o->name, .outcome = "refused", .auth = s->known ? "acme" : "none", .source = &s->q.source,
		                  .object_type = "request", .object = "" };
	char actor[300] = "";
	bool last;

	acme_counted(ra, "caduceus_rejected_total", "reason=\"acme-%s\"", acme_problem_name(s->a.problem));
	if (!recorded(o, s->a.problem) || !ra->store_ok || !room_for_record(ra, s, &last))
		return;
	if (s->known)
		acme_actor(&s->account, actor, sizeof actor);
	ev.actor = actor;
	audit_detail(&ev, "kind", acme_problem_name(s->a.problem));
	audit_detail(&ev, "reason", s->a.detail);
	audit_detail(&ev, "directory", s->q.realm);
	if (last)
		audit_detail(&ev, "further", "of this hour are counted alone");
	audit(ra, &ev);
}

static bool run(struct ra *ra, const struct in *in, struct acme *s, const struct operation *o, struct err *e)
{
	if (o->who == BY_ACCOUNT || (o->who == BY_EITHER && s->q.account != 0)) {
		if (!acme_signer(ra, s, e))
			return false;
	}
	/* AUD-12: what could not be recorded is not begun. */
	if (o->name != NULL && !writing_allowed(ra, e))
		return false;
	return o->run(ra, in, s, e);
}

void acme_request(struct ra *ra, const struct in *in)
{
	struct acme *s = ra->acme;
	const struct operation *o;
	struct err e = { 0 };
	bool good, writes;

	acme_answer_clear(s);
	s->later = s->known = false;
	good = ra_acme_get(in->f.body, &s->q, &e);
	o = good ? &operations[s->q.op] : NULL;
	writes = good && o->name != NULL; /* what only reads has nothing to undo */
	good = good && (!writes || store_savepoint(ra->c.store, &e));
	if (good && !run(ra, in, s, o, &e)) {
		if (writes)
			store_rollback_to(ra->c.store);
		s->last_order = writes ? -1 : s->last_order;
		good = false;
	} else if (good && writes) {
		good = store_release(ra->c.store, &e);
	}
	if (good && s->later)
		return;
	if (!good && s->a.problem == ACME_OK) {
		answer_error(ra, in->port, in->f.id, &e);
		return;
	}
	if (s->a.problem != ACME_OK)
		audit_refused(ra, s, o);
	acme_give(ra, in->f.id, s);
}

/* --- A life */

bool acme_open(struct ra *ra, struct err *e)
{
	struct acme *s = ra->acme = mem_new(sizeof *s);

	s->rate = rate_new(ra->c.rnd);
	s->last_order = -1;
	s->opened = s->probe_gone = ra->mono;
	return acme_resume(ra, e);
}

void acme_close(struct ra *ra)
{
	struct acme *s = ra->acme;

	if (s == NULL)
		return;
	acme_account_free(&s->account);
	acme_order_free(&s->order);
	acme_order_free(&s->other);
	buf_free(&s->der);
	buf_free(&s->key);
	rate_free(s->rate);
	free(s);
}

void acme_from_probe(struct ra *ra, const struct in *in)
{
	if (in->f.type == PROBE_COUNTED)
		metrics_told(ra, RA_PORT_PROBE, in->f.body);
	else
		acme_probe_frame(ra, in);
}

void acme_peer(struct ra *ra, bool up)
{
	ra->acme->probe_gone = up ? 0 : ra->mono;
	acme_probe_peer(ra, up);
}

void acme_clock(struct ra *ra)
{
	acme_asks_continue(ra);
	acme_waits_continue(ra);
	if (ra->store_ok)
		acme_sweep(ra);
}

int64_t acme_next(const struct ra *ra, int64_t until)
{
	const struct acme *s = ra->acme;

	for (size_t i = 0; i < s->ask_end; i++) {
		const struct ask *k = &s->ask[i];

		if (k->used && k->client != 0 && k->answer_by < until)
			until = k->answer_by;
		if (k->used && k->next < until && !k->sent && ra->up[RA_PORT_PROBE])
			until = k->next;
	}
	return until;
}

void acme_turn_failed(struct ra *ra, const struct err *e)
{
	ra->acme->last_order = -1;
	acme_asks_failed(ra, e);
	acme_waits_failed(ra, e);
}

bool acme_probe_away(const struct ra *ra)
{
	bool wanted = false;

	for (size_t i = 0; i < ra->profile_n; i++)
		wanted = wanted || (ra->profiles[i].p.doors & DOOR_ACME) != 0;
	return wanted && ra->acme->probe_gone != 0 && ra->mono - ra->acme->probe_gone > 10 * US_PER_SECOND;
}
