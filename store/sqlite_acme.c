/* SPDX-License-Identifier: Apache-2.0
 *
 * ACME's accounts, orders and authorizations. */
#include "store/sqlite.h"

#include <string.h>

static void col_buf(sqlite3_stmt *q, int i, struct buf *out)
{
	const void *v = sqlite3_column_blob(q, i);

	out->n = 0;
	if (v != NULL)
		buf_add(out, v, (size_t)sqlite3_column_bytes(q, i));
}

/* A statement's one row: its first column. */
static bool one_number(struct store *s, sqlite3_stmt *q, int64_t *out, struct err *e)
{
	int rc = q != NULL ? step(s, q, e) : -1;

	*out = rc == 1 ? sqlite3_column_int64(q, 0) : 0;
	return rc >= 0;
}

static bool found(int rc, const char *what, struct err *e)
{
	return rc == 1 || (rc == 0 && err_set(e, ERR_NOT_FOUND, "no such %s", what));
}

static bool ids(struct store *s, sqlite3_stmt *q, int64_t *out, size_t cap, size_t *n, struct err *e)
{
	int rc = q != NULL ? 1 : -1;

	*n = 0;
	while (rc == 1 && *n < cap && (rc = step(s, q, e)) == 1)
		out[(*n)++] = sqlite3_column_int64(q, 0);
	return rc >= 0;
}

/* --- Bindings */

#define EAB \
	"SELECT k.id, k.subject, k.kid, k.key, k.realm, k.uses, k.used, k.expires, k.created, k.disabled OR s.enabled = 0, s.name" \
	" FROM acme_eab k JOIN subject s ON s.id = k.subject "

static void read_eab(sqlite3_stmt *q, struct acme_eab *k)
{
	*k = (struct acme_eab){ .id = sqlite3_column_int64(q, 0), .subject = sqlite3_column_int64(q, 1), .uses = sqlite3_column_int64(q, 5),
		                .used = sqlite3_column_int64(q, 6), .expires = sqlite3_column_int64(q, 7),
		                .created = sqlite3_column_int64(q, 8), .disabled = sqlite3_column_int(q, 9) != 0 };
	col_text(q, 2, k->kid, sizeof k->kid);
	(void)col_blob(q, 3, k->key, sizeof k->key);
	col_text(q, 4, k->realm, sizeof k->realm);
	col_text(q, 10, k->name, sizeof k->name);
}

bool store_acme_eab_add(struct store *s, struct acme_eab *k, struct err *e)
{
	if (!execute(s, e, NULL,
	             "INSERT INTO acme_eab (subject, kid, key, realm, uses, expires, created, node, boot) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
	             "itbtiiiti", k->subject, k->kid, k->key, sizeof k->key, k->realm, k->uses, k->expires, k->created, s->node,
	             (int64_t)s->boot))
		return false;
	k->id = sqlite3_last_insert_rowid(s->db);
	return true;
}

bool store_acme_eab_find(struct store *s, const char *kid, struct acme_eab *out, struct err *e)
{
	AUTO_QUERY *q = query(s, e, EAB "WHERE k.kid = ?", "t", kid);
	int rc = q != NULL ? step(s, q, e) : -1;

	if (rc == 1)
		read_eab(q, out);
	return found(rc, "key", e);
}

bool store_acme_eab_use(struct store *s, int64_t id, struct err *e)
{
	int changed;

	if (!execute(s, e, &changed, "UPDATE acme_eab SET used = used + 1 WHERE id = ? AND disabled = 0 AND (uses = 0 OR used < uses)", "i", id))
		return false;
	return changed == 1 || err_set(e, ERR_CONFLICT, "the key has been used up");
}

bool store_acme_eab_disable(struct store *s, int64_t subject, struct err *e)
{
	return execute(s, e, NULL, "UPDATE acme_eab SET disabled = 1 WHERE subject = ?", "i", subject);
}

