/* SPDX-License-Identifier: Apache-2.0
 *
 * A PKCS#10 request from anybody: read, and its signature looked at. */
#include "pkix/csr.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct csr c;
	struct err e = { 0 };

	if (!csr_parse(&c, data, size, &e) || !csr_verify(&c, &e)) {
		if (e.kind == ERR_NONE || e.text[0] == 0)
			abort(); /* a refusal without a reason */
	}
	return 0;
}
