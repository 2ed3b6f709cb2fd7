/* SPDX-License-Identifier: Apache-2.0
 *
 * ACME in ra, between a front, a probe and a ca that the test plays: what clients may, and mostly what they may not. */
#include "tests/unit/acme_world.h"

#include <sqlite3.h>

/* --- The way through */

static void test_from_account_to_certificate__ACME_24_36_38_39(void)
{
	struct client c = registered("ehr", "dns:*.ehr.example");
	int64_t order, z;
	AUTO_BUF leaf = { 0 };
	struct cert cert, issuer;
	struct err e;

	CU_ASSERT_EQUAL_FATAL(new_order(&c, "A.ehr.example", "b.ehr.example"), ACME_OK);
	order = A->order.id;
	CU_ASSERT_EQUAL(A->order.state, ACME_PENDING);
	CU_ASSERT_EQUAL(A->order.identifier_n, 2);
	CU_ASSERT_STRING_EQUAL(A->order.identifier[0].value, "a.ehr.example");
	CU_ASSERT_STRING_EQUAL(A->order.profile, "server");
	CU_ASSERT_EQUAL(A->order.expires, box_time + config.acme_order_lifetime);
	CU_ASSERT_FALSE(A->order.certificate);
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(ask_id(RA_ACME_ORDER, &c, order), ACME_OK);
		z = A->order.authorization[i];
		CU_ASSERT_EQUAL(ask_id(RA_ACME_AUTHORIZATION, &c, z), ACME_OK);
		CU_ASSERT_EQUAL(A->authorization.state, ACME_PENDING);
		CU_ASSERT_EQUAL(A->authorization.methods, 1 << ACME_HTTP_01 | 1 << ACME_DNS_01 | 1 << ACME_TLS_ALPN_01);
		CU_ASSERT_EQUAL(strlen(A->authorization.token), 22);
		CU_ASSERT_EQUAL(start(&c, z, ACME_HTTP_01), ACME_OK);
		CU_ASSERT_EQUAL(A->authorization.state, ACME_VALID);
		CU_ASSERT_EQUAL(A->authorization.challenge_state, ACME_VALID);
		CU_ASSERT_EQUAL(A->authorization.validated, box_time);
	}
	CU_ASSERT_EQUAL(order_state(&c, order), ACME_READY);
	CU_ASSERT_EQUAL(finalize(&c, order, "DNS:b.ehr.example,DNS:A.EHR.example"), ACME_OK);
	CU_ASSERT_EQUAL(A->order.state, ACME_VALID);
	CU_ASSERT_TRUE(A->order.certificate);
	CU_ASSERT_EQUAL(ask_id(RA_ACME_CERTIFICATE, &c, order), ACME_OK);
	/* Leaf first, the next certifies it, no root. */
	CU_ASSERT_EQUAL(A->chain_n, 2);
	CU_ASSERT_EQUAL(A->alternates, 1);
	CU_ASSERT_TRUE(cert_parse(&cert, A->chain[0].p, A->chain[0].n, &e));
	CU_ASSERT_TRUE(cert_parse(&issuer, A->chain[1].p, A->chain[1].n, &e));
	CU_ASSERT_TRUE(cert_verify_by(&cert, &issuer.key, &e));
	CU_ASSERT_FALSE(span_equal(issuer.subject, issuer.issuer));
	CU_ASSERT_EQUAL(cert.san.n, 2);
	CU_ASSERT_EQUAL(audited("acme.validate", "evidence\":\"dns=192.0.2.7"), 2);
	CU_ASSERT_EQUAL(audited("cert.issue", "\"auth\":\"acme\""), 1);
	client_free(&c);
}

static void test_the_other_chain_has_the_root__ACME_40(void)
{
	struct client c = registered("alternate", "dns:alternate.example");
	int64_t order = ready_order(&c, "alternate.example", NULL);
	struct cert cert;
	struct err e;

	CU_ASSERT_EQUAL(finalize(&c, order, "DNS:alternate.example"), ACME_OK);
	question(RA_ACME_CERTIFICATE, &c, false);
	Q->id = order;
	Q->alternate = 1;
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_OK);
	CU_ASSERT_EQUAL(A->chain_n, 3);
	CU_ASSERT_TRUE(cert_parse(&cert, A->chain[2].p, A->chain[2].n, &e) && span_equal(cert.subject, cert.issuer));
	Q->alternate = 2;
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_NOT_FOUND);
	client_free(&c);
}

/* --- Accounts */

static void test_an_account_needs_a_binding__ACME_19(void)
{
	struct client c = client_new("server"), other = client_new("web");
	struct eab k, once;

	CU_ASSERT_EQUAL_FATAL(eab_add("bound", "dns:bound.example", NULL, NULL, 0, &k), ERR_NONE);
	CU_ASSERT_EQUAL(strlen(k.text), 43);
	CU_ASSERT_EQUAL(new_account(&c, NULL), ACME_EXTERNAL_ACCOUNT_REQUIRED);
	/* A wrong MAC, a wrong kid, MACs of other lengths. */
	question(RA_ACME_NEW_ACCOUNT, &c, true);
	bind_to(&k, 256);
	mac_room[31] ^= 1;
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_UNAUTHORIZED);
	bind_to(&k, 256);
	Q->eab.bits = 384;
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_UNAUTHORIZED);
	bind_to(&k, 256);
	Q->eab.mac.n = 16;
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_UNAUTHORIZED);
	bind_to(&k, 256);
	Q->eab.mac.n = 0;
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_UNAUTHORIZED);
	bind_to(&k, 256);
	Q->eab.bits = 1;
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_UNAUTHORIZED);
	bind_to(&k, 256);
	Q->eab.kid[0] ^= 1;
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_UNAUTHORIZED);
	/* Another directory's key. */
	CU_ASSERT_EQUAL(new_account(&other, &k), ACME_UNAUTHORIZED);
	CU_ASSERT_PTR_NOT_NULL(strstr(A->detail, "directory"));
	/* As often as it may. */
	CU_ASSERT_EQUAL_FATAL(eab_add("once", NULL, NULL, NULL, 1, &once), ERR_NONE);
	CU_ASSERT_EQUAL(new_account(&c, &once), ACME_OK);
	CU_ASSERT_TRUE(A->created && A->of.eab);
	client_key(&c, EVP_EC_gen("P-256"));
	CU_ASSERT_EQUAL(new_account(&c, &once), ACME_UNAUTHORIZED);
	CU_ASSERT_PTR_NOT_NULL(strstr(A->detail, "as many"));
	/* As long as it may: it was made for 30 days. */
	later(31 * US_PER_DAY);
	CU_ASSERT_EQUAL(new_account(&c, &k), ACME_UNAUTHORIZED);
	CU_ASSERT_PTR_NOT_NULL(strstr(A->detail, "expired"));
	CU_ASSERT_EQUAL(audited("acme.account.new", "\"outcome\":\"refused\"") >= 8, true);
	client_free(&c);
	client_free(&other);
}

static void test_every_mac_of_the_standard__ACME_19(void)
{
	static const unsigned bits[] = { 256, 384, 512 };
	struct eab k;

	CU_ASSERT_EQUAL_FATAL(eab_add("macs", NULL, NULL, NULL, 0, &k), ERR_NONE);
	for (int i = 0; i < 3; i++) {
		struct client c = client_new("server");

		question(RA_ACME_NEW_ACCOUNT, &c, true);
		bind_to(&k, bits[i]);
		CU_ASSERT_EQUAL(ask_ra(Q), ACME_OK);
		client_free(&c);
	}
}

static void test_a_disabled_key_voids_its_accounts__ACME_19_21(void)
{
	struct client c = client_new("server");
	struct eab k;
	AUTO_BUF args = { 0 };

	CU_ASSERT_EQUAL_FATAL(eab_add("voided", "dns:voided.example", NULL, NULL, 0, &k), ERR_NONE);
	CU_ASSERT_EQUAL(eab_add("voided", NULL, NULL, NULL, 0, &k), ERR_EXISTS);
	CU_ASSERT_EQUAL(new_account(&c, &k), ACME_OK);
	CU_ASSERT_EQUAL(new_order(&c, "voided.example", NULL), ACME_OK);
	record_text(&args, "name", k.kid); /* by its kid as well */
	CU_ASSERT_EQUAL(officer("acme.eab.disable", &args), ERR_NONE);
	CU_ASSERT_EQUAL(record_get_int(row_at(0), "accounts", -1), 1);
	CU_ASSERT_EQUAL(new_order(&c, "voided.example", NULL), ACME_ACCOUNT_DEAD);
	CU_ASSERT_EQUAL(new_account(&c, NULL), ACME_ACCOUNT_DEAD);
	client_key(&c, EVP_EC_gen("P-256"));
	CU_ASSERT_EQUAL(new_account(&c, &k), ACME_UNAUTHORIZED);
	/* It comes back with a new key and other names; the old account does not. */
	CU_ASSERT_EQUAL(eab_add("voided", "dns:other.example", NULL, NULL, 0, &k), ERR_NONE);
	CU_ASSERT_EQUAL(new_account(&c, &k), ACME_OK);
	CU_ASSERT_EQUAL(new_order(&c, "voided.example", NULL), ACME_REJECTED_IDENTIFIER);
	CU_ASSERT_EQUAL(new_order(&c, "other.example", NULL), ACME_OK);
	client_free(&c);
}

static void test_a_known_key_is_answered_first__ACME_16(void)
{
	struct client c = registered("known", NULL), stranger = client_new("server");
	int64_t account = c.account;

	/* No binding, no terms: there already. */
	strcpy(config.acme_terms, "https://hedwig.example/terms");
	question(RA_ACME_NEW_ACCOUNT, &c, true);
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_OK);
	CU_ASSERT_EQUAL(A->account, account);
	CU_ASSERT_FALSE(A->created);
	Q->only_existing = true;
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_OK);
	question(RA_ACME_NEW_ACCOUNT, &stranger, true);
	Q->only_existing = true;
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_ACCOUNT_DOES_NOT_EXIST);
	strcpy(config.acme_terms, "none");
	/* The same key is a stranger in another directory, and there is no third. */
	question(RA_ACME_NEW_ACCOUNT, &c, true);
	Q->only_existing = true;
	strcpy(Q->realm, "web");
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_ACCOUNT_DOES_NOT_EXIST);
	strcpy(Q->realm, "device");
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_NOT_FOUND);
	client_free(&c);
	client_free(&stranger);
}

static void test_terms_are_agreed_to_and_again__ACME_15(void)
{
	struct client c = client_new("server");
	struct eab k;

	CU_ASSERT_EQUAL_FATAL(eab_add("terms", "dns:terms.example", NULL, NULL, 0, &k), ERR_NONE);
	strcpy(config.acme_terms, "https://hedwig.example/1");
	question(RA_ACME_NEW_ACCOUNT, &c, true);
	bind_to(&k, 256);
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_USER_ACTION_REQUIRED);
	CU_ASSERT_EQUAL(new_account(&c, &k), ACME_OK);
	CU_ASSERT_TRUE(A->of.terms_agreed);
	CU_ASSERT_EQUAL(new_order(&c, "terms.example", NULL), ACME_OK);
	strcpy(config.acme_terms, "https://hedwig.example/2");
	CU_ASSERT_EQUAL(new_order(&c, "terms.example", NULL), ACME_USER_ACTION_REQUIRED);
	question(RA_ACME_CONTACTS, &c, false);
	Q->terms_agreed = true;
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_OK);
	CU_ASSERT_EQUAL(new_order(&c, "terms.example", NULL), ACME_OK);
	strcpy(config.acme_terms, "none");
	client_free(&c);
}

static void test_what_an_account_shows__ACME_17(void)
{
	struct client c = registered("shows", NULL);

	CU_ASSERT_EQUAL(ask_id(RA_ACME_ACCOUNT, &c, 0), ACME_OK);
	CU_ASSERT_EQUAL(A->of.state, ACME_VALID);
	CU_ASSERT_EQUAL(A->of.contact_n, 1);
	CU_ASSERT_STRING_EQUAL(A->of.contact[0], "mailto:it@hedwig.example");
	question(RA_ACME_CONTACTS, &c, false);
	Q->contact_n = 2;
	strcpy(Q->contact[0], "mailto:a@hedwig.example");
	strcpy(Q->contact[1], "mailto:b@hedwig.example");
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_OK);
	CU_ASSERT_EQUAL(ask_id(RA_ACME_ACCOUNT, &c, 0), ACME_OK);
	CU_ASSERT_EQUAL(A->of.contact_n, 2);
	CU_ASSERT_STRING_EQUAL(A->of.contact[1], "mailto:b@hedwig.example");
	question(RA_ACME_CONTACTS, &c, false);
	Q->contact_n = 1;
	strcpy(Q->contact[0], "mailto:a@x\nmailto:b@x");
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_INVALID_CONTACT);
	question(RA_ACME_CONTACTS, &c, false);
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_OK);
	CU_ASSERT_EQUAL(A->of.contact_n, 0);
	question(RA_ACME_KEY, &c, false);
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_OK);
	CU_ASSERT_TRUE(span_equal(A->of.key, span_of(&c.spki)) && memcmp(A->of.thumbprint, c.thumbprint, 32) == 0);
	client_free(&c);
}

static void test_keys_that_no_account_has__ACME_18(void)
{
	struct client c = registered("keys", "dns:keys.example"), n = client_new("server");
	AUTO(EVP_PKEY) *key = EVP_EC_gen("P-256");
	AUTO_BUF csr = { 0 };
	AUTO_BUF leaf = { 0 };
	int64_t order = ready_order(&c, "keys.example", NULL);
	struct eab k;

	CU_ASSERT_EQUAL_FATAL(eab_add("weak", NULL, NULL, NULL, 0, &k), ERR_NONE);
	client_key(&n, EVP_RSA_gen(1024));
	CU_ASSERT_EQUAL(new_account(&n, &k), ACME_BAD_PUBLIC_KEY);
	client_key(&n, EVP_EC_gen("P-224"));
	CU_ASSERT_EQUAL(new_account(&n, &k), ACME_BAD_PUBLIC_KEY);
	/* A certificate's. */
	make_csr(key, NULL, "DNS:keys.example", 0, NULL, &csr);
	finalize_question(&c, order, &csr);
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_OK);
	EVP_PKEY_up_ref(key);
	client_key(&n, key);
	CU_ASSERT_EQUAL(new_account(&n, &k), ACME_BAD_PUBLIC_KEY);
	question(RA_ACME_KEY_CHANGE, &c, false);
	Q->key = span_of(&n.spki);
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_BAD_PUBLIC_KEY);
	/* One that others know: its certificate was revoked for that. */
	leaf_of(&c, order, &leaf);
	question(RA_ACME_REVOKE, &c, false);
	Q->certificate = span_of(&leaf);
	Q->reason = REASON_KEY_COMPROMISE;
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_OK);
	CU_ASSERT_EQUAL(new_account(&n, &k), ACME_BAD_PUBLIC_KEY);
	CU_ASSERT_PTR_NOT_NULL(strstr(A->detail, "compromised"));
	/* No key at all. */
	question(RA_ACME_NEW_ACCOUNT, &c, true);
	Q->key = (struct span){ NULL, 0 };
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_BAD_PUBLIC_KEY);
	client_key(&n, EVP_RSA_gen(2048));
	CU_ASSERT_EQUAL(new_account(&n, &k), ACME_OK);
	client_free(&c);
	client_free(&n);
}

