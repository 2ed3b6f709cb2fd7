/* SPDX-License-Identifier: Apache-2.0
 *
 * What a role gives up for good once it has opened what it needs: paths and network (Landlock), system calls (seccomp).
 * Both bind the calling thread and those that it makes, so this comes before the first one. */
#ifndef CADUCEUS_DAEMON_SANDBOX_H
#define CADUCEUS_DAEMON_SANDBOX_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SANDBOX_PATH_MAX = 16, SANDBOX_PORT_MAX = 8, SANDBOX_LAYERS_MAX = 24 };

struct sandbox {
	struct sandbox_path {
		const char *path;  /* NULL ends; what does not exist is left out */
		bool write;        /* a folder: files in it are made, renamed, removed, too */
	} path[SANDBOX_PATH_MAX];
	bool accepts;              /* takes connections on a socket that it was given */
	bool connects;             /* ca with an external module alone: may make sockets … */
	bool outbound;             /* probe alone: may make IP sockets, and opens no file for writing … */
	uint16_t port[SANDBOX_PORT_MAX + 1]; /* … and connect by TCP to these ports; 0 ends */
};

/* layers: which hold, a letter each as ra_layers (ra/ra.h) knows them. A layer
 * that the kernel lacks is left out; one that should hold and fails is an error. */
MUST_USE bool sandbox_enter(const struct sandbox *s, char layers[SANDBOX_LAYERS_MAX], struct err *e);
#endif
