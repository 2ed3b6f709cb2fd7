/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop: what waits, what is under way, and that none of it holds up another. */
#include "probe/core.h"

#include "base/clock.h"
#include "base/log.h"
#include "probe/errand.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void send_failed(struct probe *p, uint64_t id, const struct err *e)
{
	AUTO_BUF body = { 0 };

	failure_put(&body, e);
	p->config.reply(p->config.arg, &(struct frame){ .type = PROBE_FAILED, .id = id, .body = span_of(&body) });
}

static void waiting_free(struct waiting *w)
{
	buf_free(&w->body);
	free(w);
}

/* --- The end of errands */

static const char *result_word(const struct errand *e)
{
	static const char *const words[PROBE_PROBLEM_COUNT] = { "valid", "connection", "dns", "tls", "incorrectResponse", "caa", "unauthorized" };

	return e->failed.kind != ERR_NONE ? "failed" : words[e->result.problem];
}

static void count(struct probe *p, const struct errand *e)
{
	char labels[METRIC_LABELS_MAX];

	snprintf(labels, sizeof labels, "method=\"%s\",result=\"%s\"", errand_method(e), result_word(e));
	metrics_add(p->config.metrics, "caduceus_acme_validations_total", labels, 1);
	snprintf(labels, sizeof labels, "method=\"%s\"", errand_method(e));
	metrics_observe(p->config.metrics, "caduceus_acme_validation_duration_seconds", labels, clock_mono() - e->began);
}

static void reply(struct probe *p, const struct errand *e)
{
	AUTO_BUF body = { 0 };

	if (e->silent)
		return;
	count(p, e);
	if (e->failed.kind != ERR_NONE) {
		send_failed(p, e->id, &e->failed);
		return;
	}
	probe_result_put(&body, &e->result);
	p->config.reply(p->config.arg, &(struct frame){ .type = PROBE_OK, .id = e->id, .body = span_of(&body) });
}

/* Libraries stand on the stack when an errand ends: it is answered and freed between two events. */
void probe_over(struct errand *e)
{
	struct probe *p = e->p;

	if (e->over)
		return;
	e->over = true;
	if (e->before != NULL)
		e->before->next = e->next;
	else
		p->under_way = e->next;
	if (e->next != NULL)
		e->next->before = e->before;
	p->under_way_n--;
	e->next = p->over;
	p->over = e;
	event_active(p->tidy, EV_TIMEOUT, 0);
}

/* --- The beginning */

static void timed_out(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	errand_time_out(arg);
}

static bool is_slow(const struct errand *e, int64_t mono)
{
	return mono - e->began > PROBE_SLOW_AFTER_MS * INT64_C(1000);
}

unsigned probe_slow_at(const struct probe *p, const struct errand *but)
{
	int64_t mono = clock_mono();
	char at[INET6_ADDRSTRLEN], here[INET6_ADDRSTRLEN];
	unsigned n = 0;

	if (p->under_way_n < PROBE_PER_ADDRESS)
		return 0;
	address_text(&but->at, here, sizeof here);
	for (const struct errand *e = p->under_way; e != NULL; e = e->next) {
		if (e == but || !is_slow(e, mono))
			continue;
		address_text(&e->at, at, sizeof at);
		n += strcmp(at, here) == 0;
	}
	return n;
}

static bool has_room(const struct probe *p)
{
	int64_t mono = clock_mono();
	unsigned slow = 0;

	if (p->under_way_n < PROBE_QUICK_MAX)
		return true;
	for (const struct errand *e = p->under_way; e != NULL; e = e->next)
		slow += is_slow(e, mono);
	return p->under_way_n - (slow < PROBE_SLOW_MAX ? slow : PROBE_SLOW_MAX) < PROBE_QUICK_MAX;
}

static void begin(struct probe *p, struct waiting *w)
{
	struct errand *e = mem_new(sizeof *e);
	int64_t mono = clock_mono(), us = p->config.timeout_ms * INT64_C(1000);
	struct timeval tv;
	struct err why;

	if (!probe_ask_get(w->f.body, &e->ask, &why)) {
		send_failed(p, w->f.id, &why);
		free(e);
		return;
	}
	e->p = p;
	e->id = w->f.id;
	e->fd = -1;
	e->began = mono;
	if (w->f.deadline != 0 && w->f.deadline - mono < us)
		us = w->f.deadline - mono;
	e->until = mono + us;
	tv = (struct timeval){ us / US_PER_SECOND, us % US_PER_SECOND };
	e->timer = event_new(p->base, -1, 0, timed_out, e);
	(void)event_add(e->timer, &tv);
	e->next = p->under_way;
	if (e->next != NULL)
		e->next->before = e;
	p->under_way = e;
	p->under_way_n++;
	errand_begin(e);
}

