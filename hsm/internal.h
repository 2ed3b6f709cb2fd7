/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CADUCEUS_HSM_INTERNAL_H
#define CADUCEUS_HSM_INTERNAL_H

#include "hsm/hsm.h"

#include <p11-kit/pkcs11.h>
#include <pthread.h>

enum { HSM_SESSION_MAX = 64, HSM_KEY_CACHE = 64 };

struct hsm {
	void *library;
	CK_FUNCTION_LIST *f;
	bool embedded, logged_in;
	char *dir, *module, *token_name;
	unsigned timeout_ms;
	bool (*pin)(void *arg, char *out, size_t cap, struct err *e);
	void *pin_arg;

	pthread_mutex_t lock;
	pthread_cond_t free_one;
	CK_SLOT_ID slot;
	CK_TOKEN_INFO token;
	CK_SESSION_HANDLE anchor;   /* never used for signing: keeps the login alive */
	CK_SESSION_HANDLE idle[HSM_SESSION_MAX];
	unsigned sessions, idle_n, open_n;
	uint64_t generation;        /* rises when handles have become void */
	uint64_t signatures, failures, reopened;
	unsigned long last_ckr;
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

const char *ckr_name(CK_RV rv);
/* err_set with the PKCS#11 function and code. */
bool ckr_fail(struct hsm *h, struct err *e, const char *what, CK_RV rv);

/* softhsm.c */
MUST_USE bool softhsm_module(char *out, size_t size, struct err *e);
/* Puts token.object back from its copy when a kill inside C_Login left it short. Under the init lock. */
MUST_USE bool softhsm_mend(const char *dir, struct err *e);
MUST_USE bool softhsm_copy(const char *dir, struct err *e);

/* module.c */
MUST_USE bool module_load(struct hsm *h, struct err *e);
MUST_USE bool init_lock(const char *dir, int *fd, struct err *e); /* flock, released by close */

/* session.c */
MUST_USE bool session_take(struct hsm *h, CK_SESSION_HANDLE *out, struct err *e);
void session_give(struct hsm *h, CK_SESSION_HANDLE s, bool sound);
/* Everything anew after a loss: sessions, login, handles. */
MUST_USE bool session_recover(struct hsm *h, uint64_t seen, struct err *e);
MUST_USE bool login(struct hsm *h, struct err *e);

/* key.c */
MUST_USE bool key_handle(struct hsm *h, CK_SESSION_HANDLE s, struct hsm_key *k, CK_OBJECT_HANDLE *out, struct err *e);

#endif
