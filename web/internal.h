/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside web/. */
#ifndef CADUCEUS_WEB_INTERNAL_H
#define CADUCEUS_WEB_INTERNAL_H

#include "web/web.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

/* A connection, from accept to close: for the deadline. */
struct conn {
	struct conn *prev, *next;
	int fd;
	int64_t since;   /* mono us: accept, or the end of the last request */
	bool served;     /* it has completed a request */
	uint8_t prefix[8]; /* whom it is counted with: an IPv4 address, an IPv6 /64; zeroes: nobody */
	bool busy;       /* a request is with another role: its own deadline holds */
	struct tls_key *key; /* held from the hello to the end: the old generation outlives a reload */

	/* park.c's; of the thread that serves the connection */
	struct web *web;
	struct MHD_Connection *mhd;
	bool shaking_hands, parked_before;
};

struct parking {
	int epoll, stop;
	pthread_t thread;
};

struct web {
	struct web_config c;
	struct route *routes;
	struct MHD_Daemon *mhd;
	struct parking parking; /* with TLS */
	_Atomic(struct caller *) asked; /* whom requests wait for */
	_Atomic bool stopping;

	pthread_mutex_t lock;
	struct conn *conns;
	pthread_t reaper;
	pthread_cond_t reaper_wake;

	pthread_rwlock_t tls_lock;
	struct tls_key *tls_key;
	pthread_mutex_t ticket_lock;
	gnutls_datum_t ticket_key; /* in this process's memory alone: after a restart no old ticket resumes */
	int64_t ticket_since;      /* mono us */
	_Atomic unsigned under_way;
};

/* One request while it is handled. The answer may come after the client has gone. */
struct exchange {
	struct web *w;
	struct MHD_Connection *connection;
	struct request q;
	struct response r;
	const struct route *route;
	struct buf body;
	char method[16];
	char *path, *query;
	struct buf chain[WEB_CHAIN_MAX];
	int64_t began;
	bool begun, refused, answered, asked;
	struct ask ask;
	struct answer answer;
	struct buf answer_body;
	struct conn *conn;
};

/* tls.c */
struct tls_key {
	_Atomic int refs;
	EVP_PKEY *evp;
	gnutls_privkey_t priv;
	gnutls_pcert_st pcert[WEB_CHAIN_MAX];
	unsigned n;
};
struct tls_key *tls_key_hold(struct web *w);
int tls_retrieve(gnutls_session_t session, const struct gnutls_cert_retr_st *info, gnutls_pcert_st **certs, unsigned *n,
                 gnutls_ocsp_data_st **ocsp, unsigned *ocsp_n, gnutls_privkey_t *key, unsigned *flags);
extern const char *const tls_priorities;
void tls_prepare(struct conn *c, gnutls_session_t session);
void tls_forget_tickets(struct web *w);
void tls_chain(struct exchange *x, gnutls_session_t session);

/* request.c */
/* False: *r is the refusal. */
bool request_head(struct exchange *x);
/* Makes *r such a refusal, after which the connection ends; returns false. */
bool request_refuse(struct exchange *x, unsigned status, const char *why);

/* park.c */
MUST_USE bool parking_start(struct parking *p);
void parking_stop(struct parking *p);
/* Before the first octet of the handshake. */
void parking_watch(struct conn *c, struct MHD_Connection *mhd, gnutls_session_t session);

/* reaper.c */
struct conn *reaper_add(struct web *w, int fd, const struct sockaddr *from);
/* May another one come from there? */
bool reaper_admits(struct web *w, const struct sockaddr *from);
void reaper_remove(struct web *w, struct conn *c);
void reaper_done(struct web *w, struct conn *c); /* a request has been completed */
void reaper_busy(struct web *w, struct conn *c, bool busy);
bool reaper_start(struct web *w);
void reaper_stop(struct web *w);
unsigned reaper_cut_all(struct web *w); /* how many are left */

/* router.c: pure */
const struct route *route_find(const struct route *routes, size_t n, const char *path);

#endif
