/* SPDX-License-Identifier: Apache-2.0 */
#include "acme/parse.h"

#include "base/clock.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

void acme_held_free(struct acme_held *h)
{
	buf_free(&h->der);
	buf_free(&h->mac);
	buf_free(&h->input);
	jwk_free(&h->jwk);
}

static bool digits(const char **s, int n, int *out)
{
	*out = 0;
	for (; n != 0; n--, (*s)++) {
		if (**s < '0' || **s > '9')
			return false;
		*out = *out * 10 + (**s - '0');
	}
	return true;
}

static bool sign(const char **s, char want)
{
	return *(*s)++ == want;
}

bool acme_time_parse(const char *text, int64_t *us)
{
	const char *s = text;
	struct civil c;
	int hours = 0, minutes = 0;
	bool west, good;

	if (strlen(text) > 40)
		return false;
	good = digits(&s, 4, &c.year) && sign(&s, '-') && digits(&s, 2, &c.month) && sign(&s, '-') && digits(&s, 2, &c.day) &&
	       (*s == 'T' || *s == 't') && s++ != NULL && digits(&s, 2, &c.hour) && sign(&s, ':') && digits(&s, 2, &c.minute) &&
	       sign(&s, ':') && digits(&s, 2, &c.second) && clock_from_civil(&c, us);
	if (!good)
		return false;
	/* Certificates count in seconds. */
	if (*s == '.') {
		size_t n = strspn(s + 1, "0123456789");

		if (n == 0)
			return false;
		s += n + 1;
	}
	if (*s == 'Z' || *s == 'z')
		return s[1] == 0;
	if (*s != '+' && *s != '-')
		return false;
	west = *s++ == '-';
	if (!digits(&s, 2, &hours) || !sign(&s, ':') || !digits(&s, 2, &minutes) || *s != 0 || hours > 23 || minutes > 59)
		return false;
	*us += (west ? 1 : -1) * (hours * US_PER_HOUR + minutes * US_PER_MINUTE);
	return true;
}

static bool missing(struct refusal *r, const char *name, const char *want)
{
	return acme_refuse(r, ACME_MALFORMED, "the payload's %s must be %s", name, want);
}

/* base64url of DER, as RFC 8555, 7.4 and 7.6 have it. */
static bool take_der(struct buf *out, const json_t *doc, const char *name, enum acme_problem bad, struct refusal *r)
{
	const json_t *v = json_object_get(doc, name);

	if (!json_is_string(v))
		return missing(r, name, "a text: base64url of DER");
	if (json_string_length(v) > (size_t)CSR_MAX / 3 * 4 || !b64url_get(out, json_string_value(v), json_string_length(v)) || out->n == 0)
		return acme_refuse(r, bad, "%s is no base64url of DER without padding, or too large", name);
	return true;
}

static bool take_bool(bool *out, const json_t *doc, const char *name, struct refusal *r)
{
	const json_t *v = acme_json_member(doc, name);

	*out = json_is_true(v);
	return v == NULL || json_is_boolean(v) || missing(r, name, "true or false");
}

/* RFC 8555, 7.3: one address, no header fields. */
static bool take_contact(char out[256], const json_t *v, struct refusal *r)
{
	const char *text = json_string_value(v), *at;
	size_t n = json_string_length(v);

	if (text == NULL || n == 0 || n >= 256 || !text_is_clean_utf8(text, n))
		return acme_refuse(r, ACME_INVALID_CONTACT, "a contact must be a URL of at most 255 octets, like mailto:pki@hospital.example");
	if (strncasecmp(text, "mailto:", 7) != 0)
		return acme_refuse(r, ACME_UNSUPPORTED_CONTACT, "only mailto: contacts are supported");
	at = strchr(text, '@');
	if (at == NULL || at == text + 7 || strchr(at + 1, '@') != NULL || at[1] == 0 || at[1] == '.' || text[n - 1] == '.' ||
	    strpbrk(text, ",?; <>\"\\") != NULL)
		return acme_refuse(r, ACME_INVALID_CONTACT, "a contact must be one address without header fields, like mailto:pki@hospital.example (RFC 8555, 7.3)");
	memcpy(out, text, n + 1);
	return true;
}

static bool take_contacts(struct ra_acme *q, const json_t *doc, struct refusal *r)
{
	const json_t *list = acme_json_member(doc, "contact");

	if (list == NULL)
		return true;
	if (!json_is_array(list))
		return missing(r, "contact", "a list of URLs");
	if (json_array_size(list) > ACME_CONTACT_MAX)
		return acme_refuse(r, ACME_INVALID_CONTACT, "more than %d contacts", ACME_CONTACT_MAX);
	for (size_t i = 0; i < json_array_size(list); i++)
		if (!take_contact(q->contact[q->contact_n++], json_array_get(list, i), r))
			return false;
	return true;
}

