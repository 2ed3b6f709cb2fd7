/* SPDX-License-Identifier: Apache-2.0 */
#include "acme/format.h"

#include "base/clock.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

#define ERROR_URN "urn:ietf:params:acme:error:"

enum { ALTERNATES_MAX = 5 }; /* each page links to all others */

static void give(struct response *out, unsigned status, const char *type, const json_t *doc)
{
	char *text = json_dumps(doc, JSON_COMPACT);

	out->status = status;
	out->content_type = type;
	out->body.n = 0;
	if (text != NULL)
		buf_text(&out->body, text);
	buf_byte(&out->body, '\n');
	free(text);
}

static void put_text(json_t *doc, const char *name, const char *value)
{
	AUTO_FREE char *text = mem_text(value);

	/* A name that was cut within a character does not take the sentence with it. */
	for (char *p = text; !text_is_clean_utf8(value, strlen(value)) && *p != 0; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	(void)json_object_set_new(doc, name, json_string(text));
}

static void put_time(json_t *doc, const char *name, int64_t us)
{
	char text[24];

	if (us == 0)
		return;
	clock_rfc3339_s(us, text, sizeof text);
	put_text(doc, name, text);
}

static json_t *url_value(const struct acme_settings *s, const struct acme_target *t)
{
	AUTO_BUF url = { 0 };

	acme_url(&url, s->base, t);
	return json_string(buf_str(&url));
}

/* A resource of the same realm. */
static struct acme_target at(const struct acme_target *t, enum acme_place place, int64_t id)
{
	struct acme_target other = { .place = place, .id = id };

	snprintf(other.realm, sizeof other.realm, "%s", t->realm);
	return other;
}

static void put_url(json_t *doc, const char *name, const struct acme_settings *s, const struct acme_target *t)
{
	(void)json_object_set_new(doc, name, url_value(s, t));
}

static void header_url(struct response *out, const char *name, const struct acme_settings *s, const struct acme_target *t)
{
	AUTO_BUF url = { 0 };

	acme_url(&url, s->base, t);
	response_header(out, name, "%s", buf_str(&url));
}

void acme_link(struct response *out, const struct acme_settings *s, const struct acme_target *t, const char *rel)
{
	AUTO_BUF url = { 0 };

	acme_url(&url, s->base, t);
	response_header(out, "Link", "<%s>;rel=\"%s\"", buf_str(&url), rel);
}

/* RFC 8555, 7.1.1, 9.7.6; RFC 9773, 3; draft-ietf-acme-profiles, 3 */
void acme_directory(struct response *out, const struct acme_settings *s, const char *realm)
{
	static const struct {
		const char *name;
		enum acme_place place;
	} entries[] = { { "newNonce", ACME_NEW_NONCE },     { "newAccount", ACME_NEW_ACCOUNT }, { "newOrder", ACME_NEW_ORDER },
		        { "revokeCert", ACME_REVOKE_CERT }, { "keyChange", ACME_KEY_CHANGE } };
	AUTO(json_t) *doc = json_object();
	AUTO_BUF text = { 0 };
	json_t *meta = json_object(), *profiles = json_object(), *names;
	struct acme_target t = { 0 };

	snprintf(t.realm, sizeof t.realm, "%s", realm);
	for (size_t i = 0; i < COUNT_OF(entries); i++) {
		t.place = entries[i].place;
		put_url(doc, entries[i].name, s, &t);
	}
	/* Clients add "/" and the identifier themselves. */
	buf_printf(&text, "%s/acme/%s/renewal-info", s->base, realm);
	put_text(doc, "renewalInfo", buf_str(&text));
	if (s->terms[0] != 0)
		put_text(meta, "termsOfService", s->terms);
	if (s->website[0] != 0)
		put_text(meta, "website", s->website);
	if (s->caa_identity[0] != 0) {
		names = json_array();
		(void)json_array_append_new(names, json_string(s->caa_identity));
		(void)json_object_set_new(meta, "caaIdentities", names);
	}
	(void)json_object_set_new(meta, "externalAccountRequired", json_boolean(s->eab_required));
	text.n = 0;
	buf_printf(&text, "Certificates under the profile %s", realm);
	put_text(profiles, realm, buf_str(&text));
	(void)json_object_set_new(meta, "profiles", profiles);
	(void)json_object_set_new(doc, "meta", meta);
	give(out, 200, "application/json", doc);
}

static void put_type(json_t *doc, enum acme_problem p)
{
	AUTO_BUF urn = { 0 };

	buf_printf(&urn, "%s%s", ERROR_URN, acme_problem_name(p));
	put_text(doc, "type", buf_str(&urn));
}

static json_t *identifier_value(const struct acme_identifier *i)
{
	json_t *doc = json_object();

	put_text(doc, "type", i->type);
	put_text(doc, "value", i->value);
	return doc;
}

static json_t *subproblem(enum acme_problem p, const char *detail, const struct acme_identifier *i)
{
	json_t *doc = json_object();

	put_type(doc, p);
	put_text(doc, "detail", detail);
	if (i->type[0] != 0)
		(void)json_object_set_new(doc, "identifier", identifier_value(i));
	return doc;
}

/* subs may be NULL. */
static void give_problem(struct response *out, const struct acme_settings *s, const struct refusal *r, json_t *subs)
{
	AUTO(json_t) *doc = json_object();
	unsigned status = r->status != 0 ? r->status : acme_problem_status(r->problem);
	int again = r->retry_after;
	json_t *list;

	put_type(doc, r->problem);
	put_text(doc, "detail", r->detail);
	(void)json_object_set_new(doc, "status", json_integer(status));
	if (r->problem == ACME_USER_ACTION_REQUIRED && s->terms[0] != 0) {
		/* RFC 8555, 7.3.3 */
		put_text(doc, "instance", s->terms);
		response_header(out, "Link", "<%s>;rel=\"terms-of-service\"", s->terms);
	}
	if (r->problem == ACME_BAD_SIGNATURE_ALGORITHM) {
		list = json_array();
		for (int a = JWS_ES256; a <= JWS_RS256; a++)
			(void)json_array_append_new(list, json_string(jws_alg_name((enum jws_alg)a)));
		(void)json_object_set_new(doc, "algorithms", list); /* RFC 8555, 6.2 */
	}
	if (subs != NULL)
		(void)json_object_set_new(doc, "subproblems", subs);
	if (again == 0 && (status == 503 || status == 429))
		again = status == 503 ? 5 : 60;
	if (again > 0)
		response_header(out, "Retry-After", "%d", again);
	give(out, status, "application/problem+json", doc);
	snprintf(out->why, sizeof out->why, "%s: %.230s", acme_problem_name(r->problem), r->detail);
}

void acme_problem(struct response *out, const struct acme_settings *s, const struct refusal *r)
{
	give_problem(out, s, r, NULL);
}

/* RFC 8555, 7.1.2 */
static void put_account(struct response *out, const struct acme_settings *s, const struct acme_target *t, const struct ra_acme_answer *a,
                        unsigned status)
{
	AUTO(json_t) *doc = json_object();
	json_t *contact = json_array();
	struct acme_target orders = at(t, ACME_ORDERS, a->account);

	put_text(doc, "status", acme_state_name(a->of.state));
	for (uint32_t i = 0; i < a->of.contact_n; i++)
		(void)json_array_append_new(contact, json_string(a->of.contact[i]));
	(void)json_object_set_new(doc, "contact", contact);
	(void)json_object_set_new(doc, "termsOfServiceAgreed", json_boolean(a->of.terms_agreed));
	put_url(doc, "orders", s, &orders);
	give(out, status, "application/json", doc);
}

static json_t *error_value(enum acme_problem p, const char *detail, const struct acme_identifier *i)
{
	json_t *doc = json_object(), *list;

	put_type(doc, p);
	put_text(doc, "detail", detail);
	(void)json_object_set_new(doc, "status", json_integer(acme_problem_status(p)));
	if (i != NULL && i->type[0] != 0) {
		list = json_array();
		(void)json_array_append_new(list, subproblem(p, detail, i));
		(void)json_object_set_new(doc, "subproblems", list);
	}
	return doc;
}

/* RFC 8555, 7.1.3 */
static void put_order(struct response *out, const struct acme_settings *s, const struct acme_target *t, const struct ra_acme_answer *a,
                      unsigned status)
{
	AUTO(json_t) *doc = json_object();
	json_t *names = json_array(), *urls = json_array();
	struct acme_target other = at(t, ACME_AUTHORIZATION, 0);

	put_text(doc, "status", acme_state_name(a->order.state));
	put_time(doc, "expires", a->order.expires);
	for (uint32_t i = 0; i < a->order.identifier_n; i++)
		(void)json_array_append_new(names, identifier_value(&a->order.identifier[i]));
	(void)json_object_set_new(doc, "identifiers", names);
	put_time(doc, "notBefore", a->order.not_before);
	put_time(doc, "notAfter", a->order.not_after);
	if (a->order.profile[0] != 0)
		put_text(doc, "profile", a->order.profile);
	if (a->order.replaces[0] != 0)
		put_text(doc, "replaces", a->order.replaces);
	for (uint32_t i = 0; i < a->order.authorization_n; i++) {
		other.id = a->order.authorization[i];
		(void)json_array_append_new(urls, url_value(s, &other));
	}
	(void)json_object_set_new(doc, "authorizations", urls);
	other = at(t, ACME_FINALIZE, a->order.id);
	put_url(doc, "finalize", s, &other);
	if (a->order.certificate) {
		other.place = ACME_CERTIFICATE;
		put_url(doc, "certificate", s, &other);
	}
	if (a->order.error != ACME_OK)
		(void)json_object_set_new(doc, "error", error_value(a->order.error, a->order.error_detail, &a->order.error_identifier));
	give(out, status, "application/json", doc);
}

/* RFC 8555, 8; members flat, the error last. */
static json_t *challenge_value(const struct acme_settings *s, const struct acme_target *t, const struct ra_acme_answer *a, enum acme_method m)
{
	json_t *doc = json_object();
	struct acme_target here = at(t, ACME_CHALLENGE, a->authorization.id);
	bool begun = a->authorization.method == m && a->authorization.challenge_state != 0;

	here.method = m;
	put_text(doc, "type", acme_method_name(m));
	put_url(doc, "url", s, &here);
	put_text(doc, "status", acme_state_name(begun ? a->authorization.challenge_state : ACME_PENDING));
	put_text(doc, "token", a->authorization.token);
	if (begun && a->authorization.challenge_state == ACME_VALID)
		put_time(doc, "validated", a->authorization.validated);
	if (begun && a->authorization.error != ACME_OK)
		(void)json_object_set_new(doc, "error", error_value(a->authorization.error, a->authorization.error_detail, NULL));
	return doc;
}

static bool offers(const struct ra_acme_answer *a, enum acme_method m)
{
	return (a->authorization.methods & 1u << m) != 0;
}

/* RFC 8555, 7.1.4 */
static void put_authorization(struct response *out, const struct acme_settings *s, const struct acme_target *t, const struct ra_acme_answer *a)
{
	AUTO(json_t) *doc = json_object();
	json_t *list = json_array();

	put_text(doc, "status", acme_state_name(a->authorization.state));
	put_time(doc, "expires", a->authorization.expires);
	(void)json_object_set_new(doc, "identifier", identifier_value(&a->authorization.identifier));
	for (int m = ACME_HTTP_01; m <= ACME_TLS_ALPN_01; m++) {
		/* Once decided: the one that decided it. */
		if (a->authorization.state != ACME_PENDING && a->authorization.method != 0 && a->authorization.method != (enum acme_method)m)
			continue;
		if (offers(a, (enum acme_method)m))
			(void)json_array_append_new(list, challenge_value(s, t, a, (enum acme_method)m));
	}
	(void)json_object_set_new(doc, "challenges", list);
	if (a->authorization.wildcard)
		(void)json_object_set_new(doc, "wildcard", json_true());
	give(out, 200, "application/json", doc);
}

static void put_challenge(struct response *out, const struct acme_settings *s, const struct acme_target *t, const struct ra_acme_answer *a)
{
	struct acme_target up = at(t, ACME_AUTHORIZATION, a->authorization.id);
	AUTO(json_t) *doc = NULL;
	struct refusal r;

	if (!offers(a, t->method)) {
		(void)acme_refuse(&r, ACME_NOT_FOUND, "this authorization has no challenge of this type");
		give_problem(out, s, &r, NULL);
		return;
	}
	doc = challenge_value(s, t, a, t->method);
	acme_link(out, s, &up, "up"); /* RFC 8555, 7.5.1 */
	give(out, 200, "application/json", doc);
}

/* RFC 8555, 7.1.2.1 */
static void put_list(struct response *out, const struct acme_settings *s, const struct acme_target *t, const struct ra_acme_answer *a)
{
	AUTO(json_t) *doc = json_object();
	json_t *list = json_array();
	struct acme_target order = at(t, ACME_ORDER, 0), next = at(t, ACME_ORDERS, t->id);

	for (uint32_t i = 0; i < a->list_n; i++) {
		order.id = a->list[i];
		(void)json_array_append_new(list, url_value(s, &order));
	}
	(void)json_object_set_new(doc, "orders", list);
	next.cursor = a->next;
	if (a->next != 0)
		acme_link(out, s, &next, "next");
	give(out, 200, "application/json", doc);
}

/* RFC 8555, 7.4.2, 9.1: leaf first, line feeds, nothing between. */
static void put_chain(struct response *out, const struct acme_settings *s, const struct acme_target *t, const struct ra_acme_answer *a)
{
	for (uint32_t i = 0; i < a->chain_n; i++)
		pem_put(&out->body, "CERTIFICATE", a->chain[i].p, a->chain[i].n);
	for (uint32_t i = 0; i <= a->alternates && i <= ALTERNATES_MAX; i++) {
		struct acme_target other = at(t, i == 0 ? ACME_CERTIFICATE : ACME_ALTERNATE, t->id);

		other.alternate = i;
		if (i != t->alternate)
			acme_link(out, s, &other, "alternate");
	}
	out->status = 200;
	out->content_type = "application/pem-certificate-chain";
}

/* RFC 9773, 4.2, 4.3 */
static void put_window(struct response *out, const struct ra_acme_answer *a)
{
	AUTO(json_t) *doc = json_object();
	json_t *window = json_object();

	put_time(window, "start", a->window_start);
	put_time(window, "end", a->window_end);
	(void)json_object_set_new(doc, "suggestedWindow", window);
	give(out, 200, "application/json", doc);
	response_header(out, "Retry-After", "%d", a->retry_after > 0 ? a->retry_after : 21600);
}

static void put_problem(struct response *out, const struct acme_settings *s, const struct acme_target *t, const struct ra_acme_answer *a)
{
	struct acme_target account = at(t, ACME_ACCOUNT, a->account);
	json_t *subs = NULL;
	struct refusal r;

	(void)acme_refuse(&r, a->problem, "%.399s", a->detail);
	r.retry_after = a->retry_after;
	if (a->sub_n != 0)
		subs = json_array();
	for (uint32_t i = 0; i < a->sub_n; i++)
		(void)json_array_append_new(subs, subproblem(a->sub[i].problem, a->sub[i].detail, &a->sub[i].identifier));
	/* RFC 8555, 7.3.5: whose the new key is. */
	if (a->problem == ACME_CONFLICT && a->account != 0)
		header_url(out, "Location", s, &account);
	give_problem(out, s, &r, subs);
}

/* What each question needs in its answer; without it ra has a defect. */
static uint32_t part_of(enum ra_acme_op op)
{
	static const uint32_t parts[RA_ACME_OP_COUNT] = {
		[RA_ACME_KEY] = RA_ACME_HAS_ACCOUNT | RA_ACME_HAS_KEY, [RA_ACME_NEW_ACCOUNT] = RA_ACME_HAS_ACCOUNT,
		[RA_ACME_ACCOUNT] = RA_ACME_HAS_ACCOUNT, [RA_ACME_CONTACTS] = RA_ACME_HAS_ACCOUNT, [RA_ACME_DEACTIVATE] = RA_ACME_HAS_ACCOUNT,
		[RA_ACME_KEY_CHANGE] = RA_ACME_HAS_ACCOUNT, [RA_ACME_ORDERS] = RA_ACME_HAS_LIST, [RA_ACME_NEW_ORDER] = RA_ACME_HAS_ORDER,
		[RA_ACME_ORDER] = RA_ACME_HAS_ORDER, [RA_ACME_AUTHORIZATION] = RA_ACME_HAS_AUTHORIZATION,
		[RA_ACME_AUTHORIZATION_END] = RA_ACME_HAS_AUTHORIZATION, [RA_ACME_CHALLENGE] = RA_ACME_HAS_AUTHORIZATION,
		[RA_ACME_CHALLENGE_START] = RA_ACME_HAS_AUTHORIZATION, [RA_ACME_FINALIZE] = RA_ACME_HAS_ORDER,
		[RA_ACME_CERTIFICATE] = RA_ACME_HAS_CHAIN, [RA_ACME_RENEWAL_INFO] = RA_ACME_HAS_WINDOW,
	};

	return (unsigned)op < RA_ACME_OP_COUNT ? parts[op] : 0;
}

static void put_part(struct response *out, const struct acme_settings *s, const struct acme_target *t, enum ra_acme_op op,
                     const struct ra_acme_answer *a)
{
	struct acme_target here = at(t, ACME_ACCOUNT, a->account);

	switch (part_of(op)) {
	case RA_ACME_HAS_ACCOUNT:
		if (t->place == ACME_NEW_ACCOUNT) {
			header_url(out, "Location", s, &here);
			if (s->terms[0] != 0)
				response_header(out, "Link", "<%s>;rel=\"terms-of-service\"", s->terms);
		}
		put_account(out, s, t, a, a->created ? 201 : 200);
		break;
	case RA_ACME_HAS_ORDER:
		here = at(t, ACME_ORDER, a->order.id);
		if (op == RA_ACME_NEW_ORDER || op == RA_ACME_FINALIZE)
			header_url(out, "Location", s, &here);
		put_order(out, s, t, a, op == RA_ACME_NEW_ORDER ? 201 : 200);
		break;
	case RA_ACME_HAS_AUTHORIZATION:
		if (t->place == ACME_CHALLENGE)
			put_challenge(out, s, t, a);
		else
			put_authorization(out, s, t, a);
		break;
	case RA_ACME_HAS_LIST:
		put_list(out, s, t, a);
		break;
	case RA_ACME_HAS_CHAIN:
		put_chain(out, s, t, a);
		break;
	case RA_ACME_HAS_WINDOW:
		put_window(out, a);
		return;
	default: /* a revocation: 200, nothing in it */
		out->status = 200;
		out->body.n = 0;
	}
	if (a->retry_after > 0 && out->status < 300)
		response_header(out, "Retry-After", "%d", a->retry_after);
}

void acme_answer(struct response *out, const struct acme_settings *s, const struct acme_target *t, enum ra_acme_op op,
                 const struct ra_acme_answer *a)
{
	struct refusal r;

	if (a->problem != ACME_OK) {
		put_problem(out, s, t, a);
	} else if ((a->parts & part_of(op)) != part_of(op) || (part_of(op) == RA_ACME_HAS_CHAIN && a->chain_n == 0)) {
		(void)acme_refuse(&r, ACME_SERVER_INTERNAL, "internal error");
		give_problem(out, s, &r, NULL);
	} else {
		put_part(out, s, t, op, a);
	}
}
