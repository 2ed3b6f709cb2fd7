/* SPDX-License-Identifier: Apache-2.0
 *
 * ca's door with a real token behind it: what may be issued looks as it must, and no request yields an authority or
 * anything that its profile forbids. */
#include "tests/cu.h"

#include "base/clock.h"
#include "base/rnd.h"
#include "ca/ca.h"
#include "hsm/hsm.h"
#include "pkix/oid.h"

#include <openssl/bn.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

AUTO_DEFINE(X509, X509_free)
AUTO_DEFINE(X509_REQ, X509_REQ_free)

static char dir[64];
static struct hsm *hsm;
static struct ca *ca;
static int64_t the_time;

/* The reply to the one request under way. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t came = PTHREAD_COND_INITIALIZER;
static bool answered;
static uint16_t reply_type;
static struct buf reply_body;

static void on_reply(void *arg, enum ca_port port, const struct frame *f)
{
	(void)arg;
	(void)port;
	pthread_mutex_lock(&lock);
	reply_type = f->type;
	reply_body.n = 0;
	buf_add(&reply_body, f->body.p, f->body.n);
	answered = true;
	pthread_cond_signal(&came);
	pthread_mutex_unlock(&lock);
}

static int64_t now(void)
{
	return the_time;
}

static bool pin(void *arg, char *out, size_t cap, struct err *e)
{
	(void)arg;
	(void)cap;
	(void)e;
	strcpy(out, "12345678");
	return true;
}

/* True: CA_OK; the body is in reply_body. Else *e is the refusal. */
static bool ask_port(enum ca_port port, uint16_t type, const struct buf *body, struct err *e)
{
	answered = false;
	ca_feed(ca, port, &(struct frame){ .type = type, .id = 1, .body = span_of(body) });
	pthread_mutex_lock(&lock);
	while (!answered)
		pthread_cond_wait(&came, &lock);
	pthread_mutex_unlock(&lock);
	if (reply_type == CA_OK)
		return true;
	CU_ASSERT_TRUE(failure_get(span_of(&reply_body), e));
	return false;
}

static bool ask(uint16_t type, const struct buf *body, struct err *e)
{
	return ask_port(CA_PORT_RA, type, body, e);
}

static struct profile device(void)
{
	struct profile p = { .name = "device", .authority = "devices", .doors = DOOR_EST, .validity = 90 * US_PER_DAY,
		             .min_validity = US_PER_DAY, .backdate = 5 * US_PER_MINUTE, .clamp = true, .key_types = 31,
		             .rsa_min_bits = 2048, .eku_n = 1, .san_types = 1 << SAN_DNS | 1 << SAN_IP, .ocsp_aia = true, .cdp = true,
		             .subject_n = 1, .policy_n = 1, .policy = { "1.3.6.1.4.1.32473.1" }, .cps = "http://cps.example/" };

	strcpy(p.eku[0], OID_CLIENT_AUTH);
	strcpy(p.subject[0].type, "O");
	strcpy(p.subject[0].value, "St. Hedwig");
	return p;
}

static bool put_profile(const struct profile *p, uint8_t digest[32], struct err *e)
{
	AUTO_BUF body = { 0 };

	profile_put(&body, p);
	if (!ask(CA_PROFILE_PUT, &body, e))
		return false;
	memcpy(digest, reply_body.p, 32);
	return true;
}

static struct buf root_cert, issuing_cert;
static uint8_t issuing_key_id[HSM_ID_MAX];
static size_t issuing_key_id_n;

static void make_authority(const char *name, const char *parent, int path_len, struct buf *cert)
{
	struct ca_create *c = mem_new(sizeof *c);
	struct ca_authority a = { .gen = { .gen = 1 } };
	struct ca_created made;
	AUTO_BUF body = { 0 };
	AUTO_BUF put = { 0 };
	struct err e = { 0 };

	strcpy(c->gen.name, name);
	c->gen.gen = 1;
	if (parent != NULL) {
		strcpy(c->parent.name, parent);
		c->parent.gen = 1;
		c->eku_n = 1;
		strcpy(c->eku[0], OID_CLIENT_AUTH);
	}
	strcpy(c->alg, "ecdsa-p256");
	c->serial = (struct serial){ 16, { 0x41, 2 } };
	/* Mixed string types: C is PrintableString, CN UTF8String (X509-09). */
	(void)!dn_add(&c->subject, DN_C, "DE");
	(void)!dn_add(&c->subject, DN_CN, name);
	c->not_before = the_time - US_PER_HOUR;
	c->not_after = c->not_before + 3650 * US_PER_DAY;
	c->path_len = path_len;
	ca_create_put(&body, c);
	CU_ASSERT_TRUE_FATAL(ask(CA_AUTHORITY_CREATE, &body, &e));
	CU_ASSERT_TRUE_FATAL(ca_created_get(span_of(&reply_body), &made, &e));
	buf_add(cert, made.cert.p, made.cert.n);
	memcpy(issuing_key_id, made.key_id.p, made.key_id.n); /* of the last one made */
	issuing_key_id_n = made.key_id.n;
	strcpy(a.gen.name, name);
	a.cert = made.cert;
	a.key_id = made.key_id;
	strcpy(a.aia_ocsp, "http://va.example/ocsp");
	strcpy(a.aia_issuer, "http://va.example/ca/x/1.cer");
	strcpy(a.cdp, "http://va.example/crl/x/1.crl");
	ca_authority_put(&put, &a);
	CU_ASSERT_TRUE_FATAL(ask(CA_AUTHORITY_PUT, &put, &e));
	free(c);
}

