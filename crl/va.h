/* SPDX-License-Identifier: Apache-2.0
 *
 * The validation authority: OCSP, CRLs and CA certificates over plain HTTP, from what ra feeds it. */
#ifndef CADUCEUS_CRL_VA_H
#define CADUCEUS_CRL_VA_H

#include "base/clock.h"
#include "crl/status.h"
#include "web/web.h"

struct va;
/* How long answers go on being signed after ra was last heard: no live answer is older than a cached one may be anyway, and
 * a database that is being repaired does not lock a hospital out of its network. Then tryLater. */
#define VA_STALE_LIMIT (60 * US_PER_MINUTE)
struct va_config {
	const char *dir;
	int64_t (*now)(void);
	int64_t stale_limit; /* us; 0: VA_STALE_LIMIT */
};
struct va *va_new(const struct va_config *c);
void va_free(struct va *va);
/* Borrowed; before the first request. */
void va_set_callers(struct va *va, struct caller *ra, struct caller *ca);
/* For ra's caller: what it tells by itself, and that it has come (up: subscribe anew). */
void va_notice(void *va, const struct frame *f);
void va_up(void *va);
bool va_caught_up(struct va *va);

/* Heads; ctx is the struct va. Routes: /ocsp, /crl and /ca, /healthz and /readyz. */
const struct head *va_ocsp_head(void);
const struct head *va_file_head(void);
const struct head *va_health_head(void);

#endif
