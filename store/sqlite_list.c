/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates found and listed. ra's loop asks, and nobody is to wait for it: a page walks the index that fits, and stops
 * after so many rows or microseconds, wherever that is. */
#include "store/sqlite.h"

#include "base/clock.h"
#include "base/text.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXAMINE_MAX = 2000, EXAMINE_US = 3000, LOOK_EVERY = 16, GROUP_MAX = 64, NEWEST_OF = 1000 };

enum order {
	BY_ISSUANCE = 'i', /* id */
	BY_KEY = 'k',      /* of one key: id */
	BY_DEVICE = 'd',   /* of one or a few subjects: notAfter, id */
	BY_END = 'e',      /* notAfter, id */
	BY_SERIAL = 'r',   /* the revoked: generation, serial */
};

struct place {
	int64_t group, key, id;
	uint8_t serial[STORE_SERIAL];
	size_t serial_n;
};

/* A row as the walk sees it, before anything is looked up. */
struct seen {
	int64_t id, ref, subject, profile, not_after;
	const char *dn;
};

struct walk {
	const struct certificate_filter *f;
	enum order order;
	int64_t low, high;          /* notAfter */
	int64_t group[GROUP_MAX];   /* subjects or generations, rising; BY_DEVICE and BY_SERIAL go through them */
	size_t group_n, at;
	bool ties_done;             /* rows with the place's own key come before those above it */
	struct buf ref, profile;    /* int64_t: those that are wanted; empty: any */
	bool none;                  /* a name that nobody has */
	struct place place;         /* all up to here has been seen */
	sqlite3_stmt *q;
	unsigned examined;
	int64_t until;              /* mono us */
};

static bool set(const char *text)
{
	return text != NULL && text[0] != 0;
}

/* --- Which way */

static bool numbers(struct store *s, sqlite3_stmt *q, struct buf *out, struct err *e)
{
	int rc = q != NULL ? 1 : -1;

	while (rc == 1 && (rc = step(s, q, e)) == 1) {
		int64_t v = sqlite3_column_int64(q, 0);

		buf_add(out, &v, sizeof v);
	}
	return rc == 0;
}

static bool has(const struct buf *set, int64_t v)
{
	for (size_t i = 0; i < set->n; i += sizeof v)
		if (memcmp(set->p + i, &v, sizeof v) == 0)
			return true;
	return set->n == 0;
}

static bool names(struct store *s, struct walk *w, struct err *e)
{
	const struct certificate_filter *f = w->f;

	if (set(f->ca)) {
		AUTO_QUERY *q = query(s, e, "SELECT ref FROM generation WHERE name = ? ORDER BY ref", "t", f->ca);

		if (!numbers(s, q, &w->ref, e))
			return false;
		w->none |= w->ref.n == 0;
	}
	if (set(f->profile)) {
		AUTO_QUERY *q = query(s, e, "SELECT n.number FROM profile p JOIN profile_number n ON n.digest = p.digest WHERE p.name = ?",
		                      "t", f->profile);

		if (!numbers(s, q, &w->profile, e))
			return false;
		w->none |= w->profile.n == 0;
	}
	return true;
}

static bool groups(struct store *s, struct walk *w, struct err *e)
{
	AUTO_BUF all = { 0 };

	if (w->order == BY_DEVICE && w->f->subject_id != 0) {
		buf_add(&all, &w->f->subject_id, sizeof w->f->subject_id);
	} else if (w->order == BY_DEVICE) {
		AUTO_QUERY *q = query(s, e, "SELECT id FROM subject WHERE kind IN ('device', 'person', 'service') AND name = ? ORDER BY id", "t",
		                      w->f->device);

		if (!numbers(s, q, &all, e))
			return false;
	} else if (w->order == BY_SERIAL && w->ref.n != 0) {
		buf_add(&all, w->ref.p, w->ref.n);
	} else if (w->order == BY_SERIAL) {
		AUTO_QUERY *q = query(s, e, "SELECT ref FROM generation ORDER BY ref", "");

		if (!numbers(s, q, &all, e))
			return false;
	}
	w->group_n = all.n / sizeof *w->group < GROUP_MAX ? all.n / sizeof *w->group : GROUP_MAX;
	if (w->group_n != 0)
		memcpy(w->group, all.p, w->group_n * sizeof *w->group);
	w->none |= (w->order == BY_DEVICE || w->order == BY_SERIAL) && w->group_n == 0;
	return true;
}

