/*
 * handover.c: LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES.
 */
#include "handover.h"

#include "log.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define PIDFILE "udsd/pid-file"
#define BOARD "udsd/board/"
#define PATH_BYTES 109
#define NAMES_MAX (1 << 28)

static struct {
	char *names; /* cut into pieces */
	struct {
		int fd; /* -1: taken, or never there */
		const char *name;
	} * items;
	size_t count;
	bool upgrade;
} handed;

static void cut_names(char *names)
{
	handed.names = names;
	for (size_t i = 0; i < handed.count; i++) {
		const char *name = names != NULL ? strsep(&names, ":") : NULL;

		handed.items[i].fd = HANDOVER_FIRST + (int)i;
		handed.items[i].name = name != NULL ? name : "";
		if (fcntl(handed.items[i].fd, F_SETFD, FD_CLOEXEC) < 0)
			handed.items[i].fd = -1; /* an upgrade leaves gaps */
	}
}

/* The names, whether they are in the environment or in one of `n` descriptors; to be freed. NULL: there
 * are none. */
static char *read_names(const char *text, long n)
{
	char *names = NULL;
	struct stat st;
	int fd;

	if (text == NULL || strncmp(text, HANDOVER_LIST, strlen(HANDOVER_LIST)) != 0)
		return text != NULL ? strdup(text) : NULL;
	fd = (int)strtol(text + strlen(HANDOVER_LIST), NULL, 10);
	if (fd < HANDOVER_FIRST || fd >= HANDOVER_FIRST + n)
		return NULL;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size < NAMES_MAX)
		names = calloc(1, (size_t)st.st_size + 1);
	if (names != NULL && pread(fd, names, (size_t)st.st_size, 0) != st.st_size) {
		free(names);
		names = NULL;
	}
	close(fd);
	return names;
}

