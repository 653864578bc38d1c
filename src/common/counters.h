/*
 * counters.h: what is counted for each service, one row a counter, and why clients are
 * rejected, one row a reason.
 *
 * From the rows follow the fields in the scoreboard, the records of `status` and the log,
 * and what udsctl shows: status, --json, metrics and top. A new counter is its row here
 * and the place that counts. Scoreboards outlive an upgrade, so rows are appended, and
 * never moved or removed (scoreboard.h).
 */
#ifndef UDSD_COUNTERS_H
#define UDSD_COUNTERS_H

#include <stddef.h>

/* The field of struct counters; the key in records; num, or sec for nanoseconds; the
 * metric in Prometheus's format, whose name ends in _total unless it is a gauge; what it
 * counts. */
#define COUNTERS(ROW)                                                     \
 ROW(peak, "peak", num, "udsd_connections_peak",                          \
     "Most connections live at once so far.")                             \
 ROW(opened, "total", num, "udsd_connections_total", "Handlers started.") \
 ROW(failures, "failures", num, "udsd_start_failures_total",              \
     "Handlers that could not be started.")                               \
 ROW(gone, "gone", num, "udsd_clients_gone_total",                        \
     "Clients that disconnected before they were served.")                \
 ROW(nanoseconds, "seconds", sec, "udsd_connection_seconds_total",        \
     "Duration of ended connections.")                                    \
 ROW(log_dropped, "log-dropped", num, "udsd_log_dropped_total",           \
     "Log lines that could not be delivered.")                            \
 ROW(stderr_dropped, "stderr-dropped", num, "udsd_stderr_dropped_total",  \
     "Lines of handlers' standard error above the limit.")

/* The reason; its name in the log, and behind `rejected-` in records; what is counted. At
 * most REJECT_ROOM. */
#define REJECT_ROWS(ROW)                                                               \
 ROW(REJECT_RULE, "rule", "Clients rejected by deny, or by no rule in allow.")         \
 ROW(REJECT_LIMIT, "limit", "Clients rejected by max-connections.")                    \
 ROW(REJECT_USER_LIMIT, "user-limit", "Clients rejected by max-connections-per-user.") \
 ROW(REJECT_RATE, "rate", "Clients rejected by rate.")

#define REJECT_ROOM 16
#define REJECT_KEY "rejected-"

#define REJECT_ENUM(reason, name, help) reason,
enum reject_reason { REJECT_ROWS(REJECT_ENUM) REJECT_REASONS };

/* A counter as udsctl shows it. */
struct counter {
	const char *key;
	const char *metric; /* NULL: a reason, which is a label of one metric for all */
	const char *help;
};

/* All counters, then the rejections by reason. */
extern const struct counter counter_rows[];
extern const size_t counter_row_count;

/* The name of a reason, as the log has it. */
const char *reject_name(enum reject_reason reason);

#endif
