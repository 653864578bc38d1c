/*
 * globals.c: the log, the pid file, the control socket, time to stop.
 */
#include "globals.h"

#include "clock.h"
#include "defaults.h"
#include "log.h"
#include "value.h"
#include "service.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static const char no_memory[] = "finds no memory left";

/* The text takes the place of what was there. */
static const char *replace(char **field, const char *text)
{
	free(*field);
	*field = strdup(text);
	return *field != NULL ? NULL : no_memory;
}

static const char *set_log_level(struct config *c, const char *text)
{
	c->log_level = log_level_parse(text);
	return c->log_level >= 0 ? NULL : "must be error, warning, notice, info or debug";
}

static const char *set_facility(struct config *c, const char *text)
{
	return value_facility(text, &c->syslog_facility);
}

static const char *set_stop_timeout(struct config *c, const char *text)
{
	return value_duration(text, &c->stop_timeout);
}

static const char *set_pid_file(struct config *c, const char *text)
{
	const char *error = *text != '\0' ? value_path(text) : NULL;

	return error != NULL ? error : replace(&c->pid_file, text);
}

static const char *set_control_socket(struct config *c, const char *text)
{
	const char *error = *text != '\0' ? value_socket(text) : NULL;

	return error != NULL ? error : replace(&c->control.socket, text);
}

static const char *set_control_mode(struct config *c, const char *text)
{
	return value_mode(text, &c->control.socket_mode);
}

/* Options with one value; control-allow and include are lists. */
static const struct {
	const char *name;
	const char *(*set)(struct config *c, const char *text);
} globals[] = {
	{"log-level", set_log_level},           {"syslog-facility", set_facility},
	{"stop-timeout", set_stop_timeout},     {"pid-file", set_pid_file},
	{"control-socket", set_control_socket}, {"control-mode", set_control_mode},
};

/* An ordinary user whom nobody has logged in has no directory for the pid file and the control socket. */
static void warn_of_nowhere(const struct config *c, const struct section *top, size_t i,
			    struct faults *faults)
{
	bool none = (globals[i].set == set_pid_file && *c->pid_file == '\0') ||
		    (globals[i].set == set_control_socket && *c->control.socket == '\0');

	if (none)
		fault_warn(faults, top->source->path, 0,
			   "%s: none, because XDG_RUNTIME_DIR is not set: set it, or say "
			   "where (\"\" for none)",
			   globals[i].name);
}

static void apply(struct config *c, const struct section *top, size_t i,
		  struct faults *faults)
{
	const char **texts, *text, *error;
	size_t n;
	unsigned line = section_texts(top, globals[i].name, &texts, &n, faults);

	if (line == 0) {
		warn_of_nowhere(c, top, i, faults);
		return;
	}
	text = n > 0 ? texts[0] : "";
	error = globals[i].set(c, text);
	if (error != NULL)
		fault_add(faults, top->source->path, line, "%s: \"%s\" %s",
			  globals[i].name, text, error);
	if (strncmp(globals[i].name, "control-", 8) == 0)
		c->control.at = (struct place){top->source->path, line};
	free(texts);
}

static void apply_allow(struct config *c, const struct section *top,
			struct faults *faults)
{
	struct rule_list *list = &c->control.access.allow;
	const char **texts, *text, *error;
	size_t n;
	unsigned line = section_texts(top, "control-allow", &texts, &n, faults);

	if (line == 0)
		return;
	error = rule_list_parse(texts, n, list, &text);
	if (error != NULL)
		fault_add(faults, top->source->path, line, "control-allow: \"%s\" %s",
			  text, error);
	free(texts);
}

int globals_init(struct config *c)
{
	c->log_level = LOG_INFO;
	c->syslog_facility = LOG_DAEMON;
	c->stop_timeout = 10 * NSEC_PER_SEC;
	c->pid_file = strdup(defaults_pid_file());
	c->control = (struct service){
		.name = strdup(CONTROL_NAME),
		.enabled = true,
		.type = SOCK_STREAM,
		.socket = strdup(defaults_control_socket()),
		.socket_owner = (uid_t)-1,
		.socket_group = (gid_t)-1,
		.socket_mode = 0600,
		.directory_mode = 0755,
		.backlog = INT32_MAX,
		.log_level = LOG_INFO,
	};
	return c->pid_file != NULL && c->control.name != NULL && c->control.socket != NULL
		       ? 0
		       : -1;
}

void globals_apply(struct config *c, const struct section *top, struct faults *faults)
{
	c->control.at.file = top->source->path;
	for (size_t i = 0; i < sizeof(globals) / sizeof(*globals); i++)
		apply(c, top, i, faults);
	apply_allow(c, top, faults);
}

void globals_finish(struct config *c, struct faults *faults)
{
	const char *self[] = {"self", "uid:0"}, *text;
	struct rule_list *list = &c->control.access.allow;

	if (list->rules == NULL && rule_list_parse(self, 2, list, &text) != NULL)
		fault_add(faults, NULL, 0, "no memory left");
	if (c->control.socket == NULL || *c->control.socket != '\0')
		return;
	free(c->control.socket);
	c->control.socket = NULL;
}
