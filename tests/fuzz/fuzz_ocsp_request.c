/* SPDX-License-Identifier: Apache-2.0
 *
 * An OCSP request as a body, and as the path of a GET. OpenSSL is asked too. */
#include "crl/ocsp_request.h"

#include <openssl/ocsp.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ocsp_request q;
	const unsigned char *p = data;
	AUTO_BUF der = { 0 };
	AUTO_BUF path = { 0 };
	OCSP_REQUEST *judge;

	if (ocsp_request_parse(&q, data, size, NULL)) {
		judge = d2i_OCSP_REQUEST(NULL, &p, (long)size);
		/* Signature and requestor's name are read over here, so OpenSSL may refuse; but never see other requests. */
		if (judge != NULL && OCSP_request_onereq_count(judge) != (int)q.n)
			abort();
		OCSP_REQUEST_free(judge);
	}
	buf_add(&path, data, size);
	if (ocsp_get_decode(&der, buf_str(&path), NULL))
		(void)!ocsp_request_parse(&q, der.p, der.n, NULL);
	return 0;
}
