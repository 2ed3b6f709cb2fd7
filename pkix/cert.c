/* SPDX-License-Identifier: Apache-2.0 */
#include "pkix/cert.h"

#include "base/der.h"
#include "base/text.h"

#include <string.h>

enum { CERT_EXT_MAX = 64, PATH_LEN_MAX = 255 };

void serial_text(const struct serial *s, char *out, size_t size)
{
	if (size < 2 * (size_t)s->n + 1)
		abort();
	hex_put(out, s->v, s->n);
}

bool serial_from_text(struct serial *out, const char *hex)
{
	size_t n;

	if (!hex_get(hex, out->v, SERIAL_MAX, &n) || n == 0)
		return false;
	out->n = (uint8_t)n;
	return true;
}

bool serial_equal(const struct serial *a, const struct serial *b)
{
	return a->n == b->n && memcmp(a->v, b->v, a->n) == 0;
}

static bool malformed(struct err *e, const char *where)
{
	return err_set(e, ERR_BAD_CERT, "the certificate is malformed (%s)", where);
}

/* key.h speaks of requests; here it is the certificate that is refused. */
static bool as_bad_cert(struct err *e)
{
	if (e != NULL)
		e->kind = ERR_BAD_CERT;
	return err_in(e, "the certificate");
}

static bool take_ski(struct cert *c, struct der value)
{
	c->ski = der_span(&value, DER_OCTETS);
	return der_done(&value);
}

/* keyIdentifier [0], authorityCertIssuer [1] and authorityCertSerialNumber [2] (RFC 5280, 4.2.1.1); the last two are read
 * over. */
static bool take_aki(struct cert *c, struct der value)
{
	struct der in = der_in(&value, DER_SEQUENCE);

	if (der_peek(&in) == (DER_CONTEXT | 0))
		c->aki = der_span(&in, DER_CONTEXT | 0);
	c->plain &= der_empty(&in) && c->aki.n != 0;
	if (der_peek(&in) == (DER_CONTEXT_CONS | 1))
		(void)der_in(&in, DER_CONTEXT_CONS | 1);
	if (der_peek(&in) == (DER_CONTEXT | 2))
		(void)der_span(&in, DER_CONTEXT | 2);
	return der_done(&in) && der_done(&value);
}

static bool take_constraints(struct cert *c, struct der value)
{
	struct der in = der_in(&value, DER_SEQUENCE);

	if (der_peek(&in) == DER_BOOLEAN)
		c->is_ca = der_bool(&in);
	if (der_peek(&in) == DER_INTEGER) {
		uint64_t n = der_uint(&in);

		c->path_len = n > PATH_LEN_MAX ? PATH_LEN_MAX : (int)n;
	}
	return der_done(&in) && der_done(&value);
}

static bool take_usage(struct cert *c, struct der value)
{
	unsigned unused;
	struct span bits = der_bits(&value, &unused);

	for (size_t i = 0; i < bits.n * 8 && i < 9; i++)
		if ((bits.p[i / 8] & 0x80 >> i % 8) != 0)
			c->key_usage |= 1u << i;
	return der_done(&value);
}

static bool take_eku(struct cert *c, struct der value)
{
	struct der in = der_in(&value, DER_SEQUENCE);

	c->has_eku = true;
	while (!der_empty(&in)) {
		struct span oid = der_span(&in, DER_OID);

		if (!der_is_oid(oid))
			return false;
		if (c->eku_n < CERT_EKU_MAX && der_oid_text(oid, c->eku[c->eku_n], sizeof c->eku[0]))
			c->eku_n++;
	}
	return !in.bad && der_done(&value);
}

static bool take_san(struct cert *c, struct der value)
{
	struct span names = der_span(&value, DER_SEQUENCE);

	c->has_san = true;
	return der_done(&value) && san_list_parse_foreign(&c->san, names);
}

