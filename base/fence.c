/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fence.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* IPv4 addresses stand in the first four octets. */
struct address {
	bool v6;
	uint8_t b[16];
};

enum class { SPECIAL, PRIVATE, EMBEDS };
static const struct row {
	const char *network;
	enum class class;
	const char *words;
	unsigned at; /* EMBEDS: where the IPv4 address stands */
} rows[] = {
	{ "0.0.0.0/8", SPECIAL, "unspecified", 0 },
	{ "10.0.0.0/8", PRIVATE, "private", 0 },
	{ "100.64.0.0/10", PRIVATE, "private", 0 },
	{ "100.100.100.200/32", SPECIAL, "a metadata service", 0 },
	{ "127.0.0.0/8", SPECIAL, "loopback", 0 },
	{ "168.63.129.16/32", SPECIAL, "a metadata service", 0 },
	{ "169.254.0.0/16", SPECIAL, "link-local", 0 },
	{ "169.254.169.254/32", SPECIAL, "a metadata service", 0 },
	{ "172.16.0.0/12", PRIVATE, "private", 0 },
	{ "192.0.0.0/24", SPECIAL, "reserved", 0 },
	{ "192.0.2.0/24", SPECIAL, "for documentation", 0 },
	{ "192.88.99.0/24", SPECIAL, "reserved", 0 },
	{ "192.168.0.0/16", PRIVATE, "private", 0 },
	{ "198.18.0.0/15", SPECIAL, "for benchmarks", 0 },
	{ "198.51.100.0/24", SPECIAL, "for documentation", 0 },
	{ "203.0.113.0/24", SPECIAL, "for documentation", 0 },
	{ "224.0.0.0/4", SPECIAL, "multicast", 0 },
	{ "240.0.0.0/4", SPECIAL, "reserved", 0 },
	/* IPv6: what is not 2000::/3 is nobody's. */
	{ "::/3", SPECIAL, "reserved", 0 },
	{ "4000::/2", SPECIAL, "reserved", 0 },
	{ "8000::/1", SPECIAL, "reserved", 0 },
	{ "::/96", EMBEDS, "IPv4-compatible", 12 },
	{ "::/128", SPECIAL, "unspecified", 0 },
	{ "::1/128", SPECIAL, "loopback", 0 },
	{ "::ffff:0:0/96", EMBEDS, "IPv4-mapped", 12 },
	{ "::ffff:0:0:0/96", EMBEDS, "IPv4-translated", 12 },
	{ "64:ff9b::/96", EMBEDS, "NAT64", 12 },
	{ "64:ff9b:1::/48", SPECIAL, "local NAT64", 0 },
	{ "2001::/23", SPECIAL, "reserved", 0 },
	{ "2001:db8::/32", SPECIAL, "for documentation", 0 },
	{ "2002::/16", EMBEDS, "6to4", 2 },
	{ "3fff::/20", SPECIAL, "for documentation", 0 },
	{ "fc00::/7", PRIVATE, "private", 0 },
	{ "fd00:ec2::254/128", SPECIAL, "a metadata service", 0 },
	{ "fd20:ce::254/128", SPECIAL, "a metadata service", 0 },
	{ "fe80::/10", SPECIAL, "link-local", 0 },
	{ "fec0::/10", SPECIAL, "site-local", 0 },
	{ "ff00::/8", SPECIAL, "multicast", 0 },
};

static bool lies_within(const struct address *a, const struct fence_network *n)
{
	unsigned whole = n->bits / 8, rest = n->bits % 8;

	return a->v6 == n->v6 && memcmp(a->b, n->address, whole) == 0 &&
	       (rest == 0 || ((a->b[whole] ^ n->address[whole]) >> (8 - rest)) == 0);
}

