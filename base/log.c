/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/text.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *log_role = "caduceus";
static atomic_int log_floor = LOG_LEVEL_INFO;
static atomic_bool log_as_json;
static const char *const level_names[] = { "debug", "info", "warn", "error" };

void log_open(const char *role, enum log_level level)
{
	log_role = role;
	log_set_level(level);
}

void log_set_level(enum log_level level)
{
	atomic_store(&log_floor, (int)level);
}

bool log_level_parse(const char *name, enum log_level *out)
{
	for (size_t i = 0; i < COUNT_OF(level_names); i++) {
		if (strcmp(name, level_names[i]) == 0) {
			*out = (enum log_level)i;
			return true;
		}
	}
	return false;
}

static bool plain(const char *s)
{
	return *s != 0 && s[strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	                              "0123456789._:/@+-")] == 0;
}

static void put_value(struct buf *b, const char *s)
{
	bool clean;

	if (plain(s)) {
		buf_text(b, s);
		return;
	}
	/* Outside ASCII only what is well-formed goes through as it is: a C1 control is a command to a terminal. */
	clean = text_is_clean_utf8(s, strlen(s));
	buf_byte(b, '"');
	for (; *s != 0; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			buf_printf(b, "\\%c", c);
		else if (c < 0x20 || c == 0x7f || (c >= 0x80 && !clean))
			buf_printf(b, "\\x%02x", c);
		else
			buf_byte(b, c);
	}
	buf_byte(b, '"');
}

void log_set_json(bool json)
{
	atomic_store(&log_as_json, json);
}

static void put_json(struct buf *b, const char *key, const char *value)
{
	buf_printf(b, "%c\"%s\":\"", b->n == 0 ? '{' : ',', key);
	for (const char *s = value; *s != 0; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			buf_printf(b, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			buf_printf(b, "\\u%04x", c);
		else
			buf_byte(b, c);
	}
	buf_byte(b, '"');
}

static void put_pair(struct buf *b, const char *key, const char *value)
{
	if (atomic_load(&log_as_json)) {
		put_json(b, key, value);
		return;
	}
	buf_printf(b, "%s%s=", b->n == 0 ? "" : " ", key);
	put_value(b, value);
}

void log_event(enum log_level level, const char *msg, ...)
{
	AUTO_BUF line = { 0 };
	char ts[32];
	const char *key, *value;
	va_list ap;

	if ((int)level < atomic_load(&log_floor))
		return;
	clock_rfc3339(clock_now(), ts, sizeof ts);
	put_pair(&line, "ts", ts);
	put_pair(&line, "level", level_names[level]);
	put_pair(&line, "role", log_role);
	put_pair(&line, "msg", msg);
	va_start(ap, msg);
	while ((key = va_arg(ap, const char *)) != NULL) {
		value = va_arg(ap, const char *);
		if (value == NULL)
			continue;
		put_pair(&line, key, value);
	}
	va_end(ap);
	if (atomic_load(&log_as_json))
		buf_byte(&line, '}');
	buf_byte(&line, '\n');
	(void)!write(2, line.p, line.n);
}

const char *log_num_(char out[24], int64_t n)
{
	snprintf(out, 24, "%lld", (long long)n);
	return out;
}
