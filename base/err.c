/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const kind_names[ERR_KIND_COUNT] = {
	[ERR_NONE] = "none",
	[ERR_INTERNAL] = "internal",
	[ERR_BUSY] = "busy",
	[ERR_TIMEOUT] = "timeout",
	[ERR_UNAUTHENTICATED] = "unauthenticated",
	[ERR_DENIED] = "denied",
	[ERR_NOT_FOUND] = "not-found",
	[ERR_EXISTS] = "exists",
	[ERR_CONFLICT] = "conflict",
	[ERR_BAD_REQUEST] = "bad-request",
	[ERR_TOO_LARGE] = "too-large",
	[ERR_BAD_TYPE] = "bad-type",
	[ERR_BAD_METHOD] = "bad-method",
	[ERR_BAD_CSR] = "bad-csr",
	[ERR_BAD_KEY] = "bad-key",
	[ERR_BAD_NAME] = "bad-name",
	[ERR_BAD_CERT] = "bad-certificate",
	[ERR_POLICY] = "policy",
	[ERR_LINT] = "lint",
	[ERR_HSM] = "hsm",
	[ERR_PIN] = "pin",
	[ERR_STORE] = "store",
	[ERR_IO] = "io",
	[ERR_CONFIG] = "config",
	[ERR_USAGE] = "usage",
	[ERR_RATE] = "rate",
};

static void set_v(struct err *e, enum err_kind kind, const char *fmt, va_list ap)
{
	e->kind = kind;
	e->retry_after = 0;
	vsnprintf(e->text, sizeof e->text, fmt, ap);
}

bool err_set(struct err *e, enum err_kind kind, const char *fmt, ...)
{
	va_list ap;

	if (e == NULL)
		return false;
	va_start(ap, fmt);
	set_v(e, kind, fmt, ap);
	va_end(ap);
	return false;
}

bool err_sys(struct err *e, enum err_kind kind, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;
	size_t n;

	if (e == NULL)
		return false;
	va_start(ap, fmt);
	set_v(e, kind, fmt, ap);
	va_end(ap);
	n = strlen(e->text);
	snprintf(e->text + n, sizeof e->text - n, ": %s", strerror(saved));
	return false;
}

bool err_in(struct err *e, const char *fmt, ...)
{
	char was[sizeof e->text];
	va_list ap;
	size_t n;

	if (e == NULL)
		return false;
	memcpy(was, e->text, sizeof was);
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof e->text, fmt, ap);
	va_end(ap);
	n = strlen(e->text);
	snprintf(e->text + n, sizeof e->text - n, ": %s", was);
	return false;
}

const char *err_kind_name(enum err_kind kind)
{
	if ((unsigned)kind >= ERR_KIND_COUNT)
		return "internal";
	return kind_names[kind];
}
