/* SPDX-License-Identifier: Apache-2.0
 *
 * http-01's connections: libcurl's multi interface on the loop, one request at a time, to the one address that the fence
 * has let through. Redirects are followed here and not by libcurl, so that names are looked up, and addresses judged, again. */
#include "probe/errand.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* --- libcurl's sockets and its clock */

static void finished(struct errand *e, CURLcode rc);

static void take_finished(struct probe *p)
{
	struct CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(p->multi, &left)) != NULL) {
		struct errand *e = NULL;
		CURLcode rc = m->data.result;

		if (m->msg != CURLMSG_DONE)
			continue;
		(void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &e);
		if (e != NULL)
			finished(e, rc);
	}
}

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct probe *p = arg;
	int running;

	(void)curl_multi_socket_action(p->multi, fd, (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0), &running);
	take_finished(p);
}

static void on_clock(evutil_socket_t fd, short what, void *arg)
{
	struct probe *p = arg;
	int running;

	(void)fd;
	(void)what;
	(void)curl_multi_socket_action(p->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	take_finished(p);
}

static int watch(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket)
{
	struct probe *p = arg;
	struct event *ev = socket;
	short kinds = (short)((what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0) | EV_PERSIST);

	(void)easy;
	if (ev != NULL)
		(void)event_del(ev);
	if (what == CURL_POLL_REMOVE) {
		if (ev != NULL)
			event_free(ev);
		(void)curl_multi_assign(p->multi, fd, NULL);
		return 0;
	}
	if (ev == NULL)
		ev = event_new(p->base, fd, kinds, on_socket, p);
	else
		(void)event_assign(ev, p->base, fd, kinds, on_socket, p);
	(void)curl_multi_assign(p->multi, fd, ev);
	return ev != NULL ? event_add(ev, NULL) : -1;
}

static int set_clock(CURLM *multi, long ms, void *arg)
{
	struct probe *p = arg;
	struct timeval tv = { ms / 1000, (ms % 1000) * 1000 };

	(void)multi;
	return ms < 0 ? event_del(p->multi_timer) : event_add(p->multi_timer, &tv);
}

bool http_open(struct probe *p, struct err *e)
{
	p->multi = curl_multi_init();
	p->multi_timer = event_new(p->base, -1, 0, on_clock, p);
	if (p->multi == NULL || p->multi_timer == NULL)
		return err_set(e, ERR_INTERNAL, "libcurl: no handle");
	(void)curl_multi_setopt(p->multi, CURLMOPT_SOCKETFUNCTION, watch);
	(void)curl_multi_setopt(p->multi, CURLMOPT_SOCKETDATA, p);
	(void)curl_multi_setopt(p->multi, CURLMOPT_TIMERFUNCTION, set_clock);
	(void)curl_multi_setopt(p->multi, CURLMOPT_TIMERDATA, p);
	(void)curl_multi_setopt(p->multi, CURLMOPT_MAXCONNECTS, 1L);
	return true;
}

void http_close(struct probe *p)
{
	while (p->spare_n != 0)
		curl_easy_cleanup(p->spare[--p->spare_n]);
	if (p->multi != NULL)
		(void)curl_multi_cleanup(p->multi);
	if (p->multi_timer != NULL)
		event_free(p->multi_timer);
}

/* --- One request */

/* The last look at the address, at the moment when the socket is made for it. */
static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct errand *e = arg;

	if (purpose != CURLSOCKTYPE_IPCXN || !errand_fence(e->p, &to->addr, &e->refused)) {
		e->fenced = true;
		return CURL_SOCKET_BAD;
	}
	return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

static size_t take_body(char *p, size_t size, size_t n, void *arg)
{
	struct errand *e = arg;

	(void)size;
	if (e->body.n + n > HTTP_BODY_MAX) {
		e->too_long = true;
		return 0;
	}
	buf_add(&e->body, p, n);
	return n;
}

static size_t take_head(char *p, size_t size, size_t n, void *arg)
{
	struct errand *e = arg;

	(void)p;
	(void)size;
	e->head_n += n;
	if (e->head_n > HTTP_HEAD_MAX) {
		e->too_long = true;
		return 0;
	}
	return n;
}

void http_drop(struct errand *e)
{
	struct probe *p = e->p;

	if (e->easy != NULL) {
		(void)curl_multi_remove_handle(p->multi, e->easy);
		if (p->spare_n < SPARE_MAX) {
			curl_easy_reset(e->easy);
			p->spare[p->spare_n++] = e->easy;
		} else {
			curl_easy_cleanup(e->easy);
		}
	}
	curl_slist_free_all(e->connect_to);
	e->easy = NULL;
	e->connect_to = NULL;
}

static void set_options(struct errand *e)
{
	CURL *c = e->easy;

	(void)curl_easy_setopt(c, CURLOPT_PRIVATE, e);
	(void)curl_easy_setopt(c, CURLOPT_URL, e->target.url);
	(void)curl_easy_setopt(c, CURLOPT_CONNECT_TO, e->connect_to);
	(void)curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(c, CURLOPT_PROXY, "");
	(void)curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	(void)curl_easy_setopt(c, CURLOPT_FRESH_CONNECT, 1L);
	(void)curl_easy_setopt(c, CURLOPT_FORBID_REUSE, 1L);
	(void)curl_easy_setopt(c, CURLOPT_BUFFERSIZE, 4096L);
	(void)curl_easy_setopt(c, CURLOPT_USERAGENT, "caduceus (RFC 8555, 8.3)");
	(void)curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)errand_try_ms(e));
	(void)curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	(void)curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, e);
	(void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_body);
	(void)curl_easy_setopt(c, CURLOPT_WRITEDATA, e);
	(void)curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, take_head);
	(void)curl_easy_setopt(c, CURLOPT_HEADERDATA, e);
	/* RFC 8555, 8.3: the certificate of a redirect's target is not looked at. */
	(void)curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 0L);
	(void)curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L);
}

