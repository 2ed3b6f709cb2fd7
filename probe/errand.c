/* SPDX-License-Identifier: Apache-2.0
 *
 * The way of an errand: CAA, then the challenge's own look-ups, then its connection, address by address. */
#include "probe/errand.h"

#include "base/clock.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char *errand_method(const struct errand *e)
{
	static const char *const names[] = { [PROBE_HTTP_01] = "http-01", [PROBE_DNS_01] = "dns-01", [PROBE_TLS_ALPN_01] = "tls-alpn-01" };

	return names[e->ask.method];
}

int errand_left_ms(const struct errand *e)
{
	int64_t left = (e->until - clock_mono()) / 1000;

	return left < 1 ? 1 : (int)left;
}

int errand_try_ms(const struct errand *e)
{
	return 1 + errand_left_ms(e) / (int)(1 + e->address_n - e->address_i);
}

void key_authorization_digest(const struct errand *e, uint8_t out[32])
{
	(void)EVP_Digest(e->ask.key_authorization, strlen(e->ask.key_authorization), out, NULL, EVP_sha256(), NULL);
}

void address_text(const struct sockaddr_storage *a, char *out, size_t size)
{
	const void *p = a->ss_family == AF_INET6 ? (const void *)&((const struct sockaddr_in6 *)a)->sin6_addr
	                                         : (const void *)&((const struct sockaddr_in *)a)->sin_addr;

	out[0] = 0;
	if (a->ss_family == AF_INET || a->ss_family == AF_INET6)
		(void)inet_ntop(a->ss_family, p, out, (socklen_t)size);
}

/* --- The end */

static void put_evidence(struct errand *e)
{
	char host[100];

	address_text(&e->at, e->result.address, sizeof e->result.address);
	text_escaped(host, sizeof host, e->target.host, strlen(e->target.host));
	snprintf(e->result.evidence, sizeof e->result.evidence, "method=%s dns=%s%s address=%s redirects=%u%s%s", errand_method(e),
	         e->dns_said[0] != 0 ? e->dns_said : "none", e->secure ? " dnssec=secure" : "",
	         e->result.address[0] != 0 ? e->result.address : "none", e->redirects, e->redirects != 0 ? " last=" : "",
	         e->redirects != 0 ? host : "");
}

static void say(struct errand *e, enum probe_problem problem, bool again, const char *fmt, va_list ap)
{
	e->result.problem = problem;
	e->result.again = again;
	(void)vsnprintf(e->result.detail, sizeof e->result.detail, fmt, ap);
}

void errand_end(struct errand *e, enum probe_problem problem, bool again, const char *fmt, ...)
{
	va_list ap;

	if (e->over)
		return;
	va_start(ap, fmt);
	say(e, problem, again, fmt, ap);
	va_end(ap);
	put_evidence(e);
	probe_over(e);
}

void errand_busy(struct errand *e, const char *why)
{
	if (e->over)
		return;
	err_set(&e->failed, ERR_BUSY, "%s", why);
	e->failed.retry_after = 5;
	probe_over(e);
}

/* --- The fence */

/* The kernel takes an address of its own as the source towards itself. Nothing is sent. */
static bool is_own(const struct sockaddr *to)
{
	socklen_t n = to->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	struct sockaddr_storage mine = { 0 };
	socklen_t mine_n = sizeof mine;
	AUTO_FD int fd = socket(to->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, to, n) != 0 || getsockname(fd, (struct sockaddr *)&mine, &mine_n) != 0)
		return false;
	if (to->sa_family == AF_INET6)
		return memcmp(&((const struct sockaddr_in6 *)(const void *)to)->sin6_addr, &((const struct sockaddr_in6 *)&mine)->sin6_addr, 16) == 0;
	return ((const struct sockaddr_in *)(const void *)to)->sin_addr.s_addr == ((const struct sockaddr_in *)&mine)->sin_addr.s_addr;
}

