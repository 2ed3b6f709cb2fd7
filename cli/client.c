/* SPDX-License-Identifier: Apache-2.0
 *
 * The officer API as its client: HTTP on the instance's local socket. */
#include "cli/cli.h"

#include "base/clock.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ANSWER_MAX = 64 << 20 };

static const struct {
	const char *kind;
	enum exit_code code;
} kinds[] = {
	{ "not-found", EXIT_NOT_FOUND }, { "denied", EXIT_DENIED }, { "unauthenticated", EXIT_DENIED }, { "busy", EXIT_UNREACHABLE },
	{ "timeout", EXIT_UNREACHABLE }, { "hsm", EXIT_UNREACHABLE }, { "pin", EXIT_UNREACHABLE }, { "store", EXIT_UNREACHABLE },
	{ "bad-request", EXIT_USAGE },   { "bad-name", EXIT_USAGE },   { "usage", EXIT_USAGE },
};

enum exit_code exit_of(const char *kind)
{
	for (size_t i = 0; i < COUNT_OF(kinds); i++)
		if (strcmp(kinds[i].kind, kind) == 0)
			return kinds[i].code;
	return EXIT_FAILED;
}

static size_t take(char *p, size_t size, size_t n, void *arg)
{
	struct buf *b = arg;

	if (b->n + size * n > ANSWER_MAX)
		return 0;
	buf_add(b, p, size * n);
	return size * n;
}

static enum exit_code unreachable(const struct invocation *i, const char *socket)
{
	AUTO_FREE char *version = mem_printf("%s/VERSION", i->dir);

	if (access(i->dir, F_OK) != 0)
		return complain(EXIT_UNREACHABLE, "there is no instance at %s; `caduceus init --dir %s` makes one, --dir names another", i->dir,
		                i->dir);
	if (access(version, F_OK) != 0)
		return complain(EXIT_UNREACHABLE, "%s is no instance; `caduceus init --dir DIR` makes one, --dir names another", i->dir);
	if (access(socket, F_OK) == 0 && access(socket, W_OK) != 0 && errno == EACCES)
		return complain(EXIT_DENIED, "you may not use %s; ask root to add you to the group caduceus", socket);
	return complain(EXIT_UNREACHABLE, "the service does not answer; is `caduceus serve --dir %s` running?", i->dir);
}

static enum exit_code refused(json_t *doc)
{
	json_t *error = json_object_get(doc, "error");
	const char *kind = json_string_value(json_object_get(error, "kind"));
	const char *text = json_string_value(json_object_get(error, "text"));

	return complain(exit_of(kind != NULL ? kind : ""), "%s", text != NULL ? text : "the service gave an answer that is no JSON");
}

static CURLcode perform(const char *socket, const char *verb, const char *body, struct buf *answer, long *status)
{
	static CURL *c; /* a list of many pages comes over one connection */
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	AUTO_FREE char *url = mem_printf("http://localhost/api/v1/%s", verb);
	char *dot = strchr(strstr(url, "v1/"), '.');
	CURLcode rc;

	if (dot != NULL)
		*dot = '/';
	if (c == NULL)
		c = curl_easy_init();
	curl_easy_reset(c);
	curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, socket);
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(c, CURLOPT_TIMEOUT, 60L);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, answer);
	rc = curl_easy_perform(c);
	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, status);
	curl_slist_free_all(headers);
	return rc;
}

enum exit_code ask(const struct invocation *i, const char *verb, json_t *args, json_t **out)
{
	AUTO_FREE char *socket = mem_printf("%s/run/officer.sock", i->dir);
	AUTO_FREE char *body = json_dumps(args, JSON_COMPACT);
	AUTO_BUF answer = { 0 };
	enum exit_code code;
	long status = 0;
	CURLcode rc;

	json_decref(args);
	*out = NULL;
	rc = perform(socket, verb, body, &answer, &status);
	if (rc != CURLE_OK)
		return rc == CURLE_OPERATION_TIMEDOUT ? complain(EXIT_UNREACHABLE, "the service took longer than a minute")
		                                      : unreachable(i, socket);
	*out = json_loadb((char *)answer.p, answer.n, 0, NULL);
	mem_wipe(answer.p, answer.n);
	if (status == 200 && *out != NULL)
		return EXIT_DONE;
	code = refused(*out);
	json_decref(*out);
	*out = NULL;
	return code;
}

enum exit_code ask_pages(const struct invocation *i, const char *verb, json_t *args, const char *list, page_each *each, void *arg)
{
	enum exit_code code;
	bool more = true;

	do {
		json_t *page, *next;

		code = ask(i, verb, json_deep_copy(args), &page);
		if (code != EXIT_DONE)
			break;
		each(arg, json_object_get(page, list));
		next = json_object_get(page, "next");
		more = next != NULL;
		if (more)
			json_object_set(args, "after", next);
		json_decref(page);
	} while (more);
	json_decref(args);
	return code;
}

/* --- Options to arguments */

void arg_text(const struct invocation *i, json_t *args, const char *option)
{
	const char *v = option_of(i, option);

	if (v != NULL)
		json_object_set_new(args, option, json_string(v));
}

void arg_list(const struct invocation *i, json_t *args, const char *option, const char *name)
{
	json_t *list = json_array();

	for (size_t k = 0; k < i->given_n; k++)
		if (strcmp(i->given[k].option->name, option) == 0)
			json_array_append_new(list, json_string(i->given[k].value));
	if (json_array_size(list) != 0)
		json_object_set(args, name, list);
	json_decref(list);
}

bool arg_duration(const struct invocation *i, json_t *args, const char *option)
{
	const char *v = option_of(i, option);
	int64_t us;

	if (v == NULL)
		return true;
	if (!clock_duration(v, &us)) {
		complain(EXIT_USAGE, "--%s %s: a duration such as 90d, 12h or 15m is expected", option, v);
		return false;
	}
	json_object_set_new(args, option, json_integer(us));
	return true;
}

bool arg_number(const struct invocation *i, json_t *args, const char *option)
{
	const char *v = option_of(i, option);
	char *end;
	long n;

	if (v == NULL)
		return true;
	n = strtol(v, &end, 10);
	if (*v == 0 || *end != 0) {
		complain(EXIT_USAGE, "--%s %s: a number is expected", option, v);
		return false;
	}
	json_object_set_new(args, option, json_integer(n));
	return true;
}
