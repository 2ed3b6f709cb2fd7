/* SPDX-License-Identifier: Apache-2.0
 *
 * Every rule of the lint is broken once, in a tbsCertificate that is right otherwise: the answer names the rule.
 * Certificates are written as text: octets in hexadecimal, TT{…} an element with its length, '…' characters. */
#include "ca/internal.h"
#include "pkix/name.h"
#include "tests/cu.h"

#include <ctype.h>
#include <stdlib.h>

static const char *element(struct buf *out, const char *t)
{
	while (*t != 0 && *t != '}') {
		if (*t == '\'') {
			for (t++; *t != '\''; t++)
				buf_add(out, t, 1);
			t++;
		} else if (isspace((unsigned char)*t)) {
			t++;
		} else {
			char pair[3] = { t[0], t[1], 0 };
			uint8_t octet = (uint8_t)strtoul(pair, NULL, 16);
			AUTO_BUF inside = { 0 };

			t += 2;
			if (*t != '{') {
				buf_add(out, &octet, 1);
				continue;
			}
			t = element(&inside, t + 1) + 1;
			buf_add(out, &octet, 1);
			if (inside.n > 127)
				buf_add(out, inside.n > 255 ? "\x82" : "\x81", 1);
			if (inside.n > 255)
				buf_add(out, &(uint8_t){ (uint8_t)(inside.n >> 8) }, 1);
			buf_add(out, &(uint8_t){ (uint8_t)inside.n }, 1);
			buf_add(out, inside.p, inside.n);
		}
	}
	return t;
}

enum part { VERSION, SERIAL, ALG, ISSUER, VALIDITY, SUBJECT, SPKI, SKI, AKI, KU, BC, EKU, SAN, AIA, CDP, EXTRA, AFTER, PARTS };

#define ISSUER_NAME "30{31{30{06{550403}0c{'devices'}}}}"
#define LEAF_NAME "30{31{30{06{550403}0c{'pump-1'}}}}"
#define SKI_VALUE "a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4"
#define EC_KEY "30{30{06{2a8648ce3d0201}06{2a8648ce3d030107}}03{00 04 0102}}"
#define RSA_KEY "30{30{06{2a864886f70d010101}0500}03{00 30{02{7f}02{03}}}}"
#define OCSP_URI "30{06{2b06010505073001}86{'http://va.example/ocsp'}}"
#define CA_URI "30{06{2b06010505073002}86{'http://va.example/ca/devices/1.cer'}}"
#define CDP_OF(uri) "30{06{551d1f}04{30{30{a0{a0{86{'" uri "'}}}}}}}"
#define SAN_OF(names) "30{06{551d11}04{30{" names "}}}"
#define EKU_OF(oids) "30{06{551d25}04{30{" oids "}}}"
#define CLIENT "06{2b06010505070302}"
#define SERVER "06{2b06010505070301}"
#define OCSP_SIGNING "06{2b06010505070309}"

static const char *const leaf[PARTS] = {
	[VERSION] = "a0{020102}",
	[SERIAL] = "02{41020304050607080910111213141516}",
	[ALG] = "30{06{2a8648ce3d040302}}",
	[ISSUER] = ISSUER_NAME,
	[VALIDITY] = "30{17{'260101000000Z'}17{'260331235959Z'}}",
	[SUBJECT] = LEAF_NAME,
	[SPKI] = EC_KEY,
	[SKI] = "30{06{551d0e}04{04{0102030405060708090a0b0c0d0e0f1011121314}}}",
	[AKI] = "30{06{551d23}04{30{80{" SKI_VALUE "}}}}",
	[KU] = "30{06{551d0f}0101ff 04{03{0780}}}",
	[BC] = "30{06{551d13}04{3000}}",
	[EKU] = EKU_OF(CLIENT),
	[SAN] = SAN_OF("82{'pump-1.example'}87{0a000001}"),
	[AIA] = "30{06{2b06010505070101}04{30{" OCSP_URI CA_URI "}}}",
	[CDP] = CDP_OF("http://va.example/crl/devices/1.crl"),
	[EXTRA] = "",
	[AFTER] = "",
};

