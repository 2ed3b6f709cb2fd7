/* SPDX-License-Identifier: Apache-2.0 */
#include "acme/path.h"

#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* '#' an id, '@' a challenge's method, '%' the number of a chain, '*' an identifier of renewal information. */
static const struct {
	const char *pattern, *name;
} places[ACME_PLACE_COUNT] = {
	[ACME_DIRECTORY] = { "directory", "acme.directory" },
	[ACME_NEW_NONCE] = { "new-nonce", "acme.new-nonce" },
	[ACME_NEW_ACCOUNT] = { "new-account", "acme.new-account" },
	[ACME_NEW_ORDER] = { "new-order", "acme.new-order" },
	[ACME_REVOKE_CERT] = { "revoke-cert", "acme.revoke-cert" },
	[ACME_KEY_CHANGE] = { "key-change", "acme.key-change" },
	[ACME_RENEWAL_INFO] = { "renewal-info/*", "acme.renewal-info" },
	[ACME_ACCOUNT] = { "acct/#", "acme.account" },
	[ACME_ORDERS] = { "acct/#/orders", "acme.orders" },
	[ACME_ORDER] = { "order/#", "acme.order" },
	[ACME_FINALIZE] = { "order/#/finalize", "acme.finalize" },
	[ACME_AUTHORIZATION] = { "authz/#", "acme.authorization" },
	[ACME_CHALLENGE] = { "chall/#/@", "acme.challenge" },
	[ACME_CERTIFICATE] = { "cert/#", "acme.certificate" },
	[ACME_ALTERNATE] = { "cert/#/%", "acme.certificate" },
};

const char *acme_place_name(enum acme_place p)
{
	return (unsigned)p < ACME_PLACE_COUNT ? places[p].name : "acme";
}

/* Positive, without zeroes before it, at most max. */
static bool number(const char *s, size_t n, int64_t max, int64_t *out)
{
	int64_t v = 0;

	if (n == 0 || n > 19 || s[0] == '0')
		return false;
	for (size_t i = 0; i < n; i++)
		if (s[i] < '0' || s[i] > '9' || __builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, s[i] - '0', &v))
			return false;
	*out = v;
	return v <= max;
}

static bool method(const char *s, size_t n, enum acme_method *out)
{
	for (int m = ACME_HTTP_01; m <= ACME_TLS_ALPN_01; m++)
		if (strlen(acme_method_name((enum acme_method)m)) == n && memcmp(s, acme_method_name((enum acme_method)m), n) == 0) {
			*out = (enum acme_method)m;
			return true;
		}
	return false;
}

/* One segment for one sign of a pattern. */
static bool take(struct acme_target *out, char sign, const char *s, size_t n)
{
	int64_t v = 0;

	switch (sign) {
	case '#':
		return number(s, n, INT64_MAX, &out->id);
	case '@':
		return method(s, n, &out->method);
	case '%':
		if (!number(s, n, 1000, &v))
			return false;
		out->alternate = (uint32_t)v;
		return true;
	default:
		/* Its syntax is asked afterwards: a wrong one is 400, not 404. */
		snprintf(out->renewal_id, sizeof out->renewal_id, "%.*s", (int)n, s);
		return n != 0;
	}
}

static bool matches(struct acme_target *out, const char *pattern, const char *path)
{
	while (*pattern != 0) {
		size_t n = strcspn(path, "/");

		if (strchr("#@%*", *pattern) == NULL) {
			if (*path++ != *pattern++)
				return false;
			continue;
		}
		if (!take(out, *pattern++, path, n))
			return false;
		path += n;
	}
	return *path == 0;
}

static bool part_ok(const char *s, size_t n, bool serial)
{
	AUTO_BUF raw = { 0 };

	if (n == 0 || n > 64 || !b64url_get(&raw, s, n))
		return false;
	/* A positive INTEGER's content octets (X.690, 8.3.2): no zero before it but the one that keeps it positive. */
	return !serial || (raw.n <= 21 && (raw.p[0] & 0x80) == 0 && (raw.n == 1 ? raw.p[0] != 0 : raw.p[0] != 0 || (raw.p[1] & 0x80) != 0));
}

bool acme_renewal_id_ok(const char *text, size_t n)
{
	const char *dot = memchr(text, '.', n);
	size_t first = dot != NULL ? (size_t)(dot - text) : 0;

	return dot != NULL && n < ACME_RENEWAL_ID_MAX && part_ok(text, first, false) && part_ok(dot + 1, n - first - 1, true);
}

static bool take_query(struct acme_target *out, const char *query)
{
	static const char cursor[] = "cursor=";

	if (query[0] == 0)
		return true;
	return out->place == ACME_ORDERS && strncmp(query, cursor, sizeof cursor - 1) == 0 &&
	       number(query + sizeof cursor - 1, strlen(query) - sizeof cursor + 1, INT64_MAX, &out->cursor);
}

bool acme_path_parse(struct acme_target *out, const char *path, const char *query, struct refusal *r)
{
	static const char prefix[] = "/acme/";
	const char *rest;
	size_t n = 0;

	*out = (struct acme_target){ 0 };
	rest = path + sizeof prefix - 1;
	if (strncmp(path, prefix, sizeof prefix - 1) == 0)
		n = strcspn(rest, "/");
	if (n == 0 || n >= sizeof out->realm || rest[n] != '/')
		return acme_refuse_http(r, 404, "there is nothing at this path; begin with /acme/PROFILE/directory");
	memcpy(out->realm, rest, n);
	rest += n + 1;
	for (int p = 0; p < ACME_PLACE_COUNT; p++) {
		if (!matches(out, places[p].pattern, rest))
			continue;
		out->place = (enum acme_place)p;
		if (p == ACME_RENEWAL_INFO && !acme_renewal_id_ok(rest + strlen("renewal-info/"), strlen(rest) - strlen("renewal-info/")))
			return acme_refuse(r, ACME_MALFORMED, "the identifier is no AKI.SERIAL in base64url (RFC 9773, 4.1)");
		if (!take_query(out, query))
			break;
		return true;
	}
	return acme_refuse_http(r, 404, "there is nothing at this path; begin with /acme/PROFILE/directory");
}

void acme_url(struct buf *out, const char *base, const struct acme_target *t)
{
	buf_printf(out, "%s/acme/%s/", base, t->realm);
	for (const char *p = places[t->place].pattern; *p != 0; p++) {
		if (*p == '#')
			buf_printf(out, "%" PRId64, t->id);
		else if (*p == '@')
			buf_text(out, acme_method_name(t->method));
		else if (*p == '%')
			buf_printf(out, "%u", t->alternate);
		else if (*p == '*')
			buf_text(out, t->renewal_id);
		else
			buf_byte(out, (uint8_t)*p);
	}
	if (t->cursor != 0)
		buf_printf(out, "?cursor=%" PRId64, t->cursor);
}

int64_t acme_account_of(const char *url, const char *base, const char *realm)
{
	size_t n = strlen(base);
	struct acme_target t;

	if (strncmp(url, base, n) != 0 || !acme_path_parse(&t, url + n, "", NULL) || t.place != ACME_ACCOUNT || strcmp(t.realm, realm) != 0)
		return 0;
	return t.id;
}
