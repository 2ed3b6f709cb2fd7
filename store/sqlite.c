/* SPDX-License-Identifier: Apache-2.0
 *
 * The connection: open, migrate, transactions, statements. */
#include "store/sqlite.h"

#include "base/clock.h"
#include "base/rnd.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* Made from store/schema by scripts/embed. */
struct store_schema_row {
	const char *name, *text;
};
extern const struct store_schema_row store_schema[];

enum { APPLICATION_ID = 0x63616475 }; /* "cadu" */

bool sql_fail(struct store *s, struct err *e, const char *what)
{
	return err_set(e, ERR_STORE, "database: %s: %s", what, sqlite3_errmsg(s->db));
}

static sqlite3_stmt *prepared(struct store *s, struct err *e, const char *sql)
{
	for (size_t i = 0; i < STATEMENT_MAX; i++) {
		if (s->cache[i].sql == sql)
			return s->cache[i].stmt;
		if (s->cache[i].sql != NULL)
			continue;
		if (sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->cache[i].stmt, NULL) != SQLITE_OK) {
			sql_fail(s, e, "prepare");
			return NULL;
		}
		s->cache[i].sql = sql;
		return s->cache[i].stmt;
	}
	err_set(e, ERR_INTERNAL, "database: statement table is full");
	return NULL;
}

static sqlite3_stmt *bind(struct store *s, struct err *e, const char *sql, const char *types, va_list ap)
{
	sqlite3_stmt *q = prepared(s, e, sql);
	const void *p;

	for (int i = 1; q != NULL && *types != 0; i++, types++) {
		switch (*types) {
		case 'i':
			sqlite3_bind_int64(q, i, va_arg(ap, int64_t));
			break;
		case 't':
			sqlite3_bind_text(q, i, va_arg(ap, const char *), -1, SQLITE_STATIC);
			break;
		default:
			p = va_arg(ap, const void *);
			sqlite3_bind_blob(q, i, p, (int)va_arg(ap, size_t), SQLITE_STATIC);
		}
	}
	return q;
}

sqlite3_stmt *query(struct store *s, struct err *e, const char *sql, const char *types, ...)
{
	sqlite3_stmt *q;
	va_list ap;

	va_start(ap, types);
	q = bind(s, e, sql, types, ap);
	va_end(ap);
	return q;
}

void query_end(sqlite3_stmt *q)
{
	sqlite3_reset(q);
	sqlite3_clear_bindings(q);
}

int step(struct store *s, sqlite3_stmt *q, struct err *e)
{
	int rc = sqlite3_step(q);

	if (rc == SQLITE_ROW)
		return 1;
	if (rc == SQLITE_DONE)
		return 0;
	sql_fail(s, e, "read");
	return -1;
}

bool execute(struct store *s, struct err *e, int *changes, const char *sql, const char *types, ...)
{
	sqlite3_stmt *q;
	va_list ap;
	int rc;

	va_start(ap, types);
	q = bind(s, e, sql, types, ap);
	va_end(ap);
	if (q == NULL)
		return false;
	rc = sqlite3_step(q);
	query_end(q);
	if (rc != SQLITE_DONE && (sqlite3_extended_errcode(s->db) == SQLITE_CONSTRAINT_UNIQUE ||
	                          sqlite3_extended_errcode(s->db) == SQLITE_CONSTRAINT_PRIMARYKEY))
		return err_set(e, ERR_EXISTS, "exists already");
	if (rc != SQLITE_DONE)
		return sql_fail(s, e, "write");
	if (changes != NULL)
		*changes = sqlite3_changes(s->db);
	return true;
}

void col_text(sqlite3_stmt *q, int i, char *out, size_t size)
{
	const char *v = (const char *)sqlite3_column_text(q, i);

	snprintf(out, size, "%s", v != NULL ? v : "");
}

size_t col_blob(sqlite3_stmt *q, int i, void *out, size_t size)
{
	const void *v = sqlite3_column_blob(q, i);
	size_t n = (size_t)sqlite3_column_bytes(q, i);

	if (n > size)
		n = size;
	if (n != 0)
		memcpy(out, v, n);
	return n;
}

static bool plain(struct store *s, const char *sql, struct err *e)
{
	return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK || sql_fail(s, e, sql);
}

bool store_begin(struct store *s, struct err *e)
{
	return s->reader ? execute(s, e, NULL, "BEGIN", "") : execute(s, e, NULL, "BEGIN IMMEDIATE", "");
}

static bool load_seq(struct store *s, struct err *e)
{
	AUTO_QUERY *q = query(s, e, "SELECT coalesce(max(seq), 0) FROM status", "");

	if (q == NULL || step(s, q, e) != 1)
		return false;
	s->seq = (uint64_t)sqlite3_column_int64(q, 0);
	return true;
}

bool store_commit(struct store *s, struct err *e)
{
	bool good = audit_head_keep(s, e) && execute(s, e, NULL, "COMMIT", "");

	pack_ended(s->pack, good);
	return good;
}

