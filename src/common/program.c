/*
 * program.c: complaints about options, in place of getopt's own, which begin with
 * whatever path the program was called by; and whether standard output took all.
 */
#include "common/program.h"

#include "common/near.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *program_name = "udsd";

int program_begin(const char *name)
{
	program_name = name;
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN);
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", fd == STDERR_FILENO ? O_RDWR : O_RDONLY) < 0)
			return -1;
	return 0;
}

static void program_unknown_long(const char *word, const struct option *options)
{
	char name[64] = "";
	const char *near;

	memcpy(name, word + 2, strnlen(word + 2, sizeof(name) - 1));
	name[strcspn(name, "=")] = '\0';
	near = near_name(name, options, sizeof(*options));
	fprintf(stderr, "%s: unknown option --%s", program_name, name);
	if (near != NULL)
		fprintf(stderr, ", did you mean --%s?", near);
	fputc('\n', stderr);
}

void program_wrong_option(int result, const struct option *options, char *const *argv)
{
	const struct option *o = options;

	if (optopt == 0) {
		program_unknown_long(argv[optind - 1], options);
		return;
	}
	while (o->name != NULL && o->val != optopt)
		o++;
	if (o->name == NULL)
		fprintf(stderr, "%s: unknown option -%c\n", program_name, optopt);
	else
		fprintf(stderr, "%s: option -%c, --%s %s\n", program_name, optopt,
			o->name,
			result == ':' ? "wants an argument" : "takes no argument");
}

int program_flush(void)
{
	int failed = fflush(stdout) != 0;

	if (!failed && !ferror(stdout))
		return 0;
	fprintf(stderr, "%s: standard output: %s\n", program_name,
		failed ? strerror(errno) : "not all could be written");
	return -1;
}
