/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FILE_CAP = 1 << 20 };

/* DER of a PEM or DER file. */
static bool read_der(const char *path, const char *const *labels, size_t n, struct buf *der)
{
	AUTO_BUF text = { 0 };
	struct err e;

	if (!file_read(&text, path, FILE_CAP, &e)) {
		complain(EXIT_FAILED, "%s", e.text);
		return false;
	}
	for (size_t i = 0; i < n; i++)
		if (pem_get(der, labels[i], (char *)text.p, text.n, NULL))
			return true;
	buf_add(der, text.p, text.n);
	return true;
}

static void set_bytes(json_t *args, const char *name, const struct buf *der)
{
	AUTO_BUF b64 = { 0 };

	b64_put(&b64, der->p, der->n, B64_ONE_LINE);
	json_object_set_new(args, name, json_stringn((char *)b64.p, b64.n));
}

/* Where a serial is asked for, a certificate file does as well. */
static json_t *certificate_argument(const char *text)
{
	static const char *const labels[] = { "CERTIFICATE" };
	json_t *args = json_object();
	AUTO_BUF der = { 0 };

	if (strpbrk(text, "/.") != NULL && access(text, R_OK) == 0) {
		if (!read_der(text, labels, 1, &der)) {
			json_decref(args);
			return NULL;
		}
		set_bytes(args, "der", &der);
	} else {
		json_object_set_new(args, "cert", json_string(text));
	}
	return args;
}

static enum exit_code cert_list(struct invocation *i)
{
	static const struct column columns[] = { { "serial", "SERIAL" },     { "ca", "CA" },         { "device", "DEVICE" },
		                                 { "subject", "SUBJECT" },   { "profile", "PROFILE" }, { "not_after", "EXPIRES" },
		                                 { "status", "STATUS" } };
	json_t *args = json_object();

	arg_text(i, args, "ca");
	arg_text(i, args, "profile");
	arg_text(i, args, "device");
	arg_text(i, args, "status");
	arg_text(i, args, "subject");
	if (!arg_duration(i, args, "expiring")) {
		json_decref(args);
		return EXIT_USAGE;
	}
	return show_table(i, "cert.list", "certificates", columns, COUNT_OF(columns), args);
}

static bool put_pem(json_t *row, struct buf *pem)
{
	const char *b64 = member(row, "der");
	AUTO_BUF der = { 0 };

	if (!b64_get(&der, b64, strlen(b64)) || der.n == 0)
		return false;
	pem_put(pem, "CERTIFICATE", der.p, der.n);
	return true;
}

static enum exit_code one(struct invocation *i, const char *verb, json_t *args)
{
	AUTO_BUF pem = { 0 };
	enum exit_code code;
	json_t *doc;

	if (args == NULL)
		return EXIT_FAILED;
	code = ask(i, verb, args, &doc);
	if (code != EXIT_DONE)
		return code;
	if (i->json) {
		print_json(doc);
	} else {
		print_object(doc);
		if (put_pem(doc, &pem))
			printf("\n%s", buf_str(&pem));
	}
	json_decref(doc);
	return EXIT_DONE;
}

static enum exit_code cert_show(struct invocation *i)
{
	return one(i, "cert.show", certificate_argument(i->position[0]));
}

static enum exit_code changed(struct invocation *i, const char *verb, json_t *args, const char *said)
{
	enum exit_code code;
	json_t *doc;

	if (args == NULL)
		return EXIT_FAILED;
	code = ask(i, verb, args, &doc);
	if (code != EXIT_DONE)
		return code;
	if (i->json)
		print_json(doc);
	else if (json_integer_value(json_object_get(doc, "changed")) > 1)
		printf("%s %lld certificates of %s, the newest %s%s\n", said, (long long)json_integer_value(json_object_get(doc, "changed")),
		       member(doc, "device"), member(doc, "serial"),
		       json_array_size(json_object_get(doc, "confirmed")) != 0
		               ? "; OCSP says so now"
		               : "; OCSP has not confirmed it yet, look at `caduceus status`");
	else
		printf("%s %s (%s)%s\n", said, member(doc, "serial"), member(doc, "subject"),
		       json_array_size(json_object_get(doc, "confirmed")) != 0
		               ? "; OCSP says so now"
		               : "; OCSP has not confirmed it yet, look at `caduceus status`");
	json_decref(doc);
	return EXIT_DONE;
}

