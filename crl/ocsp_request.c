/* SPDX-License-Identifier: Apache-2.0 */
#include "crl/ocsp_request.h"

#include "base/der.h"
#include "base/text.h"

#include <string.h>

static const struct {
	uint8_t n, oid[9], octets;
} hashes[CERT_ID_HASHES] = {
	[CERT_ID_SHA1] = { 5, { 0x2b, 0x0e, 0x03, 0x02, 0x1a }, 20 },
	[CERT_ID_SHA256] = { 9, { 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01 }, 32 },
	[CERT_ID_SHA384] = { 9, { 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02 }, 48 },
	[CERT_ID_SHA512] = { 9, { 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03 }, 64 },
};
static const uint8_t oid_nonce[] = { 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x02 };

enum { SLASHES_MAX = 64 };

static bool malformed(struct err *e, const char *where)
{
	return err_set(e, ERR_BAD_REQUEST, "malformed OCSP request (%s)", where);
}

static bool parse_algorithm(struct cert_id *id, struct der *in)
{
	struct der alg = der_in(in, DER_SEQUENCE);
	struct span oid = der_span(&alg, DER_OID);

	if (!der_empty(&alg) && der_span(&alg, DER_NULL).n != 0)
		return false;
	if (!der_done(&alg) || !der_is_oid(oid))
		return false;
	for (int i = 0; i < CERT_ID_HASHES; i++) {
		if (oid.n == hashes[i].n && memcmp(oid.p, hashes[i].oid, oid.n) == 0) {
			id->hash = (enum cert_id_hash)i;
			return true;
		}
	}
	/* A hash that nobody's issuer is known by: answered as an unknown issuer. */
	id->hash = CERT_ID_HASHES;
	return true;
}

static bool parse_cert_id(struct cert_id *id, struct der *request)
{
	struct span whole = der_whole(request, DER_SEQUENCE), serial;
	struct der d = der_of_span(whole), in = der_in(&d, DER_SEQUENCE);

	*id = (struct cert_id){ .whole = whole };
	if (request->bad || whole.n > OCSP_CERTID_MAX || !parse_algorithm(id, &in))
		return false;
	id->name_hash = der_span(&in, DER_OCTETS);
	id->key_hash = der_span(&in, DER_OCTETS);
	serial = der_span(&in, DER_INTEGER);
	if (!der_done(&in) || serial.n == 0)
		return false;
	if (id->hash != CERT_ID_HASHES && (id->name_hash.n != hashes[id->hash].octets || id->key_hash.n != hashes[id->hash].octets))
		return false;
	if (serial.n > 1 && ((serial.p[0] == 0 && (serial.p[1] & 0x80) == 0) || (serial.p[0] == 0xff && (serial.p[1] & 0x80) != 0)))
		return false;
	if ((serial.p[0] & 0x80) != 0 || (serial.n == 1 && serial.p[0] == 0))
		id->impossible = true;
	if (serial.n > 1 && serial.p[0] == 0)
		serial.p++, serial.n--;
	if (serial.n > SERIAL_MAX)
		id->impossible = true;
	id->serial.n = (uint8_t)(serial.n > SERIAL_MAX ? SERIAL_MAX : serial.n);
	memcpy(id->serial.v, serial.p, id->serial.n);
	return true;
}

static bool parse_extension(struct ocsp_request *out, struct der *list, bool in_single)
{
	struct der ext = der_in(list, DER_SEQUENCE), value;
	struct span oid = der_span(&ext, DER_OID), octets;
	bool critical = false;

	if (der_peek(&ext) == DER_BOOLEAN)
		critical = der_bool(&ext);
	octets = der_span(&ext, DER_OCTETS);
	if (!der_done(&ext) || !der_is_oid(oid))
		return false;
	if (in_single || oid.n != sizeof oid_nonce || memcmp(oid.p, oid_nonce, oid.n) != 0)
		return !critical;
	/* RFC 9654, 2.1: the value is an OCTET STRING inside extnValue. */
	value = der_of_span(octets);
	if (out->nonce.n != 0)
		return false;
	out->nonce = der_span(&value, DER_OCTETS);
	return der_done(&value) && out->nonce.n >= 1 && out->nonce.n <= OCSP_NONCE_MAX;
}

