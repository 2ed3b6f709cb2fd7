/* SPDX-License-Identifier: Apache-2.0
 *
 * ra with its database, a ca over a token in memory, a probe and clients that tests play; a clock of our own. */
#ifndef CADUCEUS_TESTS_ACME_WORLD_H
#define CADUCEUS_TESTS_ACME_WORLD_H

#include "tests/cu.h"
#include "tests/fuzz/box.h"

#include "base/rnd.h"
#include "base/text.h"
#include "probe/probe.h"
#include "ra/acme_internal.h"
#include "ra/verbs.h"

#include <openssl/conf.h>
#include <openssl/hmac.h>
#include <openssl/x509v3.h>
#include <time.h>

AUTO_DEFINE(X509_REQ, X509_REQ_free)

static struct ra *ra;
static struct store *store;
static struct config config;
static int64_t ahead;              /* of the machine's monotonic clock */
static uint64_t next_id;

/* --- The peers */

struct given {
	bool used;
	enum ra_port port;
	struct frame f;
	struct buf body;
};
static struct given from_ca[256], answers[512];
static size_t ca_n;
static bool ca_silent;             /* its answers are kept back */
static unsigned issues;            /* CA_ISSUE asked */

static struct {
	uint64_t id;
	struct probe_ask ask;
} asked[512];
static size_t asked_n;             /* those not answered yet */
static unsigned probes;            /* ever */
static bool probe_silent;
static struct probe_ask last_ask;

static int64_t mono(void)
{
	return clock_mono() + ahead;
}

static void keep(struct given *g, enum ra_port port, const struct frame *f)
{
	g->used = true;
	g->port = port;
	g->f = *f;
	g->body.n = 0;
	buf_add(&g->body, f->body.p, f->body.n);
	g->f.body = span_of(&g->body);
}

static void on_ca(const struct frame *f)
{
	if (ca_n < COUNT_OF(from_ca))
		keep(&from_ca[ca_n++], RA_PORT_CA, f);
}

static bool give(void *arg, enum ra_port port, const struct frame *f)
{
	struct err e;

	(void)arg;
	if (port == RA_PORT_CA) {
		issues += f->type == CA_ISSUE;
		box_feed(CA_PORT_RA, f);
	} else if (port == RA_PORT_PROBE) {
		CU_ASSERT_EQUAL(f->type, PROBE_VALIDATE);
		probes++;
		if (asked_n == COUNT_OF(asked))
			return false;
		asked[asked_n].id = f->id;
		CU_ASSERT_TRUE(probe_ask_get(f->body, &asked[asked_n].ask, &e));
		last_ask = asked[asked_n++].ask;
	} else if (f->id != 0) {
		for (size_t i = 0; i < COUNT_OF(answers); i++)
			if (!answers[i].used) {
				keep(&answers[i], port, f);
				break;
			}
	}
	return true;
}

/* What a name says about itself: bad-… fails, flaky-… may pass later, all others hold. */
static void probe_answers(void)
{
	size_t n = asked_n;

	if (probe_silent || ra == NULL)
		return;
	asked_n = 0;
	for (size_t i = 0; i < n; i++) {
		struct probe_result r = { .problem = PROBE_GOOD, .address = "192.0.2.7", .evidence = "dns=192.0.2.7 address=192.0.2.7" };
		AUTO_BUF body = { 0 };

		if (strncmp(asked[i].ask.name, "bad-", 4) == 0) {
			r.problem = PROBE_INCORRECT_RESPONSE;
			strcpy(r.detail, "the answer is not the key authorization");
		} else if (strncmp(asked[i].ask.name, "flaky-", 6) == 0) {
			r.problem = PROBE_CONNECTION;
			r.again = true;
			strcpy(r.detail, "connection refused");
		}
		probe_result_put(&body, &r);
		ra_feed(ra, RA_PORT_PROBE, &(struct frame){ .type = PROBE_OK, .id = asked[i].id, .body = span_of(&body) }, mono());
	}
}

static int64_t ra_cpu;             /* us that ra's turns have taken */

static int64_t thread_cpu(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * US_PER_SECOND + t.tv_nsec / 1000;
}