static enum exit_code cert_revoke(struct invocation *i)
{
	json_t *args = certificate_argument(i->position[0]);

	if (args != NULL)
		arg_text(i, args, "reason");
	return changed(i, "cert.revoke", args, "revoked");
}

static enum exit_code cert_unhold(struct invocation *i)
{
	return changed(i, "cert.unhold", certificate_argument(i->position[0]), "released");
}

static enum exit_code issued(struct invocation *i, json_t *doc)
{
	const char *out = option_of(i, "out");
	AUTO_BUF pem = { 0 };
	struct err e;

	if (!put_pem(doc, &pem))
		return complain(EXIT_FAILED, "the answer holds no certificate");
	if (out != NULL && !file_write_atomic(out, pem.p, pem.n, 0644, &e))
		return complain(EXIT_FAILED, "%s; the certificate is issued: caduceus cert show %s", e.text, member(doc, "serial"));
	if (i->json)
		print_json(doc);
	else if (out == NULL)
		fputs(buf_str(&pem), stdout);
	else
		printf("%s written, serial %s\n", out, member(doc, "serial"));
	return EXIT_DONE;
}

static enum exit_code cert_issue(struct invocation *i)
{
	static const char *const labels[] = { "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST" };
	AUTO_BUF der = { 0 };
	json_t *args, *doc;
	enum exit_code code;

	if (!has_option(i, "profile") || !has_option(i, "csr"))
		return complain(EXIT_USAGE, "cert issue needs --profile P and --csr FILE");
	if (!read_der(option_of(i, "csr"), labels, 2, &der))
		return EXIT_FAILED;
	args = json_object();
	arg_text(i, args, "profile");
	set_bytes(args, "csr", &der);
	code = ask(i, "cert.issue", args, &doc);
	if (code != EXIT_DONE)
		return code;
	code = issued(i, doc);
	json_decref(doc);
	return code;
}

const struct command commands_cert[] = {
	{ "cert", "list", "", 0, 0, "lists certificates", "caduceus cert list --expiring 30d", cert_list,
	  { { "ca", "CA", "of this authority", false }, { "profile", "P", "under this profile", false },
	    { "device", "D", "of this device", false }, { "status", "S", "valid, revoked or expired", false },
	    { "expiring", "DURATION", "valid ones that expire within it", false },
	    { "subject", "PREFIX", "whose subject begins so (CN=…)", false } } },
	{ "cert", "show", "CERT", 1, 1, "shows one: serial, unique prefix, device, or file", "caduceus cert show pump-7", cert_show, { { 0 } } },
	{ "cert", "issue", "", 0, 0, "issues from a CSR", "caduceus cert issue --profile radius --csr radius.csr --out radius.pem", cert_issue,
	  { { "profile", "P", "a profile with the officer door", false }, { "csr", "FILE", "PEM or DER", false },
	    { "out", "FILE", "where the PEM goes (standard output)", false } } },
	{ "cert", "revoke", "CERT", 1, 1, "revokes; returns when OCSP says so", "caduceus cert revoke pump-7 --reason keyCompromise", cert_revoke,
	  { { "reason", "REASON", "keyCompromise, superseded, certificateHold, … (unspecified)", false } } },
	{ "cert", "unhold", "CERT", 1, 1, "releases one that is on certificateHold", "caduceus cert unhold pump-7", cert_unhold, { { 0 } } },
	{ 0 },
};
