/* SPDX-License-Identifier: Apache-2.0
 *
 * Which token, and the login. */
#include "hsm/internal.h"

#include "base/log.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* --- Which token (RFC 7512): never a slot number */

struct wanted {
	char token[33], serial[17], manufacturer[33], model[17];
};

static bool decode_value(const char *p, size_t n, char *out, size_t size)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		uint8_t octet = (uint8_t)p[i];
		size_t got;

		if (p[i] == '%') {
			char two[3] = { 0 };

			if (n - i < 3)
				return false;
			memcpy(two, p + i + 1, 2);
			if (!hex_get(two, &octet, 1, &got))
				return false;
			i += 2;
		}
		if (k + 1 >= size || octet == 0)
			return false;
		out[k++] = (char)octet;
	}
	out[k] = 0;
	return true;
}

static bool take_attribute(struct wanted *w, const char *p, size_t n, struct err *e)
{
	const struct {
		const char *name;
		char *out;
		size_t size;
	} table[] = { { "token=", w->token, sizeof w->token },
		      { "serial=", w->serial, sizeof w->serial },
		      { "manufacturer=", w->manufacturer, sizeof w->manufacturer },
		      { "model=", w->model, sizeof w->model } };

	for (size_t i = 0; i < COUNT_OF(table); i++) {
		size_t len = strlen(table[i].name);

		if (n < len || strncmp(p, table[i].name, len) != 0)
			continue;
		if (table[i].out[0] != 0)
			return err_set(e, ERR_CONFIG, "hsm.token: %s stands twice", table[i].name);
		return (n > len && decode_value(p + len, n - len, table[i].out, table[i].size)) ||
		       err_set(e, ERR_CONFIG, "hsm.token: the value of %s is empty, malformed or too long",
		               table[i].name);
	}
	if (strncmp(p, "slot-id=", 8) == 0)
		return err_set(e, ERR_CONFIG, "hsm.token: slot numbers change between starts; name the token or its serial");
	return err_set(e, ERR_CONFIG, "hsm.token: '%.*s' is not used here; token, serial, manufacturer, model are",
	               (int)strcspn(p, "=;"), p);
}

static bool parse_wanted(struct wanted *w, const char *text, struct err *e)
{
	const char *p = text + 7;

	*w = (struct wanted){ 0 };
	if (strncmp(text, "pkcs11:", 7) != 0) {
		if (strlen(text) >= sizeof w->token)
			return err_set(e, ERR_CONFIG, "hsm.token: a label has at most 32 characters");
		strcpy(w->token, text);
		return text[0] != 0 || err_set(e, ERR_CONFIG, "hsm.token: name the token by its label");
	}
	/* RFC 7512, 2.3: the query part can carry a PIN. */
	if (strchr(text, '?') != NULL)
		return err_set(e, ERR_CONFIG, "hsm.token: a URI without '?': the module and the PIN come by hsm.module, hsm.pin");
	while (*p != 0) {
		size_t n = strcspn(p, ";");

		if (!take_attribute(w, p, n, e))
			return false;
		p += n;
		if (*p == ';' && *++p == 0)
			return err_set(e, ERR_CONFIG, "hsm.token: the URI ends with ';'");
	}
	return w->token[0] != 0 || w->serial[0] != 0 ||
	       err_set(e, ERR_CONFIG, "hsm.token: the URI must name a token or a serial");
}

/* PKCS#11 texts are padded with blanks, without an end. */
void unpad(const unsigned char *p, size_t n, char *out)
{
	while (n != 0 && (p[n - 1] == ' ' || p[n - 1] == 0))
		n--;
	memcpy(out, p, n);
	out[n] = 0;
}

static bool fits(const char *want, const unsigned char *p, size_t n)
{
	char have[65];

	unpad(p, n, have);
	return want[0] == 0 || strcmp(want, have) == 0;
}

bool token_choose(struct hsm *h, struct err *e)
{
	CK_SLOT_ID slots[128];
	CK_ULONG n = COUNT_OF(slots);
	struct wanted w;
	unsigned found = 0;
	CK_RV rv;

	if (!parse_wanted(&w, h->token_name, e))
		return false;
	rv = h->f->C_GetSlotList(CK_TRUE, slots, &n);
	if (rv != CKR_OK)
		return ckr_fail(h, e, "C_GetSlotList", rv);
	for (CK_ULONG i = 0; i < n; i++) {
		CK_TOKEN_INFO t;

		if (h->f->C_GetTokenInfo(slots[i], &t) != CKR_OK || (t.flags & CKF_TOKEN_INITIALIZED) == 0 ||
		    !fits(w.token, t.label, sizeof t.label) || !fits(w.serial, t.serialNumber, sizeof t.serialNumber) ||
		    !fits(w.manufacturer, t.manufacturerID, sizeof t.manufacturerID) || !fits(w.model, t.model, sizeof t.model))
			continue;
		h->slot = slots[i];
		h->token = t;
		found++;
	}
	if (found == 0)
		return err_set(e, ERR_HSM, "no token '%s' in %s; is the HSM reachable, and hsm.token right?", h->token_name,
		               h->module);
	return found == 1 || err_set(e, ERR_CONFIG, "%u tokens fit '%s'; add its serial: pkcs11:token=…;serial=…", found,
	                             h->token_name);
}

/* --- The PIN: asked for once, one attempt, then a latch that survives restarts until a person acts (HSM-08, HSM-09) */

static char *latch_path(const struct hsm *h)
{
	return mem_printf("%s/ca/pin-refused", h->dir);
}

