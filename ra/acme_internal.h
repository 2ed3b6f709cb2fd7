/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside ra's ACME. One question at a time in one scratch; what waits for probe, ca or va stands in small lists. Every change
 * of a state goes through acme_move. */
#ifndef CADUCEUS_RA_ACME_INTERNAL_H
#define CADUCEUS_RA_ACME_INTERNAL_H

#include "probe/probe.h"
#include "ra/acme.h"
#include "ra/internal.h"
#include "ra/rate.h"

enum { ASK_MAX = 1024, ASK_SHARE = 128 /* of one account: fewer than probe has under way */, ACME_WAIT_MAX = 1024, ATTEMPTS = 3, RULES_MAX = 256 };

/* How long what, and how soon. */
#define ACME_PROBE_WAIT (300 * US_PER_SECOND / 1000) /* a client waits for probe before it is told to come again */
#define ACME_PROBE_DEADLINE (60 * US_PER_SECOND)     /* probe answers within its own caps: after that it is lost */
#define ACME_ISSUE_WAIT (12 * US_PER_SECOND)
#define ACME_DUE_AGAIN (30 * US_PER_SECOND)          /* what is processing is looked at again, for whoever has forgotten it */
#define ACME_KEEP (7 * US_PER_DAY)                   /* an invalid order can still be read */
#define ACME_KEEP_AUTHORIZATION US_PER_DAY           /* an authorization that has ended */

/* A question to probe, from the first attempt to the last. */
struct ask {
	bool used, sent;
	uint32_t generation;
	int64_t authorization, account;
	enum acme_method method;
	uint64_t client;           /* who waits; 0 nobody */
	int64_t answer_by;         /* mono: then it is told to come again */
	int64_t next;              /* mono: sent again then: a retry, or given up by probe */
	unsigned attempts;         /* that are over */
	struct ra_source source;   /* who began it */
};

/* A client that waits for ca (order) or va (seq). */
struct acme_wait {
	uint64_t client, seq;
	int64_t order, until;
};

/* A name of an order, unpacked. */
struct acme_name {
	char text[STORE_NAME + 8]; /* "dns:*.ward3.example" */
	int64_t authorization;
	bool own;                  /* this order has made it; else it is one that was valid already */
};

struct acme_rules {
	size_t n, profile_n;
	struct san rule[RULES_MAX];
	char profile[RA_LABEL_MAX][32];
};

struct acme {
	struct ra_acme q;
	struct ra_acme_answer a;
	bool later;                /* the answer is given by who finds it out */
	bool known;                /* account is whose key signed */
	struct acme_account account;
	struct acme_order order;
	struct acme_authorization authorization;
	uint32_t name_n;
	struct acme_name name[ACME_IDENTIFIER_MAX];
	struct san_list san;       /* names as a certificate has them */
	struct acme_rules rules;
	struct csr csr;
	struct grant grant;
	struct cert cert;
	struct certificate row;
	struct buf der, key;
	struct acme_order other;   /* of an inner look */
	struct acme_authorization another;
	struct acme_name other_name[ACME_IDENTIFIER_MAX];

	struct rate *rate;
	struct ask ask[ASK_MAX];
	size_t ask_n;              /* used */
	size_t ask_end;            /* none is used from here on */
	struct acme_wait wait[ACME_WAIT_MAX];
	size_t wait_n;
	int64_t last_order;        /* the newest order's number; -1 not known */
	int64_t sweep_at, account_sweep_at; /* mono */
	int64_t opened, probe_gone; /* mono: since when probe is away; 0 it is there */
};

/* acme_state.c: the one table of transitions (RFC 8555, 7.1.6). ERR_INTERNAL: there is no such one. */
enum acme_what { ACME_AN_ORDER, ACME_AN_AUTHORIZATION, ACME_A_CHALLENGE, ACME_AN_ACCOUNT };
MUST_USE bool acme_move(enum acme_what what, int *state, enum acme_state to, struct err *e);
bool acme_may_move(enum acme_what what, enum acme_state from, enum acme_state to);
/* An order's names to and from its row. */
void acme_names_put(struct buf *b, const struct acme_name *names, uint32_t n);
MUST_USE bool acme_names_get(struct span packed, struct acme_name *names, uint32_t *n, struct err *e);
/* "dns:*.x" -> type "dns", value "*.x". */
void acme_identifier_of(const char *text, struct acme_identifier *out);
bool acme_is_wildcard(const char *text);
/* What clients see: what has run out is not valid any more, before the clock has written it down. */
enum acme_state acme_order_seen(const struct acme_order *o, int64_t now);
enum acme_state acme_authorization_seen(const struct acme_authorization *a, int64_t now);

