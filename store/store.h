/* SPDX-License-Identifier: Apache-2.0
 *
 * What is kept, in the product's terms. One writer: ra's loop, one transaction a turn. Rows that last carry node and
 * boot, filled in here. Times UTC us. Texts returned in structs; octets into bufs of the caller.
 * Every function: false with ERR_STORE when the database fails, ERR_NOT_FOUND, ERR_EXISTS where named. */
#ifndef CADUCEUS_STORE_STORE_H
#define CADUCEUS_STORE_STORE_H

#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>

struct store;
enum { STORE_NAME = 256, STORE_SERIAL = 20 };

/* uri: "sqlite:PATH" (absolute). create: make it when it is not there. Runs the numbered migrations (schema/NNN.sql,
 * built in, checksummed); ERR_CONFLICT when the database is of a newer program. Takes a lock: one writer. */
MUST_USE bool store_open(struct store **out, const char *uri, bool create, struct err *e);
/* A second connection that only reads, for lists and audit verify; never sees a half transaction. */
MUST_USE bool store_open_reader(struct store **out, const char *uri, struct err *e);
void store_close(struct store *s);
AUTO_STRUCT_DEFINE(store, store_close)

MUST_USE bool store_begin(struct store *s, struct err *e);
MUST_USE bool store_commit(struct store *s, struct err *e);   /* durable when it returns true */
void store_rollback(struct store *s);
/* Undoes one request of a turn without the others. */
MUST_USE bool store_savepoint(struct store *s, struct err *e);
MUST_USE bool store_release(struct store *s, struct err *e);
void store_rollback_to(struct store *s);

/* Node and boot (a number that rises at each open for writing), instance id (uuid made at creation). */
const char *store_instance(const struct store *s);
const char *store_node(const struct store *s);
uint64_t store_boot(const struct store *s);
int store_schema_version(struct store *s); /* of the database: this program's newest */

MUST_USE bool store_meta_get(struct store *s, const char *key, struct buf *out, struct err *e);
MUST_USE bool store_meta_put(struct store *s, const char *key, struct span value, struct err *e);

/* Subjects. kind: "device", "service" (our own servers), "person". */
struct subject {
	int64_t id;
	char uuid[37];
	char kind[16];
	char name[STORE_NAME];    /* unique among its kind, case-insensitive */
	char profile[32];
	char owner[128], ward[128];
	bool enabled;
	int64_t created;
};
MUST_USE bool store_subject_add(struct store *s, struct subject *subject, struct err *e); /* sets id; ERR_EXISTS */
MUST_USE bool store_subject_by_name(struct store *s, const char *kind, const char *name, struct subject *out,
                                    struct err *e);
MUST_USE bool store_subject_by_id(struct store *s, int64_t id, struct subject *out, struct err *e);
MUST_USE bool store_subject_enable(struct store *s, int64_t id, bool enabled, struct err *e);
typedef bool store_subject_each(void *arg, const struct subject *row); /* false stops */
/* By name, from after `after` ("" the first), at most limit. */
MUST_USE bool store_subject_list(struct store *s, const char *kind, const char *after, unsigned limit,
                                 store_subject_each *each, void *arg, struct err *e);

/* Identifiers: what a subject may be named in certificates ("dns", "ip", "email", "uri"; value as contract's --san), and
 * tags ("tag", "K=V"). */
struct identifier {
	char type[16];
	char value[STORE_NAME];
};
MUST_USE bool store_identifier_clear(struct store *s, int64_t subject, struct err *e);
MUST_USE bool store_identifier_add(struct store *s, int64_t subject, const struct identifier *id, struct err *e);
typedef bool store_identifier_each(void *arg, const struct identifier *row);
MUST_USE bool store_identifier_list(struct store *s, int64_t subject, store_identifier_each *each, void *arg,
                                    struct err *e);

/* Credentials that are shown to us: kind "est-password" (salted SHA-256 of what we generated). */
struct credential {
	int64_t id, subject;
	char kind[24];
	uint8_t salt[16], hash[32];
	int64_t uses_left, uses;
	int64_t expires, created;
	bool revoked;
};
MUST_USE bool store_credential_add(struct store *s, struct credential *c, struct err *e);
typedef bool store_credential_each(void *arg, const struct credential *row);
MUST_USE bool store_credential_list(struct store *s, int64_t subject, const char *kind, store_credential_each *each,
                                    void *arg, struct err *e);
MUST_USE bool store_credential_use(struct store *s, int64_t id, struct err *e); /* uses_left - 1; ERR_CONFLICT at 0 */
MUST_USE bool store_credential_revoke_all(struct store *s, int64_t subject, const char *kind, struct err *e);

