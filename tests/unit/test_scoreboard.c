/*
 * test_scoreboard.c: the shared table: its memory, and the line that ends a connection.
 */
#include "common/scoreboard.h"

#include "lib/log_capture.h"
#include "lib/cases.h"
#include "common/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>

static void test_new(void **state)
{
	struct board *board = board_new();
	struct scoreboard *other;

	(void)state;
	assert_non_null(board);
	assert_int_equal(board->map->layout, SCOREBOARD_LAYOUT);
	assert_int_equal(scoreboard_high(board->map), 0);
	assert_int_equal(fcntl(board->fd, F_GETFD), FD_CLOEXEC);
	other = mmap(NULL, sizeof(*other), PROT_READ, MAP_SHARED, board->fd, 0);
	assert_true(other != MAP_FAILED);
	board->map->slots[SCOREBOARD_SLOTS - 1].pid = 4242;
	assert_int_equal(other->slots[SCOREBOARD_SLOTS - 1].pid, 4242);
	board_release(board);
	assert_int_equal(other->slots[SCOREBOARD_SLOTS - 1].pid, 4242);
	munmap(other, sizeof(*other));
}

/* It is there as long as it has a user. */
static void test_users(void **state)
{
	struct board *board = board_new();
	int fd;

	(void)state;
	assert_non_null(board);
	fd = board->fd;
	assert_ptr_equal(board_hold(board), board);
	board_release(board);
	board->map->slots[0].pid = 1;
	assert_true(fcntl(fd, F_GETFD) >= 0);
	board_release(board);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	board_release(NULL);
	assert_null(board_hold(NULL));
}

