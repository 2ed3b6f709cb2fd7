/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening: what an earlier life left behind is brought to an end before the first turn; reload and close. */
#include "ra/internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>

static bool void_intent(void *arg, const struct intent *i)
{
	struct ra *ra = arg;
	struct generation *g = gen_by_ref(ra, i->ref);
	struct audit_event ev = { .event = "cert.void", .outcome = "success", .actor = "ra", .auth = "system", .object_type = "certificate" };
	struct serial s = { .n = (uint8_t)i->serial_n };
	char text[2 * SERIAL_MAX + 1];
	uint64_t seq;
	struct err e;

	memcpy(s.v, i->serial, i->serial_n);
	serial_text(&s, text, sizeof text);
	ev.object = text;
	audit_detail(&ev, "reason", "reserved before a restart, never delivered");
	if (!store_serial_void(ra->c.store, i->ref, (struct span){ s.v, s.n }, ra->now, g != NULL ? g->not_after : ra->now, &seq, &e))
		log_event(LOG_LEVEL_ERROR, "an intent could not be closed", "serial", text, "why", e.text, NULL);
	audit(ra, &ev);
	return true;
}

/* Rows can't change under the list that reads them: closed one page at a time. */
struct voids {
	size_t n;
	struct intent row[64];
};

static bool collect_intent(void *arg, const struct intent *i)
{
	struct voids *v = arg;

	if (v->n == COUNT_OF(v->row))
		return false;
	v->row[v->n++] = *i;
	return true;
}

bool intents_close_old(struct ra *ra, struct err *e)
{
	AUTO_FREE struct voids *v = mem_new(sizeof *v);

	do {
		v->n = 0;
		if (!store_intent_list(ra->c.store, collect_intent, v, e))
			return false;
		for (size_t i = 0; i < v->n; i++)
			(void)void_intent(ra, &v->row[i]);
	} while (v->n == COUNT_OF(v->row));
	return true;
}

/* A compromised key is in a CRL at once: a crash between the revocation and its CRL changes nothing about that. */
static bool crls_behind(struct ra *ra, struct err *e)
{
	for (size_t i = 0; i < ra->gen_n; i++) {
		bool behind;

		if (!store_crl_behind(ra->c.store, ra->gens[i].ref, ra->gens[i].crl_this, &behind, e))
			return false;
		if (behind)
			crl_request(ra, &ra->gens[i], "ra");
	}
	return true;
}

static bool begin(struct ra *ra, struct err *e)
{
	struct audit_event ev = { .event = "service.start", .outcome = "success", .actor = "ra", .auth = "system", .object_type = "instance" };

	ev.object = store_instance(ra->c.store);
	audit_detail(&ev, "version", CADUCEUS_VERSION);
	if (!store_begin(ra->c.store, e))
		return false;
	changes_verify(ra);
	if (!gens_load(ra, e) || !profiles_load(ra, e) || !intents_close_old(ra, e)) {
		store_rollback(ra->c.store);
		return false;
	}
	audit(ra, &ev);
	changes_start(ra, ra->c.config_digest);
	if (!crls_behind(ra, e) || !restore_begin(ra, e) || !acme_open(ra, e)) {
		store_rollback(ra->c.store);
		return false;
	}
	import_profiles(ra);
	if (!ra->audit_ok) {
		store_rollback(ra->c.store);
		return err_set(e, ERR_STORE, "%s", ra->last_failure);
	}
	return store_commit(ra->c.store, e);
}

bool ra_open(struct ra **out, const struct ra_config *c, int64_t now, int64_t mono, struct err *e)
{
	AUTO_STRUCT(ra) *ra = mem_new(sizeof *ra);

	ra->c = *c;
	ra->config = c->config;
	ra->now = now;
	ra->mono = mono;
	ra->audit_ok = ra->store_ok = true;
	ra->crl.entries_fd = ra->crl.body_fd = -1;
	ra->limiter = limiter_new();
	ra->metrics = metrics_new();
	snprintf(ra->organization, sizeof ra->organization, "%s", c->config->organization);
	if (!begin(ra, e))
		return false;
	trust_files(ra);
	backup_sweep(ra, 0);
	*out = TAKE(ra);
	return true;
}

void ra_reload(struct ra *ra, const struct config *config, const uint8_t digest[32], int64_t now)
{
	struct err e;

	ra->config = config;
	ra->now = now;
	ra->audit_ok = true;
	ra->sweep = (struct sweep){ .done = false }; /* retention may be another */
	ra->sweep_at = 0;
	if (!store_begin(ra->c.store, &e)) {
		log_event(LOG_LEVEL_ERROR, "profiles not reloaded", "why", e.text, NULL);
		return;
	}
	changes_config(ra, digest);
	import_profiles(ra);
	if (!ra->audit_ok || !store_commit(ra->c.store, &e))
		turn_failed(ra, ra->audit_ok ? e.text : ra->last_failure);
	trust_request(ra, 0);
}

void ra_close(struct ra *ra)
{
	if (ra == NULL)
		return;
	crl_abort(ra, "stopping");
	for (size_t i = 0; i < ra->in_n; i++)
		buf_free(&ra->in[i].body);
	out_drop(ra);
	while (ra->under_way != NULL)
		work_free(ra, ra->under_way);
	for (size_t i = 0; i < RA_GEN_MAX; i++) {
		buf_free(&ra->gen_cert[i]);
		buf_free(&ra->responder_cert[i]);
	}
	for (size_t i = 0; i < RA_WAIT_MAX; i++)
		buf_free(&ra->wait[i].row);
	buf_free(&ra->publishing.rows);
	store_backup_end(ra->backup.copy);
	buf_free(&ra->loading.text);
	for (int i = 0; i < RA_PORT_COUNT; i++)
		buf_free(&ra->told[i]);
	metrics_free(ra->metrics);
	limiter_free(ra->limiter);
	acme_close(ra);
	free(ra->scratch);
	free(ra->in);
	free(ra->out);
	free(ra);
}
