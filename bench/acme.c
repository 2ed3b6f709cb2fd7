/* SPDX-License-Identifier: Apache-2.0
 *
 * ACME clients: a thread each on a connection of its own that stays; a key and a name per order, made before the clock
 * starts. What the names need stands beside them in the same process: an HTTP server that answers every http-01 challenge
 * and a DNS server that says 127.0.0.1 to everything. It registers its accounts, says "prepared", waits for a line, runs
 * whole orders (newOrder, authorization, challenge, finalize, download), and prints one JSON object.
 * usage: bench-acme DIRECTORY HTTP_PORT DNS_PORT WORKERS COUNT FIRST ACCOUNTS [KID HMAC_KEY] */
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/text.h"
#include "bench/make.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <netinet/tcp.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWER_MAX = 65536, WORKERS_MAX = 256, URL_MAX_LEN = 256, HTTP_THREADS = 4, TRIES = 5, COORDINATE = 32, PATIENCE_US = 60000000 };

struct account {
	EVP_PKEY *key;
	char jwk[256], thumbprint[64];
	char kid[URL_MAX_LEN];
};

struct job {
	struct made *made;
	char name[40];
	const struct account *account; /* whose order it is: what the challenge's answer is made of */
};

struct worker {
	pthread_t thread;
	const struct account *account;
	int fd;
	SSL *ssl;
	char nonce[256];
	char location[URL_MAX_LEN];
	char *text;                /* the last answer */
	const char *body;
	json_t *json;
};

static struct sockaddr_in server;
static char authority[64], origin[80];
static char new_nonce[URL_MAX_LEN], new_account[URL_MAX_LEN], new_order[URL_MAX_LEN];
static SSL_CTX *tls;
static struct job *jobs;
static struct account *accounts;
static uint32_t *times;
static unsigned job_n, first_job;
static _Atomic unsigned next_job, refused, bad_nonces, polls;
static char first_why[400];
static pthread_mutex_t why_lock = PTHREAD_MUTEX_INITIALIZER;

static __attribute__((format(printf, 1, 2))) bool failed(const char *format, ...)
{
	va_list ap;

	pthread_mutex_lock(&why_lock);
	va_start(ap, format);
	if (refused++ == 0)
		vsnprintf(first_why, sizeof first_why, format, ap);
	va_end(ap);
	pthread_mutex_unlock(&why_lock);
	return false;
}

/* --- What the names need */

static int listener(int type, int port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || (type == SOCK_STREAM && listen(fd, 1024) != 0))
		bench_fail("a port", strerror(errno));
	return fd;
}

/* "GET /.well-known/acme-challenge/TOKEN …", "Host: dNNNNNNN.acme.example:PORT": the account is the name's. */
static void answer_challenge(int fd)
{
	static const char path[] = "GET /.well-known/acme-challenge/";
	char text[4096], reply[512], *host;
	size_t n = 0, token, m;
	unsigned at;

	while (n < sizeof text - 1) {
		ssize_t got = recv(fd, text + n, sizeof text - 1 - n, 0);

		if (got <= 0)
			return;
		n += (size_t)got;
		text[n] = 0;
		if (strstr(text, "\r\n\r\n") != NULL)
			break;
	}
	host = strcasestr(text, "\r\nHost: d");
	if (strncmp(text, path, sizeof path - 1) != 0 || host == NULL || (at = (unsigned)atoi(host + 9) - first_job) >= job_n ||
	    jobs[at].account == NULL)
		return;
	token = strcspn(text + sizeof path - 1, " ");
	m = (size_t)snprintf(reply, sizeof reply, "%.*s.%s", (int)token, text + sizeof path - 1, jobs[at].account->thumbprint);
	n = (size_t)snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
	                     m, reply);
	(void)!send(fd, text, n, MSG_NOSIGNAL);
}

