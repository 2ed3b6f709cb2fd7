/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS by GnuTLS with the private key under OpenSSL's EVP (one key path; RSA twice as fast), chosen at each handshake so
 * that a new certificate needs no restart. */
#include "web/internal.h"

#include "base/clock.h"

#include <openssl/rsa.h>
#include <string.h>

AUTO_DEFINE(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
AUTO_DEFINE(EVP_MD_CTX, EVP_MD_CTX_free)

/* X25519 first: "SERVER_PRECEDENCE" with GnuTLS's own order asks every client for a second hello. AEAD and ECDHE alone
 * (RFC 9325); a client that asks to renegotiate is not answered. */
const char *const tls_priorities =
	"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:"
	"+CHACHA20-POLY1305:-MAC-ALL:+AEAD:-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:%SERVER_PRECEDENCE";

static const EVP_MD *md_of(gnutls_sign_algorithm_t algo)
{
	switch (gnutls_sign_get_hash_algorithm(algo)) {
	case GNUTLS_DIG_SHA256:
		return EVP_sha256();
	case GNUTLS_DIG_SHA384:
		return EVP_sha384();
	case GNUTLS_DIG_SHA512:
		return EVP_sha512();
	default:
		return NULL;
	}
}

static bool is_pss(gnutls_sign_algorithm_t algo)
{
	return gnutls_sign_get_pk_algorithm(algo) == GNUTLS_PK_RSA_PSS || algo == GNUTLS_SIGN_RSA_PSS_RSAE_SHA256 ||
	       algo == GNUTLS_SIGN_RSA_PSS_RSAE_SHA384 || algo == GNUTLS_SIGN_RSA_PSS_RSAE_SHA512;
}

static int give(struct buf *from, gnutls_datum_t *out)
{
	out->data = gnutls_malloc(from->n);
	if (out->data == NULL)
		return GNUTLS_E_MEMORY_ERROR;
	memcpy(out->data, from->p, from->n);
	out->size = (unsigned)from->n;
	return 0;
}

static int sign_hash(gnutls_privkey_t key, gnutls_sign_algorithm_t algo, void *userdata, unsigned flags,
                     const gnutls_datum_t *hash, gnutls_datum_t *signature)
{
	struct tls_key *k = userdata;
	AUTO(EVP_PKEY_CTX) *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, k->evp, NULL);
	AUTO_BUF out = { 0 };
	size_t n = 0;

	(void)key;
	(void)flags;
	if (ctx == NULL || EVP_PKEY_sign_init(ctx) != 1 ||
	    (EVP_PKEY_get_base_id(k->evp) == EVP_PKEY_RSA &&
	     (EVP_PKEY_CTX_set_rsa_padding(ctx, is_pss(algo) ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING) != 1 ||
	      (is_pss(algo) && EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) != 1))) ||
	    (md_of(algo) != NULL && EVP_PKEY_CTX_set_signature_md(ctx, md_of(algo)) != 1) ||
	    EVP_PKEY_sign(ctx, NULL, &n, hash->data, hash->size) != 1)
		return GNUTLS_E_PK_SIGN_FAILED;
	buf_reserve(&out, n);
	if (EVP_PKEY_sign(ctx, out.p, &n, hash->data, hash->size) != 1)
		return GNUTLS_E_PK_SIGN_FAILED;
	out.n = n;
	return give(&out, signature);
}

static int sign_data(gnutls_privkey_t key, gnutls_sign_algorithm_t algo, void *userdata, unsigned flags,
                     const gnutls_datum_t *data, gnutls_datum_t *signature)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	gnutls_datum_t hash = { digest, 0 };

	if (md_of(algo) == NULL || EVP_Digest(data->data, data->size, digest, &hash.size, md_of(algo), NULL) != 1)
		return GNUTLS_E_PK_SIGN_FAILED;
	return sign_hash(key, algo, userdata, flags, &hash, signature);
}

static int key_info(gnutls_privkey_t key, unsigned flags, void *userdata)
{
	struct tls_key *k = userdata;
	bool rsa = EVP_PKEY_get_base_id(k->evp) == EVP_PKEY_RSA;
	gnutls_sign_algorithm_t algo;

	(void)key;
	if (flags & GNUTLS_PRIVKEY_INFO_PK_ALGO)
		return rsa ? GNUTLS_PK_RSA : GNUTLS_PK_ECDSA;
	if (flags & GNUTLS_PRIVKEY_INFO_PK_ALGO_BITS)
		return EVP_PKEY_get_bits(k->evp);
	if (flags & GNUTLS_PRIVKEY_INFO_HAVE_SIGN_ALGO) {
		algo = GNUTLS_FLAGS_TO_SIGN_ALGO(flags);
		if (rsa)
			return gnutls_sign_supports_pk_algorithm(algo, GNUTLS_PK_RSA) != 0;
		return gnutls_sign_supports_pk_algorithm(algo, GNUTLS_PK_ECDSA) != 0;
	}
	return -1;
}

