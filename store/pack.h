/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates and audit records repeat each other: what is kept is their difference from a few earlier ones of their kind
 * (zstd with a dictionary, which is kept beside them for ever). What did not get smaller is kept as it is. Inside store/. */
#ifndef CADUCEUS_STORE_PACK_H
#define CADUCEUS_STORE_PACK_H

#include "base/buf.h"
#include "base/err.h"

struct store;
struct pack;

enum { PACK_RAW_MAX = 1 << 17 }; /* octets of what is packed */

struct pack *pack_new(void);
void pack_free(struct pack *p);
/* kind: who is like whom, at most 63 characters. Appends to *out what is to be kept of raw, whose first octet is 0x20 or
 * above (so that the two are told apart). Within a transaction: a new dictionary is a row of it. */
MUST_USE bool pack_put(struct store *s, const char *kind, struct span raw, struct buf *out, struct err *e);
/* Appends the octets that were put. ERR_STORE: damaged. */
MUST_USE bool pack_get(struct store *s, struct span kept, struct buf *out, struct err *e);
/* The transaction ended: a dictionary that went with it is forgotten. */
void pack_ended(struct pack *p, bool committed);

#endif
