/* SPDX-License-Identifier: Apache-2.0
 *
 * CRLs, authorities' certificates and health as va gives them. */
#include "crl/va.h"

#include "tests/cu.h"
#include "tests/fake/ocsp_client.h"
#include "tests/fake/va_peers.h"

#include "base/text.h"

#include <openssl/cms.h>
#include <openssl/pem.h>
#include <sys/stat.h>

#define NOON (INT64_C(1795521600) * US_PER_SECOND) /* 2026-11-24T12:00:00Z */

static char dir[] = "/tmp/test-va-files-XXXXXX";
static X509 *first, *second;
static struct va *va;
static struct caller *ra_caller, *ca_caller;
static struct peer ra, ca;

__attribute__((constructor)) static void make(void)
{
	char path[64];

	first = client_authority("devices", 3650, NULL);
	second = client_authority("devices", 3650, NULL);
	if (mkdtemp(dir) == NULL)
		abort();
	snprintf(path, sizeof path, "%s/crl", dir);
	if (mkdir(path, 0700) != 0)
		abort();
}

__attribute__((destructor)) static void unmake(void)
{
	static const char *const names[] = { "crl/devices-1.crl", "crl/devices-2.crl", "crl/secret-1.crl", "crl", "" };
	char path[128];

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		snprintf(path, sizeof path, "%s/%s", dir, names[i]);
		(void)remove(path);
	}
	X509_free(first);
	X509_free(second);
}

static int64_t test_now(void)
{
	return NOON;
}

static void tell(uint16_t type, const struct buf *body)
{
	va_notice(va, &(struct frame){ .type = type, .body = span_of(body) });
}

static void tell_authority(uint32_t gen, bool newest)
{
	struct status_authority a = { .ref = gen, .gen = { "devices", gen }, .newest = newest, .has_responder = true,
		                      .ocsp_lifetime = US_PER_HOUR };
	unsigned char *der = NULL;
	AUTO_BUF body = { 0 };

	a.cert.n = (size_t)i2d_X509(gen == 1 ? first : second, &der);
	a.cert.p = der;
	status_authority_put(&body, &a);
	OPENSSL_free(der);
	tell(STATUS_AUTHORITY, &body);
}

static void write_crl(const char *name, const char *octets)
{
	char path[128];

	snprintf(path, sizeof path, "%s/crl/%s", dir, name);
	CU_ASSERT_TRUE_FATAL(file_write_atomic(path, octets, strlen(octets), 0600, NULL));
}

static void tell_crl(const char *name, uint32_t gen, int64_t next_update)
{
	struct status_crl c = { .newest = true, .number = 1, .this_update = NOON - US_PER_HOUR, .next_update = next_update };
	AUTO_BUF body = { 0 };

	strcpy(c.gen.name, name);
	c.gen.gen = gen;
	status_crl_put(&body, &c);
	tell(STATUS_CRL, &body);
}

static void begin(void)
{
	ra = (struct peer){ .lock = PTHREAD_MUTEX_INITIALIZER };
	ca = (struct peer){ .lock = PTHREAD_MUTEX_INITIALIZER };
	va = va_new(&(struct va_config){ .dir = dir, .now = test_now });
	ra_caller = caller_new("va", va_notice, va_up, va);
	ca_caller = caller_new("va", NULL, NULL, NULL);
	va_set_callers(va, ra_caller, ca_caller);
	CU_ASSERT_TRUE_FATAL(peer_start(&ra, ra_caller));
	CU_ASSERT_TRUE_FATAL(peer_start(&ca, ca_caller));
	tell_authority(1, true);
}

static void end(void)
{
	if (!ra.stop)
		peer_stop(&ra, ra_caller);
	if (!ca.stop)
		peer_stop(&ca, ca_caller);
	caller_free(ra_caller);
	caller_free(ca_caller);
	va_free(va);
}

static struct response ask(const struct head *head, const char *method, const char *path, const char *if_none_match,
                           const char *if_modified_since)
{
	struct request in = { .method = method, .path = path, .query = "", .content_type = "", .authorization = "", .user_agent = "",
		              .if_none_match = if_none_match, .if_modified_since = if_modified_since };
	struct response out = { 0 };
	struct ask question = { 0 };

	CU_ASSERT_FALSE(head->parse(va, &in, &question, &out));
	return out;
}

