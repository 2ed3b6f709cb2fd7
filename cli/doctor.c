/* SPDX-License-Identifier: Apache-2.0
 *
 * `caduceus doctor`: what will go wrong, while there is time: names, permissions, disk, clock, expiring certificates.
 * Works without a running service; with one it also says what `status` would. */
#include "cli/cli.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "config/config.h"

#include <errno.h>
#include <netdb.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sys/un.h>
#include <unistd.h>

AUTO_DEFINE(BIO, BIO_free_all)
AUTO_DEFINE(X509, X509_free)

enum verdict { FINE, WARNING, WRONG };

struct exam {
	const struct invocation *i;
	const struct config *c;
	json_t *findings;
	enum verdict worst;
};

static void say(struct exam *x, enum verdict v, const char *what, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
static void say(struct exam *x, enum verdict v, const char *what, const char *fmt, ...)
{
	static const char *const words[] = { "ok", "warning", "wrong" };
	char text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	json_array_append_new(x->findings, json_pack("{s:s,s:s,s:s}", "result", words[v], "check", what, "text", text));
	if (v > x->worst)
		x->worst = v;
}

static void resolve(struct exam *x, const char *key, const char *url)
{
	struct addrinfo *list = NULL;
	char host[256] = "";

	if (!config_url_host(url, host, sizeof host))
		say(x, WRONG, key, "%s is no URL", url);
	else if (getaddrinfo(host, NULL, NULL, &list) != 0)
		say(x, WRONG, key, "%s can't be resolved here: put it into the DNS, devices and RADIUS servers ask it", host);
	else if (strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0)
		say(x, WARNING, key, "%s is this machine alone; for others init anew with --set %s=…", host, key);
	else
		say(x, FINE, key, "%s is resolved", host);
	if (list != NULL)
		freeaddrinfo(list);
}

/* Any answer to a question for the root's servers will do: RFC 1035, 4.1. */
static bool dns_answers(const struct addrinfo *to)
{
	static const uint8_t query[] = { 0x51, 0xca, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1 };
	AUTO_FD int fd = socket(to->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const struct timeval wait = { .tv_sec = 1 };
	uint8_t answer[512];
	ssize_t n = 0;

	if (fd < 0 || connect(fd, to->ai_addr, to->ai_addrlen) != 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) != 0)
		return false;
	for (int tries = 0; tries < 2 && n < 12; tries++)
		n = send(fd, query, sizeof query, MSG_NOSIGNAL) == (ssize_t)sizeof query ? recv(fd, answer, sizeof answer, 0) : 0;
	return n >= 12 && memcmp(answer, query, 2) == 0 && (answer[2] & 0x80) != 0;
}

/* The system's own is asked by what stands above. */
static void resolver(struct exam *x)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_DGRAM };
	struct addrinfo *list = NULL;
	char host[128], text[8];
	uint16_t port;

	if (strcmp(x->c->acme_resolver, "system") == 0 || !config_host_port(x->c->acme_resolver, host, sizeof host, &port))
		return;
	snprintf(text, sizeof text, "%u", port);
	if (getaddrinfo(host, text, &hints, &list) == 0 && dns_answers(list))
		say(x, FINE, "acme.resolver", "%s answers", x->c->acme_resolver);
	else
		say(x, WRONG, "acme.resolver", "%s does not answer: no ACME name can be validated; is the DNS server up, and the port right?",
		    x->c->acme_resolver);
	if (list != NULL)
		freeaddrinfo(list);
}

