/*
 * test_account.c: users and groups, and a name service that fails.
 *
 * The functions of the name service are replaced by some that know a few names and fail in all
 * ways, poll() by one that lets the time run out at once.
 */
#include "config/account.h"

#include "lib/cases.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool no_time;
static struct arena arena;
static struct account *list;

static int set_up(void **state)
{
	(void)state;
	return arena_open(&arena);
}

int poll(struct pollfd *fds, nfds_t count, int timeout)
{
	const struct timespec limit = {timeout / 1000, timeout % 1000 * 1000000};

	return no_time ? 0 : ppoll(fds, count, timeout >= 0 ? &limit : NULL, NULL);
}

/* A child's answer. It is killed when it has given it, so what it did is counted before. */
ssize_t write(int fd, const void *data, size_t len)
{
#ifdef UDSD_COVERAGE
	__gcov_dump();
#endif
	return syscall(SYS_write, fd, data, len);
}

/* A failure that a name asks for. */
static void pretend(const char *who)
{
	if (strcmp(who, "it dies") == 0)
		_exit(1);
	errno = strcmp(who, "it is down") == 0      ? EIO
		: strcmp(who, "it says ESRCH") == 0 ? ESRCH
						    : 0;
}

struct passwd *getpwnam(const char *who)
{
	static char name[] = "alice", home[] = "/home/alice", shell[] = "/bin/zsh",
		    none[] = "";
	static char many[] = "many";
	static struct passwd alice = {.pw_name = name,
				      .pw_uid = 4711,
				      .pw_gid = 4712,
				      .pw_dir = home,
				      .pw_shell = shell};

	if (strcmp(who, "no shell") == 0)
		alice.pw_shell = none;
	if (strcmp(who, "many") == 0)
		alice.pw_name = many;
	if (strcmp(who, "alice") == 0 || strcmp(who, "no shell") == 0 ||
	    strcmp(who, "many") == 0)
		return &alice;
	pretend(who);
	return NULL;
}

struct passwd *getpwuid(uid_t uid)
{
	return uid == 4711 ? getpwnam("alice") : NULL;
}

struct group *getgrnam(const char *who)
{
	static struct group staff = {.gr_gid = 4713};

	if (strcmp(who, "staff") == 0)
		return &staff;
	pretend(who);
	return NULL;
}

int getgrouplist(const char *who, gid_t gid, gid_t *groups, int *count)
{
	if (*count != ACCOUNT_GROUPS || strcmp(who, "many") == 0)
		return -1;
	groups[0] = gid;
	groups[1] = 5;
	*count = 2;
	return 2;
}

