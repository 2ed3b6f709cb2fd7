/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is there and who talks to whom: the picture of docs/architecture.md as tables. */
#ifndef CADUCEUS_DAEMON_LINKS_H
#define CADUCEUS_DAEMON_LINKS_H

#include <stdbool.h>

enum role_id { ROLE_CA, ROLE_RA, ROLE_VA, ROLE_ENROLL, ROLE_OFFICERS, ROLE_PROBE, ROLE_COUNT };

struct role_row {
	const char *name;     /* in logs */
	const char *program;  /* role_program */
	const char *argument; /* extra argument, NULL none */
	bool provision;       /* takes part in init */
	int stop_after;       /* stops when the roles with a lower number have stopped */
};

static const struct role_row role_table[ROLE_COUNT] = {
	[ROLE_CA] = { "ca", "ca", NULL, true, 2 },
	[ROLE_RA] = { "ra", "ra", NULL, true, 1 },
	[ROLE_VA] = { "va", "va", NULL, false, 0 },
	[ROLE_ENROLL] = { "front", "front", "--enroll", true, 0 },
	[ROLE_OFFICERS] = { "officers", "front", "--officers", false, 0 },
	[ROLE_PROBE] = { "probe", "probe", NULL, false, 0 },
};

/* A channel: each end is known to its role by the other's name. */
static const struct link_row {
	enum role_id a, b;
} link_table[] = {
	{ ROLE_RA, ROLE_CA },
	{ ROLE_VA, ROLE_CA },
	{ ROLE_VA, ROLE_RA },
	{ ROLE_ENROLL, ROLE_RA },
	{ ROLE_OFFICERS, ROLE_RA },
	{ ROLE_PROBE, ROLE_RA },
};
enum { LINK_COUNT = sizeof link_table / sizeof link_table[0] };

#endif
