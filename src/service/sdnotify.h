/*
 * sdnotify.h: reports the supervisor's state to the service manager (systemd), as
 * sd_notify(3) does, and keeps the listening sockets in its store (FDSTORE), where they
 * outlive this process.
 *
 * Without NOTIFY_SOCKET in the environment nothing happens. Nothing here blocks: what
 * cannot be sent is kept and sent later.
 */
#ifndef UDSD_SDNOTIFY_H
#define UDSD_SDNOTIFY_H

#include "service/listener.h"

#include <stdint.h>

void sdnotify_open(void);

void sdnotify_ready(void);
void sdnotify_reloading(void);
void sdnotify_stopping(void);

/* The store need not hold this socket any more. */
void sdnotify_forget(const struct listener *listener);

/* Sends what could not be sent, and has the store hold the services' sockets and no
 * others. */
int64_t sdnotify_due(void);
void sdnotify_tick(int64_t now);

#endif
