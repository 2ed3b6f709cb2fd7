/* SPDX-License-Identifier: Apache-2.0 */
#include "ra/officer.h"

#include "base/clock.h"
#include "base/rnd.h"
#include "base/text.h"
#include "ra/password.h"

#include <stdio.h>
#include <string.h>

enum { USES_MAX = 1000000, PAGE = 500 };

bool officer_name_ok(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

	return n != 0 && s[n] == 0 && n <= 253;
}

static bool find_device(const struct call *c, struct subject *s, struct err *e)
{
	char name[STORE_NAME];

	arg_text(c, "name", name, sizeof name);
	if (store_subject_by_name(c->ra->c.store, "device", name, s, e))
		return true;
	return e->kind != ERR_NOT_FOUND ? false : err_set(e, ERR_NOT_FOUND, "there is no device %s; caduceus device list", name);
}

static bool new_password(const struct call *c, const struct subject *s, struct err *e)
{
	struct credential cr = { .subject = s->id, .uses = arg_int(c, "uses", 1), .created = c->ra->now };
	int64_t valid = arg_int(c, "valid", 7 * US_PER_DAY);
	char password[PASSWORD_SIZE], root[65], url[320];
	AUTO_BUF row = { 0 };
	AUTO_BUF rows = { 0 };

	if (cr.uses < 1 || cr.uses > USES_MAX)
		return err_set(e, ERR_BAD_REQUEST, "uses must be from 1 to %d", USES_MAX);
	if (valid < US_PER_MINUTE || valid > 366 * US_PER_DAY)
		return err_set(e, ERR_BAD_REQUEST, "valid must be from 1m to 366d");
	cr.uses_left = cr.uses;
	cr.expires = c->ra->now + valid;
	strcpy(cr.kind, "est-password");
	password_make(rnd_kernel, password);
	rnd_kernel(cr.salt, sizeof cr.salt);
	password_hash(password, cr.salt, cr.hash);
	if (!store_credential_add(c->ra->c.store, &cr, e) || !root_fingerprint(c->ra, root))
		return false;
	snprintf(url, sizeof url, "%s/.well-known/est", c->ra->config->public_enroll);
	record_text(&row, "name", s->name);
	record_text(&row, "profile", s->profile);
	record_text(&row, "password", password);
	record_text(&row, "est_url", url);
	record_time(&row, "expires", cr.expires);
	record_int(&row, "uses", cr.uses);
	record_text(&row, "root_sha256", root);
	wr_span(&rows, row.p, row.n);
	officer_rows(c->ra, c->client, "device", false, "", 1, span_of(&rows));
	mem_wipe(password, sizeof password);
	mem_wipe(row.p, row.n);
	mem_wipe(rows.p, rows.n);
	return true;
}

bool officer_add_list(const struct call *c, const struct subject *s, const char *argument, struct err *e)
{
	struct rd r = rd_of(c->args.p, c->args.n);
	struct field f;

	while (record_next(&r, &f)) {
		struct identifier id = { 0 };
		AUTO_FREE char *text = NULL;
		char normal[SAN_VALUE_MAX + 8];
		struct san san;

		if (f.type != FIELD_LIST || strcmp(f.name, argument) != 0 || f.octets.n == 0)
			continue;
		text = mem_printf("%.*s", (int)f.octets.n, (const char *)f.octets.p);
		if (strcmp(argument, "tag") == 0) {
			if (strchr(text, '=') == NULL || text[0] == '=')
				return err_set(e, ERR_BAD_REQUEST, "tag '%s': KEY=VALUE is expected", text);
			strcpy(id.type, "tag");
			snprintf(id.value, sizeof id.value, "%s", text);
		} else {
			if (!san_from_text(&san, text, true, e))
				return err_in(e, "--san");
			san_to_text(&san, normal, sizeof normal);
			snprintf(id.type, sizeof id.type, "%s", san_type_name(san.type));
			snprintf(id.value, sizeof id.value, "%s", strchr(normal, ':') + 1);
		}
		if (!store_identifier_add(c->ra->c.store, s->id, &id, e))
			return false;
	}
	return true;
}

