/* SPDX-License-Identifier: Apache-2.0
 *
 * EST clients: a thread each, a key and a name per request, all of it made before the clock starts. It says "prepared",
 * waits for a line, runs, and prints one JSON object.
 * usage: bench-est PORT MODE CLIENTS COUNT FIRST PASSWORD
 * MODE: keep (one connection a client), new13, new12, resumed, client (simplereenroll with the device's certificate on a
 * new connection each), idle (COUNT connections that do nothing until the next line) */
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "bench/make.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/pkcs7.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWER_MAX = 32768, CLIENTS_MAX = 1024, FIRST_CLIENTS = 32 };
enum mode { KEEP, NEW13, NEW12, RESUMED, CLIENT, IDLE, MODES };
static const char *const mode_names[MODES] = { "keep", "new13", "new12", "resumed", "client", "idle" };

struct job {
	struct buf request; /* HTTP, whole */
	EVP_PKEY *key;      /* client: of the certificate that is renewed */
	X509 *cert;
};

static struct sockaddr_in server;
static SSL_CTX *tls;
static struct job *jobs;
static uint32_t *times;
static unsigned job_n;
static _Atomic unsigned next_job, refused, reused;
static char first_why[256];
static pthread_mutex_t why_lock = PTHREAD_MUTEX_INITIALIZER;

static void failed(const char *why)
{
	pthread_mutex_lock(&why_lock);
	if (refused++ == 0)
		snprintf(first_why, sizeof first_why, "%.250s", why);
	pthread_mutex_unlock(&why_lock);
}

/* --- A connection */

struct link {
	int fd;
	SSL *ssl;
};

static void link_close(struct link *l)
{
	if (l->ssl != NULL) {
		SSL_shutdown(l->ssl);
		SSL_free(l->ssl);
	}
	if (l->fd >= 0)
		close(l->fd);
	*l = (struct link){ .fd = -1 };
}

static bool link_open(struct link *l, const struct job *j, SSL_SESSION *session)
{
	int one = 1;

	*l = (struct link){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .ssl = SSL_new(tls) };
	setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (j != NULL && j->cert != NULL && (SSL_use_certificate(l->ssl, j->cert) != 1 || SSL_use_PrivateKey(l->ssl, j->key) != 1))
		return false;
	if (session != NULL)
		SSL_set_session(l->ssl, session);
	SSL_set_tlsext_host_name(l->ssl, "localhost");
	SSL_set_fd(l->ssl, l->fd);
	return connect(l->fd, (struct sockaddr *)&server, sizeof server) == 0 && SSL_connect(l->ssl) == 1;
}

/* The answer's status; *body points into text. 0: none came. */
static int exchange(struct link *l, const struct buf *request, char text[ANSWER_MAX], char **body)
{
	size_t n = 0, want = 0;

	if (SSL_write(l->ssl, request->p, (int)request->n) != (int)request->n)
		return 0;
	*body = NULL;
	while (*body == NULL || n < want) {
		int got = SSL_read(l->ssl, text + n, (int)(ANSWER_MAX - 1 - n));
		char *length;

		if (got <= 0)
			return 0;
		n += (size_t)got;
		text[n] = 0;
		if (*body == NULL && (*body = strstr(text, "\r\n\r\n")) != NULL) {
			*body += 4;
			length = strcasestr(text, "\r\nContent-Length:");
			want = (size_t)(*body - text) + (length != NULL && length < *body ? strtoul(length + 17, NULL, 10) : 0);
		}
	}
	return atoi(text + 9);
}

/* --- Requests */

static void put_request(struct buf *out, const struct made *m, const struct buf *csr, const char *password, bool again)
{
	AUTO_FREE char *user = mem_printf("%s:%s", m->name, password);
	AUTO_BUF basic = { 0 };
	AUTO_BUF body = { 0 };

	b64_put(&basic, user, strlen(user), 0);
	b64_put(&body, csr->p, csr->n, 0);
	buf_printf(out, "POST /.well-known/est/%s HTTP/1.1\r\nHost: localhost\r\n", again ? "simplereenroll" : "simpleenroll");
	if (!again)
		buf_printf(out, "Authorization: Basic %s\r\n", buf_str(&basic));
	buf_printf(out, "Content-Type: application/pkcs10\r\nContent-Length: %zu\r\n\r\n", body.n);
	buf_add(out, body.p, body.n);
}

static void prepare(unsigned first, unsigned n, const char *password)
{
	struct made *made = make_all(first, n, true);

	jobs = mem_array(n, sizeof *jobs);
	times = mem_array(n, sizeof *times);
	job_n = n;
	for (unsigned i = 0; i < n; i++) {
		put_request(&jobs[i].request, &made[i], &made[i].csr, password, false);
		jobs[i].key = made[i].key;
		made[i].key = NULL;
	}
	made_free(made, n);
}

static X509 *certificate_of(const char *body)
{
	AUTO_BUF der = { 0 };
	const unsigned char *p;
	PKCS7 *bundle;
	X509 *cert = NULL;

	if (!b64_get(&der, body, strlen(body)))
		return NULL;
	p = der.p;
	bundle = d2i_PKCS7(NULL, &p, (long)der.n);
	if (bundle != NULL && PKCS7_type_is_signed(bundle) && sk_X509_num(bundle->d.sign->cert) > 0)
		cert = X509_dup(sk_X509_value(bundle->d.sign->cert, 0));
	PKCS7_free(bundle);
	return cert;
}

/* Every device gets the certificate that it then renews, with a new key. */
static unsigned first_device;

