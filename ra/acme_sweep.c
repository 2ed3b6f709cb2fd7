/* SPDX-License-Identifier: Apache-2.0
 *
 * ACME by the clock (ACME-53): an order stands in one index by when it is to be looked at next: to end it, to go on with what
 * is processing, to let its authorizations go, at last to remove it. A few a turn. */
#include "ra/acme_internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>

enum { BATCH = 50, ACCOUNT_BATCH = 20 };
#define BETWEEN (50 * US_PER_SECOND / 1000)
#define BETWEEN_LOOKS US_PER_SECOND
#define BETWEEN_ACCOUNTS US_PER_MINUTE

/* Its own: others' go with theirs. *until: when the last of those that are still good for something ends. */
static bool remove_authorizations(struct ra *ra, struct acme *s, int64_t *until, struct err *e)
{
	*until = 0;
	for (uint32_t i = 0; i < s->name_n; i++) {
		struct acme_authorization *z = &s->another;

		if (!s->name[i].own)
			continue;
		if (!store_acme_authorization(ra->c.store, s->name[i].authorization, z, e)) {
			if (e->kind != ERR_NOT_FOUND)
				return false;
			continue;
		}
		if (z->state == ACME_VALID && z->expires + ACME_KEEP_AUTHORIZATION > ra->now) {
			*until = z->expires + ACME_KEEP_AUTHORIZATION > *until ? z->expires + ACME_KEEP_AUTHORIZATION : *until;
			continue;
		}
		if (z->state == ACME_VALID && !acme_move(ACME_AN_AUTHORIZATION, &z->state, ACME_EXPIRED, e))
			return false;
		if (!store_acme_authorization_remove(ra->c.store, z->id, e))
			return false;
	}
	return true;
}

/* A challenge that was started goes on until it is decided; one that nobody answered in time ends the order. */
static bool look_pending(struct ra *ra, struct acme *s, struct err *e)
{
	int64_t due = s->order.expires;
	bool asked = false;

	if (s->order.expires <= ra->now)
		return acme_order_fail(ra, s, ACME_MALFORMED, "", "the order has expired", e);
	for (uint32_t i = 0; i < s->name_n; i++) {
		struct acme_authorization *z = &s->authorization;

		if (!s->name[i].own)
			continue;
		if (!store_acme_authorization(ra->c.store, s->name[i].authorization, z, e))
			return false;
		if (z->state != ACME_PENDING)
			continue;
		if (z->expires <= ra->now)
			return acme_order_fail(ra, s, ACME_MALFORMED, z->name, "no challenge of this name was answered in time", e);
		due = z->expires < due ? z->expires : due;
		if (z->challenge == ACME_PROCESSING) {
			acme_ask_again(ra, z);
			asked = true;
		}
	}
	if (asked && ra->now + ACME_DUE_AGAIN < due)
		due = ra->now + ACME_DUE_AGAIN;
	return store_acme_order_due(ra->c.store, s->order.id, due, e);
}

static bool look_ended(struct ra *ra, struct acme *s, struct err *e)
{
	int64_t until, last;

	if (!remove_authorizations(ra, s, &until, e))
		return false;
	if (until != 0)
		return store_acme_order_due(ra->c.store, s->order.id, until, e);
	if (s->order.state == ACME_VALID) {
		/* /cert/ID is there as long as the certificate holds. */
		if (store_certificate_by_id(ra->c.store, s->order.certificate, &s->row, e)) {
			if (s->row.not_after > ra->now)
				return store_acme_order_due(ra->c.store, s->order.id, s->row.not_after, e);
		} else if (e->kind != ERR_NOT_FOUND) {
			return false;
		}
	}
	if (!store_acme_order_last(ra->c.store, &last, e))
		return false;
	/* The newest keeps its number taken. */
	return s->order.id == last ? store_acme_order_due(ra->c.store, s->order.id, ra->now + US_PER_DAY, e)
	                           : store_acme_order_remove(ra->c.store, s->order.id, e);
}

static bool look(struct ra *ra, struct acme *s, int64_t id, struct err *e)
{
	if (!acme_order_load(ra, s, id, e))
		return false;
	switch (s->order.state) {
	case ACME_PENDING:
		return look_pending(ra, s, e);
	case ACME_READY:
		return s->order.expires <= ra->now ? acme_order_fail(ra, s, ACME_MALFORMED, "", "the order has expired", e)
		                                   : store_acme_order_due(ra->c.store, id, s->order.expires, e);
	case ACME_PROCESSING:
		return acme_issue_again(ra, s, e);
	default:
		return look_ended(ra, s, e);
	}
}

/* Each by itself: one that can't be handled holds no other up. */
static void look_safely(struct ra *ra, struct acme *s, int64_t id)
{
	struct err e = { 0 };

	if (!store_savepoint(ra->c.store, &e))
		return;
	if (look(ra, s, id, &e) && store_release(ra->c.store, &e))
		return;
	store_rollback_to(ra->c.store);
	log_event(LOG_LEVEL_ERROR, "an ACME order could not be looked at", "order", LOG_NUM(id), "why", e.text, NULL);
	(void)!store_acme_order_due(ra->c.store, id, ra->now + US_PER_HOUR, &e);
}

static void accounts(struct ra *ra, struct acme *s)
{
	struct audit_event ev = { .event = "acme.sweep", .outcome = "success", .actor = "ra", .auth = "system", .object_type = "instance" };
	char text[24];
	struct err e;
	int n = 0;

	if (ra->mono < s->account_sweep_at)
		return;
	s->account_sweep_at = ra->mono + BETWEEN_ACCOUNTS;
	if (!store_acme_account_sweep(ra->c.store, ra->now - ra->config->retention_certificates, ACCOUNT_BATCH, &n, &e)) {
		log_event(LOG_LEVEL_ERROR, "the sweep of ended ACME accounts failed", "why", e.text, NULL);
		return;
	}
	if (n == 0)
		return;
	snprintf(text, sizeof text, "%d", n);
	ev.object = store_instance(ra->c.store);
	audit_detail(&ev, "accounts", text);
	audit(ra, &ev);
}

void acme_sweep(struct ra *ra)
{
	struct acme *s = ra->acme;
	int64_t id[BATCH];
	struct err e;
	size_t n;

	if (ra->mono < s->sweep_at)
		return;
	if (!store_acme_order_overdue(ra->c.store, ra->now, id, BATCH, &n, &e)) {
		log_event(LOG_LEVEL_ERROR, "the sweep of ACME orders failed", "why", e.text, NULL);
		n = 0;
	}
	for (size_t i = 0; i < n; i++)
		look_safely(ra, s, id[i]);
	accounts(ra, s);
	s->sweep_at = ra->mono + (n == BATCH ? BETWEEN : BETWEEN_LOOKS);
}

/* What an earlier life had under way is due at once. */
bool acme_resume(struct ra *ra, struct err *e)
{
	return store_acme_order_resume(ra->c.store, ra->now, ra->now + 2 * ACME_DUE_AGAIN, e);
}