/* Secrets are their owner's alone, and so are the folders around them; nobody else writes beside them. */
static void permissions(struct exam *x)
{
	static const struct {
		const char *name;
		mode_t none; /* bits that must not be set */
	} rows[] = { { "", 0022 },      { "hsm.pin", 0077 }, { "token", 0077 },        { "ca", 0077 },  { "tls", 0077 },
		     { "caduceus.db", 0077 }, { "backup", 0077 },  { "caduceus.yaml", 0022 }, { "run", 0022 }, { "trust", 0022 } };
	unsigned wrong = 0;

	for (size_t k = 0; k < COUNT_OF(rows); k++) {
		AUTO_FREE char *path = mem_printf("%s/%s", x->i->dir, rows[k].name);
		struct stat st;

		if (stat(path, &st) != 0 || (st.st_mode & rows[k].none) == 0)
			continue;
		wrong++;
		say(x, WRONG, "permissions", "%s can be %s by others: chmod %s %s", path, (rows[k].none & 0044) != 0 ? "read" : "written",
		    (rows[k].none & 0044) != 0 ? "go-rwx" : "go-w", path);
	}
	if (wrong == 0)
		say(x, FINE, "permissions", "secrets are their owners' alone");
}

static void disk(struct exam *x)
{
	struct statvfs s;
	double used;

	if (statvfs(x->i->dir, &s) != 0 || s.f_blocks == 0) {
		say(x, WARNING, "disk", "the file system of %s can't be looked at", x->i->dir);
		return;
	}
	used = 100 * (1 - (double)s.f_bavail / (double)s.f_blocks);
	say(x, used >= 95 ? WRONG : used >= 80 ? WARNING : FINE, "disk", "%.0f %% used%s", used,
	    used >= 80 ? "; at 95 % nothing is issued any more: make room" : "");
	if (s.f_files != 0 && s.f_favail * 20 < s.f_files)
		say(x, WARNING, "disk", "less than 5 %% of the inodes are free");
}

static void pin_latch(struct exam *x)
{
	AUTO_FREE char *path = mem_printf("%s/ca/pin-refused", x->i->dir);

	if (access(path, F_OK) == 0)
		say(x, WRONG, "hsm.pin", "the token refused the PIN, and it is not tried again (tokens lock after a few): put the right one "
		    "into %s, then remove %s", x->c->hsm_pin, path);
}

static void clock_is_set(struct exam *x)
{
	struct timex t = { .modes = 0 };

	if (ntp_adjtime(&t) == TIME_ERROR || (t.status & STA_UNSYNC) != 0)
		say(x, WARNING, "clock", "the kernel does not know the clock to be right: run a time service (systemd-timesyncd, chrony)");
	else
		say(x, FINE, "clock", "synchronised");
}

static int64_t not_after(const char *path)
{
	AUTO(BIO) *b = BIO_new_file(path, "r");
	AUTO(X509) *x = b != NULL ? PEM_read_bio_X509(b, NULL, NULL, NULL) : NULL;
	int days = 0, seconds = 0;

	if (x == NULL || ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(x)) != 1)
		return 0;
	return clock_now() + (int64_t)days * US_PER_DAY + (int64_t)seconds * US_PER_SECOND;
}

static void own_certificates(struct exam *x)
{
	static const struct {
		const char *name, *what;
		int64_t warn, wrong; /* days left */
	} rows[] = { { "tls/enroll.pem", "the enrolment listener's TLS certificate", 25, 7 }, { "trust/root.pem", "the root", 730, 90 },
		     { "trust/devices.pem", "the issuing authority devices", 365, 90 }, { "trust/servers.pem", "the issuing authority servers", 365, 90 } };

	for (size_t k = 0; k < COUNT_OF(rows); k++) {
		AUTO_FREE char *path = mem_printf("%s/%s", x->i->dir, rows[k].name);
		int64_t end = not_after(path), days = (end - clock_now()) / US_PER_DAY;

		if (end == 0) {
			say(x, access(path, R_OK) == 0 ? WRONG : WARNING, rows[k].name, "%s can't be read%s", path, geteuid() != 0 ? " (run doctor as root)" : "");
			continue;
		}
		say(x, days < rows[k].wrong ? WRONG : days < rows[k].warn ? WARNING : FINE, rows[k].name, "%s ends in %lld days", rows[k].what,
		    (long long)days);
	}
}

