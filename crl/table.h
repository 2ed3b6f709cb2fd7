/* SPDX-License-Identifier: Apache-2.0
 *
 * Status of every serial, in memory: open addressing over whole serials, so that no two can be taken for one another,
 * with a keyed hash, so that nobody can aim at one bucket. Many readers, one writer. */
#ifndef CADUCEUS_CRL_TABLE_H
#define CADUCEUS_CRL_TABLE_H

#include "crl/status.h"

#include <pthread.h>

struct table;
struct table *table_new(void);
void table_free(struct table *t);
/* The higher sequence wins; returns whether the entry is now in force. Writer only. */
bool table_put(struct table *t, const struct status_entry *en);
/* The same for many: what is now in force is told. */
typedef void table_changed(void *arg, uint32_t ref, const struct serial *s);
void table_put_all(struct table *t, const struct status_entry *en, size_t n, table_changed *changed, void *arg);
bool table_get(struct table *t, uint32_t ref, const struct serial *s, struct status_entry *out);
uint64_t table_count(struct table *t);
/* What ra has swept. Writer only; false: it was not there. */
bool table_drop(struct table *t, uint32_t ref, const struct serial *s);
/* Around a snapshot, writer only: what had ended before now and did not come again is dropped, and told. */
void table_snapshot_begin(struct table *t, uint64_t about);
void table_snapshot_end(struct table *t, int64_t now, table_changed *dropped, void *arg);
/* A lock on which a revocation does not wait for a stream of readers. Never lock it twice for reading. */
void writer_first(pthread_rwlock_t *lock);
/* SipHash-2-4 under a key of this process. */
uint64_t keyed_hash(const uint64_t key[2], const void *p, size_t n);

#endif
