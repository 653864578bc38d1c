/*
 * logger.h: the log process, the only caller of syslog(3), and that there is one.
 *
 * It drains all channels (log_channel.h), writes, and pauses for 20 ms: waking it for
 * each line would cost a connection more than all else.
 */
#ifndef UDSD_LOGGER_H
#define UDSD_LOGGER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Makes the channels, and starts a log process. 0, or -1 and errno. */
int logger_open(bool to_syslog);

/* Closes all channels, and waits for the log process to end. */
void logger_close(void);

/* Whether this child is the log process; that it has exited (false: it was another). */
bool logger_is(pid_t pid);
bool logger_exited(pid_t pid, int status, int64_t now);

/* Starts another one. */
int64_t logger_due(void);
void logger_tick(int64_t now);

#endif