bool errand_fence(struct probe *p, const struct sockaddr *to, const char **why)
{
	*why = fence_refuses(&p->set.fence, to, false);
	/* Whose it is matters only where it would matter. */
	if (*why == NULL && fence_refuses(&p->set.fence, to, true) != NULL && is_own(to))
		*why = fence_refuses(&p->set.fence, to, true);
	return *why == NULL;
}

/* --- Connections, one address after the other */

static void connect_next(struct errand *e)
{
	char text[INET6_ADDRSTRLEN];

	while (e->address_i < e->address_n) {
		e->at = e->address[e->address_i++];
		if (!errand_fence(e->p, (struct sockaddr *)&e->at, &e->refused))
			continue;
		e->tried++;
		if (probe_slow_at(e->p, e) >= PROBE_PER_ADDRESS) {
			errand_busy(e, "others wait for this address already; try again");
			return;
		}
		if (e->ask.method == PROBE_TLS_ALPN_01)
			tls_try(e);
		else
			http_try(e);
		return;
	}
	/* What the last connection met stands there already. */
	if (e->tried != 0) {
		put_evidence(e);
		probe_over(e);
		return;
	}
	address_text(&e->at, text, sizeof text);
	e->at.ss_family = AF_UNSPEC;
	errand_end(e, PROBE_UNAUTHORIZED, false, "%.100s has the address %s, which is %s: acme.networks does not let this authority connect there",
	           e->target.host, text, e->refused != NULL ? e->refused : "unknown");
}

void errand_connected_in_vain(struct errand *e, enum probe_problem problem, const char *fmt, ...)
{
	va_list ap;

	if (e->over)
		return;
	va_start(ap, fmt);
	say(e, problem, true, fmt, ap);
	va_end(ap);
	connect_next(e);
}

static void look_failed(struct errand *e, const struct look *l, const char *what)
{
	snprintf(e->dns_said, sizeof e->dns_said, "%s", l->state == LOOK_BOGUS ? "bogus" : "failed");
	errand_end(e, PROBE_DNS, true, "DNS: %s of %.80s: %s%.100s", what, l->name, l->state == LOOK_BOGUS ? "DNSSEC does not hold: " : "", l->why);
}

static void take_addresses(struct errand *e, const struct look *l, const struct dns_records *set)
{
	for (unsigned i = 0; i < set->n && e->address_n < ADDRESS_MAX; i++) {
		struct sockaddr_storage *a = &e->address[e->address_n];
		size_t n = l->type == DNS_AAAA ? 16 : 4;

		if (set->rdata[i].n != n)
			continue;
		*a = (struct sockaddr_storage){ .ss_family = n == 16 ? AF_INET6 : AF_INET };
		if (n == 16) {
			memcpy(&((struct sockaddr_in6 *)a)->sin6_addr, set->rdata[i].p, 16);
			((struct sockaddr_in6 *)a)->sin6_port = htons(e->target.port);
		} else {
			memcpy(&((struct sockaddr_in *)a)->sin_addr, set->rdata[i].p, 4);
			((struct sockaddr_in *)a)->sin_port = htons(e->target.port);
		}
		e->address_n++;
	}
}

static void say_addresses(struct errand *e)
{
	size_t n = 0;

	e->dns_said[0] = 0;
	for (unsigned i = 0; i < e->address_n; i++) {
		char text[INET6_ADDRSTRLEN];

		address_text(&e->address[i], text, sizeof text);
		if (n + strlen(text) + 2 > sizeof e->dns_said)
			break;
		n += (size_t)snprintf(e->dns_said + n, sizeof e->dns_said - n, "%s%s", n != 0 ? "," : "", text);
	}
}

