/*
 * stderr.c: reads handlers' standard error, always, and logs at most STDERR_RATE lines a
 * second.
 *
 * Unfinished lines are kept for PARTIALS writers; when one more comes the oldest is
 * logged as it is. What was dropped is counted and reported once a second.
 */
#include "worker/stderr.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/unixsock.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define PARTIALS 16
#define READ_BYTES 16384
#define READS_A_TURN 64

/* A line that has not ended. */
struct partial {
	pid_t pid;     /* its writer; 0: not used */
	size_t len;    /* bytes in text */
	bool cut;      /* more came than fits */
	uint64_t used; /* for finding the oldest */
	char text[STDERR_LINE_MAX + 3];
};

struct stderr_relay {
	int out;
	const char *service;
	struct stderr_writer (*find)(void *arg, pid_t pid);
	void *arg;
	int64_t window;          /* the end of the second that is counted */
	unsigned logged;         /* lines in it */
	uint64_t dropped;        /* lines not reported yet */
	_Atomic uint64_t *total; /* of all that were dropped */
	uint64_t uses;
	struct partial partials[PARTIALS];
};

int stderr_pair(int *in, int *out)
{
	const int on = 1, off = 0;
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) < 0)
		return -1;
	*out = fd[0];
	*in = fd[1];
	/* closing a descriptor that lingers could delay the reader */
	(void)setsockopt(*out, SOL_SOCKET, SO_PASSRIGHTS, &off, sizeof(off));
	return setsockopt(*out, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
}

struct stderr_relay *stderr_new(int out, const char *service,
				struct stderr_writer (*find)(void *arg, pid_t pid),
				void *arg, _Atomic uint64_t *dropped)
{
	struct stderr_relay *r = calloc(1, sizeof(*r));

	if (r != NULL)
		*r = (struct stderr_relay){out, service, find, arg, .total = dropped};
	return r;
}

/* A handler's end is reported by stderr_end(); that of another process has to be asked
 * for. */
static bool is_stranger(const struct stderr_relay *r, const struct partial *p)
{
	return p->pid != 0 && r->find(r->arg, p->pid).pid != p->pid;
}

int64_t stderr_due(const struct stderr_relay *r)
{
	if (r->dropped > 0)
		return r->window;
	for (size_t i = 0; i < PARTIALS; i++)
		if (is_stranger(r, &r->partials[i]))
			return r->window;
	return CLOCK_NEVER;
}

static void report_dropped(struct stderr_relay *r)
{
	struct log_line line;

	if (r->dropped == 0)
		return;
	log_begin(&line, LOG_WARNING, "drop");
	log_str(&line, "service", r->service);
	log_num(&line, "stderr-lines", (int64_t)r->dropped);
	log_end(&line);
	r->dropped = 0;
}

static void log_partial(const struct stderr_relay *r, struct partial *p)
{
	struct stderr_writer writer = r->find(r->arg, p->pid);
	struct log_line line;

	if (p->cut) {
		memcpy(p->text + p->len, "...", 3);
		p->len += 3;
	}
	log_begin(&line, LOG_INFO, "stderr");
	log_str(&line, "service", r->service);
	if (writer.id > 0) {
		log_num(&line, "conn", (int64_t)writer.id);
		log_num(&line, "pid", writer.pid);
	}
	log_bytes(&line, "text", p->text, p->len);
	log_end(&line);
}

/* The line is complete. */
static void end_partial(struct stderr_relay *r, struct partial *p)
{
	if (r->logged < STDERR_RATE) {
		r->logged++;
		log_partial(r, p);
	} else {
		r->dropped++;
		(*r->total)++;
	}
	p->pid = 0;
	p->len = 0;
	p->cut = false;
}

void stderr_tick(struct stderr_relay *r, int64_t now)
{
	if (now < r->window)
		return;
	report_dropped(r);
	r->logged = 0;
	r->window = now + NSEC_PER_SEC;
	for (size_t i = 0; i < PARTIALS; i++)
		if (is_stranger(r, &r->partials[i]) && kill(r->partials[i].pid, 0) < 0 &&
		    errno == ESRCH)
			end_partial(r, &r->partials[i]);
}

/* The writer's unfinished line; a new one if there is none. */
static struct partial *partial_of(struct stderr_relay *r, pid_t pid)
{
	struct partial *oldest = &r->partials[0];

	for (size_t i = 0; i < PARTIALS; i++) {
		struct partial *p = &r->partials[i];

		if (p->pid == pid)
			return p;
		if (p->pid == 0)
			p->used = 0;
		if (p->used < oldest->used)
			oldest = p;
	}
	if (oldest->pid != 0)
		end_partial(r, oldest);
	oldest->pid = pid;
	return oldest;
}

static void take_text(struct stderr_relay *r, pid_t pid, const char *text, size_t len)
{
	while (len > 0) {
		const char *end = memchr(text, '\n', len);
		size_t n = end != NULL ? (size_t)(end - text) : len;
		struct partial *p = partial_of(r, pid);
		size_t room = STDERR_LINE_MAX - p->len;

		p->used = ++r->uses;
		p->cut = p->cut || n > room;
		memcpy(p->text + p->len, text, n < room ? n : room);
		p->len += n < room ? n : room;
		if (end == NULL)
			return;
		end_partial(r, p);
		text += n + 1;
		len -= n + 1;
	}
}

/* The process that wrote what a message holds. */
static pid_t writer_of(struct msghdr *msg)
{
	struct ucred cred = {0};

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS)
			memcpy(&cred, CMSG_DATA(c), sizeof(cred));
	return cred.pid > 0 ? cred.pid : -1;
}

bool stderr_read(struct stderr_relay *r, int64_t now)
{
	static char text[READ_BYTES];

	stderr_tick(r, now);
	for (int i = 0; i < READS_A_TURN; i++) {
		union {
			struct cmsghdr head;
			char space[CMSG_SPACE(sizeof(struct ucred))];
		} control;
		struct iovec part = {text, sizeof(text)};
		struct msghdr msg = {.msg_iov = &part,
				     .msg_iovlen = 1,
				     .msg_control = &control,
				     .msg_controllen = sizeof(control)};
		/* descriptors that a handler sends do not fit: they are closed */
		ssize_t n = recvmsg(r->out, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

		if (n <= 0)
			return n < 0;
		take_text(r, writer_of(&msg), text, (size_t)n);
	}
	return true;
}

void stderr_end(struct stderr_relay *r, pid_t pid)
{
	for (size_t i = 0; i < PARTIALS; i++)
		if (r->partials[i].pid == pid)
			end_partial(r, &r->partials[i]);
}

void stderr_finish(struct stderr_relay *r)
{
	for (size_t i = 0; i < PARTIALS; i++)
		if (r->partials[i].pid != 0)
			end_partial(r, &r->partials[i]);
	report_dropped(r);
}
