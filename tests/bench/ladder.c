/*
 * ladder.c: the bare loop of floor.c with udsd's own steps added one after the other, to see what
 * each costs. ladder.py measures and names them.
 *
 * usage: ladder STEPS SOCKET HANDLER    STEPS: how many of `enum step` are done
 */
#include "worker/rawcall.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum step { FLOOR, EVENTS, CLONE, MANY, PEER, ENVIRONMENT, GROUP, RECORDS };

#define VARIABLES 17
#define CHANGING 5 /* of them */
#define LOOK_AWAY_MS 20
#define HANDS 8 /* starts at once */

/* A client whose handler is being started. */
struct hand {
	int conn;
	pid_t pid;
	int running; /* a futex, cleared by the kernel when the child executes */
	char values[VARIABLES][64], *env[VARIABLES + 1];
	char stack[16384] __attribute__((aligned(16)));
};

static enum step steps;
static char *const *handler;
static struct hand hands[HANDS];
static int listener, signals = -1, records[2];

/* Only raw calls: the parent may run meanwhile. */
static int child(void *arg)
{
	const unsigned long long none = 0;
	const struct hand *hand = arg;

	if (steps >= GROUP)
		RAW(setpgid, 0, 0, 0, 0);
	RAW(dup3, hand->conn, 0, 0, 0);
	RAW(dup3, hand->conn, 1, 0, 0);
	if (steps >= EVENTS)
		RAW(rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof(none));
	RAW(execve, handler[0], handler, hand->env, 0);
	_exit(127);
}

static void start(struct hand *hand)
{
	int flags = CLONE_VM | SIGCHLD;

	if (steps < CLONE) {
		hand->pid = vfork(); /* NOLINT: what it is compared with */
		if (hand->pid == 0)
			child(hand);
		return;
	}
	flags |= steps >= MANY ? CLONE_CHILD_CLEARTID : CLONE_VFORK;
	hand->running = steps >= MANY;
	hand->pid = clone(child, hand->stack + sizeof(hand->stack), flags, hand, NULL,
			  NULL, &hand->running);
	if (hand->pid < 0)
		hand->running = 0;
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

static bool is_running(const struct hand *hand)
{
	return __atomic_load_n(&hand->running, __ATOMIC_ACQUIRE) != 0;
}

/* Those whose handlers run are ours no more. */
static void settle(void)
{
	for (struct hand *hand = hands; hand < hands + HANDS; hand++) {
		if (hand->conn < 0 || is_running(hand))
			continue;
		close(hand->conn);
		hand->conn = -1;
		record("open", hand->pid);
	}
}

static void await(struct hand *hand)
{
	while (is_running(hand))
		syscall(SYS_futex, &hand->running, FUTEX_WAIT, 1, NULL);
}

static struct hand *free_hand(void)
{
	for (struct hand *hand = hands; hand < hands + HANDS; hand++)
		if (hand->conn < 0)
			return hand;
	await(hands);
	settle();
	return hands;
}

/* Who the peer is, and whether it has disconnected already; whether more clients wait. */
static bool has_disconnected(int conn, bool *pending)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	struct pollfd fds[] = {{.fd = listener, .events = POLLIN}, {.fd = conn}};

	*pending = false;
	if (steps < MANY)
		return false;
	if (steps >= PEER)
		(void)getsockopt(conn, SOL_SOCKET, SO_PEERCRED, &peer, &len);
	(void)poll(fds, steps >= PEER ? 2 : 1, 0);
	*pending = fds[0].revents != 0;
	return fds[1].revents != 0;
}

/* Serves one client; whether more wait. */
static bool serve(void)
{
	struct hand *hand = free_hand();
	struct sockaddr_un from;
	socklen_t len = sizeof(from);
	bool pending;

	hand->conn = accept4(listener, steps >= PEER ? (struct sockaddr *)&from : NULL,
			     steps >= PEER ? &len : NULL, SOCK_CLOEXEC);
	if (hand->conn < 0)
		return false;
	if (has_disconnected(hand->conn, &pending)) {
		close(hand->conn);
		hand->conn = -1;
		return pending;
	}
	for (int i = 0; steps >= ENVIRONMENT && i < CHANGING; i++)
		snprintf(hand->values[i], sizeof(hand->values[i]), "VARIABLE_%d=%d", i,
			 hand->conn);
	start(hand);
	if (!pending)
		await(hand);
	settle();
	return pending;
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
	for (int i = 0; i < HANDS && fds[1].revents != 0 && serve(); i++)
		;
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

static void prepare_hand(struct hand *hand)
{
	hand->conn = -1;
	for (int i = 0; i < (steps >= ENVIRONMENT ? VARIABLES : 1); i++) {
		snprintf(hand->values[i], sizeof(hand->values[i]),
			 "VARIABLE_%d=/run/udsd/a/value", i);
		hand->env[i] = hand->values[i];
	}
}

static int prepare(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	sigset_t set;

	for (int i = 0; i < HANDS; i++)
		prepare_hand(&hands[i]);
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
