/* SPDX-License-Identifier: Apache-2.0
 *
 * How often something happened within a window, for rates that are no failures: in memory, bounded. A full table forgets
 * whose window began first, so nobody is refused for what others did. */
#ifndef CADUCEUS_RA_RATE_H
#define CADUCEUS_RA_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is counted; the window of each stands in rate.c. */
enum rate_of { RATE_ACCOUNTS, RATE_ORDERS, RATE_FAILURES, RATE_DUPLICATES, RATE_REPLACES, RATE_REFUSALS, RATE_COUNT };

struct rate;
struct rate *rate_new(void (*rnd)(void *out, size_t n));
void rate_free(struct rate *r);
/* True while fewer than most (0: any number) were counted of this account and text; else *wait is in how many whole seconds
 * the window ends, at least 1. mono us. */
bool rate_allows(struct rate *r, enum rate_of what, int64_t account, const char *text, int64_t most, int64_t mono, int *wait);
void rate_count(struct rate *r, enum rate_of what, int64_t account, const char *text, int64_t mono);

#endif
