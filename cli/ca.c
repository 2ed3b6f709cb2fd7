/* SPDX-License-Identifier: Apache-2.0
 *
 * Authorities, CRLs, profiles, the token, the audit. */
#include "cli/cli.h"

#include "base/text.h"
#include "config/profile.h"
#include "daemon/parent.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static enum exit_code ca_list(struct invocation *i)
{
	static const struct column columns[] = { { "name", "NAME" }, { "gen", "GEN" }, { "key", "KEY" }, { "subject", "SUBJECT" },
		                                 { "not_after", "EXPIRES" }, { "crl_next", "CRL UNTIL" } };

	return show_table(i, "ca.list", "authorities", columns, COUNT_OF(columns), json_object());
}

static enum exit_code ca_show(struct invocation *i)
{
	return show_object(i, "ca.show", json_pack("{s:s}", "name", i->position[0]));
}

static enum exit_code ca_fingerprint(struct invocation *i)
{
	json_t *doc;
	enum exit_code code = ask(i, "ca.fingerprint", json_object(), &doc);

	if (code != EXIT_DONE)
		return code;
	if (i->json)
		print_json(doc);
	else
		puts(member(doc, "sha256"));
	json_decref(doc);
	return EXIT_DONE;
}

static enum exit_code ca_chain(struct invocation *i)
{
	AUTO_BUF pem = { 0 };
	const char *out = option_of(i, "out");
	json_t *doc, *row;
	enum exit_code code = ask(i, "ca.chain", json_pack("{s:s}", "name", i->position[0]), &doc);
	struct err e;
	size_t k;

	if (code != EXIT_DONE)
		return code;
	json_array_foreach(json_object_get(doc, "chain"), k, row) {
		AUTO_BUF der = { 0 };

		if (b64_get(&der, member(row, "der"), strlen(member(row, "der"))))
			pem_put(&pem, "CERTIFICATE", der.p, der.n);
	}
	if (out != NULL && !file_write_atomic(out, pem.p, pem.n, 0644, &e))
		code = complain(EXIT_FAILED, "%s", e.text);
	else if (i->json)
		print_json(doc);
	else if (out == NULL)
		fputs(buf_str(&pem), stdout);
	else
		printf("%s written: %s and what it chains to\n", out, i->position[0]);
	json_decref(doc);
	return code;
}

static enum exit_code crl_publish(struct invocation *i)
{
	static const struct column columns[] = { { "ca", "CA" }, { "number", "NUMBER" }, { "entries", "ENTRIES" },
		                                 { "next_update", "UNTIL" }, { "url", "URL" } };
	json_t *args = json_object();

	if (i->position_n != 0)
		json_object_set_new(args, "ca", json_string(i->position[0]));
	return show_table(i, "crl.publish", "crls", columns, COUNT_OF(columns), args);
}

static enum exit_code profile_list(struct invocation *i)
{
	static const struct column columns[] = { { "name", "NAME" }, { "ca", "CA" }, { "doors", "DOORS" }, { "sha256", "VERSION" } };

	return show_table(i, "profile.list", "profiles", columns, COUNT_OF(columns), json_object());
}

static enum exit_code profile_show(struct invocation *i)
{
	return show_object(i, "profile.show", json_pack("{s:s}", "name", i->position[0]));
}

static enum exit_code profile_check(struct invocation *i)
{
	AUTO_FREE struct profile *p = mem_new(sizeof *p);
	AUTO_BUF mistakes = { 0 };

	if (!profile_load(p, i->position[0], "Hospital", &mistakes)) {
		fputs(buf_str(&mistakes), stderr);
		return EXIT_FAILED;
	}
	if (i->json) {
		json_t *doc = json_pack("{s:b,s:s}", "ok", 1, "name", p->name);

		print_json(doc);
		json_decref(doc);
	} else {
		printf("%s: profile %s has no mistakes\n", i->position[0], p->name);
	}
	return EXIT_DONE;
}

static enum exit_code profile_load_command(struct invocation *i)
{
	AUTO_FREE struct profile *p = mem_new(sizeof *p);
	AUTO_BUF text = { 0 };
	AUTO_BUF b64 = { 0 };
	AUTO_BUF mistakes = { 0 };
	struct err e;

