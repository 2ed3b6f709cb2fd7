/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /metrics in Prometheus' text format; what it says is ra's. */
#ifndef CADUCEUS_API_METRICS_H
#define CADUCEUS_API_METRICS_H

#include "web/web.h"

/* ctx is the struct caller that leads to ra; prefix "/metrics". */
const struct head *metrics_head(void);

#endif
