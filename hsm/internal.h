/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CADUCEUS_HSM_INTERNAL_H
#define CADUCEUS_HSM_INTERNAL_H

#include "hsm/hsm.h"

#include <p11-kit/pkcs11.h>
#include <pthread.h>
#include <stdatomic.h>

#ifndef CKM_EC_EDWARDS_KEY_PAIR_GEN
#define CKM_EC_EDWARDS_KEY_PAIR_GEN 0x1055UL
#endif
#ifndef CKM_EDDSA
#define CKM_EDDSA 0x1057UL
#endif
#ifndef CKK_EC_EDWARDS
#define CKK_EC_EDWARDS 0x40UL
#endif
#ifndef CKA_COPYABLE
#define CKA_COPYABLE 0x171UL
#endif
#ifndef CKA_ALLOWED_MECHANISMS
#define CKA_ALLOWED_MECHANISMS 0x40000600UL
#endif

enum { HSM_SESSION_MAX = 64, HSM_PIN_MAX = 256 };

struct hsm {
	void *library;
	CK_FUNCTION_LIST *f;
	bool embedded;
	int lock_fd;
	char *dir, *module, *token_name, *pin_mark;
	unsigned timeout_ms;
	bool (*ask_pin)(void *arg, char *out, size_t cap, struct err *e);
	void *pin_arg;
	char *pin; /* a page of its own: locked, in no core file, HSM_PIN_MAX used; wiped when refused and at the end */

	/* Written while nobody signs: at open and by the one thread that recovers. */
	CK_SLOT_ID slot;
	CK_TOKEN_INFO token;
	CK_SESSION_HANDLE anchor; /* never used for signing: keeps the login alive */

	pthread_mutex_t lock;     /* guards all that follows; never held while the token is asked */
	pthread_cond_t changed;
	CK_SESSION_HANDLE idle[HSM_SESSION_MAX];
	unsigned sessions, idle_n, open_n;
	unsigned guests;          /* who asks the token without a session of the pool */
	bool recovering;
	unsigned in_a_row;        /* failures since the last success */
	int64_t not_before;       /* mono us: no attempt to recover before */
	int64_t pause;
	uint64_t generation;      /* rises when handles have become void */
	uint64_t signatures, failures, reopened;

	atomic_ulong last_ckr;
	atomic_bool logged_in;
};

struct hsm_key {
	uint8_t id[HSM_ID_MAX];
	size_t id_n;
	enum hsm_alg alg;
	struct buf spki;
	pthread_mutex_t lock;
	CK_OBJECT_HANDLE handle;
	uint64_t generation;
};

/* module.c */
const char *ckr_name(CK_RV rv);
/* err_set with the PKCS#11 function and code. */
bool ckr_fail(struct hsm *h, struct err *e, const char *what, CK_RV rv);
struct hsm *hsm_blank(void); /* with lock and condition, nothing loaded */
MUST_USE bool module_load(struct hsm *h, struct err *e);
MUST_USE bool module_initialize(struct hsm *h, struct err *e);
/* The init lock is opened once, before the role's sandbox closes, and taken around every initialisation and login. */
MUST_USE bool lock_open(const char *dir, int *fd, struct err *e);
MUST_USE bool lock_take(int fd, struct err *e);
void lock_drop(int fd);
/* C_Initialize or not, then slot, anchor session and login. Under the init lock. */
MUST_USE bool module_enter(struct hsm *h, bool initialize, struct err *e);

/* token.c */
MUST_USE bool token_choose(struct hsm *h, struct err *e);
MUST_USE bool token_login(struct hsm *h, struct err *e);
/* False when the PIN was refused before and nothing has changed since. */
MUST_USE bool token_unlatched(struct hsm *h, struct err *e);
MUST_USE bool pin_page_new(struct hsm *h, struct err *e);
void pin_page_free(struct hsm *h);
void unpad(const unsigned char *p, size_t n, char *out);

/* session.c */
/* *generation (may be NULL): what h->generation was. */
MUST_USE bool session_take(struct hsm *h, CK_SESSION_HANDLE *out, uint64_t *generation, struct err *e);
void session_give(struct hsm *h, CK_SESSION_HANDLE s, bool sound);
/* Asks the token whether it is there and we are logged in. */
MUST_USE bool session_there(struct hsm *h, struct err *e);
/* Sessions, login and handles anew, unless another thread did that since `seen`. deep: C_Finalize first. */
MUST_USE bool session_recover(struct hsm *h, uint64_t seen, bool deep, struct err *e);
/* Recovers when the token is not there. */
MUST_USE bool session_ensure(struct hsm *h, struct err *e);

/* key.c */
MUST_USE bool key_handle(struct hsm *h, CK_SESSION_HANDLE s, struct hsm_key *k, CK_OBJECT_HANDLE *out, struct err *e);
void key_forget(struct hsm_key *k); /* its handle: found again at the next use */
MUST_USE bool mechanism_there(struct hsm *h, CK_MECHANISM_TYPE m, CK_FLAGS want, const char *what, struct err *e);

/* sign.c */
CK_MECHANISM_TYPE sign_mechanism(enum hsm_alg a);

/* softhsm.c */
MUST_USE bool softhsm_module(char *out, size_t size, struct err *e);
/* Puts token.object back from its copy when a kill inside C_Login left it short. Under the init lock. */
MUST_USE bool softhsm_mend(const char *dir, struct err *e);
MUST_USE bool softhsm_copy(const char *dir, struct err *e);
/* SoftHSM writes a new object without fsync: makes its files and their folder durable. */
MUST_USE bool softhsm_sync(const char *dir, struct err *e);

#endif
