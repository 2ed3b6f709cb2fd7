/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CADUCEUS_BASE_RND_H
#define CADUCEUS_BASE_RND_H

#include <stddef.h>
#include <stdint.h>

/* Fills out with n octets of the kernel's CSPRNG; aborts when there is none. The type is a parameter wherever
 * randomness matters, so that tests can bring their own. */
typedef void rnd_fill(void *out, size_t n);
void rnd_kernel(void *out, size_t n);
/* RFC 9562 version 4, 36 characters and NUL. */
void rnd_uuid(rnd_fill *fill, char out[37]);

#endif
