/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys on the token: make, find, show, destroy. */
#include "hsm/internal.h"

#include "base/der.h"
#include "base/rnd.h"

#include <string.h>

static const uint8_t oid_p256[] = { 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 };
static const uint8_t oid_p384[] = { 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22 };
/* PKCS#11 v3.0 and SoftHSM want the PrintableString form; newer modules also take the OID. */
static const uint8_t oid_ed25519[] = { 0x13, 0x0c, 'e', 'd', 'w', 'a', 'r', 'd', 's', '2', '5', '5', '1', '9' };
static const uint8_t der_ed25519[] = { 0x06, 0x03, 0x2b, 0x65, 0x70 };

static const struct alg {
	enum hsm_alg alg;
	const char *name;
	CK_MECHANISM_TYPE generate;
	CK_KEY_TYPE type;
	const uint8_t *params;
	size_t params_n, octets; /* of a coordinate, or the modulus */
} algs[] = {
	{ HSM_P256, "ecdsa-p256", CKM_EC_KEY_PAIR_GEN, CKK_EC, oid_p256, sizeof oid_p256, 32 },
	{ HSM_P384, "ecdsa-p384", CKM_EC_KEY_PAIR_GEN, CKK_EC, oid_p384, sizeof oid_p384, 48 },
	{ HSM_RSA2048, "rsa-2048", CKM_RSA_PKCS_KEY_PAIR_GEN, CKK_RSA, NULL, 0, 256 },
	{ HSM_RSA3072, "rsa-3072", CKM_RSA_PKCS_KEY_PAIR_GEN, CKK_RSA, NULL, 0, 384 },
	{ HSM_RSA4096, "rsa-4096", CKM_RSA_PKCS_KEY_PAIR_GEN, CKK_RSA, NULL, 0, 512 },
	{ HSM_ED25519, "ed25519", CKM_EC_EDWARDS_KEY_PAIR_GEN, CKK_EC_EDWARDS, oid_ed25519, sizeof oid_ed25519, 32 },
};

static const struct alg *alg_of(enum hsm_alg a)
{
	for (size_t i = 0; i < COUNT_OF(algs); i++)
		if (algs[i].alg == a)
			return &algs[i];
	return NULL;
}

bool hsm_alg_parse(const char *name, enum hsm_alg *out)
{
	for (size_t i = 0; i < COUNT_OF(algs); i++) {
		if (strcmp(algs[i].name, name) == 0) {
			*out = algs[i].alg;
			return true;
		}
	}
	return false;
}

const char *hsm_alg_name(enum hsm_alg a)
{
	const struct alg *t = alg_of(a);

	return t != NULL ? t->name : "other";
}

/* --- SubjectPublicKeyInfo from the token's public object */

static bool get(struct hsm *h, CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE_TYPE type, struct buf *out)
{
	CK_ATTRIBUTE a = { type, NULL, 0 };

	out->n = 0;
	if (h->f->C_GetAttributeValue(s, o, &a, 1) != CKR_OK || a.ulValueLen == CK_UNAVAILABLE_INFORMATION || a.ulValueLen > 8192)
		return false;
	buf_reserve(out, a.ulValueLen + 1);
	a.pValue = out->p;
	if (h->f->C_GetAttributeValue(s, o, &a, 1) != CKR_OK)
		return false;
	out->n = a.ulValueLen;
	return true;
}

static void put_ec_spki(struct buf *out, const struct alg *t, struct span point)
{
	size_t spki = der_begin(out, DER_SEQUENCE), alg = der_begin(out, DER_SEQUENCE);

	if (t->type == CKK_EC) {
		der_put_oid(out, "1.2.840.10045.2.1");
		buf_add(out, t->params, t->params_n);
	} else {
		buf_add(out, der_ed25519, sizeof der_ed25519);
	}
	der_end(out, alg);
	der_put_bits(out, point.p, point.n, 0);
	der_end(out, spki);
}

