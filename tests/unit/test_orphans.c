/*
 * test_orphans.c: what is taken over from a worker that has exited, and is not believed.
 */
#include "service/orphans.h"

#include "lib/log_capture.h"
#include "lib/cases.h"
#include "common/clock.h"

#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKER 4194305 /* larger than any pid */

static char name[] = "s";
static struct account account = {.name = name};
static struct service service = {.name = name, .account = &account};
static struct instance instance = {.service = &service};

static int set_up(void **state)
{
	(void)state;
	service.max_lifetime = service.kill_grace = 0;
	service.identity.uid = geteuid();
	service.identity.gid = getegid();
	instance.board = board_new();
	capture_open(LOG_INFO, NULL);
	return instance.board != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	orphans_forget();
	board_release(instance.board);
	capture_close();
	return 0;
}

static bool none_is_ours(pid_t pid)
{
	(void)pid;
	return false;
}

static struct slot *put(uint32_t i, pid_t pid, pid_t owner, int64_t started)
{
	struct slot *slot = &instance.board->map->slots[i];

	*slot = (struct slot){
		.pid = pid, .owner = owner, .started = started, .id = i + 1};
	instance.board->map->high = i + 1;
	return slot;
}

/* A child that waits for its end, the leader of a group. */
static pid_t make_child(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		setpgid(0, 0);
		for (;;)
			pause();
	}
	assert_true(pid > 0);
	(void)setpgid(pid, pid);
	return pid;
}

/* Ticks until the child has ended and is reaped. */
static void reap(pid_t pid)
{
	siginfo_t info;

	for (;;) {
		int64_t now = clock_now();

		if (orphans_due() <= now)
			orphans_tick(now);
		info.si_pid = 0;
		assert_int_equal(
			waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT | WNOHANG), 0);
		if (info.si_pid == pid)
			break;
	}
	assert_true(orphans_reap(pid));
	assert_int_equal(orphans_count(), 0);
	assert_int_equal(instance.orphans, 0);
}

/* Slots of a worker: whether they are free afterwards, and what is said. */
static void test_what_is_not_believed(void **state)
{
	const struct {
		pid_t pid, owner;
		int64_t started;
		bool freed;
		const char *line;
	} rows[] = {
		{0, WORKER, 0, true, ""},
		{-WORKER, 0, 0, true, ""},           /* reserved */
		{-WORKER - 1, WORKER, 0, false, ""}, /* by another */
		{1, WORKER, 0, true, "close service=s conn=5 pid=1 status=unknown"},
		{getpid(), WORKER, INT64_MAX, true, "status=unknown duration=0.000"},
		{INT_MAX, WORKER, INT64_MIN, true, "status=unknown duration=0.000"},
		{INT_MAX, WORKER + 1, 0, false, ""},
		{INT_MIN, WORKER, INT64_MIN, false, ""},
	};
	struct slot *slots[COUNT(rows)];

	(void)state;
	for (uint32_t i = 0; i < COUNT(rows); i++)
		slots[i] = put(i + 1, rows[i].pid, rows[i].owner, rows[i].started);
	orphans_adopt(&instance, WORKER, none_is_ours);
	assert_int_equal(orphans_count(), 0);
	for (uint32_t i = 0; i < COUNT(rows); i++) {
		check((slots[i]->pid == 0) == rows[i].freed, "row %u", i);
		if (*rows[i].line != '\0')
			check(strstr(capture_next(), rows[i].line) != NULL, "row %u", i);
	}
	assert_string_equal(capture_next(), "");
	/* later there is no other process to which they could belong */
	orphans_adopt(&instance, 0, none_is_ours);
	for (uint32_t i = 0; i < COUNT(rows); i++)
		check(slots[i]->pid == 0, "row %u", i);
}

static void test_ends_and_is_reaped(void **state)
{
	pid_t pid = make_child();
	struct slot *slot = put(0, pid, WORKER, clock_now());

	(void)state;
	orphans_adopt(&instance, WORKER, none_is_ours);
	orphans_adopt(&instance, WORKER, none_is_ours); /* once is enough */
	assert_int_equal(orphans_count(), 1);
	assert_int_equal(instance.orphans, 1);
	assert_true(orphans_due() > clock_now()); /* a look at its start */
	assert_false(orphans_reap(pid + 1));
	kill(pid, SIGUSR1); /* which no shell ignores in the background */
	reap(pid);
	assert_int_equal(slot->pid, 0);
	assert_non_null(strstr(capture_next(), "status=signal:USR1"));
}

/* A child is called as its worker is until it executes. */
static void test_a_start_that_hangs(void **state)
{
	static const struct {
		const char *name;
		bool hangs;
	} rows[] = {{"udsd: s", true}, {"udsd", false}, {"handler", false}};
	char own[16];

	(void)state;
	prctl(PR_GET_NAME, own);
	for (size_t i = 0; i < COUNT(rows); i++) {
		pid_t pid;

		prctl(PR_SET_NAME, rows[i].name);
		pid = make_child();
		prctl(PR_SET_NAME, own);
		put(0, pid, WORKER, clock_now());
		orphans_adopt(&instance, WORKER, none_is_ours);
		orphans_tick(orphans_due() - 1);
		orphans_tick(orphans_due());
		check((orphans_due() != CLOCK_NEVER) == rows[i].hangs, "row %zu", i);
		if (!rows[i].hangs)
			kill(pid, SIGUSR1);
		reap(pid);
		check(strstr(capture_next(), rows[i].hangs ? "KILL" : "USR1") != NULL,
		      "row %zu", i);
	}
}

/* The largest life that a config may have, and starts that make no sense: none is due at once. */
static void test_a_start_that_makes_no_sense(void **state)
{
	static const int64_t starts[] = {INT64_MIN, -1, INT64_MAX, INT64_MAX - 1};

	(void)state;
	service.max_lifetime = 366 * 24 * 3600 * NSEC_PER_SEC;
	for (size_t i = 0; i < COUNT(starts); i++) {
		pid_t pid = make_child();

		put(0, pid, WORKER, starts[i]);
		orphans_adopt(&instance, WORKER, none_is_ours);
		assert_int_equal(orphans_count(), 1);
		assert_true(orphans_due() > clock_now() &&
			    orphans_due() <= clock_now() + service.max_lifetime);
		orphans_end_all(SIGKILL, clock_now());
		reap(pid);
		orphans_forget();
	}
}

static void test_its_life_ends(void **state)
{
	static const int64_t graces[] = {0, NSEC_PER_SEC / 100, 3600 * NSEC_PER_SEC};

	(void)state;
	for (size_t i = 0; i < COUNT(graces); i++) {
		pid_t pid = make_child();

		service.max_lifetime = NSEC_PER_SEC / 100;
		service.kill_grace = graces[i];
		put(0, pid, WORKER, clock_now());
		orphans_adopt(&instance, WORKER, none_is_ours);
		reap(pid);
		assert_non_null(strstr(capture_next(), "reason=lifetime"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_is_not_believed, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_ends_and_is_reaped, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_a_start_that_hangs, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_a_start_that_makes_no_sense, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_its_life_ends, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
