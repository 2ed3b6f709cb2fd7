/* SPDX-License-Identifier: Apache-2.0
 *
 * The module: load, initialise, choose the token, log in once. */
#include "hsm/internal.h"

#include "base/log.h"
#include "base/text.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
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

bool init_lock(const char *dir, int *fd, struct err *e)
{
	AUTO_FREE char *path = mem_printf("%s/run/hsm.lock", dir);

	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (*fd < 0)
		return err_sys(e, ERR_IO, "%s", path);
	while (flock(*fd, LOCK_EX) != 0)
		if (errno != EINTR)
			return err_sys(e, ERR_IO, "%s", path);
	return true;
}

/* Locks of the operating system always: C_Initialize(NULL) switches SoftHSM's own off. */
bool module_load(struct hsm *h, struct err *e)
{
	CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK };
	CK_RV (*get)(CK_FUNCTION_LIST_PTR_PTR);
	CK_RV rv;

	h->library = dlopen(h->module, RTLD_NOW | RTLD_LOCAL);
	if (h->library == NULL)
		return err_set(e, ERR_HSM, "HSM module can't be loaded: %s", dlerror());
	*(void **)&get = dlsym(h->library, "C_GetFunctionList");
	if (get == NULL || get(&h->f) != CKR_OK)
		return err_set(e, ERR_HSM, "%s is no PKCS#11 module", h->module);
	rv = h->f->C_Initialize(&args);
	if (rv != CKR_OK && rv != CKR_CRYPTOKI_ALREADY_INITIALIZED)
		return ckr_fail(h, e, "C_Initialize", rv);
	return true;
}

/* --- Which token (RFC 7512): never a slot number */

struct wanted {
	char token[33], serial[17], manufacturer[33], model[17];
};

static bool decode_value(const char *p, size_t n, char *out, size_t size)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		uint8_t octet = (uint8_t)p[i];
		size_t got;

		if (p[i] == '%') {
			char two[3] = { 0 };

			if (n - i < 3)
				return false;
			memcpy(two, p + i + 1, 2);
			if (!hex_get(two, &octet, 1, &got))
				return false;
			i += 2;
		}
		if (k + 1 >= size || octet == 0)
			return false;
		out[k++] = (char)octet;
	}
	out[k] = 0;
	return true;
}

static bool take_attribute(struct wanted *w, const char *p, size_t n, struct err *e)
{
	const struct {
		const char *name;
		char *out;
		size_t size;
	} table[] = { { "token=", w->token, sizeof w->token },
		      { "serial=", w->serial, sizeof w->serial },
		      { "manufacturer=", w->manufacturer, sizeof w->manufacturer },
		      { "model=", w->model, sizeof w->model } };

	for (size_t i = 0; i < COUNT_OF(table); i++) {
		size_t len = strlen(table[i].name);

		if (n > len && strncmp(p, table[i].name, len) == 0)
			return decode_value(p + len, n - len, table[i].out, table[i].size) ||
			       err_set(e, ERR_CONFIG, "hsm.token: the value of %s is malformed or too long", table[i].name);
	}
	if (strncmp(p, "slot-id=", 8) == 0)
		return err_set(e, ERR_CONFIG, "hsm.token: slot numbers change between starts; name the token or its serial");
	return err_set(e, ERR_CONFIG, "hsm.token: '%.*s' is not used here; token, serial, manufacturer, model are", (int)n, p);
}

static bool parse_wanted(struct wanted *w, const char *text, struct err *e)
{
	const char *p = text + 7;

	*w = (struct wanted){ 0 };
	if (strncmp(text, "pkcs11:", 7) != 0) {
		if (strlen(text) >= sizeof w->token)
			return err_set(e, ERR_CONFIG, "hsm.token: a label has at most 32 characters");
		strcpy(w->token, text);
		return true;
	}
	while (*p != 0) {
		size_t n = strcspn(p, ";");

		if (!take_attribute(w, p, n, e))
			return false;
		p += n + (p[n] == ';');
	}
	return w->token[0] != 0 || w->serial[0] != 0 ||
	       err_set(e, ERR_CONFIG, "hsm.token: the URI must name a token or a serial");
}

