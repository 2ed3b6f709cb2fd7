/* SPDX-License-Identifier: Apache-2.0
 *
 * The token through a module that fails on demand. */
#include "hsm/hsm.h"
#include "tests/cu.h"
#include "tests/shim/p11_shim.h"
#include "tests/shim/token.h"

#include <pthread.h>
#include <stdatomic.h>

/* SoftHSM behind the shim: an external module, whose configuration the instance of an embedded one has left. */
static struct hsm *shim_open(struct place *p, struct err *e)
{
	struct hsm_config c = place_config(p);
	struct hsm *h = NULL;

	c.module = "libp11_shim.so";
	c.sessions = 2;
	c.timeout_ms = 1000;
	*e = (struct err){ 0 };
	return hsm_open(&h, &c, e) ? h : NULL;
}

static struct hsm *fresh(struct place *p)
{
	struct hsm *h;
	struct err e;

	shim_reset();
	place_with_token(p);
	h = shim_open(p, &e);
	if (h == NULL)
		fprintf(stderr, "%s\n", e.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(h);
	return h;
}

static void done(struct place *p, struct hsm *h, struct hsm_key *k)
{
	hsm_key_free(k);
	hsm_close(h);
	shim_reset();
	place_free(p);
}

static struct hsm_stats stats(struct hsm *h)
{
	struct hsm_stats s;

