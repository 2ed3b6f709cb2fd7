/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/lint_reader.h"

#include <string.h>

bool tlv_at(struct tlv *out, const uint8_t *buf, size_t at, size_t limit)
{
	size_t length, bytes = 0;

	if (limit - at < 2 || at >= limit)
		return false;
	out->buf = buf;
	out->start = at;
	out->tag = buf[at];
	if ((out->tag & 31) == 31)
		return false;
	length = buf[at + 1];
	out->content = at + 2;
	if (length > 127) {
		bytes = length - 128;
		if (bytes == 0 || bytes > 3 || limit - out->content < bytes)
			return false;
		length = 0;
		while (bytes-- > 0)
			length = length * 256 + buf[out->content++];
		/* Minimal: the shorter form would not have held it. */
		if (length < 128 || (length < 256 && out->content - at != 3) || (length >= 256 && length < 65536 && out->content - at != 4))
			return false;
	}
	if (length > limit - out->content)
		return false;
	out->end = out->content + length;
	return true;
}

bool tlv_first(struct tlv *out, const struct tlv *parent)
{
	return parent->content < parent->end && tlv_at(out, parent->buf, parent->content, parent->end);
}

bool tlv_next(struct tlv *t, const struct tlv *parent)
{
	return t->end < parent->end && tlv_at(t, t->buf, t->end, parent->end);
}

size_t tlv_len(const struct tlv *t)
{
	return t->end - t->content;
}

bool tlv_is(const struct tlv *t, unsigned tag, const void *content, size_t n)
{
	return t->tag == tag && tlv_len(t) == n && (n == 0 || memcmp(t->buf + t->content, content, n) == 0);
}

bool tlv_same(const struct tlv *t, const void *whole, size_t n)
{
	return t->end - t->start == n && memcmp(t->buf + t->start, whole, n) == 0;
}