/* DistributionPoints with a fullName of one URI and nothing else. */
static bool is_plain_cdp(struct der value)
{
	struct der points = der_in(&value, DER_SEQUENCE);
	bool plain = !der_empty(&points);

	while (!der_empty(&points)) {
		struct der point = der_in(&points, DER_SEQUENCE), name = der_in(&point, DER_CONTEXT_CONS | 0);
		struct der full = der_in(&name, DER_CONTEXT_CONS | 0);
		struct span uri = der_span(&full, DER_CONTEXT | 6);

		plain &= der_is_value(DER_IA5, uri) && der_done(&full) && der_done(&name) && der_done(&point);
	}
	return plain && der_done(&points) && der_done(&value);
}

/* What OpenSSL's path validation reads of a leaf is read here; others it may know and refuse. */
static bool is_plain(struct span oid, bool critical, struct der value)
{
	static const uint8_t aia[] = { 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x01 };

	if (oid.n == sizeof aia && memcmp(oid.p, aia, sizeof aia) == 0)
		return !critical;
	if (oid.n != 3 || oid.p[0] != 0x55 || oid.p[1] != 0x1d)
		return false;
	switch (oid.p[2]) {
	case 15: case 17: case 19: case 37:
		return true;
	case 14: case 35:
		return !critical;
	case 31:
		return !critical && is_plain_cdp(value);
	default:
		return false;
	}
}

static bool take_known(struct cert *c, struct span oid, struct der value, struct err *e)
{
	if (oid.n != 3 || oid.p[0] != 0x55 || oid.p[1] != 0x1d)
		return true;
	switch (oid.p[2]) {
	case 14:
		return take_ski(c, value) || malformed(e, "subjectKeyIdentifier");
	case 15:
		return take_usage(c, value) || malformed(e, "keyUsage");
	case 17:
		return take_san(c, value) || malformed(e, "subjectAltName");
	case 19:
		return take_constraints(c, value) || malformed(e, "basicConstraints");
	case 30:
		c->constraints = der_rest(&value);
		return c->constraints.n != 0 || malformed(e, "nameConstraints"); /* empty means absent to who reads */
	case 35:
		return take_aki(c, value) || malformed(e, "authorityKeyIdentifier");
	case 37:
		return take_eku(c, value) || malformed(e, "extendedKeyUsage");
	default:
		return true;
	}
}

/* RFC 5280, 4.2: no extension twice; what stands there twice may be read differently by another. */
static bool take_extension(struct cert *c, struct der *list, struct span seen[CERT_EXT_MAX], size_t *n, struct err *e)
{
	struct der ext = der_in(list, DER_SEQUENCE);
	struct span oid = der_span(&ext, DER_OID), octets;
	bool critical = false;

	if (der_peek(&ext) == DER_BOOLEAN)
		critical = der_bool(&ext);
	octets = der_span(&ext, DER_OCTETS);
	if (!der_done(&ext) || !der_is_oid(oid))
		return malformed(e, "an extension");
	if (*n == CERT_EXT_MAX)
		return malformed(e, "too many extensions");
	for (size_t i = 0; i < *n; i++)
		if (span_equal(seen[i], oid))
			return malformed(e, "an extension that stands there twice");
	seen[(*n)++] = oid;
	c->plain &= is_plain(oid, critical, der_of_span(octets));
	return take_known(c, oid, der_of_span(octets), e);
}

static bool take_extensions(struct cert *c, struct der *tbs, struct err *e)
{
	struct der wrap, list;
	struct span seen[CERT_EXT_MAX];
	size_t n = 0;

	/* issuerUniqueID and subjectUniqueID: read over. */
	for (int tag = DER_CONTEXT | 1; tag <= (DER_CONTEXT | 2); tag++)
		if (der_peek(tbs) == tag && !der_is_value(DER_BITS, der_span(tbs, tag)))
			return malformed(e, "a unique identifier");
	if (der_empty(tbs))
		return !tbs->bad || malformed(e, "tbsCertificate");
	wrap = der_in(tbs, DER_CONTEXT_CONS | 3);
	list = der_in(&wrap, DER_SEQUENCE);
	if (!der_done(tbs) || !der_done(&wrap))
		return malformed(e, "extensions");
	while (!der_empty(&list))
		if (!take_extension(c, &list, seen, &n, e))
			return false;
	return !list.bad || malformed(e, "extensions");
}

