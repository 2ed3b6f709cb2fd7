/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CADUCEUS_DAEMON_LISTEN_H
#define CADUCEUS_DAEMON_LISTEN_H

#include "base/err.h"

/* "HOST:PORT" or "[V6]:PORT": a bound, listening, close-on-exec TCP socket. [::] serves both families. */
MUST_USE bool listen_tcp(const char *where, int *fd, struct err *e);
/* A local socket of mode 0660 for group `caduceus` where it exists; an old one is replaced. */
MUST_USE bool listen_local(const char *path, int *fd, struct err *e);

#endif
