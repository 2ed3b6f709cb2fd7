/* SPDX-License-Identifier: Apache-2.0
 *
 * The resources below /acme, and their URLs: made of public.enroll alone, never of what a client calls us. */
#ifndef CADUCEUS_ACME_PATH_H
#define CADUCEUS_ACME_PATH_H

#include "acme/problem.h"

enum acme_place {
	ACME_DIRECTORY, ACME_NEW_NONCE, ACME_NEW_ACCOUNT, ACME_NEW_ORDER, ACME_REVOKE_CERT, ACME_KEY_CHANGE, ACME_RENEWAL_INFO,
	ACME_ACCOUNT, ACME_ORDERS, ACME_ORDER, ACME_FINALIZE, ACME_AUTHORIZATION, ACME_CHALLENGE, ACME_CERTIFICATE, ACME_ALTERNATE,
	ACME_PLACE_COUNT
};
struct acme_target {
	enum acme_place place;
	char realm[32];
	int64_t id, cursor;
	enum acme_method method;
	uint32_t alternate;
	char renewal_id[ACME_RENEWAL_ID_MAX];
};
/* Path and query as sent. False: 404, or 400 where an identifier of renewal information is malformed; out->realm is set
 * when the path has one. */
MUST_USE bool acme_path_parse(struct acme_target *out, const char *path, const char *query, struct refusal *r);
/* What the audit calls it: "acme.new-order". */
const char *acme_place_name(enum acme_place p);

/* BASE/acme/REALM/…; whatever of *t the place has. */
void acme_url(struct buf *out, const char *base, const struct acme_target *t);
/* The account of a URL that acme_url made for this realm; 0: it is none. */
int64_t acme_account_of(const char *url, const char *base, const char *realm);
/* RFC 9773, 4.1: AKI.SERIAL */
bool acme_renewal_id_ok(const char *text, size_t n);

#endif
