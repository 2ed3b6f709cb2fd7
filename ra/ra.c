/* SPDX-License-Identifier: Apache-2.0
 *
 * The turn: everything that waits, in one transaction; what it says goes out after the commit. */
#include "ra/internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "probe/probe.h"

#include <stdio.h>
#include <string.h>

#define CLOCK_STEP (10 * US_PER_SECOND)

/* --- Tables */

struct generation *gen_by_ref(struct ra *ra, int64_t ref)
{
	for (size_t i = 0; i < ra->gen_n; i++)
		if (ra->gens[i].ref == ref)
			return &ra->gens[i];
	return NULL;
}

struct generation *gen_newest(struct ra *ra, const char *name)
{
	struct generation *newest = NULL;

	for (size_t i = 0; i < ra->gen_n; i++)
		if (strcmp(ra->gens[i].name, name) == 0 && (newest == NULL || ra->gens[i].gen > newest->gen))
			newest = &ra->gens[i];
	return newest;
}

size_t gen_index(const struct ra *ra, const struct generation *g)
{
	return (size_t)(g - ra->gens);
}

const struct active *profile_active(const struct ra *ra, const char *name)
{
	for (size_t i = 0; i < ra->profile_n; i++)
		if (strcmp(ra->profiles[i].p.name, name) == 0)
			return &ra->profiles[i];
	return NULL;
}

const struct active *profile_by_digest(const struct ra *ra, const uint8_t digest[32])
{
	for (size_t i = 0; i < ra->profile_n; i++)
		if (memcmp(ra->profiles[i].digest, digest, 32) == 0)
			return &ra->profiles[i];
	return NULL;
}

bool gens_load(struct ra *ra, struct err *e)
{
	if (!store_generation_list(ra->c.store, ra->gens, RA_GEN_MAX, &ra->gen_n, e))
		return false;
	for (size_t i = 0; i < ra->gen_n; i++) {
		if (!store_generation_cert(ra->c.store, ra->gens[i].ref, &ra->gen_cert[i], e))
			return false;
		ra->responder_cert[i].n = 0;
		if (ra->gens[i].has_responder && !store_responder_cert(ra->c.store, ra->gens[i].ref, &ra->responder_cert[i], e))
			return false;
	}
	return true;
}

static bool take_profile_row(void *arg, const struct profile_row *row, struct span canonical)
{
	struct ra *ra = arg;
	struct rd r = rd_of(canonical.p, canonical.n);
	struct active *a;

	if (ra->profile_n == RA_PROFILE_MAX)
		return false;
	a = &ra->profiles[ra->profile_n];
	profile_get(&r, &a->p);
	memcpy(a->digest, row->digest, sizeof a->digest);
	a->loaded = row->loaded;
	a->accepted = false;
	ra->profile_n += rd_done(&r);
	return true;
}

/* What ca has accepted before stays accepted. */
bool profiles_load(struct ra *ra, struct err *e)
{
	struct active *was = mem_array(RA_PROFILE_MAX, sizeof *was);
	size_t was_n = ra->profile_n;
	bool good;

	memcpy(was, ra->profiles, sizeof ra->profiles);
	ra->profile_n = 0;
	good = store_profile_list(ra->c.store, true, take_profile_row, ra, e);
	for (size_t i = 0; i < ra->profile_n; i++)
		for (size_t k = 0; k < was_n; k++)
			if (memcmp(ra->profiles[i].digest, was[k].digest, 32) == 0)
				ra->profiles[i].accepted = was[k].accepted;
	free(was);
	return good;
}

/* --- Work */

struct work *work_new(struct ra *ra, enum work_kind kind, uint16_t type, int64_t deadline, struct err *e)
{
	for (uint32_t k = 0; ra->outstanding < RA_OUTSTANDING && k < RA_OUTSTANDING; k++) {
		struct work *w = &ra->work[(ra->work_hint + k) % RA_OUTSTANDING];
		uint32_t generation = w->generation + 1;

		if (w->kind != WORK_NONE)
			continue;
		ra->work_hint = (uint32_t)(w - ra->work) + 1;
		*w = (struct work){ .kind = kind, .type = type, .deadline = deadline, .generation = generation, .setup = -1,
			            .next = ra->under_way, .at = &ra->under_way };
		if (w->next != NULL)
			w->next->at = &w->next;
		ra->under_way = w;
		ra->outstanding++;
		return w;
	}
	err_set(e, ERR_BUSY, "too many requests are under way");
	if (e != NULL)
		e->retry_after = 2;
	return NULL;
}

