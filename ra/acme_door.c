/* SPDX-License-Identifier: Apache-2.0
 *
 * Codecs of ACME's part of the door, pairs side by side. */
#include "ra/acme.h"

#include <string.h>

static const char *const state_names[ACME_STATE_COUNT] = {
	[ACME_PENDING] = "pending", [ACME_READY] = "ready", [ACME_PROCESSING] = "processing", [ACME_VALID] = "valid",
	[ACME_INVALID] = "invalid", [ACME_DEACTIVATED] = "deactivated", [ACME_EXPIRED] = "expired", [ACME_REVOKED] = "revoked",
};

const char *acme_state_name(enum acme_state s)
{
	return (unsigned)s < ACME_STATE_COUNT && state_names[s] != NULL ? state_names[s] : "unknown";
}

const char *acme_method_name(enum acme_method m)
{
	static const char *const names[] = { [ACME_HTTP_01] = "http-01", [ACME_DNS_01] = "dns-01", [ACME_TLS_ALPN_01] = "tls-alpn-01" };

	return m >= ACME_HTTP_01 && m <= ACME_TLS_ALPN_01 ? names[m] : "unknown";
}

const char *acme_problem_name(enum acme_problem p)
{
	static const char *const names[ACME_PROBLEM_COUNT] = {
		[ACME_ACCOUNT_DOES_NOT_EXIST] = "accountDoesNotExist",
		[ACME_ALREADY_REVOKED] = "alreadyRevoked",
		[ACME_BAD_CSR] = "badCSR",
		[ACME_BAD_NONCE] = "badNonce",
		[ACME_BAD_PUBLIC_KEY] = "badPublicKey",
		[ACME_BAD_REVOCATION_REASON] = "badRevocationReason",
		[ACME_BAD_SIGNATURE_ALGORITHM] = "badSignatureAlgorithm",
		[ACME_INVALID_CONTACT] = "invalidContact",
		[ACME_UNSUPPORTED_CONTACT] = "unsupportedContact",
		[ACME_MALFORMED] = "malformed",
		[ACME_UNSUPPORTED_IDENTIFIER] = "unsupportedIdentifier",
		[ACME_REJECTED_IDENTIFIER] = "rejectedIdentifier",
		[ACME_INVALID_PROFILE] = "invalidProfile",
		[ACME_BAD_ATTESTATION_STATEMENT] = "badAttestationStatement",
		[ACME_UNAUTHORIZED] = "unauthorized",
		[ACME_EXTERNAL_ACCOUNT_REQUIRED] = "externalAccountRequired",
		[ACME_ORDER_NOT_READY] = "orderNotReady",
		[ACME_USER_ACTION_REQUIRED] = "userActionRequired",
		[ACME_CAA] = "caa",
		[ACME_ALREADY_REPLACED] = "alreadyReplaced",
		[ACME_RATE_LIMITED] = "rateLimited",
		[ACME_SERVER_INTERNAL] = "serverInternal",
		[ACME_CONNECTION] = "connection",
		[ACME_DNS] = "dns",
		[ACME_TLS] = "tls",
		[ACME_INCORRECT_RESPONSE] = "incorrectResponse",
		[ACME_COMPOUND] = "compound",
		[ACME_CONFLICT] = "malformed",
		[ACME_NOT_FOUND] = "malformed",
		[ACME_ACCOUNT_DEAD] = "unauthorized",
		[ACME_AUTO_RENEWAL_CANCELED] = "autoRenewalCanceled",
		[ACME_AUTO_RENEWAL_EXPIRED] = "autoRenewalExpired",
		[ACME_AUTO_RENEWAL_CANCELLATION_INVALID] = "autoRenewalCancellationInvalid",
		[ACME_AUTO_RENEWAL_REVOCATION_NOT_SUPPORTED] = "autoRenewalRevocationNotSupported",
		[ACME_UNKNOWN_DELEGATION] = "unknownDelegation",
		[ACME_ONION_CAA_REQUIRED] = "onionCAARequired",
	};

	return (unsigned)p < ACME_PROBLEM_COUNT && names[p] != NULL ? names[p] : "serverInternal";
}

static void identifier_put(struct buf *b, const struct acme_identifier *i)
{
	wr_text(b, i->type);
	wr_text(b, i->value);
}

static void identifier_get(struct rd *r, struct acme_identifier *i)
{
	rd_text(r, i->type, sizeof i->type);
	rd_text(r, i->value, sizeof i->value);
}

