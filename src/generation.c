/*
 * generation.c: the end of a unit: orders to its worker, its socket's retirement, and what passes
 * to the next generation.
 *
 * Nobody who is queued is lost: a path goes first, then who is queued is served or turned away, then
 * the socket is closed. The next worker starts only when the last one accepts no more, so no two
 * sets of rules are ever in force on one socket.
 */
#include "clock.h"
#include "privilege.h"
#include "unit.h"
#include "worker.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_TIME NSEC_PER_SEC
#define RETIRE_TIME NSEC_PER_SEC
#define KILL_AGAIN NSEC_PER_SEC

/* A handler that accepts is no worker: it gets signals, from a process of its user. */
static void signal_inetd(struct unit *u, bool kill, int64_t now)
{
	int64_t grace = u->service->kill_grace;
	bool hard = kill || grace == 0;

	if (privilege_signal(u->uid, u->gid, &u->worker, 1, hard ? SIGKILL : SIGTERM,
			     true) == 0)
		u->ended = true;
	u->kill_at = now + (hard || !u->ended ? KILL_AGAIN : grace);
}

static int64_t time_to_answer(char order)
{
	if (order == WORKER_DRAIN || order == WORKER_REFUSE)
		return ANSWER_TIME;
	return order == WORKER_FINISH ? RETIRE_TIME + ANSWER_TIME : 0;
}

void unit_order(struct unit *u, char order, int64_t now)
{
	if (u->inetd && (order == WORKER_KILL || order == WORKER_TERMINATE))
		signal_inetd(u, order == WORKER_KILL, now);
	if (u->channel < 0)
		return;
	if (send(u->channel, &order, 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
	    order != WORKER_RETRY)
		u->answer_due = now; /* who cannot be told what to do is not waited for */
	else if (time_to_answer(order) > 0)
		u->answer_due = now + time_to_answer(order);
}

bool unit_end(struct unit *u, uint64_t id)
{
	const struct worker_message message = {.order = WORKER_END, .id = id};

	return u->channel >= 0 && send(u->channel, &message, sizeof(message),
				       MSG_DONTWAIT | MSG_NOSIGNAL) > 0;
}

void unit_let_heir_start(struct unit *u, const struct shared *shared, int64_t now)
{
	struct unit *heir = u->heir;

	if (heir == NULL)
		return;
	u->heir = NULL;
	heir->awaits--;
	unit_watch(heir, shared, now);
}

/* The worker accepts no more, or there is none. */
void unit_drained(struct unit *u, const struct shared *shared, int64_t now)
{
	if (u->retiring && u->listener.fd >= 0) {
		unit_unwatch(u, shared);
		listener_close(&u->listener);
		unit_watch(u, shared, now);
	}
	u->retire_until = CLOCK_NEVER;
	unit_let_heir_start(u, shared, now);
}

/* Whether somebody is queued. */
static bool has_queue(const struct unit *u)
{
	struct pollfd p = {.fd = u->listener.fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

void unit_retire(struct unit *u, const struct shared *shared, char order, int64_t now)
{
	if (u->listener.fd < 0)
		return;
	if (!u->retiring || (order == WORKER_REFUSE && u->order != order))
		u->retire_until = now + time_to_answer(order);
	if (!u->retiring)
		listener_remove(u->service, &u->listener);
	u->retiring = true;
	u->order = u->service->wait ? WORKER_REFUSE : order;
	if (u->inetd) { /* it may go on; when it has ended the others' turn comes */
		u->retire_until = CLOCK_NEVER;
		return;
	}
	if (u->retire_until == CLOCK_NEVER)
		u->retire_until = now + time_to_answer(order);
	if (u->worker == 0 && !unit_is_control(u) && has_queue(u) &&
	    now < u->retire_until)
		unit_start(u, shared, now);
	if (u->worker != 0)
		unit_order(u, u->order, now);
	else
		unit_drained(u, shared, now);
	unit_watch(u, shared, now);
}

void unit_pass_listener(struct unit *u, struct unit *heir, const struct shared *shared)
{
	unit_unwatch(u, shared);
	heir->listener = u->listener;
	heir->seen = u->seen;
	u->listener = (struct listener){.fd = -1, .wd = -1, .dir_wd = -1};
	if (u->worker != 0 &&
	    u->inetd) { /* it runs on: it is the socket's, whatever we want next */
		heir->worker = u->worker;
		heir->inetd = true;
		heir->uid = u->uid;
		heir->gid = u->gid;
		heir->started = u->started;
		heir->ended = u->ended;
		heir->kill_at = u->kill_at;
		u->worker = 0;
		u->inetd = false;
		u->kill_at = CLOCK_NEVER;
	} else if (u->worker != 0) {
		u->heir = heir;
		heir->awaits++;
	}
}

void unit_supersede(struct unit *u, const struct shared *shared, int64_t now)
{
	u->former = true;
	if (u->listener.fd >= 0)
		unit_retire(u, shared, WORKER_FINISH, now);
	else if (u->worker != 0)
		unit_order(u, WORKER_DRAIN, now);
	if (u->inetd)
		unit_order(u, WORKER_TERMINATE, now);
	if (u->stderr_in >= 0) /* handlers have it; when they have gone we want to know */
		close(u->stderr_in);
	u->stderr_in = -1;
	unit_watch(u, shared, now);
}

bool unit_is_spent(const struct unit *u)
{
	return u->former && u->worker == 0 && u->orphans == 0 && u->awaits == 0 &&
	       u->listener.fd < 0 && u->stderr_out < 0 && u->adopt_due == CLOCK_NEVER &&
	       (u->log.in < 0 || u->log.known);
}
