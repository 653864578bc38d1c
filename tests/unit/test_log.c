/*
 * test_log.c: lines of the log: what they look like, where they are cut, and that none is lost
 * unseen.
 */
#include "common/log.h"

#include "lib/log_capture.h"
#include "lib/cases.h"
#include "lib/escaped_text.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

#define FULL (LOG_RECORD_MAX - 1) /* without the newline */

static void test_level_parse(void **state)
{
	static const struct {
		const char *name;
		int level;
	} rows[] = {
		{"error", LOG_ERR},     {"warning", LOG_WARNING},
		{"notice", LOG_NOTICE}, {"info", LOG_INFO},
		{"debug", LOG_DEBUG},   {"", -1},
		{"Error", -1},          {"err", -1},
		{"debug ", -1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		check(log_level_parse(rows[i].name) == rows[i].level, "\"%s\"",
		      rows[i].name);
}

/* A level and all above it. */
static void test_threshold(void **state)
{
	(void)state;
	for (int threshold = LOG_ERR; threshold <= LOG_DEBUG; threshold++) {
		capture_open(threshold, NULL);
		for (int level = LOG_ERR; level <= LOG_DEBUG; level++) {
			char expected[] = "0verb key=value";

			expected[0] = (char)('0' + level);
			log_event(level, "verb", "key", "value", NULL);
			assert_string_equal(capture_next(),
					    level <= threshold ? expected : "");
		}
		assert_int_equal(log_lost(), 0);
		capture_close();
	}
}

static void test_values(void **state)
{
	static const struct {
		const char *value, *shown;
	} rows[] = {
		{"", "\"\""},
		{"plain", "plain"},
		{"/a/b-c_d.e:f,g@h#1", "/a/b-c_d.e:f,g@h#1"},
		{"a b", "\"a b\""},
		{" ", "\" \""},
		{"a=b", "\"a=b\""},
		{"a\"b", "\"a\\\"b\""},
		{"a\\b", "\"a\\\\b\""},
		{"\\x41", "\"\\\\x41\""},
		{"a\nclose service=b", "\"a\\x0aclose service=b\""},
		{"\t\r\x1b[0m\x7f", "\"\\x09\\x0d\\x1b[0m\\x7f\""},
		{"\xc3\xa4", "\"\xc3\xa4\""},
		{"\xe2\x82\xac \xf0\x9f\x98\x80", "\"\xe2\x82\xac \xf0\x9f\x98\x80\""},
		{"a\xff"
		 "b",
		 "\"a\\xffb\""},
		{"\xc2\x9b"
		 "31m",
		 "\"\\xc2\\x9b31m\""},
	};

	(void)state;
	capture_open(LOG_INFO, NULL);
	for (size_t i = 0; i < COUNT(rows); i++) {
		char expected[200];

		snprintf(expected, sizeof(expected), "6verb key=%s end=1", rows[i].shown);
		log_event(LOG_INFO, "verb", "key", rows[i].value, "end", "1", NULL);
		assert_string_equal(capture_next(), expected);
	}
	capture_close();
}

static void test_numbers(void **state)
{
	static const struct {
		int64_t value;
		const char *number, *seconds;
	} rows[] = {
		{0, "0", "0.000"},
		{7, "7", "0.000"},
		{-7, "-7", NULL},
		{999999, "999999", "0.000"},
		{1000000, "1000000", "0.001"},
		{12999999, "12999999", "0.012"},
		{1234000000, "1234000000", "1.234"},
		{3600050000000, "3600050000000", "3600.050"},
		{INT64_MAX, "9223372036854775807", "9223372036.854"},
		{INT64_MIN, "-9223372036854775808", NULL},
	};

	(void)state;
	capture_open(LOG_INFO, NULL);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct log_line line;
		char expected[100];

		snprintf(expected, sizeof(expected), "6v n=%s s=%s", rows[i].number,
			 rows[i].seconds ? rows[i].seconds : "0.000");
		log_begin(&line, LOG_INFO, "v");
		log_num(&line, "n", rows[i].value);
		log_sec(&line, "s", rows[i].seconds ? rows[i].value : 0);
		log_end(&line);
		assert_string_equal(capture_next(), expected);
	}
	capture_close();
}

static void test_status(void **state)
{
	static const struct {
		int status;
		const char *shown;
	} rows[] = {
		{0, "exit:0"},
		{1 << 8, "exit:1"},
		{255 << 8, "exit:255"},
		{SIGTERM, "signal:TERM"},
		{SIGKILL, "signal:KILL"},
		{SIGSEGV | 0x80, "signal:SEGV"},
		{40, "signal:40"},
		{-1, "unknown"},
	};

	(void)state;
	capture_open(LOG_INFO, NULL);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct log_line line;
		char expected[64];

		snprintf(expected, sizeof(expected), "6v status=%s", rows[i].shown);
		log_begin(&line, LOG_INFO, "v");
		log_status(&line, rows[i].status);
		log_end(&line);
		assert_string_equal(capture_next(), expected);
	}
	capture_close();
}

/* A level that is not logged costs nothing, whatever is added. */
static void test_quiet(void **state)
{
	struct log_line line;

	(void)state;
	capture_open(LOG_WARNING, NULL);
	log_begin(&line, LOG_INFO, "verb");
	log_str(&line, "a", "b");
	log_bytes(&line, "a", "b", 1);
	log_num(&line, "a", 1);
	log_sec(&line, "a", 1);
	log_status(&line, 0);
	assert_int_equal(line.len, 0);
	log_end(&line);
	assert_string_equal(capture_next(), "");
	capture_close();
}

