/* SPDX-License-Identifier: Apache-2.0 */
#include "est/health.h"

#include "base/clock.h"
#include "ra/ra.h"

#include <string.h>

static void put_json_text(struct buf *b, const char *s)
{
	buf_byte(b, '"');
	for (; *s != 0; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			buf_printf(b, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			buf_printf(b, "\\u%04x", c);
		else
			buf_byte(b, c);
	}
	buf_byte(b, '"');
}

static bool parse(void *ctx, const struct request *in, struct ask *ask, struct response *out)
{
	if (strcmp(in->method, "GET") != 0 && strcmp(in->method, "HEAD") != 0) {
		response_text(out, 405, in, "GET only");
		response_header(out, "Allow", "GET, HEAD");
		return false;
	}
	if (strcmp(in->path, "/healthz") == 0) {
		out->status = 200;
		out->content_type = "application/json";
		buf_text(&out->body, "{\"status\":\"ok\"}\n");
		return false;
	}
	ask->to = ctx;
	ask->type = RA_HEALTH;
	ask->timeout = 3 * US_PER_SECOND;
	return true;
}

static void put_check(struct buf *b, bool first, const char *name, bool ok, const char *detail)
{
	buf_text(b, first ? "{\"name\":" : ",{\"name\":");
	put_json_text(b, name);
	buf_printf(b, ",\"status\":\"%s\",\"detail\":", ok ? "ok" : "failed");
	put_json_text(b, detail);
	buf_byte(b, '}');
}

static bool format(void *ctx, const struct request *in, const struct answer *a, struct ask *ask, struct response *out)
{
	AUTO_FREE struct ra_health *h = mem_new(sizeof *h);
	struct err e;
	bool known = a->got && a->type == RA_OK && ra_health_get(a->body, h, &e);
	bool ready = known && h->ready;

	(void)ctx;
	(void)in;
	(void)ask;
	out->status = ready ? 200 : 503;
	out->content_type = "application/json";
	buf_printf(&out->body, "{\"status\":\"%s\",\"checks\":[", ready ? "ok" : "failed");
	for (uint32_t i = 0; known && i < h->n; i++)
		put_check(&out->body, i == 0, h->check[i].name, h->check[i].ok, h->check[i].detail);
	if (!known)
		put_check(&out->body, true, "ra", false, "no answer");
	buf_text(&out->body, "]}\n");
	return false;
}

const struct head *health_head(void)
{
	static const struct head head = { parse, format };

	return &head;
}
