/* SPDX-License-Identifier: Apache-2.0
 *
 * The feed to va: authorities, a snapshot page by page, then the tail after every commit. */
#include "ra/internal.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>

enum { SNAPSHOT_US = 3000 };

static bool responds(const struct generation *g)
{
	return g->has_responder;
}

void feed_authority(struct ra *ra, const struct generation *g)
{
	size_t i = gen_index(ra, g);
	struct generation *parent = g->parent != 0 ? gen_by_ref(ra, g->parent) : NULL;
	struct status_authority a = { .ref = (uint32_t)g->ref, .newest = gen_newest(ra, g->name) == g,
		                      .cert = span_of(&ra->gen_cert[i]), .has_responder = responds(g),
		                      .responder_not_after = g->responder_not_after,
		                      .ocsp_lifetime = ra->config->ocsp_lifetime,
		                      .unknown_revoked = strcmp(ra->config->ocsp_unknown, "unknown") != 0 };
	AUTO_BUF body = { 0 };

	if (!ra->va_subscribed)
		return;
	snprintf(a.gen.name, sizeof a.gen.name, "%s", g->name);
	a.gen.gen = g->gen;
	if (parent != NULL)
		a.issuer = span_of(&ra->gen_cert[gen_index(ra, parent)]);
	status_authority_put(&body, &a);
	tell(ra, RA_PORT_VA, STATUS_AUTHORITY, span_of(&body));
}

void feed_crl(struct ra *ra, const struct generation *g, uint64_t number, int64_t this_update, int64_t next_update)
{
	struct status_crl c = { .newest = gen_newest(ra, g->name) == g, .number = number, .this_update = this_update,
		                .next_update = next_update };
	AUTO_BUF body = { 0 };

	if (!ra->va_subscribed || next_update == 0)
		return;
	snprintf(c.gen.name, sizeof c.gen.name, "%s", g->name);
	c.gen.gen = g->gen;
	status_crl_put(&body, &c);
	tell(ra, RA_PORT_VA, STATUS_CRL, span_of(&body));
}

static void subscribe(struct ra *ra, uint64_t client)
{
	AUTO_BUF body = { 0 };
	uint64_t head = 0, rows = 0;
	struct err e;

	(void)!store_status_head(ra->c.store, &head, &e);
	(void)!store_status_estimate(ra->c.store, &rows, &e);
	ra->va_subscribed = ra->va_snapshot = true;
	ra->va_full = false;
	ra->va_after_ref = 0;
	ra->va_after.n = 0;
	/* The head is noted first: what changes while the pages go is in the tail again, and the higher sequence wins. */
	ra->va_sent = head;
	ra->va_seen = 0;
	ra->va_head_n = 0;
	wr_u64(&body, head);
	wr_u64(&body, rows);
	answer(ra, RA_PORT_VA, client, STATUS_OK, span_of(&body));
	for (size_t i = 0; i < ra->gen_n; i++) {
		feed_authority(ra, &ra->gens[i]);
		feed_crl(ra, &ra->gens[i], ra->gens[i].crl_number, ra->gens[i].crl_this, ra->gens[i].crl_next);
	}
}

void feed_frame(struct ra *ra, const struct in *in)
{
	struct rd r = rd_of(in->f.body.p, in->f.body.n);
	uint64_t seen;
	struct err e;

	switch (in->f.type) {
	case STATUS_SUBSCRIBE:
		subscribe(ra, in->f.id);
		break;
	case STATUS_HEAD:
		if (ra->va_head_n == RA_WAIT_MAX || !ra->va_subscribed) {
			err_set(&e, ERR_BUSY, "not now");
			answer_error(ra, RA_PORT_VA, in->f.id, &e);
		} else {
			ra->va_head[ra->va_head_n++] = in->f.id;
		}
		break;
	case STATUS_COUNTED:
		metrics_told(ra, RA_PORT_VA, in->f.body);
		break;
	case STATUS_SEEN:
		seen = rd_u64(&r);
		if (rd_done(&r) && seen > ra->va_seen)
			ra->va_seen = seen;
		break;
	default:
		err_set(&e, ERR_DENIED, "not on this channel");
		answer_error(ra, RA_PORT_VA, in->f.id, &e);
	}
}

