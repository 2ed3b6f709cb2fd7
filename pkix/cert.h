/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates, read strictly for our own decisions (who signed, whose, until when, for what). */
#ifndef CADUCEUS_PKIX_CERT_H
#define CADUCEUS_PKIX_CERT_H

#include "pkix/key.h"
#include "pkix/name.h"

enum { CERT_MAX = 16384, SERIAL_MAX = 20, CERT_EKU_MAX = 16 };

struct serial {
	uint8_t n; /* 1..20 content octets, as in the INTEGER without a leading zero */
	uint8_t v[SERIAL_MAX];
};
/* Lower-case hexadecimal, as openssl prints it but for the case; size >= 41. */
void serial_text(const struct serial *s, char *out, size_t size);
bool serial_from_text(struct serial *out, const char *hex); /* either case; an even number of digits */
bool serial_equal(const struct serial *a, const struct serial *b);

struct cert {
	struct span whole, tbs, issuer, subject, spki, signature; /* Names and SPKI whole */
	enum sig_alg alg;
	struct serial serial;
	int64_t not_before, not_after; /* UTC us */
	struct key_info key;
	bool is_ca;
	int path_len;                  /* -1 none */
	unsigned key_usage;            /* bit 0 digitalSignature … as RFC 5280 numbers them; 0 when absent */
	struct span ski, aki;          /* key identifiers' octets; empty when absent */
	struct span constraints;       /* NameConstraints, whole (constraints.h); empty when absent */
	bool has_san, has_eku;
	struct san_list san;
	size_t eku_n;
	char eku[CERT_EKU_MAX][64];    /* dotted */
	bool plain;                    /* every extension is one that our leaves have, in their form: no others, critical only
	                                * where they may be, the issuer named by its key alone, CDPs as URIs */
};

/* ERR_BAD_CERT. Views into der. */
MUST_USE bool cert_parse(struct cert *out, const uint8_t *der, size_t len, struct err *e);
bool cert_has_eku(const struct cert *c, const char *dotted);
/* The signature only. */
MUST_USE bool cert_verify_by(const struct cert *c, const struct key_info *issuer, struct err *e);

/* Trust: our own root and issuing authorities as DER, judged by OpenSSL (X509_verify_cert): signatures, dates at
 * `now`, basicConstraints, keyUsage, pathLen, EKU clientAuth along the chain. Revocation is ra's. Thread-safe. */
struct trust;
MUST_USE bool trust_new(struct trust **out, const struct span *roots, size_t root_n, const struct span *issuing,
                        size_t issuing_n, struct err *e);
void trust_free(struct trust *t);
enum trust_purpose { TRUST_CLIENT, TRUST_SERVER, TRUST_ANY };
/* ERR_BAD_CERT with a reason for the person who asked: expired on DATE, not yet valid, not issued by this authority,
 * not for client authentication. A leaf without EKU, or an authority's own certificate, is refused unless purpose is
 * TRUST_ANY. chain: the peer's further certificates; not looked at, for all issuers that count are in the trust. */
MUST_USE bool trust_check(const struct trust *t, struct span leaf, const struct span *chain, size_t chain_n,
                          int64_t now, enum trust_purpose purpose, struct err *e);
AUTO_STRUCT_DEFINE(trust, trust_free)
/* What trust_check asks first, at the price of one signature: true only where OpenSSL's verdict is known to be yes, since
 * the authority was judged when the trust was made and the leaf has the form of ours. False says nothing. */
bool trust_knows(const struct trust *t, struct span leaf, int64_t now, enum trust_purpose purpose);

/* Degenerate SignedData (RFC 5652, 5.1; RFC 5272, 4.1): certificates only, no signer. */
void cms_certs_only(struct buf *out, const struct span *certs, size_t n);

#endif