static struct response get(const char *path)
{
	return ask(va_file_head(), "GET", path, "", "");
}

static const char *header(const struct response *r, const char *name)
{
	for (size_t i = 0; i < r->header_n; i++)
		if (strcmp(r->header[i].name, name) == 0)
			return r->header[i].value;
	return "";
}

static unsigned status_of(struct response r)
{
	buf_free(&r.body);
	return r.status;
}

/* A copy of just its length, so that the sanitizer sees a read behind the end. */
static unsigned status_exact(const char *path)
{
	char *exact = mem_dup(path, strlen(path) + 1);
	unsigned status = status_of(get(exact));

	free(exact);
	return status;
}

static void test_paths_that_are_none__CRL_14(void)
{
	static const char *const bad[] = {
		"/ca", "/crl", "/ca/", "/crl/", "/ca//1.cer", "/crl/devices", "/crl/devices/", "/crl/devices/1", "/crl/devices/1.",
		"/crl/devices/0.crl", "/crl/devices/01.crl", "/crl/devices/-1.crl", "/crl/devices/+1.crl", "/crl/devices/ 1.crl",
		"/crl/devices/3.crl", "/crl/devices/1-delta.crl", "/crl/devices/1.cer", "/crl/devices/1.crl/", "/crl/devices/1.crl.pem",
		"/crl/devices/99999999999999999999.crl", "/crl/devices/4294967297.crl", "/crl/Devices/1.crl", "/crl/1/1.crl",
		"/crl/-devices/1.crl", "/crl/../crl/devices/1.crl", "/crl/..", "/crl/../../etc/passwd", "/crl/%2e%2e/x.crl",
		"/crl/devices%2f1.crl", "/crl/secret/1.crl", "/crl/secret.crl", "/crl/devices.crlx", "/ca/devices/1.crl",
		"/ca/devices/1.p7b", "/ca/devices/1.key", "/ca/servers/1.cer", "/ca/devices.p12",
		"/ca/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/1.cer", "/devices/1.crl", "",
	};

	write_crl("devices-1.crl", "first CRL");
	write_crl("secret-1.crl", "not told");
	begin();
	tell_crl("devices", 1, NOON + US_PER_DAY);
	tell_crl("secret", 1, NOON + US_PER_DAY); /* of an authority that nobody has introduced */
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		CU_ASSERT_EQUAL(status_exact(bad[i]), 404);
	CU_ASSERT_EQUAL(status_exact("/crl/devices/1.crl"), 200);
	end();
}

static void test_not_there_is_not_kept__CRL_14(void)
{
	struct response r;

	begin();
	r = get("/crl/devices/1.crl");
	CU_ASSERT_EQUAL(r.status, 404);
	CU_ASSERT_STRING_EQUAL(header(&r, "Cache-Control"), "no-store");
	CU_ASSERT_PTR_NOT_NULL(strstr(r.content_type, "text/plain"));
	buf_free(&r.body);
	/* A file that can't be read leaves what is there. */
	write_crl("devices-1.crl", "first CRL");
	tell_crl("devices", 1, NOON + US_PER_DAY);
	CU_ASSERT_EQUAL(status_of(get("/crl/devices.crl")), 200);
	tell_crl("devices", 7, NOON + US_PER_DAY);
	CU_ASSERT_EQUAL(status_of(get("/crl/devices.crl")), 200);
	end();
}

static void test_other_methods__CRL_14(void)
{
	static const char *const methods[] = { "POST", "PUT", "DELETE", "OPTIONS", "get", "" };

	begin();
	for (size_t i = 0; i < COUNT_OF(methods); i++) {
		struct response r = ask(va_file_head(), methods[i], "/ca/devices/1.cer", "", "");

		CU_ASSERT_EQUAL(r.status, 405);
		CU_ASSERT_STRING_EQUAL(header(&r, "Allow"), "GET, HEAD");
		buf_free(&r.body);
		CU_ASSERT_EQUAL(status_of(ask(va_health_head(), methods[i], "/readyz", "", "")), 405);
	}
	CU_ASSERT_EQUAL(status_of(ask(va_file_head(), "HEAD", "/ca/devices/1.cer", "", "")), 200);
	end();
}

