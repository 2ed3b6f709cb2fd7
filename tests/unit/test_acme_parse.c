/* SPDX-License-Identifier: Apache-2.0
 *
 * Paths, URLs and payloads. */
#include "acme/parse.h"

#include "tests/unit/acme_make.h"

#include <stdlib.h>

#define BASE "https://ca.example:8443"

static void test_paths__ACME_02__ACME_43(void)
{
	static const struct {
		const char *path, *query;
		int place; /* -1: 404; -2: 400 */
		int64_t id;
	} t[] = {
		{ "/acme/server/directory", "", ACME_DIRECTORY, 0 },
		{ "/acme/server/new-nonce", "", ACME_NEW_NONCE, 0 },
		{ "/acme/server/new-account", "", ACME_NEW_ACCOUNT, 0 },
		{ "/acme/server/new-order", "", ACME_NEW_ORDER, 0 },
		{ "/acme/server/revoke-cert", "", ACME_REVOKE_CERT, 0 },
		{ "/acme/server/key-change", "", ACME_KEY_CHANGE, 0 },
		{ "/acme/server/renewal-info/aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE", "", ACME_RENEWAL_INFO, 0 },
		{ "/acme/server/acct/7", "", ACME_ACCOUNT, 7 },
		{ "/acme/server/acct/9223372036854775807", "", ACME_ACCOUNT, INT64_MAX },
		{ "/acme/server/acct/7/orders", "", ACME_ORDERS, 7 },
		{ "/acme/server/acct/7/orders", "cursor=12", ACME_ORDERS, 7 },
		{ "/acme/server/order/7", "", ACME_ORDER, 7 },
		{ "/acme/server/order/7/finalize", "", ACME_FINALIZE, 7 },
		{ "/acme/server/authz/7", "", ACME_AUTHORIZATION, 7 },
		{ "/acme/server/chall/7/http-01", "", ACME_CHALLENGE, 7 },
		{ "/acme/server/chall/7/dns-01", "", ACME_CHALLENGE, 7 },
		{ "/acme/server/chall/7/tls-alpn-01", "", ACME_CHALLENGE, 7 },
		{ "/acme/server/cert/7", "", ACME_CERTIFICATE, 7 },
		{ "/acme/server/cert/7/1", "", ACME_ALTERNATE, 7 },
		{ "/acme/server/directory/", "", -1, 0 },
		{ "/acme/server/Directory", "", -1, 0 },
		{ "/acme/server/directory", "x", -1, 0 },
		{ "/acme/server/directory", "cursor=1", -1, 0 },
		{ "/acme/server", "", -1, 0 },
		{ "/acme/server/", "", -1, 0 },
		{ "/acme//directory", "", -1, 0 },
		{ "/acme/", "", -1, 0 },
		{ "/acme", "", -1, 0 },
		{ "/acmeserver/directory", "", -1, 0 },
		{ "/other/server/directory", "", -1, 0 },
		{ "/acme/01234567890123456789012345678901/directory", "", -1, 0 },
		{ "/acme/server/acct/", "", -1, 0 },
		{ "/acme/server/acct/0", "", -1, 0 },
		{ "/acme/server/acct/07", "", -1, 0 },
		{ "/acme/server/acct/-7", "", -1, 0 },
		{ "/acme/server/acct/+7", "", -1, 0 },
		{ "/acme/server/acct/7x", "", -1, 0 },
		{ "/acme/server/acct/0x7", "", -1, 0 },
		{ "/acme/server/acct/9223372036854775808", "", -1, 0 },
		{ "/acme/server/acct/99999999999999999999", "", -1, 0 },
		{ "/acme/server/acct/7/orders", "cursor=", -1, 0 },
		{ "/acme/server/acct/7/orders", "cursor=1&x", -1, 0 },
		{ "/acme/server/acct/7/orders", "cursor=-1", -1, 0 },
		{ "/acme/server/acct/7/orders", "page=1", -1, 0 },
		{ "/acme/server/acct/7", "cursor=1", -1, 0 },
		{ "/acme/server/order/7/finalize/", "", -1, 0 },
		{ "/acme/server/order/7/", "", -1, 0 },
		{ "/acme/server/finalize/7", "", -1, 0 },
		{ "/acme/server/chall/7", "", -1, 0 },
		{ "/acme/server/chall/7/", "", -1, 0 },
		{ "/acme/server/chall/7/http-02", "", -1, 0 },
		{ "/acme/server/chall/7/http-01/x", "", -1, 0 },
		{ "/acme/server/cert/7/0", "", -1, 0 },
		{ "/acme/server/cert/7/x", "", -1, 0 },
		{ "/acme/server/cert/7/99999", "", -1, 0 },
		{ "/acme/server/renewal-info", "", -1, 0 },
		{ "/acme/server/renewal-info/", "", -1, 0 },
		{ "/acme/server/renewal-info/x", "", -2, 0 },
		{ "/acme/server/renewal-info/.", "", -2, 0 },
		{ "/acme/server/renewal-info/aYhba4dGQEHhs3uEe6CuLN4ByNQ", "", -2, 0 },
		{ "/acme/server/renewal-info/aYhba4dGQEHhs3uEe6CuLN4ByNQ.", "", -2, 0 },
		{ "/acme/server/renewal-info/.AIdlQyE", "", -2, 0 },
		{ "/acme/server/renewal-info/aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE=", "", -2, 0 },
		{ "/acme/server/renewal-info/aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE.x", "", -2, 0 },
		{ "/acme/server/renewal-info/aYhba4dGQEHhs3uEe6CuLN4ByNR.AIdlQyE", "", -2, 0 }, /* spare bits */
		{ "/acme/server/renewal-info/aYhba4dGQEHhs3uEe6CuLN4ByNQ.h2VDIQ", "", -2, 0 },  /* a negative INTEGER */
		{ "/acme/server/renewal-info/aYhba4dGQEHhs3uEe6CuLN4ByNQ.AGVDIQ", "", -2, 0 },  /* a zero too many */
		{ "/acme/server/renewal-info/aYhba4dGQEHhs3uEe6CuLN4ByNQ.AA", "", -2, 0 },      /* zero */
	};

	for (size_t i = 0; i < COUNT_OF(t); i++) {
		struct acme_target got;
		struct refusal r = { 0 };
		bool good = acme_path_parse(&got, t[i].path, t[i].query, &r);
		AUTO_BUF url = { 0 };
		AUTO_BUF want = { 0 };

		if (good != (t[i].place >= 0))
			fprintf(stderr, "%s?%s\n", t[i].path, t[i].query);
		CU_ASSERT_EQUAL(good, t[i].place >= 0);
		CU_ASSERT_TRUE(good || (r.problem == ACME_MALFORMED && (t[i].place == -1 ? r.status == 404 : r.status == 0)));
		if (!good || t[i].place < 0)
			continue;
		CU_ASSERT_EQUAL((int)got.place, t[i].place);
		CU_ASSERT_EQUAL(got.id, t[i].id);
		CU_ASSERT_STRING_EQUAL(got.realm, "server");
		/* What is read is what is written. */
		acme_url(&url, BASE, &got);
		buf_printf(&want, BASE "%s%s%s", t[i].path, t[i].query[0] != 0 ? "?" : "", t[i].query);
		CU_ASSERT_STRING_EQUAL(buf_str(&url), buf_str(&want));
	}
}

