/* SPDX-License-Identifier: Apache-2.0
 *
 * A strict DER reader and a writer (X.690, 8 and 10): definite minimal lengths, single-octet tags. What a tag
 * means is the caller's. Reading has sticky failure, like the frame cursor. */
#ifndef CADUCEUS_BASE_DER_H
#define CADUCEUS_BASE_DER_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	DER_BOOLEAN = 0x01,
	DER_INTEGER = 0x02,
	DER_BITS = 0x03,
	DER_OCTETS = 0x04,
	DER_NULL = 0x05,
	DER_OID = 0x06,
	DER_ENUMERATED = 0x0a,
	DER_UTF8 = 0x0c,
	DER_NUMERIC = 0x12,
	DER_PRINTABLE = 0x13,
	DER_T61 = 0x14,
	DER_IA5 = 0x16,
	DER_UTCTIME = 0x17,
	DER_GENTIME = 0x18,
	DER_UNIVERSAL = 0x1c,
	DER_BMP = 0x1e,
	DER_SEQUENCE = 0x30,
	DER_SET = 0x31,
	DER_CONTEXT = 0x80,      /* primitive [n]: DER_CONTEXT | n */
	DER_CONTEXT_CONS = 0xa0, /* constructed [n]: DER_CONTEXT_CONS | n */
};

struct der {
	const uint8_t *p;
	const uint8_t *end;
	bool bad;
};

static inline struct der der_of(const void *p, size_t n)
{
	return (struct der){ p, n != 0 ? (const uint8_t *)p + n : p, p == NULL && n != 0 };
}
static inline struct der der_of_span(struct span s)
{
	return der_of(s.p, s.n);
}
static inline bool der_empty(const struct der *d)
{
	return d->bad || d->p == d->end;
}
/* What is not read yet. */
static inline struct span der_rest(const struct der *d)
{
	return d->bad ? (struct span){ NULL, 0 } : (struct span){ d->p, (size_t)(d->end - d->p) };
}
/* The next tag, or -1 at the end or after a failure. Consumes nothing. */
int der_peek(const struct der *d);
/* Takes the next element whatever its tag; *content is its inside, the return value the whole element. */
struct span der_any(struct der *d, int *tag, struct der *content);
/* Takes an element of just this tag; another one is a failure. The returned reader is the inside
 * (bad itself after a failure). */
struct der der_in(struct der *d, int tag);
/* The whole element with header, of this tag. */
struct span der_whole(struct der *d, int tag);
/* The content octets of an element of this tag. */
struct span der_span(struct der *d, int tag);
/* As der_in when the tag is next; else returns false and takes nothing. */
bool der_optional(struct der *d, int tag, struct der *content);
/* INTEGER content checked for minimal form; non-negative values that fit; else a failure. */
uint64_t der_uint(struct der *d);
bool der_bool(struct der *d); /* DER: 00 or FF */
/* BIT STRING: checks the unused-bits octet (0..7, trailing zero bits); *unused may be NULL: then 0 is demanded. */
struct span der_bits(struct der *d, unsigned *unused);
/* UTCTime or GeneralizedTime as RFC 5280, 4.1.2.5 demands: seconds, Z, no fraction. UTC microseconds. */
int64_t der_time(struct der *d);
/* True when nothing failed and nothing is left. Also folds an inner reader's failure: der_done(&inner). */
bool der_done(const struct der *d);

/* Writer. der_begin writes a tag and room for a length and returns a mark; der_end fills the length in. */
size_t der_begin(struct buf *b, int tag);
void der_end(struct buf *b, size_t mark);
void der_put(struct buf *b, int tag, const void *p, size_t n);
void der_put_uint(struct buf *b, uint64_t v);
/* A positive INTEGER from big-endian octets: leading zeros dropped, one added when the top bit is set. */
void der_put_unsigned(struct buf *b, const uint8_t *p, size_t n);
void der_put_bool(struct buf *b, bool v);
void der_put_null(struct buf *b);
void der_put_bits(struct buf *b, const void *p, size_t n, unsigned unused);
/* UTCTime to 2049, GeneralizedTime from 2050 (RFC 5280, 4.1.2.5). Whole seconds: the rest is cut. */
void der_put_time(struct buf *b, int64_t us);
void der_put_gentime(struct buf *b, int64_t us);
/* "1.2.840.10045.2.1" -> OBJECT IDENTIFIER. False when the text is no OID of at most 63 content octets. */
bool der_put_oid(struct buf *b, const char *dotted);
/* An element that is read over, for who must not be the only one to take it: universal types in the form that X.690, 8
 * gives them, sequences and sets unopened, other classes anyhow. */
bool der_is_value(int tag, struct span content);
/* Content octets of an OID: every arc ends, and none begins with padding (X.690, 8.19). */
bool der_is_oid(struct span content);
/* Content octets of an OID as dotted text; false when malformed or longer than out. */
bool der_oid_text(struct span content, char *out, size_t size);

#endif
