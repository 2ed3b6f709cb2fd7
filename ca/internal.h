/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside ca/. */
#ifndef CADUCEUS_CA_INTERNAL_H
#define CADUCEUS_CA_INTERNAL_H

#include "base/metric.h"
#include "ca/ca.h"
#include "hsm/hsm.h"
#include "pkix/constraints.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>

enum { CA_PROFILE_MAX = 64, CA_AUTHORITY_MAX = 32, CA_QUEUE_MAX = 4096, CA_WORKER_MAX = 64,
       CA_CALL_S = 10, CA_MAKE_S = 180 };

/* A key that signs, with what verifies it. */
struct signer {
	struct hsm_key *key;
	EVP_PKEY *public_key;
	enum sig_alg alg;
	struct metrics *metrics; /* borrowed, may be NULL */
	atomic_bool quarantined; /* a signature of it did not hold (HSM-06) */
};

struct authority {
	struct ca_gen gen;
	struct buf der;
	struct cert cert;       /* views into der */
	struct constraints *constraints;      /* its own, NULL none */
	const struct authority *parent;       /* NULL the root; never removed while it is in the tables */
	struct signer signer;
	char aia_ocsp[300], aia_issuer[300], cdp[300];
	struct responder {
		struct buf der;
		struct cert cert;
		uint8_t key_hash[20]; /* SHA-1 of its public key bits */
		uint8_t key_id[HSM_ID_MAX];
		size_t key_id_n;
		struct signer signer;
	} *responder; /* NULL none */
};

struct accepted {
	uint8_t digest[32];
	struct profile p;
};

/* What composers need of an issuer: no keys. */
struct issuer {
	struct span name, ski;
	int64_t not_before, not_after;
	const char *aia_ocsp, *aia_issuer, *cdp;
	const struct cert *cert;
	enum sig_alg alg;
};
struct issuer issuer_of(const struct authority *a);

/* limits.c: what no profile may exceed, whoever sends it. */
MUST_USE bool limits_check(const struct profile *p, struct err *e);
int64_t limits_validity(const struct profile *p);

/* x509_compose.c: pure. spki whole. Appends the tbsCertificate. */
MUST_USE bool x509_compose_leaf(struct buf *tbs, const struct profile *p, const struct issuer *is, const struct ca_issue *i,
                                struct span spki, struct err *e);
/* is NULL: self-signed under alg. */
MUST_USE bool x509_compose_ca(struct buf *tbs, const struct ca_create *c, const struct issuer *is, enum sig_alg alg,
                              struct span spki, struct err *e);
/* SEQUENCE { tbs, algorithm, BIT STRING }. */
void x509_assemble(struct buf *out, struct span tbs, enum sig_alg alg, struct span sig);

/* check.c: everything that ra said, again. */
/* X509-25: the constraints of an authority and of all above it. */
MUST_USE bool names_check(const struct authority *a, const struct dn *subject, const struct san_list *san, struct err *e);
MUST_USE bool issue_check(const struct profile *p, const struct issuer *is, const struct ca_issue *i, int64_t now,
                          struct err *e);
MUST_USE bool issue_check_csr(const struct profile *p, const struct csr *csr, struct err *e);

/* lint.c: over the finished bytes, with a reader of its own. p NULL: a CA certificate. */
struct lint_context {
	const struct profile *profile;
	const struct issuer *issuer; /* NULL self-signed */
	struct span issuer_name, issuer_ski;
	int64_t issuer_not_before, issuer_not_after;
	int64_t max_validity;
};
MUST_USE bool lint_certificate(struct span tbs, const struct lint_context *c, struct err *e);

/* sign.c */
MUST_USE bool signer_open(struct signer *s, struct hsm *h, struct span key_id, struct span spki, struct err *e);
void signer_close(struct signer *s);
/* Signs and verifies in software before it lets go. */
MUST_USE bool signer_sign(struct signer *s, struct hsm *h, struct span message, struct buf *sig, struct err *e);
/* For a digest made while streaming. Not for Ed25519. */
MUST_USE bool signer_sign_digest(struct signer *s, struct hsm *h, struct span digest, struct buf *sig, struct err *e);

