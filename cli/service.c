/* SPDX-License-Identifier: Apache-2.0
 *
 * init, serve, status, config. */
#include "cli/cli.h"

#include "base/log.h"
#include "base/rnd.h"
#include "base/text.h"
#include "config/config.h"
#include "config/profile.h"
#include "daemon/parent.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <netdb.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- init: built beside and renamed, so that a failure leaves nothing */

static bool is_empty(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	bool empty = true;

	while (d != NULL && (entry = readdir(d)) != NULL)
		empty = empty && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0);
	if (d != NULL)
		closedir(d);
	return d != NULL && empty;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

static void remove_tree(const char *dir)
{
	(void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static const struct {
	const char *name;
	unsigned mode;
} folders[] = {
	{ "profiles", 0755 }, { "token", 0700 }, { "tls", 0700 }, { "trust", 0755 }, { "ca", 0700 }, { "crl", 0755 },
	{ "officers", 0700 }, { "run", 0755 },   { "log", 0700 }, { "backup", 0700 },
};

static bool make_folders(const char *dir, struct err *e)
{
	if (mkdir(dir, 0755) != 0 && errno == ENOENT)
		return err_set(e, ERR_IO, "%.*s does not exist; make it first", (int)(strrchr(dir, '/') - dir), dir);
	if (chmod(dir, 0755) != 0)
		return err_sys(e, ERR_IO, "%s", dir);
	for (size_t i = 0; i < COUNT_OF(folders); i++) {
		AUTO_FREE char *path = mem_printf("%s/%s", dir, folders[i].name);

		if (mkdir(path, folders[i].mode) != 0 || chmod(path, folders[i].mode) != 0)
			return err_sys(e, ERR_IO, "%s", path);
	}
	return true;
}

static bool put_file(const char *dir, const char *name, const void *p, size_t n, unsigned mode, struct err *e)
{
	AUTO_FREE char *path = mem_printf("%s/%s", dir, name);

	return file_write_atomic(path, p, n, mode, e);
}

static bool put_profiles(const char *dir, struct err *e)
{
	for (size_t i = 0; profile_shipped_name(i) != NULL; i++) {
		AUTO_FREE char *name = mem_printf("profiles/%s.yaml", profile_shipped_name(i));
		const char *text = profile_shipped_text(i);

		if (!put_file(dir, name, text, strlen(text), 0644, e))
			return false;
	}
	return true;
}

static bool put_pin(const char *dir, struct err *e)
{
	uint8_t secret[16];
	char pin[34];
	bool kept;

	rnd_kernel(secret, sizeof secret);
	hex_put(pin, secret, sizeof secret);
	strcat(pin, "\n");
	kept = put_file(dir, "hsm.pin", pin, strlen(pin), 0600, e);
	mem_wipe(pin, sizeof pin);
	mem_wipe(secret, sizeof secret);
	return kept;
}

/* This machine's full name, "localhost" when it has none that may stand in a URL. */
static void own_host(char *out, size_t size)
{
	struct addrinfo hints = { .ai_flags = AI_CANONNAME }, *list = NULL;

	if (gethostname(out, size) != 0)
		out[0] = 0;
	out[size - 1] = 0;
	if (out[0] != 0 && getaddrinfo(out, NULL, &hints, &list) == 0) {
		if (list->ai_canonname != NULL && strlen(list->ai_canonname) < size)
			strcpy(out, list->ai_canonname);
		freeaddrinfo(list);
	}
	for (size_t k = 0; out[k] != 0; k++)
		out[k] = (char)tolower((unsigned char)out[k]);
	if (out[0] == 0 || out[strspn(out, "abcdefghijklmnopqrstuvwxyz0123456789.-")] != 0)
		snprintf(out, size, "localhost");
}

/* "public.va=http://HOST:PORT" with the port of listen.va, when neither was given. NULL: it was. */
static char *public_of(const struct invocation *i, const char *name, const char *scheme, const char *port)
{
	AUTO_FREE char *public = mem_printf("public.%s=", name);
	AUTO_FREE char *listen = mem_printf("listen.%s=", name);
	char host[200];

	for (size_t k = 0; k < i->given_n; k++) {
		const char *v = i->given[k].value;

		if (strcmp(i->given[k].option->name, "set") != 0)
			continue;
		if (strncmp(v, public, strlen(public)) == 0)
			return NULL;
		if (strncmp(v, listen, strlen(listen)) == 0 && strrchr(v, ':') != NULL)
			port = strrchr(v, ':') + 1;
	}
	own_host(host, sizeof host);
	return mem_printf("%s%s://%s:%s", public, scheme, host, port);
}

static bool write_config(const struct invocation *i, struct buf *text, struct buf *mistakes)
{
	const char *set[GIVEN_MAX + 3];
	AUTO_FREE char *organization = NULL;
	AUTO_FREE char *enroll = public_of(i, "enroll", "https", "8443");
	AUTO_FREE char *va = public_of(i, "va", "http", "8080");
	size_t n = 0;

	if (enroll != NULL)
		set[n++] = enroll;
	if (va != NULL)
		set[n++] = va;

	if (has_option(i, "organization")) {
		organization = mem_printf("organization=%s", option_of(i, "organization"));
		set[n++] = organization;
	}
	for (size_t k = 0; k < i->given_n; k++)
		if (strcmp(i->given[k].option->name, "set") == 0)
			set[n++] = i->given[k].value;
	return config_write(text, set, n, mistakes);
}

static void warn_unresolved(const char *dir)
{
	AUTO_FREE struct config *c = mem_new(sizeof *c);
	AUTO_BUF mistakes = { 0 };
	struct addrinfo *list = NULL;
	char host[256];

	if (!config_load(c, dir, &mistakes) || !config_url_host(c->public_va, host, sizeof host))
		return;
	if (getaddrinfo(host, NULL, NULL, &list) != 0)
		complain(EXIT_DONE, "warning: %s (public.va) can't be resolved now; it goes into every certificate, for years", host);
	else
		freeaddrinfo(list);
}

/* In a process of its own: the parent's signal mask and children stay there. */
static bool provision(const char *dir)
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0)
		_exit(parent_serve(&(struct parent_options){ .dir = dir, .provision = true, .quiet = true }));
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool build(const struct invocation *i, const char *dir, struct buf *text, struct err *e)
{
	(void)i;
	if (!make_folders(dir, e) || !put_file(dir, "VERSION", "1\n", 2, 0644, e) ||
	    !put_file(dir, "caduceus.yaml", text->p, text->n, 0644, e) || !put_profiles(dir, e) || !put_pin(dir, e))
		return false;
	warn_unresolved(dir);
	if (isatty(2))
		fputs("making token, keys and authorities ...\n", stderr);
	return provision(dir) || err_set(e, ERR_INTERNAL, "the instance was not made; the reason stands above");
}

static void fingerprint(const char *dir, char out[65])
{
	AUTO_FREE char *path = mem_printf("%s/trust/root.pem", dir);
	AUTO_BUF pem = { 0 };
	AUTO_BUF der = { 0 };
	uint8_t hash[32];

	out[0] = 0;
	if (file_read(&pem, path, 65536, NULL) && pem_get(&der, "CERTIFICATE", (char *)pem.p, pem.n, NULL)) {
		SHA256(der.p, der.n, hash);
		hex_put(out, hash, 32);
	}
}

/* SoftHSM's configuration names the token's folder: from now on without the suffix under which it was built. */
static void aim_token(const char *fresh)
{
	AUTO_FREE char *path = mem_printf("%s/softhsm2.conf", fresh), *apart = mem_printf("%s/ca/softhsm2.conf", fresh);
	const char *suffix = strrchr(fresh, '.');
	AUTO_BUF text = { 0 };
	char *at;

	if ((!file_read(&text, apart, 4 * PATH_MAX, NULL) && !file_read(&text, path, 4 * PATH_MAX, NULL)) ||
	    (at = strstr((char *)buf_str(&text), suffix)) == NULL)
		return; /* another module */
	memmove(at, at + strlen(suffix), strlen(at + strlen(suffix)) + 1);
	(void)file_write_atomic(path, text.p, text.n - strlen(suffix), 0644, NULL); /* ca writes it anew if need be */
	(void)unlink(apart);
}

static enum exit_code init_done(const struct invocation *i)
{
	AUTO_FREE struct config *c = mem_new(sizeof *c);
	AUTO_BUF mistakes = { 0 };
	char hex[65];

	fingerprint(i->dir, hex);
	if (i->json) {
		json_t *doc = json_pack("{s:s,s:s}", "dir", i->dir, "root_sha256", hex);

		print_json(doc);
		json_decref(doc);
		return EXIT_DONE;
	}
	if (config_load(c, i->dir, &mistakes))
		printf("devices come to  %s\nOCSP and CRLs    %s\n                 (stands in every certificate, the authorities' own too; for another one init anew)\n", c->public_enroll,
		       c->public_va);
	printf("instance         %s\nroot SHA-256     %s\n\nNext:\n  caduceus serve --dir %s\n  caduceus device add pump-1 --dir %s\n", i->dir, hex,
	       i->dir, i->dir);
	return EXIT_DONE;
}

static enum exit_code init(struct invocation *i)
{
	AUTO_FREE char *fresh = mem_printf("%s.init-%ld", i->dir, (long)getpid());
	AUTO_BUF text = { 0 };
	AUTO_BUF mistakes = { 0 };
	struct err e;

	if (access(i->dir, F_OK) == 0 && !is_empty(i->dir))
		return complain(EXIT_FAILED, "%s exists and is not empty; choose another --dir", i->dir);
	if (!write_config(i, &text, &mistakes)) {
		fputs(buf_str(&mistakes), stderr);
		return EXIT_USAGE;
	}
	if (!build(i, fresh, &text, &e)) {
		remove_tree(fresh);
		return complain(EXIT_FAILED, "%s", e.text);
	}
	aim_token(fresh);
	(void)rmdir(i->dir);
	if (rename(fresh, i->dir) != 0) {
		err_sys(&e, ERR_IO, "%s", i->dir);
		remove_tree(fresh);
		return complain(EXIT_FAILED, "%s", e.text);
	}
	return init_done(i);
}

static enum exit_code serve(struct invocation *i)
{
	AUTO_FREE char *version = mem_printf("%s/VERSION", i->dir);
	AUTO_BUF text = { 0 };

	if (!file_read(&text, version, 64, NULL))
		return complain(EXIT_FAILED, "%s is no instance; `caduceus init --dir %s` makes one", i->dir, i->dir);
	if (strcmp(buf_str(&text), "1\n") != 0)
		return complain(EXIT_FAILED, "%s was made by a newer program (layout %s); use that one", i->dir, buf_str(&text));
	return (enum exit_code)parent_serve(&(struct parent_options){ .dir = i->dir });
}

static enum exit_code own(struct invocation *i)
{
	struct err e;

	return parent_own(i->dir, &e) ? EXIT_DONE : complain(EXIT_FAILED, "%s", e.text);
}

static enum exit_code status(struct invocation *i)
{
	json_t *doc;
	enum exit_code code = ask(i, "status", json_object(), &doc);

	if (code != EXIT_DONE)
		return code;
	if (i->json)
		print_json(doc);
	else
		print_object(doc);
	code = json_is_true(json_object_get(doc, "healthy")) ? EXIT_DONE : EXIT_FAILED;
	json_decref(doc);
	return code;
}

static enum exit_code config_check(struct invocation *i)
{
	AUTO_FREE struct config *c = mem_new(sizeof *c);
	AUTO_BUF mistakes = { 0 };

	if (!config_load(c, i->dir, &mistakes)) {
		fputs(buf_str(&mistakes), stderr);
		return EXIT_FAILED;
	}
	if (i->json) {
		json_t *doc = json_pack("{s:b}", "ok", 1);

		print_json(doc);
		json_decref(doc);
	} else {
		printf("%s/caduceus.yaml has no mistakes\n", i->dir);
	}
	return EXIT_DONE;
}

static void show_one(void *arg, const char *key, const char *value, const char *source)
{
	json_array_append_new(arg, json_pack("{s:s,s:s,s:s}", "key", key, "value", value, "source", source));
}

static enum exit_code config_show_command(struct invocation *i)
{
	static const struct column columns[] = { { "key", "KEY" }, { "value", "VALUE" }, { "source", "FROM" } };
	json_t *rows = json_array();
	AUTO_BUF mistakes = { 0 };

	if (!config_show(i->dir, show_one, rows, &mistakes)) {
		fputs(buf_str(&mistakes), stderr);
		json_decref(rows);
		return EXIT_FAILED;
	}
	if (i->json) {
		json_t *doc = json_pack("{s:O}", "config", rows);

		print_json(doc);
		json_decref(doc);
	} else {
		print_table(rows, columns, COUNT_OF(columns));
	}
	json_decref(rows);
	return EXIT_DONE;
}

const struct command commands_service[] = {
	{ "init", "", "", 0, 0, "makes an instance: token, keys, authorities, profiles",
	  "caduceus init --dir /var/lib/caduceus --organization \"St. Hedwig\" --set public.va=http://pki.example:8080", init,
	  { { "organization", "NAME", "stands as O in every subject", false },
	    { "set", "KEY=VALUE", "a setting of caduceus.yaml", true } } },
	{ "serve", "", "", 0, 0, "runs it in the foreground; prints ready", "caduceus serve --dir /var/lib/caduceus", serve, { { 0 } } },
	{ "own", "", "", 0, 0, "gives each role its files; the systemd unit does it before serve", "caduceus own", own, { { 0 } } },
	{ "status", "", "", 0, 0, "says whether all is well; exit 0 only then", "caduceus status", status, { { 0 } } },
	{ "config", "check", "", 0, 0, "finds every mistake in caduceus.yaml", "caduceus config check", config_check, { { 0 } } },
	{ "config", "show", "", 0, 0, "every setting, its value and where that comes from", "caduceus config show", config_show_command, { { 0 } } },
	{ 0 },
};