int handover_open(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	const char *names = getenv("LISTEN_FDNAMES");
	long n = fds != NULL ? strtol(fds, NULL, 10) : 0;

	if (pid != NULL && strtol(pid, NULL, 10) == getpid() && n > 0 && n < 1 << 20) {
		handed.items = calloc((size_t)n, sizeof(*handed.items));
		handed.count = handed.items != NULL ? (size_t)n : 0;
		handed.upgrade = names != NULL && strncmp(names, HANDOVER_LIST,
							  strlen(HANDOVER_LIST)) == 0;
		cut_names(read_names(names, n));
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return HANDOVER_FIRST + (int)handed.count;
}

bool handover_is_upgrade(void)
{
	return handed.upgrade;
}

static int take(size_t i)
{
	int fd = handed.items[i].fd;

	handed.items[i].fd = -1;
	return fd;
}

/* Whether the name is that of a socket of ours; then *l knows its path's identity. */
static bool is_own(const char *name, struct listener *l)
{
	uintmax_t device, inode;
	int64_t since;
	int end = 0;

	if (sscanf(name, "udsd-%" SCNxMAX "-%" SCNxMAX "-%" SCNd64 "%n", &device, &inode,
		   &since, &end) < 3 ||
	    name[end] != '\0')
		return false;
	l->since = since;
	l->device = (dev_t)device;
	l->inode = (ino_t)inode;
	return true;
}

static int find_listener(const struct service *s, struct listener *l, bool by_name)
{
	for (size_t i = 0; i < handed.count; i++) {
		const char *name = handed.items[i].name;
		bool own = is_own(name, l);

		if (handed.items[i].fd < 0 || strncmp(name, "udsd/", 5) == 0 ||
		    (by_name && (own || strcmp(name, s->name) != 0)))
			continue;
		if (listener_adopt(s, l, handed.items[i].fd, own, by_name) < 0)
			continue;
		(void)take(i);
		return 0;
	}
	return -1;
}

int handover_listener(const struct service *s, struct listener *l)
{
	if (find_listener(s, l, true) == 0)
		return 0;
	return find_listener(s, l, false);
}

static int take_name(const char *name)
{
	for (size_t i = 0; i < handed.count; i++)
		if (handed.items[i].fd >= 0 && strcmp(handed.items[i].name, name) == 0)
			return take(i);
	return -1;
}

struct board *handover_board(const char *service)
{
	char name[HANDOVER_NAME];
	int fd;

	handover_board_name(service, name);
	fd = take_name(name);
	return fd >= 0 ? board_adopt(fd) : NULL;
}

int handover_pidfile(void)
{
	return take_name(PIDFILE);
}

bool handover_worker(struct handed_worker *w)
{
	for (size_t i = 0; i < handed.count; i++) {
		if (handed.items[i].fd < 0 ||
		    handover_parse_worker(handed.items[i].name, w) < 0)
			continue;
		w->fd = take(i);
		return true;
	}
	return false;
}

/* The path that a socket is bound to, "" if there is none. */
static void read_path(int fd, char *path)
{
	struct sockaddr_un sun = {0};
	socklen_t len = sizeof(sun);

	*path = '\0';
	if (getsockname(fd, (struct sockaddr *)&sun, &len) == 0 &&
	    sun.sun_family == AF_UNIX)
		snprintf(path, PATH_BYTES, "%.*s", (int)sizeof(sun.sun_path),
			 sun.sun_path);
}

bool handover_unwanted(struct listener *l, char *path)
{
	*l = (struct listener){.fd = -1, .wd = -1, .dir_wd = -1};
	for (size_t i = 0; i < handed.count; i++) {
		if (handed.items[i].fd < 0 || !is_own(handed.items[i].name, l))
			continue;
		l->fd = take(i);
		read_path(l->fd, path);
		return true;
	}
	return false;
}

static void report(int fd, const char *name)
{
	char path[PATH_BYTES];
	struct log_line line;

	log_begin(&line, LOG_WARNING, "listen");
	log_str(&line, "fd-name", name);
	read_path(fd, path);
	if (*path != '\0')
		log_str(&line, "socket", path);
	log_str(&line, "error", "no service wants this descriptor: closed");
	log_end(&line);
}

void handover_close(void)
{
	for (size_t i = 0; i < handed.count; i++) {
		if (handed.items[i].fd < 0)
			continue;
		if (strncmp(handed.items[i].name, "udsd/", 5) != 0)
			report(handed.items[i].fd, handed.items[i].name);
		close(take(i));
	}
	free(handed.items);
	free(handed.names);
	handed.items = NULL;
	handed.names = NULL;
	handed.count = 0;
}

void handover_listener_name(const struct listener *l, char *name)
{
	snprintf(name, HANDOVER_NAME, "udsd-%jx-%jx-%" PRId64, (uintmax_t)l->device,
		 (uintmax_t)l->inode, l->since);
}

void handover_board_name(const char *service, char *name)
{
	snprintf(name, HANDOVER_NAME, BOARD "%s", service);
}

void handover_pidfile_name(char *name)
{
	snprintf(name, HANDOVER_NAME, PIDFILE);
}

void handover_worker_name(const struct handed_worker *w, char *name)
{
	snprintf(name, HANDOVER_NAME, "udsd/%c/%u/%d/%u/%u/%" PRId64 "/%" PRId64 "/%s",
		 w->kind, w->unit, w->pid, w->uid, w->gid, w->kill_grace, w->max_lifetime,
		 w->service);
}

int handover_parse_worker(const char *name, struct handed_worker *w)
{
	int end = 0;

	if (sscanf(name,
		   "udsd/%c/%u/%d/%u/%u/%" SCNd64 "/%" SCNd64 "/%64[A-Za-z0-9_.@-]%n",
		   &w->kind, &w->unit, &w->pid, &w->uid, &w->gid, &w->kill_grace,
		   &w->max_lifetime, w->service, &end) < 8 ||
	    name[end] != '\0' || strchr("whfsb", w->kind) == NULL || w->kind == '\0')
		return -1;
	if (w->pid < 0 || (w->pid == 0 && strchr("sb", w->kind) == NULL) ||
	    w->kill_grace < 0 || w->max_lifetime < 0)
		return -1;
	return 0;
}
