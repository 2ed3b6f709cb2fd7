/* SPDX-License-Identifier: Apache-2.0
 *
 * The database's copy for `backup create`, some pages a turn between the enrolments; and what a restored one must do
 * before it serves (OPS-13, OPS-14). */
#include "ra/officer.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGES_A_TURN = 256, NUMBER_JUMP = 1000 };

/* TIME-xxxx.db and its journal; what somebody else keeps in the folder stays. */
static bool is_copy(const char *name)
{
	const char *z = strstr(name, "Z-");

	return z != NULL && strlen(z) >= 9 && (strcmp(z + 6, ".db") == 0 || strcmp(z + 6, ".db-journal") == 0);
}

/* Who asks for a copy takes it and removes it; one that stays was left behind by a crash, and holds every name. */
void backup_sweep(struct ra *ra, int64_t older_than)
{
	AUTO_FREE char *folder = mem_printf("%s/backup", ra->c.dir);
	DIR *d = opendir(folder);
	struct dirent *entry;
	struct stat st;

	while (d != NULL && (entry = readdir(d)) != NULL)
		if (is_copy(entry->d_name) && fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
		    st.st_mtim.tv_sec * US_PER_SECOND <= ra->now - older_than && unlinkat(dirfd(d), entry->d_name, 0) == 0)
			log_event(LOG_LEVEL_WARN, "a backup's copy that nobody took is removed", "file", entry->d_name, NULL);
	if (d != NULL)
		closedir(d);
}

bool backup_create(struct call *c, struct err *e)
{
	struct backup_work *w = &c->ra->backup;
	char when[32];

	if (w->copy != NULL)
		return err_set(e, ERR_BUSY, "a backup is being made for another officer; try again in a moment");
	backup_sweep(c->ra, US_PER_HOUR);
	clock_rfc3339_s(c->ra->now, when, sizeof when);
	for (char *p = when; *p != 0; p++)
		if (*p == ':')
			*p = '-';
	snprintf(w->path, sizeof w->path, "%s/backup/%s-%04x.db", c->ra->c.dir, when, (unsigned)(c->ra->now / 1000 & 0xffff));
	if (!store_backup_begin(c->ra->c.store, w->path, &w->copy, e))
		return false;
	w->client = c->client;
	snprintf(w->actor, sizeof w->actor, "%s", c->q.actor);
	call_audit(c, "backup.create", "backup", strrchr(w->path, '/') + 1, NULL, NULL);
	return true;
}

static void answer_done(struct ra *ra, struct backup_work *w)
{
	uint8_t hash[32];
	uint64_t seq = 0, head = 0;
	AUTO_BUF row = { 0 };
	AUTO_BUF rows = { 0 };
	char hex[65];
	struct err e;

	if (!store_audit_head(ra->c.store, &seq, hash, &e) || !store_status_head(ra->c.store, &head, &e)) {
		answer_error(ra, RA_PORT_OFFICER, w->client, &e);
		return;
	}
	hex_put(hex, hash, 32);
	record_text(&row, "file", w->path);
	record_text(&row, "instance", store_instance(ra->c.store));
	record_time(&row, "created", ra->now);
	record_int(&row, "audit_seq", (int64_t)seq);
	record_text(&row, "audit_hash", hex);
	record_int(&row, "head", (int64_t)head);
	wr_span(&rows, row.p, row.n);
	officer_rows(ra, w->client, "backup", false, "", 1, span_of(&rows));
}

void backup_continue(struct ra *ra)
{
	struct backup_work *w = &ra->backup;
	struct err e;
	int more;

	if (w->copy == NULL)
		return;
	more = store_backup_step(w->copy, PAGES_A_TURN, &e);
	if (more > 0)
		return;
	store_backup_end(w->copy);
	w->copy = NULL;
	if (more == 0) {
		answer_done(ra, w);
		return;
	}
	log_event(LOG_LEVEL_ERROR, "backup failed", "why", e.text, NULL);
	(void)unlink(w->path);
	answer_error(ra, RA_PORT_OFFICER, w->client, &e);
}

/* OPS-14: what was revoked after the backup is not known here, CRL numbers may have been used. */
bool restore_begin(struct ra *ra, struct err *e)
{
	struct audit_event ev = { .event = "restore.accept", .outcome = "success", .actor = "root", .auth = "local", .object_type = "instance",
		                  .object = store_instance(ra->c.store) };
	AUTO_BUF state = { 0 };

	if (!store_meta_get(ra->c.store, "restored", &state, e))
		return e->kind == ERR_NOT_FOUND;
	if (strcmp(buf_str(&state), "pending") == 0)
		return err_set(e, ERR_CONFLICT, "this instance was restored from a backup: what was issued and revoked since is not known to it. "
		                                "Look it up in the log kept elsewhere, then decide: caduceus restore --accept-rollback --dir %s",
		               ra->c.dir);
	if (strcmp(buf_str(&state), "accepted") != 0)
		return true;
	if (!store_rollback_jump(ra->c.store, NUMBER_JUMP, e) || !gens_load(ra, e) ||
	    !store_meta_put(ra->c.store, "restored", (struct span){ (const uint8_t *)"done", 4 }, e))
		return false;
	audit_detail(&ev, "reason", "state older than the last one served; CRL numbers and the feed jump, every CRL is made anew");
	audit(ra, &ev);
	for (size_t i = 0; i < ra->gen_n; i++)
		crl_request(ra, &ra->gens[i], "restore");
	return true;
}