/* PKCS#11 texts are padded with blanks, without an end. */
static void unpad(const unsigned char *p, size_t n, char *out)
{
	while (n != 0 && (p[n - 1] == ' ' || p[n - 1] == 0))
		n--;
	memcpy(out, p, n);
	out[n] = 0;
}

static bool fits(const char *want, const unsigned char *p, size_t n)
{
	char have[65];

	unpad(p, n, have);
	return want[0] == 0 || strcmp(want, have) == 0;
}

static bool choose_token(struct hsm *h, struct err *e)
{
	CK_SLOT_ID slots[128];
	CK_ULONG n = COUNT_OF(slots);
	struct wanted w;
	unsigned found = 0;
	CK_RV rv;

	if (!parse_wanted(&w, h->token_name, e))
		return false;
	rv = h->f->C_GetSlotList(CK_TRUE, slots, &n);
	if (rv != CKR_OK)
		return ckr_fail(h, e, "C_GetSlotList", rv);
	for (CK_ULONG i = 0; i < n; i++) {
		CK_TOKEN_INFO t;

		if (h->f->C_GetTokenInfo(slots[i], &t) != CKR_OK || (t.flags & CKF_TOKEN_INITIALIZED) == 0 ||
		    !fits(w.token, t.label, sizeof t.label) || !fits(w.serial, t.serialNumber, sizeof t.serialNumber) ||
		    !fits(w.manufacturer, t.manufacturerID, sizeof t.manufacturerID) || !fits(w.model, t.model, sizeof t.model))
			continue;
		h->slot = slots[i];
		h->token = t;
		found++;
	}
	if (found == 0)
		return err_set(e, ERR_HSM, "no token '%s' in %s; is the HSM reachable, and hsm.token right?", h->token_name,
		               h->module);
	return found == 1 || err_set(e, ERR_CONFIG, "%u tokens fit '%s'; add its serial: pkcs11:token=…;serial=…", found,
	                             h->token_name);
}

/* --- The PIN: one attempt, then a latch that survives restarts until a person acts */

static void latch_path(const struct hsm *h, char *out, size_t size)
{
	snprintf(out, size, "%s/ca/pin-refused", h->dir);
}

static bool latched(struct hsm *h, struct err *e)
{
	char path[4096];

	latch_path(h, path, sizeof path);
	return access(path, F_OK) == 0 &&
	       !err_set(e, ERR_PIN, "the token refused the PIN before; it is not tried again (tokens lock after a few). "
	                            "Put the PIN right, then remove %s", path);
}

static bool refused(struct hsm *h, CK_RV rv, struct err *e)
{
	static const char why[] = "The token refused the PIN. Put it right, then remove this file.\n";
	char path[4096];
	struct err ignored;

	latch_path(h, path, sizeof path);
	if (!file_write_atomic(path, why, sizeof why - 1, 0600, &ignored))
		log_event(LOG_LEVEL_ERROR, "the PIN latch can't be written", "why", ignored.text, NULL);
	h->last_ckr = rv;
	return err_set(e, ERR_PIN, "the token refused the PIN (CKR_%s); it is not tried again. Put it right, then remove %s",
	               ckr_name(rv), path);
}

static bool is_pin_error(CK_RV rv)
{
	return rv == CKR_PIN_INCORRECT || rv == CKR_PIN_LOCKED || rv == CKR_PIN_INVALID || rv == CKR_PIN_LEN_RANGE ||
	       rv == CKR_PIN_EXPIRED || rv == CKR_USER_PIN_NOT_INITIALIZED;
}

bool login(struct hsm *h, struct err *e)
{
	char pin[256] = "";
	CK_RV rv;
	bool got;

	if (latched(h, e))
		return false;
	(void)!mlock(pin, sizeof pin);
	got = h->pin(h->pin_arg, pin, sizeof pin, e);
	rv = got ? h->f->C_Login(h->anchor, CKU_USER, (CK_UTF8CHAR *)pin, strlen(pin)) : CKR_CANCEL;
	mem_wipe(pin, sizeof pin);
	(void)munlock(pin, sizeof pin);
	if (!got)
		return false;
	if (is_pin_error(rv))
		return refused(h, rv, e);
	if (rv != CKR_OK && rv != CKR_USER_ALREADY_LOGGED_IN)
		return ckr_fail(h, e, "C_Login", rv);
	h->logged_in = true;
	return true;
}

