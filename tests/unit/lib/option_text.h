/*
 * option_text.h: the options of a service, as texts, by the kind that the table gives them.
 */
#ifndef UDSD_TESTS_OPTION_TEXT_H
#define UDSD_TESTS_OPTION_TEXT_H

#include "cases.h"
#include "config/options.h"

#include <stdio.h>
#include <sys/socket.h>

static inline void show_limit(FILE *f, const struct limit_setting *limit)
{
	if (limit->name != NULL && limit->value == RLIM_INFINITY)
		fputs("infinity", f);
	else if (limit->name != NULL)
		fprintf(f, "%ju", (uintmax_t)limit->value);
}

static inline void show_stderr(FILE *f, const struct stderr_target *target)
{
	static const char *const kinds[] = {"syslog", "null", "client", "file "};

	fprintf(f, "%s%s", kinds[target->kind],
		target->kind == STDERR_FILE ? target->path : "");
}

static inline void show_rate(FILE *f, const struct rate *rate)
{
	fprintf(f, "%u %jd", rate->burst, (intmax_t)rate->period);
}

static inline void show_user(FILE *f, const struct service *s)
{
	const struct identity *id = &s->identity;

	fprintf(f, "%s %u %u %u", s->account->name, id->uid, id->gid,
		id->ngroups > 0 ? id->groups[0] : 0);
}

static inline void show_groups(FILE *f, const struct identity *id)
{
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

static inline void show_value(FILE *f, const struct service *s,
			      const struct option_row *row)
{
	const void *at = (const char *)s + row->offset;

	switch (row->kind) {
	case KIND_BOOL:
	case KIND_OVERFLOW:
		fputs(*(const bool *)at ? "true" : "false", f);
		break;
	case KIND_INT:
	case KIND_LEVEL:
	case KIND_FACILITY:
		fprintf(f, "%d", *(const int *)at);
		break;
	case KIND_USER:
	case KIND_GROUP:
		fprintf(f, "%u", *(const unsigned *)at);
		break;
	case KIND_MODE:
		fprintf(f, "%04o", *(const mode_t *)at);
		break;
	case KIND_DURATION:
		fprintf(f, "%jd", (intmax_t) * (const int64_t *)at);
		break;
	case KIND_TYPE:
		fputs(*(const int *)at == SOCK_STREAM ? "stream" : "seqpacket", f);
		break;
	case KIND_TEXT:
	case KIND_PATH:
	case KIND_SOCKET:
	case KIND_MAYBE_PATH:
	case KIND_MAYBE_SOCKET:
		fputs(shown(*(char *const *)at), f);
		break;
	case KIND_RATE:
		show_rate(f, at);
		break;
	case KIND_LIMIT:
		show_limit(f, at);
		break;
	case KIND_STDERR:
		show_stderr(f, at);
		break;
	case KIND_ACCOUNT:
		show_user(f, s);
		break;
	case KIND_GROUPS:
		show_groups(f, at);
		break;
	case KIND_LIST:
	case KIND_HANDLER:
	case KIND_ENVIRONMENT:
	case KIND_PASS:
		show_list(f, *(char *const *const *)at);
		break;
	case KIND_RULES:
		show_rules(f, at);
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
	for (const struct option_row *row = service_options; row->name != NULL; row++)
		if (strcmp(row->name, option) == 0)
			show_value(f, s, row);
	fclose(f);
	return text;
}

#endif
