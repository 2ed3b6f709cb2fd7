/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/resolver.h"

#include "base/clock.h"
#include "base/log.h"
#include "probe/http.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unbound-event.h>
#include <unbound.h>
#include <unistd.h>

enum { REPLACE_MIN_US = 200000, REPLACE_AGAIN_US = 10000000 };

/* One context. What libunbound remembers of a forwarder's silences would be held against those who ask next, so a context
 * that has met a failure is replaced by a fresh one. */
struct generation {
	struct ub_ctx *ctx;
	unsigned under_way;
	bool failed;
	int64_t born;
	struct generation *next;
	struct resolver *r;
};

struct resolver {
	struct event_base *base;
	char forwarder[128], trust_anchors[512];
	struct generation *current, *old;
	struct timespec read[2];     /* when what "system" was read from was written */
	int settings;                /* a file in memory: libunbound's file of settings, which alone can say forward-no-cache */
};

static const char *const system_files[2] = { "/etc/resolv.conf", "/etc/hosts" };

/* "192.0.2.1:53" as libunbound writes it: 192.0.2.1@53 */
static bool put_forwarder(struct buf *b, const char *text, struct err *e)
{
	const char *colon = strrchr(text, ':');
	size_t n = colon != NULL ? (size_t)(colon - text) : 0;

	if (n > 2 && text[0] == '[' && text[n - 1] == ']')
		text++, n -= 2;
	if (n == 0 || strspn(text, "0123456789abcdefABCDEF:.") < n || colon[1 + strspn(colon + 1, "0123456789")] != 0)
		return err_set(e, ERR_CONFIG, "acme.resolver: %.100s is no address and a port: the host can't be resolved, perhaps", text);
	buf_printf(b, "\tforward-addr: %.*s@%s\n", (int)n, text, colon + 1);
	return true;
}

/* resolv.conf(5); without a name server in it this machine's own is asked. */
static void put_system(struct buf *b)
{
	AUTO_BUF text = { 0 };
	unsigned found = 0;

	if (file_read(&text, "/etc/resolv.conf", 65536, NULL))
		for (char *rest = (char *)(uintptr_t)buf_str(&text), *line; (line = strsep(&rest, "\n")) != NULL && found < 3;) {
			char address[64];

			if (sscanf(line, " nameserver %63[0-9a-fA-F:.%%a-zA-Z_-]", address) == 1) {
				buf_printf(b, "\tforward-addr: %s\n", address);
				found++;
			}
		}
	if (found == 0)
		buf_text(b, "\tforward-addr: 127.0.0.1\n");
}

/* Nothing is remembered: neither that a name was there nor that it was not. A forwarder does all else. */
static const char settings[] =
	"server:\n"
	"\tcache-max-ttl: 0\n\tcache-max-negative-ttl: 0\n\tmsg-cache-size: 64k\n\trrset-cache-size: 64k\n"
	"\tprefetch: no\n\tserve-expired: no\n\taggressive-nsec: no\n\tharden-below-nxdomain: no\n\tqname-minimisation: no\n"
	"\toutgoing-range: 512\n\toutgoing-num-tcp: 32\n\tdo-not-query-localhost: no\n"
	/* Names that a network may well use for itself, of which libunbound says by default that there are none. */
	"\tlocal-zone: \"test.\" nodefault\n\tlocal-zone: \"home.arpa.\" nodefault\n\tlocal-zone: \"invalid.\" nodefault\n"
	"\tlocal-zone: \"onion.\" nodefault\n\tunblock-lan-zones: yes\n\tinsecure-lan-zones: yes\n";

static bool write_settings(struct resolver *r, struct err *e)
{
	AUTO_BUF b = { 0 };
	bool anchors = strcmp(r->trust_anchors, "none") != 0;

	buf_text(&b, settings);
	buf_printf(&b, "\tmodule-config: \"%s\"\n", anchors ? "validator iterator" : "iterator");
	if (anchors && r->trust_anchors[strcspn(r->trust_anchors, "\"\n")] != 0)
		return err_set(e, ERR_CONFIG, "acme.trust_anchors: a path without quotes is expected");
	if (anchors)
		buf_printf(&b, "\ttrust-anchor-file: \"%s\"\n", r->trust_anchors);
	buf_text(&b, "forward-zone:\n\tname: \".\"\n\tforward-no-cache: yes\n");
	if (strcmp(r->forwarder, "system") == 0)
		put_system(&b);
	else if (!put_forwarder(&b, r->forwarder, e))
		return false;
	return (ftruncate(r->settings, 0) == 0 && pwrite(r->settings, b.p, b.n, 0) == (ssize_t)b.n) || err_sys(e, ERR_IO, "the resolver's settings");
}