static void test_kid__ACME_02__ACME_06(void)
{
	static const struct {
		const char *kid;
		int64_t id;
	} t[] = {
		{ BASE "/acme/server/acct/7", 7 },
		{ BASE "/acme/radius/acct/7", 0 },              /* another directory's */
		{ "https://other.example:8443/acme/server/acct/7", 0 },
		{ "https://ca.example/acme/server/acct/7", 0 }, /* another port */
		{ "http://ca.example:8443/acme/server/acct/7", 0 },
		{ BASE "/acme/server/acct/7/", 0 },
		{ BASE "/acme/server/acct/7?x", 0 },
		{ BASE "/acme/server/acct/7#x", 0 },
		{ BASE "/acme/server/acct/07", 0 },
		{ BASE "/acme/server/order/7", 0 },
		{ BASE "/acme/server/acct/7/orders", 0 },
		{ "/acme/server/acct/7", 0 },
		{ "7", 0 },
		{ "", 0 },
	};

	for (size_t i = 0; i < COUNT_OF(t); i++)
		CU_ASSERT_EQUAL(acme_account_of(t[i].kid, BASE, "server"), t[i].id);
}

static void test_times__ACME_24(void)
{
	static const struct {
		const char *text, *want;
	} t[] = {
		{ "2026-11-24T10:00:00Z", "2026-11-24T10:00:00Z" },
		{ "2026-11-24t10:00:00z", "2026-11-24T10:00:00Z" },
		{ "2026-11-24T10:00:00.123456789Z", "2026-11-24T10:00:00Z" },
		{ "2026-11-24T10:00:00+01:00", "2026-11-24T09:00:00Z" },
		{ "2026-11-24T23:30:00-01:30", "2026-11-25T01:00:00Z" },
		{ "", NULL }, { "2026-11-24", NULL }, { "2026-11-24T10:00:00", NULL }, { "2026-11-24 10:00:00Z", NULL },
		{ "2026-02-30T10:00:00Z", NULL }, { "2026-11-24T24:00:00Z", NULL }, { "2026-11-24T10:00:00.Z", NULL },
		{ "2026-11-24T10:00:00+1:00", NULL }, { "2026-11-24T10:00:00+24:00", NULL }, { "2026-11-24T10:00:00Zx", NULL },
		{ "2026-11-24T10:00:00+01:00x", NULL }, { "226-11-24T10:00:00Z", NULL }, { "2026-11-24T10:00Z", NULL },
		{ "2026-11-24T10:00:00.0000000000000000000000000000000000Z", NULL },
	};

	for (size_t i = 0; i < COUNT_OF(t); i++) {
		char text[24] = "";
		int64_t us = 0;
		bool good = acme_time_parse(t[i].text, &us);

		CU_ASSERT_EQUAL(good, t[i].want != NULL);
		if (!good || t[i].want == NULL)
			continue;
		clock_rfc3339_s(us, text, sizeof text);
		CU_ASSERT_STRING_EQUAL(text, t[i].want);
	}
}

