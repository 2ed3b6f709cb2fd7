/* SPDX-License-Identifier: Apache-2.0 */
#include "pkix/name.h"

#include "base/text.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* --- Alternative names */

static const char *const san_words[SAN_TYPE_COUNT] = {
	[SAN_DNS] = "dns", [SAN_IP] = "ip", [SAN_EMAIL] = "email", [SAN_URI] = "uri", [SAN_UPN] = "upn",
};

const char *san_type_name(enum san_type t)
{
	return (unsigned)t < SAN_TYPE_COUNT ? san_words[t] : NULL;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || is_letter(c);
}

/* One LDH label at s: its length, 0 when it is none. */
static size_t label_length(const char *s)
{
	size_t n = 0;

	while (is_alnum(s[n]) || s[n] == '-')
		n++;
	return n == 0 || n > 63 || s[0] == '-' || s[n - 1] == '-' ? 0 : n;
}

bool text_is_dns_name(const char *s)
{
	size_t len = strlen(s), n;
	bool all_digits = true;

	if (len == 0 || len > 253)
		return false;
	for (;;) {
		n = label_length(s);
		if (n == 0)
			return false;
		all_digits = strspn(s, "0123456789") == n;
		s += n;
		if (*s == 0)
			return !all_digits; /* a last label of digits alone is an IPv4 address in disguise */
		if (*s++ != '.')
			return false;
	}
}

static void lower(char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s[i] >= 'A' && s[i] <= 'Z')
			s[i] = (char)(s[i] - 'A' + 'a');
}

/* A value as it may stand in a message: printable, cut. */
static const char *shown(const char *s, size_t n, char out[80])
{
	size_t k = 0;

	for (size_t i = 0; i < n && k < 70; i++)
		out[k++] = s[i] >= 0x20 && s[i] < 0x7f ? s[i] : '?';
	if (n > 70) {
		memcpy(out + k, "...", 3);
		k += 3;
	}
	out[k] = 0;
	return out;
}

static bool bad_name(struct err *e, const struct san *s, const char *why)
{
	char text[80];

	return err_set(e, ERR_BAD_NAME, "%s name '%s': %s", san_type_name(s->type), shown(s->value, s->n, text), why);
}

static bool check_dns(struct san *s, struct err *e)
{
	const char *name = s->value;

	if (strlen(name) != s->n)
		return bad_name(e, s, "holds a NUL");
	if (strncmp(name, "*.", 2) == 0)
		name += 2;
	if (!text_is_dns_name(name) || s->n > 253)
		return bad_name(e, s,
		                "must be letters, digits and hyphens in labels of at most 63, at most 253 in all, "
		                "a wildcard only as the whole first label");
	lower(s->value, s->n);
	return true;
}

/* RFC 5321, 4.1.2: in a Dot-string every dot stands between other characters. */
static bool dots_separate(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s[i] == '.' && (i == 0 || i + 1 == n || s[i + 1] == '.'))
			return false;
	return true;
}

