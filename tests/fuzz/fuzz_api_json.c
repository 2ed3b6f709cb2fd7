/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON of the officer API: the first octet chooses the verb. What is taken is a well-formed record. */
#include "api/api.h"
#include "ra/verbs.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_BUF record = { 0 };
	struct err e = { 0 };
	size_t verbs = 0;

	while (verb_at(verbs) != NULL)
		verbs++;
	if (size == 0)
		return 0;
	if (api_arguments(&record, verb_at(data[0] % verbs)->name, (const char *)data + 1, size - 1, &e)) {
		if (!record_valid(span_of(&record)))
			abort();
	} else if (e.kind == ERR_NONE || e.text[0] == 0) {
		abort();
	}
	return 0;
}
