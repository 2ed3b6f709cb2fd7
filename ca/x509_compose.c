/* SPDX-License-Identifier: Apache-2.0
 *
 * tbsCertificate (RFC 5280, 4.1), a pure function of its arguments: fixed order of extensions, DER only (X509-44). */
#include "ca/internal.h"

#include "base/der.h"
#include "pkix/oid.h"

#include <string.h>

enum { KU_DIGITAL_SIGNATURE = 0x80, KU_KEY_ENCIPHERMENT = 0x20, KU_CERT_SIGN = 0x04, KU_CRL_SIGN = 0x02 };

/* Opens an extension; the caller adds the value and gives both marks to ext_end. */
struct ext {
	size_t outer, octets;
};

static struct ext ext_begin(struct buf *b, const char *oid, bool critical)
{
	struct ext x = { .outer = der_begin(b, DER_SEQUENCE) };

	if (!der_put_oid(b, oid))
		abort();
	if (critical)
		der_put_bool(b, true);
	x.octets = der_begin(b, DER_OCTETS);
	return x;
}

static void ext_end(struct buf *b, struct ext x)
{
	der_end(b, x.octets);
	der_end(b, x.outer);
}

static void put_ski(struct buf *b, struct span spki)
{
	struct ext x = ext_begin(b, OID_EXT_SKI, false);
	struct key_info k;
	uint8_t id[20];

	if (!key_parse(&k, spki, NULL))
		abort(); /* whoever calls has parsed it */
	key_ski(&k, id);
	der_put(b, DER_OCTETS, id, sizeof id);
	ext_end(b, x);
}

static void put_aki(struct buf *b, struct span ski)
{
	struct ext x = ext_begin(b, OID_EXT_AKI, false);
	size_t seq = der_begin(b, DER_SEQUENCE);

	der_put(b, DER_CONTEXT | 0, ski.p, ski.n);
	der_end(b, seq);
	ext_end(b, x);
}

static void put_key_usage(struct buf *b, uint8_t bits)
{
	struct ext x = ext_begin(b, OID_EXT_KEY_USAGE, true);
	unsigned unused = 0;

	/* Trailing zero bits trimmed (X509-15). */
	while ((bits >> unused & 1) == 0)
		unused++;
	der_put_bits(b, &bits, 1, unused);
	ext_end(b, x);
}

static void put_eku(struct buf *b, const char (*oid)[64], size_t n, uint32_t mask)
{
	struct ext x = ext_begin(b, OID_EXT_EKU, false);
	size_t seq = der_begin(b, DER_SEQUENCE);

	for (size_t i = 0; i < n; i++)
		if ((mask == 0 || (mask >> i & 1) != 0) && !der_put_oid(b, oid[i]))
			abort();
	der_end(b, seq);
	ext_end(b, x);
}

static void put_policies(struct buf *b, const struct profile *p)
{
	struct ext x = ext_begin(b, OID_EXT_POLICIES, false);
	size_t list = der_begin(b, DER_SEQUENCE);

	for (size_t i = 0; i < p->policy_n; i++) {
		size_t info = der_begin(b, DER_SEQUENCE);

		if (!der_put_oid(b, p->policy[i]))
			abort();
		if (i == 0 && p->cps[0] != 0) {
			size_t all = der_begin(b, DER_SEQUENCE), one = der_begin(b, DER_SEQUENCE);

			der_put_oid(b, OID_CPS);
			der_put(b, DER_IA5, p->cps, strlen(p->cps));
			der_end(b, one);
			der_end(b, all);
		}
		der_end(b, info);
	}
	der_end(b, list);
	ext_end(b, x);
}

static void put_access(struct buf *b, const char *method, const char *url)
{
	size_t one;

	if (url == NULL || url[0] == 0)
		return;
	one = der_begin(b, DER_SEQUENCE);
	der_put_oid(b, method);
	der_put(b, DER_CONTEXT | 6, url, strlen(url));
	der_end(b, one);
}

static void put_aia(struct buf *b, const char *ocsp, const char *issuer)
{
	struct ext x;
	size_t seq;

	if ((ocsp == NULL || ocsp[0] == 0) && issuer[0] == 0)
		return;
	x = ext_begin(b, OID_EXT_AIA, false);
	seq = der_begin(b, DER_SEQUENCE);
	put_access(b, OID_AD_OCSP, ocsp);
	put_access(b, OID_AD_CA_ISSUERS, issuer);
	der_end(b, seq);
	ext_end(b, x);
}

static void put_cdp(struct buf *b, const char *url)
{
	struct ext x;
	size_t seq, point, name, full;

	if (url[0] == 0)
		return;
	x = ext_begin(b, OID_EXT_CDP, false);
	seq = der_begin(b, DER_SEQUENCE);
	point = der_begin(b, DER_SEQUENCE);
	name = der_begin(b, DER_CONTEXT_CONS | 0);
	full = der_begin(b, DER_CONTEXT_CONS | 0);
	der_put(b, DER_CONTEXT | 6, url, strlen(url));
	der_end(b, full);
	der_end(b, name);
	der_end(b, point);
	der_end(b, seq);
	ext_end(b, x);
}

