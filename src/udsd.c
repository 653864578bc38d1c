/*
 * udsd.c: options, standard descriptors, -t, and becoming a daemon.
 */
#include "config/cmdpath.h"
#include "common/defaults.h"
#include "common/failure.h"
#include "upgrade/listen_fds.h"
#include "config/loader.h"
#include "common/log.h"
#include "common/program.h"
#include "config/value.h"
#include "supervisor/report.h"
#include "supervisor/supervisor.h"
#include "common/title.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

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
	"  -c, --config=FILE        config file (%s)\n"
	"  -f, --foreground         do not become a daemon; log to standard error\n"
	"  -s, --syslog             with -f: log to syslog all the same\n"
	"  -t, --test               check the config, print a line for each service, exit\n"
	"  -p, --pid-file=FILE      instead of the config's\n"
	"  -l, --log-level=LEVEL    error, warning, notice, info or debug\n"
	"  -o, --option=NAME=VALUE  a service option, see udsd.conf(5); without a config file\n"
	"  -h, --help               this text\n"
	"  -V, --version            version and build options\n"
	"\n"
	"Exit status: 0 stopped; 64 usage; 69 udsd runs already, or another process serves\n"
	"SOCKET; 71 the system refused something at the start; 78 the config is refused.\n"
	"\n"
	"Try: udsd /tmp/upper.sock tr a-z A-Z\n"
	"and: udsc /tmp/upper.sock hello\n";

struct arguments {
	struct load_source source;
	bool foreground, syslog, test;
};

static _Noreturn void usage(const char *problem, const char *what)
{
	if (problem != NULL)
		fprintf(stderr, "udsd: %s%s%s\n", problem, what != NULL ? ": " : "",
			what != NULL ? what : "");
	fputs(usage_text, stderr);
	exit(EX_USAGE);
}

/* The system has refused something: says so, and is the exit status. */
static int no_start(const char *what)
{
	fprintf(stderr, "udsd: %s: %s\n", what, strerror(errno));
	return EX_OSERR;
}

static void add_option(struct arguments *a, char *text)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz-");

	if (len == 0 || text[len] != '=')
		usage("-o wants NAME=VALUE", text);
	a->source.options[a->source.count++] = text;
}

static void take_argument(struct arguments *a, int c)
{
	switch (c) {
	case 'c':
		a->source.path = optarg;
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
		if (*optarg != '\0' && value_path(optarg) != NULL)
			usage("-p wants an absolute path, or \"\" for none", optarg);
		a->source.pid_file = optarg;
		break;
	case 'l':
		a->source.log_level = log_level_parse(optarg);
		if (a->source.log_level < 0)
			usage("-l wants error, warning, notice, info or debug", optarg);
		break;
	case 'o':
		add_option(a, optarg);
		break;
	case 'h':
		fputs(usage_text, stdout);
		printf(help_text, defaults_config());
		exit(program_flush() == 0 ? 0 : EX_OSERR);
	case 'V':
		printf("udsd " PACKAGE_VERSION "\nconfig: %s\nrun-time directory: %s\n"
		       "build: " BUILD_OPTIONS "\n",
		       defaults_config(), defaults_directory());
		exit(program_flush() == 0 ? 0 : EX_OSERR);
	}
}

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

static void parse_arguments(struct arguments *a, int argc, char **argv)
{
	int c;

	*a = (struct arguments){.source = {.log_level = -1}};
	a->source.options = calloc((size_t)argc, sizeof(char *));
	if (a->source.options == NULL)
		exit(no_start("arguments"));
	opterr = 0;
	while ((c = getopt_long(argc, argv, "+:c:fstp:l:o:hV", longs, NULL)) != -1) {
		if (c == '?' || c == ':') {
			program_wrong_option(c, longs, argv);
			usage(NULL, NULL);
		}
		take_argument(a, c);
	}
	if (optind == argc - 1 && strpbrk(argv[optind], "/@") == NULL)
		usage("one word is neither SOCKET nor HANDLER, and udsctl steers a "
		      "running udsd",
		      argv[optind]);
	if (optind == argc - 1)
		usage("a handler is missing after the socket", argv[optind]);
	if (optind < argc)
		a->source.command = argv + optind;
	if (a->source.command != NULL &&
	    (a->source.path != NULL || a->source.pid_file != NULL))
		usage("-c and -p do not go with a SOCKET", NULL);
	if (a->source.command == NULL && a->source.count > 0)
		usage("-o goes with SOCKET and HANDLER only", NULL);
	if (a->syslog && !a->foreground && a->source.command == NULL)
		usage("-s goes with -f", NULL);
	if (a->source.path == NULL)
		a->source.path = defaults_config();
	if (*a->source.path == '\0' && a->source.command == NULL)
		usage("no config: -c names it, or HOME is to be set", NULL);
}

