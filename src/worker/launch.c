/*
 * launch.c: from a client's slot to its running handler, with several on the way at once.
 *
 * A start costs most of its time in the kernel, which can do several at once. So while
 * more clients are pending the next one is accepted without waiting for the last one's
 * handler. The client's descriptor stays open here until its handler executes, so that it
 * can be held if the start fails for lack of resources. A failure in a child is dealt
 * with when the child has been waited for.
 */
#include "worker/launch.h"

#include "common/clock.h"
#include "common/log.h"

#include <string.h>

#define WAIT_TIME (10 * NSEC_PER_MSEC) /* for a start, if nothing else is to be done */
#define LOOK_PAUSE NSEC_PER_MSEC       /* between looks at one that takes longer */
#define LAUNCH_TIMEOUT (10 * NSEC_PER_SEC)

int launch_init(struct worker *w)
{
	w->launches_max = spawn_is_concurrent() ? LAUNCHES : 1;
	for (size_t i = 0; i < w->launches_max; i++)
		if ((w->launches[i].spawn = spawn_new(w->service)) == NULL)
			return -1;
	return 0;
}

struct launch *launch_find(struct worker *w, enum launch_state state)
{
	for (struct launch *l = w->launches; l < w->launches + LAUNCHES; l++)
		if (l->state == state)
			return l;
	return NULL;
}

void launch_move(struct worker *w, struct launch *launch, enum launch_state state)
{
	w->in_state[launch->state]--;
	w->in_state[state]++;
	launch->state = state;
}

static struct slot *record_of(const struct worker *w, const struct launch *launch)
{
	return connections_slot(&w->connections, launch->slot);
}

static struct peer peer_of(const struct slot *record)
{
	return (struct peer){
		.uid = record->uid, .gid = record->gid, .pid = record->peer_pid};
}

static void log_open_line(const struct worker *w, const struct slot *record)
{
	const struct peer peer = peer_of(record);
	struct log_line line;

	log_begin(&line, LOG_INFO, "open");
	log_str(&line, "service", w->service->name);
	log_num(&line, "conn", (int64_t)record->id);
	log_num(&line, "pid", atomic_load(&record->pid));
	peer_log(&line, &peer);
	log_str(&line, "rule", record->rule);
	log_end(&line);
}

struct peer launch_cancel(struct worker *w, struct launch *launch)
{
	struct peer peer = {0};

	if (launch->slot != 0) {
		peer = peer_of(record_of(w, launch));
		userlimit_give(w->limit, peer.uid);
		connections_cancel(&w->connections, launch->slot);
	}
	return peer;
}

void launch_close(struct worker *w, struct launch *launch)
{
	(void)launch_cancel(w, launch);
	peer_reject(launch->fd, w->service->type, NULL);
}

void launch_hold(struct worker *w, struct launch *launch, struct failure f)
{
	backoff_busy(&w->backoff, f, w->now);
	launch_move(w, launch, LAUNCH_HELD);
}

static void launch_fail(struct worker *w, struct launch *launch, struct failure f)
{
	bool busy = spawn_is_busy(f.error);

	if (busy && !w->refusing) {
		launch_hold(w, launch, failure_of("spawn", f.error));
		return;
	}
	if (!busy) {
		w->counters->failures++;
		backoff_failed(&w->backoff,
			       strcmp(f.operation, "stderr") == 0 &&
					       w->service->stderr_target.path != NULL
				       ? w->service->stderr_target.path
				       : w->service->handler[0],
			       record_of(w, launch)->id, f, w->now);
	}
	launch_close(w, launch);
}

/* The handler runs. */
static void launch_succeed(struct worker *w, struct launch *launch)
{
	launch_move(w, launch, LAUNCH_UNUSED);
	peer_close(launch->fd);
	backoff_over(&w->backoff);
	w->counters->opened++;
	if (w->counters->peak < connections_live(&w->connections))
		w->counters->peak = connections_live(&w->connections);
	log_open_line(w, record_of(w, launch));
}

static void settle_one(struct worker *w, struct launch *launch)
{
	const struct connection *c = &w->connections.at[launch->slot];

	if (!spawn_is_settled(launch->spawn)) {
		if (w->now >= c->since + LAUNCH_TIMEOUT)
			spawn_give_up(launch->spawn, c->pid);
	} else if (!failed(spawn_failure(launch->spawn))) {
		launch_succeed(w, launch);
	}
}

void launch_settle(struct worker *w)
{
	for (size_t i = 0; i < LAUNCHES && w->in_state[LAUNCH_STARTED] > 0; i++)
		if (w->launches[i].state == LAUNCH_STARTED)
			settle_one(w, &w->launches[i]);
}

int64_t launch_due(const struct worker *w)
{
	return w->in_state[LAUNCH_STARTED] > 0 ? w->now + LOOK_PAUSE : CLOCK_NEVER;
}

/* The launch of a slot, NULL: none. */
static struct launch *find_started(struct worker *w, uint32_t slot)
{
	for (size_t i = 0; i < LAUNCHES && w->in_state[LAUNCH_STARTED] > 0; i++)
		if (w->launches[i].state == LAUNCH_STARTED && w->launches[i].slot == slot)
			return &w->launches[i];
	return NULL;
}

bool launch_was_handler(struct worker *w, uint32_t slot)
{
	struct launch *launch = find_started(w, slot);
	struct failure f;
	bool ended;

	if (launch == NULL)
		return true;
	f = spawn_failure(launch->spawn);
	if (!failed(f)) {
		launch_succeed(w, launch);
		return true;
	}
	launch_move(w, launch, LAUNCH_UNUSED);
	ended = w->connections.at[slot].state != CONN_RUNNING;
	connections_undo(&w->connections, slot);
	if (ended) /* by this worker, so it is not tried again */
		launch_close(w, launch);
	else
		launch_fail(w, launch, f);
	return false;
}

void launch_start(struct worker *w, struct launch *launch)
{
	if (spawn_start(launch->spawn, &record_of(w, launch)->pid) < 0) {
		launch_fail(w, launch, failure("start a process"));
		return;
	}
	connections_open(&w->connections, launch->slot, w->now);
	launch_move(w, launch, LAUNCH_STARTED);
	if (w->pending && w->in_state[LAUNCH_STARTED] < w->launches_max &&
	    w->backoff.delay == 0)
		return;
	(void)spawn_await(launch->spawn, WAIT_TIME);
	launch_settle(w);
}