/* It cannot be cut under a reader, and its seals cannot be removed. */
static void test_sealed(void **state)
{
	struct board *board = board_new();

	(void)state;
	assert_non_null(board);
	assert_int_equal(fcntl(board->fd, F_GET_SEALS),
			 F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	assert_int_equal(ftruncate(board->fd, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(board->fd, sizeof(*board->map) + 1), -1);
	board_release(board);
}

/* What an earlier process made is taken over with all that is in it, unless it is of another
 * layout, of another size, or could be cut. */
static void test_adopt(void **state)
{
	struct board *board = board_new(), *again;
	int fd;

	(void)state;
	assert_non_null(board);
	board->map->counters.numbers = 77;
	again = board_adopt(dup(board->fd));
	assert_non_null(again);
	assert_int_equal(again->map->counters.numbers, 77);
	board_release(again);
	board->map->layout++;
	fd = dup(board->fd);
	assert_null(board_adopt(fd));
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	board_release(board);
	fd = memfd_create("test", MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(fd, sizeof(struct scoreboard)), 0);
	assert_null(board_adopt(fd));
	assert_null(board_adopt(dup(STDIN_FILENO)));
}

/* Where things are in memory that outlives an upgrade: rows are only appended to these, so that a
 * later binary finds all counts, and nothing but zeros in what an earlier one did not know. */
static void test_layout(void **state)
{
	static const struct {
		size_t is, was;
	} rows[] = {
		{offsetof(struct scoreboard, counters), 8},
		{offsetof(struct counters, numbers), 0},
		{offsetof(struct counters, retry_at), 8},
		{offsetof(struct counters, rejected), 16},
		{offsetof(struct counters, exits), 144},
		{offsetof(struct counters, peak), 2712},
		{offsetof(struct counters, opened), 2720},
		{offsetof(struct counters, failures), 2728},
		{offsetof(struct counters, gone), 2736},
		{offsetof(struct counters, nanoseconds), 2744},
		{offsetof(struct counters, log_dropped), 2752},
		{offsetof(struct counters, stderr_dropped), 2760},
		{offsetof(struct scoreboard, slots), 69632},
		{sizeof(struct scoreboard), 69632 + 65536 * 128},
		{REJECT_RULE, 0},
		{REJECT_LIMIT, 1},
		{REJECT_USER_LIMIT, 2},
		{REJECT_RATE, 3},
	};
	struct board *board = board_new();

	(void)state;
	assert_int_equal(SCOREBOARD_LAYOUT, 3);
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(rows[i].is, rows[i].was);
	for (size_t i = sizeof(struct counters); i < sizeof(board->map->reserved); i++)
		assert_int_equal(board->map->reserved[i], 0);
	board_release(board);
}

/* Tries to make one with a limit of this process; the errno, 0 if there is one. */
static int try_limited(int resource, rlim_t value)
{
	struct rlimit old, lower;
	struct board *board;
	int error;

	getrlimit((__rlimit_resource_t)resource, &old);
	lower = (struct rlimit){value, old.rlim_max};
	setrlimit((__rlimit_resource_t)resource, &lower);
	board = board_new();
	error = board != NULL ? 0 : errno;
	setrlimit((__rlimit_resource_t)resource, &old);
	return error;
}

/* Without room for it there is none, and no descriptor is left. */
static void test_no_room(void **state)
{
	int next = dup(0), again;

	(void)state;
	close(next);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(try_limited(RLIMIT_NOFILE, 0), EMFILE);
	assert_int_equal(try_limited(RLIMIT_FSIZE, 4096), EFBIG);
	assert_int_equal(try_limited(RLIMIT_AS, 4096), ENOMEM);
	signal(SIGXFSZ, SIG_DFL);
	again = dup(0);
	close(again);
	assert_int_equal(again, next);
}

/* What it says of itself is never believed beyond its end. */
static void test_high(void **state)
{
	static const struct {
		uint32_t says, is;
	} rows[] = {
		{0, 0},         {1, 1},         {65535, 65535},
		{65536, 65536}, {65537, 65536}, {UINT32_MAX, 65536},
	};
	struct board *board = board_new();

	(void)state;
	assert_non_null(board);
	for (size_t i = 0; i < COUNT(rows); i++) {
		board->map->high = rows[i].says;
		assert_int_equal(scoreboard_high(board->map), rows[i].is);
	}
	board_release(board);
}

static void test_reject_name(void **state)
{
	(void)state;
	assert_string_equal(reject_name(REJECT_RULE), "rule");
	assert_string_equal(reject_name(REJECT_LIMIT), "limit");
	assert_string_equal(reject_name(REJECT_USER_LIMIT), "user-limit");
	assert_string_equal(reject_name(REJECT_RATE), "rate");
}

static const struct rusage usage = {
	.ru_utime = {1, 999},
	.ru_stime = {0, 2999},
	.ru_maxrss = 1024,
};

static const struct {
	int status;
	const struct rusage *usage;
	uint32_t expired;
	const char *before, *after; /* of the line, around the duration */
} closes[] = {
	{0, &usage, 0, "6close service=s conn=17 pid=4242 status=exit:0 duration=",
	 " user=1.000 system=0.002 maxrss-kib=1024"},
	{3 << 8, NULL, 0,
	 "6close service=s conn=17 pid=4242 status=exit:3 duration=", ""},
	{SIGTERM, NULL, 1,
	 "6close service=s conn=17 pid=4242 status=signal:TERM duration=",
	 " reason=lifetime"},
	{SIGSEGV | 0x80, &usage, 7,
	 "6close service=s conn=17 pid=4242 status=signal:SEGV duration=",
	 " user=1.000 system=0.002 maxrss-kib=1024 reason=lifetime"},
	{SLOT_STATUS_UNKNOWN, NULL, 0,
	 "6close service=s conn=17 pid=4242 status=unknown duration=", ""},
};

static void test_close(void **state)
{
	struct board *board = board_new();
	struct counters *c = &board->map->counters;

	(void)state;
	capture_open(LOG_INFO, NULL);
	for (size_t i = 0; i < COUNT(closes); i++) {
		struct slot slot = {.pid = 4242,
				    .owner = 1,
				    .id = 17,
				    .started = clock_now() - 12345 * NSEC_PER_MSEC,
				    .expired = closes[i].expired};
		size_t len = strlen(closes[i].before);
		double duration = 0;
		const char *line;
		int end = 0;

		slot_close(board->map, &slot, "s", closes[i].status, closes[i].usage);
		assert_int_equal(slot.pid, 0);
		line = capture_next();
		check(strncmp(line, closes[i].before, len) == 0, "%s", line);
		assert_int_equal(sscanf(line + len, "%lf%n", &duration, &end), 1);
		check(duration >= 12.345 && duration < 60, "%s", line);
		check(same(line + len + end, closes[i].after), "%s", line);
		assert_string_equal(capture_next(), "");
		assert_int_equal(c->exits[exit_index(closes[i].status)], 1);
		assert_true(c->nanoseconds >= (i + 1) * 12345 * NSEC_PER_MSEC);
	}
	assert_int_equal(c->exits[0] + c->exits[3] + c->exits[EXIT_SIGNALS] +
				 c->exits[EXIT_SIGNALS + SIGTERM] +
				 c->exits[EXIT_SIGNALS + SIGSEGV],
			 5);
	capture_close();
	board_release(board);
}

/* Every wait status has a place, and every place a status. */
static void test_exits(void **state)
{
	(void)state;
	for (int code = 0; code < 256; code++)
		assert_int_equal(exit_status(exit_index(code << 8)), code << 8);
	for (int sig = 1; sig <= 64; sig++) {
		assert_int_equal(exit_status(exit_index(sig)), sig);
		assert_int_equal(exit_index(sig), exit_index(sig | 0x80));
	}
	assert_int_equal(exit_status(exit_index(SLOT_STATUS_UNKNOWN)),
			 SLOT_STATUS_UNKNOWN);
	for (size_t i = 0; i < EXITS; i++)
		assert_int_equal(exit_index(exit_status(i)), i);
}

/* A slot that its worker's user has written rubbish into makes a line, and is free again. */
static void test_close_hostile(void **state)
{
	static const int64_t times[] = {INT64_MIN, INT64_MAX, -1, INT64_MAX - 999999999};
	struct board *board = board_new();

	(void)state;
	capture_open(LOG_INFO, NULL);
	for (size_t i = 0; i < COUNT(times); i++) {
		struct slot slot = {.pid = -77, .id = UINT64_MAX, .started = times[i]};
		const char *duration;

		slot_close(board->map, &slot, "s", 0, NULL);
		assert_int_equal(slot.pid, 0);
		duration = strstr(capture_next(), " duration=");
		assert_non_null(duration);
		check(strspn(duration + 10, "-.0123456789") == strlen(duration + 10),
		      "%s", duration);
	}
	assert_int_equal(board->map->counters.nanoseconds, 0);
	capture_close();
	board_release(board);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new),     cmocka_unit_test(test_users),
		cmocka_unit_test(test_adopt),   cmocka_unit_test(test_sealed),
		cmocka_unit_test(test_no_room), cmocka_unit_test(test_high),
		cmocka_unit_test(test_layout),  cmocka_unit_test(test_reject_name),
		cmocka_unit_test(test_close),   cmocka_unit_test(test_close_hostile),
		cmocka_unit_test(test_exits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
