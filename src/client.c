/*
 * client.c: a client from accept to its handler, or to its being turned away.
 */
#include "client.h"

#include "clock.h"
#include "handler.h"
#include "log.h"
#include "peer.h"

#include <errno.h>
#include <signal.h>
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

static void log_open_line(const struct worker *w, const struct slot *slot)
{
	struct log_line line;

	log_begin(&line, LOG_INFO, "open");
	log_str(&line, "service", w->service->name);
	log_num(&line, "conn", (int64_t)slot->conn);
	log_num(&line, "pid", atomic_load(&slot->pid));
	log_peer(&line, w);
	log_str(&line, "rule", slot->rule);
	log_end(&line);
}

static void signal_unblock(int sig)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* Ends a connection. A descriptor that its client has sent may take any time to close (SO_LINGER),
 * so there this is done by a process of its own, which has a second for it. */
static void turn_away(const struct worker *w, int fd, const char *message)
{
	pid_t pid = w->takes_fds ? fork() : -1;

	if (pid == 0) {
		signal_unblock(SIGALRM);
		alarm(1);
		peer_refuse(fd, w->service->type, message);
		_exit(0);
	}
	if (pid > 0)
		close(fd);
	else
		peer_refuse(fd, w->service->type, message);
}

static void reject(struct worker *w, int fd, enum reject_reason reason, const char *rule)
{
	w->counters->rejected[reason]++;
	turn_away(w, fd, w->service->reject_message);
	log_client(w, LOG_INFO, "reject", reject_name(reason), rule);
}

/* Takes a slot for the client in hand. */
static uint32_t fill_slot(struct worker *w, const char *rule)
{
	uint32_t conn = table_reserve(&w->table);
	struct slot *slot;

	if (conn == 0)
		return 0;
	slot = table_slot(&w->table, conn);
	slot->conn = ++w->counters->numbers;
	slot->started = w->now;
	slot->uid = w->peer.uid;
	slot->gid = w->peer.gid;
	slot->peer_pid = w->peer.pid;
	slot->expired = 0;
	strncpy(slot->rule, rule, sizeof(slot->rule) - 1);
	return conn;
}

/* A client that had a slot will not be served: the slot and its user's share are free again. */
static void free_slot(struct worker *w, uint32_t conn)
{
	limit_give(w->limit, table_slot(&w->table, conn)->uid);
	table_cancel(&w->table, conn);
}

/* The handler could not be started. */
static void start_failed(struct worker *w, int fd, uint32_t conn, const char *step)
{
	struct slot *slot = table_slot(&w->table, conn);

	if (handler_is_busy(errno)) {
		atomic_store(&slot->pid, slot_reserved(w->pid));
		overload_busy(&w->overload, "spawn", errno, w->now);
		w->held = fd;
		w->held_conn = conn;
		return;
	}
	w->counters->failures++;
	overload_failed(&w->overload, w->service->handler[0], slot->conn, step, errno,
			w->now);
	free_slot(w, conn);
	turn_away(w, fd, NULL);
}

/* Starts the handler for a client that has a slot. */
static void serve(struct worker *w, int fd, uint32_t conn)
{
	struct slot *slot = table_slot(&w->table, conn);
	const struct handler_call call = {.fd = fd,
					  .peer = &w->peer,
					  .from = &w->from,
					  .from_len = w->from_len,
					  .conn = slot->conn,
					  .rule = slot->rule,
					  .pid = &slot->pid};
	const char *step;

	if (handler_spawn(w->handler, &call, &step) < 0) {
		start_failed(w, fd, conn, step);
		return;
	}
	close(fd);
	overload_over(&w->overload);
	table_open(&w->table, conn, w->now);
	w->counters->opened++;
	if (w->counters->peak < table_live(&w->table))
		w->counters->peak = table_live(&w->table);
	log_open_line(w, slot);
}

/* Looks again at slots that others hold, but not so often that a flood makes it dear. */
static void refresh(struct worker *w)
{
	if (w->now < w->refresh_at)
		return;
	w->refresh_at = w->now + REFRESH_PAUSE;
	table_refresh(&w->table);
}

