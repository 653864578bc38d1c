/*
 * main.c: options, standard descriptors, -t, and becoming a daemon.
 */
#include "command.h"
#include "config.h"
#include "log.h"
#include "option.h"
#include "supervisor.h"
#include "title.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#ifndef BUILD_OPTIONS
# define BUILD_OPTIONS "not known"
#endif

static const char usage_text[] =
	"usage: udsd [-fst] [-c FILE] [-p FILE] [-l LEVEL]\n"
	"       udsd [-l LEVEL] [-o NAME=VALUE]... SOCKET HANDLER [ARG...]\n"
	"       udsd -h | -V\n";

static const char help_text[] =
	"\n"
	"Serves Unix domain sockets: starts a handler program for each connection, with the\n"
	"connection as its standard input and output. With SOCKET and HANDLER it serves one\n"
	"socket in the foreground, without a config file.\n"
	"\n"
	"  -c, --config=FILE        config file (" SYSCONFDIR "/udsd.conf)\n"
	"  -f, --foreground         do not become a daemon; log to standard error\n"
	"  -s, --syslog             with -f: log to syslog all the same\n"
	"  -t, --test               check the config, print a line for each service, exit\n"
	"  -p, --pid-file=FILE      instead of the config's\n"
	"  -l, --log-level=LEVEL    error, warning, notice, info or debug\n"
	"  -o, --option=NAME=VALUE  a service option, see udsd.conf(5); without a config file\n"
	"  -h, --help               this text\n"
	"  -V, --version            version and build options\n"
	"\n"
	"Exit status: 0 stopped; 64 usage; 69 a socket is served by somebody else, or udsd runs\n"
	"already; 71 the system refused something at the start; 78 the config is refused.\n"
	"\n"
	"Try: udsd /tmp/upper.sock /usr/bin/tr a-z A-Z\n"
	"and: udsc /tmp/upper.sock hello\n";

struct arguments {
	const char *config;
	const char *pid_file; /* NULL: the config's */
	int log_level;        /* -1: the config's */
	bool foreground, syslog, test;
	char **options; /* of -o */
	size_t count;
	char **command; /* SOCKET HANDLER [ARG...]; NULL: serve a config */
};

static _Noreturn void usage(const char *problem, const char *what)
{
	fprintf(stderr, "udsd: %s%s%s\n%s", problem, what != NULL ? ": " : "",
		what != NULL ? what : "", usage_text);
	exit(EX_USAGE);
}

static void add_option(struct arguments *a, char *text)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz-");

	if (len == 0 || text[len] != '=')
		usage("-o wants NAME=VALUE", text);
	a->options[a->count++] = text;
}

static void take_argument(struct arguments *a, int c)
{
	switch (c) {
	case 'c':
		a->config = optarg;
		break;
	case 'f':
		a->foreground = true;
		break;
	case 's':
		a->syslog = true;
		break;
	case 't':
		a->test = true;
		break;
	case 'p':
		if (*optarg != '\0' && option_path(optarg) != NULL)
			usage("-p wants an absolute path, or \"\" for none", optarg);
		a->pid_file = optarg;
		break;
	case 'l':
		a->log_level = log_level_parse(optarg);
		if (a->log_level < 0)
			usage("unknown log level", optarg);
		break;
	case 'o':
		add_option(a, optarg);
		break;
	case 'h':
		printf("%s%s", usage_text, help_text);
		exit(fflush(stdout) == 0 ? 0 : EX_OSERR);
	case 'V':
		printf("udsd " PACKAGE_VERSION "\nconfig: " SYSCONFDIR "/udsd.conf\n"
		       "run-time directory: " RUNSTATEDIR "/udsd\nbuild: " BUILD_OPTIONS
		       "\n");
		exit(fflush(stdout) == 0 ? 0 : EX_OSERR);
	default:
		fputs(usage_text, stderr);
		exit(EX_USAGE);
	}
}

