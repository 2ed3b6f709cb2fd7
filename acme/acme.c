/* SPDX-License-Identifier: Apache-2.0
 *
 * A signed request's steps: header, nonce, key, signature, question. The key of an account comes from the cache, or from
 * ra first; should ra say no to one that was cached, the key is asked for anew, once, for it may have been changed. */
#include "acme/acme.h"

#include "acme/format.h"
#include "acme/keys.h"
#include "acme/nonce.h"
#include "acme/parse.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

struct acme {
	struct caller *ra;
	struct nonces *nonces;
	struct keys *keys;
	pthread_rwlock_t lock;          /* of settings and realms */
	struct acme_settings settings;
	bool heard;                     /* ra has said which realms there are */
	uint32_t realm_n;
	char realm[RA_LABEL_MAX][32];

	pthread_mutex_t told_lock;      /* of what follows */
	int64_t told_at;                /* mono us */
	unsigned room, untold;
};

/* What front refuses goes into the audit: so many a second at most, in bursts of so many. */
enum { TOLD_PER_SECOND = 5, TOLD_BURST = 50 };

/* A request while ra is asked; one piece of memory, for web frees it with free(). */
struct flow {
	struct acme_target target;
	enum ra_acme_op op;
	int64_t account;
	uint8_t thumbprint[32];
	enum jws_alg alg;
	bool asked_key;     /* the answer that comes is the key */
	bool cached;        /* it is not ra's word of just now */
	size_t input_n, signature_n, payload_n;
	uint8_t octets[];   /* input, signature, payload */
};

struct acme *acme_new(rnd_fill *rnd)
{
	struct acme *a = mem_new(sizeof *a);
	size_t seed;

	/* The sandbox may keep jansson from finding a good one by itself. */
	rnd(&seed, sizeof seed);
	json_object_seed(seed | 1);
	a->nonces = nonces_new(rnd, NONCE_WINDOW);
	a->keys = keys_new();
	a->room = TOLD_BURST;
	pthread_rwlock_init(&a->lock, NULL);
	pthread_mutex_init(&a->told_lock, NULL);
	return a;
}

void acme_set_caller(struct acme *a, struct caller *ra)
{
	a->ra = ra;
}

void acme_set(struct acme *a, const struct acme_settings *s)
{
	pthread_rwlock_wrlock(&a->lock);
	a->settings = *s;
	pthread_rwlock_unlock(&a->lock);
}

void acme_free(struct acme *a)
{
	if (a == NULL)
		return;
	nonces_free(a->nonces);
	keys_free(a->keys);
	pthread_rwlock_destroy(&a->lock);
	pthread_mutex_destroy(&a->told_lock);
	free(a);
}

void acme_trust(struct acme *a, struct span body)
{
	AUTO_FREE struct ra_trust *t = mem_new(sizeof *t);
	struct err why;

	if (!ra_trust_get(body, t, &why)) {
		log_event(LOG_LEVEL_ERROR, "ACME directories not taken", "why", why.text, NULL);
		return;
	}
	pthread_rwlock_wrlock(&a->lock);
	a->realm_n = t->realm_n;
	memcpy(a->realm, t->realm, sizeof a->realm);
	a->heard = true;
	pthread_rwlock_unlock(&a->lock);
}

static struct acme_settings settings_of(struct acme *a)
{
	struct acme_settings s;

	pthread_rwlock_rdlock(&a->lock);
	s = a->settings;
	pthread_rwlock_unlock(&a->lock);
	return s;
}

static bool known_realm(struct acme *a, const char *realm, struct refusal *r)
{
	bool heard, known = false;

	pthread_rwlock_rdlock(&a->lock);
	heard = a->heard;
	for (uint32_t i = 0; !known && i < a->realm_n; i++)
		known = strcmp(a->realm[i], realm) == 0;
	pthread_rwlock_unlock(&a->lock);
	if (!heard) {
		acme_refuse_err(r, &(struct err){ .kind = ERR_BUSY, .retry_after = 1, .text = "the service is starting" });
		return false;
	}
	return known || acme_refuse_http(r, 404, "no directory of this name: it is that of a profile with the acme door");
}

static bool is_post(const struct request *in)
{
	return strcmp(in->method, "POST") == 0;
}

static void give_nonce(struct acme *a, struct response *out)
{
	char nonce[NONCE_TEXT];

	nonce_make(a->nonces, clock_mono(), nonce);
	response_header(out, "Replay-Nonce", "%s", nonce);
}