void http_try(struct errand *e)
{
	char address[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN + 20];
	struct probe *p = e->p;

	address_text(&e->at, address, sizeof address);
	snprintf(to, sizeof to, e->at.ss_family == AF_INET6 ? "::[%s]:%u" : "::%s:%u", address, e->target.port);
	e->connect_to = curl_slist_append(NULL, to);
	e->easy = p->spare_n != 0 ? p->spare[--p->spare_n] : curl_easy_init();
	e->body.n = e->head_n = 0;
	e->too_long = e->fenced = false;
	if (e->easy == NULL || e->connect_to == NULL) {
		errand_busy(e, "no memory");
		return;
	}
	set_options(e);
	if (curl_multi_add_handle(p->multi, e->easy) != CURLM_OK)
		errand_busy(e, "libcurl takes no more");
}

/* --- What came of it */

static void redirect(struct errand *e, const char *url, const char *address)
{
	struct http_target to;
	struct err why;

	if (e->redirects == HTTP_REDIRECT_MAX) {
		errand_end(e, PROBE_INCORRECT_RESPONSE, false, "more than %d redirects; the last one is from %.120s", HTTP_REDIRECT_MAX, e->target.host);
		return;
	}
	if (!http_redirect(&to, url, e->p->set.ports, &why)) {
		errand_end(e, PROBE_INCORRECT_RESPONSE, false, "%.80s (%s) %.120s", e->target.host, address, why.text);
		return;
	}
	e->redirects++;
	http_drop(e);
	e->target = to;
	errand_find_addresses(e);
}

static void answered(struct errand *e, const char *address)
{
	char *location = NULL;
	long status = 0;
	struct err why;

	(void)curl_easy_getinfo(e->easy, CURLINFO_RESPONSE_CODE, &status);
	(void)curl_easy_getinfo(e->easy, CURLINFO_REDIRECT_URL, &location);
	if (location != NULL && (status == 301 || status == 302 || status == 303 || status == 307 || status == 308)) {
		AUTO_FREE char *url = mem_text(location);

		redirect(e, url, address);
		return;
	}
	if (http_answer(status, span_of(&e->body), e->ask.key_authorization, &why))
		errand_end(e, PROBE_GOOD, false, "%s", "");
	else if (e->redirects != 0 && status == 200)
		/* What stands at another's address is not shown to who has sent us there. */
		errand_end(e, PROBE_INCORRECT_RESPONSE, false, "%.80s (%s), where a redirect leads, answers with something else than the key authorization",
		           e->target.host, address);
	else
		errand_end(e, PROBE_INCORRECT_RESPONSE, status >= 500 || status == 429, "%.80s (%s) %.150s", e->target.host, address, why.text);
}

static bool was_connected(const struct errand *e)
{
	curl_off_t us = 0;

	(void)curl_easy_getinfo(e->easy, CURLINFO_CONNECT_TIME_T, &us);
	return us != 0;
}

static void failed(struct errand *e, CURLcode rc, const char *address)
{
	bool connected = was_connected(e);

	switch (rc) {
	case CURLE_WRITE_ERROR:
		errand_end(e, PROBE_INCORRECT_RESPONSE, false, "%.80s (%s) answers with more than %d octets", e->target.host, address,
		           e->head_n > HTTP_HEAD_MAX ? HTTP_HEAD_MAX : HTTP_BODY_MAX);
		return;
	case CURLE_OUT_OF_MEMORY: /* a line of more than 100 KB: libcurl 7 and 8 up to 8.5 have no other word for it */
		errand_end(e, PROBE_INCORRECT_RESPONSE, false, "%.80s (%s) answers with more than %d octets", e->target.host, address, HTTP_HEAD_MAX);
		return;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CIPHER:
	case CURLE_PEER_FAILED_VERIFICATION:
		errand_end(e, PROBE_TLS, true, "%.80s (%s) port %u: the TLS handshake of the redirect's target fails", e->target.host, address, e->target.port);
		return;
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_PARTIAL_FILE:
		errand_end(e, PROBE_CONNECTION, true, "%.80s (%s) port %u closes the connection before its answer is whole", e->target.host, address, e->target.port);
		return;
	default:
		break;
	}
	if (connected) {
		errand_end(e, PROBE_INCORRECT_RESPONSE, false, "%.80s (%s) port %u does not answer in HTTP/1.1", e->target.host, address, e->target.port);
		return;
	}
	http_drop(e);
	errand_connected_in_vain(e, PROBE_CONNECTION, "%.120s (%s) port %u %s", e->target.host, address, e->target.port,
	                         rc == CURLE_OPERATION_TIMEDOUT ? "does not answer" : "refuses the connection, or can't be reached");
}

static void finished(struct errand *e, CURLcode rc)
{
	char address[INET6_ADDRSTRLEN];

	if (e->over)
		return;
	address_text(&e->at, address, sizeof address);
	if (e->fenced)
		errand_end(e, PROBE_UNAUTHORIZED, false, "%.100s has the address %s, where acme.networks does not let this authority connect", e->target.host, address);
	else if (rc == CURLE_OK)
		answered(e, address);
	else
		failed(e, rc, address);
}
