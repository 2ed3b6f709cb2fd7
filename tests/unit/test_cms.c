/* SPDX-License-Identifier: Apache-2.0 */
#include "pkix/cert.h"

#include "tests/cu.h"

#include "tests/unit/pkix_make.h"

#include <openssl/cms.h>
#include <openssl/pkcs7.h>
#include <unistd.h>

static void make(struct buf *out, const char *subject, enum make_key key)
{
	make_cert(out, &(struct make_cert){ .key = make_key(key), .signer = make_key(MAKE_P384), .subject = subject,
	                                    .issuer = "root" });
}

static X509 *decode(const struct buf *der)
{
	const uint8_t *p = der->p;

	return d2i_X509(NULL, &p, (long)der->n);
}

/* RFC 7030, 4.1.3; RFC 5272, 4.1: version 1, no signer, no content, no CRL. */
static void test_only_certificates__EST_03(void)
{
	static const char *const names[] = { "root", "devices", "servers" };
	struct buf certs[3] = { 0 };
	struct span spans[3];
	AUTO_BUF out = { 0 };
	STACK_OF(X509) *got;
	STACK_OF(X509_CRL) *crls;
	CMS_ContentInfo *cms;
	const uint8_t *p;

	for (int i = 0; i < 3; i++) {
		make(&certs[i], names[i], (enum make_key)i);
		spans[i] = span_of(&certs[i]);
	}
	cms_certs_only(&out, spans, 3);
	p = out.p;
	cms = d2i_CMS_ContentInfo(NULL, &p, (long)out.n);
	CU_ASSERT_PTR_NOT_NULL_FATAL(cms);
	CU_ASSERT_PTR_EQUAL(p, out.p + out.n);
	CU_ASSERT_EQUAL(OBJ_obj2nid(CMS_get0_type(cms)), NID_pkcs7_signed);
	CU_ASSERT_EQUAL(OBJ_obj2nid(CMS_get0_eContentType(cms)), NID_pkcs7_data);
	CU_ASSERT_PTR_NULL(*CMS_get0_content(cms));
	CU_ASSERT_TRUE(sk_CMS_SignerInfo_num(CMS_get0_SignerInfos(cms)) <= 0);
	crls = CMS_get1_crls(cms);
	CU_ASSERT_PTR_NULL(crls);
	got = CMS_get1_certs(cms);
	CU_ASSERT_EQUAL_FATAL(sk_X509_num(got), 3);
	for (int i = 0; i < 3; i++) {
		X509 *x = decode(&certs[i]);

		CU_ASSERT_EQUAL(X509_cmp(sk_X509_value(got, i), x), 0);
		X509_free(x);
		buf_free(&certs[i]);
	}
	sk_X509_pop_free(got, X509_free);
	CMS_ContentInfo_free(cms);
}

static void test_sizes_of_every_length_form(void)
{
	for (size_t n = 0; n <= 200; n += n < 3 ? 1 : 197) {
		AUTO_BUF cert = { 0 };
		AUTO_BUF out = { 0 };
		struct span *spans = mem_array(n, sizeof *spans);
		const uint8_t *p;
		PKCS7 *p7;

		make(&cert, "pump-7", MAKE_P256);
		for (size_t i = 0; i < n; i++)
			spans[i] = span_of(&cert);
		cms_certs_only(&out, spans, n);
		p = out.p;
		p7 = d2i_PKCS7(NULL, &p, (long)out.n);
		CU_ASSERT_PTR_NOT_NULL_FATAL(p7);
		CU_ASSERT_TRUE(PKCS7_type_is_signed(p7));
		CU_ASSERT_EQUAL(ASN1_INTEGER_get(p7->d.sign->version), 1);
		CU_ASSERT_EQUAL(sk_X509_num(p7->d.sign->cert), (int)n);
		PKCS7_free(p7);
		free(spans);
	}
}

/* The program that an administrator has at hand. */
static void test_openssl_prints_it__EST_03(void)
{
	AUTO_BUF one = { 0 };
	AUTO_BUF two = { 0 };
	AUTO_BUF out = { 0 };
	struct span spans[2];
	char path[] = "/tmp/caduceus-test-XXXXXX", command[128], line[256];
	int fd = mkstemp(path), subjects = 0, blocks = 0;
	FILE *f;

	make(&one, "devices", MAKE_P256);
	make(&two, "servers", MAKE_RSA2048);
	spans[0] = span_of(&one);
	spans[1] = span_of(&two);
	cms_certs_only(&out, spans, 2);
	CU_ASSERT_TRUE_FATAL(fd >= 0 && write(fd, out.p, out.n) == (ssize_t)out.n);
	close(fd);
	snprintf(command, sizeof command, "openssl pkcs7 -inform DER -in %s -print_certs", path);
	f = popen(command, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	while (fgets(line, sizeof line, f) != NULL) {
		subjects += strncmp(line, "subject=", 8) == 0;
		blocks += strncmp(line, "-----BEGIN CERTIFICATE", 22) == 0;
	}
	CU_ASSERT_EQUAL(pclose(f), 0);
	CU_ASSERT_TRUE(subjects == 2 && blocks == 2);
	unlink(path);
	make_free();
}

static const struct cu_case table[] = {
	{ "test_only_certificates__EST_03", test_only_certificates__EST_03 },
	{ "test_sizes_of_every_length_form", test_sizes_of_every_length_form },
	{ "test_openssl_prints_it__EST_03", test_openssl_prints_it__EST_03 },
};

CU_MAIN(table)
