/*
 * request.c: what may be asked of the supervisor, one function each.
 */
#include "control_state.h"

#include "change.h"
#include "log.h"
#include "orphan.h"
#include "path.h"
#include "reload.h"
#include "status.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct request {
	struct supervisor *sup;
	struct client *client;
	const char *service; /* NULL: not said */
	struct unit *unit;   /* its unit */
	const char *conn;    /* NULL: not said */
	int64_t now;
};

/* What changes something is logged, with who wanted it. */
static void log_request(const struct request *r, const char *what)
{
	struct log_line line;

	log_begin(&line, LOG_NOTICE, "control");
	log_str(&line, "request", what);
	if (r->service != NULL)
		log_str(&line, "service", r->service);
	if (r->conn != NULL)
		log_str(&line, "conn", r->conn);
	log_num(&line, "peer-uid", r->client->peer.uid);
	log_num(&line, "peer-gid", r->client->peer.gid);
	log_num(&line, "peer-pid", r->client->peer.pid);
	log_end(&line);
}

#define RECORDS_END "end\n" /* so that a reader knows that it has all */

static void answer_records(const struct request *r,
			   void (*write)(FILE *out, const struct supervisor *sup,
					 const char *name, int64_t now))
{
	FILE *out;

	if (!control_begin_answer(r->client, &out))
		return;
	fputs("ok\n", out);
	write(out, r->sup, r->service, r->now);
	fputs(RECORDS_END, out);
	control_end_answer(out);
}

static void do_status(const struct request *r)
{
	answer_records(r, status_write);
}

static void do_list(const struct request *r)
{
	answer_records(r, status_list);
}

/* Tells whoever has the connection in its hands to end it: its worker, whichever generation, or us.
 * What the slot says is believed only so far: a worker looks it up among its own, and an orphan is
 * our child. */
static bool end_connection(const struct request *r, const struct board *board,
			   const struct slot *slot, pid_t pid)
{
	for (struct unit *u = r->sup->units; u != NULL; u = u->next)
		if (u->worker != 0 && u->worker == slot->owner && !u->inetd &&
		    u->board == board)
			return unit_end(u, slot->conn);
	return orphan_end(slot, pid, r->now);
}

static bool find_and_end(const struct request *r, uint64_t conn)
{
	const struct unit *u = NULL;

	while ((u = status_next_board(r->sup, r->service, u)) != NULL) {
		struct scoreboard *map = u->board->map;

		for (uint32_t i = 0; i < scoreboard_high(map); i++) {
			pid_t pid = atomic_load(&map->slots[i].pid);

			if (pid > 0 && map->slots[i].conn == conn &&
			    end_connection(r, u->board, &map->slots[i], pid))
				return true;
		}
	}
	return false;
}

static void do_kill(const struct request *r)
{
	char *end;
	uint64_t conn = strtoull(r->conn, &end, 10);

	if (*end != '\0' || *r->conn < '0' || *r->conn > '9') {
		control_error(r->client, "the number of a connection is wanted");
	} else if (find_and_end(r, conn)) {
		log_request(r, "kill");
		control_answer(r->client, "ok\n");
	} else {
		control_error(r->client, "no live connection has this number");
	}
}

static void set_enabled(const struct request *r, const char *what, bool enabled)
{
	const char *step;
	char error[256];

	if (r->unit->former) {
		control_error(r->client, "the service has been removed from the config");
		return;
	}
	if (r->unit->enabled == enabled) {
		control_answer(r->client, "ok\n");
		return;
	}
	log_request(r, what);
	if (change_unit(r->sup, r->unit, enabled, &step, r->now) == 0) {
		path_look_soon(r->sup, r->now);
		control_answer(r->client, "ok\n");
		return;
	}
	snprintf(error, sizeof(error), "%s: %s", step, strerror(errno));
	control_error(r->client, error);
}

static void do_disable(const struct request *r)
{
	set_enabled(r, "disable", false);
}

static void do_enable(const struct request *r)
{
	set_enabled(r, "enable", true);
}

/* One that has begun may have read the config before it was changed, so the next one counts. */
static void do_reload(const struct request *r)
{
	log_request(r, "reload");
	control_await_reload(r->sup, r->client, r->now);
	reload_request(r->sup, r->now);
}

static const struct {
	const char *name;
	int least, most; /* words behind it */
	void (*run)(const struct request *r);
} requests[] = {
	{"status", 0, 1, do_status}, {"list", 0, 1, do_list},
	{"kill", 2, 2, do_kill},     {"disable", 1, 1, do_disable},
	{"enable", 1, 1, do_enable}, {"reload", 0, 0, do_reload},
};

void request_run(struct supervisor *sup, struct client *c, int64_t now)
{
	struct request r = {.sup = sup, .client = c, .now = now};
	char *rest = c->request, *word[4];
	int n = 0;

	while (n < 4 && (word[n] = strtok_r(rest, " \t\r", &rest)) != NULL)
		n++;
	if (sup->stopping) {
		control_error(c, "udsd is stopping");
		return;
	}
	r.service = n > 1 ? word[1] : NULL;
	r.conn = n > 2 ? word[2] : NULL;
	for (size_t i = 0; n > 0 && i < sizeof(requests) / sizeof(*requests); i++) {
		if (strcmp(word[0], requests[i].name) != 0)
			continue;
		r.unit = n > 1 ? status_find(sup, r.service) : NULL;
		if (n - 1 < requests[i].least || n - 1 > requests[i].most)
			control_error(c, "too few or too many words");
		else if (n > 1 && r.unit == NULL)
			control_error(c, "no service has this name");
		else
			requests[i].run(&r);
		return;
	}
	control_error(c, "no such request: there are status, list, kill, disable, enable "
			 "and reload");
}
