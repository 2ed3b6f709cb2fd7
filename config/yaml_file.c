/* SPDX-License-Identifier: Apache-2.0 */
#include "config/yaml_file.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

void yaml_file_mistake(struct buf *mistakes, const char *label, unsigned line, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	buf_printf(mistakes, "%s:%u: %s\n", label, line, text);
}

/* Levenshtein distance, bounded: words are short. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[65];
	size_t n = strlen(b);

	if (n > 63 || strlen(a) > 63)
		return 99;
	for (size_t j = 0; j <= n; j++)
		row[j] = (unsigned)j;
	for (size_t i = 0; a[i] != 0; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i + 1;
		for (size_t j = 0; j < n; j++) {
			unsigned best = diagonal + (a[i] != b[j]);

			diagonal = row[j + 1];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j + 1] + 1 < best)
				best = row[j + 1] + 1;
			row[j + 1] = best;
		}
	}
	return row[n];
}

const char *word_near(const char *typed, const char *const *words, size_t n)
{
	const char *near = NULL;
	unsigned best = (unsigned)strlen(typed) / 3 + 2;

	for (size_t i = 0; i < n; i++) {
		unsigned d = distance(typed, words[i]);

		if (d < best) {
			best = d;
			near = words[i];
		}
	}
	return near;
}

struct reading {
	yaml_document_t *doc;
	struct yaml_file *out;
	const char *label;
	struct buf *mistakes;
	bool good;
};

static unsigned line_of(const yaml_node_t *n)
{
	return (unsigned)n->start_mark.line + 1;
}

static void wrong(struct reading *r, const yaml_node_t *n, const char *why, const char *key)
{
	yaml_file_mistake(r->mistakes, r->label, line_of(n), why, key);
	r->good = false;
}

static char *scalar(const yaml_node_t *n)
{
	if (n->type != YAML_SCALAR_NODE || strlen((char *)n->data.scalar.value) != n->data.scalar.length ||
	    n->data.scalar.length > 2000)
		return NULL;
	return (char *)n->data.scalar.value;
}

static void add_value(struct reading *r, struct yaml_entry *en, const yaml_node_t *n)
{
	char *text = scalar(n);

	if (text == NULL)
		wrong(r, n, "%s: a plain value is expected here", en->key);
	else if (en->n == YAML_LIST_MAX)
		wrong(r, n, "%s: too many values", en->key);
	else
		en->value[en->n++] = mem_text(text);
}

static void add_entry(struct reading *r, const char *key, const yaml_node_t *name, const yaml_node_t *value)
{
	struct yaml_entry *en;

	if (yaml_file_find(r->out, key) != NULL) {
		wrong(r, name, "%s stands here a second time; remove one", key);
		return;
	}
	if (r->out->n == YAML_ENTRY_MAX) {
		wrong(r, name, "%s: too many keys", key);
		return;
	}
	en = &r->out->entry[r->out->n++];
	*en = (struct yaml_entry){ .line = line_of(name), .list = value->type == YAML_SEQUENCE_NODE };
	snprintf(en->key, sizeof en->key, "%s", key);
	if (!en->list) {
		add_value(r, en, value);
		return;
	}
	for (yaml_node_item_t *i = value->data.sequence.items.start; i < value->data.sequence.items.top; i++)
		add_value(r, en, yaml_document_get_node(r->doc, *i));
}

static void add_mapping(struct reading *r, const yaml_node_t *map, const char *prefix)
{
	for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++) {
		const yaml_node_t *name = yaml_document_get_node(r->doc, p->key);
		const yaml_node_t *value = yaml_document_get_node(r->doc, p->value);
		const char *text = scalar(name);
		char key[64];

		if (text == NULL || text[0] == 0 ||
		    (size_t)snprintf(key, sizeof key, "%s%s%s", prefix, prefix[0] != 0 ? "." : "", text) >= sizeof key) {
			wrong(r, name, "%s: a short plain key is expected here", prefix[0] != 0 ? prefix : "file");
			continue;
		}
		if (value->type == YAML_MAPPING_NODE && prefix[0] == 0)
			add_mapping(r, value, key);
		else if (value->type == YAML_MAPPING_NODE)
			wrong(r, value, "%s: nested too deeply", key);
		else
			add_entry(r, key, name, value);
	}
}

/* libyaml's work grows with the square of the depth; ours is two, a list in a section. */
enum { DEPTH_MAX = 16 };

