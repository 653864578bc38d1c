/*
 * test_parse.c: config files: which ones are obeyed, what others they include.
 */
#include "config/parse.h"

#include "lib/cases.h"
#include "lib/loads.h"
#include "config/config.h"
#include "lib/expected_faults.h"
#include "lib/scratch.h"

#include <errno.h>

static const char *user(void)
{
	return geteuid() == 0 ? "user = root" : "";
}

static void expect(const char *path, const char *expected)
{
	struct faults faults;
	const struct config *c = load_file(path, &faults);

	check((c != NULL) == (*expected == '\0'), "%s: %s", path, shown(faults.text));
	check(same_faults(faults.text, path, expected), "%s: %s", path,
	      shown(faults.text));
	faults_free(&faults);
}

static void test_kinds(void **state)
{
	(void)state;
	expect(scratch_path("none"), "0 cannot be opened: No such file");
	expect(scratch, "0 not a regular file");
	expect("/dev/null", "0 not a regular file");
	assert_int_equal(mkfifo(scratch_path("fifo"), 0644), 0);
	expect(scratch_path("fifo"), "0 not a regular file");
	expect(scratch_write("empty", ""), "");
	expect(scratch_write("bare", "log-level"), "1 missing");
	assert_int_equal(symlink("empty", scratch_path("link")), 0);
	expect(scratch_path("link"), "");
}

/* A file of blanks of this size. */
static char *write_large(size_t size)
{
	char *text = malloc(size + 1), *path;

	assert_non_null(text);
	memset(text, '\n', size);
	text[size] = '\0';
	path = scratch_write("large", text);
	free(text);
	return path;
}

static void test_size(void **state)
{
	(void)state;
	expect(write_large(PARSE_MAX), "");
	expect(write_large(PARSE_MAX + 1), "0 larger than 1 MiB");
}

/* Only root minds who could have written a file. */
static void test_trust(void **state)
{
	static const struct {
		mode_t mode;
		uid_t owner;
		const char *fault; /* for root */
	} rows[] = {
		{0644, 0, ""},
		{0400, 0, ""},
		{0664, 0, "0 writable by group or others"},
		{0646, 0, "0 writable by group or others"},
		{0644, 54321, "0 owned by another user"},
		{0666, 54321, "0 owned by another user"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char *path = scratch_write("trust", "\n");

		assert_int_equal(chmod(path, rows[i].mode), 0);
		if (geteuid() == 0)
			assert_int_equal(chown(path, rows[i].owner, 0), 0);
		expect(path, geteuid() == 0 ? rows[i].fault : "");
		assert_int_equal(unlink(path), 0);
	}
}

static void test_byte_0(void **state)
{
	FILE *f = fopen(scratch_path("byte0"), "w");

	(void)state;
	assert_non_null(f);
	assert_int_equal(fwrite("\nlog-level = info\n\0", 1, 19, f), 19);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(scratch_path("byte0"), 0644), 0);
	expect(scratch_path("byte0"), "1 byte 0");
}

/* Writes a config that includes PATTERN, with a service `own`. */
static char *write_including(const char *pattern)
{
	char text[700];

	snprintf(text, sizeof(text),
		 "include = { \"%s\" }\ndefaults { nice = 3 %s }\n"
		 "service own {\n socket = /tmp/own\n handler = { /bin/true }\n}\n",
		 scratch_path(pattern), user());
	return scratch_write("including", text);
}

static void test_include(void **state)
{
	static const char *const names[] = {"own", "a",
					    "b"}; /* in the order of the files */
	struct faults faults;
	const struct config *c;

	(void)state;
	assert_int_equal(mkdir(scratch_path("d"), 0755), 0);
	scratch_write("d/2.conf",
		      "service b { socket = /tmp/b handler = { /bin/true } }");
	scratch_write("d/1.conf",
		      "service a { socket = /tmp/a handler = { /bin/true } nice = 4 }");
	scratch_write("d/1.conf~", "oops");
	c = load_file(write_including("d/*.conf"), &faults);
	check(c != NULL, "%s", shown(faults.text));
	assert_int_equal(c->count, COUNT(names));
	for (size_t i = 0; i < COUNT(names); i++) {
		assert_string_equal(c->services[i].name, names[i]);
		assert_int_equal(c->services[i].nice, i == 1 ? 4 : 3);
	}
	faults_free(&faults);
}

/* What is wrong with an included file bears its name. */
static void test_include_faults(void **state)
{
	static const struct {
		const char *text, *faults;
	} rows[] = {
		{"\n", ""},
		{"\nlog-level = info", "2 log-level stands in the main file"},
		{"\ndefaults { nice = 1 }", "2 defaults stands in the main file"},
		{"\ninclude = { '/tmp/x' }", "2 include stands in the main file"},
		{"\n\nservice x {\n nice = 99\n socket = /tmp/x\n handler = { /bin/true }\n}",
		 "4 nice: \"99\""},
		{"\nservice own {\n socket = /tmp/x\n handler = { /bin/true }\n}",
		 "2 service own is there already"},
		{"\nservice x {", "2 section does not end"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct faults faults;
		const struct config *c;

		scratch_write("included", rows[i].text);
		c = load_file(write_including("included"), &faults);
		check((c != NULL) == (*rows[i].faults == '\0'), "%s", rows[i].text);
		check(same_faults(faults.text, scratch_path("included"), rows[i].faults),
		      "%s: %s", rows[i].text, shown(faults.text));
		faults_free(&faults);
	}
}

/* A fault of one included file does not hide those of another, nor the socket that both have. */
static void test_include_all(void **state)
{
	struct faults faults;

	(void)state;
	assert_int_equal(mkdir(scratch_path("e"), 0755), 0);
	scratch_write("e/1",
		      "service a { nice = 99 socket = /tmp/s handler = { /bin/true } }");
	scratch_write("e/2",
		      "service b { nice = 98 socket = /tmp/s handler = { /bin/true } }");
	assert_int_equal(symlink("loop", scratch_path("loop")), 0);
	assert_null(load_file(write_including("e/*"), &faults));
	assert_non_null(strstr(faults.text, "e/1:1: error: nice: \"99\""));
	assert_non_null(strstr(faults.text, "e/2:1: error: nice: \"98\""));
	assert_non_null(strstr(faults.text, "socket /tmp/s"));
	faults_free(&faults);
	expect(write_including("loop/*"), "1 cannot be read");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),       cmocka_unit_test(test_size),
		cmocka_unit_test(test_trust),       cmocka_unit_test(test_byte_0),
		cmocka_unit_test(test_include),     cmocka_unit_test(test_include_faults),
		cmocka_unit_test(test_include_all),
	};

	return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}
