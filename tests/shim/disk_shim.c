/* SPDX-License-Identifier: Apache-2.0
 *
 * Stands between a role and the kernel (LD_PRELOAD): kills at a named step, full, failing, read-only and slow disks, a
 * journal from which a power loss is made, a clock that steps. Its orders are 64-bit words in a file that the test maps,
 * too; file and journal are opened before the sandbox. Afterwards it asks for nothing that a role may not ask for.
 *
 * tests/scenario/faults.py is the other side; names and numbers there and here are the same. */
/* Both names of a call are defined here, so neither may be the other's. */
#undef _FILE_OFFSET_BITS
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { WORDS = 64, FD_MAX = 65536, SNAPSHOT_MAX = 1 << 20, CONTROL_FD = 3 };

enum word {
	FROZEN, CLOCK_US, WRITE_ERRNO, WRITE_BUDGET, SYNC_ERRNO, SYNC_DELAY_US, STALL_US, USED_PERCENT, JOURNAL, WRITE_FAILED,
	SYNC_FAILED, ROLES, SYNCS, ONLY,
	STATE = 16, ROLE, ARM_OP, ARM_TARGET, ARM_TYPE, OP, TARGET, TYPE, PHASE, COUNT, SAME_ID, ARMED, ARMED_ID, KILLED_PID,
	ACT, /* 0: the process is killed; 1: the power goes: everybody stands still */
};
enum { ORDER_NONE, ORDER_SET, ORDER_DONE };
enum op { OP_NONE, OP_CREATE, OP_WRITE, OP_SYNC, OP_TRUNCATE, OP_RENAME, OP_UNLINK, OP_SEND, OP_RECEIVE, OP_FLUSH, OP_SNAPSHOT };
enum { BEFORE, AFTER };
enum target {
	T_NONE, T_OTHER, T_WAL, T_DB, T_CRL_NEW, T_CRL_PART, T_CRL, T_CRL_FOLDER, T_COUNTER, T_TOKEN, T_TOKEN_COPY, T_TLS, T_SHM,
	T_CHANNEL = 32, /* + role at the other end */
};
enum role { R_PARENT, R_CA, R_RA, R_VA, R_FRONT, R_OFFICERS, R_PROBE, R_COUNT };
static const char *const role_names[R_COUNT] = { "", "ca", "ra", "va", "front", "officers", "probe" };

static _Atomic int64_t *page;
static int journal_fd = -1, role;
static char dir[PATH_MAX];
static size_t dir_n;
static _Atomic uint8_t target_of[FD_MAX];

static int (*real_fclose)(FILE *), (*real_fflush)(FILE *);

static int64_t word(enum word w)
{
	return page != NULL ? atomic_load(&page[w]) : 0;
}

static void nap(int64_t us)
{
	struct timespec t = { us / 1000000, us % 1000000 * 1000 };

	syscall(SYS_nanosleep, &t, NULL);
}

/* The moment of a power loss: nobody goes on. */
static void hold(void)
{
	while (word(FROZEN) != 0)
		nap(1000);
}

static void die(void)
{
	int64_t set = ORDER_SET;

	if (!atomic_compare_exchange_strong(&page[STATE], &set, ORDER_DONE))
		return;
	atomic_store(&page[KILLED_PID], getpid());
	if (word(ACT) != 0) {
		atomic_store(&page[FROZEN], 1);
		hold();
		return;
	}
	syscall(SYS_tgkill, getpid(), (int)syscall(SYS_gettid), SIGKILL);
}

static bool fits(enum op op, int target, int type, enum word first)
{
	return word(first) == op && word(first + 1) == target && (word(first + 2) < 0 || word(first + 2) == type);
}

static void step(enum op op, int target, int type, uint64_t id, int phase)
{
	int saved = errno;

	hold();
	if (target != T_NONE && word(STATE) == ORDER_SET && word(ROLE) == role) {
		if (word(ARM_OP) != 0 && word(ARMED) == 0) {
			if (fits(op, target, type, ARM_OP)) {
				atomic_store(&page[ARMED_ID], (int64_t)id);
				atomic_store(&page[ARMED], 1);
			}
		} else if (fits(op, target, type, OP) && word(PHASE) == phase && (word(SAME_ID) == 0 || word(ARMED_ID) == (int64_t)id) &&
		           atomic_fetch_sub(&page[COUNT], 1) == 1) {
			die();
		}
	}
	errno = saved;
}