void work_free(struct ra *ra, struct work *w)
{
	free(w->leaf);
	buf_free(&w->ask);
	w->leaf = NULL;
	w->kind = WORK_NONE;
	*w->at = w->next;
	if (w->next != NULL)
		w->next->at = w->at;
	ra->outstanding--;
}

static uint64_t work_id(const struct ra *ra, const struct work *w)
{
	return (uint64_t)w->generation << 32 | (uint64_t)(w - ra->work);
}

static struct work *work_of(struct ra *ra, uint64_t id)
{
	uint32_t i = (uint32_t)id;

	if (i >= RA_OUTSTANDING || ra->work[i].kind == WORK_NONE || ra->work[i].generation != (uint32_t)(id >> 32))
		return NULL;
	return &ra->work[i];
}

/* --- Going out */

static struct out *out_new(struct ra *ra, enum ra_port port, uint16_t type, uint64_t id, struct span body)
{
	struct out *o;

	if (ra->out_n == ra->out_cap) {
		ra->out_cap = ra->out_cap != 0 ? 2 * ra->out_cap : 64;
		ra->out = mem_grow(ra->out, ra->out_cap, sizeof *ra->out);
	}
	o = &ra->out[ra->out_n++];
	*o = (struct out){ .port = port, .f = { .type = type, .id = id } };
	buf_add(&o->body, body.p, body.n);
	return o;
}

void ask_ca(struct ra *ra, struct work *w, struct span body)
{
	struct out *o = out_new(ra, RA_PORT_CA, w->type, work_id(ra, w), body);

	o->work = w;
	o->f.deadline = w->deadline;
}

void ask_probe(struct ra *ra, uint64_t id, int64_t deadline, struct span body)
{
	out_new(ra, RA_PORT_PROBE, PROBE_VALIDATE, id, body)->f.deadline = deadline;
}

void answer(struct ra *ra, enum ra_port port, uint64_t client, uint16_t type, struct span body)
{
	if (client != 0)
		out_new(ra, port, type, client, body);
}

void answer_error(struct ra *ra, enum ra_port port, uint64_t client, const struct err *e)
{
	AUTO_BUF body = { 0 };
	struct err shown = *e, why;

	/* Internals stay in the log (EST-27). */
	if (e->kind == ERR_INTERNAL || e->kind == ERR_STORE || e->kind == ERR_LINT || e->kind == ERR_IO) {
		/* A full disk is said once (turn_failed, disk_look), not by every request that meets it. */
		if (writing_allowed(ra, &why) || (e->kind != ERR_STORE && e->kind != ERR_IO))
			log_event(LOG_LEVEL_ERROR, "request failed", "kind", err_kind_name(e->kind), "why", e->text, NULL);
		err_set(&shown, e->kind, e->kind == ERR_STORE || e->kind == ERR_IO ? "the database can't be written now"
		                                                                   : "internal error; the log says more");
		shown.retry_after = 5;
	}
	failure_put(&body, &shown);
	answer(ra, port, client, RA_FAILED, span_of(&body));
}

void tell(struct ra *ra, enum ra_port port, uint16_t type, struct span body)
{
	if (ra->up[port])
		out_new(ra, port, type, 0, body);
}

void audit(struct ra *ra, const struct audit_event *ev)
{
	struct err e;

	if (!audit_add(ra->c.store, ev, ra->now, &e)) {
		ra->audit_ok = false;
		snprintf(ra->last_failure, sizeof ra->last_failure, "%.255s", e.text);
	}
}

bool intent_make(struct ra *ra, int64_t ref, int64_t subject, const char *purpose, struct serial *out, struct err *e)
{
	struct intent i = { .ref = ref, .serial_n = 16, .subject = subject, .created = ra->now };

	snprintf(i.purpose, sizeof i.purpose, "%s", purpose);
	for (int tries = 0; tries < 8; tries++) {
		ra->c.rnd(i.serial, 16);
		/* X509-01: positive, 126 random bits, always 16 octets. */
		i.serial[0] = (uint8_t)((i.serial[0] & 0x7f) | 0x40);
		if (store_intent_add(ra->c.store, &i, e)) {
			out->n = 16;
			memcpy(out->v, i.serial, 16);
			return true;
		}
		if (e->kind != ERR_EXISTS)
			return false;
	}
	return err_set(e, ERR_INTERNAL, "eight serial numbers in a row are taken: the random source repeats itself");
}

