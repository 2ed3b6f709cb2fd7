/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/audit_verify.h"

#include "ra/audit.h"
#include "store/store.h"

#include <stdio.h>
#include <string.h>

int audit_verify_command(const char *uri, const char *option)
{
	AUTO_STRUCT(store) *s = NULL;
	struct audit_result r;
	struct err e;
	bool json = strcmp(option, "--audit-verify-json") == 0;

	if (!json && strcmp(option, "--audit-verify") != 0)
		return 2;
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
