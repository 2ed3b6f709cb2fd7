/* SPDX-License-Identifier: Apache-2.0
 *
 * The pool: as many sessions as signatures at once, opened when first needed. A session that failed is closed, never
 * returned: an operation may be under way in it. Recovery (HSM-10) is done by one thread while nobody uses the token:
 * first sessions and login anew, then C_Finalize and C_Initialize; between failed attempts it pauses 0.1 to 30 s. */
#include "hsm/internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <string.h>
#include <time.h>

enum { PAUSE_MIN_US = 100 * 1000, PAUSE_MAX_US = 30 * 1000 * 1000 };

static struct timespec deadline_in(unsigned ms)
{
	int64_t at = clock_mono() + (int64_t)ms * 1000;

	return (struct timespec){ .tv_sec = at / US_PER_SECOND, .tv_nsec = at % US_PER_SECOND * 1000 };
}

/* Waits under the lock for any change; false when the time is over. */
static bool wait_change(struct hsm *h, const struct timespec *until)
{
	return pthread_cond_timedwait(&h->changed, &h->lock, until) != ETIMEDOUT;
}

static bool busy(struct hsm *h, struct err *e)
{
	return err_set(e, ERR_BUSY, h->recovering ? "HSM: the token is being opened again" : "HSM: all %u sessions are busy",
	               h->sessions);
}

/* A session of the pool or the right to open one (*out 0). */
static bool claim(struct hsm *h, const struct timespec *until, CK_SESSION_HANDLE *out, uint64_t *generation, struct err *e)
{
	bool good = true;

	pthread_mutex_lock(&h->lock);
	while (good && (h->recovering || (h->idle_n == 0 && h->open_n >= h->sessions)))
		good = wait_change(h, until) || busy(h, e);
	if (good) {
		*out = h->idle_n != 0 ? h->idle[--h->idle_n] : CK_INVALID_HANDLE;
		h->open_n += *out == CK_INVALID_HANDLE;
		if (generation != NULL)
			*generation = h->generation;
	}
	pthread_mutex_unlock(&h->lock);
	return good;
}

/* The token has fewer sessions than we thought: with those that we have it goes on. */
static bool fewer(struct hsm *h)
{
	bool some;

	pthread_mutex_lock(&h->lock);
	some = --h->open_n != 0;
	if (some)
		h->sessions = h->open_n;
	pthread_cond_broadcast(&h->changed);
	pthread_mutex_unlock(&h->lock);
	return some;
}

static void unclaim(struct hsm *h)
{
	pthread_mutex_lock(&h->lock);
	h->open_n--;
	pthread_cond_broadcast(&h->changed);
	pthread_mutex_unlock(&h->lock);
}

bool session_take(struct hsm *h, CK_SESSION_HANDLE *out, uint64_t *generation, struct err *e)
{
	struct timespec until = deadline_in(h->timeout_ms);

	for (;;) {
		CK_RV rv;

		if (!claim(h, &until, out, generation, e))
			return false;
		if (*out != CK_INVALID_HANDLE)
			return true;
		rv = h->f->C_OpenSession(h->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, out);
		if (rv == CKR_OK)
			return true;
		if (rv == CKR_SESSION_COUNT) {
			if (fewer(h))
				continue;
		} else {
			unclaim(h);
		}
		return ckr_fail(h, e, "C_OpenSession", rv);
	}
}

void session_give(struct hsm *h, CK_SESSION_HANDLE s, bool sound)
{
	if (!sound)
		(void)h->f->C_CloseSession(s);
	pthread_mutex_lock(&h->lock);
	if (sound)
		h->idle[h->idle_n++] = s;
	else
		h->open_n--;
	pthread_cond_broadcast(&h->changed);
	pthread_mutex_unlock(&h->lock);
}

static bool ask(struct hsm *h, struct err *e)
{
	CK_SESSION_INFO info;
	CK_TOKEN_INFO token;
	CK_RV rv = h->f->C_GetSessionInfo(h->anchor, &info);

	if (rv != CKR_OK)
		return ckr_fail(h, e, "C_GetSessionInfo", rv);
	if (info.state != CKS_RW_USER_FUNCTIONS)
		return err_set(e, ERR_HSM, "HSM: not logged in");
	rv = h->f->C_GetTokenInfo(h->slot, &token);
	if (rv != CKR_OK)
		return ckr_fail(h, e, "C_GetTokenInfo", rv);
	return memcmp(token.serialNumber, h->token.serialNumber, sizeof token.serialNumber) == 0 ||
	       err_set(e, ERR_HSM, "HSM: another token is in the slot");
}

