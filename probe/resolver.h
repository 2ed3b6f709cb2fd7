/* SPDX-License-Identifier: Apache-2.0
 *
 * DNS by libunbound on an event loop: nothing is kept from one errand to the next. One thread. */
#ifndef CADUCEUS_PROBE_RESOLVER_H
#define CADUCEUS_PROBE_RESOLVER_H

#include "probe/dns.h"

#include <event2/event.h>

struct resolver_config {
	const char *resolver;      /* "system" or ADDRESS:PORT, [V6]:PORT; copied, like: */
	const char *trust_anchors; /* a path or "none" */
};
struct resolver;
MUST_USE bool resolver_new(struct resolver **out, struct event_base *base, const struct resolver_config *c, struct err *e);
/* For what is looked up from now on; false and nothing has changed. */
MUST_USE bool resolver_configure(struct resolver *r, const struct resolver_config *c, struct err *e);
void resolver_free(struct resolver *r);

enum look_state { LOOK_IDLE, LOOK_UNDER_WAY, LOOK_ANSWERED, LOOK_NOTHING, LOOK_FAILED, LOOK_BOGUS };
/* done: called once, from the loop or from inside look_up; not after look_cancel. set is NULL but with LOOK_ANSWERED
 * (records, n > 0) and LOOK_NOTHING (NXDOMAIN, or none of this type). */
struct look;
typedef void look_done(struct look *l, const struct dns_records *set);
struct look {
	enum look_state state;
	unsigned type;
	char name[DNS_NAME_MAX + 16];
	bool secure;               /* validated */
	char why[160];             /* of FAILED and BOGUS; clean */
	look_done *done;
	void *arg;
	struct generation *of;
	int async_id;
};
void look_up(struct resolver *r, struct look *l, const char *name, unsigned type, look_done *done, void *arg);
void look_cancel(struct look *l);
/* What is no longer needed of what was given up; between two events. */
void resolver_tidy(struct resolver *r, int64_t mono);

#endif
