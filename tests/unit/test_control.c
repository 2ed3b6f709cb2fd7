/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/control.h"
#include "ipc/frame.h"
#include "tests/cu.h"

#include <fcntl.h>
#include <unistd.h>

static void pair(int fd[2])
{
	CU_ASSERT_TRUE_FATAL(channel_pair(fd, NULL));
}

/* HSM-12: the reason of a role that ends is what `status` says; one that hangs has not read what the parent told it. */
static void test_last_words_of_one_that_did_not_read__HSM_12(void)
{
	int fd[2];
	struct control c;

	pair(fd);
	CU_ASSERT_TRUE(control_send(fd[0], CONTROL_LISTEN, "listen", -1, NULL));
	CU_ASSERT_TRUE(control_send(fd[1], CONTROL_FAILED, "the HSM hangs", -1, NULL));
	CU_ASSERT_TRUE(control_send(fd[1], CONTROL_FAILED, "and again", -1, NULL));
	close(fd[1]);
	CU_ASSERT_EQUAL(control_recv(fd[0], &c), CONTROL_GOT);
	CU_ASSERT_EQUAL(c.op, CONTROL_FAILED);
	CU_ASSERT_STRING_EQUAL(c.name, "the HSM hangs");
	CU_ASSERT_EQUAL(control_recv(fd[0], &c), CONTROL_GOT);
	CU_ASSERT_STRING_EQUAL(c.name, "and again");
	CU_ASSERT_EQUAL(control_recv(fd[0], &c), CONTROL_CLOSED);
	CU_ASSERT_EQUAL(control_recv(fd[0], &c), CONTROL_CLOSED);
	close(fd[0]);
}

static void test_nothing_then_a_descriptor_then_the_end(void)
{
	int fd[2], other = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct control c;

	pair(fd);
	CU_ASSERT_EQUAL(control_recv(fd[0], &c), CONTROL_EMPTY);
	CU_ASSERT_TRUE(control_send(fd[1], CONTROL_CHANNEL, "va", other, NULL));
	CU_ASSERT_EQUAL(control_recv(fd[0], &c), CONTROL_GOT);
	CU_ASSERT_EQUAL(c.op, CONTROL_CHANNEL);
	CU_ASSERT_STRING_EQUAL(c.name, "va");
	CU_ASSERT_TRUE(c.fd >= 0 && c.fd != other);
	close(c.fd);
	close(other);
	close(fd[1]);
	CU_ASSERT_EQUAL(control_recv(fd[0], &c), CONTROL_CLOSED);
	CU_ASSERT_FALSE(control_send(fd[0], CONTROL_STOP, "", -1, &(struct err){ 0 }));
	close(fd[0]);
}

/* A reason longer than there is room for is cut, and ends. */
static void test_a_long_reason_is_cut(void)
{
	char why[2 * CONTROL_NAME_MAX];
	int fd[2];
	struct control c;

	pair(fd);
	memset(why, 'x', sizeof why - 1);
	why[sizeof why - 1] = 0;
	CU_ASSERT_TRUE(control_send(fd[1], CONTROL_FAILED, why, -1, NULL));
	CU_ASSERT_EQUAL(control_recv(fd[0], &c), CONTROL_GOT);
	CU_ASSERT_EQUAL(strlen(c.name), CONTROL_NAME_MAX - 1);
	CU_ASSERT_EQUAL(c.fd, -1);
	close(fd[0]);
	close(fd[1]);
}

static const struct cu_case cases[] = {
	{ "last_words_of_one_that_did_not_read__HSM_12", test_last_words_of_one_that_did_not_read__HSM_12 },
	{ "nothing_then_a_descriptor_then_the_end", test_nothing_then_a_descriptor_then_the_end },
	{ "a_long_reason_is_cut", test_a_long_reason_is_cut },
};

CU_MAIN(cases)