/* A key with the structure of CVE-2017-15361 is refused as an account's as it is as a certificate's: the same function. */
static void test_an_account_that_has_ended_does_nothing__ACME_21(void)
{
	static const enum ra_acme_op ops[] = { RA_ACME_ACCOUNT, RA_ACME_CONTACTS, RA_ACME_DEACTIVATE, RA_ACME_ORDERS, RA_ACME_NEW_ORDER, RA_ACME_ORDER,
		                               RA_ACME_AUTHORIZATION, RA_ACME_AUTHORIZATION_END, RA_ACME_CHALLENGE, RA_ACME_CHALLENGE_START,
		                               RA_ACME_FINALIZE, RA_ACME_CERTIFICATE, RA_ACME_KEY_CHANGE, RA_ACME_REVOKE };
	struct client c = registered("ended", "dns:ended.example"), d = registered("ended2", NULL);
	AUTO_BUF args = { 0 };
	unsigned before;
	int64_t z;

	CU_ASSERT_EQUAL(new_order(&c, "ended.example", NULL), ACME_OK);
	z = A->order.authorization[0];
	/* A validation that is under way comes to nothing. */
	probe_silent = true;
	question(RA_ACME_CHALLENGE_START, &c, false);
	Q->id = z;
	Q->method = ACME_HTTP_01;
	(void)begin_ask(Q);
	turns(2);
	CU_ASSERT_EQUAL(ask_id(RA_ACME_DEACTIVATE, &c, 0), ACME_OK);
	CU_ASSERT_EQUAL(A->of.state, ACME_DEACTIVATED);
	probe_silent = false;
	before = audited("acme.validate", "");
	turns(4);
	CU_ASSERT_EQUAL(audited("acme.validate", ""), before);
	for (size_t i = 0; i < COUNT_OF(ops); i++) {
		question(ops[i], &c, false);
		Q->id = z;
		Q->method = ACME_HTTP_01;
		CU_ASSERT_EQUAL(ask_ra(Q), ACME_ACCOUNT_DEAD);
		Q->account = 99999;
		CU_ASSERT_EQUAL(ask_ra(Q), ACME_ACCOUNT_DOES_NOT_EXIST);
	}
	question(RA_ACME_KEY, &c, false);
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_OK); /* whose signature it is can still be checked */
	CU_ASSERT_EQUAL(A->of.state, ACME_DEACTIVATED);
	/* By an officer. */
	record_int(&args, "id", d.account);
	CU_ASSERT_EQUAL(officer("acme.account.disable", &args), ERR_NONE);
	CU_ASSERT_EQUAL(officer("acme.account.disable", &args), ERR_CONFLICT);
	CU_ASSERT_EQUAL(ask_id(RA_ACME_ACCOUNT, &d, 0), ACME_ACCOUNT_DEAD);
	CU_ASSERT_PTR_NOT_NULL(strstr(A->detail, "revoked"));
	client_free(&c);
	client_free(&d);
}

static void test_whose_key_signed__ACME_21(void)
{
	struct client c = registered("whose", NULL);

	question(RA_ACME_ACCOUNT, &c, false);
	Q->thumbprint[5] ^= 1;
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_UNAUTHORIZED);
	CU_ASSERT_STRING_EQUAL(A->detail, ACME_STALE_KEY);
	/* An account of another directory is no account here. */
	question(RA_ACME_ACCOUNT, &c, false);
	strcpy(Q->realm, "web");
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_ACCOUNT_DOES_NOT_EXIST);
	question(RA_ACME_KEY, &c, false);
	strcpy(Q->realm, "web");
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_ACCOUNT_DOES_NOT_EXIST);
	client_free(&c);
}

static void test_a_key_is_changed__ACME_22(void)
{
	struct client c = registered("change", NULL), other = registered("change2", NULL), n = client_new("server");

	question(RA_ACME_KEY_CHANGE, &c, false);
	Q->key = span_of(&other.spki);
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_CONFLICT);
	CU_ASSERT_EQUAL(A->account, other.account);
	question(RA_ACME_KEY_CHANGE, &c, false);
	Q->key = span_of(&c.spki);
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_CONFLICT);
	CU_ASSERT_EQUAL(A->account, c.account);
	question(RA_ACME_KEY_CHANGE, &c, false);
	Q->key = span_of(&n.spki);
	memcpy(Q->new_thumbprint, n.thumbprint, 32);
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_OK);
	/* The old one is nobody's, the new one the account's. */
	CU_ASSERT_EQUAL(ask_id(RA_ACME_ACCOUNT, &c, 0), ACME_UNAUTHORIZED);
	n.account = c.account;
	CU_ASSERT_EQUAL(ask_id(RA_ACME_ACCOUNT, &n, 0), ACME_OK);
	question(RA_ACME_NEW_ACCOUNT, &c, true);
	Q->only_existing = true;
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_ACCOUNT_DOES_NOT_EXIST);
	CU_ASSERT_EQUAL(audited("acme.account.key", "success") >= 1, true);
	client_free(&c);
	client_free(&other);
	client_free(&n);
}

static void test_without_binding_an_account_is_its_own__ACME_19(void)
{
	struct client c = client_new("server");
	struct eab k;
	AUTO_BUF args = { 0 };
	char name[64];

	strcpy(config.acme_eab, "optional");
	CU_ASSERT_EQUAL(new_account(&c, NULL), ACME_OK);
	CU_ASSERT_FALSE(A->of.eab);
	CU_ASSERT_EQUAL(new_order(&c, "anything.example", NULL), ACME_OK); /* what it can prove */
	/* A binding that is given counts all the same. */
	CU_ASSERT_EQUAL(eab_add("optional", NULL, NULL, NULL, 0, &k), ERR_NONE);
	client_key(&c, EVP_EC_gen("P-256"));
	k.key[3] ^= 1;
	CU_ASSERT_EQUAL(new_account(&c, &k), ACME_UNAUTHORIZED);
	strcpy(config.acme_eab, "required");
	CU_ASSERT_EQUAL(officer("acme.account.list", &args), ERR_NONE);
	CU_ASSERT_TRUE(record_get_text(row_at(rows.n - 1), "name", name, sizeof name));
	CU_ASSERT_EQUAL(strncmp(name, "acme-", 5), 0);
	client_free(&c);
}

/* --- Orders */

static void test_names_that_are_refused__ACME_20_25(void)
{
	static const struct {
		const char *type, *value;
		enum acme_problem p;
	} t[] = {
		{ "dns", "a.elsewhere.example", ACME_REJECTED_IDENTIFIER }, { "dns", "names.example", ACME_REJECTED_IDENTIFIER },
		{ "dns", "*.elsewhere.example", ACME_REJECTED_IDENTIFIER }, { "dns", "a_b.names.example", ACME_MALFORMED },
		{ "dns", "", ACME_MALFORMED }, { "dns", "*", ACME_MALFORMED }, { "dns", "a.*.names.example", ACME_MALFORMED },
		{ "dns", "a..names.example", ACME_MALFORMED }, { "dns", "a.names.example.", ACME_MALFORMED }, { "dns", "192.0.2.1", ACME_MALFORMED },
		{ "dns", "-a.names.example", ACME_MALFORMED }, { "ip", "192.0.2.2", ACME_REJECTED_IDENTIFIER },
		{ "ip", "192.0.2.01", ACME_MALFORMED }, { "ip", "2001:DB8::1", ACME_MALFORMED }, { "ip", "2001:db8:0::1", ACME_MALFORMED },
		{ "ip", "a.names.example", ACME_MALFORMED }, { "email", "a@names.example", ACME_UNSUPPORTED_IDENTIFIER },
		{ "permanent-identifier", "7", ACME_UNSUPPORTED_IDENTIFIER }, { "", "x", ACME_UNSUPPORTED_IDENTIFIER },
	};
	struct client c = registered("names", "dns:*.names.example");

	for (size_t i = 0; i < COUNT_OF(t); i++) {
		question(RA_ACME_NEW_ORDER, &c, false);
		add_identifier("dns", "good.names.example");
		add_identifier(t[i].type, t[i].value);
		CU_ASSERT_EQUAL(ask_ra(Q), t[i].p);
		CU_ASSERT_EQUAL(A->sub_n, 1);
		CU_ASSERT_STRING_EQUAL(A->sub[0].identifier.value, t[i].value);
		CU_ASSERT_EQUAL(A->sub[0].problem, t[i].p);
		if (A->problem != t[i].p)
			printf("%s:%s: %d %s\n", t[i].type, t[i].value, A->problem, A->detail);
	}
	question(RA_ACME_NEW_ORDER, &c, false);
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_MALFORMED);
	/* What is said helps: the dot at the end is no address, and a long name does not push the advice out. */
	CU_ASSERT_EQUAL(new_order(&c, "a.names.example.", NULL), ACME_MALFORMED);
	CU_ASSERT_PTR_NOT_NULL(strstr(A->sub[0].detail, "no dot at the end"));
	CU_ASSERT_PTR_NULL(strstr(A->sub[0].detail, "address"));
	CU_ASSERT_EQUAL(new_order(&c, "b\xc3\xbc" "cher.names.example", NULL), ACME_MALFORMED);
	CU_ASSERT_PTR_NOT_NULL(strstr(A->sub[0].detail, "xn--"));
	CU_ASSERT_EQUAL(new_order(&c, "192.0.2.1", NULL), ACME_MALFORMED);
	CU_ASSERT_PTR_NOT_NULL(strstr(A->sub[0].detail, "type ip"));
	client_free(&c);
}

static void test_several_bad_names_are_one_problem__ACME_25(void)
{
	struct client c = registered("several", "dns:*.several.example");

	question(RA_ACME_NEW_ORDER, &c, false);
	add_identifier("dns", "good.several.example");
	add_identifier("dns", "bad.example");
	add_identifier("dns", "worse.example");
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_REJECTED_IDENTIFIER);
	CU_ASSERT_EQUAL(A->sub_n, 2);
	CU_ASSERT_STRING_EQUAL(A->sub[1].identifier.value, "worse.example");
	add_identifier("dns", "not_a_name");
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_COMPOUND);
	CU_ASSERT_EQUAL(A->sub_n, 3);
	CU_ASSERT_EQUAL(A->sub[2].problem, ACME_MALFORMED);
	/* Nothing was made. */
	CU_ASSERT_EQUAL(ask_id(RA_ACME_ORDERS, &c, 0), ACME_OK);
	CU_ASSERT_EQUAL(A->list_n, 0);
	client_free(&c);
}

static void test_the_same_name_twice_is_one__ACME_24(void)
{
	struct client c = registered("folded", "dns:*.folded.example");

	question(RA_ACME_NEW_ORDER, &c, false);
	for (int i = 0; i < 100; i++)
		add_identifier("dns", i % 2 == 0 ? "a.folded.example" : "A.Folded.example");
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_OK);
	CU_ASSERT_EQUAL(A->order.identifier_n, 1);
	question(RA_ACME_NEW_ORDER, &c, false);
	add_identifier("dns", "a.folded.example");
	Q->not_after = box_time + US_PER_DAY;
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_MALFORMED);
	Q->not_after = 0;
	Q->not_before = box_time;
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_MALFORMED);
	client_free(&c);
}

static void test_a_hundred_names__ACME_24(void)
{
	struct client c = registered("hundred", "dns:*.hundred.example");
	AUTO_BUF san = { 0 };
	int64_t order, z[100];
	char name[64];

	question(RA_ACME_NEW_ORDER, &c, false);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "n%d.hundred.example", i);
		add_identifier("dns", name);
		buf_printf(&san, "%sDNS:%s", i != 0 ? "," : "", name);
	}
	CU_ASSERT_EQUAL_FATAL(ask_ra(Q), ACME_OK);
	CU_ASSERT_EQUAL(A->order.authorization_n, 100);
	order = A->order.id;
	memcpy(z, A->order.authorization, sizeof z);
	for (int i = 0; i < 100; i++) {
		CU_ASSERT_EQUAL(order_state(&c, order), ACME_PENDING);
		CU_ASSERT_EQUAL(start(&c, z[i], ACME_HTTP_01), ACME_OK);
	}
	CU_ASSERT_EQUAL(order_state(&c, order), ACME_READY);
	CU_ASSERT_EQUAL(finalize(&c, order, buf_str(&san)), ACME_OK);
	CU_ASSERT_EQUAL(A->order.state, ACME_VALID);
	client_free(&c);
}

static void test_which_challenges_are_offered__ACME_34_35(void)
{
	struct client c = registered("offered", "dns:*.offered.example"), i;
	struct eab k;
	int64_t z;

	CU_ASSERT_EQUAL_FATAL(new_order(&c, "*.offered.example", NULL), ACME_OK);
	CU_ASSERT_STRING_EQUAL(A->order.identifier[0].value, "*.offered.example");
	z = A->order.authorization[0];
	CU_ASSERT_EQUAL(ask_id(RA_ACME_AUTHORIZATION, &c, z), ACME_OK);
	CU_ASSERT_TRUE(A->authorization.wildcard);
	CU_ASSERT_STRING_EQUAL(A->authorization.identifier.value, "offered.example");
	CU_ASSERT_EQUAL(A->authorization.methods, 1 << ACME_DNS_01);
	CU_ASSERT_EQUAL(start(&c, z, ACME_HTTP_01), ACME_NOT_FOUND);
	CU_ASSERT_EQUAL(start(&c, z, ACME_TLS_ALPN_01), ACME_NOT_FOUND);
	CU_ASSERT_EQUAL(start(&c, z, (enum acme_method)0), ACME_NOT_FOUND);
	CU_ASSERT_EQUAL(start(&c, z, ACME_DNS_01), ACME_OK);
	CU_ASSERT_STRING_EQUAL(last_ask.name, "offered.example");
	CU_ASSERT_TRUE(last_ask.wildcard);
	CU_ASSERT_EQUAL(last_ask.method, PROBE_DNS_01);
	/* That was the wildcard: the name without it is another one. */
	CU_ASSERT_EQUAL(new_order(&c, "x.offered.example", NULL), ACME_OK);
	CU_ASSERT_EQUAL(A->order.state, ACME_PENDING);
	i = client_new("server");
	CU_ASSERT_EQUAL_FATAL(eab_add("addresses", "ip:2001:db8::7", NULL, NULL, 0, &k), ERR_NONE);
	CU_ASSERT_EQUAL_FATAL(new_account(&i, &k), ACME_OK);
	question(RA_ACME_NEW_ORDER, &i, false);
	add_identifier("ip", "2001:db8::7");
	CU_ASSERT_EQUAL_FATAL(ask_ra(Q), ACME_OK);
	z = A->order.authorization[0];
	CU_ASSERT_EQUAL(start(&i, z, ACME_DNS_01), ACME_NOT_FOUND);
	CU_ASSERT_EQUAL(start(&i, z, ACME_TLS_ALPN_01), ACME_OK);
	CU_ASSERT_TRUE(last_ask.ip);
	CU_ASSERT_STRING_EQUAL(last_ask.name, "2001:db8::7");
	client_free(&c);
	client_free(&i);
}

