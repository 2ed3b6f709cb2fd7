/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CADUCEUS_DAEMON_OFFLINE_H
#define CADUCEUS_DAEMON_OFFLINE_H

/* What the command line does without a service, by the one program that has the database: "--audit-verify" (reads only;
 * also "--audit-verify-json"), "--upgrade", "--restored-pending", "--restored-accepted". Returns the exit code. */
int offline_command(const char *uri, const char *option);

#endif
