/* SPDX-License-Identifier: Apache-2.0
 *
 * The role behind the door: errands run on one event loop in a thread of their own, so that one that waits holds up
 * nobody. Feeding and replying are thread-safe. */
#ifndef CADUCEUS_PROBE_CORE_H
#define CADUCEUS_PROBE_CORE_H

#include "base/fence.h"
#include "base/metric.h"
#include "ipc/frame.h"
#include "probe/probe.h"

enum {
	PROBE_QUEUE_MAX = 256,    /* wait; above: ERR_BUSY */
	PROBE_QUICK_MAX = 64,     /* under way and young */
	PROBE_SLOW_MAX = 192,     /* under way for more than a second: they hold no place of a young one */
	PROBE_SLOW_AFTER_MS = 1000,
	PROBE_PER_ADDRESS = 8,    /* slow ones at one address; above: ERR_BUSY */
	PROBE_TIMEOUT_MS = 10000, /* an errand, all its redirects included */
};

struct probe_config {
	const char *resolver;      /* acme.resolver; texts are copied */
	const char *trust_anchors; /* a path or "none" */
	const char *networks;      /* acme.networks */
	uint16_t http_port, tls_alpn_port;
	const char *caa_identity;
	int timeout_ms;            /* 0: PROBE_TIMEOUT_MS */
	void (*reply)(void *arg, const struct frame *f); /* on the loop's thread, once per frame fed; must not block for long */
	void *arg;
	struct metrics *metrics;   /* NULL: not counted */
};

struct probe;
/* Opens what it needs; no thread yet. */
MUST_USE bool probe_new(struct probe **out, const struct probe_config *c, struct err *e);
MUST_USE bool probe_start(struct probe *p, struct err *e);
/* PROBE_VALIDATE. What is past its deadline is dropped without an answer. */
void probe_feed(struct probe *p, const struct frame *f);
/* Who asked is gone: nothing of what is under way is answered. */
void probe_reset(struct probe *p);
/* Other settings for what comes next (the same reply); false and the old ones stay. */
MUST_USE bool probe_configure(struct probe *p, const struct probe_config *c, struct err *e);
/* Stops: what waits and what is under way gets PROBE_FAILED. */
void probe_free(struct probe *p);
AUTO_STRUCT_DEFINE(probe, probe_free)

#endif
