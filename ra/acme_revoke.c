/* SPDX-License-Identifier: Apache-2.0
 *
 * Revocation by a client (RFC 8555, 7.6) and renewal information (RFC 9773). */
#include "ra/acme_internal.h"

#include "base/clock.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

/* Certificates that may be spoken of here: those of profiles with the acme door. */
static bool of_acme(const struct ra *ra, const struct certificate *row)
{
	return acme_realm(ra, row->profile) != NULL;
}

static bool no_such(struct err *e)
{
	return err_set(e, ERR_NOT_FOUND, "there is no such certificate here");
}

/* s->row, s->der: the row of a certificate that is ours to the last octet. */
static bool by_der(struct ra *ra, struct acme *s, struct err *e)
{
	struct span der = s->q.certificate;

	if (!cert_parse(&s->cert, der.p, der.n, e))
		return false;
	for (size_t i = 0; i < ra->gen_n; i++) {
		if (!store_certificate_by_serial(ra->c.store, ra->gens[i].ref, (struct span){ s->cert.serial.v, s->cert.serial.n }, &s->row, e)) {
			if (e->kind != ERR_NOT_FOUND)
				return false;
			continue;
		}
		if (!store_certificate_der(ra->c.store, s->row.id, &s->der, e))
			return false;
		return (span_equal(span_of(&s->der), der) && of_acme(ra, &s->row)) || no_such(e);
	}
	return no_such(e);
}

static bool holds_all_names(struct ra *ra, struct acme *s, bool *all, struct err *e)
{
	char text[SAN_VALUE_MAX + 8];

	*all = s->cert.san.n != 0;
	for (size_t i = 0; *all && i < s->cert.san.n; i++) {
		san_to_text(&s->cert.san.v[i], text, sizeof text);
		if (store_acme_authorization_valid(ra->c.store, s->account.id, text, 0, ra->now, &s->another, e))
			continue;
		if (e->kind != ERR_NOT_FOUND)
			return false;
		*all = false;
	}
	return true;
}

/* By which right; NULL: none, or *e. */
static const char *right(struct ra *ra, struct acme *s, struct err *e)
{
	int64_t order, account = 0;
	bool all;

	e->kind = ERR_NONE;
	if (s->q.account == 0)
		return s->q.key.n != 0 && span_equal(s->q.key, s->cert.spki) ? "certificate key" : NULL;
	if (!store_acme_order_by_certificate(ra->c.store, s->row.id, &order, &account, e) && e->kind != ERR_NOT_FOUND)
		return NULL;
	e->kind = ERR_NONE;
	if (account == s->account.id)
		return "issuing account";
	if (!holds_all_names(ra, s, &all, e))
		return NULL;
	e->kind = ERR_NONE;
	return all ? "authorizations" : NULL;
}

/* ACME-42. */
static bool reason_ok(int reason)
{
	return reason == REASON_UNSPECIFIED || reason == REASON_KEY_COMPROMISE || reason == REASON_AFFILIATION || reason == REASON_SUPERSEDED ||
	       reason == REASON_CESSATION;
}

static void audit_right(struct ra *ra, struct acme *s, const char *actor, const char *by)
{
	struct audit_event ev = { .event = "acme.revoke", .outcome = "success", .actor = actor, .auth = s->known ? "acme" : "key",
		                  .source = &s->q.source, .object_type = "certificate" };
	char serial[2 * STORE_SERIAL + 1];

	hex_put(serial, s->row.serial, s->row.serial_n);
	ev.object = serial;
	audit_detail(&ev, "right", by);
	audit(ra, &ev);
}

