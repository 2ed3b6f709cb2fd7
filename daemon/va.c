/* SPDX-License-Identifier: Apache-2.0
 *
 * The va role: status in memory, fed by ra; answers signed by ca; plain HTTP. */
#include "base/metric.h"
#include "crl/va.h"

#include "base/clock.h"
#include "base/log.h"
#include "crl/ocsp_request.h"
#include "daemon/role.h"

#include <stdio.h>
#include <string.h>

enum { DRAIN_US = 10 * 1000000, WITHOUT_CA_S = 3 };

static struct role role;
static struct caller *ra, *ca;
static struct metrics *metrics;
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

static const char *status_word(const struct response *r)
{
	static const char *const words[] = { "successful", "malformedRequest", "internalError", "tryLater", "other", "sigRequired", "unauthorized" };
	const uint8_t *p = r->head;

	/* OCSPResponse: SEQUENCE { ENUMERATED, … }; a length of up to three octets. */
	for (size_t i = 2; i + 2 < r->head_n && i < 6; i++)
		if (p[i] == 0x0a && p[i + 1] == 1 && p[i + 2] < COUNT_OF(words))
			return words[p[i + 2]];
	return "other";
}

/* By the first CertID that is answered: it stands near the beginning. */
static const char *hash_word(const struct response *r)
{
	size_t n = r->head_n;

	if (n != 0 && memmem(r->head, n, "\x06\x05\x2b\x0e\x03\x02\x1a", 7) != NULL)
		return "sha1";
	return n != 0 && memmem(r->head, n, "\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01", 11) != NULL ? "sha256" : "none";
}

static void logged(void *arg, const struct request *q, const struct response *r, int64_t us)
{
	char labels[64];

	(void)arg;
	snprintf(labels, sizeof labels, "listener=\"va\",status=\"%u\"", r->status);
	metrics_add(metrics, "caduceus_requests_total", labels, 1);
	metrics_observe(metrics, "caduceus_request_duration_seconds", "listener=\"va\"", us);
	if (r->status != 200 || strncmp(q->path, "/ocsp", 5) != 0)
		return;
	snprintf(labels, sizeof labels, "status=\"%s\",hash=\"%s\"", status_word(r), hash_word(r));
	metrics_add(metrics, "caduceus_ocsp_responses_total", labels, 1);
}

static void tell_counts(void)
{
	static int64_t told;
	AUTO_BUF lines = { 0 };

	if (clock_mono() - told < 2 * US_PER_SECOND || !caller_is_up(ra))
		return;
	told = clock_mono();
	metrics_put(metrics, &lines);
	if (lines.n != 0)
		(void)!caller_tell(ra, &(struct frame){ .type = STATUS_COUNTED, .body = span_of(&lines) }, NULL);
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
	                .routes = routes,
	                .route_n = COUNT_OF(routes),
	                .connections = (unsigned)role.config.limits_connections,
	                .per_address = (unsigned)role.config.limits_per_address,
	                .request_timeout = role.config.limits_request_seconds * US_PER_SECOND,
	                .name = "va",
	                .logged = logged,
	            }, &e))
		role_fail(&e);
	return web;
}

int main(int argc, char **argv)
{
	struct web *web = NULL;
	struct va *va;
	int64_t began = clock_mono();
	bool ready = false;

	role_begin(&role, "va", argc, argv);
	AUTO_FREE char *crl = mem_printf("%s/crl", role.dir);

	role_confine(&(struct sandbox){ .path = { { crl, false } }, .accepts = true });
	metrics = metrics_new();
	va = va_new(&(struct va_config){ .dir = role.dir, .now = clock_now });
	ra = caller_new("va", va_notice, va_up, va);
	ca = caller_new("va", NULL, NULL, NULL);
	va_set_callers(va, ra, ca);
	while (!wait_control(ready && va_caught_up(va) ? 1000 : 20)) {
		if (web == NULL && listener >= 0)
			web = start_web(va);
		/* Without ca what is kept is answered, and CRLs; the rest hears tryLater. */
		ready = ready || (web != NULL && va_caught_up(va) && (caller_is_up(ca) || clock_mono() - began > WITHOUT_CA_S * US_PER_SECOND));
		if (ready)
			role_ready();
		tell_counts();
	}
	if (web != NULL)
		web_stop(web, DRAIN_US);
	caller_free(ra);
	caller_free(ca);
	va_free(va);
	metrics_free(metrics);
	return 0;
}
