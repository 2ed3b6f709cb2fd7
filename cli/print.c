/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <libsmartcols/libsmartcols.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { COLUMN_MAX = 12 };

void print_json(json_t *doc)
{
	json_dumpf(doc, stdout, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
	putchar('\n');
}

const char *member(json_t *row, const char *name)
{
	const char *s = json_string_value(json_object_get(row, name));

	return s != NULL ? s : "";
}

static char *text_of(json_t *v)
{
	AUTO_BUF out = { 0 };
	size_t i;
	json_t *item;

	if (json_is_string(v))
		return mem_text(json_string_value(v));
	if (json_is_integer(v))
		return mem_printf("%lld", (long long)json_integer_value(v));
	if (json_is_boolean(v))
		return mem_text(json_is_true(v) ? "yes" : "no");
	json_array_foreach(v, i, item)
		buf_printf(&out, "%s%s", i != 0 ? ", " : "", json_is_string(item) ? json_string_value(item) : "");
	return mem_text(buf_str(&out));
}

/* What a list has come to: a table page by page, each at least as wide as the ones before, or one JSON document. */
struct printing {
	bool json, terminal;
	const char *list;
	const struct column *columns;
	size_t n, width[COLUMN_MAX];
	uint64_t rows;
	page_each *text;  /* prints in its own way */
	void *text_arg;
};

static void print_json_rows(struct printing *p, json_t *rows)
{
	size_t i;
	json_t *row;

	json_array_foreach(rows, i, row) {
		if (p->rows++ == 0)
			printf("{\n \"%s\": [\n  ", p->list);
		else
			fputs(",\n  ", stdout);
		json_dumpf(row, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
	}
}

static void widen(struct printing *p, json_t *rows)
{
	size_t i;
	json_t *row;

	json_array_foreach(rows, i, row)
		for (size_t k = 0; k < p->n; k++) {
			AUTO_FREE char *text = text_of(json_object_get(row, p->columns[k].name));

			if (strlen(text) > p->width[k])
				p->width[k] = strlen(text);
		}
}

static void print_rows(struct printing *p, json_t *rows)
{
	struct libscols_table *t = scols_new_table();
	size_t i;
	json_t *row;

	if (p->rows != 0)
		widen(p, rows); /* the first page finds its own */
	scols_table_enable_noheadings(t, !p->terminal || p->rows != 0);
	scols_table_enable_raw(t, 0);
	for (size_t k = 0; k < p->n; k++)
		scols_table_new_column(t, p->columns[k].title, p->rows != 0 ? (double)p->width[k] : 0, 0);
	json_array_foreach(rows, i, row) {
		struct libscols_line *line = scols_table_new_line(t, NULL);

		for (size_t k = 0; k < p->n; k++) {
			AUTO_FREE char *text = text_of(json_object_get(row, p->columns[k].name));

			scols_line_set_data(line, k, text[0] != 0 ? text : "-");
		}
	}
	scols_print_table(t);
	scols_unref_table(t);
	if (p->rows == 0)
		widen(p, rows);
	p->rows += json_array_size(rows);
}

static void print_page(void *arg, json_t *rows)
{
	struct printing *p = arg;

	if (p->json)
		print_json_rows(p, rows);
	else if (p->text != NULL)
		p->text(p->text_arg, rows);
	else if (json_array_size(rows) != 0)
		print_rows(p, rows);
}

static void print_end(const struct printing *p)
{
	if (p->json && p->rows == 0)
		printf("{\n \"%s\": []\n}\n", p->list);
	else if (p->json)
		puts("\n ]\n}");
	else if (p->text == NULL && p->rows == 0 && p->terminal)
		puts("(none)");
}

void print_table(json_t *rows, const struct column *columns, size_t n)
{
	struct printing p = { .terminal = isatty(1) != 0, .columns = columns, .n = n };

	print_page(&p, rows);
	print_end(&p);
}

enum exit_code show_pages(const struct invocation *i, const char *verb, const char *list, page_each *text, void *arg)
{
	struct printing p = { .json = i->json, .list = list, .text = text, .text_arg = arg };
	enum exit_code code = ask_pages(i, verb, json_object(), list, print_page, &p);

	if (code == EXIT_DONE)
		print_end(&p);
	return code;
}

void print_object(json_t *row)
{
	const char *name;
	json_t *value;
	size_t widest = 0;

	json_object_foreach(row, name, value)
		if (strlen(name) > widest)
			widest = strlen(name);
	json_object_foreach(row, name, value) {
		AUTO_FREE char *text = text_of(value);

		if (strcmp(name, "der") != 0)
			printf("%-*s  %s\n", (int)widest, name, text);
	}
}

enum exit_code show_table(const struct invocation *i, const char *verb, const char *list, const struct column *columns, size_t n,
                          json_t *args)
{
	struct printing p = { .json = i->json, .terminal = isatty(1) != 0, .list = list, .columns = columns, .n = n };
	enum exit_code code = ask_pages(i, verb, args, list, print_page, &p);

	if (code == EXIT_DONE)
		print_end(&p);
	return code;
}

enum exit_code show_object(const struct invocation *i, const char *verb, json_t *args)
{
	json_t *doc;
	enum exit_code code = ask(i, verb, args, &doc);

	if (code != EXIT_DONE)
		return code;
	if (i->json)
		print_json(doc);
	else
		print_object(doc);
	json_decref(doc);
	return EXIT_DONE;
}