static const char *const authority[PARTS] = {
	[VERSION] = "a0{020102}",
	[SERIAL] = "02{41020304050607080910111213141516}",
	[ALG] = "30{06{2a8648ce3d040303}}",
	[ISSUER] = ISSUER_NAME,
	[VALIDITY] = "30{17{'260101000000Z'}18{'20510331235959Z'}}",
	[SUBJECT] = ISSUER_NAME,
	[SPKI] = EC_KEY,
	[SKI] = "30{06{551d0e}04{04{0102030405060708090a0b0c0d0e0f1011121314}}}",
	[AKI] = "",
	[KU] = "30{06{551d0f}0101ff 04{03{0106}}}",
	[BC] = "30{06{551d13}0101ff 04{30{0101ff 020101}}}",
	[EKU] = "", [SAN] = "", [AIA] = "", [CDP] = "", [EXTRA] = "", [AFTER] = "",
};

static void compose(struct buf *out, const char *const *base, enum part part, const char *with)
{
	AUTO_BUF text = { 0 };

	buf_add(&text, "30{", 3);
	for (int i = 0; i < PARTS; i++) {
		const char *t = i == (int)part ? with : base[i];

		if (i == SKI)
			buf_add(&text, "a3{30{", 6);
		if (i == AFTER)
			buf_add(&text, "}}", 2);
		buf_add(&text, t, strlen(t));
	}
	buf_add(&text, "}", 2);
	element(out, (const char *)text.p);
}

static struct profile client(void)
{
	struct profile p = { .name = "device", .eku_n = 1, .eku = { "1.3.6.1.5.5.7.3.2" }, .ocsp_aia = true, .cdp = true,
		             .san_types = 1 << SAN_DNS | 1 << SAN_IP };
	return p;
}

/* The refusal's text, "" when nothing is wrong. p NULL: an authority, self-signed. */
static const char *verdict(const struct profile *p, const char *const *base, enum part part, const char *with)
{
	static struct err e;
	AUTO_BUF tbs = { 0 };
	AUTO_BUF name = { 0 };
	AUTO_BUF ski = { 0 };
	struct lint_context c = { .profile = p, .max_validity = INT64_C(90) * 86400 * 1000000 };

	e = (struct err){ 0 };
	compose(&tbs, base, part, with);
	element(&name, ISSUER_NAME);
	element(&ski, SKI_VALUE);
	if (p != NULL) {
		c.issuer_name = span_of(&name);
		c.issuer_ski = span_of(&ski);
		c.issuer_not_before = INT64_C(1735689600) * 1000000; /* 2025-01-01 */
		c.issuer_not_after = INT64_C(1893456000) * 1000000;  /* 2030-01-01 */
	} else {
		c.max_validity = 0;
	}
	if (lint_certificate(span_of(&tbs), &c, &e)) {
		CU_ASSERT_EQUAL(e.kind, ERR_NONE);
		return "";
	}
	CU_ASSERT_EQUAL(e.kind, ERR_LINT);
	return e.text;
}

static void expect(const struct profile *p, const char *const *base, enum part part, const char *with, const char *id)
{
	const char *text = verdict(p, base, part, with);
	char want[64];

	snprintf(want, sizeof want, "lint %s:", id);
	if (strncmp(text, want, strlen(want)) != 0)
		fprintf(stderr, "part %d, %s\n  wanted %s, got \"%s\"\n", (int)part, with, id, text);
	CU_ASSERT_EQUAL(strncmp(text, want, strlen(want)), 0);
}

struct broken {
	enum part part;
	const char *with, *id;
};

