/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/cu.h"

#include "base/clock.h"
#include "ra/limiter.h"
#include "ra/password.h"
#include "ra/policy.h"
#include "base/rnd.h"

#include <stdlib.h>

static struct profile device(void)
{
	struct profile p = { .name = "device", .authority = "devices", .doors = DOOR_EST, .validity = 90 * US_PER_DAY,
		             .min_validity = US_PER_DAY, .backdate = 5 * US_PER_MINUTE, .clamp = true, .key_types = 31,
		             .rsa_min_bits = 2048, .eku_n = 2, .san_types = 1 << SAN_DNS | 1 << SAN_IP | 1 << SAN_EMAIL };

	strcpy(p.eku[0], "1.3.6.1.5.5.7.3.2");
	strcpy(p.eku[1], "1.3.6.1.5.5.7.3.14");
	return p;
}

/* A CSR as the parser would leave it. */
static struct csr *csr_of(const char *cn, const char *const *sans)
{
	struct csr *c = mem_new(sizeof *c);

	c->key.type = KEY_P256;
	if (cn != NULL)
		(void)!dn_add(&c->dn, DN_CN, cn);
	for (; sans != NULL && *sans != NULL; sans++) {
		c->has_san = true;
		if (san_from_text(&c->san.v[c->san.n], *sans, false, NULL))
			c->san.n++;
	}
	return c;
}

static bool grants(const struct profile *p, const char *cn, const char *const *sans, const char *rule, struct grant *g, struct err *e)
{
	struct csr *c = csr_of(cn, sans);
	struct san one;
	struct policy_names n = { .name = "pump-7", .rule = &one };
	bool good;

	if (rule != NULL)
		n.rule_n = san_from_text(&one, rule, true, NULL) ? 1 : 0;
	good = policy_grant(g, p, &n, c, e);
	free(c);
	return good;
}

static const struct {
	const char *cn, *san, *rule;
	bool granted;
} names[] = {
	{ "pump-7", NULL, NULL, true },
	{ NULL, NULL, NULL, true },
	{ "PUMP-7", "dns:pump-7", NULL, true },
	{ "other", NULL, NULL, false },
	{ "pump-7", "dns:other.example", NULL, false },
	{ "pump-7", "dns:a.ward3.example", "dns:*.ward3.example", true },
	{ "a.b.ward3.example", "dns:a.b.ward3.example", "dns:*.ward3.example", true },
	{ "pump-7", "dns:ward3.example", "dns:*.ward3.example", false },
	{ "pump-7", "dns:award3.example", "dns:*.ward3.example", false },
	{ "pump-7", "dns:a.ward3.example.org", "dns:*.ward3.example", false },
	{ "pump-7", "dns:anything.example", "dns:*", true },
	{ "pump-7", "ip:192.0.2.7", "dns:*", false },
	{ "pump-7", "ip:192.0.2.7", "ip:192.0.2.7", true },
	{ "pump-7", "ip:192.0.2.8", "ip:192.0.2.7", false },
	{ "pump-7", "email:nurse@ward3.example", "email:nurse@ward3.example", true },
	{ "pump-7", "email:doctor@ward3.example", "email:nurse@ward3.example", false },
	{ "pump-7", "uri:https://a.example/x", "uri:https://a.example/x", false }, /* the profile has no URIs */
	{ "pump-7", "dns:*.ward3.example", "dns:*.ward3.example", false },         /* the profile takes no wildcards */
};

static void test_names_are_what_the_device_may_have__X509_30__X509_33(void)
{
	struct profile p = device();

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		const char *sans[] = { names[i].san, NULL };
		struct grant *g = mem_new(sizeof *g);
		struct err e = { 0 };
		bool got = grants(&p, names[i].cn, names[i].san != NULL ? sans : NULL, names[i].rule, g, &e);

		if (got != names[i].granted)
			fprintf(stderr, "row %zu: %s\n", i, e.text);
		CU_ASSERT_EQUAL(got, names[i].granted);
		CU_ASSERT_TRUE(got || e.kind == ERR_BAD_NAME);
		free(g);
	}
}

static void test_a_refused_name_is_named(void)
{
	struct profile p = device();
	struct grant *g = mem_new(sizeof *g);
	struct err e = { 0 };

	CU_ASSERT_FALSE(grants(&p, "pump-7", (const char *const[]){ "dns:gw.example", NULL }, NULL, g, &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "gw.example"));
	free(g);
}

static void test_name_becomes_the_dns_name_when_none_is_asked(void)
{
	struct profile p = device();
	struct grant *g = mem_new(sizeof *g);
	struct err e;

	CU_ASSERT_TRUE(grants(&p, NULL, NULL, NULL, g, &e));
	CU_ASSERT_EQUAL(g->san.n, 1);
	CU_ASSERT_STRING_EQUAL(g->san.v[0].value, "pump-7");
	CU_ASSERT_STRING_EQUAL(dn_first(&g->subject, DN_CN), "pump-7");
	free(g);
}

