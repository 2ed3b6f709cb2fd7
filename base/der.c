/* SPDX-License-Identifier: Apache-2.0 */
#include "base/der.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

int der_peek(const struct der *d)
{
	return der_empty(d) ? -1 : d->p[0];
}

/* Reads tag and length; true when the whole element is there. */
static bool header(struct der *d, int *tag, size_t *len)
{
	const uint8_t *p = d->p;
	size_t left = (size_t)(d->end - d->p);
	size_t n;
	unsigned more;

	if (d->bad || left < 2 || (p[0] & 0x1f) == 0x1f)
		return false;
	*tag = p[0];
	n = p[1];
	p += 2;
	left -= 2;
	if (n >= 0x80) {
		more = n & 0x7f;
		if (more == 0 || more > 4 || left < more || p[0] == 0)
			return false;
		for (n = 0; more != 0; more--, left--)
			n = n << 8 | *p++;
		if (n < 0x80)
			return false;
	}
	if (n > left)
		return false;
	d->p = p;
	*len = n;
	return true;
}

static struct der failed(struct der *d)
{
	d->bad = true;
	return (struct der){ NULL, NULL, true };
}

struct span der_any(struct der *d, int *tag, struct der *content)
{
	const uint8_t *start = d->p;
	size_t len;
	int t;

	if (!header(d, &t, &len)) {
		*content = failed(d);
		*tag = -1;
		return (struct span){ NULL, 0 };
	}
	*tag = t;
	*content = der_of(d->p, len);
	d->p += len;
	return (struct span){ start, (size_t)(d->p - start) };
}

struct der der_in(struct der *d, int tag)
{
	struct der content;
	int got;

	if (der_peek(d) != tag)
		return failed(d);
	der_any(d, &got, &content);
	return content;
}

struct span der_whole(struct der *d, int tag)
{
	struct der content;
	int got;

	if (der_peek(d) != tag) {
		failed(d);
		return (struct span){ NULL, 0 };
	}
	return der_any(d, &got, &content);
}

struct span der_span(struct der *d, int tag)
{
	struct der in = der_in(d, tag);

	if (in.bad)
		return (struct span){ NULL, 0 };
	return (struct span){ in.p, (size_t)(in.end - in.p) };
}

bool der_optional(struct der *d, int tag, struct der *content)
{
	if (der_peek(d) != tag)
		return false;
	*content = der_in(d, tag);
	return !content->bad;
}

uint64_t der_uint(struct der *d)
{
	struct span s = der_span(d, DER_INTEGER);
	uint64_t v = 0;

	if (d->bad || s.n == 0 || s.n > 9 || (s.p[0] & 0x80) != 0 || (s.n > 1 && s.p[0] == 0 && !(s.p[1] & 0x80)) ||
	    (s.n == 9 && s.p[0] != 0)) {
		d->bad = true;
		return 0;
	}
	for (size_t i = 0; i < s.n; i++)
		v = v << 8 | s.p[i];
	return v;
}

bool der_bool(struct der *d)
{
	struct span s = der_span(d, DER_BOOLEAN);

	if (d->bad || s.n != 1 || (s.p[0] != 0 && s.p[0] != 0xff)) {
		d->bad = true;
		return false;
	}
	return s.p[0] != 0;
}

struct span der_bits(struct der *d, unsigned *unused)
{
	struct span s = der_span(d, DER_BITS);
	unsigned u;

	if (d->bad || s.n == 0)
		goto bad;
	u = s.p[0];
	if (u > 7 || (unused == NULL && u != 0) || (s.n == 1 && u != 0))
		goto bad;
	if (u != 0 && (s.p[s.n - 1] & ((1u << u) - 1)) != 0)
		goto bad;
	if (unused != NULL)
		*unused = u;
	return (struct span){ s.p + 1, s.n - 1 };
bad:
	d->bad = true;
	if (unused != NULL)
		*unused = 0;
	return (struct span){ NULL, 0 };
}

