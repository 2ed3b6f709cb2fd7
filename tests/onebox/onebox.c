/* SPDX-License-Identifier: Apache-2.0
 *
 * ra and ca in one process by direct calls, a clock of our own: for debuggers and ThreadSanitizer, and for what is hard to
 * reach from outside. Never installed. */
#include "tests/cu.h"

#include "base/clock.h"
#include "base/rnd.h"
#include "ca/ca.h"
#include "crl/status.h"
#include "hsm/hsm.h"
#include "ra/ra.h"
#include "store/store.h"

#include <openssl/x509.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

AUTO_DEFINE(X509_REQ, X509_REQ_free)

struct message {
	struct message *next;
	enum ra_port port;
	struct frame f;
	struct buf body;
};

struct box {
	char dir[64];
	struct config config;
	struct hsm *hsm;
	struct ca *ca;
	struct store *store;
	struct ra *ra;
	bool ca_answers;          /* false: ca's answers are lost, as when it dies */
	bool hold;                /* ca's answers wait on their way */
	unsigned issues;          /* CA_ISSUE that ca was given */
	int64_t now;              /* of our own */
	int64_t mono;             /* of the machine: ca asks it, too */
	pthread_mutex_t lock;     /* ca's workers answer on their own threads */
	struct message *from_ca, *out;
};

static struct box b;

static void push(struct message **list, enum ra_port port, const struct frame *f)
{
	struct message *m = mem_new(sizeof *m);

	m->port = port;
	m->f = *f;
	buf_add(&m->body, f->body.p, f->body.n);
	m->f.body = span_of(&m->body);
	while (*list != NULL)
		list = &(*list)->next;
	*list = m;
}

static struct message *pop(struct message **list)
{
	struct message *m;

	pthread_mutex_lock(&b.lock);
	m = *list;
	if (m != NULL)
		*list = m->next;
	pthread_mutex_unlock(&b.lock);
	return m;
}

static void message_free(struct message *m)
{
	buf_free(&m->body);
	free(m);
}

static void on_ca(void *arg, enum ca_port port, const struct frame *f)
{
	(void)arg;
	if (port != CA_PORT_RA)
		return;
	pthread_mutex_lock(&b.lock);
	if (b.ca_answers)
		push(&b.from_ca, RA_PORT_CA, f);
	pthread_mutex_unlock(&b.lock);
}

static bool on_ra(void *arg, enum ra_port port, const struct frame *f)
{
	(void)arg;
	if (port == RA_PORT_CA) {
		b.issues += f->type == CA_ISSUE;
		ca_feed(b.ca, CA_PORT_RA, f);
		return true;
	}
	pthread_mutex_lock(&b.lock);
	push(&b.out, port, f);
	pthread_mutex_unlock(&b.lock);
	return true;
}

static int64_t the_time(void)
{
	return b.now;
}

static bool pin(void *arg, char *out, size_t cap, struct err *e)
{
	(void)arg;
	(void)cap;
	(void)e;
	strcpy(out, "12345678");
	return true;
}

/* One turn, a millisecond later. */
static void turn(void)
{
	struct message *m;

	while (!b.hold && (m = pop(&b.from_ca)) != NULL) {
		ra_feed(b.ra, RA_PORT_CA, &m->f, b.mono);
		message_free(m);
	}
	b.mono = clock_mono();
	(void)ra_turn(b.ra, b.now, b.mono);
	usleep(500);
}

/* The answer to a request on a port; turns until it is there. */
static struct message *reply(enum ra_port port, uint64_t id)
{
	for (int i = 0; i < 8000; i++) {
		struct message *m;

		turn();
		while ((m = pop(&b.out)) != NULL) {
			if (m->port == port && m->f.id == id)
				return m;
			message_free(m);
		}
	}
	CU_FAIL_FATAL("no answer");
	return NULL;
}

