/* SPDX-License-Identifier: Apache-2.0
 *
 * The EST head without a server: paths, Basic, bodies, and the question that it makes of a request. */
#include "base/mem.h"
#include "base/text.h"
#include "est/est.h"
#include "ra/ra.h"
#include "tests/cu.h"

#include <stdlib.h>

static void test_paths__EST_01(void)
{
	static const struct {
		const char *path;
		int op; /* -1: refused */
		const char *label;
	} t[] = {
		{ "/cacerts", EST_CACERTS, "" },
		{ "/simpleenroll", EST_SIMPLEENROLL, "" },
		{ "/device/simplereenroll", EST_SIMPLEREENROLL, "device" },
		{ "/a-2/csrattrs", EST_CSRATTRS, "a-2" },
		{ "/x/serverkeygen", EST_SERVERKEYGEN, "x" },
		{ "/fullcmc", EST_FULLCMC, "" },
		{ "", -1, "" },
		{ "/", -1, "" },
		{ "cacerts", -1, "" },
		{ "/CACERTS", -1, "" },
		{ "/cacerts/", -1, "" },
		{ "//cacerts", -1, "" },
		{ "/device/", -1, "" },
		{ "/device//cacerts", -1, "" },
		{ "/a/b/cacerts", -1, "" },
		{ "/cacertsx", -1, "" },
		{ "/cacert", -1, "" },
		{ "/0123456789012345678901234567890123/cacerts", -1, "" },
		{ "/%2e%2e/cacerts", EST_CACERTS, "%2e%2e" }, /* no such label: the head says so */
	};

	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		enum est_operation op = EST_OPERATION_COUNT;
		char label[32];
		bool good = est_path_parse(t[i].path, &op, label);

		CU_ASSERT_EQUAL(good, t[i].op >= 0);
		if (good && t[i].op >= 0) {
			CU_ASSERT_EQUAL((int)op, t[i].op);
			CU_ASSERT_STRING_EQUAL(label, t[i].label);
		}
	}
}

static bool basic(const char *user_pass, size_t n, char user[256], char password[256], struct err *e)
{
	AUTO_BUF text = { 0 };

	buf_add(&text, "Basic ", 6);
	b64_put(&text, user_pass, n, B64_ONE_LINE);
	*e = (struct err){ 0 };
	return est_basic_parse(buf_str(&text), user, password, e);
}