static bool check_email(struct san *s, struct err *e)
{
	const char *at = strrchr(s->value, '@');
	size_t n = strspn(s->value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+/=?^_`{|}~.-");

	if (strlen(s->value) != s->n || at == NULL || (size_t)(at - s->value) != n || n == 0 || n > 64 ||
	    !dots_separate(s->value, n) || !text_is_dns_name(at + 1))
		return bad_name(e, s, "must be local-part@domain in ASCII");
	lower(s->value + n, s->n - n);
	return true;
}

/* host [":" port] (RFC 3986, 3.2): a name, an IPv4 address, or an IPv6 address in brackets. No user name: it would
 * look like the host to a person (RFC 3986, 7.6). */
static bool is_authority(const char *s, size_t n)
{
	bool brackets = n != 0 && s[0] == '[';
	size_t start = brackets ? 1 : 0, end = start;
	unsigned char octets[16];
	char host[SAN_VALUE_MAX + 1];

	while (end < n && s[end] != (brackets ? ']' : ':'))
		end++;
	memcpy(host, s + start, end - start);
	host[end - start] = 0;
	if (brackets && end++ == n)
		return false;
	if (end < n && (s[end] != ':' || strspn(s + end + 1, "0123456789") != n - end - 1 || n - end > 6))
		return false;
	if (brackets)
		return inet_pton(AF_INET6, host, octets) == 1;
	return text_is_dns_name(host) || inet_pton(AF_INET, host, octets) == 1;
}

static bool check_uri(struct san *s, struct err *e)
{
	size_t scheme = strspn(s->value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");
	size_t host;

	if (strlen(s->value) != s->n || scheme == 0 || !is_letter(s->value[0]) || strncmp(s->value + scheme, "://", 3) != 0)
		return bad_name(e, s, "must have a scheme and a host (scheme://host/…)");
	host = strcspn(s->value + scheme + 3, "/?#");
	if (!is_authority(s->value + scheme + 3, host))
		return bad_name(e, s, "must have a DNS name or an IP address as its host (scheme://host/…)");
	for (size_t i = 0; i < s->n; i++)
		if (s->value[i] <= 0x20 || s->value[i] >= 0x7f)
			return bad_name(e, s, "must be ASCII without blanks");
	lower(s->value, scheme + 3 + host);
	return true;
}

static bool check_upn(struct san *s, struct err *e)
{
	const char *at = strchr(s->value, '@');

	if (strlen(s->value) != s->n || !text_is_clean_utf8(s->value, s->n) || at == NULL || at == s->value || at[1] == 0 ||
	    strchr(at + 1, '@') != NULL || strchr(s->value, ' ') != NULL)
		return bad_name(e, s, "must be user@domain without blanks");
	return true;
}

bool san_check(struct san *s, struct err *e)
{
	if (s->n == 0 || s->n > SAN_VALUE_MAX)
		return err_set(e, ERR_BAD_NAME, "an alternative name is empty or longer than %d octets", SAN_VALUE_MAX);
	switch (s->type) {
	case SAN_DNS:
		return check_dns(s, e);
	case SAN_IP:
		return s->n == 4 || s->n == 16 || err_set(e, ERR_BAD_NAME, "an IP address has 4 or 16 octets, not %zu", s->n);
	case SAN_EMAIL:
		return check_email(s, e);
	case SAN_URI:
		return check_uri(s, e);
	case SAN_UPN:
		return check_upn(s, e);
	default:
		return err_set(e, ERR_BAD_NAME, "unknown type of alternative name");
	}
}

static bool set_value(struct san *s, enum san_type type, const void *p, size_t n, struct err *e)
{
	s->type = type;
	if (n > SAN_VALUE_MAX)
		return err_set(e, ERR_BAD_NAME, "an alternative name is longer than %d octets", SAN_VALUE_MAX);
	memcpy(s->value, p, n);
	s->value[n] = 0;
	s->n = n;
	return true;
}

static bool parse_ip(struct san *s, const char *text, struct err *e)
{
	unsigned char octets[16];
	char safe[80];

	if (inet_pton(AF_INET, text, octets) == 1)
		return set_value(s, SAN_IP, octets, 4, e);
	if (inet_pton(AF_INET6, text, octets) == 1)
		return set_value(s, SAN_IP, octets, 16, e);
	return err_set(e, ERR_BAD_NAME, "'%s' is no IPv4 or IPv6 address", shown(text, strlen(text), safe));
}

bool san_from_text(struct san *out, const char *text, bool wildcard_alone, struct err *e)
{
	const char *colon = strchr(text, ':');
	char safe[80];

	*out = (struct san){ 0 };
	for (int t = 1; colon != NULL && t < SAN_TYPE_COUNT; t++) {
		if (strlen(san_words[t]) != (size_t)(colon - text) || strncmp(text, san_words[t], strlen(san_words[t])) != 0)
			continue;
		if (t == SAN_IP)
			return parse_ip(out, colon + 1, e);
		if (!set_value(out, (enum san_type)t, colon + 1, strlen(colon + 1), e))
			return false;
		if (t == SAN_DNS && wildcard_alone && strcmp(out->value, "*") == 0)
			return true;
		return san_check(out, e);
	}
	return err_set(e, ERR_BAD_NAME, "'%s' is no TYPE:VALUE; types are dns, ip, email, uri, upn",
	               shown(text, strlen(text), safe));
}

void san_to_text(const struct san *s, char *out, size_t size)
{
	char ip[INET6_ADDRSTRLEN];

	if (s->type == SAN_IP)
		snprintf(out, size, "ip:%s", inet_ntop(s->n == 4 ? AF_INET : AF_INET6, s->value, ip, sizeof ip));
	else
		snprintf(out, size, "%s:%s", san_type_name(s->type), s->value);
}

static int compare(const struct san *a, const struct san *b)
{
	size_t n = a->n < b->n ? a->n : b->n;
	int c = (int)a->type - (int)b->type;

	if (c == 0)
		c = memcmp(a->value, b->value, n);
	return c != 0 ? c : (a->n > b->n) - (a->n < b->n);
}

void san_list_normalise(struct san_list *l)
{
	size_t kept = 0;

	/* At most a hundred, nearly always one or two: insertion sort allocates nothing. */
	for (size_t i = 1; i < l->n; i++) {
		struct san s = l->v[i];
		size_t k = i;

		for (; k > 0 && compare(&l->v[k - 1], &s) > 0; k--)
			l->v[k] = l->v[k - 1];
		l->v[k] = s;
	}
	for (size_t i = 0; i < l->n; i++)
		if (kept == 0 || compare(&l->v[kept - 1], &l->v[i]) != 0) {
			if (kept != i)
				l->v[kept] = l->v[i];
			kept++;
		}
	l->n = kept;
}

bool san_list_has(const struct san_list *l, const struct san *s)
{
	for (size_t i = 0; i < l->n; i++)
		if (compare(&l->v[i], s) == 0)
			return true;
	return false;
}

bool san_list_equal(const struct san_list *a, const struct san_list *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (compare(&a->v[i], &b->v[i]) != 0)
			return false;
	return true;
}

/* 1.3.6.1.4.1.311.20.2.3 */
static const uint8_t oid_upn[] = { 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x14, 0x02, 0x03 };

static bool parse_other(struct san *s, struct der *in, struct err *e)
{
	struct span oid = der_span(in, DER_OID);
	struct der value = der_in(in, DER_CONTEXT_CONS | 0);
	struct span text = der_span(&value, DER_UTF8);

	if (!der_done(in) || !der_done(&value) || oid.n != sizeof oid_upn || memcmp(oid.p, oid_upn, oid.n) != 0)
		return err_set(e, ERR_BAD_NAME, "an otherName in the request is none that is issued here (UPN alone is)");
	return set_value(s, SAN_UPN, text.p, text.n, e);
}

static bool parse_general_name(struct san *s, struct der *names, struct err *e)
{
	static const struct {
		int tag;
		enum san_type type;
	} simple[] = {
		{ DER_CONTEXT | 1, SAN_EMAIL }, { DER_CONTEXT | 2, SAN_DNS }, { DER_CONTEXT | 6, SAN_URI }, { DER_CONTEXT | 7, SAN_IP },
	};
	struct der in;
	int tag;

	der_any(names, &tag, &in);
	if (in.bad)
		return err_set(e, ERR_BAD_NAME, "the alternative names are no DER");
	if (tag == (DER_CONTEXT_CONS | 0))
		return parse_other(s, &in, e);
	for (size_t i = 0; i < COUNT_OF(simple); i++)
		if (simple[i].tag == tag)
			return set_value(s, simple[i].type, in.p, (size_t)(in.end - in.p), e);
	return err_set(e, ERR_BAD_NAME, "an alternative name of type [%d] is not issued here; use dns, ip, email, uri or upn",
	               tag & 0x1f);
}

bool san_list_parse(struct san_list *out, struct span content, struct err *e)
{
	struct der d = der_of_span(content);

	out->n = 0;
	if (der_empty(&d))
		return err_set(e, ERR_BAD_NAME, "the list of alternative names is empty");
	while (!der_empty(&d)) {
		if (out->n == SAN_MAX)
			return err_set(e, ERR_BAD_NAME, "more than %d alternative names", SAN_MAX);
		if (!parse_general_name(&out->v[out->n], &d, e) || !san_check(&out->v[out->n], e))
			return false;
		out->n++;
	}
	if (d.bad)
		return err_set(e, ERR_BAD_NAME, "the alternative names are no DER");
	san_list_normalise(out);
	return true;
}

/* RFC 5280, 4.2.1.6: what is left out is a name all the same; malformed, the whole extension is to others. */
static bool general_name_is_well_formed(int tag, struct der in)
{
	struct der value, inside;
	struct span oid;
	int t;

	switch (tag) {
	case DER_CONTEXT_CONS | 0:
		oid = der_span(&in, DER_OID);
		value = der_in(&in, DER_CONTEXT_CONS | 0);
		der_any(&value, &t, &inside);
		return der_done(&in) && der_done(&value) && der_is_oid(oid) && der_is_value(t, der_rest(&inside));
	case DER_CONTEXT_CONS | 4:
		return name_is_well_formed(der_rest(&in));
	case DER_CONTEXT | 8:
		return der_is_oid(der_rest(&in));
	default:
		return tag == (DER_CONTEXT | 1) || tag == (DER_CONTEXT | 2) || tag == (DER_CONTEXT | 6) || tag == (DER_CONTEXT | 7);
	}
}

bool san_list_parse_foreign(struct san_list *out, struct span content)
{
	struct der d = der_of_span(content);

	out->n = 0;
	while (!der_empty(&d)) {
		struct der one = d, in;
		int tag;

		der_any(&d, &tag, &in);
		if (d.bad || !general_name_is_well_formed(tag, in))
			return false;
		if (out->n < SAN_MAX && parse_general_name(&out->v[out->n], &one, NULL) && san_check(&out->v[out->n], NULL))
			out->n++;
	}
	san_list_normalise(out);
	return !d.bad;
}

static void put_general_name(struct buf *out, const struct san *s)
{
	static const int tags[SAN_TYPE_COUNT] = {
		[SAN_DNS] = DER_CONTEXT | 2, [SAN_IP] = DER_CONTEXT | 7, [SAN_EMAIL] = DER_CONTEXT | 1, [SAN_URI] = DER_CONTEXT | 6,
	};
	size_t other, value;

	if (s->type != SAN_UPN) {
		der_put(out, tags[s->type], s->value, s->n);
		return;
	}
	other = der_begin(out, DER_CONTEXT_CONS | 0);
	der_put(out, DER_OID, oid_upn, sizeof oid_upn);
	value = der_begin(out, DER_CONTEXT_CONS | 0);
	der_put(out, DER_UTF8, s->value, s->n);
	der_end(out, value);
	der_end(out, other);
}

void san_list_der(struct buf *out, const struct san_list *l)
{
	size_t mark = der_begin(out, DER_SEQUENCE);

	for (size_t i = 0; i < l->n; i++)
		put_general_name(out, &l->v[i]);
	der_end(out, mark);
}

void san_list_put(struct buf *b, const struct san_list *l)
{
	wr_u16(b, (uint16_t)l->n);
	for (size_t i = 0; i < l->n; i++) {
		wr_u8(b, (uint8_t)l->v[i].type);
		wr_span(b, l->v[i].value, l->v[i].n);
	}
}

void san_list_get(struct rd *r, struct san_list *l)
{
	size_t n = rd_u16(r);

	l->n = 0;
	if (n > SAN_MAX)
		r->bad = true;
	for (size_t i = 0; i < n && !r->bad; i++) {
		struct san *s = &l->v[i];
		struct span v;
		uint8_t type = rd_u8(r);

		v = rd_span(r, SAN_VALUE_MAX);
		if (r->bad || type == 0 || type >= SAN_TYPE_COUNT || !set_value(s, (enum san_type)type, v.p, v.n, NULL) ||
		    !san_check(s, NULL) || memcmp(s->value, v.p, v.n) != 0) /* who sends, normalises */
			r->bad = true;
		else
			l->n++;
	}
}
