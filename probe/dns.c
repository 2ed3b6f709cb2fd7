/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/dns.h"

#include <ctype.h>
#include <string.h>

enum { HEAD = 12, JUMP_MAX = 32 };

struct packet {
	const uint8_t *p;
	size_t n, at;
	bool bad;
};

static unsigned u16(struct packet *k)
{
	unsigned v;

	if (k->bad || k->n - k->at < 2) {
		k->bad = true;
		return 0;
	}
	v = (unsigned)k->p[k->at] << 8 | k->p[k->at + 1];
	k->at += 2;
	return v;
}

static void skip(struct packet *k, size_t n)
{
	if (k->bad || k->n - k->at < n)
		k->bad = true;
	else
		k->at += n;
}

/* A name, in wire form without pointers and in lower case (RFC 1035, 4.1.4): pointers lead backwards alone. */
static void name(struct packet *k, uint8_t out[DNS_NAME_MAX])
{
	size_t at = k->at, used = 0, lowest = k->at;
	bool jumped = false;

	memset(out, 0, DNS_NAME_MAX);
	for (unsigned jumps = 0; !k->bad;) {
		unsigned c = at < k->n ? k->p[at] : 0x40;

		if (c >= 0xc0 && at + 1 < k->n && ++jumps <= JUMP_MAX) {
			size_t to = (size_t)(c & 0x3f) << 8 | k->p[at + 1];

			if (!jumped)
				k->at = at + 2;
			jumped = true;
			k->bad = to >= lowest;
			at = lowest = to;
			continue;
		}
		if (c >= 0x40 || at + 1 + c > k->n || used + 1 + c > 255) {
			k->bad = true;
			return;
		}
		out[used++] = (uint8_t)c;
		for (unsigned i = 0; i < c; i++)
			out[used++] = (uint8_t)tolower(k->p[at + 1 + i]);
		at += 1 + c;
		if (c == 0) {
			if (!jumped)
				k->at = at;
			return;
		}
	}
}

struct record {
	uint8_t owner[DNS_NAME_MAX];
	unsigned type;
	struct span rdata;
	size_t at; /* of the rdata, in the packet */
};

static void record(struct packet *k, struct record *r)
{
	unsigned n;

	name(k, r->owner);
	r->type = u16(k);
	if (u16(k) != 1) /* IN */
		r->type = 0;
	skip(k, 4);
	n = u16(k);
	r->at = k->at;
	skip(k, n);
	r->rdata = (struct span){ k->p + r->at, k->bad ? 0 : n };
}

/* One pass over the answer: takes the records at `at`, or finds where its alias leads. */
static bool pass(struct packet k, unsigned count, unsigned type, const uint8_t at[DNS_NAME_MAX], uint8_t next[DNS_NAME_MAX],
                 struct dns_records *out, bool *bad)
{
	bool alias = false;
	struct record r;

	for (unsigned i = 0; i < count && !k.bad; i++) {
		record(&k, &r);
		if (k.bad || memcmp(r.owner, at, DNS_NAME_MAX) != 0)
			continue;
		if (r.type == type && out->n < DNS_RECORD_MAX)
			out->rdata[out->n++] = r.rdata;
		if (r.type == DNS_CNAME && !alias) {
			struct packet inner = { k.p, k.n, r.at, false };

			name(&inner, next);
			if (inner.bad || inner.at != r.at + r.rdata.n)
				k.bad = true;
			alias = true;
		}
	}
	*bad = k.bad;
	return alias;
}

bool dns_read(struct dns_records *out, unsigned type, const uint8_t *p, size_t n, struct err *e)
{
	struct packet k = { p, n, 4, n < HEAD || n > DNS_PACKET_MAX };
	uint8_t at[DNS_NAME_MAX], next[DNS_NAME_MAX];
	unsigned questions, answers;
	bool bad;

	out->n = out->cnames = 0;
	out->rcode = k.bad ? 0 : p[3] & 15;
	questions = u16(&k);
	answers = u16(&k);
	skip(&k, 4);
	if (questions != 1)
		k.bad = true;
	name(&k, at);
	skip(&k, 4);
	if (k.bad)
		return err_set(e, ERR_BAD_REQUEST, "malformed DNS answer");
	for (;;) {
		bool alias = pass(k, answers, type, at, next, out, &bad);

		if (bad)
			return err_set(e, ERR_BAD_REQUEST, "malformed DNS answer");
		if (!alias || out->n != 0)
			return true;
		if (++out->cnames > DNS_CNAME_MAX)
			return err_set(e, ERR_BAD_REQUEST, "more than %d aliases (CNAME) one behind the other", DNS_CNAME_MAX);
		memcpy(at, next, sizeof at);
	}
}

bool dns_txt(struct buf *out, struct span rdata, struct err *e)
{
	if (rdata.n == 0)
		return err_set(e, ERR_BAD_REQUEST, "empty TXT record");
	for (size_t at = 0; at < rdata.n; at += 1 + (size_t)rdata.p[at]) {
		if (rdata.n - at - 1 < rdata.p[at])
			return err_set(e, ERR_BAD_REQUEST, "malformed TXT record");
		buf_add(out, rdata.p + at + 1, rdata.p[at]);
	}
	return true;
}

bool dns_caa(struct caa_record *out, struct span rdata, struct err *e)
{
	size_t n = rdata.n >= 2 ? rdata.p[1] : 0;

	*out = (struct caa_record){ 0 };
	/* A tag of a known property is never so long; another one counts by its flag alone. */
	if (n == 0 || rdata.n - 2 < n)
		return err_set(e, ERR_BAD_REQUEST, "malformed CAA record");
	out->flags = rdata.p[0];
	for (size_t i = 0; i < n; i++) {
		int c = rdata.p[2 + i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')))
			return err_set(e, ERR_BAD_REQUEST, "malformed CAA record");
		if (i < sizeof out->tag - 1)
			out->tag[i] = (char)tolower(c);
	}
	out->value = (struct span){ rdata.p + 2 + n, rdata.n - 2 - n };
	return true;
}
