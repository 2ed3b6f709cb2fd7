/* SPDX-License-Identifier: Apache-2.0
 *
 * What is ours of http-01's answers (RFC 8555, 8.3): whether they are right, and whether a redirect may be followed. Pure. */
#ifndef CADUCEUS_PROBE_HTTP_H
#define CADUCEUS_PROBE_HTTP_H

#include "base/buf.h"
#include "base/err.h"

#include <netinet/in.h>

enum { HTTP_BODY_MAX = 4096, HTTP_HEAD_MAX = 16384, HTTP_URL_MAX = 2048, HTTP_REDIRECT_MAX = 10 };

struct http_target {
	bool https, ip;
	char host[256];     /* a dNSName in lower case, or an address without brackets */
	uint16_t port;
	char url[HTTP_URL_MAX];
};

/* Status and body against the key authorization, behind which white space may stand. The error says what was seen. */
MUST_USE bool http_answer(long status, struct span body, const char *key_authorization, struct err *e);
/* The absolute URL of a redirect: http or https, to one of these ports (ends with 0), without a user. */
MUST_USE bool http_redirect(struct http_target *out, const char *url, const uint16_t *ports, struct err *e);
/* Fills *to when host is an address. */
bool http_literal(const char *host, uint16_t port, struct sockaddr_storage *to);

/* What a stranger sent, as printable ASCII: everything else as \xHH, "..." behind what does not fit. */
void text_escaped(char *out, size_t size, const void *p, size_t n);

#endif
