/* SPDX-License-Identifier: Apache-2.0
 *
 * One table says what may stand in caduceus.yaml: name, kind, default, comment. Loading, writing and showing read it. */
#include "config/config.h"

#include "base/clock.h"
#include "base/fence.h"
#include "config/yaml_file.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { K_TEXT, K_NAME, K_LISTEN, K_HTTPS, K_HTTP, K_PIN, K_DATABASE, K_DURATION, K_NUMBER, K_LEVEL, K_BOOL, K_WORD, K_PORTS,
	K_RESOLVER, K_NETWORKS };

static const struct key {
	const char *name;
	enum kind kind;
	const char *otherwise; /* the default, as it would stand in the file */
	const char *comment;
	size_t at, size;       /* the field; size 0: known and checked, kept for later subjects */
	long min, max;         /* numbers; durations in seconds; texts: least length */
	const char *words;     /* K_WORD: "hsm software" */
} keys[] = {
#define FIELD(f) offsetof(struct config, f), sizeof((struct config *)0)->f
	{ "organization", K_NAME, "Hospital", "Stands as O in every subject", FIELD(organization), 1, 64, NULL },
	{ "listen.enroll", K_LISTEN, "0.0.0.0:8443", "Where devices enrol (HTTPS); [::]:8443 for both families", FIELD(listen_enroll), 0, 0, NULL },
	{ "listen.va", K_LISTEN, "0.0.0.0:8080", "Where OCSP and CRLs are asked (plain HTTP, as RFC 5280 wants)", FIELD(listen_va), 0, 0, NULL },
	{ "listen.officer", K_LISTEN, "off", "Officers over HTTPS (not served yet); the local socket is always there", FIELD(listen_officer), 0, 0, "off" },
	{ "listen.metrics", K_LISTEN, "127.0.0.1:9464", "Prometheus: /metrics, plain HTTP; HOST:PORT, or off", FIELD(listen_metrics), 0, 0, "off" },
	{ "public.enroll", K_HTTPS, "https://localhost:8443", "How devices reach listen.enroll: goes into the TLS certificate", FIELD(public_enroll), 0, 0, NULL },
	{ "public.va", K_HTTP, "http://localhost:8080", "How everybody reaches listen.va: goes into every certificate, for years", FIELD(public_va), 0, 0, NULL },
	{ "hsm.module", K_TEXT, "embedded", "Path of a PKCS#11 module, or embedded: SoftHSM 2 in this directory", FIELD(hsm_module), 1, 0, NULL },
	{ "hsm.token", K_TEXT, "caduceus", "Label of the token, or a PKCS#11 URI (RFC 7512)", FIELD(hsm_token), 1, 0, NULL },
	{ "hsm.pin", K_PIN, "file:hsm.pin", "file:PATH (mode 0600), credential:NAME (systemd), prompt:", FIELD(hsm_pin), 0, 0, NULL },
	{ "hsm.sessions", K_NUMBER, "0", "Sessions at once; 0: cores for the embedded token, 16 for others", FIELD(hsm_sessions), 0, 1024, NULL },
	{ "hsm.paths", K_TEXT, "none", "What an external module may read and write: folders or files with blanks between, or none", FIELD(hsm_paths), 1, 0, NULL },
	{ "hsm.ports", K_PORTS, "none", "TCP ports that an external module may connect to: numbers with blanks between, or none", FIELD(hsm_ports), 0, 0, NULL },
	{ "database", K_DATABASE, "sqlite:caduceus.db", "sqlite:PATH", FIELD(database), 0, 0, NULL },
	{ "est.default_profile", K_NAME, "device", "What `device add` takes without --profile", FIELD(est_default_profile), 1, 31, NULL },
	{ "est.max_body", K_NUMBER, "65536", "Largest request in octets", FIELD(est_max_body), 4096, 1048576, NULL },
	{ "ocsp.key", K_WORD, "hsm", "Where responder keys live: hsm", FIELD(ocsp_key), 0, 0, "hsm" },
	{ "ocsp.lifetime", K_DURATION, "8h", "From thisUpdate to nextUpdate of an OCSP answer", FIELD(ocsp_lifetime), 60, 604800, NULL },
	{ "ocsp.unknown", K_WORD, "revoked", "Answer for serials never issued: revoked or unknown", FIELD(ocsp_unknown), 0, 0, "revoked unknown" },
	{ "crl.lifetime", K_DURATION, "72h", "From thisUpdate to nextUpdate of a CRL", FIELD(crl_lifetime), 600, 31536000, NULL },
	{ "crl.interval", K_DURATION, "24h", "How often a CRL is made; shorter than crl.lifetime", FIELD(crl_interval), 60, 31536000, NULL },
	{ "acme.http_port", K_NUMBER, "80", "Where http-01 asks", FIELD(acme_http_port), 1, 65535, NULL },
	{ "acme.tls_alpn_port", K_NUMBER, "443", "Where tls-alpn-01 asks", FIELD(acme_tls_alpn_port), 1, 65535, NULL },
	{ "acme.resolver", K_RESOLVER, "system", "HOST:PORT of a DNS resolver, or system", FIELD(acme_resolver), 0, 0, NULL },
	{ "acme.trust_anchors", K_TEXT, "none", "DNSSEC: a file with trust anchors; what lies below them must be signed rightly; or none", FIELD(acme_trust_anchors), 1, 0, NULL },
	{ "acme.networks", K_NETWORKS, "private", "Where validation may connect: private, public, networks like 127.0.0.0/8 with blanks between", FIELD(acme_networks), 0, 0, NULL },
	{ "acme.caa", K_WORD, "off", "CAA records are looked up before a validation: on or off", FIELD(acme_caa), 0, 0, "off on" },
	{ "acme.caa_identity", K_TEXT, "none", "The name that CAA records give this authority, or none", FIELD(acme_caa_identity), 1, 0, NULL },
	{ "acme.eab", K_WORD, "required", "External account binding: required or optional", FIELD(acme_eab), 0, 0, "required optional" },
	{ "acme.terms", K_TEXT, "none", "URL of the terms of service that a client must agree to, or none", FIELD(acme_terms), 1, 0, NULL },
	{ "acme.website", K_TEXT, "none", "URL that the directory names, or none", FIELD(acme_website), 1, 0, NULL },
	{ "acme.order_lifetime", K_DURATION, "7d", "An order that is not finished by then is invalid", FIELD(acme_order_lifetime), 60, 31536000, NULL },
	{ "acme.challenge_lifetime", K_DURATION, "1h", "A challenge that is not answered by then is invalid", FIELD(acme_challenge_lifetime), 60, 2592000, NULL },
	{ "acme.authorization_lifetime", K_DURATION, "24h", "How long a validated name serves further orders of its account", FIELD(acme_authorization_lifetime), 0, 2592000, NULL },
	{ "acme.orders_per_minute", K_NUMBER, "300", "An account, ten names each; 0 for no limit", FIELD(acme_orders_per_minute), 0, 1000000, NULL },
	{ "acme.accounts_per_hour", K_NUMBER, "300", "New ones from one address; 0 for no limit", FIELD(acme_accounts_per_hour), 0, 1000000, NULL },
	{ "acme.pending_authorizations", K_NUMBER, "1000", "Not yet validated names of one account at once; 0 for no limit", FIELD(acme_pending_authorizations), 0, 1000000, NULL },
	{ "acme.failures_per_hour", K_NUMBER, "60", "Failed validations of one name by one account; 0 for no limit", FIELD(acme_failures_per_hour), 0, 1000000, NULL },
	{ "acme.duplicates_per_day", K_NUMBER, "10000", "Certificates with the same names for one account; 0 for no limit", FIELD(acme_duplicates_per_day), 0, 1000000, NULL },
	{ "limits.connections", K_NUMBER, "1000", "At once, per listener", FIELD(limits_connections), 8, 60000, NULL },
	{ "limits.per_address", K_NUMBER, "200", "At once from one address; behind a proxy choose more", FIELD(limits_per_address), 1, 60000, NULL },
	{ "limits.request_seconds", K_NUMBER, "30", "A connection without a finished request for so long is cut", FIELD(limits_request_seconds), 1, 600, NULL },
	{ "retention.certificates", K_DURATION, "7y", "How long after its end a certificate stays in the database; the audit keeps its record", FIELD(retention_certificates), 1, 3153600000, NULL },
	{ "log.level", K_LEVEL, "info", "debug, info, warn or error", FIELD(log_level), 0, 0, NULL },
	{ "log.json", K_BOOL, "false", "One JSON object a line instead of key=value", FIELD(log_json), 0, 0, NULL },
#undef FIELD
};

