/* SPDX-License-Identifier: Apache-2.0
 *
 * ra as a whole, provisioned, with a ca that is right until an input says otherwise: any frames from both fronts, from va
 * and from ca, peers that come and go, a clock that moves. What it gives to a front, the front can read. */
#include "tests/fuzz/box.h"

#include "crl/status.h"
#include "probe/probe.h"
#include "ra/acme.h"
#include "ra/verbs.h"
#include "store/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUTS_A_LIFE = 500, ANSWERS = 64 };

static struct ra *ra;
static struct store *store;
static struct config config;
static int64_t mono;
static unsigned inputs;
static uint64_t random_state = 1;
static char password[64];
/* What ca has answered, until the next turn; and what the input has instead. */
static struct {
	struct frame f;
	struct buf body;
} answers[ANSWERS];
static size_t answer_n;
static struct span instead;
static int instead_type; /* 0: as it is */
static bool gone;        /* a peer went */
static uint64_t probe_id; /* the last question to probe */
static struct ra_acme question;
static struct buf account_key;

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void rnd(void *out, size_t n)
{
	for (uint8_t *p = out; n-- != 0; p++) {
		random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
		*p = (uint8_t)(random_state >> 56);
	}
}

static void from_ca(const struct frame *f)
{
	if (answer_n == ANSWERS)
		return;
	answers[answer_n].f = *f;
	answers[answer_n].body.n = 0;
	buf_add(&answers[answer_n].body, f->body.p, f->body.n);
	answer_n++;
}

static void judge(enum ra_port port, const struct frame *f)
{
	static struct ra_rows rows;
	static struct ra_health health;
	static struct cert c;
	struct ra_enrolled enrolled;
	struct err e;

	if (port != RA_PORT_ENROLL && port != RA_PORT_OFFICER)
		return;
	must(f->type >= RA_OK && f->type < RA_OP_COUNT);
	if (f->type == RA_FAILED)
		must(failure_get(f->body, &e) && e.text[0] != 0);
	/* What is asked is not kept; a body that is several things at once is none of them. */
	if (f->type == RA_OK && f->id == 100)
		must(ra_enrolled_get(f->body, &enrolled, &e) && (instead_type != 0 || cert_parse(&c, enrolled.cert.p, enrolled.cert.n, &e)));
	if (f->type == RA_OK && f->id == 500) {
		static struct ra_acme_answer answer;

		must(ra_acme_answer_get(f->body, &answer, &e) && (answer.problem == ACME_OK || answer.detail[0] != 0));
	}
	if (f->type == RA_OK && f->id == 200)
		must(ra_rows_get(f->body, &rows, &e));
	if (f->type == RA_OK && f->id == 300)
		must(ra_health_get(f->body, &health, &e));
	if (f->type == RA_OK && f->id == 400) {
		struct rd r;
		char text[64] = "";

		must(ra_rows_get(f->body, &rows, &e));
		r = rd_of(rows.rows.p, rows.rows.n);
		if (record_get_text(rd_span(&r, 65536), "password", text, sizeof text) && text[0] != 0)
			memcpy(password, text, sizeof password);
	}
}

static bool give(void *arg, enum ra_port port, const struct frame *f)
{
	(void)arg;
	if (port == RA_PORT_PROBE)
		probe_id = f->id;
	if (port == RA_PORT_CA)
		box_feed(CA_PORT_RA, f);
	else
		judge(port, f);
	return true;
}

static void turn(void)
{
	box_wait();
	for (size_t i = 0; i < answer_n; i++) {
		answers[i].f.body = span_of(&answers[i].body);
		if (instead_type != 0) {
			answers[i].f.type = (uint16_t)instead_type;
			answers[i].f.body = instead;
		}
		ra_feed(ra, RA_PORT_CA, &answers[i].f, mono);
	}
	answer_n = 0;
	mono = clock_mono();
	(void)ra_turn(ra, box_time, mono);
}

static void turns(int n)
{
	while (n-- > 0)
		turn();
}

static void feed(enum ra_port port, uint16_t type, uint64_t id, struct span body)
{
	ra_feed(ra, port, &(struct frame){ .type = type, .id = id, .body = body }, mono);
}

