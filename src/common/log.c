/*
 * log.c: builds records and sends them.
 *
 * Invariant: no byte below 0x20, no 0x7f, no C1 control and nothing that is not UTF-8
 * gets into a line through log_str() and log_bytes(); verbs and keys are the program's
 * own constants. No malloc: a line costs its bytes and one write(2).
 */
#include "common/log.h"

#include "common/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINE_END (LOG_RECORD_MAX - 1)
#define CHANNEL_BYTES (512 * 1024) /* some 4,000 lines; a pipe begins with 64 KiB */

static int channel = -1;         /* where records go; -1: standard error */
static int threshold = LOG_INFO; /* the highest level that is logged */
static const char *owner;        /* whose lines these are, for the report of lost ones */
static unsigned long lost;       /* lines lost and not reported */
static _Atomic uint64_t *total;  /* of all that were lost */

void log_open(int fd, int level, const char *service)
{
	channel = fd;
	threshold = level;
	owner = service;
	lost = 0;
}

void log_count_lost(_Atomic uint64_t *counter)
{
	total = counter;
}

unsigned long log_lost(void)
{
	return lost;
}

int log_level_parse(const char *name)
{
	static const char *const names[] = {"error", "warning", "notice", "info",
					    "debug"};

	for (int i = 0; i < 5; i++)
		if (strcmp(name, names[i]) == 0)
			return LOG_ERR + i;
	return -1;
}

/* The length of the UTF-8 character at `s`, or 0 if it has to be escaped. */
static size_t printable(const unsigned char *s, size_t len)
{
	size_t n = *s < 0x80 ? 1 : *s < 0xc2 ? 0 : *s < 0xe0 ? 2 : *s < 0xf0 ? 3 : 4;

	if (n == 1)
		return *s >= 0x20 && *s != 0x7f;
	if (n == 0 || *s > 0xf4 || n > len)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if (n == 2 && *s == 0xc2 && s[1] < 0xa0) /* C1 controls */
		return 0;
	if ((*s == 0xe0 && s[1] < 0xa0) || (*s == 0xf0 && s[1] < 0x90)) /* overlong */
		return 0;
	if ((*s == 0xed && s[1] > 0x9f) || (*s == 0xf4 && s[1] > 0x8f)) /* no character */
		return 0;
	return n;
}

size_t log_escape(char *to, size_t size, const char *from, size_t len, int quoted)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *s = (const unsigned char *)from;
	size_t out = 0;

	while (len > 0) {
		size_t n = printable(s, len);
		bool backslash = quoted && (*s == '"' || *s == '\\');
		size_t need = n == 0 ? 4 : n + backslash;

		if (out + need > size)
			break;
		if (n == 0) {
			const char esc[4] = {'\\', 'x', hex[*s >> 4], hex[*s & 15]};

			memcpy(to + out, esc, 4);
			n = 1;
		} else {
			to[out] = '\\';
			memcpy(to + out + backslash, s, n);
		}
		out += need;
		s += n;
		len -= n;
	}
	return out;
}

static void put(struct log_line *line, const char *s, size_t len)
{
	size_t room = LINE_END - line->len;

	if (len > room)
		len = room;
	memcpy(line->text + line->len, s, len);
	line->len += len;
}

static void put_text(struct log_line *line, const char *text)
{
	put(line, text, strlen(text));
}

void log_begin(struct log_line *line, int level, const char *verb)
{
	line->len = 0;
	if (level > threshold)
		return;
	line->text[line->len++] = (char)('0' + level);
	put_text(line, verb);
}

static void put_key(struct log_line *line, const char *key)
{
	put(line, " ", 1);
	put_text(line, key);
	put(line, "=", 1);
}

/* Whether a value can stand without quotes. */
static bool is_plain(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (s[i] <= ' ' || s[i] > '~' || s[i] == '"' || s[i] == '\\' ||
		    s[i] == '=')
			return false;
	return len > 0;
}