/* RFC 8555, 7.3.4: whose key is bound is said by the payload, and must be the one that signs outside. Whether the MAC
 * holds is ra's to say: its keys lie there. */
static bool take_binding(struct ra_acme *q, const json_t *doc, const struct acme_signed *s, struct acme_held *h, struct refusal *r)
{
	const json_t *binding = acme_json_member(doc, "externalAccountBinding");
	AUTO(json_t) *payload = NULL;
	AUTO_JWS jws = { 0 };
	AUTO_JWK key = { 0 };

	if (binding == NULL)
		return true;
	if (!json_is_object(binding))
		return missing(r, "externalAccountBinding", "a JWS");
	if (!jws_read(&jws, binding, JWS_BINDING, r))
		return false;
	if (strcmp(jws.url, s->url) != 0)
		return acme_refuse(r, ACME_MALFORMED, "the external account binding's url is not the one of this request (RFC 8555, 7.3.4)");
	if (strlen(jws.kid) >= sizeof q->eab.kid)
		return acme_refuse(r, ACME_UNAUTHORIZED, "no external account has this key identifier");
	payload = acme_json(span_of(&jws.payload));
	if (payload == NULL || !jwk_parse(&key, payload, r) || !text_equal_const_time(key.thumbprint, q->thumbprint, sizeof key.thumbprint))
		return acme_refuse(r, ACME_MALFORMED, "the external account binding's payload is not the key that signs this request (RFC 8555, 7.3.4)");
	if (jws.input.n > CSR_MAX || jws.signature.n > 64)
		return acme_refuse(r, ACME_MALFORMED, "the external account binding is too large");
	snprintf(q->eab.kid, sizeof q->eab.kid, "%.63s", jws.kid);
	q->eab.bits = jws.alg == JWS_HS256 ? 256 : jws.alg == JWS_HS384 ? 384 : 512;
	buf_add(&h->input, jws.input.p, jws.input.n);
	buf_add(&h->mac, jws.signature.p, jws.signature.n);
	q->eab.input = span_of(&h->input);
	q->eab.mac = span_of(&h->mac);
	return true;
}

static bool new_account(struct ra_acme *q, const json_t *doc, const struct acme_signed *s, struct acme_held *h, struct refusal *r)
{
	q->op = RA_ACME_NEW_ACCOUNT;
	return take_bool(&q->only_existing, doc, "onlyReturnExisting", r) && take_bool(&q->terms_agreed, doc, "termsOfServiceAgreed", r) &&
	       take_contacts(q, doc, r) && take_binding(q, doc, s, h, r);
}

static bool account(struct ra_acme *q, const json_t *doc, const struct acme_signed *s, struct acme_held *h, struct refusal *r)
{
	const json_t *status = acme_json_member(doc, "status");

	(void)s;
	(void)h;
	q->op = RA_ACME_ACCOUNT;
	if (status != NULL && !json_is_string(status))
		return missing(r, "status", "a text");
	/* RFC 8555, 7.3.2: other statuses, and all but contact, are ignored. */
	if (status != NULL && strcmp(json_string_value(status), "deactivated") == 0)
		q->op = RA_ACME_DEACTIVATE;
	else if (acme_json_member(doc, "contact") != NULL)
		q->op = RA_ACME_CONTACTS;
	return q->op != RA_ACME_CONTACTS || take_contacts(q, doc, r);
}

static bool take_identifier(struct acme_identifier *out, const json_t *v, struct refusal *r)
{
	const json_t *type = json_object_get(v, "type"), *value = json_object_get(v, "value");
	size_t type_n = json_string_length(type), value_n = json_string_length(value);

	if (!json_is_string(type) || !json_is_string(value) || type_n == 0 || value_n == 0)
		return missing(r, "identifiers", "objects with type and value");
	if (!text_is_clean_utf8(json_string_value(type), type_n) || !text_is_clean_utf8(json_string_value(value), value_n))
		return missing(r, "identifiers", "without control characters");
	if (type_n >= sizeof out->type)
		return acme_refuse(r, ACME_UNSUPPORTED_IDENTIFIER, "identifiers have the type dns or ip");
	if (value_n >= sizeof out->value)
		return acme_refuse(r, ACME_REJECTED_IDENTIFIER, "an identifier has %zu octets, at most 253 are a name", value_n);
	memcpy(out->type, json_string_value(type), type_n + 1);
	memcpy(out->value, json_string_value(value), value_n + 1);
	return true;
}

