/*
 * overload.c: back-off, as a time until which a listener is not polled.
 */
#include "overload.h"

#include "clock.h"
#include "log.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define BUSY_RETRY (100 * NSEC_PER_MSEC)
#define BUSY_QUIET (10 * NSEC_PER_SEC)
#define DELAY_FIRST (100 * NSEC_PER_MSEC)
#define DELAY_LAST (30 * NSEC_PER_SEC)

void backoff_init(struct backoff *o, const char *service)
{
	*o = (struct backoff){.service = service};
}

/* Whether a line about this cause is due; if so the next one is not for a while. */
static int is_news(struct backoff *o, const char *step, int error, int64_t now)
{
	size_t oldest = 0;

	for (size_t i = 0; i < BACKOFF_CAUSES; i++) {
		if (o->causes[i].step != NULL && strcmp(o->causes[i].step, step) == 0 &&
		    o->causes[i].error == error) {
			oldest = i;
			if (now < o->causes[i].quiet_until)
				return 0;
			break;
		}
		if (o->causes[i].quiet_until < o->causes[oldest].quiet_until)
			oldest = i;
	}
	o->causes[oldest].step = step;
	o->causes[oldest].error = error;
	o->causes[oldest].quiet_until = now + BUSY_QUIET;
	return 1;
}

void backoff_busy(struct backoff *o, const char *step, int error, int64_t now)
{
	o->until = now + BUSY_RETRY;
	if (is_news(o, step, error, now))
		log_event(LOG_WARNING, "busy", "service", o->service, "step", step,
			  "error", strerror(error), NULL);
}

void backoff_extend(struct backoff *o, int64_t now)
{
	o->delay = o->delay == 0 ? DELAY_FIRST : clock_min(2 * o->delay, DELAY_LAST);
	o->until = now + o->delay;
}

void backoff_failed(struct backoff *o, const char *path, uint64_t conn, const char *step,
		    int error, int64_t now)
{
	struct log_line line;

	if (o->delay == 0 || now >= o->until)
		backoff_extend(o, now);
	log_begin(&line, LOG_ERR, "fail");
	log_str(&line, "service", o->service);
	if (conn > 0)
		log_num(&line, "conn", (int64_t)conn);
	log_str(&line, conn > 0 ? "handler" : "socket", path);
	log_str(&line, "step", step);
	/* execve says ENOENT also when a script's interpreter is missing */
	if (error == ENOENT && conn > 0 && access(path, F_OK) == 0)
		log_str(&line, "error", "its interpreter does not exist");
	else
		log_str(&line, "error", strerror(error));
	log_sec(&line, "retry", o->delay);
	log_end(&line);
}

void backoff_over(struct backoff *o)
{
	o->delay = 0;
}

int64_t backoff_until(const struct backoff *o)
{
	return o->until;
}
