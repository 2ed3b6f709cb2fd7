/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fence.h"

#include "tests/cu.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static const char *refuses(const char *networks, const char *address, bool own)
{
	struct sockaddr_storage a = { 0 };
	struct fence f;
	struct err e;

	if (!fence_parse(&f, networks, &e)) {
		printf("%s: %s\n", networks, e.text);
		return "unparsed";
	}
	a.ss_family = strchr(address, ':') != NULL ? AF_INET6 : AF_INET;
	CU_ASSERT_EQUAL(inet_pton(a.ss_family, address, a.ss_family == AF_INET6 ? (void *)&((struct sockaddr_in6 *)&a)->sin6_addr
	                                                                         : (void *)&((struct sockaddr_in *)&a)->sin_addr), 1);
	return fence_refuses(&f, (struct sockaddr *)&a, own);
}

static void judged(const char *networks, const char *address, bool own, const char *wanted, int line)
{
	const char *got = refuses(networks, address, own);
	bool right = wanted == NULL ? got == NULL : got != NULL && strcmp(got, wanted) == 0;

	if (!right)
		printf("line %d: %s in '%s': %s\n", line, address, networks, got != NULL ? got : "allowed");
	CU_ASSERT_TRUE(right);
}
#define ALLOWED(networks, address) judged(networks, address, false, NULL, __LINE__)
#define REFUSED(networks, address, why) judged(networks, address, false, why, __LINE__)

static void test_private_and_public__ACME_31(void)
{
	static const char *const private[] = { "10.0.0.0", "10.255.255.255", "172.16.0.1", "172.31.255.254", "192.168.0.1", "100.64.0.1",
		                               "100.127.255.255", "fc00::1", "fdff:ffff::1" };
	static const char *const public[] = { "1.1.1.1", "9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.0", "192.167.1.1", "100.63.255.255",
		                              "100.128.0.0", "223.255.255.255", "2606:4700::1", "2000::1", "2400::1" };

	for (size_t i = 0; i < sizeof private / sizeof private[0]; i++) {
		ALLOWED("private", private[i]);
		ALLOWED("private public", private[i]);
		REFUSED("public", private[i], "private");
		REFUSED("192.0.2.0/24", private[i], "private");
	}
	for (size_t i = 0; i < sizeof public / sizeof public[0]; i++) {
		ALLOWED("public", public[i]);
		REFUSED("private", public[i], "public");
	}
	ALLOWED("1.1.0.0/16", "1.1.2.3");
	REFUSED("1.1.0.0/16", "1.2.2.3", "public");
	ALLOWED("10.20.0.0/15", "10.21.255.255");
	REFUSED("10.20.0.0/15", "10.22.0.0", "private");
	ALLOWED("fd00:1::/32", "fd00:1::7");
	REFUSED("fd00:1::/32", "fd00:2::7", "private");
	ALLOWED("10.1.2.3", "10.1.2.3");
	REFUSED("10.1.2.3", "10.1.2.2", "private");
}

static void test_special_addresses__ACME_31(void)
{
	static const struct {
		const char *address, *why, *named;
	} rows[] = {
		{ "127.0.0.1", "loopback", "127.0.0.0/8" }, { "127.255.255.254", "loopback", "127.255.255.254" }, { "::1", "loopback", "::1/128" },
		{ "0.0.0.0", "unspecified", "0.0.0.0" }, { "0.1.2.3", "unspecified", "0.0.0.0/8" }, { "::", "unspecified", "::" },
		{ "169.254.0.1", "link-local", "169.254.0.0/16" }, { "fe80::1", "link-local", "fe80::/10" },
		{ "169.254.169.254", "a metadata service", "169.254.169.254/32" }, { "fd00:ec2::254", "a metadata service", "fd00:ec2::254" },
		{ "fd20:ce::254", "a metadata service", "fd20:ce::254" }, { "100.100.100.200", "a metadata service", "100.100.100.200" },
		{ "168.63.129.16", "a metadata service", "168.63.129.16" }, { "192.0.0.192", "reserved", "192.0.0.0/24" },
		{ "224.0.0.1", "multicast", "224.0.0.0/4" }, { "239.255.255.255", "multicast", "239.0.0.0/8" }, { "ff02::1", "multicast", "ff02::/16" },
		{ "255.255.255.255", "reserved", "255.255.255.255" }, { "240.0.0.1", "reserved", "240.0.0.0/4" },
		{ "192.0.2.1", "for documentation", "192.0.2.0/24" }, { "2001:db8::1", "for documentation", "2001:db8::/32" },
		{ "198.19.255.255", "for benchmarks", "198.18.0.0/15" }, { "fec0::1", "site-local", "fec0::/10" }, { "2001::1", "reserved", "2001::/32" },
		{ "4000::1", "reserved", "4000::/3" }, { "64:ff9b:1::1", "local NAT64", "64:ff9b:1::/48" },
	};
	const char *everything = "private public 0.0.0.0/0 ::/0 10.0.0.0/8 128.0.0.0/1 8000::/1";

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		REFUSED("private public", rows[i].address, rows[i].why);
		if (strcmp(rows[i].why, "reserved") != 0 && strcmp(rows[i].why, "multicast") != 0)
			REFUSED(everything, rows[i].address, rows[i].why); /* not named by what is wider than it */
		ALLOWED(rows[i].named, rows[i].address);
	}
	/* A network that holds a metadata service and more does not name it. */
	REFUSED("169.254.0.0/16", "169.254.169.254", "a metadata service");
	REFUSED("fd00::/8", "fd00:ec2::254", "a metadata service");
}

