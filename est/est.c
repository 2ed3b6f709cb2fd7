/* SPDX-License-Identifier: Apache-2.0 */
#include "est/est.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "pkix/cert.h"
#include "ra/ra.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define EST_PREFIX "/.well-known/est"
#define CERTS_ONLY "application/pkcs7-mime; smime-type=certs-only"
#define REALM "Basic realm=\"est\", charset=\"UTF-8\""

/* What RA_TRUST said last, ready to use. */
struct anchors {
	struct trust *trust;
	struct buf cacerts; /* DER of the certs-only answer */
	uint32_t label_n;
	char label[RA_LABEL_MAX][32];
};

struct est {
	struct caller *ra;
	pthread_rwlock_t lock;
	struct anchors *anchors; /* NULL: ra has not spoken yet */
};

static const struct operation {
	const char *name;
	const char *method;
	enum ra_enroll_op ask; /* 0: not asked of ra */
} operations[EST_OPERATION_COUNT] = {
	[EST_CACERTS] = { "cacerts", "GET", 0 },
	[EST_SIMPLEENROLL] = { "simpleenroll", "POST", RA_SIMPLE_ENROLL },
	[EST_SIMPLEREENROLL] = { "simplereenroll", "POST", RA_SIMPLE_REENROLL },
	[EST_CSRATTRS] = { "csrattrs", "GET", 0 },
	[EST_SERVERKEYGEN] = { "serverkeygen", "POST", 0 },
	[EST_FULLCMC] = { "fullcmc", "POST", 0 },
};

unsigned est_status_of(enum err_kind kind)
{
	/* RFC 7030, 4.2.3; EST-27 */
	static const unsigned short status[ERR_KIND_COUNT] = {
		[ERR_BUSY] = 503, [ERR_TIMEOUT] = 503, [ERR_UNAUTHENTICATED] = 401, [ERR_DENIED] = 403,
		[ERR_NOT_FOUND] = 404, [ERR_EXISTS] = 400, [ERR_CONFLICT] = 400, [ERR_BAD_REQUEST] = 400,
		[ERR_TOO_LARGE] = 413, [ERR_BAD_TYPE] = 415, [ERR_BAD_METHOD] = 405, [ERR_BAD_CSR] = 400,
		[ERR_BAD_KEY] = 400, [ERR_BAD_NAME] = 400, [ERR_BAD_CERT] = 403, [ERR_POLICY] = 403,
		[ERR_HSM] = 503, [ERR_PIN] = 503, [ERR_STORE] = 503, [ERR_IO] = 503, [ERR_RATE] = 429,
	};

	return (unsigned)kind < ERR_KIND_COUNT && status[kind] != 0 ? status[kind] : 500;
}

static void anchors_free(struct anchors *a)
{
	if (a == NULL)
		return;
	trust_free(a->trust);
	buf_free(&a->cacerts);
	free(a);
}

struct est *est_new(void)
{
	struct est *e = mem_new(sizeof *e);

	pthread_rwlock_init(&e->lock, NULL);
	return e;
}

void est_set_caller(struct est *e, struct caller *ra)
{
	e->ra = ra;
}

void est_free(struct est *e)
{
	if (e == NULL)
		return;
	anchors_free(e->anchors);
	pthread_rwlock_destroy(&e->lock);
	free(e);
}

void est_trust(struct est *e, struct span body)
{
	AUTO_FREE struct ra_trust *t = mem_new(sizeof *t);
	struct anchors *fresh = mem_new(sizeof *fresh), *old;
	struct span all[2 * RA_TRUST_MAX];
	size_t n = 0;
	struct err why;

	if (!ra_trust_get(body, t, &why) ||
	    !trust_new(&fresh->trust, t->root, t->root_n, t->issuing, t->issuing_n, &why)) {
		log_event(LOG_LEVEL_ERROR, "trust anchors not taken", "why", why.text, NULL);
		anchors_free(fresh);
		return;
	}
	for (uint32_t i = 0; i < t->root_n; i++)
		all[n++] = t->root[i];
	for (uint32_t i = 0; i < t->issuing_n; i++)
		all[n++] = t->issuing[i];
	cms_certs_only(&fresh->cacerts, all, n);
	fresh->label_n = t->label_n;
	memcpy(fresh->label, t->label, sizeof fresh->label);
	pthread_rwlock_wrlock(&e->lock);
	old = e->anchors;
	e->anchors = fresh;
	pthread_rwlock_unlock(&e->lock);
	anchors_free(old);
}

