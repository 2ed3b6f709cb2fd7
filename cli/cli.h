/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line: one table of commands, one file per noun. */
#ifndef CADUCEUS_CLI_CLI_H
#define CADUCEUS_CLI_CLI_H

#include "base/buf.h"
#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>

enum exit_code { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_NOT_FOUND = 3, EXIT_DENIED = 4, EXIT_UNREACHABLE = 5,
	         EXIT_APPROVAL = 6 };

enum { OPTION_MAX = 16, GIVEN_MAX = 64, POSITION_MAX = 8 };

/* What an option takes: NULL a flag; else the name of its value. */
struct option_row {
	const char *name, *value, *help;
	bool repeats;
};

struct given {
	const struct option_row *option;
	const char *value;
};

struct command;
struct invocation {
	const struct command *command;
	char dir[4096];
	bool json;
	size_t position_n, given_n;
	const char *position[POSITION_MAX];
	struct given given[GIVEN_MAX];
};

struct command {
	const char *noun, *verb;      /* verb "" for a verb alone; "eab add": of two words */
	const char *arguments;        /* "NAME", "[CA]", "" */
	size_t least, most;           /* how many of them */
	const char *help, *example;
	enum exit_code (*run)(struct invocation *);
	struct option_row option[OPTION_MAX];
};

/* The first value of an option, NULL when it was not given. */
const char *option_of(const struct invocation *i, const char *name);
bool has_option(const struct invocation *i, const char *name);
/* Says why on standard error; returns the code, so that `return complain(...)` reads well. */
enum exit_code complain(enum exit_code code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
enum exit_code exit_of(const char *kind); /* of an error's kind */

/* client.c: the officer API on DIR/run/officer.sock. args is taken over. *out: the answer, to be freed by json_decref; on an
 * error the text stands on standard error already. */
enum exit_code ask(const struct invocation *i, const char *verb, json_t *args, json_t **out);
/* The same for a list: each of its pages, which may be empty, as it comes; millions of rows are never held at once. */
typedef void page_each(void *arg, json_t *rows);
enum exit_code ask_pages(const struct invocation *i, const char *verb, json_t *args, const char *list, page_each *each, void *arg);

/* print.c */
void print_json(json_t *doc);
struct column {
	const char *name, *title;
};
/* A table on a terminal, plain columns when piped; title line only on a terminal. */
void print_table(json_t *rows, const struct column *columns, size_t n);
/* "name: value" lines. */
void print_object(json_t *row);
/* Asks and shows: a table of the rows of `list`, or one object; JSON when that was asked for. args is taken over. */
enum exit_code show_table(const struct invocation *i, const char *verb, const char *list, const struct column *columns, size_t n,
                          json_t *args);
/* A list whose pages print themselves, unless JSON was asked for. */
enum exit_code show_pages(const struct invocation *i, const char *verb, const char *list, page_each *text, void *arg);
enum exit_code show_object(const struct invocation *i, const char *verb, json_t *args);
const char *member(json_t *row, const char *name); /* text of a member, "" when it is none */

/* Options to arguments. Durations become microseconds; false: said on standard error. */
MUST_USE bool arg_duration(const struct invocation *i, json_t *args, const char *option);
void arg_text(const struct invocation *i, json_t *args, const char *option);
void arg_list(const struct invocation *i, json_t *args, const char *option, const char *name);
MUST_USE bool arg_number(const struct invocation *i, json_t *args, const char *option);

extern const struct command commands_service[], commands_device[], commands_cert[], commands_acme[], commands_ca[], commands_backup[], commands_doctor[];
int cli_main(int argc, char **argv);

#endif
