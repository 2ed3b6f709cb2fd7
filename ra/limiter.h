/* SPDX-License-Identifier: Apache-2.0
 *
 * Guessing is slowed: failures per name, per source address and per pair of them, in memory, bounded. */
#ifndef CADUCEUS_RA_LIMITER_H
#define CADUCEUS_RA_LIMITER_H

#include "base/err.h"

#include <stdint.h>

struct limiter;
struct limiter *limiter_new(void);
void limiter_free(struct limiter *l);
/* ERR_RATE with retry_after while too many failures of this name or source are remembered. mono us. */
MUST_USE bool limiter_allows(struct limiter *l, const char *name, const char *source, int64_t mono, struct err *e);
/* The pair alone: for a password that may be right. Passwords are 128 random bits, so nobody is shut out by what others
 * guess. */
MUST_USE bool limiter_allows_pair(struct limiter *l, const char *name, const char *source, int64_t mono, struct err *e);
void limiter_failed(struct limiter *l, const char *name, const char *source, int64_t mono);
/* A right password clears its name, there and everywhere. */
void limiter_passed(struct limiter *l, const char *name, const char *source);

/* Requests that were authenticated and worthless (a signature that does not hold): counted apart, for each costs a
 * signature's check; a right password does not clear them. */
void limiter_bad_request(struct limiter *l, const char *name, const char *source, int64_t mono);
MUST_USE bool limiter_allows_request(struct limiter *l, const char *name, const char *source, int64_t mono, struct err *e);

#endif