static void test_requests_for_an_authority_are_refused__X509_33(void)
{
	struct policy_names n = { .name = "pump-7" };
	struct profile p = device();
	struct grant *g = mem_new(sizeof *g);

	for (int i = 0; i < 3; i++) {
		struct csr *c = csr_of("pump-7", NULL);
		struct err e = { 0 };

		c->asks_ca = i == 0;
		c->asks_constraints = i == 1;
		c->asks_policies = i == 2;
		CU_ASSERT_FALSE(policy_grant(g, &p, &n, c, &e));
		CU_ASSERT_EQUAL(e.kind, ERR_POLICY);
		free(c);
	}
	free(g);
}

static void test_purposes_only_narrow__X509_16(void)
{
	static const uint8_t client[] = { 0x30, 0x0a, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 2 };
	static const uint8_t server[] = { 0x30, 0x0a, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1 };
	struct policy_names n = { .name = "pump-7" };
	struct profile p = device();
	struct grant *g = mem_new(sizeof *g);
	struct csr *c = csr_of("pump-7", NULL);
	struct err e = { 0 };

	c->eku = (struct span){ client, sizeof client };
	CU_ASSERT_TRUE(policy_grant(g, &p, &n, c, &e));
	CU_ASSERT_EQUAL(g->eku_mask, 1);
	c->eku = (struct span){ server, sizeof server };
	CU_ASSERT_FALSE(policy_grant(g, &p, &n, c, &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "1.3.6.1.5.5.7.3.1"));
	free(c);
	free(g);
}

static void test_keys_outside_the_profile_are_refused(void)
{
	struct policy_names n = { .name = "pump-7" };
	struct profile p = device();
	struct grant *g = mem_new(sizeof *g);
	struct csr *c = csr_of("pump-7", NULL);
	struct err e = { 0 };

	p.key_types = KEY_P256 | KEY_RSA;
	p.rsa_min_bits = 3072;
	c->key.type = KEY_P384;
	CU_ASSERT_FALSE(policy_grant(g, &p, &n, c, &e));
	c->key.type = KEY_RSA;
	c->key.bits = 2048;
	CU_ASSERT_FALSE(policy_grant(g, &p, &n, c, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_BAD_KEY);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "3072"));
	free(c);
	free(g);
}

static void test_cn_of_servers_is_one_of_the_names_or_dropped__X509_32(void)
{
	static const char host[] = "dns:a-host-name-that-is-longer-than-sixty-four-characters.radiology.example";
	struct profile p = device();
	struct policy_names n = { .name = "officer", .any = true };
	struct grant *g = mem_new(sizeof *g);
	struct err e = { 0 };
	struct csr *c;

	p.cn = CN_MUST_BE_SAN;
	p.san_required = true;
	c = csr_of("radius.example", (const char *const[]){ "dns:radius.example", NULL });
	CU_ASSERT_TRUE(policy_grant(g, &p, &n, c, &e));
	free(c);
	c = csr_of("other.example", (const char *const[]){ "dns:radius.example", NULL });
	CU_ASSERT_FALSE(policy_grant(g, &p, &n, c, &e));
	free(c);
	c = csr_of(host + 4, (const char *const[]){ host, NULL });
	CU_ASSERT_TRUE(policy_grant(g, &p, &n, c, &e));
	CU_ASSERT_PTR_NULL(dn_first(&g->subject, DN_CN));
	CU_ASSERT_TRUE(g->cn_dropped);
	free(c);
	c = csr_of("not a host", NULL);
	CU_ASSERT_FALSE(policy_grant(g, &p, &n, c, &e));
	free(c);
	free(g);
}

static void test_validity_counts_both_ends__X509_06(void)
{
	struct profile p = device();
	struct validity v;
	struct err e;
	int64_t now = INT64_C(1800000000123456), start = now - 365 * US_PER_DAY, end = now + 3650 * US_PER_DAY;

	CU_ASSERT_TRUE(policy_validity(&v, &p, start, end, now, &e));
	CU_ASSERT_EQUAL(v.not_after - v.not_before + US_PER_SECOND, p.validity);
	CU_ASSERT_EQUAL(v.not_before % US_PER_SECOND, 0);
	CU_ASSERT_EQUAL(v.not_before, now - 123456 - 5 * US_PER_MINUTE);
	CU_ASSERT_FALSE(v.clamped);
	/* Never before the issuer. */
	CU_ASSERT_TRUE(policy_validity(&v, &p, now - 123456 - US_PER_MINUTE, end, now, &e));
	CU_ASSERT_EQUAL(v.not_before, now - 123456 - US_PER_MINUTE);
}

