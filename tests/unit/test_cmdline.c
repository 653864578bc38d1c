/*
 * test_cmdline.c: a service from the command line becomes a config, and nothing in it is lost or
 * read as anything else.
 */
#include "config/cmdline.h"

#include "lib/cases.h"
#include "lib/loads.h"
#include "config/config.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX 6

/* The config of a command line, checked. */
static const struct config *configure(char *const *options, char *const *argv,
				      struct faults *faults)
{
	size_t count = 0;
	const struct config *c;
	char *text;

	while (options[count] != NULL)
		count++;
	text = command_config(options, count, argv);
	assert_non_null(text);
	c = load_text(text, faults);
	free(text);
	return c;
}

static const struct {
	const char *argv[MAX];
	const char *name;
} commands[] = {
	{{"/tmp/s", "/bin/true"}, "true"},
	{{"/tmp/s", "/bin/true", "-v", "", "a b"}, "true"},
	{{"/tmp/s", "/bin/true", "'", "\\", "\\'"}, "true"},
	{{"/tmp/s", "/bin/true", "\"${HOME}\"", "${HOME}", "# //"}, "true"},
	{{"/tmp/s", "/bin/true", "}", "{ a, b }", "\n/*"}, "true"},
	{{"/tmp/it's \\ here", "/bin/true"}, "true"},
	{{"/tmp/s", "/bin/["}, "service"},
};

static void test_command(void **state)
{
	char *none[] = {NULL};

	(void)state;
	for (size_t i = 0; i < COUNT(commands); i++) {
		char *const *argv = (char *const *)(uintptr_t)commands[i].argv;
		struct faults faults;
		const struct config *c = configure(none, argv, &faults);
		const struct service *s;

		if (c == NULL && strcmp(argv[1], "/bin/[") == 0 &&
		    access("/bin/[", X_OK) < 0) {
			faults_free(&faults);
			continue;
		}
		check(c != NULL, "%s %s: %s", argv[0], argv[1], shown(faults.text));
		s = &c->services[0];
		assert_string_equal(s->name, commands[i].name);
		assert_string_equal(s->socket, argv[0]);
		assert_string_equal(s->handler[0], argv[1]);
		for (size_t k = 2; k < MAX && (k == 2 || argv[k - 1] != NULL); k++)
			check(same(s->handler[k - 1], argv[k]), "%s: %s", shown(argv[k]),
			      shown(s->handler[k - 1]));
		assert_string_equal(c->pid_file, "");
		assert_int_equal(s->identity.uid, geteuid());
		faults_free(&faults);
	}
}

/* Every byte that an argument may have, alone and between others. */
static void test_every_byte(void **state)
{
	char *none[] = {NULL};

	(void)state;
	for (int b = 1; b < 256; b++) {
		char one[] = {(char)b, '\0'}, three[] = {(char)b, '\\', (char)b, '\0'};
		char path[] = "/bin/true", socket[] = "/tmp/s";
		char *argv[] = {socket, path, one, three, NULL};
		struct faults faults;
		const struct config *c = configure(none, argv, &faults);

		check(c != NULL, "byte %02x: %s", (unsigned)b, shown(faults.text));
		check(same(c->services[0].handler[1], one), "byte %02x", (unsigned)b);
		check(same(c->services[0].handler[2], three), "byte %02x", (unsigned)b);
		assert_null(c->services[0].handler[3]);
		faults_free(&faults);
	}
}

static void test_options(void **state)
{
	char nice[] = "nice=7", mode[] = "socket-mode=0666",
	     message[] = "reject-message=a='b'\\";
	char first[] = "environment=A=b c", second[] = "environment=D='e'",
	     allow[] = "allow={}";
	char pass[] = "environment-x=1", rule[] = "allow=any";
	char socket[] = "/tmp/s", handler[] = "/bin/true";
	char *argv[] = {socket, handler, NULL};
	char *good[] = {first, nice, mode, second, message, rule, NULL};
	char *unknown[] = {nice, pass, NULL}, *empty[] = {allow, NULL},
	     *twice[] = {nice, nice, NULL};
	struct faults faults;
	const struct config *c = configure(good, argv, &faults);

	(void)state;
	check(c != NULL, "%s", shown(faults.text));
	assert_int_equal(c->services[0].nice, 7);
	assert_int_equal(c->services[0].socket_mode, 0666);
	assert_string_equal(c->services[0].reject_message, "a='b'\\");
	assert_string_equal(c->services[0].environment[0], "A=b c");
	assert_string_equal(c->services[0].environment[1], "D='e'");
	assert_null(c->services[0].environment[2]);
	assert_int_equal(c->services[0].access.allow.count, 1);
	faults_free(&faults);
	assert_null(configure(unknown, argv, &faults));
	assert_string_equal(faults.text,
			    "udsd: error: unknown option environment-x in service, did "
			    "you mean environment?\n");
	faults_free(&faults);
	assert_null(configure(empty, argv, &faults));
	assert_non_null(strstr(faults.text, "must have a rule"));
	faults_free(&faults);
	assert_null(configure(twice, argv, &faults));
	assert_non_null(strstr(faults.text, "nice is there already"));
	faults_free(&faults);
}

/* The user is the one that started it, unless one is given. */
static void test_user(void **state)
{
	char user[32], socket[] = "/tmp/s", handler[] = "/bin/true";
	char *argv[] = {socket, handler, NULL}, *options[] = {user, NULL};
	uid_t uid = geteuid() == 0 ? 54321 : geteuid();
	struct faults faults;
	const struct config *c;

	(void)state;
	snprintf(user, sizeof(user), "user=%u", uid);
	c = configure(options, argv, &faults);
	check(c != NULL, "%s", shown(faults.text));
	assert_int_equal(c->services[0].identity.uid, uid);
	faults_free(&faults);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_command),
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
