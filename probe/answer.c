/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/http.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

void text_escaped(char *out, size_t size, const void *p, size_t n)
{
	const uint8_t *s = p;
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		bool plain = s[i] >= 0x20 && s[i] < 0x7f && s[i] != '\\' && s[i] != '"';

		if (used + (plain ? 1 : 4) + 4 > size) {
			used += (size_t)snprintf(out + used, size - used, "...");
			break;
		}
		if (plain)
			out[used++] = (char)s[i];
		else
			used += (size_t)snprintf(out + used, size - used, "\\x%02x", s[i]);
	}
	if (size != 0)
		out[used < size ? used : size - 1] = 0;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

bool http_answer(long status, struct span body, const char *key_authorization, struct err *e)
{
	size_t n = body.n, token = strcspn(key_authorization, ".");
	char seen[80];

	while (n != 0 && is_blank(body.p[n - 1]))
		n--;
	if (status != 200)
		return err_set(e, ERR_BAD_REQUEST, "answers with status %ld; 200 is expected", status);
	if (n == strlen(key_authorization) && memcmp(body.p, key_authorization, n) == 0)
		return true;
	if (n == 0)
		return err_set(e, ERR_BAD_REQUEST, "answers with an empty body; the key authorization is expected");
	/* A client's mistake that is hard to see: another account of its own. */
	if (n > token && memcmp(body.p, key_authorization, token + 1) == 0)
		return err_set(e, ERR_BAD_REQUEST, "answers with the right token and the thumbprint of another account's key");
	text_escaped(seen, sizeof seen, body.p, n);
	return err_set(e, ERR_BAD_REQUEST, "answers with \"%s\"; the key authorization (TOKEN.THUMBPRINT) is expected", seen);
}

bool http_literal(const char *host, uint16_t port, struct sockaddr_storage *to)
{
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)to;
	struct sockaddr_in *v4 = (struct sockaddr_in *)to;

	memset(to, 0, sizeof *to);
	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		return true;
	}
	memset(to, 0, sizeof *to);
	if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		return true;
	}
	return false;
}

static bool host_ok(struct http_target *t, const char *host)
{
	struct sockaddr_storage to;
	size_t n = strlen(host);

	if (n > 2 && host[0] == '[' && host[n - 1] == ']')
		host++, n -= 2;
	if (n == 0 || n >= sizeof t->host)
		return false;
	for (size_t i = 0; i < n; i++)
		t->host[i] = (char)tolower((unsigned char)host[i]);
	t->host[n] = 0;
	t->ip = http_literal(t->host, t->port, &to);
	/* No zone, no escape, nothing that another reader would take for something else. */
	return t->ip || (t->host[strspn(t->host, "abcdefghijklmnopqrstuvwxyz0123456789.-_")] == 0 && t->host[0] != '.');
}

static bool port_ok(uint16_t port, const uint16_t *ports)
{
	for (; *ports != 0; ports++)
		if (*ports == port)
			return true;
	return false;
}

static bool take_parts(struct http_target *t, CURLU *u, const uint16_t *ports, struct err *e)
{
	char *scheme = NULL, *host = NULL, *port = NULL, *user = NULL, shown[80];
	bool good;

	*t = (struct http_target){ 0 };
	good = curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK && curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
	       curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK;
	(void)curl_url_get(u, CURLUPART_USER, &user, 0);
	if (good) {
		t->https = strcasecmp(scheme, "https") == 0;
		t->port = (uint16_t)strtoul(port, NULL, 10);
	}
	if (!good || (!t->https && strcasecmp(scheme, "http") != 0))
		good = err_set(e, ERR_BAD_REQUEST, "redirects to something that is neither http nor https");
	else if (user != NULL)
		good = err_set(e, ERR_BAD_REQUEST, "redirects to a URL with a user in it");
	else if (!host_ok(t, host)) {
		text_escaped(shown, sizeof shown, host, strlen(host));
		good = err_set(e, ERR_BAD_REQUEST, "redirects to a host that is none: %s", shown);
	} else if (!port_ok(t->port, ports))
		good = err_set(e, ERR_BAD_REQUEST, "redirects to port %u; only 80 and 443 are followed", t->port);
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_free(user);
	return good;
}

bool http_redirect(struct http_target *out, const char *url, const uint16_t *ports, struct err *e)
{
	CURLU *u;
	bool good;

	if (strlen(url) >= sizeof out->url)
		return err_set(e, ERR_BAD_REQUEST, "redirects to a URL of more than %d octets", HTTP_URL_MAX - 1);
	for (const char *p = url; *p != 0; p++)
		if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7f)
			return err_set(e, ERR_BAD_REQUEST, "redirects to something that is no URL");
	u = curl_url();
	good = u != NULL && curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK;
	good = good ? take_parts(out, u, ports, e) : err_set(e, ERR_BAD_REQUEST, "redirects to something that is no URL");
	if (good)
		snprintf(out->url, sizeof out->url, "%s", url);
	curl_url_cleanup(u);
	return good;
}