/* Parses a payload for a place, signed by account 7 or, where that is how it is, by a key. */
struct parsed {
	struct ra_acme *q;
	struct acme_held held;
	struct refusal r;
	bool good;
};

static void parse(struct parsed *p, enum acme_place place, const char *payload)
{
	struct acme_target t = { .place = place, .realm = "server", .id = 7 };
	AUTO_BUF url = { 0 };

	*p = (struct parsed){ .q = mem_new(sizeof *p->q) };
	p->q->account = place == ACME_NEW_ACCOUNT ? 0 : 7;
	acme_url(&url, BASE, &t);
	p->good = acme_parse(p->q, &t, &(struct acme_signed){ buf_str(&url), BASE "/acme/server/acct/7", { (const uint8_t *)payload, strlen(payload) } },
	                     &p->held, &p->r);
	CU_ASSERT_TRUE(p->good || (p->r.problem != ACME_OK && p->r.detail[0] != 0));
	/* What goes to ra comes through the door. */
	if (p->good) {
		AUTO_BUF body = { 0 };
		struct ra_acme *back = mem_new(sizeof *back);

		if (p->q->op != RA_ACME_REVOKE)
			p->q->reason = -1;
		ra_acme_put(&body, p->q);
		CU_ASSERT_TRUE(ra_acme_get(span_of(&body), back, NULL) && back->op == p->q->op);
		free(back);
	}
}

static void end(struct parsed *p)
{
	free(p->q);
	acme_held_free(&p->held);
}

