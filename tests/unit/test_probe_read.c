/* SPDX-License-Identifier: Apache-2.0
 *
 * The readers of what strangers send to probe: DNS answers, TXT, CAA, redirects, certificates. */
#include "probe/alpn.h"
#include "probe/dns.h"
#include "probe/http.h"

#include "tests/cu.h"
#include "tests/fake/alpn_cert.h"
#include "tests/fake/out_there.h"

#include <stdlib.h>

/* A copy of just this size, so that the sanitizer sees a read behind the end. */
static bool reads(const struct buf *b, unsigned type, struct dns_records *out)
{
	uint8_t *exact = malloc(b->n != 0 ? b->n : 1);
	struct dns_records mine;
	bool good;

	if (b->n != 0)
		memcpy(exact, b->p, b->n);
	good = dns_read(&mine, type, exact, b->n, NULL);
	for (unsigned i = 0; good && i < mine.n; i++)
		CU_ASSERT_TRUE(mine.rdata[i].p >= exact && mine.rdata[i].p + mine.rdata[i].n <= exact + b->n);
	free(exact);
	return good && (out == NULL || dns_read(out, type, b->p, b->n, NULL));
}

/* The stub's answer to a question: what libunbound would hand over. */
static void answer(struct buf *out, const char *name, unsigned type)
{
	AUTO_BUF q = { 0 };

	buf_add(&q, "\0\7\1\0\0\1\0\0\0\0\0\0", 12);
	wire_name(&q, name);
	put16(&q, type);
	put16(&q, 1);
	(void)!zone_answer(out, q.p, q.n, true);
}

static void test_answers_and_their_truncations__ACME_32(void)
{
	AUTO_BUF b = { 0 };
	AUTO_BUF text = { 0 };
	struct dns_records r;

	zone_clear();
	zone_txt("b.test", "one");
	zone_txt("B.test", "two");
	zone_cname("a.test", "b.TEST");
	answer(&b, "A.test", 16);
	CU_ASSERT_TRUE_FATAL(reads(&b, DNS_TXT, &r));
	CU_ASSERT_EQUAL(r.n, 2);
	CU_ASSERT_EQUAL(r.cnames, 1);
	CU_ASSERT_TRUE(dns_txt(&text, r.rdata[1], NULL));
	CU_ASSERT_STRING_EQUAL(buf_str(&text), "two");
	for (size_t n = 0; n < b.n; n++) {
		struct buf shorter = { b.p, n, n };

		CU_ASSERT_FALSE(reads(&shorter, DNS_TXT, NULL));
	}
	/* Records of other names and classes are not the answer. */
	b.n = 0;
	zone_clear();
	zone_a("x.test", "10.0.0.1");
	answer(&b, "x.test", 1);
	CU_ASSERT_TRUE(reads(&b, DNS_A, &r) && r.n == 1);
	CU_ASSERT_TRUE(reads(&b, DNS_TXT, &r) && r.n == 0);
	b.p[13] = 'y'; /* of the question */
	CU_ASSERT_TRUE(reads(&b, DNS_A, &r) && r.n == 0);
	b.p[13] = 'x';
	b.p[24 + 8 + 3] = 3; /* class of the record: CH */
	CU_ASSERT_TRUE(reads(&b, DNS_A, &r) && r.n == 0);
}

static void test_compressed_names__ACME_32(void)
{
	/* x.test A, the owner as a pointer to the question. */
	static const uint8_t good[] = "\0\7\x81\x80\0\1\0\1\0\0\0\0" "\1x\4test\0\0\1\0\1" "\xc0\x0c\0\1\0\1\0\0\0\0\0\4\x0a\0\0\1";
	struct buf b = { 0 };
	struct dns_records r;

	buf_add(&b, good, sizeof good - 1);
	CU_ASSERT_TRUE(reads(&b, DNS_A, &r) && r.n == 1);
	b.p[25] = 0x18; /* to itself, and forward */
	CU_ASSERT_FALSE(reads(&b, DNS_A, NULL));
	b.p[25] = 0x30;
	CU_ASSERT_FALSE(reads(&b, DNS_A, NULL));
	b.p[24] = 0x80; /* a label of no known kind */
	CU_ASSERT_FALSE(reads(&b, DNS_A, NULL));
	b.p[24] = 0xc0;
	b.p[25] = 12;
	b.p[5] = 2; /* two questions */
	CU_ASSERT_FALSE(reads(&b, DNS_A, NULL));
	b.p[5] = 1;
	b.p[7] = 200; /* more records than there are */
	CU_ASSERT_FALSE(reads(&b, DNS_A, NULL));
	buf_free(&b);
}

static void test_aliases__ACME_32(void)
{
	AUTO_BUF b = { 0 };
	struct dns_records r;
	struct err e;

	zone_clear();
	zone_cname("a.test", "b.test");
	zone_cname("b.test", "a.test");
	answer(&b, "a.test", 16);
	CU_ASSERT_FALSE(dns_read(&r, DNS_TXT, b.p, b.n, &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "aliases"));
	b.n = 0;
	answer(&b, "a.test", 5);
	CU_ASSERT_TRUE(dns_read(&r, DNS_CNAME, b.p, b.n, &e) && r.n == 1);
	zone_clear();
	for (int i = 0; i < 100; i++)
		zone_txt("many.test", "x");
	b.n = 0;
	answer(&b, "many.test", 16);
	CU_ASSERT_TRUE(dns_read(&r, DNS_TXT, b.p, b.n, &e) && r.n == DNS_RECORD_MAX);
}

