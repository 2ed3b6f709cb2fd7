/* SPDX-License-Identifier: Apache-2.0
 *
 * The officer API without a server: JSON against the verb table, paths, answers. */
#include "api/api.h"
#include "base/mem.h"
#include "ra/ra.h"
#include "ra/verbs.h"
#include "tests/cu.h"

#include <jansson.h>
#include <stdlib.h>

static bool arguments(const char *verb, const char *json, struct buf *record, struct err *e)
{
	record->n = 0;
	*e = (struct err){ 0 };
	return api_arguments(record, verb, json, strlen(json), e);
}

static void test_arguments_refused__OPS_07(void)
{
	static const struct {
		const char *verb, *json, *says;
	} t[] = {
		{ "device.nothing", "{}", "no verb" },
		{ "", "{}", "no verb" },
		{ "device.add", "{", "no JSON" },
		{ "device.add", "[]", "object" },
		{ "device.add", "\"name\"", "no JSON" },
		{ "device.add", "{\"name\":\"a\"} x", "no JSON" },
		{ "device.add", "{\"name\":\"a\",\"name\":\"b\"}", "duplicate" },
		{ "device.add", "{\"nam\":\"a\"}", "no argument nam" },
		{ "device.add", "{\"name\":1}", "name must be a text" },
		{ "device.add", "{\"name\":{}}", "name must be a text" },
		{ "device.add", "{\"name\":\"a\\u0000b\"}", "no JSON" },
		{ "device.add", "{\"name\":\"\xff\"}", "no JSON" },
		{ "device.add", "{\"name\":\"a\",\"uses\":\"1\"}", "uses must be a whole number" },
		{ "device.add", "{\"name\":\"a\",\"uses\":1.5}", "uses must be a whole number" },
		{ "device.add", "{\"name\":\"a\",\"uses\":99999999999999999999}", "no JSON" },
		{ "device.add", "{\"name\":\"a\",\"san\":\"dns:a\"}", "san must be a list" },
		{ "device.add", "{\"name\":\"a\",\"san\":[1]}", "san must be a list" },
		{ "device.add", "{\"name\":\"a\",\"san\":[[\"dns:a\"]]}", "san must be a list" },
		{ "device.disable", "{\"name\":\"a\",\"revoke\":\"yes\"}", "revoke must be true or false" },
		{ "cert.show", "{\"der\":\"***\"}", "der must be base64" },
		{ "cert.show", "{\"der\":7}", "der must be base64" },
	};
	AUTO_BUF record = { 0 };
	struct err e;

	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		CU_ASSERT_FALSE(arguments(t[i].verb, t[i].json, &record, &e));
		if (strstr(e.text, t[i].says) == NULL)
			fprintf(stderr, "%s: %s\n", t[i].json, e.text);
		CU_ASSERT_PTR_NOT_NULL(strstr(e.text, t[i].says));
	}
}

static void test_deep_json_is_refused(void)
{
	AUTO_BUF deep = { 0 };
	AUTO_BUF record = { 0 };
	struct err e = { 0 };

	buf_add(&deep, "{\"name\":", 8);
	for (int i = 0; i < 60000; i++)
		buf_byte(&deep, '[');
	CU_ASSERT_FALSE(api_arguments(&record, "device.add", (char *)deep.p, deep.n, &e));
}

