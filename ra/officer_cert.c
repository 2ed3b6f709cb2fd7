/* SPDX-License-Identifier: Apache-2.0 */
#include "ra/officer.h"

#include "base/clock.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PAGE = 500 };

static const char *status_word(const struct certificate *c, int64_t now)
{
	return c->status == STORE_REVOKED ? "revoked" : c->not_after < now ? "expired" : "valid";
}

void officer_certificate_row(struct buf *b, const struct certificate *c, int64_t now, bool whole, struct span der)
{
	char serial[2 * STORE_SERIAL + 1], hex[65];

	hex_put(serial, c->serial, c->serial_n);
	record_text(b, "serial", serial);
	record_text(b, "ca", c->ca);
	record_text(b, "subject", c->dn);
	record_text(b, "profile", c->profile);
	record_text(b, "device", c->subject_name);
	record_time(b, "not_before", c->not_before);
	record_time(b, "not_after", c->not_after);
	record_text(b, "status", status_word(c, now));
	if (!whole)
		return;
	record_int(b, "gen", c->gen);
	record_time(b, "issued", c->issued);
	if (c->status == STORE_REVOKED) {
		record_text(b, "reason", crl_reason_name((enum crl_reason)c->reason));
		record_time(b, "revoked_at", c->revoked_at);
	}
	hex_put(hex, c->profile_digest, 32);
	record_text(b, "profile_sha256", hex);
	hex_put(hex, c->spki, 32);
	record_text(b, "spki_sha256", hex);
	if (der.n != 0)
		record_bytes(b, "der", der.p, der.n);
}

struct listing {
	struct gathered g;
	int64_t now;
};

static bool list_one(void *arg, const struct certificate *row)
{
	struct listing *l = arg;
	AUTO_BUF rec = { 0 };

	officer_certificate_row(&rec, row, l->now, false, (struct span){ NULL, 0 });
	return gather(&l->g, &rec);
}

static bool status_filter(const char *word, int *out, struct err *e)
{
	static const char *const words[] = { "valid", "revoked", "expired" };

	*out = -1;
	for (int i = 0; i < 3; i++)
		if (strcmp(words[i], word) == 0)
			*out = i;
	return word[0] == 0 || *out >= 0 || err_set(e, ERR_BAD_REQUEST, "status must be valid, revoked or expired");
}

/* A mistyped name is no empty list. */
static bool all_known(const struct call *c, const char *ca, const char *profile, const char *device, struct err *e)
{
	struct subject s;

	if (ca[0] != 0 && gen_newest(c->ra, ca) == NULL)
		return err_set(e, ERR_NOT_FOUND, "there is no authority %s; caduceus ca list", ca);
	if (profile[0] != 0 && profile_active(c->ra, profile) == NULL)
		return err_set(e, ERR_NOT_FOUND, "there is no profile %s; caduceus profile list", profile);
	if (device[0] == 0 || store_subject_by_name(c->ra->c.store, "device", device, &s, e) ||
	    store_subject_by_name(c->ra->c.store, "service", device, &s, e))
		return true;
	return e->kind != ERR_NOT_FOUND ? false : err_set(e, ERR_NOT_FOUND, "there is no device %s; caduceus device list", device);
}

bool cert_list(struct call *c, struct err *e)
{
	struct listing l = { .now = c->ra->now };
	char ca[32], profile[32], device[STORE_NAME], subject[STORE_NAME], status[16], after[STORE_NEXT], next[STORE_NEXT];
	struct certificate_filter f = { .ca = ca, .profile = profile, .device = device, .subject_prefix = subject, .now = c->ra->now,
		                        .after = after };
	int64_t limit = arg_int(c, "limit", PAGE), expiring = arg_int(c, "expiring", 0);
	bool good;

	arg_text(c, "ca", ca, sizeof ca);
	arg_text(c, "profile", profile, sizeof profile);
	arg_text(c, "device", device, sizeof device);
	arg_text(c, "subject", subject, sizeof subject);
	arg_text(c, "status", status, sizeof status);
	arg_text(c, "after", after, sizeof after);
	limit = limit < 1 ? 1 : limit > PAGE ? PAGE : limit;
	f.expiring_before = expiring > 0 ? c->ra->now + expiring : 0;
	if (!status_filter(status, &f.status, e) || !all_known(c, ca, profile, device, e))
		return false;
	good = store_certificate_list(c->ra->c.store, &f, (unsigned)limit, list_one, &l, next, e);
	if (good)
		officer_rows(c->ra, c->client, "certificates", true, next, l.g.n, span_of(&l.g.rows));
	buf_free(&l.g.rows);
	return good;
}