static void test_txt_and_caa_rdata__ACME_32__ACME_50(void)
{
	static const struct {
		const char *p;
		size_t n;
		bool txt, caa;
	} rows[] = {
		{ "", 0, false, false }, { "\0", 1, true, false }, { "\1a", 2, true, false }, { "\2a", 2, false, false }, { "\1a\0", 3, true, false },
		{ "\1a\5b", 4, false, false }, { "\0\5issue", 7, true, true }, { "\0\5issuex", 8, false, true }, { "\0\6issue", 7, false, false },
		{ "\0\0x", 3, false, false }, { "\0\1-x", 4, false, false }, { "\0\5iss e", 7, true, false }, { "\x80\3tbsvalue", 10, false, true },
		{ "\0\x14" "abcdefghijklmnopqrst", 22, true, true },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_BUF text = { 0 };
		uint8_t *exact = malloc(rows[i].n + 1);
		struct caa_record c;

		memcpy(exact, rows[i].p, rows[i].n);
		CU_ASSERT_EQUAL(dns_txt(&text, (struct span){ exact, rows[i].n }, NULL), rows[i].txt);
		CU_ASSERT_EQUAL(dns_caa(&c, (struct span){ exact, rows[i].n }, NULL), rows[i].caa);
		free(exact);
	}
}

static void test_redirect_targets__ACME_30(void)
{
	static const uint16_t ports[] = { 8080, 80, 443, 0 };
	static const struct {
		const char *url, *host; /* NULL: refused */
		uint16_t port;
		bool https, ip;
	} rows[] = {
		{ "http://a.test/x", "a.test", 80, false, false }, { "HTTPS://A.Test", "a.test", 443, true, false }, { "http://a.test:8080/", "a.test", 8080, false, false },
		{ "http://10.0.0.1/", "10.0.0.1", 80, false, true }, { "http://[fd00::1]:443/", "fd00::1", 443, false, true },
		{ "http://167772161/", "10.0.0.1", 80, false, true }, { "http://0xa.0.0.1/", "10.0.0.1", 80, false, true },
		{ "http://a.test:81/", NULL, 0, false, false }, { "ftp://a.test/", NULL, 0, false, false }, { "file:///etc/passwd", NULL, 0, false, false },
		{ "javascript:alert(1)", NULL, 0, false, false }, { "http://u@a.test/", NULL, 0, false, false }, { "http://u:p@a.test/", NULL, 0, false, false },
		{ "http://a b/", NULL, 0, false, false }, { "http://a.test\r\nX: y/", NULL, 0, false, false },
		{ "http://.test/", NULL, 0, false, false },
		{ "http://\xc3\xa4.test/", NULL, 0, false, false }, { "", NULL, 0, false, false }, { "http://a.test:99999/", NULL, 0, false, false },
		{ "http://[::1", NULL, 0, false, false },
	};
	/* libcurl's versions differ over these: refused, or seen through, so that the fence judges what is meant. */
	static const char *const disguised[][2] = { { "http://%31%32%37.0.0.1/", "127.0.0.1" }, { "http://[fe80::1%25eth0]/", "fe80::1" },
		                                    { "http:///x", "x" }, { "http://127.1/", "127.0.0.1" } };
	char far[HTTP_URL_MAX + 1];
	struct http_target t;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		bool good = http_redirect(&t, rows[i].url, ports, NULL);

		if (good != (rows[i].host != NULL))
			printf("%s: %s\n", rows[i].url, good ? t.host : "refused");
		CU_ASSERT_EQUAL(good, rows[i].host != NULL);
		if (!good || rows[i].host == NULL)
			continue;
		CU_ASSERT_STRING_EQUAL(t.host, rows[i].host);
		CU_ASSERT_EQUAL(t.port, rows[i].port);
		CU_ASSERT_EQUAL(t.https, rows[i].https);
		CU_ASSERT_EQUAL(t.ip, rows[i].ip);
	}
	for (size_t i = 0; i < COUNT_OF(disguised); i++)
		CU_ASSERT_TRUE(!http_redirect(&t, disguised[i][0], ports, NULL) || strcmp(t.host, disguised[i][1]) == 0);
	memset(far, 'a', sizeof far);
	memcpy(far, "http://a.test/", 14);
	far[HTTP_URL_MAX] = 0;
	CU_ASSERT_FALSE(http_redirect(&t, far, ports, NULL));
	far[HTTP_URL_MAX - 1] = 0;
	CU_ASSERT_TRUE(http_redirect(&t, far, ports, NULL));
}

