/* SPDX-License-Identifier: Apache-2.0 */
#include "pkix/weak_key.h"

#include "base/der.h"
#include "base/mem.h"

#include <openssl/bn.h>

AUTO_DEFINE(BIGNUM, BN_free)
AUTO_DEFINE(BN_CTX, BN_CTX_free)

enum { SMALL_FACTOR = 752, FERMAT_ROUNDS = 100 };

static bool is_prime(unsigned n)
{
	for (unsigned d = 2; d * d <= n; d++)
		if (n % d == 0)
			return false;
	return n > 1;
}

static bool has_small_factor(const BIGNUM *n)
{
	for (unsigned p = 3; p < SMALL_FACTOR; p += 2)
		if (is_prime(p) && BN_mod_word(n, p) == 0)
			return true;
	return false;
}

/* A power of 65537 modulo p? */
static bool in_subgroup(unsigned residue, unsigned p)
{
	unsigned x = 1;

	do {
		if (x == residue)
			return true;
		x = x * (65537 % p) % p;
	} while (x != 1);
	return false;
}

/* Infineon's library made primes k*M + 65537^a mod M: the modulus is a power of 65537 modulo every prime of M. */
static bool is_roca(const BIGNUM *n)
{
	static const unsigned char primes[] = { 11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157 };

	for (size_t i = 0; i < sizeof primes; i++)
		if (!in_subgroup((unsigned)BN_mod_word(n, primes[i]), primes[i]))
			return false;
	return true;
}

/* r = floor(sqrt(n)) by Newton's iteration from above. */
static bool square_root(BIGNUM *r, const BIGNUM *n, BN_CTX *c)
{
	AUTO(BIGNUM) *next = BN_new();

	if (next == NULL)
		return false;
	BN_zero(r);
	if (BN_is_zero(n))
		return true;
	if (!BN_set_bit(r, (BN_num_bits(n) + 1) / 2))
		return false;
	for (;;) {
		if (!BN_div(next, NULL, n, r, c) || !BN_add(next, next, r) || !BN_rshift1(next, next))
			return false;
		if (BN_cmp(next, r) >= 0)
			return true;
		BN_swap(r, next);
	}
}

/* *yes: n is a square. Most numbers are sifted out by small moduli. */
static bool is_square(bool *yes, const BIGNUM *n, BN_CTX *c)
{
	static const unsigned moduli[] = { 64, 63, 65, 11 };
	AUTO(BIGNUM) *r = BN_new(), *square = BN_new();

	*yes = false;
	for (size_t i = 0; i < COUNT_OF(moduli); i++) {
		unsigned m = moduli[i], rest = (unsigned)BN_mod_word(n, m);
		bool can = false;

		for (unsigned x = 0; x < m; x++)
			can |= x * x % m == rest;
		if (!can)
			return true;
	}
	if (r == NULL || square == NULL || !square_root(r, n, c) || !BN_sqr(square, r, c))
		return false;
	*yes = BN_cmp(square, n) == 0;
	return true;
}

/* Fermat: n = a^2 - b^2 with a just above its root, when the primes are close; b = 0 when it is a square. */
static bool has_close_primes(bool *yes, const BIGNUM *n, BN_CTX *c)
{
	AUTO(BIGNUM) *a = BN_new(), *rest = BN_new();

	if (a == NULL || rest == NULL || !square_root(a, n, c))
		return false;
	for (int i = 0; i <= FERMAT_ROUNDS; i++) {
		if (!BN_sqr(rest, a, c) || !BN_sub(rest, rest, n))
			return false;
		if (!BN_is_negative(rest)) {
			if (!is_square(yes, rest, c))
				return false;
			if (*yes)
				return true;
		}
		if (!BN_add_word(a, 1))
			return false;
	}
	*yes = false;
	return true;
}

/* For n = p^k (k = 1, too) 2^n = 2 modulo p, so p divides 2^n - 2; for a product of two strong primes hardly ever. */
static bool is_prime_power(bool *yes, const BIGNUM *n, BN_CTX *c)
{
	AUTO(BIGNUM) *two = BN_new(), *x = BN_new(), *g = BN_new();

	if (two == NULL || x == NULL || g == NULL || !BN_set_word(two, 2) || !BN_mod_exp(x, two, n, n, c) || !BN_sub(x, x, two) ||
	    !BN_gcd(g, x, n, c))
		return false;
	*yes = !BN_is_one(g);
	return true;
}

bool key_check_weak(const struct key_info *k, struct err *e)
{
	struct der bits = der_of_span(k->point), key = der_in(&bits, DER_SEQUENCE);
	struct span modulus = der_span(&key, DER_INTEGER);
	AUTO(BIGNUM) *n = NULL;
	AUTO(BN_CTX) *c = NULL;
	bool weak = false;

	if (k->type != KEY_RSA)
		return true;
	n = BN_bin2bn(modulus.p, (int)modulus.n, NULL);
	c = BN_CTX_new();
	if (n == NULL || c == NULL)
		return err_set(e, ERR_INTERNAL, "RSA key");
	if (has_small_factor(n))
		return err_set(e, ERR_BAD_KEY, "RSA key whose modulus has a small factor; make a new key with another program");
	if (is_roca(n))
		return err_set(e, ERR_BAD_KEY, "RSA key of the ROCA kind (CVE-2017-15361), which can be factored; update the chip's firmware, "
		                               "or make an EC key");
	if (!has_close_primes(&weak, n, c))
		return err_set(e, ERR_INTERNAL, "RSA key");
	if (weak)
		return err_set(e, ERR_BAD_KEY, "RSA key whose primes are too close to one another; make a new key with another program");
	if (!is_prime_power(&weak, n, c))
		return err_set(e, ERR_INTERNAL, "RSA key");
	return !weak || err_set(e, ERR_BAD_KEY, "RSA key whose modulus is a prime or a power of one; make a new key with another program");
}
