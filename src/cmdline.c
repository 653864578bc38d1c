/*
 * cmdline.c: turns `udsd -o NAME=VALUE SOCKET HANDLER ARG...` into the text of a config, so that
 * there is one way in which options are checked.
 */
#include "cmdline.h"

#include "options.h"
#include "value.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A string of libconfuse; in single quotes only ' and \ are special. */
static void put_string(FILE *f, const char *s, size_t len)
{
	fputc('\'', f);
	for (size_t i = 0; i < len; i++) {
		if (s[i] == '\'' || s[i] == '\\')
			fputc('\\', f);
		fputc(s[i], f);
	}
	fputc('\'', f);
}

static bool is_list_option(const char *name, size_t len)
{
	for (const struct option_row *row = service_options; row->name != NULL; row++)
		if (strncmp(row->name, name, len) == 0 && row->name[len] == '\0')
			return option_is_list(row);
	return false;
}

/* All values of the list that options[first] is the first of. */
static void put_list(FILE *f, char *const *options, size_t count, size_t first,
		     size_t len)
{
	bool empty = strcmp(options[first] + len, "={}") == 0;

	fputs("{ ", f);
	for (size_t i = first; i < count && !empty; i++) {
		if (strncmp(options[i], options[first], len + 1) != 0)
			continue;
		if (i > first)
			fputs(", ", f);
		put_string(f, options[i] + len + 1, strlen(options[i] + len + 1));
	}
	fputs(" }\n", f);
}

static void put_option(FILE *f, char *const *options, size_t count, size_t i)
{
	size_t len = strcspn(options[i], "=");

	if (is_list_option(options[i], len)) {
		for (size_t k = 0; k < i; k++)
			if (strncmp(options[k], options[i], len + 1) == 0)
				return;
		fprintf(f, "%.*s = ", (int)len, options[i]);
		put_list(f, options, count, i, len);
	} else {
		fprintf(f, "%.*s = ", (int)len, options[i]);
		put_string(f, options[i] + len + 1, strlen(options[i] + len + 1));
		fputc('\n', f);
	}
}

/* The service is named as its program, if that is a name. */
static const char *name_of(const char *handler)
{
	const char *slash = strrchr(handler, '/');
	const char *name = slash != NULL ? slash + 1 : handler;

	return value_service_name(name) == NULL ? name : "service";
}

static bool is_given(char *const *options, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strncmp(options[i], name, strlen(name)) == 0)
			return true;
	return false;
}

char *command_config(char *const *options, size_t count, char *const *argv)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (f == NULL)
		return NULL;
	fprintf(f, "pid-file = ''\ncontrol-socket = ''\nservice '%s' {\nsocket = ",
		name_of(argv[1]));
	put_string(f, argv[0], strlen(argv[0]));
	fputs("\nhandler = { ", f);
	put_string(f, argv[1], strlen(argv[1]));
	for (size_t i = 2; argv[i] != NULL; i++) {
		fputs(", ", f);
		put_string(f, argv[i], strlen(argv[i]));
	}
	fputs(" }\n", f);
	if (geteuid() == 0 && !is_given(options, count, "user="))
		fputs("user = '0'\n", f); /* whoever started it */
	for (size_t i = 0; i < count; i++)
		put_option(f, options, count, i);
	fputs("}\n", f);
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
