/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside store/: the connection, and statements with their values in one call. */
#ifndef CADUCEUS_STORE_SQLITE_H
#define CADUCEUS_STORE_SQLITE_H

#include "store/pack.h"
#include "store/store.h"

#include <sqlite3.h>

enum { STATEMENT_MAX = 192 };

struct store {
	sqlite3 *db;
	int lock;
	bool reader;
	char instance[37], node[65];
	uint64_t boot, seq;
	int64_t node_number;
	struct pack *pack;
	struct {
		bool known, dirty; /* dirty: meta does not tell it yet */
		uint64_t seq;
		uint8_t hash[32];
	} audit;
	struct {
		const char *sql; /* by address: every text is a literal in one place */
		sqlite3_stmt *stmt;
	} cache[STATEMENT_MAX];
};

/* Prepares (once) and binds: types is a letter a value: i int64_t, t const char *, b const void * and size_t (NULL: NULL).
 * NULL with *e on failure. The caller steps and gives it to query_end. */
sqlite3_stmt *query(struct store *s, struct err *e, const char *sql, const char *types, ...);
void query_end(sqlite3_stmt *q);
/* A statement without rows. ERR_EXISTS for a broken UNIQUE. changes may be NULL. */
MUST_USE bool execute(struct store *s, struct err *e, int *changes, const char *sql, const char *types, ...);
/* Steps to the next row: 1 there is one, 0 the end, -1 failed with *e. */
int step(struct store *s, sqlite3_stmt *q, struct err *e);
bool sql_fail(struct store *s, struct err *e, const char *what);
/* The audit's head stands in meta, too, so that a cut end is missed: once a transaction. */
MUST_USE bool audit_head_keep(struct store *s, struct err *e);

/* Columns. */
void col_text(sqlite3_stmt *q, int i, char *out, size_t size);
size_t col_blob(sqlite3_stmt *q, int i, void *out, size_t size);

/* A certificate with its authority, profile, subject and status. */
#define CERTIFICATE \
	"SELECT c.id, c.ref, c.subject, g.name, g.gen, c.serial, p.digest, p.name, coalesce(s.name, ''), c.dn, c.not_before," \
	" c.not_after, c.issued, c.spki, c.lint, t.state, t.reason, t.revoked_at, t.seq FROM certificate c" \
	" JOIN generation g ON g.ref = c.ref JOIN status t ON t.ref = c.ref AND t.serial = c.serial" \
	" JOIN profile_number n ON n.number = c.profile JOIN profile p ON p.digest = n.digest" \
	" LEFT JOIN subject s ON s.id = c.subject "
void read_certificate(sqlite3_stmt *q, struct certificate *c);

#define AUTO_QUERY __attribute__((cleanup(query_end_)))  sqlite3_stmt
static inline void query_end_(sqlite3_stmt **q)
{
	if (*q != NULL)
		query_end(*q);
}

#endif
