/*
 * test_escape.c: nothing in a line of the log can be forged.
 */
#include "common/log.h"

#include "lib/log_capture.h"
#include "lib/cases.h"
#include "lib/escaped_text.h"

#include <stdio.h>

static const struct {
	const char *bytes, *escaped;
} kinds[] = {
	{"\x80", "\\x80"},
	{"\xbf", "\\xbf"},
	{"\xc0\x80", "\\xc0\\x80"},
	{"\xc1\xbf", "\\xc1\\xbf"},
	{"\xc2", "\\xc2"},
	{"\xc2"
	 "a",
	 "\\xc2a"},
	{"\xc2\x80", "\\xc2\\x80"},
	{"\xc2\x9f", "\\xc2\\x9f"},
	{"\xc2\xa0", "\xc2\xa0"},
	{"\xc2\xc3\xa4", "\\xc2\xc3\xa4"},
	{"\xc3\x80", "\xc3\x80"},
	{"\xdf\xbf", "\xdf\xbf"},
	{"\xe0\x80\xaf", "\\xe0\\x80\\xaf"},
	{"\xe0\x9f\xbf", "\\xe0\\x9f\\xbf"},
	{"\xe0\xa0\x80", "\xe0\xa0\x80"},
	{"\xe2\x82", "\\xe2\\x82"},
	{"\xe2\x82"
	 "a",
	 "\\xe2\\x82a"},
	{"\xe2\x28\xa1", "\\xe2(\\xa1"},
	{"\xed\x9f\xbf", "\xed\x9f\xbf"},
	{"\xed\xa0\x80", "\\xed\\xa0\\x80"},
	{"\xed\xbf\xbf", "\\xed\\xbf\\xbf"},
	{"\xee\x80\x80", "\xee\x80\x80"},
	{"\xef\xbf\xbf", "\xef\xbf\xbf"},
	{"\xf0\x8f\xbf\xbf", "\\xf0\\x8f\\xbf\\xbf"},
	{"\xf0\x90\x80\x80", "\xf0\x90\x80\x80"},
	{"\xf0\x9f\x98", "\\xf0\\x9f\\x98"},
	{"\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"},
	{"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},
	{"\xf5\x80\x80\x80", "\\xf5\\x80\\x80\\x80"},
	{"\xf8\x88\x80\x80\x80", "\\xf8\\x88\\x80\\x80\\x80"},
	{"\xfe", "\\xfe"},
	{"\xff", "\\xff"},
};

/* The kinds of what is not UTF-8, and the characters next to them that are. */
static void test_utf8(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(kinds); i++) {
		char to[64] = "";

		log_escape(to, sizeof(to) - 1, kinds[i].bytes, strlen(kinds[i].bytes), 0);
		check(same(to, kinds[i].escaped), "%s: %s", kinds[i].escaped, to);
	}
}

static void test_every_byte(void **state)
{
	(void)state;
	for (int quoted = 0; quoted < 2; quoted++) {
		for (int b = 0; b < 256; b++) {
			char from = (char)b, to[8] = "", expected[8] = "";

			if (b < 0x20 || b >= 0x7f)
				snprintf(expected, sizeof(expected), "\\x%02x",
					 (unsigned)b);
			else if (quoted && (b == '"' || b == '\\'))
				snprintf(expected, sizeof(expected), "\\%c", b);
			else
				expected[0] = from;
			assert_int_equal(log_escape(to, sizeof(to), &from, 1, quoted),
					 strlen(expected));
			assert_string_equal(to, expected);
		}
	}
}

/* The same numbers each time: a failure comes again. */
static size_t next_number(size_t below)
{
	static uint64_t x = 4242;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (size_t)(x >> 8) % below;
}

/* Bytes of which many are controls, quotes, backslashes and parts of UTF-8. */
static size_t make_hostile(char *to, size_t max)
{
	static const char some[] =
		"\"\\\n\x1b\x7f\x80\x9b\xc2\xe2\x82\xac\xed\xa0\xf0\x9f\x98\x80\xff=x ";
	size_t len = next_number(max);

	for (size_t i = 0; i < len; i++)
		to[i] = next_number(2) ? some[next_number(sizeof(some))]
				       : (char)next_number(256);
	return len;
}

static void test_hostile(void **state)
{
	static char from[1024], to[8 * 1024], back[8 * 1024];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		size_t len = make_hostile(from, sizeof(from));
		size_t size = log_escape(to, sizeof(to), from, len, 1);

		assert_true(is_clean(to, size));
		assert_int_equal(unescape(to, size, back), len);
		assert_memory_equal(back, from, len);
		size = log_escape(to, sizeof(to), from, len, 0);
		assert_true(is_clean(to, size));
	}
}

/* As values of lines that are sent, some in a line. */
static void test_a_million_through_the_log(void **state)
{
	static char from[64];
	unsigned long strings = 0, bytes = 0;

	(void)state;
	capture_open(LOG_INFO, NULL);
	while (strings < 1000000) {
		struct log_line line;
		const char *record;
		size_t len;

		log_begin(&line, LOG_INFO, "test");
		for (int i = 0; i < 8; i++, strings++) {
			len = make_hostile(from, sizeof(from));
			bytes += len;
			log_bytes(&line, "key", from, len);
		}
		log_end(&line);
		record = capture_next();
		len = strlen(record);
		assert_true(len > 1 && is_clean(record + 1, len - 1));
	}
	assert_int_equal(log_lost(), 0);
	capture_close();
	printf("# %lu hostile strings of %lu bytes: no control byte came out\n", strings,
	       bytes);
}

/* What does not fit is left out whole: no escape and no character is cut, no byte is beyond. */
static void test_escape_room(void **state)
{
	static const char from[] = "a\n\"\\\xe2\x82\xac\xff\xf0\x9f\x98\x80";
	static const char whole[] = "a\\x0a\\\"\\\\\xe2\x82\xac\\xff\xf0\x9f\x98\x80";
	static const size_t ends[] = {0, 1, 5, 7, 9, 12, 16, 20};

	(void)state;
	for (size_t size = 0; size < 24; size++) {
		char to[32];
		size_t end = 0;

		for (size_t i = 0; i < COUNT(ends); i++)
			if (ends[i] <= size)
				end = ends[i];
		memset(to, '#', sizeof(to));
		assert_int_equal(log_escape(to, size, from, sizeof(from) - 1, 1), end);
		assert_memory_equal(to, whole, end);
		for (size_t i = size; i < sizeof(to); i++)
			assert_int_equal(to[i], '#');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_a_million_through_the_log),
		cmocka_unit_test(test_escape_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
