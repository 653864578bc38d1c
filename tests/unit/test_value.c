/*
 * test_value.c: how single values of the config are written.
 */
#include "config/value.h"

#include "lib/cases.h"
#include "common/clock.h"

#include <syslog.h>

#define MSEC NSEC_PER_MSEC
#define SEC NSEC_PER_SEC

static void test_bool(void **state)
{
	static const struct {
		const char *text;
		int value; /* -1: refused */
	} rows[] = {
		{"true", 1},   {"yes", 1},   {"on", 1},     {"TRUE", 1},
		{"Yes", 1},    {"false", 0}, {"no", 0},     {"off", 0},
		{"OFF", 0},    {"", -1},     {"1", -1},     {"0", -1},
		{"truee", -1}, {"tru", -1},  {" true", -1}, {"none", -1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		bool value = rows[i].value != 1;
		const char *error = value_bool(rows[i].text, &value);

		check(same_error(error, rows[i].value < 0 ? "true or false" : NULL),
		      "\"%s\": %s", rows[i].text, shown(error));
		check(error != NULL || value == (rows[i].value == 1), "\"%s\"",
		      rows[i].text);
	}
}

static void test_number(void **state)
{
	static const struct {
		const char *text;
		int64_t low, high, value;
		const char *error;
	} rows[] = {
		{"0", 0, 9, 0, NULL},
		{"9", 0, 9, 9, NULL},
		{"10", 0, 9, 0, "too large"},
		{"-1", 0, 9, 0, "too small"},
		{"-20", -20, 19, -20, NULL},
		{"-21", -20, 19, 0, "too small"},
		{"007", 0, 9, 7, NULL},
		{"-0", 0, 9, 0, NULL},
		{"4611686018427387903", 0, INT64_MAX, 4611686018427387903, NULL},
		{"4611686018427387904", 0, INT64_MAX, 0, "must be a number"},
		{"99999999999999999999", 0, INT64_MAX, 0, "must be a number"},
		{"-99999999999999999999", INT64_MIN, 9, 0, "must be a number"},
		{"", 0, 9, 0, "must be a number"},
		{"-", -9, 9, 0, "must be a number"},
		{"--1", -9, 9, 0, "must be a number"},
		{"+1", 0, 9, 0, "must be a number"},
		{" 1", 0, 9, 0, "must be a number"},
		{"1 ", 0, 9, 0, "must be a number"},
		{"1x", 0, 9, 0, "must be a number"},
		{"0x1", 0, 9, 0, "must be a number"},
		{"one", 0, 9, 0, "must be a number"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t value = -77;
		const char *error =
			value_number(rows[i].text, rows[i].low, rows[i].high, &value);

		check(same_error(error, rows[i].error), "\"%s\": %s", rows[i].text,
		      shown(error));
		check(value == (error == NULL ? rows[i].value : -77), "\"%s\"",
		      rows[i].text);
	}
}

static void test_duration(void **state)
{
	static const struct {
		const char *text;
		int64_t value;
		const char *error;
	} rows[] = {
		{"0", 0, NULL},
		{"1", SEC, NULL},
		{"10s", 10 * SEC, NULL},
		{"250ms", 250 * MSEC, NULL},
		{"5m", 300 * SEC, NULL},
		{"2h", 7200 * SEC, NULL},
		{"8784h", 8784 * 3600 * SEC, NULL},
		{"8785h", 0, "longer than a year"},
		{"31622400", 31622400 * SEC, NULL},
		{"31622401", 0, "longer than a year"},
		{"31622400000ms", 31622400 * SEC, NULL},
		{"31622400001ms", 0, "longer than a year"},
		{"4611686018427387903h", 0, "longer than a year"},
		{"4611686018427387904", 0, "must be a duration"},
		{"", 0, "must be a duration"},
		{"s", 0, "must be a duration"},
		{"-1s", 0, "must be a duration"},
		{"+1s", 0, "must be a duration"},
		{"1.5s", 0, "must be a duration"},
		{"1 s", 0, "must be a duration"},
		{"1S", 0, "must be a duration"},
		{"1sec", 0, "must be a duration"},
		{"1d", 0, "must be a duration"},
		{"1us", 0, "must be a duration"},
		{"infinity", 0, "must be a duration"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t value = -77;
		const char *error = value_duration(rows[i].text, &value);

		check(same_error(error, rows[i].error), "\"%s\": %s", rows[i].text,
		      shown(error));
		check(error != NULL || value == rows[i].value, "\"%s\"", rows[i].text);
	}
}

static void test_mode(void **state)
{
	static const struct {
		const char *text;
		mode_t value;
		const char *error;
	} rows[] = {
		{"0660", 0660, NULL},
		{"660", 0660, NULL},
		{"0", 0, NULL},
		{"7", 07, NULL},
		{"022", 022, NULL},
		{"0777", 0777, NULL},
		{"1000", 0, "up to 0777"},
		{"4755", 0, "up to 0777"},
		{"0778", 0, "up to 0777"},
		{"8", 0, "up to 0777"},
		{"0-1", 0, "up to 0777"},
		{"0x1f", 0, "up to 0777"},
		{"0 77", 0, "up to 0777"},
		{"", 0, "up to 0777"},
		{" 0660", 0, "up to 0777"},
		{"0660 ", 0, "up to 0777"},
		{"-0660", 0, "up to 0777"},
		{"-1", 0, "up to 0777"},
		{"+7", 0, "up to 0777"},
		{"77777777777777777777777", 0, "up to 0777"},
		{"u=rw", 0, "up to 0777"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		mode_t value = 07777;
		const char *error = value_mode(rows[i].text, &value);

		check(same_error(error, rows[i].error), "\"%s\": %s", rows[i].text,
		      shown(error));
		check(value == (error == NULL ? rows[i].value : 07777), "\"%s\"",
		      rows[i].text);
	}
}

static void test_size(void **state)
{
	static const struct {
		const char *text;
		rlim_t value;
		const char *error;
	} rows[] = {
		{"0", 0, NULL},
		{"100", 100, NULL},
		{"64K", 65536, NULL},
		{"10M", 10485760, NULL},
		{"2G", 2147483648, NULL},
		{"infinity", RLIM_INFINITY, NULL},
		{"8589934591G", (rlim_t)8589934591 << 30, NULL},
		{"8589934592G", 0, "too large"},
		{"4611686018427387904", 0, "must be a number, a size"},
		{"", 0, "must be a number, a size"},
		{"K", 0, "must be a number, a size"},
		{"-1", 0, "must be a number, a size"},
		{"1k", 0, "must be a number, a size"},
		{"1KB", 0, "must be a number, a size"},
		{"1T", 0, "must be a number, a size"},
		{"1 K", 0, "must be a number, a size"},
		{"Infinity", 0, "must be a number, a size"},
		{"unlimited", 0, "must be a number, a size"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		rlim_t value = 77;
		const char *error = value_size(rows[i].text, &value);

		check(same_error(error, rows[i].error), "\"%s\": %s", rows[i].text,
		      shown(error));
		check(value == (error == NULL ? rows[i].value : 77), "\"%s\"",
		      rows[i].text);
	}
}

static void test_rate(void **state)
{
	static const struct {
		const char *text;
		uint32_t count; /* 0: refused */
		int64_t period;
	} rows[] = {
		{"100/10s", 100, 10 * SEC},
		{"1/1", 1, SEC},
		{"1000000/1h", 1000000, 3600 * SEC},
		{"5/1ms", 5, MSEC},
		{"0/10s", 0, 0},
		{"1000001/10s", 0, 0},
		{"100/0", 0, 0},
		{"100/0ms", 0, 0},
		{"100", 0, 0},
		{"100/", 0, 0},
		{"/10s", 0, 0},
		{"100 / 10s", 0, 0},
		{"-1/10s", 0, 0},
		{"100/10s/1s", 0, 0},
		{"", 0, 0},
		{"100/-1s", 0, 0},
		{"1e3/10s", 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint32_t count = 0;
		int64_t period = 0;
		const char *error = value_rate(rows[i].text, &count, &period);
		const char *expected = rows[i].count == 0 ? "100/10s" : NULL;

		check(same_error(error, expected), "\"%s\": %s", rows[i].text,
		      shown(error));
		check(count == rows[i].count, "\"%s\": %u", rows[i].text, count);
		check(error != NULL || period == rows[i].period, "\"%s\"", rows[i].text);
	}
}

static void test_facility(void **state)
{
	static const struct {
		const char *text;
		int value; /* -1: refused */
	} rows[] = {
		{"auth", LOG_AUTH},     {"authpriv", LOG_AUTHPRIV},
		{"cron", LOG_CRON},     {"daemon", LOG_DAEMON},
		{"ftp", LOG_FTP},       {"kern", LOG_KERN},
		{"lpr", LOG_LPR},       {"mail", LOG_MAIL},
		{"news", LOG_NEWS},     {"user", LOG_USER},
		{"uucp", LOG_UUCP},     {"local0", LOG_LOCAL0},
		{"local1", LOG_LOCAL1}, {"local2", LOG_LOCAL2},
		{"local3", LOG_LOCAL3}, {"local4", LOG_LOCAL4},
		{"local5", LOG_LOCAL5}, {"local6", LOG_LOCAL6},
		{"local7", LOG_LOCAL7}, {"local8", -1},
		{"Daemon", -1},         {"", -1},
		{"daemo", -1},          {"daemon ", -1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int value = -1;
		const char *error = value_facility(rows[i].text, &value);

		check(same_error(error, rows[i].value < 0 ? "must be a facility" : NULL),
		      "\"%s\": %s", rows[i].text, shown(error));
		check(value == rows[i].value, "\"%s\": %d", rows[i].text, value);
	}
}

static void test_variable(void **state)
{
	static const struct {
		const char *text;
		bool is_name, is_pair;
	} rows[] = {
		{"A", true, false},           {"_a9", true, false},
		{"Az_Z", true, false},        {"A=", false, true},
		{"A=b", false, true},         {"_a9=b=c d", false, true},
		{"LC_ALL=C", false, true},    {"9A", false, false},
		{"9A=b", false, false},       {"", false, false},
		{"=", false, false},          {"=b", false, false},
		{"A B=c", false, false},      {"A-B", false, false},
		{"A.B=c", false, false},      {" A=b", false, false},
		{"\xc3\xa4=b", false, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *name = value_variable(rows[i].text, true);
		const char *pair = value_variable(rows[i].text, false);

		check(same_error(name, rows[i].is_name
					       ? NULL
					       : "must be the name of a variable"),
		      "\"%s\": %s", rows[i].text, shown(name));
		check(same_error(pair, rows[i].is_pair ? NULL : "must be NAME=value"),
		      "\"%s\": %s", rows[i].text, shown(pair));
	}
}

static void test_path_and_socket(void **state)
{
	static const struct {
		const char *text, *path, *socket; /* what is wrong with it as either */
	} rows[] = {
		{"/a", NULL, NULL},
		{"/a/b c", NULL, NULL},
		{"/\xc3\xa4", NULL, NULL},
		{"/", NULL, "no name"},
		{"/a/", NULL, "no name"},
		{"@a", "absolute", NULL},
		{"@/a/", "absolute", NULL},
		{"@", "absolute", "no name"},
		{"", "absolute", "absolute path, or @"},
		{"a", "absolute", "absolute path, or @"},
		{"./a", "absolute", "absolute path, or @"},
		{"/a\n", "control", "control"},
		{"/\x01", "control", "control"},
		{"/a\x1f", "control", "control"},
		{"/a\x7f", "control", "control"},
		{"@a\tb", "absolute", "control"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *path = value_path(rows[i].text);
		const char *socket = value_socket(rows[i].text);

		check(same_error(path, rows[i].path), "\"%s\": %s", rows[i].text,
		      shown(path));
		check(same_error(socket, rows[i].socket), "\"%s\": %s", rows[i].text,
		      shown(socket));
	}
}

static void test_socket_length(void **state)
{
	char text[200];

	(void)state;
	memset(text, 'a', sizeof(text));
	for (int first = 0; first < 2; first++) {
		text[0] = "/@"[first];
		text[107] = '\0';
		assert_null(value_socket(text));
		text[107] = 'a';
		text[108] = '\0';
		assert_non_null(strstr(value_socket(text), "too long"));
		assert_true(first == 1 || value_path(text) == NULL);
		text[108] = 'a';
	}
}

static void test_service_name(void **state)
{
	static const char *const good[] = {"a", "echo", "A-b_c.d@e", "0", "9lives", "."};
	static const char *const bad[] = {"",         " ",   "a b", "a/b", "a\n",
					  "\xc3\xa4", "a=b", "a\"", "a:"};
	char text[66];

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		check(value_service_name(good[i]) == NULL, "\"%s\"", good[i]);
	for (size_t i = 0; i < COUNT(bad); i++)
		check(value_service_name(bad[i]) != NULL, "\"%s\"", bad[i]);
	memset(text, 'a', sizeof(text));
	text[65] = '\0';
	assert_non_null(value_service_name(text));
	text[64] = '\0';
	assert_null(value_service_name(text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bool),
		cmocka_unit_test(test_number),
		cmocka_unit_test(test_duration),
		cmocka_unit_test(test_mode),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_facility),
		cmocka_unit_test(test_variable),
		cmocka_unit_test(test_path_and_socket),
		cmocka_unit_test(test_socket_length),
		cmocka_unit_test(test_service_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
