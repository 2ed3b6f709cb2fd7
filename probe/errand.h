/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside probe/: an errand and the loop that it runs on. */
#ifndef CADUCEUS_PROBE_ERRAND_H
#define CADUCEUS_PROBE_ERRAND_H

#include "probe/core.h"
#include "probe/http.h"
#include "probe/resolver.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <pthread.h>

enum { ADDRESS_MAX = 16, PORT_MAX = 4, SPARE_MAX = 64 };

struct errand {
	struct probe *p;
	struct errand *next, *before; /* under way */
	uint64_t id;
	int64_t began, until;      /* mono us */
	int64_t deadline;          /* of the frame; 0 none */
	struct probe_ask ask;
	struct probe_result result;
	struct err failed;         /* kind ERR_NONE: result; else PROBE_FAILED */
	bool over, silent;
	struct event *timer;

	struct look look[2];       /* A and AAAA; of TXT and CAA the first */
	char caa_name[DNS_NAME_MAX];
	char dns_said[120];        /* evidence */
	bool secure;

	struct http_target target;
	struct sockaddr_storage address[ADDRESS_MAX], at; /* at: where it is or was connected */
	unsigned address_n, address_i, tried;
	const char *refused;       /* by the fence, of one of them */
	unsigned redirects;

	CURL *easy;
	struct curl_slist *connect_to;
	struct buf body;
	size_t head_n;
	bool too_long, fenced;

	int fd;                    /* tls-alpn-01 */
	SSL *ssl;
	struct event *io;
};

struct settings {
	char resolver[128], trust_anchors[512], identity[256];
	struct fence fence;
	uint16_t http_port, tls_alpn_port;
	uint16_t ports[PORT_MAX];  /* of redirects; the http port first; ends with 0 */
};

struct probe {
	struct probe_config config; /* as it was given; what may change stands in set */
	struct settings set;

	struct event_base *base;
	struct resolver *resolver;
	struct event *woken, *tidy, *tick;
	CURLM *multi;
	struct event *multi_timer;
	CURL *spare[SPARE_MAX];
	unsigned spare_n;
	SSL_CTX *tls;

	pthread_t thread;
	bool running;
	int wake;                  /* eventfd */
	pthread_mutex_t lock;      /* of what stands below, which other threads touch */
	struct waiting {
		struct waiting *next;
		struct frame f;
		struct buf body;
	} *inbox, **inbox_end;
	unsigned waiting_n;        /* in the inbox and in the queue */
	bool stop, reset;
	struct settings *next;     /* to take over; NULL none */

	/* The loop's own. */
	struct waiting *queue, **queue_end;
	struct errand *under_way, *over;
	unsigned under_way_n;
};

/* errand.c */
void errand_begin(struct errand *e);
/* What it ends with; the detail is a sentence. Nothing of the errand is touched after. */
void errand_end(struct errand *e, enum probe_problem problem, bool again, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void errand_busy(struct errand *e, const char *why);
void errand_connected_in_vain(struct errand *e, enum probe_problem problem, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void errand_find_addresses(struct errand *e);
void errand_time_out(struct errand *e);
void errand_clear(struct errand *e);
int errand_left_ms(const struct errand *e);
int errand_try_ms(const struct errand *e); /* for the connection under way: others wait behind it, perhaps */
const char *errand_method(const struct errand *e);
bool errand_fence(struct probe *p, const struct sockaddr *to, const char **why);
void address_text(const struct sockaddr_storage *a, char *out, size_t size);
void key_authorization_digest(const struct errand *e, uint8_t out[32]);

/* core.c */
void probe_over(struct errand *e); /* ended: answered between two events */
unsigned probe_slow_at(const struct probe *p, const struct errand *but);

/* http.c, tls.c: to e->at; they end in errand_end, errand_connected_in_vain or another errand_find_addresses */
MUST_USE bool http_open(struct probe *p, struct err *e);
void http_close(struct probe *p);
void http_try(struct errand *e);
void http_drop(struct errand *e);
MUST_USE bool tls_open(struct probe *p, struct err *e);
void tls_close(struct probe *p);
void tls_try(struct errand *e);
void tls_drop(struct errand *e);

#endif
