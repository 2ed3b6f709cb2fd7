/* SPDX-License-Identifier: Apache-2.0
 *
 * Officers' verbs of ACME: keys that bind accounts to a subject, and the accounts. */
#include "ra/officer.h"

#include "base/clock.h"
#include "base/rnd.h"
#include "base/text.h"
#include "ra/acme_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { PAGE = 500, USES_MAX = 1000000, KID_SIZE = 16 };

/* --- Adding */

static bool check_profile(const struct call *c, const char *name, struct err *e)
{
	if (acme_realm(c->ra, name) != NULL)
		return true;
	return err_set(e, profile_active(c->ra, name) == NULL ? ERR_NOT_FOUND : ERR_POLICY,
	               profile_active(c->ra, name) == NULL ? "there is no profile %s; caduceus profile list" : "profile %s has no acme door",
	               name);
}

/* The first is the directory; further ones may be asked for in an order. Without any: server, or the only one there is. */
static bool take_profiles(const struct call *c, struct acme_rules *r, struct err *e)
{
	struct rd args = rd_of(c->args.p, c->args.n);
	struct field f;

	r->profile_n = 0;
	while (record_next(&args, &f)) {
		char *name = r->profile[r->profile_n];

		if (f.type != FIELD_LIST || strcmp(f.name, "profile") != 0 || f.octets.n == 0 || r->profile_n == RA_LABEL_MAX)
			continue;
		snprintf(name, sizeof r->profile[0], "%.*s", (int)f.octets.n, (const char *)f.octets.p);
		if (!check_profile(c, name, e))
			return false;
		r->profile_n++;
	}
	if (r->profile_n != 0)
		return true;
	if (acme_realm(c->ra, "server") != NULL)
		strcpy(r->profile[r->profile_n++], "server");
	for (size_t i = 0; r->profile_n == 0 && i < c->ra->profile_n; i++)
		if ((c->ra->profiles[i].p.doors & DOOR_ACME) != 0)
			snprintf(r->profile[r->profile_n++], sizeof r->profile[0], "%s", c->ra->profiles[i].p.name);
	return r->profile_n != 0 || err_set(e, ERR_POLICY, "no profile has the acme door; caduceus profile load");
}

/* One that was disabled comes back with what is said now; its accounts do not. */
static bool take_subject(const struct call *c, struct subject *b, struct err *e)
{
	struct subject was;

	if (store_subject_add(c->ra->c.store, b, e))
		return true;
	if (e->kind != ERR_EXISTS || !store_subject_by_name(c->ra->c.store, b->kind, b->name, &was, e))
		return false;
	if (was.enabled)
		return err_set(e, ERR_EXISTS, "%s exists already; caduceus acme eab disable %s voids its keys and accounts", b->name, b->name);
	*b = was;
	b->enabled = true;
	return store_identifier_clear(c->ra->c.store, b->id, e) && store_subject_enable(c->ra->c.store, b->id, true, e);
}

static bool add_profiles(const struct call *c, const struct subject *b, const struct acme_rules *r, struct err *e)
{
	for (size_t i = 1; i < r->profile_n; i++) {
		struct identifier id = { .type = "profile" };

		snprintf(id.value, sizeof id.value, "%s", r->profile[i]);
		if (!store_identifier_add(c->ra->c.store, b->id, &id, e))
			return false;
	}
	return true;
}

static void show_key(const struct call *c, const struct acme_eab *k, const char root[65])
{
	AUTO_BUF row = { 0 };
	AUTO_BUF rows = { 0 };
	AUTO_BUF key = { 0 };
	char url[400];

	b64url_put(&key, k->key, sizeof k->key);
	snprintf(url, sizeof url, "%s/acme/%s/directory", c->ra->config->public_enroll, k->realm);
	record_text(&row, "name", k->name);
	record_text(&row, "profile", k->realm);
	record_text(&row, "kid", k->kid);
	record_text(&row, "hmac_key", buf_str(&key));
	record_text(&row, "directory", url);
	record_int(&row, "uses", k->uses);
	record_time(&row, "expires", k->expires);
	record_text(&row, "root_sha256", root);
	wr_span(&rows, row.p, row.n);
	officer_rows(c->ra, c->client, "eab", false, "", 1, span_of(&rows));
	mem_wipe(key.p, key.n);
	mem_wipe(row.p, row.n);
	mem_wipe(rows.p, rows.n);
}

/* Its base64url does not begin with a hyphen, which a command line takes for an option. */
static void draw(uint8_t *out, size_t n)
{
	do
		rnd_kernel(out, n);
	while (out[0] >> 2 == 62);
}

