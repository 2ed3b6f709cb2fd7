/* SPDX-License-Identifier: Apache-2.0
 *
 * Every octet of our own frames goes through one cursor with sticky failure: read all fields, then ask once.
 * Integers are big-endian; octet strings and texts carry a 32-bit length. */
#ifndef CADUCEUS_BASE_CURSOR_H
#define CADUCEUS_BASE_CURSOR_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct rd {
	const uint8_t *p;
	const uint8_t *end;
	bool bad;
};

static inline struct rd rd_of(const void *p, size_t n)
{
	return (struct rd){ p, n != 0 ? (const uint8_t *)p + n : p, p == NULL && n != 0 };
}
uint8_t rd_u8(struct rd *r);
uint16_t rd_u16(struct rd *r);
uint32_t rd_u32(struct rd *r);
uint64_t rd_u64(struct rd *r);
int64_t rd_i64(struct rd *r);
bool rd_bool(struct rd *r);                                /* anything but 0 or 1 is bad */
void rd_fixed(struct rd *r, void *out, size_t n);          /* n octets, no length; zeroes on failure */
struct span rd_span(struct rd *r, size_t cap);             /* a view into the frame */
/* Copies a text into out[size]; bad when it is longer, or holds a NUL. Always terminated. */
void rd_text(struct rd *r, char *out, size_t size);
/* True when nothing failed and nothing is left: trailing octets are refused. */
bool rd_done(const struct rd *r);

void wr_u8(struct buf *b, uint8_t v);
void wr_u16(struct buf *b, uint16_t v);
void wr_u32(struct buf *b, uint32_t v);
void wr_u64(struct buf *b, uint64_t v);
void wr_i64(struct buf *b, int64_t v);
void wr_bool(struct buf *b, bool v);
void wr_span(struct buf *b, const void *p, size_t n);
void wr_text(struct buf *b, const char *s);

#endif
