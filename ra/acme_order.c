/* SPDX-License-Identifier: Apache-2.0
 *
 * ACME orders and authorizations (RFC 8555, 7.4, 7.5). An order is made with an authorization for each of its names: one
 * that is valid already, or a new one that belongs to it. */
#include "ra/acme_internal.h"

#include "base/clock.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES_OF_ONE = 10 }; /* an order of more names counts for several */

/* --- Reading */

bool acme_order_load(struct ra *ra, struct acme *s, int64_t id, struct err *e)
{
	return store_acme_order(ra->c.store, id, &s->order, e) && acme_names_get(span_of(&s->order.names), s->name, &s->name_n, e);
}

static bool own_order(struct ra *ra, struct acme *s, struct err *e)
{
	if (!acme_order_load(ra, s, s->q.id, e))
		return acme_missing(s, "order", e);
	return s->order.account == s->account.id || acme_no(s, ACME_UNAUTHORIZED, "the order is another account's");
}

bool acme_order_get(struct ra *ra, const struct in *in, struct acme *s, struct err *e)
{
	(void)in;
	return own_order(ra, s, e) && acme_answer_order(ra, s, e);
}

bool acme_authorization_get(struct ra *ra, const struct in *in, struct acme *s, struct err *e)
{
	(void)in;
	if (!store_acme_authorization(ra->c.store, s->q.id, &s->authorization, e))
		return acme_missing(s, "authorization", e);
	if (s->authorization.account != s->account.id)
		return acme_no(s, ACME_UNAUTHORIZED, "the authorization is another account's");
	acme_answer_authorization(ra, s);
	return true;
}

bool acme_orders(struct ra *ra, const struct in *in, struct acme *s, struct err *e)
{
	int64_t page[ACME_LIST_MAX + 1], before = s->q.cursor > 0 ? s->q.cursor : INT64_MAX;
	size_t n;

	(void)in;
	if (!store_acme_order_ids(ra->c.store, s->account.id, before, page, COUNT_OF(page), &n, e))
		return false;
	s->a.parts |= RA_ACME_HAS_LIST;
	s->a.list_n = (uint32_t)(n < ACME_LIST_MAX ? n : ACME_LIST_MAX);
	memcpy(s->a.list, page, s->a.list_n * sizeof page[0]);
	s->a.next = n > ACME_LIST_MAX ? page[ACME_LIST_MAX - 1] : 0;
	return true;
}

/* --- Changing */

bool acme_order_move(struct ra *ra, struct acme *s, enum acme_state to, struct err *e)
{
	if (!acme_move(ACME_AN_ORDER, &s->order.state, to, e))
		return false;
	acme_counted(ra, "caduceus_acme_orders_total", "state=\"%s\"", acme_state_name(to));
	return true;
}

/* Those that it has made and that nobody has proven: they can't serve any other order. */
static bool end_pending(struct ra *ra, struct acme *s, struct err *e)
{
	for (uint32_t i = 0; i < s->name_n; i++) {
		struct acme_authorization *z = &s->another;

		if (!s->name[i].own)
			continue;
		if (!store_acme_authorization(ra->c.store, s->name[i].authorization, z, e))
			return false;
		if (z->state != ACME_PENDING)
			continue;
		acme_ask_drop(s, z->id);
		if ((z->challenge == ACME_PROCESSING && !acme_move(ACME_A_CHALLENGE, &z->challenge, ACME_INVALID, e)) ||
		    !acme_move(ACME_AN_AUTHORIZATION, &z->state, ACME_INVALID, e) || !store_acme_authorization_put(ra->c.store, z, e))
			return false;
	}
	return true;
}

bool acme_order_fail(struct ra *ra, struct acme *s, enum acme_problem p, const char *name, const char *detail, struct err *e)
{
	if (!acme_order_move(ra, s, ACME_INVALID, e))
		return false;
	s->order.error = (int)p;
	s->order.csr.n = 0;
	s->order.due = ra->now + ACME_KEEP;
	snprintf(s->order.error_name, sizeof s->order.error_name, "%s", name);
	snprintf(s->order.error_detail, sizeof s->order.error_detail, "%s", detail);
	return end_pending(ra, s, e) && store_acme_order_put(ra->c.store, &s->order, e);
}