bool est_path_parse(const char *path, enum est_operation *op, char label[32])
{
	const char *last, *rest = path;
	size_t n;

	label[0] = 0;
	if (rest[0] != '/')
		return false;
	rest++;
	last = strchr(rest, '/');
	if (last != NULL) {
		n = (size_t)(last - rest);
		if (n == 0 || n >= 32)
			return false;
		memcpy(label, rest, n);
		label[n] = 0;
		rest = last + 1;
	}
	for (int i = 0; i < EST_OPERATION_COUNT; i++) {
		if (strcmp(operations[i].name, rest) == 0) {
			*op = (enum est_operation)i;
			return true;
		}
	}
	return false;
}

bool est_basic_parse(const char *authorization, char user[256], char password[256], struct err *e)
{
	AUTO_BUF plain = { 0 };
	const char *text = authorization;
	const uint8_t *colon;
	size_t n;
	bool good;

	if (strncasecmp(text, "Basic ", 6) != 0)
		return err_set(e, ERR_UNAUTHENTICATED, "only Basic authentication or a client certificate is accepted");
	text += 6 + strspn(text + 6, " ");
	if (strlen(text) > 1024 || !b64_get(&plain, text, strlen(text)) || plain.n == 0)
		return err_set(e, ERR_BAD_REQUEST, "the Authorization header is no base64 of name:password");
	colon = memchr(plain.p, ':', plain.n);
	n = colon != NULL ? (size_t)(colon - plain.p) : 0;
	good = colon != NULL && n != 0 && n < 256 && plain.n - n - 1 < 256 &&
	       text_is_clean_utf8((char *)plain.p, plain.n);
	if (good) {
		memcpy(user, plain.p, n);
		user[n] = 0;
		memcpy(password, colon + 1, plain.n - n - 1);
		password[plain.n - n - 1] = 0;
	}
	mem_wipe(plain.p, plain.n);
	return good || err_set(e, ERR_BAD_REQUEST,
	                       "the Authorization header needs name:password, each of at most 255 octets");
}

bool est_body_decode(struct buf *der, struct span body, struct err *e)
{
	const char *text = (const char *)body.p;
	const char *dashes = body.n != 0 ? memmem(text, body.n, "-----BEGIN ", 11) : NULL;

	if (body.n == 0)
		return err_set(e, ERR_BAD_REQUEST, "the body is empty; send base64 of a PKCS#10 request in DER");
	if (dashes != NULL) {
		/* QRK-04: armour is tolerated; both labels that tools write. */
		if (pem_get(der, "CERTIFICATE REQUEST", text, body.n, NULL) ||
		    pem_get(der, "NEW CERTIFICATE REQUEST", text, body.n, NULL))
			return true;
		return err_set(e, ERR_BAD_REQUEST, "the PEM block is no CERTIFICATE REQUEST, or broken");
	}
	if (!b64_get(der, text, body.n))
		return err_set(e, ERR_BAD_REQUEST,
		               "the body is no valid base64; send base64 of a PKCS#10 request in DER");
	return true;
}

static bool known_label(struct est *est, const char *label)
{
	bool known = label[0] == 0;

	pthread_rwlock_rdlock(&est->lock);
	/* Until ra has spoken, ra itself judges the label. */
	if (est->anchors == NULL)
		known = true;
	for (uint32_t i = 0; !known && i < est->anchors->label_n; i++)
		known = strcmp(est->anchors->label[i], label) == 0;
	pthread_rwlock_unlock(&est->lock);
	return known;
}

