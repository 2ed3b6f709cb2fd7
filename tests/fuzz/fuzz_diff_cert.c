/* SPDX-License-Identifier: Apache-2.0
 *
 * A certificate beside OpenSSL: taken here means taken there, with the same serial, names, dates, key, extensions and
 * verdict on a signature by its own key. */
#include "tests/fuzz/diff.h"
#include "tests/fuzz/der_mutator.h"

AUTO_DEFINE(X509, X509_free)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_der(struct span ours, int (*i2d)(const X509_NAME *, unsigned char **), const X509_NAME *name)
{
	unsigned char *der = NULL;
	int n = i2d(name, &der);
	bool equal = n > 0 && is_octets(ours, der, n);

	OPENSSL_free(der);
	return equal;
}

static void same_constraints(const struct cert *c, X509 *x)
{
	int crit;
	BASIC_CONSTRAINTS *bc = X509_get_ext_d2i(x, NID_basic_constraints, &crit, NULL);
	long len = bc != NULL && bc->pathlen != NULL ? ASN1_INTEGER_get(bc->pathlen) : -1;

	same((crit == -1) == (bc == NULL), "basicConstraints");
	same(c->is_ca == (bc != NULL && bc->ca != 0), "whether it is an authority's");
	same(bc == NULL || bc->pathlen == NULL ? c->path_len == -1 : c->path_len == 255 ? len == -1 || len >= 255 : c->path_len == len, "pathLen");
	BASIC_CONSTRAINTS_free(bc);
}

/* A number of at least 19 digits: more than our reader takes, and than anybody has given out. */
static bool has_huge_arc(const char *oid)
{
	for (; *oid != 0; oid += strcspn(oid, ".") + (oid[strcspn(oid, ".")] != 0))
		if (strcspn(oid, ".") >= 19)
			return true;
	return false;
}

static void same_usage(const struct cert *c, X509 *x)
{
	int crit;
	ASN1_BIT_STRING *usage = X509_get_ext_d2i(x, NID_key_usage, &crit, NULL);
	EXTENDED_KEY_USAGE *eku;
	unsigned bits = 0;

	same((crit == -1) == (usage == NULL), "keyUsage");
	for (int i = 0; usage != NULL && i < 9; i++)
		bits |= (unsigned)ASN1_BIT_STRING_get_bit(usage, i) << i;
	same(bits == c->key_usage, "keyUsage");
	ASN1_BIT_STRING_free(usage);
	eku = X509_get_ext_d2i(x, NID_ext_key_usage, &crit, NULL);
	same(c->has_eku == (eku != NULL) && (crit == -1) == (eku == NULL), "whether there is an extendedKeyUsage");
	if (sk_ASN1_OBJECT_num(eku) <= CERT_EKU_MAX)
		for (int i = 0, k = 0; i < sk_ASN1_OBJECT_num(eku); i++) {
			char text[256];
			int n = OBJ_obj2txt(text, sizeof text, sk_ASN1_OBJECT_value(eku, i), 1);

			if (n >= (int)sizeof c->eku[0])
				continue; /* longer than any that we know */
			if (has_huge_arc(text) && !((size_t)k < c->eku_n && strcmp(c->eku[k], text) == 0))
				continue;
			same((size_t)k < c->eku_n && strcmp(c->eku[k++], text) == 0, "extendedKeyUsage");
		}
	sk_ASN1_OBJECT_pop_free(eku, ASN1_OBJECT_free);
}

static void same_key_ids(const struct cert *c, X509 *x)
{
	int crit;
	ASN1_OCTET_STRING *ski = X509_get_ext_d2i(x, NID_subject_key_identifier, &crit, NULL);
	AUTHORITY_KEYID *aki;

	same((crit == -1) == (ski == NULL), "subjectKeyIdentifier");
	same(is_octets(c->ski, ski != NULL ? ski->data : NULL, ski != NULL ? ski->length : 0), "subjectKeyIdentifier");
	ASN1_OCTET_STRING_free(ski);
	aki = X509_get_ext_d2i(x, NID_authority_key_identifier, &crit, NULL);
	same((crit == -1) == (aki == NULL), "authorityKeyIdentifier");
	if (aki != NULL && aki->keyid != NULL)
		same(is_octets(c->aki, aki->keyid->data, aki->keyid->length), "authorityKeyIdentifier");
	else
		same(c->aki.n == 0, "authorityKeyIdentifier");
	AUTHORITY_KEYID_free(aki);
}

static void same_names(const struct cert *c, X509 *x)
{
	int crit, at = X509_get_ext_by_NID(x, NID_name_constraints, -1);
	GENERAL_NAMES *san = X509_get_ext_d2i(x, NID_subject_alt_name, &crit, NULL);
	struct dn dn;
	unsigned ignored;

	same(is_der(c->subject, i2d_X509_NAME, X509_get_subject_name(x)), "the subject's octets");
	same(is_der(c->issuer, i2d_X509_NAME, X509_get_issuer_name(x)), "the issuer's octets");
	if (dn_parse(&dn, c->subject, &ignored, NULL))
		same_name(&dn, ignored, X509_get_subject_name(x));
	same(crit != -2 && c->has_san == (crit != -1) && c->has_san == (san != NULL), "whether there are alternative names");
	if (san != NULL)
		same_san(&c->san, san, false);
	GENERAL_NAMES_free(san);
	same((c->constraints.n != 0) == (at >= 0), "whether there are name constraints");
	if (at >= 0) {
		const ASN1_OCTET_STRING *s = X509_EXTENSION_get_data(X509_get_ext(x, at));

		same(is_octets(c->constraints, s->data, s->length), "the name constraints");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct cert c;
	const uint8_t *p = data;
	AUTO(X509) *x = d2i_X509(NULL, &p, (long)size);
	const ASN1_BIT_STRING *sig;
	struct err e = { 0 };
	bool ours = cert_parse(&c, data, size, &e), holds;

	if (!verdict(ours, x != NULL && p == data + size))
		return 0;
	same(X509_get_version(x) == 2, "the version");
	same(is_number(c.serial.v, c.serial.n, X509_get0_serialNumber(x)), "the serial number");
	same_time(c.not_before, X509_get0_notBefore(x));
	same_time(c.not_after, X509_get0_notAfter(x));
	same_key(&c.key, c.spki, X509_get_X509_PUBKEY(x));
	same_names(&c, x);
	same_constraints(&c, x);
	same_usage(&c, x);
	same_key_ids(&c, x);
	X509_get0_signature(&sig, NULL, x);
	same(is_octets(c.signature, sig->data, sig->length), "the signature");
	holds = cert_verify_by(&c, &c.key, &e);
	same(holds == (X509_get0_pubkey(x) != NULL && X509_verify(x, X509_get0_pubkey(x)) == 1), "whether the signature holds");
	ERR_clear_error();
	verdicts.holds += holds;
	return 0;
}
