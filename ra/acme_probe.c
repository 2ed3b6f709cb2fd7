/* SPDX-License-Identifier: Apache-2.0
 *
 * ACME challenges (RFC 8555, 7.5.1, 8). probe is asked at once, and nothing is written before its result when that comes
 * while the client still waits: then it is one transaction that makes the authorization, and perhaps the order, what they
 * become. Else `processing` is written first. probe answers ra and nobody else, so no front can claim a name. */
#include "ra/acme_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

uint32_t acme_methods_of(const char *name)
{
	uint32_t http = 1u << ACME_HTTP_01, dns = 1u << ACME_DNS_01, alpn = 1u << ACME_TLS_ALPN_01;

	if (strncmp(name, "ip:", 3) == 0)
		return http | alpn; /* RFC 8738, 7 */
	return acme_is_wildcard(name) ? dns : http | dns | alpn;
}

/* --- Questions under way */

static struct ask *ask_of(struct acme *s, int64_t authorization)
{
	for (size_t i = 0; s->ask_n != 0 && i < s->ask_end; i++)
		if (s->ask[i].used && s->ask[i].authorization == authorization)
			return &s->ask[i];
	return NULL;
}

bool acme_is_asked(const struct acme *s, int64_t authorization)
{
	for (size_t i = 0; s->ask_n != 0 && i < s->ask_end; i++)
		if (s->ask[i].used && s->ask[i].authorization == authorization)
			return true;
	return false;
}

/* Nobody's silent names keep the others' waiting. */
static bool has_room(const struct acme *s, int64_t account)
{
	size_t n = 0;

	for (size_t i = 0; s->ask_n >= ASK_SHARE && i < s->ask_end; i++)
		n += s->ask[i].used && s->ask[i].account == account;
	return s->ask_n < ASK_MAX && n < ASK_SHARE;
}

static struct ask *ask_new(struct acme *s)
{
	for (size_t i = 0; i < ASK_MAX; i++) {
		struct ask *k = &s->ask[i];

		if (k->used)
			continue;
		*k = (struct ask){ .used = true, .generation = k->generation + 1 };
		s->ask_n++;
		if (i >= s->ask_end)
			s->ask_end = i + 1;
		return k;
	}
	return NULL;
}

static void ask_free(struct acme *s, struct ask *k)
{
	k->used = false;
	k->client = 0;
	s->ask_n--;
	while (s->ask_end != 0 && !s->ask[s->ask_end - 1].used)
		s->ask_end--;
}

void acme_ask_drop(struct acme *s, int64_t authorization)
{
	struct ask *k = ask_of(s, authorization);

	/* Who waits is told by the next look at what there is. */
	if (k != NULL && k->client != 0)
		k->answer_by = k->next = 0;
	else if (k != NULL)
		ask_free(s, k);
}

/* --- Out */

static bool fill(struct ra *ra, struct probe_ask *q, const struct acme_authorization *z, const struct ask *k, struct err *e)
{
	struct acme_account *account = &ra->acme->account;
	AUTO_BUF token = { 0 };
	AUTO_BUF print = { 0 };

	if (!store_acme_account(ra->c.store, z->account, account, e))
		return false;
	b64url_put(&token, z->token, sizeof z->token);
	b64url_put(&print, account->thumbprint, sizeof account->thumbprint);
	*q = (struct probe_ask){ .method = (enum probe_method)k->method, .ip = strncmp(z->name, "ip:", 3) == 0,
		                 .wildcard = acme_is_wildcard(z->name), .caa = strcmp(ra->config->acme_caa, "on") == 0 };
	snprintf(q->name, sizeof q->name, "%.255s", strchr(z->name, ':') + 1 + (q->wildcard ? 2 : 0));
	snprintf(q->token, sizeof q->token, "%s", buf_str(&token));
	snprintf(q->key_authorization, sizeof q->key_authorization, "%s.%s", buf_str(&token), buf_str(&print));
	snprintf(q->account_uri, sizeof q->account_uri, "%s/acme/%s/acct/%lld", ra->config->public_enroll, account->realm,
	         (long long)account->id);
	return account->state == ACME_VALID || err_set(e, ERR_DENIED, "the account is %s", acme_state_name((enum acme_state)account->state));
}

