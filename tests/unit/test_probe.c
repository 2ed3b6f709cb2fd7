/* SPDX-License-Identifier: Apache-2.0
 *
 * The prober against servers that are as they should be, and others. */
#include "probe/core.h"

#include "base/clock.h"
#include "base/text.h"
#include "tests/cu.h"
#include "tests/fake/alpn_cert.h"
#include "tests/fake/out_there.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#define TOKEN "DGyRejmCefe7v4NfDGDKfA-ew_Q0"
#define KEY_AUTHORIZATION TOKEN ".9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"
static const char txt_value[] = "3lxZm_g1DbaEbNvEBvGx8gClcCNErTMlNDdAL1aB0Eo"; /* by openssl dgst -sha256 and basenc --base64url */

static struct server web;

/* --- Asking */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t came = PTHREAD_COND_INITIALIZER;
enum { ANSWERS = 1024 };
static struct answer {
	bool there;
	uint16_t type;
	struct probe_result result;
	struct err failure;
	int64_t at;
} answers[ANSWERS];
static unsigned answers_n;

static void reply(void *arg, const struct frame *f)
{
	struct answer *a = &answers[f->id % ANSWERS];

	(void)arg;
	pthread_mutex_lock(&lock);
	CU_ASSERT_FALSE(a->there); /* one answer each */
	a->type = f->type;
	a->at = clock_mono();
	if (f->type == PROBE_OK)
		CU_ASSERT_TRUE(probe_result_get(f->body, &a->result, &a->failure)) /* clean, too */
	else
		CU_ASSERT_TRUE(failure_get(f->body, &a->failure));
	a->there = true;
	answers_n++;
	pthread_cond_broadcast(&came);
	pthread_mutex_unlock(&lock);
}

static struct probe *prober(const char *networks, int timeout_ms)
{
	static char resolver[32];
	struct probe *p = NULL;
	struct err e = { 0 };

	snprintf(resolver, sizeof resolver, "127.0.0.1:%u", zone_port);
	memset(answers, 0, sizeof answers);
	answers_n = 0;
	zone_clear();
	zone_a("web.test", "127.0.0.1");
	web.serve = NULL;
	if (!probe_new(&p, &(struct probe_config){ .resolver = resolver, .trust_anchors = "none", .networks = networks,
	                                           .http_port = web.port, .tls_alpn_port = web.port, .caa_identity = "ca.hospital.example",
	                                           .timeout_ms = timeout_ms, .reply = reply }, &e) ||
	    !probe_start(p, &e)) {
		CU_FAIL_FATAL("no prober");
		printf("%s\n", e.text);
	}
	return p;
}

static void feed(struct probe *p, uint64_t id, const struct probe_ask *q, int64_t deadline)
{
	AUTO_BUF body = { 0 };

	probe_ask_put(&body, q);
	probe_feed(p, &(struct frame){ .type = PROBE_VALIDATE, .id = id, .deadline = deadline, .body = span_of(&body) });
}

static bool wait_for(uint64_t id, int ms)
{
	struct timespec until;
	bool there;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&lock);
	while (!answers[id % ANSWERS].there && pthread_cond_timedwait(&came, &lock, &until) == 0)
		;
	there = answers[id % ANSWERS].there;
	pthread_mutex_unlock(&lock);
	return there;
}

static struct probe_ask errand(enum probe_method m, const char *name)
{
	struct probe_ask q = { .method = m, .token = TOKEN, .key_authorization = KEY_AUTHORIZATION, .account_uri = "https://ca.test/acme/acct/7" };
	struct in6_addr a;

	snprintf(q.name, sizeof q.name, "%s", name);
	q.ip = inet_pton(AF_INET, name, &a) == 1 || inet_pton(AF_INET6, name, &a) == 1;
	return q;
}

static const struct probe_result *run(struct probe *p, const struct probe_ask *q)
{
	static uint64_t next = 1;
	static struct probe_result none;
	uint64_t id = next++;
	struct answer *a = &answers[id % ANSWERS];

	a->there = false;
	feed(p, id, q, 0);
	if (!wait_for(id, 20000) || a->type != PROBE_OK) {
		printf("no result: %s\n", a->failure.text);
		CU_FAIL("no result");
		return &none;
	}
	return &a->result;
}

static const struct probe_result *go(struct probe *p, enum probe_method m, const char *name)
{
	struct probe_ask q = errand(m, name);

	return run(p, &q);
}

static void wanted(const struct probe_result *r, enum probe_problem problem, bool again, const char *words, int line)
{
	bool right = r->problem == problem && r->again == again && (words == NULL || strstr(r->detail, words) != NULL) &&
	             (problem == PROBE_GOOD) == (r->detail[0] == 0);

	if (!right)
		printf("line %d: problem %d again %d detail '%s' evidence '%s'\n", line, r->problem, r->again, r->detail, r->evidence);
	CU_ASSERT_TRUE(right);
}
#define WANTED(r, problem, again, words) wanted(r, problem, again, words, __LINE__)

/* --- http-01 */

static void serve_text(int fd, void *arg)
{
	read_head(fd, web.request, sizeof web.request);
	say_ok(fd, arg);
}

static void serve_raw(int fd, void *arg)
{
	read_head(fd, web.request, sizeof web.request);
	say(fd, arg);
}

static void web_says(serve_one *serve, const void *text)
{
	web.arg = (void *)(uintptr_t)text;
	web.serve = serve;
}

static void test_http__ACME_30(void)
{
	struct probe *p = prober("127.0.0.0/8", 0);
	const struct probe_result *r;
	char head[128];

	web_says(serve_text, KEY_AUTHORIZATION " \t\r\n\n");
	r = go(p, PROBE_HTTP_01, "web.test");
	WANTED(r, PROBE_GOOD, false, NULL);
	CU_ASSERT_STRING_EQUAL(r->address, "127.0.0.1");
	CU_ASSERT_STRING_EQUAL(r->evidence, "method=http-01 dns=127.0.0.1 address=127.0.0.1 redirects=0");
	CU_ASSERT_EQUAL(strncmp(web.request, "GET /.well-known/acme-challenge/" TOKEN " HTTP/1.1\r\n", 56), 0);
	snprintf(head, sizeof head, "\r\nHost: web.test:%u\r\n", web.port);
	CU_ASSERT_PTR_NOT_NULL(strstr(web.request, head));
	CU_ASSERT_PTR_NULL(strcasestr(web.request, "cookie"));
	CU_ASSERT_PTR_NULL(strcasestr(web.request, "authorization:"));
	probe_free(p);
}

static void test_http_addresses__ACME_34(void)
{
	struct probe *p = prober("127.0.0.0/8 ::1", 0);
	char head[128];

	web_says(serve_text, KEY_AUTHORIZATION);
	WANTED(go(p, PROBE_HTTP_01, "127.0.0.1"), PROBE_GOOD, false, NULL);
	snprintf(head, sizeof head, "\r\nHost: 127.0.0.1:%u\r\n", web.port);
	CU_ASSERT_PTR_NOT_NULL(strstr(web.request, head));
	if (web.fd[1] >= 0) {
		WANTED(go(p, PROBE_HTTP_01, "::1"), PROBE_GOOD, false, NULL);
		snprintf(head, sizeof head, "\r\nHost: [::1]:%u\r\n", web.port);
		CU_ASSERT_PTR_NOT_NULL(strstr(web.request, head));
	}
	CU_ASSERT_EQUAL(zone_asked, 0);
	WANTED(go(p, PROBE_DNS_01, "127.0.0.1"), PROBE_UNAUTHORIZED, false, "RFC 8738");
	probe_free(p);
}

