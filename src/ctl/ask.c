/*
 * ask.c: connects, asks, reads to the end, and takes an answer apart.
 */
#include "ctl/ask.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/protocol.h"
#include "common/unixsock.h"
#include "ctl/server.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define ANSWER_MAX (64 * 1024 * 1024)

#define FULL_SECONDS 3 /* for a place in a backlog */
#define FOREIGN_SECONDS 5
#define NOTICE_SECONDS 2 /* without an answer, until this is said */
#define GARBAGE_SHOWN 60 /* bytes of what is no answer */
#define HEADS (sizeof(ask_heads) / sizeof(*ask_heads))

static const struct ask_head {
	const char *head;
	enum verdict verdict;
} ask_heads[] = {{ANSWER_OK, VERDICT_OK},
		 {ANSWER_REFUSED, VERDICT_REFUSED},
		 {ANSWER_ERROR, VERDICT_ERROR}};

static struct answer ask_failed(enum verdict verdict, const char *what, const char *why)
{
	struct answer a = {.verdict = verdict};

	if (asprintf(&a.all, "%s: %s", what, why) < 0)
		a.all = NULL;
	a.text = a.all;
	return a;
}

/* What is asked of whom, and until when. */
struct question {
	const char *socket;
	int fd;
	int seconds;
	int64_t until, notice_at;
	char server[SERVER_TEXT];
	bool is_udsd; /* by its name, or by what it has answered */
};

static struct answer ask_unreachable(const char *socket, int error)
{
	bool none = error == ENOENT || error == ENOTDIR || error == ECONNREFUSED;
	struct answer a = {.verdict = none ? VERDICT_UNREACHABLE : VERDICT_NO_ANSWER};

	a.all = calloc(1, SERVER_TEXT);
	if (a.all != NULL)
		server_unreachable(socket, error, a.all);
	a.text = a.all;
	return a;
}

/* An error of what is connected, which is named. */
static struct answer ask_bad(const struct question *q, const char *format, ...)
{
	char why[SERVER_TEXT + 256];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	return ask_failed(VERDICT_NO_ANSWER, q->socket, why);
}

static const char *ask_doubt(const struct question *q)
{
	return q->is_udsd ? "" : ": is this udsd's control-socket?";
}

/* connect(2) waits while the backlog is full. */
static int ask_connect(const char *path, int seconds)
{
	const struct timeval time = {seconds < FULL_SECONDS ? seconds : FULL_SECONDS, 0};
	struct sockaddr_un address;
	socklen_t len = unixsock_address(path, &address);
	int fd = len > 0 ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;

	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof(time));
	if (connect(fd, (struct sockaddr *)&address, len) == 0)
		return fd;
	close(fd);
	return -1;
}

/* An answer may be shown on a terminal: escapes what is no text. */
static char *ask_clean(const char *text)
{
	char *clean = calloc(4, strlen(text) + 1), *to = clean;

	while (clean != NULL && *text != '\0') {
		size_t len = strcspn(text, "\n");

		to += log_escape(to, 4 * len, text, len, 0);
		text += len;
		if (*text == '\n')
			*to++ = *text++;
	}
	return clean;
}

/* A server that does not bear our name gets a third of the time: it may pass things on
 * for one that does. */
static void ask_set_time(struct question *q)
{
	int64_t now = clock_now();

	if (!q->is_udsd && q->seconds > FOREIGN_SECONDS)
		q->seconds = q->seconds / 3 > FOREIGN_SECONDS ? q->seconds / 3
							      : FOREIGN_SECONDS;
	q->until = now + q->seconds * NSEC_PER_SEC;
	q->notice_at = q->seconds > NOTICE_SECONDS ? now + NOTICE_SECONDS * NSEC_PER_SEC
						   : CLOCK_NEVER;
}

/* Waits for more: false when the time is over. */
static bool ask_wait(struct question *q)
{
	struct pollfd p = {.fd = q->fd, .events = POLLIN};
	int64_t now;

	while ((now = clock_now()) < q->until) {
		if (now >= q->notice_at) {
			fprintf(stderr,
				"udsctl: %s: no answer yet from %s; giving up after %d s\n",
				q->socket, q->server, q->seconds);
			q->notice_at = CLOCK_NEVER;
		}
		if (poll(&p, 1, clock_timeout(now, clock_min(q->until, q->notice_at))) >
		    0)
			return true;
	}
	return false;
}

