/* SPDX-License-Identifier: Apache-2.0
 *
 * A token that takes BENCH_SIGN_US longer for every signature: linked into a ca of its own by --wrap=key_handle, which
 * hsm_sign calls with its session taken, right before C_SignInit. Never installed. */
#include "hsm/internal.h"

#include <stdlib.h>
#include <time.h>

bool __real_key_handle(struct hsm *h, CK_SESSION_HANDLE s, struct hsm_key *k, CK_OBJECT_HANDLE *out, struct err *e);
bool __wrap_key_handle(struct hsm *h, CK_SESSION_HANDLE s, struct hsm_key *k, CK_OBJECT_HANDLE *out, struct err *e);

bool __wrap_key_handle(struct hsm *h, CK_SESSION_HANDLE s, struct hsm_key *k, CK_OBJECT_HANDLE *out, struct err *e)
{
	const char *us = getenv("BENCH_SIGN_US");
	long n = us != NULL ? atol(us) : 0;
	struct timespec t = { n / 1000000, n % 1000000 * 1000 };

	if (n != 0)
		nanosleep(&t, NULL);
	return __real_key_handle(h, s, k, out, e);
}
