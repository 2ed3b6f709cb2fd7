/* SPDX-License-Identifier: Apache-2.0
 *
 * Profiles as YAML, under one table of keys. */
#include "config/profile.h"

#include "base/clock.h"
#include "base/der.h"
#include "config/yaml_file.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct word {
	const char *name;
	uint32_t bit;
};
static const struct word doors[] = {
	{ "est", DOOR_EST }, { "acme", DOOR_ACME }, { "officer", DOOR_OFFICER }, { "internal", DOOR_INTERNAL }, { NULL, 0 },
};
/* The numbers of enum key_type and enum san_type (pkix/), which this room does not include. */
static const struct word key_types[] = {
	{ "ecdsa-p256", 1 }, { "ecdsa-p384", 2 }, { "ecdsa-p521", 4 }, { "ed25519", 8 }, { "rsa", 16 }, { NULL, 0 },
};
static const struct word san_types[] = {
	{ "dns", 1 << 1 }, { "ip", 1 << 2 }, { "email", 1 << 3 }, { "uri", 1 << 4 }, { "upn", 1 << 5 }, { NULL, 0 },
};
static const struct word expiry[] = { { "clamp", 1 }, { "reject", 0 }, { NULL, 0 } };
static const struct word unknown_ext[] = { { "ignore", 0 }, { "reject", 1 }, { NULL, 0 } };
static const struct word cn_rules[] = { { "allowed", CN_ANY_ALLOWED }, { "must-be-san", CN_MUST_BE_SAN }, { NULL, 0 } };
static const struct word keygens[] = {
	{ "off", KEYGEN_OFF }, { "encrypted", KEYGEN_ENCRYPTED }, { "plain", KEYGEN_PLAIN }, { NULL, 0 },
};
/* Purposes by name; any other dotted OID is taken as it is and judged by ca. */
static const struct {
	const char *name, *oid;
} ekus[] = {
	{ "serverAuth", "1.3.6.1.5.5.7.3.1" },     { "clientAuth", "1.3.6.1.5.5.7.3.2" },
	{ "ocspSigning", "1.3.6.1.5.5.7.3.9" },    { "eapOverLAN", "1.3.6.1.5.5.7.3.14" },
	{ "ipsecIKE", "1.3.6.1.5.5.7.3.17" },      { "sdcProvider", "1.2.840.10004.20701.1.1" },
	{ "sdcConsumer", "1.2.840.10004.20701.1.2" },
};

enum kind { K_NAME, K_AUTHORITY, K_BITS, K_WORD, K_DURATION, K_BOOL, K_NUMBER, K_TEXT, K_EKU, K_OIDS, K_SUBJECT };

