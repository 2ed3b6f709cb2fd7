/* SPDX-License-Identifier: Apache-2.0
 *
 * A signature leaves only after it was verified in software with the certificate's key (HSM-06). */
#include "ca/internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>

AUTO_DEFINE(EVP_PKEY_CTX, EVP_PKEY_CTX_free)

bool signer_open(struct signer *s, struct hsm *h, struct span key_id, struct span spki, struct err *e)
{
	struct key_info k;

	*s = (struct signer){ 0 };
	if (!hsm_key_find(h, key_id, &s->key, e))
		return false;
	if (!span_equal(hsm_key_spki(s->key), spki)) {
		signer_close(s);
		return err_set(e, ERR_HSM, "the key on the token does not match its certificate");
	}
	if (!key_parse(&k, spki, e) || !key_load(&s->public_key, &k, e)) {
		signer_close(s);
		return false;
	}
	s->alg = sig_alg_of(k.type);
	return true;
}

void signer_close(struct signer *s)
{
	hsm_key_free(s->key);
	EVP_PKEY_free(s->public_key);
	*s = (struct signer){ 0 };
}

static bool quarantine(struct signer *s, struct err *e)
{
	s->quarantined = true;
	log_event(LOG_LEVEL_ERROR, "ALARM: the token gave a signature that does not hold; the key is not used any more", NULL);
	return err_set(e, ERR_HSM, "the token gave a signature that does not hold; its key is quarantined until a restart");
}

static bool usable(const struct signer *s, struct err *e)
{
	if (s->key == NULL)
		return err_set(e, ERR_HSM, "no key");
	return !s->quarantined || err_set(e, ERR_HSM, "the key is quarantined: a signature of it did not hold");
}

static bool sign_digest(struct signer *s, struct hsm *h, struct span digest, struct buf *sig, struct err *e)
{
	const EVP_MD *md = EVP_get_digestbyname(sig_alg_digest(s->alg) != NULL ? sig_alg_digest(s->alg) : "SHA256");
	AUTO(EVP_PKEY_CTX) *ctx = NULL;
	uint8_t out[HSM_SIG_MAX];
	size_t n;

	if (!usable(s, e) || !hsm_sign(h, s->key, digest, out, &n, e))
		return false;
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, s->public_key, NULL);
	if (ctx == NULL || EVP_PKEY_verify_init(ctx) != 1 || EVP_PKEY_CTX_set_signature_md(ctx, md) != 1 ||
	    EVP_PKEY_verify(ctx, out, n, digest.p, digest.n) != 1)
		return quarantine(s, e);
	buf_add(sig, out, n);
	return true;
}

static bool sign_message(struct signer *s, struct hsm *h, struct span message, struct buf *sig, struct err *e)
{
	uint8_t digest[EVP_MAX_MD_SIZE], out[HSM_SIG_MAX];
	const char *name = sig_alg_digest(s->alg);
	unsigned digest_n = 0;
	size_t n;

	if (!usable(s, e))
		return false;
	if (name != NULL) {
		if (EVP_Digest(message.p, message.n, digest, &digest_n, EVP_get_digestbyname(name), NULL) != 1)
			return err_set(e, ERR_INTERNAL, "digest");
		return sign_digest(s, h, (struct span){ digest, digest_n }, sig, e);
	}
	if (!hsm_sign(h, s->key, message, out, &n, e))
		return false;
	if (!sig_verify(s->public_key, s->alg, message, (struct span){ out, n }, NULL))
		return quarantine(s, e);
	buf_add(sig, out, n);
	return true;
}

static bool measured(struct signer *s, int64_t since, bool good, const struct err *e)
{
	char labels[64];

	metrics_observe(s->metrics, "caduceus_hsm_op_duration_seconds", "", clock_mono() - since);
	if (!good) {
		snprintf(labels, sizeof labels, "code=\"%s\"", e != NULL ? err_kind_name(e->kind) : "unknown");
		metrics_add(s->metrics, "caduceus_hsm_errors_total", labels, 1);
	}
	return good;
}

bool signer_sign_digest(struct signer *s, struct hsm *h, struct span digest, struct buf *sig, struct err *e)
{
	int64_t since = clock_mono();

	return measured(s, since, sign_digest(s, h, digest, sig, e), e);
}

bool signer_sign(struct signer *s, struct hsm *h, struct span message, struct buf *sig, struct err *e)
{
	int64_t since = clock_mono();

	return measured(s, since, sign_message(s, h, message, sig, e), e);
}
