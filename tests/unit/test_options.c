/*
 * test_options.c: every option of a service: its default, good values and bad ones, in the service
 * itself and in defaults.
 */
#include "config/options.h"

#include "lib/cases.h"
#include "lib/loads.h"
#include "lib/option_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ROOT_ONLY true

static const struct row {
	const char *option;
	const char *value; /* as in the config; NULL: the option is not there */
	const char *shown; /* NULL: the value is refused */
	const char *error; /* part of what is wrong */
	bool root_only;
} rows[] = {
	{"enabled", NULL, "true", NULL, false},
	{"enabled", "false", "false", NULL, false},
	{"enabled", "maybe", NULL, "\"maybe\" must be true or false", false},
	{"socket", "/tmp/s", "/tmp/s", NULL, false},
	{"socket", "@s", "@s", NULL, false},
	{"socket", "s", NULL, "\"s\" must be an absolute path, or @", false},
	{"socket", "''", NULL, "\"\" must be", false},
	{"socket", "\"/tmp/a\\tb\"", NULL, "control character", false},
	{"handler", "{ /bin/true }", "[/bin/true]", NULL, false},
	{"handler", "{ '/bin/true', 'a b', \"\" }", "[/bin/true][a b][]", NULL, false},
	{"handler", "{}", NULL, "\"\" must be a list", false},
	{"handler", "{ 'true', '/bin/true' }", NULL, "\"true\" must be a list", false},
	{"type", NULL, "stream", NULL, false},
	{"type", "stream", "stream", NULL, false},
	{"type", "seqpacket", "seqpacket", NULL, false},
	{"type", "dgram", NULL, "\"dgram\" must be stream or seqpacket", false},
	{"type", "''", NULL, "\"\" must be stream", false},
	{"wait", NULL, "false", NULL, false},
	{"wait", "false", "false", NULL, false},
	{"wait", "true", "true", NULL, false},
	{"wait", "perhaps", NULL, "\"perhaps\" must be true or false", false},
	{"socket-owner", NULL, "4294967295", NULL, false},
	{"socket-owner", "root", "0", NULL, ROOT_ONLY},
	{"socket-owner", "54321", "54321", NULL, ROOT_ONLY},
	{"socket-owner", "'no such user'", NULL, "\"no such user\" does not exist",
	 false},
	{"socket-group", NULL, "4294967295", NULL, false},
	{"socket-group", "root", "0", NULL, ROOT_ONLY},
	{"socket-group", "54321", "54321", NULL, ROOT_ONLY},
	{"socket-group", "'no such group'", NULL, "\"no such group\" does not exist",
	 false},
	{"socket-mode", NULL, "0600", NULL, false},
	{"socket-mode", "'0666'", "0666", NULL, false},
	{"socket-mode", "0999", NULL, "\"0999\" must be an octal number", false},
	{"directory-mode", NULL, "0755", NULL, false},
	{"directory-mode", "0700", "0700", NULL, false},
	{"directory-mode", "rwx", NULL, "\"rwx\" must be an octal number", false},
	{"backlog", NULL, "2147483647", NULL, false},
	{"backlog", "0", "0", NULL, false},
	{"backlog", "-1", NULL, "\"-1\" is too small", false},
	{"backlog", "2147483648", NULL, "\"2147483648\" is too large", false},
	{"user", "root", "root 0 0 0", NULL, ROOT_ONLY},
	{"user", "54321", "54321 54321 54321 54321", NULL, ROOT_ONLY},
	{"user", "'no such user'", NULL, "\"no such user\" does not exist", false},
	{"group", "54321", "54321", NULL, ROOT_ONLY},
	{"group", "root", "0", NULL, ROOT_ONLY},
	{"group", "'no such group'", NULL, "\"no such group\" does not exist", false},
	{"supplementary-groups", "{}", "", NULL, ROOT_ONLY},
	{"supplementary-groups", "{ 54321, root, 7 }", "54321 0 7 ", NULL, ROOT_ONLY},
	{"supplementary-groups", "{ 7, 'no such group' }", NULL,
	 "\"no such group\" does not", false},
	{"directory", NULL, "/", NULL, false},
	{"directory", "/tmp", "/tmp", NULL, false},
	{"directory", "tmp", NULL, "\"tmp\" must be an absolute path", false},
	{"umask", NULL, "0022", NULL, false},
	{"umask", "077", "0077", NULL, false},
	{"umask", "x", NULL, "\"x\" must be an octal number", false},
	{"nice", NULL, "0", NULL, false},
	{"nice", "-20", "-20", NULL, ROOT_ONLY},
	{"nice", "19", "19", NULL, false},
	{"nice", "-21", NULL, "\"-21\" is too small", false},
	{"nice", "20", NULL, "\"20\" is too large", false},
	{"environment", NULL, "", NULL, false},
	{"environment", "{}", "", NULL, false},
	{"environment", "{ 'A=b', \"C=d e=f\", 'E=' }", "[A=b][C=d e=f][E=]", NULL,
	 false},
	{"environment", "{ 'UNI=1', 'PROTOS=1', 'UDSD=1' }", "[UNI=1][PROTOS=1][UDSD=1]",
	 NULL, false},
	{"environment", "{ 'A=b', C }", NULL, "\"C\" must be NAME=value", false},
	{"environment", "{ 'UNIXLOCALUID=0' }", NULL, "sets itself", false},
	{"environment", "{ 'UDSD_RULE=x' }", NULL, "sets itself", false},
	{"environment", "{ 'PROTO=TCP' }", NULL, "sets itself", false},
	{"pass-environment", NULL, "", NULL, false},
	{"pass-environment", "{}", "", NULL, false},
	{"pass-environment", "{ TEST_A, TEST_NONE, TEST_B }", "[TEST_A=x y][TEST_B=]",
	 NULL, false},
	{"pass-environment", "{ TEST_A, 'B=c' }", NULL, "\"B=c\" must be the name",
	 false},
	{"pass-environment", "{ PROTO }", NULL, "\"PROTO\" is a name that udsd sets",
	 false},
	{"no-new-privileges", NULL, "true", NULL, false},
	{"no-new-privileges", "off", "false", NULL, false},
	{"no-new-privileges", "2", NULL, "\"2\" must be true or false", false},
	{"limit-nofile", NULL, "", NULL, false},
	{"limit-nofile", "64", "64", NULL, false},
	{"limit-nofile", "-1", NULL, "\"-1\" must be a number", false},
	{"limit-nproc", NULL, "", NULL, false},
	{"limit-nproc", "1K", "1024", NULL, false},
	{"limit-nproc", "many", NULL, "\"many\" must be", false},
	{"limit-as", NULL, "", NULL, false},
	{"limit-as", "256M", "268435456", NULL, false},
	{"limit-as", "256MB", NULL, "\"256MB\" must be", false},
	{"limit-cpu", NULL, "", NULL, false},
	{"limit-cpu", "infinity", "infinity", NULL, false},
	{"limit-cpu", "10s", NULL, "\"10s\" must be", false},
	{"limit-core", NULL, "", NULL, false},
	{"limit-core", "0", "0", NULL, false},
	{"limit-core", "''", NULL, "\"\" must be", false},
	{"limit-fsize", NULL, "", NULL, false},
	{"limit-fsize", "2G", "2147483648", NULL, false},
	{"limit-fsize", "9999999999G", NULL, "\"9999999999G\" is too large", false},
	{"stderr", NULL, "syslog", NULL, false},
	{"stderr", "syslog", "syslog", NULL, false},
	{"stderr", "null", "null", NULL, false},
	{"stderr", "client", "client", NULL, false},
	{"stderr", "/tmp/e", "file /tmp/e", NULL, false},
	{"stderr", "stdout", NULL, "\"stdout\" must be syslog, null, client or", false},
	{"pass-fds", NULL, "false", NULL, false},
	{"pass-fds", "true", "true", NULL, false},
	{"pass-fds", "x", NULL, "\"x\" must be true or false", false},
	{"allow", NULL, "", NULL, false},
	{"allow", "{ 'uid:5-7', 'self', 'any' }", "uid:5-7 self any ", NULL, false},
	{"allow", "{ any, 'user:no such user' }", NULL,
	 "\"user:no such user\" names a user or group that does not", false},
	{"allow", "{ everybody }", NULL, "\"everybody\" must be user:", false},
	{"allow", "{}", NULL, "must have a rule", false},
	{"deny", NULL, "", NULL, false},
	{"deny", "{ 'gid:1' }", "gid:1 ", NULL, false},
	{"deny", "{ 'gid:x' }", NULL, "\"gid:x\" must have a number", false},
	{"max-connections", NULL, "64", NULL, false},
	{"max-connections", "1", "1", NULL, false},
	{"max-connections", "65536", "65536", NULL, false},
	{"max-connections", "0", NULL, "\"0\" is too small", false},
	{"max-connections", "65537", NULL, "\"65537\" is too large", false},
	{"max-connections-per-user", NULL, "0", NULL, false},
	{"max-connections-per-user", "65536", "65536", NULL, false},
	{"max-connections-per-user", "65537", NULL, "\"65537\" is too large", false},
	{"max-connections-per-user", "-1", NULL, "\"-1\" is too small", false},
	{"rate", NULL, "0 0", NULL, false},
	{"rate", "'100/10s'", "100 10000000000", NULL, false},
	{"rate", "100", NULL, "\"100\" must be a number of connections", false},
	{"overflow", NULL, "false", NULL, false},
	{"overflow", "queue", "false", NULL, false},
	{"overflow", "reject", "true", NULL, false},
	{"overflow", "drop", NULL, "\"drop\" must be queue or reject", false},
	{"reject-message", NULL, "(none)", NULL, false},
	{"reject-message", "''", "(none)", NULL, false},
	{"reject-message", "\"no,\\r\\nno\"", "no,\r\nno", NULL, false},
	{"reject-message", "{ no }", NULL, "one value is wanted, not a list", false},
	{"max-lifetime", NULL, "0", NULL, false},
	{"max-lifetime", "1h", "3600000000000", NULL, false},
	{"max-lifetime", "1y", NULL, "\"1y\" must be a duration", false},
	{"kill-grace", NULL, "5000000000", NULL, false},
	{"kill-grace", "0", "0", NULL, false},
	{"kill-grace", "-1s", NULL, "\"-1s\" must be a duration", false},
	{"idle-timeout", NULL, "0", NULL, false},
	{"idle-timeout", "250ms", "250000000", NULL, false},
	{"idle-timeout", "''", NULL, "\"\" must be a duration", false},
	{"worker-idle", NULL, "30000000000", NULL, false},
	{"worker-idle", "5m", "300000000000", NULL, false},
	{"worker-idle", "9999h", NULL, "\"9999h\" is longer than a year", false},
	{"log-level", NULL, "6", NULL, false},
	{"log-level", "debug", "7", NULL, false},
	{"log-level", "error", "3", NULL, false},
	{"log-level", "panic", NULL, "\"panic\" must be error, warning", false},
};

