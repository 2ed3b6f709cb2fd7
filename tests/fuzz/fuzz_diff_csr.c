/* SPDX-License-Identifier: Apache-2.0
 *
 * A PKCS#10 request beside OpenSSL: taken here means taken there, with the same subject, key, names, attributes and
 * verdict on the signature. */
#include "tests/fuzz/diff.h"

#ifdef FUZZER
/* Requests under the key of the seed `own` are signed anew, so that changed ones are reached behind the signature. */
static size_t sign_anew(uint8_t *data, size_t n, size_t max);
#define DER_MUTATOR_AFTER sign_anew
#endif
#include "tests/fuzz/der_mutator.h"

AUTO_DEFINE(X509_REQ, X509_REQ_free)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same_extensions(const struct csr *c, X509_REQ *req)
{
	STACK_OF(X509_EXTENSION) *list = X509_REQ_get_extensions(req);
	int crit;
	GENERAL_NAMES *san = X509V3_get_d2i(list, NID_subject_alt_name, &crit, NULL);
	BASIC_CONSTRAINTS *bc;
	ASN1_BIT_STRING *usage;
	bool asks_ca;

	same(c->ext_n == (size_t)(list != NULL ? sk_X509_EXTENSION_num(list) : 0), "the number of extensions asked for");
	for (size_t i = 0; i < c->ext_n; i++) {
		const ASN1_OBJECT *oid = X509_EXTENSION_get_object(sk_X509_EXTENSION_value(list, (int)i));

		same(is_octets(c->ext_oid[i], OBJ_get0_data(oid), (long)OBJ_length(oid)), "an extension asked for");
	}
	/* -1: not there, -2: twice. There and not readable is NULL with crit 0 or 1. */
	same(crit != -2 && c->has_san == (crit != -1) && c->has_san == (san != NULL), "whether alternative names are asked for");
	if (san != NULL)
		same_san(&c->san, san, true);
	bc = X509V3_get_d2i(list, NID_basic_constraints, &crit, NULL);
	same((crit == -1) == (bc == NULL), "basicConstraints");
	usage = X509V3_get_d2i(list, NID_key_usage, &crit, NULL);
	same((crit == -1) == (usage == NULL), "keyUsage");
	asks_ca = (bc != NULL && bc->ca != 0) || (usage != NULL && (ASN1_BIT_STRING_get_bit(usage, 5) || ASN1_BIT_STRING_get_bit(usage, 6)));
	same(c->asks_ca == asks_ca, "whether an authority is asked for");
	same((c->eku.n != 0) == (X509v3_get_ext_by_NID(list, NID_ext_key_usage, -1) >= 0), "extendedKeyUsage");
	same(c->asks_policies == (X509v3_get_ext_by_NID(list, NID_certificate_policies, -1) >= 0 ||
	                          X509v3_get_ext_by_NID(list, NID_policy_mappings, -1) >= 0), "policies");
	same(c->asks_constraints == (X509v3_get_ext_by_NID(list, NID_name_constraints, -1) >= 0 ||
	                             X509v3_get_ext_by_NID(list, NID_policy_constraints, -1) >= 0 ||
	                             X509v3_get_ext_by_NID(list, NID_inhibit_any_policy, -1) >= 0), "constraints");
	sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
	GENERAL_NAMES_free(san);
	BASIC_CONSTRAINTS_free(bc);
	ASN1_BIT_STRING_free(usage);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct csr c;
	const uint8_t *p = data;
	AUTO(X509_REQ) *req = d2i_X509_REQ(NULL, &p, (long)size);
	const ASN1_BIT_STRING *sig;
	struct err e = { 0 };
	bool ours = csr_parse(&c, data, size, &e), holds;

	if (!verdict(ours, req != NULL && p == data + size))
		return 0;
	same(X509_REQ_get_version(req) == 0, "the version");
	same_name(&c.dn, c.dn_ignored, X509_REQ_get_subject_name(req));
	same_key(&c.key, c.spki, X509_REQ_get_X509_PUBKEY(req));
	same_extensions(&c, req);
	same(c.has_challenge == (X509_REQ_get_attr_by_NID(req, NID_pkcs9_challengePassword, -1) >= 0), "challengePassword");
	X509_REQ_get0_signature(req, &sig, NULL);
	same(is_octets(c.signature, sig->data, sig->length), "the signature");
	holds = csr_verify(&c, &e);
	same(holds == (X509_REQ_get0_pubkey(req) != NULL && X509_REQ_verify(req, X509_REQ_get0_pubkey(req)) == 1), "whether the signature holds");
	ERR_clear_error();
	verdicts.holds += holds;
	return 0;
}

#ifdef FUZZER
static size_t sign_anew(uint8_t *data, size_t n, size_t max)
{
	static EVP_PKEY *key;
	static uint8_t raw[32];
	uint8_t seed[32], sig[64];
	size_t raw_n = sizeof raw, sig_n = sizeof sig;
	struct der d = der_of(data, n), in = der_in(&d, DER_SEQUENCE);
	struct span info = der_whole(&in, DER_SEQUENCE);
	EVP_MD_CTX *ctx;
	AUTO_BUF out = { 0 };
	size_t mark;

	if (key == NULL) {
		memset(seed, 7, sizeof seed);
		key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof seed);
		EVP_PKEY_get_raw_public_key(key, raw, &raw_n);
	}
	if (info.n == 0 || info.n + 100 > max || memmem(info.p, info.n, raw, sizeof raw) == NULL)
		return n;
	ctx = EVP_MD_CTX_new();
	EVP_DigestSignInit(ctx, NULL, NULL, NULL, key);
	EVP_DigestSign(ctx, sig, &sig_n, info.p, info.n);
	EVP_MD_CTX_free(ctx);
	mark = der_begin(&out, DER_SEQUENCE);
	buf_add(&out, info.p, info.n);
	sig_alg_der(&out, SIG_ED25519);
	der_put_bits(&out, sig, sig_n, 0);
	der_end(&out, mark);
	memcpy(data, out.p, out.n);
	return out.n;
}
#endif
