/*
 * commands.c: the commands of the control socket: a table, a function each.
 *
 * A function answers its client, or lets it wait for a reload. What changes something is
 * logged, with the peer that asked for it.
 */
#include "control/commands.h"

#include "service/renew.h"
#include "common/log.h"
#include "common/near.h"
#include "service/orphans.h"
#include "service/problem.h"
#include "service/recheck.h"
#include "service/reload.h"
#include "control/status.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct request;

struct command {
	const char *name, *arguments;
	void (*run)(const struct request *r);
	status_writer *write; /* of commands_records() */
	bool refused;         /* while udsd is stopping */
};

struct request {
	const struct command *command;
	struct client *client;
	const char *service; /* NULL: not said */
	struct instance *instance;
	const char *id; /* NULL: not said */
	int64_t now;
};

static void commands_log(const struct request *r)
{
	struct log_line line;

	log_begin(&line, LOG_NOTICE, "control");
	log_str(&line, "request", r->command->name);
	if (r->service != NULL)
		log_str(&line, KEY_SERVICE, r->service);
	if (r->id != NULL)
		log_str(&line, KEY_CONN, r->id);
	peer_log(&line, &r->client->peer);
	log_end(&line);
}

static void commands_records(const struct request *r)
{
	FILE *out;

	if (!control_begin_answer(r->client, &out))
		return;
	fputs(ANSWER_OK, out);
	r->command->write(out, r->service, r->now);
	fputs(RECORD_END "\n", out);
	control_end_answer(out);
}

/* Has a connection ended by its worker, of whichever generation, or as an orphan. What
 * the slot says is untrusted: a worker looks the connection up among its own, and an
 * orphan is our child. */
static bool commands_end(const struct request *r, const struct live *live)
{
	for (struct instance *u = services_first(); u != NULL; u = u->next)
		if (u->worker != 0 && u->worker == live->slot->owner &&
		    !u->wait_handler && u->board == live->instance->board)
			return instance_end(u, live->slot->id);
	return orphans_end(live->slot, live->pid, r->now);
}

static bool commands_find_and_end(const struct request *r, uint64_t id)
{
	struct live at = {0};

	while (status_next_live(r->service, &at))
		if (at.slot->id == id && commands_end(r, &at))
			return true;
	return false;
}

static void commands_kill(const struct request *r)
{
	char *end;
	uint64_t id = strtoull(r->id, &end, 10);

	if (*end != '\0' || *r->id < '0' || *r->id > '9') {
		control_error(
			r->client,
			"a connection's number is needed, as `udsctl list` shows it");
	} else if (commands_find_and_end(r, id)) {
		commands_log(r);
		control_answer(r->client, ANSWER_OK);
	} else {
		control_error(r->client,
			      "no live connection has this number, see `udsctl list`");
	}
}

/* What keeps the service from running may have been fixed. */
static void commands_try(const struct request *r)
{
	struct instance *i = r->instance;

	i->enabled = true;
	if (i->problem.kind == PROBLEM_NONE)
		(void)problem_set(i, &i->service->problem);
	control_await_recheck(r->client, recheck_request(), r->service, r->now);
}

static void commands_set_enabled(const struct request *r, bool enabled)
{
	struct failure f;

	if (instance_is_superseded(r->instance)) {
		control_error(r->client, "the service has been removed from the config");
		return;
	}
	if (r->instance->enabled == enabled &&
	    (!enabled || r->instance->problem.kind == PROBLEM_NONE)) {
		control_answer(r->client, ANSWER_OK);
		return;
	}
	commands_log(r);
	if (enabled && !problem_is_path(r->instance) &&
	    (r->instance->problem.kind != PROBLEM_NONE ||
	     !service_can_run(r->instance->service))) {
		commands_try(r);
		return;
	}
	f = renew_instance(r->instance, enabled, r->now);
	if (!failed(f)) {
		control_answer(r->client, ANSWER_OK);
		return;
	}
	control_error(r->client, "%s: %s", f.operation, strerror(f.error));
}

static void commands_disable(const struct request *r)
{
	commands_set_enabled(r, false);
}

static void commands_enable(const struct request *r)
{
	commands_set_enabled(r, true);
}

static void commands_reload(const struct request *r)
{
	commands_log(r);
	control_await_reload(r->client, reload_request(), r->now);
}

static const struct command commands[] = {
	{"status", "[SERVICE]", .run = commands_records, .write = status_write},
	{"list", "[SERVICE]", .run = commands_records, .write = status_list},
	{"kill", "SERVICE CONN", .run = commands_kill},
	{"disable", "SERVICE", .run = commands_disable, .refused = true},
	{"enable", "SERVICE", .run = commands_enable, .refused = true},
	{"reload", "", .run = commands_reload, .refused = true},
};

#define COMMANDS (sizeof(commands) / sizeof(*commands))

static const struct command *commands_find(const char *name)
{
	for (size_t i = 0; name != NULL && i < COMMANDS; i++)
		if (strcmp(name, commands[i].name) == 0)
			return &commands[i];
	return NULL;
}

static void commands_stopping(struct client *c, int64_t now)
{
	char text[STATUS_STOPPING];

	status_put_stopping(text, sizeof(text), now);
	control_error(c, "%s", text);
}

/* No service has the name: names the service that may be meant. */
static void commands_no_service(struct client *c, const char *name)
{
	struct near near = {.word = name};

	for (const struct instance *i = services_first(); i != NULL; i = i->next)
		if (!instance_is_control(i))
			near_try(&near, i->service->name);
	control_error(c, "no service has this name%s", near_hint(near.name));
}

static void commands_unknown(struct client *c)
{
	char names[256];
	size_t len = 0;

	for (size_t i = 0; i < COMMANDS && len < sizeof(names); i++)
		len += (size_t)snprintf(names + len, sizeof(names) - len, "%s %s",
					i > 0 ? "," : "", commands[i].name);
	control_error(c, "no such request: there are%s", names);
}

void commands_run(struct client *c, int64_t now)
{
	char *rest = c->request, *word[4] = {NULL};
	struct request r = {.client = c, .now = now};
	int n = 0;

	while (n < 4 && (word[n] = strtok_r(rest, " \t\r", &rest)) != NULL)
		n++;
	r.command = commands_find(word[0]);
	r.service = word[1];
	r.id = n > 2 ? word[2] : NULL;
	if (r.service != NULL)
		r.instance = status_find(r.service);
	if (r.command == NULL)
		commands_unknown(c);
	else if (!protocol_takes(r.command->arguments, n - 1))
		control_error(c, "too few or too many words: %s %s", r.command->name,
			      r.command->arguments);
	else if (r.service != NULL && r.instance == NULL)
		commands_no_service(c, r.service);
	else if (r.command->refused && status_is_stopping())
		commands_stopping(c, now);
	else
		r.command->run(&r);
}
