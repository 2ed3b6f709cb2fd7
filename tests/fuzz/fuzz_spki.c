/* SPDX-License-Identifier: Apache-2.0
 *
 * A SubjectPublicKeyInfo, and a signature algorithm. A key that we take, OpenSSL takes too, as the same key. */
#include "pkix/key.h"

#include <openssl/x509.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(EVP_PKEY) *ours = NULL;
	AUTO(EVP_PKEY) *theirs = NULL;
	const uint8_t *p = data;
	struct key_info k;
	enum sig_alg alg;
	struct err e = { 0 };

	if (size == 0)
		return 0;
	(void)!sig_alg_parse(&alg, (struct span){ data, size }, NULL);
	if (!key_parse(&k, (struct span){ data, size }, &e) || !key_load(&ours, &k, &e)) {
		if (e.kind != ERR_BAD_KEY || e.text[0] == 0)
			abort();
		return 0;
	}
	theirs = d2i_PUBKEY(NULL, &p, (long)size);
	if (theirs == NULL || p != data + size || EVP_PKEY_eq(ours, theirs) != 1)
		abort();
	return 0;
}
