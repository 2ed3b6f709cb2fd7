/* SPDX-License-Identifier: Apache-2.0
 *
 * JWS and account keys: more refusals than acceptances. */
#include "acme/jwk.h"

#include "tests/unit/acme_make.h"

#include <stdlib.h>

#define HEADER "\"nonce\":\"AAAA\",\"url\":\"https://ca/acme/server/new-order\""
#define JWK_X "\"jwk\":{\"kty\":\"EC\"}"
#define KID "\"kid\":\"https://ca/acme/server/acct/7\""

static struct span span(const char *text)
{
	return (struct span){ (const uint8_t *)text, strlen(text) };
}

static enum acme_problem read_as(const char *body, size_t n, enum jws_kind kind)
{
	struct jws j;
	struct refusal r = { 0 };
	bool good = jws_parse(&j, (struct span){ (const uint8_t *)body, n }, kind, &r);

	CU_ASSERT_TRUE(good || (r.problem != ACME_OK && r.detail[0] != 0));
	CU_ASSERT_TRUE(good || r.status == 0 || r.status == 413);
	jws_free(&j);
	return good ? ACME_OK : r.problem;
}

static enum acme_problem body_is(const char *body)
{
	return read_as(body, strlen(body), JWS_REQUEST);
}

/* A JWS around a header's text, its signature not looked at. */
static enum acme_problem header_is(const char *header, enum jws_kind kind)
{
	AUTO_BUF body = { 0 };

	buf_text(&body, "{\"protected\":\"");
	b64url_put(&body, header, strlen(header));
	buf_text(&body, "\",\"payload\":\"e30\",\"signature\":\"AAAA\"}");
	return read_as((char *)body.p, body.n, kind);
}

