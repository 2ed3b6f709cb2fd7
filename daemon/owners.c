/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/owners.h"

#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const users[ROLE_COUNT] = {
	[ROLE_CA] = "caduceus-ca", [ROLE_RA] = "caduceus-ra", [ROLE_VA] = "caduceus-va", [ROLE_ENROLL] = "caduceus-front",
	[ROLE_OFFICERS] = "caduceus-officers", [ROLE_PROBE] = "caduceus-probe",
};

/* What is a role's own below DIR; all else stays root's. make: an empty file is made when there is none. */
static const struct own {
	const char *name;
	enum role_id role;
	bool make;
} owned[] = {
	{ "token", ROLE_CA, false }, { "ca", ROLE_CA, false }, { "softhsm2.conf", ROLE_CA, false }, { "run/hsm.lock", ROLE_CA, true },
	{ "trust", ROLE_RA, false }, { "crl", ROLE_RA, false }, { "profiles", ROLE_RA, false }, { "backup", ROLE_RA, false }, { "tls", ROLE_ENROLL, false },
};

void owners_find(struct owners *o)
{
	*o = (struct owners){ .why_not = "not started as root" };
	if (geteuid() != 0)
		return;
	for (int r = 0; r < ROLE_COUNT; r++) {
		const struct passwd *p = getpwnam(users[r]);

		if (p == NULL) {
			o->why_not = "the users caduceus-ca, -ra, -va, -front, -officers and -probe do not all exist";
			return;
		}
		o->of[r].uid = p->pw_uid;
		o->of[r].gid = p->pw_gid;
	}
	o->apart = true;
	o->why_not = NULL;
}

static bool give_fd(const struct owners *o, enum role_id r, int fd, const struct stat *st, const char *name, struct err *e)
{
	if (st->st_uid == o->of[r].uid && st->st_gid == o->of[r].gid)
		return true;
	/* A second name could be of another's file: a role owns the folder that it stands in. */
	if (S_ISREG(st->st_mode) && st->st_nlink != 1)
		return err_set(e, ERR_CONFIG, "%s has more than one name; nothing is given away", name);
	return fchown(fd, o->of[r].uid, o->of[r].gid) == 0 || err_sys(e, ERR_IO, "%s", name);
}

/* Folders are walked, links left alone. */
static bool give(const struct owners *o, enum role_id r, int at, const char *name, unsigned depth, struct err *e)
{
	AUTO_FD int fd = openat(at, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	struct dirent *entry;
	struct stat st;
	bool good = true;
	DIR *d;

	if (fd < 0)
		return errno == ENOENT || errno == ELOOP || err_sys(e, ERR_IO, "%s", name);
	if (fstat(fd, &st) != 0 || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))
		return true;
	if (!give_fd(o, r, fd, &st, name, e))
		return false;
	if (!S_ISDIR(st.st_mode) || depth == 0)
		return true;
	d = fdopendir(dup(fd));
	while (good && d != NULL && (entry = readdir(d)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			good = give(o, r, fd, entry->d_name, depth - 1, e);
	if (d != NULL)
		closedir(d);
	return good;
}

static bool make_empty(const char *path, struct err *e)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	return fd >= 0 || errno == EEXIST || err_sys(e, ERR_IO, "%s", path);
}

static bool give_path(const struct owners *o, enum role_id r, const char *path, bool make, struct err *e)
{
	return (!make || make_empty(path, e)) && give(o, r, AT_FDCWD, path, 4, e);
}

/* The database and what SQLite keeps beside it. */
static bool give_database(const struct owners *o, const struct config *c, struct err *e)
{
	static const char *const beside[] = { "", "-wal", "-shm", ".lock" };
	const char *path = c->database + strlen("sqlite:");

	if (strncmp(c->database, "sqlite:", 7) != 0)
		return true;
	for (size_t i = 0; i < COUNT_OF(beside); i++) {
		AUTO_FREE char *whole = path[0] == '/' ? mem_printf("%s%s", path, beside[i]) : mem_printf("%s/%s%s", c->dir, path, beside[i]);

		if (!give_path(o, ROLE_RA, whole, true, e))
			return false;
	}
	return true;
}

/* Every folder above DIR lets others through. */
static bool is_reachable(const char *dir, struct err *e)
{
	char path[PATH_MAX];
	struct stat st;

	if (realpath(dir, path) == NULL)
		return err_sys(e, ERR_IO, "%s", dir);
	for (char *slash = path + strlen(path); slash != NULL && slash != path; slash = strrchr(path, '/')) {
		*slash = 0;
		if (path[0] != 0 && (stat(path, &st) != 0 || (st.st_mode & S_IXOTH) == 0))
			return err_set(e, ERR_CONFIG, "the service's users can't pass through %s: chmod o+x it, or put the instance elsewhere, "
			                              "such as /var/lib/caduceus", path);
	}
	return true;
}

bool owners_apply(const struct owners *o, const struct config *c, struct err *e)
{
	const char *pin = c->hsm_pin;

	if (!o->apart)
		return true;
	if (!is_reachable(c->dir, e))
		return false;
	for (size_t i = 0; i < COUNT_OF(owned); i++) {
		AUTO_FREE char *path = mem_printf("%s/%s", c->dir, owned[i].name);

		if (!give_path(o, owned[i].role, path, owned[i].make, e))
			return false;
	}
	if (strncmp(pin, "file:", 5) == 0 && pin[5] != '/') {
		AUTO_FREE char *path = mem_printf("%s/%s", c->dir, pin + 5);

		if (!give_path(o, ROLE_CA, path, false, e))
			return false;
	}
	return give_database(o, c, e);
}

bool owners_become(const struct owners *o, enum role_id r)
{
	if (!o->apart)
		return true;
	return setgroups(0, NULL) == 0 && setresgid(o->of[r].gid, o->of[r].gid, o->of[r].gid) == 0 &&
	       setresuid(o->of[r].uid, o->of[r].uid, o->of[r].uid) == 0;
}