static void test_what_probe_is_asked__ACME_50(void)
{
	struct client c = registered("asked", "dns:*.asked.example");
	AUTO_BUF want = { 0 };
	char uri[128];
	int64_t z;

	CU_ASSERT_EQUAL_FATAL(new_order(&c, "a.asked.example", "b.asked.example"), ACME_OK);
	z = A->order.authorization[0];
	CU_ASSERT_EQUAL(start(&c, z, ACME_HTTP_01), ACME_OK);
	CU_ASSERT_FALSE(last_ask.caa);
	CU_ASSERT_STRING_EQUAL(last_ask.token, A->authorization.token);
	buf_printf(&want, "%s.", last_ask.token);
	b64url_put(&want, c.thumbprint, 32);
	CU_ASSERT_STRING_EQUAL(last_ask.key_authorization, buf_str(&want));
	strcpy(config.acme_caa, "on");
	CU_ASSERT_EQUAL(new_order(&c, "c.asked.example", NULL), ACME_OK);
	CU_ASSERT_EQUAL(start(&c, A->order.authorization[0], ACME_HTTP_01), ACME_OK);
	CU_ASSERT_TRUE(last_ask.caa);
	snprintf(uri, sizeof uri, "/%lld", (long long)c.account);
	CU_ASSERT_EQUAL(strncmp(last_ask.account_uri, "https://localhost:1/acme/server/", 32), 0);
	CU_ASSERT_STRING_EQUAL(last_ask.account_uri + strlen(last_ask.account_uri) - strlen(uri), uri);
	strcpy(config.acme_caa, "off");
	client_free(&c);
}

static void test_a_valid_authorization_serves_again__ACME_53(void)
{
	struct client c = registered("again", "dns:*.again.example"), d = registered("again2", "dns:*.again.example");
	int64_t order = ready_order(&c, "a.again.example", NULL);

	/* Of the same account and name alone. */
	CU_ASSERT_EQUAL(new_order(&c, "a.again.example", NULL), ACME_OK);
	CU_ASSERT_EQUAL(A->order.state, ACME_READY);
	CU_ASSERT_TRUE(A->order.id != order);
	CU_ASSERT_EQUAL(new_order(&c, "*.again.example", NULL), ACME_OK);
	CU_ASSERT_EQUAL(A->order.state, ACME_PENDING);
	CU_ASSERT_EQUAL(new_order(&d, "a.again.example", NULL), ACME_OK);
	CU_ASSERT_EQUAL(A->order.state, ACME_PENDING);
	CU_ASSERT_EQUAL(new_order(&c, "a.again.example", "b.again.example"), ACME_OK);
	CU_ASSERT_EQUAL(A->order.state, ACME_PENDING);
	later(config.acme_authorization_lifetime + US_PER_SECOND);
	CU_ASSERT_EQUAL(new_order(&c, "a.again.example", NULL), ACME_OK);
	CU_ASSERT_EQUAL(A->order.state, ACME_PENDING);
	/* An order that counted on it does not outlive it. */
	CU_ASSERT_EQUAL(finalize(&c, order, "DNS:a.again.example"), ACME_ORDER_NOT_READY);
	client_free(&c);
	client_free(&d);
}

static void test_nobody_reads_what_is_anothers__ACME_39(void)
{
	struct client c = registered("mine", "dns:mine.example"), other = registered("other", "dns:mine.example");
	static const enum ra_acme_op ops[] = { RA_ACME_ORDER, RA_ACME_FINALIZE, RA_ACME_CERTIFICATE };
	static const enum ra_acme_op z_ops[] = { RA_ACME_AUTHORIZATION, RA_ACME_AUTHORIZATION_END, RA_ACME_CHALLENGE, RA_ACME_CHALLENGE_START };
	int64_t order = ready_order(&c, "mine.example", NULL), z = A->order.authorization[0];

	for (size_t i = 0; i < COUNT_OF(ops); i++) {
		CU_ASSERT_EQUAL(ask_id(ops[i], &other, order), ACME_UNAUTHORIZED);
		CU_ASSERT_EQUAL(ask_id(ops[i], &other, order + 100000), ACME_NOT_FOUND);
	}
	for (size_t i = 0; i < COUNT_OF(z_ops); i++) {
		question(z_ops[i], &other, false);
		Q->id = z;
		Q->method = ACME_HTTP_01;
		CU_ASSERT_EQUAL(ask_ra(Q), ACME_UNAUTHORIZED);
		Q->id = z + 100000;
		CU_ASSERT_EQUAL(ask_ra(Q), ACME_NOT_FOUND);
	}
	CU_ASSERT_EQUAL(ask_id(RA_ACME_ORDERS, &other, 0), ACME_OK);
	CU_ASSERT_EQUAL(A->list_n, 0);
	CU_ASSERT_EQUAL(authorization_state(&c, z), ACME_VALID);
	client_free(&c);
	client_free(&other);
}

static void test_two_hundred_and_fifty_orders__ACME_23(void)
{
	struct client c = registered("list", "dns:*.list.example");
	int64_t last = INT64_MAX, cursor = 0;
	unsigned seen = 0, pages = 0;
	char name[64];

	for (int i = 0; i < 250; i++) {
		snprintf(name, sizeof name, "%s%d.list.example", i % 10 == 0 ? "bad-" : "n", i);
		CU_ASSERT_EQUAL_FATAL(new_order(&c, name, NULL), ACME_OK);
		if (i % 10 == 0)
			CU_ASSERT_EQUAL(start(&c, A->order.authorization[0], ACME_HTTP_01), ACME_OK);
	}
	do {
		question(RA_ACME_ORDERS, &c, false);
		Q->cursor = cursor;
		CU_ASSERT_EQUAL_FATAL(ask_ra(Q), ACME_OK);
		CU_ASSERT_TRUE(A->list_n <= 100);
		for (uint32_t i = 0; i < A->list_n; i++) {
			CU_ASSERT_TRUE(A->list[i] < last);
			last = A->list[i];
		}
		seen += A->list_n;
		cursor = A->next;
		pages++;
	} while (cursor != 0 && pages < 9);
	CU_ASSERT_EQUAL(seen, 225);
	CU_ASSERT_EQUAL(pages, 3);
	client_free(&c);
}

static void test_profiles_that_an_order_asks__ACME_46(void)
{
	struct client c = client_new("server");
	int64_t order;
	struct eab k;
	struct err e;

	CU_ASSERT_EQUAL(eab_add("profiles", "dns:*.profiles.example", "nothing", NULL, 0, &k), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(eab_add("profiles", "dns:*.profiles.example", "device", NULL, 0, &k), ERR_POLICY);
	CU_ASSERT_EQUAL_FATAL(eab_add("profiles", "dns:*.profiles.example", "server", "web", 0, &k), ERR_NONE);
	CU_ASSERT_EQUAL_FATAL(new_account(&c, &k), ACME_OK);
	question(RA_ACME_NEW_ORDER, &c, false);
	add_identifier("dns", "a.profiles.example");
	strcpy(Q->profile, "nothing");
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_INVALID_PROFILE);
	strcpy(Q->profile, "device"); /* there, and no door */
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_INVALID_PROFILE);
	strcpy(Q->profile, "web");
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_OK);
	CU_ASSERT_STRING_EQUAL(A->order.profile, "web");
	/* web takes no wildcards. */
	question(RA_ACME_NEW_ORDER, &c, false);
	add_identifier("dns", "*.profiles.example");
	strcpy(Q->profile, "web");
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_REJECTED_IDENTIFIER);
	/* Withdrawn between the order and its end. */
	question(RA_ACME_NEW_ORDER, &c, false);
	add_identifier("dns", "b.profiles.example");
	strcpy(Q->profile, "web");
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_OK);
	order = A->order.id;
	CU_ASSERT_EQUAL(start(&c, A->order.authorization[0], ACME_HTTP_01), ACME_OK);
	write_second("officer");
	uint8_t digest[32] = { 0 };
	ra_reload(ra, &config, digest, box_time);
	settle();
	turns(4);
	CU_ASSERT_EQUAL(finalize(&c, order, "DNS:b.profiles.example"), ACME_INVALID_PROFILE);
	CU_ASSERT_EQUAL(order_state(&c, order), ACME_INVALID);
	CU_ASSERT_EQUAL(A->order.error, ACME_INVALID_PROFILE);
	write_second("acme");
	ra_reload(ra, &config, digest, box_time);
	settle();
	turns(4);
	/* A binding that names one allows one. */
	client_key(&c, EVP_EC_gen("P-256"));
	CU_ASSERT_EQUAL_FATAL(eab_add("profiles1", "dns:*.profiles.example", NULL, NULL, 0, &k), ERR_NONE);
	CU_ASSERT_EQUAL_FATAL(new_account(&c, &k), ACME_OK);
	question(RA_ACME_NEW_ORDER, &c, false);
	add_identifier("dns", "a.profiles.example");
	strcpy(Q->profile, "web");
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_INVALID_PROFILE);
	(void)e;
	client_free(&c);
}

/* --- Challenges */

static void test_a_challenge_posted_twice__ACME_28(void)
{
	struct client c = registered("twice", "dns:*.twice.example");
	uint64_t first, second;
	unsigned before;
	int64_t z;

	CU_ASSERT_EQUAL_FATAL(new_order(&c, "a.twice.example", NULL), ACME_OK);
	z = A->order.authorization[0];
	probe_silent = true;
	before = probes;
	question(RA_ACME_CHALLENGE_START, &c, false);
	Q->id = z;
	Q->method = ACME_HTTP_01;
	first = begin_ask(Q);
	turn();
	second = begin_ask(Q);
	turn();
	/* The second is told that it is under way; the first waits for the result. */
	CU_ASSERT_TRUE(take(second));
	CU_ASSERT_EQUAL(A->authorization.challenge_state, ACME_PROCESSING);
	CU_ASSERT_TRUE(A->retry_after >= 2 && A->retry_after <= 30);
	/* Another method does not begin beside it. */
	CU_ASSERT_EQUAL(start(&c, z, ACME_DNS_01), ACME_OK);
	CU_ASSERT_EQUAL(A->authorization.method, ACME_HTTP_01);
	probe_silent = false;
	turns(2);
	CU_ASSERT_TRUE(take(first));
	CU_ASSERT_EQUAL(A->authorization.challenge_state, ACME_VALID);
	CU_ASSERT_EQUAL(probes, before + 1);
	/* Decided: it stays so, and nobody is asked again. */
	CU_ASSERT_EQUAL(start(&c, z, ACME_HTTP_01), ACME_OK);
	CU_ASSERT_EQUAL(start(&c, z, ACME_DNS_01), ACME_OK);
	CU_ASSERT_EQUAL(A->authorization.challenge_state, ACME_VALID);
	CU_ASSERT_EQUAL(A->authorization.method, ACME_HTTP_01);
	CU_ASSERT_EQUAL(probes, before + 1);
	client_free(&c);
}

static void test_one_failure_ends_the_order__ACME_13_29(void)
{
	static const struct {
		enum probe_problem probe;
		enum acme_problem acme;
	} t[] = { { PROBE_CONNECTION, ACME_CONNECTION }, { PROBE_DNS, ACME_DNS }, { PROBE_TLS, ACME_TLS },
		  { PROBE_INCORRECT_RESPONSE, ACME_INCORRECT_RESPONSE }, { PROBE_CAA, ACME_CAA }, { PROBE_UNAUTHORIZED, ACME_UNAUTHORIZED } };
	struct client c = registered("failure", "dns:*.failure.example");
	char name[64];

	for (size_t i = 0; i < COUNT_OF(t); i++) {
		struct probe_result r = { .problem = t[i].probe, .detail = "what was seen", .evidence = "dns=192.0.2.9" };
		int64_t order, z[2];
		AUTO_BUF body = { 0 };

		snprintf(name, sizeof name, "x%zu.failure.example", i);
		CU_ASSERT_EQUAL_FATAL(new_order(&c, name, "other.failure.example"), ACME_OK);
		order = A->order.id;
		z[0] = A->order.authorization[0]; /* other: sorted first */
		z[1] = A->order.authorization[1];
		probe_silent = true;
		question(RA_ACME_CHALLENGE_START, &c, false);
		Q->id = z[1];
		Q->method = ACME_HTTP_01;
		(void)begin_ask(Q);
		turn();
		probe_result_put(&body, &r);
		ra_feed(ra, RA_PORT_PROBE, &(struct frame){ .type = PROBE_OK, .id = asked[0].id, .body = span_of(&body) }, mono());
		asked_n = 0;
		probe_silent = false;
		turns(2);
		CU_ASSERT_TRUE(take(next_id));
		CU_ASSERT_EQUAL(A->authorization.state, ACME_INVALID);
		CU_ASSERT_EQUAL(A->authorization.challenge_state, ACME_INVALID);
		CU_ASSERT_EQUAL(A->authorization.error, t[i].acme);
		CU_ASSERT_EQUAL(order_state(&c, order), ACME_INVALID);
		CU_ASSERT_EQUAL(A->order.error, t[i].acme);
		CU_ASSERT_STRING_EQUAL(A->order.error_identifier.value, name);
		CU_ASSERT_STRING_EQUAL(A->order.error_detail, "what was seen");
		CU_ASSERT_EQUAL(authorization_state(&c, z[0]), ACME_INVALID);
	}
	CU_ASSERT_EQUAL(audited("acme.validate", "dns=192.0.2.9"), COUNT_OF(t));
	client_free(&c);
}

static void test_what_may_pass_is_tried_three_times__ACME_29(void)
{
	struct client c = registered("flaky", "dns:*.flaky.example");
	unsigned before = probes;
	int64_t order, z;

	CU_ASSERT_EQUAL_FATAL(new_order(&c, "flaky-1.flaky.example", NULL), ACME_OK);
	order = A->order.id;
	z = A->order.authorization[0];
	CU_ASSERT_EQUAL(start(&c, z, ACME_HTTP_01), ACME_OK);
	CU_ASSERT_EQUAL(A->authorization.state, ACME_PENDING);
	CU_ASSERT_EQUAL(A->authorization.challenge_state, ACME_PROCESSING);
	CU_ASSERT_TRUE(A->retry_after >= 2 && A->retry_after <= 30);
	CU_ASSERT_EQUAL(probes, before + 1);
	CU_ASSERT_EQUAL(authorization_state(&c, z), ACME_PENDING);
	later(3 * US_PER_SECOND);
	CU_ASSERT_EQUAL(probes, before + 2);
	CU_ASSERT_EQUAL(order_state(&c, order), ACME_PENDING);
	later(5 * US_PER_SECOND);
	CU_ASSERT_EQUAL(probes, before + 3);
	CU_ASSERT_EQUAL(order_state(&c, order), ACME_INVALID);
	CU_ASSERT_EQUAL(A->order.error, ACME_CONNECTION);
	later(US_PER_MINUTE);
	CU_ASSERT_EQUAL(probes, before + 3);
	CU_ASSERT_EQUAL(audited("acme.validate", "\"attempts\":\"3\""), 1);
	client_free(&c);
}