static void *serve_http(void *arg)
{
	const int *fd = arg;
	struct timeval patience = { 5, 0 };

	for (;;) {
		int link = accept(*fd, NULL, NULL);

		if (link < 0)
			continue;
		setsockopt(link, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
		answer_challenge(link);
		close(link);
	}
	return NULL;
}

static void *serve_dns(void *arg)
{
	static const uint8_t address[] = { 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1 };
	const int *fd = arg;
	uint8_t p[1500];

	for (;;) {
		struct sockaddr_in peer;
		socklen_t peer_n = sizeof peer;
		ssize_t got = recvfrom(*fd, p, sizeof p - sizeof address, 0, (struct sockaddr *)&peer, &peer_n);
		size_t n = got < 12 ? 0 : (size_t)got, at = 12;
		bool a;

		while (at < n && p[at] != 0)
			at += 1u + p[at];
		if (at + 5 > n)
			continue;
		a = p[at + 1] == 0 && p[at + 2] == 1;
		at += 5;
		p[2] = (uint8_t)(0x84 | (p[2] & 1)); /* QR AA RD; RA */
		p[3] = 0x80;
		p[5] = 1;
		memset(p + 6, 0, 6);
		p[7] = a;
		if (a) {
			memcpy(p + at, address, sizeof address);
			at += sizeof address;
		}
		(void)!sendto(*fd, p, at, 0, (struct sockaddr *)&peer, peer_n);
	}
	return NULL;
}

static void serve_names(int http_port, int dns_port)
{
	static int http, dns;
	pthread_t thread;

	http = listener(SOCK_STREAM, http_port);
	dns = listener(SOCK_DGRAM, dns_port);
	for (int i = 0; i < HTTP_THREADS; i++)
		if (pthread_create(&thread, NULL, serve_http, &http) != 0)
			bench_fail("threads", "none left");
	if (pthread_create(&thread, NULL, serve_dns, &dns) != 0)
		bench_fail("threads", "none left");
}

/* --- A connection */

static void link_close(struct worker *w)
{
	if (w->ssl != NULL) {
		SSL_shutdown(w->ssl);
		SSL_free(w->ssl);
		close(w->fd);
	}
	w->ssl = NULL;
}

static bool link_open(struct worker *w)
{
	int one = 1;

	w->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	w->ssl = SSL_new(tls);
	setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	SSL_set_tlsext_host_name(w->ssl, "localhost");
	SSL_set_fd(w->ssl, w->fd);
	return connect(w->fd, (struct sockaddr *)&server, sizeof server) == 0 && SSL_connect(w->ssl) == 1;
}

static void header(const struct worker *w, const char *name, char *out, size_t cap)
{
	char line[64];
	const char *found;

	snprintf(line, sizeof line, "\r\n%s:", name);
	found = strcasestr(w->text, line);
	if (found != NULL && found < w->body) {
		found += strlen(line);
		found += strspn(found, " ");
		snprintf(out, cap, "%.*s", (int)strcspn(found, "\r"), found);
	}
}

/* The body's chunks moved together (pebble's server sends long answers so). False: more is to come. */
static bool gather(char *body)
{
	char *from = body, *to = body;

	for (;;) {
		char *line = strstr(from, "\r\n");
		size_t n = strtoul(from, NULL, 16);

		if (line == NULL || strlen(line + 2) < n + 2)
			return false;
		if (n == 0)
			break;
		from = line + 2 + n + 2;
	}
	for (from = body;;) {
		size_t n = strtoul(from, NULL, 16);

		from = strstr(from, "\r\n") + 2;
		memmove(to, from, n);
		to += n;
		if (n == 0)
			break;
		from += n + 2;
	}
	*to = 0;
	return true;
}

/* Reads one answer; body: where it begins. */
static bool receive(struct worker *w, bool head)
{
	size_t n = 0, want = 0;
	bool chunked = false, whole = false;

	while (!whole) {
		int got = SSL_read(w->ssl, w->text + n, (int)(ANSWER_MAX - 1 - n));
		char *end, value[24] = "0", coding[16] = "";

		if (got <= 0)
			return false;
		n += (size_t)got;
		w->text[n] = 0;
		if (w->body == NULL && (end = strstr(w->text, "\r\n\r\n")) != NULL) {
			w->body = end + 4;
			header(w, "Content-Length", value, sizeof value);
			header(w, "Transfer-Encoding", coding, sizeof coding);
			chunked = coding[0] != 0 && !head;
			want = (size_t)(w->body - w->text) + (head ? 0 : strtoul(value, NULL, 10));
		}
		if (w->body != NULL)
			whole = chunked ? gather(w->text + (w->body - w->text)) : n >= want;
	}
	return true;
}

/* The status; the answer is in w. 0: none came. */
static int exchange(struct worker *w, const struct buf *request, bool head)
{
	json_decref(w->json);
	w->json = NULL;
	w->body = NULL;
	if (w->ssl == NULL && !link_open(w))
		return 0;
	if (SSL_write(w->ssl, request->p, (int)request->n) != (int)request->n || !receive(w, head))
		return 0;
	header(w, "Replay-Nonce", w->nonce, sizeof w->nonce);
	w->location[0] = 0;
	header(w, "Location", w->location, sizeof w->location);
	if (*w->body == '{')
		w->json = json_loads(w->body, 0, NULL);
	return atoi(w->text + 9);
}

static const char *path_of(const char *url)
{
	return strncmp(url, origin, strlen(origin)) == 0 ? url + strlen(origin) : url;
}

static bool fetch(struct worker *w, const char *method, const char *url)
{
	AUTO_BUF request = { 0 };
	int status;

	buf_printf(&request, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\n\r\n", method, path_of(url), authority);
	status = exchange(w, &request, strcmp(method, "HEAD") == 0);
	return status == 200 || status == 204;
}

/* --- JWS */

static void sign_es256(struct buf *out, EVP_PKEY *key, const struct buf *input)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t der[80], raw[2 * COORDINATE];
	const uint8_t *p = der;
	size_t n = sizeof der;
	ECDSA_SIG *sig;

	if (EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) != 1 || EVP_DigestSign(ctx, der, &n, input->p, input->n) != 1 ||
	    (sig = d2i_ECDSA_SIG(NULL, &p, (long)n)) == NULL)
		bench_fail("a signature", "it can't be made");
	BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, COORDINATE);
	BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + COORDINATE, COORDINATE);
	ECDSA_SIG_free(sig);
	EVP_MD_CTX_free(ctx);
	b64url_put(out, raw, sizeof raw);
}

