/*
 * logger.h: the log process, the only caller of syslog(3).
 *
 * Records (log.h) come by channels, one of each service and one of the supervisor. These are pipes:
 * a write costs a third of a send to a socket, and one that is no longer than PIPE_BUF is all or
 * nothing (pipe(7)). The process drains them all, writes, and looks away for 20 ms: waking it for
 * each line would cost a connection more than all else. The supervisor keeps both ends of each
 * channel, so lines survive the death of a log process; they are lost only when a channel is full,
 * and then counted by whoever could not write.
 */
#ifndef UDSD_LOGGER_H
#define UDSD_LOGGER_H

#include <stdbool.h>
#include <sys/types.h>

/* One service's way to the log process. */
struct log_channel {
	int in;     /* writers' end */
	int out;    /* the log process's end, kept for its successors */
	bool known; /* the log process has it */
};

/* 0, or -1 and errno; both ends are close-on-exec and do not block. */
int log_channel_open(struct log_channel *channel);

/* The same for the supervisor's way to tell the log process something: a socket. */
int log_orders_open(struct log_channel *orders);
void log_channel_close(struct log_channel *channel);

/* Starts a log process that takes orders and reads `own`, the supervisor's lines. Its pid, or -1. */
pid_t logger_start(const struct log_channel *orders, const struct log_channel *own,
		   bool to_syslog, int facility);

/* Hands it one more channel, if it has not got it. When there are too many orders in its queue it
 * must be tried again: more->known tells. */
void logger_add(const struct log_channel *orders, struct log_channel *more);

/* From now on it logs with this facility. */
void logger_set_facility(const struct log_channel *orders, int facility);

#endif
