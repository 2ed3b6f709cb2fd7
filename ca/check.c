/* SPDX-License-Identifier: Apache-2.0
 *
 * ca does not trust ra: whatever an ISSUE says is held against the profile and the issuer once more. */
#include "ca/internal.h"

#include "base/clock.h"
#include "pkix/oid.h"

#include <string.h>

static bool no(struct err *e, const struct profile *p, const char *what)
{
	return err_set(e, ERR_POLICY, "profile %s does not allow it: %s", p->name, what);
}

bool names_check(const struct authority *a, const struct dn *subject, const struct san_list *san, struct err *e)
{
	for (; a != NULL; a = a->parent)
		if (a->constraints != NULL && !constraints_check(a->constraints, subject, san, e))
			return false;
	return true;
}

static bool check_times(const struct profile *p, const struct issuer *is, const struct ca_issue *i, int64_t now, struct err *e)
{
	int64_t early = p->backdate + 10 * US_PER_MINUTE;

	if (i->not_before % US_PER_SECOND != 0 || i->not_after % US_PER_SECOND != 0 || i->not_after < i->not_before)
		return no(e, p, "validity is not two whole seconds in order");
	if (i->not_before < is->not_before || i->not_after > is->not_after)
		return no(e, p, "validity outside the issuer's");
	/* Both end seconds count (X509-06). */
	if (i->not_after - i->not_before + US_PER_SECOND > p->validity)
		return no(e, p, "validity longer than the profile's");
	if (i->not_before < now - early || i->not_before > now + 10 * US_PER_MINUTE)
		return no(e, p, "notBefore is not now; look at the clocks");
	return true;
}

static bool check_subject(const struct profile *p, const struct ca_issue *i, struct err *e)
{
	size_t fixed = i->subject.n != 0 && i->subject.attr[0].type == DN_CN ? 1 : 0;

	if (i->subject.n == 0)
		return i->san.n != 0 || no(e, p, "neither a subject nor an alternative name");
	if (i->subject.n - fixed != p->subject_n)
		return no(e, p, "subject attributes other than CN and the profile's own");
	for (size_t k = 0; k < p->subject_n; k++) {
		enum dn_type type;

		if (!dn_type_parse(p->subject[k].type, &type) || i->subject.attr[fixed + k].type != type ||
		    strcmp(i->subject.attr[fixed + k].value, p->subject[k].value) != 0)
			return no(e, p, "subject attributes other than CN and the profile's own");
	}
	return dn_check(&i->subject, e);
}

/* X509-32: CN equals one of the names. */
static bool cn_is_san(const struct ca_issue *i)
{
	const char *cn = dn_first(&i->subject, DN_CN);
	char text[SAN_VALUE_MAX + 8];

	for (size_t k = 0; cn != NULL && k < i->san.n; k++) {
		san_to_text(&i->san.v[k], text, sizeof text);
		if (strcasecmp(strchr(text, ':') + 1, cn) == 0)
			return true;
	}
	return cn == NULL;
}

static bool check_names(const struct profile *p, const struct ca_issue *i, struct err *e)
{
	for (size_t k = 0; k < i->san.n; k++) {
		struct san s = i->san.v[k];

		if ((p->san_types >> s.type & 1) == 0)
			return no(e, p, "an alternative name of this type");
		if (!san_check(&s, e))
			return false;
		if (memcmp(s.value, i->san.v[k].value, s.n) != 0)
			return no(e, p, "a name that is not lower case");
		if (s.type == SAN_DNS && s.value[0] == '*' && !p->wildcard)
			return no(e, p, "a wildcard");
	}
	if (p->san_required && i->san.n == 0)
		return no(e, p, "no alternative name");
	if (p->cn == CN_MUST_BE_SAN && !cn_is_san(i))
		return no(e, p, "a CN that is none of the alternative names");
	return true;
}

static bool check_issuer(const struct profile *p, const struct issuer *is, const struct ca_issue *i, struct err *e)
{
	if (strcmp(p->authority, "*") != 0 && strcmp(p->authority, i->gen.name) != 0)
		return no(e, p, "another authority");
	/* X509-41: an authority signs only within its own purposes; its responder is the exception. */
	for (size_t k = 0; k < p->eku_n; k++)
		if (is->cert->has_eku && strcmp(p->eku[k], OID_OCSP_SIGNING) != 0 && !cert_has_eku(is->cert, p->eku[k]))
			return no(e, p, "a purpose that its authority does not have");
	if (!is->cert->is_ca || is->cert->path_len != 0)
		return no(e, p, "issuing by this authority");
	return true;
}

static bool check_serial(const struct profile *p, const struct ca_issue *i, struct err *e)
{
	/* X509-01: 16 octets, bit 7 of the first clear, bit 6 set. */
	return (i->serial.n == 16 && (i->serial.v[0] & 0xc0) == 0x40) || no(e, p, "a serial number of this form");
}

bool issue_check(const struct profile *p, const struct issuer *is, const struct ca_issue *i, int64_t now, struct err *e)
{
	if (i->eku_mask >> p->eku_n != 0)
		return no(e, p, "purposes that it does not have");
	return check_issuer(p, is, i, e) && check_serial(p, i, e) && check_times(p, is, i, now, e) && check_subject(p, i, e) &&
	       check_names(p, i, e);
}

bool issue_check_csr(const struct profile *p, const struct csr *csr, struct err *e)
{
	if (csr->asks_ca || csr->asks_constraints || csr->asks_policies)
		return no(e, p, "a request for an authority's rights");
	if ((p->key_types & csr->key.type) == 0)
		return err_set(e, ERR_BAD_KEY, "profile %s does not take keys of this type", p->name);
	if (csr->key.type == KEY_RSA && csr->key.bits < p->rsa_min_bits)
		return err_set(e, ERR_BAD_KEY, "RSA key of %u bits; profile %s wants %u", csr->key.bits, p->name, p->rsa_min_bits);
	return true;
}
