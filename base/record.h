/* SPDX-License-Identifier: Apache-2.0
 *
 * A flat list of named values: what an officer's verb takes and what its answer gives, a row at a time. Encoded as
 * it is built, so it passes a door without another codec. Names: [a-z0-9_]{1,31}. */
#ifndef CADUCEUS_BASE_RECORD_H
#define CADUCEUS_BASE_RECORD_H

#include "base/buf.h"
#include "base/cursor.h"

#include <stdbool.h>
#include <stdint.h>

enum field_type {
	FIELD_TEXT = 1,  /* UTF-8 */
	FIELD_INT = 2,
	FIELD_BOOL = 3,
	FIELD_BYTES = 4, /* shown as base64 in JSON */
	FIELD_TIME = 5,  /* UTC us; shown as RFC 3339 in whole seconds */
	FIELD_LIST = 6,  /* one text of a list: repeated fields of one name make the list, "" alone an empty one */
};

struct field {
	enum field_type type;
	char name[32];
	int64_t number;      /* INT, BOOL, TIME */
	struct span octets;  /* TEXT, BYTES, LIST: a view into the record */
};

void record_text(struct buf *b, const char *name, const char *value);
void record_int(struct buf *b, const char *name, int64_t value);
void record_bool(struct buf *b, const char *name, bool value);
void record_bytes(struct buf *b, const char *name, const void *p, size_t n);
void record_time(struct buf *b, const char *name, int64_t us);
void record_list(struct buf *b, const char *name, const char *value);

/* Takes the next field; false at the end or when malformed (then r->bad). */
bool record_next(struct rd *r, struct field *f);
/* Looks one up by name and type; false when it is not there. The first of its name counts. */
bool record_find(struct span record, const char *name, enum field_type type, struct field *f);
/* Copies a text into out, "" when it is not there; false when it is there and does not fit or is no clean UTF-8. */
bool record_get_text(struct span record, const char *name, char *out, size_t size);
int64_t record_get_int(struct span record, const char *name, int64_t otherwise); /* INT, BOOL or TIME */
/* True when every field is well formed to the end. */
bool record_valid(struct span record);

#endif