/* --- One certificate by serial, prefix, device or itself */

static bool by_der(const struct call *c, struct span der, struct certificate *out, struct err *e)
{
	AUTO_FREE struct cert *cert = mem_new(sizeof *cert);

	if (!cert_parse(cert, der.p, der.n, e))
		return false;
	for (size_t i = 0; i < c->ra->gen_n; i++)
		if (store_certificate_by_serial(c->ra->c.store, c->ra->gens[i].ref,
		                                (struct span){ cert->serial.v, cert->serial.n }, out, e)) {
			AUTO_BUF kept = { 0 };

			return (store_certificate_der(c->ra->c.store, out->id, &kept, e) && span_equal(span_of(&kept), der)) ||
			       err_set(e, ERR_NOT_FOUND, "this certificate was not issued here");
		}
	return err_set(e, ERR_NOT_FOUND, "this certificate was not issued here");
}

static bool hex_digits(const char *in, char *out, size_t size)
{
	size_t n = 0;

	for (; *in != 0; in++) {
		char d = *in >= 'A' && *in <= 'F' ? (char)(*in - 'A' + 'a') : *in;

		if (d == ':')
			continue;
		if (!((d >= '0' && d <= '9') || (d >= 'a' && d <= 'f')) || n + 1 >= size)
			return false;
		out[n++] = d;
	}
	out[n] = 0;
	return n != 0;
}

static bool of_name(const struct call *c, const char *name, struct certificate *out, int64_t *device, struct err *e)
{
	static const char *const kinds[] = { "device", "service", "person" };
	struct subject s;

	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		if (store_subject_by_name(c->ra->c.store, kinds[i], name, &s, e) &&
		    store_certificate_newest(c->ra->c.store, s.id, c->ra->now, out, e)) {
			*device = s.id;
			return true;
		}
		if (e->kind != ERR_NOT_FOUND)
			return false;
	}
	return err_set(e, ERR_NOT_FOUND, "no certificate has the serial or device '%s'; caduceus cert list", name);
}

/* *device (may be NULL): its id when the text was a device's name, else 0. */
static bool find(const struct call *c, struct certificate *out, int64_t *device, struct err *e)
{
	AUTO_FREE struct certificate *got = mem_array(2, sizeof *got);
	struct span der = arg_bytes(c, "der");
	struct subject subject;
	char text[STORE_NAME], hex[64] = "";
	int64_t ignored;
	unsigned n = 0;

	if (device == NULL)
		device = &ignored;
	*device = 0;
	if (der.n != 0)
		return by_der(c, der, out, e);
	arg_text(c, "cert", text, sizeof text);
	if (text[0] == 0)
		return err_set(e, ERR_BAD_REQUEST, "name the certificate: its serial, a unique prefix of it, or its device");
	if (hex_digits(text, hex, sizeof hex) && strlen(hex) >= 4 && !store_certificate_by_prefix(c->ra->c.store, hex, got, &n, e))
		return false;
	if (n != 0 && strlen(hex) < 32 && store_subject_by_name(c->ra->c.store, "device", text, &subject, e))
		return err_set(e, ERR_CONFLICT, "%s is a device, and a serial begins with it, too; give the whole serial: caduceus device show %s", text,
		               text);
	if (n > 1)
		return err_set(e, ERR_CONFLICT, "more than one serial begins with %s; give more digits", hex);
	if (n == 0)
		return of_name(c, text, out, device, e);
	*out = got[0];
	return true;
}

static bool reload(const struct call *c, struct certificate *row, struct err *e)
{
	struct certificate fresh;

	if (!store_certificate_by_serial(c->ra->c.store, row->ref, (struct span){ row->serial, row->serial_n }, &fresh, e))
		return false;
	*row = fresh;
	return true;
}