/* DER of a CSR under a key; ca: asks for cA TRUE. */
static void make_csr(EVP_PKEY *key, bool asks_ca, struct buf *der)
{
	AUTO(X509_REQ) *req = X509_REQ_new();
	uint8_t *p;

	X509_REQ_set_version(req, 0);
	X509_REQ_set_pubkey(req, key);
	if (asks_ca) {
		STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();

		sk_X509_EXTENSION_push(list, X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE"));
		X509_REQ_add_extensions(req, list);
		sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
	}
	X509_REQ_sign(req, key, EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519 ? NULL : EVP_sha256());
	buf_reserve(der, (size_t)i2d_X509_REQ(req, NULL));
	p = der->p;
	der->n = (size_t)i2d_X509_REQ(req, &p);
}

static uint8_t digest[32];
static struct buf good_csr, rsa_csr, ca_csr;

static struct ca_issue *request(void)
{
	struct ca_issue *i = mem_new(sizeof *i);

	memcpy(i->profile, digest, 32);
	strcpy(i->gen.name, "devices");
	i->gen.gen = 1;
	rnd_kernel(i->serial.v, 16);
	i->serial.n = 16;
	i->serial.v[0] = (uint8_t)((i->serial.v[0] & 0x7f) | 0x40);
	i->not_before = the_time - the_time % US_PER_SECOND;
	i->not_after = i->not_before + 90 * US_PER_DAY - US_PER_SECOND;
	(void)!dn_add(&i->subject, DN_CN, "pump-1");
	(void)!dn_add(&i->subject, DN_O, "St. Hedwig");
	(void)!san_from_text(&i->san.v[0], "dns:pump-1", false, NULL);
	i->san.n = 1;
	i->csr = span_of(&good_csr);
	return i;
}

static X509 *issued(const struct ca_issue *i, struct err *e)
{
	AUTO_BUF body = { 0 };
	const uint8_t *p;

	ca_issue_put(&body, i);
	if (!ask(CA_ISSUE, &body, e))
		return NULL;
	p = reply_body.p;
	return d2i_X509(NULL, &p, (long)reply_body.n);
}

static void setup(void)
{
	struct hsm_config c = { .module = "embedded", .token = "t", .dir = dir, .pin = pin };
	struct profile p = device();
	AUTO(EVP_PKEY) *ec = EVP_EC_gen("P-256");
	AUTO(EVP_PKEY) *rsa = EVP_RSA_gen(2048);
	char path[128];
	struct err e = { 0 };

	strcpy(dir, "/tmp/cad-issue-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	for (const char *const *f = (const char *const[]){ "run", "ca", "token", NULL }; *f != NULL; f++) {
		snprintf(path, sizeof path, "%s/%s", dir, *f);
		mkdir(path, 0700);
	}
	the_time = clock_now();
	CU_ASSERT_TRUE_FATAL(hsm_embedded_create(dir, "t", "12345678", &e));
	CU_ASSERT_TRUE_FATAL(hsm_open(&hsm, &c, &e));
	CU_ASSERT_TRUE_FATAL(ca_open(&ca, &(struct ca_config){ .dir = dir, .provision = true, .hsm = hsm, .reply = on_reply, .now = now }, &e));
	make_authority("root", NULL, 1, &root_cert);
	make_authority("devices", "root", 0, &issuing_cert);
	CU_ASSERT_TRUE_FATAL(put_profile(&p, digest, &e));
	make_csr(ec, false, &good_csr);
	make_csr(ec, true, &ca_csr);
	make_csr(rsa, false, &rsa_csr);
}

static void teardown(void)
{
	char command[128];

	ca_close(ca);
	hsm_close(hsm);
	buf_free(&reply_body);
	buf_free(&root_cert);
	buf_free(&issuing_cert);
	buf_free(&good_csr);
	buf_free(&rsa_csr);
	buf_free(&ca_csr);
	snprintf(command, sizeof command, "rm -rf %s", dir);
	(void)!system(command);
}

/* --- What is issued */

static const ASN1_OCTET_STRING *extension(X509 *x, int nid, int *critical)
{
	X509_EXTENSION *ext = X509_get_ext(x, X509_get_ext_by_NID(x, nid, -1));

	if (critical != NULL)
		*critical = ext != NULL && X509_EXTENSION_get_critical(ext);
	return ext != NULL ? X509_EXTENSION_get_data(ext) : NULL;
}

static bool value_is(const ASN1_OCTET_STRING *s, const void *p, size_t n)
{
	return s != NULL && (size_t)s->length == n && memcmp(s->data, p, n) == 0;
}

static void test_a_leaf_looks_as_it_must__X509_01__X509_03__X509_09__X509_12__X509_13__X509_14__X509_15__X509_24(void)
{
	struct ca_issue *i = request();
	struct err e = { 0 };
	AUTO(X509) *x = issued(i, &e);
	const uint8_t *p = issuing_cert.p;
	AUTO(X509) *issuer = d2i_X509(NULL, &p, (long)issuing_cert.n);
	AUTO(EVP_PKEY) *key = X509_get_pubkey(issuer);
	const ASN1_OCTET_STRING *aki;
	unsigned char *a = NULL, *b = NULL;
	int critical, an, bn;

	CU_ASSERT_PTR_NOT_NULL_FATAL(x);
	CU_ASSERT_EQUAL(X509_get_version(x), 2);
	CU_ASSERT_EQUAL(X509_get0_serialNumber(x)->length, 16);
	CU_ASSERT_TRUE((X509_get0_serialNumber(x)->data[0] & 0xc0) == 0x40);
	CU_ASSERT_EQUAL(X509_verify(x, key), 1);
	an = i2d_X509_NAME(X509_get_issuer_name(x), &a);
	bn = i2d_X509_NAME(X509_get_subject_name(issuer), &b);
	CU_ASSERT_TRUE(an == bn && memcmp(a, b, (size_t)an) == 0);
	OPENSSL_free(a);
	OPENSSL_free(b);
	/* keyIdentifier [0] and nothing else: the issuer's SKI octets. */
	aki = extension(x, NID_authority_key_identifier, &critical);
	CU_ASSERT_TRUE(aki != NULL && !critical && aki->length == 24 && aki->data[2] == 0x80 &&
	               memcmp(aki->data + 4, X509_get0_subject_key_id(issuer)->data, 20) == 0);
	CU_ASSERT_TRUE(value_is(extension(x, NID_basic_constraints, NULL), "\x30\x00", 2));
	CU_ASSERT_TRUE(value_is(extension(x, NID_key_usage, &critical), "\x03\x02\x07\x80", 4));
	CU_ASSERT_TRUE(critical);
	CU_ASSERT_TRUE(value_is(extension(x, NID_ext_key_usage, &critical), "\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x02", 12));
	CU_ASSERT_PTR_NOT_NULL(extension(x, NID_certificate_policies, &critical));
	CU_ASSERT_FALSE(critical);
	CU_ASSERT_EQUAL(X509_check_ca(x), 0);
	CU_ASSERT_PTR_NOT_NULL(extension(x, NID_subject_key_identifier, NULL));
	free(i);
}

static void test_serials_are_as_they_were_asked__X509_01(void)
{
	struct ca_issue *i = request();
	struct err e = { 0 };
	AUTO(X509) *x = issued(i, &e);

	CU_ASSERT_PTR_NOT_NULL_FATAL(x);
	CU_ASSERT_TRUE(memcmp(X509_get0_serialNumber(x)->data, i->serial.v, 16) == 0);
	free(i);
}

static void test_same_request_same_tbs__X509_44(void)
{
	struct ca_issue *i = request();
	struct err e = { 0 };
	AUTO(X509) *x = issued(i, &e);
	AUTO(X509) *y = issued(i, &e);
	unsigned char *a = NULL, *b = NULL;
	int an = i2d_re_X509_tbs(x, &a), bn = i2d_re_X509_tbs(y, &b);

	CU_ASSERT_TRUE(an > 0 && an == bn && memcmp(a, b, (size_t)an) == 0);
	OPENSSL_free(a);
	OPENSSL_free(b);
	free(i);
}

static void test_rsa_leaf_signs_only__X509_15(void)
{
	struct ca_issue *i = request();
	struct err e = { 0 };

	i->csr = span_of(&rsa_csr);
	AUTO(X509) *x = issued(i, &e);

	CU_ASSERT_PTR_NOT_NULL_FATAL(x);
	CU_ASSERT_TRUE(value_is(extension(x, NID_key_usage, NULL), "\x03\x02\x07\x80", 4));
	free(i);
}

/* --- What is refused: each breaks one thing of a good request */

typedef void breaker(struct ca_issue *i);
#define BREAK(name, statement) \
	static void name(struct ca_issue *i) \
	{ \
		statement; \
	}
BREAK(unknown_profile, i->profile[0] ^= 1)
BREAK(unknown_authority, strcpy(i->gen.name, "nobody"))
BREAK(under_root, strcpy(i->gen.name, "root"))
BREAK(unknown_generation, i->gen.gen = 2)
BREAK(short_serial, i->serial.n = 8)
BREAK(long_serial, i->serial.n = 20)
BREAK(negative_serial, i->serial.v[0] = 0xc1)
BREAK(small_serial, i->serial.v[0] = 0x01)
BREAK(second_too_long, i->not_after += US_PER_SECOND)
BREAK(ten_years, i->not_after += 3650 * US_PER_DAY)
BREAK(before_issuer, (i->not_before -= 40 * US_PER_DAY, i->not_after -= 40 * US_PER_DAY))
BREAK(future, (i->not_before += US_PER_DAY, i->not_after += US_PER_DAY))
BREAK(backdated, (i->not_before -= 30 * US_PER_MINUTE, i->not_after -= 30 * US_PER_MINUTE))
BREAK(backwards, i->not_after = i->not_before - US_PER_SECOND)
BREAK(half_second, i->not_before += US_PER_SECOND / 2)
BREAK(other_purpose, i->eku_mask = 2)
BREAK(other_organization, strcpy(i->subject.attr[1].value, "Other Hospital"))
BREAK(more_subject, (void)!dn_add(&i->subject, DN_OU, "Cardiology"))
BREAK(less_subject, i->subject.n = 1)
BREAK(other_order, i->subject.attr[0].type = DN_OU)
BREAK(long_cn, memset(i->subject.attr[0].value, 'x', 65))
BREAK(control_cn, i->subject.attr[0].value[0] = 7)
BREAK(blank_cn, strcpy(i->subject.attr[0].value, " pump"))
BREAK(wildcard, (strcpy(i->san.v[0].value, "*.ward3.example"), i->san.v[0].n = 15))
BREAK(email, (i->san.v[0].type = SAN_EMAIL, strcpy(i->san.v[0].value, "a@b.example"), i->san.v[0].n = 11))
BREAK(uri, (i->san.v[0].type = SAN_URI, strcpy(i->san.v[0].value, "http://a.example/"), i->san.v[0].n = 17))
BREAK(nobody, (i->subject.n = 0, i->san.n = 0))
BREAK(no_csr, i->csr.n = 0)
BREAK(half_csr, i->csr.n /= 2)
BREAK(ca_request, i->csr = span_of(&ca_csr))

static void test_no_request_yields_what_the_profile_forbids__X509_06__X509_08__X509_10__X509_16__X509_33__X509_45(void)
{
	static const struct {
		const char *name;
		breaker *run;
	} breakers[] = {
#define ROW(f) { #f, f }
		ROW(unknown_profile), ROW(unknown_authority), ROW(under_root), ROW(unknown_generation), ROW(short_serial),
		ROW(long_serial), ROW(negative_serial), ROW(small_serial), ROW(second_too_long), ROW(ten_years), ROW(before_issuer),
		ROW(future), ROW(backdated), ROW(backwards), ROW(half_second), ROW(other_purpose), ROW(other_organization),
		ROW(more_subject), ROW(less_subject), ROW(other_order), ROW(long_cn), ROW(control_cn), ROW(blank_cn), ROW(wildcard),
		ROW(email), ROW(uri), ROW(nobody), ROW(no_csr), ROW(half_csr), ROW(ca_request),
	};

	for (size_t k = 0; k < COUNT_OF(breakers); k++) {
		struct ca_issue *i = request();
		struct err e = { 0 };

		breakers[k].run(i);
		AUTO(X509) *x = issued(i, &e);

		if (x != NULL || e.text[0] == 0)
			fprintf(stderr, "issued: %s\n", breakers[k].name);
		CU_ASSERT_PTR_NULL(x);
		CU_ASSERT_TRUE(e.text[0] != 0);
		free(i);
	}
}

/* Octets of a good request turned over at random: whatever is issued is what the profile allows. */
static void test_mutated_requests_never_pass_the_profile__X509_16__X509_45(void)
{
	struct ca_issue *i = request();
	AUTO_BUF good = { 0 };
	unsigned passed = 0;

	ca_issue_put(&good, i);
	for (int round = 0; round < 1500; round++) {
		AUTO_BUF body = { 0 };
		uint8_t at[3];
		struct err e = { 0 };

		buf_add(&body, good.p, good.n);
		rnd_kernel(at, sizeof at);
		body.p[(at[0] << 8 | at[1]) % body.n] ^= at[2];
		if (!ask(CA_ISSUE, &body, &e))
			continue;
		const uint8_t *p = reply_body.p;
		AUTO(X509) *x = d2i_X509(NULL, &p, (long)reply_body.n);
		int days = 0, seconds = 0;

		CU_ASSERT_PTR_NOT_NULL_FATAL(x);
		passed++;
		CU_ASSERT_EQUAL(X509_check_ca(x), 0);
		CU_ASSERT_EQUAL(X509_get_extended_key_usage(x), XKU_SSL_CLIENT);
		CU_ASSERT_EQUAL(X509_get_key_usage(x), KU_DIGITAL_SIGNATURE);
		ASN1_TIME_diff(&days, &seconds, X509_get0_notBefore(x), X509_get0_notAfter(x));
		CU_ASSERT_TRUE(days < 90);
	}
	CU_ASSERT_TRUE(passed > 0);
	free(i);
}

static void test_profiles_beyond_the_limits_are_refused__X509_08__X509_16(void)
{
	struct profile bad[12];
	uint8_t d[32];
	struct err e;

	for (size_t i = 0; i < COUNT_OF(bad); i++)
		bad[i] = device();
	strcpy(bad[0].eku[0], OID_ANY_EKU);
	strcpy(bad[1].eku[0], "1.3.6.1.5.5.7.3.3");
	bad[2].eku_n = 0;
	bad[3].validity = 826 * US_PER_DAY;
	strcpy(bad[4].eku[0], OID_SERVER_AUTH);
	bad[4].validity = 399 * US_PER_DAY;
	bad[5].backdate = 2 * US_PER_HOUR;
	strcpy(bad[6].authority, "root");
	strcpy(bad[7].eku[0], OID_OCSP_SIGNING);
	strcpy(bad[8].authority, "*");
	bad[9].rsa_min_bits = 1024;
	strcpy(bad[10].policy[0], "1.3.x");
	strcpy(bad[11].cps, "http://\x01");
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		memset(&e, 0, sizeof e);
		CU_ASSERT_FALSE(put_profile(&bad[i], d, &e));
		CU_ASSERT_EQUAL(e.kind, ERR_POLICY);
		CU_ASSERT_TRUE(strstr(e.text, "device") != NULL);
	}
}

