/* SPDX-License-Identifier: Apache-2.0
 *
 * A PKCS#11 module for tests: SoftHSM 2 with faults on demand. Load it as "libp11_shim.so". One thread sets faults
 * while no other one uses the module. */
#ifndef CADUCEUS_TESTS_SHIM_P11_SHIM_H
#define CADUCEUS_TESTS_SHIM_P11_SHIM_H

#include <p11-kit/pkcs11.h>
#include <stdbool.h>

enum shim_call {
	SHIM_INITIALIZE, SHIM_FINALIZE, SHIM_OPEN, SHIM_CLOSE, SHIM_LOGIN, SHIM_SIGN_INIT, SHIM_SIGN, SHIM_SESSION_INFO,
	SHIM_TOKEN_INFO, SHIM_MECHANISM_INFO, SHIM_GENERATE, SHIM_DESTROY, SHIM_CALLS
};

/* After `skip` calls, the next `times` calls return rv; the module is not asked, but for SHIM_SIGN_INIT it is: the
 * operation stays active, as in a module that fails late. */
void shim_fail(enum shim_call call, unsigned skip, unsigned times, CK_RV rv);
void shim_flip(unsigned times); /* one bit of the next signatures is wrong */
unsigned shim_calls(enum shim_call call); /* since shim_reset */
void shim_reset(void);
CK_FLAGS shim_init_flags(void); /* of the last C_Initialize; ~0 when it had no arguments */
CK_FUNCTION_LIST *shim_module(void); /* SoftHSM itself */

/* Without a test linked to it, as the HSM of a running service: P11_SHIM_DIR names a folder whose file `rules` holds lines
 * "NAME skip times rv ms", read again whenever the file is another one: after `skip` calls, the next `times` calls wait ms
 * milliseconds and then return rv (0: what the token says). NAME: a call's (login, sign, …), or flip, not_local (rv 1),
 * flags (rv: added to the token's). Each C_Login is a line in the file `logins` there. */

/* Quirks, off after shim_reset. */
void shim_raw_points(bool on);     /* CKA_EC_POINT without its OCTET STRING */
void shim_reverse_slots(bool on);
void shim_not_local(bool on);      /* CKA_LOCAL is false */
void shim_sessions(CK_ULONG max);  /* ulMaxSessionCount */
void shim_flags(CK_FLAGS more);    /* the token has these, too */

#endif