static bool choose(struct store *s, struct walk *w, const struct certificate_filter *f, struct err *e)
{
	*w = (struct walk){ .f = f, .order = BY_ISSUANCE, .low = INT64_MIN + 1, .high = INT64_MAX, .until = clock_mono() + EXAMINE_US };
	if (f->status == 0 || f->expiring_before != 0)
		w->low = f->now;
	if (f->status == 2)
		w->high = f->now - 1;
	if (f->expiring_before != 0 && f->expiring_before < w->high)
		w->high = f->expiring_before;
	if (f->spki != NULL)
		w->order = BY_KEY;
	else if (f->subject_id != 0 || set(f->device))
		w->order = BY_DEVICE;
	else if (f->status == 1)
		w->order = BY_SERIAL;
	else if (w->low != INT64_MIN + 1 || w->high != INT64_MAX)
		w->order = BY_END;
	return names(s, w, e) && groups(s, w, e);
}

/* --- Where it stands */

static void enter_group(struct walk *w)
{
	w->ties_done = false;
	w->place = (struct place){ .group = w->group_n != 0 ? w->group[w->at] : 0, .key = w->low - 1, .id = INT64_MAX };
	if (w->order == BY_ISSUANCE || w->order == BY_KEY)
		w->place.id = 0;
}

static void place_put(const struct walk *w, char out[STORE_NEXT])
{
	char hex[2 * STORE_SERIAL + 1] = "";

	hex_put(hex, w->place.serial, w->place.serial_n);
	snprintf(out, STORE_NEXT, "%c%" PRId64 ".%" PRId64 ".%" PRId64 ".%s", (char)w->order, w->place.group, w->place.key, w->place.id, hex);
}

static bool place_get(struct walk *w, const char *text)
{
	char order, hex[2 * STORE_SERIAL + 2] = "";
	struct place p = { 0 };

	if (sscanf(text, "%c%" SCNd64 ".%" SCNd64 ".%" SCNd64 ".%41s", &order, &p.group, &p.key, &p.id, hex) < 4 || order != (char)w->order ||
	    !hex_get(hex, p.serial, sizeof p.serial, &p.serial_n))
		return false;
	while (w->at < w->group_n && w->group[w->at] < p.group)
		w->at++;
	if (w->group_n != 0 && (w->at == w->group_n || w->group[w->at] != p.group)) {
		w->none |= w->at == w->group_n;
		w->at -= w->at == w->group_n;
		enter_group(w);
		return true;
	}
	w->place = p;
	/* What has ended since the page before: its own key is below the range now. */
	if (w->place.key < w->low - 1) {
		w->place.key = w->low - 1;
		w->place.id = INT64_MAX;
	}
	return true;
}

/* --- Walking */

#define SEEN "SELECT c.id, c.ref, c.serial, c.subject, c.profile, c.not_after, c.dn FROM certificate c "

static sqlite3_stmt *open_walk(struct store *s, struct walk *w, struct err *e)
{
	const struct place *p = &w->place;

	switch (w->order) {
	case BY_KEY:
		return query(s, e, SEEN "WHERE substr(c.spki, 1, 8) = ? AND c.spki = ? AND c.id > ? ORDER BY c.id", "bbi", w->f->spki, (size_t)8,
		             w->f->spki, (size_t)32, p->id);
	case BY_DEVICE:
		if (!w->ties_done)
			return query(s, e, SEEN "WHERE c.subject = ? AND c.not_after = ? AND c.id > ? ORDER BY c.id", "iii", p->group, p->key, p->id);
		return query(s, e, SEEN "WHERE c.subject = ? AND c.not_after > ? AND c.not_after <= ? ORDER BY c.not_after, c.id", "iii", p->group,
		             p->key, w->high);
	case BY_END:
		if (!w->ties_done)
			return query(s, e, SEEN "WHERE c.not_after = ? AND c.id > ? ORDER BY c.id", "ii", p->key, p->id);
		return query(s, e, SEEN "WHERE c.not_after > ? AND c.not_after <= ? ORDER BY c.not_after, c.id", "ii", p->key, w->high);
	case BY_SERIAL:
		/* A serial that was reserved and never delivered has no certificate. */
		return query(s, e,
		             "SELECT c.id, t.ref, t.serial, c.subject, c.profile, c.not_after, c.dn FROM status t INDEXED BY status_revoked"
		             " LEFT JOIN certificate c ON c.id = t.certificate"
		             " WHERE t.state = 1 AND t.ref = ? AND t.serial > ? ORDER BY t.serial",
		             "ib", p->group, p->serial_n != 0 ? (const void *)p->serial : "", p->serial_n);
	default:
		return query(s, e, SEEN "WHERE c.id > ? ORDER BY c.id", "i", p->id);
	}
}

