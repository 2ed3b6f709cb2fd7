/* SPDX-License-Identifier: Apache-2.0
 *
 * What an http-01 server answers: a body, and where it redirects to. */
#include "base/text.h"
#include "probe/http.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t ports[] = { 80, 443, 0 };
	AUTO_BUF url = { 0 };
	struct http_target t;
	struct sockaddr_storage to;
	struct err e;

	if (http_answer(200, (struct span){ data, size }, "token.thumb", &e)) {
		if (size < 11 || memcmp(data, "token.thumb", 11) != 0)
			abort();
	} else if (!text_is_clean_utf8(e.text, strlen(e.text))) {
		abort();
	}
	buf_add(&url, data, size);
	if (!http_redirect(&t, buf_str(&url), ports, &e)) {
		if (!text_is_clean_utf8(e.text, strlen(e.text)))
			abort();
		return 0;
	}
	if ((t.port != 80 && t.port != 443) || t.host[0] == 0 || strpbrk(t.host, "@/%[] ") != NULL || t.ip != http_literal(t.host, t.port, &to))
		abort();
	return 0;
}
