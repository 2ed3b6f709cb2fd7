/* SPDX-License-Identifier: Apache-2.0
 *
 * Authorities, profiles, intents, certificates, status. */
#include "store/sqlite.h"

#include <stdio.h>
#include <string.h>

/* --- Generations */

bool store_generation_add(struct store *s, struct generation *g, struct span cert, struct err *e)
{
	if (!execute(s, e, NULL,
	             "INSERT INTO generation (name, gen, parent, key_alg, key_id, cert, not_before, not_after, node, boot)"
	             " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	             "tiitbbiiti", g->name, (int64_t)g->gen, g->parent, g->key_alg, g->key_id, g->key_id_n, cert.p, cert.n,
	             g->not_before, g->not_after, s->node, (int64_t)s->boot))
		return false;
	g->ref = sqlite3_last_insert_rowid(s->db);
	return true;
}

static void read_generation(sqlite3_stmt *q, struct generation *g)
{
	*g = (struct generation){ .ref = sqlite3_column_int64(q, 0), .gen = (uint32_t)sqlite3_column_int64(q, 2) };
	col_text(q, 1, g->name, sizeof g->name);
	g->parent = sqlite3_column_int64(q, 3);
	col_text(q, 4, g->key_alg, sizeof g->key_alg);
	g->key_id_n = col_blob(q, 5, g->key_id, sizeof g->key_id);
	g->not_before = sqlite3_column_int64(q, 6);
	g->not_after = sqlite3_column_int64(q, 7);
	g->crl_number = (uint64_t)sqlite3_column_int64(q, 8);
	g->crl_this = sqlite3_column_int64(q, 9);
	g->crl_next = sqlite3_column_int64(q, 10);
	g->responder_key_n = col_blob(q, 11, g->responder_key, sizeof g->responder_key);
	g->has_responder = g->responder_key_n != 0;
	g->responder_not_before = sqlite3_column_int64(q, 12);
	g->responder_not_after = sqlite3_column_int64(q, 13);
}

bool store_generation_list(struct store *s, struct generation *out, size_t cap, size_t *n, struct err *e)
{
	AUTO_QUERY *q = query(s, e,
	                      "SELECT ref, name, gen, parent, key_alg, key_id, not_before, not_after, crl_number, crl_this,"
	                      " crl_next, responder_key, responder_not_before, responder_not_after FROM generation ORDER BY ref",
	                      "");
	int rc = q != NULL ? 1 : -1;

	*n = 0;
	while (rc == 1 && (rc = step(s, q, e)) == 1 && *n < cap)
		read_generation(q, &out[(*n)++]);
	return rc >= 0;
}

static bool blob_of(struct store *s, sqlite3_stmt *q, struct buf *out, struct err *e)
{
	int rc = q != NULL ? step(s, q, e) : -1;

	out->n = 0;
	if (rc == 1)
		buf_add(out, sqlite3_column_blob(q, 0), (size_t)sqlite3_column_bytes(q, 0));
	return rc == 1 || (rc == 0 && err_set(e, ERR_NOT_FOUND, "not there"));
}

bool store_generation_cert(struct store *s, int64_t ref, struct buf *out, struct err *e)
{
	AUTO_QUERY *q = query(s, e, "SELECT cert FROM generation WHERE ref = ?", "i", ref);

	return blob_of(s, q, out, e);
}

bool store_responder_set(struct store *s, int64_t ref, struct span key_id, struct span cert, int64_t not_before,
                         int64_t not_after, struct err *e)
{
	return execute(s, e, NULL,
	               "UPDATE generation SET responder_key = ?, responder_cert = ?, responder_not_before = ?,"
	               " responder_not_after = ? WHERE ref = ?",
	               "bbiii", key_id.p, key_id.n, cert.p, cert.n, not_before, not_after, ref);
}

bool store_responder_cert(struct store *s, int64_t ref, struct buf *out, struct err *e)
{
	AUTO_QUERY *q = query(s, e, "SELECT responder_cert FROM generation WHERE ref = ? AND responder_cert IS NOT NULL", "i", ref);

	return blob_of(s, q, out, e);
}