bool store_acme_eab_list(struct store *s, int64_t after, unsigned limit, store_acme_eab_each *each, void *arg, struct err *e)
{
	AUTO_QUERY *q = query(s, e, EAB "WHERE k.id > ? ORDER BY k.id LIMIT ?", "ii", after, (int64_t)limit);
	struct acme_eab row;
	int rc = q != NULL ? 1 : -1;

	while (rc == 1 && (rc = step(s, q, e)) == 1) {
		read_eab(q, &row);
		if (!each(arg, &row))
			break;
	}
	mem_wipe(row.key, sizeof row.key);
	return rc >= 0;
}

/* --- Accounts */

#define ACCOUNT \
	"SELECT a.id, a.realm, a.state, a.subject, a.eab, a.spki, a.thumbprint, a.key, a.contacts, a.terms, a.created, a.changed, s.name" \
	" FROM acme_account a JOIN subject s ON s.id = a.subject "

static void read_account(sqlite3_stmt *q, struct acme_account *a)
{
	a->id = sqlite3_column_int64(q, 0);
	col_text(q, 1, a->realm, sizeof a->realm);
	a->state = sqlite3_column_int(q, 2);
	a->subject = sqlite3_column_int64(q, 3);
	a->eab = sqlite3_column_int64(q, 4);
	(void)col_blob(q, 5, a->spki, sizeof a->spki);
	(void)col_blob(q, 6, a->thumbprint, sizeof a->thumbprint);
	col_buf(q, 7, &a->key);
	col_buf(q, 8, &a->contacts);
	col_text(q, 9, a->terms, sizeof a->terms);
	a->created = sqlite3_column_int64(q, 10);
	a->changed = sqlite3_column_int64(q, 11);
	col_text(q, 12, a->name, sizeof a->name);
}

void acme_account_free(struct acme_account *a)
{
	buf_free(&a->key);
	buf_free(&a->contacts);
}

bool store_acme_account_add(struct store *s, struct acme_account *a, struct err *e)
{
	if (!execute(s, e, NULL,
	             "INSERT INTO acme_account (realm, state, subject, eab, spki, thumbprint, key, contacts, terms, created, changed, node, boot)"
	             " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	             "tiiibbbttiiti", a->realm, (int64_t)a->state, a->subject, a->eab, a->spki, sizeof a->spki, a->thumbprint,
	             sizeof a->thumbprint, a->key.p, a->key.n, buf_str(&a->contacts), a->terms, a->created, a->changed, s->node,
	             (int64_t)s->boot))
		return false;
	a->id = sqlite3_last_insert_rowid(s->db);
	return true;
}

static bool one_account(struct store *s, sqlite3_stmt *q, struct acme_account *out, struct err *e)
{
	int rc = q != NULL ? step(s, q, e) : -1;

	if (rc == 1)
		read_account(q, out);
	return found(rc, "account", e);
}

bool store_acme_account(struct store *s, int64_t id, struct acme_account *out, struct err *e)
{
	AUTO_QUERY *q = query(s, e, ACCOUNT "WHERE a.id = ?", "i", id);

	return one_account(s, q, out, e);
}

bool store_acme_account_by_key(struct store *s, const uint8_t spki[32], const char *realm, struct acme_account *out, struct err *e)
{
	AUTO_QUERY *q = query(s, e, ACCOUNT "WHERE a.spki = ? AND a.realm = ?", "bt", spki, (size_t)32, realm);

	return one_account(s, q, out, e);
}

bool store_acme_account_key(struct store *s, const uint8_t spki[32], bool *is, struct err *e)
{
	AUTO_QUERY *q = query(s, e, "SELECT EXISTS (SELECT 1 FROM acme_account WHERE spki = ?)", "b", spki, (size_t)32);
	int64_t n;

	if (!one_number(s, q, &n, e))
		return false;
	*is = n != 0;
	return true;
}