static void test_basic__EST_30(void)
{
	char user[256], password[256], big[600];
	struct err e = { 0 };

	CU_ASSERT_TRUE(basic("pump:se:cret", 12, user, password, &e));
	CU_ASSERT_STRING_EQUAL(user, "pump");
	CU_ASSERT_STRING_EQUAL(password, "se:cret");
	CU_ASSERT_TRUE(basic("pump:", 5, user, password, &e));
	CU_ASSERT_STRING_EQUAL(password, "");
	CU_ASSERT_TRUE(est_basic_parse("bAsIc   cHVtcDp4", user, password, &e));
	CU_ASSERT_STRING_EQUAL(user, "pump");
	CU_ASSERT_FALSE(basic(":x", 2, user, password, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_BAD_REQUEST);
	CU_ASSERT_FALSE(basic("pump", 4, user, password, &e));
	CU_ASSERT_FALSE(basic("pu\0mp:x", 7, user, password, &e));
	CU_ASSERT_FALSE(basic("pump:x\n", 7, user, password, &e));
	CU_ASSERT_FALSE(basic("pump:\xff\xfe", 7, user, password, &e));
	CU_ASSERT_FALSE(basic("", 0, user, password, &e));
	memset(big, 'a', sizeof big);
	big[255] = ':';
	CU_ASSERT_TRUE(basic(big, 300, user, password, &e));
	CU_ASSERT_EQUAL(strlen(user), 255);
	CU_ASSERT_FALSE(basic(big, 512, user, password, &e));
	big[255] = 'a';
	big[256] = ':';
	CU_ASSERT_FALSE(basic(big, 300, user, password, &e));
	CU_ASSERT_FALSE(est_basic_parse("Bearer abc", user, password, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_UNAUTHENTICATED);
	CU_ASSERT_FALSE(est_basic_parse("Basic", user, password, &e));
	CU_ASSERT_FALSE(est_basic_parse("", user, password, &e));
	CU_ASSERT_FALSE(est_basic_parse("Basic cHVtcDp4=", user, password, &e));
	CU_ASSERT_FALSE(est_basic_parse("Basic !!!!", user, password, &e));
	{
		AUTO_BUF long_one = { 0 };

		buf_add(&long_one, "Basic ", 6);
		for (int i = 0; i < 2000; i++)
			buf_byte(&long_one, 'A');
		CU_ASSERT_FALSE(est_basic_parse(buf_str(&long_one), user, password, &e));
	}
}

static bool decode(const char *body, struct buf *der)
{
	struct err e = { 0 };
	bool good;

	der->n = 0;
	good = est_body_decode(der, (struct span){ (const uint8_t *)body, strlen(body) }, &e);
	CU_ASSERT_TRUE(good || (e.kind == ERR_BAD_REQUEST && e.text[0] != 0));
	return good;
}

static void test_bodies__EST_21__EST_23__QRK_04(void)
{
	static const char *const refused[] = {
		"", "====", "MAA", "MAA=x", "M A A =!", "MAA\x80", "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
		"-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n", "-----BEGIN CERTIFICATE REQUEST-----\nM\n-----END CERTIFICATE REQUEST-----\n",
		"-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n", "MAA=MAA=", "0\x01\x02",
	};
	AUTO_BUF der = { 0 };

	CU_ASSERT_TRUE(decode("MAA=", &der));
	CU_ASSERT_TRUE(der.n == 2 && der.p[0] == 0x30 && der.p[1] == 0);
	CU_ASSERT_TRUE(decode("M\r\nA\r\nA =\r\n", &der));
	CU_ASSERT_EQUAL(der.n, 2);
	CU_ASSERT_TRUE(decode("-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n", &der));
	CU_ASSERT_EQUAL(der.n, 2);
	CU_ASSERT_TRUE(decode("-----BEGIN NEW CERTIFICATE REQUEST-----\nMAA=\n-----END NEW CERTIFICATE REQUEST-----\n", &der));
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
		CU_ASSERT_FALSE(decode(refused[i], &der));
}

static void test_every_kind_has_a_status__EST_27(void)
{
	for (int k = 1; k < ERR_KIND_COUNT; k++) {
		unsigned s = est_status_of((enum err_kind)k);

		CU_ASSERT_TRUE(s >= 400 && s < 600);
	}
	CU_ASSERT_EQUAL(est_status_of(ERR_UNAUTHENTICATED), 401);
	CU_ASSERT_EQUAL(est_status_of(ERR_BUSY), 503);
	CU_ASSERT_EQUAL(est_status_of(ERR_TOO_LARGE), 413);
	CU_ASSERT_EQUAL(est_status_of((enum err_kind)9999), 500);
}

/* --- The head: what it makes of whole requests. Nobody is at ra's door: questions are made, not answered. */

struct fixture {
	struct est *est;
	struct caller *ra;
	struct request q;
	struct ask ask;
	struct response r;
	bool asked;
};

static void begin(struct fixture *f, const char *method, const char *path, const char *type, const char *body)
{
	struct ra_trust *t = mem_new(sizeof *t);
	AUTO_BUF trust = { 0 };

	*f = (struct fixture){ .q = { .method = method, .path = path, .query = "", .content_type = type, .authorization = "",
	                              .user_agent = "", .if_none_match = "", .if_modified_since = "", .request_id = "r-1",
	                              .remote = "127.0.0.1", .body = { (const uint8_t *)body, strlen(body) } } };
	f->est = est_new();
	f->ra = caller_new("front", NULL, NULL, NULL); /* nobody is there */
	est_set_caller(f->est, f->ra);
	t->label_n = 1;
	strcpy(t->label[0], "device");
	ra_trust_put(&trust, t);
	est_trust(f->est, span_of(&trust));
	free(t);
}

static void run(struct fixture *f)
{
	f->asked = est_head()->parse(f->est, &f->q, &f->ask, &f->r);
}

static void end(struct fixture *f)
{
	est_free(f->est);
	caller_free(f->ra);
	buf_free(&f->ask.body);
	free(f->ask.state);
	buf_free(&f->r.body);
}

static const char *header(const struct response *r, const char *name)
{
	for (size_t i = 0; i < r->header_n; i++)
		if (strcmp(r->header[i].name, name) == 0)
			return r->header[i].value;
	return "";
}

#define EST "/.well-known/est"
#define PKCS10 "application/pkcs10"

static void test_requests_refused_before_ra__EST_01__EST_27(void)
{
	static const struct {
		const char *method, *path, *type, *body, *authorization;
		unsigned status;
	} t[] = {
		{ "GET", EST "/nothing", "", "", "", 404 },
		{ "GET", EST "/other/csrattrs", "", "", "", 404 },
		{ "POST", EST "/other/simpleenroll", PKCS10, "MAA=", "Basic cHVtcDp4", 404 },
		{ "GET", EST "/simpleenroll", "", "", "", 405 },
		{ "POST", EST "/cacerts", PKCS10, "MAA=", "", 405 },
		{ "PUT", EST "/simpleenroll", PKCS10, "MAA=", "Basic cHVtcDp4", 405 },
		{ "POST", EST "/serverkeygen", PKCS10, "MAA=", "Basic cHVtcDp4", 404 },
		{ "POST", EST "/fullcmc", "application/pkcs7-mime", "MAA=", "Basic cHVtcDp4", 404 },
		{ "POST", EST "/simpleenroll", "text/plain", "MAA=", "Basic cHVtcDp4", 415 },
		{ "POST", EST "/simpleenroll", "application/pkcs10x", "MAA=", "Basic cHVtcDp4", 415 },
		{ "POST", EST "/simpleenroll", PKCS10, "MAA=", "", 401 },
		{ "POST", EST "/simpleenroll", PKCS10, "MAA=", "Bearer x", 401 },
		{ "POST", EST "/simpleenroll", PKCS10, "MAA=", "Basic !", 400 },
		{ "POST", EST "/simpleenroll", PKCS10, "", "Basic cHVtcDp4", 400 },
		{ "POST", EST "/simpleenroll", PKCS10, "nonsense!", "Basic cHVtcDp4", 400 },
	};

	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		struct fixture f;

		begin(&f, t[i].method, t[i].path, t[i].type, t[i].body);
		f.q.authorization = t[i].authorization;
		run(&f);
		if (f.asked || f.r.status != t[i].status)
			fprintf(stderr, "%s %s: asked %d, status %u\n", t[i].method, t[i].path, f.asked, f.r.status);
		CU_ASSERT_FALSE(f.asked);
		CU_ASSERT_EQUAL(f.r.status, t[i].status);
		CU_ASSERT_TRUE(f.r.body.n != 0); /* every refusal says why */
		if (f.r.status == 401)
			CU_ASSERT_TRUE(strncmp(header(&f.r, "WWW-Authenticate"), "Basic realm=", 12) == 0);
		if (f.r.status == 405)
			CU_ASSERT_TRUE(header(&f.r, "Allow")[0] != 0);
		end(&f);
	}
}

static void test_csrattrs_is_204__EST_16(void)
{
	struct fixture f;

	begin(&f, "GET", EST "/csrattrs", "", "");
	run(&f);
	CU_ASSERT_FALSE(f.asked);
	CU_ASSERT_EQUAL(f.r.status, 204);
	CU_ASSERT_EQUAL(f.r.body.n, 0);
	end(&f);
}

static void test_the_question_to_ra__EST_04(void)
{
	struct fixture f;
	struct ra_enroll q;
	struct err e = { 0 };

	begin(&f, "POST", EST "/device/simpleenroll", "application/pkcs10; charset=utf-8", "MAA=");
	f.q.authorization = "Basic cHVtcDp4";
	run(&f);
	CU_ASSERT_TRUE_FATAL(f.asked);
	CU_ASSERT_EQUAL(f.ask.type, RA_ENROLL);
	CU_ASSERT_TRUE_FATAL(ra_enroll_get(span_of(&f.ask.body), &q, &e));
	CU_ASSERT_EQUAL(q.op, RA_SIMPLE_ENROLL);
	CU_ASSERT_STRING_EQUAL(q.label, "device");
	CU_ASSERT_STRING_EQUAL(q.user, "pump");
	CU_ASSERT_STRING_EQUAL(q.password, "x");
	CU_ASSERT_STRING_EQUAL(q.source.request_id, "r-1");
	CU_ASSERT_TRUE(q.csr.n == 2 && q.client.n == 0);
	end(&f);
}

/* ra's failures come out as the protocol's; internals don't. */
static void test_failures_of_ra__EST_27(void)
{
	static const struct {
		enum err_kind kind;
		unsigned status;
	} t[] = { { ERR_BAD_CSR, 400 }, { ERR_BAD_NAME, 400 }, { ERR_UNAUTHENTICATED, 401 }, { ERR_POLICY, 403 }, { ERR_RATE, 429 }, { ERR_BUSY, 503 },
	          { ERR_HSM, 503 }, { ERR_STORE, 503 }, { ERR_INTERNAL, 500 } };

	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		struct fixture f;
		struct err e = { 0 };
		AUTO_BUF body = { 0 };
		struct answer a = { .got = true, .type = RA_FAILED };

		begin(&f, "POST", EST "/simpleenroll", PKCS10, "MAA=");
		f.q.authorization = "Basic cHVtcDp4";
		run(&f);
		(void)!err_set(&e, t[i].kind, "the reason");
		e.retry_after = t[i].status == 503 || t[i].status == 429 ? 7 : 0;
		failure_put(&body, &e);
		a.body = span_of(&body);
		CU_ASSERT_FALSE(est_head()->format(f.est, &f.q, &a, &f.ask, &f.r));
		CU_ASSERT_EQUAL(f.r.status, t[i].status);
		if (e.retry_after != 0)
			CU_ASSERT_STRING_EQUAL(header(&f.r, "Retry-After"), "7");
		end(&f);
	}
}

