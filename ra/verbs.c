/* SPDX-License-Identifier: Apache-2.0 */
#include "ra/verbs.h"

#include "base/mem.h"
#include "base/text.h"

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
	    { "expiring", I, false, 0 }, { "subject", T, false, 255 }, { "after", T, false, 95 },
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
	{ "acme.eab.add", false, ROLE_RA_OFFICER,
	  { { "name", T, true, 253 }, { "profile", L, false, 31 }, { "san", L, false, 259 }, { "uses", I, false, 0 },
	    { "valid", I, false, 0 }, { "owner", T, false, 127 }, { "ward", T, false, 127 } } },
	{ "acme.eab.list", true, READERS, { { "after", T, false, 24 }, { "limit", I, false, 0 } } },
	{ "acme.eab.disable", false, ROLE_RA_OFFICER, { { "name", T, true, 253 }, { "revoke", B, false, 0 } } },
	{ "acme.account.list", true, READERS, { { "name", T, false, 253 }, { "after", T, false, 24 }, { "limit", I, false, 0 } } },
	{ "acme.account.disable", false, ROLE_RA_OFFICER, { { "id", I, true, 0 } } },
	{ "backup.create", false, ROLE_ADMINISTRATOR | ROLE_OPERATOR, { { 0 } } },
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

/* --- Arguments against the verb's table, before anything else */

static const struct verb_arg *arg_of(const struct verb *v, const char *name)
{
	for (size_t i = 0; i < VERB_ARG_MAX && v->arg[i].name != NULL; i++)
		if (strcmp(v->arg[i].name, name) == 0)
			return &v->arg[i];
	return NULL;
}

static bool check_field(const struct verb *v, const struct field *f, struct err *e)
{
	const struct verb_arg *a = arg_of(v, f->name);
	bool text = f->type == FIELD_TEXT || f->type == FIELD_LIST;

	if (a == NULL)
		return err_set(e, ERR_BAD_REQUEST, "%s has no argument %s", v->name, f->name);
	if (a->type != f->type)
		return err_set(e, ERR_BAD_REQUEST, "%s: argument %s is of another type", v->name, f->name);
	if ((text || f->type == FIELD_BYTES) && f->octets.n > a->cap)
		return err_set(e, ERR_BAD_REQUEST, "%s: %s has %zu octets, at most %zu are taken", v->name, f->name, f->octets.n, a->cap);
	if (text && !text_is_clean_utf8((const char *)f->octets.p, f->octets.n))
		return err_set(e, ERR_BAD_REQUEST, "%s: %s has control characters or is no UTF-8", v->name, f->name);
	return true;
}

bool verb_check(const struct verb *v, struct span args, struct err *e)
{
	struct rd r = rd_of(args.p, args.n);
	unsigned seen = 0;
	struct field f;

	while (record_next(&r, &f)) {
		unsigned bit;

		if (!check_field(v, &f, e))
			return false;
		bit = 1u << (arg_of(v, f.name) - v->arg);
		if (f.type != FIELD_LIST && (seen & bit) != 0)
			return err_set(e, ERR_BAD_REQUEST, "%s: argument %s stands twice", v->name, f.name);
		seen |= bit;
	}
	if (!rd_done(&r))
		return err_set(e, ERR_BAD_REQUEST, "%s: malformed arguments", v->name);
	for (size_t i = 0; i < VERB_ARG_MAX && v->arg[i].name != NULL; i++)
		if (v->arg[i].required && !record_find(args, v->arg[i].name, v->arg[i].type, &f))
			return err_set(e, ERR_BAD_REQUEST, "%s needs %s", v->name, v->arg[i].name);
	return true;
}