static bool parse_extensions(struct ocsp_request *out, struct der wrap, bool in_single)
{
	struct der list = der_in(&wrap, DER_SEQUENCE);

	if (!der_done(&wrap))
		return false;
	while (!der_empty(&list))
		if (!parse_extension(out, &list, in_single))
			return false;
	return !list.bad;
}

static bool parse_requests(struct ocsp_request *out, struct der list)
{
	while (!der_empty(&list)) {
		struct der one = der_in(&list, DER_SEQUENCE), ext;

		if (out->n == OCSP_SINGLE_MAX || !parse_cert_id(&out->id[out->n], &one))
			return false;
		out->n++;
		if (der_optional(&one, DER_CONTEXT_CONS | 0, &ext) && !parse_extensions(out, ext, true))
			return false;
		if (!der_done(&one))
			return false;
	}
	return !list.bad && out->n != 0;
}

bool ocsp_request_parse(struct ocsp_request *out, const uint8_t *p, size_t n, struct err *e)
{
	struct der d = der_of(p, n), all, tbs, part;

	out->n = 0;
	out->nonce = (struct span){ NULL, 0 };
	if (n > OCSP_REQUEST_MAX)
		return malformed(e, "too large");
	all = der_in(&d, DER_SEQUENCE);
	if (!der_done(&d))
		return malformed(e, "outer structure or trailing octets");
	tbs = der_in(&all, DER_SEQUENCE);
	if (der_optional(&all, DER_CONTEXT_CONS | 0, &part) && part.bad)
		return malformed(e, "signature");
	if (!der_done(&all))
		return malformed(e, "outer structure");
	/* version [0] DEFAULT v1: DER leaves it out, some clients don't. */
	if (der_optional(&tbs, DER_CONTEXT_CONS | 0, &part) && (der_uint(&part) != 0 || !der_done(&part)))
		return malformed(e, "version");
	if (der_peek(&tbs) == (DER_CONTEXT_CONS | 1))
		(void)der_in(&tbs, DER_CONTEXT_CONS | 1);
	if (!parse_requests(out, der_in(&tbs, DER_SEQUENCE)))
		return malformed(e, "requestList");
	if (der_optional(&tbs, DER_CONTEXT_CONS | 2, &part) && !parse_extensions(out, part, false))
		return malformed(e, "extensions");
	return der_done(&tbs) || malformed(e, "tbsRequest");
}

/* Percent-escapes in either case; an unescaped + may have become a space on its way. */
static bool unescape(struct buf *text, const char *path)
{
	size_t got;

	for (; *path != 0; path++) {
		uint8_t octet = (uint8_t)*path;

		if (*path == '%') {
			char two[3] = { 0 };

			if (path[1] == 0 || path[2] == 0)
				return false;
			memcpy(two, path + 1, 2);
			if (!hex_get(two, &octet, 1, &got))
				return false;
			path += 2;
		}
		buf_byte(text, octet == ' ' ? '+' : octet);
	}
	return true;
}

/* A proxy that tidies paths has made one slash of two: one character is missing. The doubled one is put back where the
 * outcome is a request, if there is just one such place; else nobody knows what was asked. */
static bool unfold(struct buf *der, const struct buf *text)
{
	struct ocsp_request *q = mem_new(sizeof *q);
	size_t places = 0, tried = 0;

	for (size_t i = 0; i < text->n && tried < SLASHES_MAX && places < 2; i++) {
		AUTO_BUF whole = { 0 };
		AUTO_BUF out = { 0 };

		if (text->p[i] != '/')
			continue;
		tried++;
		buf_add(&whole, text->p, i + 1);
		buf_add(&whole, text->p + i, text->n - i);
		if (!b64_get(&out, (char *)whole.p, whole.n) || !ocsp_request_parse(q, out.p, out.n, NULL))
			continue;
		der->n = 0;
		buf_add(der, out.p, out.n);
		places++;
	}
	free(q);
	return places == 1;
}

bool ocsp_get_decode(struct buf *der, const char *path, struct err *e)
{
	AUTO_BUF text = { 0 };

	while (*path == '/')
		path++;
	if (strlen(path) > 2 * OCSP_REQUEST_MAX)
		return malformed(e, "too large");
	if (!unescape(&text, path))
		return malformed(e, "percent-escape");
	if (text.n != 0 && b64_get(der, (char *)text.p, text.n))
		return true;
	der->n = 0;
	return (text.n % 4 == 3 && memmem(text.p, text.n, "//", 2) == NULL && unfold(der, &text)) || malformed(e, "base64");
}
