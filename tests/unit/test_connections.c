/*
 * test_connections.c: a worker's view of its connections, and of the slots that others
 * hold.
 */
#include "worker/connections.h"

#include "lib/cases.h"

#include <stdlib.h>
#include <unistd.h>

#define NOW 1000
#define OTHER_RESERVED (-99) /* by worker 99 */
#define OTHERS 64            /* for tables of 64: pids so far apart have the same hash */

struct fixture {
	struct board *shared;
	struct scoreboard *board; /* its map */
	struct userlimit *limit;
	struct connections table;
};

/* An empty scoreboard, 2 live connections for each user, and no table yet. */
static int set_up(void **state)
{
	static const struct userlimit_rule rule = {.per_user = 2};
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	if (f == NULL || (f->shared = board_new()) == NULL)
		return -1;
	f->board = f->shared->map;
	f->limit = userlimit_new(&rule, 64);
	return f->limit != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	board_release(f->shared);
	userlimit_free(f->limit);
	free(f->table.heads);
	free(f->table.at);
	free(f->table.foreign);
	free(f);
	return 0;
}

static struct connections *begin(struct fixture *f)
{
	assert_int_equal(connections_init(&f->table, f->board, 64, f->limit), 0);
	return &f->table;
}

/* A connection as the worker makes it. */
static uint32_t open_conn(struct connections *t, pid_t pid, int64_t now)
{
	uint32_t slot = connections_reserve(t);

	assert_int_not_equal(slot, 0);
	assert_int_equal(connections_slot(t, slot)->pid, slot_reserved(getpid()));
	connections_slot(t, slot)->pid = pid;
	connections_open(t, slot, now);
	return slot;
}

static void close_conn(struct connections *t, uint32_t slot)
{
	connections_slot(t, slot)->pid = 0;
	connections_close(t, slot);
}

static void test_empty(void **state)
{
	struct connections *t = begin(*state);

	assert_int_equal(connections_live(t), 0);
	assert_int_equal(connections_find(t, 1), 0);
	assert_int_equal(connections_find(t, 0), 0);
	connections_refresh(t);
	assert_int_equal(connections_live(t), 0);
	assert_int_equal(t->board->high, 0);
}

/* Slots are given out from the first on, those that are free again before new ones. */
static void test_reserve(void **state)
{
	struct connections *t = begin(*state);

	for (uint32_t i = 1; i <= 5; i++) {
		assert_int_equal(connections_reserve(t), i);
		assert_int_equal(t->board->high, i);
		assert_ptr_equal(connections_slot(t, i), &t->board->slots[i - 1]);
		assert_int_equal(t->board->slots[i - 1].pid, slot_reserved(getpid()));
	}
	assert_int_equal(connections_live(t), 0); /* not yet */
	connections_cancel(t, 2);
	connections_cancel(t, 4);
	assert_int_equal(connections_slot(t, 2)->pid, 0);
	assert_int_equal(connections_reserve(t) + connections_reserve(t), 2 + 4);
	assert_int_equal(connections_slot(t, 2)->pid, slot_reserved(getpid()));
	assert_int_equal(connections_slot(t, 4)->pid, slot_reserved(getpid()));
	assert_int_equal(connections_reserve(t), 6);
}

static void test_exhaustion(void **state)
{
	struct connections *t = begin(*state);

	for (uint32_t i = 1; i <= SCOREBOARD_SLOTS; i++)
		assert_int_equal(connections_reserve(t), i);
	assert_int_equal(t->board->high, SCOREBOARD_SLOTS);
	for (uint32_t i = 1; i <= SCOREBOARD_SLOTS; i += 4095) {
		assert_int_equal(connections_reserve(t), 0);
		connections_cancel(t, i);
		assert_int_equal(connections_reserve(t), i);
	}
	assert_int_equal(connections_reserve(t), 0);
	connections_slot(t, 77)->pid = 5;
	connections_open(t, 77, NOW);
	close_conn(t, 77);
	assert_int_equal(connections_reserve(t), 77);
	assert_int_equal(connections_reserve(t), 0);
}

