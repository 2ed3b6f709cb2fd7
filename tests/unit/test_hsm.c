/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "hsm/hsm.h"
#include "tests/cu.h"
#include "tests/shim/token.h"

#include <dirent.h>
#include <dlfcn.h>
#include <p11-kit/pkcs11.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

/* --- Names and refusals without a token */

static void test_algorithm_names(void)
{
	static const char *const bad[] = { "", "p256", "ecdsa-p521", "rsa-1024", "ECDSA-P256", "rsa-2048 " };
	enum hsm_alg a;

	for (size_t i = 0; i < COUNT_OF(bad); i++)
		CU_ASSERT_FALSE(hsm_alg_parse(bad[i], &a));
	CU_ASSERT_TRUE_FATAL(hsm_alg_parse("ecdsa-p384", &a));
	CU_ASSERT_EQUAL(a, HSM_P384);
	CU_ASSERT_STRING_EQUAL(hsm_alg_name(HSM_ED25519), "ed25519");
	CU_ASSERT_STRING_EQUAL(hsm_alg_name((enum hsm_alg)99), "other");
}

static bool open_as(struct place *p, const char *module, const char *token, struct err *e)
{
	AUTO_STRUCT(hsm) *h = NULL;
	struct hsm_config c = place_config(p);

	c.module = module;
	c.token = token;
	*e = (struct err){ 0 };
	return hsm_open(&h, &c, e);
}

static void test_refuses_what_is_no_module(void)
{
	struct place p;
	struct err e;

	place_new(&p);
	CU_ASSERT_FALSE(open_as(&p, "/nonexistent/module.so", "caduceus", &e));
	CU_ASSERT_EQUAL(e.kind, ERR_HSM);
	CU_ASSERT_FALSE(open_as(&p, "libm.so.6", "caduceus", &e));
	CU_ASSERT_EQUAL(e.kind, ERR_HSM);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "no PKCS#11 module"));
	CU_ASSERT_FALSE(open_as(&p, "embedded", "caduceus", &e));
	CU_ASSERT_EQUAL(p.asked, 0);
	place_free(&p);
}