/* acme.c: each operation answers true when it is done (the answer stands in a, or comes later); false: a->problem says why
 * not, or *e when it is ours. What it has written goes when it answers false. */
typedef bool acme_op(struct ra *ra, const struct in *in, struct acme *s, struct err *e);
bool acme_no(struct acme *s, enum acme_problem p, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
bool acme_slow(struct acme *s, int wait, const char *fmt, ...) __attribute__((format(printf, 3, 4))); /* rateLimited */
/* A refusal of a store's function: what is not there is a problem of the client's. */
bool acme_missing(struct acme *s, const char *what, const struct err *e);
void acme_give(struct ra *ra, uint64_t client, struct acme *s);
/* a is emptied; s->order (with its names), s->authorization or s->account is put into it. */
void acme_answer_clear(struct acme *s);
MUST_USE bool acme_answer_order(struct ra *ra, struct acme *s, struct err *e);
void acme_answer_authorization(struct ra *ra, struct acme *s);
void acme_answer_account(struct acme *s);
/* The profile of a directory; NULL: it is none. */
const struct active *acme_realm(const struct ra *ra, const char *name);
void acme_counted(struct ra *ra, const char *family, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void acme_actor(const struct acme_account *a, char *out, size_t size);

/* acme_account.c */
acme_op acme_key, acme_new_account, acme_account_get, acme_contacts, acme_deactivate, acme_key_change;
/* Whose key signed is an account that may act. */
MUST_USE bool acme_signer(struct ra *ra, struct acme *s, struct err *e);
MUST_USE bool acme_rules_load(struct ra *ra, int64_t subject, struct acme_rules *r, struct err *e);
/* All accounts of a subject: an officer's act. */
MUST_USE bool acme_accounts_revoke(struct ra *ra, int64_t subject, int64_t *n, struct err *e);

/* acme_order.c */
acme_op acme_orders, acme_new_order, acme_order_get, acme_authorization_get, acme_authorization_end;
/* The order of this number with its names: *s->order. */
MUST_USE bool acme_order_load(struct ra *ra, struct acme *s, int64_t id, struct err *e);
/* It ends, with the reason that clients see; its pending authorizations with it. */
MUST_USE bool acme_order_fail(struct ra *ra, struct acme *s, enum acme_problem p, const char *name, const char *detail, struct err *e);
MUST_USE bool acme_order_move(struct ra *ra, struct acme *s, enum acme_state to, struct err *e); /* not written yet */
/* A list of names, as one text: what is counted and compared. */
void acme_names_text(const struct acme_name *names, uint32_t n, struct buf *out);

/* acme_probe.c */
acme_op acme_challenge, acme_challenge_start;
uint32_t acme_methods_of(const char *name);
void acme_probe_frame(struct ra *ra, const struct in *in);
void acme_probe_peer(struct ra *ra, bool up);
void acme_asks_continue(struct ra *ra);
void acme_asks_failed(struct ra *ra, const struct err *e); /* the turn is undone */
void acme_ask_drop(struct acme *s, int64_t authorization);
bool acme_is_asked(const struct acme *s, int64_t authorization);
/* A challenge in processing that nobody asks about (any more). */
void acme_ask_again(struct ra *ra, const struct acme_authorization *a);

/* acme_issue.c */
acme_op acme_finalize, acme_certificate;
/* An order in processing that nobody works on (any more). */
MUST_USE bool acme_issue_again(struct ra *ra, struct acme *s, struct err *e);
void acme_waits_continue(struct ra *ra);
void acme_waits_failed(struct ra *ra, const struct err *e);
MUST_USE bool acme_wait_add(struct acme *s, const struct acme_wait *w);

/* acme_revoke.c */
acme_op acme_revoke, acme_renewal_info;
/* Certificate that an ARI identifier names, in s->row: of ours, of a profile with the acme door. ERR_BAD_REQUEST: malformed. */
MUST_USE bool acme_by_renewal_id(struct ra *ra, struct acme *s, const char *id, struct err *e);

/* acme_sweep.c */
void acme_sweep(struct ra *ra);
MUST_USE bool acme_resume(struct ra *ra, struct err *e);

#endif
