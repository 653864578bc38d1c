/*
 * test_near.c: which name is the nearest one to a word.
 */
#include "common/near.h"

#include "lib/cases.h"

static const char *const names[] = {"socket",
				    "socket-mode",
				    "handler",
				    "max-connections",
				    "max-connections-per-user",
				    "user",
				    "idle-timeout",
				    "stderr",
				    "rate",
				    "nice",
				    NULL};

static void test_names(void **state)
{
	static const struct {
		const char *word, *name;
	} rows[] = {
		{"socket", "socket"},
		{"sokcet", "socket"},
		{"Socket", "socket"},
		{"sock", "socket"},
		{"socket_mode", "socket-mode"},
		{"socketmode", "socket-mode"},
		{"mode", "socket-mode"},
		{"max-conections", "max-connections"},
		{"maxconnections", "max-connections"},
		{"max-connection", "max-connections"},
		{"max_conn", "max-connections"},
		{"connections", "max-connections"},
		{"per-user", "max-connections-per-user"},
		{"timeout", "idle-timeout"},
		{"hander", "handler"},
		{"handlers", "handler"},
		{"stdrer", "stderr"},
		{"users", "user"},
		{"USER", "user"},
		{"nise", "nice"},
		{"colour", NULL},
		{"xyz", NULL},
		{"u", NULL},
		{"", NULL},
		{"a-word-that-is-much-longer-than-any-name-could-be", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *name = near_name(rows[i].word, names, sizeof(*names));

		check(same(name, rows[i].name), "%s: %s", rows[i].word, shown(name));
	}
}

static void test_rows_and_single_names(void **state)
{
	static const struct {
		const char *name;
		int more;
	} table[] = {{"status", 1}, {"reload", 2}, {NULL, 0}};
	struct near near = {.word = "gti"};

	(void)state;
	check(same(near_name("relaod", table, sizeof(*table)), "reload"), "rows");
	near_try(&near, "echo");
	assert_null(near.name);
	near_try(&near, "git");
	near_try(&near, "gtk");
	check(same(near.name, "git"), "%s", shown(near.name));
}

static void test_hint(void **state)
{
	(void)state;
	check(same(near_hint("git"), ", did you mean git?"), "hint");
	check(same(near_hint(NULL), ""), "none");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_rows_and_single_names),
		cmocka_unit_test(test_hint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
