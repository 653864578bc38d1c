/*
 * status.c: records from instances and scoreboards.
 *
 * A service is shown by one instance, its current one, else a superseded one of which
 * something lives yet. Its generations share a scoreboard, unless it was removed and
 * configured again.
 */
#include "control/status.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/protocol.h"
#include "service/problem.h"
#include "service/recheck.h"

#include <string.h>
#include <unistd.h>

static pid_t status_pid; /* the supervisor's, also in the process that writes an answer */
static int64_t status_started;
static _Atomic uint64_t status_log_dropped; /* lines of the supervisor's own */

void status_open(void)
{
	status_pid = getpid();
	status_started = clock_now();
	log_count_lost(&status_log_dropped);
}

/* The stop, once it has begun. */
static struct {
	bool begun;
	const char *sent, *next; /* what handlers have got, and will get; NULL: nothing */
	int64_t at;              /* when */
} stop;

void status_stopping(const char *sent, const char *next, int64_t at)
{
	stop.begun = true;
	stop.sent = sent;
	stop.next = next;
	stop.at = at;
}

bool status_is_stopping(void)
{
	return stop.begun;
}

static bool status_is_named(const struct instance *u, const char *name)
{
	return !instance_is_control(u) && strcmp(u->service->name, name) == 0;
}

/* Whether something of it lives yet. */
static bool status_is_busy(const struct instance *u)
{
	return u->worker != 0 || u->orphans > 0 || u->listener.fd >= 0;
}

/* The instance under which the connections of an instance's scoreboard are shown: the
 * current one that has it, perhaps under another name, else the first of that name. */
static const struct instance *status_owner(const struct instance *instance)
{
	const struct instance *owner = NULL;

	for (const struct instance *u = services_first(); u != NULL; u = u->next) {
		if (u->board != instance->board)
			continue;
		if (!instance_is_superseded(u))
			return u;
		if (owner == NULL && status_is_named(u, instance->service->name))
			owner = u;
	}
	return owner;
}

struct instance *status_find(const char *name)
{
	struct instance *found = NULL;

	for (struct instance *u = services_first(); u != NULL; u = u->next) {
		if (!status_is_named(u, name))
			continue;
		if (!instance_is_superseded(u))
			return u;
		if (found == NULL && status_is_busy(u) &&
		    (u->board == NULL || instance_is_superseded(status_owner(u))))
			found = u;
	}
	return found;
}

/* The next instance of a service behind `u` (NULL: the first) that has a scoreboard of
 * its own. */
static const struct instance *status_next_board(const char *name,
						const struct instance *u)
{
	for (u = u != NULL ? u->next : services_first(); u != NULL; u = u->next)
		if (status_is_named(u, name) && u->board != NULL && status_owner(u) == u)
			return u;
	return NULL;
}

bool status_next_live(const char *name, struct live *at)
{
	do {
		while (at->instance == NULL ||
		       at->next >= scoreboard_high(at->instance->board->map)) {
			at->instance = status_next_board(name, at->instance);
			at->next = 0;
			if (at->instance == NULL)
				return false;
		}
		at->slot = &at->instance->board->map->slots[at->next++];
		at->pid = atomic_load(&at->slot->pid);
	} while (at->pid <= 0);
	return true;
}

static int64_t status_live(const char *name)
{
	struct live at = {0};
	int64_t live = 0;

	while (status_next_live(name, &at))
		live++;
	return live;
}

/* Until when the service tries nothing; 0: it is not waiting. */
static int64_t status_retry_at(const struct instance *u, int64_t now)
{
	int64_t until = u->backoff.delay > 0 ? u->backoff.until : 0;

	if (u->problem.kind != PROBLEM_NONE && u->enabled && !problem_is_path(u))
		return clock_max(recheck_next(), now + 1);
	if (u->board != NULL && u->board->map->counters.retry_at > until)
		until = u->board->map->counters.retry_at;
	return until > now ? until : 0;
}

static bool status_is_full(const struct instance *u)
{
	return !u->service->wait &&
	       status_live(u->service->name) >= u->service->max_connections;
}

