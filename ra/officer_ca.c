/* SPDX-License-Identifier: Apache-2.0
 *
 * Authorities, CRLs, profiles, audit, token, status. */
#include "ra/officer.h"

#include "base/clock.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void der_fingerprint(struct span der, char out[65])
{
	uint8_t hash[32];

	digest_sha256(hash, der.p, der.n);
	hex_put(out, hash, 32);
}

bool root_fingerprint(struct ra *ra, char out[65])
{
	const struct generation *root = gen_newest(ra, "root");

	out[0] = 0;
	if (root != NULL)
		der_fingerprint(span_of(&ra->gen_cert[gen_index(ra, root)]), out);
	return root != NULL;
}

static void put_authority(struct buf *b, struct ra *ra, const struct generation *g)
{
	struct span der = span_of(&ra->gen_cert[gen_index(ra, g)]);
	AUTO_FREE struct cert *c = mem_new(sizeof *c);
	struct dn *dn = mem_new(sizeof *dn);
	char subject[600] = "", issuer[600] = "", hex[65];

	if (cert_parse(c, der.p, der.n, NULL)) {
		if (dn_parse(dn, c->subject, NULL, NULL))
			dn_text(dn, subject, sizeof subject);
		if (dn_parse(dn, c->issuer, NULL, NULL))
			dn_text(dn, issuer, sizeof issuer);
	}
	free(dn);
	der_fingerprint(der, hex);
	record_text(b, "name", g->name);
	record_int(b, "gen", g->gen);
	record_text(b, "key", g->key_alg);
	record_text(b, "subject", subject);
	record_time(b, "not_before", g->not_before);
	record_time(b, "not_after", g->not_after);
	record_text(b, "issuer", issuer);
	record_text(b, "sha256", hex);
	record_int(b, "crl_number", (int64_t)g->crl_number);
	record_time(b, "crl_next", g->crl_next);
}

bool ca_list(struct call *c, struct err *e)
{
	struct gathered g = { 0 };

	(void)e;
	for (size_t i = 0; i < c->ra->gen_n; i++) {
		AUTO_BUF row = { 0 };

		put_authority(&row, c->ra, &c->ra->gens[i]);
		(void)gather(&g, &row);
	}
	officer_rows(c->ra, c->client, "authorities", true, "", g.n, span_of(&g.rows));
	buf_free(&g.rows);
	return true;
}

static struct generation *find_authority(const struct call *c, struct err *e)
{
	struct generation *g;
	char name[32];

	arg_text(c, "name", name, sizeof name);
	g = gen_newest(c->ra, name);
	if (g == NULL)
		err_set(e, ERR_NOT_FOUND, "there is no authority %s; caduceus ca list", name);
	return g;
}

bool ca_show(struct call *c, struct err *e)
{
	const struct generation *g = find_authority(c, e);
	AUTO_BUF row = { 0 };
	AUTO_BUF rows = { 0 };
	char url[360];

	if (g == NULL)
		return false;
	put_authority(&row, c->ra, g);
	record_bytes(&row, "der", c->ra->gen_cert[gen_index(c->ra, g)].p, c->ra->gen_cert[gen_index(c->ra, g)].n);
	if (g->has_responder)
		record_time(&row, "responder_not_after", g->responder_not_after);
	snprintf(url, sizeof url, "%s/ca/%s/%u.cer", c->ra->config->public_va, g->name, g->gen);
	record_text(&row, "aia", url);
	snprintf(url, sizeof url, "%s/crl/%s/%u.crl", c->ra->config->public_va, g->name, g->gen);
	record_text(&row, "cdp", url);
	snprintf(url, sizeof url, "%s/ocsp", c->ra->config->public_va);
	record_text(&row, "ocsp", g->has_responder ? url : "");
	wr_span(&rows, row.p, row.n);
	officer_rows(c->ra, c->client, "authority", false, "", 1, span_of(&rows));
	return true;
}

bool ca_fingerprint(struct call *c, struct err *e)
{
	AUTO_BUF row = { 0 };
	AUTO_BUF rows = { 0 };
	char hex[65];

	if (!root_fingerprint(c->ra, hex))
		return err_set(e, ERR_NOT_FOUND, "there is no root yet");
	record_text(&row, "name", "root");
	record_text(&row, "sha256", hex);
	wr_span(&rows, row.p, row.n);
	officer_rows(c->ra, c->client, "root", false, "", 1, span_of(&rows));
	return true;
}

