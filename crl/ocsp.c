/* SPDX-License-Identifier: Apache-2.0
 *
 * The OCSP head: from the cache, or known status signed by ca, or first ra asked whether a serial was issued meanwhile. */
#include "crl/internal.h"

#include "base/clock.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

enum ocsp_error { MALFORMED = 1, INTERNAL = 2, TRY_LATER = 3, UNAUTHORIZED = 6 };
enum step { ASK_HEAD, ASK_SIGNATURE };

/* Between two questions. */
struct state {
	struct buf request; /* DER: what q's views point into */
	struct ocsp_request q;
	uint32_t ref;
	uint64_t seq;       /* highest sequence among what is answered */
	int64_t this_update, next_update;
	bool cacheable;
};

static void give_error(struct response *out, enum ocsp_error code)
{
	uint8_t der[] = { 0x30, 0x03, 0x0a, 0x01, (uint8_t)code };

	out->status = 200;
	out->content_type = "application/ocsp-response";
	out->body.n = 0;
	buf_add(&out->body, der, sizeof der);
	out->header_n = 0;
	response_header(out, "Cache-Control", "no-store");
	snprintf(out->why, sizeof out->why, "OCSP error %d", code);
}

static void give_ready(const struct request *in, struct response *out, struct span body, int64_t this_update, int64_t next_update,
                       int64_t now)
{
	char date[32], etag[68] = "\"";
	uint8_t hash[32];

	digest_sha256(hash, body.p, body.n);
	hex_put(etag + 1, hash, 32);
	strcat(etag, "\"");
	/* RFC 9919, 7.2. */
	clock_http(this_update, date, sizeof date);
	response_header(out, "Last-Modified", "%s", date);
	clock_http(next_update, date, sizeof date);
	response_header(out, "Expires", "%s", date);
	response_header(out, "ETag", "%s", etag);
	response_header(out, "Cache-Control", "max-age=%lld, public, no-transform, must-revalidate",
	                (long long)((next_update - now) / US_PER_SECOND > 1 ? (next_update - now) / US_PER_SECOND - 1 : 0));
	out->status = strstr(in->if_none_match, etag) != NULL ? 304 : 200;
	if (out->status == 304)
		return;
	out->content_type = "application/ocsp-response";
	buf_add(&out->body, body.p, body.n);
}

/* Keeps views alive over the questions. */
static struct state *state_new(const struct ocsp_request *q, struct span der)
{
	struct state *s = mem_new(sizeof *s + der.n);

	/* One block: web frees it with free(). */
	memcpy(s + 1, der.p, der.n);
	s->request = (struct buf){ .p = (uint8_t *)(s + 1), .n = der.n };
	(void)q;
	(void)!ocsp_request_parse(&s->q, s->request.p, s->request.n, NULL);
	return s;
}

static bool all_known(struct va *va, const struct ocsp_request *q, uint32_t ref)
{
	struct status_entry en;

	for (size_t i = 0; i < q->n; i++)
		if (!q->id[i].impossible && !table_get(va->table, ref, &q->id[i].serial, &en))
			return false;
	return true;
}

/* OCSP-07: a serial that was never issued is revoked since 1970, on hold, with extended-revoke; or unknown. */
static void put_single(struct va *va, struct state *s, const struct va_authority *a, size_t i, struct ca_ocsp *o)
{
	struct ca_ocsp_single *out = &o->single[o->n++];
	struct status_entry en;

	*out = (struct ca_ocsp_single){ .cert_id = s->q.id[i].whole, .state = OCSP_UNKNOWN };
	if (!s->q.id[i].impossible && table_get(va->table, a->ref, &s->q.id[i].serial, &en)) {
		out->state = en.state == STATUS_REVOKED ? OCSP_REVOKED : OCSP_GOOD;
		out->revoked_at = en.revoked_at;
		out->reason = en.reason;
		if (en.seq > s->seq)
			s->seq = en.seq;
		return;
	}
	s->cacheable = false;
	if (!a->unknown_revoked)
		return;
	out->state = OCSP_REVOKED;
	out->reason = REASON_HOLD;
	o->extended_revoke = true;
}

static bool ask_signature(struct va *va, struct state *s, const struct va_authority *a, struct ask *ask)
{
	int64_t now = va->c.now(), second = now - now % US_PER_SECOND;
	struct ca_ocsp *o = mem_new(sizeof *o);

	o->gen = a->gen;
	o->produced_at = second;
	/* Back-dated a little for clients whose clock is behind (OCSP-10). */
	s->this_update = o->this_update = second - US_PER_MINUTE;
	o->next_update = o->this_update + a->ocsp_lifetime;
	/* The responder's own certificate is renewed at two thirds of 30 days: eight hours are always inside. */
	s->next_update = o->next_update;
	o->nonce = s->q.nonce;
	s->cacheable = s->q.nonce.n == 0 && s->q.n == 1;
	for (size_t i = 0; i < s->q.n; i++)
		put_single(va, s, a, i, o);
	ask->body.n = 0;
	ca_ocsp_put(&ask->body, o);
	free(o);
	ask->to = va->ca;
	ask->type = CA_OCSP;
	ask->timeout = 5 * US_PER_SECOND;
	ask->step = ASK_SIGNATURE;
	ask->state = s;
	return true;
}