static void addresses_looked_up(struct look *l, const struct dns_records *set)
{
	struct errand *e = l->arg;

	if (e->over)
		return;
	if (set != NULL)
		take_addresses(e, l, set);
	if (e->look[0].state == LOOK_UNDER_WAY || e->look[1].state == LOOK_UNDER_WAY || e->look[0].state == LOOK_IDLE || e->look[1].state == LOOK_IDLE)
		return;
	for (int i = 0; i < 2; i++)
		if (e->look[i].state == LOOK_BOGUS || (e->look[i].state == LOOK_FAILED && e->address_n == 0)) {
			look_failed(e, &e->look[i], "the address");
			return;
		}
	if (e->address_n == 0) {
		snprintf(e->dns_said, sizeof e->dns_said, "nothing");
		errand_end(e, PROBE_DNS, false, "DNS: %.150s has no address (A, AAAA)", e->target.host);
		return;
	}
	e->secure = e->look[0].secure || e->look[1].secure;
	say_addresses(e);
	connect_next(e);
}

void errand_find_addresses(struct errand *e)
{
	e->address_n = e->address_i = e->tried = 0;
	e->refused = NULL;
	if (http_literal(e->target.host, e->target.port, &e->address[0])) {
		e->address_n = 1;
		connect_next(e);
		return;
	}
	e->look[0].state = e->look[1].state = LOOK_IDLE;
	look_up(e->p->resolver, &e->look[0], e->target.host, DNS_A, addresses_looked_up, e);
	if (!e->over)
		look_up(e->p->resolver, &e->look[1], e->target.host, DNS_AAAA, addresses_looked_up, e);
}

/* --- dns-01 (RFC 8555, 8.4) */

static void txt_looked_up(struct look *l, const struct dns_records *set)
{
	struct errand *e = l->arg;
	AUTO_BUF wanted = { 0 };
	uint8_t digest[32];
	char seen[70] = "";

	if (e->over)
		return;
	if (l->state == LOOK_FAILED || l->state == LOOK_BOGUS) {
		look_failed(e, l, "TXT");
		return;
	}
	e->secure = l->secure;
	snprintf(e->dns_said, sizeof e->dns_said, "%u-TXT%s", set->n, set->cnames != 0 ? "-by-CNAME" : "");
	if (set->n == 0) {
		errand_end(e, set->rcode == 3 ? PROBE_DNS : PROBE_INCORRECT_RESPONSE, false, "DNS: %.150s %s; a TXT record is expected", l->name,
		           set->rcode == 3 ? "does not exist (NXDOMAIN)" : "has no TXT record");
		return;
	}
	key_authorization_digest(e, digest);
	b64url_put(&wanted, digest, sizeof digest);
	for (unsigned i = 0; i < set->n; i++) {
		AUTO_BUF text = { 0 };

		if (!dns_txt(&text, set->rdata[i], NULL))
			continue;
		if (span_equal(span_of(&text), span_of(&wanted))) {
			errand_end(e, PROBE_GOOD, false, "%s", "");
			return;
		}
		text_escaped(seen, sizeof seen, text.p, text.n);
	}
	errand_end(e, PROBE_INCORRECT_RESPONSE, false, "DNS: %u TXT at %.80s, none right (\"%s\"); %s is expected", set->n, l->name, seen, buf_str(&wanted));
}

/* --- The challenge itself, behind CAA */

static void challenge(struct errand *e)
{
	const struct probe_ask *q = &e->ask;
	char name[sizeof q->name + 20];
	bool v6 = q->ip && strchr(q->name, ':') != NULL;

	snprintf(e->target.host, sizeof e->target.host, "%s", q->name);
	switch (q->method) {
	case PROBE_DNS_01:
		if (q->ip) {
			errand_end(e, PROBE_UNAUTHORIZED, false, "dns-01 is not for addresses (RFC 8738, 7)");
			return;
		}
		snprintf(name, sizeof name, "_acme-challenge.%s", q->name);
		look_up(e->p->resolver, &e->look[0], name, DNS_TXT, txt_looked_up, e);
		return;
	case PROBE_TLS_ALPN_01:
		e->target.port = e->p->set.tls_alpn_port;
		break;
	case PROBE_HTTP_01:
		e->target.port = e->p->set.http_port;
		snprintf(name, sizeof name, e->target.port == 80 ? "%s%s%s" : "%s%s%s:%u", v6 ? "[" : "", q->name, v6 ? "]" : "", e->target.port);
		snprintf(e->target.url, sizeof e->target.url, "http://%s/.well-known/acme-challenge/%s", name, q->token);
		break;
	}
	errand_find_addresses(e);
}

