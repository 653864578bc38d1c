/*
 * udsctl: shows and steers a running supervisor.
 *
 * A table of commands; each asks the control socket (ask.c) and shows what comes back (display.c). A
 * command that the supervisor knows is sent as it was typed.
 */
#include "ask.h"
#include "defaults.h"
#include "display.h"
#include "top.h"

#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define ANSWER_SECONDS 15
#define RELOAD_SECONDS 90 /* it waits for another one, and each may take some seconds */
#define LOOK_AGAIN 100    /* milliseconds, while a service drains */

static const char usage_text[] = "usage: udsctl [-s SOCKET] [--json] COMMAND\n"
				 "       udsctl -h | -V\n";

static const char help_text[] =
	"\n"
	"Shows and steers a running udsd.\n"
	"\n"
	"  status [SERVICE]         what there is, and how it goes\n"
	"  list [SERVICE]           live connections\n"
	"  kill SERVICE CONN        end one: SIGTERM, after kill-grace SIGKILL\n"
	"  disable SERVICE          take its socket away; live connections go on\n"
	"  enable SERVICE           put it back; a reload or a restart does so, too\n"
	"  drain SERVICE            disable, then wait until no connection is live\n"
	"  reload                   put the changed config in force, or say what is wrong\n"
	"  metrics                  in Prometheus's text format\n"
	"  top                      a live table; q quits\n"
	"\n"
	"  -s, --socket=SOCKET      the control socket (%s)\n"
	"  -j, --json               status and list as JSON\n"
	"  -h, --help               this text\n"
	"  -V, --version            version\n"
	"\n"
	"Exit status: 0 done; 1 refused, or no such service or connection; 64 usage; 69 no\n"
	"supervisor is there; 78 reload: the config is refused.\n";

static char enabled_again[] = "somebody has enabled it again";

struct options {
	const char *socket;
	bool json;
};

static _Noreturn void usage(const char *problem, const char *what)
{
	fprintf(stderr, "udsctl: %s: %s\n%s", problem, what, usage_text);
	exit(EX_USAGE);
}

/* The exit status that an answer stands for; says what is wrong. */
static int conclude(const struct answer *a, const char *const *words)
{
	const char *text = a->text != NULL ? a->text : "no memory left";

	switch (a->verdict) {
	case ANSWER_OK:
		return fflush(stdout) == 0 ? 0 : 1;
	case ANSWER_REFUSED:
		fprintf(stderr, "%sudsctl: the config is refused, nothing has changed\n",
			text);
		return EX_CONFIG;
	case ANSWER_NOBODY:
		fprintf(stderr,
			"udsctl: %s\nudsctl: is udsd running? -s names its control-socket\n",
			text);
		return EX_UNAVAILABLE;
	default:
		fprintf(stderr, "udsctl:");
		for (; *words != NULL; words++)
			fprintf(stderr, " %s", *words);
		fprintf(stderr, ": %.*s\n", (int)strcspn(text, "\n"), text);
		return 1;
	}
}

/* Sends the words; shows the records of the answer. */
static int ask_and_show(const struct options *o, const char *const *words,
			void (*show)(const struct records *))
{
	struct records rs;
	struct answer a = ask_records(o->socket, ANSWER_SECONDS, words, &rs);
	int status;

	if (a.verdict == ANSWER_OK)
		show(&rs);
	free(rs.list);
	status = conclude(&a, words);
	answer_free(&a);
	return status;
}

static int do_status(const struct options *o, const char *const *words)
{
	if (o->json)
		return ask_and_show(o, words, display_json_status);
	return ask_and_show(o, words, words[1] != NULL ? display_detail : display_status);
}

static int do_list(const struct options *o, const char *const *words)
{
	return ask_and_show(o, words, o->json ? display_json_list : display_list);
}

static int do_order(const struct options *o, const char *const *words)
{
	struct answer a = ask(o->socket, ANSWER_SECONDS, words);
	int status = conclude(&a, words);

	answer_free(&a);
	return status;
}

static int do_metrics(const struct options *o, const char *const *words)
{
	const char *const status[] = {"status", NULL};

	(void)words;
	return ask_and_show(o, status, display_metrics);
}

