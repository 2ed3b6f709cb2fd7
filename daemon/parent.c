/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/parent.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "config/config.h"
#include "daemon/control.h"
#include "daemon/links.h"
#include "daemon/listen.h"
#include "daemon/owners.h"
#include "daemon/pin.h"
#include "daemon/sandbox.h"
#include "ipc/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum {
	DRAIN_SECONDS = 30,
	LATE_SECONDS = 10,    /* a ca whose start took so long and failed will not be better at once */
	BACKOFF_FIRST_MS = 50,
	BACKOFF_LAST_MS = 5000,
	START_TRIES = 3,      /* before it was ever ready, a role may fail so often; then the service gives up */
};

struct child {
	pid_t pid;            /* 0: not running */
	int control;
	bool ready, ever_ready, stopping;
	int64_t started, next_start; /* mono us */
	unsigned failures;
	char layers[SANDBOX_LAYERS_MAX]; /* of its sandbox, a letter each */
	char why[CONTROL_NAME_MAX];    /* it ended, in its own words */
	char said[CONTROL_NAME_MAX];   /* and was logged last */
};

struct parent {
	const struct parent_options *o;
	struct config config;
	struct owners owners;
	pid_t self;
	struct child child[ROLE_COUNT];
	int listener[ROLE_COUNT]; /* -1 none */
	int metrics;              /* the officers' front serves it; -1 none */
	int signals, lock;
	int given;                /* sockets that systemd opened, from descriptor 3 on */
	char **given_names;
	int stop;             /* 0 running, 1 asked to stop, 2 asked twice */
	bool said_ready, failed;
	bool without[ROLE_COUNT]; /* could not come up (ca: the token is away; probe: its resolver's settings): the rest is served */
	int64_t stop_deadline, watchdog_next;
	uint64_t watchdog;    /* us; 0: systemd does not ask */
};

bool role_program(const char *role, char *out, size_t size)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	char *slash;

	if (n <= 0)
		return false;
	self[n] = 0;
	slash = strrchr(self, '/');
	*slash = 0;
	if ((size_t)snprintf(out, size, "%s/caduceus-%s", self, role) < size && access(out, X_OK) == 0)
		return true;
	return (size_t)snprintf(out, size, "%s/../libexec/caduceus/caduceus-%s", self, role) < size &&
	       access(out, X_OK) == 0;
}

static bool takes_part(const struct parent *p, enum role_id r)
{
	return !p->o->provision || role_table[r].provision;
}

/* In the child: systemd's credentials are root's; ca, which is not, gets this one open. */
static void hand_credential(const struct parent *p)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	AUTO_FREE char *path = NULL;
	char text[16];
	int fd;

	if (!p->owners.apart || dir == NULL || strncmp(p->config.hsm_pin, "credential:", 11) != 0)
		return;
	path = mem_printf("%s/%s", dir, p->config.hsm_pin + 11);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return; /* ca says so */
	snprintf(text, sizeof text, "%d", fd);
	setenv(PIN_FD_VARIABLE, text, 1);
}

