/* SPDX-License-Identifier: Apache-2.0
 *
 * Plain HTTP, keep-alive, one thread over epoll: sends the requests of a file (each a big-endian u32 length and its
 * octets) again and again over CONNECTIONS connections, COUNT in all, and prints one JSON object.
 * usage: bench-http PORT CONNECTIONS COUNT FILE */
#include "base/clock.h"
#include "base/cursor.h"
#include "base/err.h"
#include "base/mem.h"
#include "bench/make.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 1024, ANSWER_MAX = 16384, EVENTS = 64, GIVE_UP_MS = 10000 };

struct connection {
	int fd;
	int64_t began;
	size_t n;
	char text[ANSWER_MAX];
};

static struct span *requests;
static unsigned request_n, sent, answered, bad, total;
static uint64_t octets;
static uint32_t *times;
static char first_bad[128];

static void send_next(struct connection *c)
{
	struct span r = requests[sent % request_n];

	if (sent == total)
		return;
	sent++;
	c->began = clock_mono();
	c->n = 0;
	if (send(c->fd, r.p, r.n, MSG_NOSIGNAL) != (ssize_t)r.n)
		bench_fail("send", strerror(errno));
}

static void finished(struct connection *c, int status)
{
	times[answered++] = (uint32_t)(clock_mono() - c->began);
	octets += c->n;
	if (status != 200 && bad++ == 0)
		snprintf(first_bad, sizeof first_bad, "%.*s", (int)strcspn(c->text, "\r\n\""), c->text);
	send_next(c);
}

static void receive(struct connection *c)
{
	ssize_t got = recv(c->fd, c->text + c->n, sizeof c->text - 1 - c->n, 0);
	char *body, *length;

	if (got <= 0)
		bench_fail("recv", got == 0 ? "the server hung up" : strerror(errno));
	c->n += (size_t)got;
	c->text[c->n] = 0;
	body = strstr(c->text, "\r\n\r\n");
	if (body == NULL)
		return;
	length = strcasestr(c->text, "\r\nContent-Length:");
	if (length == NULL || length > body)
		bench_fail("an answer", "it has no length");
	if (c->n >= (size_t)(body + 4 - c->text) + strtoul(length + 17, NULL, 10))
		finished(c, atoi(c->text + 9));
}

static void read_requests(const char *path)
{
	static struct buf all;
	struct err e;
	struct rd r;

	if (!file_read(&all, path, 64 << 20, &e))
		bench_fail(path, e.text);
	r = rd_of(all.p, all.n);
	while (!r.bad && r.p != r.end) {
		requests = mem_grow(requests, request_n + 1, sizeof *requests);
		requests[request_n++] = rd_span(&r, 65536);
	}
	if (r.bad || request_n == 0)
		bench_fail(path, "malformed");
}

int main(int argc, char **argv)
{
	unsigned connections = argc == 5 ? (unsigned)atoi(argv[2]) : 0;
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int epoll = epoll_create1(EPOLL_CLOEXEC), one = 1;
	struct connection *c;
	int64_t began;

	if (connections == 0 || connections > CONNECTIONS_MAX)
		bench_fail("usage", "bench-http PORT CONNECTIONS COUNT FILE");
	to.sin_port = htons((uint16_t)atoi(argv[1]));
	total = (unsigned)atoi(argv[3]);
	read_requests(argv[4]);
	times = mem_array(total, sizeof *times);
	c = mem_array(connections, sizeof *c);
	for (unsigned i = 0; i < connections; i++) {
		c[i].fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		setsockopt(c[i].fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		if (connect(c[i].fd, (struct sockaddr *)&to, sizeof to) != 0)
			bench_fail("connect", strerror(errno));
		epoll_ctl(epoll, EPOLL_CTL_ADD, c[i].fd, &(struct epoll_event){ .events = EPOLLIN, .data = { .ptr = &c[i] } });
	}
	began = clock_mono();
	for (unsigned i = 0; i < connections; i++)
		send_next(&c[i]);
	while (answered < total) {
		struct epoll_event ev[EVENTS];
		int n = epoll_wait(epoll, ev, EVENTS, GIVE_UP_MS);

		if (n <= 0)
			bench_fail("the server", "it does not answer");
		for (int i = 0; i < n; i++)
			receive(ev[i].data.ptr);
	}
	began = clock_mono() - began;
	printf("{\"done\": %u, \"refused\": %u, \"seconds\": %.6f, \"p50_us\": %u, \"p99_us\": %u, \"octets\": %.0f, \"why\": \"%s\"}\n",
	       total - bad, bad, (double)began / 1e6, percentile(times, total, 0.5), percentile(times, total, 0.99),
	       (double)octets / total, first_bad);
	return 0;
}