static bool take_time(int64_t *out, const json_t *doc, const char *name, struct refusal *r)
{
	const json_t *v = acme_json_member(doc, name);

	*out = 0;
	return v == NULL || (json_is_string(v) && acme_time_parse(json_string_value(v), out) && *out > 0) ||
	       missing(r, name, "a time like 2026-11-24T10:00:00Z (RFC 3339)");
}

static bool take_profile(struct ra_acme *q, const json_t *doc, struct refusal *r)
{
	const json_t *v = acme_json_member(doc, "profile");
	const char *text = json_string_value(v);

	if (v == NULL)
		return true;
	if (text == NULL)
		return missing(r, "profile", "a text");
	if (text[0] == 0 || strlen(text) >= sizeof q->profile || !text_is_clean_utf8(text, strlen(text)))
		return acme_refuse(r, ACME_INVALID_PROFILE, "no profile has this name; the directory's meta lists them");
	strcpy(q->profile, text);
	return true;
}

static bool new_order(struct ra_acme *q, const json_t *doc, const struct acme_signed *s, struct acme_held *h, struct refusal *r)
{
	const json_t *list = json_object_get(doc, "identifiers"), *replaces = acme_json_member(doc, "replaces");

	(void)s;
	(void)h;
	q->op = RA_ACME_NEW_ORDER;
	if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > ACME_IDENTIFIER_MAX)
		return acme_refuse(r, ACME_MALFORMED, "the payload's identifiers must be a list of 1 to %d names", ACME_IDENTIFIER_MAX);
	for (size_t i = 0; i < json_array_size(list); i++)
		if (!take_identifier(&q->identifier[q->identifier_n++], json_array_get(list, i), r))
			return false;
	if (!take_time(&q->not_before, doc, "notBefore", r) || !take_time(&q->not_after, doc, "notAfter", r) || !take_profile(q, doc, r))
		return false;
	if (replaces == NULL)
		return true;
	if (!json_is_string(replaces) || !acme_renewal_id_ok(json_string_value(replaces), json_string_length(replaces)))
		return missing(r, "replaces", "AKI.SERIAL in base64url (RFC 9773, 4.1)");
	strcpy(q->replaces, json_string_value(replaces));
	return true;
}

static bool revoke(struct ra_acme *q, const json_t *doc, const struct acme_signed *s, struct acme_held *h, struct refusal *r)
{
	const json_t *reason = acme_json_member(doc, "reason");

	(void)s;
	q->op = RA_ACME_REVOKE;
	q->reason = -1;
	if (!take_der(&h->der, doc, "certificate", ACME_MALFORMED, r))
		return false;
	q->certificate = span_of(&h->der);
	if (reason == NULL)
		return true;
	/* RFC 8555, 7.6: which of them are taken is ra's. */
	if (!json_is_integer(reason) || json_integer_value(reason) < 0 || json_integer_value(reason) > 255)
		return acme_refuse(r, ACME_BAD_REVOCATION_REASON, "the reason must be 0, 1, 3, 4 or 5 (RFC 5280, 5.3.1)");
	q->reason = (int)json_integer_value(reason);
	return true;
}

/* RFC 8555, 7.3.5, its steps in their order; that the outer has a kid, and is right, is known by now. */
static bool key_change(struct ra_acme *q, const json_t *doc, const struct acme_signed *s, struct acme_held *h, struct refusal *r)
{
	AUTO(json_t) *payload = NULL;
	AUTO(EVP_PKEY) *evp = NULL;
	AUTO_JWS jws = { 0 };
	AUTO_JWK old = { 0 };
	const char *text;
	struct refusal why;

	q->op = RA_ACME_KEY_CHANGE;
	if (!jws_read(&jws, doc, JWS_NEW_KEY, r) || !jwk_parse(&h->jwk, jws.jwk, r) || !jws_alg_fits(jws.alg, h->jwk.info.type, r) ||
	    !jwk_load(&evp, &h->jwk, r))
		return false;
	if (!jws_verify(evp, h->jwk.info.type, jws.alg, span_of(&jws.input), span_of(&jws.signature), &why))
		return acme_refuse(r, ACME_MALFORMED, "the inner JWS: the new key's signature does not hold (RFC 8555, 7.3.5)");
	payload = acme_json(span_of(&jws.payload));
	if (payload == NULL)
		return acme_refuse(r, ACME_MALFORMED, "the inner JWS: the payload is no JSON object (RFC 8555, 7.3.5)");
	if (strcmp(jws.url, s->url) != 0)
		return acme_refuse(r, ACME_MALFORMED, "the inner JWS: url is not the one of this request (RFC 8555, 7.3.5)");
	text = acme_json_text(payload, "account");
	if (text == NULL || strcmp(text, s->account_url) != 0)
		return acme_refuse(r, ACME_MALFORMED, "the inner JWS: account is not the one that signs the request (RFC 8555, 7.3.5)");
	if (!jwk_parse(&old, json_object_get(payload, "oldKey"), &why) || memcmp(old.thumbprint, q->thumbprint, sizeof old.thumbprint) != 0)
		return acme_refuse(r, ACME_MALFORMED, "the inner JWS: oldKey is not the account's key (RFC 8555, 7.3.5)");
	q->key = span_of(&h->jwk.spki);
	memcpy(q->new_thumbprint, h->jwk.thumbprint, sizeof q->new_thumbprint);
	return true;
}

