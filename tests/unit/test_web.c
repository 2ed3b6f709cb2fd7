/* SPDX-License-Identifier: Apache-2.0 */
#include "web/web.h"

#include "base/clock.h"

#include "tests/cu.h"

#include "tests/unit/pkix_make.h"

#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* A server of this process on loopback. /here is answered at once, /ask asks a peer who never answers. */

static struct caller *silent;

static bool parse(void *ctx, const struct request *in, struct ask *ask, struct response *out)
{
	(void)ctx;
	if (strcmp(in->path, "/ask") == 0) {
		*ask = (struct ask){ .to = silent, .type = 100, .timeout = 60 * US_PER_SECOND };
		return true;
	}
	response_text(out, 200, in, "here");
	return false;
}

static bool format(void *ctx, const struct request *in, const struct answer *a, struct ask *ask, struct response *out)
{
	(void)ctx;
	(void)ask;
	response_text(out, a->got ? 200 : 503, in, "%s", a->got ? "" : a->err.text);
	return false;
}

static const struct head head = { parse, format };
static const struct route routes[] = { { "/", &head, NULL, 0 }, { "/here", &head, NULL, 0 }, { "/ask", &head, NULL, 0 } };

struct server {
	struct web *web;
	struct sockaddr_in at;
};

static void begin(struct server *s, int64_t ticket_period, int64_t timeout)
{
	AUTO_BUF der = { 0 };
	EVP_PKEY *key = make_key(MAKE_P256);
	socklen_t n = sizeof s->at;
	struct tls_key *tls;
	struct span chain;
	struct err e = { 0 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	make_cert(&der, &(struct make_cert){ .key = key, .signer = key, .subject = "here", .issuer = "here" });
	chain = span_of(&der);
	EVP_PKEY_up_ref(key);
	CU_ASSERT_TRUE_FATAL(tls_key_new(&tls, key, &chain, 1, &e));
	s->at = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	CU_ASSERT_TRUE_FATAL(bind(fd, (struct sockaddr *)&s->at, sizeof s->at) == 0 && listen(fd, 64) == 0 &&
	                     getsockname(fd, (struct sockaddr *)&s->at, &n) == 0);
	CU_ASSERT_TRUE_FATAL(web_start(&s->web, &(struct web_config){ .listen_fd = fd, .tls = true, .tls_key = tls, .routes = routes,
	                                       .route_n = COUNT_OF(routes), .request_timeout = timeout, .ticket_period = ticket_period,
	                                       .name = "test" }, &e));
}

static int plug(const struct server *s)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CU_ASSERT_EQUAL_FATAL(connect(fd, (const struct sockaddr *)&s->at, sizeof s->at), 0);
	return fd;
}

static void nap(int64_t us)
{
	nanosleep(&(struct timespec){ us / US_PER_SECOND, us % US_PER_SECOND * 1000 }, NULL);
}

/* Octet by octet, with pauses: every one meets a handshake that waits. */
static ssize_t drip(gnutls_transport_ptr_t at, const void *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (send((int)(intptr_t)at, (const uint8_t *)p + i, 1, MSG_NOSIGNAL) != 1)
			return -1;
		if (i % 16 == 0)
			nap(1000);
	}
	return (ssize_t)n;
}

struct visit {
	const char *priority, *path;
	bool drips, resumed;
	gnutls_datum_t session; /* to resume; what came instead */
	int status;
};

static void visit(const struct server *s, struct visit *v)
{
	static gnutls_certificate_credentials_t nobody;
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	int one = 1, fd = plug(s);
	gnutls_session_t t;
	char text[2048] = "";
	ssize_t got;

	setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof one);
	pthread_mutex_lock(&lock);
	if (nobody == NULL)
		gnutls_certificate_allocate_credentials(&nobody);
	pthread_mutex_unlock(&lock);
	v->status = 0;
	gnutls_init(&t, GNUTLS_CLIENT);
	gnutls_priority_set_direct(t, v->priority, NULL);
	gnutls_credentials_set(t, GNUTLS_CRD_CERTIFICATE, nobody);
	gnutls_transport_set_int(t, fd);
	if (v->drips)
		gnutls_transport_set_push_function(t, drip);
	if (v->session.data != NULL)
		gnutls_session_set_data(t, v->session.data, v->session.size);
	if (gnutls_handshake(t) == 0) {
		int n = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: here\r\n\r\n", v->path);

		v->resumed = gnutls_session_is_resumed(t) != 0;
		gnutls_record_send(t, text, (size_t)n);
		do /* a ticket is no octet of the answer */
			got = gnutls_record_recv(t, text, sizeof text - 1);
		while (got == GNUTLS_E_AGAIN || got == GNUTLS_E_INTERRUPTED);
		if (got > 12)
			v->status = atoi(text + 9);
		gnutls_free(v->session.data);
		v->session = (gnutls_datum_t){ NULL, 0 };
		gnutls_session_get_data2(t, &v->session);
		gnutls_bye(t, GNUTLS_SHUT_WR);
	}
	gnutls_deinit(t);
	close(fd);
}

#define TLS_12 "NORMAL:-VERS-ALL:+VERS-TLS1.2"
#define TLS_13 "NORMAL:-VERS-ALL:+VERS-TLS1.3"
static const char *const versions[] = { TLS_12, TLS_13 };

