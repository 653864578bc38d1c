/*
 * upgrade.h: SIGUSR2. The supervisor becomes the installed binary: same pid, same sockets.
 *
 * First the new binary checks the config. Then it is executed, and finds what it needs as LISTEN_FDS
 * (handover.h, adopt.h). Old workers drain; what they started lives on, and they obey the new supervisor.
 */
#ifndef UDSD_UPGRADE_H
#define UDSD_UPGRADE_H

#include "supervisor_state.h"

/* For reload.c, which knows when it is time. */
void upgrade_begin(struct supervisor *sup, int64_t now);
void upgrade_tick(struct supervisor *sup, int64_t now);
void upgrade_abandon(struct supervisor *sup);

/* The new binary has checked the config, and ended with this status. */
void upgrade_probed(struct supervisor *sup, int status, int64_t now);

#endif
