/* SPDX-License-Identifier: Apache-2.0 */
#include "pkix/name.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

/* RFC 5280, appendix A: upper bounds in characters, and the string type that X509-10 wants. */
static const struct attribute {
	enum dn_type type;
	const char *word;
	uint8_t oid_n;
	uint8_t oid[10];
	size_t max;
	int tag;
} attributes[] = {
	{ DN_CN, "CN", 3, { 0x55, 0x04, 0x03 }, 64, DER_UTF8 },
	{ DN_O, "O", 3, { 0x55, 0x04, 0x0a }, 64, DER_UTF8 },
	{ DN_OU, "OU", 3, { 0x55, 0x04, 0x0b }, 64, DER_UTF8 },
	{ DN_C, "C", 3, { 0x55, 0x04, 0x06 }, 2, DER_PRINTABLE },
	{ DN_ST, "ST", 3, { 0x55, 0x04, 0x08 }, 128, DER_UTF8 },
	{ DN_L, "L", 3, { 0x55, 0x04, 0x07 }, 128, DER_UTF8 },
	{ DN_SERIAL_NUMBER, "serialNumber", 3, { 0x55, 0x04, 0x05 }, 64, DER_PRINTABLE },
	{ DN_EMAIL, "emailAddress", 9, { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01 }, 255, DER_IA5 },
	{ DN_DC, "DC", 10, { 0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19 }, 63, DER_IA5 },
	{ DN_QUALIFIER, "dnQualifier", 3, { 0x55, 0x04, 0x2e }, 64, DER_PRINTABLE },
};

static const struct attribute *by_type(enum dn_type type)
{
	for (size_t i = 0; i < COUNT_OF(attributes); i++)
		if (attributes[i].type == type)
			return &attributes[i];
	return NULL;
}

static const struct attribute *by_oid(struct span oid)
{
	for (size_t i = 0; i < COUNT_OF(attributes); i++)
		if (oid.n == attributes[i].oid_n && memcmp(oid.p, attributes[i].oid, oid.n) == 0)
			return &attributes[i];
	return NULL;
}