/* --- What a path is */

static bool ends(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && strcmp(s + n - m, end) == 0;
}

static int target_of_path(const char *path)
{
	const char *p = path + dir_n;

	if (page == NULL || strncmp(path, dir, dir_n) != 0 || (*p != '/' && *p != 0))
		return T_NONE;
	if (strcmp(p, "/crl") == 0)
		return T_CRL_FOLDER;
	if (strncmp(p, "/crl/", 5) == 0)
		return ends(p, ".new") ? T_CRL_NEW : ends(p, ".body") || ends(p, ".entries") ? T_CRL_PART : T_CRL;
	if (strncmp(p, "/ca/counter", 11) == 0)
		return T_COUNTER;
	if (strncmp(p, "/ca/token.object.copy", 21) == 0)
		return T_TOKEN_COPY;
	if (strncmp(p, "/tls/", 5) == 0)
		return T_TLS;
	return ends(p, ".db-wal") ? T_WAL : ends(p, ".db-shm") ? T_SHM : ends(p, ".db") ? T_DB : ends(p, "/token.object") ? T_TOKEN : T_OTHER;
}

static int target_of_fd(int fd)
{
	return fd >= 0 && fd < FD_MAX ? target_of[fd] : T_NONE;
}

static bool is_file(int target)
{
	return target > T_NONE && target < T_CHANNEL;
}

