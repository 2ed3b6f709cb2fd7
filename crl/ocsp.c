/* SPDX-License-Identifier: Apache-2.0
 *
 * The OCSP head: from the cache, or known status signed by ca, or first ra asked whether a serial was issued meanwhile. */
#include "crl/internal.h"

#include "base/clock.h"
#include "base/text.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum ocsp_error { MALFORMED = 1, INTERNAL = 2, TRY_LATER = 3, UNAUTHORIZED = 6 };
/* Microseconds; ca takes a producedAt within a minute. */
#define READY_BACK (30 * US_PER_SECOND)
#define LIVE_BACK US_PER_MINUTE
enum step { ASK_HEAD, ASK_SIGNATURE };

/* Between two questions. */
struct state {
	struct ocsp_request q; /* views into the DER that follows this struct */
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
	out->status = 200;
	if (strcmp(in->method, "GET") == 0 && (strcmp(in->if_none_match, "*") == 0 || strstr(in->if_none_match, etag) != NULL))
		out->status = 304;
	if (out->status == 304)
		return;
	out->content_type = "application/ocsp-response";
	buf_add(&out->body, body.p, body.n);
}

/* One block, since web frees it with free(): the parsed request's views point behind it. */
static struct state *state_new(struct span der)
{
	struct state *s = mem_new(sizeof *s + der.n);

	memcpy(s + 1, der.p, der.n);
	/* Parsed before, so it parses again. */
	(void)!ocsp_request_parse(&s->q, (const uint8_t *)(s + 1), der.n, NULL);
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

/* RFC 9919, 3.2.4. A little back-dated for clients whose clock is behind; what will lie in caches has one time for
 * thisUpdate and producedAt, which 9919 takes Last-Modified from in different places. */
static void set_times(struct state *s, struct ca_ocsp *o, const struct va_authority *a, int64_t second)
{
	o->this_update = second - (s->cacheable ? READY_BACK : LIVE_BACK);
	o->produced_at = s->cacheable ? o->this_update : second;
	o->next_update = o->this_update + a->ocsp_lifetime;
	if (o->next_update > a->answers_end)
		o->next_update = a->answers_end;
	s->this_update = o->this_update;
	s->next_update = o->next_update;
}

/* False: there is no responder to be believed; s is freed then. */
static bool ask_signature(struct va *va, struct state *s, const struct va_authority *a, struct ask *ask)
{
	int64_t now = va->c.now();
	struct ca_ocsp *o = mem_new(sizeof *o);

	o->gen = a->gen;
	o->nonce = s->q.nonce;
	s->cacheable = s->q.nonce.n == 0 && s->q.n == 1;
	set_times(s, o, a, now - now % US_PER_SECOND);
	if (o->next_update <= now) {
		/* The responder's certificate has run out: nobody would believe it. */
		free(o);
		free(s);
		return false;
	}
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

static void count(struct va *va, const struct ocsp_request *q)
{
	for (size_t i = 0; i < q->n; i++)
		atomic_fetch_add_explicit(&va->asked[q->id[i].hash], 1, memory_order_relaxed);
}

/* With the lock held. True: a question in *ask; the cache has been asked before. */
static bool live(struct va *va, const struct va_authority *a, const struct ocsp_request *q, struct span der, struct ask *ask,
                 struct response *out)
{
	struct state *s;

	if (!va_fresh(va)) {
		give_error(out, TRY_LATER);
		return false;
	}
	s = state_new(der);
	s->ref = a->ref;
	if (!all_known(va, q, a->ref)) {
		/* Perhaps it was issued a moment ago: caught up to the last commit, we know. */
		*ask = (struct ask){ .to = va->ra, .type = STATUS_HEAD, .timeout = 2 * US_PER_SECOND, .step = ASK_HEAD, .state = s };
		return true;
	}
	if (ask_signature(va, s, a, ask))
		return true;
	give_error(out, INTERNAL);
	return false;
}

static bool decide(struct va *va, const struct request *in, struct span der, struct ask *ask, struct response *out)
{
	struct ocsp_request *q = mem_new(sizeof *q);
	struct cached ready = { 0 };
	struct va_authority *a;
	bool asks = false;

	if (!ocsp_request_parse(q, der.p, der.n, NULL)) {
		give_error(out, MALFORMED);
		free(q);
		return false;
	}
	count(va, q);
	pthread_rwlock_rdlock(&va->lock);
	a = one_issuer(va, q);
	if (a == NULL)
		/* RFC 9919, 3.2.3; but a generation may only not have been told yet. */
		give_error(out, va->caught_up ? UNAUTHORIZED : TRY_LATER);
	else if (q->nonce.n == 0 && q->n == 1 && cache_get(va->cache, q->id[0].whole, va->c.now(), &ready))
		give_ready(in, out, span_of(&ready.body), ready.this_update, ready.next_update, va->c.now());
	else
		asks = live(va, a, q, der, ask, out);
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
	if (a->got && !failure_get(a->body, &e))
		e.kind = ERR_INTERNAL;
	/* HSM-10, OCSP-14: a token that is away comes back; one that signs wrongly is no matter of waiting. */
	give_error(out, e.kind == ERR_BUSY || e.kind == ERR_TIMEOUT || e.kind == ERR_NOT_FOUND || (e.kind == ERR_HSM && e.retry_after > 0)
	                        ? TRY_LATER : INTERNAL);
	return false;
}

/* True when ra has answered and the table holds everything up to its last commit. */
static bool in_step(struct va *va, const struct answer *a)
{
	struct rd r = rd_of(a->body.p, a->body.n);
	uint64_t head = rd_u64(&r);

	return a->got && a->type == STATUS_OK && rd_done(&r) && head <= va->applied;
}

static bool format(void *ctx, const struct request *in, const struct answer *a, struct ask *ask, struct response *out)
{
	struct va *va = ctx;
	struct state *s = ask->state;
	struct va_authority *au = NULL;
	bool asks = false;

	if (ask->step == ASK_SIGNATURE)
		return signed_answer(va, in, a, s, out);
	pthread_rwlock_rdlock(&va->lock);
	for (size_t i = 0; i < va->authority_n; i++)
		if (va->authority[i]->ref == s->ref)
			au = va->authority[i];
	if (au == NULL || !in_step(va, a)) {
		give_error(out, TRY_LATER);
	} else if (ask_signature(va, s, au, ask)) {
		asks = true;
	} else {
		ask->state = NULL;
		give_error(out, INTERNAL);
	}
	pthread_rwlock_unlock(&va->lock);
	return asks;
}

const struct head *va_ocsp_head(void)
{
	static const struct head head = { parse, format };

	return &head;
}