static void test_a_probe_that_is_slow_or_away_fails_nobody__ACME_29(void)
{
	struct client c = registered("slow", "dns:*.slow.example");
	uint64_t id;
	unsigned before;
	int64_t z;

	/* Slow: the client is told to come again, the result is taken when it comes. */
	CU_ASSERT_EQUAL_FATAL(new_order(&c, "a.slow.example", NULL), ACME_OK);
	z = A->order.authorization[0];
	probe_silent = true;
	question(RA_ACME_CHALLENGE_START, &c, false);
	Q->id = z;
	Q->method = ACME_HTTP_01;
	id = begin_ask(Q);
	turn();
	CU_ASSERT_FALSE(take(id));
	later(US_PER_SECOND);
	CU_ASSERT_TRUE(take(id));
	CU_ASSERT_EQUAL(A->authorization.challenge_state, ACME_PROCESSING);
	probe_silent = false;
	turns(2);
	CU_ASSERT_EQUAL(authorization_state(&c, z), ACME_VALID);
	/* Away: asked when it is back. */
	CU_ASSERT_EQUAL(new_order(&c, "b.slow.example", NULL), ACME_OK);
	z = A->order.authorization[0];
	ra_peer(ra, RA_PORT_PROBE, false, box_time, mono());
	CU_ASSERT_EQUAL(start(&c, z, ACME_HTTP_01), ACME_OK);
	CU_ASSERT_EQUAL(A->authorization.challenge_state, ACME_PROCESSING);
	later(20 * US_PER_SECOND);
	CU_ASSERT_EQUAL(authorization_state(&c, z), ACME_PENDING);
	ra_peer(ra, RA_PORT_PROBE, true, box_time, mono());
	turns(4);
	CU_ASSERT_EQUAL(authorization_state(&c, z), ACME_VALID);
	/* It dies with a question in its hands. */
	CU_ASSERT_EQUAL(new_order(&c, "c.slow.example", NULL), ACME_OK);
	z = A->order.authorization[0];
	probe_silent = true;
	question(RA_ACME_CHALLENGE_START, &c, false);
	Q->id = z;
	Q->method = ACME_HTTP_01;
	id = begin_ask(Q);
	turn();
	ra_peer(ra, RA_PORT_PROBE, false, box_time, mono());
	asked_n = 0;
	turn();
	ra_peer(ra, RA_PORT_PROBE, true, box_time, mono());
	probe_silent = false;
	turns(4);
	CU_ASSERT_TRUE(take(id));
	CU_ASSERT_EQUAL(A->authorization.challenge_state, ACME_VALID);
	/* It says that it can't look: that says nothing about the name. */
	CU_ASSERT_EQUAL(new_order(&c, "d.slow.example", NULL), ACME_OK);
	z = A->order.authorization[0];
	probe_silent = true;
	question(RA_ACME_CHALLENGE_START, &c, false);
	Q->id = z;
	Q->method = ACME_HTTP_01;
	id = begin_ask(Q);
	turn();
	before = probes;
	for (int i = 0; i < 5; i++) {
		if (asked_n != 0)
			ra_feed(ra, RA_PORT_PROBE, &(struct frame){ .type = PROBE_FAILED, .id = asked[0].id }, mono());
		asked_n = 0;
		turn();
		later(3 * US_PER_SECOND);
	}
	CU_ASSERT_EQUAL(probes, before + 5);
	CU_ASSERT_EQUAL(authorization_state(&c, z), ACME_PENDING);
	probe_silent = false;
	turns(3);
	CU_ASSERT_EQUAL(authorization_state(&c, z), ACME_VALID);
	client_free(&c);
}

static void test_what_probe_has_no_business_to_say(void)
{
	struct client c = registered("stray", "dns:*.stray.example");
	struct probe_result r = { .problem = PROBE_GOOD };
	AUTO_BUF body = { 0 };
	uint64_t id;
	int64_t z;

	CU_ASSERT_EQUAL_FATAL(new_order(&c, "a.stray.example", NULL), ACME_OK);
	z = A->order.authorization[0];
	probe_silent = true;
	question(RA_ACME_CHALLENGE_START, &c, false);
	Q->id = z;
	Q->method = ACME_HTTP_01;
	id = begin_ask(Q);
	turn();
	probe_result_put(&body, &r);
	/* Other numbers, an earlier life's, octets that are none. */
	for (uint64_t i = 0; i < 40; i++)
		ra_feed(ra, RA_PORT_PROBE, &(struct frame){ .type = PROBE_OK, .id = i, .body = span_of(&body) }, mono());
	ra_feed(ra, RA_PORT_PROBE, &(struct frame){ .type = PROBE_OK, .id = asked[0].id + (UINT64_C(1) << 32), .body = span_of(&body) }, mono());
	ra_feed(ra, RA_PORT_PROBE, &(struct frame){ .type = PROBE_OK, .id = asked[0].id, .body = { body.p, body.n - 1 } }, mono());
	turn();
	CU_ASSERT_EQUAL(authorization_state(&c, z), ACME_PENDING);
	later(US_PER_SECOND);
	CU_ASSERT_TRUE(take(id));
	asked_n = 0;
	probe_silent = false;
	later(3 * US_PER_SECOND);
	CU_ASSERT_EQUAL(authorization_state(&c, z), ACME_VALID);
	client_free(&c);
}

static void test_an_authorization_is_given_up__ACME_27(void)
{
	struct client c = registered("giveup", "dns:*.giveup.example");
	int64_t order = ready_order(&c, "a.giveup.example", NULL), z = A->order.authorization[0], second;

	CU_ASSERT_EQUAL(new_order(&c, "a.giveup.example", NULL), ACME_OK);
	CU_ASSERT_EQUAL(A->order.state, ACME_READY);
	second = A->order.id;
	CU_ASSERT_EQUAL(ask_id(RA_ACME_AUTHORIZATION_END, &c, z), ACME_OK);
	CU_ASSERT_EQUAL(A->authorization.state, ACME_DEACTIVATED);
	CU_ASSERT_EQUAL(ask_id(RA_ACME_AUTHORIZATION_END, &c, z), ACME_OK);
	/* With it go the orders that counted on it. */
	CU_ASSERT_EQUAL(order_state(&c, order), ACME_INVALID);
	CU_ASSERT_EQUAL(order_state(&c, second), ACME_INVALID);
	CU_ASSERT_EQUAL(new_order(&c, "a.giveup.example", NULL), ACME_OK);
	CU_ASSERT_EQUAL(A->order.state, ACME_PENDING);
	/* Pending ones, too; one that has failed has nothing to give up. */
	z = A->order.authorization[0];
	CU_ASSERT_EQUAL(ask_id(RA_ACME_AUTHORIZATION_END, &c, z), ACME_OK);
	CU_ASSERT_EQUAL(start(&c, z, ACME_HTTP_01), ACME_OK);
	CU_ASSERT_EQUAL(A->authorization.state, ACME_DEACTIVATED);
	CU_ASSERT_EQUAL(new_order(&c, "bad-a.giveup.example", NULL), ACME_OK);
	z = A->order.authorization[0];
	CU_ASSERT_EQUAL(start(&c, z, ACME_HTTP_01), ACME_OK);
	CU_ASSERT_EQUAL(ask_id(RA_ACME_AUTHORIZATION_END, &c, z), ACME_MALFORMED);
	client_free(&c);
}

/* --- Finalize */

static void test_only_a_ready_order_is_finalized__ACME_36(void)
{
	struct client c = registered("states", "dns:*.states.example");
	int64_t order;

	CU_ASSERT_EQUAL(new_order(&c, "a.states.example", NULL), ACME_OK);
	order = A->order.id;
	CU_ASSERT_EQUAL(finalize(&c, order, "DNS:a.states.example"), ACME_ORDER_NOT_READY);
	order = ready_order(&c, "b.states.example", NULL);
	CU_ASSERT_EQUAL(finalize(&c, order, "DNS:b.states.example"), ACME_OK);
	CU_ASSERT_EQUAL(finalize(&c, order, "DNS:b.states.example"), ACME_ORDER_NOT_READY);
	CU_ASSERT_EQUAL(new_order(&c, "bad-c.states.example", NULL), ACME_OK);
	order = A->order.id;
	CU_ASSERT_EQUAL(start(&c, A->order.authorization[0], ACME_HTTP_01), ACME_OK);
	CU_ASSERT_EQUAL(finalize(&c, order, "DNS:bad-c.states.example"), ACME_ORDER_NOT_READY);
	/* Processing: ca has it. */
	order = ready_order(&c, "d.states.example", NULL);
	ca_silent = true;
	AUTO(EVP_PKEY) *key = EVP_EC_gen("P-256");
	AUTO_BUF csr = { 0 };
	uint64_t id;

	make_csr(key, NULL, "DNS:d.states.example", 0, NULL, &csr);
	finalize_question(&c, order, &csr);
	id = begin_ask(Q);
	turn();
	CU_ASSERT_EQUAL(finalize(&c, order, "DNS:d.states.example"), ACME_ORDER_NOT_READY);
	CU_ASSERT_EQUAL(order_state(&c, order), ACME_PROCESSING);
	CU_ASSERT_EQUAL(ask_id(RA_ACME_CERTIFICATE, &c, order), ACME_NOT_FOUND);
	ca_silent = false;
	CU_ASSERT_PTR_NOT_NULL(wait_for(id));
	CU_ASSERT_TRUE(take(id));
	CU_ASSERT_EQUAL(A->order.state, ACME_VALID);
	client_free(&c);
}

/* However that came about: nothing is signed for a name that is not proven any more. */
static void test_finalize_looks_at_the_proofs_again__ACME_36(void)
{
	struct client c = registered("proofs", "dns:*.proofs.example");
	int64_t order = ready_order(&c, "a.proofs.example", NULL);
	struct acme_authorization z;
	struct err e;

	CU_ASSERT_TRUE_FATAL(store_begin(store, &e) && store_acme_authorization(store, A->order.authorization[0], &z, &e));
	CU_ASSERT_TRUE(acme_move(ACME_AN_AUTHORIZATION, &z.state, ACME_REVOKED, &e) && store_acme_authorization_put(store, &z, &e));
	CU_ASSERT_TRUE_FATAL(store_commit(store, &e));
	CU_ASSERT_EQUAL(finalize(&c, order, "DNS:a.proofs.example"), ACME_UNAUTHORIZED);
	CU_ASSERT_EQUAL(order_state(&c, order), ACME_INVALID);
	CU_ASSERT_STRING_EQUAL(A->order.error_identifier.value, "a.proofs.example");
	client_free(&c);
}

static void test_requests_that_do_not_fit__ACME_37(void)
{
	static const struct {
		const char *cn, *san;
		int nid;
		const char *extra, *says;
	} t[] = {
		{ NULL, "DNS:a.csr.example", 0, NULL, "lacks" }, { "a.csr.example", NULL, 0, NULL, "lacks" }, { NULL, NULL, 0, NULL, "lacks" },
		{ NULL, "DNS:a.csr.example,DNS:b.csr.example,DNS:c.csr.example", 0, NULL, "has not" },
		{ NULL, "DNS:a.csr.example,DNS:b.csr.example,IP:192.0.2.1", 0, NULL, "has not" },
		{ NULL, "DNS:a.csr.example,DNS:b.csr.example,email:a@b.example", 0, NULL, "has not" },
		{ NULL, "DNS:a.csr.example,DNS:*.csr.example", 0, NULL, "has not" },
		{ "c.csr.example", "DNS:a.csr.example,DNS:b.csr.example", 0, NULL, "CN" },
		{ NULL, "DNS:a.csr.example,DNS:b.csr.example", NID_basic_constraints, "critical,CA:TRUE", "authority" },
		{ NULL, "DNS:a.csr.example,DNS:b.csr.example", NID_ext_key_usage, "clientAuth", "purpose" },
		{ NULL, "DNS:a.csr.example,DNS:b.csr.example", NID_certificate_policies, "1.2.3.4", "policies" },
	};
	struct client c = registered("csr", "dns:*.csr.example");
	int64_t order = ready_order(&c, "a.csr.example", "b.csr.example");
	AUTO(EVP_PKEY) *key = EVP_EC_gen("P-256");
	AUTO(EVP_PKEY) *weak = EVP_RSA_gen(1024);
	AUTO_BUF csr = { 0 };

	for (size_t i = 0; i < COUNT_OF(t); i++) {
		make_csr(key, t[i].cn, t[i].san, t[i].nid, t[i].extra, &csr);
		finalize_question(&c, order, &csr);
		CU_ASSERT_EQUAL(ask_ra(Q), ACME_BAD_CSR);
		CU_ASSERT_PTR_NOT_NULL(strstr(A->detail, t[i].says));
		if (strstr(A->detail, t[i].says) == NULL)
			printf("%zu: %s\n", i, A->detail);
	}
	/* An account's key, a weak one, no DER. */
	make_csr(c.key, NULL, "DNS:a.csr.example,DNS:b.csr.example", 0, NULL, &csr);
	finalize_question(&c, order, &csr);
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_BAD_CSR);
	CU_ASSERT_PTR_NOT_NULL(strstr(A->detail, "account"));
	make_csr(weak, NULL, "DNS:a.csr.example,DNS:b.csr.example", 0, NULL, &csr);
	finalize_question(&c, order, &csr);
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_BAD_CSR);
	Q->csr.n = 10;
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_BAD_CSR);
	Q->csr.n = 0;
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_BAD_CSR);
	/* None of that has cost the order anything; a CN in capitals is one of its names. */
	CU_ASSERT_EQUAL(order_state(&c, order), ACME_READY);
	make_csr(key, "A.CSR.EXAMPLE", "DNS:b.csr.example", 0, NULL, &csr);
	finalize_question(&c, order, &csr);
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_OK);
	CU_ASSERT_EQUAL(A->order.state, ACME_VALID);
	/* Its key is somebody's now. */
	struct client d = registered("csr2", "dns:*.csr.example");

	order = ready_order(&d, "b.csr.example", NULL);
	make_csr(key, NULL, "DNS:b.csr.example", 0, NULL, &csr);
	finalize_question(&d, order, &csr);
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_BAD_CSR);
	CU_ASSERT_EQUAL(order_state(&d, order), ACME_READY);
	client_free(&c);
	client_free(&d);
}

/* The CN of a certificate whose request has none: the account's name if it is one of the names, else the first that fits. */
static void test_a_request_without_a_name_gets_one__ACME_37(void)
{
	static const struct {
		const char *first, *second, *san, *cn;
	} t[] = {
		{ "a.cn.example", "named.cn.example", "DNS:a.cn.example,DNS:named.cn.example", "CN=named.cn.example," },
		{ "a.cn.example", "b.cn.example", "DNS:a.cn.example,DNS:b.cn.example", "CN=a.cn.example," },
		{ "a23456789012345678901234567890123456789012345678901234567890123.cn.example", NULL,
		  "DNS:a23456789012345678901234567890123456789012345678901234567890123.cn.example", "O=" },
	};
	struct client c = registered("named.cn.example", "dns:*.cn.example");
	struct cert *parsed = mem_new(sizeof *parsed);
	AUTO_BUF der = { 0 };
	struct err e;

	for (size_t i = 0; i < COUNT_OF(t); i++) {
		int64_t order = ready_order(&c, t[i].first, t[i].second);
		char text[600] = "";
		struct dn dn;

		CU_ASSERT_EQUAL(finalize(&c, order, t[i].san), ACME_OK);
		leaf_of(&c, order, &der);
		CU_ASSERT_TRUE(cert_parse(parsed, der.p, der.n, &e) && dn_parse(&dn, parsed->subject, NULL, &e));
		dn_text(&dn, text, sizeof text);
		CU_ASSERT_EQUAL(strncmp(text, t[i].cn, strlen(t[i].cn)), 0);
	}
	free(parsed);
	client_free(&c);
}

/* Whoever asks does not hold the key: ca finds out, and the order ends with that reason. */
static void test_a_signature_that_does_not_hold__ACME_37(void)
{
	struct client c = registered("pop", "dns:*.pop.example");
	int64_t order = ready_order(&c, "a.pop.example", NULL);
	AUTO(EVP_PKEY) *key = EVP_EC_gen("P-256");
	AUTO_BUF csr = { 0 };

	make_csr(key, NULL, "DNS:a.pop.example", 0, NULL, &csr);
	csr.p[csr.n - 1] ^= 1;
	finalize_question(&c, order, &csr);
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_OK);
	CU_ASSERT_EQUAL(A->order.state, ACME_INVALID);
	CU_ASSERT_EQUAL(A->order.error, ACME_BAD_CSR);
	CU_ASSERT_EQUAL(order_state(&c, order), ACME_INVALID);
	client_free(&c);
}

