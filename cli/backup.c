/* SPDX-License-Identifier: Apache-2.0
 *
 * backup create, verify; restore; upgrade. A backup is a tar: manifest.json, then what it lists: the database's copy,
 * configuration, profiles, trust, CRLs. Never keys or PINs: those are the HSM's to back up. Encrypted (CMS, AES-256) to
 * two recipients at least when --to is given. */
#include "cli/cli.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "config/config.h"
#include "daemon/parent.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <limits.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

AUTO_DEFINE(BIO, BIO_free_all)
AUTO_DEFINE(EVP_MD_CTX, EVP_MD_CTX_free)
AUTO_DEFINE(EVP_PKEY, EVP_PKEY_free)
AUTO_DEFINE(X509, X509_free)
AUTO_DEFINE(CMS_ContentInfo, CMS_ContentInfo_free)

enum { CHUNK = 65536, MEMBER_MAX = 4096, RECIPIENTS_LEAST = 2 };

/* --- Which files */

static const struct part {
	const char *folder, *ending; /* folder "" is DIR itself: `ending` is the name */
} parts[] = {
	{ "", "VERSION" }, { "", "caduceus.yaml" }, { "profiles", ".yaml" }, { "trust", ".pem" }, { "crl", ".crl" },
};

static bool plain_name(const char *s)
{
	return s[0] != 0 && s[0] != '.' && s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] == 0;
}

/* "trust/root.pem", "caduceus.yaml", "caduceus.db": nothing else is written or read. */
static bool member_ok(const char *name)
{
	if (strcmp(name, "caduceus.db") == 0)
		return true;
	for (size_t i = 0; i < COUNT_OF(parts); i++) {
		size_t n = strlen(parts[i].folder), k = strlen(name), m = strlen(parts[i].ending);

		if (n == 0 && strcmp(name, parts[i].ending) == 0)
			return true;
		if (n != 0 && strncmp(name, parts[i].folder, n) == 0 && name[n] == '/' && plain_name(name + n + 1) && k > m &&
		    strcmp(name + k - m, parts[i].ending) == 0)
			return true;
	}
	return false;
}

static bool sha256_file(const char *path, char hex[65], int64_t *size, struct err *e)
{
	AUTO(EVP_MD_CTX) *md = EVP_MD_CTX_new();
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	AUTO_FREE uint8_t *chunk = mem_new(CHUNK);
	uint8_t digest[32];
	ssize_t n;

	*size = 0;
	if (fd < 0)
		return err_sys(e, ERR_IO, "%s", path);
	if (md == NULL || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1)
		return err_set(e, ERR_INTERNAL, "digest");
	while ((n = read(fd, chunk, CHUNK)) > 0) {
		*size += n;
		EVP_DigestUpdate(md, chunk, (size_t)n);
	}
	if (n < 0)
		return err_sys(e, ERR_IO, "%s", path);
	EVP_DigestFinal_ex(md, digest, NULL);
	hex_put(hex, digest, 32);
	return true;
}

/* --- Making one */

struct making {
	json_t *files;
	struct archive *tar;
	struct err e;
};

static bool list_file(struct making *m, const char *path, const char *name)
{
	char hex[65];
	int64_t size;

	if (!sha256_file(path, hex, &size, &m->e))
		return false;
	json_array_append_new(m->files, json_pack("{s:s,s:I,s:s,s:s}", "name", name, "size", (json_int_t)size, "sha256", hex, "from", path));
	return true;
}

static bool list_folder(struct making *m, const char *dir, const struct part *p)
{
	AUTO_FREE char *folder = mem_printf("%s/%s", dir, p->folder);
	struct dirent *entry;
	bool good = true;
	DIR *d = opendir(folder);

	if (d == NULL)
		return err_sys(&m->e, ERR_IO, "%s", folder);
	while (good && (entry = readdir(d)) != NULL) {
		AUTO_FREE char *name = mem_printf("%s/%s", p->folder, entry->d_name), *path = mem_printf("%s/%s", dir, name);

		if (member_ok(name))
			good = list_file(m, path, name);
	}
	closedir(d);
	return good;
}

