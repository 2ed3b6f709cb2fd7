/* SPDX-License-Identifier: Apache-2.0 */
#include "ra/internal.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

/* What is said, and does not keep the service from its work. */
static void remark(struct ra_health *h, const char *name, bool ok, const char *detail)
{
	struct ra_check *c;

	if (h->n == RA_CHECK_MAX)
		return;
	c = &h->check[h->n++];
	snprintf(c->name, sizeof c->name, "%s", name);
	c->ok = ok;
	snprintf(c->detail, sizeof c->detail, "%.199s", detail);
}

static void check(struct ra_health *h, const char *name, bool ok, const char *detail)
{
	remark(h, name, ok, detail);
	h->ready = h->ready && ok;
}

static bool crls_fresh(struct ra *ra, char detail[128])
{
	char until[32];

	for (size_t i = 0; i < ra->gen_n; i++) {
		clock_rfc3339_s(ra->gens[i].crl_next, until, sizeof until);
		if (ra->gens[i].crl_next <= ra->now) {
			snprintf(detail, 128, "the CRL of %s ran out on %s; caduceus crl publish", ra->gens[i].name,
			         ra->gens[i].crl_next != 0 ? until : "its first day");
			return false;
		}
	}
	snprintf(detail, 128, "ok");
	return true;
}

/* Those that issue: the newest of each name. */
static bool authorities_valid(struct ra *ra, char detail[128])
{
	char when[32];

	for (size_t i = 0; i < ra->gen_n; i++) {
		const struct generation *g = &ra->gens[i];
		bool early = ra->now < g->not_before;

		if (gen_newest(ra, g->name) != g || (!early && ra->now <= g->not_after))
			continue;
		clock_rfc3339_s(early ? g->not_before : g->not_after, when, sizeof when);
		snprintf(detail, 128, early ? "%s is valid from %s: is the clock right?" : "%s has expired on %s", g->name, when);
		return false;
	}
	snprintf(detail, 128, "ok");
	return true;
}

void health_fill(struct ra *ra, struct ra_health *h)
{
	bool fresh = ra->ca_state_at != 0 && ra->mono - ra->ca_state_at < 6 * US_PER_SECOND;
	char detail[128];
	struct err e = { 0 };

	h->ready = true;
	h->n = 0;
	check(h, "database", ra->store_ok, ra->store_ok ? "ok" : "the last commit failed; look at disk and log");
	check(h, "audit", ra->audit_ok, ra->audit_ok ? "ok" : "the last record could not be written");
	check(h, "signer", ra->setup_phase == SETUP_DONE && ra->ca_why[0] == 0,
	      ra->ca_why[0] != 0 ? ra->ca_why : ra->setup_phase == SETUP_DONE ? "ok" : "ca is starting or restarting");
	check(h, "hsm", fresh && ra->ca_state.hsm_up, fresh ? ra->ca_state.hsm_up ? "ok" : ra->ca_state.hsm_text : "no word from ca yet");
	check(h, "va", ra->va_subscribed && !ra->va_snapshot, ra->va_subscribed ? ra->va_snapshot ? "catching up" : "ok" : "va is starting or restarting");
	check(h, "disk", disk_allows(ra, &e), e.kind == ERR_NONE ? "ok" : e.text);
	bool good = crls_fresh(ra, detail);
	check(h, "crl", good, detail);
	good = authorities_valid(ra, detail);
	check(h, "authorities", good, detail);
	remark(h, "probe", !acme_probe_away(ra),
	      acme_probe_away(ra) ? "the role that goes out is away: no ACME name can be validated until it is back; look at the log" : "ok");
	/* 2026: before this program was written, so the clock is not set. */
	check(h, "clock", ra->now > INT64_C(1767225600) * US_PER_SECOND, ra->now > INT64_C(1767225600) * US_PER_SECOND ? "ok" : "the clock is not set");
}

void health_request(struct ra *ra, const struct in *in)
{
	AUTO_FREE struct ra_health *h = mem_new(sizeof *h);
	AUTO_BUF body = { 0 };

	health_fill(ra, h);
	ra_health_put(&body, h);
	answer(ra, in->port, in->f.id, RA_OK, span_of(&body));
}

void ra_ca_failed(struct ra *ra, const char *why)
{
	snprintf(ra->ca_why, sizeof ra->ca_why, "%.255s", why);
}

/* --- The sandboxes, as the parent tells of them */

static const struct {
	char letter;
	const char *words;
} sandbox_layers[] = { { 'u', "own uid" }, { 'l', "paths" }, { 'n', "network" }, { 'g', "signals" }, { 's', "system calls" } };

void ra_layers(struct ra *ra, const char *text)
{
	size_t n = strcspn(text, " ");

	for (size_t i = 0; i < RA_ROLE_MAX; i++) {
		if (ra->sandbox[i].role[0] != 0 && (strlen(ra->sandbox[i].role) != n || strncmp(ra->sandbox[i].role, text, n) != 0))
			continue;
		snprintf(ra->sandbox[i].role, sizeof ra->sandbox[i].role, "%.*s", (int)n, text);
		snprintf(ra->sandbox[i].layers, sizeof ra->sandbox[i].layers, "%.19s", text[n] == ' ' ? text + n + 1 : "");
		return;
	}
}

/* Which of the layers stand in (or, missing, are absent from) letters. */
static void words(const char *letters, bool missing, char *out, size_t size)
{
	size_t n = 0;

	out[0] = 0;
	for (size_t i = 0; i < COUNT_OF(sandbox_layers); i++)
		if ((strchr(letters, sandbox_layers[i].letter) == NULL) == missing && n < size)
			n += (size_t)snprintf(out + n, size - n, "%s%s", n != 0 ? ", " : "", sandbox_layers[i].words);
}

void sandbox_rows(const struct ra *ra, struct buf *row)
{
	char all[400] = "full", name[32], text[128];
	size_t n = 0;

	for (size_t i = 0; i < RA_ROLE_MAX && ra->sandbox[i].role[0] != 0; i++) {
		words(ra->sandbox[i].layers, true, text, sizeof text);
		if (text[0] != 0 && n < sizeof all)
			n += (size_t)snprintf(all + n, sizeof all - n, "%s%s without %s", n != 0 ? "; " : "degraded: ", ra->sandbox[i].role, text);
	}
	record_text(row, "sandbox", ra->sandbox[0].role[0] != 0 ? all : "not told yet");
	for (size_t i = 0; i < RA_ROLE_MAX && ra->sandbox[i].role[0] != 0; i++) {
		words(ra->sandbox[i].layers, false, text, sizeof text);
		snprintf(name, sizeof name, "sandbox_%s", ra->sandbox[i].role);
		record_text(row, name, text[0] != 0 ? text : "none");
	}
}

bool sandbox_is_full(const struct ra *ra)
{
	char missing[128];
	bool full = ra->sandbox[0].role[0] != 0;

	for (size_t i = 0; i < RA_ROLE_MAX && ra->sandbox[i].role[0] != 0; i++) {
		words(ra->sandbox[i].layers, true, missing, sizeof missing);
		full = full && missing[0] == 0;
	}
	return full;
}
