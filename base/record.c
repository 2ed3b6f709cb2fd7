/* SPDX-License-Identifier: Apache-2.0 */
#include "base/record.h"

#include "base/text.h"

#include <string.h>

static void head(struct buf *b, enum field_type type, const char *name)
{
	wr_u8(b, (uint8_t)type);
	wr_u8(b, (uint8_t)strlen(name));
	buf_text(b, name);
}

void record_text(struct buf *b, const char *name, const char *value)
{
	head(b, FIELD_TEXT, name);
	wr_text(b, value);
}

void record_int(struct buf *b, const char *name, int64_t value)
{
	head(b, FIELD_INT, name);
	wr_i64(b, value);
}

void record_bool(struct buf *b, const char *name, bool value)
{
	head(b, FIELD_BOOL, name);
	wr_i64(b, value);
}

void record_bytes(struct buf *b, const char *name, const void *p, size_t n)
{
	head(b, FIELD_BYTES, name);
	wr_span(b, p, n);
}

void record_time(struct buf *b, const char *name, int64_t us)
{
	head(b, FIELD_TIME, name);
	wr_i64(b, us);
}

void record_list(struct buf *b, const char *name, const char *value)
{
	head(b, FIELD_LIST, name);
	wr_text(b, value);
}

static bool name_ok(const char *s, size_t n)
{
	if (n == 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= '0' && s[i] <= '9') || s[i] == '_'))
			return false;
	return true;
}

bool record_next(struct rd *r, struct field *f)
{
	uint8_t n;

	*f = (struct field){ 0 };
	if (r->bad || r->p == r->end)
		return false;
	f->type = (enum field_type)rd_u8(r);
	n = rd_u8(r);
	if (n >= sizeof f->name) {
		r->bad = true;
		return false;
	}
	rd_fixed(r, f->name, n);
	if (!name_ok(f->name, n))
		r->bad = true;
	switch (f->type) {
	case FIELD_INT:
	case FIELD_BOOL:
	case FIELD_TIME:
		f->number = rd_i64(r);
		if (f->type == FIELD_BOOL && f->number != 0 && f->number != 1)
			r->bad = true;
		break;
	case FIELD_TEXT:
	case FIELD_LIST:
	case FIELD_BYTES:
		f->octets = rd_span(r, 65536);
		break;
	default:
		r->bad = true;
	}
	return !r->bad;
}

bool record_find(struct span record, const char *name, enum field_type type, struct field *f)
{
	struct rd r = rd_of(record.p, record.n);

	while (record_next(&r, f))
		if (f->type == type && strcmp(f->name, name) == 0)
			return true;
	return false;
}

bool record_get_text(struct span record, const char *name, char *out, size_t size)
{
	struct field f;

	out[0] = 0;
	if (!record_find(record, name, FIELD_TEXT, &f))
		return true;
	if (f.octets.n >= size || !text_is_clean_utf8((const char *)f.octets.p, f.octets.n))
		return false;
	memcpy(out, f.octets.p, f.octets.n);
	out[f.octets.n] = 0;
	return true;
}

int64_t record_get_int(struct span record, const char *name, int64_t otherwise)
{
	struct field f;

	if (record_find(record, name, FIELD_INT, &f) || record_find(record, name, FIELD_BOOL, &f) ||
	    record_find(record, name, FIELD_TIME, &f))
		return f.number;
	return otherwise;
}

bool record_valid(struct span record)
{
	struct rd r = rd_of(record.p, record.n);
	struct field f;

	while (record_next(&r, &f))
		;
	return rd_done(&r);
}