static void test_bodies__ACME_05(void)
{
	/* {"alg":"ES256","nonce":"AAAA","url":"https://ca/","kid":"x"} */
#define P "eyJhbGciOiJFUzI1NiIsIm5vbmNlIjoiQUFBQSIsInVybCI6Imh0dHBzOi8vY2EvIiwia2lkIjoieCJ9"
	static const char *const refused[] = {
		"", "{}", "[]", "null", "\"x\"", "1", "{", "{\"protected\":\"" P "\"}", "[{\"protected\":\"" P "\",\"payload\":\"\",\"signature\":\"AAAA\"}]",
		/* general or unprotected */
		"{\"protected\":\"" P "\",\"payload\":\"\",\"signature\":\"AAAA\",\"header\":{\"kid\":\"x\"}}",
		"{\"protected\":\"" P "\",\"payload\":\"\",\"signature\":\"AAAA\",\"header\":{}}",
		"{\"protected\":\"" P "\",\"payload\":\"\",\"signature\":\"AAAA\",\"signatures\":[]}",
		"{\"payload\":\"\",\"signatures\":[{\"protected\":\"" P "\",\"signature\":\"AAAA\"}]}",
		P "..AAAA", /* compact */
		/* members twice */
		"{\"protected\":\"" P "\",\"payload\":\"\",\"payload\":\"\",\"signature\":\"AAAA\"}",
		"{\"protected\":\"" P "\",\"protected\":\"" P "\",\"payload\":\"\",\"signature\":\"AAAA\"}",
		/* base64url: padding, blanks, standard alphabet, spare bits, one character over */
		"{\"protected\":\"" P "\",\"payload\":\"e30=\",\"signature\":\"AAAA\"}",
		"{\"protected\":\"" P "=\",\"payload\":\"\",\"signature\":\"AAAA\"}",
		"{\"protected\":\"" P "\",\"payload\":\"\",\"signature\":\"AAA=\"}",
		"{\"protected\":\"" P "\",\"payload\":\"e3 0\",\"signature\":\"AAAA\"}",
		"{\"protected\":\"" P "\",\"payload\":\"e30\\n\",\"signature\":\"AAAA\"}",
		"{\"protected\":\"" P "\",\"payload\":\"\",\"signature\":\"AA+/\"}",
		"{\"protected\":\"" P "\",\"payload\":\"e31\",\"signature\":\"AAAA\"}",
		"{\"protected\":\"" P "\",\"payload\":\"\",\"signature\":\"AB\"}",
		"{\"protected\":\"" P "\",\"payload\":\"\",\"signature\":\"AAAAA\"}",
		/* types and absence */
		"{\"protected\":\"" P "\",\"payload\":\"\",\"signature\":\"\"}",
		"{\"protected\":\"" P "\",\"payload\":null,\"signature\":\"AAAA\"}",
		"{\"protected\":\"" P "\",\"payload\":{},\"signature\":\"AAAA\"}",
		"{\"protected\":{},\"payload\":\"\",\"signature\":\"AAAA\"}",
		"{\"protected\":\"\",\"payload\":\"\",\"signature\":\"AAAA\"}",
		"{\"protected\":\"e30\",\"payload\":\"\",\"signature\":\"AAAA\"}",
		"{\"payload\":\"\",\"signature\":\"AAAA\"}",
		/* what follows */
		"{\"protected\":\"" P "\",\"payload\":\"\",\"signature\":\"AAAA\"}x",
		"{\"protected\":\"" P "\",\"payload\":\"\",\"signature\":\"AAAA\"}{}",
		"\xef\xbb\xbf{\"protected\":\"" P "\",\"payload\":\"\",\"signature\":\"AAAA\"}",
	};

	CU_ASSERT_EQUAL(body_is("{\"protected\":\"" P "\",\"payload\":\"\",\"signature\":\"AAAA\"}"), ACME_OK);
	CU_ASSERT_EQUAL(body_is("{\"signature\":\"AAAA\", \"protected\":\"" P "\", \"payload\":\"e30\" }\n"), ACME_OK);
	for (size_t i = 0; i < COUNT_OF(refused); i++) {
		if (body_is(refused[i]) != ACME_MALFORMED)
			fprintf(stderr, "taken: %s\n", refused[i]);
		CU_ASSERT_EQUAL(body_is(refused[i]), ACME_MALFORMED);
	}
	/* A NUL, and what stands behind it. */
	CU_ASSERT_EQUAL(read_as("{\"protected\":\"" P "\",\"payload\":\"\",\"signature\":\"AAAA\"}\0{", sizeof P + 48, JWS_REQUEST), ACME_MALFORMED);
}

