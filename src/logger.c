/*
 * logger.c: reads records, calls syslog(3) or writes to standard error.
 *
 * When nobody reads /dev/log or it is missing, nothing is read from the channels either: they fill
 * and their writers count what they lose. So lines are dropped in one place only, and syslog(3),
 * which would lose them in silence, is not called in vain.
 * It exits when every channel's last writer has gone.
 */
#include "logger.h"

#include "log.h"
#include "title.h"
#include "unixsock.h"

#include <errno.h>
#include <fcntl.h>
#include <paths.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOOK_AWAY_MS 20  /* lets records gather */
#define RETRY_MS 250     /* between looks for a syslogd that is missing */
#define EVENTS 64        /* channels looked at in a turn */
#define READ_BYTES 16384 /* records read at once, and written */
#define FACILITY_ORDER 'F'

enum {
	ORDERS_FD = 3,
	OWN_FD,
	NEXT_FD
}; /* in the log process: orders, the supervisor's lines */

int log_channel_open(struct log_channel *c)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	*c = (struct log_channel){.in = fd[1], .out = fd[0]};
	return 0;
}

int log_orders_open(struct log_channel *c)
{
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) < 0)
		return -1;
	*c = (struct log_channel){.in = fd[1], .out = fd[0]};
	return 0;
}

void log_channel_close(struct log_channel *c)
{
	if (c->in >= 0)
		close(c->in);
	if (c->out >= 0)
		close(c->out);
	c->in = c->out = -1;
}

void logger_add(const struct log_channel *orders, struct log_channel *more)
{
	if (!more->known)
		more->known = unixsock_send(orders->in, "+", 1, more->out) == 0;
}

void logger_set_facility(const struct log_channel *orders, int facility)
{
	const char order[2] = {FACILITY_ORDER, (char)(facility >> 3)};

	(void)unixsock_send(orders->in, order, sizeof(order), -1);
}

/* The log process itself from here on. */

static bool use_syslog;
static int channels; /* epoll instance over all of them */
static int live;     /* channels that have not ended */

/* Whether somebody is there to take what syslog(3) sends. */
static bool has_syslogd(void)
{
	struct sockaddr_un sun;
	socklen_t len = unixsock_address(_PATH_LOG, &sun);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool there;

	if (fd < 0)
		return false;
	there = connect(fd, (struct sockaddr *)&sun, len) == 0 || errno == EPROTOTYPE ||
		errno == EAGAIN;
	close(fd);
	return there;
}

/* Writers are not trusted to have escaped their lines. */
static void mask_controls(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			text[i] = '?';
}

static void write_all(const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(STDERR_FILENO, text, len);

		if (n < 0 && errno == EAGAIN)
			(void)poll(&(struct pollfd){STDERR_FILENO, POLLOUT, 0}, 1, -1);
		else if (n < 0 && errno != EINTR)
			return;
		text += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
}

/* Logs the whole records of a text, and has what is left at its beginning: the length of that. */
static size_t emit(char *text, size_t len)
{
	char *from = text, *to = text, *end;
	size_t rest = len;

	while ((end = memchr(from, '\n', rest)) != NULL) {
		int n = (int)(end - from) - 1; /* without its level */

		if (n > 0)
			mask_controls(from + 1, (size_t)n);
		if (n > 0 && use_syslog)
			syslog(from[0] & LOG_PRIMASK, "%.*s", n, from + 1);
		if (n > 0 && !use_syslog)
			to = (char *)memmove(to, from + 1, (size_t)n + 1) + n + 1;
		from = end + 1;
		rest = len - (size_t)(from - text);
	}
	write_all(text, (size_t)(to - text));
	memmove(text, from, rest);
	return rest;
}

static bool watch(int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	if (epoll_ctl(channels, EPOLL_CTL_ADD, fd, &event) < 0)
		return false;
	live++;
	return true;
}

/* One thing that the supervisor says to the log process itself: as recvmsg(2). */
static ssize_t take_order(void)
{
	char order[2];
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec part = {order, sizeof(order)};
	struct msghdr msg = {.msg_iov = &part,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(ORDERS_FD, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;
	int fd;

	if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
		if (!watch(fd))
			close(fd);
	} else if (n == 2 && order[0] == FACILITY_ORDER && use_syslog) {
		openlog("udsd", 0, order[1] << 3);
	}
	return n;
}

/* All that there are: a thousand channels may come at once. False at the end. */
static bool take_orders(void)
{
	ssize_t n;

	while ((n = take_order()) > 0)
		;
	return n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOMEM);
}

/* Logs what a channel has now, which is whole records; what comes meanwhile has its turn later. */
static void drain(int fd)
{
	static char text[READ_BYTES];
	size_t kept = 0;
	int left = 0;

	(void)ioctl(fd, FIONREAD, &left);
	while (left > 0 && kept < sizeof(text)) {
		size_t room = sizeof(text) - kept;
		ssize_t n =
			read(fd, text + kept, (size_t)left < room ? (size_t)left : room);

		if (n <= 0)
			return;
		left -= (int)n;
		kept = emit(text, kept + (size_t)n);
	}
}

/* False at its end: the last writer has gone, and nothing is left. */
static bool serve(const struct epoll_event *event)
{
	if (event->data.fd == ORDERS_FD)
		return take_orders();
	if (event->events & EPOLLIN)
		drain(event->data.fd);
	return (event->events & (EPOLLIN | EPOLLHUP)) != EPOLLHUP;
}

/* Waits for a syslogd that is missing: true when it is there, false when there is nobody left
 * whose lines it could get. */
static bool wait_for_syslogd(void)
{
	struct epoll_event event[EVENTS];

	while (use_syslog && !has_syslogd()) {
		int n = epoll_wait(channels, event, EVENTS, 0), hung = 0;

		for (int i = 0; i < n; i++)
			hung += (event[i].events & EPOLLHUP) != 0;
		if (hung >= (live < EVENTS ? live : EVENTS))
			return false;
		(void)poll(NULL, 0, RETRY_MS);
	}
	return true;
}

static void run(void)
{
	struct epoll_event event[EVENTS];

	if (!watch(ORDERS_FD) || !watch(OWN_FD))
		return; /* the next log process may have more luck */
	while (live > 0) {
		int n = epoll_wait(channels, event, EVENTS, -1);

		if (n > 0 && !wait_for_syslogd())
			return;
		for (int i = 0; i < n; i++) {
			if (serve(&event[i]))
				continue;
			close(event[i].data.fd);
			live--;
		}
		(void)poll(NULL, 0, LOOK_AWAY_MS);
	}
}

/* Has these descriptors where they belong, and no others. */
static int place(const struct log_channel *orders, const struct log_channel *own)
{
	int lines = fcntl(own->out, F_DUPFD_CLOEXEC, NEXT_FD);

	if (lines < 0 || dup2(orders->out, ORDERS_FD) < 0 || dup2(lines, OWN_FD) < 0)
		return -1;
	return close_range(NEXT_FD, ~0U, 0);
}

pid_t logger_start(const struct log_channel *orders, const struct log_channel *own,
		   bool to_syslog, int facility)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	title_set("log");
	if (place(orders, own) < 0)
		_exit(1);
	use_syslog = to_syslog;
	if (to_syslog) {
		(void)dup2(STDIN_FILENO, STDERR_FILENO); /* not our caller's terminal */
		openlog("udsd", 0, facility);
	}
	channels = epoll_create1(EPOLL_CLOEXEC);
	if (channels >= 0)
		run();
	_exit(0);
}
