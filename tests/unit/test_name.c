/* SPDX-License-Identifier: Apache-2.0 */
#include "pkix/name.h"

#include "tests/cu.h"

#define LABEL63 "a23456789012345678901234567890123456789012345678901234567890123"
#define LABEL61 "a234567890123456789012345678901234567890123456789012345678901"
#define DNS253 LABEL63 "." LABEL63 "." LABEL63 "." LABEL61

static struct san san_of(enum san_type type, const char *text)
{
	struct san s = { .type = type, .n = strlen(text) };

	memcpy(s.value, text, s.n < SAN_VALUE_MAX ? s.n : SAN_VALUE_MAX);
	return s;
}

/* NULL: must be refused; else what it becomes. */
struct row {
	const char *text, *becomes;
};

static void check_table(enum san_type type, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct san s = san_of(type, rows[i].text);
		struct err e = { 0 };
		bool good = san_check(&s, &e);

		if (good != (rows[i].becomes != NULL) || (good && strcmp(s.value, rows[i].becomes) != 0)) {
			printf("\n  '%s' is %s as '%s'\n", rows[i].text, good ? "taken" : "refused", s.value);
			CU_FAIL("wrong verdict on a name");
		}
		if (!good) {
			CU_ASSERT_EQUAL(e.kind, ERR_BAD_NAME);
			CU_ASSERT_TRUE(e.text[0] != 0 && strchr(e.text, '\n') == NULL);
		}
	}
}

static void test_dns_table__X509_30(void)
{
	static const struct row rows[] = {
		{ "", NULL }, { ".", NULL }, { "..", NULL }, { "*", NULL }, { "*.", NULL }, { "*.*", NULL },
		{ "-", NULL }, { "_", NULL }, { " ", NULL }, { "@", NULL }, { "pump 7", NULL }, { " pump-7", NULL },
		{ "pump-7 ", NULL }, { "pump\t7", NULL }, { "pump\n7", NULL }, { "pump\r\nX: y", NULL },
		{ "pump_7", NULL }, { "_acme.example", NULL }, { "a._tcp.example", NULL }, { "pump-7.", NULL },
		{ "pump-7.example.", NULL }, { ".pump-7", NULL }, { "pump..example", NULL }, { "pump-.example", NULL },
		{ "-pump.example", NULL }, { "pump.-example", NULL }, { "pump.example-", NULL }, { "a.-.b", NULL },
		{ "192.0.2.1", NULL }, { "1.2.3", NULL }, { "7", NULL }, { "pump.7", NULL }, { "*.7", NULL },
		{ "2001:db8::1", NULL }, { "[::1]", NULL }, { "pump:8443", NULL }, { "https://pump.example", NULL },
		{ "pump.example/x", NULL }, { "user@example", NULL }, { "pump,example", NULL }, { "pump;example", NULL },
		{ "pump'example", NULL }, { "pump\"example", NULL }, { "pump\\example", NULL }, { "pump?example", NULL },
		{ "pump=7", NULL }, { "pump+7", NULL }, { "pump#7", NULL }, { "pump%2e7", NULL }, { "pump!", NULL },
		{ "a*.example", NULL }, { "*a.example", NULL }, { "a.*.example", NULL }, { "*.*.example", NULL },
		{ "**.example", NULL }, { "*example", NULL }, { "a.example.*", NULL }, { "*.-a.example", NULL },
		{ "*..example", NULL }, { "*.a_b.example", NULL }, { "b\xc3\xbc" "cher.example", NULL },
		{ "\xe4\xb8\xad.example", NULL }, { "pump\xff.example", NULL }, { "pump\x7f", NULL }, { "pump\x01", NULL },
		{ "a" LABEL63, NULL }, { "a" LABEL63 ".example", NULL }, { "example.a" LABEL63, NULL },
		{ DNS253 "4", NULL }, { "*." DNS253, NULL }, { DNS253 ".", NULL }, { "a.b.c.d.", NULL },
		{ "pump-7", "pump-7" }, { "PUMP-7", "pump-7" }, { "Pump-7.Ward3.Example", "pump-7.ward3.example" },
		{ "a", "a" }, { "a.b", "a.b" }, { "7pump", "7pump" }, { "7.example", "7.example" }, { "7-8.e", "7-8.e" },
		{ "1.2.3.4.example", "1.2.3.4.example" }, { "xn--bcher-kva.example", "xn--bcher-kva.example" },
		{ "XN--BCHER-KVA.EXAMPLE", "xn--bcher-kva.example" }, { "a--b.example", "a--b.example" },
		{ "0x7f.a1", "0x7f.a1" }, { "a.7b", "a.7b" }, { "a.7-b", "a.7-b" }, { "a.b-7", "a.b-7" },
		{ "*.example", "*.example" }, { "*.Ward3.Example", "*.ward3.example" }, { "*.a.b.c", "*.a.b.c" },
		{ LABEL63, LABEL63 }, { LABEL63 ".example", LABEL63 ".example" }, { DNS253, DNS253 },
		{ "localhost", "localhost" }, { "radius.st-hedwig.example", "radius.st-hedwig.example" },
		{ "pump-7.ward-3.building-b.hospital.example", "pump-7.ward-3.building-b.hospital.example" },
		{ "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p", "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p" },
	};

	CU_ASSERT_TRUE(sizeof rows / sizeof *rows >= 95);
	check_table(SAN_DNS, rows, sizeof rows / sizeof *rows);
	CU_ASSERT_FALSE(text_is_dns_name("*.example")); /* a CN or NAME is never a wildcard */
	CU_ASSERT_TRUE(text_is_dns_name("Pump-7.example"));
}

