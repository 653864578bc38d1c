/*
 * upgrade.c: has the new binary check the config, passes everything on and executes it.
 */
#include "upgrade/upgrade.h"

#include "common/clock.h"
#include "upgrade/listen_fds.h"
#include "common/log.h"
#include "service/reload.h"
#include "service/sdnotify.h"
#include "service/services.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROBE_TIME (10 * NSEC_PER_SEC)
#define GAP "udsd/-"     /* a number that is not passed */
#define OUTPUT_MAX 16384 /* bytes of what the new binary says that are logged, */
#define LINES_MAX 100    /* and lines */

static bool upgrade_wanted;
static pid_t probe_pid;       /* 0: none */
static int probe_output = -1; /* a memfd */
static int64_t probe_until = CLOCK_NEVER;

static void refuse_upgrade(const char *error)
{
	log_event(LOG_ERR, "upgrade", "status", "refused", "error", error, NULL);
}

void upgrade_request(void)
{
	upgrade_wanted = true;
}

bool upgrade_is_wanted(void)
{
	return upgrade_wanted;
}

bool upgrade_is_running(void)
{
	return probe_pid != 0;
}

/* ---- The check
 * ------------------------------------------------------------------------- */

/* The same arguments with -t. */
static char **probe_arguments(char **argv)
{
	static char test[] = "-t";
	size_t n = 0;
	char **with;

	while (argv[n] != NULL)
		n++;
	with = calloc(n + 2, sizeof(*with));
	if (with == NULL)
		return NULL;
	with[0] = argv[0];
	with[1] = test;
	memcpy(with + 2, argv + 1, n * sizeof(*argv));
	return with;
}

/* An empty parcel (below) says what the check is for: only faults of the config's own
 * text refuse. */
static int set_probe_environment(void)
{
	char text[32], pid[16];
	int list = memfd_create("udsd: names", 0);

	snprintf(text, sizeof(text), LISTEN_FDS_LIST "%d", LISTEN_FDS_FIRST);
	snprintf(pid, sizeof(pid), "%d", getpid());
	if (list < 0 || dup2(list, LISTEN_FDS_FIRST) < 0 ||
	    setenv("LISTEN_FDNAMES", text, 1) < 0 || setenv("LISTEN_FDS", "1", 1) < 0)
		return -1;
	return setenv("LISTEN_PID", pid, 1);
}

static _Noreturn void probe(void)
{
	char **argv = probe_arguments(services_origin.argv);
	sigset_t none;

	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (argv != NULL && dup2(probe_output, STDOUT_FILENO) >= 0 &&
	    dup2(probe_output, STDERR_FILENO) >= 0 && set_probe_environment() == 0 &&
	    setrlimit(RLIMIT_NOFILE, &instance_nofile) == 0)
		execv(argv[0], argv);
	dprintf(STDERR_FILENO, "%s: %s\n", services_origin.argv[0], strerror(errno));
	_exit(127);
}

static void forget_probe(void)
{
	probe_pid = 0;
	probe_until = CLOCK_NEVER;
	if (probe_output >= 0)
		close(probe_output);
	probe_output = -1;
}

void upgrade_begin(int64_t now)
{
	pid_t pid = -1;

	upgrade_wanted = false;
	log_event(LOG_NOTICE, "upgrade", "status", "started", "binary",
		  services_origin.argv[0], NULL);
	probe_output = memfd_create("udsd: upgrade", MFD_CLOEXEC);
	if (probe_output >= 0)
		pid = fork();
	if (pid == 0)
		probe();
	if (pid < 0) {
		refuse_upgrade(strerror(errno));
		forget_probe();
		return;
	}
	probe_pid = pid;
	probe_until = now + PROBE_TIME;
}

void upgrade_abandon(void)
{
	upgrade_wanted = false;
	if (probe_pid > 0) {
		(void)kill(probe_pid, SIGKILL);
		refuse_upgrade("udsd is stopping");
	}
	forget_probe();
}