static bool list_all(struct making *m, const char *dir, const char *database)
{
	if (!list_file(m, database, "caduceus.db"))
		return false;
	for (size_t i = 0; i < COUNT_OF(parts); i++) {
		AUTO_FREE char *path = mem_printf("%s/%s", dir, parts[i].ending);

		if (parts[i].folder[0] != 0 ? !list_folder(m, dir, &parts[i]) : !list_file(m, path, parts[i].ending))
			return false;
	}
	return true;
}

static bool tar_fail(struct making *m)
{
	return err_set(&m->e, ERR_IO, "archive: %s", archive_error_string(m->tar));
}

static bool tar_header(struct making *m, const char *name, int64_t size)
{
	struct archive_entry *a = archive_entry_new();
	int rc;

	archive_entry_set_pathname(a, name);
	archive_entry_set_size(a, size);
	archive_entry_set_filetype(a, AE_IFREG);
	archive_entry_set_perm(a, 0600);
	rc = archive_write_header(m->tar, a);
	archive_entry_free(a);
	return rc == ARCHIVE_OK || tar_fail(m);
}

static bool tar_file(struct making *m, const char *path, const char *name, int64_t size)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	AUTO_FREE uint8_t *chunk = mem_new(CHUNK);
	ssize_t n;

	if (fd < 0)
		return err_sys(&m->e, ERR_IO, "%s", path);
	if (!tar_header(m, name, size))
		return false;
	while ((n = read(fd, chunk, CHUNK)) > 0)
		if (archive_write_data(m->tar, chunk, (size_t)n) < 0)
			return tar_fail(m);
	return n == 0 || err_sys(&m->e, ERR_IO, "%s", path);
}

static bool write_tar(struct making *m, const char *out, json_t *manifest)
{
	json_t *listed = json_deep_copy(manifest);
	size_t i;
	json_t *f;
	AUTO_FREE char *text = NULL;
	bool good;

	json_array_foreach(json_object_get(listed, "files"), i, f)
		json_object_del(f, "from");
	text = json_dumps(listed, JSON_INDENT(1));
	json_decref(listed);
	m->tar = archive_write_new();
	archive_write_set_format_ustar(m->tar);
	good = archive_write_open_filename(m->tar, out) == ARCHIVE_OK || tar_fail(m);
	good = good && tar_header(m, "manifest.json", (int64_t)strlen(text)) &&
	       (archive_write_data(m->tar, text, strlen(text)) >= 0 || tar_fail(m));
	json_array_foreach(m->files, i, f)
		good = good && tar_file(m, member(f, "from"), member(f, "name"), json_integer_value(json_object_get(f, "size")));
	if (archive_write_close(m->tar) != ARCHIVE_OK && good)
		good = tar_fail(m);
	archive_write_free(m->tar);
	return good;
}

/* CMS EnvelopedData (RFC 5652, 6), streamed; every recipient alone can open it. */
static bool encrypt(const struct invocation *i, const char *plain, const char *out, struct err *e)
{
	STACK_OF(X509) *to = sk_X509_new_null();
	AUTO(BIO) *in = BIO_new_file(plain, "rb");
	AUTO(BIO) *file = NULL;
	AUTO(CMS_ContentInfo) *cms = NULL;
	bool good = in != NULL;

	for (size_t k = 0; k < i->given_n && good; k++) {
		AUTO(BIO) *b = strcmp(i->given[k].option->name, "to") == 0 ? BIO_new_file(i->given[k].value, "r") : NULL;
		X509 *x = b != NULL ? PEM_read_bio_X509(b, NULL, NULL, NULL) : NULL;

		if (strcmp(i->given[k].option->name, "to") != 0)
			continue;
		if (x == NULL)
			good = err_set(e, ERR_BAD_CERT, "%s holds no certificate (PEM)", i->given[k].value);
		else
			sk_X509_push(to, x);
	}
	if (good) {
		cms = CMS_encrypt(to, in, EVP_aes_256_cbc(), CMS_BINARY | CMS_STREAM);
		file = BIO_new_file(out, "wb");
		good = (cms != NULL && file != NULL && i2d_CMS_bio_stream(file, cms, in, CMS_BINARY | CMS_STREAM) == 1 && BIO_flush(file) == 1) ||
		       err_set(e, ERR_BAD_CERT, "not encrypted: %s; recipients need RSA or EC certificates",
		               ERR_reason_error_string(ERR_peek_last_error()) != NULL ? ERR_reason_error_string(ERR_peek_last_error()) : "?");
	}
	sk_X509_pop_free(to, X509_free);
	return good;
}