void store_rollback(struct store *s)
{
	struct err e;

	if (sqlite3_get_autocommit(s->db) == 0)
		(void)!plain(s, "ROLLBACK", &e);
	pack_ended(s->pack, false);
	s->audit.known = s->audit.dirty = false;
	if (!s->reader)
		(void)!load_seq(s, &e);
}

bool store_savepoint(struct store *s, struct err *e)
{
	return execute(s, e, NULL, "SAVEPOINT request", "");
}

bool store_release(struct store *s, struct err *e)
{
	return execute(s, e, NULL, "RELEASE request", "");
}

void store_rollback_to(struct store *s)
{
	struct err e;

	(void)!execute(s, &e, NULL, "ROLLBACK TO request", "");
	(void)!execute(s, &e, NULL, "RELEASE request", "");
	pack_ended(s->pack, false);
	s->audit.known = false;
}

const char *store_instance(const struct store *s)
{
	return s->instance;
}

const char *store_node(const struct store *s)
{
	return s->node;
}

uint64_t store_boot(const struct store *s)
{
	return s->boot;
}

/* --- Opening */

static int64_t pragma(struct store *s, const char *sql)
{
	sqlite3_stmt *q = NULL;
	int64_t v = -1;

	if (sqlite3_prepare_v2(s->db, sql, -1, &q, NULL) == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW)
		v = sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	return v;
}

int store_schema_version(struct store *s)
{
	return (int)pragma(s, "PRAGMA user_version");
}

static bool migrate(struct store *s, bool create, struct err *e)
{
	int64_t have = pragma(s, "PRAGMA user_version"), want = 0;
	char sql[96];

	while (store_schema[want].name != NULL)
		want++;
	if (have > want)
		return err_set(e, ERR_CONFLICT, "the database was made by a newer program (schema %lld, this one knows %lld): "
		                                "use that program", (long long)have, (long long)want);
	if (have == 0 && !create)
		return err_set(e, ERR_STORE, "the database is empty; `caduceus init` makes an instance");
	if (have != 0 && have < want && !create)
		return err_set(e, ERR_CONFLICT, "the database is of an older program (schema %lld, this one wants %lld): `caduceus upgrade` "
		                                "migrates it", (long long)have, (long long)want);
	for (; have < want; have++) {
		if (!plain(s, "BEGIN IMMEDIATE", e))
			return false;
		snprintf(sql, sizeof sql, "PRAGMA user_version = %lld; PRAGMA application_id = %d; COMMIT",
		         (long long)have + 1, APPLICATION_ID);
		if (!plain(s, store_schema[have].text, e) || !plain(s, sql, e)) {
			store_rollback(s);
			return err_in(e, "schema %s", store_schema[have].name);
		}
	}
	return true;
}

/* The instance's uuid is made once; the node is the machine's name; the boot rises at each open for writing. */
static bool identify(struct store *s, struct err *e)
{
	AUTO_BUF v = { 0 };
	char text[32];

	if (!store_meta_get(s, "instance", &v, e)) {
		if (e->kind != ERR_NOT_FOUND)
			return false;
		rnd_uuid(rnd_kernel, s->instance);
		if (!store_meta_put(s, "instance", (struct span){ (uint8_t *)s->instance, 36 }, e))
			return false;
	} else {
		snprintf(s->instance, sizeof s->instance, "%s", buf_str(&v));
	}
	if (gethostname(s->node, sizeof s->node) != 0)
		strcpy(s->node, "localhost");
	s->node[sizeof s->node - 1] = 0;
	if (store_meta_get(s, "boot", &v, e))
		s->boot = strtoull(buf_str(&v), NULL, 10);
	if (s->reader)
		return true;
	snprintf(text, sizeof text, "%llu", (unsigned long long)++s->boot);
	if (!store_meta_put(s, "boot", (struct span){ (uint8_t *)text, strlen(text) }, e) ||
	    !execute(s, e, NULL, "INSERT OR IGNORE INTO node (name) VALUES (?)", "t", s->node))
		return false;
	AUTO_QUERY *q = query(s, e, "SELECT number FROM node WHERE name = ?", "t", s->node);

	if (q == NULL || step(s, q, e) != 1)
		return false;
	s->node_number = sqlite3_column_int64(q, 0);
	return true;
}

static bool writer_lock(struct store *s, const char *path, struct err *e)
{
	AUTO_FREE char *lock = mem_printf("%s.lock", path);

	s->lock = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->lock < 0)
		return err_sys(e, ERR_STORE, "%s", lock);
	return flock(s->lock, LOCK_EX | LOCK_NB) == 0 ||
	       err_set(e, ERR_STORE, "the database %s is in use by another process", path);
}

