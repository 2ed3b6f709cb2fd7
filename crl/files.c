/* SPDX-License-Identifier: Apache-2.0
 *
 * CRLs and CA certificates (RFC 5280, 4.2.1.13; RFC 2585): what certificates point to. */
#include "crl/internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

enum { CRL_FILE_MAX = 256 << 20 };

void crl_read(struct va *va, const struct status_crl *n)
{
	AUTO_FREE char *path = mem_printf("%s/crl/%s-%u.crl", va->c.dir, n->gen.name, n->gen.gen);
	struct va_authority *a;
	struct buf body = { 0 };
	uint8_t hash[32];
	struct err e;

	if (!file_read(&body, path, CRL_FILE_MAX, &e)) {
		log_event(LOG_LEVEL_ERROR, "CRL not read", "why", e.text, NULL);
		buf_free(&body);
		return;
	}
	digest_sha256(hash, body.p, body.n);
	pthread_rwlock_wrlock(&va->lock);
	a = authority_by_name(va, n->gen.name, n->gen.gen);
	if (a != NULL) {
		buf_free(&a->crl.body);
		a->crl.body = body;
		body = (struct buf){ 0 };
		a->crl.etag[0] = '"';
		hex_put(a->crl.etag + 1, hash, 32);
		strcat(a->crl.etag, "\"");
		a->crl.this_update = n->this_update;
		a->crl.next_update = n->next_update;
	}
	pthread_rwlock_unlock(&va->lock);
	buf_free(&body);
}

struct wanted {
	bool crl;
	char name[32];
	uint32_t gen; /* 0: the newest */
	char suffix[8];
};

/* /crl/NAME/GEN.crl, /crl/NAME.crl, /ca/NAME/GEN.{cer,pem,p7c}, /ca/NAME.{cer,pem} and nothing else. */
static bool parse_path(const char *path, struct wanted *w)
{
	size_t n;
	char *end;

	*w = (struct wanted){ .crl = strncmp(path, "/crl/", 5) == 0 };
	if (!w->crl && strncmp(path, "/ca/", 4) != 0)
		return false;
	path += w->crl ? 5 : 4;
	n = strspn(path, "abcdefghijklmnopqrstuvwxyz0123456789-");
	if (n == 0 || n >= sizeof w->name || path[0] < 'a' || path[0] > 'z')
		return false;
	memcpy(w->name, path, n);
	path += n;
	if (*path == '/') {
		unsigned long gen = path[1] >= '1' && path[1] <= '9' ? strtoul(path + 1, &end, 10) : 0;

		if (gen == 0 || gen > 1000000)
			return false;
		w->gen = (uint32_t)gen;
		path = end;
	}
	if (*path != '.' || strlen(path + 1) >= sizeof w->suffix)
		return false;
	strcpy(w->suffix, path + 1);
	return w->crl ? strcmp(w->suffix, "crl") == 0
	              : strcmp(w->suffix, "cer") == 0 || strcmp(w->suffix, "pem") == 0 || strcmp(w->suffix, "p7c") == 0;
}

static bool unchanged(const struct request *in, const char *etag, int64_t modified)
{
	int64_t since;

	if (in->if_none_match[0] != 0)
		return strcmp(in->if_none_match, "*") == 0 || strstr(in->if_none_match, etag) != NULL;
	return in->if_modified_since[0] != 0 && clock_http_parse(in->if_modified_since, &since) && modified / US_PER_SECOND <= since / US_PER_SECOND;
}

static void caching(struct response *out, const char *etag, int64_t modified, int64_t seconds)
{
	char date[32];

	clock_http(modified, date, sizeof date);
	response_header(out, "ETag", "%s", etag);
	response_header(out, "Last-Modified", "%s", date);
	response_header(out, "Cache-Control", "max-age=%lld, public, no-transform", (long long)(seconds > 0 ? seconds : 0));
}

static void give(const struct request *in, struct response *out, const char *type, struct span body, const char *etag,
                 int64_t modified, int64_t seconds)
{
	caching(out, etag, modified, seconds);
	out->status = unchanged(in, etag, modified) ? 304 : 200;
	if (out->status == 304)
		return;
	out->content_type = type;
	buf_add(&out->body, body.p, body.n);
}

