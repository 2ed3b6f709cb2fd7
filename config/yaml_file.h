/* SPDX-License-Identifier: Apache-2.0
 *
 * YAML for both kinds of files: one flat or one-level-nested mapping of scalars and lists of scalars, flattened to
 * dotted names with their line. All mistakes at once. */
#ifndef CADUCEUS_CONFIG_YAML_H
#define CADUCEUS_CONFIG_YAML_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>

enum { YAML_ENTRY_MAX = 256, YAML_LIST_MAX = 32, YAML_SIZE_MAX = 65536 };

struct yaml_entry {
	char key[64];        /* dotted: "listen.enroll" */
	unsigned line;       /* from 1 */
	bool list;
	size_t n;            /* values; a scalar has one */
	char *value[YAML_LIST_MAX];
	bool used;           /* the schema's */
};
struct yaml_file {
	size_t n;
	struct yaml_entry entry[YAML_ENTRY_MAX];
};

/* False when there is a mistake; each is a line "LABEL:LINE: …" in *mistakes. Aliases, anchors, several documents,
 * duplicate keys, deeper nesting are mistakes. */
MUST_USE bool yaml_file_read(struct yaml_file *out, const char *label, const char *text, size_t n,
                             struct buf *mistakes);
void yaml_file_free(struct yaml_file *f);
struct yaml_entry *yaml_file_find(struct yaml_file *f, const char *key);
/* "LABEL:LINE: " and the text. */
void yaml_file_mistake(struct buf *mistakes, const char *label, unsigned line, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* The known word nearest to a mistyped one, NULL when none is near. */
const char *word_near(const char *typed, const char *const *words, size_t n);

#endif
