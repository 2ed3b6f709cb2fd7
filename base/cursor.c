/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cursor.h"

#include <string.h>

static const uint8_t *take(struct rd *r, size_t n)
{
	const uint8_t *p = r->p;

	if (r->bad || (size_t)(r->end - r->p) < n) {
		r->bad = true;
		return NULL;
	}
	r->p += n;
	return p;
}

static uint64_t integer(struct rd *r, size_t n)
{
	const uint8_t *p = take(r, n);
	uint64_t v = 0;

	for (size_t i = 0; p != NULL && i < n; i++)
		v = v << 8 | p[i];
	return v;
}

uint8_t rd_u8(struct rd *r)
{
	return (uint8_t)integer(r, 1);
}

uint16_t rd_u16(struct rd *r)
{
	return (uint16_t)integer(r, 2);
}

uint32_t rd_u32(struct rd *r)
{
	return (uint32_t)integer(r, 4);
}

uint64_t rd_u64(struct rd *r)
{
	return integer(r, 8);
}

int64_t rd_i64(struct rd *r)
{
	return (int64_t)integer(r, 8);
}

bool rd_bool(struct rd *r)
{
	uint8_t v = rd_u8(r);

	if (v > 1)
		r->bad = true;
	return v == 1;
}

void rd_fixed(struct rd *r, void *out, size_t n)
{
	const uint8_t *p = take(r, n);

	if (p != NULL)
		memcpy(out, p, n);
	else
		memset(out, 0, n);
}

struct span rd_span(struct rd *r, size_t cap)
{
	uint32_t n = rd_u32(r);
	const uint8_t *p;

	if (n > cap)
		r->bad = true;
	p = take(r, n);
	return p != NULL ? (struct span){ p, n } : (struct span){ NULL, 0 };
}

void rd_text(struct rd *r, char *out, size_t size)
{
	struct span s = rd_span(r, size - 1);

	if (s.n != 0 && memchr(s.p, 0, s.n) != NULL) {
		r->bad = true;
		s.n = 0;
	}
	if (s.n != 0)
		memcpy(out, s.p, s.n);
	out[s.n] = 0;
}

bool rd_done(const struct rd *r)
{
	return !r->bad && r->p == r->end;
}

static void put(struct buf *b, uint64_t v, size_t n)
{
	uint8_t octets[8];

	for (size_t i = 0; i < n; i++)
		octets[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
	buf_add(b, octets, n);
}

void wr_u8(struct buf *b, uint8_t v)
{
	put(b, v, 1);
}

void wr_u16(struct buf *b, uint16_t v)
{
	put(b, v, 2);
}

void wr_u32(struct buf *b, uint32_t v)
{
	put(b, v, 4);
}

void wr_u64(struct buf *b, uint64_t v)
{
	put(b, v, 8);
}

void wr_i64(struct buf *b, int64_t v)
{
	put(b, (uint64_t)v, 8);
}

void wr_bool(struct buf *b, bool v)
{
	put(b, v ? 1 : 0, 1);
}

void wr_span(struct buf *b, const void *p, size_t n)
{
	wr_u32(b, (uint32_t)n);
	buf_add(b, p, n);
}

void wr_text(struct buf *b, const char *s)
{
	wr_span(b, s, strlen(s));
}