static void begin_what_waits(struct probe *p)
{
	static const struct timeval soon = { 0, 100000 };

	while (p->queue != NULL && has_room(p)) {
		struct waiting *w = p->queue;

		p->queue = w->next;
		if (p->queue == NULL)
			p->queue_end = &p->queue;
		pthread_mutex_lock(&p->lock);
		p->waiting_n--;
		pthread_mutex_unlock(&p->lock);
		if (w->f.deadline == 0 || clock_mono() < w->f.deadline)
			begin(p, w);
		waiting_free(w);
	}
	if (p->queue != NULL)
		(void)event_add(p->tick, &soon); /* when some of what is under way have become slow */
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	begin_what_waits(arg);
}

static void on_tidy(evutil_socket_t fd, short what, void *arg)
{
	struct probe *p = arg;

	(void)fd;
	(void)what;
	while (p->over != NULL) {
		struct errand *e = p->over;

		p->over = e->next;
		reply(p, e);
		errand_clear(e);
	}
	resolver_tidy(p->resolver, clock_mono());
	begin_what_waits(p);
}

/* --- From other threads */

static struct waiting *take_queue(struct probe *p)
{
	struct waiting *all = p->queue;

	p->queue = NULL;
	p->queue_end = &p->queue;
	pthread_mutex_lock(&p->lock);
	for (const struct waiting *w = all; w != NULL; w = w->next)
		p->waiting_n--;
	pthread_mutex_unlock(&p->lock);
	return all;
}

/* Everything ends: with this refusal, or (NULL) without a word. */
static void end_all(struct probe *p, const struct err *why)
{
	for (struct waiting *w = take_queue(p), *next; w != NULL; w = next) {
		next = w->next;
		if (why != NULL)
			send_failed(p, w->f.id, why);
		waiting_free(w);
	}
	for (struct errand *e = p->under_way, *next; e != NULL; e = next) {
		next = e->next;
		e->silent = why == NULL;
		e->failed = why != NULL ? *why : (struct err){ 0 };
		probe_over(e);
	}
}

/* What is under way goes on with the resolver that it has asked. */
static void take_settings(struct probe *p, struct settings *s)
{
	struct err e;

	p->set = *s;
	free(s);
	if (!resolver_configure(p->resolver, &(struct resolver_config){ p->set.resolver, p->set.trust_anchors }, &e))
		log_event(LOG_LEVEL_ERROR, "the resolver's new settings are not taken, the old ones stay", "why", e.text, NULL);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct probe *p = arg;
	struct settings *next;
	uint64_t n;
	bool stop, reset;

	(void)what;
	(void)!read(fd, &n, sizeof n);
	pthread_mutex_lock(&p->lock);
	stop = p->stop;
	reset = p->reset;
	p->reset = false;
	next = TAKE(p->next);
	pthread_mutex_unlock(&p->lock);
	if (reset)
		end_all(p, NULL); /* before what has come since */
	pthread_mutex_lock(&p->lock);
	if (p->inbox != NULL) {
		*p->queue_end = p->inbox;
		p->queue_end = p->inbox_end;
		p->inbox = NULL;
		p->inbox_end = &p->inbox;
	}
	pthread_mutex_unlock(&p->lock);
	if (next != NULL)
		take_settings(p, next);
	if (stop)
		(void)event_base_loopbreak(p->base);
	else
		begin_what_waits(p);
}

static void *run(void *arg)
{
	struct probe *p = arg;
	struct err stopping = { .kind = ERR_BUSY, .retry_after = 5, .text = "the prober stops; try again" };

	(void)event_base_loop(p->base, EVLOOP_NO_EXIT_ON_EMPTY);
	end_all(p, &stopping);
	on_tidy(-1, 0, p);
	return NULL;
}

static void wake(struct probe *p)
{
	static const uint64_t one = 1;

	(void)!write(p->wake, &one, sizeof one);
}

