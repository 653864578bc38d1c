/*
 * launch.c: from a client's slot to its running handler, with several on the way at once.
 *
 * A start costs most of its time in the kernel, which can do several at once. So while more clients
 * wait the next one is accepted without waiting for the last one's handler. The client's descriptor
 * is ours until its handler executes, so that it can be held if that fails for want of resources.
 * What fails in a child is dealt with when the child has been waited for.
 */
#include "launch.h"

#include "clock.h"
#include "log.h"

#include <errno.h>
#include <unistd.h>

#define WAIT_TIME (10 * NSEC_PER_MSEC) /* for a start, when there is nothing else to do */
#define LOOK_PAUSE NSEC_PER_MSEC       /* between looks at one that takes longer */
#define LAUNCH_TIMEOUT (10 * NSEC_PER_SEC)

int launch_init(struct worker *w)
{
	w->hands_max = spawn_is_concurrent() ? HANDS : 1;
	for (size_t i = 0; i < w->hands_max; i++) {
		w->hands[i].handler = spawn_new(w->service);
		if (w->hands[i].handler == NULL)
			return -1;
	}
	return 0;
}

struct hand *launch_hand(struct worker *w)
{
	struct hand *hand = w->hands;

	while (hand->state != HAND_EMPTY)
		hand++;
	hand->conn = 0;
	return hand;
}

static void log_open_line(const struct worker *w, const struct slot *slot)
{
	struct log_line line;

	log_begin(&line, LOG_INFO, "open");
	log_str(&line, "service", w->service->name);
	log_num(&line, "conn", (int64_t)slot->conn);
	log_num(&line, "pid", atomic_load(&slot->pid));
	log_num(&line, "peer-uid", slot->uid);
	log_num(&line, "peer-gid", slot->gid);
	log_num(&line, "peer-pid", slot->peer_pid);
	log_str(&line, "rule", slot->rule);
	log_end(&line);
}

struct peer launch_give_back(struct worker *w, struct hand *hand)
{
	const struct slot *slot;
	struct peer peer;

	if (hand->conn == 0)
		return (struct peer){0};
	slot = connections_slot(&w->table, hand->conn);
	peer = (struct peer){.uid = slot->uid, .gid = slot->gid, .pid = slot->peer_pid};
	userlimit_give(w->limit, peer.uid);
	connections_cancel(&w->table, hand->conn);
	return peer;
}

void launch_refuse(struct worker *w, struct hand *hand)
{
	(void)launch_give_back(w, hand);
	peer_turn_away(hand->fd, w->service->type, NULL);
}

void launch_hold(struct worker *w, struct hand *hand, const char *step, int error)
{
	backoff_busy(&w->backoff, step, error, w->now);
	hand->state = HAND_HELD;
	w->held++;
}

void launch_release(struct worker *w, struct hand *hand)
{
	hand->state = HAND_EMPTY;
	w->held--;
}

/* The handler could not be started. */
static void fail(struct worker *w, struct hand *hand, const char *step, int error)
{
	if (spawn_is_busy(error) && w->refusing) {
		launch_refuse(w, hand);
		return;
	}
	if (spawn_is_busy(error)) {
		launch_hold(w, hand, "spawn", error);
		return;
	}
	w->counters->failures++;
	backoff_failed(&w->backoff, w->service->handler[0],
		       connections_slot(&w->table, hand->conn)->conn, step, error,
		       w->now);
	launch_refuse(w, hand);
}

/* It is on its way no more. */
static void arrive(struct worker *w, struct hand *hand)
{
	hand->state = HAND_EMPTY;
	w->started--;
}

/* The handler runs. */
static void succeed(struct worker *w, struct hand *hand)
{
	arrive(w, hand);
	peer_close(hand->fd);
	backoff_over(&w->backoff);
	w->counters->opened++;
	if (w->counters->peak < connections_live(&w->table))
		w->counters->peak = connections_live(&w->table);
	log_open_line(w, connections_slot(&w->table, hand->conn));
}

static void settle(struct worker *w, struct hand *hand)
{
	const struct connection *conn = &w->table.conns[hand->conn];
	const char *step;

	if (spawn_is_settled(hand->handler)) {
		if (spawn_error(hand->handler, &step) == 0)
			succeed(w, hand);
	} else if (w->now >= conn->since + LAUNCH_TIMEOUT) {
		spawn_give_up(hand->handler, conn->pid);
	}
}

void launch_settle(struct worker *w)
{
	for (size_t i = 0; i < HANDS && w->started > 0; i++)
		if (w->hands[i].state == HAND_STARTED)
			settle(w, &w->hands[i]);
}

int64_t launch_due(const struct worker *w)
{
	return w->started > 0 ? w->now + LOOK_PAUSE : CLOCK_NEVER;
}

bool launch_was_handler(struct worker *w, uint32_t conn)
{
	struct hand *hand = w->hands;
	const char *step;
	bool ended;
	int error;

	while (hand < w->hands + HANDS &&
	       (hand->state != HAND_STARTED || hand->conn != conn))
		hand++;
	if (hand == w->hands + HANDS)
		return true;
	error = spawn_error(hand->handler, &step);
	if (error == 0) {
		succeed(w, hand);
		return true;
	}
	arrive(w, hand);
	ended = w->table.conns[conn].state != CONN_RUNNING;
	connections_undo(&w->table, conn);
	if (ended) /* by us, so it is not tried again */
		launch_refuse(w, hand);
	else
		fail(w, hand, step, error);
	return false;
}

void launch_again(struct worker *w, struct hand *hand)
{
	struct slot *slot = connections_slot(&w->table, hand->conn);

	if (spawn_start(hand->handler, &slot->pid) < 0) {
		fail(w, hand, "start a process", errno);
		return;
	}
	connections_open(&w->table, hand->conn, w->now);
	hand->state = HAND_STARTED;
	w->started++;
	if (w->queued && w->started < w->hands_max && w->backoff.delay == 0)
		return;
	(void)spawn_await(hand->handler, WAIT_TIME);
	launch_settle(w);
}

void launch_begin(struct worker *w, struct hand *hand)
{
	const struct slot *slot = connections_slot(&w->table, hand->conn);
	const struct environment_call call = {.peer = &w->peer,
					      .from = &w->from,
					      .from_len = w->from_len,
					      .conn = slot->conn,
					      .rule = slot->rule};

	spawn_prepare(hand->handler, hand->fd, &call);
	launch_again(w, hand);
}
