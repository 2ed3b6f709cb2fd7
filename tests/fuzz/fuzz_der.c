/* SPDX-License-Identifier: Apache-2.0 */
#include "base/der.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every reader over the same octets; what is inside is walked as deep as certificates go. */
static void walk(struct der d, int depth)
{
	while (!der_empty(&d)) {
		struct der in, whole = d;
		int tag;
		struct span s = der_any(&d, &tag, &in);

		if (s.p == NULL)
			return;
		if (s.p != whole.p || d.p != s.p + s.n)
			abort();
		if ((tag & 0x20) != 0 && depth < 16)
			walk(in, depth + 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct der d = der_of(data, size), copy = d;
	unsigned unused;
	char text[80];

	walk(d, 0);
	(void)der_uint(&copy);
	copy = d;
	(void)der_bits(&copy, &unused);
	copy = d;
	if (der_time(&copy) != 0 && der_done(&copy)) {
		/* What is read and written again is the same moment. */
		AUTO_BUF b = { 0 };
		struct der again = d;
		int64_t us = der_time(&again);

		der_put_time(&b, us);
		again = der_of(b.p, b.n);
		if (der_time(&again) != us || !der_done(&again))
			abort();
	}
	if (der_oid_text((struct span){ data, size }, text, sizeof text)) {
		AUTO_BUF b = { 0 };

		if (der_put_oid(&b, text) && (b.n != size + 2 || (size != 0 && b.p[2] != data[0])))
			abort();
	}
	return 0;
}