static void test_a_slow_signer_means_processing__ACME_38(void)
{
	struct client c = registered("hsm", "dns:*.hsm.example");
	int64_t order = ready_order(&c, "a.hsm.example", NULL);
	AUTO(EVP_PKEY) *key = EVP_EC_gen("P-256");
	AUTO_BUF csr = { 0 };
	uint64_t id;

	make_csr(key, NULL, "DNS:a.hsm.example", 0, NULL, &csr);
	ca_silent = true;
	finalize_question(&c, order, &csr);
	id = begin_ask(Q);
	turns(3);
	CU_ASSERT_FALSE(take(id));
	later(13 * US_PER_SECOND);
	CU_ASSERT_TRUE(take(id));
	CU_ASSERT_EQUAL(A->order.state, ACME_PROCESSING);
	CU_ASSERT_TRUE(A->retry_after >= 2 && A->retry_after <= 30);
	ca_silent = false;
	turns(3);
	CU_ASSERT_EQUAL(order_state(&c, order), ACME_VALID);
	/* It is away when the order comes: taken up by itself when it is back. */
	order = ready_order(&c, "b.hsm.example", NULL);
	ra_peer(ra, RA_PORT_CA, false, box_time, mono());
	turn();
	CU_ASSERT_EQUAL(finalize(&c, order, "DNS:b.hsm.example"), ACME_OK);
	CU_ASSERT_EQUAL(A->order.state, ACME_PROCESSING);
	later(5 * US_PER_SECOND);
	CU_ASSERT_EQUAL(order_state(&c, order), ACME_PROCESSING);
	ra_peer(ra, RA_PORT_CA, true, box_time, mono());
	settle();
	later(3 * US_PER_SECOND);
	turns(10);
	CU_ASSERT_EQUAL(order_state(&c, order), ACME_VALID);
	client_free(&c);
}

/* What waits for the signer is still to be proven when the signer is there. */
static void test_given_up_while_the_signer_is_away__ACME_27_38(void)
{
	struct client c = registered("away", "dns:*.away.example");
	int64_t order = ready_order(&c, "a.away.example", NULL), z = A->order.authorization[0];

	ra_peer(ra, RA_PORT_CA, false, box_time, mono());
	turn();
	CU_ASSERT_EQUAL(finalize(&c, order, "DNS:a.away.example"), ACME_OK);
	CU_ASSERT_EQUAL(A->order.state, ACME_PROCESSING);
	CU_ASSERT_EQUAL(ask_id(RA_ACME_AUTHORIZATION_END, &c, z), ACME_OK);
	ra_peer(ra, RA_PORT_CA, true, box_time, mono());
	settle();
	later(3 * US_PER_SECOND);
	turns(10);
	CU_ASSERT_EQUAL(order_state(&c, order), ACME_INVALID);
	CU_ASSERT_EQUAL(A->order.error, ACME_UNAUTHORIZED);
	CU_ASSERT_STRING_EQUAL(A->order.error_identifier.value, "a.away.example");
	client_free(&c);
}

static void execute(const char *sql)
{
	AUTO_FREE char *path = mem_printf("%s/t.db", box_dir);
	sqlite3 *db = NULL;

	CU_ASSERT_EQUAL_FATAL(sqlite3_open(path, &db), SQLITE_OK);
	CU_ASSERT_EQUAL(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

/* A number alone proves nothing: the row behind it must be of this account and name. */
static void test_another_name_s_authorization__ACME_36(void)
{
	static const char *const changes[] = { "name = 'dns:b.borrowed.example'", "account = account + 1" };
	struct client c = registered("borrowed", "dns:*.borrowed.example");

	config.acme_authorization_lifetime = US_PER_HOUR;
	for (size_t i = 0; i < COUNT_OF(changes); i++) {
		AUTO_FREE char *name = mem_printf("a%zu.borrowed.example", i);
		AUTO_FREE char *san = mem_printf("DNS:%s", name);
		int64_t order = ready_order(&c, name, NULL), z = A->order.authorization[0];
		AUTO_FREE char *sql = mem_printf("UPDATE acme_authorization SET %s WHERE id = %lld", changes[i], (long long)z);

		execute(sql);
		CU_ASSERT_EQUAL(finalize(&c, order, san), ACME_UNAUTHORIZED);
		CU_ASSERT_EQUAL(order_state(&c, order), ACME_INVALID);
	}
	config.acme_authorization_lifetime = US_PER_DAY;
	client_free(&c);
}

static int64_t count_of(const char *table);

/* No room for another signature: the order waits, and no serial is drawn for nothing. */
static void test_no_room_at_the_signer__ACME_38(void)
{
	struct client c = registered("room", "dns:*.room.example");
	int64_t order = ready_order(&c, "a.room.example", NULL), intents;
	AUTO(EVP_PKEY) *key = EVP_EC_gen("P-256");
	unsigned outstanding = ra->outstanding, before = issues;
	AUTO_BUF csr = { 0 };
	uint64_t id;

	make_csr(key, NULL, "DNS:a.room.example", 0, NULL, &csr);
	finalize_question(&c, order, &csr);
	id = begin_ask(Q);
	intents = count_of("intent");
	ra->outstanding = RA_OUTSTANDING;
	turns(3);
	CU_ASSERT_TRUE(take(id));
	CU_ASSERT_EQUAL(A->order.state, ACME_PROCESSING);
	CU_ASSERT_EQUAL(count_of("intent"), intents);
	/* Half is for what can't wait. */
	ra->outstanding = RA_OUTSTANDING / 2;
	later(3 * US_PER_SECOND);
	CU_ASSERT_EQUAL(issues, before);
	CU_ASSERT_EQUAL(count_of("intent"), intents);
	ra->outstanding = outstanding;
	later(3 * US_PER_SECOND);
	turns(10);
	CU_ASSERT_EQUAL(order_state(&c, order), ACME_VALID);
	client_free(&c);
}

/* ca dies with the order in its hands, time and again: a serial is never asked for twice, the order goes on. */
static void test_a_signer_that_dies__ACME_38(void)
{
	struct client c = registered("dies", "dns:*.dies.example");
	int64_t order = ready_order(&c, "a.dies.example", NULL);
	AUTO(EVP_PKEY) *key = EVP_EC_gen("P-256");
	AUTO_BUF csr = { 0 };
	uint64_t id;

	make_csr(key, NULL, "DNS:a.dies.example", 0, NULL, &csr);
	ca_silent = true;
	finalize_question(&c, order, &csr);
	id = begin_ask(Q);
	for (int i = 0; i < 3; i++) {
		turns(2);
		ra_peer(ra, RA_PORT_CA, false, box_time, mono());
		box_wait();
		ca_n = 0;
		turn();
		ca_silent = false;
		ra_peer(ra, RA_PORT_CA, true, box_time, mono());
		for (int k = 0; k < 200 && !ra_settled(ra); k++)
			turn();
		ca_silent = true;
		later(3 * US_PER_SECOND);
	}
	ca_silent = false;
	later(5 * US_PER_SECOND);
	turns(20);
	CU_ASSERT_TRUE(take(id));
	CU_ASSERT_EQUAL(order_state(&c, order), ACME_VALID);
	client_free(&c);
}

/* --- Revocation */

static enum acme_problem revoking(const struct client *c, bool by_key, const struct buf *leaf, int reason)
{
	question(RA_ACME_REVOKE, c, by_key);
	Q->certificate = span_of(leaf);
	Q->reason = reason;
	return ask_ra(Q);
}

/* A client's certificate for one name under a key that is given back in `holder`. */
static int64_t certificate(const struct client *c, const char *name, struct client *holder, struct buf *leaf)
{
	int64_t order = ready_order(c, name, NULL);
	AUTO_FREE char *san = mem_printf("DNS:%s", name);
	AUTO_BUF csr = { 0 };

	client_key(holder, EVP_EC_gen("P-256"));
	make_csr(holder->key, NULL, san, 0, NULL, &csr);
	finalize_question(c, order, &csr);
	CU_ASSERT_EQUAL_FATAL(ask_ra(Q), ACME_OK);
	CU_ASSERT_EQUAL_FATAL(A->order.state, ACME_VALID);
	leaf_of(c, order, leaf);
	return order;
}

static void test_three_may_revoke_and_a_stranger_not__ACME_41(void)
{
	struct client c = registered("rev", "dns:*.rev.example"), holder = client_new("server"), stranger = registered("stranger", "dns:*.rev.example");
	unsigned before[] = { audited("acme.revoke", "issuing account"), audited("acme.revoke", "certificate key"),
		              audited("acme.revoke", "\"authorizations\"") };
	AUTO_BUF leaf = { 0 };
	int64_t order;

	(void)certificate(&c, "a.rev.example", &holder, &leaf);
	CU_ASSERT_EQUAL(revoking(&stranger, false, &leaf, -1), ACME_UNAUTHORIZED);
	CU_ASSERT_EQUAL(revoking(&stranger, true, &leaf, -1), ACME_UNAUTHORIZED);
	/* Not even of half of the names. */
	CU_ASSERT_EQUAL(revoking(&c, false, &leaf, -1), ACME_OK);
	CU_ASSERT_EQUAL(revoking(&c, false, &leaf, -1), ACME_ALREADY_REVOKED);
	(void)certificate(&c, "b.rev.example", &holder, &leaf);
	CU_ASSERT_EQUAL(revoking(&holder, true, &leaf, -1), ACME_OK);
	CU_ASSERT_EQUAL(revoking(&holder, true, &leaf, -1), ACME_ALREADY_REVOKED);
	/* All of its names, now. */
	(void)certificate(&c, "c.rev.example", &holder, &leaf);
	order = ready_order(&stranger, "d.rev.example", NULL);
	CU_ASSERT_EQUAL(revoking(&stranger, false, &leaf, -1), ACME_UNAUTHORIZED);
	order = ready_order(&stranger, "c.rev.example", NULL);
	CU_ASSERT_EQUAL(revoking(&stranger, false, &leaf, REASON_KEY_COMPROMISE), ACME_BAD_REVOCATION_REASON);
	CU_ASSERT_EQUAL(revoking(&stranger, false, &leaf, REASON_SUPERSEDED), ACME_OK);
	/* None of ours, not even a certificate. */
	leaf.p[leaf.n - 1] ^= 1;
	CU_ASSERT_EQUAL(revoking(&c, false, &leaf, -1), ACME_NOT_FOUND);
	leaf.n -= 5;
	CU_ASSERT_EQUAL(revoking(&c, false, &leaf, -1), ACME_MALFORMED);
	leaf.n = 0;
	buf_add(&leaf, ra->gen_cert[0].p, ra->gen_cert[0].n);
	CU_ASSERT_EQUAL(revoking(&c, false, &leaf, -1), ACME_NOT_FOUND);
	CU_ASSERT_EQUAL(audited("acme.revoke", "issuing account"), before[0] + 1);
	CU_ASSERT_EQUAL(audited("acme.revoke", "certificate key"), before[1] + 1);
	CU_ASSERT_EQUAL(audited("acme.revoke", "\"authorizations\""), before[2] + 1);
	(void)order;
	client_free(&c);
	client_free(&holder);
	client_free(&stranger);
}

static void test_reasons__ACME_42(void)
{
	struct client c = registered("reason", "dns:*.reason.example"), holder = client_new("server"), k;
	AUTO_BUF leaf = { 0 };
	char name[64];
	struct eab eab;
	int64_t order;

	for (int reason = 0; reason < 12; reason++) {
		bool good = reason == 0 || reason == 1 || reason == 3 || reason == 4 || reason == 5;

		snprintf(name, sizeof name, "r%d.reason.example", reason);
		(void)certificate(&c, name, &holder, &leaf);
		CU_ASSERT_EQUAL(revoking(reason == 1 ? &holder : &c, reason == 1, &leaf, reason), good ? ACME_OK : ACME_BAD_REVOCATION_REASON);
		if (reason != 1)
			continue;
		/* Its key is refused for ever, for whatever. */
		k = client_new("server");
		EVP_PKEY_up_ref(holder.key);
		client_key(&k, holder.key);
		CU_ASSERT_EQUAL(eab_add("blocked", NULL, NULL, NULL, 0, &eab), ERR_NONE);
		CU_ASSERT_EQUAL(new_account(&k, &eab), ACME_BAD_PUBLIC_KEY);
		order = ready_order(&c, "again.reason.example", NULL);
		AUTO_BUF csr = { 0 };
		make_csr(holder.key, NULL, "DNS:again.reason.example", 0, NULL, &csr);
		finalize_question(&c, order, &csr);
		CU_ASSERT_EQUAL(ask_ra(Q), ACME_BAD_CSR);
		client_free(&k);
	}
	client_free(&c);
	client_free(&holder);
}

/* --- ARI */

static void renewal_id(const struct buf *leaf, char out[ACME_RENEWAL_ID_MAX])
{
	struct cert c;
	struct err e;
	AUTO_BUF text = { 0 };
	uint8_t serial[SERIAL_MAX + 1] = { 0 };
	size_t pad;

	CU_ASSERT_TRUE_FATAL(cert_parse(&c, leaf->p, leaf->n, &e));
	pad = (c.serial.v[0] & 0x80) != 0;
	memcpy(serial + pad, c.serial.v, c.serial.n);
	b64url_put(&text, c.aki.p, c.aki.n);
	buf_byte(&text, '.');
	b64url_put(&text, serial, c.serial.n + pad);
	snprintf(out, ACME_RENEWAL_ID_MAX, "%s", buf_str(&text));
}

static enum acme_problem ari(const char *id)
{
	question(RA_ACME_RENEWAL_INFO, NULL, false);
	snprintf(Q->renewal_id, sizeof Q->renewal_id, "%s", id);
	return ask_ra(Q);
}

static void test_when_to_renew__ACME_43_44(void)
{
	static const char *const bad[] = { "", "x", "a.", ".a", "aYhba4dGQEHhs3uEe6CuLN4ByNQ", "aYhba4dGQEHhs3uEe6CuLN4ByNQ=.AIdlQyE",
		                           "aYhba4dGQEHhs3uEe6CuLN4ByNQ.h2VDIQ", "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AAAB", "a b.AIdlQyE", "é.AIdlQyE" };
	struct client c = registered("ari", "dns:*.ari.example"), holder = client_new("server");
	char id[ACME_RENEWAL_ID_MAX], second[ACME_RENEWAL_ID_MAX];
	AUTO_BUF leaf = { 0 };
	struct cert cert;
	int64_t start_at, end_at, life;
	struct err e;

	for (size_t i = 0; i < COUNT_OF(bad); i++)
		CU_ASSERT_EQUAL(ari(bad[i]), ACME_MALFORMED);
	/* RFC 9773, 4.1: well-formed, and of somebody else. */
	CU_ASSERT_EQUAL(ari("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"), ACME_NOT_FOUND);
	(void)certificate(&c, "a.ari.example", &holder, &leaf);
	renewal_id(&leaf, id);
	CU_ASSERT_TRUE(cert_parse(&cert, leaf.p, leaf.n, &e));
	life = cert.not_after - cert.not_before;
	CU_ASSERT_EQUAL(ari(id), ACME_OK);
	CU_ASSERT_EQUAL(A->retry_after, 21600);
	start_at = A->window_start;
	end_at = A->window_end;
	CU_ASSERT_TRUE(start_at < end_at);
	CU_ASSERT_TRUE(start_at >= cert.not_before + life * 2 / 3 && end_at <= cert.not_before + life * 9 / 10);
	/* Whenever it is asked. */
	later(US_PER_DAY);
	CU_ASSERT_EQUAL(ari(id), ACME_OK);
	CU_ASSERT_TRUE(A->window_start == start_at && A->window_end == end_at);
	(void)certificate(&c, "b.ari.example", &holder, &leaf);
	renewal_id(&leaf, second);
	CU_ASSERT_EQUAL(ari(second), ACME_OK);
	CU_ASSERT_TRUE(cert_parse(&cert, leaf.p, leaf.n, &e));
	CU_ASSERT_TRUE(A->window_start - cert.not_before != start_at - (cert.not_before - US_PER_DAY));
	/* Another serial. */
	second[strlen(second) - 2] = second[strlen(second) - 2] == 'A' ? 'Q' : 'A';
	CU_ASSERT_EQUAL(ari(second), ACME_NOT_FOUND);
	CU_ASSERT_EQUAL(revoking(&c, false, &leaf, -1), ACME_OK);
	renewal_id(&leaf, second);
	CU_ASSERT_EQUAL(ari(second), ACME_OK);
	CU_ASSERT_TRUE(A->window_start < A->window_end && A->window_end < box_time);
	client_free(&c);
	client_free(&holder);
}

static enum acme_problem replacing(const struct client *c, const char *name, const char *id)
{
	question(RA_ACME_NEW_ORDER, c, false);
	add_identifier("dns", name);
	strcpy(Q->replaces, id);
	return ask_ra(Q);
}

static void test_what_an_order_replaces__ACME_45(void)
{
	struct client c = registered("repl", "dns:*.repl.example"), d = registered("repl2", "dns:*.repl.example"), holder = client_new("server");
	char id[ACME_RENEWAL_ID_MAX];
	AUTO_BUF leaf = { 0 };
	int64_t order;

	(void)certificate(&c, "a.repl.example", &holder, &leaf);
	renewal_id(&leaf, id);
	CU_ASSERT_EQUAL(replacing(&c, "a.repl.example", "nonsense"), ACME_MALFORMED);
	CU_ASSERT_EQUAL(replacing(&c, "a.repl.example", "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"), ACME_MALFORMED);
	CU_ASSERT_EQUAL(replacing(&c, "b.repl.example", id), ACME_MALFORMED);
	CU_ASSERT_EQUAL(replacing(&d, "a.repl.example", id), ACME_UNAUTHORIZED);
	CU_ASSERT_EQUAL(replacing(&c, "a.repl.example", id), ACME_OK);
	CU_ASSERT_STRING_EQUAL(A->order.replaces, id);
	order = A->order.id;
	CU_ASSERT_EQUAL(replacing(&c, "a.repl.example", id), ACME_ALREADY_REPLACED);
	CU_ASSERT_EQUAL(ask_id(RA_ACME_ORDER, &c, order), ACME_OK);
	CU_ASSERT_STRING_EQUAL(A->order.replaces, id);
	/* One that came to nothing does not count. */
	CU_ASSERT_EQUAL(ask_id(RA_ACME_AUTHORIZATION_END, &c, A->order.authorization[0]), ACME_OK);
	CU_ASSERT_EQUAL(order_state(&c, order), ACME_INVALID);
	CU_ASSERT_EQUAL(replacing(&c, "a.repl.example", id), ACME_OK);
	client_free(&c);
	client_free(&d);
	client_free(&holder);
}

/* --- Limits */

static void test_limits__ACME_52(void)
{
	struct client c = registered("limits", "dns:*.limits.example"), n = client_new("server"), holder = client_new("server");
	char id[ACME_RENEWAL_ID_MAX];
	AUTO_BUF leaf = { 0 };
	struct config was = config;
	struct eab k;
	int64_t order;

	(void)certificate(&c, "a.limits.example", &holder, &leaf);
	renewal_id(&leaf, id);
	later(61 * US_PER_SECOND);
	config.acme_orders_per_minute = 3;
	for (int i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(new_order(&c, "b.limits.example", NULL), ACME_OK);
	CU_ASSERT_EQUAL(new_order(&c, "b.limits.example", NULL), ACME_RATE_LIMITED);
	CU_ASSERT_TRUE(A->retry_after >= 1 && A->retry_after <= 60);
	/* RFC 9773, 5: a renewal that was asked for is not slowed. */
	CU_ASSERT_EQUAL(replacing(&c, "a.limits.example", id), ACME_OK);
	/* One that is begun and given up time and again is an order like any. */
	for (int i = 0; i < 9; i++) {
		CU_ASSERT_EQUAL(ask_id(RA_ACME_ORDER, &c, A->order.id), ACME_OK);
		CU_ASSERT_EQUAL(ask_id(RA_ACME_AUTHORIZATION_END, &c, A->order.authorization[0]), ACME_OK);
		CU_ASSERT_EQUAL(replacing(&c, "a.limits.example", id), ACME_OK);
	}
	CU_ASSERT_EQUAL(ask_id(RA_ACME_AUTHORIZATION_END, &c, A->order.authorization[0]), ACME_OK);
	CU_ASSERT_EQUAL(replacing(&c, "a.limits.example", id), ACME_RATE_LIMITED);
	later(61 * US_PER_SECOND);
	CU_ASSERT_EQUAL(new_order(&c, "b.limits.example", NULL), ACME_OK);
	/* Ten names count for one order, eleven for two. */
	later(61 * US_PER_SECOND);
	for (int i = 0; i < 2; i++) {
		question(RA_ACME_NEW_ORDER, &c, false);
		for (int m = 0; m < 10 + i; m++) {
			char name[40];

			snprintf(name, sizeof name, "n%d-%d.limits.example", i, m);
			add_identifier("dns", name);
		}
		CU_ASSERT_EQUAL(ask_ra(Q), ACME_OK);
	}
	CU_ASSERT_EQUAL(new_order(&c, "b.limits.example", NULL), ACME_RATE_LIMITED);
	config.acme_orders_per_minute = 0;
	CU_ASSERT_EQUAL(new_order(&c, "b.limits.example", NULL), ACME_OK);

	config.acme_pending_authorizations = 28;
	CU_ASSERT_EQUAL(new_order(&c, "c.limits.example", NULL), ACME_OK);
	CU_ASSERT_EQUAL(new_order(&c, "d.limits.example", "e.limits.example"), ACME_RATE_LIMITED);
	CU_ASSERT_EQUAL(A->retry_after > 0, true);
	config.acme_pending_authorizations = 1000;

	config.acme_failures_per_hour = 2;
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(new_order(&c, "bad-f.limits.example", NULL), ACME_OK);
		CU_ASSERT_EQUAL(start(&c, A->order.authorization[0], ACME_HTTP_01), ACME_OK);
	}
	CU_ASSERT_EQUAL(new_order(&c, "bad-f.limits.example", NULL), ACME_RATE_LIMITED);
	CU_ASSERT_TRUE(A->retry_after > 60 && A->retry_after <= 3600);
	CU_ASSERT_EQUAL(new_order(&c, "bad-g.limits.example", NULL), ACME_OK);
	later(3601 * US_PER_SECOND);
	CU_ASSERT_EQUAL(new_order(&c, "bad-f.limits.example", NULL), ACME_OK);

	config.acme_duplicates_per_day = 1;
	order = ready_order(&c, "h.limits.example", NULL);
	CU_ASSERT_EQUAL(finalize(&c, order, "DNS:h.limits.example"), ACME_OK);
	CU_ASSERT_EQUAL(new_order(&c, "h.limits.example", NULL), ACME_RATE_LIMITED);
	CU_ASSERT_EQUAL(new_order(&c, "h.limits.example", "i.limits.example"), ACME_OK);
	config.acme_duplicates_per_day = 10000;

	CU_ASSERT_EQUAL_FATAL(eab_add("flood", NULL, NULL, NULL, 0, &k), ERR_NONE);
	config.acme_accounts_per_hour = 2;
	later(3601 * US_PER_SECOND);
	for (int i = 0; i < 2; i++) {
		client_key(&n, EVP_EC_gen("P-256"));
		CU_ASSERT_EQUAL(new_account(&n, &k), ACME_OK);
	}
	CU_ASSERT_EQUAL(new_account(&n, &k), ACME_OK); /* it is there already */
	client_key(&n, EVP_EC_gen("P-256"));
	CU_ASSERT_EQUAL(new_account(&n, &k), ACME_RATE_LIMITED);
	config = was;
	client_free(&c);
	client_free(&n);
	client_free(&holder);
}

/* What costs nothing to send is not written down without end. */
static void test_refusals_do_not_fill_the_audit__ACME_52(void)
{
	struct client n = client_new("server"), c = registered("loud", "dns:a.loud.example"), quiet = registered("quiet", "dns:a.quiet.example");
	int64_t before;

	later(3601 * US_PER_SECOND);
	before = count_of("audit");
	for (int i = 0; i < 150; i++)
		CU_ASSERT_EQUAL(new_account(&n, NULL), ACME_EXTERNAL_ACCOUNT_REQUIRED);
	CU_ASSERT_EQUAL(count_of("audit"), before + 100);
	CU_ASSERT_EQUAL(audited("acme.account.new", "are counted alone"), 1);
	/* Another address has its own. */
	question(RA_ACME_NEW_ACCOUNT, &n, true);
	strcpy(Q->source.address, "192.0.2.77");
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_EXTERNAL_ACCOUNT_REQUIRED);
	CU_ASSERT_EQUAL(count_of("audit"), before + 101);
	for (int i = 0; i < 150; i++)
		CU_ASSERT_EQUAL(new_order(&c, "b.loud.example", NULL), ACME_REJECTED_IDENTIFIER);
	CU_ASSERT_EQUAL(count_of("audit"), before + 201);
	CU_ASSERT_EQUAL(new_order(&quiet, "b.quiet.example", NULL), ACME_REJECTED_IDENTIFIER);
	CU_ASSERT_EQUAL(count_of("audit"), before + 202);
	/* From many addresses: so many of strangers in all. */
	for (int i = 0; i < 2100; i++) {
		question(RA_ACME_NEW_ACCOUNT, &n, true);
		snprintf(Q->source.address, sizeof Q->source.address, "2001:db8::%x", i);
		CU_ASSERT_EQUAL(ask_ra(Q), ACME_EXTERNAL_ACCOUNT_REQUIRED);
	}
	CU_ASSERT_EQUAL(count_of("audit"), before + 202 + 2000 - 101);
	later(3601 * US_PER_SECOND);
	before = count_of("audit");
	CU_ASSERT_EQUAL(new_account(&n, NULL), ACME_EXTERNAL_ACCOUNT_REQUIRED);
	CU_ASSERT_EQUAL(count_of("audit"), before + 1);
	client_free(&n);
	client_free(&c);
	client_free(&quiet);
}

static void test_an_account_is_not_changed_without_end__ACME_52(void)
{
	struct client c = registered("changes", "dns:a.changes.example");
	int64_t before = count_of("audit");

	for (int i = 0; i < 199; i++) {
		question(RA_ACME_CONTACTS, &c, false);
		CU_ASSERT_EQUAL(ask_ra(Q), ACME_OK);
	}
	question(RA_ACME_KEY_CHANGE, &c, false);
	client_key(&c, EVP_EC_gen("P-256"));
	Q->key = span_of(&c.spki);
	memcpy(Q->new_thumbprint, c.thumbprint, 32);
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_OK);
	question(RA_ACME_CONTACTS, &c, false);
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_RATE_LIMITED);
	CU_ASSERT_TRUE(A->retry_after > 0 && A->retry_after <= 3600);
	CU_ASSERT_EQUAL(count_of("audit"), before + 200);
	/* It can still be ended. */
	question(RA_ACME_DEACTIVATE, &c, false);
	CU_ASSERT_EQUAL(ask_ra(Q), ACME_OK);
	client_free(&c);
}

