/* SPDX-License-Identifier: Apache-2.0
 *
 * Names as they stand in certificates: a subject's attributes and the alternative names (RFC 5280, 4.1.2.4, 4.2.1.6).
 * Flat values: they pass the doors and are compared by memcmp after names_normalise. */
#ifndef CADUCEUS_PKIX_NAME_H
#define CADUCEUS_PKIX_NAME_H

#include "base/buf.h"
#include "base/cursor.h"
#include "base/der.h"
#include "base/err.h"

#include <stdint.h>

enum dn_type { /* travels as a byte: append only */
	DN_CN = 1, DN_O, DN_OU, DN_C, DN_ST, DN_L, DN_SERIAL_NUMBER, DN_EMAIL, DN_DC, DN_QUALIFIER,
};
enum { DN_MAX = 10, DN_VALUE_MAX = 256 };
struct dn {
	size_t n;
	struct dn_attr {
		enum dn_type type;
		char value[DN_VALUE_MAX]; /* UTF-8 */
	} attr[DN_MAX];
};

enum san_type { SAN_DNS = 1, SAN_IP, SAN_EMAIL, SAN_URI, SAN_UPN, SAN_TYPE_COUNT };
enum { SAN_MAX = 100, SAN_VALUE_MAX = 255 };
struct san {
	enum san_type type;
	size_t n;                       /* octets in value */
	char value[SAN_VALUE_MAX + 1];  /* DNS, EMAIL, URI, UPN: text, NUL-terminated; IP: 4 or 16 octets */
};
struct san_list {
	size_t n;
	struct san v[SAN_MAX];
};

/* Contract word ("dns", "ip", "email", "uri", "upn"); NULL for an unknown type. */
const char *san_type_name(enum san_type t);
/* "dns:pump.example" (the contract's TYPE:VALUE) -> checked, normalised value. A dns value may begin with "*.";
 * wildcard_alone also allows "dns:*" (any name), for the rules of a device, never for a certificate. */
MUST_USE bool san_from_text(struct san *out, const char *text, bool wildcard_alone, struct err *e);
/* "dns:pump.example", "ip:192.0.2.1", "ip:2001:db8::1". */
void san_to_text(const struct san *s, char *out, size_t size);
/* X509-30, 31: LDH labels of at most 63, total at most 253, lower-cased, no underscore, no trailing dot, wildcard
 * only as the whole leftmost label; e-mail ASCII local@domain; URI with scheme and host; IP 4 or 16 octets. */
MUST_USE bool san_check(struct san *s, struct err *e);
/* Sorts (type, then octets) and drops duplicates: X509-31, 44. */
void san_list_normalise(struct san_list *l);
bool san_list_has(const struct san_list *l, const struct san *s);
bool san_list_equal(const struct san_list *a, const struct san_list *b); /* both normalised */
/* True when the text is a name that a certificate may carry as a dNSName (without wildcard). */
bool text_is_dns_name(const char *s);

/* DER: GeneralNames content (without its SEQUENCE header) to a list. An entry of a type that we don't issue is
 * ERR_BAD_NAME and named. Values are checked and normalised. */
MUST_USE bool san_list_parse(struct san_list *out, struct span content, struct err *e);
/* The same for certificates that others made: entries that san_list_parse refuses are left out, and so are those after
 * SAN_MAX. False when one of them is no GeneralName (x400Address and ediPartyName are taken for none). */
MUST_USE bool san_list_parse_foreign(struct san_list *out, struct span content);
/* Adds the SEQUENCE of GeneralName. */
void san_list_der(struct buf *out, const struct san_list *l);

/* X509-10: lengths in characters (CN, O, OU, serialNumber 64; L, ST 128; C two letters; email 255), no NUL, no
 * control characters, no blanks at the edges, well-formed UTF-8. */
MUST_USE bool dn_check(const struct dn *d, struct err *e);
/* Adds the Name, one attribute per RDN in the order given; encodings as X509-10. */
void dn_der(struct buf *out, const struct dn *d);
/* Reads a Name (the whole element). Attributes of other types are skipped and counted in *ignored (may be NULL).
 * Refuses malformed DER, string types but UTF8String, PrintableString, IA5String, T61String, BMPString. */
MUST_USE bool dn_parse(struct dn *out, struct span name, unsigned *ignored, struct err *e);
/* A whole Name, whatever its attributes are: DER throughout, values that are texts. */
bool name_is_well_formed(struct span name);
const char *dn_first(const struct dn *d, enum dn_type type); /* NULL when it is not there */
MUST_USE bool dn_add(struct dn *d, enum dn_type type, const char *value);
/* "CN", "O", … as profiles write them. */
MUST_USE bool dn_type_parse(const char *word, enum dn_type *out);
/* RFC 4514-like, most specific first as stored: "CN=pump-7,O=St. Hedwig". Cut at a whole character when out is short. */
void dn_text(const struct dn *d, char *out, size_t size);

/* Codecs for the doors. */
void dn_put(struct buf *b, const struct dn *d);
void dn_get(struct rd *r, struct dn *d);
void san_list_put(struct buf *b, const struct san_list *l);
void san_list_get(struct rd *r, struct san_list *l);

#endif