/* ADDRESS or ADDRESS/BITS without bits behind the prefix. */
static bool parse_network(struct fence_network *out, const char *word, size_t len)
{
	char text[64], *slash;
	unsigned long bits;

	if (len >= sizeof text)
		return false;
	memcpy(text, word, len);
	text[len] = 0;
	*out = (struct fence_network){ 0 };
	slash = strchr(text, '/');
	if (slash != NULL)
		*slash = 0;
	out->v6 = strchr(text, ':') != NULL;
	bits = out->v6 ? 128 : 32;
	if (inet_pton(out->v6 ? AF_INET6 : AF_INET, text, out->address) != 1)
		return false;
	if (slash != NULL) {
		size_t digits = strspn(slash + 1, "0123456789");
		unsigned long given = strtoul(slash + 1, NULL, 10);

		if (digits == 0 || digits > 3 || slash[1 + digits] != 0 || given > bits)
			return false;
		bits = given;
	}
	out->bits = (uint8_t)bits;
	for (unsigned i = out->bits; i < (out->v6 ? 128u : 32u); i++)
		if ((out->address[i / 8] >> (7 - i % 8) & 1) != 0)
			return false;
	return true;
}

bool fence_parse(struct fence *f, const char *text, struct err *e)
{
	*f = (struct fence){ 0 };
	for (const char *p = text + strspn(text, " "); *p != 0; p += strspn(p, " ")) {
		size_t n = strcspn(p, " ");

		if (n == 7 && strncmp(p, "private", n) == 0)
			f->to_private = true;
		else if (n == 6 && strncmp(p, "public", n) == 0)
			f->to_public = true;
		else if (f->n == FENCE_NETWORK_MAX)
			return err_set(e, ERR_CONFIG, "more than %d networks", FENCE_NETWORK_MAX);
		else if (!parse_network(&f->network[f->n++], p, n))
			return err_set(e, ERR_CONFIG, "'%.*s' is neither private, public nor a network", (int)(n < 50 ? n : 50), p);
		p += n;
	}
	return f->to_private || f->to_public || f->n != 0 || err_set(e, ERR_CONFIG, "nothing may be connected to");
}

static struct fence_network networks[COUNT_OF(rows)]; /* of rows */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void read_rows(void)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (!parse_network(&networks[i], rows[i].network, strlen(rows[i].network)))
			abort();
}

/* The smallest row around it; NULL: nothing special. */
static const struct row *row_of(const struct address *a, unsigned *bits)
{
	const struct row *found = NULL;

	(void)pthread_once(&once, read_rows);
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (lies_within(a, &networks[i]) && (found == NULL || networks[i].bits >= *bits)) {
			found = &rows[i];
			*bits = networks[i].bits;
		}
	return found;
}

/* A network of at least so many bits is around it. */
static bool is_named(const struct fence *f, const struct address *a, unsigned bits)
{
	for (unsigned i = 0; i < f->n; i++)
		if (f->network[i].bits >= bits && lies_within(a, &f->network[i]))
			return true;
	return false;
}

static const char *judge(const struct fence *f, const struct address *a, bool own)
{
	unsigned bits = 0;
	const struct row *row = row_of(a, &bits);
	struct address inner = { .v6 = false };

	if (row != NULL && row->class == EMBEDS && !is_named(f, a, bits)) {
		memcpy(inner.b, a->b + row->at, 4);
		return judge(f, &inner, own);
	}
	if (row != NULL && row->class != PRIVATE)
		return is_named(f, a, bits) ? NULL : row->words;
	if (own)
		return is_named(f, a, a->v6 ? 128 : 32) ? NULL : "this machine";
	if ((row != NULL ? f->to_private : f->to_public) || is_named(f, a, 0))
		return NULL;
	return row != NULL ? row->words : "public";
}

const char *fence_refuses(const struct fence *f, const struct sockaddr *to, bool own)
{
	struct address a = { .v6 = to->sa_family == AF_INET6 };

	if (to->sa_family != AF_INET && !a.v6)
		return "of another family";
	if (a.v6)
		memcpy(a.b, &((const struct sockaddr_in6 *)(const void *)to)->sin6_addr, 16);
	else
		memcpy(a.b, &((const struct sockaddr_in *)(const void *)to)->sin_addr, 4);
	return judge(f, &a, own);
}
