/* SPDX-License-Identifier: Apache-2.0
 *
 * The front role, twice from one program: `--enroll` speaks EST to devices over TLS, `--officers` speaks the officer
 * API on the local socket. */
#include "api/api.h"
#include "base/clock.h"
#include "base/log.h"
#include "daemon/own_tls.h"
#include "daemon/role.h"
#include "est/est.h"
#include "est/health.h"
#include "ra/ra.h"
#include "web/web.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

enum { DRAIN_US = 10 * 1000000, OFFICER_BODY_MAX = 1 << 20 };

static struct role role;
static struct est *est;
static struct web *web;
static struct own_tls own_tls;
static int listener = -1;
static bool trusted; /* est has heard RA_TRUST; written on the receiver thread, read in the loop: one octet */

static void take_trust(void *arg, const struct frame *f, const struct err *e)
{
	(void)arg;
	if (f == NULL) {
		log_event(LOG_LEVEL_WARN, "no trust anchors yet", "why", e->text, NULL);
		return;
	}
	est_trust(est, f->body);
	__atomic_store_n(&trusted, true, __ATOMIC_RELEASE);
}

static void notice(void *arg, const struct frame *f)
{
	if (est != NULL && f->type == RA_TRUST)
		take_trust(arg, f, NULL);
}

static struct caller *ra;

static void up(void *arg)
{
	(void)arg;
	if (est != NULL)
		caller_submit(ra, &(struct frame){ .type = RA_TRUST }, take_trust, NULL);
}

static void logged(void *arg, const struct request *q, const struct response *r, int64_t us)
{
	(void)arg;
	log_event(r->status >= 500 ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "request", "request_id", q->request_id, "remote",
	          q->remote, "method", q->method, "path", q->path, "status", LOG_NUM(r->status), "dur_us",
	          LOG_NUM(us), "why", r->why[0] != 0 ? r->why : NULL, NULL);
}

static void start_web(const struct route *routes, size_t n, struct tls_key *key)
{
	bool enroll = est != NULL;
	struct err e;

	if (!web_start(&web, &(struct web_config){
	                .listen_fd = listener,
	                .tls = enroll,
	                .tls_key = key,
	                .routes = routes,
	                .route_n = n,
	                .connections = (unsigned)role.config.limits_connections,
	                .per_address = enroll ? (unsigned)role.config.limits_per_address : 0,
	                .request_timeout = role.config.limits_request_seconds * US_PER_SECOND,
	                .name = role.name,
	                .logged = logged,
	            }, &e))
		role_fail(&e);
	listener = -1;
}

static void on_control(void *arg, const struct control *c)
{
	(void)arg;
	if (c->op == CONTROL_CHANNEL)
		caller_channel(ra, c->fd);
	if (c->op == CONTROL_LISTEN)
		listener = c->fd;
}

static bool wait_control(int ms)
{
	return role_wait_control(&role, ms, on_control, NULL);
}

/* The key that DIR/tls holds, or a new one; NULL while ra can't certify one yet. */
static struct tls_key *tls_key_get(void)
{
	struct tls_key *key = NULL;
	struct err e;

	if (own_tls.renew_at == 0 && own_tls_load(&own_tls, &key, &e))
		return key;
	if (clock_now() < own_tls.renew_at || !caller_is_up(ra))
		return NULL;
	if (own_tls_renew(&own_tls, &key, &e)) {
		log_event(LOG_LEVEL_INFO, "own TLS certificate renewed", NULL);
		return key;
	}
	/* While an instance is made its authorities come one after another. */
	log_event(role.provision ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN, "own TLS certificate not renewed", "why", e.text, NULL);
	return NULL;
}

static void serve_enroll(void)
{
	struct route routes[] = {
		{ "/.well-known/est", est_head(), est, (size_t)role.config.est_max_body },
		{ "/healthz", health_head(), ra, 0 },
		{ "/readyz", health_head(), ra, 0 },
	};
	int64_t tried = 0;
	struct tls_key *key;

	while (!wait_control(web == NULL || !__atomic_load_n(&trusted, __ATOMIC_ACQUIRE) ? 20 : 1000)) {
		bool early = web == NULL;

		if (web != NULL && __atomic_load_n(&trusted, __ATOMIC_ACQUIRE))
			role_ready();
		if (early ? clock_mono() - tried < US_PER_SECOND / 10
		          : clock_now() < own_tls.renew_at || clock_mono() - tried < own_tls_pause(&own_tls))
			continue;
		tried = clock_mono();
		key = tls_key_get();
		if (key != NULL && role.provision) {
			tls_key_free(key);
			role_ready();
			own_tls.renew_at = INT64_MAX;
			continue;
		}
		if (key != NULL && web != NULL)
			web_set_tls_key(web, key);
		else if (key != NULL)
			start_web(routes, COUNT_OF(routes), key);
	}
}

static void serve_officers(struct api *api)
{
	struct route routes[] = {
		{ "/api/v1", api_head(), api, OFFICER_BODY_MAX },
		{ "/healthz", health_head(), ra, 0 },
		{ "/readyz", health_head(), ra, 0 },
	};

	while (!wait_control(web == NULL ? 20 : 1000)) {
		if (web == NULL && listener >= 0 && caller_is_up(ra)) {
			start_web(routes, COUNT_OF(routes), NULL);
			role_ready();
		}
	}
}

int main(int argc, char **argv)
{
	bool officers;

	role_begin(&role, "front", argc, argv);
	officers = role.option != NULL && strcmp(role.option, "--officers") == 0;
	if (officers)
		log_open(role.name = "officers", role.config.log_level);
	AUTO_FREE char *tls = mem_printf("%s/tls", role.dir);

	role_confine(&(struct sandbox){ .path = { { officers ? NULL : tls, true } }, .accepts = true });
	if (!officers)
		est = est_new();
	ra = caller_new(role.name, notice, up, NULL);
	own_tls = (struct own_tls){ .dir = role.dir, .ra = ra };
	if (est != NULL)
		est_set_caller(est, ra);
	struct api *api = officers ? api_new(ra) : NULL;

	if (officers)
		serve_officers(api);
	else
		serve_enroll();
	if (web != NULL)
		web_stop(web, DRAIN_US);
	caller_free(ra);
	api_free(api);
	est_free(est);
	return 0;
}
