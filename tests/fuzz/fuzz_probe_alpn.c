/* SPDX-License-Identifier: Apache-2.0
 *
 * The certificate of a tls-alpn-01 handshake. */
#include "base/text.h"
#include "probe/alpn.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t digest[32] = { 1, 2, 3, 4 };
	struct err e;

	for (int ip = 0; ip < 2; ip++) {
		if (!alpn_certificate((struct span){ data, size }, ip != 0, ip != 0 ? "10.0.0.1" : "a.test", digest, &e)) {
			if (!text_is_clean_utf8(e.text, strlen(e.text)))
				abort();
		} else if (memmem(data, size, digest, sizeof digest) == NULL) {
			abort();
		}
	}
	return 0;
}