static void test_payloads__ACME_16__ACME_28__ACME_36__ACME_41(void)
{
	static const struct {
		enum acme_place place;
		const char *payload;
		enum ra_acme_op op;
		enum acme_problem problem;
	} t[] = {
		{ ACME_NEW_ACCOUNT, "{}", RA_ACME_NEW_ACCOUNT, 0 },
		{ ACME_NEW_ACCOUNT, "{\"contact\":null,\"termsOfServiceAgreed\":null,\"externalAccountBinding\":null,\"x\":{\"y\":[]}}", RA_ACME_NEW_ACCOUNT, 0 },
		{ ACME_NEW_ACCOUNT, "", 0, ACME_MALFORMED },
		{ ACME_NEW_ACCOUNT, "[]", 0, ACME_MALFORMED },
		{ ACME_NEW_ACCOUNT, "{\"onlyReturnExisting\":1}", 0, ACME_MALFORMED },
		{ ACME_NEW_ACCOUNT, "{\"termsOfServiceAgreed\":\"true\"}", 0, ACME_MALFORMED },
		{ ACME_NEW_ACCOUNT, "{\"termsOfServiceAgreed\":true,\"termsOfServiceAgreed\":false}", 0, ACME_MALFORMED },
		{ ACME_NEW_ACCOUNT, "{\"contact\":\"mailto:a@b.example\"}", 0, ACME_MALFORMED },
		{ ACME_NEW_ACCOUNT, "{\"externalAccountBinding\":\"x\"}", 0, ACME_MALFORMED },
		{ ACME_NEW_ACCOUNT, "{\"externalAccountBinding\":{}}", 0, ACME_MALFORMED },
		{ ACME_ACCOUNT, "", RA_ACME_ACCOUNT, 0 },
		{ ACME_ACCOUNT, "{}", RA_ACME_ACCOUNT, 0 },
		{ ACME_ACCOUNT, "{\"status\":\"valid\",\"orders\":\"x\",\"termsOfServiceAgreed\":true}", RA_ACME_ACCOUNT, 0 }, /* 7.3.2: ignored */
		{ ACME_ACCOUNT, "{\"status\":\"deactivated\"}", RA_ACME_DEACTIVATE, 0 },
		{ ACME_ACCOUNT, "{\"contact\":[]}", RA_ACME_CONTACTS, 0 },
		{ ACME_ACCOUNT, "{\"contact\":[\"mailto:a@b.example\"]}", RA_ACME_CONTACTS, 0 },
		{ ACME_ACCOUNT, "{\"status\":7}", 0, ACME_MALFORMED },
		{ ACME_ORDERS, "", RA_ACME_ORDERS, 0 },
		{ ACME_ORDERS, "{}", 0, ACME_MALFORMED },
		{ ACME_ORDER, "", RA_ACME_ORDER, 0 },
		{ ACME_ORDER, "{}", 0, ACME_MALFORMED },
		{ ACME_CERTIFICATE, "", RA_ACME_CERTIFICATE, 0 },
		{ ACME_CERTIFICATE, "{}", 0, ACME_MALFORMED },
		{ ACME_ALTERNATE, "", RA_ACME_CERTIFICATE, 0 },
		{ ACME_DIRECTORY, "", RA_ACME_ACCOUNT, 0 },
		{ ACME_DIRECTORY, "{}", 0, ACME_MALFORMED },
		{ ACME_NEW_NONCE, "", RA_ACME_ACCOUNT, 0 },
		{ ACME_AUTHORIZATION, "", RA_ACME_AUTHORIZATION, 0 },
		{ ACME_AUTHORIZATION, "{\"status\":\"deactivated\"}", RA_ACME_AUTHORIZATION_END, 0 },
		{ ACME_AUTHORIZATION, "{\"status\":\"valid\"}", 0, ACME_MALFORMED },
		{ ACME_AUTHORIZATION, "{}", 0, ACME_MALFORMED },
		{ ACME_CHALLENGE, "", RA_ACME_CHALLENGE, 0 },
		{ ACME_CHALLENGE, "{}", RA_ACME_CHALLENGE_START, 0 },
		{ ACME_CHALLENGE, "{\"resource\":\"challenge\",\"keyAuthorization\":\"a.b\",\"type\":\"http-01\"}", RA_ACME_CHALLENGE_START, 0 },
		{ ACME_CHALLENGE, "[]", 0, ACME_MALFORMED },
		{ ACME_FINALIZE, "{\"csr\":\"MAA\"}", RA_ACME_FINALIZE, 0 },
		{ ACME_FINALIZE, "", 0, ACME_MALFORMED },
		{ ACME_FINALIZE, "{}", 0, ACME_MALFORMED },
		{ ACME_FINALIZE, "{\"csr\":\"\"}", 0, ACME_BAD_CSR },
		{ ACME_FINALIZE, "{\"csr\":\"MAA=\"}", 0, ACME_BAD_CSR },
		{ ACME_FINALIZE, "{\"csr\":\"MAB\"}", 0, ACME_BAD_CSR },
		{ ACME_FINALIZE, "{\"csr\":\"-----BEGIN CERTIFICATE REQUEST-----\\nMAA=\\n-----END CERTIFICATE REQUEST-----\"}", 0, ACME_BAD_CSR },
		{ ACME_REVOKE_CERT, "{\"certificate\":\"MAA\"}", RA_ACME_REVOKE, 0 },
		{ ACME_REVOKE_CERT, "{\"certificate\":\"MAA\",\"reason\":1}", RA_ACME_REVOKE, 0 },
		{ ACME_REVOKE_CERT, "{\"certificate\":\"MAA\",\"reason\":11}", RA_ACME_REVOKE, 0 }, /* which are taken is ra's */
		{ ACME_REVOKE_CERT, "{\"certificate\":\"MAA\",\"reason\":-1}", 0, ACME_BAD_REVOCATION_REASON },
		{ ACME_REVOKE_CERT, "{\"certificate\":\"MAA\",\"reason\":256}", 0, ACME_BAD_REVOCATION_REASON },
		{ ACME_REVOKE_CERT, "{\"certificate\":\"MAA\",\"reason\":4294967297}", 0, ACME_BAD_REVOCATION_REASON },
		{ ACME_REVOKE_CERT, "{\"certificate\":\"MAA\",\"reason\":\"1\"}", 0, ACME_BAD_REVOCATION_REASON },
		{ ACME_REVOKE_CERT, "{\"certificate\":\"MAA\",\"reason\":1.0}", 0, ACME_BAD_REVOCATION_REASON },
		{ ACME_REVOKE_CERT, "{\"certificate\":\"M\"}", 0, ACME_MALFORMED },
		{ ACME_REVOKE_CERT, "{\"certificate\":{}}", 0, ACME_MALFORMED },
		{ ACME_REVOKE_CERT, "", 0, ACME_MALFORMED },
	};

	for (size_t i = 0; i < COUNT_OF(t); i++) {
		struct parsed p;

		parse(&p, t[i].place, t[i].payload);
		if (p.good != (t[i].problem == ACME_OK) || (!p.good && p.r.problem != t[i].problem))
			fprintf(stderr, "%d %s: %s\n", t[i].place, t[i].payload, p.r.detail);
		CU_ASSERT_EQUAL(p.good, t[i].problem == ACME_OK);
		CU_ASSERT_EQUAL(p.r.problem, t[i].problem);
		if (p.good)
			CU_ASSERT_EQUAL(p.q->op, t[i].op);
		end(&p);
	}
}

