/*
 * upgrade.c: the check, and what is handed over.
 */
#include "upgrade.h"

#include "clock.h"
#include "handover.h"
#include "log.h"
#include "notify.h"
#include "reload.h"

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
#define GAP "udsd/-"     /* a number that is not handed over */
#define OUTPUT_MAX 16384 /* bytes of what the new binary says that are logged, */
#define LINES_MAX 100    /* and lines */

static void refuse(const char *error)
{
	log_event(LOG_ERR, "upgrade", "status", "refused", "error", error, NULL);
}

/* ---- The check ------------------------------------------------------------------------- */

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

static _Noreturn void probe(const struct supervisor *sup)
{
	char **argv = probe_arguments(sup->options->argv);
	sigset_t none;

	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (argv != NULL && dup2(sup->probe_output, STDOUT_FILENO) >= 0 &&
	    dup2(sup->probe_output, STDERR_FILENO) >= 0 &&
	    setrlimit(RLIMIT_NOFILE, &sup->shared.nofile) == 0)
		execv(argv[0], argv);
	dprintf(sup->probe_output, "%s: %s\n", sup->options->argv[0], strerror(errno));
	_exit(127);
}

void upgrade_begin(struct supervisor *sup, int64_t now)
{
	log_event(LOG_NOTICE, "upgrade", "status", "started", "binary",
		  sup->options->argv[0], NULL);
	sup->probe_output = memfd_create("udsd: upgrade", MFD_CLOEXEC);
	if (sup->probe_output >= 0)
		sup->probe = fork();
	if (sup->probe_output >= 0 && sup->probe == 0)
		probe(sup);
	if (sup->probe > 0) {
		sup->task = TASK_PROBE;
		sup->task_until = now + PROBE_TIME;
		return;
	}
	refuse(strerror(errno));
	upgrade_abandon(sup);
}

void upgrade_abandon(struct supervisor *sup)
{
	if (sup->probe > 0) {
		(void)kill(sup->probe, SIGKILL);
		refuse("udsd is stopping");
	}
	sup->probe = 0;
	if (sup->probe_output >= 0)
		close(sup->probe_output);
	sup->probe_output = -1;
}

void upgrade_tick(struct supervisor *sup, int64_t now)
{
	if (sup->task != TASK_PROBE || now < sup->task_until)
		return;
	(void)kill(sup->probe, SIGKILL);
	sup->task_until = CLOCK_NEVER;
	log_event(LOG_ERR, "upgrade", "error", "the check took longer than 10 s", NULL);
}

static void log_output(int fd)
{
	static char text[OUTPUT_MAX];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	int max = LINES_MAX;

	text[n > 0 ? n : 0] = '\0';
	for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL && max > 0;)
		if (*line != '\0' && max-- > 0)
			log_event(LOG_ERR, "upgrade", "error", line, NULL);
}

/* ---- The handing over ---------------------------------------------------------------------- */

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

static int pack_worker(struct parcel *p, const struct unit *u, char kind, int fd)
{
	bool is_handler = kind == 'h' || kind == 'f';
	struct handed_worker w = {.kind = kind,
				  .unit = u->number,
				  .pid = u->inetd == is_handler ? u->worker : 0,
				  .uid = u->inetd ? u->uid : u->service->identity.uid,
				  .gid = u->inetd ? u->gid : u->service->identity.gid,
				  .kill_grace = u->service->kill_grace,
				  .max_lifetime = u->service->max_lifetime};
	char name[HANDOVER_NAME];

	snprintf(w.service, sizeof(w.service), "%s", u->service->name);
	handover_worker_name(&w, name);
	return fd < 0 ? -1 : pack(p, fd, name);
}

