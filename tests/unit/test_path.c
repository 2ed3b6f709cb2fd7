/* SPDX-License-Identifier: Apache-2.0 */
#include "pkix/cert.h"

#include "tests/cu.h"

#include "tests/unit/pkix_make.h"

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
};

static void make_leaf(struct buf *out, struct leaf l)
{
	AUTO_BUF ext = { 0 };

	EXTENSION(&ext, OID_EXT_BASIC_CONSTRAINTS, true, "\x30\x00");
	if (!l.no_usage)
		EXTENSION(&ext, OID_EXT_KEY_USAGE, true, "\x03\x02\x07\x80");
	key_ids(&ext, MAKE_P256_OTHER, l.signer);
	if (l.eku != NULL)
		make_eku(&ext, l.eku);
	make_san_dns(&ext, "pump-7.example");
	if (l.extra_critical != NULL)
		EXTENSION(&ext, l.extra_critical, true, "\x05\x00");
	make_cert(out, &(struct make_cert){ .key = make_key(MAKE_P256_OTHER), .signer = make_key(l.signer),
	                                    .subject = "pump-7", .issuer = l.issuer, .extensions = &ext,
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
	make_leaf(&pump, (struct leaf){ "devices", OID_CLIENT_AUTH, MAKE_P256, 0, 0, false, NULL });
	refuse_at(&pump, MAKE_NOW, TRUST_SERVER, "not for server authentication");
	/* Were `devices` made to sign serverAuth, its own EKU would still stop it, and the other way round. */
	make_leaf(&posing, (struct leaf){ "devices", OID_SERVER_AUTH, MAKE_P256, 0, 0, false, NULL });
	refuse_at(&posing, MAKE_NOW, TRUST_SERVER, "its authority is not for server authentication");
	make_leaf(&crossed, (struct leaf){ "servers", OID_CLIENT_AUTH, MAKE_RSA2048, 0, 0, false, NULL });
	refuse_at(&crossed, MAKE_NOW, TRUST_CLIENT, "its authority is not for client authentication");
}

static void test_wrong_or_no_purpose(void)
{
	static const char *const bad[] = { OID_SERVER_AUTH, OID_OCSP_SIGNING, OID_ANY_EKU, OID_EAP_OVER_LAN };

	set_up();
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		AUTO_BUF leaf = { 0 };

		make_leaf(&leaf, (struct leaf){ "devices", bad[i], MAKE_P256, 0, 0, false, NULL });
		refuse_at(&leaf, MAKE_NOW, TRUST_CLIENT, "it is not for client authentication");
	}
	AUTO_BUF leaf = { 0 };

	make_leaf(&leaf, (struct leaf){ "devices", NULL, MAKE_P256, 0, 0, false, NULL });
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
	make_leaf(&leaf, (struct leaf){ "devices", OID_CLIENT_AUTH, MAKE_P256, 0, 0, false, NULL });
	CU_ASSERT_TRUE(check_at(&leaf, MAKE_NOW, TRUST_CLIENT, &e));
	CU_ASSERT_TRUE(check_at(&leaf, MAKE_NOW - US_PER_DAY + US_PER_SECOND, TRUST_CLIENT, &e));
	CU_ASSERT_TRUE(check_at(&leaf, MAKE_NOW + US_PER_DAY - US_PER_SECOND, TRUST_CLIENT, &e));
	refuse_at(&leaf, MAKE_NOW + US_PER_DAY + US_PER_SECOND, TRUST_CLIENT, "it expired on 2026-11-25 10:00 UTC");
	refuse_at(&leaf, MAKE_NOW - US_PER_DAY - US_PER_SECOND, TRUST_CLIENT, "not valid yet");
	/* The leaf is good, its authority is over. */
	make_leaf(&long_lived, (struct leaf){ "devices", OID_CLIENT_AUTH, MAKE_P256, 0, MAKE_NOW + 80 * US_PER_DAY, false, NULL });
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
	make_leaf(&foreign, (struct leaf){ "somebody", OID_CLIENT_AUTH, MAKE_P521, 0, 0, false, NULL });
	refuse_at(&foreign, MAKE_NOW, TRUST_CLIENT, "not issued by this authority");
	make_leaf(&self, (struct leaf){ "pump-7", OID_CLIENT_AUTH, MAKE_P256_OTHER, 0, 0, false, NULL });
	refuse_at(&self, MAKE_NOW, TRUST_CLIENT, "not issued by this authority");
	/* Right issuer's name, another key; with the key identifier of the right one the signature must tell. */
	make_leaf(&same_name, (struct leaf){ "devices", OID_CLIENT_AUTH, MAKE_P521, 0, 0, false, NULL });
	refuse_at(&same_name, MAKE_NOW, TRUST_CLIENT, "");
	/* An anchor that the peer brings along counts for nothing. */
	make_leaf(&under_leaf, (struct leaf){ "root", OID_CLIENT_AUTH, MAKE_P521, 0, 0, false, NULL });
	CU_ASSERT_FALSE(trust_check(trust, span_of(&under_leaf), &(struct span){ stranger.p, stranger.n }, 1, MAKE_NOW,
	                            TRUST_CLIENT, &e));
	make_leaf(&critical, (struct leaf){ "devices", OID_CLIENT_AUTH, MAKE_P256, 0, 0, false, "1.2.3.4" });
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
	make_leaf(&leaf, (struct leaf){ "devices", OID_CLIENT_AUTH, MAKE_P256, 0, 0, false, NULL });
	make_leaf(&below, (struct leaf){ "pump-7", OID_CLIENT_AUTH, MAKE_P256_OTHER, 0, 0, false, NULL });
	issuing[0] = span_of(&devices);
	issuing[1] = span_of(&leaf);
	anchor = span_of(&root);
	CU_ASSERT_TRUE_FATAL(trust_new(&wide, &anchor, 1, issuing, 2, &e));
	CU_ASSERT_FALSE(trust_check(wide, span_of(&below), NULL, 0, MAKE_NOW, TRUST_CLIENT, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_BAD_CERT);
	trust_free(wide);
	below.n = 0;
	make_authority(&sub, "sub", MAKE_P521, "devices", MAKE_P256, true, OID_CLIENT_AUTH, 0);
	make_leaf(&below, (struct leaf){ "sub", OID_CLIENT_AUTH, MAKE_P521, 0, 0, false, NULL });
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
	make_leaf(&leaf, (struct leaf){ "devices", OID_CLIENT_AUTH, MAKE_P256, 0, 0, false, NULL });
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
	make_leaf(&pump, (struct leaf){ "devices", OID_CLIENT_AUTH, MAKE_P256, 0, 0, false, NULL });
	make_leaf(&radius, (struct leaf){ "servers", OID_SERVER_AUTH, MAKE_RSA2048, 0, 0, false, NULL });
	CU_ASSERT_TRUE(check_at(&pump, MAKE_NOW, TRUST_CLIENT, &e));
	CU_ASSERT_TRUE(check_at(&radius, MAKE_NOW, TRUST_SERVER, &e));
	CU_ASSERT_TRUE(check_at(&radius, MAKE_NOW, TRUST_ANY, &e));
	CU_ASSERT_TRUE(check_at(&devices, MAKE_NOW, TRUST_ANY, &e));
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
	make_leaf(&leaf, (struct leaf){ "devices", OID_CLIENT_AUTH, MAKE_P256, 0, 0, false, NULL });
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
	{ "test_many_threads_share_a_trust", test_many_threads_share_a_trust },
};

CU_MAIN(table)
