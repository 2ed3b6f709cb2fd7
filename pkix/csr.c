/* SPDX-License-Identifier: Apache-2.0 */
#include "pkix/csr.h"

#include "base/der.h"

#include <string.h>

enum { OID_OCTETS_MAX = 63, ATTRIBUTE_MAX = 16 };

/* Content octets of the OIDs that matter in a request. */
static const uint8_t oid_extension_request[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x0e };
static const uint8_t oid_ms_extension_request[] = { 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x01, 0x0e };
static const uint8_t oid_challenge[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x07 };

static bool is(struct span oid, const uint8_t *want, size_t n)
{
	return oid.n == n && memcmp(oid.p, want, n) == 0;
}
#define IS(oid, want) is(oid, want, sizeof want)

static bool malformed(struct err *e, const char *where)
{
	return err_set(e, ERR_BAD_CSR, "the request is malformed (%s); it must be a PKCS#10 request in DER", where);
}

static bool well_formed(struct span oid)
{
	char text[256];

	return oid.n <= OID_OCTETS_MAX && der_oid_text(oid, text, sizeof text);
}

static bool take_basic_constraints(struct csr *c, struct der value, struct err *e)
{
	struct der in = der_in(&value, DER_SEQUENCE);

	if (der_peek(&in) == DER_BOOLEAN)
		c->asks_ca |= der_bool(&in);
	if (der_peek(&in) == DER_INTEGER)
		(void)der_uint(&in);
	return (der_done(&in) && der_done(&value)) || malformed(e, "basicConstraints");
}

static bool take_key_usage(struct csr *c, struct der value, struct err *e)
{
	unsigned unused;
	struct span bits = der_bits(&value, &unused);

	if (!der_done(&value))
		return malformed(e, "keyUsage");
	/* keyCertSign is bit 5, cRLSign bit 6 (RFC 5280, 4.2.1.3). */
	c->asks_ca |= bits.n != 0 && (bits.p[0] & 0x06) != 0;
	return true;
}

static bool take_san(struct csr *c, struct der value, struct err *e)
{
	struct span names = der_span(&value, DER_SEQUENCE);

	if (!der_done(&value))
		return malformed(e, "subjectAltName");
	c->has_san = true;
	return san_list_parse(&c->san, names, e);
}

static bool take_eku(struct csr *c, struct der value, struct err *e)
{
	struct der in;
	struct span whole = der_whole(&value, DER_SEQUENCE);

	if (!der_done(&value))
		return malformed(e, "extendedKeyUsage");
	in = der_of_span(whole);
	in = der_in(&in, DER_SEQUENCE);
	if (der_empty(&in))
		return malformed(e, "extendedKeyUsage");
	while (!der_empty(&in))
		if (!der_is_oid(der_span(&in, DER_OID)))
			return malformed(e, "extendedKeyUsage");
	c->eku = whole;
	return !in.bad || malformed(e, "extendedKeyUsage");
}

/* id-ce is 2.5.29 = 55 1d; the last octet tells them apart. */
static bool take_known(struct csr *c, uint8_t which, struct der value, struct err *e)
{
	switch (which) {
	case 15:
		return take_key_usage(c, value, e);
	case 17:
		return take_san(c, value, e);
	case 19:
		return take_basic_constraints(c, value, e);
	case 30: /* nameConstraints, policyConstraints, inhibitAnyPolicy */
	case 36:
	case 54:
		c->asks_constraints = true;
		return true;
	case 32: /* certificatePolicies, policyMappings */
	case 33:
		c->asks_policies = true;
		return true;
	case 37:
		return take_eku(c, value, e);
	default:
		return true;
	}
}

static bool take_extension(struct csr *c, struct der *list, struct err *e)
{
	struct der ext = der_in(list, DER_SEQUENCE);
	struct span oid = der_span(&ext, DER_OID), value;

	if (der_peek(&ext) == DER_BOOLEAN && !der_bool(&ext))
		return malformed(e, "critical other than TRUE");
	value = der_span(&ext, DER_OCTETS);
	if (!der_done(&ext) || !well_formed(oid))
		return malformed(e, "a requested extension");
	for (size_t i = 0; i < c->ext_n; i++)
		if (span_equal(c->ext_oid[i], oid))
			return malformed(e, "an extension asked for twice");
	if (c->ext_n == CSR_EXT_MAX)
		return malformed(e, "too many extensions");
	c->ext_oid[c->ext_n++] = oid;
	if (oid.n == 3 && oid.p[0] == 0x55 && oid.p[1] == 0x1d)
		return take_known(c, oid.p[2], der_of_span(value), e);
	return true;
}

static bool take_extensions(struct csr *c, struct der *values, struct err *e)
{
	struct der list = der_in(values, DER_SEQUENCE);

	if (!der_done(values) || der_empty(&list))
		return malformed(e, "extensionRequest");
	while (!der_empty(&list))
		if (!take_extension(c, &list, e))
			return false;
	return !list.bad || malformed(e, "extensionRequest");
}