static const struct broken of_a_leaf[] = {
	{ VERSION, "a0{020101}", "version_is_3" },
	{ VERSION, "a0{020102 020102}", "version_is_3" },
	{ VERSION, "", "der" },
	{ SERIAL, "02{c1020304050607080910111213141516}", "serial_positive_20" },
	{ SERIAL, "02{}", "serial_positive_20" },
	{ SERIAL, "02{0041020304050607080910}", "serial_positive_20" },
	{ SERIAL, "02{410203040506070809101112131415161718192021}", "serial_positive_20" },
	{ SERIAL, "04{41020304050607080910111213141516}", "serial_positive_20" },
	{ SERIAL, "02{4102030405060708}", "serial_64_bits" },
	{ ALG, "30{06{2a8648ce3d040301}}", "signature_algorithm" },
	{ ALG, "30{06{2a8648ce3d040302}0500}", "signature_algorithm" },
	{ ALG, "30{06{2a864886f70d010105}0500}", "signature_algorithm" },
	{ ALG, "30{06{2a864886f70d01010b}}", "signature_algorithm" },
	{ ISSUER, "30{31{30{06{550403}13{'devices'}}}}", "issuer_copied" },
	{ ISSUER, "30{}", "issuer_copied" },
	{ VALIDITY, "30{17{'260331235959Z'}17{'260101000000Z'}}", "validity_order" },
	{ VALIDITY, "30{17{'2601010000Z'}17{'260331235959Z'}}", "validity_encoding" },
	{ VALIDITY, "30{17{'260101000000+0000'}17{'260331235959Z'}}", "validity_encoding" },
	{ VALIDITY, "30{18{'20260101000000Z'}17{'260331235959Z'}}", "validity_encoding" },
	{ VALIDITY, "30{17{'260101000000Z'}17{'500101000000Z'}}", "validity_encoding" },
	{ VALIDITY, "30{17{'261301000000Z'}17{'260331235959Z'}}", "validity_encoding" },
	{ VALIDITY, "30{17{'260101000000Z'}}", "validity_encoding" },
	{ VALIDITY, "30{17{'260101000000Z'}17{'260331235959Z'}0500}", "validity_encoding" },
	{ VALIDITY, "30{17{'241231235959Z'}17{'250301000000Z'}}", "validity_within_issuer" },
	{ VALIDITY, "30{17{'291201000000Z'}17{'300102000000Z'}}", "validity_within_issuer" },
	{ VALIDITY, "30{17{'260101000000Z'}17{'260401000000Z'}}", "validity_maximum" },
	{ SUBJECT, "30{}", "subject_empty_san_critical" },
	{ SUBJECT, "30{30{30{06{550403}0c{'pump-1'}}}}", "subject_der" },
	{ SUBJECT, "30{31{30{06{550403}0c{'pump-1'}0500}}}", "subject_der" },
	{ SUBJECT, "30{31{30{06{550403}0c{'pump-1'}}} 31}", "subject_der" },
	{ SUBJECT, "30{31{30{06{550403}14{'pump-1'}}}}", "subject_string_type" },
	{ SUBJECT, "30{31{30{06{550403}1e{0070}}}}", "subject_string_type" },
	{ SUBJECT, "30{31{30{06{550403}0c{}}}}", "subject_value" },
	{ SUBJECT, "30{31{30{06{550403}0c{' pump-1'}}}}", "subject_value" },
	{ SUBJECT, "30{31{30{06{550403}0c{'pump-1 '}}}}", "subject_value" },
	{ SUBJECT, "30{31{30{06{550403}0c{'pump' 00 '1'}}}}", "subject_value" },
	{ SKI, "", "ski_present" },
	{ SKI, "30{06{551d0e}0101ff 04{04{0102030405060708090a0b0c0d0e0f1011121314}}}", "ski_present" },
	{ SKI, "30{06{551d0e}04{04{01}}}", "ski_present" },
	{ AKI, "", "aki_present" },
	{ AKI, "30{06{551d23}04{30{80{0102}}}}", "aki_is_issuer_ski" },
	{ AKI, "30{06{551d23}04{30{80{" SKI_VALUE "}82{01}}}}", "aki_is_issuer_ski" },
	{ AKI, "30{06{551d23}0101ff 04{30{80{" SKI_VALUE "}}}}", "aki_is_issuer_ski" },
	{ KU, "", "key_usage_present" },
	{ KU, "30{06{551d0f}04{03{0780}}}", "key_usage_present" },
	{ KU, "30{06{551d0f}0101ff 04{03{070080}}}", "key_usage_present" },
	{ KU, "30{06{551d0f}0101ff 04{03{0080}}}", "key_usage_trimmed" },
	{ KU, "30{06{551d0f}0101ff 04{03{0881}}}", "key_usage_trimmed" },
	{ KU, "30{06{551d0f}0101ff 04{03{0284}}}", "key_usage_role" },
	{ KU, "30{06{551d0f}0101ff 04{03{0106}}}", "key_usage_role" },
	{ KU, "30{06{551d0f}0101ff 04{03{05a0}}}", "key_usage_leaf" },
	{ KU, "30{06{551d0f}0101ff 04{03{06c0}}}", "key_usage_leaf" },
	{ BC, "30{06{551d13}0101ff 04{30{0101ff}}}", "basic_constraints_leaf" },
	{ BC, "30{06{551d13}04{30{010100}}}", "basic_constraints_leaf" },
	{ EKU, "", "eku_present" },
	{ EKU, EKU_OF(""), "eku_der" },
	{ EKU, EKU_OF(CLIENT "06"), "eku_der" },
	{ EKU, EKU_OF(CLIENT SERVER), "eku_in_profile" },
	{ EKU, EKU_OF("06{551d2500}"), "eku_in_profile" },
	{ EKU, EKU_OF(OCSP_SIGNING), "eku_in_profile" },
	{ SAN, SAN_OF(""), "san_der" },
	{ SAN, SAN_OF("82{'a'}82"), "san_der" },
	{ SAN, SAN_OF("81{'a@example'}"), "san_type" },
	{ SAN, SAN_OF("86{'https://a.example'}"), "san_type" },
	{ SAN, SAN_OF("88{2a03}"), "san_type" },
	{ SAN, SAN_OF("82{'Pump-1'}"), "san_dns" },
	{ SAN, SAN_OF("82{'pump_1'}"), "san_dns" },
	{ SAN, SAN_OF("82{'pump-1.'}"), "san_dns" },
	{ SAN, SAN_OF("82{'-pump'}"), "san_dns" },
	{ SAN, SAN_OF("82{'*.example'}"), "san_dns" },
	{ SAN, SAN_OF("82{'a' 00}"), "san_dns" },
	{ SAN, SAN_OF("82{'0123456789012345678901234567890123456789012345678901234567890123'}"), "san_dns" },
	{ SAN, SAN_OF("87{0a0001}"), "san_ip" },
	{ SAN, "30{06{551d11}0101ff 04{30{82{'a'}}}}", "san_not_critical" },
	{ AIA, "", "revocation_pointers" },
	{ AIA, "30{06{2b06010505070101}04{30{" CA_URI "}}}", "revocation_pointers" },
	{ AIA, "30{06{2b06010505070101}04{30{30{06{2b06010505073001}86{'https://va.example/ocsp'}}}}}", "aia_http" },
	{ AIA, "30{06{2b06010505070101}0101ff 04{30{" OCSP_URI "}}}", "aia_http" },
	{ AIA, "30{06{2b06010505070101}04{30{}}}", "aia_http" },
	{ CDP, "", "revocation_pointers" },
	{ CDP, CDP_OF("https://va.example/crl/devices/1.crl"), "cdp_http" },
	{ CDP, CDP_OF("ldap:///cn=x"), "cdp_http" },
	{ CDP, "30{06{551d1f}0101ff 04{30{30{a0{a0{86{'http://va.example/1.crl'}}}}}}}", "cdp_http" },
	{ EXTRA, "30{06{550404}04{0500}}", "extension_known" },
	{ EXTRA, "30{06{551d1e}0101ff 04{3000}}", "name_constraints_ca" },
	{ EXTRA, "30{06{551d13}04{3000}}", "extension_twice" },
	{ EXTRA, "30{06{551d20}04{3000 3000}}", "extension_value" },
	{ EXTRA, "30{06{551d20}0101 00 04{3000}}", "der" },
	{ EXTRA, "30{06{551d20}}", "der" },
	{ EXTRA, "30{06{2b0601050507300105}04{0500}}", "ocsp_nocheck" },
	{ AFTER, "a3{30{}}", "der" },
	{ AFTER, "0500", "der" },
};