bool store_crl_number_take(struct store *s, int64_t ref, uint64_t *number, struct err *e)
{
	if (!execute(s, e, NULL, "UPDATE generation SET crl_number = crl_number + 1 WHERE ref = ?", "i", ref))
		return false;
	AUTO_QUERY *q = query(s, e, "SELECT crl_number FROM generation WHERE ref = ?", "i", ref);

	if (q == NULL || step(s, q, e) != 1)
		return false;
	*number = (uint64_t)sqlite3_column_int64(q, 0);
	return true;
}

bool store_crl_published(struct store *s, int64_t ref, int64_t this_update, int64_t next_update, struct err *e)
{
	return execute(s, e, NULL, "UPDATE generation SET crl_this = ?, crl_next = ? WHERE ref = ?", "iii", this_update, next_update,
	               ref);
}

bool store_crl_behind(struct store *s, int64_t ref, int64_t since, bool *behind, struct err *e)
{
	AUTO_QUERY *q = query(s, e, "SELECT EXISTS (SELECT 1 FROM status WHERE ref = ? AND state = 1 AND reason IN (1, 2) AND revoked_at >= ?)",
	                      "ii", ref, since);

	if (q == NULL || step(s, q, e) != 1)
		return false;
	*behind = sqlite3_column_int(q, 0) != 0;
	return true;
}

/* --- Profiles */

bool store_profile_put(struct store *s, const struct profile_row *r, struct span canonical, struct err *e)
{
	if (r->active && !execute(s, e, NULL, "UPDATE profile SET active = 0 WHERE name = ?", "t", r->name))
		return false;
	return execute(s, e, NULL,
	               "INSERT INTO profile (digest, name, canonical, active, loaded, actor, node, boot)"
	               " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
	               " ON CONFLICT (digest) DO UPDATE SET active = excluded.active, loaded = excluded.loaded",
	               "btbiitti", r->digest, sizeof r->digest, r->name, canonical.p, canonical.n, (int64_t)r->active, r->loaded,
	               r->actor, s->node, (int64_t)s->boot) &&
	       execute(s, e, NULL, "INSERT OR IGNORE INTO profile_number (digest) VALUES (?)", "b", r->digest, sizeof r->digest);
}

bool store_profile_list(struct store *s, bool active_only, store_profile_each *each, void *arg, struct err *e)
{
	AUTO_QUERY *q = query(s, e,
	                      "SELECT digest, name, active, loaded, actor, canonical FROM profile WHERE active >= ? ORDER BY name",
	                      "i", (int64_t)active_only);
	struct profile_row r;
	int rc = q != NULL ? 1 : -1;

	while (rc == 1 && (rc = step(s, q, e)) == 1) {
		r = (struct profile_row){ .active = sqlite3_column_int(q, 2) != 0, .loaded = sqlite3_column_int64(q, 3) };
		(void)col_blob(q, 0, r.digest, sizeof r.digest);
		col_text(q, 1, r.name, sizeof r.name);
		col_text(q, 4, r.actor, sizeof r.actor);
		if (!each(arg, &r, (struct span){ sqlite3_column_blob(q, 5), (size_t)sqlite3_column_bytes(q, 5) }))
			return true;
	}
	return rc == 0;
}

/* --- Intents */

static bool serial_taken(struct store *s, int64_t ref, struct span serial, bool *taken, struct err *e)
{
	AUTO_QUERY *q = query(s, e, "SELECT 1 FROM status WHERE ref = ? AND serial = ?", "ib", ref, serial.p, serial.n);
	int rc = q != NULL ? step(s, q, e) : -1;

	*taken = rc == 1;
	return rc >= 0;
}

bool store_intent_add(struct store *s, const struct intent *i, struct err *e)
{
	bool taken;

	if (!serial_taken(s, i->ref, (struct span){ i->serial, i->serial_n }, &taken, e))
		return false;
	if (taken)
		return err_set(e, ERR_EXISTS, "serial in use");
	return execute(s, e, NULL, "INSERT INTO intent (ref, serial, subject, purpose, created, node, boot) VALUES (?, ?, ?, ?, ?, ?, ?)",
	               "ibititi", i->ref, i->serial, i->serial_n, i->subject, i->purpose, i->created, s->node, (int64_t)s->boot);
}

bool store_intent_close(struct store *s, int64_t ref, struct span serial, struct err *e)
{
	int changed;

	return execute(s, e, &changed, "DELETE FROM intent WHERE ref = ? AND serial = ?", "ib", ref, serial.p, serial.n) &&
	       (changed == 1 || err_set(e, ERR_NOT_FOUND, "no such intent"));
}