static void test_handshakes_that_drip(void)
{
	struct server s;

	begin(&s, 0, 0);
	for (size_t i = 0; i < COUNT_OF(versions); i++) {
		struct visit v = { .priority = versions[i], .path = "/here", .drips = true };

		visit(&s, &v);
		CU_ASSERT_EQUAL(v.status, 200);
		visit(&s, &v);
		CU_ASSERT_EQUAL(v.status, 200);
		CU_ASSERT_TRUE(v.resumed);
		gnutls_free(v.session.data);
	}
	web_stop(s.web, US_PER_SECOND);
}

static void test_ticket_keys_rotate__EST_39(void)
{
	struct server s, other;

	begin(&s, 2 * US_PER_SECOND, 0);
	begin(&other, 0, 0);
	for (size_t i = 0; i < COUNT_OF(versions); i++) {
		struct visit v = { .priority = versions[i], .path = "/here" };

		/* The first may come at the end of a key's life. */
		for (int k = 0; k < 2 && !v.resumed; k++) {
			visit(&s, &v);
			visit(&s, &v);
		}
		CU_ASSERT_TRUE(v.resumed);
		nap(2100000);
		visit(&s, &v);
		CU_ASSERT_EQUAL(v.status, 200);
		CU_ASSERT_FALSE(v.resumed);
		visit(&other, &v);
		CU_ASSERT_EQUAL(v.status, 200);
		CU_ASSERT_FALSE(v.resumed);
		/* Theirs lives longer than two seconds. */
		nap(2100000);
		visit(&other, &v);
		CU_ASSERT_TRUE(v.resumed);
		gnutls_free(v.session.data);
	}
	web_stop(s.web, US_PER_SECOND);
	web_stop(other.web, US_PER_SECOND);
}

static void *keep_visiting(void *arg)
{
	const struct server *s = arg;
	struct visit v = { .priority = TLS_13, .path = "/here" };
	long good = 0;

	for (int i = 0; i < 10; i++) {
		v.drips = i % 3 == 0;
		visit(s, &v);
		good += v.status == 200;
	}
	gnutls_free(v.session.data);
	return (void *)good;
}

static void test_many_at_once(void)
{
	struct server s;
	pthread_t thread[8];
	int aborted;

	begin(&s, 0, 0);
	for (int i = 0; i < 8; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&thread[i], NULL, keep_visiting, &s), 0);
	for (int i = 0; i < 200; i++) {
		aborted = plug(&s);
		(void)!send(aborted, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", i % 12, MSG_NOSIGNAL);
		close(aborted);
	}
	for (int i = 0; i < 8; i++) {
		void *good;

		pthread_join(thread[i], &good);
		CU_ASSERT_EQUAL((long)good, 10);
	}
	web_stop(s.web, US_PER_SECOND);
}

/* The absolute deadline reaches who is parked. */
static void test_parked_ones_are_cut(void)
{
	struct server s;
	int64_t began = clock_mono();
	char octet;
	int fd;

	begin(&s, 0, US_PER_SECOND);
	fd = plug(&s);
	CU_ASSERT_EQUAL(send(fd, "\x16\x03\x01\x02", 4, MSG_NOSIGNAL), 4);
	CU_ASSERT_TRUE(recv(fd, &octet, 1, 0) <= 1);
	while (recv(fd, &octet, 1, 0) > 0)
		;
	CU_ASSERT_TRUE(clock_mono() - began > US_PER_SECOND / 2 && clock_mono() - began < 10 * US_PER_SECOND);
	close(fd);
	web_stop(s.web, US_PER_SECOND);
}

static void *ask_silent(void *arg)
{
	struct visit v = { .priority = TLS_13, .path = "/ask" };

	visit(arg, &v);
	gnutls_free(v.session.data);
	return (void *)(long)v.status;
}

/* One parked, one idle, one whose answer does not come: he hears so, and all are gone before the deadline of his question. */
static void test_stop_waits_for_nobody(void)
{
	struct server s;
	int64_t began = clock_mono();
	int pair[2], parked;
	pthread_t thread;
	void *status;

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	silent = caller_new("test", NULL, NULL, NULL);
	caller_channel(silent, pair[0]);
	CU_ASSERT_TRUE(channel_hello(pair[1], "silent", NULL));
	while (!caller_is_up(silent) && clock_mono() - began < 10 * US_PER_SECOND)
		nap(1000);
	begin(&s, 0, 0);
	parked = plug(&s);
	CU_ASSERT_EQUAL(send(parked, "\x16\x03\x01\x02", 4, MSG_NOSIGNAL), 4);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, ask_silent, &s), 0);
	nap(500000);
	web_stop(s.web, US_PER_SECOND / 5);
	pthread_join(thread, &status);
	CU_ASSERT_EQUAL((long)status, 503);
	CU_ASSERT_TRUE(clock_mono() - began < 20 * US_PER_SECOND);
	close(parked);
	caller_free(silent);
	close(pair[1]);
	make_free();
}

static const struct cu_case table[] = {
	{ "test_handshakes_that_drip", test_handshakes_that_drip },
	{ "test_ticket_keys_rotate__EST_39", test_ticket_keys_rotate__EST_39 },
	{ "test_many_at_once", test_many_at_once },
	{ "test_parked_ones_are_cut", test_parked_ones_are_cut },
	{ "test_stop_waits_for_nobody", test_stop_waits_for_nobody },
};

CU_MAIN(table)