static void identifiers_put(struct buf *b, const struct acme_identifier *i, uint32_t n)
{
	wr_u32(b, n);
	for (uint32_t k = 0; k < n; k++)
		identifier_put(b, &i[k]);
}

/* A number of things that follow, at most cap. */
static uint32_t count_get(struct rd *r, uint32_t cap)
{
	uint32_t n = rd_u32(r);

	if (n > cap)
		r->bad = true;
	return r->bad ? 0 : n;
}

static void identifiers_get(struct rd *r, struct acme_identifier *i, uint32_t *n)
{
	*n = count_get(r, ACME_IDENTIFIER_MAX);
	for (uint32_t k = 0; k < *n; k++)
		identifier_get(r, &i[k]);
}

static void contacts_put(struct buf *b, const char (*contact)[256], uint32_t n)
{
	wr_u32(b, n);
	for (uint32_t k = 0; k < n; k++)
		wr_text(b, contact[k]);
}

static void contacts_get(struct rd *r, char (*contact)[256], uint32_t *n)
{
	*n = count_get(r, ACME_CONTACT_MAX);
	for (uint32_t k = 0; k < *n; k++)
		rd_text(r, contact[k], sizeof contact[k]);
}

static enum acme_state state_get(struct rd *r)
{
	uint8_t v = rd_u8(r);

	if (v >= ACME_STATE_COUNT)
		r->bad = true;
	return (enum acme_state)v;
}

static enum acme_problem problem_get(struct rd *r)
{
	uint8_t v = rd_u8(r);

	if (v >= ACME_PROBLEM_COUNT)
		r->bad = true;
	return (enum acme_problem)v;
}

static enum acme_method method_get(struct rd *r)
{
	uint8_t v = rd_u8(r);

	if (v > ACME_TLS_ALPN_01)
		r->bad = true;
	return (enum acme_method)v;
}

void ra_acme_put(struct buf *b, const struct ra_acme *q)
{
	wr_u8(b, (uint8_t)q->op);
	ra_source_put(b, &q->source);
	wr_text(b, q->realm);
	wr_i64(b, q->account);
	buf_add(b, q->thumbprint, sizeof q->thumbprint);
	wr_span(b, q->key.p, q->key.n);
	buf_add(b, q->new_thumbprint, sizeof q->new_thumbprint);
	wr_i64(b, q->id);
	wr_i64(b, q->cursor);
	wr_u8(b, (uint8_t)q->method);
	wr_bool(b, q->only_existing);
	wr_bool(b, q->terms_agreed);
	contacts_put(b, q->contact, q->contact_n);
	wr_text(b, q->eab.kid);
	wr_u16(b, q->eab.bits);
	wr_span(b, q->eab.input.p, q->eab.input.n);
	wr_span(b, q->eab.mac.p, q->eab.mac.n);
	identifiers_put(b, q->identifier, q->identifier_n);
	wr_i64(b, q->not_before);
	wr_i64(b, q->not_after);
	wr_text(b, q->profile);
	wr_text(b, q->replaces);
	wr_span(b, q->csr.p, q->csr.n);
	wr_span(b, q->certificate.p, q->certificate.n);
	wr_i64(b, q->reason);
	wr_u32(b, q->alternate);
	wr_text(b, q->renewal_id);
}

bool ra_acme_get(struct span body, struct ra_acme *q, struct err *e)
{
	struct rd r = rd_of(body.p, body.n);
	int64_t reason;

	q->op = (enum ra_acme_op)rd_u8(&r);
	if (q->op < RA_ACME_KEY || q->op >= RA_ACME_OP_COUNT)
		r.bad = true;
	ra_source_get(&r, &q->source);
	rd_text(&r, q->realm, sizeof q->realm);
	q->account = rd_i64(&r);
	rd_fixed(&r, q->thumbprint, sizeof q->thumbprint);
	q->key = rd_span(&r, CSR_MAX);
	rd_fixed(&r, q->new_thumbprint, sizeof q->new_thumbprint);
	q->id = rd_i64(&r);
	q->cursor = rd_i64(&r);
	q->method = method_get(&r);
	q->only_existing = rd_bool(&r);
	q->terms_agreed = rd_bool(&r);
	contacts_get(&r, q->contact, &q->contact_n);
	rd_text(&r, q->eab.kid, sizeof q->eab.kid);
	q->eab.bits = rd_u16(&r);
	q->eab.input = rd_span(&r, CSR_MAX);
	q->eab.mac = rd_span(&r, 64);
	identifiers_get(&r, q->identifier, &q->identifier_n);
	q->not_before = rd_i64(&r);
	q->not_after = rd_i64(&r);
	rd_text(&r, q->profile, sizeof q->profile);
	rd_text(&r, q->replaces, sizeof q->replaces);
	q->csr = rd_span(&r, CSR_MAX);
	q->certificate = rd_span(&r, CSR_MAX);
	reason = rd_i64(&r);
	if (reason < -1 || reason > 255)
		r.bad = true;
	q->reason = (int)reason;
	q->alternate = rd_u32(&r);
	rd_text(&r, q->renewal_id, sizeof q->renewal_id);
	return rd_done(&r) || err_set(e, ERR_BAD_REQUEST, "malformed ACME request");
}

