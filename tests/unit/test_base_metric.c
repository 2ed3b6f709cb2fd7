/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "base/metric.h"
#include "tests/cu.h"

static void test_counters_and_histograms__OPS_01(void)
{
	struct metrics *m = metrics_new();
	AUTO_BUF lines = { 0 };
	AUTO_BUF out = { 0 };
	const char *text;

	metrics_add(m, "caduceus_rejected_total", "reason=\"busy\"", 2);
	metrics_add(m, "caduceus_rejected_total", "reason=\"busy\"", 1);
	metrics_observe(m, "caduceus_hsm_op_duration_seconds", "", 700);
	metrics_observe(m, "caduceus_hsm_op_duration_seconds", "", 1000);
	metrics_observe(m, "caduceus_hsm_op_duration_seconds", "", 30000000);
	metrics_put(m, &lines);
	metrics_merge(&out, span_of(&lines));
	text = buf_str(&out);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "# TYPE caduceus_rejected_total counter\ncaduceus_rejected_total{reason=\"busy\"} 3\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "caduceus_hsm_op_duration_seconds_bucket{le=\"0.001\"} 2\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "caduceus_hsm_op_duration_seconds_bucket{le=\"10\"} 2\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "caduceus_hsm_op_duration_seconds_bucket{le=\"+Inf\"} 3\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "caduceus_hsm_op_duration_seconds_sum 30.001700\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "caduceus_hsm_op_duration_seconds_count 3\n"));
	metrics_free(m);
}

static void test_series_are_bounded__OPS_01(void)
{
	struct metrics *m = metrics_new();
	AUTO_BUF lines = { 0 };
	char labels[32];
	size_t n = 0;

	for (int i = 0; i < 2 * METRIC_MAX; i++) {
		snprintf(labels, sizeof labels, "reason=\"%d\"", i);
		metrics_add(m, "caduceus_rejected_total", labels, 1);
	}
	metrics_put(m, &lines);
	for (size_t i = 0; i < lines.n; i++)
		n += lines.p[i] == '\n';
	CU_ASSERT_EQUAL(n, METRIC_MAX);
	metrics_add(NULL, "x", "", 1); /* nobody counts */
	metrics_free(m);
}

/* Another role's lines are not believed: what is no sample of a known family is left out. */
static void test_lines_of_others__OPS_01(void)
{
	static const char *const refused[] = {
		"evil_total 1", "caduceus_rejected_total", "caduceus_rejected_total x", "caduceus_rejected_total{reason=\"a\"}1",
		"caduceus_rejected_total{reason=\"a\\\"} 1", "caduceus_rejected_total{reason=\"a\"} 1 2", "caduceus_rejected_total_bucket 1",
		"caduceus_hsm_op_duration_seconds 1", "# HELP caduceus_rejected_total lies", " caduceus_rejected_total 1",
		"caduceus_rejected_total{reason=\"<script>\"} 1", "caduceus_rejected_total 0x1", "caduceus_rejected_total ",
		"caduceus_rejected_total\t1", "",
	};
	static const char mixed[] = "caduceus_db_up 1\njunk\ncaduceus_clock_offset_seconds NaN\ncaduceus_db_up 0";
	AUTO_BUF out = { 0 };

	for (size_t i = 0; i < COUNT_OF(refused); i++) {
		metrics_merge(&out, (struct span){ (const uint8_t *)refused[i], strlen(refused[i]) });
		if (out.n != 0)
			fprintf(stderr, "accepted %s\n", refused[i]);
		CU_ASSERT_EQUAL(out.n, 0);
		out.n = 0;
	}
	metrics_merge(&out, (struct span){ (const uint8_t *)mixed, strlen(mixed) });
	CU_ASSERT_PTR_NOT_NULL(strstr(buf_str(&out), "# TYPE caduceus_db_up gauge\ncaduceus_db_up 1\ncaduceus_db_up 0\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(buf_str(&out), "caduceus_clock_offset_seconds NaN\n"));
}

static const struct cu_case table[] = {
	{ "test_counters_and_histograms__OPS_01", test_counters_and_histograms__OPS_01 },
	{ "test_series_are_bounded__OPS_01", test_series_are_bounded__OPS_01 },
	{ "test_lines_of_others__OPS_01", test_lines_of_others__OPS_01 },
};

CU_MAIN(table)
