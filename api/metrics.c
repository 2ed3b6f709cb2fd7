/* SPDX-License-Identifier: Apache-2.0 */
#include "api/metrics.h"

#include "base/clock.h"
#include "ra/ra.h"

#include <string.h>

static bool parse(void *ctx, const struct request *in, struct ask *ask, struct response *out)
{
	if (strcmp(in->method, "GET") != 0) {
		response_text(out, 405, in, "GET only");
		response_header(out, "Allow", "GET");
		return false;
	}
	ask->to = ctx;
	ask->type = RA_METRICS;
	ask->timeout = 5 * US_PER_SECOND;
	return true;
}

static bool format(void *ctx, const struct request *in, const struct answer *a, struct ask *ask, struct response *out)
{
	(void)ctx;
	(void)ask;
	if (!a->got || a->type != RA_OK) {
		response_text(out, 503, in, "no answer from ra; it is starting or restarting");
		response_header(out, "Retry-After", "1");
		return false;
	}
	out->status = 200;
	out->content_type = "text/plain; version=0.0.4; charset=utf-8";
	buf_add(&out->body, a->body.p, a->body.n);
	return false;
}

const struct head *metrics_head(void)
{
	static const struct head head = { parse, format };

	return &head;
}
