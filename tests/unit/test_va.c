/* SPDX-License-Identifier: Apache-2.0
 *
 * The OCSP head between a fake ra and a fake ca. */
#include "crl/internal.h"

#include "tests/cu.h"
#include "tests/fake/ocsp_client.h"
#include "tests/fake/va_peers.h"

#include "base/clock.h"
#include "base/text.h"

#define NOON (INT64_C(1795521600) * US_PER_SECOND) /* 2026-11-24T12:00:00Z */
#define LIFETIME (8 * US_PER_HOUR)

enum { DEVICES_1 = 1, DEVICES_2, SERVERS_1, ROOT_1, AUTHORITIES };
static X509 *authority[AUTHORITIES + 1];
static const uint8_t serial_a[16] = { 0x4a, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
static const uint8_t serial_b[16] = { 0x4b, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
static const uint8_t nonce[129] = { 0xaa, 1, 2, 3, 4, 5, 6, 7 };

static int64_t now;
static struct va *va;
static struct caller *ra_caller, *ca_caller;
static struct peer ra, ca;

static int64_t test_now(void)
{
	return now;
}

__attribute__((constructor)) static void make_authorities(void)
{
	static const char *const name[] = { NULL, "devices", "devices", "servers", "root" };

	for (int i = 1; i < AUTHORITIES; i++)
		authority[i] = client_authority(name[i], 3650, NULL);
}

__attribute__((destructor)) static void free_authorities(void)
{
	for (int i = 1; i < AUTHORITIES; i++)
		X509_free(authority[i]);
}

/* --- What ra tells */

static void tell(uint16_t type, const struct buf *body)
{
	va_notice(va, &(struct frame){ .type = type, .body = span_of(body) });
}

static void tell_authority(uint32_t ref, bool responder, int64_t responder_end, bool unknown_revoked)
{
	static const char *const name[] = { "", "devices", "devices", "servers", "root" };
	struct status_authority a = { .ref = ref, .newest = ref != DEVICES_1, .has_responder = responder, .ocsp_lifetime = LIFETIME,
		                      .responder_not_after = responder_end, .unknown_revoked = unknown_revoked };
	unsigned char *der = NULL;
	AUTO_BUF body = { 0 };

	strcpy(a.gen.name, name[ref]);
	a.gen.gen = ref == DEVICES_2 ? 2 : 1;
	a.cert.n = (size_t)i2d_X509(authority[ref], &der);
	a.cert.p = der;
	status_authority_put(&body, &a);
	OPENSSL_free(der);
	tell(STATUS_AUTHORITY, &body);
}

static void put_entry(struct buf *b, uint32_t ref, const uint8_t serial[16], enum status_state state, enum crl_reason reason,
                      uint64_t seq)
{
	struct status_entry en = { .ref = ref, .serial = { .n = 16 }, .state = state, .reason = reason, .seq = seq,
		                   .revoked_at = state == STATUS_REVOKED ? NOON - US_PER_HOUR : 0, .not_after = NOON + US_PER_DAY };

	memcpy(en.serial.v, serial, 16);
	status_entry_put(b, &en);
}

/* seq 0: a page of the snapshot. */
static void tell_entry(uint32_t ref, const uint8_t serial[16], enum status_state state, enum crl_reason reason, uint64_t seq,
                       bool snapshot)
{
	AUTO_BUF body = { 0 };

	wr_u64(&body, snapshot ? 0 : seq);
	put_entry(&body, ref, serial, state, reason, seq);
	tell(STATUS_ENTRIES, &body);
}

static void tell_snapshot_end(uint64_t head)
{
	AUTO_BUF body = { 0 };

	wr_u64(&body, head);
	tell(STATUS_SNAPSHOT_END, &body);
}

static void tell_all(void)
{
	tell_authority(DEVICES_1, true, 0, true);
	tell_authority(DEVICES_2, true, 0, true);
	tell_authority(SERVERS_1, true, 0, false);
	tell_authority(ROOT_1, false, 0, true);
	tell_entry(DEVICES_1, serial_a, STATUS_GOOD, REASON_UNSPECIFIED, 5, true);
	tell_snapshot_end(10);
}

static void begin_empty(int64_t stale_limit)
{
	now = NOON + US_PER_SECOND / 2;
	ra = (struct peer){ .lock = PTHREAD_MUTEX_INITIALIZER, .head = 10 };
	ca = (struct peer){ .lock = PTHREAD_MUTEX_INITIALIZER };
	va = va_new(&(struct va_config){ .dir = "/nonexistent", .now = test_now, .stale_limit = stale_limit });
	ra_caller = caller_new("va", va_notice, va_up, va);
	ca_caller = caller_new("va", NULL, NULL, NULL);
	va_set_callers(va, ra_caller, ca_caller);
	CU_ASSERT_TRUE_FATAL(peer_start(&ra, ra_caller));
	CU_ASSERT_TRUE_FATAL(peer_start(&ca, ca_caller));
}

static void begin(void)
{
	begin_empty(0);
	tell_all();
}

static void end(void)
{
	if (!ra.stop)
		peer_stop(&ra, ra_caller);
	if (!ca.stop)
		peer_stop(&ca, ca_caller);
	caller_free(ra_caller);
	caller_free(ca_caller);
	va_free(va);
	buf_free(&ra.tell);
}

static void set_fails(struct peer *p, enum err_kind kind)
{
	pthread_mutex_lock(&p->lock);
	p->fails = kind;
	pthread_mutex_unlock(&p->lock);
}

/* --- What a client asks */

struct asked {
	struct response r;
	struct ca_ocsp o; /* when it is no error: what ca was asked to sign; views into r.body */
	int error;        /* OCSPResponseStatus, 0 a signed answer, -1 something else */
};

static void done(struct asked *a)
{
	buf_free(&a->r.body);
}

/* As web does it. */
static void http(struct asked *out, const char *method, const char *path, struct span body, const char *if_none_match)
{
	struct request in = { .method = method, .path = path, .query = "", .content_type = "application/ocsp-request",
		              .authorization = "", .user_agent = "", .if_none_match = if_none_match, .if_modified_since = "",
		              .body = body };
	struct ask ask = { 0 };

	*out = (struct asked){ .error = -1 };
	if (va_ocsp_head()->parse(va, &in, &ask, &out->r)) {
		bool more = true;

		while (more) {
			struct frame f = { .type = ask.type, .deadline = clock_mono() + ask.timeout, .body = span_of(&ask.body) };
			struct answer answer = { 0 };
			AUTO_BUF got = { 0 };

			answer.got = caller_call(ask.to, &f, &answer.type, &got, &answer.err);
			answer.body = span_of(&got);
			more = va_ocsp_head()->format(va, &in, &answer, &ask, &out->r);
		}
		free(ask.state);
		buf_free(&ask.body);
	}
	if (out->r.body.n == 5 && memcmp(out->r.body.p, "\x30\x03\x0a\x01", 4) == 0)
		out->error = out->r.body.p[4];
	else if (out->r.status == 200 && ca_ocsp_get(span_of(&out->r.body), &out->o, NULL))
		out->error = 0;
}

static void post(struct asked *out, const struct buf *der)
{
	http(out, "POST", "/ocsp", span_of(der), "");
}

static const char *header(const struct asked *a, const char *name)
{
	for (size_t i = 0; i < a->r.header_n; i++)
		if (strcmp(a->r.header[i].name, name) == 0)
			return a->r.header[i].value;
	return "";
}

/* Asks and looks at the one answer: state and reason. */
static void expect(int ref, const uint8_t serial[16], int nonce_n, int error, enum ocsp_state state, enum crl_reason reason)
{
	AUTO_BUF der = { 0 };
	struct asked a;

	client_request(&der, EVP_sha1(), authority[ref], serial, 16, nonce, nonce_n);
	post(&a, &der);
	CU_ASSERT_EQUAL(a.error, error);
	CU_ASSERT_EQUAL(a.r.status, 200);
	CU_ASSERT_STRING_EQUAL(a.r.content_type, "application/ocsp-response");
	if (error != 0 || nonce_n > 0)
		CU_ASSERT_STRING_EQUAL(header(&a, "Cache-Control"), "no-store");
	if (error == 0 && a.error == 0) {
		CU_ASSERT_EQUAL(a.o.n, 1);
		CU_ASSERT_EQUAL(a.o.single[0].state, state);
		if (state == OCSP_REVOKED)
			CU_ASSERT_EQUAL(a.o.single[0].reason, reason);
	}
	done(&a);
}

static void expect_error(int ref, const uint8_t serial[16], int nonce_n, int error)
{
	expect(ref, serial, nonce_n, error, OCSP_UNKNOWN, REASON_UNSPECIFIED);
}

static void expect_good(const uint8_t serial[16], int nonce_n)
{
	expect(DEVICES_1, serial, nonce_n, 0, OCSP_GOOD, REASON_UNSPECIFIED);
}

enum { NO_NONCE = -1 };

/* --- Refusals */

static void test_tries_later_until_caught_up__OCSP_14__OCSP_18(void)
{
	begin_empty(0);
	for (int i = 0; i < 1000 && ra.subscribed == 0; i++)
		usleep(1000);
	CU_ASSERT_EQUAL(ra.subscribed, 1);
	expect_error(DEVICES_1, serial_a, NO_NONCE, 3);
	tell_authority(DEVICES_1, true, 0, true);
	expect_error(DEVICES_1, serial_a, NO_NONCE, 3);
	expect_error(SERVERS_1, serial_a, 8, 3);
	tell_entry(DEVICES_1, serial_a, STATUS_GOOD, REASON_UNSPECIFIED, 5, true);
	expect_error(DEVICES_1, serial_a, NO_NONCE, 3);
	CU_ASSERT_FALSE(va_caught_up(va));
	CU_ASSERT_EQUAL(ca.asked + ra.asked, 0);
	tell_snapshot_end(5);
	CU_ASSERT_TRUE(va_caught_up(va));
	expect_good(serial_a, NO_NONCE);
	for (int i = 0; i < 1000 && ra.seen != 5; i++)
		usleep(1000);
	CU_ASSERT_EQUAL(ra.seen, 5);
	end();
}

static void test_malformed_is_told_so__OCSP_14__OCSP_18(void)
{
	static const char *const bad[] = { "", "0", "GET / HTTP/1.0", "\x30\x03\x0a\x01" };
	static const char *const paths[] = { "/ocsp", "/ocsp/", "/ocsp//", "/ocsp/%", "/ocsp/MFE*", "/ocsp/MFEw" };
	static const int nonces[] = { 0, 129 };
	AUTO_BUF der = { 0 };
	struct asked a;

	begin();
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		http(&a, "POST", "/ocsp", (struct span){ (const uint8_t *)bad[i], strlen(bad[i]) }, "");
		CU_ASSERT_EQUAL(a.error, 1);
		CU_ASSERT_STRING_EQUAL(header(&a, "Cache-Control"), "no-store");
		done(&a);
	}
	for (size_t i = 0; i < COUNT_OF(paths); i++) {
		http(&a, "GET", paths[i], (struct span){ NULL, 0 }, "");
		CU_ASSERT_TRUE(a.error == 1 && a.r.status == 200);
		done(&a);
	}
	for (size_t i = 0; i < COUNT_OF(nonces); i++)
		expect_error(DEVICES_1, serial_a, nonces[i], 1);
	client_request(&der, EVP_sha1(), authority[DEVICES_1], serial_a, 16, nonce, 8);
	buf_byte(&der, 0);
	post(&a, &der);
	CU_ASSERT_EQUAL(a.error, 1);
	done(&a);
	CU_ASSERT_EQUAL(ca.asked + ra.asked, 0);
	end();
}

static void test_other_methods__OCSP_01(void)
{
	static const char *const methods[] = { "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "get", "" };
	struct asked a;

	begin();
	for (size_t i = 0; i < COUNT_OF(methods); i++) {
		http(&a, methods[i], "/ocsp/MFEw", (struct span){ NULL, 0 }, "");
		CU_ASSERT_EQUAL(a.r.status, 405);
		CU_ASSERT_STRING_EQUAL(header(&a, "Allow"), "GET, POST");
		done(&a);
	}
	end();
}

static void test_foreign_issuers__OCSP_06__OCSP_18(void)
{
	X509 *foreign = client_authority("devices", 100, NULL), *mine = authority[DEVICES_1];
	AUTO_BUF der = { 0 };
	AUTO_BUF id = { 0 };
	uint8_t name_hash[20], key_hash[20];
	const ASN1_BIT_STRING *key;
	struct asked a;

	begin();
	authority[DEVICES_1] = foreign;
	expect_error(DEVICES_1, serial_a, NO_NONCE, 6);
	expect_error(DEVICES_1, serial_a, 8, 6);
	authority[DEVICES_1] = mine;
	/* No responder: the root's certificates stand on CRLs alone. */
	expect_error(ROOT_1, serial_a, NO_NONCE, 6);
	/* Our name with another's key, another's name with our key, and a hash that nobody is known by. */
	key = X509_get0_pubkey_bitstr(mine);
	digest_sha1(key_hash, key->data, (size_t)key->length);
	memset(name_hash, 7, sizeof name_hash);
	hand_cert_id(&id, OID_SHA1, (struct span){ NULL, 0 }, (struct span){ name_hash, 20 }, (struct span){ key_hash, 20 },
	             (struct span){ serial_a, 16 });
	hand_request(&der, (struct span){ NULL, 0 }, span_of(&id), 1, (struct span){ NULL, 0 }, (struct span){ NULL, 0 });
	post(&a, &der);
	CU_ASSERT_EQUAL(a.error, 6);
	done(&a);
	id.n = 0;
	hand_cert_id(&id, "2.16.840.1.101.3.4.2.4", (struct span){ NULL, 0 }, (struct span){ name_hash, 20 },
	             (struct span){ key_hash, 20 }, (struct span){ serial_a, 16 });
	hand_request(&der, (struct span){ NULL, 0 }, span_of(&id), 1, (struct span){ NULL, 0 }, (struct span){ NULL, 0 });
	post(&a, &der);
	CU_ASSERT_EQUAL(a.error, 6);
	CU_ASSERT_STRING_EQUAL(header(&a, "Cache-Control"), "no-store");
	done(&a);
	CU_ASSERT_EQUAL(ca.asked + ra.asked, 0);
	end();
	X509_free(foreign);
}

static void test_several_certificates__OCSP_13(void)
{
	AUTO(OCSP_REQUEST) *mixed = OCSP_REQUEST_new();
	AUTO(OCSP_REQUEST) *same = OCSP_REQUEST_new();
	AUTO_BUF der = { 0 };
	struct asked a;

	begin();
	client_add(mixed, EVP_sha1(), authority[DEVICES_1], serial_a, 16);
	client_add(mixed, EVP_sha1(), authority[DEVICES_2], serial_a, 16);
	client_der(&der, mixed);
	post(&a, &der);
	CU_ASSERT_EQUAL(a.error, 6);
	done(&a);

	tell_entry(DEVICES_1, serial_b, STATUS_REVOKED, REASON_SUPERSEDED, 11, false);
	/* The same generation by two hashes, in the order asked. */
	client_add(same, EVP_sha256(), authority[DEVICES_1], serial_b, 16);
	client_add(same, EVP_sha1(), authority[DEVICES_1], serial_a, 16);
	client_add(same, EVP_sha1(), authority[DEVICES_1], serial_b, 16);
	client_der(&der, same);
	for (unsigned i = 1; i <= 2; i++) {
		post(&a, &der);
		CU_ASSERT_EQUAL_FATAL(a.error, 0);
		CU_ASSERT_TRUE(a.o.n == 3 && a.o.single[0].state == OCSP_REVOKED && a.o.single[1].state == OCSP_GOOD &&
		               a.o.single[2].state == OCSP_REVOKED);
		CU_ASSERT_STRING_EQUAL(header(&a, "Cache-Control"), "no-store");
		CU_ASSERT_EQUAL(ca.asked, i);
		done(&a);
	}
	end();
}

static void test_signer_trouble__OCSP_14__OCSP_18(void)
{
	static const struct {
		enum err_kind kind;
		int error;
	} rows[] = { { ERR_HSM, 2 }, { ERR_INTERNAL, 2 }, { ERR_BAD_REQUEST, 2 }, { ERR_PIN, 2 }, { ERR_BUSY, 3 }, { ERR_TIMEOUT, 3 } };

	begin();
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		set_fails(&ca, rows[i].kind);
		expect_error(DEVICES_1, serial_a, NO_NONCE, rows[i].error);
		expect_error(DEVICES_1, serial_a, 8, rows[i].error);
	}
	peer_stop(&ca, ca_caller);
	expect_error(DEVICES_1, serial_a, NO_NONCE, 3);
	/* No failure was kept. */
	set_fails(&ca, ERR_NONE);
	CU_ASSERT_TRUE(peer_start(&ca, ca_caller));
	expect_good(serial_a, NO_NONCE);
	/* And what is ready needs no signer. */
	peer_stop(&ca, ca_caller);
	expect_good(serial_a, NO_NONCE);
	expect_error(DEVICES_1, serial_a, 8, 3);
	end();
}

/* --- Status */

static void test_never_issued_is_never_good__OCSP_07__CONF_05__CONF_06(void)
{
	AUTO_BUF der = { 0 };
	struct asked a;

	begin();
	client_request(&der, EVP_sha1(), authority[DEVICES_1], serial_b, 16, NULL, NO_NONCE);
	for (unsigned i = 1; i <= 2; i++) {
		post(&a, &der);
		CU_ASSERT_EQUAL_FATAL(a.error, 0);
		CU_ASSERT_TRUE(a.o.single[0].state == OCSP_REVOKED && a.o.single[0].reason == REASON_HOLD &&
		               a.o.single[0].revoked_at == 0 && a.o.extended_revoke);
		CU_ASSERT_STRING_EQUAL(header(&a, "Cache-Control"), "no-store");
		/* It may be issued next: nothing is kept. */
		CU_ASSERT_TRUE(ra.asked == i && ca.asked == i);
		done(&a);
	}
	/* The other way, by configuration. */
	client_request(&der, EVP_sha256(), authority[SERVERS_1], serial_b, 16, nonce, 16);
	post(&a, &der);
	CU_ASSERT_EQUAL_FATAL(a.error, 0);
	CU_ASSERT_TRUE(a.o.single[0].state == OCSP_UNKNOWN && !a.o.extended_revoke && a.o.nonce.n == 16);
	done(&a);
	/* The same serial under another generation is another certificate. */
	expect(DEVICES_2, serial_a, NO_NONCE, 0, OCSP_REVOKED, REASON_HOLD);
	/* An issued one carries no such extension. */
	client_request(&der, EVP_sha1(), authority[DEVICES_1], serial_a, 16, NULL, NO_NONCE);
	post(&a, &der);
	CU_ASSERT_TRUE(a.error == 0 && !a.o.extended_revoke && a.o.nonce.n == 0);
	done(&a);
	end();
}

static void test_impossible_serials__OCSP_07(void)
{
	static const char *const serials[] = { "00", "80", "ff00", "40ffffffffffffffffffffffffffffffffffffffff" };
	AUTO_BUF der = { 0 };
	uint8_t name_hash[20], key_hash[20], content[32];
	const ASN1_BIT_STRING *key = X509_get0_pubkey_bitstr(authority[DEVICES_1]);
	unsigned char *name = NULL;
	int name_n = i2d_X509_NAME(X509_get_subject_name(authority[DEVICES_1]), &name);
	size_t n;
	struct asked a;

	begin();
	digest_sha1(name_hash, name, (size_t)name_n);
	digest_sha1(key_hash, key->data, (size_t)key->length);
	OPENSSL_free(name);
	for (size_t i = 0; i < COUNT_OF(serials); i++) {
		AUTO_BUF id = { 0 };

		CU_ASSERT_TRUE_FATAL(hex_get(serials[i], content, sizeof content, &n));
		hand_cert_id(&id, OID_SHA1, (struct span){ NULL, 0 }, (struct span){ name_hash, 20 }, (struct span){ key_hash, 20 },
		             (struct span){ content, n });
		hand_request(&der, (struct span){ NULL, 0 }, span_of(&id), 1, (struct span){ NULL, 0 }, (struct span){ NULL, 0 });
		post(&a, &der);
		CU_ASSERT_TRUE(a.error == 0 && a.o.single[0].state == OCSP_REVOKED && a.o.extended_revoke);
		CU_ASSERT_TRUE(span_equal(a.o.single[0].cert_id, span_of(&id)));
		CU_ASSERT_EQUAL(ra.asked, 0);
		done(&a);
	}
	end();
}

/* Reserved is not issued; a moment later it is, and the answer knows it though nobody had told before. */
static void test_reserved_then_issued__OCSP_07__OCSP_08(void)
{
	begin();
	expect(DEVICES_1, serial_b, 8, 0, OCSP_REVOKED, REASON_HOLD);
	pthread_mutex_lock(&ra.lock);
	ra.head = 11;
	wr_u64(&ra.tell, 11);
	put_entry(&ra.tell, DEVICES_1, serial_b, STATUS_GOOD, REASON_UNSPECIFIED, 11);
	pthread_mutex_unlock(&ra.lock);
	expect_good(serial_b, NO_NONCE);
	expect_good(serial_b, NO_NONCE);
	CU_ASSERT_TRUE(ra.asked == 2 && ca.asked == 2);
	end();
}

static void test_not_in_step_is_not_never_issued__OCSP_07(void)
{
	begin();
	/* ra has committed more than it has told. */
	pthread_mutex_lock(&ra.lock);
	ra.head = 11;
	pthread_mutex_unlock(&ra.lock);
	expect_error(DEVICES_1, serial_b, NO_NONCE, 3);
	expect_error(DEVICES_1, serial_b, 8, 3);
	set_fails(&ra, ERR_BUSY);
	expect_error(DEVICES_1, serial_b, 8, 3);
	peer_stop(&ra, ra_caller);
	expect_error(DEVICES_1, serial_b, 8, 3);
	CU_ASSERT_EQUAL(ca.asked, 0);
	/* What is known is known. */
	expect_good(serial_a, 8);
	end();
}

static void test_revocation_hold_and_release_at_once__OCSP_09__OCSP_19(void)
{
	AUTO_BUF der = { 0 };
	struct asked a;

	begin();
	expect_good(serial_a, NO_NONCE);
	expect_good(serial_a, NO_NONCE);
	CU_ASSERT_EQUAL(ca.asked, 1);
	tell_entry(DEVICES_1, serial_a, STATUS_REVOKED, REASON_HOLD, 11, false);
	expect(DEVICES_1, serial_a, NO_NONCE, 0, OCSP_REVOKED, REASON_HOLD);
	expect(DEVICES_1, serial_a, 8, 0, OCSP_REVOKED, REASON_HOLD);
	tell_entry(DEVICES_1, serial_a, STATUS_GOOD, REASON_UNSPECIFIED, 12, false);
	expect_good(serial_a, NO_NONCE);
	expect_good(serial_a, 8);
	tell_entry(DEVICES_1, serial_a, STATUS_REVOKED, REASON_KEY_COMPROMISE, 13, false);
	client_request(&der, EVP_sha1(), authority[DEVICES_1], serial_a, 16, NULL, NO_NONCE);
	post(&a, &der);
	CU_ASSERT_TRUE(a.error == 0 && a.o.single[0].state == OCSP_REVOKED && a.o.single[0].reason == REASON_KEY_COMPROMISE &&
	               a.o.single[0].revoked_at == NOON - US_PER_HOUR && !a.o.extended_revoke);
	done(&a);
	for (int i = 0; i < 1000 && ra.seen != 13; i++)
		usleep(1000);
	CU_ASSERT_EQUAL(ra.seen, 13);
	end();
}

static void revoke_a(void *arg)
{
	(void)arg;
	tell_entry(DEVICES_1, serial_a, STATUS_REVOKED, REASON_KEY_COMPROMISE, 11, false);
}

/* The answer that is being signed when the revocation comes may still say good; the next one may not. */
static void test_revocation_during_a_signature__OCSP_19(void)
{
	begin();
	pthread_mutex_lock(&ca.lock);
	ca.before = revoke_a;
	pthread_mutex_unlock(&ca.lock);
	expect_good(serial_a, NO_NONCE);
	expect(DEVICES_1, serial_a, NO_NONCE, 0, OCSP_REVOKED, REASON_KEY_COMPROMISE);
	CU_ASSERT_EQUAL(ca.asked, 2);
	end();
}

/* A busy feed about others must not empty the cache. */
static void test_others_changes_leave_ready_answers(void)
{
	uint8_t other[16] = { 0x55 };

	begin();
	for (unsigned i = 0; i < 40000; i++) {
		other[1] = (uint8_t)(i >> 8);
		other[2] = (uint8_t)i;
		tell_entry(DEVICES_1, other, STATUS_GOOD, REASON_UNSPECIFIED, 20 + i, false);
	}
	for (int i = 0; i < 5; i++)
		expect_good(serial_a, NO_NONCE);
	CU_ASSERT_EQUAL(ca.asked, 1);
	end();
}

static void test_snapshot_and_tail_in_any_order__OCSP_19(void)
{
	begin_empty(0);
	tell_authority(DEVICES_1, true, 0, true);
	/* The tail overtakes the snapshot's page, and a page comes twice. */
	tell_entry(DEVICES_1, serial_a, STATUS_REVOKED, REASON_SUPERSEDED, 9, false);
	tell_entry(DEVICES_1, serial_a, STATUS_GOOD, REASON_UNSPECIFIED, 5, true);
	tell_entry(DEVICES_1, serial_b, STATUS_GOOD, REASON_UNSPECIFIED, 6, true);
	tell_snapshot_end(7);
	expect(DEVICES_1, serial_a, NO_NONCE, 0, OCSP_REVOKED, REASON_SUPERSEDED);
	expect_good(serial_b, NO_NONCE);
	/* ra comes back from an older backup: nothing that was revoked is good again. */
	tell_entry(DEVICES_1, serial_a, STATUS_GOOD, REASON_UNSPECIFIED, 5, true);
	tell_snapshot_end(6);
	expect(DEVICES_1, serial_a, 8, 0, OCSP_REVOKED, REASON_SUPERSEDED);
	/* Malformed pages change nothing. */
	va_notice(va, &(struct frame){ .type = STATUS_ENTRIES, .body = { (const uint8_t *)"\0\0\0", 3 } });
	va_notice(va, &(struct frame){ .type = STATUS_SNAPSHOT_END, .body = { (const uint8_t *)"\0", 1 } });
	va_notice(va, &(struct frame){ .type = STATUS_AUTHORITY, .body = { (const uint8_t *)"\0", 1 } });
	va_notice(va, &(struct frame){ .type = STATUS_CRL, .body = { (const uint8_t *)"\0", 1 } });
	va_notice(va, &(struct frame){ .type = STATUS_OP_COUNT });
	expect(DEVICES_1, serial_a, 8, 0, OCSP_REVOKED, REASON_SUPERSEDED);
	expect_good(serial_b, 8);
	end();
}

static void test_expired_certificates_keep_their_status__OCSP_08(void)
{
	begin();
	tell_entry(DEVICES_1, serial_b, STATUS_REVOKED, REASON_CESSATION, 11, false);
	now += 400 * US_PER_DAY;
	expect_good(serial_a, NO_NONCE);
	expect(DEVICES_1, serial_b, NO_NONCE, 0, OCSP_REVOKED, REASON_CESSATION);
	end();
}

/* --- Answers */

static void test_nonces_are_echoed_live__OCSP_11__OCSP_12__OCSP_22__QRK_08__QRK_10(void)
{
	static const int lengths[] = { 1, 8, 15, 16, 32, 33, 128 };
	AUTO_BUF der = { 0 };
	struct asked a;

	begin();
	expect_good(serial_a, NO_NONCE);
	for (unsigned i = 0; i < COUNT_OF(lengths); i++) {
		client_request(&der, EVP_sha1(), authority[DEVICES_1], serial_a, 16, nonce, lengths[i]);
		post(&a, &der);
		CU_ASSERT_TRUE(a.error == 0 && a.o.single[0].state == OCSP_GOOD);
		CU_ASSERT_TRUE(span_equal(a.o.nonce, (struct span){ nonce, (size_t)lengths[i] }));
		CU_ASSERT_STRING_EQUAL(header(&a, "Cache-Control"), "no-store");
		CU_ASSERT_EQUAL(ca.asked, i + 2);
		CU_ASSERT_TRUE(a.o.produced_at == NOON && a.o.this_update <= NOON && a.o.this_update >= NOON - 5 * US_PER_MINUTE);
		done(&a);
	}
	end();
}

static void test_cert_id_is_echoed_as_asked__OCSP_05(void)
{
	static const char *const oid[] = { OID_SHA1, OID_SHA256, OID_SHA384, OID_SHA512 };
	const EVP_MD *const md[] = { EVP_sha1(), EVP_sha256(), EVP_sha384(), EVP_sha512() };
	const ASN1_BIT_STRING *key = X509_get0_pubkey_bitstr(authority[DEVICES_1]);
	unsigned char *name = NULL;
	int name_n = i2d_X509_NAME(X509_get_subject_name(authority[DEVICES_1]), &name);
	struct asked a;

	begin();
	for (unsigned i = 0; i < 4; i++) {
		uint8_t name_hash[64], key_hash[64];
		unsigned n = 0;

		EVP_Digest(name, (size_t)name_n, name_hash, &n, md[i], NULL);
		EVP_Digest(key->data, (size_t)key->length, key_hash, &n, md[i], NULL);
		/* Without and with NULL, twice each: a ready answer is found by the CertID as it was asked. */
		for (unsigned k = 0; k < 4; k++) {
			AUTO_BUF id = { 0 };
			AUTO_BUF der = { 0 };
			struct span null = { (const uint8_t *)"\x05\x00", k % 2 * 2 };

			hand_cert_id(&id, oid[i], null, (struct span){ name_hash, n }, (struct span){ key_hash, n },
			             (struct span){ serial_a, 16 });
			hand_request(&der, (struct span){ NULL, 0 }, span_of(&id), 1, (struct span){ NULL, 0 }, (struct span){ NULL, 0 });
			post(&a, &der);
			CU_ASSERT_TRUE(a.error == 0 && a.o.single[0].state == OCSP_GOOD &&
			               span_equal(a.o.single[0].cert_id, span_of(&id)));
			done(&a);
		}
		CU_ASSERT_EQUAL(va->asked[i], 4);
	}
	CU_ASSERT_EQUAL(ca.asked, 8);
	/* One revocation reaches all of them. */
	tell_entry(DEVICES_1, serial_a, STATUS_REVOKED, REASON_SUPERSEDED, 11, false);
	expect(DEVICES_1, serial_a, NO_NONCE, 0, OCSP_REVOKED, REASON_SUPERSEDED);
	OPENSSL_free(name);
	end();
}

static void test_headers_of_a_ready_answer__OCSP_17__CONF_07(void)
{
	AUTO_BUF der = { 0 };
	AUTO_BUF path = { 0 };
	struct asked a, b;
	char date[32], etag[68] = "\"";
	uint8_t hash[32];
	long long age = 0;

	begin();
	client_request(&der, EVP_sha1(), authority[DEVICES_1], serial_a, 16, NULL, NO_NONCE);
	post(&a, &der);
	CU_ASSERT_EQUAL_FATAL(a.error, 0);
	CU_ASSERT_EQUAL(a.o.produced_at, a.o.this_update);
	CU_ASSERT_EQUAL(a.o.this_update % US_PER_SECOND, 0);
	clock_http(a.o.this_update, date, sizeof date);
	CU_ASSERT_STRING_EQUAL(header(&a, "Last-Modified"), date);
	clock_http(a.o.next_update, date, sizeof date);
	CU_ASSERT_STRING_EQUAL(header(&a, "Expires"), date);
	digest_sha256(hash, a.r.body.p, a.r.body.n);
	hex_put(etag + 1, hash, 32);
	strcat(etag, "\"");
	CU_ASSERT_STRING_EQUAL(header(&a, "ETag"), etag);
	CU_ASSERT_EQUAL(sscanf(header(&a, "Cache-Control"), "max-age=%lld, public, no-transform, must-revalidate", &age), 1);
	CU_ASSERT_TRUE(age > 0 && age < (a.o.next_update - now) / US_PER_SECOND);
	CU_ASSERT_PTR_NOT_NULL(strstr(header(&a, "Cache-Control"), "must-revalidate"));
	CU_ASSERT_STRING_EQUAL(header(&a, "Pragma"), "");

	/* By GET the same octets; and none to who has them. */
	buf_text(&path, "/ocsp/");
	b64_put(&path, der.p, der.n, B64_ONE_LINE);
	http(&b, "GET", buf_str(&path), (struct span){ NULL, 0 }, "");
	CU_ASSERT_TRUE(b.r.status == 200 && span_equal(span_of(&a.r.body), span_of(&b.r.body)));
	done(&b);
	http(&b, "GET", buf_str(&path), (struct span){ NULL, 0 }, etag);
	CU_ASSERT_TRUE(b.r.status == 304 && b.r.body.n == 0);
	CU_ASSERT_STRING_EQUAL(header(&b, "ETag"), etag);
	CU_ASSERT_PTR_NOT_NULL(strstr(header(&b, "Cache-Control"), "max-age="));
	done(&b);
	http(&b, "GET", buf_str(&path), (struct span){ NULL, 0 }, "\"0000\"");
	CU_ASSERT_EQUAL(b.r.status, 200);
	done(&b);
	http(&b, "POST", "/ocsp", span_of(&der), etag);
	CU_ASSERT_EQUAL(b.r.status, 200);
	done(&b);
	CU_ASSERT_EQUAL(ca.asked, 1);
	done(&a);
	end();
}

static void test_times_and_refresh_at_half__OCSP_10(void)
{
	AUTO_BUF der = { 0 };
	struct asked a;

	begin();
	client_request(&der, EVP_sha1(), authority[DEVICES_1], serial_a, 16, NULL, NO_NONCE);
	post(&a, &der);
	CU_ASSERT_TRUE(a.error == 0 && a.o.this_update < now && a.o.this_update >= now - 5 * US_PER_MINUTE);
	CU_ASSERT_EQUAL(a.o.next_update, a.o.this_update + LIFETIME);
	now = a.o.this_update + LIFETIME / 2 - 1;
	done(&a);
	expect_good(serial_a, NO_NONCE);
	CU_ASSERT_EQUAL(ca.asked, 1);
	now += 1;
	post(&a, &der);
	CU_ASSERT_EQUAL(ca.asked, 2);
	CU_ASSERT_TRUE(a.error == 0 && a.o.this_update > NOON + LIFETIME / 3);
	done(&a);
	end();
}

static void test_no_answer_outlives_its_signer__OCSP_16(void)
{
	AUTO_BUF der = { 0 };
	struct asked a;

	begin();
	tell_authority(DEVICES_1, true, NOON + US_PER_HOUR, true);
	client_request(&der, EVP_sha1(), authority[DEVICES_1], serial_a, 16, NULL, NO_NONCE);
	post(&a, &der);
	CU_ASSERT_TRUE(a.error == 0 && a.o.next_update == NOON + US_PER_HOUR);
	done(&a);
	/* Run out: nobody would believe it. */
	now = NOON + 2 * US_PER_HOUR;
	expect_error(DEVICES_1, serial_a, NO_NONCE, 2);
	expect_error(DEVICES_1, serial_a, 8, 2);
	expect_error(DEVICES_1, serial_b, 8, 2);
	/* Renewed: it goes on at once. */
	tell_authority(DEVICES_1, true, NOON + 30 * US_PER_DAY, true);
	expect_good(serial_a, NO_NONCE);
	/* Nor the authority itself. */
	now = NOON + 3700 * US_PER_DAY;
	expect_error(DEVICES_1, serial_a, 8, 2);
	end();
}

static void test_without_ra_for_too_long__OCSP_14(void)
{
	begin_empty(200 * 1000);
	tell_all();
	expect_good(serial_a, NO_NONCE);
	peer_stop(&ra, ra_caller);
	expect_good(serial_a, 8);
	usleep(250 * 1000);
	/* What lies ready is used up to its time; nothing new is signed. */
	expect_good(serial_a, NO_NONCE);
	expect_error(DEVICES_1, serial_a, 8, 3);
	now += LIFETIME / 2;
	expect_error(DEVICES_1, serial_a, NO_NONCE, 3);
	/* Back, but not yet in step. */
	CU_ASSERT_TRUE(peer_start(&ra, ra_caller));
	expect_error(DEVICES_1, serial_a, 8, 3);
	tell_entry(DEVICES_1, serial_a, STATUS_REVOKED, REASON_SUPERSEDED, 12, true);
	tell_snapshot_end(12);
	expect(DEVICES_1, serial_a, 8, 0, OCSP_REVOKED, REASON_SUPERSEDED);
	CU_ASSERT_EQUAL(ra.subscribed, 2);
	end();
}

static const struct cu_case cases[] = {
	{ "tries_later_until_caught_up__OCSP_14__OCSP_18", test_tries_later_until_caught_up__OCSP_14__OCSP_18 },
	{ "malformed_is_told_so__OCSP_14__OCSP_18", test_malformed_is_told_so__OCSP_14__OCSP_18 },
	{ "other_methods__OCSP_01", test_other_methods__OCSP_01 },
	{ "foreign_issuers__OCSP_06__OCSP_18", test_foreign_issuers__OCSP_06__OCSP_18 },
	{ "several_certificates__OCSP_13", test_several_certificates__OCSP_13 },
	{ "signer_trouble__OCSP_14__OCSP_18", test_signer_trouble__OCSP_14__OCSP_18 },
	{ "never_issued_is_never_good__OCSP_07__CONF_05__CONF_06", test_never_issued_is_never_good__OCSP_07__CONF_05__CONF_06 },
	{ "impossible_serials__OCSP_07", test_impossible_serials__OCSP_07 },
	{ "reserved_then_issued__OCSP_07__OCSP_08", test_reserved_then_issued__OCSP_07__OCSP_08 },
	{ "not_in_step_is_not_never_issued__OCSP_07", test_not_in_step_is_not_never_issued__OCSP_07 },
	{ "revocation_hold_and_release_at_once__OCSP_09__OCSP_19", test_revocation_hold_and_release_at_once__OCSP_09__OCSP_19 },
	{ "revocation_during_a_signature__OCSP_19", test_revocation_during_a_signature__OCSP_19 },
	{ "others_changes_leave_ready_answers", test_others_changes_leave_ready_answers },
	{ "snapshot_and_tail_in_any_order__OCSP_19", test_snapshot_and_tail_in_any_order__OCSP_19 },
	{ "expired_certificates_keep_their_status__OCSP_08", test_expired_certificates_keep_their_status__OCSP_08 },
	{ "nonces_are_echoed_live__OCSP_11__OCSP_12", test_nonces_are_echoed_live__OCSP_11__OCSP_12__OCSP_22__QRK_08__QRK_10 },
	{ "cert_id_is_echoed_as_asked__OCSP_05", test_cert_id_is_echoed_as_asked__OCSP_05 },
	{ "headers_of_a_ready_answer__OCSP_17__CONF_07", test_headers_of_a_ready_answer__OCSP_17__CONF_07 },
	{ "times_and_refresh_at_half__OCSP_10", test_times_and_refresh_at_half__OCSP_10 },
	{ "no_answer_outlives_its_signer__OCSP_16", test_no_answer_outlives_its_signer__OCSP_16 },
	{ "without_ra_for_too_long__OCSP_14", test_without_ra_for_too_long__OCSP_14 },
};
CU_MAIN(cases)