/* Silent names of one account do not keep another's waiting. */
static void test_one_account_does_not_take_all_of_probe__ACME_52(void)
{
	struct client c = registered("silent", "dns:*.silent.example"), d = registered("heard", "dns:*.heard.example");
	int64_t z[200];
	size_t n = 0;

	for (int k = 0; k < 2; k++) {
		question(RA_ACME_NEW_ORDER, &c, false);
		for (int i = 0; i < 100; i++) {
			AUTO_FREE char *name = mem_printf("n%d-%d.silent.example", k, i);

			add_identifier("dns", name);
		}
		CU_ASSERT_EQUAL_FATAL(ask_ra(Q), ACME_OK);
		for (uint32_t i = 0; i < A->order.authorization_n; i++)
			z[n++] = A->order.authorization[i];
	}
	CU_ASSERT_EQUAL_FATAL(n, 200);
	probe_silent = true;
	turns(3);
	asked_n = 0;
	for (size_t i = 0; i < n; i++) {
		question(RA_ACME_CHALLENGE_START, &c, false);
		Q->id = z[i];
		Q->method = ACME_DNS_01;
		(void)begin_ask(Q);
		turn();
	}
	CU_ASSERT_EQUAL(asked_n, ASK_SHARE);
	CU_ASSERT_EQUAL(new_order(&d, "a.heard.example", NULL), ACME_OK);
	question(RA_ACME_CHALLENGE_START, &d, false);
	Q->id = A->order.authorization[0];
	Q->method = ACME_DNS_01;
	(void)begin_ask(Q);
	turn();
	CU_ASSERT_EQUAL(asked_n, ASK_SHARE + 1);
	CU_ASSERT_STRING_EQUAL(last_ask.name, "a.heard.example");
	/* Those that had no room come by themselves. */
	probe_silent = false;
	turns(3);
	for (int i = 0; i < 10; i++)
		later(31 * US_PER_SECOND);
	for (size_t i = 0; i < n; i++)
		CU_ASSERT_EQUAL(authorization_state(&c, z[i]), ACME_VALID);
	for (size_t i = 0; i < COUNT_OF(answers); i++)
		answers[i].used = false;
	client_free(&c);
	client_free(&d);
}

/* --- Time */

static int64_t number_of(const char *sql)
{
	AUTO_FREE char *uri = mem_printf("file:%s/t.db", box_dir);
	sqlite3 *db = NULL;
	sqlite3_stmt *q = NULL;
	int64_t n = -1;

	if (sqlite3_open_v2(uri, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL) == SQLITE_OK &&
	    sqlite3_prepare_v2(db, sql, -1, &q, NULL) == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW)
		n = sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	sqlite3_close(db);
	return n;
}

