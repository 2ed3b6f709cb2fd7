/* SPDX-License-Identifier: Apache-2.0 */
#include "web/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void response_header(struct response *r, const char *name, const char *fmt, ...)
{
	struct web_header *h;
	va_list ap;

	if (r->header_n == WEB_HEADER_MAX)
		return;
	h = &r->header[r->header_n++];
	snprintf(h->name, sizeof h->name, "%s", name);
	va_start(ap, fmt);
	vsnprintf(h->value, sizeof h->value, fmt, ap);
	va_end(ap);
	/* No header of ours has a line end, whatever a client made us quote. */
	for (char *s = h->value; *s != 0; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = ' ';
}

void response_text(struct response *r, unsigned status, const struct request *q, const char *fmt, ...)
{
	char text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	for (char *s = text; *s != 0; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = ' ';
	r->status = status;
	r->content_type = "text/plain; charset=utf-8";
	r->body.n = 0;
	buf_printf(&r->body, "%s (request %s)\n", text, q->request_id);
	snprintf(r->why, sizeof r->why, "%.255s", text);
}
