/* SPDX-License-Identifier: Apache-2.0
 *
 * OCSPRequest (RFC 6960, 4.1.1): pure, capped, strict. */
#ifndef CADUCEUS_CRL_OCSP_REQUEST_H
#define CADUCEUS_CRL_OCSP_REQUEST_H

#include "ca/ca.h"

enum { OCSP_REQUEST_MAX = 8192 };
enum cert_id_hash { CERT_ID_SHA1, CERT_ID_SHA256, CERT_ID_SHA384, CERT_ID_SHA512, CERT_ID_HASHES };

struct ocsp_request {
	struct span nonce;      /* empty: none; else 1..128 octets */
	size_t n;
	struct cert_id {
		struct span whole;  /* to be echoed octet by octet */
		enum cert_id_hash hash;
		struct span name_hash, key_hash;
		struct serial serial;
		bool impossible;    /* a serial that nobody issues: longer than 20 octets, zero or negative */
	} id[OCSP_SINGLE_MAX];
};

/* False: malformedRequest(1). Views into p. Signature and requestorName are read over; unknown critical extensions and a
 * nonce of 0 or more than 128 octets are malformed (RFC 9654, 2.1). */
MUST_USE bool ocsp_request_parse(struct ocsp_request *out, const uint8_t *p, size_t n, struct err *e);
/* GET (RFC 6960, appendix A.1): the path behind "/ocsp/": percent-escapes in either case, unescaped + / =; slashes
 * at its start are not part of it, and one doubled slash that a proxy has folded is put back. der comes
 * empty. */
MUST_USE bool ocsp_get_decode(struct buf *der, const char *path, struct err *e);

#endif