static bool make(const struct invocation *i, json_t *answer, const char *out, struct err *e)
{
	struct making m = { .files = json_array() };
	json_t *manifest = json_pack("{s:i,s:s,s:s,s:s,s:I,s:s,s:I,s:O}", "format", 1, "program", CADUCEUS_VERSION, "instance",
	                             member(answer, "instance"), "created", member(answer, "created"), "audit_seq",
	                             json_integer_value(json_object_get(answer, "audit_seq")), "audit_hash", member(answer, "audit_hash"), "head",
	                             json_integer_value(json_object_get(answer, "head")), "files", m.files);
	AUTO_FREE char *part = mem_printf("%s.part", out);
	bool sealed = has_option(i, "to");
	bool good = list_all(&m, i->dir, member(answer, "file")) && write_tar(&m, sealed ? part : out, manifest);

	*e = m.e;
	if (good && sealed)
		good = encrypt(i, part, out, e);
	if (sealed)
		(void)unlink(part);
	if (!good)
		(void)unlink(out);
	json_decref(m.files);
	json_decref(manifest);
	return good;
}

static size_t count_of(const struct invocation *i, const char *option)
{
	size_t n = 0;

	for (size_t k = 0; k < i->given_n; k++)
		n += strcmp(i->given[k].option->name, option) == 0;
	return n;
}

/* A power failure behind "done" takes nothing away: the file, and its name in the folder. */
static bool make_durable(const char *path, bool whole_system, struct err *e)
{
	AUTO_FREE char *copy = mem_text(path);
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC), folder = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return (fd >= 0 && folder >= 0 && (whole_system ? syncfs(fd) : fsync(fd)) == 0 && fsync(folder) == 0) || err_sys(e, ERR_IO, "%s", path);
}

static enum exit_code backup_create(struct invocation *i)
{
	AUTO_FREE char *named = mem_printf("caduceus-%lld.%s", (long long)time(NULL), has_option(i, "to") ? "cms" : "tar");
	AUTO_FREE char *copies = mem_printf("%s/backup", i->dir);
	const char *out = has_option(i, "out") ? option_of(i, "out") : named;
	enum exit_code code;
	json_t *answer, *doc;
	bool good;
	struct err e;

	if (has_option(i, "to") && count_of(i, "to") < RECIPIENTS_LEAST)
		return complain(EXIT_USAGE, "a backup that one person alone can open is lost with that person: give --to twice at least");
	if (access(out, F_OK) == 0)
		return complain(EXIT_FAILED, "%s exists; choose another --out", out);
	if (access(copies, F_OK) == 0 && access(copies, R_OK | W_OK | X_OK) != 0)
		return complain(EXIT_DENIED, "the service puts a copy of the database into %s, which is not yours to read: run this as root", copies);
	umask(0077);
	code = ask(i, "backup.create", json_object(), &answer);
	if (code != EXIT_DONE)
		return code;
	good = make(i, answer, out, &e) && make_durable(out, false, &e);
	(void)unlink(member(answer, "file"));
	doc = json_pack("{s:s,s:s,s:O,s:b}", "file", out, "instance", member(answer, "instance"), "audit_seq",
	                json_object_get(answer, "audit_seq"), "encrypted", has_option(i, "to"));
	json_decref(answer);
	if (!good) {
		json_decref(doc);
		return complain(EXIT_FAILED, "%s", e.text);
	}
	if (i->json)
		print_json(doc);
	else
		print_object(doc);
	json_decref(doc);
	if (!has_option(i, "to"))
		complain(EXIT_DONE, "not encrypted: it holds every name and every password's hash; --to CERT twice encrypts it");
	complain(EXIT_DONE, "keys are not in it: back the token and its PIN up apart (docs/operations.md)");
	return EXIT_DONE;
}