static bool make_key(const struct call *c, const struct subject *b, const struct acme_rules *r, struct err *e)
{
	struct acme_eab k = { .subject = b->id, .uses = arg_int(c, "uses", 0), .created = c->ra->now };
	int64_t valid = arg_int(c, "valid", 30 * US_PER_DAY);
	uint8_t random[KID_SIZE];
	AUTO_BUF kid = { 0 };
	char root[65];
	bool good;

	if (k.uses < 0 || k.uses > USES_MAX)
		return err_set(e, ERR_BAD_REQUEST, "uses must be from 1 to %d, or 0: any number of accounts", USES_MAX);
	if (valid < US_PER_MINUTE || valid > 3660 * US_PER_DAY)
		return err_set(e, ERR_BAD_REQUEST, "valid must be from 1m to 3660d");
	k.expires = c->ra->now + valid;
	draw(random, sizeof random);
	draw(k.key, sizeof k.key);
	b64url_put(&kid, random, sizeof random);
	snprintf(k.kid, sizeof k.kid, "%s", buf_str(&kid));
	snprintf(k.realm, sizeof k.realm, "%s", r->profile[0]);
	snprintf(k.name, sizeof k.name, "%s", b->name);
	good = store_acme_eab_add(c->ra->c.store, &k, e) && root_fingerprint(c->ra, root);
	if (good)
		show_key(c, &k, root);
	mem_wipe(k.key, sizeof k.key);
	if (good)
		call_audit(c, "acme.eab.add", "subject", b->name, "kid", k.kid);
	return good;
}

bool acme_eab_add(struct call *c, struct err *e)
{
	struct subject b = { .enabled = true, .created = c->ra->now };
	struct acme_rules *r = &c->ra->acme->rules;

	strcpy(b.kind, "service");
	arg_text(c, "name", b.name, sizeof b.name);
	arg_text(c, "owner", b.owner, sizeof b.owner);
	arg_text(c, "ward", b.ward, sizeof b.ward);
	if (!officer_name_ok(b.name))
		return err_set(e, ERR_BAD_NAME, "a name has letters, digits, dots, hyphens and underscores, at most 253");
	if (!take_profiles(c, r, e))
		return false;
	snprintf(b.profile, sizeof b.profile, "%s", r->profile[0]);
	/* The enrolment listener's own. */
	if (strcasecmp(b.name, "enroll") == 0)
		return err_set(e, ERR_EXISTS, "enroll is the service itself; take another name");
	return take_subject(c, &b, e) && officer_add_list(c, &b, "san", e) && add_profiles(c, &b, r, e) && make_key(c, &b, r, e);
}

/* --- Lists */

static unsigned page_limit(const struct call *c)
{
	int64_t limit = arg_int(c, "limit", PAGE);

	return limit < 1 ? 1 : limit > PAGE ? PAGE : (unsigned)limit;
}

/* Where a page begins: the number of the row before. */
static bool page_after(const struct call *c, int64_t *after, struct err *e)
{
	char text[25], *end;

	arg_text(c, "after", text, sizeof text);
	*after = strtoll(text, &end, 10);
	return *end == 0 || err_set(e, ERR_BAD_REQUEST, "after is of no such list");
}

static bool eab_row(void *arg, const struct acme_eab *k)
{
	struct gathered *g = arg;
	AUTO_BUF row = { 0 };

	record_text(&row, "name", k->name);
	record_text(&row, "kid", k->kid);
	record_text(&row, "profile", k->realm);
	record_bool(&row, "enabled", !k->disabled);
	record_int(&row, "uses", k->uses);
	record_int(&row, "used", k->used);
	record_time(&row, "expires", k->expires);
	record_time(&row, "created", k->created);
	if (!gather(g, &row))
		return false;
	snprintf(g->next, sizeof g->next, "%" PRId64, k->id);
	return true;
}

bool acme_eab_list(struct call *c, struct err *e)
{
	struct gathered g = { 0 };
	unsigned limit = page_limit(c);
	int64_t after;
	bool good = page_after(c, &after, e) && store_acme_eab_list(c->ra->c.store, after, limit, eab_row, &g, e);

	if (good)
		officer_rows(c->ra, c->client, "eab", true, g.full || g.n == limit ? g.next : "", g.n, span_of(&g.rows));
	buf_free(&g.rows);
	return good;
}

static void put_account(struct buf *row, const struct acme_account *a)
{
	AUTO_FREE char *contacts = mem_printf("%.*s", (int)a->contacts.n, a->contacts.n != 0 ? (const char *)a->contacts.p : "");

	record_int(row, "id", a->id);
	record_text(row, "name", a->name);
	record_text(row, "profile", a->realm);
	record_text(row, "status", acme_state_name((enum acme_state)a->state));
	record_bool(row, "eab", a->eab != 0);
	record_list(row, "contact", "");
	for (char *p = strtok(contacts, "\n"); p != NULL; p = strtok(NULL, "\n"))
		record_list(row, "contact", p);
	record_time(row, "created", a->created);
}

static bool account_row(void *arg, const struct acme_account *a)
{
	struct gathered *g = arg;
	AUTO_BUF row = { 0 };

	put_account(&row, a);
	if (!gather(g, &row))
		return false;
	snprintf(g->next, sizeof g->next, "%" PRId64, a->id);
	return true;
}

