/*
 * option_text.h: the options of a service, as texts.
 */
#ifndef UDSD_TESTS_OPTION_TEXT_H
#define UDSD_TESTS_OPTION_TEXT_H

#include "cases.h"
#include "config.h"

#include <stdio.h>
#include <sys/socket.h>

enum kind {
	BOOL,
	INT,
	UNSIGNED,
	MODE,
	TIME,
	TEXT,
	LIST,
	RULES,
	SOCKET_TYPE,
	LIMIT,
	OTHER
};

/* How the tests show an option's field as a text. */
static const struct {
	const char *option;
	enum kind kind;
	size_t offset;
} fields[] = {
#define AT(field) offsetof(struct service, field)
	{"enabled", BOOL, AT(enabled)},
	{"socket", TEXT, AT(socket)},
	{"handler", LIST, AT(handler)},
	{"type", SOCKET_TYPE, AT(type)},
	{"wait", BOOL, AT(wait)},
	{"socket-owner", UNSIGNED, AT(socket_owner)},
	{"socket-group", UNSIGNED, AT(socket_group)},
	{"socket-mode", MODE, AT(socket_mode)},
	{"directory-mode", MODE, AT(directory_mode)},
	{"backlog", INT, AT(backlog)},
	{"user", OTHER, 0},
	{"group", UNSIGNED, AT(identity.gid)},
	{"supplementary-groups", OTHER, 0},
	{"directory", TEXT, AT(directory)},
	{"umask", MODE, AT(umask)},
	{"nice", INT, AT(nice)},
	{"environment", LIST, AT(environment)},
	{"pass-environment", LIST, AT(environment)},
	{"no-new-privileges", BOOL, AT(no_new_privileges)},
	{"limit-nofile", LIMIT, RLIMIT_NOFILE},
	{"limit-nproc", LIMIT, RLIMIT_NPROC},
	{"limit-as", LIMIT, RLIMIT_AS},
	{"limit-cpu", LIMIT, RLIMIT_CPU},
	{"limit-core", LIMIT, RLIMIT_CORE},
	{"limit-fsize", LIMIT, RLIMIT_FSIZE},
	{"stderr", OTHER, 0},
	{"pass-fds", BOOL, AT(pass_fds)},
	{"allow", RULES, AT(access.allow)},
	{"deny", RULES, AT(access.deny)},
	{"max-connections", INT, AT(max_connections)},
	{"max-connections-per-user", INT, AT(per_user)},
	{"rate", OTHER, 0},
	{"overflow", BOOL, AT(overflow_reject)},
	{"reject-message", TEXT, AT(reject_message)},
	{"max-lifetime", TIME, AT(max_lifetime)},
	{"kill-grace", TIME, AT(kill_grace)},
	{"idle-timeout", TIME, AT(idle_timeout)},
	{"worker-idle", TIME, AT(worker_idle)},
	{"log-level", INT, AT(log_level)},
#undef AT
};

static inline void show_limit(FILE *f, const struct service *s, const char *option,
			      int resource)
{
	for (size_t i = 0; i < LIMIT_SETTINGS && s->limits[i].name != NULL; i++) {
		if (strcmp(s->limits[i].name, option) != 0)
			continue;
		assert_int_equal(s->limits[i].resource, resource);
		if (s->limits[i].value == RLIM_INFINITY)
			fputs("infinity", f);
		else
			fprintf(f, "%ju", (uintmax_t)s->limits[i].value);
	}
}

static inline void show_other(FILE *f, const struct service *s, const char *option)
{
	const struct identity *id = &s->identity;
	static const char *const kinds[] = {"syslog", "null", "client", "file "};

	if (strcmp(option, "user") == 0)
		fprintf(f, "%s %u %u %u", s->account->name, id->uid, id->gid,
			id->ngroups > 0 ? id->groups[0] : 0);
	else if (strcmp(option, "rate") == 0)
		fprintf(f, "%u %jd", s->rate_burst, (intmax_t)s->rate_period);
	else if (strcmp(option, "stderr") == 0)
		fprintf(f, "%s%s", kinds[s->stderr_kind],
			s->stderr_kind == STDERR_FILE ? s->stderr_path : "");
	else
		for (size_t i = 0; i < id->ngroups; i++)
			fprintf(f, "%u ", id->groups[i]);
}

static inline void show_list(FILE *f, char *const *list)
{
	for (; list != NULL && *list != NULL; list++)
		fprintf(f, "[%s]", *list);
}

static inline void show_rules(FILE *f, const struct rule_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		fprintf(f, "%s ", list->rules[i].text);
}

static inline void show_field(FILE *f, const struct service *s, size_t i)
{
	const void *at = (const char *)s + fields[i].offset;

	switch (fields[i].kind) {
	case BOOL:
		fputs(*(const bool *)at ? "true" : "false", f);
		break;
	case INT:
		fprintf(f, "%d", *(const int *)at);
		break;
	case UNSIGNED:
		fprintf(f, "%u", *(const unsigned *)at);
		break;
	case MODE:
		fprintf(f, "%04o", *(const mode_t *)at);
		break;
	case TIME:
		fprintf(f, "%jd", (intmax_t) * (const int64_t *)at);
		break;
	case TEXT:
		fputs(shown(*(char *const *)at), f);
		break;
	case LIST:
		show_list(f, *(char *const *const *)at);
		break;
	case RULES:
		show_rules(f, at);
		break;
	case SOCKET_TYPE:
		fputs(*(const int *)at == SOCK_STREAM ? "stream" : "seqpacket", f);
		break;
	case LIMIT:
		show_limit(f, s, fields[i].option, (int)fields[i].offset);
		break;
	case OTHER:
		show_other(f, s, fields[i].option);
		break;
	}
}

/* The value of an option of a service, as a text; valid until the next call. */
static inline const char *show(const struct service *s, const char *option)
{
	static char text[1000];
	FILE *f = fmemopen(text, sizeof(text), "w");

	assert_non_null(f);
	memset(text, 0, sizeof(text));
	for (size_t i = 0; i < COUNT(fields); i++)
		if (strcmp(fields[i].option, option) == 0)
			show_field(f, s, i);
	fclose(f);
	return text;
}

#endif
