/* SPDX-License-Identifier: Apache-2.0
 *
 * Name constraints of an authority (RFC 5280, 4.2.1.10): which names those below it may carry. */
#ifndef CADUCEUS_PKIX_CONSTRAINTS_H
#define CADUCEUS_PKIX_CONSTRAINTS_H

#include "pkix/name.h"

enum constraint_type { CONSTRAINT_EMAIL = 1, CONSTRAINT_DNS = 2, CONSTRAINT_DIRECTORY = 4, CONSTRAINT_URI = 6, CONSTRAINT_IP = 7 };
enum { CONSTRAINT_MAX = 64 }; /* the numbers are those of GeneralName */
struct constraints {
	size_t n;
	struct constraint {
		enum constraint_type type;
		bool excluded;
		struct span base; /* a view: text; address and mask; a whole Name */
	} v[CONSTRAINT_MAX];
};

/* A whole NameConstraints element. ERR_BAD_CERT: malformed, empty, a minimum or maximum, a dNSName with a leading dot, a
 * mask with holes, or a type that can't be judged (otherName, …): the extension is critical. Views into der. */
MUST_USE bool constraints_parse(struct constraints *out, struct span der, struct err *e);
/* Every name against every constraint of its type: within one that is permitted, if there is any, and in none that is
 * excluded. A CN that is a host name counts as a dNSName, an emailAddress as a mailbox. A wildcard counts as all that it
 * covers. ERR_BAD_NAME names the first that is outside. */
MUST_USE bool constraints_check(const struct constraints *c, const struct dn *subject, const struct san_list *san, struct err *e);

#endif
