/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <libsmartcols/libsmartcols.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

void print_table(json_t *rows, const struct column *columns, size_t n)
{
	struct libscols_table *t = scols_new_table();
	bool terminal = isatty(1) != 0;
	size_t i;
	json_t *row;

	scols_table_enable_noheadings(t, !terminal);
	scols_table_enable_raw(t, 0);
	for (size_t k = 0; k < n; k++)
		scols_table_new_column(t, columns[k].title, 0, 0);
	json_array_foreach(rows, i, row) {
		struct libscols_line *line = scols_table_new_line(t, NULL);

		for (size_t k = 0; k < n; k++) {
			AUTO_FREE char *text = text_of(json_object_get(row, columns[k].name));

			scols_line_set_data(line, k, text[0] != 0 ? text : "-");
		}
	}
	if (json_array_size(rows) != 0)
		scols_print_table(t);
	else if (terminal)
		puts("(none)");
	scols_unref_table(t);
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
	json_t *doc;
	enum exit_code code = ask_all(i, verb, args, list, &doc);

	if (code != EXIT_DONE)
		return code;
	if (i->json)
		print_json(doc);
	else
		print_table(json_object_get(doc, list), columns, n);
	json_decref(doc);
	return EXIT_DONE;
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
