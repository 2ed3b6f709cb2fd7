/* SPDX-License-Identifier: Apache-2.0
 *
 * ACME accounts (RFC 8555, 7.3): made, bound to a subject, changed, ended. */
#include "ra/acme_internal.h"

#include "base/clock.h"
#include "base/text.h"
#include "pkix/weak_key.h"

#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* --- Who signed */

bool acme_signer(struct ra *ra, struct acme *s, struct err *e)
{
	if (!store_acme_account(ra->c.store, s->q.account, &s->account, e))
		return e->kind != ERR_NOT_FOUND ? false : acme_no(s, ACME_ACCOUNT_DOES_NOT_EXIST, "there is no such account");
	if (strcmp(s->account.realm, s->q.realm) != 0)
		return acme_no(s, ACME_ACCOUNT_DOES_NOT_EXIST, "there is no such account in the directory %s", s->q.realm);
	/* Whoever front took for the owner has another key by now: front asks for the key again. */
	if (memcmp(s->account.thumbprint, s->q.thumbprint, sizeof s->q.thumbprint) != 0)
		return acme_no(s, ACME_UNAUTHORIZED, ACME_STALE_KEY);
	s->known = true;
	if (s->account.state != ACME_VALID)
		return acme_no(s, ACME_ACCOUNT_DEAD, "the account is %s%s", acme_state_name((enum acme_state)s->account.state),
		               s->account.state == ACME_REVOKED ? ": a PKI officer has voided it" : ": register another one");
	return true;
}

bool acme_key(struct ra *ra, const struct in *in, struct acme *s, struct err *e)
{
	(void)in;
	if (!store_acme_account(ra->c.store, s->q.account, &s->account, e))
		return e->kind != ERR_NOT_FOUND ? false : acme_no(s, ACME_ACCOUNT_DOES_NOT_EXIST, "there is no such account");
	if (s->q.realm[0] != 0 && strcmp(s->account.realm, s->q.realm) != 0)
		return acme_no(s, ACME_ACCOUNT_DOES_NOT_EXIST, "there is no such account in the directory %s", s->q.realm);
	acme_answer_account(s);
	s->a.parts |= RA_ACME_HAS_KEY;
	memcpy(s->a.of.thumbprint, s->account.thumbprint, sizeof s->a.of.thumbprint);
	s->a.of.key = span_of(&s->account.key);
	return true;
}

/* --- Keys */

/* The filters of certificates' keys (X509-35..39); and no certificate's key. */
static bool check_key(struct ra *ra, struct acme *s, const uint8_t spki[32], struct err *e)
{
	struct key_info key;
	int64_t other;
	struct err why;
	bool blocked;

	if (!key_parse(&key, s->q.key, &why) || !key_check_weak(&key, &why))
		return acme_no(s, ACME_BAD_PUBLIC_KEY, "the account's key: %.300s", why.text);
	if (!store_key_blocked(ra->c.store, spki, &blocked, e) || !store_spki_owner(ra->c.store, spki, -2, ra->now, &other, e))
		return false;
	if (blocked)
		return acme_no(s, ACME_BAD_PUBLIC_KEY, "this key was revoked as compromised and is refused for ever; make a new key");
	return other == 0 || acme_no(s, ACME_BAD_PUBLIC_KEY, "this key is a certificate's; an account's is another one (RFC 8555, 11.1)");
}

static void take_key(struct acme *s, const uint8_t spki[32], const uint8_t thumbprint[32])
{
	memcpy(s->account.spki, spki, sizeof s->account.spki);
	memcpy(s->account.thumbprint, thumbprint, sizeof s->account.thumbprint);
	s->account.key.n = 0;
	buf_add(&s->account.key, s->q.key.p, s->q.key.n);
}

static void take_contacts(struct acme *s)
{
	s->account.contacts.n = 0;
	for (uint32_t i = 0; i < s->q.contact_n; i++)
		buf_printf(&s->account.contacts, "%s\n", s->q.contact[i]);
}

