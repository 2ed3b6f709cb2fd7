/* SPDX-License-Identifier: Apache-2.0
 *
 * The lint's own DER reader. It shares no code with base/der.h or pkix/, which compose what it judges: a slip there
 * must not be repeated here (X509-45). Offsets into one buffer instead of moving pointers, on purpose. */
#ifndef CADUCEUS_CA_LINT_READER_H
#define CADUCEUS_CA_LINT_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tlv {
	const uint8_t *buf;
	size_t start, content, end; /* header, content, behind the content */
	unsigned tag;
};

/* The element at `at`, inside [at, limit). False unless it is whole and its length minimal. */
bool tlv_at(struct tlv *out, const uint8_t *buf, size_t at, size_t limit);
bool tlv_first(struct tlv *out, const struct tlv *parent);
bool tlv_next(struct tlv *t, const struct tlv *parent); /* false at the end */
size_t tlv_len(const struct tlv *t);
bool tlv_is(const struct tlv *t, unsigned tag, const void *content, size_t n);
bool tlv_same(const struct tlv *t, const void *whole, size_t n); /* with its header */

#endif
