/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/frame.h"

#include "base/clock.h"
#include "base/cursor.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef CADUCEUS_BUILD_ID
#define CADUCEUS_BUILD_ID "unknown"
#endif

/* 4 MiB holds about 3,000 messages of the usual size; the kernel charges by allocation, not by length. */
enum { SOCKET_BUFFER = 4 << 20 };

static void put_head(struct buf *out, const struct frame *f)
{
	wr_u16(out, f->type);
	wr_u16(out, f->flags);
	wr_u32(out, 0);
	wr_u64(out, f->id);
	wr_i64(out, f->deadline);
}

bool frame_put(struct buf *out, const struct frame *f, struct err *e)
{
	if (f->body.n > FRAME_BODY_MAX)
		return err_set(e, ERR_TOO_LARGE, "frame of %zu bytes, limit %d", f->body.n, FRAME_BODY_MAX);
	put_head(out, f);
	buf_add(out, f->body.p, f->body.n);
	return true;
}

bool frame_get(struct frame *f, const uint8_t *p, size_t n, struct err *e)
{
	struct rd r = rd_of(p, n);

	*f = (struct frame){ 0 };
	f->type = rd_u16(&r);
	f->flags = rd_u16(&r);
	f->reserved = rd_u32(&r);
	f->id = rd_u64(&r);
	f->deadline = rd_i64(&r);
	if (r.bad || f->reserved != 0 || n > FRAME_HEAD + FRAME_BODY_MAX)
		return err_set(e, ERR_BAD_REQUEST, "malformed frame of %zu bytes", n);
	f->body = (struct span){ r.p, (size_t)(r.end - r.p) };
	return true;
}

bool channel_pair(int fd[2], struct err *e)
{
	int size = SOCKET_BUFFER;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd) != 0)
		return err_sys(e, ERR_IO, "socketpair");
	for (int i = 0; i < 2; i++)
		if (setsockopt(fd[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) != 0)
			(void)setsockopt(fd[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	return true;
}

bool channel_send(int fd, const struct frame *f, struct err *e)
{
	AUTO_BUF head = { 0 };
	struct iovec iov[2];
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };

	if (fd < 0)
		return err_set(e, ERR_IO, "the other role is not there");
	if (f->body.n > FRAME_BODY_MAX)
		return err_set(e, ERR_TOO_LARGE, "frame of %zu bytes, limit %d", f->body.n, FRAME_BODY_MAX);
	put_head(&head, f);
	iov[0] = (struct iovec){ head.p, head.n };
	iov[1] = (struct iovec){ (void *)f->body.p, f->body.n };
	while (sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		if (errno == EINTR)
			continue;
		if (errno == EAGAIN || errno == ENOBUFS)
			return err_set(e, ERR_BUSY, "the other role's queue is full");
		return err_sys(e, ERR_IO, "channel");
	}
	return true;
}

bool channel_send_wait(int fd, const struct frame *f, int64_t deadline, struct err *e)
{
	struct err why;

	while (!channel_send(fd, f, &why)) {
		int64_t left = deadline - clock_mono();
		struct pollfd p = { .fd = fd, .events = POLLOUT };

		if (why.kind != ERR_BUSY || left <= 0) {
			if (e != NULL)
				*e = why;
			return false;
		}
		(void)poll(&p, 1, left > 10000 ? 10 : 1);
	}
	return true;
}

enum channel_state channel_recv(int fd, struct buf *scratch, struct frame *f)
{
	struct iovec iov;
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	scratch->n = 0;
	buf_reserve(scratch, FRAME_HEAD + FRAME_BODY_MAX);
	iov = (struct iovec){ scratch->p, FRAME_HEAD + FRAME_BODY_MAX };
	/* ECONNRESET: the peer has ended and left something unread. Linux says so once, before what it had still sent. */
	do
		n = recvmsg(fd, &m, MSG_DONTWAIT);
	while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n < 0 && errno == EAGAIN)
		return CHANNEL_EMPTY;
	if (n <= 0 || (m.msg_flags & MSG_TRUNC) != 0 || !frame_get(f, scratch->p, (size_t)n, NULL))
		return CHANNEL_CLOSED;
	scratch->n = (size_t)n;
	return CHANNEL_GOT;
}

const char *build_id(void)
{
	return CADUCEUS_BUILD_ID;
}

bool channel_hello(int fd, const char *role, struct err *e)
{
	AUTO_BUF body = { 0 };

	wr_text(&body, role);
	wr_text(&body, build_id());
	return channel_send(fd, &(struct frame){ .type = FRAME_HELLO, .body = span_of(&body) }, e);
}

bool hello_check(const struct frame *f, char role[16], struct err *e)
{
	struct rd r = rd_of(f->body.p, f->body.n);
	char build[65];

	rd_text(&r, role, 16);
	rd_text(&r, build, sizeof build);
	if (f->type != FRAME_HELLO || !rd_done(&r))
		return err_set(e, ERR_BAD_REQUEST, "no HELLO at the start of the channel");
	if (strcmp(build, build_id()) != 0)
		return err_set(e, ERR_CONFLICT, "role %s is of build %s, this one of %s: restart the service", role, build,
		               build_id());
	return true;
}

void failure_put(struct buf *b, const struct err *e)
{
	wr_u8(b, (uint8_t)e->kind);
	wr_u32(b, (uint32_t)e->retry_after);
	wr_text(b, e->text);
}

bool failure_get(struct span body, struct err *e)
{
	struct rd r = rd_of(body.p, body.n);
	struct err got = { .kind = (enum err_kind)rd_u8(&r) };

	got.retry_after = (int)rd_u32(&r);
	rd_text(&r, got.text, sizeof got.text);
	if (!rd_done(&r) || got.kind == ERR_NONE || got.kind >= ERR_KIND_COUNT)
		return err_set(e, ERR_INTERNAL, "malformed failure");
	*e = got;
	return true;
}
