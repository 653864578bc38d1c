/*
 * logger.c: the log process: reads records, calls syslog(3) or writes to standard error.
 * And its supervision: a new one is started when it has exited.
 *
 * When there is no syslogd nothing is read from the channels either: they fill and their
 * writers count what they lose. So lines are dropped in one place only, and syslog(3),
 * which would lose them in silence, is not called without effect. The process exits when
 * every channel's last writer has exited.
 */
#include "supervisor/logger.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/log_channel.h"
#include "service/services.h"
#include "supervisor/log_output.h"
#include "common/title.h"
#include "common/unixsock.h"

#include <errno.h>
#include <fcntl.h>
#include <paths.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_AWAY_MS 20          /* lets records gather */
#define RETRY_MS 250             /* between looks for a syslogd that is missing */
#define EVENTS 64                /* channels looked at in a turn */
#define READ_BYTES 16384         /* records read at once, and written */
#define EXIT_TIME NSEC_PER_SEC   /* what it gets to finish */
#define START_PAUSE NSEC_PER_SEC /* from one log process to the next, at least */

enum {
	ORDERS_FD = 3,
	OWN_FD,
	NEXT_FD
}; /* in the log process: orders, the supervisor's lines */

static pid_t logger_pid;    /* 0: none */
static int64_t logger_next; /* when the next one may be started */
static bool use_syslog;

/* The log process itself from here on. */

static int channels; /* epoll instance over all of them */
static int live;     /* channels that have not ended */

/* Whether a syslogd takes what syslog(3) sends. */
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

/* One record: the level, the text, a newline. */
static void emit_record(char *record, size_t len, unsigned channel)
{
	if (len < 3)
		return;
	mask_controls(record + 1, len - 2);
	if (use_syslog)
		syslog(record[0] & LOG_PRIMASK, "%.*s", (int)len - 2, record + 1);
	else
		log_output_line(record[0] & LOG_PRIMASK, record + 1, len - 1, channel);
}

/* Logs the whole records of a text, and has what is left at its beginning: the length of
 * that. */
static size_t emit(char *text, size_t len, unsigned channel)
{
	char *from = text, *end;

	while ((end = memchr(from, '\n', len)) != NULL) {
		size_t n = (size_t)(end - from) + 1;

		emit_record(from, n, channel);
		from += n;
		len -= n;
	}
	log_output_flush(channel);
	memmove(text, from, len);
	return len;
}

/* A channel's descriptor and its row are one number. */
static bool add_channel(int fd, unsigned row)
{
	struct epoll_event event = {.events = EPOLLIN,
				    .data.u64 = (uint64_t)row << 32 | (unsigned)fd};

	if (epoll_ctl(channels, EPOLL_CTL_ADD, fd, &event) < 0)
		return false;
	live++;
	return true;
}

/* One thing that the supervisor says to the log process itself: as recvmsg(2). */
static ssize_t take_order(void)
{
	char order[LOG_ORDER_BYTES];
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
		if (n < LOG_ORDER_BYTES || !add_channel(fd, log_channel_row(order)))
			close(fd);
	} else if (n == 2 && order[0] == LOG_ORDER_FACILITY && use_syslog) {
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

/* Logs what a channel has now, which is whole records; what comes meanwhile has its turn
 * later. */
static void drain_channel(int fd, unsigned row)
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
		kept = emit(text, kept + (size_t)n, row);
	}
}

/* False at its end: the last writer has closed it, and nothing is left. */
static bool take_event(const struct epoll_event *event)
{
	int fd = (int)(event->data.u64 & INT32_MAX);

	if (fd == ORDERS_FD)
		return take_orders();
	if (event->events & EPOLLIN)
		drain_channel(fd, (unsigned)(event->data.u64 >> 32));
	return (event->events & (EPOLLIN | EPOLLHUP)) != EPOLLHUP;
}

/* Waits for a syslogd that is missing: true when it is there, false when no channel has
 * a writer left. */
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

static void log_all(void)
{
	struct epoll_event event[EVENTS];

	if (!add_channel(ORDERS_FD, 0) || !add_channel(OWN_FD, log_channel_own.row))
		return; /* the next log process tries again */
	while (live > 0) {
		int n = epoll_wait(channels, event, EVENTS, -1);

		if (n > 0 && !wait_for_syslogd())
			return;
		for (int i = 0; i < n; i++) {
			if (take_event(&event[i]))
				continue;
			close((int)(event[i].data.u64 & INT32_MAX));
			live--;
		}
		(void)poll(NULL, 0, LOOK_AWAY_MS);
	}
}

/* Has these descriptors where they belong, and no others. */
static int place_channels(void)
{
	int lines = fcntl(log_channel_own.out, F_DUPFD_CLOEXEC, NEXT_FD);

	if (lines < 0 || dup2(log_channel_orders.out, ORDERS_FD) < 0 ||
	    dup2(lines, OWN_FD) < 0)
		return -1;
	return close_range(NEXT_FD, ~0U, 0);
}

static _Noreturn void run_logger(int facility)
{
	title_set("log");
	if (place_channels() < 0)
		_exit(1);
	log_output_open();
	if (use_syslog) {
		(void)dup2(STDIN_FILENO, STDERR_FILENO); /* not our caller's terminal */
		openlog("udsd", 0, facility);
	}
	channels = epoll_create1(EPOLL_CLOEXEC);
	if (channels >= 0)
		log_all();
	_exit(0);
}

/* ---- In the supervisor
 * --------------------------------------------------------------------- */

/* Starts a log process, which gets all channels that there are. */
static int start_logger(int64_t now)
{
	pid_t pid = fork();

	if (pid == 0)
		run_logger(services_config()->syslog_facility);
	logger_next = now + START_PAUSE;
	if (pid < 0)
		return -1;
	logger_pid = pid;
	for (struct instance *i = services_first(); i != NULL; i = i->next)
		if (i->log.out >= 0) {
			i->log.known = false;
			log_channel_pass(&i->log);
		}
	return 0;
}

int logger_open(bool to_syslog)
{
	use_syslog = to_syslog;
	return log_channels_open() < 0 ? -1 : start_logger(clock_now());
}

bool logger_is(pid_t pid)
{
	return pid == logger_pid;
}

bool logger_exited(pid_t pid, int status, int64_t now)
{
	struct log_line line;

	(void)now;
	if (pid != logger_pid)
		return false;
	logger_pid = 0;
	log_begin(&line, LOG_WARNING, "logger");
	log_num(&line, "pid", pid);
	log_status(&line, status);
	log_end(&line);
	return true;
}

int64_t logger_due(void)
{
	return logger_pid == 0 ? logger_next : CLOCK_NEVER;
}

void logger_tick(int64_t now)
{
	if (logger_due() <= now)
		(void)start_logger(now);
}

void logger_close(void)
{
	int64_t until = clock_now() + EXIT_TIME;

	for (struct instance *i = services_first(); i != NULL; i = i->next)
		log_channel_close(&i->log);
	log_open(-1, LOG_ERR, NULL);
	log_channel_close(&log_channel_own);
	log_channel_close(&log_channel_orders);
	while (logger_pid > 0 && waitpid(logger_pid, NULL, WNOHANG) == 0) {
		if (clock_now() >= until)
			(void)kill(logger_pid, SIGKILL);
		(void)poll(NULL, 0, 5);
	}
	logger_pid = 0;
}
