/* SPDX-License-Identifier: Apache-2.0
 *
 * What has changed around the service is recorded like what it does (AUD-02, AUD-07): configuration, program, schema, the
 * clock's source, room for the audit, its end; and whether the newest records still hold. */
#include "ra/internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>
#include <sys/timex.h>

enum { TAIL = 1000, CLOCK_LOOK_S = 60 };

static struct audit_event event(const struct ra *ra, const char *name, const char *outcome)
{
	return (struct audit_event){ .event = name, .outcome = outcome, .actor = "ra", .auth = "system", .object_type = "instance",
		                     .object = store_instance(ra->c.store) };
}

/* A record with both values when this one is not what was kept under the key. The first time it is only kept. */
static void changed(struct ra *ra, const char *key, const char *name, const char *value)
{
	struct audit_event ev = event(ra, name, "success");
	AUTO_BUF was = { 0 };
	struct err e;
	bool known = store_meta_get(ra->c.store, key, &was, &e);

	if (known && strcmp(buf_str(&was), value) == 0)
		return;
	audit_detail(&ev, "before", known ? buf_str(&was) : NULL);
	audit_detail(&ev, "now", value);
	if (known)
		audit(ra, &ev);
	if (!store_meta_put(ra->c.store, key, (struct span){ (const uint8_t *)value, strlen(value) }, &e)) {
		ra->audit_ok = false;
		snprintf(ra->last_failure, sizeof ra->last_failure, "%.255s", e.text);
	}
}

void changes_config(struct ra *ra, const uint8_t digest[32])
{
	char hex[65];

	hex_put(hex, digest, 32);
	changed(ra, "config_sha256", "config.change", hex);
}

/* Before the first record of a transaction: meta tells the head only with its commit. */
void changes_verify(struct ra *ra)
{
	struct audit_event ev = event(ra, "audit.verify", "failed");
	struct audit_result r;
	char seq[24];
	struct err e;

	if (!audit_check_tail(ra->c.store, TAIL, &r, &e)) {
		ra->audit_ok = false;
		snprintf(ra->last_failure, sizeof ra->last_failure, "%.255s", e.text);
		return;
	}
	if (r.whole)
		return;
	log_event(LOG_LEVEL_ERROR, "ALARM: the audit was changed; keep a copy of the database, then look at `caduceus audit verify`",
	          "seq", LOG_NUM((int64_t)r.bad_seq), "why", r.why, NULL);
	snprintf(seq, sizeof seq, "%llu", (unsigned long long)r.bad_seq);
	audit_detail(&ev, "bad_seq", seq);
	audit_detail(&ev, "reason", r.why);
	audit(ra, &ev);
}

void changes_start(struct ra *ra, const uint8_t config_digest[32])
{
	char schema[24];

	snprintf(schema, sizeof schema, "%d", store_schema_version(ra->c.store));
	changed(ra, "schema_seen", "database.migrate", schema);
	changed(ra, "program_seen", "service.update", CADUCEUS_BUILD_ID);
	if (config_digest != NULL)
		changes_config(ra, config_digest);
}

/* NTP: certificates and the audit are dated by it. */
void changes_clock(struct ra *ra)
{
	struct timex t = { .modes = 0 };

	if (ra->clock_at != 0 && ra->mono - ra->clock_at < CLOCK_LOOK_S * US_PER_SECOND)
		return;
	ra->clock_at = ra->mono;
	changed(ra, "clock_seen", "clock.source", ntp_adjtime(&t) == TIME_ERROR || (t.status & STA_UNSYNC) != 0 ? "not synchronised" : "synchronised");
}

/* AUD-12: before there is no room for the record that says so. */
void changes_disk(struct ra *ra, int percent)
{
	struct audit_event ev = event(ra, "audit.space", percent >= DISK_ALARM ? "failed" : "success");
	char used[24];

	snprintf(used, sizeof used, "%d", percent);
	audit_detail(&ev, "percent_used", used);
	audit_detail(&ev, "issuance", percent >= DISK_FULL ? "stopped" : "goes on");
	audit(ra, &ev);
}

void ra_stopping(struct ra *ra, int64_t now)
{
	struct audit_event ev = event(ra, "service.stop", "success");
	struct err e;

	ra->now = now;
	ra->audit_ok = true;
	if (!store_begin(ra->c.store, &e))
		return;
	audit(ra, &ev);
	if (!ra->audit_ok || !store_commit(ra->c.store, &e)) {
		store_rollback(ra->c.store);
		log_event(LOG_LEVEL_ERROR, "the stop could not be recorded", "why", ra->audit_ok ? e.text : ra->last_failure, NULL);
	}
}