static void test_va_may_ask_for_answers_alone(void)
{
	struct ca_issue *i = request();
	AUTO_BUF body = { 0 };
	struct err e = { 0 };

	ca_issue_put(&body, i);
	for (uint16_t type = CA_PROFILE_PUT; type < CA_OP_COUNT; type++) {
		if (type == CA_OCSP || type == CA_STATE)
			continue;
		CU_ASSERT_FALSE(ask_port(CA_PORT_VA, type, &body, &e));
		CU_ASSERT_EQUAL(e.kind, ERR_DENIED);
	}
	free(i);
}

/* A certificate of an authority that nobody made here: the key of `devices`, signed by somebody else as the root, as
 * itself, or as a stranger. */
static void put_foreign(EVP_PKEY *signer, const char *issuer, struct err *e)
{
	const uint8_t *at = issuing_cert.p;
	AUTO(X509) *x = d2i_X509(NULL, &at, (long)issuing_cert.n);
	struct ca_authority a = { .gen = { "devices", 7 }, .aia_ocsp = "http://a/ocsp", .aia_issuer = "http://a/c", .cdp = "http://a/l" };
	AUTO_BUF der = { 0 };
	AUTO_BUF body = { 0 };
	uint8_t *p;

	if (strcmp(issuer, "self") == 0) {
		X509_set_issuer_name(x, X509_get_subject_name(x));
	} else if (strcmp(issuer, "root") != 0) {
		X509_NAME *n = X509_NAME_new();

		X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_UTF8, (const unsigned char *)issuer, -1, -1, 0);
		X509_set_issuer_name(x, n);
		X509_NAME_free(n);
	}
	X509_sign(x, signer, EVP_sha256());
	buf_reserve(&der, (size_t)i2d_X509(x, NULL));
	p = der.p;
	der.n = (size_t)i2d_X509(x, &p);
	a.cert = span_of(&der);
	a.key_id = (struct span){ issuing_key_id, issuing_key_id_n };
	ca_authority_put(&body, &a);
	CU_ASSERT_FALSE(ask(CA_AUTHORITY_PUT, &body, e));
}

