/* SPDX-License-Identifier: Apache-2.0
 *
 * Limits compiled in: they hold whatever a taken-over ra sends (X509-08, 16). */
#include "ca/internal.h"

#include "base/clock.h"
#include "base/der.h"
#include "pkix/oid.h"

#include <string.h>

static const struct {
	const char *oid;
	int64_t days;
} purposes[] = {
	{ OID_SERVER_AUTH, 398 },   { OID_CLIENT_AUTH, 825 },  { OID_OCSP_SIGNING, 30 },  { OID_EAP_OVER_LAN, 825 },
	{ OID_IPSEC_IKE, 825 },     { OID_SDC_PROVIDER, 398 }, { OID_SDC_CONSUMER, 398 },
};

static int64_t days_of(const char *oid)
{
	for (size_t i = 0; i < COUNT_OF(purposes); i++)
		if (strcmp(purposes[i].oid, oid) == 0)
			return purposes[i].days;
	return 0;
}

int64_t limits_validity(const struct profile *p)
{
	int64_t days = 825;

	for (size_t i = 0; i < p->eku_n; i++)
		if (days_of(p->eku[i]) < days)
			days = days_of(p->eku[i]);
	return days * US_PER_DAY;
}

static bool check_purposes(const struct profile *p, struct err *e)
{
	bool ocsp = false;

	if (p->eku_n == 0)
		return err_set(e, ERR_POLICY, "profile %s names no purpose (eku)", p->name);
	for (size_t i = 0; i < p->eku_n; i++) {
		if (days_of(p->eku[i]) == 0)
			return err_set(e, ERR_POLICY, "profile %s: purpose %s is not issued by this program", p->name, p->eku[i]);
		for (size_t k = 0; k < i; k++)
			if (strcmp(p->eku[i], p->eku[k]) == 0)
				return err_set(e, ERR_POLICY, "profile %s: purpose %s stands twice", p->name, p->eku[i]);
		ocsp |= strcmp(p->eku[i], OID_OCSP_SIGNING) == 0;
	}
	if (ocsp != p->nocheck || (ocsp && (p->eku_n != 1 || p->ocsp_aia || p->cdp || p->doors != DOOR_INTERNAL)))
		return err_set(e, ERR_POLICY, "profile %s: OCSP signing stands alone, internal, with ocsp_nocheck and without "
		                              "ocsp and crl", p->name);
	if (ocsp != (strcmp(p->authority, "*") == 0))
		return err_set(e, ERR_POLICY, "profile %s: authority \"*\" is for OCSP signing alone", p->name);
	return true;
}

/* What the composer writes as it stands. */
static bool check_policies(const struct profile *p, struct err *e)
{
	for (size_t i = 0; i < p->policy_n; i++) {
		AUTO_BUF der = { 0 };

		if (!der_put_oid(&der, p->policy[i]))
			return err_set(e, ERR_POLICY, "profile %s: policy '%.64s' is no OID", p->name, p->policy[i]);
	}
	for (const char *s = p->cps; *s != 0; s++)
		if (*s <= 0x20 || *s >= 0x7f)
			return err_set(e, ERR_POLICY, "profile %s: cps is no URL", p->name);
	return true;
}

bool limits_check(const struct profile *p, struct err *e)
{
	if (p->name[0] == 0 || p->authority[0] == 0 || p->doors == 0 ||
	    (p->doors & ~(uint32_t)(DOOR_EST | DOOR_ACME | DOOR_OFFICER | DOOR_INTERNAL)) != 0)
		return err_set(e, ERR_POLICY, "profile '%s' has no name, authority or door that is known", p->name);
	if (strcmp(p->authority, "root") == 0)
		return err_set(e, ERR_POLICY, "profile %s: the root signs authorities only", p->name);
	if (!check_purposes(p, e) || !check_policies(p, e))
		return false;
	if (p->validity <= 0 || p->validity > limits_validity(p))
		return err_set(e, ERR_POLICY, "profile %s: validity must be at most %lld days for its purposes", p->name,
		               (long long)(limits_validity(p) / US_PER_DAY));
	if (p->backdate < 0 || p->backdate > US_PER_HOUR || p->min_validity < 0 || p->max_key_age < 0)
		return err_set(e, ERR_POLICY, "profile %s: backdate must be at most 1h, durations not negative", p->name);
	if (p->key_types == 0 || (p->key_types & ~31u) != 0 || p->rsa_min_bits < 2048 || p->rsa_min_bits > 8192)
		return err_set(e, ERR_POLICY, "profile %s: key types or RSA length outside what is issued", p->name);
	return true;
}
