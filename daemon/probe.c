/* SPDX-License-Identifier: Apache-2.0
 *
 * The probe role: goes out for ra, and knows nobody else. No key, no database, nothing that it may write. */
#include "probe/core.h"

#include "base/clock.h"
#include "base/log.h"
#include "daemon/role.h"

#include <arpa/inet.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

static struct role role;
static struct port ra;
static struct probe *probe;
static struct metrics *metrics;
static char anchors[2 * CONFIG_TEXT_MAX], identity[256], resolver[160];

/* On the loop's thread. A ra that does not take its answers for a second is stuck or gone; it asks again. */
static void reply(void *arg, const struct frame *f)
{
	struct err e;

	(void)arg;
	if (!port_send_wait(&ra, f, clock_mono() + US_PER_SECOND, &e))
		log_event(LOG_LEVEL_WARN, "answer not delivered", "why", e.text, NULL);
}

/* The resolver by its address: who names it is asked by the system. */
static void resolver_address(const char *text, char *out, size_t size)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_DGRAM };
	struct addrinfo *list = NULL;
	char host[128], address[INET6_ADDRSTRLEN];
	uint16_t port;

	snprintf(out, size, "%s", text);
	if (strcmp(text, "system") == 0 || !config_host_port(text, host, sizeof host, &port))
		return;
	if (getaddrinfo(host, NULL, &hints, &list) == 0 &&
	    getnameinfo(list->ai_addr, list->ai_addrlen, address, sizeof address, NULL, 0, NI_NUMERICHOST) == 0)
		snprintf(out, size, strchr(address, ':') != NULL ? "[%s]:%u" : "%s:%u", address, port);
	else
		log_event(LOG_LEVEL_ERROR, "the host of acme.resolver can't be resolved", "host", host, NULL);
	if (list != NULL)
		freeaddrinfo(list);
}

/* Texts stay where they are until the next reload. */
static struct probe_config settings(void)
{
	const struct config *c = &role.config;
	bool below = strcmp(c->acme_trust_anchors, "none") != 0 && c->acme_trust_anchors[0] != '/';

	resolver_address(c->acme_resolver, resolver, sizeof resolver);
	snprintf(anchors, sizeof anchors, "%s%s%s", below ? role.dir : "", below ? "/" : "", c->acme_trust_anchors);
	config_caa_identity(c, identity, sizeof identity);
	return (struct probe_config){
		.resolver = resolver,
		.trust_anchors = anchors,
		.networks = c->acme_networks,
		.http_port = (uint16_t)c->acme_http_port,
		.tls_alpn_port = (uint16_t)c->acme_tls_alpn_port,
		.caa_identity = identity,
		.reply = reply,
		.metrics = metrics,
	};
}

/* The resolver's host may take as long to be found as the system's resolver takes. */
static void reload(void)
{
	const struct probe_config next = settings();
	struct err e;

	if (!probe_configure(probe, &next, &e))
		log_event(LOG_LEVEL_ERROR, "settings not taken", "why", e.text, NULL);
}

static void on_control(void *arg, const struct control *c)
{
	(void)arg;
	if (c->op == CONTROL_CHANNEL)
		port_adopt(&ra, c->fd, role.name);
	if (c->op == CONTROL_RELOAD)
		reload();
}

static void tell_counts(void)
{
	static int64_t told;
	AUTO_BUF lines = { 0 };

	if (clock_mono() - told < 2 * US_PER_SECOND || !ra.greeted)
		return;
	told = clock_mono();
	metrics_put(metrics, &lines);
	if (lines.n != 0)
		(void)!port_send(&ra, &(struct frame){ .type = PROBE_COUNTED, .body = span_of(&lines) }, NULL);
}

static void take_frames(struct buf *scratch)
{
	struct frame f;

	for (;;) {
		switch (port_recv(&ra, scratch, &f)) {
		case PORT_FRAME:
			probe_feed(probe, &f);
			break;
		case PORT_UP:
		case PORT_DOWN:
			probe_reset(probe);
			break;
		case PORT_NOTHING:
			return;
		}
	}
}

static void serve(void)
{
	AUTO_BUF scratch = { 0 };

	for (;;) {
		struct pollfd fd[] = { { .fd = CONTROL_FD, .events = POLLIN }, { .fd = ra.fd, .events = POLLIN } };

		(void)poll(fd, COUNT_OF(fd), 2000);
		if (fd[0].revents != 0 && role_take_control(&role, on_control, NULL))
			return;
		take_frames(&scratch);
		tell_counts();
	}
}

/* TCP to where validation goes and to the resolver, for what does not fit into a datagram; the folder to which
 * resolv.conf leads, which is another program's and changes. */
static void confine(void)
{
	struct sandbox s = { .outbound = true,
		             .port = { (uint16_t)role.config.acme_http_port, (uint16_t)role.config.acme_tls_alpn_port, 80, 443, 53 } };
	char real[PATH_MAX] = "", host[128], *slash;
	size_t n = 0;

	if (strcmp(role.config.acme_resolver, "system") != 0)
		(void)!config_host_port(role.config.acme_resolver, host, sizeof host, &s.port[5]);
	if (realpath("/etc/resolv.conf", real) != NULL && strncmp(real, "/etc/", 5) != 0 && (slash = strrchr(real, '/')) != NULL && slash != real) {
		*slash = 0;
		s.path[n++] = (struct sandbox_path){ real, false };
	}
	if (strcmp(anchors, "none") != 0)
		s.path[n++] = (struct sandbox_path){ anchors, false };
	role_confine(&s);
}

int main(int argc, char **argv)
{
	struct probe_config c;
	struct err e;

	role_begin(&role, "probe", argc, argv);
	port_init(&ra);
	metrics = metrics_new();
	c = settings();
	if (!probe_new(&probe, &c, &e))
		role_fail(&e);
	confine();
	if (!probe_start(probe, &e))
		role_fail(&e);
	role_ready();
	serve();
	probe_free(probe);
	metrics_free(metrics);
	port_drop(&ra);
	return 0;
}
