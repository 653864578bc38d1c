/*
 * globals.c: the table of the options for all: the log, the pid file, the control socket.
 */
#include "config/globals.h"

#include "config/service.h"
#include "common/defaults.h"
#include "common/log.h"

#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#define AT(field) offsetof(struct config, field)

const struct option_row global_options[] = {
	{"log-level", KIND_LEVEL, AT(log_level), .fallback = "info"},
	{"syslog-facility", KIND_FACILITY, AT(syslog_facility), .fallback = "daemon"},
	{"pid-file", KIND_MAYBE_PATH, AT(pid_file), .find_fallback = defaults_pid_file},
	{"control-socket", KIND_MAYBE_SOCKET, AT(control.socket),
	 .find_fallback = defaults_control_socket},
	{"control-mode", KIND_MODE, AT(control.socket_mode), .fallback = "0600"},
	{"control-allow", KIND_RULES, AT(control.access.allow), .flags = 0},
	{"stop-timeout", KIND_DURATION, AT(stop_timeout), .fallback = "10s"},
	{"include", KIND_LIST, AT(include), .flags = 0},
	{0},
};

/* What a service's options would say of the control socket. */
static void globals_init_control(const struct build *b, const struct section *top)
{
	const char *self[] = {"self", "uid:0"}, *text;
	struct service *control = &b->config->control;

	*control = (struct service){
		.name = arena_text(b->arena, CONTROL_NAME),
		.at = top->at,
		.enabled = true,
		.type = SOCK_STREAM,
		.socket_owner = (uid_t)-1,
		.socket_group = (gid_t)-1,
		.directory_mode = 0755,
		.backlog = INT32_MAX,
		.log_level = LOG_INFO,
	};
	(void)rule_list_parse(b->arena, self, 2, &control->access.allow, &text);
}

/* What `control-allow +=` says is added to the default. */
static void globals_join_rules(const struct build *b, const struct rule_list *before)
{
	struct rule_list *list = &b->config->control.access.allow;
	size_t count = before->count + list->count;
	struct rule *all = arena_take(b->arena, count * sizeof(*all));

	memcpy(all, before->rules, before->count * sizeof(*all));
	memcpy(all + before->count, list->rules, list->count * sizeof(*all));
	*list = (struct rule_list){count, all};
}

void globals_build(const struct build *b, const struct section *top,
		   const struct load_source *source)
{
	const struct statement *allow = section_find(top, "control-allow");
	struct config *c = b->config;
	bool is_default =
		source->path != NULL && strcmp(source->path, defaults_config()) == 0;
	struct rule_list before;

	globals_init_control(b, top);
	before = c->control.access.allow;
	for (const struct option_row *row = global_options; row->name != NULL; row++) {
		const struct statement *given = section_find(top, row->name);

		option_set(b, c, row, given);
		/* an ordinary user without a login has no directory for these two; a
		 * warning for the config that is served without -c */
		if (given == NULL && row->find_fallback != NULL && is_default &&
		    *row->find_fallback() == '\0')
			fault_warn(b->faults, top->at,
				   "%s: none, because XDG_RUNTIME_DIR is not set: set "
				   "it, or say where (\"\" for none)",
				   row->name);
		if (given == NULL || strncmp(row->name, "control-", 8) != 0)
			continue;
		c->control.at = given->at;
		service_note(b, b->arena, &c->control, row, given);
	}
	if (allow != NULL && allow->append)
		globals_join_rules(b, &before);
	if (source->log_level >= 0)
		c->log_level = source->log_level;
	if (source->pid_file != NULL)
		c->pid_file = arena_text(b->arena, source->pid_file);
}
