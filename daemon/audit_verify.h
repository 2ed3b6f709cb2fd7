/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CADUCEUS_DAEMON_AUDIT_VERIFY_H
#define CADUCEUS_DAEMON_AUDIT_VERIFY_H

/* `caduceus audit verify` without a service: reads the database only. option: "--audit-verify", or with "-json" behind
 * it. Returns the exit code of the command line. */
int audit_verify_command(const char *uri, const char *option);

#endif
