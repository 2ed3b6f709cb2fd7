/* SPDX-License-Identifier: Apache-2.0
 *
 * The front role, twice from one program: `--enroll` speaks EST and ACME to devices over TLS, `--officers` speaks the
 * officer API on the local socket. */
#include "acme/acme.h"
#include "api/api.h"
#include "api/metrics.h"
#include "base/metric.h"
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
static struct est *est; /* with acme: of --enroll alone */
static struct acme *acme;
static struct web *web, *metrics_web;
static struct own_tls own_tls;
static int listener = -1, metrics_listener = -1;
static struct metrics *metrics;
static bool renew_now; /* as trusted, the other way round: set there, taken here */
static bool trusted; /* est has heard RA_TRUST; written on the receiver thread, read in the loop: one octet */

static void take_trust(void *arg, const struct frame *f, const struct err *e)
{
	(void)arg;
	if (f == NULL) {
		log_event(LOG_LEVEL_WARN, "no trust anchors yet", "why", e->text, NULL);
		return;
	}
	est_trust(est, f->body);
	acme_trust(acme, f->body);
	__atomic_store_n(&trusted, true, __ATOMIC_RELEASE);
}

static void notice(void *arg, const struct frame *f)
{
	if (est != NULL && f->type == RA_TRUST)
		take_trust(arg, f, NULL);
	if (est != NULL && f->type == RA_TLS_RENEW)
		__atomic_store_n(&renew_now, true, __ATOMIC_RELEASE);
}

static struct caller *ra;

static void up(void *arg)
{
	(void)arg;
	if (est != NULL)
		caller_submit(ra, &(struct frame){ .type = RA_TRUST }, take_trust, NULL);
}

static bool is_acme(const struct request *q)
{
	return strncmp(q->path, "/acme", 5) == 0 && (q->path[5] == 0 || q->path[5] == '/');
}

static void refused(void *arg, const struct request *q, struct response *r)
{
	(void)arg;
	if (acme != NULL && is_acme(q))
		acme_refused(acme, q, r);
}

static const char *unless_none(const char *text)
{
	return strcmp(text, "none") == 0 ? "" : text;
}

/* ACME's part of the configuration, at the start and after a reload. */
static void set_acme(void)
{
	const struct config *c = &role.config;
	struct acme_settings s = { .eab_required = strcmp(c->acme_eab, "required") == 0 };

	snprintf(s.base, sizeof s.base, "%s", c->public_enroll);
	snprintf(s.terms, sizeof s.terms, "%s", unless_none(c->acme_terms));
	snprintf(s.website, sizeof s.website, "%s", unless_none(c->acme_website));
	if (strcmp(c->acme_caa, "on") == 0)
		config_caa_identity(c, s.caa_identity, sizeof s.caa_identity);
	acme_set(acme, &s);
}

static void logged(void *arg, const struct request *q, const struct response *r, int64_t us)
{
	char labels[64];

	(void)arg;
	snprintf(labels, sizeof labels, "listener=\"%s\",status=\"%u\"", role.name, r->status);
	metrics_add(metrics, "caduceus_requests_total", labels, 1);
	snprintf(labels, sizeof labels, "listener=\"%s\"", role.name);
	metrics_observe(metrics, "caduceus_request_duration_seconds", labels, us);
	if (r->status == 413 && est != NULL && !is_acme(q))
		est_too_large(est, q);
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
	                .refused = refused,
	            }, &e))
		role_fail(&e);
	listener = -1;
}

static void on_control(void *arg, const struct control *c)
{
	(void)arg;
	if (c->op == CONTROL_CHANNEL)
		caller_channel(ra, c->fd);
	if (c->op == CONTROL_RELOAD && acme != NULL)
		set_acme();
	if (c->op == CONTROL_LISTEN && strcmp(c->name, "metrics") == 0)
		metrics_listener = c->fd;
	else if (c->op == CONTROL_LISTEN)
		listener = c->fd;
}