static bool enough(struct walk *w)
{
	return w->examined >= EXAMINE_MAX || (w->examined % LOOK_EVERY == 0 && w->examined != 0 && clock_mono() >= w->until);
}

static bool next_part(struct walk *w)
{
	query_end(w->q);
	w->q = NULL;
	if ((w->order == BY_DEVICE || w->order == BY_END) && !w->ties_done) {
		w->ties_done = true;
		return true;
	}
	if (w->at + 1 >= w->group_n)
		return false;
	w->at++;
	enter_group(w);
	return true;
}

/* 1 there is a row, 0 the end, -1 failed. */
static int walk_step(struct store *s, struct walk *w, struct seen *r, struct err *e)
{
	int rc;

	do {
		if (w->q == NULL && (w->q = open_walk(s, w, e)) == NULL)
			return -1;
		rc = step(s, w->q, e);
		if (rc == 1) {
			w->examined++;
			*r = (struct seen){ .id = sqlite3_column_int64(w->q, 0), .ref = sqlite3_column_int64(w->q, 1),
				            .subject = sqlite3_column_int64(w->q, 3), .profile = sqlite3_column_int64(w->q, 4),
				            .not_after = sqlite3_column_int64(w->q, 5), .dn = (const char *)sqlite3_column_text(w->q, 6) };
		}
	} while (rc == 0 && next_part(w));
	return rc;
}

static void walk_on(struct walk *w, const struct seen *r)
{
	if (w->order == BY_SERIAL)
		w->place.serial_n = col_blob(w->q, 2, w->place.serial, sizeof w->place.serial);
	w->place.key = r->not_after;
	w->place.id = r->id;
}

static bool wanted(const struct walk *w, const struct seen *r)
{
	const char *prefix = w->f->subject_prefix;

	return r->id != 0 && r->not_after >= w->low && r->not_after <= w->high && has(&w->ref, r->ref) && has(&w->profile, r->profile) &&
	       (!set(prefix) || (r->dn != NULL && strncmp(r->dn, prefix, strlen(prefix)) == 0));
}

static void walk_end(struct walk *w)
{
	if (w->q != NULL)
		query_end(w->q);
	buf_free(&w->ref);
	buf_free(&w->profile);
}

static int certificate_by_id(struct store *s, int64_t id, struct certificate *out, struct err *e)
{
	AUTO_QUERY *q = query(s, e, CERTIFICATE "WHERE c.id = ?", "i", id);
	int rc = q != NULL ? step(s, q, e) : -1;

	if (rc == 1)
		read_certificate(q, out);
	return rc;
}

static bool status_wanted(const struct certificate_filter *f, const struct certificate *c)
{
	bool good_only = f->status == 0 || f->expiring_before != 0;

	return !(good_only && c->status != STORE_GOOD) && !(f->status == 1 && c->status != STORE_REVOKED);
}

static bool walk_page(struct store *s, struct walk *w, unsigned limit, store_certificate_each *each, void *arg, char next[STORE_NEXT],
                      struct err *e)
{
	struct certificate row;
	struct seen r;
	unsigned given = 0;
	int rc = 1;

	while (given < limit && !enough(w) && (rc = walk_step(s, w, &r, e)) == 1) {
		if (wanted(w, &r)) {
			rc = certificate_by_id(s, r.id, &row, e);
			if (rc == 1 && status_wanted(w->f, &row)) {
				if (!each(arg, &row))
					break;
				given++;
			}
			if (rc < 0)
				return false;
			rc = 1;
		}
		walk_on(w, &r);
	}
	if (rc == 1)
		place_put(w, next);
	return rc >= 0;
}

bool store_certificate_list(struct store *s, const struct certificate_filter *f, unsigned limit, store_certificate_each *each,
                            void *arg, char next[STORE_NEXT], struct err *e)
{
	struct walk w;
	bool good;

	next[0] = 0;
	good = choose(s, &w, f, e);
	if (good && !w.none) {
		enter_group(&w);
		good = (!set(f->after) || place_get(&w, f->after) || err_set(e, ERR_BAD_REQUEST, "'after' is not what the page before gave")) &&
		       (w.none || walk_page(s, &w, limit, each, arg, next, e));
	}
	walk_end(&w);
	return good;
}

