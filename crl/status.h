/* SPDX-License-Identifier: Apache-2.0
 *
 * The feed from ra to va: a snapshot, then a numbered tail in commit order. ra is asked by va (frames with an id) and
 * tells by itself (id 0). A sequence number is given at commit; the higher one wins. */
#ifndef CADUCEUS_CRL_STATUS_H
#define CADUCEUS_CRL_STATUS_H

#include "ca/ca.h"
#include "ipc/frame.h"

enum status_op { /* frame types */
	STATUS_OK = 64,
	STATUS_SUBSCRIBE,    /* va asks, empty: ra answers STATUS_OK {u64 head, u64 about how many} and tells AUTHORITY for every generation,
	                        then ENTRIES pages of the snapshot, SNAPSHOT_END, then the tail for ever */
	STATUS_AUTHORITY,    /* told: status_authority */
	STATUS_ENTRIES,      /* told: u64 seq after this frame, then status_entry one after another */
	STATUS_SNAPSHOT_END, /* told: u64 head that the snapshot holds at least */
	STATUS_CRL,          /* told: status_crl: a new file lies in DIR/crl/ */
	STATUS_HEAD,         /* va asks, empty: ra tells all of the tail up to its last commit, then answers STATUS_OK
	                        {u64 seq}: caught up to that and still unknown means never issued (OCSP-07) */
	STATUS_SEEN,         /* va tells: u64 seq applied: what a revocation waits for */
	STATUS_COUNTED,      /* va tells: its lines of base/metric.h */
	STATUS_SWEPT,        /* told: {u32 ref, span serial} one after another: not in the database any more */
	STATUS_OP_COUNT
};

/* Entries name their generation by a small number that STATUS_AUTHORITY introduces. */
struct status_authority {
	uint32_t ref;          /* ra's number of this generation, stable for ever */
	struct ca_gen gen;
	bool newest;           /* of its authority */
	struct span cert;      /* DER */
	struct span issuer;    /* DER of its issuer; empty for a self-signed one */
	bool has_responder;    /* OCSP is answered for this generation */
	int64_t responder_not_after; /* UTC us: no answer outlives its signer; 0 not told */
	int64_t ocsp_lifetime; /* us */
	bool unknown_revoked;  /* never-issued serials: revoked with extended-revoke, else unknown */
};
void status_authority_put(struct buf *b, const struct status_authority *a);
MUST_USE bool status_authority_get(struct span body, struct status_authority *a, struct err *e);

enum status_state { STATUS_GOOD = 0, STATUS_REVOKED = 1 }; /* a hold is REVOKED with REASON_HOLD */
struct status_entry {
	uint32_t ref;
	struct serial serial;
	enum status_state state;
	enum crl_reason reason;
	int64_t revoked_at; /* UTC us */
	int64_t not_after;
	uint64_t seq;      /* 1 to STATUS_SEQ_MAX */
};
#define STATUS_SEQ_MAX ((UINT64_C(1) << 45) - 1)
/* What a frame holds. */
enum { STATUS_ENTRY_SIZE = 4 + 4 + 1 + 1 + 3 * 8, STATUS_ENTRIES_MAX = 1000 };
_Static_assert(8 + STATUS_ENTRIES_MAX * (STATUS_ENTRY_SIZE + SERIAL_MAX) <= FRAME_BODY_MAX, "a page is larger than a frame");
void status_entry_put(struct buf *b, const struct status_entry *en);
MUST_USE bool status_entry_get(struct rd *r, struct status_entry *en);
/* A row of STATUS_SWEPT. */
void status_swept_put(struct buf *b, uint32_t ref, struct span serial);
MUST_USE bool status_swept_get(struct rd *r, uint32_t *ref, struct serial *s);

struct status_crl {
	struct ca_gen gen;
	bool newest;
	uint64_t number;
	int64_t this_update, next_update;
};
void status_crl_put(struct buf *b, const struct status_crl *c);
MUST_USE bool status_crl_get(struct span body, struct status_crl *c, struct err *e);

#endif
