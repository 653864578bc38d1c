/*
 * control.c: accepts clients of the control socket and reads their requests (commands.c).
 */
#include "control.h"

#include "clock.h"
#include "commands.h"
#include "control_client.h"
#include "log.h"
#include "overload.h"
#include "peer.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define CLIENTS 16
#define REQUEST_TIME (5 * NSEC_PER_SEC)
#define FULL_PAUSE (100 * NSEC_PER_MSEC)

static struct client clients[CLIENTS];

static struct client *control_of_writer(pid_t pid)
{
	for (size_t i = 0; i < CLIENTS; i++)
		if (clients[i].writer == pid)
			return &clients[i];
	return NULL;
}

bool control_is_writer(pid_t pid)
{
	return control_of_writer(pid) != NULL;
}

bool control_writer_ended(pid_t pid)
{
	struct client *c = control_of_writer(pid);

	if (c != NULL)
		control_answer(c, NULL);
	return c != NULL;
}

/* ---- Reloads that are waited for ----------------------------------------------------------- */

static void control_tell_reloaded(struct client *c, const char *head, const char *text)
{
	char all[ANSWER_SHORT];
	FILE *out;

	if (snprintf(all, sizeof(all), "%s%s", head, text) < (int)sizeof(all)) {
		control_answer(c, all);
	} else if (control_begin_answer(c, &out)) {
		fprintf(out, "%s%s", head, text);
		control_end_answer(out);
	}
}

void control_reloaded(struct supervisor *sup, const char *verdict, const char *text)
{
	for (size_t i = 0; i < CLIENTS; i++)
		if (clients[i].used && clients[i].reload != 0 &&
		    clients[i].reload <= sup->reloads && clients[i].fd >= 0)
			control_tell_reloaded(&clients[i], verdict, text);
}

/* ---- Clients ------------------------------------------------------------------------------- */

/* Whether the peer may ask; else it gets an error and is closed. */
static bool control_admit(const struct unit *u, int fd, struct peer *peer)
{
	const char *denied;
	struct log_line line;

	if (peer_read(fd, access_wants_groups(&u->service->access), peer) == 0 &&
	    access_check(&u->service->access, peer, &denied) != NULL)
		return true;
	log_begin(&line, LOG_INFO, "control");
	log_str(&line, "status", "refused");
	peer_log(&line, peer);
	log_end(&line);
	peer_reject(fd, SOCK_STREAM,
		    ANSWER_ERROR "control-allow does not allow you this\n");
	return false;
}

static void control_begin(struct supervisor *sup, struct client *c, int fd,
			  const struct peer *peer, int64_t now)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};

	*c = (struct client){.watch = {.kind = WATCH_CLIENT},
			     .used = true,
			     .fd = fd,
			     .epoll = sup->shared.epoll,
			     .peer = *peer,
			     .due = now + REQUEST_TIME};
	if (epoll_ctl(c->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		control_answer(c, NULL);
}

static struct client *control_free_client(void)
{
	for (size_t i = 0; i < CLIENTS; i++)
		if (!clients[i].used)
			return &clients[i];
	return NULL;
}

void control_accept(struct supervisor *sup, struct unit *u, int64_t now)
{
	struct client *c = control_free_client();
	struct peer peer = {0};
	int fd = -1;

	if (c != NULL)
		fd = accept4(u->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0) {
		if (control_admit(u, fd, &peer))
			control_begin(sup, c, fd, &peer, now);
		return;
	}
	if (c == NULL)
		u->backoff.until = now + FULL_PAUSE;
	else if (errno != EAGAIN && errno != EINTR)
		backoff_busy(&u->backoff, failure("accept"), now);
	unit_watch(u, &sup->shared, now);
}

/* Whether the request is whole. One that never will be has been answered. */
static bool control_read(struct client *c)
{
	size_t room = sizeof(c->request) - 1 - c->len;
	ssize_t n = recv(c->fd, c->request + c->len, room, MSG_DONTWAIT);
	char *end;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	c->len += n > 0 ? (size_t)n : 0;
	end = memchr(c->request, '\n', c->len);
	if (end == NULL && n <= 0)
		control_answer(c, NULL);
	else if (end == NULL && c->len == sizeof(c->request) - 1)
		control_error(c, "the request is too long");
	else if (end != NULL && memchr(c->request, '\0', (size_t)(end - c->request)))
		control_error(c, "the request holds a byte 0");
	else if (end != NULL)
		*end = '\0';
	return c->used && end != NULL;
}

void control_event(struct supervisor *sup, const struct watch *w, int64_t now)
{
	struct client *c = (struct client *)(uintptr_t)w;
	struct pollfd p = {.fd = c->fd}; /* POLLHUP comes unasked */

	if (!c->used || c->fd < 0)
		return;
	if (c->reload == 0 && control_read(c))
		commands_run(sup, c, now);
	else if (c->reload != 0 && poll(&p, 1, 0) == 1) /* disconnected */
		control_answer(c, NULL);
}

int64_t control_due(void)
{
	int64_t due = CLOCK_NEVER;

	for (size_t i = 0; i < CLIENTS; i++)
		if (clients[i].used)
			due = clock_min(due, clients[i].due);
	return due;
}

void control_tick(int64_t now)
{
	for (size_t i = 0; i < CLIENTS; i++)
		if (clients[i].used && clients[i].due <= now)
			control_answer(&clients[i], NULL);
}