/* --- Taking one apart */

/* A CMS file begins with SEQUENCE and the OID of EnvelopedData; a tar with the manifest's name. */
static bool is_sealed(const char *path)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t head[2] = { 0 };

	return fd >= 0 && read(fd, head, 2) == 2 && head[0] == 0x30;
}

static bool unseal(const struct invocation *i, const char *path, const char *out, struct err *e)
{
	AUTO(BIO) *in = BIO_new_file(path, "rb"), *key_file = NULL, *plain = NULL;
	AUTO(CMS_ContentInfo) *cms = in != NULL ? d2i_CMS_bio(in, NULL) : NULL;
	AUTO(EVP_PKEY) *key = NULL;
	const char *name = option_of(i, "key");

	if (cms == NULL)
		return err_set(e, ERR_BAD_REQUEST, "%s is neither a backup nor an encrypted one", path);
	if (name == NULL)
		return err_set(e, ERR_BAD_REQUEST, "the backup is encrypted: --key FILE names the private key of one of its recipients");
	key_file = BIO_new_file(name, "r");
	key = key_file != NULL ? PEM_read_bio_PrivateKey(key_file, NULL, NULL, NULL) : NULL;
	if (key == NULL)
		return err_set(e, ERR_BAD_REQUEST, "%s holds no private key (PEM)", name);
	plain = BIO_new_file(out, "wb");
	return (plain != NULL && CMS_decrypt(cms, key, NULL, NULL, plain, CMS_BINARY) == 1 && BIO_flush(plain) == 1) ||
	       err_set(e, ERR_DENIED, "%s does not open with this key: it is of none of the recipients", path);
}

static bool extract_one(struct archive *tar, const char *dir, const char *name, struct err *e)
{
	AUTO_FREE char *path = mem_printf("%s/%s", dir, name);
	AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(e, ERR_IO, "%s", path);
	return archive_read_data_into_fd(tar, fd) == ARCHIVE_OK || err_set(e, ERR_BAD_REQUEST, "archive: %s", archive_error_string(tar));
}

static bool extract(const char *path, const char *dir, size_t *members, struct err *e)
{
	struct archive *tar = archive_read_new();
	struct archive_entry *a;
	bool good = true;
	size_t n = 0;
	int rc;

	archive_read_support_format_tar(tar);
	if (archive_read_open_filename(tar, path, CHUNK) != ARCHIVE_OK)
		good = err_set(e, ERR_BAD_REQUEST, "%s: %s", path, archive_error_string(tar));
	for (size_t i = 0; good && i < COUNT_OF(parts); i++) {
		AUTO_FREE char *folder = mem_printf("%s/%s", dir, parts[i].folder);

		if (parts[i].folder[0] != 0 && mkdir(folder, 0755) != 0 && errno != EEXIST)
			good = err_sys(e, ERR_IO, "%s", folder);
	}
	while (good && (rc = archive_read_next_header(tar, &a)) != ARCHIVE_EOF) {
		const char *name = rc == ARCHIVE_OK ? archive_entry_pathname(a) : NULL;

		if (name == NULL || archive_entry_filetype(a) != AE_IFREG || ++n > MEMBER_MAX ||
		    (strcmp(name, "manifest.json") != 0 && !member_ok(name)))
			good = err_set(e, ERR_BAD_REQUEST, "%s is no backup of caduceus, or damaged", path);
		else
			good = extract_one(tar, dir, name, e);
	}
	archive_read_free(tar);
	*members = n;
	return good && (n != 0 || err_set(e, ERR_BAD_REQUEST, "%s is no backup of caduceus, or damaged", path));
}

