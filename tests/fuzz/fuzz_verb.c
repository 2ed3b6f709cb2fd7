/* SPDX-License-Identifier: Apache-2.0
 *
 * An officer's arguments as a record: the first octet chooses the verb. */
#include "ra/verbs.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct verb *v;
	struct err e = { 0 };
	size_t verbs = 0;

	while (verb_at(verbs) != NULL)
		verbs++;
	if (size == 0)
		return 0;
	v = verb_at(data[0] % verbs);
	if (verb_check(v, (struct span){ data + 1, size - 1 }, &e)) {
		if (!record_valid((struct span){ data + 1, size - 1 }))
			abort();
	} else if (e.kind != ERR_BAD_REQUEST || e.text[0] == 0) {
		abort();
	}
	return 0;
}
