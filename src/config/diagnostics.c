/*
 * diagnostics.c: gathers lines. Out of memory the text is short, but the count is right.
 */
#include "config/diagnostics.h"

#include "common/log.h"
#include "config/arena.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAULTS_MAX 1000 /* more are of no use, and a line is looked for among all */

/* Whether `text` has this whole line. */
static bool has_line(const char *text, const char *line)
{
	const char *at = text;

	while (at != NULL && (at = strstr(at, line)) != NULL) {
		if (at == text || at[-1] == '\n')
			return true;
		at++;
	}
	return false;
}

/* `FILE:LINE: text` and a newline, to be freed; NULL: out of memory. */
static char *fault_compose(struct place at, const char *format, va_list args)
{
	char line[32] = "", *what = NULL, *clean, *full = NULL;

	if (at.line > 0 && at.file != NULL)
		snprintf(line, sizeof(line), ":%u", at.line);
	if (vasprintf(&what, format, args) < 0)
		return NULL;
	clean = calloc(4, strlen(what) + 1);
	/* texts of a config may hold anything: nothing of it steers a terminal */
	if (clean != NULL)
		log_escape(clean, 4 * strlen(what), what, strlen(what), 0);
	if (clean != NULL && asprintf(&full, "%s%s%s%s\n", at.file != NULL ? at.file : "",
				      line, at.file != NULL ? ": " : "", clean) < 0)
		full = NULL;
	free(clean);
	free(what);
	return full;
}

static void fault_append(char **text, const char *line)
{
	char *more;

	if (has_line(*text, line) ||
	    asprintf(&more, "%s%s", *text != NULL ? *text : "", line) < 0)
		return;
	free(*text);
	*text = more;
}

static void fault_line(char **text, struct place at, const char *format, va_list args)
{
	char *line = fault_compose(at, format, args);

	if (line != NULL)
		fault_append(text, line);
	free(line);
}

void fault_add(struct faults *faults, struct place at, const char *format, ...)
{
	va_list args;

	if (++faults->errors + faults->problems > FAULTS_MAX)
		return;
	va_start(args, format);
	fault_line(&faults->text, at, format, args);
	va_end(args);
}

void fault_problem(struct faults *faults, struct problem *first, enum problem_kind kind,
		   const char *step, struct place at, const char *format, ...)
{
	va_list args;
	char *line;

	va_start(args, format);
	line = fault_compose(at, format, args);
	va_end(args);
	faults->lasting += kind == PROBLEM_FAILED;
	if (++faults->problems + faults->errors <= FAULTS_MAX && line != NULL)
		fault_append(&faults->text, line);
	if (first->kind == PROBLEM_NONE && faults->arena != NULL && line != NULL) {
		first->step = arena_text(faults->arena, step);
		first->text = arena_copy(faults->arena, line, strlen(line) - 1);
	}
	if (first->kind == PROBLEM_NONE)
		first->kind = kind;
	free(line);
}

void fault_warn(struct faults *faults, struct place at, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fault_line(&faults->warnings, at, format, args);
	va_end(args);
}

void faults_free(struct faults *faults)
{
	free(faults->text);
	free(faults->warnings);
	*faults = (struct faults){0};
}
