/*
 * reload.c: one task after the other.
 */
#include "reload.h"

#include "change.h"
#include "clock.h"
#include "control.h"
#include "log.h"
#include "notify.h"
#include "upgrade.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static const char stopping[] = "udsd is stopping";

#define LOAD_TIME (10 * NSEC_PER_SEC)

/* Adds to what those are told who wait for the reload's end (control.h). */
static void tell(struct supervisor *sup, const char *text)
{
	if (sup->report != NULL && text != NULL)
		fputs(text, sup->report);
}

/* The reload at hand is over; `verdict` is what an answer begins with. */
static void end_report(struct supervisor *sup, const char *verdict)
{
	if (sup->report != NULL && fclose(sup->report) == 0)
		control_reloaded(sup, verdict, sup->report_text);
	else
		control_reloaded(sup, verdict, "\n");
	free(sup->report_text);
	sup->report = NULL;
	sup->report_text = NULL;
}

/* The config is not to blame: it may be right. */
static void give_up(struct supervisor *sup, const char *error)
{
	log_event(LOG_ERR, "reload", "error", error, NULL);
	log_event(LOG_ERR, "reload", "status", "refused", NULL);
	tell(sup, error);
	tell(sup, "\n");
	end_report(sup, "error ");
}

static void refuse(struct supervisor *sup, const char *error)
{
	if (error != NULL) {
		log_event(LOG_ERR, "reload", "error", error, NULL);
		tell(sup, error);
		tell(sup, "\n");
	}
	log_event(LOG_ERR, "reload", "status", "refused", NULL);
	end_report(sup, "refused\n");
}

static void say_ready(struct supervisor *sup)
{
	notify_ready(supervisor_listening(sup), supervisor_config(sup)->count);
}

static void begin_load(struct supervisor *sup, int64_t now)
{
	sup->want_reload = false;
	sup->reloads++;
	sup->report = open_memstream(&sup->report_text, &sup->report_size);
	notify_reloading();
	if (loader_start(&sup->loader, sup->options->source) == 0) {
		sup->task = TASK_LOAD;
		sup->task_until = now + LOAD_TIME;
		return;
	}
	give_up(sup, strerror(errno));
	say_ready(sup);
}

static void begin_next(struct supervisor *sup, int64_t now)
{
	if (sup->task == TASK_NONE && sup->want_reload)
		begin_load(sup, now);
	if (sup->task == TASK_NONE && sup->want_upgrade) {
		sup->want_upgrade = false;
		upgrade_begin(sup, now);
	}
}

static void request(struct supervisor *sup, bool *want, const char *verb, int64_t now)
{
	if (sup->stopping) {
		log_event(LOG_NOTICE, verb, "status", "refused", "error", stopping, NULL);
		return;
	}
	*want = true;
	begin_next(sup, now);
}

void reload_request(struct supervisor *sup, int64_t now)
{
	request(sup, &sup->want_reload, "reload", now);
}

void reload_request_upgrade(struct supervisor *sup, int64_t now)
{
	request(sup, &sup->want_upgrade, "upgrade", now);
}

void reload_task_over(struct supervisor *sup, int64_t now)
{
	sup->task = TASK_NONE;
	sup->task_until = CLOCK_NEVER;
	begin_next(sup, now);
}

/* A line of the log for each line of the text. */
static void log_lines(int level, const char *key, const char *text)
{
	while (text != NULL && *text != '\0') {
		size_t len = strcspn(text, "\n");
		struct log_line line;

		log_begin(&line, level, "reload");
		log_bytes(&line, key, text, len);
		log_end(&line);
		text += len + (text[len] == '\n');
	}
}

void reload_loaded(struct supervisor *sup, int status, int64_t now)
{
	struct loaded *loaded = loader_take(&sup->loader, status);
	char error[1024];

	if (loaded == NULL) {
		log_lines(LOG_ERR, "error", loader_errors(&sup->loader));
		tell(sup, loader_errors(&sup->loader));
		refuse(sup, *sup->loader.error != '\0' ? sup->loader.error : NULL);
	} else {
		log_lines(LOG_WARNING, "warning", loaded_warnings(loaded));
		tell(sup, loaded_warnings(loaded));
		if (change_config(sup, loaded, error, sizeof(error), now) == 0) {
			sup->task = TASK_DRAIN;
			sup->task_until = CLOCK_NEVER;
		} else {
			refuse(sup, error);
		}
	}
	loader_close(&sup->loader);
	loaded_release(loaded);
	if (sup->task == TASK_DRAIN)
		return;
	say_ready(sup);
	reload_task_over(sup, now);
}

void reload_abandon(struct supervisor *sup)
{
	sup->reloads += sup->want_reload;
	if (sup->task == TASK_LOAD || sup->want_reload)
		give_up(sup, stopping);
	else if (sup->task == TASK_DRAIN)
		end_report(sup, "ok\n"); /* it is in force */
	loader_close(&sup->loader);
	upgrade_abandon(sup);
	sup->want_reload = sup->want_upgrade = false;
	sup->task = TASK_NONE;
	sup->task_until = CLOCK_NEVER;
}

static bool has_drained(const struct supervisor *sup)
{
	for (const struct unit *u = sup->units; u != NULL; u = u->next)
		if (u->former && (u->answer_due != CLOCK_NEVER || u->heir != NULL))
			return false;
	return true;
}

static void say_done(struct supervisor *sup)
{
	struct log_line line;

	if (sup->report != NULL)
		fprintf(sup->report,
			"%zu services: %zu added, %zu changed, %zu removed\n",
			supervisor_config(sup)->count, sup->tally.added,
			sup->tally.changed, sup->tally.removed);
	end_report(sup, "ok\n");
	log_begin(&line, LOG_NOTICE, "reload");
	log_str(&line, "status", "done");
	log_num(&line, "services", (int64_t)supervisor_config(sup)->count);
	log_num(&line, "added", (int64_t)sup->tally.added);
	log_num(&line, "changed", (int64_t)sup->tally.changed);
	log_num(&line, "removed", (int64_t)sup->tally.removed);
	log_end(&line);
	say_ready(sup);
}

int64_t reload_due(const struct supervisor *sup)
{
	return sup->task_until;
}

void reload_tick(struct supervisor *sup, int64_t now)
{
	if (sup->task == TASK_LOAD && sup->task_until <= now) {
		(void)kill(sup->loader.pid, SIGKILL); /* its end brings us on */
		sup->task_until = CLOCK_NEVER;
		tell(sup, "the check of the config took longer than 10 s\n");
		log_event(LOG_ERR, "reload", "error",
			  "the check of the config took longer than 10 s", NULL);
	} else if (sup->task == TASK_DRAIN && has_drained(sup)) {
		say_done(sup);
		reload_task_over(sup, now);
	} else {
		upgrade_tick(sup, now);
	}
}
