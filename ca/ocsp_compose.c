/* SPDX-License-Identifier: Apache-2.0
 *
 * OCSPResponse (RFC 6960, 4.2; RFC 9919, 3.2). */
#include "ca/internal.h"

#include "base/clock.h"
#include "base/der.h"
#include "pkix/oid.h"

#include <string.h>

static void put_single(struct buf *b, const struct ca_ocsp *o, const struct ca_ocsp_single *s)
{
	size_t single = der_begin(b, DER_SEQUENCE), revoked, reason, next;
	uint8_t code = (uint8_t)s->reason;

	buf_add(b, s->cert_id.p, s->cert_id.n);
	if (s->state == OCSP_REVOKED) {
		revoked = der_begin(b, DER_CONTEXT_CONS | 1);
		der_put_gentime(b, s->revoked_at);
		if (s->reason != REASON_UNSPECIFIED) {
			reason = der_begin(b, DER_CONTEXT_CONS | 0);
			der_put(b, DER_ENUMERATED, &code, 1);
			der_end(b, reason);
		}
		der_end(b, revoked);
	} else {
		der_put(b, DER_CONTEXT | (s->state == OCSP_GOOD ? 0 : 2), NULL, 0);
	}
	der_put_gentime(b, o->this_update);
	next = der_begin(b, DER_CONTEXT_CONS | 0);
	der_put_gentime(b, o->next_update);
	der_end(b, next);
	der_end(b, single);
}

static void put_extension(struct buf *b, const char *oid, struct span inner, int tag)
{
	size_t ext = der_begin(b, DER_SEQUENCE), octets;

	der_put_oid(b, oid);
	octets = der_begin(b, DER_OCTETS);
	der_put(b, tag, inner.p, inner.n);
	der_end(b, octets);
	der_end(b, ext);
}

static void put_extensions(struct buf *b, const struct ca_ocsp *o)
{
	size_t wrap, list;

	if (o->nonce.n == 0 && !o->extended_revoke)
		return;
	wrap = der_begin(b, DER_CONTEXT_CONS | 1);
	list = der_begin(b, DER_SEQUENCE);
	if (o->nonce.n != 0)
		put_extension(b, OID_OCSP_NONCE, o->nonce, DER_OCTETS);
	if (o->extended_revoke)
		put_extension(b, OID_OCSP_EXTENDED_REVOKE, (struct span){ NULL, 0 }, DER_NULL);
	der_end(b, list);
	der_end(b, wrap);
}

static void compose(struct buf *b, const struct ca_ocsp *o, const struct responder *r)
{
	size_t data = der_begin(b, DER_SEQUENCE), by_key = der_begin(b, DER_CONTEXT_CONS | 2), list;

	der_put(b, DER_OCTETS, r->key_hash, sizeof r->key_hash);
	der_end(b, by_key);
	der_put_gentime(b, o->produced_at);
	list = der_begin(b, DER_SEQUENCE);
	for (uint32_t i = 0; i < o->n; i++)
		put_single(b, o, &o->single[i]);
	der_end(b, list);
	put_extensions(b, o);
	der_end(b, data);
}

/* va may be taken over: no answer outlives the responder or is dated away from now. */
static bool check(const struct ca_ocsp *o, const struct responder *r, struct err *e)
{
	if (o->this_update > o->produced_at || o->next_update <= o->this_update || o->next_update > r->cert.not_after + US_PER_SECOND ||
	    o->next_update - o->this_update > 8 * US_PER_DAY)
		return err_set(e, ERR_BAD_REQUEST, "times of an OCSP answer outside what is signed");
	for (uint32_t i = 0; i < o->n; i++) {
		struct der d = der_of_span(o->single[i].cert_id);

		(void)der_in(&d, DER_SEQUENCE);
		if (!der_done(&d))
			return err_set(e, ERR_BAD_REQUEST, "malformed CertID");
	}
	return true;
}

bool ocsp_answer(struct buf *out, const struct ca_ocsp *o, struct authority *a, struct hsm *h, struct err *e)
{
	struct responder *r = a->responder;
	AUTO_BUF tbs = { 0 };
	AUTO_BUF sig = { 0 };
	size_t response, bytes, seq, octets, basic, certs, list;

	if (r == NULL)
		return err_set(e, ERR_NOT_FOUND, "no OCSP responder for %s generation %u", a->gen.name, a->gen.gen);
	if (!check(o, r, e))
		return false;
	compose(&tbs, o, r);
	if (!signer_sign(&r->signer, h, span_of(&tbs), &sig, e))
		return false;
	response = der_begin(out, DER_SEQUENCE);
	der_put(out, DER_ENUMERATED, "\0", 1); /* successful */
	bytes = der_begin(out, DER_CONTEXT_CONS | 0);
	seq = der_begin(out, DER_SEQUENCE);
	der_put_oid(out, OID_OCSP_BASIC);
	octets = der_begin(out, DER_OCTETS);
	basic = der_begin(out, DER_SEQUENCE);
	buf_add(out, tbs.p, tbs.n);
	sig_alg_der(out, r->signer.alg);
	der_put_bits(out, sig.p, sig.n, 0);
	certs = der_begin(out, DER_CONTEXT_CONS | 0);
	list = der_begin(out, DER_SEQUENCE);
	buf_add(out, r->der.p, r->der.n);
	der_end(out, list);
	der_end(out, certs);
	der_end(out, basic);
	der_end(out, octets);
	der_end(out, seq);
	der_end(out, bytes);
	der_end(out, response);
	return true;
}
