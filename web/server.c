/* SPDX-License-Identifier: Apache-2.0
 *
 * libmicrohttpd around the heads. */
#include "web/internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/rnd.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define STOP_US (5 * US_PER_SECOND)

static void mhd_log(void *arg, const char *fmt, va_list ap)
{
	char text[256];

	(void)arg;
	vsnprintf(text, sizeof text, fmt, ap);
	text[strcspn(text, "\r\n")] = 0;
	log_event(LOG_LEVEL_DEBUG, "http", "why", text, NULL);
}

static int fd_of(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *i = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);

	return i != NULL ? i->connect_fd : -1;
}

static void on_connection(void *arg, struct MHD_Connection *c, void **context, enum MHD_ConnectionNotificationCode code)
{
	struct web *w = arg;
	const union MHD_ConnectionInfo *i;
	struct conn *conn = *context;
	int one = 1;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		i = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
		*context = conn = reaper_add(w, fd_of(c), i != NULL ? i->client_addr : NULL);
		/* Without it small writes meet delayed acknowledgements: 40 ms. Fails harmlessly on local sockets. */
		setsockopt(fd_of(c), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		i = w->c.tls ? MHD_get_connection_info(c, MHD_CONNECTION_INFO_GNUTLS_SESSION) : NULL;
		if (i != NULL) {
			conn->key = tls_key_hold(w);
			tls_prepare(conn, i->tls_session);
			parking_watch(conn, c, i->tls_session);
		}
		return;
	}
	if (conn != NULL) {
		tls_key_free(conn->key);
		reaper_remove(w, conn);
	}
	*context = NULL;
}

static void who(struct exchange *x)
{
	const union MHD_ConnectionInfo *i = MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *a = i != NULL ? i->client_addr : NULL;
	struct ucred cred;
	socklen_t n = sizeof cred;

	if (a != NULL && a->sa_family == AF_INET) {
		inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)a)->sin_addr, x->q.remote, sizeof x->q.remote);
		x->q.remote_port = ntohs(((const struct sockaddr_in *)(const void *)a)->sin_port);
	} else if (a != NULL && a->sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr, x->q.remote, sizeof x->q.remote);
		x->q.remote_port = ntohs(((const struct sockaddr_in6 *)(const void *)a)->sin6_port);
	} else if (getsockopt(fd_of(x->connection), SOL_SOCKET, SO_PEERCRED, &cred, &n) == 0 && cred.pid != 0) {
		strcpy(x->q.remote, "local");
		x->q.local = true;
		x->q.uid = cred.uid;
	}
}

static void *on_uri(void *arg, const char *uri, struct MHD_Connection *connection)
{
	struct exchange *x = mem_new(sizeof *x);
	const union MHD_ConnectionInfo *i = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	char *mark;

	x->w = arg;
	x->connection = connection;
	x->began = clock_mono();
	x->conn = i != NULL ? i->socket_context : NULL;
	x->path = mem_text(uri);
	mark = strchr(x->path, '?');
	x->query = mem_text(mark != NULL ? mark + 1 : "");
	if (mark != NULL)
		*mark = 0;
	rnd_uuid(rnd_kernel, x->q.request_id);
	x->q.path = x->path;
	x->q.query = x->query;
	x->q.method = x->method;
	atomic_fetch_add(&x->w->under_way, 1);
	return x;
}

static void free_exchange(struct exchange *x)
{
	struct web *w = x->w;

	free(x->path);
	free(x->query);
	free(x->ask.state);
	mem_wipe(x->body.p, x->body.n);
	mem_wipe(x->ask.body.p, x->ask.body.n);
	buf_free(&x->body);
	buf_free(&x->ask.body);
	buf_free(&x->answer_body);
	buf_free(&x->r.body);
	for (size_t i = 0; i < WEB_CHAIN_MAX; i++)
		buf_free(&x->chain[i]);
	free(x);
	atomic_fetch_sub(&w->under_way, 1);
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **context, enum MHD_RequestTerminationCode code)
{
	struct exchange *x = *context;

	(void)arg;
	(void)connection;
	if (x == NULL)
		return;
	reaper_done(x->w, x->conn);
	if (x->w->c.logged != NULL && x->r.status != 0 && code != MHD_REQUEST_TERMINATED_DAEMON_SHUTDOWN)
		x->w->c.logged(x->w->c.arg, &x->q, &x->r, clock_mono() - x->began);
	free_exchange(x);
	*context = NULL;
}

static enum MHD_Result send_response(struct exchange *x)
{
	struct response *r = &x->r;
	struct MHD_Response *m;
	enum MHD_Result queued;

