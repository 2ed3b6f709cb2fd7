/* SPDX-License-Identifier: Apache-2.0 */
#include "acme/jws.h"

#include "base/text.h"

#include <string.h>

static const char *const names[JWS_ALG_COUNT] = {
	[JWS_ES256] = "ES256", [JWS_ES384] = "ES384", [JWS_ES512] = "ES512", [JWS_EDDSA] = "EdDSA", [JWS_RS256] = "RS256",
	[JWS_HS256] = "HS256", [JWS_HS384] = "HS384", [JWS_HS512] = "HS512",
};

const char *jws_alg_name(enum jws_alg a)
{
	return (unsigned)a < JWS_ALG_COUNT && names[a] != NULL ? names[a] : "";
}

static bool is_mac(enum jws_alg a)
{
	return a >= JWS_HS256;
}

static bool take_alg(struct jws *out, const json_t *header, enum jws_kind kind, struct refusal *r)
{
	const char *name = acme_json_text(header, "alg");

	if (name == NULL)
		return acme_refuse(r, ACME_MALFORMED, "the protected header needs alg (RFC 8555, 6.2)");
	for (int a = 1; a < JWS_ALG_COUNT; a++)
		if (strcmp(names[a], name) == 0)
			out->alg = (enum jws_alg)a;
	if (kind == JWS_BINDING)
		return is_mac(out->alg) ||
		       acme_refuse(r, ACME_MALFORMED, "the external account binding is signed with HS256, HS384 or HS512 (RFC 8555, 7.3.4)");
	/* RFC 8555, 6.2: no MAC, no "none". */
	return (out->alg != 0 && !is_mac(out->alg)) ||
	       acme_refuse(r, ACME_BAD_SIGNATURE_ALGORITHM, "this signature algorithm is not accepted; use ES256");
}

/* A text of the header into out[size]; "" when it is not there. */
static bool take_text(char *out, size_t size, const json_t *header, const char *name, struct refusal *r)
{
	const json_t *v = json_object_get(header, name);
	size_t n = json_string_length(v);

	out[0] = 0;
	if (v == NULL)
		return true;
	if (!json_is_string(v) || n == 0 || n >= size || !text_is_clean_utf8(json_string_value(v), n))
		return acme_refuse(r, ACME_MALFORMED, "the protected header's %s is no text, empty or too long", name);
	memcpy(out, json_string_value(v), n + 1);
	return true;
}

static bool is_base64url(const char *s)
{
	return s[strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")] == 0;
}

/* RFC 8555, 6.2: alg, nonce, url, and just one of jwk and kid. */
static bool take_header(struct jws *out, const json_t *header, enum jws_kind kind, struct refusal *r)
{
	json_t *jwk = json_object_get(header, "jwk");

	/* RFC 7515, 4.1.11: what is critical and not understood is refused; RFC 7797 makes an unencoded payload so. */
	if (json_object_get(header, "crit") != NULL || json_object_get(header, "b64") != NULL)
		return acme_refuse(r, ACME_MALFORMED, "the protected header has crit or b64, which is not accepted (RFC 8555, 6.2)");
	if (!take_alg(out, header, kind, r) || !take_text(out->nonce, sizeof out->nonce, header, "nonce", r) ||
	    !take_text(out->url, sizeof out->url, header, "url", r) || !take_text(out->kid, sizeof out->kid, header, "kid", r))
		return false;
	if (jwk != NULL && !json_is_object(jwk))
		return acme_refuse(r, ACME_MALFORMED, "the protected header's jwk is no object");
	if ((jwk != NULL) == (out->kid[0] != 0))
		return acme_refuse(r, ACME_MALFORMED, "the protected header needs jwk or kid, and not both (RFC 8555, 6.2)");
	if (jwk == NULL ? kind == JWS_NEW_KEY : kind == JWS_BINDING)
		return acme_refuse(r, ACME_MALFORMED, "the protected header needs %s here", jwk == NULL ? "jwk" : "kid");
	if (out->url[0] == 0)
		return acme_refuse(r, ACME_MALFORMED, "the protected header needs url (RFC 8555, 6.4)");
	if ((out->nonce[0] != 0) != (kind == JWS_REQUEST))
		return acme_refuse(r, ACME_MALFORMED, kind == JWS_REQUEST ? "the protected header needs nonce (RFC 8555, 6.5)"
		                                                          : "the inner protected header must have no nonce");
	if (!is_base64url(out->nonce))
		return acme_refuse(r, ACME_MALFORMED, "the nonce is no base64url (RFC 8555, 6.5.2)");
	out->jwk = json_incref(jwk);
	return true;
}

static bool take_octets(struct buf *out, const json_t *doc, const char *name, struct refusal *r)
{
	const json_t *v = json_object_get(doc, name);

	if (!json_is_string(v))
		return acme_refuse(r, ACME_MALFORMED, "the body is no flattened JWS: it needs protected, payload and signature (RFC 8555, 6.2)");
	/* RFC 7515, 2: no padding, no line ends. */
	return b64url_get(out, json_string_value(v), json_string_length(v)) ||
	       acme_refuse(r, ACME_MALFORMED, "%s is no base64url without padding (RFC 7515, 2)", name);
}

bool jws_read(struct jws *out, const json_t *doc, enum jws_kind kind, struct refusal *r)
{
	AUTO_BUF text = { 0 };
	AUTO(json_t) *header = NULL;
	const json_t *part[2] = { json_object_get(doc, "protected"), json_object_get(doc, "payload") };

	*out = (struct jws){ 0 };
	if (json_object_get(doc, "signatures") != NULL || json_object_get(doc, "header") != NULL)
		return acme_refuse(r, ACME_MALFORMED, "a JWS with signatures or an unprotected header is not accepted (RFC 8555, 6.2)");
	if (!take_octets(&text, doc, "protected", r) || !take_octets(&out->payload, doc, "payload", r) ||
	    !take_octets(&out->signature, doc, "signature", r))
		return false;
	if (out->signature.n == 0 || out->signature.n > JWS_SIGNATURE_MAX)
		return acme_refuse(r, ACME_MALFORMED, "the signature is empty or too long");
	header = acme_json(span_of(&text));
	if (header == NULL)
		return acme_refuse(r, ACME_MALFORMED, "the protected header is no JSON object, too deep, or has a member twice");
	if (!take_header(out, header, kind, r))
		return false;
	buf_reserve(&out->input, json_string_length(part[0]) + json_string_length(part[1]) + 1);
	buf_add(&out->input, json_string_value(part[0]), json_string_length(part[0]));
	buf_byte(&out->input, '.');
	buf_add(&out->input, json_string_value(part[1]), json_string_length(part[1]));
	return true;
}

bool jws_parse(struct jws *out, struct span body, enum jws_kind kind, struct refusal *r)
{
	AUTO(json_t) *doc = NULL;

	*out = (struct jws){ 0 };
	if (body.n > ACME_BODY_MAX)
		return acme_refuse_http(r, 413, "the body is too large");
	doc = acme_json(body);
	if (doc == NULL)
		return acme_refuse(r, ACME_MALFORMED, "the body is no JSON object, too deep, or has a member twice");
	return jws_read(out, doc, kind, r);
}

void jws_free(struct jws *j)
{
	json_decref(j->jwk);
	buf_free(&j->input);
	buf_free(&j->payload);
	buf_free(&j->signature);
	*j = (struct jws){ 0 };
}
