/* SPDX-License-Identifier: Apache-2.0
 *
 * SoftHSM 2 as the embedded token. Its C_Login truncates token.object and writes it again, without fsync: a kill in
 * between would lose the token for ever. So a synced copy lies in DIR/ca, and goes back when the file is short. */
#include "hsm/internal.h"

#include "base/log.h"
#include "base/rnd.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TOKEN_FILE_MAX = 1 << 20 };

bool softhsm_module(char *out, size_t size, struct err *e)
{
	static const char *const places[] = {
		"/usr/lib/softhsm/libsofthsm2.so",
		"/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
		"/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
		"/usr/local/lib/softhsm/libsofthsm2.so",
	};

	for (size_t i = 0; i < COUNT_OF(places); i++) {
		if (access(places[i], R_OK) == 0) {
			snprintf(out, size, "%s", places[i]);
			return true;
		}
	}
	return err_set(e, ERR_HSM, "SoftHSM 2 is not installed; install the package softhsm2 or set hsm.module");
}

bool hsm_embedded_configure(const char *dir, struct err *e)
{
	char whole[PATH_MAX];
	AUTO_FREE char *path = NULL;
	AUTO_FREE char *want = NULL;
	AUTO_BUF have = { 0 };

	if (realpath(dir, whole) == NULL)
		return err_sys(e, ERR_IO, "%s", dir);
	path = mem_printf("%s/softhsm2.conf", whole);
	want = mem_printf("directories.tokendir = %s/token\nobjectstore.backend = file\n"
	                  "log.level = ERROR\nslots.removable = false\n",
	                  whole);
	if (!file_read(&have, path, 2 * PATH_MAX, NULL) || strcmp(buf_str(&have), want) != 0) {
		/* With a uid of its own ca may not write beside the instance's other files, only in its folder. */
		if (!file_write_atomic(path, want, strlen(want), 0644, e)) {
			free(path);
			path = mem_printf("%s/ca/softhsm2.conf", whole);
			if (!file_write_atomic(path, want, strlen(want), 0644, e))
				return false;
		}
	}
	return setenv("SOFTHSM2_CONF", path, 1) == 0 || err_sys(e, ERR_INTERNAL, "SOFTHSM2_CONF");
}

/* DIR/token/UUID/token.object of the one token that there is. SoftHSM's serial is taken from the UUID. */
static bool token_file(const char *dir, char *out, size_t size, char serial[17], struct err *e)
{
	AUTO_FREE char *folder = mem_printf("%s/token", dir);
	DIR *d = opendir(folder);
	struct dirent *entry;
	unsigned found = 0;

	if (d == NULL)
		return err_sys(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_HSM, "%s", folder);
	while ((entry = readdir(d)) != NULL) {
		if (strlen(entry->d_name) != 36)
			continue;
		snprintf(out, size, "%s/%s/token.object", folder, entry->d_name);
		if (serial != NULL)
			snprintf(serial, 17, "%.4s%.12s", entry->d_name + 19, entry->d_name + 24);
		found++;
	}
	closedir(d);
	if (found > 1)
		return err_set(e, ERR_CONFLICT, "%s holds %u tokens", folder, found);
	return found == 1 || err_set(e, ERR_NOT_FOUND, "%s holds no token", folder);
}

/* Shorter than its copy, or the length is there but not the octets (a power loss may leave zeros). */
static bool is_broken(const char *path, size_t want)
{
	AUTO_BUF now = { 0 };

	if (!file_read(&now, path, TOKEN_FILE_MAX, NULL) || now.n < want)
		return true;
	return now.n != 0 && now.p[0] == 0 && memcmp(now.p, now.p + 1, now.n - 1) == 0;
}

/* A file that root puts back stays the role's. */
static bool keep_owner(const char *path, const struct stat *was, struct err *e)
{
	return was->st_uid == geteuid() || chown(path, was->st_uid, was->st_gid) == 0 || err_sys(e, ERR_IO, "%s", path);
}

bool softhsm_mend(const char *dir, struct err *e)
{
	AUTO_FREE char *copy = mem_printf("%s/ca/token.object.copy", dir);
	AUTO_BUF good = { 0 };
	char path[PATH_MAX + 64], serial[17];
	struct stat st;

	if (!file_read(&good, copy, TOKEN_FILE_MAX, NULL) || !token_file(dir, path, sizeof path, serial, NULL))
		return true; /* nothing to mend with, or nothing to mend: the token search says what is wrong */
	if (stat(copy, &st) != 0 || good.n == 0 || !is_broken(path, good.n))
		return true;
	if (memmem(good.p, good.n, serial, strlen(serial)) == NULL)
		return err_set(e, ERR_HSM, "%s is damaged, and %s is of another token: restore a backup", path, copy);
	log_event(LOG_LEVEL_WARN, "token.object was damaged and is put back from its copy", "file", path, NULL);
	return file_write_atomic(path, good.p, good.n, 0600, e) && keep_owner(path, &st, e);
}

