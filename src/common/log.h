/*
 * log.h: one line for each event, a verb and key=value pairs.
 *
 * A line is built in a struct log_line and leaves as one record: a byte with the level,
 * the text, a newline. Records go to the log process (logger.h) and never block: what
 * cannot be sent is counted, and the count is logged as soon as something can be sent
 * again. Until log_open() lines go to standard error. All processes of udsd that write to
 * a channel have SIGPIPE blocked.
 */
#ifndef UDSD_LOG_H
#define UDSD_LOG_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <syslog.h>

#define LOG_RECORD_MAX \
 PIPE_BUF /* bytes of a record: so many are written at once or not at all */

struct log_line {
	size_t len; /* bytes used in text; 0: the level is not logged */
	/* the level, then the line; its last byte is for the newline */
	char text[LOG_RECORD_MAX];
};

/* Lines go to `fd`, a channel's end (logger.h; -1: standard error), up to `level`.
 * `service` names whose lines are dropped; NULL: the supervisor's own. Neither is
 * copied. */
void log_open(int fd, int level, const char *service);

/* Starts a line. Lines of a level that is not logged cost nothing more. */
void log_begin(struct log_line *line, int level, const char *verb);

/* Add ` key=value`; values are quoted and escaped as needed. A full line is cut. A string
 * that is NULL is left out. */
void log_str(struct log_line *line, const char *key, const char *value);
void log_bytes(struct log_line *line, const char *key, const char *value, size_t len);
void log_num(struct log_line *line, const char *key, int64_t value);
void log_sec(struct log_line *line, const char *key,
	     int64_t nsec); /* as seconds, 0.012 */

/* Adds ` status=`: exit:N, signal:NAME; -1 is unknown. */
void log_status(struct log_line *line, int wait_status);

/* Adds how long a process lived and, unless it is NULL, what it used. */
void log_usage(struct log_line *line, int64_t nsec, const struct rusage *usage);

/* Sends the line. */
void log_end(struct log_line *line);

/* A whole line of key, value pairs of strings, ended by NULL. errno is kept. */
void log_event(int level, const char *verb, ...) __attribute__((sentinel));

/* From now on each line that is lost is counted there, too; NULL: it is not. */
void log_count_lost(_Atomic uint64_t *counter);

/* The number of lines that could not be sent and have not been reported. */
unsigned long log_lost(void);

/* Tries to report lost lines; call it now and then while log_lost() is not 0. */
void log_report_lost(void);

/* Escapes `len` bytes of `from` for a log line into `to`, which has room for `size`
 * bytes: control characters and bytes that are not UTF-8 become \xNN; if `quoted`, " and
 * \ get a backslash. Returns the bytes written; what does not fit is left out. */
size_t log_escape(char *to, size_t size, const char *from, size_t len, int quoted);

/* LOG_ERR .. LOG_DEBUG for error, warning, notice, info, debug; -1 for anything else. */
int log_level_parse(const char *name);

#endif