/* Descriptors 0 to 2 are open, so that nothing of ours becomes one of them; others are
 * closed, unless they were passed to us. */
static void open_standard(void)
{
	int first = listen_fds_open();

	if (program_begin("udsd") < 0 || close_range((unsigned)first, ~0U, 0) < 0)
		exit(no_start("descriptors"));
}

/* What is served never has our caller's standard input or output. */
static struct failure leave_standard(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return failure("open /dev/null");
	if (dup2(fd, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0)
		return failure("replace standard input and output");
	close(fd);
	return chdir("/") < 0 ? failure("enter /") : SUCCESS;
}

static pid_t wait_for(pid_t pid, int *status)
{
	pid_t ended;

	while ((ended = waitpid(pid, status, 0)) < 0 && errno == EINTR)
		;
	return ended;
}

/* The exit status of what is refused: 78 is for what does not pass by itself. */
static int refusal_status(const struct findings *found)
{
	if (found->lasting > 0)
		return EX_CONFIG;
	return found->errors > found->problems ? EX_OSERR : EX_UNAVAILABLE;
}

/* Of a load that has failed: only a config that was read is to blame. */
static int load_status(const struct loader *loader, int status)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == ARENA_FULL)
		return EX_CONFIG;
	return *loader->error != '\0' ? EX_OSERR
				      : refusal_status(loader_findings(loader));
}

/* Services that cannot run refuse a test, and a command, of which there is only one. Else
 * they are for the supervisor to try again. 0, or an exit status. */
static int check_findings(const struct findings *found, bool strict)
{
	bool refused = strict && found->problems > 0;

	report_findings(found, refused);
	return refused ? refusal_status(found) : 0;
}

/* Loads in a process of its own, as a reload does. 0, or an exit status: the reason
 * was reported. */
static int load(const struct load_source *source, bool strict, struct loaded **loaded)
{
	struct loader loader;
	int status;

	if (loader_start(&loader, source) < 0 || wait_for(loader.pid, &status) < 0) {
		loader_close(&loader);
		return no_start("load the config");
	}
	*loaded = loader_take(&loader, status);
	if (*loaded != NULL) {
		status = check_findings(loaded_findings(*loaded), strict);
	} else {
		report_findings(loader_findings(&loader), true);
		status = load_status(&loader, status);
	}
	if (*loader.error != '\0')
		fprintf(stderr, "udsd: %s\n", loader.error);
	loader_close(&loader);
	if (status != 0)
		loaded_release(*loaded);
	return status;
}

/* -t; asked by an upgrade (which passes descriptors), services that cannot run do not
 * refuse it. */
static int test(const struct load_source *source)
{
	struct loaded *loaded;
	int status = load(source, !listen_fds_is_upgrade(), &loaded);

	if (status != 0)
		return status;
	for (size_t i = 0; i < loaded->config->count; i++)
		if (service_can_run(&loaded->config->services[i]))
			report_service(&loaded->config->services[i]);
	if (program_flush() == 0)
		report_verdict(loaded->config->count, loaded_findings(loaded)->warnings);
	else
		status = EX_OSERR;
	loaded_release(loaded);
	return status;
}

/* The parent of a daemon: returns what the daemon says of its start. */
static int wait_for_daemon(int fd, pid_t pid)
{
	char byte;
	int status;
	ssize_t n;

	while ((n = read(fd, &byte, 1)) < 0 && errno == EINTR)
		;
	if (n == 1)
		return 0;
	if (n < 0)
		(void)kill(pid, SIGTERM); /* it would serve, and this start fail */
	if (wait_for(pid, &status) < 0 || n < 0)
		return no_start("wait for the daemon");
	return WIFEXITED(status) ? WEXITSTATUS(status) : EX_OSERR;
}

