/* SPDX-License-Identifier: Apache-2.0
 *
 * The ACME head as a client meets it, with real keys and real signatures; ra is what a test answers. */
#include "acme/acme.h"
#include "acme/problem.h"

#include "base/clock.h"
#include "tests/unit/acme_make.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BASE "https://ca.example:8443"
#define URN "urn:ietf:params:acme:error:"

static struct acme *acme;
static struct caller *ra;
static int peer = -1; /* ra's end of the channel */

static const struct acme_settings settings = { .base = BASE, .terms = "https://ca.example/terms", .website = "https://hospital.example",
	                                       .caa_identity = "ca.example", .eab_required = true };

static void hear_realms(void)
{
	struct ra_trust *t = mem_new(sizeof *t);
	AUTO_BUF body = { 0 };

	t->realm_n = 2;
	strcpy(t->realm[0], "server");
	strcpy(t->realm[1], "radius");
	ra_trust_put(&body, t);
	acme_trust(acme, span_of(&body));
	free(t);
}

static void begin(void)
{
	acme = acme_new(rnd_kernel);
	ra = caller_new("front", NULL, NULL, NULL);
	acme_set_caller(acme, ra);
	acme_set(acme, &settings);
	hear_realms();
}

static void end(void)
{
	caller_free(ra);
	acme_free(acme);
	if (peer >= 0)
		close(peer);
	peer = -1;
}

/* One request and what became of it. */
struct talk {
	struct request q;
	struct ask ask;
	struct response r;
	struct ra_acme *asked;  /* NULL: nothing is asked */
	struct buf body;
	json_t *json;           /* of the answer; NULL when it is none */
};

static void take_question(struct talk *t, bool asks)
{
	free(t->asked);
	t->asked = NULL;
	if (asks) {
		struct err e = { 0 };

		t->asked = mem_new(sizeof *t->asked);
		CU_ASSERT_EQUAL(t->ask.type, RA_ACME);
		CU_ASSERT_TRUE_FATAL(ra_acme_get(span_of(&t->ask.body), t->asked, &e));
		CU_ASSERT_STRING_EQUAL(t->asked->source.request_id, "r-1");
		return;
	}
	json_decref(t->json);
	t->json = json_loadb((char *)t->r.body.p, t->r.body.n, JSON_REJECT_DUPLICATES, NULL);
}

static void send_request(struct talk *t, const char *method, const char *path, const char *query, const char *type)
{
	t->q = (struct request){ .method = method, .path = path, .query = query, .content_type = type, .authorization = "", .user_agent = "",
		                 .if_none_match = "", .if_modified_since = "", .request_id = "r-1", .remote = "192.0.2.9", .body = span_of(&t->body) };
	take_question(t, acme_head()->parse(acme, &t->q, &t->ask, &t->r));
}

static void answer(struct talk *t, const struct ra_acme_answer *a)
{
	AUTO_BUF body = { 0 };
	struct answer got = { .got = true, .type = RA_OK };

	ra_acme_answer_put(&body, a);
	got.body = span_of(&body);
	take_question(t, acme_head()->format(acme, &t->q, &got, &t->ask, &t->r));
}

static void done(struct talk *t)
{
	free(t->asked);
	json_decref(t->json);
	free(t->ask.state);
	buf_free(&t->ask.body);
	buf_free(&t->r.body);
	buf_free(&t->body);
	*t = (struct talk){ 0 };
}

/* The nth header of this name, "" when there is none. */
static const char *header(const struct talk *t, const char *name, int nth)
{
	for (size_t i = 0; i < t->r.header_n; i++)
		if (strcmp(t->r.header[i].name, name) == 0 && nth-- == 0)
			return t->r.header[i].value;
	return "";
}

static bool has_link(const struct talk *t, const char *link)
{
	for (int i = 0; header(t, "Link", i)[0] != 0; i++)
		if (strcmp(header(t, "Link", i), link) == 0)
			return true;
	return false;
}

static const char *text(const struct talk *t, const char *name)
{
	const char *v = json_string_value(json_object_get(t->json, name));

	return v != NULL ? v : "";
}

static void refused(const struct talk *t, unsigned status, const char *type)
{
	AUTO_BUF urn = { 0 };

	buf_printf(&urn, URN "%s", type);
	if (t->asked != NULL || t->r.status != status || strcmp(text(t, "type"), buf_str(&urn)) != 0)
		fprintf(stderr, "%s: wanted %u %s, got %u %.*s\n", t->q.path, status, type, t->r.status, (int)t->r.body.n, (char *)t->r.body.p);
	CU_ASSERT_PTR_NULL(t->asked);
	CU_ASSERT_EQUAL(t->r.status, status);
	CU_ASSERT_STRING_EQUAL(t->r.content_type, "application/problem+json");
	CU_ASSERT_STRING_EQUAL(text(t, "type"), buf_str(&urn));
	CU_ASSERT_TRUE(text(t, "detail")[0] != 0);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(t->json, "status")), status);
}

static void fresh_nonce(char out[64])
{
	struct talk t = { 0 };

	send_request(&t, "HEAD", "/acme/server/new-nonce", "", "");
	CU_ASSERT_EQUAL(t.r.status, 200);
	snprintf(out, 64, "%s", header(&t, "Replay-Nonce", 0));
	done(&t);
}

/* How a request is signed; what is NULL is as it should be. */
struct sign {
	enum make_key key;
	bool jwk;
	const char *kid, *url, *nonce, *alg, *more, *type, *query;
};

static void post(struct talk *t, const char *path, const char *payload, const struct sign *s)
{
	AUTO_BUF head = { 0 };
	AUTO_BUF url = { 0 };
	char nonce[64];

	fresh_nonce(nonce);
	buf_printf(&url, BASE "%s%s%s", path, s->query != NULL ? "?" : "", s->query != NULL ? s->query : "");
	buf_printf(&head, "{\"alg\":\"%s\",\"nonce\":\"%s\",\"url\":\"%s\",", s->alg != NULL ? s->alg : make_jws_alg(make_key(s->key)),
	           s->nonce != NULL ? s->nonce : nonce, s->url != NULL ? s->url : buf_str(&url));
	if (s->jwk) {
		buf_text(&head, "\"jwk\":");
		make_jwk(&head, make_key(s->key));
	} else {
		buf_printf(&head, "\"kid\":\"%s\"", s->kid != NULL ? s->kid : BASE "/acme/server/acct/7");
	}
	buf_printf(&head, "%s}", s->more != NULL ? s->more : "");
	make_jws(&t->body, buf_str(&head), payload, make_key(s->key), NULL);
	send_request(t, "POST", path, s->query != NULL ? s->query : "", s->type != NULL ? s->type : "application/jose+json");
	/* RFC 8555, 6.5: whatever came of it. */
	if (t->asked == NULL)
		CU_ASSERT_TRUE(header(t, "Replay-Nonce", 0)[0] != 0 && header(t, "Replay-Nonce", 1)[0] == 0);
}

static void thumbprint_of(enum make_key key, uint8_t out[32])
{
	AUTO_BUF jwk = { 0 };
	AUTO(json_t) *doc = NULL;
	uint8_t ordered[32];
	AUTO_BUF canonical = { 0 };

	make_jwk(&jwk, make_key(key));
	doc = json_loadb((char *)jwk.p, jwk.n, 0, NULL);
	buf_printf(&canonical, "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}", json_string_value(json_object_get(doc, "x")),
	           json_string_value(json_object_get(doc, "y")));
	digest_sha256(ordered, canonical.p, canonical.n);
	memcpy(out, ordered, 32);
}

/* ra says whose key account 7 has. */
static void answer_key(struct talk *t, enum make_key key)
{
	struct ra_acme_answer *a = mem_new(sizeof *a);
	AUTO_BUF spki = { 0 };

	CU_ASSERT_TRUE_FATAL(t->asked != NULL && t->asked->op == RA_ACME_KEY);
	CU_ASSERT_EQUAL(t->asked->account, 7);
	CU_ASSERT_STRING_EQUAL(t->asked->realm, "server");
	make_spki(&spki, make_key(key));
	a->parts = RA_ACME_HAS_ACCOUNT | RA_ACME_HAS_KEY;
	a->account = 7;
	a->of.state = ACME_VALID;
	a->of.key = span_of(&spki);
	thumbprint_of(key, a->of.thumbprint);
	answer(t, a);
	free(a);
}