int64_t upgrade_due(void)
{
	return probe_until;
}

void upgrade_tick(int64_t now)
{
	if (now < probe_until)
		return;
	(void)kill(probe_pid, SIGKILL);
	probe_until = CLOCK_NEVER;
	log_event(LOG_ERR, "upgrade", "error", "the check took longer than 10 s", NULL);
}

static void log_probe_output(int fd)
{
	static char text[OUTPUT_MAX];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	int max = LINES_MAX;

	text[n > 0 ? n : 0] = '\0';
	for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL && max > 0;)
		if (*line != '\0' && max-- > 0)
			log_event(LOG_ERR, "upgrade", "error", line, NULL);
}

/* ---- What is passed
 * --------------------------------------------------------------------- */

/* What will be LISTEN_FDNAMES: a name for each descriptor, or GAP. */
struct parcel {
	char **names;
	int count;
	int list; /* a memfd with the names; -1: none */
};

static int pack(struct parcel *p, int fd, const char *name)
{
	if (fd >= p->count || p->names == NULL) {
		char **more = reallocarray(p->names, (size_t)fd + 1, sizeof(*more));

		if (more == NULL)
			return -1;
		memset(more + p->count, 0, (size_t)(fd + 1 - p->count) * sizeof(*more));
		p->names = more;
		p->count = fd + 1;
	}
	if (p->names[fd] != NULL)
		return 0;
	p->names[fd] = strdup(name);
	return p->names[fd] == NULL ? -1 : fcntl(fd, F_SETFD, 0);
}

static int pack_worker(struct parcel *p, const struct instance *i, char kind, int fd)
{
	bool is_handler = kind == 'h' || kind == 'f';
	const struct identity *own = &i->service->identity;
	struct passed_worker w = {.kind = kind,
				  .instance = i->number,
				  .pid = i->wait_handler == is_handler ? i->worker : 0,
				  .uid = i->wait_handler ? i->uid : own->uid,
				  .gid = i->wait_handler ? i->gid : own->gid,
				  .kill_grace = i->service->kill_grace,
				  .max_lifetime = i->service->max_lifetime};
	char name[LISTEN_FDS_NAME];

	snprintf(w.service, sizeof(w.service), "%s", i->service->name);
	listen_fds_worker_name(&w, name);
	return fd < 0 ? -1 : pack(p, fd, name);
}

static int pack_listener(struct parcel *p, const struct instance *i)
{
	char name[LISTENER_NAME];

	if (i->listener.fd < 0 || instance_is_retiring(i))
		return 0;
	listener_name(&i->listener, name);
	return pack(p, i->listener.fd, i->listener.foreign ? i->service->name : name);
}

static int pack_board(struct parcel *p, const struct instance *i)
{
	char name[LISTEN_FDS_NAME];
	bool superseded = instance_is_superseded(i);

	if (i->board == NULL)
		return 0;
	listen_fds_board_name(i->service->name, name);
	if (!superseded && pack(p, i->board->fd, name) < 0)
		return -1;
	/* once more, for those that hold slots of it, whatever their service is called
	 * then */
	if (!superseded && i->worker == 0 && i->orphans == 0)
		return 0;
	return pack_worker(p, i, 'b', fcntl(i->board->fd, F_DUPFD_CLOEXEC, 0));
}

static int pack_instance(struct parcel *p, const struct instance *i)
{
	if (pack_listener(p, i) < 0 || pack_board(p, i) < 0)
		return -1;
	if (i->stderr_out >= 0 && pack_worker(p, i, 's', i->stderr_out) < 0)
		return -1;
	if (i->wait_handler)
		return pack_worker(p, i, instance_is_superseded(i) ? 'f' : 'h',
				   pidfd_open(i->worker, 0));
	return i->worker != 0 ? pack_worker(p, i, 'w', i->channel) : 0;
}