static void test_headers__ACME_06__ACME_07(void)
{
	static const struct {
		const char *header;
		enum jws_kind kind;
		enum acme_problem problem;
	} t[] = {
		{ "{\"alg\":\"ES256\"," HEADER "," KID "}", JWS_REQUEST, ACME_OK },
		{ "{\"alg\":\"EdDSA\"," HEADER "," JWK_X "}", JWS_REQUEST, ACME_OK },
		{ "{\"alg\":\"ES256\"," HEADER "," KID ",\"typ\":\"x\"}", JWS_REQUEST, ACME_OK },
		/* neither, both, and of another type */
		{ "{\"alg\":\"ES256\"," HEADER "}", JWS_REQUEST, ACME_MALFORMED },
		{ "{\"alg\":\"ES256\"," HEADER "," KID "," JWK_X "}", JWS_REQUEST, ACME_MALFORMED },
		{ "{\"alg\":\"ES256\"," HEADER ",\"jwk\":\"x\"}", JWS_REQUEST, ACME_MALFORMED },
		{ "{\"alg\":\"ES256\"," HEADER ",\"jwk\":null}", JWS_REQUEST, ACME_MALFORMED },
		{ "{\"alg\":\"ES256\"," HEADER ",\"kid\":7}", JWS_REQUEST, ACME_MALFORMED },
		{ "{\"alg\":\"ES256\"," HEADER ",\"kid\":\"\"}", JWS_REQUEST, ACME_MALFORMED },
		/* no MAC, no "none", nothing unknown */
		{ "{\"alg\":\"none\"," HEADER "," KID "}", JWS_REQUEST, ACME_BAD_SIGNATURE_ALGORITHM },
		{ "{\"alg\":\"None\"," HEADER "," KID "}", JWS_REQUEST, ACME_BAD_SIGNATURE_ALGORITHM },
		{ "{\"alg\":\"HS256\"," HEADER "," KID "}", JWS_REQUEST, ACME_BAD_SIGNATURE_ALGORITHM },
		{ "{\"alg\":\"HS512\"," HEADER "," JWK_X "}", JWS_REQUEST, ACME_BAD_SIGNATURE_ALGORITHM },
		{ "{\"alg\":\"PS256\"," HEADER "," JWK_X "}", JWS_REQUEST, ACME_BAD_SIGNATURE_ALGORITHM },
		{ "{\"alg\":\"RS1\"," HEADER "," JWK_X "}", JWS_REQUEST, ACME_BAD_SIGNATURE_ALGORITHM },
		{ "{\"alg\":\"ES256K\"," HEADER "," JWK_X "}", JWS_REQUEST, ACME_BAD_SIGNATURE_ALGORITHM },
		{ "{\"alg\":\"es256\"," HEADER "," JWK_X "}", JWS_REQUEST, ACME_BAD_SIGNATURE_ALGORITHM },
		{ "{\"alg\":\"\"," HEADER "," JWK_X "}", JWS_REQUEST, ACME_BAD_SIGNATURE_ALGORITHM },
		{ "{" HEADER "," KID "}", JWS_REQUEST, ACME_MALFORMED },
		{ "{\"alg\":256," HEADER "," KID "}", JWS_REQUEST, ACME_MALFORMED },
		/* crit and b64, whatever they say */
		{ "{\"alg\":\"ES256\"," HEADER "," KID ",\"crit\":[\"b64\"],\"b64\":false}", JWS_REQUEST, ACME_MALFORMED },
		{ "{\"alg\":\"ES256\"," HEADER "," KID ",\"b64\":true}", JWS_REQUEST, ACME_MALFORMED },
		{ "{\"alg\":\"ES256\"," HEADER "," KID ",\"crit\":[]}", JWS_REQUEST, ACME_MALFORMED },
		{ "{\"alg\":\"ES256\"," HEADER "," KID ",\"crit\":null}", JWS_REQUEST, ACME_MALFORMED },
		/* twice */
		{ "{\"alg\":\"ES256\",\"alg\":\"none\"," HEADER "," KID "}", JWS_REQUEST, ACME_MALFORMED },
		{ "{\"alg\":\"ES256\"," HEADER "," KID "," KID "}", JWS_REQUEST, ACME_MALFORMED },
		{ "{\"alg\":\"ES256\"," HEADER "," HEADER "," KID "}", JWS_REQUEST, ACME_MALFORMED },
		{ "{\"alg\":\"ES256\"," HEADER ",\"jwk\":{\"kty\":\"EC\",\"kty\":\"RSA\"}}", JWS_REQUEST, ACME_MALFORMED },
		/* nonce and url */
		{ "{\"alg\":\"ES256\",\"url\":\"https://ca/\"," KID "}", JWS_REQUEST, ACME_MALFORMED },
		{ "{\"alg\":\"ES256\",\"nonce\":\"A=\",\"url\":\"https://ca/\"," KID "}", JWS_REQUEST, ACME_MALFORMED },
		{ "{\"alg\":\"ES256\",\"nonce\":\"A B\",\"url\":\"https://ca/\"," KID "}", JWS_REQUEST, ACME_MALFORMED },
		{ "{\"alg\":\"ES256\",\"nonce\":\"\",\"url\":\"https://ca/\"," KID "}", JWS_REQUEST, ACME_MALFORMED },
		{ "{\"alg\":\"ES256\",\"nonce\":1,\"url\":\"https://ca/\"," KID "}", JWS_REQUEST, ACME_MALFORMED },
		{ "{\"alg\":\"ES256\",\"nonce\":\"AAAA\"," KID "}", JWS_REQUEST, ACME_MALFORMED },
		{ "{\"alg\":\"ES256\",\"nonce\":\"AAAA\",\"url\":[]," KID "}", JWS_REQUEST, ACME_MALFORMED },
		{ "{\"alg\":\"ES256\",\"nonce\":\"AAAA\",\"url\":\"a\\u0000b\"," KID "}", JWS_REQUEST, ACME_MALFORMED },
		/* the inner ones: of a key change, and of a binding */
		{ "{\"alg\":\"ES256\",\"url\":\"https://ca/\"," JWK_X "}", JWS_NEW_KEY, ACME_OK },
		{ "{\"alg\":\"ES256\",\"url\":\"https://ca/\"," KID "}", JWS_NEW_KEY, ACME_MALFORMED },
		{ "{\"alg\":\"ES256\"," HEADER "," JWK_X "}", JWS_NEW_KEY, ACME_MALFORMED },
		{ "{\"alg\":\"HS256\",\"url\":\"https://ca/\"," JWK_X "}", JWS_NEW_KEY, ACME_BAD_SIGNATURE_ALGORITHM },
		{ "{\"alg\":\"ES256\"," JWK_X "}", JWS_NEW_KEY, ACME_MALFORMED },
		{ "{\"alg\":\"HS256\",\"url\":\"https://ca/\"," KID "}", JWS_BINDING, ACME_OK },
		{ "{\"alg\":\"HS384\",\"url\":\"https://ca/\"," KID "}", JWS_BINDING, ACME_OK },
		{ "{\"alg\":\"ES256\",\"url\":\"https://ca/\"," KID "}", JWS_BINDING, ACME_MALFORMED },
		{ "{\"alg\":\"none\",\"url\":\"https://ca/\"," KID "}", JWS_BINDING, ACME_MALFORMED },
		{ "{\"alg\":\"HS256\",\"url\":\"https://ca/\"," JWK_X "}", JWS_BINDING, ACME_MALFORMED },
		{ "{\"alg\":\"HS256\"," HEADER "," KID "}", JWS_BINDING, ACME_MALFORMED },
		{ "{\"alg\":\"HS256\"," KID "}", JWS_BINDING, ACME_MALFORMED },
		{ "{\"alg\":\"ES256\"," HEADER "," KID "} x", JWS_REQUEST, ACME_MALFORMED },
		{ "[]", JWS_REQUEST, ACME_MALFORMED },
	};

	for (size_t i = 0; i < COUNT_OF(t); i++) {
		enum acme_problem p = header_is(t[i].header, t[i].kind);

		if (p != t[i].problem)
			fprintf(stderr, "%s: %s\n", t[i].header, acme_problem_name(p));
		CU_ASSERT_EQUAL(p, t[i].problem);
	}
}

