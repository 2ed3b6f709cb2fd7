/* SPDX-License-Identifier: Apache-2.0
 *
 * A request's head: what libmicrohttpd 0.9.75 lets through and we don't (smuggling by two lengths or by length and
 * chunks), and the fields that heads read. */
#include "web/internal.h"

#include <stdlib.h>
#include <string.h>

/* RFC 9110, 5.6.2: a name is a token. What is none (a blank before the colon, a folded line) others may read as another
 * header, and so the length of the body (RFC 9112, 5.1, 5.2). */
static bool is_token(const char *s)
{
	size_t n = strspn(s, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");

	return n != 0 && s[n] == 0;
}

static bool is_clean(const char *s)
{
	for (; s != NULL && *s != 0; s++)
		if (((unsigned char)*s < 0x20 && *s != '\t') || *s == 0x7f)
			return false;
	return true;
}

struct seen {
	unsigned lengths, codings, hosts;
	bool bad_coding, bad_length, bad_header;
	size_t octets;
};

enum { HEAD_MAX = 8192 }; /* EST-40: path and header fields together */

static enum MHD_Result each(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct seen *s = arg;

	(void)kind;
	s->octets += strlen(name) + (value != NULL ? strlen(value) : 0) + 4;
	s->bad_header |= !is_token(name) || !is_clean(value);
	if (strcasecmp(name, "Content-Length") == 0) {
		s->lengths++;
		s->bad_length |= value == NULL || value[0] == 0 || value[strspn(value, "0123456789")] != 0 || strlen(value) > 12;
	} else if (strcasecmp(name, "Transfer-Encoding") == 0) {
		s->codings++;
		s->bad_coding |= value == NULL || strcasecmp(value, "chunked") != 0;
	} else if (strcasecmp(name, "Host") == 0) {
		s->hosts++;
	}
	return MHD_YES;
}

static const char *header(struct exchange *x, const char *name)
{
	const char *v = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name);

	return v != NULL ? v : "";
}

bool request_refuse(struct exchange *x, unsigned status, const char *why)
{
	response_text(&x->r, status, &x->q, "%s", why);
	/* What follows on this connection is not to be trusted. */
	response_header(&x->r, "Connection", "close");
	if (x->w->c.refused != NULL)
		x->w->c.refused(x->w->c.arg, &x->q, &x->r);
	return false;
}

static bool path_ok(const char *path)
{
	size_t n = 0;

	if (path[0] != '/')
		return false;
	for (; path[n] != 0; n++)
		if ((unsigned char)path[n] <= 0x20 || path[n] == 0x7f)
			return false;
	return n < WEB_PATH_MAX;
}

bool request_head(struct exchange *x)
{
	struct seen s = { 0 };
	const char *length = header(x, "Content-Length");

	(void)MHD_get_connection_values(x->connection, MHD_HEADER_KIND, each, &s);
	x->q.content_type = header(x, "Content-Type");
	x->q.authorization = header(x, "Authorization");
	x->q.user_agent = header(x, "User-Agent");
	x->q.if_none_match = header(x, "If-None-Match");
	x->q.if_modified_since = header(x, "If-Modified-Since");
	if (s.octets + strlen(x->path) > HEAD_MAX)
		return request_refuse(x, 431, "the header is larger than 8 KiB");
	if (s.bad_header)
		return request_refuse(x, 400, "a header with a blank before its colon, a folded line, or a control character");
	if (s.lengths > 1 || s.bad_length || s.codings > 1 || s.bad_coding || (s.lengths != 0 && s.codings != 0))
		return request_refuse(x, 400, "the length of the body must be said once, by Content-Length or by chunked coding");
	if (s.hosts > 1)
		return request_refuse(x, 400, "more than one Host");
	if (!path_ok(x->path))
		return request_refuse(x, 400, "the path is malformed or too long");
	x->route = route_find(x->w->routes, x->w->c.route_n, x->path);
	if (x->route == NULL) {
		response_text(&x->r, 404, &x->q, "there is nothing at this path");
		return false;
	}
	if (length[0] != 0 && strtoull(length, NULL, 10) > x->route->body_max)
		return request_refuse(x, 413, "the body is too large");
	return true;
}
