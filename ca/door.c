/* SPDX-License-Identifier: Apache-2.0
 *
 * Codecs of the door, pairs side by side. */
#include "ca/ca.h"

#include "base/der.h"

#include <string.h>

static bool done(const struct rd *r, struct err *e, const char *what)
{
	return rd_done(r) || err_set(e, ERR_BAD_REQUEST, "malformed %s", what);
}

static void gen_put(struct buf *b, const struct ca_gen *g)
{
	wr_text(b, g->name);
	wr_u32(b, g->gen);
}

static void gen_get(struct rd *r, struct ca_gen *g)
{
	rd_text(r, g->name, sizeof g->name);
	g->gen = rd_u32(r);
}

static void serial_put(struct buf *b, const struct serial *s)
{
	wr_span(b, s->v, s->n);
}

static void serial_get(struct rd *r, struct serial *s)
{
	struct span v = rd_span(r, SERIAL_MAX);

	if (v.n == 0)
		r->bad = true;
	s->n = (uint8_t)v.n;
	if (v.n != 0)
		memcpy(s->v, v.p, v.n);
}

void ca_state_put(struct buf *b, const struct ca_state *s)
{
	wr_bool(b, s->hsm_up);
	wr_text(b, s->hsm_text);
	wr_u32(b, s->sessions);
	wr_u32(b, s->queue);
	wr_u64(b, s->issued);
	wr_u64(b, s->ocsp);
	wr_u64(b, s->crls);
	wr_u64(b, s->issued_ever);
	wr_u32(b, s->profiles);
	wr_u32(b, s->authorities);
	wr_span(b, s->metrics.p, s->metrics.n);
}

bool ca_state_get(struct span body, struct ca_state *s, struct err *e)
{
	struct rd r = rd_of(body.p, body.n);

	s->hsm_up = rd_bool(&r);
	rd_text(&r, s->hsm_text, sizeof s->hsm_text);
	s->sessions = rd_u32(&r);
	s->queue = rd_u32(&r);
	s->issued = rd_u64(&r);
	s->ocsp = rd_u64(&r);
	s->crls = rd_u64(&r);
	s->issued_ever = rd_u64(&r);
	s->profiles = rd_u32(&r);
	s->authorities = rd_u32(&r);
	s->metrics = rd_span(&r, FRAME_BODY_MAX);
	return done(&r, e, "state");
}

void ca_authority_put(struct buf *b, const struct ca_authority *a)
{
	gen_put(b, &a->gen);
	wr_span(b, a->cert.p, a->cert.n);
	wr_span(b, a->key_id.p, a->key_id.n);
	wr_text(b, a->aia_ocsp);
	wr_text(b, a->aia_issuer);
	wr_text(b, a->cdp);
}

bool ca_authority_get(struct span body, struct ca_authority *a, struct err *e)
{
	struct rd r = rd_of(body.p, body.n);

	gen_get(&r, &a->gen);
	a->cert = rd_span(&r, CERT_MAX);
	a->key_id = rd_span(&r, 32);
	rd_text(&r, a->aia_ocsp, sizeof a->aia_ocsp);
	rd_text(&r, a->aia_issuer, sizeof a->aia_issuer);
	rd_text(&r, a->cdp, sizeof a->cdp);
	return done(&r, e, "authority");
}

void ca_responder_put(struct buf *b, const struct ca_responder *p)
{
	gen_put(b, &p->gen);
	wr_span(b, p->cert.p, p->cert.n);
	wr_span(b, p->key_id.p, p->key_id.n);
}

bool ca_responder_get(struct span body, struct ca_responder *p, struct err *e)
{
	struct rd r = rd_of(body.p, body.n);

	gen_get(&r, &p->gen);
	p->cert = rd_span(&r, CERT_MAX);
	p->key_id = rd_span(&r, 32);
	return done(&r, e, "responder");
}