static void account_put(struct buf *b, const struct ra_acme_answer *a)
{
	wr_u8(b, (uint8_t)a->of.state);
	wr_bool(b, a->of.terms_agreed);
	wr_bool(b, a->of.eab);
	contacts_put(b, a->of.contact, a->of.contact_n);
}

static void account_get(struct rd *r, struct ra_acme_answer *a)
{
	a->of.state = state_get(r);
	a->of.terms_agreed = rd_bool(r);
	a->of.eab = rd_bool(r);
	contacts_get(r, a->of.contact, &a->of.contact_n);
}

static void order_put(struct buf *b, const struct ra_acme_answer *a)
{
	wr_i64(b, a->order.id);
	wr_i64(b, a->order.expires);
	wr_u8(b, (uint8_t)a->order.state);
	identifiers_put(b, a->order.identifier, a->order.identifier_n);
	wr_u32(b, a->order.authorization_n);
	for (uint32_t i = 0; i < a->order.authorization_n; i++)
		wr_i64(b, a->order.authorization[i]);
	wr_i64(b, a->order.not_before);
	wr_i64(b, a->order.not_after);
	wr_text(b, a->order.profile);
	wr_text(b, a->order.replaces);
	wr_bool(b, a->order.certificate);
	wr_u8(b, (uint8_t)a->order.error);
	wr_text(b, a->order.error_detail);
	identifier_put(b, &a->order.error_identifier);
}

static void order_get(struct rd *r, struct ra_acme_answer *a)
{
	a->order.id = rd_i64(r);
	a->order.expires = rd_i64(r);
	a->order.state = state_get(r);
	identifiers_get(r, a->order.identifier, &a->order.identifier_n);
	a->order.authorization_n = count_get(r, ACME_IDENTIFIER_MAX);
	for (uint32_t i = 0; i < a->order.authorization_n; i++)
		a->order.authorization[i] = rd_i64(r);
	a->order.not_before = rd_i64(r);
	a->order.not_after = rd_i64(r);
	rd_text(r, a->order.profile, sizeof a->order.profile);
	rd_text(r, a->order.replaces, sizeof a->order.replaces);
	a->order.certificate = rd_bool(r);
	a->order.error = problem_get(r);
	rd_text(r, a->order.error_detail, sizeof a->order.error_detail);
	identifier_get(r, &a->order.error_identifier);
}

static void authorization_put(struct buf *b, const struct ra_acme_answer *a)
{
	wr_i64(b, a->authorization.id);
	wr_i64(b, a->authorization.expires);
	wr_u8(b, (uint8_t)a->authorization.state);
	wr_u8(b, (uint8_t)a->authorization.challenge_state);
	identifier_put(b, &a->authorization.identifier);
	wr_bool(b, a->authorization.wildcard);
	wr_text(b, a->authorization.token);
	wr_u32(b, a->authorization.methods);
	wr_u8(b, (uint8_t)a->authorization.method);
	wr_i64(b, a->authorization.validated);
	wr_u8(b, (uint8_t)a->authorization.error);
	wr_text(b, a->authorization.error_detail);
}

static void authorization_get(struct rd *r, struct ra_acme_answer *a)
{
	a->authorization.id = rd_i64(r);
	a->authorization.expires = rd_i64(r);
	a->authorization.state = state_get(r);
	a->authorization.challenge_state = state_get(r);
	identifier_get(r, &a->authorization.identifier);
	a->authorization.wildcard = rd_bool(r);
	rd_text(r, a->authorization.token, sizeof a->authorization.token);
	a->authorization.methods = rd_u32(r);
	a->authorization.method = method_get(r);
	a->authorization.validated = rd_i64(r);
	a->authorization.error = problem_get(r);
	rd_text(r, a->authorization.error_detail, sizeof a->authorization.error_detail);
}

static void list_put(struct buf *b, const struct ra_acme_answer *a)
{
	wr_u32(b, a->list_n);
	for (uint32_t i = 0; i < a->list_n; i++)
		wr_i64(b, a->list[i]);
	wr_i64(b, a->next);
}

