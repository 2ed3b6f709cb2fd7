/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside ra/: one struct, one thread, one transaction a turn. */
#ifndef CADUCEUS_RA_INTERNAL_H
#define CADUCEUS_RA_INTERNAL_H

#include "base/metric.h"
#include "ca/ca.h"
#include "crl/status.h"
#include "ra/audit.h"
#include "ra/limiter.h"
#include "ra/policy.h"
#include "ra/ra.h"
#include "store/store.h"

enum { RA_OUTSTANDING = 1024, RA_GEN_MAX = 32, RA_PROFILE_MAX = 48, RA_WAIT_MAX = 256, RA_ROLE_MAX = 8 };

/* A profile in force. */
struct active {
	uint8_t digest[32];
	struct profile p;
	bool accepted;      /* ca said so, this time */
	int64_t loaded;
};

/* What ca is asked for, until it answers. */
enum work_kind {
	WORK_NONE = 0,
	WORK_LEAF,          /* CA_ISSUE for a device, an officer or our own TLS */
	WORK_RESPONDER,     /* CA_RESPONDER_CREATE */
	WORK_AUTHORITY,     /* CA_AUTHORITY_CREATE */
	WORK_SETUP,         /* PROFILE_PUT, AUTHORITY_PUT, RESPONDER_PUT */
	WORK_PROFILE,       /* PROFILE_PUT of one that an officer loads */
	WORK_STATE,         /* CA_STATE */
	WORK_CRL,           /* a step of the CRL job */
	WORK_HSM,           /* CA_HSM_LIST, CA_HSM_TEST for an officer */
};
enum leaf_origin { LEAF_EST, LEAF_OFFICER, LEAF_TLS, LEAF_ACME };

struct leaf {
	enum leaf_origin origin;
	struct ra_source source;
	char actor[256];
	const char *auth;          /* static text */
	const char *event;         /* static text */
	int64_t subject, credential;
	struct certificate row;
	bool wrapped, chain, clamped, retried;
	bool waiting;              /* for a ca that comes back */
	bool cancelled;            /* what it was granted on has changed meanwhile */
	unsigned ignored;
	int64_t acme_order;        /* LEAF_ACME: whose it is; nobody waits by w->client */
};

struct work {
	enum work_kind kind;
	struct work *next, **at;   /* of those under way; *at is this one */
	uint32_t generation;
	uint16_t type;             /* frame type to ca */
	enum ra_port port;         /* who waits; id 0: nobody */
	uint64_t client;
	int64_t deadline;          /* mono us */
	int64_t ref;               /* generation concerned */
	struct serial serial;      /* with an open intent; n 0: none */
	struct leaf *leaf;
	struct buf ask;            /* WORK_LEAF: struct ca_issue encoded, to be asked again under a new serial */
	char verb[32];
	int setup;                 /* WORK_SETUP: index of the profile; else -1 */
};

/* A frame that goes out after the commit. */
struct out {
	enum ra_port port;
	struct frame f;
	struct buf body;
	struct work *work;         /* to ca: whose it is */
};

struct in {
	enum ra_port port;
	struct frame f;
	struct buf body;
};

/* An officer's revocation that waits for va. */
struct waiter {
	uint64_t client;           /* 0 free */
	uint64_t seq;
	int64_t deadline;
	struct buf row;
	char name[24];
};

struct crl_work {
	bool active, collecting;
	int64_t ref;
	struct ca_gen gen;
	uint64_t number, entries, body_n;
	int64_t this_update, next_update;
	struct serial after;
	int entries_fd, body_fd;
	bool waited;               /* an officer waits for it */
	char actor[64];
};

/* One `profile load` at a time: answered when ca has judged. */
struct loading {
	uint64_t client;           /* 0 nobody */
	struct profile p;
	struct buf text;
	char actor[64];
};

/* One `backup create` at a time. */
struct backup_work {
	struct store_backup *copy; /* NULL none */
	uint64_t client;
	char path[512], actor[64];
};

/* One `crl publish` at a time: answered when all of its CRLs are there. */
struct publishing {
	uint64_t client;           /* 0 nobody */
	uint32_t left;             /* bit per index of gens */
	uint32_t n;
	struct buf rows;
};