static void release(struct tls_key *k)
{
	if (k == NULL || atomic_fetch_sub(&k->refs, 1) != 1)
		return;
	for (unsigned i = 0; i < k->n; i++)
		gnutls_pcert_deinit(&k->pcert[i]);
	if (k->priv != NULL)
		gnutls_privkey_deinit(k->priv);
	EVP_PKEY_free(k->evp);
	free(k);
}

bool tls_key_new(struct tls_key **out, EVP_PKEY *key, const struct span *chain, size_t n, struct err *e)
{
	struct tls_key *k = mem_new(sizeof *k);

	atomic_init(&k->refs, 1);
	k->evp = key;
	for (size_t i = 0; i < n && i < WEB_CHAIN_MAX; i++) {
		gnutls_datum_t der = { (unsigned char *)chain[i].p, (unsigned)chain[i].n };

		if (gnutls_pcert_import_x509_raw(&k->pcert[i], &der, GNUTLS_X509_FMT_DER, 0) != 0) {
			release(k);
			return err_set(e, ERR_BAD_CERT, "the TLS certificate can't be used");
		}
		k->n++;
	}
	if (k->n == 0 || gnutls_privkey_init(&k->priv) != 0 ||
	    gnutls_privkey_import_ext4(k->priv, k, sign_data, sign_hash, NULL, NULL, key_info, 0) != 0) {
		release(k);
		return err_set(e, ERR_BAD_KEY, "the TLS key can't be used");
	}
	*out = k;
	return true;
}

void tls_key_free(struct tls_key *k)
{
	release(k);
}

struct tls_key *tls_key_hold(struct web *w)
{
	struct tls_key *k;

	pthread_rwlock_rdlock(&w->tls_lock);
	k = w->tls_key;
	if (k != NULL)
		atomic_fetch_add(&k->refs, 1);
	pthread_rwlock_unlock(&w->tls_lock);
	return k;
}

void web_set_tls_key(struct web *w, struct tls_key *k)
{
	struct tls_key *old;

	pthread_rwlock_wrlock(&w->tls_lock);
	old = w->tls_key;
	w->tls_key = k;
	pthread_rwlock_unlock(&w->tls_lock);
	release(old);
}

void tls_forget_tickets(struct web *w)
{
	if (w->ticket_key.data != NULL)
		gnutls_memset(w->ticket_key.data, 0, w->ticket_key.size);
	gnutls_free(w->ticket_key.data);
	w->ticket_key = (gnutls_datum_t){ NULL, 0 };
}

/* RFC 5077, RFC 8446, 4.6.1: a session may be resumed until the key of its ticket goes. The ticket holds the client's
 * certificate, so that head and ra judge it at every request as if it had just been shown (EST-39); early data is not
 * taken. */
static void offer_tickets(struct web *w, gnutls_session_t session)
{
	int64_t now = clock_mono();

	pthread_mutex_lock(&w->ticket_lock);
	if (w->ticket_key.data == NULL || now - w->ticket_since >= w->c.ticket_period) {
		tls_forget_tickets(w);
		if (gnutls_session_ticket_key_generate(&w->ticket_key) != 0)
			w->ticket_key = (gnutls_datum_t){ NULL, 0 };
		w->ticket_since = now;
	}
	if (w->ticket_key.data != NULL)
		(void)gnutls_session_ticket_enable_server(session, &w->ticket_key);
	pthread_mutex_unlock(&w->ticket_lock);
	gnutls_db_set_cache_expiration(session, (int)(w->c.ticket_period / US_PER_SECOND));
}

/* The session database is not used, so its pointer is free to say which connection this is. */
void tls_prepare(struct conn *c, gnutls_session_t session)
{
	gnutls_db_set_ptr(session, c);
	offer_tickets(c->web, session);
	gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUEST);
}

int tls_retrieve(gnutls_session_t session, const struct gnutls_cert_retr_st *info, gnutls_pcert_st **certs, unsigned *n,
                 gnutls_ocsp_data_st **ocsp, unsigned *ocsp_n, gnutls_privkey_t *key, unsigned *flags)
{
	struct tls_key *k = ((struct conn *)gnutls_db_get_ptr(session))->key;

	(void)info;
	if (k == NULL)
		return -1;
	*certs = k->pcert;
	*n = k->n;
	*ocsp = NULL;
	*ocsp_n = 0;
	*key = k->priv;
	*flags = 0;
	return 0;
}

void tls_chain(struct exchange *x, gnutls_session_t session)
{
	unsigned n = 0;
	const gnutls_datum_t *list = gnutls_certificate_get_peers(session, &n);

	for (unsigned i = 0; list != NULL && i < n && i < WEB_CHAIN_MAX; i++) {
		buf_add(&x->chain[i], list[i].data, list[i].size);
		x->q.chain[i] = span_of(&x->chain[i]);
		x->q.chain_n++;
	}
}