/* A config with the row's option in its service, or in defaults. */
static const struct config *parse(const struct row *row, bool in_defaults,
				  struct faults *faults)
{
	char option[300] = "", text[1000];
	bool is_socket = strcmp(row->option, "socket") == 0;

	if (row->value != NULL)
		snprintf(option, sizeof(option), "%s = %s", row->option, row->value);
	snprintf(text, sizeof(text),
		 "defaults {\n%s\n}\nservice s {\n%s\n%s\n%s\n%s\n%s\n}\n",
		 in_defaults ? option : "", in_defaults ? "" : option,
		 is_socket ? "" : "socket = /tmp/s", is_socket ? "allow = { any }" : "",
		 strcmp(row->option, "handler") != 0 ? "handler = { /bin/true }" : "",
		 geteuid() == 0 && strcmp(row->option, "user") != 0 ? "user = root" : "");
	return load_text(text, faults);
}

static bool is_own(const char *name)
{
	const struct option_row *row = service_options;

	while (row->name != NULL && strcmp(row->name, name) != 0)
		row++;
	return (row->flags & OPTION_OWN) != 0;
}

static void try_row(const struct row *row, bool in_defaults)
{
	struct faults faults;
	const struct config *c = parse(row, in_defaults, &faults);
	const char *what = shown(faults.text);
	size_t count = faults.errors + faults.problems;

	check((count == 0) == (row->shown != NULL), "%s = %s: %s", row->option,
	      shown(row->value), what);
	if (count == 0) {
		const char *value = show(&c->services[0], row->option);

		check(same(value, row->shown), "%s = %s: %s", row->option,
		      shown(row->value), value);
	} else {
		/* one fault; but a socket or handler that is refused may be missed as well, and
		 * an ordinary user may have no other user or group */
		check(strstr(what, row->error) != NULL, "%s = %s: %s", row->option,
		      row->value, what);
		check(count == 1 || geteuid() != 0 || is_own(row->option), "%s = %s: %s",
		      row->option, row->value, what);
	}
	faults_free(&faults);
}

static void test_values(void **state)
{
	(void)state;
	setenv("TEST_A", "x y", 1);
	setenv("TEST_B", "", 1);
	unsetenv("TEST_NONE");
	for (size_t i = 0; i < COUNT(rows); i++)
		if (!rows[i].root_only || geteuid() == 0)
			try_row(&rows[i], false);
}

static void test_defaults(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct row row = rows[i];

		if (row.root_only && geteuid() != 0)
			continue;
		if (is_own(row.option)) {
			row.shown = NULL;
			row.error = "is of one service only";
			if (row.value == NULL)
				continue;
		}
		try_row(&row, true);
	}
}

/* Every option has rows here, and a bad one. */
static void test_complete(void **state)
{
	(void)state;
	for (const struct option_row *t = service_options; t->name != NULL; t++) {
		size_t good = 0, bad = 0;

		for (size_t i = 0; i < COUNT(rows); i++) {
			bool its = strcmp(rows[i].option, t->name) == 0;

			good += its && rows[i].shown != NULL;
			bad += its && rows[i].shown == NULL;
		}
		check(good > 0 && bad > 0, "%s: %zu good rows, %zu bad ones", t->name,
		      good, bad);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
