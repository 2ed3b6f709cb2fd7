/* SPDX-License-Identifier: Apache-2.0
 *
 * The world that probe goes out into, on loopback: a name server, and a web server that behaves as the test says. Each
 * connection has a thread; all is one process's, so a test sees what was asked. */
#ifndef CADUCEUS_TESTS_OUT_THERE_H
#define CADUCEUS_TESTS_OUT_THERE_H

#include "base/buf.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define OUT static __attribute__((unused))

/* --- Names */

enum zone_mode { ZONE_RECORD, ZONE_SERVFAIL, ZONE_REFUSED, ZONE_SILENT, ZONE_NOTHING };
enum { ZONE_MAX = 512 };
static struct zone {
	char name[256];
	unsigned type;          /* 0: any */
	enum zone_mode mode;
	struct buf rdata;
	unsigned only_nth;      /* answers the n-th question of this name and type alone; 0 all */
} zone[ZONE_MAX];
static unsigned zone_n, zone_asked, zone_by_tcp;
static bool zone_truncates;
static struct {
	char name[256];
	unsigned type, n;
} zone_seen[256];
static unsigned zone_seen_n;
static pthread_mutex_t zone_lock = PTHREAD_MUTEX_INITIALIZER;
static int zone_udp = -1, zone_tcp = -1;
static uint16_t zone_port;

OUT void zone_clear(void)
{
	pthread_mutex_lock(&zone_lock);
	for (unsigned i = 0; i < zone_n; i++)
		buf_free(&zone[i].rdata);
	zone_n = zone_asked = zone_by_tcp = zone_seen_n = 0;
	zone_truncates = false;
	memset(zone, 0, sizeof zone);
	pthread_mutex_unlock(&zone_lock);
}

OUT struct zone *zone_put(const char *name, unsigned type, enum zone_mode mode, const void *rdata, size_t n)
{
	struct zone *z;

	pthread_mutex_lock(&zone_lock);
	z = &zone[zone_n];
	snprintf(z->name, sizeof z->name, "%s", name);
	z->type = type;
	z->mode = mode;
	buf_add(&z->rdata, rdata, n);
	zone_n++;
	pthread_mutex_unlock(&zone_lock);
	return z;
}

OUT struct zone *zone_a(const char *name, const char *address)
{
	uint8_t a[16];
	bool v6 = strchr(address, ':') != NULL;

	(void)inet_pton(v6 ? AF_INET6 : AF_INET, address, a);
	return zone_put(name, v6 ? 28 : 1, ZONE_RECORD, a, v6 ? 16 : 4);
}

static void wire_name(struct buf *b, const char *name)
{
	while (*name != 0) {
		size_t n = strcspn(name, ".");

		buf_byte(b, (uint8_t)n);
		buf_add(b, name, n);
		name += n + (name[n] == '.');
	}
	buf_byte(b, 0);
}

OUT void zone_cname(const char *name, const char *to)
{
	AUTO_BUF b = { 0 };

	wire_name(&b, to);
	zone_put(name, 5, ZONE_RECORD, b.p, b.n);
}

OUT void zone_txt(const char *name, const char *text)
{
	AUTO_BUF b = { 0 };

	buf_byte(&b, (uint8_t)strlen(text));
	buf_text(&b, text);
	zone_put(name, 16, ZONE_RECORD, b.p, b.n);
}

OUT void zone_caa(const char *name, uint8_t flags, const char *tag, const char *value)
{
	AUTO_BUF b = { 0 };

	buf_byte(&b, flags);
	buf_byte(&b, (uint8_t)strlen(tag));
	buf_text(&b, tag);
	buf_text(&b, value);
	zone_put(name, 257, ZONE_RECORD, b.p, b.n);
}

OUT unsigned zone_count(const char *name, unsigned type)
{
	unsigned n = 0;

	pthread_mutex_lock(&zone_lock);
	for (unsigned i = 0; i < zone_seen_n; i++)
		if (strcasecmp(zone_seen[i].name, name) == 0 && zone_seen[i].type == type)
			n = zone_seen[i].n;
	pthread_mutex_unlock(&zone_lock);
	return n;
}

static unsigned note_question(const char *name, unsigned type)
{
	for (unsigned i = 0; i < zone_seen_n; i++)
		if (strcasecmp(zone_seen[i].name, name) == 0 && zone_seen[i].type == type)
			return ++zone_seen[i].n;
	if (zone_seen_n == COUNT_OF(zone_seen))
		return 1;
	snprintf(zone_seen[zone_seen_n].name, sizeof zone_seen[0].name, "%s", name);
	zone_seen[zone_seen_n].type = type;
	return zone_seen[zone_seen_n++].n = 1;
}

static void put16(struct buf *b, unsigned v)
{
	buf_byte(b, (uint8_t)(v >> 8));
	buf_byte(b, (uint8_t)v);
}