/* What ca learns, in this order: each needs the one before. Issuing authorities are below a root. */
enum setup_phase { SETUP_NONE, SETUP_ROOTS, SETUP_ISSUING, SETUP_RESPONDERS, SETUP_DONE };

struct ra {
	struct ra_config c;
	const struct config *config;
	int64_t now, mono;         /* of this turn */
	int64_t clock_offset;      /* now - mono of the last turn; 0 before the first */
	char organization[65];

	struct generation gens[RA_GEN_MAX];
	struct buf gen_cert[RA_GEN_MAX], responder_cert[RA_GEN_MAX];
	size_t gen_n;
	struct active profiles[RA_PROFILE_MAX];
	size_t profile_n;

	struct in *in;
	size_t in_n, in_cap;
	struct out *out;
	size_t out_n, out_cap;
	struct work work[RA_OUTSTANDING];
	struct work *under_way;      /* in no order */
	unsigned outstanding;
	uint32_t work_hint;

	bool up[RA_PORT_COUNT];
	char ca_why[256];            /* it is away, or refused what it needs to work; empty: nothing known */
	bool setup_refused;          /* this time */
	uint8_t refusal[RA_GEN_MAX + RA_PROFILE_MAX][32]; /* digests of what it gave as reasons */
	size_t refusal_n;
	int64_t setup_retry_at;      /* mono us: it refused something that may pass; 0 no */
	int setup_left;
	int64_t setup_epoch;         /* rises with every ca that comes up or is lost */
	enum setup_phase setup_phase;
	bool provisioning;           /* a step of provisioning waits for ca */
	struct ca_state ca_state;
	int64_t ca_state_at, ca_asked_at;

	bool va_subscribed, va_snapshot, va_full;
	int64_t va_after_ref;
	struct serial va_after;
	uint64_t va_sent, va_seen;
	uint64_t va_head[RA_WAIT_MAX];
	size_t va_head_n;

	struct waiter wait[RA_WAIT_MAX];
	struct crl_work crl;
	unsigned crl_failures;     /* in a row */
	int64_t crl_retry_at;
	uint32_t crl_due;          /* bit per index of gens: make one now */
	char crl_why[32][32];
	struct publishing publishing;
	struct backup_work backup;
	struct loading loading;
	int64_t renewed_at, responder_retry_at;
	struct limiter *limiter;
	struct scratch *scratch;   /* enroll.c */
	struct acme *acme;         /* acme.c */
	bool audit_ok, store_ok;   /* store_ok: false from a commit that failed until a write has succeeded again */
	int64_t probe_at;          /* mono us: when that is tried next */
	char last_failure[256];
	struct metrics *metrics;
	struct buf told[RA_PORT_COUNT];       /* the others' lines */
	uint64_t crl_entries[RA_GEN_MAX];     /* of the newest; 0 before the first of this boot */
	int64_t expiring_at, expiring[2];     /* counted when; within 7 and 30 days */
	bool counts;                          /* under way: this window, so far */
	size_t counting_window;
	struct expiring_count counting;
	struct sweep sweep;
	int64_t sweep_at;                     /* mono us: the next batch, or the next look */
	int64_t disk_at, disk_said;           /* mono us */
	int disk_level;                       /* 0 room, 1 alarm, 2 nothing is issued */
	int64_t clock_at;                     /* mono us: its source was looked at */
	double disk_free;                     /* share of the database's file system */
	struct {
		char role[12], layers[20];
	} sandbox[RA_ROLE_MAX];
};