/* Authorities' generations. ref is their number for ever. */
struct generation {
	int64_t ref;
	char name[32];
	uint32_t gen;
	int64_t parent;            /* ref, 0 for a root */
	char key_alg[24];
	uint8_t key_id[32];
	size_t key_id_n;
	int64_t not_before, not_after;
	uint64_t crl_number;       /* last one taken */
	int64_t crl_this, crl_next;/* of the last published; 0 none */
	bool has_responder;
	uint8_t responder_key[32];
	size_t responder_key_n;
	int64_t responder_not_before, responder_not_after;
};
MUST_USE bool store_generation_add(struct store *s, struct generation *g, struct span cert, struct err *e);
MUST_USE bool store_generation_list(struct store *s, struct generation *out, size_t cap, size_t *n, struct err *e);
MUST_USE bool store_generation_cert(struct store *s, int64_t ref, struct buf *out, struct err *e);
MUST_USE bool store_responder_set(struct store *s, int64_t ref, struct span key_id, struct span cert,
                                  int64_t not_before, int64_t not_after, struct err *e);
MUST_USE bool store_responder_cert(struct store *s, int64_t ref, struct buf *out, struct err *e);
/* Takes the next CRL number in the database before it is signed (CRL-02). */
MUST_USE bool store_crl_number_take(struct store *s, int64_t ref, uint64_t *number, struct err *e);
/* Was a key revoked as compromised (or its CA) since then? */
MUST_USE bool store_crl_behind(struct store *s, int64_t ref, int64_t since, bool *behind, struct err *e);
MUST_USE bool store_crl_published(struct store *s, int64_t ref, int64_t this_update, int64_t next_update, struct err *e);

/* Profile versions. `active` marks the one in force under its name. */
struct profile_row {
	uint8_t digest[32];
	char name[32];
	bool active;
	int64_t loaded;
	char actor[64];
};
MUST_USE bool store_profile_put(struct store *s, const struct profile_row *row, struct span canonical, struct err *e);
typedef bool store_profile_each(void *arg, const struct profile_row *row, struct span canonical);
MUST_USE bool store_profile_list(struct store *s, bool active_only, store_profile_each *each, void *arg, struct err *e);

/* Intents: what is about to be signed is recorded before it is signed (X509-02, 46). */
struct intent {
	int64_t ref;               /* generation */
	uint8_t serial[STORE_SERIAL];
	size_t serial_n;
	int64_t subject;           /* 0 none */
	char purpose[24];          /* "enroll", "reenroll", "officer", "tls", "responder", "authority" */
	int64_t created;
};
MUST_USE bool store_intent_add(struct store *s, const struct intent *i, struct err *e); /* ERR_EXISTS: draw again */
MUST_USE bool store_intent_close(struct store *s, int64_t ref, struct span serial, struct err *e);
/* Intents of earlier boots: never delivered. Each is closed and its serial kept as revoked (cessationOfOperation). */
typedef bool store_intent_each(void *arg, const struct intent *row);
MUST_USE bool store_intent_list(struct store *s, store_intent_each *each, void *arg, struct err *e);

enum store_status { STORE_GOOD = 0, STORE_REVOKED = 1 };
struct certificate {
	int64_t id, ref, subject;       /* subject 0: none */
	char ca[32];                    /* filled on reading */
	uint32_t gen;
	uint8_t serial[STORE_SERIAL];
	size_t serial_n;
	uint8_t profile_digest[32];
	char profile[32];
	char subject_name[STORE_NAME];  /* the subject's (device's) name, filled on reading */
	char dn[600];                   /* dn_text */
	int64_t not_before, not_after, issued;
	uint8_t spki[32];               /* SHA-256 of the SPKI */
	uint8_t request_key[32];        /* EST-26; zeroes none */
	uint32_t lint_version;
	enum store_status status;       /* filled on reading */
	uint8_t reason;
	int64_t revoked_at;
	uint64_t seq;                   /* of its status */
};
/* Adds the certificate and its status row (good); closes the intent; sets id and seq. */
MUST_USE bool store_certificate_add(struct store *s, struct certificate *c, struct span der, struct err *e);
/* A serial that was reserved but never delivered: a status row alone, revoked. */
MUST_USE bool store_serial_void(struct store *s, int64_t ref, struct span serial, int64_t now, int64_t not_after,
                                uint64_t *seq, struct err *e);