static bool status_is_draining(const struct instance *instance)
{
	if (instance_is_superseded(instance) || instance->enabled)
		return instance_is_superseded(instance);
	for (const struct instance *u = services_first(); u != NULL; u = u->next)
		if (status_is_named(u, instance->service->name) && status_is_busy(u))
			return true;
	return false;
}

/* The first that holds. */
static const char *status_state(const struct instance *u, int64_t now)
{
	enum problem_kind problem = u->enabled ? u->problem.kind : PROBLEM_NONE;

	if (stop.begun)
		return STATE_STOPPING;
	if (problem == PROBLEM_FAILED || problem == PROBLEM_PASSING)
		return STATE_FAILED;
	if (problem == PROBLEM_DISPLACED ||
	    (u->state == INSTANCE_CURRENT && u->enabled && u->seen == LISTENER_FOREIGN))
		return STATE_DISPLACED;
	if (status_is_draining(u))
		return STATE_DRAINING;
	if (!u->enabled)
		return STATE_DISABLED;
	if (status_retry_at(u, now) > 0)
		return STATE_BACKING_OFF;
	return status_is_full(u) ? STATE_FULL : STATE_ENABLED;
}

#define PUT_COUNTER(field, key, unit, metric, help) \
 log_##unit(line, key, (int64_t)(c->field & INT64_MAX));
#define PUT_REJECTED(reason, name, help) \
 log_num(line, REJECT_KEY name, (int64_t)c->rejected[reason]);

static void status_put_counters(struct log_line *line, const struct instance *u)
{
	static const struct counters none;
	const struct counters *c = u->board != NULL ? &u->board->map->counters : &none;

	COUNTERS(PUT_COUNTER)
	REJECT_ROWS(PUT_REJECTED)
}

static void status_put_service(struct log_line *line, int level, const struct instance *u,
			       int64_t now)
{
	log_begin(line, level, RECORD_STATUS);
	log_str(line, KEY_SERVICE, u->service->name);
	log_str(line, KEY_STATE, status_state(u, now));
	if (status_retry_at(u, now) > 0)
		log_sec(line, KEY_RETRY, status_retry_at(u, now) - now);
	if (u->enabled)
		log_str(line, KEY_ERROR, u->problem.text);
	log_str(line, KEY_SOCKET, u->service->socket);
	if (u->service->wait)
		log_str(line, KEY_WAIT, "true");
	log_num(line, KEY_WORKER, u->worker);
	log_num(line, KEY_LIVE, status_live(u->service->name));
	log_num(line, KEY_LIMIT, u->service->max_connections);
	status_put_counters(line, u);
	log_sec(line, KEY_UPTIME, u->listener.fd >= 0 ? now - u->listener.since : 0);
}

/* The record in place of a line of the log. */
static void status_write_line(FILE *out, const struct log_line *line)
{
	if (line->len > 0)
		fwrite(line->text + 1, 1, line->len - 1, out);
	fputc('\n', out);
}

static void status_write_exits(FILE *out, const struct instance *u)
{
	struct log_line line;

	for (size_t i = 0; u->board != NULL && i < EXITS; i++) {
		uint64_t n = u->board->map->counters.exits[i];

		if (n == 0)
			continue;
		log_begin(&line, LOG_ERR, RECORD_EXITS);
		log_str(&line, KEY_SERVICE, u->service->name);
		log_status(&line, exit_status(i));
		log_num(&line, KEY_COUNT, (int64_t)n);
		status_write_line(out, &line);
	}
}

/* The next instance behind `u` (NULL: the first) by which its service is shown: the one
 * of this name, or (NULL) all. */
static const struct instance *status_next_shown(const char *name,
						const struct instance *u)
{
	for (u = u != NULL ? u->next : services_first(); u != NULL; u = u->next)
		if (!instance_is_control(u) &&
		    (name == NULL || status_is_named(u, name)) &&
		    status_find(u->service->name) == u)
			return u;
	return NULL;
}

#define STOP_NAMES 8 /* services that are named of those waited for */

/* Whom the stop waits for: `: a (2 connections), b (1 connection), and 3 more
 * services`. */
