/* SPDX-License-Identifier: Apache-2.0
 *
 * DIR/caduceus.yaml under one table: name, type, default, comment. All mistakes at once, each with file, line and what
 * would be right. Every key and its meaning: contract "Configuration". */
#ifndef CADUCEUS_CONFIG_CONFIG_H
#define CADUCEUS_CONFIG_CONFIG_H

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"

#include <stdint.h>

enum { CONFIG_TEXT_MAX = 512 };

struct config {
	char dir[CONFIG_TEXT_MAX];          /* the instance, absolute */
	char organization[65];
	char listen_enroll[128];            /* HOST:PORT, [V6]:PORT */
	char listen_va[128];
	char listen_officer[128];           /* "" off */
	char listen_metrics[128];
	char public_enroll[256];            /* https://HOST[:PORT] without a slash at the end */
	char public_va[256];                /* http://HOST[:PORT] */
	char hsm_module[CONFIG_TEXT_MAX];   /* "embedded" (SoftHSM 2 in DIR/token) or a path */
	char hsm_token[CONFIG_TEXT_MAX];    /* a label, or a PKCS#11 URI (RFC 7512): token, serial, … never a slot number */
	char hsm_pin[CONFIG_TEXT_MAX];      /* file:PATH, credential:NAME, prompt: (relative paths are below DIR) */
	char hsm_paths[CONFIG_TEXT_MAX];    /* what an external module reads and writes, blanks between; "none" */
	char hsm_ports[CONFIG_TEXT_MAX];    /* TCP ports that it connects to, blanks between; "none" */
	int64_t hsm_sessions;               /* 0: cores for the embedded token, 16 else */
	char database[CONFIG_TEXT_MAX];     /* sqlite:PATH (relative to DIR) or postgresql://… */
	char est_default_profile[32];
	int64_t est_max_body;               /* octets, 65536 */
	char ocsp_key[16];                  /* "hsm" or "software" */
	int64_t ocsp_lifetime;              /* us */
	char ocsp_unknown[16];              /* answer for serials never issued: "revoked" (default) or "unknown" */
	int64_t crl_lifetime, crl_interval; /* us */
	int64_t acme_http_port, acme_tls_alpn_port;
	char acme_resolver[128];            /* "system" or HOST:PORT */
	char acme_trust_anchors[CONFIG_TEXT_MAX]; /* a path, or "none" */
	char acme_networks[CONFIG_TEXT_MAX];/* words and CIDRs, blanks between */
	char acme_caa[8];                   /* "off", "on" */
	char acme_caa_identity[256];        /* "none": host of public.enroll */
	char acme_eab[16];                  /* "required", "optional" */
	char acme_terms[256], acme_website[256]; /* "none" */
	int64_t acme_order_lifetime, acme_challenge_lifetime, acme_authorization_lifetime; /* us */
	int64_t acme_orders_per_minute;     /* 0: no limit; the same below */
	int64_t acme_accounts_per_hour, acme_pending_authorizations, acme_failures_per_hour, acme_duplicates_per_day;
	enum log_level log_level;
	bool log_json;
	int64_t limits_connections;         /* all, per listener */
	int64_t limits_per_address;
	int64_t retention_certificates;     /* us after notAfter */
	int64_t limits_request_seconds;     /* absolute, from accept or the end of the last request to the next one's end */
};

/* Reads DIR/caduceus.yaml. False: *mistakes holds one line each and nothing may start. */
MUST_USE bool config_load(struct config *out, const char *dir, struct buf *mistakes);
/* The same from a text; `label` stands for the file's name. out->dir is empty. */
MUST_USE bool config_parse(struct config *out, const char *label, const char *text, size_t n, struct buf *mistakes);
/* The text that init writes: every key with its comment; set: "KEY=VALUE" pairs, checked: all mistakes at once. */
MUST_USE bool config_write(struct buf *out, const char *const *set, size_t set_n, struct buf *mistakes);
/* For `config show`: calls each(key, effective value, "default" or "FILE:LINE"). */
typedef void config_each(void *arg, const char *key, const char *value, const char *source);
MUST_USE bool config_show(const char *dir, config_each *each, void *arg, struct buf *mistakes);

/* Splits "HOST:PORT" or "[V6]:PORT"; host without brackets. */
MUST_USE bool config_host_port(const char *text, char *host, size_t size, uint16_t *port);
/* The host of an http(s) URL of ours, without port and brackets. */
MUST_USE bool config_url_host(const char *url, char *host, size_t size);
/* The name that CAA records give this authority: acme.caa_identity, without one the host of public.enroll; "" neither. */
void config_caa_identity(const struct config *c, char *out, size_t size);

#endif