static bool configure(struct resolver *r, struct ub_ctx *ctx, struct err *e)
{
	char path[32];
	int rc;

	(void)ub_ctx_debugout(ctx, NULL); /* it would write into our log */
	snprintf(path, sizeof path, "/proc/self/fd/%d", r->settings);
	rc = ub_ctx_config(ctx, path);
	/* hosts(5) is part of the system's; without it there is nothing to add. */
	if (rc == 0 && strcmp(r->forwarder, "system") == 0)
		(void)ub_ctx_hosts(ctx, system_files[1]);
	if (rc != 0)
		return err_set(e, ERR_CONFIG, "libunbound does not take its settings: %s", ub_strerror(rc));
	rc = ub_ctx_zone_add(ctx, "probe.invalid.", "static"); /* reads all that the settings name */
	if (rc != 0)
		return err_set(e, ERR_CONFIG, "libunbound: %s; acme.trust_anchors (%s) can't be read, perhaps", ub_strerror(rc), r->trust_anchors);
	return true;
}

static struct generation *generation_new(struct resolver *r, struct err *e)
{
	struct generation *g = mem_new(sizeof *g);

	g->r = r;
	g->born = clock_mono();
	g->ctx = ub_ctx_create_event(r->base);
	if (g->ctx != NULL && configure(r, g->ctx, e))
		return g;
	if (g->ctx == NULL)
		err_set(e, ERR_INTERNAL, "libunbound: no context");
	else
		ub_ctx_delete(g->ctx);
	free(g);
	return NULL;
}

static void mark_system(struct timespec out[2])
{
	struct stat st;

	for (size_t i = 0; i < COUNT_OF(system_files); i++)
		out[i] = stat(system_files[i], &st) == 0 ? st.st_mtim : (struct timespec){ 0 };
}

static void keep(struct resolver *r, const struct resolver_config *c)
{
	snprintf(r->forwarder, sizeof r->forwarder, "%s", c->resolver);
	snprintf(r->trust_anchors, sizeof r->trust_anchors, "%s", c->trust_anchors);
}

bool resolver_new(struct resolver **out, struct event_base *base, const struct resolver_config *c, struct err *e)
{
	struct resolver *r = mem_new(sizeof *r);

	r->base = base;
	keep(r, c);
	mark_system(r->read);
	r->settings = memfd_create("resolver", MFD_CLOEXEC);
	if (r->settings < 0)
		err_sys(e, ERR_IO, "memfd_create");
	else if (write_settings(r, e))
		r->current = generation_new(r, e);
	if (r->current == NULL) {
		resolver_free(r);
		return false;
	}
	*out = r;
	return true;
}

static void generation_free(struct generation *g)
{
	ub_ctx_delete(g->ctx);
	free(g);
}

void resolver_free(struct resolver *r)
{
	if (r == NULL)
		return;
	for (struct generation *g = r->old, *next; g != NULL; g = next) {
		next = g->next;
		generation_free(g);
	}
	if (r->current != NULL)
		generation_free(r->current);
	if (r->settings >= 0)
		close(r->settings);
	free(r);
}

static void succeed(struct resolver *r, struct generation *g)
{
	r->current->next = r->old;
	r->old = r->current;
	r->current = g;
}

static void replace(struct resolver *r)
{
	struct err e;
	struct generation *g = write_settings(r, &e) ? generation_new(r, &e) : NULL;

	if (g == NULL) {
		log_event(LOG_LEVEL_ERROR, "the resolver's settings can't be read again; the old ones stay", "why", e.text, NULL);
		r->current->failed = false;
		r->current->born = clock_mono() + REPLACE_AGAIN_US; /* not with every failure */
		return;
	}
	succeed(r, g);
}