/* --- Coming in */

/* OPS-17: room that devices do not get, however many they are: a revocation can't wait. */
enum { FOR_ITSELF = 64, FOR_OFFICERS = 64 };

void ra_feed(struct ra *ra, enum ra_port port, const struct frame *f, int64_t mono)
{
	struct in *in;

	ra->mono = mono;
	if (f->id != 0 && port <= RA_PORT_OFFICER &&
	    ra->in_n + ra->outstanding >= RA_OUTSTANDING - (port == RA_PORT_OFFICER ? FOR_ITSELF : FOR_ITSELF + FOR_OFFICERS)) {
		AUTO_BUF body = { 0 };
		struct err e;

		err_set(&e, ERR_BUSY, "too many requests are under way; try again in a moment");
		e.retry_after = 2;
		failure_put(&body, &e);
		(void)ra->c.send(ra->c.arg, port, &(struct frame){ .type = RA_FAILED, .id = f->id, .body = span_of(&body) });
		return;
	}
	if (ra->in_n == ra->in_cap) {
		ra->in_cap = ra->in_cap != 0 ? 2 * ra->in_cap : 64;
		ra->in = mem_grow(ra->in, ra->in_cap, sizeof *ra->in);
	}
	in = &ra->in[ra->in_n++];
	*in = (struct in){ .port = port, .f = *f };
	buf_add(&in->body, f->body.p, f->body.n);
	in->f.body = span_of(&in->body);
}

static void from_ca(struct ra *ra, const struct in *in)
{
	struct work *w = work_of(ra, in->f.id);
	struct err why = { 0 };
	bool good = in->f.type == CA_OK;

	if (w == NULL)
		return; /* of an earlier life, or given up */
	if (!good && !failure_get(in->f.body, &why))
		err_set(&why, ERR_INTERNAL, "malformed answer from ca");
	switch (w->kind) {
	case WORK_LEAF:
	case WORK_RESPONDER:
		issue_answered(ra, w, good, in->f.body, &why);
		return;
	case WORK_AUTHORITY:
		provision_answered(ra, w, good, in->f.body, &why);
		break;
	case WORK_SETUP:
		setup_answered(ra, w, good, in->f.body, &why);
		break;
	case WORK_CRL:
		crl_answered(ra, w, good, in->f.body, &why);
		break;
	case WORK_HSM:
		officer_hsm_answered(ra, w, good, in->f.body, &why);
		break;
	case WORK_PROFILE:
		profile_judged(ra, good, &why);
		break;
	case WORK_STATE:
		if (good && ca_state_get(in->f.body, &ra->ca_state, &why)) {
			ra->ca_state_at = ra->mono;
			metrics_told(ra, RA_PORT_CA, ra->ca_state.metrics);
			ra->ca_state.metrics = (struct span){ NULL, 0 };
		}
		break;
	default:
		break;
	}
	work_free(ra, w);
}

void trust_request(struct ra *ra, uint64_t client)
{
	AUTO_FREE struct ra_trust *t = mem_new(sizeof *t);
	AUTO_BUF body = { 0 };

	for (size_t i = 0; i < ra->gen_n; i++) {
		struct span der = span_of(&ra->gen_cert[i]);

		if (ra->gens[i].parent == 0 && t->root_n < RA_TRUST_MAX)
			t->root[t->root_n++] = der;
		else if (ra->gens[i].parent != 0 && t->issuing_n < RA_TRUST_MAX)
			t->issuing[t->issuing_n++] = der;
	}
	for (size_t i = 0; i < ra->profile_n && t->label_n < RA_LABEL_MAX; i++)
		if ((ra->profiles[i].p.doors & DOOR_EST) != 0)
			snprintf(t->label[t->label_n++], sizeof t->label[0], "%s", ra->profiles[i].p.name);
	for (size_t i = 0; i < ra->profile_n && t->realm_n < RA_LABEL_MAX; i++)
		if ((ra->profiles[i].p.doors & DOOR_ACME) != 0)
			snprintf(t->realm[t->realm_n++], sizeof t->realm[0], "%s", ra->profiles[i].p.name);
	ra_trust_put(&body, t);
	if (client != 0)
		answer(ra, RA_PORT_ENROLL, client, RA_OK, span_of(&body));
	else
		tell(ra, RA_PORT_ENROLL, RA_TRUST, span_of(&body));
}