static void test_http_wrong_answers__ACME_13__ACME_30(void)
{
	static const struct {
		const char *answer, *words;
		bool again;
	} rows[] = {
		{ "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno", "answers with \"no\"", false },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "empty body", false },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n\033[2J\xff", "\\x1b[2J\\xff", false },
		{ "HTTP/1.1 200 OK\r\n\r\n" TOKEN ".AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "another account's key", false },
		{ "HTTP/1.1 200 OK\r\n\r\n" KEY_AUTHORIZATION "x", "another account's key", false },
		{ "HTTP/1.1 200 OK\r\n\r\n " KEY_AUTHORIZATION, "is expected", false },
		{ "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "status 404; 200 is expected", false },
		{ "HTTP/1.1 206 Partial\r\n\r\n" KEY_AUTHORIZATION, "status 206", false },
		{ "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", "status 302", false },
		{ "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "status 503", true },
		{ "220 mail.test ESMTP\r\n", "HTTP/1.1", false },
	};
	struct probe *p = prober("127.0.0.0/8", 0);

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		web_says(serve_raw, rows[i].answer);
		WANTED(go(p, PROBE_HTTP_01, "web.test"), PROBE_INCORRECT_RESPONSE, rows[i].again, rows[i].words);
	}
	probe_free(p);
}

static void serve_endless(int fd, void *arg)
{
	char block[4096];

	read_head(fd, web.request, sizeof web.request);
	say(fd, arg);
	memset(block, 'a', sizeof block);
	while (send(fd, block, sizeof block, MSG_NOSIGNAL) > 0)
		;
}

static void test_http_endless_answers__ACME_30(void)
{
	struct probe *p = prober("127.0.0.0/8", 0);
	char exactly[4200];

	web_says(serve_endless, "HTTP/1.1 200 OK\r\n\r\n");
	WANTED(go(p, PROBE_HTTP_01, "web.test"), PROBE_INCORRECT_RESPONSE, false, "more than 4096 octets");
	web_says(serve_endless, "HTTP/1.1 200 OK\r\nX: ");
	WANTED(go(p, PROBE_HTTP_01, "web.test"), PROBE_INCORRECT_RESPONSE, false, NULL);
	/* The last octet that fits does. */
	memset(exactly, ' ', sizeof exactly);
	memcpy(exactly, KEY_AUTHORIZATION, strlen(KEY_AUTHORIZATION));
	exactly[4096] = 0;
	web_says(serve_text, exactly);
	WANTED(go(p, PROBE_HTTP_01, "web.test"), PROBE_GOOD, false, NULL);
	exactly[4096] = ' ';
	exactly[4097] = 0;
	WANTED(go(p, PROBE_HTTP_01, "web.test"), PROBE_INCORRECT_RESPONSE, false, "more than 4096 octets");
	probe_free(p);
}

static void serve_silence(int fd, void *arg)
{
	char c;

	(void)arg;
	while (recv(fd, &c, 1, 0) > 0)
		;
}

static void serve_drip(int fd, void *arg)
{
	read_head(fd, web.request, sizeof web.request);
	say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n");
	(void)arg;
	for (int i = 0; i < 400 && send(fd, "a", 1, MSG_NOSIGNAL) == 1; i++)
		usleep(50000);
}

static void serve_nothing(int fd, void *arg)
{
	(void)arg;
	(void)!recv(fd, web.request, sizeof web.request, 0);
}

static void test_http_slow_and_silent__ACME_30(void)
{
	struct probe *p = prober("127.0.0.0/8", 1500);
	int64_t began = clock_mono();

	web_says(serve_silence, NULL);
	WANTED(go(p, PROBE_HTTP_01, "web.test"), PROBE_CONNECTION, true, "has not answered within");
	web_says(serve_drip, NULL);
	WANTED(go(p, PROBE_HTTP_01, "web.test"), PROBE_CONNECTION, true, "has not answered within");
	CU_ASSERT_TRUE(clock_mono() - began < 15 * US_PER_SECOND);
	web_says(serve_nothing, NULL);
	WANTED(go(p, PROBE_HTTP_01, "web.test"), PROBE_CONNECTION, true, "closes the connection");
	probe_free(p);
}

static void test_http_closed_port__ACME_13(void)
{
	struct probe *p = prober("127.0.0.0/8", 0);

	zone_a("closed.test", "127.0.0.9");
	web_says(serve_text, KEY_AUTHORIZATION);
	WANTED(go(p, PROBE_HTTP_01, "closed.test"), PROBE_CONNECTION, true, "refuses the connection");
	/* Another address of the same name is tried. */
	zone_a("both.test", "127.0.0.9");
	zone_a("both.test", "127.0.0.1");
	WANTED(go(p, PROBE_HTTP_01, "both.test"), PROBE_GOOD, false, NULL);
	probe_free(p);
}

/* --- Redirects */

static int redirects_left;

static void serve_redirects(int fd, void *arg)
{
	AUTO_BUF b = { 0 };

	read_head(fd, web.request, sizeof web.request);
	if (redirects_left == 0) {
		say_ok(fd, KEY_AUTHORIZATION);
		return;
	}
	redirects_left--;
	buf_printf(&b, "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: %s\r\n\r\n", (const char *)arg);
	say(fd, buf_str(&b));
}

static const struct probe_result *redirected(struct probe *p, const char *to, int times)
{
	redirects_left = times;
	web_says(serve_redirects, to);
	return go(p, PROBE_HTTP_01, "web.test");
}

static void test_redirects__ACME_30(void)
{
	struct probe *p = prober("127.0.0.0/8", 0);
	const struct probe_result *r;
	char to[128];

	zone_a("other.test", "127.0.0.1");
	WANTED(redirected(p, "/elsewhere", 1), PROBE_GOOD, false, NULL);
	CU_ASSERT_EQUAL(strncmp(web.request, "GET /elsewhere ", 15), 0);
	snprintf(to, sizeof to, "http://OTHER.test:%u/x?y=z", web.port);
	r = redirected(p, to, 1);
	WANTED(r, PROBE_GOOD, false, NULL);
	CU_ASSERT_PTR_NOT_NULL(strstr(r->evidence, "redirects=1 last=other.test"));
	CU_ASSERT_PTR_NULL(strstr(r->evidence, TOKEN));
	WANTED(redirected(p, "/again", 10), PROBE_GOOD, false, NULL);
	WANTED(redirected(p, "/again", 11), PROBE_INCORRECT_RESPONSE, false, "more than 10 redirects");
	WANTED(redirected(p, "/for-ever", 1 << 30), PROBE_INCORRECT_RESPONSE, false, "more than 10 redirects");
	CU_ASSERT_EQUAL((1 << 30) - redirects_left, 11);
	probe_free(p);
}

static void test_redirects_that_lead_astray__ACME_30__ACME_31(void)
{
	static const struct {
		const char *to, *words;
	} rows[] = {
		{ "file:///etc/passwd", "neither http nor https" },
		{ "ftp://web.test/x", "neither http nor https" },
		{ "gopher://127.0.0.1:6379/_x", "neither http nor https" },
		{ "http://web.test:22/", "port 22" },
		{ "https://web.test:8443/", "port 8443" },
		{ "http://user:secret@web.test/", "a user" },
	};
	static const struct {
		const char *host, *words;
	} fenced[] = {
		{ "169.254.169.254", "a metadata service" }, { "2852039166", "a metadata service" }, { "0xa9fea9fe", "a metadata service" },
		{ "0251.0376.0251.0376", "a metadata service" }, { "[fd00:ec2::254]", "a metadata service" },
		{ "[::ffff:169.254.169.254]", "a metadata service" }, { "[64:ff9b::a9fe:a9fe]", "a metadata service" },
		{ "[2002:a9fe:a9fe::1]", "a metadata service" }, { "0.0.0.0", "unspecified" }, { "[::]", "unspecified" }, { "10.0.0.1", "private" },
		{ "224.0.0.1", "multicast" }, { "metadata.test", "a metadata service" }, { "198.51.100.7", "for documentation" },
		{ "8.8.8.8", "public" },
	};
	struct probe *p = prober("127.0.0.0/8", 0);
	char to[128];

	zone_a("metadata.test", "169.254.169.254");
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		WANTED(redirected(p, rows[i].to, 1), PROBE_INCORRECT_RESPONSE, false, rows[i].words);
	for (size_t i = 0; i < COUNT_OF(fenced); i++) {
		snprintf(to, sizeof to, "http://%s:%u/", fenced[i].host, web.port);
		WANTED(redirected(p, to, 1), PROBE_UNAUTHORIZED, false, fenced[i].words);
	}
	probe_free(p);
}

static void serve_secret(int fd, void *arg)
{
	if (redirects_left == 0) {
		read_head(fd, web.request, sizeof web.request);
		say_ok(fd, "admin:hunter2");
		return;
	}
	serve_redirects(fd, arg);
}

/* Whoever sends the prober somewhere does not hear what is there. */
static void test_a_redirect_reads_nothing_out__ACME_31(void)
{
	struct probe *p = prober("127.0.0.0/8", 0);
	const struct probe_result *r;

	redirects_left = 1;
	web_says(serve_secret, "/private");
	r = go(p, PROBE_HTTP_01, "web.test");
	WANTED(r, PROBE_INCORRECT_RESPONSE, false, "where a redirect leads");
	CU_ASSERT_PTR_NULL(strstr(r->detail, "hunter2"));
	CU_ASSERT_PTR_NULL(strstr(r->evidence, "hunter2"));
	/* Its own answer helps to find the mistake. */
	redirects_left = 0;
	WANTED(go(p, PROBE_HTTP_01, "web.test"), PROBE_INCORRECT_RESPONSE, false, "hunter2");
	probe_free(p);
}

static void serve_either(int fd, void *arg);

static void serve_no_tls(int fd, void *arg)
{
	uint8_t first = 0;

	(void)!recv(fd, &first, 1, MSG_PEEK);
	redirects_left = 1;
	if (first != 0x16)
		serve_redirects(fd, arg);
	else
		say(fd, "HTTP/1.1 400 Bad Request\r\n\r\n");
}

static void test_redirect_to_https__ACME_30(void)
{
	struct probe *p = prober("127.0.0.0/8", 0);
	char to[64];

	/* Any certificate will do; a port that does not speak TLS will not. */
	snprintf(to, sizeof to, "https://web.test:%u/y", web.port);
	web_says(serve_either, to);
	WANTED(go(p, PROBE_HTTP_01, "web.test"), PROBE_GOOD, false, NULL);
	web_says(serve_no_tls, to);
	WANTED(go(p, PROBE_HTTP_01, "web.test"), PROBE_TLS, true, "TLS handshake");
	probe_free(p);
}

static void test_no_proxy_from_the_environment__ACME_31(void)
{
	struct probe *p;

	setenv("http_proxy", "http://127.0.0.9:1", 1);
	setenv("ALL_PROXY", "http://127.0.0.9:1", 1);
	p = prober("127.0.0.0/8", 0);
	web_says(serve_text, KEY_AUTHORIZATION);
	WANTED(go(p, PROBE_HTTP_01, "web.test"), PROBE_GOOD, false, NULL);
	unsetenv("http_proxy");
	unsetenv("ALL_PROXY");
	probe_free(p);
}

/* --- The fence */

static void test_fenced_names__ACME_31(void)
{
	struct probe *p = prober("private", 0);
	unsigned before = web.connections;

	web_says(serve_text, KEY_AUTHORIZATION);
	WANTED(go(p, PROBE_HTTP_01, "web.test"), PROBE_UNAUTHORIZED, false, "127.0.0.1, which is loopback: acme.networks");
	WANTED(go(p, PROBE_TLS_ALPN_01, "web.test"), PROBE_UNAUTHORIZED, false, "loopback");
	WANTED(go(p, PROBE_HTTP_01, "127.0.0.1"), PROBE_UNAUTHORIZED, false, "loopback");
	WANTED(go(p, PROBE_HTTP_01, "::1"), PROBE_UNAUTHORIZED, false, "loopback");
	CU_ASSERT_EQUAL(web.connections, before);
	probe_free(p);
}

static void test_one_of_two_addresses_is_allowed__ACME_31(void)
{
	struct probe *p = prober("127.0.0.1/32", 0);

	web_says(serve_text, KEY_AUTHORIZATION);
	zone_a("two.test", "169.254.169.254");
	zone_a("two.test", "10.1.2.3");
	zone_a("two.test", "127.0.0.1");
	WANTED(go(p, PROBE_HTTP_01, "two.test"), PROBE_GOOD, false, NULL);
	probe_free(p);
}

static void test_rebinding__ACME_31(void)
{
	struct probe *p = prober("127.0.0.1/32", 0);
	const struct probe_result *r;
	char to[64];

	/* An address that changes between two look-ups of one errand: the redirect asks, and judges, again. */
	zone_a("rebind.test", "127.0.0.1")->only_nth = 1;
	zone_a("rebind.test", "169.254.169.254")->only_nth = 2;
	snprintf(to, sizeof to, "http://rebind.test:%u/x", web.port);
	redirects_left = 1;
	web_says(serve_redirects, to);
	r = go(p, PROBE_HTTP_01, "rebind.test");
	WANTED(r, PROBE_UNAUTHORIZED, false, "169.254.169.254");
	CU_ASSERT_EQUAL(zone_count("rebind.test", 1), 2);
	probe_free(p);
}

static void test_fence_is_reloaded__ACME_31(void)
{
	struct probe *p = prober("private", 0);
	char resolver[32];
	struct err e;
	struct probe_config c = { .resolver = resolver, .trust_anchors = "none", .networks = "127.0.0.0/8", .http_port = web.port,
		                  .tls_alpn_port = web.port, .caa_identity = "x" };

	snprintf(resolver, sizeof resolver, "127.0.0.1:%u", zone_port);
	web_says(serve_text, KEY_AUTHORIZATION);
	WANTED(go(p, PROBE_HTTP_01, "web.test"), PROBE_UNAUTHORIZED, false, "loopback");
	CU_ASSERT_TRUE(probe_configure(p, &c, &e));
	WANTED(go(p, PROBE_HTTP_01, "web.test"), PROBE_GOOD, false, NULL);
	c.networks = "loopback";
	CU_ASSERT_FALSE(probe_configure(p, &c, &e));
	WANTED(go(p, PROBE_HTTP_01, "web.test"), PROBE_GOOD, false, NULL);
	probe_free(p);
}

/* --- dns-01 */

static void test_digest__ACME_32(void)
{
	uint8_t digest[32];
	AUTO_BUF text = { 0 };

	EVP_Digest(KEY_AUTHORIZATION, strlen(KEY_AUTHORIZATION), digest, NULL, EVP_sha256(), NULL);
	b64url_put(&text, digest, 32);
	if (strcmp(buf_str(&text), txt_value) != 0)
		printf("digest %s\n", buf_str(&text));
	CU_ASSERT_STRING_EQUAL(buf_str(&text), txt_value);
}

static void test_txt__ACME_32__ACME_35(void)
{
	struct probe *p = prober("private", 0);
	struct probe_ask q = errand(PROBE_DNS_01, "device.test");
	const struct probe_result *r;
	uint8_t parts[80] = { 20 };

	q.wildcard = true; /* the base name's record serves the wildcard */
	zone_txt("_acme-challenge.device.test", "somebody else's");
	zone_txt("_acme-challenge.device.test", txt_value);
	zone_txt("_acme-challenge.device.test", "and another's");
	r = run(p, &q);
	WANTED(r, PROBE_GOOD, false, NULL);
	CU_ASSERT_STRING_EQUAL(r->evidence, "method=dns-01 dns=3-TXT address=none redirects=0");
	/* Two character-strings are one text. */
	memcpy(parts + 1, txt_value, 20);
	parts[21] = 23;
	memcpy(parts + 22, txt_value + 20, 23);
	zone_put("_acme-challenge.parts.test", 16, ZONE_RECORD, parts, 45);
	WANTED(go(p, PROBE_DNS_01, "parts.test"), PROBE_GOOD, false, NULL);
	zone_txt("_acme-challenge.wrong.test", "nothing \"of\" the kind\n");
	WANTED(go(p, PROBE_DNS_01, "wrong.test"), PROBE_INCORRECT_RESPONSE, false, "nothing \\x22of\\x22 the kind\\x0a");
	zone_a("_acme-challenge.a.test", "10.0.0.1");
	WANTED(go(p, PROBE_DNS_01, "a.test"), PROBE_INCORRECT_RESPONSE, false, "has no TXT record");
	probe_free(p);
}

static void test_txt_behind_aliases__ACME_32(void)
{
	struct probe *p = prober("private", 0);
	char from[32], to[32];

	for (int i = 0; i < 9; i++) {
		snprintf(from, sizeof from, "c%d.test", i);
		snprintf(to, sizeof to, "c%d.test", i + 1);
		zone_cname(from, to);
	}
	zone_txt("c9.test", txt_value);
	zone_cname("_acme-challenge.eight.test", "c2.test");
	WANTED(go(p, PROBE_DNS_01, "eight.test"), PROBE_GOOD, false, NULL);
	zone_cname("_acme-challenge.nine.test", "c1.test");
	WANTED(go(p, PROBE_DNS_01, "nine.test"), PROBE_DNS, true, "more than 8 aliases");
	zone_cname("_acme-challenge.loop.test", "l1.test");
	zone_cname("l1.test", "_acme-challenge.loop.test");
	WANTED(go(p, PROBE_DNS_01, "loop.test"), PROBE_DNS, true, NULL);
	probe_free(p);
}

static void test_dns_that_fails__ACME_13__ACME_32(void)
{
	struct probe *p = prober("127.0.0.0/8", 2500);

	web_says(serve_text, KEY_AUTHORIZATION);
	WANTED(go(p, PROBE_DNS_01, "absent.test"), PROBE_DNS, false, "NXDOMAIN");
	WANTED(go(p, PROBE_HTTP_01, "absent.test"), PROBE_DNS, false, "no address");
	WANTED(go(p, PROBE_TLS_ALPN_01, "absent.test"), PROBE_DNS, false, "no address");
	zone_put("_acme-challenge.servfail.test", 0, ZONE_SERVFAIL, NULL, 0);
	WANTED(go(p, PROBE_DNS_01, "servfail.test"), PROBE_DNS, true, "SERVFAIL");
	zone_put("servfail.test", 0, ZONE_SERVFAIL, NULL, 0);
	WANTED(go(p, PROBE_HTTP_01, "servfail.test"), PROBE_DNS, true, "SERVFAIL");
	zone_put("silent.test", 0, ZONE_SILENT, NULL, 0);
	WANTED(go(p, PROBE_HTTP_01, "silent.test"), PROBE_DNS, true, "no answer");
	/* One family that fails does not take away the other. */
	zone_a("half.test", "127.0.0.1");
	zone_put("half.test", 28, ZONE_SERVFAIL, NULL, 0);
	WANTED(go(p, PROBE_HTTP_01, "half.test"), PROBE_GOOD, false, NULL);
	probe_free(p);
}

static void test_nothing_is_remembered__ACME_32(void)
{
	struct probe *p = prober("127.0.0.0/8", 2500);
	struct zone *z;

	web_says(serve_text, KEY_AUTHORIZATION);
	/* Each is mended in the moment of its failure. */
	WANTED(go(p, PROBE_DNS_01, "late.test"), PROBE_DNS, false, "NXDOMAIN");
	zone_txt("_acme-challenge.late.test", "stale");
	WANTED(go(p, PROBE_DNS_01, "late.test"), PROBE_INCORRECT_RESPONSE, false, "stale");
	zone_txt("_acme-challenge.late.test", txt_value);
	WANTED(go(p, PROBE_DNS_01, "late.test"), PROBE_GOOD, false, NULL);
	z = zone_put("mended.test", 0, ZONE_SERVFAIL, NULL, 0);
	WANTED(go(p, PROBE_HTTP_01, "mended.test"), PROBE_DNS, true, "SERVFAIL");
	pthread_mutex_lock(&zone_lock);
	z->name[0] = 0;
	pthread_mutex_unlock(&zone_lock);
	zone_a("mended.test", "127.0.0.9");
	WANTED(go(p, PROBE_HTTP_01, "mended.test"), PROBE_CONNECTION, true, "127.0.0.9");
	pthread_mutex_lock(&zone_lock);
	(void)inet_pton(AF_INET, "127.0.0.1", zone[zone_n - 1].rdata.p);
	pthread_mutex_unlock(&zone_lock);
	WANTED(go(p, PROBE_HTTP_01, "mended.test"), PROBE_GOOD, false, NULL);
	zone_a("empty.test", "127.0.0.1");
	WANTED(go(p, PROBE_DNS_01, "empty.test"), PROBE_DNS, false, "NXDOMAIN");
	zone_put("_acme-challenge.empty.test", 1, ZONE_NOTHING, NULL, 0);
	WANTED(go(p, PROBE_DNS_01, "empty.test"), PROBE_INCORRECT_RESPONSE, false, "has no TXT");
	zone_txt("_acme-challenge.empty.test", txt_value);
	WANTED(go(p, PROBE_DNS_01, "empty.test"), PROBE_GOOD, false, NULL);
	/* A silent forwarder is not held against the next one. */
	z = zone_put("silent.test", 0, ZONE_SILENT, NULL, 0);
	for (int i = 0; i < 3; i++)
		WANTED(go(p, PROBE_HTTP_01, "silent.test"), PROBE_DNS, true, "no answer");
	WANTED(go(p, PROBE_HTTP_01, "web.test"), PROBE_GOOD, false, NULL);
	probe_free(p);
}

static void test_tcp_when_truncated__ACME_32(void)
{
	struct probe *p = prober("private", 0);

	zone_txt("_acme-challenge.big.test", txt_value);
	for (int i = 0; i < 60; i++)
		zone_txt("_acme-challenge.big.test", "eight hundred octets are more than a datagram of the old kind has room for");
	zone_truncates = true;
	WANTED(go(p, PROBE_DNS_01, "big.test"), PROBE_GOOD, false, NULL);
	CU_ASSERT_TRUE(zone_by_tcp >= 1);
	probe_free(p);
}

/* --- DNSSEC: signed.test, with one key of algorithm 13 (RFC 6605), is what the trust anchor names */

static EVP_PKEY *zone_key;
static unsigned zone_key_tag;
static bool zone_lies;

static int by_rdata(const void *a, const void *b)
{
	const struct zone *x = *(struct zone *const *)a, *y = *(struct zone *const *)b;
	int c = memcmp(x->rdata.p, y->rdata.p, x->rdata.n < y->rdata.n ? x->rdata.n : y->rdata.n);

	return c != 0 ? c : (int)x->rdata.n - (int)y->rdata.n;
}

static void put32(struct buf *b, uint32_t v)
{
	put16(b, v >> 16);
	put16(b, v & 0xffff);
}

static void ecdsa_raw(uint8_t out[64], const struct buf *data)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	uint8_t der[80];
	const uint8_t *p = der;
	size_t n = sizeof der;
	ECDSA_SIG *s;

	EVP_DigestSignInit(c, NULL, EVP_sha256(), NULL, zone_key);
	EVP_DigestSign(c, der, &n, data->p, data->n);
	s = d2i_ECDSA_SIG(NULL, &p, (long)n);
	BN_bn2binpad(ECDSA_SIG_get0_r(s), out, 32);
	BN_bn2binpad(ECDSA_SIG_get0_s(s), out + 32, 32);
	ECDSA_SIG_free(s);
	EVP_MD_CTX_free(c);
}

/* RRSIG of the set (RFC 4034, 3.1, 6). */
static void sign_set(struct buf *answer, const char *owner, unsigned type, unsigned *count)
{
	struct zone *set[ZONE_MAX];
	AUTO_BUF rdata = { 0 };
	AUTO_BUF data = { 0 };
	uint8_t signature[64];
	unsigned n = 0, labels = 1;
	size_t end = strlen(owner);
	time_t now = time(NULL);

	for (unsigned i = 0; i < zone_n; i++)
		if (strcasecmp(zone[i].name, owner) == 0 && zone[i].type == type && zone[i].mode == ZONE_RECORD)
			set[n++] = &zone[i];
	if (n == 0 || end < 11 || strcasecmp(owner + end - 11, "signed.test") != 0)
		return;
	qsort(set, n, sizeof set[0], by_rdata);
	for (const char *p = owner; *p != 0; p++)
		labels += *p == '.';
	put16(&rdata, type);
	buf_byte(&rdata, 13);
	buf_byte(&rdata, (uint8_t)labels);
	put32(&rdata, 60);
	put32(&rdata, (uint32_t)now + 86400);
	put32(&rdata, (uint32_t)now - 86400);
	put16(&rdata, zone_key_tag);
	wire_name(&rdata, "signed.test");
	buf_add(&data, rdata.p, rdata.n);
	for (unsigned i = 0; i < n; i++)
		zone_record(&data, owner, type, &set[i]->rdata);
	ecdsa_raw(signature, &data);
	signature[40] ^= zone_lies && type != 48;
	buf_add(&rdata, signature, sizeof signature);
	zone_record(answer, owner, 46, &rdata);
	(*count)++;
}

/* Its DNSKEY, and the anchor's file. */
static void sign_zone(char *path)
{
	AUTO_BUF key = { 0 };
	AUTO_BUF text = { 0 };
	uint8_t point[65];
	size_t n = 0;
	uint32_t tag = 0;
	int fd = mkstemp(path);

	zone_key = zone_key != NULL ? zone_key : EVP_EC_gen("P-256");
	EVP_PKEY_get_octet_string_param(zone_key, "pub", point, sizeof point, &n);
	buf_add(&key, "\1\1\3\x0d", 4);
	buf_add(&key, point + 1, 64);
	for (size_t i = 0; i < key.n; i++)
		tag += i % 2 ? key.p[i] : (uint32_t)key.p[i] << 8;
	zone_key_tag = (tag + (tag >> 16)) & 0xffff;
	zone_put("signed.test", 48, ZONE_RECORD, key.p, key.n);
	buf_text(&text, "signed.test. IN DNSKEY 257 3 13 ");
	b64_put(&text, key.p + 4, 64, B64_ONE_LINE);
	buf_text(&text, "\n");
	CU_ASSERT_EQUAL(write(fd, text.p, text.n), (ssize_t)text.n);
	close(fd);
	zone_more = sign_set;
}

static void test_dnssec__ACME_32(void)
{
	char anchors[] = "/tmp/probe-anchors-XXXXXX", resolver[32];
	struct probe *p = prober("127.0.0.0/8 ::1", 3000);
	const struct probe_result *r;
	struct err e;

	probe_free(p);
	p = NULL;
	sign_zone(anchors);
	snprintf(resolver, sizeof resolver, "127.0.0.1:%u", zone_port);
	CU_ASSERT_TRUE_FATAL(probe_new(&p, &(struct probe_config){ .resolver = resolver, .trust_anchors = anchors, .networks = "127.0.0.0/8 ::1",
	                                                           .http_port = web.port, .tls_alpn_port = web.port, .caa_identity = "x",
	                                                           .timeout_ms = 3000, .reply = reply }, &e) && probe_start(p, &e));
	web_says(serve_text, KEY_AUTHORIZATION);
	zone_txt("_acme-challenge.a.signed.test", txt_value);
	zone_txt("_acme-challenge.a.signed.test", "another");
	zone_a("web.signed.test", "127.0.0.1");
	zone_a("web.signed.test", "::1");
	r = go(p, PROBE_DNS_01, "a.signed.test");
	WANTED(r, PROBE_GOOD, false, NULL);
	CU_ASSERT_PTR_NOT_NULL(strstr(r->evidence, "dnssec=secure"));
	r = go(p, PROBE_HTTP_01, "web.signed.test");
	WANTED(r, PROBE_GOOD, false, NULL);
	CU_ASSERT_PTR_NOT_NULL(strstr(r->evidence, "dnssec=secure"));
	/* What is not below an anchor is taken as it is. */
	zone_txt("_acme-challenge.plain.test", txt_value);
	r = go(p, PROBE_DNS_01, "plain.test");
	WANTED(r, PROBE_GOOD, false, NULL);
	CU_ASSERT_PTR_NULL(strstr(r->evidence, "dnssec"));
	/* A signature that does not hold, and then does. */
	zone_lies = true;
	WANTED(go(p, PROBE_DNS_01, "a.signed.test"), PROBE_DNS, true, "DNSSEC does not hold");
	WANTED(go(p, PROBE_HTTP_01, "web.signed.test"), PROBE_DNS, true, "DNSSEC does not hold");
	zone_lies = false;
	usleep(250000);
	WANTED(go(p, PROBE_DNS_01, "a.signed.test"), PROBE_GOOD, false, NULL);
	/* None where one must be. */
	zone_more = NULL;
	WANTED(go(p, PROBE_DNS_01, "a.signed.test"), PROBE_DNS, true, "DNSSEC does not hold");
	probe_free(p);
	unlink(anchors);
}

/* --- CAA */

static void test_caa__ACME_50(void)
{
	static const struct {
		const char *zone[6][3]; /* owner, tag, value */
		uint8_t flags;
		const char *name;
		bool wildcard, allowed;
		const char *words;
	} rows[] = {
		{ { { NULL } }, 0, "h.example.test", false, true, NULL },
		{ { { "h.example.test", "issue", "ca.hospital.example" } }, 0, "h.example.test", false, true, NULL },
		{ { { "h.example.test", "ISSUE", "  CA.hospital.example  " } }, 0, "h.example.test", false, true, NULL },
		{ { { "h.example.test", "issue", "other.example" } }, 0, "h.example.test", false, false, "other authorities" },
		{ { { "h.example.test", "issue", ";" } }, 0, "h.example.test", false, false, "other authorities" },
		{ { { "h.example.test", "issue", "" } }, 0, "h.example.test", false, false, "other authorities" },
		{ { { "h.example.test", "issue", "other.example" }, { "h.example.test", "issue", "ca.hospital.example" } }, 0, "h.example.test", false, true, NULL },
		/* The climb; the nearest set alone counts. */
		{ { { "test", "issue", "other.example" } }, 0, "h.example.test", false, false, "at test" },
		{ { { "example.test", "issue", "ca.hospital.example" }, { "test", "issue", "other.example" } }, 0, "h.example.test", false, true, NULL },
		{ { { "example.test", "iodef", "mailto:a@b" }, { "test", "issue", "other.example" } }, 0, "h.example.test", false, true, NULL },
		/* issuewild is for wildcards, and goes before issue there. */
		{ { { "h.example.test", "issuewild", "other.example" } }, 0, "h.example.test", false, true, NULL },
		{ { { "h.example.test", "issuewild", "other.example" } }, 0, "h.example.test", true, false, "other authorities" },
		{ { { "h.example.test", "issue", "other.example" } }, 0, "h.example.test", true, false, "other authorities" },
		{ { { "h.example.test", "issue", "other.example" }, { "h.example.test", "issuewild", "ca.hospital.example" } }, 0, "h.example.test", true, true, NULL },
		{ { { "h.example.test", "issue", "ca.hospital.example" }, { "h.example.test", "issuewild", ";" } }, 0, "h.example.test", true, false, "other authorities" },
		/* What is critical must be understood. */
		{ { { "h.example.test", "tbs", "x" } }, 128, "h.example.test", false, false, "critical" },
		{ { { "h.example.test", "tbs", "x" } }, 0, "h.example.test", false, true, NULL },
		{ { { "h.example.test", "issue", "ca.hospital.example" } }, 128, "h.example.test", false, true, NULL },
		{ { { "h.example.test", "issue", "ca.hospital.example" }, { "h.example.test", "iodef", "mailto:a@b" } }, 128, "h.example.test", false, true, NULL },
		/* RFC 8657. */
		{ { { "h.example.test", "issue", "ca.hospital.example; accounturi=https://ca.test/acme/acct/7" } }, 0, "h.example.test", false, true, NULL },
		{ { { "h.example.test", "issue", "ca.hospital.example; accounturi=https://ca.test/acme/acct/8" } }, 0, "h.example.test", false, false, "accounturi" },
		{ { { "h.example.test", "issue", "ca.hospital.example; accounturi=https://ca.test/acme/acct/7; accounturi=https://ca.test/acme/acct/7" } }, 0, "h.example.test", false, false, "accounturi" },
		{ { { "h.example.test", "issue", "ca.hospital.example; validationmethods=dns-01,http-01" } }, 0, "h.example.test", false, true, NULL },
		{ { { "h.example.test", "issue", "ca.hospital.example;validationmethods=dns-01" } }, 0, "h.example.test", false, false, "validationmethods" },
		{ { { "h.example.test", "issue", "ca.hospital.example; validationmethods=" } }, 0, "h.example.test", false, false, "validationmethods" },
		{ { { "h.example.test", "issue", "ca.hospital.example; colour=red;" } }, 0, "h.example.test", false, true, NULL },
		{ { { "h.example.test", "issue", "ca.hospital.example; colour" } }, 0, "h.example.test", false, false, "malformed" },
	};
	struct probe *p = prober("127.0.0.0/8", 0);

	web_says(serve_text, KEY_AUTHORIZATION);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct probe_ask q = errand(PROBE_HTTP_01, rows[i].name);
		const struct probe_result *r;

		zone_clear();
		zone_a(rows[i].name, "127.0.0.1");
		for (int k = 0; k < 6 && rows[i].zone[k][0] != NULL; k++)
			zone_caa(rows[i].zone[k][0], rows[i].flags, rows[i].zone[k][1], rows[i].zone[k][2]);
		q.caa = true;
		q.wildcard = rows[i].wildcard;
		r = run(p, &q);
		if ((r->problem == PROBE_GOOD) != rows[i].allowed)
			printf("row %zu: ", i);
		WANTED(r, rows[i].allowed ? PROBE_GOOD : PROBE_CAA, false, rows[i].words);
	}
	probe_free(p);
}

static void test_caa_not_asked_and_not_answered__ACME_50(void)
{
	struct probe *p = prober("127.0.0.0/8", 2500);
	struct probe_ask q = errand(PROBE_HTTP_01, "h.example.test");

	web_says(serve_text, KEY_AUTHORIZATION);
	zone_a("h.example.test", "127.0.0.1");
	zone_caa("h.example.test", 0, "issue", "other.example");
	WANTED(run(p, &q), PROBE_GOOD, false, NULL);
	CU_ASSERT_EQUAL(zone_count("h.example.test", 257), 0);
	q = errand(PROBE_HTTP_01, "127.0.0.1");
	q.caa = true;
	WANTED(run(p, &q), PROBE_GOOD, false, NULL);
	/* A look-up that fails is no permission. */
	zone_clear();
	zone_a("h.example.test", "127.0.0.1");
	zone_put("h.example.test", 257, ZONE_SERVFAIL, NULL, 0);
	q = errand(PROBE_HTTP_01, "h.example.test");
	q.caa = true;
	WANTED(run(p, &q), PROBE_DNS, true, "CAA");
	zone_clear();
	zone_a("h.example.test", "127.0.0.1");
	zone_put("example.test", 257, ZONE_SILENT, NULL, 0);
	WANTED(run(p, &q), PROBE_DNS, true, "no answer");
	/* An alias at the name: the records where it leads count (RFC 8659, 3). */
	zone_clear();
	zone_cname("h.example.test", "target.test");
	zone_a("target.test", "127.0.0.1");
	zone_caa("target.test", 0, "issue", "other.example");
	WANTED(run(p, &q), PROBE_CAA, false, "other authorities");
	probe_free(p);
}

/* --- tls-alpn-01 */

static struct {
	struct alpn_cert cert;
	const char *protocol;    /* chosen; NULL: none */
	int most;                /* TLS version; 0 any */
	char sni[256], data[16];
	int data_n;
	bool served;   /* by now */
} tls;

static int choose(SSL *ssl, const unsigned char **out, unsigned char *out_n, const unsigned char *in, unsigned n, void *arg)
{
	(void)ssl;
	(void)arg;
	if (tls.protocol == NULL)
		return SSL_TLSEXT_ERR_NOACK;
	if (strcmp(tls.protocol, "alert") == 0)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	/* What was not offered is not offered back, so OpenSSL's client sees it. */
	CU_ASSERT_TRUE(n == 11 && memcmp(in, "\x0a" "acme-tls/1", 11) == 0);
	*out = (const unsigned char *)tls.protocol;
	*out_n = (unsigned char)strlen(tls.protocol);
	return SSL_TLSEXT_ERR_OK;
}

static SSL *speak_tls(int fd, SSL_CTX **ctx)
{
	X509 *x = alpn_make(&tls.cert);
	SSL *ssl;

	*ctx = SSL_CTX_new(TLS_server_method());
	SSL_CTX_use_certificate(*ctx, x);
	SSL_CTX_use_PrivateKey(*ctx, alpn_key());
	X509_free(x);
	SSL_CTX_set_alpn_select_cb(*ctx, choose, NULL);
	if (tls.most != 0) {
		SSL_CTX_set_security_level(*ctx, 0);
		SSL_CTX_set_min_proto_version(*ctx, TLS1_VERSION);
		SSL_CTX_set_max_proto_version(*ctx, tls.most);
	}
	ssl = SSL_new(*ctx);
	SSL_set_fd(ssl, fd);
	(void)SSL_accept(ssl);
	return ssl;
}

static int tls_speaks; /* connections that have not ended */

static void serve_tls(int fd, void *arg)
{
	SSL_CTX *ctx;
	SSL *ssl;

	__atomic_fetch_add(&tls_speaks, 1, __ATOMIC_SEQ_CST);
	ssl = speak_tls(fd, &ctx);

	(void)arg;
	snprintf(tls.sni, sizeof tls.sni, "%s", SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) != NULL ? SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) : "");
	tls.data_n = SSL_read(ssl, tls.data, sizeof tls.data);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	__atomic_store_n(&tls.served, true, __ATOMIC_SEQ_CST);
	__atomic_fetch_sub(&tls_speaks, 1, __ATOMIC_SEQ_CST);
}

