/* SPDX-License-Identifier: Apache-2.0
 *
 * Subjects, identifiers, credentials; blocked keys; audit. */
#include "store/sqlite.h"

#include "base/text.h"

#include "base/rnd.h"

#include <stdio.h>
#include <string.h>

#define SUBJECT "SELECT id, uuid, kind, name, profile, owner, ward, enabled, created FROM subject "

static void read_subject(sqlite3_stmt *q, struct subject *r)
{
	*r = (struct subject){ .id = sqlite3_column_int64(q, 0),
		               .enabled = sqlite3_column_int(q, 7) != 0,
		               .created = sqlite3_column_int64(q, 8) };
	col_text(q, 1, r->uuid, sizeof r->uuid);
	col_text(q, 2, r->kind, sizeof r->kind);
	col_text(q, 3, r->name, sizeof r->name);
	col_text(q, 4, r->profile, sizeof r->profile);
	col_text(q, 5, r->owner, sizeof r->owner);
	col_text(q, 6, r->ward, sizeof r->ward);
}

bool store_subject_add(struct store *s, struct subject *r, struct err *e)
{
	rnd_uuid(rnd_kernel, r->uuid);
	if (!execute(s, e, NULL,
	             "INSERT INTO subject (uuid, kind, name, profile, owner, ward, enabled, created, node, boot)"
	             " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	             "ttttttiiti", r->uuid, r->kind, r->name, r->profile, r->owner, r->ward, (int64_t)r->enabled, r->created,
	             s->node, (int64_t)s->boot))
		return false;
	r->id = sqlite3_last_insert_rowid(s->db);
	return true;
}

static bool one_subject(struct store *s, sqlite3_stmt *q, struct subject *out, struct err *e)
{
	int rc = q != NULL ? step(s, q, e) : -1;

	if (rc == 1)
		read_subject(q, out);
	return rc == 1 || (rc == 0 && err_set(e, ERR_NOT_FOUND, "no such device"));
}

bool store_subject_by_name(struct store *s, const char *kind, const char *name, struct subject *out, struct err *e)
{
	AUTO_QUERY *q = query(s, e, SUBJECT "WHERE kind = ? AND name = ?", "tt", kind, name);

	return one_subject(s, q, out, e);
}

bool store_subject_by_id(struct store *s, int64_t id, struct subject *out, struct err *e)
{
	AUTO_QUERY *q = query(s, e, SUBJECT "WHERE id = ?", "i", id);

	return one_subject(s, q, out, e);
}

bool store_subject_enable(struct store *s, int64_t id, bool enabled, struct err *e)
{
	return execute(s, e, NULL, "UPDATE subject SET enabled = ? WHERE id = ?", "ii", (int64_t)enabled, id);
}

bool store_subject_list(struct store *s, const char *kind, const char *after, unsigned limit, store_subject_each *each,
                        void *arg, struct err *e)
{
	AUTO_QUERY *q = query(s, e, SUBJECT "WHERE kind = ? AND name > ? ORDER BY name LIMIT ?", "tti", kind, after,
	                      (int64_t)limit);
	struct subject row;
	int rc = q != NULL ? 1 : -1;

	while (rc == 1 && (rc = step(s, q, e)) == 1) {
		read_subject(q, &row);
		if (!each(arg, &row))
			return true;
	}
	return rc == 0;
}

bool store_identifier_add(struct store *s, int64_t subject, const struct identifier *id, struct err *e)
{
	return execute(s, e, NULL, "INSERT OR IGNORE INTO identifier (subject, type, value) VALUES (?, ?, ?)", "itt", subject,
	               id->type, id->value);
}

bool store_identifier_clear(struct store *s, int64_t subject, struct err *e)
{
	return execute(s, e, NULL, "DELETE FROM identifier WHERE subject = ?", "i", subject);
}

bool store_identifier_list(struct store *s, int64_t subject, store_identifier_each *each, void *arg, struct err *e)
{
	AUTO_QUERY *q = query(s, e, "SELECT type, value FROM identifier WHERE subject = ?", "i", subject);
	struct identifier row;
	int rc = q != NULL ? 1 : -1;

	while (rc == 1 && (rc = step(s, q, e)) == 1) {
		col_text(q, 0, row.type, sizeof row.type);
		col_text(q, 1, row.value, sizeof row.value);
		if (!each(arg, &row))
			return true;
	}
	return rc == 0;
}

bool store_credential_add(struct store *s, struct credential *c, struct err *e)
{
	if (!execute(s, e, NULL,
	             "INSERT INTO credential (subject, kind, salt, hash, uses, uses_left, expires, created, node, boot)"
	             " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	             "itbbiiiiti", c->subject, c->kind, c->salt, sizeof c->salt, c->hash, sizeof c->hash, c->uses, c->uses_left,
	             c->expires, c->created, s->node, (int64_t)s->boot))
		return false;
	c->id = sqlite3_last_insert_rowid(s->db);
	return true;
}

bool store_credential_list(struct store *s, int64_t subject, const char *kind, store_credential_each *each, void *arg,
                           struct err *e)
{
	AUTO_QUERY *q = query(s, e,
	                      "SELECT id, salt, hash, uses_left, uses, expires, created, revoked FROM credential"
	                      " WHERE subject = ? AND kind = ? ORDER BY id DESC LIMIT 16",
	                      "it", subject, kind);
	struct credential row;
	int rc = q != NULL ? 1 : -1;