static bool values_are_well_formed(struct der values)
{
	while (!der_empty(&values)) {
		struct der in;
		int tag;

		der_any(&values, &tag, &in);
		if (!der_is_value(tag, der_rest(&in)))
			return false;
	}
	return !values.bad;
}

static bool take_attributes(struct csr *c, struct der attributes, struct err *e)
{
	bool extensions = false;
	struct span seen[ATTRIBUTE_MAX];
	size_t n = 0;

	while (!der_empty(&attributes)) {
		struct der one = der_in(&attributes, DER_SEQUENCE);
		struct span oid = der_span(&one, DER_OID);
		struct der values = der_in(&one, DER_SET);

		if (!der_done(&one) || der_empty(&values) || !values_are_well_formed(values) || !well_formed(oid))
			return malformed(e, "an attribute");
		if (n == ATTRIBUTE_MAX)
			return malformed(e, "too many attributes");
		for (size_t i = 0; i < n; i++)
			if (span_equal(seen[i], oid))
				return malformed(e, "an attribute that stands there twice");
		seen[n++] = oid;
		if (IS(oid, oid_extension_request) || IS(oid, oid_ms_extension_request)) {
			if (extensions)
				return malformed(e, "two extension requests");
			extensions = true;
			if (!take_extensions(c, &values, e))
				return false;
		} else if (IS(oid, oid_challenge)) {
			c->has_challenge = true;
		}
	}
	return !attributes.bad || malformed(e, "attributes");
}

static bool take_info(struct csr *c, struct err *e)
{
	struct der whole = der_of_span(c->info), in = der_in(&whole, DER_SEQUENCE), attributes;

	if (der_uint(&in) != 0 || in.bad)
		return malformed(e, "version");
	c->subject = der_whole(&in, DER_SEQUENCE);
	c->spki = der_whole(&in, DER_SEQUENCE);
	if (in.bad)
		return malformed(e, "subject or public key");
	if (!dn_parse(&c->dn, c->subject, &c->dn_ignored, e) || !key_parse(&c->key, c->spki, e))
		return false;
	/* attributes [0] is not OPTIONAL (RFC 2986, 4.1), but some clients leave it out. */
	if (der_empty(&in))
		return !in.bad || malformed(e, "attributes");
	attributes = der_in(&in, DER_CONTEXT_CONS | 0);
	if (!der_done(&in))
		return malformed(e, "attributes");
	return take_attributes(c, attributes, e);
}

static bool alg_fits_key(enum sig_alg a, enum key_type t)
{
	switch (t) {
	case KEY_RSA:
		return a == SIG_RSA_SHA256 || a == SIG_RSA_SHA384 || a == SIG_RSA_SHA512;
	case KEY_ED25519:
		return a == SIG_ED25519;
	default:
		return a == SIG_ECDSA_SHA256 || a == SIG_ECDSA_SHA384 || a == SIG_ECDSA_SHA512;
	}
}

static void clear(struct csr *c)
{
	/* The lists are large and have counts: only those are reset. */
	c->dn.n = c->san.n = c->ext_n = 0;
	c->dn_ignored = 0;
	c->has_san = c->asks_ca = c->asks_constraints = c->asks_policies = c->has_challenge = false;
	c->eku = (struct span){ NULL, 0 };
}

bool csr_parse(struct csr *c, const uint8_t *der, size_t len, struct err *e)
{
	struct der d = der_of(der, len), in;
	struct span alg;

	clear(c);
	if (len > CSR_MAX)
		return err_set(e, ERR_BAD_CSR, "request of %zu bytes, limit %d", len, CSR_MAX);
	in = der_in(&d, DER_SEQUENCE);
	if (!d.bad && d.p != d.end)
		return err_set(e, ERR_BAD_CSR, "%td bytes after the request", d.end - d.p);
	c->info = der_whole(&in, DER_SEQUENCE);
	alg = der_whole(&in, DER_SEQUENCE);
	c->signature = der_bits(&in, NULL);
	if (!der_done(&in) || !der_done(&d))
		return malformed(e, "outer structure");
	if (!sig_alg_parse(&c->alg, alg, e) || !take_info(c, e))
		return false;
	return alg_fits_key(c->alg, c->key.type) || malformed(e, "signature algorithm of another kind of key");
}

bool csr_verify(const struct csr *c, struct err *e)
{
	AUTO(EVP_PKEY) *key = NULL;

	if (!key_load(&key, &c->key, e))
		return false;
	if (!sig_verify(key, c->alg, c->info, c->signature, e))
		return err_set(e, ERR_BAD_CSR,
		               "the request's signature does not hold: it must be signed by the key that it names");
	return true;
}
