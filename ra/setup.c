/* SPDX-License-Identifier: Apache-2.0
 *
 * What ca must know before it can issue; provisioning; what is renewed by the clock; files that others read. */
#include "ra/internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "pkix/oid.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { SETUP_RETRY_S = 10 };

static void ask_setup(struct ra *ra, uint16_t type, int index, struct span body)
{
	struct err e;
	struct work *w = work_new(ra, WORK_SETUP, type, ra->mono + 60 * US_PER_SECOND, &e);

	if (w == NULL)
		return;
	w->setup = index;
	w->ref = ra->setup_epoch;
	ra->setup_left++;
	ask_ca(ra, w, body);
}

static void put_authority(struct ra *ra, size_t i)
{
	const struct generation *g = &ra->gens[i];
	AUTO_FREE struct ca_authority *a = mem_new(sizeof *a);
	AUTO_BUF body = { 0 };

	snprintf(a->gen.name, sizeof a->gen.name, "%s", g->name);
	a->gen.gen = g->gen;
	a->cert = span_of(&ra->gen_cert[i]);
	a->key_id = (struct span){ g->key_id, g->key_id_n };
	snprintf(a->aia_ocsp, sizeof a->aia_ocsp, "%s/ocsp", ra->config->public_va);
	snprintf(a->aia_issuer, sizeof a->aia_issuer, "%s/ca/%s/%u.cer", ra->config->public_va, g->name, g->gen);
	snprintf(a->cdp, sizeof a->cdp, "%s/crl/%s/%u.crl", ra->config->public_va, g->name, g->gen);
	ca_authority_put(&body, a);
	ask_setup(ra, CA_AUTHORITY_PUT, -1, span_of(&body));
}

static void put_responder(struct ra *ra, size_t i, int index)
{
	const struct generation *g = &ra->gens[i];
	struct ca_responder r = { .cert = span_of(&ra->responder_cert[i]), .key_id = { g->responder_key, g->responder_key_n } };
	AUTO_BUF body = { 0 };

	snprintf(r.gen.name, sizeof r.gen.name, "%s", g->name);
	r.gen.gen = g->gen;
	ca_responder_put(&body, &r);
	ask_setup(ra, CA_RESPONDER_PUT, index, span_of(&body));
}

static void put_profile(struct ra *ra, size_t i)
{
	AUTO_BUF body = { 0 };

	profile_put(&body, &ra->profiles[i].p);
	ra->profiles[i].accepted = false;
	ask_setup(ra, CA_PROFILE_PUT, (int)i, span_of(&body));
}

void setup_profile(struct ra *ra, const char *name)
{
	for (size_t i = 0; ra->setup_phase != SETUP_NONE && i < ra->profile_n; i++)
		if (strcmp(ra->profiles[i].p.name, name) == 0)
			put_profile(ra, i);
}

static void put_authorities(struct ra *ra, bool roots)
{
	for (size_t i = 0; i < ra->gen_n; i++)
		if ((ra->gens[i].parent == 0) == roots)
			put_authority(ra, i);
}

static void next_phase(struct ra *ra)
{
	while (ra->setup_left == 0 && ra->setup_phase < SETUP_DONE) {
		ra->setup_phase++;
		if (ra->setup_phase == SETUP_ISSUING)
			put_authorities(ra, false);
		if (ra->setup_phase == SETUP_RESPONDERS)
			for (size_t i = 0; i < ra->gen_n; i++)
				if (ra->gens[i].has_responder)
					put_responder(ra, i, -1);
		if (ra->setup_phase == SETUP_DONE) {
			if (!ra->setup_refused) {
				ra->ca_why[0] = 0;
				log_event(LOG_LEVEL_INFO, "signer ready", "profiles", LOG_NUM(ra->profile_n), "authorities", LOG_NUM(ra->gen_n), NULL);
			}
			issue_ca_back(ra);
		}
	}
}

