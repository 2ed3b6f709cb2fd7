/* SPDX-License-Identifier: Apache-2.0 */
#include "ra/audit.h"

#include "base/clock.h"
#include "base/text.h"
#include "pkix/key.h"
#include "store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void audit_detail(struct audit_event *ev, const char *name, const char *value)
{
	if (value == NULL || value[0] == 0 || ev->n == AUDIT_DETAIL_MAX)
		return;
	ev->detail[ev->n].name = name;
	ev->detail[ev->n++].value = value;
}

/* RFC 8785, 3.2.2.2: the shortest escapes. Octets that are no UTF-8 become U+FFFD. */
static void put_text(struct buf *b, const char *s)
{
	buf_byte(b, '"');
	for (size_t i = 0; s[i] != 0;) {
		unsigned char c = (unsigned char)s[i];
		size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

		if (c < 0x20 || c == '"' || c == '\\') {
			const char *at = strchr("\bb\tt\nn\ff\rr\"\"\\\\", c);

			if (at != NULL)
				buf_printf(b, "\\%c", at[1]);
			else
				buf_printf(b, "\\u%04x", c);
			i++;
		} else if (c == 0x7f || strnlen(s + i, n) < n || (n > 1 && !text_is_clean_utf8(s + i, n))) {
			buf_text(b, c == 0x7f ? "\x7f" : "\xef\xbf\xbd");
			i++;
		} else {
			buf_add(b, s + i, n);
			i += n;
		}
	}
	buf_byte(b, '"');
}

static void member(struct buf *b, const char *name, const char *value)
{
	if (b->n != 0 && b->p[b->n - 1] != '{')
		buf_byte(b, ',');
	put_text(b, name);
	buf_byte(b, ':');
	put_text(b, value != NULL ? value : "");
}

static void number(struct buf *b, const char *name, uint64_t value)
{
	if (b->n != 0 && b->p[b->n - 1] != '{')
		buf_byte(b, ',');
	buf_printf(b, "\"%s\":%" PRIu64, name, value);
}

static void open_object(struct buf *b, const char *name)
{
	buf_printf(b, "%s\"%s\":{", b->p[b->n - 1] == '{' ? "" : ",", name);
}

static void put_detail(struct buf *b, const struct audit_event *ev)
{
	bool used[AUDIT_DETAIL_MAX] = { false };

	open_object(b, "detail");
	for (size_t k = 0; k < ev->n; k++) {
		size_t least = AUDIT_DETAIL_MAX;

		for (size_t i = 0; i < ev->n; i++)
			if (!used[i] && (least == AUDIT_DETAIL_MAX || strcmp(ev->detail[i].name, ev->detail[least].name) < 0))
				least = i;
		used[least] = true;
		member(b, ev->detail[least].name, ev->detail[least].value);
	}
	buf_byte(b, '}');
}

/* Members in sorted order, as RFC 8785 wants them. */
static void put_record(struct buf *b, const struct store *s, const struct audit_event *ev, uint64_t seq, int64_t now,
                       const uint8_t prev[32])
{
	char hex[65], time[32];

	hex_put(hex, prev, 32);
	clock_rfc3339(now, time, sizeof time);
	buf_byte(b, '{');
	open_object(b, "actor");
	member(b, "auth", ev->auth);
	member(b, "id", ev->actor);
	buf_byte(b, '}');
	number(b, "boot", store_boot(s));
	put_detail(b, ev);
	member(b, "event", ev->event);
	member(b, "host", store_node(s));
	member(b, "instance", store_instance(s));
	open_object(b, "object");
	member(b, "id", ev->object);
	member(b, "type", ev->object_type);
	buf_byte(b, '}');
	member(b, "outcome", ev->outcome);
	member(b, "prev_hash", hex);
	if (ev->source != NULL)
		member(b, "request_id", ev->source->request_id);
	number(b, "seq", seq);
	if (ev->source != NULL) {
		open_object(b, "source");
		member(b, "ip", ev->source->address);
		number(b, "port", ev->source->port);
		buf_byte(b, '}');
	}
	member(b, "time", time);
	buf_byte(b, '}');
}

/* AUD-10: genesis binds the instance. */
static void genesis(const struct store *s, uint8_t out[32])
{
	char text[64];

	snprintf(text, sizeof text, "caduceus audit %s", store_instance(s));
	digest_sha256(out, text, strlen(text));
}