static void test_crl_and_its_headers__CRL_14(void)
{
	struct response r;
	long long age = -1;
	char etag[sizeof r.header[0].value], date[32];

	write_crl("devices-1.crl", "first CRL");
	begin();
	tell_crl("devices", 1, NOON + 10 * US_PER_MINUTE);
	r = get("/crl/devices/1.crl");
	CU_ASSERT_TRUE(r.status == 200 && r.body.n == 9 && memcmp(r.body.p, "first CRL", 9) == 0);
	CU_ASSERT_STRING_EQUAL(r.content_type, "application/pkix-crl");
	clock_http(NOON - US_PER_HOUR, date, sizeof date);
	CU_ASSERT_STRING_EQUAL(header(&r, "Last-Modified"), date);
	CU_ASSERT_EQUAL(sscanf(header(&r, "Cache-Control"), "max-age=%lld", &age), 1);
	CU_ASSERT_TRUE(age > 0 && age <= 600);
	snprintf(etag, sizeof etag, "%s", header(&r, "ETag"));
	CU_ASSERT_TRUE(etag[0] == '"' && strlen(etag) == 66);
	buf_free(&r.body);

	CU_ASSERT_EQUAL(status_of(ask(va_file_head(), "GET", "/crl/devices/1.crl", etag, "")), 304);
	CU_ASSERT_EQUAL(status_of(ask(va_file_head(), "GET", "/crl/devices.crl", "*", "")), 304);
	CU_ASSERT_EQUAL(status_of(ask(va_file_head(), "GET", "/crl/devices/1.crl", "\"other\"", date)), 200);
	CU_ASSERT_EQUAL(status_of(ask(va_file_head(), "GET", "/crl/devices/1.crl", "", date)), 304);
	CU_ASSERT_EQUAL(status_of(ask(va_file_head(), "GET", "/crl/devices/1.crl", "", "Mon, 23 Nov 2026 10:00:00 GMT")), 200);
	CU_ASSERT_EQUAL(status_of(ask(va_file_head(), "GET", "/crl/devices/1.crl", "", "yesterday")), 200);
	r = ask(va_file_head(), "GET", "/crl/devices/1.crl", etag, "");
	CU_ASSERT_TRUE(r.body.n == 0 && strcmp(header(&r, "ETag"), etag) == 0);
	buf_free(&r.body);

	/* The next one. */
	write_crl("devices-1.crl", "second one");
	tell_crl("devices", 1, NOON - US_PER_MINUTE);
	r = ask(va_file_head(), "GET", "/crl/devices/1.crl", etag, "");
	CU_ASSERT_TRUE(r.status == 200 && r.body.n == 10);
	/* It has run out: given, but kept by nobody. */
	CU_ASSERT_EQUAL(sscanf(header(&r, "Cache-Control"), "max-age=%lld", &age), 1);
	CU_ASSERT_EQUAL(age, 0);
	buf_free(&r.body);
	end();
}

static void test_newest_generation__CRL_14(void)
{
	unsigned char *der = NULL;
	struct response r;
	int n;

	write_crl("devices-1.crl", "first CRL");
	write_crl("devices-2.crl", "CRL of the second");
	begin();
	tell_crl("devices", 1, NOON + US_PER_DAY);
	tell_authority(2, true);
	tell_crl("devices", 2, NOON + US_PER_DAY);
	r = get("/crl/devices.crl");
	CU_ASSERT_EQUAL(r.body.n, 17);
	buf_free(&r.body);
	r = get("/crl/devices/1.crl");
	CU_ASSERT_EQUAL(r.body.n, 9);
	buf_free(&r.body);
	r = get("/ca/devices.cer");
	n = i2d_X509(second, &der);
	CU_ASSERT_TRUE(r.body.n == (size_t)n && memcmp(r.body.p, der, r.body.n) == 0);
	OPENSSL_free(der);
	buf_free(&r.body);
	end();
}