static void test_name_with_nul_is_refused__X509_30(void)
{
	static const enum san_type types[] = { SAN_DNS, SAN_EMAIL, SAN_URI, SAN_UPN };
	static const char *const texts[] = { "pump.example", "a@pump.example", "https://pump.example", "a@pump.example" };

	for (size_t i = 0; i < 4; i++) {
		struct san s = san_of(types[i], texts[i]);
		struct err e = { 0 };

		s.value[s.n - 4] = 0;
		CU_ASSERT_FALSE(san_check(&s, &e));
		CU_ASSERT_EQUAL(e.kind, ERR_BAD_NAME);
	}
}

static void test_refusal_shows_the_name_safely__X509_30(void)
{
	struct san s = san_of(SAN_DNS, "pump\r\nlevel=info\x1b[31m");
	char longest[201];
	struct err e = { 0 };

	CU_ASSERT_FALSE(san_check(&s, &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "pump"));
	for (const char *c = e.text; *c != 0; c++)
		CU_ASSERT_TRUE((unsigned char)*c >= 0x20 && (unsigned char)*c < 0x7f);
	memset(longest, '_', 200);
	longest[200] = 0;
	s = san_of(SAN_DNS, longest);
	CU_ASSERT_FALSE(san_check(&s, &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "..."));
	CU_ASSERT_PTR_NULL(strstr(e.text, longest));
}

static void test_email_table__X509_31(void)
{
	static const struct row rows[] = {
		{ "", NULL }, { "@", NULL }, { "nurse", NULL }, { "nurse@", NULL }, { "@ward.example", NULL },
		{ "a@b@ward.example", NULL }, { "nurse@ward_3.example", NULL }, { "nurse@-ward.example", NULL },
		{ "nurse@ward.example.", NULL }, { "nurse @ward.example", NULL }, { "nurse@192.0.2.1", NULL },
		{ ".nurse@ward.example", NULL }, { "nurse.@ward.example", NULL }, { "nu..rse@ward.example", NULL },
		{ "\"nu rse\"@ward.example", NULL }, { "n\xc3\xbcrse@ward.example", NULL }, { "nurse@w\xc3\xa4rd.example", NULL },
		{ "nurse@*.example", NULL }, { "<nurse@ward.example>", NULL }, { "nurse@[192.0.2.1]", NULL },
		{ LABEL63 "ab@ward.example", NULL },
		{ "nurse@ward.example", "nurse@ward.example" }, { "Nurse.K@WARD.Example", "Nurse.K@ward.example" },
		{ "nurse+pump@ward.example", "nurse+pump@ward.example" }, { LABEL63 "a@w.example", LABEL63 "a@w.example" },
	};

	check_table(SAN_EMAIL, rows, sizeof rows / sizeof *rows);
}

