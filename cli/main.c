/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "config/yaml_file.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct command *const tables[] = { commands_service, commands_device, commands_cert, commands_acme, commands_ca, commands_backup, commands_doctor };

static const struct option_row everywhere[] = {
	{ "dir", "DIR", "the instance ($CADUCEUS_DIR, else /var/lib/caduceus)", false },
	{ "json", NULL, "one JSON document on standard output", false },
	{ "help", NULL, "this text", false },
};

enum exit_code complain(enum exit_code code, const char *fmt, ...)
{
	va_list ap;

	fputs("caduceus: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return code;
}

const char *option_of(const struct invocation *i, const char *name)
{
	for (size_t k = 0; k < i->given_n; k++)
		if (strcmp(i->given[k].option->name, name) == 0)
			return i->given[k].value != NULL ? i->given[k].value : "";
	return NULL;
}

bool has_option(const struct invocation *i, const char *name)
{
	return option_of(i, name) != NULL;
}

static const struct command *find(const char *noun, const char *verb)
{
	for (size_t t = 0; t < COUNT_OF(tables); t++)
		for (const struct command *c = tables[t]; c->noun != NULL; c++)
			if (strcmp(c->noun, noun) == 0 && strcmp(c->verb, verb) == 0)
				return c;
	return NULL;
}

static bool is_noun(const char *noun)
{
	for (size_t t = 0; t < COUNT_OF(tables); t++)
		for (const struct command *c = tables[t]; c->noun != NULL; c++)
			if (strcmp(c->noun, noun) == 0)
				return true;
	return false;
}

static void list_commands(FILE *to, const char *noun)
{
	for (size_t t = 0; t < COUNT_OF(tables); t++)
		for (const struct command *c = tables[t]; c->noun != NULL; c++)
			if (noun == NULL || strcmp(noun, c->noun) == 0) {
				char line[128];

				snprintf(line, sizeof line, "%s%s%s%s%s", c->noun, c->verb[0] != 0 ? " " : "", c->verb,
				         c->arguments[0] != 0 ? " " : "", c->arguments);
				fprintf(to, "  %-26s %s\n", line, c->help);
			}
}

static enum exit_code usage(FILE *to, enum exit_code code)
{
	fputs("usage: caduceus NOUN VERB [ARGUMENT]... [--option VALUE]...\n\n", to);
	list_commands(to, NULL);
	fputs("\nEvery command takes --dir DIR, --json and --help (with an example).\n", to);
	return code;
}

static enum exit_code help(const struct command *c)
{
	printf("usage: caduceus %s%s%s%s%s [--option VALUE]...\n\n%s\n\noptions:\n", c->noun, c->verb[0] != 0 ? " " : "", c->verb,
	       c->arguments[0] != 0 ? " " : "", c->arguments, c->help);
	for (const struct option_row *o = c->option; o->name != NULL; o++)
		printf("  --%s%s%-*s %s%s\n", o->name, o->value != NULL ? " " : "",
		       (int)(22 - strlen(o->name) - (o->value != NULL)), o->value != NULL ? o->value : "", o->help,
		       o->repeats ? " (may be repeated)" : "");
	for (size_t i = 0; i < COUNT_OF(everywhere); i++)
		printf("  --%s%s%-*s %s\n", everywhere[i].name, everywhere[i].value != NULL ? " " : "",
		       (int)(22 - strlen(everywhere[i].name) - (everywhere[i].value != NULL)),
		       everywhere[i].value != NULL ? everywhere[i].value : "", everywhere[i].help);
	printf("\nExample:\n  %s\n", c->example);
	return EXIT_DONE;
}

static const struct option_row *find_option(const struct command *c, const char *name)
{
	for (const struct option_row *o = c->option; o->name != NULL; o++)
		if (strcmp(o->name, name) == 0)
			return o;
	for (size_t i = 0; i < COUNT_OF(everywhere); i++)
		if (strcmp(everywhere[i].name, name) == 0)
			return &everywhere[i];
	return NULL;
}

static enum exit_code unknown_option(const struct command *c, const char *name)
{
	const char *names[OPTION_MAX + COUNT_OF(everywhere)];
	const char *near;
	size_t n = 0;

	for (const struct option_row *o = c->option; o->name != NULL; o++)
		names[n++] = o->name;
	for (size_t i = 0; i < COUNT_OF(everywhere); i++)
		names[n++] = everywhere[i].name;
	near = word_near(name, names, n);
	return complain(EXIT_USAGE, "unknown option --%s%s%s; see caduceus %s %s --help", name, near != NULL ? "; did you mean --" : "",
	                near != NULL ? near : "", c->noun, c->verb);
}

static enum exit_code take_option(struct invocation *i, int argc, char **argv, int *at)
{
	char *name = argv[*at] + 2, *equals = strchr(name, '=');
	AUTO_FREE char *word = equals != NULL ? mem_printf("%.*s", (int)(equals - name), name) : mem_text(name);
	const struct option_row *o = find_option(i->command, word);
	struct given *g;