static int pack_all(struct parcel *p)
{
	char name[LISTEN_FDS_NAME];
	unsigned number = 0;

	listen_fds_pidfile_name(name);
	if (services_pidfile >= 0 && pack(p, services_pidfile, name) < 0)
		return -1;
	for (struct instance *i = services_first(); i != NULL; i = i->next)
		i->number = number++;
	for (const struct instance *i = services_first(); i != NULL; i = i->next)
		if (pack_instance(p, i) < 0)
			return -1;
	return 0;
}

/* Writes the names to a memfd, which stays open: as text of the environment a few
 * thousand would be too long for the kernel. 0, or -1 and errno. */
static int write_names(struct parcel *p)
{
	p->list = memfd_create("udsd: names", 0);
	if (p->list < 0 || pack(p, p->list, GAP) < 0)
		return -1;
	for (int fd = LISTEN_FDS_FIRST; fd < p->count; fd++)
		if (dprintf(p->list, "%s:", p->names[fd] != NULL ? p->names[fd] : GAP) <
		    0)
			return -1;
	return 0;
}

/* Writes the environment. 0, or -1 and errno. */
static int name_descriptors(struct parcel *p)
{
	char text[32];

	if (write_names(p) < 0)
		return -1;
	snprintf(text, sizeof(text), LISTEN_FDS_LIST "%d", p->list);
	if (setenv("LISTEN_FDNAMES", text, 1) < 0)
		return -1;
	snprintf(text, sizeof(text), "%d", p->count - LISTEN_FDS_FIRST);
	if (setenv("LISTEN_FDS", text, 1) < 0)
		return -1;
	snprintf(text, sizeof(text), "%d", getpid());
	return setenv("LISTEN_PID", text, 1);
}

/* Whether the descriptor was made to be passed: a pidfd, a copy of a scoreboard's. */
static bool is_made(const char *name)
{
	struct passed_worker w;

	return listen_fds_parse_worker(name, &w) == 0 && strchr("hfb", w.kind) != NULL;
}

/* All as it was: the execution has failed. */
static void unpack(struct parcel *p)
{
	for (int fd = 0; p->names != NULL && fd < p->count; fd++) {
		if (p->names[fd] != NULL && is_made(p->names[fd]))
			close(fd);
		else if (p->names[fd] != NULL)
			(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
		free(p->names[fd]);
	}
	free(p->names);
	if (p->list >= 0)
		close(p->list);
	unsetenv("LISTEN_FDNAMES");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_PID");
}

static void execute_new(void)
{
	struct parcel parcel = {.list = -1};
	struct rlimit raised;
	int saved;

	sdnotify_reloading();
	for (struct instance *i = services_first(); i != NULL; i = i->next)
		instance_count_unwritten(i);
	if (pack_all(&parcel) == 0 && name_descriptors(&parcel) == 0 &&
	    getrlimit(RLIMIT_NOFILE, &raised) == 0) {
		(void)setrlimit(RLIMIT_NOFILE, &instance_nofile);
		execv(services_origin.argv[0], services_origin.argv);
		saved = errno;
		(void)setrlimit(RLIMIT_NOFILE, &raised);
		errno = saved;
	}
	refuse_upgrade(strerror(errno));
	unpack(&parcel);
	sdnotify_ready();
}

bool upgrade_is(pid_t pid)
{
	return pid == probe_pid;
}

bool upgrade_exited(pid_t pid, int status, int64_t now)
{
	bool passed = WIFEXITED(status) && WEXITSTATUS(status) == 0;

	(void)now;
	if (pid != probe_pid)
		return false;
	if (!passed && !reload_is_wanted())
		log_probe_output(probe_output);
	forget_probe();
	if (reload_is_wanted()) /* first; then it is checked again */
		upgrade_wanted = true;
	else if (passed)
		execute_new();
	else
		refuse_upgrade("the new binary does not accept the config");
	return true;
}