static bool digits(const uint8_t *p, size_t n, int *v)
{
	*v = 0;
	for (size_t i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return false;
		*v = *v * 10 + (p[i] - '0');
	}
	return true;
}

int64_t der_time(struct der *d)
{
	int tag = der_peek(d);
	struct span s = der_span(d, tag == DER_GENTIME ? DER_GENTIME : DER_UTCTIME);
	struct civil c = { 0 };
	size_t y = tag == DER_GENTIME ? 4 : 2;
	int64_t us;

	if (d->bad || s.n != y + 11 || s.p[s.n - 1] != 'Z' || !digits(s.p, y, &c.year) ||
	    !digits(s.p + y, 2, &c.month) || !digits(s.p + y + 2, 2, &c.day) ||
	    !digits(s.p + y + 4, 2, &c.hour) || !digits(s.p + y + 6, 2, &c.minute) ||
	    !digits(s.p + y + 8, 2, &c.second))
		goto bad;
	if (y == 2)
		c.year += c.year < 50 ? 2000 : 1900;
	if (!clock_from_civil(&c, &us))
		goto bad;
	return us;
bad:
	d->bad = true;
	return 0;
}

bool der_done(const struct der *d)
{
	return !d->bad && d->p == d->end;
}

size_t der_begin(struct buf *b, int tag)
{
	buf_byte(b, (uint8_t)tag);
	buf_byte(b, 0);
	return b->n;
}

void der_end(struct buf *b, size_t mark)
{
	size_t n = b->n - mark;
	size_t more = n < 0x80 ? 0 : n < 0x100 ? 1 : n < 0x10000 ? 2 : n < 0x1000000 ? 3 : 4;

	if (more == 0) {
		b->p[mark - 1] = (uint8_t)n;
		return;
	}
	buf_reserve(b, more);
	memmove(b->p + mark + more, b->p + mark, n);
	b->n += more;
	b->p[mark - 1] = (uint8_t)(0x80 | more);
	for (size_t i = 0; i < more; i++)
		b->p[mark + i] = (uint8_t)(n >> (8 * (more - 1 - i)));
}

void der_put(struct buf *b, int tag, const void *p, size_t n)
{
	size_t mark = der_begin(b, tag);

	buf_add(b, p, n);
	der_end(b, mark);
}

void der_put_uint(struct buf *b, uint64_t v)
{
	uint8_t octets[8];

	for (size_t i = 0; i < 8; i++)
		octets[i] = (uint8_t)(v >> (56 - 8 * i));
	der_put_unsigned(b, octets, sizeof octets);
}

void der_put_unsigned(struct buf *b, const uint8_t *p, size_t n)
{
	size_t mark = der_begin(b, DER_INTEGER);

	while (n > 1 && p[0] == 0)
		p++, n--;
	if (n == 0 || (p[0] & 0x80) != 0)
		buf_byte(b, 0);
	buf_add(b, p, n);
	der_end(b, mark);
}

void der_put_bool(struct buf *b, bool v)
{
	der_put(b, DER_BOOLEAN, v ? "\xff" : "\0", 1);
}

void der_put_null(struct buf *b)
{
	der_put(b, DER_NULL, NULL, 0);
}

void der_put_bits(struct buf *b, const void *p, size_t n, unsigned unused)
{
	size_t mark = der_begin(b, DER_BITS);

	buf_byte(b, (uint8_t)unused);
	buf_add(b, p, n);
	der_end(b, mark);
}

static void put_time(struct buf *b, int64_t us, bool general)
{
	struct civil c = clock_to_civil(us);
	char text[32];

	if (general)
		snprintf(text, sizeof text, "%04d%02d%02d%02d%02d%02dZ", c.year % 10000, c.month, c.day,
		         c.hour, c.minute, c.second);
	else
		snprintf(text, sizeof text, "%02d%02d%02d%02d%02d%02dZ", c.year % 100, c.month, c.day,
		         c.hour, c.minute, c.second);
	der_put(b, general ? DER_GENTIME : DER_UTCTIME, text, strlen(text));
}

