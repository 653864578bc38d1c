/*
 * client.c: a client from accept to its place in the scoreboard, or to its being turned away. What
 * comes then is launch.c's.
 */
#include "client.h"

#include "clock.h"
#include "launch.h"
#include "log.h"
#include "peer.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REFRESH_PAUSE (10 * NSEC_PER_MSEC)
#define REFUSE_TRIES 100 /* when clients cannot be accepted; there is no later */

static void log_peer(struct log_line *line, const struct worker *w)
{
	log_num(line, "peer-uid", w->peer.uid);
	log_num(line, "peer-gid", w->peer.gid);
	log_num(line, "peer-pid", w->peer.pid);
}

static void log_client(const struct worker *w, int level, const char *verb,
		       const char *reason, const char *rule)
{
	struct log_line line;

	log_begin(&line, level, verb);
	log_str(&line, "service", w->service->name);
	log_peer(&line, w);
	if (reason != NULL)
		log_str(&line, "reason", reason);
	if (rule != NULL)
		log_str(&line, "rule", rule);
	log_end(&line);
}

static void reject(struct worker *w, int fd, enum reject_reason reason, const char *rule)
{
	w->counters->rejected[reason]++;
	peer_turn_away(fd, w->service->type, w->service->reject_message);
	log_client(w, LOG_INFO, "reject", reject_name(reason), rule);
}

/* Takes a slot for the client in hand. */
static uint32_t fill_slot(struct worker *w, const char *rule)
{
	uint32_t conn = connections_reserve(&w->table);
	struct slot *slot;

	if (conn == 0)
		return 0;
	slot = connections_slot(&w->table, conn);
	slot->conn = ++w->counters->numbers;
	slot->started = w->now;
	slot->uid = w->peer.uid;
	slot->gid = w->peer.gid;
	slot->peer_pid = w->peer.pid;
	slot->expired = 0;
	strncpy(slot->rule, rule, sizeof(slot->rule) - 1);
	return conn;
}

/* Looks again at slots that others hold, but not so often that a flood makes it dear. */
static void refresh(struct worker *w)
{
	if (w->now < w->refresh_at)
		return;
	w->refresh_at = w->now + REFRESH_PAUSE;
	connections_refresh(&w->table);
}

/* Whether the peer may come in: the rule that lets it, or NULL, and then it has been turned away.
 * If it may, it counts against the limits of its user. */
static const char *admit(struct worker *w, int fd)
{
	const char *denied, *rule = access_check(&w->service->access, &w->peer, &denied);
	enum userlimit_verdict verdict;

	if (rule == NULL) {
		reject(w, fd, REJECT_RULE, denied);
		return NULL;
	}
	if (connections_live(&w->table) >= (uint32_t)w->service->max_connections) {
		reject(w, fd, REJECT_LIMIT, NULL);
		return NULL;
	}
	verdict = userlimit_take(w->limit, w->peer.uid, w->now);
	if (verdict == USERLIMIT_USER && w->table.nforeign > 0) {
		refresh(w); /* perhaps one of theirs has ended meanwhile */
		verdict = userlimit_take(w->limit, w->peer.uid, w->now);
	}
	if (verdict == USERLIMIT_OK)
		return rule;
	reject(w, fd, verdict == USERLIMIT_USER ? REJECT_USER_LIMIT : REJECT_RATE, NULL);
	return NULL;
}

static void set_timeout(const struct worker *w, int fd)
{
	const struct timeval tv = {w->service->idle_timeout / NSEC_PER_SEC,
				   w->service->idle_timeout % NSEC_PER_SEC / 1000};

	if (w->service->idle_timeout == 0)
		return;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
}

/* The client in hand has gone before it was served. */
static void let_go(struct worker *w, int fd)
{
	w->counters->gone++;
	peer_turn_away(fd, w->service->type, NULL);
	log_client(w, LOG_DEBUG, "gone", NULL, NULL);
}

/* Asks in one call whether the client has gone, and whether more wait. */
static bool has_gone(struct worker *w, int fd)
{
	struct pollfd fds[] = {{.fd = fd}, {.fd = LISTENER, .events = POLLIN}};

	if (poll(fds, 2, 0) <= 0)
		return false;
	w->queued = (fds[1].revents & POLLIN) != 0;
	return fds[0].revents != 0 && peer_gone(fd);
}

