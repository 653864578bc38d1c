/*
 * stderr.h: handlers' standard error, line by line into the log.
 *
 * All handlers of a service write to one end of one SOCK_STREAM pair; the kernel says
 * with each piece which process wrote it (SO_PASSCRED), and never joins pieces of two.
 */
#ifndef UDSD_STDERR_H
#define UDSD_STDERR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Bytes of a line, the rest is cut: all escaped it fits a record. */
#define STDERR_LINE_MAX 960
#define STDERR_RATE 1000 /* lines a second of one service */

struct stderr_relay;

/* The connection that a writing process belongs to. */
struct stderr_writer {
	uint64_t id; /* 0: not known */
	pid_t pid;   /* its handler */
};

/* Makes the pair: both ends close-on-exec. 0, or -1 and errno. */
int stderr_pair(int *in, int *out);

/* Reads from `out`, asking `find` which connection a line belongs to, and counts lines
 * that it drops. NULL: out of memory. */
struct stderr_relay *stderr_new(int out, const char *service,
				struct stderr_writer (*find)(void *arg, pid_t pid),
				void *arg, _Atomic uint64_t *dropped);

/* Reads what is there, up to a limit, and logs it. False: a handler has shut the pair
 * down, and nothing comes any more. */
bool stderr_read(struct stderr_relay *relay, int64_t now);

/* A process has exited: its unfinished line, if any, is logged. Call before its
 * connection is forgotten. stderr_finish() does it for all. */
void stderr_end(struct stderr_relay *relay, pid_t pid);
void stderr_finish(struct stderr_relay *relay);

/* When stderr_tick() wants to be called, to report lines that were dropped and to end
 * those of writers that are no handlers and have exited; CLOCK_NEVER: not. */
int64_t stderr_due(const struct stderr_relay *relay);
void stderr_tick(struct stderr_relay *relay, int64_t now);

#endif
