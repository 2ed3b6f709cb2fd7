/* SPDX-License-Identifier: Apache-2.0 */
#include "store/pack.h"

#include "store/sqlite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

enum {
	MARK = 0x01,          /* first octet of what is packed; then the dictionary's number (LEB128), then a zstd frame */
	LEVEL = 1,            /* higher ones gain nothing on so few octets */
	SAMPLES = 4,          /* a dictionary is made of so many */
	KINDS = 96,           /* in memory at once */
	READY = 16,           /* dictionaries for reading, in memory at once */
	GOOD_PERCENT = 55,    /* of its size, or less */
	PATIENCE_FIRST = 4,   /* so many that did not get so small in a row make a new dictionary … */
	PATIENCE_LOADED = 64, /* … with one that was found at the start … */
	PATIENCE_LAST = 4096, /* … and twice as many each time: what repeats nothing fills no table with dictionaries */
};

struct kind {
	char name[64];        /* empty: free */
	bool looked;          /* for its newest dictionary */
	int64_t number;       /* 0 none yet */
	ZSTD_CDict *dict;
	struct buf sample[SAMPLES];
	unsigned sample_n, poor, patience;
	uint64_t used;
};

struct pack {
	ZSTD_CCtx *squeeze;
	ZSTD_DCtx *expand;
	struct kind kind[KINDS];
	struct ready {
		int64_t number;
		ZSTD_DDict *dict;
		uint64_t used;
	} ready[READY];
	uint64_t clock;
	bool fresh;           /* a dictionary was made in this transaction */
};

struct pack *pack_new(void)
{
	struct pack *p = mem_new(sizeof *p);

	p->squeeze = ZSTD_createCCtx();
	p->expand = ZSTD_createDCtx();
	if (p->squeeze == NULL || p->expand == NULL)
		abort();
	(void)ZSTD_CCtx_setParameter(p->squeeze, ZSTD_c_dictIDFlag, 0);
	return p;
}

static void kind_free(struct kind *k)
{
	ZSTD_freeCDict(k->dict);
	for (size_t i = 0; i < SAMPLES; i++)
		buf_free(&k->sample[i]);
	*k = (struct kind){ 0 };
}

static void forget(struct pack *p)
{
	for (size_t i = 0; i < KINDS; i++)
		kind_free(&p->kind[i]);
	for (size_t i = 0; i < READY; i++) {
		ZSTD_freeDDict(p->ready[i].dict);
		p->ready[i] = (struct ready){ 0 };
	}
}

void pack_free(struct pack *p)
{
	if (p == NULL)
		return;
	forget(p);
	ZSTD_freeCCtx(p->squeeze);
	ZSTD_freeDCtx(p->expand);
	free(p);
}

void pack_ended(struct pack *p, bool committed)
{
	if (p != NULL && p->fresh && !committed)
		forget(p); /* its number may be another one's next time */
	if (p != NULL)
		p->fresh = false;
}

/* --- Dictionaries */

static bool kind_load(struct store *s, struct kind *k, struct err *e)
{
	AUTO_QUERY *q = query(s, e, "SELECT number, content FROM dictionary WHERE kind = ? ORDER BY number DESC LIMIT 1", "t", k->name);
	int rc = q != NULL ? step(s, q, e) : -1;

	k->patience = PATIENCE_FIRST;
	if (rc == 1) {
		k->number = sqlite3_column_int64(q, 0);
		k->dict = ZSTD_createCDict(sqlite3_column_blob(q, 1), (size_t)sqlite3_column_bytes(q, 1), LEVEL);
		k->patience = PATIENCE_LOADED;
	}
	k->looked = rc >= 0;
	return rc >= 0;
}

/* The one of this name, or the place of the one that was used longest ago. */
static struct kind *kind_find(struct store *s, const char *name, struct err *e)
{
	struct pack *p = s->pack;
	struct kind *oldest = &p->kind[0];

	for (size_t i = 0; i < KINDS; i++) {
		struct kind *k = &p->kind[i];

		if (strcmp(k->name, name) == 0) {
			k->used = ++p->clock;
			return k->looked || kind_load(s, k, e) ? k : NULL;
		}
		if (k->used < oldest->used)
			oldest = k;
	}
	kind_free(oldest);
	snprintf(oldest->name, sizeof oldest->name, "%s", name);
	oldest->used = ++p->clock;
	return kind_load(s, oldest, e) ? oldest : NULL;
}

