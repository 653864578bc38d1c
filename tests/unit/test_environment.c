/*
 * test_environment.c: the environment of handlers, byte for byte.
 */
#include "worker/environment.h"

#include "lib/alice.h"
#include "lib/cases.h"

#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

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
	uint64_t id;
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
	struct environment *e = environment_new(&service);

	(void)state;
	assert_non_null(e);
	for (size_t i = 0; i < COUNT(calls); i++) {
		struct sockaddr_un from = {.sun_family = AF_UNIX};
		struct environment_call call = {.peer = &calls[i].peer,
						.id = calls[i].id,
						.rule = calls[i].rule,
						.from = &from};

		memcpy(from.sun_path, calls[i].from, calls[i].from_len);
		call.from_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
					    calls[i].from_len);
		assert_environment(environment_of(e, &call),
				   expect_start(calls[i].expected));
	}
	environment_free(e);
	environment_free(NULL);
}

/* The longest of all: a path that fills the address, as accept(2) returns it, and a rule
 * that is too long. */
static void test_environment_long(void **state)
{
	const struct service service = {SERVICE};
	const struct peer peer = {1, 2, 3, 0, groups};
	struct environment *e = environment_new(&service);
	struct sockaddr_un from = {.sun_family = AF_UNIX};
	struct environment_call call = {.peer = &peer, .from = &from};
	char rule[400], path[109], *const *env;

	(void)state;
	assert_non_null(e);
	memset(rule, 'r', sizeof(rule));
	rule[sizeof(rule) - 1] = '\0';
	memset(path, 'p', sizeof(path));
	path[0] = '/';
	path[108] = '\0';
	memcpy(from.sun_path, path, 108);
	call.rule = rule;
	for (socklen_t more = 0; more < 2; more++) {
		call.from_len = (socklen_t)sizeof(from) + more;
		env = environment_of(e, &call);
		for (; env[1] != NULL; env++)
			;
		assert_int_equal(strncmp(env[0], "UNIXREMOTEPATH=/ppp", 19), 0);
		assert_string_equal(env[0] + 15, path);
		assert_int_equal(strncmp(env[-1], "UDSD_RULE=rrr", 13), 0);
		assert_true(strlen(env[-1]) >= 10 + 88 &&
			    strlen(env[-1]) < 10 + sizeof(rule));
	}
	call.from_len = 0;
	assert_int_equal(strncmp(environment_of(e, &call)[15], "UDSD_RULE=", 10), 0);
	environment_free(e);
}

/* The service's own variables come before ours, and stand for those of ours that may be
 * set; of two with one name the first one wins. */
static void test_own_environment(void **state)
{
	char lang[] = "LANG=C", set_home[] = "HOME=/elsewhere", homes[] = "HOMES=x",
	     path[] = "PATH=";
	char again[] = "LANG=de",
	     *environment[] = {lang, set_home, homes, path, again, NULL};
	const struct service service = {SERVICE, .environment = environment};
	const struct peer peer = {1, 2, 3, 0, groups};
	const struct sockaddr_un from = {.sun_family = AF_UNIX};
	const struct environment_call call = {
		.peer = &peer, .rule = "any", .from = &from};
	struct environment *e = environment_new(&service);
	char expected[2048];

	(void)state;
	assert_non_null(e);
	snprintf(
		expected, sizeof(expected),
		"LANG=C\nHOME=/elsewhere\nHOMES=x\nPATH=\n"
		"USER=alice\nLOGNAME=alice\nSHELL=/bin/zsh\nPROTO=UNIX\n"
		"UNIXLOCALPATH=/run/udsd/echo.sock\nUNIXLOCALUID=%u\nUNIXLOCALGID=%u\n"
		"UNIXLOCALPID=%d\nUDSD_SERVICE=echo\n"
		"UNIXREMOTEEUID=1\nUNIXREMOTEEGID=2\nUNIXREMOTEPID=3\nUDSD_CONNECTION=0\n"
		"UDSD_RULE=any\n",
		geteuid(), getegid(), getpid());
	assert_environment(environment_of(e, &call), expected);
	environment_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_environment_long),
		cmocka_unit_test(test_own_environment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
