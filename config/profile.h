/* SPDX-License-Identifier: Apache-2.0
 *
 * A certificate profile: what may be issued through which doors. Flat; its canonical form is what profile_put writes,
 * and the SHA-256 of that is the profile version that every certificate names. */
#ifndef CADUCEUS_CONFIG_PROFILE_H
#define CADUCEUS_CONFIG_PROFILE_H

#include "base/buf.h"
#include "base/cursor.h"
#include "base/err.h"

#include <stdint.h>

enum profile_door { DOOR_EST = 1, DOOR_ACME = 2, DOOR_OFFICER = 4, DOOR_INTERNAL = 8 };
enum { PROFILE_NAME_MAX = 32, PROFILE_EKU_MAX = 8, PROFILE_POLICY_MAX = 4, PROFILE_SUBJECT_MAX = 6 };
enum profile_keygen { KEYGEN_OFF, KEYGEN_ENCRYPTED, KEYGEN_PLAIN };
enum profile_cn { CN_ANY_ALLOWED = 0, CN_MUST_BE_SAN = 1 }; /* X509-32: server profiles */

struct profile {
	char name[PROFILE_NAME_MAX];
	char authority[PROFILE_NAME_MAX]; /* "devices", "servers"; "*" for ocsp: the authority it answers for */
	uint32_t doors;
	int64_t validity;        /* us, both end seconds included */
	int64_t min_validity;    /* us: a clamped remainder below this is refused (X509-07) */
	int64_t backdate;        /* us, at most 1 h (X509-06) */
	bool clamp;              /* on_issuer_expiry: clamp (true) or reject */
	uint32_t key_types;      /* bits of enum key_type (pkix/key.h) */
	uint32_t rsa_min_bits;
	bool rsa_key_encipherment;
	size_t eku_n;
	char eku[PROFILE_EKU_MAX][64];    /* dotted, in the order of the file */
	uint32_t san_types;      /* bit (1 << enum san_type) of pkix/name.h */
	bool san_required;
	bool wildcard;           /* a dNSName may be a wildcard */
	enum profile_cn cn;
	size_t policy_n;
	char policy[PROFILE_POLICY_MAX][64];
	char cps[200];           /* CPS URI of the first policy, "" none */
	bool ocsp_aia, cdp, nocheck;
	bool reject_unknown_ext; /* requested extensions outside the list: reject (true) or ignore and audit */
	bool shared_key;         /* X509-40: the key may be certified for another subject, too */
	int64_t max_key_age;     /* us, 0 none: renewals with the same key */
	bool hold_allowed;
	enum profile_keygen keygen;
	bool est_chain;          /* EST replies carry the chain (EST-04: default off) */
	bool est_wrapped;        /* base64 in 64-character lines for every client of this label */
	size_t subject_n;        /* fixed attributes behind CN: "O=…", "OU=…"; "O" without value: the organization */
	struct profile_attr {
		char type[16];
		char value[200];
	} subject[PROFILE_SUBJECT_MAX];
};

/* Canonical form: fixed order, every field, a format number first. */
void profile_put(struct buf *out, const struct profile *p);
void profile_get(struct rd *r, struct profile *p);

/* Reads DIR/profiles/NAME.yaml or a file for `profile check`: all mistakes at once, each "FILE:LINE: what, and what
 * would be right" on a line of its own in *mistakes. `organization` fills an "O" without value. */
MUST_USE bool profile_load(struct profile *out, const char *path, const char *organization, struct buf *mistakes);
/* The same from a text in memory; `label` stands for the file's name in the mistakes. */
MUST_USE bool profile_parse(struct profile *out, const char *label, const char *text, size_t n,
                            const char *organization, struct buf *mistakes);
/* The profiles that init writes: name and YAML text (config/profiles/NAME.yaml, built in). NULL at the end. */
const char *profile_shipped_name(size_t i);
const char *profile_shipped_text(size_t i);

#endif
