/* SPDX-License-Identifier: Apache-2.0
 *
 * Counters and histograms of one process, as text lines of the Prometheus exposition format (0.0.4) that travel through
 * the doors and are put together by ra. Names and labels are the caller's: bounded sets, never a serial, name or
 * address. Thread-safe. */
#ifndef CADUCEUS_BASE_METRIC_H
#define CADUCEUS_BASE_METRIC_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

enum { METRIC_MAX = 256, METRIC_NAME_MAX = 64, METRIC_LABELS_MAX = 128, METRIC_TEXT_MAX = 30000 };

struct metrics;
struct metrics *metrics_new(void);
void metrics_free(struct metrics *m);
AUTO_STRUCT_DEFINE(metrics, metrics_free)
/* labels: "a=\"x\",b=\"y\"" or "". More than METRIC_MAX series: the new ones are not counted. m NULL: nothing. */
void metrics_add(struct metrics *m, const char *name, const char *labels, uint64_t n);
/* One duration into a histogram, in us; the name ends in _seconds. */
void metrics_observe(struct metrics *m, const char *name, const char *labels, int64_t us);
/* The lines "name{labels} value\n". */
void metrics_put(struct metrics *m, struct buf *out);

/* Puts lines of several processes together: sorted by family, each with its HELP and TYPE. Lines of families that the
 * table of metric.c does not know, or that are malformed, are left out: who sends them is not believed. */
void metrics_merge(struct buf *out, struct span lines);

#endif
