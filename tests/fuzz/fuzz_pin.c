/* SPDX-License-Identifier: Apache-2.0
 *
 * What stands in a PIN file. */
#include "daemon/pin.c"

#include <stdio.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	char pin[65], number[16];
	struct err e = { 0 };

	if (fd < 0) {
		fd = memfd_create("pin", MFD_CLOEXEC);
		snprintf(number, sizeof number, "%d", fd);
		setenv(PIN_FD_VARIABLE, number, 1);
	}
	if (ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
	memset(pin, 'x', sizeof pin);
	if (pin_read("credential:pin", "/nonexistent", pin, sizeof pin, &e)) {
		if (pin[0] == 0 || memchr(pin, 0, sizeof pin) == NULL || strpbrk(pin, "\r\n") != NULL)
			abort();
	} else if (e.kind != ERR_CONFIG) {
		abort();
	}
	return 0;
}
