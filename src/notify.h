/*
 * notify.h: tells the service manager (systemd) how things stand, as sd_notify(3) does, and keeps
 * the listening sockets in its store (FDSTORE), where they outlive this process.
 *
 * Without NOTIFY_SOCKET in the environment nothing happens. Nothing here blocks: what cannot be sent
 * is kept and sent later.
 */
#ifndef UDSD_NOTIFY_H
#define UDSD_NOTIFY_H

#include "unit.h"

#include <stddef.h>
#include <stdint.h>

void notify_open(void);

/* So many sockets accept connections, of so many services. */
void notify_ready(size_t sockets, size_t services);
void notify_reloading(void);
void notify_stopping(void);

/* Has the store hold the sockets of these units, and no others; call it when some have changed. */
void notify_store(struct unit *units);

/* The store need not hold this socket any more. */
void notify_forget(const struct listener *listener);

/* When notify_tick() has something to send; CLOCK_NEVER: nothing. */
int64_t notify_due(void);
void notify_tick(struct unit *units, int64_t now);

#endif