bool store_acme_account_put(struct store *s, const struct acme_account *a, struct err *e)
{
	struct buf contacts = a->contacts;

	/* ERR_EXISTS: the key is another account's. */
	return execute(s, e, NULL,
	               "UPDATE acme_account SET state = ?, spki = ?, thumbprint = ?, key = ?, contacts = ?, terms = ?, changed = ?, node = ?,"
	               " boot = ? WHERE id = ?",
	               "ibbbbtitii", (int64_t)a->state, a->spki, sizeof a->spki, a->thumbprint, sizeof a->thumbprint, a->key.p, a->key.n,
	               contacts.n != 0 ? (const void *)contacts.p : "", contacts.n, a->terms, a->changed, s->node, (int64_t)s->boot, a->id);
}

bool store_acme_account_list(struct store *s, int64_t subject, int64_t after, unsigned limit, store_acme_account_each *each, void *arg,
                             struct err *e)
{
	AUTO_QUERY *q = subject != 0 ? query(s, e, ACCOUNT "WHERE a.subject = ? AND a.id > ? ORDER BY a.id LIMIT ?", "iii", subject, after,
	                                     (int64_t)limit)
	                             : query(s, e, ACCOUNT "WHERE a.id > ? ORDER BY a.id LIMIT ?", "ii", after, (int64_t)limit);
	struct acme_account row = { 0 };
	int rc = q != NULL ? 1 : -1;

	while (rc == 1 && (rc = step(s, q, e)) == 1) {
		read_account(q, &row);
		if (!each(arg, &row))
			break;
	}
	acme_account_free(&row);
	return rc >= 0;
}

bool store_acme_account_sweep(struct store *s, int64_t before, unsigned limit, int *n, struct err *e)
{
	int changed;

	/* The newest stays, so that no number is given twice. */
	if (!execute(s, e, &changed,
	             "DELETE FROM acme_account WHERE id IN (SELECT a.id FROM acme_account a WHERE a.state <> 4 AND a.changed < ?"
	             " AND NOT EXISTS (SELECT 1 FROM acme_order o WHERE o.account = a.id AND o.state <> 5)"
	             " AND a.id <> (SELECT max(id) FROM acme_account) ORDER BY a.changed LIMIT ?)",
	             "ii", before, (int64_t)limit))
		return false;
	*n += changed;
	return true;
}

/* --- Orders */

void acme_order_free(struct acme_order *o)
{
	buf_free(&o->names);
	buf_free(&o->csr);
}

bool store_acme_order_last(struct store *s, int64_t *id, struct err *e)
{
	AUTO_QUERY *q = query(s, e, "SELECT coalesce(max(id), 0) FROM acme_order", "");

	return one_number(s, q, id, e);
}

bool store_acme_order_add(struct store *s, const struct acme_order *o, struct err *e)
{
	return execute(s, e, NULL,
	               "INSERT INTO acme_order (id, account, state, open, due, expires, profile, names, replaces, replaced)"
	               " VALUES (?, ?, ?, ?, ?, ?, ?, ?, nullif(?, ''), nullif(?, 0))",
	               "iiiiiitbti", o->id, o->account, (int64_t)o->state, o->open, o->due, o->expires, o->profile, o->names.p, o->names.n,
	               o->replaces, o->replaced);
}

bool store_acme_order(struct store *s, int64_t id, struct acme_order *o, struct err *e)
{
	AUTO_QUERY *q = query(s, e,
	                      "SELECT account, state, open, due, expires, profile, names, replaces, replaced, csr, certificate, error,"
	                      " error_detail, error_name FROM acme_order WHERE id = ?",
	                      "i", id);
	int rc = q != NULL ? step(s, q, e) : -1;

	if (rc != 1)
		return found(rc, "order", e);
	o->id = id;
	o->account = sqlite3_column_int64(q, 0);
	o->state = sqlite3_column_int(q, 1);
	o->open = sqlite3_column_int64(q, 2);
	o->due = sqlite3_column_int64(q, 3);
	o->expires = sqlite3_column_int64(q, 4);
	col_text(q, 5, o->profile, sizeof o->profile);
	col_buf(q, 6, &o->names);
	col_text(q, 7, o->replaces, sizeof o->replaces);
	o->replaced = sqlite3_column_int64(q, 8);
	col_buf(q, 9, &o->csr);
	o->certificate = sqlite3_column_int64(q, 10);
	o->error = sqlite3_column_int(q, 11);
	col_text(q, 12, o->error_detail, sizeof o->error_detail);
	col_text(q, 13, o->error_name, sizeof o->error_name);
	return true;
}