/* The head with which a text begins, or may yet begin; NULL: it is no answer. */
static const struct ask_head *ask_head_of(const char *text, size_t len)
{
	for (size_t i = 0; i < HEADS; i++) {
		size_t most = strlen(ask_heads[i].head);

		if (strncmp(text, ask_heads[i].head, len < most ? len : most) == 0)
			return &ask_heads[i];
	}
	return NULL;
}

/* Reads to the end, or to where it is clear that this is no answer: 0, or errno; ETIME:
 * the time is over; EPROTO: it is no answer. */
static int ask_read(struct question *q, FILE *out, char **text, const size_t *size)
{
	char part[16384];

	while (*size < ANSWER_MAX) {
		ssize_t n;

		if (!ask_wait(q))
			return ETIME;
		n = recv(q->fd, part, sizeof(part), MSG_DONTWAIT);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return errno;
		if (n == 0)
			return 0;
		if (n > 0)
			fwrite(part, 1, (size_t)n, out);
		if (fflush(out) != 0)
			return errno;
		if (n > 0 && ask_head_of(*text, *size) == NULL)
			return EPROTO;
	}
	return EMSGSIZE;
}

/* The first line of what is no answer. */
static struct answer ask_garbage(const struct question *q, const char *text, size_t size)
{
	char line[4 * GARBAGE_SHOWN + 1];
	size_t len = 0;

	while (len < size && len < GARBAGE_SHOWN && text[len] != '\n' &&
	       text[len] != '\r')
		len++;
	line[log_escape(line, sizeof(line) - 1, text, len, 1)] = '\0';
	return ask_bad(q, "%s does not answer as udsd does, but with \"%s\"%s", q->server,
		       line, ask_doubt(q));
}

static struct answer ask_judge(const struct question *q, int error, const char *text,
			       size_t size)
{
	const struct ask_head *head = ask_head_of(text, size);
	struct answer a;

	if (error == EPROTO)
		return ask_garbage(q, text, size);
	if (error == ETIME)
		return ask_bad(q, "no answer within %d s from %s%s", q->seconds,
			       q->server, ask_doubt(q));
	if (error != 0)
		return ask_bad(q, "%s, from %s%s", strerror(error), q->server,
			       ask_doubt(q));
	if (head == NULL || size < strlen(head->head))
		return ask_bad(q, "it ended before it had answered, %s%s", q->server,
			       ask_doubt(q));
	a = (struct answer){.verdict = head->verdict, .all = ask_clean(text)};
	a.text = a.all != NULL ? a.all + strlen(head->head) : NULL;
	return a;
}

/* Reads an answer. */
static struct answer ask_listen(struct question *q)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	struct answer a;
	int error;

	if (out == NULL)
		return ask_bad(q, "%s", strerror(errno));
	error = ask_read(q, out, &text, &size);
	if (fclose(out) != 0)
		error = errno;
	a = ask_judge(q, error, text, size);
	free(text);
	return a;
}

/* Its length with the newline; 0: it is too long. */
static size_t ask_write(char request[REQUEST_BYTES], const char *const *words)
{
	size_t len = 0;

	for (; *words != NULL && len < REQUEST_BYTES; words++)
		len += (size_t)snprintf(request + len, REQUEST_BYTES - len, "%s%c",
					*words, words[1] != NULL ? ' ' : '\n');
	return len < REQUEST_BYTES ? len : 0;
}

struct answer ask(const char *socket, int seconds, const char *const *words)
{
	struct question q = {.socket = socket, .seconds = seconds};
	char request[REQUEST_BYTES] = "";
	size_t len = ask_write(request, words);
	struct answer a;