static const struct broken of_an_authority[] = {
	{ ISSUER, "30{31{30{06{550403}0c{'other'}}}}", "issuer_self" },
	{ AKI, "30{06{551d23}04{30{80{" SKI_VALUE "}}}}", "aki_present" },
	{ SAN, SAN_OF("82{'a'}"), "san_der" },
	{ KU, "30{06{551d0f}0101ff 04{03{0780}}}", "key_usage_role" },
	{ KU, "30{06{551d0f}0101ff 04{03{0186}}}", "key_usage_role" },
	{ BC, "", "basic_constraints_ca" },
	{ BC, "30{06{551d13}0101ff 04{3000}}", "basic_constraints_ca" },
	{ BC, "30{06{551d13}04{30{0101ff 020101}}}", "basic_constraints_ca" },
	{ AIA, "30{06{2b06010505070101}04{30{" OCSP_URI "}}}", "ca_no_ocsp" },
	{ EKU, EKU_OF("06{551d2500}"), "eku_in_profile" },
	{ EXTRA, "30{06{551d1e}04{3000}}", "name_constraints_ca" },
};

static void test_every_rule_broken_once__X509_45(void)
{
	struct profile p = client();

	CU_ASSERT_STRING_EQUAL(verdict(&p, leaf, AFTER, ""), "");
	for (size_t i = 0; i < sizeof of_a_leaf / sizeof of_a_leaf[0]; i++)
		expect(&p, leaf, of_a_leaf[i].part, of_a_leaf[i].with, of_a_leaf[i].id);
}

