/*
 * test_loader.c: a config that a child has read is the same here, for every option; what may go
 * wrong with the child; and which options make a service another one.
 */
#include "config/loader.h"

#include "lib/cases.h"
#include "lib/loads.h"
#include "lib/scratch.h"
#include "config/service.h"
#include "lib/option_text.h"
#include "config/options.h"

#include <signal.h>
#include <stdalign.h>
#include <stddef.h>
#include <syslog.h>
#include <sys/wait.h>
#include <unistd.h>

/* Every option of a service, with a value that is not the default and another. */
static const struct {
	const char *name, *one, *other;
	bool supervisors; /* no worker has to be replaced for it */
	bool root_only;
} options[] = {
	{"enabled", "true", "false", false, false},
	{"socket", "'/tmp/one'", "'/tmp/other'", false, false},
	{"handler", "{ '/bin/true', 'a' }", "{ '/bin/true', 'b' }", false, false},
	{"type", "stream", "seqpacket", false, false},
	{"wait", "false", "true", false, false},
	{"socket-owner", "1", "2", true, true},
	{"socket-group", "1", "2", true, true},
	{"socket-mode", "'0666'", "'0660'", true, false},
	{"directory-mode", "'0700'", "'0755'", true, false},
	{"backlog", "5", "6", true, false},
	{"user", "1", "2", false, true},
	{"group", "1", "2", false, true},
	{"supplementary-groups", "{ '1', '2' }", "{ '1', '3' }", false, true},
	{"directory", "'/tmp'", "'/'", false, false},
	{"umask", "'027'", "'077'", false, false},
	{"nice", "3", "4", false, false},
	{"environment", "{ 'A=1' }", "{ 'A=1', 'B=2' }", false, false},
	{"pass-environment", "{ 'LOADER_A' }", "{ 'LOADER_B' }", false, false},
	{"no-new-privileges", "true", "false", false, false},
	{"limit-nofile", "70", "71", false, false},
	{"limit-nproc", "70", "71", false, false},
	{"limit-as", "'1G'", "'2G'", false, false},
	{"limit-cpu", "70", "71", false, false},
	{"limit-core", "70", "71", false, false},
	{"limit-fsize", "70", "71", false, false},
	{"stderr", "'/tmp/e'", "'/tmp/f'", false, false},
	{"pass-fds", "true", "false", false, false},
	{"allow", "{ 'uid:1', 'any' }", "{ 'uid:2', 'any' }", false, false},
	{"deny", "{ 'gid:1-7' }", "{ 'gid:1-8' }", false, false},
	{"max-connections", "5", "6", false, false},
	{"max-connections-per-user", "5", "6", false, false},
	{"rate", "'5/1s'", "'5/2s'", false, false},
	{"overflow", "reject", "queue", false, false},
	{"reject-message", "'no'", "'never'", false, false},
	{"max-lifetime", "5", "6", false, false},
	{"kill-grace", "6", "7", false, false},
	{"idle-timeout", "5", "6", false, false},
	{"worker-idle", "5", "6", false, false},
	{"log-level", "debug", "error", false, false},
};

/* Writes a config with all options; the one of this number has its other value. */
static const char *write_all(size_t changed)
{
	FILE *f = fopen(scratch_path("all"), "w");

	assert_non_null(f);
	setenv("LOADER_A", "a", 1);
	setenv("LOADER_B", "b", 1);
	fprintf(f, "pid-file = '/tmp/pid'\nlog-level = warning\n\nservice s {\n");
	for (size_t i = 0; i < COUNT(options); i++) {
		bool wait = strcmp(options[changed % COUNT(options)].name, "wait") == 0 &&
			    changed < COUNT(options);
		const char *name = options[i].name;

		if ((options[i].root_only && geteuid() != 0) ||
		    (wait && strcmp(name, "wait") != 0 && strcmp(name, "socket") != 0 &&
		     strcmp(name, "handler") != 0 && strcmp(name, "user") != 0 &&
		     strcmp(name, "stderr") != 0))
			continue;
		fprintf(f, "%s = %s\n", name,
			i == changed ? options[i].other : options[i].one);
	}
	fprintf(f, "}\n");
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(scratch_path("all"), 0600), 0);
	return scratch_path("all");
}

/* Has a child load a file. */
static struct loaded *load(struct loader *loader, const char *path)
{
	const struct load_source source = {.path = path, .log_level = -1};
	int status;