bool ca_chain(struct call *c, struct err *e)
{
	const struct generation *g = find_authority(c, e);
	struct gathered out = { 0 };

	if (g == NULL)
		return false;
	for (int depth = 0; g != NULL && depth < 8; depth++) {
		AUTO_BUF row = { 0 };
		struct span der = span_of(&c->ra->gen_cert[gen_index(c->ra, g)]);

		record_text(&row, "name", g->name);
		record_int(&row, "gen", g->gen);
		record_bytes(&row, "der", der.p, der.n);
		(void)gather(&out, &row);
		g = g->parent != 0 ? gen_by_ref(c->ra, g->parent) : NULL;
	}
	officer_rows(c->ra, c->client, "chain", true, "", out.n, span_of(&out.rows));
	buf_free(&out.rows);
	return true;
}

/* One authority, or devices and servers and root: the answer comes with the last one asked for. */
bool crl_publish(struct call *c, struct err *e)
{
	char name[32];
	const struct generation *g = NULL;

	arg_text(c, "ca", name, sizeof name);
	if (c->ra->setup_phase != SETUP_DONE)
		return err_set(e, ERR_BUSY, "the signer is starting; try again in a moment");
	if (name[0] != 0 && (g = gen_newest(c->ra, name)) == NULL)
		return err_set(e, ERR_NOT_FOUND, "there is no authority %s; caduceus ca list", name);
	return crl_publish_for(c->ra, c->client, g != NULL ? 1u << gen_index(c->ra, g) : (uint32_t)((UINT64_C(1) << c->ra->gen_n) - 1),
	                       c->q.actor, e);
}

/* --- Profiles */

static void put_doors(struct buf *b, uint32_t doors)
{
	static const char *const names[] = { "est", "acme", "officer", "internal" };

	record_list(b, "doors", "");
	for (unsigned i = 0; i < 4; i++)
		if ((doors >> i & 1) != 0)
			record_list(b, "doors", names[i]);
}

static void put_profile(struct buf *b, const struct active *a)
{
	char hex[65];

	hex_put(hex, a->digest, 32);
	record_text(b, "name", a->p.name);
	record_text(b, "ca", a->p.authority);
	put_doors(b, a->p.doors);
	record_int(b, "validity", a->p.validity);
	record_text(b, "sha256", hex);
	record_time(b, "loaded", a->loaded);
}

bool profile_list(struct call *c, struct err *e)
{
	struct gathered g = { 0 };

	(void)e;
	for (size_t i = 0; i < c->ra->profile_n; i++) {
		AUTO_BUF row = { 0 };

		put_profile(&row, &c->ra->profiles[i]);
		(void)gather(&g, &row);
	}
	officer_rows(c->ra, c->client, "profiles", true, "", g.n, span_of(&g.rows));
	buf_free(&g.rows);
	return true;
}

