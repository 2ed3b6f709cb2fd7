/* SPDX-License-Identifier: Apache-2.0
 *
 * A CRL: number taken and committed, entries collected page by page into a file (nothing pins the database, memory stays
 * flat), streamed through ca in lock-step, verified, renamed into place. One at a time. */
#include "ra/internal.h"

#include "base/clock.h"
#include "base/der.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE = 500, COLLECT_US = 3000, ENTRY_MAX = 4 + SERIAL_MAX + 9 };

void crl_request(struct ra *ra, const struct generation *g, const char *actor)
{
	size_t i = gen_index(ra, g);

	if ((ra->crl_due >> i & 1) == 0)
		snprintf(ra->crl_why[i], sizeof ra->crl_why[i], "%.31s", actor);
	ra->crl_due |= 1u << i;
}

bool crl_publish_for(struct ra *ra, uint64_t client, uint32_t mask, const char *actor, struct err *e)
{
	if (ra->publishing.client != 0)
		return err_set(e, ERR_BUSY, "CRLs are being made for another officer; try again in a moment");
	ra->publishing.client = client;
	ra->crl_retry_at = ra->mono;
	ra->publishing.left = mask;
	for (size_t i = 0; i < ra->gen_n; i++) {
		if ((mask >> i & 1) == 0)
			continue;
		ra->crl_due &= ~(1u << i); /* from now on it is this officer's act */
		crl_request(ra, &ra->gens[i], actor);
	}
	return true;
}

static void publishing_done(struct ra *ra)
{
	buf_free(&ra->publishing.rows);
	ra->publishing = (struct publishing){ 0 };
}

static char *path_of(const struct ra *ra, const char *suffix)
{
	return mem_printf("%s/crl/%s-%u.crl%s", ra->c.dir, ra->crl.gen.name, ra->crl.gen.gen, suffix);
}