static const struct key {
	const char *name;
	enum kind kind;
	size_t at;
	const struct word *words;
	bool required;
	const char *expects;
} keys[] = {
#define AT(field) offsetof(struct profile, field)
	{ "name", K_NAME, AT(name), NULL, true, "lower-case letters, digits and hyphens, at most 31" },
	{ "authority", K_AUTHORITY, AT(authority), NULL, true, "the name of an issuing authority, devices or servers" },
	{ "doors", K_BITS, AT(doors), doors, true, "a list of est, acme, officer, internal" },
	{ "validity", K_DURATION, AT(validity), NULL, true, "a duration such as 90d" },
	{ "min_validity", K_DURATION, AT(min_validity), NULL, false, "a duration such as 1d" },
	{ "backdate", K_DURATION, AT(backdate), NULL, false, "a duration of at most 1h, such as 5m" },
	{ "on_issuer_expiry", K_WORD, AT(clamp), expiry, false, "clamp or reject" },
	{ "key_types", K_BITS, AT(key_types), key_types, false, "a list of ecdsa-p256, ecdsa-p384, ecdsa-p521, ed25519, rsa" },
	{ "rsa_min_bits", K_NUMBER, AT(rsa_min_bits), NULL, false, "a number of bits from 2048 to 8192" },
	{ "rsa_key_encipherment", K_BOOL, AT(rsa_key_encipherment), NULL, false, "true or false" },
	{ "eku", K_EKU, AT(eku), NULL, true, "a list of purposes: clientAuth, serverAuth, … or OIDs" },
	{ "san", K_BITS, AT(san_types), san_types, false, "a list of dns, ip, email, uri, upn" },
	{ "san_required", K_BOOL, AT(san_required), NULL, false, "true or false" },
	{ "wildcard", K_BOOL, AT(wildcard), NULL, false, "true or false" },
	{ "cn", K_WORD, AT(cn), cn_rules, false, "allowed or must-be-san" },
	{ "policies", K_OIDS, AT(policy), NULL, false, "a list of OIDs" },
	{ "cps", K_TEXT, AT(cps), NULL, false, "a URI" },
	{ "ocsp", K_BOOL, AT(ocsp_aia), NULL, false, "true or false" },
	{ "crl", K_BOOL, AT(cdp), NULL, false, "true or false" },
	{ "ocsp_nocheck", K_BOOL, AT(nocheck), NULL, false, "true or false" },
	{ "unknown_extensions", K_WORD, AT(reject_unknown_ext), unknown_ext, false, "ignore or reject" },
	{ "shared_key", K_BOOL, AT(shared_key), NULL, false, "true or false" },
	{ "max_key_age", K_DURATION, AT(max_key_age), NULL, false, "a duration such as 2y" },
	{ "hold", K_BOOL, AT(hold_allowed), NULL, false, "true or false" },
	{ "serverkeygen", K_WORD, AT(keygen), keygens, false, "off, encrypted or plain" },
	{ "est_chain", K_BOOL, AT(est_chain), NULL, false, "true or false" },
	{ "est_wrapped", K_BOOL, AT(est_wrapped), NULL, false, "true or false" },
	{ "subject", K_SUBJECT, AT(subject), NULL, false, "a list of O, OU=…, C=…, L=…, ST=…" },
#undef AT
};

struct loading {
	struct profile *p;
	const char *label, *organization;
	struct buf *mistakes;
	bool good;
};

static void wrong(struct loading *l, const struct yaml_entry *en, const struct key *k, const char *value)
{
	yaml_file_mistake(l->mistakes, l->label, en->line, "%s: '%.60s' is not right here; %s is expected", en->key, value,
	             k->expects);
	l->good = false;
}

static bool name_ok(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return s[n] == 0 && n != 0 && n < PROFILE_NAME_MAX && s[0] >= 'a' && s[0] <= 'z';
}

/* EST-01: a label may not be an operation. */
static bool is_operation(const char *s)
{
	static const char *const operations[] = { "cacerts", "simpleenroll", "simplereenroll", "fullcmc", "serverkeygen",
		                                  "csrattrs" };

	for (size_t i = 0; i < COUNT_OF(operations); i++)
		if (strcmp(operations[i], s) == 0)
			return true;
	return false;
}

static bool find_word(const struct word *w, const char *text, uint32_t *bit)
{
	for (; w->name != NULL; w++) {
		if (strcmp(w->name, text) == 0) {
			*bit = w->bit;
			return true;
		}
	}
	return false;
}

static bool oid_ok(const char *text)
{
	AUTO_BUF der = { 0 };

	return strlen(text) < 64 && der_put_oid(&der, text);
}

static void take_bits(struct loading *l, const struct key *k, const struct yaml_entry *en, uint32_t *out)
{
	uint32_t bit;

	*out = 0;
	for (size_t i = 0; i < en->n; i++)
		if (find_word(k->words, en->value[i], &bit))
			*out |= bit;
		else
			wrong(l, en, k, en->value[i]);
}

static void take_ekus(struct loading *l, const struct key *k, const struct yaml_entry *en)
{
	for (size_t i = 0; i < en->n; i++) {
		const char *oid = en->value[i];

		for (size_t j = 0; j < COUNT_OF(ekus); j++)
			if (strcmp(ekus[j].name, oid) == 0)
				oid = ekus[j].oid;
		if (l->p->eku_n == PROFILE_EKU_MAX || !oid_ok(oid))
			wrong(l, en, k, en->value[i]);
		else
			snprintf(l->p->eku[l->p->eku_n++], sizeof l->p->eku[0], "%s", oid);
	}
}

