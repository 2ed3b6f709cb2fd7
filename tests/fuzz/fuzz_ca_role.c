/* SPDX-License-Identifier: Apache-2.0
 *
 * ca as a whole, asked by a ra and a va that may have been taken over: any frames in any order. What it signs, OpenSSL
 * reads; from va it takes nothing but OCSP and the state. A step's first octet: port (bit 7) and type. */
#include "tests/fuzz/box.h"

#include <openssl/ocsp.h>
#include <openssl/x509.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t profile_digest[32];
static struct buf profile_body;
static struct ca_created made;
static struct buf made_body;

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void authority(const char *name, const char *parent)
{
	AUTO_FREE struct ca_create *c = mem_new(sizeof *c);
	struct ca_authority a = { .gen.gen = 1, .aia_ocsp = "http://va/ocsp", .aia_issuer = "http://va/1.cer", .cdp = "http://va/1.crl" };
	AUTO_BUF body = { 0 };

	strcpy(c->gen.name, name);
	c->gen.gen = 1;
	if (parent != NULL) {
		strcpy(c->parent.name, parent);
		c->parent.gen = 1;
		c->eku_n = 1;
		strcpy(c->eku[0], "1.3.6.1.5.5.7.3.2");
	}
	strcpy(c->alg, "ecdsa-p256");
	c->serial = (struct serial){ 16, { 0x41, 2 } };
	must(dn_add(&c->subject, DN_CN, name));
	c->not_before = BOX_NOW - US_PER_HOUR;
	c->not_after = c->not_before + 3650 * US_PER_DAY;
	c->path_len = parent == NULL;
	ca_create_put(&body, c);
	must(box_ask(CA_PORT_RA, CA_AUTHORITY_CREATE, span_of(&body)));
	made_body.n = 0;
	buf_add(&made_body, box_body.p, box_body.n);
	must(ca_created_get(span_of(&made_body), &made, NULL));
	strcpy(a.gen.name, name);
	a.cert = made.cert;
	a.key_id = made.key_id;
	body.n = 0;
	ca_authority_put(&body, &a);
	must(box_ask(CA_PORT_RA, CA_AUTHORITY_PUT, span_of(&body)));
}

static void prepare(void)
{
	struct profile p = { .name = "device", .authority = "devices", .doors = DOOR_EST, .validity = 90 * US_PER_DAY,
		             .min_validity = US_PER_DAY, .backdate = 5 * US_PER_MINUTE, .clamp = true, .key_types = 31,
		             .rsa_min_bits = 2048, .eku_n = 1, .eku = { "1.3.6.1.5.5.7.3.2" }, .san_types = 62, .ocsp_aia = true, .cdp = true };

	box_open();
	profile_put(&profile_body, &p);
	must(box_ask(CA_PORT_RA, CA_PROFILE_PUT, span_of(&profile_body)));
	memcpy(profile_digest, box_body.p, 32);
	authority("root", NULL);
	authority("devices", "root");
}

static void judge(uint16_t type, struct span body, uint8_t port)
{
	const uint8_t *p = box_body.p;
	static struct ca_issue asked;
	static struct cert c;

	if (box_type != CA_OK) {
		struct err e;

		must(box_type == CA_FAILED && failure_get(span_of(&box_body), &e));
		return;
	}
	must(port == CA_PORT_RA || type == CA_OCSP || type == CA_STATE);
	if (type == CA_ISSUE) {
		X509 *x = d2i_X509(NULL, &p, (long)box_body.n);

		must(x != NULL && p == box_body.p + box_body.n);
		must(ca_issue_get(body, &asked, NULL) && cert_parse(&c, box_body.p, box_body.n, NULL));
		must(serial_equal(&asked.serial, &c.serial) && san_list_equal(&asked.san, &c.san) && !c.is_ca);
		must(c.not_before == asked.not_before && c.not_after == asked.not_after);
		X509_free(x);
	} else if (type == CA_OCSP) {
		OCSP_RESPONSE *o = d2i_OCSP_RESPONSE(NULL, &p, (long)box_body.n);

		must(o != NULL && p == box_body.p + box_body.n);
		OCSP_RESPONSE_free(o);
	}
}

/* A CRL whose three parts all came is one that OpenSSL reads. */
static void collect(struct buf *crl, uint16_t type)
{
	struct ca_crl_end end;
	AUTO_BUF whole = { 0 };
	const uint8_t *p;
	X509_CRL *x;

	if (box_type != CA_OK || type == CA_CRL_BEGIN)
		crl->n = 0;
	if (box_type != CA_OK || type < CA_CRL_BEGIN || type > CA_CRL_END)
		return;
	if (type != CA_CRL_END) {
		buf_add(crl, box_body.p, box_body.n);
		return;
	}
	must(ca_crl_end_get(span_of(&box_body), &end, NULL));
	buf_add(&whole, end.head.p, end.head.n);
	buf_add(&whole, crl->p, crl->n);
	buf_add(&whole, end.tail.p, end.tail.n);
	p = whole.p;
	x = d2i_X509_CRL(NULL, &p, (long)whole.n);
	must(x != NULL && p == whole.p + whole.n);
	X509_CRL_free(x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd r = rd_of(data, size);
	AUTO_BUF crl = { 0 };
	struct span body;
	uint8_t what;

	if (box_ca == NULL)
		prepare();
	if (tables_profile(box_ca, profile_digest) == NULL)
		must(box_ask(CA_PORT_RA, CA_PROFILE_PUT, span_of(&profile_body)));
	for (int i = 0; i < 32 && step_next(&r, &what, &body); i++) {
		enum ca_port port = what >> 7 != 0 ? CA_PORT_VA : CA_PORT_RA;
		uint16_t type = (uint16_t)(CA_STATE + (what & 0x7f) % (CA_OP_COUNT + 1 - CA_STATE));
		AUTO_BUF asked = { 0 };

		/* An even octet stands for the profile that is in force: no input guesses a digest. */
		buf_add(&asked, body.p, body.n);
		if (type == CA_ISSUE && asked.n >= 32 && asked.p[0] % 2 == 0)
			memcpy(asked.p, profile_digest, 32);
		body = span_of(&asked);
		(void)box_ask(port, type, body);
		judge(type, body, port);
		if (port == CA_PORT_RA)
			collect(&crl, type);
	}
	ca_port_reset(box_ca, CA_PORT_RA);
	return 0;
}