	assert_int_equal(loader_start(loader, &source), 0);
	assert_int_equal(waitpid(loader->pid, &status, 0), loader->pid);
	return loader_take(loader, status);
}

static struct loaded *load_good(size_t changed)
{
	struct loader loader;
	struct loaded *loaded = load(&loader, write_all(changed));

	check(loaded != NULL, "%s: %s%s",
	      changed < COUNT(options) ? options[changed].name : "all",
	      shown(loader_findings(&loader) != NULL ? loader_findings(&loader)->text
						     : NULL),
	      loader.error);
	loader_close(&loader);
	return loaded;
}

static void test_every_option_comes_over(void **state)
{
	struct faults faults;
	const struct config *here = load_file(write_all(SIZE_MAX), &faults);
	struct loaded *loaded = load_good(SIZE_MAX);
	const struct service *s = &loaded->config->services[0];

	(void)state;
	assert_non_null(here);
	for (size_t i = 0; i < COUNT(options); i++) {
		char *want = strdup(show(&here->services[0], options[i].name));

		assert_string_equal(show(s, options[i].name), want);
		free(want);
	}
	assert_string_equal(s->name, "s");
	assert_string_equal(s->at.file, scratch_path("all"));
	assert_int_equal(s->at.line, here->services[0].at.line);
	assert_int_equal(service_place(s, "handler").line,
			 service_place(&here->services[0], "handler").line);
	assert_string_equal(loaded->config->pid_file, "/tmp/pid");
	assert_int_equal(loaded->config->log_level, LOG_WARNING);
	assert_true(service_same(s, &here->services[0]));
	assert_true(service_same_socket(s, &here->services[0]));
	faults_free(&faults);
	loaded_release(loaded);
}

/* Every option of the table is in this one, and differs between services. */
static void test_every_option_counts(void **state)
{
	struct loaded *all = load_good(SIZE_MAX);
	const struct service *s = &all->config->services[0];

	(void)state;
	for (size_t i = 0; service_options[i].name != NULL; i++) {
		size_t k = 0;

		while (k < COUNT(options) &&
		       strcmp(options[k].name, service_options[i].name) != 0)
			k++;
		check(k < COUNT(options), "%s is missing here", service_options[i].name);
	}
	for (size_t i = 0; i < COUNT(options); i++) {
		struct loaded *changed;

		if (options[i].root_only && geteuid() != 0)
			continue;
		changed = load_good(i);
		check(service_same(s, &changed->config->services[0]) ==
			      options[i].supervisors,
		      "%s", options[i].name);
		loaded_release(changed);
	}
	loaded_release(all);
}

static void end_denied(int signal)
{
	(void)signal;
	_exit(3);
}

/* What was loaded is read-only: for us and for our children. */
static void test_it_is_sealed(void **state)
{
	struct loaded *loaded = load_good(SIZE_MAX);
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0) {
		signal(SIGSEGV, end_denied);
		*(volatile int *)(uintptr_t)&loaded->config->log_level = 0;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 3);
	loaded_release(loaded);
}

static void test_users(void **state)
{
	struct loaded *loaded = load_good(SIZE_MAX);

	(void)state;
	assert_ptr_equal(loaded_hold(loaded), loaded);
	loaded_release(loaded);
	assert_int_equal(loaded->config->count, 1);
	loaded_release(loaded);
	assert_null(loaded_hold(NULL));
	loaded_release(NULL);
}

static void test_faults_come_over(void **state)
{
	struct loader loader;

	(void)state;
	assert_null(
		load(&loader, scratch_write("bad", "\nservice s {\n}\ncolour = 1\n")));
	assert_non_null(strstr(loader_findings(&loader)->text,
			       "bad:4: error: unknown option colour"));
	assert_string_equal(loader.error, "");
	loader_close(&loader);
	assert_null(loader_findings(&loader));
	assert_null(load(&loader, "/no/such/file"));
	assert_non_null(strstr(loader_findings(&loader)->text, "No such file"));
	loader_close(&loader);
}

static void test_command_line_wins(void **state)
{
	const struct load_source source = {.path = write_all(SIZE_MAX),
					   .pid_file = "/tmp/other-pid",
					   .log_level = LOG_DEBUG};
	struct faults faults;
	const struct config *c = config_load(fresh_arena(), &source, &faults);

	(void)state;
	assert_non_null(c);
	assert_string_equal(c->pid_file, "/tmp/other-pid");
	assert_int_equal(c->log_level, LOG_DEBUG);
	faults_free(&faults);
}