/* A header with an unpaired surrogate, a NUL, octets that are no UTF-8, and everything too long. */
static void test_sizes__ACME_05(void)
{
	AUTO_BUF text = { 0 };
	struct jws j;
	struct refusal r = { 0 };

	for (int i = 0; i < JWS_URL_MAX; i++)
		buf_byte(&text, 'a');
	{
		AUTO_BUF header = { 0 };

		buf_printf(&header, "{\"alg\":\"ES256\",\"nonce\":\"AAAA\",\"url\":\"https://ca/\",\"kid\":\"%.*s\"}", (int)text.n, (char *)text.p);
		CU_ASSERT_EQUAL(header_is(buf_str(&header), JWS_REQUEST), ACME_MALFORMED);
	}
	text.n = 0;
	for (int i = 0; i < 1 << 20; i++)
		buf_byte(&text, ' ');
	memcpy(text.p, "{\"protected\":\"", 14);
	CU_ASSERT_FALSE(jws_parse(&j, span_of(&text), JWS_REQUEST, &r));
	CU_ASSERT_EQUAL(r.status, 413);
	CU_ASSERT_EQUAL(header_is("{\"alg\":\"\\ud800\"," HEADER "," KID "}", JWS_REQUEST), ACME_MALFORMED);
	CU_ASSERT_EQUAL(header_is("{\"alg\":\"ES256\",\"nonce\":\"AAAA\",\"url\":\"\xff\"," KID "}", JWS_REQUEST), ACME_MALFORMED);
	/* Deep, as a whole and in the header: refused before a reader recurses. */
	for (int depth = 4; depth < 40000; depth *= 10) {
		AUTO_BUF deep = { 0 };

		buf_text(&deep, "{\"alg\":\"ES256\"," HEADER "," KID ",\"x\":");
		for (int i = 0; i < depth; i++)
			buf_byte(&deep, '[');
		for (int i = 0; i < depth; i++)
			buf_byte(&deep, ']');
		buf_byte(&deep, '}');
		CU_ASSERT_EQUAL(header_is(buf_str(&deep), JWS_REQUEST), depth == 4 ? ACME_OK : ACME_MALFORMED);
		CU_ASSERT_EQUAL(body_is(buf_str(&deep)), ACME_MALFORMED);
	}
	/* Brackets inside a text are none. */
	CU_ASSERT_EQUAL(header_is("{\"alg\":\"ES256\"," HEADER "," KID ",\"x\":\"[[[[[[[[[[[[\\\"[[[[[[\"}", JWS_REQUEST), ACME_OK);
}