static void put_text64(struct buf *out, const char *text)
{
	b64url_put(out, text, strlen(text));
}

/* Until the nonce is taken; payload "": POST-as-GET. */
static int post(struct worker *w, const char *url, const char *payload)
{
	int status = 0;

	for (int i = 0; i < TRIES; i++) {
		AUTO_FREE char *head = NULL;
		AUTO_BUF request = { 0 };
		AUTO_BUF input = { 0 };
		AUTO_BUF body = { 0 };
		const struct account *a = w->account;
		const char *type;

		if (w->nonce[0] == 0 && !fetch(w, "HEAD", new_nonce))
			return 0;
		head = a->kid[0] != 0
			? mem_printf("{\"alg\":\"ES256\",\"kid\":\"%s\",\"nonce\":\"%s\",\"url\":\"%s\"}", a->kid, w->nonce, url)
			: mem_printf("{\"alg\":\"ES256\",\"jwk\":%s,\"nonce\":\"%s\",\"url\":\"%s\"}", a->jwk, w->nonce, url);
		put_text64(&input, head);
		buf_printf(&body, "{\"protected\":\"%s\",\"payload\":\"", buf_str(&input));
		buf_byte(&input, '.');
		if (payload[0] != 0) {
			put_text64(&input, payload);
			put_text64(&body, payload);
		}
		buf_text(&body, "\",\"signature\":\"");
		sign_es256(&body, a->key, &input);
		buf_text(&body, "\"}");
		buf_printf(&request, "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\nContent-Type: application/jose+json\r\nContent-Length: %zu\r\n\r\n",
		           path_of(url), authority, body.n);
		buf_add(&request, body.p, body.n);
		w->nonce[0] = 0;
		status = exchange(w, &request, false);
		type = json_string_value(json_object_get(w->json, "type"));
		if (status != 400 || type == NULL || strstr(type, "badNonce") == NULL)
			break;
		bad_nonces++;
	}
	return status;
}

