/* SPDX-License-Identifier: Apache-2.0
 *
 * The module: load, initialise under the lock, open, close. */
#include "hsm/internal.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static const struct {
	CK_RV rv;
	const char *name;
} names[] = {
	{ CKR_HOST_MEMORY, "HOST_MEMORY" }, { CKR_SLOT_ID_INVALID, "SLOT_ID_INVALID" }, { CKR_GENERAL_ERROR, "GENERAL_ERROR" },
	{ CKR_FUNCTION_FAILED, "FUNCTION_FAILED" }, { CKR_DEVICE_ERROR, "DEVICE_ERROR" }, { CKR_DEVICE_MEMORY, "DEVICE_MEMORY" },
	{ CKR_DEVICE_REMOVED, "DEVICE_REMOVED" }, { CKR_KEY_HANDLE_INVALID, "KEY_HANDLE_INVALID" },
	{ CKR_MECHANISM_INVALID, "MECHANISM_INVALID" }, { CKR_OBJECT_HANDLE_INVALID, "OBJECT_HANDLE_INVALID" },
	{ CKR_OPERATION_ACTIVE, "OPERATION_ACTIVE" }, { CKR_PIN_INCORRECT, "PIN_INCORRECT" }, { CKR_PIN_LOCKED, "PIN_LOCKED" },
	{ CKR_PIN_EXPIRED, "PIN_EXPIRED" }, { CKR_PIN_INVALID, "PIN_INVALID" }, { CKR_PIN_LEN_RANGE, "PIN_LEN_RANGE" },
	{ CKR_SESSION_CLOSED, "SESSION_CLOSED" }, { CKR_SESSION_COUNT, "SESSION_COUNT" },
	{ CKR_SESSION_HANDLE_INVALID, "SESSION_HANDLE_INVALID" }, { CKR_TOKEN_NOT_PRESENT, "TOKEN_NOT_PRESENT" },
	{ CKR_TOKEN_NOT_RECOGNIZED, "TOKEN_NOT_RECOGNIZED" }, { CKR_USER_NOT_LOGGED_IN, "USER_NOT_LOGGED_IN" },
	{ CKR_USER_PIN_NOT_INITIALIZED, "USER_PIN_NOT_INITIALIZED" }, { CKR_CRYPTOKI_NOT_INITIALIZED, "CRYPTOKI_NOT_INITIALIZED" },
	{ CKR_ATTRIBUTE_TYPE_INVALID, "ATTRIBUTE_TYPE_INVALID" }, { CKR_TEMPLATE_INCONSISTENT, "TEMPLATE_INCONSISTENT" },
};

const char *ckr_name(CK_RV rv)
{
	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (names[i].rv == rv)
			return names[i].name;
	return "error";
}

bool ckr_fail(struct hsm *h, struct err *e, const char *what, CK_RV rv)
{
	h->last_ckr = rv;
	return err_set(e, ERR_HSM, "HSM: %s: CKR_%s (0x%lx)", what, ckr_name(rv), (unsigned long)rv);
}

struct hsm *hsm_blank(void)
{
	struct hsm *h = mem_new(sizeof *h);
	pthread_condattr_t a;

	h->lock_fd = -1;
	h->generation = 1;
	pthread_mutex_init(&h->lock, NULL);
	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_cond_init(&h->changed, &a);
	pthread_condattr_destroy(&a);
	return h;
}

bool lock_open(const char *dir, int *fd, struct err *e)
{
	AUTO_FREE char *path = mem_printf("%s/run/hsm.lock", dir);

	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	return *fd >= 0 || err_sys(e, ERR_IO, "%s", path);
}

bool lock_take(int fd, struct err *e)
{
	while (flock(fd, LOCK_EX) != 0)
		if (errno != EINTR)
			return err_sys(e, ERR_IO, "run/hsm.lock");
	return true;
}

void lock_drop(int fd)
{
	(void)flock(fd, LOCK_UN);
}

bool module_load(struct hsm *h, struct err *e)
{
	CK_RV (*get)(CK_FUNCTION_LIST_PTR_PTR);

	h->library = dlopen(h->module, RTLD_NOW | RTLD_LOCAL);
	if (h->library == NULL)
		return err_set(e, ERR_HSM, "hsm.module can't be loaded: %s", dlerror());
	*(void **)&get = dlsym(h->library, "C_GetFunctionList");
	if (get == NULL || get(&h->f) != CKR_OK || h->f == NULL) {
		h->f = NULL;
		return err_set(e, ERR_HSM, "hsm.module: %s is no PKCS#11 module", h->module);
	}
	return true;
}

