/* SPDX-License-Identifier: Apache-2.0
 *
 * The door to the certificate authority: who may be asked for what. There is no verb "sign these bytes". All requests
 * are flat structs with a codec (x_put/x_get side by side in ca/door.c); the answers carry the request's id.
 * Two channels lead here: from ra (everything) and from va (CA_OCSP and CA_STATE alone). */
#ifndef CADUCEUS_CA_CA_H
#define CADUCEUS_CA_CA_H

#include "config/profile.h"
#include "ipc/frame.h"
#include "pkix/cert.h"
#include "pkix/csr.h"

enum { CA_LINT_VERSION = 2 }; /* rises with the list of ca/lint.c; stands in every certificate's record */

enum ca_port { CA_PORT_RA, CA_PORT_VA, CA_PORT_COUNT };

enum ca_op { /* frame types */
	CA_OK = 16,          /* answer: body as the request says, empty when it says nothing */
	CA_FAILED,           /* answer: failure */
	CA_STATE,            /* ask: empty; answer CA_OK: ca_state */
	CA_PROFILE_PUT,      /* ask: profile canonical form; answer CA_OK: 32 octets digest */
	CA_AUTHORITY_PUT,    /* ask: ca_authority; a generation that exists; its key must be on the token */
	CA_RESPONDER_PUT,    /* ask: ca_responder; an OCSP signer that exists */
	CA_AUTHORITY_CREATE, /* ask: ca_create; provisioning only; answer CA_OK: ca_created */
	CA_RESPONDER_CREATE, /* ask: ca_issue without CSR, profile ocsp; makes a key; answer CA_OK: ca_created */
	CA_ISSUE,            /* ask: ca_issue; answer CA_OK: the certificate, DER */
	CA_CRL_BEGIN,        /* ask: ca_crl; answer CA_OK: the first octets of the tbsCertList */
	CA_CRL_ENTRIES,      /* ask: crl_entry one after another; answer CA_OK: the octets to append */
	CA_CRL_END,          /* ask: empty; answer CA_OK: ca_crl_end */
	CA_OCSP,             /* ask: ca_ocsp; answer CA_OK: an OCSPResponse, DER */
	CA_HSM_LIST,         /* ask: empty; answer CA_OK: a record per key, each as span */
	CA_HSM_TEST,         /* ask: empty; signs and verifies with every authority's key; answer CA_OK: record */
	CA_OP_COUNT
};

/* One key of an authority: `devices` generation 1. */
struct ca_gen {
	char name[PROFILE_NAME_MAX];
	uint32_t gen; /* from 1 */
};

struct ca_state {
	bool hsm_up;
	char hsm_text[256];  /* why it is not up; what the token is */
	uint32_t sessions, queue;
	uint64_t issued, ocsp, crls; /* since start; issued_ever is the durable counter in DIR/ca/ */
	uint64_t issued_ever;
	uint32_t profiles, authorities;
	struct span metrics; /* lines (base/metric.h); a view into the body */
};
void ca_state_put(struct buf *b, const struct ca_state *s);
MUST_USE bool ca_state_get(struct span body, struct ca_state *s, struct err *e);

struct ca_authority {
	struct ca_gen gen;
	struct span cert;   /* DER */
	struct span key_id; /* CKA_ID */
	char aia_ocsp[300];    /* URL for leaves: PUBLIC_VA/ocsp */
	char aia_issuer[300];  /* PUBLIC_VA/ca/NAME/GEN.cer */
	char cdp[300];         /* PUBLIC_VA/crl/NAME/GEN.crl */
};
void ca_authority_put(struct buf *b, const struct ca_authority *a);
MUST_USE bool ca_authority_get(struct span body, struct ca_authority *a, struct err *e); /* views into body */

struct ca_responder {
	struct ca_gen gen;  /* whose answers it signs */
	struct span cert, key_id;
};
void ca_responder_put(struct buf *b, const struct ca_responder *r);
MUST_USE bool ca_responder_get(struct span body, struct ca_responder *r, struct err *e);

/* A new authority key and its certificate: signed by itself when parent.gen is 0, else by parent. */
struct ca_create {
	struct ca_gen gen, parent;
	char alg[24];             /* contract word */
	struct serial serial;
	struct dn subject;
	int64_t not_before, not_after;
	int32_t path_len;         /* >= 0 */
	uint32_t eku_n;           /* 0 for the root */
	char eku[PROFILE_EKU_MAX][64];
	struct span constraints;  /* NameConstraints (pkix/constraints.h), whole; empty none */
};
void ca_create_put(struct buf *b, const struct ca_create *c);
MUST_USE bool ca_create_get(struct span body, struct ca_create *c, struct err *e);

struct ca_created {
	struct span cert, key_id;
};
void ca_created_put(struct buf *b, const struct ca_created *c);
MUST_USE bool ca_created_get(struct span body, struct ca_created *c, struct err *e);

/* An end entity's certificate. tbsCertificate is a pure function of this and of what PROFILE_PUT and AUTHORITY_PUT
 * said (X509-44). ca checks everything again: the profile's digest was accepted and belongs to this authority, times
 * within the profile and the issuer, names within the profile, proof of possession. */