/* A key whose primes are neighbours, with which its holder signs all the same. */
static EVP_PKEY *close_primes(void)
{
	BN_CTX *c = BN_CTX_new();
	BIGNUM *p = BN_new(), *q, *n = BN_new(), *d = BN_new(), *phi = BN_new(), *e = BN_new(), *one = BN_new();
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	EVP_PKEY *key = NULL;
	OSSL_PARAM *params;

	BN_set_word(e, 65537);
	BN_one(one);
	do {
		BN_generate_prime_ex(p, 1024, 0, NULL, NULL, NULL);
		q = BN_dup(p);
		do
			BN_add_word(q, 2);
		while (BN_check_prime(q, c, NULL) != 1);
		BN_mul(n, p, q, c);
		BN_sub(phi, n, p);
		BN_sub(phi, phi, q);
		BN_add(phi, phi, one);
		BN_free(q);
	} while (BN_num_bits(n) != 2048 || BN_mod_inverse(d, e, phi, c) == NULL);
	OSSL_PARAM_BLD_push_BN(bld, "n", n);
	OSSL_PARAM_BLD_push_BN(bld, "e", e);
	OSSL_PARAM_BLD_push_BN(bld, "d", d);
	params = OSSL_PARAM_BLD_to_param(bld);
	EVP_PKEY_fromdata_init(ctx);
	EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(bld);
	EVP_PKEY_CTX_free(ctx);
	BN_free(p);
	BN_free(n);
	BN_free(d);
	BN_free(phi);
	BN_free(e);
	BN_free(one);
	BN_CTX_free(c);
	return key;
}

