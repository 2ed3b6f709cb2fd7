/* SPDX-License-Identifier: Apache-2.0
 *
 * What ra answers to ACME's questions, as a client gets it. The first octet says what was asked, the second where. */
#include "acme/format.h"
#include "acme/json.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct acme_settings settings = { .base = "https://ca.example:8443", .terms = "https://ca.example/terms" };
	struct acme_target t = { .realm = "server", .id = 7, .method = ACME_HTTP_01 };
	static struct ra_acme_answer a;
	struct response r = { 0 };
	struct err e;

	if (size < 2)
		return 0;
	memset(&a, 0, sizeof a);
	if (!ra_acme_answer_get((struct span){ data + 2, size - 2 }, &a, &e))
		return 0;
	t.place = (enum acme_place)(data[1] % ACME_PLACE_COUNT);
	acme_answer(&r, &settings, &t, (enum ra_acme_op)(data[0] % RA_ACME_OP_COUNT), &a);
	if (r.status < 200 || r.status > 599 || (a.problem != ACME_OK && r.status < 400))
		abort();
	if (r.content_type != NULL && strstr(r.content_type, "json") != NULL) {
		json_t *doc = json_loadb((const char *)r.body.p, r.body.n, JSON_REJECT_DUPLICATES, NULL);

		if (!json_is_object(doc) || memmem(r.body.p, r.body.n - 1, "\n", 1) != NULL)
			abort();
		json_decref(doc);
	}
	for (size_t i = 0; i < r.header_n; i++)
		if (r.header[i].value[strcspn(r.header[i].value, "\r\n")] != 0)
			abort();
	buf_free(&r.body);
	return 0;
}