	hsm_stats(h, &s);
	return s;
}

static const CK_RV healable[] = {
	CKR_SESSION_HANDLE_INVALID, CKR_SESSION_CLOSED, CKR_DEVICE_REMOVED, CKR_DEVICE_ERROR, CKR_TOKEN_NOT_PRESENT,
	CKR_USER_NOT_LOGGED_IN, CKR_CRYPTOKI_NOT_INITIALIZED, CKR_OBJECT_HANDLE_INVALID, CKR_KEY_HANDLE_INVALID,
	CKR_GENERAL_ERROR, CKR_FUNCTION_FAILED,
};

static void test_initialize_with_os_locking__HSM_11(void)
{
	struct place p;
	struct hsm *h = fresh(&p);

	CU_ASSERT_EQUAL(shim_init_flags(), CKF_OS_LOCKING_OK);
	CU_ASSERT_EQUAL(shim_calls(SHIM_LOGIN), 1);
	done(&p, h, NULL);
}

static void test_one_fault_is_healed__HSM_10(void)
{
	static const enum shim_call calls[] = { SHIM_SIGN, SHIM_SIGN_INIT };
	struct place p;
	struct hsm *h = fresh(&p);
	struct hsm_key *k = new_key(h, HSM_P256, "key");
	struct err e;

	for (size_t c = 0; c < COUNT_OF(calls); c++) {
		for (size_t i = 0; i < COUNT_OF(healable); i++) {
			shim_fail(calls[c], 0, 1, healable[i]);
			CU_ASSERT_TRUE(sign_message(h, k, "SHA256", &e));
		}
	}
	CU_ASSERT_EQUAL(stats(h).failures, 2 * COUNT_OF(healable));
	CU_ASSERT_EQUAL(stats(h).signatures, 2 * COUNT_OF(healable));
	/* The token was there all the time: only sessions were dropped. */
	CU_ASSERT_EQUAL(shim_calls(SHIM_LOGIN), 1);
	CU_ASSERT_EQUAL(p.asked, 1);
	done(&p, h, k);
}

static void test_other_faults_are_not_tried_again(void)
{
	static const CK_RV final[] = { CKR_MECHANISM_INVALID, CKR_KEY_TYPE_INCONSISTENT, CKR_KEY_FUNCTION_NOT_PERMITTED,
		                       CKR_DATA_LEN_RANGE, CKR_HOST_MEMORY, CKR_BUFFER_TOO_SMALL, CKR_OPERATION_ACTIVE };
	struct place p;
	struct hsm *h = fresh(&p);
	struct hsm_key *k = new_key(h, HSM_P256, "key");
	struct err e;

	for (size_t i = 0; i < COUNT_OF(final); i++) {
		unsigned before = shim_calls(SHIM_SIGN);

		shim_fail(SHIM_SIGN, 0, 1, final[i]);
		CU_ASSERT_FALSE(sign_message(h, k, "SHA256", &e));
		CU_ASSERT_EQUAL(e.kind, ERR_HSM);
		CU_ASSERT_EQUAL(shim_calls(SHIM_SIGN), before + 1);
		CU_ASSERT_EQUAL(stats(h).last_ckr, final[i]);
	}
	CU_ASSERT_EQUAL(stats(h).reopened, 0);
	CU_ASSERT_TRUE(sign_message(h, k, "SHA256", &e));
	done(&p, h, k);
}

/* SignInit worked, but we heard an error: the session still has an operation under way. */
static void test_abandoned_operation_never_goes_back(void)
{
	struct place p;
	struct hsm *h = fresh(&p);
	struct hsm_key *k = new_key(h, HSM_P256, "key");
	unsigned closed = shim_calls(SHIM_CLOSE);
	struct err e;

	for (int i = 0; i < 5; i++) {
		shim_fail(SHIM_SIGN_INIT, 0, 1, CKR_HOST_MEMORY);
		CU_ASSERT_FALSE(sign_message(h, k, "SHA256", &e));
		CU_ASSERT_TRUE(sign_message(h, k, "SHA256", &e));
	}
	CU_ASSERT_EQUAL(shim_calls(SHIM_CLOSE), closed + 5);
	CU_ASSERT_EQUAL(stats(h).in_use, 0);
	done(&p, h, k);
}

static CK_SESSION_HANDLE side_door(void)
{
	CK_FUNCTION_LIST *f = shim_module();
	CK_SESSION_HANDLE s = 0;
	CK_SLOT_ID slots[4];
	CK_ULONG n = 4;

	CU_ASSERT_EQUAL_FATAL(f->C_GetSlotList(CK_TRUE, slots, &n), CKR_OK);
	CU_ASSERT_EQUAL_FATAL(f->C_OpenSession(slots[0], CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &s), CKR_OK);
	return s;
}

static void test_lost_login_is_healed__HSM_10(void)
{
	struct place p;
	struct hsm *h = fresh(&p);
	struct hsm_key *k = new_key(h, HSM_P256, "key");
	CK_SESSION_HANDLE s = side_door();
	struct err e;

	CU_ASSERT_TRUE(hsm_health(h, &e));
	CU_ASSERT_EQUAL(shim_module()->C_Logout(s), CKR_OK);
	CU_ASSERT_FALSE(hsm_health(h, &e));
	CU_ASSERT_TRUE(sign_message(h, k, "SHA256", &e));
	CU_ASSERT_TRUE(hsm_health(h, &e));
	CU_ASSERT_EQUAL(stats(h).reopened, 1);
	CU_ASSERT_EQUAL(shim_calls(SHIM_INITIALIZE), 1);
	/* What is no signature heals too. */
	CU_ASSERT_EQUAL(shim_module()->C_Logout(s), CKR_OK);
	hsm_key_free(new_key(h, HSM_P256, "second"));
	CU_ASSERT_EQUAL(stats(h).reopened, 2);
	/* The PIN's source was asked once in all. */
	CU_ASSERT_EQUAL(p.asked, 1);
	done(&p, h, k);
}

static void test_lost_sessions_and_module_are_healed__HSM_10(void)
{
	struct place p;
	struct hsm *h = fresh(&p);
	struct hsm_key *k = new_key(h, HSM_P384, "key");
	CK_SLOT_ID slots[4];
	CK_ULONG n = 4;
	struct err e;

	CU_ASSERT_EQUAL_FATAL(shim_module()->C_GetSlotList(CK_TRUE, slots, &n), CKR_OK);
	CU_ASSERT_EQUAL(shim_module()->C_CloseAllSessions(slots[0]), CKR_OK);
	CU_ASSERT_TRUE(sign_message(h, k, "SHA384", &e));
	CU_ASSERT_EQUAL(shim_calls(SHIM_INITIALIZE), 1);
	CU_ASSERT_EQUAL(shim_module()->C_Finalize(NULL), CKR_OK);
	CU_ASSERT_FALSE(hsm_health(h, &e));
	CU_ASSERT_TRUE(sign_message(h, k, "SHA384", &e));
	CU_ASSERT_EQUAL(shim_calls(SHIM_INITIALIZE), 2);
	CU_ASSERT_EQUAL(stats(h).reopened, 2);
	done(&p, h, k);
}

/* SoftHSM finds a folder that came back only after C_Finalize and C_Initialize. */
static void test_token_pulled_and_put_back__HSM_10(void)
{
	struct place p;
	struct hsm *h = fresh(&p);
	struct hsm_key *k = new_key(h, HSM_P256, "key");
	AUTO_FREE char *here = mem_printf("%s/token", p.dir);
	AUTO_FREE char *away = mem_printf("%s/pulled", p.dir);
	struct err e;

	CU_ASSERT_EQUAL_FATAL(rename(here, away), 0);
	CU_ASSERT_EQUAL_FATAL(mkdir(here, 0700), 0);
	CU_ASSERT_FALSE(sign_message(h, k, "SHA256", &e));
	CU_ASSERT_EQUAL(e.kind, ERR_HSM);
	CU_ASSERT_FALSE(hsm_health(h, &e));
	CU_ASSERT_EQUAL_FATAL(rmdir(here), 0);
	CU_ASSERT_EQUAL_FATAL(rename(away, here), 0);
	usleep(150 * 1000);
	CU_ASSERT_TRUE(sign_message(h, k, "SHA256", &e));
	CU_ASSERT_TRUE(hsm_health(h, &e));
	done(&p, h, k);
}

/* A token that is away costs one attempt a pause, not one a request, and the pause grows. */
static void test_dead_token_is_not_hammered__HSM_10(void)
{
	struct place p;
	struct hsm *h = fresh(&p);
	struct hsm_key *k = new_key(h, HSM_P256, "key");
	unsigned before, tries;
	struct err e;

	shim_fail(SHIM_SIGN, 0, 1000000, CKR_DEVICE_REMOVED);
	shim_fail(SHIM_SESSION_INFO, 0, 1000000, CKR_DEVICE_REMOVED);
	shim_fail(SHIM_INITIALIZE, 0, 1000000, CKR_DEVICE_ERROR);
	shim_fail(SHIM_OPEN, 0, 1000000, CKR_DEVICE_REMOVED);
	before = shim_calls(SHIM_INITIALIZE);
	for (int i = 0; i < 200; i++) {
		CU_ASSERT_FALSE(sign_message(h, k, "SHA256", &e));
		CU_ASSERT_EQUAL(e.kind, ERR_HSM);
		usleep(2000);
	}
	CU_ASSERT_TRUE(e.retry_after > 0);
	tries = shim_calls(SHIM_INITIALIZE) - before;
	CU_ASSERT_TRUE(tries >= 2 && tries <= 4);
	shim_reset();
	usleep(900 * 1000);
	CU_ASSERT_TRUE(sign_message(h, k, "SHA256", &e));
	done(&p, h, k);
}

static void test_pin_refused_while_recovering__HSM_09(void)
{
	struct place p;
	struct hsm *h = fresh(&p);
	struct hsm_key *k = new_key(h, HSM_P256, "key");
	struct err e;

	CU_ASSERT_EQUAL(shim_module()->C_Logout(side_door()), CKR_OK);
	shim_fail(SHIM_LOGIN, 0, 1, CKR_PIN_INCORRECT);
	for (int i = 0; i < 4; i++) {
		CU_ASSERT_FALSE(sign_message(h, k, "SHA256", &e));
		CU_ASSERT_EQUAL(e.kind, ERR_PIN);
		usleep(120 * 1000);
	}
	CU_ASSERT_EQUAL(shim_calls(SHIM_LOGIN), 2);
	hsm_key_free(k);
	hsm_close(h);
	CU_ASSERT_PTR_NULL(shim_open(&p, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_PIN);
	CU_ASSERT_EQUAL(shim_calls(SHIM_LOGIN), 2);
	place_free(&p);
}

static void test_every_pin_error_is_one_attempt__HSM_09(void)
{
	static const CK_RV codes[] = { CKR_PIN_INCORRECT, CKR_PIN_LOCKED, CKR_PIN_EXPIRED, CKR_PIN_INVALID,
		                       CKR_PIN_LEN_RANGE, CKR_USER_PIN_NOT_INITIALIZED };
	struct place p;
	struct err e;

	for (size_t i = 0; i < COUNT_OF(codes); i++) {
		shim_reset();
		place_with_token(&p);
		shim_fail(SHIM_LOGIN, 0, 1, codes[i]);
		CU_ASSERT_PTR_NULL(shim_open(&p, &e));
		CU_ASSERT_EQUAL(e.kind, ERR_PIN);
		CU_ASSERT_PTR_NULL(shim_open(&p, &e));
		CU_ASSERT_EQUAL(e.kind, ERR_PIN);
		CU_ASSERT_EQUAL(shim_calls(SHIM_LOGIN), 1);
		place_free(&p);
	}
	/* Another error is no verdict on the PIN. */
	shim_reset();
	place_with_token(&p);
	shim_fail(SHIM_LOGIN, 0, 1, CKR_DEVICE_ERROR);
	CU_ASSERT_PTR_NULL(shim_open(&p, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_HSM);
	done(&p, shim_open(&p, &e), NULL);
}

static void test_key_lost_to_another_process(void)
{
	struct place p;
	struct hsm *h = fresh(&p);
	struct hsm_key *k = new_key(h, HSM_P256, "key"), *other = new_key(h, HSM_P256, "other");
	CK_SESSION_HANDLE s = side_door();
	char label[] = "key";
	CK_ATTRIBUTE find = { CKA_LABEL, label, 3 };
	CK_OBJECT_HANDLE o[4];
	CK_ULONG n = 0;
	struct err e;

	CU_ASSERT_TRUE(sign_message(h, k, "SHA256", &e));
	CU_ASSERT_EQUAL_FATAL(shim_module()->C_FindObjectsInit(s, &find, 1), CKR_OK);
	CU_ASSERT_EQUAL_FATAL(shim_module()->C_FindObjects(s, o, 4, &n), CKR_OK);
	(void)shim_module()->C_FindObjectsFinal(s);
	for (CK_ULONG i = 0; i < n; i++)
		CU_ASSERT_EQUAL(shim_module()->C_DestroyObject(s, o[i]), CKR_OK);
	for (int i = 0; i < 5; i++) {
		CU_ASSERT_FALSE(sign_message(h, k, "SHA256", &e));
		CU_ASSERT_EQUAL(e.kind, ERR_NOT_FOUND);
	}
	CU_ASSERT_EQUAL(stats(h).reopened, 0);
	CU_ASSERT_TRUE(sign_message(h, other, "SHA256", &e));
	hsm_key_free(other);
	done(&p, h, k);
}

static void test_points_with_and_without_octet_string__HSM_05(void)
{
	static const enum hsm_alg algs[] = { HSM_P256, HSM_P384 };
	struct place p;
	struct hsm *h = fresh(&p);
	struct err e;

	for (size_t i = 0; i < COUNT_OF(algs); i++) {
		for (int raw = 0; raw < 2; raw++) {
			shim_raw_points(raw);
			AUTO_STRUCT(hsm_key) *k = new_key(h, algs[i], "key");

			CU_ASSERT_TRUE(sign_message(h, k, algs[i] == HSM_P256 ? "SHA256" : "SHA384", &e));
		}
	}
	done(&p, h, NULL);
}

static void count_row(void *arg, const struct hsm_key_row *row)
{
	(void)row;
	++*(unsigned *)arg;
}

static void test_key_that_was_not_born_here__HSM_02(void)
{
	struct place p;
	struct hsm *h = fresh(&p);
	uint8_t id[HSM_ID_MAX];
	unsigned rows = 0;
	struct err e;
	size_t n;

	shim_not_local(true);
	CU_ASSERT_FALSE(hsm_key_generate(h, HSM_P256, "key", id, &n, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_HSM);
	CU_ASSERT_EQUAL(shim_calls(SHIM_DESTROY), 2);
	CU_ASSERT_TRUE(hsm_list(h, count_row, &rows, &e));
	CU_ASSERT_EQUAL(rows, 0);
	done(&p, h, NULL);
}

static void test_key_from_elsewhere_signs_nothing__HSM_02(void)
{
	struct place p;
	struct hsm *h = fresh(&p);
	struct hsm_key *k = NULL;
	uint8_t id[HSM_ID_MAX];
	struct err e;
	size_t n;

	CU_ASSERT_TRUE_FATAL(hsm_key_generate(h, HSM_P256, "key", id, &n, &e));
	shim_not_local(true);
	CU_ASSERT_FALSE(hsm_key_find(h, (struct span){ id, n }, &k, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_HSM);
	CU_ASSERT_PTR_NULL(k);
	shim_not_local(false);
	CU_ASSERT_TRUE(hsm_key_find(h, (struct span){ id, n }, &k, &e));
	done(&p, h, k);
}

static void test_only_the_signing_mechanism__HSM_03(void)
{
	static const struct {
		enum hsm_alg alg;
		CK_MECHANISM_TYPE only, other;
	} rows[] = { { HSM_P256, CKM_ECDSA, CKM_ECDSA_SHA1 }, { HSM_RSA2048, CKM_RSA_PKCS, CKM_RSA_X_509 } };
	struct place p;
	struct hsm *h = fresh(&p);
	CK_SESSION_HANDLE s = side_door();
	uint8_t id[HSM_ID_MAX];
	struct err e;
	size_t n;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
		CK_ATTRIBUTE find[] = { { CKA_CLASS, &class, sizeof class }, { CKA_ID, id, sizeof id } };
		CK_MECHANISM_TYPE allowed[4] = { 0 };
		CK_ATTRIBUTE a = { CKA_ALLOWED_MECHANISMS, allowed, sizeof allowed };
		CK_MECHANISM m = { rows[i].other, NULL, 0 };
		CK_OBJECT_HANDLE o = 0;
		CK_ULONG found = 0;

		CU_ASSERT_TRUE_FATAL(hsm_key_generate(h, rows[i].alg, "key", id, &n, &e));
		find[1].ulValueLen = n;
		CU_ASSERT_EQUAL_FATAL(shim_module()->C_FindObjectsInit(s, find, 2), CKR_OK);
		CU_ASSERT_EQUAL_FATAL(shim_module()->C_FindObjects(s, &o, 1, &found), CKR_OK);
		(void)shim_module()->C_FindObjectsFinal(s);
		CU_ASSERT_EQUAL_FATAL(found, 1);
		CU_ASSERT_EQUAL(shim_module()->C_GetAttributeValue(s, o, &a, 1), CKR_OK);
		CU_ASSERT_EQUAL(a.ulValueLen, sizeof allowed[0]);
		CU_ASSERT_EQUAL(allowed[0], rows[i].only);
		CU_ASSERT_NOT_EQUAL(shim_module()->C_SignInit(s, &m, o), CKR_OK);
	}
	done(&p, h, NULL);
}

static void test_a_token_about_to_lock_is_left_alone__HSM_09(void)
{
	static const CK_FLAGS flags[] = { CKF_USER_PIN_FINAL_TRY, CKF_USER_PIN_LOCKED };
	struct place p;
	struct err e;

	for (size_t i = 0; i < COUNT_OF(flags); i++) {
		shim_reset();
		place_with_token(&p);
		shim_flags(flags[i]);
		CU_ASSERT_PTR_NULL(shim_open(&p, &e));
		CU_ASSERT_EQUAL(e.kind, ERR_PIN);
		CU_ASSERT_EQUAL(shim_calls(SHIM_LOGIN), 0);
		CU_ASSERT_EQUAL(p.asked, 0);
		/* A person has unlocked it: no latch was set, for nothing was refused. */
		shim_flags(CKF_USER_PIN_COUNT_LOW);
		done(&p, shim_open(&p, &e), NULL);
		CU_ASSERT_EQUAL(e.kind, ERR_NONE);
	}
}

static void test_missing_mechanism_is_said__HSM_04(void)
{
	struct place p;
	struct hsm *h = fresh(&p);
	uint8_t id[HSM_ID_MAX];
	struct err e;
	size_t n;

	shim_fail(SHIM_MECHANISM_INFO, 0, 1, CKR_MECHANISM_INVALID);
	CU_ASSERT_FALSE(hsm_key_generate(h, HSM_ED25519, "key", id, &n, &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "can't make ed25519 keys"));
	shim_fail(SHIM_MECHANISM_INFO, 1, 1, CKR_MECHANISM_INVALID);
	CU_ASSERT_FALSE(hsm_key_generate(h, HSM_P384, "key", id, &n, &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "can't sign with ecdsa-p384 keys"));
	CU_ASSERT_EQUAL(shim_calls(SHIM_GENERATE), 0);
	shim_fail(SHIM_GENERATE, 0, 1, CKR_DEVICE_MEMORY);
	CU_ASSERT_FALSE(hsm_key_generate(h, HSM_P256, "key", id, &n, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_HSM);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "DEVICE_MEMORY"));
	/* A token that does not know an attribute gets the template without it. */
	shim_fail(SHIM_GENERATE, 0, 1, CKR_ATTRIBUTE_TYPE_INVALID);
	CU_ASSERT_TRUE(hsm_key_generate(h, HSM_P256, "key", id, &n, &e));
	done(&p, h, NULL);
}

static void test_sessions_are_bounded__HSM_11(void)
{
	struct place p;
	struct hsm *h = fresh(&p);
	struct err e;

	hsm_close(h);
	shim_sessions(1);
	CU_ASSERT_PTR_NULL(shim_open(&p, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_HSM);
	shim_sessions(2);
	h = shim_open(&p, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(h);
	CU_ASSERT_EQUAL(stats(h).sessions, 1);
	done(&p, h, NULL);
}

struct crew {
	struct hsm *h;
	struct hsm_key *k;
	atomic_uint good, bad;
	atomic_bool stop;
};

static void *sign_until(void *arg)
{
	struct crew *c = arg;
	struct err e;

	while (!c->stop)
		atomic_fetch_add(sign_message(c->h, c->k, "SHA256", &e) ? &c->good : &c->bad, 1);
	return NULL;
}

/* Eight signers, while the login is taken away and the module closed under them. */
static void test_eight_threads_through_losses__HSM_10(void)
{
	struct crew c = { 0 };
	struct place p;
	pthread_t t[8];
	struct err e;

	c.h = fresh(&p);
	c.k = new_key(c.h, HSM_P256, "key");
	for (size_t i = 0; i < COUNT_OF(t); i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&t[i], NULL, sign_until, &c), 0);
	for (int i = 0; i < 10; i++) {
		usleep(30 * 1000);
		shim_fail(SHIM_SIGN, 0, 1, healable[(size_t)i % COUNT_OF(healable)]);
		if (i % 3 == 0)
			shim_fail(SHIM_SESSION_INFO, 0, 1, CKR_SESSION_HANDLE_INVALID);
		if (i % 4 == 0)
			shim_fail(SHIM_SIGN_INIT, 0, 3, CKR_USER_NOT_LOGGED_IN);
	}
	usleep(30 * 1000);
	c.stop = true;
	for (size_t i = 0; i < COUNT_OF(t); i++)
		pthread_join(t[i], NULL);
	CU_ASSERT_TRUE(c.good > 20);
	/* Faults in a row may meet both attempts of one request: a few fail, none hangs, none is wrong. */
	CU_ASSERT_TRUE(c.bad < 20);
	CU_ASSERT_EQUAL(stats(c.h).in_use, 0);
	CU_ASSERT_EQUAL(p.asked, 1);
	CU_ASSERT_TRUE(sign_message(c.h, c.k, "SHA256", &e));
	done(&p, c.h, c.k);
}

static void test_slots_in_another_order__HSM_07(void)
{
	struct place p, q;
	struct hsm_stats s;
	AUTO_FREE char *move = NULL;
	char serial[20], uri[64];
	struct hsm_config c;
	struct hsm *h;
	struct err e;

	shim_reset();
	place_with_token(&p);
	place_with_token(&q);
	move = mem_printf("mv %s/token/* %s/token/", p.dir, q.dir);
	h = place_open(&p);
	s = stats(h);
	memcpy(serial, s.serial, sizeof serial);
	hsm_close(h);
	/* Both tokens in q's store; the store that is configured last counts. */
	CU_ASSERT_TRUE_FATAL(hsm_embedded_configure(q.dir, &e));
	CU_ASSERT_EQUAL_FATAL(system(move), 0);
	snprintf(uri, sizeof uri, "pkcs11:serial=%s", serial);
	for (int reversed = 0; reversed < 2; reversed++) {
		h = NULL;
		shim_reverse_slots(reversed);
		c = place_config(&p);
		c.module = "libp11_shim.so";
		c.token = uri;
		CU_ASSERT_TRUE_FATAL(hsm_open(&h, &c, &e));
		s = stats(h);
		CU_ASSERT_STRING_EQUAL(s.serial, serial);
		/* And again when the module is started anew in the middle. */
		shim_reverse_slots(!reversed);
		CU_ASSERT_EQUAL(shim_module()->C_Finalize(NULL), CKR_OK);
		hsm_key_free(new_key(h, HSM_P256, "key"));
		s = stats(h);
		CU_ASSERT_STRING_EQUAL(s.serial, serial);
		hsm_close(h);
	}
	shim_reset();
	place_free(&p);
	place_free(&q);
}

static const struct cu_case cases[] = {
	{ "initialize_with_os_locking__HSM_11", test_initialize_with_os_locking__HSM_11 },
	{ "one_fault_is_healed__HSM_10", test_one_fault_is_healed__HSM_10 },
	{ "other_faults_are_not_tried_again", test_other_faults_are_not_tried_again },
	{ "abandoned_operation_never_goes_back", test_abandoned_operation_never_goes_back },
	{ "lost_login_is_healed__HSM_10", test_lost_login_is_healed__HSM_10 },
	{ "lost_sessions_and_module_are_healed__HSM_10", test_lost_sessions_and_module_are_healed__HSM_10 },
	{ "token_pulled_and_put_back__HSM_10", test_token_pulled_and_put_back__HSM_10 },
	{ "dead_token_is_not_hammered__HSM_10", test_dead_token_is_not_hammered__HSM_10 },
	{ "pin_refused_while_recovering__HSM_09", test_pin_refused_while_recovering__HSM_09 },
	{ "every_pin_error_is_one_attempt__HSM_09", test_every_pin_error_is_one_attempt__HSM_09 },
	{ "key_lost_to_another_process", test_key_lost_to_another_process },
	{ "points_with_and_without_octet_string__HSM_05", test_points_with_and_without_octet_string__HSM_05 },
	{ "key_that_was_not_born_here__HSM_02", test_key_that_was_not_born_here__HSM_02 },
	{ "key_from_elsewhere_signs_nothing__HSM_02", test_key_from_elsewhere_signs_nothing__HSM_02 },
	{ "only_the_signing_mechanism__HSM_03", test_only_the_signing_mechanism__HSM_03 },
	{ "a_token_about_to_lock_is_left_alone__HSM_09", test_a_token_about_to_lock_is_left_alone__HSM_09 },
	{ "missing_mechanism_is_said__HSM_04", test_missing_mechanism_is_said__HSM_04 },
	{ "sessions_are_bounded__HSM_11", test_sessions_are_bounded__HSM_11 },
	{ "eight_threads_through_losses__HSM_10", test_eight_threads_through_losses__HSM_10 },
	{ "slots_in_another_order__HSM_07", test_slots_in_another_order__HSM_07 },
};

CU_MAIN(cases)