static void test_what_runs_out__ACME_26_53(void)
{
	struct client c = registered("expire", "dns:*.expire.example");
	int64_t pending, ready, done, z, dz, later_order;

	CU_ASSERT_EQUAL(new_order(&c, "a.expire.example", NULL), ACME_OK);
	pending = A->order.id;
	z = A->order.authorization[0];
	ready = ready_order(&c, "b.expire.example", NULL);
	done = ready_order(&c, "c.expire.example", NULL);
	dz = A->order.authorization[0];
	CU_ASSERT_EQUAL(finalize(&c, done, "DNS:c.expire.example"), ACME_OK);
	/* A challenge that nobody answered. */
	later(config.acme_challenge_lifetime + 2 * US_PER_SECOND);
	sweep_all();
	CU_ASSERT_EQUAL(order_state(&c, pending), ACME_INVALID);
	CU_ASSERT_EQUAL(authorization_state(&c, z), ACME_INVALID);
	CU_ASSERT_EQUAL(start(&c, z, ACME_HTTP_01), ACME_OK);
	CU_ASSERT_EQUAL(A->authorization.state, ACME_INVALID);
	CU_ASSERT_EQUAL(order_state(&c, ready), ACME_READY);
	/* An authorization that has run out takes its order along. */
	later(config.acme_authorization_lifetime);
	CU_ASSERT_EQUAL(order_state(&c, ready), ACME_INVALID);
	CU_ASSERT_EQUAL(authorization_state(&c, dz), ACME_EXPIRED);
	CU_ASSERT_EQUAL(order_state(&c, done), ACME_VALID);
	/* Swept, a while later; a certificate is there as long as it holds. */
	later(9 * US_PER_DAY);
	CU_ASSERT_EQUAL(new_order(&c, "z.expire.example", NULL), ACME_OK);
	later_order = A->order.id;
	sweep_all();
	CU_ASSERT_EQUAL(ask_id(RA_ACME_ORDER, &c, pending), ACME_NOT_FOUND);
	CU_ASSERT_EQUAL(ask_id(RA_ACME_ORDER, &c, ready), ACME_NOT_FOUND);
	CU_ASSERT_EQUAL(ask_id(RA_ACME_AUTHORIZATION, &c, dz), ACME_NOT_FOUND);
	CU_ASSERT_EQUAL(ask_id(RA_ACME_CERTIFICATE, &c, done), ACME_OK);
	later(91 * US_PER_DAY);
	sweep_all();
	CU_ASSERT_EQUAL(ask_id(RA_ACME_ORDER, &c, done), ACME_NOT_FOUND);
	CU_ASSERT_EQUAL(audited("acme.validate", "dns:c.expire.example"), 1); /* the evidence stays */
	/* The newest order keeps its number. */
	later(9 * US_PER_DAY);
	CU_ASSERT_EQUAL(ask_id(RA_ACME_ORDER, &c, later_order), ACME_OK);
	CU_ASSERT_EQUAL(new_order(&c, "y.expire.example", NULL), ACME_OK);
	CU_ASSERT_EQUAL(A->order.id, later_order + 1);
	client_free(&c);
}

/* An authorization that is good for longer outlives its order's end, and serves on. */
static void test_a_proof_outlives_its_order__ACME_53(void)
{
	struct client c = registered("outlive", "dns:*.outlive.example");
	struct config was = config;
	int64_t z;

	config.acme_authorization_lifetime = 30 * US_PER_DAY;
	CU_ASSERT_EQUAL_FATAL(new_order(&c, "bad-a.outlive.example", "good.outlive.example"), ACME_OK);
	z = A->order.authorization[0];
	CU_ASSERT_EQUAL(start(&c, A->order.authorization[1], ACME_HTTP_01), ACME_OK);
	CU_ASSERT_EQUAL(start(&c, z, ACME_HTTP_01), ACME_OK);
	later(20 * US_PER_DAY);
	sweep_all();
	CU_ASSERT_EQUAL(new_order(&c, "good.outlive.example", NULL), ACME_OK);
	CU_ASSERT_EQUAL(A->order.state, ACME_READY);
	config = was;
	client_free(&c);
}

static void test_ended_accounts_go__ACME_53(void)
{
	struct client c = registered("gone", NULL), newest;

	CU_ASSERT_EQUAL(ask_id(RA_ACME_DEACTIVATE, &c, 0), ACME_OK);
	newest = registered("newest", NULL);
	CU_ASSERT_EQUAL(ask_id(RA_ACME_ACCOUNT, &c, 0), ACME_ACCOUNT_DEAD);
	later(config.retention_certificates + US_PER_DAY);
	for (int i = 0; i < 5; i++)
		later(61 * US_PER_SECOND);
	CU_ASSERT_EQUAL(ask_id(RA_ACME_ACCOUNT, &c, 0), ACME_ACCOUNT_DOES_NOT_EXIST);
	CU_ASSERT_EQUAL(ask_id(RA_ACME_ACCOUNT, &newest, 0), ACME_OK);
	client_free(&c);
	client_free(&newest);
}

static int64_t count_of(const char *table)
{
	AUTO_FREE char *sql = mem_printf("SELECT count(*) FROM %s", table);

	return number_of(sql);
}

static int64_t octets_in_use(void)
{
	return (number_of("PRAGMA page_count") - number_of("PRAGMA freelist_count")) * number_of("PRAGMA page_size");
}

/* Whole orders, their certificates and audit records included: before the sweep, and after it. */
static void test_what_an_order_takes_of_the_disk__ACME_53(void)
{
	struct client c = registered("size", "dns:*.size.example");
	unsigned n = getenv("ACME_ORDERS") != NULL ? (unsigned)atol(getenv("ACME_ORDERS")) : 300;
	int64_t before, full, swept;
	int64_t cpu;

	sweep_all();
	before = octets_in_use();
	cpu = ra_cpu;
	for (unsigned i = 0; i < n; i++) {
		char name[64], san[80];
		int64_t order;

		snprintf(name, sizeof name, "host-%u.size.example", i);
		snprintf(san, sizeof san, "DNS:%s", name);
		order = ready_order(&c, name, NULL);
		CU_ASSERT_EQUAL_FATAL(finalize(&c, order, san), ACME_OK);
		CU_ASSERT_EQUAL_FATAL(ask_id(RA_ACME_CERTIFICATE, &c, order), ACME_OK);
	}
	cpu = ra_cpu - cpu;
	full = (octets_in_use() - before) / n;
	later(5 * US_PER_DAY);
	for (unsigned i = 0; i < 300 + n / 10; i++)
		later(US_PER_SECOND / 10);
	swept = (octets_in_use() - before) / n;
	printf("(%lld octets an order, %lld after the sweep; %lld us CPU of ra) ", (long long)full, (long long)swept,
	       (long long)(cpu / n));
	CU_ASSERT_TRUE(full <= 4000);
	CU_ASSERT_TRUE(swept <= 2000);
	CU_ASSERT_TRUE(swept < full);
	CU_ASSERT_EQUAL(count_of("acme_authorization WHERE account = (SELECT max(account) FROM acme_order)"), 0);
	client_free(&c);
}

/* --- Restarts: ra dies between any two steps; nothing is lost that was answered, nothing is issued twice. */

static void test_a_restart_at_every_step__ACME_26_28(void)
{
	struct client c = registered("restart", "dns:*.restart.example");
	int64_t order, z[2];
	AUTO(EVP_PKEY) *key = EVP_EC_gen("P-256");
	AUTO_BUF csr = { 0 };
	unsigned before, certificates;

	CU_ASSERT_EQUAL_FATAL(new_order(&c, "a.restart.example", "b.restart.example"), ACME_OK);
	order = A->order.id;
	z[0] = A->order.authorization[0];
	z[1] = A->order.authorization[1];
	restart_ra();
	CU_ASSERT_EQUAL(order_state(&c, order), ACME_PENDING);
	/* Before the result, before it was told that it is under way: it was never begun. */
	probe_silent = true;
	question(RA_ACME_CHALLENGE_START, &c, false);
	Q->id = z[0];
	Q->method = ACME_HTTP_01;
	(void)begin_ask(Q);
	turn();
	restart_ra();
	CU_ASSERT_EQUAL(authorization_state(&c, z[0]), ACME_PENDING);
	CU_ASSERT_EQUAL(A->authorization.challenge_state, ACME_PENDING);
	/* It was told: then ra asks again by itself. */
	question(RA_ACME_CHALLENGE_START, &c, false);
	Q->id = z[0];
	Q->method = ACME_HTTP_01;
	(void)begin_ask(Q);
	turn();
	later(US_PER_SECOND);
	CU_ASSERT_TRUE(take(next_id));
	CU_ASSERT_EQUAL(A->authorization.challenge_state, ACME_PROCESSING);
	before = probes;
	probe_silent = false;
	restart_ra();
	later(2 * US_PER_SECOND);
	CU_ASSERT_EQUAL(probes, before + 1);
	CU_ASSERT_EQUAL(authorization_state(&c, z[0]), ACME_VALID);
	CU_ASSERT_EQUAL(order_state(&c, order), ACME_PENDING);
	CU_ASSERT_EQUAL(start(&c, z[1], ACME_DNS_01), ACME_OK);
	restart_ra();
	CU_ASSERT_EQUAL(order_state(&c, order), ACME_READY);
	/* With the intent recorded and ca's answer lost: taken up under another serial. */
	make_csr(key, NULL, "DNS:a.restart.example,DNS:b.restart.example", 0, NULL, &csr);
	ca_silent = true;
	finalize_question(&c, order, &csr);
	(void)begin_ask(Q);
	turn();
	box_wait();
	CU_ASSERT_EQUAL(ca_n >= 1, true);
	certificates = (unsigned)count_of("certificate");
	before = issues;
	ca_silent = false;
	restart_ra();
	later(2 * US_PER_SECOND);
	turns(10);
	CU_ASSERT_EQUAL(issues, before + 1);
	CU_ASSERT_EQUAL(order_state(&c, order), ACME_VALID);
	CU_ASSERT_EQUAL(count_of("certificate"), certificates + 1);
	CU_ASSERT_EQUAL(audited("cert.void", "reserved before a restart") >= 1, true);
	restart_ra();
	CU_ASSERT_EQUAL(ask_id(RA_ACME_CERTIFICATE, &c, order), ACME_OK);
	later(US_PER_MINUTE);
	CU_ASSERT_EQUAL(issues, before + 1);
	client_free(&c);
}

/* --- States as a whole: several clients do anything, in any order, over peers that come and go. What was seen of a state
 * never goes back, and no step is one that the table does not have. */

enum { WALKERS = 3, WALKER_ORDERS = 6, STEPS = 4000 };
static uint64_t walk_state;

static unsigned pick(unsigned n)
{
	walk_state = walk_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (unsigned)(walk_state >> 33) % n;
}

struct seen {
	int64_t order, z[2];
	uint32_t n;
	char name[2][64];
	enum acme_state state, z_state[2], c_state[2];
};
static struct walker {
	struct client c;
	struct seen o[WALKER_ORDERS];
} walkers[WALKERS];

/* Is there a way from one to the other, in any number of steps? */
static bool reaches(enum acme_what what, enum acme_state from, enum acme_state to)
{
	bool at[ACME_STATE_COUNT] = { false }, more = true;

	at[from] = true;
	while (more) {
		more = false;
		for (int a = 0; a < ACME_STATE_COUNT; a++)
			for (int b = 0; at[a] && b < ACME_STATE_COUNT; b++)
				if (!at[b] && acme_may_move(what, (enum acme_state)a, (enum acme_state)b))
					at[b] = more = true;
	}
	return at[to];
}

static void look(struct walker *w, struct seen *s)
{
	enum acme_state first;
	unsigned valid = 0;

	if (s->order == 0)
		return;
	first = order_state(&w->c, s->order); /* a result may come between the looks */
	for (uint32_t i = 0; i < s->n; i++) {
		CU_ASSERT_EQUAL_FATAL(ask_id(RA_ACME_AUTHORIZATION, &w->c, s->z[i]), ACME_OK);
		CU_ASSERT_TRUE(reaches(ACME_AN_AUTHORIZATION, s->z_state[i], A->authorization.state));
		CU_ASSERT_TRUE(reaches(ACME_A_CHALLENGE, s->c_state[i], A->authorization.challenge_state));
		s->z_state[i] = A->authorization.state;
		s->c_state[i] = A->authorization.challenge_state;
		valid += s->z_state[i] == ACME_VALID;
		CU_ASSERT_TRUE(s->z_state[i] != ACME_VALID || s->c_state[i] == ACME_VALID);
		CU_ASSERT_TRUE(s->c_state[i] != ACME_INVALID || s->z_state[i] != ACME_VALID);
	}
	CU_ASSERT_EQUAL_FATAL(ask_id(RA_ACME_ORDER, &w->c, s->order), ACME_OK);
	CU_ASSERT_TRUE(reaches(ACME_AN_ORDER, s->state, A->order.state));
	s->state = A->order.state;
	/* ACME-26: pending says that somebody is still to be proven; ready that nobody is. */
	CU_ASSERT_TRUE(s->state != ACME_PENDING || valid < s->n);
	CU_ASSERT_TRUE(first != ACME_READY || valid == s->n);
	for (uint32_t i = 0; i < s->n; i++)
		CU_ASSERT_TRUE(s->z_state[i] != ACME_INVALID || s->state == ACME_INVALID);
	CU_ASSERT_TRUE(reaches(ACME_AN_ORDER, first, s->state));
	CU_ASSERT_EQUAL(A->order.certificate, s->state == ACME_VALID);
	CU_ASSERT_EQUAL(A->order.error != ACME_OK, s->state == ACME_INVALID);
}

static void fresh_order(struct walker *w, struct seen *s)
{
	static const char *const kinds[] = { "good", "good", "good", "flaky-x", "bad-x" };
	enum acme_problem p;

	*s = (struct seen){ .state = ACME_PENDING };
	for (int i = 0; i < 2; i++)
		snprintf(s->name[i], sizeof s->name[i], "%s%u.walk.example", kinds[pick(5)], pick(12));
	p = new_order(&w->c, s->name[0], pick(2) != 0 ? s->name[1] : NULL);
	CU_ASSERT_EQUAL_FATAL(p, ACME_OK);
	s->order = A->order.id;
	s->n = A->order.authorization_n;
	for (uint32_t i = 0; i < s->n; i++) {
		s->z[i] = A->order.authorization[i];
		s->z_state[i] = s->c_state[i] = ACME_PENDING;
		snprintf(s->name[i], sizeof s->name[i], "%s", A->order.identifier[i].value);
	}
}

static void finish(struct walker *w, struct seen *s)
{
	AUTO_FREE char *san = s->n == 2 ? mem_printf("DNS:%s,DNS:%s", s->name[0], s->name[1]) : mem_printf("DNS:%s", s->name[0]);
	enum acme_state was = s->state;
	enum acme_problem p;

	p = finalize(&w->c, s->order, pick(6) == 0 ? "DNS:other.example" : san);
	CU_ASSERT_TRUE(p == ACME_OK || p == ACME_BAD_CSR || p == ACME_ORDER_NOT_READY || p == ACME_UNAUTHORIZED);
	if (was == ACME_VALID || was == ACME_INVALID)
		CU_ASSERT_EQUAL(p, ACME_ORDER_NOT_READY);
}

static void step_of(struct walker *w)
{
	struct seen *s = &w->o[pick(WALKER_ORDERS)];

	if (s->order == 0) {
		fresh_order(w, s);
		return;
	}
	switch (pick(22)) {
	case 0: case 1: case 2: case 3: case 4: case 5: case 6:
		(void)start(&w->c, s->z[pick(s->n)], pick(2) != 0 ? ACME_HTTP_01 : ACME_DNS_01);
		break;
	case 7: case 8: case 9: case 10:
		finish(w, s);
		break;
	case 11:
		(void)ask_id(RA_ACME_AUTHORIZATION_END, &w->c, s->z[pick(s->n)]);
		break;
	case 12:
		probe_silent = pick(3) == 0;
		break;
	case 13:
		later((int64_t)pick(4000) * US_PER_SECOND / 1000);
		break;
	case 14:
		later((int64_t)pick(30) * US_PER_SECOND);
		break;
	case 15:
		if (pick(12) == 0)
			restart_ra();
		break;
	case 16:
		ra_peer(ra, RA_PORT_PROBE, pick(3) != 0, box_time, mono());
		break;
	case 17:
		if (pick(5) == 0) {
			ra_peer(ra, RA_PORT_CA, false, box_time, mono());
			turn();
			ra_peer(ra, RA_PORT_CA, true, box_time, mono());
			settle();
		}
		break;
	case 18:
		if (pick(20) == 0)
			later(2 * US_PER_HOUR);
		break;
	case 19: case 20:
		if (s->state == ACME_VALID || s->state == ACME_INVALID)
			fresh_order(w, s);
		break;
	default:
		/* Somebody else's. */
		CU_ASSERT_EQUAL(ask_id(RA_ACME_ORDER, &walkers[((size_t)(w - walkers) + 1) % WALKERS].c, s->order), ACME_UNAUTHORIZED);
	}
	look(w, s);
}

