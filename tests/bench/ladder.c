/*
 * ladder.c: the bare loop of floor.c with udsd's own steps added one after the other, to see what
 * each costs. ladder.py measures and names them.
 *
 * usage: ladder STEPS SOCKET HANDLER    STEPS: how many of `enum step` are done
 */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum step { FLOOR, EVENTS, CLONE, PEER, ENVIRONMENT, GROUP, WATCHDOG, RECORDS };

#define VARIABLES 17
#define CHANGING 5 /* of them */
#define LOOK_AWAY_MS 20

static enum step steps;
static char *const *handler;
static char values[VARIABLES][64], *env[VARIABLES + 1];
static int listener, signals = -1, watchdog, records[2];
static char stack[65536] __attribute__((aligned(16)));

static int child(void *arg)
{
	const unsigned long long none = 0;
	const int *conn = arg;

	if (steps >= GROUP)
		setpgid(0, 0);
	dup2(*conn, 0);
	dup2(*conn, 1);
	if (steps >= EVENTS)
		syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof(none));
	execve(handler[0], handler, env);
	_exit(127);
}

static pid_t start(int *conn)
{
	pid_t pid;

	if (steps >= CLONE)
		return clone(child, stack + sizeof(stack),
			     CLONE_VM | CLONE_VFORK | SIGCHLD, conn);
	pid = vfork(); /* NOLINT: what it is compared with */
	if (pid == 0)
		child(conn);
	return pid;
}

static void set_watchdog(int seconds)
{
	const struct itimerspec when = {.it_value = {.tv_sec = seconds}};

	if (steps >= WATCHDOG)
		syscall(SYS_timer_settime, watchdog, 0, &when, NULL);
}

static void record(const char *verb, pid_t pid)
{
	char line[128];
	int n;

	if (steps < RECORDS)
		return;
	n = snprintf(
		line, sizeof(line),
		"6%s service=ladder conn=%d pid=%d peer-uid=0 peer-gid=0 peer-pid=1\n",
		verb, pid, pid);
	(void)!write(records[1], line, (size_t)n);
}

/* Whether the peer has gone already. */
static int gone(int conn)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	struct pollfd p = {.fd = conn};

	if (steps < PEER)
		return 0;
	(void)getsockopt(conn, SOL_SOCKET, SO_PEERCRED, &peer, &len);
	return poll(&p, 1, 0) > 0;
}

static void serve(void)
{
	struct sockaddr_un from;
	socklen_t len = sizeof(from);
	int conn = accept4(listener, steps >= PEER ? (struct sockaddr *)&from : NULL,
			   steps >= PEER ? &len : NULL, SOCK_CLOEXEC);
	pid_t pid;

	if (conn < 0 || gone(conn)) {
		close(conn);
		return;
	}
	for (int i = 0; steps >= ENVIRONMENT && i < CHANGING; i++)
		snprintf(values[i], sizeof(values[i]), "VARIABLE_%d=%d", i, conn);
	set_watchdog(10);
	pid = start(&conn);
	set_watchdog(0);
	close(conn);
	record("open", pid);
}

static void reap(int busy)
{
	struct signalfd_siginfo info;
	struct rusage usage;
	int status;
	pid_t pid;

	if (!busy)
		(void)!read(signals, &info, sizeof(info));
	while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0)
		record("close", pid);
}

static void wait_for_event(void)
{
	struct pollfd fds[] = {{.fd = signals, .events = POLLIN},
			       {.fd = listener, .events = POLLIN}};

	if (poll(fds, 2, -1) <= 0)
		return;
	if (fds[0].revents)
		reap(fds[1].revents != 0);
	if (fds[1].revents)
		serve();
}

/* The log process: reads what there is, then looks away. */
static void drain(void)
{
	struct pollfd p = {.fd = records[0], .events = POLLIN};
	static char lines[16384];
	ssize_t n;

	close(records[1]);
	do {
		(void)poll(&p, 1, -1);
		while ((n = read(records[0], lines, sizeof(lines))) > 0)
			;
		(void)poll(NULL, 0, LOOK_AWAY_MS);
	} while (n < 0);
	_exit(0);
}

static int prepare(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
	sigset_t set;

	for (int i = 0; i < (steps >= ENVIRONMENT ? VARIABLES : 1); i++) {
		snprintf(values[i], sizeof(values[i]), "VARIABLE_%d=/run/udsd/a/value",
			 i);
		env[i] = values[i];
	}
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	if (steps >= EVENTS) {
		sigprocmask(SIG_BLOCK, &set, NULL);
		signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	}
	if (pipe2(records, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	if (steps >= RECORDS && fork() == 0)
		drain();
	syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &watchdog);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	strncpy(sun.sun_path, path, sizeof(sun.sun_path) - 1);
	unlink(path);
	if (bind(listener, (struct sockaddr *)&sun, sizeof(sun)) < 0)
		return -1;
	return listen(listener, 4096);
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 64;
	steps = (enum step)atoi(argv[1]);
	handler = argv + 3;
	if (prepare(argv[2]) < 0)
		return 71;
	for (;;) {
		if (steps >= EVENTS)
			wait_for_event();
		else
			serve();
		while (steps < EVENTS && waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
}
