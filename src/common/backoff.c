/*
 * backoff.c: a delay as a time until which a listener is not polled; there is no sleep.
 *
 * Invariant: one log line for each cause, an operation and its error, in BUSY_QUIET. The
 * BACKOFF_CAUSES that were logged last are remembered.
 */
#include "common/backoff.h"

#include "common/clock.h"
#include "common/log.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define BUSY_RETRY (100 * NSEC_PER_MSEC)
#define BUSY_QUIET (10 * NSEC_PER_SEC)
#define DELAY_FIRST (100 * NSEC_PER_MSEC)
#define DELAY_LAST (30 * NSEC_PER_SEC)

void backoff_init(struct backoff *b, const char *service)
{
	*b = (struct backoff){.service = service};
}

/* Whether a line about this failure is due; if so the next one is not for a while. */
static bool should_log(struct backoff *b, struct failure f, int64_t now)
{
	size_t oldest = 0;

	for (size_t i = 0; i < BACKOFF_CAUSES; i++) {
		struct failure known = b->causes[i].failure;

		if (failed(known) && known.error == f.error &&
		    strcmp(known.operation, f.operation) == 0) {
			oldest = i;
			if (now < b->causes[i].quiet_until)
				return false;
			break;
		}
		if (b->causes[i].quiet_until < b->causes[oldest].quiet_until)
			oldest = i;
	}
	b->causes[oldest].failure = f;
	b->causes[oldest].quiet_until = now + BUSY_QUIET;
	return true;
}

void backoff_busy(struct backoff *b, struct failure f, int64_t now)
{
	b->until = now + BUSY_RETRY;
	if (should_log(b, f, now))
		log_event(LOG_WARNING, "busy", "service", b->service, "step", f.operation,
			  "error", strerror(f.error), NULL);
}

void backoff_extend(struct backoff *b, int64_t now)
{
	b->delay = b->delay == 0 ? DELAY_FIRST : clock_min(2 * b->delay, DELAY_LAST);
	b->until = now + b->delay;
}

void backoff_failed(struct backoff *b, const char *path, uint64_t id, struct failure f,
		    int64_t now)
{
	bool is_stderr = strcmp(f.operation, "stderr") == 0;
	struct log_line line;

	if (b->delay == 0 || now >= b->until)
		backoff_extend(b, now);
	log_begin(&line, LOG_ERR, "fail");
	log_str(&line, "service", b->service);
	if (id > 0)
		log_num(&line, "conn", (int64_t)id);
	log_str(&line, id == 0 ? "socket" : is_stderr ? "stderr" : "handler", path);
	log_str(&line, "step", f.operation);
	/* execve says ENOENT also when a script's interpreter is missing */
	if (f.error == ENOENT && strcmp(f.operation, "execute") == 0 &&
	    access(path, F_OK) == 0)
		log_str(&line, "error", "its interpreter does not exist");
	else
		log_str(&line, "error", strerror(f.error));
	log_sec(&line, "retry", b->delay);
	log_end(&line);
}

void backoff_over(struct backoff *b)
{
	b->delay = 0;
}