/* The same, with the key asked for where it is not known yet. */
static void post_account(struct talk *t, const char *path, const char *payload)
{
	post(t, path, payload, &(struct sign){ .key = MAKE_P256 });
	if (t->asked != NULL && t->asked->op == RA_ACME_KEY)
		answer_key(t, MAKE_P256);
}

static void test_directory__ACME_01__ACME_02__ACME_46(void)
{
	static const char want[] =
	    "{\"newNonce\":\"" BASE "/acme/server/new-nonce\",\"newAccount\":\"" BASE "/acme/server/new-account\",\"newOrder\":\"" BASE
	    "/acme/server/new-order\",\"revokeCert\":\"" BASE "/acme/server/revoke-cert\",\"keyChange\":\"" BASE
	    "/acme/server/key-change\",\"renewalInfo\":\"" BASE "/acme/server/renewal-info\",\"meta\":{\"termsOfService\":\"https://ca.example/terms\","
	    "\"website\":\"https://hospital.example\",\"caaIdentities\":[\"ca.example\"],\"externalAccountRequired\":true,"
	    "\"profiles\":{\"server\":\"Certificates under the profile server\"}}}\n";
	struct talk t = { 0 };

	begin();
	send_request(&t, "GET", "/acme/server/directory", "", "");
	CU_ASSERT_EQUAL(t.r.status, 200);
	CU_ASSERT_STRING_EQUAL(t.r.content_type, "application/json");
	CU_ASSERT_TRUE(t.r.body.n == sizeof want - 1 && memcmp(t.r.body.p, want, sizeof want - 1) == 0);
	CU_ASSERT_EQUAL(t.r.header_n, 0);
	done(&t);
	acme_set(acme, &(struct acme_settings){ .base = BASE });
	send_request(&t, "GET", "/acme/radius/directory", "", "");
	CU_ASSERT_TRUE(json_object_size(json_object_get(t.json, "meta")) == 2);
	CU_ASSERT_TRUE(json_is_false(json_object_get(json_object_get(t.json, "meta"), "externalAccountRequired")));
	done(&t);
	send_request(&t, "GET", "/acme/device/directory", "", "");
	refused(&t, 404, "malformed");
	done(&t);
	end();
	/* Nobody knows which there are, yet. */
	acme = acme_new(rnd_kernel);
	ra = caller_new("front", NULL, NULL, NULL);
	acme_set_caller(acme, ra);
	acme_set(acme, &settings);
	send_request(&t, "GET", "/acme/server/directory", "", "");
	refused(&t, 503, "serverInternal");
	CU_ASSERT_STRING_EQUAL(header(&t, "Retry-After", 0), "1");
	done(&t);
	end();
}

static void test_new_nonce__ACME_10(void)
{
	struct talk t = { 0 };

	begin();
	for (int i = 0; i < 2; i++) {
		send_request(&t, i == 0 ? "HEAD" : "GET", "/acme/server/new-nonce", "", "");
		CU_ASSERT_EQUAL(t.r.status, i == 0 ? 200 : 204);
		CU_ASSERT_EQUAL(t.r.body.n, 0);
		CU_ASSERT_STRING_EQUAL(header(&t, "Cache-Control", 0), "no-store");
		CU_ASSERT_TRUE(strlen(header(&t, "Replay-Nonce", 0)) >= 22);
		CU_ASSERT_TRUE(has_link(&t, "<" BASE "/acme/server/directory>;rel=\"index\""));
		done(&t);
	}
	end();
}

static void test_methods__ACME_03__ACME_04(void)
{
	static const struct {
		const char *method, *path, *allow;
	} t[] = {
		{ "GET", "/acme/server/order/7", "POST" }, { "HEAD", "/acme/server/order/7", "POST" }, { "GET", "/acme/server/new-order", "POST" },
		{ "GET", "/acme/server/cert/7", "POST" }, { "GET", "/acme/server/acct/7", "POST" }, { "GET", "/acme/server/authz/7", "POST" },
		{ "GET", "/acme/server/chall/7/http-01", "POST" }, { "PUT", "/acme/server/new-order", "POST" },
		{ "DELETE", "/acme/server/directory", "GET, HEAD, POST" }, { "EAD", "/acme/server/directory", "GET, HEAD, POST" },
		{ "POST", "/acme/server/renewal-info/aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE", "GET, HEAD" },
	};

	begin();
	for (size_t i = 0; i < COUNT_OF(t); i++) {
		struct talk k = { 0 };

		send_request(&k, t[i].method, t[i].path, "", "application/jose+json");
		refused(&k, 405, "malformed");
		CU_ASSERT_STRING_EQUAL(header(&k, "Allow", 0), t[i].allow);
		CU_ASSERT_TRUE(has_link(&k, "<" BASE "/acme/server/directory>;rel=\"index\""));
		done(&k);
	}
	for (int i = 0; i < 4; i++) {
		static const char *const types[] = { "", "application/json", "application/jose+jsonx", "application/jose" };
		struct talk k = { 0 };

		post(&k, "/acme/server/new-order", "{}", &(struct sign){ .key = MAKE_P256, .type = types[i] });
		refused(&k, 415, "malformed");
		done(&k);
	}
	end();
}

/* Everything that a stranger, or a client with a defect, may try with the header. */
static void test_traps__ACME_06__ACME_07__ACME_08(void)
{
	static const struct {
		const char *path;
		struct sign s;
		unsigned status;
		const char *type;
	} t[] = {
		{ "/acme/server/new-order", { .key = MAKE_P256, .url = BASE "/acme/server/new-order/" }, 403, "unauthorized" },
		{ "/acme/server/new-order", { .key = MAKE_P256, .url = BASE "/acme/server/new-account" }, 403, "unauthorized" },
		{ "/acme/server/new-order", { .key = MAKE_P256, .url = "https://other/acme/server/new-order" }, 403, "unauthorized" },
		{ "/acme/server/new-order", { .key = MAKE_P256, .url = "https://ca.example/acme/server/new-order" }, 403, "unauthorized" },
		{ "/acme/server/new-order", { .key = MAKE_P256, .url = "http://ca.example:8443/acme/server/new-order" }, 403, "unauthorized" },
		{ "/acme/server/acct/7/orders", { .key = MAKE_P256, .query = "cursor=3", .url = BASE "/acme/server/acct/7/orders" }, 403, "unauthorized" },
		{ "/acme/server/new-order", { .key = MAKE_P256, .jwk = true }, 400, "malformed" },
		{ "/acme/server/key-change", { .key = MAKE_P256, .jwk = true }, 400, "malformed" },
		{ "/acme/server/acct/7", { .key = MAKE_P256, .jwk = true }, 400, "malformed" },
		{ "/acme/server/new-account", { .key = MAKE_P256 }, 400, "malformed" },
		{ "/acme/server/new-order", { .key = MAKE_P256, .more = ",\"jwk\":{}" }, 400, "malformed" },
		{ "/acme/server/new-order", { .key = MAKE_P256, .more = ",\"crit\":[\"b64\"],\"b64\":false" }, 400, "malformed" },
		{ "/acme/server/new-order", { .key = MAKE_P256, .more = ",\"alg\":\"none\"" }, 400, "malformed" },
		{ "/acme/server/new-order", { .key = MAKE_P256, .alg = "none" }, 400, "badSignatureAlgorithm" },
		{ "/acme/server/new-order", { .key = MAKE_P256, .alg = "HS256" }, 400, "badSignatureAlgorithm" },
		{ "/acme/server/new-account", { .key = MAKE_P256, .jwk = true, .alg = "ES384" }, 400, "badSignatureAlgorithm" },
		{ "/acme/server/new-account", { .key = MAKE_P384, .jwk = true, .alg = "ES256" }, 400, "badSignatureAlgorithm" },
		{ "/acme/server/new-account", { .key = MAKE_RSA2048, .jwk = true, .alg = "ES256" }, 400, "badSignatureAlgorithm" },
		{ "/acme/server/new-account", { .key = MAKE_RSA2048, .jwk = true, .alg = "EdDSA" }, 400, "badSignatureAlgorithm" },
		{ "/acme/server/new-account", { .key = MAKE_P256, .jwk = true, .alg = "RS256" }, 400, "badSignatureAlgorithm" },
		{ "/acme/server/new-account", { .key = MAKE_ED25519, .jwk = true, .alg = "ES256" }, 400, "badSignatureAlgorithm" },
		{ "/acme/server/new-order", { .key = MAKE_P256, .kid = BASE "/acme/radius/acct/7" }, 400, "accountDoesNotExist" },
		{ "/acme/server/new-order", { .key = MAKE_P256, .kid = "https://other/acme/server/acct/7" }, 400, "accountDoesNotExist" },
		{ "/acme/server/new-order", { .key = MAKE_P256, .kid = BASE "/acme/server/acct/x" }, 400, "accountDoesNotExist" },
		{ "/acme/server/new-order", { .key = MAKE_P256, .nonce = "AAAA" }, 400, "badNonce" },
		{ "/acme/server/new-order", { .key = MAKE_P256, .nonce = "!" }, 400, "malformed" },
		{ "/acme/device/new-order", { .key = MAKE_P256 }, 404, "malformed" },
		{ "/acme/server/new-orders", { .key = MAKE_P256 }, 404, "malformed" },
	};

	begin();
	for (size_t i = 0; i < COUNT_OF(t); i++) {
		struct talk k = { 0 };

		post(&k, t[i].path, "{}", &t[i].s);
		refused(&k, t[i].status, t[i].type);
		if (strcmp(t[i].type, "badSignatureAlgorithm") == 0) {
			json_t *list = json_object_get(k.json, "algorithms");

			CU_ASSERT_EQUAL(json_array_size(list), 5);
			CU_ASSERT_STRING_EQUAL(json_string_value(json_array_get(list, 0)), "ES256");
		}
		done(&k);
	}
	end();
}