/* In the child: only the standard descriptors and the control socket stay open. */
static void become_role(const struct parent *p, enum role_id r, int control)
{
	int program;

	const char *argv[5] = { NULL };
	char path[PATH_MAX], name[64];
	sigset_t none;
	int null, n = 0;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	null = open("/dev/null", O_RDONLY);
	if (null < 0 || dup2(null, 0) < 0 || dup2(control, CONTROL_FD) < 0 || !role_program(role_table[r].program, path, sizeof path))
		_exit(127);
	close_range(CONTROL_FD + 1, ~0U, 0);
	dup2(2, 1);
	if (r == ROLE_CA)
		hand_credential(p);
	program = open(path, O_PATH | O_CLOEXEC);
	snprintf(name, sizeof name, "caduceus-%s", role_table[r].program);
	argv[n++] = name;
	argv[n++] = p->o->dir;
	if (role_table[r].argument != NULL)
		argv[n++] = role_table[r].argument;
	if (p->o->provision)
		argv[n++] = "--provision";
	if (!owners_become(&p->owners, r))
		_exit(126);
	/* Behind the change of uid, which forgets it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != p->self)
		_exit(1);
	execveat(program, "", (char *const *)argv, environ, AT_EMPTY_PATH);
	fprintf(stderr, "caduceus: %s can't be executed by its user: %s\n", path, strerror(errno));
	_exit(127);
}

static bool spawn(struct parent *p, enum role_id r, struct err *e)
{
	struct child *c = &p->child[r];
	int pair[2];
	pid_t pid;

	if (!channel_pair(pair, e))
		return false;
	pid = fork();
	if (pid < 0) {
		close(pair[0]);
		close(pair[1]);
		return err_sys(e, ERR_IO, "fork");
	}
	if (pid == 0)
		become_role(p, r, pair[1]);
	close(pair[1]);
	c->pid = pid;
	c->control = pair[0];
	c->ready = false;
	c->stopping = false;
	c->started = clock_mono();
	return true;
}

/* A new channel between two roles that both run; each is told the other's name. */
static void connect_roles(struct parent *p, enum role_id a, enum role_id b)
{
	int pair[2];
	struct err e;

	if (p->child[a].pid == 0 || p->child[b].pid == 0)
		return;
	if (!channel_pair(pair, &e)) {
		log_event(LOG_LEVEL_ERROR, "no channel", "why", e.text, NULL);
		return;
	}
	/* A role that dies meanwhile is found by its exit; nothing to do here. */
	(void)!control_send(p->child[a].control, CONTROL_CHANNEL, role_table[b].name, pair[0], NULL);
	(void)!control_send(p->child[b].control, CONTROL_CHANNEL, role_table[a].name, pair[1], NULL);
	close(pair[0]);
	close(pair[1]);
}

static bool start_role(struct parent *p, enum role_id r, struct err *e)
{
	if (!spawn(p, r, e))
		return false;
	if (p->listener[r] >= 0)
		(void)!control_send(p->child[r].control, CONTROL_LISTEN, "listen", p->listener[r], NULL);
	if (r == ROLE_OFFICERS && p->metrics >= 0)
		(void)!control_send(p->child[r].control, CONTROL_LISTEN, "metrics", p->metrics, NULL);
	for (size_t i = 0; i < LINK_COUNT; i++)
		if (link_table[i].a == r || link_table[i].b == r)
			connect_roles(p, link_table[i].a, link_table[i].b);
	return true;
}

/* No reason to stay down: a second instance on the machine has the port, perhaps. */
static void open_metrics(struct parent *p)
{
	struct err e;

	if (p->config.listen_metrics[0] != 0 && strcmp(p->config.listen_metrics, "off") != 0 &&
	    !listen_tcp(p->config.listen_metrics, &p->metrics, &e))
		log_event(LOG_LEVEL_WARN, "metrics are not served; choose another listen.metrics, or off", "why", e.text, NULL);
}

enum { SYSTEMD_FIRST_FD = 3 };

/* sd_listen_fds(3): a port below 1024 needs a right that the service does not have; a socket unit binds it, and names it
 * by FileDescriptorName= enroll or va. Copied: the first one's number is a role's control socket. */
static int given_by_systemd(struct parent *p, const char *name)
{
	for (int i = 0; i < p->given; i++)
		if (strcmp(p->given_names[i], name) == 0 && sd_is_socket(SYSTEMD_FIRST_FD + i, AF_UNSPEC, SOCK_STREAM, 1) > 0)
			return fcntl(SYSTEMD_FIRST_FD + i, F_DUPFD_CLOEXEC, SYSTEMD_FIRST_FD);
	return -1;
}

static bool open_tcp(struct parent *p, const char *name, const char *where, int *fd, struct err *e)
{
	*fd = given_by_systemd(p, name);
	return *fd >= 0 || listen_tcp(where, fd, e);
}

static void free_given(struct parent *p)
{
	for (int i = 0; i < p->given; i++) {
		if (strcmp(p->given_names[i], "enroll") != 0 && strcmp(p->given_names[i], "va") != 0)
			log_event(LOG_LEVEL_WARN, "a socket unit's FileDescriptorName is neither enroll nor va", "name",
			          p->given_names[i], NULL);
		close(SYSTEMD_FIRST_FD + i);
		free(p->given_names[i]);
	}
	free(p->given_names);
	p->given = 0;
	p->given_names = NULL;
}

static bool open_listeners(struct parent *p, struct err *e)
{
	AUTO_FREE char *local = mem_printf("%s/run/officer.sock", p->o->dir);

	for (int r = 0; r < ROLE_COUNT; r++)
		p->listener[r] = -1;
	if (p->o->provision)
		return true;
	open_metrics(p);
	return open_tcp(p, "enroll", p->config.listen_enroll, &p->listener[ROLE_ENROLL], e) &&
	       open_tcp(p, "va", p->config.listen_va, &p->listener[ROLE_VA], e) &&
	       listen_local(local, &p->listener[ROLE_OFFICERS], e);
}

/* One parent a directory: an advisory lock that ends with the process. */
static int lock_instance(struct parent *p, struct err *e)
{
	AUTO_FREE char *path = mem_printf("%s/run/serve.lock", p->o->dir);
	char pid[32] = "";

	p->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (p->lock < 0) {
		err_sys(e, ERR_IO, "%s", path);
		return 1;
	}
	if (flock(p->lock, LOCK_EX | LOCK_NB) != 0) {
		(void)!read(p->lock, pid, sizeof pid - 1);
		pid[strcspn(pid, "\n")] = 0;
		err_set(e, ERR_CONFLICT, "%s is being served already (process %s)", p->o->dir, pid);
		return 5;
	}
	snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
	if (ftruncate(p->lock, 0) != 0 || write(p->lock, pid, strlen(pid)) < 0) {
		err_sys(e, ERR_IO, "%s", path);
		return 1;
	}
	return 0;
}

static bool all_ready(const struct parent *p)
{
	for (int r = 0; r < ROLE_COUNT; r++)
		if (takes_part(p, r) && !p->child[r].ready && !p->without[r])
			return false;
	return true;
}

static bool none_left(const struct parent *p)
{
	for (int r = 0; r < ROLE_COUNT; r++)
		if (p->child[r].pid != 0)
			return false;
	return true;
}

static void ask_stop(struct parent *p)
{
	if (p->stop == 0) {
		p->stop = 1;
		p->stop_deadline = clock_mono() + DRAIN_SECONDS * US_PER_SECOND;
		sd_notify(0, "STOPPING=1");
		return;
	}
	p->stop = 2;
}

/* Stops the outer roles first, so that what they have under way still finds ra, and ra its ca. */
static void continue_stop(struct parent *p)
{
	int turn = 3;

	if (p->stop == 2 || clock_mono() >= p->stop_deadline) {
		for (int r = 0; r < ROLE_COUNT; r++)
			if (p->child[r].pid != 0 && kill(p->child[r].pid, SIGKILL) != 0 && errno == EPERM)
				p->child[r].pid = 0; /* no right to: it dies with this process (PR_SET_PDEATHSIG) */
		return;
	}
	for (int r = 0; r < ROLE_COUNT; r++)
		if (p->child[r].pid != 0 && role_table[r].stop_after < turn)
			turn = role_table[r].stop_after;
	for (int r = 0; r < ROLE_COUNT; r++) {
		struct child *c = &p->child[r];

		if (c->pid != 0 && !c->stopping && role_table[r].stop_after == turn) {
			c->stopping = true;
			(void)!control_send(c->control, CONTROL_STOP, "", -1, NULL);
		}
	}
}

static void hear(struct parent *p, enum role_id r);

/* What ra says of ca while it is away. */
static void tell_why(struct parent *p)
{
	if (p->child[ROLE_RA].pid != 0 && !p->child[ROLE_CA].ready && p->child[ROLE_CA].why[0] != 0)
		(void)!control_send(p->child[ROLE_RA].control, CONTROL_FAILED, p->child[ROLE_CA].why, -1, NULL);
}

/* After a power failure the HSM is slower than we are: CRLs are served, `status` says why nothing is signed, and ca is
 * started again until it comes. */
static void give_up(struct parent *p, enum role_id r)
{
	if ((r == ROLE_CA || r == ROLE_PROBE) && !p->o->provision) {
		if (p->without[r])
			return;
		p->without[r] = true;
		log_event(LOG_LEVEL_ERROR, r == ROLE_CA ? "ALARM: nothing can be signed; the service goes on without"
		                                        : "ALARM: no name can be validated; the service goes on without", NULL);
		return;
	}
	p->failed = true;
	ask_stop(p);
}

static void role_died(struct parent *p, enum role_id r, int status)
{
	struct child *c = &p->child[r];
	int64_t mono = clock_mono();
	bool was_ready = c->ready, late;
	unsigned shift;

	hear(p, r); /* its last words */
	close(c->control);
	c->pid = 0;
	c->control = -1;
	c->ready = false;
	if (p->stop != 0)
		return;
	/* One that had come up is needed at once, whatever ended it; one that can't come up is tried more and more slowly. */
	c->failures = was_ready ? 1 : c->failures + 1;
	late = r == ROLE_CA && !was_ready && mono - c->started > LATE_SECONDS * US_PER_SECOND;
	shift = c->failures > 8 ? 8 : c->failures - 1;
	c->next_start = mono + 1000 * (int64_t)(c->failures == 1 ? 0 : (BACKOFF_FIRST_MS << shift) < BACKOFF_LAST_MS
	                                                                     ? BACKOFF_FIRST_MS << shift
	                                                                     : BACKOFF_LAST_MS);
	/* What can't come up for one reason is said once, not with every try. */
	log_event(c->failures > 1 && strcmp(c->why, c->said) == 0 ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR,
	          WIFSIGNALED(status) ? "role killed" : "role ended", "which", role_table[r].name, WIFSIGNALED(status) ? "signal" : "code",
	          LOG_NUM(WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status)), "failures", LOG_NUM(c->failures),
	          "why", c->why[0] != 0 ? c->why : NULL, NULL);
	memcpy(c->said, c->why, sizeof c->said);
	/* Nobody waits for three calls that hang: whoever started the service has lost patience by then. */
	if (!c->ever_ready && !p->said_ready && (p->o->provision || late || c->failures >= START_TRIES))
		give_up(p, r);
	if (r == ROLE_CA)
		tell_why(p);
}

