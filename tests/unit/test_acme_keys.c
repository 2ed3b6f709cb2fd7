/* SPDX-License-Identifier: Apache-2.0 */
#include "acme/keys.h"

#include "tests/cu.h"

#include <openssl/ec.h>
#include <pthread.h>
#include <stdlib.h>

static struct keys *keys;
static EVP_PKEY *evp;

static void keep(const char *realm, int64_t account, uint8_t mark)
{
	struct account_key k = { .type = KEY_P256, .evp = evp };

	k.thumbprint[0] = mark;
	keys_keep(keys, realm, account, &k);
}

/* What is kept for it: its mark, -1 nothing. */
static int kept(const char *realm, int64_t account)
{
	struct account_key k;
	bool found = keys_find(keys, realm, account, &k);

	CU_ASSERT_EQUAL(found, k.evp != NULL);
	EVP_PKEY_free(k.evp);
	return found ? k.thumbprint[0] : -1;
}

static void begin(void)
{
	keys = keys_new();
	evp = EVP_EC_gen("P-256");
}

static void end(void)
{
	keys_free(keys);
	EVP_PKEY_free(evp);
}

static void test_kept_and_dropped__ACME_22(void)
{
	begin();
	CU_ASSERT_EQUAL(kept("server", 7), -1);
	keep("server", 7, 1);
	keep("radius", 7, 2); /* another realm's account of this number is another */
	CU_ASSERT_EQUAL(kept("server", 7), 1);
	CU_ASSERT_EQUAL(kept("radius", 7), 2);
	keep("server", 7, 3);
	CU_ASSERT_EQUAL(kept("server", 7), 3);
	keys_drop(keys, "server", 7);
	CU_ASSERT_EQUAL(kept("server", 7), -1);
	CU_ASSERT_EQUAL(kept("radius", 7), 2);
	keys_drop(keys, "server", 7);
	keep("server", 0, 1); /* no account */
	keep("server", -7, 1);
	CU_ASSERT_EQUAL(kept("server", 0), -1);
	CU_ASSERT_EQUAL(kept("server", -7), -1);
	end();
}

/* However many accounts come: so many are kept, and who comes often stays. */
static void test_bounded__OPS_11(void)
{
	int n = 0;

	begin();
	keep("server", 1, 9);
	for (int64_t a = 2; a < 3 * KEYS_MAX; a++) {
		keep("server", a, 1);
		CU_ASSERT_EQUAL_FATAL(kept("server", 1), 9);
		CU_ASSERT_EQUAL_FATAL(kept("server", a), 1);
	}
	for (int64_t a = 1; a < 3 * KEYS_MAX; a++)
		n += kept("server", a) >= 0;
	CU_ASSERT_EQUAL(n, KEYS_MAX);
	end();
}

static _Atomic int wrong; /* CUnit counts on one thread */

static bool wrong_for(int64_t account)
{
	struct account_key k;
	bool found = keys_find(keys, "server", account, &k), bad = found && (k.thumbprint[0] != account || k.evp != evp);

	EVP_PKEY_free(k.evp);
	return bad;
}

static void *work(void *arg)
{
	(void)arg;
	for (int i = 0; i < 20000; i++) {
		int64_t a = 1 + i % 16;

		if (i % 3 == 0)
			keep("server", a, (uint8_t)a);
		else if (i % 3 == 1)
			keys_drop(keys, "server", a);
		else
			wrong += wrong_for(a);
	}
	return NULL;
}

static void test_threads__ACME_22(void)
{
	pthread_t t[4];

	begin();
	for (int i = 0; i < 4; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&t[i], NULL, work, NULL), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	CU_ASSERT_EQUAL(wrong, 0);
	end();
}

static const struct cu_case table[] = {
	{ "test_kept_and_dropped__ACME_22", test_kept_and_dropped__ACME_22 },
	{ "test_bounded__OPS_11", test_bounded__OPS_11 },
	{ "test_threads__ACME_22", test_threads__ACME_22 },
};
CU_MAIN(table)
