/* SPDX-License-Identifier: Apache-2.0
 *
 * The feed applied, and authorities by what CertIDs call them. */
#include "crl/internal.h"

#include "base/clock.h"
#include "base/der.h"
#include "base/log.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

struct va *va_new(const struct va_config *c)
{
	struct va *va = mem_new(sizeof *va);

	va->c = *c;
	if (va->c.stale_limit == 0)
		va->c.stale_limit = VA_STALE_LIMIT;
	writer_first(&va->lock);
	va->table = table_new();
	va->cache = cache_new(va->table);
	return va;
}

void va_set_callers(struct va *va, struct caller *ra, struct caller *ca)
{
	va->ra = ra;
	va->ca = ca;
}

void va_free(struct va *va)
{
	if (va == NULL)
		return;
	for (size_t i = 0; i < va->authority_n; i++) {
		buf_free(&va->authority[i]->cert);
		buf_free(&va->authority[i]->crl.body);
		free(va->authority[i]);
	}
	cache_free(va->cache);
	table_free(va->table);
	pthread_rwlock_destroy(&va->lock);
	free(va);
}

struct va_authority *authority_by_id(struct va *va, const struct cert_id *id)
{
	if (id->hash == CERT_ID_HASHES)
		return NULL;
	for (size_t i = 0; i < va->authority_n; i++) {
		struct va_authority *a = va->authority[i];

		if (memcmp(a->key_hash[id->hash], id->key_hash.p, id->key_hash.n) == 0 &&
		    memcmp(a->name_hash[id->hash], id->name_hash.p, id->name_hash.n) == 0)
			return a;
	}
	return NULL;
}

struct va_authority *authority_by_name(struct va *va, const char *name, uint32_t gen)
{
	for (size_t i = 0; i < va->authority_n; i++) {
		struct va_authority *a = va->authority[i];

		if (strcmp(a->gen.name, name) == 0 && (gen != 0 ? a->gen.gen == gen : a->newest))
			return a;
	}
	return NULL;
}

static struct va_authority *authority_by_ref(struct va *va, uint32_t ref)
{
	for (size_t i = 0; i < va->authority_n; i++)
		if (va->authority[i]->ref == ref)
			return va->authority[i];
	return NULL;
}

static void hash_all(uint8_t out[CERT_ID_HASHES][64], struct span s)
{
	const EVP_MD *const md[CERT_ID_HASHES] = { EVP_sha1(), EVP_sha256(), EVP_sha384(), EVP_sha512() };

	for (int i = 0; i < CERT_ID_HASHES; i++)
		if (EVP_Digest(s.p, s.n, out[i], NULL, md[i], NULL) != 1)
			abort();
}

static void set_authority(struct va *va, struct va_authority *a, const struct status_authority *q, const struct cert *c)
{
	for (size_t i = 0; q->newest && i < va->authority_n; i++)
		if (strcmp(va->authority[i]->gen.name, q->gen.name) == 0)
			va->authority[i]->newest = false;
	a->ref = q->ref;
	a->gen = q->gen;
	a->newest = q->newest;
	a->has_responder = q->has_responder;
	a->unknown_revoked = q->unknown_revoked;
	a->ocsp_lifetime = q->ocsp_lifetime;
	a->not_before = c->not_before;
	a->answers_end = c->not_after;
	if (q->responder_not_after != 0 && q->responder_not_after < a->answers_end)
		a->answers_end = q->responder_not_after;
	a->cert.n = 0;
	buf_add(&a->cert, q->cert.p, q->cert.n);
	hash_all(a->name_hash, c->subject);
	hash_all(a->key_hash, c->key.point);
}

static void take_authority(struct va *va, struct span body)
{
	struct cert *c = mem_new(sizeof *c);
	struct status_authority q;
	struct va_authority *a;
	struct err e;

	if (!status_authority_get(body, &q, &e) || !cert_parse(c, q.cert.p, q.cert.n, &e)) {
		log_event(LOG_LEVEL_ERROR, "authority not taken", "why", e.text, NULL);
		free(c);
		return;
	}
	pthread_rwlock_wrlock(&va->lock);
	a = authority_by_ref(va, q.ref);
	if (a == NULL && va->authority_n < VA_AUTHORITY_MAX)
		a = va->authority[va->authority_n++] = mem_new(sizeof *a);
	if (a != NULL)
		set_authority(va, a, &q, c);
	pthread_rwlock_unlock(&va->lock);
	if (a == NULL)
		log_event(LOG_LEVEL_ERROR, "authority not taken", "why", "too many generations", "name", q.gen.name, NULL);
	free(c);
}

