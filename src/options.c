/*
 * options.c: the table of service options and what each does to a struct service.
 */
#include "options.h"

#include "value.h"
#include "service.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "log.h"

#define FIELD(x, type) ((type *)(void *)((char *)(x)->service + (x)->setting->offset))

static const char no_memory[] = "finds no memory left";

static const char *set_bool(struct setter *x)
{
	return value_bool(x->text, FIELD(x, bool));
}

static const char *set_duration(struct setter *x)
{
	return value_duration(x->text, FIELD(x, int64_t));
}

static const char *set_mode(struct setter *x)
{
	return value_mode(x->text, FIELD(x, mode_t));
}

static const char *set_int(struct setter *x)
{
	int64_t n;
	const char *error = value_number(x->text, x->setting->low, x->setting->high, &n);

	if (error == NULL)
		*FIELD(x, int) = (int)n;
	return error;
}

static const char *set_text(struct setter *x)
{
	char **field = FIELD(x, char *);

	free(*field);
	*field = strdup(x->text);
	return *field != NULL ? NULL : no_memory;
}

static const char *set_path(struct setter *x)
{
	const char *error = value_path(x->text);

	return error != NULL ? error : set_text(x);
}

static const char *set_socket(struct setter *x)
{
	const char *error = value_socket(x->text);

	return error != NULL ? error : set_text(x);
}

static const char *set_type(struct setter *x)
{
	if (strcmp(x->text, "stream") != 0 && strcmp(x->text, "seqpacket") != 0)
		return "must be stream or seqpacket";
	x->service->type =
		*x->text == 's' && x->text[1] == 't' ? SOCK_STREAM : SOCK_SEQPACKET;
	return NULL;
}

/* Copies the list to the field, NULL-terminated, behind what is there. */
static const char *append_list(struct setter *x)
{
	char ***field = FIELD(x, char **), **more;
	size_t n = 0;

	while (*field != NULL && (*field)[n] != NULL)
		n++;
	more = reallocarray(*field, n + x->count + 1, sizeof(*more));
	if (more == NULL)
		return no_memory;
	*field = more;
	more[n] = NULL;
	for (size_t i = 0; i < x->count; i++) {
		more[n + i] = strdup(x->texts[i]);
		if (more[n + i] == NULL)
			return no_memory;
		more[n + i + 1] = NULL;
	}
	return NULL;
}

static const char *set_handler(struct setter *x)
{
	x->text = x->count > 0 ? x->texts[0] : "";
	if (value_path(x->text) != NULL)
		return "must be a list: the absolute path of an executable, then its arguments";
	return append_list(x);
}

/* What tells a handler about its connection cannot be forged. */
static const char *own_variable(const char *text)
{
	if (strncmp(text, "UNIX", 4) == 0 || strncmp(text, "UDSD_", 5) == 0 ||
	    strcmp(text, "PROTO") == 0 || strncmp(text, "PROTO=", 6) == 0)
		return "is a name that udsd sets itself (UNIX*, UDSD_*, PROTO)";
	return NULL;
}

static const char *set_environment(struct setter *x)
{
	for (size_t i = 0; i < x->count; i++) {
		const char *error = value_variable(x->texts[i], false);

		x->text = x->texts[i];
		if (error == NULL)
			error = own_variable(x->text);
		if (error != NULL)
			return error;
	}
	return append_list(x);
}

/* Names become NAME=value here, as udsd was started with them; a variable it has not is left
 * out. */
static const char *set_pass_environment(struct setter *x)
{
	struct setter one = *x;
	const char *error = NULL;

	one.count = 1;
	for (size_t i = 0; i < x->count && error == NULL; i++) {
		const char *value, *text;
		char *pair;

		x->text = x->texts[i];
		error = value_variable(x->text, true);
		if (error == NULL)
			error = own_variable(x->text);
		value = error == NULL ? getenv(x->text) : NULL;
		if (value == NULL)
			continue;
		if (asprintf(&pair, "%s=%s", x->text, value) < 0)
			return no_memory;
		text = pair;
		one.texts = &text;
		error = append_list(&one);
		free(pair);
	}
	return error;
}

static const char *lookup_error(void)
{
	return errno == ENOENT ? "does not exist"
			       : "cannot be looked up: the name service failed";
}

static const char *set_user(struct setter *x)
{
	static char name[] = "?";
	static const struct account unknown = {.name = name}; /* is not "missing" */

	x->service->account = service_account(x->config, x->text);
	if (x->service->account != NULL)
		return NULL;
	x->service->account = &unknown;
	return lookup_error();
}

static const char *set_socket_owner(struct setter *x)
{
	const struct account *account = service_account(x->config, x->text);

	if (account == NULL)
		return lookup_error();
	x->service->socket_owner = account->uid;
	return NULL;
}

static const char *set_group(struct setter *x)
{
	return account_group(x->text, FIELD(x, gid_t)) == 0 ? NULL : lookup_error();
}

static const char *set_groups(struct setter *x)
{
	struct identity *id = &x->service->identity;

	free(id->groups);
	id->ngroups = 0;
	id->groups = calloc(x->count + 1, sizeof(gid_t));
	if (id->groups == NULL)
		return no_memory;
	for (size_t i = 0; i < x->count; i++) {
		x->text = x->texts[i];
		if (account_group(x->text, &id->groups[id->ngroups++]) < 0)
			return lookup_error();
	}
	return NULL;
}

