/* SPDX-License-Identifier: Apache-2.0
 *
 * The absolute deadline: libmicrohttpd's own timeout starts anew with every octet, so a peer that drips would stay for
 * ever. A connection that has not completed a request for so long is shut down, whatever it does meanwhile. */
#include "web/internal.h"

#include "base/clock.h"

#include <errno.h>
#include <sys/socket.h>
#include <time.h>

struct conn *reaper_add(struct web *w, int fd)
{
	struct conn *c = mem_new(sizeof *c);

	c->fd = fd;
	c->since = clock_mono();
	pthread_mutex_lock(&w->lock);
	c->next = w->conns;
	if (c->next != NULL)
		c->next->prev = c;
	w->conns = c;
	pthread_mutex_unlock(&w->lock);
	return c;
}

/* Called before the descriptor is closed, so that shutdown never meets another file. */
void reaper_remove(struct web *w, struct conn *c)
{
	pthread_mutex_lock(&w->lock);
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		w->conns = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	pthread_mutex_unlock(&w->lock);
	free(c);
}

void reaper_done(struct web *w, struct conn *c)
{
	if (c == NULL)
		return;
	pthread_mutex_lock(&w->lock);
	c->since = clock_mono();
	c->busy = false;
	pthread_mutex_unlock(&w->lock);
}

void reaper_busy(struct web *w, struct conn *c, bool busy)
{
	if (c == NULL)
		return;
	pthread_mutex_lock(&w->lock);
	c->busy = busy;
	pthread_mutex_unlock(&w->lock);
}

static void *run(void *arg)
{
	struct web *w = arg;

	pthread_mutex_lock(&w->lock);
	while (!atomic_load(&w->stopping)) {
		struct timespec until;
		int64_t limit = clock_mono() - w->c.request_timeout;

		for (struct conn *c = w->conns; c != NULL; c = c->next)
			if (!c->busy && c->since < limit)
				shutdown(c->fd, SHUT_RDWR);
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += 250000000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_sec++;
			until.tv_nsec -= 1000000000;
		}
		(void)pthread_cond_timedwait(&w->reaper_wake, &w->lock, &until);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

bool reaper_start(struct web *w)
{
	pthread_cond_init(&w->reaper_wake, NULL);
	return pthread_create(&w->reaper, NULL, run, w) == 0;
}

void reaper_stop(struct web *w)
{
	pthread_mutex_lock(&w->lock);
	pthread_cond_signal(&w->reaper_wake);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->reaper, NULL);
	pthread_cond_destroy(&w->reaper_wake);
}

unsigned reaper_cut_all(struct web *w)
{
	unsigned n = 0;

	pthread_mutex_lock(&w->lock);
	for (struct conn *c = w->conns; c != NULL; c = c->next, n++)
		shutdown(c->fd, SHUT_RDWR);
	pthread_mutex_unlock(&w->lock);
	return n;
}
