/* SPDX-License-Identifier: Apache-2.0
 *
 * The gate before the token: every rule over the finished tbsCertificate. An id is for ever; CA_LINT_VERSION rises with the
 * list. All of them are errors: what would be a warning is not issued here either. */
#include "ca/internal.h"
#include "ca/lint_reader.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { EXT_MAX = 16 };

struct view {
	const struct lint_context *c;
	struct tlv tbs, version, serial, alg, issuer, validity, subject, spki, exts;
	struct {
		char oid[40];      /* hexadecimal of the content octets */
		bool critical;
		struct tlv value;  /* inside the OCTET STRING */
		bool one;          /* the OCTET STRING holds just one element */
	} ext[EXT_MAX];
	size_t ext_n;
	int64_t not_before, not_after;
};

static bool bad(struct err *e, const char *id, const char *why)
{
	return err_set(e, ERR_LINT, "lint %s: %s", id, why);
}

/* --- Taking it apart */

static void oid_hex(const struct tlv *t, char out[40])
{
	size_t n = 0;

	for (size_t i = t->content; i < t->end && n + 3 < 40; i++)
		n += (size_t)snprintf(out + n, 40 - n, "%02x", t->buf[i]);
	out[n] = 0;
}

static bool take_extension(struct view *v, const struct tlv *ext)
{
	struct tlv t;

	if (ext->tag != 0x30 || v->ext_n == EXT_MAX || !tlv_first(&t, ext) || t.tag != 6)
		return false;
	oid_hex(&t, v->ext[v->ext_n].oid);
	if (!tlv_next(&t, ext))
		return false;
	v->ext[v->ext_n].critical = t.tag == 1;
	if (t.tag == 1 && (!tlv_is(&t, 1, "\xff", 1) || !tlv_next(&t, ext)))
		return false;
	if (t.tag != 4 || t.end != ext->end || !tlv_first(&v->ext[v->ext_n].value, &t))
		return false;
	v->ext[v->ext_n].one = v->ext[v->ext_n].value.end == t.end;
	v->ext_n++;
	return true;
}

static bool take_extensions(struct view *v)
{
	struct tlv list, ext;

	if (v->exts.tag != 0xa3 || !tlv_first(&list, &v->exts) || list.tag != 0x30 || list.end != v->exts.end ||
	    !tlv_first(&ext, &list))
		return false;
	do
		if (!take_extension(v, &ext))
			return false;
	while (tlv_next(&ext, &list));
	return ext.end == list.end;
}

static bool take_apart(struct view *v, struct span tbs)
{
	struct tlv t;
	struct tlv *const fields[] = { &v->version, &v->serial, &v->alg, &v->issuer, &v->validity, &v->subject, &v->spki, &v->exts };

	if (!tlv_at(&v->tbs, tbs.p, 0, tbs.n) || v->tbs.tag != 0x30 || v->tbs.end != tbs.n || !tlv_first(&t, &v->tbs))
		return false;
	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
		*fields[i] = t;
		if (i + 1 < sizeof fields / sizeof fields[0] && !tlv_next(&t, &v->tbs))
			return false;
	}
	return t.end == v->tbs.end && take_extensions(v);
}

static const struct tlv *value_of(const struct view *v, const char *oid, bool *critical)
{
	for (size_t i = 0; i < v->ext_n; i++) {
		if (strcmp(v->ext[i].oid, oid) != 0)
			continue;
		if (critical != NULL)
			*critical = v->ext[i].critical;
		return &v->ext[i].value;
	}
	return NULL;
}

#define X_SKI "551d0e"
#define X_KU "551d0f"
#define X_SAN "551d11"
#define X_BC "551d13"
#define X_NC "551d1e"
#define X_CDP "551d1f"
#define X_POLICIES "551d20"
#define X_AKI "551d23"
#define X_EKU "551d25"
#define X_AIA "2b06010505070101"
#define X_NOCHECK "2b0601050507300105"

/* --- Rules: each says its id and what is wrong, or true */