static void officer(uint64_t id, const char *verb, struct span args)
{
	struct ra_officer q = { .actor = "root", .source.address = "local", .arguments = args };
	AUTO_BUF body = { 0 };

	snprintf(q.verb, sizeof q.verb, "%s", verb);
	ra_officer_put(&body, &q);
	feed(RA_PORT_OFFICER, RA_OFFICER, id, span_of(&body));
}

static void enroll(struct span csr)
{
	AUTO_FREE struct ra_enroll *q = mem_new(sizeof *q);
	AUTO_BUF body = { 0 };

	q->op = RA_SIMPLE_ENROLL;
	strcpy(q->source.address, "192.0.2.1");
	strcpy(q->user, "pump");
	strcpy(q->password, password);
	q->csr = (struct span){ csr.p, csr.n > CSR_MAX ? CSR_MAX : csr.n };
	ra_enroll_put(&body, q);
	feed(RA_PORT_ENROLL, RA_ENROLL, 100, span_of(&body));
}

/* A question of the one account's, or of its key's; what it is about comes from the input. */
static void acme(uint8_t op, struct span s)
{
	struct rd r = rd_of(s.p, s.n);
	struct ra_acme *q = &question;
	AUTO_BUF body = { 0 };

	memset(q, 0, sizeof *q);
	q->op = (enum ra_acme_op)(RA_ACME_KEY + op % (RA_ACME_OP_COUNT - RA_ACME_KEY));
	q->reason = -1;
	strcpy(q->realm, "server");
	strcpy(q->source.address, "192.0.2.1");
	if (q->op == RA_ACME_NEW_ACCOUNT || (q->op == RA_ACME_REVOKE && op % 2 != 0))
		q->key = span_of(&account_key);
	else
		q->account = 1;
	q->id = rd_u8(&r);
	q->method = (enum acme_method)(rd_u8(&r) % 4);
	for (uint8_t n = rd_u8(&r) % 4; n-- != 0 && !r.bad;) {
		struct acme_identifier *i = &q->identifier[q->identifier_n++];

		strcpy(i->type, rd_u8(&r) % 4 != 0 ? "dns" : "ip");
		rd_text(&r, i->value, sizeof i->value);
	}
	q->csr = q->certificate = (struct span){ r.p, (size_t)(r.end - r.p) };
	if (q->csr.n > CSR_MAX)
		return;
	if (q->op == RA_ACME_RENEWAL_INFO || q->op == RA_ACME_NEW_ORDER)
		snprintf(q->op == RA_ACME_NEW_ORDER && op % 2 == 0 ? q->replaces : q->renewal_id, sizeof q->replaces, "%.*s",
		         (int)(q->csr.n < 95 ? q->csr.n : 95), q->csr.n != 0 ? (const char *)q->csr.p : "");
	ra_acme_put(&body, q);
	feed(RA_PORT_ENROLL, RA_ACME, 500, span_of(&body));
}

/* A result for what was asked last. */
static void probe_says(uint8_t how, struct span s)
{
	struct probe_result r = { .problem = (enum probe_problem)(how % PROBE_PROBLEM_COUNT), .again = how >= 128 };
	AUTO_BUF body = { 0 };

	if (how % 16 == 15) {
		feed(RA_PORT_PROBE, (uint16_t)(PROBE_OK + s.n % (PROBE_OP_COUNT - PROBE_OK + 1)), probe_id, s);
		return;
	}
	probe_result_put(&body, &r);
	feed(RA_PORT_PROBE, PROBE_OK, probe_id, span_of(&body));
}

static void make_account(void)
{
	AUTO(EVP_PKEY) *key = EVP_EC_gen("P-256");
	uint8_t *p;

	account_key.n = 0;
	buf_reserve(&account_key, (size_t)i2d_PUBKEY(key, NULL));
	p = account_key.p;
	account_key.n = (size_t)i2d_PUBKEY(key, &p);
	acme(RA_ACME_NEW_ACCOUNT - RA_ACME_KEY, (struct span){ NULL, 0 });
	turns(2);
}