static void turn(void)
{
	int64_t began;

	if (!ca_silent) {
		box_wait();
		for (size_t i = 0; i < ca_n; i++)
			ra_feed(ra, RA_PORT_CA, &from_ca[i].f, mono());
		ca_n = 0;
	}
	probe_answers();
	began = thread_cpu();
	(void)ra_turn(ra, box_time, mono());
	ra_cpu += thread_cpu() - began;
}

static void turns(int n)
{
	while (n-- > 0)
		turn();
}

/* Both clocks. */
static void later(int64_t us)
{
	box_time += us;
	ahead += us;
	turns(3);
}

/* Until the clock has nothing overdue: what earlier tests have left is looked at, too. */
static void sweep_all(void)
{
	for (int i = 0; i < 300; i++)
		later(US_PER_SECOND / 10);
}

/* --- A life */

static void write_instance(void)
{
	static const char *const more[] = { "acme.orders_per_minute=0" };

	box_write_instance(&config, more, COUNT_OF(more));
}

/* A second directory: no wildcards, host names alone. */
static void write_second(const char *doors)
{
	AUTO_FREE char *text = mem_printf("name: web\nauthority: servers\ndoors: [%s]\nvalidity: 30d\neku: [serverAuth]\nsan: [dns]\n"
	                                  "san_required: true\ncn: must-be-san\n", doors);
	char path[160];
	struct err e;

	snprintf(path, sizeof path, "%s/profiles/web.yaml", box_dir);
	CU_ASSERT_TRUE_FATAL(file_write_atomic(path, text, strlen(text), 0600, &e));
}

static bool provision = true;

static void open_ra(void)
{
	char uri[160];
	struct err e = { 0 };

	snprintf(uri, sizeof uri, "sqlite:%s/t.db", box_dir);
	CU_ASSERT_TRUE_FATAL(store_open(&store, uri, true, &e));
	CU_ASSERT_TRUE_FATAL(ra_open(&ra, &(struct ra_config){ .config = &config, .dir = box_dir, .store = store, .provision = provision,
	                                                      .rnd = rnd_kernel, .send = give }, box_time, mono(), &e));
	for (int p = 0; p < RA_PORT_COUNT; p++)
		if (p != RA_PORT_VA)
			ra_peer(ra, (enum ra_port)p, true, box_time, mono());
}

static void settle(void)
{
	for (int i = 0; i < 5000 && !ra_provisioned(ra); i++)
		turn();
	CU_ASSERT_TRUE_FATAL(ra_provisioned(ra));
}

/* As after kill -9: what was not committed is gone, what was under way is nobody's. */
static void restart_ra(void)
{
	ra_close(ra);
	store_close(store);
	ra = NULL;
	box_wait();
	ca_n = asked_n = 0;
	for (size_t i = 0; i < COUNT_OF(answers); i++)
		answers[i].used = false;
	open_ra();
	settle();
}

static void world_open(void)
{
	box_open();
	write_instance();
	write_second("acme");
	box_each = on_ca;
	open_ra();
	settle();
	provision = false; /* as it is served */
	restart_ra();
}

static struct buf answer_octets, rows_octets;

static void world_close(void)
{
	ra_close(ra);
	store_close(store);
	box_wait();
	ca_close(box_ca);
	fake_clear();
	for (size_t i = 0; i < COUNT_OF(answers); i++)
		buf_free(&answers[i].body);
	for (size_t i = 0; i < COUNT_OF(from_ca); i++)
		buf_free(&from_ca[i].body);
	buf_free(&box_body);
	buf_free(&answer_octets);
	buf_free(&rows_octets);
}

/* --- Asking */

static struct given *answer_of(uint64_t id)
{
	for (size_t i = 0; i < COUNT_OF(answers); i++)
		if (answers[i].used && answers[i].f.id == id)
			return &answers[i];
	return NULL;
}

static struct given *wait_for(uint64_t id)
{
	for (int i = 0; i < 20000 && answer_of(id) == NULL; i++) {
		turn();
		if (i > 20)
			usleep(500);
	}
	return answer_of(id);
}

/* The last answer: A where there is one, else the refusal. */
static struct ra_acme_answer answer_room, *const A = &answer_room;
static enum err_kind refusal;

