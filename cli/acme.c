/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The line to paste: everything filled in. */
static void print_paste(const struct invocation *i, json_t *d)
{
	bool named = false;

	printf("\nOn the server (the trust anchor is %s/trust/root.pem; compare its fingerprint):\n\n", i->dir);
	printf("  export REQUESTS_CA_BUNDLE=%s/trust/root.pem\n", i->dir);
	printf("  certbot register --server %s --agree-tos --register-unsafely-without-email \\\n", member(d, "directory"));
	printf("          --eab-kid %s --eab-hmac-key %s\n", member(d, "kid"), member(d, "hmac_key"));
	printf("  certbot certonly --server %s --standalone", member(d, "directory"));
	for (size_t k = 0; k < i->given_n; k++) {
		const char *san = i->given[k].value;

		if (strcmp(i->given[k].option->name, "san") != 0 || strncmp(san, "dns:", 4) != 0 || san[4] == '*')
			continue;
		printf(" -d %s", san + 4);
		named = true;
	}
	printf("%s%s\n", named ? "" : " -d ", named ? "" : member(d, "name"));
}

static enum exit_code eab_add(struct invocation *i)
{
	json_t *args = json_pack("{s:s}", "name", i->position[0]), *d;
	enum exit_code code;

	arg_list(i, args, "profile", "profile");
	arg_list(i, args, "san", "san");
	arg_text(i, args, "owner");
	arg_text(i, args, "ward");
	if (!arg_number(i, args, "uses") || !arg_duration(i, args, "valid")) {
		json_decref(args);
		return EXIT_USAGE;
	}
	code = ask(i, "acme.eab.add", args, &d);
	if (code != EXIT_DONE)
		return code;
	if (i->json) {
		print_json(d);
	} else {
		long long uses = (long long)json_integer_value(json_object_get(d, "uses"));

		printf("name         %s (profile %s)\n", member(d, "name"), member(d, "profile"));
		printf("kid          %s\n", member(d, "kid"));
		printf("HMAC key     %s\n", member(d, "hmac_key"));
		if (uses != 0)
			printf("             shown once; good for %lld account%s until %s\n", uses, uses == 1 ? "" : "s", member(d, "expires"));
		else
			printf("             shown once; good for accounts until %s\n", member(d, "expires"));
		printf("directory    %s\n", member(d, "directory"));
		printf("root SHA-256 %s\n", member(d, "root_sha256"));
		print_paste(i, d);
	}
	json_decref(d);
	return EXIT_DONE;
}

static enum exit_code eab_list(struct invocation *i)
{
	static const struct column columns[] = { { "name", "NAME" }, { "kid", "KID" }, { "profile", "PROFILE" }, { "enabled", "ENABLED" },
		                                 { "uses", "USES" }, { "used", "USED" }, { "expires", "EXPIRES" } };

	return show_table(i, "acme.eab.list", "eab", columns, COUNT_OF(columns), json_object());
}

static enum exit_code eab_disable(struct invocation *i)
{
	return show_object(i, "acme.eab.disable", json_pack("{s:s,s:b}", "name", i->position[0], "revoke", has_option(i, "revoke")));
}

static enum exit_code account_list(struct invocation *i)
{
	static const struct column columns[] = { { "id", "ID" }, { "name", "NAME" }, { "profile", "PROFILE" }, { "status", "STATUS" },
		                                 { "contact", "CONTACT" }, { "created", "CREATED" } };
	json_t *args = json_object();

	arg_text(i, args, "name");
	return show_table(i, "acme.account.list", "accounts", columns, COUNT_OF(columns), args);
}

static enum exit_code account_disable(struct invocation *i)
{
	char *end;
	long long id = strtoll(i->position[0], &end, 10);

	if (*end != 0 || id <= 0)
		return complain(EXIT_USAGE, "'%s' is no account's number; caduceus acme account list", i->position[0]);
	return show_object(i, "acme.account.disable", json_pack("{s:I}", "id", (json_int_t)id));
}

const struct command commands_acme[] = {
	{ "acme", "eab add", "NAME", 1, 1, "makes a key that binds ACME accounts to NAME", "caduceus acme eab add ehr.example --san dns:*.ehr.example",
	  eab_add,
	  { { "profile", "P", "the directory it is for (server); further ones may be asked for in an order", true },
	    { "san", "TYPE:VALUE", "a further name that it may have: dns, ip; dns:*.ward3.example, dns:*", true },
	    { "uses", "N", "accounts that the key may make (any number)", false },
	    { "valid", "DURATION", "how long it may make them (30d)", false },
	    { "owner", "TEXT", "who is responsible", false }, { "ward", "TEXT", "where it stands", false } } },
	{ "acme", "eab list", "", 0, 0, "lists the keys", "caduceus acme eab list", eab_list, { { 0 } } },
	{ "acme", "eab disable", "NAME|KID", 1, 1, "voids a key and the accounts that it has made", "caduceus acme eab disable ehr.example --revoke",
	  eab_disable, { { "revoke", NULL, "revokes their certificates, too", false } } },
	{ "acme", "account list", "", 0, 0, "lists the accounts", "caduceus acme account list --name ehr.example", account_list,
	  { { "name", "NAME", "those bound to NAME", false } } },
	{ "acme", "account disable", "ID", 1, 1, "voids one account", "caduceus acme account disable 7", account_disable, { { 0 } } },
	{ 0 },
};
