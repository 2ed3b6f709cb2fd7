/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/der.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Everything that reads a text with an end: dates, durations, hexadecimal, OIDs. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = mem_new(size + 1);
	uint8_t octets[64];
	AUTO_BUF b = { 0 };
	char again[32];
	int64_t us, back;
	size_t n;

	if (size != 0)
		memcpy(text, data, size);
	if (clock_http_parse(text, &us)) {
		clock_http(us, again, sizeof again);
		if (strcmp(again, text) != 0)
			abort();
	}
	if (clock_duration(text, &us)) {
		clock_duration_text(us, again, sizeof again);
		if (!clock_duration(again, &back) || back != us)
			abort();
	}
	if (hex_get(text, octets, sizeof octets, &n) && n * 2 != strlen(text))
		abort();
	if (der_put_oid(&b, text)) {
		struct der d = der_of(b.p, b.n);
		char oid[1024];

		if (!der_oid_text(der_span(&d, DER_OID), oid, sizeof oid) || strcmp(oid, text) != 0)
			abort();
	}
	(void)text_is_clean_utf8((const char *)data, size);
	free(text);
	return 0;
}
