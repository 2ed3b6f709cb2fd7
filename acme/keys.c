/* SPDX-License-Identifier: Apache-2.0 */
#include "acme/keys.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { WAYS = 4, SETS = KEYS_MAX / WAYS };

struct entry {
	int64_t account;      /* 0: free */
	char realm[32];
	uint64_t used;        /* the larger the later */
	struct account_key key;
};

struct keys {
	pthread_mutex_t lock; /* held for a few comparisons */
	uint64_t clock;
	struct entry entry[SETS][WAYS];
};

struct keys *keys_new(void)
{
	struct keys *k = mem_new(sizeof *k);

	pthread_mutex_init(&k->lock, NULL);
	return k;
}

void keys_free(struct keys *k)
{
	if (k == NULL)
		return;
	for (size_t i = 0; i < KEYS_MAX; i++)
		EVP_PKEY_free(k->entry[i / WAYS][i % WAYS].key.evp);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

/* Its entry; with `make` the one that it may have: the longest unused of its set. */
static struct entry *find(struct keys *k, const char *realm, int64_t account, bool make)
{
	struct entry *set = k->entry[(uint64_t)account % SETS], *oldest = &set[0];

	for (size_t i = 0; i < WAYS; i++) {
		if (set[i].account == account && strcmp(set[i].realm, realm) == 0)
			return &set[i];
		if (set[i].used < oldest->used)
			oldest = &set[i];
	}
	return make ? oldest : NULL;
}

bool keys_find(struct keys *k, const char *realm, int64_t account, struct account_key *out)
{
	struct entry *e;

	*out = (struct account_key){ 0 };
	if (account <= 0)
		return false;
	pthread_mutex_lock(&k->lock);
	e = find(k, realm, account, false);
	if (e != NULL) {
		e->used = ++k->clock;
		*out = e->key;
		EVP_PKEY_up_ref(out->evp);
	}
	pthread_mutex_unlock(&k->lock);
	return e != NULL;
}

void keys_keep(struct keys *k, const char *realm, int64_t account, const struct account_key *key)
{
	struct entry *e;
	EVP_PKEY *old;

	if (account <= 0)
		return;
	EVP_PKEY_up_ref(key->evp);
	pthread_mutex_lock(&k->lock);
	e = find(k, realm, account, true);
	old = e->key.evp;
	*e = (struct entry){ .account = account, .used = ++k->clock, .key = *key };
	snprintf(e->realm, sizeof e->realm, "%s", realm);
	pthread_mutex_unlock(&k->lock);
	EVP_PKEY_free(old);
}

void keys_drop(struct keys *k, const char *realm, int64_t account)
{
	struct entry *e = NULL;
	EVP_PKEY *old = NULL;

	pthread_mutex_lock(&k->lock);
	if (account > 0)
		e = find(k, realm, account, false);
	if (e != NULL) {
		old = e->key.evp;
		*e = (struct entry){ 0 };
	}
	pthread_mutex_unlock(&k->lock);
	EVP_PKEY_free(old);
}
