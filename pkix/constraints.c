/* SPDX-License-Identifier: Apache-2.0 */
#include "pkix/constraints.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool bad(struct err *e, const char *why)
{
	return err_set(e, ERR_BAD_CERT, "nameConstraints: %s (RFC 5280, 4.2.1.10)", why);
}

/* --- Reading */

/* Address, then a mask of ones followed by zeros. */
static bool is_network(struct span base)
{
	const uint8_t *mask = base.p + base.n / 2;
	bool zero = false;

	if (base.n != 8 && base.n != 32)
		return false;
	for (size_t i = 0; i < base.n / 2 * 8; i++) {
		bool bit = (mask[i / 8] >> (7 - i % 8) & 1) != 0;

		if (bit && zero)
			return false;
		zero |= !bit;
	}
	return true;
}

static bool take_base(struct constraint *c, struct der *subtree, struct err *e)
{
	struct der inside;
	int tag;
	struct span whole = der_any(subtree, &tag, &inside);

	if (subtree->bad)
		return bad(e, "malformed");
	c->base = (struct span){ inside.p, (size_t)(inside.end - inside.p) };
	switch (tag) {
	case DER_CONTEXT | 1:
		c->type = CONSTRAINT_EMAIL;
		break;
	case DER_CONTEXT | 2:
		c->type = CONSTRAINT_DNS;
		if (c->base.n != 0 && c->base.p[0] == '.')
			return bad(e, "a dNSName with a leading dot");
		break;
	case DER_CONTEXT_CONS | 4: {
		struct dn dn;

		c->type = CONSTRAINT_DIRECTORY;
		c->base = der_whole(&inside, DER_SEQUENCE);
		if (!der_done(&inside) || !dn_parse(&dn, c->base, NULL, NULL))
			return bad(e, "a malformed directoryName");
		break;
	}
	case DER_CONTEXT | 6:
		c->type = CONSTRAINT_URI;
		break;
	case DER_CONTEXT | 7:
		c->type = CONSTRAINT_IP;
		if (!is_network(c->base))
			return bad(e, "an iPAddress that is no address with a mask");
		return true;
	default:
		(void)whole;
		return bad(e, "names of a type that can't be judged");
	}
	if (c->type != CONSTRAINT_DIRECTORY)
		for (size_t i = 0; i < c->base.n; i++)
			if (c->base.p[i] <= 0x20 || c->base.p[i] >= 0x7f)
				return bad(e, "a name with a character that is none");
	return true;
}

static bool take_list(struct constraints *out, struct der list, bool excluded, struct err *e)
{
	if (der_empty(&list))
		return bad(e, "an empty list");
	while (!der_empty(&list)) {
		struct der subtree = der_in(&list, DER_SEQUENCE);
		struct constraint *c = &out->v[out->n];

		if (list.bad || out->n == CONSTRAINT_MAX)
			return bad(e, list.bad ? "malformed" : "too many");
		*c = (struct constraint){ .excluded = excluded };
		if (!take_base(c, &subtree, e))
			return false;
		/* minimum is 0 and so left out, maximum is absent. */
		if (!der_done(&subtree))
			return bad(e, "a minimum or maximum");
		out->n++;
	}
	return !list.bad || bad(e, "malformed");
}

bool constraints_parse(struct constraints *out, struct span der, struct err *e)
{
	struct der d = der_of_span(der), in = der_in(&d, DER_SEQUENCE), list;

	out->n = 0;
	if (der_optional(&in, DER_CONTEXT_CONS | 0, &list) && !take_list(out, list, false, e))
		return false;
	if (der_optional(&in, DER_CONTEXT_CONS | 1, &list) && !take_list(out, list, true, e))
		return false;
	if (!der_done(&in) || !der_done(&d))
		return bad(e, "malformed");
	return out->n != 0 || bad(e, "empty");
}

/* --- Judging */

/* name is base, or ends in "." base. An empty base is above all. */
static bool below(const char *name, size_t n, struct span base)
{
	if (base.n == 0)
		return true;
	if (n < base.n || strncasecmp(name + n - base.n, (const char *)base.p, base.n) != 0)
		return false;
	return n == base.n || name[n - base.n - 1] == '.';
}

/* "host": this one. ".domain": those below it, not itself. */
static bool host_matches(const char *host, size_t n, struct span base)
{
	if (base.n != 0 && base.p[0] == '.')
		return n > base.n && strncasecmp(host + n - base.n, (const char *)base.p, base.n) == 0;
	return base.n == 0 || (n == base.n && strncasecmp(host, (const char *)base.p, n) == 0);
}

static bool dns_matches(const char *name, struct span base, bool excluded)
{
	size_t n = strlen(name);

	if (strncmp(name, "*.", 2) != 0)
		return below(name, n, base);
	/* Permitted: all that the wildcard covers is below base. Excluded: some of it is. */
	if (below(name + 2, n - 2, base))
		return true;
	return excluded && base.n > n - 2 && below((const char *)base.p, base.n, (struct span){ (const uint8_t *)name + 2, n - 2 });
}

