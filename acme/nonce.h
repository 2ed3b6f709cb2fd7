/* SPDX-License-Identifier: Apache-2.0
 *
 * Nonces that no database knows (RFC 8555, 6.5; ACME-09): a counter and a time, sealed by a key that this process made
 * for itself, so another process's are bad; a window of bits says which are used. Without locks, from any thread. */
#ifndef CADUCEUS_ACME_NONCE_H
#define CADUCEUS_ACME_NONCE_H

#include "base/err.h"
#include "base/rnd.h"

#include <stdint.h>

/* Text of one with its NUL. */
enum { NONCE_TEXT = 44, NONCE_WINDOW = 1 << 22 };

struct nonces;
/* The newest `window` (a multiple of 64) can be taken, older ones are bad before their hour is over. */
struct nonces *nonces_new(rnd_fill *rnd, uint32_t window);
void nonces_free(struct nonces *n);
void nonce_make(struct nonces *n, int64_t mono, char out[NONCE_TEXT]);
/* True just once for each that was made here within the hour. */
MUST_USE bool nonce_take(struct nonces *n, const char *text, int64_t mono);

#endif
