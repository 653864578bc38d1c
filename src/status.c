/*
 * status.c: records from units and scoreboards.
 *
 * A service is shown by one unit, its current one, else a former one of which something lives yet. Its
 * generations share a scoreboard, unless it was removed and configured again.
 */
#include "status.h"

#include "clock.h"
#include "log.h"
#include "protocol.h"

#include <string.h>

static bool status_is_named(const struct unit *u, const char *name)
{
	return !unit_is_control(u) && strcmp(u->service->name, name) == 0;
}

/* Whether something of it lives yet. */
static bool status_is_busy(const struct unit *u)
{
	return u->worker != 0 || u->orphans > 0 || u->listener.fd >= 0;
}

/* The unit under which the connections of a unit's scoreboard are shown: the current one that has it,
 * perhaps under another name, else the first of the unit's name. */
static const struct unit *status_owner(const struct supervisor *sup,
				       const struct unit *unit)
{
	const struct unit *owner = NULL;

	for (const struct unit *u = sup->units; u != NULL; u = u->next) {
		if (u->board != unit->board)
			continue;
		if (!u->former)
			return u;
		if (owner == NULL && status_is_named(u, unit->service->name))
			owner = u;
	}
	return owner;
}

struct unit *status_find(const struct supervisor *sup, const char *name)
{
	struct unit *found = NULL;

	for (struct unit *u = sup->units; u != NULL; u = u->next) {
		if (!status_is_named(u, name))
			continue;
		if (!u->former)
			return u;
		if (found == NULL && status_is_busy(u) &&
		    (u->board == NULL || status_owner(sup, u)->former))
			found = u;
	}
	return found;
}

/* The next unit of a service behind `u` (NULL: the first) that has a scoreboard of its own. */
static const struct unit *status_next_board(const struct supervisor *sup,
					    const char *name, const struct unit *u)
{
	for (u = u != NULL ? u->next : sup->units; u != NULL; u = u->next)
		if (status_is_named(u, name) && u->board != NULL &&
		    status_owner(sup, u) == u)
			return u;
	return NULL;
}

bool status_next_live(const struct supervisor *sup, const char *name, struct live *at)
{
	do {
		while (at->unit == NULL ||
		       at->next >= scoreboard_high(at->unit->board->map)) {
			at->unit = status_next_board(sup, name, at->unit);
			at->next = 0;
			if (at->unit == NULL)
				return false;
		}
		at->slot = &at->unit->board->map->slots[at->next++];
		at->pid = atomic_load(&at->slot->pid);
	} while (at->pid <= 0);
	return true;
}

static int64_t status_live(const struct supervisor *sup, const char *name)
{
	struct live at = {0};
	int64_t live = 0;

	while (status_next_live(sup, name, &at))
		live++;
	return live;
}

/* Until when the service tries nothing; 0: it does not back off. */
static int64_t status_retry_at(const struct unit *u, int64_t now)
{
	int64_t until = u->backoff.delay > 0 ? u->backoff.until : 0;

	if (u->board != NULL && u->board->map->counters.retry_at > until)
		until = u->board->map->counters.retry_at;
	return until > now ? until : 0;
}

static const char *status_state(const struct supervisor *sup, const struct unit *unit,
				int64_t now)
{
	const char *name = unit->service->name;

	if (unit->former)
		return STATE_DRAINING;
	if (unit->enabled && unit->seen == LISTENER_FOREIGN)
		return STATE_DISPLACED;
	if (unit->enabled)
		return status_retry_at(unit, now) > 0 ? STATE_BACKING_OFF : STATE_ENABLED;
	for (const struct unit *u = sup->units; u != NULL; u = u->next)
		if (status_is_named(u, name) && status_is_busy(u))
			return STATE_DRAINING;
	return STATE_DISABLED;
}

#define PUT_COUNTER(field, key, unit, metric, help) \
 log_##unit(line, key, (int64_t)(c->field & INT64_MAX));
#define PUT_REJECTED(reason, name, help) \
 log_num(line, REJECT_KEY name, (int64_t)c->rejected[reason]);

static void status_put_counters(struct log_line *line, const struct unit *u)
{
	static const struct counters none;
	const struct counters *c = u->board != NULL ? &u->board->map->counters : &none;

	COUNTERS(PUT_COUNTER)
	REJECT_ROWS(PUT_REJECTED)
}

static void status_put_service(struct log_line *line, int level,
			       const struct supervisor *sup, const struct unit *u,
			       int64_t now)
{
	log_begin(line, level, RECORD_STATUS);
	log_str(line, KEY_SERVICE, u->service->name);
	log_str(line, KEY_STATE, status_state(sup, u, now));
	if (status_retry_at(u, now) > 0)
		log_sec(line, KEY_RETRY, status_retry_at(u, now) - now);
	log_str(line, KEY_SOCKET, u->service->socket);
	if (u->service->wait)
		log_str(line, KEY_WAIT, "true");
	log_num(line, KEY_WORKER, u->worker);
	log_num(line, KEY_LIVE, status_live(sup, u->service->name));
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

static void status_write_exits(FILE *out, const struct unit *u)
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

static void status_write_udsd(FILE *out, const struct supervisor *sup, int64_t now)
{
	struct log_line line;

	log_begin(&line, LOG_ERR, RECORD_UDSD);
	log_str(&line, KEY_VERSION, PACKAGE_VERSION);
	log_num(&line, KEY_PID, sup->pid);
	log_sec(&line, KEY_UPTIME, now - sup->started);
	log_num(&line, KEY_SERVICES, (int64_t)supervisor_config(sup)->count);
	log_num(&line, KEY_SOCKETS, (int64_t)supervisor_listening(sup));
	log_num(&line, KEY_LOG_DROPPED, (int64_t)sup->log_dropped);
	status_write_line(out, &line);
}

/* The next unit behind `u` (NULL: the first) by which its service is shown: the one of this name, or
 * (NULL) all. */
static const struct unit *status_next_shown(const struct supervisor *sup,
					    const char *name, const struct unit *u)
{
	for (u = u != NULL ? u->next : sup->units; u != NULL; u = u->next)
		if (!unit_is_control(u) && (name == NULL || status_is_named(u, name)) &&
		    status_find(sup, u->service->name) == u)
			return u;
	return NULL;
}

void status_write(FILE *out, const struct supervisor *sup, const char *name, int64_t now)
{
	const struct unit *u = NULL;
	struct log_line line;

	status_write_udsd(out, sup, now);
	while ((u = status_next_shown(sup, name, u)) != NULL) {
		status_put_service(&line, LOG_ERR, sup, u, now);
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

void status_list(FILE *out, const struct supervisor *sup, const char *name, int64_t now)
{
	const struct unit *u = NULL;

	while ((u = status_next_shown(sup, name, u)) != NULL) {
		struct live at = {0};

		while (status_next_live(sup, u->service->name, &at))
			status_write_connection(out, u->service->name, &at, now);
	}
}

void status_log(const struct supervisor *sup, int64_t now)
{
	const struct unit *u = NULL;
	struct log_line line;

	while ((u = status_next_shown(sup, NULL, u)) != NULL) {
		status_put_service(&line, LOG_NOTICE, sup, u, now);
		log_end(&line);
	}
}
