/* SPDX-License-Identifier: Apache-2.0
 *
 * Enrolment passwords: generated here (128 random bits), kept as salted SHA-256 (they can't be guessed). */
#ifndef CADUCEUS_RA_PASSWORD_H
#define CADUCEUS_RA_PASSWORD_H

#include <stdbool.h>
#include <stdint.h>

enum { PASSWORD_SIZE = 34 };
/* Lower-case Crockford base32 in groups: "k3mt-9x2p-…", 26 characters and hyphens. */
void password_make(void (*rnd)(void *, unsigned long), char out[PASSWORD_SIZE]);
/* Hyphens, blanks and case don't count, so that a typed one works. */
void password_hash(const char *password, const uint8_t salt[16], uint8_t out[32]);
/* In constant time. */
bool password_fits(const char *password, const uint8_t salt[16], const uint8_t hash[32]);

#endif