	if (len == 0)
		return ask_failed(VERDICT_ERROR, "request", "it is too long");
	q.fd = ask_connect(socket, seconds);
	if (q.fd < 0)
		return ask_unreachable(socket, errno);
	q.is_udsd = server_name(q.fd, q.server);
	ask_set_time(&q);
	/* a client that is rejected may be answered before it has asked */
	if (send(q.fd, request, len, MSG_NOSIGNAL) < 0 && errno != EPIPE)
		a = ask_bad(&q, "%s, from %s", strerror(errno), q.server);
	else
		a = ask_listen(&q);
	close(q.fd);
	return a;
}

struct answer ask_records(const char *socket, int seconds, const char *const *words,
			  struct records *rs)
{
	struct answer a = ask(socket, seconds, words);

	*rs = (struct records){0};
	if (a.verdict == VERDICT_OK)
		*rs = records_of(a.text);
	if (a.verdict != VERDICT_OK || rs->whole)
		return a;
	free(rs->list);
	*rs = (struct records){0};
	answer_free(&a);
	return ask_failed(VERDICT_NO_ANSWER, socket, "the answer was cut off");
}

void answer_free(struct answer *a)
{
	free(a->all);
	*a = (struct answer){0};
}

/* The end of a value, which is unquoted in place: \" and \\ lose their backslash, \xNN
 * stays. */
static char *ask_cut_value(char *at, const char **value)
{
	char *to = at;

	*value = at;
	if (*at != '"') {
		at += strcspn(at, " ");
		if (*at != '\0')
			*at++ = '\0';
		return at;
	}
	*value = to = ++at;
	while (*at != '\0' && *at != '"') {
		if (*at == '\\' && (at[1] == '"' || at[1] == '\\'))
			at++;
		*to++ = *at++;
	}
	if (*at != '\0')
		at++;
	*to = '\0';
	return at + (*at == ' ');
}

static struct record ask_cut_line(char *line)
{
	struct record r = {.verb = line};

	line += strcspn(line, " ");
	if (*line != '\0')
		*line++ = '\0';
	while (*line != '\0' && r.count < RECORD_PAIRS) {
		char *end = strchr(line, '=');

		if (end == NULL)
			break;
		*end = '\0';
		r.keys[r.count] = line;
		line = ask_cut_value(end + 1, &r.values[r.count++]);
	}
	return r;
}

/* What a line is about comes first, then its number among those. */
static int ask_compare(const void *va, const void *vb)
{
	const struct record *a = va, *b = vb;
	int order = strcmp(record_get(a, KEY_SERVICE), record_get(b, KEY_SERVICE));
	double x = record_number(a, KEY_CONN), y = record_number(b, KEY_CONN);

	if (order == 0)
		order = strcmp(b->verb, a->verb); /* status before exits */
	return order != 0 ? order : (x > y) - (x < y);
}

struct records records_of(char *text)
{
	struct records rs = {0};
	size_t lines = 0;
	char *end;

	if (text == NULL)
		return rs;
	for (const char *c = text; *c != '\0'; c++)
		lines += *c == '\n';
	rs.list = calloc(lines + 1, sizeof(*rs.list));
	for (; rs.list != NULL && (end = strchr(text, '\n')) != NULL; text = end + 1) {
		*end = '\0';
		if (*text != '\0')
			rs.list[rs.count++] = ask_cut_line(text);
	}
	rs.whole = rs.count > 0 && strcmp(rs.list[rs.count - 1].verb, RECORD_END) == 0;
	rs.count -= rs.whole;
	if (rs.list != NULL)
		qsort(rs.list, rs.count, sizeof(*rs.list), ask_compare);
	return rs;
}

const struct record *record_next(const struct records *rs, const struct record *r,
				 const char *verb)
{
	size_t i = r != NULL ? (size_t)(r - rs->list) + 1 : 0;

	while (i < rs->count && verb != NULL && strcmp(rs->list[i].verb, verb) != 0)
		i++;
	return i < rs->count ? &rs->list[i] : NULL;
}

const char *record_get(const struct record *r, const char *key)
{
	for (size_t i = 0; i < r->count; i++)
		if (strcmp(r->keys[i], key) == 0)
			return r->values[i];
	return "";
}

double record_number(const struct record *r, const char *key)
{
	return strtod(record_get(r, key), NULL);
}
