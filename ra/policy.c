/* SPDX-License-Identifier: Apache-2.0 */
#include "ra/policy.h"

#include "base/clock.h"
#include "base/der.h"

#include <string.h>
#include <strings.h>

static bool below(const char *name, const char *rule)
{
	size_t n = strlen(name), r = strlen(rule);

	/* rule is "*.ward3.example": any depth below, not ward3.example itself. */
	return n > r - 1 && strcmp(name + n - (r - 1), rule + 1) == 0;
}

static bool rule_allows(const struct san *rule, const struct san *s)
{
	if (rule->type != s->type)
		return false;
	if (s->type == SAN_DNS && strcmp(rule->value, "*") == 0)
		return s->value[0] != '*';
	if (s->type == SAN_DNS && strncmp(rule->value, "*.", 2) == 0)
		return strcmp(s->value, rule->value) == 0 || below(s->value[0] == '*' ? s->value + 1 : s->value, rule->value);
	return rule->n == s->n && memcmp(rule->value, s->value, s->n) == 0;
}

bool policy_name_allowed(const struct policy_names *n, const struct san *s)
{
	if (n->any)
		return true;
	if (s->type == SAN_DNS && strcasecmp(s->value, n->name) == 0)
		return true;
	for (size_t i = 0; i < n->rule_n; i++)
		if (rule_allows(&n->rule[i], s))
			return true;
	return false;
}

static bool outside(struct err *e, const struct policy_names *n, const char *what)
{
	return err_set(e, ERR_BAD_NAME, "%s is not among the names that %s may have; ask for one that is, or have an officer add it "
	                                "(device add --san)", what, n->name);
}

/* A CN is allowed like a dNSName, an address or an e-mail of the same text. */
static bool cn_allowed(const struct policy_names *n, const char *cn)
{
	static const char *const types[] = { "dns:", "ip:", "email:", "uri:" };
	struct san s;

	if (n->any || strcasecmp(cn, n->name) == 0)
		return true;
	for (size_t i = 0; i < COUNT_OF(types); i++) {
		AUTO_FREE char *text = mem_printf("%s%s", types[i], cn);

		if (san_from_text(&s, text, false, NULL) && policy_name_allowed(n, &s))
			return true;
	}
	return false;
}

static bool grant_san(struct grant *g, const struct profile *p, const struct policy_names *n, const struct csr *csr, struct err *e)
{
	char text[SAN_VALUE_MAX + 8];

	g->san.n = 0;
	for (size_t i = 0; csr->has_san && i < csr->san.n; i++) {
		const struct san *s = &csr->san.v[i];

		san_to_text(s, text, sizeof text);
		if ((p->san_types >> s->type & 1) == 0)
			return err_set(e, ERR_BAD_NAME, "%s: profile %s has no names of this type", text, p->name);
		if (s->type == SAN_DNS && s->value[0] == '*' && !p->wildcard)
			return err_set(e, ERR_BAD_NAME, "%s: profile %s takes no wildcards", text, p->name);
		if (!policy_name_allowed(n, s))
			return outside(e, n, text);
		g->san.v[g->san.n++] = *s;
	}
	return true;
}

/* Without any in the request: NAME, or the CN of an officer's request, when it is a host name. */
static bool default_san(struct grant *g, const struct profile *p, const char *name)
{
	AUTO_FREE char *text = mem_printf("dns:%s", name);

	if (g->san.n != 0 || (p->san_types >> SAN_DNS & 1) == 0)
		return true;
	if (!text_is_dns_name(name))
		return true;
	g->san.n = san_from_text(&g->san.v[0], text, false, NULL) ? 1 : 0;
	return true;
}

static bool cn_is_san(const struct grant *g, const char *cn)
{
	char text[SAN_VALUE_MAX + 8];

	for (size_t i = 0; i < g->san.n; i++) {
		san_to_text(&g->san.v[i], text, sizeof text);
		if (strcasecmp(strchr(text, ':') + 1, cn) == 0)
			return true;
	}
	return false;
}

static bool grant_subject(struct grant *g, const struct profile *p, const struct policy_names *n, const struct csr *csr, struct err *e)
{
	const char *asked = dn_first(&csr->dn, DN_CN), *cn;

	g->subject.n = 0;
	g->dn_ignored = csr->dn_ignored + (unsigned)csr->dn.n - (asked != NULL);
	if (asked != NULL && !cn_allowed(n, asked))
		return outside(e, n, asked);
	cn = asked != NULL ? asked : n->any ? NULL : n->name;
	if (!default_san(g, p, cn != NULL ? cn : ""))
		return false;
	if (cn != NULL && (strlen(cn) > 64 || (p->cn == CN_MUST_BE_SAN && !cn_is_san(g, cn)))) {
		/* Dropped, never truncated; but a CN that was asked for and is no name is said. */
		if (asked != NULL && strlen(cn) <= 64)
			return err_set(e, ERR_BAD_NAME, "CN %s must be one of the alternative names under profile %s", cn, p->name);
		g->cn_dropped = true;
		cn = NULL;
	}
	if (cn != NULL && !dn_add(&g->subject, DN_CN, cn))
		return err_set(e, ERR_BAD_NAME, "CN is too long");
	for (size_t i = 0; i < p->subject_n; i++) {
		enum dn_type type;

		if (!dn_type_parse(p->subject[i].type, &type) || !dn_add(&g->subject, type, p->subject[i].value))
			return err_set(e, ERR_POLICY, "profile %s: subject attribute %s can't be used", p->name, p->subject[i].type);
	}
	return dn_check(&g->subject, e);
}