static void from_enroll(struct ra *ra, const struct in *in)
{
	struct err e;

	switch (in->f.type) {
	case RA_ENROLL:
		enroll_request(ra, in);
		break;
	case RA_ACME:
		acme_request(ra, in);
		break;
	case RA_TLS_CERT:
		tls_request(ra, in);
		break;
	case RA_REFUSED:
		refused_notice(ra, in);
		break;
	case RA_TRUST:
		trust_request(ra, in->f.id);
		break;
	case RA_HEALTH:
		health_request(ra, in);
		break;
	case RA_COUNTED:
		metrics_told(ra, in->port, in->f.body);
		break;
	default:
		/* Officers' verbs are taken from the officers' channel alone. */
		log_event(LOG_LEVEL_ERROR, "front asked for what is not its own", "type", LOG_NUM(in->f.type), NULL);
		err_set(&e, ERR_DENIED, "not on this channel");
		answer_error(ra, in->port, in->f.id, &e);
	}
}

static void from_officers(struct ra *ra, const struct in *in)
{
	struct err e;

	if (in->f.type == RA_OFFICER) {
		officer_request(ra, in);
	} else if (in->f.type == RA_HEALTH) {
		health_request(ra, in);
	} else if (in->f.type == RA_COUNTED) {
		metrics_told(ra, in->port, in->f.body);
	} else if (in->f.type == RA_METRICS) {
		metrics_request(ra, in);
	} else {
		err_set(&e, ERR_DENIED, "not on this channel");
		answer_error(ra, in->port, in->f.id, &e);
	}
}

static void dispatch(struct ra *ra, const struct in *in)
{
	struct err late;

	if (in->f.deadline != 0 && ra->mono > in->f.deadline && in->port <= RA_PORT_OFFICER) {
		err_set(&late, ERR_TIMEOUT, "the request waited too long; try again");
		answer_error(ra, in->port, in->f.id, &late);
		return;
	}
	switch (in->port) {
	case RA_PORT_CA:
		from_ca(ra, in);
		break;
	case RA_PORT_VA:
		feed_frame(ra, in);
		break;
	case RA_PORT_ENROLL:
		from_enroll(ra, in);
		break;
	case RA_PORT_PROBE:
		acme_from_probe(ra, in);
		break;
	default:
		from_officers(ra, in);
	}
}

/* --- The turn */

void out_drop(struct ra *ra)
{
	for (size_t i = 0; i < ra->out_n; i++)
		buf_free(&ra->out[i].body);
	ra->out_n = 0;
}

/* Answers that stand on what was rolled back become this refusal; what was meant for ca or va is dropped. */
static void refuse_out(struct ra *ra, const struct err *e)
{
	struct out *was = ra->out;
	size_t n = ra->out_n;

	ra->out = NULL;
	ra->out_n = ra->out_cap = 0;
	for (size_t i = 0; i < n; i++) {
		if (was[i].port <= RA_PORT_OFFICER && was[i].f.id != 0)
			answer_error(ra, was[i].port, was[i].f.id, e);
		buf_free(&was[i].body);
	}
	free(was);
}

/* The commit failed: nothing of this turn has happened. Everyone who waits is told; what ca still answers is dropped,
 * and its intents are closed when writing succeeds again. The log hears of it once (AUD-12). */
void turn_failed(struct ra *ra, const char *why)
{
	int64_t crl = ra->crl.active && !ra->crl.waited ? ra->crl.ref : 0;
	struct err e;

	if (ra->store_ok)
		log_event(LOG_LEVEL_ERROR, "ALARM: the database or the audit can't be written; nothing is issued", "why", why, NULL);
	ra->store_ok = false;
	store_rollback(ra->c.store);
	err_set(&e, ERR_STORE, "%s", why);
	refuse_out(ra, &e);
	for (size_t i = 0; i < ra->in_n; i++)
		if (ra->in[i].port <= RA_PORT_OFFICER)
			answer_error(ra, ra->in[i].port, ra->in[i].f.id, &e);
	if (ra->loading.client != 0)
		answer_error(ra, RA_PORT_OFFICER, ra->loading.client, &e);
	while (ra->under_way != NULL) {
		answer_error(ra, ra->under_way->port, ra->under_way->client, &e);
		work_free(ra, ra->under_way);
	}
	acme_turn_failed(ra, &e);
	ra->loading.client = 0; /* told above, with the other works' clients */
	crl_abort(ra, why);
	(void)!gens_load(ra, &e);
	(void)!profiles_load(ra, &e);
	if (crl != 0 && gen_by_ref(ra, crl) != NULL)
		crl_request(ra, gen_by_ref(ra, crl), "ra"); /* what made it due has not gone away */
	ra->setup_phase = SETUP_NONE;
	ra->provisioning = false;
	if (ra->up[RA_PORT_CA])
		setup_begin(ra);
}