static void test_arguments_become_a_record(void)
{
	AUTO_BUF record = { 0 };
	struct err e;
	struct field f;
	char name[64];

	CU_ASSERT_TRUE(arguments("device.add", "{\"name\":\"pump-1\",\"san\":[\"dns:a\",\"dns:b\"],\"uses\":3,\"owner\":null}", &record, &e));
	CU_ASSERT_TRUE(record_valid(span_of(&record)));
	CU_ASSERT_TRUE(record_get_text(span_of(&record), "name", name, sizeof name));
	CU_ASSERT_STRING_EQUAL(name, "pump-1");
	CU_ASSERT_EQUAL(record_get_int(span_of(&record), "uses", 0), 3);
	CU_ASSERT_TRUE(record_find(span_of(&record), "san", FIELD_LIST, &f));
	CU_ASSERT_FALSE(record_find(span_of(&record), "owner", FIELD_TEXT, &f));
	CU_ASSERT_TRUE(arguments("cert.show", "{\"der\":\"MAA=\"}", &record, &e));
	CU_ASSERT_TRUE(record_find(span_of(&record), "der", FIELD_BYTES, &f) && f.octets.n == 2);
	CU_ASSERT_TRUE(arguments("ca.list", "", &record, &e));
	CU_ASSERT_EQUAL(record.n, 0);
}

/* What ra checks again: the officers' front is not believed. */
static void test_records_refused__OPS_07(void)
{
	const struct verb *add = verb_find("device.add"), *show = verb_find("cert.show");
	char big[300];
	struct err e = { 0 };

	memset(big, 'a', sizeof big - 1);
	big[sizeof big - 1] = 0;
	for (int i = 0; i < 10; i++) {
		static const char *const says[] = { "needs name", "no argument colour", "another type", "at most 253", "control characters",
			                            "stands twice", "malformed", "another type", "control characters", "" };
		AUTO_BUF r = { 0 };

		if (i != 0)
			record_text(&r, "name", i == 3 ? big : i == 4 ? "a\nb" : i == 8 ? "\xff" : "a");
		if (i == 1)
			record_text(&r, "colour", "red");
		if (i == 2)
			record_text(&r, "uses", "1");
		if (i == 5)
			record_text(&r, "name", "b");
		if (i == 6)
			buf_byte(&r, 1);
		if (i == 7)
			record_text(&r, "san", "dns:a");
		if (i == 9) {
			record_list(&r, "san", "dns:a");
			record_list(&r, "san", "dns:b");
		}
		CU_ASSERT_EQUAL(verb_check(add, span_of(&r), &e), i == 9);
		if (i != 9 && strstr(e.text, says[i]) == NULL)
			fprintf(stderr, "%d: %s\n", i, e.text);
		CU_ASSERT_TRUE(i == 9 || strstr(e.text, says[i]) != NULL);
	}
	CU_ASSERT_TRUE(verb_check(show, (struct span){ NULL, 0 }, &e));
}

/* --- The head */

struct fixture {
	struct api *api;
	struct caller *ra;
	struct request q;
	struct ask ask;
	struct response r;
	bool asked;
};

static void run(struct fixture *f, const char *method, const char *path, const char *query, const char *body, bool local)
{
	*f = (struct fixture){ .q = { .method = method, .path = path, .query = query, .content_type = "", .authorization = "",
	                              .user_agent = "", .if_none_match = "", .if_modified_since = "", .request_id = "r-1",
	                              .local = local, .uid = 0, .body = { (const uint8_t *)body, strlen(body) } } };
	f->ra = caller_new("officers", NULL, NULL, NULL);
	f->api = api_new(f->ra);
	f->asked = api_head()->parse(f->api, &f->q, &f->ask, &f->r);
}

static void end(struct fixture *f)
{
	api_free(f->api);
	caller_free(f->ra);
	buf_free(&f->ask.body);
	free(f->ask.state);
	buf_free(&f->r.body);
}

/* The error object: {"error": {"kind", "text"}}. */
static void is_error(const struct response *r)
{
	json_t *doc = json_loadb((char *)r->body.p, r->body.n, 0, NULL);

	CU_ASSERT_TRUE(json_is_string(json_object_get(json_object_get(doc, "error"), "kind")));
	CU_ASSERT_TRUE(json_string_length(json_object_get(json_object_get(doc, "error"), "text")) != 0);
	json_decref(doc);
}