static void test_nonces_are_used_once__ACME_09(void)
{
	struct talk t = { 0 };
	char nonce[64], next[64];

	begin();
	fresh_nonce(nonce);
	post(&t, "/acme/server/new-order", "{}", &(struct sign){ .key = MAKE_P256, .nonce = nonce });
	CU_ASSERT_PTR_NOT_NULL(t.asked);
	done(&t);
	post(&t, "/acme/server/new-order", "{}", &(struct sign){ .key = MAKE_P256, .nonce = nonce });
	refused(&t, 400, "badNonce");
	snprintf(next, sizeof next, "%s", header(&t, "Replay-Nonce", 0));
	done(&t);
	/* The one that came with it is good. */
	post(&t, "/acme/server/new-order", "{}", &(struct sign){ .key = MAKE_P256, .nonce = next });
	CU_ASSERT_PTR_NOT_NULL(t.asked);
	done(&t);
	end();
}

/* A signature of another key does not hold, whether the account's is known already or not; ra hears of nothing but the key. */
static void test_signatures__ACME_06(void)
{
	struct talk t = { 0 };

	begin();
	for (int i = 0; i < 2; i++) {
		post(&t, "/acme/server/new-order", "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"a\"}]}", &(struct sign){ .key = MAKE_P256_OTHER });
		answer_key(&t, MAKE_P256);
		refused(&t, 400, "malformed");
		done(&t);
	}
	/* Known by now: no question for the key. */
	post(&t, "/acme/server/order/1", "", &(struct sign){ .key = MAKE_P256 });
	CU_ASSERT_TRUE_FATAL(t.asked != NULL);
	CU_ASSERT_EQUAL(t.asked->op, RA_ACME_ORDER);
	done(&t);
	/* Of another realm it is not. */
	post(&t, "/acme/radius/order/1", "", &(struct sign){ .key = MAKE_P256, .kid = BASE "/acme/radius/acct/7" });
	CU_ASSERT_TRUE_FATAL(t.asked != NULL);
	CU_ASSERT_EQUAL(t.asked->op, RA_ACME_KEY);
	CU_ASSERT_STRING_EQUAL(t.asked->realm, "radius");
	done(&t);
	end();
}

/* RFC 8555, 7.3.5 on another node: the key that is cached here is the old one. */
static void test_a_key_that_was_changed__ACME_22(void)
{
	struct ra_acme_answer *no = mem_new(sizeof *no);
	struct talk t = { 0 };
	uint8_t was[32], is[32];

	begin();
	thumbprint_of(MAKE_P256, was);
	thumbprint_of(MAKE_P256_OTHER, is);
	no->problem = ACME_UNAUTHORIZED;
	strcpy(no->detail, ACME_STALE_KEY);
	post_account(&t, "/acme/server/order/1", "");
	CU_ASSERT_TRUE(t.asked != NULL && t.asked->op == RA_ACME_ORDER && memcmp(t.asked->thumbprint, was, 32) == 0);
	done(&t);
	/* Signed by the new one: does not hold against the cached, and is asked for. */
	post(&t, "/acme/server/order/1", "", &(struct sign){ .key = MAKE_P256_OTHER });
	answer_key(&t, MAKE_P256_OTHER);
	CU_ASSERT_TRUE(t.asked != NULL && t.asked->op == RA_ACME_ORDER && memcmp(t.asked->thumbprint, is, 32) == 0);
	done(&t);
	/* The other way round: ra says no to what is cached; the key is asked for once, and it is another. */
	post(&t, "/acme/server/order/1", "", &(struct sign){ .key = MAKE_P256_OTHER });
	CU_ASSERT_TRUE_FATAL(t.asked != NULL && t.asked->op == RA_ACME_ORDER);
	answer(&t, no);
	answer_key(&t, MAKE_P256);
	refused(&t, 400, "malformed");
	done(&t);
	/* And when it is the same, ra's no is the answer. */
	post(&t, "/acme/server/order/1", "", &(struct sign){ .key = MAKE_P256 });
	CU_ASSERT_TRUE_FATAL(t.asked != NULL && t.asked->op == RA_ACME_ORDER);
	answer(&t, no);
	answer_key(&t, MAKE_P256);
	CU_ASSERT_TRUE_FATAL(t.asked != NULL && t.asked->op == RA_ACME_ORDER);
	answer(&t, no);
	refused(&t, 403, "unauthorized");
	done(&t);
	/* Any other no is one: nothing is done twice for it. */
	strcpy(no->detail, "the order is another account's");
	post(&t, "/acme/server/order/1", "", &(struct sign){ .key = MAKE_P256 });
	CU_ASSERT_TRUE_FATAL(t.asked != NULL && t.asked->op == RA_ACME_ORDER);
	answer(&t, no);
	refused(&t, 403, "unauthorized");
	done(&t);
	free(no);
	end();
}

static void test_accounts_that_are_none__ACME_21(void)
{
	struct ra_acme_answer *no = mem_new(sizeof *no);
	struct talk t = { 0 };

	begin();
	no->problem = ACME_ACCOUNT_DOES_NOT_EXIST;
	strcpy(no->detail, "there is no such account");
	post(&t, "/acme/server/order/1", "", &(struct sign){ .key = MAKE_P256 });
	CU_ASSERT_TRUE_FATAL(t.asked != NULL && t.asked->op == RA_ACME_KEY);
	answer(&t, no);
	refused(&t, 400, "accountDoesNotExist");
	done(&t);
	no->problem = ACME_ACCOUNT_DEAD;
	post(&t, "/acme/server/order/1", "", &(struct sign){ .key = MAKE_P256 });
	answer(&t, no);
	refused(&t, 401, "unauthorized");
	done(&t);
	/* An answer without what was asked for is no account's fault. */
	no->problem = ACME_OK;
	post(&t, "/acme/server/order/1", "", &(struct sign){ .key = MAKE_P256 });
	answer(&t, no);
	refused(&t, 500, "serverInternal");
	done(&t);
	free(no);
	end();
}