bool store_acme_order_put(struct store *s, const struct acme_order *o, struct err *e)
{
	/* An index is written only when its column is named. */
	if (o->certificate != 0)
		return execute(s, e, NULL, "UPDATE acme_order SET state = ?, due = ?, csr = NULL, certificate = ? WHERE id = ?", "iiii",
		               (int64_t)o->state, o->due, o->certificate, o->id);
	return execute(s, e, NULL,
	               "UPDATE acme_order SET state = ?, open = ?, due = ?, expires = ?, csr = ?, error = nullif(?, 0),"
	               " error_detail = nullif(?, ''), error_name = nullif(?, '') WHERE id = ?",
	               "iiiibitti", (int64_t)o->state, o->open, o->due, o->expires, o->csr.n != 0 ? o->csr.p : NULL, o->csr.n,
	               (int64_t)o->error, o->error_detail, o->error_name, o->id);
}

bool store_acme_order_due(struct store *s, int64_t id, int64_t due, struct err *e)
{
	return execute(s, e, NULL, "UPDATE acme_order SET due = ? WHERE id = ?", "ii", due, id);
}

bool store_acme_order_resume(struct store *s, int64_t now, int64_t until, struct err *e)
{
	return execute(s, e, NULL, "UPDATE acme_order SET due = ? WHERE due > ? AND due <= ? AND state IN (1, 3)", "iii", now, now, until);
}

bool store_acme_order_remove(struct store *s, int64_t id, struct err *e)
{
	return execute(s, e, NULL, "DELETE FROM acme_order WHERE id = ?", "i", id);
}

bool store_acme_order_by_certificate(struct store *s, int64_t certificate, int64_t *id, int64_t *account, struct err *e)
{
	AUTO_QUERY *q = query(s, e, "SELECT id, account FROM acme_order WHERE certificate = ?", "i", certificate);
	int rc = q != NULL ? step(s, q, e) : -1;

	if (rc == 1) {
		*id = sqlite3_column_int64(q, 0);
		*account = sqlite3_column_int64(q, 1);
	}
	return found(rc, "order", e);
}

bool store_acme_order_replacing(struct store *s, int64_t certificate, int64_t *id, struct err *e)
{
	AUTO_QUERY *q = query(s, e, "SELECT id FROM acme_order WHERE replaced = ? AND state <> 5 LIMIT 1", "i", certificate);

	return one_number(s, q, id, e);
}

bool store_acme_order_ids(struct store *s, int64_t account, int64_t before, int64_t *out, size_t cap, size_t *n, struct err *e)
{
	AUTO_QUERY *q = query(s, e, "SELECT id FROM acme_order WHERE account = ? AND state <> 5 AND id < ? ORDER BY id DESC LIMIT ?", "iii",
	                      account, before, (int64_t)cap);

	return ids(s, q, out, cap, n, e);
}

bool store_acme_order_open(struct store *s, int64_t account, int64_t after, int64_t *out, size_t cap, size_t *n, struct err *e)
{
	AUTO_QUERY *q = query(s, e, "SELECT id FROM acme_order WHERE account = ? AND state <> 5 AND state IN (1, 2) AND id > ? ORDER BY id LIMIT ?",
	                      "iii", account, after, (int64_t)cap);

	return ids(s, q, out, cap, n, e);
}