static void test_a_key_that_can_be_factored__X509_39(void)
{
	AUTO(EVP_PKEY) *key = close_primes();
	struct ca_issue *q = request();
	AUTO_BUF csr = { 0 };
	struct err e = { 0 };

	make_csr(key, false, &csr);
	q->csr = span_of(&csr);
	CU_ASSERT_PTR_NULL(issued(q, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_BAD_KEY);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "too close"));
	free(q);
}

/* RFC 5280, 4.1.2.6: no subject, so the alternative name is critical; with one it is not. */
static void test_empty_subject_makes_the_name_critical__X509_11(void)
{
	struct profile p = device();

	for (int i = 0; i < 2; i++) {
		struct ca_issue *q;
		struct err e = { 0 };
		int critical;

		p.subject_n = i == 0 ? 0 : 1;
		CU_ASSERT_TRUE_FATAL(put_profile(&p, digest, &e));
		q = request();
		if (i == 0)
			q->subject.n = 0;
		AUTO(X509) *x = issued(q, &e);

		CU_ASSERT_PTR_NOT_NULL_FATAL(x);
		CU_ASSERT_PTR_NOT_NULL(extension(x, NID_subject_alt_name, &critical));
		CU_ASSERT_EQUAL(critical, i == 0);
		/* Neither a subject nor a name is nobody. */
		q->san.n = 0;
		if (i == 0)
			CU_ASSERT_PTR_NULL(issued(q, &e));
		free(q);
	}
	{
		struct err e = { 0 };

		p = device();
		CU_ASSERT_TRUE(put_profile(&p, digest, &e));
	}
}