/* A whole conversation: what ra is asked, and how its answers look. */
static void test_conversation__ACME_40__ACME_41__ACME_16__ACME_24__ACME_28__ACME_38__ACME_39__QRK_11(void)
{
	static const uint8_t leaf[] = { 0x30, 0x03, 0x02, 0x01, 0x05 }, issuer[] = { 0x30, 0x03, 0x02, 0x01, 0x06 };
	struct ra_acme_answer *a = mem_new(sizeof *a);
	struct talk t = { 0 };
	AUTO_BUF spki = { 0 };
	uint8_t thumb[32];

	begin();
	make_spki(&spki, make_key(MAKE_P256));
	thumbprint_of(MAKE_P256, thumb);
	post(&t, "/acme/server/new-account", "{\"contact\":[\"mailto:a@b.example\"],\"termsOfServiceAgreed\":true}", &(struct sign){ .key = MAKE_P256, .jwk = true });
	CU_ASSERT_TRUE_FATAL(t.asked != NULL && t.asked->op == RA_ACME_NEW_ACCOUNT);
	CU_ASSERT_TRUE(span_equal(t.asked->key, span_of(&spki)) && memcmp(t.asked->thumbprint, thumb, 32) == 0 && t.asked->account == 0);
	CU_ASSERT_TRUE(t.asked->terms_agreed && !t.asked->only_existing && t.asked->contact_n == 1 && t.asked->eab.kid[0] == 0);
	a->parts = RA_ACME_HAS_ACCOUNT;
	a->account = 7;
	a->created = true;
	a->of.state = ACME_VALID;
	a->of.terms_agreed = true;
	a->of.contact_n = 1;
	strcpy(a->of.contact[0], "mailto:a@b.example");
	answer(&t, a);
	CU_ASSERT_EQUAL(t.r.status, 201);
	CU_ASSERT_STRING_EQUAL(header(&t, "Location", 0), BASE "/acme/server/acct/7");
	CU_ASSERT_TRUE(has_link(&t, "<https://ca.example/terms>;rel=\"terms-of-service\""));
	CU_ASSERT_TRUE(has_link(&t, "<" BASE "/acme/server/directory>;rel=\"index\""));
	CU_ASSERT_STRING_EQUAL(buf_str(&t.r.body), "{\"status\":\"valid\",\"contact\":[\"mailto:a@b.example\"],\"termsOfServiceAgreed\":true,\"orders\":\"" BASE
	                                           "/acme/server/acct/7/orders\"}\n");
	CU_ASSERT_TRUE(header(&t, "Replay-Nonce", 0)[0] != 0);
	done(&t);
	/* Known already: 200, the same Location. */
	a->created = false;
	post(&t, "/acme/server/new-account", "{\"onlyReturnExisting\":true}", &(struct sign){ .key = MAKE_P256, .jwk = true });
	CU_ASSERT_TRUE_FATAL(t.asked != NULL && t.asked->only_existing);
	answer(&t, a);
	CU_ASSERT_EQUAL(t.r.status, 200);
	CU_ASSERT_STRING_EQUAL(header(&t, "Location", 0), BASE "/acme/server/acct/7");
	done(&t);

	post_account(&t, "/acme/server/new-order", "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.example\"}],\"profile\":\"server\"}");
	CU_ASSERT_TRUE_FATAL(t.asked != NULL && t.asked->op == RA_ACME_NEW_ORDER);
	CU_ASSERT_TRUE(t.asked->account == 7 && t.asked->key.n == 0 && memcmp(t.asked->thumbprint, thumb, 32) == 0);
	CU_ASSERT_STRING_EQUAL(t.asked->identifier[0].value, "a.example");
	CU_ASSERT_STRING_EQUAL(t.asked->profile, "server");
	memset(a, 0, sizeof *a);
	a->parts = RA_ACME_HAS_ORDER;
	a->order.id = 11;
	a->order.expires = INT64_C(1795514400000000);
	a->order.state = ACME_PENDING;
	a->order.identifier_n = a->order.authorization_n = 1;
	strcpy(a->order.identifier[0].type, "dns");
	strcpy(a->order.identifier[0].value, "a.example");
	a->order.authorization[0] = 21;
	strcpy(a->order.profile, "server");
	answer(&t, a);
	CU_ASSERT_EQUAL(t.r.status, 201);
	CU_ASSERT_STRING_EQUAL(header(&t, "Location", 0), BASE "/acme/server/order/11");
	CU_ASSERT_STRING_EQUAL(buf_str(&t.r.body), "{\"status\":\"pending\",\"expires\":\"2026-11-24T10:00:00Z\",\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.example\"}],"
	                                           "\"profile\":\"server\",\"authorizations\":[\"" BASE "/acme/server/authz/21\"],\"finalize\":\"" BASE
	                                           "/acme/server/order/11/finalize\"}\n");
	done(&t);

	post_account(&t, "/acme/server/authz/21", "");
	CU_ASSERT_TRUE_FATAL(t.asked != NULL && t.asked->op == RA_ACME_AUTHORIZATION && t.asked->id == 21);
	memset(a, 0, sizeof *a);
	a->parts = RA_ACME_HAS_AUTHORIZATION;
	a->authorization.id = 21;
	a->authorization.expires = INT64_C(1795514400000000);
	a->authorization.state = a->authorization.challenge_state = ACME_PENDING;
	a->authorization.methods = 1 << ACME_HTTP_01 | 1 << ACME_DNS_01;
	strcpy(a->authorization.identifier.type, "dns");
	strcpy(a->authorization.identifier.value, "a.example");
	strcpy(a->authorization.token, "tokentokentokentokento");
	answer(&t, a);
	CU_ASSERT_EQUAL(t.r.status, 200);
	CU_ASSERT_STRING_EQUAL(buf_str(&t.r.body), "{\"status\":\"pending\",\"expires\":\"2026-11-24T10:00:00Z\",\"identifier\":{\"type\":\"dns\",\"value\":\"a.example\"},"
	                                           "\"challenges\":[{\"type\":\"http-01\",\"url\":\"" BASE "/acme/server/chall/21/http-01\",\"status\":\"pending\","
	                                           "\"token\":\"tokentokentokentokento\"},{\"type\":\"dns-01\",\"url\":\"" BASE
	                                           "/acme/server/chall/21/dns-01\",\"status\":\"pending\",\"token\":\"tokentokentokentokento\"}]}\n");
	done(&t);

	post_account(&t, "/acme/server/chall/21/http-01", "{}");
	CU_ASSERT_TRUE_FATAL(t.asked != NULL && t.asked->op == RA_ACME_CHALLENGE_START && t.asked->id == 21 && t.asked->method == ACME_HTTP_01);
	a->authorization.method = ACME_HTTP_01;
	a->authorization.challenge_state = ACME_PROCESSING;
	a->retry_after = 2;
	answer(&t, a);
	CU_ASSERT_EQUAL(t.r.status, 200);
	CU_ASSERT_TRUE(has_link(&t, "<" BASE "/acme/server/authz/21>;rel=\"up\""));
	CU_ASSERT_STRING_EQUAL(header(&t, "Retry-After", 0), "2");
	CU_ASSERT_STRING_EQUAL(buf_str(&t.r.body), "{\"type\":\"http-01\",\"url\":\"" BASE
	                                           "/acme/server/chall/21/http-01\",\"status\":\"processing\",\"token\":\"tokentokentokentokento\"}\n");
	done(&t);
	/* What is not offered is not there. */
	post_account(&t, "/acme/server/chall/21/tls-alpn-01", "");
	answer(&t, a);
	refused(&t, 404, "malformed");
	done(&t);
	/* Valid: the one that did it, and when; wildcards say so. */
	a->retry_after = 0;
	a->authorization.state = a->authorization.challenge_state = ACME_VALID;
	a->authorization.validated = INT64_C(1795514401500000);
	a->authorization.wildcard = true;
	post_account(&t, "/acme/server/authz/21", "");
	answer(&t, a);
	CU_ASSERT_STRING_EQUAL(buf_str(&t.r.body), "{\"status\":\"valid\",\"expires\":\"2026-11-24T10:00:00Z\",\"identifier\":{\"type\":\"dns\",\"value\":\"a.example\"},"
	                                           "\"challenges\":[{\"type\":\"http-01\",\"url\":\"" BASE "/acme/server/chall/21/http-01\",\"status\":\"valid\","
	                                           "\"token\":\"tokentokentokentokento\",\"validated\":\"2026-11-24T10:00:01Z\"}],\"wildcard\":true}\n");
	done(&t);

	post_account(&t, "/acme/server/order/11/finalize", "{\"csr\":\"MAA\"}");
	CU_ASSERT_TRUE_FATAL(t.asked != NULL && t.asked->op == RA_ACME_FINALIZE && t.asked->id == 11 && t.asked->csr.n == 2);
	memset(a, 0, sizeof *a);
	a->parts = RA_ACME_HAS_ORDER;
	a->order.id = 11;
	a->order.state = ACME_VALID;
	a->order.certificate = true;
	answer(&t, a);
	CU_ASSERT_EQUAL(t.r.status, 200);
	CU_ASSERT_STRING_EQUAL(header(&t, "Location", 0), BASE "/acme/server/order/11");
	CU_ASSERT_STRING_EQUAL(text(&t, "certificate"), BASE "/acme/server/cert/11");
	done(&t);

	post_account(&t, "/acme/server/cert/11", "");
	CU_ASSERT_TRUE_FATAL(t.asked != NULL && t.asked->op == RA_ACME_CERTIFICATE && t.asked->id == 11 && t.asked->alternate == 0);
	memset(a, 0, sizeof *a);
	a->parts = RA_ACME_HAS_CHAIN;
	a->chain_n = 2;
	a->chain[0] = (struct span){ leaf, sizeof leaf };
	a->chain[1] = (struct span){ issuer, sizeof issuer };
	a->alternates = 2;
	answer(&t, a);
	CU_ASSERT_STRING_EQUAL(t.r.content_type, "application/pem-certificate-chain");
	CU_ASSERT_STRING_EQUAL(buf_str(&t.r.body), "-----BEGIN CERTIFICATE-----\nMAMCAQU=\n-----END CERTIFICATE-----\n"
	                                           "-----BEGIN CERTIFICATE-----\nMAMCAQY=\n-----END CERTIFICATE-----\n");
	CU_ASSERT_TRUE(has_link(&t, "<" BASE "/acme/server/cert/11/1>;rel=\"alternate\"") && has_link(&t, "<" BASE "/acme/server/cert/11/2>;rel=\"alternate\""));
	CU_ASSERT_FALSE(has_link(&t, "<" BASE "/acme/server/cert/11>;rel=\"alternate\""));
	done(&t);
	post_account(&t, "/acme/server/cert/11/2", "");
	CU_ASSERT_TRUE_FATAL(t.asked != NULL && t.asked->alternate == 2);
	answer(&t, a);
	CU_ASSERT_TRUE(has_link(&t, "<" BASE "/acme/server/cert/11>;rel=\"alternate\"") && has_link(&t, "<" BASE "/acme/server/cert/11/1>;rel=\"alternate\""));
	CU_ASSERT_FALSE(has_link(&t, "<" BASE "/acme/server/cert/11/2>;rel=\"alternate\""));
	done(&t);

	/* ACME-41: by the account, and by the certificate's own key. */
	for (int k = 0; k < 2; k++) {
		post(&t, "/acme/server/revoke-cert", "{\"certificate\":\"MAMCAQU\",\"reason\":1}", &(struct sign){ .key = MAKE_P256, .jwk = k == 1 });
		CU_ASSERT_TRUE_FATAL(t.asked != NULL && t.asked->op == RA_ACME_REVOKE);
		CU_ASSERT_TRUE(t.asked->account == (k == 0 ? 7 : 0) && (t.asked->key.n != 0) == (k == 1) && t.asked->reason == 1);
		CU_ASSERT_TRUE(span_equal(t.asked->certificate, (struct span){ leaf, sizeof leaf }));
		memset(a, 0, sizeof *a);
		answer(&t, a);
		CU_ASSERT_TRUE(t.r.status == 200 && t.r.body.n == 0);
		CU_ASSERT_TRUE(header(&t, "Replay-Nonce", 0)[0] != 0);
		done(&t);
	}
	free(a);
	end();
}

