/*
 * test_userlimit.c: what one user may have: exact to the nanosecond, and in bounded
 * memory.
 */
#include "worker/userlimit.h"

#include "lib/cases.h"
#include "common/clock.h"

#include <malloc.h>

#define START (1000 * NSEC_PER_SEC)
#define SPARE 1024 /* users that are remembered besides the live ones */

static struct userlimit *limit_of(uint32_t per_user, uint32_t burst, int64_t period,
				  uint32_t live)
{
	const struct userlimit_rule rule = {per_user, burst, period};
	struct userlimit *l = userlimit_new(&rule, live);

	assert_non_null(l);
	return l;
}

/* 5 connections in 10 s: a token every 2 s. */
static void test_rate(void **state)
{
	static const struct {
		int64_t at;
		uid_t uid;
		unsigned asked, granted;
	} rows[] = {
		{0, 7, 6, 5},
		{0, 8, 4, 4},
		{2 * NSEC_PER_SEC - 1, 7, 1, 0},
		{2 * NSEC_PER_SEC, 7, 2, 1},
		{4 * NSEC_PER_SEC - 1, 7, 1, 0},
		{7 * NSEC_PER_SEC, 7, 3, 2}, /* of 2 and a half */
		{8 * NSEC_PER_SEC - 1, 7, 1, 0},
		{8 * NSEC_PER_SEC, 7, 2, 1},
		{9 * NSEC_PER_SEC, 8, 9,
		 5}, /* 4 were taken, 4 are back, and no more than 5 */
		{100 * NSEC_PER_SEC, 7, 9, 5},
		{100 * NSEC_PER_SEC, 9, 9, 5},
	};
	struct userlimit *l = limit_of(0, 5, 10 * NSEC_PER_SEC, 64);

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		unsigned granted = 0;

		for (unsigned n = 0; n < rows[i].asked; n++) {
			enum userlimit_verdict verdict =
				userlimit_take(l, rows[i].uid, START + rows[i].at);

			granted += verdict == USERLIMIT_OK;
			assert_true(verdict == USERLIMIT_OK || verdict == USERLIMIT_RATE);
		}
		check(granted == rows[i].granted, "row %zu: %u", i, granted);
	}
	userlimit_free(l);
}

/* Who asks all the time gets the burst and then exactly the rate. */
static void test_steady_rate(void **state)
{
	static const struct {
		uint32_t burst;
		int64_t period;
		unsigned granted; /* in 100 s from the first */
	} rows[] = {
		{1, NSEC_PER_SEC, 101},         {10, 10 * NSEC_PER_SEC, 110},
		{100, 10 * NSEC_PER_SEC, 1100}, {3, NSEC_PER_SEC, 303},
		{1, 3600 * NSEC_PER_SEC, 1},    {1000000, 3600 * NSEC_PER_SEC, 100001},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct userlimit *l = limit_of(0, rows[i].burst, rows[i].period, 64);
		unsigned granted = 0;

		for (int64_t t = 0; t <= 100 * NSEC_PER_SEC; t += NSEC_PER_MSEC)
			granted += userlimit_take(l, 7, START + t) == USERLIMIT_OK;
		check(granted == rows[i].granted, "%u/%jd: %u", rows[i].burst,
		      (intmax_t)rows[i].period, granted);
		userlimit_free(l);
	}
}

enum act { TAKE, GIVE, HOLD };

/* 2 live connections for each user. */
static void test_live(void **state)
{
	static const struct {
		enum act act;
		uid_t uid;
		enum userlimit_verdict verdict; /* of TAKE */
	} rows[] = {
		{TAKE, 7, USERLIMIT_OK},
		{TAKE, 7, USERLIMIT_OK},
		{TAKE, 7, USERLIMIT_USER},
		{TAKE, 0, USERLIMIT_OK},
		{GIVE, 7, 0},
		{TAKE, 7, USERLIMIT_OK},
		{TAKE, 7, USERLIMIT_USER},
		{HOLD, 8, 0},
		{TAKE, 8, USERLIMIT_OK},
		{TAKE, 8, USERLIMIT_USER},
		{HOLD, 8, 0},
		{GIVE, 8, 0},
		{TAKE, 8, USERLIMIT_USER},
		{GIVE, 8, 0},
		{TAKE, 8, USERLIMIT_OK},
		{GIVE, 9, 0},
		{TAKE, 9, USERLIMIT_OK},
		{TAKE, 9, USERLIMIT_OK},
		{TAKE, 9, USERLIMIT_USER},
	};
	struct userlimit *l = limit_of(2, 0, 0, 64);

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (rows[i].act == GIVE)
			userlimit_give(l, rows[i].uid);
		else if (rows[i].act == HOLD)
			userlimit_hold(l, rows[i].uid);
		else
			check(userlimit_take(l, rows[i].uid, START) == rows[i].verdict,
			      "row %zu", i);
	}
	assert_int_equal(userlimit_full_at(l), 0);
	userlimit_free(l);
}

/* A user with too many live connections loses no token, and one without a token counts as
 * none live. */