/* Locks of the operating system always: C_Initialize(NULL) switches SoftHSM's own off. */
bool module_initialize(struct hsm *h, struct err *e)
{
	CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK };
	CK_RV rv = h->f->C_Initialize(&args);

	return rv == CKR_OK || rv == CKR_CRYPTOKI_ALREADY_INITIALIZED || ckr_fail(h, e, "C_Initialize", rv);
}

bool module_enter(struct hsm *h, bool initialize, struct err *e)
{
	CK_RV rv;

	if (initialize && ((h->embedded && !softhsm_mend(h->dir, e)) || !module_initialize(h, e)))
		return false;
	if (!token_choose(h, e))
		return false;
	rv = h->f->C_OpenSession(h->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &h->anchor);
	if (rv != CKR_OK)
		return ckr_fail(h, e, "C_OpenSession", rv);
	return token_login(h, e);
}

/* One session of the token's is the anchor. */
static bool set_sessions(struct hsm *h, unsigned asked, struct err *e)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned n = asked != 0 ? asked : h->embedded ? (unsigned)(cores > 0 ? cores : 1) : 16;
	CK_ULONG max = h->token.ulMaxSessionCount;

	if (max == 1)
		return err_set(e, ERR_HSM, "HSM: the token allows one session, two are needed; raise its limit");
	if (max != CK_UNAVAILABLE_INFORMATION && max != CK_EFFECTIVELY_INFINITE && n > max - 1)
		n = (unsigned)max - 1;
	h->sessions = n > HSM_SESSION_MAX ? HSM_SESSION_MAX : n;
	return true;
}

static bool open_locked(struct hsm *h, struct err *e)
{
	bool good;

	if (!lock_open(h->dir, &h->lock_fd, e) || !lock_take(h->lock_fd, e))
		return false;
	good = (!h->embedded || hsm_embedded_configure(h->dir, e)) && module_load(h, e) && module_enter(h, true, e);
	lock_drop(h->lock_fd);
	return good;
}

bool hsm_open(struct hsm **out, const struct hsm_config *c, struct err *e)
{
	AUTO_STRUCT(hsm) *h = hsm_blank();
	char path[4096];

	h->dir = mem_text(c->dir);
	h->token_name = mem_text(c->token);
	h->pin_mark = mem_text(c->pin_mark != NULL ? c->pin_mark : "");
	h->timeout_ms = c->timeout_ms != 0 ? c->timeout_ms : 10000;
	h->ask_pin = c->pin;
	h->pin_arg = c->pin_arg;
	h->embedded = strcmp(c->module, "embedded") == 0;
	if (h->embedded && !softhsm_module(path, sizeof path, e))
		return false;
	h->module = mem_text(h->embedded ? path : c->module);
	if (!token_unlatched(h, e) || !open_locked(h, e) || !set_sessions(h, c->sessions, e))
		return false;
	*out = TAKE(h);
	return true;
}

void hsm_close(struct hsm *h)
{
	if (h == NULL)
		return;
	if (h->f != NULL)
		(void)h->f->C_Finalize(NULL);
	if (h->library != NULL)
		dlclose(h->library);
	pin_page_free(h);
	if (h->lock_fd >= 0)
		close(h->lock_fd);
	pthread_mutex_destroy(&h->lock);
	pthread_cond_destroy(&h->changed);
	free(h->dir);
	free(h->module);
	free(h->token_name);
	free(h->pin_mark);
	free(h);
}

void hsm_stats(struct hsm *h, struct hsm_stats *out)
{
	const char *base = strrchr(h->module, '/');

	*out = (struct hsm_stats){ .last_ckr = h->last_ckr, .logged_in = h->logged_in };
	snprintf(out->module, sizeof out->module, "%.63s", base != NULL ? base + 1 : h->module);
	pthread_mutex_lock(&h->lock);
	if (!h->recovering) {
		unpad(h->token.label, sizeof h->token.label, out->token);
		unpad(h->token.serialNumber, sizeof h->token.serialNumber, out->serial);
		unpad(h->token.model, sizeof h->token.model, out->model);
		unpad(h->token.manufacturerID, sizeof h->token.manufacturerID, out->manufacturer);
	}
	out->sessions = h->sessions;
	out->in_use = h->open_n - h->idle_n;
	out->signatures = h->signatures;
	out->failures = h->failures;
	out->reopened = h->reopened;
	pthread_mutex_unlock(&h->lock);
}

bool hsm_health(struct hsm *h, struct err *e)
{
	return session_there(h, e);
}
