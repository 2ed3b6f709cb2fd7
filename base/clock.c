/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * US_PER_SECOND + t.tv_nsec / 1000;
}

int64_t clock_now(void)
{
	return read_clock(CLOCK_REALTIME);
}

int64_t clock_mono(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

/* Days since 1970-01-01 of a civil date, counting years from March so that the leap day comes last. */
static int64_t days_from(int y, int m, int d)
{
	int64_t era, yoe, doy;

	y -= m <= 2;
	era = (y >= 0 ? y : y - 399) / 400;
	yoe = y - era * 400;
	doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

struct civil clock_to_civil(int64_t us)
{
	int64_t s = floor_div(us, US_PER_SECOND);
	int64_t z = floor_div(s, 86400) + 719468;
	int64_t rest = s - floor_div(s, 86400) * 86400;
	int64_t era = floor_div(z, 146097);
	int64_t doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;
	struct civil c;

	c.day = (int)(doy - (153 * mp + 2) / 5 + 1);
	c.month = (int)(mp < 10 ? mp + 3 : mp - 9);
	c.year = (int)(yoe + era * 400 + (c.month <= 2));
	c.hour = (int)(rest / 3600);
	c.minute = (int)(rest / 60 % 60);
	c.second = (int)(rest % 60);
	return c;
}

bool clock_from_civil(const struct civil *c, int64_t *us)
{
	static const int length[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = c->year % 4 == 0 && (c->year % 100 != 0 || c->year % 400 == 0);

	if (c->year < 1 || c->year > 9999 || c->month < 1 || c->month > 12 || c->day < 1 ||
	    c->day > length[c->month - 1] + (leap && c->month == 2) || c->hour < 0 || c->hour > 23 ||
	    c->minute < 0 || c->minute > 59 || c->second < 0 || c->second > 59)
		return false;
	*us = (days_from(c->year, c->month, c->day) * 86400 + c->hour * 3600 + c->minute * 60 + c->second) *
	      US_PER_SECOND;
	return true;
}

void clock_rfc3339(int64_t us, char *out, size_t size)
{
	struct civil c = clock_to_civil(us);

	snprintf(out, size, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", c.year, c.month, c.day, c.hour, c.minute,
	         c.second, (int)((us % US_PER_SECOND + US_PER_SECOND) % US_PER_SECOND));
}

void clock_rfc3339_s(int64_t us, char *out, size_t size)
{
	struct civil c = clock_to_civil(us);

	snprintf(out, size, "%04d-%02d-%02dT%02d:%02d:%02dZ", c.year, c.month, c.day, c.hour, c.minute, c.second);
}

static const char days[] = "ThuFriSatSunMonTueWed"; /* 1970-01-01 was a Thursday */
static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

void clock_http(int64_t us, char *out, size_t size)
{
	struct civil c = clock_to_civil(us);
	int64_t day = floor_div(us, US_PER_DAY);
	int weekday = (int)(day - floor_div(day, 7) * 7);

	snprintf(out, size, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3 * weekday, c.day,
	         months + 3 * (c.month - 1), c.year, c.hour, c.minute, c.second);
}

bool clock_http_parse(const char *text, int64_t *us)
{
	char month[4], zone[4], again[30];
	struct civil c = { 0 };
	const char *at;
	int used = 0;

	if (strlen(text) != 29 || sscanf(text, "%*3s, %2d %3s %4d %2d:%2d:%2d %3s%n", &c.day, month, &c.year,
	                                 &c.hour, &c.minute, &c.second, zone, &used) != 7 ||
	    used != 29 || strcmp(zone, "GMT") != 0)
		return false;
	at = strstr(months, month);
	if (at == NULL || (at - months) % 3 != 0)
		return false;
	c.month = (int)(at - months) / 3 + 1;
	if (!clock_from_civil(&c, us))
		return false;
	/* The one form there is: sscanf takes signs and blanks, and the day of the week has not been looked at. */
	clock_http(*us, again, sizeof again);
	return strcmp(again, text) == 0;
}

static const struct {
	char letter;
	int64_t us;
} units[] = {
	{ 'y', 365 * US_PER_DAY }, { 'd', US_PER_DAY },    { 'h', US_PER_HOUR },
	{ 'm', US_PER_MINUTE },    { 's', US_PER_SECOND },
};

bool clock_duration(const char *text, int64_t *us)
{
	int64_t n = 0;
	const char *s = text;

	for (; *s >= '0' && *s <= '9'; s++)
		if (s - text >= 9)
			return false;
		else
			n = n * 10 + (*s - '0');
	if (s == text || n == 0 || s[0] == 0 || s[1] != 0)
		return false;
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
		if (units[i].letter == *s)
			return !__builtin_mul_overflow(n, units[i].us, us) && *us <= 1000 * 365 * US_PER_DAY;
	return false;
}

void clock_duration_text(int64_t us, char *out, size_t size)
{
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		if (us != 0 && us % units[i].us == 0) {
			snprintf(out, size, "%lld%c", (long long)(us / units[i].us), units[i].letter);
			return;
		}
	}
	snprintf(out, size, "%llds", (long long)(us / US_PER_SECOND));
}
