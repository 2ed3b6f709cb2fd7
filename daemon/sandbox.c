/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/sandbox.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1 /* its run-time opens, traces and maps what no role may */
#else
#define SANITIZED 0
#endif

/* --- Landlock. Debian 12's header knows its first two versions; the numbers are the kernel's for ever. */

struct ruleset_attr {
	uint64_t fs, net, scoped;
};
struct path_attr {
	uint64_t allowed;
	int32_t fd;
} __attribute__((packed));
struct port_attr {
	uint64_t allowed, port;
};
enum { RULE_PATH = 1, RULE_PORT = 2 };

enum {
	FS_EXECUTE = 1 << 0, FS_WRITE_FILE = 1 << 1, FS_READ_FILE = 1 << 2, FS_READ_DIR = 1 << 3, FS_REMOVE_FILE = 1 << 5,
	FS_MAKE_REG = 1 << 8, FS_TRUNCATE = 1 << 14,
	NET_BIND = 1 << 0, NET_CONNECT = 1 << 1,
	SCOPE_ABSTRACT_SOCKET = 1 << 0, SCOPE_SIGNAL = 1 << 1,
};

static long landlock_version(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, 1);
}

/* All that the kernel's version can restrict. */
static uint64_t fs_of(long version)
{
	return ((1u << 13) - 1) | (version >= 2 ? 1u << 13 : 0) | (version >= 3 ? FS_TRUNCATE : 0) | (version >= 5 ? 1u << 15 : 0);
}

static bool allow(int ruleset, long version, const struct sandbox_path *p, struct err *e)
{
	uint64_t file = FS_READ_FILE | (p->write ? FS_WRITE_FILE | FS_TRUNCATE : 0);
	uint64_t folder = FS_READ_DIR | (p->write ? FS_MAKE_REG | FS_REMOVE_FILE : 0);
	AUTO_FD int fd = open(p->path, O_PATH | O_CLOEXEC);
	struct path_attr a = { .fd = fd };
	struct stat st;

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR || err_sys(e, ERR_IO, "sandbox: %s", p->path);
	if (fstat(fd, &st) != 0)
		return err_sys(e, ERR_IO, "sandbox: %s", p->path);
	a.allowed = (S_ISDIR(st.st_mode) ? file | folder : file) & fs_of(version);
	return syscall(SYS_landlock_add_rule, ruleset, RULE_PATH, &a, 0) == 0 || err_sys(e, ERR_INTERNAL, "sandbox: %s", p->path);
}

static bool landlock(const struct sandbox *s, char *layers, struct err *e)
{
	/* Everybody's: names, time zones, libraries, what the C library asks of the kernel. */
	static const struct sandbox_path common[] = { { "/etc", false }, { "/usr", false }, { "/lib", false }, { "/proc/self", false },
		                                      { "/proc/sys/vm/overcommit_memory", false }, { "/dev/null", true },
		                                      { "/dev/urandom", false }, { "/sys/devices/system/cpu", false } };
	long version = landlock_version();
	struct ruleset_attr a = { .fs = version > 0 ? fs_of(version) : 0, .net = version >= 4 ? NET_BIND | NET_CONNECT : 0,
		                  .scoped = version >= 6 ? SCOPE_ABSTRACT_SOCKET | SCOPE_SIGNAL : 0 };
	size_t size = version >= 6 ? sizeof a : version >= 4 ? 16 : 8;

	if (version <= 0 || SANITIZED)
		return true;
	AUTO_FD int ruleset = (int)syscall(SYS_landlock_create_ruleset, &a, size, 0);

	if (ruleset < 0)
		return err_sys(e, ERR_INTERNAL, "sandbox: Landlock");
	for (size_t i = 0; i < COUNT_OF(common); i++)
		if (!allow(ruleset, version, &common[i], e))
			return false;
	for (size_t i = 0; i < SANDBOX_PATH_MAX && s->path[i].path != NULL; i++)
		if (!allow(ruleset, version, &s->path[i], e))
			return false;
	for (size_t i = 0; a.net != 0 && s->port[i] != 0; i++) {
		struct port_attr port = { NET_CONNECT, s->port[i] };

		if (syscall(SYS_landlock_add_rule, ruleset, RULE_PORT, &port, 0) != 0)
			return err_sys(e, ERR_INTERNAL, "sandbox: port %u", s->port[i]);
	}
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
		return err_sys(e, ERR_INTERNAL, "sandbox: Landlock");
	strcat(layers, "l");
	if (a.net != 0)
		strcat(layers, "n");
	if (a.scoped != 0)
		strcat(layers, "g");
	return true;
}

/* --- seccomp */

