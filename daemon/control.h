/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parent and a role say to each other, on the SEQPACKET socket that the role finds as descriptor 3. Channels
 * and listening sockets come this way, too, at start and again whenever a neighbour was restarted. */
#ifndef CADUCEUS_DAEMON_CONTROL_H
#define CADUCEUS_DAEMON_CONTROL_H

#include "base/err.h"

#include <stdbool.h>

enum { CONTROL_FD = 3, CONTROL_NAME_MAX = 256 };

enum control_op {
	CONTROL_CHANNEL = 1, /* to the role: name of the neighbour, with its end of a channel */
	CONTROL_LISTEN,      /* to the role: name of the listener, with the socket */
	CONTROL_RELOAD,      /* to the role: read the configuration again, from the file that comes with it */
	CONTROL_STOP,        /* to the role: drain, then exit 0 */
	CONTROL_READY,       /* from the role: it answers now (provisioning: its part is done); name: its sandbox's layers */
	CONTROL_LAYERS,      /* to ra: "ROLE LAYERS", for `status` */
	CONTROL_FAILED,      /* from the role: why it ends; to ra: the same of ca, for `status` */
};

struct control {
	enum control_op op;
	char name[CONTROL_NAME_MAX];
	int fd; /* -1 none; owned by who received it */
};

enum control_state { CONTROL_GOT, CONTROL_EMPTY, CONTROL_CLOSED };

MUST_USE bool control_send(int sock, enum control_op op, const char *name, int fd, struct err *e);
/* Does not wait. CONTROL_CLOSED comes after everything that the other side has sent, however it ended. */
enum control_state control_recv(int sock, struct control *out);

#endif
