/*
 * udsctl: shows and steers a running supervisor.
 *
 * A table of commands, from which the help follows. Each asks the control socket (ask.c) and shows
 * what comes back (display.c, metrics.c, top.c); a command that the supervisor knows is sent as it was
 * typed.
 */
#include "ctl/ask.h"
#include "common/defaults.h"
#include "ctl/display.h"
#include "common/protocol.h"
#include "ctl/top.h"

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

static const char options_text[] =
	"\n"
	"  -s, --socket=SOCKET      the control socket (%s)\n"
	"  -j, --json               status and list as JSON\n"
	"  -h, --help               this text\n"
	"  -V, --version            version\n"
	"\n"
	"Exit status: 0 done; 1 refused, or no such service or connection; 64 usage; 69 no\n"
	"supervisor is there; 78 reload: the config is refused.\n";

static char enabled_again[] = "another client has enabled it again";

struct call;

typedef void show_records(const struct records *records);

struct command {
	const char *name, *arguments; /* [those] in brackets may be left out */
	const char *help;
	int (*run)(const struct call *call);
	/* how the answer's records are shown: all, those of one service, as JSON; NULL: they are not */
	show_records *show, *one, *json;
	const char *request; /* NULL: it is sent as it was typed */
	int seconds;         /* that the answer may take; 0: ANSWER_SECONDS */
};

/* A command line. */
struct call {
	const struct command *command;
	const char *const *words; /* NULL at their end */
	const char *socket;
	bool json;
};

static _Noreturn void udsctl_usage(const char *problem, const char *what)
{
	fprintf(stderr, "udsctl: %s: %s\n%s", problem, what, usage_text);
	exit(EX_USAGE);
}

/* The exit status that an answer stands for; says what is wrong, and frees it. */
static int udsctl_conclude(struct answer *a, const char *const *words)
{
	const char *text = a->text != NULL ? a->text : "out of memory";
	int status = 1;

	if (a->verdict == VERDICT_OK) {
		status = fflush(stdout) == 0 ? 0 : 1;
	} else if (a->verdict == VERDICT_REFUSED) {
		fprintf(stderr, "%sudsctl: the config is refused, nothing has changed\n",
			text);
		status = EX_CONFIG;
	} else if (a->verdict == VERDICT_UNREACHABLE) {
		fprintf(stderr,
			"udsctl: %s\nudsctl: is udsd running? -s names its control-socket\n",
			text);
		status = EX_UNAVAILABLE;
	} else {
		fprintf(stderr, "udsctl:");
		for (; *words != NULL; words++)
			fprintf(stderr, " %s", *words);
		fprintf(stderr, ": %.*s\n", (int)strcspn(text, "\n"), text);
	}
	answer_free(a);
	return status;
}

/* Asks for records and shows them. */
static int udsctl_show(const struct call *call)
{
	const struct command *c = call->command;
	const char *const request[] = {c->request, NULL};
	show_records *show = call->words[1] != NULL ? c->one : c->show;
	struct records rs;
	struct answer a = ask_records(call->socket, ANSWER_SECONDS,
				      c->request != NULL ? request : call->words, &rs);

	if (a.verdict == VERDICT_OK)
		(call->json ? c->json : show)(&rs);
	free(rs.list);
	return udsctl_conclude(&a, call->words);
}

static int udsctl_order(const struct call *call)
{
	int seconds =
		call->command->seconds > 0 ? call->command->seconds : ANSWER_SECONDS;
	struct answer a = ask(call->socket, seconds, call->words);

	if (a.verdict == VERDICT_OK)
		fputs(a.text, stdout);
	return udsctl_conclude(&a, call->words);
}

static int udsctl_top(const struct call *call)
{
	struct answer a;

	if (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO))
		return udsctl_show(call);
	a = top(call->socket);
	return udsctl_conclude(&a, call->words);
}

/* Whether the service still drains; if not, *a says why. *live: its connections. */
static bool udsctl_is_draining(const struct call *call, struct answer *a, double *live)
{
	const char *const words[] = {"status", call->words[1], NULL};
	const struct record *r;
	struct records rs;
	bool draining = false;

	*a = ask_records(call->socket, ANSWER_SECONDS, words, &rs);
	r = record_next(&rs, NULL, RECORD_STATUS);
	if (r != NULL) {
		const char *state = record_get(r, KEY_STATE);

		draining = strcmp(state, STATE_DRAINING) == 0;
		*live = record_number(r, KEY_LIVE);
		if (!draining && strcmp(state, STATE_DISABLED) != 0)
			*a = (struct answer){VERDICT_ERROR, enabled_again, a->all};
	}
	free(rs.list);
	return draining;
}