/* What the server has seen: it ends a moment after the client. */
static const char *sni_seen(void)
{
	for (int i = 0; i < 500 && !__atomic_load_n(&tls.served, __ATOMIC_SEQ_CST); i++)
		usleep(10000);
	return tls.sni;
}

/* A redirect in plain HTTP, then the answer behind TLS, on one port. */
static void serve_either(int fd, void *arg)
{
	uint8_t first = 0;
	SSL_CTX *ctx;
	SSL *ssl;
	char head[2048];
	AUTO_BUF b = { 0 };

	(void)!recv(fd, &first, 1, MSG_PEEK);
	if (first != 0x16) {
		redirects_left = 1;
		serve_redirects(fd, arg);
		return;
	}
	tls.cert = (struct alpn_cert){ .san = "DNS:somebody.else" };
	tls.protocol = NULL;
	tls.most = 0;
	ssl = speak_tls(fd, &ctx);
	if (SSL_read(ssl, head, sizeof head) > 0) {
		buf_printf(&b, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(KEY_AUTHORIZATION), KEY_AUTHORIZATION);
		(void)SSL_write(ssl, b.p, (int)b.n);
	}
	(void)SSL_shutdown(ssl);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
}

static void tls_is(const char *san)
{
	/* The one before writes what it has seen, a moment after its client has gone. */
	for (int i = 0; i < 500 && __atomic_load_n(&tls_speaks, __ATOMIC_SEQ_CST) != 0; i++)
		usleep(10000);
	memset(&tls, 0, sizeof tls);
	tls.cert.san = san;
	tls.protocol = "acme-tls/1";
	EVP_Digest(KEY_AUTHORIZATION, strlen(KEY_AUTHORIZATION), tls.cert.digest, NULL, EVP_sha256(), NULL);
	web_says(serve_tls, NULL);
}