bool store_intent_list(struct store *s, store_intent_each *each, void *arg, struct err *e)
{
	AUTO_QUERY *q = query(s, e, "SELECT ref, serial, subject, purpose, created FROM intent WHERE boot < ?", "i", (int64_t)s->boot);
	struct intent r;
	int rc = q != NULL ? 1 : -1;

	while (rc == 1 && (rc = step(s, q, e)) == 1) {
		r = (struct intent){ .ref = sqlite3_column_int64(q, 0), .subject = sqlite3_column_int64(q, 2),
			             .created = sqlite3_column_int64(q, 4) };
		r.serial_n = col_blob(q, 1, r.serial, sizeof r.serial);
		col_text(q, 3, r.purpose, sizeof r.purpose);
		if (!each(arg, &r))
			return true;
	}
	return rc == 0;
}

/* --- Certificates */

enum { REQUEST_KEPT = 16 }; /* octets of a request's key: enough to tell those of one public key apart */

static bool zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != 0)
			return false;
	return true;
}

/* certificate: its id, 0 none was delivered. */
static bool status_add(struct store *s, int64_t ref, struct span serial, enum store_status state, int reason, int64_t at,
                       int64_t not_after, int64_t certificate, uint64_t *seq, struct err *e)
{
	if (!execute(s, e, NULL, "INSERT INTO status (ref, serial, state, reason, revoked_at, not_after, seq, certificate)"
	             " VALUES (?, ?, ?, ?, ?, ?, ?, nullif(?, 0))",
	             "ibiiiiii", ref, serial.p, serial.n, (int64_t)state, (int64_t)reason, at, not_after, (int64_t)(s->seq + 1), certificate))
		return false;
	*seq = ++s->seq;
	return true;
}

bool store_certificate_add(struct store *s, struct certificate *c, struct span der, struct err *e)
{
	struct span serial = { c->serial, c->serial_n };
	bool keyed = !zero(c->request_key, sizeof c->request_key);
	AUTO_BUF kept = { 0 };
	char kind[64];

	snprintf(kind, sizeof kind, "certificate/%lld/%s", (long long)c->ref, c->profile);
	if (!store_intent_close(s, c->ref, serial, e) || !pack_put(s, kind, der, &kept, e) ||
	    !execute(s, e, NULL,
	             "INSERT INTO certificate (ref, serial, subject, profile, dn, not_before, not_after, issued, spki, request, lint,"
	             " der, node, boot) VALUES (?, ?, ?, (SELECT number FROM profile_number WHERE digest = ?), ?, ?, ?, ?, ?, ?, ?,"
	             " ?, ?, ?)",
	             "ibibtiiibbibii", c->ref, serial.p, serial.n, c->subject, c->profile_digest, sizeof c->profile_digest, c->dn,
	             c->not_before, c->not_after, c->issued, c->spki, sizeof c->spki, keyed ? c->request_key : NULL,
	             (size_t)REQUEST_KEPT, (int64_t)c->lint_version, kept.p, kept.n, s->node_number, (int64_t)s->boot))
		return false;
	c->id = sqlite3_last_insert_rowid(s->db);
	return status_add(s, c->ref, serial, STORE_GOOD, 0, 0, c->not_after, c->id, &c->seq, e);
}

bool store_serial_void(struct store *s, int64_t ref, struct span serial, int64_t now, int64_t not_after, uint64_t *seq,
                       struct err *e)
{
	/* cessationOfOperation(5): it never began. */
	return store_intent_close(s, ref, serial, e) && status_add(s, ref, serial, STORE_REVOKED, 5, now, not_after, 0, seq, e);
}

bool store_certificate_der(struct store *s, int64_t id, struct buf *out, struct err *e)
{
	AUTO_QUERY *q = query(s, e, "SELECT der FROM certificate WHERE id = ?", "i", id);
	AUTO_BUF kept = { 0 };

	out->n = 0;
	return blob_of(s, q, &kept, e) && pack_get(s, span_of(&kept), out, e);
}