static bool authorization(struct ra_acme *q, const json_t *doc, const struct acme_signed *s, struct acme_held *h, struct refusal *r)
{
	const char *status = acme_json_text(doc, "status");

	(void)s;
	(void)h;
	q->op = RA_ACME_AUTHORIZATION_END;
	return (status != NULL && strcmp(status, "deactivated") == 0) || missing(r, "status", "deactivated (RFC 8555, 7.5.2)");
}

static bool challenge(struct ra_acme *q, const json_t *doc, const struct acme_signed *s, struct acme_held *h, struct refusal *r)
{
	(void)doc; /* RFC 8555, 7.5.1: {}; what older clients have in it is ignored */
	(void)s;
	(void)h;
	(void)r;
	q->op = RA_ACME_CHALLENGE_START;
	return true;
}

static bool finalize(struct ra_acme *q, const json_t *doc, const struct acme_signed *s, struct acme_held *h, struct refusal *r)
{
	(void)s;
	q->op = RA_ACME_FINALIZE;
	if (!take_der(&h->der, doc, "csr", ACME_BAD_CSR, r))
		return false;
	q->csr = span_of(&h->der);
	return true;
}

/* Every signed request: what reading it asks (0: it can't be read so), and what else may be posted there. */
static const struct {
	enum ra_acme_op get;
	bool (*post)(struct ra_acme *q, const json_t *doc, const struct acme_signed *s, struct acme_held *h, struct refusal *r);
} requests[ACME_PLACE_COUNT] = {
	/* RFC 8555, 6.3: these two by POST-as-GET as well; ra is asked whether the account may. */
	[ACME_DIRECTORY] = { RA_ACME_ACCOUNT, NULL },
	[ACME_NEW_NONCE] = { RA_ACME_ACCOUNT, NULL },
	[ACME_NEW_ACCOUNT] = { 0, new_account },
	[ACME_NEW_ORDER] = { 0, new_order },
	[ACME_REVOKE_CERT] = { 0, revoke },
	[ACME_KEY_CHANGE] = { 0, key_change },
	[ACME_ACCOUNT] = { RA_ACME_ACCOUNT, account },
	[ACME_ORDERS] = { RA_ACME_ORDERS, NULL },
	[ACME_ORDER] = { RA_ACME_ORDER, NULL },
	[ACME_FINALIZE] = { 0, finalize },
	[ACME_AUTHORIZATION] = { RA_ACME_AUTHORIZATION, authorization },
	[ACME_CHALLENGE] = { RA_ACME_CHALLENGE, challenge },
	[ACME_CERTIFICATE] = { RA_ACME_CERTIFICATE, NULL },
	[ACME_ALTERNATE] = { RA_ACME_CERTIFICATE, NULL },
};

bool acme_parse(struct ra_acme *q, const struct acme_target *t, const struct acme_signed *s, struct acme_held *h, struct refusal *r)
{
	AUTO(json_t) *doc = NULL;

	q->id = t->id;
	q->cursor = t->cursor;
	q->method = t->method;
	q->alternate = t->alternate;
	if ((t->place == ACME_ACCOUNT || t->place == ACME_ORDERS) && t->id != q->account)
		return acme_refuse(r, ACME_UNAUTHORIZED, "this is another account's");
	if (s->payload.n == 0) {
		q->op = requests[t->place].get;
		return q->op != 0 || acme_refuse(r, ACME_MALFORMED, "this resource can't be read: its payload must be a JSON object");
	}
	if (requests[t->place].post == NULL)
		return acme_refuse(r, ACME_MALFORMED, "this resource is read by POST with an empty payload (RFC 8555, 6.3)");
	doc = acme_json(s->payload);
	if (doc == NULL)
		return acme_refuse(r, ACME_MALFORMED, "the payload is no JSON object, too deep, or has a member twice");
	return requests[t->place].post(q, doc, s, h, r);
}
