/* SPDX-License-Identifier: Apache-2.0 */
#include "crl/table.h"

#include "base/clock.h"
#include "base/rnd.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

/* 32 octets a certificate, in shards that grow alone: none holds its readers up for long. */
struct slot {
	uint8_t serial[SERIAL_MAX];
	uint32_t when;      /* good: notAfter in seconds; revoked: which of the shard's details */
	uint64_t bits;      /* from above: sequence 45, generation 8, length 5, reason 4, revoked 1, age 1; 0: free */
};
_Static_assert(sizeof(struct slot) == 32, "half a cache line a certificate");
_Static_assert(SERIAL_MAX < 32 && STATUS_SEQ_MAX == UINT64_MAX >> 19, "fields of struct slot");

/* Of what is revoked: the exact times. */
struct detail {
	int64_t revoked_at, not_after;
};

struct shard {
	pthread_rwlock_t lock;
	struct slot *slot;
	size_t size, used;
	struct detail *detail;
	uint32_t detail_n, detail_cap, detail_free; /* the first free one by its revoked_at, from 1; 0 none */
};

enum { SHARDS = 64, FIRST_SIZE = 128, REF_MAX = 256, AHEAD = 32, ABOUT_MAX = 1 << 28 };

struct table {
	uint64_t key[2];
	struct shard shard[SHARDS];
	uint32_t ref[REF_MAX]; /* slots have their index; written by the one writer, before the slots that need it */
	_Atomic uint32_t ref_n;
	_Atomic uint64_t used;
	_Atomic unsigned age;       /* of the snapshot under way; whoever looks may do so beside its begin */
};

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

/* --- Slots */

static uint64_t seq_of(const struct slot *s)
{
	return s->bits >> 19;
}

static uint8_t length_of(const struct slot *s)
{
	return s->bits >> 6 & 31;
}

static bool is_revoked(const struct slot *s)
{
	return (s->bits & 2) != 0;
}

static uint64_t bits_of(const struct status_entry *en, uint32_t ref, unsigned age)
{
	return en->seq << 19 | (uint64_t)ref << 11 | (uint64_t)en->serial.n << 6 | (uint64_t)en->reason << 2 |
	       (en->state == STATUS_REVOKED ? 2u : 0u) | age;
}

static uint32_t seconds_up(int64_t us)
{
	return us <= 0 ? 0 : us >= (int64_t)UINT32_MAX * US_PER_SECOND ? UINT32_MAX : (uint32_t)((us + US_PER_SECOND - 1) / US_PER_SECOND);
}

/* Index of the generation's number, REF_MAX none. */
static uint32_t ref_index(const struct table *t, uint32_t ref)
{
	uint32_t n = atomic_load_explicit(&t->ref_n, memory_order_acquire);

	for (uint32_t i = 0; i < n; i++)
		if (t->ref[i] == ref)
			return i;
	return REF_MAX;
}

static uint64_t hash_of(const struct table *t, uint32_t ref, const uint8_t *serial, uint8_t n)
{
	uint8_t all[4 + SERIAL_MAX];

	memcpy(all, &ref, 4);
	memcpy(all + 4, serial, n);
	return keyed_hash(t->key, all, 4u + n);
}

static struct shard *shard_of(struct table *t, uint64_t hash)
{
	return &t->shard[hash >> 58];
}

static size_t home(uint64_t hash, size_t size)
{
	return (size_t)((hash & UINT32_MAX) * size >> 32);
}

/* The slot of this serial, or the free one where it would go. There is always a free one. */
static struct slot *probe(const struct shard *h, uint64_t hash, uint32_t ref, const uint8_t *serial, uint8_t n)
{
	size_t i = home(hash, h->size);
	uint64_t who = (uint64_t)ref << 11 | (uint64_t)n << 6, mask = UINT64_C(0x1fff) << 6;

	while (h->slot[i].bits != 0 && !((h->slot[i].bits & mask) == who && memcmp(h->slot[i].serial, serial, n) == 0))
		i = i + 1 == h->size ? 0 : i + 1;
	return &h->slot[i];
}

