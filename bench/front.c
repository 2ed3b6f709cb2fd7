/* SPDX-License-Identifier: Apache-2.0
 *
 * Stands in front's place and feeds the real ra, over its real channel, with as many requests at once as the driver
 * says: what comes in on the enrolment listener is the driver's lines, not HTTP. With --officers it becomes the real one
 * (caduceus-front-real beside it). Never installed.
 *
 *   prepare FIRST COUNT PASSWORD   requests of COUNT devices are made; answer: "prepared"
 *   go OUTSTANDING                 they are sent; answer: one JSON object */
#include "base/clock.h"
#include "bench/make.h"
#include "daemon/role.h"
#include "ra/ra.h"

#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEADLINE (30 * US_PER_SECOND)

static struct role role;
static struct port ra;
static int listener = -1, driver = -1;

static struct run {
	unsigned n, sent, answered, refused;
	struct buf *body;
	int64_t *began;
	uint32_t *us;
	char why[200];
} run;

static void on_control(void *arg, const struct control *c)
{
	(void)arg;
	if (c->op == CONTROL_CHANNEL)
		port_adopt(&ra, c->fd, role.name);
	else if (c->op == CONTROL_LISTEN && strcmp(c->name, "metrics") != 0)
		listener = c->fd;
	else if (c->op == CONTROL_LISTEN)
		close(c->fd);
}

static void say(const char *text)
{
	(void)!send(driver, text, strlen(text), MSG_NOSIGNAL);
}

static void prepare(unsigned first, unsigned n, const char *password)
{
	struct made *made = make_all(first, n, false);
	struct ra_enroll *q = mem_new(sizeof *q);

	for (unsigned i = 0; i < run.n; i++)
		buf_free(&run.body[i]);
	free(run.body);
	free(run.began);
	free(run.us);
	run = (struct run){ .n = n, .body = mem_array(n, sizeof *run.body), .began = mem_array(n, sizeof *run.began),
		            .us = mem_array(n, sizeof *run.us) };
	q->op = RA_SIMPLE_ENROLL;
	strcpy(q->source.address, "127.0.0.1");
	snprintf(q->password, sizeof q->password, "%s", password);
	for (unsigned i = 0; i < n; i++) {
		snprintf(q->user, sizeof q->user, "%s", made[i].name);
		snprintf(q->source.request_id, sizeof q->source.request_id, "00000000-0000-4000-8000-%012u", i);
		q->source.port = (uint16_t)(1024 + i % 60000);
		q->csr = span_of(&made[i].csr);
		ra_enroll_put(&run.body[i], q);
	}
	free(q);
	made_free(made, n);
	say("prepared\n");
}

static void send_some(unsigned outstanding)
{
	while (run.sent < run.n && run.sent - run.answered < outstanding) {
		int64_t now = clock_mono();
		struct frame f = { .type = RA_ENROLL, .id = run.sent + 1, .deadline = now + DEADLINE, .body = span_of(&run.body[run.sent]) };

		if (!port_send(&ra, &f, NULL))
			return; /* no room: after the next answer */
		run.began[run.sent++] = now;
	}
}

static void take_answers(void)
{
	static struct buf scratch;
	struct frame f;
	struct err e;

	for (;;) {
		switch (port_recv(&ra, &scratch, &f)) {
		case PORT_FRAME:
			if (f.id == 0 || f.id > run.sent)
				break;
			run.us[run.answered++] = (uint32_t)(clock_mono() - run.began[f.id - 1]);
			if (f.type == RA_OK)
				break;
			if (run.refused++ == 0 && failure_get(f.body, &e))
				snprintf(run.why, sizeof run.why, "%s", e.text);
			break;
		case PORT_UP:
			role_ready();
			break;
		case PORT_DOWN:
		case PORT_NOTHING:
			return;
		}
	}
}

static void go(unsigned outstanding)
{
	int64_t began = clock_mono();
	char text[512];

	while (run.answered < run.n && clock_mono() - began < DEADLINE) {
		struct pollfd p = { .fd = ra.fd, .events = POLLIN };

		send_some(outstanding);
		(void)poll(&p, 1, 100);
		take_answers();
	}
	began = clock_mono() - began;
	for (char *s = run.why; *s != 0; s++)
		if (*s == '"' || *s == '\\')
			*s = '\'';
	snprintf(text, sizeof text,
	         "{\"done\": %u, \"refused\": %u, \"seconds\": %.6f, \"p50_us\": %u, \"p99_us\": %u, \"why\": \"%s\"}\n",
	         run.answered - run.refused, run.refused + run.n - run.answered, (double)began / 1e6,
	         percentile(run.us, run.answered, 0.5), percentile(run.us, run.answered, 0.99), run.why);
	say(text);
}

static void take_line(void)
{
	char line[256], password[128];
	unsigned a, b;
	ssize_t n = recv(driver, line, sizeof line - 1, 0);

	if (n <= 0) {
		close(driver);
		driver = -1;
		return;
	}
	line[n] = 0;
	if (sscanf(line, "prepare %u %u %127s", &a, &b, password) == 3)
		prepare(a, b, password);
	else if (sscanf(line, "go %u", &a) == 1)
		go(a);
	else
		say("what?\n");
}

static void become_real(char **argv)
{
	char path[PATH_MAX + 32], self[PATH_MAX] = "";

	if (readlink("/proc/self/exe", self, sizeof self - 1) > 0) {
		snprintf(path, sizeof path, "%s/caduceus-front-real", dirname(self));
		execv(path, argv);
	}
	_exit(127);
}

int main(int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		if (strcmp(argv[i], "--officers") == 0)
			become_real(argv);
	role_begin(&role, "front", argc, argv);
	port_init(&ra);
	for (;;) {
		struct pollfd p[] = { { .fd = CONTROL_FD, .events = POLLIN }, { .fd = ra.fd, .events = POLLIN },
			              { .fd = listener, .events = POLLIN }, { .fd = driver, .events = POLLIN } };

		(void)poll(p, COUNT_OF(p), 1000);
		if (p[0].revents != 0 && role_take_control(&role, on_control, NULL))
			return 0;
		take_answers();
		if (p[2].revents != 0 && driver < 0)
			driver = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (p[3].revents != 0)
			take_line();
	}
}
