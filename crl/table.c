/* SPDX-License-Identifier: Apache-2.0 */
#include "crl/table.h"

#include "base/rnd.h"

#include <string.h>

/* 56 octets; 10 million certificates fit into 1 GiB. */
struct slot {
	uint64_t seq;       /* 0: free */
	int64_t revoked_at;
	uint32_t ref;
	uint8_t serial_n, state, reason, unused;
	uint8_t serial[SERIAL_MAX];
	int64_t not_after;
};

struct table {
	pthread_rwlock_t lock;
	uint64_t key[2];
	struct slot *slot;
	size_t size, used; /* size is a power of two */
};

enum { FIRST_SIZE = 4096 };
_Static_assert(sizeof(struct slot) <= 64, "more than a cache line a certificate");

static uint64_t rotl(uint64_t x, int b)
{
	return x << b | x >> (64 - b);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1], v[1] = rotl(v[1], 13), v[1] ^= v[0], v[0] = rotl(v[0], 32);
	v[2] += v[3], v[3] = rotl(v[3], 16), v[3] ^= v[2];
	v[0] += v[3], v[3] = rotl(v[3], 21), v[3] ^= v[0];
	v[2] += v[1], v[1] = rotl(v[1], 17), v[1] ^= v[2], v[2] = rotl(v[2], 32);
}

uint64_t keyed_hash(const uint64_t key[2], const void *p, size_t n)
{
	uint64_t v[4] = { key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d, key[0] ^ 0x6c7967656e657261,
		          key[1] ^ 0x7465646279746573 };
	const uint8_t *octet = p;
	uint64_t m, last = (uint64_t)n << 56;

	for (; n >= 8; n -= 8, octet += 8) {
		memcpy(&m, octet, 8);
		v[3] ^= m;
		sip_round(v);
		sip_round(v);
		v[0] ^= m;
	}
	for (size_t i = 0; i < n; i++)
		last |= (uint64_t)octet[i] << (8 * i);
	v[3] ^= last;
	sip_round(v);
	sip_round(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void writer_first(pthread_rwlock_t *lock)
{
	pthread_rwlockattr_t a;

	pthread_rwlockattr_init(&a);
	pthread_rwlockattr_setkind_np(&a, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	if (pthread_rwlock_init(lock, &a) != 0)
		abort();
	pthread_rwlockattr_destroy(&a);
}

struct table *table_new(void)
{
	struct table *t = mem_new(sizeof *t);

	writer_first(&t->lock);
	rnd_kernel(t->key, sizeof t->key);
	t->size = FIRST_SIZE;
	t->slot = mem_array(t->size, sizeof *t->slot);
	return t;
}

void table_free(struct table *t)
{
	if (t == NULL)
		return;
	pthread_rwlock_destroy(&t->lock);
	free(t->slot);
	free(t);
}

static uint64_t hash_of(const struct table *t, uint32_t ref, const uint8_t *serial, uint8_t n)
{
	uint8_t all[4 + SERIAL_MAX];

	memcpy(all, &ref, 4);
	memcpy(all + 4, serial, n);
	return keyed_hash(t->key, all, 4u + n);
}

/* The slot of this serial, or the free one where it would go. */
static struct slot *probe(const struct table *t, struct slot *slots, size_t size, uint32_t ref, const uint8_t *serial, uint8_t n)
{
	size_t i = hash_of(t, ref, serial, n) & (size - 1);

	while (slots[i].seq != 0 && !(slots[i].ref == ref && slots[i].serial_n == n && memcmp(slots[i].serial, serial, n) == 0))
		i = (i + 1) & (size - 1);
	return &slots[i];
}

static void grow(struct table *t)
{
	size_t size = t->size * 2;
	struct slot *bigger = mem_array(size, sizeof *bigger);

	for (size_t i = 0; i < t->size; i++)
		if (t->slot[i].seq != 0)
			*probe(t, bigger, size, t->slot[i].ref, t->slot[i].serial, t->slot[i].serial_n) = t->slot[i];
	free(t->slot);
	t->slot = bigger;
	t->size = size;
}

bool table_put(struct table *t, const struct status_entry *en)
{
	struct slot *s;
	bool newer;

	pthread_rwlock_wrlock(&t->lock);
	if ((t->used + 1) * 10 > t->size * 7)
		grow(t);
	s = probe(t, t->slot, t->size, en->ref, en->serial.v, en->serial.n);
	newer = en->seq > s->seq;
	if (newer) {
		t->used += s->seq == 0;
		*s = (struct slot){ .seq = en->seq, .revoked_at = en->revoked_at, .ref = en->ref, .serial_n = en->serial.n,
			            .state = (uint8_t)en->state, .reason = (uint8_t)en->reason, .not_after = en->not_after };
		memcpy(s->serial, en->serial.v, en->serial.n);
	}
	pthread_rwlock_unlock(&t->lock);
	return newer;
}

bool table_get(struct table *t, uint32_t ref, const struct serial *serial, struct status_entry *out)
{
	struct slot *s;
	bool found;

	pthread_rwlock_rdlock(&t->lock);
	s = probe(t, t->slot, t->size, ref, serial->v, serial->n);
	found = s->seq != 0;
	if (found)
		*out = (struct status_entry){ .ref = ref, .serial = *serial, .state = (enum status_state)s->state,
			                      .reason = (enum crl_reason)s->reason, .revoked_at = s->revoked_at,
			                      .not_after = s->not_after, .seq = s->seq };
	pthread_rwlock_unlock(&t->lock);
	return found;
}

uint64_t table_count(struct table *t)
{
	uint64_t n;

	pthread_rwlock_rdlock(&t->lock);
	n = t->used;
	pthread_rwlock_unlock(&t->lock);
	return n;
}