/* An authority below `root` that may certify ward3.example alone, and the one below that, which says nothing itself. */
static void test_constraints_bind_all_below__X509_25(void)
{
	static const uint8_t der[] = { 0x30, 0x13, 0xa0, 0x11, 0x30, 0x0f, 0x82, 0x0d, 'w', 'a', 'r', 'd', '3', '.', 'e', 'x', 'a', 'm', 'p', 'l', 'e' };
	static const char *const names[] = { "dns:pump.ward3.example", "dns:pump.ward4.example" };
	struct ca_create *c = mem_new(sizeof *c);
	struct ca_authority put = { .gen = { "bound", 1 }, .aia_ocsp = "http://va.example/ocsp", .aia_issuer = "http://va.example/b",
		                    .cdp = "http://va.example/c" };
	struct ca_created made;
	AUTO_BUF body = { 0 };
	AUTO_BUF again = { 0 };
	AUTO_BUF cert = { 0 };
	struct err e = { 0 };
	const uint8_t *at;

	strcpy(c->gen.name, "bound");
	c->gen.gen = 1;
	strcpy(c->parent.name, "root");
	c->parent.gen = 1;
	strcpy(c->alg, "ecdsa-p256");
	c->serial = (struct serial){ 16, { 0x44 } };
	(void)!dn_add(&c->subject, DN_CN, "Bound CA");
	c->not_before = the_time - US_PER_HOUR;
	c->not_after = c->not_before + 3000 * US_PER_DAY;
	c->eku_n = 1;
	strcpy(c->eku[0], OID_CLIENT_AUTH);
	c->constraints = (struct span){ der, sizeof der };
	ca_create_put(&body, c);
	CU_ASSERT_TRUE_FATAL(ask(CA_AUTHORITY_CREATE, &body, &e));
	CU_ASSERT_TRUE_FATAL(ca_created_get(span_of(&reply_body), &made, &e));
	buf_add(&cert, made.cert.p, made.cert.n);
	put.cert = made.cert;
	put.key_id = made.key_id;
	ca_authority_put(&again, &put);
	CU_ASSERT_TRUE_FATAL(ask(CA_AUTHORITY_PUT, &again, &e));
	{
		at = cert.p;
		AUTO(X509) *x = d2i_X509(NULL, &at, (long)cert.n);
		NAME_CONSTRAINTS *nc = X509_get_ext_d2i(x, NID_name_constraints, NULL, NULL);

		CU_ASSERT_PTR_NOT_NULL(nc); /* OpenSSL reads it, too */
		NAME_CONSTRAINTS_free(nc);
	}
	for (int i = 0; i < 2; i++) {
		struct profile p = device();
		struct ca_issue *q;

		strcpy(p.authority, "bound");
		strcpy(p.name, "bound");
		CU_ASSERT_TRUE_FATAL(put_profile(&p, digest, &e));
		q = request();
		strcpy(q->gen.name, "bound");
		strcpy(q->subject.attr[0].value, "pump-7");
		q->subject.attr[0] = q->subject.attr[1]; /* no CN: a host name there is judged, too */
		q->subject.n = 1;
		CU_ASSERT_TRUE(san_from_text(&q->san.v[0], names[i], false, NULL));
		e = (struct err){ 0 };
		AUTO(X509) *x = issued(q, &e);

		CU_ASSERT_EQUAL(x != NULL, i == 0);
		if (i == 1)
			CU_ASSERT_TRUE(e.kind == ERR_BAD_NAME && strstr(e.text, "pump.ward4.example") != NULL);
		free(q);
	}
	{
		struct profile p = device();

		CU_ASSERT_TRUE(put_profile(&p, digest, &e));
	}
	c->constraints.n--; /* malformed */
	body.n = 0;
	ca_create_put(&body, c);
	CU_ASSERT_FALSE(ask(CA_AUTHORITY_CREATE, &body, &e));
	free(c);
}

/* X509-35: an authority's RSA key has 3,072 bits at least. */
static void test_short_keys_of_authorities_are_refused__X509_35(void)
{
	struct ca_create *c = mem_new(sizeof *c);
	AUTO_BUF body = { 0 };
	struct err e = { 0 };

	strcpy(c->gen.name, "short");
	c->gen.gen = 1;
	strcpy(c->alg, "rsa-2048");
	c->serial = (struct serial){ 16, { 0x43 } };
	(void)!dn_add(&c->subject, DN_CN, "short");
	c->not_before = the_time;
	c->not_after = the_time + 365 * US_PER_DAY;
	c->path_len = 1;
	ca_create_put(&body, c);
	CU_ASSERT_FALSE(ask(CA_AUTHORITY_CREATE, &body, &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "rsa-3072"));
	free(c);
}

