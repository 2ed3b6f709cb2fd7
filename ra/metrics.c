/* SPDX-License-Identifier: Apache-2.0
 *
 * What /metrics says: ra's own counters and gauges, and the lines that the other roles have told. */
#include "ra/internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/timex.h>

enum { TOLD_MAX = 16384, EXPIRING_MAX = 10000 };

void metrics_told(struct ra *ra, enum ra_port from, struct span lines)
{
	ra->told[from].n = 0;
	buf_add(&ra->told[from], lines.p, lines.n < TOLD_MAX ? lines.n : 0);
}

void disk_look(struct ra *ra)
{
	struct statvfs s;
	int used, level, was;

	if (ra->disk_at != 0 && ra->mono - ra->disk_at < 5 * US_PER_SECOND)
		return;
	ra->disk_at = ra->mono;
	if (statvfs(ra->c.dir, &s) != 0 || s.f_blocks == 0)
		return;
	ra->disk_free = (double)s.f_bavail / (double)s.f_blocks;
	used = (int)((1 - ra->disk_free) * 100);
	level = used >= DISK_FULL ? 2 : used >= DISK_ALARM ? 1 : 0;
	was = ra->disk_level;
	ra->disk_level = level;
	if (level != was && ra->store_ok)
		changes_disk(ra, used);
	if (level < was)
		log_event(LOG_LEVEL_WARN, level == 0 ? "the disk has room again" : "the disk has a little room again: certificates are issued", "dir",
		          ra->c.dir, "percent_used", LOG_NUM(used), NULL);
	if (level == 0 || (level <= was && ra->mono - ra->disk_said < US_PER_HOUR))
		return;
	ra->disk_said = ra->mono;
	log_event(level == 2 ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN,
	          level == 2 ? "ALARM: the disk is full to 95 %: nothing is issued until there is room"
	                     : "ALARM: the disk fills; at 95 % nothing is issued any more",
	          "dir", ra->c.dir, "percent_used", LOG_NUM(used), NULL);
}

bool disk_allows(const struct ra *ra, struct err *e)
{
	return ra->disk_level < 2 ||
	       err_set(e, ERR_STORE, "the disk is more than %d %% full: nothing is issued until there is room", DISK_FULL);
}

bool writing_allowed(const struct ra *ra, struct err *e)
{
	return disk_allows(ra, e) && (ra->store_ok || err_set(e, ERR_STORE, "the database can't be written now"));
}

static void gauge(struct buf *b, const char *name, const char *labels, long long value)
{
	buf_printf(b, "%s%s%s%s %lld\n", name, labels[0] != 0 ? "{" : "", labels, labels[0] != 0 ? "}" : "", value);
}

static void put_authorities(const struct ra *ra, struct buf *b)
{
	char labels[64];

	for (size_t i = 0; i < ra->gen_n; i++) {
		const struct generation *g = &ra->gens[i];

		snprintf(labels, sizeof labels, "ca=\"%s\",gen=\"%u\"", g->name, g->gen);
		gauge(b, "caduceus_ca_not_after_timestamp_seconds", labels, g->not_after / US_PER_SECOND);
		gauge(b, "caduceus_crl_next_update_timestamp_seconds", labels, g->crl_next / US_PER_SECOND);
		gauge(b, "caduceus_crl_entries", labels, (long long)ra->crl_entries[i]);
	}
}

static const struct {
	int64_t days;
	const char *labels;
} windows[] = { { 7, "window=\"7d\"" }, { 30, "window=\"30d\"" } };

/* A part of the count; many thousands take some turns. */
void metrics_count(struct ra *ra)
{
	struct expiring_count *c = &ra->counting;
	size_t i = ra->counting_window;
	struct err e;

	if (!ra->counts)
		return;
	if (c->before == 0) {
		c->now = ra->now;
		c->before = ra->now + windows[i].days * US_PER_DAY;
	}
	if (store_expiring_count(ra->c.store, c, EXPIRING_MAX, &e) && !c->done)
		return;
	ra->expiring[i] = c->done ? c->n : 0;
	*c = (struct expiring_count){ 0 };
	ra->counting_window = (i + 1) % COUNT_OF(windows);
	ra->counts = ra->counting_window != 0;
}

/* Counted once a minute: a list of thousands is no reason to count it for every scrape. */
static void put_expiring(struct ra *ra, struct buf *b)
{
	if (!ra->counts && (ra->expiring_at == 0 || ra->mono - ra->expiring_at > US_PER_MINUTE)) {
		ra->counts = true;
		ra->expiring_at = ra->mono;
		/* A few are counted at once. */
		for (size_t i = 0; i < COUNT_OF(windows); i++)
			metrics_count(ra);
	}
	for (size_t i = 0; i < COUNT_OF(windows); i++)
		gauge(b, "caduceus_certs_expiring", windows[i].labels, ra->expiring[i]);
}

static void put_clock(struct buf *b)
{
	struct timex t = { .modes = 0 };
	int state = ntp_adjtime(&t);

	if (state < 0 || state == TIME_ERROR)
		buf_printf(b, "caduceus_clock_offset_seconds NaN\n");
	else
		buf_printf(b, "caduceus_clock_offset_seconds %s%ld.%09ld\n", t.offset < 0 ? "-" : "", 0L,
		           labs(t.offset) * ((t.status & STA_NANO) != 0 ? 1 : 1000));
}

void metrics_request(struct ra *ra, const struct in *in)
{
	AUTO_FREE struct ra_health *h = mem_new(sizeof *h);
	AUTO_BUF lines = { 0 };
	AUTO_BUF text = { 0 };
	uint64_t seq = 0;
	uint8_t hash[32];
	char labels[64];
	struct err e;

	metrics_put(ra->metrics, &lines);
	for (int i = 0; i < RA_PORT_COUNT; i++)
		buf_add(&lines, ra->told[i].p, ra->told[i].n);
	health_fill(ra, h);
	for (uint32_t i = 0; i < h->n; i++) {
		snprintf(labels, sizeof labels, "check=\"%s\"", h->check[i].name);
		gauge(&lines, "caduceus_check_ok", labels, h->check[i].ok);
	}
	(void)!store_audit_head(ra->c.store, &seq, hash, &e);
	gauge(&lines, "caduceus_audit_seq", "", (long long)seq);
	gauge(&lines, "caduceus_db_up", "", ra->store_ok);
	gauge(&lines, "caduceus_hsm_up", "", ra->ca_state.hsm_up && ra->setup_phase == SETUP_DONE);
	gauge(&lines, "caduceus_queue", "", ra->ca_state.queue);
	gauge(&lines, "caduceus_sandbox_full", "", sandbox_is_full(ra));
	gauge(&lines, "caduceus_build_info", "version=\"" CADUCEUS_VERSION "\"", 1);
	buf_printf(&lines, "caduceus_disk_free_ratio %.4f\n", ra->disk_free);
	put_authorities(ra, &lines);
	put_expiring(ra, &lines);
	put_clock(&lines);
	metrics_merge(&text, span_of(&lines));
	if (text.n > FRAME_BODY_MAX)
		text.n = FRAME_BODY_MAX;
	answer(ra, in->port, in->f.id, RA_OK, span_of(&text));
}
