/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"

#include "base/clock.h"
#include "base/text.h"
#include "ra/ra.h"
#include "ra/verbs.h"

#include <errno.h>
#include <jansson.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct api {
	struct caller *ra;
};

static void json_unref(json_t *j)
{
	json_decref(j);
}
AUTO_DEFINE(json_t, json_unref)

struct api *api_new(struct caller *ra)
{
	struct api *a = mem_new(sizeof *a);

	a->ra = ra;
	return a;
}

void api_free(struct api *a)
{
	free(a);
}

unsigned api_status_of(enum err_kind kind)
{
	static const unsigned short status[ERR_KIND_COUNT] = {
		[ERR_BUSY] = 503, [ERR_TIMEOUT] = 503, [ERR_UNAUTHENTICATED] = 401, [ERR_DENIED] = 403, [ERR_NOT_FOUND] = 404,
		[ERR_EXISTS] = 409, [ERR_CONFLICT] = 409, [ERR_BAD_REQUEST] = 400, [ERR_TOO_LARGE] = 413, [ERR_BAD_TYPE] = 415,
		[ERR_BAD_METHOD] = 405, [ERR_BAD_CSR] = 422, [ERR_BAD_KEY] = 422, [ERR_BAD_NAME] = 422, [ERR_BAD_CERT] = 422,
		[ERR_POLICY] = 422, [ERR_CONFIG] = 422, [ERR_HSM] = 503, [ERR_PIN] = 503, [ERR_STORE] = 503, [ERR_IO] = 503,
		[ERR_RATE] = 429,
	};

	return (unsigned)kind < ERR_KIND_COUNT && status[kind] != 0 ? status[kind] : 500;
}

static void give(struct response *out, unsigned status, json_t *doc)
{
	char *text = json_dumps(doc, JSON_COMPACT | JSON_PRESERVE_ORDER);

	out->status = status;
	out->content_type = "application/json";
	if (text != NULL)
		buf_text(&out->body, text);
	buf_byte(&out->body, '\n');
	free(text);
}

static void refuse(struct response *out, const struct err *e)
{
	AUTO(json_t) *doc = json_pack("{s:{s:s,s:s}}", "error", "kind", err_kind_name(e->kind), "text", e->text);

	give(out, api_status_of(e->kind), doc);
	if (e->retry_after > 0)
		response_header(out, "Retry-After", "%d", e->retry_after);
	snprintf(out->why, sizeof out->why, "%.255s", e->text);
}

/* --- JSON to a record, by the verb's table */

static bool wrong_type(struct err *e, const char *name, const char *want)
{
	return err_set(e, ERR_BAD_REQUEST, "argument %.31s must be %s", name, want);
}

static bool put_list(struct buf *record, const char *name, json_t *v, struct err *e)
{
	size_t i;
	json_t *item;

	if (!json_is_array(v))
		return wrong_type(e, name, "a list of texts");
	json_array_foreach(v, i, item) {
		if (!json_is_string(item))
			return wrong_type(e, name, "a list of texts");
		record_list(record, name, json_string_value(item));
	}
	return true;
}

static bool put_value(struct buf *record, const struct verb_arg *a, json_t *v, struct err *e)
{
	AUTO_BUF octets = { 0 };

	switch (a->type) {
	case FIELD_TEXT:
		if (!json_is_string(v))
			return wrong_type(e, a->name, "a text");
		record_text(record, a->name, json_string_value(v));
		return true;
	case FIELD_INT:
		if (!json_is_integer(v))
			return wrong_type(e, a->name, "a whole number");
		record_int(record, a->name, json_integer_value(v));
		return true;
	case FIELD_BOOL:
		if (!json_is_boolean(v))
			return wrong_type(e, a->name, "true or false");
		record_bool(record, a->name, json_is_true(v));
		return true;
	case FIELD_LIST:
		return put_list(record, a->name, v, e);
	case FIELD_BYTES:
		if (!json_is_string(v) || !b64_get(&octets, json_string_value(v), json_string_length(v)))
			return wrong_type(e, a->name, "base64");
		record_bytes(record, a->name, octets.p, octets.n);
		return true;
	default:
		return err_set(e, ERR_INTERNAL, "argument type");
	}
}

