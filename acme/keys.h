/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of accounts that came lately, ready for verifying: bounded, forgotten without harm. ra alone says which key an
 * account has: who was verified by one of here is asked about there by its thumbprint. Any thread. */
#ifndef CADUCEUS_ACME_KEYS_H
#define CADUCEUS_ACME_KEYS_H

#include "pkix/key.h"

#include <stdint.h>

enum { KEYS_MAX = 4096 };

struct account_key {
	enum key_type type;
	uint8_t thumbprint[32];
	EVP_PKEY *evp;           /* a reference of the holder's own */
};
struct keys;
struct keys *keys_new(void);
void keys_free(struct keys *k);
/* False: not here. The caller frees out->evp. */
MUST_USE bool keys_find(struct keys *k, const char *realm, int64_t account, struct account_key *out);
void keys_keep(struct keys *k, const char *realm, int64_t account, const struct account_key *key);
void keys_drop(struct keys *k, const char *realm, int64_t account);

#endif
