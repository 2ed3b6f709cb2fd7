/* SPDX-License-Identifier: Apache-2.0
 *
 * Octets as text and back: hexadecimal and base64 (RFC 4648, 4 and 5). */
#ifndef CADUCEUS_BASE_TEXT_H
#define CADUCEUS_BASE_TEXT_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

/* Lower case; out must hold 2n+1. */
void hex_put(char *out, const void *p, size_t n);
/* Either case, an even number of digits, no separators; false otherwise or when out[cap] is too small. */
bool hex_get(const char *text, uint8_t *out, size_t cap, size_t *n);

enum b64_form { B64_ONE_LINE, B64_WRAPPED_64 };
/* Standard alphabet with padding; B64_WRAPPED_64 ends every line with \n, B64_ONE_LINE adds none. */
void b64_put(struct buf *out, const void *p, size_t n, enum b64_form form);
/* Any line length; CR, LF, space and tab are ignored (RFC 8951, 3). Refuses other characters, wrong or missing
 * padding, text after the padding and non-zero spare bits. Appends to out. */
bool b64_get(struct buf *out, const char *text, size_t n);
/* base64url without padding (RFC 4648, 5). */
void b64url_put(struct buf *out, const void *p, size_t n);
bool b64url_get(struct buf *out, const char *text, size_t n);

/* PEM (RFC 7468). Adds one armoured block. */
void pem_put(struct buf *out, const char *label, const void *p, size_t n);
/* Decodes the first block of that label; *rest (may be NULL) points behind it. False when there is none. */
bool pem_get(struct buf *out, const char *label, const char *text, size_t n, size_t *rest);

/* Well-formed UTF-8 (RFC 3629) without control characters. */
bool text_is_clean_utf8(const char *s, size_t n);
/* Compares without telling by time where two octet strings differ. Lengths are not secret. */
bool text_equal_const_time(const void *a, const void *b, size_t n);

#endif
