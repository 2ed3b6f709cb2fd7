/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/rnd.h"
#include "base/text.h"
#include "tests/cu.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_hex_refuses(void)
{
	static const char *const bad[] = { "0", "abc", "0g", "g0", " 00", "00 ", "0x00", "00:11", "\xc3\xa4" "0", "-1" };
	uint8_t out[4];
	size_t n;

	for (size_t i = 0; i < COUNT_OF(bad); i++)
		CU_ASSERT_FALSE(hex_get(bad[i], out, sizeof out, &n));
	CU_ASSERT_FALSE(hex_get("0011223344", out, sizeof out, &n));
}

static void test_hex_both_ways(void)
{
	uint8_t all[256], back[256];
	char text[513];
	size_t n = 9;

	for (int i = 0; i < 256; i++)
		all[i] = (uint8_t)i;
	hex_put(text, all, 256);
	CU_ASSERT_TRUE(hex_get(text, back, 256, &n));
	CU_ASSERT_EQUAL(n, 256);
	CU_ASSERT_EQUAL(memcmp(all, back, 256), 0);
	CU_ASSERT_TRUE(hex_get("aBCdeF", back, 3, &n));
	CU_ASSERT_EQUAL(back[1], 0xcd);
	CU_ASSERT_TRUE(hex_get("", back, 0, &n));
	CU_ASSERT_EQUAL(n, 0);
	hex_put(text, NULL, 0);
	CU_ASSERT_STRING_EQUAL(text, "");
}

static bool b64(const char *text)
{
	AUTO_BUF out = { 0 };

	return b64_get(&out, text, strlen(text));
}

static bool b64url(const char *text)
{
	AUTO_BUF out = { 0 };

	return b64url_get(&out, text, strlen(text));
}

/* EST-04 and RFC 4648, 3.2 to 3.5. */
static void test_base64_refuses(void)
{
	static const char *const bad[] = {
		"A", "AA", "AAA", "AA=", "A=", "A==", "A===", "=", "==", "====", "AAAA=", "AAAA==", "AAAA====", "AA===",
		"AA==A", "AA==AAAA", "AA=A", "AAA=A", "AAAAA", "AAAA A", "AB==", "AAB=", "AA-_", "AAA\x80", "AAA.", "AAA*",
		"AA\v==", "AAAA\f", "AAAA\xa0", "-----", "AAA=AAA=", "QQ==\nQQ==",
	};

	for (size_t i = 0; i < COUNT_OF(bad); i++)
		CU_ASSERT_FALSE(b64(bad[i]));
	AUTO_BUF out = { 0 };

	CU_ASSERT_FALSE(b64_get(&out, "AAAA\0AAA", 8));
}

static void test_base64_takes_white_space(void)
{
	static const char *const good[] = { "", "\r\n", "AAAA", "A A A A", "AA\r\n==\r\n", "A\tA=\n=", "AA AA\nAAA=", " AA== " };

	for (size_t i = 0; i < COUNT_OF(good); i++)
		CU_ASSERT_TRUE(b64(good[i]));
}