static void test_tls_alpn__ACME_33(void)
{
	struct probe *p = prober("127.0.0.0/8", 0);
	const struct probe_result *r;

	tls_is("DNS:web.test");
	r = go(p, PROBE_TLS_ALPN_01, "web.test");
	WANTED(r, PROBE_GOOD, false, NULL);
	CU_ASSERT_STRING_EQUAL(r->evidence, "method=tls-alpn-01 dns=127.0.0.1 address=127.0.0.1 redirects=0");
	CU_ASSERT_STRING_EQUAL(sni_seen(), "web.test");
	CU_ASSERT_TRUE(tls.data_n <= 0); /* no data */
	tls_is("DNS:WEB.test");
	tls.most = TLS1_2_VERSION;
	WANTED(go(p, PROBE_TLS_ALPN_01, "web.test"), PROBE_GOOD, false, NULL);
	probe_free(p);
}

static void test_tls_alpn_of_addresses__ACME_34(void)
{
	struct probe *p = prober("127.0.0.0/8 ::1", 0);

	tls_is("IP:127.0.0.1");
	WANTED(go(p, PROBE_TLS_ALPN_01, "127.0.0.1"), PROBE_GOOD, false, NULL);
	CU_ASSERT_STRING_EQUAL(sni_seen(), "1.0.0.127.in-addr.arpa");
	tls_is("DNS:127.0.0.1");
	WANTED(go(p, PROBE_TLS_ALPN_01, "127.0.0.1"), PROBE_INCORRECT_RESPONSE, false, "iPAddress 127.0.0.1 is expected");
	if (web.fd[1] >= 0) {
		tls_is("IP:::1");
		WANTED(go(p, PROBE_TLS_ALPN_01, "::1"), PROBE_GOOD, false, NULL);
		CU_ASSERT_STRING_EQUAL(sni_seen(), "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa");
	}
	probe_free(p);
}

