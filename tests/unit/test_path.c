/* SPDX-License-Identifier: Apache-2.0 */
#include "pkix/cert.h"

#include "tests/cu.h"

#include "tests/unit/pkix_make.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <pthread.h>

/* root -> devices (clientAuth) and servers (serverAuth) -> leaves, as init lays them out, and a stranger's chain. */
static struct buf root, devices, servers, stranger;
static struct trust *trust;

static void key_ids(struct buf *ext, enum make_key subject, enum make_key issuer)
{
	enum make_key which[] = { subject, issuer };

	for (int i = 0; i < 2; i++) {
		AUTO_BUF spki = { 0 };
		AUTO_BUF value = { 0 };
		struct key_info k;
		uint8_t ski[20];
		size_t mark;

		make_spki(&spki, make_key(which[i]));
		CU_ASSERT_TRUE_FATAL(key_parse(&k, span_of(&spki), NULL));
		key_ski(&k, ski);
		if (i == 0) {
			der_put(&value, DER_OCTETS, ski, 20);
			make_extension(ext, OID_EXT_SKI, false, value.p, value.n);
			if (subject == issuer)
				return;
			continue;
		}
		mark = der_begin(&value, DER_SEQUENCE);
		der_put(&value, DER_CONTEXT | 0, ski, 20);
		der_end(&value, mark);
		make_extension(ext, OID_EXT_AKI, false, value.p, value.n);
	}
}

static void make_authority(struct buf *out, const char *name, enum make_key key, const char *issuer,
                           enum make_key signer, bool path_zero, const char *eku, int64_t not_after)
{
	AUTO_BUF ext = { 0 };

	if (path_zero)
		EXTENSION(&ext, OID_EXT_BASIC_CONSTRAINTS, true, "\x30\x06\x01\x01\xff\x02\x01\x00");
	else
		EXTENSION(&ext, OID_EXT_BASIC_CONSTRAINTS, true, "\x30\x06\x01\x01\xff\x02\x01\x01");
	EXTENSION(&ext, OID_EXT_KEY_USAGE, true, "\x03\x02\x01\x06");
	key_ids(&ext, key, signer);
	if (eku != NULL)
		make_eku(&ext, eku);
	make_cert(out, &(struct make_cert){ .key = make_key(key), .signer = make_key(signer), .subject = name,
	                                    .issuer = issuer, .extensions = &ext, .not_after = not_after });
}

struct leaf {
	const char *issuer, *eku;
	enum make_key signer;
	int64_t not_before, not_after;
	bool no_usage;
	const char *extra_critical;
	const char *usage;      /* four octets: a BIT STRING */
	const struct buf *more; /* extensions as they stand */
	const char *subject;
};

static void make_leaf(struct buf *out, struct leaf l)
{
	AUTO_BUF ext = { 0 };

	EXTENSION(&ext, OID_EXT_BASIC_CONSTRAINTS, true, "\x30\x00");
	if (!l.no_usage)
		make_extension(&ext, OID_EXT_KEY_USAGE, true, l.usage != NULL ? l.usage : "\x03\x02\x07\x80", 4);
	key_ids(&ext, MAKE_P256_OTHER, l.signer);
	if (l.eku != NULL)
		make_eku(&ext, l.eku);
	make_san_dns(&ext, "pump-7.example");
	if (l.extra_critical != NULL)
		EXTENSION(&ext, l.extra_critical, true, "\x05\x00");
	if (l.more != NULL)
		buf_add(&ext, l.more->p, l.more->n);
	make_cert(out, &(struct make_cert){ .key = make_key(MAKE_P256_OTHER), .signer = make_key(l.signer),
	                                    .subject = l.subject != NULL ? l.subject : "pump-7", .issuer = l.issuer, .extensions = &ext,
	                                    .not_before = l.not_before, .not_after = l.not_after });
}

