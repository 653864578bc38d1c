/*
 * table.c: finds connections by pid, by deadline, and free ones, each without a scan.
 */
#include "table.h"

#include <stdlib.h>
#include <unistd.h>

struct slot *connections_slot(const struct connections *t, uint32_t conn)
{
	return &t->board->slots[conn - 1];
}

uint32_t connections_live(const struct connections *t)
{
	return t->own + t->nforeign;
}

static void free_push(struct connections *t, uint32_t conn)
{
	t->conns[conn].chain = t->free;
	t->free = conn;
}

static void add_foreign(struct connections *t, uint32_t conn)
{
	t->foreign[t->nforeign++] = conn;
	userlimit_hold(t->limit, connections_slot(t, conn)->uid);
}

/* Sorts the slots that were ever used into free ones and those that others hold. */
static void adopt(struct connections *t)
{
	uint32_t high = scoreboard_high(t->board);

	for (uint32_t i = high; i >= 1; i--) {
		if (atomic_load(&connections_slot(t, i)->pid) == 0)
			free_push(t, i);
		else
			add_foreign(t, i);
	}
	t->fresh = high + 1;
}

int connections_init(struct connections *t, struct scoreboard *board, uint32_t max,
		     struct userlimit *limit)
{
	uint32_t buckets = 64;

	while (buckets < max)
		buckets *= 2;
	*t = (struct connections){
		.board = board, .limit = limit, .mask = buckets - 1, .owner = getpid()};
	t->heads = calloc(buckets, sizeof(*t->heads));
	t->conns = calloc(SCOREBOARD_SLOTS + 1, sizeof(*t->conns));
	t->foreign = calloc(SCOREBOARD_SLOTS, sizeof(*t->foreign));
	if (t->heads == NULL || t->conns == NULL || t->foreign == NULL)
		return -1;
	adopt(t);
	return 0;
}

void connections_refresh(struct connections *t)
{
	for (uint32_t i = 0; i < t->nforeign;) {
		uint32_t conn = t->foreign[i];

		if (atomic_load(&connections_slot(t, conn)->pid) != 0) {
			i++;
			continue;
		}
		userlimit_give(t->limit, connections_slot(t, conn)->uid);
		free_push(t, conn);
		t->foreign[i] = t->foreign[--t->nforeign];
	}
}

/* A slot that we know nothing of, 0: none. */
static uint32_t take_free(struct connections *t)
{
	uint32_t conn = t->free, high;

	if (conn != 0) {
		t->free = t->conns[conn].chain;
		return conn;
	}
	if (t->fresh > SCOREBOARD_SLOTS)
		return 0;
	conn = t->fresh++;
	high = atomic_load(&t->board->high);
	while (high < conn && !atomic_compare_exchange_weak(&t->board->high, &high, conn))
		;
	return conn;
}

uint32_t connections_reserve(struct connections *t)
{
	for (;;) {
		uint32_t conn = take_free(t);
		int32_t none = 0;

		if (conn == 0)
			return 0;
		if (atomic_compare_exchange_strong(&connections_slot(t, conn)->pid, &none,
						   slot_reserved(t->owner))) {
			connections_slot(t, conn)->owner = t->owner;
			return conn;
		}
		add_foreign(t, conn); /* an older worker was faster */
	}
}

void connections_cancel(struct connections *t, uint32_t conn)
{
	atomic_store(&connections_slot(t, conn)->pid, 0);
	free_push(t, conn);
}

static uint32_t *head_of(const struct connections *t, pid_t pid)
{
	return &t->heads[(uint32_t)pid & t->mask];
}

static void queue_push(struct connections *t, uint32_t conn)
{
	struct connection *c = &t->conns[conn];
	struct queue *q = &t->queues[c->state];

	c->before = q->last;
	c->after = 0;
	*(q->last != 0 ? &t->conns[q->last].after : &q->first) = conn;
	q->last = conn;
}

static void queue_remove(struct connections *t, uint32_t conn)
{
	struct connection *c = &t->conns[conn];
	struct queue *q = &t->queues[c->state];

	*(c->before != 0 ? &t->conns[c->before].after : &q->first) = c->after;
	*(c->after != 0 ? &t->conns[c->after].before : &q->last) = c->before;
}

void connections_open(struct connections *t, uint32_t conn, int64_t now)
{
	pid_t pid = atomic_load(&connections_slot(t, conn)->pid);
	uint32_t *head = head_of(t, pid);

	t->conns[conn] = (struct connection){.pid = pid, .chain = *head, .since = now};
	*head = conn;
	queue_push(t, conn);
	t->own++;
}

/* Not to be found any more. */
static void unlink_conn(struct connections *t, uint32_t conn)
{
	uint32_t *link = head_of(t, t->conns[conn].pid);

	while (*link != conn)
		link = &t->conns[*link].chain;
	*link = t->conns[conn].chain;
	queue_remove(t, conn);
	t->own--;
}

void connections_undo(struct connections *t, uint32_t conn)
{
	unlink_conn(t, conn);
	atomic_store(&connections_slot(t, conn)->pid, slot_reserved(t->owner));
}

void connections_close(struct connections *t, uint32_t conn)
{
	unlink_conn(t, conn);
	free_push(t, conn);
}

uint32_t connections_find(const struct connections *t, pid_t pid)
{
	uint32_t conn = *head_of(t, pid);

	while (conn != 0 && t->conns[conn].pid != pid)
		conn = t->conns[conn].chain;
	return conn;
}

void connections_move(struct connections *t, uint32_t conn, enum connection_state state,
		      int64_t now)
{
	queue_remove(t, conn);
	t->conns[conn].state = state;
	t->conns[conn].since = now;
	queue_push(t, conn);
}