static void test_uri_table__X509_31(void)
{
	static const struct row rows[] = {
		{ "", NULL }, { "pump.example", NULL }, { "//pump.example", NULL }, { "://pump.example", NULL },
		{ "https:", NULL }, { "https://", NULL }, { "https:///path", NULL }, { "https://?q", NULL },
		{ "https://#f", NULL }, { "https:/pump.example", NULL }, { "1https://pump.example", NULL },
		{ "-x://pump.example", NULL }, { "ht tp://pump.example", NULL }, { "ht_tp://pump.example", NULL },
		{ "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66", NULL }, { "mailto:a@b.example", NULL },
		{ "https://:8443/", NULL }, { "https://pump_7.example", NULL }, { "https://*.example/", NULL },
		{ "https://good.example@evil.example/", NULL }, { "https://user:pw@pump.example/", NULL },
		{ "https://pump.example:port/", NULL }, { "https://pump.example:123456/", NULL }, { "https://[::1/", NULL },
		{ "https://[pump]/", NULL }, { "https://[]/", NULL }, { "https://::1/", NULL }, { "https://[::1]x/", NULL },
		{ "https://1.2.3/", NULL }, { "https://pump.example/a b", NULL }, { "https://pump.example/\n", NULL },
		{ "https://pump.example/\xc3\xbc", NULL }, { "https://pump.example./", NULL },
		{ "https://pump.example", "https://pump.example" }, { "HTTPS://Pump.Example/Path", "https://pump.example/Path" },
		{ "https://pump.example:8443/x?y#z", "https://pump.example:8443/x?y#z" },
		{ "https://192.0.2.1/", "https://192.0.2.1/" }, { "https://[2001:DB8::1]:8443/", "https://[2001:db8::1]:8443/" },
		{ "sip://pump.example", "sip://pump.example" }, { "spiffe://ward.example/pump/7", "spiffe://ward.example/pump/7" },
		{ "a+b-c.1://pump.example?Q", "a+b-c.1://pump.example?Q" },
	};

	check_table(SAN_URI, rows, sizeof rows / sizeof *rows);
}

static void test_upn_table__X509_31(void)
{
	static const struct row rows[] = {
		{ "", NULL }, { "nurse", NULL }, { "@ward", NULL }, { "nurse@", NULL }, { "a@b@c", NULL },
		{ "nurse@ward\n", NULL }, { "nu rse@ward", NULL }, { "nurse@ward\xff", NULL }, { "nurse@\xc0\xaf", NULL },
		{ "nurse@ward.example", "nurse@ward.example" }, { "n\xc3\xbcrse@ward", "n\xc3\xbcrse@ward" },
	};

	check_table(SAN_UPN, rows, sizeof rows / sizeof *rows);
}

static void test_lengths_and_types__X509_31(void)
{
	static const size_t bad[] = { 0, 1, 3, 5, 8, 15, 17, 32 };
	struct san s = { .type = SAN_IP };

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		s.n = bad[i];
		CU_ASSERT_FALSE(san_check(&s, NULL));
	}
	for (s.n = 4; s.n <= 16; s.n += 12)
		CU_ASSERT_TRUE(san_check(&s, NULL));
	s = san_of(SAN_DNS, "a");
	s.n = SAN_VALUE_MAX + 1;
	CU_ASSERT_FALSE(san_check(&s, NULL));
	s = san_of((enum san_type)0, "a");
	CU_ASSERT_FALSE(san_check(&s, NULL));
	s = san_of(SAN_TYPE_COUNT, "a");
	CU_ASSERT_FALSE(san_check(&s, NULL));
	CU_ASSERT_PTR_NULL(san_type_name(SAN_TYPE_COUNT));
}

static void test_ip_text__X509_31(void)
{
	static const char *const bad[] = {
		"ip:", "ip:1", "ip:1.2.3", "ip:1.2.3.4.5", "ip:256.1.1.1", "ip:1.2.3.4/24", "ip:01.2.3.4", "ip: 1.2.3.4",
		"ip:1.2.3.4 ", "ip:::1::", "ip:2001:db8::g", "ip:[::1]", "ip:fe80::1%eth0", "ip:pump.example",
		"ip:1:2:3:4:5:6:7:8:9", "ip:12345::",
	};
	static const struct row good[] = {
		{ "ip:192.0.2.1", "ip:192.0.2.1" }, { "ip:0.0.0.0", "ip:0.0.0.0" }, { "ip:2001:DB8:0:0::1", "ip:2001:db8::1" },
		{ "ip:::1", "ip:::1" }, { "ip:2001:0db8:0000:0000:0000:0000:0000:0001", "ip:2001:db8::1" },
	};
	struct san s;
	char text[300];
	struct err e;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		e = (struct err){ 0 };
		CU_ASSERT_FALSE(san_from_text(&s, bad[i], true, &e));
		CU_ASSERT_EQUAL(e.kind, ERR_BAD_NAME);
	}
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		CU_ASSERT_TRUE_FATAL(san_from_text(&s, good[i].text, false, &e));
		CU_ASSERT_EQUAL(s.type, SAN_IP);
		san_to_text(&s, text, sizeof text);
		CU_ASSERT_STRING_EQUAL(text, good[i].becomes);
	}
}