static void give_certificate(const struct request *in, struct response *out, const struct va_authority *a, const char *suffix)
{
	struct span der = span_of(&a->cert);
	AUTO_BUF made = { 0 };
	char etag[80];
	uint8_t hash[32];
	const char *type = "application/pkix-cert";

	digest_sha256(hash, der.p, der.n);
	snprintf(etag, sizeof etag, "\"%s-", suffix);
	hex_put(etag + strlen(etag), hash, 16);
	strcat(etag, "\"");
	if (strcmp(suffix, "pem") == 0) {
		pem_put(&made, "CERTIFICATE", der.p, der.n);
		type = "application/x-pem-file";
	} else if (strcmp(suffix, "p7c") == 0) {
		cms_certs_only(&made, &der, 1);
		type = "application/pkcs7-mime";
	} else {
		buf_add(&made, der.p, der.n);
	}
	give(in, out, type, span_of(&made), etag, a->not_before, 86400);
}

static bool parse(void *ctx, const struct request *in, struct ask *ask, struct response *out)
{
	struct va *va = ctx;
	int64_t now = va->c.now();
	struct va_authority *a;
	struct wanted w;

	(void)ask;
	if (strcmp(in->method, "GET") != 0 && strcmp(in->method, "HEAD") != 0) {
		response_text(out, 405, in, "GET only");
		response_header(out, "Allow", "GET, HEAD");
		return false;
	}
	pthread_rwlock_rdlock(&va->lock);
	a = parse_path(in->path, &w) ? authority_by_name(va, w.name, w.gen) : NULL;
	if (a != NULL && !w.crl)
		give_certificate(in, out, a, w.suffix);
	else if (a != NULL && a->crl.body.n != 0)
		give(in, out, "application/pkix-crl", span_of(&a->crl.body), a->crl.etag, a->crl.this_update,
		     (a->crl.next_update - now) / US_PER_SECOND < 3600 ? (a->crl.next_update - now) / US_PER_SECOND : 3600);
	pthread_rwlock_unlock(&va->lock);
	if (out->status == 0) {
		response_text(out, 404, in, "there is no such CRL or certificate");
		response_header(out, "Cache-Control", "no-store");
	}
	return false;
}

static bool format(void *ctx, const struct request *in, const struct answer *a, struct ask *ask, struct response *out)
{
	(void)ctx;
	(void)in;
	(void)a;
	(void)ask;
	(void)out;
	return false;
}

const struct head *va_file_head(void)
{
	static const struct head head = { parse, format };

	return &head;
}

static void ready(struct va *va, struct response *out)
{
	bool fresh, ca = caller_is_up(va->ca);
	static const char *const word[] = { "failed", "ok" };

	pthread_rwlock_rdlock(&va->lock);
	fresh = va_fresh(va);
	pthread_rwlock_unlock(&va->lock);
	out->status = fresh && ca ? 200 : 503;
	buf_printf(&out->body,
	           "{\"status\":\"%s\",\"checks\":[{\"name\":\"status\",\"status\":\"%s\",\"detail\":\"%llu certificates\"},"
	           "{\"name\":\"signer\",\"status\":\"%s\",\"detail\":\"%s\"},"
	           "{\"name\":\"requests\",\"status\":\"ok\",\"detail\":\"CertIDs by hash: SHA-1 %llu, SHA-256 %llu, SHA-384 %llu, "
	           "SHA-512 %llu, other %llu\"}]}\n",
	           word[fresh && ca], word[fresh], (unsigned long long)table_count(va->table), word[ca], ca ? "up" : "restarting",
	           (unsigned long long)va->asked[CERT_ID_SHA1], (unsigned long long)va->asked[CERT_ID_SHA256],
	           (unsigned long long)va->asked[CERT_ID_SHA384], (unsigned long long)va->asked[CERT_ID_SHA512],
	           (unsigned long long)va->asked[CERT_ID_HASHES]);
}

static bool health(void *ctx, const struct request *in, struct ask *ask, struct response *out)
{
	(void)ask;
	if (strcmp(in->method, "GET") != 0 && strcmp(in->method, "HEAD") != 0) {
		response_text(out, 405, in, "GET only");
		response_header(out, "Allow", "GET, HEAD");
		return false;
	}
	out->content_type = "application/json";
	response_header(out, "Cache-Control", "no-store");
	if (strcmp(in->path, "/readyz") == 0) {
		ready(ctx, out);
		return false;
	}
	out->status = 200;
	buf_text(&out->body, "{\"status\":\"ok\"}\n");
	return false;
}

const struct head *va_health_head(void)
{
	static const struct head head = { health, format };

	return &head;
}