static void list_get(struct rd *r, struct ra_acme_answer *a)
{
	a->list_n = count_get(r, ACME_LIST_MAX);
	for (uint32_t i = 0; i < a->list_n; i++)
		a->list[i] = rd_i64(r);
	a->next = rd_i64(r);
}

static void chain_put(struct buf *b, const struct ra_acme_answer *a)
{
	wr_u32(b, a->chain_n);
	for (uint32_t i = 0; i < a->chain_n; i++)
		wr_span(b, a->chain[i].p, a->chain[i].n);
	wr_u32(b, a->alternates);
}

static void chain_get(struct rd *r, struct ra_acme_answer *a)
{
	a->chain_n = count_get(r, ACME_CHAIN_MAX);
	for (uint32_t i = 0; i < a->chain_n; i++)
		a->chain[i] = rd_span(r, CSR_MAX);
	a->alternates = rd_u32(r);
}

static void key_put(struct buf *b, const struct ra_acme_answer *a)
{
	buf_add(b, a->of.thumbprint, sizeof a->of.thumbprint);
	wr_span(b, a->of.key.p, a->of.key.n);
}

static void key_get(struct rd *r, struct ra_acme_answer *a)
{
	rd_fixed(r, a->of.thumbprint, sizeof a->of.thumbprint);
	a->of.key = rd_span(r, CSR_MAX);
}

static void window_put(struct buf *b, const struct ra_acme_answer *a)
{
	wr_i64(b, a->window_start);
	wr_i64(b, a->window_end);
}

static void window_get(struct rd *r, struct ra_acme_answer *a)
{
	a->window_start = rd_i64(r);
	a->window_end = rd_i64(r);
}

/* In this order. */
static const struct {
	uint32_t part;
	void (*put)(struct buf *b, const struct ra_acme_answer *a);
	void (*get)(struct rd *r, struct ra_acme_answer *a);
} parts[] = {
	{ RA_ACME_HAS_ACCOUNT, account_put, account_get }, { RA_ACME_HAS_KEY, key_put, key_get },
	{ RA_ACME_HAS_ORDER, order_put, order_get }, { RA_ACME_HAS_AUTHORIZATION, authorization_put, authorization_get },
	{ RA_ACME_HAS_LIST, list_put, list_get }, { RA_ACME_HAS_CHAIN, chain_put, chain_get },
	{ RA_ACME_HAS_WINDOW, window_put, window_get },
};

void ra_acme_answer_put(struct buf *b, const struct ra_acme_answer *a)
{
	wr_u32(b, a->parts);
	wr_u8(b, (uint8_t)a->problem);
	wr_text(b, a->detail);
	wr_u32(b, (uint32_t)a->retry_after);
	wr_u32(b, a->sub_n);
	for (uint32_t i = 0; i < a->sub_n; i++) {
		wr_u8(b, (uint8_t)a->sub[i].problem);
		identifier_put(b, &a->sub[i].identifier);
		wr_text(b, a->sub[i].detail);
	}
	wr_i64(b, a->account);
	wr_bool(b, a->created);
	for (size_t i = 0; i < COUNT_OF(parts); i++)
		if ((a->parts & parts[i].part) != 0)
			parts[i].put(b, a);
}

bool ra_acme_answer_get(struct span body, struct ra_acme_answer *a, struct err *e)
{
	struct rd r = rd_of(body.p, body.n);
	uint32_t known = 0;

	a->parts = rd_u32(&r);
	a->problem = problem_get(&r);
	rd_text(&r, a->detail, sizeof a->detail);
	a->retry_after = (int)rd_u32(&r);
	if (a->retry_after < 0)
		r.bad = true;
	a->sub_n = count_get(&r, ACME_IDENTIFIER_MAX);
	for (uint32_t i = 0; i < a->sub_n; i++) {
		a->sub[i].problem = problem_get(&r);
		identifier_get(&r, &a->sub[i].identifier);
		rd_text(&r, a->sub[i].detail, sizeof a->sub[i].detail);
	}
	a->account = rd_i64(&r);
	a->created = rd_bool(&r);
	for (size_t i = 0; i < COUNT_OF(parts); i++) {
		known |= parts[i].part;
		if ((a->parts & parts[i].part) != 0)
			parts[i].get(&r, a);
	}
	if ((a->parts & ~known) != 0)
		r.bad = true;
	return rd_done(&r) || err_set(e, ERR_BAD_REQUEST, "malformed ACME answer");
}