static void test_strangers_texts__ACME_30(void)
{
	char out[16];

	text_escaped(out, sizeof out, "plain", 5);
	CU_ASSERT_STRING_EQUAL(out, "plain");
	text_escaped(out, sizeof out, "a\"\\\n", 4);
	CU_ASSERT_STRING_EQUAL(out, "a\\x22\\x5c...");
	text_escaped(out, sizeof out, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 30);
	CU_ASSERT_STRING_EQUAL(out, "aaaaaaaaaaaa...");
	text_escaped(out, sizeof out, NULL, 0);
	CU_ASSERT_STRING_EQUAL(out, "");
}

static bool holds(const struct alpn_cert *c, bool ip, const char *name, const char *words)
{
	static const uint8_t digest[32] = { 1, 2, 3, 4 };
	X509 *x = alpn_make(c);
	uint8_t *der = NULL;
	int n = i2d_X509(x, &der);
	struct err e = { 0 };
	bool good = alpn_certificate((struct span){ der, (size_t)n }, ip, name, digest, &e);

	if (words != NULL && strstr(e.text, words) == NULL)
		printf("'%s' is not '%s'\n", e.text, words);
	CU_ASSERT_TRUE(words == NULL || strstr(e.text, words) != NULL);
	/* Cut, and with an octet more, it is none. */
	CU_ASSERT_FALSE(alpn_certificate((struct span){ der, (size_t)n - 1 }, ip, name, digest, NULL));
	der = OPENSSL_realloc(der, (size_t)n + 1);
	CU_ASSERT_FALSE(alpn_certificate((struct span){ der, (size_t)n + 1 }, ip, name, digest, NULL));
	OPENSSL_free(der);
	X509_free(x);
	return good;
}

static void test_alpn_certificates__ACME_33__ACME_34(void)
{
	struct alpn_cert c = { .san = "DNS:a.test", .digest = { 1, 2, 3, 4 } };

	CU_ASSERT_TRUE(holds(&c, false, "a.test", NULL));
	CU_ASSERT_FALSE(holds(&c, false, "b.test", "is for a.test"));
	CU_ASSERT_FALSE(holds(&c, true, "10.0.0.1", "iPAddress 10.0.0.1 is expected"));
	c.san = "IP:10.0.0.1";
	CU_ASSERT_TRUE(holds(&c, true, "10.0.0.1", NULL));
	CU_ASSERT_FALSE(holds(&c, true, "10.0.0.2", "something else"));
	CU_ASSERT_FALSE(holds(&c, false, "10.0.0.1", "dNSName"));
	CU_ASSERT_FALSE(holds(&c, true, "::a00:1", NULL)); /* four octets are not sixteen */
	c.san = "IP:fd00::1";
	CU_ASSERT_TRUE(holds(&c, true, "fd00::1", NULL));
	c.san = "email:a.test";
	CU_ASSERT_FALSE(holds(&c, false, "a.test", "something else"));
	c.san = "DNS:a.test,DNS:a.test";
	CU_ASSERT_FALSE(holds(&c, false, "a.test", "2 names"));
	c.san = "DNS:*.test";
	CU_ASSERT_FALSE(holds(&c, false, "a.test", "is for *.test"));
	c.san = "DNS:a.test";
	c.trailing = true; /* octets behind the OCTET STRING */
	CU_ASSERT_FALSE(holds(&c, false, "a.test", "32 octets"));
	c.trailing = false;
	c.digest[0] = 9;
	CU_ASSERT_FALSE(holds(&c, false, "a.test", "not the SHA-256"));
}

static void test_server_names__ACME_34(void)
{
	char out[256], small[40];

	CU_ASSERT_TRUE(alpn_server_name(false, "a.test", out, sizeof out));
	CU_ASSERT_STRING_EQUAL(out, "a.test");
	CU_ASSERT_TRUE(alpn_server_name(true, "192.0.2.1", out, sizeof out));
	CU_ASSERT_STRING_EQUAL(out, "1.2.0.192.in-addr.arpa");
	CU_ASSERT_TRUE(alpn_server_name(true, "2001:db8::567:89ab", out, sizeof out));
	CU_ASSERT_STRING_EQUAL(out, "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"); /* RFC 3596, 2.5 */
	CU_ASSERT_FALSE(alpn_server_name(true, "2001:db8::1", small, sizeof small));
	CU_ASSERT_FALSE(alpn_server_name(true, "a.test", out, sizeof out));
}

static const struct cu_case cases[] = {
	{ "answers_and_their_truncations__ACME_32", test_answers_and_their_truncations__ACME_32 },
	{ "compressed_names__ACME_32", test_compressed_names__ACME_32 },
	{ "aliases__ACME_32", test_aliases__ACME_32 },
	{ "txt_and_caa_rdata__ACME_32__ACME_50", test_txt_and_caa_rdata__ACME_32__ACME_50 },
	{ "redirect_targets__ACME_30", test_redirect_targets__ACME_30 },
	{ "strangers_texts__ACME_30", test_strangers_texts__ACME_30 },
	{ "alpn_certificates__ACME_33__ACME_34", test_alpn_certificates__ACME_33__ACME_34 },
	{ "server_names__ACME_34", test_server_names__ACME_34 },
};

CU_MAIN(cases)
