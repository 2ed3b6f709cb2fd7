/* SPDX-License-Identifier: Apache-2.0
 *
 * What ended longer ago than the policy keeps goes: a few rows a turn, when there is room for it, in the turn's transaction
 * with a record in the audit. */
#include "ra/internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>

enum { BATCH = 100, BUSY = 32 };
#define BETWEEN (50 * US_PER_SECOND / 1000) /* batches: a twentieth of the time */
#define BETWEEN_BUSY US_PER_SECOND
#define BETWEEN_SWEEPS US_PER_MINUTE

struct swept {
	struct buf entries;
	long long n;
	int64_t first, last;
};

static void swept_one(void *arg, int64_t ref, struct span serial, int64_t not_after)
{
	struct swept *s = arg;

	status_swept_put(&s->entries, (uint32_t)ref, serial);
	if (s->n++ == 0)
		s->first = not_after;
	s->last = not_after;
}

static void audit_sweep(struct ra *ra, const struct swept *s)
{
	struct audit_event ev = { .event = "cert.sweep", .outcome = "success", .actor = "ra", .auth = "system", .object_type = "instance" };
	char n[24], first[32], last[32], keeps[24];

	snprintf(n, sizeof n, "%lld", s->n);
	clock_rfc3339_s(s->first, first, sizeof first);
	clock_rfc3339_s(s->last, last, sizeof last);
	clock_duration_text(ra->config->retention_certificates, keeps, sizeof keeps);
	ev.object = store_instance(ra->c.store);
	audit_detail(&ev, "certificates", n);
	audit_detail(&ev, "ended_from", first);
	audit_detail(&ev, "ended_to", last);
	audit_detail(&ev, "retention", keeps);
	audit(ra, &ev);
}

static bool busy(const struct ra *ra)
{
	return ra->in_n + ra->outstanding > BUSY;
}

/* Whole or not at all, whatever becomes of the turn. */
static bool batch(struct ra *ra, struct swept *s, struct err *e)
{
	if (!store_savepoint(ra->c.store, e))
		return false;
	if (store_sweep(ra->c.store, &ra->sweep, BATCH, swept_one, s, e) && store_release(ra->c.store, e))
		return true;
	store_rollback_to(ra->c.store);
	return false;
}

void sweep_continue(struct ra *ra)
{
	struct swept s = { 0 };
	struct err e;

	/* va is told what goes: not into a queue that a snapshot fills. */
	if (ra->mono < ra->sweep_at || ra->setup_phase != SETUP_DONE || (ra->va_subscribed && ra->va_snapshot))
		return;
	/* Under load it goes on, too, but seldom. */
	if (busy(ra) && ra->mono < ra->sweep_at + BETWEEN_BUSY)
		return;
	ra->sweep.before = ra->now - ra->config->retention_certificates;
	/* CRL-11: a revoked one is on a CRL for crl.interval after its end. */
	ra->sweep.revoked_before = ra->now - ra->config->crl_interval;
	if (!batch(ra, &s, &e)) {
		log_event(LOG_LEVEL_ERROR, "the sweep of expired certificates failed", "why", e.text, NULL);
		ra->sweep.done = true;
	} else if (s.n != 0) {
		audit_sweep(ra, &s);
		feed_swept(ra, span_of(&s.entries));
	}
	ra->sweep_at = ra->mono + (ra->sweep.done ? BETWEEN_SWEEPS : BETWEEN);
	if (ra->sweep.done)
		ra->sweep = (struct sweep){ 0 };
	buf_free(&s.entries);
}