static void test_requests_refused__OPS_07(void)
{
	static const struct {
		const char *method, *path, *query, *body;
		bool remote;
		unsigned status;
	} t[] = {
		{ "POST", "/api/v1/device/nothing", "", "{}", false, 404 },
		{ "POST", "/api/v1/", "", "{}", false, 404 },
		{ "POST", "/api/v1", "", "{}", false, 404 },
		{ "POST", "/api/v1/device/add/x", "", "{}", false, 404 },
		{ "POST", "/api/v1/device.add.very.long.name.that.is.none", "", "{}", false, 404 },
		{ "GET", "/api/v1/device/add", "", "", false, 405 },
		{ "DELETE", "/api/v1/device/list", "", "", false, 405 },
		{ "POST", "/api/v1/device/add", "", "{\"nam\":1}", false, 400 },
		{ "GET", "/api/v1/cert/list", "colour=red", "", false, 400 },
		{ "GET", "/api/v1/cert/list", "ca=%zz", "", false, 400 },
		{ "GET", "/api/v1/cert/list", "ca=%", "", false, 400 },
		{ "GET", "/api/v1/cert/list", "ca=%4", "", false, 400 },
		{ "GET", "/api/v1/cert/list", "ca=a%00b", "", false, 400 },
		{ "GET", "/api/v1/cert/list", "limit=", "", false, 400 },
		{ "GET", "/api/v1/cert/list", "limit=1x", "", false, 400 },
		{ "GET", "/api/v1/cert/list", "limit=99999999999999999999", "", false, 400 },
		{ "GET", "/api/v1/cert/show", "der=MAA=", "", false, 400 },
		{ "GET", "/api/v1/cert/list", "", "", true, 403 },
		{ "POST", "/api/v1/device/add", "", "{\"name\":\"a\"}", true, 403 },
	};

	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		struct fixture f;

		run(&f, t[i].method, t[i].path, t[i].query, t[i].body, !t[i].remote);
		if (f.asked || f.r.status != t[i].status)
			fprintf(stderr, "%s %s?%s: asked %d, status %u\n", t[i].method, t[i].path, t[i].query, f.asked, f.r.status);
		CU_ASSERT_FALSE(f.asked);
		CU_ASSERT_EQUAL(f.r.status, t[i].status);
		is_error(&f.r);
		end(&f);
	}
}

static void test_a_query_is_a_question(void)
{
	struct ra_officer q;
	struct fixture f;
	struct err e = { 0 };
	char text[64];

	run(&f, "GET", "/api/v1/cert/list", "ca=devices&limit=5&subject=CN%3Dpump", "", true);
	CU_ASSERT_TRUE_FATAL(f.asked);
	CU_ASSERT_EQUAL(f.ask.type, RA_OFFICER);
	CU_ASSERT_TRUE_FATAL(ra_officer_get(span_of(&f.ask.body), &q, &e));
	CU_ASSERT_STRING_EQUAL(q.verb, "cert.list");
	CU_ASSERT_STRING_EQUAL(q.source.address, "local");
	CU_ASSERT_EQUAL(q.uid, 0);
	CU_ASSERT_TRUE(record_get_text(q.arguments, "subject", text, sizeof text));
	CU_ASSERT_STRING_EQUAL(text, "CN=pump");
	CU_ASSERT_EQUAL(record_get_int(q.arguments, "limit", 0), 5);
	end(&f);
}

static void test_answers_that_are_none(void)
{
	static const uint8_t cut[] = { 0, 9, 'x' };
	const struct answer t[] = {
		{ .got = false, .err = { .kind = ERR_BUSY, .text = "ra is away" } },
		{ .got = true, .type = RA_OK, .body = { cut, sizeof cut } },
		{ .got = true, .type = RA_FAILED, .body = { cut, sizeof cut } },
		{ .got = true, .type = RA_TRUST },
	};

	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		struct fixture f;

		run(&f, "GET", "/api/v1/cert/list", "", "", true);
		CU_ASSERT_TRUE(f.asked);
		CU_ASSERT_FALSE(api_head()->format(f.api, &f.q, &t[i], &f.ask, &f.r));
		CU_ASSERT_TRUE(f.r.status >= 500);
		is_error(&f.r);
		end(&f);
	}
}

