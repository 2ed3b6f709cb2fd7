/* SPDX-License-Identifier: Apache-2.0
 *
 * The officer API: /api/v1/NOUN/VERB, made of ra's verb table. JSON in, JSON out; docs/officer-api.md. */
#ifndef CADUCEUS_API_API_H
#define CADUCEUS_API_API_H

#include "web/web.h"

struct api;
struct api *api_new(struct caller *ra);
void api_free(struct api *a);
/* ctx is the struct api; prefix "/api/v1". */
const struct head *api_head(void);

/* Parts, for tests. Arguments as the verb's table wants them; ERR_BAD_REQUEST names what is wrong. */
MUST_USE bool api_arguments(struct buf *record, const char *verb, const char *json, size_t n, struct err *e);
unsigned api_status_of(enum err_kind kind);

#endif