/* Anchors and aliases make loops and bombs; nobody needs them here. */
static bool plain_events(struct reading *r, const char *text, size_t n)
{
	yaml_parser_t p;
	yaml_event_t ev;
	bool end = false;
	unsigned documents = 0, depth = 0;

	if (yaml_parser_initialize(&p) == 0)
		abort();
	yaml_parser_set_input_string(&p, (const unsigned char *)text, n);
	while (!end && r->good) {
		bool anchored = false;

		if (yaml_parser_parse(&p, &ev) == 0) {
			yaml_file_mistake(r->mistakes, r->label, (unsigned)p.problem_mark.line + 1, "not YAML: %s",
			             p.problem != NULL ? p.problem : "unreadable");
			r->good = false;
			break;
		}
		end = ev.type == YAML_STREAM_END_EVENT;
		documents += ev.type == YAML_DOCUMENT_START_EVENT;
		anchored = ev.type == YAML_ALIAS_EVENT || (ev.type == YAML_SCALAR_EVENT && ev.data.scalar.anchor != NULL) ||
		           (ev.type == YAML_SEQUENCE_START_EVENT && ev.data.sequence_start.anchor != NULL) ||
		           (ev.type == YAML_MAPPING_START_EVENT && ev.data.mapping_start.anchor != NULL);
		depth += ev.type == YAML_SEQUENCE_START_EVENT || ev.type == YAML_MAPPING_START_EVENT;
		depth -= ev.type == YAML_SEQUENCE_END_EVENT || ev.type == YAML_MAPPING_END_EVENT;
		if (anchored || documents > 1 || depth > DEPTH_MAX) {
			yaml_file_mistake(r->mistakes, r->label, (unsigned)ev.start_mark.line + 1,
			             anchored        ? "anchors and aliases are not used here; write the value out"
			             : documents > 1 ? "a second document; one is enough"
			                             : "nested too deeply");
			r->good = false;
		}
		yaml_event_delete(&ev);
	}
	yaml_parser_delete(&p);
	return r->good;
}

bool yaml_file_read(struct yaml_file *out, const char *label, const char *text, size_t n, struct buf *mistakes)
{
	struct reading r = { .out = out, .label = label, .mistakes = mistakes, .good = true };
	yaml_document_t doc;
	yaml_parser_t p;
	yaml_node_t *top;

	out->n = 0;
	if (n > YAML_SIZE_MAX) {
		yaml_file_mistake(mistakes, label, 1, "the file is larger than %d bytes", YAML_SIZE_MAX);
		return false;
	}
	if (!plain_events(&r, text, n))
		return false;
	if (yaml_parser_initialize(&p) == 0)
		abort();
	yaml_parser_set_input_string(&p, (const unsigned char *)text, n);
	if (yaml_parser_load(&p, &doc) == 0) {
		yaml_file_mistake(mistakes, label, (unsigned)p.problem_mark.line + 1, "not YAML");
		yaml_parser_delete(&p);
		return false;
	}
	r.doc = &doc;
	top = yaml_document_get_root_node(&doc);
	if (top != NULL && top->type == YAML_MAPPING_NODE)
		add_mapping(&r, top, "");
	else if (top != NULL)
		wrong(&r, top, "%s must be a list of KEY: VALUE lines", label);
	yaml_document_delete(&doc);
	yaml_parser_delete(&p);
	return r.good;
}

void yaml_file_free(struct yaml_file *f)
{
	for (size_t i = 0; i < f->n; i++)
		for (size_t k = 0; k < f->entry[i].n; k++)
			free(f->entry[i].value[k]);
	f->n = 0;
}

struct yaml_entry *yaml_file_find(struct yaml_file *f, const char *key)
{
	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->entry[i].key, key) == 0)
			return &f->entry[i];
	return NULL;
}
