/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/frame.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_BUF again = { 0 };
	struct frame f;
	struct err e;
	char role[16];

	if (!frame_get(&f, data, size, &e))
		return 0;
	if (!frame_put(&again, &f, &e) || !span_equal(span_of(&again), (struct span){ data, size }))
		abort();
	(void)!hello_check(&f, role, &e);
	return 0;
}