static bool take_serial(struct serial *out, struct span s)
{
	if (s.n == 0 || (s.p[0] & 0x80) != 0)
		return false;
	if (s.p[0] == 0 && s.n > 1) {
		if ((s.p[1] & 0x80) == 0) /* X.690, 8.3.2: not the shortest form */
			return false;
		s.p++, s.n--;
	}
	if (s.n > SERIAL_MAX)
		return false;
	out->n = (uint8_t)s.n;
	memcpy(out->v, s.p, s.n);
	return true;
}

static bool take_tbs(struct cert *c, struct span alg, struct err *e)
{
	struct der whole = der_of_span(c->tbs), tbs = der_in(&whole, DER_SEQUENCE), version, validity;

	if (!der_optional(&tbs, DER_CONTEXT_CONS | 0, &version) || der_uint(&version) != 2 || !der_done(&version))
		return malformed(e, "not version 3");
	if (!take_serial(&c->serial, der_span(&tbs, DER_INTEGER)))
		return malformed(e, "serial number");
	/* RFC 5280, 4.1.1.2: the algorithm that is signed is the one that stands outside. */
	if (!span_equal(der_whole(&tbs, DER_SEQUENCE), alg))
		return malformed(e, "two signature algorithms");
	c->issuer = der_whole(&tbs, DER_SEQUENCE);
	validity = der_in(&tbs, DER_SEQUENCE);
	c->not_before = der_time(&validity);
	c->not_after = der_time(&validity);
	c->subject = der_whole(&tbs, DER_SEQUENCE);
	c->spki = der_whole(&tbs, DER_SEQUENCE);
	if (tbs.bad || !der_done(&validity))
		return malformed(e, "tbsCertificate");
	if (!name_is_well_formed(c->issuer) || !name_is_well_formed(c->subject))
		return malformed(e, "issuer or subject");
	if (!key_parse(&c->key, c->spki, e))
		return as_bad_cert(e);
	return take_extensions(c, &tbs, e);
}

static void clear(struct cert *c)
{
	c->is_ca = c->has_san = c->has_eku = false;
	c->plain = true;
	c->path_len = -1;
	c->key_usage = 0;
	c->ski = c->aki = c->constraints = (struct span){ NULL, 0 };
	c->san.n = c->eku_n = 0;
}

bool cert_parse(struct cert *c, const uint8_t *der, size_t len, struct err *e)
{
	struct der d = der_of(der, len), in;
	struct span alg;

	clear(c);
	if (len > CERT_MAX)
		return err_set(e, ERR_BAD_CERT, "certificate of %zu bytes, limit %d", len, CERT_MAX);
	in = der_in(&d, DER_SEQUENCE);
	c->whole = (struct span){ der, len };
	c->tbs = der_whole(&in, DER_SEQUENCE);
	alg = der_whole(&in, DER_SEQUENCE);
	c->signature = der_bits(&in, NULL);
	if (!der_done(&in) || !der_done(&d))
		return malformed(e, "outer structure");
	if (!sig_alg_parse(&c->alg, alg, e))
		return as_bad_cert(e);
	return take_tbs(c, alg, e);
}

bool cert_has_eku(const struct cert *c, const char *dotted)
{
	for (size_t i = 0; i < c->eku_n; i++)
		if (strcmp(c->eku[i], dotted) == 0)
			return true;
	return false;
}

bool cert_verify_by(const struct cert *c, const struct key_info *issuer, struct err *e)
{
	AUTO(EVP_PKEY) *key = NULL;

	if (!key_load(&key, issuer, e) || !sig_verify(key, c->alg, c->tbs, c->signature, e))
		return err_set(e, ERR_BAD_CERT, "the certificate's signature does not hold");
	return true;
}
