/* SPDX-License-Identifier: Apache-2.0
 *
 * A JWS, its key and its signature. The first octet says of what kind. */
#include "acme/jwk.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void key(const struct jws *j)
{
	AUTO_JWK k = { 0 };
	AUTO(EVP_PKEY) *evp = NULL;
	struct key_info again;
	struct refusal r = { 0 };
	struct err e;

	if (!jwk_parse(&k, j->jwk, &r)) {
		if (r.problem != ACME_BAD_PUBLIC_KEY || r.detail[0] == 0)
			abort();
		return;
	}
	/* What we wrote is what the strict reader takes. */
	if (!key_parse(&again, span_of(&k.spki), &e) || again.type != k.info.type)
		abort();
	if (jwk_load(&evp, &k, &r) && jws_verify(evp, k.info.type, j->alg, span_of(&j->input), span_of(&j->signature), &r) &&
	    !jws_alg_fits(j->alg, k.info.type, &r))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct refusal r = { 0 };
	struct jws j;

	if (size == 0)
		return 0;
	if (jws_parse(&j, (struct span){ data + 1, size - 1 }, (enum jws_kind)(data[0] % 3), &r)) {
		if (j.url[0] == 0 || (j.jwk != NULL) == (j.kid[0] != 0) || j.signature.n == 0 || j.alg == 0 ||
		    (j.alg >= JWS_HS256) != (data[0] % 3 == JWS_BINDING) || (j.nonce[0] != 0) != (data[0] % 3 == JWS_REQUEST))
			abort();
		if (j.jwk != NULL)
			key(&j);
	} else if (r.problem == ACME_OK || r.detail[0] == 0) {
		abort();
	}
	jws_free(&j);
	return 0;
}