static void test_number(void **state)
{
	static const struct {
		const char *text;
		int rc;
		unsigned id;
	} rows[] = {
		{"0", 0, 0},
		{"1000", 0, 1000},
		{"0010", 0, 10},
		{"4294967294", 0, 4294967294},
		{"4294967295", -1, 0},
		{"4294967296", -1, 0},
		{"18446744073709551616", -1, 0},
		{"", -1, 0},
		{"-1", -1, 0},
		{"+1", -1, 0},
		{" 1", -1, 0},
		{"1 ", -1, 0},
		{"1x", -1, 0},
		{"0x1", -1, 0},
		{"root", -1, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		unsigned id = 0;

		check(account_number(rows[i].text, &id) == rows[i].rc, "\"%s\"",
		      rows[i].text);
		check(id == rows[i].id, "\"%s\": %u", rows[i].text, id);
	}
}

static void test_lookup(void **state)
{
	static const struct {
		const char *user;
		uid_t uid;
		gid_t gid;
		size_t ngroups;
		const char *name, *home, *shell;
	} rows[] = {
		{"alice", 4711, 4712, 2, "alice", "/home/alice", "/bin/zsh"},
		{"4711", 4711, 4712, 2, "alice", "/home/alice", "/bin/zsh"},
		{"no shell", 4711, 4712, 2, "alice", "/home/alice", "/bin/sh"},
		{"54321", 54321, 54321, 1, "54321", "/", "/bin/sh"},
		{"4294967294", 4294967294, 4294967294, 1, "4294967294", "/", "/bin/sh"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct account *a = account_find(&arena, &list, rows[i].user);
		uid_t uid;

		assert_non_null(a);
		assert_string_equal(a->key, rows[i].user);
		check(a->uid == rows[i].uid && a->gid == rows[i].gid, "%s", rows[i].user);
		assert_int_equal(a->ngroups, rows[i].ngroups);
		assert_int_equal(a->groups[0], rows[i].gid);
		assert_true(a->ngroups == 1 || a->groups[1] == 5);
		assert_string_equal(a->name, rows[i].name);
		assert_string_equal(a->home, rows[i].home);
		assert_string_equal(a->shell, rows[i].shell);
		assert_ptr_equal(account_find(&arena, &list, rows[i].user), a);
		assert_int_equal(account_user(rows[i].user, &uid), 0);
		assert_int_equal(uid, rows[i].uid);
	}
}

static void test_lookup_failed(void **state)
{
	static const struct {
		const char *user;
		int error;
	} rows[] = {
		{"nobody here", ENOENT},
		{"", ENOENT},
		{"-1", ENOENT},
		{"4294967295", ENOENT},
		{"it says ESRCH", ENOENT},
		{"it is down", EIO},
		{"it dies", EIO},
		{"many", E2BIG},
	};
	gid_t gid = 77;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		errno = 0;
		assert_null(account_find(&arena, &list, rows[i].user));
		check(errno == rows[i].error, "\"%s\": %s", rows[i].user,
		      strerror(errno));
		if (rows[i].error == E2BIG)
			continue;
		errno = 0;
		assert_int_equal(account_group(rows[i].user, &gid), -1);
		check(errno == rows[i].error, "\"%s\": %s", rows[i].user,
		      strerror(errno));
		assert_int_equal(gid, 77);
	}
}

static void test_group(void **state)
{
	gid_t gid;

	(void)state;
	assert_int_equal(account_group("staff", &gid), 0);
	assert_int_equal(gid, 4713);
	assert_int_equal(account_group("54321", &gid), 0);
	assert_int_equal(gid, 54321);
}

static void answer(int fd, const void *arg)
{
	const char *text = arg;

	for (; *text != '\0'; text++)
		if (write(fd, text, 1) != 1)
			_exit(1);
}

static void test_ask(void **state)
{
	static const struct {
		const char *answer;
		size_t size;
		ssize_t len;
	} rows[] = {
		{"", 8, 0},          {"a", 8, 1},   {"abcdefgh", 8, 8},
		{"abcdefghi", 8, 8}, {"abc", 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char text[9] = "########";

		assert_int_equal(account_ask(answer, rows[i].answer, text, rows[i].size),
				 rows[i].len);
		assert_memory_equal(text, rows[i].answer, (size_t)rows[i].len);
		assert_int_equal(text[rows[i].len], rows[i].len == 8 ? '\0' : '#');
	}
}

static void hang(int fd, const void *arg)
{
	answer(fd, arg);
	pause();
}

/* One who answers more than was asked, or not at all, is not waited for. */
static void test_ask_hanging(void **state)
{
	char text[8];

	(void)state;
	assert_int_equal(account_ask(hang, "abcd", text, 4), 4);
	no_time = true;
	errno = 0;
	assert_int_equal(account_ask(hang, "", text, 8), -1);
	assert_int_equal(errno, ETIMEDOUT);
	errno = 0;
	assert_null(account_find(&arena, &list, "it hangs"));
	assert_int_equal(errno, ETIMEDOUT);
	no_time = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_number),        cmocka_unit_test(test_lookup),
		cmocka_unit_test(test_lookup_failed), cmocka_unit_test(test_group),
		cmocka_unit_test(test_ask),           cmocka_unit_test(test_ask_hanging),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