/* RFC 8555, 6.3: the directory and new nonces are read by POST, too; ra is asked whether the account may. */
static void test_directory_by_post__ACME_03(void)
{
	struct ra_acme_answer *a = mem_new(sizeof *a);
	struct talk t = { 0 };

	begin();
	a->parts = RA_ACME_HAS_ACCOUNT;
	a->of.state = ACME_VALID;
	post_account(&t, "/acme/server/directory", "");
	CU_ASSERT_TRUE_FATAL(t.asked != NULL && t.asked->op == RA_ACME_ACCOUNT);
	answer(&t, a);
	CU_ASSERT_TRUE(t.r.status == 200 && text(&t, "newOrder")[0] != 0 && header(&t, "Replay-Nonce", 0)[0] != 0);
	done(&t);
	post_account(&t, "/acme/server/new-nonce", "");
	answer(&t, a);
	CU_ASSERT_TRUE(t.r.status == 204 && header(&t, "Replay-Nonce", 0)[0] != 0 && header(&t, "Replay-Nonce", 1)[0] == 0);
	done(&t);
	a->parts = 0;
	a->problem = ACME_ACCOUNT_DEAD;
	strcpy(a->detail, "the account is deactivated");
	post_account(&t, "/acme/server/directory", "");
	answer(&t, a);
	refused(&t, 401, "unauthorized");
	done(&t);
	free(a);
	end();
}

static void test_orders_list__ACME_23(void)
{
	struct ra_acme_answer *a = mem_new(sizeof *a);
	struct talk t = { 0 };

	begin();
	post(&t, "/acme/server/acct/7/orders", "", &(struct sign){ .key = MAKE_P256, .query = "cursor=30" });
	answer_key(&t, MAKE_P256);
	CU_ASSERT_TRUE_FATAL(t.asked != NULL && t.asked->op == RA_ACME_ORDERS && t.asked->cursor == 30);
	a->parts = RA_ACME_HAS_LIST;
	a->list_n = 2;
	a->list[0] = 29;
	a->list[1] = 28;
	a->next = 28;
	answer(&t, a);
	CU_ASSERT_STRING_EQUAL(buf_str(&t.r.body), "{\"orders\":[\"" BASE "/acme/server/order/29\",\"" BASE "/acme/server/order/28\"]}\n");
	CU_ASSERT_TRUE(has_link(&t, "<" BASE "/acme/server/acct/7/orders?cursor=28>;rel=\"next\""));
	done(&t);
	a->next = 0;
	a->list_n = 0;
	post_account(&t, "/acme/server/acct/7/orders", "");
	answer(&t, a);
	CU_ASSERT_STRING_EQUAL(buf_str(&t.r.body), "{\"orders\":[]}\n");
	CU_ASSERT_FALSE(has_link(&t, "<" BASE "/acme/server/acct/7/orders?cursor=28>;rel=\"next\""));
	done(&t);
	post_account(&t, "/acme/server/acct/8/orders", "");
	refused(&t, 403, "unauthorized");
	done(&t);
	free(a);
	end();
}

