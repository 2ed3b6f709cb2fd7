/* SPDX-License-Identifier: Apache-2.0
 *
 * What we read beside what OpenSSL reads: whoever checks our certificates must see the names, keys and times that we
 * saw. A difference ends the process. Where we are stricter is counted, and told at the end of a campaign. */
#ifndef CADUCEUS_TESTS_FUZZ_DIFF_H
#define CADUCEUS_TESTS_FUZZ_DIFF_H

#include "base/clock.h"
#include "pkix/cert.h"
#include "pkix/csr.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DIFF static __attribute__((unused))

static struct {
	unsigned long both, stricter, neither, holds;
} verdicts;

DIFF void verdicts_tell(void)
{
	fprintf(stderr, "stat::taken_by_both: %lu\nstat::signature_holds: %lu\nstat::we_are_stricter: %lu\nstat::refused_by_both: %lu\n",
	        verdicts.both, verdicts.holds, verdicts.stricter, verdicts.neither);
}

/* True when both took it and the fields are to be compared. */
DIFF bool verdict(bool ours, bool theirs)
{
	static bool told;

	if (!told)
		atexit(verdicts_tell);
	told = true;
	if (ours && !theirs) {
		fprintf(stderr, "taken here, refused by OpenSSL: %s\n", ERR_reason_error_string(ERR_peek_last_error()));
		abort();
	}
	ERR_clear_error();
	verdicts.both += ours && theirs;
	verdicts.stricter += !ours && theirs;
	verdicts.neither += !ours && !theirs;
	return ours && theirs;
}

DIFF void same(bool holds, const char *what)
{
	if (!holds) {
		fprintf(stderr, "read otherwise by OpenSSL: %s\n", what);
		abort();
	}
}

DIFF bool is_octets(struct span ours, const void *p, long n)
{
	return ours.n == (size_t)n && (n == 0 || memcmp(ours.p, p, (size_t)n) == 0);
}

DIFF void same_name(const struct dn *ours, unsigned ignored, const X509_NAME *theirs)
{
	static const int nids[] = { [DN_CN] = NID_commonName, [DN_O] = NID_organizationName, [DN_OU] = NID_organizationalUnitName,
		                    [DN_C] = NID_countryName, [DN_ST] = NID_stateOrProvinceName, [DN_L] = NID_localityName,
		                    [DN_SERIAL_NUMBER] = NID_serialNumber, [DN_EMAIL] = NID_pkcs9_emailAddress,
		                    [DN_DC] = NID_domainComponent, [DN_QUALIFIER] = NID_dnQualifier };
	size_t k = 0;

	for (int i = 0; i < X509_NAME_entry_count(theirs); i++) {
		const X509_NAME_ENTRY *entry = X509_NAME_get_entry(theirs, i);
		int nid = OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry)), n;
		unsigned char *text = NULL;
		bool known = false;

		for (size_t t = 1; t < sizeof nids / sizeof nids[0]; t++)
			known |= nid == nids[t];
		if (!known) {
			same(ignored-- != 0, "an attribute of the subject that is ignored");
			continue;
		}
		same(k < ours->n && nids[ours->attr[k].type] == nid, "the subject's attributes");
		n = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(entry));
		same(n >= 0 && strlen(ours->attr[k].value) == (size_t)n && memcmp(text, ours->attr[k].value, (size_t)n) == 0, "the subject's text");
		OPENSSL_free(text);
		k++;
	}
	same(k == ours->n && ignored == 0, "the number of the subject's attributes");
}

/* One of theirs as one of ours; false: of a type or form that is not issued. */
DIFF bool san_of(struct san *out, const GENERAL_NAME *g)
{
	int kind;
	const ASN1_STRING *s = GENERAL_NAME_get0_value(g, &kind);
	ASN1_OBJECT *oid;
	ASN1_TYPE *value;

	switch (kind) {
	case GEN_DNS:
		out->type = SAN_DNS;
		break;
	case GEN_EMAIL:
		out->type = SAN_EMAIL;
		break;
	case GEN_URI:
		out->type = SAN_URI;
		break;
	case GEN_IPADD:
		out->type = SAN_IP;
		break;
	case GEN_OTHERNAME:
		out->type = SAN_UPN;
		if (GENERAL_NAME_get0_otherName(g, &oid, &value) != 1 || OBJ_obj2nid(oid) != NID_ms_upn || value->type != V_ASN1_UTF8STRING)
			return false;
		s = value->value.utf8string;
		break;
	default:
		return false;
	}
	out->n = (size_t)ASN1_STRING_length(s);
	if (out->n > SAN_VALUE_MAX)
		return false;
	if (out->n != 0)
		memcpy(out->value, ASN1_STRING_get0_data(s), out->n);
	out->value[out->n] = 0;
	return san_check(out, NULL);
}

/* all: every one of theirs must be one of ours; else those that we can't read were left out. */
DIFF void same_san(const struct san_list *ours, const GENERAL_NAMES *theirs, bool all)
{
	static struct san_list list;

	list.n = 0;
	for (int i = 0; i < sk_GENERAL_NAME_num(theirs) && list.n < SAN_MAX; i++) {
		bool read = san_of(&list.v[list.n], sk_GENERAL_NAME_value(theirs, i));

		same(read || !all, "an alternative name");
		list.n += read;
	}
	san_list_normalise(&list);
	same(san_list_equal(ours, &list), "the alternative names");
}

DIFF void same_key(const struct key_info *ours, struct span spki, X509_PUBKEY *theirs)
{
	unsigned char *der = NULL;
	int n = i2d_X509_PUBKEY(theirs, &der);
	AUTO(EVP_PKEY) *key = NULL;
	EVP_PKEY *pkey = X509_PUBKEY_get0(theirs);

	same(n > 0 && is_octets(spki, der, n), "the octets of the public key");
	OPENSSL_free(der);
	if (key_load(&key, ours, NULL))
		same(pkey != NULL && EVP_PKEY_eq(key, pkey) == 1 && EVP_PKEY_get_bits(pkey) == (int)ours->bits,
		     "the public key");
	ERR_clear_error();
}

DIFF void same_time(int64_t ours, const ASN1_TIME *theirs)
{
	struct tm t;
	int64_t us;

	same(ASN1_TIME_to_tm(theirs, &t) == 1, "a date");
	us = (int64_t)timegm(&t) * US_PER_SECOND;
	same(us == ours, "a date");
}

DIFF bool is_number(const uint8_t *p, size_t n, const ASN1_INTEGER *theirs)
{
	BIGNUM *a = BN_bin2bn(p, (int)n, NULL), *b = ASN1_INTEGER_to_BN(theirs, NULL);
	bool equal = a != NULL && b != NULL && BN_cmp(a, b) == 0;

	BN_free(a);
	BN_free(b);
	return equal;
}

#endif
