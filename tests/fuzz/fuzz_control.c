/* SPDX-License-Identifier: Apache-2.0
 *
 * A message of the parent to a role, and of a role to the parent; and any octets on a channel. */
#include "daemon/control.h"
#include "ipc/frame.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd[2] = { -1, -1 };
	static struct buf scratch;
	struct control c;
	struct frame f;

	if (fd[0] < 0 && !channel_pair(fd, NULL))
		abort();
	if (send(fd[0], data, size, MSG_DONTWAIT) == (ssize_t)size && size != 0 && control_recv(fd[1], &c) == CONTROL_GOT &&
	    (c.fd != -1 || strnlen(c.name, sizeof c.name) == sizeof c.name))
		abort();
	if (size != 0 && send(fd[0], data, size, MSG_DONTWAIT) == (ssize_t)size && channel_recv(fd[1], &scratch, &f) == CHANNEL_GOT &&
	    f.body.n + FRAME_HEAD != size)
		abort();
	return 0;
}
