/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/alpn.h"

#include "base/text.h"
#include "probe/http.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

AUTO_DEFINE(X509, X509_free)
AUTO_DEFINE(GENERAL_NAMES, GENERAL_NAMES_free)
AUTO_DEFINE(ASN1_OBJECT, ASN1_OBJECT_free)
AUTO_DEFINE(ASN1_OCTET_STRING, ASN1_OCTET_STRING_free)

static bool is_it(const GENERAL_NAME *g, bool ip, const char *name)
{
	uint8_t address[16];
	int n = strchr(name, ':') != NULL ? 16 : 4;

	if (ip)
		return g->type == GEN_IPADD && inet_pton(n == 16 ? AF_INET6 : AF_INET, name, address) == 1 &&
		       ASN1_STRING_length(g->d.iPAddress) == n && memcmp(ASN1_STRING_get0_data(g->d.iPAddress), address, (size_t)n) == 0;
	return g->type == GEN_DNS && (size_t)ASN1_STRING_length(g->d.dNSName) == strlen(name) &&
	       strncasecmp((const char *)ASN1_STRING_get0_data(g->d.dNSName), name, strlen(name)) == 0;
}

static bool san(const X509 *x, bool ip, const char *name, struct err *e)
{
	int critical;
	AUTO(GENERAL_NAMES) *names = X509_get_ext_d2i(x, NID_subject_alt_name, &critical, NULL);
	const GENERAL_NAME *g;
	char seen[64] = "";

	if (names == NULL)
		return err_set(e, ERR_BAD_CERT, "the certificate has %s; one with %s alone is expected",
		               critical == -1 ? "no subjectAltName" : "a subjectAltName that can't be read, or two", name);
	if (sk_GENERAL_NAME_num(names) != 1)
		return err_set(e, ERR_BAD_CERT, "the certificate has %d names in subjectAltName; %s alone is expected",
		               sk_GENERAL_NAME_num(names), name);
	g = sk_GENERAL_NAME_value(names, 0);
	if (is_it(g, ip, name))
		return true;
	if (g->type == GEN_DNS)
		text_escaped(seen, sizeof seen, ASN1_STRING_get0_data(g->d.dNSName), (size_t)ASN1_STRING_length(g->d.dNSName));
	return err_set(e, ERR_BAD_CERT, "the certificate is for %s; %s %s is expected", seen[0] != 0 ? seen : "something else",
	               ip ? "iPAddress" : "dNSName", name);
}

/* id-pe-acmeIdentifier ::= OCTET STRING of the digest, DER to the end. */
static bool identifier(const X509 *x, const uint8_t digest[32], struct err *e)
{
	AUTO(ASN1_OBJECT) *oid = OBJ_txt2obj("1.3.6.1.5.5.7.1.31", 1);
	int at = oid != NULL ? X509_get_ext_by_OBJ(x, oid, -1) : -1;
	X509_EXTENSION *ext = at >= 0 ? X509_get_ext(x, at) : NULL;
	const ASN1_OCTET_STRING *value;
	const uint8_t *p;

	if (ext == NULL)
		return err_set(e, ERR_BAD_CERT, "the certificate has no acmeIdentifier (1.3.6.1.5.5.7.1.31, RFC 8737, 3)");
	if (X509_get_ext_by_OBJ(x, oid, at) >= 0)
		return err_set(e, ERR_BAD_CERT, "the certificate has two acmeIdentifiers (RFC 8737, 3)");
	if (!X509_EXTENSION_get_critical(ext))
		return err_set(e, ERR_BAD_CERT, "the certificate's acmeIdentifier is not critical (RFC 8737, 3)");
	value = X509_EXTENSION_get_data(ext);
	p = ASN1_STRING_get0_data(value);
	if (ASN1_STRING_length(value) != 34 || p[0] != V_ASN1_OCTET_STRING || p[1] != 32)
		return err_set(e, ERR_BAD_CERT, "the certificate's acmeIdentifier is not an OCTET STRING of 32 octets (RFC 8737, 3)");
	return text_equal_const_time(p + 2, digest, 32) ||
	       err_set(e, ERR_BAD_CERT, "the certificate's acmeIdentifier is not the SHA-256 of this challenge's key authorization");
}

bool alpn_certificate(struct span der, bool ip, const char *name, const uint8_t digest[32], struct err *e)
{
	const uint8_t *p = der.p;
	AUTO(X509) *x = d2i_X509(NULL, &p, (long)der.n);
	bool self;

	if (x == NULL || p != der.p + der.n) {
		ERR_clear_error();
		return err_set(e, ERR_BAD_CERT, "the certificate can't be read");
	}
	if (!san(x, ip, name, e) || !identifier(x, digest, e)) {
		ERR_clear_error();
		return false;
	}
	self = X509_NAME_cmp(X509_get_subject_name(x), X509_get_issuer_name(x)) == 0 && X509_get0_pubkey(x) != NULL &&
	       X509_verify(x, X509_get0_pubkey(x)) == 1;
	ERR_clear_error();
	return self || err_set(e, ERR_BAD_CERT, "the certificate is not self-signed (RFC 8737, 3)");
}

bool alpn_server_name(bool ip, const char *name, char *out, size_t size)
{
	uint8_t a[16];
	size_t n = 0;

	if (!ip)
		return (size_t)snprintf(out, size, "%s", name) < size;
	if (inet_pton(AF_INET, name, a) == 1)
		return (size_t)snprintf(out, size, "%u.%u.%u.%u.in-addr.arpa", a[3], a[2], a[1], a[0]) < size;
	if (inet_pton(AF_INET6, name, a) != 1 || size < 16 * 4 + 9)
		return false;
	for (int i = 15; i >= 0; i--)
		n += (size_t)snprintf(out + n, size - n, "%x.%x.", a[i] & 15, a[i] >> 4);
	snprintf(out + n, size - n, "ip6.arpa");
	return true;
}