static void put_base64(struct response *out, const struct request *in, const void *der, size_t n, bool wrapped)
{
	/* EST-22: some clients read one line only, others only wrapped ones. */
	wrapped |= strncmp(in->user_agent, "Cisco EST client", 16) == 0 || strncmp(in->user_agent, "libest", 6) == 0;
	b64_put(&out->body, der, n, wrapped ? B64_WRAPPED_64 : B64_ONE_LINE);
	if (!wrapped)
		buf_byte(&out->body, '\n');
	out->status = 200;
	out->content_type = CERTS_ONLY;
	response_header(out, "Content-Transfer-Encoding", "base64");
}

static void refuse(const struct request *in, struct response *out, const struct err *e)
{
	unsigned status = est_status_of(e->kind);

	response_text(out, status, in, "%s", e->text);
	if (status == 401)
		response_header(out, "WWW-Authenticate", "%s", REALM);
	if (status == 429 || status == 503)
		response_header(out, "Retry-After", "%d", e->retry_after > 0 ? e->retry_after : 5);
}

/* What front refuses by itself goes into ra's audit, too. */
static void refuse_and_tell(struct est *est, const struct request *in, const char *what, const char *user,
                            struct response *out, const struct err *e)
{
	AUTO_FREE struct ra_refused *r = mem_new(sizeof *r);
	AUTO_BUF body = { 0 };

	snprintf(r->source.address, sizeof r->source.address, "%s", in->remote);
	r->source.port = in->remote_port;
	snprintf(r->source.request_id, sizeof r->source.request_id, "%s", in->request_id);
	snprintf(r->what, sizeof r->what, "est.%s", what);
	snprintf(r->user, sizeof r->user, "%s", user);
	r->kind = e->kind;
	snprintf(r->text, sizeof r->text, "%.*s", (int)sizeof r->text - 1, e->text);
	ra_refused_put(&body, r);
	(void)!caller_tell(est->ra, &(struct frame){ .type = RA_REFUSED, .body = span_of(&body) }, NULL);
	refuse(in, out, e);
}

static void give_cacerts(struct est *est, const struct request *in, struct response *out)
{
	pthread_rwlock_rdlock(&est->lock);
	if (est->anchors != NULL)
		put_base64(out, in, est->anchors->cacerts.p, est->anchors->cacerts.n, false);
	pthread_rwlock_unlock(&est->lock);
	if (out->status == 0) {
		response_text(out, 503, in, "the service is starting");
		response_header(out, "Retry-After", "1");
	}
}

/* The path of the presented certificate: accepted into q->client, or the reason in q->client_why. */
static void judge_client(struct est *est, const struct request *in, struct ra_enroll *q)
{
	struct err why = { 0 };
	bool good = false;

	if (in->chain_n == 0)
		return;
	pthread_rwlock_rdlock(&est->lock);
	if (est->anchors != NULL)
		good = trust_check(est->anchors->trust, in->chain[0], in->chain + 1, in->chain_n - 1, clock_now(),
		                   TRUST_CLIENT, &why);
	else
		err_set(&why, ERR_BUSY, "the service is starting");
	pthread_rwlock_unlock(&est->lock);
	if (good)
		q->client = in->chain[0];
	else
		snprintf(q->client_why, sizeof q->client_why, "%.*s", (int)sizeof q->client_why - 1, why.text);
}

/* RFC 7030, 3.2.3: who neither presents a usable certificate nor a password is told how. */
static bool identify(struct est *est, const struct request *in, struct ra_enroll *q, struct err *e)
{
	judge_client(est, in, q);
	if (in->authorization[0] != 0)
		return est_basic_parse(in->authorization, q->user, q->password, e);
	if (q->client.n != 0)
		return true;
	if (q->client_why[0] != 0)
		return err_set(e, ERR_BAD_CERT, "client certificate: %s", q->client_why);
	return err_set(e, ERR_UNAUTHENTICATED,
	               "a name and password (Basic), or a client certificate of this service, is needed");
}

static bool type_is_pkcs10(const char *type)
{
	/* QRK-04: parameters are ignored. */
	return strncasecmp(type, "application/pkcs10", 18) == 0 && (type[18] == 0 || type[18] == ';' || type[18] == ' ');
}

