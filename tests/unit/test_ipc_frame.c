/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/cursor.h"
#include "ipc/frame.h"
#include "tests/cu.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static void test_frames_refused(void)
{
	uint8_t p[FRAME_HEAD + FRAME_BODY_MAX + 1] = { 0 };
	struct frame f;
	struct err e;

	for (size_t n = 0; n < FRAME_HEAD; n++)
		CU_ASSERT_FALSE(frame_get(&f, p, n, &e));
	CU_ASSERT_FALSE(frame_get(&f, p, sizeof p, &e));
	CU_ASSERT_TRUE(frame_get(&f, p, sizeof p - 1, &e));
	CU_ASSERT_EQUAL(f.body.n, FRAME_BODY_MAX);
	for (int i = 4; i < 8; i++) {
		p[i] = 1; /* reserved */
		CU_ASSERT_FALSE(frame_get(&f, p, FRAME_HEAD, &e));
		CU_ASSERT_EQUAL(e.kind, ERR_BAD_REQUEST);
		p[i] = 0;
	}
	f = (struct frame){ .body = { p, FRAME_BODY_MAX + 1 } };
	AUTO_BUF out = { 0 };

	CU_ASSERT_FALSE(frame_put(&out, &f, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_TOO_LARGE);
	CU_ASSERT_EQUAL(out.n, 0);
}

static void test_frame_both_ways(void)
{
	const struct frame in = { .type = 0xabcd, .flags = 7, .id = UINT64_MAX, .deadline = INT64_MIN,
		                  .body = { (const uint8_t *)"body", 4 } };
	AUTO_BUF out = { 0 };
	struct frame f;
	struct err e;

	CU_ASSERT_TRUE(frame_put(&out, &in, &e));
	CU_ASSERT_EQUAL(out.n, FRAME_HEAD + 4);
	CU_ASSERT_TRUE(frame_get(&f, out.p, out.n, &e));
	CU_ASSERT_TRUE(f.type == in.type && f.flags == 7 && f.id == in.id && f.deadline == in.deadline && f.reserved == 0);
	CU_ASSERT_TRUE(span_equal(f.body, in.body));
}

static void test_malformed_closes_the_channel(void)
{
	static const size_t lengths[] = { 1, FRAME_HEAD - 1, 65537, 100000 };
	uint8_t p[100000] = { 0 };
	AUTO_BUF scratch = { 0 };
	struct frame f;
	struct err e;
	int fd[2];

	CU_ASSERT_TRUE_FATAL(channel_pair(fd, &e));
	CU_ASSERT_EQUAL(channel_recv(fd[1], &scratch, &f), CHANNEL_EMPTY);
	for (size_t i = 0; i < COUNT_OF(lengths); i++) {
		CU_ASSERT_EQUAL(send(fd[0], p, lengths[i], 0), (ssize_t)lengths[i]);
		CU_ASSERT_EQUAL(channel_recv(fd[1], &scratch, &f), CHANNEL_CLOSED);
	}
	CU_ASSERT_EQUAL(send(fd[0], p, 0, 0), 0);
	CU_ASSERT_EQUAL(channel_recv(fd[1], &scratch, &f), CHANNEL_CLOSED);
	CU_ASSERT_TRUE(channel_send(fd[0], &(struct frame){ .type = 2, .body = { p, FRAME_BODY_MAX } }, &e));
	CU_ASSERT_EQUAL(channel_recv(fd[1], &scratch, &f), CHANNEL_GOT);
	CU_ASSERT_EQUAL(f.body.n, FRAME_BODY_MAX);
	CU_ASSERT_FALSE(channel_send(fd[0], &(struct frame){ .body = { p, FRAME_BODY_MAX + 1 } }, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_TOO_LARGE);
	close(fd[0]);
	CU_ASSERT_EQUAL(channel_recv(fd[1], &scratch, &f), CHANNEL_CLOSED);
	CU_ASSERT_FALSE(channel_send(fd[1], &(struct frame){ .type = 2 }, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_IO);
	CU_ASSERT_FALSE(channel_send(-1, &(struct frame){ .type = 2 }, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_IO);
	close(fd[1]);
}

static void test_full_channel_is_busy(void)
{
	uint8_t body[60000] = { 0 };
	const struct frame f = { .type = 2, .body = { body, sizeof body } };
	AUTO_BUF scratch = { 0 };
	struct frame got;
	unsigned sent = 0;
	int64_t start;
	struct err e;
	int fd[2];

	CU_ASSERT_TRUE_FATAL(channel_pair(fd, &e));
	while (sent < 10000 && channel_send(fd[0], &f, &e))
		sent++;
	CU_ASSERT_TRUE(sent > 2 && sent < 10000);
	CU_ASSERT_EQUAL(e.kind, ERR_BUSY);
	start = clock_mono();
	CU_ASSERT_FALSE(channel_send_wait(fd[0], &f, start + 50000, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_BUSY);
	CU_ASSERT_TRUE(clock_mono() - start >= 50000 && clock_mono() - start < 2 * US_PER_SECOND);
	CU_ASSERT_FALSE(channel_send_wait(fd[0], &f, 0, &e));
	for (int i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(channel_recv(fd[1], &scratch, &got), CHANNEL_GOT);
	CU_ASSERT_TRUE(channel_send_wait(fd[0], &f, clock_mono() + US_PER_SECOND, &e));
	close(fd[1]);
	CU_ASSERT_FALSE(channel_send_wait(fd[0], &f, clock_mono() + 60 * US_PER_SECOND, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_IO);
	close(fd[0]);
}

static bool hello(const char *role, const char *build, uint16_t type, unsigned extra)
{
	AUTO_BUF body = { 0 };
	char got[16];
	struct err e;

	wr_text(&body, role);
	wr_text(&body, build);
	for (; extra != 0; extra--)
		wr_u8(&body, 0);
	return hello_check(&(struct frame){ .type = type, .body = span_of(&body) }, got, &e);
}

static void test_hello_refused(void)
{
	char role[16];
	struct err e;

	CU_ASSERT_TRUE(hello("ra", build_id(), FRAME_HELLO, 0));
	CU_ASSERT_FALSE(hello("ra", build_id(), FRAME_HELLO, 1));
	CU_ASSERT_FALSE(hello("ra", build_id(), FRAME_HELLO + 1, 0));
	CU_ASSERT_FALSE(hello("ra", "0.0.0", FRAME_HELLO, 0));
	CU_ASSERT_FALSE(hello("ra", "", FRAME_HELLO, 0));
	CU_ASSERT_FALSE(hello("a role of many words", build_id(), FRAME_HELLO, 0));
	CU_ASSERT_FALSE(hello_check(&(struct frame){ .type = FRAME_HELLO }, role, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_BAD_REQUEST);
}

static void test_hello_over_a_channel(void)
{
	AUTO_BUF scratch = { 0 };
	struct frame f;
	char role[16];
	struct err e;
	int fd[2];

	CU_ASSERT_TRUE_FATAL(channel_pair(fd, &e));
	CU_ASSERT_TRUE(channel_hello(fd[0], "va", &e));
	CU_ASSERT_EQUAL(channel_recv(fd[1], &scratch, &f), CHANNEL_GOT);
	CU_ASSERT_TRUE(hello_check(&f, role, &e));
	CU_ASSERT_STRING_EQUAL(role, "va");
	close(fd[0]);
	close(fd[1]);
}

/* An answer that was sent is an answer, whatever its sender left unread when it ended. */
static void test_what_was_sent_before_the_end_arrives(void)
{
	AUTO_BUF scratch = { 0 };
	struct frame f;
	int fd[2];

	CU_ASSERT_TRUE_FATAL(channel_pair(fd, NULL));
	CU_ASSERT_TRUE(channel_send(fd[0], &(struct frame){ .type = 2, .id = 1 }, NULL));
	CU_ASSERT_TRUE(channel_send(fd[1], &(struct frame){ .type = 3, .id = 2 }, NULL));
	close(fd[1]);
	CU_ASSERT_EQUAL(channel_recv(fd[0], &scratch, &f), CHANNEL_GOT);
	CU_ASSERT_EQUAL(f.id, 2);
	CU_ASSERT_EQUAL(channel_recv(fd[0], &scratch, &f), CHANNEL_CLOSED);
	close(fd[0]);
}

static const struct cu_case cases[] = {
	{ "frames_refused", test_frames_refused },
	{ "frame_both_ways", test_frame_both_ways },
	{ "malformed_closes_the_channel", test_malformed_closes_the_channel },
	{ "what_was_sent_before_the_end_arrives", test_what_was_sent_before_the_end_arrives },
	{ "full_channel_is_busy", test_full_channel_is_busy },
	{ "hello_refused", test_hello_refused },
	{ "hello_over_a_channel", test_hello_over_a_channel },
};

CU_MAIN(cases)
