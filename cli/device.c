/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <stdio.h>

/* The lines to paste: everything filled in. */
static void print_paste(const struct invocation *i, json_t *d)
{
	const char *name = member(d, "name");

	printf("\nOn the device (its trust anchor is %s/trust/root.pem; compare its fingerprint):\n\n", i->dir);
	printf("  openssl ecparam -name prime256v1 -genkey -noout -out %s.key\n", name);
	printf("  openssl req -new -key %s.key -subj /CN=%s -outform DER | openssl base64 -A > %s.b64\n", name, name, name);
	printf("  curl --cacert %s/trust/root.pem -u %s:%s -H 'Content-Type: application/pkcs10' \\\n", i->dir, name,
	       member(d, "password"));
	printf("       --data-binary @%s.b64 %s/simpleenroll |\n", name, member(d, "est_url"));
	printf("    openssl base64 -d -A | openssl pkcs7 -inform DER -print_certs -out %s.pem\n", name);
}

static enum exit_code show_password(struct invocation *i, const char *verb, json_t *args)
{
	json_t *d;
	enum exit_code code = ask(i, verb, args, &d);

	if (code != EXIT_DONE)
		return code;
	if (i->json) {
		print_json(d);
	} else {
		printf("device       %s (profile %s)\n", member(d, "name"), member(d, "profile"));
		printf("password     %s\n", member(d, "password"));
		printf("             shown once; good for %lld enrolment%s until %s\n",
		       (long long)json_integer_value(json_object_get(d, "uses")),
		       json_integer_value(json_object_get(d, "uses")) == 1 ? "" : "s", member(d, "expires"));
		printf("EST          %s\n", member(d, "est_url"));
		printf("root SHA-256 %s\n", member(d, "root_sha256"));
		print_paste(i, d);
	}
	json_decref(d);
	return EXIT_DONE;
}

static enum exit_code device_add(struct invocation *i)
{
	json_t *args = json_pack("{s:s}", "name", i->position[0]);

	arg_text(i, args, "profile");
	arg_text(i, args, "owner");
	arg_text(i, args, "ward");
	arg_list(i, args, "san", "san");
	arg_list(i, args, "tag", "tag");
	if (!arg_number(i, args, "uses") || !arg_duration(i, args, "valid")) {
		json_decref(args);
		return EXIT_USAGE;
	}
	return show_password(i, "device.add", args);
}

static enum exit_code device_password(struct invocation *i)
{
	json_t *args = json_pack("{s:s}", "name", i->position[0]);

	if (!arg_number(i, args, "uses") || !arg_duration(i, args, "valid")) {
		json_decref(args);
		return EXIT_USAGE;
	}
	return show_password(i, "device.password", args);
}

static enum exit_code device_list(struct invocation *i)
{
	static const struct column columns[] = { { "name", "NAME" }, { "profile", "PROFILE" }, { "enabled", "ENABLED" },
		                                 { "owner", "OWNER" }, { "ward", "WARD" }, { "created", "CREATED" } };

	return show_table(i, "device.list", "devices", columns, COUNT_OF(columns), json_object());
}

static enum exit_code device_show(struct invocation *i)
{
	return show_object(i, "device.show", json_pack("{s:s}", "name", i->position[0]));
}

static enum exit_code device_disable(struct invocation *i)
{
	return show_object(i, "device.disable", json_pack("{s:s,s:b}", "name", i->position[0], "revoke", has_option(i, "revoke")));
}

static enum exit_code device_enable(struct invocation *i)
{
	return show_object(i, "device.enable", json_pack("{s:s}", "name", i->position[0]));
}

#define USES { "uses", "N", "enrolments that the password is good for (1)", false }
#define VALID { "valid", "DURATION", "how long it is good (7d)", false }

const struct command commands_device[] = {
	{ "device", "add", "NAME", 1, 1, "registers a device and prints its EST password",
	  "caduceus device add pump-7 --ward \"3 West\" --san dns:pump-7.ward3.example", device_add,
	  { { "profile", "P", "certificate profile (est.default_profile)", false },
	    { "san", "TYPE:VALUE", "a further name that it may have: dns, ip, email, uri; dns:*.ward3.example", true },
	    USES, VALID, { "owner", "TEXT", "who is responsible", false }, { "ward", "TEXT", "where it stands", false },
	    { "tag", "K=V", "a tag", true } } },
	{ "device", "list", "", 0, 0, "lists the devices", "caduceus device list", device_list, { { 0 } } },
	{ "device", "show", "NAME", 1, 1, "shows a device", "caduceus device show pump-7", device_show, { { 0 } } },
	{ "device", "password", "NAME", 1, 1, "makes a new EST password; the old one is void", "caduceus device password pump-7 --uses 2",
	  device_password, { USES, VALID } },
	{ "device", "disable", "NAME", 1, 1, "refuses a device from now on", "caduceus device disable pump-7 --revoke", device_disable,
	  { { "revoke", NULL, "revokes its certificates, too", false } } },
	{ "device", "enable", "NAME", 1, 1, "accepts it again", "caduceus device enable pump-7", device_enable, { { 0 } } },
	{ 0 },
};
