/*
 * reaper.c: ends connections: reaps children that have exited, signals those that have
 * used up their time.
 *
 * While there are few children a worker waits for any. The more there are the more
 * expensive that is, so then it waits for the child that SIGCHLD names and, since a
 * SIGCHLD may have been merged with another, for those that started last: short-lived
 * ones are among them. It looks for any other only some time later.
 */
#include "worker/reaper.h"

#include "common/clock.h"
#include "worker/launch.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define SWEEP_DELAY (250 * NSEC_PER_MSEC)
#define FEW 64    /* so many children are looked through at once */
#define RECENT 16 /* of more */

static void reap_one(struct worker *w, const struct exited *e)
{
	uint32_t slot = connections_find(&w->connections, e->pid);
	struct slot *record;

	if (slot == 0 || !launch_was_handler(w, slot))
		return;
	record = connections_slot(&w->connections, slot);
	if (w->relay != NULL)
		stderr_end(w->relay, e->pid);
	userlimit_give(w->limit, record->uid);
	slot_close(w->connections.board, record, w->service->name, e->status, &e->usage);
	connections_close(&w->connections, slot);
	w->active = w->now;
}

void reaper_reap(struct worker *w)
{
	for (unsigned i = 0; i < w->nexited; i++)
		reap_one(w, &w->exited[i]);
	w->nexited = 0;
}

/* The system has failed to tell which child has exited. */
static void sweep_later(struct worker *w)
{
	if (w->connections.own > w->nexited)
		w->sweep_at = w->now + SWEEP_DELAY;
}

/* Waits for this child, -1: for any, if it has exited. */
static bool wait_for_child(struct worker *w, pid_t pid)
{
	struct exited *e = &w->exited[w->nexited];

	if (w->nexited == EXITED) {
		w->sweep_at = w->now;
		return false;
	}
	pid = e->pid = wait4(pid, &e->status, WNOHANG, &e->usage);
	if (pid > 0)
		w->nexited++;
	else if (pid < 0)
		sweep_later(w);
	return pid > 0;
}

static uint32_t first_of(const struct worker *w, enum connection_state state)
{
	return w->connections.queues[state].first;
}

/* Waits for a child that has exited. If the worker has sent its group a signal the rest
 * of the group is killed first: until the child is waited for the group's number cannot
 * be another's. */
static bool wait_for_named(struct worker *w, pid_t pid)
{
	uint32_t slot = connections_find(&w->connections, pid);

	if (slot != 0 && w->connections.at[slot].state != CONN_RUNNING)
		(void)kill(-pid, SIGKILL);
	return wait_for_child(w, pid);
}

/* Waits for one of the children that have exited. */
static bool wait_for_next(struct worker *w)
{
	siginfo_t info = {0};

	if (first_of(w, CONN_TERMINATED) == 0 && first_of(w, CONN_KILLED) == 0)
		return wait_for_child(w, -1);
	if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
		sweep_later(w);
	return info.si_pid != 0 && wait_for_named(w, info.si_pid);
}

void reaper_sweep(struct worker *w)
{
	w->sweep_at = CLOCK_NEVER;
	while (wait_for_next(w))
		;
}

/* Waits for those that started last, if they have exited. */
static void wait_for_recent(struct worker *w)
{
	uint32_t slot = w->connections.queues[CONN_RUNNING].last;

	for (int i = 0; i < RECENT && slot != 0; i++) {
		(void)wait_for_child(w, w->connections.at[slot].pid);
		slot = w->connections.at[slot].before;
	}
}

static void wait_for_signalled(struct worker *w)
{
	struct signalfd_siginfo info[16];
	ssize_t n = read(SIGNALS, info, sizeof(info));

	for (size_t i = 0; n > 0 && i < (size_t)n / sizeof(*info); i++)
		if (info[i].ssi_code == CLD_EXITED || info[i].ssi_code == CLD_KILLED ||
		    info[i].ssi_code == CLD_DUMPED)
			(void)wait_for_named(w, (pid_t)info[i].ssi_pid);
	if (w->sweep_at == CLOCK_NEVER)
		w->sweep_at = w->now + SWEEP_DELAY;
}

void reaper_read(struct worker *w, bool busy)
{
	struct signalfd_siginfo info;

	if (w->connections.own > FEW) {
		wait_for_signalled(w);
		wait_for_recent(w);
		return;
	}
	if (!busy)
		(void)!read(SIGNALS, &info, sizeof(info));
	reaper_sweep(w);
}

static void end_group(struct worker *w, uint32_t slot, enum connection_state state)
{
	pid_t pid = w->connections.at[slot].pid;
	int sig;

	if (state == CONN_TERMINATED && w->service->kill_grace == 0)
		state = CONN_KILLED;
	sig = state == CONN_KILLED ? SIGKILL : SIGTERM;
	if (kill(-pid, sig) < 0 || getpgid(pid) != pid) /* it has left its group */
		(void)kill(pid, sig);
	connections_move(&w->connections, slot, state, w->now);
}

void reaper_end(struct worker *w, uint64_t id)
{
	uint32_t slot = first_of(w, CONN_RUNNING);

	while (slot != 0 && connections_slot(&w->connections, slot)->id != id)
		slot = w->connections.at[slot].after;
	if (slot != 0)
		end_group(w, slot, CONN_TERMINATED);
}

void reaper_end_all(struct worker *w, enum connection_state from,
		    enum connection_state to)
{
	while (first_of(w, from) != 0)
		end_group(w, first_of(w, from), to);
}

/* When the first of a queue has been in it for `time`; 0: never. */
static int64_t expires_at(const struct worker *w, enum connection_state state,
			  int64_t time)
{
	uint32_t first = first_of(w, state);

	return first == 0 || time == 0 ? CLOCK_NEVER
				       : w->connections.at[first].since + time;
}

void reaper_expire(struct worker *w)
{
	const struct service *s = w->service;

	while (expires_at(w, CONN_RUNNING, s->max_lifetime) <= w->now) {
		uint32_t slot = first_of(w, CONN_RUNNING);

		connections_slot(&w->connections, slot)->expired = 1;
		end_group(w, slot, CONN_TERMINATED);
	}
	while (expires_at(w, CONN_TERMINATED, s->kill_grace) <= w->now)
		end_group(w, first_of(w, CONN_TERMINATED), CONN_KILLED);
}

int64_t reaper_due(const struct worker *w)
{
	int64_t next = expires_at(w, CONN_RUNNING, w->service->max_lifetime);

	next = clock_min(next, expires_at(w, CONN_TERMINATED, w->service->kill_grace));
	return clock_min(next, w->sweep_at);
}