static void flush(struct ra *ra)
{
	for (size_t i = 0; i < ra->out_n; i++) {
		struct out *o = &ra->out[i];
		bool sent;

		o->f.body = span_of(&o->body);
		sent = ra->c.send(ra->c.arg, o->port, &o->f);
		if (!sent && o->port == RA_PORT_PROBE)
			ra_feed(ra, RA_PORT_PROBE, &(struct frame){ .type = PROBE_FAILED, .id = o->f.id }, ra->mono);
		if (!sent && o->work != NULL && o->work->kind != WORK_NONE) {
			/* ca's queue is full or it has gone: as if it had refused. */
			AUTO_BUF body = { 0 };
			struct err e;

			err_set(&e, ERR_BUSY, "the signer is busy or restarting");
			e.retry_after = 1;
			failure_put(&body, &e);
			ra_feed(ra, RA_PORT_CA, &(struct frame){ .type = CA_FAILED, .id = o->f.id, .body = span_of(&body) }, ra->mono);
		}
	}
	out_drop(ra);
}

/* The wall clock against the one that only runs: a step is said, and stands in the audit, whose times it bends. */
static void look_at_clock(struct ra *ra)
{
	int64_t offset = ra->now - ra->mono, by = offset - ra->clock_offset;
	struct audit_event ev = { .event = "clock.step", .outcome = "success", .actor = "ra", .auth = "system", .object_type = "instance" };
	char seconds[24];

	if (ra->clock_offset != 0 && (by > CLOCK_STEP || by < -CLOCK_STEP)) {
		snprintf(seconds, sizeof seconds, "%lld", (long long)(by / US_PER_SECOND));
		log_event(LOG_LEVEL_WARN, "ALARM: the clock was stepped", "seconds", seconds, NULL);
		ev.object = store_instance(ra->c.store);
		audit_detail(&ev, "seconds", seconds);
		audit(ra, &ev);
	}
	ra->clock_offset = offset;
}

static void by_the_clock(struct ra *ra)
{
	struct err e;

	if (ra->store_ok)
		look_at_clock(ra);

	if (ra->setup_phase == SETUP_DONE) {
		if (ra->c.provision)
			provision_continue(ra);
		disk_look(ra);
	}
	setup_retry(ra);
	if (ra->store_ok) {
		changes_clock(ra);
		if (ra->setup_phase == SETUP_DONE)
			renew_due(ra);
		crl_continue(ra);
		metrics_count(ra);
		sweep_continue(ra);
	}
	waiters_continue(ra);
	acme_clock(ra);
	if (ra->up[RA_PORT_CA] && ra->mono - ra->ca_asked_at > 2 * US_PER_SECOND) {
		struct work *w = work_new(ra, WORK_STATE, CA_STATE, ra->mono + 5 * US_PER_SECOND, &e);

		ra->ca_asked_at = ra->mono;
		if (w != NULL)
			ask_ca(ra, w, (struct span){ NULL, 0 });
	}
	for (struct work *w = ra->under_way, *next; w != NULL; w = next) {
		next = w->next;
		/* Those that wait for a ca to come back; the others are answered when it answers. */
		if (w->kind == WORK_LEAF && w->leaf->waiting && ra->mono > w->deadline) {
			err_set(&e, ERR_BUSY, "the signer is restarting; try again in a moment");
			e.retry_after = 2;
			answer_error(ra, w->port, w->client, &e);
			work_free(ra, w);
		}
	}
}

/* While the database can't be written nothing begins, so that every intent is of a request that was refused. A small
 * write, once a second, finds out when it can. */
