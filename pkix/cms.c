/* SPDX-License-Identifier: Apache-2.0 */
#include "pkix/cert.h"

#include "base/der.h"

/* 1.2.840.113549.1.7.2 and .1 */
static const uint8_t oid_signed_data[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02 };
static const uint8_t oid_data[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01 };

void cms_certs_only(struct buf *out, const struct span *certs, size_t n)
{
	size_t info = der_begin(out, DER_SEQUENCE), content, data, encap, set;

	der_put(out, DER_OID, oid_signed_data, sizeof oid_signed_data);
	content = der_begin(out, DER_CONTEXT_CONS | 0);
	data = der_begin(out, DER_SEQUENCE);
	der_put_uint(out, 1);
	der_put(out, DER_SET, NULL, 0); /* no digest algorithms */
	encap = der_begin(out, DER_SEQUENCE);
	der_put(out, DER_OID, oid_data, sizeof oid_data);
	der_end(out, encap);
	set = der_begin(out, DER_CONTEXT_CONS | 0);
	for (size_t i = 0; i < n; i++)
		buf_add(out, certs[i].p, certs[i].n);
	der_end(out, set);
	der_put(out, DER_SET, NULL, 0); /* no signers */
	der_end(out, data);
	der_end(out, content);
	der_end(out, info);
}