/* Every file that the manifest lists is there and whole, and there is no other one. */
static bool check_manifest(const char *dir, size_t members, json_t **out, struct err *e)
{
	AUTO_FREE char *path = mem_printf("%s/manifest.json", dir);
	json_t *m = json_load_file(path, JSON_REJECT_DUPLICATES, NULL), *f, *names = json_object();
	bool database = false, good = json_integer_value(json_object_get(m, "format")) == 1;
	size_t i;

	if (!good)
		err_set(e, ERR_BAD_REQUEST, "the backup has no manifest of format 1: it is of a newer program, or damaged");
	json_array_foreach(json_object_get(m, "files"), i, f) {
		AUTO_FREE char *file = mem_printf("%s/%s", dir, member(f, "name"));
		char hex[65];
		int64_t size;

		if (!good)
			break;
		good = member_ok(member(f, "name")) || err_set(e, ERR_BAD_REQUEST, "the manifest lists what is no part of a backup");
		good = good && sha256_file(file, hex, &size, e);
		if (good && (strcmp(hex, member(f, "sha256")) != 0 || size != json_integer_value(json_object_get(f, "size"))))
			good = err_set(e, ERR_BAD_REQUEST, "%s is not as the manifest says: the backup is damaged", member(f, "name"));
		database |= strcmp(member(f, "name"), "caduceus.db") == 0;
		json_object_set_new(names, member(f, "name"), json_true());
	}
	/* No name stands twice in the archive (extract_one), so what is not listed is one too many; manifest.json is not. */
	if (good && json_object_size(names) + 1 != members)
		good = err_set(e, ERR_BAD_REQUEST, "the backup holds a file that its manifest does not list");
	json_decref(names);
	if (good && !database)
		good = err_set(e, ERR_BAD_REQUEST, "the backup holds no database");
	if (!good) {
		json_decref(m);
		return false;
	}
	*out = m;
	return true;
}

/* Runs caduceus-ra, which has the database, on a folder. */
static int run_ra(const char *dir, const char *option, bool quiet)
{
	char program[PATH_MAX];
	int status = -1;
	pid_t pid;

	if (!role_program("ra", program, sizeof program))
		return -1;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY);

		if (quiet && null >= 0)
			dup2(null, 1);
		execl(program, "caduceus-ra", dir, option, (char *)NULL);
		_exit(127);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
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

/* Else what is opened next would be another instance's. */
static bool database_is_inside(const char *dir, struct err *e)
{
	AUTO_FREE struct config *c = mem_new(sizeof *c);
	AUTO_BUF mistakes = { 0 };

	if (!config_load(c, dir, &mistakes))
		return err_set(e, ERR_CONFIG, "the configuration in the backup has mistakes: %.300s", buf_str(&mistakes));
	return strcmp(c->database, "sqlite:caduceus.db") == 0 ||
	       err_set(e, ERR_CONFIG, "the instance kept its database elsewhere (%.200s): restore takes sqlite:caduceus.db alone", c->database);
}

/* Opened, unpacked into dir, every digest right, the audit's chain whole. */
static bool unpack(const struct invocation *i, const char *file, const char *dir, json_t **manifest, struct err *e)
{
	AUTO_FREE char *plain = mem_printf("%s/plain.tar", dir);
	bool sealed = is_sealed(file), good;
	size_t members;

	if (access(file, R_OK) != 0)
		return err_sys(e, ERR_IO, "%s", file);
	good = (!sealed || unseal(i, file, plain, e)) && extract(sealed ? plain : file, dir, &members, e);
	if (sealed)
		(void)unlink(plain);
	if (!good || !check_manifest(dir, members, manifest, e))
		return false;
	if (!database_is_inside(dir, e)) {
		json_decref(*manifest);
		return false;
	}
	if (run_ra(dir, "--audit-verify", true) == 0)
		return true;
	json_decref(*manifest);
	return err_set(e, ERR_BAD_REQUEST, "the audit in the backup does not hold");
}