MUST_USE bool store_certificate_der(struct store *s, int64_t id, struct buf *out, struct err *e);
MUST_USE bool store_certificate_by_id(struct store *s, int64_t id, struct certificate *out, struct err *e);
MUST_USE bool store_certificate_by_serial(struct store *s, int64_t ref, struct span serial, struct certificate *out,
                                          struct err *e);
/* The one delivered for this request (whose public key has this digest) since `since`, not revoked. EST-26. */
MUST_USE bool store_certificate_by_request(struct store *s, const uint8_t key[32], const uint8_t spki[32], int64_t since,
                                           struct certificate *out, struct err *e);
/* A subject other than `subject` that holds a certificate with this key which is neither expired nor revoked: its id in
 * *other, 0 none. X509-40. */
MUST_USE bool store_spki_owner(struct store *s, const uint8_t spki[32], int64_t subject, int64_t now, int64_t *other,
                               struct err *e);
/* One of another name, when the subject is nobody (an officer's request): 0 or -1. */
MUST_USE bool store_spki_other_name(struct store *s, const uint8_t spki[32], const char *dn, int64_t now, int64_t *other,
                                    struct err *e);
/* When this subject's first certificate with this key was issued; 0 none. max_key_age. */
MUST_USE bool store_spki_first(struct store *s, const uint8_t spki[32], int64_t subject, int64_t *issued, struct err *e);
/* A device's newest: of those that hold now, else of all. Judged among its 1,000 that end last. */
MUST_USE bool store_certificate_newest(struct store *s, int64_t subject, int64_t now, struct certificate *out, struct err *e);
/* The first by serial that begin with these hexadecimal digits, of any generation: at most two; *n says how many. */
MUST_USE bool store_certificate_by_prefix(struct store *s, const char *digits, struct certificate out[2], unsigned *n,
                                          struct err *e);
/* A list by whatever index fits the filter: of a key, of a device or by its end in the order of notAfter, of the revoked
 * by serial, else in the order of issuance. A page looks at a bounded number of rows for a bounded time, however few of
 * them are wanted: it may be empty and not the last. */
enum { STORE_NEXT = 96 };
struct certificate_filter {
	const char *ca, *profile, *device, *subject_prefix; /* NULL or "": any */
	int status;                 /* -1 any, 0 valid, 1 revoked, 2 expired */
	int64_t expiring_before;    /* 0 any */
	int64_t now;
	int64_t subject_id;         /* 0 any */
	const uint8_t *spki;        /* SHA-256; NULL any */
	const char *after;          /* where the page before ended; NULL or "": the first */
};
/* False: the row was not taken, and the next page begins with it. */
typedef bool store_certificate_each(void *arg, const struct certificate *row);
/* next: where to go on, "" at the end. ERR_BAD_REQUEST when `after` is of no such list. */
MUST_USE bool store_certificate_list(struct store *s, const struct certificate_filter *f, unsigned limit,
                                     store_certificate_each *each, void *arg, char next[STORE_NEXT], struct err *e);

/* Counts the valid ones that end in (now, before], a bounded part a call; begins with zeroes. done: n is the number;
 * `most` means that many or more. */
struct expiring_count {
	int64_t now, before, key, id, n;
	bool done;
};
MUST_USE bool store_expiring_count(struct store *s, struct expiring_count *c, int64_t most, struct err *e);

/* The sweep: rows of certificates that ended before `before`, and their status, go; of revoked ones only those that ended
 * before `revoked_before` and before the last CRL of their authority; never one whose key is blocked. *at is where the
 * sweep stands ({0}: at the beginning); a bounded part a call, at most `limit` rows looked at; each is told what went. */
struct sweep {
	int64_t before, revoked_before;
	int64_t key, id;            /* it has seen all up to here */
	bool done;                  /* to the end */
};
typedef void store_sweep_each(void *arg, int64_t ref, struct span serial, int64_t not_after);
MUST_USE bool store_sweep(struct store *s, struct sweep *at, unsigned limit, store_sweep_each *each, void *arg, struct err *e);

/* Status. */
struct status_row {
	int64_t ref;
	uint8_t serial[STORE_SERIAL];
	size_t serial_n;
	enum store_status state;
	uint8_t reason;
	int64_t revoked_at, not_after;
	uint64_t seq;
};
MUST_USE bool store_status_set(struct store *s, int64_t ref, struct span serial, enum store_status state,
                               uint8_t reason, int64_t at, uint64_t *seq, struct err *e);