static void test_another_account__ACME_21__ACME_23(void)
{
	struct ra_acme *q = mem_new(sizeof *q);
	struct acme_held held = { 0 };
	struct refusal r;

	q->account = 8;
	for (int k = 0; k < 2; k++) {
		struct acme_target t = { .place = k == 0 ? ACME_ACCOUNT : ACME_ORDERS, .realm = "server", .id = 7 };

		CU_ASSERT_FALSE(acme_parse(q, &t, &(struct acme_signed){ "", "", { NULL, 0 } }, &held, &r));
		CU_ASSERT_EQUAL(r.problem, ACME_UNAUTHORIZED);
	}
	free(q);
}

static void test_contacts__ACME_17(void)
{
	static const struct {
		const char *contact;
		enum acme_problem problem;
	} t[] = {
		{ "mailto:pki@hospital.example", ACME_OK },
		{ "MAILTO:pki@hospital.example", ACME_OK },
		{ "mailto:p\u00e4@hospital.example", ACME_OK },
		{ "mailto:a@x,b@x", ACME_INVALID_CONTACT },
		{ "mailto:a@x?subject=y", ACME_INVALID_CONTACT },
		{ "mailto:a", ACME_INVALID_CONTACT },
		{ "mailto:", ACME_INVALID_CONTACT },
		{ "mailto:@x", ACME_INVALID_CONTACT },
		{ "mailto:a@", ACME_INVALID_CONTACT },
		{ "mailto:a@b@c", ACME_INVALID_CONTACT },
		{ "mailto:a b@c", ACME_INVALID_CONTACT },
		{ "mailto:<a@b>", ACME_INVALID_CONTACT },
		{ "", ACME_INVALID_CONTACT },
		{ "mailto:a\\u0007@b", ACME_INVALID_CONTACT },
		{ "tel:+49", ACME_UNSUPPORTED_CONTACT },
		{ "https://a@b", ACME_UNSUPPORTED_CONTACT },
		{ "a@b.example", ACME_UNSUPPORTED_CONTACT },
	};
	AUTO_BUF many = { 0 };
	struct parsed p;

	for (size_t i = 0; i < COUNT_OF(t); i++) {
		AUTO_BUF payload = { 0 };

		buf_printf(&payload, "{\"contact\":[\"mailto:x@y.example\",\"%s\"]}", t[i].contact);
		parse(&p, ACME_NEW_ACCOUNT, buf_str(&payload));
		CU_ASSERT_EQUAL(p.r.problem, t[i].problem);
		if (p.good)
			CU_ASSERT_TRUE(p.q->contact_n == 2 && strcmp(p.q->contact[1], t[i].contact) == 0);
		end(&p);
	}
	buf_text(&many, "{\"contact\":[1");
	for (int i = 0; i < 10; i++)
		buf_text(&many, ",\"mailto:a@b.example\"");
	buf_text(&many, "]}");
	parse(&p, ACME_NEW_ACCOUNT, buf_str(&many));
	CU_ASSERT_EQUAL(p.r.problem, ACME_INVALID_CONTACT);
	end(&p);
	many.n = 0;
	buf_text(&many, "{\"contact\":[\"mailto:");
	for (int i = 0; i < 300; i++)
		buf_byte(&many, 'a');
	buf_text(&many, "@b.example\"]}");
	parse(&p, ACME_NEW_ACCOUNT, buf_str(&many));
	CU_ASSERT_EQUAL(p.r.problem, ACME_INVALID_CONTACT);
	end(&p);
}

#define ONE "{\"type\":\"dns\",\"value\":\"a.example\"}"