static void test_type_and_value__X509_30(void)
{
	static const char *const bad[] = {
		"", ":", "dns", "dns:", "pump.example", "DNS:pump.example", "dnsx:pump.example", "dn:pump.example",
		" dns:pump.example", "rid:1.2.3", "othername:x", "dns:a_b", "email:nurse", "uri:pump", "upn:nurse",
		"dns:" DNS253 "45", "dns:*.", "dns:**",
	};
	struct san s;
	char text[300];
	struct err e = { 0 };

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		CU_ASSERT_FALSE(san_from_text(&s, bad[i], true, &e));
	CU_ASSERT_FALSE(san_from_text(&s, "dns:*", false, &e));
	CU_ASSERT_TRUE(san_from_text(&s, "dns:*", true, &e));
	CU_ASSERT_TRUE(san_from_text(&s, "dns:*.Ward3.example", false, &e));
	san_to_text(&s, text, sizeof text);
	CU_ASSERT_STRING_EQUAL(text, "dns:*.ward3.example");
	CU_ASSERT_TRUE(san_from_text(&s, "upn:nurse@ward", false, &e) && s.type == SAN_UPN);
	CU_ASSERT_TRUE(san_from_text(&s, "uri:https://a.example/", false, &e) && s.type == SAN_URI);
	CU_ASSERT_TRUE(san_from_text(&s, "email:n@a.example", false, &e) && s.type == SAN_EMAIL);
}

static struct san_list list_of(const char *const *texts, size_t n)
{
	struct san_list l = { 0 };

	for (size_t i = 0; i < n; i++)
		CU_ASSERT_TRUE_FATAL(san_from_text(&l.v[l.n++], texts[i], false, NULL));
	return l;
}

static void test_lists_are_sorted_sets__X509_31__X509_44(void)
{
	static const char *const one[] = { "uri:https://a.example/", "dns:b.example", "ip:192.0.2.2", "dns:A.example",
		                           "dns:b.EXAMPLE", "ip:192.0.2.1", "dns:b" };
	static const char *const other[] = { "dns:b", "ip:192.0.2.1", "dns:a.example", "uri:https://a.example/",
		                             "dns:b.example", "ip:192.0.2.2", "ip:192.0.2.2" };
	struct san_list a = list_of(one, 7), b = list_of(other, 7), empty = { 0 };
	struct san s;
	AUTO_BUF x = { 0 };
	AUTO_BUF y = { 0 };

	san_list_normalise(&a);
	san_list_normalise(&b);
	san_list_normalise(&empty);
	CU_ASSERT_EQUAL(a.n, 6);
	CU_ASSERT_TRUE(san_list_equal(&a, &b));
	CU_ASSERT_FALSE(san_list_equal(&a, &empty));
	CU_ASSERT_EQUAL(empty.n, 0);
	CU_ASSERT_STRING_EQUAL(a.v[0].value, "a.example");
	CU_ASSERT_STRING_EQUAL(a.v[1].value, "b");
	CU_ASSERT_STRING_EQUAL(a.v[2].value, "b.example");
	san_list_der(&x, &a);
	san_list_der(&y, &b);
	CU_ASSERT_TRUE(span_equal(span_of(&x), span_of(&y)));
	CU_ASSERT_TRUE(san_from_text(&s, "dns:B", false, NULL) && san_list_has(&a, &s));
	CU_ASSERT_TRUE(san_from_text(&s, "dns:c", false, NULL) && !san_list_has(&a, &s));
	/* The same text under another type is another name. */
	CU_ASSERT_TRUE(san_from_text(&s, "email:a@a.example", false, NULL));
	s.type = SAN_UPN;
	CU_ASSERT_FALSE(san_list_has(&a, &s));
}

static bool parse_list(struct san_list *l, const struct buf *der, struct err *e)
{
	struct der d = der_of_span(span_of(der));

	return san_list_parse(l, der_span(&d, DER_SEQUENCE), e);
}

