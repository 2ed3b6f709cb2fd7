/* SPDX-License-Identifier: Apache-2.0
 *
 * The lint over any octets: the first one chooses between a leaf and an authority. */
#include "ca/internal.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct profile p = { .name = "p", .eku_n = 2, .eku = { "1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1" },
		                          .san_types = 62, .ocsp_aia = true, .cdp = true, .wildcard = true };
	struct lint_context c = { .profile = size != 0 && data[0] % 2 == 0 ? &p : NULL };
	struct err e = { 0 };

	if (size == 0)
		return 0;
	if (c.profile != NULL)
		c.issuer_name = (struct span){ (const uint8_t *)"\x30\x00", 2 };
	c.issuer_not_after = INT64_MAX;
	if (!lint_certificate((struct span){ data + 1, size - 1 }, &c, &e) && (e.kind != ERR_LINT || e.text[0] == 0))
		abort();
	return 0;
}