static void test_orders__ACME_24__ACME_45__ACME_46(void)
{
	static const struct {
		const char *payload;
		enum acme_problem problem;
	} t[] = {
		{ "{\"identifiers\":[" ONE "]}", ACME_OK },
		{ "{\"identifiers\":[" ONE "],\"notBefore\":null,\"profile\":null,\"replaces\":null,\"x\":1}", ACME_OK },
		{ "{\"identifiers\":[{\"type\":\"ip\",\"value\":\"192.0.2.1\",\"x\":1}," ONE "]}", ACME_OK },
		{ "{\"identifiers\":[{\"type\":\"permanent-identifier\",\"value\":\"x\"}]}", ACME_OK }, /* ra says what it thinks of it */
		{ "{\"identifiers\":[" ONE "],\"notBefore\":\"2026-11-24T10:00:00Z\",\"notAfter\":\"2026-12-24T10:00:00+01:00\"}", ACME_OK },
		{ "{\"identifiers\":[" ONE "],\"profile\":\"server\"}", ACME_OK },
		{ "{\"identifiers\":[" ONE "],\"replaces\":\"aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE\"}", ACME_OK },
		{ "{}", ACME_MALFORMED },
		{ "", ACME_MALFORMED },
		{ "{\"identifiers\":[]}", ACME_MALFORMED },
		{ "{\"identifiers\":{}}", ACME_MALFORMED },
		{ "{\"identifiers\":[1]}", ACME_MALFORMED },
		{ "{\"identifiers\":[[]]}", ACME_MALFORMED },
		{ "{\"identifiers\":[{\"type\":\"dns\"}]}", ACME_MALFORMED },
		{ "{\"identifiers\":[{\"value\":\"a.example\"}]}", ACME_MALFORMED },
		{ "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"\"}]}", ACME_MALFORMED },
		{ "{\"identifiers\":[{\"type\":\"dns\",\"value\":7}]}", ACME_MALFORMED },
		{ "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"a\\n.example\"}]}", ACME_MALFORMED },
		{ "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"a\\u0000.example\"}]}", ACME_MALFORMED },
		{ "{\"identifiers\":[{\"type\":\"dns-but-with-a-name-that-has-no-end\",\"value\":\"a\"}]}", ACME_UNSUPPORTED_IDENTIFIER },
		{ "{\"identifiers\":[" ONE "],\"notBefore\":\"tomorrow\"}", ACME_MALFORMED },
		{ "{\"identifiers\":[" ONE "],\"notAfter\":1}", ACME_MALFORMED },
		{ "{\"identifiers\":[" ONE "],\"notAfter\":\"1969-12-24T10:00:00Z\"}", ACME_MALFORMED },
		{ "{\"identifiers\":[" ONE "],\"profile\":7}", ACME_MALFORMED },
		{ "{\"identifiers\":[" ONE "],\"profile\":\"\"}", ACME_INVALID_PROFILE },
		{ "{\"identifiers\":[" ONE "],\"profile\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}", ACME_INVALID_PROFILE },
		{ "{\"identifiers\":[" ONE "],\"replaces\":\"x\"}", ACME_MALFORMED },
		{ "{\"identifiers\":[" ONE "],\"replaces\":\"\"}", ACME_MALFORMED },
		{ "{\"identifiers\":[" ONE "],\"replaces\":{}}", ACME_MALFORMED },
	};
	AUTO_BUF many = { 0 };
	struct parsed p;

	for (size_t i = 0; i < COUNT_OF(t); i++) {
		parse(&p, ACME_NEW_ORDER, t[i].payload);
		if (p.r.problem != t[i].problem)
			fprintf(stderr, "%s: %s\n", t[i].payload, p.r.detail);
		CU_ASSERT_EQUAL(p.r.problem, t[i].problem);
		end(&p);
	}
	parse(&p, ACME_NEW_ORDER, t[4].payload);
	CU_ASSERT_TRUE(p.q->not_before == INT64_C(1795514400000000) && p.q->not_after == INT64_C(1798102800000000));
	CU_ASSERT_TRUE(p.q->identifier_n == 1 && strcmp(p.q->identifier[0].type, "dns") == 0 && strcmp(p.q->identifier[0].value, "a.example") == 0);
	end(&p);
	/* A hundred, and one more; a name of 255 octets, and one more. */
	for (int n = 100; n <= 101; n++) {
		many.n = 0;
		buf_text(&many, "{\"identifiers\":[");
		for (int i = 0; i < n; i++)
			buf_text(&many, i == 0 ? ONE : "," ONE);
		buf_text(&many, "]}");
		parse(&p, ACME_NEW_ORDER, buf_str(&many));
		CU_ASSERT_EQUAL(p.r.problem, n == 100 ? ACME_OK : ACME_MALFORMED);
		end(&p);
	}
	for (int n = 255; n <= 256; n++) {
		many.n = 0;
		buf_text(&many, "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"");
		for (int i = 0; i < n; i++)
			buf_byte(&many, 'a');
		buf_text(&many, "\"}]}");
		parse(&p, ACME_NEW_ORDER, buf_str(&many));
		CU_ASSERT_EQUAL(p.r.problem, n == 255 ? ACME_OK : ACME_REJECTED_IDENTIFIER);
		end(&p);
	}
	/* Deep. */
	many.n = 0;
	buf_text(&many, "{\"identifiers\":");
	for (int i = 0; i < 2000; i++)
		buf_byte(&many, '[');
	parse(&p, ACME_NEW_ORDER, buf_str(&many));
	CU_ASSERT_EQUAL(p.r.problem, ACME_MALFORMED);
	end(&p);
}

/* The account's key in JWK, signed by MAC outside: each part but one as it should be. */
static void binding(struct buf *out, const char *alg, const char *url, EVP_PKEY *key, const char *more)
{
	AUTO_BUF jwk = { 0 };
	AUTO_BUF header = { 0 };

	make_jwk(&jwk, key);
	buf_printf(&header, "{\"alg\":\"%s\",\"kid\":\"kid-1\",\"url\":\"%s\"%s}", alg, url, more);
	buf_text(out, "{\"termsOfServiceAgreed\":true,\"externalAccountBinding\":");
	make_jws(out, buf_str(&header), buf_str(&jwk), NULL, "secret");
	buf_text(out, "}");
}

static void test_bindings__ACME_19(void)
{
	static const struct {
		const char *alg, *url, *more;
		enum make_key key;
		enum acme_problem problem;
	} t[] = {
		{ "HS256", BASE "/acme/server/new-account", "", MAKE_P256, ACME_OK },
		{ "HS384", BASE "/acme/server/new-account", "", MAKE_P256, ACME_OK },
		{ "HS512", BASE "/acme/server/new-account", "", MAKE_P256, ACME_OK },
		{ "ES256", BASE "/acme/server/new-account", "", MAKE_P256, ACME_MALFORMED },
		{ "none", BASE "/acme/server/new-account", "", MAKE_P256, ACME_MALFORMED },
		{ "HS256", BASE "/acme/radius/new-account", "", MAKE_P256, ACME_MALFORMED },
		{ "HS256", "https://other/acme/server/new-account", "", MAKE_P256, ACME_MALFORMED },
		{ "HS256", BASE "/acme/server/new-account", ",\"nonce\":\"AAAA\"", MAKE_P256, ACME_MALFORMED },
		{ "HS256", BASE "/acme/server/new-account", ",\"jwk\":{}", MAKE_P256, ACME_MALFORMED },
		{ "HS256", BASE "/acme/server/new-account", ",\"crit\":[]", MAKE_P256, ACME_MALFORMED },
		{ "HS256", BASE "/acme/server/new-account", "", MAKE_P256_OTHER, ACME_MALFORMED }, /* another's key is bound */
	};

	for (size_t i = 0; i < COUNT_OF(t); i++) {
		struct acme_target at = { .place = ACME_NEW_ACCOUNT, .realm = "server" };
		struct ra_acme *q = mem_new(sizeof *q);
		struct acme_held held = { 0 };
		struct refusal r = { 0 };
		AUTO_BUF payload = { 0 };
		AUTO_BUF mine = { 0 };
		AUTO(json_t) *doc = NULL;
		struct jwk k;
		bool good;

		make_jwk(&mine, make_key(MAKE_P256));
		doc = acme_json(span_of(&mine));
		CU_ASSERT_TRUE_FATAL(jwk_parse(&k, doc, NULL));
		memcpy(q->thumbprint, k.thumbprint, 32);
		binding(&payload, t[i].alg, t[i].url, make_key(t[i].key), t[i].more);
		good = acme_parse(q, &at, &(struct acme_signed){ BASE "/acme/server/new-account", "", span_of(&payload) }, &held, &r);
		CU_ASSERT_EQUAL(good, t[i].problem == ACME_OK);
		CU_ASSERT_EQUAL(r.problem, t[i].problem);
		if (good) {
			uint8_t md[32];
			unsigned n = 32;

			CU_ASSERT_STRING_EQUAL(q->eab.kid, "kid-1");
			CU_ASSERT_EQUAL(q->eab.bits, atoi(t[i].alg + 2));
			/* What ra needs to judge it is there. */
			HMAC(EVP_sha256(), "secret", 6, q->eab.input.p, q->eab.input.n, md, &n);
			CU_ASSERT_TRUE(q->eab.mac.n == 32 && memcmp(q->eab.mac.p, md, 32) == 0);
		}
		jwk_free(&k);
		acme_held_free(&held);
		free(q);
	}
}

/* RFC 8555, 7.3.5: everything that the inner one may be wrong in. */
static void test_key_changes__ACME_22(void)
{
	static const struct {
		const char *what, *alg, *url, *account, *more;
		enum make_key signs, inside, old;
		bool is_text;
		enum acme_problem problem;
	} t[] = {
		{ "right", "ES256", BASE "/acme/server/key-change", BASE "/acme/server/acct/7", "", MAKE_P256_OTHER, MAKE_P256_OTHER, MAKE_P256, false, ACME_OK },
		{ "to another type", "EdDSA", BASE "/acme/server/key-change", BASE "/acme/server/acct/7", "", MAKE_ED25519, MAKE_ED25519, MAKE_P256, false, ACME_OK },
		{ "not a JWS", NULL, "", "", "", MAKE_P256, MAKE_P256, MAKE_P256, true, ACME_MALFORMED },
		{ "url", "ES256", BASE "/acme/server/new-order", BASE "/acme/server/acct/7", "", MAKE_P256_OTHER, MAKE_P256_OTHER, MAKE_P256, false, ACME_MALFORMED },
		{ "account", "ES256", BASE "/acme/server/key-change", BASE "/acme/server/acct/8", "", MAKE_P256_OTHER, MAKE_P256_OTHER, MAKE_P256, false, ACME_MALFORMED },
		{ "old key", "ES256", BASE "/acme/server/key-change", BASE "/acme/server/acct/7", "", MAKE_P256_OTHER, MAKE_P256_OTHER, MAKE_P384, false, ACME_MALFORMED },
		{ "signature", "ES256", BASE "/acme/server/key-change", BASE "/acme/server/acct/7", "", MAKE_P256, MAKE_P256_OTHER, MAKE_P256, false, ACME_MALFORMED },
		{ "alg", "ES384", BASE "/acme/server/key-change", BASE "/acme/server/acct/7", "", MAKE_P256_OTHER, MAKE_P256_OTHER, MAKE_P256, false, ACME_BAD_SIGNATURE_ALGORITHM },
		{ "a MAC", "HS256", BASE "/acme/server/key-change", BASE "/acme/server/acct/7", "", MAKE_P256_OTHER, MAKE_P256_OTHER, MAKE_P256, false, ACME_BAD_SIGNATURE_ALGORITHM },
		{ "nonce", "ES256", BASE "/acme/server/key-change", BASE "/acme/server/acct/7", ",\"nonce\":\"AAAA\"", MAKE_P256_OTHER, MAKE_P256_OTHER, MAKE_P256, false, ACME_MALFORMED },
		{ "kid too", "ES256", BASE "/acme/server/key-change", BASE "/acme/server/acct/7", ",\"kid\":\"x\"", MAKE_P256_OTHER, MAKE_P256_OTHER, MAKE_P256, false, ACME_MALFORMED },
	};

	for (size_t i = 0; i < COUNT_OF(t); i++) {
		struct acme_target at = { .place = ACME_KEY_CHANGE, .realm = "server" };
		struct ra_acme *q = mem_new(sizeof *q);
		struct acme_held held = { 0 };
		struct refusal r = { 0 };
		AUTO_BUF inside = { 0 };
		AUTO_BUF header = { 0 };
		AUTO_BUF payload = { 0 };
		AUTO_BUF old = { 0 };
		AUTO_BUF mine = { 0 };
		AUTO(json_t) *doc = NULL;
		struct jwk k;
		bool good;

		make_jwk(&mine, make_key(MAKE_P256));
		doc = acme_json(span_of(&mine));
		CU_ASSERT_TRUE_FATAL(jwk_parse(&k, doc, NULL));
		memcpy(q->thumbprint, k.thumbprint, 32);
		q->account = 7;
		make_jwk(&old, make_key(t[i].old));
		buf_printf(&inside, "{\"account\":\"%s\",\"oldKey\":%s}", t[i].account, buf_str(&old));
		buf_printf(&header, "{\"alg\":\"%s\",\"jwk\":", t[i].alg != NULL ? t[i].alg : "");
		make_jwk(&header, make_key(t[i].inside));
		buf_printf(&header, ",\"url\":\"%s\"%s}", t[i].url, t[i].more);
		if (t[i].is_text)
			buf_text(&payload, "{\"account\":\"x\"}");
		else
			make_jws(&payload, buf_str(&header), buf_str(&inside), make_key(t[i].signs), NULL);
		good = acme_parse(q, &at, &(struct acme_signed){ BASE "/acme/server/key-change", BASE "/acme/server/acct/7", span_of(&payload) }, &held, &r);
		if (r.problem != t[i].problem)
			fprintf(stderr, "%s: %s\n", t[i].what, r.detail);
		CU_ASSERT_EQUAL(good, t[i].problem == ACME_OK);
		CU_ASSERT_EQUAL(r.problem, t[i].problem);
		if (good) {
			AUTO_BUF spki = { 0 };

			make_spki(&spki, make_key(t[i].inside));
			CU_ASSERT_TRUE(span_equal(q->key, span_of(&spki)));
			CU_ASSERT_TRUE(memcmp(q->new_thumbprint, q->thumbprint, 32) != 0);
		}
		jwk_free(&k);
		acme_held_free(&held);
		free(q);
	}
	make_free();
}

static const struct cu_case table[] = {
	{ "test_paths__ACME_02__ACME_43", test_paths__ACME_02__ACME_43 },
	{ "test_kid__ACME_02__ACME_06", test_kid__ACME_02__ACME_06 },
	{ "test_times__ACME_24", test_times__ACME_24 },
	{ "test_payloads__ACME_16__ACME_28__ACME_36__ACME_41", test_payloads__ACME_16__ACME_28__ACME_36__ACME_41 },
	{ "test_another_account__ACME_21__ACME_23", test_another_account__ACME_21__ACME_23 },
	{ "test_contacts__ACME_17", test_contacts__ACME_17 },
	{ "test_orders__ACME_24__ACME_45__ACME_46", test_orders__ACME_24__ACME_45__ACME_46 },
	{ "test_bindings__ACME_19", test_bindings__ACME_19 },
	{ "test_key_changes__ACME_22", test_key_changes__ACME_22 },
};
CU_MAIN(table)
