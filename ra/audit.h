/* SPDX-License-Identifier: Apache-2.0
 *
 * The audit: one canonical JSON record an event (RFC 8785), chained by hash, appended in the transaction of the act.
 * Never a secret: no password, PIN, key, or body (AUD-09). */
#ifndef CADUCEUS_RA_AUDIT_H
#define CADUCEUS_RA_AUDIT_H

#include "base/err.h"
#include "ra/ra.h"

#include <stdint.h>

struct store;
enum { AUDIT_DETAIL_MAX = 12 };

struct audit_event {
	const char *event;           /* "cert.issue", "cert.revoke", "crl.publish", … */
	const char *outcome;         /* "success", "refused", "failed" */
	const char *actor, *auth;    /* who, and how that is known: "password", "certificate", "local", "system" */
	const struct ra_source *source; /* NULL: from inside */
	const char *object_type, *object;
	size_t n;
	struct {
		const char *name;    /* [a-z_]+, no two alike */
		const char *value;   /* NULL: left out */
	} detail[AUDIT_DETAIL_MAX];
};
/* Adds a detail; text is borrowed until audit_add. */
void audit_detail(struct audit_event *ev, const char *name, const char *value);
/* Within the current transaction. */
MUST_USE bool audit_add(struct store *s, const struct audit_event *ev, int64_t now, struct err *e);

struct audit_result {
	uint64_t records;   /* that hold */
	bool whole;
	uint64_t bad_seq;   /* the first that does not hold */
	char why[128];
};
/* Reads all of it. False only when it can't be read. */
MUST_USE bool audit_check(struct store *s, struct audit_result *out, struct err *e);
/* The last n of it, within a transaction that has added none: what a start can afford. */
MUST_USE bool audit_check_tail(struct store *s, uint64_t n, struct audit_result *out, struct err *e);

#endif