/* With the lock held: which generation, when all ask for the same one. */
static struct va_authority *one_issuer(struct va *va, const struct ocsp_request *q)
{
	struct va_authority *a = authority_by_id(va, &q->id[0]);

	for (size_t i = 1; i < q->n; i++)
		if (authority_by_id(va, &q->id[i]) != a)
			return NULL;
	return a != NULL && a->has_responder ? a : NULL;
}

static bool decide(struct va *va, const struct request *in, struct span der, struct ask *ask, struct response *out)
{
	struct ocsp_request *q = mem_new(sizeof *q);
	struct cached ready = { 0 };
	struct va_authority *a;
	struct state *s;
	bool asks = false;

	if (!ocsp_request_parse(q, der.p, der.n, NULL)) {
		give_error(out, MALFORMED);
		free(q);
		return false;
	}
	pthread_rwlock_rdlock(&va->lock);
	a = one_issuer(va, q);
	if (!va->caught_up && va->authority_n == 0) {
		give_error(out, TRY_LATER);
	} else if (a == NULL) {
		give_error(out, va->caught_up ? UNAUTHORIZED : TRY_LATER);
	} else if (q->nonce.n == 0 && q->n == 1 && cache_get(va->cache, q->id[0].whole, va->c.now(), &ready)) {
		give_ready(in, out, span_of(&ready.body), ready.this_update, ready.next_update, va->c.now());
	} else if (!va->caught_up) {
		give_error(out, TRY_LATER);
	} else {
		s = state_new(q, der);
		s->ref = a->ref;
		if (all_known(va, q, a->ref)) {
			asks = ask_signature(va, s, a, ask);
		} else {
			/* Perhaps it was issued a moment ago: caught up to the last commit, we know. */
			*ask = (struct ask){ .to = va->ra, .type = STATUS_HEAD, .timeout = 2 * US_PER_SECOND, .step = ASK_HEAD, .state = s };
			asks = true;
		}
	}
	pthread_rwlock_unlock(&va->lock);
	buf_free(&ready.body);
	free(q);
	return asks;
}

static bool parse(void *ctx, const struct request *in, struct ask *ask, struct response *out)
{
	AUTO_BUF der = { 0 };

	if (strcmp(in->method, "POST") == 0)
		return decide(ctx, in, in->body, ask, out);
	if (strcmp(in->method, "GET") == 0) {
		if (!ocsp_get_decode(&der, in->path + strlen("/ocsp"), NULL)) {
			give_error(out, MALFORMED);
			return false;
		}
		return decide(ctx, in, span_of(&der), ask, out);
	}
	response_text(out, 405, in, "OCSP is asked by GET or POST");
	response_header(out, "Allow", "GET, POST");
	return false;
}

static void keep(struct va *va, const struct state *s, struct span body)
{
	struct cached c = { .this_update = s->this_update, .next_update = s->next_update, .seq = s->seq,
		            .refresh_at = s->this_update + (s->next_update - s->this_update) / 2 };

	buf_add(&c.body, body.p, body.n);
	cache_put(va->cache, s->q.id[0].whole, s->ref, &s->q.id[0].serial, &c);
	buf_free(&c.body);
}

static bool signed_answer(struct va *va, const struct request *in, const struct answer *a, struct state *s, struct response *out)
{
	struct err e = a->err;

	if (a->got && a->type == CA_OK) {
		if (s->cacheable) {
			keep(va, s, a->body);
			give_ready(in, out, a->body, s->this_update, s->next_update, va->c.now());
			return false;
		}
		out->status = 200;
		out->content_type = "application/ocsp-response";
		buf_add(&out->body, a->body.p, a->body.n);
		response_header(out, "Cache-Control", "no-store");
		return false;
	}
	if (a->got && !ca_failure_get(a->body, &e))
		e.kind = ERR_INTERNAL;
	give_error(out, e.kind == ERR_BUSY || e.kind == ERR_TIMEOUT || e.kind == ERR_NOT_FOUND ? TRY_LATER : INTERNAL);
	return false;
}

static bool format(void *ctx, const struct request *in, const struct answer *a, struct ask *ask, struct response *out)
{
	struct va *va = ctx;
	struct state *s = ask->state;
	struct va_authority *au = NULL;
	bool asks = false;

	if (ask->step == ASK_SIGNATURE)
		return signed_answer(va, in, a, s, out);
	if (!a->got || a->type != STATUS_OK) {
		give_error(out, TRY_LATER);
		return false;
	}
	pthread_rwlock_rdlock(&va->lock);
	for (size_t i = 0; i < va->authority_n; i++)
		if (va->authority[i]->ref == s->ref)
			au = va->authority[i];
	if (au != NULL)
		asks = ask_signature(va, s, au, ask);
	else
		give_error(out, TRY_LATER);
	pthread_rwlock_unlock(&va->lock);
	return asks;
}

const struct head *va_ocsp_head(void)
{
	static const struct head head = { parse, format };

	return &head;
}