static void take_oids(struct loading *l, const struct key *k, const struct yaml_entry *en)
{
	for (size_t i = 0; i < en->n; i++)
		if (l->p->policy_n == PROFILE_POLICY_MAX || !oid_ok(en->value[i]))
			wrong(l, en, k, en->value[i]);
		else
			snprintf(l->p->policy[l->p->policy_n++], sizeof l->p->policy[0], "%s", en->value[i]);
}

static void take_subject(struct loading *l, const struct key *k, const struct yaml_entry *en)
{
	static const char *const types[] = { "O", "OU", "C", "ST", "L", "DC" };

	l->p->subject_n = 0;
	for (size_t i = 0; i < en->n; i++) {
		struct profile_attr *a = &l->p->subject[l->p->subject_n];
		size_t n = strcspn(en->value[i], "=");
		const char *value = en->value[i][n] == '=' ? en->value[i] + n + 1 : "";
		bool known = false;

		for (size_t j = 0; j < COUNT_OF(types); j++)
			known |= strlen(types[j]) == n && strncmp(types[j], en->value[i], n) == 0;
		if (n == 1 && en->value[i][0] == 'O' && value[0] == 0)
			value = l->organization;
		if (!known || l->p->subject_n == PROFILE_SUBJECT_MAX || value[0] == 0 || strlen(value) >= sizeof a->value) {
			wrong(l, en, k, en->value[i]);
			continue;
		}
		snprintf(a->type, sizeof a->type, "%.*s", (int)n, en->value[i]);
		snprintf(a->value, sizeof a->value, "%s", value);
		l->p->subject_n++;
	}
}

static void take_scalar(struct loading *l, const struct key *k, const struct yaml_entry *en, char *field)
{
	const char *text = en->value[0];
	uint32_t bit = 0;
	int64_t us;
	char *end;
	long number;

	switch (k->kind) {
	case K_NAME:
	case K_AUTHORITY:
		if (!(name_ok(text) || (k->kind == K_AUTHORITY && strcmp(text, "*") == 0)) ||
		    (k->kind == K_NAME && is_operation(text)))
			wrong(l, en, k, text);
		else
			snprintf(field, PROFILE_NAME_MAX, "%s", text);
		break;
	case K_DURATION:
		if (!clock_duration(text, &us))
			wrong(l, en, k, text);
		else
			memcpy(field, &us, sizeof us);
		break;
	case K_BOOL:
		if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
			wrong(l, en, k, text);
		else
			*(bool *)field = strcmp(text, "true") == 0;
		break;
	case K_WORD:
		if (!find_word(k->words, text, &bit))
			wrong(l, en, k, text);
		else if (k->words == expiry || k->words == unknown_ext)
			*(bool *)field = bit != 0;
		else
			memcpy(field, &bit, sizeof bit);
		break;
	case K_NUMBER:
		number = strtol(text, &end, 10);
		if (*end != 0 || end == text || number < 2048 || number > 8192)
			wrong(l, en, k, text);
		else
			*(uint32_t *)(void *)field = (uint32_t)number;
		break;
	default:
		if (strlen(text) >= 200)
			wrong(l, en, k, text);
		else
			strcpy(field, text);
	}
}

static void take(struct loading *l, const struct key *k, struct yaml_entry *en)
{
	char *field = (char *)l->p + k->at;
	bool list = k->kind == K_BITS || k->kind == K_EKU || k->kind == K_OIDS || k->kind == K_SUBJECT;

	en->used = true;
	if (en->list != list || (!list && en->n != 1)) {
		wrong(l, en, k, en->list ? "a list" : en->n != 0 ? en->value[0] : "");
		return;
	}
	if (en->n == 0 && (k->required || k->words == key_types)) {
		wrong(l, en, k, "an empty list");
		return;
	}
	switch (k->kind) {
	case K_BITS:
		take_bits(l, k, en, (uint32_t *)(void *)field);
		break;
	case K_EKU:
		take_ekus(l, k, en);
		break;
	case K_OIDS:
		take_oids(l, k, en);
		break;
	case K_SUBJECT:
		take_subject(l, k, en);
		break;
	default:
		take_scalar(l, k, en, field);
	}
}

