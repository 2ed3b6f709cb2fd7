/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/caller.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* One outstanding request. Slots are reused; the id carries slot number and generation, so that a late answer to an
 * earlier user of the slot is dropped (pitfall: a reply after its deadline must not meet a stranger). */
struct slot {
	caller_answer *answer; /* NULL: free */
	void *arg;
	int64_t deadline;
	uint32_t generation;
};

enum { SLOTS = 4096 };

struct caller {
	const char *role;
	caller_notice *notice;
	caller_up *up;
	void *arg;
	pthread_mutex_t lock;
	pthread_t thread;
	int wake;     /* eventfd: the receiver looks again at fd and stop */
	int fd;       /* used by senders, under lock */
	int next_fd;  /* handed over to the receiver, -2 none */
	bool ready;   /* HELLO of the peer seen */
	int64_t down_since; /* mono us, 0 while ready */
	bool stop;
	uint32_t hint;
	struct slot slots[SLOTS];
};

static void wake(struct caller *c)
{
	uint64_t one = 1;

	(void)!write(c->wake, &one, sizeof one);
}

/* Takes slot i out if its request is still the one meant; answers outside the lock. */
static void finish(struct caller *c, uint32_t i, uint32_t generation, const struct frame *f, const struct err *e)
{
	caller_answer *answer = NULL;
	void *arg = NULL;

	pthread_mutex_lock(&c->lock);
	if (c->slots[i].answer != NULL && c->slots[i].generation == generation) {
		answer = c->slots[i].answer;
		arg = c->slots[i].arg;
		c->slots[i].answer = NULL;
	}
	pthread_mutex_unlock(&c->lock);
	if (answer != NULL)
		answer(arg, f, e);
}

/* Answers with an error all whose deadline is before `limit`. */
static void expire(struct caller *c, int64_t limit, const struct err *e)
{
	for (uint32_t i = 0; i < SLOTS; i++) {
		bool due = false;
		uint32_t generation = 0;

		pthread_mutex_lock(&c->lock);
		if (c->slots[i].answer != NULL) {
			due = c->slots[i].deadline <= limit;
			generation = c->slots[i].generation;
		}
		pthread_mutex_unlock(&c->lock);
		if (due)
			finish(c, i, generation, NULL, e);
	}
}

static void gone(struct caller *c)
{
	struct err e;

	pthread_mutex_lock(&c->lock);
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	if (c->ready)
		c->down_since = clock_mono();
	c->ready = false;
	pthread_mutex_unlock(&c->lock);
	err_set(&e, ERR_BUSY, "a part of the service is restarting");
	e.retry_after = 1;
	expire(c, INT64_MAX, &e);
}

static bool greet(struct caller *c, const struct frame *f)
{
	char peer[16];
	struct err e;

	if (!hello_check(f, peer, &e)) {
		log_event(LOG_LEVEL_ERROR, "channel refused", "why", e.text, NULL);
		return false;
	}
	pthread_mutex_lock(&c->lock);
	c->ready = true;
	pthread_mutex_unlock(&c->lock);
	if (c->up != NULL)
		c->up(c->arg);
	pthread_mutex_lock(&c->lock);
	c->down_since = 0;
	pthread_mutex_unlock(&c->lock);
	return true;
}

static void receive(struct caller *c, int fd, struct buf *scratch)
{
	bool greeted = caller_is_up(c); /* only this thread changes it */
	struct frame f;
	enum channel_state state;

	while ((state = channel_recv(fd, scratch, &f)) == CHANNEL_GOT) {
		if (f.type == FRAME_HELLO) {
			greeted = greet(c, &f);
			if (!greeted) {
				gone(c);
				return;
			}
		} else if (!greeted) {
			log_event(LOG_LEVEL_ERROR, "channel refused", "why", "no HELLO at its start", NULL);
			gone(c);
			return;
		} else if (f.id == 0) {
			if (c->notice != NULL)
				c->notice(c->arg, &f);
		} else if ((uint32_t)f.id < SLOTS) {
			finish(c, (uint32_t)f.id, (uint32_t)(f.id >> 32), &f, NULL);
		}
	}
	if (state == CHANNEL_CLOSED)
		gone(c);
}

static void adopt(struct caller *c)
{
	int fd;

	pthread_mutex_lock(&c->lock);
	fd = c->next_fd;
	c->next_fd = -2;
	pthread_mutex_unlock(&c->lock);
	if (fd == -2)
		return;
	gone(c);
	if (fd < 0)
		return;
	pthread_mutex_lock(&c->lock);
	c->fd = fd;
	pthread_mutex_unlock(&c->lock);
	(void)!channel_hello(fd, c->role, NULL);
}

static void *receiver(void *arg)
{
	struct caller *c = arg;
	AUTO_BUF scratch = { 0 };
	struct err late;

	int64_t looked = 0;

	err_set(&late, ERR_TIMEOUT, "no answer in time");
	late.retry_after = 2;
	for (;;) {
		int64_t mono = clock_mono();
		struct pollfd p[2];
		uint64_t count;

		/* Deadlines are looked at ten times a second, not once a frame: the walk costs more than a frame. */
		if (mono - looked >= US_PER_SECOND / 10) {
			expire(c, mono, &late);
			looked = mono;
		}

		pthread_mutex_lock(&c->lock);
		p[0] = (struct pollfd){ .fd = c->wake, .events = POLLIN };
		p[1] = (struct pollfd){ .fd = c->fd, .events = POLLIN };
		if (c->stop) {
			pthread_mutex_unlock(&c->lock);
			return NULL;
		}
		pthread_mutex_unlock(&c->lock);
		(void)poll(p, 2, 100);
		if (p[0].revents != 0) {
			(void)!read(c->wake, &count, sizeof count);
			adopt(c);
			continue;
		}
		if (p[1].revents != 0)
			receive(c, p[1].fd, &scratch);
	}
}