MUST_USE bool store_status_head(struct store *s, uint64_t *seq, struct err *e);
/* About how many rows there are, at once. */
MUST_USE bool store_status_estimate(struct store *s, uint64_t *n, struct err *e);
typedef bool store_status_each(void *arg, const struct status_row *row);
/* In key order (ref, serial) after the given key, for the snapshot; serial empty: from the start of the ref. */
MUST_USE bool store_status_page(struct store *s, int64_t after_ref, struct span after_serial, unsigned limit,
                                store_status_each *each, void *arg, struct err *e);
/* The revoked of one generation, for its CRL. */
MUST_USE bool store_revoked_page(struct store *s, int64_t ref, struct span after_serial, unsigned limit,
                                 store_status_each *each, void *arg, struct err *e);
/* In commit order with seq > after. */
MUST_USE bool store_status_tail(struct store *s, uint64_t after, unsigned limit, store_status_each *each, void *arg,
                                struct err *e);

/* Keys that are refused for ever: SPKI SHA-256 (X509-39). */
MUST_USE bool store_key_block(struct store *s, const uint8_t spki[32], const char *why, int64_t now, struct err *e);
MUST_USE bool store_key_blocked(struct store *s, const uint8_t spki[32], bool *blocked, struct err *e);

/* ACME. States, methods and problems are the numbers of ra/acme.h; names as TYPE:VALUE ("dns:*.ward3.example"). A struct's
 * bufs belong to it and are used again by the next reading; *_free. */
struct acme_eab {                  /* a key that binds accounts to a subject */
	int64_t id, subject;
	char kid[64];
	uint8_t key[32];
	char realm[32];
	int64_t uses, used;        /* accounts: at most (0: any number), so far */
	int64_t expires, created;  /* expires 0: never */
	bool disabled;
	char name[STORE_NAME];     /* the subject's, filled on reading */
};
MUST_USE bool store_acme_eab_add(struct store *s, struct acme_eab *k, struct err *e); /* sets id */
MUST_USE bool store_acme_eab_find(struct store *s, const char *kid, struct acme_eab *out, struct err *e);
MUST_USE bool store_acme_eab_use(struct store *s, int64_t id, struct err *e); /* ERR_CONFLICT: used up */
MUST_USE bool store_acme_eab_disable(struct store *s, int64_t subject, struct err *e); /* all of a subject's */
typedef bool store_acme_eab_each(void *arg, const struct acme_eab *row);
MUST_USE bool store_acme_eab_list(struct store *s, int64_t after, unsigned limit, store_acme_eab_each *each, void *arg,
                                  struct err *e);

struct acme_account {
	int64_t id;
	char realm[32];
	int state;
	int64_t subject, eab;      /* eab 0: none */
	uint8_t spki[32];          /* SHA-256 of the key */
	uint8_t thumbprint[32];
	struct buf key;            /* SubjectPublicKeyInfo */
	struct buf contacts;       /* one a line */
	char terms[256];           /* the URL that was agreed to, "" none */
	int64_t created, changed;
	char name[STORE_NAME];     /* the subject's, filled on reading */
};
void acme_account_free(struct acme_account *a);
MUST_USE bool store_acme_account_add(struct store *s, struct acme_account *a, struct err *e); /* sets id; ERR_EXISTS */
MUST_USE bool store_acme_account(struct store *s, int64_t id, struct acme_account *out, struct err *e);
MUST_USE bool store_acme_account_by_key(struct store *s, const uint8_t spki[32], const char *realm, struct acme_account *out,
                                        struct err *e);
/* Of any realm and state: a certificate's key must not be one. */
MUST_USE bool store_acme_account_key(struct store *s, const uint8_t spki[32], bool *is, struct err *e);
MUST_USE bool store_acme_account_put(struct store *s, const struct acme_account *a, struct err *e); /* but realm, subject, eab */
typedef bool store_acme_account_each(void *arg, const struct acme_account *row);
/* subject 0: of all. */
MUST_USE bool store_acme_account_list(struct store *s, int64_t subject, int64_t after, unsigned limit,
                                      store_acme_account_each *each, void *arg, struct err *e);
/* Those that have not been valid since before `before` and have no orders any more; *n is raised by their number. */
MUST_USE bool store_acme_account_sweep(struct store *s, int64_t before, unsigned limit, int *n, struct err *e);

