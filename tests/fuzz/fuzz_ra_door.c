/* SPDX-License-Identifier: Apache-2.0
 *
 * Every codec of ra's door: the first octet chooses which. What is read is written back the same. */
#include "ra/acme.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static union {
	struct ra_enroll enroll;
	struct ra_enrolled enrolled;
	struct ra_trust trust;
	struct ra_refused refused;
	struct ra_health health;
	struct ra_officer officer;
	struct ra_rows rows;
	struct ra_acme acme;
	struct ra_acme_answer acme_answer;
} u;

#define PAIR(n, name) \
	case n: \
		if (!ra_##name##_get(body, &u.name, &e)) \
			return false; \
		ra_##name##_put(out, &u.name); \
		return true

static bool read_and_write(uint8_t which, struct span body, struct buf *out)
{
	struct err e = { 0 };

	switch (which % 10) {
	PAIR(0, enroll);
	PAIR(1, enrolled);
	PAIR(2, trust);
	PAIR(3, refused);
	PAIR(4, health);
	PAIR(5, officer);
	PAIR(6, rows);
	PAIR(8, acme);
	PAIR(9, acme_answer);
	default:
		if (!failure_get(body, &e))
			return false;
		failure_put(out, &e);
		return true;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_BUF again = { 0 };
	struct span body = { data + 1, size - 1 };

	if (size == 0)
		return 0;
	memset(&u, 0, sizeof u);
	if (read_and_write(data[0], body, &again) && !span_equal(span_of(&again), body))
		abort();
	return 0;
}