static bool ec_spki(struct hsm *h, CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o, struct hsm_key *k)
{
	AUTO_BUF params = { 0 };
	AUTO_BUF value = { 0 };
	struct der d;
	struct span point;
	size_t want;

	if (!get(h, s, o, CKA_EC_PARAMS, &params) || !get(h, s, o, CKA_EC_POINT, &value))
		return false;
	for (size_t i = 0; i < COUNT_OF(algs); i++)
		if (algs[i].params != NULL && params.n == algs[i].params_n && memcmp(params.p, algs[i].params, params.n) == 0)
			k->alg = algs[i].alg;
	if (params.n == sizeof der_ed25519 && memcmp(params.p, der_ed25519, params.n) == 0)
		k->alg = HSM_ED25519;
	if (k->alg == 0)
		return false;
	want = k->alg == HSM_ED25519 ? 32 : 1 + 2 * alg_of(k->alg)->octets;
	/* HSM-05: some modules wrap the point in an OCTET STRING, as the standard says; others don't. */
	d = der_of(value.p, value.n);
	point = der_span(&d, DER_OCTETS);
	if (!der_done(&d) || point.n != want)
		point = span_of(&value);
	if (point.n != want)
		return false;
	put_ec_spki(&k->spki, alg_of(k->alg), point);
	return true;
}

static bool rsa_spki(struct hsm *h, CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o, struct hsm_key *k)
{
	AUTO_BUF n = { 0 };
	AUTO_BUF x = { 0 };
	AUTO_BUF key = { 0 };
	size_t mark, spki, alg, octets;

	if (!get(h, s, o, CKA_MODULUS, &n) || !get(h, s, o, CKA_PUBLIC_EXPONENT, &x))
		return false;
	octets = n.n - (n.n != 0 && n.p[0] == 0);
	for (size_t i = 0; i < COUNT_OF(algs); i++)
		if (algs[i].type == CKK_RSA && algs[i].octets == octets)
			k->alg = algs[i].alg;
	if (k->alg == 0)
		return false;
	mark = der_begin(&key, DER_SEQUENCE);
	der_put_unsigned(&key, n.p, n.n);
	der_put_unsigned(&key, x.p, x.n);
	der_end(&key, mark);
	spki = der_begin(&k->spki, DER_SEQUENCE);
	alg = der_begin(&k->spki, DER_SEQUENCE);
	der_put_oid(&k->spki, "1.2.840.113549.1.1.1");
	der_put_null(&k->spki);
	der_end(&k->spki, alg);
	der_put_bits(&k->spki, key.p, key.n, 0);
	der_end(&k->spki, spki);
	return true;
}

/* --- Finding */

bool mechanism_there(struct hsm *h, CK_MECHANISM_TYPE m, CK_FLAGS want, const char *what, struct err *e)
{
	CK_MECHANISM_INFO info;

	return (h->f->C_GetMechanismInfo(h->slot, m, &info) == CKR_OK && (info.flags & want) == want) ||
	       err_set(e, ERR_HSM, "HSM: the token can't %s %s keys; choose another algorithm",
	               (want & CKF_SIGN) != 0 ? "sign with" : "make", what);
}

static CK_RV find(struct hsm *h, CK_SESSION_HANDLE s, CK_OBJECT_CLASS class, struct span id, CK_OBJECT_HANDLE *out, CK_ULONG *n)
{
	CK_ATTRIBUTE t[] = { { CKA_CLASS, &class, sizeof class }, { CKA_ID, (void *)id.p, id.n } };
	CK_ULONG cap = *n;
	CK_RV rv = h->f->C_FindObjectsInit(s, t, id.n != 0 ? 2 : 1);

	*n = 0;
	if (rv != CKR_OK)
		return rv;
	rv = h->f->C_FindObjects(s, out, cap, n);
	(void)h->f->C_FindObjectsFinal(s);
	return rv;
}

