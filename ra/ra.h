/* SPDX-License-Identifier: Apache-2.0
 *
 * The door to the registration authority. The channel a request comes in on is its door: enrolment requests from the
 * enrolment front, officers' verbs from the officers' front alone. */
#ifndef CADUCEUS_RA_RA_H
#define CADUCEUS_RA_RA_H

#include "base/record.h"
#include "config/config.h"
#include "ipc/frame.h"
#include "pkix/csr.h"

enum ra_port { RA_PORT_ENROLL, RA_PORT_OFFICER, RA_PORT_CA, RA_PORT_VA, RA_PORT_PROBE, RA_PORT_COUNT };

enum ra_op { /* frame types */
	RA_OK = 32,        /* answer; body as the request says */
	RA_FAILED,         /* answer: failure */
	RA_HEALTH,         /* ask (either front): empty; answer: ra_health */
	RA_TRUST,          /* ask (enroll): empty; answer: ra_trust; also told with id 0 whenever it changes */
	RA_ENROLL,         /* ask (enroll): ra_enroll; answer: ra_enrolled */
	RA_TLS_CERT,       /* ask (enroll): CSR DER as span; answer: ra_enrolled with chain: front's own certificate,
	                      names are those of the configuration, door `internal`, profile `server` */
	RA_REFUSED,        /* told (enroll): ra_refused: front refused somebody before asking; goes into the audit */
	RA_OFFICER,        /* ask (officer): ra_officer; answer: ra_rows */
	RA_COUNTED,        /* told (either front): its lines of base/metric.h */
	RA_TLS_RENEW,      /* told (to enroll): its own certificate was revoked; ask for another now */
	RA_METRICS,        /* ask (officer): empty; answer: the whole exposition, text */
	RA_ACME,           /* ask (enroll): ra_acme (ra/acme.h); answer: ra_acme_answer, problems included */
	RA_OP_COUNT
};

struct ra_source {
	char address[46];
	uint16_t port;
	char request_id[37]; /* uuid made by web/ */
};
void ra_source_put(struct buf *b, const struct ra_source *s);
void ra_source_get(struct rd *r, struct ra_source *s);

enum ra_enroll_op { RA_SIMPLE_ENROLL = 1, RA_SIMPLE_REENROLL = 2 };
struct ra_enroll {
	enum ra_enroll_op op;
	char label[32];         /* profile of the path, "" none */
	struct ra_source source;
	char user[256];         /* Basic: name, "" none */
	char password[256];     /* cleansed by who reads it */
	struct span client;     /* DER of the TLS client certificate whose path front has checked; empty none */
	char client_why[256];   /* why front did not accept the one presented, "" none */
	struct span csr;        /* DER */
};
void ra_enroll_put(struct buf *b, const struct ra_enroll *q);
MUST_USE bool ra_enroll_get(struct span body, struct ra_enroll *q, struct err *e); /* views into body */

struct ra_enrolled {
	struct span cert;       /* DER */
	bool wrapped;           /* the label wants wrapped base64 */
	uint32_t chain_n;       /* the issuer first; only when the profile or the verb wants it */
	struct span chain[4];
};
void ra_enrolled_put(struct buf *b, const struct ra_enrolled *a);
MUST_USE bool ra_enrolled_get(struct span body, struct ra_enrolled *a, struct err *e);

enum { RA_TRUST_MAX = 16, RA_LABEL_MAX = 32 };
struct ra_trust {
	uint32_t root_n, issuing_n, label_n, realm_n;
	struct span root[RA_TRUST_MAX];     /* DER, current first */
	struct span issuing[RA_TRUST_MAX];
	char label[RA_LABEL_MAX][32];       /* profiles with the est door: the EST labels */
	char realm[RA_LABEL_MAX][32];       /* profiles with the acme door: the ACME directories */
};
void ra_trust_put(struct buf *b, const struct ra_trust *t);
MUST_USE bool ra_trust_get(struct span body, struct ra_trust *t, struct err *e);

struct ra_refused {
	struct ra_source source;
	char what[32];  /* "est.simpleenroll" */
	char user[256]; /* claimed identity, "" none */
	enum err_kind kind;
	char text[256];
};
void ra_refused_put(struct buf *b, const struct ra_refused *r);
MUST_USE bool ra_refused_get(struct span body, struct ra_refused *r, struct err *e);

