/*
 * test_ask.c: records of an answer, and what is shown of them.
 */
#include "ctl/ask.h"

#include "lib/cases.h"
#include "ctl/display.h"

#include <stdio.h>
#include <stdlib.h>

/* The records of a text. */
static struct records parse(char *space, size_t size, const char *text)
{
	snprintf(space, size, "%s", text);
	return records_of(space);
}

static void test_values(void **state)
{
	static const struct {
		const char *line, *key, *value;
	} rows[] = {
		{"status service=a live=3\n", "live", "3"},
		{"status service=a live=3\n", "service", "a"},
		{"status service=a live=3\n", "dead", ""},
		{"status a=\"b c\" d=e\n", "a", "b c"},
		{"status a=\"b c\" d=e\n", "d", "e"},
		{"status a=\"\" d=e\n", "a", ""},
		{"status a= d=e\n", "d", "e"},
		{"status a=\"x=\\\"y\\\"\" d=e\n", "a", "x=\"y\""},
		{"status a=\"\\\\\" d=e\n", "a", "\\"},
		{"status a=\"\\x1b[2J\" d=e\n", "a", "\\x1b[2J"},
		{"status a=\"not ended\n", "a", "not ended"},
		{"status a=\"b\"c=d\n", "c", "d"},
		{"status nothing\n", "nothing", ""},
		{"status\n", "a", ""},
		{"status a\\=b\n", "a\\", "b"},
	};
	char space[256];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct records rs = parse(space, sizeof(space), rows[i].line);

		assert_int_equal(rs.count, 1);
		assert_string_equal(rs.list[0].verb, "status");
		check(same(record_get(&rs.list[0], rows[i].key), rows[i].value), "%s: %s",
		      rows[i].line, record_get(&rs.list[0], rows[i].key));
		free(rs.list);
	}
}

/* By service, what is said of it before its exits, connections by number. */
static void test_order(void **state)
{
	char space[512];
	struct records rs =
		parse(space, sizeof(space),
		      "status service=b\nexits service=b n=1\n\n"
		      "connection service=a conn=10\nconnection service=a conn=9\n"
		      "udsd version=1\nunfinished");
	static const char *const sorted[][2] = {{"udsd", ""},
						{"connection", "9"},
						{"connection", "10"},
						{"status", ""},
						{"exits", ""}};

	(void)state;
	assert_int_equal(rs.count, COUNT(sorted));
	assert_false(rs.whole);
	for (size_t i = 0; i < rs.count; i++) {
		assert_string_equal(rs.list[i].verb, sorted[i][0]);
		assert_string_equal(record_get(&rs.list[i], "conn"), sorted[i][1]);
	}
	free(rs.list);
}

/* More pairs than there is room for, and nothing at all. */
static void test_bounds(void **state)
{
	char text[2048] = "status", empty[] = "", end[] = "udsd a=b\nend\n";
	struct records rs;
	size_t len = strlen(text);

	(void)state;
	for (int i = 0; i < RECORD_PAIRS + 9; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, " k%d=%d", i, i);
	memcpy(text + len, "\n", 2);
	rs = records_of(text);
	assert_int_equal(rs.list[0].count, RECORD_PAIRS);
	assert_int_equal(record_number(&rs.list[0], "k63"), 63);
	free(rs.list);
	rs = records_of(empty);
	assert_true(rs.count == 0 && !rs.whole);
	free(rs.list);
	rs = records_of(end);
	assert_true(rs.count == 1 && rs.whole);
	assert_string_equal(rs.list[0].verb, "udsd");
	free(rs.list);
}

static void test_age(void **state)
{
	static const struct {
		double seconds;
		const char *text;
	} rows[] = {
		{0, "0s"},       {59.9, "59s"},     {60, "1m00s"},    {3599, "59m59s"},
		{3600, "1h00m"}, {86399, "23h59m"}, {86400, "1d00h"}, {1e7, "115d17h"},
		{-5, "0s"},      {1e300, "0s"},
	};
	char age[DISPLAY_AGE];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_string_equal(display_age(rows[i].seconds, age), rows[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_age),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
