/*
 * environment.c: environ(7) of handlers: what the service sets, what is the same for all connections,
 * and behind it the variables that change, whose text is patched in place.
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

/* Adds a copy of NAME=value behind the *n entries there are, unless one has the name: the first
 * one wins. */
static bool add_pair(char **env, size_t *n, const char *name, size_t len,
		     const char *value)
{
	for (size_t i = 0; i < *n; i++)
		if (strncmp(env[i], name, len) == 0 && env[i][len] == '=')
			return true;
	if (asprintf(&env[*n], "%.*s=%s", (int)len, name, value) < 0) {
		env[*n] = NULL;
		return false;
	}
	(*n)++;
	return true;
}

/* What the service sets itself. */
static bool add_own(const struct service *s, char **env, size_t *n)
{
	for (size_t i = 0; s->environment != NULL && s->environment[i] != NULL; i++) {
		const char *pair = s->environment[i];
		size_t len = strcspn(pair, "=");

		if (!add_pair(env, n, pair, len, pair + len + 1))
			return false;
	}
	return true;
}

/* What is the same for all connections. */
static bool add_fixed(const struct service *s, char **env, size_t *n)
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
		if (!add_pair(env, n, fixed[i][0], strlen(fixed[i][0]), fixed[i][1]))
			return false;
	return true;
}

static void free_list(char **list, size_t n)
{
	while (list != NULL && n > 0)
		free(list[--n]);
	free(list);
}

/* What does not change, with room for `more` entries and NULL; *n is their number. NULL if there is
 * no memory. */
static char **build_fixed(const struct service *s, size_t more, size_t *n)
{
	size_t own = 0;
	char **list;

	while (s->environment != NULL && s->environment[own] != NULL)
		own++;
	list = calloc(own + FIXED + more + 1, sizeof(*list));
	*n = 0;
	if (list != NULL && add_own(s, list, n) && add_fixed(s, list, n))
		return list;
	free_list(list, *n);
	return NULL;
}

struct environment *environment_new(const struct service *service)
{
	struct environment *e = calloc(1, sizeof(*e));
	size_t n;

	if (e == NULL)
		return NULL;
	e->list = build_fixed(service, VARIABLES, &n);
	if (e->list == NULL) {
		free(e);
		return NULL;
	}
	for (int i = 0; i < VARIABLES; i++) {
		strcpy(e->value[i], prefixes[i]);
		e->list[n++] = e->value[i];
	}
	e->peer_path = &e->list[n - 1];
	return e;
}

void environment_free(struct environment *e)
{
	if (e == NULL)
		return;
	free_list(e->list, (size_t)(e->peer_path - e->list) + 1 - VARIABLES);
	free(e);
}

static void put_number(struct environment *e, enum variable v, uint64_t n)
{
	char digits[20], *to = e->value[v] + strlen(prefixes[v]);
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	memcpy(to, digits + at, sizeof(digits) - at);
	to[sizeof(digits) - at] = '\0';
}

static void put_text(struct environment *e, enum variable v, const char *text, size_t len)
{
	size_t at = strlen(prefixes[v]);

	if (len > VALUE_BYTES - 1 - at)
		len = VALUE_BYTES - 1 - at;
	memcpy(e->value[v] + at, text, len);
	e->value[v][at + len] = '\0';
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
	if (len > sizeof(path)) /* a path that fills it all is told with a byte more */
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
	put_number(e, CONNECTION, call->conn);
	put_text(e, RULE, call->rule, strlen(call->rule));
	*e->peer_path =
		put_peer_path(e, call->from, call->from_len) ? e->value[PEER_PATH] : NULL;
	return e->list;
}

char **environment_for_wait(const struct service *s)
{
	char pid[32];
	size_t n;
	char **list = build_fixed(s, 3, &n);

	snprintf(pid, sizeof(pid), "%d", getpid());
	if (list == NULL)
		return NULL;
	if (add_pair(list, &n, "LISTEN_FDS", 10, "1") &&
	    add_pair(list, &n, "LISTEN_PID", 10, pid) &&
	    add_pair(list, &n, "LISTEN_FDNAMES", 14, s->name))
		return list;
	free_list(list, n);
	return NULL;
}