void ca_create_put(struct buf *b, const struct ca_create *c)
{
	gen_put(b, &c->gen);
	gen_put(b, &c->parent);
	wr_text(b, c->alg);
	serial_put(b, &c->serial);
	dn_put(b, &c->subject);
	wr_i64(b, c->not_before);
	wr_i64(b, c->not_after);
	wr_u32(b, (uint32_t)c->path_len);
	wr_u32(b, c->eku_n);
	for (uint32_t i = 0; i < c->eku_n; i++)
		wr_text(b, c->eku[i]);
	wr_span(b, c->constraints.p, c->constraints.n);
}

bool ca_create_get(struct span body, struct ca_create *c, struct err *e)
{
	struct rd r = rd_of(body.p, body.n);

	gen_get(&r, &c->gen);
	gen_get(&r, &c->parent);
	rd_text(&r, c->alg, sizeof c->alg);
	serial_get(&r, &c->serial);
	dn_get(&r, &c->subject);
	c->not_before = rd_i64(&r);
	c->not_after = rd_i64(&r);
	c->path_len = (int32_t)rd_u32(&r);
	c->eku_n = rd_u32(&r);
	if (c->eku_n > PROFILE_EKU_MAX)
		r.bad = true;
	for (uint32_t i = 0; i < c->eku_n && !r.bad; i++)
		rd_text(&r, c->eku[i], sizeof c->eku[i]);
	c->constraints = rd_span(&r, 4096);
	return done(&r, e, "authority to create");
}

void ca_created_put(struct buf *b, const struct ca_created *c)
{
	wr_span(b, c->cert.p, c->cert.n);
	wr_span(b, c->key_id.p, c->key_id.n);
}

bool ca_created_get(struct span body, struct ca_created *c, struct err *e)
{
	struct rd r = rd_of(body.p, body.n);

	c->cert = rd_span(&r, CERT_MAX);
	c->key_id = rd_span(&r, 32);
	return done(&r, e, "created key");
}

void ca_issue_put(struct buf *b, const struct ca_issue *i)
{
	buf_add(b, i->profile, sizeof i->profile);
	gen_put(b, &i->gen);
	serial_put(b, &i->serial);
	wr_i64(b, i->not_before);
	wr_i64(b, i->not_after);
	dn_put(b, &i->subject);
	san_list_put(b, &i->san);
	wr_u32(b, i->eku_mask);
	wr_span(b, i->csr.p, i->csr.n);
}

bool ca_issue_get(struct span body, struct ca_issue *i, struct err *e)
{
	struct rd r = rd_of(body.p, body.n);

	rd_fixed(&r, i->profile, sizeof i->profile);
	gen_get(&r, &i->gen);
	serial_get(&r, &i->serial);
	i->not_before = rd_i64(&r);
	i->not_after = rd_i64(&r);
	dn_get(&r, &i->subject);
	san_list_get(&r, &i->san);
	i->eku_mask = rd_u32(&r);
	i->csr = rd_span(&r, CSR_MAX);
	return done(&r, e, "issue");
}

void ca_crl_put(struct buf *b, const struct ca_crl *c)
{
	gen_put(b, &c->gen);
	wr_u64(b, c->number);
	wr_i64(b, c->this_update);
	wr_i64(b, c->next_update);
	wr_u64(b, c->entries);
	wr_u64(b, c->body_n);
}

bool ca_crl_get(struct span body, struct ca_crl *c, struct err *e)
{
	struct rd r = rd_of(body.p, body.n);

	gen_get(&r, &c->gen);
	c->number = rd_u64(&r);
	c->this_update = rd_i64(&r);
	c->next_update = rd_i64(&r);
	c->entries = rd_u64(&r);
	c->body_n = rd_u64(&r);
	return done(&r, e, "CRL");
}

void ca_crl_end_put(struct buf *b, const struct ca_crl_end *c)
{
	wr_span(b, c->head.p, c->head.n);
	wr_span(b, c->tail.p, c->tail.n);
}

bool ca_crl_end_get(struct span body, struct ca_crl_end *c, struct err *e)
{
	struct rd r = rd_of(body.p, body.n);

	c->head = rd_span(&r, 16);
	c->tail = rd_span(&r, 4096);
	return done(&r, e, "end of CRL");
}