bool cert_show(struct call *c, struct err *e)
{
	struct certificate row;
	AUTO_BUF der = { 0 };
	AUTO_BUF rec = { 0 };
	AUTO_BUF rows = { 0 };

	if (!find(c, &row, NULL, e) || !store_certificate_der(c->ra->c.store, row.id, &der, e))
		return false;
	officer_certificate_row(&rec, &row, c->ra->now, true, span_of(&der));
	wr_span(&rows, rec.p, rec.n);
	officer_rows(c->ra, c->client, "certificate", false, "", 1, span_of(&rows));
	return true;
}

bool cert_issue(struct call *c, struct err *e)
{
	AUTO_FREE struct csr *csr = mem_new(sizeof *csr);
	AUTO_FREE struct grant *g = mem_new(sizeof *g);
	struct policy_names names = { .name = "the officer", .any = true };
	struct span der = arg_bytes(c, "csr");
	const struct active *p;
	char profile[32];

	arg_text(c, "profile", profile, sizeof profile);
	p = profile_active(c->ra, profile);
	if (p == NULL)
		return err_set(e, ERR_NOT_FOUND, "there is no profile %s; caduceus profile list", profile);
	if ((p->p.doors & DOOR_OFFICER) == 0)
		return err_set(e, ERR_POLICY, "profile %s has no officer door", profile);
	return csr_parse(csr, der.p, der.n, e) && policy_grant(g, &p->p, &names, csr, e) &&
	       issue_start(c->ra, &(struct issue_order){ .origin = LEAF_OFFICER, .port = RA_PORT_OFFICER, .client = c->client,
	                                                 .deadline = c->ra->mono + 20 * US_PER_SECOND, .profile = p, .csr = csr,
	                                                 .csr_der = der, .grant = g, .source = &c->q.source, .actor = c->q.actor,
	                                                 .auth = "local", .event = "cert.issue" },
	                   e);
}

static bool change_answered(struct call *c, struct certificate *row, int64_t count, uint64_t seq, struct err *e)
{
	AUTO_BUF rec = { 0 };

	if (!reload(c, row, e))
		return false;
	officer_certificate_row(&rec, row, c->ra->now, true, (struct span){ NULL, 0 });
	record_int(&rec, "changed", count);
	wait_for_va(c->ra, c->client, seq, "certificate", span_of(&rec));
	return true;
}

bool cert_revoke(struct call *c, struct err *e)
{
	enum crl_reason reason = REASON_UNSPECIFIED;
	struct certificate_filter f = { .status = -1, .now = c->ra->now };
	struct certificate row;
	char word[32];
	uint64_t seq = 0;
	int64_t n = 0;

	arg_text(c, "reason", word, sizeof word);
	if (word[0] != 0 && !crl_reason_parse(word, &reason))
		return err_set(e, ERR_BAD_REQUEST, "reason '%s' is not known; use unspecified, keyCompromise, affiliationChanged, "
		                                   "superseded, cessationOfOperation, certificateHold or privilegeWithdrawn", word);
	if (!find(c, &row, &f.subject_id, e))
		return false;
	/* A device by its name is all that it has: a renewal leaves the certificate before valid. */
	if (f.subject_id != 0 && row.status == STORE_GOOD)
		return revoke_filtered(c->ra, &f, reason, c->q.actor, "local", &c->q.source, &n, &seq, e) && change_answered(c, &row, n, seq, e);
	return revoke_certificate(c->ra, &row, reason, c->q.actor, "local", &c->q.source, &seq, e) && change_answered(c, &row, 1, seq, e);
}

bool cert_unhold(struct call *c, struct err *e)
{
	struct certificate row;
	char serial[2 * STORE_SERIAL + 1];
	uint64_t seq;

	if (!find(c, &row, NULL, e))
		return false;
	if (row.status != STORE_REVOKED || row.reason != REASON_HOLD)
		return err_set(e, ERR_CONFLICT, row.status == STORE_REVOKED ? "the certificate is revoked for good, not on hold"
		                                                            : "the certificate is not on hold");
	if (!store_status_set(c->ra->c.store, row.ref, (struct span){ row.serial, row.serial_n }, STORE_GOOD, 0, 0, &seq, e))
		return false;
	hex_put(serial, row.serial, row.serial_n);
	call_audit(c, "cert.unhold", "certificate", serial, "subject", row.dn);
	return change_answered(c, &row, 1, seq, e);
}
