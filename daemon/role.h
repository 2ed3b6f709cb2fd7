/* SPDX-License-Identifier: Apache-2.0
 *
 * What every role program does the same: its arguments, its configuration, and its ends of channels. */
#ifndef CADUCEUS_DAEMON_ROLE_H
#define CADUCEUS_DAEMON_ROLE_H

#include "config/config.h"
#include "daemon/control.h"
#include "daemon/sandbox.h"
#include "ipc/frame.h"

#include <pthread.h>

struct role {
	const char *name;
	char dir[CONFIG_TEXT_MAX];
	bool provision;
	const char *option;     /* "--enroll", "--audit-verify", …; NULL none */
	struct config config;
};

/* Reads `DIR [--option] [--provision]` and DIR/caduceus.yaml, opens the log. Exits with a message otherwise. */
void role_begin(struct role *r, const char *name, int argc, char **argv);
/* Again on reload, from the file that the parent has opened (the sandbox does not let a role open a new one): false and the
 * old one stays when there are mistakes (logged). */
bool role_reload(struct role *r, int fd);
/* Takes what the parent has said: reload, then other(arg, message) for channels and listeners; after a reload that went
 * well also other(arg, message) with CONTROL_RELOAD. True: asked to stop. */
typedef void role_control(void *arg, const struct control *c);
bool role_take_control(struct role *r, role_control *other, void *arg);
/* The same after waiting at most ms for something to come. */
bool role_wait_control(struct role *r, int ms, role_control *other, void *arg);
/* Gives up all but these paths and what every role needs; before the first thread. Exits when a layer fails. */
void role_confine(const struct sandbox *s);
void role_ready(void);   /* tells the parent, once, and which layers hold */
/* Ends the role with the reason in the log. */
void role_fail(const struct err *e) __attribute__((noreturn));

/* This role's end of a channel, which the parent may replace while workers send on it. */
struct port {
	pthread_mutex_t lock;
	int fd;              /* -1 not there */
	bool greeted;        /* the peer's HELLO was right */
};
void port_init(struct port *p);
/* Takes over fd, closes the old one, says HELLO. */
void port_adopt(struct port *p, int fd, const char *role);
void port_drop(struct port *p);
/* Thread-safe. ERR_IO when nobody is there. */
MUST_USE bool port_send(struct port *p, const struct frame *f, struct err *e);
/* Waits for room until `deadline` (mono us). */
MUST_USE bool port_send_wait(struct port *p, const struct frame *f, int64_t deadline, struct err *e);
/* Takes the next frame for the role's core. HELLO is dealt with here: PORT_UP is said once per peer. */
enum port_event { PORT_FRAME, PORT_UP, PORT_NOTHING, PORT_DOWN };
enum port_event port_recv(struct port *p, struct buf *scratch, struct frame *f);

#endif
