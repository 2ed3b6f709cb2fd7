/* SPDX-License-Identifier: Apache-2.0
 *
 * Fills the database of an instance that is not served, by SQL, with what years of issuing leave: for measuring what
 * size costs. Rows are plausible (serials and keys at random, an audit chain that holds); nothing was signed for them.
 * Rows go in as they would have come, indexes in place: made afterwards these would be packed full, and the first
 * thousands of certificates would split every page.
 *
 *   bench-fill DB devices COUNT FIRST PASSWORD    devices d0000000…, each with this password, good for 4 uses
 *   bench-fill DB certificates COUNT EXPIRED% REVOKED%   of the devices there are, in turn, after the likeness of the
 *                                                 newest certificate of a device: one must have been issued */
#include "base/clock.h"
#include "base/mem.h"
#include "base/rnd.h"
#include "base/text.h"
#include "bench/make.h"
#include "pkix/key.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SERIAL = 16, UTC_TIME = 13, USES = 4, DAYS = 90 };

static sqlite3 *db;

static void run(const char *sql)
{
	char *why = NULL;

	if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
		bench_fail(sql, why != NULL ? why : "?");
}

static sqlite3_stmt *prepare(const char *sql)
{
	sqlite3_stmt *q = NULL;

	if (sqlite3_prepare_v2(db, sql, -1, &q, NULL) != SQLITE_OK)
		bench_fail(sql, sqlite3_errmsg(db));
	return q;
}

static void insert(sqlite3_stmt *q)
{
	if (sqlite3_step(q) != SQLITE_DONE)
		bench_fail(sqlite3_sql(q), sqlite3_errmsg(db));
	sqlite3_reset(q);
}

static int64_t number(const char *sql)
{
	sqlite3_stmt *q = prepare(sql);
	int64_t v = sqlite3_step(q) == SQLITE_ROW ? sqlite3_column_int64(q, 0) : 0;

	sqlite3_finalize(q);
	return v;
}

static void text(const char *sql, char *out, size_t size)
{
	sqlite3_stmt *q = prepare(sql);

	if (sqlite3_step(q) != SQLITE_ROW)
		bench_fail(sql, "no row");
	snprintf(out, size, "%s", (const char *)sqlite3_column_text(q, 0));
	sqlite3_finalize(q);
}

/* A cheap generator for what needs no secret: SplitMix64. */
static uint64_t state;