/* What every answer has, refusals too (RFC 8555, 6.5, 7.1). */
static void dress(struct acme *a, const struct acme_settings *s, const struct request *in, const struct acme_target *t, struct response *out)
{
	struct acme_target index = { .place = ACME_DIRECTORY };

	if (is_post(in)) {
		give_nonce(a, out);
		response_header(out, "Cache-Control", "no-store");
	}
	snprintf(index.realm, sizeof index.realm, "%s", t->realm);
	if (index.realm[0] != 0 && (t->place != ACME_DIRECTORY || out->status != 200) && known_realm(a, index.realm, NULL))
		acme_link(out, s, &index, "index");
}

/* One more line for the audit? *more: how many had none since the last. */
static bool may_tell(struct acme *a, unsigned *more)
{
	int64_t now = clock_mono(), grown;
	bool may;

	pthread_mutex_lock(&a->told_lock);
	grown = (now - a->told_at) * TOLD_PER_SECOND / US_PER_SECOND;
	if (grown > 0) {
		a->room = grown > (int64_t)(TOLD_BURST - a->room) ? TOLD_BURST : a->room + (unsigned)grown;
		a->told_at = now;
	}
	may = a->room != 0;
	*more = a->untold;
	a->untold = may ? 0 : a->untold + 1;
	a->room -= may;
	pthread_mutex_unlock(&a->told_lock);
	return may;
}

static void tell(struct acme *a, const struct request *in, const struct acme_target *t, int64_t account, const struct refusal *why)
{
	AUTO_FREE struct ra_refused *r = mem_new(sizeof *r);
	AUTO_BUF body = { 0 };
	unsigned more;

	/* Every client meets a bad nonce now and then; it says nothing about who asks. */
	if (why->problem == ACME_BAD_NONCE || !may_tell(a, &more))
		return;
	snprintf(r->source.address, sizeof r->source.address, "%s", in->remote);
	r->source.port = in->remote_port;
	snprintf(r->source.request_id, sizeof r->source.request_id, "%s", in->request_id);
	snprintf(r->what, sizeof r->what, "%s", acme_place_name(t->place));
	if (account != 0)
		snprintf(r->user, sizeof r->user, "acct/%lld", (long long)account);
	r->kind = why->status == 0 ? acme_problem_kind(why->problem)
	          : why->status == 404 ? ERR_NOT_FOUND
	          : why->status == 405 ? ERR_BAD_METHOD
	          : why->status == 413 ? ERR_TOO_LARGE
	          : why->status == 415 ? ERR_BAD_TYPE
	                               : acme_problem_kind(why->problem);
	if (more != 0)
		snprintf(r->text, sizeof r->text, "%.200s (and %u more before)", why->detail, more);
	else
		snprintf(r->text, sizeof r->text, "%.255s", why->detail);
	ra_refused_put(&body, r);
	(void)!caller_tell(a->ra, &(struct frame){ .type = RA_REFUSED, .body = span_of(&body) }, NULL);
}

static void refuse(struct acme *a, const struct acme_settings *s, const struct request *in, const struct acme_target *t,
                   struct response *out, const struct refusal *r)
{
	acme_problem(out, s, r);
	dress(a, s, in, t, out);
}

void acme_refused(struct acme *a, const struct request *in, struct response *out)
{
	const struct acme_settings s = settings_of(a);
	struct acme_target t;
	struct refusal r, why;

	if (!acme_path_parse(&t, in->path, in->query, &why))
		t.place = ACME_PLACE_COUNT;
	(void)acme_refuse_http(&r, out->status, "%.255s", out->why);
	refuse(a, &s, in, &t, out, &r);
	tell(a, in, &t, 0, &r);
}

/* --- A signed request */

static struct span part(const struct flow *f, int which)
{
	const uint8_t *p = f->octets;

	if (which == 0)
		return (struct span){ p, f->input_n };
	if (which == 1)
		return (struct span){ p + f->input_n, f->signature_n };
	return (struct span){ p + f->input_n + f->signature_n, f->payload_n };
}

static struct flow *flow_new(const struct acme_target *t, const struct jws *j)
{
	struct flow *f = mem_new(sizeof *f + j->input.n + j->signature.n + j->payload.n);

	f->target = *t;
	f->alg = j->alg;
	f->input_n = j->input.n;
	f->signature_n = j->signature.n;
	f->payload_n = j->payload.n;
	memcpy(f->octets, j->input.p, j->input.n);
	memcpy(f->octets + f->input_n, j->signature.p, j->signature.n);
	if (f->payload_n != 0)
		memcpy(f->octets + f->input_n + f->signature_n, j->payload.p, j->payload.n);
	return f;
}