static bool kind_renew(struct store *s, struct kind *k, struct err *e)
{
	AUTO_BUF content = { 0 };
	ZSTD_CDict *dict;

	for (size_t i = 0; i < SAMPLES; i++) {
		const struct buf *b = &k->sample[(k->sample_n + i) % SAMPLES]; /* the newest last */

		buf_add(&content, b->p, b->n);
	}
	if (!execute(s, e, NULL, "INSERT INTO dictionary (kind, content) VALUES (?, ?)", "tb", k->name, content.p, content.n))
		return false;
	dict = ZSTD_createCDict(content.p, content.n, LEVEL);
	if (dict == NULL)
		return err_set(e, ERR_INTERNAL, "zstd: no dictionary");
	ZSTD_freeCDict(k->dict);
	k->dict = dict;
	k->number = sqlite3_last_insert_rowid(s->db);
	k->poor = 0;
	k->patience = k->patience * 2 < PATIENCE_LAST ? k->patience * 2 : PATIENCE_LAST;
	s->pack->fresh = true;
	return true;
}

/* --- Writing */

static void put_number(struct buf *out, uint64_t n)
{
	for (; n >= 0x80; n >>= 7)
		buf_byte(out, (uint8_t)(n | 0x80));
	buf_byte(out, (uint8_t)n);
}

/* False: it is kept as it is. */
static bool squeeze(struct pack *p, const struct kind *k, struct span raw, struct buf *out)
{
	size_t bound = ZSTD_compressBound(raw.n), start = out->n, n;

	if (k->dict == NULL || raw.n > PACK_RAW_MAX)
		return false;
	buf_byte(out, MARK);
	put_number(out, (uint64_t)k->number);
	buf_reserve(out, bound);
	if (ZSTD_isError(ZSTD_CCtx_refCDict(p->squeeze, k->dict)) ||
	    ZSTD_isError(n = ZSTD_compress2(p->squeeze, out->p + out->n, bound, raw.p, raw.n)) || out->n + n - start >= raw.n) {
		out->n = start;
		return false;
	}
	out->n += n;
	return true;
}

bool pack_put(struct store *s, const char *kind, struct span raw, struct buf *out, struct err *e)
{
	struct kind *k = kind_find(s, kind, e);
	size_t start = out->n;
	struct buf *sample;

	if (k == NULL)
		return false;
	if (raw.n != 0 && raw.p[0] == MARK)
		return err_set(e, ERR_INTERNAL, "a value that looks like a packed one");
	if (!squeeze(s->pack, k, raw, out))
		buf_add(out, raw.p, raw.n);
	if ((out->n - start) * 100 <= raw.n * GOOD_PERCENT) {
		k->poor = 0;
		return true;
	}
	sample = &k->sample[k->sample_n++ % SAMPLES];
	sample->n = 0;
	buf_add(sample, raw.p, raw.n < PACK_RAW_MAX ? raw.n : 0);
	return ++k->poor < k->patience || kind_renew(s, k, e);
}

/* --- Reading */

static const ZSTD_DDict *ready(struct store *s, int64_t number, struct err *e)
{
	struct pack *p = s->pack;
	struct ready *oldest = &p->ready[0];

	for (size_t i = 0; i < READY; i++) {
		struct ready *r = &p->ready[i];

		if (r->dict != NULL && r->number == number) {
			r->used = ++p->clock;
			return r->dict;
		}
		if (r->used < oldest->used)
			oldest = r;
	}
	AUTO_QUERY *q = query(s, e, "SELECT content FROM dictionary WHERE number = ?", "i", number);
	int rc = q != NULL ? step(s, q, e) : -1;

	if (rc == 0)
		err_set(e, ERR_STORE, "database: dictionary %lld is not there", (long long)number);
	if (rc != 1)
		return NULL;
	ZSTD_freeDDict(oldest->dict);
	*oldest = (struct ready){ .number = number, .used = ++p->clock,
		                  .dict = ZSTD_createDDict(sqlite3_column_blob(q, 0), (size_t)sqlite3_column_bytes(q, 0)) };
	return oldest->dict;
}

static bool get_number(struct span *in, int64_t *n)
{
	*n = 0;
	for (unsigned shift = 0; in->n != 0 && shift < 63; shift += 7) {
		uint8_t octet = *in->p;

		in->p++;
		in->n--;
		*n |= (int64_t)(octet & 0x7f) << shift;
		if ((octet & 0x80) == 0)
			return true;
	}
	return false;
}

bool pack_get(struct store *s, struct span kept, struct buf *out, struct err *e)
{
	unsigned long long size;
	const ZSTD_DDict *dict;
	int64_t number;
	size_t n;

	if (kept.n == 0 || kept.p[0] != MARK) {
		buf_add(out, kept.p, kept.n);
		return true;
	}
	kept.p++;
	kept.n--;
	if (!get_number(&kept, &number) || (size = ZSTD_getFrameContentSize(kept.p, kept.n)) > PACK_RAW_MAX)
		return err_set(e, ERR_STORE, "database: a packed value is damaged");
	dict = ready(s, number, e);
	if (dict == NULL)
		return false;
	buf_reserve(out, size);
	n = ZSTD_decompress_usingDDict(s->pack->expand, out->p + out->n, size, kept.p, kept.n, dict);
	if (ZSTD_isError(n) || n != size)
		return err_set(e, ERR_STORE, "database: a packed value is damaged");
	out->n += n;
	return true;
}
