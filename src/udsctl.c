/*
 * udsctl: shows and steers a running supervisor.
 *
 * A table of commands, from which the help follows. Each asks the control socket (ask.c)
 * and shows what comes back (display.c, metrics.c, top.c); a command that the supervisor
 * knows is sent as it was typed.
 */
#include "ctl/ask.h"
#include "common/defaults.h"
#include "ctl/display.h"
#include "common/near.h"
#include "common/program.h"
#include "common/protocol.h"
#include "ctl/top.h"
#include "common/unixsock.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define ANSWER_SECONDS 15
#define RELOAD_SECONDS 90 /* it waits for another one, and each may take some seconds */
#define LOOK_AGAIN 100    /* milliseconds, while a service drains */

static const char usage_text[] =
	"usage: udsctl [-s SOCKET] [--json] COMMAND [SERVICE [CONN]]\n"
	"       udsctl help [COMMAND] | -h | -V\n";

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
	/* how the answer's records are shown: all, those of one service, as JSON; NULL:
	 * they are not */
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

/* ---- What is wrong
 * ----------------------------------------------------------------------- */

static void udsctl_list_commands(FILE *out);

/* A command line that makes no sense: why, and the usage of its command (NULL: it has
 * none). */
static _Noreturn void udsctl_usage(const struct command *c, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void udsctl_print_usage(FILE *out, const struct command *c)
{
	fprintf(out, "usage: udsctl [-s SOCKET]%s %s%s%s\n",
		c->json != NULL ? " [--json]" : "", c->name,
		*c->arguments != '\0' ? " " : "", c->arguments);
	fprintf(out, "       %s\n", c->help);
}

static _Noreturn void udsctl_usage(const struct command *c, const char *format, ...)
{
	va_list args;

	if (format != NULL) {
		fputs("udsctl: ", stderr);
		va_start(args, format);
		vfprintf(stderr, format, args);
		va_end(args);
		fputc('\n', stderr);
	}
	if (c != NULL) {
		udsctl_print_usage(stderr, c);
	} else {
		fputs(usage_text, stderr);
		udsctl_list_commands(stderr);
	}
	exit(EX_USAGE);
}

/* No supervisor, at a socket that the user has named or not. */
static int udsctl_unreachable(const char *text)
{
	const char *own = defaults_control_socket();

	fprintf(stderr,
		"udsctl: %s\n"
		"udsctl: is udsd running? `systemctl%s start udsd` or `udsd` starts it; -s names its "
		"control-socket, if it is another",
		text, geteuid() != 0 ? " --user" : "");
	if (*own != '\0' && geteuid() != 0 && access(own, F_OK) < 0)
		fprintf(stderr, ", yours would be %s", own);
	fputc('\n', stderr);
	return EX_UNAVAILABLE;
}

static int udsctl_error(const char *text, const char *const *words)
{
	static const char denied[] = "control-allow ";

	fprintf(stderr, "udsctl:");
	for (; *words != NULL; words++)
		fprintf(stderr, " %s", *words);
	fprintf(stderr, ": %.*s\n", (int)strcspn(text, "\n"), text);
	if (strncmp(text, denied, strlen(denied)) == 0)
		fprintf(stderr,
			"udsctl: %sa rule such as \"uid:%u\" in control-allow would do, "
			"see udsd.conf(5)\n",
			geteuid() != 0 ? "sudo, or " : "", geteuid());
	return 1;
}

/* The exit status that an answer stands for; says what is wrong, and frees it. */
static int udsctl_conclude(struct answer *a, const char *const *words)
{
	const char *text = a->text != NULL ? a->text : "out of memory";
	int status;

	if (a->verdict == VERDICT_OK) {
		status = program_flush() == 0 ? 0 : 1;
	} else if (a->verdict == VERDICT_REFUSED) {
		fprintf(stderr, "%sudsctl: the config is refused, nothing has changed\n",
			text);
		status = EX_CONFIG;
	} else if (a->verdict == VERDICT_UNREACHABLE) {
		status = udsctl_unreachable(text);
	} else {
		status = udsctl_error(text, words);
	}
	answer_free(a);
	return status;
}

/* ---- Commands
 * ------------------------------------------------------------------------------ */

/* A supervisor that is stopping says so in its record. */
static void udsctl_tell_stopping(const struct records *rs)
{
	const struct record *udsd = record_next(rs, NULL, RECORD_UDSD);
	const char *stopping = udsd != NULL ? record_get(udsd, KEY_STOPPING) : "";

	if (*stopping != '\0')
		fprintf(stderr, "udsctl: %s\n", stopping);
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

	if (a.verdict == VERDICT_OK) {
		(call->json ? c->json : show)(&rs);
		udsctl_tell_stopping(&rs);
	}
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

		*live = record_number(r, KEY_LIVE);
		draining = strcmp(state, STATE_DRAINING) == 0 ||
			   (strcmp(state, STATE_STOPPING) == 0 && *live > 0);
		if (!draining && strcmp(state, STATE_DISABLED) != 0 &&
		    strcmp(state, STATE_STOPPING) != 0)
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

static int udsctl_help(const struct call *call);

static const struct command commands[] = {
	{"status", "[SERVICE]", "services: state, connections, counters",
	 .run = udsctl_show, .show = display_status, .one = display_detail,
	 .json = display_json_status},
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
	{"help", "[COMMAND]", "this text, or the usage of one", .run = udsctl_help},
	{0},
};

/* ---- Command lines
 * ------------------------------------------------------------------------- */

static void udsctl_list_commands(FILE *out)
{
	fputc('\n', out);
	for (const struct command *c = commands; c->name != NULL; c++)
		fprintf(out, "  %s %-*s %s\n", c->name, 23 - (int)strlen(c->name),
			c->arguments, c->help);
}

static const struct command *udsctl_find(const char *name)
{
	for (const struct command *c = commands; c->name != NULL; c++)
		if (strcmp(name, c->name) == 0)
			return c;
	udsctl_usage(NULL, "no such command: %s%s", name,
		     near_hint(near_name(name, commands, sizeof(*commands))));
}

static int udsctl_help(const struct call *call)
{
	const struct command *c = call->command;

	if (c != NULL && c->run == udsctl_help)
		c = call->words[1] != NULL ? udsctl_find(call->words[1]) : NULL;
	if (c != NULL) {
		udsctl_print_usage(stdout, c);
	} else {
		printf("%s\nShows and steers a running udsd.\n", usage_text);
		udsctl_list_commands(stdout);
		printf(options_text, defaults_supervisor());
	}
	return program_flush() == 0 ? 0 : 1;
}

static void udsctl_check_words(const struct command *c, const char *const *words)
{
	for (; *words != NULL; words++)
		if (**words == '\0' || strpbrk(*words, " \t\r\n") != NULL)
			udsctl_usage(c, "%s: not a name: \"%s\"", c->name, *words);
}

static int udsctl_run(struct call *call, int count)
{
	const struct command *c = call->command;

	if (!protocol_takes(c->arguments, count - 1))
		udsctl_usage(c, "%s: too %s words", c->name,
			     protocol_takes(c->arguments, count) ||
					     protocol_takes(c->arguments, count + 1)
				     ? "few"
				     : "many");
	udsctl_check_words(c, call->words + 1);
	if (call->json && c->json == NULL)
		udsctl_usage(c, "%s: --json goes with status and list only", c->name);
	return c->run(call);
}

static void udsctl_set_socket(struct call *call, const char *name)
{
	struct sockaddr_un address;

	if (unixsock_address(name, &address) == 0)
		udsctl_usage(NULL, "-s wants a path or @NAME of 1 to %zu bytes: \"%s\"",
			     sizeof(address.sun_path) - 1, name);
	call->socket = name;
}

/* Whether help is wanted. */
static bool udsctl_options(struct call *call, int argc, char **argv)
{
	static const struct option longs[] = {{"socket", required_argument, NULL, 's'},
					      {"json", no_argument, NULL, 'j'},
					      {"help", no_argument, NULL, 'h'},
					      {"version", no_argument, NULL, 'V'},
					      {0}};
	bool help = false;
	int o;

	opterr = 0;
	while ((o = getopt_long(argc, argv, ":s:jhV", longs, NULL)) != -1) {
		if (o == 's') {
			udsctl_set_socket(call, optarg);
		} else if (o == 'j') {
			call->json = true;
		} else if (o == 'h') {
			help = true;
		} else if (o == 'V') {
			puts("udsctl " PACKAGE_VERSION);
			exit(program_flush() == 0 ? 0 : 1);
		} else {
			program_wrong_option(o, longs, argv);
			udsctl_usage(NULL, NULL);
		}
	}
	return help;
}

int main(int argc, char **argv)
{
	struct call call = {.socket = defaults_supervisor()};
	bool help;

	(void)program_begin("udsctl");
	help = udsctl_options(&call, argc, argv);
	call.words = (const char *const *)argv + optind;
	if (optind < argc)
		call.command = udsctl_find(argv[optind]);
	if (help)
		return udsctl_help(&call);
	if (call.command == NULL)
		udsctl_usage(NULL, "a command is missing");
	return udsctl_run(&call, argc - optind);
}
