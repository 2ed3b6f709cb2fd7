/* SPDX-License-Identifier: Apache-2.0
 *
 * The token: open, log in, make a key, sign a digest, recover. Raw PKCS#11 with a session pool of our own. One module
 * and one token a process. Every function but open and close is thread-safe. A key never leaves the token. */
#ifndef CADUCEUS_HSM_HSM_H
#define CADUCEUS_HSM_HSM_H

#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>

enum hsm_alg { HSM_P256 = 1, HSM_P384, HSM_RSA2048, HSM_RSA3072, HSM_RSA4096, HSM_ED25519 };
bool hsm_alg_parse(const char *name, enum hsm_alg *out); /* contract words: "ecdsa-p256", … */
const char *hsm_alg_name(enum hsm_alg a);

enum { HSM_ID_MAX = 32, HSM_SIG_MAX = 1024 };

struct hsm_config {
	const char *module;    /* path of the PKCS#11 module; "embedded": SoftHSM 2 with its token below dir/token */
	const char *token;     /* label, or an RFC 7512 URI (token, serial, manufacturer, model; slot-id is refused) */
	const char *dir;       /* the instance: token/, softhsm2.conf, run/ (init lock), ca/ (the token's synced copy) */
	unsigned sessions;     /* 0: cores for embedded, 16 else; bounded by the token's ulMaxSessionCount */
	unsigned timeout_ms;   /* waiting for a session */
	/* Gives the PIN, at most once per open. It is kept for logins after a loss, in locked memory that no core file
	 * holds, and wiped by us when the token refuses it and at close. */
	bool (*pin)(void *arg, char *out, size_t cap, struct err *e);
	void *pin_arg;
	/* One line that changes when the PIN's source does (its file's inode and times), never the PIN or a digest of it.
	 * NULL or "": only removing DIR/ca/pin-refused opens the latch. */
	const char *pin_mark;
};

struct hsm;
struct hsm_key;

/* Loads the module, C_Initialize with OS locking under a lock file (SoftHSM's C_Login rewrites token.object: two
 * starts at once lose it), puts back a short token.object from its synced copy, finds the token, logs in.
 * ERR_PIN: refused; DIR/ca/pin-refused is written and every later open fails with ERR_PIN at once, without asking the
 * token, until the PIN source has changed or a person removes that file. ERR_HSM: anything else, with what to do. */
MUST_USE bool hsm_open(struct hsm **out, const struct hsm_config *c, struct err *e);
void hsm_close(struct hsm *h);
AUTO_STRUCT_DEFINE(hsm, hsm_close)

/* For init, embedded only: writes softhsm2.conf, makes the token with this label, sets the user PIN (the SO PIN is
 * random and forgotten), syncs all files and makes the synced copy. Refuses an existing token. */
MUST_USE bool hsm_embedded_create(const char *dir, const char *label, const char *pin, struct err *e);
/* Writes softhsm2.conf for this dir when it is missing or names another folder (the instance was moved). */
MUST_USE bool hsm_embedded_configure(const char *dir, struct err *e);

/* Makes a key pair: TOKEN, PRIVATE, SENSITIVE, not EXTRACTABLE, SIGN alone, not MODIFIABLE, not COPYABLE where the
 * token knows that, its signing mechanism alone where the token knows that, too; random 16-octet CKA_ID, label given.
 * Reads the attributes back: ALWAYS_SENSITIVE, NEVER_EXTRACTABLE and LOCAL must be true. id receives the CKA_ID.
 * HSM-01 to 04. */
MUST_USE bool hsm_key_generate(struct hsm *h, enum hsm_alg alg, const char *label, uint8_t id[HSM_ID_MAX],
                               size_t *id_n, struct err *e);
/* Finds by CKA_ID; handles are cached. ERR_NOT_FOUND; ERR_HSM: also a key that was not made in the token (HSM-02). */
MUST_USE bool hsm_key_find(struct hsm *h, struct span id, struct hsm_key **out, struct err *e);
void hsm_key_free(struct hsm_key *k);
AUTO_STRUCT_DEFINE(hsm_key, hsm_key_free)
enum hsm_alg hsm_key_alg(const struct hsm_key *k);
/* SubjectPublicKeyInfo as read from the token's public key object (whole, DER). */
struct span hsm_key_spki(const struct hsm_key *k);
MUST_USE bool hsm_key_destroy(struct hsm *h, struct span id, struct err *e);

/* Signs. For EC and RSA `input` is the digest (32, 48 or 64 octets: SHA-256/384/512), for Ed25519 the message.
 * out: EC r||s DER-encoded as X.509 wants, RSA PKCS#1 v1.5, Ed25519 64 octets. Borrows a session for SignInit+Sign.
 * A lost session or login is recovered and the signature tried once more, within timeout_ms. ERR_HSM with retry_after:
 * the token is away and may come back. */
MUST_USE bool hsm_sign(struct hsm *h, struct hsm_key *k, struct span input, uint8_t out[HSM_SIG_MAX], size_t *n,
                       struct err *e);

/* What `hsm list` shows: calls each() per private key: label, id, algorithm, attributes. */
struct hsm_key_row {
	char label[64];
	uint8_t id[HSM_ID_MAX];
	size_t id_n;
	enum hsm_alg alg; /* 0 when it is of another kind */
	bool token, private_, sensitive, extractable, always_sensitive, never_extractable, local, sign, decrypt, unwrap,
		derive, modifiable;
};
typedef void hsm_each(void *arg, const struct hsm_key_row *row);
MUST_USE bool hsm_list(struct hsm *h, hsm_each *each, void *arg, struct err *e);

struct hsm_stats {
	char module[64], token[64], serial[20], model[20], manufacturer[36];
	unsigned sessions, in_use;
	uint64_t signatures, failures, reopened;
	unsigned long last_ckr;
	bool logged_in;
};
void hsm_stats(struct hsm *h, struct hsm_stats *out);
/* Asks the token's state without signing. */
MUST_USE bool hsm_health(struct hsm *h, struct err *e);
/* The same, and when it is not there opens it again, unless that was tried a moment ago (0.1 to 30 s) or the PIN was
 * refused: for whoever looks after an idle token. May take as long as a login. */
MUST_USE bool hsm_recover(struct hsm *h, struct err *e);

#endif