/* What a running role needs, whichever it is. Names that an architecture lacks are skipped. */
static const char *const calls[] = {
	"read", "write", "readv", "writev", "pread64", "pwrite64", "lseek", "close", "fstat", "newfstatat", "stat", "lstat", "statx",
	"statfs", "fstatfs", "access", "faccessat", "faccessat2", "readlink", "readlinkat", "getdents64", "getcwd",
	"fcntl", "ftruncate", "umask", "fadvise64",
	"munmap", "mremap", "madvise", "brk", "msync", "mlock", "mlock2", "munlock", "mincore",
	"futex", "exit", "exit_group", "set_robust_list", "get_robust_list", "rseq", "set_tid_address", "membarrier", "sched_yield",
	"sched_getaffinity", "sched_getparam", "sched_getscheduler", "getpriority", "restart_syscall",
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "sigaltstack", "tgkill",
	"gettid", "getpid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getresuid", "getresgid", "getrusage", "times",
	"sysinfo", "uname", "getrandom", "adjtimex", "clock_adjtime", "gettimeofday", "time", "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep",
	"poll", "ppoll", "select", "pselect6", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "eventfd2",
	"pipe2", "dup", "timerfd_create", "timerfd_settime",
	"recvfrom", "recvmsg", "recvmmsg", "sendto", "sendmsg", "sendmmsg", "getsockopt", "setsockopt", "getsockname", "getpeername",
	"shutdown",
};
/* Who has files of its own. */
static const char *const filing[] = {
	"open", "openat", "flock", "fsync", "fdatasync", "rename", "renameat", "renameat2", "unlink", "unlinkat", "fchmod", "fallocate",
	"copy_file_range", "sendfile",
};
/* Nobody asks for these but somebody who has taken a role over. */
static const char *const hostile[] = {
	"execve", "execveat", "ptrace", "process_vm_readv", "process_vm_writev", "bpf", "kexec_load", "init_module", "finit_module",
	"mount", "umount2", "pivot_root", "setns", "unshare", "userfaultfd", "perf_event_open", "keyctl", "add_key", "request_key",
	"open_by_handle_at", "io_uring_setup", "memfd_create", "fork", "vfork",
};

static bool add(scmp_filter_ctx f, uint32_t action, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int number = seccomp_syscall_resolve_name(names[i]);

		/* -EACCES: the default action anyway. */
		if (number >= 0 && seccomp_rule_add(f, action, number, 0) != 0)
			return false;
	}
	return true;
}

/* IP alone. bind: libunbound asks each question from a port of its own choice (RFC 5452); nothing can listen or accept,
 * and Landlock knows no port to bind for TCP. */
static bool add_outbound(scmp_filter_ctx f)
{
	static const char *const connecting[] = { "connect", "bind" };
	const uint64_t writing = O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND;

	return seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_INET)) == 0 &&
	       seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_INET6)) == 0 &&
	       seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, writing, O_RDONLY)) == 0 &&
	       add(f, SCMP_ACT_ALLOW, connecting, COUNT_OF(connecting));
}

static bool add_conditional(scmp_filter_ctx f, const struct sandbox *s)
{
	static const char *const accepting[] = { "accept4", "accept" }, *const connecting[] = { "socket", "connect", "bind" };
	uint64_t exec = s->connects ? 0 : PROT_EXEC;

	/* Memory that is run was there before; a module that comes late (an external one's) may be mapped. */
	return seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, exec, 0)) == 0 &&
	       seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, exec, 0)) == 0 &&
	       /* Threads, not processes. clone3 hides its flags: the C library then takes clone. */
	       seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0 &&
	       seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD)) == 0 &&
	       seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME)) == 0 &&
	       /* Reading limits, and its own alone. */
	       seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2, SCMP_A0(SCMP_CMP_EQ, 0), SCMP_A2(SCMP_CMP_EQ, 0)) == 0 &&
	       seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, 0x541b)) == 0 && /* FIONREAD */
	       (s->outbound ? add_outbound(f) : add(f, SCMP_ACT_ALLOW, filing, COUNT_OF(filing))) &&
	       (!s->accepts || add(f, SCMP_ACT_ALLOW, accepting, COUNT_OF(accepting))) &&
	       (!s->connects || add(f, SCMP_ACT_ALLOW, connecting, COUNT_OF(connecting)));
}

static bool filter(const struct sandbox *s, char *layers, struct err *e)
{
	scmp_filter_ctx f;
	bool good;
	int rc;

	if (SANITIZED)
		return true;
	f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	good = f != NULL && seccomp_attr_set(f, SCMP_FLTATR_CTL_NNP, 1) == 0 &&
	       add(f, SCMP_ACT_ALLOW, calls, COUNT_OF(calls)) && add(f, SCMP_ACT_KILL_PROCESS, hostile, COUNT_OF(hostile)) &&
	       add_conditional(f, s);
	rc = good ? seccomp_load(f) : -EINVAL;
	seccomp_release(f);
	if (rc == 0)
		strcat(layers, "s");
	/* A kernel without seccomp is said by `status`; one that refuses this filter is our mistake. */
	return rc == 0 || rc == -ENOSYS || err_set(e, ERR_INTERNAL, "sandbox: seccomp: %s", strerror(-rc));
}

bool sandbox_enter(const struct sandbox *s, char layers[SANDBOX_LAYERS_MAX], struct err *e)
{
	layers[0] = 0;
	if (geteuid() != 0 && getppid() > 1) {
		struct stat st;
		char path[32];

		/* Its own uid: the parent's is another. */
		snprintf(path, sizeof path, "/proc/%ld", (long)getppid());
		if (stat(path, &st) == 0 && st.st_uid != geteuid())
			strcat(layers, "u");
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return err_sys(e, ERR_INTERNAL, "sandbox: no_new_privs");
	return landlock(s, layers, e) && filter(s, layers, e);
}
