/* SPDX-License-Identifier: Apache-2.0 */
#include "base/record.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span record = { data, size };
	struct rd r = rd_of(data, size);
	AUTO_BUF again = { 0 };
	struct field f;
	char text[64];

	while (record_next(&r, &f)) {
		switch (f.type) {
		case FIELD_INT: record_int(&again, f.name, f.number); break;
		case FIELD_BOOL: record_bool(&again, f.name, f.number != 0); break;
		case FIELD_TIME: record_time(&again, f.name, f.number); break;
		default: record_bytes(&again, f.name, f.octets.p, f.octets.n); again.p[again.n - f.octets.n - 6 - strlen(f.name)] = (uint8_t)f.type;
		}
		(void)record_get_text(record, f.name, text, sizeof text);
		(void)record_get_int(record, f.name, 0);
	}
	if (record_valid(record) && !span_equal(record, span_of(&again)))
		abort();
	return 0;
}
