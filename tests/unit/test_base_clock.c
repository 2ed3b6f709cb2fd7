/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/mem.h"
#include "tests/cu.h"

#include <time.h>

static bool at(int y, int mo, int d, int h, int mi, int s, int64_t *us)
{
	return clock_from_civil(&(struct civil){ y, mo, d, h, mi, s }, us);
}

static void test_dates_that_are_none(void)
{
	static const struct civil bad[] = {
		{ 0, 1, 1, 0, 0, 0 },       { 10000, 1, 1, 0, 0, 0 },   { -1, 1, 1, 0, 0, 0 },     { 2026, 0, 1, 0, 0, 0 },
		{ 2026, 13, 1, 0, 0, 0 },   { 2026, 1, 0, 0, 0, 0 },    { 2026, 1, 32, 0, 0, 0 },  { 2026, 2, 29, 0, 0, 0 },
		{ 2024, 2, 30, 0, 0, 0 },   { 1900, 2, 29, 0, 0, 0 },   { 2100, 2, 29, 0, 0, 0 },  { 2026, 4, 31, 0, 0, 0 },
		{ 2026, 6, 31, 0, 0, 0 },   { 2026, 9, 31, 0, 0, 0 },   { 2026, 11, 31, 0, 0, 0 }, { 2026, 1, 1, 24, 0, 0 },
		{ 2026, 1, 1, 0, 60, 0 },   { 2026, 12, 31, 23, 59, 60 }, { 2026, 1, 1, -1, 0, 0 }, { 2026, 1, 1, 0, -1, 0 },
		{ 2026, 1, 1, 0, 0, -1 },
	};
	int64_t us;

	for (size_t i = 0; i < COUNT_OF(bad); i++)
		CU_ASSERT_FALSE(clock_from_civil(&bad[i], &us));
}

static void test_known_dates(void)
{
	static const struct {
		int y, mo, d;
		int64_t days;
	} table[] = { { 1970, 1, 1, 0 },         { 1969, 12, 31, -1 },   { 2000, 2, 29, 11016 }, { 2000, 3, 1, 11017 },
		      { 2024, 2, 29, 19782 },    { 2049, 12, 31, 29219 }, { 2050, 1, 1, 29220 }, { 2100, 3, 1, 47541 },
		      { 1, 1, 1, -719162 },      { 9999, 12, 31, 2932896 } };
	int64_t us;

	for (size_t i = 0; i < COUNT_OF(table); i++) {
		CU_ASSERT_TRUE(at(table[i].y, table[i].mo, table[i].d, 0, 0, 0, &us));
		CU_ASSERT_EQUAL(us, table[i].days * US_PER_DAY);
	}
}