static enum exit_code backup_verify(struct invocation *i)
{
	char dir[] = "/tmp/caduceus-backup-XXXXXX";
	json_t *manifest = NULL, *doc;
	struct err e;
	bool good;

	umask(0077);
	if (mkdtemp(dir) == NULL)
		return complain(EXIT_FAILED, "/tmp: %s", strerror(errno));
	good = unpack(i, i->position[0], dir, &manifest, &e);
	remove_tree(dir);
	if (!good)
		return complain(EXIT_FAILED, "%s", e.text);
	doc = json_pack("{s:b,s:O,s:O,s:O,s:i}", "ok", 1, "instance", json_object_get(manifest, "instance"), "created",
	                json_object_get(manifest, "created"), "audit_seq", json_object_get(manifest, "audit_seq"), "files",
	                (int)json_array_size(json_object_get(manifest, "files")));
	json_decref(manifest);
	if (i->json)
		print_json(doc);
	else
		print_object(doc);
	json_decref(doc);
	return EXIT_DONE;
}

/* --- restore */

static enum exit_code accept_rollback(const struct invocation *i)
{
	int rc = run_ra(i->dir, "--restored-accepted", false);

	if (rc != 0)
		return rc == -1 ? complain(EXIT_FAILED, "the program caduceus-ra can't be run") : EXIT_FAILED;
	printf("accepted: CRL numbers jump by 1000 and every CRL is made anew when the service starts\n  caduceus serve --dir %s\n", i->dir);
	return EXIT_DONE;
}

static bool set_modes(const char *dir)
{
	static const struct {
		const char *name;
		unsigned mode;
	} modes[] = { { "", 0755 }, { "VERSION", 0644 }, { "caduceus.yaml", 0644 }, { "profiles", 0755 }, { "trust", 0755 }, { "crl", 0755 } };

	for (size_t i = 0; i < COUNT_OF(modes); i++) {
		AUTO_FREE char *path = mem_printf("%s/%s", dir, modes[i].name);

		if (chmod(path, modes[i].mode) != 0)
			return false;
	}
	for (size_t i = 0; i < COUNT_OF(parts); i++) {
		AUTO_FREE char *folder = mem_printf("%s/%s", dir, parts[i].folder);
		DIR *d = parts[i].folder[0] != 0 ? opendir(folder) : NULL;
		struct dirent *entry;

		while (d != NULL && (entry = readdir(d)) != NULL) {
			AUTO_FREE char *path = mem_printf("%s/%s", folder, entry->d_name);

			if (entry->d_name[0] != '.')
				(void)!chmod(path, 0644);
		}
		if (d != NULL)
			closedir(d);
	}
	return true;
}

static enum exit_code restore(struct invocation *i)
{
	static const char *const folders[] = { "ca", "tls", "officers", "run", "log", "backup" };
	AUTO_FREE char *fresh = mem_printf("%s.restore-%ld", i->dir, (long)getpid());
	const char *state = has_option(i, "accept-rollback") ? "--restored-accepted" : "--restored-pending";
	json_t *manifest = NULL;
	struct err e = { 0 };
	bool good;