void probe_feed(struct probe *p, const struct frame *f)
{
	struct waiting *w;
	struct err busy;

	if (f->type != PROBE_VALIDATE || f->id == 0) {
		err_set(&busy, ERR_BAD_REQUEST, "not an errand");
		if (f->id != 0)
			send_failed(p, f->id, &busy);
		return;
	}
	w = mem_new(sizeof *w);
	w->f = *f;
	buf_add(&w->body, f->body.p, f->body.n);
	w->f.body = span_of(&w->body);
	pthread_mutex_lock(&p->lock);
	if (p->waiting_n < PROBE_QUEUE_MAX && !p->stop) {
		p->waiting_n++;
		*p->inbox_end = w;
		p->inbox_end = &w->next;
		w = NULL;
	}
	pthread_mutex_unlock(&p->lock);
	if (w == NULL) {
		wake(p);
		return;
	}
	waiting_free(w);
	err_set(&busy, ERR_BUSY, "%d errands wait already; try again", PROBE_QUEUE_MAX);
	busy.retry_after = 5;
	send_failed(p, f->id, &busy);
}

void probe_reset(struct probe *p)
{
	struct waiting *all;

	pthread_mutex_lock(&p->lock);
	all = TAKE(p->inbox);
	p->inbox_end = &p->inbox;
	for (const struct waiting *w = all; w != NULL; w = w->next)
		p->waiting_n--;
	p->reset = true;
	pthread_mutex_unlock(&p->lock);
	for (struct waiting *w = all, *next; w != NULL; w = next) {
		next = w->next;
		waiting_free(w);
	}
	wake(p);
}

/* --- Settings, opening, closing */

static bool read_settings(struct settings *s, const struct probe_config *c, struct err *e)
{
	*s = (struct settings){ .http_port = c->http_port, .tls_alpn_port = c->tls_alpn_port, .ports = { c->http_port, 80, 443 } };
	snprintf(s->resolver, sizeof s->resolver, "%s", c->resolver);
	snprintf(s->trust_anchors, sizeof s->trust_anchors, "%s", c->trust_anchors);
	snprintf(s->identity, sizeof s->identity, "%s", c->caa_identity);
	return fence_parse(&s->fence, c->networks, e);
}

bool probe_configure(struct probe *p, const struct probe_config *c, struct err *e)
{
	struct settings *s = mem_new(sizeof *s), *was;

	if (!read_settings(s, c, e)) {
		free(s);
		return false;
	}
	pthread_mutex_lock(&p->lock);
	was = p->next;
	p->next = s;
	pthread_mutex_unlock(&p->lock);
	free(was);
	wake(p);
	return true;
}

static bool open_loop(struct probe *p, struct err *e)
{
	p->base = event_base_new();
	p->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->base == NULL || p->wake < 0)
		return err_set(e, ERR_INTERNAL, "no event loop");
	p->woken = event_new(p->base, p->wake, EV_READ | EV_PERSIST, on_wake, p);
	p->tidy = event_new(p->base, -1, 0, on_tidy, p);
	p->tick = event_new(p->base, -1, 0, on_tick, p);
	return event_add(p->woken, NULL) == 0 || err_set(e, ERR_INTERNAL, "no event loop");
}

bool probe_new(struct probe **out, const struct probe_config *c, struct err *e)
{
	struct probe *p = mem_new(sizeof *p);

	p->config = *c;
	if (p->config.timeout_ms == 0)
		p->config.timeout_ms = PROBE_TIMEOUT_MS;
	p->wake = -1;
	p->inbox_end = &p->inbox;
	p->queue_end = &p->queue;
	pthread_mutex_init(&p->lock, NULL);
	(void)curl_global_init(CURL_GLOBAL_DEFAULT);
	if (!read_settings(&p->set, c, e) || !open_loop(p, e) ||
	    !resolver_new(&p->resolver, p->base, &(struct resolver_config){ p->set.resolver, p->set.trust_anchors }, e) || !http_open(p, e) ||
	    !tls_open(p, e)) {
		probe_free(p);
		return false;
	}
	*out = p;
	return true;
}

bool probe_start(struct probe *p, struct err *e)
{
	if (pthread_create(&p->thread, NULL, run, p) != 0)
		return err_sys(e, ERR_INTERNAL, "no thread");
	p->running = true;
	return true;
}

static void free_event(struct event *ev)
{
	if (ev != NULL)
		event_free(ev);
}

void probe_free(struct probe *p)
{
	if (p == NULL)
		return;
	if (p->running) {
		pthread_mutex_lock(&p->lock);
		p->stop = true;
		pthread_mutex_unlock(&p->lock);
		wake(p);
		(void)pthread_join(p->thread, NULL);
	}
	http_close(p);
	tls_close(p);
	resolver_free(p->resolver);
	free_event(p->woken);
	free_event(p->tidy);
	free_event(p->tick);
	if (p->base != NULL)
		event_base_free(p->base);
	if (p->wake >= 0)
		close(p->wake);
	free(p->next);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
