/*
 * test_backoff.c: when to try again, and how often to say so.
 */
#include "common/backoff.h"

#include "lib/log_capture.h"
#include "lib/cases.h"
#include "common/clock.h"

#include <errno.h>

#define START (1000 * NSEC_PER_SEC)

static int set_up(void **state)
{
	(void)state;
	capture_open(LOG_INFO, NULL);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	capture_close();
	return 0;
}

/* Want of resources: a try each 100 ms, a line for each cause in 10 s. */
static void test_busy(void **state)
{
	static const struct {
		int64_t at; /* ms */
		const char *operation;
		int error;
		const char *line;
	} rows[] = {
		{0, "accept", EMFILE,
		 "4busy service=s step=accept error=\"Too many open files\""},
		{100, "accept", EMFILE, ""},
		{200, "accept", ENFILE,
		 "4busy service=s step=accept error=\"Too many open files in system\""},
		{300, "fork", EMFILE,
		 "4busy service=s step=fork error=\"Too many open files\""},
		{9999, "accept", EMFILE, ""},
		{10000, "accept", EMFILE,
		 "4busy service=s step=accept error=\"Too many open files\""},
		{10100, "accept", ENFILE, ""},
		{10200, "accept", ENFILE,
		 "4busy service=s step=accept error=\"Too many open files in system\""},
		{10300, "accept", EMFILE, ""},
		{19999, "accept", EMFILE, ""},
		{20000, "accept", EMFILE,
		 "4busy service=s step=accept error=\"Too many open files\""},
	};
	struct backoff o;

	(void)state;
	backoff_init(&o, "s");
	assert_int_equal(o.until, 0);
	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t now = START + rows[i].at * NSEC_PER_MSEC;

		backoff_busy(&o, failure_of(rows[i].operation, rows[i].error), now);
		assert_string_equal(capture_next(), rows[i].line);
		assert_int_equal(o.until, now + 100 * NSEC_PER_MSEC);
		assert_int_equal(o.delay, 0);
	}
}

/* More causes than are remembered: the one logged first makes room. */
static void test_many_causes(void **state)
{
	struct backoff o;

	(void)state;
	backoff_init(&o, "s");
	for (int i = 0; i < BACKOFF_CAUSES; i++) {
		backoff_busy(&o, failure_of("x", EPERM + i), START + i);
		assert_string_not_equal(capture_next(), "");
	}
	for (int i = 0; i < BACKOFF_CAUSES; i++) {
		backoff_busy(&o, failure_of("x", EPERM + i), START + 50);
		assert_string_equal(capture_next(), "");
	}
	backoff_busy(&o, failure_of("x", EPERM + BACKOFF_CAUSES), START + 51);
	assert_string_not_equal(capture_next(), "");
	backoff_busy(&o, failure_of("x", EPERM + 1), START + 52);
	assert_string_equal(capture_next(), "");
	backoff_busy(&o, failure_of("x", EPERM), START + 53);
	assert_string_not_equal(capture_next(), "");
}

/* Lasting faults: 100 ms, doubling to 30 s, until one try succeeds. */
static void test_back_off(void **state)
{
	static const int64_t delays[] = {100,  200,   400,   800,   1600,  3200,
					 6400, 12800, 25600, 30000, 30000, 30000};
	struct backoff o;

	(void)state;
	backoff_init(&o, "s");
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < COUNT(delays); i++) {
			backoff_extend(&o, START);
			assert_int_equal(o.delay, delays[i] * NSEC_PER_MSEC);
			assert_int_equal(o.until, START + delays[i] * NSEC_PER_MSEC);
		}
		backoff_over(&o);
	}
	assert_string_equal(capture_next(), "");
}

static void test_failed(void **state)
{
	static const struct {
		const char *path;
		uint64_t id;
		const char *operation;
		int error;
		const char *line;
	} rows[] = {
		{"/no/such", 17, "execute", ENOENT,
		 "3fail service=s conn=17 handler=/no/such step=execute "
		 "error=\"No such file or directory\" retry=0.100"},
		{"/", 18, "execute", ENOENT,
		 "3fail service=s conn=18 handler=/ step=execute "
		 "error=\"its interpreter does not exist\" retry=0.200"},
		{"/", 19, "execute", EACCES,
		 "3fail service=s conn=19 handler=/ step=execute error=\"Permission denied\" retry=0.400"},
		{"/x", 20, "stderr", ENOENT,
		 "3fail service=s conn=20 stderr=/x step=stderr "
		 "error=\"No such file or directory\" retry=0.800"},
		{"/", 21, "directory", ENOENT,
		 "3fail service=s conn=21 handler=/ step=directory "
		 "error=\"No such file or directory\" retry=1.600"},
		{"/", 0, "bind", ENOENT,
		 "3fail service=s socket=/ step=bind error=\"No such file or directory\" retry=3.200"},
		{"@a b", 0, "bind", EADDRINUSE,
		 "3fail service=s socket=\"@a b\" step=bind error=\"Address already in use\" retry=6.400"},
	};
	struct backoff o;

	(void)state;
	backoff_init(&o, "s");
	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t until = o.until;

		backoff_failed(&o, rows[i].path, rows[i].id,
			       failure_of(rows[i].operation, rows[i].error), until);
		assert_string_equal(capture_next(), rows[i].line);
		assert_int_equal(o.until, until + o.delay);
	}
}

/* Those that were started together wait no longer than the first that failed; after lack
 * of resources the first one does wait. */
static void test_failed_together(void **state)
{
	struct backoff o;

	(void)state;
	backoff_init(&o, "s");
	backoff_busy(&o, failure_of("spawn", EAGAIN), START);
	(void)capture_next();
	for (int i = 0; i < 3; i++) {
		backoff_failed(&o, "/no/such", 17, failure_of("execute", ENOENT),
			       START + i * NSEC_PER_MSEC);
		assert_string_equal(
			capture_next(),
			"3fail service=s conn=17 handler=/no/such step=execute "
			"error=\"No such file or directory\" retry=0.100");
		assert_int_equal(o.until, START + 100 * NSEC_PER_MSEC);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_busy),   TEST(test_many_causes),     TEST(test_back_off),
		TEST(test_failed), TEST(test_failed_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