/* RFC 7638, 3.1, and RFC 8037, A.3: their own examples. */
static void test_thumbprints__ACME_18(void)
{
	static const struct {
		const char *jwk, *want;
	} t[] = {
		{ "{\"kty\":\"RSA\",\"n\":\"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs"
		  "tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbIS"
		  "D08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw\",\"e\":\"AQAB\",\"alg\":\"RS256\","
		  "\"kid\":\"2011-04-29\"}", "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" },
		{ "{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}", "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k" },
	};

	for (size_t i = 0; i < COUNT_OF(t); i++) {
		AUTO(json_t) *doc = acme_json(span(t[i].jwk));
		AUTO_BUF text = { 0 };
		struct jwk k;

		CU_ASSERT_TRUE_FATAL(jwk_parse(&k, doc, NULL));
		b64url_put(&text, k.thumbprint, 32);
		CU_ASSERT_STRING_EQUAL(buf_str(&text), t[i].want);
		jwk_free(&k);
	}
}

static enum acme_problem jwk_is(const char *text)
{
	AUTO(json_t) *doc = acme_json(span(text));
	AUTO(EVP_PKEY) *evp = NULL;
	struct refusal r = { 0 };
	struct jwk k;
	bool good;

	CU_ASSERT_PTR_NOT_NULL_FATAL(doc);
	good = jwk_parse(&k, doc, &r) && jwk_load(&evp, &k, &r);
	jwk_free(&k);
	CU_ASSERT_TRUE(good || r.detail[0] != 0);
	return good ? ACME_OK : r.problem;
}

