/*
 * test_spawn.c: how a handler starts: its descriptors, limits and signals, and how a
 * start fails.
 */
#include "worker/spawn.h"

#include "lib/alice.h"
#include "lib/cases.h"
#include "common/clock.h"
#include "lib/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

static void test_busy(void **state)
{
	static const int busy[] = {EAGAIN, ENOMEM, EMFILE, ENFILE, ETXTBSY};
	static const int good[] = {0,     ENOENT, EACCES,  ENOEXEC, EPERM,
				   E2BIG, ELOOP,  ENOTDIR, EINVAL};

	(void)state;
	for (size_t i = 0; i < COUNT(busy); i++)
		assert_true(spawn_is_busy(busy[i]));
	for (size_t i = 0; i < COUNT(good); i++)
		assert_false(spawn_is_busy(good[i]));
}

struct start {
	const char *path, *script; /* of a shell; NULL: no argument */
	enum stderr_kind stderr_kind;
	const char *stderr_path; /* in the scratch directory */
	int resource;
	struct limit_setting limit; /* of that resource */
	const char *output;         /* on the connection; NULL: the start fails */
	const char *operation;      /* what failed */
	int error;
};

static char *writable(const char *text)
{
	return (char *)(uintptr_t)text;
}

static void await(struct spawn *h)
{
	while (!spawn_await(h, NSEC_PER_SEC))
		;
}