bool store_acme_order_overdue(struct store *s, int64_t now, int64_t *out, size_t cap, size_t *n, struct err *e)
{
	AUTO_QUERY *q = query(s, e, "SELECT id FROM acme_order WHERE due <= ? ORDER BY due LIMIT ?", "ii", now, (int64_t)cap);

	return ids(s, q, out, cap, n, e);
}

/* --- Authorizations */

#define AUTHORIZATION \
	"SELECT id, account, made_by, state, challenge, method, name, token, expires, validated, error, error_detail FROM acme_authorization "

bool store_acme_authorization_add(struct store *s, struct acme_authorization *a, struct err *e)
{
	if (!execute(s, e, NULL,
	             "INSERT INTO acme_authorization (account, made_by, state, challenge, method, name, token, expires) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
	             "iiiiitbi", a->account, a->made_by, (int64_t)a->state, (int64_t)a->challenge, (int64_t)a->method, a->name, a->token,
	             sizeof a->token, a->expires))
		return false;
	a->id = sqlite3_last_insert_rowid(s->db);
	return true;
}

static bool one_authorization(struct store *s, sqlite3_stmt *q, struct acme_authorization *a, struct err *e)
{
	int rc = q != NULL ? step(s, q, e) : -1;

	if (rc != 1)
		return found(rc, "authorization", e);
	*a = (struct acme_authorization){ .id = sqlite3_column_int64(q, 0), .account = sqlite3_column_int64(q, 1),
		                          .made_by = sqlite3_column_int64(q, 2), .state = sqlite3_column_int(q, 3),
		                          .challenge = sqlite3_column_int(q, 4), .method = sqlite3_column_int(q, 5),
		                          .expires = sqlite3_column_int64(q, 8), .validated = sqlite3_column_int64(q, 9),
		                          .error = sqlite3_column_int(q, 10) };
	col_text(q, 6, a->name, sizeof a->name);
	(void)col_blob(q, 7, a->token, sizeof a->token);
	col_text(q, 11, a->error_detail, sizeof a->error_detail);
	return true;
}

bool store_acme_authorization(struct store *s, int64_t id, struct acme_authorization *out, struct err *e)
{
	AUTO_QUERY *q = query(s, e, AUTHORIZATION "WHERE id = ?", "i", id);

	return one_authorization(s, q, out, e);
}

bool store_acme_authorization_put(struct store *s, const struct acme_authorization *a, struct err *e)
{
	return execute(s, e, NULL,
	               "UPDATE acme_authorization SET state = ?, challenge = ?, method = ?, expires = ?, validated = nullif(?, 0),"
	               " error = nullif(?, 0), error_detail = nullif(?, '') WHERE id = ?",
	               "iiiiiiti", (int64_t)a->state, (int64_t)a->challenge, (int64_t)a->method, a->expires, a->validated, (int64_t)a->error,
	               a->error_detail, a->id);
}

bool store_acme_authorization_remove(struct store *s, int64_t id, struct err *e)
{
	return execute(s, e, NULL, "DELETE FROM acme_authorization WHERE id = ?", "i", id);
}

/* The index's own condition must stand in a question for it to be used. */
bool store_acme_authorization_valid(struct store *s, int64_t account, const char *name, int64_t since, int64_t now,
                                    struct acme_authorization *out, struct err *e)
{
	AUTO_QUERY *q = query(s, e, AUTHORIZATION "WHERE state IN (1, 4) AND account = ? AND state = 4 AND name = ? AND validated > ? AND expires > ?"
	                      " ORDER BY id DESC LIMIT 1",
	                      "itii", account, name, since, now);

	return one_authorization(s, q, out, e);
}

bool store_acme_authorization_pending(struct store *s, int64_t account, int64_t most, int64_t *n, struct err *e)
{
	AUTO_QUERY *q = query(s, e, "SELECT count(*) FROM (SELECT 1 FROM acme_authorization WHERE state IN (1, 4) AND account = ? AND state = 1 LIMIT ?)",
	                      "ii", account, most);

	return one_number(s, q, n, e);
}