static void test_list_der_round_trip__X509_31(void)
{
	static const char *const texts[] = { "dns:a.example", "dns:*.b.example", "ip:192.0.2.1", "ip:2001:db8::1",
		                             "email:n@a.example", "uri:https://a.example/", "upn:n\xc3\xbcrse@ward" };
	static struct san_list back;
	struct san_list l = list_of(texts, 7);
	AUTO_BUF der = { 0 };
	AUTO_BUF door = { 0 };
	struct err e = { 0 };
	struct span content;
	struct der d;
	struct rd r;

	san_list_normalise(&l);
	san_list_der(&der, &l);
	CU_ASSERT_TRUE_FATAL(parse_list(&back, &der, &e));
	CU_ASSERT_TRUE(san_list_equal(&l, &back));
	san_list_put(&door, &l);
	r = rd_of(door.p, door.n);
	san_list_get(&r, &back);
	CU_ASSERT_TRUE(rd_done(&r) && san_list_equal(&l, &back));
	for (size_t n = 0; n < door.n; n++) {
		r = rd_of(door.p, n);
		san_list_get(&r, &back);
		CU_ASSERT_FALSE(rd_done(&r));
	}
	d = der_of_span(span_of(&der));
	content = der_span(&d, DER_SEQUENCE);
	for (size_t n = 0; n < content.n; n++) {
		uint8_t *cut = mem_dup(content.p, n);

		/* Cut at the edge of an entry it is a shorter list, elsewhere it is refused. */
		if (san_list_parse(&back, (struct span){ cut, n }, NULL))
			CU_ASSERT_TRUE(back.n < l.n);
		free(cut);
	}
}

static void put_names(struct buf *out, size_t n)
{
	size_t mark = der_begin(out, DER_SEQUENCE);
	char name[32];

	for (size_t i = 0; i < n; i++) {
		snprintf(name, sizeof name, "n%zu.example", i);
		der_put(out, DER_CONTEXT | 2, name, strlen(name));
	}
	der_end(out, mark);
}

static void test_more_than_100_names_refused__X509_31(void)
{
	static struct san_list l;
	AUTO_BUF hundred = { 0 };
	AUTO_BUF more = { 0 };
	struct err e = { 0 };

	put_names(&hundred, 100);
	CU_ASSERT_TRUE(parse_list(&l, &hundred, &e));
	CU_ASSERT_EQUAL(l.n, 100);
	put_names(&more, 101);
	CU_ASSERT_FALSE(parse_list(&l, &more, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_BAD_NAME);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "100"));
}

static void test_names_we_do_not_issue_are_refused__X509_31(void)
{
	static const struct {
		const char *der;
		size_t n;
	} bad[] = {
#define ROW(s) { s, sizeof s - 1 }
		ROW("\x30\x00"),                                         /* no name at all */
		ROW("\x30\x02\x82\x00"),                                 /* empty dNSName */
		ROW("\x30\x05\x88\x03\x2a\x03\x04"),                     /* registeredID */
		ROW("\x30\x04\xa4\x02\x30\x00"),                         /* directoryName */
		ROW("\x30\x04\xa3\x02\x30\x00"),                         /* x400Address */
		ROW("\x30\x04\xa5\x02\xa1\x00"),                         /* ediPartyName */
		ROW("\x30\x03\x0c\x01\x61"),                             /* no GeneralName */
		ROW("\x30\x03\xa2\x01\x61"),                             /* dNSName constructed */
		ROW("\x30\x03\x82\x02\x61"),                             /* longer than its list */
		ROW("\x30\x04\x82\x81\x01\x61"),                         /* length not minimal */
		ROW("\x30\x05\x82\x80\x61\x00\x00"),                     /* indefinite length */
		ROW("\x30\x05\x87\x03\x01\x02\x03"),                     /* address of three octets */
		ROW("\x30\x0a\xa0\x08\x06\x02\x2a\x03\xa0\x02\x0c\x00"), /* an otherName we don't know */
		ROW("\x30\x02\xa0\x00"),
		/* UPN as IA5String, and with something behind it */
		ROW("\x30\x15\xa0\x13\x06\x0a\x2b\x06\x01\x04\x01\x82\x37\x14\x02\x03\xa0\x05\x16\x03\x61\x40\x62"),
		ROW("\x30\x17\xa0\x15\x06\x0a\x2b\x06\x01\x04\x01\x82\x37\x14\x02\x03\xa0\x05\x0c\x03\x61\x40\x62\x05\x00"),
		ROW("\x30\x17\xa0\x15\x06\x0a\x2b\x06\x01\x04\x01\x82\x37\x14\x02\x03\xa0\x07\x0c\x03\x61\x40\x62\x05\x00"),
	};
	static struct san_list l;
	struct err e;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		AUTO_BUF b = { 0 };

		buf_add(&b, bad[i].der, bad[i].n);
		e = (struct err){ 0 };
		CU_ASSERT_FALSE(parse_list(&l, &b, &e));
		CU_ASSERT_EQUAL(e.kind, ERR_BAD_NAME);
	}
	CU_ASSERT_TRUE(san_list_parse(&l,
	                              (struct span){ (const uint8_t *)"\xa0\x13\x06\x0a\x2b\x06\x01\x04\x01\x82\x37\x14\x02"
	                                                              "\x03\xa0\x05\x0c\x03\x61\x40\x62", 21 }, &e));
	CU_ASSERT_TRUE(l.n == 1 && l.v[0].type == SAN_UPN);
	CU_ASSERT_STRING_EQUAL(l.v[0].value, "a@b");
}