static bool find_service(const struct call *c, const char *name, struct subject *b, struct err *e)
{
	if (store_subject_by_name(c->ra->c.store, "service", name, b, e))
		return true;
	return e->kind != ERR_NOT_FOUND ? false : err_set(e, ERR_NOT_FOUND, "there is no %s; caduceus acme eab list", name);
}

bool acme_account_list(struct call *c, struct err *e)
{
	struct gathered g = { 0 };
	unsigned limit = page_limit(c);
	struct subject b = { .id = 0 };
	char name[STORE_NAME];
	int64_t after;
	bool good;

	arg_text(c, "name", name, sizeof name);
	if (!page_after(c, &after, e) || (name[0] != 0 && !find_service(c, name, &b, e)))
		return false;
	good = store_acme_account_list(c->ra->c.store, b.id, after, limit, account_row, &g, e);
	if (good)
		officer_rows(c->ra, c->client, "accounts", true, g.full || g.n == limit ? g.next : "", g.n, span_of(&g.rows));
	buf_free(&g.rows);
	return good;
}

/* --- Ending */

static void show_one(const struct call *c, const char *name, const struct buf *row)
{
	AUTO_BUF rows = { 0 };

	wr_span(&rows, row->p, row->n);
	officer_rows(c->ra, c->client, name, false, "", 1, span_of(&rows));
}

/* By its name or one of its kids. */
static bool find_bound(const struct call *c, struct subject *b, struct err *e)
{
	char name[STORE_NAME];
	struct acme_eab k;
	bool found;

	arg_text(c, "name", name, sizeof name);
	if (store_acme_eab_find(c->ra->c.store, name, &k, e)) {
		mem_wipe(k.key, sizeof k.key);
		return store_subject_by_id(c->ra->c.store, k.subject, b, e);
	}
	found = e->kind == ERR_NOT_FOUND && find_service(c, name, b, e);
	return found && (strcasecmp(b->name, "enroll") != 0 || err_set(e, ERR_NOT_FOUND, "enroll is the service itself"));
}

bool acme_eab_disable(struct call *c, struct err *e)
{
	struct certificate_filter f = { .status = -1, .now = c->ra->now };
	int64_t accounts, n = 0;
	uint64_t seq = 0;
	struct subject b;
	AUTO_BUF row = { 0 };
	char text[24];

	if (!find_bound(c, &b, e) || !store_subject_enable(c->ra->c.store, b.id, false, e) ||
	    !store_acme_eab_disable(c->ra->c.store, b.id, e) || !acme_accounts_revoke(c->ra, b.id, &accounts, e))
		return false;
	issue_cancel(c->ra, b.id);
	f.subject_id = b.id;
	if (arg_int(c, "revoke", 0) != 0 && !revoke_filtered(c->ra, &f, REASON_CESSATION, c->q.actor, "local", &c->q.source, &n, &seq, e))
		return false;
	snprintf(text, sizeof text, "%" PRId64, accounts);
	call_audit(c, "acme.eab.disable", "subject", b.name, "accounts", text);
	record_text(&row, "name", b.name);
	record_bool(&row, "enabled", false);
	record_int(&row, "accounts", accounts);
	record_int(&row, "revoked", n);
	if (n != 0)
		wait_for_va(c->ra, c->client, seq, "eab", span_of(&row));
	else
		show_one(c, "eab", &row);
	return true;
}

/* The one account. Without a binding it is its subject, too; a binding's key may make another one until it is disabled. */
bool acme_account_disable(struct call *c, struct err *e)
{
	struct acme_account *a = &c->ra->acme->account;
	int64_t id = arg_int(c, "id", 0);
	AUTO_BUF row = { 0 };
	char text[24];

	if (!store_acme_account(c->ra->c.store, id, a, e))
		return e->kind != ERR_NOT_FOUND ? false
		                                : err_set(e, ERR_NOT_FOUND, "there is no account %" PRId64 "; caduceus acme account list", id);
	if (a->state != ACME_VALID)
		return err_set(e, ERR_CONFLICT, "account %" PRId64 " is %s already", id, acme_state_name((enum acme_state)a->state));
	if (!acme_move(ACME_AN_ACCOUNT, &a->state, ACME_REVOKED, e))
		return false;
	a->changed = c->ra->now;
	if (!store_acme_account_put(c->ra->c.store, a, e) || (a->eab == 0 && !store_subject_enable(c->ra->c.store, a->subject, false, e)))
		return false;
	if (a->eab == 0)
		issue_cancel(c->ra, a->subject);
	snprintf(text, sizeof text, "%" PRId64, id);
	call_audit(c, "acme.account.disable", "acme-account", text, "subject", a->name);
	put_account(&row, a);
	show_one(c, "account", &row);
	return true;
}
