/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/offline.h"

#include "ra/audit.h"
#include "store/store.h"

#include <stdio.h>
#include <string.h>

static int audit_verify(const char *uri, bool json)
{
	AUTO_STRUCT(store) *s = NULL;
	struct audit_result r;
	struct err e;

	if (!store_open_reader(&s, uri, &e) || !audit_check(s, &r, &e)) {
		fprintf(stderr, "caduceus: %s\n", e.text);
		return 5;
	}
	if (json)
		printf("{\"ok\":%s,\"records\":%llu,\"bad_seq\":%llu,\"why\":\"%s\"}\n", r.whole ? "true" : "false",
		       (unsigned long long)r.records, (unsigned long long)r.bad_seq, r.why);
	else if (r.whole)
		printf("%llu records, the chain holds\n", (unsigned long long)r.records);
	if (!r.whole)
		fprintf(stderr, "caduceus: record %llu does not hold: %s\n", (unsigned long long)r.bad_seq, r.why);
	return r.whole ? 0 : 1;
}

static int upgrade(const char *uri)
{
	struct err e;
	int from, to;

	if (!store_upgrade(uri, &from, &to, &e)) {
		fprintf(stderr, "caduceus: %s\n", e.text);
		return 1;
	}
	if (from == to)
		printf("the database has schema %d already\n", to);
	else
		printf("schema %d -> %d; what was there before: %s.before-schema-%d\n", from, to, uri + strlen("sqlite:"), to);
	return 0;
}

/* Only a restored instance has something to accept. */
static int restored(const char *uri, const char *state)
{
	AUTO_STRUCT(store) *s = NULL;
	AUTO_BUF was = { 0 };
	struct err e;

	if (!store_open(&s, uri, false, &e) || !store_begin(s, &e))
		goto failed;
	if (strcmp(state, "accepted") == 0 && (!store_meta_get(s, "restored", &was, &e) || strcmp(buf_str(&was), "pending") != 0)) {
		fprintf(stderr, "caduceus: there is nothing to accept: this instance does not wait after a restore\n");
		store_rollback(s);
		return 1;
	}
	if (!store_meta_put(s, "restored", (struct span){ (const uint8_t *)state, strlen(state) }, &e) || !store_commit(s, &e))
		goto failed;
	return 0;
failed:
	fprintf(stderr, "caduceus: %s\n", e.text);
	return 1;
}

int offline_command(const char *uri, const char *option)
{
	if (strcmp(option, "--audit-verify") == 0 || strcmp(option, "--audit-verify-json") == 0)
		return audit_verify(uri, option[strlen("--audit-verify")] != 0);
	if (strcmp(option, "--upgrade") == 0)
		return upgrade(uri);
	if (strcmp(option, "--restored-pending") == 0 || strcmp(option, "--restored-accepted") == 0)
		return restored(uri, option + strlen("--restored-"));
	return 2;
}
