/* SPDX-License-Identifier: Apache-2.0 */
#include "web/internal.h"

#include <string.h>

const struct route *route_find(const struct route *routes, size_t n, const char *path)
{
	const struct route *best = NULL;
	size_t best_n = 0;

	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(routes[i].prefix);

		if (strncmp(path, routes[i].prefix, len) != 0 || (path[len] != 0 && path[len] != '/'))
			continue;
		if (best == NULL || len > best_n) {
			best = &routes[i];
			best_n = len;
		}
	}
	return best;
}
