/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a connection that a stranger has caused may go: `private`, `public`, and networks that are named. What leads to
 * this machine or to a part of the network that is no host's (loopback, link-local, metadata services, multicast, …) is
 * refused unless a network names just that. Pure functions over the address that a socket is about to get. */
#ifndef CADUCEUS_BASE_FENCE_H
#define CADUCEUS_BASE_FENCE_H

#include "base/err.h"

#include <stdint.h>
#include <sys/socket.h>

enum { FENCE_NETWORK_MAX = 32 };

struct fence {
	bool to_private, to_public; /* 10/8, 172.16/12, 192.168/16, 100.64/10, fc00::/7; what is nothing special */
	unsigned n;
	struct fence_network {
		bool v6;
		uint8_t address[16], bits;
	} network[FENCE_NETWORK_MAX];
};

/* "private", "public", "10.0.0.0/8", "2001:db8::/32", "192.0.2.7" with blanks between. ERR_CONFIG names the word. */
MUST_USE bool fence_parse(struct fence *f, const char *text, struct err *e);
/* NULL: may be connected to. Else why not, a few words. own: the address is one of this machine's; only its full
 * length names it (loopback: a network within 127.0.0.0/8 does). An IPv6 address that means an IPv4 one is judged as that. */
const char *fence_refuses(const struct fence *f, const struct sockaddr *to, bool own);

#endif
