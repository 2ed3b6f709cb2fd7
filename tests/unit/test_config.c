/* SPDX-License-Identifier: Apache-2.0
 *
 * caduceus.yaml and profiles: every mistake with its line and what would be right, all at once. */
#include "base/clock.h"
#include "config/config.h"
#include "config/profile.h"
#include "config/yaml_file.h"
#include "tests/cu.h"

#include <stdlib.h>
#include <unistd.h>

static char dir[64];

static void begin(void)
{
	strcpy(dir, "/tmp/cad-config-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
}

static void end(void)
{
	char path[128];

	snprintf(path, sizeof path, "%s/caduceus.yaml", dir);
	unlink(path);
	CU_ASSERT_EQUAL(rmdir(dir), 0);
}

static bool load(const char *text, struct config *c, struct buf *mistakes)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof path, "%s/caduceus.yaml", dir);
	f = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
	mistakes->n = 0;
	return config_load(c, dir, mistakes);
}

static void test_config_mistakes__OPS_08(void)
{
	static const struct {
		const char *text, *says;
	} t[] = {
		{ "colour: red\n", "caduceus.yaml:1: " },
		{ "listen:\n  enrol: 0.0.0.0:8443\n", "listen.enroll" },
		{ "listen.enroll: 8443\n", ":1: " },
		{ "listen:\n  enroll: 0.0.0.0:0\n", ":2: " },
		{ "listen:\n  enroll: 0.0.0.0:65536\n", ":2: " },
		{ "listen:\n  enroll: ::1:8443\n", ":2: " },
		{ "listen:\n  enroll: host name:1\n", ":2: " },
		{ "public:\n  enroll: http://a\n", "https://" },
		{ "public:\n  va: https://a\n", "http://" },
		{ "public:\n  va: http://a/path\n", ":2: " },
		{ "public:\n  va: http://\n", ":2: " },
		{ "public:\n  va: http://a:99999\n", ":2: " },
		{ "organization: ''\n", ":1: " },
		{ "organization: 01234567890123456789012345678901234567890123456789012345678901234\n", ":1: " },
		{ "hsm:\n  pin: '1234'\n", ":2: " },
		{ "hsm:\n  sessions: many\n", ":2: " },
		{ "hsm:\n  sessions: -1\n", ":2: " },
		{ "hsm:\n  sessions: 1025\n", ":2: " },
		{ "database: mysql:x\n", ":1: " },
		{ "ocsp:\n  key: paper\n", ":2: " },
		{ "ocsp:\n  lifetime: 8\n", ":2: " },
		{ "ocsp:\n  lifetime: 8 h\n", ":2: " },
		{ "ocsp:\n  lifetime: 30s\n", ":2: " },
		{ "ocsp:\n  lifetime: 99999999999999999999h\n", ":2: " },
		{ "crl:\n  lifetime: 1h\n  interval: 24h\n", "interval" },
		{ "log:\n  level: loud\n", "debug" },
		{ "log:\n  json: maybe\n", "true" },
		{ "log: loud\n", ":1: " },
		{ "acme:\n  eab: perhaps\n", "required" },
		{ "acme:\n  networks: intranet\n", "'intranet' is neither private, public nor a network" },
		{ "acme:\n  networks: private 10.0.0.1/8\n", "10.0.0.1/8" },
		{ "acme:\n  resolver: dns.hospital.example\n", "HOST:PORT" },
		{ "acme:\n  resolver: fd00::53:53\n", "HOST:PORT" },
		{ "est:\n  max_body: 1\n", ":2: " },
		{ "organization: [a, b]\n", ":1: " },
		{ "organization: a\norganization: b\n", ":2: " },
		{ "organization: &x a\n", ":1: " },
		{ "a: {b: {c: d}}\n", ":1: " },
		{ "- a\n", ":1: " },
		{ "organization: a\n---\norganization: b\n", "one" },
		{ "organization: 'a\n", "caduceus.yaml:" },
		{ "\torganization: a\n", ":1: " },
		{ "organization: \"a\\nb\"\n", ":1: " },
	};
	AUTO_BUF mistakes = { 0 };
	struct config *c = malloc(sizeof *c);

	begin();
	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		bool good = load(t[i].text, c, &mistakes);
		const char *said = buf_str(&mistakes);

		if (good || strstr(said, t[i].says) == NULL)
			fprintf(stderr, "%s-> %d \"%s\"\n", t[i].text, good, said);
		CU_ASSERT_FALSE(good);
		CU_ASSERT_PTR_NOT_NULL(strstr(said, t[i].says));
	}
	free(c);
	end();
}

