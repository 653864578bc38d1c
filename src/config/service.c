/*
 * service.c: what depends on several options of a service, and which services are the
 * same.
 */
#include "config/service.h"

#include "config/options.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct given *service_given(const struct service *s, const char *option)
{
	for (size_t i = 0; i < s->ngiven; i++)
		if (strcmp(s->given[i].option, option) == 0)
			return &s->given[i];
	return NULL;
}

bool service_says(const struct service *s, const char *option)
{
	return service_given(s, option) != NULL;
}

struct place service_place(const struct service *s, const char *option)
{
	const struct given *given = service_given(s, option);

	return given != NULL ? given->at : s->at;
}

/* Values with their lengths, so that different lists are different texts. */
static const char *service_value(const struct build *b, const struct statement *given)
{
	size_t size = 1;
	char *value, *at;

	for (size_t i = 0; i < given->count; i++)
		size += strlen(given->texts[i]) + 24;
	at = value = arena_take(b->arena, size);
	for (size_t i = 0; i < given->count; i++)
		at += sprintf(at, "%zu:%s", strlen(given->texts[i]), given->texts[i]);
	return value;
}

void service_note(const struct build *b, struct arena *arena, struct service *s,
		  const struct option_row *row, const struct statement *given)
{
	s->given = arena_grow(arena, s->given, s->ngiven, sizeof(*s->given));
	s->given[s->ngiven++] =
		(struct given){row->name, given->at, service_value(b, given)};
}

static void finish_groups(const struct build *b, struct service *s, bool root)
{
	struct identity *id = &s->identity;

	if (id->gid == (gid_t)-1)
		id->gid = root ? s->account->gid : getegid();
	if (id->groups != NULL || !root)
		return;
	id->ngroups = s->account->ngroups;
	id->groups = arena_take(b->arena, (id->ngroups + 1) * sizeof(gid_t));
	for (size_t i = 0; i < id->ngroups; i++)
		id->groups[i] = s->account->groups[i];
}

static void finish_user(const struct build *b, struct service *s, bool root)
{
	struct identity *id = &s->identity;
	char self[16];

	if (s->account == NULL && service_says(s, "user"))
		return;
	snprintf(self, sizeof(self), "%u", geteuid());
	if (s->account == NULL && !root)
		s->account = account_find(b->arena, &b->config->accounts, self);
	if (s->account == NULL && root)
		fault_add(b->faults, s->at,
			  "user is missing: udsd runs as root, so "
			  "say as which user the handler runs");
	else if (s->account == NULL)
		fault_problem(b->faults, &s->problem, PROBLEM_PASSING, "user", s->at,
			      "your own user cannot be looked up");
	if (s->account == NULL)
		return;
	if (!root && (s->account->uid != geteuid() || id->groups != NULL ||
		      (id->gid != (gid_t)-1 && id->gid != getegid())))
		fault_add(b->faults, s->at,
			  "only root can run a handler as another user, group or groups");
	id->uid = s->account->uid;
	finish_groups(b, s, root);
}

/* Where the handler accepts, udsd sees neither clients nor what is written for them. */
static void finish_wait(const struct build *b, struct service *s)
{
	const struct stderr_target *target = &s->stderr_target;

	if (s->socket != NULL && *s->socket == '@')
		fault_add(b->faults, service_place(s, "socket"),
			  "wait = true leaves access to the socket's mode, and the "
			  "abstract socket %s has none: use a path",
			  s->socket);
	for (const struct option_row *row = service_options; row->name != NULL; row++)
		if ((row->flags & OPTION_ACCEPTS) != 0 && service_says(s, row->name))
			fault_add(
				b->faults, s->at,
				"wait = true leaves it to the handler to accept "
				"clients: %s cannot be combined with it, not in defaults either",
				row->name);
	if (!service_says(s, "stderr"))
		s->stderr_target.kind = STDERR_NULL;
	else if (target->kind == STDERR_SYSLOG || target->kind == STDERR_CLIENT)
		fault_add(b->faults, s->at,
			  "stderr must be null or a path where wait = true");
}

void service_finish(const struct build *b, struct service *s, bool root)
{
	if (!service_says(s, "socket"))
		fault_add(b->faults, s->at, "socket is missing");
	else if (s->socket != NULL && *s->socket == '@' && s->access.allow.count == 0 &&
		 !s->wait)
		fault_add(b->faults, service_place(s, "socket"),
			  "allow is missing: anybody can reach the "
			  "abstract socket %s, so say who may",
			  s->socket);
	if (!service_says(s, "handler"))
		fault_add(b->faults, s->at, "handler is missing");
	finish_user(b, s, root);
	if (s->wait)
		finish_wait(b, s);
}

/* Whether all options are the same that have `flag`, or (`without`) have it not. */
static bool same_options(const struct service *a, const struct service *b, unsigned flag,
			 bool without)
{
	for (const struct option_row *row = service_options; row->name != NULL; row++)
		if (((row->flags & flag) == 0) == without && !option_same(a, b, row))
			return false;
	return true;
}

bool service_same(const struct service *a, const struct service *b)
{
	return strcmp(a->name, b->name) == 0 &&
	       same_options(a, b, OPTION_NO_WORKER, true);
}

bool service_same_text(const struct service *a, const struct service *b)
{
	bool same = strcmp(a->name, b->name) == 0 && a->ngiven == b->ngiven;

	for (size_t i = 0; same && i < a->ngiven; i++)
		same = strcmp(a->given[i].option, b->given[i].option) == 0 &&
		       strcmp(a->given[i].value, b->given[i].value) == 0;
	return same;
}

bool service_same_socket(const struct service *a, const struct service *b)
{
	return same_options(a, b, OPTION_APPLIED, false);
}
