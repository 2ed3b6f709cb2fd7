/* SPDX-License-Identifier: Apache-2.0
 *
 * The va role: status in memory, fed by ra; answers signed by ca; plain HTTP. */
#include "crl/va.h"

#include "base/clock.h"
#include "base/log.h"
#include "crl/ocsp_request.h"
#include "daemon/role.h"

#include <poll.h>
#include <string.h>

enum { DRAIN_US = 10 * 1000000 };

static struct role role;
static struct caller *ra, *ca;
static int listener = -1;

static void on_control(void *arg, const struct control *c)
{
	(void)arg;
	if (c->op == CONTROL_CHANNEL)
		caller_channel(strcmp(c->name, "ca") == 0 ? ca : ra, c->fd);
	if (c->op == CONTROL_LISTEN)
		listener = c->fd;
}

static bool wait_control(int ms)
{
	return role_wait_control(&role, ms, on_control, NULL);
}

static struct web *start_web(struct va *va)
{
	struct route routes[] = {
		{ "/ocsp", va_ocsp_head(), va, OCSP_REQUEST_MAX },
		{ "/crl", va_file_head(), va, 0 },
		{ "/ca", va_file_head(), va, 0 },
		{ "/healthz", va_health_head(), va, 0 },
		{ "/readyz", va_health_head(), va, 0 },
	};
	struct web *web;
	struct err e;

	if (!web_start(&web, &(struct web_config){
	                .listen_fd = listener,
	                .epoll_pool = true,
	                .routes = routes,
	                .route_n = COUNT_OF(routes),
	                .connections = (unsigned)role.config.limits_connections,
	                .per_address = (unsigned)role.config.limits_per_address,
	                .request_timeout = role.config.limits_request_seconds * US_PER_SECOND,
	                .name = "va",
	            }, &e))
		role_fail(&e);
	return web;
}

int main(int argc, char **argv)
{
	struct web *web = NULL;
	struct va *va;

	role_begin(&role, "va", argc, argv);
	AUTO_FREE char *crl = mem_printf("%s/crl", role.dir);

	role_confine(&(struct sandbox){ .path = { { crl, false } }, .accepts = true });
	va = va_new(&(struct va_config){ .dir = role.dir, .now = clock_now });
	ra = caller_new("va", va_notice, va_up, va);
	ca = caller_new("va", NULL, NULL, NULL);
	va_set_callers(va, ra, ca);
	while (!wait_control(web == NULL || !va_caught_up(va) ? 20 : 1000)) {
		if (web == NULL && listener >= 0)
			web = start_web(va);
		if (web != NULL && va_caught_up(va) && caller_is_up(ca))
			role_ready();
	}
	if (web != NULL)
		web_stop(web, DRAIN_US);
	caller_free(ra);
	caller_free(ca);
	va_free(va);
	return 0;
}
