/* SPDX-License-Identifier: Apache-2.0
 *
 * The sweep of what ended long ago. The audit keeps what was issued; here the rows go. */
#include "store/sqlite.h"

#include "base/clock.h"

#include <string.h>

enum { BATCH_MAX = 256, SWEEP_US = 3000 };

struct ended {
	int64_t id, ref, not_after;
	uint8_t serial[STORE_SERIAL], spki[32];
	size_t serial_n;
	bool held; /* revoked, and its time on CRLs is not over */
	bool last; /* the feed's newest: numbers go on above it after a restart */
};

/* Everything that speaks for keeping a row that is old enough stands here. */
static bool may_go(struct store *s, const struct ended *r, bool *go, struct err *e)
{
	bool blocked;

	*go = false;
	if (r->held || r->last)
		return true;
	/* Refused for ever: its certificates say whose it was. */
	if (!store_key_blocked(s, r->spki, &blocked, e))
		return false;
	*go = !blocked;
	return true;
}

static bool remove_one(struct store *s, const struct ended *r, struct err *e)
{
	return execute(s, e, NULL, "DELETE FROM status WHERE ref = ? AND serial = ?", "ib", r->ref, r->serial, r->serial_n) &&
	       execute(s, e, NULL, "DELETE FROM certificate WHERE id = ?", "i", r->id);
}

#define ENDED \
	"SELECT c.id, c.ref, c.not_after, c.serial, c.spki, t.state = 1 AND (c.not_after >= ?1 OR c.not_after >= g.crl_this)," \
	" t.seq = (SELECT max(seq) FROM status)" \
	" FROM certificate c JOIN generation g ON g.ref = c.ref JOIN status t ON t.ref = c.ref AND t.serial = c.serial "

/* Rows with the key at which the sweep stands come before those above it. */
static bool collect(struct store *s, const struct sweep *at, bool ties, struct ended *row, size_t cap, size_t *n, struct err *e)
{
	AUTO_QUERY *q = ties ? query(s, e, ENDED "WHERE c.not_after = ?2 AND c.id > ?3 ORDER BY c.id LIMIT ?4", "iiii", at->revoked_before,
	                             at->key, at->id, (int64_t)(cap - *n))
	                     : query(s, e, ENDED "WHERE c.not_after > ?2 AND c.not_after < ?3 ORDER BY c.not_after, c.id LIMIT ?4", "iiii",
	                             at->revoked_before, at->key, at->before, (int64_t)(cap - *n));
	int rc = q != NULL ? 1 : -1;

	while (rc == 1 && *n < cap && (rc = step(s, q, e)) == 1) {
		struct ended *r = &row[(*n)++];

		*r = (struct ended){ .id = sqlite3_column_int64(q, 0), .ref = sqlite3_column_int64(q, 1),
			             .not_after = sqlite3_column_int64(q, 2), .held = sqlite3_column_int(q, 5) != 0,
			             .last = sqlite3_column_int(q, 6) != 0 };
		r->serial_n = col_blob(q, 3, r->serial, sizeof r->serial);
		(void)col_blob(q, 4, r->spki, sizeof r->spki);
	}
	return rc >= 0;
}

bool store_sweep(struct store *s, struct sweep *at, unsigned limit, store_sweep_each *each, void *arg, struct err *e)
{
	AUTO_FREE struct ended *row = mem_array(BATCH_MAX, sizeof *row);
	size_t cap = limit < BATCH_MAX ? limit : BATCH_MAX, n = 0;
	int64_t until = clock_mono() + SWEEP_US;
	bool go;

	if (!collect(s, at, true, row, cap, &n, e) || (n < cap && !collect(s, at, false, row, cap, &n, e)))
		return false;
	at->done = n < cap;
	for (size_t i = 0; i < n; i++) {
		if (!may_go(s, &row[i], &go, e) || (go && !remove_one(s, &row[i], e)))
			return false;
		if (go)
			each(arg, row[i].ref, (struct span){ row[i].serial, row[i].serial_n }, row[i].not_after);
		at->key = row[i].not_after;
		at->id = row[i].id;
		if (i + 1 < n && clock_mono() >= until) {
			at->done = false;
			break;
		}
	}
	return true;
}