static int pack_unit(struct parcel *p, const struct unit *u)
{
	char name[HANDOVER_NAME];

	if (u->listener.fd >= 0 && !u->retiring) {
		handover_listener_name(&u->listener, name);
		if (pack(p, u->listener.fd,
			 u->listener.foreign ? u->service->name : name) < 0)
			return -1;
	}
	handover_board_name(u->service->name, name);
	if (u->board != NULL && !u->former && pack(p, u->board->fd, name) < 0)
		return -1;
	/* once more, for those who hold slots of it, whatever their service is called then */
	if (u->board != NULL && (u->former || u->worker != 0 || u->orphans > 0) &&
	    pack_worker(p, u, 'b', fcntl(u->board->fd, F_DUPFD_CLOEXEC, 0)) < 0)
		return -1;
	if (u->stderr_out >= 0 && pack_worker(p, u, 's', u->stderr_out) < 0)
		return -1;
	if (u->worker != 0 && u->inetd)
		return pack_worker(p, u, u->former ? 'f' : 'h', pidfd_open(u->worker, 0));
	return u->worker != 0 ? pack_worker(p, u, 'w', u->channel) : 0;
}

static int pack_all(struct parcel *p, const struct supervisor *sup)
{
	char name[HANDOVER_NAME];
	unsigned number = 0;

	handover_pidfile_name(name);
	if (sup->pidfile >= 0 && pack(p, sup->pidfile, name) < 0)
		return -1;
	for (struct unit *u = sup->units; u != NULL; u = u->next)
		u->number = number++;
	for (const struct unit *u = sup->units; u != NULL; u = u->next)
		if (pack_unit(p, u) < 0)
			return -1;
	return 0;
}

/* Writes the names to a memfd, which stays open: as text of the environment a few thousand would be
 * too long for the kernel. 0, or -1 and errno. */
static int write_names(struct parcel *p)
{
	p->list = memfd_create("udsd: names", 0);
	if (p->list < 0 || pack(p, p->list, GAP) < 0)
		return -1;
	for (int fd = HANDOVER_FIRST; fd < p->count; fd++)
		if (dprintf(p->list, "%s:", p->names[fd] != NULL ? p->names[fd] : GAP) <
		    0)
			return -1;
	return 0;
}

/* Writes the environment. 0, or -1 and errno. */
static int address(struct parcel *p)
{
	char text[32];

	if (write_names(p) < 0)
		return -1;
	snprintf(text, sizeof(text), HANDOVER_LIST "%d", p->list);
	if (setenv("LISTEN_FDNAMES", text, 1) < 0)
		return -1;
	snprintf(text, sizeof(text), "%d", p->count - HANDOVER_FIRST);
	if (setenv("LISTEN_FDS", text, 1) < 0)
		return -1;
	snprintf(text, sizeof(text), "%d", getpid());
	return setenv("LISTEN_PID", text, 1);
}

/* Whether the descriptor was made for the handing over: a pidfd, a copy of a scoreboard's. */
static bool is_made(const char *name)
{
	struct handed_worker w;

	return handover_parse_worker(name, &w) == 0 && strchr("hfb", w.kind) != NULL;
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

static void execute(struct supervisor *sup)
{
	struct parcel parcel = {.list = -1};
	struct rlimit raised;
	int saved;

	notify_reloading();
	if (pack_all(&parcel, sup) == 0 && address(&parcel) == 0 &&
	    getrlimit(RLIMIT_NOFILE, &raised) == 0) {
		(void)setrlimit(RLIMIT_NOFILE, &sup->shared.nofile);
		execv(sup->options->argv[0], sup->options->argv);
		saved = errno;
		(void)setrlimit(RLIMIT_NOFILE, &raised);
		errno = saved;
	}
	refuse(strerror(errno));
	unpack(&parcel);
	notify_ready(supervisor_listening(sup), supervisor_config(sup)->count);
}

void upgrade_probed(struct supervisor *sup, int status, int64_t now)
{
	int output = sup->probe_output;

	sup->probe = 0;
	sup->probe_output = -1;
	if (sup->want_reload) { /* first; then it is checked again */
		close(output);
		sup->want_upgrade = true;
	} else if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		close(output);
		execute(sup);
	} else {
		log_output(output);
		close(output);
		refuse("the new binary does not accept the config");
	}
	reload_task_over(sup, now);
}
