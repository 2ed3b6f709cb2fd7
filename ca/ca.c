/* SPDX-License-Identifier: Apache-2.0
 *
 * The role: a queue, workers that answer, and which request is which act. */
#include "ca/internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <string.h>

/* --- Dispatch */

static bool run(struct ca *ca, const struct job *job, struct buf *out, struct err *e)
{
	struct span body = { job->body, job->n };

	switch (job->type) {
	case CA_PROFILE_PUT:
		return tables_profile_put(ca, body, out, e);
	case CA_AUTHORITY_PUT:
		return tables_authority_put(ca, body, e);
	case CA_RESPONDER_PUT:
		return tables_responder_put(ca, body, e);
	default:
		break;
	}
	pthread_rwlock_rdlock(&ca->tables);
	bool good = false;

	switch (job->type) {
	case CA_STATE:
		act_state(ca, out);
		good = true;
		break;
	case CA_AUTHORITY_CREATE:
		good = act_authority_create(ca, body, out, e);
		break;
	case CA_RESPONDER_CREATE:
		good = act_responder_create(ca, body, out, e);
		break;
	case CA_ISSUE:
		good = act_issue(ca, body, out, e);
		break;
	case CA_CRL_BEGIN:
	case CA_CRL_ENTRIES:
	case CA_CRL_END:
		good = act_crl(ca, job, body, out, e);
		break;
	case CA_OCSP:
		good = act_ocsp(ca, body, out, e);
		break;
	case CA_HSM_LIST:
		good = act_hsm_list(ca, out, e);
		break;
	case CA_HSM_TEST:
		good = act_hsm_test(ca, out, e);
		break;
	default:
		err_set(e, ERR_BAD_REQUEST, "no such request");
	}
	pthread_rwlock_unlock(&ca->tables);
	return good;
}

static void answer(struct ca *ca, const struct job *job)
{
	struct err e = { .kind = ERR_INTERNAL };
	AUTO_BUF out = { 0 };
	struct frame f = { .type = CA_OK, .id = job->id };

	if (job->deadline != 0 && clock_mono() > job->deadline)
		err_set(&e, ERR_TIMEOUT, "the request waited too long");
	else if (run(ca, job, &out, &e))
		e.kind = ERR_NONE;
	if (e.kind != ERR_NONE) {
		log_event(e.kind == ERR_INTERNAL || e.kind == ERR_HSM || e.kind == ERR_LINT ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO,
		          "refused", "type", LOG_NUM(job->type), "kind", err_kind_name(e.kind), "why", e.text, NULL);
		f.type = CA_FAILED;
		out.n = 0;
		failure_put(&out, &e);
	}
	f.body = span_of(&out);
	ca->c.reply(ca->c.arg, job->port, &f);
}

static void push(struct queue *q, struct job *job)
{
	job->next = NULL;
	*q->tail = job;
	q->tail = &job->next;
	q->n++;
}

static struct job *pop(struct queue *q)
{
	struct job *job = q->head;

	if (job == NULL)
		return NULL;
	q->head = job->next;
	if (q->head == NULL)
		q->tail = &q->head;
	q->n--;
	return job;
}

/* With the lock held. */
static struct job *choose(struct ca *ca, bool *is_ocsp)
{
	unsigned half = ca->workers > 1 ? ca->workers / 2 : 1;

	*is_ocsp = ca->ocsp.n != 0 && (ca->issue.n == 0 || ca->ocsp_busy < half);
	/* One worker alone takes them in turn. */
	if (ca->workers == 1 && ca->issue.n != 0 && ca->ocsp.n != 0)
		*is_ocsp = !ca->ocsp_last;
	ca->ocsp_last = *is_ocsp;
	return pop(*is_ocsp ? &ca->ocsp : &ca->issue);
}

/* HSM-12: a call into a module can't be ended from outside. Making keys takes a token as long as it takes. */
static int64_t time_for(uint16_t type)
{
	return (type == CA_AUTHORITY_CREATE || type == CA_RESPONDER_CREATE ? CA_MAKE_S : CA_CALL_S) * US_PER_SECOND;
}

bool ca_hangs(const struct ca *ca, int64_t mono)
{
	for (unsigned i = 0; i < ca->workers; i++) {
		int64_t due = ca->due[i];

		if (due != 0 && mono > due)
			return true;
	}
	return false;
}