static void write_instance(void)
{
	static const char *const folders[] = { "run", "ca", "token", "trust", "crl", "profiles", "tls" };
	const char *set[] = { "listen.enroll=127.0.0.1:1", "listen.va=127.0.0.1:2" };
	AUTO_BUF text = { 0 };
	AUTO_BUF mistakes = { 0 };
	char path[256];
	struct err e;

	strcpy(b.dir, "/tmp/cad-onebox-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(b.dir));
	for (size_t i = 0; i < COUNT_OF(folders); i++) {
		snprintf(path, sizeof path, "%s/%s", b.dir, folders[i]);
		mkdir(path, 0700);
	}
	CU_ASSERT_TRUE_FATAL(config_write(&text, set, 2, &mistakes));
	snprintf(path, sizeof path, "%s/caduceus.yaml", b.dir);
	CU_ASSERT_TRUE_FATAL(file_write_atomic(path, text.p, text.n, 0600, &e));
	for (size_t i = 0; profile_shipped_name(i) != NULL; i++) {
		snprintf(path, sizeof path, "%s/profiles/%s.yaml", b.dir, profile_shipped_name(i));
		CU_ASSERT_TRUE_FATAL(file_write_atomic(path, profile_shipped_text(i), strlen(profile_shipped_text(i)), 0600, &e));
	}
	CU_ASSERT_TRUE_FATAL(config_load(&b.config, b.dir, &mistakes));
}

static void setup(void)
{
	struct hsm_config hc = { .module = "embedded", .token = "t", .dir = b.dir, .sessions = 4, .pin = pin };
	char uri[128];
	struct err e = { 0 };

	pthread_mutex_init(&b.lock, NULL);
	b.now = clock_now();
	b.mono = clock_mono();
	b.ca_answers = true;
	write_instance();
	snprintf(uri, sizeof uri, "sqlite:%s/t.db", b.dir);
	CU_ASSERT_TRUE_FATAL(hsm_embedded_create(b.dir, "t", "12345678", &e) && hsm_open(&b.hsm, &hc, &e));
	CU_ASSERT_TRUE_FATAL(ca_open(&b.ca, &(struct ca_config){ .dir = b.dir, .provision = true, .hsm = b.hsm, .reply = on_ca,
	                                                        .now = the_time }, &e));
	CU_ASSERT_TRUE_FATAL(store_open(&b.store, uri, true, &e));
	CU_ASSERT_TRUE_FATAL(ra_open(&b.ra, &(struct ra_config){ .config = &b.config, .dir = b.dir, .store = b.store,
	                                                        .provision = true, .rnd = rnd_kernel, .send = on_ra }, b.now, b.mono, &e));
	ra_peer(b.ra, RA_PORT_CA, true, b.now, b.mono);
	ra_peer(b.ra, RA_PORT_ENROLL, true, b.now, b.mono);
	ra_peer(b.ra, RA_PORT_OFFICER, true, b.now, b.mono);
	for (int i = 0; i < 5000 && !ra_provisioned(b.ra); i++)
		turn();
	CU_ASSERT_TRUE_FATAL(ra_provisioned(b.ra));
}

static void teardown(void)
{
	char command[128];
	struct message *m;

	for (int i = 0; i < 200 && ra_busy(b.ra); i++)
		turn();
	ca_close(b.ca);
	ra_close(b.ra);
	while ((m = pop(&b.out)) != NULL || (m = pop(&b.from_ca)) != NULL)
		message_free(m);
	store_close(b.store);
	hsm_close(b.hsm);
	snprintf(command, sizeof command, "rm -rf %s", b.dir);
	(void)!system(command);
}

/* --- Requests */

static struct message *officer(uint64_t id, const char *verb, const struct buf *args)
{
	struct ra_officer q = { .uid = 0, .arguments = span_of(args) };
	AUTO_BUF body = { 0 };

	strcpy(q.verb, verb);
	strcpy(q.actor, "root");
	strcpy(q.source.address, "local");
	ra_officer_put(&body, &q);
	ra_feed(b.ra, RA_PORT_OFFICER, &(struct frame){ .type = RA_OFFICER, .id = id, .body = span_of(&body) }, b.mono);
	return reply(RA_PORT_OFFICER, id);
}

static void register_device(const char *name, int64_t uses, char password[64])
{
	AUTO_BUF args = { 0 };
	struct ra_rows *rows = mem_new(sizeof *rows);
	struct message *m;
	struct rd r;
	struct err e;

	record_text(&args, "name", name);
	record_int(&args, "uses", uses);
	m = officer(7, "device.add", &args);
	CU_ASSERT_EQUAL_FATAL(m->f.type, RA_OK);
	CU_ASSERT_TRUE_FATAL(ra_rows_get(m->f.body, rows, &e));
	r = rd_of(rows->rows.p, rows->rows.n);
	CU_ASSERT_TRUE(record_get_text(rd_span(&r, 65536), "password", password, 64));
	message_free(m);
	free(rows);
}

static void make_csr(struct buf *der)
{
	AUTO(EVP_PKEY) *key = EVP_EC_gen("P-256");
	AUTO(X509_REQ) *req = X509_REQ_new();
	uint8_t *p;

	X509_REQ_set_version(req, 0);
	X509_REQ_set_pubkey(req, key);
	X509_REQ_sign(req, key, EVP_sha256());
	buf_reserve(der, (size_t)i2d_X509_REQ(req, NULL));
	p = der->p;
	der->n = (size_t)i2d_X509_REQ(req, &p);
}

static void ask_enroll(uint64_t id, const char *name, const char *password, const struct buf *csr, int64_t deadline)
{
	struct ra_enroll *q = mem_new(sizeof *q);
	AUTO_BUF body = { 0 };

	q->op = RA_SIMPLE_ENROLL;
	strcpy(q->user, name);
	strcpy(q->password, password);
	strcpy(q->source.address, "192.0.2.1");
	q->csr = span_of(csr);
	ra_enroll_put(&body, q);
	ra_feed(b.ra, RA_PORT_ENROLL, &(struct frame){ .type = RA_ENROLL, .id = id, .deadline = deadline, .body = span_of(&body) }, b.mono);
	free(q);
}

static enum err_kind kind_of(const struct message *m)
{
	struct err e = { 0 };

	if (m->f.type == RA_OK)
		return ERR_NONE;
	CU_ASSERT_TRUE(failure_get(m->f.body, &e));
	return e.kind;
}

static enum err_kind enroll(uint64_t id, const char *name, const char *password, const struct buf *csr, struct buf *cert)
{
	struct ra_enrolled a;
	struct message *m;
	enum err_kind kind;
	struct err e;

	ask_enroll(id, name, password, csr, 0);
	m = reply(RA_PORT_ENROLL, id);
	kind = kind_of(m);
	if (kind == ERR_NONE && cert != NULL && ra_enrolled_get(m->f.body, &a, &e))
		buf_add(cert, a.cert.p, a.cert.n);
	message_free(m);
	return kind;
}

static void test_many_at_once_in_few_transactions(void)
{
	char password[64];
	unsigned good = 0;

	register_device("many", 1000, password);
	for (uint64_t id = 1000; id < 1100; id++) {
		AUTO_BUF csr = { 0 };

		make_csr(&csr);
		ask_enroll(id, "many", password, &csr, 0);
	}
	for (int i = 0; i < 8000 && good < 100; i++) {
		struct message *m;

		turn();
		while ((m = pop(&b.out)) != NULL) {
			good += m->port == RA_PORT_ENROLL && m->f.id >= 1000 && m->f.type == RA_OK;
			message_free(m);
		}
	}
	CU_ASSERT_EQUAL(good, 100);
}

static void test_one_use_is_one_use_even_at_once__EST_30(void)
{
	char password[64];
	unsigned good = 0, answered = 0;

	register_device("race", 1, password);
	for (uint64_t id = 2000; id < 2010; id++) {
		AUTO_BUF csr = { 0 };

		make_csr(&csr);
		ask_enroll(id, "race", password, &csr, 0);
	}
	for (int i = 0; i < 8000 && answered < 10; i++) {
		struct message *m;

		turn();
		while ((m = pop(&b.out)) != NULL) {
			answered += m->port == RA_PORT_ENROLL && m->f.id >= 2000;
			good += m->port == RA_PORT_ENROLL && m->f.id >= 2000 && m->f.type == RA_OK;
			message_free(m);
		}
	}
	CU_ASSERT_EQUAL(answered, 10);
	CU_ASSERT_EQUAL(good, 1);
}

static void test_past_its_deadline_nothing_happens(void)
{
	AUTO_BUF csr = { 0 };
	char password[64];
	struct message *m;

	register_device("late", 1, password);
	make_csr(&csr);
	ask_enroll(3000, "late", password, &csr, b.mono - 1);
	m = reply(RA_PORT_ENROLL, 3000);
	CU_ASSERT_EQUAL(kind_of(m), ERR_TIMEOUT);
	message_free(m);
	/* The password has not been used. */
	CU_ASSERT_EQUAL(enroll(3001, "late", password, &csr, NULL), ERR_NONE);
}

static void test_a_dead_ca_costs_a_new_serial_and_nothing_else__X509_46(void)
{
	AUTO_BUF csr = { 0 };
	AUTO_BUF cert = { 0 };
	char password[64];
	struct message *m;

	register_device("dead", 1, password);
	make_csr(&csr);
	/* It signs, and its answer is lost; then it is back. */
	b.ca_answers = false;
	ask_enroll(4000, "dead", password, &csr, 0);
	for (int i = 0; i < 50; i++)
		turn();
	ra_peer(b.ra, RA_PORT_CA, false, b.now, b.mono);
	turn();
	b.ca_answers = true;
	ra_peer(b.ra, RA_PORT_CA, true, b.now, b.mono);
	m = reply(RA_PORT_ENROLL, 4000);
	CU_ASSERT_EQUAL(kind_of(m), ERR_NONE);
	message_free(m);
	/* The same request again: the same certificate, though the password is used up. */
	CU_ASSERT_EQUAL(enroll(4001, "dead", password, &csr, &cert), ERR_NONE);
	CU_ASSERT_TRUE(cert.n != 0);
}

/* What an earlier ca said of its setup is no word of the next one's: nothing is asked of a ca that does not know its
 * profiles yet. */
static void test_a_ca_lost_in_its_setup(void)
{
	AUTO_BUF csr = { 0 };
	char password[64];
	unsigned before;

	register_device("lost", 1, password);
	make_csr(&csr);
	b.hold = true;
	ra_peer(b.ra, RA_PORT_CA, false, b.now, b.mono);
	ra_peer(b.ra, RA_PORT_CA, true, b.now, b.mono);
	for (int i = 0; i < 20; i++)
		turn();
	/* It has answered, and dies: its answers and the news of its end come in one turn. */
	b.hold = false;
	ra_peer(b.ra, RA_PORT_CA, false, b.now, b.mono);
	before = b.issues;
	for (int i = 0; i < 20; i++)
		turn();
	CU_ASSERT_EQUAL(enroll(4500, "lost", password, &csr, NULL), ERR_BUSY);
	CU_ASSERT_EQUAL(b.issues, before);
	ra_peer(b.ra, RA_PORT_CA, true, b.now, b.mono);
	for (int i = 0; i < 200 && !ra_settled(b.ra); i++)
		turn();
	CU_ASSERT_TRUE(ra_settled(b.ra));
	CU_ASSERT_EQUAL(enroll(4501, "lost", password, &csr, NULL), ERR_NONE);
}

/* However many devices ask at once, an officer is heard: a revocation can't wait. */
static void test_officers_are_heard_above_the_crowd__OPS_17(void)
{
	AUTO_BUF none = { 0 };
	struct message *m;
	unsigned busy = 0;

	for (uint64_t id = 8000; id < 9500; id++)
		ask_enroll(id, "nobody", "nothing", &none, 0);
	while ((m = pop(&b.out)) != NULL) {
		busy += m->port == RA_PORT_ENROLL && kind_of(m) == ERR_BUSY;
		message_free(m);
	}
	CU_ASSERT_TRUE(busy > 400);
	m = officer(9600, "device.list", &none);
	CU_ASSERT_EQUAL(m->f.type, RA_OK);
	message_free(m);
}

/* An officer's act in the moment between signature and record: no certificate outlives it. */
static void test_disabled_while_it_is_signed__AUD_04(void)
{
	AUTO_BUF csr = { 0 };
	AUTO_BUF args = { 0 };
	char password[64];
	struct message *m;

	register_device("gone", 1, password);
	make_csr(&csr);
	b.hold = true;
	ask_enroll(5000, "gone", password, &csr, 0);
	for (int i = 0; i < 20; i++)
		turn();
	record_text(&args, "name", "gone");
	record_bool(&args, "revoke", true);
	m = officer(5001, "device.disable", &args);
	CU_ASSERT_EQUAL(m->f.type, RA_OK);
	message_free(m);
	b.hold = false;
	m = reply(RA_PORT_ENROLL, 5000);
	CU_ASSERT_EQUAL(kind_of(m), ERR_BUSY);
	message_free(m);
	/* Asked again, it hears why. */
	CU_ASSERT_EQUAL(enroll(5002, "gone", password, &csr, NULL), ERR_UNAUTHENTICATED);
}

static void test_expired_password_says_so__EST_30(void)
{
	AUTO_BUF csr = { 0 };
	char password[64];

	register_device("old", 5, password);
	make_csr(&csr);
	b.now += 8 * US_PER_DAY;
	CU_ASSERT_EQUAL(enroll(5000, "old", password, &csr, NULL), ERR_UNAUTHENTICATED);
	b.now -= 8 * US_PER_DAY;
	CU_ASSERT_EQUAL(enroll(5001, "old", password, &csr, NULL), ERR_NONE);
}

static void test_a_replay_is_good_for_a_day__EST_26(void)
{
	AUTO_BUF csr = { 0 };
	AUTO_BUF first = { 0 };
	AUTO_BUF second = { 0 };
	char password[64];

	register_device("day", 1, password);
	make_csr(&csr);
	CU_ASSERT_EQUAL(enroll(6000, "day", password, &csr, &first), ERR_NONE);
	b.now += 23 * US_PER_HOUR;
	CU_ASSERT_EQUAL(enroll(6001, "day", password, &csr, &second), ERR_NONE);
	CU_ASSERT_TRUE(span_equal(span_of(&first), span_of(&second)));
	b.now += 2 * US_PER_HOUR;
	CU_ASSERT_EQUAL(enroll(6002, "day", password, &csr, NULL), ERR_UNAUTHENTICATED);
	b.now -= 25 * US_PER_HOUR;
}

static void test_officers_verbs_are_refused_to_the_enrolment_front(void)
{
	struct ra_officer q = { .uid = 0 };
	AUTO_BUF body = { 0 };
	struct message *m;

	strcpy(q.verb, "device.list");
	ra_officer_put(&body, &q);
	ra_feed(b.ra, RA_PORT_ENROLL, &(struct frame){ .type = RA_OFFICER, .id = 7000, .body = span_of(&body) }, b.mono);
	m = reply(RA_PORT_ENROLL, 7000);
	CU_ASSERT_EQUAL(kind_of(m), ERR_DENIED);
	message_free(m);
	/* And to a user who is none. */
	q.uid = 65534;
	body.n = 0;
	ra_officer_put(&body, &q);
	ra_feed(b.ra, RA_PORT_OFFICER, &(struct frame){ .type = RA_OFFICER, .id = 7001, .body = span_of(&body) }, b.mono);
	m = reply(RA_PORT_OFFICER, 7001);
	CU_ASSERT_EQUAL(kind_of(m), ERR_DENIED);
	message_free(m);
}

static const struct cu_case cases[] = {
	{ "setup", setup },
	{ "many", test_many_at_once_in_few_transactions },
	{ "one use", test_one_use_is_one_use_even_at_once__EST_30 },
	{ "deadline", test_past_its_deadline_nothing_happens },
	{ "dead ca", test_a_dead_ca_costs_a_new_serial_and_nothing_else__X509_46 },
	{ "a ca lost in its setup", test_a_ca_lost_in_its_setup },
	{ "officers are heard", test_officers_are_heard_above_the_crowd__OPS_17 },
	{ "test_disabled_while_it_is_signed__AUD_04", test_disabled_while_it_is_signed__AUD_04 },
	{ "expired password", test_expired_password_says_so__EST_30 },
	{ "replay", test_a_replay_is_good_for_a_day__EST_26 },
	{ "doors", test_officers_verbs_are_refused_to_the_enrolment_front },
	{ "teardown", teardown },
};
CU_MAIN(cases)
