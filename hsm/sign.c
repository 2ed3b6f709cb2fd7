/* SPDX-License-Identifier: Apache-2.0 */
#include "hsm/internal.h"

#include "base/der.h"

#include <string.h>

enum { MESSAGE_MAX = 1 << 20 };

/* RFC 8017, 9.2, note 1: DigestInfo in front of the digest. */
static const uint8_t info_sha256[] = { 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20 };
static const uint8_t info_sha384[] = { 0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0x04, 0x30 };
static const uint8_t info_sha512[] = { 0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40 };

static bool is_rsa(enum hsm_alg a)
{
	return a == HSM_RSA2048 || a == HSM_RSA3072 || a == HSM_RSA4096;
}

CK_MECHANISM_TYPE sign_mechanism(enum hsm_alg a)
{
	return a == HSM_ED25519 ? CKM_EDDSA : is_rsa(a) ? CKM_RSA_PKCS : CKM_ECDSA;
}

/* What the mechanism signs: the digest, DigestInfo, or the message. */
static bool prepare(enum hsm_alg a, struct span input, struct buf *out, struct err *e)
{
	if (a == HSM_ED25519) {
		if (input.n > MESSAGE_MAX)
			return err_set(e, ERR_TOO_LARGE, "%zu octets to be signed, limit %d", input.n, MESSAGE_MAX);
		buf_add(out, input.p, input.n);
		return true;
	}
	if (input.n != 32 && input.n != 48 && input.n != 64)
		return err_set(e, ERR_INTERNAL, "digest of %zu octets: SHA-256, 384 or 512 is signed", input.n);
	if (is_rsa(a))
		buf_add(out, input.n == 32 ? info_sha256 : input.n == 48 ? info_sha384 : info_sha512, sizeof info_sha256);
	buf_add(out, input.p, input.n);
	return true;
}

/* HSM-10: what a new session, login or search may heal. */
static bool healable(CK_RV rv)
{
	switch (rv) {
	case CKR_SESSION_HANDLE_INVALID:
	case CKR_SESSION_CLOSED:
	case CKR_DEVICE_REMOVED:
	case CKR_DEVICE_ERROR:
	case CKR_TOKEN_NOT_PRESENT:
	case CKR_USER_NOT_LOGGED_IN:
	case CKR_CRYPTOKI_NOT_INITIALIZED:
	case CKR_OBJECT_HANDLE_INVALID:
	case CKR_KEY_HANDLE_INVALID:
	case CKR_GENERAL_ERROR:
	case CKR_FUNCTION_FAILED:
		return true;
	default:
		return false;
	}
}

static bool to_der(enum hsm_alg a, const uint8_t *raw, size_t n, uint8_t out[HSM_SIG_MAX], size_t *out_n, struct err *e)
{
	AUTO_BUF der = { 0 };
	size_t mark;

	if (a != HSM_P256 && a != HSM_P384) {
		memcpy(out, raw, n);
		*out_n = n;
		return true;
	}
	if (n != (a == HSM_P256 ? 64 : 96))
		return err_set(e, ERR_HSM, "HSM: an ECDSA signature of %zu octets", n);
	mark = der_begin(&der, DER_SEQUENCE);
	der_put_unsigned(&der, raw, n / 2);
	der_put_unsigned(&der, raw + n / 2, n / 2);
	der_end(&der, mark);
	memcpy(out, der.p, der.n);
	*out_n = der.n;
	return true;
}

/* One attempt, in one session. *e is set when the key was not found; else the return value says all. */
static CK_RV sign_once(struct hsm *h, struct hsm_key *k, CK_SESSION_HANDLE s, struct span in, uint8_t raw[HSM_SIG_MAX],
                       CK_ULONG *n, struct err *e)
{
	CK_MECHANISM m = { sign_mechanism(k->alg), NULL, 0 };
	CK_OBJECT_HANDLE handle;
	CK_RV rv;

	*n = HSM_SIG_MAX;
	if (!key_handle(h, s, k, &handle, e))
		return e->kind == ERR_NOT_FOUND ? CKR_KEY_HANDLE_INVALID : h->last_ckr;
	rv = h->f->C_SignInit(s, &m, handle);
	return rv != CKR_OK ? rv : h->f->C_Sign(s, (CK_BYTE *)in.p, in.n, raw, n);
}

/* How many failures stand in a row, this one included. */
static unsigned count(struct hsm *h, CK_RV rv)
{
	unsigned row;

	pthread_mutex_lock(&h->lock);
	if (rv == CKR_OK)
		h->signatures++;
	else
		h->failures++;
	row = h->in_a_row = rv == CKR_OK ? 0 : h->in_a_row + 1;
	pthread_mutex_unlock(&h->lock);
	if (rv != CKR_OK)
		h->last_ckr = rv;
	return row;
}

/* The ladder: another session while the token answers; sessions and login anew; the module anew. A key that is gone
 * from a token that answers is lost: nothing is opened again for it. */
static bool heal(struct hsm *h, struct hsm_key *k, CK_RV rv, uint64_t generation, unsigned row, struct err *e)
{
	struct err why;

	if (session_there(h, &why)) {
		if (e->kind == ERR_NOT_FOUND)
			return false;
		if (row < 3) {
			key_forget(k);
			return true;
		}
	} else if (why.kind == ERR_BUSY) {
		return true;
	}
	return session_recover(h, generation, row >= 5 || rv == CKR_CRYPTOKI_NOT_INITIALIZED, e);
}

/* What may be over in a moment says so: whoever waits tries later. */
static bool passing(CK_RV rv, struct err *e)
{
	if (e->kind == ERR_HSM && e->retry_after == 0 && healable(rv))
		e->retry_after = 1;
	return false;
}

bool hsm_sign(struct hsm *h, struct hsm_key *k, struct span input, uint8_t out[HSM_SIG_MAX], size_t *n, struct err *e)
{
	AUTO_BUF in = { 0 };
	uint8_t raw[HSM_SIG_MAX];
	CK_SESSION_HANDLE s;
	CK_ULONG raw_n;
	uint64_t generation = 0;
	struct err local;

	if (e == NULL)
		e = &local;
	if (!prepare(k->alg, input, &in, e))
		return false;
	/* A signature has no state in the token: it may be tried again, once. */
	for (int attempt = 0;; attempt++) {
		CK_RV rv;
		unsigned row;
		bool got;

		*e = (struct err){ 0 };
		got = session_take(h, &s, &generation, e);
		if (!got && e->kind == ERR_BUSY)
			return false;
		rv = got ? sign_once(h, k, s, span_of(&in), raw, &raw_n, e) : h->last_ckr;
		if (got)
			session_give(h, s, rv == CKR_OK);
		row = count(h, rv);
		if (rv == CKR_OK && got)
			return to_der(k->alg, raw, raw_n, out, n, e);
		if (attempt != 0 || (got && !healable(rv))) {
			if (e->kind == ERR_NONE)
				(void)ckr_fail(h, e, "C_Sign", rv);
			return passing(rv, e);
		}
		if (!heal(h, k, rv, generation, row, e))
			return passing(rv, e);
	}
}