struct caller *caller_new(const char *role, caller_notice *notice, caller_up *up, void *arg)
{
	struct caller *c = mem_new(sizeof *c);

	c->role = role;
	c->notice = notice;
	c->up = up;
	c->arg = arg;
	c->fd = -1;
	c->next_fd = -2;
	c->down_since = clock_mono();
	pthread_mutex_init(&c->lock, NULL);
	c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->wake < 0 || pthread_create(&c->thread, NULL, receiver, c) != 0)
		abort();
	return c;
}

void caller_channel(struct caller *c, int fd)
{
	int unused;

	pthread_mutex_lock(&c->lock);
	unused = c->next_fd;
	c->next_fd = fd;
	pthread_mutex_unlock(&c->lock);
	if (unused >= 0)
		close(unused);
	wake(c);
}

void caller_free(struct caller *c)
{
	pthread_mutex_lock(&c->lock);
	c->stop = true;
	pthread_mutex_unlock(&c->lock);
	wake(c);
	pthread_join(c->thread, NULL);
	gone(c);
	if (c->next_fd >= 0)
		close(c->next_fd);
	close(c->wake);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

bool caller_is_up(struct caller *c)
{
	bool up;

	pthread_mutex_lock(&c->lock);
	up = c->ready;
	pthread_mutex_unlock(&c->lock);
	return up;
}

int64_t caller_down_since(struct caller *c)
{
	int64_t since;

	pthread_mutex_lock(&c->lock);
	since = c->down_since;
	pthread_mutex_unlock(&c->lock);
	return since;
}

/* Reserves a slot; false when all are taken. */
static bool reserve(struct caller *c, int64_t deadline, caller_answer *answer, void *arg, uint32_t *slot)
{
	for (uint32_t k = 0; k < SLOTS; k++) {
		uint32_t i = (c->hint + k) % SLOTS;

		if (c->slots[i].answer != NULL)
			continue;
		c->hint = i + 1;
		c->slots[i].answer = answer;
		c->slots[i].arg = arg;
		c->slots[i].deadline = deadline;
		c->slots[i].generation++;
		*slot = i;
		return true;
	}
	return false;
}

void caller_submit(struct caller *c, const struct frame *f, caller_answer *answer, void *arg)
{
	struct frame out = *f;
	struct err e;
	uint32_t i, generation;

	if (out.deadline == 0)
		out.deadline = clock_mono() + 30 * US_PER_SECOND;
	pthread_mutex_lock(&c->lock);
	if (!c->ready || !reserve(c, out.deadline, answer, arg, &i)) {
		pthread_mutex_unlock(&c->lock);
		err_set(&e, ERR_BUSY, "the service is busy or restarting");
		e.retry_after = 1;
		answer(arg, NULL, &e);
		return;
	}
	generation = c->slots[i].generation;
	out.id = (uint64_t)generation << 32 | i;
	/* Sent under the lock: a channel that is closed meanwhile can't be another file by then. */
	if (channel_send(c->fd, &out, &e)) {
		pthread_mutex_unlock(&c->lock);
		return;
	}
	pthread_mutex_unlock(&c->lock);
	e.kind = ERR_BUSY;
	e.retry_after = 1;
	finish(c, i, generation, NULL, &e);
}

struct waiting {
	pthread_mutex_t lock;
	pthread_cond_t done;
	bool answered;
	bool good;
	uint16_t type;
	struct buf *body;
	struct err *e;
};

static void collect(void *arg, const struct frame *f, const struct err *e)
{
	struct waiting *w = arg;

	pthread_mutex_lock(&w->lock);
	w->answered = true;
	w->good = f != NULL;
	if (f != NULL) {
		w->type = f->type;
		w->body->n = 0;
		buf_add(w->body, f->body.p, f->body.n);
	} else if (w->e != NULL) {
		*w->e = *e;
	}
	pthread_cond_signal(&w->done);
	pthread_mutex_unlock(&w->lock);
}

bool caller_call(struct caller *c, const struct frame *f, uint16_t *type, struct buf *body, struct err *e)
{
	struct waiting w = { .body = body, .e = e };

	pthread_mutex_init(&w.lock, NULL);
	pthread_cond_init(&w.done, NULL);
	caller_submit(c, f, collect, &w);
	pthread_mutex_lock(&w.lock);
	while (!w.answered)
		pthread_cond_wait(&w.done, &w.lock);
	pthread_mutex_unlock(&w.lock);
	pthread_cond_destroy(&w.done);
	pthread_mutex_destroy(&w.lock);
	*type = w.type;
	return w.good;
}

bool caller_tell(struct caller *c, const struct frame *f, struct err *e)
{
	struct frame out = *f;
	bool sent;

	out.id = 0;
	pthread_mutex_lock(&c->lock);
	sent = channel_send(c->ready ? c->fd : -1, &out, e);
	pthread_mutex_unlock(&c->lock);
	return sent;
}
