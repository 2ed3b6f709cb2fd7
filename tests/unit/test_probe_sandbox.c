/* SPDX-License-Identifier: Apache-2.0
 *
 * Probe inside its sandbox: what an errand needs is there, and nothing that somebody who has taken it over would want. The
 * servers' threads were there before, so they stand outside. */
#include "probe/core.h"

#include "daemon/sandbox.h"
#include "tests/cu.h"
#include "tests/fake/alpn_cert.h"
#include "tests/fake/out_there.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

#define TOKEN "DGyRejmCefe7v4NfDGDKfA-ew_Q0"
#define KEY_AUTHORIZATION TOKEN ".9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"

static struct server web, elsewhere;
static struct probe *prober;
static char layers[SANDBOX_LAYERS_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t came = PTHREAD_COND_INITIALIZER;
static struct probe_result result;
static bool there;

static void reply(void *arg, const struct frame *f)
{
	(void)arg;
	pthread_mutex_lock(&lock);
	there = f->type == PROBE_OK && probe_result_get(f->body, &result, NULL);
	pthread_cond_signal(&came);
	pthread_mutex_unlock(&lock);
}

static enum probe_problem go(enum probe_method m, const char *name)
{
	struct probe_ask q = { .method = m, .token = TOKEN, .key_authorization = KEY_AUTHORIZATION };
	struct timespec until;
	AUTO_BUF body = { 0 };

	snprintf(q.name, sizeof q.name, "%s", name);
	probe_ask_put(&body, &q);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 20;
	pthread_mutex_lock(&lock);
	there = false;
	probe_feed(prober, &(struct frame){ .type = PROBE_VALIDATE, .id = 1, .body = span_of(&body) });
	while (!there && pthread_cond_timedwait(&came, &lock, &until) == 0)
		;
	pthread_mutex_unlock(&lock);
	CU_ASSERT_TRUE_FATAL(there);
	if (result.problem != PROBE_GOOD)
		printf("%s: %s\n", name, result.detail);
	return result.problem;
}

static int choose(SSL *ssl, const unsigned char **out, unsigned char *out_n, const unsigned char *in, unsigned n, void *arg)
{
	(void)ssl;
	(void)arg;
	*out = in + 1;
	*out_n = (unsigned char)(n - 1);
	return SSL_TLSEXT_ERR_OK;
}

/* Plain HTTP, or TLS as tls-alpn-01 wants it. */
static void serve(int fd, void *arg)
{
	struct alpn_cert c = { .san = "DNS:web.test" };
	uint8_t first = 0;
	char head[2048];
	SSL_CTX *ctx;
	SSL *ssl;
	X509 *x;

	(void)arg;
	(void)!recv(fd, &first, 1, MSG_PEEK);
	if (first != 0x16) {
		AUTO_BUF b = { 0 };

		read_head(fd, head, sizeof head);
		if (strstr(head, " /moved") == NULL && strstr(head, "moved.test") != NULL) {
			buf_printf(&b, "HTTP/1.1 301 Moved\r\nContent-Length: 0\r\nLocation: http://web.test:%u/moved\r\n\r\n", web.port);
			say(fd, buf_str(&b));
		} else if (strstr(head, "away.test") != NULL) {
			buf_printf(&b, "HTTP/1.1 301 Moved\r\nContent-Length: 0\r\nLocation: http://web.test:%u/x\r\n\r\n", elsewhere.port);
			say(fd, buf_str(&b));
		} else {
			say_ok(fd, KEY_AUTHORIZATION);
		}
		return;
	}
	EVP_Digest(KEY_AUTHORIZATION, strlen(KEY_AUTHORIZATION), c.digest, NULL, EVP_sha256(), NULL);
	x = alpn_make(&c);
	ctx = SSL_CTX_new(TLS_server_method());
	SSL_CTX_use_certificate(ctx, x);
	SSL_CTX_use_PrivateKey(ctx, alpn_key());
	SSL_CTX_set_alpn_select_cb(ctx, choose, NULL);
	ssl = SSL_new(ctx);
	SSL_set_fd(ssl, fd);
	(void)SSL_accept(ssl);
	(void)SSL_read(ssl, head, sizeof head);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	X509_free(x);
}

static void test_errands_inside__OPS_10__ACME_30__ACME_32__ACME_33(void)
{
	CU_ASSERT_EQUAL(go(PROBE_HTTP_01, "web.test"), PROBE_GOOD);
	CU_ASSERT_EQUAL(go(PROBE_HTTP_01, "moved.test"), PROBE_GOOD);
	CU_ASSERT_EQUAL(go(PROBE_TLS_ALPN_01, "web.test"), PROBE_GOOD);
	CU_ASSERT_EQUAL(go(PROBE_DNS_01, "web.test"), PROBE_GOOD);
	zone_truncates = true;
	CU_ASSERT_EQUAL(go(PROBE_DNS_01, "web.test"), PROBE_GOOD);
	CU_ASSERT_TRUE(zone_by_tcp != 0);
	zone_truncates = false;
	if (web.fd[1] >= 0)
		CU_ASSERT_EQUAL(go(PROBE_HTTP_01, "six.test"), PROBE_GOOD);
	/* A resolver's context that is made again in here. */
	zone_put("bad.test", 0, ZONE_SERVFAIL, NULL, 0);
	for (int i = 0; i < 5; i++) {
		usleep(150000);
		CU_ASSERT_EQUAL(go(PROBE_HTTP_01, "bad.test"), PROBE_DNS);
		CU_ASSERT_EQUAL(go(PROBE_HTTP_01, "web.test"), PROBE_GOOD);
	}
}

static void test_settings_change_inside__OPS_10__OPS_05(void)
{
	char resolver[32];
	struct err e;
	struct probe_config c = { .resolver = resolver, .trust_anchors = "none", .networks = "127.0.0.0/8 ::1", .http_port = web.port,
		                  .tls_alpn_port = web.port, .caa_identity = "x" };

	snprintf(resolver, sizeof resolver, "127.0.0.1:%u", zone_port);
	c.resolver = "system"; /* /etc/resolv.conf can be read */
	CU_ASSERT_TRUE(probe_configure(prober, &c, &e));
	CU_ASSERT_EQUAL(go(PROBE_HTTP_01, "127.0.0.1"), PROBE_GOOD);
	c.resolver = resolver;
	CU_ASSERT_TRUE(probe_configure(prober, &c, &e));
	CU_ASSERT_EQUAL(go(PROBE_HTTP_01, "web.test"), PROBE_GOOD);
}

static bool connects(int family, int kind, uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(family, kind, 0);
	bool good = fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0;

	if (fd >= 0)
		close(fd);
	return good;
}

static bool opens(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool spawns(void)
{
	pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return pid > 0;
}

static void test_taken_over_it_is_in_a_cell__OPS_10(void)
{
	struct sockaddr_in any = { .sin_family = AF_INET };
	int fd;

	if (SANITIZED)
		return;
	CU_ASSERT_PTR_NOT_NULL(strchr(layers, 's'));
	CU_ASSERT_FALSE(connects(AF_UNIX, SOCK_STREAM, 0));
	CU_ASSERT_TRUE(socket(AF_UNIX, SOCK_STREAM, 0) < 0 && errno == EPERM);
	CU_ASSERT_TRUE(socket(AF_NETLINK, SOCK_RAW, 0) < 0 && errno == EPERM);
	CU_ASSERT_TRUE(socket(AF_PACKET, SOCK_RAW, 0) < 0 && errno == EPERM);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_TRUE(fd >= 0);
	CU_ASSERT_TRUE(listen(fd, 5) != 0 && errno == EPERM);
	CU_ASSERT_TRUE(accept(fd, NULL, NULL) < 0 && errno == EPERM);
	close(fd);
	CU_ASSERT_FALSE(spawns());
	CU_ASSERT_FALSE(opens("/dev/null", O_WRONLY));
	CU_ASSERT_FALSE(opens("/tmp/probe-was-here", O_WRONLY | O_CREAT));
	CU_ASSERT_TRUE(unlink("/tmp/none") != 0 && errno == EPERM);
	CU_ASSERT_TRUE(rename("/tmp/none", "/tmp/nobody") != 0 && errno == EPERM);
	CU_ASSERT_TRUE(connects(AF_INET, SOCK_STREAM, web.port));
	if (strchr(layers, 'l') != NULL) {
		CU_ASSERT_TRUE(opens("/etc/resolv.conf", O_RDONLY));
		CU_ASSERT_FALSE(opens("/tmp", O_RDONLY | O_DIRECTORY));
		CU_ASSERT_FALSE(opens("/root", O_RDONLY | O_DIRECTORY));
		CU_ASSERT_FALSE(opens("/proc/1/status", O_RDONLY));
	}
	if (strchr(layers, 'n') != NULL) {
		/* A redirect or a mistake in the fence leads to no other port. */
		CU_ASSERT_FALSE(connects(AF_INET, SOCK_STREAM, elsewhere.port));
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		CU_ASSERT_TRUE(bind(fd, (struct sockaddr *)&any, sizeof any) != 0);
		close(fd);
	} else {
		printf("(no Landlock for the network here) ");
	}
	CU_ASSERT_EQUAL(go(PROBE_HTTP_01, "away.test"), PROBE_INCORRECT_RESPONSE);
	CU_ASSERT_EQUAL(elsewhere.connections, 0);
}

static void test_it_stops__OPS_10(void)
{
	probe_free(prober);
	prober = NULL;
}

__attribute__((constructor)) static void begin(void)
{
	struct sandbox s = { .outbound = true };
	char resolver[32];
	struct err e;

	signal(SIGPIPE, SIG_IGN);
	(void)alpn_key();
	web.serve = elsewhere.serve = serve;
	zone_start();
	server_start(&web);
	server_start(&elsewhere);
	for (size_t i = 0; i < 3; i++)
		zone_a((const char *const[]){ "web.test", "moved.test", "away.test" }[i], "127.0.0.1");
	zone_a("six.test", "::1");
	zone_txt("_acme-challenge.web.test", "3lxZm_g1DbaEbNvEBvGx8gClcCNErTMlNDdAL1aB0Eo");
	snprintf(resolver, sizeof resolver, "127.0.0.1:%u", zone_port);
	s.port[0] = web.port;
	s.port[1] = zone_port;
	if (!probe_new(&prober, &(struct probe_config){ .resolver = resolver, .trust_anchors = "none", .networks = "127.0.0.0/8 ::1",
	                                                .http_port = web.port, .tls_alpn_port = web.port, .caa_identity = "x", .reply = reply }, &e) ||
	    !sandbox_enter(&s, layers, &e) || !probe_start(prober, &e)) {
		fprintf(stderr, "%s\n", e.text);
		exit(1);
	}
}

static const struct cu_case cases[] = {
	{ "errands_inside__OPS_10__ACME_30__ACME_32__ACME_33", test_errands_inside__OPS_10__ACME_30__ACME_32__ACME_33 },
	{ "settings_change_inside__OPS_10__OPS_05", test_settings_change_inside__OPS_10__OPS_05 },
	{ "taken_over_it_is_in_a_cell__OPS_10", test_taken_over_it_is_in_a_cell__OPS_10 },
	{ "it_stops__OPS_10", test_it_stops__OPS_10 },
};

CU_MAIN(cases)
