/* SPDX-License-Identifier: Apache-2.0
 *
 * The floor: what one certificate must cost, whoever issues it, in one loop of one process: the request's signature
 * verified, a certificate's octets written, its digest signed by the token, that signature verified, and a shared flush.
 * usage: bench-floor FOLDER CERTIFICATES */
#include "base/clock.h"
#include "base/der.h"
#include "base/mem.h"
#include "bench/make.h"
#include "hsm/hsm.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/sha.h>
#include <p11-kit/pkcs11.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { POINT = 65, PAGE = 4096, TBS_MAX = 1024 };

static const char pin[] = "12345678";
static CK_FUNCTION_LIST *token;
static CK_SESSION_HANDLE session;
static CK_OBJECT_HANDLE private_key;
static EVP_PKEY *public_key;

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void ok(const char *what, CK_RV rv)
{
	char text[32];

	snprintf(text, sizeof text, "CKR 0x%lx", rv);
	if (rv != CKR_OK)
		bench_fail(what, text);
}

static EVP_PKEY *key_of_point(const uint8_t *point)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY *key = NULL;
	OSSL_PARAM p[] = { OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)"P-256", 5),
		           OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)point, POINT), OSSL_PARAM_END };

	if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 || EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, p) != 1)
		bench_fail("a public key", "it can't be read");
	EVP_PKEY_CTX_free(ctx);
	return key;
}

static bool verify(EVP_PKEY *key, const uint8_t *digest, const uint8_t *sig, size_t n)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	bool good = ctx != NULL && EVP_PKEY_verify_init(ctx) == 1 && EVP_PKEY_verify(ctx, sig, n, digest, 32) == 1;

	EVP_PKEY_CTX_free(ctx);
	return good;
}

static void open_token(const char *dir)
{
	static const char *const places[] = { "/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
		                              "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so" };
	CK_BYTE curve[] = { 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 }, point[POINT + 2];
	CK_BBOOL yes = CK_TRUE;
	CK_ATTRIBUTE pub[] = { { CKA_EC_PARAMS, curve, sizeof curve }, { CKA_VERIFY, &yes, sizeof yes }, { CKA_TOKEN, &yes, sizeof yes } },
	             priv[] = { { CKA_SIGN, &yes, sizeof yes }, { CKA_TOKEN, &yes, sizeof yes }, { CKA_SENSITIVE, &yes, sizeof yes } },
	             ask = { CKA_EC_POINT, point, sizeof point };
	CK_MECHANISM make = { CKM_EC_KEY_PAIR_GEN, NULL, 0 };
	CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK };
	CK_RV (*get)(CK_FUNCTION_LIST_PTR_PTR);
	CK_OBJECT_HANDLE public_handle;
	CK_SLOT_ID slot[8];
	CK_ULONG n = COUNT_OF(slot);
	void *library = NULL;
	struct err e;

	if (!hsm_embedded_create(dir, "floor", pin, &e))
		bench_fail("the token", e.text);
	for (size_t i = 0; library == NULL && i < COUNT_OF(places); i++)
		library = dlopen(places[i], RTLD_NOW);
	if (library == NULL || (*(void **)&get = dlsym(library, "C_GetFunctionList")) == NULL)
		bench_fail("SoftHSM", "it can't be loaded");
	ok("C_GetFunctionList", get(&token));
	ok("C_Initialize", token->C_Initialize(&args));
	ok("C_GetSlotList", token->C_GetSlotList(CK_TRUE, slot, &n));
	ok("C_OpenSession", token->C_OpenSession(slot[0], CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session));
	ok("C_Login", token->C_Login(session, CKU_USER, (CK_UTF8CHAR *)pin, strlen(pin)));
	ok("C_GenerateKeyPair", token->C_GenerateKeyPair(session, &make, pub, COUNT_OF(pub), priv, COUNT_OF(priv), &public_handle, &private_key));
	ok("CKA_EC_POINT", token->C_GetAttributeValue(session, public_handle, &ask, 1));
	public_key = key_of_point(point + 2);
}

/* What a request is to the floor: the digest of what was signed, the signature, the raw point. */
struct request {
	uint8_t digest[32], sig[80], point[POINT];
	size_t sig_n;
};

static void split(struct request *q, const struct made *m)
{
	struct der d = der_of(m->csr.p, m->csr.n), whole = der_in(&d, DER_SEQUENCE), info, spki;
	struct span signed_part = der_whole(&whole, DER_SEQUENCE), bits;
	int tag;

	SHA256(signed_part.p, signed_part.n, q->digest);
	(void)der_any(&whole, &tag, &info);
	bits = der_bits(&whole, NULL);
	q->sig_n = bits.n;
	memcpy(q->sig, bits.p, bits.n);
	d = der_of_span(signed_part);
	info = der_in(&d, DER_SEQUENCE);
	(void)der_any(&info, &tag, &spki);
	(void)der_any(&info, &tag, &spki);
	spki = der_in(&info, DER_SEQUENCE);
	(void)der_any(&spki, &tag, &d);
	bits = der_bits(&spki, NULL);
	if (spki.bad || bits.n != POINT)
		bench_fail("a request", "it has another form");
	memcpy(q->point, bits.p, POINT);
}

