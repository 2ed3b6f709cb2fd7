/* SPDX-License-Identifier: Apache-2.0
 *
 * A DNS answer, and its rdata as TXT and as CAA. */
#include "base/text.h"
#include "probe/dns.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned types[] = { DNS_A, DNS_AAAA, DNS_TXT, DNS_CAA, DNS_CNAME };
	struct dns_records set;
	char why[120] = "";

	for (size_t i = 0; i < COUNT_OF(types); i++) {
		if (!dns_read(&set, types[i], data, size, NULL))
			continue;
		if (set.n > DNS_RECORD_MAX || set.cnames > DNS_CNAME_MAX)
			abort();
		for (unsigned k = 0; k < set.n; k++) {
			AUTO_BUF text = { 0 };
			struct caa_record r;

			if (set.rdata[k].p < data || set.rdata[k].p + set.rdata[k].n > data + size)
				abort();
			if (dns_txt(&text, set.rdata[k], NULL) && text.n >= set.rdata[k].n)
				abort();
			(void)!dns_caa(&r, set.rdata[k], NULL);
		}
		for (int wild = 0; wild < 2; wild++)
			if (!caa_allows(&set, &(struct caa_ask){ "ca.test", wild != 0, "http-01", "https://ca.test/1" }, why, sizeof why) &&
			    (why[0] == 0 || !text_is_clean_utf8(why, strlen(why))))
				abort();
	}
	return 0;
}
