/* SPDX-License-Identifier: Apache-2.0
 *
 * How many certificates this token has ever signed: ca's own record, beside ra's. An upper bound is made durable before
 * it is used, a block at a time, so that counting costs no flush per certificate. */
#include "ca/internal.h"

#include <stdio.h>
#include <stdlib.h>

enum { BLOCK = 1024 };

static bool reserve(struct counter *c, uint64_t upto, struct err *e)
{
	char text[32];
	int n = snprintf(text, sizeof text, "%llu\n", (unsigned long long)upto);

	if (!file_write_atomic(c->path, text, (size_t)n, 0600, e))
		return false;
	c->reserved = upto;
	return true;
}

bool counter_open(struct counter *c, const char *dir, struct err *e)
{
	AUTO_BUF text = { 0 };
	struct err why;

	pthread_mutex_init(&c->lock, NULL);
	snprintf(c->path, sizeof c->path, "%s/ca/counter", dir);
	if (file_read(&text, c->path, 64, &why))
		c->value = c->reserved = strtoull(buf_str(&text), NULL, 10);
	else if (why.kind != ERR_NOT_FOUND)
		return err_set(e, why.kind, "%s", why.text);
	return true;
}

bool counter_next(struct counter *c, struct err *e)
{
	bool good = true;

	pthread_mutex_lock(&c->lock);
	if (c->value == c->reserved)
		good = reserve(c, c->value + BLOCK, e);
	if (good)
		c->value++;
	pthread_mutex_unlock(&c->lock);
	return good;
}

uint64_t counter_value(struct counter *c)
{
	uint64_t value;

	pthread_mutex_lock(&c->lock);
	value = c->value;
	pthread_mutex_unlock(&c->lock);
	return value;
}

void counter_close(struct counter *c)
{
	if (c->value != c->reserved)
		(void)!reserve(c, c->value, NULL); /* or the block stays used up */
	pthread_mutex_destroy(&c->lock);
}