void read_certificate(sqlite3_stmt *q, struct certificate *c)
{
	*c = (struct certificate){ .id = sqlite3_column_int64(q, 0), .ref = sqlite3_column_int64(q, 1) };
	c->subject = sqlite3_column_int64(q, 2);
	col_text(q, 3, c->ca, sizeof c->ca);
	c->gen = (uint32_t)sqlite3_column_int64(q, 4);
	c->serial_n = col_blob(q, 5, c->serial, sizeof c->serial);
	(void)col_blob(q, 6, c->profile_digest, sizeof c->profile_digest);
	col_text(q, 7, c->profile, sizeof c->profile);
	col_text(q, 8, c->subject_name, sizeof c->subject_name);
	col_text(q, 9, c->dn, sizeof c->dn);
	c->not_before = sqlite3_column_int64(q, 10);
	c->not_after = sqlite3_column_int64(q, 11);
	c->issued = sqlite3_column_int64(q, 12);
	(void)col_blob(q, 13, c->spki, sizeof c->spki);
	c->lint_version = (uint32_t)sqlite3_column_int64(q, 14);
	c->status = (enum store_status)sqlite3_column_int(q, 15);
	c->reason = (uint8_t)sqlite3_column_int(q, 16);
	c->revoked_at = sqlite3_column_int64(q, 17);
	c->seq = (uint64_t)sqlite3_column_int64(q, 18);
}

static bool one_certificate(struct store *s, sqlite3_stmt *q, struct certificate *out, struct err *e)
{
	int rc = q != NULL ? step(s, q, e) : -1;

	if (rc == 1)
		read_certificate(q, out);
	return rc == 1 || (rc == 0 && err_set(e, ERR_NOT_FOUND, "no such certificate"));
}

bool store_certificate_by_id(struct store *s, int64_t id, struct certificate *out, struct err *e)
{
	AUTO_QUERY *q = query(s, e, CERTIFICATE "WHERE c.id = ?", "i", id);

	return one_certificate(s, q, out, e);
}

bool store_certificate_by_serial(struct store *s, int64_t ref, struct span serial, struct certificate *out, struct err *e)
{
	AUTO_QUERY *q = query(s, e, CERTIFICATE "WHERE c.id = (SELECT certificate FROM status WHERE ref = ? AND serial = ?)", "ib", ref,
	                      serial.p, serial.n);

	return one_certificate(s, q, out, e);
}

bool store_certificate_by_request(struct store *s, const uint8_t key[32], const uint8_t spki[32], int64_t since,
                                  struct certificate *out, struct err *e)
{
	AUTO_QUERY *q = query(s, e, CERTIFICATE "WHERE substr(c.spki, 1, 8) = ? AND c.request = ? AND c.issued >= ? AND t.state = 0"
	                      " ORDER BY c.id DESC LIMIT 1",
	                      "bbi", spki, (size_t)8, key, (size_t)REQUEST_KEPT, since);

	return one_certificate(s, q, out, e);
}

bool store_spki_owner(struct store *s, const uint8_t spki[32], int64_t subject, int64_t now, int64_t *other, struct err *e)
{
	AUTO_QUERY *q = query(s, e,
	                      "SELECT c.subject FROM certificate c JOIN status t ON t.ref = c.ref AND t.serial = c.serial"
	                      " WHERE substr(c.spki, 1, 8) = ? AND c.spki = ? AND c.subject <> ? AND c.not_after > ?"
	                      " AND t.state = 0 LIMIT 1",
	                      "bbii", spki, (size_t)8, spki, (size_t)32, subject, now);
	int rc = q != NULL ? step(s, q, e) : -1;

	*other = rc == 1 ? sqlite3_column_int64(q, 0) : 0;
	if (rc == 1 && *other == 0)
		*other = -1; /* a certificate without a subject: an officer's request */
	return rc >= 0;
}

bool store_spki_other_name(struct store *s, const uint8_t spki[32], const char *dn, int64_t now, int64_t *other, struct err *e)
{
	AUTO_QUERY *q = query(s, e,
	                      "SELECT 1 FROM certificate c JOIN status t ON t.ref = c.ref AND t.serial = c.serial"
	                      " WHERE substr(c.spki, 1, 8) = ? AND c.spki = ? AND c.dn <> ? AND c.not_after > ? AND t.state = 0 LIMIT 1",
	                      "bbti", spki, (size_t)8, spki, (size_t)32, dn, now);
	int rc = q != NULL ? step(s, q, e) : -1;

	*other = rc == 1 ? -1 : 0;
	return rc >= 0;
}

