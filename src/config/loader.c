/*
 * loader.c: the process that loads, and what it passes on.
 */
#include "config/loader.h"

#include "common/title.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Exit status of a child that could not load: with errno added. */
#define LOADER_FAILED 100

/* What stands first in the arena. */
struct result {
	const struct config *config; /* NULL: refused */
	struct findings findings;
};

static const struct result *result_in(const struct arena *arena)
{
	return (const void *)arena->base;
}

static _Noreturn void loader_run(struct loader *l, const struct load_source *source)
{
	struct arena *arena = &l->arena;
	struct faults faults;
	struct result *result;

	title_set("config");
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	(void)signal(SIGXFSZ, SIG_DFL); /* our end says what has happened */
	if (dup2(l->fd, STDERR_FILENO + 1) < 0 ||
	    close_range(STDERR_FILENO + 2, ~0U, 0) < 0)
		_exit(LOADER_FAILED + errno);
	result = arena_take(arena, sizeof(*result));
	result->config = config_load(arena, source, &faults);
	result->findings = (struct findings){
		.text = arena_text(arena, faults.text),
		.errors = faults.errors + faults.problems,
		.problems = faults.problems,
		.lasting = faults.lasting,
		.warnings = faults.warnings,
	};
	_exit(arena_write(arena, STDERR_FILENO + 1) < 0 ? LOADER_FAILED + errno : 0);
}

int loader_start(struct loader *l, const struct load_source *source)
{
	*l = (struct loader){.fd = memfd_create("udsd: config", MFD_CLOEXEC)};
	if (l->fd >= 0 && arena_open(&l->arena) == 0)
		l->pid = fork();
	else
		l->pid = -1;
	if (l->pid == 0)
		loader_run(l, source);
	if (l->pid > 0)
		return 0;
	loader_close(l);
	return -1;
}

static void loader_report_end(struct loader *l, int status)
{
	if (WIFSIGNALED(status))
		snprintf(l->error, sizeof(l->error),
			 "the check of the config was ended by signal %s",
			 sigabbrev_np(WTERMSIG(status)));
	else if (WEXITSTATUS(status) == ARENA_FULL)
		snprintf(l->error, sizeof(l->error), "the config is too large");
	else if (WEXITSTATUS(status) > LOADER_FAILED)
		snprintf(l->error, sizeof(l->error), "load the config: %s",
			 strerror(WEXITSTATUS(status) - LOADER_FAILED));
	else
		snprintf(l->error, sizeof(l->error),
			 "the check of the config ended with status %d",
			 WEXITSTATUS(status));
}

struct loaded *loader_take(struct loader *l, int status)
{
	const struct result *result = result_in(&l->arena);
	struct loaded *loaded = NULL;

	l->pid = 0;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		loader_report_end(l, status);
		arena_close(&l->arena);
	} else if (arena_map(&l->arena, l->fd) < 0) {
		arena_close(&l->arena);
	} else if (result->config != NULL) {
		loaded = malloc(sizeof(*loaded));
		if (loaded != NULL)
			*loaded = (struct loaded){1, result->config, l->arena};
		if (loaded != NULL)
			l->arena = (struct arena){0};
	}
	if (loaded == NULL && *l->error == '\0' &&
	    (loader_findings(l) == NULL || loader_findings(l)->errors == 0))
		snprintf(l->error, sizeof(l->error), "load the config: %s",
			 strerror(ENOMEM));
	return loaded;
}

const struct findings *loader_findings(const struct loader *l)
{
	return l->arena.base != NULL ? &result_in(&l->arena)->findings : NULL;
}

const struct findings *loaded_findings(const struct loaded *loaded)
{
	return &result_in(&loaded->arena)->findings;
}

void loader_close(struct loader *l)
{
	int saved = errno;

	if (l->pid > 0)
		(void)kill(l->pid, SIGKILL);
	if (l->fd >= 0)
		close(l->fd);
	arena_close(&l->arena);
	*l = (struct loader){.fd = -1};
	errno = saved;
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
