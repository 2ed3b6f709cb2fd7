/* SPDX-License-Identifier: Apache-2.0
 *
 * va as a whole: what ra tells it, what clients ask, and what ra and ca answer, in any order. What it asks, ca can read. */
#include "crl/va.h"

#include "base/log.h"
#include "crl/ocsp_request.h"
#include "tests/fuzz/va_authority.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int64_t the_time(void)
{
	return INT64_C(1900000000) * US_PER_SECOND;
}

static void tell(struct va *va, uint16_t type, struct span body)
{
	va_notice(va, &(struct frame){ .type = type, .body = body });
}

static void tell_authority(struct va *va)
{
	struct status_authority a = { .ref = 1, .gen = { "devices", 1 }, .newest = true, .cert = { va_authority_der, sizeof va_authority_der },
		                      .has_responder = true, .ocsp_lifetime = 8 * US_PER_HOUR, .unknown_revoked = true };
	AUTO_BUF body = { 0 };

	status_authority_put(&body, &a);
	tell(va, STATUS_AUTHORITY, span_of(&body));
	body.n = 0;
	wr_u64(&body, 0);
	tell(va, STATUS_SNAPSHOT_END, span_of(&body));
}

struct open {
	const struct head *head; /* of the question that waits; NULL none */
	struct request q;
	struct ask ask;
	char *path;
};

static void end(struct open *o)
{
	buf_free(&o->ask.body);
	free(o->ask.state);
	free(o->path);
	*o = (struct open){ 0 };
}

static void check(const struct open *o)
{
	struct ca_ocsp asked;

	if (o->ask.type == CA_OCSP && !ca_ocsp_get(span_of(&o->ask.body), &asked, NULL))
		abort(); /* a question that ca can't read */
}

static void answered(struct open *o, struct response *r)
{
	if (r->status < 200 || r->status > 599)
		abort();
	buf_free(&r->body);
	end(o);
}

static void ask(struct va *va, struct open *o, const struct head *head, const char *method, const char *prefix, struct span s)
{
	struct response r = { 0 };

	end(o);
	o->head = head;
	o->path = mem_printf("%s%.*s", prefix, strcmp(method, "GET") == 0 ? (int)s.n : 0, (const char *)s.p);
	o->q = (struct request){ .method = method, .path = o->path, .query = "", .content_type = "", .authorization = "",
		                 .user_agent = "", .if_none_match = "", .if_modified_since = "" };
	if (strcmp(method, "POST") == 0)
		o->q.body = s;
	if (head->parse(va, &o->q, &o->ask, &r))
		check(o);
	else
		answered(o, &r);
}

static void answer(struct va *va, struct open *o, bool got, uint16_t type, struct span body)
{
	struct answer a = { .got = got, .type = type, .body = body, .err.kind = got ? ERR_NONE : ERR_TIMEOUT };
	struct response r = { 0 };

	if (o->head == NULL)
		return;
	if (o->head->format(va, &o->q, &a, &o->ask, &r))
		check(o);
	else
		answered(o, &r);
}

static void one(struct va *va, struct open *o, uint8_t what, struct span s)
{
	switch (what % 12) {
	case 0: tell(va, STATUS_AUTHORITY, s); break;
	case 1: tell(va, STATUS_ENTRIES, s); break;
	case 2: tell(va, STATUS_SNAPSHOT_END, s); break;
	case 3: tell(va, STATUS_CRL, s); break;
	case 4: ask(va, o, va_ocsp_head(), "POST", "/ocsp", s); break;
	case 5: ask(va, o, va_ocsp_head(), "GET", "/ocsp/", s); break;
	case 6: ask(va, o, va_file_head(), "GET", "/", s); break;
	case 7: answer(va, o, true, CA_OK, s); break;
	case 8: answer(va, o, true, STATUS_OK, s); break;
	case 9: answer(va, o, true, CA_FAILED, s); break;
	case 10: tell(va, STATUS_SWEPT, s); break;
	default: answer(va, o, false, 0, (struct span){ NULL, 0 });
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd r = rd_of(data, size);
	static struct caller *nobody;
	struct va *va = va_new(&(struct va_config){ .dir = "/nonexistent", .now = the_time });
	struct open o = { 0 };

	if (nobody == NULL)
		nobody = caller_new("va", NULL, NULL, NULL);
	log_set_level((enum log_level)(LOG_LEVEL_ERROR + 1));
	va_set_callers(va, nobody, nobody);
	tell_authority(va);
	for (int i = 0; i < 64; i++) {
		uint8_t what = rd_u8(&r);
		size_t n = rd_u16(&r);

		if (r.bad)
			break;
		if (n > (size_t)(r.end - r.p))
			n = (size_t)(r.end - r.p);
		one(va, &o, what, (struct span){ r.p, n });
		r.p += n;
	}
	end(&o);
	va_free(va);
	return 0;
}