static void tell_seen(struct va *va, uint64_t seq)
{
	AUTO_BUF body = { 0 };

	pthread_rwlock_wrlock(&va->lock);
	if (seq > va->applied)
		va->applied = seq;
	pthread_rwlock_unlock(&va->lock);
	wr_u64(&body, seq);
	(void)!caller_tell(va->ra, &(struct frame){ .type = STATUS_SEEN, .body = span_of(&body) }, NULL);
}

static void forget(void *arg, uint32_t ref, const struct serial *s)
{
	struct va *va = arg;

	cache_drop(va->cache, ref, s);
}

/* A revocation is in force here when this returns: table first, then the cache, then SEEN. */
static void take_entries(struct va *va, struct span body)
{
	struct rd r = rd_of(body.p, body.n);
	uint64_t seq = rd_u64(&r);
	struct status_entry en[64];
	size_t n;

	do {
		for (n = 0; n < COUNT_OF(en) && !r.bad && r.p != r.end && status_entry_get(&r, &en[n]);)
			n++;
		table_put_all(va->table, en, n, forget, va);
	} while (n == COUNT_OF(en));
	if (r.bad)
		log_event(LOG_LEVEL_ERROR, "malformed status entries", NULL);
	if (seq != 0 && !r.bad)
		tell_seen(va, seq);
}

static void take_swept(struct va *va, struct span body)
{
	struct rd r = rd_of(body.p, body.n);
	struct serial s;
	uint32_t ref;

	while (!r.bad && r.p != r.end && status_swept_get(&r, &ref, &s))
		if (table_drop(va->table, ref, &s))
			cache_drop(va->cache, ref, &s);
	if (r.bad)
		log_event(LOG_LEVEL_ERROR, "malformed list of what was swept", NULL);
}

static void caught_up(struct va *va, struct span body)
{
	struct rd r = rd_of(body.p, body.n);
	uint64_t head = rd_u64(&r);

	if (!rd_done(&r)) {
		log_event(LOG_LEVEL_ERROR, "malformed end of the snapshot", NULL);
		return;
	}
	/* What was swept while nobody told. */
	table_snapshot_end(va->table, va->c.now(), forget, va);
	pthread_rwlock_wrlock(&va->lock);
	va->caught_up = true;
	va->behind_since = 0;
	pthread_rwlock_unlock(&va->lock);
	tell_seen(va, head);
	log_event(LOG_LEVEL_INFO, "status caught up", "certificates", LOG_NUM(table_count(va->table)), NULL);
}

void va_notice(void *arg, const struct frame *f)
{
	struct va *va = arg;
	struct status_crl crl;

	switch (f->type) {
	case STATUS_AUTHORITY:
		take_authority(va, f->body);
		break;
	case STATUS_ENTRIES:
		take_entries(va, f->body);
		break;
	case STATUS_SNAPSHOT_END:
		caught_up(va, f->body);
		break;
	case STATUS_SWEPT:
		take_swept(va, f->body);
		break;
	case STATUS_CRL:
		if (status_crl_get(f->body, &crl, NULL))
			crl_read(va, &crl);
		break;
	default:
		log_event(LOG_LEVEL_WARN, "unknown notice from ra", "type", LOG_NUM(f->type), NULL);
	}
}

static void subscribed(void *arg, const struct frame *f, const struct err *e)
{
	struct va *va = arg;

	if (f != NULL) {
		struct rd r = rd_of(f->body.p, f->body.n);
		uint64_t about;

		(void)rd_u64(&r);
		about = rd_u64(&r);
		table_snapshot_begin(va->table, rd_done(&r) ? about : 0);
	} else {
		log_event(LOG_LEVEL_WARN, "not subscribed", "why", e->text, NULL);
	}
}

void va_up(void *arg)
{
	struct va *va = arg;
	int64_t since = caller_down_since(va->ra);

	pthread_rwlock_wrlock(&va->lock);
	if (va->behind_since == 0)
		va->behind_since = since;
	pthread_rwlock_unlock(&va->lock);
	/* What is in the table stays in force while the snapshot comes again: a sequence only rises. */
	caller_submit(va->ra, &(struct frame){ .type = STATUS_SUBSCRIBE }, subscribed, va);
}

bool va_fresh(struct va *va)
{
	int64_t since = va->behind_since != 0 ? va->behind_since : caller_down_since(va->ra);

	return va->caught_up && (since == 0 || clock_mono() - since < va->c.stale_limit);
}

bool va_caught_up(struct va *va)
{
	bool caught;

	pthread_rwlock_rdlock(&va->lock);
	caught = va->caught_up;
	pthread_rwlock_unlock(&va->lock);
	return caught;
}
