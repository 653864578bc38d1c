/*
 * orphan.c: a short list; workers seldom die.
 */
#include "orphan.h"

#include "clock.h"
#include "privilege.h"

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
	struct unit *unit;
	struct slot *slot;
	pid_t pid;
	int64_t due;       /* when it gets `signal` */
	int signal;        /* the next one; 0: it got SIGKILL */
	bool ended;        /* by us: its group goes with it */
	int64_t start_due; /* when it has to be executed */
};

static struct orphan *orphans;
static size_t count;

size_t orphan_count(void)
{
	return count;
}

/* Whether this is a child of ours, alive or not waited for. */
static bool is_child(pid_t pid)
{
	siginfo_t info;

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

static bool is_orphan(pid_t pid)
{
	for (size_t i = 0; i < count; i++)
		if (orphans[i].pid == pid)
			return true;
	return false;
}

/* Its worker's user may have written anything into a slot: no start is in the future, and whose a
 * reservation of the smallest number is, which has no negative, nobody knows. */
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

static void add(struct unit *u, struct slot *slot, pid_t pid)
{
	struct orphan *more = reallocarray(orphans, count + 1, sizeof(*more));
	int64_t life = u->service->max_lifetime;

	if (more == NULL) { /* its slot stays taken until then */
		u->adopt_due = clock_now() + ADOPT_AGAIN;
		return;
	}
	orphans = more;
	orphans[count++] = (struct orphan){
		.unit = u,
		.slot = slot,
		.pid = pid,
		.signal = life > 0 && u->service->kill_grace == 0 ? SIGKILL : SIGTERM,
		.due = life > 0 ? started_at(slot) + life : CLOCK_NEVER,
		.start_due = clock_now() + START_TIMEOUT,
	};
	u->orphans++;
}

void orphan_adopt(struct unit *u, pid_t worker, orphan_is_ours *is_ours, const void *arg)
{
	uint32_t high = u->board != NULL ? scoreboard_high(u->board->map) : 0;

	if (worker == 0)
		u->adopt_due = CLOCK_NEVER;
	for (uint32_t i = 0; i < high; i++) {
		struct slot *slot = &u->board->map->slots[i];
		pid_t pid = atomic_load(&slot->pid);
		pid_t owner = owner_of(slot, pid);

		if (pid == 0 || (worker != 0 ? owner != worker : is_ours(arg, owner)))
			continue;
		if (pid > 0 && is_orphan(pid))
			continue;
		if (pid > 0 && !is_ours(arg, pid) && is_child(pid))
			add(u, slot, pid);
		else if (pid > 0) /* it ended, and only its worker knew how */
			slot_close(u->board->map, slot, u->service->name,
				   SLOT_STATUS_UNKNOWN, NULL);
		else
			atomic_store(&slot->pid, 0);
	}
}

static int signal_them(const struct unit *u, const pid_t *pids, size_t n, int signal,
		       bool leaders)
{
	const struct identity *id = &u->service->identity;

	return privilege_signal(id->uid, id->gid, pids, n, signal, leaders);
}

/* Sends one signal to all orphans of a unit that are due for it, by one process. A signal may be
 * lost, so SIGKILL is sent again until they are gone. */
static void end_due(const struct unit *u, int signal, int64_t now)
{
	int64_t next = signal == SIGKILL ? KILL_AGAIN : u->service->kill_grace;
	int64_t life = u->service->max_lifetime;
	pid_t *pids = calloc(count, sizeof(*pids));
	size_t n = 0;
	bool sent;

	for (size_t i = 0; pids != NULL && i < count; i++)
		if (orphans[i].unit == u && orphans[i].due <= now &&
		    orphans[i].signal == signal)
			pids[n++] = orphans[i].pid;
	sent = n > 0 && signal_them(u, pids, n, signal, true) == 0;
	for (size_t i = 0; i < count; i++) {
		struct orphan *o = &orphans[i];

		if (o->unit != u || o->due > now || o->signal != signal)
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

/* A worker's child is called as the worker is until it executes. Somebody with its uid may have stopped
 * it there, where it has the worker's descriptors. */
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

bool orphan_bury(pid_t pid)
{
	struct rusage usage;
	size_t i = 0;
	int status;

	while (i < count && orphans[i].pid != pid)
		i++;
	if (i == count)
		return false;
	if (orphans[i].ended) /* what is left of its group goes with it */
		(void)signal_them(orphans[i].unit, &pid, 1, SIGKILL, false);
	if (wait4(pid, &status, WNOHANG, &usage) != pid)
		return true;
	if (atomic_load(&orphans[i].slot->pid) == pid)
		slot_close(orphans[i].unit->board->map, orphans[i].slot,
			   orphans[i].unit->service->name, status, &usage);
	orphans[i].unit->orphans--;
	orphans[i] = orphans[--count];
	return true;
}

bool orphan_end(const struct slot *slot, pid_t pid, int64_t now)
{
	for (size_t i = 0; i < count; i++) {
		struct orphan *o = &orphans[i];

		if (o->slot != slot || o->pid != pid)
			continue;
		if (!o->ended) {
			o->signal = o->unit->service->kill_grace == 0 ? SIGKILL : SIGTERM;
			o->due = now;
		}
		return true;
	}
	return false;
}

void orphan_end_all(int signal, int64_t now)
{
	for (size_t i = 0; i < count; i++) {
		struct orphan *o = &orphans[i];

		if (o->ended && signal != SIGKILL)
			continue;
		o->signal = o->unit->service->kill_grace == 0 ? SIGKILL : signal;
		o->due = now;
	}
	orphan_tick(now);
}

int64_t orphan_due(void)
{
	int64_t due = CLOCK_NEVER;

	for (size_t i = 0; i < count; i++)
		due = clock_min(due, clock_min(orphans[i].due, orphans[i].start_due));
	return due;
}

void orphan_tick(int64_t now)
{
	for (size_t i = 0; i < count; i++) {
		struct orphan *o = &orphans[i];

		look_at_start(o, now);
		if (o->due <= now)
			end_due(o->unit, o->signal, now);
	}
}

void orphan_forget_all(void)
{
	while (count > 0)
		orphans[--count].unit->orphans--;
}
