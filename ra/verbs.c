/* SPDX-License-Identifier: Apache-2.0 */
#include "ra/verbs.h"

#include "base/mem.h"

#include <string.h>

#define T FIELD_TEXT
#define I FIELD_INT
#define B FIELD_BOOL
#define L FIELD_LIST
#define D FIELD_BYTES

enum { READERS = ROLE_ADMINISTRATOR | ROLE_RA_OFFICER | ROLE_AUDITOR | ROLE_OPERATOR };

/* Durations are microseconds. "cert" is a serial (either case), a unique prefix of one, or a device's name. */
static const struct verb verbs[] = {
	{ "status", true, READERS, { { 0 } } },
	{ "device.add", false, ROLE_RA_OFFICER,
	  { { "name", T, true, 253 }, { "profile", T, false, 31 }, { "san", L, false, 259 }, { "uses", I, false, 0 },
	    { "valid", I, false, 0 }, { "owner", T, false, 127 }, { "ward", T, false, 127 }, { "tag", L, false, 255 } } },
	{ "device.list", true, READERS, { { "after", T, false, 253 }, { "limit", I, false, 0 } } },
	{ "device.show", true, READERS, { { "name", T, true, 253 } } },
	{ "device.password", false, ROLE_RA_OFFICER,
	  { { "name", T, true, 253 }, { "uses", I, false, 0 }, { "valid", I, false, 0 } } },
	{ "device.disable", false, ROLE_RA_OFFICER, { { "name", T, true, 253 }, { "revoke", B, false, 0 } } },
	{ "device.enable", false, ROLE_RA_OFFICER, { { "name", T, true, 253 } } },
	{ "cert.list", true, READERS,
	  { { "ca", T, false, 31 }, { "profile", T, false, 31 }, { "device", T, false, 253 }, { "status", T, false, 8 },
	    { "expiring", I, false, 0 }, { "subject", T, false, 255 }, { "after", T, false, 24 },
	    { "limit", I, false, 0 } } },
	{ "cert.show", true, READERS, { { "cert", T, false, 253 }, { "der", D, false, 16384 } } },
	{ "cert.issue", false, ROLE_RA_OFFICER, { { "profile", T, true, 31 }, { "csr", D, true, 32768 } } },
	{ "cert.revoke", false, ROLE_RA_OFFICER,
	  { { "cert", T, false, 253 }, { "der", D, false, 16384 }, { "reason", T, false, 31 } } },
	{ "cert.unhold", false, ROLE_RA_OFFICER, { { "cert", T, false, 253 }, { "der", D, false, 16384 } } },
	{ "ca.list", true, READERS, { { 0 } } },
	{ "ca.show", true, READERS, { { "name", T, true, 31 } } },
	{ "ca.fingerprint", true, READERS, { { 0 } } },
	{ "ca.chain", true, READERS, { { "name", T, true, 31 } } },
	{ "crl.publish", false, ROLE_OPERATOR | ROLE_ADMINISTRATOR, { { "ca", T, false, 31 } } },
	{ "profile.list", true, READERS, { { 0 } } },
	{ "profile.show", true, READERS, { { "name", T, true, 31 } } },
	{ "profile.load", false, ROLE_ADMINISTRATOR, { { "label", T, true, 255 }, { "text", D, true, 32768 } } },
	{ "audit.show", true, ROLE_AUDITOR | ROLE_ADMINISTRATOR,
	  { { "after", T, false, 24 }, { "limit", I, false, 0 } } },
	{ "hsm.list", true, ROLE_ADMINISTRATOR | ROLE_OPERATOR, { { 0 } } },
	{ "hsm.test", false, ROLE_ADMINISTRATOR | ROLE_OPERATOR, { { 0 } } },
};

const struct verb *verb_find(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(verbs); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

const struct verb *verb_at(size_t i)
{
	return i < COUNT_OF(verbs) ? &verbs[i] : NULL;
}