static void test_an_authority_is_not_invented__X509_41(void)
{
	static const char *const issuers[] = { "root", "self", "Some CA" };
	AUTO(EVP_PKEY) *key = EVP_EC_gen("P-256");

	for (size_t i = 0; i < sizeof issuers / sizeof issuers[0]; i++) {
		struct err e = { 0 };
		struct ca_issue *q = request();

		put_foreign(key, issuers[i], &e);
		CU_ASSERT_EQUAL(e.kind, ERR_DENIED);
		q->gen.gen = 7;
		CU_ASSERT_PTR_NULL(issued(q, &e));
		free(q);
	}
}

static void test_a_year_beyond_2049__X509_05(void)
{
	struct civil c = { 2049, 12, 31, 23, 0, 0 };
	struct ca_issue *i = request();
	struct ca_create *create = mem_new(sizeof *create);
	AUTO_BUF body = { 0 };
	struct ca_created made;
	struct cert *cert = mem_new(sizeof *cert);
	struct err e = { 0 };

	/* An authority whose life crosses the border: UTCTime, then GeneralizedTime. */
	strcpy(create->gen.name, "late");
	create->gen.gen = 1;
	strcpy(create->alg, "ecdsa-p256");
	create->serial = (struct serial){ 16, { 0x42 } };
	(void)!dn_add(&create->subject, DN_CN, "late");
	CU_ASSERT_TRUE(clock_from_civil(&c, &create->not_before));
	create->not_after = create->not_before + 2 * US_PER_DAY;
	create->path_len = 1;
	ca_create_put(&body, create);
	CU_ASSERT_TRUE_FATAL(ask(CA_AUTHORITY_CREATE, &body, &e));
	CU_ASSERT_TRUE_FATAL(ca_created_get(span_of(&reply_body), &made, &e));
	CU_ASSERT_TRUE_FATAL(cert_parse(cert, made.cert.p, made.cert.n, &e));
	CU_ASSERT_EQUAL(cert->not_before, create->not_before);
	CU_ASSERT_EQUAL(cert->not_after, create->not_after);
	CU_ASSERT_PTR_NOT_NULL(memmem(made.cert.p, made.cert.n, "\x17\x0d" "491231230000Z", 15));
	CU_ASSERT_PTR_NOT_NULL(memmem(made.cert.p, made.cert.n, "\x18\x0f" "20500102230000Z", 17));
	free(cert);
	free(create);
	free(i);
}

/* --- CRLs through the door, in lock-step as ra does it */

static size_t resident(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long total = 0, pages = 0;

	if (f == NULL || fscanf(f, "%lu %lu", &total, &pages) != 2)
		pages = 0;
	if (f != NULL)
		fclose(f);
	return pages * 4096;
}

static void entry_of(struct crl_entry *en, uint64_t n)
{
	static const enum crl_reason reasons[] = { REASON_UNSPECIFIED, REASON_KEY_COMPROMISE, REASON_SUPERSEDED };

	*en = (struct crl_entry){ .serial = { 16, { 0x40 } }, .revoked_at = the_time - (int64_t)n * US_PER_SECOND, .reason = reasons[n % 3] };
	for (int i = 0; i < 8; i++)
		en->serial.v[8 + i] = (uint8_t)(n >> (56 - 8 * i));
}

/* The whole file when keep is not NULL; else its octets are counted only. */
static bool make_crl(uint64_t n, struct buf *keep, uint64_t *octets, struct err *e)
{
	struct ca_crl c = { .gen = { "devices", 1 }, .number = 7, .this_update = the_time - the_time % US_PER_SECOND, .entries = n };
	AUTO_BUF body = { 0 };
	AUTO_BUF all = { 0 };
	struct crl_entry en;
	struct ca_crl_end end;

	c.next_update = c.this_update + 3 * US_PER_DAY;
	for (uint64_t i = 0; i < n; i++) {
		entry_of(&en, i);
		c.body_n += crl_entry_size(&en);
	}
	ca_crl_put(&body, &c);
	if (!ask(CA_CRL_BEGIN, &body, e))
		return false;
	*octets = reply_body.n;
	buf_add(&all, reply_body.p, keep != NULL ? reply_body.n : 0);
	for (uint64_t i = 0; i < n;) {
		body.n = 0;
		for (int k = 0; k < CRL_ENTRIES_MAX && i < n; k++, i++) {
			entry_of(&en, i);
			crl_entry_put(&body, &en);
		}
		if (!ask(CA_CRL_ENTRIES, &body, e))
			return false;
		*octets += reply_body.n;
		buf_add(&all, reply_body.p, keep != NULL ? reply_body.n : 0);
	}
	body.n = 0;
	if (!ask(CA_CRL_END, &body, e) || !ca_crl_end_get(span_of(&reply_body), &end, e))
		return false;
	*octets += end.head.n + end.tail.n;
	if (keep != NULL) {
		buf_add(keep, end.head.p, end.head.n);
		buf_add(keep, all.p, all.n);
		buf_add(keep, end.tail.p, end.tail.n);
	}
	return true;
}

AUTO_DEFINE(X509_CRL, X509_CRL_free)

