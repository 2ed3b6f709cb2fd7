/* SPDX-License-Identifier: Apache-2.0
 *
 * The parent: starts the roles, gives them their sockets and channels, watches and restarts them. It holds no key,
 * opens no database and reads no request. */
#ifndef CADUCEUS_DAEMON_PARENT_H
#define CADUCEUS_DAEMON_PARENT_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct parent_options {
	const char *dir;    /* absolute */
	bool provision;     /* init: make what is missing, then stop and return; opens no listener */
	bool quiet;         /* no "ready" line */
};

/* Runs until SIGTERM or SIGINT (or until provisioned). 0: stopped as asked; 1: could not start or provision: the reason
 * is on standard error; 5: another process serves this directory. */
int parent_serve(const struct parent_options *o);

/* Path of a role's program ("ca", "ra", "va", "front"): beside the running program, or ../libexec/caduceus of it. */
bool role_program(const char *role, char *out, size_t size);

/* Gives each role its files below dir, when root calls it and the roles' users exist; else says so and does nothing. For a
 * unit whose service has no right to do it itself. */
MUST_USE bool parent_own(const char *dir, struct err *e);

#endif
