/* SPDX-License-Identifier: Apache-2.0 */
#include "config/profile.h"

/* config/profiles/NAME.yaml, built in. */
struct shipped_profiles_row {
	const char *name, *text;
};
extern const struct shipped_profiles_row shipped_profiles[];

const char *profile_shipped_name(size_t i)
{
	return shipped_profiles[i].name;
}

const char *profile_shipped_text(size_t i)
{
	return shipped_profiles[i].text;
}