/* Orders under way that count on s->authorization: its own, and later ones. */
static bool fail_users(struct ra *ra, struct acme *s, struct err *e)
{
	int64_t list[100], after = s->authorization.made_by - 1;
	size_t n;

	do {
		if (!store_acme_order_open(ra->c.store, s->account.id, after, list, COUNT_OF(list), &n, e))
			return false;
		for (size_t i = 0; i < n; i++) {
			bool uses = false;

			if (!acme_order_load(ra, s, list[i], e))
				return false;
			for (uint32_t k = 0; k < s->name_n; k++)
				uses = uses || s->name[k].authorization == s->authorization.id;
			if (uses && !acme_order_fail(ra, s, ACME_UNAUTHORIZED, s->authorization.name, "the authorization was deactivated", e))
				return false;
			after = list[i];
		}
	} while (n == COUNT_OF(list));
	return true;
}

bool acme_authorization_end(struct ra *ra, const struct in *in, struct acme *s, struct err *e)
{
	struct acme_authorization *z = &s->authorization;
	struct audit_event ev = { .event = "acme.authorization.end", .outcome = "success", .auth = "acme", .source = &s->q.source,
		                  .object_type = "acme-authorization" };
	char actor[300], id[24];

	(void)in;
	if (!acme_authorization_get(ra, in, s, e))
		return false;
	if (s->a.authorization.state == ACME_DEACTIVATED)
		return true;
	if (s->a.authorization.state != ACME_PENDING && s->a.authorization.state != ACME_VALID)
		return acme_no(s, ACME_MALFORMED, "the authorization is %s: there is nothing to deactivate",
		               acme_state_name(s->a.authorization.state));
	acme_ask_drop(s, z->id);
	if ((z->challenge == ACME_PROCESSING && !acme_move(ACME_A_CHALLENGE, &z->challenge, ACME_INVALID, e)) ||
	    !acme_move(ACME_AN_AUTHORIZATION, &z->state, ACME_DEACTIVATED, e) || !store_acme_authorization_put(ra->c.store, z, e) ||
	    !fail_users(ra, s, e))
		return false;
	acme_actor(&s->account, actor, sizeof actor);
	snprintf(id, sizeof id, "%lld", (long long)z->id);
	ev.actor = actor;
	ev.object = id;
	audit_detail(&ev, "name", z->name);
	audit(ra, &ev);
	acme_answer_clear(s);
	acme_answer_authorization(ra, s);
	return true;
}

/* --- newOrder: names */

