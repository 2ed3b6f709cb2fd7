/* SPDX-License-Identifier: Apache-2.0
 *
 * A growable run of octets. Zero-initialised is empty and valid. Growth aborts without memory. */
#ifndef CADUCEUS_BASE_BUF_H
#define CADUCEUS_BASE_BUF_H

#include "base/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t *p;
	size_t n;
	size_t cap;
};

void buf_free(struct buf *b);
#define AUTO_BUF CLEANUP(buf_free) struct buf

void buf_reserve(struct buf *b, size_t more);
void buf_add(struct buf *b, const void *p, size_t n);
void buf_byte(struct buf *b, uint8_t v);
void buf_text(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Ends the octets with a NUL that is not counted, and returns them as text (owned by b). */
const char *buf_str(struct buf *b);
/* A view: octets that somebody else owns. */
struct span {
	const uint8_t *p;
	size_t n;
};
static inline struct span span_of(const struct buf *b)
{
	return (struct span){ b->p, b->n };
}
bool span_equal(struct span a, struct span b);

/* Whole files. Reading is capped: a larger file is ERR_TOO_LARGE. */
struct err;
bool file_read(struct buf *out, const char *path, size_t cap, struct err *e);
/* Temporary name beside it, fsync, rename, fsync of the folder: either the old or the new file is seen. */
bool file_write_atomic(const char *path, const void *p, size_t n, unsigned mode, struct err *e);

#endif
