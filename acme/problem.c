/* SPDX-License-Identifier: Apache-2.0 */
#include "acme/problem.h"

#include <stdarg.h>
#include <stdio.h>

/* RFC 8555, 6.7; 9773, 7; the profiles and device attestation drafts. ACME-12, 13 */
static const struct {
	unsigned short status;
	enum err_kind kind;
} problems[ACME_PROBLEM_COUNT] = {
	[ACME_ACCOUNT_DOES_NOT_EXIST] = { 400, ERR_UNAUTHENTICATED },
	[ACME_ALREADY_REVOKED] = { 400, ERR_CONFLICT },
	[ACME_BAD_CSR] = { 400, ERR_BAD_CSR },
	[ACME_BAD_NONCE] = { 400, ERR_UNAUTHENTICATED },
	[ACME_BAD_PUBLIC_KEY] = { 400, ERR_BAD_KEY },
	[ACME_BAD_REVOCATION_REASON] = { 400, ERR_BAD_REQUEST },
	[ACME_BAD_SIGNATURE_ALGORITHM] = { 400, ERR_BAD_REQUEST },
	[ACME_INVALID_CONTACT] = { 400, ERR_BAD_REQUEST },
	[ACME_UNSUPPORTED_CONTACT] = { 400, ERR_BAD_REQUEST },
	[ACME_MALFORMED] = { 400, ERR_BAD_REQUEST },
	[ACME_UNSUPPORTED_IDENTIFIER] = { 400, ERR_BAD_NAME },
	[ACME_REJECTED_IDENTIFIER] = { 400, ERR_BAD_NAME },
	[ACME_INVALID_PROFILE] = { 400, ERR_POLICY },
	[ACME_BAD_ATTESTATION_STATEMENT] = { 400, ERR_BAD_REQUEST },
	[ACME_UNAUTHORIZED] = { 403, ERR_DENIED },
	[ACME_EXTERNAL_ACCOUNT_REQUIRED] = { 403, ERR_UNAUTHENTICATED },
	[ACME_ORDER_NOT_READY] = { 403, ERR_CONFLICT },
	[ACME_USER_ACTION_REQUIRED] = { 403, ERR_DENIED },
	[ACME_CAA] = { 403, ERR_POLICY },
	[ACME_ALREADY_REPLACED] = { 409, ERR_CONFLICT },
	[ACME_RATE_LIMITED] = { 429, ERR_RATE },
	[ACME_SERVER_INTERNAL] = { 500, ERR_INTERNAL },
	[ACME_CONNECTION] = { 400, ERR_POLICY },
	[ACME_DNS] = { 400, ERR_POLICY },
	[ACME_TLS] = { 400, ERR_POLICY },
	[ACME_INCORRECT_RESPONSE] = { 403, ERR_POLICY },
	[ACME_COMPOUND] = { 400, ERR_POLICY },
	[ACME_CONFLICT] = { 409, ERR_CONFLICT },
	[ACME_NOT_FOUND] = { 404, ERR_NOT_FOUND },
	[ACME_ACCOUNT_DEAD] = { 401, ERR_DENIED },
	[ACME_AUTO_RENEWAL_CANCELED] = { 403, ERR_POLICY },
	[ACME_AUTO_RENEWAL_EXPIRED] = { 403, ERR_POLICY },
	[ACME_AUTO_RENEWAL_CANCELLATION_INVALID] = { 400, ERR_BAD_REQUEST },
	[ACME_AUTO_RENEWAL_REVOCATION_NOT_SUPPORTED] = { 403, ERR_POLICY },
	[ACME_UNKNOWN_DELEGATION] = { 400, ERR_BAD_REQUEST },
	[ACME_ONION_CAA_REQUIRED] = { 400, ERR_POLICY },
};

/* What is no answer to the question. Everything that may pass is 503, so that clients come again. */
static const struct {
	enum acme_problem problem;
	unsigned short status;
} failures[ERR_KIND_COUNT] = {
	[ERR_BUSY] = { ACME_SERVER_INTERNAL, 503 }, [ERR_TIMEOUT] = { ACME_SERVER_INTERNAL, 503 },
	[ERR_HSM] = { ACME_SERVER_INTERNAL, 503 }, [ERR_PIN] = { ACME_SERVER_INTERNAL, 503 },
	[ERR_STORE] = { ACME_SERVER_INTERNAL, 503 }, [ERR_IO] = { ACME_SERVER_INTERNAL, 503 },
	[ERR_RATE] = { ACME_RATE_LIMITED, 0 }, [ERR_UNAUTHENTICATED] = { ACME_UNAUTHORIZED, 401 },
	[ERR_DENIED] = { ACME_UNAUTHORIZED, 0 }, [ERR_NOT_FOUND] = { ACME_NOT_FOUND, 0 }, [ERR_EXISTS] = { ACME_MALFORMED, 409 },
	[ERR_CONFLICT] = { ACME_MALFORMED, 409 }, [ERR_BAD_REQUEST] = { ACME_MALFORMED, 0 },
	[ERR_TOO_LARGE] = { ACME_MALFORMED, 413 }, [ERR_BAD_TYPE] = { ACME_MALFORMED, 415 },
	[ERR_BAD_METHOD] = { ACME_MALFORMED, 405 }, [ERR_BAD_CSR] = { ACME_BAD_CSR, 0 }, [ERR_BAD_KEY] = { ACME_BAD_PUBLIC_KEY, 0 },
	[ERR_BAD_NAME] = { ACME_REJECTED_IDENTIFIER, 0 }, [ERR_BAD_CERT] = { ACME_UNAUTHORIZED, 0 },
	[ERR_POLICY] = { ACME_UNAUTHORIZED, 0 },
};

static bool refuse(struct refusal *r, enum acme_problem problem, unsigned status, const char *fmt, va_list ap)
{
	if (r != NULL) {
		*r = (struct refusal){ .problem = problem, .status = status };
		vsnprintf(r->detail, sizeof r->detail, fmt, ap);
	}
	return false;
}

bool acme_refuse(struct refusal *r, enum acme_problem problem, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)refuse(r, problem, 0, fmt, ap);
	va_end(ap);
	return false;
}

bool acme_refuse_http(struct refusal *r, unsigned status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)refuse(r, ACME_MALFORMED, status, fmt, ap);
	va_end(ap);
	return false;
}

void acme_refuse_err(struct refusal *r, const struct err *e)
{
	bool known = (unsigned)e->kind < ERR_KIND_COUNT && failures[e->kind].problem != ACME_OK;

	(void)acme_refuse(r, known ? failures[e->kind].problem : ACME_SERVER_INTERNAL, "%.390s",
	                  known ? e->text : "internal error");
	if (r == NULL)
		return;
	r->status = known ? failures[e->kind].status : 500;
	r->retry_after = e->retry_after;
}

unsigned acme_problem_status(enum acme_problem p)
{
	return (unsigned)p < ACME_PROBLEM_COUNT && problems[p].status != 0 ? problems[p].status : 500;
}

enum err_kind acme_problem_kind(enum acme_problem p)
{
	return (unsigned)p < ACME_PROBLEM_COUNT && problems[p].kind != ERR_NONE ? problems[p].kind : ERR_INTERNAL;
}