static const char host_characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.:_-%";

bool config_host_port(const char *text, char *host, size_t size, uint16_t *port)
{
	const char *colon = strrchr(text, ':');
	size_t n;
	char *end;
	long v;

	if (colon == NULL || colon[1] < '0' || colon[1] > '9')
		return false;
	v = strtol(colon + 1, &end, 10);
	n = (size_t)(colon - text);
	if (*end != 0 || v < 1 || v > 65535)
		return false;
	if (n > 2 && text[0] == '[' && text[n - 1] == ']')
		text++, n -= 2;
	else if (memchr(text, ':', n) != NULL)
		return false;
	if (n == 0 || n >= size || strspn(text, host_characters) < n)
		return false;
	memcpy(host, text, n);
	host[n] = 0;
	*port = (uint16_t)v;
	return true;
}

bool config_url_host(const char *url, char *host, size_t size)
{
	const char *at = strstr(url, "://");
	size_t n;

	if (at == NULL)
		return false;
	at += 3;
	if (*at == '[') {
		n = strcspn(++at, "]");
		if (at[n] != ']')
			return false;
	} else {
		n = strcspn(at, ":/");
	}
	if (n == 0 || n >= size)
		return false;
	memcpy(host, at, n);
	host[n] = 0;
	return true;
}

