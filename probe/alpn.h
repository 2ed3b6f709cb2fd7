/* SPDX-License-Identifier: Apache-2.0
 *
 * What a tls-alpn-01 handshake must have shown (RFC 8737, 3). Pure. */
#ifndef CADUCEUS_PROBE_ALPN_H
#define CADUCEUS_PROBE_ALPN_H

#include "base/buf.h"
#include "base/err.h"

/* The certificate: self-signed, one SAN, which is the identifier, and the digest in its critical extension. The error
 * says what is there instead, clean. */
MUST_USE bool alpn_certificate(struct span der, bool ip, const char *name, const uint8_t digest[32], struct err *e);
/* The name that stands in SNI: the dNSName, or for an address what RFC 8738, 6 wants (…in-addr.arpa, …ip6.arpa). */
MUST_USE bool alpn_server_name(bool ip, const char *name, char *out, size_t size);

#endif
