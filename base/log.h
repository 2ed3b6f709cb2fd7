/* SPDX-License-Identifier: Apache-2.0
 *
 * One event, one line on standard error: ts=… level=… role=… msg="…" key=value… Values with anything but
 * [A-Za-z0-9._:/@+-] are quoted, control characters and quotes escaped, so a peer can't write a line of its own
 * (CWE-117). Modules return errors; the role's loop logs them, once. Any thread. */
#ifndef CADUCEUS_BASE_LOG_H
#define CADUCEUS_BASE_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

/* Before the first thread. role is kept by pointer. */
void log_open(const char *role, enum log_level level);
void log_set_level(enum log_level level);
/* One JSON object a line instead of key=value. */
void log_set_json(bool json);
bool log_level_parse(const char *name, enum log_level *out);

/* Pairs of const char * key and value, ended by NULL: log_event(LOG_LEVEL_WARN, "refused", "why", e.text, NULL).
 * A NULL value leaves its pair out. */
void log_event(enum log_level level, const char *msg, ...) __attribute__((sentinel));
/* Numbers as text in a buffer of the caller's scope: log_event(..., "dur_ms", LOG_NUM(n), NULL). */
#define LOG_NUM(n) log_num_((char[24]){ 0 }, (int64_t)(n))
const char *log_num_(char out[24], int64_t n);

#endif