/* Version to SPKI. */
static void put_fields(struct buf *b, const struct serial *serial, enum sig_alg alg, struct span issuer, int64_t not_before,
                       int64_t not_after, struct span subject, struct span spki)
{
	size_t version = der_begin(b, DER_CONTEXT_CONS | 0), validity;

	der_put_uint(b, 2);
	der_end(b, version);
	der_put_unsigned(b, serial->v, serial->n);
	sig_alg_der(b, alg);
	buf_add(b, issuer.p, issuer.n);
	validity = der_begin(b, DER_SEQUENCE);
	der_put_time(b, not_before);
	der_put_time(b, not_after);
	der_end(b, validity);
	buf_add(b, subject.p, subject.n);
	buf_add(b, spki.p, spki.n);
}

bool x509_compose_leaf(struct buf *tbs, const struct profile *p, const struct issuer *is, const struct ca_issue *i,
                       struct span spki, struct err *e)
{
	AUTO_BUF subject = { 0 };
	size_t all, wrap, list;
	struct key_info key;
	struct ext x;

	if (!key_parse(&key, spki, e))
		return false;
	dn_der(&subject, &i->subject);
	all = der_begin(tbs, DER_SEQUENCE);
	put_fields(tbs, &i->serial, is->alg, is->name, i->not_before, i->not_after, span_of(&subject), spki);
	wrap = der_begin(tbs, DER_CONTEXT_CONS | 3);
	list = der_begin(tbs, DER_SEQUENCE);
	put_aki(tbs, is->ski);
	put_ski(tbs, spki);
	put_key_usage(tbs, (uint8_t)(KU_DIGITAL_SIGNATURE |
	                             (key.type == KEY_RSA && p->rsa_key_encipherment ? KU_KEY_ENCIPHERMENT : 0)));
	put_eku(tbs, p->eku, p->eku_n, i->eku_mask);
	x = ext_begin(tbs, OID_EXT_BASIC_CONSTRAINTS, true);
	der_put(tbs, DER_SEQUENCE, NULL, 0); /* X509-14: never an encoded FALSE */
	ext_end(tbs, x);
	if (i->san.n != 0) {
		x = ext_begin(tbs, OID_EXT_SAN, i->subject.n == 0);
		san_list_der(tbs, &i->san);
		ext_end(tbs, x);
	}
	if (p->policy_n != 0)
		put_policies(tbs, p);
	put_aia(tbs, p->ocsp_aia ? is->aia_ocsp : NULL, is->aia_issuer);
	if (p->cdp)
		put_cdp(tbs, is->cdp);
	if (p->nocheck) {
		x = ext_begin(tbs, OID_EXT_OCSP_NOCHECK, false);
		der_put_null(tbs);
		ext_end(tbs, x);
	}
	der_end(tbs, list);
	der_end(tbs, wrap);
	der_end(tbs, all);
	return true;
}

bool x509_compose_ca(struct buf *tbs, const struct ca_create *c, const struct issuer *is, enum sig_alg alg, struct span spki,
                     struct err *e)
{
	AUTO_BUF subject = { 0 };
	size_t all, wrap, list, seq;
	struct key_info key;
	struct ext x;

	if (!key_parse(&key, spki, e))
		return false;
	dn_der(&subject, &c->subject);
	all = der_begin(tbs, DER_SEQUENCE);
	put_fields(tbs, &c->serial, alg, is != NULL ? is->name : span_of(&subject), c->not_before, c->not_after, span_of(&subject),
	           spki);
	wrap = der_begin(tbs, DER_CONTEXT_CONS | 3);
	list = der_begin(tbs, DER_SEQUENCE);
	if (is != NULL)
		put_aki(tbs, is->ski);
	put_ski(tbs, spki);
	put_key_usage(tbs, KU_CERT_SIGN | KU_CRL_SIGN);
	if (c->eku_n != 0)
		put_eku(tbs, c->eku, c->eku_n, 0);
	x = ext_begin(tbs, OID_EXT_BASIC_CONSTRAINTS, true);
	seq = der_begin(tbs, DER_SEQUENCE);
	der_put_bool(tbs, true);
	der_put_uint(tbs, (uint64_t)c->path_len);
	der_end(tbs, seq);
	ext_end(tbs, x);
	if (c->constraints.n != 0) {
		x = ext_begin(tbs, OID_EXT_NAME_CONSTRAINTS, true);
		buf_add(tbs, c->constraints.p, c->constraints.n);
		ext_end(tbs, x);
	}
	/* X509-41: a CRL, no OCSP: an offline root runs no responder. */
	if (is != NULL) {
		put_aia(tbs, NULL, is->aia_issuer);
		put_cdp(tbs, is->cdp);
	}
	der_end(tbs, list);
	der_end(tbs, wrap);
	der_end(tbs, all);
	return true;
}

void x509_assemble(struct buf *out, struct span tbs, enum sig_alg alg, struct span sig)
{
	size_t all = der_begin(out, DER_SEQUENCE);

	buf_add(out, tbs.p, tbs.n);
	sig_alg_der(out, alg);
	der_put_bits(out, sig.p, sig.n, 0);
	der_end(out, all);
}