static void crl_files(struct exam *x, json_t *authorities)
{
	json_t *row;
	size_t k;

	json_array_foreach(authorities, k, row) {
		const char *next = member(row, "crl_next");
		char now[32];

		clock_rfc3339_s(clock_now(), now, sizeof now);
		say(x, strcmp(next, now) < 0 ? WRONG : FINE, "crl", "the CRL of %s holds until %s%s", member(row, "name"), next,
		    strcmp(next, now) < 0 ? ": caduceus crl publish" : "");
	}
}

/* The socket's file outlives the service. */
static bool listens(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || strlen(path) >= sizeof a.sun_path)
		return false;
	strcpy(a.sun_path, path);
	return connect(fd, (struct sockaddr *)&a, sizeof a) == 0 || (errno != ECONNREFUSED && errno != ENOENT);
}

/* What only the running service knows. */
static void service(struct exam *x)
{
	AUTO_FREE char *socket = mem_printf("%s/run/officer.sock", x->i->dir);
	json_t *doc = NULL, *v;
	const char *name;

	if (!listens(socket)) {
		say(x, WARNING, "service", "it does not run: systemctl start caduceus, or caduceus serve --dir %s", x->i->dir);
		return;
	}
	if (ask(x->i, "status", json_object(), &doc) != EXIT_DONE) {
		say(x, WRONG, "service", "it does not answer; the reason stands above");
		return;
	}
	json_object_foreach(doc, name, v) {
		static const char *const checks[] = { "database", "audit", "signer", "hsm", "va", "crl", "disk", "clock", "authorities", "probe" };

		for (size_t k = 0; k < COUNT_OF(checks); k++)
			if (strcmp(checks[k], name) == 0 && json_is_string(v) && strcmp(json_string_value(v), "ok") != 0)
				say(x, WRONG, name, "%s", json_string_value(v));
	}
	if (strncmp(member(doc, "sandbox"), "degraded", 8) == 0)
		say(x, WARNING, "sandbox", "%s", member(doc, "sandbox"));
	say(x, FINE, "service", "it runs");
	json_decref(doc);
	if (ask(x->i, "ca.list", json_object(), &doc) == EXIT_DONE) {
		crl_files(x, json_object_get(doc, "authorities"));
		json_decref(doc);
	}
}

static enum exit_code doctor(struct invocation *i)
{
	AUTO_FREE struct config *c = mem_new(sizeof *c);
	AUTO_BUF mistakes = { 0 };
	struct exam x = { .i = i, .c = c, .findings = json_array() };
	json_t *doc, *f;
	size_t k;

	if (!config_load(c, i->dir, &mistakes)) {
		fputs(buf_str(&mistakes), stderr);
		json_decref(x.findings);
		return EXIT_FAILED;
	}
	say(&x, FINE, "configuration", "no mistakes");
	resolve(&x, "public.enroll", c->public_enroll);
	resolve(&x, "public.va", c->public_va);
	resolver(&x);
	permissions(&x);
	pin_latch(&x);
	disk(&x);
	clock_is_set(&x);
	own_certificates(&x);
	service(&x);
	if (i->json) {
		doc = json_pack("{s:b,s:O}", "ok", x.worst != WRONG, "findings", x.findings);
		print_json(doc);
		json_decref(doc);
	} else {
		json_array_foreach(x.findings, k, f)
			printf("%-8s %-18s %s\n", member(f, "result"), member(f, "check"), member(f, "text"));
	}
	json_decref(x.findings);
	return x.worst == WRONG ? EXIT_FAILED : EXIT_DONE;
}

const struct command commands_doctor[] = {
	{ "doctor", "", "", 0, 0, "looks for what will go wrong; exit 0 when nothing is wrong now", "caduceus doctor", doctor, { { 0 } } },
	{ 0 },
};
