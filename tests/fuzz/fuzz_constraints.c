/* SPDX-License-Identifier: Apache-2.0
 *
 * Name constraints of any octets, and names judged by those that could be read. */
#include "pkix/constraints.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "dns:a.b", "dns:*.b", "ip:10.0.0.1", "ip:::1", "email:a@b", "uri:https://a@b:1/c" };
	static struct constraints c;
	static struct san_list san;
	struct dn dn = { .n = 1, .attr = { { DN_CN, "a.b" } } };
	struct err e = { 0 };

	san.n = 0;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		san.n += san_from_text(&san.v[san.n], names[i], false, NULL);
	if (constraints_parse(&c, (struct span){ data, size }, &e))
		(void)!constraints_check(&c, &dn, &san, &e);
	else if (e.kind != ERR_BAD_CERT)
		abort();
	return 0;
}
