/* SPDX-License-Identifier: Apache-2.0
 *
 * A channel is one SOCK_SEQPACKET socket; a frame is one message on it: type, id, deadline, body. A message is at most
 * 64 KiB, never empty, and a truncated one is an error. What the types mean is each door's own (ra.h, ca.h, status.h). */
#ifndef CADUCEUS_IPC_FRAME_H
#define CADUCEUS_IPC_FRAME_H

#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>

enum { FRAME_HEAD = 24, FRAME_BODY_MAX = 65536 - 24 };

struct frame {
	uint16_t type;
	uint16_t flags;     /* the door's own */
	uint32_t reserved;  /* 0 */
	uint64_t id;        /* chosen by who submits; the answer carries it; 0: no answer is expected */
	int64_t deadline;   /* mono us; 0 none. Past it the request is dropped before it has any effect */
	struct span body;   /* a view */
};

/* Encodes head and body. Refuses a body above FRAME_BODY_MAX. */
MUST_USE bool frame_put(struct buf *out, const struct frame *f, struct err *e);
/* The body is a view into p. */
MUST_USE bool frame_get(struct frame *f, const uint8_t *p, size_t n, struct err *e);

/* A pair of connected, close-on-exec, non-blocking SEQPACKET sockets with room for bursts. */
MUST_USE bool channel_pair(int fd[2], struct err *e);
/* ERR_BUSY when the peer's buffer is full, ERR_IO when it is gone. Thread-safe. */
MUST_USE bool channel_send(int fd, const struct frame *f, struct err *e);
/* The same, waiting up to deadline (mono us) for room. */
MUST_USE bool channel_send_wait(int fd, const struct frame *f, int64_t deadline, struct err *e);

enum channel_state { CHANNEL_GOT, CHANNEL_EMPTY, CHANNEL_CLOSED };
/* Takes one frame; f->body points into scratch, which is overwritten by the next call. A malformed frame closes the
 * channel: a peer that can't count is not spoken to. CHANNEL_CLOSED comes after everything that a peer has sent. */
enum channel_state channel_recv(int fd, struct buf *scratch, struct frame *f);

/* The first frame on every channel, both ways: HELLO with the build's id. A peer of another build is refused. */
enum { FRAME_HELLO = 1 };
const char *build_id(void);
MUST_USE bool channel_hello(int fd, const char *role, struct err *e);
MUST_USE bool hello_check(const struct frame *f, char role[16], struct err *e);

/* A refusal in a frame: kind, retry_after (s) and the text that the other side may be told. Every door's FAILED answer. */
void failure_put(struct buf *b, const struct err *e);
/* Turns the body into *e; false when it is malformed (then ERR_INTERNAL). */
MUST_USE bool failure_get(struct span body, struct err *e);

#endif