/* Every kind of key is OpenSSL's own SubjectPublicKeyInfo, and signs. */
static void test_keys_and_signatures__ACME_07(void)
{
	static const enum jws_alg algs[MAKE_KEYS] = { JWS_ES256, JWS_ES256, JWS_ES384, JWS_ES512, JWS_EDDSA, JWS_RS256, JWS_RS256 };
	const struct span input = span("header.payload");

	for (int i = 0; i < MAKE_KEYS; i++) {
		EVP_PKEY *key = make_key((enum make_key)i);
		AUTO_BUF text = { 0 };
		AUTO_BUF spki = { 0 };
		AUTO_BUF sig = { 0 };
		AUTO(EVP_PKEY) *evp = NULL;
		AUTO(json_t) *doc = NULL;
		struct refusal r = { 0 };
		struct jwk k;

		make_jwk(&text, key);
		make_spki(&spki, key);
		doc = acme_json(span_of(&text));
		CU_ASSERT_TRUE_FATAL(jwk_parse(&k, doc, &r));
		CU_ASSERT_TRUE(span_equal(span_of(&spki), span_of(&k.spki)));
		CU_ASSERT_TRUE_FATAL(jwk_load(&evp, &k, &r));
		/* One algorithm for each key, one type of key for each algorithm. */
		for (int a = 0; a <= JWS_ALG_COUNT; a++) {
			bool fits = jws_alg_fits((enum jws_alg)a, k.info.type, &r);

			CU_ASSERT_EQUAL(fits, a == (int)algs[i]);
			CU_ASSERT_TRUE(fits || r.problem == ACME_BAD_SIGNATURE_ALGORITHM);
		}
		make_signature(&sig, key, make_jws_alg(key), input);
		CU_ASSERT_TRUE(jws_verify(evp, k.info.type, algs[i], input, span_of(&sig), &r));
		CU_ASSERT_FALSE(jws_verify(evp, k.info.type, algs[i], span("header.payloae"), span_of(&sig), &r));
		CU_ASSERT_EQUAL(r.problem, ACME_MALFORMED);
		for (size_t n = 0; n < sig.n; n += 7) {
			sig.p[n] ^= 1;
			CU_ASSERT_FALSE(jws_verify(evp, k.info.type, algs[i], input, span_of(&sig), &r));
			sig.p[n] ^= 1;
			CU_ASSERT_FALSE(jws_verify(evp, k.info.type, algs[i], input, (struct span){ sig.p, n }, &r));
		}
		buf_byte(&sig, 0);
		CU_ASSERT_FALSE(jws_verify(evp, k.info.type, algs[i], input, span_of(&sig), &r));
		sig.n--;
		for (int a = 0; a < JWS_ALG_COUNT; a++)
			CU_ASSERT_EQUAL(jws_verify(evp, k.info.type, (enum jws_alg)a, input, span_of(&sig), &r), a == (int)algs[i]);
		jwk_free(&k);
	}
}

/* r or s zero, the order itself, or DER instead of the two halves. */
static void test_ecdsa_signatures__ACME_07(void)
{
	static const uint8_t order[32] = { 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		                           0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51 };
	const struct span input = span("header.payload");
	EVP_PKEY *key = make_key(MAKE_P256);
	AUTO_BUF sig = { 0 };
	AUTO_BUF der = { 0 };
	size_t mark;

	make_signature(&sig, key, "ES256", input);
	for (int half = 0; half < 2; half++) {
		uint8_t bad[64];

		memcpy(bad, sig.p, 64);
		memset(bad + 32 * half, 0, 32);
		CU_ASSERT_FALSE(jws_verify(key, KEY_P256, JWS_ES256, input, (struct span){ bad, 64 }, NULL));
		memcpy(bad + 32 * half, order, 32);
		CU_ASSERT_FALSE(jws_verify(key, KEY_P256, JWS_ES256, input, (struct span){ bad, 64 }, NULL));
	}
	mark = der_begin(&der, DER_SEQUENCE);
	der_put_unsigned(&der, sig.p, 32);
	der_put_unsigned(&der, sig.p + 32, 32);
	der_end(&der, mark);
	CU_ASSERT_FALSE(jws_verify(key, KEY_P256, JWS_ES256, input, span_of(&der), NULL));
	/* Halves of full length with a zero before each: none but the one form. */
	{
		uint8_t longer[66] = { 0 };

		memcpy(longer + 1, sig.p, 32);
		memcpy(longer + 34, sig.p + 32, 32);
		CU_ASSERT_FALSE(jws_verify(key, KEY_P256, JWS_ES256, input, (struct span){ longer, 66 }, NULL));
	}
	CU_ASSERT_TRUE(jws_verify(key, KEY_P256, JWS_ES256, input, span_of(&sig), NULL));
}

#define P256(x, y) "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" x "\",\"y\":\"" y "\"}"
#define GX "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY"
#define GY "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"
#define ZERO "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define ED "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"

