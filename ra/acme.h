/* SPDX-License-Identifier: Apache-2.0
 *
 * ACME's part of the door to ra (RFC 8555, 8737, 8738, 9773): front has read the JWS and checked its signature and its
 * nonce; what it says here is whose key signed and what is asked. States live in ra alone. All in one flat question and one
 * flat answer, of which an operation uses what stands beside it. */
#ifndef CADUCEUS_RA_ACME_H
#define CADUCEUS_RA_ACME_H

#include "pkix/csr.h"
#include "ra/ra.h"

/* The problem types of RFC 8555, 6.7 and its extensions (ACME-12, 13); travel as a byte: append only. */
enum acme_problem {
	ACME_OK = 0,
	ACME_ACCOUNT_DOES_NOT_EXIST, ACME_ALREADY_REVOKED, ACME_BAD_CSR, ACME_BAD_NONCE, ACME_BAD_PUBLIC_KEY,
	ACME_BAD_REVOCATION_REASON, ACME_BAD_SIGNATURE_ALGORITHM, ACME_INVALID_CONTACT, ACME_UNSUPPORTED_CONTACT, ACME_MALFORMED,
	ACME_UNSUPPORTED_IDENTIFIER, ACME_REJECTED_IDENTIFIER, ACME_INVALID_PROFILE, ACME_BAD_ATTESTATION_STATEMENT,
	ACME_UNAUTHORIZED, ACME_EXTERNAL_ACCOUNT_REQUIRED, ACME_ORDER_NOT_READY, ACME_USER_ACTION_REQUIRED, ACME_CAA,
	ACME_ALREADY_REPLACED, ACME_RATE_LIMITED, ACME_SERVER_INTERNAL,
	ACME_CONNECTION, ACME_DNS, ACME_TLS, ACME_INCORRECT_RESPONSE, ACME_COMPOUND,
	ACME_CONFLICT,        /* 409 malformed with Location: the new key of a key change is somebody's (7.3.5) */
	ACME_NOT_FOUND,       /* 404 malformed: no such order, authorization, certificate, renewal information */
	ACME_ACCOUNT_DEAD,    /* 401 unauthorized: deactivated or revoked (7.3.6) */
	/* Registered by others and never given by us (ACME-14): RFC 8739, 9115, 9799. */
	ACME_AUTO_RENEWAL_CANCELED, ACME_AUTO_RENEWAL_EXPIRED, ACME_AUTO_RENEWAL_CANCELLATION_INVALID,
	ACME_AUTO_RENEWAL_REVOCATION_NOT_SUPPORTED, ACME_UNKNOWN_DELEGATION, ACME_ONION_CAA_REQUIRED,
	ACME_PROBLEM_COUNT
};

enum ra_acme_op { /* which fields of the question and parts of the answer count */
	RA_ACME_KEY = 1,         /* account -> key, thumbprint, part ACCOUNT: what a kid's signature is checked with */
	RA_ACME_NEW_ACCOUNT,     /* key, thumbprint, contacts, terms, only_existing, eab -> ACCOUNT, created */
	RA_ACME_ACCOUNT,         /* POST-as-GET of the account -> ACCOUNT */
	RA_ACME_CONTACTS,        /* contacts -> ACCOUNT */
	RA_ACME_DEACTIVATE,      /* -> ACCOUNT */
	RA_ACME_KEY_CHANGE,      /* key, new_thumbprint: the new one, which has signed as well -> ACCOUNT; CONFLICT: whose */
	RA_ACME_ORDERS,          /* cursor -> LIST */
	RA_ACME_NEW_ORDER,       /* identifiers, not_before, not_after, profile, replaces -> ORDER */
	RA_ACME_ORDER,           /* id -> ORDER */
	RA_ACME_AUTHORIZATION,   /* id -> AUTHORIZATION */
	RA_ACME_AUTHORIZATION_END, /* id: the client deactivates it -> AUTHORIZATION */
	RA_ACME_CHALLENGE,       /* id (authorization), method: POST-as-GET -> AUTHORIZATION */
	RA_ACME_CHALLENGE_START, /* id, method: POST {} -> AUTHORIZATION, perhaps with its result already */
	RA_ACME_FINALIZE,        /* id, csr -> ORDER */
	RA_ACME_CERTIFICATE,     /* id (order), alternate (0: the default chain) -> CHAIN */
	RA_ACME_REVOKE,          /* certificate, reason; account, or key of a jwk -> nothing */
	RA_ACME_RENEWAL_INFO,    /* renewal_id; nobody signs -> WINDOW */
	RA_ACME_OP_COUNT
};

/* A reply can't hold more. */
enum { ACME_IDENTIFIER_MAX = 100, ACME_CONTACT_MAX = 10, ACME_LIST_MAX = 100, ACME_CHAIN_MAX = 5, ACME_RENEWAL_ID_MAX = 96 };
enum acme_method { ACME_HTTP_01 = 1, ACME_DNS_01, ACME_TLS_ALPN_01 }; /* as probe's */
enum acme_state { /* of accounts, orders, authorizations and challenges; a byte: append only */
	ACME_PENDING = 1, ACME_READY, ACME_PROCESSING, ACME_VALID, ACME_INVALID, ACME_DEACTIVATED, ACME_EXPIRED, ACME_REVOKED,
	ACME_STATE_COUNT
};
const char *acme_state_name(enum acme_state s);   /* "pending", … */
const char *acme_method_name(enum acme_method m); /* "http-01", … */
/* "badCSR", …: what stands behind "urn:ietf:params:acme:error:". Ours with a status of their own share a type. */
const char *acme_problem_name(enum acme_problem p);

