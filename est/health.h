/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CADUCEUS_EST_HEALTH_H
#define CADUCEUS_EST_HEALTH_H

#include "web/web.h"

/* GET /healthz: 200 while the process answers. GET /readyz: asks ra (ctx: struct caller *): 200 only when every check
 * holds, else 503; JSON {status, checks[{name, status, detail}]} (OPS-03). */
const struct head *health_head(void);

#endif