static uint64_t next_random(void)
{
	uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static void random_octets(uint8_t *out, size_t n)
{
	for (size_t i = 0; i < n; i += 8) {
		uint64_t v = next_random();

		memcpy(out + i, &v, n - i < 8 ? n - i : 8);
	}
}

/* --- Devices */

static void hash_password(const char *password, const uint8_t salt[16], uint8_t out[32])
{
	AUTO_BUF all = { 0 };

	buf_add(&all, salt, 16);
	buf_text(&all, password); /* lower case, no hyphens: as ra/password.c normalises it */
	digest_sha256(out, all.p, all.n);
}

static void add_devices(unsigned n, unsigned first, const char *password)
{
	sqlite3_stmt *subject = prepare("INSERT INTO subject (id, uuid, kind, name, profile, created, node, boot)"
	                                " VALUES (?, ?, 'device', ?, 'device', ?, ?, ?)"),
	             *credential = prepare("INSERT INTO credential (subject, kind, salt, hash, uses, uses_left, expires, created, node, boot)"
	                                   " VALUES (?, 'est-password', ?, ?, 4, 4, ?, ?, ?, ?)");
	int64_t now = clock_now(), id = number("SELECT coalesce(max(id), 0) FROM subject"),
	        boot = number("SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'boot'");
	char node[256], name[24], uuid[37];
	uint8_t salt[16], hash[32], random[16];

	text("SELECT name FROM node ORDER BY number DESC LIMIT 1", node, sizeof node);
	for (unsigned i = 0; i < n; i++) {
		random_octets(random, sizeof random);
		snprintf(uuid, sizeof uuid, "%02x%02x%02x%02x-%02x%02x-4%03x-8%03x-%02x%02x%02x%02x%02x%02x", random[0], random[1], random[2],
		         random[3], random[4], random[5], (random[6] << 4 | random[7] >> 4) & 0xfff, (random[8] << 4 | random[9] >> 4) & 0xfff,
		         random[10], random[11], random[12], random[13], random[14], random[15]);
		device_name(name, first + i);
		random_octets(salt, sizeof salt);
		hash_password(password, salt, hash);
		sqlite3_bind_int64(subject, 1, ++id);
		sqlite3_bind_text(subject, 2, uuid, -1, SQLITE_STATIC);
		sqlite3_bind_text(subject, 3, name, -1, SQLITE_STATIC);
		sqlite3_bind_int64(subject, 4, now);
		sqlite3_bind_text(subject, 5, node, -1, SQLITE_STATIC);
		sqlite3_bind_int64(subject, 6, boot);
		insert(subject);
		sqlite3_bind_int64(credential, 1, id);
		sqlite3_bind_blob(credential, 2, salt, sizeof salt, SQLITE_STATIC);
		sqlite3_bind_blob(credential, 3, hash, sizeof hash, SQLITE_STATIC);
		sqlite3_bind_int64(credential, 4, now + 30 * US_PER_DAY);
		sqlite3_bind_int64(credential, 5, now);
		sqlite3_bind_text(credential, 6, node, -1, SQLITE_STATIC);
		sqlite3_bind_int64(credential, 7, boot);
		insert(credential);
	}
	sqlite3_finalize(subject);
	sqlite3_finalize(credential);
}

/* --- Certificates */

struct likeness {
	int64_t ref, profile, node, boot, lint;
	struct buf der;
	size_t serial_at, before_at, after_at;
};

static size_t find(const struct buf *der, const void *p, size_t n, size_t from)
{
	const uint8_t *at = memmem(der->p + from, der->n - from, p, n);

	if (at == NULL)
		bench_fail("the newest certificate", "it has another form");
	return (size_t)(at - der->p);
}

static void utc_time(int64_t us, char out[UTC_TIME + 1])
{
	struct civil c = clock_to_civil(us);

	snprintf(out, UTC_TIME + 1, "%02u%02u%02u%02u%02u%02uZ", (unsigned)c.year % 100u, (unsigned)c.month % 100u, (unsigned)c.day % 100u,
	         (unsigned)c.hour % 100u, (unsigned)c.minute % 100u, (unsigned)c.second % 100u);
}

static void learn(struct likeness *l)
{
	sqlite3_stmt *q = prepare("SELECT ref, profile, node, boot, lint, der, serial, not_before, not_after FROM certificate"
	                          " WHERE subject IN (SELECT id FROM subject WHERE kind = 'device') ORDER BY id DESC LIMIT 1");
	char t[UTC_TIME + 1];

	if (sqlite3_step(q) != SQLITE_ROW || sqlite3_column_bytes(q, 6) != SERIAL)
		bench_fail("certificates", "enrol one device first: the others are made after its likeness");
	*l = (struct likeness){ .ref = sqlite3_column_int64(q, 0), .profile = sqlite3_column_int64(q, 1),
		                .node = sqlite3_column_int64(q, 2), .boot = sqlite3_column_int64(q, 3), .lint = sqlite3_column_int64(q, 4) };
	buf_add(&l->der, sqlite3_column_blob(q, 5), (size_t)sqlite3_column_bytes(q, 5));
	l->serial_at = find(&l->der, sqlite3_column_blob(q, 6), SERIAL, 0);
	utc_time(sqlite3_column_int64(q, 7), t);
	l->before_at = find(&l->der, t, UTC_TIME, l->serial_at);
	utc_time(sqlite3_column_int64(q, 8), t);
	l->after_at = find(&l->der, t, UTC_TIME, l->before_at + UTC_TIME);
	sqlite3_finalize(q);
}

struct chain {
	char instance[64], node[256], ca[64];
	int64_t boot, gen;
	uint64_t seq;
	uint8_t head[32];
};

static void chain_begin(struct chain *c, const struct likeness *l)
{
	sqlite3_stmt *q = prepare("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1");

	text("SELECT CAST(value AS TEXT) FROM meta WHERE key = 'instance'", c->instance, sizeof c->instance);
	text("SELECT name FROM node ORDER BY number DESC LIMIT 1", c->node, sizeof c->node);
	c->boot = l->boot;
	if (sqlite3_step(q) != SQLITE_ROW || sqlite3_column_bytes(q, 1) != 32)
		bench_fail("audit", "there is none");
	c->seq = (uint64_t)sqlite3_column_int64(q, 0);
	memcpy(c->head, sqlite3_column_blob(q, 1), 32);
	sqlite3_finalize(q);
	q = prepare("SELECT name, gen FROM generation WHERE ref = ?");
	sqlite3_bind_int64(q, 1, l->ref);
	if (sqlite3_step(q) == SQLITE_ROW)
		snprintf(c->ca, sizeof c->ca, "%s", (const char *)sqlite3_column_text(q, 0)), c->gen = sqlite3_column_int64(q, 1);
	sqlite3_finalize(q);
}

struct row {
	uint8_t serial[SERIAL], spki[32];
	const char *device, *dn;
	int64_t subject, issued, not_after;
};

/* As ra/audit.c writes it. */
static void chain_add(struct chain *c, sqlite3_stmt *audit, const struct row *r)
{
	static struct buf b;
	char prev[65], serial[2 * SERIAL + 1], spki[65], when[32];
	size_t begin = 32;

	hex_put(prev, c->head, 32);
	hex_put(serial, r->serial, SERIAL);
	hex_put(spki, r->spki, 32);
	clock_rfc3339(r->issued, when, sizeof when);
	b.n = 0;
	buf_add(&b, c->head, 32);
	buf_printf(&b,
	           "{\"actor\":{\"auth\":\"password\",\"id\":\"%s\"},\"boot\":%" PRId64 ",\"detail\":{\"ca\":\"%s\",\"gen\":\"%" PRId64
	           "\",\"profile\":\"device\",\"spki_sha256\":\"%s\",\"subject\":\"%s\"},\"event\":\"cert.issue\",\"host\":\"%s\","
	           "\"instance\":\"%s\",\"object\":{\"id\":\"%s\",\"type\":\"certificate\"},\"outcome\":\"success\",\"prev_hash\":\"%s\","
	           "\"request_id\":\"00000000-0000-4000-8000-%012" PRIu64 "\",\"seq\":%" PRIu64
	           ",\"source\":{\"ip\":\"10.1.2.3\",\"port\":40000},\"time\":\"%s\"}",
	           r->device, c->boot, c->ca, c->gen, spki, r->dn, c->node, c->instance, serial, prev, c->seq, c->seq + 1, when);
	digest_sha256(c->head, b.p, b.n);
	sqlite3_bind_int64(audit, 1, (int64_t)++c->seq);
	sqlite3_bind_text(audit, 2, (char *)b.p + begin, (int)(b.n - begin), SQLITE_STATIC);
	sqlite3_bind_blob(audit, 3, c->head, 32, SQLITE_STATIC);
	insert(audit);
}

static void chain_end(const struct chain *c)
{
	sqlite3_stmt *q = prepare("UPDATE meta SET value = ? WHERE key = 'audit_head'");
	char head[96];
	int n = snprintf(head, sizeof head, "%" PRIu64 " ", c->seq);

	hex_put(head + n, c->head, 32);
	sqlite3_bind_blob(q, 1, head, (int)strlen(head), SQLITE_STATIC);
	insert(q);
	sqlite3_finalize(q);
}

struct device {
	int64_t id;
	char name[24];
};

static struct device *read_devices(size_t *n)
{
	sqlite3_stmt *q = prepare("SELECT id, name FROM subject WHERE kind = 'device' AND length(name) < 24 ORDER BY id");
	struct device *d = mem_array((size_t)number("SELECT count(*) FROM subject") + 1, sizeof *d);

	*n = 0;
	while (sqlite3_step(q) == SQLITE_ROW) {
		d[*n].id = sqlite3_column_int64(q, 0);
		snprintf(d[*n].name, sizeof d[*n].name, "%s", (const char *)sqlite3_column_text(q, 1));
		++*n;
	}
	sqlite3_finalize(q);
	if (*n == 0)
		bench_fail("certificates", "there are no devices");
	return d;
}

static void add_certificate(sqlite3_stmt *q, const struct likeness *l, const struct row *r)
{
	uint8_t request[32];
	char t[UTC_TIME + 1];

	random_octets(request, sizeof request);
	memcpy(l->der.p + l->serial_at, r->serial, SERIAL);
	utc_time(r->issued, t);
	memcpy(l->der.p + l->before_at, t, UTC_TIME);
	utc_time(r->not_after, t);
	memcpy(l->der.p + l->after_at, t, UTC_TIME);
	sqlite3_bind_int64(q, 1, l->ref);
	sqlite3_bind_blob(q, 2, r->serial, SERIAL, SQLITE_STATIC);
	sqlite3_bind_int64(q, 3, r->subject);
	sqlite3_bind_int64(q, 4, l->profile);
	sqlite3_bind_text(q, 5, r->dn, -1, SQLITE_STATIC);
	sqlite3_bind_int64(q, 6, r->issued / US_PER_SECOND * US_PER_SECOND);
	sqlite3_bind_int64(q, 7, r->not_after);
	sqlite3_bind_int64(q, 8, r->issued);
	sqlite3_bind_blob(q, 9, r->spki, 32, SQLITE_STATIC);
	sqlite3_bind_blob(q, 10, request, 32, SQLITE_STATIC);
	sqlite3_bind_int64(q, 11, l->lint);
	sqlite3_bind_blob(q, 12, l->der.p, (int)l->der.n, SQLITE_STATIC);
	sqlite3_bind_int64(q, 13, l->node);
	sqlite3_bind_int64(q, 14, l->boot);
	insert(q);
}

static void add_status(sqlite3_stmt *q, const struct likeness *l, const struct row *r, int64_t seq, bool revoked, int64_t now, int64_t certificate)
{
	sqlite3_bind_int64(q, 8, certificate);
	sqlite3_bind_int64(q, 1, l->ref);
	sqlite3_bind_blob(q, 2, r->serial, SERIAL, SQLITE_STATIC);
	sqlite3_bind_int64(q, 3, revoked);
	sqlite3_bind_int64(q, 4, revoked ? 4 : 0);
	sqlite3_bind_int64(q, 5, revoked ? now : 0);
	sqlite3_bind_int64(q, 6, r->not_after);
	sqlite3_bind_int64(q, 7, seq);
	insert(q);
}

/* Positive, in the order of time: what was issued together lies together. */
static void make_serial(uint8_t out[SERIAL], int64_t issued)
{
	uint64_t t = (uint64_t)issued >> 11;

	random_octets(out, SERIAL);
	out[0] = 0x40;
	for (int i = 5; i > 0; i--, t >>= 8)
		out[i] = (uint8_t)t;
}

static void add_certificates(unsigned n, unsigned expired, unsigned revoked)
{
	struct likeness l;
	struct chain c = { 0 };
	struct device *devices;
	size_t device_n;
	int64_t now = clock_now(), seq = number("SELECT coalesce(max(seq), 0) FROM status");
	char organization[160], dn[256];
	sqlite3_stmt *q, *audit, *status;

	learn(&l);
	chain_begin(&c, &l);
	text("SELECT coalesce(substr(dn, instr(dn, ',')), '') FROM certificate WHERE subject <> 0 ORDER BY id DESC LIMIT 1", organization,
	     sizeof organization);
	devices = read_devices(&device_n);
	q = prepare("INSERT INTO certificate (ref, serial, subject, profile, dn, not_before, not_after, issued, spki, request, lint, der,"
	            " node, boot) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
	audit = prepare("INSERT INTO audit (seq, record, hash) VALUES (?, ?, ?)");
	status = prepare("INSERT INTO status (ref, serial, state, reason, revoked_at, not_after, seq, certificate) VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
	for (unsigned i = 0; i < n; i++) {
		const struct device *d = &devices[i % device_n];
		/* The oldest first: those that have run out, then the last 80 days. */
		unsigned long long old = (unsigned long long)n * expired / 100;
		int64_t age = i < old ? (int64_t)((unsigned long long)(old - i) * 365u * (unsigned long long)US_PER_DAY / n) + DAYS * US_PER_DAY
		                      : (int64_t)((unsigned long long)(n - i) * 80u * (unsigned long long)US_PER_DAY / n);
		struct row r = { .device = d->name, .dn = dn, .subject = d->id, .issued = now - age };

		make_serial(r.serial, r.issued);
		random_octets(r.spki, sizeof r.spki);
		r.not_after = (r.issued / US_PER_SECOND + DAYS * 86400) * US_PER_SECOND - US_PER_SECOND;
		snprintf(dn, sizeof dn, "CN=%s%s", d->name, organization);
		add_certificate(q, &l, &r);
		add_status(status, &l, &r, ++seq, next_random() % 100 < revoked, now, sqlite3_last_insert_rowid(db));
		chain_add(&c, audit, &r);
	}
	chain_end(&c);
	sqlite3_finalize(q);
	sqlite3_finalize(audit);
	sqlite3_finalize(status);
	free(devices);
}

int main(int argc, char **argv)
{
	int on = 1;

	if (argc < 4 || sqlite3_open_v2(argv[1], &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
		bench_fail("usage", "bench-fill DB devices COUNT FIRST PASSWORD | DB certificates COUNT EXPIRED% REVOKED%");
	rnd_kernel(&state, sizeof state);
	run("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
	    "PRAGMA temp_store = MEMORY; PRAGMA cache_size = -4000000; PRAGMA threads = 2; BEGIN");
	if (argc == 6 && strcmp(argv[2], "devices") == 0)
		add_devices((unsigned)atoi(argv[3]), (unsigned)atoi(argv[4]), argv[5]);
	else if (argc == 6 && strcmp(argv[2], "certificates") == 0)
		add_certificates((unsigned)atoi(argv[3]), (unsigned)atoi(argv[4]), (unsigned)atoi(argv[5]));
	else
		bench_fail("usage", "devices or certificates");
	/* ra may write the log and its index, not make them: they are left there, with the database's owner. */
	run("COMMIT; PRAGMA locking_mode = NORMAL; PRAGMA journal_mode = WAL");
	sqlite3_file_control(db, NULL, SQLITE_FCNTL_PERSIST_WAL, &on);
	run("UPDATE meta SET value = value WHERE key = 'boot'");
	return sqlite3_close(db) == SQLITE_OK ? 0 : 1;
}