struct acme_identifier { /* as asked: ra judges it */
	char type[24];
	char value[256];
};

struct ra_acme {
	enum ra_acme_op op;
	struct ra_source source;
	char realm[32];              /* the directory's profile */
	int64_t account;             /* whose key signed; 0: a jwk signed, or nobody */
	uint8_t thumbprint[32];      /* RFC 7638, SHA-256, of the key that signed */
	struct span key;             /* SubjectPublicKeyInfo of a jwk */
	uint8_t new_thumbprint[32];
	int64_t id, cursor;
	enum acme_method method;     /* 0 none */
	bool only_existing, terms_agreed;
	uint32_t contact_n;
	char contact[ACME_CONTACT_MAX][256]; /* "mailto:…", already checked */
	struct {
		char kid[64];            /* "" none */
		uint16_t bits;           /* 256, 384, 512: HS256, … */
		struct span input, mac;  /* JWS signing input, MAC octets */
	} eab;
	uint32_t identifier_n;
	struct acme_identifier identifier[ACME_IDENTIFIER_MAX];
	int64_t not_before, not_after; /* us; 0 not asked */
	char profile[32];            /* "" none */
	char replaces[ACME_RENEWAL_ID_MAX]; /* ARI's identifier of the predecessor, "" none */
	struct span csr, certificate; /* DER */
	int reason;                  /* -1 none */
	uint32_t alternate;
	char renewal_id[ACME_RENEWAL_ID_MAX];
};
/* ACME_UNAUTHORIZED with exactly this detail: the account's key is not the one whose thumbprint was said (any more). front
 * asks RA_ACME_KEY once more. */
#define ACME_STALE_KEY "the account has another key"
void ra_acme_put(struct buf *b, const struct ra_acme *q);
MUST_USE bool ra_acme_get(struct span body, struct ra_acme *q, struct err *e); /* views into body */

enum ra_acme_part { /* what of the answer is there: bits */
	RA_ACME_HAS_ACCOUNT = 1, RA_ACME_HAS_ORDER = 2, RA_ACME_HAS_AUTHORIZATION = 4, RA_ACME_HAS_LIST = 8, RA_ACME_HAS_CHAIN = 16,
	RA_ACME_HAS_WINDOW = 32, RA_ACME_HAS_KEY = 64,
};
struct ra_acme_answer {
	uint32_t parts;
	enum acme_problem problem;   /* ACME_OK, or why not: then no part but an ACCOUNT id of CONFLICT */
	char detail[400];
	int retry_after;             /* s; 0 none: of a problem, and of what is still under way */
	uint32_t sub_n;              /* subproblems (6.7.1) */
	struct acme_sub {
		enum acme_problem problem;
		struct acme_identifier identifier;
		char detail[160];
	} sub[ACME_IDENTIFIER_MAX];

	int64_t account;             /* id */
	bool created;
	struct {
		enum acme_state state;
		bool terms_agreed;
		bool eab;
		uint32_t contact_n;
		char contact[ACME_CONTACT_MAX][256];
		uint8_t thumbprint[32];  /* with HAS_KEY */
		struct span key;
	} of;

	struct {
		int64_t id, expires;
		enum acme_state state;
		uint32_t identifier_n;
		struct acme_identifier identifier[ACME_IDENTIFIER_MAX]; /* wildcards with "*." */
		uint32_t authorization_n;
		int64_t authorization[ACME_IDENTIFIER_MAX];
		int64_t not_before, not_after;
		char profile[32], replaces[ACME_RENEWAL_ID_MAX];
		bool certificate;        /* /cert/ID is there */
		enum acme_problem error;
		char error_detail[256];
		struct acme_identifier error_identifier; /* type "" none */
	} order;

	struct {
		int64_t id, expires;
		enum acme_state state, challenge_state; /* of the method below; the others are pending */
		struct acme_identifier identifier;      /* without "*." */
		bool wildcard;
		char token[48];
		uint32_t methods;        /* offered: bits 1 << method */
		enum acme_method method; /* the one that was started; 0 none yet */
		int64_t validated;       /* us; 0 not */
		enum acme_problem error;
		char error_detail[256];
	} authorization;

	uint32_t list_n;             /* order ids, newest first */
	int64_t list[ACME_LIST_MAX];
	int64_t next;                /* cursor of the next page; 0 the last */

	uint32_t chain_n, alternates; /* leaf first, no root; how many other chains there are */
	struct span chain[ACME_CHAIN_MAX];

	int64_t window_start, window_end; /* us */
};
void ra_acme_answer_put(struct buf *b, const struct ra_acme_answer *a);
MUST_USE bool ra_acme_answer_get(struct span body, struct ra_acme_answer *a, struct err *e); /* views into body */

#endif