/* --- Accounts */

static void describe_key(struct account *a)
{
	uint8_t point[1 + 2 * COORDINATE], digest[SHA256_DIGEST_LENGTH];
	AUTO_BUF x = { 0 };
	AUTO_BUF y = { 0 };
	AUTO_BUF t = { 0 };
	size_t n = 0;

	a->key = EVP_EC_gen("P-256");
	if (EVP_PKEY_get_octet_string_param(a->key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point, &n) != 1 || n != sizeof point)
		bench_fail("a key", "its point has another form");
	b64url_put(&x, point + 1, COORDINATE);
	b64url_put(&y, point + 1 + COORDINATE, COORDINATE);
	snprintf(a->jwk, sizeof a->jwk, "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}", buf_str(&x), buf_str(&y));
	SHA256((const uint8_t *)a->jwk, strlen(a->jwk), digest);
	b64url_put(&t, digest, sizeof digest);
	snprintf(a->thumbprint, sizeof a->thumbprint, "%s", buf_str(&t));
}

/* RFC 8555, 7.3.4 */
static void put_binding(struct buf *out, const struct account *a, const char *kid, const char *mac_key)
{
	AUTO_FREE char *head = mem_printf("{\"alg\":\"HS256\",\"kid\":\"%s\",\"url\":\"%s\"}", kid, new_account);
	AUTO_BUF input = { 0 };
	AUTO_BUF secret = { 0 };
	AUTO_BUF payload = { 0 };
	uint8_t mac[SHA256_DIGEST_LENGTH];

	if (!b64url_get(&secret, mac_key, strlen(mac_key)))
		bench_fail("HMAC_KEY", "no base64url");
	put_text64(&input, head);
	buf_printf(out, ",\"externalAccountBinding\":{\"protected\":\"%s\",", buf_str(&input));
	put_text64(&payload, a->jwk);
	buf_printf(&input, ".%s", buf_str(&payload));
	HMAC(EVP_sha256(), secret.p, (int)secret.n, input.p, input.n, mac, NULL);
	buf_printf(out, "\"payload\":\"%s\",\"signature\":\"", buf_str(&payload));
	b64url_put(out, mac, sizeof mac);
	buf_text(out, "\"}");
}

static void enrol_account(struct worker *w, struct account *a, const char *kid, const char *mac_key)
{
	AUTO_BUF payload = { 0 };
	int status;

	w->account = a;
	buf_text(&payload, "{\"termsOfServiceAgreed\":true");
	if (kid != NULL)
		put_binding(&payload, a, kid, mac_key);
	buf_byte(&payload, '}');
	status = post(w, new_account, buf_str(&payload));
	if (status != 201 || w->location[0] == 0)
		bench_fail("newAccount", w->body != NULL ? w->body : "no answer");
	snprintf(a->kid, sizeof a->kid, "%s", w->location);
}

static void url_of(struct worker *w, const char *name, char out[URL_MAX_LEN])
{
	const char *value = json_string_value(json_object_get(w->json, name));

	if (value == NULL)
		bench_fail("the directory lacks", name);
	snprintf(out, URL_MAX_LEN, "%s", value);
}

static void enrol_accounts(struct worker *w, const char *directory, unsigned n, const char *kid, const char *mac_key)
{
	if (!fetch(w, "GET", directory) || w->json == NULL)
		bench_fail(directory, "no directory");
	url_of(w, "newNonce", new_nonce);
	url_of(w, "newAccount", new_account);
	url_of(w, "newOrder", new_order);
	accounts = mem_array(n, sizeof *accounts);
	for (unsigned i = 0; i < n; i++) {
		describe_key(&accounts[i]);
		enrol_account(w, &accounts[i], kid, mac_key);
	}
}

/* --- Orders */

