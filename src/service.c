/*
 * service.c: what makes a struct service whole once its options are set.
 */
#include "service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct account *service_account(struct config *c, const char *user)
{
	struct account **more, *account;

	for (size_t i = 0; i < c->naccounts; i++)
		if (strcmp(c->accounts[i]->key, user) == 0)
			return c->accounts[i];
	account = account_lookup(user);
	if (account == NULL)
		return NULL;
	more = reallocarray(c->accounts, c->naccounts + 1, sizeof(*more));
	if (more == NULL) {
		account_free(account);
		return NULL;
	}
	c->accounts = more;
	return more[c->naccounts++] = account;
}

static void finish_user(struct config *c, struct service *s, bool root,
			struct faults *faults)
{
	char self[16];

	snprintf(self, sizeof(self), "%u", geteuid());
	if (s->account == NULL && !root)
		s->account = service_account(c, self);
	if (s->account == NULL) {
		fault_add(faults, s->at.file, s->at.line,
			  root ? "user is missing: udsd runs as root, so "
				 "say whom the handler runs as"
			       : "your own user cannot be looked up");
		return;
	}
	if (!root && (s->account->uid != geteuid() || s->groups != NULL ||
		      (s->gid != (gid_t)-1 && s->gid != getegid())))
		fault_add(faults, s->at.file, s->at.line,
			  "only root can run a handler as another user, group or groups");
	if (s->gid == (gid_t)-1)
		s->gid = root ? s->account->gid : getegid();
	if (s->groups != NULL || !root)
		return;
	s->groups = calloc(s->account->ngroups + 1, sizeof(gid_t));
	if (s->groups == NULL)
		return;
	s->ngroups = s->account->ngroups;
	for (size_t i = 0; i < s->ngroups; i++)
		s->groups[i] = s->account->groups[i];
}

void service_finish(struct config *c, struct service *s, bool root, struct faults *faults)
{
	if (s->log_level < 0)
		s->log_level = c->log_level;
	if (s->socket == NULL && s->socket_at.line == 0)
		fault_add(faults, s->at.file, s->at.line, "socket is missing");
	else if (s->socket != NULL && *s->socket == '@' && s->access.allow.count == 0)
		fault_add(faults, s->socket_at.file, s->socket_at.line,
			  "allow is missing: anybody can reach the "
			  "abstract socket %s, so say who may",
			  s->socket);
	if (s->handler == NULL && s->handler_at.line == 0)
		fault_add(faults, s->at.file, s->at.line, "handler is missing");
	finish_user(c, s, root, faults);
	if (s->reject_message != NULL && s->reject_message[0] == '\0') {
		free(s->reject_message);
		s->reject_message = NULL;
	}
}

static void free_list(char **list)
{
	for (size_t i = 0; list != NULL && list[i] != NULL; i++)
		free(list[i]);
	free(list);
}

static void free_rules(struct rule_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->rules[i].text);
	free(list->rules);
}

void service_free(struct service *s)
{
	free(s->name);
	free(s->socket);
	free(s->reject_message);
	free(s->directory);
	free(s->stderr_path);
	free(s->groups);
	free_list(s->handler);
	free_list(s->environment);
	free_rules(&s->access.allow);
	free_rules(&s->access.deny);
}
