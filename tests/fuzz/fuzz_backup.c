/* SPDX-License-Identifier: Apache-2.0
 *
 * A backup that somebody else made: unpacked and held against its manifest. Nothing is written outside its folder. */
#include "cli/backup.c"

#include <fcntl.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Of the command line's other files; not reached from here. */
const char *option_of(const struct invocation *i, const char *name)
{
	(void)i;
	(void)name;
	return NULL;
}

bool has_option(const struct invocation *i, const char *name)
{
	(void)i;
	(void)name;
	return false;
}

enum exit_code complain(enum exit_code code, const char *fmt, ...)
{
	(void)fmt;
	return code;
}

enum exit_code ask(const struct invocation *i, const char *verb, json_t *args, json_t **out)
{
	(void)i;
	(void)verb;
	(void)args;
	(void)out;
	return EXIT_FAILED;
}

void print_json(json_t *doc)
{
	(void)doc;
}

void print_object(json_t *row)
{
	(void)row;
}

const char *member(json_t *row, const char *name)
{
	const char *s = json_string_value(json_object_get(row, name));

	return s != NULL ? s : "";
}

bool role_program(const char *name, char *out, size_t size)
{
	(void)name;
	(void)out;
	(void)size;
	return false;
}

static int count_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)path;
	if (kind != FTW_D && (!S_ISREG(st->st_mode) || (st->st_mode & 07777) != 0600 || at->level > 3))
		abort();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char home[64];
	AUTO_FREE char *file = NULL, *dir = NULL;
	json_t *manifest = NULL;
	struct err e = { 0 };
	size_t members;

	umask(0077);
	if (home[0] == 0) {
		snprintf(home, sizeof home, "%s/cad-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
		if (mkdtemp(home) == NULL)
			abort();
	}
	file = mem_printf("%s/b.tar", home);
	dir = mem_printf("%s/out", home);
	mkdir(home, 0700);
	if (mkdir(dir, 0700) != 0 || !file_write_atomic(file, data, size, 0600, &e))
		abort();
	e = (struct err){ 0 };
	if (extract(file, dir, &members, &e) && check_manifest(dir, members, &manifest, &e)) {
		if (json_array_size(json_object_get(manifest, "files")) == 0)
			abort();
		json_decref(manifest);
	} else if (e.kind == ERR_NONE || e.text[0] == 0) {
		abort();
	}
	(void)nftw(dir, count_one, 16, FTW_PHYS);
	remove_tree(home);
	return 0;
}