	/* All mistakes at once, with their lines, before the service is asked. */
	if (!profile_load(p, i->position[0], "Hospital", &mistakes)) {
		fputs(buf_str(&mistakes), stderr);
		return EXIT_FAILED;
	}
	if (!file_read(&text, i->position[0], 32768, &e))
		return complain(EXIT_FAILED, "%s", e.text);
	b64_put(&b64, text.p, text.n, B64_ONE_LINE);
	return show_object(i, "profile.load", json_pack("{s:s,s:s}", "label", i->position[0], "text", buf_str(&b64)));
}

static enum exit_code hsm_list(struct invocation *i)
{
	static const struct column columns[] = { { "label", "LABEL" }, { "algorithm", "ALGORITHM" }, { "id", "ID" },
		                                 { "extractable", "EXTRACTABLE" }, { "local", "MADE HERE" } };

	return show_table(i, "hsm.list", "keys", columns, COUNT_OF(columns), json_object());
}

static enum exit_code hsm_test(struct invocation *i)
{
	return show_object(i, "hsm.test", json_object());
}

static void print_records(void *arg, json_t *rows)
{
	json_t *row;
	size_t k;

	(void)arg;
	json_array_foreach(rows, k, row) {
		json_t *r = json_loads(member(row, "record"), 0, NULL), *d = json_object_get(r, "detail");
		const char *why = member(d, "reason");

		printf("%lld %s %s %s %s by %s%s%s\n", (long long)json_integer_value(json_object_get(row, "seq")), member(r, "time"),
		       member(r, "event"), member(r, "outcome"), member(json_object_get(r, "object"), "id"),
		       member(json_object_get(r, "actor"), "id"), why[0] != 0 ? ": " : "", why);
		json_decref(r);
	}
}

static enum exit_code audit_show(struct invocation *i)
{
	return show_pages(i, "audit.show", "records", print_records, NULL);
}

/* The ra program reads the database itself: it works without a service, too. */
static enum exit_code audit_verify(struct invocation *i)
{
	char program[PATH_MAX];

	if (!role_program("ra", program, sizeof program))
		return complain(EXIT_FAILED, "the program caduceus-ra is missing");
	AUTO_FREE char *database = mem_printf("%s/caduceus.db", i->dir);

	if (access(database, F_OK) == 0 && access(database, R_OK) != 0)
		return complain(EXIT_DENIED, "%s is the service's alone: run this as root", database);
	execl(program, "caduceus-ra", i->dir, i->json ? "--audit-verify-json" : "--audit-verify", (char *)NULL);
	return complain(EXIT_FAILED, "%s can't be run", program);
}

const struct command commands_ca[] = {
	{ "ca", "list", "", 0, 0, "lists the authorities", "caduceus ca list", ca_list, { { 0 } } },
	{ "ca", "show", "NAME", 1, 1, "shows one", "caduceus ca show devices", ca_show, { { 0 } } },
	{ "ca", "fingerprint", "", 0, 0, "SHA-256 of the root, to compare on the device", "caduceus ca fingerprint", ca_fingerprint, { { 0 } } },
	{ "ca", "chain", "NAME", 1, 1, "its certificate and those above, PEM", "caduceus ca chain devices --out chain.pem", ca_chain,
	  { { "out", "FILE", "where it goes (standard output)", false } } },
	{ "crl", "publish", "[CA]", 0, 1, "makes and publishes a CRL now", "caduceus crl publish devices", crl_publish, { { 0 } } },
	{ "profile", "list", "", 0, 0, "lists the profiles in force", "caduceus profile list", profile_list, { { 0 } } },
	{ "profile", "show", "P", 1, 1, "shows one", "caduceus profile show device", profile_show, { { 0 } } },
	{ "profile", "check", "FILE", 1, 1, "finds every mistake in a profile file", "caduceus profile check device.yaml", profile_check, { { 0 } } },
	{ "profile", "load", "FILE", 1, 1, "puts a profile file in force", "caduceus profile load device.yaml", profile_load_command, { { 0 } } },
	{ "audit", "show", "", 0, 0, "shows the records", "caduceus audit show", audit_show, { { 0 } } },
	{ "audit", "verify", "", 0, 0, "checks the chain; names the first record that does not hold", "caduceus audit verify", audit_verify, { { 0 } } },
	{ "hsm", "list", "", 0, 0, "lists the keys on the token", "caduceus hsm list", hsm_list, { { 0 } } },
	{ "hsm", "test", "", 0, 0, "signs with every authority's key and verifies", "caduceus hsm test", hsm_test, { { 0 } } },
	{ 0 },
};