/* Straight from the kernel and back to it: shards that grew leave no holes. */
static struct slot *slots_new(size_t size)
{
	void *p = mmap(NULL, size * sizeof(struct slot), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		abort();
	return p;
}

static void slots_free(struct slot *s, size_t size)
{
	if (s != NULL)
		munmap(s, size * sizeof *s);
}

static uint64_t slot_hash(const struct table *t, const struct slot *s)
{
	return hash_of(t, t->ref[s->bits >> 11 & 255], s->serial, length_of(s));
}

static void resize(const struct table *t, struct shard *h, size_t size)
{
	struct slot *was = h->slot;
	size_t was_size = h->size;

	h->slot = slots_new(size);
	h->size = size;
	for (size_t i = 0; i < was_size; i++)
		if (was[i].bits != 0)
			*probe(h, slot_hash(t, &was[i]), was[i].bits >> 11 & 255, was[i].serial, length_of(&was[i])) = was[i];
	slots_free(was, was_size);
}

/* --- What is revoked */

static uint32_t detail_new(struct shard *h)
{
	uint32_t i = h->detail_free;

	if (i != 0) {
		h->detail_free = (uint32_t)h->detail[i - 1].revoked_at;
		return i - 1;
	}
	if (h->detail_n == h->detail_cap) {
		h->detail_cap = h->detail_cap != 0 ? 2 * h->detail_cap : 16;
		h->detail = mem_grow(h->detail, h->detail_cap, sizeof *h->detail);
	}
	return h->detail_n++;
}

static void detail_drop(struct shard *h, uint32_t i)
{
	h->detail[i].revoked_at = h->detail_free;
	h->detail_free = i + 1;
}

static void fill(struct shard *h, struct slot *s, const struct status_entry *en, uint64_t bits)
{
	bool was = s->bits != 0 && is_revoked(s);

	if (en->state == STATUS_REVOKED) {
		s->when = was ? s->when : detail_new(h);
		h->detail[s->when] = (struct detail){ en->revoked_at, en->not_after };
	} else {
		if (was)
			detail_drop(h, s->when);
		s->when = seconds_up(en->not_after);
	}
	memcpy(s->serial, en->serial.v, en->serial.n);
	s->bits = bits;
}

/* --- The table */

struct table *table_new(void)
{
	struct table *t = mem_new(sizeof *t);

	rnd_kernel(t->key, sizeof t->key);
	for (size_t i = 0; i < SHARDS; i++)
		writer_first(&t->shard[i].lock);
	return t;
}

void table_free(struct table *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < SHARDS; i++) {
		pthread_rwlock_destroy(&t->shard[i].lock);
		slots_free(t->shard[i].slot, t->shard[i].size);
		free(t->shard[i].detail);
	}
	free(t);
}

static uint32_t ref_add(struct table *t, uint32_t ref)
{
	uint32_t i = ref_index(t, ref), n = atomic_load(&t->ref_n);

	if (i != REF_MAX || n == REF_MAX)
		return i;
	t->ref[n] = ref;
	atomic_store_explicit(&t->ref_n, n + 1, memory_order_release);
	return n;
}

static bool put(struct table *t, const struct status_entry *en, uint64_t hash)
{
	uint32_t ref = ref_add(t, en->ref);
	struct shard *h = shard_of(t, hash);
	struct slot *s;
	bool newer;

	if (ref == REF_MAX)
		return false; /* ra has no more than 32 */
	pthread_rwlock_wrlock(&h->lock);
	if ((h->used + 1) * 5 > h->size * 4)
		resize(t, h, h->size == 0 ? FIRST_SIZE : h->size + h->size / 2);
	s = probe(h, hash, ref, en->serial.v, en->serial.n);
	newer = en->seq > seq_of(s);
	if (newer) {
		h->used += s->bits == 0;
		atomic_fetch_add_explicit(&t->used, s->bits == 0, memory_order_relaxed);
		fill(h, s, en, bits_of(en, ref, t->age));
	} else {
		s->bits = (s->bits & ~UINT64_C(1)) | t->age;
	}
	pthread_rwlock_unlock(&h->lock);
	return newer;
}

bool table_put(struct table *t, const struct status_entry *en)
{
	return put(t, en, hash_of(t, en->ref, en->serial.v, en->serial.n));
}

void table_put_all(struct table *t, const struct status_entry *en, size_t n, table_changed *changed, void *arg)
{
	uint64_t hash[AHEAD];

	for (size_t from = 0; from < n; from += AHEAD) {
		size_t k = n - from < AHEAD ? n - from : AHEAD;

		/* Their places come from memory at the same time, not one after another. Only the writer moves shards. */
		for (size_t i = 0; i < k; i++) {
			const struct shard *h;

			hash[i] = hash_of(t, en[from + i].ref, en[from + i].serial.v, en[from + i].serial.n);
			h = shard_of(t, hash[i]);
			if (h->size != 0)
				__builtin_prefetch(&h->slot[home(hash[i], h->size)], 1);
		}
		for (size_t i = 0; i < k; i++)
			if (put(t, &en[from + i], hash[i]))
				changed(arg, en[from + i].ref, &en[from + i].serial);
	}
}

static void read_slot(const struct shard *h, const struct slot *s, struct status_entry *out)
{
	out->state = is_revoked(s) ? STATUS_REVOKED : STATUS_GOOD;
	out->reason = (enum crl_reason)(s->bits >> 2 & 15);
	out->revoked_at = is_revoked(s) ? h->detail[s->when].revoked_at : 0;
	out->not_after = is_revoked(s) ? h->detail[s->when].not_after : s->when == UINT32_MAX ? INT64_MAX : s->when * US_PER_SECOND;
	out->seq = seq_of(s);
}

