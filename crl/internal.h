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
	int64_t ocsp_lifetime;
	int64_t not_before;       /* of its certificate */
	int64_t answers_end;      /* no answer holds longer: the end of its certificate or of its responder's */
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
	bool caught_up;           /* the snapshot has come once */
	int64_t behind_since;     /* mono us: ra came back at most this long after its last word; 0: in step with it */
	uint64_t applied;         /* the feed is in the table up to here */
	_Atomic uint64_t asked[CERT_ID_HASHES + 1]; /* CertIDs by hash; the last: of hashes that we don't know */
	struct table *table;
	struct cache *cache;
};

/* With the lock held. */
struct va_authority *authority_by_id(struct va *va, const struct cert_id *id);
struct va_authority *authority_by_name(struct va *va, const char *name, uint32_t gen); /* gen 0: the newest */

/* cache.c: ready answers without a nonce, at most 65,536. Thread-safe. The table is borrowed. */
struct cached {
	struct buf body;
	int64_t this_update, next_update, refresh_at;
	uint64_t seq;             /* of the entry that it says */
};
struct cache *cache_new(struct table *table);
void cache_free(struct cache *c);
/* Copies into *out (body appended). False: not there, or due for a fresh one. */
bool cache_get(struct cache *c, struct span key, int64_t now, struct cached *out);
/* An answer that was made from another status than the table has now is not taken. */
void cache_put(struct cache *c, struct span key, uint32_t ref, const struct serial *s, const struct cached *a);
/* After the table has been changed. */
void cache_drop(struct cache *c, uint32_t ref, const struct serial *s);

/* True while new answers may be signed: the status has come, and ra was not away for longer than the limit. With the
 * lock held. */
bool va_fresh(struct va *va);

/* files.c */
void crl_read(struct va *va, const struct status_crl *n);

#endif