/* A latch that can't be written would be no latch: each start would give the wrong PIN again, until the token locks. */
static bool latch_can_be_set(struct hsm *h, struct err *e)
{
	AUTO_FREE char *path = mem_printf("%s/ca/pin-tried", h->dir);
	static const uint8_t room[512] = { 0 };

	if (!file_write_atomic(path, room, sizeof room, 0600, e))
		return err_in(e, "the PIN is not tried, for its refusal could not be kept");
	(void)unlink(path);
	return true;
}

/* The latch names the PIN source's state in its first line: a changed source opens it. */
bool token_unlatched(struct hsm *h, struct err *e)
{
	AUTO_FREE char *path = latch_path(h);
	AUTO_FREE char *mine = mem_printf("%s\n", h->pin_mark);
	AUTO_BUF text = { 0 };
	struct err why;

	if (!file_read(&text, path, 8192, &why) && why.kind == ERR_NOT_FOUND)
		return latch_can_be_set(h, e);
	if (h->pin_mark[0] != 0 && strncmp(buf_str(&text), mine, strlen(mine)) != 0) {
		if (unlink(path) == 0) {
			log_event(LOG_LEVEL_INFO, "the PIN source has changed: the PIN is tried again", NULL);
			return true;
		}
		return err_sys(e, ERR_PIN, "%s", path);
	}
	return err_set(e, ERR_PIN, "the token refused the PIN before; it is not tried again (tokens lock after a few). "
	                           "Put the PIN right, then remove %s", path);
}

static bool refused(struct hsm *h, CK_RV rv, struct err *e)
{
	AUTO_FREE char *path = latch_path(h);
	AUTO_FREE char *text = mem_printf("%s\nThe token refused the PIN. Put it right, then remove this file.\n",
	                                  h->pin_mark);
	struct err why;

	mem_wipe(h->pin, HSM_PIN_MAX);
	h->last_ckr = rv;
	if (!file_write_atomic(path, text, strlen(text), 0600, &why))
		log_event(LOG_LEVEL_ERROR, "the PIN latch can't be written", "why", why.text, NULL);
	return err_set(e, ERR_PIN, "the token refused the PIN (CKR_%s); it is not tried again. Put it right, then remove %s",
	               ckr_name(rv), path);
}

static bool is_pin_error(CK_RV rv)
{
	return rv == CKR_PIN_INCORRECT || rv == CKR_PIN_LOCKED || rv == CKR_PIN_INVALID || rv == CKR_PIN_LEN_RANGE ||
	       rv == CKR_PIN_EXPIRED || rv == CKR_USER_PIN_NOT_INITIALIZED;
}

/* A page alone, since mlock and MADV_DONTDUMP work on pages. mlock may lack the right: then the PIN could be swapped. */
bool pin_page_new(struct hsm *h, struct err *e)
{
	void *p = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return err_sys(e, ERR_INTERNAL, "a page for the PIN");
	h->pin = p;
	if (mlock2(p, HSM_PIN_MAX, 0) != 0) /* mlock itself does nothing under a sanitizer */
		log_event(LOG_LEVEL_WARN, "the PIN's page can't be locked in memory", "why", strerror(errno), NULL);
	(void)madvise(p, (size_t)sysconf(_SC_PAGESIZE), MADV_DONTDUMP);
	(void)madvise(p, (size_t)sysconf(_SC_PAGESIZE), MADV_WIPEONFORK);
	return true;
}

void pin_page_free(struct hsm *h)
{
	if (h->pin == NULL)
		return;
	mem_wipe(h->pin, HSM_PIN_MAX);
	(void)munmap(h->pin, (size_t)sysconf(_SC_PAGESIZE));
	h->pin = NULL;
}

/* Kept for a login after a loss: by then the sandbox, or nobody at the terminal, would not give it again. */
static bool have_pin(struct hsm *h, struct err *e)
{
	if (h->pin != NULL)
		return h->pin[0] != 0 || err_set(e, ERR_PIN, "the token refused the PIN; it is not tried again");
	if (!pin_page_new(h, e))
		return false;
	if (!h->ask_pin(h->pin_arg, h->pin, HSM_PIN_MAX, e)) {
		pin_page_free(h);
		return false;
	}
	h->pin[HSM_PIN_MAX - 1] = 0;
	return h->pin[0] != 0 || err_set(e, ERR_CONFIG, "hsm.pin gives an empty PIN");
}

/* HSM-09. A PIN that locks the token ends the hospital's issuance: the last attempt is a person's. */
static bool login_is_safe(const struct hsm *h, struct err *e)
{
	if ((h->token.flags & CKF_USER_PIN_LOCKED) != 0)
		return err_set(e, ERR_PIN, "the token's user PIN is locked; unlock it with the HSM's own tool (its SO PIN)");
	if ((h->token.flags & CKF_USER_PIN_FINAL_TRY) != 0)
		return err_set(e, ERR_PIN, "the token allows one more attempt before its PIN locks; log in once with the HSM's own tool");
	if ((h->token.flags & CKF_USER_PIN_COUNT_LOW) != 0)
		log_event(LOG_LEVEL_WARN, "somebody gave the token a wrong PIN since its last login", NULL);
	return true;
}

bool token_login(struct hsm *h, struct err *e)
{
	CK_RV rv;

	if (!login_is_safe(h, e) || !have_pin(h, e))
		return false;
	rv = h->f->C_Login(h->anchor, CKU_USER, (CK_UTF8CHAR *)h->pin, strlen(h->pin));
	if (is_pin_error(rv))
		return refused(h, rv, e);
	if (rv != CKR_OK && rv != CKR_USER_ALREADY_LOGGED_IN)
		return ckr_fail(h, e, "C_Login", rv);
	h->logged_in = true;
	return true;
}