static uint64_t inode(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

/* --- The journal: what was done, and what was made sure of. One record a write, in the order of all roles. */

struct record {
	uint32_t magic, op;
	uint64_t ino;
	int64_t at;
	uint32_t n, m;
};

static void note(enum op op, int target, uint64_t ino, int64_t at, const void *a, size_t n, const void *b, size_t m)
{
	struct record r = { 0x64616361, op, ino, at, (uint32_t)n, (uint32_t)m };
	struct iovec v[] = { { &r, sizeof r }, { (void *)a, n }, { (void *)b, m } };
	int saved = errno;

	if (word(JOURNAL) != 0 && journal_fd >= 0 && is_file(target) && target != T_SHM)
		syscall(SYS_writev, journal_fd, v, 3);
	errno = saved;
}

/* --- Faults */

/* Orders may be for some roles (a mask) or one target alone. */
static bool is_meant(int target)
{
	int64_t mask = word(ROLES), only = word(ONLY);

	return is_file(target) && (mask == 0 || (mask >> role & 1) != 0) && (only == 0 || only == target);
}

static bool write_fails(int target, size_t n)
{
	int64_t left;

	if (word(WRITE_ERRNO) == 0 || !is_meant(target))
		return false;
	left = atomic_fetch_sub(&page[WRITE_BUDGET], (int64_t)n);
	if (left >= (int64_t)n)
		return false;
	atomic_store(&page[WRITE_BUDGET], 0);
	atomic_fetch_add(&page[WRITE_FAILED], 1);
	errno = (int)word(WRITE_ERRNO);
	return true;
}

static bool sync_fails(int target)
{
	int64_t stall;

	if (!is_meant(target))
		return false;
	atomic_fetch_add(&page[SYNCS], 1);
	stall = atomic_exchange(&page[STALL_US], 0);
	if (stall + word(SYNC_DELAY_US) != 0)
		nap(stall + word(SYNC_DELAY_US));
	if (word(SYNC_ERRNO) == 0)
		return false;
	atomic_fetch_add(&page[SYNC_FAILED], 1);
	errno = (int)word(SYNC_ERRNO);
	return true;
}

/* --- Files */

static int open_file(int at, const char *path, int flags, mode_t mode)
{
	int target = path[0] == '/' ? target_of_path(path) : T_NONE, fd;
	bool writes = (flags & O_ACCMODE) != O_RDONLY, makes = (flags & O_CREAT) != 0 && is_file(target);
	struct stat st;

	if (makes)
		makes = syscall(SYS_newfstatat, AT_FDCWD, path, &st, 0) != 0;
	if (makes) {
		step(OP_CREATE, target, -1, 0, BEFORE);
		if (write_fails(target, 1))
			return -1;
	} else if (writes && is_file(target) && word(WRITE_ERRNO) == EROFS && write_fails(target, 1)) {
		return -1;
	}
	fd = (int)syscall(SYS_openat, at, path, flags, mode);
	if (fd < 0)
		return fd;
	if (fd < FD_MAX)
		target_of[fd] = (uint8_t)target;
	if (makes)
		note(OP_CREATE, target, inode(fd), 0, path, strlen(path), NULL, 0);
	else if (is_file(target) && (flags & O_TRUNC) != 0)
		note(OP_TRUNCATE, target, inode(fd), 0, NULL, 0, NULL, 0);
	if (makes)
		step(OP_CREATE, target, -1, 0, AFTER);
	return fd;
}

static mode_t mode_of(int flags, va_list ap)
{
	return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(ap, mode_t) : 0;
}

#define OPEN(name)                                                   \
	int name(const char *path, int flags, ...);                  \
	int name(const char *path, int flags, ...)                   \
	{                                                            \
		mode_t mode;                                         \
		va_list ap;                                          \
                                                                     \
		va_start(ap, flags);                                 \
		mode = mode_of(flags, ap);                           \
		va_end(ap);                                          \
		return open_file(AT_FDCWD, path, flags, mode);       \
	}
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                 \
	int name(int at, const char *path, int flags, ...);          \
	int name(int at, const char *path, int flags, ...)           \
	{                                                            \
		mode_t mode;                                         \
		va_list ap;                                          \
                                                                     \
		va_start(ap, flags);                                 \
		mode = mode_of(flags, ap);                           \
		va_end(ap);                                          \
		return open_file(at, path, flags, mode);             \
	}
OPENAT(openat)
OPENAT(openat64)

int __open_2(const char *path, int flags);
int __open_2(const char *path, int flags)
{
	return open_file(AT_FDCWD, path, flags, 0);
}

int __open64_2(const char *path, int flags);
int __open64_2(const char *path, int flags)
{
	return open_file(AT_FDCWD, path, flags, 0);
}

int close(int fd)
{
	if (fd >= 0 && fd < FD_MAX)
		target_of[fd] = T_NONE;
	return (int)syscall(SYS_close, fd);
}

ssize_t write(int fd, const void *p, size_t n)
{
	int target = target_of_fd(fd);
	ssize_t put;

	if (!is_file(target))
		return syscall(SYS_write, fd, p, n);
	step(OP_WRITE, target, -1, 0, BEFORE);
	if (write_fails(target, n))
		return -1;
	put = syscall(SYS_write, fd, p, n);
	if (put > 0)
		note(OP_WRITE, target, inode(fd), syscall(SYS_lseek, fd, 0, SEEK_CUR) - put, p, (size_t)put, NULL, 0);
	step(OP_WRITE, target, -1, 0, AFTER);
	return put;
}

static ssize_t put_at(int fd, const void *p, size_t n, off_t at)
{
	int target = target_of_fd(fd);
	ssize_t put;

	if (!is_file(target))
		return syscall(SYS_pwrite64, fd, p, n, at);
	step(OP_WRITE, target, -1, 0, BEFORE);
	if (write_fails(target, n))
		return -1;
	put = syscall(SYS_pwrite64, fd, p, n, at);
	if (put > 0)
		note(OP_WRITE, target, inode(fd), at, p, (size_t)put, NULL, 0);
	step(OP_WRITE, target, -1, 0, AFTER);
	return put;
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
	return put_at(fd, p, n, at);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
	return put_at(fd, p, n, at);
}

static int cut(int fd, off_t at)
{
	int target = target_of_fd(fd), rc;

	if (!is_file(target))
		return (int)syscall(SYS_ftruncate, fd, at);
	step(OP_TRUNCATE, target, -1, 0, BEFORE);
	if (write_fails(target, 1))
		return -1;
	rc = (int)syscall(SYS_ftruncate, fd, at);
	if (rc == 0)
		note(OP_TRUNCATE, target, inode(fd), at, NULL, 0, NULL, 0);
	step(OP_TRUNCATE, target, -1, 0, AFTER);
	return rc;
}

int ftruncate(int fd, off_t at)
{
	return cut(fd, at);
}

int ftruncate64(int fd, off64_t at)
{
	return cut(fd, at);
}

static int make_sure(int fd, long number)
{
	int target = target_of_fd(fd), rc;

	step(OP_SYNC, target, -1, 0, BEFORE);
	if (sync_fails(target))
		return -1;
	rc = (int)syscall(number, fd);
	if (rc == 0)
		note(OP_SYNC, target, inode(fd), 0, NULL, 0, NULL, 0);
	step(OP_SYNC, target, -1, 0, AFTER);
	return rc;
}

int fsync(int fd)
{
	return make_sure(fd, SYS_fsync);
}

int fdatasync(int fd)
{
	return make_sure(fd, SYS_fdatasync);
}

int rename(const char *from, const char *to)
{
	int target = target_of_path(to), rc;

	step(OP_RENAME, target, -1, 0, BEFORE);
	if (word(WRITE_ERRNO) == EROFS && write_fails(target, 1))
		return -1;
	rc = (int)syscall(SYS_rename, from, to);
	if (rc == 0)
		note(OP_RENAME, target, 0, 0, from, strlen(from), to, strlen(to));
	step(OP_RENAME, target, -1, 0, AFTER);
	return rc;
}

int unlink(const char *path)
{
	int target = target_of_path(path), rc;

	step(OP_UNLINK, target, -1, 0, BEFORE);
	if (word(WRITE_ERRNO) == EROFS && write_fails(target, 1))
		return -1;
	rc = (int)syscall(SYS_unlink, path);
	if (rc == 0)
		note(OP_UNLINK, target, 0, 0, path, strlen(path), NULL, 0);
	step(OP_UNLINK, target, -1, 0, AFTER);
	return rc;
}

int remove(const char *path)
{
	return unlink(path);
}

/* stdio writes behind our back (SoftHSM): what lies there afterwards is one write. */
static void note_snapshot(int fd, int target)
{
	static char room[SNAPSHOT_MAX];
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* ca signs, and so reads its token, on several threads */
	ssize_t n;

	if (word(JOURNAL) == 0 || !is_file(target))
		return;
	pthread_mutex_lock(&lock);
	n = syscall(SYS_pread64, fd, room, sizeof room, (off_t)0);
	if (n >= 0)
		note(OP_SNAPSHOT, target, inode(fd), 0, room, (size_t)n, NULL, 0);
	pthread_mutex_unlock(&lock);
}

int fflush(FILE *f)
{
	int fd = f != NULL ? fileno(f) : -1, target = target_of_fd(fd), rc;

	step(OP_FLUSH, target, -1, 0, BEFORE);
	rc = real_fflush(f);
	note_snapshot(fd, target);
	step(OP_FLUSH, target, -1, 0, AFTER);
	return rc;
}

int fclose(FILE *f)
{
	int fd = fileno(f), target = target_of_fd(fd);

	if (is_file(target))
		(void)fflush(f);
	if (fd >= 0 && fd < FD_MAX)
		target_of[fd] = T_NONE;
	return real_fclose(f);
}

static void fill(unsigned long *free_blocks, unsigned long *available, unsigned long blocks)
{
	int64_t used = word(USED_PERCENT);

	if (used != 0)
		*free_blocks = *available = blocks / 100 * (unsigned long)(100 - used);
}

int statvfs(const char *path, struct statvfs *s)
{
	static int (*real)(const char *, struct statvfs *);
	int rc;

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "statvfs");
	rc = real(path, s);
	if (rc == 0)
		fill(&s->f_bfree, &s->f_bavail, s->f_blocks);
	return rc;
}