static void set_up(void)
{
	struct span issuing[2];
	struct err e = { 0 };

	if (trust != NULL)
		return;
	make_authority(&root, "root", MAKE_P384, "root", MAKE_P384, false, NULL, MAKE_NOW + 90 * US_PER_DAY);
	make_authority(&devices, "devices", MAKE_P256, "root", MAKE_P384, true, OID_CLIENT_AUTH, MAKE_NOW + 30 * US_PER_DAY);
	make_authority(&servers, "servers", MAKE_RSA2048, "root", MAKE_P384, true, OID_SERVER_AUTH, MAKE_NOW + 30 * US_PER_DAY);
	make_authority(&stranger, "root", MAKE_P521, "root", MAKE_P521, false, NULL, MAKE_NOW + 90 * US_PER_DAY);
	issuing[0] = span_of(&devices);
	issuing[1] = span_of(&servers);
	if (!trust_new(&trust, &(struct span){ root.p, root.n }, 1, issuing, 2, &e))
		printf("\n  %s\n", e.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(trust);
}

/* OpenSSL's own verdict, asked as if there were nothing else. */
static bool openssl_takes(const struct buf *leaf, int64_t now, enum trust_purpose purpose)
{
	const struct buf *all[] = { leaf, &root, &devices, &servers };
	X509 *x[4];
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	STACK_OF(X509) *issuing = sk_X509_new_null();
	bool good = false;

	for (int i = 0; i < 4; i++) {
		const uint8_t *p = all[i]->p;

		x[i] = d2i_X509(NULL, &p, (long)all[i]->n);
		if (i == 0 && p != leaf->p + leaf->n) {
			X509_free(x[i]);
			x[i] = NULL;
		}
	}
	X509_STORE_add_cert(store, x[1]);
	sk_X509_push(issuing, x[2]);
	sk_X509_push(issuing, x[3]);
	if (x[0] != NULL && X509_STORE_CTX_init(ctx, store, x[0], issuing) == 1) {
		X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);

		X509_VERIFY_PARAM_set_time(param, (time_t)(now / US_PER_SECOND));
		X509_VERIFY_PARAM_set_depth(param, 4);
		X509_VERIFY_PARAM_set_auth_level(param, 2);
		X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
		X509_STORE_CTX_set_purpose(ctx, purpose == TRUST_CLIENT ? X509_PURPOSE_SSL_CLIENT : X509_PURPOSE_SSL_SERVER);
		good = X509_verify_cert(ctx) == 1 && (X509_get_extension_flags(x[0]) & EXFLAG_XKUSAGE) != 0 && X509_check_ca(x[0]) == 0;
	}
	ERR_clear_error();
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	sk_X509_free(issuing);
	for (int i = 0; i < 4; i++)
		X509_free(x[i]);
	return good;
}

static bool known_at(const struct buf *leaf, int64_t now, enum trust_purpose purpose)
{
	uint8_t *copy = mem_dup(leaf->p, leaf->n);
	bool known = trust_knows(trust, (struct span){ copy, leaf->n }, now, purpose);

	free(copy);
	CU_ASSERT_TRUE(!known || openssl_takes(leaf, now, purpose));
	return known;
}

static bool check_at(const struct buf *leaf, int64_t now, enum trust_purpose purpose, struct err *e)
{
	uint8_t *copy = mem_dup(leaf->p, leaf->n);
	bool good = trust_check(trust, (struct span){ copy, leaf->n }, NULL, 0, now, purpose, e);

	free(copy);
	return good;
}

static void refuse_at(const struct buf *leaf, int64_t now, enum trust_purpose purpose, const char *word)
{
	struct err e = { 0 };

	CU_ASSERT_FALSE(known_at(leaf, now, purpose));
	CU_ASSERT_FALSE(check_at(leaf, now, purpose, &e));
	if (e.kind != ERR_BAD_CERT || strstr(e.text, word) == NULL)
		printf("\n  %s '%s', wanted '%s'\n", err_kind_name(e.kind), e.text, word);
	CU_ASSERT_EQUAL(e.kind, ERR_BAD_CERT);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, word));
}

