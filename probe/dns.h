/* SPDX-License-Identifier: Apache-2.0
 *
 * A DNS answer as libunbound gives it (RFC 1035, 4.1): the records of one type at the end of its chain of aliases, and
 * readers of the rdata that validation needs. Pure. */
#ifndef CADUCEUS_PROBE_DNS_H
#define CADUCEUS_PROBE_DNS_H

#include "base/buf.h"
#include "base/err.h"

enum { DNS_A = 1, DNS_CNAME = 5, DNS_TXT = 16, DNS_AAAA = 28, DNS_CAA = 257 };
enum { DNS_RECORD_MAX = 64, DNS_CNAME_MAX = 8, DNS_NAME_MAX = 256, DNS_PACKET_MAX = 65535 };

struct dns_records {
	unsigned rcode, cnames; /* aliases followed */
	unsigned n;             /* more than DNS_RECORD_MAX are left out */
	struct span rdata[DNS_RECORD_MAX]; /* views */
};

/* The answer to a question for (the one in the packet's question, type). ERR_BAD_REQUEST: malformed, or more than
 * DNS_CNAME_MAX aliases, or a loop of them. */
MUST_USE bool dns_read(struct dns_records *out, unsigned type, const uint8_t *p, size_t n, struct err *e);
/* RFC 1035, 3.3.14: the character-strings of a TXT, put together. */
MUST_USE bool dns_txt(struct buf *out, struct span rdata, struct err *e);

struct caa_record { /* RFC 8659, 4.1 */
	uint8_t flags;
	char tag[16];       /* lower case */
	struct span value;
};
MUST_USE bool dns_caa(struct caa_record *out, struct span rdata, struct err *e);

struct caa_ask {
	const char *identity;    /* what CAA records call this authority */
	bool wildcard;
	const char *method;      /* "http-01", … */
	const char *account_uri;
};
/* Whether the relevant record set lets this authority issue; if not, why says so in a sentence's end. */
MUST_USE bool caa_allows(const struct dns_records *set, const struct caa_ask *ask, char *why, size_t size);

#endif