/* ra.c */
struct work *work_new(struct ra *ra, enum work_kind kind, uint16_t type, int64_t deadline, struct err *e);
void work_free(struct ra *ra, struct work *w);
void ask_ca(struct ra *ra, struct work *w, struct span body);
/* id and body as probe.h says; sent after the commit like everything. A queue that is full answers PROBE_FAILED. */
void ask_probe(struct ra *ra, uint64_t id, int64_t deadline, struct span body);
void answer(struct ra *ra, enum ra_port port, uint64_t client, uint16_t type, struct span body);
void answer_error(struct ra *ra, enum ra_port port, uint64_t client, const struct err *e);
void tell(struct ra *ra, enum ra_port port, uint16_t type, struct span body);
struct generation *gen_by_ref(struct ra *ra, int64_t ref);
struct generation *gen_newest(struct ra *ra, const char *name);
size_t gen_index(const struct ra *ra, const struct generation *g);
const struct active *profile_active(const struct ra *ra, const char *name);
const struct active *profile_by_digest(const struct ra *ra, const uint8_t digest[32]);
MUST_USE bool gens_load(struct ra *ra, struct err *e);
MUST_USE bool profiles_load(struct ra *ra, struct err *e);
/* A record in this turn's transaction; failing makes the turn fail. */
void audit(struct ra *ra, const struct audit_event *ev);
/* Draws a serial of X509-01's form and records the intent; collisions draw again. */
MUST_USE bool intent_make(struct ra *ra, int64_t ref, int64_t subject, const char *purpose, struct serial *out, struct err *e);

/* Who waits for what was rolled back is told; ca is told everything anew. */
void turn_failed(struct ra *ra, const char *why);
void out_drop(struct ra *ra);
/* The anchors and labels, to front: an answer, or unasked (client 0). */
void trust_request(struct ra *ra, uint64_t client);

/* open.c */
/* Those of earlier lives, and of requests that were refused: never delivered, their serials closed for ever. */
MUST_USE bool intents_close_old(struct ra *ra, struct err *e);

/* enroll.c */
void enroll_request(struct ra *ra, const struct in *in);
void tls_request(struct ra *ra, const struct in *in);
void refused_notice(struct ra *ra, const struct in *in);

/* acme.c, acme_issue.c: what the turn and the one path tell ACME's state machine (acme_internal.h). */
MUST_USE bool acme_open(struct ra *ra, struct err *e); /* in the transaction of ra_open */
void acme_close(struct ra *ra);
void acme_request(struct ra *ra, const struct in *in);
void acme_from_probe(struct ra *ra, const struct in *in);
void acme_peer(struct ra *ra, bool up);               /* probe */
void acme_clock(struct ra *ra);
int64_t acme_next(const struct ra *ra, int64_t until); /* mono: the earlier of until and what waits */
void acme_turn_failed(struct ra *ra, const struct err *e);
bool acme_probe_away(const struct ra *ra);            /* for some time, and somebody would need it */
MUST_USE bool acme_issued(struct ra *ra, const struct leaf *l, struct err *e); /* with the certificate's row */
void acme_delivered(struct ra *ra, const struct leaf *l);
void acme_not_issued(struct ra *ra, const struct leaf *l, bool for_good, const struct err *why);

/* issue.c: the one path. */
struct issue_order {
	enum leaf_origin origin;
	enum ra_port port;
	uint64_t client;
	int64_t deadline;
	const struct active *profile;
	const struct csr *csr;
	struct span csr_der;
	const uint8_t *spki;         /* SHA-256 of its SPKI; NULL: not made yet */
	const struct grant *grant;
	int64_t subject, credential;
	const uint8_t *request_key;  /* NULL none */
	const struct ra_source *source;
	const char *actor, *auth, *event;
	bool chain;
	int64_t acme_order;          /* LEAF_ACME */
};
MUST_USE bool issue_start(struct ra *ra, const struct issue_order *o, struct err *e);
void issue_answered(struct ra *ra, struct work *w, bool good, struct span body, const struct err *why);
void issue_ca_lost(struct ra *ra, struct work *w);
void issue_ca_back(struct ra *ra);
/* The subject was disabled, or a certificate of it revoked: what is under way for it is not recorded; it asks again. */
void issue_cancel(struct ra *ra, int64_t subject);
/* The answer with a certificate (and chain). */
void issue_deliver(struct ra *ra, enum ra_port port, uint64_t client, enum leaf_origin origin, const struct certificate *row,
                   struct span der, bool wrapped, bool chain);
bool issue_pending_same(struct ra *ra, const uint8_t key[32]);
unsigned issue_pending_uses(struct ra *ra, int64_t credential);

