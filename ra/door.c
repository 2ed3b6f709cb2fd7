/* SPDX-License-Identifier: Apache-2.0
 *
 * Codecs of the door, pairs side by side. */
#include "ra/ra.h"

#include <string.h>

static bool done(const struct rd *r, struct err *e, const char *what)
{
	return rd_done(r) || err_set(e, ERR_BAD_REQUEST, "malformed %s", what);
}

void ra_source_put(struct buf *b, const struct ra_source *s)
{
	wr_text(b, s->address);
	wr_u16(b, s->port);
	wr_text(b, s->request_id);
}

void ra_source_get(struct rd *r, struct ra_source *s)
{
	rd_text(r, s->address, sizeof s->address);
	s->port = rd_u16(r);
	rd_text(r, s->request_id, sizeof s->request_id);
}

void ra_enroll_put(struct buf *b, const struct ra_enroll *q)
{
	wr_u8(b, (uint8_t)q->op);
	wr_text(b, q->label);
	ra_source_put(b, &q->source);
	wr_text(b, q->user);
	wr_text(b, q->password);
	wr_span(b, q->client.p, q->client.n);
	wr_text(b, q->client_why);
	wr_span(b, q->csr.p, q->csr.n);
}

bool ra_enroll_get(struct span body, struct ra_enroll *q, struct err *e)
{
	struct rd r = rd_of(body.p, body.n);

	q->op = (enum ra_enroll_op)rd_u8(&r);
	if (q->op != RA_SIMPLE_ENROLL && q->op != RA_SIMPLE_REENROLL)
		r.bad = true;
	rd_text(&r, q->label, sizeof q->label);
	ra_source_get(&r, &q->source);
	rd_text(&r, q->user, sizeof q->user);
	rd_text(&r, q->password, sizeof q->password);
	q->client = rd_span(&r, CSR_MAX);
	rd_text(&r, q->client_why, sizeof q->client_why);
	q->csr = rd_span(&r, CSR_MAX);
	return done(&r, e, "enrolment");
}

void ra_enrolled_put(struct buf *b, const struct ra_enrolled *a)
{
	wr_span(b, a->cert.p, a->cert.n);
	wr_bool(b, a->wrapped);
	wr_u8(b, (uint8_t)a->chain_n);
	for (uint32_t i = 0; i < a->chain_n; i++)
		wr_span(b, a->chain[i].p, a->chain[i].n);
}

bool ra_enrolled_get(struct span body, struct ra_enrolled *a, struct err *e)
{
	struct rd r = rd_of(body.p, body.n);

	a->cert = rd_span(&r, 65536);
	a->wrapped = rd_bool(&r);
	a->chain_n = rd_u8(&r);
	if (a->chain_n > 4)
		r.bad = true;
	for (uint32_t i = 0; i < a->chain_n && !r.bad; i++)
		a->chain[i] = rd_span(&r, 65536);
	return done(&r, e, "enrolment answer");
}

void ra_trust_put(struct buf *b, const struct ra_trust *t)
{
	wr_u32(b, t->root_n);
	wr_u32(b, t->issuing_n);
	wr_u32(b, t->label_n);
	for (uint32_t i = 0; i < t->root_n; i++)
		wr_span(b, t->root[i].p, t->root[i].n);
	for (uint32_t i = 0; i < t->issuing_n; i++)
		wr_span(b, t->issuing[i].p, t->issuing[i].n);
	for (uint32_t i = 0; i < t->label_n; i++)
		wr_text(b, t->label[i]);
	wr_u32(b, t->realm_n);
	for (uint32_t i = 0; i < t->realm_n; i++)
		wr_text(b, t->realm[i]);
}

