/*
 * diagnostics.c: gathers faults, sorted, each once. Out of memory the text is short, but
 * there is an error if there was one.
 *
 * Texts of a config may hold anything, and are shown so that nothing steers a terminal or
 * hides: control bytes, and characters that look like a space or like nothing, are
 * escaped.
 */
#include "config/diagnostics.h"

#include "common/log.h"
#include "config/arena.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAULTS_MAX 1000 /* more are of no use, and each is looked for among all */

struct fault {
	struct fault *next;
	struct place at;
	bool warning;
	char text[]; /* escaped */
};

/* Bytes of a character at `s`, in a text that ends with a byte 0, that cannot be seen for
 * what it is; or 0. */
static size_t invisible(const unsigned char *s)
{
	if (*s == 0xc2)
		return s[1] == 0xa0 || s[1] == 0xad ? 2 : 0;
	if (s[0] == 0xe2 && s[1] == 0x80)
		return (s[2] & 0xf0) == 0x80 || s[2] >= 0xa8 ? 3 : 0;
	if (s[0] == 0xe2 && s[1] == 0x81)
		return s[2] >= 0x9f && s[2] < 0xb0 ? 3 : 0;
	return strncmp((const char *)s, "\xe3\x80\x80", 3) == 0 ||
			       strncmp((const char *)s, "\xef\xbb\xbf", 3) == 0
		       ? 3
		       : 0;
}

bool fault_invisible(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (invisible((const unsigned char *)text + i) > 0)
			return true;
	return false;
}

/* Escapes `from`, which ends with two more zero bytes, into `to`, four times as large. */
static void escape(char *to, const char *from)
{
	while (*from != '\0') {
		size_t odd = invisible((const unsigned char *)from), len = 1;

		for (size_t i = 0; i < odd; i++)
			to += sprintf(to, "\\x%02x", (unsigned char)*from++);
		if (odd > 0)
			continue;
		while (from[len] != '\0' &&
		       invisible((const unsigned char *)from + len) == 0)
			len++;
		to += log_escape(to, 4 * len, from, len, 0);
		from += len;
	}
	*to = '\0';
}

static struct fault *fault_new(struct place at, bool warning, const char *format,
			       va_list args)
{
	struct fault *fault = NULL;
	char *text = NULL;
	int len = vasprintf(&text, format, args);
	char *padded = len >= 0 ? calloc(1, (size_t)len + 3) : NULL;

	if (padded != NULL)
		fault = malloc(sizeof(*fault) + 4 * (size_t)len + 1);
	if (fault != NULL) {
		fault->at = at;
		fault->warning = warning;
		escape(fault->text, memcpy(padded, text, (size_t)len));
	}
	free(padded);
	if (len >= 0)
		free(text);
	return fault;
}

/* As by strcmp(3): by file, then by line; what has none is first. */
static int compare(struct place a, struct place b)
{
	int files = strcmp(a.file != NULL ? a.file : "", b.file != NULL ? b.file : "");

	return files != 0 ? files : (a.line > b.line) - (a.line < b.line);
}

/* Puts it behind those of the same place. If one of them is the same, that takes its
 * place: false. */
static bool fault_insert(struct faults *faults, struct fault **fault)
{
	struct fault **at = &faults->first;

	for (; *at != NULL && compare((*at)->at, (*fault)->at) <= 0; at = &(*at)->next)
		if (compare((*at)->at, (*fault)->at) == 0 &&
		    strcmp((*at)->text, (*fault)->text) == 0) {
			free(*fault);
			*fault = *at;
			return false;
		}
	(*fault)->next = *at;
	*at = *fault;
	return true;
}

/* Counts it, too. What was noted, or NULL. */
static const struct fault *fault_put(struct faults *faults, size_t *count,
				     struct place at, const char *format, va_list args)
{
	struct fault *fault = NULL;

	if (*count < FAULTS_MAX)
		fault = fault_new(at, count == &faults->warnings, format, args);
	if (fault != NULL && !fault_insert(faults, &fault))
		return fault;
	++*count;
	return fault;
}

void fault_add(struct faults *faults, struct place at, const char *format, ...)
{
	size_t before = faults->errors;
	va_list args;

	va_start(args, format);
	(void)fault_put(faults, &faults->errors, at, format, args);
	va_end(args);
	faults->lasting += faults->errors > before;
}

void fault_system(struct faults *faults, struct place at, const char *what)
{
	static const int passing[] = {ENOMEM, EMFILE, ENFILE, EAGAIN, EINTR, EIO};
	size_t lasting = faults->lasting, i = 0;
	int error = errno;

	while (i < sizeof(passing) / sizeof(*passing) && passing[i] != error)
		i++;
	fault_add(faults, at, "%s: %s", what, strerror(error));
	if (i < sizeof(passing) / sizeof(*passing))
		faults->lasting = lasting;
}

/* `FILE:LINE: text` */
static const char *fault_line(struct arena *arena, const struct fault *fault)
{
	const char *line = "";
	char *text;

	if (fault->at.file == NULL)
		return arena_text(arena, fault->text);
	if (asprintf(&text, "%s:%u: %s", fault->at.file, fault->at.line, fault->text) >=
	    0) {
		line = arena_text(arena, text);
		free(text);
	}
	return line;
}

void fault_problem(struct faults *faults, struct problem *first, enum problem_kind kind,
		   const char *step, struct place at, const char *format, ...)
{
	size_t before = faults->problems;
	const struct fault *fault;
	va_list args;

	va_start(args, format);
	fault = fault_put(faults, &faults->problems, at, format, args);
	va_end(args);
	faults->lasting += faults->problems > before && kind == PROBLEM_FAILED;
	if (first->kind != PROBLEM_NONE && first->kind != PROBLEM_DISPLACED)
		return;
	*first = (struct problem){kind, "", ""};
	if (faults->arena == NULL || fault == NULL)
		return;
	first->step = arena_text(faults->arena, step);
	first->text = fault_line(faults->arena, fault);
}

void fault_warn(struct faults *faults, struct place at, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)fault_put(faults, &faults->warnings, at, format, args);
	va_end(args);
}

void faults_finish(struct faults *faults)
{
	size_t len;
	FILE *f = faults->first != NULL ? open_memstream(&faults->text, &len) : NULL;

	if (f == NULL)
		return;
	for (const struct fault *fault = faults->first; fault != NULL;
	     fault = fault->next) {
		fputs(fault->at.file != NULL ? fault->at.file : "udsd", f);
		if (fault->at.line > 0 && fault->at.file != NULL)
			fprintf(f, ":%u", fault->at.line);
		fprintf(f, ": %s: %s\n", fault->warning ? "warning" : "error",
			fault->text);
	}
	if (fclose(f) == 0)
		return;
	free(faults->text);
	faults->text = NULL;
}

void faults_free(struct faults *faults)
{
	while (faults->first != NULL) {
		struct fault *fault = faults->first;

		faults->first = fault->next;
		free(fault);
	}
	free(faults->text);
	*faults = (struct faults){0};
}