static void test_create_refuses(void)
{
	struct place p;
	struct err e = { 0 };

	place_with_token(&p);
	CU_ASSERT_FALSE(hsm_embedded_create(p.dir, "again", p.pin, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_EXISTS);
	place_free(&p);
	place_new(&p);
	CU_ASSERT_FALSE(hsm_embedded_create(p.dir, "123456789012345678901234567890123", p.pin, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_CONFIG);
	CU_ASSERT_FALSE(hsm_embedded_create(p.dir, "", p.pin, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_CONFIG);
	CU_ASSERT_FALSE(hsm_embedded_create("/nonexistent", "caduceus", p.pin, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_IO);
	place_free(&p);
}

/* --- Which token: RFC 7512 */

static void serial_of(struct place *p, char out[20])
{
	AUTO_STRUCT(hsm) *h = place_open(p);
	struct hsm_stats s;

	hsm_stats(h, &s);
	memcpy(out, s.serial, sizeof s.serial);
}

static void test_refuses_uri__HSM_07(void)
{
	static const char *const bad[] = {
		"", "pkcs11:", "pkcs11:slot-id=0", "pkcs11:slot-id=0;token=caduceus", "pkcs11:token=caduceus;object=root",
		"pkcs11:token=caduceus;", "pkcs11:;token=caduceus", "pkcs11:token=", "pkcs11:token", "pkcs11:token=a;token=b",
		"pkcs11:token=%4", "pkcs11:token=%zz", "pkcs11:token=a%00b", "pkcs11:token=caduceus?pin-value=1234",
		"pkcs11:serial=12345678901234567", "pkcs11:model=SoftHSM%20v2", "pkcs11:manufacturer=SoftHSM%20project",
		"123456789012345678901234567890123",
	};
	struct place p;
	struct err e;

	place_with_token(&p);
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		CU_ASSERT_FALSE(open_as(&p, "embedded", bad[i], &e));
		CU_ASSERT_EQUAL(e.kind, ERR_CONFIG);
		CU_ASSERT_PTR_NULL(strstr(e.text, "1234\n"));
	}
	CU_ASSERT_FALSE(open_as(&p, "embedded", "pkcs11:token=caduceus?pin-value=7531", &e));
	CU_ASSERT_PTR_NULL(strstr(e.text, "7531"));
	CU_ASSERT_FALSE(open_as(&p, "embedded", "another", &e));
	CU_ASSERT_EQUAL(e.kind, ERR_HSM);
	CU_ASSERT_FALSE(open_as(&p, "embedded", "pkcs11:token=caduceus;serial=0000000000000000", &e));
	CU_ASSERT_EQUAL(e.kind, ERR_HSM);
	CU_ASSERT_EQUAL(p.asked, 0);
	CU_ASSERT_TRUE(open_as(&p, "embedded", "pkcs11:token=c%61duceus;model=SoftHSM%20v2", &e));
	place_free(&p);
}

/* Two tokens in one store: made apart, one folder moved into the other's. */
static void test_two_tokens__HSM_07(void)
{
	struct place a, b;
	char serial_a[20], serial_b[20], text[64];
	AUTO_FREE char *module = NULL;
	AUTO_FREE char *move = NULL;
	struct err e;

	place_with_token(&a);
	place_with_token(&b);
	serial_of(&a, serial_a);
	serial_of(&b, serial_b);
	CU_ASSERT_STRING_NOT_EQUAL(serial_a, serial_b);
	move = mem_printf("mv %s/token/* %s/token/", b.dir, a.dir);
	CU_ASSERT_EQUAL_FATAL(system(move), 0);
	CU_ASSERT_FALSE(open_as(&a, "embedded", "caduceus", &e));
	CU_ASSERT_EQUAL(e.kind, ERR_CONFIG);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "serial="));
	a.asked = 0;
	snprintf(text, sizeof text, "pkcs11:serial=%s", serial_a);
	CU_ASSERT_TRUE(open_as(&a, "embedded", text, &e));
	a.give = b.pin;
	snprintf(text, sizeof text, "pkcs11:serial=%s;token=caduceus", serial_b);
	CU_ASSERT_TRUE(open_as(&a, "embedded", text, &e));
	CU_ASSERT_EQUAL(a.asked, 2);
	place_free(&a);
	place_free(&b);
}

/* --- Keys */

struct seen {
	unsigned n;
	struct hsm_key_row row[8];
};

static void see(void *arg, const struct hsm_key_row *row)
{
	struct seen *s = arg;

	if (s->n < COUNT_OF(s->row))
		s->row[s->n] = *row;
	s->n++;
}

static CK_FUNCTION_LIST *softhsm(void)
{
	static const char *const places[] = { "/usr/lib/softhsm/libsofthsm2.so",
		                              "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
		                              "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so" };
	CK_RV (*get)(CK_FUNCTION_LIST **) = NULL;
	CK_FUNCTION_LIST *f = NULL;
	void *library = NULL;

	for (size_t i = 0; library == NULL && i < COUNT_OF(places); i++)
		library = dlopen(places[i], RTLD_NOW | RTLD_NOLOAD);
	CU_ASSERT_PTR_NOT_NULL_FATAL(library);
	*(void **)&get = dlsym(library, "C_GetFunctionList");
	CU_ASSERT_EQUAL_FATAL(get(&f), CKR_OK);
	dlclose(library);
	return f;
}

/* Asks the module itself, not our own reading: our login holds for every session of the process. */
static void test_attribute_dump__HSM_01(void)
{
	static const struct {
		CK_ATTRIBUTE_TYPE type;
		CK_BBOOL want;
	} flags[] = { { CKA_TOKEN, 1 }, { CKA_PRIVATE, 1 }, { CKA_SENSITIVE, 1 }, { CKA_EXTRACTABLE, 0 }, { CKA_SIGN, 1 },
		      { CKA_DECRYPT, 0 }, { CKA_UNWRAP, 0 }, { CKA_SIGN_RECOVER, 0 }, { CKA_DERIVE, 0 }, { CKA_MODIFIABLE, 0 },
		      { 0x171, 0 }, { CKA_ALWAYS_SENSITIVE, 1 }, { CKA_NEVER_EXTRACTABLE, 1 }, { CKA_LOCAL, 1 } };
	static const enum hsm_alg algs[] = { HSM_P256, HSM_RSA2048 };
	CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	CK_ATTRIBUTE find = { CKA_CLASS, &class, sizeof class };
	CK_OBJECT_HANDLE o[4];
	CK_SESSION_HANDLE s;
	CK_SLOT_ID slots[4];
	CK_ULONG n = 4;
	struct place p;

	place_with_token(&p);
	AUTO_STRUCT(hsm) *h = place_open(&p);

	for (size_t i = 0; i < COUNT_OF(algs); i++)
		hsm_key_free(new_key(h, algs[i], "devices-1"));
	CK_FUNCTION_LIST *f = softhsm();

	CU_ASSERT_EQUAL_FATAL(f->C_GetSlotList(CK_TRUE, slots, &n), CKR_OK);
	CU_ASSERT_EQUAL_FATAL(f->C_OpenSession(slots[0], CKF_SERIAL_SESSION, NULL, NULL, &s), CKR_OK);
	CU_ASSERT_EQUAL_FATAL(f->C_FindObjectsInit(s, &find, 1), CKR_OK);
	CU_ASSERT_EQUAL_FATAL(f->C_FindObjects(s, o, 4, &n), CKR_OK);
	(void)f->C_FindObjectsFinal(s);
	CU_ASSERT_EQUAL_FATAL(n, 2);
	for (CK_ULONG k = 0; k < n; k++) {
		uint8_t secret[4096];
		CK_ATTRIBUTE value = { CKA_VALUE, secret, sizeof secret };
		CK_ATTRIBUTE exponent = { CKA_PRIVATE_EXPONENT, secret, sizeof secret };

		for (size_t i = 0; i < COUNT_OF(flags); i++) {
			CK_BBOOL v = 9;
			CK_ATTRIBUTE a = { flags[i].type, &v, 1 };

			CU_ASSERT_EQUAL(f->C_GetAttributeValue(s, o[k], &a, 1), CKR_OK);
			CU_ASSERT_EQUAL(v, flags[i].want);
		}
		CU_ASSERT_NOT_EQUAL(f->C_GetAttributeValue(s, o[k], &value, 1), CKR_OK);
		CU_ASSERT_NOT_EQUAL(f->C_GetAttributeValue(s, o[k], &exponent, 1), CKR_OK);
	}
	CU_ASSERT_EQUAL(f->C_CloseSession(s), CKR_OK);
	place_free(&p);
}

static void test_list__HSM_01(void)
{
	struct place p;
	struct seen s = { 0 };
	struct err e;

	place_with_token(&p);
	AUTO_STRUCT(hsm) *h = place_open(&p);

	hsm_key_free(new_key(h, HSM_P256, "root-1"));
	softhsm_leaks(true);
	hsm_key_free(new_key(h, HSM_ED25519, "root-2"));
	softhsm_leaks(false);
	CU_ASSERT_TRUE(hsm_list(h, see, &s, &e));
	CU_ASSERT_EQUAL_FATAL(s.n, 2);
	for (unsigned i = 0; i < 2; i++) {
		const struct hsm_key_row *r = &s.row[i];

		CU_ASSERT_TRUE(strcmp(r->label, "root-1") == 0 ? r->alg == HSM_P256
		                                               : strcmp(r->label, "root-2") == 0 && r->alg == HSM_ED25519);
		CU_ASSERT_EQUAL(r->id_n, 16);
		CU_ASSERT_TRUE(r->token && r->private_ && r->sensitive && r->always_sensitive && r->never_extractable &&
		               r->local && r->sign);
		CU_ASSERT_FALSE(r->extractable || r->decrypt || r->unwrap || r->derive || r->modifiable);
	}
	CU_ASSERT_NOT_EQUAL(memcmp(s.row[0].id, s.row[1].id, 16), 0);
	place_free(&p);
}

static void test_signatures_verify__HSM_04(void)
{
	static const struct {
		enum hsm_alg alg;
		const char *digest;
	} table[] = { { HSM_P256, "SHA256" }, { HSM_P384, "SHA384" }, { HSM_RSA2048, "SHA256" }, { HSM_ED25519, NULL } };
	struct place p;
	struct err e;

	place_with_token(&p);
	AUTO_STRUCT(hsm) *h = place_open(&p);

	for (size_t i = 0; i < COUNT_OF(table); i++) {
		if (table[i].alg == HSM_ED25519)
			softhsm_leaks(true);
		AUTO_STRUCT(hsm_key) *k = new_key(h, table[i].alg, "key");

		CU_ASSERT_EQUAL(hsm_key_alg(k), table[i].alg);
		/* r and s have leading zeros or a set top bit often enough in this many. */
		for (int times = 0; times < (table[i].alg == HSM_RSA2048 ? 2 : 40); times++)
			CU_ASSERT_TRUE(sign_message(h, k, table[i].digest, &e));
		if (table[i].alg == HSM_RSA2048) {
			CU_ASSERT_TRUE(sign_message(h, k, "SHA384", &e));
			CU_ASSERT_TRUE(sign_message(h, k, "SHA512", &e));
		}
		if (table[i].alg == HSM_ED25519)
			softhsm_leaks(false);
	}
	place_free(&p);
}

static void test_sign_refuses_what_is_no_digest(void)
{
	static const size_t lengths[] = { 0, 1, 20, 28, 31, 33, 47, 63, 65, 100 };
	static const enum hsm_alg algs[] = { HSM_P256, HSM_RSA2048 };
	uint8_t in[128] = { 0 }, out[HSM_SIG_MAX];
	struct place p;
	struct err e;
	size_t n;

	place_with_token(&p);
	AUTO_STRUCT(hsm) *h = place_open(&p);

	for (size_t a = 0; a < COUNT_OF(algs); a++) {
		AUTO_STRUCT(hsm_key) *k = new_key(h, algs[a], "key");

		for (size_t i = 0; i < COUNT_OF(lengths); i++)
			CU_ASSERT_FALSE(hsm_sign(h, k, (struct span){ in, lengths[i] }, out, &n, &e));
		CU_ASSERT_TRUE(hsm_sign(h, k, (struct span){ in, 32 }, out, &n, &e));
	}
	place_free(&p);
}

static void test_reopen_and_two_keys(void)
{
	struct place p;
	struct seen s = { 0 };
	AUTO_BUF spki = { 0 };
	struct err e;

	place_with_token(&p);
	{
		AUTO_STRUCT(hsm) *h = place_open(&p);
		AUTO_STRUCT(hsm_key) *a = new_key(h, HSM_P256, "a");
		AUTO_STRUCT(hsm_key) *b = new_key(h, HSM_P256, "b");

		CU_ASSERT_FALSE(span_equal(hsm_key_spki(a), hsm_key_spki(b)));
		buf_add(&spki, hsm_key_spki(b).p, hsm_key_spki(b).n);
	}
	AUTO_STRUCT(hsm) *h = place_open(&p);

	CU_ASSERT_TRUE(hsm_list(h, see, &s, &e));
	CU_ASSERT_EQUAL_FATAL(s.n, 2);
	for (unsigned i = 0; i < 2; i++) {
		AUTO_STRUCT(hsm_key) *k = NULL;

		CU_ASSERT_TRUE_FATAL(hsm_key_find(h, (struct span){ s.row[i].id, s.row[i].id_n }, &k, &e));
		CU_ASSERT_EQUAL(span_equal(hsm_key_spki(k), span_of(&spki)), strcmp(s.row[i].label, "b") == 0);
		CU_ASSERT_TRUE(sign_message(h, k, "SHA256", &e));
	}
	place_free(&p);
}

static void test_key_that_is_not_there(void)
{
	uint8_t id[HSM_ID_MAX + 1] = { 1 }, out[HSM_SIG_MAX];
	struct place p;
	struct err e;
	size_t n;

	place_with_token(&p);
	AUTO_STRUCT(hsm) *h = place_open(&p);
	AUTO_STRUCT(hsm_key) *k = NULL;
	static const size_t lengths[] = { 0, 1, 16, HSM_ID_MAX, HSM_ID_MAX + 1 };

	for (size_t i = 0; i < COUNT_OF(lengths); i++) {
		CU_ASSERT_FALSE(hsm_key_find(h, (struct span){ id, lengths[i] }, &k, &e));
		CU_ASSERT_EQUAL(e.kind, ERR_NOT_FOUND);
	}
	CU_ASSERT_FALSE(hsm_key_destroy(h, (struct span){ id, 16 }, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_NOT_FOUND);
	CU_ASSERT_FALSE(hsm_key_destroy(h, (struct span){ id, 0 }, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_NOT_FOUND);
	CU_ASSERT_FALSE(hsm_key_generate(h, (enum hsm_alg)0, "x", id, &n, &e));
	CU_ASSERT_FALSE(hsm_key_generate(h, HSM_P256,
	                                 "1234567890123456789012345678901234567890123456789012345678901234", id, &n, &e));

	CU_ASSERT_TRUE_FATAL(hsm_key_generate(h, HSM_P256, "gone", id, &n, &e));
	CU_ASSERT_TRUE_FATAL(hsm_key_find(h, (struct span){ id, n }, &k, &e));
	CU_ASSERT_TRUE(sign_message(h, k, "SHA256", &e));
	CU_ASSERT_TRUE(hsm_key_destroy(h, (struct span){ id, n }, &e));
	/* A handle that was cached does not outlive its key, and the token is not opened again for it. */
	CU_ASSERT_FALSE(hsm_sign(h, k, (struct span){ id, 32 }, out, &n, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_NOT_FOUND);
	struct hsm_stats s;

	hsm_stats(h, &s);
	CU_ASSERT_EQUAL(s.reopened, 0);
	place_free(&p);
}

/* --- The PIN */

static void test_wrong_pin_once__HSM_09(void)
{
	struct place p;
	struct err e;
	AUTO_FREE char *latch = NULL;

	place_with_token(&p);
	latch = mem_printf("%s/ca/pin-refused", p.dir);
	p.wrong = true;
	CU_ASSERT_FALSE(open_as(&p, "embedded", "caduceus", &e));
	CU_ASSERT_EQUAL(e.kind, ERR_PIN);
	CU_ASSERT_EQUAL(p.asked, 1);
	CU_ASSERT_PTR_NULL(strstr(e.text, "not-the-pin"));
	/* The right PIN, or any: not asked for, not tried. */
	p.wrong = false;
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_FALSE(open_as(&p, "embedded", "caduceus", &e));
		CU_ASSERT_EQUAL(e.kind, ERR_PIN);
		CU_ASSERT_PTR_NOT_NULL(strstr(e.text, latch));
	}
	CU_ASSERT_EQUAL(p.asked, 1);
	CU_ASSERT_EQUAL(unlink(latch), 0);
	CU_ASSERT_TRUE(open_as(&p, "embedded", "caduceus", &e));
	CU_ASSERT_EQUAL(p.asked, 2);
	place_free(&p);
}

static void test_no_attempt_without_a_latch__HSM_09(void)
{
	AUTO_FREE char *folder = NULL, *away = NULL;
	struct place p;
	struct err e;

	place_with_token(&p);
	folder = mem_printf("%s/ca", p.dir);
	away = mem_printf("%s/ca.away", p.dir);
	CU_ASSERT_EQUAL(rename(folder, away), 0);
	p.wrong = true;
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_FALSE(open_as(&p, "embedded", "caduceus", &e));
		CU_ASSERT_EQUAL(e.kind, ERR_IO);
	}
	CU_ASSERT_EQUAL(p.asked, 0);
	CU_ASSERT_EQUAL(rename(away, folder), 0);
	p.wrong = false;
	CU_ASSERT_TRUE(open_as(&p, "embedded", "caduceus", &e));
	place_free(&p);
}

static bool open_marked(struct place *p, const char *mark, struct err *e)
{
	AUTO_STRUCT(hsm) *h = NULL;
	struct hsm_config c = place_config(p);

	c.pin_mark = mark;
	return hsm_open(&h, &c, e);
}

static void test_latch_opens_with_a_new_source__HSM_09(void)
{
	struct place p;
	struct err e;

	place_with_token(&p);
	p.wrong = true;
	CU_ASSERT_FALSE(open_marked(&p, "file 1", &e));
	p.wrong = false;
	CU_ASSERT_FALSE(open_marked(&p, "file 1", &e));
	CU_ASSERT_FALSE(open_marked(&p, "", &e));
	CU_ASSERT_FALSE(open_marked(&p, NULL, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_PIN);
	CU_ASSERT_EQUAL(p.asked, 1);
	CU_ASSERT_TRUE(open_marked(&p, "file", &e));
	CU_ASSERT_TRUE(open_marked(&p, "file 1", &e));
	place_free(&p);
}

static bool no_pin(void *arg, char *out, size_t cap, struct err *e)
{
	(void)arg;
	(void)out;
	(void)cap;
	return err_set(e, ERR_CONFIG, "the PIN file is not there");
}

static void test_source_without_a_pin_sets_no_latch__HSM_08(void)
{
	AUTO_STRUCT(hsm) *h = NULL;
	struct hsm_config c;
	struct place p;
	struct err e;

	place_with_token(&p);
	c = place_config(&p);
	c.pin = no_pin;
	CU_ASSERT_FALSE(hsm_open(&h, &c, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_CONFIG);
	CU_ASSERT_STRING_EQUAL(e.text, "the PIN file is not there");
	p.give = "";
	CU_ASSERT_FALSE(open_as(&p, "embedded", "caduceus", &e));
	CU_ASSERT_EQUAL(e.kind, ERR_CONFIG);
	p.give = NULL;
	CU_ASSERT_TRUE(open_as(&p, "embedded", "caduceus", &e));
	place_free(&p);
}

struct page {
	struct place *place;
	char *at;
	bool locked, in_no_core;
};

static bool look_at_page(void *arg, char *out, size_t cap, struct err *e)
{
	struct page *g = arg;
	FILE *f = fopen("/proc/self/smaps", "r");
	char line[512];
	unsigned long from, to;
	bool here = false;

	g->at = out;
	while (f != NULL && fgets(line, sizeof line, f) != NULL) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			here = (unsigned long)out >= from && (unsigned long)out < to;
		else if (here && strncmp(line, "VmFlags:", 8) == 0) {
			g->locked = strstr(line, " lo") != NULL;
			g->in_no_core = strstr(line, " dd") != NULL;
		}
	}
	if (f != NULL)
		fclose(f);
	return place_pin(g->place, out, cap, e);
}

static void test_pin_page__HSM_08(void)
{
	struct hsm *h = NULL;
	struct hsm_config c;
	struct page g = { 0 };
	struct place p;
	struct err e;
	unsigned char there;

	place_with_token(&p);
	g.place = &p;
	c = place_config(&p);
	c.pin = look_at_page;
	c.pin_arg = &g;
	CU_ASSERT_TRUE_FATAL(hsm_open(&h, &c, &e));
	CU_ASSERT_TRUE(g.locked);
	CU_ASSERT_TRUE(g.in_no_core);
	hsm_close(h);
	/* The page is gone, after it was wiped. */
	CU_ASSERT_TRUE(mincore(g.at, 1, &there) != 0 || memcmp(g.at, p.pin, 32) != 0);
	place_free(&p);
}

/* --- Many at once */

struct crew {
	struct hsm *h;
	struct hsm_key *k;
	atomic_uint good, bad;
};

static void *sign_many(void *arg)
{
	struct crew *c = arg;
	struct err e;

	for (int i = 0; i < 25; i++)
		atomic_fetch_add(sign_message(c->h, c->k, "SHA256", &e) ? &c->good : &c->bad, 1);
	return NULL;
}

static void test_eight_threads(void)
{
	struct crew c = { 0 };
	struct hsm_stats s;
	pthread_t t[8];
	struct place p;

	place_with_token(&p);
	c.h = place_open(&p);
	c.k = new_key(c.h, HSM_P256, "busy");
	for (size_t i = 0; i < COUNT_OF(t); i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&t[i], NULL, sign_many, &c), 0);
	for (size_t i = 0; i < COUNT_OF(t); i++)
		pthread_join(t[i], NULL);
	CU_ASSERT_EQUAL(c.good, 200);
	CU_ASSERT_EQUAL(c.bad, 0);
	hsm_stats(c.h, &s);
	CU_ASSERT_EQUAL(s.signatures, 200);
	CU_ASSERT_EQUAL(s.failures, 0);
	CU_ASSERT_EQUAL(s.in_use, 0);
	CU_ASSERT_TRUE(s.logged_in);
	CU_ASSERT_STRING_EQUAL(s.token, "caduceus");
	hsm_key_free(c.k);
	hsm_close(c.h);
	place_free(&p);
}

/* C_Login rewrites token.object: starts at once lose the token, unless they wait for each other. */
static void test_starts_at_once_keep_the_token(void)
{
	struct place p;
	pid_t child[4];

	place_with_token(&p);
	fflush(NULL);
	for (size_t i = 0; i < COUNT_OF(child); i++) {
		child[i] = fork();
		if (child[i] == 0) {
			struct err e;
			int bad = 0;

			for (int k = 0; k < 5; k++)
				bad += !open_as(&p, "embedded", "caduceus", &e);
			_exit(bad);
		}
	}
	for (size_t i = 0; i < COUNT_OF(child); i++) {
		int status = -1;

		CU_ASSERT_EQUAL(waitpid(child[i], &status, 0), child[i]);
		CU_ASSERT_EQUAL(status, 0);
	}
	place_free(&p);
}

/* --- token.object */

static void token_object(struct place *p, char out[256])
{
	AUTO_FREE char *folder = mem_printf("%s/token", p->dir);
	DIR *d = opendir(folder);
	struct dirent *entry;

	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	while ((entry = readdir(d)) != NULL)
		if (strlen(entry->d_name) == 36)
			snprintf(out, 256, "%s/%.36s/token.object", folder, entry->d_name);
	closedir(d);
}

static void test_damaged_token_is_put_back(void)
{
	char path[256];
	AUTO_BUF whole = { 0 };
	struct hsm_key *k;
	struct place p;
	struct hsm *h;
	struct err e;

	place_with_token(&p);
	h = place_open(&p);
	k = new_key(h, HSM_P256, "kept");
	hsm_key_free(k);
	hsm_close(h);
	token_object(&p, path);
	CU_ASSERT_TRUE_FATAL(file_read(&whole, path, 1 << 20, &e));
	for (int how = 0; how < 4; how++) {
		struct seen s = { 0 };
		AUTO_BUF now = { 0 };

		CU_ASSERT_EQUAL_FATAL(how == 3 ? unlink(path) : truncate(path, how == 1 ? (off_t)whole.n - 1 : 0), 0);
		if (how == 2)
			CU_ASSERT_EQUAL_FATAL(truncate(path, (off_t)whole.n), 0); /* zeros */
		h = place_open(&p);
		CU_ASSERT_TRUE(hsm_list(h, see, &s, &e));
		CU_ASSERT_EQUAL(s.n, 1);
		CU_ASSERT_TRUE(file_read(&now, path, 1 << 20, &e));
		CU_ASSERT_EQUAL(now.n, whole.n);
		hsm_close(h);
	}
	place_free(&p);
}

static void test_copy_of_another_token_is_not_put_back(void)
{
	struct place p, q;
	char path[256];
	AUTO_FREE char *command = NULL;
	struct err e;

	place_with_token(&p);
	place_with_token(&q);
	command = mem_printf("cp %s/ca/token.object.copy %s/ca/", q.dir, p.dir);
	CU_ASSERT_EQUAL_FATAL(system(command), 0);
	CU_ASSERT_TRUE(open_as(&p, "embedded", "caduceus", &e));
	token_object(&p, path);
	CU_ASSERT_EQUAL_FATAL(truncate(path, 0), 0);
	CU_ASSERT_FALSE(open_as(&p, "embedded", "caduceus", &e));
	CU_ASSERT_EQUAL(e.kind, ERR_HSM);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "another token"));
	CU_ASSERT_EQUAL(p.asked, 1);
	place_free(&p);
	place_free(&q);
}