static void question(struct acme *a, const struct request *in, const struct acme_target *t, struct ra_acme *q, struct ask *ask)
{
	snprintf(q->source.address, sizeof q->source.address, "%s", in->remote);
	q->source.port = in->remote_port;
	snprintf(q->source.request_id, sizeof q->source.request_id, "%s", in->request_id);
	snprintf(q->realm, sizeof q->realm, "%s", t->realm);
	ask->body.n = 0;
	ra_acme_put(&ask->body, q);
	ask->to = a->ra;
	ask->type = RA_ACME;
	ask->timeout = 20 * US_PER_SECOND;
}

static void ask_key(struct acme *a, const struct request *in, struct flow *f, struct ask *ask)
{
	AUTO_FREE struct ra_acme *q = mem_new(sizeof *q);

	q->op = RA_ACME_KEY;
	q->account = f->account;
	q->reason = -1;
	f->asked_key = true;
	f->cached = false;
	question(a, in, &f->target, q, ask);
}

/* The signature holds: what the payload asks. jwk: whose key signed, NULL an account's. */
static bool ask_real(struct acme *a, const struct acme_settings *s, const struct request *in, struct flow *f, const struct jwk *jwk,
                     struct ask *ask, struct refusal *r)
{
	AUTO_FREE struct ra_acme *q = mem_new(sizeof *q);
	struct acme_target account = { .place = ACME_ACCOUNT, .id = f->account };
	AUTO_BUF url = { 0 };
	AUTO_BUF account_url = { 0 };
	AUTO_HELD held = { 0 };

	snprintf(account.realm, sizeof account.realm, "%s", f->target.realm);
	acme_url(&url, s->base, &f->target);
	if (f->account != 0)
		acme_url(&account_url, s->base, &account);
	q->account = f->account;
	q->reason = -1;
	memcpy(q->thumbprint, f->thumbprint, sizeof q->thumbprint);
	if (jwk != NULL)
		q->key = span_of(&jwk->spki);
	if (!acme_parse(q, &f->target, &(struct acme_signed){ buf_str(&url), buf_str(&account_url), part(f, 2) }, &held, r))
		return false;
	f->op = q->op;
	f->asked_key = false;
	question(a, in, &f->target, q, ask);
	return true;
}

/* RFC 8555, 6.2: who signs where. */
static bool signer_ok(const struct jws *j, enum acme_place p, struct refusal *r)
{
	if (j->jwk != NULL && p != ACME_NEW_ACCOUNT && p != ACME_REVOKE_CERT)
		return acme_refuse(r, ACME_MALFORMED, "this resource wants kid, the account's URL, in the protected header, not jwk (RFC 8555, 6.2)");
	if (j->jwk == NULL && p == ACME_NEW_ACCOUNT)
		return acme_refuse(r, ACME_MALFORMED, "newAccount wants jwk in the protected header, not kid (RFC 8555, 6.2)");
	return true;
}

/* RFC 8555, 6.4: the URL that we gave out, octet by octet. */
static bool url_ok(const struct jws *j, const struct acme_settings *s, const struct acme_target *t, struct refusal *r)
{
	AUTO_BUF url = { 0 };

	acme_url(&url, s->base, t);
	return strcmp(buf_str(&url), j->url) == 0 ||
	       acme_refuse(r, ACME_UNAUTHORIZED, "the protected header's url is not %.300s, which is asked for (RFC 8555, 6.4)", buf_str(&url));
}

static bool open_jws(struct acme *a, const struct acme_settings *s, const struct request *in, const struct acme_target *t, struct jws *j,
                     struct refusal *r)
{
	if (!jws_parse(j, in->body, JWS_REQUEST, r) || !signer_ok(j, t->place, r) || !url_ok(j, s, t, r))
		return false;
	return nonce_take(a->nonces, j->nonce, clock_mono()) ||
	       acme_refuse(r, ACME_BAD_NONCE, "the nonce is used, too old or not of here; take the one of this answer");
}

static bool holds(const struct flow *f, const struct account_key *key, struct refusal *r)
{
	return jws_verify(key->evp, key->type, f->alg, part(f, 0), part(f, 1), r);
}

static bool by_jwk(struct acme *a, const struct acme_settings *s, const struct request *in, struct flow *f, const json_t *json,
                   struct ask *ask, struct refusal *r)
{
	AUTO_JWK jwk = { 0 };
	AUTO(EVP_PKEY) *evp = NULL;

