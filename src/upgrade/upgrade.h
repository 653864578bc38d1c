/*
 * upgrade.h: SIGUSR2. The supervisor becomes the installed binary: same pid, same
 * sockets.
 *
 * First the new binary checks the config. Then it is executed, and finds what it needs as
 * LISTEN_FDS (listen_fds.h, adopt.h). Old workers drain; their handlers go on, and
 * they obey the new supervisor.
 */
#ifndef UDSD_UPGRADE_H
#define UDSD_UPGRADE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Asks for an upgrade: only a flag (supervisor.c). */
void upgrade_request(void);

bool upgrade_is_wanted(void);
bool upgrade_is_running(void);
void upgrade_begin(int64_t now);

/* Whether this child checks the config; that it has exited (false: it was another). */
bool upgrade_is(pid_t pid);
bool upgrade_exited(pid_t pid, int status, int64_t now);

/* udsd stops: drops what was asked for or has begun. */
void upgrade_abandon(void);

int64_t upgrade_due(void);
void upgrade_tick(int64_t now);

#endif