	while (rc == 1 && (rc = step(s, q, e)) == 1) {
		row = (struct credential){ .id = sqlite3_column_int64(q, 0), .subject = subject };
		strncpy(row.kind, kind, sizeof row.kind - 1);
		(void)col_blob(q, 1, row.salt, sizeof row.salt);
		(void)col_blob(q, 2, row.hash, sizeof row.hash);
		row.uses_left = sqlite3_column_int64(q, 3);
		row.uses = sqlite3_column_int64(q, 4);
		row.expires = sqlite3_column_int64(q, 5);
		row.created = sqlite3_column_int64(q, 6);
		row.revoked = sqlite3_column_int(q, 7) != 0;
		if (!each(arg, &row))
			return true;
	}
	return rc == 0;
}

bool store_credential_use(struct store *s, int64_t id, struct err *e)
{
	int changed;

	if (!execute(s, e, &changed, "UPDATE credential SET uses_left = uses_left - 1 WHERE id = ? AND uses_left > 0 AND revoked = 0",
	             "i", id))
		return false;
	return changed == 1 || err_set(e, ERR_CONFLICT, "the password has been used up");
}

bool store_credential_revoke_all(struct store *s, int64_t subject, const char *kind, struct err *e)
{
	return execute(s, e, NULL, "UPDATE credential SET revoked = 1 WHERE subject = ? AND kind = ?", "it", subject, kind);
}

bool store_key_block(struct store *s, const uint8_t spki[32], const char *why, int64_t now, struct err *e)
{
	return execute(s, e, NULL, "INSERT OR IGNORE INTO blocked_key (spki, why, since, node, boot) VALUES (?, ?, ?, ?, ?)", "btiti",
	               spki, (size_t)32, why, now, s->node, (int64_t)s->boot);
}

bool store_key_blocked(struct store *s, const uint8_t spki[32], bool *blocked, struct err *e)
{
	AUTO_QUERY *q = query(s, e, "SELECT 1 FROM blocked_key WHERE spki = ?", "b", spki, (size_t)32);
	int rc = q != NULL ? step(s, q, e) : -1;

	*blocked = rc == 1;
	return rc >= 0;
}

bool store_audit_head(struct store *s, uint64_t *seq, uint8_t hash[32], struct err *e)
{
	if (!s->audit.known || s->reader) {
		AUTO_QUERY *q = query(s, e, "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1", "");
		int rc = q != NULL ? step(s, q, e) : -1;

		if (rc < 0)
			return false;
		s->audit.seq = rc == 1 ? (uint64_t)sqlite3_column_int64(q, 0) : 0;
		if (rc == 1)
			(void)col_blob(q, 1, s->audit.hash, 32);
		s->audit.known = true;
	}
	*seq = s->audit.seq;
	if (*seq != 0)
		memcpy(hash, s->audit.hash, 32);
	return true;
}

bool audit_head_keep(struct store *s, struct err *e)
{
	uint8_t hash[32];
	uint64_t seq;
	char text[96];
	int n;

	if (!s->audit.dirty)
		return true;
	if (!store_audit_head(s, &seq, hash, e))
		return false;
	n = snprintf(text, sizeof text, "%llu ", (unsigned long long)seq);
	hex_put(text + n, hash, seq != 0 ? 32 : 0);
	if (!store_meta_put(s, "audit_head", (struct span){ (uint8_t *)text, strlen(text) }, e))
		return false;
	s->audit.dirty = false;
	return true;
}

bool store_audit_add(struct store *s, uint64_t seq, const char *event, const char *record, const uint8_t hash[32], struct err *e)
{
	AUTO_BUF kept = { 0 };
	char kind[64];

	snprintf(kind, sizeof kind, "audit/%s", event);
	if (!pack_put(s, kind, (struct span){ (const uint8_t *)record, strlen(record) }, &kept, e) ||
	    !execute(s, e, NULL, "INSERT INTO audit (seq, record, hash) VALUES (?, ?, ?)", "ibb", (int64_t)seq, kept.p, kept.n, hash,
	             (size_t)32))
		return false;
	s->audit.known = s->audit.dirty = true;
	s->audit.seq = seq;
	memcpy(s->audit.hash, hash, 32);
	return true;
}

bool store_audit_list(struct store *s, uint64_t after, unsigned limit, store_audit_each *each, void *arg, struct err *e)
{
	AUTO_QUERY *q = query(s, e, "SELECT seq, record, hash FROM audit WHERE seq > ? ORDER BY seq LIMIT ?", "ii", (int64_t)after,
	                      (int64_t)limit);
	AUTO_BUF record = { 0 };
	uint8_t hash[32];
	int rc = q != NULL ? 1 : -1;
	struct err why;

	while (rc == 1 && (rc = step(s, q, e)) == 1) {
		memset(hash, 0, sizeof hash);
		(void)col_blob(q, 2, hash, sizeof hash);
		record.n = 0;
		/* A damaged one is shown as none, and does not hold. */
		if (!pack_get(s, (struct span){ sqlite3_column_blob(q, 1), (size_t)sqlite3_column_bytes(q, 1) }, &record, &why))
			record.n = 0;
		if (!each(arg, (uint64_t)sqlite3_column_int64(q, 0), buf_str(&record), hash))
			return true;
	}
	return rc == 0;
}
