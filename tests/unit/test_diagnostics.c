/*
 * test_diagnostics.c: faults are gathered, each line once, with its place.
 */
#include "config/diagnostics.h"

#include "config/arena.h"

#include "lib/cases.h"

static void test_lines(void **state)
{
	static const struct {
		const char *file;
		unsigned line;
		const char *text, *expected;
	} rows[] = {
		{"f", 3, "wrong", "f:3: wrong\n"},
		{"f", 0, "wrong", "f: wrong\n"},
		{NULL, 3, "wrong", "wrong\n"},
		{NULL, 0, "100%", "100%\n"},
		{"/a b", 4294967295, "wrong", "/a b:4294967295: wrong\n"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct faults f = {0};

		fault_add(&f, (struct place){rows[i].file, rows[i].line}, "%s",
			  rows[i].text);
		check(same(f.text, rows[i].expected), "%s", shown(f.text));
		assert_int_equal(f.errors, 1);
		assert_null(f.warnings);
		fault_warn(&f, (struct place){rows[i].file, rows[i].line}, "%s",
			   rows[i].text);
		check(same(f.warnings, rows[i].expected), "%s", shown(f.warnings));
		assert_int_equal(f.errors, 1);
		faults_free(&f);
	}
}

static void test_repeated(void **state)
{
	struct faults f = {0};

	(void)state;
	fault_add(&f, (struct place){"f", 1}, "ab");
	fault_add(&f, (struct place){"f", 1}, "b");
	fault_add(&f, (struct place){NULL, 0}, "f:1: a");
	fault_add(&f, (struct place){"f", 1}, "ab");
	fault_add(&f, (struct place){NULL, 0}, "b"); /* ends a line that is there */
	fault_add(&f, (struct place){"f", 11}, "ab");
	fault_add(&f, (struct place){"f", 1}, "%c", 'b');
	assert_string_equal(f.text, "f:1: ab\nf:1: b\nf:1: a\nb\nf:11: ab\n");
	assert_int_equal(f.errors, 7);
	faults_free(&f);
}

/* Refused by `udsd -t`, but not the text's fault; the first one is kept at its service. */
static void test_problem(void **state)
{
	struct arena arena;
	struct faults f = {.arena = &arena};
	struct problem first = {PROBLEM_NONE, NULL, NULL};

	(void)state;
	assert_int_equal(arena_open(&arena), 0);
	fault_problem(&f, &first, PROBLEM_FAILED, "user", (struct place){"f", 2}, "%s",
		      "no\nuser");
	fault_problem(&f, &first, PROBLEM_PASSING, "allow", (struct place){"f", 3},
		      "no answer");
	assert_int_equal(f.errors, 0);
	assert_int_equal(f.problems, 2);
	assert_int_equal(f.lasting, 1);
	assert_string_equal(f.text, "f:2: no\\x0auser\nf:3: no answer\n");
	assert_int_equal(first.kind, PROBLEM_FAILED);
	assert_string_equal(first.step, "user");
	assert_string_equal(first.text, "f:2: no\\x0auser");
	faults_free(&f);
	arena_close(&arena);
}

static void test_freed(void **state)
{
	struct faults f = {0};

	(void)state;
	faults_free(&f);
	fault_add(&f, (struct place){"f", 1}, "a");
	fault_warn(&f, (struct place){"f", 1}, "b");
	faults_free(&f);
	assert_int_equal(f.errors, 0);
	assert_null(f.text);
	assert_null(f.warnings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_repeated),
		cmocka_unit_test(test_problem),
		cmocka_unit_test(test_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
