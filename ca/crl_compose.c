/* SPDX-License-Identifier: Apache-2.0
 *
 * CRLs (RFC 5280, 5) stream through: the digest is made while they pass, memory stays flat whatever their size. */
#include "ca/internal.h"

#include "base/der.h"
#include "pkix/oid.h"

#include <string.h>

AUTO_DEFINE(EVP_MD_CTX, EVP_MD_CTX_free)

enum { WHOLE_MAX = 8 << 20 };

static size_t header_size(uint64_t n)
{
	return n < 0x80 ? 2 : n < 0x100 ? 3 : n < 0x10000 ? 4 : n < 0x1000000 ? 5 : 6;
}

static void put_header(struct buf *b, uint64_t n)
{
	size_t more = header_size(n) - 2;

	buf_byte(b, DER_SEQUENCE);
	if (more == 0) {
		buf_byte(b, (uint8_t)n);
		return;
	}
	buf_byte(b, (uint8_t)(0x80 | more));
	while (more-- > 0)
		buf_byte(b, (uint8_t)(n >> (8 * more)));
}

/* Everything before revokedCertificates, and crlExtensions behind it. */
static void put_front(struct buf *b, const struct authority *a, const struct ca_crl *c)
{
	der_put_uint(b, 1);
	sig_alg_der(b, a->signer.alg);
	buf_add(b, a->cert.subject.p, a->cert.subject.n);
	der_put_time(b, c->this_update);
	der_put_time(b, c->next_update);
}

static void put_extensions(struct buf *b, const struct authority *a, const struct ca_crl *c)
{
	size_t wrap = der_begin(b, DER_CONTEXT_CONS | 0), list = der_begin(b, DER_SEQUENCE), ext, octets, seq;

	ext = der_begin(b, DER_SEQUENCE);
	der_put_oid(b, OID_EXT_AKI);
	octets = der_begin(b, DER_OCTETS);
	seq = der_begin(b, DER_SEQUENCE);
	der_put(b, DER_CONTEXT | 0, a->cert.ski.p, a->cert.ski.n);
	der_end(b, seq);
	der_end(b, octets);
	der_end(b, ext);
	ext = der_begin(b, DER_SEQUENCE);
	der_put_oid(b, OID_EXT_CRL_NUMBER);
	octets = der_begin(b, DER_OCTETS);
	der_put_uint(b, c->number);
	der_end(b, octets);
	der_end(b, ext);
	der_end(b, list);
	der_end(b, wrap);
}

static bool pass(struct crl_job *j, const uint8_t *p, size_t n, struct err *e)
{
	if (j->md != NULL)
		return EVP_DigestUpdate(j->md, p, n) == 1 || err_set(e, ERR_INTERNAL, "digest");
	if (j->whole.n + n > WHOLE_MAX)
		return err_set(e, ERR_TOO_LARGE, "a CRL under an Ed25519 key may have at most %d bytes", WHOLE_MAX);
	buf_add(&j->whole, p, n);
	return true;
}

bool crl_begin(struct crl_job *j, const struct authority *a, const struct ca_crl *c, struct buf *out, struct err *e)
{
	const char *md = sig_alg_digest(a->signer.alg);
	AUTO_BUF front = { 0 };
	AUTO_BUF back = { 0 };
	uint64_t list = c->entries != 0 ? header_size(c->body_n) + c->body_n : 0;

	if (c->number == 0 || c->next_update <= c->this_update || c->body_n > UINT32_MAX || (c->entries == 0) != (c->body_n == 0))
		return err_set(e, ERR_BAD_REQUEST, "CRL without number, with times out of order, or of a wrong size");
	crl_drop(j);
	j->c = *c;
	j->active = true;
	if (md != NULL) {
		j->md = EVP_MD_CTX_new();
		if (j->md == NULL || EVP_DigestInit_ex(j->md, EVP_get_digestbyname(md), NULL) != 1)
			return err_set(e, ERR_INTERNAL, "digest");
	}
	put_front(&front, a, c);
	put_extensions(&back, a, c);
	j->total = front.n + list + back.n;
	put_header(out, j->total);
	j->total += header_size(j->total);
	buf_add(out, front.p, front.n);
	if (c->entries != 0)
		put_header(out, c->body_n);
	return pass(j, out->p, out->n, e);
}