static const char *set_limit(struct setter *x)
{
	for (size_t i = 0; i < LIMIT_SETTINGS; i++) {
		struct limit_setting *l = &x->service->limits[i];

		if (l->name != NULL)
			continue;
		*l = (struct limit_setting){.resource = (int)x->setting->low,
					    .name = x->setting->name};
		return value_size(x->text, &l->value);
	}
	return "is one limit too many";
}

static const char *set_stderr(struct setter *x)
{
	static const char *const kinds[] = {"syslog", "null", "client"};
	struct service *s = x->service;

	for (int i = 0; i < 3; i++) {
		if (strcmp(x->text, kinds[i]) == 0) {
			s->stderr_kind = (enum stderr_kind)i;
			return NULL;
		}
	}
	s->stderr_kind = STDERR_FILE;
	if (value_path(x->text) != NULL)
		return "must be syslog, null, client or an absolute path";
	return set_text(x);
}

static const char *set_rate(struct setter *x)
{
	return value_rate(x->text, &x->service->rate_burst, &x->service->rate_period);
}

static const char *set_overflow(struct setter *x)
{
	if (strcmp(x->text, "queue") != 0 && strcmp(x->text, "reject") != 0)
		return "must be queue or reject";
	x->service->overflow_reject = *x->text == 'r';
	return NULL;
}

static const char *set_log_level(struct setter *x)
{
	x->service->log_level = log_level_parse(x->text);
	return x->service->log_level >= 0
		       ? NULL
		       : "must be error, warning, notice, info or debug";
}

static const char *set_rules(struct setter *x)
{
	return rule_list_parse(x->texts, x->count, FIELD(x, struct rule_list), &x->text);
}

#define AT(field) .offset = offsetof(struct service, field)
#define PLACE(field) .place = offsetof(struct service, field)
#define RANGE(from, to) .low = (from), .high = (to)

const struct setting settings[] = {
	{"enabled", .set = set_bool, .fallback = "true", AT(enabled)},
	{"socket", .set = set_socket, .own = true, AT(socket), PLACE(socket_at)},
	{"handler", .set = set_handler, .list = true, .own = true, AT(handler),
	 PLACE(handler_at)},
	{"type", .set = set_type, .fallback = "stream"},
	{"wait", .set = set_bool, .fallback = "false", AT(wait)},
	{"socket-owner", .set = set_socket_owner},
	{"socket-group", .set = set_group, AT(socket_group)},
	{"socket-mode", .set = set_mode, .fallback = "0600", AT(socket_mode)},
	{"directory-mode", .set = set_mode, .fallback = "0755", AT(directory_mode)},
	{"backlog", .set = set_int, .fallback = "2147483647", AT(backlog),
	 RANGE(0, INT32_MAX)},
	{"user", .set = set_user},
	{"group", .set = set_group, AT(identity.gid)},
	{"supplementary-groups", .set = set_groups, .list = true},
	{"directory", .set = set_path, .fallback = "/", AT(directory),
	 PLACE(directory_at)},
	{"umask", .set = set_mode, .fallback = "022", AT(umask)},
	{"nice", .set = set_int, .fallback = "0", AT(nice), RANGE(-20, 19)},
	{"environment", .set = set_environment, .list = true, AT(environment)},
	{"pass-environment", .set = set_pass_environment, .list = true, AT(environment)},
	{"no-new-privileges", .set = set_bool, .fallback = "true", AT(no_new_privileges)},
	{"limit-nofile", .set = set_limit, .low = RLIMIT_NOFILE},
	{"limit-nproc", .set = set_limit, .low = RLIMIT_NPROC},
	{"limit-as", .set = set_limit, .low = RLIMIT_AS},
	{"limit-cpu", .set = set_limit, .low = RLIMIT_CPU},
	{"limit-core", .set = set_limit, .low = RLIMIT_CORE},
	{"limit-fsize", .set = set_limit, .low = RLIMIT_FSIZE},
	{"stderr", .set = set_stderr, AT(stderr_path)},
	{"pass-fds", .set = set_bool, .fallback = "false", AT(pass_fds)},
	{"allow", .accepting = true, .set = set_rules, .list = true, AT(access.allow)},
	{"deny", .accepting = true, .set = set_rules, .list = true, AT(access.deny)},
	{"max-connections", .accepting = true, .set = set_int, .fallback = "64",
	 AT(max_connections), RANGE(1, 65536)},
	{"max-connections-per-user", .accepting = true, .set = set_int, .fallback = "0",
	 AT(per_user), RANGE(0, 65536)},
	{"rate", .accepting = true, .set = set_rate},
	{"overflow", .accepting = true, .set = set_overflow, .fallback = "queue"},
	{"reject-message", .accepting = true, .set = set_text, AT(reject_message)},
	{"max-lifetime", .accepting = true, .set = set_duration, .fallback = "0",
	 AT(max_lifetime)},
	{"kill-grace", .set = set_duration, .fallback = "5s", AT(kill_grace)},
	{"idle-timeout", .accepting = true, .set = set_duration, .fallback = "0",
	 AT(idle_timeout)},
	{"worker-idle", .accepting = true, .set = set_duration, .fallback = "30s",
	 AT(worker_idle)},
	{"log-level", .set = set_log_level},
	{0},
};