static void test_a_pump_is_no_server__X509_41(void)
{
	AUTO_BUF pump = { 0 };
	AUTO_BUF posing = { 0 };
	AUTO_BUF crossed = { 0 };

	set_up();
	make_leaf(&pump, (struct leaf){ "devices", OID_CLIENT_AUTH, MAKE_P256, 0, 0, .no_usage = false });
	refuse_at(&pump, MAKE_NOW, TRUST_SERVER, "not for server authentication");
	/* Were `devices` made to sign serverAuth, its own EKU would still stop it, and the other way round. */
	make_leaf(&posing, (struct leaf){ "devices", OID_SERVER_AUTH, MAKE_P256, 0, 0, .no_usage = false });
	refuse_at(&posing, MAKE_NOW, TRUST_SERVER, "its authority is not for server authentication");
	make_leaf(&crossed, (struct leaf){ "servers", OID_CLIENT_AUTH, MAKE_RSA2048, 0, 0, .no_usage = false });
	refuse_at(&crossed, MAKE_NOW, TRUST_CLIENT, "its authority is not for client authentication");
}

static void test_wrong_or_no_purpose(void)
{
	static const char *const bad[] = { OID_SERVER_AUTH, OID_OCSP_SIGNING, OID_ANY_EKU, OID_EAP_OVER_LAN };

	set_up();
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		AUTO_BUF leaf = { 0 };

		make_leaf(&leaf, (struct leaf){ "devices", bad[i], MAKE_P256, 0, 0, .no_usage = false });
		refuse_at(&leaf, MAKE_NOW, TRUST_CLIENT, "it is not for client authentication");
	}
	AUTO_BUF leaf = { 0 };

	make_leaf(&leaf, (struct leaf){ "devices", NULL, MAKE_P256, 0, 0, .no_usage = false });
	refuse_at(&leaf, MAKE_NOW, TRUST_CLIENT, "does not say what it is for");
	refuse_at(&devices, MAKE_NOW, TRUST_CLIENT, "");
	refuse_at(&root, MAKE_NOW, TRUST_CLIENT, "");
}

static void test_dates(void)
{
	AUTO_BUF leaf = { 0 };
	AUTO_BUF long_lived = { 0 };
	struct err e = { 0 };

	set_up();
	make_leaf(&leaf, (struct leaf){ "devices", OID_CLIENT_AUTH, MAKE_P256, 0, 0, .no_usage = false });
	CU_ASSERT_TRUE(check_at(&leaf, MAKE_NOW, TRUST_CLIENT, &e));
	CU_ASSERT_TRUE(check_at(&leaf, MAKE_NOW - US_PER_DAY + US_PER_SECOND, TRUST_CLIENT, &e));
	CU_ASSERT_TRUE(check_at(&leaf, MAKE_NOW + US_PER_DAY - US_PER_SECOND, TRUST_CLIENT, &e));
	refuse_at(&leaf, MAKE_NOW + US_PER_DAY + US_PER_SECOND, TRUST_CLIENT, "it expired on 2026-11-25 10:00 UTC");
	refuse_at(&leaf, MAKE_NOW - US_PER_DAY - US_PER_SECOND, TRUST_CLIENT, "not valid yet");
	/* The leaf is good, its authority is over. */
	make_leaf(&long_lived, (struct leaf){ "devices", OID_CLIENT_AUTH, MAKE_P256, 0, MAKE_NOW + 80 * US_PER_DAY, .no_usage = false });
	refuse_at(&long_lived, MAKE_NOW + 40 * US_PER_DAY, TRUST_CLIENT, "its authority expired on 2026-12-24");
}

