/* SPDX-License-Identifier: Apache-2.0
 *
 * A role whose parser has been taken over: this stands between a real front (or va) and its protocol head, and does what
 * a request's body says, with all that the process is still able to. Only tests link it. Each answer is "did: …" or
 * "refused: …". */
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "web/web.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

const struct head *__wrap_est_head(void), *__real_est_head(void);
const struct head *__wrap_va_ocsp_head(void), *__real_va_ocsp_head(void);
struct caller *__wrap_caller_new(const char *role, caller_notice *notice, caller_up *up, void *arg);
struct caller *__real_caller_new(const char *role, caller_notice *notice, caller_up *up, void *arg);

#ifdef REDTEAM_FRONT
#define REAL_HEAD __real_est_head
#else
#define REAL_HEAD __real_va_ocsp_head
#endif

static struct caller *callers[4];
static size_t caller_n;

struct caller *__wrap_caller_new(const char *role, caller_notice *notice, caller_up *up, void *arg)
{
	struct caller *c = __real_caller_new(role, notice, up, arg);

	if (caller_n < COUNT_OF(callers))
		callers[caller_n++] = c;
	return c;
}

static bool said(struct buf *out, bool did, const char *detail)
{
	buf_printf(out, "%s: %s\n", did ? "did" : "refused", did ? detail : strerror(errno));
	return did;
}

static void read_file(struct buf *out, const char *path)
{
	char text[64] = "";
	int fd = open(path, O_RDONLY);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;

	said(out, n >= 0, "read");
	if (fd >= 0)
		close(fd);
}

static void write_file(struct buf *out, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	said(out, fd >= 0, "opened for writing");
	if (fd >= 0)
		close(fd);
}

static void list_folder(struct buf *out, const char *path)
{
	DIR *d = opendir(path);

	said(out, d != NULL, "listed");
	if (d != NULL)
		closedir(d);
}

static void inet_socket(struct buf *out, int type, const char *port, bool do_bind)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, type, 0);

	said(out, fd >= 0 && (do_bind ? bind(fd, (struct sockaddr *)&a, sizeof a) : connect(fd, (struct sockaddr *)&a, sizeof a)) == 0,
	     do_bind ? "bound" : "connected");
	if (fd >= 0)
		close(fd);
}

static void unix_socket(struct buf *out, const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	said(out, fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0, "connected");
	if (fd >= 0)
		close(fd);
}

static void other_memory(struct buf *out, pid_t pid)
{
	AUTO_FREE char *path = mem_printf("/proc/%d/mem", (int)pid);

	read_file(out, path);
}

static void vm_read(struct buf *out, pid_t pid)
{
	char here[8];
	struct iovec to = { here, sizeof here }, from = { (void *)(uintptr_t)0x400000, sizeof here };

	said(out, process_vm_readv(pid, &to, 1, &from, 1, 0) >= 0, "read memory");
}

static void run_program(struct buf *out)
{
	pid_t pid = fork();

	if (pid == 0) {
		execl("/bin/true", "true", NULL);
		_exit(1);
	}
	said(out, pid > 0, "forked");
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

static void make_code(struct buf *out)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	said(out, p != MAP_FAILED && mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0, "made code of data");
}

/* frame CALLER TYPE BASE64: what the other side of the channel answers. */
static void send_frame(struct buf *out, char *arg)
{
	size_t which = (size_t)atoi(strsep(&arg, " "));
	uint16_t type = (uint16_t)atoi(arg != NULL ? strsep(&arg, " ") : "0"), got = 0;
	AUTO_BUF body = { 0 };
	AUTO_BUF answer = { 0 };
	struct err e = { 0 };

	if (arg != NULL)
		(void)!b64_get(&body, arg, strlen(arg));
	if (which >= caller_n ||
	    !caller_call(callers[which], &(struct frame){ .type = type, .deadline = clock_mono() + 2000000, .body = span_of(&body) }, &got, &answer, &e)) {
		buf_printf(out, "refused: no answer: %s\n", e.text);
		return;
	}
	if (failure_get(span_of(&answer), &e) && e.kind != ERR_NONE)
		buf_printf(out, "refused: %s: %s\n", err_kind_name(e.kind), e.text);
	else
		buf_printf(out, "did: answer %u of %zu octets\n", got, answer.n);
}

static void attack(struct buf *out, char *text)
{
	char *what = strsep(&text, " "), *arg = text != NULL ? text : (char *)"";

	errno = 0;
	if (strcmp(what, "read") == 0)
		read_file(out, arg);
	else if (strcmp(what, "write") == 0)
		write_file(out, arg);
	else if (strcmp(what, "list") == 0)
		list_folder(out, arg);
	else if (strcmp(what, "unlink") == 0)
		said(out, unlink(arg) == 0, "removed");
	else if (strcmp(what, "chmod") == 0)
		said(out, chmod(arg, 0666) == 0, "changed");
	else if (strcmp(what, "connect") == 0)
		inet_socket(out, SOCK_STREAM, arg, false);
	else if (strcmp(what, "bind") == 0)
		inet_socket(out, SOCK_STREAM, arg, true);
	else if (strcmp(what, "udp") == 0)
		inet_socket(out, SOCK_DGRAM, arg, false);
	else if (strcmp(what, "unix") == 0)
		unix_socket(out, arg);
	else if (strcmp(what, "mem") == 0)
		other_memory(out, (pid_t)atoi(arg));
	else if (strcmp(what, "vmread") == 0)
		vm_read(out, (pid_t)atoi(arg));
	else if (strcmp(what, "ptrace") == 0)
		said(out, ptrace(PTRACE_ATTACH, (pid_t)atoi(arg), NULL, NULL) == 0, "attached");
	else if (strcmp(what, "kill") == 0)
		said(out, kill((pid_t)atoi(arg), SIGTERM) == 0, "killed");
	else if (strcmp(what, "fork") == 0)
		run_program(out);
	else if (strcmp(what, "exec") == 0)
		said(out, execl("/bin/true", "true", NULL) == 0, "executed");
	else if (strcmp(what, "code") == 0)
		make_code(out);
	else if (strcmp(what, "memfd") == 0)
		said(out, memfd_create("x", 0) >= 0, "made");
	else if (strcmp(what, "setuid") == 0)
		said(out, setuid(0) == 0 && geteuid() == 0, "root");
	else if (strcmp(what, "frame") == 0)
		send_frame(out, arg);
	else
		buf_printf(out, "unknown\n");
}

static bool parse(void *ctx, const struct request *in, struct ask *ask, struct response *out)
{
	AUTO_FREE char *text = mem_printf("%.*s", (int)in->body.n, in->body.n != 0 ? (const char *)in->body.p : "");

	if (strncmp(text, "attack ", 7) != 0)
		return REAL_HEAD()->parse(ctx, in, ask, out);
	out->status = 200;
	out->content_type = "text/plain";
	attack(&out->body, text + 7);
	return false;
}

static bool format(void *ctx, const struct request *in, const struct answer *a, struct ask *ask, struct response *out)
{
	return REAL_HEAD()->format(ctx, in, a, ask, out);
}

static const struct head head = { parse, format };

#ifdef REDTEAM_FRONT
const struct head *__wrap_est_head(void)
{
	return &head;
}
#else
const struct head *__wrap_va_ocsp_head(void)
{
	return &head;
}
#endif