static int state_of(struct store *s, int64_t ref, struct span serial, bool *revoked, struct err *e)
{
	AUTO_QUERY *q = query(s, e, "SELECT state FROM status WHERE ref = ? AND serial = ?", "ib", ref, serial.p, serial.n);
	int rc = q != NULL ? step(s, q, e) : -1;

	*revoked = rc == 1 && sqlite3_column_int(q, 0) != STORE_GOOD;
	return rc;
}

bool store_expiring_count(struct store *s, struct expiring_count *c, int64_t most, struct err *e)
{
	const struct certificate_filter f = { .status = -1, .now = c->now + 1, .expiring_before = c->before };
	struct walk w;
	struct seen r;
	bool revoked;
	int rc = -1;

	if (choose(s, &w, &f, e)) {
		enter_group(&w);
		if (c->id != 0) {
			w.place.key = c->key;
			w.place.id = c->id;
		}
		while (c->n < most && !enough(&w) && (rc = walk_step(s, &w, &r, e)) == 1 &&
		       (rc = state_of(s, r.ref, (struct span){ sqlite3_column_blob(w.q, 2), (size_t)sqlite3_column_bytes(w.q, 2) }, &revoked, e)) >= 0) {
			c->n += !revoked;
			walk_on(&w, &r);
			c->key = r.not_after;
			c->id = r.id;
			rc = 1;
		}
		c->done = rc == 0 || c->n >= most;
	}
	walk_end(&w);
	return rc >= 0;
}

/* --- One */

bool store_certificate_by_prefix(struct store *s, const char *digits, struct certificate out[2], unsigned *n, struct err *e)
{
	char low[2 * STORE_SERIAL + 4], high[2 * (STORE_SERIAL + 1) + 1];
	uint8_t from[STORE_SERIAL + 2], to[STORE_SERIAL + 1];
	size_t len = strlen(digits), from_n, to_n;
	int rc = 1;

	*n = 0;
	if (len > 2 * STORE_SERIAL)
		return true;
	snprintf(low, sizeof low, "%s%s", digits, len % 2 != 0 ? "0" : "");
	memset(high, 'f', sizeof high - 1);
	high[sizeof high - 1] = 0;
	memcpy(high, digits, len);
	if (!hex_get(low, from, sizeof from, &from_n) || !hex_get(high, to, sizeof to, &to_n))
		return err_set(e, ERR_BAD_REQUEST, "no hexadecimal digits");
	AUTO_QUERY *q = query(s, e, CERTIFICATE "WHERE c.id IN (SELECT certificate FROM status WHERE ref IN (SELECT ref FROM generation)"
	                      " AND serial >= ? AND serial <= ? AND certificate IS NOT NULL LIMIT 2)", "bb", from, from_n, to, to_n);

	if (q == NULL)
		return false;
	while (*n < 2 && (rc = step(s, q, e)) == 1)
		read_certificate(q, &out[(*n)++]);
	return rc >= 0;
}

struct candidate {
	int64_t id;
	bool ended;
};

static int later_first(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	return (x->id < y->id) - (x->id > y->id);
}

bool store_certificate_newest(struct store *s, int64_t subject, int64_t now, struct certificate *out, struct err *e)
{
	AUTO_FREE struct candidate *c = mem_array(NEWEST_OF, sizeof *c);
	AUTO_QUERY *q = query(s, e, "SELECT id, not_after < ? FROM certificate WHERE subject = ? ORDER BY not_after DESC LIMIT ?", "iii", now,
	                      subject, (int64_t)NEWEST_OF);
	size_t n = 0;
	int rc = q != NULL ? 1 : -1;

	while (rc == 1 && n < NEWEST_OF && (rc = step(s, q, e)) == 1)
		c[n++] = (struct candidate){ sqlite3_column_int64(q, 0), sqlite3_column_int(q, 1) != 0 };
	qsort(c, n, sizeof *c, later_first);
	for (size_t i = 0; rc >= 0 && i < n; i++)
		if (!c[i].ended && (rc = certificate_by_id(s, c[i].id, out, e)) == 1 && out->status == STORE_GOOD)
			return true;
	if (rc >= 0 && n != 0)
		rc = certificate_by_id(s, c[0].id, out, e);
	else if (rc >= 0)
		rc = 0;
	return rc == 1 || (rc == 0 && err_set(e, ERR_NOT_FOUND, "no such certificate"));
}