static void test_all_mistakes_at_once__OPS_08(void)
{
	AUTO_BUF mistakes = { 0 };
	struct config *c = malloc(sizeof *c);
	const char *said;

	begin();
	CU_ASSERT_FALSE(load("colour: red\nlisten:\n  va: nowhere\nlog:\n  level: loud\n  jsn: true\n", c, &mistakes));
	said = buf_str(&mistakes);
	for (const char *const *s = (const char *const[]){ ":1: ", ":3: ", ":5: ", ":6: ", "log.json", NULL }; *s != NULL; s++)
		CU_ASSERT_PTR_NOT_NULL(strstr(said, *s));
	free(c);
	end();
}

static void test_a_file_that_is_not_there__OPS_08(void)
{
	AUTO_BUF mistakes = { 0 };
	struct config *c = malloc(sizeof *c);

	CU_ASSERT_FALSE(config_load(c, "/nonexistent/caduceus", &mistakes));
	CU_ASSERT_PTR_NOT_NULL(strstr(buf_str(&mistakes), "/nonexistent/caduceus"));
	free(c);
}

static void test_what_init_writes_is_read_back__OPS_08(void)
{
	static const char *const set[] = { "organization=St. Hedwig: \"Klinik\" #1", "listen.enroll=[::1]:9443", "public.va=http://[::1]:8080",
		                           "crl.lifetime=48h", "log.json=true" };
	static const char *const wrong[] = { "organization", "colour=red", "listen.va=", "log.level=loud" };
	AUTO_BUF text = { 0 };
	AUTO_BUF mistakes = { 0 };
	struct config *c = malloc(sizeof *c);
	char host[64];
	uint16_t port;

	begin();
	CU_ASSERT_TRUE_FATAL(config_write(&text, set, sizeof set / sizeof set[0], &mistakes));
	CU_ASSERT_TRUE_FATAL(load(buf_str(&text), c, &mistakes));
	CU_ASSERT_STRING_EQUAL(c->organization, "St. Hedwig: \"Klinik\" #1");
	CU_ASSERT_STRING_EQUAL(c->listen_enroll, "[::1]:9443");
	CU_ASSERT_EQUAL(c->crl_lifetime, 48 * US_PER_HOUR);
	CU_ASSERT_TRUE(c->log_json);
	CU_ASSERT_STRING_EQUAL(c->listen_va, "0.0.0.0:8080");
	CU_ASSERT_TRUE(config_host_port(c->listen_enroll, host, sizeof host, &port));
	CU_ASSERT_TRUE(strcmp(host, "::1") == 0 && port == 9443);
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		text.n = mistakes.n = 0;
		CU_ASSERT_FALSE(config_write(&text, wrong + i, 1, &mistakes));
		CU_ASSERT_TRUE(mistakes.n != 0);
	}
	free(c);
	end();
}

/* --- Profiles */

#define GOOD "name: pump\nauthority: devices\ndoors: [est]\nvalidity: 90d\neku: [clientAuth]\n"

static bool profile(const char *text, struct profile *p, struct buf *mistakes)
{
	mistakes->n = 0;
	return profile_parse(p, "pump.yaml", text, strlen(text), "Hospital", mistakes);
}

static void test_profile_mistakes__OPS_08(void)
{
	static const struct {
		const char *text, *says;
	} t[] = {
		{ "", "pump.yaml:" },
		{ "name: pump\n", "authority" },
		{ GOOD "colour: red\n", ":6: " },
		{ GOOD "valdity: 1d\n", "validity" },
		{ "name: Pump\nauthority: devices\ndoors: [est]\nvalidity: 90d\neku: [clientAuth]\n", ":1: " },
		{ "name: cacerts\nauthority: devices\ndoors: [est]\nvalidity: 90d\neku: [clientAuth]\n", ":1: " },
		{ "name: p\nauthority: '../x'\ndoors: [est]\nvalidity: 90d\neku: [clientAuth]\n", ":2: " },
		{ "name: p\nauthority: devices\ndoors: est\nvalidity: 90d\neku: [clientAuth]\n", ":3: " },
		{ "name: p\nauthority: devices\ndoors: [window]\nvalidity: 90d\neku: [clientAuth]\n", ":3: " },
		{ "name: p\nauthority: devices\ndoors: [est]\nvalidity: forever\neku: [clientAuth]\n", ":4: " },
		{ "name: p\nauthority: devices\ndoors: [est]\nvalidity: 90d\neku: [anything]\n", ":5: " },
		{ "name: p\nauthority: devices\ndoors: [est]\nvalidity: 90d\neku: [1.2.3.x]\n", ":5: " },
		{ "name: p\nauthority: devices\ndoors: [est]\nvalidity: 90d\neku: []\n", "eku" },
		{ GOOD "san: [postal]\n", ":6: " },
		{ GOOD "key_types: [dsa]\n", ":6: " },
		{ GOOD "rsa_min_bits: 1024\n", ":6: " },
		{ GOOD "backdate: 2h\n", "backdate" },
		{ GOOD "wildcard: yes\n", ":6: " },
		{ GOOD "policies: [policy]\n", ":6: " },
		{ GOOD "subject: [CN=x]\n", ":6: " },
		{ GOOD "subject: [OU]\n", ":6: " },
		{ GOOD "serverkeygen: maybe\n", ":6: " },
		{ GOOD "on_issuer_expiry: ignore\n", ":6: " },
		{ GOOD "max_key_age: 0\n", ":6: " },
		{ GOOD "name: twice\n", ":6: " },
		{ GOOD "eku: clientAuth\n", ":6: " },
	};
	AUTO_BUF mistakes = { 0 };
	struct profile p;

	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		bool good = profile(t[i].text, &p, &mistakes);
		const char *said = buf_str(&mistakes);

		if (good || strstr(said, t[i].says) == NULL)
			fprintf(stderr, "%s-> %d \"%s\"\n", t[i].text, good, said);
		CU_ASSERT_FALSE(good);
		CU_ASSERT_PTR_NOT_NULL(strstr(said, t[i].says));
	}
}