bool acme_revoke(struct ra *ra, const struct in *in, struct acme *s, struct err *e)
{
	int reason = s->q.reason < 0 ? REASON_UNSPECIFIED : s->q.reason;
	char actor[300] = "certificate key";
	const char *by;
	uint64_t seq;

	if (!by_der(ra, s, e))
		return e->kind == ERR_BAD_CERT     ? acme_no(s, ACME_MALFORMED, "certificate: %.300s", e->text)
		       : e->kind == ERR_NOT_FOUND ? acme_no(s, ACME_NOT_FOUND, "%s", e->text)
		                                  : false;
	by = right(ra, s, e);
	if (by == NULL)
		return e->kind != ERR_NONE ? false
		                           : acme_no(s, ACME_UNAUTHORIZED, "neither the certificate's account, nor one that holds all its names, "
		                                                           "nor its key");
	if (!reason_ok(reason))
		return acme_no(s, ACME_BAD_REVOCATION_REASON, "reason %d is not taken: 0 unspecified, 1 keyCompromise, 3 affiliationChanged, "
		                                              "4 superseded, 5 cessationOfOperation", reason);
	/* Its key would be refused for ever, and who says so must know it or be its owner. */
	if (reason == REASON_KEY_COMPROMISE && strcmp(by, "authorizations") == 0)
		return acme_no(s, ACME_BAD_REVOCATION_REASON, "keyCompromise is for the certificate's own account, or its key");
	if (s->row.status == STORE_REVOKED && s->row.reason != REASON_HOLD)
		return acme_no(s, ACME_ALREADY_REVOKED, "the certificate is revoked already (%s)", crl_reason_name((enum crl_reason)s->row.reason));
	if (s->known)
		acme_actor(&s->account, actor, sizeof actor);
	audit_right(ra, s, actor, by);
	if (!revoke_certificate(ra, &s->row, (enum crl_reason)reason, actor, s->known ? "acme" : "key", &s->q.source, &seq, e))
		return false;
	s->later = acme_wait_add(s, &(struct acme_wait){ .client = in->f.id, .seq = seq, .until = ra->mono + US_PER_SECOND });
	return true;
}

/* --- RFC 9773 */

static bool generation_of(struct ra *ra, struct span aki, int64_t *ref)
{
	AUTO_FREE struct cert *c = mem_new(sizeof *c);

	for (size_t i = 0; i < ra->gen_n; i++)
		if (cert_parse(c, ra->gen_cert[i].p, ra->gen_cert[i].n, NULL) && span_equal(c->ski, aki)) {
			*ref = ra->gens[i].ref;
			return true;
		}
	return false;
}

/* 4.1: base64url(AKI) "." base64url(serial's content octets), one text for one certificate. */
bool acme_by_renewal_id(struct ra *ra, struct acme *s, const char *id, struct err *e)
{
	const char *dot = strchr(id, '.');
	AUTO_BUF aki = { 0 };
	AUTO_BUF serial = { 0 };
	struct span number;
	int64_t ref;

	if (dot == NULL || dot == id || dot[1] == 0 || !b64url_get(&aki, id, (size_t)(dot - id)) || !b64url_get(&serial, dot + 1, strlen(dot + 1)))
		return err_set(e, ERR_BAD_REQUEST, "a certificate's identifier is base64url(key identifier).base64url(serial), without padding");
	number = span_of(&serial);
	if (number.n == 0 || (number.p[0] & 0x80) != 0 || (number.n > 1 && number.p[0] == 0 && (number.p[1] & 0x80) == 0))
		return err_set(e, ERR_BAD_REQUEST, "the serial is not the content of a positive INTEGER");
	if (number.n > 1 && number.p[0] == 0)
		number = (struct span){ number.p + 1, number.n - 1 };
	if (!generation_of(ra, span_of(&aki), &ref))
		return no_such(e);
	if (!store_certificate_by_serial(ra->c.store, ref, number, &s->row, e))
		return e->kind != ERR_NOT_FOUND ? false : no_such(e);
	return of_acme(ra, &s->row) || no_such(e);
}

/* The same for a certificate whenever it is asked; different ones are spread. */
static double jitter(const struct certificate *row)
{
	uint8_t digest[32];

	digest_sha256(digest, row->serial, row->serial_n);
	return (digest[0] << 8 | digest[1]) / 65536.0;
}

static void window(struct acme *s, const struct certificate *row, int64_t now)
{
	int64_t life = row->not_after - row->not_before, room = life * 7 / 30; /* from 2/3 to 9/10 of it */

	if (row->status == STORE_REVOKED) {
		int64_t at = row->revoked_at < now ? row->revoked_at : now;

		s->a.window_end = at - US_PER_SECOND;
		s->a.window_start = s->a.window_end - US_PER_HOUR;
		return;
	}
	s->a.window_start = row->not_before + life * 2 / 3 + (int64_t)(jitter(row) * (double)(room / 2));
	s->a.window_end = s->a.window_start + (room / 2 > 2 * US_PER_SECOND ? room / 2 : 2 * US_PER_SECOND);
}

bool acme_renewal_info(struct ra *ra, const struct in *in, struct acme *s, struct err *e)
{
	(void)in;
	if (!acme_by_renewal_id(ra, s, s->q.renewal_id, e))
		return e->kind == ERR_BAD_REQUEST ? acme_no(s, ACME_MALFORMED, "%s", e->text)
		       : e->kind == ERR_NOT_FOUND ? acme_no(s, ACME_NOT_FOUND, "%s", e->text)
		                                  : false;
	s->a.parts |= RA_ACME_HAS_WINDOW;
	s->a.retry_after = 21600;
	window(s, &s->row, ra->now);
	return true;
}