bool device_add(struct call *c, struct err *e)
{
	struct subject s = { .enabled = true, .created = c->ra->now };
	const struct active *p;

	strcpy(s.kind, "device");
	arg_text(c, "name", s.name, sizeof s.name);
	arg_text(c, "profile", s.profile, sizeof s.profile);
	arg_text(c, "owner", s.owner, sizeof s.owner);
	arg_text(c, "ward", s.ward, sizeof s.ward);
	if (s.profile[0] == 0)
		snprintf(s.profile, sizeof s.profile, "%s", c->ra->config->est_default_profile);
	if (!officer_name_ok(s.name))
		return err_set(e, ERR_BAD_NAME, "a device's name has letters, digits, dots, hyphens and underscores, at most 253");
	p = profile_active(c->ra, s.profile);
	if (p == NULL || (p->p.doors & DOOR_EST) == 0)
		return err_set(e, p == NULL ? ERR_NOT_FOUND : ERR_POLICY, p == NULL ? "there is no profile %s; caduceus profile list"
		                                                                     : "profile %s has no est door", s.profile);
	if (!store_subject_add(c->ra->c.store, &s, e))
		return e->kind != ERR_EXISTS ? false
		                             : err_set(e, ERR_EXISTS, "device %s exists already; a new password: caduceus device password %s",
		                                       s.name, s.name);
	if (!officer_add_list(c, &s, "san", e) || !officer_add_list(c, &s, "tag", e) || !new_password(c, &s, e))
		return false;
	call_audit(c, "device.add", "device", s.name, "profile", s.profile);
	return true;
}

bool device_password(struct call *c, struct err *e)
{
	struct subject s;

	if (!find_device(c, &s, e) || !store_credential_revoke_all(c->ra->c.store, s.id, "est-password", e) || !new_password(c, &s, e))
		return false;
	call_audit(c, "device.password", "device", s.name, NULL, NULL);
	return true;
}

static void put_subject(struct buf *b, const struct subject *s)
{
	record_text(b, "name", s->name);
	record_text(b, "profile", s->profile);
	record_bool(b, "enabled", s->enabled);
	record_text(b, "owner", s->owner);
	record_text(b, "ward", s->ward);
	record_time(b, "created", s->created);
}

static bool list_one(void *arg, const struct subject *s)
{
	struct gathered *g = arg;
	AUTO_BUF row = { 0 };

	put_subject(&row, s);
	if (!gather(g, &row))
		return false;
	snprintf(g->next, sizeof g->next, "%s", s->name);
	return true;
}

static unsigned page_limit(const struct call *c)
{
	int64_t limit = arg_int(c, "limit", PAGE);

	return limit < 1 ? 1 : limit > PAGE ? PAGE : (unsigned)limit;
}

bool device_list(struct call *c, struct err *e)
{
	struct gathered g = { 0 };
	char after[STORE_NAME];
	unsigned limit = page_limit(c);
	bool good;

	arg_text(c, "after", after, sizeof after);
	good = store_subject_list(c->ra->c.store, "device", after, limit, list_one, &g, e);
	if (good)
		officer_rows(c->ra, c->client, "devices", true, g.full || g.n == limit ? g.next : "", g.n, span_of(&g.rows));
	buf_free(&g.rows);
	return good;
}

static bool show_identifier(void *arg, const struct identifier *id)
{
	struct buf *row = arg;
	AUTO_FREE char *text = mem_printf("%s:%s", id->type, id->value);

	record_list(row, strcmp(id->type, "tag") == 0 ? "tag" : "san", strcmp(id->type, "tag") == 0 ? id->value : text);
	return true;
}

struct holding {
	int64_t now, uses_left, expires;
};