static void test_rows_become_json(void)
{
	struct ra_rows rows = { .name = "devices", .list = true, .next = "pump-2", .n = 1 };
	AUTO_BUF record = { 0 };
	AUTO_BUF all = { 0 };
	AUTO_BUF body = { 0 };
	struct answer a = { .got = true, .type = RA_OK };
	struct fixture f;
	json_t *doc, *row;

	record_text(&record, "name", "p\"\\\n1");
	record_int(&record, "uses", -1);
	record_bool(&record, "enabled", true);
	record_time(&record, "expires", INT64_C(1767225600) * 1000000);
	record_bytes(&record, "der", "\x30\x00", 2);
	record_list(&record, "san", "");
	record_list(&record, "tag", "a");
	record_list(&record, "tag", "b");
	wr_span(&all, record.p, record.n);
	rows.rows = span_of(&all);
	ra_rows_put(&body, &rows);
	a.body = span_of(&body);
	run(&f, "GET", "/api/v1/device/list", "", "", true);
	CU_ASSERT_FALSE(api_head()->format(f.api, &f.q, &a, &f.ask, &f.r));
	CU_ASSERT_EQUAL(f.r.status, 200);
	doc = json_loadb((char *)f.r.body.p, f.r.body.n, 0, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(doc);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(doc, "next")), "pump-2");
	row = json_array_get(json_object_get(doc, "devices"), 0);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(row, "name")), "p\"\\\n1");
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(row, "uses")), -1);
	CU_ASSERT_TRUE(json_is_true(json_object_get(row, "enabled")));
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(row, "expires")), "2026-01-01T00:00:00Z");
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(row, "der")), "MAA=");
	CU_ASSERT_EQUAL(json_array_size(json_object_get(row, "san")), 0);
	CU_ASSERT_TRUE(json_is_array(json_object_get(row, "san")));
	CU_ASSERT_EQUAL(json_array_size(json_object_get(row, "tag")), 2);
	json_decref(doc);
	end(&f);
}

/* Whoever adds a verb adds who may; a changing verb is no auditor's. */
static void test_the_verb_table__AUD_16(void)
{
	for (size_t i = 0; verb_at(i) != NULL; i++) {
		const struct verb *v = verb_at(i);

		CU_ASSERT_PTR_EQUAL(verb_find(v->name), v);
		CU_ASSERT_NOT_EQUAL(v->roles, 0);
		CU_ASSERT_TRUE(strlen(v->name) < 32);
		CU_ASSERT_TRUE(v->reads || (v->roles & ROLE_AUDITOR) == 0);
		for (size_t k = 0; k < VERB_ARG_MAX && v->arg[k].name != NULL; k++)
			CU_ASSERT_TRUE(v->arg[k].cap != 0 || v->arg[k].type == FIELD_INT || v->arg[k].type == FIELD_BOOL);
	}
	for (int k = 1; k < ERR_KIND_COUNT; k++)
		CU_ASSERT_TRUE(api_status_of((enum err_kind)k) >= 400 && api_status_of((enum err_kind)k) < 600);
}

static const struct cu_case table[] = {
	{ "test_arguments_refused__OPS_07", test_arguments_refused__OPS_07 },
	{ "test_deep_json_is_refused", test_deep_json_is_refused },
	{ "test_arguments_become_a_record", test_arguments_become_a_record },
	{ "test_records_refused__OPS_07", test_records_refused__OPS_07 },
	{ "test_requests_refused__OPS_07", test_requests_refused__OPS_07 },
	{ "test_a_query_is_a_question", test_a_query_is_a_question },
	{ "test_answers_that_are_none", test_answers_that_are_none },
	{ "test_rows_become_json", test_rows_become_json },
	{ "test_the_verb_table__AUD_16", test_the_verb_table__AUD_16 },
};

CU_MAIN(table)