static void replace_failed(struct resolver *r, int64_t mono)
{
	if (r->current->failed && mono - r->current->born >= REPLACE_MIN_US)
		replace(r);
}

bool resolver_configure(struct resolver *r, const struct resolver_config *c, struct err *e)
{
	char forwarder[sizeof r->forwarder], anchors[sizeof r->trust_anchors];
	struct generation *g;

	memcpy(forwarder, r->forwarder, sizeof forwarder);
	memcpy(anchors, r->trust_anchors, sizeof anchors);
	keep(r, c);
	g = write_settings(r, e) ? generation_new(r, e) : NULL;
	if (g == NULL) {
		memcpy(r->forwarder, forwarder, sizeof forwarder);
		memcpy(r->trust_anchors, anchors, sizeof anchors);
		return write_settings(r, NULL) && false;
	}
	succeed(r, g);
	return true;
}

void resolver_tidy(struct resolver *r, int64_t mono)
{
	struct generation **at = &r->old;

	replace_failed(r, mono);
	while (*at != NULL) {
		struct generation *g = *at;

		if (g->under_way != 0) {
			at = &g->next;
			continue;
		}
		*at = g->next;
		generation_free(g);
	}
}

/* The machine has moved to another network, perhaps. */
static void follow_system(struct resolver *r)
{
	struct timespec now[2];

	if (strcmp(r->forwarder, "system") != 0)
		return;
	mark_system(now);
	if (memcmp(now, r->read, sizeof now) == 0)
		return;
	memcpy(r->read, now, sizeof now);
	replace(r);
}

static void give(struct look *l, enum look_state state, const struct dns_records *set)
{
	l->state = state;
	l->done(l, set);
}

static void answered(void *arg, int rcode, void *packet, int n, int security, char *why_bogus, int limited)
{
	struct look *l = arg;
	struct dns_records set = { 0 };
	struct err e;

	(void)limited;
	l->of->under_way--;
	l->secure = security == 2;
	if (security == 1) {
		const char *why = why_bogus != NULL ? why_bogus : "no reason given";

		l->of->failed = true;
		text_escaped(l->why, sizeof l->why, why, strlen(why));
		give(l, LOOK_BOGUS, NULL);
		return;
	}
	if (rcode == 0 && packet != NULL && n > 0) {
		if (!dns_read(&set, l->type, packet, (size_t)n, &e)) {
			snprintf(l->why, sizeof l->why, "%.150s", e.text);
			give(l, LOOK_FAILED, NULL);
			return;
		}
		rcode = (int)set.rcode;
	}
	if (rcode == 0 || rcode == 3) {
		give(l, set.n != 0 ? LOOK_ANSWERED : LOOK_NOTHING, &set);
		return;
	}
	l->of->failed = true;
	/* libunbound says SERVFAIL, too, of a name server that is silent, once it has given up; newer ones do before our time is over. */
	snprintf(l->why, sizeof l->why, "%s", rcode == 2   ? "the name server gives no answer, or fails (SERVFAIL)"
	                                      : rcode == 5 ? "the name server refuses (REFUSED)"
	                                                   : "the name server answers with an error");
	give(l, LOOK_FAILED, NULL);
}

void look_up(struct resolver *r, struct look *l, const char *name, unsigned type, look_done *done, void *arg)
{
	int rc;

	*l = (struct look){ .state = LOOK_UNDER_WAY, .type = type, .done = done, .arg = arg };
	snprintf(l->name, sizeof l->name, "%s", name);
	follow_system(r);
	replace_failed(r, clock_mono());
	l->of = r->current;
	l->of->under_way++;
	rc = ub_resolve_event(l->of->ctx, l->name, (int)type, 1, l, answered, &l->async_id);
	if (rc == 0)
		return;
	l->of->under_way--;
	l->of->failed = true;
	snprintf(l->why, sizeof l->why, "libunbound: %s", ub_strerror(rc));
	give(l, LOOK_FAILED, NULL);
}

/* Given up because it takes too long: the forwarder's silence is not held against the next one. */
void look_cancel(struct look *l)
{
	if (l->state != LOOK_UNDER_WAY)
		return;
	l->state = LOOK_IDLE;
	l->of->under_way--;
	l->of->failed = true;
	(void)ub_cancel(l->of->ctx, l->async_id);
}