int statvfs64(const char *path, struct statvfs64 *s)
{
	return statvfs(path, (struct statvfs *)s); /* the same on 64 bit */
}

/* --- Channels between roles: who is at the other end is told on the control socket; a frame's head is type (2 octets,
 * most significant first), flags, reserved, id. */

static void adopt(const struct msghdr *m, ssize_t n)
{
	const struct cmsghdr *c = m->msg_controllen != 0 ? CMSG_FIRSTHDR(m) : NULL;
	const char *name = (const char *)m->msg_iov[0].iov_base + 1;
	int fd;

	if (n < 2 || c == NULL || c->cmsg_type != SCM_RIGHTS)
		return;
	memcpy(&fd, CMSG_DATA(c), sizeof fd);
	if (fd < 0 || fd >= FD_MAX)
		return;
	target_of[fd] = T_NONE;
	for (int i = R_CA; i < R_COUNT; i++)
		if (strcmp(name, role_names[i]) == 0)
			target_of[fd] = (uint8_t)(T_CHANNEL + i);
}

static void frame_step(enum op op, int target, const struct msghdr *m, int phase)
{
	const uint8_t *p = m->msg_iov[0].iov_base;
	uint64_t id;

	memcpy(&id, p + 8, sizeof id);
	step(op, target, p[0] << 8 | p[1], id, phase);
}

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	int target = target_of_fd(fd);
	ssize_t n;

	if (target < T_CHANNEL)
		return syscall(SYS_sendmsg, fd, m, flags);
	frame_step(OP_SEND, target, m, BEFORE);
	n = syscall(SYS_sendmsg, fd, m, flags);
	if (n >= 0)
		frame_step(OP_SEND, target, m, AFTER);
	return n;
}

ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
	ssize_t n = syscall(SYS_recvmsg, fd, m, flags);
	int target = target_of_fd(fd);

	if (fd == CONTROL_FD && role != R_PARENT)
		adopt(m, n);
	else if (target >= T_CHANNEL && n >= 16)
		frame_step(OP_RECEIVE, target, m, AFTER);
	return n;
}