static bool email_matches(const char *mailbox, struct span base)
{
	const char *at = strrchr(mailbox, '@');
	const uint8_t *base_at = base.n != 0 ? memrchr(base.p, '@', base.n) : NULL;
	size_t local = at != NULL ? (size_t)(at - mailbox) : 0, base_local = base_at != NULL ? (size_t)(base_at - base.p) : 0;

	if (at == NULL)
		return false;
	if (base_at == NULL)
		return host_matches(at + 1, strlen(at + 1), base);
	/* One mailbox: the local part to the letter, the host whatever its case. */
	return local == base_local && memcmp(mailbox, base.p, local) == 0 && strlen(at) == base.n - base_local &&
	       strncasecmp(at, (const char *)base_at, base.n - base_local) == 0;
}

/* The host between "//" (and user information) and port or path; an address is no host (RFC 5280: refused). */
static bool uri_host(const char *uri, const char **host, size_t *n)
{
	const char *p = strstr(uri, "://");
	size_t authority;

	if (p == NULL)
		return false;
	p += 3;
	authority = strcspn(p, "/?#");
	for (size_t i = authority; i > 0; i--)
		if (p[i - 1] == '@') {
			p += i;
			authority -= i;
			break;
		}
	*host = p;
	*n = 0;
	while (*n < authority && p[*n] != ':')
		++*n;
	return *n != 0 && p[0] != '[' && strspn(p, "0123456789.") < *n;
}

static bool ip_matches(const struct san *s, struct span base)
{
	const uint8_t *mask = base.p + base.n / 2;

	if (base.n != 2 * s->n)
		return false;
	for (size_t i = 0; i < s->n; i++)
		if ((((uint8_t)s->value[i] ^ base.p[i]) & mask[i]) != 0)
			return false;
	return true;
}

/* base is the beginning of the subject: attribute by attribute, whatever the case and the kind of string. */
static bool directory_matches(const struct dn *subject, struct span base)
{
	struct dn above;

	if (!dn_parse(&above, base, NULL, NULL) || above.n > subject->n)
		return false;
	for (size_t i = 0; i < above.n; i++)
		if (above.attr[i].type != subject->attr[i].type || strcasecmp(above.attr[i].value, subject->attr[i].value) != 0)
			return false;
	return true;
}

static bool matches(const struct constraint *c, const struct san *s, const struct dn *subject)
{
	const char *host;
	size_t n;

	switch (c->type) {
	case CONSTRAINT_DNS:
		return dns_matches(s->value, c->base, c->excluded);
	case CONSTRAINT_EMAIL:
		return email_matches(s->value, c->base);
	case CONSTRAINT_URI:
		/* One that can't be judged is in no permitted tree, and in every excluded one. */
		return uri_host(s->value, &host, &n) ? host_matches(host, n, c->base) : c->excluded;
	case CONSTRAINT_IP:
		return ip_matches(s, c->base);
	default:
		return directory_matches(subject, c->base);
	}
}

static bool within(const struct constraints *c, enum constraint_type type, const struct san *s, const struct dn *subject,
                   const char *shown, struct err *e)
{
	bool some = false, in = false;

	for (size_t i = 0; i < c->n; i++) {
		if (c->v[i].type != type)
			continue;
		if (c->v[i].excluded && matches(&c->v[i], s, subject))
			return err_set(e, ERR_BAD_NAME, "%.200s is among the names that the issuing authority may not certify (name constraints)", shown);
		some |= !c->v[i].excluded;
		in |= !c->v[i].excluded && matches(&c->v[i], s, subject);
	}
	return !some || in ||
	       err_set(e, ERR_BAD_NAME, "%.200s is outside the names that the issuing authority may certify (name constraints)", shown);
}

static bool check_san(const struct constraints *c, const struct san *s, struct err *e)
{
	static const enum constraint_type types[SAN_TYPE_COUNT] = { [SAN_DNS] = CONSTRAINT_DNS, [SAN_IP] = CONSTRAINT_IP,
		                                                    [SAN_EMAIL] = CONSTRAINT_EMAIL, [SAN_URI] = CONSTRAINT_URI };
	char shown[SAN_VALUE_MAX + 16];

	san_to_text(s, shown, sizeof shown);
	/* UPN is an otherName, for which there are no constraints here. */
	return types[s->type] == 0 || within(c, types[s->type], s, NULL, shown, e);
}

static bool check_attribute(const struct constraints *c, const struct dn_attr *a, struct err *e)
{
	struct san s = { .type = a->type == DN_EMAIL ? SAN_EMAIL : SAN_DNS };

	if (a->type != DN_EMAIL && (a->type != DN_CN || !text_is_dns_name(a->value)))
		return true;
	s.n = strlen(a->value);
	snprintf(s.value, sizeof s.value, "%.255s", a->value);
	return within(c, a->type == DN_EMAIL ? CONSTRAINT_EMAIL : CONSTRAINT_DNS, &s, NULL, a->value, e);
}

bool constraints_check(const struct constraints *c, const struct dn *subject, const struct san_list *san, struct err *e)
{
	char shown[600];

	for (size_t i = 0; san != NULL && i < san->n; i++)
		if (!check_san(c, &san->v[i], e))
			return false;
	if (subject->n == 0)
		return true;
	dn_text(subject, shown, sizeof shown);
	if (!within(c, CONSTRAINT_DIRECTORY, NULL, subject, shown, e))
		return false;
	for (size_t i = 0; i < subject->n; i++)
		if (!check_attribute(c, &subject->attr[i], e))
			return false;
	return true;
}