static bool take(uint64_t id)
{
	struct given *g = answer_of(id);
	struct err e = { 0 };

	if (g == NULL)
		return false;
	g->used = false;
	answer_octets.n = 0;
	buf_add(&answer_octets, g->body.p, g->body.n);
	memset(A, 0, sizeof *A);
	refusal = ERR_NONE;
	if (g->f.type == RA_OK) {
		CU_ASSERT_TRUE_FATAL(ra_acme_answer_get(span_of(&answer_octets), A, &e));
	} else {
		CU_ASSERT_TRUE(failure_get(span_of(&answer_octets), &e));
		refusal = e.kind;
	}
	return true;
}

static uint64_t begin_ask(const struct ra_acme *q)
{
	AUTO_BUF body = { 0 };

	ra_acme_put(&body, q);
	ra_feed(ra, RA_PORT_ENROLL, &(struct frame){ .type = RA_ACME, .id = ++next_id, .body = span_of(&body) }, mono());
	return next_id;
}

static enum acme_problem ask_ra(const struct ra_acme *q)
{
	uint64_t id = begin_ask(q);

	CU_ASSERT_PTR_NOT_NULL_FATAL(wait_for(id));
	CU_ASSERT_TRUE_FATAL(take(id));
	return A->problem;
}

/* --- Officers */

static struct ra_rows rows;

static enum err_kind officer(const char *verb, const struct buf *args)
{
	struct ra_officer q = { .actor = "root", .source.address = "local" };
	AUTO_BUF body = { 0 };
	struct given *g;
	struct err e = { 0 };

	q.arguments = span_of(args);
	strcpy(q.verb, verb);
	ra_officer_put(&body, &q);
	ra_feed(ra, RA_PORT_OFFICER, &(struct frame){ .type = RA_OFFICER, .id = ++next_id, .body = span_of(&body) }, mono());
	g = wait_for(next_id);
	CU_ASSERT_PTR_NOT_NULL_FATAL(g);
	g->used = false;
	rows_octets.n = 0;
	buf_add(&rows_octets, g->body.p, g->body.n);
	if (g->f.type == RA_OK) {
		CU_ASSERT_TRUE(ra_rows_get(span_of(&rows_octets), &rows, &e));
		return ERR_NONE;
	}
	CU_ASSERT_TRUE(failure_get(span_of(&rows_octets), &e));
	return e.kind;
}

static struct span row_at(uint32_t i)
{
	struct rd r = rd_of(rows.rows.p, rows.rows.n);
	struct span row = { NULL, 0 };

	for (uint32_t k = 0; k <= i && k < rows.n; k++)
		row = rd_span(&r, 65536);
	return row;
}

struct eab {
	char kid[64], text[64];
	uint8_t key[32];
};

static enum err_kind eab_add(const char *name, const char *san, const char *profile, const char *profile2, int64_t uses, struct eab *out)
{
	AUTO_BUF args = { 0 };
	AUTO_BUF key = { 0 };
	enum err_kind kind;

	record_text(&args, "name", name);
	if (san != NULL)
		record_list(&args, "san", san);
	if (profile != NULL)
		record_list(&args, "profile", profile);
	if (profile2 != NULL)
		record_list(&args, "profile", profile2);
	if (uses != 0)
		record_int(&args, "uses", uses);
	kind = officer("acme.eab.add", &args);
	if (kind != ERR_NONE)
		return kind;
	CU_ASSERT_TRUE(record_get_text(row_at(0), "kid", out->kid, sizeof out->kid));
	CU_ASSERT_TRUE(record_get_text(row_at(0), "hmac_key", out->text, sizeof out->text));
	CU_ASSERT_TRUE_FATAL(b64url_get(&key, out->text, strlen(out->text)) && key.n == 32);
	memcpy(out->key, key.p, 32);
	return ERR_NONE;
}

/* --- Clients */

struct client {
	EVP_PKEY *key;
	struct buf spki;
	uint8_t thumbprint[32];
	int64_t account;
	char realm[32];
};

static void spki_of(EVP_PKEY *key, struct buf *out)
{
	uint8_t *p;

	out->n = 0;
	buf_reserve(out, (size_t)i2d_PUBKEY(key, NULL));
	p = out->p;
	out->n = (size_t)i2d_PUBKEY(key, &p);
}

