/* SPDX-License-Identifier: Apache-2.0
 *
 * An OCSP request beside OpenSSL: the same CertIDs, serials and nonce. What we read over (a signature, a requestor's name)
 * OpenSSL may refuse. */
#include "crl/ocsp_request.h"
#include "tests/fuzz/diff.h"
#include "tests/fuzz/der_mutator.h"

#include <openssl/ocsp.h>

AUTO_DEFINE(OCSP_REQUEST, OCSP_REQUEST_free)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Has it a signature, or a requestor's name? */
static bool has_more(const uint8_t *data, size_t size)
{
	struct der d = der_of(data, size), all = der_in(&d, DER_SEQUENCE), tbs = der_in(&all, DER_SEQUENCE), part;

	(void)der_optional(&tbs, DER_CONTEXT_CONS | 0, &part);
	return !der_empty(&all) || der_peek(&tbs) == (DER_CONTEXT_CONS | 1);
}

static void same_id(const struct cert_id *ours, OCSP_CERTID *theirs)
{
	static const int nids[CERT_ID_HASHES] = { NID_sha1, NID_sha256, NID_sha384, NID_sha512 };
	ASN1_OCTET_STRING *name, *key;
	ASN1_OBJECT *md;
	ASN1_INTEGER *serial;
	unsigned char *der = NULL;
	int n = i2d_OCSP_CERTID(theirs, &der), nid;
	bool negative;
	BIGNUM *number;

	OCSP_id_get0_info(&name, &md, &key, &serial, theirs);
	same(is_octets(ours->whole, der, n), "the octets of a CertID");
	OPENSSL_free(der);
	nid = OBJ_obj2nid(md);
	for (int i = 0; i < CERT_ID_HASHES; i++)
		same((ours->hash == (enum cert_id_hash)i) == (nid == nids[i]), "the hash of a CertID");
	same(is_octets(ours->name_hash, name->data, name->length), "the hash of the issuer's name");
	same(is_octets(ours->key_hash, key->data, key->length), "the hash of the issuer's key");
	number = ASN1_INTEGER_to_BN(serial, NULL);
	negative = BN_is_negative(number);
	same(ours->impossible == (negative || BN_is_zero(number) || BN_num_bytes(number) > SERIAL_MAX), "whether a serial can be");
	BN_free(number);
	same(ours->impossible || is_number(ours->serial.v, ours->serial.n, serial), "a serial number");
}

static void same_nonce(const struct ocsp_request *q, OCSP_REQUEST *req)
{
	int at = OCSP_REQUEST_get_ext_by_NID(req, NID_id_pkix_OCSP_Nonce, -1);
	const ASN1_OCTET_STRING *value;
	const unsigned char *p;
	ASN1_OCTET_STRING *nonce;

	same((q->nonce.n != 0) == (at >= 0), "whether there is a nonce");
	if (at < 0)
		return;
	same(OCSP_REQUEST_get_ext_by_NID(req, NID_id_pkix_OCSP_Nonce, at) < 0, "one nonce");
	value = X509_EXTENSION_get_data(OCSP_REQUEST_get_ext(req, at));
	p = value->data;
	nonce = d2i_ASN1_OCTET_STRING(NULL, &p, value->length);
	same(nonce != NULL && p == value->data + value->length && is_octets(q->nonce, nonce->data, nonce->length), "the nonce");
	ASN1_OCTET_STRING_free(nonce);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ocsp_request q;
	const unsigned char *p = data;
	AUTO(OCSP_REQUEST) *req = d2i_OCSP_REQUEST(NULL, &p, (long)size);
	bool ours = ocsp_request_parse(&q, data, size, NULL), theirs = req != NULL && p == data + size;

	if (ours && !theirs && has_more(data, size))
		return 0;
	if (!verdict(ours, theirs))
		return 0;
	same(OCSP_request_onereq_count(req) == (int)q.n, "the number of requests");
	for (size_t i = 0; i < q.n; i++)
		same_id(&q.id[i], OCSP_onereq_get0_id(OCSP_request_onereq_get0(req, (int)i)));
	same_nonce(&q, req);
	return 0;
}