/* Against the C library, over every day of 400 years and odd seconds in it. */
static void test_every_day_of_a_cycle(void)
{
	unsigned wrong = 0;

	for (int64_t day = -100000; day < 50000; day++) {
		int64_t s = day * 86400 + (day & 0xffff) % 86400, us;
		time_t t = (time_t)s;
		struct civil c = clock_to_civil(s * US_PER_SECOND + 999999);
		struct tm tm;

		gmtime_r(&t, &tm);
		wrong += c.year != tm.tm_year + 1900 || c.month != tm.tm_mon + 1 || c.day != tm.tm_mday ||
		         c.hour != tm.tm_hour || c.minute != tm.tm_min || c.second != tm.tm_sec ||
		         !clock_from_civil(&c, &us) || us != s * US_PER_SECOND;
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

static void test_rfc3339(void)
{
	char text[32];

	clock_rfc3339(INT64_C(1795514400000001), text, sizeof text);
	CU_ASSERT_STRING_EQUAL(text, "2026-11-24T10:00:00.000001Z");
	clock_rfc3339(-1, text, sizeof text);
	CU_ASSERT_STRING_EQUAL(text, "1969-12-31T23:59:59.999999Z");
	clock_rfc3339_s(-1, text, sizeof text);
	CU_ASSERT_STRING_EQUAL(text, "1969-12-31T23:59:59Z");
	/* Whatever the number, the text stays in its buffer. */
	clock_rfc3339(INT64_MAX, text, 28);
	clock_rfc3339(INT64_MIN, text, 28);
	CU_ASSERT_TRUE(strlen(text) < 28);
}

/* RFC 9110, 5.6.7 */
static void test_http_dates_refused(void)
{
	static const char *const bad[] = {
		"", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC", "Sunday, 06-Nov-94 08:49:37 GMT",
		"Sun Nov  6 08:49:37 1994", "Mon, 06 Nov 1994 08:49:37 GMT", "Sun, 06 nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:60:37 GMT", "Sun, 06 Nov 1994 08:49:60 GMT",
		"Sun, 31 Nov 1994 08:49:37 GMT", "Sun, +6 Nov 1994 08:49:37 GMT", "Sun,  6 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 08:49:37 GMT ", " Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov +994 08:49:37 GMT",
		"Sun, 06 ovD 1994 08:49:37 GMT", "Sun, 06 Nov 1994 8:49:37  GMT", "Xxx, 06 Nov 1994 08:49:37 GMT",
	};
	int64_t us;

	for (size_t i = 0; i < COUNT_OF(bad); i++)
		CU_ASSERT_FALSE(clock_http_parse(bad[i], &us));
}

static void test_http_dates(void)
{
	char text[32];
	int64_t us = 0;

	CU_ASSERT_TRUE(clock_http_parse("Sun, 06 Nov 1994 08:49:37 GMT", &us));
	CU_ASSERT_EQUAL(us, INT64_C(784111777) * US_PER_SECOND);
	clock_http(us + 999999, text, sizeof text);
	CU_ASSERT_STRING_EQUAL(text, "Sun, 06 Nov 1994 08:49:37 GMT");
	clock_http(0, text, sizeof text);
	CU_ASSERT_STRING_EQUAL(text, "Thu, 01 Jan 1970 00:00:00 GMT");
	clock_http(-1, text, sizeof text);
	CU_ASSERT_STRING_EQUAL(text, "Wed, 31 Dec 1969 23:59:59 GMT");
	for (int i = 0; i < 500; i++) {
		int64_t back;

		clock_http((int64_t)i * 86399 * 37 * US_PER_SECOND, text, sizeof text);
		CU_ASSERT_TRUE(clock_http_parse(text, &back));
		CU_ASSERT_EQUAL(back, (int64_t)i * 86399 * 37 * US_PER_SECOND);
	}
}

static void test_durations_refused(void)
{
	static const char *const bad[] = { "",    "d",    "0d",   "00h",  "-1d",  "+1d", "1",     "1w",  "1D",         "1 d",
		                           " 1d", "1d ",  "1d2h", "1.5d", "0x1d", "1dd", "1001y", "9999999999s", "999999999y",
		                           "1000000000s", "\xc2\xb9" "d" };
	int64_t us;

	for (size_t i = 0; i < COUNT_OF(bad); i++)
		CU_ASSERT_FALSE(clock_duration(bad[i], &us));
}

static void test_durations(void)
{
	static const struct {
		const char *text;
		int64_t us;
		const char *back;
	} table[] = {
		{ "90d", 90 * US_PER_DAY, "90d" },     { "12h", 12 * US_PER_HOUR, "12h" }, { "15m", 15 * US_PER_MINUTE, "15m" },
		{ "30s", 30 * US_PER_SECOND, "30s" },  { "2y", 730 * US_PER_DAY, "2y" },   { "365d", 365 * US_PER_DAY, "1y" },
		{ "24h", US_PER_DAY, "1d" },           { "60s", US_PER_MINUTE, "1m" },     { "1000y", 365000 * US_PER_DAY, "1000y" },
		{ "090s", 90 * US_PER_SECOND, "90s" }, { "61s", 61 * US_PER_SECOND, "61s" },
	};

	for (size_t i = 0; i < COUNT_OF(table); i++) {
		int64_t us = 0;
		char text[24];

		CU_ASSERT_TRUE(clock_duration(table[i].text, &us));
		CU_ASSERT_EQUAL(us, table[i].us);
		clock_duration_text(us, text, sizeof text);
		CU_ASSERT_STRING_EQUAL(text, table[i].back);
	}
}

static const struct cu_case cases[] = {
	{ "dates_that_are_none", test_dates_that_are_none },
	{ "known_dates", test_known_dates },
	{ "every_day_of_a_cycle", test_every_day_of_a_cycle },
	{ "rfc3339", test_rfc3339 },
	{ "http_dates_refused", test_http_dates_refused },
	{ "http_dates", test_http_dates },
	{ "durations_refused", test_durations_refused },
	{ "durations", test_durations },
};

CU_MAIN(cases)