static void test_clamp_or_reject_at_the_issuers_end__X509_07(void)
{
	struct profile p = device();
	struct validity v;
	struct err e = { 0 };
	int64_t now = INT64_C(1800000000000000), start = now - 365 * US_PER_DAY;

	CU_ASSERT_TRUE(policy_validity(&v, &p, start, now + 10 * US_PER_DAY, now, &e));
	CU_ASSERT_TRUE(v.clamped);
	CU_ASSERT_EQUAL(v.not_after, now + 10 * US_PER_DAY);
	CU_ASSERT_FALSE(policy_validity(&v, &p, start, now + US_PER_HOUR, now, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_POLICY);
	p.clamp = false;
	CU_ASSERT_FALSE(policy_validity(&v, &p, start, now + 10 * US_PER_DAY, now, &e));
}

/* --- Passwords and the limiter, ra's other pure parts */

static void fill(void *out, unsigned long n)
{
	rnd_kernel(out, n);
}

static void test_passwords_are_long_and_typed_easily__EST_30(void)
{
	char a[PASSWORD_SIZE], b[PASSWORD_SIZE];
	uint8_t salt[16] = { 7 }, hash[32];

	password_make(fill, a);
	password_make(fill, b);
	CU_ASSERT_EQUAL(strlen(a), 32);
	CU_ASSERT_STRING_NOT_EQUAL(a, b);
	password_hash(a, salt, hash);
	CU_ASSERT_TRUE(password_fits(a, salt, hash));
	for (char *s = a; *s != 0; s++)
		if (*s >= 'a' && *s <= 'z')
			*s = (char)(*s - 'a' + 'A');
	CU_ASSERT_TRUE(password_fits(a, salt, hash));
	CU_ASSERT_FALSE(password_fits(b, salt, hash));
	CU_ASSERT_FALSE(password_fits("", salt, hash));
	salt[0]++;
	CU_ASSERT_FALSE(password_fits(a, salt, hash));
}

static void test_guessing_is_limited_by_name_and_source__EST_30(void)
{
	struct limiter *l = limiter_new();
	struct err e = { 0 };
	char name[32];

	for (int i = 0; i < 5; i++) {
		CU_ASSERT_TRUE(limiter_allows(l, "pump-7", "192.0.2.1", 1, &e));
		limiter_failed(l, "pump-7", "192.0.2.1", 1);
	}
	CU_ASSERT_FALSE(limiter_allows(l, "PUMP-7", "192.0.2.1", 2, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_RATE);
	CU_ASSERT_TRUE(e.retry_after > 0 && e.retry_after <= 901);
	CU_ASSERT_TRUE(limiter_allows(l, "pump-8", "192.0.2.1", 2, &e));
	/* Whoever guesses elsewhere locks nobody out; many together do. */
	CU_ASSERT_TRUE(limiter_allows(l, "pump-7", "192.0.2.2", 2, &e));
	for (int i = 0; i < 95; i++) {
		snprintf(name, sizeof name, "198.51.100.%d", i);
		limiter_failed(l, "pump-7", name, 3);
	}
	CU_ASSERT_FALSE(limiter_allows(l, "pump-7", "192.0.2.2", 4, &e));
	CU_ASSERT_TRUE(limiter_allows(l, "pump-7", "192.0.2.2", 16 * US_PER_MINUTE, &e));
	for (int i = 0; i < 60; i++) {
		snprintf(name, sizeof name, "guess-%d", i);
		limiter_failed(l, name, "192.0.2.9", 20 * US_PER_MINUTE);
	}
	CU_ASSERT_FALSE(limiter_allows(l, "fresh", "192.0.2.9", 20 * US_PER_MINUTE, &e));
	limiter_passed(l, "pump-7", "192.0.2.2");
	limiter_free(l);
}

static const struct cu_case cases[] = {
	{ "names", test_names_are_what_the_device_may_have__X509_30__X509_33 },
	{ "named", test_a_refused_name_is_named },
	{ "default name", test_name_becomes_the_dns_name_when_none_is_asked },
	{ "authority", test_requests_for_an_authority_are_refused__X509_33 },
	{ "purposes", test_purposes_only_narrow__X509_16 },
	{ "keys", test_keys_outside_the_profile_are_refused },
	{ "server cn", test_cn_of_servers_is_one_of_the_names_or_dropped__X509_32 },
	{ "validity", test_validity_counts_both_ends__X509_06 },
	{ "clamp", test_clamp_or_reject_at_the_issuers_end__X509_07 },
	{ "passwords", test_passwords_are_long_and_typed_easily__EST_30 },
	{ "limiter", test_guessing_is_limited_by_name_and_source__EST_30 },
};
CU_MAIN(cases)
