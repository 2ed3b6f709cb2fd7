/* SPDX-License-Identifier: Apache-2.0
 *
 * Payloads of signed requests into questions for ra. Pure. Members that we don't know are ignored (RFC 8555, 6). */
#ifndef CADUCEUS_ACME_PARSE_H
#define CADUCEUS_ACME_PARSE_H

#include "acme/jwk.h"
#include "acme/path.h"

/* What the question's spans point into. */
struct acme_held {
	struct buf der, mac, input;
	struct jwk jwk;
};
void acme_held_free(struct acme_held *h);
#define AUTO_HELD CLEANUP(acme_held_free) struct acme_held

struct acme_signed {
	const char *url;          /* the request's own */
	const char *account_url;  /* kid; "" when a jwk signed */
	struct span payload;
};
/* q: realm, account, key and thumbprint of who signed stand already in it. */
MUST_USE bool acme_parse(struct ra_acme *q, const struct acme_target *t, const struct acme_signed *s, struct acme_held *h,
                         struct refusal *r);

/* RFC 3339's date-time, any offset; microseconds. */
MUST_USE bool acme_time_parse(const char *text, int64_t *us);

#endif