void config_caa_identity(const struct config *c, char *out, size_t size)
{
	if (strcmp(c->acme_caa_identity, "none") != 0)
		snprintf(out, size, "%s", c->acme_caa_identity);
	else if (!config_url_host(c->public_enroll, out, size))
		out[0] = 0;
}

static bool url_ok(const char *url, const char *scheme)
{
	size_t n = strlen(scheme);
	char host[256];
	const char *rest;

	if (strncmp(url, scheme, n) != 0 || strlen(url) > 200 || !config_url_host(url, host, sizeof host))
		return false;
	rest = url + n + strcspn(url + n, "/?#");
	if (*rest != 0 || url[strcspn(url, " \"<>\\")] != 0)
		return false;
	rest = url + n;
	rest += *rest == '[' ? strcspn(rest, "]") + 1 : strcspn(rest, ":");
	if (*rest == ':') {
		char *end;
		long port = strtol(rest + 1, &end, 10);

		return *end == 0 && rest[1] >= '0' && rest[1] <= '9' && port > 0 && port < 65536;
	}
	return *rest == 0;
}

static bool are_ports(const char *v)
{
	unsigned n = 0;

	for (const char *p = v; strcmp(v, "none") != 0 && *p != 0;) {
		size_t digits = strspn(p, "0123456789");

		if (digits == 0 || digits > 5 || atoi(p) < 1 || atoi(p) > 65535 || ++n > 8)
			return false;
		p += digits;
		if (*p != 0 && *p++ != ' ')
			return false;
	}
	return *v != 0;
}

static bool is_address(const char *host)
{
	struct in6_addr a;

	return inet_pton(AF_INET, host, &a) == 1 || inet_pton(AF_INET6, host, &a) == 1;
}

static bool is_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *s = list; s != NULL && *s != 0;) {
		size_t k = strcspn(s, " ");

		if (k == n && strncmp(s, word, n) == 0)
			return true;
		s += k + (s[k] == ' ');
	}
	return false;
}