static void send(struct ra *ra, struct ask *k, const struct acme_authorization *z)
{
	AUTO_FREE struct probe_ask *q = mem_new(sizeof *q);
	AUTO_BUF body = { 0 };
	struct err e;

	k->next = ra->mono + ACME_PROBE_DEADLINE;
	if (!ra->up[RA_PORT_PROBE])
		return;
	if (!fill(ra, q, z, k, &e)) {
		k->next = ra->mono + US_PER_SECOND;
		return;
	}
	probe_ask_put(&body, q);
	ask_probe(ra, (uint64_t)k->generation << 32 | (uint64_t)(k - ra->acme->ask), k->next, span_of(&body));
	k->sent = true;
}

static void ask(struct ra *ra, const struct acme_authorization *z, enum acme_method method, uint64_t client, const struct ra_source *source)
{
	struct acme *s = ra->acme;
	struct ask *k = has_room(s, z->account) ? ask_new(s) : NULL;

	if (k == NULL)
		return; /* what is processing is found by the clock */
	k->authorization = z->id;
	k->account = z->account;
	k->method = method;
	k->client = client;
	k->answer_by = ra->mono + ACME_PROBE_WAIT;
	if (source != NULL)
		k->source = *source;
	send(ra, k, z);
}

void acme_ask_again(struct ra *ra, const struct acme_authorization *z)
{
	if (!acme_is_asked(ra->acme, z->id))
		ask(ra, z, (enum acme_method)z->method, 0, NULL);
}

/* --- Start */

/* Written down: from here on it survives a restart. */
static bool record_processing(struct ra *ra, struct acme_authorization *z, enum acme_method method, struct err *e)
{
	if (z->challenge == ACME_PROCESSING)
		return true;
	if (!acme_move(ACME_A_CHALLENGE, &z->challenge, ACME_PROCESSING, e))
		return false;
	z->method = (int)method;
	return store_acme_authorization_put(ra->c.store, z, e) && store_acme_order_due(ra->c.store, z->made_by, ra->now + ACME_DUE_AGAIN, e);
}

static bool method_ok(struct acme *s)
{
	if ((acme_methods_of(s->authorization.name) >> s->q.method & 1) != 0 && s->q.method != 0)
		return true;
	return acme_no(s, ACME_NOT_FOUND, "the authorization has no such challenge");
}

bool acme_challenge(struct ra *ra, const struct in *in, struct acme *s, struct err *e)
{
	return acme_authorization_get(ra, in, s, e) && method_ok(s);
}

bool acme_challenge_start(struct ra *ra, const struct in *in, struct acme *s, struct err *e)
{
	struct acme_authorization *z = &s->authorization;
	int wait;

	if (!acme_challenge(ra, in, s, e))
		return false;
	/* Posted twice: the same answer (ACME-28). */
	if (s->a.authorization.state != ACME_PENDING || z->challenge != ACME_PENDING)
		return true;
	if (!rate_allows(s->rate, RATE_FAILURES, s->account.id, z->name, ra->config->acme_failures_per_hour, ra->mono, &wait))
		return acme_slow(s, wait, "too many failed validations of %.200s: at most %lld in an hour (acme.failures_per_hour)", z->name,
		                 (long long)ra->config->acme_failures_per_hour);
	if (ask_of(s, z->id) == NULL && ra->up[RA_PORT_PROBE] && has_room(s, z->account)) {
		ask(ra, z, s->q.method, in->f.id, &s->q.source);
		s->later = true;
		return true;
	}
	if (!record_processing(ra, z, ask_of(s, z->id) != NULL ? ask_of(s, z->id)->method : s->q.method, e))
		return false;
	if (ask_of(s, z->id) == NULL)
		ask(ra, z, s->q.method, 0, &s->q.source);
	acme_answer_clear(s);
	acme_answer_authorization(ra, s);
	return true;
}

/* --- What probe says */

static enum acme_problem problem_of(enum probe_problem p)
{
	static const enum acme_problem of[PROBE_PROBLEM_COUNT] = {
		[PROBE_CONNECTION] = ACME_CONNECTION, [PROBE_DNS] = ACME_DNS, [PROBE_TLS] = ACME_TLS,
		[PROBE_INCORRECT_RESPONSE] = ACME_INCORRECT_RESPONSE, [PROBE_CAA] = ACME_CAA, [PROBE_UNAUTHORIZED] = ACME_UNAUTHORIZED,
	};

	return (unsigned)p < PROBE_PROBLEM_COUNT && of[p] != ACME_OK ? of[p] : ACME_SERVER_INTERNAL;
}