static void test_crls_of_every_size_hold__CRL_01__CRL_03__CRL_04__CRL_07(void)
{
	static const uint64_t sizes[] = { 0, 1, 3, 1000, 1001, 5000 };
	const uint8_t *p = issuing_cert.p;
	AUTO(X509) *issuer = d2i_X509(NULL, &p, (long)issuing_cert.n);
	AUTO(EVP_PKEY) *key = X509_get_pubkey(issuer);

	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		AUTO_BUF file = { 0 };
		uint64_t octets = 0;
		struct err e = { 0 };
		bool made = make_crl(sizes[i], &file, &octets, &e);

		CU_ASSERT_TRUE_FATAL(made);
		p = file.p;
		AUTO(X509_CRL) *crl = d2i_X509_CRL(NULL, &p, (long)file.n);

		CU_ASSERT_PTR_NOT_NULL_FATAL(crl);
		CU_ASSERT_TRUE(p == file.p + file.n && octets == file.n);
		CU_ASSERT_EQUAL(X509_CRL_verify(crl, key), 1);
		CU_ASSERT_EQUAL(X509_CRL_get_version(crl), 1);
		CU_ASSERT_EQUAL(sk_X509_REVOKED_num(X509_CRL_get_REVOKED(crl)), sizes[i] != 0 ? (int)sizes[i] : -1);
		CU_ASSERT_EQUAL(X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_subject_name(issuer)), 0);
	}
}

static void test_a_million_entries_in_flat_memory__CRL_04(void)
{
	size_t before = resident(), after;
	uint64_t octets = 0;
	struct err e = { 0 };

	CU_ASSERT_TRUE(make_crl(1000000, NULL, &octets, &e));
	after = resident();
	CU_ASSERT_TRUE(octets > 40000000 && octets < 60000000);
#ifndef __SANITIZE_ADDRESS__
	/* The sanitizer keeps what was freed; the release build tells. */
	CU_ASSERT_TRUE(after < before + (32u << 20));
#else
	(void)after;
	(void)before;
#endif
}

static void test_crls_that_are_not_as_announced_are_refused__CRL_01__CRL_07(void)
{
	struct ca_crl c = { .gen = { "devices", 1 }, .number = 8, .this_update = the_time, .next_update = the_time + US_PER_DAY, .entries = 1 };
	AUTO_BUF begin = { 0 };
	AUTO_BUF one = { 0 };
	AUTO_BUF none = { 0 };
	struct crl_entry en;
	struct err e;

	entry_of(&en, 5);
	c.body_n = crl_entry_size(&en);
	ca_crl_put(&begin, &c);
	crl_entry_put(&one, &en);
	/* An end without its entries; entries without a beginning; one too many; out of order; a reason that is not issued. */
	CU_ASSERT_TRUE(ask(CA_CRL_BEGIN, &begin, &e));
	CU_ASSERT_FALSE(ask(CA_CRL_END, &none, &e));
	CU_ASSERT_FALSE(ask(CA_CRL_ENTRIES, &one, &e));
	CU_ASSERT_TRUE(ask(CA_CRL_BEGIN, &begin, &e) && ask(CA_CRL_ENTRIES, &one, &e));
	CU_ASSERT_FALSE(ask(CA_CRL_ENTRIES, &one, &e));
	for (int reason = REASON_REMOVE; reason <= REASON_AA_COMPROMISE; reason += 2) {
		one.n = 0;
		en.reason = (enum crl_reason)reason;
		crl_entry_put(&one, &en);
		CU_ASSERT_TRUE(ask(CA_CRL_BEGIN, &begin, &e));
		CU_ASSERT_FALSE(ask(CA_CRL_ENTRIES, &one, &e));
	}
}

static void test_wrap_up(void)
{
	teardown();
}

static const struct cu_case cases[] = {
	{ "setup", setup },
	{ "leaf", test_a_leaf_looks_as_it_must__X509_01__X509_03__X509_09__X509_12__X509_13__X509_14__X509_15__X509_24 },
	{ "serial", test_serials_are_as_they_were_asked__X509_01 },
	{ "same tbs", test_same_request_same_tbs__X509_44 },
	{ "rsa", test_rsa_leaf_signs_only__X509_15 },
	{ "refusals", test_no_request_yields_what_the_profile_forbids__X509_06__X509_08__X509_10__X509_16__X509_33__X509_45 },
	{ "mutations", test_mutated_requests_never_pass_the_profile__X509_16__X509_45 },
	{ "limits", test_profiles_beyond_the_limits_are_refused__X509_08__X509_16 },
	{ "va", test_va_may_ask_for_answers_alone },
	{ "empty subject", test_empty_subject_makes_the_name_critical__X509_11 },
	{ "constraints", test_constraints_bind_all_below__X509_25 },
	{ "factored", test_a_key_that_can_be_factored__X509_39 },
	{ "short", test_short_keys_of_authorities_are_refused__X509_35 },
	{ "invented", test_an_authority_is_not_invented__X509_41 },
	{ "2049", test_a_year_beyond_2049__X509_05 },
	{ "crl sizes", test_crls_of_every_size_hold__CRL_01__CRL_03__CRL_04__CRL_07 },
	{ "crl million", test_a_million_entries_in_flat_memory__CRL_04 },
	{ "crl refusals", test_crls_that_are_not_as_announced_are_refused__CRL_01__CRL_07 },
	{ "teardown", test_wrap_up },
};
CU_MAIN(cases)
