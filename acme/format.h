/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers as HTTP: JSON on one line, flat, members always in the same order, no escaped slashes, for some clients read it
 * with sed (QRK-11). Pure. */
#ifndef CADUCEUS_ACME_FORMAT_H
#define CADUCEUS_ACME_FORMAT_H

#include "acme/acme.h"
#include "acme/path.h"

/* The directory of one realm (RFC 8555, 7.1.1). */
void acme_directory(struct response *out, const struct acme_settings *s, const char *realm);
/* A refusal as problem document (RFC 8555, 6.7; RFC 7807), with what its type carries besides. */
void acme_problem(struct response *out, const struct acme_settings *s, const struct refusal *r);
/* What ra said to a question of this kind about this resource, problems included. */
void acme_answer(struct response *out, const struct acme_settings *s, const struct acme_target *t, enum ra_acme_op op,
                 const struct ra_acme_answer *a);
/* Link rel=REL to a resource of ours. */
void acme_link(struct response *out, const struct acme_settings *s, const struct acme_target *t, const char *rel);

#endif
