/*
 * recheck.c: loads what is in force once more, and opens what failed.
 */
#include "service/recheck.h"

#include "service/apply.h"
#include "common/log.h"
#include "service/problem.h"
#include "service/services.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define LOAD_TIME (10 * NSEC_PER_SEC)

static struct loader recheck_loader = {.fd = -1};
static int64_t recheck_until = CLOCK_NEVER; /* when the child is killed */
static int64_t recheck_at = CLOCK_NEVER;    /* when the next one begins */
static bool recheck_wanted;
static unsigned recheck_begun, recheck_over; /* rechecks */

unsigned recheck_request(void)
{
	recheck_wanted = true;
	return recheck_begun + 1;
}

unsigned recheck_ended(void)
{
	return recheck_over;
}

int64_t recheck_next(void)
{
	return recheck_wanted || recheck_loader.pid > 0 ? 0 : recheck_at;
}

static bool is_needed(void)
{
	for (const struct instance *i = services_first(); i != NULL; i = i->next)
		if (i->state == INSTANCE_CURRENT && i->problem.kind != PROBLEM_NONE &&
		    !problem_is_path(i))
			return true;
	return false;
}

static void log_recheck(const char *error)
{
	log_event(LOG_WARNING, "recheck", "error", error, NULL);
}

/* A command's text is where it always was. */
static void begin_recheck(int64_t now)
{
	struct load_source source = *services_origin.source;

	recheck_wanted = false;
	recheck_begun++;
	recheck_at = now + PROBLEM_RETRY;
	recheck_until = now + LOAD_TIME;
	source.again = services_config();
	if (loader_start(&recheck_loader, &source) == 0)
		return;
	recheck_over = recheck_begun;
	log_recheck(strerror(errno));
}

bool recheck_is(pid_t pid)
{
	return pid == recheck_loader.pid;
}

bool recheck_exited(pid_t pid, int status, int64_t now)
{
	struct loaded *loaded;
	struct tally tally;
	char *errors = NULL;

	if (pid != recheck_loader.pid)
		return false;
	loaded = loader_take(&recheck_loader, status);
	if (loaded == NULL)
		log_recheck(*recheck_loader.error != '\0' ? recheck_loader.error
							  : "the config is refused");
	else if (apply_config(loaded, true, &tally, &errors, now) < 0)
		log_recheck(errors != NULL ? errors : strerror(ENOMEM));
	free(errors);
	loader_close(&recheck_loader);
	loaded_release(loaded);
	recheck_over = recheck_begun;
	return true;
}

void recheck_abandon(bool again)
{
	bool running = recheck_loader.pid > 0;

	loader_close(&recheck_loader);
	recheck_wanted = again && (recheck_wanted || running);
	if (!again)
		recheck_over = recheck_begun + 1;
}

int64_t recheck_due(void)
{
	if (recheck_loader.pid > 0)
		return recheck_until;
	if (recheck_wanted)
		return 0;
	if (is_needed() == (recheck_at == CLOCK_NEVER))
		return 0;
	return recheck_at;
}

void recheck_tick(int64_t now)
{
	if (recheck_loader.pid > 0 && now >= recheck_until) {
		(void)kill(recheck_loader.pid, SIGKILL); /* recheck_exited() follows */
		recheck_until = CLOCK_NEVER;
	}
	if (recheck_loader.pid > 0)
		return;
	if (!is_needed() && !recheck_wanted)
		recheck_at = CLOCK_NEVER;
	else if (recheck_at == CLOCK_NEVER)
		recheck_at = now + PROBLEM_RETRY;
	if (recheck_wanted || now >= recheck_at)
		begin_recheck(now);
}
