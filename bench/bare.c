/* SPDX-License-Identifier: Apache-2.0
 *
 * What the sandbox costs is known by a role without it: linked by --wrap=sandbox_enter into programs that only bench
 * starts. Never installed. */
#include "daemon/sandbox.h"

bool __wrap_sandbox_enter(const struct sandbox *s, char layers[SANDBOX_LAYERS_MAX], struct err *e);

bool __wrap_sandbox_enter(const struct sandbox *s, char layers[SANDBOX_LAYERS_MAX], struct err *e)
{
	(void)s;
	(void)e;
	layers[0] = 0;
	return true;
}
