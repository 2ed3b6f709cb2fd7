/* SPDX-License-Identifier: Apache-2.0
 *
 * A signature that does not hold never leaves ca, and its key is not used again. */
#include "ca/internal.h"
#include "tests/cu.h"
#include "tests/shim/p11_shim.h"
#include "tests/shim/token.h"

static struct place place;
static struct hsm *hsm;

static void begin(void)
{
	struct hsm_config c;
	struct err e = { 0 };

	shim_reset();
	place_with_token(&place);
	c = place_config(&place);
	c.module = "libp11_shim.so";
	CU_ASSERT_TRUE_FATAL(hsm_open(&hsm, &c, &e));
}

static void finish(void)
{
	hsm_close(hsm);
	shim_reset();
	place_free(&place);
}

static void open_signer(struct signer *s, enum hsm_alg alg)
{
	uint8_t id[HSM_ID_MAX];
	struct hsm_key *k = NULL;
	struct err e = { 0 };
	size_t n;

	CU_ASSERT_TRUE_FATAL(hsm_key_generate(hsm, alg, "t", id, &n, &e));
	CU_ASSERT_TRUE_FATAL(hsm_key_find(hsm, (struct span){ id, n }, &k, &e));
	CU_ASSERT_TRUE_FATAL(signer_open(s, hsm, (struct span){ id, n }, hsm_key_spki(k), &e));
	hsm_key_free(k);
}

static const struct span text = { (const uint8_t *)"to be signed", 12 };

static void test_a_flipped_bit_quarantines_the_key__HSM_06(void)
{
	static const enum hsm_alg algs[] = { HSM_P256, HSM_P384, HSM_RSA2048, HSM_ED25519 };

	begin();
	for (size_t i = 0; i < sizeof algs / sizeof algs[0]; i++) {
		struct signer s, other;
		struct err e = { 0 };
		AUTO_BUF sig = { 0 };
		unsigned asked;

		if (algs[i] == HSM_ED25519)
			softhsm_leaks(true);
		open_signer(&s, algs[i]);
		open_signer(&other, HSM_P256);
		CU_ASSERT_TRUE(signer_sign(&s, hsm, text, &sig, &e));
		CU_ASSERT_TRUE(sig.n != 0);
		sig.n = 0;
		shim_flip(1);
		CU_ASSERT_FALSE(signer_sign(&s, hsm, text, &sig, &e));
		CU_ASSERT_EQUAL(e.kind, ERR_HSM);
		CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "quarantined"));
		CU_ASSERT_EQUAL(sig.n, 0);
		/* The token would sign rightly again: it isn't asked. */
		asked = shim_calls(SHIM_SIGN);
		CU_ASSERT_FALSE(signer_sign(&s, hsm, text, &sig, &e));
		CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "quarantined"));
		CU_ASSERT_EQUAL(shim_calls(SHIM_SIGN), asked);
		CU_ASSERT_TRUE(signer_sign(&other, hsm, text, &sig, &e));
		signer_close(&s);
		signer_close(&other);
		if (algs[i] == HSM_ED25519)
			softhsm_leaks(false);
	}
	finish();
}

static void test_a_flipped_bit_under_a_digest__HSM_06(void)
{
	uint8_t digest[32] = { 1, 2, 3 };
	struct signer s;
	struct err e = { 0 };
	AUTO_BUF sig = { 0 };

	begin();
	open_signer(&s, HSM_P256);
	shim_flip(1);
	CU_ASSERT_FALSE(signer_sign_digest(&s, hsm, (struct span){ digest, 32 }, &sig, &e));
	CU_ASSERT_FALSE(signer_sign_digest(&s, hsm, (struct span){ digest, 32 }, &sig, &e));
	CU_ASSERT_EQUAL(sig.n, 0);
	signer_close(&s);
	finish();
}

static void test_a_key_that_is_not_the_certificates__HSM_06(void)
{
	struct signer s;
	struct hsm_key *a = NULL, *b = NULL;
	uint8_t id_a[HSM_ID_MAX], id_b[HSM_ID_MAX];
	size_t an, bn;
	struct err e = { 0 };

	begin();
	CU_ASSERT_TRUE_FATAL(hsm_key_generate(hsm, HSM_P256, "a", id_a, &an, &e) && hsm_key_generate(hsm, HSM_P256, "b", id_b, &bn, &e));
	CU_ASSERT_TRUE_FATAL(hsm_key_find(hsm, (struct span){ id_a, an }, &a, &e) && hsm_key_find(hsm, (struct span){ id_b, bn }, &b, &e));
	CU_ASSERT_FALSE(signer_open(&s, hsm, (struct span){ id_a, an }, hsm_key_spki(b), &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "does not match its certificate"));
	CU_ASSERT_PTR_NULL(s.key);
	hsm_key_free(a);
	hsm_key_free(b);
	finish();
}

static const struct cu_case table[] = {
	{ "test_a_flipped_bit_quarantines_the_key__HSM_06", test_a_flipped_bit_quarantines_the_key__HSM_06 },
	{ "test_a_flipped_bit_under_a_digest__HSM_06", test_a_flipped_bit_under_a_digest__HSM_06 },
	{ "test_a_key_that_is_not_the_certificates__HSM_06", test_a_key_that_is_not_the_certificates__HSM_06 },
};

CU_MAIN(table)
