/* SPDX-License-Identifier: Apache-2.0
 *
 * Name constraints: what is read, and who is inside. */
#include "pkix/constraints.h"
#include "tests/cu.h"

struct base {
	int tag;
	const char *value;
	size_t n; /* 0: strlen */
};

static void put_list(struct buf *b, int tag, const struct base *v, size_t n)
{
	size_t list = der_begin(b, tag);

	for (size_t i = 0; i < n; i++) {
		size_t subtree = der_begin(b, DER_SEQUENCE);

		der_put(b, v[i].tag, v[i].value, v[i].n != 0 ? v[i].n : strlen(v[i].value));
		der_end(b, subtree);
	}
	der_end(b, list);
}

static void make(struct buf *b, const struct base *permitted, size_t p, const struct base *excluded, size_t x)
{
	size_t all = der_begin(b, DER_SEQUENCE);

	if (p != 0)
		put_list(b, DER_CONTEXT_CONS | 0, permitted, p);
	if (x != 0)
		put_list(b, DER_CONTEXT_CONS | 1, excluded, x);
	der_end(b, all);
}

enum { EMAIL = 0x81, DNS = 0x82, URI = 0x86, IP = 0x87 };

/* One base, permitted or excluded, and one name: inside? */
static void test_table__X509_25(void)
{
	static const struct {
		struct base base;
		bool excluded;
		const char *name; /* contract form, or "CN=…", "emailAddress=…" */
		bool good;
	} t[] = {
		{ { DNS, "ward3.example", 0 }, false, "dns:ward3.example", true },
		{ { DNS, "ward3.example", 0 }, false, "dns:pump.ward3.example", true },
		{ { DNS, "ward3.example", 0 }, false, "dns:a.b.ward3.example", true },
		{ { DNS, "ward3.example", 0 }, false, "dns:xward3.example", false },
		{ { DNS, "ward3.example", 0 }, false, "dns:ward3.example.evil", false },
		{ { DNS, "ward3.example", 0 }, false, "dns:example", false },
		{ { DNS, "WARD3.Example", 0 }, false, "dns:pump.ward3.example", true },
		{ { DNS, "ward3.example", 0 }, false, "dns:*.ward3.example", true },
		{ { DNS, "ward3.example", 0 }, false, "dns:*.example", false },
		{ { DNS, "pump.ward3.example", 0 }, false, "dns:*.ward3.example", false },
		{ { DNS, "ward3.example", 0 }, false, "ip:10.0.0.1", true }, /* another type */
		{ { DNS, "ward3.example", 0 }, false, "CN=pump.ward3.example", true },
		{ { DNS, "ward3.example", 0 }, false, "CN=pump.ward4.example", false },
		{ { DNS, "ward3.example", 0 }, false, "CN=Infusion Pump 7", true }, /* no host name */
		{ { DNS, "ward3.example", 0 }, true, "dns:pump.ward3.example", false },
		{ { DNS, "ward3.example", 0 }, true, "dns:pump.ward4.example", true },
		{ { DNS, "secret.ward3.example", 0 }, true, "dns:*.ward3.example", false }, /* it covers that */
		{ { DNS, "secret.ward4.example", 0 }, true, "dns:*.ward3.example", true },
		{ { DNS, "", 0 }, true, "dns:anything", false },
		{ { IP, "\x0a\x00\x00\x00\xff\x00\x00\x00", 8 }, false, "ip:10.255.255.255", true },
		{ { IP, "\x0a\x00\x00\x00\xff\x00\x00\x00", 8 }, false, "ip:11.0.0.0", false },
		{ { IP, "\x0a\x01\x02\x00\xff\xff\xfe\x00", 8 }, false, "ip:10.1.3.255", true },
		{ { IP, "\x0a\x01\x02\x00\xff\xff\xfe\x00", 8 }, false, "ip:10.1.4.0", false },
		{ { IP, "\x0a\x01\x02\x03\xff\xff\xff\xff", 8 }, false, "ip:10.1.2.3", true },
		{ { IP, "\x0a\x01\x02\x03\xff\xff\xff\xff", 8 }, false, "ip:10.1.2.2", false },
		{ { IP, "\x0a\x00\x00\x00\xff\x00\x00\x00", 8 }, false, "ip:2001:db8::1", false }, /* the type is constrained */
		{ { IP, "\x0a\x00\x00\x00\xff\x00\x00\x00", 8 }, true, "ip:2001:db8::1", true },
		{ { IP, "\x00\x00\x00\x00\x00\x00\x00\x00", 8 }, true, "ip:10.0.0.1", false },
		{ { IP, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0", 32 }, false, "ip:2001:db8::1", true },
		{ { IP, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0", 32 }, false, "ip:2001:db9::1", false },
		{ { EMAIL, "hospital.example", 0 }, false, "email:a@hospital.example", true },
		{ { EMAIL, "hospital.example", 0 }, false, "email:a@sub.hospital.example", false },
		{ { EMAIL, ".hospital.example", 0 }, false, "email:a@sub.hospital.example", true },
		{ { EMAIL, ".hospital.example", 0 }, false, "email:a@hospital.example", false },
		{ { EMAIL, "Nurse@Hospital.example", 0 }, false, "email:Nurse@hospital.example", true },
		{ { EMAIL, "Nurse@Hospital.example", 0 }, false, "email:nurse@hospital.example", false },
		{ { EMAIL, "hospital.example", 0 }, false, "emailAddress=a@evil.example", false },
		{ { EMAIL, "hospital.example", 0 }, true, "emailAddress=a@hospital.example", false },
		{ { URI, "host.example", 0 }, false, "uri:https://host.example/x", true },
		{ { URI, "host.example", 0 }, false, "uri:https://user@host.example:8443/x", true },
		{ { URI, "host.example", 0 }, false, "uri:https://host.example@evil.example/", false },
		{ { URI, "host.example", 0 }, false, "uri:https://a.host.example/", false },
		{ { URI, ".host.example", 0 }, false, "uri:https://a.host.example/", true },
		{ { URI, "host.example", 0 }, false, "uri:https://10.0.0.1/", false },
		{ { URI, "host.example", 0 }, true, "uri:https://10.0.0.1/", false },
		{ { URI, "host.example", 0 }, true, "uri:https://[::1]/", false },
	};

	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		struct constraints c;
		struct san_list san = { .n = 0 };
		struct dn dn = { .n = 0 };
		AUTO_BUF der = { 0 };
		struct err e = { 0 };
		bool good;

		make(&der, &t[i].base, !t[i].excluded, &t[i].base, t[i].excluded);
		CU_ASSERT_TRUE_FATAL(constraints_parse(&c, span_of(&der), &e));
		if (strncmp(t[i].name, "CN=", 3) == 0)
			CU_ASSERT_TRUE(dn_add(&dn, DN_CN, t[i].name + 3))
		else if (strncmp(t[i].name, "emailAddress=", 13) == 0)
			CU_ASSERT_TRUE(dn_add(&dn, DN_EMAIL, t[i].name + 13))
		else if (strncmp(t[i].name, "uri:", 4) == 0) {
			/* Some of these no request may hold; an authority's certificate that others made may. */
			san.v[0] = (struct san){ .type = SAN_URI, .n = strlen(t[i].name + 4) };
			strcpy(san.v[0].value, t[i].name + 4);
			san.n = 1;
		} else if (san_from_text(&san.v[0], t[i].name, false, &e))
			san.n = 1;
		else
			CU_FAIL(e.text);
		good = constraints_check(&c, &dn, &san, &e);
		if (good != t[i].good)
			fprintf(stderr, "%.*s %s %s: %d\n", (int)t[i].base.n, t[i].base.value, t[i].excluded ? "excluded" : "permitted", t[i].name, good);
		CU_ASSERT_EQUAL(good, t[i].good);
		if (!good)
			CU_ASSERT_EQUAL(e.kind, ERR_BAD_NAME);
	}
}

static void test_excluded_beats_permitted__X509_25(void)
{
	static const struct base permitted[] = { { DNS, "hospital.example", 0 }, { DNS, "clinic.example", 0 } };
	static const struct base excluded[] = { { DNS, "guest.hospital.example", 0 } };
	static const struct {
		const char *name;
		bool good;
	} t[] = { { "dns:pump.hospital.example", true }, { "dns:x.clinic.example", true }, { "dns:a.guest.hospital.example", false },
	          { "dns:guest.hospital.example", false }, { "dns:evil.example", false } };
	struct constraints c;
	struct dn dn = { .n = 0 };
	AUTO_BUF der = { 0 };
	struct err e = { 0 };

	make(&der, permitted, 2, excluded, 1);
	CU_ASSERT_TRUE_FATAL(constraints_parse(&c, span_of(&der), &e));
	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		struct san_list san = { .n = 1 };

		CU_ASSERT_TRUE(san_from_text(&san.v[0], t[i].name, false, &e));
		CU_ASSERT_EQUAL(constraints_check(&c, &dn, &san, &e), t[i].good);
	}
}

static void test_directory_names__X509_25(void)
{
	struct dn above = { .n = 0 }, below = { .n = 0 }, other = { .n = 0 }, shorter = { .n = 0 };
	AUTO_BUF name = { 0 };
	AUTO_BUF der = { 0 };
	struct constraints c;
	struct err e = { 0 };
	struct base b = { DER_CONTEXT_CONS | 4, NULL, 0 };

	(void)!dn_add(&above, DN_C, "DE");
	(void)!dn_add(&above, DN_O, "St. Hedwig");
	dn_der(&name, &above);
	b.value = (const char *)name.p;
	b.n = name.n;
	make(&der, &b, 1, NULL, 0);
	CU_ASSERT_TRUE_FATAL(constraints_parse(&c, span_of(&der), &e));
	below = above;
	below.attr[1] = (struct dn_attr){ DN_O, "ST. HEDWIG" };
	(void)!dn_add(&below, DN_CN, "Pump");
	other = below;
	other.attr[1] = (struct dn_attr){ DN_O, "St. Elsewhere" };
	(void)!dn_add(&shorter, DN_C, "DE");
	CU_ASSERT_TRUE(constraints_check(&c, &below, NULL, &e));
	CU_ASSERT_TRUE(constraints_check(&c, &above, NULL, &e));
	CU_ASSERT_FALSE(constraints_check(&c, &other, NULL, &e));
	CU_ASSERT_FALSE(constraints_check(&c, &shorter, NULL, &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "name constraints"));
}

static void test_malformed__X509_25(void)
{
	static const struct {
		struct base base;
		const char *says;
	} t[] = {
		{ { DNS, ".ward3.example", 0 }, "leading dot" },
		{ { DNS, "a b", 0 }, "character" },
		{ { DNS, "a\0b", 3 }, "character" },
		{ { IP, "\x0a\x00\x00\x00", 4 }, "no address with a mask" },
		{ { IP, "\x0a\x00\x00\x00\xff\x00\xff\x00", 8 }, "no address with a mask" },
		{ { IP, "\x0a\x00\x00\x00\x7f\x00\x00\x00", 8 }, "no address with a mask" },
		{ { 0x88, "\x2a\x03", 2 }, "can't be judged" },
		{ { 0xa0, "\x06\x01\x2a", 3 }, "can't be judged" },
		{ { DER_CONTEXT_CONS | 4, "\x30\x01", 2 }, "directoryName" },
	};
	static const uint8_t minimum[] = { 0x30, 0x0b, 0xa0, 0x09, 0x30, 0x07, 0x82, 0x02, 'a', 'b', 0x80, 0x01, 0x01 };
	static const uint8_t *const raw[] = { (const uint8_t *)"\x30\x00", (const uint8_t *)"\x30\x02\xa0\x00", (const uint8_t *)"\x31\x00" };
	static const size_t raw_n[] = { 2, 4, 2 };
	struct constraints c;
	AUTO_BUF good = { 0 };
	struct err e = { 0 };

	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		AUTO_BUF der = { 0 };

		make(&der, &t[i].base, 1, NULL, 0);
		CU_ASSERT_FALSE(constraints_parse(&c, span_of(&der), &e));
		if (strstr(e.text, t[i].says) == NULL)
			fprintf(stderr, "%zu: %s\n", i, e.text);
		CU_ASSERT_PTR_NOT_NULL(strstr(e.text, t[i].says));
	}
	CU_ASSERT_FALSE(constraints_parse(&c, (struct span){ minimum, sizeof minimum }, &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "minimum"));
	for (size_t i = 0; i < 3; i++)
		CU_ASSERT_FALSE(constraints_parse(&c, (struct span){ raw[i], raw_n[i] }, &e));
	make(&good, &(struct base){ DNS, "ward3.example", 0 }, 1, &(struct base){ DNS, "x", 0 }, 1);
	for (size_t n = 0; n < good.n; n++)
		CU_ASSERT_FALSE(constraints_parse(&c, (struct span){ good.p, n }, &e));
	{
		AUTO_BUF many = { 0 };
		struct base b[CONSTRAINT_MAX + 1];

		for (size_t i = 0; i <= CONSTRAINT_MAX; i++)
			b[i] = (struct base){ DNS, "a", 0 };
		make(&many, b, CONSTRAINT_MAX + 1, NULL, 0);
		CU_ASSERT_FALSE(constraints_parse(&c, span_of(&many), &e));
	}
}

static const struct cu_case table[] = {
	{ "test_table__X509_25", test_table__X509_25 },
	{ "test_excluded_beats_permitted__X509_25", test_excluded_beats_permitted__X509_25 },
	{ "test_directory_names__X509_25", test_directory_names__X509_25 },
	{ "test_malformed__X509_25", test_malformed__X509_25 },
};

CU_MAIN(table)
