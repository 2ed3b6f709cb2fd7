/* SPDX-License-Identifier: Apache-2.0 */
#include "acme/jwk.h"

#include "base/der.h"
#include "base/text.h"
#include "pkix/weak_key.h"

#include <string.h>

enum { RSA_OCTETS_MAX = 1024 + 1 };

static const struct kind {
	enum jws_alg alg;
	enum key_type type;
	enum sig_alg sig;
	const char *kty, *crv;   /* of the JWK */
	const char *oid, *param; /* of the SPKI */
	unsigned octets;         /* of a coordinate; Ed25519: of the key */
} kinds[] = {
	{ JWS_ES256, KEY_P256, SIG_ECDSA_SHA256, "EC", "P-256", "1.2.840.10045.2.1", "1.2.840.10045.3.1.7", 32 },
	{ JWS_ES384, KEY_P384, SIG_ECDSA_SHA384, "EC", "P-384", "1.2.840.10045.2.1", "1.3.132.0.34", 48 },
	{ JWS_ES512, KEY_P521, SIG_ECDSA_SHA512, "EC", "P-521", "1.2.840.10045.2.1", "1.3.132.0.35", 66 },
	{ JWS_EDDSA, KEY_ED25519, SIG_ED25519, "OKP", "Ed25519", "1.3.101.112", NULL, 32 },
	{ JWS_RS256, KEY_RSA, SIG_RSA_SHA256, "RSA", NULL, "1.2.840.113549.1.1.1", NULL, 0 },
};

static const struct kind *kind_of(const char *kty, const char *crv)
{
	for (size_t i = 0; i < COUNT_OF(kinds); i++)
		if (strcmp(kinds[i].kty, kty) == 0 && (kinds[i].crv == NULL || (crv != NULL && strcmp(kinds[i].crv, crv) == 0)))
			return &kinds[i];
	return NULL;
}

/* An octet string of the key; octets: its length, 0 a big number without zeroes before it. */
static bool take(struct buf *out, const json_t *jwk, const char *name, size_t octets, struct refusal *r)
{
	const json_t *v = json_object_get(jwk, name);

	out->n = 0;
	if (!json_is_string(v) || json_string_length(v) > 2 * RSA_OCTETS_MAX || !b64url_get(out, json_string_value(v), json_string_length(v)))
		return acme_refuse(r, ACME_BAD_PUBLIC_KEY, "the jwk's %s is no base64url without padding", name);
	if (octets != 0 ? out->n != octets : out->n == 0 || out->n > RSA_OCTETS_MAX || out->p[0] == 0)
		return acme_refuse(r, ACME_BAD_PUBLIC_KEY, "the jwk's %s has not the length of its kind (RFC 7518, 6)", name);
	return true;
}

static void put_spki(struct buf *out, const struct kind *k, const struct buf *bits)
{
	size_t whole = der_begin(out, DER_SEQUENCE), alg = der_begin(out, DER_SEQUENCE);

	(void)!der_put_oid(out, k->oid);
	if (k->param != NULL)
		(void)!der_put_oid(out, k->param);
	else if (k->type == KEY_RSA)
		der_put_null(out);
	der_end(out, alg);
	der_put_bits(out, bits->p, bits->n, 0);
	der_end(out, whole);
}

/* RFC 7638, 3: the members that make the key, in the order of their names. Texts are base64url in its one form by now. */
static void thumbprint(uint8_t out[32], const json_t *jwk, const struct kind *k)
{
	AUTO_BUF text = { 0 };

	if (k->type == KEY_RSA)
		buf_printf(&text, "{\"e\":\"%s\",\"kty\":\"RSA\",\"n\":\"%s\"}", acme_json_text(jwk, "e"), acme_json_text(jwk, "n"));
	else if (k->type == KEY_ED25519)
		buf_printf(&text, "{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"%s\"}", acme_json_text(jwk, "x"));
	else
		buf_printf(&text, "{\"crv\":\"%s\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}", k->crv, acme_json_text(jwk, "x"), acme_json_text(jwk, "y"));
	digest_sha256(out, text.p, text.n);
}

static bool take_bits(struct buf *bits, const json_t *jwk, const struct kind *k, struct refusal *r)
{
	AUTO_BUF part = { 0 };
	size_t mark;

	if (k->type == KEY_ED25519)
		return take(bits, jwk, "x", k->octets, r);
	if (k->type == KEY_RSA) {
		mark = der_begin(bits, DER_SEQUENCE);
		for (const char *name = "n"; name != NULL; name = name[0] == 'n' ? "e" : NULL) {
			if (!take(&part, jwk, name, 0, r))
				return false;
			der_put_unsigned(bits, part.p, part.n);
		}
		der_end(bits, mark);
		return true;
	}
	buf_byte(bits, 4);
	for (const char *name = "x"; name != NULL; name = name[0] == 'x' ? "y" : NULL) {
		if (!take(&part, jwk, name, k->octets, r))
			return false;
		buf_add(bits, part.p, part.n);
	}
	return true;
}

