/*
 * accept.c: a client from accept to its slot in the scoreboard, or to its rejection.
 *
 * Each client that is accepted is on its way to a handler (launch.c) before the next one
 * is, so few are lost if the worker is killed: those that are held.
 */
#include "worker/accept.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/peer.h"
#include "worker/launch.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REFRESH_PAUSE (10 * NSEC_PER_MSEC)
#define REFUSE_TRIES 100 /* when clients cannot be accepted; there is no later */

static void log_client(const struct worker *w, int level, const char *verb,
		       const char *reason, const char *rule)
{
	struct log_line line;

	log_begin(&line, level, verb);
	log_str(&line, "service", w->service->name);
	peer_log(&line, &w->peer);
	log_str(&line, "reason", reason);
	log_str(&line, "rule", rule);
	log_end(&line);
}

/* Returns no slot. */
static uint32_t accept_reject(struct worker *w, int fd, enum reject_reason reason,
			      const char *rule)
{
	w->counters->rejected[reason]++;
	peer_reject(fd, w->service->type, w->service->reject_message);
	log_client(w, LOG_INFO, "reject", reject_name(reason), rule);
	return 0;
}

/* Takes a slot for the client that was accepted last. */
static uint32_t fill_slot(struct worker *w, const char *rule)
{
	uint32_t slot = connections_reserve(&w->connections);
	struct slot *record;

	if (slot == 0)
		return 0;
	record = connections_slot(&w->connections, slot);
	w->call.id = record->id = ++w->counters->numbers;
	record->started = w->now;
	record->uid = w->peer.uid;
	record->gid = w->peer.gid;
	record->peer_pid = w->peer.pid;
	record->expired = 0;
	w->call.rule = strncpy(record->rule, rule, sizeof(record->rule) - 1);
	return slot;
}

/* Looks again at slots that others hold, but not so often that a flood makes it
 * expensive. */
static void refresh_foreign(struct worker *w)
{
	if (w->connections.nforeign == 0 || w->now < w->refresh_at)
		return;
	w->refresh_at = w->now + REFRESH_PAUSE;
	connections_refresh(&w->connections);
}

static bool is_full(const struct worker *w)
{
	return connections_live(&w->connections) >= (uint32_t)w->service->max_connections;
}

/* Counts the client against the limits of its user. */
static enum userlimit_verdict take_limit(struct worker *w)
{
	enum userlimit_verdict verdict = userlimit_take(w->limit, w->peer.uid, w->now);

	if (verdict != USERLIMIT_USER || w->connections.nforeign == 0)
		return verdict;
	refresh_foreign(w); /* perhaps one of theirs has ended meanwhile */
	return userlimit_take(w->limit, w->peer.uid, w->now);
}