static void test_others_are_not_ours(void)
{
	AUTO_BUF foreign = { 0 };
	AUTO_BUF self = { 0 };
	AUTO_BUF same_name = { 0 };
	AUTO_BUF under_leaf = { 0 };
	AUTO_BUF critical = { 0 };
	struct err e = { 0 };

	set_up();
	make_leaf(&foreign, (struct leaf){ "somebody", OID_CLIENT_AUTH, MAKE_P521, 0, 0, .no_usage = false });
	refuse_at(&foreign, MAKE_NOW, TRUST_CLIENT, "not issued by this authority");
	make_leaf(&self, (struct leaf){ "pump-7", OID_CLIENT_AUTH, MAKE_P256_OTHER, 0, 0, .no_usage = false });
	refuse_at(&self, MAKE_NOW, TRUST_CLIENT, "not issued by this authority");
	/* Right issuer's name, another key; with the key identifier of the right one the signature must tell. */
	make_leaf(&same_name, (struct leaf){ "devices", OID_CLIENT_AUTH, MAKE_P521, 0, 0, .no_usage = false });
	refuse_at(&same_name, MAKE_NOW, TRUST_CLIENT, "");
	/* An anchor that the peer brings along counts for nothing. */
	make_leaf(&under_leaf, (struct leaf){ "root", OID_CLIENT_AUTH, MAKE_P521, 0, 0, .no_usage = false });
	CU_ASSERT_FALSE(trust_check(trust, span_of(&under_leaf), &(struct span){ stranger.p, stranger.n }, 1, MAKE_NOW,
	                            TRUST_CLIENT, &e));
	make_leaf(&critical, (struct leaf){ "devices", OID_CLIENT_AUTH, MAKE_P256, 0, 0, .extra_critical = "1.2.3.4" });
	refuse_at(&critical, MAKE_NOW, TRUST_CLIENT, "critical extension");
}