static bool rule_fields(const struct view *v, struct err *e)
{
	size_t n = tlv_len(&v->serial);
	const uint8_t *s = v->serial.buf + v->serial.content;

	if (!tlv_is(&v->version, 0xa0, "\x02\x01\x02", 3))
		return bad(e, "version_is_3", "not v3");
	if (v->serial.tag != 2 || n == 0 || n > 20 || (s[0] & 0x80) != 0 || (n > 1 && s[0] == 0 && (s[1] & 0x80) == 0))
		return bad(e, "serial_positive_20", "serial number negative, too long or not minimal");
	if (n < 9)
		return bad(e, "serial_64_bits", "serial number too short to be random");
	return true;
}

static bool rule_algorithm(const struct view *v, struct err *e)
{
	static const char *const allowed[] = {
		"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02", "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03",
		"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x04",
	};
	static const uint8_t rsa[] = { 0x30, 0x0d, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1 };

	for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++)
		if (tlv_same(&v->alg, allowed[i], 12))
			return true;
	if (tlv_same(&v->alg, "\x30\x05\x06\x03\x2b\x65\x70", 7))
		return true;
	if (v->alg.end - v->alg.start == 15 && memcmp(v->alg.buf + v->alg.start, rsa, sizeof rsa) == 0 &&
	    v->alg.buf[v->alg.end - 3] >= 11 && v->alg.buf[v->alg.end - 3] <= 13 && v->alg.buf[v->alg.end - 2] == 5)
		return true;
	return bad(e, "signature_algorithm", "not one of the signing set, or with wrong parameters");
}

static bool rule_issuer(const struct view *v, struct err *e)
{
	const struct span n = v->c->issuer_name;

	if (n.p != NULL && !tlv_same(&v->issuer, n.p, n.n))
		return bad(e, "issuer_copied", "issuer differs from the authority's subject");
	if (n.p == NULL && !tlv_same(&v->subject, v->issuer.buf + v->issuer.start, v->issuer.end - v->issuer.start))
		return bad(e, "issuer_self", "self-signed, but issuer and subject differ");
	return true;
}

