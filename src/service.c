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
	struct identity *id = &s->identity;
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
	if (!root && (s->account->uid != geteuid() || id->groups != NULL ||
		      (id->gid != (gid_t)-1 && id->gid != getegid())))
		fault_add(faults, s->at.file, s->at.line,
			  "only root can run a handler as another user, group or groups");
	id->uid = s->account->uid;
	if (id->gid == (gid_t)-1)
		id->gid = root ? s->account->gid : getegid();
	if (id->groups != NULL || !root)
		return;
	id->groups = calloc(s->account->ngroups + 1, sizeof(gid_t));
	if (id->groups == NULL) {
		fault_add(faults, s->at.file, s->at.line, "no memory left");
		return;
	}
	id->ngroups = s->account->ngroups;
	for (size_t i = 0; i < id->ngroups; i++)
		id->groups[i] = s->account->groups[i];
}

/* Where the handler accepts, udsd sees neither clients nor what is written for them. */
static void finish_wait(struct service *s, struct faults *faults)
{
	if (s->socket != NULL && *s->socket == '@')
		fault_add(faults, s->socket_at.file, s->socket_at.line,
			  "wait = true leaves access to the socket's mode, and the "
			  "abstract socket %s has none: use a path",
			  s->socket);
	if (s->accepting != NULL)
		fault_add(faults, s->at.file, s->at.line,
			  "wait = true leaves it to the handler to accept clients: %s "
			  "cannot be had with it, in defaults neither",
			  s->accepting);
	if (s->stderr_kind == STDERR_SYSLOG || s->stderr_kind == STDERR_CLIENT)
		fault_add(faults, s->at.file, s->at.line,
			  "stderr must be null or a path where wait = true");
	if (s->stderr_kind == STDERR_DEFAULT)
		s->stderr_kind = STDERR_NULL;
}

void service_finish(struct config *c, struct service *s, bool root, struct faults *faults)
{
	if (s->log_level < 0)
		s->log_level = c->log_level;
	if (s->socket == NULL && s->socket_at.line == 0)
		fault_add(faults, s->at.file, s->at.line, "socket is missing");
	else if (s->socket != NULL && *s->socket == '@' && s->access.allow.count == 0 &&
		 !s->wait)
		fault_add(faults, s->socket_at.file, s->socket_at.line,
			  "allow is missing: anybody can reach the "
			  "abstract socket %s, so say who may",
			  s->socket);
	if (s->handler == NULL && s->handler_at.line == 0)
		fault_add(faults, s->at.file, s->at.line, "handler is missing");
	finish_user(c, s, root, faults);
	if (s->wait)
		finish_wait(s, faults);
	else if (s->stderr_kind == STDERR_DEFAULT)
		s->stderr_kind = STDERR_SYSLOG;
	if (s->reject_message != NULL && s->reject_message[0] == '\0') {
		free(s->reject_message);
		s->reject_message = NULL;
	}
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_list(char *const *a, char *const *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	for (; *a != NULL && *b != NULL; a++, b++)
		if (strcmp(*a, *b) != 0)
			return false;
	return *a == *b;
}

static bool same_rules(const struct rule_list *a, const struct rule_list *b)
{
	for (size_t i = 0; a->count == b->count && i < a->count; i++)
		if (a->rules[i].kind != b->rules[i].kind ||
		    a->rules[i].low != b->rules[i].low ||
		    a->rules[i].high != b->rules[i].high ||
		    strcmp(a->rules[i].text, b->rules[i].text) != 0)
			return false;
	return a->count == b->count;
}

static bool same_limits(const struct service *a, const struct service *b)
{
	for (size_t i = 0; i < LIMIT_SETTINGS; i++)
		if (!same_text(a->limits[i].name, b->limits[i].name) ||
		    (a->limits[i].name != NULL &&
		     a->limits[i].value != b->limits[i].value))
			return false;
	return true;
}

static bool same_account(const struct service *a, const struct service *b)
{
	if (a->account == NULL || b->account == NULL) /* the control socket */
		return a->account == b->account;
	return identity_same(&a->identity, &b->identity) &&
	       same_text(a->account->name, b->account->name) &&
	       same_text(a->account->home, b->account->home) &&
	       same_text(a->account->shell, b->account->shell);
}

/* What is not a pointer. */
static bool same_numbers(const struct service *a, const struct service *b)
{
	return a->enabled == b->enabled && a->wait == b->wait && a->type == b->type &&
	       a->pass_fds == b->pass_fds && a->max_connections == b->max_connections &&
	       a->per_user == b->per_user && a->rate_burst == b->rate_burst &&
	       a->rate_period == b->rate_period &&
	       a->overflow_reject == b->overflow_reject && a->umask == b->umask &&
	       a->nice == b->nice && a->no_new_privileges == b->no_new_privileges &&
	       a->stderr_kind == b->stderr_kind && a->max_lifetime == b->max_lifetime &&
	       a->kill_grace == b->kill_grace && a->idle_timeout == b->idle_timeout &&
	       a->worker_idle == b->worker_idle && a->log_level == b->log_level;
}

bool service_same(const struct service *a, const struct service *b)
{
	return same_numbers(a, b) && same_account(a, b) && same_limits(a, b) &&
	       same_text(a->name, b->name) && same_text(a->socket, b->socket) &&
	       same_rules(&a->access.allow, &b->access.allow) &&
	       same_rules(&a->access.deny, &b->access.deny) &&
	       same_text(a->reject_message, b->reject_message) &&
	       same_list(a->handler, b->handler) &&
	       same_text(a->directory, b->directory) &&
	       same_list(a->environment, b->environment) &&
	       same_text(a->stderr_path, b->stderr_path);
}

bool service_same_socket(const struct service *a, const struct service *b)
{
	return a->socket_owner == b->socket_owner && a->socket_group == b->socket_group &&
	       a->socket_mode == b->socket_mode && a->backlog == b->backlog &&
	       a->pass_fds == b->pass_fds;
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
	free(s->identity.groups);
	free_list(s->handler);
	free_list(s->environment);
	free_rules(&s->access.allow);
	free_rules(&s->access.deny);
}
