/* SPDX-License-Identifier: Apache-2.0
 *
 * The submitting side of a door for programs with threads (front, va): many threads submit on one channel, one
 * receiver thread collects. Every submit gets exactly one answer: the peer's frame, or an error when the deadline
 * passes or the peer goes away. All functions are thread-safe. */
#ifndef CADUCEUS_IPC_CALLER_H
#define CADUCEUS_IPC_CALLER_H

#include "ipc/frame.h"

struct caller;

/* How an answer comes: frame is NULL when there is none, then *e says why (ERR_BUSY: peer gone; ERR_TIMEOUT).
 * Called on the receiver thread without locks held; must not block. The body is valid during the call only. */
typedef void caller_answer(void *arg, const struct frame *frame, const struct err *e);
/* A frame with id 0 that the peer sent by itself, on the receiver thread. */
typedef void caller_notice(void *arg, const struct frame *frame);
/* The peer said HELLO: it is there, for the first time or again. On the receiver thread. */
typedef void caller_up(void *arg);

struct caller *caller_new(const char *role, caller_notice *notice, caller_up *up, void *arg);
/* Gives the caller a (new) channel, which it owns from now on; everything outstanding on the old one is answered
 * with ERR_BUSY. fd -1 takes the channel away. */
void caller_channel(struct caller *c, int fd);
/* Stops the receiver thread, answers what is outstanding with ERR_BUSY, frees. */
void caller_free(struct caller *c);
bool caller_is_up(struct caller *c);
/* Since when (mono us) the peer is away; 0 while it is there. Inside caller_up it still tells how long it was away. */
int64_t caller_down_since(struct caller *c);

/* Submits; answer is called exactly once, perhaps before this returns. f->id is set here. */
void caller_submit(struct caller *c, const struct frame *f, caller_answer *answer, void *arg);
/* Submits and waits. *body is filled with the answer's body, *type with its type. False: no answer, *e says why. */
MUST_USE bool caller_call(struct caller *c, const struct frame *f, uint16_t *type, struct buf *body, struct err *e);
/* A frame without answer. */
MUST_USE bool caller_tell(struct caller *c, const struct frame *f, struct err *e);

#endif