/* Every few seconds ra hears what was counted here: /metrics is its answer. */
static void tell_counts(void)
{
	static int64_t told;
	AUTO_BUF lines = { 0 };

	if (clock_mono() - told < 2 * US_PER_SECOND || !caller_is_up(ra))
		return;
	told = clock_mono();
	metrics_put(metrics, &lines);
	if (lines.n != 0)
		(void)!caller_tell(ra, &(struct frame){ .type = RA_COUNTED, .body = span_of(&lines) }, NULL);
}

static bool wait_control(int ms)
{
	bool stop = role_wait_control(&role, ms, on_control, NULL);

	tell_counts();
	return stop;
}

/* The key that DIR/tls holds, or a new one; NULL while ra can't certify one yet. */
static struct tls_key *tls_key_get(void)
{
	struct tls_key *key = NULL;
	struct err e;

	if (own_tls.renew_at == 0 && own_tls_load(&own_tls, &key, &e))
		return key;
	if (!own_tls_due(&own_tls, clock_now()) || !caller_is_up(ra))
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
		{ "/acme", acme_head(), acme, ACME_BODY_MAX },
		{ "/healthz", health_head(), ra, 0 },
		{ "/readyz", health_head(), ra, 0 },
	};
	int64_t tried = 0;
	struct tls_key *key;

	while (!wait_control(web == NULL || !__atomic_load_n(&trusted, __ATOMIC_ACQUIRE) ? 20 : 1000)) {
		bool early = web == NULL;

		if (web != NULL && __atomic_load_n(&trusted, __ATOMIC_ACQUIRE))
			role_ready();
		if (__atomic_exchange_n(&renew_now, false, __ATOMIC_ACQ_REL)) {
			own_tls.renew_at = 1;
			tried = 0;
		}
		if (early ? clock_mono() - tried < US_PER_SECOND / 10
		          : !own_tls_due(&own_tls, clock_now()) || clock_mono() - tried < own_tls_pause(&own_tls))
			continue;
		tried = clock_mono();
		key = tls_key_get();
		if (key != NULL && !own_tls_due(&own_tls, clock_now()))
			tried = 0; /* the pause is for what fails; a clock that steps back is answered at once */
		if (key != NULL && role.provision) {
			tls_key_free(key);
			role_ready();
			own_tls.renew_at = INT64_MAX;
			own_tls.not_before = 0;
			continue;
		}
		if (key != NULL && web != NULL)
			web_set_tls_key(web, key);
		else if (key != NULL)
			start_web(routes, COUNT_OF(routes), key);
	}
}

/* Plain HTTP, loopback by default; scrapes are not logged. */
static void start_metrics(void)
{
	const struct route routes[] = { { "/metrics", metrics_head(), ra, 0 } };
	struct err e;

	if (!web_start(&metrics_web, &(struct web_config){ .listen_fd = metrics_listener, .routes = routes, .route_n = COUNT_OF(routes),
	                                                   .connections = 32, .request_timeout = 10 * US_PER_SECOND, .name = "metrics" }, &e))
		role_fail(&e);
	metrics_listener = -1;
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
		if (metrics_web == NULL && metrics_listener >= 0 && caller_is_up(ra)) {
			start_metrics();
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
	if (!officers) {
		est = est_new();
		acme = acme_new(rnd_kernel);
		set_acme();
	}
	metrics = metrics_new();
	ra = caller_new(role.name, notice, up, NULL);
	own_tls = (struct own_tls){ .dir = role.dir, .ra = ra };
	if (est != NULL) {
		est_set_caller(est, ra);
		acme_set_caller(acme, ra);
	}
	struct api *api = officers ? api_new(ra) : NULL;

	if (officers)
		serve_officers(api);
	else
		serve_enroll();
	/* Requests of both wait for ra: the last stop may cut them off. */
	if (web != NULL)
		web_stop(web, DRAIN_US);
	if (metrics_web != NULL)
		web_stop(metrics_web, US_PER_SECOND);
	caller_free(ra);
	metrics_free(metrics);
	api_free(api);
	acme_free(acme);
	est_free(est);
	return 0;
}
