/*
 * ask.c: connects, asks, reads to the end, and takes an answer apart.
 */
#include "ctl/ask.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/protocol.h"
#include "common/unixsock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define ANSWER_MAX (64 * 1024 * 1024)

static struct answer ask_failed(enum verdict verdict, const char *what, const char *why)
{
	struct answer a = {.verdict = verdict};

	if (asprintf(&a.all, "%s: %s", what, why) < 0)
		a.all = NULL;
	a.text = a.all;
	return a;
}

static int ask_connect(const char *path, int seconds)
{
	const struct timeval time = {.tv_sec = seconds};
	struct sockaddr_un address;
	socklen_t len = unixsock_address(path, &address);
	int fd = len > 0 ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;

	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
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

/* All that comes within the time, terminated and clean; NULL and errno. */
static char *ask_read(int fd, int seconds)
{
	int64_t until = clock_now() + seconds * NSEC_PER_SEC;
	char *text = NULL, *clean = NULL, part[16384];
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	ssize_t n = 1;

	while (out != NULL && n != 0 && size < ANSWER_MAX && clock_now() < until) {
		n = read(fd, part, sizeof(part));
		if (n < 0 && errno != EINTR)
			break;
		if (n > 0)
			fwrite(part, 1, (size_t)n, out);
		fflush(out);
	}
	if (n > 0)
		errno = size < ANSWER_MAX ? EAGAIN : EMSGSIZE;
	if (out != NULL && fclose(out) == 0 && n == 0)
		clean = ask_clean(text);
	free(text);
	return clean;
}

static struct answer ask_judge(const char *socket, char *text)
{
	static const struct {
		const char *head;
		enum verdict verdict;
	} heads[] = {{ANSWER_OK, VERDICT_OK},
		     {ANSWER_REFUSED, VERDICT_REFUSED},
		     {ANSWER_ERROR, VERDICT_ERROR}};
	struct answer none;

	for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++) {
		size_t len = strlen(heads[i].head);

		if (strncmp(text, heads[i].head, len) == 0)
			return (struct answer){heads[i].verdict, text + len, text};
	}
	none = ask_failed(VERDICT_NO_ANSWER, socket, "it ended before it had answered");
	free(text);
	return none;
}

struct answer ask(const char *socket, int seconds, const char *const *words)
{
	char request[REQUEST_BYTES] = "", *text;
	int fd = ask_connect(socket, seconds);
	size_t len = 0;
	ssize_t n;

	if (fd < 0)
		return ask_failed(errno == ENOENT || errno == ECONNREFUSED
					  ? VERDICT_UNREACHABLE
					  : VERDICT_NO_ANSWER,
				  socket, strerror(errno));
	for (; *words != NULL && len < sizeof(request); words++)
		len += (size_t)snprintf(request + len, sizeof(request) - len, "%s%c",
					*words, words[1] != NULL ? ' ' : '\n');
	if (len >= sizeof(request)) {
		close(fd);
		return ask_failed(VERDICT_ERROR, "request", "it is too long");
	}
	/* a client that is rejected may be answered before it has asked */
	n = send(fd, request, len, MSG_NOSIGNAL);
	text = n > 0 || errno == EPIPE ? ask_read(fd, seconds) : NULL;
	close(fd);
	if (text != NULL)
		return ask_judge(socket, text);
	return ask_failed(VERDICT_NO_ANSWER, socket,
			  errno == EAGAIN ? "no answer within the time"
					  : strerror(errno));
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

/* The end of a value, which is unquoted in place: \" and \\ lose their backslash, \xNN stays. */
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
