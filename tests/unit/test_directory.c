/*
 * test_directory.c: paths that lead to the same place, and why a directory cannot be made.
 */
#include "common/directory.h"

#include "lib/cases.h"
#include "lib/scratch.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

static void test_same(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} rows[] = {
		{"d/s", "d/s", true},
		{"d/s", "d/../d/s", true},
		{"d/s", "d//s", true},
		{"d/s", "./d/./s", true},
		{"d/s", "link/s", true},
		{"d/s", "d/t", false},
		{"d/s", "s", false},
		{"new/x/s", "./new//x/./s", true},
		{"new/x/s", "new/y/s", false},
		{"new/s", "d/new/s", false},
		{"link/new/s", "d/new/s", true},
	};
	char a[500];

	(void)state;
	assert_int_equal(mkdir(scratch_path("d"), 0755), 0);
	assert_int_equal(symlink("d", scratch_path("link")), 0);
	for (size_t i = 0; i < COUNT(rows); i++) {
		snprintf(a, sizeof(a), "%s", scratch_path(rows[i].a));
		check(directory_is_same(a, scratch_path(rows[i].b)) == rows[i].same,
		      "%s %s", rows[i].a, rows[i].b);
	}
	assert_true(directory_is_same("@a", "@a"));
	assert_false(directory_is_same("@a", "@b"));
	assert_false(directory_is_same("@/a", "/a"));
	assert_false(directory_is_same("", "/a"));
}

static void test_error_is_that_of_mkdir(void **state)
{
	(void)state;
	assert_int_equal(directory_make_parents("/proc/no-such/s", 0755), -1);
	assert_int_equal(errno, ENOENT); /* which is proc's own answer */
	scratch_write("file", "");
	assert_int_equal(directory_make_parents(scratch_path("file/x/s"), 0755), -1);
	assert_int_equal(errno, ENOTDIR);
	if (geteuid() == 0)
		return;
	assert_int_equal(directory_make_parents("/no-such-directory/s", 0755), -1);
	assert_int_equal(errno, EACCES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_error_is_that_of_mkdir),
	};

	return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}