/* NULL: right; else what would be right. */
static const char *judge(const struct key *k, const char *v)
{
	static char text[160]; /* the command line and role starts are single-threaded here */
	char host[256], *end;
	uint16_t port;
	int64_t us;
	long number;
	enum log_level level;
	struct fence fence;
	struct err e;

	if (v[0] == 0 || v[strcspn(v, "\n\r")] != 0)
		return "a value";
	switch (k->kind) {
	case K_TEXT:
		return strlen(v) < CONFIG_TEXT_MAX ? NULL : "a shorter text";
	case K_NAME:
		snprintf(text, sizeof text, "%ld to %ld characters without blanks at the edges", k->min, k->max);
		return strlen(v) <= (size_t)k->max && v[0] != ' ' && v[strlen(v) - 1] != ' ' ? NULL : text;
	case K_LISTEN:
		if (k->words != NULL && is_word(k->words, v))
			return NULL;
		return strlen(v) < 128 && config_host_port(v, host, sizeof host, &port)
		               ? NULL
		               : "HOST:PORT, such as 0.0.0.0:8443 or [::]:8443";
	case K_HTTPS:
		return url_ok(v, "https://") ? NULL : "https://HOST[:PORT], without a slash at the end";
	case K_HTTP:
		return url_ok(v, "http://") ? NULL
		                            : "http://HOST[:PORT], without a slash at the end (never https: RFC 5280, 4.2.2.1)";
	case K_PIN:
		return (strncmp(v, "file:", 5) == 0 && v[5] != 0) || (strncmp(v, "credential:", 11) == 0 && v[11] != 0) ||
		                       strcmp(v, "prompt:") == 0
		               ? NULL
		               : "file:PATH, credential:NAME or prompt: (never the PIN itself)";
	case K_DATABASE:
		return strncmp(v, "sqlite:", 7) == 0 && v[7] != 0 && strlen(v) < CONFIG_TEXT_MAX
		               ? NULL
		               : "sqlite:PATH (PostgreSQL is not there yet)";
	case K_DURATION:
		snprintf(text, sizeof text, "a duration from %lds to %ldd, such as 8h", k->min, k->max / 86400);
		return clock_duration(v, &us) && us >= k->min * US_PER_SECOND && us <= k->max * US_PER_SECOND ? NULL : text;
	case K_NUMBER:
		snprintf(text, sizeof text, "a number from %ld to %ld", k->min, k->max);
		number = strtol(v, &end, 10);
		return *end == 0 && v[0] >= '0' && v[0] <= '9' && number >= k->min && number <= k->max ? NULL : text;
	case K_LEVEL:
		return log_level_parse(v, &level) ? NULL : "debug, info, warn or error";
	case K_BOOL:
		return strcmp(v, "true") == 0 || strcmp(v, "false") == 0 ? NULL : "true or false";
	case K_WORD:
		snprintf(text, sizeof text, "one of: %s", k->words);
		return is_word(k->words, v) ? NULL : text;
	case K_PORTS:
		return are_ports(v) ? NULL : "none, or up to 8 numbers from 1 to 65535 with blanks between";
	case K_RESOLVER:
		return strcmp(v, "system") == 0 || (strlen(v) < 128 && config_host_port(v, host, sizeof host, &port) && (is_address(host) || strchr(host, ':') == NULL))
		               ? NULL
		               : "system, or HOST:PORT of a DNS resolver, such as 10.0.0.53:53 or [fd00::53]:53";
	case K_NETWORKS:
		if (strlen(v) < CONFIG_TEXT_MAX && fence_parse(&fence, v, &e))
			return NULL;
		snprintf(text, sizeof text, "a list of private, public and networks such as 10.0.0.0/8, blanks between (%.60s)",
		         strlen(v) < CONFIG_TEXT_MAX ? e.text : "too long");
		return text;
	}
	return "another value";
}

static void store_value(struct config *c, const struct key *k, const char *v)
{
	char *field = (char *)c + k->at;

	if (k->size == 0)
		return;
	switch (k->kind) {
	case K_DURATION:
		(void)!clock_duration(v, (int64_t *)(void *)field);
		break;
	case K_NUMBER:
		*(int64_t *)(void *)field = strtol(v, NULL, 10);
		break;
	case K_LEVEL:
		(void)!log_level_parse(v, (enum log_level *)(void *)field);
		break;
	case K_BOOL:
		*(bool *)field = strcmp(v, "true") == 0;
		break;
	case K_LISTEN:
		snprintf(field, k->size, "%s", strcmp(v, "off") == 0 ? "" : v);
		break;
	default:
		snprintf(field, k->size, "%s", v);
	}
}

