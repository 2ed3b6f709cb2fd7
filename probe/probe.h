/* SPDX-License-Identifier: Apache-2.0
 *
 * The door to probe, which goes out for ra: it is asked whether a name answers a challenge, and says what it saw. It has no
 * key and no database; where it may connect, which resolver it asks and on which ports is its configuration, not the
 * question's. */
#ifndef CADUCEUS_PROBE_PROBE_H
#define CADUCEUS_PROBE_PROBE_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum probe_op { /* frame types */
	PROBE_OK = 96,    /* answer: probe_result, whether or not the challenge holds */
	PROBE_FAILED,     /* answer: failure: probe could not look (busy, stopping); says nothing about the name */
	PROBE_VALIDATE,   /* ask: probe_ask; answer: probe_result */
	PROBE_COUNTED,    /* told: its lines of base/metric.h */
	PROBE_OP_COUNT
};

enum probe_method { PROBE_HTTP_01 = 1, PROBE_DNS_01, PROBE_TLS_ALPN_01 }; /* RFC 8555, 8.3, 8.4; RFC 8737 */
enum { PROBE_TOKEN_MAX = 64, PROBE_KEY_AUTHORIZATION_MAX = 128 };
struct probe_ask {
	enum probe_method method;
	bool ip;                  /* name is an address in its canonical text (RFC 8738), else a dNSName in lower case */
	char name[256];           /* without "*." */
	bool wildcard;            /* the order asks for "*.name": CAA's issuewild counts */
	char token[PROBE_TOKEN_MAX];                         /* base64url */
	char key_authorization[PROBE_KEY_AUTHORIZATION_MAX]; /* TOKEN.THUMBPRINT */
	bool caa;                 /* CAA is looked up first (RFC 8659); never for addresses */
	char account_uri[512];    /* for CAA's accounturi (RFC 8657) */
};
void probe_ask_put(struct buf *b, const struct probe_ask *q);
MUST_USE bool probe_ask_get(struct span body, struct probe_ask *q, struct err *e);

enum probe_problem { /* RFC 8555, 6.7; travels as a byte: append only */
	PROBE_GOOD = 0, PROBE_CONNECTION, PROBE_DNS, PROBE_TLS, PROBE_INCORRECT_RESPONSE, PROBE_CAA, PROBE_UNAUTHORIZED,
	PROBE_PROBLEM_COUNT
};
struct probe_result {
	enum probe_problem problem;
	bool again;               /* may pass when tried again: a time-out, a refused connection, a server failure */
	char detail[256];         /* for the client: what was seen and what would be right; clean UTF-8, "" when good */
	char address[46];         /* where it connected last, "" nowhere */
	char evidence[400];       /* for the audit: "dns=… address=… redirects=…"; clean UTF-8 */
};
void probe_result_put(struct buf *b, const struct probe_result *r);
MUST_USE bool probe_result_get(struct span body, struct probe_result *r, struct err *e);

#endif
