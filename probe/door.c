/* SPDX-License-Identifier: Apache-2.0
 *
 * Codecs of the door, pairs side by side. */
#include "probe/probe.h"

#include "base/cursor.h"
#include "base/text.h"

#include <string.h>

void probe_ask_put(struct buf *b, const struct probe_ask *q)
{
	wr_u8(b, (uint8_t)q->method);
	wr_bool(b, q->ip);
	wr_text(b, q->name);
	wr_bool(b, q->wildcard);
	wr_text(b, q->token);
	wr_text(b, q->key_authorization);
	wr_bool(b, q->caa);
	wr_text(b, q->account_uri);
}

bool probe_ask_get(struct span body, struct probe_ask *q, struct err *e)
{
	struct rd r = rd_of(body.p, body.n);

	q->method = (enum probe_method)rd_u8(&r);
	if (q->method < PROBE_HTTP_01 || q->method > PROBE_TLS_ALPN_01)
		r.bad = true;
	q->ip = rd_bool(&r);
	rd_text(&r, q->name, sizeof q->name);
	q->wildcard = rd_bool(&r);
	rd_text(&r, q->token, sizeof q->token);
	rd_text(&r, q->key_authorization, sizeof q->key_authorization);
	q->caa = rd_bool(&r);
	rd_text(&r, q->account_uri, sizeof q->account_uri);
	return rd_done(&r) || err_set(e, ERR_BAD_REQUEST, "malformed errand");
}

void probe_result_put(struct buf *b, const struct probe_result *r)
{
	wr_u8(b, (uint8_t)r->problem);
	wr_bool(b, r->again);
	wr_text(b, r->detail);
	wr_text(b, r->address);
	wr_text(b, r->evidence);
}

bool probe_result_get(struct span body, struct probe_result *out, struct err *e)
{
	struct rd r = rd_of(body.p, body.n);

	out->problem = (enum probe_problem)rd_u8(&r);
	if (out->problem >= PROBE_PROBLEM_COUNT)
		r.bad = true;
	out->again = rd_bool(&r);
	rd_text(&r, out->detail, sizeof out->detail);
	rd_text(&r, out->address, sizeof out->address);
	rd_text(&r, out->evidence, sizeof out->evidence);
	/* What a stranger's server said stands in it: it goes to clients and into the audit. */
	if (!r.bad && (!text_is_clean_utf8(out->detail, strlen(out->detail)) || !text_is_clean_utf8(out->address, strlen(out->address)) ||
	               !text_is_clean_utf8(out->evidence, strlen(out->evidence))))
		r.bad = true;
	return rd_done(&r) || err_set(e, ERR_BAD_REQUEST, "malformed result of an errand");
}
