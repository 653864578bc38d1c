/*
 * test_listen_fds.c: descriptors that are passed, and their names.
 */
#include "upgrade/listen_fds.h"

#include "lib/cases.h"
#include "lib/scratch.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_names_of_workers(void **state)
{
	static const struct {
		const char *name;
		int rc;
	} rows[] = {
		{"udsd/w/7/1/0/0/0/0/s", 0},
		{"udsd/h/8/4194304/65534/65534/5000000000/0/git@home.x-1_y", 0},
		{"udsd/s/0/0/1/2/3/4/s", 0},
		{"udsd/b/9/0/1/2/3/4/s", 0},
		{"udsd/w/7/0/0/0/0/0/s", -1}, /* a worker has a pid */
		{"udsd/w/7/-1/0/0/0/0/s", -1},
		{"udsd/w/7/1/0/0/-5/0/s", -1},
		{"udsd/w/7/1/0/0/0/-5/s", -1},
		{"udsd/x/7/1/0/0/0/0/s", -1},
		{"udsd/w/7/1/0/0/0/0/", -1},
		{"udsd/w/7/1/0/0/0/0", -1},
		{"udsd/w/7/1/0/0/0/0/a b", -1},
		{"udsd/w/7/1/0/0/0/0/a/b", -1},
		{"udsd/pid-file", -1},
		{"udsd-1-2-3", -1},
		{"", -1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct passed_worker w;
		char name[LISTEN_FDS_NAME];

		check(listen_fds_parse_worker(rows[i].name, &w) == rows[i].rc, "%s",
		      rows[i].name);
		if (rows[i].rc < 0)
			continue;
		listen_fds_worker_name(&w, name);
		assert_string_equal(name, rows[i].name);
	}
}

/* The longest name of a service with the largest numbers fits, and is read again. */
static void test_longest_name(void **state)
{
	struct passed_worker w = {.kind = 'w',
				  .instance = UINT_MAX,
				  .pid = INT_MAX,
				  .uid = UINT_MAX,
				  .gid = UINT_MAX,
				  .kill_grace = INT64_MAX,
				  .max_lifetime = INT64_MAX},
			     again;
	char name[LISTEN_FDS_NAME];

	(void)state;
	memset(w.service, 'x', sizeof(w.service) - 1);
	listen_fds_worker_name(&w, name);
	assert_true(strlen(name) < sizeof(name) - 1);
	assert_int_equal(listen_fds_parse_worker(name, &again), 0);
	assert_string_equal(again.service, w.service);
	assert_true(again.pid == w.pid && again.uid == w.uid && again.gid == w.gid);
	assert_true(again.kill_grace == w.kill_grace &&
		    again.max_lifetime == w.max_lifetime);
}

/* ---- In a process of its own: what the environment says ------------------------------------- */

/* A listening socket as descriptor `fd`. */
static void listen_at(int fd, const char *path, int type)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int sock = socket(AF_UNIX, type, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	check(sock >= 0 && bind(sock, (void *)&sun, sizeof(sun)) == 0 &&
		      listen(sock, 5) == 0 && dup2(sock, fd) == fd,
	      "%s", path);
	if (sock != fd)
		close(sock);
}

static void announce(const char *count, const char *names, pid_t pid)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	setenv("LISTEN_PID", text, 1);
	setenv("LISTEN_FDS", count, 1);
	if (names != NULL)
		setenv("LISTEN_FDNAMES", names, 1);
}

