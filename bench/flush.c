/* SPDX-License-Identifier: Apache-2.0
 *
 * Preloaded into the roles: counts what ra makes durable and writes, in a file that the driver maps too
 * (BENCH_FLUSH_FILE: u64 flushes, u64 pwrites, u64 octets written), and lets each flush take BENCH_FLUSH_US longer.
 * Other processes are left as they are. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static struct counts {
	_Atomic uint64_t flushes, writes, octets;
} *counts;
static long delay_us;

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("BENCH_FLUSH_FILE"), *us = getenv("BENCH_FLUSH_US");
	void *p;
	int fd;

	if (strcmp(program_invocation_short_name, "caduceus-ra") != 0 || path == NULL || (fd = open(path, O_RDWR | O_CLOEXEC)) < 0)
		return;
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		return;
	counts = p;
	delay_us = us != NULL ? atol(us) : 0;
}

static int flushed(int rc)
{
	struct timespec t = { delay_us / 1000000, delay_us % 1000000 * 1000 };

	if (counts == NULL)
		return rc;
	atomic_fetch_add_explicit(&counts->flushes, 1, memory_order_relaxed);
	if (delay_us != 0)
		nanosleep(&t, NULL);
	return rc;
}

int fdatasync(int fd)
{
	static int (*real)(int);

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "fdatasync");
	return flushed(real(fd));
}

int fsync(int fd)
{
	static int (*real)(int);

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "fsync");
	return flushed(real(fd));
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
	static ssize_t (*real)(int, const void *, size_t, off64_t);

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "pwrite64");
	if (counts != NULL) {
		atomic_fetch_add_explicit(&counts->writes, 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&counts->octets, n, memory_order_relaxed);
	}
	return real(fd, p, n, at);
}