struct acme_order {
	int64_t id, account;
	int state;
	int64_t open, due, expires;
	char profile[32];
	struct buf names;          /* ra's own packing */
	char replaces[96];
	int64_t replaced;          /* certificate's id; 0 none */
	struct buf csr;            /* while it is processing */
	int64_t certificate;       /* id; 0 none */
	int error;
	char error_detail[256], error_name[STORE_NAME + 8];
};
void acme_order_free(struct acme_order *o);
MUST_USE bool store_acme_order_last(struct store *s, int64_t *id, struct err *e); /* the newest's, 0 none */
MUST_USE bool store_acme_order_add(struct store *s, const struct acme_order *o, struct err *e); /* with its id */
MUST_USE bool store_acme_order(struct store *s, int64_t id, struct acme_order *out, struct err *e);
/* state, open, due, expires, csr and error; and certificate when that is not 0. */
MUST_USE bool store_acme_order_put(struct store *s, const struct acme_order *o, struct err *e);
MUST_USE bool store_acme_order_due(struct store *s, int64_t id, int64_t due, struct err *e);
/* Those under way that are due until `until` are due at `now`: after a restart. */
MUST_USE bool store_acme_order_resume(struct store *s, int64_t now, int64_t until, struct err *e);
MUST_USE bool store_acme_order_remove(struct store *s, int64_t id, struct err *e); /* without its authorizations */
MUST_USE bool store_acme_order_by_certificate(struct store *s, int64_t certificate, int64_t *id, int64_t *account, struct err *e);
/* One that takes a certificate's place and is not invalid: its id, 0 none. */
MUST_USE bool store_acme_order_replacing(struct store *s, int64_t certificate, int64_t *id, struct err *e);
/* Ids below `before`, newest first, without invalid ones. */
MUST_USE bool store_acme_order_ids(struct store *s, int64_t account, int64_t before, int64_t *ids, size_t cap, size_t *n,
                                   struct err *e);
/* Those under way with ids above `after`, in their order. */
MUST_USE bool store_acme_order_open(struct store *s, int64_t account, int64_t after, int64_t *ids, size_t cap, size_t *n,
                                    struct err *e);
/* Ids whose time has come, the longest overdue first. */
MUST_USE bool store_acme_order_overdue(struct store *s, int64_t now, int64_t *ids, size_t cap, size_t *n, struct err *e);

struct acme_authorization {
	int64_t id, account, made_by; /* made_by: the order */
	int state, challenge, method; /* method 0: none was started */
	char name[STORE_NAME + 8];
	uint8_t token[16];
	int64_t expires, validated;
	int error;
	char error_detail[256];
};
MUST_USE bool store_acme_authorization_add(struct store *s, struct acme_authorization *a, struct err *e); /* sets id */
MUST_USE bool store_acme_authorization(struct store *s, int64_t id, struct acme_authorization *out, struct err *e);
MUST_USE bool store_acme_authorization_put(struct store *s, const struct acme_authorization *a, struct err *e);
MUST_USE bool store_acme_authorization_remove(struct store *s, int64_t id, struct err *e);
/* The newest valid one of this name that was validated since; ERR_NOT_FOUND. */
MUST_USE bool store_acme_authorization_valid(struct store *s, int64_t account, const char *name, int64_t since, int64_t now,
                                             struct acme_authorization *out, struct err *e);
/* How many of an account are pending, counted up to `most`. */
MUST_USE bool store_acme_authorization_pending(struct store *s, int64_t account, int64_t most, int64_t *n, struct err *e);

/* Audit: records are made and chained by ra; kept in order. Their head ("SEQ HASH") is in meta as "audit_head", too. */
MUST_USE bool store_audit_head(struct store *s, uint64_t *seq, uint8_t hash[32], struct err *e); /* 0: none yet */
MUST_USE bool store_audit_add(struct store *s, uint64_t seq, const char *event, const char *record, const uint8_t hash[32],
                               struct err *e);
typedef bool store_audit_each(void *arg, uint64_t seq, const char *record, const uint8_t hash[32]);
MUST_USE bool store_audit_list(struct store *s, uint64_t after, unsigned limit, store_audit_each *each, void *arg,
                               struct err *e);

/* An online copy into a new file, on this connection; step by step, between transactions. */
struct store_backup;
MUST_USE bool store_backup_begin(struct store *s, const char *path, struct store_backup **out, struct err *e);
int store_backup_step(struct store_backup *b, int pages, struct err *e); /* 1 more to do, 0 whole, -1 failed */
void store_backup_end(struct store_backup *b);
/* After a restore: the next CRL numbers and status sequence are this much (and a thousandfold) higher. */
MUST_USE bool store_rollback_jump(struct store *s, int64_t by, struct err *e);
/* Opens, migrates to this program's schema; *from and *to say what was done. A copy is kept beside it first. */
MUST_USE bool store_upgrade(const char *uri, int *from, int *to, struct err *e);

#endif
