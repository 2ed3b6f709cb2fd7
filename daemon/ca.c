/* SPDX-License-Identifier: Apache-2.0
 *
 * The ca role: the token, and the two channels on which certificates are asked for. */
#include "ca/ca.h"

#include "base/clock.h"
#include "base/log.h"
#include "daemon/pin.h"
#include "daemon/role.h"
#include "hsm/hsm.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPEN_S = 20 }; /* loading the module, finding the token, logging in */

static struct role role;
static struct hsm *hsm;
static struct port port[CA_PORT_COUNT];

/* HSM-12: a call into the module does not return, and only the end of this process ends that; the parent starts another
 * one. Also from a signal's handler: the thread that was interrupted is inside the module. */
static const char hanging[] = "the HSM hangs: a call into its module does not return; look at the HSM and its network";

static void hangs(int signal)
{
	(void)signal;
	(void)!control_send(CONTROL_FD, CONTROL_FAILED, hanging, -1, NULL);
	_exit(1);
}

static bool pin(void *arg, char *out, size_t cap, struct err *e)
{
	bool good;

	(void)arg;
	(void)alarm(0); /* a person takes the time that a person takes */
	good = pin_read(role.config.hsm_pin, role.dir, out, cap, e);
	(void)alarm(OPEN_S);
	return good;
}

/* A PIN file that was written again is a person's act: the latch opens. */
static void mark_pin(char *out, size_t size)
{
	AUTO_FREE char *path = pin_path(role.config.hsm_pin, role.dir);
	struct stat st;

	out[0] = 0;
	if (path != NULL && stat(path, &st) == 0)
		snprintf(out, size, "%llu %lld.%09ld", (unsigned long long)st.st_ino, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

/* On a worker's thread. A peer that does not take its answers for a second is stuck or gone; it asks again. */
static void reply(void *arg, enum ca_port to, const struct frame *f)
{
	struct err e;

	(void)arg;
	if (!port_send_wait(&port[to], f, clock_mono() + US_PER_SECOND, &e))
		log_event(LOG_LEVEL_WARN, "answer not delivered", "why", e.text, NULL);
}

static bool make_token(struct err *e)
{
	AUTO_FREE char *token = mem_printf("%s/ca/token.object.copy", role.dir);
	char secret[256];
	bool made;

	if (!pin(NULL, secret, sizeof secret, e))
		return false;
	made = hsm_embedded_create(role.dir, role.config.hsm_token, secret, e);
	mem_wipe(secret, sizeof secret);
	return made;
}

static void open_token(void)
{
	bool embedded = strcmp(role.config.hsm_module, "embedded") == 0;
	char mark[80];
	const struct hsm_config c = {
		.module = role.config.hsm_module,
		.token = role.config.hsm_token,
		.dir = role.dir,
		.sessions = (unsigned)role.config.hsm_sessions,
		.timeout_ms = 10000,
		.pin = pin,
		.pin_mark = mark,
	};
	struct err e;

	mark_pin(mark, sizeof mark);
	signal(SIGALRM, hangs);
	if (role.provision && embedded && !make_token(&e) && e.kind != ERR_EXISTS)
		role_fail(&e);
	(void)alarm(OPEN_S);
	if (!hsm_open(&hsm, &c, &e))
		role_fail(&e);
	(void)alarm(0);
}

static void on_control(void *arg, const struct control *c)
{
	struct err e = { 0 };

	(void)arg;
	/* A person has acted: another PIN, perhaps, in a file that this process may not open. A new one may. */
	if (c->op == CONTROL_RELOAD && !hsm_health(hsm, &e))
		role_fail(&e);
	if (c->op == CONTROL_CHANNEL)
		port_adopt(&port[strcmp(c->name, "va") == 0 ? CA_PORT_VA : CA_PORT_RA], c->fd, role.name);
}

static void take_frames(struct ca *ca, enum ca_port from, struct buf *scratch)
{
	struct frame f;

	for (;;) {
		switch (port_recv(&port[from], scratch, &f)) {
		case PORT_FRAME:
			ca_feed(ca, from, &f);
			break;
		case PORT_UP:
		case PORT_DOWN:
			ca_port_reset(ca, from);
			break;
		case PORT_NOTHING:
			return;
		}
	}
}

static void serve(struct ca *ca)
{
	AUTO_BUF scratch = { 0 };

	for (;;) {
		struct pollfd fd[1 + CA_PORT_COUNT] = { { .fd = CONTROL_FD, .events = POLLIN } };

		for (int i = 0; i < CA_PORT_COUNT; i++)
			fd[1 + i] = (struct pollfd){ .fd = port[i].fd, .events = POLLIN };
		(void)poll(fd, 1 + CA_PORT_COUNT, 1000);
		if (fd[0].revents != 0 && role_take_control(&role, on_control, NULL))
			return;
		for (int i = 0; i < CA_PORT_COUNT; i++)
			take_frames(ca, (enum ca_port)i, &scratch);
		if (ca_hangs(ca, clock_mono()))
			hangs(0);
	}
}

/* What config_check has let through: "none", or numbers with blanks between. */
static void declare_ports(struct sandbox *s)
{
	AUTO_FREE char *text = mem_text(role.config.hsm_ports);
	size_t n = 0;

	for (char *rest = text, *p; s->connects && (p = strsep(&rest, " ,")) != NULL && n < SANDBOX_PORT_MAX;)
		if (atoi(p) > 0)
			s->port[n++] = (uint16_t)atoi(p);
}

/* The embedded token needs its folder and no socket at all; another module what it was made for: the declared paths, and
 * the network. */
static void confine(void)
{
	bool embedded = strcmp(role.config.hsm_module, "embedded") == 0;
	AUTO_FREE char *token = mem_printf("%s/token", role.dir), *own = mem_printf("%s/ca", role.dir),
	               *conf = mem_printf("%s/softhsm2.conf", role.dir), *lock = mem_printf("%s/run/hsm.lock", role.dir),
	               *pin_file = pin_path(role.config.hsm_pin, role.dir);
	struct sandbox s = { .path = { { own, true }, { lock, true }, { conf, false } }, .connects = !embedded };
	size_t n = 3;
	AUTO_FREE char *declared = mem_text(role.config.hsm_paths);

	if (pin_file != NULL)
		s.path[n++] = (struct sandbox_path){ pin_file, false };
	if (embedded)
		s.path[n++] = (struct sandbox_path){ token, true };
	declare_ports(&s);
	for (char *rest = declared, *p; !embedded && (p = strsep(&rest, " ,")) != NULL && n < SANDBOX_PATH_MAX - 1;)
		if (*p != 0)
			s.path[n++] = (struct sandbox_path){ p, true };
	role_confine(&s);
}

int main(int argc, char **argv)
{
	AUTO_STRUCT(ca) *ca = NULL;
	struct err e;

	role_begin(&role, "ca", argc, argv);
	for (int i = 0; i < CA_PORT_COUNT; i++)
		port_init(&port[i]);
	open_token();
	confine();
	if (!ca_open(&ca, &(struct ca_config){ .dir = role.dir, .provision = role.provision, .hsm = hsm,
	                                       .reply = reply, .now = clock_now }, &e))
		role_fail(&e);
	role_ready();
	serve(ca);
	ca_close(TAKE(ca));
	hsm_close(hsm);
	return 0;
}