static void test_renewal_info__ACME_43(void)
{
	struct ra_acme_answer *a = mem_new(sizeof *a);
	struct talk t = { 0 };

	begin();
	a->parts = RA_ACME_HAS_WINDOW;
	a->window_start = INT64_C(1795514400000000);
	a->window_end = INT64_C(1795600800000000);
	send_request(&t, "GET", "/acme/server/renewal-info/aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE", "", "");
	CU_ASSERT_TRUE_FATAL(t.asked != NULL && t.asked->op == RA_ACME_RENEWAL_INFO);
	CU_ASSERT_STRING_EQUAL(t.asked->renewal_id, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE");
	answer(&t, a);
	CU_ASSERT_EQUAL(t.r.status, 200);
	CU_ASSERT_STRING_EQUAL(buf_str(&t.r.body), "{\"suggestedWindow\":{\"start\":\"2026-11-24T10:00:00Z\",\"end\":\"2026-11-25T10:00:00Z\"}}\n");
	CU_ASSERT_STRING_EQUAL(header(&t, "Retry-After", 0), "21600");
	CU_ASSERT_STRING_EQUAL(header(&t, "Replay-Nonce", 0), "");
	done(&t);
	a->retry_after = 60;
	send_request(&t, "GET", "/acme/server/renewal-info/aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE", "", "");
	answer(&t, a);
	CU_ASSERT_STRING_EQUAL(header(&t, "Retry-After", 0), "60");
	CU_ASSERT_STRING_EQUAL(header(&t, "Retry-After", 1), "");
	done(&t);
	memset(a, 0, sizeof *a);
	a->problem = ACME_NOT_FOUND;
	strcpy(a->detail, "no certificate of here");
	send_request(&t, "GET", "/acme/server/renewal-info/aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE", "", "");
	answer(&t, a);
	refused(&t, 404, "malformed");
	done(&t);
	send_request(&t, "GET", "/acme/server/renewal-info/aYhba4dGQEHhs3uEe6CuLN4ByNQ=.AIdlQyE", "", "");
	refused(&t, 400, "malformed");
	done(&t);
	free(a);
	end();
}

/* Every problem that ra may name comes out under its type and status. */
static void test_problems__ACME_11__ACME_12__ACME_13__ACME_14__ACME_15(void)
{
	static const struct {
		enum acme_problem problem;
		unsigned status;
		const char *type;
	} p[] = {
		{ ACME_ACCOUNT_DOES_NOT_EXIST, 400, "accountDoesNotExist" }, { ACME_ALREADY_REVOKED, 400, "alreadyRevoked" },
		{ ACME_BAD_CSR, 400, "badCSR" }, { ACME_BAD_NONCE, 400, "badNonce" }, { ACME_BAD_PUBLIC_KEY, 400, "badPublicKey" },
		{ ACME_BAD_REVOCATION_REASON, 400, "badRevocationReason" }, { ACME_BAD_SIGNATURE_ALGORITHM, 400, "badSignatureAlgorithm" },
		{ ACME_INVALID_CONTACT, 400, "invalidContact" }, { ACME_UNSUPPORTED_CONTACT, 400, "unsupportedContact" },
		{ ACME_MALFORMED, 400, "malformed" }, { ACME_UNSUPPORTED_IDENTIFIER, 400, "unsupportedIdentifier" },
		{ ACME_REJECTED_IDENTIFIER, 400, "rejectedIdentifier" }, { ACME_INVALID_PROFILE, 400, "invalidProfile" },
		{ ACME_BAD_ATTESTATION_STATEMENT, 400, "badAttestationStatement" }, { ACME_UNAUTHORIZED, 403, "unauthorized" },
		{ ACME_EXTERNAL_ACCOUNT_REQUIRED, 403, "externalAccountRequired" }, { ACME_ORDER_NOT_READY, 403, "orderNotReady" },
		{ ACME_USER_ACTION_REQUIRED, 403, "userActionRequired" }, { ACME_CAA, 403, "caa" }, { ACME_ALREADY_REPLACED, 409, "alreadyReplaced" },
		{ ACME_RATE_LIMITED, 429, "rateLimited" }, { ACME_SERVER_INTERNAL, 500, "serverInternal" }, { ACME_CONNECTION, 400, "connection" },
		{ ACME_DNS, 400, "dns" }, { ACME_TLS, 400, "tls" }, { ACME_INCORRECT_RESPONSE, 403, "incorrectResponse" }, { ACME_COMPOUND, 400, "compound" },
		{ ACME_CONFLICT, 409, "malformed" }, { ACME_NOT_FOUND, 404, "malformed" }, { ACME_ACCOUNT_DEAD, 401, "unauthorized" },
		{ ACME_AUTO_RENEWAL_CANCELED, 403, "autoRenewalCanceled" }, { ACME_AUTO_RENEWAL_EXPIRED, 403, "autoRenewalExpired" },
		{ ACME_AUTO_RENEWAL_CANCELLATION_INVALID, 400, "autoRenewalCancellationInvalid" },
		{ ACME_AUTO_RENEWAL_REVOCATION_NOT_SUPPORTED, 403, "autoRenewalRevocationNotSupported" },
		{ ACME_UNKNOWN_DELEGATION, 400, "unknownDelegation" }, { ACME_ONION_CAA_REQUIRED, 400, "onionCAARequired" },
	};
	struct ra_acme_answer *a = mem_new(sizeof *a);
	struct talk t = { 0 };

	CU_ASSERT_EQUAL(COUNT_OF(p), ACME_PROBLEM_COUNT - 1);
	begin();
	/* A name that is cut within a character leaves the rest of the sentence. */
	memset(a, 0, sizeof *a);
	a->problem = ACME_MALFORMED;
	strcpy(a->detail, "b\xc3: no DNS name");
	post(&t, "/acme/server/new-account", "{}", &(struct sign){ .key = MAKE_P256, .jwk = true });
	answer(&t, a);
	refused(&t, 400, "malformed");
	CU_ASSERT_STRING_EQUAL(text(&t, "detail"), "b?: no DNS name");
	done(&t);
	for (size_t i = 0; i < COUNT_OF(p); i++) {
		memset(a, 0, sizeof *a);
		a->problem = p[i].problem;
		strcpy(a->detail, "why: \"\\/\u00e4");
		a->account = p[i].problem == ACME_CONFLICT ? 9 : 0;
		post(&t, "/acme/server/new-account", "{}", &(struct sign){ .key = MAKE_P256, .jwk = true });
		answer(&t, a);
		refused(&t, p[i].status, p[i].type);
		CU_ASSERT_STRING_EQUAL(text(&t, "detail"), "why: \"\\/\u00e4");
		if (p[i].problem == ACME_USER_ACTION_REQUIRED) {
			CU_ASSERT_STRING_EQUAL(text(&t, "instance"), "https://ca.example/terms");
			CU_ASSERT_TRUE(has_link(&t, "<https://ca.example/terms>;rel=\"terms-of-service\""));
		}
		if (p[i].problem == ACME_RATE_LIMITED)
			CU_ASSERT_STRING_EQUAL(header(&t, "Retry-After", 0), "60");
		CU_ASSERT_STRING_EQUAL(header(&t, "Location", 0), p[i].problem == ACME_CONFLICT ? BASE "/acme/server/acct/9" : "");
		CU_ASSERT_STRING_EQUAL(acme_problem_name(p[i].problem), p[i].type);
		CU_ASSERT_TRUE(acme_problem_kind(p[i].problem) != ERR_NONE);
		done(&t);
	}
	a->problem = ACME_RATE_LIMITED;
	a->retry_after = 17;
	post(&t, "/acme/server/new-account", "{}", &(struct sign){ .key = MAKE_P256, .jwk = true });
	answer(&t, a);
	CU_ASSERT_STRING_EQUAL(header(&t, "Retry-After", 0), "17");
	done(&t);
	free(a);
	end();
}

static void test_subproblems__ACME_25__ACME_13(void)
{
	struct ra_acme_answer *a = mem_new(sizeof *a);
	struct talk t = { 0 };
	json_t *subs, *error;

	begin();
	a->problem = ACME_COMPOUND;
	strcpy(a->detail, "two names");
	a->sub_n = 2;
	a->sub[0].problem = ACME_REJECTED_IDENTIFIER;
	strcpy(a->sub[0].detail, "not yours");
	strcpy(a->sub[0].identifier.type, "dns");
	strcpy(a->sub[0].identifier.value, "x.example");
	a->sub[1].problem = ACME_UNSUPPORTED_IDENTIFIER;
	strcpy(a->sub[1].identifier.type, "email");
	strcpy(a->sub[1].identifier.value, "a@b");
	post_account(&t, "/acme/server/new-order", "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"x.example\"}]}");
	answer(&t, a);
	refused(&t, 400, "compound");
	subs = json_object_get(t.json, "subproblems");
	CU_ASSERT_EQUAL(json_array_size(subs), 2);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(json_array_get(subs, 0), "type")), URN "rejectedIdentifier");
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(json_object_get(json_array_get(subs, 1), "identifier"), "value")), "a@b");
	done(&t);
	/* A challenge that failed, and the order that it took with it. */
	memset(a, 0, sizeof *a);
	a->parts = RA_ACME_HAS_AUTHORIZATION;
	a->authorization.id = 21;
	a->authorization.state = a->authorization.challenge_state = ACME_INVALID;
	a->authorization.methods = 1 << ACME_HTTP_01;
	a->authorization.method = ACME_HTTP_01;
	a->authorization.error = ACME_CONNECTION;
	strcpy(a->authorization.error_detail, "refused");
	post_account(&t, "/acme/server/chall/21/http-01", "");
	answer(&t, a);
	error = json_object_get(t.json, "error");
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(error, "type")), URN "connection");
	CU_ASSERT_STRING_EQUAL(text(&t, "status"), "invalid");
	done(&t);
	memset(a, 0, sizeof *a);
	a->parts = RA_ACME_HAS_ORDER;
	a->order.id = 11;
	a->order.state = ACME_INVALID;
	a->order.error = ACME_CONNECTION;
	strcpy(a->order.error_detail, "refused");
	strcpy(a->order.error_identifier.type, "dns");
	strcpy(a->order.error_identifier.value, "x.example");
	post_account(&t, "/acme/server/order/11", "");
	answer(&t, a);
	error = json_object_get(t.json, "error");
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(error, "type")), URN "connection");
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(json_object_get(json_array_get(json_object_get(error, "subproblems"), 0), "identifier"), "value")), "x.example");
	done(&t);
	free(a);
	end();
}

