/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void auto_free_(void *p)
{
	free(*(void **)p);
}

void auto_fd_(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static void *must(void *p)
{
	if (p == NULL) {
		static const char why[] = "level=error msg=\"out of memory\"\n";

		(void)!write(2, why, sizeof why - 1);
		abort();
	}
	return p;
}

void *mem_new(size_t n)
{
	return must(calloc(1, n != 0 ? n : 1));
}

void *mem_array(size_t count, size_t size)
{
	return must(calloc(count != 0 ? count : 1, size));
}

void *mem_grow(void *p, size_t count, size_t size)
{
	return must(reallocarray(p, count != 0 ? count : 1, size));
}

void *mem_dup(const void *p, size_t n)
{
	void *copy = mem_new(n);

	if (n != 0)
		memcpy(copy, p, n);
	return copy;
}

char *mem_text(const char *s)
{
	return must(strdup(s));
}

char *mem_printf(const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	return must(n < 0 ? NULL : s);
}

void mem_wipe(void *p, size_t n)
{
	if (n != 0)
		explicit_bzero(p, n);
}
