/* SPDX-License-Identifier: Apache-2.0
 *
 * One input, read as a list of alternative names, as a subject, as TYPE:VALUE, and as both door codecs. What is taken
 * must survive being written and read again. */
#include "pkix/name.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void list(struct span in)
{
	static struct san_list l, back;
	AUTO_BUF der = { 0 };
	struct der d;

	(void)!san_list_parse_foreign(&l, in);
	if (!san_list_parse(&l, in, NULL))
		return;
	san_list_der(&der, &l);
	d = der_of_span(span_of(&der));
	must(san_list_parse(&back, der_span(&d, DER_SEQUENCE), NULL) && san_list_equal(&l, &back));
}

static void subject(struct span in)
{
	struct dn dn, back;
	AUTO_BUF der = { 0 };
	char text[100];

	if (!dn_parse(&dn, in, NULL, NULL))
		return;
	dn_text(&dn, text, sizeof text);
	must(text_is_clean_utf8(text, strlen(text)));
	if (!dn_check(&dn, NULL))
		return;
	dn_der(&der, &dn);
	must(dn_parse(&back, span_of(&der), NULL, NULL) && back.n == dn.n);
}

static void text(const uint8_t *data, size_t size)
{
	AUTO_FREE char *s = mem_new(size + 1);
	char shown[300];
	struct san san, back;

	memcpy(s, data, size);
	if (!san_from_text(&san, s, false, NULL))
		return;
	san_to_text(&san, shown, sizeof shown);
	must(san_from_text(&back, shown, false, NULL) && back.n == san.n && memcmp(back.value, san.value, san.n) == 0);
}

static void doors(const uint8_t *data, size_t size)
{
	static struct san_list l;
	struct dn dn;
	struct rd r = rd_of(data, size);

	san_list_get(&r, &l);
	r = rd_of(data, size);
	dn_get(&r, &dn);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	list((struct span){ data, size });
	subject((struct span){ data, size });
	text(data, size);
	doors(data, size);
	return 0;
}
