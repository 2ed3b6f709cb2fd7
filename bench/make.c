/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/make.h"

#include "base/der.h"
#include "base/mem.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS_MAX = 16, SIGNATURE_MAX = 80, POINT = 65 };

void bench_fail(const char *what, const char *why)
{
	fprintf(stderr, "bench: %s: %s\n", what, why);
	exit(1);
}

void device_name(char out[24], unsigned number)
{
	snprintf(out, 24, "d%07u", number);
}

static void put_algorithm(struct buf *b, const char *oid, const char *parameter)
{
	size_t mark = der_begin(b, DER_SEQUENCE);

	(void)!der_put_oid(b, oid);
	if (parameter != NULL)
		(void)!der_put_oid(b, parameter);
	der_end(b, mark);
}

static void put_name(struct buf *b, const char *cn)
{
	size_t name = der_begin(b, DER_SEQUENCE), set = der_begin(b, DER_SET), pair = der_begin(b, DER_SEQUENCE);

	(void)!der_put_oid(b, "2.5.4.3");
	der_put(b, DER_UTF8, cn, strlen(cn));
	der_end(b, pair);
	der_end(b, set);
	der_end(b, name);
}

static void put_spki(struct buf *b, EVP_PKEY *key)
{
	uint8_t point[POINT];
	size_t n = 0, mark = der_begin(b, DER_SEQUENCE);

	put_algorithm(b, "1.2.840.10045.2.1", "1.2.840.10045.3.1.7");
	if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point, &n) != 1 || n != POINT)
		bench_fail("a key", "its point has another form");
	der_put_bits(b, point, n, 0);
	der_end(b, mark);
}

/* extensionRequest with the name as a dNSName. */
static void put_attributes(struct buf *b, const char *name)
{
	size_t all = der_begin(b, DER_CONTEXT_CONS), attribute = der_begin(b, DER_SEQUENCE), set, list, ext, octets, names;

	(void)!der_put_oid(b, "1.2.840.113549.1.9.14");
	set = der_begin(b, DER_SET);
	list = der_begin(b, DER_SEQUENCE);
	ext = der_begin(b, DER_SEQUENCE);
	(void)!der_put_oid(b, "2.5.29.17");
	octets = der_begin(b, DER_OCTETS);
	names = der_begin(b, DER_SEQUENCE);
	der_put(b, DER_CONTEXT | 2, name, strlen(name));
	der_end(b, names);
	der_end(b, octets);
	der_end(b, ext);
	der_end(b, list);
	der_end(b, set);
	der_end(b, attribute);
	der_end(b, all);
}

void make_csr(struct buf *out, EVP_PKEY *key, const char *name)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	AUTO_BUF info = { 0 };
	uint8_t signature[SIGNATURE_MAX];
	size_t n = sizeof signature, mark = der_begin(&info, DER_SEQUENCE);

	der_put_uint(&info, 0);
	put_name(&info, name);
	put_spki(&info, key);
	put_attributes(&info, name);
	der_end(&info, mark);
	if (ctx == NULL || EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) != 1 ||
	    EVP_DigestSign(ctx, signature, &n, info.p, info.n) != 1)
		bench_fail("a request", "it can't be signed");
	EVP_MD_CTX_free(ctx);
	mark = der_begin(out, DER_SEQUENCE);
	buf_add(out, info.p, info.n);
	put_algorithm(out, "1.2.840.10045.4.3.2", NULL);
	der_put_bits(out, signature, n, 0);
	der_end(out, mark);
}

struct share {
	struct made *made;
	unsigned first, from, to;
	bool keep;
	const char *follows;
};

static void *make_share(void *arg)
{
	struct share *s = arg;

	for (unsigned i = s->from; i < s->to; i++) {
		struct made *m = &s->made[i];
		EVP_PKEY *key = EVP_EC_gen("P-256");
		char name[64];

		if (key == NULL)
			bench_fail("a key", "it can't be made");
		device_name(m->name, s->first + i);
		snprintf(name, sizeof name, "%s%s", m->name, s->follows);
		make_csr(&m->csr, key, name);
		if (s->keep)
			m->key = key;
		else
			EVP_PKEY_free(key);
	}
	return NULL;
}

static void make_shares(struct made *made, unsigned first, unsigned n, bool keep_keys, const char *follows)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned threads = cores < 1 ? 1 : cores > THREADS_MAX ? THREADS_MAX : (unsigned)cores;
	struct share share[THREADS_MAX];
	pthread_t thread[THREADS_MAX];

	for (unsigned i = 0; i < threads; i++) {
		share[i] = (struct share){ made, first, n * i / threads, n * (i + 1) / threads, keep_keys, follows };
		if (pthread_create(&thread[i], NULL, make_share, &share[i]) != 0)
			bench_fail("threads", "none left");
	}
	for (unsigned i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
}

struct made *make_all(unsigned first, unsigned n, bool keep_keys)
{
	struct made *made = mem_new((n != 0 ? n : 1) * sizeof *made);

	make_shares(made, first, n, keep_keys, "");
	return made;
}

void make_names(struct made *out, unsigned first, unsigned n, const char *follows)
{
	make_shares(out, first, n, false, follows);
}

void made_free(struct made *m, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		EVP_PKEY_free(m[i].key);
		buf_free(&m[i].csr);
	}
	free(m);
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

uint32_t percentile(uint32_t *us, unsigned n, double part)
{
	if (n == 0)
		return 0;
	qsort(us, n, sizeof *us, compare);
	return us[(unsigned)((n - 1) * part)];
}
