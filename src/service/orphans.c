/*
 * orphans.c: a list of handlers, a short one, since workers seldom exit before their
 * handlers.
 */
#include "service/orphans.h"

#include "common/clock.h"
#include "common/privilege.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILL_AGAIN NSEC_PER_SEC
#define SEND_AGAIN (100 * NSEC_PER_MSEC) /* when there was no process for it */
#define ADOPT_AGAIN (100 * NSEC_PER_MSEC)
#define START_TIMEOUT (10 * NSEC_PER_SEC)

#define TITLE "udsd: " /* of a worker: title_set() */

struct orphan {
	struct instance *instance;
	struct slot *slot;
	pid_t pid;
	int64_t due;       /* when it gets `signal` */
	int signal;        /* the next one; 0: it got SIGKILL */
	bool ended;        /* by us: its group goes with it */
	int64_t start_due; /* when it has to be executed */
};

static struct orphan *orphans_list;
static size_t orphans_total;
static int orphans_signal; /* that all got last; 0: none yet */

size_t orphans_count(void)
{
	return orphans_total;
}

/* Whether this is a child of ours, alive or not waited for. */
static bool is_child(pid_t pid)
{
	siginfo_t info;

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

static bool is_orphan(pid_t pid)
{
	for (size_t i = 0; i < orphans_total; i++)
		if (orphans_list[i].pid == pid)
			return true;
	return false;
}

/* Its worker's user may have written anything into a slot: no start is in the future, and
 * a reservation of the smallest number, which has no negative, belongs to no worker. */
static int64_t started_at(const struct slot *slot)
{
	int64_t now = clock_now(), started = slot->started;

	return started < 0 || started > now ? now : started;
}

static pid_t owner_of(const struct slot *slot, pid_t pid)
{
	if (pid >= 0)
		return slot->owner;
	return pid == INT32_MIN ? INT32_MAX : -pid;
}

/* The signal that this orphan gets next, after `signal` was ordered. */
static int graceful(const struct instance *instance, int signal)
{
	return instance->service->kill_grace == 0 ? SIGKILL : signal;
}

static void add(struct instance *instance, struct slot *slot, pid_t pid)
{
	struct orphan *more =
		reallocarray(orphans_list, orphans_total + 1, sizeof(*more));
	int64_t life = instance->service->max_lifetime, now = clock_now();
	struct orphan *o;

	if (more == NULL) { /* its slot stays taken until then */
		instance->adopt_due = now + ADOPT_AGAIN;
		return;
	}
	orphans_list = more;
	o = &orphans_list[orphans_total++];
	*o = (struct orphan){.instance = instance,
			     .slot = slot,
			     .pid = pid,
			     .signal = graceful(instance, SIGTERM),
			     .due = life > 0 ? started_at(slot) + life : CLOCK_NEVER,
			     .start_due = now + START_TIMEOUT};
	if (orphans_signal != 0) {
		o->signal = graceful(instance, orphans_signal);
		o->due = now;
	}
	instance->orphans++;
}

void orphans_adopt(struct instance *instance, pid_t worker, orphans_is_ours *is_ours)
{
	uint32_t high =
		instance->board != NULL ? scoreboard_high(instance->board->map) : 0;

	if (worker == 0)
		instance->adopt_due = CLOCK_NEVER;
	for (uint32_t i = 0; i < high; i++) {
		struct slot *slot = &instance->board->map->slots[i];
		pid_t pid = atomic_load(&slot->pid);
		pid_t owner = owner_of(slot, pid);

		if (pid == 0 || (worker != 0 ? owner != worker : is_ours(owner)))
			continue;
		if (pid > 0 && is_orphan(pid))
			continue;
		if (pid > 0 && !is_ours(pid) && is_child(pid))
			add(instance, slot, pid);
		else if (pid > 0) /* it ended, and only its worker knew how */
			slot_close(instance->board->map, slot, instance->service->name,
				   SLOT_STATUS_UNKNOWN, NULL);
		else
			atomic_store(&slot->pid, 0);
	}
}

static int signal_them(const struct instance *instance, const pid_t *pids, size_t n,
		       int signal, bool leaders)
{
	const struct identity *id = &instance->service->identity;

	return privilege_signal(id->uid, id->gid, pids, n, signal, leaders);
}

/* Sends one signal to all orphans of an instance that are due for it, by one process. A
 * signal may be lost, so SIGKILL is sent again until they have exited. */
static void end_due(const struct instance *instance, int signal, int64_t now)
{
	int64_t next = signal == SIGKILL ? KILL_AGAIN : instance->service->kill_grace;
	int64_t life = instance->service->max_lifetime;
	pid_t *pids = calloc(orphans_total, sizeof(*pids));
	size_t n = 0;
	bool sent;

	for (size_t i = 0; pids != NULL && i < orphans_total; i++)
		if (orphans_list[i].instance == instance && orphans_list[i].due <= now &&
		    orphans_list[i].signal == signal)
			pids[n++] = orphans_list[i].pid;
	sent = n > 0 && signal_them(instance, pids, n, signal, true) == 0;
	for (size_t i = 0; i < orphans_total; i++) {
		struct orphan *o = &orphans_list[i];

		if (o->instance != instance || o->due > now || o->signal != signal)
			continue;
		if (sent && !o->ended && life > 0 && started_at(o->slot) + life <= now)
			o->slot->expired = 1;
		o->due = now + (sent ? next : SEND_AGAIN);
		o->ended = o->ended || sent;
		if (sent)
			o->signal = SIGKILL;
	}
	free(pids);
}

/* A worker's child is called as the worker is until it executes. Another process of its
 * user may have stopped it there, where it has the worker's descriptors. */
static void look_at_start(struct orphan *o, int64_t now)
{
	char path[32], name[16];
	ssize_t n;
	int fd;

	if (now < o->start_due)
		return;
	o->start_due = CLOCK_NEVER;
	(void)snprintf(path, sizeof(path), "/proc/%d/comm", o->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, name, sizeof(name));
	if (fd >= 0)
		close(fd);
	if (n < (ssize_t)strlen(TITLE) || strncmp(name, TITLE, strlen(TITLE)) != 0)
		return;
	o->signal = SIGKILL;
	o->due = now;
}

bool orphans_reap(pid_t pid)
{
	struct rusage usage;
	size_t i = 0;
	int status;

	while (i < orphans_total && orphans_list[i].pid != pid)
		i++;
	if (i == orphans_total)
		return false;
	if (orphans_list[i].ended) /* what is left of its group goes with it */
		(void)signal_them(orphans_list[i].instance, &pid, 1, SIGKILL, false);
	if (wait4(pid, &status, WNOHANG, &usage) != pid)
		return true;
	if (atomic_load(&orphans_list[i].slot->pid) == pid)
		slot_close(orphans_list[i].instance->board->map, orphans_list[i].slot,
			   orphans_list[i].instance->service->name, status, &usage);
	orphans_list[i].instance->orphans--;
	orphans_list[i] = orphans_list[--orphans_total];
	return true;
}

bool orphans_end(const struct slot *slot, pid_t pid, int64_t now)
{
	for (size_t i = 0; i < orphans_total; i++) {
		struct orphan *o = &orphans_list[i];

		if (o->slot != slot || o->pid != pid)
			continue;
		if (!o->ended) {
			o->signal = graceful(o->instance, SIGTERM);
			o->due = now;
		}
		return true;
	}
	return false;
}

void orphans_end_all(int signal, int64_t now)
{
	orphans_signal = signal;
	for (size_t i = 0; i < orphans_total; i++) {
		struct orphan *o = &orphans_list[i];

		if (o->ended && signal != SIGKILL)
			continue;
		o->signal = graceful(o->instance, signal);
		o->due = now;
	}
	orphans_tick(now);
}

int64_t orphans_due(void)
{
	int64_t due = CLOCK_NEVER;

	for (size_t i = 0; i < orphans_total; i++)
		due = clock_min(
			due, clock_min(orphans_list[i].due, orphans_list[i].start_due));
	return due;
}

void orphans_tick(int64_t now)
{
	for (size_t i = 0; i < orphans_total; i++) {
		struct orphan *o = &orphans_list[i];

		look_at_start(o, now);
		if (o->due <= now)
			end_due(o->instance, o->signal, now);
	}
}

void orphans_forget(void)
{
	orphans_signal = 0;
	while (orphans_total > 0)
		orphans_list[--orphans_total].instance->orphans--;
}
