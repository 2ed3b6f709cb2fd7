/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <stdio.h>
#include <string.h>

void hex_put(char *out, const void *p, size_t n)
{
	static const char digit[] = "0123456789abcdef";
	const uint8_t *octet = p;

	for (size_t i = 0; i < n; i++) {
		*out++ = digit[octet[i] >> 4];
		*out++ = digit[octet[i] & 15];
	}
	*out = 0;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool hex_get(const char *text, uint8_t *out, size_t cap, size_t *n)
{
	size_t len = strlen(text);

	if (len % 2 != 0 || len / 2 > cap)
		return false;
	for (size_t i = 0; i < len / 2; i++) {
		int hi = hex_value(text[2 * i]), lo = hex_value(text[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	*n = len / 2;
	return true;
}

static const char std_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void encode(struct buf *out, const uint8_t *p, size_t n, const char *alphabet, bool pad, size_t wrap)
{
	size_t column = 0;

	buf_reserve(out, n / 3 * 4 + 4 + (wrap != 0 ? n / 48 + 2 : 0));
	for (size_t i = 0; i < n; i += 3) {
		size_t left = n - i;
		uint32_t v = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
		             (left > 2 ? p[i + 2] : 0);
		char c[4] = { alphabet[v >> 18], alphabet[v >> 12 & 63], alphabet[v >> 6 & 63], alphabet[v & 63] };
		size_t chars = left > 2 ? 4 : left + 1;

		if (pad)
			while (chars < 4)
				c[chars++] = '=';
		buf_add(out, c, chars);
		column += 4;
		if (wrap != 0 && (column == wrap || i + 3 >= n)) {
			buf_byte(out, '\n');
			column = 0;
		}
	}
}

void b64_put(struct buf *out, const void *p, size_t n, enum b64_form form)
{
	encode(out, p, n, std_alphabet, true, form == B64_WRAPPED_64 ? 64 : 0);
}

void b64url_put(struct buf *out, const void *p, size_t n)
{
	encode(out, p, n, url_alphabet, false, 0);
}

static int b64_value(uint8_t c, bool url)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == (url ? '-' : '+'))
		return 62;
	if (c == (url ? '_' : '/'))
		return 63;
	return -1;
}

static bool decode(struct buf *out, const char *text, size_t n, bool url)
{
	uint32_t v = 0;
	size_t have = 0, pads = 0;

	buf_reserve(out, n / 4 * 3 + 3);
	for (size_t i = 0; i < n; i++) {
		uint8_t c = (uint8_t)text[i];
		int x;

		if (!url && (c == '\r' || c == '\n' || c == ' ' || c == '\t'))
			continue;
		if (!url && c == '=') {
			if (have + pads < 2 || ++pads + have > 4)
				return false;
			continue;
		}
		x = b64_value(c, url);
		if (x < 0 || pads != 0)
			return false;
		v = v << 6 | (uint32_t)x;
		if (++have == 4) {
			uint8_t three[3] = { (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v };

			buf_add(out, three, 3);
			v = 0;
			have = 0;
		}
	}
	if (have == 0)
		return pads == 0;
	if (have == 1 || (!url && have + pads != 4))
		return false;
	v <<= 6 * (4 - have);
	if ((v & (have == 2 ? 0xffffu : 0xffu)) != 0)
		return false;
	buf_byte(out, (uint8_t)(v >> 16));
	if (have == 3)
		buf_byte(out, (uint8_t)(v >> 8));
	return true;
}

bool b64_get(struct buf *out, const char *text, size_t n)
{
	return decode(out, text, n, false);
}

bool b64url_get(struct buf *out, const char *text, size_t n)
{
	return decode(out, text, n, true);
}

void pem_put(struct buf *out, const char *label, const void *p, size_t n)
{
	buf_printf(out, "-----BEGIN %s-----\n", label);
	b64_put(out, p, n, B64_WRAPPED_64);
	buf_printf(out, "-----END %s-----\n", label);
}

bool pem_get(struct buf *out, const char *label, const char *text, size_t n, size_t *rest)
{
	AUTO_FREE char *begin = mem_printf("-----BEGIN %s-----", label);
	AUTO_FREE char *end = mem_printf("-----END %s-----", label);
	const char *from = memmem(text, n, begin, strlen(begin));
	const char *to;

	if (from == NULL)
		return false;
	from += strlen(begin);
	to = memmem(from, n - (size_t)(from - text), end, strlen(end));
	if (to == NULL || !b64_get(out, from, (size_t)(to - from)))
		return false;
	if (rest != NULL)
		*rest = (size_t)(to - text) + strlen(end);
	return true;
}

bool text_is_clean_utf8(const char *s, size_t n)
{
	const uint8_t *p = (const uint8_t *)s;

	for (size_t i = 0; i < n;) {
		size_t more = p[i] < 0x80 ? 0 : p[i] >= 0xc2 && p[i] < 0xe0 ? 1 : (p[i] & 0xf0) == 0xe0 ? 2
		              : p[i] >= 0xf0 && p[i] < 0xf5                 ? 3
		                                                            : 9;
		uint32_t c = more == 0 ? p[i] : p[i] & (0x3fu >> more);

		if (more > 3 || more >= n - i)
			return false;
		for (size_t k = 1; k <= more; k++) {
			if ((p[i + k] & 0xc0) != 0x80)
				return false;
			c = c << 6 | (p[i + k] & 0x3f);
		}
		if (c < 0x20 || (c >= 0x7f && c < 0xa0) || (more == 2 && (c < 0x800 || (c >= 0xd800 && c < 0xe000))) ||
		    (more == 3 && (c < 0x10000 || c > 0x10ffff)))
			return false;
		i += more + 1;
	}
	return true;
}

bool text_equal_const_time(const void *a, const void *b, size_t n)
{
	const volatile uint8_t *x = a, *y = b;
	uint8_t differ = 0;

	for (size_t i = 0; i < n; i++)
		differ |= x[i] ^ y[i];
	return differ == 0;
}