static void test_keys_refused__ACME_18(void)
{
	static const char *const refused[] = {
		"{}", "{\"kty\":\"oct\",\"k\":\"AAAA\"}", "{\"kty\":\"ec\",\"crv\":\"P-256\",\"x\":\"" GX "\",\"y\":\"" GY "\"}",
		"{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"" GX "\",\"y\":\"" GY "\"}", "{\"kty\":\"EC\",\"x\":\"" GX "\",\"y\":\"" GY "\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"" GX "\",\"y\":\"" GY "\"}", /* the length of another curve */
		"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" GX "\"}", "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" GX "\",\"y\":7}",
		P256(GX, GX), P256(GY, GX), P256(ZERO, ZERO), P256(GX, ZERO), /* off the curve */
		P256("AA" GX, GY), P256("", ""), P256("axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5Rdi", GY), /* too long, none, too short */
		P256(GX "=", GY), P256("axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpZ", GY), /* padding, spare bits */
		"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" GX "\",\"y\":\"" GY "\",\"d\":\"AAAA\"}", /* private members */
		"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" GX "\",\"y\":\"" GY "\",\"d\":null}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" GX "\",\"y\":\"" GY "\",\"k\":\"AAAA\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" GX "\",\"y\":\"" GY "\",\"alg\":\"HS256\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" GX "\",\"y\":\"" GY "\",\"alg\":\"ES384\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" GX "\",\"y\":\"" GY "\",\"use\":\"enc\"}",
		"{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"" ED "\"}", "{\"kty\":\"OKP\",\"crv\":\"Ed448\",\"x\":\"" ED "\"}",
		"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"}", "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" ED "AAAA\"}",
		"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" ED "\",\"d\":\"" ED "\"}",
		"{\"kty\":\"RSA\",\"n\":\"AAAA\",\"e\":\"AQAB\"}", "{\"kty\":\"RSA\",\"n\":\"\",\"e\":\"\"}", "{\"kty\":\"RSA\",\"e\":\"AQAB\"}",
	};

	CU_ASSERT_EQUAL(jwk_is(P256(GX, GY)), ACME_OK);
	CU_ASSERT_EQUAL(jwk_is("{\"y\":\"" GY "\",\"x\":\"" GX "\",\"use\":\"sig\",\"alg\":\"ES256\",\"kid\":\"1\",\"crv\":\"P-256\",\"kty\":\"EC\"}"), ACME_OK);
	CU_ASSERT_EQUAL(jwk_is("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" ED "\"}"), ACME_OK);
	for (size_t i = 0; i < COUNT_OF(refused); i++) {
		if (jwk_is(refused[i]) != ACME_BAD_PUBLIC_KEY)
			fprintf(stderr, "taken: %s\n", refused[i]);
		CU_ASSERT_EQUAL(jwk_is(refused[i]), ACME_BAD_PUBLIC_KEY);
	}
}

