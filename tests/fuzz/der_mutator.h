/* SPDX-License-Identifier: Apache-2.0
 *
 * Mutations that keep DER whole: an element is changed, dropped, doubled or replaced, and the lengths around it follow.
 * Define DER_MUTATOR_SKIP for what stands before the DER, and DER_MUTATOR_AFTER(data, n, max) for a last touch (a
 * signature made anew). Only libFuzzer's builds have it. */
#ifdef FUZZER
#include "base/der.h"

#include <string.h>

#ifndef DER_MUTATOR_SKIP
#define DER_MUTATOR_SKIP 0
#endif
#ifndef DER_MUTATOR_AFTER
#define DER_MUTATOR_AFTER(data, n, max) (n)
#endif

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

enum { NODE_MAX = 512, DEEPEST = 24 };
struct node {
	size_t at, n, content; /* offsets into the data: the whole element, and its inside */
	int parent;
};

static struct node nodes[NODE_MAX];
static int node_n;

static void find(const uint8_t *data, size_t from, size_t to, int parent, int depth)
{
	struct der d = der_of(data + from, to - from), in;

	while (!der_empty(&d) && node_n < NODE_MAX && depth < DEEPEST) {
		const uint8_t *start = d.p;
		int tag, me = node_n;

		der_any(&d, &tag, &in);
		if (d.bad)
			return;
		nodes[node_n++] = (struct node){ (size_t)(start - data), (size_t)(d.p - start), (size_t)(in.p - data), parent };
		if ((tag & 0x20) != 0) {
			find(data, (size_t)(in.p - data), (size_t)(in.end - data), me, depth + 1);
		} else if (tag == DER_OCTETS || (tag == DER_BITS && in.end - in.p > 2 && in.p[0] == 0)) {
			/* What is wrapped: an extension's value, an RSA key. */
			struct der wrapped = der_of(in.p + (tag == DER_BITS), (size_t)(in.end - in.p) - (tag == DER_BITS)), inside = wrapped, x;
			int t;

			der_any(&inside, &t, &x);
			if (der_done(&inside) && (t == DER_SEQUENCE || t == DER_BITS || t == DER_OCTETS))
				find(data, (size_t)(wrapped.p - data), (size_t)(wrapped.end - data), me, depth + 1);
		}
	}
}

static const struct {
	uint8_t n, octets[12];
} odd[] = {
	{ 5, { 0x82, 3, 'a', 0, 'b' } }, { 3, { 0x02, 1, 0xff } }, { 4, { 0x02, 2, 0, 1 } }, { 3, { 0x01, 1, 1 } }, { 3, { 0x01, 1, 0 } },
	{ 3, { 0x01, 1, 0xff } }, { 2, { 0x05, 0 } }, { 2, { 0x30, 0 } }, { 2, { 0x31, 0 } }, { 4, { 0x0c, 2, 'x', 0 } },
	{ 5, { 0x1e, 3, 0, 'a', 0 } }, { 6, { 0x1e, 4, 0xd8, 0, 0xdc, 0 } }, { 6, { 0x87, 4, 127, 0, 0, 1 } }, { 2, { 0x03, 0 } },
	{ 4, { 0x03, 2, 7, 0x80 } }, { 4, { 0x03, 2, 1, 0x01 } }, { 2, { 0xa0, 0 } }, { 4, { 0x06, 2, 0x80, 1 } }, { 3, { 0x06, 1, 0x8f } },
	{ 6, { 0x1c, 4, 0, 0, 0, 'a' } }, { 5, { 0x14, 3, 0xe4, 0, 'a' } }, { 5, { 0x81, 3, 'a', '@', 'b' } }, { 2, { 0xa4, 0 } },
};
static const uint8_t tags[] = { 1, 2, 3, 4, 5, 6, 0x0a, 0x0c, 0x13, 0x14, 0x16, 0x17, 0x18, 0x1c, 0x1e, 0x24, 0x30, 0x31, 0x80, 0x81, 0x82,
	                        0x83, 0x84, 0x86, 0x87, 0x88, 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0x1f };