static const struct verb_arg *arg_of(const struct verb *v, const char *name)
{
	for (size_t i = 0; i < VERB_ARG_MAX && v->arg[i].name != NULL; i++)
		if (strcmp(v->arg[i].name, name) == 0)
			return &v->arg[i];
	return NULL;
}

bool api_arguments(struct buf *record, const char *verb, const char *json, size_t n, struct err *e)
{
	const struct verb *v = verb_find(verb);
	json_error_t why;
	AUTO(json_t) *doc = NULL;
	const char *name;
	json_t *value;

	if (v == NULL)
		return err_set(e, ERR_NOT_FOUND, "there is no verb %.31s", verb);
	if (n == 0)
		return true;
	doc = json_loadb(json, n, JSON_REJECT_DUPLICATES, &why);
	if (doc == NULL)
		return err_set(e, ERR_BAD_REQUEST, "the body is no JSON: line %d: %.100s", why.line, why.text);
	if (!json_is_object(doc))
		return err_set(e, ERR_BAD_REQUEST, "the body must be a JSON object of arguments");
	json_object_foreach(doc, name, value) {
		const struct verb_arg *a = arg_of(v, name);

		if (a == NULL)
			return err_set(e, ERR_BAD_REQUEST, "%s has no argument %.31s", v->name, name);
		if (!json_is_null(value) && !put_value(record, a, value, e))
			return false;
	}
	return true;
}

static bool put_number(struct buf *record, const char *name, const char *text)
{
	char *end;
	long long v;

	errno = 0;
	v = strtoll(text, &end, 10);
	if (end == text || *end != 0 || errno != 0 || text[0] == '+' || text[0] == ' ')
		return false;
	record_int(record, name, v);
	return true;
}

/* GET: "name=value&…", texts and numbers only. */
static bool query_arguments(struct buf *record, const struct verb *v, const char *query, struct err *e)
{
	while (*query != 0) {
		size_t n = strcspn(query, "&"), eq = strcspn(query, "=");
		AUTO_FREE char *name = mem_printf("%.*s", (int)(eq < n ? eq : n), query);
		AUTO_BUF value = { 0 };
		const struct verb_arg *a = arg_of(v, name);

		for (size_t i = eq + 1; i < n; i++) {
			uint8_t octet = (uint8_t)query[i];
			size_t got;

			if (octet == '%') {
				char two[3] = { 0 };

				if (i + 2 < n)
					memcpy(two, query + i + 1, 2);
				if (!hex_get(two, &octet, 1, &got) || got != 1)
					return err_set(e, ERR_BAD_REQUEST, "malformed query");
				i += 2;
			}
			buf_byte(&value, octet);
		}
		if (a == NULL)
			return err_set(e, ERR_BAD_REQUEST, "%s has no argument %.31s", v->name, name);
		if (value.n != 0 && memchr(value.p, 0, value.n) != NULL)
			return err_set(e, ERR_BAD_REQUEST, "argument %s holds a NUL", name);
		if (a->type != FIELD_TEXT && a->type != FIELD_INT)
			return err_set(e, ERR_BAD_REQUEST, "argument %s needs POST", name);
		if (a->type == FIELD_TEXT)
			record_text(record, name, buf_str(&value));
		else if (!put_number(record, name, buf_str(&value)))
			return wrong_type(e, name, "a whole number");
		query += n + (query[n] == '&');
	}
	return true;
}

/* --- The call */

static bool verb_of(const char *path, char verb[32])
{
	size_t n = strlen("/api/v1/");

	if (strlen(path) <= n || strlen(path) - n >= 32)
		return false;
	strcpy(verb, path + n);
	for (char *slash = verb; (slash = strchr(slash, '/')) != NULL;)
		*slash = '.';
	return true;
}

static bool build(const struct request *in, const struct verb *v, struct ask *ask, struct err *e)
{
	AUTO_BUF record = { 0 };
	struct ra_officer q = { 0 };
	struct passwd pw, *found = NULL;
	char scratch[2048];

	if (!in->local)
		return err_set(e, ERR_DENIED, "officers come by the local socket");
	if (strcmp(in->method, "GET") == 0 ? !query_arguments(&record, v, in->query, e)
	                                   : !api_arguments(&record, v->name, (const char *)in->body.p, in->body.n, e))
		return false;
	snprintf(q.verb, sizeof q.verb, "%s", v->name);
	snprintf(q.source.address, sizeof q.source.address, "local");
	snprintf(q.source.request_id, sizeof q.source.request_id, "%s", in->request_id);
	q.uid = in->uid;
	if (getpwuid_r(in->uid, &pw, scratch, sizeof scratch, &found) == 0 && found != NULL)
		snprintf(q.actor, sizeof q.actor, "%.63s", pw.pw_name);
	else
		snprintf(q.actor, sizeof q.actor, "uid %u", in->uid);
	q.arguments = span_of(&record);
	ra_officer_put(&ask->body, &q);
	return true;
}