static void defaults(struct profile *p, const char *organization)
{
	*p = (struct profile){
		.min_validity = US_PER_DAY,
		.backdate = 5 * US_PER_MINUTE,
		.clamp = true,
		.key_types = 1 | 2 | 8 | 16,
		.rsa_min_bits = 2048,
		.san_types = 1 << 1,
		.ocsp_aia = true,
		.cdp = true,
		.keygen = KEYGEN_ENCRYPTED,
		.subject_n = organization[0] != 0,
	};
	snprintf(p->subject[0].type, sizeof p->subject[0].type, "O");
	snprintf(p->subject[0].value, sizeof p->subject[0].value, "%s", organization);
}

/* What one key can't tell. Limits by purpose are ca's (X509-08) and stand there compiled in; the same figures are said
 * here so that `profile check` finds them without a token. */
static void check_whole(struct loading *l)
{
	struct profile *p = l->p;
	int64_t max = 825 * US_PER_DAY;
	bool ocsp = false;

	for (size_t i = 0; i < p->eku_n; i++) {
		if (strcmp(p->eku[i], ekus[0].oid) == 0 && max > 398 * US_PER_DAY)
			max = 398 * US_PER_DAY;
		if (strcmp(p->eku[i], ekus[2].oid) == 0) {
			max = 30 * US_PER_DAY;
			ocsp = true;
		}
		if (strcmp(p->eku[i], "2.5.29.37.0") == 0) {
			yaml_file_mistake(l->mistakes, l->label, 1, "eku: anyExtendedKeyUsage is never issued; name the purposes");
			l->good = false;
		}
	}
	if (p->validity > max) {
		yaml_file_mistake(l->mistakes, l->label, 1, "validity: at most %lldd for these purposes",
		             (long long)(max / US_PER_DAY));
		l->good = false;
	}
	if (p->backdate > US_PER_HOUR) {
		yaml_file_mistake(l->mistakes, l->label, 1, "backdate: at most 1h");
		l->good = false;
	}
	if (ocsp && (p->eku_n != 1 || !p->nocheck || p->ocsp_aia || p->cdp)) {
		yaml_file_mistake(l->mistakes, l->label, 1,
		             "a profile for ocspSigning has no other purpose, ocsp_nocheck: true, ocsp: false, crl: false");
		l->good = false;
	}
}

bool profile_parse(struct profile *out, const char *label, const char *text, size_t n, const char *organization,
                   struct buf *mistakes)
{
	AUTO_FREE struct yaml_file *f = mem_new(sizeof *f);
	struct loading l = { .p = out, .label = label, .organization = organization, .mistakes = mistakes };
	const char *names[COUNT_OF(keys)];

	defaults(out, organization);
	l.good = yaml_file_read(f, label, text, n, mistakes);
	for (size_t i = 0; i < COUNT_OF(keys); i++) {
		struct yaml_entry *en = yaml_file_find(f, keys[i].name);

		names[i] = keys[i].name;
		if (en != NULL) {
			take(&l, &keys[i], en);
		} else if (keys[i].required && f->n != 0) {
			yaml_file_mistake(mistakes, label, 1, "%s is missing; %s is expected", keys[i].name, keys[i].expects);
			l.good = false;
		}
	}
	for (size_t i = 0; i < f->n; i++) {
		if (f->entry[i].used)
			continue;
		const char *near = word_near(f->entry[i].key, names, COUNT_OF(names));

		yaml_file_mistake(mistakes, label, f->entry[i].line, "unknown key %s%s%s", f->entry[i].key,
		             near != NULL ? "; did you mean " : "", near != NULL ? near : "");
		l.good = false;
	}
	if (f->n == 0 && l.good) {
		yaml_file_mistake(mistakes, label, 1, "the profile is empty");
		l.good = false;
	}
	if (l.good)
		check_whole(&l);
	yaml_file_free(f);
	return l.good;
}

bool profile_load(struct profile *out, const char *path, const char *organization, struct buf *mistakes)
{
	AUTO_BUF text = { 0 };
	struct err e;

	if (!file_read(&text, path, YAML_SIZE_MAX, &e)) {
		buf_printf(mistakes, "%s\n", e.text);
		return false;
	}
	return profile_parse(out, path, (char *)text.p, text.n, organization, mistakes);
}

