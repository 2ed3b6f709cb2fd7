/* SPDX-License-Identifier: Apache-2.0
 *
 * Codecs of the feed, pairs side by side. */
#include "crl/status.h"

#include <string.h>

static bool done(const struct rd *r, struct err *e, const char *what)
{
	return rd_done(r) || err_set(e, ERR_BAD_REQUEST, "malformed %s", what);
}

void status_authority_put(struct buf *b, const struct status_authority *a)
{
	wr_u32(b, a->ref);
	wr_text(b, a->gen.name);
	wr_u32(b, a->gen.gen);
	wr_bool(b, a->newest);
	wr_span(b, a->cert.p, a->cert.n);
	wr_span(b, a->issuer.p, a->issuer.n);
	wr_bool(b, a->has_responder);
	wr_i64(b, a->responder_not_after);
	wr_i64(b, a->ocsp_lifetime);
	wr_bool(b, a->unknown_revoked);
}

bool status_authority_get(struct span body, struct status_authority *a, struct err *e)
{
	struct rd r = rd_of(body.p, body.n);

	a->ref = rd_u32(&r);
	rd_text(&r, a->gen.name, sizeof a->gen.name);
	a->gen.gen = rd_u32(&r);
	a->newest = rd_bool(&r);
	a->cert = rd_span(&r, CERT_MAX);
	a->issuer = rd_span(&r, CERT_MAX);
	a->has_responder = rd_bool(&r);
	a->responder_not_after = rd_i64(&r);
	a->ocsp_lifetime = rd_i64(&r);
	a->unknown_revoked = rd_bool(&r);
	return done(&r, e, "authority");
}

void status_entry_put(struct buf *b, const struct status_entry *en)
{
	wr_u32(b, en->ref);
	wr_span(b, en->serial.v, en->serial.n);
	wr_u8(b, (uint8_t)en->state);
	wr_u8(b, (uint8_t)en->reason);
	wr_i64(b, en->revoked_at);
	wr_i64(b, en->not_after);
	wr_u64(b, en->seq);
}

static void serial_get(struct rd *r, struct serial *out)
{
	struct span serial = rd_span(r, SERIAL_MAX);

	if (serial.n == 0 || serial.p[0] == 0)
		r->bad = true; /* RFC 5280, 4.1.2.2: positive; and one spelling, for the table compares octets */
	else
		memcpy(out->v, serial.p, serial.n);
	out->n = (uint8_t)serial.n;
}

void status_swept_put(struct buf *b, uint32_t ref, struct span serial)
{
	wr_u32(b, ref);
	wr_span(b, serial.p, serial.n);
}

bool status_swept_get(struct rd *r, uint32_t *ref, struct serial *s)
{
	*ref = rd_u32(r);
	serial_get(r, s);
	return !r->bad;
}

bool status_entry_get(struct rd *r, struct status_entry *en)
{
	en->ref = rd_u32(r);
	serial_get(r, &en->serial);
	en->state = (enum status_state)rd_u8(r);
	en->reason = (enum crl_reason)rd_u8(r);
	en->revoked_at = rd_i64(r);
	en->not_after = rd_i64(r);
	en->seq = rd_u64(r);
	/* RFC 5280, 5.3.1: 7 is not used; sequences begin at 1. */
	if (en->state > STATUS_REVOKED || crl_reason_name(en->reason) == NULL || en->seq == 0 || en->seq > STATUS_SEQ_MAX)
		r->bad = true;
	return !r->bad;
}

void status_crl_put(struct buf *b, const struct status_crl *c)
{
	wr_text(b, c->gen.name);
	wr_u32(b, c->gen.gen);
	wr_bool(b, c->newest);
	wr_u64(b, c->number);
	wr_i64(b, c->this_update);
	wr_i64(b, c->next_update);
}

bool status_crl_get(struct span body, struct status_crl *c, struct err *e)
{
	struct rd r = rd_of(body.p, body.n);

	rd_text(&r, c->gen.name, sizeof c->gen.name);
	c->gen.gen = rd_u32(&r);
	c->newest = rd_bool(&r);
	c->number = rd_u64(&r);
	c->this_update = rd_i64(&r);
	c->next_update = rd_i64(&r);
	return done(&r, e, "CRL notice");
}