/* X509-16: a request may narrow the purposes, never widen them. */
static bool grant_purposes(struct grant *g, const struct profile *p, const struct csr *csr, struct err *e)
{
	struct der d = der_of_span(csr->eku), in = der_in(&d, DER_SEQUENCE);
	char text[64];

	g->eku_mask = 0;
	if (csr->eku.n == 0)
		return true;
	while (!der_empty(&in)) {
		struct span oid = der_span(&in, DER_OID);
		bool found = false;

		if (in.bad || !der_oid_text(oid, text, sizeof text))
			return err_set(e, ERR_BAD_CSR, "malformed extendedKeyUsage");
		for (size_t i = 0; i < p->eku_n; i++)
			if (strcmp(p->eku[i], text) == 0) {
				g->eku_mask |= 1u << i;
				found = true;
			}
		if (!found)
			return err_set(e, ERR_POLICY, "the request asks for purpose %s (extendedKeyUsage), which profile %s does not have; "
			                              "leave it out", text, p->name);
	}
	return true;
}

/* subjectAltName, keyUsage, basicConstraints, extendedKeyUsage, subjectKeyIdentifier are read or harmless. */
static bool known_extension(struct span oid)
{
	static const uint8_t last[] = { 14, 15, 17, 19, 37 };

	for (size_t i = 0; i < sizeof last; i++)
		if (oid.n == 3 && oid.p[0] == 0x55 && oid.p[1] == 0x1d && oid.p[2] == last[i])
			return true;
	return false;
}

static bool grant_extensions(struct grant *g, const struct profile *p, const struct csr *csr, struct err *e)
{
	char text[80] = "?";

	g->ext_ignored = 0;
	for (size_t i = 0; i < csr->ext_n; i++) {
		if (known_extension(csr->ext_oid[i]))
			continue;
		if (p->reject_unknown_ext) {
			(void)!der_oid_text(csr->ext_oid[i], text, sizeof text);
			return err_set(e, ERR_POLICY, "the request asks for extension %s, which profile %s does not take", text, p->name);
		}
		g->ext_ignored++;
	}
	return true;
}

static bool check_key(const struct profile *p, const struct csr *csr, struct err *e)
{
	char name[16];

	key_name(&csr->key, name, sizeof name);
	if ((p->key_types & csr->key.type) == 0)
		return err_set(e, ERR_BAD_KEY, "profile %s does not take %s keys", p->name, name);
	if (csr->key.type == KEY_RSA && csr->key.bits < p->rsa_min_bits)
		return err_set(e, ERR_BAD_KEY, "RSA key of %u bits; profile %s wants at least %u", csr->key.bits, p->name, p->rsa_min_bits);
	return true;
}

bool policy_grant(struct grant *out, const struct profile *p, const struct policy_names *n, const struct csr *csr, struct err *e)
{
	out->cn_dropped = false;
	if (csr->asks_ca)
		return err_set(e, ERR_POLICY, "the request asks to be an authority (basicConstraints or keyUsage); leave that out");
	if (csr->asks_constraints || csr->asks_policies)
		return err_set(e, ERR_POLICY, "the request asks for %s; leave that out",
		               csr->asks_constraints ? "name or policy constraints" : "certificate policies");
	if (!check_key(p, csr, e) || !grant_extensions(out, p, csr, e) || !grant_purposes(out, p, csr, e) ||
	    !grant_san(out, p, n, csr, e) || !grant_subject(out, p, n, csr, e))
		return false;
	san_list_normalise(&out->san);
	if (p->san_required && out->san.n == 0)
		return err_set(e, ERR_BAD_NAME, "profile %s needs an alternative name (subjectAltName) in the request", p->name);
	if (out->subject.n == 0 && out->san.n == 0)
		return err_set(e, ERR_BAD_NAME, "the request names nobody: neither CN nor alternative name");
	return true;
}

static int64_t whole(int64_t us)
{
	return us - us % US_PER_SECOND;
}

bool policy_validity(struct validity *out, const struct profile *p, int64_t issuer_not_before, int64_t issuer_not_after, int64_t now,
                     struct err *e)
{
	int64_t start = whole(now) - p->backdate;

	if (start < issuer_not_before)
		start = issuer_not_before;
	out->not_before = start;
	out->not_after = start + p->validity - US_PER_SECOND;
	out->clamped = out->not_after > issuer_not_after;
	if (!out->clamped)
		return true;
	out->not_after = issuer_not_after;
	if (!p->clamp || out->not_after - whole(now) < p->min_validity)
		return err_set(e, ERR_POLICY, "the issuing authority expires too soon for profile %s; an officer must renew it", p->name);
	return true;
}