static void test_profile_defaults__X509_18(void)
{
	AUTO_BUF mistakes = { 0 };
	struct profile p;

	CU_ASSERT_TRUE_FATAL(profile(GOOD, &p, &mistakes));
	CU_ASSERT_EQUAL(p.validity, 90 * US_PER_DAY);
	CU_ASSERT_EQUAL(p.doors, DOOR_EST);
	CU_ASSERT_EQUAL(p.backdate, 5 * US_PER_MINUTE);
	CU_ASSERT_TRUE(p.clamp && p.ocsp_aia && p.cdp && !p.wildcard && !p.nocheck && !p.shared_key && !p.est_chain);
	CU_ASSERT_EQUAL(p.keygen, KEYGEN_ENCRYPTED);
	CU_ASSERT_TRUE(p.subject_n == 1 && strcmp(p.subject[0].value, "Hospital") == 0);
	CU_ASSERT_TRUE(p.eku_n == 1 && strcmp(p.eku[0], "1.3.6.1.5.5.7.3.2") == 0);
}

/* The canonical form is read back the same, and refused when it is cut or goes on. */
static void test_canonical_form__X509_44(void)
{
	for (size_t i = 0; profile_shipped_name(i) != NULL; i++) {
		const char *text = profile_shipped_text(i);
		struct profile p, q;
		AUTO_BUF mistakes = { 0 };
		AUTO_BUF one = { 0 };
		AUTO_BUF two = { 0 };
		struct rd r;

		CU_ASSERT_TRUE(profile_parse(&p, profile_shipped_name(i), text, strlen(text), "Hospital", &mistakes));
		profile_put(&one, &p);
		r = rd_of(one.p, one.n);
		profile_get(&r, &q);
		CU_ASSERT_TRUE(rd_done(&r));
		profile_put(&two, &q);
		CU_ASSERT_TRUE(span_equal(span_of(&one), span_of(&two)));
		for (size_t n = 0; n < one.n; n++) {
			r = rd_of(one.p, n);
			profile_get(&r, &q);
			CU_ASSERT_FALSE(rd_done(&r));
		}
	}
}

static void test_host_port(void)
{
	static const char *const refused[] = { "", ":", "a:", ":1", "a", "a:b", "a:1x", "a:+1", "a: 1", "a:0", "a:65536", "::1:80", "[::1]", "[]:1" };
	char host[16];
	uint16_t port;

	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		if (config_host_port(refused[i], host, sizeof host, &port))
			fprintf(stderr, "accepted %s\n", refused[i]);
		CU_ASSERT_FALSE(config_host_port(refused[i], host, sizeof host, &port));
	}
	CU_ASSERT_FALSE(config_host_port("a-host-that-is-too-long:1", host, sizeof host, &port));
	CU_ASSERT_TRUE(config_host_port("[::]:443", host, sizeof host, &port) && strcmp(host, "::") == 0 && port == 443);
	CU_ASSERT_TRUE(config_host_port("a.b:65535", host, sizeof host, &port) && port == 65535);
}

static const struct cu_case table[] = {
	{ "test_config_mistakes__OPS_08", test_config_mistakes__OPS_08 },
	{ "test_all_mistakes_at_once__OPS_08", test_all_mistakes_at_once__OPS_08 },
	{ "test_a_file_that_is_not_there__OPS_08", test_a_file_that_is_not_there__OPS_08 },
	{ "test_what_init_writes_is_read_back__OPS_08", test_what_init_writes_is_read_back__OPS_08 },
	{ "test_profile_mistakes__OPS_08", test_profile_mistakes__OPS_08 },
	{ "test_profile_defaults__X509_18", test_profile_defaults__X509_18 },
	{ "test_canonical_form__X509_44", test_canonical_form__X509_44 },
	{ "test_host_port", test_host_port },
};

CU_MAIN(table)
