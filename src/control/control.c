/*
 * control.c: accepts clients of the control socket and reads their requests (commands.c).
 */
#include "control/control.h"

#include "common/clock.h"
#include "control/commands.h"
#include "control/client.h"
#include "common/log.h"
#include "common/backoff.h"
#include "service/lifecycle.h"
#include "common/peer.h"
#include "service/problem.h"
#include "service/recheck.h"
#include "service/reload.h"
#include "service/services.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
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

bool control_writer_exited(pid_t pid, int status, int64_t now)
{
	struct client *c = control_of_writer(pid);

	(void)status;
	(void)now;
	if (c != NULL)
		control_answer(c, NULL);
	return c != NULL;
}

/* ---- Reloads that are waited for
 * ----------------------------------------------------------- */

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

static void control_collect_reload(void)
{
	struct reload_result r = reload_result();

	for (size_t i = 0; i < CLIENTS; i++)
		if (clients[i].used && clients[i].reload != 0 &&
		    clients[i].reload <= r.number && clients[i].fd >= 0)
			control_tell_reloaded(&clients[i], r.verdict, r.text);
}

static void control_collect_recheck(void)
{
	for (size_t i = 0; i < CLIENTS; i++) {
		struct client *c = &clients[i];
		const struct instance *u;

		if (!c->used || c->recheck == 0 || c->recheck > recheck_ended())
			continue;
		u = services_find(c->service);
		if (u == NULL)
			control_error(c, "the service has been removed from the config");
		else if (u->enabled && u->problem.kind != PROBLEM_NONE)
			control_error(c, "%s", problem_text(u));
		else
			control_answer(c, ANSWER_OK);
	}
}

/* ---- Clients
 * ------------------------------------------------------------------------------- */

/* Whether the peer may ask; else it gets an error and is closed. */
static bool control_admit(const struct instance *i, int fd, struct peer *peer)
{
	const char *denied;
	struct log_line line;

	if (peer_read(fd, access_wants_groups(&i->service->access), peer) < 0) {
		log_event(LOG_WARNING, "control", "step", "peer", "error",
			  strerror(errno), NULL);
		peer_reject(fd, SOCK_STREAM, ANSWER_ERROR "out of memory: try again\n");
		return false;
	}
	if (access_check(&i->service->access, peer, &denied) != NULL)
		return true;
	log_begin(&line, LOG_INFO, "control");
	log_str(&line, "status", "refused");
	peer_log(&line, peer);
	log_end(&line);
	peer_reject(fd, SOCK_STREAM,
		    ANSWER_ERROR "control-allow does not allow you this\n");
	return false;
}

static void control_ready(struct watch *w, int64_t now);

static void control_begin(struct client *c, int fd, const struct peer *peer, int64_t now)
{
	*c = (struct client){.watch = {.ready = control_ready},
			     .used = true,
			     .fd = fd,
			     .peer = *peer,
			     .due = now + REQUEST_TIME};
	if (watch_set(&c->watch, fd, true) < 0)
		control_answer(c, NULL);
}

static struct client *control_free_client(void)
{
	for (size_t i = 0; i < CLIENTS; i++)
		if (!clients[i].used)
			return &clients[i];
	return NULL;
}

static void control_accept(struct instance *i, int64_t now)
{
	struct client *c = control_free_client();
	struct peer peer = {0};
	int fd = -1;

	if (c != NULL)
		fd = accept4(i->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0) {
		if (control_admit(i, fd, &peer))
			control_begin(c, fd, &peer, now);
		return;
	}
	if (c == NULL)
		i->backoff.until = now + FULL_PAUSE;
	else if (errno != EAGAIN && errno != EINTR)
		backoff_busy(&i->backoff, failure("accept"), now);
	instance_watch(i, now);
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

/* A client has sent something, or has disconnected. */
static void control_ready(struct watch *w, int64_t now)
{
	struct client *c = (struct client *)(void *)w;
	struct pollfd p = {.fd = c->fd}; /* POLLHUP comes unasked */
	bool waits = c->reload != 0 || c->recheck != 0;

	if (!c->used || c->fd < 0)
		return;
	if (waits && poll(&p, 1, 0) == 1) /* disconnected */
		control_answer(c, NULL);
	if (waits || !control_read(c))
		return;
	commands_run(c, now);
}

void control_open(void)
{
	lifecycle_on_control(control_accept);
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
	control_collect_reload();
	control_collect_recheck();
	for (size_t i = 0; i < CLIENTS; i++)
		if (clients[i].used && clients[i].due <= now)
			control_answer(&clients[i], NULL);
}