static const struct key *find_key(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(keys); i++)
		if (strcmp(keys[i].name, name) == 0)
			return &keys[i];
	return NULL;
}

static const char *near_key(const char *name)
{
	const char *names[COUNT_OF(keys)];

	for (size_t i = 0; i < COUNT_OF(keys); i++)
		names[i] = keys[i].name;
	return word_near(name, names, COUNT_OF(names));
}

/* Values that are right alone but not together. */
static bool check_whole(const struct config *c, const char *label, struct buf *mistakes)
{
	bool good = true;

	if (c->crl_interval >= c->crl_lifetime) {
		yaml_file_mistake(mistakes, label, 1, "crl.interval must be shorter than crl.lifetime: a CRL would run out first");
		good = false;
	}
	if (strcmp(c->listen_enroll, c->listen_va) == 0) {
		yaml_file_mistake(mistakes, label, 1, "listen.enroll and listen.va are the same; choose two ports");
		good = false;
	}
	return good;
}

static bool apply(struct config *c, struct yaml_file *f, const char *label, struct buf *mistakes)
{
	bool good = true;

	for (size_t i = 0; i < f->n; i++) {
		struct yaml_entry *en = &f->entry[i];
		const struct key *k = find_key(en->key);
		const char *right, *near;

		if (k == NULL) {
			near = near_key(en->key);
			yaml_file_mistake(mistakes, label, en->line, "unknown key %s%s%s", en->key,
			             near != NULL ? "; did you mean " : "", near != NULL ? near : "");
			good = false;
			continue;
		}
		right = en->list || en->n != 1 ? "one value" : judge(k, en->value[0]);
		if (right != NULL) {
			yaml_file_mistake(mistakes, label, en->line, "%s: '%.60s' is not right here; %s is expected", en->key,
			             en->n != 0 ? en->value[0] : "", right);
			good = false;
			continue;
		}
		store_value(c, k, en->value[0]);
	}
	return good;
}

static bool load(struct config *c, const char *dir, struct yaml_file *f, char label[CONFIG_TEXT_MAX + 16],
                 struct buf *mistakes)
{
	AUTO_BUF text = { 0 };
	struct err e;

	if (strlen(dir) >= sizeof c->dir) {
		buf_printf(mistakes, "the directory's name is too long\n");
		return false;
	}
	strcpy(c->dir, dir);
	snprintf(label, CONFIG_TEXT_MAX + 16, "%s/caduceus.yaml", dir);
	if (!file_read(&text, label, YAML_SIZE_MAX, &e)) {
		buf_printf(mistakes, "%s (is this an instance? `caduceus init` makes one)\n", e.text);
		return false;
	}
	return yaml_file_read(f, label, (char *)text.p, text.n, mistakes);
}

static void defaults(struct config *c)
{
	*c = (struct config){ 0 };
	for (size_t i = 0; i < COUNT_OF(keys); i++)
		store_value(c, &keys[i], keys[i].otherwise);
}

/* What could be read is judged even when the file has mistakes as YAML: all at once. */
static bool judge_file(struct config *c, bool read, struct yaml_file *f, const char *label, struct buf *mistakes)
{
	bool good = f->n == 0 ? read : apply(c, f, label, mistakes) && read;

	if (read && f->n == 0) {
		yaml_file_mistake(mistakes, label, 1, "the file is empty; `caduceus init` writes one with every key");
		good = false;
	}

	return good && check_whole(c, label, mistakes);
}

bool config_load(struct config *out, const char *dir, struct buf *mistakes)
{
	AUTO_FREE struct yaml_file *f = mem_new(sizeof *f);
	char label[CONFIG_TEXT_MAX + 16] = "";
	bool good;

	defaults(out);
	good = judge_file(out, load(out, dir, f, label, mistakes), f, label, mistakes);
	yaml_file_free(f);
	return good;
}