bool table_get(struct table *t, uint32_t ref, const struct serial *serial, struct status_entry *out)
{
	uint32_t i = ref_index(t, ref);
	uint64_t hash;
	struct shard *h;
	struct slot *s;
	bool found = false;

	if (i == REF_MAX)
		return false;
	hash = hash_of(t, ref, serial->v, serial->n);
	h = shard_of(t, hash);
	pthread_rwlock_rdlock(&h->lock);
	if (h->size != 0) {
		s = probe(h, hash, i, serial->v, serial->n);
		found = s->bits != 0;
		if (found) {
			*out = (struct status_entry){ .ref = ref, .serial = *serial };
			read_slot(h, s, out);
		}
	}
	pthread_rwlock_unlock(&h->lock);
	return found;
}

/* Those behind it that would not be found over a hole move up. */
static void take_out(struct table *t, struct shard *h, struct slot *s)
{
	size_t hole = (size_t)(s - h->slot), i = hole;

	if (is_revoked(s))
		detail_drop(h, s->when);
	for (;;) {
		size_t at;

		i = i + 1 == h->size ? 0 : i + 1;
		if (h->slot[i].bits == 0)
			break;
		at = home(slot_hash(t, &h->slot[i]), h->size);
		if (hole < i ? at > hole && at <= i : at > hole || at <= i)
			continue;
		h->slot[hole] = h->slot[i];
		hole = i;
	}
	h->slot[hole] = (struct slot){ .bits = 0 };
	h->used--;
	atomic_fetch_sub_explicit(&t->used, 1, memory_order_relaxed);
}

static void shrink(const struct table *t, struct shard *h)
{
	if (h->size > FIRST_SIZE && h->used * 4 < h->size)
		resize(t, h, h->used * 2 > FIRST_SIZE ? h->used * 2 : FIRST_SIZE);
	if (h->used == 0) {
		free(h->detail);
		h->detail = NULL;
		h->detail_n = h->detail_cap = h->detail_free = 0;
	}
}

bool table_drop(struct table *t, uint32_t ref, const struct serial *serial)
{
	uint32_t i = ref_index(t, ref);
	uint64_t hash = hash_of(t, ref, serial->v, serial->n);
	struct shard *h = shard_of(t, hash);
	struct slot *s;
	bool found = false;

	if (i == REF_MAX)
		return false;
	pthread_rwlock_wrlock(&h->lock);
	if (h->size != 0) {
		s = probe(h, hash, i, serial->v, serial->n);
		found = s->bits != 0;
		if (found)
			take_out(t, h, s);
		shrink(t, h);
	}
	pthread_rwlock_unlock(&h->lock);
	return found;
}

void table_snapshot_begin(struct table *t, uint64_t about)
{
	size_t size = (size_t)(about < ABOUT_MAX ? about : ABOUT_MAX) / SHARDS * 4 / 3;

	t->age ^= 1;
	for (size_t i = 0; i < SHARDS && size > FIRST_SIZE; i++) {
		struct shard *h = &t->shard[i];

		pthread_rwlock_wrlock(&h->lock);
		if (h->size < size)
			resize(t, h, size);
		pthread_rwlock_unlock(&h->lock);
	}
}

struct gone {
	uint32_t ref;
	struct serial serial;
};

static void drop_old(struct table *t, struct shard *h, int64_t now, struct buf *gone)
{
	for (size_t i = 0; i < h->size;) {
		struct slot *s = &h->slot[i];
		struct status_entry en = { .seq = 0 };

		if (s->bits != 0 && (s->bits & 1) != t->age)
			read_slot(h, s, &en);
		if (en.seq == 0 || en.not_after >= now) {
			i++;
			continue;
		}
		struct gone g = { .ref = t->ref[s->bits >> 11 & 255], .serial = { .n = length_of(s) } };

		memcpy(g.serial.v, s->serial, sizeof s->serial);
		buf_add(gone, &g, sizeof g);
		take_out(t, h, s); /* another may stand here now */
	}
	shrink(t, h);
}

void table_snapshot_end(struct table *t, int64_t now, table_changed *dropped, void *arg)
{
	AUTO_BUF gone = { 0 };
	struct gone g;

	for (size_t k = 0; k < SHARDS; k++) {
		pthread_rwlock_wrlock(&t->shard[k].lock);
		drop_old(t, &t->shard[k], now, &gone);
		pthread_rwlock_unlock(&t->shard[k].lock);
	}
	/* With no lock held: who is told may ask the table. */
	for (size_t i = 0; i < gone.n; i += sizeof g) {
		memcpy(&g, gone.p + i, sizeof g);
		dropped(arg, g.ref, &g.serial);
	}
}

uint64_t table_count(struct table *t)
{
	return atomic_load_explicit(&t->used, memory_order_relaxed);
}