static void put_entry(struct buf *b, const struct crl_entry *en)
{
	size_t all = der_begin(b, DER_SEQUENCE), list, ext, octets;
	uint8_t reason = (uint8_t)en->reason;

	der_put_unsigned(b, en->serial.v, en->serial.n);
	der_put_time(b, en->revoked_at);
	if (en->reason != REASON_UNSPECIFIED) {
		list = der_begin(b, DER_SEQUENCE);
		ext = der_begin(b, DER_SEQUENCE);
		der_put_oid(b, OID_EXT_REASON);
		octets = der_begin(b, DER_OCTETS);
		der_put(b, DER_ENUMERATED, &reason, 1);
		der_end(b, octets);
		der_end(b, ext);
		der_end(b, list);
	}
	der_end(b, all);
}

static int compare(const struct serial *a, const struct serial *b)
{
	if (a->n != b->n)
		return a->n < b->n ? -1 : 1;
	return memcmp(a->v, b->v, a->n);
}

bool crl_add(struct crl_job *j, struct span entries, struct buf *out, struct err *e)
{
	struct rd r = rd_of(entries.p, entries.n);
	struct crl_entry en;

	while (r.p != r.end && !r.bad) {
		if (!crl_entry_get(&r, &en))
			break;
		/* CRL-07: 7 never, 8 only in deltas, 10 refused. */
		if (crl_reason_name(en.reason) == NULL || en.reason == REASON_REMOVE || en.reason == REASON_AA_COMPROMISE)
			return err_set(e, ERR_BAD_REQUEST, "a reason that is not issued");
		if (j->entries != 0 && compare(&j->last, &en.serial) >= 0)
			return err_set(e, ERR_BAD_REQUEST, "CRL entries out of order");
		j->last = en.serial;
		j->entries++;
		put_entry(out, &en);
	}
	j->body_n += out->n;
	if (r.bad || !j->active || j->body_n > j->c.body_n || j->entries > j->c.entries)
		return err_set(e, ERR_BAD_REQUEST, "CRL entries malformed, or more than announced");
	return pass(j, out->p, out->n, e);
}

static bool sign(struct crl_job *j, struct authority *a, struct hsm *h, struct buf *sig, struct err *e)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (j->md == NULL)
		return signer_sign(&a->signer, h, span_of(&j->whole), sig, e);
	if (EVP_DigestFinal_ex(j->md, digest, &n) != 1)
		return err_set(e, ERR_INTERNAL, "digest");
	return signer_sign_digest(&a->signer, h, (struct span){ digest, n }, sig, e);
}

bool crl_end(struct crl_job *j, struct authority *a, struct hsm *h, struct buf *out, struct err *e)
{
	AUTO_BUF sig = { 0 };
	AUTO_BUF tail = { 0 };
	AUTO_BUF head = { 0 };
	size_t tbs_part;

	if (!j->active || j->entries != j->c.entries || j->body_n != j->c.body_n)
		return err_set(e, ERR_BAD_REQUEST, "the CRL has not the entries that were announced");
	put_extensions(&tail, a, &j->c);
	tbs_part = tail.n;
	if (!pass(j, tail.p, tbs_part, e) || !sign(j, a, h, &sig, e))
		return false;
	sig_alg_der(&tail, a->signer.alg);
	der_put_bits(&tail, sig.p, sig.n, 0);
	put_header(&head, j->total + tail.n - tbs_part);
	ca_crl_end_put(out, &(struct ca_crl_end){ span_of(&head), span_of(&tail) });
	crl_drop(j);
	return true;
}

void crl_drop(struct crl_job *j)
{
	EVP_MD_CTX_free(j->md);
	buf_free(&j->whole);
	*j = (struct crl_job){ 0 };
}
