/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/shim/p11_shim.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static CK_FUNCTION_LIST *real;
static CK_FUNCTION_LIST list;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct fault {
	unsigned skip, times, calls, ms;
	CK_RV rv;
} faults[SHIM_CALLS];
static const char *const names[SHIM_CALLS] = {
	"initialize", "finalize", "open", "close", "login", "sign_init", "sign", "session_info", "token_info", "mechanism_info",
	"generate", "destroy",
};
static CK_FLAGS token_flags;
static CK_FLAGS init_flags;
static bool raw_points, reverse_slots, not_local;
static CK_ULONG sessions_max;
static unsigned flips;

void shim_fail(enum shim_call call, unsigned skip, unsigned times, CK_RV rv)
{
	pthread_mutex_lock(&lock);
	faults[call].skip = skip;
	faults[call].times = times;
	faults[call].rv = rv;
	faults[call].ms = 0;
	pthread_mutex_unlock(&lock);
}

unsigned shim_calls(enum shim_call call)
{
	unsigned n;

	pthread_mutex_lock(&lock);
	n = faults[call].calls;
	pthread_mutex_unlock(&lock);
	return n;
}

void shim_reset(void)
{
	pthread_mutex_lock(&lock);
	memset(faults, 0, sizeof faults);
	raw_points = reverse_slots = not_local = false;
	sessions_max = 0;
	flips = 0;
	token_flags = 0;
	pthread_mutex_unlock(&lock);
}

void shim_flip(unsigned times)
{
	pthread_mutex_lock(&lock);
	flips = times;
	pthread_mutex_unlock(&lock);
}

CK_FLAGS shim_init_flags(void)
{
	return init_flags;
}

void shim_raw_points(bool on)
{
	raw_points = on;
}

void shim_reverse_slots(bool on)
{
	reverse_slots = on;
}

void shim_not_local(bool on)
{
	not_local = on;
}

void shim_sessions(CK_ULONG max)
{
	sessions_max = max;
}

void shim_flags(CK_FLAGS more)
{
	token_flags = more;
}

static void take_rule(const char *name, unsigned skip, unsigned times, CK_RV rv, unsigned ms)
{
	for (int i = 0; i < SHIM_CALLS; i++)
		if (strcmp(names[i], name) == 0)
			faults[i] = (struct fault){ .skip = skip, .times = times, .rv = rv, .ms = ms };
	if (strcmp(name, "flip") == 0)
		flips = times;
	if (strcmp(name, "not_local") == 0)
		not_local = rv != 0;
	if (strcmp(name, "flags") == 0)
		token_flags = rv;
}

/* With the lock held. */
static void read_rules(void)
{
	static struct stat was;
	const char *dir = getenv("P11_SHIM_DIR");
	char path[4096], name[32];
	unsigned skip, times, ms;
	unsigned long rv;
	struct stat st;
	FILE *f;

	if (dir == NULL || snprintf(path, sizeof path, "%s/rules", dir) >= (int)sizeof path || stat(path, &st) != 0 ||
	    (st.st_ino == was.st_ino && st.st_mtim.tv_sec == was.st_mtim.tv_sec && st.st_mtim.tv_nsec == was.st_mtim.tv_nsec))
		return;
	was = st;
	memset(faults, 0, sizeof faults);
	flips = 0;
	not_local = false;
	token_flags = 0;
	if ((f = fopen(path, "re")) == NULL)
		return;
	while (fscanf(f, "%31s %u %u %li %u", name, &skip, &times, (long *)&rv, &ms) == 5)
		take_rule(name, skip, times, rv, ms);
	fclose(f);
}

static void count_login(void)
{
	const char *dir = getenv("P11_SHIM_DIR");
	char path[4096];
	FILE *f = NULL;

	if (dir != NULL && snprintf(path, sizeof path, "%s/logins", dir) < (int)sizeof path)
		f = fopen(path, "ae");
	if (f != NULL) {
		fputs("login\n", f);
		fclose(f);
	}
}

static CK_RV enter(enum shim_call call)
{
	struct fault *f = &faults[call];
	CK_RV rv = CKR_OK;
	unsigned ms = 0;

	pthread_mutex_lock(&lock);
	read_rules();
	f->calls++;
	if (f->skip != 0) {
		f->skip--;
	} else if (f->times != 0) {
		f->times--;
		rv = f->rv;
		ms = f->ms;
	}
	if (call == SHIM_LOGIN)
		count_login();
	pthread_mutex_unlock(&lock);
	if (ms != 0)
		nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000L }, NULL);
	return rv;
}

static CK_RV initialize(void *args)
{
	CK_RV rv = enter(SHIM_INITIALIZE);

	init_flags = args != NULL ? ((CK_C_INITIALIZE_ARGS *)args)->flags : ~0UL;
	return rv != CKR_OK ? rv : real->C_Initialize(args);
}

static CK_RV finalize(void *reserved)
{
	CK_RV rv = enter(SHIM_FINALIZE);

	return rv != CKR_OK ? rv : real->C_Finalize(reserved);
}

static CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, void *app, CK_NOTIFY notify, CK_SESSION_HANDLE *out)
{
	CK_RV rv = enter(SHIM_OPEN);

	return rv != CKR_OK ? rv : real->C_OpenSession(slot, flags, app, notify, out);
}