static void try_writing(struct ra *ra)
{
	char text[24];
	struct err e;

	if (ra->store_ok || ra->mono < ra->probe_at)
		return;
	ra->probe_at = ra->mono + US_PER_SECOND;
	snprintf(text, sizeof text, "%lld", (long long)ra->now);
	if (store_begin(ra->c.store, &e) && store_meta_put(ra->c.store, "written", (struct span){ (uint8_t *)text, strlen(text) }, &e) &&
	    intents_close_old(ra, &e) && ra->audit_ok && store_commit(ra->c.store, &e)) {
		ra->store_ok = true;
		log_event(LOG_LEVEL_WARN, "the database can be written again", NULL);
		return;
	}
	store_rollback(ra->c.store);
	ra->audit_ok = true;
}

static int64_t next_turn(const struct ra *ra)
{
	int64_t idle = ra->mono + US_PER_SECOND / 4;

	if (ra->in_n != 0 || ra->backup.copy != NULL || ra->crl.collecting || ra->counts)
		return ra->mono;
	if (ra->va_subscribed && ra->va_snapshot)
		return feed_waits(ra) ? ra->mono + 1000 : ra->mono;
	return acme_next(ra, ra->sweep_at > ra->mono && ra->sweep_at < idle ? ra->sweep_at : idle);
}

int64_t ra_turn(struct ra *ra, int64_t now, int64_t mono)
{
	size_t taken = ra->in_n;
	struct err e;
	bool good;

	ra->now = now;
	ra->mono = mono;
	ra->audit_ok = true;
	try_writing(ra);
	good = store_begin(ra->c.store, &e);
	for (size_t i = 0; good && i < taken; i++)
		dispatch(ra, &ra->in[i]);
	if (good)
		by_the_clock(ra);
	if (good && !ra->audit_ok)
		good = err_set(&e, ERR_STORE, "%s", ra->last_failure);
	good = good && store_commit(ra->c.store, &e);
	if (!good)
		turn_failed(ra, e.text);
	for (size_t i = 0; i < taken; i++) {
		mem_wipe(ra->in[i].body.p, ra->in[i].body.n); /* passwords pass here */
		buf_free(&ra->in[i].body);
	}
	ra->in_n -= taken;
	if (ra->in_n != 0)
		memmove(ra->in, ra->in + taken, ra->in_n * sizeof *ra->in);
	flush(ra);
	feed_continue(ra);
	backup_continue(ra);
	flush(ra);
	return next_turn(ra);
}

void ra_peer(struct ra *ra, enum ra_port port, bool up, int64_t now, int64_t mono)
{
	ra->now = now;
	ra->mono = mono;
	ra->up[port] = up;
	if (port == RA_PORT_VA) {
		ra->va_subscribed = false;
		ra->va_head_n = 0;
	}
	if (port == RA_PORT_ENROLL && up)
		trust_request(ra, 0);
	if (port == RA_PORT_PROBE)
		acme_peer(ra, up);
	if (port != RA_PORT_CA)
		return;
	ra->setup_phase = SETUP_NONE;
	ra->setup_epoch++;
	ra->provisioning = false;
	ra->ca_state_at = 0;
	if (!up) {
		struct frame lost = { .type = CA_FAILED };
		AUTO_BUF body = { 0 };
		struct err e;

		/* Their intents are closed in the next turn, in its transaction. */
		err_set(&e, ERR_TIMEOUT, "the signer has restarted");
		failure_put(&body, &e);
		lost.body = span_of(&body);
		for (const struct work *w = ra->under_way; w != NULL; w = w->next)
			if (w->leaf == NULL || !w->leaf->waiting) {
				lost.id = work_id(ra, w);
				ra_feed(ra, RA_PORT_CA, &lost, mono);
			}
		return;
	}
	setup_begin(ra);
}

bool ra_busy(const struct ra *ra)
{
	if (ra->in_n != 0 || ra->crl.active)
		return true;
	for (const struct work *w = ra->under_way; w != NULL; w = w->next)
		if (w->kind != WORK_STATE)
			return true;
	return false;
}

bool ra_settled(const struct ra *ra)
{
	return ra->setup_phase == SETUP_DONE;
}

bool ra_provisioned(const struct ra *ra)
{
	bool crls = ra->gen_n >= 3 && !ra->crl.active && !ra->provisioning;

	for (size_t i = 0; i < ra->gen_n; i++)
		crls = crls && ra->gens[i].crl_next != 0 && (ra->gens[i].parent == 0 || ra->gens[i].has_responder);
	return crls && ra->setup_phase == SETUP_DONE;
}
