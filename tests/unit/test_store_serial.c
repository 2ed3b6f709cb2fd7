/* SPDX-License-Identifier: Apache-2.0
 *
 * Serials and status in the database: reserved before they are signed, never twice, never good again. */
#include "tests/cu.h"

#include "store/store.h"

#include <stdlib.h>
#include <unistd.h>

static char dir[64], uri[96];

static struct store *open_new(void)
{
	struct store *s = NULL;
	struct err e = { 0 };
	uint8_t digest[32] = { 1 };
	struct profile_row p = { .active = true };
	struct generation g = { .gen = 1, .key_id_n = 1 };

	strcpy(dir, "/tmp/cad-store-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(uri, sizeof uri, "sqlite:%s/t.db", dir);
	CU_ASSERT_TRUE_FATAL(store_open(&s, uri, true, &e));
	memcpy(p.digest, digest, 32);
	strcpy(p.name, "device");
	strcpy(g.name, "devices");
	CU_ASSERT_TRUE(store_begin(s, &e) && store_profile_put(s, &p, (struct span){ digest, 32 }, &e) &&
	               store_generation_add(s, &g, (struct span){ digest, 32 }, &e) && store_commit(s, &e));
	return s;
}

static void close_all(struct store *s)
{
	char command[128];

	store_close(s);
	snprintf(command, sizeof command, "rm -rf %s", dir);
	(void)!system(command);
}

static struct intent intent(uint8_t n)
{
	struct intent i = { .ref = 1, .serial_n = 16 };

	i.serial[0] = 0x40;
	i.serial[15] = n;
	strcpy(i.purpose, "enroll");
	return i;
}

static struct certificate certificate(uint8_t n)
{
	struct certificate c = { .ref = 1, .serial_n = 16, .not_after = 1000, .issued = 5 };

	c.serial[0] = 0x40;
	c.serial[15] = n;
	c.profile_digest[0] = 1;
	c.request_key[0] = n;
	c.spki[0] = n;
	strcpy(c.dn, "CN=x");
	return c;
}

static void test_a_serial_is_reserved_once__X509_02(void)
{
	struct store *s = open_new();
	struct intent i = intent(1);
	struct certificate c = certificate(1);
	struct err e = { 0 };
	uint64_t seq;

	CU_ASSERT_TRUE(store_begin(s, &e));
	CU_ASSERT_TRUE(store_intent_add(s, &i, &e));
	CU_ASSERT_FALSE(store_intent_add(s, &i, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_EXISTS);
	CU_ASSERT_TRUE(store_certificate_add(s, &c, (struct span){ (const uint8_t *)"x", 1 }, &e));
	/* Issued: the number is taken for ever. */
	CU_ASSERT_FALSE(store_intent_add(s, &i, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_EXISTS);
	/* Without an intent nothing is recorded. */
	c = certificate(2);
	CU_ASSERT_FALSE(store_certificate_add(s, &c, (struct span){ (const uint8_t *)"x", 1 }, &e));
	/* A void serial is taken, too. */
	i = intent(3);
	CU_ASSERT_TRUE(store_intent_add(s, &i, &e));
	CU_ASSERT_TRUE(store_serial_void(s, 1, (struct span){ i.serial, 16 }, 7, 1000, &seq, &e));
	CU_ASSERT_FALSE(store_intent_add(s, &i, &e));
	CU_ASSERT_TRUE(store_commit(s, &e));
	close_all(s);
}

static bool count_one(void *arg, const struct intent *row)
{
	(void)row;
	++*(int *)arg;
	return true;
}

static void test_intents_of_an_earlier_boot_are_found__X509_46(void)
{
	struct store *s = open_new();
	struct intent i = intent(1);
	struct err e = { 0 };
	int n = 0;

	CU_ASSERT_TRUE(store_begin(s, &e) && store_intent_add(s, &i, &e) && store_commit(s, &e));
	CU_ASSERT_TRUE(store_intent_list(s, count_one, &n, &e));
	CU_ASSERT_EQUAL(n, 0);
	store_close(s);
	CU_ASSERT_TRUE_FATAL(store_open(&s, uri, false, &e));
	CU_ASSERT_TRUE(store_intent_list(s, count_one, &n, &e));
	CU_ASSERT_EQUAL(n, 1);
	close_all(s);
}

static void test_sequence_rises_with_every_change(void)
{
	struct store *s = open_new();
	struct intent i = intent(1);
	struct certificate c = certificate(1), got;
	uint64_t seq, head;
	struct err e = { 0 };

	CU_ASSERT_TRUE(store_begin(s, &e) && store_intent_add(s, &i, &e) &&
	               store_certificate_add(s, &c, (struct span){ (const uint8_t *)"x", 1 }, &e));
	CU_ASSERT_TRUE(store_status_set(s, 1, (struct span){ c.serial, 16 }, STORE_REVOKED, 1, 9, &seq, &e));
	CU_ASSERT_TRUE(seq > c.seq);
	CU_ASSERT_TRUE(store_commit(s, &e));
	CU_ASSERT_TRUE(store_status_head(s, &head, &e) && head == seq);
	CU_ASSERT_TRUE(store_certificate_by_serial(s, 1, (struct span){ c.serial, 16 }, &got, &e));
	CU_ASSERT_EQUAL(got.status, STORE_REVOKED);
	/* A revoked one is no answer to a repeated request. */
	CU_ASSERT_FALSE(store_certificate_by_request(s, c.request_key, c.spki, 0, &got, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_NOT_FOUND);
	close_all(s);
}

static void test_rollback_takes_the_sequence_back(void)
{
	struct store *s = open_new();
	struct intent i = intent(1);
	struct certificate c = certificate(1);
	uint64_t head;
	struct err e = { 0 };

	CU_ASSERT_TRUE(store_begin(s, &e) && store_intent_add(s, &i, &e) &&
	               store_certificate_add(s, &c, (struct span){ (const uint8_t *)"x", 1 }, &e));
	store_rollback(s);
	CU_ASSERT_TRUE(store_status_head(s, &head, &e) && head == 0);
	close_all(s);
}

static void test_one_writer(void)
{
	struct store *s = open_new(), *second = NULL;
	struct err e = { 0 };

	CU_ASSERT_FALSE(store_open(&second, uri, false, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_STORE);
	CU_ASSERT_TRUE(store_open_reader(&second, uri, &e));
	store_close(second);
	close_all(s);
}

static void test_crl_numbers_only_rise__CRL_02(void)
{
	struct store *s = open_new();
	uint64_t a, b;
	struct err e = { 0 };

	CU_ASSERT_TRUE(store_begin(s, &e) && store_crl_number_take(s, 1, &a, &e) && store_commit(s, &e));
	store_close(s);
	CU_ASSERT_TRUE_FATAL(store_open(&s, uri, false, &e));
	CU_ASSERT_TRUE(store_begin(s, &e) && store_crl_number_take(s, 1, &b, &e) && store_commit(s, &e));
	CU_ASSERT_EQUAL(b, a + 1);
	close_all(s);
}

static const struct cu_case cases[] = {
	{ "reserved once", test_a_serial_is_reserved_once__X509_02 },
	{ "earlier boot", test_intents_of_an_earlier_boot_are_found__X509_46 },
	{ "sequence", test_sequence_rises_with_every_change },
	{ "rollback", test_rollback_takes_the_sequence_back },
	{ "one writer", test_one_writer },
	{ "crl numbers", test_crl_numbers_only_rise__CRL_02 },
};
CU_MAIN(cases)
