/* SPDX-License-Identifier: Apache-2.0
 *
 * Metric lines of another role. */
#include "base/metric.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_BUF out = { 0 };

	metrics_merge(&out, (struct span){ data, size });
	return 0;
}