bool softhsm_copy(const char *dir, struct err *e)
{
	AUTO_FREE char *copy = mem_printf("%s/ca/token.object.copy", dir);
	AUTO_BUF text = { 0 };
	char path[PATH_MAX + 64];

	return token_file(dir, path, sizeof path, NULL, e) && file_read(&text, path, TOKEN_FILE_MAX, e) &&
	       file_write_atomic(copy, text.p, text.n, 0600, e);
}

static bool sync_one(const char *folder, const char *name, struct err *e)
{
	AUTO_FREE char *path = mem_printf("%s/%s", folder, name);
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	return (fd >= 0 && fsync(fd) == 0) || err_sys(e, ERR_IO, "%s", path);
}

bool softhsm_sync(const char *dir, struct err *e)
{
	char path[PATH_MAX + 64];
	struct dirent *entry;
	bool good = true;
	DIR *d;

	if (!token_file(dir, path, sizeof path, NULL, e))
		return false;
	*strrchr(path, '/') = 0;
	d = opendir(path);
	if (d == NULL)
		return err_sys(e, ERR_IO, "%s", path);
	while (good && (entry = readdir(d)) != NULL)
		if (entry->d_name[0] != '.')
			good = sync_one(path, entry->d_name, e);
	closedir(d);
	return good && sync_one(path, ".", e);
}

/* SoftHSM gives a new token another slot: the one that is there with a token in it. */
static CK_RV slot_with(struct hsm *h, bool initialized, CK_SLOT_ID *slot)
{
	CK_SLOT_ID slots[16];
	CK_ULONG n = COUNT_OF(slots);
	CK_RV rv = h->f->C_GetSlotList(CK_TRUE, slots, &n);

	for (CK_ULONG i = 0; rv == CKR_OK && i < n; i++) {
		CK_TOKEN_INFO t;

		*slot = slots[i];
		if (h->f->C_GetTokenInfo(slots[i], &t) == CKR_OK && ((t.flags & CKF_TOKEN_INITIALIZED) != 0) == initialized)
			return CKR_OK;
	}
	return rv != CKR_OK ? rv : CKR_TOKEN_NOT_PRESENT;
}

static bool create(struct hsm *h, const char *label, const char *pin, struct err *e)
{
	CK_UTF8CHAR padded[32];
	CK_SESSION_HANDLE s;
	CK_SLOT_ID slot;
	uint8_t secret[16];
	char so[33];
	CK_RV rv;

	memset(padded, ' ', sizeof padded);
	memcpy(padded, label, strlen(label));
	rnd_kernel(secret, sizeof secret);
	hex_put(so, secret, sizeof secret);
	rv = slot_with(h, false, &slot);
	if (rv == CKR_OK)
		rv = h->f->C_InitToken(slot, (CK_UTF8CHAR *)so, strlen(so), padded);
	if (rv == CKR_OK)
		rv = slot_with(h, true, &slot);
	if (rv == CKR_OK)
		rv = h->f->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &s);
	if (rv == CKR_OK)
		rv = h->f->C_Login(s, CKU_SO, (CK_UTF8CHAR *)so, strlen(so));
	if (rv == CKR_OK)
		rv = h->f->C_InitPIN(s, (CK_UTF8CHAR *)pin, strlen(pin));
	mem_wipe(so, sizeof so);
	mem_wipe(secret, sizeof secret);
	return rv == CKR_OK || ckr_fail(h, e, "token initialisation", rv);
}

bool hsm_embedded_create(const char *dir, const char *label, const char *pin, struct err *e)
{
	AUTO_STRUCT(hsm) *h = hsm_blank();
	AUTO_FREE char *folder = mem_printf("%s/token", dir);
	char path[PATH_MAX + 64];
	struct err why = { 0 };

	if (label[0] == 0 || strlen(label) > 32)
		return err_set(e, ERR_CONFIG, "hsm.token: a label has 1 to 32 characters");
	if (mkdir(folder, 0700) != 0 && errno != EEXIST)
		return err_sys(e, ERR_IO, "%s", folder);
	if (token_file(dir, path, sizeof path, NULL, &why) || why.kind == ERR_CONFLICT)
		return err_set(e, ERR_EXISTS, "%s holds a token already", folder);
	if (!softhsm_module(path, sizeof path, e))
		return false;
	h->module = mem_text(path);
	if (!lock_open(dir, &h->lock_fd, e) || !lock_take(h->lock_fd, e) || !hsm_embedded_configure(dir, e) ||
	    !module_load(h, e) || !module_initialize(h, e) || !create(h, label, pin, e))
		return false;
	sync();
	return softhsm_copy(dir, e);
}