bool ra_trust_get(struct span body, struct ra_trust *t, struct err *e)
{
	struct rd r = rd_of(body.p, body.n);

	t->root_n = rd_u32(&r);
	t->issuing_n = rd_u32(&r);
	t->label_n = rd_u32(&r);
	if (t->root_n > RA_TRUST_MAX || t->issuing_n > RA_TRUST_MAX || t->label_n > RA_LABEL_MAX)
		r.bad = true;
	for (uint32_t i = 0; i < t->root_n && !r.bad; i++)
		t->root[i] = rd_span(&r, 65536);
	for (uint32_t i = 0; i < t->issuing_n && !r.bad; i++)
		t->issuing[i] = rd_span(&r, 65536);
	for (uint32_t i = 0; i < t->label_n && !r.bad; i++)
		rd_text(&r, t->label[i], sizeof t->label[i]);
	t->realm_n = rd_u32(&r);
	if (t->realm_n > RA_LABEL_MAX)
		r.bad = true;
	for (uint32_t i = 0; i < t->realm_n && !r.bad; i++)
		rd_text(&r, t->realm[i], sizeof t->realm[i]);
	return done(&r, e, "trust anchors");
}

void ra_refused_put(struct buf *b, const struct ra_refused *q)
{
	ra_source_put(b, &q->source);
	wr_text(b, q->what);
	wr_text(b, q->user);
	wr_u8(b, (uint8_t)q->kind);
	wr_text(b, q->text);
}

bool ra_refused_get(struct span body, struct ra_refused *q, struct err *e)
{
	struct rd r = rd_of(body.p, body.n);

	ra_source_get(&r, &q->source);
	rd_text(&r, q->what, sizeof q->what);
	rd_text(&r, q->user, sizeof q->user);
	q->kind = (enum err_kind)rd_u8(&r);
	if (q->kind >= ERR_KIND_COUNT)
		r.bad = true;
	rd_text(&r, q->text, sizeof q->text);
	return done(&r, e, "refusal");
}

void ra_health_put(struct buf *b, const struct ra_health *h)
{
	wr_bool(b, h->ready);
	wr_u8(b, (uint8_t)h->n);
	for (uint32_t i = 0; i < h->n; i++) {
		wr_text(b, h->check[i].name);
		wr_bool(b, h->check[i].ok);
		wr_text(b, h->check[i].detail);
	}
}

bool ra_health_get(struct span body, struct ra_health *h, struct err *e)
{
	struct rd r = rd_of(body.p, body.n);

	h->ready = rd_bool(&r);
	h->n = rd_u8(&r);
	if (h->n > RA_CHECK_MAX)
		r.bad = true;
	for (uint32_t i = 0; i < h->n && !r.bad; i++) {
		rd_text(&r, h->check[i].name, sizeof h->check[i].name);
		h->check[i].ok = rd_bool(&r);
		rd_text(&r, h->check[i].detail, sizeof h->check[i].detail);
	}
	return done(&r, e, "health");
}

void ra_officer_put(struct buf *b, const struct ra_officer *q)
{
	wr_text(b, q->verb);
	ra_source_put(b, &q->source);
	wr_u32(b, q->uid);
	wr_text(b, q->actor);
	wr_span(b, q->arguments.p, q->arguments.n);
}

bool ra_officer_get(struct span body, struct ra_officer *q, struct err *e)
{
	struct rd r = rd_of(body.p, body.n);

	rd_text(&r, q->verb, sizeof q->verb);
	ra_source_get(&r, &q->source);
	q->uid = rd_u32(&r);
	rd_text(&r, q->actor, sizeof q->actor);
	q->arguments = rd_span(&r, 65536);
	return done(&r, e, "officer's request") &&
	       (record_valid(q->arguments) || err_set(e, ERR_BAD_REQUEST, "malformed arguments"));
}

void ra_rows_put(struct buf *b, const struct ra_rows *a)
{
	wr_text(b, a->name);
	wr_bool(b, a->list);
	wr_text(b, a->next);
	wr_u32(b, a->n);
	wr_span(b, a->rows.p, a->rows.n);
}

bool ra_rows_get(struct span body, struct ra_rows *a, struct err *e)
{
	struct rd r = rd_of(body.p, body.n), rows;

	rd_text(&r, a->name, sizeof a->name);
	a->list = rd_bool(&r);
	rd_text(&r, a->next, sizeof a->next);
	a->n = rd_u32(&r);
	a->rows = rd_span(&r, 65536);
	rows = rd_of(a->rows.p, a->rows.n);
	for (uint32_t i = 0; i < a->n && !rows.bad; i++) {
		struct span row = rd_span(&rows, 65536);

		if (!rows.bad && !record_valid(row))
			rows.bad = true;
	}
	return done(&r, e, "rows") && done(&rows, e, "rows");
}