/* In the child: the descriptor for the news that all is ready. Its parent does not
 * return. */
static int become_daemon(void)
{
	int fd[2];
	pid_t pid;

	if (pipe2(fd, O_CLOEXEC) < 0 || (pid = fork()) < 0)
		exit(no_start("become a daemon"));
	if (pid > 0) {
		close(fd[1]);
		_exit(wait_for_daemon(fd[0],
				      pid)); /* what is in memory is the daemon's */
	}
	close(fd[0]);
	(void)setsid();
	return fd[1];
}

/* The supervisor leaves this directory, and reads all of it again at a reload. */
static void make_absolute(struct load_source *s)
{
	s->path = cmdpath_absolute((char *)(uintptr_t)s->path);
	if (s->command == NULL || cmdpath_resolve(s->command) == 0)
		return;
	fprintf(stderr, "udsd: handler %s: %s\n", s->command[1],
		errno == ENOENT ? "not found in PATH" : strerror(errno));
	exit(EX_CONFIG);
}

/* How to execute the binary that is installed at our place in our stead: the same
 * arguments, but this process is a daemon already, and in another directory. */
static char **make_argv(const struct arguments *a, int argc)
{
	static char level_names[][8] = {"error", "warning", "notice", "info", "debug"};
	static char binary[PATH_MAX];
	const struct load_source *s = &a->source;
	char **argv = calloc((size_t)argc + s->count + 12, sizeof(*argv));
	ssize_t len = readlink("/proc/self/exe", binary, sizeof(binary) - 1);
	size_t n = 0;

	if (argv == NULL || len <= 0) {
		free(argv);
		return NULL;
	}
	argv[n++] = binary;
	argv[n++] = (a->foreground || s->command != NULL) && !a->syslog ? "-f" : "-fs";
	if (s->log_level >= 0) {
		argv[n++] = "-l";
		argv[n++] = level_names[s->log_level - LOG_ERR];
	}
	if (s->pid_file != NULL) {
		argv[n++] = "-p";
		argv[n++] = (char *)(uintptr_t)s->pid_file;
	}
	if (s->command == NULL) {
		argv[n++] = "-c";
		argv[n++] = (char *)(uintptr_t)s->path;
		return argv;
	}
	for (size_t i = 0; i < s->count; i++) {
		argv[n++] = "-o";
		argv[n++] = s->options[i];
	}
	for (char **word = s->command; *word != NULL; word++)
		argv[n++] = *word;
	return argv;
}

/* The supervisor in this process, to its end. */
static int serve(struct loaded *loaded, const struct arguments *args, int argc)
{
	struct supervisor_options options = {
		.origin = {&args->source, make_argv(args, argc)},
		.to_syslog = !args->foreground || args->syslog,
		.ready_fd = -1,
	};
	int status = EX_OSERR;
	struct failure f;

	if (options.origin.argv == NULL)
		return no_start("/proc/self/exe");
	if (!args->foreground)
		options.ready_fd = become_daemon();
	title_set(NULL);
	f = leave_standard();
	errno = f.error;
	if (failed(f))
		(void)no_start(f.operation);
	else
		status = supervisor_run(loaded, &options);
	free(options.origin.argv);
	return status;
}

int main(int argc, char **argv)
{
	static struct arguments args;
	struct loaded *loaded = NULL;
	int status;

	open_standard();
	(void)signal(SIGCHLD, SIG_DFL); /* ignored, it would hide exits */
	if (title_init(argc, &argv) < 0)
		return no_start("arguments");
	parse_arguments(&args, argc, argv);
	make_absolute(&args.source);
	args.source.test = args.test && !listen_fds_is_upgrade();
	if (args.test)
		return test(&args.source);
	status = load(&args.source,
		      args.source.command != NULL && !listen_fds_is_upgrade(), &loaded);
	if (status != 0)
		return status;
	args.foreground = args.foreground || args.source.command != NULL;
	status = serve(loaded, &args, argc);
	free(args.source.options);
	return status;
}