bool store_spki_first(struct store *s, const uint8_t spki[32], int64_t subject, int64_t *issued, struct err *e)
{
	AUTO_QUERY *q = query(s, e,
	                      "SELECT coalesce(min(issued), 0) FROM certificate WHERE substr(spki, 1, 8) = ? AND spki = ? AND subject = ?",
	                      "bbi", spki, (size_t)8, spki, (size_t)32, subject);

	if (q == NULL || step(s, q, e) != 1)
		return false;
	*issued = sqlite3_column_int64(q, 0);
	return true;
}

/* --- Status */

bool store_status_set(struct store *s, int64_t ref, struct span serial, enum store_status state, uint8_t reason, int64_t at,
                      uint64_t *seq, struct err *e)
{
	int changed;

	if (!execute(s, e, &changed, "UPDATE status SET state = ?, reason = ?, revoked_at = ?, seq = ? WHERE ref = ? AND serial = ?",
	             "iiiiib", (int64_t)state, (int64_t)reason, at, (int64_t)(s->seq + 1), ref, serial.p, serial.n))
		return false;
	if (changed != 1)
		return err_set(e, ERR_NOT_FOUND, "no such certificate");
	*seq = ++s->seq;
	return true;
}

bool store_status_head(struct store *s, uint64_t *seq, struct err *e)
{
	if (s->reader) {
		AUTO_QUERY *q = query(s, e, "SELECT coalesce(max(seq), 0) FROM status", "");

		if (q == NULL || step(s, q, e) != 1)
			return false;
		s->seq = (uint64_t)sqlite3_column_int64(q, 0);
	}
	*seq = s->seq;
	return true;
}

bool store_status_estimate(struct store *s, uint64_t *n, struct err *e)
{
	/* Two questions: max() and min() in one would read all. */
	AUTO_QUERY *q = query(s, e, "SELECT coalesce((SELECT max(id) FROM certificate) - (SELECT min(id) FROM certificate) + 1, 0)", "");
	int rc = q != NULL ? step(s, q, e) : -1;

	*n = rc == 1 ? (uint64_t)sqlite3_column_int64(q, 0) : 0;
	return rc == 1;
}

static bool each_status(struct store *s, sqlite3_stmt *q, store_status_each *each, void *arg, struct err *e)
{
	struct status_row r;
	int rc = q != NULL ? 1 : -1;

	while (rc == 1 && (rc = step(s, q, e)) == 1) {
		r = (struct status_row){ .ref = sqlite3_column_int64(q, 0) };
		r.serial_n = col_blob(q, 1, r.serial, sizeof r.serial);
		r.state = (enum store_status)sqlite3_column_int(q, 2);
		r.reason = (uint8_t)sqlite3_column_int(q, 3);
		r.revoked_at = sqlite3_column_int64(q, 4);
		r.not_after = sqlite3_column_int64(q, 5);
		r.seq = (uint64_t)sqlite3_column_int64(q, 6);
		if (!each(arg, &r))
			return true;
	}
	return rc == 0;
}

#define STATUS "SELECT ref, serial, state, reason, revoked_at, not_after, seq FROM status "

bool store_status_page(struct store *s, int64_t after_ref, struct span after_serial, unsigned limit, store_status_each *each,
                       void *arg, struct err *e)
{
	AUTO_QUERY *q = query(s, e, STATUS "WHERE (ref, serial) > (?, ?) ORDER BY ref, serial LIMIT ?", "ibi", after_ref,
	                      after_serial.n != 0 ? (const void *)after_serial.p : "", after_serial.n, (int64_t)limit);

	return each_status(s, q, each, arg, e);
}

bool store_revoked_page(struct store *s, int64_t ref, struct span after_serial, unsigned limit, store_status_each *each, void *arg,
                        struct err *e)
{
	AUTO_QUERY *q = query(s, e, STATUS "INDEXED BY status_revoked WHERE state = 1 AND ref = ? AND serial > ? ORDER BY serial LIMIT ?", "ibi", ref,
	                      after_serial.n != 0 ? (const void *)after_serial.p : "", after_serial.n, (int64_t)limit);

	return each_status(s, q, each, arg, e);
}

bool store_status_tail(struct store *s, uint64_t after, unsigned limit, store_status_each *each, void *arg, struct err *e)
{
	AUTO_QUERY *q = query(s, e, STATUS "WHERE seq > ? ORDER BY seq LIMIT ?", "ii", (int64_t)after, (int64_t)limit);

	return each_status(s, q, each, arg, e);
}