	if (r->status == 0)
		response_text(r, 500, &x->q, "internal error");
	/* The body becomes MHD's: a CRL of a million entries stands in memory once a request, not twice. */
	m = MHD_create_response_from_buffer(r->body.n, r->body.p, MHD_RESPMEM_MUST_FREE);
	if (m == NULL)
		return MHD_NO;
	r->head_n = r->body.n < sizeof r->head ? r->body.n : sizeof r->head;
	if (r->head_n != 0)
		memcpy(r->head, r->body.p, r->head_n);
	r->body = (struct buf){ 0 };
	if (r->content_type != NULL)
		MHD_add_response_header(m, "Content-Type", r->content_type);
	for (size_t i = 0; i < r->header_n; i++)
		MHD_add_response_header(m, r->header[i].name, r->header[i].value);
	if (atomic_load(&x->w->stopping))
		MHD_add_response_header(m, "Connection", "close");
	queued = MHD_queue_response(x->connection, r->status, m);
	MHD_destroy_response(m);
	return queued;
}

/* Makes of the answer a response or the next question; true: another question. */
static bool take_answer(struct exchange *x)
{
	return x->route->head->format(x->route->ctx, &x->q, &x->answer, &x->ask, &x->r);
}

static void set_answer(struct exchange *x, const struct frame *f, const struct err *e)
{
	x->answer_body.n = 0;
	x->answer = (struct answer){ .got = f != NULL };
	if (f != NULL) {
		x->answer.type = f->type;
		buf_add(&x->answer_body, f->body.p, f->body.n);
		x->answer.body = span_of(&x->answer_body);
	} else {
		x->answer.err = *e;
	}
}

static struct frame question(const struct exchange *x)
{
	return (struct frame){ .type = x->ask.type, .deadline = clock_mono() + x->ask.timeout, .body = span_of(&x->ask.body) };
}

/* The connection is suspended; MHD keeps it, and so the exchange, until it is resumed, even when the client has
 * gone, so the answer always finds it. */
static void on_answer(void *arg, const struct frame *f, const struct err *e)
{
	struct exchange *x = arg;

	set_answer(x, f, e);
	if (take_answer(x)) {
		struct frame next = question(x);

		caller_submit(x->ask.to, &next, on_answer, x);
		return;
	}
	x->answered = true;
	MHD_resume_connection(x->connection);
}

static enum MHD_Result handle(struct exchange *x)
{
	struct frame f;

	x->q.body = span_of(&x->body);
	x->asked = true;
	if (!x->route->head->parse(x->route->ctx, &x->q, &x->ask, &x->r))
		return send_response(x);
	f = question(x);
	atomic_store(&x->w->asked, x->ask.to);
	reaper_busy(x->w, x->conn, true);
	MHD_suspend_connection(x->connection);
	caller_submit(x->ask.to, &f, on_answer, x);
	return MHD_YES;
}

static bool first_call(struct exchange *x, const char *method)
{
	const union MHD_ConnectionInfo *i;

	snprintf(x->method, sizeof x->method, "%.15s", method);
	x->begun = true;
	who(x);
	i = x->w->c.tls ? MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION) : NULL;
	if (i != NULL)
		tls_chain(x, i->tls_session);
	return request_head(x);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *data, size_t *size, void **context)
{
	struct exchange *x = *context;

	(void)arg;
	(void)connection;
	(void)url;
	(void)version;
	if (x == NULL)
		return MHD_NO;
	if (!x->begun) {
		if (!first_call(x, method))
			return send_response(x);
		return MHD_YES;
	}
	if (x->answered)
		return send_response(x);
	if (*size != 0) {
		if (!x->refused && x->body.n + *size > x->route->body_max) {
			/* Chunked: no length was said. The rest is read and dropped, as HTTP wants, within the deadline. */
			x->refused = true;
			buf_free(&x->body);
		}
		if (!x->refused)
			buf_add(&x->body, data, *size);
		*size = 0;
		return MHD_YES;
	}
	if (x->refused) {
		(void)request_refuse(x, 413, "the body is too large");
		return send_response(x);
	}
	return x->asked ? MHD_YES : handle(x);
}

static enum MHD_Result admit(void *arg, const struct sockaddr *from, socklen_t n)
{
	(void)n;
	return reaper_admits(arg, from) ? MHD_YES : MHD_NO;
}

static bool start(struct web *w, struct err *e)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned flags = MHD_USE_ERROR_LOG | MHD_USE_ITC | MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME;
	struct MHD_OptionItem options[16];
	size_t n = 0;

	options[n++] = (struct MHD_OptionItem){ MHD_OPTION_THREAD_POOL_SIZE, cores > 1 ? cores : 2, NULL };
	if (w->c.tls) {
		flags |= MHD_USE_TLS;
		options[n++] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)tls_priorities };
	}