/* All pids of a chain are found, whichever of them ends first. */
static void test_chains(void **state)
{
	static const int orders[][4] = {
		{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 2, 0, 3}, {2, 0, 3, 1}};
	struct connections *t = begin(*state);

	for (size_t i = 0; i < COUNT(orders); i++) {
		uint32_t conns[4];

		for (int k = 0; k < 4; k++)
			conns[k] = open_conn(t, 7 + k * OTHERS, NOW);
		assert_int_equal(connections_live(t), 4);
		for (unsigned n = 0; n < 4; n++) {
			int gone = orders[i][n];

			assert_int_equal(connections_find(t, 7 + gone * OTHERS),
					 conns[gone]);
			close_conn(t, conns[gone]);
			assert_int_equal(connections_find(t, 7 + gone * OTHERS), 0);
			for (unsigned k = n + 1; k < 4; k++)
				assert_int_equal(
					connections_find(t, 7 + orders[i][k] * OTHERS),
					conns[orders[i][k]]);
		}
		assert_int_equal(connections_live(t), 0);
		assert_int_equal(connections_find(t, 7 + 4 * OTHERS), 0);
	}
}

/* The queue of a state holds these pids in this order, also when read backwards. */
static void assert_queue(const struct connections *t, enum connection_state state,
			 const char *pids)
{
	uint32_t slot = t->queues[state].first, before = 0;

	for (; *pids != '\0'; pids++) {
		assert_int_not_equal(slot, 0);
		assert_int_equal(t->at[slot].pid, *pids);
		assert_int_equal(t->at[slot].state, state);
		assert_int_equal(t->at[slot].before, before);
		before = slot;
		slot = t->at[slot].after;
	}
	assert_int_equal(slot, 0);
	assert_int_equal(t->queues[state].last, before);
}

static void test_queues(void **state)
{
	static const struct {
		char act; /* + opens, - closes, 0 to 2 moves */
		char pid;
		const char *running, *terminated, *killed;
	} rows[] = {
		{'+', 'a', "a", "", ""},    {'+', 'b', "ab", "", ""},
		{'+', 'c', "abc", "", ""},  {'1', 'b', "ac", "b", ""},
		{'1', 'a', "c", "ba", ""},  {'2', 'b', "c", "a", "b"},
		{'+', 'd', "cd", "a", "b"}, {'0', 'a', "cda", "", "b"},
		{'0', 'd', "cad", "", "b"}, {'-', 'a', "cd", "", "b"},
		{'2', 'c', "d", "", "bc"},  {'2', 'd', "", "", "bcd"},
		{'-', 'b', "", "", "cd"},   {'-', 'd', "", "", "c"},
		{'+', 'e', "e", "", "c"},   {'-', 'c', "e", "", ""},
		{'-', 'e', "", "", ""},
	};
	struct connections *t = begin(*state);

	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t now = NOW + (int64_t)i;
		uint32_t slot = connections_find(t, rows[i].pid);

		if (rows[i].act == '+')
			slot = open_conn(t, rows[i].pid, now);
		else if (rows[i].act == '-')
			close_conn(t, slot);
		else
			connections_move(t, slot,
					 (enum connection_state)(rows[i].act - '0'), now);
		assert_true(rows[i].act == '-' || t->at[slot].since == now);
		assert_queue(t, CONN_RUNNING, rows[i].running);
		assert_queue(t, CONN_TERMINATED, rows[i].terminated);
		assert_queue(t, CONN_KILLED, rows[i].killed);
		assert_int_equal(connections_live(t), strlen(rows[i].running) +
							      strlen(rows[i].terminated) +
							      strlen(rows[i].killed));
	}
}

/* Slots 1 to 6: of two users' handlers, one reserved, and two free ones. */
static void fill_board(struct scoreboard *board)
{
	static const int pids[] = {100, 0, 101, OTHER_RESERVED, 0, 102};
	static const uid_t uids[] = {7, 7, 8, 9, 7, 7};

	for (size_t i = 0; i < COUNT(pids); i++) {
		board->slots[i].pid = pids[i];
		board->slots[i].uid = uids[i];
	}
	board->high = COUNT(pids);
}

/* What others hold counts, for the service and for the user, and is not given out. */
static void test_adopt(void **state)
{
	struct fixture *f = *state;
	struct connections *t;

	fill_board(f->board);
	t = begin(f);
	assert_int_equal(connections_live(t), 4);
	assert_int_equal(userlimit_take(f->limit, 7, NOW), USERLIMIT_USER);
	assert_int_equal(userlimit_take(f->limit, 8, NOW), USERLIMIT_OK);
	assert_int_equal(userlimit_take(f->limit, 8, NOW), USERLIMIT_USER);
	assert_int_equal(connections_find(t, 100), 0); /* not one of ours */
	assert_int_equal(connections_reserve(t), 2);
	assert_int_equal(connections_reserve(t), 5);
	assert_int_equal(connections_reserve(t), 7);
	assert_int_equal(f->board->slots[0].pid, 100);
	assert_int_equal(f->board->slots[3].pid, OTHER_RESERVED);
}

