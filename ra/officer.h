/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside ra/: officers' verbs. A handler answers by officer_rows or answer_error itself when it returns true; false: *e is
 * answered and, for a changing verb, audited as refused. */
#ifndef CADUCEUS_RA_OFFICER_H
#define CADUCEUS_RA_OFFICER_H

#include "ra/internal.h"
#include "ra/verbs.h"

struct call {
	struct ra *ra;
	const struct in *in;
	struct ra_officer q;
	struct span args;
	uint64_t client;
};

/* Rows are gathered here, up to what a frame holds. */
struct gathered {
	struct buf rows;
	uint32_t n;
	char next[256];
	bool full;
};
/* False when the row does not fit any more: then `next` must say where to go on. */
bool gather(struct gathered *g, const struct buf *row);
void arg_text(const struct call *c, const char *name, char *out, size_t size);
int64_t arg_int(const struct call *c, const char *name, int64_t otherwise);
struct span arg_bytes(const struct call *c, const char *name);
void call_audit(const struct call *c, const char *event, const char *type, const char *object, const char *name, const char *value);

/* officer_device.c */
bool device_add(struct call *c, struct err *e);
bool device_list(struct call *c, struct err *e);
bool device_show(struct call *c, struct err *e);
bool device_password(struct call *c, struct err *e);
bool device_disable(struct call *c, struct err *e);
bool device_enable(struct call *c, struct err *e);
/* A subject's name; its repeated argument ("san", "tag") to its identifiers. */
bool officer_name_ok(const char *s);
MUST_USE bool officer_add_list(const struct call *c, const struct subject *s, const char *argument, struct err *e);
/* officer_acme.c */
bool acme_eab_add(struct call *c, struct err *e);
bool acme_eab_list(struct call *c, struct err *e);
bool acme_eab_disable(struct call *c, struct err *e);
bool acme_account_list(struct call *c, struct err *e);
bool acme_account_disable(struct call *c, struct err *e);
/* officer_cert.c */
bool cert_list(struct call *c, struct err *e);
bool cert_show(struct call *c, struct err *e);
bool cert_issue(struct call *c, struct err *e);
bool cert_revoke(struct call *c, struct err *e);
bool cert_unhold(struct call *c, struct err *e);
/* officer_ca.c */
bool ca_list(struct call *c, struct err *e);
bool ca_show(struct call *c, struct err *e);
bool ca_fingerprint(struct call *c, struct err *e);
bool ca_chain(struct call *c, struct err *e);
bool crl_publish(struct call *c, struct err *e);
bool profile_list(struct call *c, struct err *e);
bool profile_show(struct call *c, struct err *e);
bool profile_load_verb(struct call *c, struct err *e);
bool audit_show(struct call *c, struct err *e);
bool hsm_verb(struct call *c, struct err *e);
bool backup_create(struct call *c, struct err *e);
bool status_verb(struct call *c, struct err *e);
/* SHA-256 of the newest root, hexadecimal. */
bool root_fingerprint(struct ra *ra, char out[65]);

#endif
