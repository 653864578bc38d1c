/*
 * diagnostics.c: gathers lines. Out of memory the text is short, but the count is right.
 */
#include "config/diagnostics.h"

#include "common/log.h"

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

static void fault_line(char **text, struct place at, const char *format, va_list args)
{
	char line[32] = "", *what = NULL, *clean = NULL, *full = NULL, *more = NULL;

	if (at.line > 0 && at.file != NULL)
		snprintf(line, sizeof(line), ":%u", at.line);
	if (vasprintf(&what, format, args) < 0)
		return;
	clean = calloc(4, strlen(what) + 1);
	/* texts of a config may hold anything: nothing of it steers a terminal */
	if (clean != NULL)
		log_escape(clean, 4 * strlen(what), what, strlen(what), 0);
	if (clean != NULL &&
	    asprintf(&full, "%s%s%s%s\n", at.file != NULL ? at.file : "", line,
		     at.file != NULL ? ": " : "", clean) >= 0 &&
	    !has_line(*text, full) &&
	    asprintf(&more, "%s%s", *text != NULL ? *text : "", full) >= 0) {
		free(*text);
		*text = more;
	}
	free(full);
	free(clean);
	free(what);
}

void fault_add(struct faults *faults, struct place at, const char *format, ...)
{
	va_list args;

	if (++faults->errors > FAULTS_MAX)
		return;
	va_start(args, format);
	fault_line(&faults->text, at, format, args);
	va_end(args);
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