/* The slot of a client that may come in; 0: it has been rejected. */
static uint32_t admit(struct worker *w, int fd)
{
	const char *denied, *rule = access_check(&w->service->access, &w->peer, &denied);
	uint32_t slot;

	if (rule == NULL)
		return accept_reject(w, fd, REJECT_RULE, denied);
	if (is_full(w))
		return accept_reject(w, fd, REJECT_LIMIT, NULL);
	switch (take_limit(w)) {
	case USERLIMIT_USER:
		return accept_reject(w, fd, REJECT_USER_LIMIT, NULL);
	case USERLIMIT_RATE:
		return accept_reject(w, fd, REJECT_RATE, NULL);
	case USERLIMIT_OK:
		break;
	}
	slot = fill_slot(w, rule);
	if (slot != 0)
		return slot;
	userlimit_give(w->limit,
		       w->peer.uid); /* every slot of the scoreboard is in use */
	return accept_reject(w, fd, REJECT_LIMIT, NULL);
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

/* The client that was accepted last has disconnected before it was served. */
static void close_disconnected(struct worker *w, int fd)
{
	w->counters->gone++;
	peer_reject(fd, w->service->type, NULL);
	log_client(w, LOG_DEBUG, "gone", NULL, NULL);
}

/* Asks in one call whether the client has disconnected, and whether more are pending. */
static bool has_disconnected(struct worker *w, int fd)
{
	struct pollfd fds[] = {{.fd = fd}, {.fd = LISTENER, .events = POLLIN}};

	if (poll(fds, 2, 0) <= 0)
		return false;
	w->pending = (fds[1].revents & POLLIN) != 0;
	return fds[0].revents != 0 && peer_disconnected(fd);
}

/* A client that was accepted. */
static void receive(struct worker *w, struct launch *launch)
{
	int fd = launch->fd;

	if (peer_read(fd, w->want_groups, &w->peer) < 0) { /* out of memory */
		launch_hold(w, launch, failure("peer"));
	} else if (has_disconnected(w, fd)) {
		close_disconnected(w, fd);
	} else if ((launch->slot = admit(w, fd)) != 0) {
		set_timeout(w, fd);
		spawn_prepare(launch->spawn, fd, &w->call);
		launch_start(w, launch);
	}
}

static void accept_one(struct worker *w)
{
	struct launch *launch = launch_find(w, LAUNCH_UNUSED);

	w->pending = false;
	w->call.from_len = sizeof(w->from);
	launch->slot = 0;
	launch->fd = accept4(LISTENER, (struct sockaddr *)&w->from, &w->call.from_len,
			     SOCK_CLOEXEC);
	if (launch->fd >= 0) {
		w->active = w->now;
		receive(w, launch);
	} else if (errno == EINVAL) { /* another process shut the socket down */
		backoff_failed(&w->backoff, w->service->socket, 0, failure("accept"),
			       w->now);
		w->shut = true;
	} else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
		backoff_busy(&w->backoff, failure("accept"), w->now);
	}
}

void accept_pending(struct worker *w)
{
	for (int i = 0; i < LAUNCHES && accept_wanted(w); i++) {
		accept_one(w);
		if (!w->pending)
			return;
	}
}

/* Whether to look at the listener: while the worker accepts, a launch is unused, nothing
 * is held or backs off, and there is room, or clients are to be rejected for lack of
 * room. After a failure one start has to succeed before there are several at once. */
bool accept_wanted(struct worker *w)
{
	if (!w->accepting || w->in_state[LAUNCH_HELD] > 0 || w->now < w->backoff.until)
		return false;
	if (w->in_state[LAUNCH_STARTED] >= (w->backoff.delay > 0 ? 1 : w->launches_max))
		return false;
	if (is_full(w))
		refresh_foreign(w);
	return !is_full(w) || w->service->overflow_reject;
}

/* A client that was held. */
static void retry_one(struct worker *w, struct launch *launch)
{
	launch_move(w, launch, LAUNCH_UNUSED);
	if (launch->slot == 0) {
		receive(w, launch);
	} else if (peer_disconnected(launch->fd)) {
		w->peer = launch_cancel(w, launch);
		close_disconnected(w, launch->fd);
	} else {
		launch_start(w, launch);
	}
}

void accept_retry(struct worker *w)
{
	struct launch *launch;

	w->pending = false;
	while (w->now >= w->backoff.until &&
	       (launch = launch_find(w, LAUNCH_HELD)) != NULL)
		retry_one(w, launch);
}

bool accept_refuse_next(struct worker *w)
{
	int fd = w->accepting ? accept4(LISTENER, NULL, NULL, SOCK_CLOEXEC) : -1;

	if (fd >= 0)
		peer_reject(fd, w->service->type, NULL);
	return fd >= 0;
}

void accept_refuse_held(struct worker *w)
{
	struct launch *launch;

	w->refusing = true;
	while ((launch = launch_find(w, LAUNCH_HELD)) != NULL) {
		launch_move(w, launch, LAUNCH_UNUSED);
		launch_close(w, launch);
	}
}

void accept_refuse_pending(struct worker *w)
{
	int tries = REFUSE_TRIES;

	while (accept_refuse_next(w) || (w->accepting && errno != EAGAIN && tries-- > 0))
		;
	accept_refuse_held(w);
}
