/* SPDX-License-Identifier: Apache-2.0
 *
 * What every load generator needs: requests made before the clock starts, and times put in order after it. */
#ifndef CADUCEUS_BENCH_MAKE_H
#define CADUCEUS_BENCH_MAKE_H

#include "base/buf.h"

#include <openssl/evp.h>
#include <stdint.h>

/* A device's certificate request: a P-256 key and a name of its own. */
struct made {
	char name[24];   /* "d0000042", as bench/fill.c registers it */
	EVP_PKEY *key;   /* NULL unless kept */
	struct buf csr;  /* DER */
};
void device_name(char out[24], unsigned number);
/* n requests of the devices first, first + 1, …; on every core. */
struct made *make_all(unsigned first, unsigned n, bool keep_keys);
void made_free(struct made *m, unsigned n);
/* The same into what is there, CSRs naming NAME and what follows: ".acme.example". */
void make_names(struct made *out, unsigned first, unsigned n, const char *follows);
/* One CSR for the name by the key. */
void make_csr(struct buf *out, EVP_PKEY *key, const char *name);

/* Sorts times (us) and gives the one below which `part` of them lie. */
uint32_t percentile(uint32_t *us, unsigned n, double part);
void bench_fail(const char *what, const char *why) __attribute__((noreturn));

#endif
