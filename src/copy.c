/*
 * copy.c: copies a config, pointer by pointer.
 */
#include "copy.h"

#include <string.h>

static void *bytes(struct arena *a, const void *from, size_t count)
{
	return memcpy(arena_take(a, count), from, count);
}

/* The same, and NULL for none. */
static void *block(struct arena *a, const void *from, size_t count)
{
	return from != NULL ? bytes(a, from, count) : NULL;
}

static char **list(struct arena *a, char *const *from)
{
	size_t n = 0;
	char **to;

	if (from == NULL)
		return NULL;
	while (from[n] != NULL)
		n++;
	to = arena_take(a, (n + 1) * sizeof(*to));
	for (size_t i = 0; i < n; i++)
		to[i] = arena_text(a, from[i]);
	return to;
}

static struct rule_list rules(struct arena *a, const struct rule_list *from)
{
	struct rule_list to = {from->count,
			       block(a, from->rules, from->count * sizeof(*to.rules))};

	for (size_t i = 0; to.rules != NULL && i < to.count; i++)
		to.rules[i].text = arena_text(a, to.rules[i].text);
	return to;
}

static struct account *account(struct arena *a, const struct account *from)
{
	struct account *to = bytes(a, from, sizeof(*to));

	to->key = arena_text(a, from->key);
	to->groups = block(a, from->groups, from->ngroups * sizeof(*to->groups));
	to->name = arena_text(a, from->name);
	to->home = arena_text(a, from->home);
	to->shell = arena_text(a, from->shell);
	return to;
}

/* Many places are in one file: its name is copied once for those that follow each other. */
static struct {
	const char *from, *to;
} file;

static void place(struct arena *a, struct place *at)
{
	if (at->file == NULL)
		return;
	if (at->file != file.from) {
		file.from = at->file;
		file.to = arena_text(a, at->file);
	}
	at->file = file.to;
}

static void service(struct arena *a, struct service *s, const struct config *from,
		    const struct config *to)
{
	place(a, &s->at);
	place(a, &s->socket_at);
	place(a, &s->handler_at);
	place(a, &s->directory_at);
	s->name = arena_text(a, s->name);
	s->socket = arena_text(a, s->socket);
	s->access.allow = rules(a, &s->access.allow);
	s->access.deny = rules(a, &s->access.deny);
	s->reject_message = arena_text(a, s->reject_message);
	s->handler = list(a, s->handler);
	s->identity.groups =
		block(a, s->identity.groups, s->identity.ngroups * sizeof(gid_t));
	s->directory = arena_text(a, s->directory);
	s->environment = list(a, s->environment);
	s->stderr_path = arena_text(a, s->stderr_path);
	for (size_t i = 0; i < from->naccounts; i++) {
		if (from->accounts[i] != s->account)
			continue;
		s->account = to->accounts[i];
		break;
	}
}

const struct config *config_copy(const struct config *from, struct arena *a)
{
	struct config *to = bytes(a, from, sizeof(*to));

	file.from = NULL;
	to->pid_file = arena_text(a, from->pid_file);
	service(a, &to->control, from, to);
	to->nfiles = 0;
	to->files = NULL; /* the places have their names */
	to->accounts = arena_take(a, from->naccounts * sizeof(*to->accounts));
	for (size_t i = 0; i < from->naccounts; i++)
		to->accounts[i] = account(a, from->accounts[i]);
	to->services = block(a, from->services, from->count * sizeof(*to->services));
	for (size_t i = 0; i < to->count; i++)
		service(a, &to->services[i], from, to);
	return to;
}