static bool find_one(struct hsm *h, CK_SESSION_HANDLE s, CK_OBJECT_CLASS class, struct span id, CK_OBJECT_HANDLE *out,
                     struct err *e)
{
	CK_OBJECT_HANDLE two[2];
	CK_ULONG n = 2;
	CK_RV rv = find(h, s, class, id, two, &n);

	if (rv != CKR_OK)
		return ckr_fail(h, e, "C_FindObjects", rv);
	if (n != 1)
		return err_set(e, n == 0 ? ERR_NOT_FOUND : ERR_HSM, n == 0 ? "HSM: the key is not on the token"
		                                                           : "HSM: two keys have the same id");
	*out = two[0];
	return true;
}

bool key_handle(struct hsm *h, CK_SESSION_HANDLE s, struct hsm_key *k, CK_OBJECT_HANDLE *out, struct err *e)
{
	uint64_t generation;
	bool good = true;

	pthread_mutex_lock(&h->lock);
	generation = h->generation;
	pthread_mutex_unlock(&h->lock);
	pthread_mutex_lock(&k->lock);
	if (k->generation != generation) {
		good = find_one(h, s, CKO_PRIVATE_KEY, (struct span){ k->id, k->id_n }, &k->handle, e);
		k->generation = good ? generation : 0;
	}
	*out = k->handle;
	pthread_mutex_unlock(&k->lock);
	return good;
}

void key_forget(struct hsm_key *k)
{
	pthread_mutex_lock(&k->lock);
	k->generation = 0;
	pthread_mutex_unlock(&k->lock);
}

static bool flag(struct hsm *h, CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE_TYPE type)
{
	CK_BBOOL v = CK_FALSE;
	CK_ATTRIBUTE a = { type, &v, sizeof v };

	return h->f->C_GetAttributeValue(s, o, &a, 1) == CKR_OK && v == CK_TRUE;
}

/* HSM-02 */
static bool born_here(struct hsm *h, CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o, struct err *e)
{
	return (flag(h, s, o, CKA_ALWAYS_SENSITIVE) && flag(h, s, o, CKA_NEVER_EXTRACTABLE) && flag(h, s, o, CKA_LOCAL)) ||
	       err_set(e, ERR_HSM, "HSM: the token does not hold the key to be always sensitive, never extractable and made in it; "
	                           "a key that was elsewhere signs nothing here");
}

bool hsm_key_find(struct hsm *h, struct span id, struct hsm_key **out, struct err *e)
{
	AUTO_STRUCT(hsm_key) *k = mem_new(sizeof *k);
	CK_SESSION_HANDLE s;
	CK_OBJECT_HANDLE pub = 0, priv;
	bool good;

	pthread_mutex_init(&k->lock, NULL);
	if (id.n == 0 || id.n > HSM_ID_MAX)
		return err_set(e, ERR_NOT_FOUND, "HSM: no key with such an id");
	memcpy(k->id, id.p, id.n);
	k->id_n = id.n;
	if (!session_ensure(h, e) || !session_take(h, &s, NULL, e))
		return false;
	good = key_handle(h, s, k, &priv, e) && find_one(h, s, CKO_PUBLIC_KEY, id, &pub, e);
	if (good && !ec_spki(h, s, pub, k) && !rsa_spki(h, s, pub, k))
		good = err_set(e, ERR_HSM, "HSM: the public key can't be read or is of a kind that is not used");
	good = good && born_here(h, s, priv, e) && mechanism_there(h, sign_mechanism(k->alg), CKF_SIGN, hsm_alg_name(k->alg), e);
	session_give(h, s, good);
	if (good)
		*out = TAKE(k);
	return good;
}

