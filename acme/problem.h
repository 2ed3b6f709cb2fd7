/* SPDX-License-Identifier: Apache-2.0
 *
 * Why an ACME request is refused: the problem types of RFC 8555, 6.7, in one table of statuses and names. */
#ifndef CADUCEUS_ACME_PROBLEM_H
#define CADUCEUS_ACME_PROBLEM_H

#include "base/err.h"
#include "ra/acme.h"

struct refusal {
	enum acme_problem problem;
	unsigned status;     /* 0: the problem's own */
	int retry_after;     /* s; 0 none */
	char detail[400];    /* for the client; one line */
};
/* Both return false, so that `return acme_refuse(...)` reads well. */
bool acme_refuse(struct refusal *r, enum acme_problem problem, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* malformed, with another status than 400 */
bool acme_refuse_http(struct refusal *r, unsigned status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* What ra, or nobody, answered. */
void acme_refuse_err(struct refusal *r, const struct err *e);

unsigned acme_problem_status(enum acme_problem p);
/* The error kind that the audit has for it. */
enum err_kind acme_problem_kind(enum acme_problem p);

#endif
