/*
 * adopt.c: makes former units of what was handed over.
 *
 * The new config may know nothing of the old workers' services, so each gets a service of its own,
 * with no more than it takes to order it about and to end its handlers.
 */
#include "adopt.h"

#include "children.h"
#include "clock.h"
#include "handover.h"
#include "log.h"
#include "notify.h"
#include "orphan.h"
#include "peer.h"
#include "worker.h"

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

static const struct service *make_service(const struct handed_worker *w)
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

static struct unit *find_unit(struct supervisor *sup, const char *name)
{
	struct unit *u = sup->units;

	while (u != NULL && (u->former || strcmp(u->service->name, name) != 0))
		u = u->next;
	return u;
}

/* The former unit of this worker, made if it is not there. */
static struct unit *find_former(struct supervisor *sup, const struct handed_worker *w)
{
	struct unit *u = sup->units, *heir = find_unit(sup, w->service);
	const struct service *service;

	while (u != NULL && (!u->former || u->number != w->unit))
		u = u->next;
	if (u != NULL)
		return u;
	service = make_service(w);
	u = service != NULL ? unit_new(NULL, service) : NULL;
	if (u == NULL) {
		free((void *)(uintptr_t)service);
		return NULL;
	}
	u->former = true;
	u->number = w->unit;
	u->worker = w->pid;
	u->uid = w->uid;
	u->gid = w->gid;
	u->started = clock_now();
	u->board = heir != NULL ? board_hold(heir->board) : NULL;
	supervisor_add(sup, u);
	return u;
}

/* A handler that accepts goes on as that of its service, if there is still one. */
static void adopt_handler(struct supervisor *sup, const struct handed_worker *w,
			  int64_t now)
{
	struct unit *u = find_unit(sup, w->service);

	close(w->fd);
	if (w->kind == 'h' && u != NULL && u->worker == 0 && u->listener.fd >= 0) {
		u->worker = w->pid;
		u->uid = w->uid;
		u->gid = w->gid;
		u->started = now;
		u->inetd = true;
		return;
	}
	u = find_former(sup, w);
	if (u == NULL)
		return;
	u->worker = w->pid;
	u->inetd = true;
	unit_order(u, WORKER_TERMINATE, now);
}

static bool is_same_file(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

/* Generations share a scoreboard, so one that is there already is held once more. */
static void adopt_board(struct supervisor *sup, struct unit *u, int fd)
{
	struct board *old = u->board;
	struct unit *with = sup->units;

	while (with != NULL &&
	       (with->board == NULL || !is_same_file(with->board->fd, fd)))
		with = with->next;
	if (with != NULL)
		close(fd);
	u->board = with != NULL ? board_hold(with->board) : board_adopt(fd);
	board_release(old);
}

static void adopt_worker(struct supervisor *sup, const struct handed_worker *w)
{
	struct unit *u = find_former(sup, w);

	if (u == NULL)
		close(w->fd); /* it drains, alone */
	else if (w->kind == 's')
		u->stderr_out = w->fd;
	else if (w->kind == 'b')
		adopt_board(sup, u, w->fd);
	else
		u->channel = w->fd;
}

/* The next worker of its service waits until this one accepts no more. */
static void drain(struct supervisor *sup, struct unit *u, int64_t now)
{
	struct unit *heir = find_unit(sup, u->service->name);

	if (heir != NULL && heir->listener.fd >= 0 && heir->worker == 0) {
		u->heir = heir;
		heir->awaits++;
	}
	unit_order(u, WORKER_DRAIN, now);
}

/* Who is queued gets an end of file, from a process of its own that has a second for it. */
static void refuse_queued(int listener)
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

	while (handover_unwanted(&l, path)) {
		const struct service gone = {.socket = path};

		log_event(LOG_INFO, "listen", "socket", path, "error",
			  "no service wants it any more: removed", NULL);
		if (*path == '/')
			listener_remove(&gone, &l);
		notify_forget(&l);
		refuse_queued(l.fd);
		listener_close(&l);
	}
}

void adopt_all(struct supervisor *sup, int64_t now)
{
	struct handed_worker w;

	drop_unwanted();

	for (struct unit *u = sup->units; u != NULL; u = u->next)
		u->board = handover_board(u->service->name);
	while (handover_worker(&w))
		if (w.kind == 'h' || w.kind == 'f')
			adopt_handler(sup, &w, now);
		else
			adopt_worker(sup, &w);
	for (struct unit *u = sup->units; u != NULL; u = u->next)
		if (u->former && u->channel >= 0)
			drain(sup, u, now);
	for (struct unit *u = sup->units; u != NULL; u = u->next)
		orphan_adopt(u, 0, children_is_ours, sup);
}
