/*
 * test_build.c: whole configs: what is refused, with all places at once, and what is read.
 */
#include "config/config.h"

#include "lib/cases.h"
#include "lib/loads.h"
#include "common/clock.h"
#include "lib/expected_faults.h"
#include "lib/scratch.h"

#include <errno.h>
#include <sys/wait.h>
#include <syslog.h>

/* What every service needs here but its socket; the user on the same line. */
#define HANDLER "handler = { /bin/true }"
static const char *user_line;

static int set_up(void **state)
{
	user_line = geteuid() == 0 ? "defaults { user = root }" : "";
	return scratch_open(state);
}

/* Writes a config, with the user before it on its first line, and loads it. */
static const struct config *load(const char *text, struct faults *faults)
{
	char *full;
	const struct config *c;

	assert_true(asprintf(&full, "%s%s", strstr(text, "defaults") ? "" : user_line,
			     text) > 0);
	c = load_file(scratch_write("conf", full), faults);
	free(full);
	return c;
}

static void expect(const char *text, const char *expected)
{
	struct faults faults;
	const struct config *c = load(text, &faults);

	check((c != NULL) == (*expected == '\0'), "%s: %s", text, shown(faults.text));
	check(same_faults(faults.text, scratch_path("conf"), expected), "%s: %s", text,
	      shown(faults.text));
	faults_free(&faults);
}

static void test_faults(void **state)
{
	static const struct {
		const char *text, *faults;
	} rows[] = {
		{"\n", ""},
		{"\nservice a {\n socket = /tmp/a\n handler = /bin/true\n}", ""},
		{"\nservice a {\n\n}\n", "2 socket is missing\n2 handler is missing"},
		{"\nservice {\n socket = /tmp/a\n " HANDLER "\n}",
		 "2 service: its name is missing"},
		{"\nservice 'a b' {\n socket = /tmp/a\n " HANDLER "\n}",
		 "2 \"a b\" must be"},
		{"\nservice a {\n " HANDLER "\n socket = @a\n}", "4 allow is missing"},
		{"\nservice a {\n " HANDLER "\n socket = @a\n allow = { any }\n}", ""},
		{"\n" HANDLER, "2 handler is an option of a service"},
		{"\nservices a {}", "2 unknown section services"},
		{"\nlog-level = loud\n\nstop-timeout = 1y\n",
		 "2 log-level: \"loud\" must be\n4 stop-timeout: \"1y\" must be"},
		{"\nlog-level = info\nlog-level = info",
		 "3 log-level is there already, on line 2"},
		{"\ninclude = { conf.d }",
		 "2 include: \"conf.d\" must be an absolute path"},
		{"\ninclude = { '/no/such/*.conf', '/dev/null/x*' }", ""},
		{"\nservice a {\n type = x\n nice = 99\n oops = 1\n socket = /tmp/a\n type = x\n"
		 " " HANDLER "\n}\nservice b {\n umask = y\n socket = /tmp/b\n " HANDLER
		 "\n}\n",
		 "3 type: \"x\"\n4 nice: \"99\"\n5 unknown option oops\n"
		 "7 type is there already, on line 3\n11 umask: \"y\""},
		{"\nservice a {\n socket = /tmp/a\n " HANDLER
		 "\n}\nservice a {\n socket = /tmp/b\n"
		 " " HANDLER "\n}",
		 "6 service a is there already, on line 2"},
		{"\nservice a {\n socket = '/tmp/${HOME}'\n " HANDLER "\n}", ""},
		{"\nservice a {\n socket = \"/tmp/${HOME}\"\n " HANDLER "\n}",
		 "3 ${ is refused"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		expect(rows[i].text, rows[i].faults);
}

/* These faults stand in no one line of the tests' choice: the place is that of either option. */
static void test_refused(void **state)
{
	static const char *const rows[][2] = {
		{"\nservice a {\n socket = /tmp/a\n " HANDLER "\n}\n"
		 "service b {\n socket = /tmp/a\n " HANDLER "\n}",
		 "/tmp/a"},
		{"\nservice a {\n socket = { /tmp/a, /tmp/b }\n " HANDLER "\n}",
		 "one value is wanted, not a list"},
		{"\nservice a {\n socket = \"/tmp/a\\400\"\n " HANDLER "\n}",
		 "is no escape"},
		{"\ndefaults x { }", "defaults"},
	};
	struct faults faults;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		check(load(rows[i][0], &faults) == NULL, "%s", rows[i][0]);
		check(faults.errors > 0 && strstr(faults.text, rows[i][1]) != NULL,
		      "%s: %s", rows[i][0], shown(faults.text));
		check(strstr(faults.text, "conf:") != NULL, "%s: %s", rows[i][0],
		      faults.text);
		faults_free(&faults);
	}
}

/* What is no fault of the text is the service's problem: the config is there all the same. */
static void test_problems(void **state)
{
	static const struct {
		const char *text, *step, *problem;
	} rows[] = {
		{"\nservice a {\n socket = /tmp/a\n " HANDLER
		 "\n directory = /no/such\n}",
		 "directory", "conf:5: directory /no/such cannot be entered"},
		{"\nservice a {\n socket = /tmp/a\n handler = { /no/such }\n}", "handler",
		 "conf:4: handler /no/such cannot be executed"},
		{"\nservice a {\n socket = /tmp/a\n handler = { /tmp }\n}", "handler",
		 "conf:4: handler /tmp cannot be executed"},
		{"\nservice a {\n socket = /tmp/a\n handler = { /etc/passwd }\n}",
		 "handler", "conf:4: handler /etc/passwd cannot be executed"},
		{"\nservice a {\n socket = /tmp/a\n " HANDLER "\n user = nosuch\n}",
		 "user", "conf:5: user: \"nosuch\" does not exist"},
		{"\nservice a {\n socket = /tmp/a\n " HANDLER
		 "\n socket-group = nosuch\n}",
		 "socket-group", "conf:5: socket-group: \"nosuch\" does not exist"},
		{"\nservice a {\n socket = /tmp/a\n " HANDLER
		 "\n deny = { any, user:nosuch }\n}",
		 "deny", "conf:5: deny: \"user:nosuch\" names a user or group that"},
	};
	struct faults faults;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct config *c = load(rows[i].text, &faults);
		const struct problem *p = c != NULL ? &c->services[0].problem : NULL;

		check(p != NULL && p->kind == PROBLEM_FAILED && faults.errors == 0 &&
			      faults.problems == 1 && same(p->step, rows[i].step) &&
			      strstr(p->text, rows[i].problem) != NULL,
		      "%s: %s", rows[i].text, shown(faults.text));
		faults_free(&faults);
	}
}

