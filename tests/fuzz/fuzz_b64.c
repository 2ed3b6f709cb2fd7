/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_BUF out = { 0 };
	AUTO_BUF text = { 0 };
	AUTO_BUF again = { 0 };
	AUTO_BUF url = { 0 };
	size_t rest;

	if (b64_get(&out, (const char *)data, size)) {
		b64_put(&text, out.p, out.n, B64_WRAPPED_64);
		if (!b64_get(&again, (const char *)text.p, text.n) || !span_equal(span_of(&again), span_of(&out)))
			abort();
	}
	/* Without white space and padding there is one text for one value. */
	if (b64url_get(&url, (const char *)data, size)) {
		text.n = 0;
		b64url_put(&text, url.p, url.n);
		if (text.n != size || (size != 0 && memcmp(text.p, data, size) != 0))
			abort();
	}
	again.n = 0;
	if (pem_get(&again, "CERTIFICATE", (const char *)data, size, &rest) && rest > size)
		abort();
	return 0;
}
