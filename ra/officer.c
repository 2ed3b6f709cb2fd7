/* SPDX-License-Identifier: Apache-2.0 */
#include "ra/officer.h"

#include "base/log.h"
#include "base/text.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const struct handler {
	const char *name;
	bool (*run)(struct call *, struct err *);
} handlers[] = {
	{ "status", status_verb },
	{ "device.add", device_add }, { "device.list", device_list }, { "device.show", device_show },
	{ "device.password", device_password }, { "device.disable", device_disable }, { "device.enable", device_enable },
	{ "cert.list", cert_list }, { "cert.show", cert_show }, { "cert.issue", cert_issue },
	{ "cert.revoke", cert_revoke }, { "cert.unhold", cert_unhold },
	{ "ca.list", ca_list }, { "ca.show", ca_show }, { "ca.fingerprint", ca_fingerprint }, { "ca.chain", ca_chain },
	{ "crl.publish", crl_publish },
	{ "profile.list", profile_list }, { "profile.show", profile_show }, { "profile.load", profile_load_verb },
	{ "audit.show", audit_show }, { "hsm.list", hsm_verb }, { "hsm.test", hsm_verb },
	{ "backup.create", backup_create },
	{ "acme.eab.add", acme_eab_add }, { "acme.eab.list", acme_eab_list }, { "acme.eab.disable", acme_eab_disable },
	{ "acme.account.list", acme_account_list }, { "acme.account.disable", acme_account_disable },
};

bool gather(struct gathered *g, const struct buf *row)
{
	/* Room for the rest of the answer. */
	if (g->rows.n + row->n + 512 > FRAME_BODY_MAX) {
		g->full = true;
		return false;
	}
	wr_span(&g->rows, row->p, row->n);
	g->n++;
	return true;
}

void officer_rows(struct ra *ra, uint64_t client, const char *name, bool list, const char *next, uint32_t n, struct span rows)
{
	struct ra_rows a = { .list = list, .n = n, .rows = rows };
	AUTO_BUF body = { 0 };

	snprintf(a.name, sizeof a.name, "%s", name);
	snprintf(a.next, sizeof a.next, "%s", next);
	ra_rows_put(&body, &a);
	answer(ra, RA_PORT_OFFICER, client, RA_OK, span_of(&body));
}

void arg_text(const struct call *c, const char *name, char *out, size_t size)
{
	if (!record_get_text(c->args, name, out, size))
		out[0] = 0; /* checked against the verb table before */
}

int64_t arg_int(const struct call *c, const char *name, int64_t otherwise)
{
	return record_get_int(c->args, name, otherwise);
}

struct span arg_bytes(const struct call *c, const char *name)
{
	struct field f;

	return record_find(c->args, name, FIELD_BYTES, &f) ? f.octets : (struct span){ NULL, 0 };
}

void call_audit(const struct call *c, const char *event, const char *type, const char *object, const char *name, const char *value)
{
	struct audit_event ev = { .event = event, .outcome = "success", .actor = c->q.actor, .auth = "local", .source = &c->q.source,
		                  .object_type = type, .object = object };

	if (name != NULL)
		audit_detail(&ev, name, value);
	audit(c->ra, &ev);
}

/* AUD-16: until officers are armed, root, the instance's owner and the members of group caduceus have all roles. */
static bool may(const struct call *c)
{
	const struct group *g = getgrnam("caduceus");
	const struct passwd *p;
	struct stat st;

	if (c->q.uid == 0 || (stat(c->ra->c.dir, &st) == 0 && st.st_uid == c->q.uid))
		return true;
	p = g != NULL ? getpwuid(c->q.uid) : NULL;
	if (p == NULL)
		return false;
	if (p->pw_gid == g->gr_gid)
		return true;
	for (char **m = g->gr_mem; *m != NULL; m++)
		if (strcmp(*m, p->pw_name) == 0)
			return true;
	return false;
}

static bool run(struct call *c, const struct verb *v, struct err *e)
{
	if (!may(c))
		return err_set(e, ERR_DENIED, "you are no officer here: ask root to add you to the group caduceus");
	if (!verb_check(v, c->args, e))
		return false;
	for (size_t i = 0; i < COUNT_OF(handlers); i++)
		if (strcmp(handlers[i].name, v->name) == 0)
			return handlers[i].run(c, e);
	return err_set(e, ERR_NOT_FOUND, "%s is not there yet", v->name);
}

static void audit_refused(const struct call *c, const struct err *e)
{
	struct audit_event ev = { .event = c->q.verb, .outcome = "refused", .actor = c->q.actor, .auth = "local", .source = &c->q.source,
		                  .object_type = "request", .object = "" };

	audit_detail(&ev, "kind", err_kind_name(e->kind));
	audit_detail(&ev, "reason", e->text);
	audit(c->ra, &ev);
}

void officer_request(struct ra *ra, const struct in *in)
{
	struct call c = { .ra = ra, .in = in, .client = in->f.id };
	const struct verb *v = NULL;
	struct err e = { 0 };
	bool good = ra_officer_get(in->f.body, &c.q, &e);

	c.args = c.q.arguments;
	if (good && (v = verb_find(c.q.verb)) == NULL)
		good = err_set(&e, ERR_NOT_FOUND, "there is no verb '%.31s'", c.q.verb);
	if (good && !v->reads && !ra->store_ok)
		good = err_set(&e, ERR_STORE, "the database can't be written now");
	good = good && store_savepoint(ra->c.store, &e);
	if (good && !run(&c, v, &e)) {
		store_rollback_to(ra->c.store);
		good = false;
	} else if (good) {
		good = store_release(ra->c.store, &e);
	}
	if (good)
		return;
	if (v != NULL && ra->store_ok && (!v->reads || e.kind == ERR_DENIED))
		audit_refused(&c, &e);
	answer_error(ra, RA_PORT_OFFICER, in->f.id, &e);
}
