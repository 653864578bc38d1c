/*
 * test_handler.c: what a handler gets: its environment, byte for byte, and its descriptors.
 */
#include "handler.h"

#include "cases.h"
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

static char name[] = "alice", home[] = "/home/alice", shell[] = "/bin/zsh",
	    key[] = "alice";
static const struct account alice = {
	.key = key, .name = name, .home = home, .shell = shell};
static char service_name[] = "echo", service_socket[] = "/run/udsd/echo.sock";
static gid_t groups[1];

#define SERVICE .name = service_name, .socket = service_socket, .account = &alice

/* Compares an environment with lines. */
static void assert_environment(char *const *env, const char *expected)
{
	char text[4096] = "";

	for (; *env != NULL; env++) {
		assert_true(strlen(text) + strlen(*env) + 2 < sizeof(text));
		strcat(text, *env);
		strcat(text, "\n");
	}
	assert_string_equal(text, expected);
}

/* What comes first, in a process with these ids. */
static const char *expect_start(const char *more)
{
	static char text[2048];

	snprintf(
		text, sizeof(text),
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
		"HOME=/home/alice\nUSER=alice\nLOGNAME=alice\nSHELL=/bin/zsh\nPROTO=UNIX\n"
		"UNIXLOCALPATH=/run/udsd/echo.sock\nUNIXLOCALUID=%u\nUNIXLOCALGID=%u\n"
		"UNIXLOCALPID=%d\nUDSD_SERVICE=echo\n%s",
		geteuid(), getegid(), getpid(), more);
	return text;
}

#define FROM(path) (path), sizeof(path) - 1

/* One after the other, so that nothing of one connection may be left in the next. */
static const struct {
	struct peer peer;
	uint64_t conn;
	const char *rule;
	const char *from; /* the peer's sun_path */
	size_t from_len;
	const char *expected;
} calls[] = {
	{{1000, 100, 999, 0, groups},
	 17,
	 "user:alice",
	 FROM(""),
	 "UNIXREMOTEEUID=1000\nUNIXREMOTEEGID=100\nUNIXREMOTEPID=999\nUDSD_CONNECTION=17\n"
	 "UDSD_RULE=user:alice\n"},
	{{4294967294, 4294967294, 2147483647, 0, groups},
	 UINT64_MAX,
	 "none",
	 FROM("/tmp/c\0"),
	 "UNIXREMOTEEUID=4294967294\nUNIXREMOTEEGID=4294967294\nUNIXREMOTEPID=2147483647\n"
	 "UDSD_CONNECTION=18446744073709551615\nUDSD_RULE=none\nUNIXREMOTEPATH=/tmp/c\n"},
	{{0, 0, 0, 0, groups},
	 0,
	 "any",
	 FROM("\0abc"),
	 "UNIXREMOTEEUID=0\nUNIXREMOTEEGID=0\nUNIXREMOTEPID=0\nUDSD_CONNECTION=0\nUDSD_RULE=any\n"
	 "UNIXREMOTEPATH=@abc\n"},
	{{10, 20, 30, 0, groups},
	 9,
	 "any",
	 FROM("\0a\0c"),
	 "UNIXREMOTEEUID=10\nUNIXREMOTEEGID=20\nUNIXREMOTEPID=30\nUDSD_CONNECTION=9\n"
	 "UDSD_RULE=any\n"},
	{{10, 20, 30, 0, groups},
	 10,
	 "any",
	 FROM("/tmp/a\nUDSD_RULE=x\0"),
	 "UNIXREMOTEEUID=10\nUNIXREMOTEEGID=20\nUNIXREMOTEPID=30\nUDSD_CONNECTION=10\n"
	 "UDSD_RULE=any\n"},
	{{1, 2, 3, 0, groups},
	 11,
	 "any",
	 FROM("/tmp/a\x7f\0"),
	 "UNIXREMOTEEUID=1\nUNIXREMOTEEGID=2\nUNIXREMOTEPID=3\nUDSD_CONNECTION=11\nUDSD_RULE=any\n"},
	{{1, 2, 3, 0, groups},
	 100,
	 "any",
	 FROM("/tmp/b b=\xc3\xa4\0rubbish"),
	 "UNIXREMOTEEUID=1\nUNIXREMOTEEGID=2\nUNIXREMOTEPID=3\nUDSD_CONNECTION=100\nUDSD_RULE=any\n"
	 "UNIXREMOTEPATH=/tmp/b b=\xc3\xa4\n"},
};

