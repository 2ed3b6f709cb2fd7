/* SPDX-License-Identifier: Apache-2.0
 *
 * RSA moduli that can be factored are made here and refused; many good ones pass. */
#include "base/der.h"
#include "base/mem.h"
#include "pkix/weak_key.h"
#include "tests/cu.h"

#include <openssl/bn.h>
#include <stdlib.h>

AUTO_DEFINE(BIGNUM, BN_free)
AUTO_DEFINE(BN_CTX, BN_CTX_free)

static bool judge(const BIGNUM *n, struct err *e)
{
	AUTO_BUF point = { 0 };
	uint8_t octets[1100];
	struct key_info k = { .type = KEY_RSA, .bits = (unsigned)BN_num_bits(n) };
	size_t mark = der_begin(&point, DER_SEQUENCE);

	der_put_unsigned(&point, octets, (size_t)BN_bn2bin(n, octets));
	der_put_uint(&point, 65537);
	der_end(&point, mark);
	k.point = span_of(&point);
	*e = (struct err){ 0 };
	return key_check_weak(&k, e);
}

static void refused(const BIGNUM *n, const char *says)
{
	struct err e;

	CU_ASSERT_FALSE(judge(n, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_BAD_KEY);
	if (strstr(e.text, says) == NULL)
		fprintf(stderr, "%s: \"%s\"\n", says, e.text);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, says));
}

static BIGNUM *prime(int bits)
{
	BIGNUM *p = BN_new();

	CU_ASSERT_EQUAL_FATAL(BN_generate_prime_ex(p, bits, 0, NULL, NULL, NULL), 1);
	return p;
}

static void test_good_keys_pass__X509_35__X509_37__X509_39(void)
{
	const char *all = getenv("CADUCEUS_TEST_LONG");
	int count = all != NULL && strcmp(all, "1") == 0 ? 145 : 12; /* 145: more than 10^4 pairs */
	BIGNUM *p[145];
	AUTO(BIGNUM) *n = BN_new();
	AUTO(BN_CTX) *c = BN_CTX_new();
	struct err e;
	int hits = 0;

	for (int i = 0; i < count; i++)
		p[i] = prime(1024);
	for (int i = 0; i < count; i++)
		for (int k = 0; k < i; k++) {
			BN_mul(n, p[i], p[k], c);
			hits += !judge(n, &e);
		}
	CU_ASSERT_EQUAL(hits, 0);
	for (int i = 0; i < count; i++)
		BN_free(p[i]);
}

static void test_close_primes__X509_39(void)
{
	static const unsigned apart[] = { 2, 1000, 1000000 };
	AUTO(BN_CTX) *c = BN_CTX_new();

	for (size_t i = 0; i < COUNT_OF(apart); i++) {
		AUTO(BIGNUM) *p = prime(1024), *q = BN_dup(p), *n = BN_new();

		BN_add_word(q, apart[i]);
		while (BN_check_prime(q, c, NULL) != 1)
			BN_add_word(q, 2);
		BN_mul(n, p, q, c);
		refused(n, "too close");
	}
	{
		/* 2^600 apart: Fermat would need for ever; it passes. */
		AUTO(BIGNUM) *p = prime(1024), *q = BN_dup(p), *n = BN_new(), *far = BN_new();
		struct err e;

		BN_set_bit(far, 600);
		BN_add(q, q, far);
		while (BN_check_prime(q, c, NULL) != 1)
			BN_add_word(q, 2);
		BN_mul(n, p, q, c);
		CU_ASSERT_TRUE(judge(n, &e));
	}
}

static void test_prime_powers__X509_35(void)
{
	AUTO(BN_CTX) *c = BN_CTX_new();
	AUTO(BIGNUM) *p = prime(1024), *cube = NULL, *n = BN_new(), *alone = prime(2048);

	BN_sqr(n, p, c);
	refused(n, "too close"); /* both are the same */
	refused(alone, "a prime or a power");
	cube = prime(683);
	BN_sqr(n, cube, c);
	BN_mul(n, n, cube, c);
	refused(n, "a prime or a power");
}

static void test_small_factors__X509_35(void)
{
	static const unsigned small[] = { 3, 5, 7, 97, 503, 743, 751 };
	AUTO(BN_CTX) *c = BN_CTX_new();
	AUTO(BIGNUM) *q = prime(2039), *n = BN_new();
	struct err e;

	for (size_t i = 0; i < COUNT_OF(small); i++) {
		BN_copy(n, q);
		BN_mul_word(n, small[i]);
		refused(n, "small factor");
	}
	BN_copy(n, q);
	BN_mul_word(n, 757); /* the first prime that is not looked for */
	CU_ASSERT_TRUE(judge(n, &e));
}

/* k*M + 65537^a mod M, M the product of the first 39 primes. */
static BIGNUM *roca_prime(BN_CTX *c)
{
	AUTO(BIGNUM) *m = BN_new(), *a = BN_new(), *base = BN_new();
	BIGNUM *p = BN_new();

	BN_one(m);
	for (unsigned n = 2, found = 0; found < 39; n++) {
		bool divides = false;

		for (unsigned d = 2; d * d <= n; d++)
			divides |= n % d == 0;
		if (!divides) {
			BN_mul_word(m, n);
			found++;
		}
	}
	BN_set_word(base, 65537);
	do {
		BN_rand(a, 62, -1, 0);
		BN_mod_exp(a, base, a, m, c);
		BN_rand(p, 1024 - BN_num_bits(m), 1, 0);
		BN_mul(p, p, m, c);
		BN_add(p, p, a);
	} while (BN_num_bits(p) != 1024 || BN_check_prime(p, c, NULL) != 1);
	return p;
}

static void test_roca__X509_37(void)
{
	AUTO(BN_CTX) *c = BN_CTX_new();

	for (int i = 0; i < 3; i++) {
		AUTO(BIGNUM) *p = roca_prime(c), *q = roca_prime(c), *n = BN_new(), *good = prime(1024);
		struct err e;

		BN_mul(n, p, q, c);
		refused(n, "CVE-2017-15361");
		/* One such prime alone does not give the modulus its mark. */
		BN_mul(n, p, good, c);
		CU_ASSERT_TRUE(judge(n, &e));
	}
}

static void test_other_keys_pass(void)
{
	struct key_info k = { .type = KEY_P256 };
	struct err e = { 0 };

	CU_ASSERT_TRUE(key_check_weak(&k, &e));
	k.type = KEY_ED25519;
	CU_ASSERT_TRUE(key_check_weak(&k, &e));
}

static const struct cu_case table[] = {
	{ "test_good_keys_pass__X509_35__X509_37__X509_39", test_good_keys_pass__X509_35__X509_37__X509_39 },
	{ "test_close_primes__X509_39", test_close_primes__X509_39 },
	{ "test_prime_powers__X509_35", test_prime_powers__X509_35 },
	{ "test_small_factors__X509_35", test_small_factors__X509_35 },
	{ "test_roca__X509_37", test_roca__X509_37 },
	{ "test_other_keys_pass", test_other_keys_pass },
};

CU_MAIN(table)