/* Whether the peer may come in: the rule that lets it, or NULL, and then it has been turned away.
 * If it may, it counts against the limits of its user. */
static const char *admit(struct worker *w, int fd)
{
	const char *denied, *rule = access_check(&w->service->access, &w->peer, &denied);
	enum limit_verdict verdict;

	if (rule == NULL) {
		reject(w, fd, REJECT_RULE, denied);
		return NULL;
	}
	if (table_live(&w->table) >= (uint32_t)w->service->max_connections) {
		reject(w, fd, REJECT_LIMIT, NULL);
		return NULL;
	}
	verdict = limit_take(w->limit, w->peer.uid, w->now);
	if (verdict == LIMIT_USER && w->table.nforeign > 0) {
		refresh(w); /* perhaps one of theirs has ended meanwhile */
		verdict = limit_take(w->limit, w->peer.uid, w->now);
	}
	if (verdict == LIMIT_OK)
		return rule;
	reject(w, fd, verdict == LIMIT_USER ? REJECT_USER_LIMIT : REJECT_RATE, NULL);
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
	turn_away(w, fd, NULL);
	log_client(w, LOG_DEBUG, "gone", NULL, NULL);
}

/* A client that was accepted. */
static void receive(struct worker *w, int fd)
{
	const char *rule;
	uint32_t conn;

	if (peer_read(fd, w->want_groups, &w->peer) < 0) { /* for want of memory */
		overload_busy(&w->overload, "peer", errno, w->now);
		w->held = fd;
		w->held_conn = 0;
		return;
	}
	if (peer_gone(fd)) {
		let_go(w, fd);
		return;
	}
	rule = admit(w, fd);
	if (rule == NULL)
		return;
	conn = fill_slot(w, rule);
	if (conn == 0) { /* every slot of the scoreboard is in use */
		limit_give(w->limit, w->peer.uid);
		reject(w, fd, REJECT_LIMIT, NULL);
		return;
	}
	set_timeout(w, fd);
	serve(w, fd, conn);
}

/* One client a turn: no more than one is in our hands if we are killed. */
void client_accept(struct worker *w)
{
	int fd;

	w->from_len = sizeof(w->from);
	fd = accept4(LISTENER, (struct sockaddr *)&w->from, &w->from_len, SOCK_CLOEXEC);
	if (fd >= 0) {
		w->active = w->now;
		receive(w, fd);
	} else if (errno == EINVAL) { /* somebody shut the socket down */
		overload_failed(&w->overload, w->service->socket, 0, "accept", errno,
				w->now);
		w->shut = true;
	} else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
		overload_busy(&w->overload, "accept", errno, w->now);
	}
}

/* Whether to look at the listener: while we accept, nothing is held or has to be waited for, and
 * there is room, or nobody has to wait for room. */
bool client_wanted(struct worker *w)
{
	uint32_t max = (uint32_t)w->service->max_connections;

	if (!w->accepting || w->held >= 0 || w->now < overload_until(&w->overload))
		return false;
	if (table_live(&w->table) >= max && w->table.nforeign > 0)
		refresh(w);
	return table_live(&w->table) < max || w->service->overflow_reject;
}

void client_retry(struct worker *w)
{
	int fd = w->held;

	if (fd < 0 || w->now < overload_until(&w->overload))
		return;
	w->held = -1;
	if (w->held_conn == 0) {
		receive(w, fd);
	} else if (peer_gone(fd)) {
		free_slot(w, w->held_conn);
		let_go(w, fd);
	} else {
		serve(w, fd, w->held_conn);
	}
}

bool client_refuse_next(struct worker *w)
{
	int fd = w->accepting ? accept4(LISTENER, NULL, NULL, SOCK_CLOEXEC) : -1;

	if (fd >= 0)
		turn_away(w, fd, NULL);
	return fd >= 0;
}

void client_refuse_queued(struct worker *w)
{
	int tries = REFUSE_TRIES;

	while (client_refuse_next(w) || (w->accepting && errno != EAGAIN && tries-- > 0))
		;
	if (w->held < 0)
		return;
	if (w->held_conn != 0)
		free_slot(w, w->held_conn);
	turn_away(w, w->held, NULL);
	w->held = -1;
}