void hsm_key_free(struct hsm_key *k)
{
	if (k == NULL)
		return;
	buf_free(&k->spki);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

enum hsm_alg hsm_key_alg(const struct hsm_key *k)
{
	return k->alg;
}

struct span hsm_key_spki(const struct hsm_key *k)
{
	return span_of(&k->spki);
}

/* --- Making */

enum { LATER = 2 }; /* attributes at the end of the template that came with later versions of the standard */

/* known: the token has heard of the last `known` attributes of the template, which not every one has. */
static CK_RV generate(struct hsm *h, CK_SESSION_HANDLE s, const struct alg *t, const char *label, const uint8_t id[16],
                      unsigned known, CK_OBJECT_HANDLE *pub, CK_OBJECT_HANDLE *priv)
{
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_MECHANISM_TYPE only = sign_mechanism(t->alg); /* HSM-03 */
	CK_MECHANISM m = { t->generate, NULL, 0 };
	CK_ULONG bits = t->octets * 8;
	CK_BYTE exponent[] = { 1, 0, 1 };
	CK_ATTRIBUTE pt[] = {
		{ CKA_TOKEN, &yes, 1 }, { CKA_VERIFY, &yes, 1 }, { CKA_ENCRYPT, &no, 1 }, { CKA_WRAP, &no, 1 },
		{ CKA_ID, (void *)id, 16 }, { CKA_LABEL, (void *)label, strlen(label) },
		{ t->type == CKK_RSA ? CKA_MODULUS_BITS : CKA_EC_PARAMS, t->type == CKK_RSA ? (void *)&bits : (void *)t->params,
		  t->type == CKK_RSA ? sizeof bits : t->params_n },
		{ CKA_PUBLIC_EXPONENT, exponent, sizeof exponent },
	};
	CK_ATTRIBUTE st[] = {
		{ CKA_TOKEN, &yes, 1 }, { CKA_PRIVATE, &yes, 1 }, { CKA_SENSITIVE, &yes, 1 }, { CKA_EXTRACTABLE, &no, 1 },
		{ CKA_SIGN, &yes, 1 }, { CKA_DECRYPT, &no, 1 }, { CKA_UNWRAP, &no, 1 }, { CKA_SIGN_RECOVER, &no, 1 },
		{ CKA_DERIVE, &no, 1 }, { CKA_ID, (void *)id, 16 }, { CKA_LABEL, (void *)label, strlen(label) },
		{ CKA_MODIFIABLE, &no, 1 }, { CKA_COPYABLE, &no, 1 }, { CKA_ALLOWED_MECHANISMS, &only, sizeof only },
	};

	return h->f->C_GenerateKeyPair(s, &m, pt, COUNT_OF(pt) - (t->type != CKK_RSA), st, COUNT_OF(st) - LATER + known, pub, priv);
}

/* A key that is not what was asked for does not stay. */
static bool make(struct hsm *h, CK_SESSION_HANDLE s, const struct alg *t, const char *label, const uint8_t id[16],
                 struct err *e)
{
	CK_OBJECT_HANDLE pub = 0, priv = 0;
	CK_RV rv = CKR_TEMPLATE_INCONSISTENT;

	for (int known = LATER; known >= 0 && (rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_TEMPLATE_INCONSISTENT); known--)
		rv = generate(h, s, t, label, id, (unsigned)known, &pub, &priv);
	if (rv != CKR_OK)
		return ckr_fail(h, e, "C_GenerateKeyPair", rv);
	if (born_here(h, s, priv, e))
		return true;
	(void)h->f->C_DestroyObject(s, priv);
	(void)h->f->C_DestroyObject(s, pub);
	return false;
}

bool hsm_key_generate(struct hsm *h, enum hsm_alg alg, const char *label, uint8_t id[HSM_ID_MAX], size_t *id_n,
                      struct err *e)
{
	const struct alg *t = alg_of(alg);
	CK_SESSION_HANDLE s;
	bool good;

	if (t == NULL)
		return err_set(e, ERR_INTERNAL, "unknown key algorithm");
	if (strlen(label) >= sizeof ((struct hsm_key_row *)0)->label)
		return err_set(e, ERR_BAD_NAME, "a key's label has at most 63 characters");
	if (!session_ensure(h, e) || !mechanism_there(h, t->generate, CKF_GENERATE_KEY_PAIR, t->name, e) ||
	    !mechanism_there(h, sign_mechanism(alg), CKF_SIGN, t->name, e))
		return false;
	rnd_kernel(id, 16);
	*id_n = 16;
	if (!session_take(h, &s, NULL, e))
		return false;
	good = make(h, s, t, label, id, e);
	session_give(h, s, good);
	/* A certificate is about to name it: then it must outlive a power loss. */
	return good && (!h->embedded || softhsm_sync(h->dir, e));
}

bool hsm_key_destroy(struct hsm *h, struct span id, struct err *e)
{
	static const CK_OBJECT_CLASS both[] = { CKO_PRIVATE_KEY, CKO_PUBLIC_KEY };
	CK_SESSION_HANDLE s;
	bool good = true;

	if (!session_ensure(h, e) || !session_take(h, &s, NULL, e))
		return false;
	for (size_t i = 0; i < COUNT_OF(both) && good; i++) {
		CK_OBJECT_HANDLE o;
		CK_RV rv;

		good = find_one(h, s, both[i], id, &o, e);
		if (good && (rv = h->f->C_DestroyObject(s, o)) != CKR_OK)
			good = ckr_fail(h, e, "C_DestroyObject", rv);
	}
	session_give(h, s, true);
	return good;
}

/* --- Showing */

static void show(struct hsm *h, CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o, struct hsm_key_row *r)
{
	AUTO_BUF v = { 0 };
	CK_OBJECT_HANDLE pub = 0;
	struct hsm_key k = { 0 };

	*r = (struct hsm_key_row){ 0 };
	if (get(h, s, o, CKA_LABEL, &v) && v.n < sizeof r->label)
		memcpy(r->label, v.p, v.n);
	if (get(h, s, o, CKA_ID, &v) && v.n <= sizeof r->id) {
		memcpy(r->id, v.p, v.n);
		r->id_n = v.n;
	}
	if (find_one(h, s, CKO_PUBLIC_KEY, (struct span){ r->id, r->id_n }, &pub, NULL) && !ec_spki(h, s, pub, &k))
		(void)!rsa_spki(h, s, pub, &k);
	r->alg = k.alg;
	buf_free(&k.spki);
	r->token = flag(h, s, o, CKA_TOKEN);
	r->private_ = flag(h, s, o, CKA_PRIVATE);
	r->sensitive = flag(h, s, o, CKA_SENSITIVE);
	r->extractable = flag(h, s, o, CKA_EXTRACTABLE);
	r->always_sensitive = flag(h, s, o, CKA_ALWAYS_SENSITIVE);
	r->never_extractable = flag(h, s, o, CKA_NEVER_EXTRACTABLE);
	r->local = flag(h, s, o, CKA_LOCAL);
	r->sign = flag(h, s, o, CKA_SIGN);
	r->decrypt = flag(h, s, o, CKA_DECRYPT);
	r->unwrap = flag(h, s, o, CKA_UNWRAP);
	r->derive = flag(h, s, o, CKA_DERIVE);
	r->modifiable = flag(h, s, o, CKA_MODIFIABLE);
}

bool hsm_list(struct hsm *h, hsm_each *each, void *arg, struct err *e)
{
	CK_OBJECT_HANDLE o[512];
	CK_ULONG n = COUNT_OF(o);
	CK_SESSION_HANDLE s;
	CK_RV rv;

	if (!session_ensure(h, e) || !session_take(h, &s, NULL, e))
		return false;
	rv = find(h, s, CKO_PRIVATE_KEY, (struct span){ NULL, 0 }, o, &n);
	for (CK_ULONG i = 0; rv == CKR_OK && i < n; i++) {
		struct hsm_key_row row;

		show(h, s, o[i], &row);
		each(arg, &row);
	}
	session_give(h, s, rv == CKR_OK);
	return rv == CKR_OK || ckr_fail(h, e, "C_FindObjects", rv);
}
