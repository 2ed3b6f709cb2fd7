/* SPDX-License-Identifier: Apache-2.0
 *
 * What a signed request costs ACME's head, without TLS, HTTP and ra: CPU microseconds, and those of one verification
 * beside them. An order is nine requests (new order; authorization, challenge, authorization again; finalize, order twice,
 * certificate; one for luck). Usage: bench-acme-head [REQUESTS]. */
#include "acme/acme.h"
#include "acme/jwk.h"
#include "base/clock.h"
#include "base/text.h"

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define BASE "https://ca.example:8443"

static struct acme *acme;
static EVP_PKEY *key;
static struct buf spki;

static double cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void make_body(struct buf *out, const char *path, const char *payload)
{
	struct request q = { .method = "HEAD", .path = "/acme/server/new-nonce", .query = "", .content_type = "", .user_agent = "" };
	struct response r = { 0 };
	struct ask ask = { 0 };
	AUTO_BUF head = { 0 };
	AUTO_BUF input = { 0 };
	AUTO_BUF sig = { 0 };
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t der[128], raw[64];
	const uint8_t *p = der;
	size_t n = sizeof der, dot;
	ECDSA_SIG *rs;

	(void)!acme_head()->parse(acme, &q, &ask, &r);
	buf_printf(&head, "{\"alg\":\"ES256\",\"nonce\":\"%s\",\"url\":\"" BASE "%s\",\"kid\":\"" BASE "/acme/server/acct/7\"}", r.header[0].value, path);
	b64url_put(&input, head.p, head.n);
	dot = input.n;
	buf_byte(&input, '.');
	b64url_put(&input, payload, strlen(payload));
	if (EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) != 1 || EVP_DigestSign(ctx, der, &n, input.p, input.n) != 1)
		abort();
	EVP_MD_CTX_free(ctx);
	rs = d2i_ECDSA_SIG(NULL, &p, (long)n);
	BN_bn2binpad(ECDSA_SIG_get0_r(rs), raw, 32);
	BN_bn2binpad(ECDSA_SIG_get0_s(rs), raw + 32, 32);
	ECDSA_SIG_free(rs);
	b64url_put(&sig, raw, 64);
	buf_printf(out, "{\"protected\":\"%.*s\",\"payload\":\"%.*s\",\"signature\":\"%s\"}", (int)dot, (char *)input.p, (int)(input.n - dot - 1),
	           (char *)input.p + dot + 1, buf_str(&sig));
}

static void answer(const struct request *q, struct ask *ask, struct response *r, struct ra_acme_answer *a)
{
	AUTO_BUF body = { 0 };
	struct answer got = { .got = true, .type = RA_OK };

	ra_acme_answer_put(&body, a);
	got.body = span_of(&body);
	if (acme_head()->format(acme, q, &got, ask, r))
		answer(q, ask, r, a);
}

static double run(const char *path, const char *payload, struct ra_acme_answer *a, unsigned n)
{
	struct buf *body = mem_array(n, sizeof *body);
	double began, took;

	for (unsigned i = 0; i < n; i++)
		make_body(&body[i], path, payload);
	began = cpu_us();
	for (unsigned i = 0; i < n; i++) {
		struct request q = { .method = "POST", .path = path, .query = "", .content_type = "application/jose+json", .user_agent = "",
			             .remote = "127.0.0.1", .body = span_of(&body[i]) };
		struct response r = { 0 };
		struct ask ask = { 0 };

		if (!acme_head()->parse(acme, &q, &ask, &r))
			abort();
		answer(&q, &ask, &r, a);
		if (r.status >= 300)
			abort();
		free(ask.state);
		buf_free(&ask.body);
		buf_free(&r.body);
	}
	took = (cpu_us() - began) / n;
	for (unsigned i = 0; i < n; i++)
		buf_free(&body[i]);
	free(body);
	return took;
}

static double verify(unsigned n)
{
	AUTO_BUF body = { 0 };
	double began;
	struct jws j;

	make_body(&body, "/acme/server/order/11", "");
	if (!jws_parse(&j, span_of(&body), JWS_REQUEST, NULL))
		abort();
	began = cpu_us();
	for (unsigned i = 0; i < n; i++)
		if (!jws_verify(key, KEY_P256, JWS_ES256, span_of(&j.input), span_of(&j.signature), NULL))
			abort();
	jws_free(&j);
	return (cpu_us() - began) / n;
}

int main(int argc, char **argv)
{
	unsigned n = argc > 1 ? (unsigned)atoi(argv[1]) : 5000;
	struct ra_trust *t = mem_new(sizeof *t);
	struct ra_acme_answer *a = mem_new(sizeof *a);
	AUTO_BUF trust = { 0 };
	unsigned char *der = NULL;
	double order, authz;
	int len;

	key = EVP_EC_gen("P-256");
	len = i2d_PUBKEY(key, &der);
	buf_add(&spki, der, (size_t)len);
	acme = acme_new(rnd_kernel);
	acme_set_caller(acme, caller_new("front", NULL, NULL, NULL));
	acme_set(acme, &(struct acme_settings){ .base = BASE });
	t->realm_n = 1;
	strcpy(t->realm[0], "server");
	ra_trust_put(&trust, t);
	acme_trust(acme, span_of(&trust));

	/* One answer has all parts: the key for the first request, then what each wants. */
	a->parts = RA_ACME_HAS_ACCOUNT | RA_ACME_HAS_KEY | RA_ACME_HAS_ORDER | RA_ACME_HAS_AUTHORIZATION;
	a->of.state = ACME_VALID;
	a->of.key = span_of(&spki);
	a->order.id = 11;
	a->order.state = ACME_PENDING;
	a->order.identifier_n = a->order.authorization_n = 1;
	strcpy(a->order.identifier[0].type, "dns");
	strcpy(a->order.identifier[0].value, "a.example");
	a->order.authorization[0] = 21;
	a->authorization.id = 21;
	a->authorization.state = ACME_PENDING;
	a->authorization.methods = 14;
	strcpy(a->authorization.identifier.type, "dns");
	strcpy(a->authorization.identifier.value, "a.example");
	strcpy(a->authorization.token, "tokentokentokentokento");
	order = run("/acme/server/new-order", "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.example\"}]}", a, n);
	authz = run("/acme/server/authz/21", "", a, n);
	printf("{\"new_order_us\": %.1f, \"authorization_us\": %.1f, \"verify_us\": %.1f}\n", order, authz, verify(n));
	return 0;
}
