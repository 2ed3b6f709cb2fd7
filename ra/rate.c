/* SPDX-License-Identifier: Apache-2.0 */
#include "ra/rate.h"

#include "base/clock.h"
#include "base/mem.h"

enum { ROWS = 16384, NEIGHBOURS = 4 };

static const int64_t windows[RATE_COUNT] = { [RATE_ACCOUNTS] = US_PER_HOUR, [RATE_ORDERS] = US_PER_MINUTE,
	                                     [RATE_FAILURES] = US_PER_HOUR, [RATE_DUPLICATES] = US_PER_DAY,
	                                     [RATE_REPLACES] = US_PER_HOUR, [RATE_REFUSALS] = US_PER_HOUR };

struct row {
	uint64_t key;  /* 0 free */
	int64_t since;
	int64_t n;
};

struct rate {
	uint64_t seed;
	struct row row[ROWS];
};

struct rate *rate_new(void (*rnd)(void *out, size_t n))
{
	struct rate *r = mem_new(sizeof *r);

	rnd(&r->seed, sizeof r->seed);
	return r;
}

void rate_free(struct rate *r)
{
	free(r);
}

/* FNV-1a from a secret start: rows can't be aimed at. */
static uint64_t key_of(const struct rate *r, enum rate_of what, int64_t account, const char *text)
{
	uint64_t h = r->seed;

	h = (h ^ (uint64_t)what) * UINT64_C(1099511628211);
	for (unsigned i = 0; i < 8; i++)
		h = (h ^ ((uint64_t)account >> 8 * i & 0xff)) * UINT64_C(1099511628211);
	for (; *text != 0; text++)
		h = (h ^ (unsigned char)*text) * UINT64_C(1099511628211);
	h ^= h >> 29;
	return h | 1;
}

static struct row *find(struct rate *r, uint64_t key, bool make)
{
	struct row *oldest = NULL;

	for (unsigned i = 0; i < NEIGHBOURS; i++) {
		struct row *row = &r->row[(key / 2 + i) % ROWS];

		if (row->key == key)
			return row;
		if (oldest == NULL || row->since < oldest->since)
			oldest = row;
	}
	if (!make)
		return NULL;
	*oldest = (struct row){ .key = key };
	return oldest;
}

bool rate_allows(struct rate *r, enum rate_of what, int64_t account, const char *text, int64_t most, int64_t mono, int *wait)
{
	const struct row *row = most != 0 ? find(r, key_of(r, what, account, text), false) : NULL;

	if (row == NULL || row->n < most || mono - row->since >= windows[what])
		return true;
	*wait = (int)((row->since + windows[what] - mono) / US_PER_SECOND) + 1;
	return false;
}

void rate_count(struct rate *r, enum rate_of what, int64_t account, const char *text, int64_t mono)
{
	struct row *row = find(r, key_of(r, what, account, text), true);

	if (row->n == 0 || mono - row->since >= windows[what])
		*row = (struct row){ .key = row->key, .since = mono };
	row->n++;
}