enum { RA_CHECK_MAX = 16 };
struct ra_health {
	bool ready;
	uint32_t n;
	struct ra_check {
		char name[24];   /* database, audit, hsm, crl, clock, va, … */
		bool ok;
		char detail[200];
	} check[RA_CHECK_MAX];
};
void ra_health_put(struct buf *b, const struct ra_health *h);
MUST_USE bool ra_health_get(struct span body, struct ra_health *h, struct err *e);

/* Officers' verbs: "device.add", "cert.revoke", … with named arguments; ra checks them against its verb table (name,
 * type, required, cap) before anything else. Rows come back in pages: `next` not empty means: ask again with the
 * argument "after" = next. */
struct ra_officer {
	char verb[32];
	struct ra_source source;   /* address "local" on the socket */
	uint32_t uid;              /* peer credentials of the local socket */
	char actor[64];            /* account name of the uid */
	struct span arguments;     /* a record */
};
void ra_officer_put(struct buf *b, const struct ra_officer *q);
MUST_USE bool ra_officer_get(struct span body, struct ra_officer *q, struct err *e);

struct ra_rows {
	char name[24];      /* what the rows are: "certificates", "device": the JSON member */
	bool list;          /* an array of rows, else one object */
	char next[256];    /* a device's name has at most 253 octets */
	uint32_t n;         /* rows follow one another as spans */
	struct span rows;   /* n times: u32 length, record */
};
void ra_rows_put(struct buf *b, const struct ra_rows *a);
MUST_USE bool ra_rows_get(struct span body, struct ra_rows *a, struct err *e);

/* The role behind the door: one loop on one thread feeds it, then lets it do a turn. Nothing here blocks but the
 * database. */
struct ra;
struct store;
struct ra_config {
	const struct config *config; /* borrowed */
	const char *dir;
	struct store *store;         /* borrowed */
	const uint8_t *config_digest; /* SHA-256 of caduceus.yaml; borrowed for ra_open; NULL: none is there */
	bool provision;              /* make the authorities, responders and profiles when there are none */
	void (*rnd)(void *out, size_t n);
	/* Gives a frame to a peer; false: its queue is full or it is gone, ra keeps or drops it as the door says. */
	bool (*send)(void *arg, enum ra_port port, const struct frame *f);
	void *arg;
};
MUST_USE bool ra_open(struct ra **out, const struct ra_config *c, int64_t now, int64_t mono, struct err *e);
/* The peer of this port came (HELLO checked) or went. A ca that went: its intents are closed; a va: subscribes anew. */
void ra_peer(struct ra *ra, enum ra_port port, bool up, int64_t now, int64_t mono);
/* Takes a frame for the next turn; copies it. Above 1,024 outstanding it answers ERR_BUSY. */
void ra_feed(struct ra *ra, enum ra_port port, const struct frame *f, int64_t mono);
/* One turn: everything that waits, in one transaction; answers go out after its commit. Returns the mono time of the
 * next thing to do by the clock (at most 1 s away). */
int64_t ra_turn(struct ra *ra, int64_t now, int64_t mono);
bool ra_busy(const struct ra *ra);          /* something waits for an answer of ca or va */
bool ra_provisioned(const struct ra *ra);   /* authorities, responders, CRLs are all there */
/* ca knows what it needs to sign. */
bool ra_settled(const struct ra *ra);
/* Configuration read again (SIGHUP): borrowed from now on; digest: SHA-256 of its file. Profiles are imported from
 * DIR/profiles. */
void ra_reload(struct ra *ra, const struct config *config, const uint8_t digest[32], int64_t now);
/* The last record of an orderly stop. */
void ra_stopping(struct ra *ra, int64_t now);
/* "ROLE LAYERS" of a role's sandbox, for `status`: u own uid, l paths, n network, g signals, s system calls. */
void ra_layers(struct ra *ra, const char *text);
/* Why ca has ended, for `status`, until it is there again. */
void ra_ca_failed(struct ra *ra, const char *why);
void ra_close(struct ra *ra);
AUTO_STRUCT_DEFINE(ra, ra_close)

#endif
