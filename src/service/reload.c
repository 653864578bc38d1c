/*
 * reload.c: loads the config in a child, puts it in force, waits for replaced workers.
 *
 * Whatever happens ends in reload_end(), with a verdict and a line in the log.
 */
#include "service/reload.h"

#include "service/apply.h"
#include "common/clock.h"
#include "common/log.h"
#include "service/problem.h"
#include "service/sdnotify.h"
#include "common/protocol.h"
#include "service/services.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOAD_TIME (10 * NSEC_PER_SEC)

static enum {
	RELOAD_IDLE,
	RELOAD_LOADING,  /* a child reads the config */
	RELOAD_DRAINING, /* replaced workers have not yet said that they accept no more */
} reload_state;

static bool reload_wanted;
static struct loader reload_loader = {.fd = -1};
static int64_t reload_until = CLOCK_NEVER; /* when the child is killed */
static struct tally reload_tally;
static unsigned reload_count;            /* reloads that have begun */
static struct reload_result last_result; /* its text is reload_text */
static char *reload_text;
static FILE
	*reload_report; /* writes reload_text while one is at work; NULL: out of memory */
static size_t reload_size;

static void report(const char *text)
{
	if (reload_report != NULL && text != NULL)
		fputs(text, reload_report);
}

static void reload_end(const char *verdict)
{
	bool whole = reload_report != NULL && fclose(reload_report) == 0;

	reload_report = NULL;
	reload_state = RELOAD_IDLE;
	reload_until = CLOCK_NEVER;
	last_result =
		(struct reload_result){reload_count, verdict, whole ? reload_text : "\n"};
}

static void report_error(const char *error)
{
	log_event(LOG_ERR, "reload", "error", error, NULL);
	report(error);
	report("\n");
}

/* The running config stays. `verdict`: whether the config is to blame. */
static void refuse_reload(const char *error, const char *verdict)
{
	if (error != NULL)
		report_error(error);
	log_event(LOG_ERR, "reload", "status", "refused", NULL);
	reload_end(verdict);
	sdnotify_ready();
}

unsigned reload_request(void)
{
	reload_wanted = true;
	return reload_count + 1;
}

bool reload_is_wanted(void)
{
	return reload_wanted;
}

bool reload_is_running(void)
{
	return reload_state != RELOAD_IDLE;
}

static void begin_report(void)
{
	free(reload_text);
	reload_text = NULL;
	last_result.text = "\n";
	reload_report = open_memstream(&reload_text, &reload_size);
}

void reload_begin(int64_t now)
{
	reload_wanted = false;
	reload_count++;
	begin_report();
	sdnotify_reloading();
	if (loader_start(&reload_loader, services_origin.source) < 0) {
		refuse_reload(strerror(errno), ANSWER_ERROR);
		return;
	}
	reload_state = RELOAD_LOADING;
	reload_until = now + LOAD_TIME;
}

bool reload_is(pid_t pid)
{
	return pid == reload_loader.pid;
}

static void report_line(bool warning, const char *text, size_t len)
{
	struct log_line line;

	if (reload_report != NULL)
		fprintf(reload_report, "%.*s\n", (int)len, text);
	log_begin(&line, warning ? LOG_WARNING : LOG_ERR, "reload");
	log_bytes(&line, warning ? "warning" : "error", text, len);
	log_end(&line);
}

/* A line of the log for each line of the text; without the errors if it was not the check
 * that refused. */
static void report_faults(const struct findings *found, bool accepted)
{
	const char *text = found != NULL ? found->text : NULL;

	while (text != NULL && *text != '\0') {
		size_t len = strcspn(text, "\n");
		bool warning = memmem(text, len, ": warning: ", 11) != NULL;

		if (warning || !accepted)
			report_line(warning, text, len);
		text += len + (text[len] == '\n');
	}
}

/* What does not run, though nothing was written that refuses the config. */
static void report_problems(void)
{
	for (const struct instance *i = services_first(); i != NULL; i = i->next) {
		const char *text = i->problem.text;
		size_t place;
		char line[1024];

		if (i->state != INSTANCE_CURRENT || text == NULL)
			continue;
		place = problem_place(text);
		snprintf(line, sizeof(line), "%.*swarning: %s", (int)place, text,
			 text + place);
		report_line(true, line, strlen(line));
	}
}

static void apply_loaded(struct loaded *loaded, int64_t now)
{
	char *errors;
	int rc = apply_config(loaded, false, &reload_tally, &errors, now);
	bool found = rc < 0 && errors != NULL && *errors == '\0'; /* by the check */

	report_faults(loaded_findings(loaded), !found);
	if (rc < 0)
		refuse_reload(found            ? NULL
			      : errors != NULL ? errors
					       : strerror(ENOMEM),
			      ANSWER_REFUSED);
	free(errors);
	if (rc < 0)
		return;
	report_problems();
	reload_state = RELOAD_DRAINING;
	reload_until = CLOCK_NEVER;
}

bool reload_exited(pid_t pid, int status, int64_t now)
{
	struct loaded *loaded;

	if (pid != reload_loader.pid)
		return false;
	loaded = loader_take(&reload_loader, status);
	if (loaded == NULL)
		report_faults(loader_findings(&reload_loader), false);
	if (loaded == NULL)
		refuse_reload(*reload_loader.error != '\0' ? reload_loader.error : NULL,
			      ANSWER_REFUSED);
	else
		apply_loaded(loaded, now);
	loader_close(&reload_loader);
	loaded_release(loaded);
	return true;
}

void reload_abandon(void)
{
	static const char stopping[] = "udsd is stopping";
	bool reported = reload_state == RELOAD_LOADING;

	if (reload_wanted && reload_state == RELOAD_IDLE)
		begin_report();
	reload_count += reload_wanted;
	if (reported || reload_wanted) {
		report_error(stopping);
		log_event(LOG_ERR, "reload", "status", "refused", NULL);
		reload_end(ANSWER_ERROR);
	} else if (reload_state == RELOAD_DRAINING) {
		reload_end(ANSWER_OK); /* it is in force */
	}
	loader_close(&reload_loader);
	reload_wanted = false;
}

static bool has_drained(void)
{
	for (const struct instance *i = services_first(); i != NULL; i = i->next)
		if (instance_is_superseded(i) &&
		    (i->answer_due != CLOCK_NEVER || i->successor != NULL))
			return false;
	return true;
}

static void finish_reload(void)
{
	const struct tally *t = &reload_tally;
	size_t services = services_config()->count;
	struct log_line line;

	if (reload_report != NULL)
		fprintf(reload_report,
			"%zu services: %zu added, %zu changed, %zu removed\n", services,
			t->added, t->changed, t->removed);
	reload_end(ANSWER_OK);
	log_begin(&line, LOG_NOTICE, "reload");
	log_str(&line, "status", "done");
	log_num(&line, "services", (int64_t)services);
	log_num(&line, "added", (int64_t)t->added);
	log_num(&line, "changed", (int64_t)t->changed);
	log_num(&line, "removed", (int64_t)t->removed);
	log_end(&line);
	sdnotify_ready();
}

struct reload_result reload_result(void)
{
	return last_result;
}

int64_t reload_due(void)
{
	return reload_until;
}

void reload_tick(int64_t now)
{
	if (reload_state == RELOAD_LOADING && reload_until <= now) {
		(void)kill(reload_loader.pid, SIGKILL); /* reload_exited() follows */
		reload_until = CLOCK_NEVER;
		report_error("the check of the config took longer than 10 s");
	} else if (reload_state == RELOAD_DRAINING && has_drained()) {
		finish_reload();
	}
}