/* libconfuse's escapes in titles: no service is lost, and none is there twice. */
static void test_titles(void **state)
{
	static const char *const titles[] = {"\"ec\\ho\"", "\"a\\tb\"",  "\"\\x61\"",
					     "'a\\b'",     "\"a\\\nb\"", "'a'",
					     "\"\\141\"",  "\"a\\0b\""};
	struct faults faults;
	char text[300];

	(void)state;
	for (size_t i = 0; i < COUNT(titles); i++) {
		const struct config *c;

		snprintf(text, sizeof(text),
			 "\nservice %s {\n socket = /tmp/a\n " HANDLER "\n}\n",
			 titles[i]);
		c = load(text, &faults);
		check(c != NULL ? c->count == 1 : faults.errors > 0, "%s", text);
		faults_free(&faults);
		snprintf(text + strlen(text), 100,
			 "service a { socket = /tmp/b " HANDLER "\n}\n");
		c = load(text, &faults);
		check(c != NULL ? c->count == 2 && strcmp(c->services[0].name, "a") != 0
				: faults.errors > 0,
		      "%s", text);
		faults_free(&faults);
	}
}

/* A config that is cut anywhere but between its statements is refused. */
static void test_prefixes(void **state)
{
	static const char text[] =
		"service one { socket = \"/tmp/1\" handler = { '/bin/true', \"}\" } "
		"/* } */ environment = { 'A={', \"B=\\\"\" } }\x01"
		"service 'two' { socket = /tmp/2 handler = { /bin/true } }";
	struct faults faults;
	char prefix[400];

	(void)state;
	for (size_t len = 0; len < sizeof(text); len++) {
		bool whole = len == 0 || text[len] == '\x01' || text[len] == '\0';
		const struct config *c;

		snprintf(prefix, sizeof(prefix), "%s /* here */ %.*s", user_line,
			 (int)len, text);
		if (strchr(prefix, '\x01') != NULL)
			*strchr(prefix, '\x01') = '\n';
		whole = whole || (len > 0 && text[len - 1] == '\x01');
		c = load_text(prefix, &faults);
		check((c != NULL) == whole, "%s: %s", prefix, shown(faults.text));
		assert_int_equal(faults.errors == 0, whole);
		faults_free(&faults);
	}
}