/* A slot that an older worker takes after we have looked is not given out twice; it
 * counts. */
static void test_race(void **state)
{
	struct fixture *f = *state;
	struct connections *t = begin(f);
	uint32_t first = connections_reserve(t);

	connections_cancel(t, first);
	connections_slot(t, first)->pid =
		OTHER_RESERVED; /* it was free for us, and for them */
	connections_slot(t, first + 1)->pid = 300;
	assert_int_equal(connections_reserve(t), first + 2);
	assert_int_equal(connections_live(t), 2);
	assert_int_equal(connections_slot(t, first)->pid, OTHER_RESERVED);
	connections_slot(t, first)->pid = 0;
	connections_refresh(t);
	assert_int_equal(connections_live(t), 1);
	assert_int_equal(connections_reserve(t), first);
}

/* An older worker may know of more slots than we do. */
static void test_high_only_grows(void **state)
{
	struct fixture *f = *state;
	struct connections *t = begin(f);

	f->board->high = 40;
	assert_int_equal(connections_reserve(t), 1);
	assert_int_equal(f->board->high, 40);
}

static void test_refresh(void **state)
{
	struct fixture *f = *state;
	struct connections *t;

	fill_board(f->board);
	t = begin(f);
	open_conn(t, 200, NOW);
	connections_refresh(t);
	assert_int_equal(connections_live(t), 5);
	f->board->slots[0].pid = 0;
	f->board->slots[3].pid = 103; /* was reserved */
	connections_refresh(t);
	assert_int_equal(connections_live(t), 4);
	assert_int_equal(userlimit_take(f->limit, 7, NOW), USERLIMIT_OK);
	assert_int_equal(userlimit_take(f->limit, 7, NOW), USERLIMIT_USER);
	assert_int_equal(connections_reserve(t), 1);
	f->board->slots[2].pid = f->board->slots[3].pid = f->board->slots[5].pid = 0;
	connections_refresh(t);
	assert_int_equal(connections_live(t), 1);
	assert_int_equal(userlimit_take(f->limit, 9, NOW), USERLIMIT_OK);
	connections_refresh(t);
	assert_int_equal(connections_live(t), 1);
	assert_int_equal(connections_find(t, 200), 2);
	/* each free slot once: 3, 4, 5 and 6, then a new one */
	assert_int_equal(1 << connections_reserve(t) | 1 << connections_reserve(t) |
				 1 << connections_reserve(t) |
				 1 << connections_reserve(t),
			 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6);
	assert_int_equal(connections_reserve(t), 7);
}

/* A connection that has not come to be leaves its slot reserved, and nothing else. */
static void test_undo(void **state)
{
	struct connections *t = begin(*state);
	uint32_t first = open_conn(t, 100, NOW), slot = open_conn(t, 101, NOW);

	connections_undo(t, slot);
	assert_int_equal(connections_find(t, 101), 0);
	assert_int_equal(connections_find(t, 100), first);
	assert_int_equal(connections_live(t), 1);
	assert_int_equal(connections_slot(t, slot)->pid, slot_reserved(getpid()));
	assert_int_not_equal(connections_reserve(t), slot);
	connections_slot(t, slot)->pid = 102; /* the next try */
	connections_open(t, slot, NOW);
	assert_int_equal(connections_find(t, 102), slot);
	connections_undo(t, slot);
	connections_cancel(t, slot);
	assert_int_equal(connections_reserve(t), slot);
}

/* A scoreboard that claims more than there is. */
static void test_hostile_high(void **state)
{
	struct fixture *f = *state;
	struct connections *t;

	f->board->high = UINT32_MAX;
	f->board->slots[SCOREBOARD_SLOTS - 1].pid = 5;
	t = begin(f);
	assert_int_equal(connections_live(t), 1);
	for (uint32_t i = 1; i < SCOREBOARD_SLOTS; i++)
		assert_int_equal(connections_reserve(t), i);
	assert_int_equal(connections_reserve(t), 0);
	f->board->slots[SCOREBOARD_SLOTS - 1].pid = 0;
	connections_refresh(t);
	assert_int_equal(connections_reserve(t), SCOREBOARD_SLOTS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_empty),      TEST(test_reserve),
		TEST(test_exhaustion), TEST(test_chains),
		TEST(test_queues),     TEST(test_adopt),
		TEST(test_refresh),    TEST(test_hostile_high),
		TEST(test_race),       TEST(test_high_only_grows),
		TEST(test_undo),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
