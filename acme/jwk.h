/* SPDX-License-Identifier: Apache-2.0
 *
 * Account keys: JSON Web Keys (RFC 7517, 7518, 8037) as SubjectPublicKeyInfo, their thumbprints, and signatures by them.
 * libjose is not used: it knows no EdDSA and checks the algorithm against the key one way only. */
#ifndef CADUCEUS_ACME_JWK_H
#define CADUCEUS_ACME_JWK_H

#include "acme/jws.h"
#include "pkix/key.h"

struct jwk {
	struct buf spki;          /* SubjectPublicKeyInfo */
	struct key_info info;     /* views into spki */
	uint8_t thumbprint[32];   /* RFC 7638, SHA-256 */
};
/* EC on P-256, P-384, P-521; RSA; OKP with Ed25519. Refuses as badPublicKey what is another, not in its one form (RFC 7518,
 * 6.2.1.2, 6.3.1), or has private members. Cheap: no arithmetic. */
MUST_USE bool jwk_parse(struct jwk *out, const json_t *jwk, struct refusal *r);
void jwk_free(struct jwk *k);
#define AUTO_JWK CLEANUP(jwk_free) struct jwk
/* The key for verifying, held to the same strength as those of certificates (ACME-18). Caller frees. */
MUST_USE bool jwk_load(EVP_PKEY **out, const struct jwk *k, struct refusal *r);

/* Whether the header's alg is the one of this key: each algorithm has one type of key, and each type one algorithm. */
MUST_USE bool jws_alg_fits(enum jws_alg a, enum key_type t, struct refusal *r);
/* signature: as a JWS has it, ECDSA's as r and s of full length (RFC 7518, 3.4). type: the key's; alg must be its own. */
MUST_USE bool jws_verify(EVP_PKEY *key, enum key_type type, enum jws_alg a, struct span input, struct span signature, struct refusal *r);

#endif
