/*
 * title.c: the command line is the memory that the kernel filled at exec; it is written
 * over.
 */
#include "common/title.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static char *place; /* argv[0] as the kernel laid it */
static size_t room; /* bytes up to the end of the environment */

/* A copy of a vector with its strings; the end of the last string that follows `end`
 * directly is the new *end. */
static char **copy_vector(char **from, char **end)
{
	size_t n = 0;
	char **to;

	while (from[n] != NULL)
		n++;
	to = calloc(n + 1, sizeof(*to));
	for (size_t i = 0; to != NULL && i < n; i++) {
		if (from[i] == *end)
			*end += strlen(from[i]) + 1;
		to[i] = strdup(from[i]);
		if (to[i] == NULL) {
			while (i > 0)
				free(to[--i]);
			free(to);
			return NULL;
		}
	}
	return to;
}

int title_init(int argc, char ***argvp)
{
	char *end = argc > 0 ? **argvp : NULL;
	/* live as long as the process; used: for those who look for lost memory */
	static char **argv __attribute__((used)), **env __attribute__((used));

	place = end;
	argv = copy_vector(*argvp, &end);
	env = copy_vector(environ, &end);
	if (argv == NULL || env == NULL)
		return -1;
	room = (size_t)(end - place);
	*argvp = argv;
	environ = env;
	return 0;
}

void title_set(const char *name)
{
	char title[128];
	int len = snprintf(title, sizeof(title), "udsd%s%s", name != NULL ? ": " : "",
			   name != NULL ? name : "");

	(void)prctl(PR_SET_NAME, title);
	if (room == 0 || len < 0)
		return;
	memset(place, 0, room);
	memcpy(place, title, (size_t)len < room ? (size_t)len : room - 1);
}