static void client_key(struct client *c, EVP_PKEY *key)
{
	EVP_PKEY_free(c->key);
	c->key = key;
	spki_of(key, &c->spki);
	/* The thumbprint is front's to make: any 32 octets that go with the key. */
	digest_sha256(c->thumbprint, c->spki.p, c->spki.n);
	c->thumbprint[0] ^= 1;
}

static struct client client_new(const char *realm)
{
	struct client c = { 0 };

	strcpy(c.realm, realm);
	client_key(&c, EVP_EC_gen("P-256"));
	return c;
}

static void client_free(struct client *c)
{
	EVP_PKEY_free(c->key);
	buf_free(&c->spki);
}

static struct ra_acme question_room, *const Q = &question_room;

/* Q, emptied: signed by the client's account, or (by_key) by its key. */
static void question(enum ra_acme_op op, const struct client *c, bool by_key)
{
	memset(Q, 0, sizeof *Q);
	Q->op = op;
	Q->reason = -1;
	strcpy(Q->source.address, "192.0.2.1");
	strcpy(Q->realm, c != NULL ? c->realm : "server");
	if (c == NULL)
		return;
	memcpy(Q->thumbprint, c->thumbprint, sizeof Q->thumbprint);
	if (by_key)
		Q->key = span_of(&c->spki);
	else
		Q->account = c->account;
}

static enum acme_problem ask_id(enum ra_acme_op op, const struct client *c, int64_t id)
{
	question(op, c, false);
	Q->id = id;
	return ask_ra(Q);
}

static uint8_t mac_room[64];
static void bind_to(const struct eab *k, unsigned bits)
{
	static const char input[] = "protected.payload";
	unsigned n = 0;

	strcpy(Q->eab.kid, k->kid);
	Q->eab.bits = (uint16_t)bits;
	Q->eab.input = (struct span){ (const uint8_t *)input, strlen(input) };
	HMAC(bits == 256 ? EVP_sha256() : bits == 384 ? EVP_sha384() : EVP_sha512(), k->key, 32, (const uint8_t *)input, strlen(input), mac_room, &n);
	Q->eab.mac = (struct span){ mac_room, n };
}

static enum acme_problem new_account(struct client *c, const struct eab *k)
{
	question(RA_ACME_NEW_ACCOUNT, c, true);
	Q->terms_agreed = true;
	Q->contact_n = 1;
	strcpy(Q->contact[0], "mailto:it@hedwig.example");
	if (k != NULL)
		bind_to(k, 256);
	if (ask_ra(Q) == ACME_OK)
		c->account = A->account;
	return A->problem;
}

/* A client with an account; without names: whatever it can prove. */
static struct client registered(const char *name, const char *san)
{
	struct client c = client_new("server");
	struct eab k;

	CU_ASSERT_EQUAL_FATAL(eab_add(name, san, NULL, NULL, 0, &k), ERR_NONE);
	CU_ASSERT_EQUAL_FATAL(new_account(&c, &k), ACME_OK);
	return c;
}

static void add_identifier(const char *type, const char *value)
{
	strcpy(Q->identifier[Q->identifier_n].type, type);
	strcpy(Q->identifier[Q->identifier_n++].value, value);
}

static enum acme_problem new_order(const struct client *c, const char *first, const char *second)
{
	question(RA_ACME_NEW_ORDER, c, false);
	add_identifier("dns", first);
	if (second != NULL)
		add_identifier("dns", second);
	return ask_ra(Q);
}

static enum acme_problem start(const struct client *c, int64_t authorization, enum acme_method m)
{
	question(RA_ACME_CHALLENGE_START, c, false);
	Q->id = authorization;
	Q->method = m;
	return ask_ra(Q);
}

