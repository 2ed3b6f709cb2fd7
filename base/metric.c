/* SPDX-License-Identifier: Apache-2.0 */
#include "base/metric.h"

#include "base/mem.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Upper ends in us; the last bucket is +Inf. */
static const int64_t bounds[] = { 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 10000000 };
static const char *const bound_names[] = { "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "10", "+Inf" };
enum { BUCKETS = COUNT_OF(bounds) + 1, LINE_MAX_CHARS = 400 };

struct series {
	char name[METRIC_NAME_MAX], labels[METRIC_LABELS_MAX];
	bool histogram;
	uint64_t count;
	int64_t sum; /* us */
	uint64_t bucket[BUCKETS];
};

struct metrics {
	pthread_mutex_t lock;
	size_t n;
	struct series series[METRIC_MAX];
};

/* Every family there is: one place that says what each means. */
static const struct family {
	const char *name, *type, *help;
} families[] = {
	{ "caduceus_acme_challenges_total", "counter", "ACME challenges decided" },
	{ "caduceus_acme_orders_total", "counter", "ACME orders that have come to this state" },
	{ "caduceus_acme_validation_duration_seconds", "histogram", "Time of one ACME validation" },
	{ "caduceus_acme_validations_total", "counter", "ACME validations: whether the name answers the challenge" },
	{ "caduceus_audit_seq", "gauge", "Sequence number of the last audit record" },
	{ "caduceus_build_info", "gauge", "Version of the program, always 1" },
	{ "caduceus_ca_not_after_timestamp_seconds", "gauge", "When the certificate of this authority ends" },
	{ "caduceus_certs_expiring", "gauge", "Valid certificates that end within the window" },
	{ "caduceus_check_ok", "gauge", "1 when this check of readyz holds" },
	{ "caduceus_clock_offset_seconds", "gauge", "How far the clock is from what the kernel knows of true time; NaN unknown" },
	{ "caduceus_crl_entries", "gauge", "Entries of the newest CRL" },
	{ "caduceus_crl_next_update_timestamp_seconds", "gauge", "When the newest CRL of this authority runs out" },
	{ "caduceus_db_up", "gauge", "1 when the last commit succeeded" },
	{ "caduceus_disk_free_ratio", "gauge", "Free share of the file system that holds the database" },
	{ "caduceus_hsm_errors_total", "counter", "Signatures that the token did not give" },
	{ "caduceus_hsm_op_duration_seconds", "histogram", "Time of one signature, its check included" },
	{ "caduceus_hsm_up", "gauge", "1 when the token is logged in" },
	{ "caduceus_issued_total", "counter", "Certificates issued" },
	{ "caduceus_ocsp_responses_total", "counter", "OCSP answers" },
	{ "caduceus_queue", "gauge", "Requests that wait for the signer" },
	{ "caduceus_rejected_total", "counter", "Requests refused" },
	{ "caduceus_request_duration_seconds", "histogram", "Time from a request's first octet to its answer" },
	{ "caduceus_requests_total", "counter", "HTTP requests answered" },
	{ "caduceus_revoked_total", "counter", "Certificates revoked" },
	{ "caduceus_sandbox_full", "gauge", "1 when every layer of every role's sandbox holds" },
};

struct metrics *metrics_new(void)
{
	struct metrics *m = mem_new(sizeof *m);

	pthread_mutex_init(&m->lock, NULL);
	return m;
}

void metrics_free(struct metrics *m)
{
	if (m == NULL)
		return;
	pthread_mutex_destroy(&m->lock);
	free(m);
}

/* With the lock held; NULL: the table is full. */
static struct series *find(struct metrics *m, const char *name, const char *labels)
{
	struct series *s;

	for (size_t i = 0; i < m->n; i++)
		if (strcmp(m->series[i].name, name) == 0 && strcmp(m->series[i].labels, labels) == 0)
			return &m->series[i];
	if (m->n == METRIC_MAX || strlen(name) >= METRIC_NAME_MAX || strlen(labels) >= METRIC_LABELS_MAX)
		return NULL;
	s = &m->series[m->n++];
	strcpy(s->name, name);
	strcpy(s->labels, labels);
	return s;
}

void metrics_add(struct metrics *m, const char *name, const char *labels, uint64_t n)
{
	struct series *s;

	if (m == NULL)
		return;
	pthread_mutex_lock(&m->lock);
	s = find(m, name, labels);
	if (s != NULL)
		s->count += n;
	pthread_mutex_unlock(&m->lock);
}

void metrics_observe(struct metrics *m, const char *name, const char *labels, int64_t us)
{
	struct series *s;
	size_t b = 0;

	if (m == NULL)
		return;
	while (b + 1 < BUCKETS && us > bounds[b])
		b++;
	pthread_mutex_lock(&m->lock);
	s = find(m, name, labels);
	if (s != NULL) {
		s->histogram = true;
		s->count++;
		s->sum += us;
		s->bucket[b]++;
	}
	pthread_mutex_unlock(&m->lock);
}

static void put_histogram(const struct series *s, struct buf *out)
{
	const char *comma = s->labels[0] != 0 ? "," : "";
	const char *open = s->labels[0] != 0 ? "{" : "", *close = s->labels[0] != 0 ? "}" : "";
	uint64_t below = 0;

	for (size_t i = 0; i < BUCKETS; i++) {
		below += s->bucket[i];
		buf_printf(out, "%s_bucket{%s%sle=\"%s\"} %llu\n", s->name, s->labels, comma, bound_names[i], (unsigned long long)below);
	}
	buf_printf(out, "%s_sum%s%s%s %lld.%06lld\n", s->name, open, s->labels, close, (long long)(s->sum / 1000000),
	           (long long)(s->sum % 1000000));
	buf_printf(out, "%s_count%s%s%s %llu\n", s->name, open, s->labels, close, (unsigned long long)s->count);
}

void metrics_put(struct metrics *m, struct buf *out)
{
	pthread_mutex_lock(&m->lock);
	for (size_t i = 0; i < m->n && out->n < METRIC_TEXT_MAX; i++) {
		const struct series *s = &m->series[i];

		if (s->histogram)
			put_histogram(s, out);
		else
			buf_printf(out, "%s%s%s%s %llu\n", s->name, s->labels[0] != 0 ? "{" : "", s->labels, s->labels[0] != 0 ? "}" : "",
			           (unsigned long long)s->count);
	}
	pthread_mutex_unlock(&m->lock);
}

/* --- Together */

/* The name's end: "_bucket", "_sum" and "_count" belong to a histogram. */
static bool is_of(const struct family *f, const char *line, size_t name_n)
{
	static const char *const suffixes[] = { "_bucket", "_sum", "_count" };
	size_t n = strlen(f->name);

	if (name_n < n || strncmp(line, f->name, n) != 0)
		return false;
	if (strcmp(f->type, "histogram") != 0)
		return name_n == n;
	for (size_t i = 0; i < COUNT_OF(suffixes); i++)
		if (name_n == n + strlen(suffixes[i]) && strncmp(line + n, suffixes[i], name_n - n) == 0)
			return true;
	return false;
}

/* name, labels in braces without line ends, one blank, a number. */
static bool is_sample(const char *line, size_t n, size_t *name_n)
{
	size_t at = strspn(line, "abcdefghijklmnopqrstuvwxyz_");

	*name_n = at;
	if (at == 0 || n >= LINE_MAX_CHARS)
		return false;
	if (at < n && line[at] == '{') {
		at += strspn(line + at, "{abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_=\"-.+,/") ;
		if (at >= n || line[at] != '}')
			return false;
		at++;
	}
	if (at >= n || line[at++] != ' ')
		return false;
	if (n - at == 3 && strncmp(line + at, "NaN", 3) == 0)
		return true;
	return at < n && at + strspn(line + at, "0123456789.-") == n;
}

void metrics_merge(struct buf *out, struct span lines)
{
	AUTO_FREE char *text = mem_printf("%.*s", (int)lines.n, lines.n != 0 ? (const char *)lines.p : "");

	for (size_t i = 0; i < COUNT_OF(families); i++) {
		bool said = false;

		for (const char *line = text; *line != 0;) {
			size_t n = strcspn(line, "\n"), name_n;

			if (is_sample(line, n, &name_n) && is_of(&families[i], line, name_n)) {
				if (!said)
					buf_printf(out, "# HELP %s %s.\n# TYPE %s %s\n", families[i].name, families[i].help, families[i].name,
					           families[i].type);
				said = true;
				buf_printf(out, "%.*s\n", (int)n, line);
			}
			line += n + (line[n] == '\n');
		}
	}
}
