/* SPDX-License-Identifier: Apache-2.0 */
#include "acme/nonce.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/cursor.h"
#include "base/text.h"
#include "pkix/key.h"

#include <stdatomic.h>
#include <string.h>

enum { MAC = 16, BLOCK = 64, SEALED = 8 + 8 };

struct nonces {
	uint8_t inner[BLOCK], outer[BLOCK]; /* RFC 2104's K XOR ipad, K XOR opad */
	_Atomic uint64_t made;              /* the newest's number; the first has 1 */
	uint32_t window;
	_Atomic uint64_t used[];            /* bits */
};

struct nonces *nonces_new(rnd_fill *rnd, uint32_t window)
{
	struct nonces *n = mem_new(sizeof *n + window / 8);
	uint8_t key[32];

	n->window = window;
	rnd(key, sizeof key);
	memset(n->inner, 0x36, BLOCK);
	memset(n->outer, 0x5c, BLOCK);
	for (size_t i = 0; i < sizeof key; i++) {
		n->inner[i] ^= key[i];
		n->outer[i] ^= key[i];
	}
	mem_wipe(key, sizeof key);
	return n;
}

void nonces_free(struct nonces *n)
{
	if (n == NULL)
		return;
	mem_wipe(n->inner, sizeof n->inner);
	mem_wipe(n->outer, sizeof n->outer);
	free(n);
}

/* HMAC-SHA-256, cut to 128 bits. */
static void seal(const struct nonces *n, const uint8_t what[SEALED], uint8_t out[MAC])
{
	uint8_t first[BLOCK + SEALED], second[BLOCK + 32], full[32];

	memcpy(first, n->inner, BLOCK);
	memcpy(first + BLOCK, what, SEALED);
	memcpy(second, n->outer, BLOCK);
	digest_sha256(second + BLOCK, first, sizeof first);
	digest_sha256(full, second, sizeof second);
	memcpy(out, full, MAC);
}

/* Sets or clears the bit of a number; what it was. */
static bool mark(struct nonces *n, uint64_t number, bool used)
{
	_Atomic uint64_t *word = &n->used[number % n->window / 64];
	uint64_t bit = UINT64_C(1) << number % 64;

	return ((used ? atomic_fetch_or(word, bit) : atomic_fetch_and(word, ~bit)) & bit) != 0;
}

static bool in_window(struct nonces *n, uint64_t number)
{
	uint64_t made = atomic_load(&n->made);

	return number != 0 && number <= made && made - number < n->window;
}

void nonce_make(struct nonces *n, int64_t mono, char out[NONCE_TEXT])
{
	uint64_t number = atomic_fetch_add(&n->made, 1) + 1;
	AUTO_BUF raw = { 0 };
	AUTO_BUF text = { 0 };
	uint8_t mac[MAC];

	/* Only now, with the one whose bit it was out of the window. */
	mark(n, number, false);
	wr_u64(&raw, number);
	wr_i64(&raw, mono);
	seal(n, raw.p, mac);
	buf_add(&raw, mac, MAC);
	b64url_put(&text, raw.p, raw.n);
	memcpy(out, buf_str(&text), NONCE_TEXT);
}

bool nonce_take(struct nonces *n, const char *text, int64_t mono)
{
	AUTO_BUF raw = { 0 };
	uint8_t mac[MAC];
	struct rd r;
	uint64_t number;
	int64_t when;

	if (strlen(text) != NONCE_TEXT - 1 || !b64url_get(&raw, text, NONCE_TEXT - 1) || raw.n != SEALED + MAC)
		return false;
	seal(n, raw.p, mac);
	if (!text_equal_const_time(mac, raw.p + SEALED, MAC))
		return false;
	r = rd_of(raw.p, SEALED);
	number = rd_u64(&r);
	when = rd_i64(&r);
	if (when > mono || mono - when > US_PER_HOUR || !in_window(n, number))
		return false;
	/* The window may have moved on, and the bit be another's: only who still stands in it afterwards has set his own. */
	return !mark(n, number, true) && in_window(n, number);
}