static void reap(struct parent *p)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (int r = 0; r < ROLE_COUNT; r++)
			if (p->child[r].pid == pid)
				role_died(p, r, status);
}

static void restart_due(struct parent *p)
{
	struct err e;

	for (int r = 0; r < ROLE_COUNT; r++) {
		struct child *c = &p->child[r];

		if (c->pid != 0 || !takes_part(p, r) || p->stop != 0 || clock_mono() < c->next_start)
			continue;
		if (!start_role(p, r, &e)) {
			log_event(LOG_LEVEL_ERROR, "restart failed", "which", role_table[r].name, "why", e.text, NULL);
			c->next_start = clock_mono() + US_PER_SECOND;
			continue;
		}
		log_event(c->failures > 2 ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN, "role restarted", "which", role_table[r].name, NULL);
	}
}

/* OPS-05: what was opened at the start stays as it was. */
static void say_restart(const struct config *was, const struct config *is)
{
	char ports[4][8];
	const char *resolver_was = strrchr(was->acme_resolver, ':'), *resolver_is = strrchr(is->acme_resolver, ':');
	const struct {
		const char *key, *was, *is;
	} rows[] = { { "listen.enroll", was->listen_enroll, is->listen_enroll }, { "listen.va", was->listen_va, is->listen_va },
		     { "listen.metrics", was->listen_metrics, is->listen_metrics }, { "hsm.module", was->hsm_module, is->hsm_module },
		     { "hsm.token", was->hsm_token, is->hsm_token }, { "hsm.pin", was->hsm_pin, is->hsm_pin },
		     { "hsm.paths", was->hsm_paths, is->hsm_paths },
		     { "hsm.ports", was->hsm_ports, is->hsm_ports }, { "database", was->database, is->database },
		     { "acme.http_port", ports[0], ports[1] }, { "acme.tls_alpn_port", ports[2], ports[3] },
		     { "acme.resolver", resolver_was != NULL ? resolver_was : ":53", resolver_is != NULL ? resolver_is : ":53" } };

	/* Landlock knows them. */
	snprintf(ports[0], sizeof ports[0], "%ld", (long)was->acme_http_port);
	snprintf(ports[1], sizeof ports[1], "%ld", (long)is->acme_http_port);
	snprintf(ports[2], sizeof ports[2], "%ld", (long)was->acme_tls_alpn_port);
	snprintf(ports[3], sizeof ports[3], "%ld", (long)is->acme_tls_alpn_port);
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (strcmp(rows[i].was, rows[i].is) != 0)
			log_event(LOG_LEVEL_WARN, "this setting needs a restart", "key", rows[i].key, "now", rows[i].was, "then", rows[i].is, NULL);
}

