/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/control.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct wire {
	unsigned char op;
	char name[CONTROL_NAME_MAX];
};

union ancillary {
	struct cmsghdr align;
	char room[CMSG_SPACE(sizeof(int))];
};

bool control_send(int sock, enum control_op op, const char *name, int fd, struct err *e)
{
	struct wire w = { .op = (unsigned char)op };
	struct iovec iov = { &w, sizeof w };
	union ancillary a = { .room = { 0 } };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	strncpy(w.name, name, sizeof w.name - 1);
	if (fd >= 0) {
		struct cmsghdr *c;

		m.msg_control = a.room;
		m.msg_controllen = sizeof a.room;
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(c), &fd, sizeof fd);
	}
	while (sendmsg(sock, &m, MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return err_sys(e, ERR_IO, "control channel");
	return true;
}

enum control_state control_recv(int sock, struct control *out)
{
	struct wire w;
	struct iovec iov = { &w, sizeof w };
	union ancillary a;
	struct msghdr m = { .msg_iov = &iov,
		            .msg_iovlen = 1,
		            .msg_control = a.room,
		            .msg_controllen = sizeof a.room };
	struct cmsghdr *c;
	ssize_t n;

	/* ECONNRESET: the other side has ended and left something unread, as one does that hangs; its last words still come. */
	do
		n = recvmsg(sock, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n < 0 && errno == EAGAIN)
		return CONTROL_EMPTY;
	if (n != sizeof w)
		return CONTROL_CLOSED;
	out->op = (enum control_op)w.op;
	memcpy(out->name, w.name, sizeof out->name);
	out->name[sizeof out->name - 1] = 0;
	out->fd = -1;
	c = CMSG_FIRSTHDR(&m);
	if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(&out->fd, CMSG_DATA(c), sizeof out->fd);
	return CONTROL_GOT;
}
