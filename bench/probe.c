/* SPDX-License-Identifier: Apache-2.0
 *
 * CPU of an errand of probe by itself: its core in this process, a name server and a web server in another.
 * bench-probe [ERRANDS [OUTSTANDING [http-01|dns-01]]] */
#include "base/clock.h"
#include "probe/core.h"
#include "tests/fake/out_there.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#define TOKEN "DGyRejmCefe7v4NfDGDKfA-ew_Q0"
#define KEY_AUTHORIZATION TOKEN ".9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"

static struct server web;
static struct probe *prober;
static struct probe_ask ask;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;
static uint64_t fed, done, wanted, good;

static void serve(int fd, void *arg)
{
	char head[2048];

	(void)arg;
	read_head(fd, head, sizeof head);
	say_ok(fd, KEY_AUTHORIZATION);
}

static void feed(void)
{
	AUTO_BUF body = { 0 };

	probe_ask_put(&body, &ask);
	probe_feed(prober, &(struct frame){ .type = PROBE_VALIDATE, .id = ++fed, .body = span_of(&body) });
}

static void reply(void *arg, const struct frame *f)
{
	struct probe_result r;

	(void)arg;
	if (f->type == PROBE_OK && probe_result_get(f->body, &r, NULL) && r.problem == PROBE_GOOD)
		good++;
	else if (f->type == PROBE_OK)
		fprintf(stderr, "%s\n", r.detail);
	pthread_mutex_lock(&lock);
	if (++done == wanted)
		pthread_cond_signal(&ended);
	if (fed < wanted)
		feed();
	pthread_mutex_unlock(&lock);
}

static double cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* The servers' process; their ports come through a pipe. */
static pid_t start_servers(uint16_t ports[2])
{
	int pipes[2];
	pid_t pid;

	if (pipe(pipes) != 0 || (pid = fork()) < 0)
		exit(1);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGPIPE, SIG_IGN);
		zone_start();
		zone_a("web.test", "127.0.0.1");
		zone_txt("_acme-challenge.web.test", "3lxZm_g1DbaEbNvEBvGx8gClcCNErTMlNDdAL1aB0Eo");
		web.serve = serve;
		server_start(&web);
		ports[0] = zone_port;
		ports[1] = web.port;
		(void)!write(pipes[1], ports, 2 * sizeof ports[0]);
		for (;;)
			pause();
	}
	if (read(pipes[0], ports, 2 * sizeof ports[0]) != 2 * sizeof ports[0])
		exit(1);
	return pid;
}

int main(int argc, char **argv)
{
	unsigned outstanding = argc > 2 ? (unsigned)atoi(argv[2]) : 16;
	bool dns = argc > 3 && strcmp(argv[3], "dns-01") == 0;
	uint16_t ports[2];
	pid_t servers = start_servers(ports);
	char resolver[32];
	struct err e;
	int64_t began;
	double cpu;

	wanted = argc > 1 ? strtoull(argv[1], NULL, 10) : 5000;
	snprintf(resolver, sizeof resolver, "127.0.0.1:%u", ports[0]);
	ask = (struct probe_ask){ .method = dns ? PROBE_DNS_01 : PROBE_HTTP_01, .name = "web.test", .token = TOKEN, .key_authorization = KEY_AUTHORIZATION };
	if (!probe_new(&prober, &(struct probe_config){ .resolver = resolver, .trust_anchors = "none", .networks = "127.0.0.0/8",
	                                                .http_port = ports[1], .tls_alpn_port = 443, .caa_identity = "x", .reply = reply }, &e) ||
	    !probe_start(prober, &e)) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	began = clock_mono();
	cpu = cpu_us();
	pthread_mutex_lock(&lock);
	while (fed < outstanding && fed < wanted)
		feed();
	while (done < wanted)
		pthread_cond_wait(&ended, &lock);
	pthread_mutex_unlock(&lock);
	cpu = cpu_us() - cpu;
	printf("%s, %u outstanding: %llu of %llu good, %.0f per s, CPU %.1f us an errand\n", dns ? "dns-01" : "http-01", outstanding,
	       (unsigned long long)good, (unsigned long long)wanted, (double)wanted * 1e6 / (double)(clock_mono() - began), cpu / (double)wanted);
	probe_free(prober);
	kill(servers, SIGKILL);
	return good == wanted ? 0 : 1;
}
