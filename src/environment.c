/*
 * environment.c: environ(7) of handlers.
 *
 * One list for a service: what it sets itself, then what is the same for all connections, then the
 * variables of one connection, whose text is patched in place. Nothing is allocated for a connection.
 */
#include "environment.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIXED 11        /* variables of every service */
#define VALUE_BYTES 320 /* of a variable that changes */

/* The variables that differ from connection to connection. */
enum variable { PEER_UID, PEER_GID, PEER_PID, CONNECTION, RULE, PEER_PATH, VARIABLES };

static const char *const prefixes[VARIABLES] = {
	"UNIXREMOTEEUID=",  "UNIXREMOTEEGID=", "UNIXREMOTEPID=",
	"UDSD_CONNECTION=", "UDSD_RULE=",      "UNIXREMOTEPATH=",
};

struct environment {
	char **list;      /* fixed part, then the variables, then NULL */
	char **peer_path; /* the entry of PEER_PATH, NULL where there is none */
	char value[VARIABLES][VALUE_BYTES];
};

/* A list that grows at its end. */
struct list {
	char **at;
	size_t count;
};

/* Adds a copy of NAME=value, unless there is one of the name: the first one wins. */
static bool add_pair(struct list *l, const char *name, size_t len, const char *value)
{
	for (size_t i = 0; i < l->count; i++)
		if (strncmp(l->at[i], name, len) == 0 && l->at[i][len] == '=')
			return true;
	if (asprintf(&l->at[l->count], "%.*s=%s", (int)len, name, value) < 0)
		return false;
	l->count++;
	return true;
}

static bool add(struct list *l, const char *name, const char *value)
{
	return add_pair(l, name, strlen(name), value);
}

/* What the service sets itself. */
static bool add_own(struct list *l, char *const *pairs)
{
	for (; pairs != NULL && *pairs != NULL; pairs++) {
		size_t len = strcspn(*pairs, "=");

		if (!add_pair(l, *pairs, len, *pairs + len + 1))
			return false;
	}
	return true;
}

/* What is the same for all connections. */
static bool add_fixed(struct list *l, const struct service *s)
{
	char uid[16], gid[16], pid[16];
	const char *const fixed[FIXED][2] = {
		{"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		{"HOME", s->account->home},
		{"USER", s->account->name},
		{"LOGNAME", s->account->name},
		{"SHELL", s->account->shell},
		{"PROTO", "UNIX"},
		{"UNIXLOCALPATH", s->socket},
		{"UNIXLOCALUID", uid},
		{"UNIXLOCALGID", gid},
		{"UNIXLOCALPID", pid},
		{"UDSD_SERVICE", s->name},
	};

	snprintf(uid, sizeof(uid), "%u", geteuid());
	snprintf(gid, sizeof(gid), "%u", getegid());
	snprintf(pid, sizeof(pid), "%d", getpid());
	for (size_t i = 0; i < FIXED; i++)
		if (!add(l, fixed[i][0], fixed[i][1]))
			return false;
	return true;
}

/* Frees `count` texts and the list. */
static void list_free(char **list, size_t count)
{
	while (count > 0)
		free(list[--count]);
	free(list);
}

/* What does not change, with room for `more` entries and NULL. .at is NULL if out of memory. */
static struct list build_fixed(const struct service *s, size_t more)
{
	struct list l = {0};
	size_t own = 0;

	while (s->environment != NULL && s->environment[own] != NULL)
		own++;
	l.at = calloc(own + FIXED + more + 1, sizeof(*l.at));
	if (l.at == NULL || (add_own(&l, s->environment) && add_fixed(&l, s)))
		return l;
	list_free(l.at, l.count);
	return (struct list){0};
}

struct environment *environment_new(const struct service *service)
{
	struct environment *e = calloc(1, sizeof(*e));
	struct list l;

	if (e == NULL)
		return NULL;
	l = build_fixed(service, VARIABLES);
	if (l.at == NULL) {
		free(e);
		return NULL;
	}
	e->list = l.at;
	e->peer_path = &l.at[l.count + PEER_PATH];
	for (int i = 0; i < VARIABLES; i++)
		l.at[l.count++] = strcpy(e->value[i], prefixes[i]);
	return e;
}

void environment_free(struct environment *e)
{
	if (e == NULL)
		return;
	list_free(e->list, (size_t)(e->peer_path - e->list) - PEER_PATH);
	free(e);
}

/* Cut if it is too long. */
static void put_text(struct environment *e, enum variable v, const char *text, size_t len)
{
	size_t at = strlen(prefixes[v]);

	if (len > VALUE_BYTES - 1 - at)
		len = VALUE_BYTES - 1 - at;
	memcpy(e->value[v] + at, text, len);
	e->value[v][at + len] = '\0';
}

static void put_number(struct environment *e, enum variable v, uint64_t n)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	put_text(e, v, digits + at, sizeof(digits) - at);
}

/* Where the peer is bound, if it is; an abstract name gets an @. Nothing with a control character
 * is passed on. */
static bool put_peer_path(struct environment *e, const struct sockaddr_un *from,
			  socklen_t from_len)
{
	size_t at = offsetof(struct sockaddr_un, sun_path);
	size_t len = from_len > at ? (size_t)from_len - at : 0;
	char path[sizeof(from->sun_path)];

	if (len == 0)
		return false;
	if (len > sizeof(path)) /* the length of a path that fills it all is one more */
		len = sizeof(path);
	memcpy(path, from->sun_path, len);
	if (path[0] == '\0')
		path[0] = '@';
	else
		len = strnlen(path, len);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)path[i] < 0x20 || path[i] == 0x7f)
			return false;
	put_text(e, PEER_PATH, path, len);
	return true;
}

char *const *environment_of(struct environment *e, const struct environment_call *call)
{
	put_number(e, PEER_UID, call->peer->uid);
	put_number(e, PEER_GID, call->peer->gid);
	put_number(e, PEER_PID, (uint64_t)call->peer->pid);
	put_number(e, CONNECTION, call->id);
	put_text(e, RULE, call->rule, strlen(call->rule));
	*e->peer_path =
		put_peer_path(e, call->from, call->from_len) ? e->value[PEER_PATH] : NULL;
	return e->list;
}

char **environment_for_wait(const struct service *s)
{
	struct list l = build_fixed(s, 3);
	char pid[32];

	snprintf(pid, sizeof(pid), "%d", getpid());
	if (l.at == NULL || (add(&l, "LISTEN_FDS", "1") && add(&l, "LISTEN_PID", pid) &&
			     add(&l, "LISTEN_FDNAMES", s->name)))
		return l.at;
	list_free(l.at, l.count);
	return NULL;
}