void crl_entry_put(struct buf *b, const struct crl_entry *en)
{
	serial_put(b, &en->serial);
	wr_i64(b, en->revoked_at);
	wr_u8(b, (uint8_t)en->reason);
}

bool crl_entry_get(struct rd *r, struct crl_entry *en)
{
	serial_get(r, &en->serial);
	en->revoked_at = rd_i64(r);
	en->reason = (enum crl_reason)rd_u8(r);
	return !r->bad && crl_reason_name(en->reason) != NULL;
}

void ca_ocsp_put(struct buf *b, const struct ca_ocsp *o)
{
	gen_put(b, &o->gen);
	wr_i64(b, o->produced_at);
	wr_i64(b, o->this_update);
	wr_i64(b, o->next_update);
	wr_span(b, o->nonce.p, o->nonce.n);
	wr_bool(b, o->extended_revoke);
	wr_u8(b, (uint8_t)o->n);
	for (uint32_t i = 0; i < o->n; i++) {
		wr_span(b, o->single[i].cert_id.p, o->single[i].cert_id.n);
		wr_u8(b, (uint8_t)o->single[i].state);
		wr_i64(b, o->single[i].revoked_at);
		wr_u8(b, (uint8_t)o->single[i].reason);
	}
}

bool ca_ocsp_get(struct span body, struct ca_ocsp *o, struct err *e)
{
	struct rd r = rd_of(body.p, body.n);

	gen_get(&r, &o->gen);
	o->produced_at = rd_i64(&r);
	o->this_update = rd_i64(&r);
	o->next_update = rd_i64(&r);
	o->nonce = rd_span(&r, OCSP_NONCE_MAX);
	o->extended_revoke = rd_bool(&r);
	o->n = rd_u8(&r);
	if (o->n == 0 || o->n > OCSP_SINGLE_MAX)
		r.bad = true;
	for (uint32_t i = 0; i < o->n && !r.bad; i++) {
		o->single[i].cert_id = rd_span(&r, OCSP_CERTID_MAX);
		o->single[i].state = (enum ocsp_state)rd_u8(&r);
		o->single[i].revoked_at = rd_i64(&r);
		o->single[i].reason = (enum crl_reason)rd_u8(&r);
		if (o->single[i].state > OCSP_UNKNOWN || o->single[i].cert_id.n == 0 ||
		    crl_reason_name(o->single[i].reason) == NULL)
			r.bad = true;
	}
	return done(&r, e, "OCSP answer to sign");
}

/* --- Reasons and entries */

static const char *const reasons[] = {
	[REASON_UNSPECIFIED] = "unspecified", [REASON_KEY_COMPROMISE] = "keyCompromise", [REASON_CA_COMPROMISE] = "cACompromise",
	[REASON_AFFILIATION] = "affiliationChanged", [REASON_SUPERSEDED] = "superseded",
	[REASON_CESSATION] = "cessationOfOperation", [REASON_HOLD] = "certificateHold", [REASON_REMOVE] = "removeFromCRL",
	[REASON_PRIVILEGE] = "privilegeWithdrawn", [REASON_AA_COMPROMISE] = "aACompromise",
};

const char *crl_reason_name(enum crl_reason r)
{
	return (unsigned)r <= REASON_AA_COMPROMISE ? reasons[r] : NULL;
}

bool crl_reason_parse(const char *name, enum crl_reason *out)
{
	for (int i = 0; i <= REASON_PRIVILEGE; i++) {
		if (reasons[i] != NULL && i != REASON_REMOVE && strcmp(reasons[i], name) == 0) {
			*out = (enum crl_reason)i;
			return true;
		}
	}
	return false;
}

/* SEQUENCE { INTEGER, Time, [SEQUENCE { SEQUENCE { OID reasonCode, OCTET STRING { ENUMERATED } } }] } */
size_t crl_entry_size(const struct crl_entry *en)
{
	size_t serial = 2 + (size_t)en->serial.n + (en->serial.v[0] >> 7);
	size_t time = en->revoked_at < INT64_C(2524608000) * 1000000 ? 15 : 17;
	size_t inside = serial + time + (en->reason != REASON_UNSPECIFIED ? 14 : 0);

	return 2 + inside;
}
