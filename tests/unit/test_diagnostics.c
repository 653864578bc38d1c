/*
 * test_diagnostics.c: faults are gathered, each line once, with its place.
 */
#include "config/diagnostics.h"

#include "config/arena.h"

#include "lib/cases.h"

#include <errno.h>

static void test_lines(void **state)
{
	static const struct {
		const char *file;
		unsigned line;
		const char *text, *expected;
	} rows[] = {
		{"f", 3, "wrong", "f:3: error: wrong\n"},
		{"f", 0, "wrong", "f: error: wrong\n"},
		{NULL, 3, "wrong", "udsd: error: wrong\n"},
		{NULL, 0, "100%", "udsd: error: 100%\n"},
		{"/a b", 4294967295, "wrong", "/a b:4294967295: error: wrong\n"},
		{"f", 1, "", "f:1: error: \n"},
		{"f", 1, "a\x1b[1m\n", "f:1: error: a\\x1b[1m\\x0a\n"},
		{"f", 1,
		 "gr\xc3\xb6\xc3\x9f"
		 "e \xe2\x82\xac",
		 "f:1: error: gr\xc3\xb6\xc3\x9f"
		 "e \xe2\x82\xac\n"},
		{"f", 1,
		 "a\xc2\xa0"
		 "b",
		 "f:1: error: a\\xc2\\xa0b\n"},
		{"f", 1,
		 "\xef\xbb\xbf"
		 "b",
		 "f:1: error: \\xef\\xbb\\xbf"
		 "b\n"},
		{"f", 1, "a\xe2\x80\x8b", "f:1: error: a\\xe2\\x80\\x8b\n"},
		{"f", 1, "a\xe2\x80\xae\xe2\x80\x9c",
		 "f:1: error: a\\xe2\\x80\\xae\xe2\x80\x9c\n"},
		{"f", 1, "a\xe2", "f:1: error: a\\xe2\n"},
		{"f", 1, "a\xc2", "f:1: error: a\\xc2\n"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct faults f = {0};

		fault_add(&f, (struct place){rows[i].file, rows[i].line}, "%s",
			  rows[i].text);
		faults_finish(&f);
		check(same(f.text, rows[i].expected), "%s", shown(f.text));
		assert_int_equal(f.errors, 1);
		assert_int_equal(f.warnings, 0);
		faults_free(&f);
	}
}

/* Sorted by file and line, in the order in which they came where that is the same, each once. */
static void test_sorted(void **state)
{
	struct faults f = {0};

	(void)state;
	fault_add(&f, (struct place){"g", 1}, "ab");
	fault_warn(&f, (struct place){"f", 11}, "w");
	fault_add(&f, (struct place){"f", 2}, "b");
	fault_add(&f, PLACE_NONE, "a");
	fault_add(&f, (struct place){"f", 2}, "a");
	fault_add(&f, (struct place){"f", 2}, "%c", 'b');
	fault_warn(&f, (struct place){"f", 11}, "w");
	fault_add(&f, (struct place){"f", 0}, "c");
	faults_finish(&f);
	assert_string_equal(f.text, "udsd: error: a\nf: error: c\nf:2: error: b\n"
				    "f:2: error: a\nf:11: warning: w\ng:1: error: ab\n");
	assert_int_equal(f.errors, 5);
	assert_int_equal(f.warnings, 1);
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
	faults_finish(&f);
	assert_string_equal(f.text, "f:2: error: no\\x0auser\nf:3: error: no answer\n");
	assert_int_equal(first.kind, PROBLEM_FAILED);
	assert_string_equal(first.step, "user");
	assert_string_equal(first.text, "f:2: no\\x0auser");
	faults_free(&f);
	arena_close(&arena);
}

/* What lacks a resource may pass; what is written, or not there, does not. */
static void test_lasting(void **state)
{
	static const struct {
		int error;
		size_t lasting;
	} rows[] = {{ENOENT, 1}, {EACCES, 1}, {ENOMEM, 0}, {EMFILE, 0}, {ENFILE, 0}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct faults f = {0};

		errno = rows[i].error;
		fault_system(&f, (struct place){"f", 0}, "cannot be opened");
		assert_int_equal(f.errors, 1);
		check(f.lasting == rows[i].lasting, "%d", rows[i].error);
		fault_add(&f, (struct place){"f", 1}, "wrong");
		assert_int_equal(f.lasting, rows[i].lasting + 1);
		faults_finish(&f);
		assert_non_null(strstr(f.text, strerror(rows[i].error)));
		faults_free(&f);
	}
}

static void test_freed(void **state)
{
	struct faults f = {0};

	(void)state;
	faults_free(&f);
	faults_finish(&f);
	assert_null(f.text);
	fault_add(&f, (struct place){"f", 1}, "a");
	fault_warn(&f, (struct place){"f", 1}, "b");
	faults_finish(&f);
	faults_free(&f);
	assert_int_equal(f.errors, 0);
	assert_int_equal(f.warnings, 0);
	assert_null(f.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),   cmocka_unit_test(test_sorted),
		cmocka_unit_test(test_problem), cmocka_unit_test(test_lasting),
		cmocka_unit_test(test_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