static void test_every_rule_of_authorities_broken_once__X509_45(void)
{
	CU_ASSERT_STRING_EQUAL(verdict(NULL, authority, AFTER, ""), "");
	for (size_t i = 0; i < sizeof of_an_authority / sizeof of_an_authority[0]; i++)
		expect(NULL, authority, of_an_authority[i].part, of_an_authority[i].with, of_an_authority[i].id);
	/* An empty subject comes with an empty issuer: the same name. */
	{
		const char *empty[PARTS];

		memcpy(empty, authority, sizeof empty);
		empty[ISSUER] = "3000";
		expect(NULL, empty, SUBJECT, "3000", "subject_ca_empty");
	}
}

static void test_what_a_profile_allows_more__X509_45(void)
{
	struct profile p = client();

	p.san_types |= 1 << SAN_EMAIL;
	p.wildcard = true;
	CU_ASSERT_STRING_EQUAL(verdict(&p, leaf, SAN, SAN_OF("81{'a@example'}")), "");
	CU_ASSERT_STRING_EQUAL(verdict(&p, leaf, SAN, SAN_OF("82{'*.example'}")), "");
	expect(&p, leaf, SAN, SAN_OF("82{'*.*.example'}"), "san_dns");
	expect(&p, leaf, SAN, SAN_OF("82{'a.*.example'}"), "san_dns");
	CU_ASSERT_STRING_EQUAL(verdict(&p, leaf, SAN, ""), "");
	p.san_required = true;
	expect(&p, leaf, SAN, "", "san_required");
	p = client();
	strcpy(p.eku[0], "1.3.6.1.5.5.7.3.1");
	CU_ASSERT_STRING_EQUAL(verdict(&p, leaf, EKU, EKU_OF(SERVER)), "");
	{
		const char *server[PARTS];

		memcpy(server, leaf, sizeof server);
		server[EKU] = EKU_OF(SERVER);
		expect(&p, server, SAN, "", "server_has_san");
	}
	p = client();
	p.rsa_key_encipherment = true;
	{
		const char *rsa[PARTS];

		memcpy(rsa, leaf, sizeof rsa);
		rsa[SPKI] = RSA_KEY;
		CU_ASSERT_STRING_EQUAL(verdict(&p, rsa, KU, "30{06{551d0f}0101ff 04{03{05a0}}}"), "");
		p.rsa_key_encipherment = false;
		expect(&p, rsa, KU, "30{06{551d0f}0101ff 04{03{05a0}}}", "key_usage_leaf");
		p.rsa_key_encipherment = true;
	}
	expect(&p, leaf, KU, "30{06{551d0f}0101ff 04{03{05a0}}}", "key_usage_leaf");
}

