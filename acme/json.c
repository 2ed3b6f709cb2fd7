/* SPDX-License-Identifier: Apache-2.0 */
#include "acme/json.h"

/* jansson recurses: the depth is counted before it begins. */
static bool shallow(struct span text)
{
	bool quoted = false;
	int depth = 0;

	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = text.p[i];

		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && (c == '{' || c == '['))
			depth++;
		else if (!quoted && (c == '}' || c == ']'))
			depth--;
		if (depth > ACME_JSON_DEPTH)
			return false;
	}
	return true;
}

json_t *acme_json(struct span text)
{
	AUTO(json_t) *doc = NULL;

	if (text.n == 0 || !shallow(text))
		return NULL;
	doc = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, NULL);
	return json_is_object(doc) ? TAKE(doc) : NULL;
}

const char *acme_json_text(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

json_t *acme_json_member(const json_t *object, const char *name)
{
	json_t *v = json_object_get(object, name);

	return json_is_null(v) ? NULL : v;
}