static CK_RV close_session(CK_SESSION_HANDLE s)
{
	CK_RV rv = enter(SHIM_CLOSE);

	return rv != CKR_OK ? rv : real->C_CloseSession(s);
}

static CK_RV login(CK_SESSION_HANDLE s, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG n)
{
	CK_RV rv = enter(SHIM_LOGIN);

	return rv != CKR_OK ? rv : real->C_Login(s, user, pin, n);
}

static CK_RV sign_init(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
	CK_RV rv = enter(SHIM_SIGN_INIT), did = real->C_SignInit(s, m, key);

	return rv != CKR_OK ? rv : did;
}

static CK_RV sign(CK_SESSION_HANDLE s, CK_BYTE *in, CK_ULONG in_n, CK_BYTE *out, CK_ULONG *n)
{
	CK_RV rv = enter(SHIM_SIGN);

	rv = rv != CKR_OK ? rv : real->C_Sign(s, in, in_n, out, n);
	pthread_mutex_lock(&lock);
	if (rv == CKR_OK && out != NULL && flips != 0) {
		flips--;
		out[*n / 2] ^= 0x10;
	}
	pthread_mutex_unlock(&lock);
	return rv;
}

static CK_RV session_info(CK_SESSION_HANDLE s, CK_SESSION_INFO *out)
{
	CK_RV rv = enter(SHIM_SESSION_INFO);

	return rv != CKR_OK ? rv : real->C_GetSessionInfo(s, out);
}

static CK_RV token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *out)
{
	CK_RV rv = enter(SHIM_TOKEN_INFO);

	rv = rv != CKR_OK ? rv : real->C_GetTokenInfo(slot, out);
	if (rv == CKR_OK && sessions_max != 0)
		out->ulMaxSessionCount = sessions_max;
	if (rv == CKR_OK)
		out->flags |= token_flags;
	return rv;
}

static CK_RV mechanism_info(CK_SLOT_ID slot, CK_MECHANISM_TYPE m, CK_MECHANISM_INFO *out)
{
	CK_RV rv = enter(SHIM_MECHANISM_INFO);

	return rv != CKR_OK ? rv : real->C_GetMechanismInfo(slot, m, out);
}

static CK_RV generate(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_ATTRIBUTE *a, CK_ULONG an, CK_ATTRIBUTE *b, CK_ULONG bn,
                      CK_OBJECT_HANDLE *pub, CK_OBJECT_HANDLE *priv)
{
	CK_RV rv = enter(SHIM_GENERATE);

	return rv != CKR_OK ? rv : real->C_GenerateKeyPair(s, m, a, an, b, bn, pub, priv);
}

static CK_RV destroy(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o)
{
	CK_RV rv = enter(SHIM_DESTROY);

	return rv != CKR_OK ? rv : real->C_DestroyObject(s, o);
}

static CK_RV get_attributes(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE *a, CK_ULONG n)
{
	CK_RV rv = real->C_GetAttributeValue(s, o, a, n);

	if (rv != CKR_OK || n != 1)
		return rv;
	if (raw_points && a->type == CKA_EC_POINT && a->pValue != NULL && a->ulValueLen > 2) {
		a->ulValueLen -= 2;
		memmove(a->pValue, (char *)a->pValue + 2, a->ulValueLen);
	}
	if (not_local && a->type == CKA_LOCAL && a->pValue != NULL)
		*(CK_BBOOL *)a->pValue = CK_FALSE;
	return rv;
}

static CK_RV slot_list(CK_BBOOL present, CK_SLOT_ID *out, CK_ULONG *n)
{
	CK_RV rv = real->C_GetSlotList(present, out, n);

	for (CK_ULONG i = 0; rv == CKR_OK && out != NULL && reverse_slots && i < *n / 2; i++) {
		CK_SLOT_ID t = out[i];

		out[i] = out[*n - 1 - i];
		out[*n - 1 - i] = t;
	}
	return rv;
}

CK_FUNCTION_LIST *shim_module(void)
{
	static const char *const places[] = { "/usr/lib/softhsm/libsofthsm2.so",
		                              "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
		                              "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so" };
	CK_RV (*get)(CK_FUNCTION_LIST **);
	void *library = NULL;

	for (size_t i = 0; real == NULL && library == NULL && i < sizeof places / sizeof places[0]; i++)
		library = dlopen(places[i], RTLD_NOW | RTLD_LOCAL);
	if (library != NULL) {
		*(void **)&get = dlsym(library, "C_GetFunctionList");
		if (get == NULL || get(&real) != CKR_OK)
			abort();
	}
	return real;
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **out)
{
	if (shim_module() == NULL)
		return CKR_GENERAL_ERROR;
	list = *real;
	list.C_GetFunctionList = C_GetFunctionList;
	list.C_Initialize = initialize;
	list.C_Finalize = finalize;
	list.C_OpenSession = open_session;
	list.C_CloseSession = close_session;
	list.C_Login = login;
	list.C_SignInit = sign_init;
	list.C_Sign = sign;
	list.C_GetSessionInfo = session_info;
	list.C_GetTokenInfo = token_info;
	list.C_GetMechanismInfo = mechanism_info;
	list.C_GenerateKeyPair = generate;
	list.C_DestroyObject = destroy;
	list.C_GetAttributeValue = get_attributes;
	list.C_GetSlotList = slot_list;
	*out = &list;
	return CKR_OK;
}
