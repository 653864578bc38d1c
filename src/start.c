/*
 * start.c: the pid file, then the sockets: handed over, or made.
 */
#include "start.h"

#include "clock.h"
#include "handover.h"
#include "log.h"
#include "pidfile.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#define PATIENCE NSEC_PER_SEC /* for workers of a supervisor that has died */

int start_error(int status, const char *what, const char *why)
{
	fprintf(stderr, "udsd: %s: %s\n", what, why);
	return status;
}

static int open_pidfile(struct supervisor *sup)
{
	const char *path = supervisor_config(sup)->pid_file;

	sup->pidfile = handover_pidfile();
	if (sup->pidfile >= 0 && pidfile_is_at(path, sup->pidfile))
		return 0;
	if (sup->pidfile >= 0) /* the config has another now */
		pidfile_drop(sup->pidfile);
	sup->pidfile = -1;
	if (*path == '\0')
		return 0;
	sup->pidfile = pidfile_take(path);
	if (sup->pidfile >= 0 || handover_is_upgrade()) /* rather none than no udsd */
		return 0;
	if (errno == EWOULDBLOCK)
		return start_error(EX_UNAVAILABLE, path,
				   "udsd runs already: stop it, or use another pid-file");
	return start_error(EX_OSERR, path, strerror(errno));
}

static int socket_error(const struct service *s, const char *step)
{
	int error = errno;

	if (s->handler != NULL)
		fprintf(stderr, "udsd: service %s: ", s->name);
	else
		fputs("udsd: control-socket ", stderr);
	fprintf(stderr, "%s: %s: %s\n", s->socket, step, strerror(error));
	errno = error;
	return errno == EADDRINUSE ? EX_UNAVAILABLE : EX_OSERR;
}

/* Who has the lock of the pid file may take over what another udsd has just left. */
static int open_listeners(struct supervisor *sup)
{
	int64_t until = sup->pidfile >= 0 ? clock_now() + PATIENCE : 0;

	for (struct unit *u = sup->units; u != NULL; u = u->next) {
		const struct service *s = u->service;
		const char *step;

		if (!u->enabled || handover_listener(s, &u->listener) == 0 ||
		    listener_open(s, &u->listener, until, &step) == 0)
			continue;
		if (!handover_is_upgrade())
			return socket_error(s, step);
		u->seen = LISTENER_FOREIGN; /* it is tried again; the others go on */
	}
	return 0;
}

void start_settle(struct supervisor *sup)
{
	const char *step;

	for (struct unit *u = sup->units; u != NULL; u = u->next)
		if (u->listener.fd >= 0 &&
		    listener_apply(u->service, &u->listener, &step) < 0)
			log_event(LOG_WARNING, "listen", "service", u->service->name,
				  "step", step, "error", strerror(errno), NULL);
}

void start_tell(struct supervisor *sup)
{
	struct log_line line;

	log_begin(&line, LOG_NOTICE, handover_is_upgrade() ? "upgrade" : "start");
	if (handover_is_upgrade())
		log_str(&line, "status", "done");
	log_str(&line, "version", PACKAGE_VERSION);
	log_num(&line, "services", (int64_t)supervisor_listening(sup));
	log_end(&line);
	for (struct unit *u = sup->units; u != NULL; u = u->next)
		if (u->listener.fd >= 0)
			supervisor_log_listen(u);
}

static int make_units(struct supervisor *sup)
{
	const struct config *c = supervisor_config(sup);
	struct unit **end = &sup->units;

	for (size_t i = 0; i < config_sockets(c); i++) {
		*end = unit_new(sup->loaded, config_socket(c, i));
		if (*end == NULL)
			return -1;
		end = &(*end)->next;
	}
	return 0;
}

int start_open(struct supervisor *sup)
{
	int status;

	if (make_units(sup) < 0)
		return start_error(EX_OSERR, "start", strerror(errno));
	status = open_pidfile(sup);
	return status == 0 ? open_listeners(sup) : status;
}