static void test_both(void **state)
{
	struct userlimit *l = limit_of(1, 2, 2 * NSEC_PER_SEC, 64);

	(void)state;
	assert_int_equal(userlimit_take(l, 7, START), USERLIMIT_OK);
	for (int i = 0; i < 5; i++)
		assert_int_equal(userlimit_take(l, 7, START), USERLIMIT_USER);
	userlimit_give(l, 7);
	assert_int_equal(userlimit_take(l, 7, START), USERLIMIT_OK);
	userlimit_give(l, 7);
	for (int i = 0; i < 5; i++)
		assert_int_equal(userlimit_take(l, 7, START), USERLIMIT_RATE);
	assert_int_equal(userlimit_take(l, 7, START + NSEC_PER_SEC), USERLIMIT_OK);
	assert_int_equal(userlimit_take(l, 7, START + NSEC_PER_SEC), USERLIMIT_USER);
	userlimit_free(l);
}

static void test_no_limit(void **state)
{
	struct userlimit *l = limit_of(0, 0, 0, 1);

	(void)state;
	for (int i = 0; i < 10000; i++)
		assert_int_equal(userlimit_take(l, 7, START), USERLIMIT_OK);
	userlimit_free(l);
	userlimit_free(NULL);
}

/* The latest of all buckets. */
static void test_full_at(void **state)
{
	static const struct {
		uid_t uid;
		int64_t at, full_at;
	} rows[] = {
		{7, 0, 1000},    {7, 0, 2000},    {8, 500, 2000},  {8, 1500, 2500},
		{7, 2100, 3100}, {8, 2200, 3500}, {9, 2200, 3500}, {9, 90000, 91000},
	};
	struct userlimit *l = limit_of(0, 10, 10 * NSEC_PER_SEC, 64);

	(void)state;
	assert_int_equal(userlimit_full_at(l), 0);
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(userlimit_take(l, rows[i].uid,
						START + rows[i].at * NSEC_PER_MSEC),
				 USERLIMIT_OK);
		check(userlimit_full_at(l) == START + rows[i].full_at * NSEC_PER_MSEC,
		      "row %zu", i);
	}
	userlimit_free(l);
}

/* 100,000 users, one after the other, take no more memory than was there at the start;
 * live ones are not forgotten, nor are those that came last. */
static void test_many_users(void **state)
{
	struct userlimit *l = limit_of(1, 1, 3600 * NSEC_PER_SEC, 64);
	size_t used = mallinfo2().uordblks;

	(void)state;
	assert_int_equal(userlimit_take(l, 1, START), USERLIMIT_OK);
	for (uid_t uid = 1000; uid < 101000; uid++) {
		assert_int_equal(userlimit_take(l, uid, START), USERLIMIT_OK);
		userlimit_give(l, uid);
		assert_int_equal(userlimit_take(l, uid, START), USERLIMIT_RATE);
	}
	assert_int_equal(mallinfo2().uordblks, used);
	assert_int_equal(userlimit_take(l, 1, START), USERLIMIT_USER);
	for (uid_t uid = 101000 - SPARE; uid < 101000; uid++)
		check(userlimit_take(l, uid, START) == USERLIMIT_RATE, "uid %u", uid);
	assert_int_equal(userlimit_take(l, 1000, START),
			 USERLIMIT_OK); /* forgotten long ago */
	userlimit_free(l);
}

/* Who was seen again is not the one unseen for longest. */
static void test_forgotten(void **state)
{
	struct userlimit *l = limit_of(0, 1, 3600 * NSEC_PER_SEC, 0);

	(void)state;
	for (uid_t uid = 0; uid < SPARE; uid++) {
		assert_int_equal(userlimit_take(l, uid, START), USERLIMIT_OK);
		userlimit_give(l, uid);
	}
	assert_int_equal(userlimit_take(l, 0, START), USERLIMIT_RATE);
	assert_int_equal(userlimit_take(l, SPARE, START),
			 USERLIMIT_OK); /* in the place of uid 1 */
	assert_int_equal(userlimit_take(l, 0, START), USERLIMIT_RATE);
	assert_int_equal(userlimit_take(l, 2, START), USERLIMIT_RATE);
	assert_int_equal(userlimit_take(l, 1, START), USERLIMIT_OK);
	userlimit_free(l);
}

/* More live users than there may be connections: another process allowed them. */
static void test_all_live(void **state)
{
	struct userlimit *l = limit_of(0, 0, 0, 0);

	(void)state;
	for (uid_t uid = 0; uid < SPARE; uid++)
		userlimit_hold(l, uid);
	assert_int_equal(userlimit_take(l, SPARE, START), USERLIMIT_USER);
	userlimit_hold(l, SPARE);
	userlimit_give(l, SPARE);
	assert_int_equal(userlimit_take(l, SPARE, START), USERLIMIT_USER);
	userlimit_give(l, 5);
	assert_int_equal(userlimit_take(l, SPARE, START), USERLIMIT_OK);
	userlimit_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rate),       cmocka_unit_test(test_steady_rate),
		cmocka_unit_test(test_live),       cmocka_unit_test(test_both),
		cmocka_unit_test(test_no_limit),   cmocka_unit_test(test_full_at),
		cmocka_unit_test(test_many_users), cmocka_unit_test(test_forgotten),
		cmocka_unit_test(test_all_live),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
