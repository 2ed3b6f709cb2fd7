/* SPDX-License-Identifier: Apache-2.0
 *
 * What ra tells va: the first octet chooses the frame's type, the rest is its body. */
#include "crl/va.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t types[] = { STATUS_AUTHORITY, STATUS_ENTRIES, STATUS_SNAPSHOT_END, STATUS_CRL, STATUS_OP_COUNT, STATUS_SWEPT };
	struct caller *nobody;
	struct va *va;

	if (size == 0)
		return 0;
	va = va_new(&(struct va_config){ .dir = "/nonexistent", .now = clock_now });
	nobody = caller_new("va", NULL, NULL, NULL);
	va_set_callers(va, nobody, nobody);
	va_notice(va, &(struct frame){ .type = types[data[0] % COUNT_OF(types)], .body = { data + 1, size - 1 } });
	caller_free(nobody);
	va_free(va);
	return 0;
}