/* A client that was accepted. */
static void receive(struct worker *w, struct hand *hand)
{
	const char *rule;

	if (peer_read(hand->fd, w->want_groups, &w->peer) < 0) { /* for want of memory */
		launch_hold(w, hand, "peer", errno);
		return;
	}
	if (has_gone(w, hand->fd)) {
		let_go(w, hand->fd);
		return;
	}
	rule = admit(w, hand->fd);
	if (rule == NULL)
		return;
	hand->conn = fill_slot(w, rule);
	if (hand->conn == 0) { /* every slot of the scoreboard is in use */
		userlimit_give(w->limit, w->peer.uid);
		reject(w, hand->fd, REJECT_LIMIT, NULL);
		return;
	}
	set_timeout(w, hand->fd);
	launch_begin(w, hand);
}

static void accept_one(struct worker *w)
{
	struct hand *hand = launch_hand(w);

	w->queued = false;
	w->from_len = sizeof(w->from);
	hand->fd = accept4(LISTENER, (struct sockaddr *)&w->from, &w->from_len,
			   SOCK_CLOEXEC);
	if (hand->fd >= 0) {
		w->active = w->now;
		receive(w, hand);
	} else if (errno == EINVAL) { /* somebody shut the socket down */
		backoff_failed(&w->backoff, w->service->socket, 0, "accept", errno,
			       w->now);
		w->shut = true;
	} else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
		backoff_busy(&w->backoff, "accept", errno, w->now);
	}
}

/* Whoever is accepted is on the way to a handler before the next one is, so that few are lost if we
 * are killed: those who are held. */
void accept_pending(struct worker *w)
{
	for (int i = 0; i < HANDS && accept_wanted(w); i++) {
		accept_one(w);
		if (!w->queued)
			return;
	}
}

/* Whether to look at the listener: while we accept, a hand is free, nothing is held or has to be
 * waited for, and there is room, or nobody has to wait for room. After a failure one start has to
 * succeed before there are several at once. */
bool accept_wanted(struct worker *w)
{
	uint32_t max = (uint32_t)w->service->max_connections;

	if (!w->accepting || w->held > 0 || w->now < backoff_until(&w->backoff))
		return false;
	if (w->started >= (w->backoff.delay > 0 ? 1 : w->hands_max))
		return false;
	if (connections_live(&w->table) >= max && w->table.nforeign > 0)
		refresh(w);
	return connections_live(&w->table) < max || w->service->overflow_reject;
}

/* One who was held. */
static void retry(struct worker *w, struct hand *hand)
{
	launch_release(w, hand);
	if (hand->conn == 0) {
		receive(w, hand);
	} else if (peer_gone(hand->fd)) {
		w->peer = launch_give_back(w, hand);
		let_go(w, hand->fd);
	} else {
		launch_again(w, hand);
	}
}

void accept_retry(struct worker *w)
{
	if (w->held == 0)
		return;
	w->queued = false;
	for (size_t i = 0; i < HANDS && w->now >= backoff_until(&w->backoff); i++)
		if (w->hands[i].state == HAND_HELD)
			retry(w, &w->hands[i]);
}

bool accept_refuse_next(struct worker *w)
{
	int fd = w->accepting ? accept4(LISTENER, NULL, NULL, SOCK_CLOEXEC) : -1;

	if (fd >= 0)
		peer_turn_away(fd, w->service->type, NULL);
	return fd >= 0;
}

void accept_refuse_held(struct worker *w)
{
	w->refusing = true;
	for (struct hand *hand = w->hands; hand < w->hands + HANDS; hand++) {
		if (hand->state != HAND_HELD)
			continue;
		launch_release(w, hand);
		launch_refuse(w, hand);
	}
}

void accept_refuse_pending(struct worker *w)
{
	int tries = REFUSE_TRIES;

	while (accept_refuse_next(w) || (w->accepting && errno != EAGAIN && tries-- > 0))
		;
	accept_refuse_held(w);
}