static void begin(struct ra *ra, bool again)
{
	ra->setup_phase = SETUP_ROOTS;
	ra->setup_left = 0;
	ra->setup_epoch++;
	ra->setup_retry_at = 0;
	ra->setup_refused = false;
	for (size_t i = 0; i < ra->profile_n; i++)
		if (!again || !ra->profiles[i].accepted)
			put_profile(ra, i);
	put_authorities(ra, true);
	next_phase(ra);
}

void setup_begin(struct ra *ra)
{
	ra->refusal_n = 0;
	begin(ra, false);
}

/* A token that was away comes back, and so may a key of its. What ca has taken it keeps; what it is being asked is
 * answered first, since answers to an earlier epoch are not heard. */
void setup_retry(struct ra *ra)
{
	if (ra->setup_retry_at != 0 && ra->mono >= ra->setup_retry_at && ra->setup_phase == SETUP_DONE && ra->setup_left == 0 &&
	    ra->up[RA_PORT_CA])
		begin(ra, true);
}

/* Each reason once for a ca, however often it is given. */
static bool is_news(struct ra *ra, const char *why)
{
	uint8_t digest[32];

	digest_sha256(digest, why, strlen(why));
	for (size_t i = 0; i < ra->refusal_n; i++)
		if (memcmp(ra->refusal[i], digest, sizeof digest) == 0)
			return false;
	if (ra->refusal_n == COUNT_OF(ra->refusal))
		return false;
	memcpy(ra->refusal[ra->refusal_n++], digest, sizeof digest);
	return true;
}

static void refused(struct ra *ra, const char *why)
{
	if (is_news(ra, why))
		log_event(LOG_LEVEL_ERROR, "ALARM: the signer refuses what it needs to work", "why", why, NULL);
	/* The first of them, the authority above all others, perhaps, is what `status` says. */
	if (!ra->setup_refused)
		snprintf(ra->ca_why, sizeof ra->ca_why, "%.255s", why);
	ra->setup_refused = true;
	ra->setup_retry_at = ra->mono + SETUP_RETRY_S * US_PER_SECOND;
}

void setup_responder(struct ra *ra, const struct generation *g)
{
	put_responder(ra, gen_index(ra, g), -1);
	feed_authority(ra, g);
}

void setup_answered(struct ra *ra, struct work *w, bool good, struct span body, const struct err *why)
{
	/* What an earlier ca was asked is no part of this one's setup: its failure may be heard only now. */
	if (w->ref != ra->setup_epoch)
		return;
	if (ra->setup_left > 0)
		ra->setup_left--;
	if (w->type == CA_PROFILE_PUT && good && body.n == 32) {
		for (size_t i = 0; i < ra->profile_n; i++)
			if (memcmp(ra->profiles[i].digest, body.p, 32) == 0)
				ra->profiles[i].accepted = true;
	}
	if (!good && why->kind != ERR_TIMEOUT)
		refused(ra, why->text);
	next_phase(ra);
}

/* --- Profiles: DIR/profiles is imported with its digest; a change is an act with an author */

bool profile_take(struct ra *ra, const struct profile *p, const char *actor, uint8_t digest[32], uint8_t before[32], struct err *e)
{
	const struct active *old = profile_active(ra, p->name);
	struct profile_row row = { .active = true, .loaded = ra->now };
	struct audit_event ev = { .event = "profile.load", .outcome = "success", .actor = actor, .auth = "local", .object_type = "profile",
		                  .object = p->name };
	AUTO_BUF canonical = { 0 };
	char now[65], was[65] = "";

	profile_put(&canonical, p);
	digest_sha256(digest, canonical.p, canonical.n);
	memset(before, 0, 32);
	if (old != NULL) {
		memcpy(before, old->digest, 32);
		hex_put(was, before, 32);
	}
	if (old != NULL && memcmp(digest, before, 32) == 0)
		return true;
	snprintf(row.name, sizeof row.name, "%s", p->name);
	snprintf(row.actor, sizeof row.actor, "%.63s", actor);
	memcpy(row.digest, digest, 32);
	if (!store_profile_put(ra->c.store, &row, span_of(&canonical), e) || !profiles_load(ra, e))
		return false;
	hex_put(now, digest, 32);
	audit_detail(&ev, "sha256", now);
	audit_detail(&ev, "before", was);
	audit(ra, &ev);
	return true;
}

