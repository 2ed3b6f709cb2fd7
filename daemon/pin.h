/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CADUCEUS_DAEMON_PIN_H
#define CADUCEUS_DAEMON_PIN_H

#include "base/err.h"

/* Where the token's PIN comes from (HSM-08): file:PATH of mode 0600 or stricter (relative to DIR), credential:NAME
 * (systemd's $CREDENTIALS_DIRECTORY), prompt: (the terminal). Never an argument, the environment, or the configuration
 * itself. The caller wipes out. */
MUST_USE bool pin_read(const char *source, const char *dir, char *out, size_t cap, struct err *e);

/* Where a file: source lies, NULL for another one; free. */
char *pin_path(const char *source, const char *dir);

/* A credential: of systemd belongs to root: the parent opens it for a ca that is not, and says so by this variable. */
#define PIN_FD_VARIABLE "CADUCEUS_PIN_FD"

#endif