static void read_all(int fd, char *text, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while ((n = read(fd, text + len, size - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
}

/* Starts it on one end of a pair, and reads at the other all that comes back. */
static void try_start(const struct start *start)
{
	char *argv[] = {writable(start->path), start->script ? writable("-c") : NULL,
			start->script ? writable(start->script) : NULL, NULL};
	struct service service = {
		SERVICE, .handler = argv, .stderr_target.kind = start->stderr_kind,
		.stderr_target.path =
			start->stderr_path ? scratch_path(start->stderr_path) : NULL};
	const struct peer peer = {1, 2, 3, 0, groups};
	const struct sockaddr_un from = {.sun_family = AF_UNIX};
	struct spawn *h;
	const struct environment_call call = {
		.peer = &peer, .rule = "any", .from = &from};
	_Atomic int32_t pid = 0;
	struct failure f;
	char text[256] = "";
	int fd[2], status;

	service.limits[start->resource] = start->limit;
	h = spawn_new(&service);
	assert_non_null(h);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	spawn_prepare(h, fd[0], &call);
	assert_int_equal(spawn_start(h, &pid), 0);
	await(h);
	close(fd[0]);
	f = spawn_failure(h);
	check(f.error == start->error, "%s: %s", start->path, strerror(f.error));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (failed(f)) {
		assert_string_equal(f.operation, start->operation);
		assert_int_equal(WEXITSTATUS(status), 127);
	} else {
		read_all(fd[1], text, sizeof(text));
		check(same(text, start->output), "%s: %s", shown(start->script), text);
	}
	close(fd[1]);
	spawn_free(h);
}

static const struct start starts[] = {
	{"/bin/sh", "echo $UDSD_RULE $0", 0, NULL, 0, {0}, "any /bin/sh\n", NULL, 0},
	{"/bin/sh",
	 "echo out; echo err >&2",
	 STDERR_CLIENT,
	 NULL,
	 0,
	 {0},
	 "out\nerr\n",
	 NULL,
	 0},
	{"/bin/sh", "echo err >&2", STDERR_FILE, "err", 0, {0}, "", NULL, 0},
	{"/bin/sh", "echo more >&2", STDERR_FILE, "err", 0, {0}, "", NULL, 0},
	{"/bin/sh",
	 "echo lost >&2",
	 STDERR_FILE,
	 "none/err",
	 0,
	 {0},
	 NULL,
	 "stderr",
	 ENOENT},
	{"/bin/sh", "ulimit -t", 0, NULL, RLIMIT_CPU, {"limit-cpu", 77}, "77\n", NULL, 0},
	{"/bin/true",
	 NULL,
	 0,
	 NULL,
	 RLIMIT_NOFILE,
	 {"limit-nofile", (rlim_t)1 << 60},
	 NULL,
	 "limit-nofile",
	 EPERM},
	{"/no/such", NULL, 0, NULL, 0, {0}, NULL, "execute", ENOENT},
	{"/etc/passwd", NULL, 0, NULL, 0, {0}, NULL, "execute", EACCES},
	{"/", NULL, 0, NULL, 0, {0}, NULL, "execute", EACCES},
};

static int set_true(void *arg)
{
	*(volatile bool *)arg = true;
	return 0;
}

/* Whether a child can share our memory. Under valgrind it cannot: there it has a copy. */
static bool child_shares_memory(void)
{
	static char stack[65536];
	volatile bool shared = false;
	pid_t pid = clone(set_true, stack + sizeof(stack),
			  CLONE_VM | CLONE_VFORK | SIGCHLD, (void *)(uintptr_t)&shared);

	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return shared;
}

static void test_start(void **state)
{
	char text[64] = "";
	FILE *f;

	(void)state;
	if (!child_shares_memory())
		skip();
	for (size_t i = 0; i < COUNT(starts); i++)
		try_start(&starts[i]);
	f = fopen(scratch_path("err"), "r");
	assert_non_null(f);
	assert_int_equal(fread(text, 1, sizeof(text) - 1, f), 9);
	fclose(f);
	assert_string_equal(text, "err\nmore\n");
}

/* A start on one end of a pair, that has not been waited for. */
struct running {
	struct service service;
	struct spawn *spawn;
	_Atomic int32_t pid;
	int fd; /* the other end */
	int own;
};

static void run(struct running *r, char **argv, uint64_t id)
{
	const struct peer peer = {1, 2, 3, 0, groups};
	const struct sockaddr_un from = {.sun_family = AF_UNIX};
	const struct environment_call call = {
		.peer = &peer, .rule = "any", .from = &from, .id = id};
	int fd[2];

	r->service = (struct service){SERVICE, .handler = argv};
	r->spawn = spawn_new(&r->service);
	assert_non_null(r->spawn);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	r->own = fd[0];
	r->fd = fd[1];
	spawn_prepare(r->spawn, r->own, &call);
	assert_int_equal(spawn_start(r->spawn, &r->pid), 0);
}

/* Its wait status. */
static int finish(struct running *r)
{
	int status;

	await(r->spawn);
	close(r->own);
	close(r->fd);
	assert_int_equal(waitpid(r->pid, &status, 0), r->pid);
	spawn_free(r->spawn);
	return status;
}

/* The handler leads a group of its own and has no signal blocked. */
static void test_process(void **state)
{
	char *argv[] = {writable("/bin/cat"), NULL};
	struct running cat;
	sigset_t all, old;
	int status;

	(void)state;
	if (!child_shares_memory())
		skip();
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	run(&cat, argv, 1);
	await(cat.spawn);
	sigprocmask(SIG_SETMASK, &old, NULL);
	assert_int_equal(getpgid(cat.pid), cat.pid);
	assert_int_equal(kill(-cat.pid, SIGTERM), 0);
	status = finish(&cat);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

/* Starts that are under way together do not disturb each other. */
static void test_many(void **state)
{
	char *argv[] = {writable("/bin/sh"), writable("-c"),
			writable("read x; echo $x $UDSD_CONNECTION"), NULL};
	struct running all[8];
	char text[64], expected[64];

	(void)state;
	if (!child_shares_memory())
		skip();
	for (uint64_t i = 0; i < COUNT(all); i++)
		run(&all[i], argv, 1000 + i);
	for (size_t i = 0; i < COUNT(all); i++) {
		await(all[i].spawn);
		close(all[i].own);
		all[i].own = -1;
		assert_int_equal(dprintf(all[i].fd, "%zu\n", i), 2);
		read_all(all[i].fd, text, sizeof(text));
		snprintf(expected, sizeof(expected), "%zu %zu\n", i, 1000 + i);
		assert_string_equal(text, expected);
		assert_int_equal(finish(&all[i]), 0);
	}
}

/* A child that fails does not change its parent's errno. */
static void test_errno(void **state)
{
	char *argv[] = {writable("/no/such"), NULL};

	(void)state;
	if (!spawn_is_concurrent() || !child_shares_memory())
		skip();
	for (int i = 0; i < 20; i++) {
		struct running r;

		run(&r, argv, 1);
		errno = EXDEV;
		while (!spawn_is_settled(r.spawn))
			;
		assert_int_equal(errno, EXDEV);
		assert_int_equal(spawn_failure(r.spawn).error, ENOENT);
		assert_int_equal(WEXITSTATUS(finish(&r)), 127);
	}
}

/* Whether it was stopped before it executed. */
static bool is_caught(struct running *r)
{
	assert_int_equal(kill(r->pid, SIGSTOP), 0);
	(void)spawn_await(r->spawn, NSEC_PER_MSEC * 20);
	return !spawn_is_settled(r->spawn);
}

/* A child that is stopped on its way delays no other, and can be given up. */
static void test_give_up(void **state)
{
	char *argv[] = {writable("/bin/cat"), NULL};
	struct running r;
	int status;

	(void)state;
	if (!spawn_is_concurrent() || !child_shares_memory())
		skip();
	run(&r, argv, 1);
	for (int tries = 1000; !is_caught(&r) && tries > 0; tries--) {
		assert_int_equal(kill(r.pid, SIGKILL), 0);
		(void)finish(&r);
		run(&r, argv, 1);
	}
	assert_false(spawn_is_settled(r.spawn));
	spawn_give_up(r.spawn, r.pid);
	await(r.spawn);
	assert_int_equal(spawn_failure(r.spawn).error, ETIME);
	status = finish(&r);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_busy),    cmocka_unit_test(test_start),
		cmocka_unit_test(test_process), cmocka_unit_test(test_many),
		cmocka_unit_test(test_errno),   cmocka_unit_test(test_give_up),
	};

	return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}