/* ACME-53: what was seen stays in the audit when everything else is gone. */
static void audit_validation(struct ra *ra, const struct ask *k, const struct acme_authorization *z, const struct probe_result *r)
{
	struct audit_event ev = { .event = "acme.validate", .outcome = r->problem == PROBE_GOOD ? "success" : "failed", .auth = "acme",
		                  .source = k->source.address[0] != 0 ? &k->source : NULL, .object_type = "acme-authorization" };
	char actor[300], id[24], order[24], attempts[24];

	acme_actor(&ra->acme->account, actor, sizeof actor);
	snprintf(id, sizeof id, "%lld", (long long)z->id);
	snprintf(order, sizeof order, "%lld", (long long)z->made_by);
	snprintf(attempts, sizeof attempts, "%u", k->attempts);
	ev.actor = actor;
	ev.object = id;
	audit_detail(&ev, "name", z->name);
	audit_detail(&ev, "method", acme_method_name(k->method));
	audit_detail(&ev, "order", order);
	audit_detail(&ev, "attempts", attempts);
	audit_detail(&ev, "address", r->address);
	audit_detail(&ev, "evidence", r->evidence);
	audit_detail(&ev, "reason", r->detail);
	audit(ra, &ev);
	acme_counted(ra, "caduceus_acme_challenges_total", "method=\"%s\",result=\"%s\"", acme_method_name(k->method),
	             r->problem == PROBE_GOOD ? "valid" : "invalid");
}

/* ACME-26: the last authorization makes the order ready, in the same transaction. */
static bool validated(struct ra *ra, struct acme *s, struct err *e)
{
	struct acme_authorization *z = &s->authorization;
	struct acme_order *o = &s->order;

	if (!acme_move(ACME_A_CHALLENGE, &z->challenge, ACME_VALID, e) || !acme_move(ACME_AN_AUTHORIZATION, &z->state, ACME_VALID, e))
		return false;
	z->validated = ra->now;
	/* Not kept for others: it serves its own order, as long as that waits. */
	z->expires = ra->config->acme_authorization_lifetime != 0 ? ra->now + ra->config->acme_authorization_lifetime : o->expires;
	if (z->expires < o->expires)
		o->expires = z->expires;
	o->open--;
	if (o->open == 0) {
		if (!acme_order_move(ra, s, ACME_READY, e))
			return false;
		o->due = o->expires;
	}
	return store_acme_authorization_put(ra->c.store, z, e) && store_acme_order_put(ra->c.store, o, e);
}

static bool refuted(struct ra *ra, struct acme *s, const struct probe_result *r, struct err *e)
{
	struct acme_authorization *z = &s->authorization;

	if (!acme_move(ACME_A_CHALLENGE, &z->challenge, ACME_INVALID, e) || !acme_move(ACME_AN_AUTHORIZATION, &z->state, ACME_INVALID, e))
		return false;
	z->error = (int)problem_of(r->problem);
	snprintf(z->error_detail, sizeof z->error_detail, "%s", r->detail);
	rate_count(s->rate, RATE_FAILURES, z->account, z->name, ra->mono);
	return store_acme_authorization_put(ra->c.store, z, e) &&
	       acme_order_fail(ra, s, (enum acme_problem)z->error, z->name, z->error_detail, e);
}

static bool load(struct ra *ra, struct acme *s, const struct ask *k, struct err *e)
{
	return store_acme_authorization(ra->c.store, k->authorization, &s->authorization, e) &&
	       store_acme_account(ra->c.store, s->authorization.account, &s->account, e) &&
	       acme_order_load(ra, s, s->authorization.made_by, e);
}

/* What it is about is still to be decided. */
static bool open_still(struct ra *ra, const struct acme *s)
{
	return acme_authorization_seen(&s->authorization, ra->now) == ACME_PENDING && s->account.state == ACME_VALID &&
	       acme_order_seen(&s->order, ra->now) == ACME_PENDING;
}

/* What there is, to the client that waits. */
static void tell_client(struct ra *ra, struct acme *s, struct ask *k)
{
	uint64_t client = k->client;

	k->client = 0;
	if (client == 0)
		return;
	acme_answer_clear(s);
	acme_answer_authorization(ra, s);
	acme_give(ra, client, s);
}