static void test_tls_alpn_refusals__ACME_33__ACME_13(void)
{
	struct probe *p = prober("127.0.0.0/8", 2500);
#define REFUSED(change, problem, again, words) \
	do { \
		tls_is("DNS:web.test"); \
		change; \
		WANTED(go(p, PROBE_TLS_ALPN_01, "web.test"), problem, again, words); \
	} while (0)

	REFUSED(tls.cert.san = "DNS:web.test,DNS:other.test", PROBE_INCORRECT_RESPONSE, false, "2 names");
	REFUSED(tls.cert.san = "DNS:web.test,IP:10.0.0.1", PROBE_INCORRECT_RESPONSE, false, "2 names");
	REFUSED(tls.cert.san = "DNS:other.test", PROBE_INCORRECT_RESPONSE, false, "is for other.test; dNSName web.test");
	REFUSED(tls.cert.san = NULL, PROBE_INCORRECT_RESPONSE, false, "no subjectAltName");
	REFUSED(tls.cert.not_critical = true, PROBE_INCORRECT_RESPONSE, false, "not critical");
	REFUSED(tls.cert.no_identifier = true, PROBE_INCORRECT_RESPONSE, false, "no acmeIdentifier");
	REFUSED(tls.cert.two_identifiers = true, PROBE_INCORRECT_RESPONSE, false, NULL);
	REFUSED(tls.cert.short_identifier = true, PROBE_INCORRECT_RESPONSE, false, "32 octets");
	REFUSED(tls.cert.digest[31] ^= 1, PROBE_INCORRECT_RESPONSE, false, "not the SHA-256");
	REFUSED(tls.cert.not_self_signed = true, PROBE_INCORRECT_RESPONSE, false, "not self-signed");
	REFUSED(tls.cert.other_issuer = true, PROBE_INCORRECT_RESPONSE, false, "not self-signed");
	REFUSED(tls.protocol = NULL, PROBE_TLS, false, "acme-tls/1");
	REFUSED(tls.protocol = "alert", PROBE_TLS, false, "acme-tls/1");
	REFUSED(tls.protocol = "http/1.1", PROBE_TLS, false, "acme-tls/1");
	REFUSED(tls.most = TLS1_1_VERSION, PROBE_TLS, false, "TLS 1.2");
	REFUSED(web_says(serve_no_tls, ""), PROBE_TLS, false, "TLS handshake fails");
	REFUSED(web_says(serve_nothing, NULL), PROBE_CONNECTION, true, "closes the connection");
	REFUSED(web_says(serve_silence, NULL), PROBE_CONNECTION, true, "has not answered");
	zone_a("closed.test", "127.0.0.9");
	WANTED(go(p, PROBE_TLS_ALPN_01, "closed.test"), PROBE_CONNECTION, true, "refuses the connection");
	probe_free(p);
}

