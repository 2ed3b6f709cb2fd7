/* SPDX-License-Identifier: Apache-2.0
 *
 * A token in memory, so that ca as a whole is fast enough to be fuzzed. Keys are made by a number, the same ones in
 * every run; nothing else of a token's life is played. */
#ifndef CADUCEUS_TESTS_FUZZ_FAKE_HSM_H
#define CADUCEUS_TESTS_FUZZ_FAKE_HSM_H

#include "hsm/hsm.h"
#include "pkix/key.h"

#include <openssl/x509.h>
#include <string.h>

enum { FAKE_KEYS = 64 };
struct hsm {
	int unused;
};
struct hsm_key {
	uint8_t id[16];
	enum hsm_alg alg;
	EVP_PKEY *key;
	struct buf spki;
};
static struct hsm fake_token;
static struct hsm_key fake_keys[FAKE_KEYS];
static size_t fake_n;

AUTO_DEFINE(EVP_PKEY_CTX, EVP_PKEY_CTX_free)

static const struct {
	enum hsm_alg alg;
	const char *name;
} fake_algs[] = { { HSM_P256, "ecdsa-p256" }, { HSM_P384, "ecdsa-p384" }, { HSM_RSA2048, "rsa-2048" }, { HSM_RSA3072, "rsa-3072" },
	          { HSM_RSA4096, "rsa-4096" }, { HSM_ED25519, "ed25519" } };

bool hsm_alg_parse(const char *name, enum hsm_alg *out)
{
	for (size_t i = 0; i < COUNT_OF(fake_algs); i++)
		if (strcmp(fake_algs[i].name, name) == 0) {
			*out = fake_algs[i].alg;
			return true;
		}
	return false;
}

const char *hsm_alg_name(enum hsm_alg a)
{
	for (size_t i = 0; i < COUNT_OF(fake_algs); i++)
		if (fake_algs[i].alg == a)
			return fake_algs[i].name;
	return "?";
}

bool hsm_key_generate(struct hsm *h, enum hsm_alg alg, const char *label, uint8_t id[HSM_ID_MAX], size_t *id_n, struct err *e)
{
	struct hsm_key *k = &fake_keys[fake_n];
	int n;
	uint8_t *p;

	(void)h;
	(void)label;
	if (fake_n == FAKE_KEYS || (alg != HSM_P256 && alg != HSM_P384 && alg != HSM_ED25519))
		return err_set(e, ERR_HSM, "full"); /* RSA keys take seconds to make */
	k->key = alg == HSM_ED25519 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") : EVP_EC_gen(alg == HSM_P256 ? "P-256" : "P-384");
	k->alg = alg;
	memset(k->id, (int)fake_n + 1, sizeof k->id);
	n = i2d_PUBKEY(k->key, NULL);
	buf_reserve(&k->spki, (size_t)n);
	p = k->spki.p;
	k->spki.n = (size_t)i2d_PUBKEY(k->key, &p);
	memcpy(id, k->id, sizeof k->id);
	*id_n = sizeof k->id;
	fake_n++;
	return true;
}

bool hsm_key_find(struct hsm *h, struct span id, struct hsm_key **out, struct err *e)
{
	(void)h;
	for (size_t i = 0; i < fake_n; i++)
		if (id.n == sizeof fake_keys[i].id && memcmp(id.p, fake_keys[i].id, id.n) == 0) {
			*out = &fake_keys[i];
			return true;
		}
	return err_set(e, ERR_NOT_FOUND, "no such key");
}

void hsm_key_free(struct hsm_key *k)
{
	(void)k;
}

enum hsm_alg hsm_key_alg(const struct hsm_key *k)
{
	return k->alg;
}

struct span hsm_key_spki(const struct hsm_key *k)
{
	return span_of(&k->spki);
}

bool hsm_key_destroy(struct hsm *h, struct span id, struct err *e)
{
	struct hsm_key *k;

	return hsm_key_find(h, id, &k, e);
}

bool hsm_sign(struct hsm *h, struct hsm_key *k, struct span input, uint8_t out[HSM_SIG_MAX], size_t *n, struct err *e)
{
	(void)h;
	*n = HSM_SIG_MAX;
	if (k->alg == HSM_ED25519) {
		EVP_MD_CTX *ctx = EVP_MD_CTX_new();
		bool good = EVP_DigestSignInit(ctx, NULL, NULL, NULL, k->key) == 1 && EVP_DigestSign(ctx, out, n, input.p, input.n) == 1;

		EVP_MD_CTX_free(ctx);
		return good || err_set(e, ERR_HSM, "sign");
	}
	AUTO(EVP_PKEY_CTX) *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, k->key, NULL);

	return (EVP_PKEY_sign_init(ctx) == 1 && EVP_PKEY_sign(ctx, out, n, input.p, input.n) == 1) || err_set(e, ERR_HSM, "sign");
}

/* A new token. */
static __attribute__((unused)) void fake_clear(void)
{
	for (; fake_n > 0; fake_n--) {
		EVP_PKEY_free(fake_keys[fake_n - 1].key);
		buf_free(&fake_keys[fake_n - 1].spki);
	}
}

bool hsm_list(struct hsm *h, hsm_each *each, void *arg, struct err *e)
{
	(void)h;
	(void)e;
	for (size_t i = 0; i < fake_n; i++) {
		struct hsm_key_row row = { .label = "key", .id_n = sizeof fake_keys[i].id, .alg = fake_keys[i].alg, .token = true };

		memcpy(row.id, fake_keys[i].id, sizeof fake_keys[i].id);
		each(arg, &row);
	}
	return true;
}

void hsm_stats(struct hsm *h, struct hsm_stats *out)
{
	(void)h;
	*out = (struct hsm_stats){ .module = "fake", .token = "fake", .sessions = 1, .logged_in = true };
}

bool hsm_recover(struct hsm *h, struct err *e)
{
	(void)h;
	(void)e;
	return true;
}

#endif