static void test_random_walks__ACME_26_27_28(void)
{
	const char *seed = getenv("ACME_SEED"), *steps = getenv("ACME_STEPS");
	struct config was = config;
	unsigned ended[ACME_STATE_COUNT] = { 0 };

	walk_state = seed != NULL ? strtoull(seed, NULL, 10) : (uint64_t)clock_mono();
	printf("(seed %llu) ", (unsigned long long)walk_state);
	config.acme_failures_per_hour = config.acme_pending_authorizations = 0;
	for (int i = 0; i < WALKERS; i++) {
		char name[16];

		snprintf(name, sizeof name, "walker%d", i);
		walkers[i].c = registered(name, "dns:*.walk.example");
	}
	for (long i = 0, n = steps != NULL ? atol(steps) : STEPS; i < n && CU_get_number_of_failures() < 20; i++) {
		struct walker *w = &walkers[pick(WALKERS)];

		step_of(w);
		for (int k = 0; k < WALKER_ORDERS; k++)
			ended[w->o[k].state]++;
	}
	/* Nothing hangs: with everybody there, what was begun comes to an end. */
	probe_silent = false;
	ra_peer(ra, RA_PORT_PROBE, true, box_time, mono());
	for (int i = 0; i < 100; i++)
		later(US_PER_SECOND);
	for (int i = 0; i < WALKERS; i++)
		for (int k = 0; k < WALKER_ORDERS; k++) {
			struct seen *s = &walkers[i].o[k];

			look(&walkers[i], s);
			CU_ASSERT_NOT_EQUAL(s->state, ACME_PROCESSING);
			for (uint32_t m = 0; m < s->n; m++)
				CU_ASSERT_TRUE(s->c_state[m] != ACME_PROCESSING || s->z_state[m] != ACME_PENDING);
		}
	if (steps == NULL)
		CU_ASSERT_TRUE(ended[ACME_VALID] != 0 && ended[ACME_INVALID] != 0 && ended[ACME_READY] != 0);
	for (int i = 0; i < WALKERS; i++)
		client_free(&walkers[i].c);
	config = was;
}

/* The table itself, from the standard (RFC 8555, 7.1.6): nothing leaves a final state. */
static void test_the_table_of_states__ACME_26_27_28(void)
{
	static const enum acme_state final[] = { ACME_INVALID, ACME_DEACTIVATED, ACME_EXPIRED, ACME_REVOKED };
	static const enum acme_what all[] = { ACME_AN_ORDER, ACME_AN_AUTHORIZATION, ACME_A_CHALLENGE, ACME_AN_ACCOUNT };
	struct err e;
	int state;

	for (size_t w = 0; w < COUNT_OF(all); w++)
		for (size_t f = 0; f < COUNT_OF(final); f++)
			for (int to = 0; to < ACME_STATE_COUNT; to++)
				CU_ASSERT_FALSE(acme_may_move(all[w], final[f], (enum acme_state)to));
	for (int to = 0; to < ACME_STATE_COUNT; to++) {
		CU_ASSERT_FALSE(acme_may_move(ACME_AN_ORDER, ACME_VALID, (enum acme_state)to));
		CU_ASSERT_FALSE(acme_may_move(ACME_A_CHALLENGE, ACME_VALID, (enum acme_state)to));
	}
	CU_ASSERT_FALSE(acme_may_move(ACME_AN_ORDER, ACME_PENDING, ACME_PROCESSING));
	CU_ASSERT_FALSE(acme_may_move(ACME_AN_ORDER, ACME_PENDING, ACME_VALID));
	CU_ASSERT_FALSE(acme_may_move(ACME_AN_ORDER, ACME_READY, ACME_VALID));
	CU_ASSERT_FALSE(acme_may_move(ACME_AN_ORDER, ACME_PROCESSING, ACME_READY));
	CU_ASSERT_FALSE(acme_may_move(ACME_AN_AUTHORIZATION, ACME_INVALID, ACME_VALID));
	CU_ASSERT_FALSE(acme_may_move(ACME_A_CHALLENGE, ACME_PENDING, ACME_VALID));
	state = ACME_PENDING;
	CU_ASSERT_FALSE(acme_move(ACME_AN_ORDER, &state, ACME_VALID, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_INTERNAL);
	CU_ASSERT_EQUAL(state, ACME_PENDING);
}

static void test_devices_are_no_services(void)
{
	AUTO_BUF args = { 0 };
	AUTO_BUF none = { 0 };
	char name[256];
	struct eab k;

	CU_ASSERT_EQUAL(eab_add("service-1", NULL, NULL, NULL, 0, &k), ERR_NONE);
	CU_ASSERT_EQUAL(eab_add("enroll", NULL, NULL, NULL, 0, &k), ERR_EXISTS);
	CU_ASSERT_EQUAL(eab_add("no good", NULL, NULL, NULL, 0, &k), ERR_BAD_NAME);
	CU_ASSERT_EQUAL(officer("device.list", &none), ERR_NONE);
	for (uint32_t i = 0; i < rows.n; i++) {
		CU_ASSERT_TRUE(record_get_text(row_at(i), "name", name, sizeof name));
		CU_ASSERT_NOT_EQUAL(strcmp(name, "service-1"), 0);
	}
	record_text(&args, "name", "enroll");
	CU_ASSERT_EQUAL(officer("acme.eab.disable", &args), ERR_NOT_FOUND);
	CU_ASSERT_EQUAL(officer("acme.eab.list", &none), ERR_NONE);
	CU_ASSERT_TRUE(rows.n > 5);
	for (uint32_t i = 0; i < rows.n; i++) {
		struct field f;

		CU_ASSERT_FALSE(record_find(row_at(i), "hmac_key", FIELD_TEXT, &f)); /* shown once */
	}
	args.n = 0;
	record_int(&args, "id", 999999);
	CU_ASSERT_EQUAL(officer("acme.account.disable", &args), ERR_NOT_FOUND);
}

/* A key, its MAC and a challenge's token are secrets: none is in the audit. */
/* A client's command line takes what begins with a hyphen for an option: one in 32 would. */
static void test_no_key_begins_like_an_option__ACME_19__QRK_07(void)
{
	for (int i = 0; i < 200; i++) {
		struct eab k;
		char name[16];

		snprintf(name, sizeof name, "hyphen-%d", i);
		CU_ASSERT_EQUAL_FATAL(eab_add(name, NULL, NULL, NULL, 0, &k), ERR_NONE);
		CU_ASSERT_TRUE(k.kid[0] != '-' && k.text[0] != '-' && strlen(k.text) == 43);
	}
}

static void test_no_secret_is_recorded__ACME_19(void)
{
	struct client c = client_new("server");
	struct eab k;

	CU_ASSERT_EQUAL_FATAL(eab_add("secret", "dns:*.secret.example", NULL, NULL, 0, &k), ERR_NONE);
	CU_ASSERT_EQUAL_FATAL(new_account(&c, &k), ACME_OK);
	CU_ASSERT_EQUAL(new_order(&c, "bad-a.secret.example", NULL), ACME_OK);
	CU_ASSERT_EQUAL(start(&c, A->order.authorization[0], ACME_HTTP_01), ACME_OK);
	CU_ASSERT_EQUAL(audited("acme.eab.add", k.kid), 1);
	CU_ASSERT_EQUAL(audited("acme.eab.add", k.text), 0);
	CU_ASSERT_EQUAL(audited("acme.account.new", k.text), 0);
	CU_ASSERT_EQUAL(audited("acme.validate", last_ask.token), 0);
	client_free(&c);
}

static void test_probe_away_is_said(void)
{
	AUTO_BUF none = { 0 };
	char text[256];

	CU_ASSERT_EQUAL(officer("status", &none), ERR_NONE);
	CU_ASSERT_TRUE(record_get_text(row_at(0), "probe", text, sizeof text));
	CU_ASSERT_STRING_EQUAL(text, "ok");
	ra_peer(ra, RA_PORT_PROBE, false, box_time, mono());
	later(20 * US_PER_SECOND);
	CU_ASSERT_EQUAL(officer("status", &none), ERR_NONE);
	CU_ASSERT_TRUE(record_get_text(row_at(0), "probe", text, sizeof text));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "no ACME name can be validated"));
	CU_ASSERT_EQUAL(record_get_int(row_at(0), "healthy", 1), 0);
	ra_peer(ra, RA_PORT_PROBE, true, box_time, mono());
}

static const struct cu_case table[] = {
	{ "a_world_is_made", world_open },
	{ "from_account_to_certificate__ACME_24_36_38_39", test_from_account_to_certificate__ACME_24_36_38_39 },
	{ "the_other_chain_has_the_root__ACME_40", test_the_other_chain_has_the_root__ACME_40 },
	{ "every_mac_of_the_standard__ACME_19", test_every_mac_of_the_standard__ACME_19 },
	{ "a_disabled_key_voids_its_accounts__ACME_19_21", test_a_disabled_key_voids_its_accounts__ACME_19_21 },
	{ "a_known_key_is_answered_first__ACME_16", test_a_known_key_is_answered_first__ACME_16 },
	{ "terms_are_agreed_to_and_again__ACME_15", test_terms_are_agreed_to_and_again__ACME_15 },
	{ "what_an_account_shows__ACME_17", test_what_an_account_shows__ACME_17 },
	{ "keys_that_no_account_has__ACME_18", test_keys_that_no_account_has__ACME_18 },
	{ "an_account_that_has_ended_does_nothing__ACME_21", test_an_account_that_has_ended_does_nothing__ACME_21 },
	{ "whose_key_signed__ACME_21", test_whose_key_signed__ACME_21 },
	{ "a_key_is_changed__ACME_22", test_a_key_is_changed__ACME_22 },
	{ "without_binding_an_account_is_its_own__ACME_19", test_without_binding_an_account_is_its_own__ACME_19 },
	{ "names_that_are_refused__ACME_20_25", test_names_that_are_refused__ACME_20_25 },
	{ "several_bad_names_are_one_problem__ACME_25", test_several_bad_names_are_one_problem__ACME_25 },
	{ "the_same_name_twice_is_one__ACME_24", test_the_same_name_twice_is_one__ACME_24 },
	{ "a_hundred_names__ACME_24", test_a_hundred_names__ACME_24 },
	{ "which_challenges_are_offered__ACME_34_35", test_which_challenges_are_offered__ACME_34_35 },
	{ "what_probe_is_asked__ACME_50", test_what_probe_is_asked__ACME_50 },
	{ "a_valid_authorization_serves_again__ACME_53", test_a_valid_authorization_serves_again__ACME_53 },
	{ "nobody_reads_what_is_anothers__ACME_39", test_nobody_reads_what_is_anothers__ACME_39 },
	{ "two_hundred_and_fifty_orders__ACME_23", test_two_hundred_and_fifty_orders__ACME_23 },
	{ "profiles_that_an_order_asks__ACME_46", test_profiles_that_an_order_asks__ACME_46 },
	{ "a_challenge_posted_twice__ACME_28", test_a_challenge_posted_twice__ACME_28 },
	{ "one_failure_ends_the_order__ACME_13_29", test_one_failure_ends_the_order__ACME_13_29 },
	{ "what_may_pass_is_tried_three_times__ACME_29", test_what_may_pass_is_tried_three_times__ACME_29 },
	{ "a_probe_that_is_slow_or_away_fails_nobody__ACME_29", test_a_probe_that_is_slow_or_away_fails_nobody__ACME_29 },
	{ "what_probe_has_no_business_to_say", test_what_probe_has_no_business_to_say },
	{ "an_authorization_is_given_up__ACME_27", test_an_authorization_is_given_up__ACME_27 },
	{ "only_a_ready_order_is_finalized__ACME_36", test_only_a_ready_order_is_finalized__ACME_36 },
	{ "finalize_looks_at_the_proofs_again__ACME_36", test_finalize_looks_at_the_proofs_again__ACME_36 },
	{ "requests_that_do_not_fit__ACME_37", test_requests_that_do_not_fit__ACME_37 },
	{ "a_request_without_a_name_gets_one__ACME_37", test_a_request_without_a_name_gets_one__ACME_37 },
	{ "a_signature_that_does_not_hold__ACME_37", test_a_signature_that_does_not_hold__ACME_37 },
	{ "a_slow_signer_means_processing__ACME_38", test_a_slow_signer_means_processing__ACME_38 },
	{ "given_up_while_the_signer_is_away__ACME_27_38", test_given_up_while_the_signer_is_away__ACME_27_38 },
	{ "another_name_s_authorization__ACME_36", test_another_name_s_authorization__ACME_36 },
	{ "no_room_at_the_signer__ACME_38", test_no_room_at_the_signer__ACME_38 },
	{ "a_signer_that_dies__ACME_38", test_a_signer_that_dies__ACME_38 },
	{ "three_may_revoke_and_a_stranger_not__ACME_41", test_three_may_revoke_and_a_stranger_not__ACME_41 },
	{ "reasons__ACME_42", test_reasons__ACME_42 },
	{ "when_to_renew__ACME_43_44", test_when_to_renew__ACME_43_44 },
	{ "what_an_order_replaces__ACME_45", test_what_an_order_replaces__ACME_45 },
	{ "limits__ACME_52", test_limits__ACME_52 },
	{ "refusals_do_not_fill_the_audit__ACME_52", test_refusals_do_not_fill_the_audit__ACME_52 },
	{ "an_account_is_not_changed_without_end__ACME_52", test_an_account_is_not_changed_without_end__ACME_52 },
	{ "one_account_does_not_take_all_of_probe__ACME_52", test_one_account_does_not_take_all_of_probe__ACME_52 },
	{ "a_restart_at_every_step__ACME_26_28", test_a_restart_at_every_step__ACME_26_28 },
	{ "the_table_of_states__ACME_26_27_28", test_the_table_of_states__ACME_26_27_28 },
	{ "random_walks__ACME_26_27_28", test_random_walks__ACME_26_27_28 },
	{ "devices_are_no_services", test_devices_are_no_services },
	{ "no_key_begins_like_an_option__ACME_19__QRK_07", test_no_key_begins_like_an_option__ACME_19__QRK_07 },
	{ "no_secret_is_recorded__ACME_19", test_no_secret_is_recorded__ACME_19 },
	{ "probe_away_is_said", test_probe_away_is_said },
	/* Time passes: days, then months. */
	{ "an_account_needs_a_binding__ACME_19", test_an_account_needs_a_binding__ACME_19 },
	{ "what_an_order_takes_of_the_disk__ACME_53", test_what_an_order_takes_of_the_disk__ACME_53 },
	{ "what_runs_out__ACME_26_53", test_what_runs_out__ACME_26_53 },
	{ "a_proof_outlives_its_order__ACME_53", test_a_proof_outlives_its_order__ACME_53 },
	{ "ended_accounts_go__ACME_53", test_ended_accounts_go__ACME_53 },
	{ "and_left", world_close },
};

CU_MAIN(table)