void der_put_time(struct buf *b, int64_t us)
{
	struct civil c = clock_to_civil(us);

	put_time(b, us, c.year < 1950 || c.year > 2049);
}

void der_put_gentime(struct buf *b, int64_t us)
{
	put_time(b, us, true);
}

static void put_base128(uint8_t *out, size_t *n, uint64_t v)
{
	int top = 0;

	while (top < 9 && v >> (7 * (top + 1)) != 0)
		top++;
	for (int i = top; i >= 0; i--)
		out[(*n)++] = (uint8_t)((v >> (7 * i) & 0x7f) | (i != 0 ? 0x80 : 0));
}

bool der_put_oid(struct buf *b, const char *dotted)
{
	uint8_t out[80];
	size_t n = 0;
	uint64_t first = 0, arc;
	const char *s = dotted;

	for (int i = 0;; i++) {
		if (*s < '0' || *s > '9' || (s[0] == '0' && s[1] >= '0' && s[1] <= '9'))
			return false;
		for (arc = 0; *s >= '0' && *s <= '9'; s++) {
			if (arc > UINT32_MAX)
				return false;
			arc = arc * 10 + (uint64_t)(*s - '0');
		}
		if (i == 0) {
			if (arc > 2)
				return false;
			first = arc;
		} else {
			if (i == 1 && first < 2 && arc > 39)
				return false;
			put_base128(out, &n, i == 1 ? first * 40 + arc : arc);
		}
		if (n > 63)
			return false;
		if (*s == 0) {
			if (i == 0)
				return false;
			der_put(b, DER_OID, out, n);
			return true;
		}
		if (*s++ != '.')
			return false;
	}
}

bool der_is_oid(struct span c)
{
	for (size_t i = 0; i < c.n; i++)
		if (c.p[i] == 0x80 && (i == 0 || (c.p[i - 1] & 0x80) == 0))
			return false;
	return c.n != 0 && (c.p[c.n - 1] & 0x80) == 0;
}

static bool is_shortest_integer(struct span c)
{
	return c.n == 1 || (c.n > 1 && !(c.p[0] == 0 && (c.p[1] & 0x80) == 0) && !(c.p[0] == 0xff && (c.p[1] & 0x80) != 0));
}

bool der_is_value(int tag, struct span c)
{
	switch (tag) {
	case DER_BOOLEAN:
		return c.n == 1;
	case DER_INTEGER:
	case DER_ENUMERATED:
		return is_shortest_integer(c);
	case DER_BITS:
		return c.n != 0 && c.p[0] < (c.n == 1 ? 1 : 8);
	case DER_NULL:
		return c.n == 0;
	case DER_OID:
		return der_is_oid(c);
	case DER_BMP:
		return c.n % 2 == 0;
	case DER_UNIVERSAL:
		return c.n % 4 == 0;
	case DER_SEQUENCE:
	case DER_SET:
		return true;
	default: /* the rest of the universal types is not constructed in DER */
		return tag > 0 && ((tag & 0xc0) != 0 || (tag & 0x20) == 0);
	}
}

bool der_oid_text(struct span c, char *out, size_t size)
{
	size_t used = 0;
	uint64_t arc = 0;
	bool first = true, start = true;

	if (c.n == 0 || (c.p[c.n - 1] & 0x80) != 0)
		return false;
	for (size_t i = 0; i < c.n; i++) {
		int put;

		if ((start && c.p[i] == 0x80) || arc >> 56 != 0)
			return false;
		arc = arc << 7 | (c.p[i] & 0x7f);
		start = (c.p[i] & 0x80) == 0;
		if (!start)
			continue;
		if (first) {
			unsigned top = arc < 40 ? 0 : arc < 80 ? 1 : 2;

			put = snprintf(out, size, "%u.%llu", top, (unsigned long long)(arc - top * 40));
			first = false;
		} else {
			put = snprintf(out + used, size - used, ".%llu", (unsigned long long)arc);
		}
		if (put < 0 || (size_t)put >= size - used)
			return false;
		used += (size_t)put;
		arc = 0;
	}
	return true;
}
