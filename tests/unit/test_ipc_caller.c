/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "ipc/caller.h"
#include "tests/cu.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

/* The other side, by hand. */
struct peer {
	int fd;
	struct buf scratch;
};

static struct peer peer_on(struct caller *c, bool greet)
{
	struct err e;
	int fd[2];

	CU_ASSERT_TRUE_FATAL(channel_pair(fd, &e));
	if (greet)
		CU_ASSERT_TRUE(channel_hello(fd[1], "ra", &e));
	caller_channel(c, fd[0]);
	return (struct peer){ .fd = fd[1] };
}

static void peer_free(struct peer *p)
{
	if (p->fd >= 0)
		close(p->fd);
	buf_free(&p->scratch);
}

static bool peer_take(struct peer *p, struct frame *f)
{
	for (;;) {
		struct pollfd wait = { .fd = p->fd, .events = POLLIN };

		if (poll(&wait, 1, 3000) != 1 || channel_recv(p->fd, &p->scratch, f) != CHANNEL_GOT)
			return false;
		if (f->type != FRAME_HELLO)
			return true;
	}
}

static void wait_up(struct caller *c, bool up)
{
	for (int i = 0; i < 300 && caller_is_up(c) != up; i++)
		usleep(10000);
	CU_ASSERT_EQUAL_FATAL(caller_is_up(c), up);
}

struct answers {
	atomic_uint good, busy, late, other;
};

static void answered(void *arg, const struct frame *f, const struct err *e)
{
	struct answers *a = arg;

	if (f != NULL)
		a->good++;
	else if (e->kind == ERR_BUSY)
		a->busy++;
	else if (e->kind == ERR_TIMEOUT)
		a->late++;
	else
		a->other++;
}

static unsigned all(struct answers *a)
{
	return a->good + a->busy + a->late + a->other;
}

static void settle(struct answers *a, unsigned n)
{
	for (int i = 0; i < 300 && all(a) < n; i++)
		usleep(10000);
	usleep(20000);
	CU_ASSERT_EQUAL(all(a), n);
}

static void test_nobody_there_is_busy_at_once(void)
{
	struct caller *c = caller_new("test", NULL, NULL, NULL);
	struct answers a = { 0 };
	const struct frame f = { .type = 9, .deadline = clock_mono() + 60 * US_PER_SECOND };
	AUTO_BUF body = { 0 };
	uint16_t type;
	struct err e;

	caller_submit(c, &f, answered, &a);
	CU_ASSERT_EQUAL(a.busy, 1);
	CU_ASSERT_FALSE(caller_call(c, &f, &type, &body, &e));
	CU_ASSERT_EQUAL(e.kind, ERR_BUSY);
	CU_ASSERT_TRUE(e.retry_after > 0);
	CU_ASSERT_FALSE(caller_tell(c, &f, &e));
	/* A channel without its HELLO is nobody as well. */
	struct peer p = peer_on(c, false);

	usleep(50000);
	CU_ASSERT_FALSE(caller_is_up(c));
	caller_submit(c, &f, answered, &a);
	CU_ASSERT_EQUAL(a.busy, 2);
	caller_free(c);
	peer_free(&p);
}

static void test_another_build_is_refused(void)
{
	struct caller *c = caller_new("test", NULL, NULL, NULL);
	struct peer p = peer_on(c, false);
	struct frame f;
	struct err e;

	CU_ASSERT_TRUE(channel_send(p.fd, &(struct frame){ .type = FRAME_HELLO, .body = { (const uint8_t *)"\0\0\0\0", 4 } }, &e));
	CU_ASSERT_FALSE(peer_take(&p, &f)); /* its HELLO, then the end */
	CU_ASSERT_FALSE(caller_is_up(c));
	caller_free(c);
	peer_free(&p);
}

static void *echo(void *arg)
{
	struct peer *p = arg;
	struct frame f;
	struct err e;

	while (peer_take(p, &f) && f.type != 99) {
		f.type++;
		(void)!channel_send_wait(p->fd, &f, clock_mono() + US_PER_SECOND, &e);
	}
	return NULL;
}

struct asker {
	struct caller *c;
	uint8_t mark;
	unsigned good;
};

static void *ask(void *arg)
{
	struct asker *a = arg;
	AUTO_BUF body = { 0 };

	for (int i = 0; i < 100; i++) {
		uint8_t octets[2] = { a->mark, (uint8_t)i };
		uint16_t type = 0;
		struct err e;

		if (caller_call(a->c, &(struct frame){ .type = 10, .body = { octets, 2 } }, &type, &body, &e) && type == 11 &&
		    body.n == 2 && memcmp(body.p, octets, 2) == 0)
			a->good++;
	}
	return NULL;
}

