/*
 * adopt.c: makes superseded instances of what was passed.
 *
 * The new config may know nothing of the old workers' services, so each gets a service of
 * its own, with no more than it takes to send it orders and to end its handlers.
 */
#include "upgrade/adopt.h"

#include "common/clock.h"
#include "service/lifecycle.h"
#include "upgrade/listen_fds.h"
#include "common/log.h"
#include "common/peer.h"
#include "service/sdnotify.h"
#include "service/services.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* One piece of memory, to be freed as a whole. */
struct stub {
	struct service service;
	struct account account;
	char name[65];
	char none[1]; /* an empty string */
	char root[2]; /* "/" */
	char *handler[1];
};

static const struct service *make_service(const struct passed_worker *w)
{
	struct stub *stub = calloc(1, sizeof(*stub));

	if (stub == NULL)
		return NULL;
	memcpy(stub->name, w->service, sizeof(stub->name));
	stub->root[0] = '/';
	stub->account = (struct account){.key = stub->name,
					 .name = stub->none,
					 .home = stub->root,
					 .shell = stub->none};
	stub->service = (struct service){.name = stub->name,
					 .socket = stub->none,
					 .type = SOCK_STREAM,
					 .max_connections = SCOREBOARD_SLOTS,
					 .handler = stub->handler,
					 .account = &stub->account,
					 .identity = {.uid = w->uid, .gid = w->gid},
					 .directory = stub->root,
					 .umask = 022,
					 .no_new_privileges = true,
					 .max_lifetime = w->max_lifetime,
					 .kill_grace = w->kill_grace,
					 .worker_idle = NSEC_PER_SEC,
					 .log_level = LOG_INFO};
	return &stub->service;
}

/* The superseded instance of this worker, made if it is not there. */
static struct instance *find_superseded(const struct passed_worker *w)
{
	struct instance *i = services_first(), *current = services_find(w->service);
	const struct service *service;

	while (i != NULL && (!instance_is_superseded(i) || i->number != w->instance))
		i = i->next;
	if (i != NULL)
		return i;
	service = make_service(w);
	i = service != NULL ? lifecycle_new(NULL, service) : NULL;
	if (i == NULL) {
		free((void *)(uintptr_t)service);
		return NULL;
	}
	i->state = INSTANCE_SUPERSEDED;
	i->number = w->instance;
	i->worker = w->pid;
	i->uid = w->uid;
	i->gid = w->gid;
	i->started = clock_now();
	i->board = current != NULL ? board_hold(current->board) : NULL;
	services_add(i);
	return i;
}

/* A handler that accepts goes on as that of its service, if there is still one. */
static void adopt_handler(const struct passed_worker *w, int64_t now)
{
	struct instance *i = services_find(w->service);
	bool goes_on =
		w->kind == 'h' && i != NULL && i->worker == 0 && i->listener.fd >= 0;

	close(w->fd);
	if (!goes_on)
		i = find_superseded(w);
	if (i == NULL)
		return;
	i->worker = w->pid;
	i->wait_handler = true;
	i->uid = w->uid;
	i->gid = w->gid;
	i->started = now;
	if (!goes_on)
		instance_terminate(i, now);
}

static bool is_same_file(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

/* Generations share a scoreboard, so one that is there already is held once more. */
static void adopt_board(struct instance *adopter, int fd)
{
	struct board *old = adopter->board;
	struct instance *i = services_first();

	while (i != NULL && (i->board == NULL || !is_same_file(i->board->fd, fd)))
		i = i->next;
	if (i != NULL)
		close(fd);
	adopter->board = i != NULL ? board_hold(i->board) : board_adopt(fd);
	board_release(old);
}

static void adopt_worker(const struct passed_worker *w)
{
	struct instance *i = find_superseded(w);

	if (i == NULL)
		close(w->fd); /* it drains by itself */
	else if (w->kind == 's')
		i->stderr_out = w->fd;
	else if (w->kind == 'b')
		adopt_board(i, w->fd);
	else
		i->channel = w->fd;
}

/* The next worker of its service waits until this one accepts no more. */
static void drain_adopted(struct instance *i, int64_t now)
{
	struct instance *current = services_find(i->service->name);

	if (current != NULL && current->listener.fd >= 0 && current->worker == 0)
		lifecycle_succeed(i, current);
	instance_drain(i, now);
}

/* Pending connections get an end of file, from a process of its own that has a second for
 * it. */
static void refuse_pending(int listener)
{
	int fd, type = SOCK_STREAM;
	socklen_t len = sizeof(type);
	sigset_t set;

	if (fork() != 0)
		return;
	sigemptyset(&set);
	(void)sigprocmask(SIG_SETMASK, &set, NULL);
	alarm(1);
	(void)getsockopt(listener, SOL_SOCKET, SO_TYPE, &type, &len);
	(void)fcntl(listener, F_SETFL, O_RDWR | O_NONBLOCK);
	while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		peer_reject(fd, type, NULL);
	_exit(0);
}

/* Sockets of services that are not in the config any more. */
static void drop_unwanted(void)
{
	struct listener l;
	char path[109];

	while (listen_fds_unwanted(&l, path)) {
		const struct service gone = {.socket = path};

		log_event(LOG_INFO, "listen", "socket", path, "error",
			  "no service wants it any more: removed", NULL);
		if (*path == '/')
			listener_remove(&gone, &l);
		sdnotify_forget(&l);
		refuse_pending(l.fd);
		listener_close(&l);
	}
}

void adopt_all(int64_t now)
{
	struct passed_worker w;

	drop_unwanted();
	for (struct instance *i = services_first(); i != NULL; i = i->next)
		i->board = listen_fds_board(i->service->name);
	while (listen_fds_worker(&w))
		if (w.kind == 'h' || w.kind == 'f')
			adopt_handler(&w, now);
		else
			adopt_worker(&w);
	for (struct instance *i = services_first(); i != NULL; i = i->next)
		if (instance_is_superseded(i) && i->channel >= 0)
			drain_adopted(i, now);
}