/* Contacts come from front; a line's end in one would be two of them. */
static bool contacts_ok(struct acme *s)
{
	for (uint32_t i = 0; i < s->q.contact_n; i++)
		if (s->q.contact[i][0] == 0 || !text_is_clean_utf8(s->q.contact[i], strlen(s->q.contact[i])))
			return acme_no(s, ACME_INVALID_CONTACT, "a contact has control characters or is empty");
	return true;
}

/* --- Binding (7.3.4) */

static bool mac_fits(const struct acme_eab *k, const struct ra_acme *q)
{
	const EVP_MD *md = q->eab.bits == 256 ? EVP_sha256() : q->eab.bits == 384 ? EVP_sha384() : q->eab.bits == 512 ? EVP_sha512() : NULL;
	uint8_t mac[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	return md != NULL && HMAC(md, k->key, sizeof k->key, q->eab.input.p, q->eab.input.n, mac, &n) != NULL && n == q->eab.mac.n &&
	       text_equal_const_time(mac, q->eab.mac.p, n);
}

#define NO_SUCH_KEY "external account binding: the MAC does not hold under this kid; give the client both as caduceus acme eab add has printed them"

/* What a key's owner may hear; who does not have it hears nothing. */
static bool key_counts(struct ra *ra, struct acme *s, const struct acme_eab *k)
{
	char when[32];

	if (!mac_fits(k, &s->q))
		return acme_no(s, ACME_UNAUTHORIZED, NO_SUCH_KEY);
	if (strcmp(k->realm, s->q.realm) != 0)
		return acme_no(s, ACME_UNAUTHORIZED, "external account binding: this key is for the directory %s, not %s", k->realm, s->q.realm);
	if (k->disabled)
		return acme_no(s, ACME_UNAUTHORIZED, "external account binding: this key was disabled; ask a PKI officer");
	clock_rfc3339_s(k->expires, when, sizeof when);
	if (k->expires != 0 && k->expires <= ra->now)
		return acme_no(s, ACME_UNAUTHORIZED, "external account binding: this key has expired on %s; ask a PKI officer", when);
	if (k->uses != 0 && k->used >= k->uses)
		return acme_no(s, ACME_UNAUTHORIZED, "external account binding: this key has made as many accounts as it may (%lld); ask a PKI officer for another",
		               (long long)k->uses);
	return true;
}

static bool bind(struct ra *ra, struct acme *s, struct err *e)
{
	struct acme_eab k;
	bool good;

	if (!store_acme_eab_find(ra->c.store, s->q.eab.kid, &k, e))
		return e->kind != ERR_NOT_FOUND ? false
		                                : acme_no(s, ACME_UNAUTHORIZED, NO_SUCH_KEY);
	good = key_counts(ra, s, &k) && store_acme_eab_use(ra->c.store, k.id, e);
	s->account.eab = k.id;
	s->account.subject = k.subject;
	snprintf(s->account.name, sizeof s->account.name, "%s", k.name);
	mem_wipe(k.key, sizeof k.key);
	return good;
}

/* Without a binding an account is a subject of its own. */
static bool own_subject(struct ra *ra, struct acme *s, struct err *e)
{
	struct subject b = { .enabled = true, .created = ra->now };
	uint8_t random[8];
	char hex[17];

	strcpy(b.kind, "service");
	snprintf(b.profile, sizeof b.profile, "%s", s->q.realm);
	for (int tries = 0; tries < 8; tries++) {
		ra->c.rnd(random, sizeof random);
		hex_put(hex, random, sizeof random);
		snprintf(b.name, sizeof b.name, "acme-%s", hex);
		if (store_subject_add(ra->c.store, &b, e)) {
			s->account.eab = 0;
			s->account.subject = b.id;
			snprintf(s->account.name, sizeof s->account.name, "%s", b.name);
			return true;
		}
		if (e->kind != ERR_EXISTS)
			return false;
	}
	return err_set(e, ERR_INTERNAL, "eight names in a row are taken: the random source repeats itself");
}

static bool terms_ok(struct ra *ra, struct acme *s)
{
	if (strcmp(ra->config->acme_terms, "none") == 0 || s->q.terms_agreed)
		return true;
	return acme_no(s, ACME_USER_ACTION_REQUIRED, "the terms of service at %.200s must be agreed to (most clients: --agree-tos)", ra->config->acme_terms);
}

static void take_terms(const struct ra *ra, struct acme *s)
{
	bool any = strcmp(ra->config->acme_terms, "none") != 0;

	/* Agreement to nothing in particular is kept, too: the client reads it back. */
	snprintf(s->account.terms, sizeof s->account.terms, "%s", !s->q.terms_agreed ? "" : any ? ra->config->acme_terms : "none");
}

static void audit_account(struct ra *ra, struct acme *s, const char *event, const char *name, const char *value)
{
	struct audit_event ev = { .event = event, .outcome = "success", .auth = "acme", .source = &s->q.source, .object_type = "acme-account" };
	char actor[300], id[24], hex[65];

	acme_actor(&s->account, actor, sizeof actor);
	snprintf(id, sizeof id, "%lld", (long long)s->account.id);
	hex_put(hex, s->account.spki, 32);
	ev.actor = actor;
	ev.object = id;
	audit_detail(&ev, "directory", s->account.realm);
	audit_detail(&ev, "subject", s->account.name);
	audit_detail(&ev, "spki_sha256", hex);
	if (name != NULL)
		audit_detail(&ev, name, value);
	audit(ra, &ev);
}

static bool existing(struct acme *s)
{
	if (s->account.state != ACME_VALID)
		return acme_no(s, ACME_ACCOUNT_DEAD, "the account of this key is %s: register with another key%s", acme_state_name((enum acme_state)s->account.state),
		               s->account.state == ACME_REVOKED ? ", and ask the PKI officer who has voided it" : "");
	acme_answer_account(s);
	return true;
}

static bool make_account(struct ra *ra, struct acme *s, const uint8_t spki[32], struct err *e)
{
	bool bound = s->q.eab.kid[0] != 0;

	if (!check_key(ra, s, spki, e) || !contacts_ok(s) || !terms_ok(ra, s))
		return false;
	if (!bound && strcmp(ra->config->acme_eab, "required") == 0)
		return acme_no(s, ACME_EXTERNAL_ACCOUNT_REQUIRED,
		               "an account here is bound to a key that a PKI officer gives out (caduceus acme eab add NAME)");
	if (bound ? !bind(ra, s, e) : !own_subject(ra, s, e))
		return false;
	take_key(s, spki, s->q.thumbprint);
	take_contacts(s);
	take_terms(ra, s);
	s->account.state = ACME_VALID;
	s->account.created = s->account.changed = ra->now;
	snprintf(s->account.realm, sizeof s->account.realm, "%s", s->q.realm);
	if (!store_acme_account_add(ra->c.store, &s->account, e))
		return false;
	s->known = true;
	rate_count(s->rate, RATE_ACCOUNTS, 0, s->q.source.address, ra->mono);
	audit_account(ra, s, "acme.account.new", "binding", bound ? s->q.eab.kid : "none");
	acme_answer_account(s);
	s->a.created = true;
	return true;
}

bool acme_new_account(struct ra *ra, const struct in *in, struct acme *s, struct err *e)
{
	uint8_t spki[32];
	int wait;

	(void)in;
	if (acme_realm(ra, s->q.realm) == NULL)
		return acme_no(s, ACME_NOT_FOUND, "there is no directory of this name: it is a profile with the acme door");
	digest_sha256(spki, s->q.key.p, s->q.key.n);
	/* ACME-16: a known key is answered before binding and terms are looked at. */
	if (store_acme_account_by_key(ra->c.store, spki, s->q.realm, &s->account, e))
		return existing(s);
	if (e->kind != ERR_NOT_FOUND)
		return false;
	if (s->q.only_existing)
		return acme_no(s, ACME_ACCOUNT_DOES_NOT_EXIST, "no account has this key");
	if (!rate_allows(s->rate, RATE_ACCOUNTS, 0, s->q.source.address, ra->config->acme_accounts_per_hour, ra->mono, &wait))
		return acme_slow(s, wait, "too many new accounts from this address: at most %lld in an hour (acme.accounts_per_hour)",
		                 (long long)ra->config->acme_accounts_per_hour);
	return make_account(ra, s, spki, e);
}

/* --- Changes */

bool acme_account_get(struct ra *ra, const struct in *in, struct acme *s, struct err *e)
{
	(void)ra;
	(void)in;
	(void)e;
	acme_answer_account(s);
	return true;
}

bool acme_contacts(struct ra *ra, const struct in *in, struct acme *s, struct err *e)
{
	(void)in;
	if (!contacts_ok(s))
		return false;
	take_contacts(s);
	if (s->q.terms_agreed)
		take_terms(ra, s);
	s->account.changed = ra->now;
	if (!store_acme_account_put(ra->c.store, &s->account, e))
		return false;
	audit_account(ra, s, "acme.account.update", s->q.terms_agreed ? "terms" : NULL, s->account.terms);
	acme_answer_account(s);
	return true;
}

/* Its orders and authorizations are dead with it: nothing is done for an account that is not valid. */
bool acme_deactivate(struct ra *ra, const struct in *in, struct acme *s, struct err *e)
{
	(void)in;
	if (!acme_move(ACME_AN_ACCOUNT, &s->account.state, ACME_DEACTIVATED, e))
		return false;
	s->account.changed = ra->now;
	if (!store_acme_account_put(ra->c.store, &s->account, e))
		return false;
	audit_account(ra, s, "acme.account.deactivate", NULL, NULL);
	acme_answer_account(s);
	return true;
}

bool acme_key_change(struct ra *ra, const struct in *in, struct acme *s, struct err *e)
{
	uint8_t spki[32];
	char was[65];

	(void)in;
	digest_sha256(spki, s->q.key.p, s->q.key.n);
	if (store_acme_account_by_key(ra->c.store, spki, s->q.realm, &s->account, e)) {
		acme_no(s, ACME_CONFLICT, "the new key is an account's already");
		s->a.account = s->account.id;
		s->known = false;
		return false;
	}
	if (e->kind != ERR_NOT_FOUND || !check_key(ra, s, spki, e))
		return false;
	hex_put(was, s->account.spki, 32);
	take_key(s, spki, s->q.new_thumbprint);
	s->account.changed = ra->now;
	if (!store_acme_account_put(ra->c.store, &s->account, e))
		return false;
	audit_account(ra, s, "acme.account.key", "before", was);
	acme_answer_account(s);
	return true;
}

/* --- Whose names */

static bool take_rule(void *arg, const struct identifier *id)
{
	struct acme_rules *r = arg;
	AUTO_FREE char *text = mem_printf("%s:%s", id->type, id->value);

	if (strcmp(id->type, "profile") == 0 && r->profile_n < RA_LABEL_MAX)
		snprintf(r->profile[r->profile_n++], sizeof r->profile[0], "%.31s", id->value);
	else if (strcmp(id->type, "tag") != 0 && r->n < RULES_MAX && san_from_text(&r->rule[r->n], text, true, NULL))
		r->n++;
	return true;
}

bool acme_rules_load(struct ra *ra, int64_t subject, struct acme_rules *r, struct err *e)
{
	r->n = r->profile_n = 0;
	return store_identifier_list(ra->c.store, subject, take_rule, r, e);
}

/* --- Officers */

struct ended {
	struct ra *ra;
	size_t n;
	int64_t after, id[64];
};

static bool take_id(void *arg, const struct acme_account *row)
{
	struct ended *w = arg;

	w->after = row->id;
	if (row->state == ACME_VALID)
		w->id[w->n++] = row->id;
	return w->n < COUNT_OF(w->id);
}

bool acme_accounts_revoke(struct ra *ra, int64_t subject, int64_t *n, struct err *e)
{
	struct acme_account *a = &ra->acme->account;
	struct ended w = { .ra = ra };
	int64_t before;

	*n = 0;
	do {
		w.n = 0;
		before = w.after;
		if (!store_acme_account_list(ra->c.store, subject, w.after, COUNT_OF(w.id), take_id, &w, e))
			return false;
		for (size_t i = 0; i < w.n; i++) {
			if (!store_acme_account(ra->c.store, w.id[i], a, e) || !acme_move(ACME_AN_ACCOUNT, &a->state, ACME_REVOKED, e))
				return false;
			a->changed = ra->now;
			if (!store_acme_account_put(ra->c.store, a, e))
				return false;
			++*n;
		}
	} while (w.after != before);
	return true;
}