#if MHD_VERSION >= 0x01000000
	options[n++] = (struct MHD_OptionItem){ MHD_OPTION_CLIENT_DISCIPLINE_LVL, 1, NULL };
#else
	options[n++] = (struct MHD_OptionItem){ MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL };
#endif
	options[n++] = (struct MHD_OptionItem){ MHD_OPTION_CONNECTION_LIMIT, (intptr_t)w->c.connections, NULL };
	options[n++] = (struct MHD_OptionItem){ MHD_OPTION_CONNECTION_MEMORY_LIMIT, 32 << 10, NULL };
	options[n++] = (struct MHD_OptionItem){ MHD_OPTION_CONNECTION_TIMEOUT, (intptr_t)(w->c.request_timeout / US_PER_SECOND), NULL };
	options[n++] = (struct MHD_OptionItem){ MHD_OPTION_LISTEN_SOCKET, w->c.listen_fd, NULL };
	options[n] = (struct MHD_OptionItem){ MHD_OPTION_END, 0, NULL };
	/* The log comes first, so that what follows is heard. */
	w->mhd = MHD_start_daemon(flags, 0, admit, w, on_request, w, MHD_OPTION_EXTERNAL_LOGGER, mhd_log, NULL,
	                          MHD_OPTION_NOTIFY_CONNECTION, on_connection, w, MHD_OPTION_URI_LOG_CALLBACK, on_uri, w,
	                          MHD_OPTION_NOTIFY_COMPLETED, on_completed, w, MHD_OPTION_ARRAY, options,
	                          w->c.tls ? MHD_OPTION_HTTPS_CERT_CALLBACK2 : MHD_OPTION_END, tls_retrieve, MHD_OPTION_END);
	return w->mhd != NULL || err_set(e, ERR_IO, "the listener %s could not be started", w->c.name);
}

bool web_start(struct web **out, const struct web_config *c, struct err *e)
{
	struct web *w = mem_new(sizeof *w);

	w->c = *c;
	if (w->c.connections == 0)
		w->c.connections = 1000;
	if (w->c.request_timeout <= 0)
		w->c.request_timeout = 30 * US_PER_SECOND;
	if (w->c.ticket_period <= 0)
		w->c.ticket_period = US_PER_HOUR;
	w->routes = mem_dup(c->routes, c->route_n * sizeof *c->routes);
	w->tls_key = c->tls_key;
	pthread_mutex_init(&w->lock, NULL);
	pthread_rwlock_init(&w->tls_lock, NULL);
	pthread_mutex_init(&w->ticket_lock, NULL);
	if (w->c.tls && !parking_start(&w->parking))
		abort();
	if (!start(w, e)) {
		if (w->c.tls)
			parking_stop(&w->parking);
		free(w->routes);
		free(w);
		return false;
	}
	if (!reaper_start(w))
		abort();
	*out = w;
	return true;
}

static bool wait_until(struct web *w, bool (*over)(struct web *), int64_t us)
{
	static const struct timespec nap = { 0, 10000000 };
	int64_t until = clock_mono() + us;

	while (!over(w)) {
		if (clock_mono() >= until)
			return false;
		nanosleep(&nap, NULL);
	}
	return true;
}

static bool nothing_under_way(struct web *w)
{
	return atomic_load(&w->under_way) == 0;
}

static bool nobody_connected(struct web *w)
{
	return reaper_cut_all(w) == 0;
}

void web_stop(struct web *w, int64_t us)
{
	struct caller *asked;
	int listener;

	if (w == NULL)
		return;
	atomic_store(&w->stopping, true);
	listener = MHD_quiesce_daemon(w->mhd);
	/* Requests that wait for another role get their answer; those that wait too long hear that there is none. */
	asked = atomic_load(&w->asked);
	if (!wait_until(w, nothing_under_way, us) && asked != NULL) {
		caller_channel(asked, -1);
		(void)wait_until(w, nothing_under_way, STOP_US);
	}
	reaper_stop(w);
	if (!wait_until(w, nobody_connected, STOP_US)) {
		/* libmicrohttpd aborts when it is stopped with a suspended connection. */
		log_event(LOG_LEVEL_WARN, "stopped with requests under way", "count", LOG_NUM(atomic_load(&w->under_way)), NULL);
		_exit(0);
	}
	MHD_stop_daemon(w->mhd);
	if (w->c.tls)
		parking_stop(&w->parking);
	if (listener >= 0)
		close(listener);
	tls_key_free(w->tls_key);
	tls_forget_tickets(w);
	pthread_mutex_destroy(&w->lock);
	pthread_mutex_destroy(&w->ticket_lock);
	pthread_rwlock_destroy(&w->tls_lock);
	free(w->routes);
	free(w);
}
