/* SPDX-License-Identifier: Apache-2.0
 *
 * Every parser against nesting, numbers and sizes without end: refused, at once, on a small stack. */
#include "tests/cu.h"

#include "api/api.h"
#include "base/clock.h"
#include "base/der.h"
#include "base/metric.h"
#include "ca/internal.h"
#include "config/config.h"
#include "config/profile.h"
#include "config/yaml_file.h"
#include "crl/ocsp_request.h"
#include "est/est.h"
#include "ipc/frame.h"
#include "pkix/constraints.h"

#include <pthread.h>
#include <stdlib.h>

enum { DEEP = 100000, STACK = 256 << 10 };

/* On a stack that recursion by one call a level would break through; nothing may take longer than a second. */
static void on_a_small_stack(void *(*run)(void *), void *arg)
{
	pthread_attr_t a;
	pthread_t t;
	int64_t began = clock_mono();

	pthread_attr_init(&a);
	CU_ASSERT_EQUAL_FATAL(pthread_attr_setstacksize(&a, STACK), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&t, &a, run, arg), 0);
	pthread_join(t, NULL);
	pthread_attr_destroy(&a);
	CU_ASSERT_TRUE(clock_mono() - began < 10 * US_PER_SECOND);
}

/* depth elements of this tag, each the only content of the one before. */
static void nested(struct buf *out, uint8_t tag, size_t depth)
{
	size_t n = 0, at = 6 * depth;
	uint8_t *p = mem_new(at);

	for (size_t i = 0; i < depth; i++) {
		uint8_t head[6] = { tag };
		size_t h = 2, more = n < 0x80 ? 0 : n < 0x100 ? 1 : n < 0x10000 ? 2 : 3;

		head[1] = (uint8_t)(more != 0 ? 0x80 | more : n);
		for (size_t k = 0; k < more; k++)
			head[h++] = (uint8_t)(n >> (8 * (more - 1 - k)));
		at -= h;
		memcpy(p + at, head, h);
		n += h;
	}
	out->n = 0;
	buf_add(out, p + at, n);
	free(p);
}

/* Every reader of DER, over the same octets. */
static void *read_der(void *arg)
{
	const struct buf *b = arg;
	struct span s = span_of(b);
	struct csr *csr = mem_new(sizeof *csr);
	struct cert *cert = mem_new(sizeof *cert);
	struct san_list *san = mem_new(sizeof *san);
	struct constraints *constraints = mem_new(sizeof *constraints);
	struct ocsp_request *q = mem_new(sizeof *q);
	struct lint_context lc = { .issuer_not_after = INT64_MAX };
	struct key_info k;
	struct dn dn;
	enum sig_alg alg;

	CU_ASSERT_FALSE(csr_parse(csr, s.p, s.n, NULL));
	CU_ASSERT_FALSE(cert_parse(cert, s.p, s.n, NULL));
	CU_ASSERT_FALSE(san_list_parse(san, s, NULL));
	CU_ASSERT_FALSE(san_list_parse_foreign(san, s));
	CU_ASSERT_FALSE(constraints_parse(constraints, s, NULL));
	CU_ASSERT_FALSE(ocsp_request_parse(q, s.p, s.n, NULL));
	CU_ASSERT_FALSE(dn_parse(&dn, s, NULL, NULL));
	CU_ASSERT_FALSE(name_is_well_formed(s));
	CU_ASSERT_FALSE(key_parse(&k, s, NULL));
	CU_ASSERT_FALSE(sig_alg_parse(&alg, s, NULL));
	CU_ASSERT_FALSE(lint_certificate(s, &lc, NULL));
	free(csr);
	free(cert);
	free(san);
	free(constraints);
	free(q);
	return NULL;
}

static void test_der_nested_without_end__OPS_11(void)
{
	static const uint8_t tags[] = { DER_SEQUENCE, DER_SET, DER_CONTEXT_CONS, DER_CONTEXT_CONS | 3, 0x24 };
	static const size_t depths[] = { 10, 1000, 4000, DEEP };
	AUTO_BUF b = { 0 };

	for (size_t i = 0; i < sizeof tags; i++)
		for (size_t k = 0; k < COUNT_OF(depths); k++) {
			nested(&b, tags[i], depths[k]);
			on_a_small_stack(read_der, &b);
		}
}

static void repeat(struct buf *b, const char *s, size_t n)
{
	while (n-- != 0)
		buf_text(b, s);
}

/* A request inside its size whose list has more entries than any limit. */
static void test_der_lists_without_end__OPS_11(void)
{
	AUTO_BUF names = { 0 };
	AUTO_BUF dn = { 0 };
	static struct san_list san;
	struct dn parsed;
	struct err e = { 0 };
	size_t mark;

	for (int i = 0; i <= SAN_MAX; i++)
		der_put(&names, DER_CONTEXT | 2, "a.b", 3);
	CU_ASSERT_FALSE(san_list_parse(&san, span_of(&names), &e));
	CU_ASSERT_EQUAL(e.kind, ERR_BAD_NAME);
	/* Those of others are cut, not refused. */
	CU_ASSERT_TRUE(san_list_parse_foreign(&san, span_of(&names)) && san.n <= SAN_MAX);
	mark = der_begin(&dn, DER_SEQUENCE);
	for (int i = 0; i <= DN_MAX; i++) {
		size_t set = der_begin(&dn, DER_SET), pair = der_begin(&dn, DER_SEQUENCE);

		(void)!der_put_oid(&dn, "2.5.4.3");
		der_put(&dn, DER_UTF8, "x", 1);
		der_end(&dn, pair);
		der_end(&dn, set);
	}
	der_end(&dn, mark);
	CU_ASSERT_FALSE(dn_parse(&parsed, span_of(&dn), NULL, &e));
}

