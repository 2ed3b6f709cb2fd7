/* SPDX-License-Identifier: Apache-2.0
 *
 * A request's head as libmicrohttpd hands it over: the path, then a header a line. What is let through has one length,
 * one Host at most, and names that are tokens. */
#include "web/internal.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEADERS = 32 };
static char *names[HEADERS], *values[HEADERS];
static int header_n;

int MHD_get_connection_values(struct MHD_Connection *c, enum MHD_ValueKind kind, MHD_KeyValueIterator each, void *arg)
{
	(void)c;
	for (int i = 0; i < header_n; i++)
		if (each(arg, kind, names[i], values[i]) != MHD_YES)
			return i + 1;
	return header_n;
}

const char *MHD_lookup_connection_value(struct MHD_Connection *c, enum MHD_ValueKind kind, const char *name)
{
	(void)c;
	(void)kind;
	for (int i = 0; i < header_n; i++)
		if (strcasecmp(names[i], name) == 0)
			return values[i];
	return NULL;
}

static bool never(void *ctx, const struct request *in, struct ask *ask, struct response *out)
{
	(void)ctx;
	(void)in;
	(void)ask;
	(void)out;
	return false;
}

static void judge(const struct exchange *x)
{
	int lengths = 0, hosts = 0;

	for (int i = 0; i < header_n; i++) {
		if (names[i][0] == 0 || strpbrk(names[i], " \t:\r\n") != NULL)
			abort();
		lengths += strcasecmp(names[i], "Content-Length") == 0 || strcasecmp(names[i], "Transfer-Encoding") == 0;
		hosts += strcasecmp(names[i], "Host") == 0;
	}
	if (lengths > 1 || hosts > 1 || x->path[0] != '/' || x->route == NULL)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct head head = { .parse = never };
	struct route routes[] = { { "/.well-known/est", &head, NULL, 32768 }, { "/ocsp", &head, NULL, 8192 }, { "/", &head, NULL, 0 } };
	struct web w = { .routes = routes, .c.route_n = 3 };
	char *text = mem_new(size + 1), *rest = text;
	struct exchange x = { .w = &w };

	memcpy(text, data, size);
	x.path = strsep(&rest, "\n");
	for (header_n = 0; rest != NULL && header_n < HEADERS; header_n++) {
		values[header_n] = strsep(&rest, "\n");
		names[header_n] = strsep(&values[header_n], ":"); /* no colon: no value */
	}
	x.q.path = x.path;
	if (request_head(&x))
		judge(&x);
	else if (x.r.status < 400)
		abort();
	buf_free(&x.r.body);
	free(text);
	return 0;
}
