/* SPDX-License-Identifier: Apache-2.0
 *
 * RSA keys that somebody else can factor, as far as the modulus tells. Big-number work: about a millisecond for 2,048
 * bits, so after the cheap checks of key_parse, on a worker's thread. */
#ifndef CADUCEUS_PKIX_WEAK_KEY_H
#define CADUCEUS_PKIX_WEAK_KEY_H

#include "pkix/key.h"

/* Small factors and prime powers (SP 800-89, 5.3.3; X509-35), ROCA (CVE-2017-15361; X509-37), primes too close to one
 * another: 100 rounds of Fermat (X509-39). Keys that are no RSA pass. False: ERR_BAD_KEY says which. */
MUST_USE bool key_check_weak(const struct key_info *k, struct err *e);

#endif