bool profile_show(struct call *c, struct err *e)
{
	static const char *const keys[] = { "ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "ed25519", "rsa" };
	const struct active *a;
	AUTO_BUF row = { 0 };
	AUTO_BUF rows = { 0 };
	char name[32];

	arg_text(c, "name", name, sizeof name);
	a = profile_active(c->ra, name);
	if (a == NULL)
		return err_set(e, ERR_NOT_FOUND, "there is no profile %s; caduceus profile list", name);
	put_profile(&row, a);
	record_int(&row, "min_validity", a->p.min_validity);
	record_int(&row, "backdate", a->p.backdate);
	record_text(&row, "on_issuer_expiry", a->p.clamp ? "clamp" : "reject");
	record_list(&row, "key_types", "");
	for (unsigned i = 0; i < COUNT_OF(keys); i++)
		if ((a->p.key_types >> i & 1) != 0)
			record_list(&row, "key_types", keys[i]);
	record_int(&row, "rsa_min_bits", a->p.rsa_min_bits);
	record_bool(&row, "rsa_key_encipherment", a->p.rsa_key_encipherment);
	record_list(&row, "eku", "");
	for (size_t i = 0; i < a->p.eku_n; i++)
		record_list(&row, "eku", a->p.eku[i]);
	record_list(&row, "san", "");
	for (int t = 1; t < SAN_TYPE_COUNT; t++)
		if ((a->p.san_types >> t & 1) != 0)
			record_list(&row, "san", san_type_name((enum san_type)t));
	record_bool(&row, "san_required", a->p.san_required);
	record_bool(&row, "wildcard", a->p.wildcard);
	record_text(&row, "cn", a->p.cn == CN_MUST_BE_SAN ? "must-be-san" : "allowed");
	record_bool(&row, "ocsp", a->p.ocsp_aia);
	record_bool(&row, "crl", a->p.cdp);
	record_bool(&row, "ocsp_nocheck", a->p.nocheck);
	record_bool(&row, "shared_key", a->p.shared_key);
	record_int(&row, "max_key_age", a->p.max_key_age);
	record_bool(&row, "hold", a->p.hold_allowed);
	wr_span(&rows, row.p, row.n);
	officer_rows(c->ra, c->client, "profile", false, "", 1, span_of(&rows));
	return true;
}

/* What ca need not be asked for. */
static bool loadable(const struct call *c, const struct profile *p, struct err *e)
{
	const struct generation *g = gen_newest(c->ra, p->authority);

	if (strcmp(p->authority, "*") != 0 && g == NULL)
		return err_set(e, ERR_NOT_FOUND, "authority: there is no %s; caduceus ca list", p->authority);
	if (g != NULL && g->parent == 0)
		return err_set(e, ERR_POLICY, "authority: the root signs authorities only; name an issuing one, caduceus ca list");
	if (strcmp(p->name, "server") == 0 && (p->doors & DOOR_INTERNAL) == 0)
		return err_set(e, ERR_POLICY, "doors: server needs internal, or the service's own TLS certificate can't be renewed");
	return c->ra->loading.client == 0 || err_set(e, ERR_BUSY, "a profile is being loaded for another officer; try again in a moment");
}

/* ca judges first: a version that it refuses is never in force. */
bool profile_load_verb(struct call *c, struct err *e)
{
	struct loading *l = &c->ra->loading;
	struct span text = arg_bytes(c, "text");
	AUTO_FREE struct profile *p = mem_new(sizeof *p);
	AUTO_BUF mistakes = { 0 };
	AUTO_BUF body = { 0 };
	char label[256];
	struct work *w;

	arg_text(c, "label", label, sizeof label);
	if (!profile_parse(p, label, (const char *)text.p, text.n, c->ra->config->organization, &mistakes))
		return err_set(e, ERR_CONFIG, "%.500s", buf_str(&mistakes));
	if (!loadable(c, p, e))
		return false;
	w = work_new(c->ra, WORK_PROFILE, CA_PROFILE_PUT, c->ra->mono + 20 * US_PER_SECOND, e);
	if (w == NULL)
		return false;
	l->client = c->client;
	l->p = *p;
	l->text.n = 0;
	buf_add(&l->text, text.p, text.n);
	snprintf(l->actor, sizeof l->actor, "%s", c->q.actor);
	profile_put(&body, p);
	ask_ca(c->ra, w, span_of(&body));
	return true;
}

static bool take_loaded(struct ra *ra, struct loading *l, struct err *e)
{
	AUTO_FREE char *path = mem_printf("%s/profiles/%s.yaml", ra->c.dir, l->p.name);
	uint8_t digest[32], before[32];
	AUTO_BUF row = { 0 };
	AUTO_BUF rows = { 0 };
	char hex[65];

	if (!profile_take(ra, &l->p, l->actor, digest, before, e))
		return false;
	/* The file follows, so that the next start finds the same. */
	if (!file_write_atomic(path, l->text.p, l->text.n, 0644, e))
		return false;
	setup_profile(ra, l->p.name);
	record_text(&row, "name", l->p.name);
	hex_put(hex, digest, 32);
	record_text(&row, "sha256", hex);
	hex_put(hex, before, 32);
	record_text(&row, "before", hex);
	wr_span(&rows, row.p, row.n);
	officer_rows(ra, l->client, "profile", false, "", 1, span_of(&rows));
	return true;
}

void profile_judged(struct ra *ra, bool good, const struct err *why)
{
	struct loading *l = &ra->loading;
	struct err e = *why;

	if (l->client != 0 && good && store_savepoint(ra->c.store, &e)) {
		good = take_loaded(ra, l, &e);
		if (!good)
			store_rollback_to(ra->c.store);
		else
			good = store_release(ra->c.store, &e);
		if (good)
			trust_request(ra, 0); /* its doors are paths of front's */
	}
	if (l->client != 0 && !good)
		answer_error(ra, RA_PORT_OFFICER, l->client, &e);
	l->client = 0;
}

/* --- Audit */

static bool audit_one(void *arg, uint64_t seq, const char *record, const uint8_t hash[32])
{
	struct gathered *g = arg;
	AUTO_BUF row = { 0 };
	char hex[65];

	hex_put(hex, hash, 32);
	record_int(&row, "seq", (int64_t)seq);
	record_text(&row, "record", record);
	record_text(&row, "hash", hex);
	if (!gather(g, &row))
		return false;
	snprintf(g->next, sizeof g->next, "%" PRIu64, seq);
	return true;
}

bool audit_show(struct call *c, struct err *e)
{
	struct gathered g = { 0 };
	int64_t limit = arg_int(c, "limit", 500);
	char after[32];
	bool good;

	arg_text(c, "after", after, sizeof after);
	limit = limit < 1 ? 1 : limit > 1000 ? 1000 : limit;
	if (after[0] == 0) /* who reads the audit stands in it: AUD-02, once, not for every page */
		call_audit(c, "audit.export", "audit", "", NULL, NULL);
	good = store_audit_list(c->ra->c.store, strtoull(after, NULL, 10), (unsigned)limit, audit_one, &g, e);
	if (good)
		officer_rows(c->ra, c->client, "records", true, g.full || g.n == (uint32_t)limit ? g.next : "", g.n, span_of(&g.rows));
	buf_free(&g.rows);
	return good;
}

/* --- The token: asked of ca */

bool hsm_verb(struct call *c, struct err *e)
{
	bool list = strcmp(c->q.verb, "hsm.list") == 0;
	struct work *w;

	if (c->ra->setup_phase != SETUP_DONE)
		return err_set(e, ERR_BUSY, "the signer is starting; try again in a moment");
	w = work_new(c->ra, WORK_HSM, list ? CA_HSM_LIST : CA_HSM_TEST, c->ra->mono + 20 * US_PER_SECOND, e);
	if (w == NULL)
		return false;
	w->port = RA_PORT_OFFICER;
	w->client = c->client;
	snprintf(w->verb, sizeof w->verb, "%s", c->q.verb);
	if (!list)
		call_audit(c, "hsm.test", "hsm", "", NULL, NULL);
	ask_ca(c->ra, w, (struct span){ NULL, 0 });
	return true;
}

void officer_hsm_answered(struct ra *ra, struct work *w, bool good, struct span body, const struct err *why)
{
	struct rd r = rd_of(body.p, body.n);
	AUTO_BUF rows = { 0 };
	uint32_t n = 0;

	if (!good) {
		answer_error(ra, w->port, w->client, why);
		return;
	}
	if (strcmp(w->verb, "hsm.test") == 0) {
		wr_span(&rows, body.p, body.n);
		officer_rows(ra, w->client, "hsm", false, "", 1, span_of(&rows));
		return;
	}
	while (r.p != r.end && !r.bad) {
		(void)rd_span(&r, 65536);
		n += !r.bad;
	}
	officer_rows(ra, w->client, "keys", true, "", n, body);
}

bool status_verb(struct call *c, struct err *e)
{
	AUTO_FREE struct ra_health *h = mem_new(sizeof *h);
	struct ra *ra = c->ra;
	AUTO_BUF row = { 0 };
	AUTO_BUF rows = { 0 };
	uint64_t head = 0, audit_seq = 0;
	uint8_t hash[32];

	if (!store_status_head(ra->c.store, &head, e) || !store_audit_head(ra->c.store, &audit_seq, hash, e))
		return false;
	health_fill(ra, h);
	record_bool(&row, "healthy", h->ready && !acme_probe_away(ra));
	for (uint32_t i = 0; i < h->n; i++)
		record_text(&row, h->check[i].name, h->check[i].ok ? "ok" : h->check[i].detail);
	sandbox_rows(ra, &row);
	record_text(&row, "version", CADUCEUS_VERSION);
	record_text(&row, "instance", store_instance(ra->c.store));
	record_int(&row, "boot", (int64_t)store_boot(ra->c.store));
	record_int(&row, "head", (int64_t)head);
	record_int(&row, "audit_seq", (int64_t)audit_seq);
	record_int(&row, "outstanding", ra->outstanding);
	record_text(&row, "token", ra->ca_state.hsm_text);
	record_int(&row, "hsm_sessions", ra->ca_state.sessions);
	/* HSM-11: what the signer's process may reach besides. */
	record_text(&row, "hsm_module", ra->config->hsm_module);
	record_text(&row, "hsm_paths", strcmp(ra->config->hsm_module, "embedded") == 0 ? "token" : ra->config->hsm_paths);
	record_text(&row, "hsm_ports", strcmp(ra->config->hsm_module, "embedded") == 0 ? "none" : ra->config->hsm_ports);
	record_int(&row, "queue", ra->ca_state.queue);
	record_int(&row, "issued_ever", (int64_t)ra->ca_state.issued_ever);
	record_text(&row, "officers", "not armed: root, the owner and group caduceus have all roles");
	wr_span(&rows, row.p, row.n);
	officer_rows(ra, c->client, "status", false, "", 1, span_of(&rows));
	return true;
}
