/*
 * protocol.h: the words of the control protocol, for both its ends: the supervisor's
 * control socket and udsctl. udsd(8) describes it.
 *
 * A request is a line of a command and its arguments. The answer begins with one of three
 * words and ends with the end of file; between them may be records, lines of a word and
 * key=value pairs.
 */
#ifndef UDSD_PROTOCOL_H
#define UDSD_PROTOCOL_H

#include <stdbool.h>

#define REQUEST_BYTES 256 /* of a request, with its newline */

/* What an answer begins with. */
#define ANSWER_OK "ok\n"
#define ANSWER_ERROR "error "      /* not to be done; the rest of the line says why */
#define ANSWER_REFUSED "refused\n" /* the config, and nothing has changed */

/* Records, and the line after the last, so that a reader knows that it has all. */
#define RECORD_UDSD "udsd"
#define RECORD_STATUS "status"
#define RECORD_EXITS "exits"
#define RECORD_CONNECTION "connection"
#define RECORD_END "end"

/* Keys of records, besides the counters (counters.h). */
#define KEY_AGE "age"
#define KEY_CONN "conn"
#define KEY_COUNT "count"
#define KEY_ERROR "error"
#define KEY_LIMIT "limit"
#define KEY_LIVE "live"
#define KEY_LOG_DROPPED "log-dropped"
#define KEY_PEER_GID "peer-gid"
#define KEY_PEER_PID "peer-pid"
#define KEY_PEER_UID "peer-uid"
#define KEY_PID "pid"
#define KEY_RETRY "retry"
#define KEY_RULE "rule"
#define KEY_SERVICE "service"
#define KEY_SERVICES "services"
#define KEY_SOCKET "socket"
#define KEY_SOCKETS "sockets"
#define KEY_STATE "state"
#define KEY_STATUS "status"
#define KEY_STOPPING "stopping"
#define KEY_UPTIME "uptime"
#define KEY_VERSION "version"
#define KEY_WAIT "wait"
#define KEY_WORKER "worker"

/* Values of KEY_STATE. */
#define STATE_BACKING_OFF "backing-off"
#define STATE_DISABLED "disabled"
#define STATE_DISPLACED "displaced"
#define STATE_DRAINING "draining"
#define STATE_ENABLED "enabled"
#define STATE_FAILED "failed"
#define STATE_FULL "full"
#define STATE_STOPPING "stopping"

/* Whether so many words may follow a command with these arguments, such as "SERVICE
 * CONN"; [one] in brackets may be left out. */
static inline bool protocol_takes(const char *arguments, int words)
{
	int least = 0, most = 0;

	for (const char *c = arguments; *c != '\0'; c++)
		if (c == arguments || c[-1] == ' ') {
			most++;
			least += *c != '[';
		}
	return words >= least && words <= most;
}

#endif
