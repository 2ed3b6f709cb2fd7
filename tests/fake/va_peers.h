/* SPDX-License-Identifier: Apache-2.0
 *
 * ra and ca as va meets them: a thread each at the other end of a channel. What they are to say is set under their
 * lock. ca's answer is the question's own octets, so that a test reads back what would have been signed. */
#ifndef CADUCEUS_TESTS_FAKE_VA_PEERS_H
#define CADUCEUS_TESTS_FAKE_VA_PEERS_H

#include "crl/va.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

struct peer {
	int fd;
	pthread_t thread;
	pthread_mutex_t lock;
	_Atomic bool stop;
	_Atomic unsigned asked;      /* CA_OCSP or STATUS_HEAD */
	_Atomic unsigned subscribed;
	_Atomic uint64_t seen;       /* of the last STATUS_SEEN */
	/* Under the lock. */
	enum err_kind fails;         /* ERR_NONE: answers */
	uint64_t head;               /* what STATUS_HEAD is answered with */
	struct buf tell;             /* an ENTRIES body that goes out before that answer, once */
	void (*before)(void *arg);   /* runs before an answer, once */
	void *arg;
};

static void peer_send(struct peer *p, uint16_t type, uint64_t id, struct span body)
{
	(void)!channel_send_wait(p->fd, &(struct frame){ .type = type, .id = id, .body = body }, clock_mono() + US_PER_SECOND, NULL);
}

static void peer_fail(struct peer *p, uint16_t type, uint64_t id)
{
	AUTO_BUF body = { 0 };
	struct err e;

	err_set(&e, p->fails, "told to fail");
	failure_put(&body, &e);
	peer_send(p, type, id, span_of(&body));
}

static void peer_head(struct peer *p, uint64_t id)
{
	AUTO_BUF body = { 0 };

	if (p->fails != ERR_NONE) {
		peer_fail(p, STATUS_OK + 100, id);
		return;
	}
	if (p->tell.n != 0)
		peer_send(p, STATUS_ENTRIES, 0, span_of(&p->tell));
	p->tell.n = 0;
	wr_u64(&body, p->head);
	peer_send(p, STATUS_OK, id, span_of(&body));
}

static void peer_frame(struct peer *p, const struct frame *f)
{
	struct rd r = rd_of(f->body.p, f->body.n);

	pthread_mutex_lock(&p->lock);
	if (f->type == CA_OCSP || f->type == STATUS_HEAD) {
		atomic_fetch_add(&p->asked, 1);
		if (p->before != NULL)
			p->before(p->arg);
		p->before = NULL;
	}
	if (f->type == STATUS_SUBSCRIBE) {
		atomic_fetch_add(&p->subscribed, 1);
		peer_send(p, STATUS_OK, f->id, (struct span){ (const uint8_t *)"\0\0\0\0\0\0\0", 8 });
	} else if (f->type == STATUS_SEEN) {
		p->seen = rd_u64(&r);
	} else if (f->type == STATUS_HEAD) {
		peer_head(p, f->id);
	} else if (f->type == CA_OCSP && p->fails != ERR_NONE) {
		peer_fail(p, CA_FAILED, f->id);
	} else if (f->type == CA_OCSP) {
		peer_send(p, CA_OK, f->id, f->body);
	}
	pthread_mutex_unlock(&p->lock);
}

static void *peer_loop(void *arg)
{
	struct peer *p = arg;
	AUTO_BUF scratch = { 0 };
	struct frame f;

	(void)!channel_hello(p->fd, "peer", NULL);
	while (!p->stop) {
		struct pollfd pfd = { .fd = p->fd, .events = POLLIN };
		enum channel_state state = CHANNEL_EMPTY;

		(void)poll(&pfd, 1, 5);
		while (!p->stop && (state = channel_recv(p->fd, &scratch, &f)) == CHANNEL_GOT)
			peer_frame(p, &f);
		if (state == CHANNEL_CLOSED)
			break;
	}
	return NULL;
}

/* Connects the caller with a new peer; waits until they have greeted. */
static bool peer_start(struct peer *p, struct caller *c)
{
	int fd[2];

	p->stop = false;
	if (!channel_pair(fd, NULL))
		return false;
	p->fd = fd[0];
	if (pthread_create(&p->thread, NULL, peer_loop, p) != 0)
		return false;
	caller_channel(c, fd[1]);
	for (int i = 0; i < 5000 && !(caller_is_up(c) && caller_down_since(c) == 0); i++)
		usleep(1000);
	return caller_is_up(c);
}

/* The peer dies; waits until the caller has noticed. */
static void peer_stop(struct peer *p, struct caller *c)
{
	p->stop = true;
	pthread_join(p->thread, NULL);
	close(p->fd);
	for (int i = 0; i < 5000 && caller_is_up(c); i++)
		usleep(1000);
}

#endif