/* No answer, an answer of another kind, a body that is cut: a refusal, never a certificate. */
static void test_answers_that_are_none__EST_27(void)
{
	static const uint8_t cut[] = { 0, 0, 0, 9, 1 };
	const struct answer t[] = {
		{ .got = false, .err = { .kind = ERR_BUSY, .text = "ra is away" } },
		{ .got = true, .type = RA_OK, .body = { cut, sizeof cut } },
		{ .got = true, .type = RA_FAILED, .body = { cut, sizeof cut } },
		{ .got = true, .type = RA_TRUST, .body = { cut, 0 } },
	};

	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		struct fixture f;

		begin(&f, "POST", EST "/simpleenroll", PKCS10, "MAA=");
		f.q.authorization = "Basic cHVtcDp4";
		run(&f);
		CU_ASSERT_FALSE(est_head()->format(f.est, &f.q, &t[i], &f.ask, &f.r));
		CU_ASSERT_TRUE(f.r.status >= 500);
		end(&f);
	}
}

static void test_the_certificate_comes_as_pkcs7__EST_04(void)
{
	static const uint8_t cert[] = { 0x30, 0x03, 0x02, 0x01, 0x05 };
	struct ra_enrolled got = { .cert = { cert, sizeof cert } };
	struct answer a = { .got = true, .type = RA_OK };
	struct fixture f;
	AUTO_BUF body = { 0 };
	AUTO_BUF der = { 0 };

	begin(&f, "POST", EST "/simpleenroll", PKCS10, "MAA=");
	f.q.authorization = "Basic cHVtcDp4";
	run(&f);
	ra_enrolled_put(&body, &got);
	a.body = span_of(&body);
	CU_ASSERT_FALSE(est_head()->format(f.est, &f.q, &a, &f.ask, &f.r));
	CU_ASSERT_EQUAL(f.r.status, 200);
	CU_ASSERT_STRING_EQUAL(f.r.content_type, "application/pkcs7-mime; smime-type=certs-only");
	CU_ASSERT_STRING_EQUAL(header(&f.r, "Content-Transfer-Encoding"), "base64");
	CU_ASSERT_TRUE(b64_get(&der, (char *)f.r.body.p, f.r.body.n));
	CU_ASSERT_PTR_NOT_NULL(memmem(der.p, der.n, cert, sizeof cert));
	end(&f);
}

static const struct cu_case table[] = {
	{ "test_paths__EST_01", test_paths__EST_01 },
	{ "test_basic__EST_30", test_basic__EST_30 },
	{ "test_bodies__EST_21__EST_23__QRK_04", test_bodies__EST_21__EST_23__QRK_04 },
	{ "test_every_kind_has_a_status__EST_27", test_every_kind_has_a_status__EST_27 },
	{ "test_requests_refused_before_ra__EST_01__EST_27", test_requests_refused_before_ra__EST_01__EST_27 },
	{ "test_csrattrs_is_204__EST_16", test_csrattrs_is_204__EST_16 },
	{ "test_the_question_to_ra__EST_04", test_the_question_to_ra__EST_04 },
	{ "test_failures_of_ra__EST_27", test_failures_of_ra__EST_27 },
	{ "test_answers_that_are_none__EST_27", test_answers_that_are_none__EST_27 },
	{ "test_the_certificate_comes_as_pkcs7__EST_04", test_the_certificate_comes_as_pkcs7__EST_04 },
};

CU_MAIN(table)
