/*
 * log_channel.h: the pipes by which records (log.h) get to the log process, one for each
 * service and one of the supervisor.
 *
 * A write to a pipe costs a third of a send to a socket, and one that is no longer than
 * PIPE_BUF is all or nothing (pipe(7)). The supervisor keeps both ends of each, so lines
 * survive the end of a log process; they are lost only when a channel is full, and then
 * counted by the writer. Orders to the log process (one more channel, the facility) have
 * a socket of their own.
 */
#ifndef UDSD_LOG_CHANNEL_H
#define UDSD_LOG_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

#define LOG_ORDER_CHANNEL \
 '+' /* with a descriptor: one more channel; then two bytes: its row */
#define LOG_ORDER_BYTES 3
#define LOG_ORDER_FACILITY 'F' /* then a byte: the facility's number */

struct log_channel {
	int in;       /* writers' end */
	int out;      /* the log process's end, kept for its successors */
	bool known;   /* the log process has it */
	unsigned row; /* of its counter of lines that could not be written */
};

/* The supervisor's own channel, and the socket for orders. */
extern struct log_channel log_channel_own, log_channel_orders;

/* Makes both of these. 0, or -1 and errno. */
int log_channels_open(void);

/* A service's. 0, or -1 and errno; both ends are close-on-exec and do not block. */
int log_channel_open(struct log_channel *channel);
void log_channel_close(struct log_channel *channel);

/* Passes it to the log process, unless that has it. While too many orders are in its
 * queue this must be tried again: see channel->known. */
void log_channel_pass(struct log_channel *channel);

/* The row in an order. */
static inline unsigned log_channel_row(const char order[LOG_ORDER_BYTES])
{
	return (unsigned)(unsigned char)order[1] << 8 | (unsigned char)order[2];
}

/* How many lines of the channel with this row the log process could not write: it counts
 * there, and the process that adds them to another counter subtracts. Row 0 is the
 * supervisor's own. */
_Atomic uint64_t *log_channel_unwritten(unsigned row);

/* From now on the log process logs with this facility (LOG_DAEMON, ...). */
void log_channel_set_facility(int facility);

#endif
