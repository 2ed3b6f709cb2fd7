/* SPDX-License-Identifier: Apache-2.0
 *
 * SoftHSM 2 as the embedded token. Its C_Login truncates token.object and writes it again, without fsync: a kill in
 * between would lose the token for ever. So a synced copy lies in DIR/ca, and goes back when the file is short. */
#include "hsm/internal.h"

#include "base/log.h"
#include "base/rnd.h"
#include "base/text.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
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
	AUTO_FREE char *path = mem_printf("%s/softhsm2.conf", dir);
	AUTO_FREE char *want = mem_printf("directories.tokendir = %s/token\nobjectstore.backend = file\n"
	                                  "log.level = ERROR\nslots.removable = false\n",
	                                  dir);
	AUTO_BUF have = { 0 };

	if (!file_read(&have, path, 4096, NULL) || strcmp(buf_str(&have), want) != 0)
		if (!file_write_atomic(path, want, strlen(want), 0644, e))
			return false;
	return setenv("SOFTHSM2_CONF", path, 1) == 0 || err_sys(e, ERR_INTERNAL, "SOFTHSM2_CONF");
}

/* DIR/token/UUID/token.object of the one token that there is. */
static bool token_file(const char *dir, char *out, size_t size, struct err *e)
{
	AUTO_FREE char *folder = mem_printf("%s/token", dir);
	DIR *d = opendir(folder);
	struct dirent *entry;
	bool found = false;

	if (d == NULL)
		return err_sys(e, ERR_HSM, "%s", folder);
	while ((entry = readdir(d)) != NULL)
		if (entry->d_name[0] != '.') {
			snprintf(out, size, "%s/%s/token.object", folder, entry->d_name);
			found = true;
		}
	closedir(d);
	return found || err_set(e, ERR_NOT_FOUND, "%s holds no token", folder);
}

static bool same_size(const char *path, off_t want)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_size >= want;
}

bool softhsm_mend(const char *dir, struct err *e)
{
	AUTO_FREE char *copy = mem_printf("%s/ca/token.object.copy", dir);
	AUTO_BUF good = { 0 };
	char path[4096];

	if (!file_read(&good, copy, TOKEN_FILE_MAX, NULL) || !token_file(dir, path, sizeof path, NULL))
		return true; /* nothing to mend with, or nothing to mend: the token search says what is wrong */
	if (same_size(path, (off_t)good.n))
		return true;
	log_event(LOG_LEVEL_WARN, "token.object was short and is put back from its copy", "file", path, NULL);
	return file_write_atomic(path, good.p, good.n, 0600, e);
}

bool softhsm_copy(const char *dir, struct err *e)
{
	AUTO_FREE char *copy = mem_printf("%s/ca/token.object.copy", dir);
	AUTO_BUF text = { 0 };
	char path[4096];

	return token_file(dir, path, sizeof path, e) && file_read(&text, path, TOKEN_FILE_MAX, e) &&
	       file_write_atomic(copy, text.p, text.n, 0600, e);
}

static bool create(struct hsm *h, const char *label, const char *pin, struct err *e)
{
	CK_SLOT_ID slots[16];
	CK_ULONG n = COUNT_OF(slots);
	CK_UTF8CHAR padded[32];
	CK_SESSION_HANDLE s;
	uint8_t secret[16];
	char so[33];
	CK_RV rv;

	memset(padded, ' ', sizeof padded);
	memcpy(padded, label, strlen(label));
	rnd_kernel(secret, sizeof secret);
	hex_put(so, secret, sizeof secret);
	rv = h->f->C_GetSlotList(CK_TRUE, slots, &n);
	if (rv == CKR_OK)
		rv = h->f->C_InitToken(slots[n - 1], (CK_UTF8CHAR *)so, strlen(so), padded);
	n = COUNT_OF(slots);
	if (rv == CKR_OK)
		rv = h->f->C_GetSlotList(CK_TRUE, slots, &n);
	/* The new token stands before the slot for the next one. */
	if (rv == CKR_OK)
		rv = h->f->C_OpenSession(slots[0], CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &s);
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
	AUTO_STRUCT(hsm) *h = mem_new(sizeof *h);
	AUTO_FREE char *folder = mem_printf("%s/token", dir);
	AUTO_FD int lock = -1;
	char path[4096];

	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->free_one, NULL);
	if (strlen(label) > 32)
		return err_set(e, ERR_CONFIG, "hsm.token: a label has at most 32 characters");
	if (mkdir(folder, 0700) != 0 && errno != EEXIST)
		return err_sys(e, ERR_IO, "%s", folder);
	if (token_file(dir, path, sizeof path, NULL))
		return err_set(e, ERR_EXISTS, "%s holds a token already", folder);
	if (!softhsm_module(path, sizeof path, e))
		return false;
	h->module = mem_text(path);
	if (!init_lock(dir, &lock, e) || !hsm_embedded_configure(dir, e) || !module_load(h, e) || !create(h, label, pin, e))
		return false;
	sync();
	return softhsm_copy(dir, e);
}