	if (!jwk_parse(&jwk, json, r) || !jws_alg_fits(f->alg, jwk.info.type, r) || !jwk_load(&evp, &jwk, r) ||
	    !jws_verify(evp, jwk.info.type, f->alg, part(f, 0), part(f, 1), r))
		return false;
	memcpy(f->thumbprint, jwk.thumbprint, sizeof f->thumbprint);
	return ask_real(a, s, in, f, &jwk, ask, r);
}

static bool by_account(struct acme *a, const struct acme_settings *s, const struct request *in, struct flow *f, const char *kid,
                       struct ask *ask, struct refusal *r)
{
	struct account_key key;
	AUTO(EVP_PKEY) *evp = NULL;

	f->account = acme_account_of(kid, s->base, f->target.realm);
	if (f->account == 0)
		return acme_refuse(r, ACME_ACCOUNT_DOES_NOT_EXIST, "kid is no account URL of this directory: it begins with %.250s/acme/%s/acct/", s->base,
		                   f->target.realm);
	f->cached = keys_find(a->keys, f->target.realm, f->account, &key);
	evp = key.evp;
	/* One that does not hold may be of a key that another node has heard of. */
	if (!f->cached || !holds(f, &key, NULL)) {
		ask_key(a, in, f, ask);
		return true;
	}
	memcpy(f->thumbprint, key.thumbprint, sizeof f->thumbprint);
	return ask_real(a, s, in, f, NULL, ask, r);
}

static bool type_is_jose(const char *type)
{
	return strncasecmp(type, "application/jose+json", 21) == 0 && (type[21] == 0 || type[21] == ';' || type[21] == ' ');
}

static bool post(struct acme *a, const struct acme_settings *s, const struct request *in, const struct acme_target *t, struct ask *ask,
                 struct response *out)
{
	AUTO_JWS j = { 0 };
	struct flow *f = NULL;
	struct refusal r;
	bool good;

	if (!type_is_jose(in->content_type))
		good = acme_refuse_http(&r, 415, "Content-Type must be application/jose+json (RFC 8555, 6.2)");
	else
		good = open_jws(a, s, in, t, &j, &r);
	if (good) {
		ask->state = f = flow_new(t, &j);
		good = j.jwk != NULL ? by_jwk(a, s, in, f, j.jwk, ask, &r) : by_account(a, s, in, f, j.kid, ask, &r);
	}
	if (!good) {
		refuse(a, s, in, t, out, &r);
		tell(a, in, t, f != NULL ? f->account : 0, &r);
	}
	return good;
}

/* --- What nobody signs */

static void give_new_nonce(struct acme *a, const struct request *in, struct response *out)
{
	/* RFC 8555, 7.2 */
	out->status = strcmp(in->method, "HEAD") == 0 ? 200 : 204;
	if (!is_post(in)) {
		give_nonce(a, out);
		response_header(out, "Cache-Control", "no-store");
	}
}

static bool ask_window(struct acme *a, const struct request *in, const struct acme_target *t, struct ask *ask)
{
	AUTO_FREE struct ra_acme *q = mem_new(sizeof *q);
	struct flow *f = mem_new(sizeof *f);

	f->target = *t;
	f->op = q->op = RA_ACME_RENEWAL_INFO;
	q->reason = -1;
	memcpy(q->renewal_id, t->renewal_id, sizeof q->renewal_id);
	ask->state = f;
	question(a, in, t, q, ask);
	return true;
}

/* RFC 8555, 6.3: what else than POST each takes. */
static const char *other_methods(enum acme_place p)
{
	return p == ACME_DIRECTORY ? "GET, HEAD, POST" : p == ACME_NEW_NONCE ? "HEAD, GET, POST" : p == ACME_RENEWAL_INFO ? "GET, HEAD" : "POST";
}

static bool may(const char *method, const char *methods)
{
	const char *at = strstr(methods, method);
	size_t n = strlen(method);

	return n >= 3 && at != NULL && (at == methods || at[-1] == ' ') && (at[n] == 0 || at[n] == ',');
}