static bool said(const struct worker *w, const struct job *j, const char *what, int status)
{
	return failed("%s: %s: %d %.200s", j->name, what, status, w->body != NULL && status != 0 ? w->body : "no answer");
}

static const char *state_of(const struct worker *w)
{
	const char *s = json_string_value(json_object_get(w->json, "status"));

	return s != NULL ? s : "";
}

/* Looks at the order until it has left these states; waits 1, 2, 4, … 64 ms between. */
static bool wait_while(struct worker *w, const struct job *j, const char *order, const char *one, const char *other)
{
	int64_t end = clock_mono() + PATIENCE_US;

	for (useconds_t us = 1000;; us = us < 64000 ? us * 2 : us) {
		int status = post(w, order, "");

		if (status != 200)
			return said(w, j, "order", status);
		if (strcmp(state_of(w), one) != 0 && strcmp(state_of(w), other) != 0)
			return true;
		if (clock_mono() > end)
			return said(w, j, "waits for ever", status);
		polls++;
		usleep(us);
	}
}

/* The URL of its http-01 challenge; "": it is valid already. */
static bool challenge_of(struct worker *w, const struct job *j, const char *authorization, char out[URL_MAX_LEN])
{
	int status = post(w, authorization, "");
	json_t *challenge;
	size_t i;

	out[0] = 0;
	if (status != 200)
		return said(w, j, "authorization", status);
	if (strcmp(state_of(w), "valid") == 0)
		return true;
	json_array_foreach(json_object_get(w->json, "challenges"), i, challenge) {
		const char *type = json_string_value(json_object_get(challenge, "type")), *url = json_string_value(json_object_get(challenge, "url"));

		if (type != NULL && url != NULL && strcmp(type, "http-01") == 0)
			snprintf(out, URL_MAX_LEN, "%s", url);
	}
	return out[0] != 0 || said(w, j, "no http-01", status);
}

static bool whole_order(struct worker *w, struct job *j)
{
	AUTO_FREE char *ask = mem_printf("{\"identifiers\":[{\"type\":\"dns\",\"value\":\"%s\"}]}", j->name);
	AUTO_BUF csr = { 0 };
	char order[URL_MAX_LEN], authorization[URL_MAX_LEN], finalize[URL_MAX_LEN], url[URL_MAX_LEN];
	const char *value;
	int status;

	if ((status = post(w, new_order, ask)) != 201 || w->location[0] == 0)
		return said(w, j, "newOrder", status);
	snprintf(order, sizeof order, "%s", w->location);
	value = json_string_value(json_array_get(json_object_get(w->json, "authorizations"), 0));
	snprintf(authorization, sizeof authorization, "%s", value != NULL ? value : "");
	value = json_string_value(json_object_get(w->json, "finalize"));
	snprintf(finalize, sizeof finalize, "%s", value != NULL ? value : "");
	if (!challenge_of(w, j, authorization, url))
		return false;
	if (url[0] != 0) {
		if ((status = post(w, url, "{}")) != 200)
			return said(w, j, "challenge", status);
		/* The only name: once it is valid, the order is ready (ACME-26). */
		if (strcmp(state_of(w), "valid") != 0) {
			if (!wait_while(w, j, order, "pending", "pending"))
				return false;
			if (strcmp(state_of(w), "ready") != 0)
				return said(w, j, "not ready", 200);
		}
	}
	buf_text(&csr, "{\"csr\":\"");
	b64url_put(&csr, j->made->csr.p, j->made->csr.n);
	buf_text(&csr, "\"}");
	if ((status = post(w, finalize, buf_str(&csr))) != 200)
		return said(w, j, "finalize", status);
	if (strcmp(state_of(w), "valid") != 0 && !wait_while(w, j, order, "processing", "ready"))
		return false;
	value = json_string_value(json_object_get(w->json, "certificate"));
	if (strcmp(state_of(w), "valid") != 0 || value == NULL)
		return said(w, j, "not valid", 200);
	snprintf(url, sizeof url, "%s", value);
	if ((status = post(w, url, "")) != 200 || strncmp(w->body, "-----BEGIN CERTIFICATE-----", 27) != 0)
		return said(w, j, "certificate", status);
	return true;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	unsigned i;

	while ((i = next_job++) < job_n) {
		int64_t began = clock_mono();

		jobs[i].account = w->account;
		if (!whole_order(w, &jobs[i]))
			link_close(w); /* its answer may still be under way */
		times[i] = (uint32_t)(clock_mono() - began);
	}
	link_close(w);
	return NULL;
}

