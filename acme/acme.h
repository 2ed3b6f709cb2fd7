/* SPDX-License-Identifier: Apache-2.0
 *
 * ACME (RFC 8555; 8737, 8738 and 9773 as far as HTTP goes): who signed, whether the signature and the nonce hold, and what
 * is asked, as one question to ra; and its answer as HTTP. Orders, authorizations and accounts are ra's alone. */
#ifndef CADUCEUS_ACME_ACME_H
#define CADUCEUS_ACME_ACME_H

#include "acme/jws.h"
#include "base/rnd.h"
#include "web/web.h"

struct acme_settings {
	char base[256];         /* public.enroll: URLs begin with it */
	char terms[256];        /* URLs; "" none */
	char website[256];
	char caa_identity[256]; /* "" none: CAA is not asked */
	bool eab_required;
};
struct acme;
struct acme *acme_new(rnd_fill *rnd);
void acme_set_caller(struct acme *a, struct caller *ra); /* borrowed; before the first request */
/* Before the first request, and on reload. Any thread. */
void acme_set(struct acme *a, const struct acme_settings *s);
/* An RA_TRUST body: the realms from now on. A malformed one is logged and the old ones stay. Any thread. */
void acme_trust(struct acme *a, struct span body);
void acme_free(struct acme *a);
/* For a route with ctx = struct acme *. Prefix "/acme"; bodies up to ACME_BODY_MAX. */
const struct head *acme_head(void);
/* What web/ refuses by itself on this route (out has status and why): the same as a problem document. */
void acme_refused(struct acme *a, const struct request *in, struct response *out);

#endif