/* RFC 4648, 10. */
static void test_base64_vectors(void)
{
	static const char *const want[] = { "", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy" };

	for (size_t n = 0; n < COUNT_OF(want); n++) {
		AUTO_BUF text = { 0 };
		AUTO_BUF back = { 0 };

		b64_put(&text, "foobar", n, B64_ONE_LINE);
		CU_ASSERT_STRING_EQUAL(buf_str(&text), want[n]);
		CU_ASSERT_TRUE(b64_get(&back, want[n], strlen(want[n])));
		CU_ASSERT_EQUAL(back.n, n);
		CU_ASSERT_TRUE(n == 0 || memcmp(back.p, "foobar", n) == 0);
	}
}

static void test_base64_lines(void)
{
	uint8_t in[200] = { 0 };

	for (size_t n = 0; n <= sizeof in; n++) {
		AUTO_BUF text = { 0 };
		AUTO_BUF back = { 0 };
		size_t column = 0, longest = 0;

		b64_put(&text, in, n, B64_WRAPPED_64);
		for (size_t i = 0; i < text.n; i++) {
			column = text.p[i] == '\n' ? 0 : column + 1;
			longest = column > longest ? column : longest;
		}
		CU_ASSERT_TRUE(longest <= 64);
		CU_ASSERT_TRUE(n == 0 ? text.n == 0 : text.p[text.n - 1] == '\n');
		CU_ASSERT_TRUE(b64_get(&back, (const char *)text.p, text.n));
		CU_ASSERT_EQUAL(back.n, n);
	}
}

static void test_base64url(void)
{
	static const char *const bad[] = { "A", "AA==", "AA=", "AAAAA", "AA+/", "AA AA", "AAAA\n", "AB", "AAB", "A.A" };
	static const uint8_t in[] = { 0xfb, 0xff, 0xfe, 0xff };
	AUTO_BUF text = { 0 };

	for (size_t i = 0; i < COUNT_OF(bad); i++)
		CU_ASSERT_FALSE(b64url(bad[i]));
	b64url_put(&text, in, sizeof in);
	CU_ASSERT_STRING_EQUAL(buf_str(&text), "-__-_w");
	CU_ASSERT_TRUE(b64url("-__-_w"));
	CU_ASSERT_TRUE(b64url(""));
}

static bool pem(const char *text, const char *label, size_t *rest)
{
	AUTO_BUF out = { 0 };

	return pem_get(&out, label, text, strlen(text), rest);
}

static void test_pem_refuses(void)
{
	static const char *const bad[] = {
		"", "AAAA", "-----BEGIN X-----", "-----BEGIN X-----\nAAAA\n", "-----BEGIN X-----\nAAAA\n-----END Y-----\n",
		"-----END X-----\n-----BEGIN X-----\nAAAA\n", "-----BEGIN X-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END X-----\n",
		"-----BEGIN X-----\nAAA\n-----END X-----\n", "-----BEGIN XY-----\nAAAA\n-----END XY-----\n",
		"-----BEGIN X-----\nAA==AA==\n-----END X-----\n", "----BEGIN X----\nAAAA\n----END X----\n",
	};

	for (size_t i = 0; i < COUNT_OF(bad); i++)
		CU_ASSERT_FALSE(pem(bad[i], "X", NULL));
}

static void test_pem_takes_the_first_of_its_label(void)
{
	AUTO_BUF text = { 0 };
	AUTO_BUF out = { 0 };
	size_t rest = 0;

	buf_text(&text, "a comment\n");
	pem_put(&text, "OTHER", "no", 2);
	pem_put(&text, "X", "one", 3);
	pem_put(&text, "X", "two", 3);
	CU_ASSERT_TRUE_FATAL(pem_get(&out, "X", (const char *)text.p, text.n, &rest));
	CU_ASSERT_EQUAL(memcmp(out.p, "one", 3), 0);
	out.n = 0;
	CU_ASSERT_TRUE_FATAL(pem_get(&out, "X", (const char *)text.p + rest, text.n - rest, &rest));
	CU_ASSERT_EQUAL(memcmp(out.p, "two", 3), 0);
}

static void test_utf8_refuses(void)
{
	static const char *const bad[] = {
		"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x41", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xed\xa0\x80",
		"\xed\xbf\xbf", "\xe2\x82", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
		"\xf8\x88\x80\x80\x80", "\xff", "\xfe", "a\nb", "a\tb", "\x1b[31m", "\x7f", "\xc2\x80", "\xc2\x9b", "\xc2\x9f",
		"ok\xe2\x82", "ok\xf0\x9f\x98",
	};

	for (size_t i = 0; i < COUNT_OF(bad); i++)
		CU_ASSERT_FALSE(text_is_clean_utf8(bad[i], strlen(bad[i])));
	CU_ASSERT_FALSE(text_is_clean_utf8("a\0b", 3));
}

static void test_utf8_takes(void)
{
	static const char *const good[] = { "", "pump-1", "\xc3\xa4", "\xc2\xa0", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
		                            "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf",
		                            "Universit\xc3\xa4tsklinikum", "\xe2\x82\xac \xf0\x9f\x98\x80" };

	for (size_t i = 0; i < COUNT_OF(good); i++)
		CU_ASSERT_TRUE(text_is_clean_utf8(good[i], strlen(good[i])));
}

static void test_equal_const_time(void)
{
	CU_ASSERT_TRUE(text_equal_const_time("abc", "abd", 2));
	CU_ASSERT_FALSE(text_equal_const_time("abc", "abd", 3));
	CU_ASSERT_FALSE(text_equal_const_time("\x80", "\x00", 1));
	CU_ASSERT_TRUE(text_equal_const_time("", "", 0));
}

static void test_uuid(void)
{
	char a[37], b[37];

	rnd_uuid(rnd_kernel, a);
	rnd_uuid(rnd_kernel, b);
	CU_ASSERT_EQUAL(strlen(a), 36);
	CU_ASSERT_STRING_NOT_EQUAL(a, b);
	CU_ASSERT_EQUAL(a[14], '4');
	CU_ASSERT_PTR_NOT_NULL(strchr("89ab", a[19]));
}

/* --- Errors */

static void test_err(void)
{
	struct err e = { 0 };
	char longest[2000];

	CU_ASSERT_FALSE(err_set(NULL, ERR_IO, "x"));
	CU_ASSERT_FALSE(err_sys(NULL, ERR_IO, "x"));
	CU_ASSERT_FALSE(err_in(NULL, "x"));
	errno = ENOENT;
	CU_ASSERT_FALSE(err_sys(&e, ERR_IO, "file %d", 7));
	CU_ASSERT_STRING_EQUAL(e.text, "file 7: No such file or directory");
	CU_ASSERT_FALSE(err_in(&e, "in %s", "a.yaml"));
	CU_ASSERT_STRING_EQUAL(e.text, "in a.yaml: file 7: No such file or directory");
	CU_ASSERT_EQUAL(e.kind, ERR_IO);
	memset(longest, 'x', sizeof longest - 1);
	longest[sizeof longest - 1] = 0;
	err_set(&e, ERR_IO, "%s", longest);
	CU_ASSERT_EQUAL(strlen(e.text), sizeof e.text - 1);
	err_in(&e, "%s", longest);
	CU_ASSERT_EQUAL(strlen(e.text), sizeof e.text - 1);
	for (int i = 0; i < ERR_KIND_COUNT; i++)
		CU_ASSERT_PTR_NOT_NULL(err_kind_name((enum err_kind)i));
	CU_ASSERT_STRING_EQUAL(err_kind_name((enum err_kind)999), "internal");
}

/* --- Logs: a peer can't write a line, or to the terminal, of its own (CWE-117) */

static void logged(const char *value, char out[512])
{
	int pipes[2], was = dup(2);
	ssize_t n;

	CU_ASSERT_EQUAL_FATAL(pipe(pipes), 0);
	dup2(pipes[1], 2);
	log_event(LOG_LEVEL_ERROR, "said", "value", value, "none", NULL, "after", LOG_NUM(-7), NULL);
	dup2(was, 2);
	close(was);
	close(pipes[1]);
	n = read(pipes[0], out, 511);
	out[n > 0 ? n : 0] = 0;
	close(pipes[0]);
}

static void test_log_escapes(void)
{
	static const struct {
		const char *value, *want;
	} table[] = {
		{ "plain/1:2@3+4-5._", " value=plain/1:2@3+4-5._ after=-7\n" },
		{ "", " value=\"\" after" },
		{ "two words", " value=\"two words\" after" },
		{ "a\nts=0 level=info msg=forged", " value=\"a\\x0ats=0 level=info msg=forged\" after" },
		{ "q\"uo\\te", " value=\"q\\\"uo\\\\te\" after" },
		{ "\x1b[2J\x7f\r", " value=\"\\x1b[2J\\x7f\\x0d\" after" },
		{ "k\xc3\xa4" "fer", " value=\"k\xc3\xa4" "fer\" after" },
		{ "\xc2\x9b" "2J", " value=\"\\xc2\\x9b2J\" after" },
		{ "\xff\xfe", " value=\"\\xff\\xfe\" after" },
	};

	for (size_t i = 0; i < COUNT_OF(table); i++) {
		char line[512];

		logged(table[i].value, line);
		CU_ASSERT_PTR_NOT_NULL(strstr(line, table[i].want));
		CU_ASSERT_PTR_NULL(strstr(line, "none="));
		CU_ASSERT_PTR_EQUAL(strchr(line, '\n'), line + strlen(line) - 1);
	}
}

static void test_log_levels(void)
{
	static const char *const bad[] = { "", "INFO", "warning", "trace", "info " };
	enum log_level level;

	for (size_t i = 0; i < COUNT_OF(bad); i++)
		CU_ASSERT_FALSE(log_level_parse(bad[i], &level));
	CU_ASSERT_TRUE(log_level_parse("warn", &level));
	CU_ASSERT_EQUAL(level, LOG_LEVEL_WARN);
}

/* --- Buffers and files */

static void test_buf(void)
{
	AUTO_BUF b = { 0 };

	CU_ASSERT_STRING_EQUAL(buf_str(&b), "");
	buf_add(&b, NULL, 0);
	for (int i = 0; i < 1000; i++)
		buf_printf(&b, "%d,", i);
	CU_ASSERT_EQUAL(b.n, 10 * 2 + 90 * 3 + 900 * 4);
	CU_ASSERT_EQUAL(strlen(buf_str(&b)), b.n);
	CU_ASSERT_TRUE(span_equal((struct span){ NULL, 0 }, (struct span){ b.p, 0 }));
	CU_ASSERT_FALSE(span_equal((struct span){ b.p, 1 }, (struct span){ b.p, 2 }));
	CU_ASSERT_FALSE(span_equal((struct span){ b.p, 1 }, (struct span){ b.p + 1, 1 }));
}

static void test_files(void)
{
	char dir[] = "/tmp/caduceus-file-XXXXXX", path[64];
	AUTO_BUF b = { 0 };
	struct stat st;
	struct err e;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/a", dir);
	CU_ASSERT_FALSE(file_read(&b, path, 10, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_NOT_FOUND);
	CU_ASSERT_FALSE(file_read(&b, dir, 10, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_IO);
	CU_ASSERT_TRUE(file_write_atomic(path, "0123456789", 10, 0600, &e));
	CU_ASSERT_TRUE(file_read(&b, path, 10, &e));
	CU_ASSERT_EQUAL(b.n, 10);
	CU_ASSERT_FALSE(file_read(&b, path, 9, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_TOO_LARGE);
	CU_ASSERT_TRUE(file_write_atomic(path, "", 0, 0640, &e));
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0640);
	CU_ASSERT_EQUAL(st.st_size, 0);
	CU_ASSERT_FALSE(file_write_atomic("/nonexistent/x", "", 0, 0600, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_IO);
	CU_ASSERT_EQUAL(unlink(path), 0);
	CU_ASSERT_EQUAL(rmdir(dir), 0); /* no temporary file was left */
}

static const struct cu_case cases[] = {
	{ "hex_refuses", test_hex_refuses },
	{ "hex_both_ways", test_hex_both_ways },
	{ "base64_refuses", test_base64_refuses },
	{ "base64_takes_white_space", test_base64_takes_white_space },
	{ "base64_vectors", test_base64_vectors },
	{ "base64_lines", test_base64_lines },
	{ "base64url", test_base64url },
	{ "pem_refuses", test_pem_refuses },
	{ "pem_takes_the_first_of_its_label", test_pem_takes_the_first_of_its_label },
	{ "utf8_refuses", test_utf8_refuses },
	{ "utf8_takes", test_utf8_takes },
	{ "equal_const_time", test_equal_const_time },
	{ "uuid", test_uuid },
	{ "err", test_err },
	{ "log_escapes", test_log_escapes },
	{ "log_levels", test_log_levels },
	{ "buf", test_buf },
	{ "files", test_files },
};

CU_MAIN(cases)