static void *enrol_some(void *arg)
{
	char *text = mem_new(ANSWER_MAX), *body;
	struct link l;
	unsigned i;

	(void)arg;
	if (!link_open(&l, NULL, NULL))
		bench_fail("the first enrolments", "no connection");
	while ((i = next_job++) < job_n) {
		struct made m;
		AUTO_BUF csr = { 0 };
		EVP_PKEY *fresh = EVP_EC_gen("P-256");

		if (exchange(&l, &jobs[i].request, text, &body) != 200 || (jobs[i].cert = certificate_of(body)) == NULL)
			bench_fail("the first enrolments", text);
		device_name(m.name, first_device + i);
		make_csr(&csr, fresh, m.name);
		EVP_PKEY_free(fresh);
		jobs[i].request.n = 0;
		put_request(&jobs[i].request, &m, &csr, "", true);
	}
	link_close(&l);
	free(text);
	return NULL;
}

static void enrol_first(unsigned first)
{
	pthread_t thread[FIRST_CLIENTS];

	first_device = first;
	for (int i = 0; i < FIRST_CLIENTS; i++)
		if (pthread_create(&thread[i], NULL, enrol_some, NULL) != 0)
			bench_fail("the first enrolments", "no thread left");
	for (int i = 0; i < FIRST_CLIENTS; i++)
		pthread_join(thread[i], NULL);
	next_job = 0;
}

/* --- Clients */

struct client {
	pthread_t thread;
	enum mode mode;
};

static void *run_client(void *arg)
{
	enum mode mode = ((struct client *)arg)->mode;
	struct link l = { .fd = -1 };
	SSL_SESSION *session = NULL;
	char *text = mem_new(ANSWER_MAX), *body;
	unsigned i;

	while ((i = next_job++) < job_n) {
		int64_t began = clock_mono();
		int status = 0;

		if ((mode == KEEP && l.ssl != NULL) || link_open(&l, &jobs[i], session)) {
			reused += SSL_session_reused(l.ssl) == 1 && mode == RESUMED;
			status = exchange(&l, &jobs[i].request, text, &body);
		}
		times[i] = (uint32_t)(clock_mono() - began);
		if (status != 200)
			failed(status == 0 ? "no answer" : body);
		if (mode == RESUMED && l.ssl != NULL) {
			SSL_SESSION_free(session);
			session = SSL_get1_session(l.ssl);
		}
		if (mode != KEEP || status == 0)
			link_close(&l);
	}
	link_close(&l);
	SSL_SESSION_free(session);
	free(text);
	return NULL;
}

static void hold_idle(unsigned n)
{
	struct link *l = mem_array(n, sizeof *l);
	char line[16];

	for (unsigned i = 0; i < n; i++)
		if (!link_open(&l[i], NULL, NULL))
			bench_fail("an idle connection", "it was not accepted");
	printf("held\n");
	fflush(stdout);
	(void)!fgets(line, sizeof line, stdin);
	for (unsigned i = 0; i < n; i++)
		link_close(&l[i]);
	free(l);
}

static void setup_tls(enum mode mode)
{
	tls = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_min_proto_version(tls, mode == NEW12 ? TLS1_2_VERSION : TLS1_3_VERSION);
	SSL_CTX_set_max_proto_version(tls, mode == NEW12 ? TLS1_2_VERSION : TLS1_3_VERSION);
	SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	/* A load generator: whom it talks to is known. */
	SSL_CTX_set_verify(tls, SSL_VERIFY_NONE, NULL);
}

static void wait_for_go(void)
{
	char line[16];

	printf("prepared\n");
	fflush(stdout);
	if (fgets(line, sizeof line, stdin) == NULL)
		exit(1);
}

int main(int argc, char **argv)
{
	enum mode mode = 0;
	static struct client client[CLIENTS_MAX];
	unsigned clients, n, first;
	int64_t began;

	while (argc == 7 && mode < MODES && strcmp(argv[2], mode_names[mode]) != 0)
		mode++;
	if (argc != 7 || mode == MODES)
		bench_fail("usage", "bench-est PORT MODE CLIENTS COUNT FIRST PASSWORD");
	signal(SIGPIPE, SIG_IGN);
	server = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1])),
		                       .sin_addr = { htonl(INADDR_LOOPBACK) } };
	clients = (unsigned)atoi(argv[3]);
	n = (unsigned)atoi(argv[4]);
	first = (unsigned)atoi(argv[5]);
	setup_tls(mode);
	if (mode == IDLE) {
		hold_idle(n);
		return 0;
	}
	prepare(first, n, argv[6]);
	if (mode == CLIENT)
		enrol_first(first);
	wait_for_go();
	began = clock_mono();
	for (unsigned i = 0; i < clients && i < CLIENTS_MAX; i++) {
		client[i].mode = mode;
		if (pthread_create(&client[i].thread, NULL, run_client, &client[i]) != 0)
			bench_fail("clients", "no thread left");
	}
	for (unsigned i = 0; i < clients && i < CLIENTS_MAX; i++)
		pthread_join(client[i].thread, NULL);
	began = clock_mono() - began;
	for (char *s = first_why; *s != 0; s++)
		if (*s == '"' || *s == '\\' || (unsigned char)*s < ' ')
			*s = ' ';
	printf("{\"done\": %u, \"refused\": %u, \"reused\": %u, \"seconds\": %.6f, \"p50_us\": %u, \"p99_us\": %u, \"why\": \"%s\"}\n",
	       n - refused, refused, reused, (double)began / 1e6, percentile(times, n, 0.5), percentile(times, n, 0.99), first_why);
	return 0;
}
