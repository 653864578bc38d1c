/*
 * test_defaults.c: where things are for root and for an ordinary user, and how a program is found.
 */
#include "config/cmdpath.h"
#include "common/defaults.h"

#include "lib/cases.h"
#include "lib/scratch.h"

#include <errno.h>
#include <sys/wait.h>

#define ORDINARY 65533

static void set(const char *name, const char *value)
{
	if (value == NULL)
		unsetenv(name);
	else
		setenv(name, value, 1);
}

/* In a process that is an ordinary user's: whether all is as the row says. */
struct place_row {
	const char *config_home, *home, *runtime;
	const char *config, *directory;
};

static bool places_are(const struct place_row *row)
{
	char pid[300] = "", control[300] = "";

	set("XDG_CONFIG_HOME", row->config_home);
	set("HOME", row->home);
	set("XDG_RUNTIME_DIR", row->runtime);
	if (*row->directory != '\0') {
		snprintf(pid, sizeof(pid), "%s/udsd.pid", row->directory);
		snprintf(control, sizeof(control), "%s/control.sock", row->directory);
	}
	return same(defaults_config(), row->config) &&
	       same(defaults_directory(), row->directory) &&
	       same(defaults_pid_file(), pid) && same(defaults_control_socket(), control);
}

/* Whether a function that is given a row holds for an ordinary user. */
static bool holds(bool (*function)(const struct place_row *), const struct place_row *row)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit((geteuid() != 0 || setuid(ORDINARY) == 0) && function(row) ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status == 0;
}

static void test_ordinary_user(void **state)
{
	static const struct place_row rows[] = {
		{NULL, "/home/a", "/run/user/1", "/home/a/.config/udsd.conf",
		 "/run/user/1/udsd"},
		{"/c", "/home/a", NULL, "/c/udsd.conf", ""},
		{"", "/home/a", "", "/home/a/.config/udsd.conf", ""},
		{"c", "/home/a", "run", "/home/a/.config/udsd.conf", ""},
		{NULL, NULL, "/r", "", "/r/udsd"},
		{NULL, "a", "/r", "", "/r/udsd"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		check(holds(places_are, &rows[i]), "row %zu", i);
}

/* Root's do not depend on the environment. */
static void test_root(void **state)
{
	(void)state;
	if (geteuid() != 0)
		return;
	set("XDG_CONFIG_HOME", "/c");
	set("XDG_RUNTIME_DIR", "/r");
	check(strstr(defaults_config(), "/c/") == NULL, "%s", defaults_config());
	check(strncmp(defaults_pid_file(), "/r/", 3) != 0, "%s", defaults_pid_file());
	check(strstr(defaults_control_socket(), "/udsd/control.sock") != NULL, "%s",
	      defaults_control_socket());
}

static bool supervisor_is(const struct place_row *row)
{
	set("XDG_RUNTIME_DIR", row->runtime);
	return same(defaults_supervisor(), defaults_control_socket()) ==
	       (*row->directory != '\0');
}

/* udsctl of an ordinary user asks the user's own supervisor if there is one. */
static void test_supervisor(void **state)
{
	const struct place_row nobody = {.runtime = "/no/such", .directory = ""};
	const struct place_row unset = {.runtime = NULL, .directory = ""};
	const struct place_row own = {.runtime = scratch, .directory = "here"};

	(void)state;
	mkdir(scratch_path("udsd"), 0755);
	scratch_write("udsd/control.sock", "");
	check(holds(supervisor_is, &nobody), "no such directory");
	check(holds(supervisor_is, &unset), "not set");
	check(holds(supervisor_is, &own), "one's own");
}

static void test_program(void **state)
{
	static const struct {
		const char *path, *name, *found; /* %: the scratch directory */
		int error;
	} rows[] = {
		{"/no:%/a:%/b", "tool", "%/a/tool", 0},
		{"%/b:%/a", "tool", "%/b/tool", 0},
		{"%/data:%/a", "tool", "%/a/tool", 0},
		{"%/data", "tool", NULL, EACCES},
		{"%/data:/no", "tool", NULL, EACCES},
		{"%/dir:%/a", "tool", "%/a/tool", 0},
		{"%/a:%/b", "nothing", NULL, ENOENT},
		{"%/a/tool:%/b", "tool", "%/b/tool", 0},
		{"a", "tool", "%/a/tool", 0},
		{":%/b", "top", "%/./top", 0},
		{"%/b:", "top", "%/./top", 0},
		{"%/b", "top", NULL, ENOENT},
		{"%/b", "a/tool", "%/a/tool", 0},
		{"%/b", "/x/y", "/x/y", 0},
		{"%/b", "./no", "%/./no", 0},
		{"", "top", "%/./top", 0},
		{NULL, "sh", "/bin/sh", 0},
	};
	char path[600], expected[300];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t n = 0;
		char *found;

		for (const char *p = rows[i].path; p != NULL && *p != '\0'; p++)
			n += (size_t)snprintf(path + n, sizeof(path) - n, "%.*s",
					      *p == '%' ? (int)strlen(scratch) : 1,
					      *p == '%' ? scratch : p);
		path[n] = '\0';
		set("PATH", rows[i].path != NULL ? path : NULL);
		errno = 0;
		found = cmdpath_program((char *)(uintptr_t)rows[i].name);
		if (rows[i].found != NULL)
			snprintf(expected, sizeof(expected), "%s%s",
				 *rows[i].found == '%' ? scratch : "",
				 rows[i].found + (*rows[i].found == '%'));
		check(same(found, rows[i].found != NULL ? expected : NULL), "row %zu: %s",
		      i, shown(found));
		check(found != NULL || errno == rows[i].error, "row %zu: %s", i,
		      strerror(errno));
		if (found != rows[i].name)
			free(found);
	}
}

static int set_up(void **state)
{
	static const char *const dirs[] = {"a", "b", "data", "dir", "dir/tool"};
	static const char *const tools[] = {"a/tool", "b/tool", "top"};

	if (scratch_open(state) < 0)
		return -1;
	for (size_t i = 0; i < COUNT(dirs); i++)
		if (mkdir(scratch_path(dirs[i]), 0755) < 0)
			return -1;
	for (size_t i = 0; i < COUNT(tools); i++)
		if (chmod(scratch_write(tools[i], "#!/bin/sh\n"), 0755) < 0)
			return -1;
	scratch_write("data/tool", "not executable\n");
	return chdir(scratch);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ordinary_user),
		cmocka_unit_test(test_root),
		cmocka_unit_test(test_supervisor),
		cmocka_unit_test(test_program),
	};

	return cmocka_run_group_tests_name("defaults", tests, set_up, scratch_close);
}
