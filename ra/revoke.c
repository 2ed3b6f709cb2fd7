/* SPDX-License-Identifier: Apache-2.0
 *
 * Revocation, and the officer's wait until va has applied it: a second at most, and the answer says who has. */
#include "ra/internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>

static bool allowed(struct ra *ra, const struct certificate *c, enum crl_reason reason, struct err *e)
{
	const struct active *p = profile_by_digest(ra, c->profile_digest);

	if (p == NULL)
		p = profile_active(ra, c->profile);
	if (reason == REASON_HOLD && (p == NULL || !p->p.hold_allowed))
		return err_set(e, ERR_POLICY, "profile %s does not allow certificateHold", c->profile);
	if (c->status == STORE_REVOKED && c->reason != REASON_HOLD && c->reason != reason)
		return err_set(e, ERR_CONFLICT, "the certificate is revoked already (%s)", crl_reason_name((enum crl_reason)c->reason));
	return true;
}

struct batch {
	size_t n;
	struct certificate row[64];
};

static bool collect(void *arg, const struct certificate *row)
{
	struct batch *b = arg;

	if (b->n == COUNT_OF(b->row))
		return false;
	b->row[b->n++] = *row;
	return true;
}

bool revoke_filtered(struct ra *ra, const struct certificate_filter *which, enum crl_reason reason, const char *actor,
                     const char *auth, const struct ra_source *source, int64_t *n, uint64_t *seq, struct err *e)
{
	AUTO_FREE struct batch *b = mem_new(sizeof *b);
	struct certificate_filter f = *which;
	char after[STORE_NEXT] = "", next[STORE_NEXT];
	uint64_t one;

	f.after = after;
	do {
		b->n = 0;
		if (!store_certificate_list(ra->c.store, &f, COUNT_OF(b->row), collect, b, next, e))
			return false;
		for (size_t i = 0; i < b->n; i++) {
			/* Of those that are revoked, the ones on hold: for good now. */
			if (b->row[i].status == STORE_REVOKED && (b->row[i].reason != REASON_HOLD || reason == REASON_HOLD))
				continue;
			if (!revoke_certificate(ra, &b->row[i], reason, actor, auth, source, &one, e))
				return false;
			++*n;
			*seq = one > *seq ? one : *seq;
		}
		memcpy(after, next, sizeof after);
	} while (next[0] != 0);
	return true;
}

/* A key that is known to others is bad in every certificate that it has: renewals, too. */
static bool revoke_key(struct ra *ra, const struct certificate *c, const char *actor, const char *auth, const struct ra_source *source,
                       uint64_t *seq, struct err *e)
{
	struct certificate_filter f = { .status = -1, .spki = c->spki, .now = ra->now };
	int64_t n = 0;

	return revoke_filtered(ra, &f, REASON_KEY_COMPROMISE, actor, auth, source, &n, seq, e);
}

/* A certificate that the service itself uses is replaced at once. */
static void renew_own(struct ra *ra, const struct certificate *c)
{
	for (size_t i = 0; i < ra->gen_n; i++) {
		AUTO_FREE struct cert *own = mem_new(sizeof *own);

		if (ra->gens[i].has_responder && ra->gens[i].ref == c->ref &&
		    cert_parse(own, ra->responder_cert[i].p, ra->responder_cert[i].n, NULL) && own->serial.n == c->serial_n &&
		    memcmp(own->serial.v, c->serial, c->serial_n) == 0)
			ra->gens[i].has_responder = false;
	}
	if (strcmp(c->subject_name, "enroll") == 0 && strcmp(c->profile, "server") == 0)
		tell(ra, RA_PORT_ENROLL, RA_TLS_RENEW, (struct span){ NULL, 0 });
}

bool revoke_certificate(struct ra *ra, const struct certificate *c, enum crl_reason reason, const char *actor,
                        const char *auth, const struct ra_source *source, uint64_t *seq, struct err *e)
{
	struct audit_event ev = { .event = reason == REASON_HOLD ? "cert.hold" : "cert.revoke", .outcome = "success", .actor = actor,
		                  .auth = auth, .source = source, .object_type = "certificate" };
	struct serial s = { .n = (uint8_t)c->serial_n };
	struct generation *g = gen_by_ref(ra, c->ref);
	char text[2 * SERIAL_MAX + 1], labels[64];

	if (!allowed(ra, c, reason, e))
		return false;
	*seq = c->seq;
	if (c->status == STORE_REVOKED && c->reason == reason)
		return true;
	memcpy(s.v, c->serial, c->serial_n);
	serial_text(&s, text, sizeof text);
	if (!store_status_set(ra->c.store, c->ref, (struct span){ c->serial, c->serial_n }, STORE_REVOKED, (uint8_t)reason, ra->now, seq, e))
		return false;
	issue_cancel(ra, c->subject);
	renew_own(ra, c);
	/* X509-39: refused for ever, on every protocol. */
	if (reason == REASON_KEY_COMPROMISE) {
		bool blocked;

		if (!store_key_blocked(ra->c.store, c->spki, &blocked, e) || (!blocked && !store_key_block(ra->c.store, c->spki, text, ra->now, e)))
			return false;
		/* The first of its key takes the others along. */
		if (!blocked && !revoke_key(ra, c, actor, auth, source, seq, e))
			return false;
	}
	if (reason == REASON_KEY_COMPROMISE || reason == REASON_CA_COMPROMISE)
		crl_request(ra, g, actor);
	snprintf(labels, sizeof labels, "reason=\"%s\"", crl_reason_name(reason));
	metrics_add(ra->metrics, "caduceus_revoked_total", labels, 1);
	ev.object = text;
	audit_detail(&ev, "reason", crl_reason_name(reason));
	audit_detail(&ev, "ca", c->ca);
	audit_detail(&ev, "subject", c->dn);
	audit(ra, &ev);
	return true;
}

static void release(struct ra *ra, struct waiter *w, bool confirmed)
{
	AUTO_BUF rows = { 0 };

	record_list(&w->row, "confirmed", confirmed ? "va" : "");
	wr_span(&rows, w->row.p, w->row.n);
	officer_rows(ra, w->client, w->name, false, "", 1, span_of(&rows));
	buf_free(&w->row);
	w->client = 0;
}

void wait_for_va(struct ra *ra, uint64_t client, uint64_t seq, const char *name, struct span row)
{
	for (size_t i = 0; i < RA_WAIT_MAX; i++) {
		struct waiter *w = &ra->wait[i];

		if (w->client != 0)
			continue;
		*w = (struct waiter){ .client = client, .seq = seq, .deadline = ra->mono + US_PER_SECOND };
		strncpy(w->name, name, sizeof w->name - 1);
		buf_add(&w->row, row.p, row.n);
		return;
	}
	struct waiter now = { .client = client };

	strncpy(now.name, name, sizeof now.name - 1);
	buf_add(&now.row, row.p, row.n);
	release(ra, &now, false);
}

void waiters_continue(struct ra *ra)
{
	for (size_t i = 0; i < RA_WAIT_MAX; i++) {
		struct waiter *w = &ra->wait[i];

		if (w->client == 0)
			continue;
		if (ra->va_seen >= w->seq)
			release(ra, w, true);
		else if (ra->mono >= w->deadline)
			release(ra, w, false);
	}
}
