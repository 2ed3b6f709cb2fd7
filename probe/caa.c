/* SPDX-License-Identifier: Apache-2.0
 *
 * CAA (RFC 8659) with the parameters of RFC 8657. */
#include "probe/dns.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { CRITICAL = 0x80 };

static struct span trimmed(struct span s)
{
	while (s.n != 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
		s.p++, s.n--;
	while (s.n != 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

/* Up to the separator, which is taken too. */
static struct span piece(struct span *rest, char separator)
{
	const uint8_t *at = rest->n != 0 ? memchr(rest->p, separator, rest->n) : NULL;
	struct span s = { rest->p, at != NULL ? (size_t)(at - rest->p) : rest->n };

	rest->p += at != NULL ? s.n + 1 : s.n;
	rest->n -= at != NULL ? s.n + 1 : s.n;
	return trimmed(s);
}

static bool is_text(struct span s, const char *text)
{
	return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

static bool is_word(struct span s, const char *text)
{
	return s.n == strlen(text) && strncasecmp((const char *)s.p, text, s.n) == 0;
}

static bool lists(struct span value, const char *method)
{
	bool found = false;

	while (value.n != 0 && !found)
		found = is_text(piece(&value, ','), method);
	return found;
}

enum match { MATCH, OTHER_ISSUER, OTHER_ACCOUNT, OTHER_METHOD, MALFORMED };

/* RFC 8659, 4.2: issuer-domain-name, then parameters. One that is there twice satisfies nobody (RFC 8657, 3 and 4). */
static enum match judge(struct span value, const struct caa_ask *ask)
{
	bool account = false, methods = false, more = memchr(value.p, ';', value.n) != NULL;
	struct span issuer = piece(&value, ';');

	if (issuer.n == 0 || !is_word(issuer, ask->identity))
		return OTHER_ISSUER;
	while (more) {
		struct span parameter, tag;

		more = value.n != 0 && memchr(value.p, ';', value.n) != NULL;
		parameter = piece(&value, ';');
		if (parameter.n == 0)
			continue;
		if (memchr(parameter.p, '=', parameter.n) == NULL)
			return MALFORMED;
		tag = piece(&parameter, '=');
		parameter = trimmed(parameter);
		if (is_word(tag, "accounturi")) {
			if (account || !is_text(parameter, ask->account_uri))
				return OTHER_ACCOUNT;
			account = true;
		}
		if (is_word(tag, "validationmethods")) {
			if (methods || !lists(parameter, ask->method))
				return OTHER_METHOD;
			methods = true;
		}
	}
	return MATCH;
}

static bool is_understood(const char *tag)
{
	static const char *const tags[] = { "issue", "issuewild", "iodef", "issuemail", "contactemail", "contactphone" };

	for (size_t i = 0; i < COUNT_OF(tags); i++)
		if (strcmp(tag, tags[i]) == 0)
			return true;
	return false;
}

bool caa_allows(const struct dns_records *set, const struct caa_ask *ask, char *why, size_t size)
{
	static const char *const reasons[] = {
		[OTHER_ISSUER] = "they name other authorities", [OTHER_ACCOUNT] = "their accounturi is another account's",
		[OTHER_METHOD] = "their validationmethods do not list this challenge's type", [MALFORMED] = "a parameter is malformed",
	};
	enum match nearest = OTHER_ISSUER;
	bool wild = false, restricted = false, allowed = false;
	struct caa_record r;

	for (unsigned i = 0; ask->wildcard && i < set->n; i++)
		wild = wild || (dns_caa(&r, set->rdata[i], NULL) && strcmp(r.tag, "issuewild") == 0);
	for (unsigned i = 0; i < set->n; i++) {
		enum match m;

		if (!dns_caa(&r, set->rdata[i], NULL)) {
			snprintf(why, size, "one of them is malformed");
			return false;
		}
		/* RFC 8659, 4.1: what must be understood and is not forbids. */
		if ((r.flags & CRITICAL) != 0 && !is_understood(r.tag)) {
			snprintf(why, size, "one is critical and of an unknown kind (%s)", r.tag);
			return false;
		}
		if (strcmp(r.tag, wild ? "issuewild" : "issue") != 0)
			continue;
		restricted = true;
		m = judge(r.value, ask);
		allowed = allowed || m == MATCH;
		nearest = m != OTHER_ISSUER ? m : nearest;
	}
	if (restricted && !allowed)
		snprintf(why, size, "%s", reasons[nearest != MATCH ? nearest : OTHER_ISSUER]);
	return !restricted || allowed;
}
