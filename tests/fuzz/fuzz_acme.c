/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole ACME request up to the question to ra: method, path, query, type and body, one a line, the body last. A path that
 * is taken is written as it was read. */
#include "acme/acme.h"
#include "acme/path.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BASE "https://ca.example:8443"

static struct acme *acme;

static void prepare(void)
{
	struct ra_trust *t = mem_new(sizeof *t);
	AUTO_BUF body = { 0 };

	acme = acme_new(rnd_kernel);
	acme_set_caller(acme, caller_new("front", NULL, NULL, NULL));
	acme_set(acme, &(struct acme_settings){ .base = BASE, .terms = "https://ca.example/terms", .eab_required = true });
	t->realm_n = 1;
	strcpy(t->realm[0], "server");
	ra_trust_put(&body, t);
	acme_trust(acme, span_of(&body));
	free(t);
}

static void read_back(const char *path, const char *query)
{
	struct acme_target t;
	struct refusal r;
	AUTO_BUF url = { 0 };
	AUTO_BUF want = { 0 };

	if (!acme_path_parse(&t, path, query, &r))
		return;
	acme_url(&url, BASE, &t);
	buf_printf(&want, BASE "%s%s%s", path, query[0] != 0 ? "?" : "", query);
	if (strcmp(buf_str(&url), buf_str(&want)) != 0)
		abort();
	if (t.place == ACME_ACCOUNT && acme_account_of(buf_str(&url), BASE, t.realm) != t.id)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = mem_printf("%.*s", (int)size, (const char *)data);
	char *rest = text, *part[4];
	struct request q = { .user_agent = "", .authorization = "", .if_none_match = "", .if_modified_since = "", .request_id = "r" };
	struct response r = { 0 };
	struct ask ask = { 0 };

	if (acme == NULL)
		prepare();
	for (int i = 0; i < 4; i++)
		part[i] = rest != NULL ? strsep(&rest, "\n") : (char *)"";
	q.method = part[0];
	q.path = part[1];
	q.query = part[2];
	q.content_type = part[3];
	if (rest != NULL)
		q.body = (struct span){ data + (rest - text), size - (size_t)(rest - text) };
	read_back(q.path, q.query);
	if (acme_head()->parse(acme, &q, &ask, &r)) {
		static struct ra_acme asked;
		struct err e = { 0 };

		if (!ra_acme_get(span_of(&ask.body), &asked, &e))
			abort(); /* a question that ra can't read */
	} else if (r.status < 200 || r.status > 599 || (r.status >= 400 && r.body.n == 0)) {
		abort();
	}
	free(ask.state);
	buf_free(&ask.body);
	buf_free(&r.body);
	return 0;
}