/* ra's failures, and answers that are none: never the client's fault, never an order. */
static void test_failures_of_ra__ACME_12(void)
{
	static const struct {
		enum err_kind kind;
		unsigned status;
		const char *type;
	} k[] = { { ERR_BUSY, 503, "serverInternal" }, { ERR_TIMEOUT, 503, "serverInternal" }, { ERR_STORE, 503, "serverInternal" },
		  { ERR_HSM, 503, "serverInternal" }, { ERR_PIN, 503, "serverInternal" }, { ERR_RATE, 429, "rateLimited" },
		  { ERR_DENIED, 403, "unauthorized" }, { ERR_BAD_CSR, 400, "badCSR" }, { ERR_INTERNAL, 500, "serverInternal" },
		  { ERR_LINT, 500, "serverInternal" }, { ERR_CONFIG, 500, "serverInternal" } };
	static const uint8_t cut[] = { 0, 0, 0, 9, 1 };
	const struct answer none[] = {
		{ .got = false, .err = { .kind = ERR_BUSY, .retry_after = 3, .text = "ra is away" } },
		{ .got = true, .type = RA_OK, .body = { cut, sizeof cut } },
		{ .got = true, .type = RA_FAILED, .body = { cut, sizeof cut } },
		{ .got = true, .type = RA_TRUST, .body = { cut, 0 } },
	};
	struct talk t = { 0 };

	begin();
	for (size_t i = 0; i < COUNT_OF(k); i++) {
		struct err e = { 0 };
		AUTO_BUF body = { 0 };
		struct answer a = { .got = true, .type = RA_FAILED };

		(void)!err_set(&e, k[i].kind, "the reason");
		failure_put(&body, &e);
		a.body = span_of(&body);
		post(&t, "/acme/server/new-account", "{}", &(struct sign){ .key = MAKE_P256, .jwk = true });
		take_question(&t, acme_head()->format(acme, &t.q, &a, &t.ask, &t.r));
		refused(&t, k[i].status, k[i].type);
		CU_ASSERT_EQUAL(header(&t, "Retry-After", 0)[0] != 0, k[i].status == 503 || k[i].status == 429);
		CU_ASSERT_EQUAL(strcmp(text(&t, "detail"), "the reason") == 0, k[i].status != 500);
		CU_ASSERT_TRUE(header(&t, "Replay-Nonce", 0)[0] != 0);
		done(&t);
	}
	for (size_t i = 0; i < COUNT_OF(none); i++) {
		post(&t, "/acme/server/new-account", "{}", &(struct sign){ .key = MAKE_P256, .jwk = true });
		take_question(&t, acme_head()->format(acme, &t.q, &none[i], &t.ask, &t.r));
		refused(&t, i == 0 ? 503 : 500, "serverInternal");
		done(&t);
	}
	end();
}

static void test_bad_keys__ACME_18(void)
{
	struct talk t = { 0 };
	EVP_PKEY *good = make_key(MAKE_RSA3072);

	begin();
	made_keys[MAKE_RSA3072] = EVP_RSA_gen(1024);
	post(&t, "/acme/server/new-account", "{}", &(struct sign){ .key = MAKE_RSA3072, .jwk = true });
	refused(&t, 400, "badPublicKey");
	EVP_PKEY_free(made_keys[MAKE_RSA3072]);
	made_keys[MAKE_RSA3072] = good;
	done(&t);
	for (int k = MAKE_P256; k < MAKE_KEYS; k++) {
		post(&t, "/acme/server/new-account", "{}", &(struct sign){ .key = (enum make_key)k, .jwk = true });
		CU_ASSERT_TRUE(t.asked != NULL && t.asked->op == RA_ACME_NEW_ACCOUNT);
		done(&t);
	}
	end();
}

/* --- What goes into the audit */

/* The next notice that ra hears; false when none comes. */
static bool told(struct ra_refused *r)
{
	static struct buf scratch;
	struct frame f;
	struct err e;

	while (channel_recv(peer, &scratch, &f) == CHANNEL_GOT)
		if (f.type == RA_REFUSED)
			return ra_refused_get(f.body, r, &e);
	buf_free(&scratch);
	scratch = (struct buf){ 0 };
	return false;
}

static void test_refusals_are_told__AUD_03(void)
{
	struct ra_refused *r = mem_new(sizeof *r);
	struct talk t = { 0 };
	int fd[2], n = 0;
	struct err e;

	begin();
	CU_ASSERT_TRUE_FATAL(channel_pair(fd, &e));
	peer = fd[1];
	CU_ASSERT_TRUE(channel_hello(peer, "ra", &e));
	caller_channel(ra, fd[0]);
	for (int i = 0; i < 500 && !caller_is_up(ra); i++)
		nanosleep(&(struct timespec){ 0, 10000000 }, NULL);
	CU_ASSERT_TRUE_FATAL(caller_is_up(ra));
	post(&t, "/acme/server/new-order", "{}", &(struct sign){ .key = MAKE_P256, .url = BASE "/x" });
	done(&t);
	CU_ASSERT_TRUE_FATAL(told(r));
	CU_ASSERT_STRING_EQUAL(r->what, "acme.new-order");
	CU_ASSERT_STRING_EQUAL(r->source.address, "192.0.2.9");
	CU_ASSERT_TRUE(r->kind == ERR_DENIED && strstr(r->text, "RFC 8555, 6.4") != NULL);
	post(&t, "/acme/server/order/1/finalize", "{}", &(struct sign){ .key = MAKE_P256_OTHER });
	answer_key(&t, MAKE_P256);
	done(&t);
	CU_ASSERT_TRUE_FATAL(told(r));
	CU_ASSERT_STRING_EQUAL(r->what, "acme.finalize");
	CU_ASSERT_STRING_EQUAL(r->user, "acct/7");
	/* A bad nonce is nobody's fault. */
	post(&t, "/acme/server/new-order", "{}", &(struct sign){ .key = MAKE_P256, .nonce = "AAAA" });
	done(&t);
	CU_ASSERT_FALSE(told(r));
	/* A flood is counted, not written. */
	for (int i = 0; i < 400; i++) {
		post(&t, "/acme/server/new-order", "{}", &(struct sign){ .key = MAKE_P256, .type = "text/plain" });
		done(&t);
		n += told(r);
	}
	CU_ASSERT_TRUE(n >= 48 && n < 300);
	nanosleep(&(struct timespec){ 0, 400000000 }, NULL);
	post(&t, "/acme/server/new-order", "{}", &(struct sign){ .key = MAKE_P256, .type = "text/plain" });
	done(&t);
	CU_ASSERT_TRUE_FATAL(told(r));
	CU_ASSERT_TRUE(r->kind == ERR_BAD_TYPE && strstr(r->text, " more before)") != NULL);
	free(r);
	end();
}

