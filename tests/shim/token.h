/* SPDX-License-Identifier: Apache-2.0
 *
 * What every test of the token needs: an instance folder of its own with a new SoftHSM token and a random PIN. */
#ifndef CADUCEUS_TESTS_SHIM_TOKEN_H
#define CADUCEUS_TESTS_SHIM_TOKEN_H

#include "base/mem.h"
#include "base/rnd.h"
#include "base/text.h"
#include "hsm/hsm.h"
#include "tests/cu.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* SoftHSM 2.6.1 loses an OCTET STRING with every use of an Ed25519 key. */
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

static inline void softhsm_leaks(bool on)
{
	if (__lsan_disable != NULL)
		(on ? __lsan_disable : __lsan_enable)();
}

struct place {
	char dir[64], pin[33];
	unsigned asked;   /* how often the PIN was asked for */
	bool wrong;       /* give another one */
	const char *give; /* give this one */
};

static inline void place_new(struct place *p)
{
	uint8_t secret[16];
	char path[128];

	*p = (struct place){ 0 };
	snprintf(p->dir, sizeof p->dir, "%s/caduceus-hsm-XXXXXX", "/tmp");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(p->dir));
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof path, "%s/%s", p->dir, i == 0 ? "run" : "ca");
		CU_ASSERT_EQUAL_FATAL(mkdir(path, 0700), 0);
	}
	rnd_kernel(secret, sizeof secret);
	hex_put(p->pin, secret, sizeof secret);
}

static inline void place_with_token(struct place *p)
{
	struct err e = { 0 };

	place_new(p);
	if (!hsm_embedded_create(p->dir, "caduceus", p->pin, &e))
		fprintf(stderr, "%s\n", e.text);
	CU_ASSERT_EQUAL_FATAL(e.kind, ERR_NONE);
}

static inline void place_free(struct place *p)
{
	AUTO_FREE char *command = mem_printf("rm -rf '%s'", p->dir);

	CU_ASSERT_EQUAL(system(command), 0);
}

static inline bool place_pin(void *arg, char *out, size_t cap, struct err *e)
{
	struct place *p = arg;

	(void)e;
	p->asked++;
	snprintf(out, cap, "%s", p->give != NULL ? p->give : p->wrong ? "not-the-pin" : p->pin);
	return true;
}

static inline struct hsm_config place_config(struct place *p)
{
	return (struct hsm_config){ .module = "embedded", .token = "caduceus", .dir = p->dir, .timeout_ms = 5000,
		                    .pin = place_pin, .pin_arg = p };
}

static inline struct hsm *place_open(struct place *p)
{
	struct hsm_config c = place_config(p);
	struct hsm *h = NULL;
	struct err e = { 0 };

	if (!hsm_open(&h, &c, &e))
		fprintf(stderr, "%s\n", e.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(h);
	return h;
}

static inline struct hsm_key *new_key(struct hsm *h, enum hsm_alg alg, const char *label)
{
	uint8_t id[HSM_ID_MAX];
	struct hsm_key *k = NULL;
	struct err e = { 0 };
	size_t n = 0;

	if (!hsm_key_generate(h, alg, label, id, &n, &e) || !hsm_key_find(h, (struct span){ id, n }, &k, &e))
		fprintf(stderr, "%s\n", e.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(k);
	return k;
}

/* Verified by OpenSSL with the key that the token showed. */
static inline bool verifies(const struct hsm_key *k, const char *digest, struct span message, const uint8_t *sig, size_t n)
{
	const uint8_t *p = hsm_key_spki(k).p;
	EVP_PKEY *key = d2i_PUBKEY(NULL, &p, (long)hsm_key_spki(k).n);
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	const EVP_MD *md = digest != NULL ? EVP_get_digestbyname(digest) : NULL;
	bool good = key != NULL && p == hsm_key_spki(k).p + hsm_key_spki(k).n &&
	            EVP_DigestVerifyInit(c, NULL, md, NULL, key) == 1 && EVP_DigestVerify(c, sig, n, message.p, message.n) == 1;

	EVP_MD_CTX_free(c);
	EVP_PKEY_free(key);
	return good;
}

/* Signs a message with this key and verifies; digest NULL: Ed25519. */
static inline bool sign_message(struct hsm *h, struct hsm_key *k, const char *digest, struct err *e)
{
	static const uint8_t message[] = "one pump, one key";
	uint8_t md[EVP_MAX_MD_SIZE], sig[HSM_SIG_MAX];
	struct span in = { message, sizeof message };
	unsigned md_n = 0;
	size_t n = 0;

	if (digest != NULL) {
		CU_ASSERT_EQUAL_FATAL(EVP_Digest(message, sizeof message, md, &md_n, EVP_get_digestbyname(digest), NULL), 1);
		in = (struct span){ md, md_n };
	}
	return hsm_sign(h, k, in, sig, &n, e) && verifies(k, digest, (struct span){ message, sizeof message }, sig, n);
}

#endif
