/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP for the protocol heads. How a connection waits is this room's secret: an epoll pool with suspended connections,
 * and parked handshakes (park.c). A head is pure functions around a call: parse makes an answer or a question,
 * web asks, format makes an answer of what came back, or the next question. */
#ifndef CADUCEUS_WEB_WEB_H
#define CADUCEUS_WEB_WEB_H

#include "base/buf.h"
#include "base/err.h"
#include "ipc/caller.h"

#include <openssl/evp.h>
#include <stdint.h>

enum { WEB_CHAIN_MAX = 8, WEB_HEADER_MAX = 12, WEB_PATH_MAX = 4096 };

struct request {
	const char *method;
	const char *path;          /* as sent: percent-escapes not decoded, without the query */
	const char *query;         /* without '?', "" none */
	const char *content_type;  /* "" none; so all below */
	const char *authorization;
	const char *user_agent;
	const char *if_none_match, *if_modified_since;
	struct span body;
	char remote[46];
	uint16_t remote_port;
	char request_id[37];
	size_t chain_n;            /* TLS client certificates, leaf first, possession proven, nothing else checked */
	struct span chain[WEB_CHAIN_MAX];
	bool local;                /* on a local socket: uid is the peer's */
	uint32_t uid;
};

struct response {
	unsigned status;
	const char *content_type;  /* static text, NULL none */
	struct buf body;
	struct web_header {
		char name[32];
		char value[420]; /* a Link to one of our own URLs */
	} header[WEB_HEADER_MAX];
	size_t header_n;
	char why[256];             /* for the log, not sent */
	uint8_t head[200];         /* web's, for `logged`: the body's beginning; the body itself is gone by then */
	size_t head_n;
};
void response_header(struct response *r, const char *name, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* text/plain, one line: the reason and the request id. */
void response_text(struct response *r, unsigned status, const struct request *q, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* A question to another role. */
struct ask {
	struct caller *to;
	uint16_t type;
	struct buf body;       /* freed by web */
	int64_t timeout;       /* us */
	int step;              /* the head's own: which question this is */
	void *state;           /* the head's own; freed with free() by web when the request ends */
};
struct answer {
	bool got;              /* false: err says why there is none */
	uint16_t type;
	struct span body;
	struct err err;
};
struct head {
	/* Returns true when *ask is to be made, false when *out is the response. Methods a path lacks are the head's 405; to HEAD
	 * it answers as to GET: the body is not sent. */
	bool (*parse)(void *ctx, const struct request *in, struct ask *ask, struct response *out);
	/* True: another question in *ask (its body replaced, state kept). */
	bool (*format)(void *ctx, const struct request *in, const struct answer *a, struct ask *ask, struct response *out);
};
/* The longest prefix that matches at a '/' border (or exactly) wins; nothing matches: 404. */
struct route {
	const char *prefix;
	const struct head *head;
	void *ctx;
	size_t body_max;       /* above: 413, judged by Content-Length before the body is read, and while it comes */
};

struct tls_key;            /* a certificate chain with its key, shared by reference */
/* key: EVP, becomes owned; chain leaf first. */
MUST_USE bool tls_key_new(struct tls_key **out, EVP_PKEY *key, const struct span *chain, size_t n, struct err *e);
void tls_key_free(struct tls_key *k);

struct web_config {
	int listen_fd;             /* bound and listening; owned */
	bool tls;
	struct tls_key *tls_key;   /* first one; owned. May be NULL until web_set_tls_key: handshakes fail till then */
	const struct route *routes;
	size_t route_n;
	unsigned connections, per_address;
	int64_t request_timeout;   /* us, absolute: a connection is cut when no request has been completed for so long */
	int64_t ticket_period;     /* us: after so long no session of before is resumed; 0: an hour */
	const char *name;          /* for logs: "enroll", "va", "officer" */
	void (*logged)(void *arg, const struct request *q, const struct response *r, int64_t us); /* after each; may be NULL */
	/* What web refuses by itself (413, …; status and why stand in *r) in the protocol's own form; may be NULL. */
	void (*refused)(void *arg, const struct request *q, struct response *r);
	void *arg;
};
struct web;
MUST_USE bool web_start(struct web **out, const struct web_config *c, struct err *e);
/* Hot reload: running handshakes keep the old one. Owned. */
void web_set_tls_key(struct web *w, struct tls_key *k);
/* Stops accepting, answers what is under way, at most `us`; then cuts the rest and frees. */
void web_stop(struct web *w, int64_t us);

#endif