/* What was loaded is loaded again from its own texts, whatever the files hold now. */
static void test_again(void **state)
{
	static const char included[] =
		"service b {\n socket = /tmp/b\n handler = { /bin/true }\n %s\n}\n";
	char main_text[500], text[300];
	struct loader loader;
	struct loaded *first, *again;
	struct load_source source = {.log_level = -1};
	int status;

	(void)state;
	snprintf(text, sizeof(text), included, geteuid() == 0 ? "user = root" : "");
	(void)scratch_write("b.inc", text);
	snprintf(main_text, sizeof(main_text),
		 "control-allow = { any }\ninclude = { '%s' }\n%s", scratch_path("*.inc"),
		 geteuid() == 0 ? "defaults { user = root }" : "");
	source.path = scratch_write("main", main_text);
	first = load(&loader, source.path);
	loader_close(&loader);
	assert_non_null(first);
	(void)scratch_write("b.inc", "service {");
	(void)scratch_write("main", "nonsense");
	source.again = first->config;
	assert_int_equal(loader_start(&loader, &source), 0);
	assert_int_equal(waitpid(loader.pid, &status, 0), loader.pid);
	again = loader_take(&loader, status);
	check(again != NULL, "%s", loader.error);
	assert_int_equal(again->config->count, 1);
	assert_true(service_same_text(&first->config->services[0],
				      &again->config->services[0]));
	assert_true(service_same_text(&first->config->control, &again->config->control));
	assert_string_equal(again->config->texts->text, main_text);
	assert_string_equal(again->config->texts->next->text, text);
	loader_close(&loader);
	loaded_release(first);
	loaded_release(again);
	assert_int_equal(unlink(scratch_path("b.inc")), 0);
}

/* A change of any option is one of the text; what users and groups are is not. */
static void test_same_text(void **state)
{
	struct loaded *one = load_good(SIZE_MAX);

	(void)state;
	for (size_t i = 0; i <= COUNT(options); i++) {
		struct loaded *other;

		if (i < COUNT(options) && options[i].root_only && geteuid() != 0)
			continue;
		other = load_good(i);
		check(service_same_text(&one->config->services[0],
					&other->config->services[0]) ==
			      (i == COUNT(options)),
		      "%s", i < COUNT(options) ? options[i].name : "none");
		loaded_release(other);
	}
	loaded_release(one);
}

/* A child that does not end as it should. */
static void test_bad_ends(void **state)
{
	static const struct {
		int status; /* of wait(2) */
		const char *error;
	} rows[] = {
		{SIGSEGV, "was ended by signal SEGV"},
		{2 << 8, "ended with status 2"},
		{ARENA_FULL << 8, "too large"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct load_source source = {.path = "/dev/null", .log_level = -1};
		struct loader loader;
		int status;

		assert_int_equal(loader_start(&loader, &source), 0);
		assert_int_equal(waitpid(loader.pid, &status, 0), loader.pid);
		assert_null(loader_take(&loader, rows[i].status));
		check(strstr(loader.error, rows[i].error) != NULL, "%s", loader.error);
		loader_close(&loader);
	}
}

/* The end of an arena is the end of the process that fills it. */
static void test_full_arena(void **state)
{
	struct arena arena;
	pid_t pid;
	int status;

	(void)state;
	assert_int_equal(arena_open(&arena), 0);
	pid = fork();
	if (pid == 0) {
		char *first = arena_take(&arena, 3), *next = arena_take(&arena, 1);

		if (next - first != alignof(max_align_t) || arena_text(&arena, NULL))
			_exit(1);
		(void)arena_take(&arena, ARENA_BYTES - 64);
		(void)arena_take(&arena, 64);
		_exit(2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), ARENA_FULL);
	arena_close(&arena);
	arena_close(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_option_comes_over),
		cmocka_unit_test(test_every_option_counts),
		cmocka_unit_test(test_it_is_sealed),
		cmocka_unit_test(test_users),
		cmocka_unit_test(test_faults_come_over),
		cmocka_unit_test(test_command_line_wins),
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_same_text),
		cmocka_unit_test(test_bad_ends),
		cmocka_unit_test(test_full_arena),
	};

	return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}