static size_t characters(const char *s)
{
	size_t n = 0;

	for (; *s != 0; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

static bool printable(const char *s)
{
	return s[strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 '()+,-./:=?")] == 0;
}

static bool ascii(const char *s)
{
	for (; *s != 0; s++)
		if (*s < 0x20 || *s >= 0x7f)
			return false;
	return true;
}

static bool check_one(const struct dn_attr *a, struct err *e)
{
	const struct attribute *t = by_type(a->type);
	size_t n = strlen(a->value);

	if (t == NULL)
		return err_set(e, ERR_BAD_NAME, "unknown subject attribute");
	if (n == 0 || characters(a->value) > t->max)
		return err_set(e, ERR_BAD_NAME, "%s must have 1 to %zu characters, not %zu", t->word, t->max,
		               characters(a->value));
	if (a->value[0] == ' ' || a->value[n - 1] == ' ')
		return err_set(e, ERR_BAD_NAME, "%s begins or ends with a blank", t->word);
	if (!text_is_clean_utf8(a->value, n))
		return err_set(e, ERR_BAD_NAME, "%s has control characters or is no UTF-8", t->word);
	if (t->tag == DER_PRINTABLE && !printable(a->value))
		return err_set(e, ERR_BAD_NAME, "%s has characters outside PrintableString", t->word);
	if (t->tag == DER_IA5 && !ascii(a->value))
		return err_set(e, ERR_BAD_NAME, "%s must be ASCII", t->word);
	if (a->type == DN_C && (n != 2 || a->value[0] < 'A' || a->value[0] > 'Z' || a->value[1] < 'A' || a->value[1] > 'Z'))
		return err_set(e, ERR_BAD_NAME, "C must be two capital letters (ISO 3166)");
	return true;
}

bool dn_check(const struct dn *d, struct err *e)
{
	for (size_t i = 0; i < d->n; i++)
		if (!check_one(&d->attr[i], e))
			return false;
	return true;
}

void dn_der(struct buf *out, const struct dn *d)
{
	size_t name = der_begin(out, DER_SEQUENCE);

	for (size_t i = 0; i < d->n; i++) {
		const struct attribute *t = by_type(d->attr[i].type);
		size_t set = der_begin(out, DER_SET), pair = der_begin(out, DER_SEQUENCE);

		if (t == NULL)
			abort();
		der_put(out, DER_OID, t->oid, t->oid_n);
		der_put(out, t->tag, d->attr[i].value, strlen(d->attr[i].value));
		der_end(out, pair);
		der_end(out, set);
	}
	der_end(out, name);
}

/* BMPString (UCS-2) and T61String (read as Latin-1, as everybody does) to UTF-8. */
static bool put_utf8(char *out, size_t *n, uint32_t c)
{
	if (c == 0 || (c >= 0xd800 && c < 0xe000) || *n + 4 > DN_VALUE_MAX)
		return false;
	if (c < 0x80) {
		out[(*n)++] = (char)c;
	} else if (c < 0x800) {
		out[(*n)++] = (char)(0xc0 | c >> 6);
		out[(*n)++] = (char)(0x80 | (c & 0x3f));
	} else {
		out[(*n)++] = (char)(0xe0 | c >> 12);
		out[(*n)++] = (char)(0x80 | (c >> 6 & 0x3f));
		out[(*n)++] = (char)(0x80 | (c & 0x3f));
	}
	return true;
}

static bool read_string(char out[DN_VALUE_MAX], int tag, struct span s)
{
	size_t n = 0;

	switch (tag) {
	case DER_PRINTABLE:
	case DER_IA5:
		/* Octets above are Latin-1 to some readers, UTF-8 to others: two names. */
		for (size_t i = 0; i < s.n; i++)
			if (s.p[i] >= 0x80)
				return false;
		/* fall through */
	case DER_UTF8:
		if (s.n >= DN_VALUE_MAX || !text_is_clean_utf8((const char *)s.p, s.n))
			return false;
		memcpy(out, s.p, s.n);
		n = s.n;
		break;
	case DER_T61:
		for (size_t i = 0; i < s.n; i++)
			if (!put_utf8(out, &n, s.p[i]))
				return false;
		break;
	case DER_BMP:
		if (s.n % 2 != 0)
			return false;
		for (size_t i = 0; i < s.n; i += 2)
			if (!put_utf8(out, &n, (uint32_t)s.p[i] << 8 | s.p[i + 1]))
				return false;
		break;
	default:
		return false;
	}
	out[n] = 0;
	return text_is_clean_utf8(out, n);
}

/* What is skipped here is a name to others: nothing that OpenSSL takes for malformed. */
static bool skippable(int tag, struct span s)
{
	switch (tag) {
	case DER_UTF8:
		return text_is_clean_utf8((const char *)s.p, s.n);
	case DER_BMP:
		for (size_t i = 0; i + 1 < s.n; i += 2)
			if (s.p[i] >= 0xd8 && s.p[i] < 0xe0)
				return false;
		return s.n % 2 == 0;
	case DER_BITS:
		return s.n != 0 && s.p[0] < (s.n == 1 ? 1 : 8);
	case DER_PRINTABLE:
	case DER_IA5:
	case DER_T61:
	case DER_NUMERIC:
		return true;
	default:
		return false;
	}
}

static bool parse_pair(struct dn *out, struct der *set, unsigned *ignored, struct err *e)
{
	struct der pair = der_in(set, DER_SEQUENCE), value;
	struct span oid = der_span(&pair, DER_OID);
	const struct attribute *t;
	int tag;

	der_any(&pair, &tag, &value);
	if (!der_done(&pair) || !der_is_oid(oid))
		return err_set(e, ERR_BAD_NAME, "the subject is no DER");
	t = by_oid(oid);
	if (t == NULL) {
		*ignored += 1;
		return skippable(tag, der_rest(&value)) || err_set(e, ERR_BAD_NAME, "the subject has an attribute that is no text");
	}
	if (out->n == DN_MAX)
		return err_set(e, ERR_BAD_NAME, "the subject has more than %d attributes", DN_MAX);
	out->attr[out->n].type = t->type;
	if (!read_string(out->attr[out->n].value, tag, der_rest(&value)))
		return err_set(e, ERR_BAD_NAME, "%s is too long, of a wrong string type, or has control characters", t->word);
	out->n++;
	return true;
}

bool dn_parse(struct dn *out, struct span name, unsigned *ignored, struct err *e)
{
	struct der whole = der_of_span(name), rdns = der_in(&whole, DER_SEQUENCE);
	unsigned skipped = 0;

	out->n = 0;
	if (!der_done(&whole))
		return err_set(e, ERR_BAD_NAME, "the subject is no DER");
	while (!der_empty(&rdns)) {
		struct der set = der_in(&rdns, DER_SET);

		if (der_empty(&set))
			return err_set(e, ERR_BAD_NAME, "the subject has an empty part");
		while (!der_empty(&set))
			if (!parse_pair(out, &set, &skipped, e))
				return false;
		if (set.bad)
			break;
	}
	if (rdns.bad)
		return err_set(e, ERR_BAD_NAME, "the subject is no DER");
	if (ignored != NULL)
		*ignored = skipped;
	return true;
}

bool name_is_well_formed(struct span name)
{
	struct der whole = der_of_span(name), rdns = der_in(&whole, DER_SEQUENCE);

	while (!der_empty(&rdns)) {
		struct der set = der_in(&rdns, DER_SET);

		if (der_empty(&set))
			return false;
		while (!der_empty(&set)) {
			struct der pair = der_in(&set, DER_SEQUENCE), value;
			struct span oid = der_span(&pair, DER_OID);
			int tag;

			der_any(&pair, &tag, &value);
			if (!der_done(&pair) || !der_is_oid(oid) || !skippable(tag, der_rest(&value)))
				return false;
		}
	}
	return !rdns.bad && der_done(&whole);
}

const char *dn_first(const struct dn *d, enum dn_type type)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->attr[i].type == type)
			return d->attr[i].value;
	return NULL;
}

bool dn_add(struct dn *d, enum dn_type type, const char *value)
{
	if (d->n == DN_MAX || strlen(value) >= DN_VALUE_MAX)
		return false;
	d->attr[d->n].type = type;
	strcpy(d->attr[d->n].value, value);
	d->n++;
	return true;
}

bool dn_type_parse(const char *word, enum dn_type *out)
{
	for (size_t i = 0; i < COUNT_OF(attributes); i++) {
		if (strcmp(attributes[i].word, word) == 0) {
			*out = attributes[i].type;
			return true;
		}
	}
	return false;
}

/* Octets of the first character of s. */
static size_t character(const char *s)
{
	unsigned char c = (unsigned char)*s;

	return strnlen(s, c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4);
}

/* RFC 4514, 2.4. False when it does not fit: then it ends before a whole character. */
static bool put_escaped(char *out, size_t size, size_t *used, const char *value)
{
	for (const char *s = value; *s != 0;) {
		bool escape = strchr(",+\"\\<>;", *s) != NULL || (*s == '#' && s == value);
		size_t n = character(s);

		if (*used + n + escape >= size)
			return false;
		if (escape)
			out[(*used)++] = '\\';
		memcpy(out + *used, s, n);
		*used += n;
		out[*used] = 0;
		s += n;
	}
	return true;
}

void dn_text(const struct dn *d, char *out, size_t size)
{
	size_t used = 0;

	out[0] = 0;
	for (size_t i = 0; i < d->n; i++) {
		const struct attribute *t = by_type(d->attr[i].type);
		int put = snprintf(out + used, size - used, "%s%s=", i != 0 ? "," : "", t != NULL ? t->word : "?");

		if (put < 0 || (size_t)put >= size - used) {
			out[used] = 0;
			return;
		}
		used += (size_t)put;
		if (!put_escaped(out, size, &used, d->attr[i].value))
			return;
	}
}

void dn_put(struct buf *b, const struct dn *d)
{
	wr_u8(b, (uint8_t)d->n);
	for (size_t i = 0; i < d->n; i++) {
		wr_u8(b, (uint8_t)d->attr[i].type);
		wr_text(b, d->attr[i].value);
	}
}

void dn_get(struct rd *r, struct dn *d)
{
	size_t n = rd_u8(r);

	d->n = 0;
	if (n > DN_MAX)
		r->bad = true;
	for (size_t i = 0; i < n && !r->bad; i++) {
		d->attr[i].type = (enum dn_type)rd_u8(r);
		rd_text(r, d->attr[i].value, DN_VALUE_MAX);
		if (by_type(d->attr[i].type) == NULL || !text_is_clean_utf8(d->attr[i].value, strlen(d->attr[i].value)))
			r->bad = true;
		else
			d->n++;
	}
}
