/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/own_tls.h"

#include "base/clock.h"
#include "base/text.h"
#include "pkix/cert.h"
#include "ra/ra.h"

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

AUTO_DEFINE(X509_REQ, X509_REQ_free)
AUTO_DEFINE(BIO, BIO_free_all)

enum { TLS_FILE_MAX = 65536, CHAIN_MAX = 4 };

/* One file holds key and chain, so that a crash between two writes can't pair an old one with a new one. */
static char *file_path(const struct own_tls *t)
{
	return mem_printf("%s/tls/enroll.pem", t->dir);
}

bool own_tls_due(const struct own_tls *t, int64_t now)
{
	return now >= t->renew_at || now < t->not_before;
}

int64_t own_tls_pause(const struct own_tls *t)
{
	return t->life / 20 < US_PER_MINUTE ? t->life / 20 : US_PER_MINUTE;
}

static bool accept_pair(struct own_tls *t, EVP_PKEY **key, const struct span *chain, size_t n, struct tls_key **out,
                        struct err *e)
{
	struct cert leaf;

	if (!cert_parse(&leaf, chain[0].p, chain[0].n, e))
		return false;
	t->life = leaf.not_after - leaf.not_before;
	t->not_before = leaf.not_before;
	t->renew_at = leaf.not_before + t->life / 3 * 2;
	return tls_key_new(out, TAKE(*key), chain, n, e);
}

bool own_tls_load(struct own_tls *t, struct tls_key **out, struct err *e)
{
	AUTO_FREE char *path = file_path(t);
	AUTO_BUF text = { 0 };
	AUTO(EVP_PKEY) *key = NULL;
	AUTO(BIO) *bio = NULL;
	struct buf der[CHAIN_MAX] = { { 0 } };
	struct span chain[CHAIN_MAX];
	size_t at = 0, n = 0, used;
	bool good;

	if (!file_read(&text, path, TLS_FILE_MAX, e))
		return false;
	bio = BIO_new_mem_buf(text.p, (int)text.n);
	key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
	while (n < CHAIN_MAX && pem_get(&der[n], "CERTIFICATE", (char *)text.p + at, text.n - at, &used)) {
		chain[n] = span_of(&der[n]);
		n++;
		at += used;
	}
	good = key != NULL && n != 0 ? accept_pair(t, &key, chain, n, out, e)
	                             : err_set(e, ERR_NOT_FOUND, "%s holds no key with a certificate", path);
	for (size_t i = 0; i < n; i++)
		buf_free(&der[i]);
	mem_wipe(text.p, text.n);
	return good;
}

/* A CSR without names: ra puts the configuration's. */
static bool make_request(EVP_PKEY *key, struct buf *der, struct err *e)
{
	AUTO(X509_REQ) *req = X509_REQ_new();
	int n;

	if (req == NULL || X509_REQ_set_version(req, 0) != 1 || X509_REQ_set_pubkey(req, key) != 1 ||
	    X509_REQ_sign(req, key, EVP_sha256()) == 0 || (n = i2d_X509_REQ(req, NULL)) <= 0)
		return err_set(e, ERR_INTERNAL, "no request for the own TLS certificate");
	buf_reserve(der, (size_t)n);
	uint8_t *p = der->p;

	der->n = (size_t)i2d_X509_REQ(req, &p);
	return true;
}

static bool ask(struct own_tls *t, const struct buf *csr, struct buf *reply, struct ra_enrolled *got, struct err *e)
{
	AUTO_BUF body = { 0 };
	uint16_t type;

	wr_span(&body, csr->p, csr->n);
	if (!caller_call(t->ra, &(struct frame){ .type = RA_TLS_CERT, .body = span_of(&body),
	                                         .deadline = clock_mono() + 20 * US_PER_SECOND }, &type, reply, e))
		return false;
	if (type != RA_OK) {
		if (!failure_get(span_of(reply), e))
			return err_set(e, ERR_INTERNAL, "malformed answer from ra");
		return false;
	}
	return ra_enrolled_get(span_of(reply), got, e);
}

static bool keep(const struct own_tls *t, EVP_PKEY *key, const struct span *chain, size_t n, struct err *e)
{
	AUTO_FREE char *path = file_path(t);
	AUTO(BIO) *bio = BIO_new(BIO_s_secmem());
	AUTO_BUF text = { 0 };
	char *pem;
	long len;
	bool kept;

	if (bio == NULL || PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1 ||
	    (len = BIO_get_mem_data(bio, &pem)) <= 0)
		return err_set(e, ERR_INTERNAL, "the own TLS key can't be written");
	buf_add(&text, pem, (size_t)len);
	for (size_t i = 0; i < n; i++)
		pem_put(&text, "CERTIFICATE", chain[i].p, chain[i].n);
	kept = file_write_atomic(path, text.p, text.n, 0600, e);
	mem_wipe(text.p, text.n);
	return kept;
}

bool own_tls_renew(struct own_tls *t, struct tls_key **out, struct err *e)
{
	AUTO(EVP_PKEY) *key = EVP_EC_gen("P-256");
	AUTO_BUF csr = { 0 };
	AUTO_BUF reply = { 0 };
	struct ra_enrolled got;
	struct span chain[CHAIN_MAX];
	size_t n = 1;

	if (key == NULL)
		return err_set(e, ERR_INTERNAL, "no key for the own TLS certificate");
	if (!make_request(key, &csr, e) || !ask(t, &csr, &reply, &got, e))
		return err_in(e, "own TLS certificate");
	chain[0] = got.cert;
	/* The root stays out: who trusts it has it (QRK-12). */
	for (uint32_t i = 0; i < got.chain_n && n < CHAIN_MAX; i++) {
		struct cert c;

		if (cert_parse(&c, got.chain[i].p, got.chain[i].n, NULL) && !span_equal(c.issuer, c.subject))
			chain[n++] = got.chain[i];
	}
	return keep(t, key, chain, n, e) && accept_pair(t, &key, chain, n, out, e);
}