static bool open_db(struct store *s, const char *uri, int flags, struct err *e)
{
	if (strncmp(uri, "sqlite:", 7) != 0)
		return err_set(e, ERR_CONFIG, "database must begin with sqlite:");
	if (!s->reader && !writer_lock(s, uri + 7, e))
		return false;
	if (sqlite3_open_v2(uri + 7, &s->db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		return err_set(e, ERR_STORE, "database %s: %s", uri + 7, s->db != NULL ? sqlite3_errmsg(s->db) : "no memory");
	sqlite3_extended_result_codes(s->db, 1);
	sqlite3_busy_timeout(s->db, 5000);
	return true;
}

/* The log and its index stay when the last connection closes: ra has no right to make files in the folder, only to
 * write these. (A new database becomes WAL by way of a journal in memory, for the same reason.) */
static bool keep_files(struct store *s, struct err *e)
{
	int on = 1;

	return sqlite3_file_control(s->db, NULL, SQLITE_FCNTL_PERSIST_WAL, &on) == SQLITE_OK || sql_fail(s, e, "persistent WAL");
}

bool store_open(struct store **out, const char *uri, bool create, struct err *e)
{
	AUTO_STRUCT(store) *s = mem_new(sizeof *s);

	s->lock = -1;
	s->pack = pack_new();
	if (!open_db(s, uri, SQLITE_OPEN_READWRITE | (create ? SQLITE_OPEN_CREATE : 0), e) ||
	    (pragma(s, "PRAGMA user_version") == 0 && !plain(s, "PRAGMA journal_mode = MEMORY", e)) ||
	    !plain(s, "PRAGMA temp_store = MEMORY; PRAGMA journal_mode = WAL;"
	              "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA cache_size = -16000", e) ||
	    !keep_files(s, e) ||
	    !migrate(s, create, e) || !store_begin(s, e))
		return false;
	if (!identify(s, e) || !load_seq(s, e) || !store_commit(s, e)) {
		store_rollback(s);
		return false;
	}
	*out = TAKE(s);
	return true;
}

bool store_open_reader(struct store **out, const char *uri, struct err *e)
{
	AUTO_STRUCT(store) *s = mem_new(sizeof *s);
	struct err ignored = { 0 };

	s->lock = -1;
	s->pack = pack_new();
	s->reader = true;
	if (!open_db(s, uri, SQLITE_OPEN_READWRITE, e) || !plain(s, "PRAGMA query_only = ON", e))
		return false;
	if (pragma(s, "PRAGMA user_version") <= 0)
		return err_set(e, ERR_STORE, "the database %s is empty", uri + 7);
	if (!identify(s, &ignored)) {
		*e = ignored;
		return false;
	}
	*out = TAKE(s);
	return true;
}

void store_close(struct store *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < STATEMENT_MAX; i++)
		sqlite3_finalize(s->cache[i].stmt);
	sqlite3_close(s->db);
	pack_free(s->pack);
	if (s->lock >= 0)
		close(s->lock);
	free(s);
}

bool store_meta_get(struct store *s, const char *key, struct buf *out, struct err *e)
{
	AUTO_QUERY *q = query(s, e, "SELECT value FROM meta WHERE key = ?", "t", key);
	int rc = q != NULL ? step(s, q, e) : -1;

	out->n = 0;
	if (rc == 1)
		buf_add(out, sqlite3_column_blob(q, 0), (size_t)sqlite3_column_bytes(q, 0));
	return rc == 1 || (rc == 0 && err_set(e, ERR_NOT_FOUND, "no such entry"));
}

bool store_meta_put(struct store *s, const char *key, struct span value, struct err *e)
{
	return execute(s, e, NULL, "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
	               "tb", key, value.p, value.n);
}

bool store_rollback_jump(struct store *s, int64_t by, struct err *e)
{
	if (!execute(s, e, NULL, "UPDATE generation SET crl_number = crl_number + ?", "i", by))
		return false;
	/* The feed's numbers go on above all that was ever told: the newest row carries the jump. */
	if (!execute(s, e, NULL, "UPDATE status SET seq = seq + ? WHERE seq = (SELECT max(seq) FROM status)", "i", by * 1000))
		return false;
	return load_seq(s, e);
}

bool store_upgrade(const char *uri, int *from, int *to, struct err *e)
{
	AUTO_STRUCT(store) *s = mem_new(sizeof *s);
	AUTO_FREE char *copy = NULL;
	struct store_backup *b = NULL;
	int more = 1;

	s->lock = -1;
	if (!open_db(s, uri, SQLITE_OPEN_READWRITE, e))
		return false;
	*from = (int)pragma(s, "PRAGMA user_version");
	*to = 0;
	while (store_schema[*to].name != NULL)
		++*to;
	if (*from <= 0)
		return err_set(e, ERR_STORE, "the database is empty; `caduceus init` makes an instance");
	if (*from >= *to) {
		*to = *from;
		return migrate(s, true, e); /* nothing to do, or newer: it says so */
	}
	copy = mem_printf("%s.before-schema-%d", uri + 7, *to);
	if (!store_backup_begin(s, copy, &b, e))
		return err_in(e, "the copy that is kept before a migration (of an earlier try? then move it away)");
	while (more > 0)
		more = store_backup_step(b, 4096, e);
	store_backup_end(b);
	return more == 0 && keep_files(s, e) && migrate(s, true, e);
}