static void test_environment(void **state)
{
	const struct service service = {SERVICE};
	struct handler *h = handler_new(&service);

	(void)state;
	assert_non_null(h);
	for (size_t i = 0; i < COUNT(calls); i++) {
		struct sockaddr_un from = {.sun_family = AF_UNIX};
		struct handler_call call = {.peer = &calls[i].peer,
					    .conn = calls[i].conn,
					    .rule = calls[i].rule,
					    .from = &from};

		memcpy(from.sun_path, calls[i].from, calls[i].from_len);
		call.from_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
					    calls[i].from_len);
		assert_environment(handler_environment(h, &call),
				   expect_start(calls[i].expected));
	}
	handler_free(h);
	handler_free(NULL);
}

/* The longest of all: a path that fills the address, as accept(2) tells it, and a rule that is
 * too long. */
static void test_environment_long(void **state)
{
	const struct service service = {SERVICE};
	const struct peer peer = {1, 2, 3, 0, groups};
	struct handler *h = handler_new(&service);
	struct sockaddr_un from = {.sun_family = AF_UNIX};
	struct handler_call call = {.peer = &peer, .from = &from};
	char rule[400], path[109], *const *env;

	(void)state;
	assert_non_null(h);
	memset(rule, 'r', sizeof(rule));
	rule[sizeof(rule) - 1] = '\0';
	memset(path, 'p', sizeof(path));
	path[0] = '/';
	path[108] = '\0';
	memcpy(from.sun_path, path, 108);
	call.rule = rule;
	for (socklen_t more = 0; more < 2; more++) {
		call.from_len = (socklen_t)sizeof(from) + more;
		env = handler_environment(h, &call);
		for (; env[1] != NULL; env++)
			;
		assert_int_equal(strncmp(env[0], "UNIXREMOTEPATH=/ppp", 19), 0);
		assert_string_equal(env[0] + 15, path);
		assert_int_equal(strncmp(env[-1], "UDSD_RULE=rrr", 13), 0);
		assert_true(strlen(env[-1]) >= 10 + 88 &&
			    strlen(env[-1]) < 10 + sizeof(rule));
	}
	call.from_len = 0;
	assert_int_equal(strncmp(handler_environment(h, &call)[15], "UDSD_RULE=", 10), 0);
	handler_free(h);
}

/* The service's own variables come before ours, and stand for those of ours that may be set; of two
 * with one name the first one wins. */
static void test_own_environment(void **state)
{
	char lang[] = "LANG=C", set_home[] = "HOME=/elsewhere", homes[] = "HOMES=x",
	     path[] = "PATH=";
	char again[] = "LANG=de",
	     *environment[] = {lang, set_home, homes, path, again, NULL};
	const struct service service = {SERVICE, .environment = environment};
	const struct peer peer = {1, 2, 3, 0, groups};
	const struct sockaddr_un from = {.sun_family = AF_UNIX};
	const struct handler_call call = {.peer = &peer, .rule = "any", .from = &from};
	struct handler *h = handler_new(&service);
	char expected[2048];

	(void)state;
	assert_non_null(h);
	snprintf(
		expected, sizeof(expected),
		"LANG=C\nHOME=/elsewhere\nHOMES=x\nPATH=\n"
		"USER=alice\nLOGNAME=alice\nSHELL=/bin/zsh\nPROTO=UNIX\n"
		"UNIXLOCALPATH=/run/udsd/echo.sock\nUNIXLOCALUID=%u\nUNIXLOCALGID=%u\n"
		"UNIXLOCALPID=%d\nUDSD_SERVICE=echo\n"
		"UNIXREMOTEEUID=1\nUNIXREMOTEEGID=2\nUNIXREMOTEPID=3\nUDSD_CONNECTION=0\n"
		"UDSD_RULE=any\n",
		geteuid(), getegid(), getpid());
	assert_environment(handler_environment(h, &call), expected);
	handler_free(h);
}

static void test_busy(void **state)
{
	static const int busy[] = {EAGAIN, ENOMEM, EMFILE, ENFILE, ETXTBSY};
	static const int good[] = {0,     ENOENT, EACCES,  ENOEXEC, EPERM,
				   E2BIG, ELOOP,  ENOTDIR, EINVAL};

	(void)state;
	for (size_t i = 0; i < COUNT(busy); i++)
		assert_true(handler_is_busy(busy[i]));
	for (size_t i = 0; i < COUNT(good); i++)
		assert_false(handler_is_busy(good[i]));
}

struct start {
	const char *path, *script; /* of a shell; NULL: no argument */
	enum stderr_kind stderr_kind;
	const char *stderr_path; /* in the scratch directory */
	struct limit_setting limit;
	const char *output; /* on the connection; NULL: the start fails */
	const char *step;   /* what failed */
	int error;
};

static char *writable(const char *text)
{
	return (char *)(uintptr_t)text;
}

