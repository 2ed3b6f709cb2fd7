/* SPDX-License-Identifier: Apache-2.0
 *
 * A configuration, or a profile: the first octet chooses. A refusal says something; a profile that is taken has a
 * canonical form that is read back. */
#include "config/config.h"
#include "config/profile.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct config c;
	static struct profile p, q;
	AUTO_BUF mistakes = { 0 };
	AUTO_BUF canonical = { 0 };
	bool good;

	if (size == 0)
		return 0;
	if (data[0] % 2 == 0) {
		good = config_parse(&c, "f", (const char *)data + 1, size - 1, &mistakes);
	} else if ((good = profile_parse(&p, "f", (const char *)data + 1, size - 1, "Hospital", &mistakes))) {
		struct rd r;

		profile_put(&canonical, &p);
		r = rd_of(canonical.p, canonical.n);
		profile_get(&r, &q);
		if (!rd_done(&r))
			abort();
	}
	if (good != (mistakes.n == 0))
		abort();
	return 0;
}
