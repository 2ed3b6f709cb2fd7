/* SPDX-License-Identifier: Apache-2.0 */
#include "ra/limiter.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/rnd.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
	ROWS = 8192,           /* a full table forgets the oldest of four neighbours */
	PAIR_FAILURES = 5,     /* of one name from one address: who else guesses locks no device out */
	NAME_FAILURES = 100,   /* from wherever */
	SOURCE_FAILURES = 50,  /* many devices may share one address behind a gateway */
};
#define WINDOW (15 * US_PER_MINUTE)

struct row {
	uint64_t key;
	int64_t since; /* first failure that counts */
	uint32_t failures;
};

struct limiter {
	uint64_t seed;
	struct row row[ROWS];
};

struct limiter *limiter_new(void)
{
	struct limiter *l = mem_new(sizeof *l);

	rnd_kernel(&l->seed, sizeof l->seed);
	return l;
}

void limiter_free(struct limiter *l)
{
	free(l);
}

/* FNV-1a from a secret start: rows can't be aimed at. Collisions only slow an innocent for minutes. */
static uint64_t mix(uint64_t h, const char *s)
{
	for (; *s != 0; s++) {
		unsigned char c = (unsigned char)*s;

		h = (h ^ (c >= 'A' && c <= 'Z' ? c + 32u : c)) * UINT64_C(1099511628211);
	}
	return (h ^ '\n') * UINT64_C(1099511628211);
}

static uint64_t key_of(const struct limiter *l, const char *name, const char *source)
{
	uint64_t h = mix(mix(l->seed, name), source);

	h ^= h >> 29;
	return h | 1;
}

static struct row *find(struct limiter *l, uint64_t key, bool make, int64_t mono)
{
	struct row *oldest = NULL;

	for (unsigned i = 0; i < 4; i++) {
		struct row *r = &l->row[(key / 2 + i) % ROWS];

		if (r->key == key) {
			if (mono - r->since > WINDOW)
				r->failures = 0;
			return r;
		}
		if (oldest == NULL || r->since < oldest->since)
			oldest = r;
	}
	if (!make)
		return NULL;
	*oldest = (struct row){ .key = key };
	return oldest;
}

static bool judge(struct limiter *l, uint64_t key, unsigned most, int64_t mono, struct err *e)
{
	struct row *r = find(l, key, false, mono);
	int64_t left;

	if (r == NULL || r->failures < most)
		return true;
	left = r->since + WINDOW - mono;
	err_set(e, ERR_RATE, "too many failed attempts; try again in %lld s",
	        (long long)(left / US_PER_SECOND + 1));
	e->retry_after = (int)(left / US_PER_SECOND + 1);
	return false;
}

bool limiter_allows_pair(struct limiter *l, const char *name, const char *source, int64_t mono, struct err *e)
{
	return judge(l, key_of(l, name, source), PAIR_FAILURES, mono, e);
}

bool limiter_allows(struct limiter *l, const char *name, const char *source, int64_t mono, struct err *e)
{
	return limiter_allows_pair(l, name, source, mono, e) && judge(l, key_of(l, name, ""), NAME_FAILURES, mono, e) &&
	       judge(l, key_of(l, "", source), SOURCE_FAILURES, mono, e);
}

static void count(struct limiter *l, uint64_t key, int64_t mono)
{
	struct row *r = find(l, key, true, mono);

	if (r->failures == 0)
		r->since = mono;
	r->failures++;
}

void limiter_failed(struct limiter *l, const char *name, const char *source, int64_t mono)
{
	count(l, key_of(l, name, source), mono);
	count(l, key_of(l, name, ""), mono);
	count(l, key_of(l, "", source), mono);
}

void limiter_passed(struct limiter *l, const char *name, const char *source)
{
	const uint64_t keys[] = { key_of(l, name, source), key_of(l, name, "") };

	for (size_t i = 0; i < COUNT_OF(keys); i++) {
		struct row *r = find(l, keys[i], false, 0);

		if (r != NULL)
			r->failures = 0;
	}
}

void limiter_bad_request(struct limiter *l, const char *name, const char *source, int64_t mono)
{
	count(l, ~key_of(l, name, source), mono);
}

bool limiter_allows_request(struct limiter *l, const char *name, const char *source, int64_t mono, struct err *e)
{
	return judge(l, ~key_of(l, name, source), PAIR_FAILURES, mono, e);
}
