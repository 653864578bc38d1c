/*
 * listen_fds.c: parses LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES.
 */
#include "upgrade/listen_fds.h"

#include "common/log.h"

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
} passed;

static void cut_names(char *names)
{
	passed.names = names;
	for (size_t i = 0; i < passed.count; i++) {
		const char *name = names != NULL ? strsep(&names, ":") : NULL;

		passed.items[i].fd = LISTEN_FDS_FIRST + (int)i;
		passed.items[i].name = name != NULL ? name : "";
		if (fcntl(passed.items[i].fd, F_SETFD, FD_CLOEXEC) < 0)
			passed.items[i].fd = -1; /* an upgrade leaves gaps */
	}
}

/* The names, whether they are in the environment or in one of `n` descriptors; to be
 * freed. NULL: there are none. */
static char *read_names(const char *text, long n)
{
	char *names = NULL;
	struct stat st;
	int fd;

	if (text == NULL || strncmp(text, LISTEN_FDS_LIST, strlen(LISTEN_FDS_LIST)) != 0)
		return text != NULL ? strdup(text) : NULL;
	fd = (int)strtol(text + strlen(LISTEN_FDS_LIST), NULL, 10);
	if (fd < LISTEN_FDS_FIRST || fd >= LISTEN_FDS_FIRST + n)
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

int listen_fds_open(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	const char *names = getenv("LISTEN_FDNAMES");
	long n = fds != NULL ? strtol(fds, NULL, 10) : 0;

	if (pid != NULL && strtol(pid, NULL, 10) == getpid() && n > 0 && n < 1 << 20) {
		passed.items = calloc((size_t)n, sizeof(*passed.items));
		passed.count = passed.items != NULL ? (size_t)n : 0;
		passed.upgrade = names != NULL && strncmp(names, LISTEN_FDS_LIST,
							  strlen(LISTEN_FDS_LIST)) == 0;
		cut_names(read_names(names, n));
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return LISTEN_FDS_FIRST + (int)passed.count;
}

bool listen_fds_is_upgrade(void)
{
	return passed.upgrade;
}

static int take(size_t i)
{
	int fd = passed.items[i].fd;

	passed.items[i].fd = -1;
	return fd;
}

static int find_listener(const struct service *s, struct listener *l, bool by_name)
{
	for (size_t i = 0; i < passed.count; i++) {
		const char *name = passed.items[i].name;
		struct listener found = *l;
		bool own = listener_parse_name(name, &found);

		if (passed.items[i].fd < 0 || strncmp(name, "udsd/", 5) == 0 ||
		    (by_name && (own || strcmp(name, s->name) != 0)))
			continue;
		if (listener_adopt(s, &found, passed.items[i].fd, own, by_name) < 0)
			continue;
		(void)take(i);
		*l = found;
		return 0;
	}
	return -1;
}

int listen_fds_listener(const struct service *s, struct listener *l)
{
	if (find_listener(s, l, true) == 0)
		return 0;
	return find_listener(s, l, false);
}

static int take_name(const char *name)
{
	for (size_t i = 0; i < passed.count; i++)
		if (passed.items[i].fd >= 0 && strcmp(passed.items[i].name, name) == 0)
			return take(i);
	return -1;
}

struct board *listen_fds_board(const char *service)
{
	char name[LISTEN_FDS_NAME];
	int fd;

	listen_fds_board_name(service, name);
	fd = take_name(name);
	return fd >= 0 ? board_adopt(fd) : NULL;
}

int listen_fds_pidfile(void)
{
	return take_name(PIDFILE);
}

bool listen_fds_worker(struct passed_worker *w)
{
	for (size_t i = 0; i < passed.count; i++) {
		if (passed.items[i].fd < 0 ||
		    listen_fds_parse_worker(passed.items[i].name, w) < 0)
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

bool listen_fds_unwanted(struct listener *l, char *path)
{
	*l = (struct listener){.fd = -1, .wd = -1, .dir_wd = -1};
	for (size_t i = 0; i < passed.count; i++) {
		if (passed.items[i].fd < 0 ||
		    !listener_parse_name(passed.items[i].name, l))
			continue;
		l->fd = take(i);
		read_path(l->fd, path);
		return true;
	}
	return false;
}

static void report_unwanted(int fd, const char *name)
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

void listen_fds_close(void)
{
	for (size_t i = 0; i < passed.count; i++) {
		if (passed.items[i].fd < 0)
			continue;
		if (strncmp(passed.items[i].name, "udsd/", 5) != 0)
			report_unwanted(passed.items[i].fd, passed.items[i].name);
		close(take(i));
	}
	free(passed.items);
	free(passed.names);
	passed.items = NULL;
	passed.names = NULL;
	passed.count = 0;
}

void listen_fds_board_name(const char *service, char *name)
{
	snprintf(name, LISTEN_FDS_NAME, BOARD "%s", service);
}

void listen_fds_pidfile_name(char *name)
{
	snprintf(name, LISTEN_FDS_NAME, PIDFILE);
}

void listen_fds_worker_name(const struct passed_worker *w, char *name)
{
	snprintf(name, LISTEN_FDS_NAME, "udsd/%c/%u/%d/%u/%u/%" PRId64 "/%" PRId64 "/%s",
		 w->kind, w->instance, w->pid, w->uid, w->gid, w->kill_grace,
		 w->max_lifetime, w->service);
}

int listen_fds_parse_worker(const char *name, struct passed_worker *w)
{
	int end = 0;

	if (sscanf(name,
		   "udsd/%c/%u/%d/%u/%u/%" SCNd64 "/%" SCNd64 "/%64[A-Za-z0-9_.@-]%n",
		   &w->kind, &w->instance, &w->pid, &w->uid, &w->gid, &w->kill_grace,
		   &w->max_lifetime, w->service, &end) < 8 ||
	    name[end] != '\0' || strchr("whfsb", w->kind) == NULL || w->kind == '\0')
		return -1;
	if (w->pid < 0 || (w->pid == 0 && strchr("sb", w->kind) == NULL) ||
	    w->kill_grace < 0 || w->max_lifetime < 0)
		return -1;
	return 0;
}
