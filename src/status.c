/*
 * status.c: records from units and scoreboards.
 */
#include "status.h"

#include "clock.h"
#include "log.h"
#include "orphan.h"

#include <string.h>
#include <unistd.h>

static bool is_named(const struct unit *u, const char *name)
{
	return !unit_is_control(u) && strcmp(u->service->name, name) == 0;
}

/* Whether something of it lives yet. */
static bool is_busy(const struct unit *u)
{
	return u->worker != 0 || u->orphans > 0 || u->listener.fd >= 0;
}

/* Whether a former unit's connections are told of as those of a current one. */
static bool is_succeeded(const struct supervisor *sup, const struct unit *former)
{
	for (const struct unit *u = sup->units; u != NULL; u = u->next)
		if (!u->former && (is_named(u, former->service->name) ||
				   (u->board != NULL && u->board == former->board)))
			return true;
	return false;
}

struct unit *status_find(const struct supervisor *sup, const char *name)
{
	struct unit *found = NULL;

	for (struct unit *u = sup->units; u != NULL; u = u->next) {
		if (!is_named(u, name))
			continue;
		if (!u->former)
			return u;
		if (found == NULL && is_busy(u) && !is_succeeded(sup, u))
			found = u;
	}
	return found;
}

/* Whether an earlier unit of the same service has the same scoreboard. */
static bool is_seen(const struct supervisor *sup, const struct unit *unit)
{
	const struct unit *u = sup->units;

	while (u != unit && (u->board != unit->board ||
			     strcmp(u->service->name, unit->service->name) != 0))
		u = u->next;
	return u != unit;
}

/* Whether a current service of another name has this former unit's scoreboard: it was renamed. */
static bool is_renamed(const struct supervisor *sup, const struct unit *former)
{
	const struct unit *u = sup->units;

	while (u != NULL && (u->former || u->board != former->board ||
			     is_named(u, former->service->name)))
		u = u->next;
	return former->former && u != NULL;
}

const struct unit *status_next_board(const struct supervisor *sup, const char *name,
				     const struct unit *u)
{
	for (u = u != NULL ? u->next : sup->units; u != NULL; u = u->next)
		if (is_named(u, name) && u->board != NULL && !is_seen(sup, u) &&
		    !is_renamed(sup, u))
			return u;
	return NULL;
}

static int64_t count_live(const struct supervisor *sup, const char *name)
{
	const struct unit *u = NULL;
	int64_t live = 0;

	while ((u = status_next_board(sup, name, u)) != NULL)
		for (uint32_t i = 0; i < scoreboard_high(u->board->map); i++)
			live += atomic_load(&u->board->map->slots[i].pid) > 0;
	return live;
}

/* Until when the service tries nothing; 0: it does not back off. */
static int64_t retry_at(const struct unit *u, int64_t now)
{
	int64_t until = u->backoff.delay > 0 ? backoff_until(&u->backoff) : 0;

	if (u->board != NULL && u->board->map->counters.retry_at > until)
		until = u->board->map->counters.retry_at;
	return until > now ? until : 0;
}

static const char *state_of(const struct supervisor *sup, const struct unit *unit,
			    int64_t now)
{
	const char *name = unit->service->name;

	if (unit->former)
		return "draining";
	if (unit->enabled && unit->seen == LISTENER_FOREIGN)
		return "displaced";
	if (unit->enabled)
		return retry_at(unit, now) > 0 ? "backing-off" : "enabled";
	for (const struct unit *u = sup->units; u != NULL; u = u->next)
		if (is_named(u, name) && is_busy(u))
			return "draining";
	return "disabled";
}

#define PUT_COUNTER(field, key, unit, metric, help) \
 log_##unit(line, key, (int64_t)(c->field & INT64_MAX));
#define PUT_REJECTED(reason, name, help) \
 log_num(line, REJECT_KEY name, (int64_t)c->rejected[reason]);

static void put_counters(struct log_line *line, const struct unit *u)
{
	static const struct counters none;
	const struct counters *c = u->board != NULL ? &u->board->map->counters : &none;

	COUNTERS(PUT_COUNTER)
	REJECT_ROWS(PUT_REJECTED)
}