static void import_one(struct ra *ra, const char *path)
{
	AUTO_FREE struct profile *p = mem_new(sizeof *p);
	AUTO_BUF mistakes = { 0 };
	uint8_t digest[32], before[32];
	struct err e;

	if (!profile_load(p, path, ra->config->organization, &mistakes))
		log_event(LOG_LEVEL_ERROR, "a profile has mistakes; the version before stays in force", "why", buf_str(&mistakes), NULL);
	else if (!profile_take(ra, p, "configuration", digest, before, &e))
		log_event(LOG_LEVEL_ERROR, "a profile was not imported", "file", path, "why", e.text, NULL);
}

void import_profiles(struct ra *ra)
{
	AUTO_FREE char *folder = mem_printf("%s/profiles", ra->c.dir);
	struct dirent **list;
	int n = scandir(folder, &list, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		size_t len = strlen(list[i]->d_name);
		AUTO_FREE char *path = mem_printf("%s/%s", folder, list[i]->d_name);

		if (list[i]->d_name[0] != '.' && len > 5 && strcmp(list[i]->d_name + len - 5, ".yaml") == 0)
			import_one(ra, path);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	if (ra->setup_phase == SETUP_DONE)
		for (size_t i = 0; i < ra->profile_n; i++)
			put_profile(ra, i);
}

/* --- Provisioning: the authorities that init makes */

static const struct planned {
	const char *name, *alg, *title;
	int64_t life;
	int path_len;
	const char *eku[PROFILE_EKU_MAX];
} plan[] = {
	{ "root", "ecdsa-p384", "Root CA", 20 * 365 * US_PER_DAY, 1, { NULL } },
	{ "devices", "ecdsa-p256", "Devices CA", 5 * 365 * US_PER_DAY, 0, { OID_CLIENT_AUTH, OID_EAP_OVER_LAN } },
	{ "servers", "ecdsa-p256", "Servers CA", 5 * 365 * US_PER_DAY, 0,
	  { OID_SERVER_AUTH, OID_CLIENT_AUTH, OID_IPSEC_IKE, OID_SDC_PROVIDER, OID_SDC_CONSUMER } },
};

static bool authority_subject(struct ra *ra, const struct planned *p, struct dn *dn)
{
	char cn[200], o[65];
	size_t n;

	snprintf(o, sizeof o, "%s", ra->config->organization);
	snprintf(cn, sizeof cn, "%s %s", ra->config->organization, p->title);
	/* CN has at most 64 characters: the organization gives way, at the border of a UTF-8 character. */
	if (strlen(cn) > 64) {
		n = 63 - strlen(p->title);
		while (n > 0 && ((unsigned char)o[n] & 0xc0) == 0x80)
			n--;
		snprintf(cn, sizeof cn, "%.*s %s", (int)n, ra->config->organization, p->title);
	}
	dn->n = 0;
	return dn_add(dn, DN_CN, cn) && dn_add(dn, DN_O, o);
}

static void create_authority(struct ra *ra, const struct planned *p)
{
	AUTO_FREE struct ca_create *c = mem_new(sizeof *c);
	const struct generation *root = gen_newest(ra, "root");
	AUTO_BUF body = { 0 };
	struct work *w;
	struct err e;

	snprintf(c->gen.name, sizeof c->gen.name, "%s", p->name);
	c->gen.gen = 1;
	if (root != NULL) {
		snprintf(c->parent.name, sizeof c->parent.name, "root");
		c->parent.gen = root->gen;
	}
	snprintf(c->alg, sizeof c->alg, "%s", p->alg);
	c->serial.n = 16;
	ra->c.rnd(c->serial.v, 16);
	c->serial.v[0] = (uint8_t)((c->serial.v[0] & 0x7f) | 0x40);
	c->not_before = ra->now - ra->now % US_PER_SECOND - US_PER_HOUR;
	if (root != NULL && c->not_before < root->not_before)
		c->not_before = root->not_before;
	c->not_after = c->not_before + p->life - US_PER_SECOND;
	c->path_len = p->path_len;
	for (; c->eku_n < PROFILE_EKU_MAX && p->eku[c->eku_n] != NULL; c->eku_n++)
		snprintf(c->eku[c->eku_n], sizeof c->eku[0], "%s", p->eku[c->eku_n]);
	if (!authority_subject(ra, p, &c->subject) || (w = work_new(ra, WORK_AUTHORITY, CA_AUTHORITY_CREATE, ra->mono + US_PER_MINUTE, &e)) == NULL)
		return;
	snprintf(w->verb, sizeof w->verb, "%s", p->name);
	ra->provisioning = true;
	ca_create_put(&body, c);
	ask_ca(ra, w, span_of(&body));
}

void provision_answered(struct ra *ra, struct work *w, bool good, struct span body, const struct err *why)
{
	struct audit_event ev = { .event = "ca.create", .outcome = "success", .actor = "init", .auth = "system", .object_type = "authority",
		                  .object = w->verb };
	struct generation g = { .gen = 1 };
	AUTO_FREE struct cert *c = mem_new(sizeof *c);
	const struct generation *root = gen_newest(ra, "root");
	uint8_t hash[32];
	char hex[65];
	struct ca_created made;
	struct err e = *why;

	ra->provisioning = false;
	for (size_t i = 0; i < COUNT_OF(plan); i++)
		if (strcmp(plan[i].name, w->verb) == 0)
			snprintf(g.key_alg, sizeof g.key_alg, "%s", plan[i].alg);
	if (good && ca_created_get(body, &made, &e) && cert_parse(c, made.cert.p, made.cert.n, &e)) {
		snprintf(g.name, sizeof g.name, "%s", w->verb);
		g.parent = root != NULL ? root->ref : 0;
		memcpy(g.key_id, made.key_id.p, made.key_id.n);
		g.key_id_n = made.key_id.n;
		g.not_before = c->not_before;
		g.not_after = c->not_after;
		digest_sha256(hash, made.cert.p, made.cert.n);
		hex_put(hex, hash, 32);
		audit_detail(&ev, "sha256", hex);
		good = store_generation_add(ra->c.store, &g, made.cert, &e) && gens_load(ra, &e);
	} else {
		good = false;
	}
	if (!good) {
		log_event(LOG_LEVEL_ERROR, "authority not made", "name", w->verb, "why", e.text, NULL);
		ev.outcome = "failed";
		audit_detail(&ev, "reason", e.text);
	}
	audit(ra, &ev);
	if (good) {
		ra->setup_phase = SETUP_ISSUING;
		put_authority(ra, ra->gen_n - 1);
	}
}

static void create_responder(struct ra *ra, struct generation *g)
{
	const struct active *p = profile_active(ra, "ocsp");
	AUTO_FREE struct ca_issue *i = mem_new(sizeof *i);
	AUTO_BUF body = { 0 };
	struct validity v;
	struct work *w;
	char cn[64];
	struct err e;

	if (p == NULL || !p->accepted) {
		log_event(LOG_LEVEL_ERROR, "no OCSP responder: profile ocsp is missing or refused", NULL);
		return;
	}
	if (!policy_validity(&v, &p->p, g->not_before, g->not_after, ra->now, &e) ||
	    !intent_make(ra, g->ref, 0, "responder", &i->serial, &e) ||
	    (w = work_new(ra, WORK_RESPONDER, CA_RESPONDER_CREATE, ra->mono + US_PER_MINUTE, &e)) == NULL) {
		log_event(LOG_LEVEL_ERROR, "no OCSP responder", "authority", g->name, "why", e.text, NULL);
		return;
	}
	memcpy(i->profile, p->digest, 32);
	snprintf(i->gen.name, sizeof i->gen.name, "%s", g->name);
	i->gen.gen = g->gen;
	i->not_before = v.not_before;
	i->not_after = v.not_after;
	snprintf(cn, sizeof cn, "OCSP %s %u", g->name, g->gen);
	(void)!dn_add(&i->subject, DN_CN, cn);
	for (size_t k = 0; k < p->p.subject_n; k++) {
		enum dn_type type;

		if (dn_type_parse(p->p.subject[k].type, &type))
			(void)!dn_add(&i->subject, type, p->p.subject[k].value);
	}
	w->ref = g->ref;
	w->serial = i->serial;
	ra->provisioning = true;
	ca_issue_put(&body, i);
	ask_ca(ra, w, span_of(&body));
}

void provision_continue(struct ra *ra)
{
	if (ra->provisioning)
		return;
	for (size_t i = 0; i < COUNT_OF(plan); i++)
		if (gen_newest(ra, plan[i].name) == NULL) {
			create_authority(ra, &plan[i]);
			return;
		}
	trust_files(ra);
}

/* --- By the clock: responders at two thirds of their life, CRLs by their interval */

/* Made while the clock was ahead, nobody believes it until then; the one that replaces it has the higher number and the
 * earlier time, which is said. */
static bool crl_is_of_the_future(const struct ra *ra, const struct generation *g)
{
	char when[32];

	if (ra->now >= g->crl_this - US_PER_MINUTE)
		return false;
	clock_rfc3339_s(g->crl_this, when, sizeof when);
	if ((ra->crl_due >> gen_index(ra, g) & 1) == 0 && !ra->crl.active)
		log_event(LOG_LEVEL_WARN, "ALARM: a CRL carries a time that has not come: it is made anew; is the clock right?", "authority", g->name,
		          "this_update", when, NULL);
	return true;
}

void renew_due(struct ra *ra)
{
	if (ra->mono - ra->renewed_at < US_PER_SECOND && ra->renewed_at != 0 && !ra->c.provision)
		return;
	ra->renewed_at = ra->mono;
	for (size_t i = 0; i < ra->gen_n; i++) {
		struct generation *g = &ra->gens[i];
		bool root = g->parent == 0;

		/* Before the authority was made: the clock is wrong, and what would be made now no use. */
		if (ra->now < g->not_before)
			continue;
		int64_t interval = root ? 180 * US_PER_DAY : ra->config->crl_interval;

		if (!root && !ra->provisioning && ra->mono >= ra->responder_retry_at && ra->now < g->not_after &&
		    (!g->has_responder || ra->now < g->responder_not_before ||
		     ra->now > g->responder_not_before + (g->responder_not_after - g->responder_not_before) / 3 * 2)) {
			create_responder(ra, g);
			return;
		}
		if (g->crl_this == 0 || ra->now > g->crl_this + interval || crl_is_of_the_future(ra, g))
			crl_request(ra, g, "ra");
	}
}

/* --- DIR/trust: what devices and servers must trust, readable by all */

static void write_pem(struct ra *ra, const char *name, const struct buf *text)
{
	AUTO_FREE char *path = mem_printf("%s/trust/%s.pem", ra->c.dir, name);
	AUTO_BUF have = { 0 };
	struct err e;

	if (text->n == 0 || (file_read(&have, path, 1 << 20, NULL) && span_equal(span_of(&have), span_of(text))))
		return;
	if (!file_write_atomic(path, text->p, text->n, 0644, &e))
		log_event(LOG_LEVEL_ERROR, "trust file not written", "why", e.text, NULL);
}

void trust_files(struct ra *ra)
{
	AUTO_BUF chain = { 0 };

	for (size_t i = 0; i < ra->gen_n; i++) {
		AUTO_BUF one = { 0 };

		pem_put(&one, "CERTIFICATE", ra->gen_cert[i].p, ra->gen_cert[i].n);
		if (ra->gens[i].parent != 0)
			buf_add(&chain, one.p, one.n);
		if (&ra->gens[i] == gen_newest(ra, ra->gens[i].name))
			write_pem(ra, ra->gens[i].name, &one);
	}
	write_pem(ra, "chain", &chain);
}
