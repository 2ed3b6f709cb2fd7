/* SPDX-License-Identifier: Apache-2.0
 *
 * The ra role: one loop on one thread over four channels and the database. */
#include "ra/ra.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/rnd.h"
#include "daemon/offline.h"
#include "daemon/role.h"
#include "pkix/key.h"
#include "store/store.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { WITHOUT_CA_S = 3, CONFIG_FILE_MAX = 65536 };

static struct role role;
static struct port port[RA_PORT_COUNT];
static const char *const peers[RA_PORT_COUNT] = {
	[RA_PORT_ENROLL] = "front", [RA_PORT_OFFICER] = "officers", [RA_PORT_CA] = "ca", [RA_PORT_VA] = "va",
	[RA_PORT_PROBE] = "probe",
};

static bool give(void *arg, enum ra_port to, const struct frame *f)
{
	(void)arg;
	return port_send(&port[to], f, NULL);
}

static enum ra_port port_of(const char *name)
{
	for (int i = 0; i < RA_PORT_COUNT; i++)
		if (strcmp(peers[i], name) == 0)
			return (enum ra_port)i;
	return RA_PORT_COUNT;
}

static bool config_digest(int fd, uint8_t out[32])
{
	AUTO_BUF text = { 0 };
	ssize_t n;

	buf_reserve(&text, CONFIG_FILE_MAX);
	n = fd >= 0 ? pread(fd, text.p, CONFIG_FILE_MAX, 0) : -1;
	if (n < 0)
		return false;
	digest_sha256(out, text.p, (size_t)n);
	return true;
}

static void on_control(void *arg, const struct control *c)
{
	uint8_t digest[32];
	struct ra *ra = arg;
	enum ra_port p = port_of(c->name);

	if (c->op == CONTROL_LAYERS)
		ra_layers(ra, c->name);
	if (c->op == CONTROL_FAILED)
		ra_ca_failed(ra, c->name);
	if (c->op == CONTROL_RELOAD && config_digest(c->fd, digest))
		ra_reload(ra, &role.config, digest, clock_now());
	if (c->op == CONTROL_CHANNEL && p != RA_PORT_COUNT) {
		if (port[p].greeted)
			ra_peer(ra, p, false, clock_now(), clock_mono());
		port_adopt(&port[p], c->fd, role.name);
	}
}

static void take_frames(struct ra *ra, enum ra_port from, struct buf *scratch)
{
	struct frame f;

	for (;;) {
		switch (port_recv(&port[from], scratch, &f)) {
		case PORT_FRAME:
			ra_feed(ra, from, &f, clock_mono());
			break;
		case PORT_UP:
			ra_peer(ra, from, true, clock_now(), clock_mono());
			break;
		case PORT_DOWN:
			ra_peer(ra, from, false, clock_now(), clock_mono());
			return;
		case PORT_NOTHING:
			return;
		}
	}
}

static void wait_for_work(int64_t until, bool *control)
{
	struct pollfd fd[1 + RA_PORT_COUNT] = { { .fd = CONTROL_FD, .events = POLLIN } };
	int64_t left = until - clock_mono();

	for (int i = 0; i < RA_PORT_COUNT; i++)
		fd[1 + i] = (struct pollfd){ .fd = port[i].fd, .events = POLLIN };
	(void)poll(fd, 1 + RA_PORT_COUNT, left <= 0 ? 0 : left > US_PER_SECOND ? 1000 : (int)(left / 1000) + 1);
	*control = fd[0].revents != 0;
}

static void serve(struct ra *ra)
{
	AUTO_BUF scratch = { 0 };
	int64_t next = 0, stop_by = 0, began = clock_mono();
	bool control;

	for (;;) {
		wait_for_work(next, &control);
		if (control && role_take_control(&role, on_control, ra) && stop_by == 0)
			stop_by = clock_mono() + 10 * US_PER_SECOND;
		/* On a busy machine those who make requests come first: more of them then share the turn and its commit. Where
		 * nobody waits for the processor this returns at once. */
		sched_yield();
		for (int i = 0; i < RA_PORT_COUNT; i++)
			take_frames(ra, (enum ra_port)i, &scratch);
		next = ra_turn(ra, clock_now(), clock_mono());
		/* Without ca there is enough to do. */
		if (role.provision ? ra_provisioned(ra) : ra_settled(ra) || clock_mono() - began > WITHOUT_CA_S * US_PER_SECOND)
			role_ready();
		/* What is under way is finished first; the fronts have stopped by now. */
		if (stop_by != 0 && (!ra_busy(ra) || clock_mono() >= stop_by)) {
			ra_stopping(ra, clock_now());
			return;
		}
	}
}

static void database_uri(char *out, size_t size)
{
	const char *path = role.config.database;

	if (strncmp(path, "sqlite:", 7) == 0 && path[7] != '/')
		snprintf(out, size, "sqlite:%s/%s", role.dir, path + 7);
	else
		snprintf(out, size, "%s", path);
}

static void confine(const char *database)
{
	AUTO_FREE char *wal = mem_printf("%s-wal", database), *shm = mem_printf("%s-shm", database), *lock = mem_printf("%s.lock", database),
	               *trust = mem_printf("%s/trust", role.dir), *crl = mem_printf("%s/crl", role.dir),
	               *profiles = mem_printf("%s/profiles", role.dir), *backup = mem_printf("%s/backup", role.dir);

	role_confine(&(struct sandbox){ .path = { { database, true }, { wal, true }, { shm, true }, { lock, true }, { trust, true },
	                                          { crl, true }, { profiles, true }, { backup, true } } });
}

int main(int argc, char **argv)
{
	AUTO_STRUCT(store) *store = NULL;
	AUTO_STRUCT(ra) *ra = NULL;
	char uri[2 * CONFIG_TEXT_MAX];
	uint8_t digest[32] = { 0 };
	struct err e;

	role_begin(&role, "ra", argc, argv);
	/* Whoever is working is not pushed aside by each request that comes: on a busy machine more of them share a turn and its
	 * commit, on an idle one nobody waits. */
	(void)sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){ 0 });
	AUTO_FREE char *file = mem_printf("%s/caduceus.yaml", role.dir);
	AUTO_FD int fd = open(file, O_RDONLY | O_CLOEXEC);

	(void)config_digest(fd, digest);
	database_uri(uri, sizeof uri);
	if (role.option != NULL)
		return offline_command(uri, role.option);
	for (int i = 0; i < RA_PORT_COUNT; i++)
		port_init(&port[i]);
	if (!store_open(&store, uri, role.provision, &e))
		role_fail(&e);
	confine(uri + strlen("sqlite:"));
	if (!ra_open(&ra, &(struct ra_config){ .config = &role.config, .dir = role.dir, .store = store, .config_digest = digest,
	                                       .provision = role.provision, .rnd = rnd_kernel, .send = give },
	             clock_now(), clock_mono(), &e))
		role_fail(&e);
	serve(ra);
	return 0;
}
