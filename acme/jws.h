/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON Web Signatures as RFC 8555, 6.2 wants them: flattened, one signature, everything in the protected header. Pure:
 * what a header says is read here, whether it holds is asked by jwk.h and by the head. */
#ifndef CADUCEUS_ACME_JWS_H
#define CADUCEUS_ACME_JWS_H

#include "acme/json.h"
#include "acme/problem.h"

/* Above: refused before it is read. A CSR of CSR_MAX octets fits, in base64url twice. */
enum { ACME_BODY_MAX = 80 << 10, JWS_SIGNATURE_MAX = 1024, JWS_URL_MAX = 640 };

enum jws_alg { JWS_ES256 = 1, JWS_ES384, JWS_ES512, JWS_EDDSA, JWS_RS256, JWS_HS256, JWS_HS384, JWS_HS512, JWS_ALG_COUNT };
const char *jws_alg_name(enum jws_alg a);

enum jws_kind {
	JWS_REQUEST, /* nonce, url, and either jwk or kid */
	JWS_NEW_KEY, /* inside a key change (7.3.5): jwk, url, no nonce */
	JWS_BINDING, /* of an external account (7.3.4): a MAC; kid, url, no nonce */
};

struct jws {
	enum jws_alg alg;
	char nonce[64];          /* base64url */
	char url[JWS_URL_MAX];
	char kid[JWS_URL_MAX];   /* "" none: then there is jwk */
	json_t *jwk;             /* an object, not read yet; owned */
	struct buf input;        /* what is signed: PROTECTED.PAYLOAD */
	struct buf payload;      /* empty: POST-as-GET */
	struct buf signature;
};
/* Refuses, apart from what its kind lacks: several signatures, an unprotected header, crit, b64, members twice, padding,
 * spare bits, trailing octets. */
MUST_USE bool jws_parse(struct jws *out, struct span body, enum jws_kind kind, struct refusal *r);
/* The same from JSON that is read already. */
MUST_USE bool jws_read(struct jws *out, const json_t *doc, enum jws_kind kind, struct refusal *r);
void jws_free(struct jws *j);
#define AUTO_JWS CLEANUP(jws_free) struct jws

#endif