static void test_addresses_within_addresses__ACME_31(void)
{
	static const char *const inner[] = { "127.0.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1", "10.0.0.1" };
	static const char *const outer[] = { "::ffff:%s", "64:ff9b::%s", "::ffff:0:%s" };
	char address[64];
	uint8_t a[4];

	for (size_t i = 0; i < sizeof inner / sizeof inner[0]; i++) {
		const char *why = refuses("public", inner[i], false);

		CU_ASSERT_PTR_NOT_NULL_FATAL(why);
		for (size_t k = 0; k < sizeof outer / sizeof outer[0]; k++) {
			snprintf(address, sizeof address, outer[k], inner[i]);
			REFUSED("public", address, why);
			ALLOWED(inner[i], address);
		}
		(void)inet_pton(AF_INET, inner[i], a);
		snprintf(address, sizeof address, "2002:%02x%02x:%02x%02x::5", a[0], a[1], a[2], a[3]);
		REFUSED("public", address, why);
	}
	ALLOWED("public", "::ffff:1.1.1.1");
	ALLOWED("private", "::ffff:10.1.2.3");
	REFUSED("private", "64:ff9b::1.1.1.1", "public");
	ALLOWED("private", "64:ff9b::10.0.0.1");
	REFUSED("public", "::10.0.0.1", "private");
}

static void test_own_addresses__ACME_31(void)
{
	judged("private", "10.0.0.1", true, "this machine", __LINE__);
	judged("private 10.0.0.0/8", "10.0.0.1", true, "this machine", __LINE__);
	judged("10.0.0.0/31", "10.0.0.1", true, "this machine", __LINE__);
	judged("private 10.0.0.1/32", "10.0.0.1", true, NULL, __LINE__);
	judged("public", "2606:4700::1", true, "this machine", __LINE__);
	judged("2606:4700::1", "2606:4700::1", true, NULL, __LINE__);
	judged("127.0.0.0/8", "127.0.0.1", true, NULL, __LINE__);
	judged("private", "::ffff:10.0.0.1", true, "this machine", __LINE__);
}

static void test_other_families__ACME_31(void)
{
	struct sockaddr local = { .sa_family = AF_UNIX };
	struct fence f;

	CU_ASSERT_TRUE(fence_parse(&f, "private public 0.0.0.0/0", NULL));
	CU_ASSERT_PTR_NOT_NULL(fence_refuses(&f, &local, false));
}

static void test_networks_that_are_none__ACME_31(void)
{
	static const char *const wrong[] = { "", "  ", "Private", "privat", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/8x", "10.0.0.0/-1", "10.0/8",
		                             "fd00::1/8", "::/129", "fd00::/", "10.0.0.0/8,private", "[::1]", "hospital.example", "10.0.0.0/8 nonsense",
		                             "::ffff:10.0.0.0/0096", "10.0.0.0/8/8", "1.2.3.4.5", "fe80::1%eth0" };
	char many[1024] = "";
	struct fence f;
	struct err e;

	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		bool good = fence_parse(&f, wrong[i], &e);

		if (good)
			printf("taken: '%s'\n", wrong[i]);
		CU_ASSERT_FALSE(good);
		CU_ASSERT_EQUAL(e.kind, ERR_CONFIG);
	}
	for (int i = 0; i < FENCE_NETWORK_MAX; i++)
		snprintf(many + strlen(many), sizeof many - strlen(many), "10.%d.0.0/16 ", i);
	CU_ASSERT_TRUE(fence_parse(&f, many, &e));
	CU_ASSERT_EQUAL(f.n, FENCE_NETWORK_MAX);
	strcat(many, "10.99.0.0/16");
	CU_ASSERT_FALSE(fence_parse(&f, many, &e));
	CU_ASSERT_TRUE(fence_parse(&f, "  private   0.0.0.0/0  ::/0 ", &e));
}

static const struct cu_case cases[] = {
	{ "private_and_public__ACME_31", test_private_and_public__ACME_31 },
	{ "special_addresses__ACME_31", test_special_addresses__ACME_31 },
	{ "addresses_within_addresses__ACME_31", test_addresses_within_addresses__ACME_31 },
	{ "own_addresses__ACME_31", test_own_addresses__ACME_31 },
	{ "other_families__ACME_31", test_other_families__ACME_31 },
	{ "networks_that_are_none__ACME_31", test_networks_that_are_none__ACME_31 },
};

CU_MAIN(cases)