static bool show_credential(void *arg, const struct credential *cr)
{
	struct holding *h = arg;

	if (cr->revoked || cr->uses_left == 0 || cr->expires <= h->now)
		return true;
	h->uses_left = cr->uses_left;
	h->expires = cr->expires;
	return false;
}

enum { SHOWN_MAX = 1000 };

struct shown {
	struct buf *row;
	unsigned n;
};

static bool show_certificate(void *arg, const struct certificate *row)
{
	char text[2 * STORE_SERIAL + 1];
	struct shown *s = arg;

	hex_put(text, row->serial, row->serial_n);
	record_list(s->row, "certificates", text);
	s->n++;
	return true;
}

static bool show_certificates(const struct call *c, int64_t subject, struct buf *row, struct err *e)
{
	char after[STORE_NEXT] = "", next[STORE_NEXT];
	struct certificate_filter f = { .status = -1, .now = c->ra->now, .subject_id = subject, .after = after };
	struct shown s = { .row = row };

	record_list(row, "certificates", "");
	do {
		if (!store_certificate_list(c->ra->c.store, &f, SHOWN_MAX - s.n, show_certificate, &s, next, e))
			return false;
		memcpy(after, next, sizeof after);
	} while (next[0] != 0 && s.n < SHOWN_MAX);
	return true;
}

bool device_show(struct call *c, struct err *e)
{
	struct holding h = { .now = c->ra->now };
	struct subject s;
	AUTO_BUF row = { 0 };
	AUTO_BUF rows = { 0 };

	if (!find_device(c, &s, e))
		return false;
	put_subject(&row, &s);
	record_text(&row, "uuid", s.uuid);
	record_list(&row, "san", "");
	record_list(&row, "tag", "");
	if (!store_identifier_list(c->ra->c.store, s.id, show_identifier, &row, e) ||
	    !store_credential_list(c->ra->c.store, s.id, "est-password", show_credential, &h, e))
		return false;
	record_int(&row, "password_uses_left", h.uses_left);
	if (h.uses_left != 0)
		record_time(&row, "password_expires", h.expires);
	if (!show_certificates(c, s.id, &row, e))
		return false;
	wr_span(&rows, row.p, row.n);
	officer_rows(c->ra, c->client, "device", false, "", 1, span_of(&rows));
	return true;
}

static bool set_enabled(struct call *c, bool enabled, struct err *e)
{
	struct certificate_filter f = { .status = -1, .now = c->ra->now };
	struct subject s;
	uint64_t seq = 0;
	int64_t n = 0;
	AUTO_BUF row = { 0 };
	AUTO_BUF rows = { 0 };

	if (!find_device(c, &s, e) || !store_subject_enable(c->ra->c.store, s.id, enabled, e))
		return false;
	f.subject_id = s.id;
	if (!enabled)
		issue_cancel(c->ra, s.id);
	if (!enabled && !store_credential_revoke_all(c->ra->c.store, s.id, "est-password", e))
		return false;
	if (!enabled && arg_int(c, "revoke", 0) != 0 && !revoke_filtered(c->ra, &f, REASON_CESSATION, c->q.actor, "local", &c->q.source, &n, &seq, e))
		return false;
	call_audit(c, enabled ? "device.enable" : "device.disable", "device", s.name, NULL, NULL);
	record_text(&row, "name", s.name);
	record_bool(&row, "enabled", enabled);
	record_int(&row, "revoked", n);
	if (n != 0) {
		wait_for_va(c->ra, c->client, seq, "device", span_of(&row));
		return true;
	}
	wr_span(&rows, row.p, row.n);
	officer_rows(c->ra, c->client, "device", false, "", 1, span_of(&rows));
	return true;
}

bool device_disable(struct call *c, struct err *e)
{
	return set_enabled(c, false, e);
}

bool device_enable(struct call *c, struct err *e)
{
	return set_enabled(c, true, e);
}
