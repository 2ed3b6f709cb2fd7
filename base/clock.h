/* SPDX-License-Identifier: Apache-2.0
 *
 * Times are int64_t microseconds UTC since 1970 ("us") wherever they mean a date, and CLOCK_MONOTONIC microseconds
 * ("mono") wherever they mean a deadline: all processes of one machine share that clock. Only role loops ask a
 * clock; everything else takes the time as a parameter. */
#ifndef CADUCEUS_BASE_CLOCK_H
#define CADUCEUS_BASE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define US_PER_SECOND INT64_C(1000000)
#define US_PER_MINUTE (60 * US_PER_SECOND)
#define US_PER_HOUR (3600 * US_PER_SECOND)
#define US_PER_DAY (86400 * US_PER_SECOND)

struct civil {
	int year, month, day, hour, minute, second; /* UTC, proleptic Gregorian; month and day from 1 */
};

int64_t clock_now(void);  /* UTC us */
int64_t clock_mono(void); /* monotonic us */
struct civil clock_to_civil(int64_t us);
/* False for a date that does not exist (31 February, 24:00, second 60) or a year outside 1..9999. */
bool clock_from_civil(const struct civil *c, int64_t *us);
/* RFC 3339 with microseconds: 2026-11-24T10:00:00.000000Z. size >= 28. */
void clock_rfc3339(int64_t us, char *out, size_t size);
/* RFC 3339 in whole seconds: 2026-11-24T10:00:00Z. size >= 21. */
void clock_rfc3339_s(int64_t us, char *out, size_t size);
/* IMF-fixdate of RFC 9110, 5.6.7: Tue, 24 Nov 2026 10:00:00 GMT. size >= 30. */
void clock_http(int64_t us, char *out, size_t size);
bool clock_http_parse(const char *text, int64_t *us);
/* "90d" "12h" "15m" "30s" "2y" (365 days each) -> microseconds; false for anything else, zero or overflow. */
bool clock_duration(const char *text, int64_t *us);
/* The shortest text that clock_duration reads back. size >= 24. */
void clock_duration_text(int64_t us, char *out, size_t size);

#endif
