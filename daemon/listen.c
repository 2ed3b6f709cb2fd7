/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/listen.h"

#include "base/mem.h"
#include "config/config.h"

#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 1024 };

static bool bind_one(const struct addrinfo *a, const char *where, int *out, struct err *e)
{
	AUTO_FD int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1, zero = 0;

	if (fd < 0)
		return err_sys(e, ERR_IO, "socket for %s", where);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (a->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
	if (bind(fd, a->ai_addr, a->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0)
		return err_sys(e, ERR_IO, errno == EADDRINUSE ? "%s (is another program listening there?)" : "%s",
		               where);
	*out = fd;
	fd = -1;
	return true;
}

bool listen_tcp(const char *where, int *fd, struct err *e)
{
	char host[256], service[8];
	struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	uint16_t port;
	bool bound;
	int rc;

	if (!config_host_port(where, host, sizeof host, &port))
		return err_set(e, ERR_CONFIG, "%s: HOST:PORT expected", where);
	snprintf(service, sizeof service, "%u", port);
	rc = getaddrinfo(host, service, &hints, &list);
	if (rc != 0)
		return err_set(e, ERR_IO, "%s: %s", where, gai_strerror(rc));
	bound = bind_one(list, where, fd, e);
	freeaddrinfo(list);
	return bound;
}

bool listen_local(const char *path, int *out, struct err *e)
{
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	const struct group *g = getgrnam("caduceus");

	if (fd < 0)
		return err_sys(e, ERR_IO, "socket");
	if (strlen(path) >= sizeof at.sun_path)
		return err_set(e, ERR_IO, "%s: too long for a socket, choose a shorter directory", path);
	strcpy(at.sun_path, path);
	(void)unlink(path);
	if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || chmod(path, 0660) != 0 || listen(fd, 64) != 0)
		return err_sys(e, ERR_IO, "%s", path);
	/* Not fatal: without the group, root and the instance's owner are the officers. */
	if (g != NULL)
		(void)!chown(path, (uid_t)-1, g->gr_gid);
	*out = fd;
	fd = -1;
	return true;
}
