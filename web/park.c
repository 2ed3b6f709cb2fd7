/* SPDX-License-Identifier: Apache-2.0
 *
 * Parking: a TLS handshake that waits for its peer is taken out of libmicrohttpd's hands. Its epoll mode does not see
 * that gnutls_handshake would block, and asks again at once, for ever: half a ClientHello costs a core. So the octets
 * are received here, and where there are none yet the connection is suspended and its descriptor armed, once, in an
 * epoll of ours; the thread behind that resumes it. A suspended connection has no timeout in libmicrohttpd: the reaper
 * shuts it down, which wakes it here.
 *
 * One suspension has exactly one resumption: armed once, disarmed by what it reports. Until then libmicrohttpd keeps the
 * connection, and so what the event points at. A server's flight fits into an empty send buffer, so only receiving
 * waits. */
#include "web/internal.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { EVENTS = 64 };

static void park(struct conn *c)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT, .data.ptr = c };

	MHD_suspend_connection(c->mhd);
	if (epoll_ctl(c->web->parking.epoll, c->parked_before ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &ev) == 0) {
		c->parked_before = true;
		return;
	}
	shutdown(c->fd, SHUT_RDWR);
	MHD_resume_connection(c->mhd);
}

static ssize_t pull(gnutls_transport_ptr_t arg, void *p, size_t n)
{
	struct conn *c = arg;
	ssize_t got = recv(c->fd, p, n, MSG_DONTWAIT);

	if (got < 0 && errno == EAGAIN && c->shaking_hands) {
		park(c);
		errno = EAGAIN;
	}
	return got;
}

static int pull_timeout(gnutls_transport_ptr_t arg, unsigned ms)
{
	(void)arg;
	(void)ms;
	return 1; /* nobody waits in here: pull says whether there is something */
}

/* The peer's Finished is the last that a handshake receives; silence after it libmicrohttpd understands. */
static int finished(gnutls_session_t session, unsigned type, unsigned when, unsigned incoming, const gnutls_datum_t *msg)
{
	struct conn *c = gnutls_db_get_ptr(session);

	(void)type;
	(void)when;
	(void)msg;
	if (incoming)
		c->shaking_hands = false;
	return 0;
}

void parking_watch(struct conn *c, struct MHD_Connection *mhd, gnutls_session_t session)
{
	c->mhd = mhd;
	c->shaking_hands = true;
	gnutls_transport_set_ptr2(session, c, (gnutls_transport_ptr_t)(intptr_t)c->fd);
	gnutls_transport_set_pull_function(session, pull);
	gnutls_transport_set_pull_timeout_function(session, pull_timeout);
	gnutls_handshake_set_hook_function(session, GNUTLS_HANDSHAKE_FINISHED, GNUTLS_HOOK_POST, finished);
}

static void *run(void *arg)
{
	struct parking *p = arg;
	struct epoll_event ev[EVENTS];

	for (;;) {
		int n = epoll_wait(p->epoll, ev, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			struct conn *c = ev[i].data.ptr;

			if (c == NULL)
				return NULL;
			MHD_resume_connection(c->mhd);
		}
	}
}

bool parking_start(struct parking *p)
{
	struct epoll_event ev = { .events = EPOLLIN };

	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	p->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return p->epoll >= 0 && p->stop >= 0 && epoll_ctl(p->epoll, EPOLL_CTL_ADD, p->stop, &ev) == 0 &&
	       pthread_create(&p->thread, NULL, run, p) == 0;
}

void parking_stop(struct parking *p)
{
	uint64_t one = 1;

	(void)!write(p->stop, &one, sizeof one);
	pthread_join(p->thread, NULL);
	close(p->stop);
	close(p->epoll);
}
