/* SPDX-License-Identifier: Apache-2.0
 *
 * Whose process is whose: the uid of each role, and which files of an instance are its own. Used by the parent alone,
 * while it is root; without root all roles share the uid that started them. */
#ifndef CADUCEUS_DAEMON_OWNERS_H
#define CADUCEUS_DAEMON_OWNERS_H

#include "config/config.h"
#include "daemon/links.h"

#include <sys/types.h>

struct owners {
	bool apart; /* each role has a uid of its own */
	struct {
		uid_t uid;
		gid_t gid;
	} of[ROLE_COUNT];
	const char *why_not; /* static text, when they are not apart */
};

/* Looks the users caduceus-ca, -ra, -va, -front, -officers up. */
void owners_find(struct owners *o);
/* Gives each role its files of c->dir (never through a symbolic link or to a second name), makes the database's files
 * so that ra needs no right to the folder. Nothing when they are not apart. ERR_CONFIG: a role could not reach its
 * folder. */
MUST_USE bool owners_apply(const struct owners *o, const struct config *c, struct err *e);
/* In the child, before exec. */
MUST_USE bool owners_become(const struct owners *o, enum role_id r);

#endif
