/*
 * client.c: sends answers, at once or by a process of their own.
 */
#include "control/client.h"

#include "common/clock.h"
#include "common/title.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RELOAD_TIME (60 * NSEC_PER_SEC) /* bounded by those of the reload itself */
#define WRITER_SECONDS 10

/* close() would not take it from epoll while a child that was forked just now has it,
 * too. */
void control_answer(struct client *c, const char *text)
{
	if (c->fd >= 0) {
		(void)watch_set(&c->watch, c->fd, false);
		peer_reject(c->fd, SOCK_STREAM, text);
	}
	*c = (struct client){.fd = -1};
}

void control_error(struct client *c, const char *format, ...)
{
	char text[ANSWER_SHORT] = ANSWER_ERROR;
	size_t len = strlen(text);
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text + len, sizeof(text) - len - 1, format, args);
	va_end(args);
	control_answer(c, strcat(text, "\n"));
}

/* Becomes the process that writes an answer. */
static FILE *control_become_writer(const struct client *c)
{
	sigset_t none;

	alarm(WRITER_SECONDS);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	title_set("control");
	if (dup2(c->fd, STDOUT_FILENO) < 0 ||
	    close_range(STDERR_FILENO + 1, ~0U, 0) < 0 ||
	    fcntl(STDOUT_FILENO, F_SETFL, 0) < 0)
		return NULL;
	return fdopen(STDOUT_FILENO, "w");
}

bool control_begin_answer(struct client *c, FILE **out)
{
	pid_t pid = fork();

	if (pid == 0) {
		*out = control_become_writer(c);
		if (*out == NULL)
			_exit(1);
		return true;
	}
	if (pid < 0) {
		control_error(c, "%s", strerror(errno));
		return false;
	}
	(void)watch_set(&c->watch, c->fd, false);
	close(c->fd);
	c->fd = -1;
	c->writer = pid;
	c->due = CLOCK_NEVER;
	return false;
}

_Noreturn void control_end_answer(FILE *out)
{
	if (fflush(out) == 0)
		peer_reject(STDOUT_FILENO, SOCK_STREAM, NULL);
	_exit(0);
}

void control_await_recheck(struct client *c, unsigned number, const char *service,
			   int64_t now)
{
	control_await_reload(c, 0, now);
	c->recheck = number;
	c->service = service;
}

void control_await_reload(struct client *c, unsigned number, int64_t now)
{
	watch_hangup(&c->watch, c->fd);
	c->reload = number;
	c->due = now + RELOAD_TIME;
}