/* Days of a civil date by counting, unlike base/clock. */
static int64_t days_before(int year, int month)
{
	static const int upto[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
	int64_t days = 0;

	for (int y = 1970; y < year; y++)
		days += (y % 4 == 0 && y % 100 != 0) || y % 400 == 0 ? 366 : 365;
	return days + upto[month - 1] + (month > 2 && ((year % 4 == 0 && year % 100 != 0) || year % 400 == 0));
}

static bool read_time(const struct tlv *t, int64_t *us)
{
	const uint8_t *p = t->buf + t->content;
	size_t n = tlv_len(t), y = t->tag == 0x18 ? 4 : 2;
	int f[6] = { 0 };

	if ((t->tag != 0x17 && t->tag != 0x18) || n != y + 11 || p[n - 1] != 'Z')
		return false;
	for (size_t i = 0; i + 1 < n; i++)
		if (!isdigit(p[i]))
			return false;
	for (size_t i = 0; i < y; i++)
		f[0] = f[0] * 10 + (p[i] - '0');
	for (size_t i = 1; i < 6; i++)
		f[i] = (p[y + 2 * i - 2] - '0') * 10 + (p[y + 2 * i - 1] - '0');
	if (y == 2)
		f[0] += f[0] < 50 ? 2000 : 1900;
	if (f[1] < 1 || f[1] > 12 || f[2] < 1 || f[2] > 31 || f[3] > 23 || f[4] > 59 || f[5] > 59 || f[0] < 1970)
		return false;
	/* X509-05: UTCTime to 2049, GeneralizedTime from 2050. */
	if ((f[0] <= 2049) != (t->tag == 0x17))
		return false;
	*us = (((days_before(f[0], f[1]) + f[2] - 1) * 24 + f[3]) * 3600 + f[4] * 60 + f[5]) * INT64_C(1000000);
	return true;
}

static bool rule_validity(struct view *v, struct err *e)
{
	struct tlv t;

	if (v->validity.tag != 0x30 || !tlv_first(&t, &v->validity) || !read_time(&t, &v->not_before) ||
	    !tlv_next(&t, &v->validity) || !read_time(&t, &v->not_after) || t.end != v->validity.end)
		return bad(e, "validity_encoding", "times are not two RFC 5280 times");
	if (v->not_after < v->not_before)
		return bad(e, "validity_order", "notAfter before notBefore");
	if (v->c->issuer_name.p != NULL && (v->not_before < v->c->issuer_not_before || v->not_after > v->c->issuer_not_after))
		return bad(e, "validity_within_issuer", "outside the issuer's validity");
	if (v->c->max_validity != 0 && v->not_after - v->not_before + 1000000 > v->c->max_validity)
		return bad(e, "validity_maximum", "longer than the profile or the limit allows");
	return true;
}

static bool rule_subject(const struct view *v, struct err *e)
{
	struct tlv rdn, pair, t;
	bool san_critical = false, has_san = value_of(v, X_SAN, &san_critical) != NULL;

	if (tlv_len(&v->subject) == 0) {
		if (v->c->profile == NULL)
			return bad(e, "subject_ca_empty", "an authority without a subject");
		return (has_san && san_critical) || bad(e, "subject_empty_san_critical", "an empty subject needs a critical SAN");
	}
	if (has_san && san_critical)
		return bad(e, "san_not_critical", "SAN is critical beside a subject");
	if (!tlv_first(&rdn, &v->subject))
		return bad(e, "subject_der", "malformed subject");
	do {
		if (rdn.tag != 0x31 || !tlv_first(&pair, &rdn) || pair.tag != 0x30 || pair.end != rdn.end || !tlv_first(&t, &pair) ||
		    t.tag != 6 || !tlv_next(&t, &pair) || t.end != pair.end)
			return bad(e, "subject_der", "malformed subject");
		if (t.tag != 0x0c && t.tag != 0x13 && t.tag != 0x16)
			return bad(e, "subject_string_type", "a string type other than UTF8String, PrintableString, IA5String");
		if (tlv_len(&t) == 0 || t.buf[t.content] == ' ' || t.buf[t.end - 1] == ' ' ||
		    memchr(t.buf + t.content, 0, tlv_len(&t)) != NULL)
			return bad(e, "subject_value", "an attribute that is empty, edged by blanks, or holds NUL");
	} while (tlv_next(&rdn, &v->subject));
	return rdn.end == v->subject.end || bad(e, "subject_der", "malformed subject");
}

static bool rule_extension_set(const struct view *v, struct err *e)
{
	static const char *const known[] = { X_SKI, X_KU, X_SAN, X_BC, X_CDP, X_POLICIES, X_AKI, X_EKU, X_AIA, X_NOCHECK, X_NC };

	for (size_t i = 0; i < v->ext_n; i++) {
		bool found = false;

		if (!v->ext[i].one)
			return bad(e, "extension_value", "an extension with more than one value");
		for (size_t k = 0; k < sizeof known / sizeof known[0]; k++)
			found |= strcmp(known[k], v->ext[i].oid) == 0;
		if (!found)
			return bad(e, "extension_known", "an extension that no profile has");
		for (size_t k = 0; k < i; k++)
			if (strcmp(v->ext[k].oid, v->ext[i].oid) == 0)
				return bad(e, "extension_twice", "an extension stands twice");
	}
	return true;
}

static bool rule_identifiers(const struct view *v, struct err *e)
{
	bool critical = false;
	const struct tlv *ski = value_of(v, X_SKI, &critical), *aki;
	struct tlv t;

	if (ski == NULL || critical || ski->tag != 4 || tlv_len(ski) != 20)
		return bad(e, "ski_present", "SKI missing, critical or not 20 octets");
	aki = value_of(v, X_AKI, &critical);
	if ((aki == NULL) != (v->c->issuer_name.p == NULL))
		return bad(e, "aki_present", "AKI must be in all but self-signed certificates");
	if (aki != NULL && (critical || aki->tag != 0x30 || !tlv_first(&t, aki) || t.end != aki->end ||
	                    !tlv_is(&t, 0x80, v->c->issuer_ski.p, v->c->issuer_ski.n)))
		return bad(e, "aki_is_issuer_ski", "AKI is not the issuer's SKI alone");
	return true;
}

static bool is_rsa(const struct view *v)
{
	struct tlv alg, oid;

	return tlv_first(&alg, &v->spki) && tlv_first(&oid, &alg) &&
	       tlv_is(&oid, 6, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", 9);
}

static bool rule_usage(const struct view *v, struct err *e)
{
	bool critical = false, bc_critical = false;
	const struct tlv *ku = value_of(v, X_KU, &critical), *bc = value_of(v, X_BC, &bc_critical);
	bool ca = v->c->profile == NULL;
	const uint8_t *p;

	if (ku == NULL || !critical || ku->tag != 3 || tlv_len(ku) != 2)
		return bad(e, "key_usage_present", "keyUsage missing, not critical or too long");
	p = ku->buf + ku->content;
	if (p[0] > 7 || p[1] == 0 || (p[1] & ((1u << p[0]) - 1)) != 0 || (p[1] >> p[0] & 1) == 0)
		return bad(e, "key_usage_trimmed", "trailing zero bits of keyUsage are not trimmed");
	if (ca ? p[1] != 0x06 : (p[1] & 0x06) != 0)
		return bad(e, "key_usage_role", ca ? "an authority has other than keyCertSign and cRLSign"
		                                   : "an end entity may sign certificates or CRLs");
	if (!ca && p[1] != 0x80 && !(p[1] == 0xa0 && is_rsa(v) && v->c->profile->rsa_key_encipherment))
		return bad(e, "key_usage_leaf", "other than digitalSignature");
	if (ca && (bc == NULL || !bc_critical || tlv_len(bc) < 3 || memcmp(bc->buf + bc->content, "\x01\x01\xff", 3) != 0))
		return bad(e, "basic_constraints_ca", "basicConstraints of an authority must be critical with cA TRUE");
	critical = false;
	if (value_of(v, X_NC, &critical) != NULL && (!ca || !critical))
		return bad(e, "name_constraints_ca", "nameConstraints outside an authority's certificate, or not critical");
	if (!ca && bc != NULL && tlv_len(bc) != 0)
		return bad(e, "basic_constraints_leaf", "an end entity's basicConstraints must be empty");
	return true;
}

static bool oid_is(const struct tlv *t, const char *dotted)
{
	char text[64];
	size_t n = 0;
	uint64_t arc = 0;

	for (size_t i = t->content; i < t->end && n < sizeof text - 22; i++) {
		arc = arc * 128 + (t->buf[i] & 127);
		if ((t->buf[i] & 128) != 0)
			continue;
		if (n == 0)
			n = (size_t)snprintf(text, sizeof text, "%d.%d", arc < 80 ? (int)arc / 40 : 2,
			                     arc < 80 ? (int)arc % 40 : (int)arc - 80);
		else
			n += (size_t)snprintf(text + n, sizeof text - n, ".%llu", (unsigned long long)arc);
		arc = 0;
	}
	return strcmp(text, dotted) == 0;
}

static bool rule_purposes(const struct view *v, struct err *e)
{
	const struct tlv *eku = value_of(v, X_EKU, NULL);
	const struct profile *p = v->c->profile;
	bool server = false, nocheck = value_of(v, X_NOCHECK, NULL) != NULL, ocsp = false;
	struct tlv t;

	if (eku == NULL)
		return p == NULL || bad(e, "eku_present", "no extendedKeyUsage");
	if (eku->tag != 0x30 || !tlv_first(&t, eku))
		return bad(e, "eku_der", "malformed extendedKeyUsage");
	do {
		bool in = p == NULL;

		for (size_t i = 0; p != NULL && i < p->eku_n; i++)
			in |= oid_is(&t, p->eku[i]);
		if (t.tag != 6 || oid_is(&t, "2.5.29.37.0") || !in)
			return bad(e, "eku_in_profile", "a purpose that the profile does not have");
		server |= oid_is(&t, "1.3.6.1.5.5.7.3.1");
		ocsp |= oid_is(&t, "1.3.6.1.5.5.7.3.9");
	} while (tlv_next(&t, eku));
	if (t.end != eku->end)
		return bad(e, "eku_der", "malformed extendedKeyUsage");
	if (p != NULL && ocsp != nocheck)
		return bad(e, "ocsp_nocheck", "OCSP signing and nocheck go together");
	if (p != NULL && server && value_of(v, X_SAN, NULL) == NULL)
		return bad(e, "server_has_san", "a server without an alternative name");
	return true;
}

static bool dns_ok(const uint8_t *p, size_t n, bool wildcard)
{
	size_t label = 0;

	if (n > 2 && p[0] == '*' && p[1] == '.') {
		if (!wildcard)
			return false;
		p += 2;
		n -= 2;
	}
	if (n == 0 || n > 253)
		return false;
	for (size_t i = 0; i <= n; i++) {
		if (i == n || p[i] == '.') {
			if (label == 0 || label > 63 || p[i - 1] == '-' || p[i - label] == '-')
				return false;
			label = 0;
		} else if (islower(p[i]) || isdigit(p[i]) || p[i] == '-') {
			label++;
		} else {
			return false;
		}
	}
	return true;
}

static bool rule_names(const struct view *v, struct err *e)
{
	const struct tlv *san = value_of(v, X_SAN, NULL);
	const struct profile *p = v->c->profile;
	size_t count = 0;
	struct tlv t;

	if (san == NULL)
		return p == NULL || !p->san_required || bad(e, "san_required", "the profile wants an alternative name");
	if (p == NULL || san->tag != 0x30 || !tlv_first(&t, san))
		return bad(e, "san_der", "malformed or misplaced alternative names");
	do {
		unsigned type = t.tag == 0x82 ? 1 : t.tag == 0x87 ? 2 : t.tag == 0x81 ? 3 : t.tag == 0x86 ? 4 : t.tag == 0xa0 ? 5 : 0;

		if (type == 0 || (p->san_types >> type & 1) == 0)
			return bad(e, "san_type", "a type of alternative name that the profile does not have");
		if (type == 1 && !dns_ok(t.buf + t.content, tlv_len(&t), p->wildcard))
			return bad(e, "san_dns", "a dNSName that is no lower-case host name");
		if (type == 2 && tlv_len(&t) != 4 && tlv_len(&t) != 16)
			return bad(e, "san_ip", "an iPAddress of neither 4 nor 16 octets");
		count++;
	} while (tlv_next(&t, san));
	if (t.end != san->end)
		return bad(e, "san_der", "malformed or misplaced alternative names");
	return count <= 100 || bad(e, "san_count", "more than 100 alternative names");
}

/* Every URI inside AIA and CDP, however deep it stands. */
static bool uris_are_http(const struct tlv *x, unsigned depth, size_t *found)
{
	struct tlv t;

	if (depth == 0 || !tlv_first(&t, x))
		return false;
	do {
		if (t.tag == 0x86) {
			if (tlv_len(&t) < 8 || memcmp(t.buf + t.content, "http://", 7) != 0)
				return false;
			++*found;
		} else if ((t.tag & 0x20) != 0 && !uris_are_http(&t, depth - 1, found)) {
			return false;
		}
	} while (tlv_next(&t, x));
	return t.end == x->end;
}

static bool plain_http(const struct tlv *x)
{
	size_t found = 0;

	return uris_are_http(x, 6, &found) && found != 0;
}

static bool rule_pointers(const struct view *v, struct err *e)
{
	bool critical = false;
	const struct tlv *aia = value_of(v, X_AIA, &critical), *cdp;
	const struct profile *p = v->c->profile;
	bool ocsp = false;

	if (aia != NULL && (critical || !plain_http(aia)))
		return bad(e, "aia_http", "authorityInfoAccess critical or not plain http");
	for (size_t i = aia != NULL ? aia->content : 0; aia != NULL && i + 8 <= aia->end; i++)
		ocsp |= memcmp(aia->buf + i, "\x2b\x06\x01\x05\x05\x07\x30\x01", 8) == 0;
	cdp = value_of(v, X_CDP, &critical);
	if (cdp != NULL && (critical || !plain_http(cdp)))
		return bad(e, "cdp_http", "cRLDistributionPoints critical or not plain http");
	if (p == NULL)
		return !ocsp || bad(e, "ca_no_ocsp", "an authority's certificate names an OCSP responder");
	if (ocsp != p->ocsp_aia || (cdp != NULL) != p->cdp)
		return bad(e, "revocation_pointers", "OCSP and CRL pointers differ from the profile");
	return true;
}

bool lint_certificate(struct span tbs, const struct lint_context *c, struct err *e)
{
	static bool (*const rules[])(const struct view *, struct err *) = {
		rule_fields, rule_algorithm, rule_issuer, rule_subject, rule_extension_set, rule_identifiers,
		rule_usage, rule_purposes, rule_names, rule_pointers,
	};
	struct view v = { .c = c };

	if (!take_apart(&v, tbs))
		return bad(e, "der", "the tbsCertificate is no strict DER");
	if (!rule_validity(&v, e))
		return false;
	for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
		if (!rules[i](&v, e))
			return false;
	return true;
}