bool session_there(struct hsm *h, struct err *e)
{
	bool there;

	pthread_mutex_lock(&h->lock);
	if (h->recovering) {
		(void)busy(h, e);
		pthread_mutex_unlock(&h->lock);
		return false;
	}
	h->guests++;
	pthread_mutex_unlock(&h->lock);
	there = ask(h, e);
	pthread_mutex_lock(&h->lock);
	h->guests--;
	pthread_cond_broadcast(&h->changed);
	pthread_mutex_unlock(&h->lock);
	return there;
}

/* By the recovering thread, while no other one uses the module. */
static bool rebuild(struct hsm *h, bool deep, struct err *e)
{
	bool good = false;

	h->logged_in = false;
	for (; h->idle_n != 0; h->idle_n--)
		(void)h->f->C_CloseSession(h->idle[h->idle_n - 1]);
	(void)h->f->C_CloseSession(h->anchor);
	if (!lock_take(h->lock_fd, e))
		return false;
	if (!deep)
		good = module_enter(h, false, e);
	if (!good && h->pin[0] != 0) {
		(void)h->f->C_Finalize(NULL);
		good = module_enter(h, true, e);
	}
	lock_drop(h->lock_fd);
	return good;
}

/* True: this thread is to recover, alone. False with ERR_NONE: it has been done meanwhile. */
static bool enter_recovery(struct hsm *h, uint64_t seen, struct err *e)
{
	struct timespec until = deadline_in(h->timeout_ms);

	*e = (struct err){ 0 };
	while (h->recovering)
		if (!wait_change(h, &until))
			return busy(h, e);
	if (h->generation != seen)
		return false;
	if (h->pin[0] == 0)
		return err_set(e, ERR_PIN, "the token refused the PIN; it is not tried again. Put it right, then restart");
	if (clock_mono() < h->not_before) {
		err_set(e, ERR_HSM, "HSM: the token can't be reached (CKR_%s); the next attempt comes by itself",
		        ckr_name(h->last_ckr));
		e->retry_after = (int)((h->not_before - clock_mono()) / US_PER_SECOND) + 1;
		return false;
	}
	h->recovering = true;
	while (h->open_n > h->idle_n || h->guests != 0) {
		if (wait_change(h, &until))
			continue;
		h->recovering = false;
		pthread_cond_broadcast(&h->changed);
		return err_set(e, ERR_BUSY, "HSM: a call to the token hangs");
	}
	return true;
}

static void leave_recovery(struct hsm *h, bool good)
{
	h->open_n = 0;
	h->idle_n = 0;
	h->generation++;
	h->reopened += good;
	h->in_a_row = 0;
	h->pause = good ? 0 : h->pause == 0 ? PAUSE_MIN_US : h->pause * 2 > PAUSE_MAX_US ? PAUSE_MAX_US : h->pause * 2;
	h->not_before = clock_mono() + h->pause;
	h->recovering = false;
	pthread_cond_broadcast(&h->changed);
}

bool session_recover(struct hsm *h, uint64_t seen, bool deep, struct err *e)
{
	struct err why;
	bool good;

	pthread_mutex_lock(&h->lock);
	if (!enter_recovery(h, seen, &why)) {
		pthread_mutex_unlock(&h->lock);
		if (why.kind != ERR_NONE && e != NULL)
			*e = why;
		return why.kind == ERR_NONE;
	}
	pthread_mutex_unlock(&h->lock);
	good = rebuild(h, deep, &why);
	pthread_mutex_lock(&h->lock);
	leave_recovery(h, good);
	pthread_mutex_unlock(&h->lock);
	log_event(good ? LOG_LEVEL_WARN : LOG_LEVEL_ERROR, good ? "token opened again" : "token can't be opened again", "why",
	          good ? NULL : why.text, NULL);
	if (!good && e != NULL)
		*e = why;
	return good;
}

bool session_ensure(struct hsm *h, struct err *e)
{
	uint64_t seen;

	pthread_mutex_lock(&h->lock);
	seen = h->generation;
	pthread_mutex_unlock(&h->lock);
	/* While another thread recovers, session_take waits for it. */
	if (session_there(h, e) || (e != NULL && e->kind == ERR_BUSY))
		return true;
	return session_recover(h, seen, false, e);
}

bool hsm_recover(struct hsm *h, struct err *e)
{
	uint64_t seen;

	pthread_mutex_lock(&h->lock);
	seen = h->generation;
	pthread_mutex_unlock(&h->lock);
	return session_there(h, e) || session_recover(h, seen, false, e);
}
