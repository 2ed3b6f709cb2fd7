/* SPDX-License-Identifier: Apache-2.0
 *
 * The fence: a list of networks up to the first NUL, then addresses. The words may never open loopback, link-local, multicast
 * or a metadata service, in whichever form. */
#include "base/fence.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge(const struct fence *f, const uint8_t a[16])
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	bool four, six;

	memcpy(&v6.sin6_addr, a, 16);
	memcpy(&v4.sin_addr, a + 12, 4);
	four = fence_refuses(f, (struct sockaddr *)&v4, false) == NULL;
	six = fence_refuses(f, (struct sockaddr *)&v6, false) == NULL;
	/* What is refused as another's is refused as one's own. */
	if (!four && fence_refuses(f, (struct sockaddr *)&v4, true) == NULL)
		abort();
	if (f->n != 0)
		return;
	if (four && (a[12] == 0 || a[12] == 127 || a[12] >= 224 || (a[12] == 169 && a[13] == 254)))
		abort();
	if (six && (a[0] == 0xff || (a[0] == 0xfe && a[1] >= 0x80) || IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr)))
		abort();
	/* The kernel takes a mapped one for what is in it. */
	if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr) && six != four)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = memchr(data, 0, size);
	struct fence f;
	uint8_t mapped[16] = { [10] = 0xff, [11] = 0xff };

	if (size == 0 || end == NULL || !fence_parse(&f, (const char *)data, NULL))
		return 0;
	size -= (size_t)(end + 1 - data);
	for (const uint8_t *p = end + 1; size >= 16; p += 16, size -= 16) {
		judge(&f, p);
		memcpy(mapped + 12, p + 12, 4);
		judge(&f, mapped);
	}
	return 0;
}