struct page {
	struct ra *ra;
	struct buf body;
	size_t n;
	struct status_row last;
};

static bool put_row(void *arg, const struct status_row *row)
{
	struct page *p = arg;
	struct status_entry en = { .ref = (uint32_t)row->ref, .serial = { .n = (uint8_t)row->serial_n },
		                   .state = row->state == STORE_REVOKED ? STATUS_REVOKED : STATUS_GOOD,
		                   .reason = (enum crl_reason)row->reason, .revoked_at = row->revoked_at,
		                   .not_after = row->not_after, .seq = row->seq };

	memcpy(en.serial.v, row->serial, row->serial_n);
	status_entry_put(&p->body, &en);
	p->last = *row;
	p->n++;
	return true;
}

static bool send_now(struct ra *ra, uint16_t type, uint64_t id, struct span body)
{
	return ra->c.send(ra->c.arg, RA_PORT_VA, &(struct frame){ .type = type, .id = id, .body = body });
}

/* Outside any transaction; false when va's queue is full: the same page in a moment. */
static bool snapshot_page(struct ra *ra)
{
	struct page p = { .ra = ra };
	struct span after = { ra->va_after.v, ra->va_after.n };
	struct serial at = ra->va_after;
	struct err e;
	bool sent = false;

	after.p = at.v;
	wr_u64(&p.body, 0);
	buf_reserve(&p.body, STATUS_ENTRIES_MAX * (STATUS_ENTRY_SIZE + SERIAL_MAX));
	if (store_status_page(ra->c.store, ra->va_after_ref, after, STATUS_ENTRIES_MAX, put_row, &p, &e))
		sent = p.n == 0 || send_now(ra, STATUS_ENTRIES, 0, span_of(&p.body));
	buf_free(&p.body);
	if (!sent)
		return false;
	if (p.n != 0) {
		ra->va_after_ref = p.last.ref;
		ra->va_after.n = (uint8_t)p.last.serial_n;
		memcpy(ra->va_after.v, p.last.serial, p.last.serial_n);
	}
	if (p.n < STATUS_ENTRIES_MAX) {
		AUTO_BUF end = { 0 };

		wr_u64(&end, ra->va_sent);
		ra->va_snapshot = !send_now(ra, STATUS_SNAPSHOT_END, 0, span_of(&end));
	}
	return true;
}

/* All that was committed since; true when va has been sent the head. */
static bool send_tail(struct ra *ra)
{
	uint64_t head;
	struct err e;

	if (!store_status_head(ra->c.store, &head, &e))
		return false;
	while (ra->va_sent < head) {
		struct page p = { .ra = ra };
		AUTO_BUF frame = { 0 };
		bool good = store_status_tail(ra->c.store, ra->va_sent, STATUS_ENTRIES_MAX, put_row, &p, &e) && p.n != 0;

		wr_u64(&frame, p.last.seq);
		buf_add(&frame, p.body.p, p.body.n);
		buf_free(&p.body);
		if (!good || !send_now(ra, STATUS_ENTRIES, 0, span_of(&frame)))
			return false;
		ra->va_sent = p.last.seq;
	}
	return true;
}

/* As many pages as a turn may take: what came in meanwhile waits for no more than that. */
static void snapshot(struct ra *ra)
{
	int64_t until = clock_mono() + SNAPSHOT_US;

	do
		ra->va_full = !snapshot_page(ra);
	while (ra->va_snapshot && !ra->va_full && clock_mono() < until);
}

bool feed_waits(const struct ra *ra)
{
	return ra->va_full;
}

void feed_swept(struct ra *ra, struct span entries)
{
	if (ra->va_subscribed)
		tell(ra, RA_PORT_VA, STATUS_SWEPT, entries);
}

void feed_continue(struct ra *ra)
{
	AUTO_BUF body = { 0 };

	if (!ra->va_subscribed)
		return;
	if (ra->va_snapshot) {
		snapshot(ra);
		return;
	}
	if (!send_tail(ra))
		return;
	wr_u64(&body, ra->va_sent);
	for (size_t i = 0; i < ra->va_head_n; i++)
		(void)send_now(ra, STATUS_OK, ra->va_head[i], span_of(&body));
	ra->va_head_n = 0;
}