	if (o == NULL)
		return unknown_option(i->command, word);
	if (i->given_n == GIVEN_MAX)
		return complain(EXIT_USAGE, "too many options");
	if (!o->repeats && has_option(i, o->name))
		return complain(EXIT_USAGE, "--%s is given twice", o->name);
	g = &i->given[i->given_n++];
	g->option = o;
	if (o->value == NULL && equals != NULL)
		return complain(EXIT_USAGE, "--%s takes no value", o->name);
	if (o->value != NULL && equals == NULL && *at + 1 >= argc)
		return complain(EXIT_USAGE, "--%s needs %s", o->name, o->value);
	if (o->value != NULL)
		g->value = equals != NULL ? equals + 1 : argv[++*at];
	return EXIT_DONE;
}

static enum exit_code read_arguments(struct invocation *i, int argc, char **argv, int from)
{
	const struct command *c = i->command;
	bool plain = false;

	for (int k = from; k < argc; k++) {
		enum exit_code code;

		if (!plain && strcmp(argv[k], "--") == 0) {
			plain = true;
		} else if (!plain && strncmp(argv[k], "--", 2) == 0) {
			code = take_option(i, argc, argv, &k);
			if (code != EXIT_DONE)
				return code;
		} else if (i->position_n == c->most || i->position_n == POSITION_MAX) {
			return complain(EXIT_USAGE, "'%s' is one argument too many; usage: caduceus %s %s %s", argv[k], c->noun, c->verb,
			                c->arguments);
		} else {
			i->position[i->position_n++] = argv[k];
		}
	}
	if (has_option(i, "help"))
		return EXIT_DONE;
	if (i->position_n < c->least)
		return complain(EXIT_USAGE, "usage: caduceus %s%s%s %s", c->noun, c->verb[0] != 0 ? " " : "", c->verb, c->arguments);
	return EXIT_DONE;
}

static enum exit_code set_dir(struct invocation *i)
{
	const char *dir = option_of(i, "dir"), *env = getenv("CADUCEUS_DIR");
	char cwd[PATH_MAX];

	if (dir == NULL)
		dir = env != NULL && env[0] != 0 ? env : "/var/lib/caduceus";
	if (dir[0] == 0)
		return complain(EXIT_USAGE, "--dir is empty");
	if (dir[0] == '/')
		snprintf(i->dir, sizeof i->dir, "%s", dir);
	else if (getcwd(cwd, sizeof cwd) == NULL || (size_t)snprintf(i->dir, sizeof i->dir, "%s/%s", cwd, dir) >= sizeof i->dir)
		return complain(EXIT_FAILED, "the current folder can't be told");
	for (size_t n = strlen(i->dir); n > 1 && i->dir[n - 1] == '/'; n--)
		i->dir[n - 1] = 0;
	i->json = has_option(i, "json");
	return EXIT_DONE;
}

static enum exit_code unknown(const char *noun, const char *verb)
{
	if (is_noun(noun)) {
		complain(EXIT_USAGE, verb[0] != 0 ? "there is no '%s %s'; there are:" : "%s%s needs a verb:", noun, verb);
		list_commands(stderr, noun);
		return EXIT_USAGE;
	}
	complain(EXIT_USAGE, "there is no '%s'", noun);
	return usage(stderr, EXIT_USAGE);
}

int cli_main(int argc, char **argv)
{
	AUTO_FREE struct invocation *i = mem_new(sizeof *i);
	const char *verb = argc > 2 && argv[2][0] != '-' ? argv[2] : "";
	AUTO_FREE char *two = mem_printf("%s %s", verb, argc > 3 ? argv[3] : "");
	enum exit_code code;
	int from = 3;

	if (argc < 2)
		return usage(stderr, EXIT_USAGE);
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0)
		return usage(stdout, EXIT_DONE);
	if (strcmp(argv[1], "--version") == 0) {
		printf("caduceus %s\n", CADUCEUS_VERSION);
		return EXIT_DONE;
	}
	i->command = verb[0] != 0 ? find(argv[1], verb) : NULL;
	if (i->command == NULL && verb[0] != 0) {
		i->command = find(argv[1], two);
		from = 4;
	}
	if (i->command == NULL) {
		i->command = find(argv[1], "");
		from = 2;
	}
	if (i->command == NULL)
		return unknown(argv[1], verb);
	code = read_arguments(i, argc, argv, from);
	if (code != EXIT_DONE)
		return code;
	if (has_option(i, "help"))
		return help(i->command);
	code = set_dir(i);
	return code != EXIT_DONE ? code : i->command->run(i);
}