static void zone_record(struct buf *b, const char *owner, unsigned type, const struct buf *rdata)
{
	wire_name(b, owner);
	put16(b, type);
	put16(b, 1);
	put16(b, 0);
	put16(b, 60); /* a TTL that nobody may hold against a change */
	put16(b, (unsigned)rdata->n);
	buf_add(b, rdata->p, rdata->n);
}

/* What there is besides: tests sign with it. */
static void (*zone_more)(struct buf *answer, const char *owner, unsigned type, unsigned *count);

/* False: silence. */
static bool zone_answer(struct buf *out, const uint8_t *q, size_t n, bool tcp)
{
	char name[256] = "";
	size_t at = 12, used = 0;
	unsigned type, rcode = 3, count = 0, nth;
	AUTO_BUF body = { 0 };
	uint8_t head[12];

	while (at < n && q[at] != 0 && at + q[at] + 1 < n && used + q[at] + 2 < sizeof name) {
		used += (size_t)snprintf(name + used, sizeof name - used, "%s%.*s", used != 0 ? "." : "", q[at], (const char *)q + at + 1);
		at += 1 + (size_t)q[at];
	}
	if (at + 5 > n)
		return false;
	type = (unsigned)q[at + 1] << 8 | q[at + 2];
	at += 5;
	zone_asked++;
	zone_by_tcp += tcp;
	nth = note_question(name, type);
	for (int step = 0; step < 30; step++) {
		const char *next = NULL;
		char to[256];

		for (unsigned i = 0; i < zone_n; i++) {
			struct zone *z = &zone[i];

			if (strcasecmp(z->name, name) != 0)
				continue;
			if (z->mode != ZONE_RECORD && (z->type == 0 || z->type == type)) {
				if (z->mode == ZONE_SILENT)
					return false;
				rcode = z->mode == ZONE_SERVFAIL ? 2 : z->mode == ZONE_REFUSED ? 5 : 0;
				continue;
			}
			rcode = rcode == 3 ? 0 : rcode;
			if (z->mode != ZONE_RECORD || (z->only_nth != 0 && z->only_nth != nth))
				continue;
			if (z->type != type && z->type != 5)
				continue;
			zone_record(&body, name, z->type, &z->rdata);
			count++;
			if (z->type == 5 && type != 5) {
				size_t k = 0, m = 0;

				while (z->rdata.p[k] != 0) {
					m += (size_t)snprintf(to + m, sizeof to - m, "%s%.*s", m != 0 ? "." : "", z->rdata.p[k], (char *)z->rdata.p + k + 1);
					k += 1 + (size_t)z->rdata.p[k];
				}
				next = to;
			}
		}
		if (zone_more != NULL)
			zone_more(&body, name, type, &count);
		if (next == NULL)
			break;
		snprintf(name, sizeof name, "%s", next);
		rcode = 3;
	}
	if (count != 0 && rcode == 3)
		rcode = 0;
	memcpy(head, q, 12);
	head[2] = (uint8_t)(0x81 | (zone_truncates && !tcp ? 2 : 0));
	head[3] = (uint8_t)(0x80 | rcode);
	memset(head + 4, 0, 8);
	head[5] = 1;
	if (!(zone_truncates && !tcp)) {
		head[6] = (uint8_t)(count >> 8);
		head[7] = (uint8_t)count;
	}
	buf_add(out, head, 12);
	buf_add(out, q + 12, at - 12);
	if (!(zone_truncates && !tcp))
		buf_add(out, body.p, body.n);
	if (q[11] != 0) { /* EDNS, with DO */
		out->p[11] = 1;
		buf_add(out, "\0\0\x29\x04\xd0\0\0\x80\0\0\0", 11);
	}
	return true;
}

static void *zone_run_udp(void *arg)
{
	(void)arg;
	for (;;) {
		uint8_t q[1500];
		struct sockaddr_in from;
		socklen_t m = sizeof from;
		ssize_t n = recvfrom(zone_udp, q, sizeof q, 0, (struct sockaddr *)&from, &m);
		AUTO_BUF out = { 0 };
		bool answers;

		if (n < 12)
			return NULL;
		pthread_mutex_lock(&zone_lock);
		answers = zone_answer(&out, q, (size_t)n, false);
		pthread_mutex_unlock(&zone_lock);
		if (answers)
			(void)sendto(zone_udp, out.p, out.n, 0, (struct sockaddr *)&from, m);
	}
}