/* --- Canonical form */

enum { PROFILE_FORMAT = 1 };

void profile_put(struct buf *b, const struct profile *p)
{
	wr_u8(b, PROFILE_FORMAT);
	wr_text(b, p->name);
	wr_text(b, p->authority);
	wr_u32(b, p->doors);
	wr_i64(b, p->validity);
	wr_i64(b, p->min_validity);
	wr_i64(b, p->backdate);
	wr_bool(b, p->clamp);
	wr_u32(b, p->key_types);
	wr_u32(b, p->rsa_min_bits);
	wr_bool(b, p->rsa_key_encipherment);
	wr_u8(b, (uint8_t)p->eku_n);
	for (size_t i = 0; i < p->eku_n; i++)
		wr_text(b, p->eku[i]);
	wr_u32(b, p->san_types);
	wr_bool(b, p->san_required);
	wr_bool(b, p->wildcard);
	wr_u8(b, (uint8_t)p->cn);
	wr_u8(b, (uint8_t)p->policy_n);
	for (size_t i = 0; i < p->policy_n; i++)
		wr_text(b, p->policy[i]);
	wr_text(b, p->cps);
	wr_bool(b, p->ocsp_aia);
	wr_bool(b, p->cdp);
	wr_bool(b, p->nocheck);
	wr_bool(b, p->reject_unknown_ext);
	wr_bool(b, p->shared_key);
	wr_i64(b, p->max_key_age);
	wr_bool(b, p->hold_allowed);
	wr_u8(b, (uint8_t)p->keygen);
	wr_bool(b, p->est_chain);
	wr_bool(b, p->est_wrapped);
	wr_u8(b, (uint8_t)p->subject_n);
	for (size_t i = 0; i < p->subject_n; i++) {
		wr_text(b, p->subject[i].type);
		wr_text(b, p->subject[i].value);
	}
}

static size_t count(struct rd *r, size_t max)
{
	size_t n = rd_u8(r);

	if (n > max)
		r->bad = true;
	return r->bad ? 0 : n;
}

void profile_get(struct rd *r, struct profile *p)
{
	*p = (struct profile){ 0 };
	if (rd_u8(r) != PROFILE_FORMAT)
		r->bad = true;
	rd_text(r, p->name, sizeof p->name);
	rd_text(r, p->authority, sizeof p->authority);
	p->doors = rd_u32(r);
	p->validity = rd_i64(r);
	p->min_validity = rd_i64(r);
	p->backdate = rd_i64(r);
	p->clamp = rd_bool(r);
	p->key_types = rd_u32(r);
	p->rsa_min_bits = rd_u32(r);
	p->rsa_key_encipherment = rd_bool(r);
	p->eku_n = count(r, PROFILE_EKU_MAX);
	for (size_t i = 0; i < p->eku_n; i++)
		rd_text(r, p->eku[i], sizeof p->eku[i]);
	p->san_types = rd_u32(r);
	p->san_required = rd_bool(r);
	p->wildcard = rd_bool(r);
	p->cn = (enum profile_cn)count(r, CN_MUST_BE_SAN);
	p->policy_n = count(r, PROFILE_POLICY_MAX);
	for (size_t i = 0; i < p->policy_n; i++)
		rd_text(r, p->policy[i], sizeof p->policy[i]);
	rd_text(r, p->cps, sizeof p->cps);
	p->ocsp_aia = rd_bool(r);
	p->cdp = rd_bool(r);
	p->nocheck = rd_bool(r);
	p->reject_unknown_ext = rd_bool(r);
	p->shared_key = rd_bool(r);
	p->max_key_age = rd_i64(r);
	p->hold_allowed = rd_bool(r);
	p->keygen = (enum profile_keygen)count(r, KEYGEN_PLAIN);
	p->est_chain = rd_bool(r);
	p->est_wrapped = rd_bool(r);
	p->subject_n = count(r, PROFILE_SUBJECT_MAX);
	for (size_t i = 0; i < p->subject_n; i++) {
		rd_text(r, p->subject[i].type, sizeof p->subject[i].type);
		rd_text(r, p->subject[i].value, sizeof p->subject[i].value);
	}
}
