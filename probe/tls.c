/* SPDX-License-Identifier: Apache-2.0
 *
 * tls-alpn-01's connection (RFC 8737, 3; RFC 8738, 6): a handshake, a look at the certificate, and nothing else. */
#include "probe/alpn.h"
#include "probe/errand.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <string.h>
#include <unistd.h>

static const uint8_t protocol[] = "\x0a" "acme-tls/1";

bool tls_open(struct probe *p, struct err *e)
{
	p->tls = SSL_CTX_new(TLS_client_method());
	if (p->tls == NULL || SSL_CTX_set_min_proto_version(p->tls, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_alpn_protos(p->tls, protocol, sizeof protocol - 1) != 0)
		return err_set(e, ERR_INTERNAL, "OpenSSL: no TLS client");
	SSL_CTX_set_verify(p->tls, SSL_VERIFY_NONE, NULL);
	(void)SSL_CTX_set_session_cache_mode(p->tls, SSL_SESS_CACHE_OFF);
	(void)SSL_CTX_set_max_cert_list(p->tls, 32 * 1024);
	return true;
}

void tls_close(struct probe *p)
{
	SSL_CTX_free(p->tls);
}

void tls_drop(struct errand *e)
{
	if (e->io != NULL)
		event_free(e->io);
	SSL_free(e->ssl);
	if (e->fd >= 0)
		close(e->fd);
	e->io = NULL;
	e->ssl = NULL;
	e->fd = -1;
}

static void judge(struct errand *e, const char *address)
{
	const uint8_t *chosen;
	unsigned chosen_n;
	X509 *peer = SSL_get0_peer_certificate(e->ssl);
	uint8_t *der = NULL, digest[32];
	struct err why;
	int n;

	SSL_get0_alpn_selected(e->ssl, &chosen, &chosen_n);
	if (chosen_n != sizeof protocol - 2 || memcmp(chosen, protocol + 1, chosen_n) != 0) {
		errand_end(e, PROBE_TLS, false, "%.80s (%s) port %u does not choose the protocol acme-tls/1 (RFC 8737, 3)", e->target.host, address, e->target.port);
		return;
	}
	n = peer != NULL ? i2d_X509(peer, &der) : -1;
	if (n <= 0) {
		errand_end(e, PROBE_TLS, false, "%.80s (%s) port %u shows no certificate", e->target.host, address, e->target.port);
		return;
	}
	key_authorization_digest(e, digest);
	if (alpn_certificate((struct span){ der, (size_t)n }, e->ask.ip, e->ask.name, digest, &why))
		errand_end(e, PROBE_GOOD, false, "%s", "");
	else
		errand_end(e, PROBE_INCORRECT_RESPONSE, false, "%.60s (%s): %.170s", e->target.host, address, why.text);
	OPENSSL_free(der);
}

static void handshake_failed(struct errand *e, const char *address, int kind)
{
	unsigned long code = ERR_peek_error();
	const char *reason = code != 0 && ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_reason_error_string(code) : NULL;

	if (kind == SSL_ERROR_SYSCALL || (reason == NULL && kind == SSL_ERROR_ZERO_RETURN) || ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		errand_end(e, PROBE_CONNECTION, true, "%.80s (%s) port %u closes the connection during the TLS handshake", e->target.host, address, e->target.port);
	else
		errand_end(e, PROBE_TLS, false, "%.80s (%s) port %u: the TLS handshake fails: %.60s; TLS 1.2 or later with the protocol acme-tls/1 is expected",
		           e->target.host, address, e->target.port, reason != NULL ? reason : "unknown reason");
	ERR_clear_error();
}

static void go_on(evutil_socket_t fd, short what, void *arg);

static void wait_for(struct errand *e, short what)
{
	struct timeval tv = { 0 };
	int ms = errand_try_ms(e);

	tv.tv_sec = ms / 1000;
	tv.tv_usec = ms % 1000 * 1000;
	(void)event_assign(e->io, e->p->base, e->fd, what, go_on, e);
	(void)event_add(e->io, e->ssl == NULL ? &tv : NULL);
}

static void handshake(struct errand *e, const char *address)
{
	int rc, kind;

	ERR_clear_error();
	rc = SSL_connect(e->ssl);
	if (rc == 1) {
		judge(e, address);
		(void)SSL_shutdown(e->ssl);
		ERR_clear_error();
		return;
	}
	kind = SSL_get_error(e->ssl, rc);
	if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE)
		wait_for(e, kind == SSL_ERROR_WANT_READ ? EV_READ : EV_WRITE);
	else
		handshake_failed(e, address, kind);
}

static void in_vain(struct errand *e, const char *address, const char *what)
{
	tls_drop(e);
	errand_connected_in_vain(e, PROBE_CONNECTION, "%.120s (%s) port %u %s", e->target.host, address, e->target.port, what);
}

static void go_on(evutil_socket_t fd, short what, void *arg)
{
	struct errand *e = arg;
	char address[INET6_ADDRSTRLEN], sni[256];
	socklen_t n = sizeof(int);
	int error = 0;

	if (e->over)
		return;
	address_text(&e->at, address, sizeof address);
	if (e->ssl == NULL) {
		if ((what & EV_TIMEOUT) != 0) {
			in_vain(e, address, "does not answer");
			return;
		}
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0 || error != 0) {
			in_vain(e, address, "refuses the connection, or can't be reached");
			return;
		}
		e->ssl = SSL_new(e->p->tls);
		if (e->ssl == NULL || SSL_set_fd(e->ssl, fd) != 1 || !alpn_server_name(e->ask.ip, e->ask.name, sni, sizeof sni) ||
		    SSL_set_tlsext_host_name(e->ssl, sni) != 1) {
			errand_busy(e, "OpenSSL takes no more");
			return;
		}
	}
	handshake(e, address);
}

void tls_try(struct errand *e)
{
	socklen_t n = e->at.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	char address[INET6_ADDRSTRLEN];

	address_text(&e->at, address, sizeof address);
	e->fd = socket(e->at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	e->io = event_new(e->p->base, e->fd, EV_WRITE, go_on, e);
	if (e->fd < 0 || e->io == NULL) {
		errand_busy(e, "no socket");
		return;
	}
	if (connect(e->fd, (struct sockaddr *)&e->at, n) != 0 && errno != EINPROGRESS) {
		in_vain(e, address, "can't be reached");
		return;
	}
	wait_for(e, EV_WRITE);
}
