/* SPDX-License-Identifier: Apache-2.0
 *
 * One error type for the whole house: the kind is for programs, the text for the person who asked. */
#ifndef CADUCEUS_BASE_ERR_H
#define CADUCEUS_BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>

#define MUST_USE __attribute__((warn_unused_result))

/* Kinds travel over the doors as a byte: append only. */
enum err_kind {
	ERR_NONE = 0,
	ERR_INTERNAL,        /* a defect or an impossible state of ours */
	ERR_BUSY,            /* try again soon: queue full, a role restarts */
	ERR_TIMEOUT,         /* the deadline of the request has passed */
	ERR_UNAUTHENTICATED, /* who are you: no, wrong, used or expired credential */
	ERR_DENIED,          /* known, but may not */
	ERR_NOT_FOUND,
	ERR_EXISTS,
	ERR_CONFLICT,        /* right in itself, wrong in the present state */
	ERR_BAD_REQUEST,     /* malformed in its protocol */
	ERR_TOO_LARGE,
	ERR_BAD_TYPE,        /* wrong media type */
	ERR_BAD_METHOD,
	ERR_BAD_CSR,         /* malformed, or its signature does not hold */
	ERR_BAD_KEY,         /* weak, of a refused type, known to be compromised, or used by another */
	ERR_BAD_NAME,        /* a name that is not allowed or not well formed */
	ERR_BAD_CERT,        /* a certificate presented to us that does not hold */
	ERR_POLICY,          /* a profile forbids it */
	ERR_LINT,            /* what we composed broke a rule: never signed */
	ERR_HSM,             /* the token can't be reached or refuses */
	ERR_PIN,             /* the token refused the PIN: a person must act */
	ERR_STORE,           /* the database can't be reached, read or written */
	ERR_IO,              /* a file or a socket */
	ERR_CONFIG,
	ERR_USAGE,
	ERR_RATE,            /* too many, see Retry-After */
	ERR_KIND_COUNT
};

struct err {
	enum err_kind kind;
	int retry_after; /* seconds a client should wait, 0 when it does not matter */
	char text[512];  /* one line, no secret; UTF-8 */
};

/* Each sets *e (which may be NULL) and returns false, so that `return err_set(...)` reads well.
 * An error that is already there is overwritten: the outermost, best informed caller speaks. */
bool err_set(struct err *e, enum err_kind kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The same with strerror(errno) appended. */
bool err_sys(struct err *e, enum err_kind kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Puts "context: " before the text that is there; the kind stays. */
bool err_in(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Stable lower-case word of a kind ("not-found"), for logs and JSON. Never NULL. */
const char *err_kind_name(enum err_kind kind);

#endif