static int do_top(const struct options *o, const char *const *words)
{
	const char *const status[] = {"status", NULL};
	struct answer a;
	int rc;

	if (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO))
		return ask_and_show(o, status, display_status);
	a = top(o->socket);
	rc = conclude(&a, words);
	answer_free(&a);
	return rc;
}

static int do_reload(const struct options *o, const char *const *words)
{
	struct answer a = ask(o->socket, RELOAD_SECONDS, words);
	int status;

	if (a.verdict == ANSWER_OK)
		fputs(a.text, stdout);
	status = conclude(&a, words);
	answer_free(&a);
	return status;
}

/* Whether the service drains yet; if not, *a tells why. *live: its connections. */
static bool is_draining(const struct options *o, const char *service, struct answer *a,
			double *live)
{
	const char *const words[] = {"status", service, NULL};
	struct records rs;
	bool draining = false;

	*a = ask_records(o->socket, ANSWER_SECONDS, words, &rs);
	for (size_t i = 0; i < rs.count; i++) {
		const char *state = record_get(&rs.list[i], "state");

		if (*state == '\0') /* not of the service itself */
			continue;
		draining = strcmp(state, "draining") == 0;
		*live = record_number(&rs.list[i], "live");
		if (!draining && strcmp(state, "disabled") != 0)
			*a = (struct answer){ANSWER_ERROR, enabled_again, a->all};
	}
	free(rs.list);
	return draining;
}

static int do_drain(const struct options *o, const char *const *words)
{
	const char *const disable[] = {"disable", words[1], NULL};
	int rc = do_order(o, disable);
	bool tell = isatty(STDERR_FILENO);
	struct answer a;
	double live;

	if (rc != 0)
		return rc;
	while (is_draining(o, words[1], &a, &live)) {
		if (tell)
			fprintf(stderr, "\r%s: %.0f live\033[K", words[1], live);
		answer_free(&a);
		(void)poll(NULL, 0, LOOK_AGAIN);
	}
	if (tell)
		fputs("\r\033[K", stderr);
	rc = conclude(&a, words);
	answer_free(&a);
	return rc;
}

static const struct {
	const char *name;
	int least, most; /* words behind it */
	int (*run)(const struct options *o, const char *const *words);
} commands[] = {
	{"status", 0, 1, do_status}, {"list", 0, 1, do_list},
	{"kill", 2, 2, do_order},    {"disable", 1, 1, do_order},
	{"enable", 1, 1, do_order},  {"drain", 1, 1, do_drain},
	{"reload", 0, 0, do_reload}, {"metrics", 0, 0, do_metrics},
	{"top", 0, 0, do_top},
};

static int run(const struct options *o, int count, char **words)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		if (strcmp(words[0], commands[i].name) != 0)
			continue;
		if (count - 1 < commands[i].least || count - 1 > commands[i].most)
			usage("too few or too many words behind", words[0]);
		for (int k = 1; k < count; k++)
			if (words[k][0] == '\0' || strpbrk(words[k], " \t\r\n") != NULL)
				usage("not a name", words[k]);
		if (o->json && i > 1)
			usage("--json does not go with", words[0]);
		return commands[i].run(o, (const char *const *)words);
	}
	usage("no such command", words[0]);
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {{"socket", required_argument, NULL, 's'},
					      {"json", no_argument, NULL, 'j'},
					      {"help", no_argument, NULL, 'h'},
					      {"version", no_argument, NULL, 'V'},
					      {0}};
	struct options o = {.socket = defaults_supervisor()};

	for (int c; (c = getopt_long(argc, argv, "s:jhV", longs, NULL)) != -1;) {
		if (c == 's') {
			o.socket = optarg;
		} else if (c == 'j') {
			o.json = true;
		} else if (c == 'h') {
			fputs(usage_text, stdout);
			printf(help_text, defaults_supervisor());
			return fflush(stdout) == 0 ? 0 : 1;
		} else if (c == 'V') {
			puts("udsctl " PACKAGE_VERSION);
			return fflush(stdout) == 0 ? 0 : 1;
		} else {
			fputs(usage_text, stderr);
			return EX_USAGE;
		}
	}
	if (optind == argc) {
		fputs(usage_text, stderr);
		return EX_USAGE;
	}
	return run(&o, argc - optind, argv + optind);
}