/* Runs a function in a child with nothing but the standard descriptors; its result. */
static int in_child(int (*function)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		close_range(3, ~0U, 0);
		_exit(function());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

#define WANT(condition)             \
 do {                               \
  if (!(condition)) {               \
   printf("# line %d\n", __LINE__); \
   fflush(stdout);                  \
   return 1;                        \
  }                                 \
 } while (0)

static int match_all(void)
{
	char by_name[] = "name", at_path[] = "path", mine[] = "mine", packet[] = "packet";
	struct service name = {.name = by_name,
			       .socket = scratch_path("elsewhere"),
			       .type = SOCK_STREAM};
	struct service path = {
		.name = at_path, .socket = scratch_path("p"), .type = SOCK_STREAM};
	struct service own = {
		.name = mine, .socket = scratch_path("o"), .type = SOCK_STREAM};
	struct service wrong = {
		.name = packet, .socket = scratch_path("w"), .type = SOCK_SEQPACKET};
	struct listener l;

	listen_at(3, scratch_path("n"), SOCK_STREAM);
	listen_at(4, path.socket, SOCK_STREAM);
	listen_at(5, own.socket, SOCK_STREAM);
	listen_at(6, wrong.socket, SOCK_STREAM);
	announce("4", "name:x.socket:udsd-fd01-1a2b-77:packet", getpid());
	WANT(listen_fds_open() == 7 && !listen_fds_is_upgrade());
	WANT(getenv("LISTEN_FDS") == NULL && getenv("LISTEN_PID") == NULL &&
	     getenv("LISTEN_FDNAMES") == NULL);
	WANT(listen_fds_listener(&name, &l) == 0 && l.fd == 3 && l.foreign);
	WANT(fcntl(3, F_GETFD) == FD_CLOEXEC && (fcntl(3, F_GETFL) & O_NONBLOCK) != 0);
	WANT(listen_fds_listener(&name, &l) < 0); /* it is taken */
	WANT(listen_fds_listener(&path, &l) == 0 && l.fd == 4 && l.foreign);
	WANT(listen_fds_listener(&own, &l) == 0 && l.fd == 5 && !l.foreign);
	WANT(l.device == 0xfd01 && l.inode == 0x1a2b && l.since == 77);
	WANT(listen_fds_listener(&wrong, &l) < 0); /* neither by name nor by path */
	WANT(fcntl(6, F_GETFD) >= 0);
	WANT(freopen("/dev/null", "w", stderr) != NULL); /* it is reported */
	listen_fds_close();
	WANT(fcntl(6, F_GETFD) < 0 && fcntl(5, F_GETFD) >= 0);
	return 0;
}

static void test_match(void **state)
{
	(void)state;
	assert_int_equal(in_child(match_all), 0);
}

static int upgrade(void)
{
	static const char names[] =
		"udsd/board/s:udsd/pid-file:udsd/-:udsd/w/5/77/1/2/3/4/s";
	int list;
	struct board *board;
	struct passed_worker w;

	board = board_new(); /* 3, when nothing else is open */
	WANT(board != NULL && board->fd == 3);
	board->map->counters.numbers = 12;
	WANT(dup(STDIN_FILENO) == 4 && dup(STDIN_FILENO) == 5 && dup(STDIN_FILENO) == 6);
	close(5);                                    /* a gap */
	WANT((list = memfd_create("list", 0)) == 5); /* it may be in a gap */
	WANT(write(list, names, sizeof(names) - 1) == (ssize_t)sizeof(names) - 1);
	announce("4", LISTEN_FDS_LIST "5", getpid());
	WANT(listen_fds_open() == 7 && listen_fds_is_upgrade());
	WANT(fcntl(5, F_GETFD) < 0);
	WANT(listen_fds_board("t") == NULL);
	board = listen_fds_board("s");
	WANT(board != NULL && board->map->counters.numbers == 12);
	WANT(listen_fds_board("s") == NULL);
	WANT(listen_fds_pidfile() == 4 && listen_fds_pidfile() == -1);
	WANT(listen_fds_worker(&w) && w.fd == 6 && w.pid == 77 && w.kill_grace == 3);
	WANT(!listen_fds_worker(&w));
	listen_fds_close();
	WANT(fcntl(6, F_GETFD) == FD_CLOEXEC); /* what was taken stays open */
	return 0;
}

static void test_upgrade(void **state)
{
	(void)state;
	assert_int_equal(in_child(upgrade), 0);
}

static const char *bad_count;
static int bad_pid;

static int nothing(void)
{
	struct passed_worker w;

	announce(bad_count, NULL, bad_pid ? 1 : getpid());
	WANT(listen_fds_open() == 3 && !listen_fds_is_upgrade());
	WANT(getenv("LISTEN_FDS") == NULL);
	WANT(!listen_fds_worker(&w) && listen_fds_pidfile() == -1);
	listen_fds_close();
	return 0;
}

/* What is not for us, or makes no sense, is nothing. */
static void test_not_for_us(void **state)
{
	static const char *const counts[] = {"", "x", "-1", "0", "99999999999"};

	(void)state;
	for (size_t i = 0; i < COUNT(counts); i++) {
		bad_count = counts[i];
		check(in_child(nothing) == 0, "%s", counts[i]);
	}
	bad_count = "1";
	bad_pid = 1;
	assert_int_equal(in_child(nothing), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_of_workers),
		cmocka_unit_test(test_longest_name),
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_upgrade),
		cmocka_unit_test(test_not_for_us),
	};

	return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}
