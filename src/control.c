/*
 * control.c: clients of the control socket, and their answers.
 */
#include "control.h"

#include "clock.h"
#include "control_state.h"
#include "log.h"
#include "overload.h"
#include "peer.h"
#include "title.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS 16
#define REQUEST_TIME (5 * NSEC_PER_SEC)
#define RELOAD_TIME (60 * NSEC_PER_SEC) /* bounded by those of the reload itself */
#define WRITER_SECONDS 10
#define SHORT 4096 /* bytes that a fresh socket takes at once */
#define FULL_PAUSE (100 * NSEC_PER_MSEC)

static struct client clients[CLIENTS];

/* Closing alone would not take it from epoll: a child that was forked just now may have it, too. */
static void dismiss(struct client *c, const char *last_words)
{
	if (c->fd >= 0) {
		(void)epoll_ctl(c->epoll, EPOLL_CTL_DEL, c->fd, NULL);
		peer_refuse(c->fd, SOCK_STREAM, last_words);
	}
	*c = (struct client){.fd = -1};
}

/* ---- Answers --------------------------------------------------------------------------- */

void control_answer(struct client *c, const char *text)
{
	dismiss(c, text);
}

void control_error(struct client *c, const char *error)
{
	char text[SHORT];

	snprintf(text, sizeof(text), "error %s\n", error);
	control_answer(c, text);
}

/* Begins a long answer: true in the process that is to write it to *out. The supervisor is done with
 * the client, except that it counts until the writer has ended. */
bool control_begin_answer(struct client *c, FILE **out)
{
	sigset_t none;

	c->writer = fork();
	if (c->writer != 0) {
		if (c->writer < 0) {
			control_error(c, strerror(errno));
			return false;
		}
		(void)epoll_ctl(c->epoll, EPOLL_CTL_DEL, c->fd, NULL);
		close(c->fd);
		c->fd = -1;
		c->due = CLOCK_NEVER;
		return false;
	}
	alarm(WRITER_SECONDS);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	title_set("control");
	if (dup2(c->fd, STDOUT_FILENO) < 0 ||
	    close_range(STDERR_FILENO + 1, ~0U, 0) < 0 ||
	    fcntl(STDOUT_FILENO, F_SETFL, 0) < 0)
		_exit(1);
	*out = fdopen(STDOUT_FILENO, "w");
	if (*out == NULL)
		_exit(1);
	return true;
}

_Noreturn void control_end_answer(FILE *out)
{
	if (fflush(out) == 0)
		peer_refuse(STDOUT_FILENO, SOCK_STREAM, NULL);
	_exit(0);
}

bool control_is_writer(pid_t pid)
{
	for (size_t i = 0; i < CLIENTS; i++)
		if (clients[i].writer == pid)
			return true;
	return false;
}

bool control_writer_ended(pid_t pid)
{
	for (size_t i = 0; i < CLIENTS; i++) {
		if (clients[i].writer != pid)
			continue;
		dismiss(&clients[i], NULL);
		return true;
	}
	return false;
}

/* ---- Reloads that are waited for ----------------------------------------------------------- */

void control_await_reload(struct supervisor *sup, struct client *c, int64_t now)
{
	struct epoll_event event = {.data.ptr = c}; /* only whether it hangs up */

	(void)epoll_ctl(sup->shared.epoll, EPOLL_CTL_MOD, c->fd, &event);
	c->reload = sup->reloads + 1;
	c->due = now + RELOAD_TIME;
}

static void tell_reloaded(struct client *c, const char *head, const char *text)
{
	char all[SHORT];
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
			tell_reloaded(&clients[i], verdict, text);
}

/* ---- Clients ------------------------------------------------------------------------------- */

/* Whether the peer may ask; else it is told, and gone. */
static bool admit(const struct unit *u, int fd, struct peer *peer)
{
	const char *denied;
	struct log_line line;

	if (peer_read(fd, access_wants_groups(&u->service->access), peer) == 0 &&
	    access_check(&u->service->access, peer, &denied) != NULL)
		return true;
	log_begin(&line, LOG_INFO, "control");
	log_str(&line, "status", "refused");
	log_num(&line, "peer-uid", peer->uid);
	log_num(&line, "peer-gid", peer->gid);
	log_num(&line, "peer-pid", peer->pid);
	log_end(&line);
	peer_refuse(fd, SOCK_STREAM, "error control-allow does not allow you this\n");
	return false;
}

static void begin(struct supervisor *sup, struct client *c, int fd,
		  const struct peer *peer, int64_t now)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};

	*c = (struct client){.watch = {.kind = WATCH_CLIENT},
			     .used = true,
			     .fd = fd,
			     .epoll = sup->shared.epoll,
			     .peer = *peer,
			     .due = now + REQUEST_TIME};
	if (epoll_ctl(sup->shared.epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		dismiss(c, NULL);
}

void control_accept(struct supervisor *sup, struct unit *u, int64_t now)
{
	struct client *free_one = NULL;
	struct peer peer = {0};
	int fd;

	for (size_t i = 0; i < CLIENTS; i++)
		if (!clients[i].used)
			free_one = &clients[i];
	fd = free_one != NULL
		     ? accept4(u->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)
		     : -1;
	if (fd >= 0 && admit(u, fd, &peer))
		begin(sup, free_one, fd, &peer, now);
	if (fd >= 0)
		return;
	if (free_one == NULL)
		u->backoff.until = now + FULL_PAUSE;
	else if (errno != EAGAIN && errno != EINTR)
		backoff_busy(&u->backoff, "accept", errno, now);
	unit_watch(u, &sup->shared, now);
}

void control_event(struct supervisor *sup, const struct watch *w, int64_t now)
{
	struct client *c = (struct client *)(uintptr_t)w;
	struct pollfd p = {.fd = c->fd}; /* POLLHUP is told unasked */
	char *end;
	ssize_t n;

	if (!c->used || c->fd < 0)
		return;
	if (c->reload != 0) {
		if (poll(&p, 1, 0) == 1) /* it does not want to know any more */
			dismiss(c, NULL);
		return;
	}
	n = recv(c->fd, c->request + c->len, sizeof(c->request) - 1 - c->len,
		 MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	c->len += n > 0 ? (size_t)n : 0;
	end = memchr(c->request, '\n', c->len);
	if (end == NULL && n > 0 && c->len < sizeof(c->request) - 1)
		return;
	if (end == NULL && n > 0)
		control_error(c, "the request is too long");
	else if (end == NULL)
		dismiss(c, NULL);
	if (end == NULL)
		return;
	*end = '\0';
	if (c->request + strlen(c->request) == end)
		request_run(sup, c, now);
	else
		control_error(c, "the request holds a byte 0");
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
			dismiss(&clients[i], NULL);
}