/* A device that signs for another: its certificate is no authority's, and `devices` may have none below it. */
static void test_a_device_signs_nothing__X509_41(void)
{
	AUTO_BUF below = { 0 };
	AUTO_BUF sub = { 0 };
	AUTO_BUF leaf = { 0 };
	struct err e = { 0 };
	struct span issuing[2], anchor;
	struct trust *wide = NULL;

	set_up();
	make_leaf(&leaf, (struct leaf){ "devices", OID_CLIENT_AUTH, MAKE_P256, 0, 0, .no_usage = false });
	make_leaf(&below, (struct leaf){ "pump-7", OID_CLIENT_AUTH, MAKE_P256_OTHER, 0, 0, .no_usage = false });
	issuing[0] = span_of(&devices);
	issuing[1] = span_of(&leaf);
	anchor = span_of(&root);
	CU_ASSERT_TRUE_FATAL(trust_new(&wide, &anchor, 1, issuing, 2, &e));
	CU_ASSERT_FALSE(trust_check(wide, span_of(&below), NULL, 0, MAKE_NOW, TRUST_CLIENT, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_BAD_CERT);
	trust_free(wide);
	below.n = 0;
	make_authority(&sub, "sub", MAKE_P521, "devices", MAKE_P256, true, OID_CLIENT_AUTH, 0);
	make_leaf(&below, (struct leaf){ "sub", OID_CLIENT_AUTH, MAKE_P521, 0, 0, .no_usage = false });
	issuing[1] = span_of(&sub);
	CU_ASSERT_TRUE_FATAL(trust_new(&wide, &anchor, 1, issuing, 2, &e));
	CU_ASSERT_FALSE(trust_check(wide, span_of(&below), NULL, 0, MAKE_NOW, TRUST_CLIENT, &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "path length"));
	trust_free(wide);
}

static void test_flipped_bits(void)
{
	AUTO_BUF leaf = { 0 };

	set_up();
	make_leaf(&leaf, (struct leaf){ "devices", OID_CLIENT_AUTH, MAKE_P256, 0, 0, .no_usage = false });
	for (size_t i = 0; i < leaf.n; i++) {
		leaf.p[i] ^= (uint8_t)(1 << i % 8);
		refuse_at(&leaf, MAKE_NOW, TRUST_CLIENT, "");
		leaf.p[i] ^= (uint8_t)(1 << i % 8);
	}
	for (size_t n = 0; n < leaf.n; n += 13) {
		struct buf cut = { leaf.p, n, n };

		refuse_at(&cut, MAKE_NOW, TRUST_CLIENT, "no certificate");
	}
	buf_byte(&leaf, 0);
	refuse_at(&leaf, MAKE_NOW, TRUST_CLIENT, "no certificate");
}

static void test_anchors_that_are_none(void)
{
	struct trust *t = NULL;
	struct err e = { 0 };
	struct span bad, good;

	set_up();
	good = span_of(&root);
	bad = (struct span){ root.p, root.n - 1 };
	CU_ASSERT_FALSE(trust_new(&t, &bad, 1, NULL, 0, &e));
	CU_ASSERT_FALSE(trust_new(&t, &good, 1, &bad, 1, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_BAD_CERT);
	CU_ASSERT_PTR_NULL(t);
	trust_free(NULL);
}

static void test_good_ones_hold__X509_41(void)
{
	AUTO_BUF pump = { 0 };
	AUTO_BUF radius = { 0 };
	struct err e = { 0 };

	set_up();
	make_leaf(&pump, (struct leaf){ "devices", OID_CLIENT_AUTH, MAKE_P256, 0, 0, .no_usage = false });
	make_leaf(&radius, (struct leaf){ "servers", OID_SERVER_AUTH, MAKE_RSA2048, 0, 0, .no_usage = false });
	CU_ASSERT_TRUE(check_at(&pump, MAKE_NOW, TRUST_CLIENT, &e));
	CU_ASSERT_TRUE(check_at(&radius, MAKE_NOW, TRUST_SERVER, &e));
	CU_ASSERT_TRUE(check_at(&radius, MAKE_NOW, TRUST_ANY, &e));
	CU_ASSERT_TRUE(check_at(&devices, MAKE_NOW, TRUST_ANY, &e));
}

/* Ours are known without OpenSSL: the price of one signature. */
static void test_ours_are_known(void)
{
	AUTO_BUF pump = { 0 };
	AUTO_BUF radius = { 0 };
	AUTO_BUF usual = { 0 };
	AUTO_BUF more = { 0 };

	set_up();
	EXTENSION(&more, OID_EXT_CDP, false, "\x30\x0e\x30\x0c\xa0\x0a\xa0\x08\x86\x06http:a");
	EXTENSION(&more, OID_EXT_AIA, false, "\x30\x14\x30\x12\x06\x08\x2b\x06\x01\x05\x05\x07\x30\x01\x86\x06http:a");
	make_leaf(&pump, (struct leaf){ "devices", OID_CLIENT_AUTH, MAKE_P256, 0, 0, .no_usage = false });
	make_leaf(&usual, (struct leaf){ "devices", OID_CLIENT_AUTH, MAKE_P256, 0, 0, .no_usage = false, .more = &more });
	make_leaf(&radius, (struct leaf){ "servers", OID_SERVER_AUTH, MAKE_RSA2048, 0, 0, .no_usage = false });
	CU_ASSERT_TRUE(known_at(&pump, MAKE_NOW, TRUST_CLIENT));
	CU_ASSERT_TRUE(known_at(&usual, MAKE_NOW, TRUST_CLIENT));
	CU_ASSERT_TRUE(known_at(&radius, MAKE_NOW, TRUST_SERVER));
	CU_ASSERT_FALSE(known_at(&pump, MAKE_NOW, TRUST_SERVER));
	CU_ASSERT_FALSE(known_at(&radius, MAKE_NOW, TRUST_CLIENT));
	CU_ASSERT_FALSE(known_at(&radius, MAKE_NOW, TRUST_ANY));
	/* The edges of both dates, to the second. */
	for (int64_t edge = -2; edge <= 2; edge++) {
		int64_t from = MAKE_NOW - US_PER_DAY + edge * US_PER_SECOND, to = MAKE_NOW + US_PER_DAY + edge * US_PER_SECOND;

		CU_ASSERT_EQUAL(known_at(&pump, from, TRUST_CLIENT), edge >= 0);
		CU_ASSERT_EQUAL(known_at(&pump, to, TRUST_CLIENT), edge < 0);
	}
}

/* What OpenSSL refuses, or might, is left to OpenSSL. */
static void test_refusals_stay_refusals(void)
{
	static const struct {
		const char *what, *oid;
		bool critical;
		const char *value;
		size_t n;
		bool refused;
	} extra[] = {
		{ "a critical extension that nobody knows", "1.2.3.4", true, "\x05\x00", 2, true },
		{ "one that nobody knows", "1.2.3.4", false, "\x05\x00", 2, false },
		{ "Netscape's type: a server", "2.16.840.1.113730.1.1", false, "\x03\x02\x06\x40", 4, true },
		{ "name constraints of a leaf", OID_EXT_NAME_CONSTRAINTS, true, "\x30\x00", 2, false },
		{ "a critical AIA", OID_EXT_AIA, true, "\x30\x00", 2, true },
		{ "a malformed CDP", OID_EXT_CDP, false, "\x05\x00", 2, true },
		{ "an empty CDP", OID_EXT_CDP, false, "\x30\x00", 2, false },
		{ "octets after the CDP", OID_EXT_CDP, false, "\x30\x0e\x30\x0c\xa0\x0a\xa0\x08\x86\x06http:a\x00", 17, false },
	};
	AUTO_BUF leaf = { 0 };
	AUTO_BUF large = { 0 };
	AUTO_BUF more = { 0 };
	AUTO_BUF padding = { 0 };
	AUTO_BUF authority = { 0 };
	struct span eight[8];
	struct err e = { 0 };

	set_up();
	for (size_t i = 0; i < COUNT_OF(extra); i++) {
		more.n = leaf.n = 0;
		make_extension(&more, extra[i].oid, extra[i].critical, extra[i].value, extra[i].n);
		make_leaf(&leaf, (struct leaf){ "devices", OID_CLIENT_AUTH, MAKE_P256, 0, 0, .no_usage = false, .more = &more });
		if (known_at(&leaf, MAKE_NOW, TRUST_CLIENT))
			CU_FAIL(extra[i].what);
		CU_ASSERT_TRUE(!extra[i].refused || !check_at(&leaf, MAKE_NOW, TRUST_CLIENT, &e));
	}
	/* keyUsage: keyCertSign, keyEncipherment alone, none. */
	leaf.n = 0;
	make_leaf(&leaf, (struct leaf){ "devices", OID_CLIENT_AUTH, MAKE_P256, 0, 0, .no_usage = false, .usage = "\x03\x02\x02\x84" });
	refuse_at(&leaf, MAKE_NOW, TRUST_CLIENT, "");
	leaf.n = 0;
	make_leaf(&leaf, (struct leaf){ "devices", OID_CLIENT_AUTH, MAKE_P256, 0, 0, .no_usage = false, .usage = "\x03\x02\x05\x20" });
	refuse_at(&leaf, MAKE_NOW, TRUST_CLIENT, "");
	leaf.n = 0;
	make_leaf(&leaf, (struct leaf){ "devices", OID_CLIENT_AUTH, MAKE_P256, 0, 0, .no_usage = true });
	CU_ASSERT_FALSE(known_at(&leaf, MAKE_NOW, TRUST_CLIENT));
	/* An authority as a leaf. */
	make_authority(&authority, "below", MAKE_P256_OTHER, "devices", MAKE_P256, true, OID_CLIENT_AUTH, 0);
	refuse_at(&authority, MAKE_NOW, TRUST_CLIENT, "");
	/* Over the size: never read. */
	buf_reserve(&padding, CERT_MAX);
	memset(padding.p, 0, CERT_MAX);
	padding.n = CERT_MAX;
	more.n = leaf.n = 0;
	make_extension(&more, "1.2.3.4", false, padding.p, padding.n);
	make_leaf(&large, (struct leaf){ "devices", OID_CLIENT_AUTH, MAKE_P256, 0, 0, .no_usage = false, .more = &more });
	refuse_at(&large, MAKE_NOW, TRUST_CLIENT, "no certificate");
	/* What a stranger sends along, eight of it, neither helps him nor harms one of ours. */
	for (int i = 0; i < 8; i++)
		eight[i] = span_of(i % 2 == 0 ? &stranger : &devices);
	make_leaf(&leaf, (struct leaf){ "root", OID_CLIENT_AUTH, MAKE_P521, 0, 0, .no_usage = false });
	CU_ASSERT_FALSE(trust_check(trust, span_of(&leaf), eight, 8, MAKE_NOW, TRUST_CLIENT, &e));
	leaf.n = 0;
	make_leaf(&leaf, (struct leaf){ "devices", OID_CLIENT_AUTH, MAKE_P256, 0, 0, .no_usage = false });
	CU_ASSERT_TRUE(trust_check(trust, span_of(&leaf), eight, 8, MAKE_NOW, TRUST_CLIENT, &e));
}

/* An authority whose path says more than dates and purposes is judged by OpenSSL each time. */
static void test_constrained_authorities_are_not_known(void)
{
	AUTO_BUF ext = { 0 };
	AUTO_BUF inner = { 0 };
	AUTO_BUF leaf = { 0 };
	struct span issuing, anchor;
	struct trust *narrow = NULL;
	struct err e = { 0 };

	set_up();
	EXTENSION(&ext, OID_EXT_BASIC_CONSTRAINTS, true, "\x30\x06\x01\x01\xff\x02\x01\x00");
	EXTENSION(&ext, OID_EXT_KEY_USAGE, true, "\x03\x02\x01\x06");
	key_ids(&ext, MAKE_P256, MAKE_P384);
	EXTENSION(&ext, OID_EXT_NAME_CONSTRAINTS, true, "\x30\x10\xa0\x0e\x30\x0c\x82\x0aother.test");
	make_cert(&inner, &(struct make_cert){ .key = make_key(MAKE_P256), .signer = make_key(MAKE_P384), .subject = "devices",
	                                       .issuer = "root", .extensions = &ext });
	issuing = span_of(&inner);
	anchor = span_of(&root);
	CU_ASSERT_TRUE_FATAL(trust_new(&narrow, &anchor, 1, &issuing, 1, &e));
	make_leaf(&leaf, (struct leaf){ "devices", OID_CLIENT_AUTH, MAKE_P256, 0, 0, .no_usage = false });
	CU_ASSERT_FALSE(trust_knows(narrow, span_of(&leaf), MAKE_NOW, TRUST_CLIENT));
	CU_ASSERT_FALSE(trust_check(narrow, span_of(&leaf), NULL, 0, MAKE_NOW, TRUST_CLIENT, &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "permitted subtree violation"));
	trust_free(narrow);
}

/* Every octet of what is signed is changed, and signed again by the right authority: known only where OpenSSL takes it. */
static void test_known_means_taken_by_openssl(void)
{
	static const uint8_t flips[] = { 0x01, 0x04, 0x20, 0x80 };
	AUTO_BUF leaf = { 0 };
	AUTO_BUF alg = { 0 };
	AUTO_BUF more = { 0 };
	struct cert c;
	unsigned known = 0, taken = 0;

	set_up();
	EXTENSION(&more, OID_EXT_CDP, false, "\x30\x0e\x30\x0c\xa0\x0a\xa0\x08\x86\x06http:a");
	make_leaf(&leaf, (struct leaf){ "devices", OID_CLIENT_AUTH, MAKE_P256, 0, 0, .no_usage = false, .more = &more });
	CU_ASSERT_TRUE_FATAL(cert_parse(&c, leaf.p, leaf.n, NULL));
	sig_alg_der(&alg, SIG_ECDSA_SHA256);
	for (size_t i = 0; i < c.tbs.n * COUNT_OF(flips); i++) {
		AUTO_BUF tbs = { 0 };
		AUTO_BUF other = { 0 };
		bool key_octet;

		buf_add(&tbs, c.tbs.p, c.tbs.n);
		tbs.p[i / COUNT_OF(flips)] ^= flips[i % COUNT_OF(flips)];
		make_signed(&other, &tbs, &alg, make_key(MAKE_P256), "SHA256");
		/* The point: that it is on the curve is proven in the handshake and was looked at before it was certified. */
		key_octet = c.tbs.p + i / COUNT_OF(flips) >= c.key.point.p && c.tbs.p + i / COUNT_OF(flips) < c.key.point.p + c.key.point.n;
		if (key_octet)
			continue;
		known += known_at(&other, MAKE_NOW, TRUST_CLIENT);
		taken += openssl_takes(&other, MAKE_NOW, TRUST_CLIENT);
	}
	/* Serial numbers, names and key identifiers may be others; were none known, nothing would have been compared. */
	CU_ASSERT_TRUE(known > 50 && known <= taken);
}

struct worker {
	const struct buf *leaf;
	bool good;
};

static void *work(void *arg)
{
	struct worker *w = arg;

	w->good = true;
	for (int i = 0; i < 20; i++)
		w->good &= trust_check(trust, span_of(w->leaf), NULL, 0, MAKE_NOW, TRUST_CLIENT, NULL) &&
		           !trust_check(trust, span_of(w->leaf), NULL, 0, MAKE_NOW, TRUST_SERVER, NULL);
	return NULL;
}

static void test_many_threads_share_a_trust(void)
{
	AUTO_BUF leaf = { 0 };
	struct worker w[4];
	pthread_t thread[4];

	set_up();
	make_leaf(&leaf, (struct leaf){ "devices", OID_CLIENT_AUTH, MAKE_P256, 0, 0, .no_usage = false });
	for (int i = 0; i < 4; i++) {
		w[i].leaf = &leaf;
		CU_ASSERT_EQUAL_FATAL(pthread_create(&thread[i], NULL, work, &w[i]), 0);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(thread[i], NULL);
		CU_ASSERT_TRUE(w[i].good);
	}
	trust_free(trust);
	buf_free(&root);
	buf_free(&devices);
	buf_free(&servers);
	buf_free(&stranger);
	make_free();
}

static const struct cu_case table[] = {
	{ "test_a_pump_is_no_server__X509_41", test_a_pump_is_no_server__X509_41 },
	{ "test_wrong_or_no_purpose", test_wrong_or_no_purpose },
	{ "test_dates", test_dates },
	{ "test_others_are_not_ours", test_others_are_not_ours },
	{ "test_a_device_signs_nothing__X509_41", test_a_device_signs_nothing__X509_41 },
	{ "test_flipped_bits", test_flipped_bits },
	{ "test_anchors_that_are_none", test_anchors_that_are_none },
	{ "test_good_ones_hold__X509_41", test_good_ones_hold__X509_41 },
	{ "test_ours_are_known", test_ours_are_known },
	{ "test_refusals_stay_refusals", test_refusals_stay_refusals },
	{ "test_constrained_authorities_are_not_known", test_constrained_authorities_are_not_known },
	{ "test_known_means_taken_by_openssl", test_known_means_taken_by_openssl },
	{ "test_many_threads_share_a_trust", test_many_threads_share_a_trust },
};

CU_MAIN(table)
