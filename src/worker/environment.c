/*
 * environment.c: environ(7) of handlers.
 *
 * One list for a service: what it sets itself, then what is the same for all connections,
 * then the variables of one connection, whose text is patched in place. Nothing is
 * allocated for a connection.
 */
#include "worker/environment.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VALUE_BYTES 320 /* of a variable that changes */

/* The variables that differ from connection to connection. */
enum variable { PEER_UID, PEER_GID, PEER_PID, CONNECTION, RULE, PEER_PATH, VARIABLES };

static const char *const prefixes[VARIABLES] = {
	"UNIXREMOTEEUID=",  "UNIXREMOTEEGID=", "UNIXREMOTEPID=",
	"UDSD_CONNECTION=", "UDSD_RULE=",      "UNIXREMOTEPATH=",
};

/* Allocated texts, and behind them those of `value`, then NULL. */
struct environment {
	char **list;
	size_t count;     /* texts that were allocated */
	char **peer_path; /* the entry of PEER_PATH, NULL where there is none */
	char value[VARIABLES][VALUE_BYTES];
};

/* Adds NAME=value, unless there is one of the name: the first one wins. False: out of
 * memory. */
__attribute__((format(printf, 2, 3))) static bool environment_add(struct environment *e,
								  const char *format, ...)
{
	char **more = reallocarray(e->list, e->count + 1 + VARIABLES + 1, sizeof(*more));
	char *pair;
	va_list ap;
	int rc;

	if (more == NULL)
		return false;
	e->list = more;
	va_start(ap, format);
	rc = vasprintf(&pair, format, ap);
	va_end(ap);
	if (rc < 0)
		return false;
	for (size_t i = 0; i < e->count; i++)
		if (strncmp(e->list[i], pair, strcspn(pair, "=") + 1) == 0) {
			free(pair);
			return true;
		}
	e->list[e->count++] = pair;
	e->list[e->count] = NULL;
	return true;
}

/* What is the same for all connections; first what the service sets itself. */
static bool environment_fill(struct environment *e, const struct service *s)
{
	for (char **own = s->environment; own != NULL && *own != NULL; own++)
		if (!environment_add(e, "%s", *own))
			return false;
	return environment_add(
		       e,
		       "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin") &&
	       environment_add(e, "HOME=%s", s->account->home) &&
	       environment_add(e, "USER=%s", s->account->name) &&
	       environment_add(e, "LOGNAME=%s", s->account->name) &&
	       environment_add(e, "SHELL=%s", s->account->shell) &&
	       environment_add(e, "PROTO=UNIX") &&
	       environment_add(e, "UNIXLOCALPATH=%s", s->socket) &&
	       environment_add(e, "UNIXLOCALUID=%u", geteuid()) &&
	       environment_add(e, "UNIXLOCALGID=%u", getegid()) &&
	       environment_add(e, "UNIXLOCALPID=%d", getpid()) &&
	       environment_add(e, "UDSD_SERVICE=%s", s->name);
}

struct environment *environment_new(const struct service *s)
{
	struct environment *e = calloc(1, sizeof(*e));

	if (e == NULL || !environment_fill(e, s)) {
		environment_free(e);
		return NULL;
	}
	for (int i = 0; i < VARIABLES; i++)
		e->list[e->count + (size_t)i] = strcpy(e->value[i], prefixes[i]);
	e->peer_path = &e->list[e->count + PEER_PATH];
	e->peer_path[1] = NULL;
	return e;
}

void environment_free(struct environment *e)
{
	if (e == NULL)
		return;
	while (e->count > 0)
		free(e->list[--e->count]);
	free(e->list);
	free(e);
}

/* Cut if it is too long. */
static void put_value(struct environment *e, enum variable v, const char *text,
		      size_t len)
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
	put_value(e, v, digits + at, sizeof(digits) - at);
}

/* Where the peer is bound, if it is; an abstract name gets an @. Nothing with a control
 * character is passed on. */
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
	put_value(e, PEER_PATH, path, len);
	return true;
}

char *const *environment_of(struct environment *e, const struct environment_call *call)
{
	put_number(e, PEER_UID, call->peer->uid);
	put_number(e, PEER_GID, call->peer->gid);
	put_number(e, PEER_PID, (uint64_t)call->peer->pid);
	put_number(e, CONNECTION, call->id);
	put_value(e, RULE, call->rule, strlen(call->rule));
	*e->peer_path =
		put_peer_path(e, call->from, call->from_len) ? e->value[PEER_PATH] : NULL;
	return e->list;
}

char *const *environment_for_wait(const struct service *s)
{
	static struct environment e;

	return environment_fill(&e, s) && environment_add(&e, "LISTEN_FDS=1") &&
			       environment_add(&e, "LISTEN_PID=%d", getpid()) &&
			       environment_add(&e, "LISTEN_FDNAMES=%s", s->name)
		       ? e.list
		       : NULL;
}