void log_bytes(struct log_line *line, const char *key, const char *value, size_t len)
{
	if (line->len == 0)
		return;
	put_key(line, key);
	if (is_plain(value, len)) {
		put(line, value, len);
		return;
	}
	put(line, "\"", 1);
	if (line->len + 1 < LINE_END)
		line->len += log_escape(line->text + line->len, LINE_END - line->len - 1,
					value, len, 1);
	put(line, "\"", 1);
}

void log_str(struct log_line *line, const char *key, const char *value)
{
	if (line->len > 0 && value != NULL)
		log_bytes(line, key, value, strlen(value));
}

static void put_num(struct log_line *line, int64_t value)
{
	uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
	char digits[21];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest > 0);
	if (value < 0)
		digits[--at] = '-';
	put(line, digits + at, sizeof(digits) - at);
}

void log_num(struct log_line *line, const char *key, int64_t value)
{
	if (line->len == 0)
		return;
	put_key(line, key);
	put_num(line, value);
}

void log_sec(struct log_line *line, const char *key, int64_t nsec)
{
	int64_t ms = nsec / 1000000;
	const char fraction[4] = {'.', (char)('0' + ms / 100 % 10),
				  (char)('0' + ms / 10 % 10), (char)('0' + ms % 10)};

	if (line->len == 0)
		return;
	log_num(line, key, ms / 1000);
	put(line, fraction, sizeof(fraction));
}

void log_status(struct log_line *line, int status)
{
	const char *name = WIFSIGNALED(status) ? sigabbrev_np(WTERMSIG(status)) : NULL;

	if (line->len == 0)
		return;
	put_key(line, "status");
	if (status == -1)
		put_text(line, "unknown");
	else
		put_text(line, WIFEXITED(status) ? "exit:" : "signal:");
	if (name != NULL)
		put_text(line, name);
	else if (status != -1)
		put_num(line, WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

/* One record out: 0, or -1 if it was lost. A channel that is full for the first time gets
 * more room, if its user may still have some. */
static int send_record(struct log_line *line)
{
	line->text[line->len] = '\n';
	if (channel < 0)
		return write(STDERR_FILENO, line->text + 1, line->len) < 0 ? -1 : 0;
	if (write(channel, line->text, line->len + 1) >= 0)
		return 0;
	if (errno != EAGAIN || lost > 0 ||
	    fcntl(channel, F_SETPIPE_SZ, CHANNEL_BYTES) < 0)
		return -1;
	return write(channel, line->text, line->len + 1) < 0 ? -1 : 0;
}

void log_report_lost(void)
{
	struct log_line line;

	if (lost == 0)
		return;
	log_begin(&line, LOG_ERR, "drop");
	log_str(&line, "service", owner);
	log_num(&line, "lines", (int64_t)lost);
	if (send_record(&line) == 0)
		lost = 0;
}

static int64_t nsec(const struct timeval *tv)
{
	return (int64_t)tv->tv_sec * NSEC_PER_SEC + (int64_t)tv->tv_usec * 1000;
}

void log_usage(struct log_line *line, int64_t lived, const struct rusage *usage)
{
	log_sec(line, "duration", lived);
	if (usage == NULL)
		return;
	log_sec(line, "user", nsec(&usage->ru_utime));
	log_sec(line, "system", nsec(&usage->ru_stime));
	log_num(line, "maxrss-kib", usage->ru_maxrss);
}

void log_end(struct log_line *line)
{
	int saved = errno;

	if (line->len > 0) {
		log_report_lost();
		if (lost > 0 || send_record(line) < 0) {
			lost++;
			if (total != NULL)
				(*total)++;
		}
	}
	errno = saved;
}

void log_event(int level, const char *verb, ...)
{
	struct log_line line;
	const char *key;
	va_list args;

	log_begin(&line, level, verb);
	va_start(args, verb);
	while ((key = va_arg(args, const char *)) != NULL)
		log_str(&line, key, va_arg(args, const char *));
	va_end(args);
	log_end(&line);
}
