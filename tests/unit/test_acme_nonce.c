/* SPDX-License-Identifier: Apache-2.0 */
#include "acme/nonce.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/text.h"
#include "tests/cu.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { WINDOW = 1 << 17 };

static void test_each_is_good_once__ACME_09(void)
{
	struct nonces *n = nonces_new(rnd_kernel, WINDOW);
	char a[NONCE_TEXT], b[NONCE_TEXT];
	AUTO_BUF raw = { 0 };

	nonce_make(n, 5, a);
	nonce_make(n, 5, b);
	CU_ASSERT_STRING_NOT_EQUAL(a, b);
	/* 128 bits at least, base64url without padding. */
	CU_ASSERT_TRUE(b64url_get(&raw, a, strlen(a)) && raw.n >= 16);
	CU_ASSERT_TRUE(nonce_take(n, b, 6));
	CU_ASSERT_FALSE(nonce_take(n, b, 6));
	CU_ASSERT_TRUE(nonce_take(n, a, 6));
	CU_ASSERT_FALSE(nonce_take(n, a, 6));
	nonces_free(n);
}

static void test_an_hour_and_not_before__ACME_09(void)
{
	struct nonces *n = nonces_new(rnd_kernel, WINDOW);
	char a[NONCE_TEXT];

	nonce_make(n, 1000, a);
	CU_ASSERT_FALSE(nonce_take(n, a, 999));
	CU_ASSERT_FALSE(nonce_take(n, a, 1001 + US_PER_HOUR));
	CU_ASSERT_TRUE(nonce_take(n, a, 1000 + US_PER_HOUR));
	nonces_free(n);
}

static void test_forged_and_foreign__ACME_09(void)
{
	struct nonces *n = nonces_new(rnd_kernel, WINDOW), *other = nonces_new(rnd_kernel, WINDOW);
	char a[NONCE_TEXT], bad[NONCE_TEXT + 8];

	nonce_make(other, 5, a);
	nonce_make(n, 5, bad); /* so that the number is one of n's as well */
	CU_ASSERT_FALSE(nonce_take(n, a, 6)); /* of another process: ACME-09, two nodes */
	nonce_make(n, 5, a);
	for (size_t i = 0; i < strlen(a); i++) {
		strcpy(bad, a);
		bad[i] = bad[i] == 'A' ? 'B' : 'A';
		CU_ASSERT_FALSE(nonce_take(n, bad, 6));
	}
	CU_ASSERT_FALSE(nonce_take(n, "", 6));
	snprintf(bad, sizeof bad, "%sA", a);
	CU_ASSERT_FALSE(nonce_take(n, bad, 6));
	snprintf(bad, sizeof bad, "%s=", a);
	CU_ASSERT_FALSE(nonce_take(n, bad, 6));
	snprintf(bad, sizeof bad, "%.*s", NONCE_TEXT - 2, a);
	CU_ASSERT_FALSE(nonce_take(n, bad, 6));
	CU_ASSERT_TRUE(nonce_take(n, a, 6));
	nonces_free(n);
	nonces_free(other);
}

/* The window moves on: the oldest are bad, and whose bit is used again is fresh. */
static void test_the_window__ACME_09(void)
{
	struct nonces *n = nonces_new(rnd_kernel, WINDOW);
	char first[NONCE_TEXT], second[NONCE_TEXT], third[NONCE_TEXT], last[NONCE_TEXT];

	nonce_make(n, 1, first);
	nonce_make(n, 1, second);
	nonce_make(n, 1, third);
	CU_ASSERT_TRUE(nonce_take(n, first, 2));
	CU_ASSERT_TRUE(nonce_take(n, second, 2));
	for (int i = 3; i <= WINDOW; i++)
		nonce_make(n, 1, last);
	/* The bit of the first is the last's now. */
	CU_ASSERT_FALSE(nonce_take(n, first, 2));
	CU_ASSERT_TRUE(nonce_take(n, last, 2));
	CU_ASSERT_FALSE(nonce_take(n, second, 2)); /* still inside, still used */
	CU_ASSERT_TRUE(nonce_take(n, third, 2));
	nonces_free(n);
}

enum { THREADS = 4, EACH = 20000, SHARED = 4000 };
static struct nonces *shared;
static char contested[SHARED][NONCE_TEXT];
static _Atomic int won, own;

static void *run(void *arg)
{
	char mine[NONCE_TEXT];

	(void)arg;
	for (int i = 0; i < EACH; i++) {
		nonce_make(shared, 1, mine);
		own += nonce_take(shared, mine, 2) && !nonce_take(shared, mine, 2);
		if (i < SHARED)
			won += nonce_take(shared, contested[i], 2);
	}
	return NULL;
}

static void test_threads__ACME_09(void)
{
	pthread_t t[THREADS];

	shared = nonces_new(rnd_kernel, WINDOW);
	for (int i = 0; i < SHARED; i++)
		nonce_make(shared, 1, contested[i]);
	for (int i = 0; i < THREADS; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&t[i], NULL, run, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	CU_ASSERT_EQUAL(own, THREADS * EACH);
	CU_ASSERT_EQUAL(won, SHARED);
	nonces_free(shared);
}

static const struct cu_case table[] = {
	{ "test_each_is_good_once__ACME_09", test_each_is_good_once__ACME_09 },
	{ "test_an_hour_and_not_before__ACME_09", test_an_hour_and_not_before__ACME_09 },
	{ "test_forged_and_foreign__ACME_09", test_forged_and_foreign__ACME_09 },
	{ "test_the_window__ACME_09", test_the_window__ACME_09 },
	{ "test_threads__ACME_09", test_threads__ACME_09 },
};
CU_MAIN(table)