/* --- Over HTTP */

static void on_refused(void *arg, const struct request *q, struct response *r)
{
	(void)arg;
	acme_refused(acme, q, r);
}

/* One request on a connection of its own, the answer as text. */
static void http(const struct sockaddr_in *at, const char *request, size_t n, struct buf *out)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char chunk[4096];
	ssize_t got;

	out->n = 0;
	CU_ASSERT_EQUAL_FATAL(connect(fd, (const struct sockaddr *)at, sizeof *at), 0);
	for (size_t done_n = 0; done_n < n;) {
		got = send(fd, request + done_n, n - done_n, MSG_NOSIGNAL);
		if (got <= 0)
			break; /* it has heard enough */
		done_n += (size_t)got;
	}
	while ((got = recv(fd, chunk, sizeof chunk, 0)) > 0)
		buf_add(out, chunk, (size_t)got);
	close(fd);
	(void)buf_str(out);
}

static bool says(const struct buf *b, const char *what)
{
	return memmem(b->p, b->n, what, strlen(what)) != NULL;
}

static void test_http__ACME_02__ACME_09__ACME_10(void)
{
	const struct route routes[] = { { "/acme", acme_head(), NULL, ACME_BODY_MAX } };
	struct route mine[1];
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t n = sizeof at;
	AUTO_BUF out = { 0 };
	AUTO_BUF big = { 0 };
	struct web *web;
	struct err e;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	begin();
	mine[0] = routes[0];
	mine[0].ctx = acme;
	CU_ASSERT_TRUE_FATAL(bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 64) == 0 && getsockname(fd, (struct sockaddr *)&at, &n) == 0);
	CU_ASSERT_TRUE_FATAL(web_start(&web, &(struct web_config){ .listen_fd = fd, .routes = mine, .route_n = 1, .name = "test", .refused = on_refused }, &e));
#define ASK(text) http(&at, text, sizeof text - 1, &out)
	ASK("HEAD /acme/server/new-nonce HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
	CU_ASSERT_TRUE(says(&out, "HTTP/1.1 200 ") && says(&out, "\r\nReplay-Nonce: ") && says(&out, "\r\nCache-Control: no-store\r\n"));
	CU_ASSERT_TRUE(out.n > 4 && memcmp(out.p + out.n - 4, "\r\n\r\n", 4) == 0);
	ASK("GET /acme/server/new-nonce HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
	CU_ASSERT_TRUE(says(&out, "HTTP/1.1 204 ") && says(&out, "\r\nReplay-Nonce: "));
	/* Whatever the client calls us, URLs are the configuration's. */
	ASK("GET /acme/server/directory HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: evil.example\r\nConnection: close\r\n\r\n");
	CU_ASSERT_TRUE(says(&out, "\"newNonce\":\"" BASE "/acme/server/new-nonce\"") && !says(&out, "evil"));
	ASK("HEAD /acme/server/directory HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
	CU_ASSERT_TRUE(says(&out, "HTTP/1.1 200 ") && !says(&out, "newNonce"));
	/* 1 MiB, said beforehand and by chunks. */
	for (int chunked = 0; chunked < 2; chunked++) {
		big.n = 0;
		buf_printf(&big, "POST /acme/server/new-order HTTP/1.1\r\nHost: h\r\nContent-Type: application/jose+json\r\n%s\r\n\r\n%s",
		           chunked ? "Transfer-Encoding: chunked" : "Content-Length: 1048576", chunked ? "100000\r\n" : "");
		for (int i = 0; i < 1 << 20; i++)
			buf_byte(&big, ' ');
		if (chunked)
			buf_text(&big, "\r\n0\r\n\r\n");
		http(&at, (char *)big.p, chunked ? big.n : 120, &out);
		CU_ASSERT_TRUE(says(&out, "HTTP/1.1 413 ") && says(&out, "Content-Type: application/problem+json") && says(&out, URN "malformed"));
		CU_ASSERT_TRUE(says(&out, "\r\nReplay-Nonce: ") && says(&out, ";rel=\"index\"") && says(&out, "\r\nConnection: close"));
	}
	/* ra is away: nothing waits for it. */
	{
		struct talk t = { 0 };
		AUTO_BUF whole = { 0 };

		post(&t, "/acme/server/order/1", "", &(struct sign){ .key = MAKE_P256 });
		buf_text(&whole, "POST /acme/server/order/1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Type: application/jose+json\r\n");
		done(&t);
		char nonce[64];
		AUTO_BUF head = { 0 };
		AUTO_BUF jws = { 0 };

		fresh_nonce(nonce);
		buf_printf(&head, "{\"alg\":\"ES256\",\"nonce\":\"%s\",\"url\":\"" BASE "/acme/server/order/1\",\"kid\":\"" BASE "/acme/server/acct/7\"}", nonce);
		make_jws(&jws, buf_str(&head), "", make_key(MAKE_P256), NULL);
		buf_printf(&whole, "Content-Length: %zu\r\n\r\n%s", jws.n, buf_str(&jws));
		http(&at, (char *)whole.p, whole.n, &out);
		CU_ASSERT_TRUE(says(&out, "HTTP/1.1 503 ") && says(&out, URN "serverInternal") && says(&out, "\r\nRetry-After: 1\r\n"));
		CU_ASSERT_TRUE(says(&out, "\r\nReplay-Nonce: "));
	}
	web_stop(web, US_PER_SECOND);
	end();
	make_free();
}

static const struct cu_case table[] = {
	{ "test_directory__ACME_01__ACME_02__ACME_46", test_directory__ACME_01__ACME_02__ACME_46 },
	{ "test_new_nonce__ACME_10", test_new_nonce__ACME_10 },
	{ "test_methods__ACME_03__ACME_04", test_methods__ACME_03__ACME_04 },
	{ "test_traps__ACME_06__ACME_07__ACME_08", test_traps__ACME_06__ACME_07__ACME_08 },
	{ "test_nonces_are_used_once__ACME_09", test_nonces_are_used_once__ACME_09 },
	{ "test_signatures__ACME_06", test_signatures__ACME_06 },
	{ "test_a_key_that_was_changed__ACME_22", test_a_key_that_was_changed__ACME_22 },
	{ "test_accounts_that_are_none__ACME_21", test_accounts_that_are_none__ACME_21 },
	{ "test_conversation__ACME_40__ACME_41__ACME_16__ACME_24__ACME_28__ACME_38__ACME_39__QRK_11",
	  test_conversation__ACME_40__ACME_41__ACME_16__ACME_24__ACME_28__ACME_38__ACME_39__QRK_11 },
	{ "test_directory_by_post__ACME_03", test_directory_by_post__ACME_03 },
	{ "test_orders_list__ACME_23", test_orders_list__ACME_23 },
	{ "test_renewal_info__ACME_43", test_renewal_info__ACME_43 },
	{ "test_problems__ACME_11__ACME_12__ACME_13__ACME_14__ACME_15", test_problems__ACME_11__ACME_12__ACME_13__ACME_14__ACME_15 },
	{ "test_subproblems__ACME_25__ACME_13", test_subproblems__ACME_25__ACME_13 },
	{ "test_failures_of_ra__ACME_12", test_failures_of_ra__ACME_12 },
	{ "test_bad_keys__ACME_18", test_bad_keys__ACME_18 },
	{ "test_refusals_are_told__AUD_03", test_refusals_are_told__AUD_03 },
	{ "test_http__ACME_02__ACME_09__ACME_10", test_http__ACME_02__ACME_09__ACME_10 },
};
CU_MAIN(table)