/* RSA: the modulus of a good key with another exponent, even, with a zero before it; 1,024 bits; a square. */
static void test_rsa_keys_refused__ACME_18(void)
{
	static const char *const exponents[] = { "AQ", "Aw", "AQAA", "AAEAAQ", "AQABAQABAQABAQABAQABAQABAQABAQABAQABAQABAQABAQAB" };
	EVP_PKEY *small = EVP_RSA_gen(1024);
	uint8_t raw[256], padded[257] = { 0 };
	AUTO_BUF n = { 0 };
	AUTO_BUF text = { 0 };
	BIGNUM *b = NULL;

	make_number(&n, make_key(MAKE_RSA2048), OSSL_PKEY_PARAM_RSA_N, 0);
	for (size_t i = 0; i < COUNT_OF(exponents); i++) {
		text.n = 0;
		buf_printf(&text, "{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"}", buf_str(&n), exponents[i]);
		CU_ASSERT_EQUAL(jwk_is(buf_str(&text)), ACME_BAD_PUBLIC_KEY);
	}
	text.n = 0;
	make_jwk(&text, small);
	CU_ASSERT_EQUAL(jwk_is(buf_str(&text)), ACME_BAD_PUBLIC_KEY);
	CU_ASSERT_TRUE(EVP_PKEY_get_bn_param(make_key(MAKE_RSA2048), OSSL_PKEY_PARAM_RSA_N, &b) == 1 && BN_bn2binpad(b, raw, 256) == 256);
	memcpy(padded + 1, raw, 256);
	raw[255] &= 0xfe;
	text.n = 0;
	buf_text(&text, "{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"");
	b64url_put(&text, raw, 256);
	buf_text(&text, "\"}");
	CU_ASSERT_EQUAL(jwk_is(buf_str(&text)), ACME_BAD_PUBLIC_KEY);
	text.n = 0;
	buf_text(&text, "{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"");
	b64url_put(&text, padded, 257);
	buf_text(&text, "\"}");
	CU_ASSERT_EQUAL(jwk_is(buf_str(&text)), ACME_BAD_PUBLIC_KEY);
	/* A modulus that falls to a small factor: three times something. */
	memset(raw, 0xff, 256);
	raw[255] = 0xff; /* 2^2048 - 1 */
	text.n = 0;
	buf_text(&text, "{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"");
	b64url_put(&text, raw, 256);
	buf_text(&text, "\"}");
	CU_ASSERT_EQUAL(jwk_is(buf_str(&text)), ACME_BAD_PUBLIC_KEY);
	BN_free(b);
	EVP_PKEY_free(small);
}

/* What a client signs is read, and holds; each octet counts. */
static void test_a_whole_jws__ACME_05(void)
{
	AUTO_BUF body = { 0 };
	struct jws j;

	make_jws(&body, "{\"alg\":\"ES256\"," HEADER "," KID "}", "{\"a\":1}", make_key(MAKE_P256), NULL);
	CU_ASSERT_TRUE_FATAL(jws_parse(&j, span_of(&body), JWS_REQUEST, NULL));
	CU_ASSERT_TRUE(j.payload.n == 7 && memcmp(j.payload.p, "{\"a\":1}", 7) == 0);
	CU_ASSERT_STRING_EQUAL(j.kid, "https://ca/acme/server/acct/7");
	CU_ASSERT_STRING_EQUAL(j.url, "https://ca/acme/server/new-order");
	CU_ASSERT_STRING_EQUAL(j.nonce, "AAAA");
	CU_ASSERT_PTR_NULL(j.jwk);
	CU_ASSERT_TRUE(jws_verify(make_key(MAKE_P256), KEY_P256, j.alg, span_of(&j.input), span_of(&j.signature), NULL));
	CU_ASSERT_FALSE(jws_verify(make_key(MAKE_P256_OTHER), KEY_P256, j.alg, span_of(&j.input), span_of(&j.signature), NULL));
	j.input.p[j.input.n - 1] ^= 1;
	CU_ASSERT_FALSE(jws_verify(make_key(MAKE_P256), KEY_P256, j.alg, span_of(&j.input), span_of(&j.signature), NULL));
	jws_free(&j);
	make_free();
}

static const struct cu_case table[] = {
	{ "test_bodies__ACME_05", test_bodies__ACME_05 },
	{ "test_headers__ACME_06__ACME_07", test_headers__ACME_06__ACME_07 },
	{ "test_sizes__ACME_05", test_sizes__ACME_05 },
	{ "test_thumbprints__ACME_18", test_thumbprints__ACME_18 },
	{ "test_keys_and_signatures__ACME_07", test_keys_and_signatures__ACME_07 },
	{ "test_ecdsa_signatures__ACME_07", test_ecdsa_signatures__ACME_07 },
	{ "test_keys_refused__ACME_18", test_keys_refused__ACME_18 },
	{ "test_rsa_keys_refused__ACME_18", test_rsa_keys_refused__ACME_18 },
	{ "test_a_whole_jws__ACME_05", test_a_whole_jws__ACME_05 },
};
CU_MAIN(table)