static unsigned draw(unsigned *state, unsigned n)
{
	*state = *state * 1103515245u + 12345u;
	return (*state >> 8) % n;
}

/* What stands where the node was. */
static void changed(struct buf *out, const uint8_t *data, const struct node *k, unsigned *r)
{
	const struct node *other = &nodes[draw(r, (unsigned)node_n)];
	size_t inside = k->at + k->n - k->content, what = draw(r, (unsigned)(sizeof odd / sizeof odd[0]));
	uint8_t *room;

	switch ((data[k->at] & 0x20) != 0 ? draw(r, 8) : draw(r, 16)) {
	case 0: /* dropped */
		return;
	case 1: /* doubled */
		buf_add(out, data + k->at, k->n);
		buf_add(out, data + k->at, k->n);
		return;
	case 2: /* another one's octets */
		buf_add(out, data + other->at, other->n);
		return;
	case 3: /* another tag */
		buf_add(out, data + k->at, k->n);
		out->p[0] = tags[draw(r, sizeof tags)];
		return;
	case 4: /* something odd, instead or behind */
		if (draw(r, 2) != 0)
			buf_add(out, data + k->at, k->n);
		buf_add(out, odd[what].octets, odd[what].n);
		return;
	case 5: /* a length that is not the shortest */
		buf_byte(out, data[k->at]);
		if (inside < 128)
			buf_byte(out, 0x81);
		else
			buf_add(out, "\x83\0", 2);
		if (inside >= 128)
			buf_byte(out, (uint8_t)(inside >> 8));
		buf_byte(out, (uint8_t)inside);
		buf_add(out, data + k->content, inside);
		return;
	case 6: /* behind another one */
		buf_add(out, data + other->at, other->n);
		buf_add(out, data + k->at, k->n);
		return;
	default: /* its inside */
		room = mem_new(inside + 64);
		memcpy(room, data + k->content, inside);
		inside = LLVMFuzzerMutate(room, inside, inside + 64);
		der_put(out, data[k->at], room, inside);
		free(room);
	}
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	AUTO_BUF now = { 0 };
	unsigned r = seed;
	size_t from, to;
	int at;

	node_n = 0;
	if (size > DER_MUTATOR_SKIP)
		find(data, DER_MUTATOR_SKIP, size, -1, 0);
	if (node_n == 0 || draw(&r, 10) == 0)
		return LLVMFuzzerMutate(data, size, max);
	at = (int)draw(&r, (unsigned)node_n);
	/* Values more often than what holds them. */
	for (int i = 0; i < 3 && (data[nodes[at].at] & 0x20) != 0; i++)
		at = (int)draw(&r, (unsigned)node_n);
	changed(&now, data, &nodes[at], &r);
	for (; nodes[at].parent >= 0; at = nodes[at].parent) {
		const struct node *up = &nodes[nodes[at].parent];
		AUTO_BUF whole = { 0 };
		size_t mark = der_begin(&whole, data[up->at]);

		buf_add(&whole, data + up->content, nodes[at].at - up->content);
		buf_add(&whole, now.p, now.n);
		buf_add(&whole, data + nodes[at].at + nodes[at].n, up->at + up->n - nodes[at].at - nodes[at].n);
		der_end(&whole, mark);
		now.n = 0;
		buf_add(&now, whole.p, whole.n);
	}
	from = nodes[at].at;
	to = nodes[at].at + nodes[at].n;
	if (from + now.n + (size - to) > max)
		return LLVMFuzzerMutate(data, size, max);
	memmove(data + from + now.n, data + to, size - to);
	if (now.n != 0)
		memcpy(data + from, now.p, now.n);
	size = from + now.n + (size - to);
	return DER_MUTATOR_AFTER(data, size, max);
}
#endif