static void status_put_awaited(FILE *out)
{
	const struct instance *u = NULL;
	int services = 0;

	while ((u = status_next_shown(NULL, u)) != NULL) {
		int64_t live = status_live(u->service->name);
		bool waits = u->wait_handler && u->worker != 0;

		if (live == 0 && !waits)
			continue;
		if (services++ >= STOP_NAMES)
			continue;
		fprintf(out, "%s %s (", services > 1 ? "," : " and waits for",
			u->service->name);
		if (waits)
			fputs("its handler)", out);
		else
			fprintf(out, "%lld connection%s)", (long long)live,
				live == 1 ? "" : "s");
	}
	if (services > STOP_NAMES)
		fprintf(out, ", and %d more services", services - STOP_NAMES);
}

void status_put_stopping(char *text, size_t size, int64_t now)
{
	FILE *out = fmemopen(text, size, "w");
	long long seconds = (stop.at - now + NSEC_PER_SEC - 1) / NSEC_PER_SEC;

	snprintf(text, size, "udsd is stopping");
	if (out == NULL)
		return;
	fputs("udsd is stopping", out);
	status_put_awaited(out);
	if (stop.sent != NULL)
		fprintf(out, "; handlers have got %s", stop.sent);
	if (stop.next != NULL)
		fprintf(out, "%s %s in %lld s",
			stop.sent != NULL ? ", and get" : "; handlers get", stop.next,
			seconds > 0 ? seconds : 0);
	fclose(out);
	text[size - 1] = '\0';
}

static void status_write_udsd(FILE *out, int64_t now)
{
	struct log_line line;
	char text[STATUS_STOPPING];

	log_begin(&line, LOG_ERR, RECORD_UDSD);
	log_str(&line, KEY_VERSION, PACKAGE_VERSION);
	log_num(&line, KEY_PID, status_pid);
	log_sec(&line, KEY_UPTIME, now - status_started);
	log_num(&line, KEY_SERVICES, (int64_t)services_config()->count);
	log_num(&line, KEY_SOCKETS, (int64_t)services_listening());
	log_num(&line, KEY_LOG_DROPPED,
		(int64_t)(status_log_dropped + *log_channel_unwritten(0)));
	if (stop.begun) {
		status_put_stopping(text, sizeof(text), now);
		log_str(&line, KEY_STOPPING, text);
	}
	status_write_line(out, &line);
}

/* What the log process could not write. */
static void status_count_unwritten(void)
{
	for (struct instance *u = services_first(); u != NULL; u = u->next)
		instance_count_unwritten(u);
}

void status_write(FILE *out, const char *name, int64_t now)
{
	const struct instance *u = NULL;
	struct log_line line;

	status_count_unwritten();
	status_write_udsd(out, now);
	while ((u = status_next_shown(name, u)) != NULL) {
		status_put_service(&line, LOG_ERR, u, now);
		status_write_line(out, &line);
		status_write_exits(out, u);
	}
}

static void status_write_connection(FILE *out, const char *name, const struct live *live,
				    int64_t now)
{
	const struct slot *slot = live->slot;
	struct log_line line;

	log_begin(&line, LOG_ERR, RECORD_CONNECTION);
	log_str(&line, KEY_SERVICE, name);
	log_num(&line, KEY_CONN, (int64_t)slot->id);
	log_num(&line, KEY_PID, live->pid);
	log_num(&line, KEY_PEER_UID, slot->uid);
	log_num(&line, KEY_PEER_GID, slot->gid);
	log_num(&line, KEY_PEER_PID, slot->peer_pid);
	log_sec(&line, KEY_AGE,
		slot->started > 0 && slot->started < now ? now - slot->started : 0);
	log_bytes(&line, KEY_RULE, slot->rule, strnlen(slot->rule, sizeof(slot->rule)));
	status_write_line(out, &line);
}

void status_list(FILE *out, const char *name, int64_t now)
{
	const struct instance *u = NULL;

	if (stop.begun)
		status_write_udsd(out, now);
	while ((u = status_next_shown(name, u)) != NULL) {
		struct live at = {0};

		while (status_next_live(u->service->name, &at))
			status_write_connection(out, u->service->name, &at, now);
	}
}

void status_log(int64_t now)
{
	const struct instance *u = NULL;
	struct log_line line;

	status_count_unwritten();
	while ((u = status_next_shown(NULL, u)) != NULL) {
		status_put_service(&line, LOG_NOTICE, u, now);
		log_end(&line);
	}
}
