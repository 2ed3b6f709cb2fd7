/* SPDX-License-Identifier: Apache-2.0
 *
 * A certificate that a client presents. */
#include "pkix/cert.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct cert c;
	struct err e = { 0 };
	char serial[2 * SERIAL_MAX + 1];
	struct serial back;

	if (!cert_parse(&c, data, size, &e)) {
		if (e.kind != ERR_BAD_CERT || e.text[0] == 0)
			abort();
		return 0;
	}
	serial_text(&c.serial, serial, sizeof serial);
	if (!serial_from_text(&back, serial) || !serial_equal(&back, &c.serial))
		abort();
	(void)cert_has_eku(&c, "1.3.6.1.5.5.7.3.2");
	return 0;
}