static void *zone_run_tcp(void *arg)
{
	(void)arg;
	for (;;) {
		int fd = accept(zone_tcp, NULL, NULL);
		uint8_t q[1500], size[2];
		AUTO_BUF out = { 0 };
		bool answers;

		if (fd < 0)
			return NULL;
		while (recv(fd, size, 2, MSG_WAITALL) == 2 && (size[0] << 8 | size[1]) <= (int)sizeof q &&
		       recv(fd, q, (size_t)(size[0] << 8 | size[1]), MSG_WAITALL) == (size[0] << 8 | size[1])) {
			pthread_mutex_lock(&zone_lock);
			answers = zone_answer(&out, q, (size_t)(size[0] << 8 | size[1]), true);
			pthread_mutex_unlock(&zone_lock);
			size[0] = (uint8_t)(out.n >> 8);
			size[1] = (uint8_t)out.n;
			if (answers && (send(fd, size, 2, MSG_NOSIGNAL) != 2 || send(fd, out.p, out.n, MSG_NOSIGNAL) != (ssize_t)out.n))
				break;
			out.n = 0;
		}
		close(fd);
	}
}

static int bound(int kind, const char *address, uint16_t *port)
{
	struct sockaddr_storage a = { 0 };
	bool v6 = strchr(address, ':') != NULL;
	socklen_t n = v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	int fd, one = 1;

	a.ss_family = v6 ? AF_INET6 : AF_INET;
	(void)inet_pton(a.ss_family, address, v6 ? (void *)&((struct sockaddr_in6 *)&a)->sin6_addr : (void *)&((struct sockaddr_in *)&a)->sin_addr);
	((struct sockaddr_in *)&a)->sin_port = htons(*port);
	fd = socket(a.ss_family, kind | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, (struct sockaddr *)&a, n) != 0 || (kind == SOCK_STREAM && listen(fd, 600) != 0)) {
		close(fd);
		return -1;
	}
	(void)getsockname(fd, (struct sockaddr *)&a, &n);
	*port = ntohs(((struct sockaddr_in *)&a)->sin_port);
	return fd;
}

OUT void zone_start(void)
{
	pthread_t t;

	while (zone_tcp < 0) {
		zone_port = 0;
		zone_udp = bound(SOCK_DGRAM, "127.0.0.1", &zone_port);
		zone_tcp = bound(SOCK_STREAM, "127.0.0.1", &zone_port);
		if (zone_tcp < 0)
			close(zone_udp);
	}
	pthread_create(&t, NULL, zone_run_udp, NULL);
	pthread_detach(t);
	pthread_create(&t, NULL, zone_run_tcp, NULL);
	pthread_detach(t);
}

/* --- A server of one port; serve has the connection, which is closed behind it. */

typedef void serve_one(int fd, void *arg);
struct server {
	uint16_t port;
	int fd[2]; /* 127.0.0.1, ::1 (-1: no IPv6 here) */
	serve_one *serve;
	void *arg;
	unsigned connections;
	char request[4096]; /* the last one's head */
};
struct connection {
	struct server *s;
	int fd;
};

static void *run_connection(void *arg)
{
	struct connection *c = arg;

	c->s->serve(c->fd, c->s->arg);
	close(c->fd);
	free(c);
	return NULL;
}

static void *run_server(void *arg)
{
	struct server *s = arg;

	for (;;) {
		struct pollfd p[2] = { { s->fd[0], POLLIN, 0 }, { s->fd[1], POLLIN, 0 } };

		(void)poll(p, 2, -1);
		for (int i = 0; i < 2; i++) {
			struct connection *c;
			pthread_t t;
			int fd;

			if ((p[i].revents & POLLIN) == 0 || (fd = accept4(p[i].fd, NULL, NULL, SOCK_CLOEXEC)) < 0)
				continue;
			__atomic_fetch_add(&s->connections, 1, __ATOMIC_SEQ_CST);
			c = mem_new(sizeof *c);
			*c = (struct connection){ s, fd };
			pthread_create(&t, NULL, run_connection, c);
			pthread_detach(t);
		}
	}
	return NULL;
}

OUT void server_start(struct server *s)
{
	pthread_t t;

	s->port = 0;
	s->fd[0] = bound(SOCK_STREAM, "127.0.0.1", &s->port);
	s->fd[1] = bound(SOCK_STREAM, "::1", &s->port);
	pthread_create(&t, NULL, run_server, s);
	pthread_detach(t);
}

OUT void read_head(int fd, char *out, size_t size)
{
	size_t n = 0;
	ssize_t k;

	while (n + 1 < size && (k = recv(fd, out + n, size - n - 1, 0)) > 0) {
		n += (size_t)k;
		out[n] = 0;
		if (strstr(out, "\r\n\r\n") != NULL)
			break;
	}
	out[n] = 0;
}

OUT void say(int fd, const char *text)
{
	(void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

OUT void say_ok(int fd, const char *body)
{
	AUTO_BUF b = { 0 };

	buf_printf(&b, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
	say(fd, buf_str(&b));
}

#endif