static void test_many_threads_get_their_own_answers(void)
{
	struct caller *c = caller_new("test", NULL, NULL, NULL);
	struct peer p = peer_on(c, true);
	struct asker askers[8];
	pthread_t t[8], other;
	struct err e;

	wait_up(c, true);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&other, NULL, echo, &p), 0);
	for (uint8_t i = 0; i < 8; i++) {
		askers[i] = (struct asker){ .c = c, .mark = i };
		CU_ASSERT_EQUAL_FATAL(pthread_create(&t[i], NULL, ask, &askers[i]), 0);
	}
	for (int i = 0; i < 8; i++) {
		pthread_join(t[i], NULL);
		CU_ASSERT_EQUAL(askers[i].good, 100);
	}
	CU_ASSERT_TRUE(caller_tell(c, &(struct frame){ .type = 99 }, &e));
	pthread_join(other, NULL);
	caller_free(c);
	peer_free(&p);
}

static void test_deadline_then_late_answer(void)
{
	struct caller *c = caller_new("test", NULL, NULL, NULL);
	struct peer p = peer_on(c, true);
	struct answers first = { 0 }, second = { 0 };
	struct frame f, g;
	struct err e;
	uint64_t id;

	wait_up(c, true);
	caller_submit(c, &(struct frame){ .type = 9, .deadline = clock_mono() + 20000 }, answered, &first);
	CU_ASSERT_TRUE_FATAL(peer_take(&p, &f));
	id = f.id;
	CU_ASSERT_TRUE(f.deadline != 0);
	settle(&first, 1);
	CU_ASSERT_EQUAL(first.late, 1);
	/* The answer comes after all, twice, and from nowhere: a stranger in the same slot must not get it. */
	caller_submit(c, &(struct frame){ .type = 9, .deadline = clock_mono() + 10 * US_PER_SECOND }, answered, &second);
	CU_ASSERT_TRUE_FATAL(peer_take(&p, &g));
	CU_ASSERT_NOT_EQUAL(g.id, id);
	for (int i = 0; i < 2; i++)
		CU_ASSERT_TRUE(channel_send(p.fd, &(struct frame){ .type = 10, .id = id }, &e));
	CU_ASSERT_TRUE(channel_send(p.fd, &(struct frame){ .type = 10, .id = UINT64_MAX }, &e));
	CU_ASSERT_TRUE(channel_send(p.fd, &(struct frame){ .type = 10, .id = (g.id & 0xffffffff) | UINT64_C(77) << 32 }, &e));
	usleep(50000);
	CU_ASSERT_EQUAL(all(&second), 0);
	CU_ASSERT_TRUE(channel_send(p.fd, &(struct frame){ .type = 10, .id = g.id }, &e));
	CU_ASSERT_TRUE(channel_send(p.fd, &(struct frame){ .type = 10, .id = g.id }, &e));
	settle(&second, 1);
	CU_ASSERT_EQUAL(second.good, 1);
	CU_ASSERT_EQUAL(all(&first), 1);
	caller_free(c);
	peer_free(&p);
}

static atomic_uint ups;

static void up(void *arg)
{
	(void)arg;
	ups++;
}

static void test_peer_dies_and_comes_back(void)
{
	struct caller *c;
	struct answers a = { 0 };
	struct peer p, q;
	struct frame f;
	struct err e;

	ups = 0;
	c = caller_new("test", NULL, up, NULL);
	p = peer_on(c, true);
	wait_up(c, true);
	for (int i = 0; i < 10; i++)
		caller_submit(c, &(struct frame){ .type = 9 }, answered, &a);
	CU_ASSERT_EQUAL(all(&a), 0);
	peer_free(&p);
	settle(&a, 10);
	CU_ASSERT_EQUAL(a.busy, 10);
	CU_ASSERT_FALSE(caller_is_up(c));
	q = peer_on(c, true);
	wait_up(c, true);
	caller_submit(c, &(struct frame){ .type = 9 }, answered, &a);
	CU_ASSERT_TRUE_FATAL(peer_take(&q, &f));
	CU_ASSERT_TRUE(channel_send(q.fd, &(struct frame){ .type = 10, .id = f.id }, &e));
	settle(&a, 11);
	CU_ASSERT_EQUAL(a.good, 1);
	for (int i = 0; i < 100 && ups != 2; i++)
		usleep(10000);
	CU_ASSERT_EQUAL(ups, 2);
	/* Taken away by the parent: the same. */
	caller_submit(c, &(struct frame){ .type = 9 }, answered, &a);
	caller_channel(c, -1);
	settle(&a, 12);
	CU_ASSERT_EQUAL(a.busy, 11);
	caller_free(c);
	peer_free(&q);
}

