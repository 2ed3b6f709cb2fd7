/* SPDX-License-Identifier: Apache-2.0
 *
 * The pool: as many sessions as signatures at once, opened when first needed. A session that failed is closed, never
 * returned: an operation may be under way in it. */
#include "hsm/internal.h"

#include "base/log.h"

#include <errno.h>
#include <time.h>

static struct timespec deadline_in(unsigned ms)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += (long)(ms % 1000) * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

bool session_take(struct hsm *h, CK_SESSION_HANDLE *out, struct err *e)
{
	struct timespec until = deadline_in(h->timeout_ms);
	CK_RV rv;

	pthread_mutex_lock(&h->lock);
	while (h->idle_n == 0 && h->open_n >= h->sessions) {
		if (pthread_cond_timedwait(&h->free_one, &h->lock, &until) == ETIMEDOUT) {
			pthread_mutex_unlock(&h->lock);
			err_set(e, ERR_BUSY, "HSM: all %u sessions are busy", h->sessions);
			return false;
		}
	}
	if (h->idle_n != 0) {
		*out = h->idle[--h->idle_n];
		pthread_mutex_unlock(&h->lock);
		return true;
	}
	rv = h->f->C_OpenSession(h->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, out);
	if (rv == CKR_OK)
		h->open_n++;
	pthread_mutex_unlock(&h->lock);
	return rv == CKR_OK || ckr_fail(h, e, "C_OpenSession", rv);
}

void session_give(struct hsm *h, CK_SESSION_HANDLE s, bool sound)
{
	pthread_mutex_lock(&h->lock);
	if (sound) {
		h->idle[h->idle_n++] = s;
	} else {
		(void)h->f->C_CloseSession(s);
		h->open_n--;
	}
	pthread_cond_signal(&h->free_one);
	pthread_mutex_unlock(&h->lock);
}

/* C_Finalize voids every session, so those that others hold fail and come back unsound; they are counted out first. */
static bool start_over(struct hsm *h, struct err *e)
{
	CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK };
	AUTO_FD int lock = -1;
	CK_RV rv;

	if (!init_lock(h->dir, &lock, e))
		return false;
	(void)h->f->C_Finalize(NULL);
	if (h->embedded && !softhsm_mend(h->dir, e))
		return false;
	rv = h->f->C_Initialize(&args);
	if (rv != CKR_OK && rv != CKR_CRYPTOKI_ALREADY_INITIALIZED)
		return ckr_fail(h, e, "C_Initialize", rv);
	rv = h->f->C_OpenSession(h->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &h->anchor);
	if (rv != CKR_OK)
		return ckr_fail(h, e, "C_OpenSession", rv);
	return login(h, e);
}

bool session_recover(struct hsm *h, uint64_t seen, struct err *e)
{
	bool good = true;

	pthread_mutex_lock(&h->lock);
	/* Another thread may have done it already: then the handles are new. */
	if (h->generation == seen) {
		struct timespec until = deadline_in(h->timeout_ms);

		h->logged_in = false;
		for (; h->idle_n != 0; h->open_n--)
			(void)h->f->C_CloseSession(h->idle[--h->idle_n]);
		while (h->open_n > 0 && pthread_cond_timedwait(&h->free_one, &h->lock, &until) != ETIMEDOUT)
			for (; h->idle_n != 0; h->open_n--)
				(void)h->f->C_CloseSession(h->idle[--h->idle_n]);
		good = start_over(h, e);
		h->generation++;
		h->reopened++;
		log_event(LOG_LEVEL_WARN, good ? "token recovered" : "token not recovered", "why", good ? NULL : e->text,
		          NULL);
	}
	pthread_mutex_unlock(&h->lock);
	return good;
}