static bool ask_ra(struct est *est, const struct request *in, enum est_operation op, const char *label,
                   struct ask *ask, struct response *out)
{
	AUTO_FREE struct ra_enroll *q = mem_new(sizeof *q);
	AUTO_BUF der = { 0 };
	struct err e;

	q->op = operations[op].ask;
	snprintf(q->label, sizeof q->label, "%s", label);
	snprintf(q->source.address, sizeof q->source.address, "%s", in->remote);
	q->source.port = in->remote_port;
	snprintf(q->source.request_id, sizeof q->source.request_id, "%s", in->request_id);
	if (!type_is_pkcs10(in->content_type)) {
		err_set(&e, ERR_BAD_TYPE, "Content-Type must be application/pkcs10");
		refuse_and_tell(est, in, operations[op].name, "", out, &e);
		mem_wipe(q, sizeof *q);
		return false;
	}
	if (!identify(est, in, q, &e) || !est_body_decode(&der, in->body, &e)) {
		refuse_and_tell(est, in, operations[op].name, q->user, out, &e);
		mem_wipe(q, sizeof *q);
		return false;
	}
	q->csr = span_of(&der);
	ra_enroll_put(&ask->body, q);
	mem_wipe(q->password, sizeof q->password);
	ask->to = est->ra;
	ask->type = RA_ENROLL;
	ask->timeout = 20 * US_PER_SECOND;
	return true;
}

static bool parse(void *ctx, const struct request *in, struct ask *ask, struct response *out)
{
	struct est *est = ctx;
	enum est_operation op;
	char label[32];
	struct err e;

	if (strncmp(in->path, EST_PREFIX, sizeof EST_PREFIX - 1) != 0 ||
	    !est_path_parse(in->path + sizeof EST_PREFIX - 1, &op, label)) {
		response_text(out, 404, in, "no such EST operation; there are cacerts, simpleenroll and simplereenroll");
		return false;
	}
	if (!known_label(est, label)) {
		err_set(&e, ERR_NOT_FOUND, "no EST label of this name: a label is a profile with the est door");
		refuse_and_tell(est, in, operations[op].name, "", out, &e);
		return false;
	}
	if (strcmp(in->method, operations[op].method) != 0) {
		response_text(out, 405, in, "%s takes %s", operations[op].name, operations[op].method);
		response_header(out, "Allow", "%s", operations[op].method);
		return false;
	}
	switch (op) {
	case EST_CACERTS:
		give_cacerts(est, in, out);
		return false;
	case EST_CSRATTRS:
		/* EST-16: none are asked for: 204 without Content-Type. */
		out->status = 204;
		return false;
	case EST_SERVERKEYGEN:
	case EST_FULLCMC:
		response_text(out, 404, in, "%s is not offered; make the key on the device and use simpleenroll",
		              operations[op].name);
		return false;
	default:
		return ask_ra(est, in, op, label, ask, out);
	}
}

static bool format(void *ctx, const struct request *in, const struct answer *a, struct ask *ask, struct response *out)
{
	struct ra_enrolled got;
	struct span certs[5];
	AUTO_BUF cms = { 0 };
	struct err e = a->err;
	size_t n = 0;

	(void)ctx;
	(void)ask;
	if (a->got && a->type == RA_OK && ra_enrolled_get(a->body, &got, &e)) {
		certs[n++] = got.cert;
		for (uint32_t i = 0; i < got.chain_n; i++)
			certs[n++] = got.chain[i];
		cms_certs_only(&cms, certs, n);
		put_base64(out, in, cms.p, cms.n, got.wrapped);
		return false;
	}
	/* An answer that is neither is ra's fault, never the client's. */
	if (a->got && (a->type != RA_FAILED || !failure_get(a->body, &e)))
		err_set(&e, ERR_INTERNAL, "internal error");
	refuse(in, out, &e);
	return false;
}

const struct head *est_head(void)
{
	static const struct head head = { parse, format };

	return &head;
}

void est_too_large(struct est *est, const struct request *in)
{
	struct response nowhere = { 0 };
	struct err e;

	err_set(&e, ERR_TOO_LARGE, "the body is too large");
	refuse_and_tell(est, in, "request", "", &nowhere, &e);
	buf_free(&nowhere.body);
}