/* --- Many at once */

/* One that takes connections and never reads: the kernel does it. */
static int tarpit(const char *address)
{
	uint16_t port = web.port;

	return bound(SOCK_STREAM, address, &port);
}

static void test_silent_ones_starve_nobody__ACME_30(void)
{
	enum { PITS = 50, SILENT = 200, HONEST = 20 };
	struct probe *p = prober("127.0.0.0/8", 6000);
	struct probe_ask q;
	char name[32], address[32];
	int pits[PITS];
	int64_t began = clock_mono();

	web_says(serve_text, KEY_AUTHORIZATION);
	for (int i = 0; i < PITS; i++) {
		snprintf(address, sizeof address, "127.0.1.%d", i + 1);
		snprintf(name, sizeof name, "pit%d.test", i);
		zone_a(name, address);
		pits[i] = tarpit(address);
	}
	for (int i = 0; i < SILENT; i++) {
		snprintf(name, sizeof name, "pit%d.test", i % PITS);
		q = errand(i % 2 ? PROBE_HTTP_01 : PROBE_TLS_ALPN_01, name);
		feed(p, (uint64_t)(100 + i), &q, 0);
	}
	q = errand(PROBE_HTTP_01, "web.test");
	for (int i = 0; i < HONEST; i++)
		feed(p, (uint64_t)(600 + i), &q, 0);
	for (int i = 0; i < HONEST; i++) {
		CU_ASSERT_TRUE(wait_for((uint64_t)(600 + i), 10000));
		CU_ASSERT_EQUAL(answers[600 + i].type, PROBE_OK);
		CU_ASSERT_EQUAL(answers[600 + i].result.problem, PROBE_GOOD);
		CU_ASSERT_TRUE(answers[600 + i].at - began < 5 * US_PER_SECOND); /* 200 / 64 places, each held for a second */
	}
	for (int i = 0; i < SILENT; i++) {
		CU_ASSERT_TRUE(wait_for((uint64_t)(100 + i), 20000));
		CU_ASSERT_EQUAL(answers[100 + i].type, PROBE_OK);
		CU_ASSERT_EQUAL(answers[100 + i].result.problem, PROBE_CONNECTION);
		CU_ASSERT_TRUE(answers[100 + i].result.again);
	}
	for (int i = 0; i < PITS; i++)
		close(pits[i]);
	probe_free(p);
}