static void write_instance(void)
{
	static const char *const more[] = { "acme.eab=optional" };

	box_write_instance(&config, more, COUNT_OF(more));
}

static void register_pump(void)
{
	AUTO_BUF args = { 0 };

	record_text(&args, "name", "pump");
	record_int(&args, "uses", 100000);
	officer(400, "device.add", span_of(&args));
	turns(2);
	must(password[0] != 0);
}

static void begin(void)
{
	char uri[160], command[160];
	struct err e = { 0 };

	if (ra != NULL) {
		ra_close(ra);
		store_close(store);
		snprintf(command, sizeof command, "rm -f %s/t.db* %s/crl/* %s/trust/* %s/backup/*", box_dir, box_dir, box_dir, box_dir);
		must(system(command) == 0);
		ca_close(box_ca);
		fake_clear();
		must(ca_open(&box_ca, &(struct ca_config){ .dir = box_dir, .provision = true, .hsm = &fake_token, .workers = 1,
		                                          .reply = box_reply, .now = box_now }, &e));
	} else {
		box_open();
		write_instance();
		box_each = from_ca;
	}
	random_state = 1;
	box_time = BOX_NOW;
	answer_n = 0;
	instead_type = 0;
	mono = clock_mono();
	snprintf(uri, sizeof uri, "sqlite:%s/t.db", box_dir);
	must(store_open(&store, uri, true, &e));
	must(ra_open(&ra, &(struct ra_config){ .config = &config, .dir = box_dir, .store = store, .provision = true, .rnd = rnd,
	                                      .send = give }, box_time, mono, &e));
	for (int p = 0; p < RA_PORT_COUNT; p++)
		ra_peer(ra, (enum ra_port)p, true, box_time, mono);
	for (int i = 0; i < 5000 && !ra_provisioned(ra); i++)
		turn();
	must(ra_provisioned(ra));
	register_pump();
	make_account();
}

static void one(uint8_t what, struct span s)
{
	uint8_t first = s.n != 0 ? s.p[0] : 0;
	struct span rest = { s.p + (s.n != 0), s.n - (s.n != 0) };
	size_t verbs = 0;

	while (verb_at(verbs) != NULL)
		verbs++;
	switch (what % 12) {
	case 0: feed(RA_PORT_ENROLL, (uint16_t)(RA_OK + first % (RA_OP_COUNT - RA_OK + 1)), 1, rest); break;
	case 1: feed(RA_PORT_OFFICER, (uint16_t)(RA_OK + first % (RA_OP_COUNT - RA_OK + 1)), 2, rest); break;
	case 2: feed(RA_PORT_VA, (uint16_t)(STATUS_OK + first % (STATUS_OP_COUNT - STATUS_OK + 1)), 3, rest); break;
	case 3: officer(200, verb_at(first % verbs)->name, rest); break;
	case 4: enroll(s); break;
	case 5: instead_type = CA_OK; instead = s; break;
	case 6: instead_type = CA_FAILED; instead = s; break;
	case 7: instead_type = 0; break;
	case 10: acme(first, rest); break;
	case 11: probe_says(first, rest); break;
	case 8: gone = true; ra_peer(ra, (enum ra_port)(first % RA_PORT_COUNT), first / RA_PORT_COUNT % 2 != 0, box_time, mono); break;
	default: box_time += (int64_t)first * first * US_PER_HOUR; return;
	}
	turn();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd r = rd_of(data, size);
	struct span s;
	uint8_t what;

	/* A new life now and then, so that one input can't spoil the world for all that follow. */
	if (inputs++ % INPUTS_A_LIFE == 0)
		begin();
	for (int i = 0; i < 24 && step_next(&r, &what, &s); i++)
		one(what, s);
	instead_type = 0;
	/* All come back, and what waits is answered. */
	for (int p = 0; gone && p < RA_PORT_COUNT; p++) {
		ra_peer(ra, (enum ra_port)p, false, box_time, mono);
		ra_peer(ra, (enum ra_port)p, true, box_time, mono);
	}
	gone = false;
	turns(2);
	return 0;
}
