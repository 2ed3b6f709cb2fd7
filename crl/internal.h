/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CADUCEUS_CRL_INTERNAL_H
#define CADUCEUS_CRL_INTERNAL_H

#include "crl/ocsp_request.h"
#include "crl/table.h"
#include "crl/va.h"

#include <pthread.h>

enum { VA_AUTHORITY_MAX = 32 };

struct va_authority {
	uint32_t ref;
	struct ca_gen gen;
	bool newest, has_responder, unknown_revoked;
	int64_t ocsp_lifetime, not_after;
	struct buf cert;
	uint8_t name_hash[CERT_ID_HASHES][64], key_hash[CERT_ID_HASHES][64];
	struct va_file {
		struct buf body;
		char etag[68];
		int64_t this_update, next_update;
	} crl;
};

struct cache;
struct va {
	struct va_config c;
	struct caller *ra, *ca;
	pthread_rwlock_t lock;    /* authorities and the state below */
	struct va_authority *authority[VA_AUTHORITY_MAX];
	size_t authority_n;
	bool caught_up;
	uint64_t seen;
	struct table *table;
	struct cache *cache;
};

/* With the lock held. */
struct va_authority *authority_by_id(struct va *va, const struct cert_id *id);
struct va_authority *authority_by_name(struct va *va, const char *name, uint32_t gen); /* gen 0: the newest */

/* cache.c: ready answers without a nonce. Thread-safe. */
struct cached {
	struct buf body;
	int64_t this_update, next_update, refresh_at;
	uint64_t seq;             /* of the entry that it says */
};
struct cache *cache_new(void);
void cache_free(struct cache *c);
/* Copies into *out (body appended). False: not there, or due for a fresh one. */
bool cache_get(struct cache *c, struct span key, int64_t now, struct cached *out);
/* An answer made from an older status than one that was dropped meanwhile is not taken. */
void cache_put(struct cache *c, struct span key, uint32_t ref, const struct serial *s, const struct cached *a);
void cache_drop(struct cache *c, uint32_t ref, const struct serial *s, uint64_t seq);

/* files.c */
void crl_read(struct va *va, const struct status_crl *n);

#endif