bool config_parse(struct config *out, const char *label, const char *text, size_t n, struct buf *mistakes)
{
	AUTO_FREE struct yaml_file *f = mem_new(sizeof *f);
	bool good;

	defaults(out);
	good = judge_file(out, yaml_file_read(f, label, text, n, mistakes), f, label, mistakes);
	yaml_file_free(f);
	return good;
}

bool config_show(const char *dir, config_each *each, void *arg, struct buf *mistakes)
{
	AUTO_FREE struct yaml_file *f = mem_new(sizeof *f);
	struct config c;
	char label[CONFIG_TEXT_MAX + 16], source[CONFIG_TEXT_MAX + 32];
	bool good;

	defaults(&c);
	good = load(&c, dir, f, label, mistakes) && apply(&c, f, label, mistakes);
	for (size_t i = 0; good && i < COUNT_OF(keys); i++) {
		const struct yaml_entry *en = yaml_file_find(f, keys[i].name);

		if (en != NULL)
			snprintf(source, sizeof source, "%s:%u", label, en->line);
		each(arg, keys[i].name, en != NULL ? en->value[0] : keys[i].otherwise, en != NULL ? source : "default");
	}
	yaml_file_free(f);
	return good;
}

/* --- Writing */

static const char *chosen(const struct key *k, const char *const *set, size_t n)
{
	const char *value = k->otherwise;
	size_t len = strlen(k->name);

	for (size_t i = 0; i < n; i++)
		if (strncmp(set[i], k->name, len) == 0 && set[i][len] == '=')
			value = set[i] + len + 1;
	return value;
}

static bool check_set(const char *const *set, size_t n, struct buf *mistakes)
{
	bool good = true;

	for (size_t i = 0; i < n; i++) {
		size_t len = strcspn(set[i], "=");
		AUTO_FREE char *name = mem_printf("%.*s", (int)len, set[i]);
		const struct key *k = find_key(name);
		const char *near = near_key(name), *right;

		if (set[i][len] != '=') {
			buf_printf(mistakes, "--set %s: KEY=VALUE is expected\n", set[i]);
			good = false;
		} else if (k == NULL) {
			buf_printf(mistakes, "--set %s: unknown key%s%s\n", name, near != NULL ? "; did you mean " : "",
			           near != NULL ? near : "");
			good = false;
		} else if ((right = judge(k, set[i] + len + 1)) != NULL) {
			buf_printf(mistakes, "--set %s: '%s' is not right here; %s is expected\n", name, set[i] + len + 1,
			           right);
			good = false;
		}
	}
	return good;
}

static void put_quoted(struct buf *b, const char *v)
{
	if (v[strspn(v, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789./-_")] == 0) {
		buf_text(b, v);
		return;
	}
	buf_byte(b, '"');
	for (; *v != 0; v++) {
		if (*v == '"' || *v == '\\')
			buf_byte(b, '\\');
		buf_byte(b, (uint8_t)*v);
	}
	buf_byte(b, '"');
}

bool config_write(struct buf *out, const char *const *set, size_t set_n, struct buf *mistakes)
{
	char section[32] = "";

	if (!check_set(set, set_n, mistakes))
		return false;
	buf_text(out, "# caduceus: `caduceus config check` finds mistakes, `caduceus config show` what is in force.\n");
	for (size_t i = 0; i < COUNT_OF(keys); i++) {
		const char *dot = strchr(keys[i].name, '.');
		size_t n = dot != NULL ? (size_t)(dot - keys[i].name) : 0;

		if (dot != NULL && (strlen(section) != n || strncmp(section, keys[i].name, n) != 0)) {
			snprintf(section, sizeof section, "%.*s", (int)n, keys[i].name);
			buf_printf(out, "\n%s:\n", section);
		}
		buf_printf(out, "%s# %s\n%s%s: ", dot != NULL ? "  " : "\n", keys[i].comment, dot != NULL ? "  " : "",
		           dot != NULL ? dot + 1 : keys[i].name);
		put_quoted(out, chosen(&keys[i], set, set_n));
		buf_byte(out, '\n');
	}
	return true;
}
