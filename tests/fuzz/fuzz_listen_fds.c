/*
 * fuzz_listen_fds.c: any text as LISTEN_FDNAMES, with descriptors of all kinds behind the names.
 *
 * What holds: every name that is taken for that of an old worker can be written and read again
 * without a change, a path fits where it is put, and nothing but what was passed is closed.
 */
#include "upgrade/listen_fds.h"

#include "records.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define COUNT 8    /* descriptors that are passed */
#define MASTERS 64 /* where copies of them are kept */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A listening socket, a scoreboard, another socket, a file, and gaps. */
static void make_masters(void)
{
	const struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct board *board = board_new();
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	must(board != NULL && dup2(board->fd, MASTERS + 1) > 0);
	board_release(board);
	must(bind(fd, (const void *)&sun, sizeof(sa_family_t)) ==
	     0); /* the kernel's choice */
	must(listen(fd, 1) == 0 && dup2(fd, MASTERS) > 0 && dup2(fd, MASTERS + 4) > 0);
	close(fd);
	fd = open("/dev/null", O_RDWR);
	must(dup2(fd, MASTERS + 2) > 0 && dup2(fd, MASTERS + 6) > 0);
	close(fd);
	records_open();
}

/* False: this text cannot be in an environment. (setenv(3) would never free what it copies.) */
static bool hand_over(const uint8_t *data, size_t size)
{
	static char names[4096] = "LISTEN_FDNAMES=", count[] = "LISTEN_FDS=8", pid[32];
	const size_t start = strlen("LISTEN_FDNAMES=");

	if (size >= sizeof(names) - start || memchr(data, '\0', size) != NULL)
		return false;
	memcpy(names + start, data, size);
	names[start + size] = '\0';
	for (int i = 0; i < COUNT; i++)
		if (fcntl(MASTERS + i, F_GETFD) >= 0)
			must(dup2(MASTERS + i, LISTEN_FDS_FIRST + i) > 0);
	snprintf(pid, sizeof(pid), "LISTEN_PID=%d", getpid());
	must(putenv(pid) == 0 && putenv(count) == 0);
	must(putenv(names) == 0);
	return true;
}

static void take_workers(void)
{
	struct passed_worker w, again;
	char name[LISTEN_FDS_NAME];

	while (listen_fds_worker(&w)) {
		must(w.fd >= LISTEN_FDS_FIRST && w.fd < LISTEN_FDS_FIRST + COUNT);
		must(memchr(w.service, '\0', sizeof(w.service)) != NULL);
		must(w.pid >= 0 && w.kill_grace >= 0 && w.max_lifetime >= 0);
		listen_fds_worker_name(&w, name);
		must(strlen(name) < sizeof(name) - 1);
		must(listen_fds_parse_worker(name, &again) == 0);
		must(again.kind == w.kind && again.pid == w.pid && again.uid == w.uid &&
		     again.instance == w.instance && again.gid == w.gid &&
		     again.max_lifetime == w.max_lifetime &&
		     again.kill_grace == w.kill_grace &&
		     strcmp(again.service, w.service) == 0);
	}
}

static void take_sockets(void)
{
	char name[] = "s", at[] = "/run/s", path[109];
	const struct service service = {.name = name, .socket = at, .type = SOCK_STREAM};
	struct listener l;

	(void)listen_fds_listener(&service, &l);
	while (listen_fds_unwanted(&l, path)) {
		must(l.fd >= LISTEN_FDS_FIRST && l.fd < LISTEN_FDS_FIRST + COUNT);
		must(memchr(path, '\0', sizeof(path)) != NULL);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;

	if (!ready)
		make_masters();
	ready = true;
	if (!hand_over(data, size))
		return 0;
	must(listen_fds_open() == LISTEN_FDS_FIRST + COUNT);
	board_release(listen_fds_board("s"));
	(void)listen_fds_pidfile();
	take_sockets();
	take_workers();
	listen_fds_close();
	must(fcntl(MASTERS, F_GETFD) >= 0);
	must(close_range(LISTEN_FDS_FIRST, LISTEN_FDS_FIRST + COUNT - 1, 0) == 0);
	while (records_next() != NULL)
		;
	return 0;
}
