/* SPDX-License-Identifier: Apache-2.0 */
#include "ra/password.h"

#include "base/mem.h"
#include "base/text.h"
#include "pkix/key.h"

#include <string.h>

void password_make(void (*rnd)(void *, unsigned long), char out[PASSWORD_SIZE])
{
	static const char digit[] = "0123456789abcdefghjkmnpqrstvwxyz";
	uint8_t bits[17] = { 0 };
	size_t n = 0;

	rnd(bits, 16);
	for (unsigned i = 0; i < 26; i++) {
		unsigned at = i * 5, v = ((unsigned)bits[at / 8] << 8 | bits[at / 8 + 1]) >> (11 - at % 8) & 31;

		if (i != 0 && i % 4 == 0)
			out[n++] = '-';
		out[n++] = digit[v];
	}
	out[n] = 0;
	mem_wipe(bits, sizeof bits);
}

void password_hash(const char *password, const uint8_t salt[16], uint8_t out[32])
{
	uint8_t all[16 + 256];
	size_t n = 16;

	memcpy(all, salt, 16);
	for (const char *s = password; *s != 0 && n < sizeof all; s++)
		if (*s != '-' && *s != ' ')
			all[n++] = (uint8_t)(*s >= 'A' && *s <= 'Z' ? *s - 'A' + 'a' : *s);
	digest_sha256(out, all, n);
	mem_wipe(all, sizeof all);
}

bool password_fits(const char *password, const uint8_t salt[16], const uint8_t hash[32])
{
	uint8_t got[32];

	password_hash(password, salt, got);
	return text_equal_const_time(got, hash, 32);
}
