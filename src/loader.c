/*
 * loader.c: the process that loads, and what it hands over.
 */
#include "loader.h"

#include "cmdline.h"
#include "copy.h"
#include "title.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* What stands first in the arena. */
struct result {
	const struct config *config; /* NULL: refused */
	const char *errors;
	const char *warnings;
};

static void override(struct config *c, const struct load_source *source)
{
	for (size_t i = 0; source->log_level >= 0 && i < c->count; i++)
		if (c->services[i].log_level == c->log_level)
			c->services[i].log_level = source->log_level;
	if (source->log_level >= 0)
		c->log_level = source->log_level;
	if (source->pid_file != NULL) {
		free(c->pid_file);
		c->pid_file = strdup(source->pid_file);
	}
}

struct config *loader_load(const struct load_source *source, struct faults *faults)
{
	struct config *c = NULL;
	char *text;

	*faults = (struct faults){0};
	if (source->command == NULL) {
		c = config_load(source->path, faults);
	} else {
		text = command_config(source->options, source->count, source->command);
		if (text != NULL)
			c = config_parse(text, faults);
		else
			fault_add(faults, NULL, 0, "no memory left");
	}
	if (c != NULL)
		override(c, source);
	if (c == NULL || c->pid_file != NULL)
		return c;
	fault_add(faults, NULL, 0, "no memory left");
	config_free(c);
	return NULL;
}

static _Noreturn void run(struct arena *arena, const struct load_source *source)
{
	struct faults faults;
	struct result *result;
	const struct config *c;

	title_set("config");
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (close_range(STDERR_FILENO + 1, ~0U, 0) < 0 || arena_enter(arena) < 0)
		_exit(1);
	result = arena_take(arena, sizeof(*result));
	c = loader_load(source, &faults);
	result->errors = arena_text(arena, faults.text);
	result->warnings = arena_text(arena, faults.warnings);
	if (c != NULL)
		result->config = config_copy(c, arena);
	_exit(0);
}

int loader_start(struct loader *l, const struct load_source *source)
{
	*l = (struct loader){0};
	if (arena_open(&l->arena) < 0)
		return -1;
	l->pid = fork();
	if (l->pid == 0)
		run(&l->arena, source);
	if (l->pid > 0)
		return 0;
	l->pid = 0;
	arena_close(&l->arena);
	return -1;
}

static void tell_end(struct loader *l, int status)
{
	if (WIFSIGNALED(status))
		snprintf(l->error, sizeof(l->error),
			 "the check of the config was ended by signal %s",
			 sigabbrev_np(WTERMSIG(status)));
	else if (WEXITSTATUS(status) == ARENA_FULL)
		snprintf(l->error, sizeof(l->error), "the config is too large");
	else
		snprintf(l->error, sizeof(l->error),
			 "the check of the config ended with status %d",
			 WEXITSTATUS(status));
}

struct loaded *loader_take(struct loader *l, int status)
{
	const struct result *result = (const void *)l->arena.base;
	struct loaded *loaded = NULL;

	l->pid = 0;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		tell_end(l, status);
	} else if (arena_seal(&l->arena) < 0) {
		arena_close(&l->arena);
	} else if (result->config != NULL) {
		loaded = malloc(sizeof(*loaded));
		if (loaded != NULL)
			*loaded = (struct loaded){1, result->config, l->arena};
		if (loaded != NULL)
			l->arena = (struct arena){.fd = -1};
	}
	if (loaded == NULL && *l->error == '\0' && loader_errors(l) == NULL)
		snprintf(l->error, sizeof(l->error), "%s", strerror(ENOMEM));
	return loaded;
}

const char *loader_errors(const struct loader *l)
{
	const struct result *result = (const void *)l->arena.base;

	return result != NULL ? result->errors : NULL;
}

const char *loaded_warnings(const struct loaded *loaded)
{
	return ((const struct result *)(const void *)loaded->arena.base)->warnings;
}

void loader_close(struct loader *l)
{
	if (l->pid > 0)
		(void)kill(l->pid, SIGKILL);
	l->pid = 0;
	arena_close(&l->arena);
}

struct loaded *loaded_hold(struct loaded *loaded)
{
	if (loaded != NULL)
		loaded->users++;
	return loaded;
}

void loaded_release(struct loaded *loaded)
{
	if (loaded == NULL || --loaded->users > 0)
		return;
	arena_close(&loaded->arena);
	free(loaded);
}