/* RFC 7517, 4: what the key says of itself must not speak against its use. */
static bool says_so(const json_t *jwk, const struct kind *k, struct refusal *r)
{
	static const char *const secret[] = { "d", "p", "q", "dp", "dq", "qi", "oth", "k" };
	const json_t *alg = json_object_get(jwk, "alg"), *use = json_object_get(jwk, "use");

	for (size_t i = 0; i < COUNT_OF(secret); i++)
		if (json_object_get(jwk, secret[i]) != NULL)
			return acme_refuse(r, ACME_BAD_PUBLIC_KEY, "the jwk has private members: this key is known now, make a new one");
	if ((alg != NULL && (!json_is_string(alg) || strcmp(json_string_value(alg), jws_alg_name(k->alg)) != 0)) ||
	    (use != NULL && (!json_is_string(use) || strcmp(json_string_value(use), "sig") != 0)))
		return acme_refuse(r, ACME_BAD_PUBLIC_KEY, "the jwk says that it is for something else (alg or use)");
	return true;
}

bool jwk_parse(struct jwk *out, const json_t *jwk, struct refusal *r)
{
	const char *kty = acme_json_text(jwk, "kty");
	const struct kind *k = kty != NULL ? kind_of(kty, acme_json_text(jwk, "crv")) : NULL;
	AUTO_BUF bits = { 0 };
	struct err e;

	*out = (struct jwk){ 0 };
	if (k == NULL)
		return acme_refuse(r, ACME_BAD_PUBLIC_KEY, "a key of this type is not accepted; use EC on P-256");
	if (!says_so(jwk, k, r) || !take_bits(&bits, jwk, k, r))
		return false;
	put_spki(&out->spki, k, &bits);
	if (!key_parse(&out->info, span_of(&out->spki), &e))
		return acme_refuse(r, ACME_BAD_PUBLIC_KEY, "%.390s", e.text);
	thumbprint(out->thumbprint, jwk, k);
	return true;
}

void jwk_free(struct jwk *k)
{
	buf_free(&k->spki);
}

bool jwk_load(EVP_PKEY **out, const struct jwk *k, struct refusal *r)
{
	struct err e;

	*out = NULL;
	if (!key_load(out, &k->info, &e) || !key_check_weak(&k->info, &e)) {
		EVP_PKEY_free(TAKE(*out));
		return acme_refuse(r, ACME_BAD_PUBLIC_KEY, "%.390s", e.text);
	}
	return true;
}

static const struct kind *kind_of_alg(enum jws_alg a)
{
	for (size_t i = 0; i < COUNT_OF(kinds); i++)
		if (kinds[i].alg == a)
			return &kinds[i];
	return NULL;
}

bool jws_alg_fits(enum jws_alg a, enum key_type t, struct refusal *r)
{
	const struct kind *k = kind_of_alg(a);

	return (k != NULL && k->type == t) || acme_refuse(r, ACME_BAD_SIGNATURE_ALGORITHM, "alg is not the one of this key");
}

static bool all_zero(const uint8_t *p, size_t n)
{
	while (n != 0 && p[n - 1] == 0)
		n--;
	return n == 0;
}

/* RFC 7518, 3.4, to the form of X.509. */
static bool ecdsa_der(struct buf *out, struct span signature, unsigned octets)
{
	size_t mark;

	if (signature.n != 2 * (size_t)octets || all_zero(signature.p, octets) || all_zero(signature.p + octets, octets))
		return false;
	mark = der_begin(out, DER_SEQUENCE);
	der_put_unsigned(out, signature.p, octets);
	der_put_unsigned(out, signature.p + octets, octets);
	der_end(out, mark);
	return true;
}

bool jws_verify(EVP_PKEY *key, enum key_type type, enum jws_alg a, struct span input, struct span signature, struct refusal *r)
{
	const struct kind *k = kind_of_alg(a);
	AUTO_BUF der = { 0 };
	bool good = true;

	/* Here again: OpenSSL takes an RSA key with the digest that it likes when EdDSA names none. */
	if (!jws_alg_fits(a, type, r))
		return false;
	if (k->param != NULL) {
		good = ecdsa_der(&der, signature, k->octets);
		signature = span_of(&der);
	}
	return (good && sig_verify(key, k->sig, input, signature, NULL)) || acme_refuse(r, ACME_MALFORMED, "the signature does not hold");
}
