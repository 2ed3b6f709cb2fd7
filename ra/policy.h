/* SPDX-License-Identifier: Apache-2.0
 *
 * What a request becomes under a profile: pure. Who may ask at all is decided before. */
#ifndef CADUCEUS_RA_POLICY_H
#define CADUCEUS_RA_POLICY_H

#include "config/profile.h"
#include "pkix/csr.h"

/* What a subject may be called: its NAME and its --san rules. any: an officer's request, every well-formed name. */
struct policy_names {
	const char *name;
	size_t rule_n;
	struct san *rule; /* dns "*.x" allows every name below x, "*" any */
	bool any;
};

struct grant {
	struct dn subject;
	struct san_list san;
	uint32_t eku_mask;    /* 0: all of the profile */
	unsigned dn_ignored;  /* subject attributes of the request that were not taken */
	unsigned ext_ignored;
	bool cn_dropped;      /* X509-32 */
};

/* ERR_BAD_NAME names the name; ERR_POLICY, ERR_BAD_KEY. X509-11, 16, 30..33. */
MUST_USE bool policy_grant(struct grant *out, const struct profile *p, const struct policy_names *n, const struct csr *csr,
                           struct err *e);
bool policy_name_allowed(const struct policy_names *n, const struct san *s);

/* Whole seconds, both included: [now - backdate, …] within the issuer's; clamped or refused (X509-06, 07). */
struct validity {
	int64_t not_before, not_after;
	bool clamped;
};
MUST_USE bool policy_validity(struct validity *out, const struct profile *p, int64_t issuer_not_before, int64_t issuer_not_after,
                              int64_t now, struct err *e);

#endif
