/*
 * test_listener.c: a socket's path, while a user whom its mode keeps out tries to connect all the
 * time, and while others put things there.
 */
#include "service/listener.h"

#include "lib/cases.h"
#include "lib/scratch.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define CREATIONS 10000 /* unless UDSD_CREATIONS says otherwise */
#define STRANGER 61003

static char path[100];
static struct service service = {.socket = path,
				 .type = SOCK_STREAM,
				 .socket_owner = (uid_t)-1,
				 .socket_group = (gid_t)-1,
				 .directory_mode = 0755,
				 .backlog = 5};

/* What the process that storms has seen. */
struct storm {
	_Atomic bool over;
	_Atomic unsigned long tried, forbidden, connected;
};

/* Root has nothing to fear from modes, so it becomes another user. */
static _Noreturn void storm(struct storm *storm)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	if (geteuid() == 0 && (setgid(STRANGER) < 0 || setuid(STRANGER) < 0))
		_exit(1);
	while (!storm->over) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

		storm->tried++;
		if (connect(fd, (void *)&sun, sizeof(sun)) == 0 || errno == EAGAIN)
			storm->connected++;
		else
			storm->forbidden += errno == EACCES;
		close(fd);
	}
	_exit(0);
}

static void create_once(mode_t mode)
{
	struct listener l;
	struct failure f;

	service.socket_mode = mode;
	f = listener_open(&service, &l, 0);
	if (failed(f))
		fail_msg("%s: %s", f.operation, strerror(f.error));
	listener_remove(&service, &l);
	listener_close(&l);
}

static void test_no_client_is_faster_than_the_mode(void **state)
{
	const char *number = getenv("UDSD_CREATIONS");
	long count = number != NULL ? strtol(number, NULL, 10) : CREATIONS;
	mode_t old = umask(0);
	struct storm *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;
	int status;

	(void)state;
	assert_true(s != MAP_FAILED);
	snprintf(path, sizeof(path), "%s", scratch_path("storm"));
	pid = fork();
	if (pid == 0)
		storm(s);
	while (s->tried == 0 && waitpid(pid, &status, WNOHANG) == 0)
		(void)poll(NULL, 0, 1);
	for (long i = 0; i < count; i++)
		create_once(geteuid() == 0 && i % 2 == 0 ? 0600 : 0);
	s->over = true;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	printf("# %ld creations, %lu connects tried, %lu forbidden, %lu connected\n",
	       count, s->tried, s->forbidden, s->connected);
	assert_true(s->forbidden > 0);
	assert_int_equal(s->connected, 0);
	munmap(s, sizeof(*s));
	umask(old);
}

static void put_file(void)
{
	fclose(fopen(path, "w"));
}

static void put_directory(void)
{
	assert_int_equal(mkdir(path, 0755), 0);
}

static void put_fifo(void)
{
	assert_int_equal(mkfifo(path, 0600), 0);
}

static void put_link(void)
{
	assert_int_equal(symlink(scratch_path("target"), path), 0);
}

static void put_socket(void)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0); /* no process serves it any more */

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	assert_int_equal(bind(fd, (void *)&sun, sizeof(sun)), 0);
	close(fd);
}

/* In the place of a live socket's path: seen, and neither changed nor removed. */
static void test_what_is_put_in_its_place_is_left_alone(void **state)
{
	static void (*const puts_there[])(void) = {put_file, put_directory, put_fifo,
						   put_link, put_socket};

	(void)state;
	scratch_write("target", "precious");
	snprintf(path, sizeof(path), "%s", scratch_path("d/s"));
	for (size_t i = 0; i < COUNT(puts_there); i++) {
		struct stat before, after, target[2];
		struct listener l;

		service.socket_mode = 0600;
		assert_false(failed(listener_open(&service, &l, 0)));
		assert_int_equal(listener_look(&service, &l), LISTENER_OURS);
		unlink(path);
		assert_int_equal(listener_look(&service, &l), LISTENER_GONE);
		puts_there[i]();
		assert_int_equal(
			lstat(path, &before) + stat(scratch_path("target"), target), 0);
		assert_int_equal(listener_look(&service, &l), LISTENER_FOREIGN);
		service.socket_mode = 0777;
		(void)listener_apply(&service, &l);
		listener_remove(&service, &l);
		listener_close(&l);
		assert_int_equal(lstat(path, &after) +
					 stat(scratch_path("target"), target + 1),
				 0);
		assert_memory_equal(&before, &after, sizeof(before));
		assert_memory_equal(&target[0], &target[1], sizeof(*target));
		assert_int_equal(remove(path), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_client_is_faster_than_the_mode),
		cmocka_unit_test(test_what_is_put_in_its_place_is_left_alone),
	};

	return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}
