/* SPDX-License-Identifier: Apache-2.0
 *
 * The payload of a request whose signature holds. The first octet says for which resource. */
#include "acme/parse.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct acme_signed empty = { "https://ca.example:8443/acme/server/x", "https://ca.example:8443/acme/server/acct/7", { NULL, 0 } };
	struct acme_target t = { .realm = "server", .id = 7, .method = ACME_HTTP_01 };
	static struct ra_acme q, back;
	AUTO_HELD held = { 0 };
	AUTO_BUF body = { 0 };
	struct acme_signed s = empty;
	struct refusal r = { 0 };
	struct err e;

	if (size == 0)
		return 0;
	t.place = (enum acme_place)(data[0] % ACME_PLACE_COUNT);
	if (t.place == ACME_RENEWAL_INFO)
		return 0;
	s.payload = (struct span){ data + 1, size - 1 };
	memset(&q, 0, sizeof q);
	q.account = 7;
	q.reason = -1;
	if (!acme_parse(&q, &t, &s, &held, &r)) {
		if (r.problem == ACME_OK || r.detail[0] == 0)
			abort();
		return 0;
	}
	ra_acme_put(&body, &q);
	if (!ra_acme_get(span_of(&body), &back, &e) || back.op != q.op || body.n > FRAME_BODY_MAX)
		abort(); /* a question that ra can't read */
	return 0;
}