/* sd_notify(3): systemd wants to know since when. */
static void notify_reloading(void)
{
	AUTO_FREE char *text = mem_printf("RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_mono());

	sd_notify(0, text);
}

/* While the parent runs its loop it is alive; its roles are watched by it. */
static void feed_watchdog(struct parent *p)
{
	if (p->watchdog == 0 || clock_mono() < p->watchdog_next)
		return;
	p->watchdog_next = clock_mono() + (int64_t)p->watchdog / 3;
	sd_notify(0, "WATCHDOG=1");
}

static void reload(struct parent *p)
{
	AUTO_FREE char *path = NULL;
	AUTO_FD int fd = -1;
	AUTO_BUF mistakes = { 0 };
	AUTO_FREE struct config *next = mem_new(sizeof *next);

	notify_reloading();
	if (!config_load(next, p->o->dir, &mistakes)) {
		sd_notify(0, "READY=1");
		log_event(LOG_LEVEL_ERROR, "configuration not reloaded, the old one stays", "why", buf_str(&mistakes), NULL);
		return;
	}
	path = mem_printf("%s/caduceus.yaml", p->o->dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	say_restart(&p->config, next);
	p->config = *next;
	log_set_level(next->log_level);
	log_set_json(next->log_json);
	for (int r = 0; r < ROLE_COUNT; r++)
		if (p->child[r].pid != 0)
			(void)!control_send(p->child[r].control, CONTROL_RELOAD, "", fd, NULL);
	sd_notify(0, "READY=1");
	log_event(LOG_LEVEL_INFO, "configuration reloaded", NULL);
}

static void take_signals(struct parent *p)
{
	struct signalfd_siginfo s;

	while (read(p->signals, &s, sizeof s) == sizeof s) {
		if (s.ssi_signo == SIGCHLD)
			reap(p);
		else if (s.ssi_signo == SIGHUP)
			reload(p);
		else
			ask_stop(p);
	}
}

static void tell_layers_of(struct parent *p, enum role_id r)
{
	char text[CONTROL_NAME_MAX];

	snprintf(text, sizeof text, "%s %.20s", role_table[r].name, p->child[r].layers);
	if (p->child[ROLE_RA].pid != 0 && p->child[r].ready)
		(void)!control_send(p->child[ROLE_RA].control, CONTROL_LAYERS, text, -1, NULL);
}

/* `status` is ra's answer: it hears of everybody, and after a restart of all. */
static void tell_layers(struct parent *p, enum role_id changed)
{
	for (int r = 0; r < ROLE_COUNT; r++)
		if (r == (int)changed || changed == ROLE_RA)
			tell_layers_of(p, (enum role_id)r);
	if (changed == ROLE_RA)
		tell_why(p);
}

static void hear(struct parent *p, enum role_id r)
{
	struct control c;

	/* So many a turn: a role that was taken over has its say, no more. */
	for (int n = 0; n < 16 && p->child[r].pid != 0 && control_recv(p->child[r].control, &c) == CONTROL_GOT; n++) {
		if (c.fd >= 0)
			close(c.fd);
		if (c.op == CONTROL_FAILED)
			memcpy(p->child[r].why, c.name, sizeof p->child[r].why);
		if (c.op == CONTROL_READY && !p->child[r].ready) {
			p->child[r].ready = true;
			p->child[r].ever_ready = true;
			p->child[r].why[0] = 0;
			snprintf(p->child[r].layers, sizeof p->child[r].layers, "%.*s", (int)sizeof p->child[r].layers - 1, c.name);
			log_event(LOG_LEVEL_DEBUG, "role ready", "which", role_table[r].name, "sandbox", c.name, NULL);
			tell_layers(p, r);
		}
	}
}

static void say_ready(struct parent *p)
{
	if (p->said_ready || !all_ready(p))
		return;
	p->said_ready = true;
	if (p->o->provision) {
		ask_stop(p);
		return;
	}
	if (!p->o->quiet) {
		printf("ready\n");
		fflush(stdout);
	}
	sd_notify(0, "READY=1");
	log_event(LOG_LEVEL_INFO, "ready", "enroll", p->config.listen_enroll, "va", p->config.listen_va, NULL);
}

static void loop(struct parent *p)
{
	if (sd_watchdog_enabled(0, &p->watchdog) <= 0)
		p->watchdog = 0;
	while (p->stop == 0 || !none_left(p)) {
		struct pollfd fd[1 + ROLE_COUNT];

		fd[0] = (struct pollfd){ .fd = p->signals, .events = POLLIN };
		for (int r = 0; r < ROLE_COUNT; r++)
			fd[1 + r] = (struct pollfd){ .fd = p->child[r].pid != 0 ? p->child[r].control : -1,
				                     .events = POLLIN };
		(void)poll(fd, 1 + ROLE_COUNT, 50);
		if (fd[0].revents != 0)
			take_signals(p);
		for (int r = 0; r < ROLE_COUNT; r++)
			hear(p, r);
		say_ready(p);
		feed_watchdog(p);
		if (p->stop != 0)
			continue_stop(p);
		else
			restart_due(p);
	}
}

static bool start_all(struct parent *p, struct err *e)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	p->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (p->signals < 0)
		return err_sys(e, ERR_IO, "signalfd");
	for (int r = 0; r < ROLE_COUNT; r++)
		if (takes_part(p, r) && !start_role(p, r, e))
			return false;
	return true;
}

static int begin(struct parent *p, struct err *e)
{
	AUTO_BUF mistakes = { 0 };
	int rc;

	if (!config_load(&p->config, p->o->dir, &mistakes)) {
		fprintf(stderr, "%s", buf_str(&mistakes));
		err_set(e, ERR_CONFIG, "the configuration has mistakes; nothing was started");
		return 1;
	}
	log_open("parent", p->config.log_level);
	log_set_json(p->config.log_json);
	rc = lock_instance(p, e);
	if (rc != 0)
		return rc;
	owners_find(&p->owners);
	if (!p->owners.apart && !p->o->provision)
		log_event(LOG_LEVEL_WARN, "the roles share one uid", "why", p->owners.why_not, NULL);
	/* A unit may have done it before (parent_own) and taken the right away. */
	if (prctl(PR_CAPBSET_READ, CAP_CHOWN) == 1 && !owners_apply(&p->owners, &p->config, e))
		return 1;
	return open_listeners(p, e) && start_all(p, e) ? 0 : 1;
}

int parent_serve(const struct parent_options *o)
{
	AUTO_FREE struct parent *p = mem_new(sizeof *p);
	struct err e = { 0 };
	int rc;

	p->o = o;
	p->self = getpid();
	p->lock = p->signals = p->metrics = -1;
	umask(0027);
	p->given = o->provision ? 0 : sd_listen_fds_with_names(1, &p->given_names);
	if (p->given < 0)
		p->given = 0;
	for (int r = 0; r < ROLE_COUNT; r++)
		p->listener[r] = p->child[r].control = -1;
	rc = begin(p, &e);
	free_given(p);
	if (rc != 0) {
		fprintf(stderr, "caduceus: %s\n", e.text);
		ask_stop(p);
		ask_stop(p);
	}
	if (p->signals >= 0)
		loop(p);
	for (int r = 0; r < ROLE_COUNT; r++)
		if (p->listener[r] >= 0)
			close(p->listener[r]);
	if (p->signals >= 0)
		close(p->signals);
	if (p->lock >= 0)
		close(p->lock);
	if (p->failed)
		fprintf(stderr, "caduceus: a role could not start; the reason stands above\n");
	return rc != 0 ? rc : p->failed || (o->provision && !p->said_ready);
}

bool parent_own(const char *dir, struct err *e)
{
	AUTO_FREE struct config *c = mem_new(sizeof *c);
	AUTO_BUF mistakes = { 0 };
	struct owners o;

	if (!config_load(c, dir, &mistakes))
		return err_set(e, ERR_CONFIG, "%.400s", buf_str(&mistakes));
	owners_find(&o);
	if (!o.apart)
		return err_set(e, ERR_DENIED, "nothing done: %s", o.why_not);
	return owners_apply(&o, c, e);
}