static void test_too_many_at_once__ACME_30(void)
{
	enum { MANY = 500 };
	struct probe *p = prober("127.0.0.0/8", 1500);
	struct probe_ask q = errand(PROBE_HTTP_01, "pit.test");
	unsigned busy = 0;
	int pit;

	zone_a("pit.test", "127.0.2.1");
	pit = tarpit("127.0.2.1");
	for (int i = 0; i < MANY; i++)
		feed(p, (uint64_t)(1 + i), &q, 0);
	for (int i = 0; i < MANY; i++) {
		CU_ASSERT_TRUE_FATAL(wait_for((uint64_t)(1 + i), 20000)); /* each has its answer */
		if (answers[1 + i].type == PROBE_FAILED) {
			busy++;
			CU_ASSERT_EQUAL(answers[1 + i].failure.kind, ERR_BUSY);
			CU_ASSERT_TRUE(answers[1 + i].failure.retry_after > 0);
		} else {
			CU_ASSERT_EQUAL(answers[1 + i].result.problem, PROBE_CONNECTION);
		}
	}
	CU_ASSERT_TRUE(busy >= MANY - PROBE_QUEUE_MAX - PROBE_QUICK_MAX - 1);
	CU_ASSERT_TRUE(busy < MANY);
	CU_ASSERT_EQUAL(answers_n, MANY);
	/* And it goes on. */
	web_says(serve_text, KEY_AUTHORIZATION);
	WANTED(go(p, PROBE_HTTP_01, "web.test"), PROBE_GOOD, false, NULL);
	close(pit);
	probe_free(p);
}

static void test_deadlines__ACME_30(void)
{
	struct probe *p = prober("127.0.0.0/8", 5000);
	struct probe_ask q = errand(PROBE_HTTP_01, "web.test");
	int64_t began = clock_mono();

	web_says(serve_text, KEY_AUTHORIZATION);
	feed(p, 7, &q, clock_mono() - 1); /* too late: without an answer, and nobody was asked */
	CU_ASSERT_FALSE(wait_for(7, 300));
	CU_ASSERT_EQUAL(zone_asked, 0);
	web_says(serve_silence, NULL);
	feed(p, 8, &q, clock_mono() + 400000);
	CU_ASSERT_TRUE(wait_for(8, 5000));
	CU_ASSERT_EQUAL(answers[8].result.problem, PROBE_CONNECTION);
	CU_ASSERT_TRUE(answers[8].at - began < 3 * US_PER_SECOND);
	probe_free(p);
}