/* --- CAA (RFC 8659, 3): the first ancestor that has any */

static void caa_step(struct errand *e);

static void caa_looked_up(struct look *l, const struct dns_records *set)
{
	struct errand *e = l->arg;
	const char *dot = strchr(e->caa_name, '.');
	char why[120] = "";

	if (e->over)
		return;
	if (l->state == LOOK_FAILED || l->state == LOOK_BOGUS) {
		look_failed(e, l, "CAA");
		return;
	}
	if (set->n != 0) {
		const struct caa_ask ask = { e->p->set.identity, e->ask.wildcard, errand_method(e), e->ask.account_uri };

		snprintf(e->dns_said, sizeof e->dns_said, "%u-CAA", set->n);
		if (!caa_allows(set, &ask, why, sizeof why)) {
			errand_end(e, PROBE_CAA, false, "CAA records at %.80s do not let %.40s issue: %s (RFC 8659)", l->name, e->p->set.identity, why);
			return;
		}
	} else if (dot != NULL && dot[1] != 0) {
		memmove(e->caa_name, dot + 1, strlen(dot + 1) + 1);
		caa_step(e);
		return;
	}
	challenge(e);
}

static void caa_step(struct errand *e)
{
	look_up(e->p->resolver, &e->look[0], e->caa_name, DNS_CAA, caa_looked_up, e);
}

static bool is_plain(const char *s, const char *more)
{
	size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789");

	while (s[n] != 0 && strchr(more, s[n]) != NULL)
		n += 1 + strspn(s + n + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789");
	return s[0] != 0 && s[n] == 0;
}

void errand_begin(struct errand *e)
{
	const struct probe_ask *q = &e->ask;

	/* ra has judged the name; what goes into a URL is looked at all the same. */
	if (!is_plain(q->name, q->ip ? ".:" : ".-_") || !is_plain(q->token, "-_") || q->key_authorization[0] == 0) {
		err_set(&e->failed, ERR_BAD_REQUEST, "malformed errand");
		probe_over(e);
		return;
	}
	if (!q->caa || q->ip) {
		challenge(e);
		return;
	}
	snprintf(e->caa_name, sizeof e->caa_name, "%s", q->name);
	caa_step(e);
}

void errand_time_out(struct errand *e)
{
	int s = (int)((clock_mono() - e->began + 500000) / US_PER_SECOND);

	for (int i = 0; i < 2; i++)
		if (e->look[i].state == LOOK_UNDER_WAY) {
			snprintf(e->dns_said, sizeof e->dns_said, "silent");
			errand_end(e, PROBE_DNS, true, "DNS: no answer about %.150s within %d s", e->look[i].name, s);
			return;
		}
	if (e->result.detail[0] != 0 && e->easy == NULL && e->fd < 0) {
		put_evidence(e);
		probe_over(e);
		return;
	}
	errand_end(e, PROBE_CONNECTION, true, "%.120s port %u has not answered within %d s%s", e->target.host, e->target.port, s,
	           e->redirects != 0 ? ", redirects included" : "");
}

void errand_clear(struct errand *e)
{
	for (int i = 0; i < 2; i++)
		look_cancel(&e->look[i]);
	http_drop(e);
	tls_drop(e);
	if (e->timer != NULL)
		event_free(e->timer);
	buf_free(&e->body);
	free(e);
}