static int open_part(const struct ra *ra, const char *suffix)
{
	AUTO_FREE char *path = path_of(ra, suffix);

	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	/* va, which has another uid, reads it: the umask is for secrets. */
	if (fd >= 0 && fchmod(fd, 0644) != 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static void close_parts(struct ra *ra)
{
	static const char *const parts[] = { ".entries", ".body", ".new" };

	if (ra->crl.entries_fd >= 0)
		close(ra->crl.entries_fd);
	if (ra->crl.body_fd >= 0)
		close(ra->crl.body_fd);
	for (size_t i = 0; i < COUNT_OF(parts); i++) {
		AUTO_FREE char *path = path_of(ra, parts[i]);

		(void)unlink(path);
	}
	ra->crl.entries_fd = ra->crl.body_fd = -1;
}

static void audit_crl(struct ra *ra, const char *outcome, const char *why)
{
	struct audit_event ev = { .event = "crl.publish", .outcome = outcome, .actor = ra->crl.actor, .auth = "system",
		                  .object_type = "authority", .object = ra->crl.gen.name };
	char number[24], entries[24], gen[12];

	snprintf(number, sizeof number, "%llu", (unsigned long long)ra->crl.number);
	snprintf(entries, sizeof entries, "%llu", (unsigned long long)ra->crl.entries);
	snprintf(gen, sizeof gen, "%u", ra->crl.gen.gen);
	audit_detail(&ev, "number", number);
	audit_detail(&ev, "entries", entries);
	audit_detail(&ev, "gen", gen);
	audit_detail(&ev, "reason", why);
	audit(ra, &ev);
}

void crl_abort(struct ra *ra, const char *why)
{
	struct err e;

	if (!ra->crl.active)
		return;
	log_event(LOG_LEVEL_ERROR, "ALARM: CRL not published, the one before stays", "authority", ra->crl.gen.name, "why", why, NULL);
	close_parts(ra);
	ra->crl.active = ra->crl.collecting = false;
	if (ra->crl.waited && ra->publishing.client != 0) {
		err_set(&e, ERR_CONFLICT, "the CRL of %s was not published: %.200s", ra->crl.gen.name, why);
		answer_error(ra, RA_PORT_OFFICER, ra->publishing.client, &e);
		publishing_done(ra);
	}
}

/* The first failure of a row is audited; then the pause doubles, from one second to a minute. */
static void fail(struct ra *ra, const char *why)
{
	unsigned shift = ra->crl_failures < 6 ? ra->crl_failures : 6;
	int64_t pause = US_PER_SECOND << shift;

	if (ra->crl_failures++ == 0)
		audit_crl(ra, "failed", why);
	ra->crl_retry_at = ra->mono + (pause < US_PER_MINUTE ? pause : US_PER_MINUTE);
	crl_abort(ra, why);
	/* What made it due has not gone away: again, after the pause. */
	if (gen_by_ref(ra, ra->crl.ref) != NULL)
		crl_request(ra, gen_by_ref(ra, ra->crl.ref), "ra");
}

static void start(struct ra *ra, size_t i)
{
	struct generation *g = &ra->gens[i];
	struct crl_work *c = &ra->crl;
	bool root = g->parent == 0;
	struct err e;

	ra->crl_due &= ~(1u << i);
	*c = (struct crl_work){ .active = true, .collecting = true, .ref = g->ref, .entries_fd = -1, .body_fd = -1 };
	snprintf(c->gen.name, sizeof c->gen.name, "%s", g->name);
	c->gen.gen = g->gen;
	snprintf(c->actor, sizeof c->actor, "%s", ra->crl_why[i]);
	c->waited = (ra->publishing.left >> i & 1) != 0;
	c->this_update = ra->now - ra->now % US_PER_SECOND;
	c->next_update = c->this_update + (root ? 210 * US_PER_DAY : ra->config->crl_lifetime);
	if (c->next_update > g->not_after)
		c->next_update = g->not_after > c->this_update ? g->not_after : c->this_update + US_PER_HOUR;
	/* CRL-02: taken in the database before it is signed. */
	if (!store_crl_number_take(ra->c.store, g->ref, &c->number, &e)) {
		fail(ra, e.text);
		return;
	}
	g->crl_number = c->number;
	c->entries_fd = open_part(ra, ".entries");
	c->body_fd = open_part(ra, ".body");
	if (c->entries_fd < 0 || c->body_fd < 0)
		fail(ra, strerror(errno));
}

struct page {
	struct crl_work *c;
	int64_t alive;
	struct buf out;
	size_t n;
};

static bool collect_one(void *arg, const struct status_row *row)
{
	struct page *p = arg;
	struct crl_entry en = { .serial = { .n = (uint8_t)row->serial_n }, .revoked_at = row->revoked_at,
		                .reason = (enum crl_reason)row->reason };

	memcpy(en.serial.v, row->serial, row->serial_n);
	p->c->after = en.serial;
	p->n++;
	if (row->not_after < p->alive)
		return true;
	crl_entry_put(&p->out, &en);
	p->c->body_n += crl_entry_size(&en);
	p->c->entries++;
	return true;
}

static bool write_all(int fd, struct span s)
{
	while (s.n != 0) {
		ssize_t put = write(fd, s.p, s.n);

		if (put < 0 && errno != EINTR)
			return false;
		if (put > 0) {
			s.p += put;
			s.n -= (size_t)put;
		}
	}
	return true;
}

static void ask(struct ra *ra, uint16_t type, struct span body)
{
	struct err e;
	struct work *w = work_new(ra, WORK_CRL, type, ra->mono + US_PER_MINUTE, &e);

	if (w == NULL) {
		fail(ra, e.text);
		return;
	}
	ask_ca(ra, w, body);
}

static void begin_stream(struct ra *ra)
{
	const struct crl_work *c = &ra->crl;
	struct ca_crl q = { .gen = c->gen, .number = c->number, .this_update = c->this_update, .next_update = c->next_update,
		            .entries = c->entries, .body_n = c->body_n };
	AUTO_BUF body = { 0 };

	ra->crl.collecting = false;
	if (lseek(c->entries_fd, 0, SEEK_SET) != 0) {
		fail(ra, strerror(errno));
		return;
	}
	ca_crl_put(&body, &q);
	ask(ra, CA_CRL_BEGIN, span_of(&body));
}

static void collect(struct ra *ra)
{
	struct crl_work *c = &ra->crl;
	int64_t until = clock_mono() + COLLECT_US;
	struct err e;

	do {
		/* CRL-11: what was revoked and has expired stays for one more CRL. */
		struct page p = { .c = c, .alive = ra->now - ra->config->crl_interval };
		struct span after = { c->after.v, c->after.n };
		struct serial at = c->after;
		bool good;

		after.p = at.v;
		good = store_revoked_page(ra->c.store, c->ref, after, PAGE, collect_one, &p, &e) &&
		       (write_all(c->entries_fd, span_of(&p.out)) || err_sys(&e, ERR_IO, "CRL entries"));
		buf_free(&p.out);
		if (!good) {
			fail(ra, e.text);
			return;
		}
		if (p.n < PAGE) {
			begin_stream(ra);
			return;
		}
	} while (clock_mono() < until);
}

void crl_continue(struct ra *ra)
{
	if (ra->crl.active && ra->crl.collecting) {
		collect(ra);
		return;
	}
	if (ra->crl.active || ra->setup_phase != SETUP_DONE || (ra->crl_failures != 0 && ra->mono < ra->crl_retry_at))
		return;
	for (size_t i = 0; i < ra->gen_n; i++)
		if ((ra->crl_due >> i & 1) != 0) {
			start(ra, i);
			return;
		}
}

/* Up to CRL_ENTRIES_MAX entries of the file, whole ones. Entries are of two lengths only, so a page is read and cut. */
static void next_entries(struct ra *ra)
{
	uint8_t page[CRL_ENTRIES_MAX * ENTRY_MAX];
	off_t at = lseek(ra->crl.entries_fd, 0, SEEK_CUR);
	ssize_t n = pread(ra->crl.entries_fd, page, sizeof page, at);
	struct rd r = rd_of(page, n > 0 ? (size_t)n : 0);
	struct crl_entry en;
	size_t used = 0;

	if (n <= 0) {
		if (n < 0)
			fail(ra, strerror(errno));
		else
			ask(ra, CA_CRL_END, (struct span){ NULL, 0 });
		return;
	}
	for (int i = 0; i < CRL_ENTRIES_MAX && crl_entry_get(&r, &en); i++)
		used = (size_t)(r.p - page);
	if (used == 0 || lseek(ra->crl.entries_fd, at + (off_t)used, SEEK_SET) < 0)
		fail(ra, "the collected entries can't be read back");
	else
		ask(ra, CA_CRL_ENTRIES, (struct span){ page, used });
}

/* CRL-13: what lies there is a CRL, of this authority, signed by its key. */
static bool verify(struct ra *ra, int fd, struct err *e)
{
	struct generation *g = gen_by_ref(ra, ra->crl.ref);
	AUTO_FREE struct cert *c = mem_new(sizeof *c);
	off_t size = lseek(fd, 0, SEEK_END);
	AUTO(EVP_PKEY) *key = NULL;
	struct der d, all;
	struct span tbs, alg, sig;
	enum sig_alg a;
	uint8_t *map;
	bool good;

	if (!cert_parse(c, ra->gen_cert[gen_index(ra, g)].p, ra->gen_cert[gen_index(ra, g)].n, e) || !key_load(&key, &c->key, e))
		return false;
	map = size > 0 ? mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
	if (map == MAP_FAILED)
		return err_sys(e, ERR_IO, "CRL");
	d = der_of(map, (size_t)size);
	all = der_in(&d, DER_SEQUENCE);
	tbs = der_whole(&all, DER_SEQUENCE);
	alg = der_whole(&all, DER_SEQUENCE);
	sig = der_bits(&all, NULL);
	good = der_done(&all) && der_done(&d) && sig_alg_parse(&a, alg, e) && sig_verify(key, a, tbs, sig, e);
	munmap(map, (size_t)size);
	return good || err_set(e, ERR_INTERNAL, "what was written is no CRL with a signature that holds");
}

static bool put_together(struct ra *ra, const struct ca_crl_end *end, struct err *e)
{
	AUTO_FREE char *path = path_of(ra, "");
	AUTO_FREE char *fresh = path_of(ra, ".new");
	AUTO_FREE char *folder = mem_printf("%s/crl", ra->c.dir);
	AUTO_FD int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO_FD int fd = open_part(ra, ".new");
	uint8_t chunk[65536];
	ssize_t n;

	if (fd < 0 || dir < 0 || !write_all(fd, end->head) || lseek(ra->crl.body_fd, 0, SEEK_SET) != 0)
		return err_sys(e, ERR_IO, "%s", fresh);
	while ((n = read(ra->crl.body_fd, chunk, sizeof chunk)) > 0)
		if (!write_all(fd, (struct span){ chunk, (size_t)n }))
			return err_sys(e, ERR_IO, "%s", fresh);
	if (n < 0 || !write_all(fd, end->tail) || fsync(fd) != 0)
		return err_sys(e, ERR_IO, "%s", fresh);
	if (!verify(ra, fd, e))
		return false;
	return (rename(fresh, path) == 0 && fsync(dir) == 0) || err_sys(e, ERR_IO, "%s", path);
}

static void answer_officer(struct ra *ra)
{
	const struct crl_work *c = &ra->crl;
	struct publishing *p = &ra->publishing;
	AUTO_BUF row = { 0 };
	AUTO_FREE char *url = mem_printf("%s/crl/%s/%u.crl", ra->config->public_va, c->gen.name, c->gen.gen);

	ra->crl_failures = 0;
	ra->crl_entries[gen_index(ra, gen_by_ref(ra, c->ref))] = c->entries;
	if (!c->waited || p->client == 0)
		return;
	record_text(&row, "ca", c->gen.name);
	record_int(&row, "gen", c->gen.gen);
	record_int(&row, "number", (int64_t)c->number);
	record_time(&row, "this_update", c->this_update);
	record_time(&row, "next_update", c->next_update);
	record_int(&row, "entries", (int64_t)c->entries);
	record_text(&row, "url", url);
	wr_span(&p->rows, row.p, row.n);
	p->n++;
	p->left &= ~(1u << gen_index(ra, gen_by_ref(ra, c->ref)));
	if (p->left != 0)
		return;
	officer_rows(ra, p->client, "crls", true, "", p->n, span_of(&p->rows));
	publishing_done(ra);
}

static void finish(struct ra *ra, struct span body)
{
	struct generation *g = gen_by_ref(ra, ra->crl.ref);
	struct ca_crl_end end;
	struct err e;

	if (!ca_crl_end_get(body, &end, &e) || !put_together(ra, &end, &e) ||
	    !store_crl_published(ra->c.store, ra->crl.ref, ra->crl.this_update, ra->crl.next_update, &e)) {
		fail(ra, e.text);
		return;
	}
	g->crl_this = ra->crl.this_update;
	g->crl_next = ra->crl.next_update;
	audit_crl(ra, "success", NULL);
	feed_crl(ra, g, ra->crl.number, ra->crl.this_update, ra->crl.next_update);
	answer_officer(ra);
	close_parts(ra);
	ra->crl.active = false;
}

void crl_answered(struct ra *ra, struct work *w, bool good, struct span body, const struct err *why)
{
	if (!ra->crl.active || ra->crl.collecting)
		return;
	if (!good) {
		fail(ra, why->text);
		return;
	}
	if (w->type == CA_CRL_END) {
		finish(ra, body);
		return;
	}
	if (!write_all(ra->crl.body_fd, body)) {
		fail(ra, strerror(errno));
		return;
	}
	next_entries(ra);
}
