/*
 * test_hint.c: what may be meant by a wrong value.
 */
#include "config/hint.h"

#include "lib/cases.h"

#include <errno.h>

static void test_spelled(void **state)
{
	static const struct {
		const char *text;
		bool size;
		const char *spelled;
	} rows[] = {
		{"1d", false, "24h"},
		{"5min", false, "5m"},
		{"10 sec", false, "10s"},
		{"1H", false, "1h"},
		{"64MB", true, "64M"},
		{"64m", true, "64M"},
		{"1KiB", true, "1K"},
		{"2T", true, "2048G"},
		{"unlimited", true, "infinity"},
		{"Infinity", true, "infinity"},
		{"unlimited", false, NULL},
		{"1y", false, NULL},
		{"1X", true, NULL},
		{"", true, NULL},
		{"MB", true, NULL},
		{"99999999999d", false, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		check(same(hint_spelled(rows[i].text, rows[i].size), rows[i].spelled),
		      "%s", rows[i].text);
}

static void test_list(void **state)
{
	(void)state;
	check(same(hint_list("a, b c"), ", a list is { \"a\", \"b\", \"c\" }"), "%s",
	      hint_list("a, b c"));
	check(same(hint_list("abc"), ""), "one");
}

static void test_value(void **state)
{
	static const struct {
		enum hint_kind kind;
		const char *text, *error, *hint;
		int lookup;
	} rows[] = {
		{HINT_WORDS, "warn", "must be error, warning, or debug", "warning", 0},
		{HINT_BOOL, "0", "must be true or false", "false", 0},
		{HINT_BOOL, "ture", "must be true or false", "true", 0},
		{HINT_WORDS, "must", "must be queue or reject", NULL, 0},
		{HINT_SIZE, "1k", "must be a size", "1K", 0},
		{HINT_DURATION, "1d", "must be a duration", "24h", 0},
		{HINT_NONE, "rooot", "does not exist", "root", ENOENT},
		{HINT_LIST, "group:rooot", "names", "root", ENOENT},
		{HINT_NONE, "rooot", "does not exist", NULL, EIO},
		{HINT_NONE, "one", "must be a number", NULL, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *hint = hint_value(rows[i].kind, rows[i].text, 1,
					      rows[i].error, rows[i].lookup);

		check(rows[i].hint != NULL ? strstr(hint, rows[i].hint) != NULL
					   : *hint == '\0',
		      "%s: %s", rows[i].text, hint);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spelled),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