/* --- The clock on the wall */

int clock_gettime(clockid_t id, struct timespec *t)
{
	int rc = (int)syscall(SYS_clock_gettime, id, t);
	int64_t by = id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE ? word(CLOCK_US) : 0, ns;

	if (rc != 0 || by == 0)
		return rc;
	ns = t->tv_nsec + by % 1000000 * 1000;
	t->tv_sec += by / 1000000 + (ns >= 1000000000) - (ns < 0);
	t->tv_nsec = ns >= 1000000000 ? ns - 1000000000 : ns < 0 ? ns + 1000000000 : ns;
	return 0;
}

time_t time(time_t *out)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	if (out != NULL)
		*out = t.tv_sec;
	return t.tv_sec;
}

int gettimeofday(struct timeval *restrict v, void *restrict zone)
{
	struct timespec t;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &t);
	v->tv_sec = t.tv_sec;
	v->tv_usec = t.tv_nsec / 1000;
	return 0;
}

/* --- Before anything else of the program runs */

static int which_role(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--officers") == 0)
			return R_OFFICERS;
	for (int i = R_CA; argc != 0 && i < R_COUNT; i++)
		if (strncmp(argv[0], "caduceus-", 9) == 0 && strcmp(argv[0] + 9, role_names[i]) == 0)
			return i;
	return R_PARENT;
}

__attribute__((constructor)) static void begin(int argc, char **argv)
{
	const char *orders = getenv("DISK_SHIM_ORDERS"), *journal = getenv("DISK_SHIM_JOURNAL"), *where = getenv("DISK_SHIM_DIR");
	void *map;
	int fd;

	*(void **)&real_fclose = dlsym(RTLD_NEXT, "fclose");
	*(void **)&real_fflush = dlsym(RTLD_NEXT, "fflush");
	if (orders == NULL || where == NULL)
		return;
	role = which_role(argc, argv);
	dir_n = (size_t)snprintf(dir, sizeof dir, "%s", where);
	fd = (int)syscall(SYS_openat, AT_FDCWD, orders, O_RDWR | O_CLOEXEC);
	map = fd >= 0 ? mmap(NULL, WORDS * sizeof(int64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
	if (map == MAP_FAILED) {
		fprintf(stderr, "disk_shim: %s: %s\n", orders, strerror(errno));
		_exit(126);
	}
	syscall(SYS_close, fd);
	if (journal != NULL)
		journal_fd = (int)syscall(SYS_openat, AT_FDCWD, journal, O_WRONLY | O_APPEND | O_CLOEXEC);
	page = map;
}