static void test_foreign_names_are_skipped(void)
{
	/* directoryName, a dNSName with an underscore, a good one, a registeredID */
	static const char mixed[] = "\xa4\x02\x30\x00\x82\x03\x61_\x62\x82\x01\x61\x88\x03\x2a\x03\x04";
	static struct san_list l;

	CU_ASSERT_TRUE(san_list_parse_foreign(&l, (struct span){ (const uint8_t *)mixed, sizeof mixed - 1 }));
	CU_ASSERT_TRUE(l.n == 1 && strcmp(l.v[0].value, "a") == 0);
	CU_ASSERT_FALSE(san_list_parse_foreign(&l, (struct span){ (const uint8_t *)mixed, sizeof mixed - 2 }));
	CU_ASSERT_FALSE(san_list_parse_foreign(&l, (struct span){ (const uint8_t *)"\x82\x80\x61\0\0", 5 }));
}

static void test_codecs_refuse_what_parse_refuses(void)
{
	static struct san_list l;
	struct dn d;
	AUTO_BUF many = { 0 };
	AUTO_BUF bad = { 0 };
	AUTO_BUF text = { 0 };
	struct rd r;

	wr_u16(&many, SAN_MAX + 1);
	for (int i = 0; i <= SAN_MAX; i++) {
		wr_u8(&many, SAN_DNS);
		wr_span(&many, "a", 1);
	}
	r = rd_of(many.p, many.n);
	san_list_get(&r, &l);
	CU_ASSERT_TRUE(r.bad);
	wr_u16(&bad, 1);
	wr_u8(&bad, SAN_DNS);
	wr_span(&bad, "a_b", 3);
	r = rd_of(bad.p, bad.n);
	san_list_get(&r, &l);
	CU_ASSERT_TRUE(r.bad);
	wr_u8(&text, 1);
	wr_u8(&text, DN_CN);
	wr_text(&text, "pump\n7");
	r = rd_of(text.p, text.n);
	dn_get(&r, &d);
	CU_ASSERT_TRUE(r.bad);
	text.n = 1;
	text.p[0] = DN_MAX + 1;
	r = rd_of(text.p, text.n);
	dn_get(&r, &d);
	CU_ASSERT_TRUE(r.bad);
}

static const struct cu_case table[] = {
	{ "test_dns_table__X509_30", test_dns_table__X509_30 },
	{ "test_name_with_nul_is_refused__X509_30", test_name_with_nul_is_refused__X509_30 },
	{ "test_refusal_shows_the_name_safely__X509_30", test_refusal_shows_the_name_safely__X509_30 },
	{ "test_email_table__X509_31", test_email_table__X509_31 },
	{ "test_uri_table__X509_31", test_uri_table__X509_31 },
	{ "test_upn_table__X509_31", test_upn_table__X509_31 },
	{ "test_lengths_and_types__X509_31", test_lengths_and_types__X509_31 },
	{ "test_ip_text__X509_31", test_ip_text__X509_31 },
	{ "test_type_and_value__X509_30", test_type_and_value__X509_30 },
	{ "test_lists_are_sorted_sets__X509_31__X509_44", test_lists_are_sorted_sets__X509_31__X509_44 },
	{ "test_list_der_round_trip__X509_31", test_list_der_round_trip__X509_31 },
	{ "test_more_than_100_names_refused__X509_31", test_more_than_100_names_refused__X509_31 },
	{ "test_names_we_do_not_issue_are_refused__X509_31", test_names_we_do_not_issue_are_refused__X509_31 },
	{ "test_foreign_names_are_skipped", test_foreign_names_are_skipped },
	{ "test_codecs_refuse_what_parse_refuses", test_codecs_refuse_what_parse_refuses },
};

CU_MAIN(table)