static void test_globals(void **state)
{
	static const struct {
		const char *text;
		int level, facility;
		int64_t stop;
		const char *pid_file; /* NULL: not looked at */
	} rows[] = {
		{" ", LOG_INFO, LOG_DAEMON, 10 * NSEC_PER_SEC, NULL},
		{"log-level = debug", LOG_DEBUG, LOG_DAEMON, 10 * NSEC_PER_SEC, NULL},
		{"syslog-facility = local7", LOG_INFO, LOG_LOCAL7, 10 * NSEC_PER_SEC,
		 NULL},
		{"stop-timeout = 250ms", LOG_INFO, LOG_DAEMON, 250 * NSEC_PER_MSEC, NULL},
		{"stop-timeout = 0", LOG_INFO, LOG_DAEMON, 0, NULL},
		{"pid-file = '/a b'", LOG_INFO, LOG_DAEMON, 10 * NSEC_PER_SEC, "/a b"},
		{"pid-file = ''", LOG_INFO, LOG_DAEMON, 10 * NSEC_PER_SEC, ""},
		{"control-socket = ''", LOG_INFO, LOG_DAEMON, 10 * NSEC_PER_SEC, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct faults faults;
		const struct config *c = load(rows[i].text, &faults);

		check(c != NULL, "%s: %s", rows[i].text, shown(faults.text));
		assert_int_equal(c->log_level, rows[i].level);
		assert_int_equal(c->syslog_facility, rows[i].facility);
		assert_int_equal(c->stop_timeout, rows[i].stop);
		assert_true(rows[i].pid_file == NULL ||
			    same(c->pid_file, rows[i].pid_file));
		assert_int_equal(c->count, 0);
		faults_free(&faults);
	}
	expect("\npid-file = udsd.pid",
	       "2 pid-file: \"udsd.pid\" must be an absolute path");
	expect("\nsyslog-facility = x", "2 syslog-facility: \"x\" must be");
}

/* What a service does not say is taken from defaults, which may stand anywhere. */
static void test_defaults(void **state)
{
	static const char service[] = "service a { socket = /tmp/a " HANDLER
				      " nice = 1 environment = { 'A=own' } }\n"
				      "service b { socket = /tmp/b " HANDLER " }\n";
	static const char defaults[] =
		"%s nice = 2 environment = { 'A=b', 'C=d' } rate = '3/1s' }\n";
	const char *user = geteuid() == 0 ? "defaults { user = 0" : "defaults {";
	char before[200], text[600];

	(void)state;
	snprintf(before, sizeof(before), defaults, user);
	for (int i = 0; i < 2; i++) {
		struct faults faults;
		const struct config *c;

		snprintf(text, sizeof(text), "%s%s", i == 0 ? before : service,
			 i == 0 ? service : before);
		c = load(text, &faults);
		check(c != NULL, "%s", shown(faults.text));
		assert_int_equal(c->count, 2);
		assert_string_equal(c->services[0].name, "a");
		assert_int_equal(c->services[0].nice, 1);
		assert_string_equal(c->services[0].environment[0], "A=own");
		assert_null(c->services[0].environment[1]);
		assert_int_equal(c->services[0].rate.burst, 3);
		assert_string_equal(c->services[1].name, "b");
		assert_int_equal(c->services[1].nice, 2);
		assert_string_equal(c->services[1].environment[1], "C=d");
		faults_free(&faults);
	}
	expect("defaults {\n nice = 99\n umask = x\n}", "2 nice: \"99\"\n3 umask: \"x\"");
	expect("\ndefaults { nice = 1 }\ndefaults { nice = 2 }", "3 defaults");
	expect("defaults {\n socket = /tmp/a\n}", "2 socket is of one service only");
}

/* What += adds to. */
static void test_added(void **state)
{
	struct faults faults;
	const struct config *c = load(
		"control-allow += { 'uid:7' }\ncontrol-socket = /tmp/c\n"
		"defaults {\n user = 0\n allow = { 'uid:1' }\n deny = { 'uid:2' }\n"
		" environment = { 'A=1' }\n}\n"
		"service a {\n socket = /tmp/a\n " HANDLER "\n allow += { 'uid:3' }\n"
		" allow += { 'uid:4' }\n deny = { 'uid:5' }\n"
		" environment += { 'B=2' }\n}\n",
		&faults);
	const struct service *s;

	(void)state;
	if (geteuid() != 0) { /* who has another user's allow rules, but not user = 0 */
		faults_free(&faults);
		return;
	}
	check(c != NULL, "%s", shown(faults.text));
	s = &c->services[0];
	assert_int_equal(s->access.allow.count, 3);
	assert_int_equal(s->access.allow.rules[0].low, 1);
	assert_int_equal(s->access.allow.rules[2].low, 4);
	assert_int_equal(s->access.deny.count, 1);
	assert_int_equal(s->access.deny.rules[0].low, 5);
	assert_string_equal(s->environment[0], "A=1");
	assert_string_equal(s->environment[1], "B=2");
	assert_int_equal(c->control.access.allow.count, 3);
	assert_int_equal(c->control.access.allow.rules[2].low, 7);
	faults_free(&faults);
	expect("defaults { nice += 1 }", "1 += adds to a list: write =");
	expect("service a {\n socket = /tmp/a\n handler += /bin/true\n}",
	       "3 += adds to a list of defaults, where this cannot stand");
}

/* Options of a service that no other test asks for together, and the handler's account. */
static void test_service(void **state)
{
	struct faults faults;
	const struct config *c =
		load("service a {\n socket = /tmp/a\n handler = { /bin/true, -v }\n}\n",
		     &faults);
	const struct service *s;

	(void)state;
	check(c != NULL, "%s", shown(faults.text));
	s = &c->services[0];
	assert_int_equal(s->identity.uid, geteuid());
	assert_int_equal(s->identity.gid, getegid());
	assert_string_equal(s->handler[1], "-v");
	assert_null(s->handler[2]);
	assert_true(s->enabled);
	faults_free(&faults);
}

static const struct {
	const char *option;
	unsigned more;     /* its value, counted from the ordinary user's own id */
	bool root;         /* who runs it */
	const char *error; /* NULL: fine */
} identities[] = {
	{"backlog", 0, false, NULL},
	{"user", 0, false, NULL},
	{"group", 0, false, NULL},
	{"user", 1, false, "only root"},
	{"group", 1, false, "only root"},
	{"supplementary-groups", 1, false, "only root"},
	{"backlog", 0, true, "user is missing"},
	{"user", 0, true, NULL},
	{"user", 1, true, NULL},
	{"group", 1, true, "user is missing"},
};

/* Becomes an ordinary user if need be, and reads a config with these options: 0 if it met what was
 * expected. */
static int parse_as(bool root, const char *options, const char *error)
{
	struct faults faults;
	const struct config *c;
	char *text;

	if (!root && geteuid() == 0 &&
	    (setresgid(54321, 54321, 54321) < 0 || setresuid(54321, 54321, 54321) < 0))
		return 2;
	if (asprintf(&text, "service a { socket = /tmp/a " HANDLER " %s }", options) < 0)
		return 3;
	c = load_text(text, &faults);
	free(text);
	if (error == NULL)
		return c == NULL;
	return c != NULL || strstr(faults.text, error) == NULL;
}

/* udsd that is not root runs handlers as itself; as root, a user must be said. */
static void test_identity(void **state)
{
	unsigned own = geteuid() == 0 ? 54321 : geteuid();

	(void)state;
	for (size_t i = 0; i < COUNT(identities); i++) {
		char options[200];
		int status;
		pid_t pid;

		if (identities[i].root && geteuid() != 0)
			continue;
		if (geteuid() != 0)
			own = strstr(identities[i].option, "group") != NULL ? getegid()
									    : geteuid();
		snprintf(options, sizeof(options), "%s = %u", identities[i].option,
			 own + identities[i].more);
		pid = fork();
		if (pid == 0)
			_exit(parse_as(identities[i].root, options, identities[i].error));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		check(status == 0, "%s as %s: %x", options,
		      identities[i].root ? "root" : "user", (unsigned)status);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_faults),   cmocka_unit_test(test_refused),
		cmocka_unit_test(test_problems), cmocka_unit_test(test_titles),
		cmocka_unit_test(test_prefixes), cmocka_unit_test(test_globals),
		cmocka_unit_test(test_defaults), cmocka_unit_test(test_added),
		cmocka_unit_test(test_service),  cmocka_unit_test(test_identity),
	};

	return cmocka_run_group_tests(tests, set_up, scratch_close);
}