static void test_stop_and_reset__ACME_30(void)
{
	struct probe *p = prober("127.0.0.0/8", 8000);
	struct probe_ask q = errand(PROBE_HTTP_01, "web.test");
	int64_t began = clock_mono();

	web_says(serve_silence, NULL);
	for (uint64_t i = 1; i <= 100; i++)
		feed(p, i, &q, 0);
	usleep(200000);
	probe_reset(p); /* who asked is gone */
	for (uint64_t i = 201; i <= 300; i++)
		feed(p, i, &q, 0);
	usleep(200000);
	probe_free(p);
	CU_ASSERT_TRUE(clock_mono() - began < 5 * US_PER_SECOND);
	CU_ASSERT_EQUAL(answers_n, 100);
	for (int i = 201; i <= 300; i++) {
		CU_ASSERT_TRUE(answers[i].there);
		CU_ASSERT_EQUAL(answers[i].type, PROBE_FAILED);
		CU_ASSERT_EQUAL(answers[i].failure.kind, ERR_BUSY);
	}
}

static void test_malformed_errands__ACME_30(void)
{
	static const char *const names[] = { "", "a b.test", "a/b.test", "-x", "a..b", "a.test:80", "user@a.test", "a.test\r\nX: y", "[::1]" };
	struct probe *p = prober("127.0.0.0/8", 1000);
	struct probe_ask q;

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		q = errand(PROBE_HTTP_01, names[i]);
		feed(p, 1 + i, &q, 0);
		CU_ASSERT_TRUE(wait_for(1 + i, 5000));
		CU_ASSERT_TRUE(answers[1 + i].type == PROBE_FAILED || answers[1 + i].result.problem == PROBE_DNS);
	}
	q = errand(PROBE_HTTP_01, "web.test");
	strcpy(q.token, "../../etc");
	feed(p, 50, &q, 0);
	CU_ASSERT_TRUE(wait_for(50, 5000) && answers[50].type == PROBE_FAILED);
	probe_feed(p, &(struct frame){ .type = PROBE_VALIDATE, .id = 51, .body = { (const uint8_t *)"x", 1 } });
	CU_ASSERT_TRUE(wait_for(51, 5000) && answers[51].type == PROBE_FAILED && answers[51].failure.kind == ERR_BAD_REQUEST);
	probe_feed(p, &(struct frame){ .type = PROBE_OK, .id = 52, .body = { NULL, 0 } });
	CU_ASSERT_TRUE(wait_for(52, 5000) && answers[52].type == PROBE_FAILED);
	probe_free(p);
}

static void test_counts__ACME_30(void)
{
	char resolver[32];
	AUTO_BUF lines = { 0 };
	struct probe *p = prober("127.0.0.0/8", 0);
	struct metrics *m = metrics_new();
	struct err e;

	probe_free(p);
	snprintf(resolver, sizeof resolver, "127.0.0.1:%u", zone_port);
	CU_ASSERT_TRUE_FATAL(probe_new(&p, &(struct probe_config){ .resolver = resolver, .trust_anchors = "none", .networks = "127.0.0.0/8",
	                                                           .http_port = web.port, .tls_alpn_port = web.port, .caa_identity = "x",
	                                                           .reply = reply, .metrics = m }, &e) && probe_start(p, &e));
	web_says(serve_text, KEY_AUTHORIZATION);
	WANTED(go(p, PROBE_HTTP_01, "web.test"), PROBE_GOOD, false, NULL);
	WANTED(go(p, PROBE_DNS_01, "web.test"), PROBE_DNS, false, NULL);
	metrics_put(m, &lines);
	CU_ASSERT_PTR_NOT_NULL(strstr(buf_str(&lines), "caduceus_acme_validations_total{method=\"http-01\",result=\"valid\"} 1\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(buf_str(&lines), "caduceus_acme_validations_total{method=\"dns-01\",result=\"dns\"} 1\n"));
	probe_free(p);
	metrics_free(m);
}

/* What cannot be used is said at once. */
static void test_settings_that_are_wrong__ACME_31(void)
{
	static const struct {
		const char *resolver, *anchors, *networks;
	} rows[] = { { "resolver.test:53", "none", "private" }, { "127.0.0.1", "none", "private" }, { "127.0.0.1:53", "/nonexistent/anchors", "private" },
		     { "127.0.0.1:53", "none", "10.0.0.1/8" }, { "127.0.0.1:53", "none", "" }, { "127.0.0.1:53", "/tmp/\"x", "private" } };

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct probe *p = NULL;
		struct err e = { 0 };

		CU_ASSERT_FALSE(probe_new(&p, &(struct probe_config){ .resolver = rows[i].resolver, .trust_anchors = rows[i].anchors,
		                                                      .networks = rows[i].networks, .http_port = 80, .tls_alpn_port = 443,
		                                                      .caa_identity = "x", .reply = reply }, &e));
		CU_ASSERT_TRUE(e.text[0] != 0);
		CU_ASSERT_PTR_NULL(p);
	}
}

__attribute__((constructor)) static void begin(void)
{
	signal(SIGPIPE, SIG_IGN);
	zone_start();
	server_start(&web);
}

static const struct cu_case cases[] = {
	{ "http__ACME_30", test_http__ACME_30 },
	{ "http_addresses__ACME_34", test_http_addresses__ACME_34 },
	{ "http_wrong_answers__ACME_13__ACME_30", test_http_wrong_answers__ACME_13__ACME_30 },
	{ "http_endless_answers__ACME_30", test_http_endless_answers__ACME_30 },
	{ "http_slow_and_silent__ACME_30", test_http_slow_and_silent__ACME_30 },
	{ "http_closed_port__ACME_13", test_http_closed_port__ACME_13 },
	{ "redirects__ACME_30", test_redirects__ACME_30 },
	{ "redirects_that_lead_astray__ACME_30__ACME_31", test_redirects_that_lead_astray__ACME_30__ACME_31 },
	{ "a_redirect_reads_nothing_out__ACME_31", test_a_redirect_reads_nothing_out__ACME_31 },
	{ "redirect_to_https__ACME_30", test_redirect_to_https__ACME_30 },
	{ "no_proxy_from_the_environment__ACME_31", test_no_proxy_from_the_environment__ACME_31 },
	{ "fenced_names__ACME_31", test_fenced_names__ACME_31 },
	{ "one_of_two_addresses_is_allowed__ACME_31", test_one_of_two_addresses_is_allowed__ACME_31 },
	{ "rebinding__ACME_31", test_rebinding__ACME_31 },
	{ "fence_is_reloaded__ACME_31", test_fence_is_reloaded__ACME_31 },
	{ "digest__ACME_32", test_digest__ACME_32 },
	{ "txt__ACME_32__ACME_35", test_txt__ACME_32__ACME_35 },
	{ "txt_behind_aliases__ACME_32", test_txt_behind_aliases__ACME_32 },
	{ "dns_that_fails__ACME_13__ACME_32", test_dns_that_fails__ACME_13__ACME_32 },
	{ "nothing_is_remembered__ACME_32", test_nothing_is_remembered__ACME_32 },
	{ "tcp_when_truncated__ACME_32", test_tcp_when_truncated__ACME_32 },
	{ "dnssec__ACME_32", test_dnssec__ACME_32 },
	{ "caa__ACME_50", test_caa__ACME_50 },
	{ "caa_not_asked_and_not_answered__ACME_50", test_caa_not_asked_and_not_answered__ACME_50 },
	{ "tls_alpn__ACME_33", test_tls_alpn__ACME_33 },
	{ "tls_alpn_of_addresses__ACME_34", test_tls_alpn_of_addresses__ACME_34 },
	{ "tls_alpn_refusals__ACME_33__ACME_13", test_tls_alpn_refusals__ACME_33__ACME_13 },
	{ "silent_ones_starve_nobody__ACME_30", test_silent_ones_starve_nobody__ACME_30 },
	{ "too_many_at_once__ACME_30", test_too_many_at_once__ACME_30 },
	{ "deadlines__ACME_30", test_deadlines__ACME_30 },
	{ "stop_and_reset__ACME_30", test_stop_and_reset__ACME_30 },
	{ "malformed_errands__ACME_30", test_malformed_errands__ACME_30 },
	{ "counts__ACME_30", test_counts__ACME_30 },
	{ "settings_that_are_wrong__ACME_31", test_settings_that_are_wrong__ACME_31 },
};

CU_MAIN(cases)