static void *read_json(void *arg)
{
	const struct buf *b = arg;
	AUTO_BUF record = { 0 };
	struct err e = { 0 };

	CU_ASSERT_FALSE(api_arguments(&record, "device.add", (const char *)b->p, b->n, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_BAD_REQUEST);
	return NULL;
}

static void test_json_nested_without_end__OPS_11(void)
{
	static const char *const opening[] = { "[", "{\"san\":", "{\"name\":[", "{\"san\":[[" };
	AUTO_BUF b = { 0 };

	for (size_t i = 0; i < COUNT_OF(opening); i++) {
		b.n = 0;
		repeat(&b, opening[i], DEEP);
		/* jansson recurses, up to 2,048 levels: about 300 KiB with a sanitizer. */
		read_json(&b);
	}
	/* Deep, and whole. */
	b.n = 0;
	buf_text(&b, "{\"san\":");
	repeat(&b, "[", 2000);
	repeat(&b, "]", 2000);
	buf_text(&b, "}");
	read_json(&b);
}

static void *read_yaml(void *arg)
{
	const struct buf *b = arg;
	struct config *c = mem_new(sizeof *c);
	struct profile *p = mem_new(sizeof *p);
	AUTO_BUF mistakes = { 0 };

	CU_ASSERT_FALSE(config_parse(c, "f", (const char *)b->p, b->n, &mistakes));
	CU_ASSERT_TRUE(mistakes.n != 0 && mistakes.n < 1 << 20);
	mistakes.n = 0;
	CU_ASSERT_FALSE(profile_parse(p, "f", (const char *)b->p, b->n, "Hospital", &mistakes));
	CU_ASSERT_TRUE(mistakes.n != 0 && mistakes.n < 1 << 20);
	free(c);
	free(p);
	return NULL;
}

static void test_yaml_nested_without_end__OPS_11(void)
{
	static const char *const opening[] = { "[", "{a: ", "- ", "? ", "&a [", "!!seq [" };
	AUTO_BUF b = { 0 };

	for (size_t i = 0; i < COUNT_OF(opening); i++) {
		b.n = 0;
		repeat(&b, opening[i], DEEP / 2);
		on_a_small_stack(read_yaml, &b);
	}
	/* Each level ten times the one before: a billion values if aliases were followed. */
	b.n = 0;
	buf_text(&b, "a: &a [x,x,x,x,x,x,x,x,x,x]\n");
	for (char c = 'b'; c < 'k'; c++)
		buf_printf(&b, "%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", c, c, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1,
		           c - 1, c - 1, c - 1);
	on_a_small_stack(read_yaml, &b);
	/* Many keys, many values. */
	b.n = 0;
	for (int i = 0; i < 4000; i++)
		buf_printf(&b, "k%d: x\n", i);
	on_a_small_stack(read_yaml, &b);
}

static void test_frames_and_texts_are_capped__OPS_11(void)
{
	AUTO_BUF big = { 0 };
	AUTO_BUF out = { 0 };
	struct ca_issue *i = mem_new(sizeof *i);
	struct frame f;
	char user[256], password[256];

	buf_reserve(&big, 1 << 22);
	memset(big.p, 'A', 1 << 22);
	big.n = 1 << 22;
	CU_ASSERT_FALSE(frame_get(&f, big.p, FRAME_HEAD + FRAME_BODY_MAX + 1, NULL));
	CU_ASSERT_FALSE(frame_put(&out, &(struct frame){ .type = 2, .body = span_of(&big) }, NULL));
	memcpy(big.p, "Basic ", 6);
	CU_ASSERT_FALSE(est_basic_parse(buf_str(&big), user, password, NULL));
	CU_ASSERT_FALSE(ocsp_get_decode(&out, buf_str(&big), NULL));
	/* A count that promises more than comes. */
	memset(big.p, 0xff, 4096);
	CU_ASSERT_FALSE(ca_issue_get((struct span){ big.p, 4096 }, i, NULL));
	metrics_merge(&out, span_of(&big));
	CU_ASSERT_TRUE(out.n < 1 << 20);
	free(i);
}

static const struct cu_case cases[] = {
	{ "test_der_nested_without_end__OPS_11", test_der_nested_without_end__OPS_11 },
	{ "test_der_lists_without_end__OPS_11", test_der_lists_without_end__OPS_11 },
	{ "test_json_nested_without_end__OPS_11", test_json_nested_without_end__OPS_11 },
	{ "test_yaml_nested_without_end__OPS_11", test_yaml_nested_without_end__OPS_11 },
	{ "test_frames_and_texts_are_capped__OPS_11", test_frames_and_texts_are_capped__OPS_11 },
};
CU_MAIN(cases)