static int udsctl_drain(const struct call *call)
{
	const char *const disable[] = {"disable", call->words[1], NULL};
	bool show = isatty(STDERR_FILENO);
	struct answer a = ask(call->socket, ANSWER_SECONDS, disable);
	double live;

	if (a.verdict != VERDICT_OK)
		return udsctl_conclude(&a, call->words);
	answer_free(&a);
	while (udsctl_is_draining(call, &a, &live)) {
		if (show)
			fprintf(stderr, "\r%s: %.0f live\033[K", call->words[1], live);
		answer_free(&a);
		(void)poll(NULL, 0, LOOK_AGAIN);
	}
	if (show)
		fputs("\r\033[K", stderr);
	return udsctl_conclude(&a, call->words);
}

static const struct command commands[] = {
	{"status", "[SERVICE]", "what there is, and how it goes", .run = udsctl_show,
	 .show = display_status, .one = display_detail, .json = display_json_status},
	{"list", "[SERVICE]", "live connections", .run = udsctl_show,
	 .show = display_list, .one = display_list, .json = display_json_list},
	{"kill", "SERVICE CONN", "end one: SIGTERM, after kill-grace SIGKILL",
	 .run = udsctl_order},
	{"disable", "SERVICE", "take its socket away; live connections go on",
	 .run = udsctl_order},
	{"enable", "SERVICE", "put it back; a reload or a restart does so, too",
	 .run = udsctl_order},
	{"drain", "SERVICE", "disable, then wait until no connection is live",
	 .run = udsctl_drain},
	{"reload", "", "put the changed config in force, or say what is wrong",
	 .run = udsctl_order, .seconds = RELOAD_SECONDS},
	{"metrics", "", "in Prometheus's text format", .run = udsctl_show,
	 .show = display_metrics, .request = "status"},
	{"top", "", "a live table; q quits", .run = udsctl_top, .show = display_status,
	 .request = "status"},
};

#define COMMANDS (sizeof(commands) / sizeof(*commands))

static int udsctl_help(void)
{
	printf("%s\nShows and steers a running udsd.\n\n", usage_text);
	for (const struct command *c = commands; c < commands + COMMANDS; c++)
		printf("  %s %-*s %s\n", c->name, 23 - (int)strlen(c->name), c->arguments,
		       c->help);
	printf(options_text, defaults_supervisor());
	return fflush(stdout) == 0 ? 0 : 1;
}

static const struct command *udsctl_find(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(name, commands[i].name) == 0)
			return &commands[i];
	udsctl_usage("no such command", name);
}

static int udsctl_run(struct call *call, int count)
{
	const char *const *words = call->words;

	call->command = udsctl_find(words[0]);
	if (!protocol_takes(call->command->arguments, count - 1))
		udsctl_usage("too few or too many words behind", words[0]);
	for (int k = 1; k < count; k++)
		if (words[k][0] == '\0' || strpbrk(words[k], " \t\r\n") != NULL)
			udsctl_usage("not a name", words[k]);
	if (call->json && call->command->json == NULL)
		udsctl_usage("--json does not go with", words[0]);
	return call->command->run(call);
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {{"socket", required_argument, NULL, 's'},
					      {"json", no_argument, NULL, 'j'},
					      {"help", no_argument, NULL, 'h'},
					      {"version", no_argument, NULL, 'V'},
					      {0}};
	struct call call = {.socket = defaults_supervisor()};
	int c;

	while ((c = getopt_long(argc, argv, "s:jhV", longs, NULL)) != -1) {
		if (c == 's')
			call.socket = optarg;
		else if (c == 'j')
			call.json = true;
		else if (c == 'h')
			return udsctl_help();
		else if (c == 'V')
			return puts("udsctl " PACKAGE_VERSION) < 0 || fflush(stdout) != 0;
		else
			break;
	}
	if (c != -1 || optind == argc) {
		fputs(usage_text, stderr);
		return EX_USAGE;
	}
	call.words = (const char *const *)argv + optind;
	return udsctl_run(&call, argc - optind);
}