/* A length that looks like the tag of a URI must not be taken for one. */
static void test_uris_are_found_by_structure__X509_26(void)
{
	struct profile p = client();
	char text[400], path[160];

	for (size_t n = 1; n < sizeof path; n++) {
		memset(path, 'a', n);
		path[n] = 0;
		snprintf(text, sizeof text, "30{06{2b06010505070101}04{30{" OCSP_URI "30{06{2b06010505073002}86{'http://%s'}}}}}", path);
		CU_ASSERT_STRING_EQUAL(verdict(&p, leaf, AIA, text), "");
		snprintf(text, sizeof text, CDP_OF("http://%s"), path);
		CU_ASSERT_STRING_EQUAL(verdict(&p, leaf, CDP, text), "");
	}
}

static void test_more_than_100_names__X509_45(void)
{
	struct profile p = client();
	AUTO_BUF text = { 0 };

	for (int n = 0; n < 2; n++) {
		text.n = 0;
		buf_add(&text, "30{06{551d11}04{30{", 19);
		for (int i = 0; i < 100 + n; i++)
			buf_add(&text, "82{'a'}", 7);
		buf_add(&text, "}}}", 4);
		if (n == 0)
			CU_ASSERT_STRING_EQUAL(verdict(&p, leaf, SAN, (char *)text.p), "")
		else
			expect(&p, leaf, SAN, (char *)text.p, "san_count");
	}
}

/* Cut anywhere, or with any octet more or less: refused, and nothing is read behind the end. */
static void test_cut_anywhere__X509_45(void)
{
	struct profile p = client();
	struct lint_context c = { .profile = &p };
	AUTO_BUF tbs = { 0 };
	struct err e = { 0 };

	compose(&tbs, leaf, AFTER, "");
	for (size_t n = 0; n < tbs.n; n++) {
		uint8_t *copy = malloc(n + 1);

		memcpy(copy, tbs.p, n);
		CU_ASSERT_FALSE(lint_certificate((struct span){ copy, n }, &c, &e));
		free(copy);
	}
	buf_add(&tbs, "", 1);
	CU_ASSERT_FALSE(lint_certificate(span_of(&tbs), &c, &e));
}

static const struct cu_case table[] = {
	{ "test_every_rule_broken_once__X509_45", test_every_rule_broken_once__X509_45 },
	{ "test_every_rule_of_authorities_broken_once__X509_45", test_every_rule_of_authorities_broken_once__X509_45 },
	{ "test_what_a_profile_allows_more__X509_45", test_what_a_profile_allows_more__X509_45 },
	{ "test_uris_are_found_by_structure__X509_26", test_uris_are_found_by_structure__X509_26 },
	{ "test_more_than_100_names__X509_45", test_more_than_100_names__X509_45 },
	{ "test_cut_anywhere__X509_45", test_cut_anywhere__X509_45 },
};

CU_MAIN(table)
