/* SPDX-License-Identifier: Apache-2.0
 *
 * Officers' verbs: the one table that ra checks requests against and api/ makes its paths from
 * (`device.add` is POST /api/v1/device/add; a reading verb is also GET with its arguments in the query). */
#ifndef CADUCEUS_RA_VERBS_H
#define CADUCEUS_RA_VERBS_H

#include "base/err.h"
#include "base/record.h"

#include <stdbool.h>
#include <stddef.h>

enum verb_role { /* who may (AUD-16); every verb is refused to everybody else */
	ROLE_ANY = 0, ROLE_ADMINISTRATOR = 1, ROLE_RA_OFFICER = 2, ROLE_AUDITOR = 4, ROLE_OPERATOR = 8,
};

enum { VERB_ARG_MAX = 12 };
struct verb {
	const char *name;
	bool reads;             /* changes nothing: GET allowed, no audit record */
	unsigned roles;
	struct verb_arg {
		const char *name;
		enum field_type type;
		bool required;
		size_t cap;     /* octets of TEXT, BYTES and each LIST entry; numbers: ignored */
	} arg[VERB_ARG_MAX];
};

/* NULL when there is no such verb. */
const struct verb *verb_find(const char *name);
const struct verb *verb_at(size_t i); /* NULL behind the last */
/* A record of arguments against the verb's table: known, of their type, within their caps, clean, once, all that are
 * required. ERR_BAD_REQUEST names what is wrong. */
MUST_USE bool verb_check(const struct verb *v, struct span args, struct err *e);

#endif
