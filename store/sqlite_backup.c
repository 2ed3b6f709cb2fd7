/* SPDX-License-Identifier: Apache-2.0
 *
 * An online copy through SQLite's backup interface, on the writer's own connection: what is written meanwhile is in it. */
#include "store/sqlite.h"

#include <stdlib.h>
#include <unistd.h>

struct store_backup {
	sqlite3 *to;
	sqlite3_backup *b;
};

static bool fail(struct store_backup *b, struct err *e, const char *path)
{
	return err_set(e, ERR_STORE, "backup %s: %s", path != NULL ? path : "", b->to != NULL ? sqlite3_errmsg(b->to) : "no memory");
}

bool store_backup_begin(struct store *s, const char *path, struct store_backup **out, struct err *e)
{
	struct store_backup *b = mem_new(sizeof *b);

	if (access(path, F_OK) == 0) {
		free(b);
		return err_set(e, ERR_EXISTS, "%s exists", path);
	}
	if (sqlite3_open_v2(path, &b->to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK ||
	    (b->b = sqlite3_backup_init(b->to, "main", s->db, "main")) == NULL) {
		fail(b, e, path);
		store_backup_end(b);
		return false;
	}
	*out = b;
	return true;
}

int store_backup_step(struct store_backup *b, int pages, struct err *e)
{
	int rc = sqlite3_backup_step(b->b, pages);

	if (rc == SQLITE_OK || rc == SQLITE_BUSY || rc == SQLITE_LOCKED)
		return 1;
	if (rc != SQLITE_DONE) {
		fail(b, e, NULL);
		return -1;
	}
	rc = sqlite3_backup_finish(b->b);
	b->b = NULL;
	/* One file, without a log beside it. */
	if (rc != SQLITE_OK || sqlite3_exec(b->to, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL) != SQLITE_OK) {
		fail(b, e, NULL);
		return -1;
	}
	return 0;
}

void store_backup_end(struct store_backup *b)
{
	if (b == NULL)
		return;
	if (b->b != NULL)
		sqlite3_backup_finish(b->b);
	sqlite3_close(b->to);
	free(b);
}