static void chain(uint8_t out[32], const uint8_t prev[32], const char *record)
{
	AUTO_BUF both = { 0 };

	buf_add(&both, prev, 32);
	buf_text(&both, record);
	digest_sha256(out, both.p, both.n);
}

/* As it stands in meta (store.h): so that a cut end is missed. */
static void head_text(char out[96], uint64_t seq, const uint8_t hash[32])
{
	int n = snprintf(out, 96, "%" PRIu64 " ", seq);

	hex_put(out + n, hash, 32);
}

bool audit_add(struct store *s, const struct audit_event *ev, int64_t now, struct err *e)
{
	AUTO_BUF record = { 0 };
	uint8_t prev[32], hash[32];
	uint64_t seq;

	if (!store_audit_head(s, &seq, prev, e))
		return false;
	if (seq == 0)
		genesis(s, prev);
	put_record(&record, s, ev, seq + 1, now, prev);
	chain(hash, prev, buf_str(&record));
	return store_audit_add(s, seq + 1, ev->event, buf_str(&record), hash, e);
}

struct checking {
	struct audit_result *out;
	uint8_t prev[32];
};

static bool fail(struct checking *c, uint64_t seq, const char *why)
{
	c->out->whole = false;
	c->out->bad_seq = seq;
	snprintf(c->out->why, sizeof c->out->why, "%s", why);
	return false;
}

static bool check_one(void *arg, uint64_t seq, const char *record, const uint8_t hash[32])
{
	struct checking *c = arg;
	char want[96], hex[65];
	uint8_t now[32];

	if (seq != c->out->records + 1)
		return fail(c, c->out->records + 1, "missing");
	chain(now, c->prev, record);
	if (memcmp(now, hash, 32) != 0)
		return fail(c, seq, "changed: its hash is not that of its content and its predecessor");
	hex_put(hex, c->prev, 32);
	snprintf(want, sizeof want, "\"prev_hash\":\"%s\"", hex);
	if (strstr(record, want) == NULL)
		return fail(c, seq, "out of order: it names another predecessor");
	snprintf(want, sizeof want, "\"seq\":%" PRIu64, seq);
	if (strstr(record, want) == NULL)
		return fail(c, seq, "out of order: it carries another number");
	memcpy(c->prev, hash, 32);
	c->out->records++;
	return true;
}

/* From the record after c->out->records on, whose predecessor's hash is c->prev. */
static bool check_from(struct store *s, struct checking *c, struct err *e)
{
	AUTO_BUF head = { 0 };
	uint64_t before;
	char want[96];

	c->out->whole = true;
	if (!store_meta_get(s, "audit_head", &head, e))
		return e->kind == ERR_NOT_FOUND; /* before the first */
	do {
		before = c->out->records;
		if (!store_audit_list(s, c->out->records, 1000, check_one, c, e))
			return false;
	} while (c->out->whole && c->out->records > before);
	head_text(want, c->out->records, c->prev);
	if (c->out->whole && strcmp(want, buf_str(&head)) != 0)
		fail(c, c->out->records + 1, "the end was cut off: the last record is not the one that was written last");
	return true;
}

bool audit_check(struct store *s, struct audit_result *out, struct err *e)
{
	struct checking c = { .out = out };
	bool good;

	*out = (struct audit_result){ 0 };
	genesis(s, c.prev);
	good = store_begin(s, e) && check_from(s, &c, e);
	store_rollback(s);
	return good;
}

static bool take_hash(void *arg, uint64_t seq, const char *record, const uint8_t hash[32])
{
	struct checking *c = arg;

	(void)record;
	memcpy(c->prev, hash, 32);
	c->out->records = seq;
	return false;
}

bool audit_check_tail(struct store *s, uint64_t n, struct audit_result *out, struct err *e)
{
	struct checking c = { .out = out };
	uint8_t hash[32];
	uint64_t seq;

	*out = (struct audit_result){ 0 };
	genesis(s, c.prev);
	return store_audit_head(s, &seq, hash, e) && (seq <= n || store_audit_list(s, seq - n - 1, 1, take_hash, &c, e)) &&
	       check_from(s, &c, e);
}