	if (i->position_n == 0)
		return has_option(i, "accept-rollback") ? accept_rollback(i)
		                                        : complain(EXIT_USAGE, "restore takes the backup's file, or --accept-rollback alone");
	if (access(i->dir, F_OK) == 0 && rmdir(i->dir) != 0)
		return complain(EXIT_FAILED, "%s exists and is not empty; choose another --dir, or move it away", i->dir);
	umask(0077);
	if (mkdir(fresh, 0755) != 0)
		return complain(EXIT_FAILED, "%s: %s", fresh, strerror(errno));
	good = unpack(i, i->position[0], fresh, &manifest, &e);
	for (size_t k = 0; good && k < COUNT_OF(folders); k++) {
		AUTO_FREE char *path = mem_printf("%s/%s", fresh, folders[k]);

		good = (mkdir(path, strcmp(folders[k], "run") == 0 ? 0755 : 0700) == 0 && chmod(path, strcmp(folders[k], "run") == 0 ? 0755 : 0700) == 0) ||
		       err_sys(&e, ERR_IO, "%s", path);
	}
	/* pending first: accepting is a step of its own, recorded by ra when it starts. */
	good = good && (run_ra(fresh, "--restored-pending", false) == 0 || err_set(&e, ERR_STORE, "the restored database can't be opened"));
	if (good && strcmp(state, "--restored-accepted") == 0)
		good = run_ra(fresh, state, false) == 0 || err_set(&e, ERR_STORE, "the restored database can't be opened");
	if (good) {
		AUTO_FREE char *path = mem_printf("%s/manifest.json", fresh);

		(void)unlink(path);
		good = (set_modes(fresh) || err_sys(&e, ERR_IO, "%s", fresh)) && make_durable(fresh, true, &e) &&
		       (rename(fresh, i->dir) == 0 || err_sys(&e, ERR_IO, "%s", i->dir)) && make_durable(i->dir, false, &e);
	}
	if (!good) {
		json_decref(manifest);
		remove_tree(fresh);
		return complain(EXIT_FAILED, "%s", e.text);
	}
	if (i->json) {
		json_t *doc = json_pack("{s:s,s:O,s:O,s:b}", "dir", i->dir, "created", json_object_get(manifest, "created"), "audit_seq",
		                        json_object_get(manifest, "audit_seq"), "accepted", has_option(i, "accept-rollback"));

		print_json(doc);
		json_decref(doc);
	} else {
		printf("restored as of %s, audit record %lld\n\nNext:\n  put the token back: %s/token and %s/hsm.pin, or the HSM that hsm.module names\n",
		       member(manifest, "created"), (long long)json_integer_value(json_object_get(manifest, "audit_seq")), i->dir, i->dir);
		if (!has_option(i, "accept-rollback"))
			printf("  look up in the log kept elsewhere what was revoked since, then\n  caduceus restore --accept-rollback --dir %s\n", i->dir);
		printf("  caduceus serve --dir %s\n", i->dir);
	}
	json_decref(manifest);
	return EXIT_DONE;
}

static enum exit_code upgrade(struct invocation *i)
{
	int rc = run_ra(i->dir, "--upgrade", false);

	return rc == -1 ? complain(EXIT_FAILED, "the program caduceus-ra can't be run") : (enum exit_code)rc;
}

const struct command commands_backup[] = {
	{ "backup", "create", "", 0, 0, "copies the running instance into one file, without keys",
	  "caduceus backup create --out backup.cms --to alice.pem --to bob.pem", backup_create,
	  { { "out", "FILE", "the file to make; caduceus-TIME.tar without it", false }, { "to", "CERT", "a recipient's certificate; twice at least", true } } },
	{ "backup", "verify", "FILE", 1, 1, "checks every file and the audit in it", "caduceus backup verify backup.cms --key alice.key", backup_verify,
	  { { "key", "FILE", "a recipient's private key", false } } },
	{ "restore", "", "[FILE]", 0, 1, "makes an instance of a backup; serves only after --accept-rollback",
	  "caduceus restore backup.cms --key alice.key --dir /var/lib/caduceus", restore,
	  { { "key", "FILE", "a recipient's private key", false },
	    { "accept-rollback", NULL, "what was issued and revoked since the backup has been looked up", false } } },
	{ "upgrade", "", "", 0, 0, "migrates the instance to this program; the old database is kept", "caduceus upgrade", upgrade, { { 0 } } },
	{ 0 },
};