static void prepare(unsigned n, unsigned first)
{
	struct made *made = mem_array(n, sizeof *made);

	jobs = mem_array(n, sizeof *jobs);
	times = mem_array(n, sizeof *times);
	job_n = n;
	first_job = first;
	make_names(made, first, n, ".acme.example");
	for (unsigned i = 0; i < n; i++) {
		jobs[i].made = &made[i];
		snprintf(jobs[i].name, sizeof jobs[i].name, "%s.acme.example", made[i].name);
	}
}

/* "https://HOST:PORT/…" on loopback. */
static void set_server(const char *directory)
{
	int port = 0;

	if (sscanf(directory, "https://%*[^:/]:%d/", &port) != 1)
		bench_fail(directory, "no https://HOST:PORT/");
	snprintf(origin, sizeof origin, "%.*s", (int)(strcspn(directory + 8, "/") + 8), directory);
	snprintf(authority, sizeof authority, "%s", origin + 8);
	server = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	tls = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION);
	/* A load generator: whom it talks to is known. */
	SSL_CTX_set_verify(tls, SSL_VERIFY_NONE, NULL);
}

int main(int argc, char **argv)
{
	static struct worker worker[WORKERS_MAX];
	unsigned workers, n, account_n;
	char line[16];
	int64_t began;

	if (argc != 8 && argc != 10)
		bench_fail("usage", "bench-acme DIRECTORY HTTP_PORT DNS_PORT WORKERS COUNT FIRST ACCOUNTS [KID HMAC_KEY]");
	signal(SIGPIPE, SIG_IGN);
	set_server(argv[1]);
	workers = (unsigned)atoi(argv[4]);
	n = (unsigned)atoi(argv[5]);
	account_n = (unsigned)atoi(argv[7]);
	if (workers == 0 || workers > WORKERS_MAX || account_n == 0 || n == 0)
		bench_fail("usage", "WORKERS, COUNT and ACCOUNTS are numbers above 0");
	prepare(n, (unsigned)atoi(argv[6]));
	serve_names(atoi(argv[2]), atoi(argv[3]));
	for (unsigned i = 0; i < workers; i++)
		worker[i].text = mem_new(ANSWER_MAX);
	enrol_accounts(&worker[0], argv[1], account_n, argc == 10 ? argv[8] : NULL, argc == 10 ? argv[9] : NULL);
	for (unsigned i = 0; i < workers; i++) {
		worker[i].account = &accounts[i % account_n];
		if (!fetch(&worker[i], "HEAD", new_nonce))
			bench_fail("newNonce", "no answer");
	}
	printf("prepared\n");
	fflush(stdout);
	if (fgets(line, sizeof line, stdin) == NULL)
		return 1;
	began = clock_mono();
	for (unsigned i = 0; i < workers; i++)
		if (pthread_create(&worker[i].thread, NULL, work, &worker[i]) != 0)
			bench_fail("threads", "none left");
	for (unsigned i = 0; i < workers; i++)
		pthread_join(worker[i].thread, NULL);
	began = clock_mono() - began;
	for (char *s = first_why; *s != 0; s++)
		if (*s == '"' || *s == '\\' || (unsigned char)*s < ' ')
			*s = ' ';
	printf("{\"done\": %u, \"refused\": %u, \"seconds\": %.6f, \"p50_us\": %u, \"p99_us\": %u, \"bad_nonces\": %u, \"polls\": %u, \"why\": \"%s\"}\n",
	       n - refused, refused, (double)began / 1e6, percentile(times, n, 0.5), percentile(times, n, 0.99), bad_nonces, polls, first_why);
	return 0;
}