/* A line that is cut, wherever: never too long, no broken escape, the quote closed. */
static void test_cut(void **state)
{
	static const char *const units[] = {
		"\n", "\"", "\\", "\xe2\x82\xac", "\xff", "a b", "\xf0\x9f\x98\x80"};
	static char value[2 * FULL], back[2 * FULL];

	(void)state;
	for (size_t i = 0; i < COUNT(units); i++) {
		for (size_t k = 0; k + strlen(units[i]) < sizeof(value);
		     k += strlen(units[i]))
			memcpy(value + k, units[i], strlen(units[i]));
		for (size_t pad = 0; pad < 9; pad++) {
			struct log_line line;

			log_begin(&line, LOG_ERR, "verb");
			log_bytes(&line, "pad", "123456789", pad);
			log_bytes(&line, "text", value, FULL);
			assert_true(line.len > FULL - 5 && line.len <= FULL);
			assert_true(is_clean(line.text, line.len));
			for (size_t at = 0; at < line.len; at++) {
				if (strncmp(line.text + at, " text=\"", 7) != 0)
					continue;
				assert_int_equal(line.text[line.len - 1], '"');
				assert_true(unescape(line.text + at + 7,
						     line.len - at - 8, back) > 0);
				break;
			}
		}
	}
}

/* Any number of bytes left when something is added: never a byte beyond the line. */
static void test_full(void **state)
{
	static char value[FULL];

	(void)state;
	memset(value, 'v', sizeof(value));
	for (size_t left = 0; left < 40; left++) {
		struct {
			struct log_line line;
			char guard[64];
		} it;

		memset(it.guard, '#', sizeof(it.guard));
		log_begin(&it.line, LOG_ERR, "verb");
		log_bytes(&it.line, "k", value, FULL - 5 - 3 - left);
		assert_int_equal(it.line.len, FULL - left);
		log_str(&it.line, "key", "a\nb\"c");
		log_num(&it.line, "number", INT64_MIN);
		log_sec(&it.line, "seconds", 1);
		log_status(&it.line, 0);
		log_str(&it.line, "key", "\n");
		assert_int_equal(it.line.len, FULL);
		assert_true(is_clean(it.line.text, it.line.len));
		for (size_t i = 0; i < sizeof(it.guard); i++)
			assert_int_equal(it.guard[i], '#');
	}
}

/* Lines until the channel is full; how many it took. */
static unsigned fill_channel(void)
{
	unsigned n = 0;

	while (log_lost() == 0 && ++n < 1000000)
		log_event(LOG_INFO, "verb", NULL);
	assert_int_equal(log_lost(), 1);
	return n - 1;
}

/* Lost lines are counted, and reported before anything else is. */
static void test_lost(void **state)
{
	static const char *const owners[] = {NULL, "echo"};
	static const char *const reports[] = {"3drop lines=3",
					      "3drop service=echo lines=3"};

	(void)state;
	for (size_t i = 0; i < COUNT(owners); i++) {
		unsigned taken;

		capture_open(LOG_INFO, owners[i]);
		taken = fill_channel();
		assert_true(taken * sizeof("6verb") > 64 * 1024); /* it has grown */
		errno = EXDEV;
		log_event(LOG_INFO, "verb", NULL);
		assert_int_equal(errno, EXDEV);
		log_event(LOG_ERR, "verb", NULL);
		log_report_lost();
		log_event(LOG_DEBUG, "verb", NULL); /* not logged, not lost */
		assert_int_equal(log_lost(), 3);
		while (taken-- > 0)
			assert_string_equal(capture_next(), "6verb");
		assert_string_equal(capture_next(), "");
		if (i == 0)
			log_report_lost();
		log_event(LOG_INFO, "next", NULL);
		assert_int_equal(log_lost(), 0);
		assert_string_equal(capture_next(), reports[i]);
		assert_string_equal(capture_next(), "6next");
		log_report_lost();
		assert_string_equal(capture_next(), "");
		capture_close();
	}
}

/* No process reads any more. (All of udsd has SIGPIPE blocked.) */
static void test_broken(void **state)
{
	void (*saved)(int) = signal(SIGPIPE, SIG_IGN);

	(void)state;
	capture_open(LOG_INFO, NULL);
	close(capture_out);
	capture_out = -1;
	log_event(LOG_INFO, "verb", NULL);
	assert_int_equal(log_lost(), 1);
	signal(SIGPIPE, saved);
	capture_close();
	assert_int_equal(log_lost(), 0);
}

static void test_stderr(void **state)
{
	int fd[2], saved = dup(STDERR_FILENO);
	char text[64] = "";
	ssize_t n;

	(void)state;
	assert_int_equal(pipe(fd), 0);
	assert_int_equal(dup2(fd[1], STDERR_FILENO), STDERR_FILENO);
	log_open(-1, LOG_INFO, NULL);
	log_event(LOG_ERR, "verb", "a", "b\n", NULL);
	log_event(LOG_DEBUG, "verb", NULL);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fd[1]);
	n = read(fd[0], text, sizeof(text) - 1);
	close(fd[0]);
	assert_true(n > 0);
	assert_string_equal(text, "verb a=\"b\\x0a\"\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_level_parse), cmocka_unit_test(test_threshold),
		cmocka_unit_test(test_values),      cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_status),      cmocka_unit_test(test_quiet),
		cmocka_unit_test(test_cut),         cmocka_unit_test(test_full),
		cmocka_unit_test(test_lost),        cmocka_unit_test(test_broken),
		cmocka_unit_test(test_stderr),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