static bool parse(void *ctx, const struct request *in, struct ask *ask, struct response *out)
{
	struct api *api = ctx;
	const struct verb *v = NULL;
	char verb[32];
	struct err e;

	if (verb_of(in->path, verb))
		v = verb_find(verb);
	if (v == NULL) {
		err_set(&e, ERR_NOT_FOUND, "there is no such verb; see docs/officer-api.md");
	} else if (strcmp(in->method, "POST") != 0 && !(v->reads && strcmp(in->method, "GET") == 0)) {
		err_set(&e, ERR_BAD_METHOD, "%s takes %s", v->name, v->reads ? "GET or POST" : "POST");
		response_header(out, "Allow", "%s", v->reads ? "GET, POST" : "POST");
	} else if (build(in, v, ask, &e)) {
		ask->to = api->ra;
		ask->type = RA_OFFICER;
		ask->timeout = 30 * US_PER_SECOND;
		return true;
	}
	refuse(out, &e);
	return false;
}

/* --- Rows to JSON */

static json_t *value_of(const struct field *f)
{
	AUTO_BUF text = { 0 };
	char time[32];

	switch (f->type) {
	case FIELD_INT:
		return json_integer(f->number);
	case FIELD_BOOL:
		return json_boolean(f->number != 0);
	case FIELD_TIME:
		clock_rfc3339_s(f->number, time, sizeof time);
		return json_string(time);
	case FIELD_BYTES:
		b64_put(&text, f->octets.p, f->octets.n, B64_ONE_LINE);
		return json_stringn((char *)text.p, text.n);
	default:
		return json_stringn((const char *)f->octets.p, f->octets.n);
	}
}

static json_t *row_of(struct span record)
{
	struct rd r = rd_of(record.p, record.n);
	json_t *row = json_object(), *list;
	struct field f;

	while (record_next(&r, &f)) {
		if (f.type != FIELD_LIST) {
			json_object_set_new(row, f.name, value_of(&f));
			continue;
		}
		list = json_object_get(row, f.name);
		if (list == NULL) {
			list = json_array();
			json_object_set_new(row, f.name, list);
		}
		if (f.octets.n != 0)
			json_array_append_new(list, value_of(&f));
	}
	return row;
}

static void give_rows(struct response *out, const struct ra_rows *a)
{
	struct rd r = rd_of(a->rows.p, a->rows.n);
	AUTO(json_t) *doc = NULL;
	json_t *list;

	if (!a->list) {
		doc = row_of(rd_span(&r, 65536));
		give(out, 200, doc);
		return;
	}
	doc = json_object();
	list = json_array();
	for (uint32_t i = 0; i < a->n && !r.bad; i++)
		json_array_append_new(list, row_of(rd_span(&r, 65536)));
	json_object_set_new(doc, a->name, list);
	if (a->next[0] != 0)
		json_object_set_new(doc, "next", json_string(a->next));
	give(out, 200, doc);
}

static bool format(void *ctx, const struct request *in, const struct answer *a, struct ask *ask, struct response *out)
{
	struct ra_rows *rows = mem_new(sizeof *rows);
	struct err e = a->err;

	(void)ctx;
	(void)in;
	(void)ask;
	if (a->got && a->type == RA_OK && ra_rows_get(a->body, rows, &e)) {
		give_rows(out, rows);
	} else {
		/* An answer that is neither is ra's fault, never the client's. */
		if (a->got && (a->type != RA_FAILED || !failure_get(a->body, &e)))
			err_set(&e, ERR_INTERNAL, "internal error");
		refuse(out, &e);
	}
	free(rows);
	return false;
}

const struct head *api_head(void)
{
	static const struct head head = { parse, format };

	return &head;
}