static void *worker(void *arg)
{
	struct ca *ca = arg;
	unsigned me = atomic_fetch_add(&ca->started, 1);

	pthread_mutex_lock(&ca->lock);
	for (;;) {
		bool is_ocsp;
		struct job *job = choose(ca, &is_ocsp);

		if (job == NULL && ca->stop)
			break;
		if (job == NULL) {
			pthread_cond_wait(&ca->work, &ca->lock);
			continue;
		}
		ca->ocsp_busy += is_ocsp;
		pthread_mutex_unlock(&ca->lock);
		ca->due[me] = clock_mono() + time_for(job->type);
		answer(ca, job);
		ca->due[me] = 0;
		free(job);
		pthread_mutex_lock(&ca->lock);
		ca->ocsp_busy -= is_ocsp;
	}
	pthread_mutex_unlock(&ca->lock);
	return NULL;
}

bool ca_open(struct ca **out, const struct ca_config *c, struct err *e)
{
	AUTO_STRUCT(ca) *ca = mem_new(sizeof *ca);
	struct hsm_stats t;

	ca->c = *c;
	ca->metrics = metrics_new();
	pthread_rwlock_init(&ca->tables, NULL);
	pthread_mutex_init(&ca->lock, NULL);
	pthread_mutex_init(&ca->crl_lock, NULL);
	pthread_cond_init(&ca->work, NULL);
	ca->issue.tail = &ca->issue.head;
	ca->ocsp.tail = &ca->ocsp.head;
	if (!counter_open(&ca->counter, c->dir, e))
		return false;
	hsm_stats(c->hsm, &t);
	ca->workers = c->workers != 0 ? c->workers : t.sessions;
	if (ca->workers > CA_WORKER_MAX)
		ca->workers = CA_WORKER_MAX;
	for (unsigned i = 0; i < ca->workers; i++)
		if (pthread_create(&ca->thread[i], NULL, worker, ca) != 0) {
			ca->workers = i;
			return err_set(e, ERR_INTERNAL, "no thread");
		}
	*out = TAKE(ca);
	return true;
}

static void refuse(struct ca *ca, enum ca_port port, uint64_t id, enum err_kind kind, const char *why)
{
	AUTO_BUF body = { 0 };
	struct err e;

	err_set(&e, kind, "%s", why);
	e.retry_after = 1;
	failure_put(&body, &e);
	ca->c.reply(ca->c.arg, port, &(struct frame){ .type = CA_FAILED, .id = id, .body = span_of(&body) });
}

void ca_feed(struct ca *ca, enum ca_port port, const struct frame *f)
{
	struct job *job;

	/* What comes from va may ask for answers and the state, and nothing else. */
	if (port == CA_PORT_VA && f->type != CA_OCSP && f->type != CA_STATE) {
		log_event(LOG_LEVEL_ERROR, "va asked for what is not its own", "type", LOG_NUM(f->type), NULL);
		refuse(ca, port, f->id, ERR_DENIED, "not on this channel");
		return;
	}
	job = mem_new(sizeof *job + f->body.n);
	job->port = port;
	job->type = f->type;
	job->id = f->id;
	job->deadline = f->deadline;
	job->n = f->body.n;
	if (f->body.n != 0)
		memcpy(job->body, f->body.p, f->body.n);
	pthread_mutex_lock(&ca->lock);
	if (ca->issue.n + ca->ocsp.n >= CA_QUEUE_MAX) {
		pthread_mutex_unlock(&ca->lock);
		free(job);
		refuse(ca, port, f->id, ERR_BUSY, "the queue to the token is full");
		return;
	}
	push(f->type == CA_OCSP ? &ca->ocsp : &ca->issue, job);
	pthread_cond_signal(&ca->work);
	pthread_mutex_unlock(&ca->lock);
}

void ca_port_reset(struct ca *ca, enum ca_port port)
{
	pthread_mutex_lock(&ca->crl_lock);
	crl_drop(&ca->crl[port]);
	pthread_mutex_unlock(&ca->crl_lock);
}

void ca_close(struct ca *ca)
{
	struct job *job;

	if (ca == NULL)
		return;
	pthread_mutex_lock(&ca->lock);
	ca->stop = true;
	pthread_cond_broadcast(&ca->work);
	pthread_mutex_unlock(&ca->lock);
	for (unsigned i = 0; i < ca->workers; i++)
		pthread_join(ca->thread[i], NULL);
	while ((job = pop(&ca->issue)) != NULL || (job = pop(&ca->ocsp)) != NULL)
		free(job);
	for (int i = 0; i < CA_PORT_COUNT; i++)
		crl_drop(&ca->crl[i]);
	for (size_t i = 0; i < ca->authority_n; i++)
		tables_authority_free(ca->authorities[i]);
	counter_close(&ca->counter);
	metrics_free(ca->metrics);
	pthread_mutex_destroy(&ca->lock);
	pthread_mutex_destroy(&ca->crl_lock);
	pthread_cond_destroy(&ca->work);
	pthread_rwlock_destroy(&ca->tables);
	free(ca);
}
