/* SPDX-License-Identifier: Apache-2.0
 *
 * What the fronts read from ra: answers to each head, and what ra tells by itself. The first octet chooses the head, the
 * second the kind of frame. */
#include "api/api.h"
#include "api/metrics.h"
#include "base/clock.h"
#include "base/log.h"
#include "est/est.h"
#include "est/health.h"
#include "ra/ra.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct est *est;

static void cacerts(const struct request *q)
{
	struct response r = { 0 };
	struct ask ask = { 0 };

	if (est_head()->parse(est, q, &ask, &r) || (r.status != 200 && r.status != 503))
		abort();
	buf_free(&r.body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t types[] = { RA_OK, RA_OK, RA_FAILED, RA_TRUST };
	const struct request q = { .method = "GET", .path = "/.well-known/est/cacerts", .query = "", .content_type = "",
		                   .authorization = "", .user_agent = "", .if_none_match = "", .if_modified_since = "" };
	const struct head *heads[] = { est_head(), api_head(), health_head(), metrics_head() };
	struct answer a = { .got = true };
	struct response r = { 0 };
	struct ask ask = { 0 };

	if (est == NULL) {
		est = est_new();
		log_set_level((enum log_level)(LOG_LEVEL_ERROR + 1));
	}
	if (size < 2)
		return 0;
	a.type = types[data[1] % COUNT_OF(types)];
	a.body = (struct span){ data + 2, size - 2 };
	if (data[0] % 5 == 4) {
		est_trust(est, a.body);
		cacerts(&q);
		return 0;
	}
	if (heads[data[0] % 5]->format(est, &q, &a, &ask, &r) || r.status < 200 || r.status > 599 || (r.body.n == 0 && a.body.n != 0))
		abort();
	/* ra's own mistakes are never said to be the client's. */
	if (a.type == RA_TRUST && r.status < 500)
		abort();
	buf_free(&r.body);
	return 0;
}
