/* SPDX-License-Identifier: Apache-2.0
 *
 * The absolute deadline: libmicrohttpd's own timeout starts anew with every octet, so a peer that drips would stay for
 * ever. A connection that has not completed a request for so long is shut down, whatever it does meanwhile. */
#include "web/internal.h"

#include "base/clock.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { CROWDED_PERCENT = 75 };
#define CROWDED_TIMEOUT (3 * US_PER_SECOND)

/* An IPv6 peer has a whole /64 to choose addresses from. */
static void prefix_of(const struct sockaddr *a, uint8_t out[8])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)a;

	memset(out, 0, 8);
	if (a == NULL)
		return;
	if (a->sa_family == AF_INET)
		memcpy(out, &((const struct sockaddr_in *)(const void *)a)->sin_addr, 4);
	else if (a->sa_family == AF_INET6 && memcmp(&six->sin6_addr, mapped, 12) == 0)
		memcpy(out, six->sin6_addr.s6_addr + 12, 4);
	else if (a->sa_family == AF_INET6)
		memcpy(out, &six->sin6_addr, 8);
	/* 0.0.0.0/32 and ::/64 are nobody's but this machine's. */
}

/* With w->lock. */
static bool has_room(const struct web *w, const uint8_t prefix[8])
{
	static const uint8_t nobody[8];
	unsigned n = 0;

	if (w->c.per_address == 0 || memcmp(prefix, nobody, 8) == 0)
		return true;
	for (const struct conn *c = w->conns; c != NULL; c = c->next)
		n += memcmp(c->prefix, prefix, 8) == 0;
	return n < w->c.per_address;
}

bool reaper_admits(struct web *w, const struct sockaddr *from)
{
	uint8_t prefix[8];
	bool room;

	prefix_of(from, prefix);
	pthread_mutex_lock(&w->lock);
	room = has_room(w, prefix);
	pthread_mutex_unlock(&w->lock);
	return room;
}

struct conn *reaper_add(struct web *w, int fd, const struct sockaddr *from)
{
	struct conn *c = mem_new(sizeof *c);

	c->fd = fd;
	c->web = w;
	c->since = clock_mono();
	prefix_of(from, c->prefix);
	pthread_mutex_lock(&w->lock);
	/* Another thread may have admitted one in the same moment. */
	if (!has_room(w, c->prefix))
		shutdown(fd, SHUT_RDWR);
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
	c->served = true;
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
		int64_t now = clock_mono(), limit = now - w->c.request_timeout, early = limit;
		unsigned n = 0;

		for (struct conn *c = w->conns; c != NULL; c = c->next)
			n++;
		/* When it gets crowded, those go first that have asked nothing yet. */
		if (n * 100 > w->c.connections * CROWDED_PERCENT && w->c.request_timeout > CROWDED_TIMEOUT)
			early = now - CROWDED_TIMEOUT;
		for (struct conn *c = w->conns; c != NULL; c = c->next)
			if (!c->busy && c->since < (c->served ? limit : early))
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
