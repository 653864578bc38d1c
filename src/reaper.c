/*
 * reaper.c: the end of connections: children that ended, and those whose time is up.
 *
 * While there are few children a worker waits for any. The more there are the more that costs, so
 * then it waits for the child that SIGCHLD names and, since a SIGCHLD may have been merged with
 * another, for those that began last: who ends soon is among them. It looks for any other only some
 * time later.
 */
#include "reaper.h"

#include "clock.h"
#include "launch.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define SWEEP_DELAY (250 * NSEC_PER_MSEC)
#define FEW 64    /* so many children are looked through at once */
#define RECENT 16 /* of more */

static void bury(struct worker *w, const struct dead *d)
{
	uint32_t conn = connections_find(&w->table, d->pid);
	struct slot *slot;

	if (conn == 0 || !launch_was_handler(w, conn))
		return;
	slot = connections_slot(&w->table, conn);
	if (w->relay != NULL)
		stderr_end(w->relay, d->pid);
	userlimit_give(w->limit, slot->uid);
	slot_close(w->table.board, slot, w->service->name, d->status, &d->usage);
	connections_close(&w->table, conn);
	w->active = w->now;
}

void reaper_bury(struct worker *w)
{
	for (unsigned i = 0; i < w->ndead; i++)
		bury(w, &w->dead[i]);
	w->ndead = 0;
}

/* The system has failed to tell who has ended. */
static void sweep_later(struct worker *w)
{
	if (w->table.own > w->ndead)
		w->sweep_at = w->now + SWEEP_DELAY;
}

/* Waits for this child, -1: for any, if it has ended. */
static bool reap(struct worker *w, pid_t pid)
{
	struct dead *d = &w->dead[w->ndead];

	if (w->ndead == DEAD) {
		w->sweep_at = w->now;
		return false;
	}
	pid = d->pid = wait4(pid, &d->status, WNOHANG, &d->usage);
	if (pid > 0)
		w->ndead++;
	else if (pid < 0)
		sweep_later(w);
	return pid > 0;
}

/* A child that has ended is about to be waited for. Its group goes with it if we ended it: until it
 * is waited for the group's number cannot be another's. */
static void end_rest(const struct worker *w, pid_t pid)
{
	uint32_t conn = connections_find(&w->table, pid);

	if (conn != 0 && w->table.conns[conn].state != CONN_RUNNING)
		(void)kill(-pid, SIGKILL);
}

/* Whether we have ended a handler that is still there. */
static bool is_ending(const struct worker *w)
{
	return w->table.queues[CONN_TERMINATED].first != 0 ||
	       w->table.queues[CONN_KILLED].first != 0;
}

/* Waits for one of the children that have ended, without their names. */
static bool reap_next(struct worker *w)
{
	siginfo_t info = {0};

	if (!is_ending(w))
		return reap(w, -1);
	if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
		sweep_later(w);
	if (info.si_pid == 0)
		return false;
	end_rest(w, info.si_pid);
	return reap(w, info.si_pid);
}

void reaper_sweep(struct worker *w)
{
	w->sweep_at = CLOCK_NEVER;
	while (reap_next(w))
		;
}

/* Waits for those that began last, if they have ended. */
static void reap_recent(struct worker *w)
{
	uint32_t conn = w->table.queues[CONN_RUNNING].last;

	for (int i = 0; i < RECENT && conn != 0; i++) {
		uint32_t before = w->table.conns[conn].before;

		(void)reap(w, w->table.conns[conn].pid);
		conn = before;
	}
}

static void reap_named(struct worker *w)
{
	struct signalfd_siginfo info[16];
	ssize_t n = read(SIGNALS, info, sizeof(info));

	for (size_t i = 0; n > 0 && i < (size_t)n / sizeof(*info); i++) {
		pid_t pid = (pid_t)info[i].ssi_pid;

		if (info[i].ssi_code != CLD_EXITED && info[i].ssi_code != CLD_KILLED &&
		    info[i].ssi_code != CLD_DUMPED)
			continue;
		end_rest(w, pid);
		(void)reap(w, pid);
	}
	if (w->sweep_at == CLOCK_NEVER)
		w->sweep_at = w->now + SWEEP_DELAY;
}

void reaper_read(struct worker *w, bool busy)
{
	struct signalfd_siginfo info;

	if (w->table.own > FEW) {
		reap_named(w);
		reap_recent(w);
		return;
	}
	if (!busy)
		(void)!read(SIGNALS, &info, sizeof(info));
	reaper_sweep(w);
}

static void end_group(struct worker *w, uint32_t conn, enum connection_state state)
{
	int64_t grace = w->service->kill_grace;
	pid_t pid = w->table.conns[conn].pid;
	int sig;

	if (state == CONN_TERMINATED && grace == 0)
		state = CONN_KILLED;
	sig = state == CONN_KILLED ? SIGKILL : SIGTERM;
	if (kill(-pid, sig) < 0 || getpgid(pid) != pid) /* it has left its group */
		(void)kill(pid, sig);
	connections_move(&w->table, conn, state, w->now);
}

void reaper_end(struct worker *w, uint64_t number)
{
	uint32_t conn = w->table.queues[CONN_RUNNING].first;

	while (conn != 0 && connections_slot(&w->table, conn)->conn != number)
		conn = w->table.conns[conn].after;
	if (conn != 0)
		end_group(w, conn, CONN_TERMINATED);
}

void reaper_end_all(struct worker *w, enum connection_state from,
		    enum connection_state to)
{
	while (w->table.queues[from].first != 0)
		end_group(w, w->table.queues[from].first, to);
}

/* When the first of a queue has been in it for `time`; 0: never. */
static int64_t due(const struct worker *w, enum connection_state state, int64_t time)
{
	uint32_t first = w->table.queues[state].first;

	return first == 0 || time == 0 ? CLOCK_NEVER : w->table.conns[first].since + time;
}

void reaper_expire(struct worker *w)
{
	const struct service *s = w->service;

	while (due(w, CONN_RUNNING, s->max_lifetime) <= w->now) {
		uint32_t conn = w->table.queues[CONN_RUNNING].first;

		connections_slot(&w->table, conn)->expired = 1;
		end_group(w, conn, CONN_TERMINATED);
	}
	while (due(w, CONN_TERMINATED, s->kill_grace) <= w->now)
		end_group(w, w->table.queues[CONN_TERMINATED].first, CONN_KILLED);
}

int64_t reaper_due(const struct worker *w)
{
	int64_t next = due(w, CONN_RUNNING, w->service->max_lifetime);

	next = clock_min(next, due(w, CONN_TERMINATED, w->service->kill_grace));
	return clock_min(next, w->sweep_at);
}
