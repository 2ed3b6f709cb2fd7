/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole EST request before ra is asked: method, path, type, Authorization and body, one a line, the body last. */
#include "base/mem.h"
#include "est/est.h"
#include "ra/ra.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct est *est;

static void prepare(void)
{
	struct ra_trust *t = mem_new(sizeof *t);
	AUTO_BUF body = { 0 };

	est = est_new();
	est_set_caller(est, caller_new("front", NULL, NULL, NULL));
	t->label_n = 1;
	strcpy(t->label[0], "device");
	ra_trust_put(&body, t);
	est_trust(est, span_of(&body));
	free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = mem_printf("%.*s", (int)size, (const char *)data);
	char *rest = text, *part[4];
	struct request q = { .query = "", .user_agent = "", .if_none_match = "", .if_modified_since = "", .request_id = "r" };
	struct response r = { 0 };
	struct ask ask = { 0 };

	if (est == NULL)
		prepare();
	for (int i = 0; i < 4; i++)
		part[i] = rest != NULL ? strsep(&rest, "\n") : (char *)"";
	q.method = part[0];
	q.path = part[1];
	q.content_type = part[2];
	q.authorization = part[3];
	if (rest != NULL)
		q.body = (struct span){ data + (rest - text), size - (size_t)(rest - text) };
	if (est_head()->parse(est, &q, &ask, &r)) {
		static struct ra_enroll asked;
		struct err e = { 0 };

		if (!ra_enroll_get(span_of(&ask.body), &asked, &e))
			abort(); /* a question that ra can't read */
	} else if (r.status < 200 || r.status > 599 || (r.status >= 400 && r.body.n == 0)) {
		abort();
	}
	buf_free(&ask.body);
	buf_free(&r.body);
	return 0;
}
