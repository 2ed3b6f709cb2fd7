/* SPDX-License-Identifier: Apache-2.0
 *
 * A fixed number of buckets, a few answers each; the oldest of a full bucket goes. The key is the CertID as it was asked,
 * since an answer echoes it octet by octet; the bucket is that of the serial, so that a revocation finds them all. */
#include "crl/internal.h"

#include "base/der.h"
#include "base/rnd.h"

#include <string.h>

enum { BUCKETS = 16384, WAYS = 4, KEY_MAX = OCSP_CERTID_MAX };

struct line {
	uint8_t key[KEY_MAX];
	size_t key_n;
	uint32_t ref;
	struct serial serial;
	struct cached a;
};

struct bucket {
	struct line *line[WAYS];
	unsigned next; /* to go when all are taken */
};

struct cache {
	pthread_mutex_t lock;
	uint64_t key[2];
	struct table *table;
	struct bucket bucket[BUCKETS];
};

struct cache *cache_new(struct table *table)
{
	struct cache *c = mem_new(sizeof *c);

	pthread_mutex_init(&c->lock, NULL);
	c->table = table;
	rnd_kernel(c->key, sizeof c->key);
	return c;
}

static void line_free(struct line *l)
{
	if (l == NULL)
		return;
	buf_free(&l->a.body);
	free(l);
}

void cache_free(struct cache *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		for (size_t k = 0; k < WAYS; k++)
			line_free(c->bucket[i].line[k]);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* The serial is the last INTEGER of a CertID; its octets alone choose the bucket. */
static struct bucket *bucket_of(struct cache *c, const uint8_t *serial, size_t n)
{
	return &c->bucket[keyed_hash(c->key, serial, n) % BUCKETS];
}

static struct bucket *bucket_of_key(struct cache *c, struct span key)
{
	struct der d = der_of_span(key), in = der_in(&d, DER_SEQUENCE);
	struct span serial;

	(void)der_in(&in, DER_SEQUENCE);
	(void)der_span(&in, DER_OCTETS);
	(void)der_span(&in, DER_OCTETS);
	serial = der_span(&in, DER_INTEGER);
	if (serial.n > 1 && serial.p[0] == 0)
		serial.p++, serial.n--;
	return in.bad ? &c->bucket[0] : bucket_of(c, serial.p, serial.n);
}

bool cache_get(struct cache *c, struct span key, int64_t now, struct cached *out)
{
	struct bucket *b = bucket_of_key(c, key);
	bool found = false;

	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < WAYS && !found; i++) {
		const struct line *l = b->line[i];

		if (l == NULL || l->key_n != key.n || memcmp(l->key, key.p, key.n) != 0 || now >= l->a.refresh_at ||
		    now < l->a.this_update) /* the clock has gone back: nobody would believe it */
			continue;
		buf_add(&out->body, l->a.body.p, l->a.body.n);
		out->this_update = l->a.this_update;
		out->next_update = l->a.next_update;
		found = true;
	}
	pthread_mutex_unlock(&c->lock);
	return found;
}

/* Where an answer goes: over its own older one, into a free place, or over the one that came first. */
static size_t place_of(struct bucket *b, struct span key)
{
	for (size_t i = 0; i < WAYS; i++)
		if (b->line[i] != NULL && b->line[i]->key_n == key.n && memcmp(b->line[i]->key, key.p, key.n) == 0)
			return i;
	for (size_t i = 0; i < WAYS; i++)
		if (b->line[i] == NULL)
			return i;
	return b->next++ % WAYS;
}

void cache_put(struct cache *c, struct span key, uint32_t ref, const struct serial *s, const struct cached *a)
{
	struct bucket *b = bucket_of(c, s->v, s->n);
	struct status_entry now;
	size_t at;
	struct line *l;

	if (key.n > KEY_MAX)
		return;
	l = mem_new(sizeof *l);
	memcpy(l->key, key.p, key.n);
	l->key_n = key.n;
	l->ref = ref;
	l->serial = *s;
	l->a = *a;
	l->a.body = (struct buf){ 0 };
	buf_add(&l->a.body, a->body.p, a->body.n);
	pthread_mutex_lock(&c->lock);
	/* Signed while the status changed: the writer changes the table first and drops here second, so that an answer is
	 * either seen to be old now, or dropped in a moment. */
	if (!table_get(c->table, ref, s, &now) || now.seq != a->seq) {
		pthread_mutex_unlock(&c->lock);
		line_free(l);
		return;
	}
	at = place_of(b, key);
	line_free(b->line[at]);
	b->line[at] = l;
	pthread_mutex_unlock(&c->lock);
}

void cache_drop(struct cache *c, uint32_t ref, const struct serial *s)
{
	struct bucket *b = bucket_of(c, s->v, s->n);

	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < WAYS; i++)
		if (b->line[i] != NULL && b->line[i]->ref == ref && serial_equal(&b->line[i]->serial, s)) {
			line_free(b->line[i]);
			b->line[i] = NULL;
		}
	pthread_mutex_unlock(&c->lock);
}