/* About as many elements and octets as a device's certificate has. */
static void compose(struct buf *b, const struct request *q, unsigned serial)
{
	static const uint8_t filler[40];
	size_t mark, list, ext;

	b->n = 0;
	mark = der_begin(b, DER_SEQUENCE);
	der_put_uint(b, serial);
	der_put(b, DER_SEQUENCE, filler, 10);
	for (int name = 0; name < 2; name++) {
		list = der_begin(b, DER_SEQUENCE);
		der_put(b, DER_SET, filler, 30);
		der_put(b, DER_SET, filler, 20);
		der_end(b, list);
	}
	list = der_begin(b, DER_SEQUENCE);
	der_put_time(b, 0);
	der_put_time(b, 0);
	der_end(b, list);
	der_put_bits(b, q->point, POINT, 0);
	list = der_begin(b, DER_SEQUENCE);
	for (int i = 0; i < 7; i++) {
		ext = der_begin(b, DER_SEQUENCE);
		(void)!der_put_oid(b, "2.5.29.17");
		der_put(b, DER_OCTETS, filler, sizeof filler - 8);
		der_end(b, ext);
	}
	der_end(b, list);
	der_end(b, mark);
}

static void sign(const uint8_t digest[32], struct buf *sig)
{
	CK_MECHANISM m = { CKM_ECDSA, NULL, 0 };
	CK_BYTE raw[64];
	CK_ULONG n = sizeof raw;
	size_t mark;

	ok("C_SignInit", token->C_SignInit(session, &m, private_key));
	ok("C_Sign", token->C_Sign(session, (CK_BYTE *)digest, 32, raw, &n));
	sig->n = 0;
	mark = der_begin(sig, DER_SEQUENCE);
	der_put_unsigned(sig, raw, 32);
	der_put_unsigned(sig, raw + 32, 32);
	der_end(sig, mark);
}

enum step { PROOF, COMPOSE, SIGN, SELF_VERIFY, FLUSH, STEPS };
static const char *const step_names[STEPS] = { "proof", "compose", "sign", "self_verify", "flush" };

/* n certificates, one flush per batch: CPU seconds, and what each step took of them. */
static double loop(const struct request *q, unsigned n, unsigned batch, int fd, double step[STEPS], double *flush_us)
{
	AUTO_BUF tbs = { 0 };
	AUTO_BUF sig = { 0 };
	AUTO_BUF page = { 0 };
	double began = cpu_seconds(), at = began, now;
	int64_t flushing = 0;
	unsigned flushes = 0;

	memset(step, 0, STEPS * sizeof *step);
#define TOOK(s) (now = cpu_seconds(), step[s] += now - at, at = now)
	for (unsigned i = 0; i < n; i++) {
		EVP_PKEY *key = key_of_point(q[i].point);
		uint8_t digest[32];

		if (!verify(key, q[i].digest, q[i].sig, q[i].sig_n))
			bench_fail("proof of possession", "it does not hold");
		EVP_PKEY_free(key);
		TOOK(PROOF);
		compose(&tbs, &q[i], i + 1000);
		SHA256(tbs.p, tbs.n, digest);
		TOOK(COMPOSE);
		sign(digest, &sig);
		TOOK(SIGN);
		if (!verify(public_key, digest, sig.p, sig.n))
			bench_fail("self-verify", "it does not hold");
		TOOK(SELF_VERIFY);
		buf_add(&page, tbs.p, tbs.n);
		buf_add(&page, sig.p, sig.n);
		if ((i + 1) % batch == 0) {
			int64_t t = clock_mono();

			buf_reserve(&page, PAGE);
			memset(page.p + page.n, 0, PAGE);
			page.n = (page.n + PAGE - 1) / PAGE * PAGE;
			if (write(fd, page.p, page.n) != (ssize_t)page.n || fdatasync(fd) != 0)
				bench_fail("the file", "it can't be written");
			page.n = 0;
			flushing += clock_mono() - t;
			flushes++;
		}
		TOOK(FLUSH);
	}
	*flush_us = flushes != 0 ? (double)flushing / flushes : 0;
	return cpu_seconds() - began;
}

int main(int argc, char **argv)
{
	unsigned n = argc == 3 ? (unsigned)atoi(argv[2]) / 64 * 64 : 0, one = n / 16;
	double step[STEPS], single_step[STEPS], many, single, flush_us, single_flush_us;
	struct request *q;
	struct made *made;
	char path[512];
	int fd;

	if (n == 0)
		bench_fail("usage", "bench-floor FOLDER CERTIFICATES (64 at least)");
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof path, "%s/%s", argv[1], i == 0 ? "run" : "ca");
		mkdir(path, 0700);
	}
	open_token(argv[1]);
	made = make_all(0, n, false);
	q = mem_new(n * sizeof *q);
	for (unsigned i = 0; i < n; i++)
		split(&q[i], &made[i]);
	made_free(made, n);
	snprintf(path, sizeof path, "%s/floor.data", argv[1]);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	many = loop(q, n, 64, fd, step, &flush_us);
	single = loop(q, one, 1, fd, single_step, &single_flush_us);
	printf("{\"certificates\": %u, \"cpu_64\": %.6f, \"cpu_1\": %.6f, \"flush_us_64\": %.1f, \"flush_us_1\": %.1f, \"steps_us\": {", n,
	       many * 1000 / n, single * 1000 / one, flush_us, single_flush_us);
	for (int i = 0; i < STEPS; i++)
		printf("%s\"%s\": %.2f", i != 0 ? ", " : "", step_names[i], step[i] * 1e6 / n);
	printf(", \"flush_1\": %.2f}}\n", single_step[FLUSH] * 1e6 / one);
	close(fd);
	free(q);
	return 0;
}