static bool parse(void *ctx, const struct request *in, struct ask *ask, struct response *out)
{
	struct acme *a = ctx;
	const struct acme_settings s = settings_of(a);
	struct acme_target t;
	struct refusal r;

	if (!acme_path_parse(&t, in->path, in->query, &r)) {
		t.place = ACME_PLACE_COUNT;
		refuse(a, &s, in, &t, out, &r);
		return false;
	}
	if (!known_realm(a, t.realm, &r)) {
		refuse(a, &s, in, &t, out, &r);
		tell(a, in, &t, 0, &r);
		return false;
	}
	if (!may(in->method, other_methods(t.place))) {
		(void)acme_refuse_http(&r, 405, "this resource takes %s (RFC 8555, 6.3)", other_methods(t.place));
		refuse(a, &s, in, &t, out, &r);
		response_header(out, "Allow", "%s", other_methods(t.place));
		return false;
	}
	if (is_post(in))
		return post(a, &s, in, &t, ask, out);
	if (t.place == ACME_RENEWAL_INFO)
		return ask_window(a, in, &t, ask);
	if (t.place == ACME_DIRECTORY)
		acme_directory(out, &s, t.realm);
	else
		give_new_nonce(a, in, out);
	dress(a, &s, in, &t, out);
	return false;
}

/* --- Answers */

/* ra's answer; or why there is none. */
static bool read_answer(const struct answer *got, struct ra_acme_answer *out, struct refusal *r)
{
	struct err e = got->err;

	if (got->got && got->type == RA_OK && ra_acme_answer_get(got->body, out, &e))
		return true;
	/* An answer that is neither is ra's fault, never the client's. */
	if (got->got && (got->type != RA_FAILED || !failure_get(got->body, &e)))
		err_set(&e, ERR_INTERNAL, "internal error");
	acme_refuse_err(r, &e);
	return false;
}

/* The account's key has come: it is kept, and the signature held against it. */
static bool take_key(struct acme *a, const struct acme_settings *s, const struct request *in, struct flow *f,
                     const struct ra_acme_answer *got, struct ask *ask, struct refusal *r)
{
	AUTO(EVP_PKEY) *evp = NULL;
	struct account_key key = { 0 };
	struct key_info info;
	struct err e;

	if (!key_parse(&info, got->of.key, &e) || !key_load(&evp, &info, &e))
		return acme_refuse(r, ACME_SERVER_INTERNAL, "internal error");
	key.type = info.type;
	key.evp = evp;
	memcpy(key.thumbprint, got->of.thumbprint, sizeof key.thumbprint);
	memcpy(f->thumbprint, key.thumbprint, sizeof f->thumbprint);
	keys_keep(a->keys, f->target.realm, f->account, &key);
	return holds(f, &key, r) && ask_real(a, s, in, f, NULL, ask, r);
}

static bool give_answer(struct acme *a, const struct acme_settings *s, const struct request *in, struct flow *f, struct ra_acme_answer *got,
                        struct response *out)
{
	if (got->account == 0 && got->problem == ACME_OK)
		got->account = f->account;
	if (f->op == RA_ACME_KEY_CHANGE || f->op == RA_ACME_DEACTIVATE)
		keys_drop(a->keys, f->target.realm, f->account);
	if (got->problem == ACME_OK && f->target.place == ACME_DIRECTORY)
		acme_directory(out, s, f->target.realm);
	else if (got->problem == ACME_OK && f->target.place == ACME_NEW_NONCE)
		give_new_nonce(a, in, out);
	else
		acme_answer(out, s, &f->target, f->op, got);
	dress(a, s, in, &f->target, out);
	return false;
}

static bool format(void *ctx, const struct request *in, const struct answer *got, struct ask *ask, struct response *out)
{
	struct acme *a = ctx;
	const struct acme_settings s = settings_of(a);
	AUTO_FREE struct ra_acme_answer *answer = mem_new(sizeof *answer);
	struct flow *f = ask->state;
	struct refusal r;

	if (!read_answer(got, answer, &r)) {
		refuse(a, &s, in, &f->target, out, &r);
		return false;
	}
	if (f->asked_key && answer->problem == ACME_OK && (answer->parts & RA_ACME_HAS_KEY) != 0) {
		if (take_key(a, &s, in, f, answer, ask, &r))
			return true;
		refuse(a, &s, in, &f->target, out, &r);
		tell(a, in, &f->target, f->account, &r);
		return false;
	}
	if (f->asked_key)
		f->op = RA_ACME_KEY; /* what ra says of it is the answer */
	if (f->cached && answer->problem == ACME_UNAUTHORIZED && strcmp(answer->detail, ACME_STALE_KEY) == 0) {
		keys_drop(a->keys, f->target.realm, f->account);
		ask_key(a, in, f, ask);
		return true;
	}
	return give_answer(a, &s, in, f, answer, out);
}

const struct head *acme_head(void)
{
	static const struct head head = { parse, format };

	return &head;
}
