/* SPDX-License-Identifier: Apache-2.0
 *
 * Every codec of ca's door: the first octet chooses which. What is read is written back the same. */
#include "ca/ca.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static union {
	struct ca_state state;
	struct ca_authority authority;
	struct ca_responder responder;
	struct ca_create create;
	struct ca_created created;
	struct ca_issue issue;
	struct ca_crl crl;
	struct ca_crl_end crl_end;
	struct ca_ocsp ocsp;
	struct crl_entry entry;
	struct profile profile;
} u;

#define PAIR(n, name) \
	case n: \
		if (!ca_##name##_get(body, &u.name, &e)) \
			return false; \
		ca_##name##_put(out, &u.name); \
		return true

static bool read_and_write(uint8_t which, struct span body, struct buf *out)
{
	struct err e = { 0 };
	struct rd r = rd_of(body.p, body.n);

	switch (which % 12) {
	PAIR(0, state);
	PAIR(1, authority);
	PAIR(2, responder);
	PAIR(3, create);
	PAIR(4, created);
	PAIR(5, issue);
	PAIR(6, crl);
	PAIR(7, crl_end);
	PAIR(8, ocsp);
	case 9:
		if (!crl_entry_get(&r, &u.entry) || !rd_done(&r))
			return false;
		crl_entry_put(out, &u.entry);
		return true;
	case 10:
		profile_get(&r, &u.profile);
		if (!rd_done(&r))
			return false;
		profile_put(out, &u.profile);
		return true;
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