static void test_instance_can_be_moved(void)
{
	struct place p;
	char was[64];
	struct err e;

	place_with_token(&p);
	strcpy(was, p.dir);
	p.dir[strlen(p.dir) - 1] ^= 1;
	CU_ASSERT_EQUAL_FATAL(rename(was, p.dir), 0);
	CU_ASSERT_TRUE(open_as(&p, "embedded", "caduceus", &e));
	CU_ASSERT_FALSE(hsm_embedded_configure(was, &e));
	place_free(&p);
}

static const struct cu_case cases[] = {
	{ "algorithm_names", test_algorithm_names },
	{ "refuses_what_is_no_module", test_refuses_what_is_no_module },
	{ "create_refuses", test_create_refuses },
	{ "refuses_uri__HSM_07", test_refuses_uri__HSM_07 },
	{ "two_tokens__HSM_07", test_two_tokens__HSM_07 },
	{ "attribute_dump__HSM_01", test_attribute_dump__HSM_01 },
	{ "list__HSM_01", test_list__HSM_01 },
	{ "signatures_verify__HSM_04", test_signatures_verify__HSM_04 },
	{ "sign_refuses_what_is_no_digest", test_sign_refuses_what_is_no_digest },
	{ "reopen_and_two_keys", test_reopen_and_two_keys },
	{ "key_that_is_not_there", test_key_that_is_not_there },
	{ "wrong_pin_once__HSM_09", test_wrong_pin_once__HSM_09 },
	{ "no_attempt_without_a_latch__HSM_09", test_no_attempt_without_a_latch__HSM_09 },
	{ "latch_opens_with_a_new_source__HSM_09", test_latch_opens_with_a_new_source__HSM_09 },
	{ "source_without_a_pin_sets_no_latch__HSM_08", test_source_without_a_pin_sets_no_latch__HSM_08 },
	{ "pin_page__HSM_08", test_pin_page__HSM_08 },
	{ "eight_threads", test_eight_threads },
	{ "starts_at_once_keep_the_token", test_starts_at_once_keep_the_token },
	{ "damaged_token_is_put_back", test_damaged_token_is_put_back },
	{ "copy_of_another_token_is_not_put_back", test_copy_of_another_token_is_not_put_back },
	{ "instance_can_be_moved", test_instance_can_be_moved },
};

CU_MAIN(cases)