static void test_new_channel_replaces_the_old(void)
{
	struct caller *c = caller_new("test", NULL, NULL, NULL);
	struct peer p = peer_on(c, true), q;
	struct answers a = { 0 };
	struct frame f;

	wait_up(c, true);
	caller_submit(c, &(struct frame){ .type = 9 }, answered, &a);
	q = peer_on(c, true);
	settle(&a, 1);
	CU_ASSERT_EQUAL(a.busy, 1);
	wait_up(c, true);
	caller_submit(c, &(struct frame){ .type = 12 }, answered, &a);
	CU_ASSERT_TRUE(peer_take(&q, &f) && f.type == 12);
	/* Whoever is left gets an answer at the end. */
	caller_free(c);
	CU_ASSERT_EQUAL(a.busy, 2);
	peer_free(&p);
	peer_free(&q);
}

static void test_malformed_frame_ends_the_channel(void)
{
	struct caller *c = caller_new("test", NULL, NULL, NULL);
	struct peer p = peer_on(c, true);
	struct answers a = { 0 };

	wait_up(c, true);
	caller_submit(c, &(struct frame){ .type = 9 }, answered, &a);
	CU_ASSERT_EQUAL(write(p.fd, "short", 5), 5);
	settle(&a, 1);
	CU_ASSERT_EQUAL(a.busy, 1);
	CU_ASSERT_FALSE(caller_is_up(c));
	caller_free(c);
	peer_free(&p);
}

static atomic_uint notices;

static void noticed(void *arg, const struct frame *f)
{
	(void)arg;
	notices += f->type == 40 && f->body.n == 3;
}

static void test_notices_and_tells(void)
{
	struct caller *c;
	struct peer p;
	struct frame f;
	struct err e;

	notices = 0;
	c = caller_new("test", noticed, NULL, NULL);
	p = peer_on(c, false);
	/* Before HELLO nothing is heard. */
	CU_ASSERT_TRUE(channel_send(p.fd, &(struct frame){ .type = 40, .body = { (const uint8_t *)"abc", 3 } }, &e));
	usleep(80000);
	CU_ASSERT_EQUAL(notices, 0);
	peer_free(&p);
	p = peer_on(c, true);
	wait_up(c, true);
	for (int i = 0; i < 5; i++)
		CU_ASSERT_TRUE(channel_send(p.fd, &(struct frame){ .type = 40, .body = { (const uint8_t *)"abc", 3 } }, &e));
	for (int i = 0; i < 100 && notices != 5; i++)
		usleep(10000);
	CU_ASSERT_EQUAL(notices, 5);
	CU_ASSERT_TRUE(caller_tell(c, &(struct frame){ .type = 41, .id = 5 }, &e));
	CU_ASSERT_TRUE(peer_take(&p, &f) && f.type == 41 && f.id == 0);
	caller_free(c);
	peer_free(&p);
}

/* More at once than there is room for: refused, not blocked, and each answered once. */
static void test_outstanding_is_bounded(void)
{
	struct caller *c = caller_new("test", NULL, NULL, NULL);
	struct peer p = peer_on(c, true);
	struct answers a = { 0 };

	wait_up(c, true);
	for (int i = 0; i < 6000; i++)
		caller_submit(c, &(struct frame){ .type = 9 }, answered, &a);
	CU_ASSERT_TRUE(a.busy >= 6000 - 4096);
	peer_free(&p);
	settle(&a, 6000);
	CU_ASSERT_EQUAL(a.busy, 6000);
	caller_free(c);
}

static const struct cu_case cases[] = {
	{ "nobody_there_is_busy_at_once", test_nobody_there_is_busy_at_once },
	{ "another_build_is_refused", test_another_build_is_refused },
	{ "many_threads_get_their_own_answers", test_many_threads_get_their_own_answers },
	{ "deadline_then_late_answer", test_deadline_then_late_answer },
	{ "peer_dies_and_comes_back", test_peer_dies_and_comes_back },
	{ "new_channel_replaces_the_old", test_new_channel_replaces_the_old },
	{ "malformed_frame_ends_the_channel", test_malformed_frame_ends_the_channel },
	{ "notices_and_tells", test_notices_and_tells },
	{ "outstanding_is_bounded", test_outstanding_is_bounded },
};

CU_MAIN(cases)