struct ca_issue {
	uint8_t profile[32];      /* digest */
	struct ca_gen gen;        /* the issuer */
	struct serial serial;
	int64_t not_before, not_after; /* whole seconds, both included */
	struct dn subject;        /* CN (or none) first, then the profile's fixed attributes */
	struct san_list san;      /* normalised */
	uint32_t eku_mask;        /* bit i: the profile's i-th EKU; 0 means all */
	struct span csr;          /* DER; empty for CA_RESPONDER_CREATE */
};
void ca_issue_put(struct buf *b, const struct ca_issue *i);
MUST_USE bool ca_issue_get(struct span body, struct ca_issue *i, struct err *e);

/* A CRL streams through: BEGIN, ENTRIES any number of times (sorted by serial), END; one at a time per channel,
 * lock-step. body_n is the sum of crl_entry_size over all entries, so that the outer lengths are known first. */
enum crl_reason { /* RFC 5280, 5.3.1 */
	REASON_UNSPECIFIED = 0, REASON_KEY_COMPROMISE = 1, REASON_CA_COMPROMISE = 2, REASON_AFFILIATION = 3,
	REASON_SUPERSEDED = 4, REASON_CESSATION = 5, REASON_HOLD = 6, REASON_REMOVE = 8, REASON_PRIVILEGE = 9,
	REASON_AA_COMPROMISE = 10,
};
const char *crl_reason_name(enum crl_reason r);            /* "keyCompromise"; NULL unknown */
bool crl_reason_parse(const char *name, enum crl_reason *out); /* only what may be issued: 0,1,2,3,4,5,6,9 */

struct ca_crl {
	struct ca_gen gen;
	uint64_t number;
	int64_t this_update, next_update;
	uint64_t entries, body_n;
};
void ca_crl_put(struct buf *b, const struct ca_crl *c);
MUST_USE bool ca_crl_get(struct span body, struct ca_crl *c, struct err *e);

/* The length of the whole is known only with the signature: `head` goes in front of all that came before, `tail`
 * behind it. */
struct ca_crl_end {
	struct span head, tail;
};
void ca_crl_end_put(struct buf *b, const struct ca_crl_end *c);
MUST_USE bool ca_crl_end_get(struct span body, struct ca_crl_end *c, struct err *e);

struct crl_entry {
	struct serial serial;
	int64_t revoked_at;
	enum crl_reason reason;
};
enum { CRL_ENTRIES_MAX = 1000 };
size_t crl_entry_size(const struct crl_entry *en); /* octets of the DER entry */
void crl_entry_put(struct buf *b, const struct crl_entry *en);   /* codec: entries follow one another in a body */
MUST_USE bool crl_entry_get(struct rd *r, struct crl_entry *en);

/* One OCSP answer. The responder is the one that RESPONDER_PUT named for gen. */
enum ocsp_state { OCSP_GOOD = 0, OCSP_REVOKED = 1, OCSP_UNKNOWN = 2 };
enum { OCSP_SINGLE_MAX = 20, OCSP_NONCE_MAX = 128, OCSP_CERTID_MAX = 256 };
struct ca_ocsp {
	struct ca_gen gen;
	int64_t produced_at, this_update, next_update;
	struct span nonce;      /* empty: none */
	bool extended_revoke;   /* OCSP-07 */
	uint32_t n;
	struct ca_ocsp_single {
		struct span cert_id; /* whole CertID of the request, echoed octet by octet */
		enum ocsp_state state;
		int64_t revoked_at;
		enum crl_reason reason;
	} single[OCSP_SINGLE_MAX];
};
void ca_ocsp_put(struct buf *b, const struct ca_ocsp *o);
MUST_USE bool ca_ocsp_get(struct span body, struct ca_ocsp *o, struct err *e);

/* The role behind the door. reply() is called from worker threads, once per frame fed with an id. */
struct ca;
struct ca_config {
	const char *dir;
	bool provision;           /* AUTHORITY_CREATE allowed */
	struct hsm *hsm;          /* borrowed */
	unsigned workers;         /* threads; 0: the token's sessions */
	void (*reply)(void *arg, enum ca_port port, const struct frame *f);
	void *arg;
	int64_t (*now)(void);     /* clock_now, or a test's */
};
MUST_USE bool ca_open(struct ca **out, const struct ca_config *c, struct err *e);
/* Takes a frame; copies what it needs. Never blocks; a full queue answers CA_FAILED ERR_BUSY. */
void ca_feed(struct ca *ca, enum ca_port port, const struct frame *f);
/* A worker has been in the token for longer than a call may take (10 s; 3 minutes for making a key, HSM-12): only the
 * end of the process ends that. Any thread. */
bool ca_hangs(const struct ca *ca, int64_t mono);
/* Forgets a port's unfinished CRL (its peer has restarted). */
void ca_port_reset(struct ca *ca, enum ca_port port);
void ca_close(struct ca *ca); /* finishes what is queued */
AUTO_STRUCT_DEFINE(ca, ca_close)

#endif
