/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates as a tls-alpn-01 responder makes them (RFC 8737, 3), and with each part wrong. */
#ifndef CADUCEUS_TESTS_ALPN_CERT_H
#define CADUCEUS_TESTS_ALPN_CERT_H

#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

struct alpn_cert {
	const char *san;         /* "DNS:a.test", "IP:10.0.0.1", …; NULL none */
	uint8_t digest[32];
	bool not_critical, no_identifier, two_identifiers, short_identifier, not_self_signed, other_issuer, trailing;
};

static __attribute__((unused)) EVP_PKEY *alpn_key(void)
{
	static EVP_PKEY *key;

	if (key == NULL)
		key = EVP_EC_gen("P-256");
	return key;
}

static void alpn_identifier(X509 *x, const struct alpn_cert *c)
{
	uint8_t value[40] = { 0x04, 32 };
	int n = c->short_identifier ? 33 : c->trailing ? 35 : 34;
	ASN1_OCTET_STRING *o = ASN1_OCTET_STRING_new();
	ASN1_OBJECT *oid = OBJ_txt2obj("1.3.6.1.5.5.7.1.31", 1);
	X509_EXTENSION *e;

	value[1] = c->short_identifier ? 31 : 32;
	memcpy(value + 2, c->digest, 32);
	ASN1_OCTET_STRING_set(o, value, n);
	e = X509_EXTENSION_create_by_OBJ(NULL, oid, !c->not_critical, o);
	X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
	ASN1_OBJECT_free(oid);
	ASN1_OCTET_STRING_free(o);
}

static __attribute__((unused)) X509 *alpn_make(const struct alpn_cert *c)
{
	X509 *x = X509_new();
	X509_NAME *name = X509_NAME_new();
	EVP_PKEY *signer = c->not_self_signed ? EVP_EC_gen("P-256") : NULL;

	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 7);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)"challenge", -1, -1, 0);
	X509_set_subject_name(x, name);
	if (c->other_issuer)
		X509_NAME_add_entry_by_txt(name, "OU", MBSTRING_ASC, (const uint8_t *)"other", -1, -1, 0);
	X509_set_issuer_name(x, name);
	X509_NAME_free(name);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, alpn_key());
	if (c->san != NULL) {
		X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, c->san);

		X509_add_ext(x, e, -1);
		X509_EXTENSION_free(e);
	}
	if (!c->no_identifier)
		alpn_identifier(x, c);
	if (c->two_identifiers)
		alpn_identifier(x, c);
	X509_sign(x, signer != NULL ? signer : alpn_key(), EVP_sha256());
	EVP_PKEY_free(signer);
	return x;
}

#endif
