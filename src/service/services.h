/*
 * services.h: all services as the supervisor keeps them: their instances, and the config
 * in force.
 *
 * A current instance stands for each service and for the control socket; superseded ones
 * are in the list too until nothing is left of them. What is derived from the list
 * (watched paths, systemd's store) compares services_version() with what it saw.
 */
#ifndef UDSD_SERVICES_H
#define UDSD_SERVICES_H

#include "service/instance.h"
#include "config/loader.h"

#include <stddef.h>

/* What the supervisor was started with. */
struct services_origin {
	const struct load_source *source; /* where the config is loaded from again */
	char **argv; /* to execute udsd again: absolute path, arguments, NULL */
};

extern struct services_origin services_origin;

/* The first instance; the others follow by ->next. */
struct instance *services_first(void);

/* Puts an instance behind all others. */
void services_add(struct instance *instance);

/* The current instance of this name, or NULL. */
struct instance *services_find(const char *name);

/* The instance with this worker, or handler that accepts; NULL: none. */
struct instance *services_of_worker(pid_t pid);

/* Takes a superseded instance of which nothing is left out of the list; NULL: there is
 * none. */
struct instance *services_take_finished(void);

/* Takes the first one out, whatever its state; NULL: there is none. */
struct instance *services_take(void);

/* The number of sockets that accept connections, without the control socket. */
size_t services_listening(void);

/* Sockets have changed. */
void services_changed(void);
unsigned services_version(void);

/* The config in force; services_set_config() holds it and releases the last one (NULL:
 * only that). */
const struct config *services_config(void);
struct loaded *services_loaded(void);
void services_set_config(struct loaded *loaded);

/* The pid file's descriptor; -1: none. */
extern int services_pidfile;

#endif