static void parse_arguments(struct arguments *a, int argc, char **argv)
{
	static const struct option longs[] = {
		{"config", required_argument, NULL, 'c'},
		{"foreground", no_argument, NULL, 'f'},
		{"syslog", no_argument, NULL, 's'},
		{"test", no_argument, NULL, 't'},
		{"pid-file", required_argument, NULL, 'p'},
		{"log-level", required_argument, NULL, 'l'},
		{"option", required_argument, NULL, 'o'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{0},
	};
	int c;

	*a = (struct arguments){.log_level = -1,
				.options = calloc((size_t)argc, sizeof(char *))};
	if (a->options == NULL)
		exit(EX_OSERR);
	while ((c = getopt_long(argc, argv, "+c:fstp:l:o:hV", longs, NULL)) != -1)
		take_argument(a, c);
	if (optind == argc - 1)
		usage("a handler is missing after the socket", argv[optind]);
	if (optind < argc)
		a->command = argv + optind;
	if (a->command != NULL && (a->config != NULL || a->pid_file != NULL))
		usage("-c and -p do not go with a SOCKET", NULL);
	if (a->command == NULL && a->count > 0)
		usage("-o goes with SOCKET and HANDLER only", NULL);
	if (a->syslog && !a->foreground && a->command == NULL)
		usage("-s goes with -f", NULL);
	if (a->config == NULL)
		a->config = SYSCONFDIR "/udsd.conf";
}

/* Descriptors 0 to 2 are open, so that nothing of ours becomes one of them; others are closed. */
static void open_standard(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0 || close_range(STDERR_FILENO + 1, ~0U, 0) < 0)
		exit(EX_OSERR);
}

/* What is served never has our caller's standard input or output. */
static int leave_standard(bool keep_stderr)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (fd < 0 || dup2(fd, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0 ||
	    (!keep_stderr && dup2(fd, STDERR_FILENO) < 0))
		return -1;
	close(fd);
	return chdir("/");
}

static struct config *load(const struct arguments *a)
{
	struct faults faults = {0};
	struct config *c = NULL;
	char *text;

	if (a->command == NULL) {
		c = config_load(a->config, &faults);
	} else {
		text = command_config(a->options, a->count, a->command);
		if (text != NULL)
			c = config_parse(text, &faults);
	}
	if (faults.warnings != NULL)
		fprintf(stderr, "%s", faults.warnings);
	if (faults.text != NULL)
		fprintf(stderr, "%s", faults.text);
	if (c != NULL && a->log_level >= 0) {
		for (size_t i = 0; i < c->count; i++)
			if (c->services[i].log_level == c->log_level)
				c->services[i].log_level = a->log_level;
		c->log_level = a->log_level;
	}
	if (c != NULL && a->pid_file != NULL) {
		free(c->pid_file);
		c->pid_file = strdup(a->pid_file);
	}
	faults_free(&faults);
	return c;
}

static int print_services(const struct config *c)
{
	for (size_t i = 0; i < c->count; i++) {
		const struct service *s = &c->services[i];

		printf("service %s: socket %s, mode %04o, handler %s, user %s%s\n",
		       s->name, s->socket, s->socket_mode, s->handler[0],
		       s->account->name, s->enabled ? "" : ", disabled");
	}
	return fflush(stdout) == 0 ? 0 : EX_OSERR;
}

/* The parent of a daemon: returns what the daemon says of its start. */
static int wait_for_daemon(int fd, pid_t pid)
{
	char byte;
	int status;
	ssize_t n;

	do {
		n = read(fd, &byte, 1);
	} while (n < 0 && errno == EINTR);
	if (n == 1)
		return 0;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EX_OSERR;
}

/* In the child: the descriptor for the news that all is ready. Its parent does not return. */
static int become_daemon(void)
{
	int fd[2];
	pid_t pid;

	if (pipe2(fd, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
		fprintf(stderr, "udsd: %s\n", strerror(errno));
		exit(EX_OSERR);
	}
	if (pid > 0) {
		close(fd[1]);
		exit(wait_for_daemon(fd[0], pid));
	}
	close(fd[0]);
	(void)setsid();
	return fd[1];
}

int main(int argc, char **argv)
{
	struct supervisor_options options = {.ready_fd = -1};
	static struct arguments args;
	static struct config *config;
	int status;

	open_standard();
	if (title_init(argc, &argv) < 0)
		return EX_OSERR;
	parse_arguments(&args, argc, argv);
	config = load(&args);
	if (config == NULL)
		return EX_CONFIG;
	if (args.test)
		return print_services(config);
	args.foreground = args.foreground || args.command != NULL;
	options.to_syslog = !args.foreground || args.syslog;
	if (!args.foreground)
		options.ready_fd = become_daemon();
	title_set(NULL);
	if (leave_standard(true) < 0) {
		fprintf(stderr, "udsd: /dev/null: %s\n", strerror(errno));
		return EX_OSERR;
	}
	status = supervisor_run(config, &options);
	config_free(config);
	free(args.options);
	return status;
}
