/*
 * logger.h: the log process, the only caller of syslog(3).
 *
 * Records (log.h) come by SOCK_SEQPACKET channels, one of each service and one of the supervisor.
 * The process drains them all, writes, and looks away for 20 ms: waking it for each line would
 * cost a connection more than all else. The supervisor keeps both ends of each channel, so lines
 * survive the death of a log process; they are lost only when a channel is full, and then counted
 * by whoever could not send.
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

/* 0, or -1 and errno; both are close-on-exec and the writers' end does not block. */
int log_channel_open(struct log_channel *channel);
void log_channel_close(struct log_channel *channel);

/* Starts a log process that reads `own`, the supervisor's channel. Its pid, or -1. */
pid_t logger_start(const struct log_channel *own, bool to_syslog, int facility);

/* Hands it one more channel, by way of the supervisor's, if it has not got it. When that is full
 * it must be tried again: more->known tells. */
void logger_add(const struct log_channel *own, struct log_channel *more);

/* From now on it logs with this facility. */
void logger_set_facility(const struct log_channel *own, int facility);

#endif