/* Starts it on one end of a pair, and reads at the other all that comes back. */
static void try_start(const struct start *start)
{
	char *argv[] = {writable(start->path), start->script ? writable("-c") : NULL,
			start->script ? writable(start->script) : NULL, NULL};
	const struct service service = {
		SERVICE, .handler = argv, .limits = {start->limit},
		.stderr_kind = start->stderr_kind,
		.stderr_path =
			start->stderr_path ? scratch_path(start->stderr_path) : NULL};
	const struct peer peer = {1, 2, 3, 0, groups};
	const struct sockaddr_un from = {.sun_family = AF_UNIX};
	struct handler *h = handler_new(&service);
	_Atomic int32_t pid = 0;
	struct handler_call call = {
		.peer = &peer, .rule = "any", .from = &from, .pid = &pid};
	const char *step = NULL;
	char text[256] = "";
	int fd[2], rc, status;

	assert_non_null(h);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	call.fd = fd[0];
	rc = handler_spawn(h, &call, &step);
	check(rc == 0 || errno == start->error, "%s: %s: %s", start->path, step,
	      strerror(errno));
	assert_int_equal(rc, start->output != NULL ? 0 : -1);
	close(fd[0]);
	if (rc < 0) {
		assert_string_equal(step, start->step);
		assert_int_equal(waitpid(pid, NULL, WNOHANG),
				 -1); /* there is no process */
	} else {
		assert_int_equal(waitpid(pid, &status, 0), pid);
		while (read(fd[1], text + strlen(text), sizeof(text) - 1 - strlen(text)) >
		       0)
			;
		check(same(text, start->output), "%s: %s", shown(start->script), text);
	}
	close(fd[1]);
	handler_free(h);
}

static const struct start starts[] = {
	{"/bin/sh", "echo $UDSD_RULE $0", 0, NULL, {0}, "any /bin/sh\n", NULL, 0},
	{"/bin/sh",
	 "echo out; echo err >&2",
	 STDERR_CLIENT,
	 NULL,
	 {0},
	 "out\nerr\n",
	 NULL,
	 0},
	{"/bin/sh", "echo err >&2", STDERR_FILE, "err", {0}, "", NULL, 0},
	{"/bin/sh", "echo more >&2", STDERR_FILE, "err", {0}, "", NULL, 0},
	{"/bin/sh",
	 "echo lost >&2",
	 STDERR_FILE,
	 "none/err",
	 {0},
	 NULL,
	 "stderr",
	 ENOENT},
	{"/bin/sh", "ulimit -t", 0, NULL, {RLIMIT_CPU, "limit-cpu", 77}, "77\n", NULL, 0},
	{"/bin/true",
	 NULL,
	 0,
	 NULL,
	 {RLIMIT_NOFILE, "limit-nofile", (rlim_t)1 << 60},
	 NULL,
	 "limit-nofile",
	 EPERM},
	{"/no/such", NULL, 0, NULL, {0}, NULL, "execute", ENOENT},
	{"/etc/passwd", NULL, 0, NULL, {0}, NULL, "execute", EACCES},
	{"/", NULL, 0, NULL, {0}, NULL, "execute", EACCES},
};

static int set_true(void *arg)
{
	*(volatile bool *)arg = true;
	return 0;
}

/* Whether a child can tell by memory why it failed. Under valgrind it cannot: there it has a copy. */
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
	bool shared = child_shares_memory();
	char text[64] = "";
	FILE *f;

	(void)state;
	for (size_t i = 0; i < COUNT(starts); i++)
		if (shared || starts[i].output != NULL)
			try_start(&starts[i]);
	f = fopen(scratch_path("err"), "r");
	assert_non_null(f);
	assert_int_equal(fread(text, 1, sizeof(text) - 1, f), 9);
	fclose(f);
	assert_string_equal(text, "err\nmore\n");
}

/* The handler leads a group of its own and has no signal blocked. */
static void test_process(void **state)
{
	char *argv[] = {writable("/bin/cat"), NULL};
	const struct service service = {SERVICE, .handler = argv};
	const struct peer peer = {1, 2, 3, 0, groups};
	const struct sockaddr_un from = {.sun_family = AF_UNIX};
	struct handler *h = handler_new(&service);
	_Atomic int32_t pid = 0;
	struct handler_call call = {
		.peer = &peer, .rule = "any", .from = &from, .pid = &pid};
	const char *step;
	sigset_t all, old;
	int fd[2], status;

	(void)state;
	assert_non_null(h);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	call.fd = fd[0];
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	assert_int_equal(handler_spawn(h, &call, &step), 0);
	sigprocmask(SIG_SETMASK, &old, NULL);
	assert_int_equal(getpgid(pid), pid);
	assert_int_equal(kill(-pid, SIGTERM), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	close(fd[0]);
	close(fd[1]);
	handler_free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_environment_long),
		cmocka_unit_test(test_own_environment),
		cmocka_unit_test(test_busy),
		cmocka_unit_test(test_start),
		cmocka_unit_test(test_process),
	};

	return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}