static void test_certificates_in_three_forms__CRL_14(void)
{
	struct response r;
	const unsigned char *p;
	CMS_ContentInfo *cms;
	STACK_OF(X509) *certs;
	X509 *x;
	BIO *bio;
	char etag[sizeof r.header[0].value];

	begin();
	r = get("/ca/devices/1.cer");
	p = r.body.p;
	x = d2i_X509(NULL, &p, (long)r.body.n);
	CU_ASSERT_TRUE(x != NULL && p == r.body.p + r.body.n && X509_cmp(x, first) == 0);
	CU_ASSERT_STRING_EQUAL(r.content_type, "application/pkix-cert");
	CU_ASSERT_PTR_NOT_NULL(strstr(header(&r, "Cache-Control"), "max-age="));
	snprintf(etag, sizeof etag, "%s", header(&r, "ETag"));
	X509_free(x);
	buf_free(&r.body);
	CU_ASSERT_EQUAL(status_of(ask(va_file_head(), "GET", "/ca/devices/1.cer", etag, "")), 304);
	CU_ASSERT_EQUAL(status_of(ask(va_file_head(), "GET", "/ca/devices/1.pem", etag, "")), 200);

	r = get("/ca/devices/1.pem");
	bio = BIO_new_mem_buf(r.body.p, (int)r.body.n);
	x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	CU_ASSERT_TRUE(x != NULL && X509_cmp(x, first) == 0);
	X509_free(x);
	BIO_free(bio);
	buf_free(&r.body);

	r = get("/ca/devices/1.p7c");
	CU_ASSERT_STRING_EQUAL(r.content_type, "application/pkcs7-mime");
	p = r.body.p;
	cms = d2i_CMS_ContentInfo(NULL, &p, (long)r.body.n);
	CU_ASSERT_PTR_NOT_NULL_FATAL(cms);
	certs = CMS_get1_certs(cms);
	CU_ASSERT_TRUE(sk_X509_num(certs) == 1 && X509_cmp(sk_X509_value(certs, 0), first) == 0);
	sk_X509_pop_free(certs, X509_free);
	CMS_ContentInfo_free(cms);
	buf_free(&r.body);
	end();
}

static void test_health(void)
{
	AUTO_BUF body = { 0 };
	struct response r;

	begin();
	CU_ASSERT_EQUAL(status_of(ask(va_health_head(), "GET", "/healthz", "", "")), 200);
	r = ask(va_health_head(), "GET", "/readyz", "", "");
	CU_ASSERT_TRUE(r.status == 503 && strstr(buf_str(&r.body), "\"status\":\"failed\"") != NULL);
	CU_ASSERT_STRING_EQUAL(r.content_type, "application/json");
	buf_free(&r.body);
	wr_u64(&body, 3);
	tell(STATUS_SNAPSHOT_END, &body);
	r = ask(va_health_head(), "GET", "/readyz", "", "");
	CU_ASSERT_TRUE(r.status == 200 && strstr(buf_str(&r.body), "failed") == NULL);
	buf_free(&r.body);
	peer_stop(&ca, ca_caller);
	CU_ASSERT_EQUAL(status_of(ask(va_health_head(), "GET", "/readyz", "", "")), 503);
	CU_ASSERT_EQUAL(status_of(ask(va_health_head(), "GET", "/healthz", "", "")), 200);
	end();
}

static const struct cu_case cases[] = {
	{ "paths_that_are_none__CRL_14", test_paths_that_are_none__CRL_14 },
	{ "not_there_is_not_kept__CRL_14", test_not_there_is_not_kept__CRL_14 },
	{ "other_methods__CRL_14", test_other_methods__CRL_14 },
	{ "crl_and_its_headers__CRL_14", test_crl_and_its_headers__CRL_14 },
	{ "newest_generation__CRL_14", test_newest_generation__CRL_14 },
	{ "certificates_in_three_forms__CRL_14", test_certificates_in_three_forms__CRL_14 },
	{ "health", test_health },
};
CU_MAIN(cases)