/* True: k is done with. */
static bool decide(struct ra *ra, struct acme *s, struct ask *k, const struct probe_result *r, struct err *e)
{
	bool good = r->problem == PROBE_GOOD;

	if (!load(ra, s, k, e))
		return false;
	if (!open_still(ra, s))
		return true;
	if (!good && r->again && k->attempts < ATTEMPTS) {
		k->sent = false;
		k->next = ra->mono + (int64_t)k->attempts * 2 * US_PER_SECOND;
		return record_processing(ra, &s->authorization, k->method, e);
	}
	/* Through `processing`, without a row for it. */
	if (s->authorization.challenge == ACME_PENDING && !acme_move(ACME_A_CHALLENGE, &s->authorization.challenge, ACME_PROCESSING, e))
		return false;
	s->authorization.method = (int)k->method;
	if (!(good ? validated(ra, s, e) : refuted(ra, s, r, e)))
		return false;
	audit_validation(ra, k, &s->authorization, r);
	k->next = 0;
	return true;
}

void acme_probe_frame(struct ra *ra, const struct in *in)
{
	AUTO_FREE struct probe_result *r = mem_new(sizeof *r);
	struct acme *s = ra->acme;
	uint32_t i = (uint32_t)in->f.id;
	struct ask *k = i < ASK_MAX ? &s->ask[i] : NULL;
	struct err e = { 0 };
	bool done;

	if (k == NULL || !k->used || !k->sent || k->generation != (uint32_t)(in->f.id >> 32))
		return; /* of an earlier life, or given up */
	if (in->f.type != PROBE_OK || !probe_result_get(in->f.body, r, &e) || !ra->store_ok) {
		/* It could not look: that says nothing about the name. */
		k->sent = false;
		k->next = ra->mono + 2 * US_PER_SECOND;
		return;
	}
	k->attempts++;
	done = store_savepoint(ra->c.store, &e);
	if (done && !decide(ra, s, k, r, &e)) {
		store_rollback_to(ra->c.store);
		done = false;
	} else if (done) {
		done = store_release(ra->c.store, &e);
	}
	if (!done) {
		log_event(LOG_LEVEL_ERROR, "a validation could not be recorded", "why", e.text, NULL);
		answer_error(ra, RA_PORT_ENROLL, k->client, &e);
		ask_free(s, k);
		return;
	}
	tell_client(ra, s, k);
	if (k->sent || k->next == 0)
		ask_free(s, k);
}

/* --- By the clock */

/* The client has waited long enough: it comes again. */
static void release_client(struct ra *ra, struct acme *s, struct ask *k)
{
	struct err e = { 0 };

	if (!store_acme_authorization(ra->c.store, k->authorization, &s->authorization, &e) ||
	    (s->authorization.state == ACME_PENDING && !record_processing(ra, &s->authorization, k->method, &e))) {
		answer_error(ra, RA_PORT_ENROLL, k->client, &e);
		k->client = 0;
		return;
	}
	tell_client(ra, s, k);
	if (s->authorization.state != ACME_PENDING)
		ask_free(s, k);
}

void acme_asks_continue(struct ra *ra)
{
	struct acme *s = ra->acme;
	struct err e;

	for (size_t i = 0; s->ask_n != 0 && i < s->ask_end; i++) {
		struct ask *k = &s->ask[i];

		if (k->used && k->client != 0 && ra->mono >= k->answer_by && ra->store_ok)
			release_client(ra, s, k);
		if (!k->used || ra->mono < k->next || (!k->sent && !ra->up[RA_PORT_PROBE]))
			continue;
		if (!store_acme_authorization(ra->c.store, k->authorization, &s->authorization, &e) ||
		    acme_authorization_seen(&s->authorization, ra->now) != ACME_PENDING) {
			tell_client(ra, s, k);
			ask_free(s, k);
			continue;
		}
		k->generation++; /* an answer to the asking before is nobody's now */
		k->sent = false;
		send(ra, k, &s->authorization);
	}
}

void acme_probe_peer(struct ra *ra, bool up)
{
	struct acme *s = ra->acme;

	for (size_t i = 0; i < s->ask_end; i++)
		if (s->ask[i].used) {
			s->ask[i].sent = false;
			s->ask[i].next = ra->mono;
		}
	(void)up;
}

void acme_asks_failed(struct ra *ra, const struct err *e)
{
	struct acme *s = ra->acme;

	for (size_t i = 0; i < ASK_MAX && s->ask_n != 0; i++)
		if (s->ask[i].used) {
			answer_error(ra, RA_PORT_ENROLL, s->ask[i].client, e);
			ask_free(s, &s->ask[i]);
		}
}
