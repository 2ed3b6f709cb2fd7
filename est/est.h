/* SPDX-License-Identifier: Apache-2.0
 *
 * EST (RFC 7030, updated by 8951): the path's operation, the body's base64, and who the client says it is, as one
 * request to ra; and its answer as HTTP. */
#ifndef CADUCEUS_EST_EST_H
#define CADUCEUS_EST_EST_H

#include "web/web.h"

#include <stdbool.h>

struct est;
struct est *est_new(void);
void est_set_caller(struct est *e, struct caller *ra); /* borrowed; before the first request */
void est_free(struct est *e);
/* An RA_TRUST body: anchors and labels from now on. Malformed ones are logged and the old ones stay. Any thread. */
void est_trust(struct est *e, struct span body);
/* For routes with ctx = struct est *. Prefix "/.well-known/est". */
const struct head *est_head(void);

/* A body that web/ has refused (413): into the audit as well. */
void est_too_large(struct est *e, const struct request *in);

/* Parts, for tests. */
enum est_operation { EST_CACERTS, EST_SIMPLEENROLL, EST_SIMPLEREENROLL, EST_CSRATTRS, EST_SERVERKEYGEN, EST_FULLCMC,
	             EST_OPERATION_COUNT };
/* Splits a path behind "/.well-known/est": "/cacerts", "/device/cacerts". False: no such operation. */
MUST_USE bool est_path_parse(const char *path, enum est_operation *op, char label[32]);
/* "Basic …" (RFC 7617): user and password of at most 255 octets, UTF-8 without control characters. */
MUST_USE bool est_basic_parse(const char *authorization, char user[256], char password[256], struct err *e);
/* The request's body: base64 of DER, any line length (RFC 8951, 3), PEM armour tolerated. */
MUST_USE bool est_body_decode(struct buf *der, struct span body, struct err *e);
/* The one table of error kinds: HTTP status. */
unsigned est_status_of(enum err_kind kind);

#endif
