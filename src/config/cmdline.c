/*
 * cmdline.c: turns `udsd -o NAME=VALUE SOCKET HANDLER ARG...` into the text of a config,
 * so that there is one way in which options are checked.
 */
#include "config/cmdline.h"

#include "config/options.h"
#include "config/value.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A string of libconfuse; in single quotes only ' and \ are special. */
static void command_put_string(FILE *f, const char *s)
{
	fputc('\'', f);
	for (; *s != '\0'; s++) {
		if (*s == '\'' || *s == '\\')
			fputc('\\', f);
		fputc(*s, f);
	}
	fputc('\'', f);
}

static bool command_adds_to(const char *name, size_t len)
{
	for (const struct option_row *row = service_options; row->name != NULL; row++)
		if (strncmp(row->name, name, len) == 0 && row->name[len] == '\0')
			return option_is_list(row) && (row->flags & OPTION_OWN) == 0;
	return false;
}

/* A list may be given element by element, so each is added to it; but the handler is an
 * argument. */
static void command_put_option(FILE *f, char *const *options, size_t i)
{
	const char *option = options[i];
	size_t len = strcspn(option, "=");
	bool list = command_adds_to(option, len), again = false;

	while (i-- > 0)
		again = again || strncmp(options[i], option, len + 1) == 0;
	option += fprintf(f, "%.*s", (int)len, option) + 1;
	fprintf(f, " %s %s", list && again ? "+=" : "=", list ? "{ " : "");
	if (!list || strcmp(option, "{}") != 0)
		command_put_string(f, option);
	fputs(list ? " }\n" : "\n", f);
}

/* The service is named as its program, if that is a name. */
static const char *command_name(const char *handler)
{
	const char *slash = strrchr(handler, '/');
	const char *name = slash != NULL ? slash + 1 : handler;

	return value_service_name(name) == NULL ? name : "service";
}

static bool command_has(char *const *options, size_t count, const char *name)
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
		command_name(argv[1]));
	command_put_string(f, argv[0]);
	fputs("\nhandler = { ", f);
	command_put_string(f, argv[1]);
	for (size_t i = 2; argv[i] != NULL; i++) {
		fputs(", ", f);
		command_put_string(f, argv[i]);
	}
	fputs(" }\n", f);
	if (geteuid() == 0 && !command_has(options, count, "user="))
		fputs("user = '0'\n", f); /* who started it */
	for (size_t i = 0; i < count; i++)
		command_put_option(f, options, i);
	fputs("}\n", f);
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