/* An order for these names, up to ready: its number. */
static int64_t ready_order(const struct client *c, const char *first, const char *second)
{
	int64_t order, z[2];
	uint32_t n;
	bool pending;

	CU_ASSERT_EQUAL_FATAL(new_order(c, first, second), ACME_OK);
	order = A->order.id;
	n = A->order.authorization_n;
	pending = A->order.state == ACME_PENDING;
	for (uint32_t i = 0; i < n; i++)
		z[i] = A->order.authorization[i];
	for (uint32_t i = 0; pending && i < n; i++) {
		CU_ASSERT_EQUAL(start(c, z[i], ACME_DNS_01), ACME_OK);
		CU_ASSERT_EQUAL(A->authorization.state, ACME_VALID);
	}
	CU_ASSERT_EQUAL(ask_id(RA_ACME_ORDER, c, order), ACME_OK);
	CU_ASSERT_EQUAL(A->order.state, ACME_READY);
	return order;
}

/* san: "DNS:a,DNS:b" or NULL; extra: a further extension. */
static void make_csr(EVP_PKEY *key, const char *cn, const char *san, int extra_nid, const char *extra, struct buf *der)
{
	AUTO(X509_REQ) *req = X509_REQ_new();
	CONF *conf = NCONF_new(NULL);
	X509V3_CTX ctx;
	STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();
	uint8_t *p;

	X509V3_set_ctx(&ctx, NULL, NULL, NULL, NULL, 0);
	X509V3_set_nconf(&ctx, conf);
	X509_REQ_set_version(req, 0);
	X509_REQ_set_pubkey(req, key);
	if (cn != NULL)
		X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(req), "CN", MBSTRING_UTF8, (const uint8_t *)cn, -1, -1, 0);
	if (san != NULL)
		sk_X509_EXTENSION_push(list, X509V3_EXT_nconf_nid(conf, &ctx, NID_subject_alt_name, san));
	if (extra != NULL)
		sk_X509_EXTENSION_push(list, X509V3_EXT_nconf_nid(conf, &ctx, extra_nid, extra));
	if (sk_X509_EXTENSION_num(list) != 0)
		X509_REQ_add_extensions(req, list);
	sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
	NCONF_free(conf);
	X509_REQ_sign(req, key, EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519 ? NULL : EVP_sha256());
	der->n = 0;
	buf_reserve(der, (size_t)i2d_X509_REQ(req, NULL));
	p = der->p;
	der->n = (size_t)i2d_X509_REQ(req, &p);
}

static void finalize_question(const struct client *c, int64_t order, const struct buf *csr)
{
	question(RA_ACME_FINALIZE, c, false);
	Q->id = order;
	Q->csr = span_of(csr);
}

static enum acme_problem finalize(const struct client *c, int64_t order, const char *san)
{
	AUTO(EVP_PKEY) *key = EVP_EC_gen("P-256");
	AUTO_BUF csr = { 0 };

	make_csr(key, NULL, san, 0, NULL, &csr);
	finalize_question(c, order, &csr);
	return ask_ra(Q);
}

/* The leaf of a finished order. */
static void leaf_of(const struct client *c, int64_t order, struct buf *der)
{
	CU_ASSERT_EQUAL_FATAL(ask_id(RA_ACME_CERTIFICATE, c, order), ACME_OK);
	der->n = 0;
	buf_add(der, A->chain[0].p, A->chain[0].n);
}

static enum acme_state order_state(const struct client *c, int64_t order)
{
	CU_ASSERT_EQUAL(ask_id(RA_ACME_ORDER, c, order), ACME_OK);
	return A->order.state;
}

static enum acme_state authorization_state(const struct client *c, int64_t id)
{
	CU_ASSERT_EQUAL(ask_id(RA_ACME_AUTHORIZATION, c, id), ACME_OK);
	return A->authorization.state;
}

static struct {
	const char *event, *text;
	unsigned n, with;
} looked;

static bool look_at(void *arg, uint64_t seq, const char *record, const uint8_t hash[32])
{
	AUTO_FREE char *event = mem_printf("\"event\":\"%s\"", looked.event);

	(void)arg;
	(void)seq;
	(void)hash;
	if (strstr(record, event) != NULL) {
		looked.n++;
		looked.with += strstr(record, looked.text) != NULL;
	}
	return true;
}

/* How many of the audit's records of this event have this text. */
static unsigned audited(const char *event, const char *text)
{
	struct err e;

	looked.event = event;
	looked.text = text;
	looked.n = looked.with = 0;
	CU_ASSERT_TRUE(store_audit_list(store, 0, 1000000, look_at, NULL, &e));
	return looked.with;
}

#endif