/* crl_compose.c */
struct crl_job {
	bool active;
	struct ca_crl c;
	uint64_t entries, body_n, total;
	struct serial last;
	EVP_MD_CTX *md;
	struct buf whole;  /* Ed25519 signs the message itself: kept, capped */
};
MUST_USE bool crl_begin(struct crl_job *j, const struct authority *a, const struct ca_crl *c, struct buf *out, struct err *e);
MUST_USE bool crl_add(struct crl_job *j, struct span entries, struct buf *out, struct err *e);
MUST_USE bool crl_end(struct crl_job *j, struct authority *a, struct hsm *h, struct buf *out, struct err *e);
void crl_drop(struct crl_job *j);

/* ocsp_compose.c */
MUST_USE bool ocsp_answer(struct buf *out, const struct ca_ocsp *o, struct authority *a, struct hsm *h, struct err *e);

/* counter.c: issued ever, durable in blocks. */
struct counter {
	pthread_mutex_t lock;
	char path[4096];
	uint64_t value, reserved;
};
MUST_USE bool counter_open(struct counter *c, const char *dir, struct err *e);
MUST_USE bool counter_next(struct counter *c, struct err *e);
uint64_t counter_value(struct counter *c);
void counter_close(struct counter *c); /* an orderly stop: the exact number again */

/* --- The role */

struct job {
	struct job *next;
	enum ca_port port;
	uint16_t type;
	uint64_t id;
	int64_t deadline;
	size_t n;
	uint8_t body[];
};

struct queue {
	struct job *head, **tail;
	unsigned n;
};

struct ca {
	struct ca_config c;
	struct counter counter;
	pthread_rwlock_t tables;
	struct accepted profiles[CA_PROFILE_MAX];
	size_t profile_n;
	struct authority *authorities[CA_AUTHORITY_MAX];
	size_t authority_n;

	pthread_mutex_t lock;
	pthread_cond_t work;
	struct queue issue, ocsp; /* OCSP gets at most half of the workers while an ISSUE waits */
	unsigned workers, ocsp_busy;
	bool stop, ocsp_last;
	pthread_t thread[CA_WORKER_MAX];
	atomic_uint started;                     /* workers, for their index */
	_Atomic int64_t due[CA_WORKER_MAX];      /* mono us: what a worker does must have ended; 0 it waits */

	pthread_mutex_t crl_lock;
	struct crl_job crl[CA_PORT_COUNT];
	_Atomic uint64_t issued, answered, crls;
	struct metrics *metrics;
};

/* tables.c: puts take the write lock, look-ups want it held. */
const struct accepted *tables_profile(const struct ca *ca, const uint8_t digest[32]);
struct authority *tables_authority(const struct ca *ca, const struct ca_gen *g);
struct authority *tables_authority_or_fail(const struct ca *ca, const struct ca_gen *g, struct err *e);
MUST_USE bool tables_profile_put(struct ca *ca, struct span body, struct buf *out, struct err *e);
MUST_USE bool tables_authority_put(struct ca *ca, struct span body, struct err *e);
MUST_USE bool tables_responder_put(struct ca *ca, struct span body, struct err *e);
void tables_authority_free(struct authority *a);

/* act.c: with the read lock held. */
MUST_USE bool act_issue(struct ca *ca, struct span body, struct buf *out, struct err *e);
MUST_USE bool act_responder_create(struct ca *ca, struct span body, struct buf *out, struct err *e);
MUST_USE bool act_authority_create(struct ca *ca, struct span body, struct buf *out, struct err *e);
MUST_USE bool act_crl(struct ca *ca, const struct job *job, struct span body, struct buf *out, struct err *e);
MUST_USE bool act_ocsp(struct ca *ca, struct span body, struct buf *out, struct err *e);
void act_state(struct ca *ca, struct buf *out);
MUST_USE bool act_hsm_list(struct ca *ca, struct buf *out, struct err *e);
MUST_USE bool act_hsm_test(struct ca *ca, struct buf *out, struct err *e);

#endif
