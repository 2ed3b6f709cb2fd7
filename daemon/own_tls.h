/* SPDX-License-Identifier: Apache-2.0
 *
 * The enrolment listener's own key and certificate (OPS-19): made here in software, never shown to another role,
 * kept in DIR/tls, certified by ra under the profile `server`, renewed at two thirds of its life. */
#ifndef CADUCEUS_DAEMON_OWN_TLS_H
#define CADUCEUS_DAEMON_OWN_TLS_H

#include "base/err.h"
#include "ipc/caller.h"
#include "web/web.h"

struct own_tls {
	const char *dir;
	struct caller *ra;
	int64_t not_before, renew_at; /* UTC us; 0: nothing is there yet */
	int64_t life;     /* us, of the one that is there */
};
/* At two thirds of its life, and when the clock has gone back to before it. */
bool own_tls_due(const struct own_tls *t, int64_t now);
/* Between two attempts: a minute, less for a certificate that lives for minutes. */
int64_t own_tls_pause(const struct own_tls *t);

/* Reads key and chain from DIR/tls: ERR_NOT_FOUND when there is none. Sets renew_at. */
MUST_USE bool own_tls_load(struct own_tls *t, struct tls_key **out, struct err *e);
/* Makes a new key, has it certified and keeps both; the old one stays when anything fails. Blocks. */
MUST_USE bool own_tls_renew(struct own_tls *t, struct tls_key **out, struct err *e);

#endif