static void fill(struct log_line *line, int level, const struct supervisor *sup,
		 const struct unit *u, int64_t now)
{
	log_begin(line, level, "status");
	log_str(line, "service", u->service->name);
	log_str(line, "state", state_of(sup, u, now));
	if (retry_at(u, now) > 0)
		log_sec(line, "retry", retry_at(u, now) - now);
	log_str(line, "socket", u->service->socket);
	if (u->service->wait)
		log_str(line, "wait", "true");
	log_num(line, "worker", u->worker);
	log_num(line, "live", count_live(sup, u->service->name));
	log_num(line, "limit", u->service->max_connections);
	put_counters(line, u);
	log_sec(line, "uptime", u->listener.fd >= 0 ? now - u->listener.since : 0);
}

/* The record in place of a line of the log. */
static void write_line(FILE *out, const struct log_line *line)
{
	if (line->len > 0)
		fwrite(line->text + 1, 1, line->len - 1, out);
	fputc('\n', out);
}

static void write_exits(FILE *out, const struct unit *u)
{
	struct log_line line;

	for (size_t i = 0; u->board != NULL && i < EXITS; i++) {
		uint64_t n = u->board->map->counters.exits[i];

		if (n == 0)
			continue;
		log_begin(&line, LOG_ERR, "exits");
		log_str(&line, "service", u->service->name);
		log_status(&line, exit_status(i));
		log_num(&line, "count", (int64_t)n);
		write_line(out, &line);
	}
}

static void write_udsd(FILE *out, const struct supervisor *sup, int64_t now)
{
	struct log_line line;

	log_begin(&line, LOG_ERR, "udsd");
	log_str(&line, "version", PACKAGE_VERSION);
	log_num(&line, "pid", sup->pid);
	log_sec(&line, "uptime", now - sup->started);
	log_num(&line, "services", (int64_t)supervisor_config(sup)->count);
	log_num(&line, "sockets", (int64_t)supervisor_listening(sup));
	log_num(&line, "log-dropped", (int64_t)sup->log_dropped);
	write_line(out, &line);
}

/* Whether the unit stands for its service here. */
static bool is_told(const struct supervisor *sup, const struct unit *u, const char *name)
{
	return !unit_is_control(u) && (name == NULL || is_named(u, name)) &&
	       status_find(sup, u->service->name) == u;
}

void status_write(FILE *out, const struct supervisor *sup, const char *name, int64_t now)
{
	struct log_line line;

	write_udsd(out, sup, now);
	for (const struct unit *u = sup->units; u != NULL; u = u->next) {
		if (!is_told(sup, u, name))
			continue;
		fill(&line, LOG_ERR, sup, u, now);
		write_line(out, &line);
		write_exits(out, u);
	}
}

static void write_connection(FILE *out, const char *name, const struct slot *slot,
			     int64_t now)
{
	pid_t pid = atomic_load(&slot->pid);
	struct log_line line;

	if (pid <= 0)
		return;
	log_begin(&line, LOG_ERR, "connection");
	log_str(&line, "service", name);
	log_num(&line, "conn", (int64_t)slot->conn);
	log_num(&line, "pid", pid);
	log_num(&line, "peer-uid", slot->uid);
	log_num(&line, "peer-gid", slot->gid);
	log_num(&line, "peer-pid", slot->peer_pid);
	log_sec(&line, "age",
		slot->started > 0 && slot->started < now ? now - slot->started : 0);
	log_bytes(&line, "rule", slot->rule, strnlen(slot->rule, sizeof(slot->rule)));
	write_line(out, &line);
}

void status_list(FILE *out, const struct supervisor *sup, const char *name, int64_t now)
{
	for (const struct unit *u = sup->units; u != NULL; u = u->next) {
		const char *own = u->service->name;
		const struct unit *with = NULL;

		if (!is_told(sup, u, name))
			continue;
		while ((with = status_next_board(sup, own, with)) != NULL)
			for (uint32_t i = 0; i < scoreboard_high(with->board->map); i++)
				write_connection(out, own, &with->board->map->slots[i],
						 now);
	}
}

void status_log(const struct supervisor *sup, int64_t now)
{
	struct log_line line;

	for (const struct unit *u = sup->units; u != NULL; u = u->next) {
		if (!is_told(sup, u, NULL))
			continue;
		fill(&line, LOG_NOTICE, sup, u, now);
		log_end(&line);
	}
}
