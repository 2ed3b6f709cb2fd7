/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON that a stranger wrote: one object, no member twice, nothing behind it, not deep. */
#ifndef CADUCEUS_ACME_JSON_H
#define CADUCEUS_ACME_JSON_H

#include "base/buf.h"

#include <jansson.h>

AUTO_DEFINE(json_t, json_decref)

enum { ACME_JSON_DEPTH = 8 };
/* NULL: it is none. The caller frees. */
json_t *acme_json(struct span text);
/* A member that is a text; NULL when it is missing or something else. */
const char *acme_json_text(const json_t *object, const char *name);
/* A member that is there, JSON's null being as good as nothing; NULL else. Borrowed. */
json_t *acme_json_member(const json_t *object, const char *name);

#endif