static void bad_name(struct acme *s, const struct acme_identifier *id, enum acme_problem p, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
static void bad_name(struct acme *s, const struct acme_identifier *id, enum acme_problem p, const char *fmt, ...)
{
	struct acme_sub *sub = &s->a.sub[s->a.sub_n++];
	va_list ap;

	sub->problem = p;
	sub->identifier = *id;
	va_start(ap, fmt);
	vsnprintf(sub->detail, sizeof sub->detail, fmt, ap);
	va_end(ap);
}

/* "192.0.2.1" is well-formed as a host name, but no name has an all-numeric last label (RFC 1123, 2.1). */
static bool looks_like_address(const char *name)
{
	const char *last = strrchr(name, '.');

	last = last != NULL ? last + 1 : name;
	return last[0] != 0 && strspn(last, "0123456789") == strlen(last);
}

static bool dns_name(struct acme *s, const struct acme_identifier *id, const struct active *p, struct san *out)
{
	AUTO_FREE char *text = mem_printf("dns:%s", id->value);

	if (strcmp(id->value, "*") != 0 && looks_like_address(id->value)) {
		bad_name(s, id, ACME_MALFORMED, "no DNS name; an address is an identifier of type ip");
		return false;
	}
	if (!san_from_text(out, text, false, NULL)) {
		bad_name(s, id, ACME_MALFORMED, "no DNS name: labels of at most 63 letters, digits and hyphens, no dot at the end; "
		                                "others than ASCII as xn--…; a wildcard as \"*.NAME\"");
		return false;
	}
	if (out->value[0] == '*' && !p->p.wildcard) {
		bad_name(s, id, ACME_REJECTED_IDENTIFIER, "profile %s takes no wildcards", p->p.name);
		return false;
	}
	return true;
}

/* RFC 8738, 3: the canonical text (RFC 5952 for IPv6). */
static bool ip_name(struct acme *s, const struct acme_identifier *id, struct san *out)
{
	char canonical[INET6_ADDRSTRLEN];
	uint8_t raw[16];
	int family = strchr(id->value, ':') != NULL ? AF_INET6 : AF_INET;
	AUTO_FREE char *text = mem_printf("ip:%s", id->value);

	if (inet_pton(family, id->value, raw) != 1 || !san_from_text(out, text, false, NULL)) {
		bad_name(s, id, ACME_MALFORMED, "no IP address");
		return false;
	}
	if (inet_ntop(family, raw, canonical, sizeof canonical) == NULL || strcmp(canonical, id->value) != 0) {
		bad_name(s, id, ACME_MALFORMED, "an address is given in its canonical form: %s (RFC 5952)", canonical);
		return false;
	}
	return true;
}

static void take_name(struct acme *s, const struct acme_identifier *id, const struct active *p, const struct policy_names *allowed)
{
	bool ip = strcmp(id->type, "ip") == 0;
	char text[SAN_VALUE_MAX + 8];
	struct san san;

	if (!ip && strcmp(id->type, "dns") != 0) {
		bad_name(s, id, ACME_UNSUPPORTED_IDENTIFIER, "identifiers are of type dns or ip");
		return;
	}
	if (ip ? !ip_name(s, id, &san) : !dns_name(s, id, p, &san))
		return;
	if ((p->p.san_types >> san.type & 1) == 0) {
		bad_name(s, id, ACME_REJECTED_IDENTIFIER, "profile %s has no names of type %s", p->p.name, id->type);
		return;
	}
	if (!policy_name_allowed(allowed, &san)) {
		bad_name(s, id, ACME_REJECTED_IDENTIFIER, "%.40s may not have this name: a PKI officer says which (acme eab add --san)", allowed->name);
		return;
	}
	san_to_text(&san, text, sizeof text);
	for (uint32_t i = 0; i < s->name_n; i++)
		if (strcmp(s->name[i].text, text) == 0)
			return; /* folded */
	snprintf(s->name[s->name_n].text, sizeof s->name[0].text, "%s", text);
	s->name[s->name_n].own = true;
	s->name[s->name_n++].authorization = 0;
}

/* One problem for all: of their type when they are of one, else compound (6.7.1). */
static bool names_ok(struct acme *s)
{
	enum acme_problem p;
	char detail[sizeof s->a.detail];

	if (s->a.sub_n == 0)
		return s->name_n != 0 || acme_no(s, ACME_MALFORMED, "an order needs at least one identifier");
	p = s->a.sub[0].problem;
	for (uint32_t i = 1; i < s->a.sub_n; i++)
		if (s->a.sub[i].problem != p)
			p = ACME_COMPOUND;
	if (s->a.sub_n == 1)
		snprintf(detail, sizeof detail, "%.200s: %s", s->a.sub[0].identifier.value, s->a.sub[0].detail);
	else
		snprintf(detail, sizeof detail, "%u identifiers are refused (subproblems), the first is %.150s: %s", s->a.sub_n, s->a.sub[0].identifier.value,
		         s->a.sub[0].detail);
	return acme_no(s, p, "%s", detail);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(((const struct acme_name *)a)->text, ((const struct acme_name *)b)->text);
}

static bool take_names(struct ra *ra, struct acme *s, const struct active *p, struct err *e)
{
	struct policy_names allowed = { .name = s->account.name, .rule = s->rules.rule };

	if (!acme_rules_load(ra, s->account.subject, &s->rules, e))
		return false;
	allowed.rule_n = s->rules.n;
	allowed.any = s->account.eab == 0; /* nobody has said which: what can be proven */
	s->name_n = 0;
	for (uint32_t i = 0; i < s->q.identifier_n; i++)
		take_name(s, &s->q.identifier[i], p, &allowed);
	if (!names_ok(s))
		return false;
	qsort(s->name, s->name_n, sizeof s->name[0], by_text);
	return true;
}

/* ACME-46. The binding says which; without one it is the directory's own. */
static const struct active *profile_of(struct ra *ra, struct acme *s, struct err *e)
{
	const char *name = s->q.profile[0] != 0 ? s->q.profile : s->q.realm;
	const struct active *p = acme_realm(ra, name);
	bool may = strcmp(name, s->q.realm) == 0;

	if (p == NULL) {
		acme_no(s, ACME_INVALID_PROFILE, "there is no profile %s with the acme door", name);
		return NULL;
	}
	if (!may && !acme_rules_load(ra, s->account.subject, &s->rules, e))
		return NULL;
	for (size_t i = 0; !may && i < s->rules.profile_n; i++)
		may = strcmp(s->rules.profile[i], name) == 0;
	if (!may) {
		acme_no(s, ACME_INVALID_PROFILE, "the account's binding does not allow profile %s", name);
		return NULL;
	}
	return p;
}

/* --- newOrder: ARI (RFC 9773, 5) */

static bool shares_a_name(struct ra *ra, struct acme *s, bool *shares, struct err *e)
{
	char text[SAN_VALUE_MAX + 8];

	*shares = false;
	if (!store_certificate_der(ra->c.store, s->row.id, &s->der, e) || !cert_parse(&s->cert, s->der.p, s->der.n, e))
		return false;
	for (size_t i = 0; i < s->cert.san.n; i++) {
		san_to_text(&s->cert.san.v[i], text, sizeof text);
		for (uint32_t k = 0; k < s->name_n; k++)
			*shares = *shares || strcmp(text, s->name[k].text) == 0;
	}
	return true;
}

static bool replaces_ok(struct ra *ra, struct acme *s, struct err *e)
{
	int64_t order, account, other;
	bool shares;

	s->order.replaced = 0;
	s->order.replaces[0] = 0;
	if (s->q.replaces[0] == 0)
		return true;
	if (!acme_by_renewal_id(ra, s, s->q.replaces, e))
		return e->kind == ERR_BAD_REQUEST || e->kind == ERR_NOT_FOUND ? acme_no(s, ACME_MALFORMED, "replaces: %.300s", e->text) : false;
	if (!store_acme_order_by_certificate(ra->c.store, s->row.id, &order, &account, e)) {
		if (e->kind != ERR_NOT_FOUND)
			return false;
		account = 0;
	}
	if (account != s->account.id)
		return acme_no(s, ACME_UNAUTHORIZED, "replaces: that certificate was not issued to this account; leave the field out");
	if (!shares_a_name(ra, s, &shares, e))
		return false;
	if (!shares)
		return acme_no(s, ACME_MALFORMED, "replaces: that certificate has none of the names of this order");
	if (!store_acme_order_replacing(ra->c.store, s->row.id, &other, e))
		return false;
	if (other != 0)
		return acme_no(s, ACME_ALREADY_REPLACED, "replaces: order %lld replaces that certificate already; leave the field out",
		               (long long)other);
	s->order.replaced = s->row.id;
	snprintf(s->order.replaces, sizeof s->order.replaces, "%s", s->q.replaces);
	return true;
}

/* --- newOrder: limits (ACME-52) */

enum { REPLACES_PER_HOUR = 10 }; /* orders that take the place of one certificate */

/* RFC 9773, 5: a renewal that was asked for is not slowed; one that is asked for again and again is an order like any. */
static bool is_slowed(struct ra *ra, struct acme *s)
{
	int wait;

	return s->order.replaced == 0 || !rate_allows(s->rate, RATE_REPLACES, s->account.id, s->order.replaces, REPLACES_PER_HOUR, ra->mono, &wait);
}

static bool limits_ok(struct ra *ra, struct acme *s, const struct buf *names, struct err *e)
{
	const struct config *c = ra->config;
	int64_t pending;
	int wait;

	if (is_slowed(ra, s) && !rate_allows(s->rate, RATE_ORDERS, s->account.id, "", c->acme_orders_per_minute, ra->mono, &wait))
		return acme_slow(s, wait, "too many orders: at most %lld in a minute (acme.orders_per_minute)", (long long)c->acme_orders_per_minute);
	if (s->order.replaced == 0 &&
	    !rate_allows(s->rate, RATE_DUPLICATES, s->account.id, (const char *)names->p, c->acme_duplicates_per_day, ra->mono, &wait))
		return acme_slow(s, wait, "too many certificates with exactly these names: at most %lld in a day (acme.duplicates_per_day)",
		                 (long long)c->acme_duplicates_per_day);
	for (uint32_t i = 0; i < s->name_n; i++)
		if (!rate_allows(s->rate, RATE_FAILURES, s->account.id, s->name[i].text, c->acme_failures_per_hour, ra->mono, &wait))
			return acme_slow(s, wait, "too many failed validations of %.200s: at most %lld in an hour (acme.failures_per_hour)",
			                 s->name[i].text, (long long)c->acme_failures_per_hour);
	if (c->acme_pending_authorizations == 0)
		return true;
	if (!store_acme_authorization_pending(ra->c.store, s->account.id, c->acme_pending_authorizations, &pending, e))
		return false;
	return pending + s->name_n <= c->acme_pending_authorizations ||
	       acme_slow(s, 60, "too many names wait for validation: at most %lld at once (acme.pending_authorizations)",
	                 (long long)c->acme_pending_authorizations);
}

/* --- newOrder: made */

static bool terms_agreed(struct ra *ra, struct acme *s)
{
	const char *terms = ra->config->acme_terms;

	return strcmp(terms, "none") == 0 || strcmp(terms, s->account.terms) == 0 ||
	       acme_no(s, ACME_USER_ACTION_REQUIRED, "the terms of service have changed; agree to those at %.200s", terms);
}

static bool next_order(struct ra *ra, struct acme *s, struct err *e)
{
	if (s->last_order < 0 && !store_acme_order_last(ra->c.store, &s->last_order, e))
		return false;
	s->order.id = ++s->last_order;
	return true;
}

/* One that is valid, or a new one. *first_end: when the first of them runs out. */
static bool authorize(struct ra *ra, struct acme *s, struct acme_name *name, int64_t *first_end, struct err *e)
{
	struct acme_authorization *z = &s->authorization;

	if (ra->config->acme_authorization_lifetime != 0) {
		if (store_acme_authorization_valid(ra->c.store, s->account.id, name->text, ra->now - ra->config->acme_authorization_lifetime,
		                                   ra->now, z, e)) {
			name->own = false;
			name->authorization = z->id;
			*first_end = z->expires < *first_end ? z->expires : *first_end;
			return true;
		}
		if (e->kind != ERR_NOT_FOUND)
			return false;
	}
	*z = (struct acme_authorization){ .account = s->account.id, .made_by = s->order.id, .state = ACME_PENDING, .challenge = ACME_PENDING,
		                          .expires = ra->now + ra->config->acme_challenge_lifetime };
	snprintf(z->name, sizeof z->name, "%s", name->text);
	ra->c.rnd(z->token, sizeof z->token);
	if (z->expires > s->order.expires)
		z->expires = s->order.expires;
	if (!store_acme_authorization_add(ra->c.store, z, e))
		return false;
	name->authorization = z->id;
	s->order.open++;
	return true;
}

static bool make_order(struct ra *ra, struct acme *s, const struct active *p, struct err *e)
{
	struct acme_order *o = &s->order;
	int64_t first_end;

	o->account = s->account.id;
	o->state = ACME_PENDING;
	o->open = 0;
	o->expires = first_end = ra->now + ra->config->acme_order_lifetime;
	o->certificate = 0;
	o->error = ACME_OK;
	o->csr.n = o->names.n = 0;
	o->error_detail[0] = o->error_name[0] = 0;
	snprintf(o->profile, sizeof o->profile, "%s", p->p.name);
	if (!next_order(ra, s, e))
		return false;
	for (uint32_t i = 0; i < s->name_n; i++)
		if (!authorize(ra, s, &s->name[i], &first_end, e))
			return false;
	o->expires = first_end;
	o->due = o->open != 0 && ra->now + ra->config->acme_challenge_lifetime < o->expires ? ra->now + ra->config->acme_challenge_lifetime : o->expires;
	acme_counted(ra, "caduceus_acme_orders_total", "state=\"pending\"");
	if (o->open == 0 && !acme_order_move(ra, s, ACME_READY, e))
		return false;
	acme_names_put(&o->names, s->name, s->name_n);
	return store_acme_order_add(ra->c.store, o, e);
}

bool acme_new_order(struct ra *ra, const struct in *in, struct acme *s, struct err *e)
{
	const struct active *p;
	AUTO_BUF names = { 0 };

	(void)in;
	if (!terms_agreed(ra, s))
		return false;
	p = profile_of(ra, s, e);
	if (p == NULL)
		return false;
	if (s->q.not_before != 0 || s->q.not_after != 0)
		return acme_no(s, ACME_MALFORMED, "profile %s says how long its certificates are valid: leave notBefore and notAfter out", p->p.name);
	if (!take_names(ra, s, p, e) || !replaces_ok(ra, s, e))
		return false;
	acme_names_text(s->name, s->name_n, &names);
	(void)buf_str(&names);
	if (!limits_ok(ra, s, &names, e) || !make_order(ra, s, p, e))
		return false;
	/* An order of many names makes as many rows as several of few. */
	for (uint32_t i = 0; is_slowed(ra, s) && i < s->name_n; i += NAMES_OF_ONE)
		rate_count(s->rate, RATE_ORDERS, s->account.id, "", ra->mono);
	if (s->order.replaced != 0)
		rate_count(s->rate, RATE_REPLACES, s->account.id, s->order.replaces, ra->mono);
	return acme_answer_order(ra, s, e);
}
