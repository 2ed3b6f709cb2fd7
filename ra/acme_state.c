/* SPDX-License-Identifier: Apache-2.0
 *
 * The states of RFC 8555, 7.1.6, and what an order's row holds of its names. */
#include "ra/acme_internal.h"

#include <stdio.h>
#include <string.h>

static const struct move {
	enum acme_what what;
	enum acme_state from, to;
} moves[] = {
	{ ACME_AN_ORDER, ACME_PENDING, ACME_READY },
	{ ACME_AN_ORDER, ACME_READY, ACME_PROCESSING },
	{ ACME_AN_ORDER, ACME_PROCESSING, ACME_VALID },
	{ ACME_AN_ORDER, ACME_PENDING, ACME_INVALID },
	{ ACME_AN_ORDER, ACME_READY, ACME_INVALID },
	{ ACME_AN_ORDER, ACME_PROCESSING, ACME_INVALID },
	{ ACME_AN_AUTHORIZATION, ACME_PENDING, ACME_VALID },
	{ ACME_AN_AUTHORIZATION, ACME_PENDING, ACME_INVALID },
	{ ACME_AN_AUTHORIZATION, ACME_PENDING, ACME_DEACTIVATED }, /* 7.5.2: a client gives up what it will not prove */
	{ ACME_AN_AUTHORIZATION, ACME_VALID, ACME_EXPIRED },
	{ ACME_AN_AUTHORIZATION, ACME_VALID, ACME_DEACTIVATED },
	{ ACME_AN_AUTHORIZATION, ACME_VALID, ACME_REVOKED },
	{ ACME_A_CHALLENGE, ACME_PENDING, ACME_PROCESSING },
	{ ACME_A_CHALLENGE, ACME_PROCESSING, ACME_VALID },
	{ ACME_A_CHALLENGE, ACME_PROCESSING, ACME_INVALID },
	{ ACME_AN_ACCOUNT, ACME_VALID, ACME_DEACTIVATED },
	{ ACME_AN_ACCOUNT, ACME_VALID, ACME_REVOKED },
};

bool acme_may_move(enum acme_what what, enum acme_state from, enum acme_state to)
{
	for (size_t i = 0; i < COUNT_OF(moves); i++)
		if (moves[i].what == what && moves[i].from == from && moves[i].to == to)
			return true;
	return false;
}

bool acme_move(enum acme_what what, int *state, enum acme_state to, struct err *e)
{
	static const char *const words[] = { "an order", "an authorization", "a challenge", "an account" };

	if (!acme_may_move(what, (enum acme_state)*state, to))
		return err_set(e, ERR_INTERNAL, "%s does not go from %s to %s", words[what], acme_state_name((enum acme_state)*state),
		               acme_state_name(to));
	*state = (int)to;
	return true;
}

enum acme_state acme_order_seen(const struct acme_order *o, int64_t now)
{
	bool open = o->state == ACME_PENDING || o->state == ACME_READY;

	return open && o->expires <= now ? ACME_INVALID : (enum acme_state)o->state;
}

enum acme_state acme_authorization_seen(const struct acme_authorization *a, int64_t now)
{
	if (a->expires > now)
		return (enum acme_state)a->state;
	return a->state == ACME_VALID ? ACME_EXPIRED : a->state == ACME_PENDING ? ACME_INVALID : (enum acme_state)a->state;
}

/* --- Names */

void acme_names_put(struct buf *b, const struct acme_name *names, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		size_t len = strlen(names[i].text);

		wr_u16(b, (uint16_t)(len | (names[i].own ? 0x8000u : 0)));
		buf_add(b, names[i].text, len);
		wr_i64(b, names[i].authorization);
	}
}

bool acme_names_get(struct span packed, struct acme_name *names, uint32_t *n, struct err *e)
{
	struct rd r = rd_of(packed.p, packed.n);

	for (*n = 0; r.p != r.end && !r.bad && *n < ACME_IDENTIFIER_MAX; ++*n) {
		struct acme_name *name = &names[*n];
		uint16_t len = rd_u16(&r);

		name->own = (len & 0x8000) != 0;
		len &= 0x7fff;
		if (len >= sizeof name->text) {
			r.bad = true;
			break;
		}
		rd_fixed(&r, name->text, len);
		name->text[len] = 0;
		name->authorization = rd_i64(&r);
	}
	return rd_done(&r) || err_set(e, ERR_STORE, "an order's names are damaged");
}

void acme_identifier_of(const char *text, struct acme_identifier *out)
{
	size_t n = strcspn(text, ":");

	snprintf(out->type, sizeof out->type, "%.*s", (int)n, text);
	snprintf(out->value, sizeof out->value, "%.255s", text[n] == ':' ? text + n + 1 : "");
}

bool acme_is_wildcard(const char *text)
{
	return strncmp(text, "dns:*.", 6) == 0;
}

void acme_names_text(const struct acme_name *names, uint32_t n, struct buf *out)
{
	out->n = 0;
	for (uint32_t i = 0; i < n; i++)
		buf_printf(out, "%s ", names[i].text);
}
