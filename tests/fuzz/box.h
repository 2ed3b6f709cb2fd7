/* SPDX-License-Identifier: Apache-2.0
 *
 * For targets that are a whole role: ca over a token in memory, asked and answered one by one; and how an input is a
 * list of steps: an octet that chooses, two of length, so many octets. */
#ifndef CADUCEUS_TESTS_FUZZ_BOX_H
#define CADUCEUS_TESTS_FUZZ_BOX_H

#include "base/clock.h"
#include "base/log.h"
#include "ca/internal.h"
#include "config/config.h"
#include "config/profile.h"
#include "tests/fuzz/fake_hsm.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define BOX static __attribute__((unused))
#define BOX_NOW (INT64_C(1900000000) * US_PER_SECOND)

static int64_t box_time = BOX_NOW;
static struct ca *box_ca;
static pthread_mutex_t box_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t box_came = PTHREAD_COND_INITIALIZER;
static unsigned box_asked, box_answered;
/* The last answer, for who asks one by one. */
static uint16_t box_type;
static struct buf box_body;
static void (*box_each)(const struct frame *f); /* with the lock held; NULL none */

BOX int64_t box_now(void)
{
	return box_time;
}

static void box_reply(void *arg, enum ca_port port, const struct frame *f)
{
	(void)arg;
	(void)port;
	pthread_mutex_lock(&box_lock);
	box_type = f->type;
	box_body.n = 0;
	buf_add(&box_body, f->body.p, f->body.n);
	if (box_each != NULL)
		box_each(f);
	box_answered++;
	pthread_cond_signal(&box_came);
	pthread_mutex_unlock(&box_lock);
}

BOX void box_feed(enum ca_port port, const struct frame *f)
{
	pthread_mutex_lock(&box_lock);
	box_asked++;
	pthread_mutex_unlock(&box_lock);
	ca_feed(box_ca, port, f);
}

/* Until everything that was asked has been answered. */
BOX void box_wait(void)
{
	pthread_mutex_lock(&box_lock);
	while (box_answered != box_asked)
		pthread_cond_wait(&box_came, &box_lock);
	pthread_mutex_unlock(&box_lock);
}

BOX bool box_ask(enum ca_port port, uint16_t type, struct span body)
{
	box_feed(port, &(struct frame){ .type = type, .id = 1, .body = body });
	box_wait();
	return box_type == CA_OK;
}

static char box_dir[64];

static void box_remove(void)
{
	char command[96];

	box_wait();
	snprintf(command, sizeof command, "rm -rf %s", box_dir);
	(void)!system(command);
}

BOX void box_open(void)
{
	char path[96];
	struct err e = { 0 };

	log_set_level((enum log_level)(LOG_LEVEL_ERROR + 1));
	snprintf(box_dir, sizeof box_dir, "%s/cad-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (mkdtemp(box_dir) == NULL)
		abort();
	/* Its own end comes after ours: ca's thread still uses it. */
	OPENSSL_init_crypto(0, NULL);
	atexit(box_remove);
	snprintf(path, sizeof path, "%s/ca", box_dir);
	mkdir(path, 0700);
	if (!ca_open(&box_ca, &(struct ca_config){ .dir = box_dir, .provision = true, .hsm = &fake_token, .workers = 1,
	                                          .reply = box_reply, .now = box_now }, &e)) {
		fprintf(stderr, "%s\n", e.text);
		abort();
	}
}

/* What init writes into box_dir, with these settings besides its addresses; read again into *out. */
BOX void box_write_instance(struct config *out, const char *const *more, size_t more_n)
{
	static const char *const folders[] = { "run", "trust", "crl", "profiles", "tls", "backup" };
	const char *set[8] = { "listen.enroll=127.0.0.1:1", "listen.va=127.0.0.1:2", "public.enroll=https://localhost:1",
		               "public.va=http://localhost:2" };
	AUTO_BUF text = { 0 };
	AUTO_BUF mistakes = { 0 };
	char path[160];
	bool good;

	for (size_t i = 0; i < COUNT_OF(folders); i++) {
		snprintf(path, sizeof path, "%s/%s", box_dir, folders[i]);
		mkdir(path, 0700);
	}
	memcpy(set + 4, more, more_n * sizeof *more);
	good = more_n <= 4 && config_write(&text, set, 4 + more_n, &mistakes);
	snprintf(path, sizeof path, "%s/caduceus.yaml", box_dir);
	good = good && file_write_atomic(path, text.p, text.n, 0600, NULL);
	for (size_t i = 0; good && profile_shipped_name(i) != NULL; i++) {
		snprintf(path, sizeof path, "%s/profiles/%s.yaml", box_dir, profile_shipped_name(i));
		good = file_write_atomic(path, profile_shipped_text(i), strlen(profile_shipped_text(i)), 0600, NULL);
	}
	if (!good || !config_load(out, box_dir, &mistakes)) {
		fprintf(stderr, "%s\n", buf_str(&mistakes));
		abort();
	}
}

/* The next step of an input; false at its end. */
BOX bool step_next(struct rd *r, uint8_t *what, struct span *octets)
{
	size_t n;

	*what = rd_u8(r);
	n = rd_u16(r);
	if (r->bad)
		return false;
	if (n > (size_t)(r->end - r->p))
		n = (size_t)(r->end - r->p);
	*octets = (struct span){ r->p, n };
	r->p += n;
	return true;
}

#endif
