/* SPDX-License-Identifier: Apache-2.0
 *
 * Ownership: AUTO frees at the end of its scope, TAKE hands over. An AUTO variable holds only what it owns.
 * Allocation does not fail: a role without memory ends at once and the parent starts it again. */
#ifndef CADUCEUS_BASE_MEM_H
#define CADUCEUS_BASE_MEM_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define CLEANUP(fn) __attribute__((cleanup(fn)))

/* Declares how a `T *` is freed at scope end: AUTO_DEFINE(X509, X509_free) allows AUTO(X509) *x = NULL; */
#define AUTO_DEFINE(T, fn) \
	static inline void auto_##T(T **p) \
	{ \
		if (*p != NULL) \
			fn(*p); \
	}
#define AUTO(T) CLEANUP(auto_##T) T
/* For `struct t`: AUTO_STRUCT_DEFINE(store, store_close) allows AUTO_STRUCT(store) *s = NULL; */
#define AUTO_STRUCT_DEFINE(T, fn) \
	static inline void auto_struct_##T(struct T **p) \
	{ \
		if (*p != NULL) \
			fn(*p); \
	}
#define AUTO_STRUCT(T) CLEANUP(auto_struct_##T) struct T

#define TAKE(x) \
	__extension__({ \
		__typeof__(x) taken_ = (x); \
		(x) = NULL; \
		taken_; \
	})

/* AUTO_FREE char *s = ...; for memory from malloc. AUTO_FD int fd = -1; closes. */
void auto_free_(void *p);
void auto_fd_(int *fd);
#define AUTO_FREE CLEANUP(auto_free_)
#define AUTO_FD CLEANUP(auto_fd_)

void *mem_new(size_t n);                     /* zeroed; aborts without memory */
void *mem_array(size_t count, size_t size);  /* zeroed; aborts on overflow */
void *mem_grow(void *p, size_t count, size_t size);
void *mem_dup(const void *p, size_t n);
char *mem_text(const char *s);               /* strdup */
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void mem_wipe(void *p, size_t n);            /* for secrets: never optimised away */

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

#endif