/* setup.c: ca's tables, provisioning, renewal. */
void setup_begin(struct ra *ra);
void setup_retry(struct ra *ra);
void setup_profile(struct ra *ra, const char *name);
void setup_responder(struct ra *ra, const struct generation *g);
void setup_answered(struct ra *ra, struct work *w, bool good, struct span body, const struct err *why);
void provision_continue(struct ra *ra);
void provision_answered(struct ra *ra, struct work *w, bool good, struct span body, const struct err *why);
void renew_due(struct ra *ra);
void import_profiles(struct ra *ra);
MUST_USE bool profile_take(struct ra *ra, const struct profile *p, const char *actor, uint8_t digest[32], uint8_t before[32],
                           struct err *e);
void trust_files(struct ra *ra);

/* crl_job.c */
void crl_request(struct ra *ra, const struct generation *g, const char *actor);
/* For an officer, who is answered later. mask: bits of indices of gens. */
MUST_USE bool crl_publish_for(struct ra *ra, uint64_t client, uint32_t mask, const char *actor, struct err *e);
void crl_continue(struct ra *ra);
void crl_answered(struct ra *ra, struct work *w, bool good, struct span body, const struct err *why);
void crl_abort(struct ra *ra, const char *why);

/* feed.c */
void feed_frame(struct ra *ra, const struct in *in);
void feed_continue(struct ra *ra);
void feed_authority(struct ra *ra, const struct generation *g);
void feed_crl(struct ra *ra, const struct generation *g, uint64_t number, int64_t this_update, int64_t next_update);
void feed_swept(struct ra *ra, struct span entries);
bool feed_waits(const struct ra *ra); /* va's queue was full: it goes on in a moment */

/* revoke.c */
/* All that the filter lists and that still hold (or are on hold); *n is raised by their number, *seq to the last. */
MUST_USE bool revoke_filtered(struct ra *ra, const struct certificate_filter *which, enum crl_reason reason, const char *actor,
                              const char *auth, const struct ra_source *source, int64_t *n, uint64_t *seq, struct err *e);
MUST_USE bool revoke_certificate(struct ra *ra, const struct certificate *c, enum crl_reason reason, const char *actor,
                                 const char *auth, const struct ra_source *source, uint64_t *seq, struct err *e);
void waiters_continue(struct ra *ra);
void wait_for_va(struct ra *ra, uint64_t client, uint64_t seq, const char *name, struct span row);

/* health.c */
void health_request(struct ra *ra, const struct in *in);
/* officer_ca.c */
void profile_judged(struct ra *ra, bool good, const struct err *why);
/* backup.c */
void backup_continue(struct ra *ra);
void backup_sweep(struct ra *ra, int64_t older_than);
MUST_USE bool restore_begin(struct ra *ra, struct err *e); /* false: it may not serve */
/* sweep.c */
void sweep_continue(struct ra *ra);
/* changes.c */
enum { DISK_ALARM = 80, DISK_FULL = 95 }; /* percent used */
void changes_verify(struct ra *ra);
void changes_start(struct ra *ra, const uint8_t config_digest[32]);
void changes_config(struct ra *ra, const uint8_t digest[32]);
void changes_clock(struct ra *ra);
void changes_disk(struct ra *ra, int percent);
/* metrics.c */
void metrics_request(struct ra *ra, const struct in *in);
void metrics_count(struct ra *ra);
void metrics_told(struct ra *ra, enum ra_port from, struct span lines);
/* AUD-12: how full the disk is, every few seconds; ERR_STORE above 95 %. */
void disk_look(struct ra *ra);
MUST_USE bool disk_allows(const struct ra *ra, struct err *e);
MUST_USE bool writing_allowed(const struct ra *ra, struct err *e); /* disk and database */
void health_fill(struct ra *ra, struct ra_health *h);
/* A line a role, and one over all: "full", or what is missing. */
bool sandbox_is_full(const struct ra *ra);
void sandbox_rows(const struct ra *ra, struct buf *row);

/* officer.c */
void officer_request(struct ra *ra, const struct in *in);
void officer_hsm_answered(struct ra *ra, struct work *w, bool good, struct span body, const struct err *why);
void officer_rows(struct ra *ra, uint64_t client, const char *name, bool list, const char *next, uint32_t n, struct span rows);
void officer_certificate_row(struct buf *b, const struct certificate *c, int64_t now, bool whole, struct span der);

#endif