static void set_sessions(struct hsm *h, unsigned asked)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned n = asked != 0 ? asked : h->embedded ? (unsigned)(cores > 0 ? cores : 1) : 16;

	if (h->token.ulMaxSessionCount != CK_UNAVAILABLE_INFORMATION && h->token.ulMaxSessionCount > 1 &&
	    n > h->token.ulMaxSessionCount - 1)
		n = (unsigned)h->token.ulMaxSessionCount - 1;
	h->sessions = n > HSM_SESSION_MAX ? HSM_SESSION_MAX : n;
}

static bool open_locked(struct hsm *h, const struct hsm_config *c, struct err *e)
{
	CK_RV rv;

	if ((h->embedded && (!hsm_embedded_configure(h->dir, e) || !softhsm_mend(h->dir, e))) || !module_load(h, e) ||
	    !choose_token(h, e))
		return false;
	set_sessions(h, c->sessions);
	rv = h->f->C_OpenSession(h->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &h->anchor);
	if (rv != CKR_OK)
		return ckr_fail(h, e, "C_OpenSession", rv);
	return login(h, e);
}

bool hsm_open(struct hsm **out, const struct hsm_config *c, struct err *e)
{
	AUTO_STRUCT(hsm) *h = mem_new(sizeof *h);
	AUTO_FD int lock = -1;
	char path[4096];

	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->free_one, NULL);
	h->dir = mem_text(c->dir);
	h->token_name = mem_text(c->token);
	h->timeout_ms = c->timeout_ms != 0 ? c->timeout_ms : 10000;
	h->pin = c->pin;
	h->pin_arg = c->pin_arg;
	h->embedded = strcmp(c->module, "embedded") == 0;
	h->generation = 1;
	if (h->embedded && !softhsm_module(path, sizeof path, e))
		return false;
	h->module = mem_text(h->embedded ? path : c->module);
	if (latched(h, e) || !init_lock(h->dir, &lock, e) || !open_locked(h, c, e))
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
	pthread_mutex_destroy(&h->lock);
	pthread_cond_destroy(&h->free_one);
	free(h->dir);
	free(h->module);
	free(h->token_name);
	free(h);
}

void hsm_stats(struct hsm *h, struct hsm_stats *out)
{
	*out = (struct hsm_stats){ 0 };
	pthread_mutex_lock(&h->lock);
	snprintf(out->module, sizeof out->module, "%.63s", strrchr(h->module, '/') != NULL ? strrchr(h->module, '/') + 1 : h->module);
	unpad(h->token.label, sizeof h->token.label, out->token);
	unpad(h->token.serialNumber, sizeof h->token.serialNumber, out->serial);
	unpad(h->token.model, sizeof h->token.model, out->model);
	unpad(h->token.manufacturerID, sizeof h->token.manufacturerID, out->manufacturer);
	out->sessions = h->sessions;
	out->in_use = h->open_n - h->idle_n;
	out->signatures = h->signatures;
	out->failures = h->failures;
	out->reopened = h->reopened;
	out->last_ckr = h->last_ckr;
	out->logged_in = h->logged_in;
	pthread_mutex_unlock(&h->lock);
}

bool hsm_health(struct hsm *h, struct err *e)
{
	CK_SESSION_INFO info;
	CK_RV rv;

	pthread_mutex_lock(&h->lock);
	rv = h->f->C_GetSessionInfo(h->anchor, &info);
	pthread_mutex_unlock(&h->lock);
	if (rv != CKR_OK)
		return ckr_fail(h, e, "C_GetSessionInfo", rv);
	return info.state == CKS_RW_USER_FUNCTIONS || info.state == CKS_RO_USER_FUNCTIONS ||
	       err_set(e, ERR_HSM, "HSM: not logged in");
}
