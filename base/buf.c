/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void buf_free(struct buf *b)
{
	free(b->p);
	*b = (struct buf){ 0 };
}

void buf_reserve(struct buf *b, size_t more)
{
	size_t want;

	if (__builtin_add_overflow(b->n, more, &want))
		abort();
	if (want <= b->cap)
		return;
	if (want < b->cap * 2)
		want = b->cap * 2;
	if (want < 64)
		want = 64;
	b->p = mem_grow(b->p, want, 1);
	b->cap = want;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
	if (n == 0)
		return;
	buf_reserve(b, n);
	memcpy(b->p + b->n, p, n);
	b->n += n;
}

void buf_byte(struct buf *b, uint8_t v)
{
	buf_add(b, &v, 1);
}

void buf_text(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		abort();
	buf_reserve(b, (size_t)n + 1);
	va_start(ap, fmt);
	vsnprintf((char *)b->p + b->n, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->n += (size_t)n;
}

const char *buf_str(struct buf *b)
{
	buf_reserve(b, 1);
	b->p[b->n] = 0;
	return (const char *)b->p;
}

bool span_equal(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool file_read(struct buf *out, const char *path, size_t cap, struct err *e)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t got;

	out->n = 0;
	if (fd < 0)
		return err_sys(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s", path);
	do {
		buf_reserve(out, 16384);
		got = read(fd, out->p + out->n, 16384);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(e, ERR_IO, "%s", path);
		out->n += (size_t)got;
		if (out->n > cap)
			return err_set(e, ERR_TOO_LARGE, "%s is larger than %zu bytes", path, cap);
	} while (got != 0);
	return true;
}

static bool write_all(int fd, const uint8_t *p, size_t n)
{
	while (n != 0) {
		ssize_t put = write(fd, p, n);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return false;
		p += put;
		n -= (size_t)put;
	}
	return true;
}

static bool sync_folder_of(const char *path)
{
	char copy[PATH_MAX];

	if (strlen(path) >= sizeof copy)
		return false;
	strcpy(copy, path);
	AUTO_FD int dir = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return dir >= 0 && fsync(dir) == 0;
}

bool file_write_atomic(const char *path, const void *p, size_t n, unsigned mode, struct err *e)
{
	AUTO_FREE char *tmp = mem_printf("%s.new-%ld", path, (long)getpid());
	AUTO_FD int fd = -1;

	(void)unlink(tmp);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return err_sys(e, ERR_IO, "%s", tmp);
	if (fchmod(fd, mode) != 0 || !write_all(fd, p, n) || fsync(fd) != 0 || rename(tmp, path) != 0 ||
	    !sync_folder_of(path)) {
		err_sys(e, ERR_IO, "%s", path);
		(void)unlink(tmp);
		return false;
	}
	return true;
}
