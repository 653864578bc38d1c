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

#include <errno.h>
#include <fcntl.h>
#include <paths.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define LOOK_AWAY_MS 20 /* lets records gather */
#define RETRY_MS 250    /* between looks for a syslogd that is missing */
#define EVENTS 64       /* channels looked at in a turn */
#define BATCH 32        /* records read at once */
#define CHANNEL_BYTES (1024 * 1024)
#define FACILITY_RECORD 'F' /* on the supervisor's channel, where a level would be */
#define OWN_FD 3            /* the supervisor's channel, in the log process */

int log_channel_open(struct log_channel *c)
{
	const int size = CHANNEL_BYTES;
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) < 0)
		return -1;
	*c = (struct log_channel){.in = fd[1], .out = fd[0]};
	/* Root may have more than the system's usual room. */
	if (setsockopt(c->in, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(c->in, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
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

void logger_add(const struct log_channel *own, struct log_channel *more)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec part = {(char[]){"+"}, 1};
	struct msghdr msg = {.msg_iov = &part,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &more->out, sizeof(int));
	if (!more->known)
		more->known = sendmsg(own->in, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

void logger_set_facility(const struct log_channel *own, int facility)
{
	const char record[2] = {FACILITY_RECORD, (char)(facility >> 3)};

	(void)send(own->in, record, sizeof(record), MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* The log process itself from here on. */

static bool use_syslog;
static int channels; /* epoll instance over all of them */
static int live;     /* channels that have not ended */

/* Whether somebody is there to take what syslog(3) sends. */
static bool has_syslogd(void)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX, .sun_path = _PATH_LOG};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool there;

	if (fd < 0)
		return false;
	there = connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0 ||
		errno == EPROTOTYPE || errno == EAGAIN;
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

static void write_all(struct iovec *part, int n)
{
	while (n > 0) {
		ssize_t done = writev(STDERR_FILENO, part, n);

		if (done < 0 && errno == EAGAIN)
			(void)poll(&(struct pollfd){STDERR_FILENO, POLLOUT, 0}, 1, -1);
		else if (done < 0 && errno != EINTR)
			return;
		while (done > 0 && n > 0) {
			size_t step = (size_t)done < part->iov_len ? (size_t)done
								   : part->iov_len;

			part->iov_base = (char *)part->iov_base + step;
			part->iov_len -= step;
			done -= (ssize_t)step;
			if (part->iov_len > 0)
				break;
			part++;
			n--;
		}
	}
}

/* A record's text is at record + 1 and ends with a newline here. */
static void emit(char (*records)[LOG_RECORD_MAX + 1], const size_t *lens, int n)
{
	struct iovec part[BATCH];
	int parts = 0;

	for (int i = 0; i < n; i++) {
		char *text = records[i] + 1;

		if (lens[i] < 2)
			continue;
		mask_controls(text, lens[i] - 1);
		if (use_syslog) {
			syslog(records[i][0] & LOG_PRIMASK, "%.*s", (int)lens[i] - 1,
			       text);
			continue;
		}
		records[i][lens[i]] = '\n';
		part[parts++] = (struct iovec){text, lens[i]};
	}
	write_all(part, parts);
}

static void watch(int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	if (epoll_ctl(channels, EPOLL_CTL_ADD, fd, &event) == 0)
		live++;
	else
		close(fd);
}

/* A descriptor that came with a record of the supervisor's is one more channel. */
static bool take_channel(struct msghdr *msg)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	int fd;

	if (c == NULL || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return false;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	watch(fd);
	return true;
}

/* What the supervisor says to the log process itself is not a line. */
static bool take_order(const char *record, size_t len)
{
	if (len != 2 || record[0] != FACILITY_RECORD)
		return false;
	if (use_syslog)
		openlog("udsd", 0, record[1] << 3);
	return true;
}

/* Reads and writes what one channel has. False at its end. */
static bool drain(int fd)
{
	static char records[BATCH][LOG_RECORD_MAX + 1];
	static char control[BATCH][CMSG_SPACE(sizeof(int))];
	struct mmsghdr msgs[BATCH];
	struct iovec part[BATCH];
	size_t lens[BATCH];
	int n;

	do {
		for (int i = 0; i < BATCH; i++) {
			part[i] = (struct iovec){records[i], LOG_RECORD_MAX};
			msgs[i].msg_hdr =
				(struct msghdr){.msg_iov = &part[i], .msg_iovlen = 1};
			if (fd == OWN_FD) {
				msgs[i].msg_hdr.msg_control = control[i];
				msgs[i].msg_hdr.msg_controllen = sizeof(control[i]);
			}
		}
		n = recvmmsg(fd, msgs, BATCH, MSG_DONTWAIT | MSG_CMSG_CLOEXEC, NULL);
		for (int i = 0; i < n; i++) {
			lens[i] = msgs[i].msg_len;
			if (lens[i] == 0)
				return emit(records, lens, i), false;
			if (fd == OWN_FD && (take_channel(&msgs[i].msg_hdr) ||
					     take_order(records[i], lens[i])))
				lens[i] = 0;
		}
		emit(records, lens, n);
	} while (n == BATCH);
	return n >= 0 || errno == EAGAIN || errno == EINTR || errno == ENOMEM;
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

	watch(OWN_FD);
	while (live > 0) {
		int n = epoll_wait(channels, event, EVENTS, -1);

		if (n > 0 && !wait_for_syslogd())
			return;
		for (int i = 0; i < n; i++) {
			if (drain(event[i].data.fd))
				continue;
			close(event[i].data.fd);
			live--;
		}
		(void)poll(NULL, 0, LOOK_AWAY_MS);
	}
}

pid_t logger_start(const struct log_channel *own, bool to_syslog, int facility)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	title_set("log");
	if (dup2(own->out, OWN_FD) < 0 || close_range(OWN_FD + 1, ~0U, 0) < 0)
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
