/* SPDX-License-Identifier: Apache-2.0
 *
 * PKCS#10 (RFC 2986), read strictly and without a copy: all spans are views into the input. */
#ifndef CADUCEUS_PKIX_CSR_H
#define CADUCEUS_PKIX_CSR_H

#include "pkix/key.h"
#include "pkix/name.h"

enum { CSR_MAX = 32768, CSR_EXT_MAX = 32 };

struct csr {
	struct span info;        /* certificationRequestInfo, whole: what is signed */
	struct span subject;     /* Name, whole */
	struct span spki;        /* SubjectPublicKeyInfo, whole */
	struct key_info key;
	enum sig_alg alg;
	struct span signature;
	struct dn dn;
	unsigned dn_ignored;     /* subject attributes of types that we don't know */
	bool has_san;
	struct san_list san;
	/* What a leaf must not ask for (X509-33). */
	bool asks_ca;            /* basicConstraints with cA TRUE, or keyCertSign or cRLSign in keyUsage */
	bool asks_constraints;   /* nameConstraints or policyConstraints */
	bool asks_policies;
	struct span eku;         /* ExtKeyUsageSyntax, whole; empty when it is not asked */
	bool has_challenge;      /* challengePassword attribute */
	size_t ext_n;            /* every requested extension's OID content, for the profile's list */
	struct span ext_oid[CSR_EXT_MAX];
};

/* Refuses: too large, trailing octets, any DER slip, version not 0, keys and algorithms that key.h refuses, duplicate
 * extensions or attributes, both extension request forms, names that name.h refuses. ERR_BAD_CSR, ERR_BAD_KEY,
 * ERR_BAD_NAME. The signature is not verified here. */
MUST_USE bool csr_parse(struct csr *out, const uint8_t *der, size_t len, struct err *e);
/* Proof of possession (X509-34): ERR_BAD_CSR when the signature does not hold. */
MUST_USE bool csr_verify(const struct csr *c, struct err *e);

#endif
