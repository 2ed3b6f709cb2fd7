/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/role.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { RELOAD_MAX = 65536, KEPT = 1 << 20 };

static char layers[SANDBOX_LAYERS_MAX];

static void usage(const char *name)
{
	fprintf(stderr, "%s: started by `caduceus serve`, not by hand\n", name);
	exit(2);
}

/* No core files, no debugger, room for descriptors: before anything secret is read. */
static void harden(void)
{
	struct rlimit none = { 0, 0 }, files;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
#ifndef __SANITIZE_ADDRESS__
	/* The leak check of the sanitizer's build has to attach to its own process. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
	setrlimit(RLIMIT_CORE, &none);
	/* What a request has freed the next one needs: giving it back to the kernel each time costs more than the rest of it. */
	mallopt(M_TRIM_THRESHOLD, KEPT);
	mallopt(M_TOP_PAD, KEPT / 8);
	mallopt(M_MMAP_THRESHOLD, KEPT);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max < 65536 ? files.rlim_max : 65536;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	signal(SIGPIPE, SIG_IGN);
	umask(0077);
	tzset();
}

void role_begin(struct role *r, const char *name, int argc, char **argv)
{
	AUTO_BUF mistakes = { 0 };

	*r = (struct role){ .name = name };
	if (argc < 2 || strlen(argv[1]) >= sizeof r->dir)
		usage(name);
	strcpy(r->dir, argv[1]);
	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "--provision") == 0)
			r->provision = true;
		else if (r->option == NULL)
			r->option = argv[i];
		else
			usage(name);
	}
	harden();
	log_open(name, LOG_LEVEL_INFO);
	if (!config_load(&r->config, r->dir, &mistakes)) {
		log_event(LOG_LEVEL_ERROR, "configuration", "why", buf_str(&mistakes), NULL);
		exit(1);
	}
	log_set_level(r->provision && r->config.log_level == LOG_LEVEL_INFO ? LOG_LEVEL_WARN : r->config.log_level);
	log_set_json(r->config.log_json);
}

bool role_reload(struct role *r, int fd)
{
	AUTO_BUF mistakes = { 0 };
	AUTO_BUF text = { 0 };
	AUTO_FREE struct config *next = mem_new(sizeof *next);
	ssize_t n;

	buf_reserve(&text, RELOAD_MAX);
	n = fd >= 0 ? pread(fd, text.p, RELOAD_MAX, 0) : -1;
	if (n < 0 || !config_parse(next, "caduceus.yaml", (char *)text.p, (size_t)n, &mistakes)) {
		log_event(LOG_LEVEL_ERROR, "configuration not reloaded", "why", n < 0 ? "it can't be read" : buf_str(&mistakes), NULL);
		return false;
	}
	memcpy(next->dir, r->config.dir, sizeof next->dir);
	r->config = *next;
	log_set_level(r->config.log_level);
	log_set_json(r->config.log_json);
	return true;
}

void role_confine(const struct sandbox *s)
{
	struct err e;

	if (!sandbox_enter(s, layers, &e))
		role_fail(&e);
}

void role_ready(void)
{
	static bool said;

	if (!said)
		(void)!control_send(CONTROL_FD, CONTROL_READY, layers, -1, NULL);
	said = true;
}

void role_fail(const struct err *e)
{
	/* The parent logs it with the exit. */
	if (!control_send(CONTROL_FD, CONTROL_FAILED, e->text, -1, NULL))
		log_event(LOG_LEVEL_ERROR, "can't go on", "kind", err_kind_name(e->kind), "why", e->text, NULL);
	/* Other threads may run: no destructors under their feet. */
	_exit(1);
}

void port_init(struct port *p)
{
	pthread_mutex_init(&p->lock, NULL);
	p->fd = -1;
	p->greeted = false;
}

static void replace(struct port *p, int fd)
{
	pthread_mutex_lock(&p->lock);
	if (p->fd >= 0)
		close(p->fd);
	p->fd = fd;
	p->greeted = false;
	pthread_mutex_unlock(&p->lock);
}

void port_adopt(struct port *p, int fd, const char *role)
{
	replace(p, fd);
	(void)!channel_hello(fd, role, NULL);
}

void port_drop(struct port *p)
{
	replace(p, -1);
}

bool port_send(struct port *p, const struct frame *f, struct err *e)
{
	bool sent;

	pthread_mutex_lock(&p->lock);
	sent = channel_send(p->fd, f, e);
	pthread_mutex_unlock(&p->lock);
	return sent;
}

bool port_send_wait(struct port *p, const struct frame *f, int64_t deadline, struct err *e)
{
	static const struct timespec nap = { 0, 1000000 };
	struct err why;

	while (!port_send(p, f, &why)) {
		if (why.kind != ERR_BUSY || clock_mono() >= deadline) {
			if (e != NULL)
				*e = why;
			return false;
		}
		nanosleep(&nap, NULL);
	}
	return true;
}

enum port_event port_recv(struct port *p, struct buf *scratch, struct frame *f)
{
	char peer[16];
	struct err e;

	if (p->fd < 0)
		return PORT_NOTHING;
	switch (channel_recv(p->fd, scratch, f)) {
	case CHANNEL_EMPTY:
		return PORT_NOTHING;
	case CHANNEL_CLOSED:
		port_drop(p);
		return PORT_DOWN;
	case CHANNEL_GOT:
		break;
	}
	if (p->greeted && f->type != FRAME_HELLO)
		return PORT_FRAME;
	if (p->greeted || !hello_check(f, peer, &e)) {
		log_event(LOG_LEVEL_ERROR, "channel refused", "why", p->greeted ? "second HELLO" : e.text, NULL);
		port_drop(p);
		return PORT_DOWN;
	}
	p->greeted = true;
	return PORT_UP;
}

bool role_take_control(struct role *r, role_control *other, void *arg)
{
	struct control c;

	for (;;) {
		switch (control_recv(CONTROL_FD, &c)) {
		case CONTROL_EMPTY:
			return false;
		case CONTROL_CLOSED:
			return true;
		case CONTROL_GOT:
			break;
		}
		if (c.op == CONTROL_STOP)
			return true;
		if (c.op != CONTROL_RELOAD || role_reload(r, c.fd))
			other(arg, &c);
		if (c.op == CONTROL_RELOAD && c.fd >= 0)
			close(c.fd);
	}
}

bool role_wait_control(struct role *r, int ms, role_control *other, void *arg)
{
	struct pollfd p = { .fd = CONTROL_FD, .events = POLLIN };

	(void)poll(&p, 1, ms);
	return p.revents != 0 && role_take_control(r, other, arg);
}
