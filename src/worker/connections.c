/*
 * connections.c: finds connections by pid, by deadline, and free slots, each without a
 * scan.
 *
 * What is taken or given back in the shared scoreboard is one atomic word, the slot's
 * pid. Memory is reserved for all slots but touched only where used.
 */
#include "worker/connections.h"

#include <stdlib.h>
#include <unistd.h>

struct slot *connections_slot(const struct connections *t, uint32_t slot)
{
	return &t->board->slots[slot - 1];
}

uint32_t connections_live(const struct connections *t)
{
	return t->own + t->nforeign;
}

static void free_push(struct connections *t, uint32_t slot)
{
	t->at[slot].chain = t->free;
	t->free = slot;
}

/* Another process holds it. */
static void add_foreign(struct connections *t, uint32_t slot)
{
	t->foreign[t->nforeign++] = slot;
	userlimit_hold(t->limit, connections_slot(t, slot)->uid);
}

/* Sorts the slots that were ever used into free ones and those that others hold. */
static void sort_slots(struct connections *t)
{
	uint32_t high = scoreboard_high(t->board);

	for (uint32_t i = high; i >= 1; i--)
		if (atomic_load(&connections_slot(t, i)->pid) == 0)
			free_push(t, i);
		else
			add_foreign(t, i);
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
	t->at = calloc(SCOREBOARD_SLOTS + 1, sizeof(*t->at));
	t->foreign = calloc(SCOREBOARD_SLOTS, sizeof(*t->foreign));
	if (t->heads == NULL || t->at == NULL || t->foreign == NULL)
		return -1;
	sort_slots(t);
	return 0;
}

void connections_refresh(struct connections *t)
{
	for (uint32_t i = 0; i < t->nforeign;) {
		uint32_t slot = t->foreign[i];

		if (atomic_load(&connections_slot(t, slot)->pid) != 0) {
			i++;
			continue;
		}
		userlimit_give(t->limit, connections_slot(t, slot)->uid);
		free_push(t, slot);
		t->foreign[i] = t->foreign[--t->nforeign];
	}
}

/* A slot that no other process is known to hold, 0: none. */
static uint32_t take_free(struct connections *t)
{
	uint32_t slot = t->free, high;

	if (slot != 0) {
		t->free = t->at[slot].chain;
		return slot;
	}
	if (t->fresh > SCOREBOARD_SLOTS)
		return 0;
	slot = t->fresh++;
	high = atomic_load(&t->board->high);
	while (high < slot && !atomic_compare_exchange_weak(&t->board->high, &high, slot))
		;
	return slot;
}

uint32_t connections_reserve(struct connections *t)
{
	uint32_t slot;

	while ((slot = take_free(t)) != 0) {
		struct slot *record = connections_slot(t, slot);
		int32_t none = 0;

		if (atomic_compare_exchange_strong(&record->pid, &none,
						   slot_reserved(t->owner))) {
			record->owner = t->owner;
			break;
		}
		add_foreign(t, slot); /* an older worker was faster */
	}
	return slot;
}

void connections_cancel(struct connections *t, uint32_t slot)
{
	atomic_store(&connections_slot(t, slot)->pid, 0);
	free_push(t, slot);
}

static uint32_t *head_of(const struct connections *t, pid_t pid)
{
	return &t->heads[(uint32_t)pid & t->mask];
}

static void queue_push(struct connections *t, uint32_t slot)
{
	struct connection *c = &t->at[slot];
	struct queue *q = &t->queues[c->state];

	c->before = q->last;
	c->after = 0;
	*(q->last != 0 ? &t->at[q->last].after : &q->first) = slot;
	q->last = slot;
}

static void queue_remove(struct connections *t, uint32_t slot)
{
	struct connection *c = &t->at[slot];
	struct queue *q = &t->queues[c->state];

	*(c->before != 0 ? &t->at[c->before].after : &q->first) = c->after;
	*(c->after != 0 ? &t->at[c->after].before : &q->last) = c->before;
}

void connections_open(struct connections *t, uint32_t slot, int64_t now)
{
	pid_t pid = atomic_load(&connections_slot(t, slot)->pid);
	uint32_t *head = head_of(t, pid);

	t->at[slot] = (struct connection){.pid = pid, .chain = *head, .since = now};
	*head = slot;
	queue_push(t, slot);
	t->own++;
}

/* Not to be found any more. */
static void connection_remove(struct connections *t, uint32_t slot)
{
	uint32_t *link = head_of(t, t->at[slot].pid);

	while (*link != slot)
		link = &t->at[*link].chain;
	*link = t->at[slot].chain;
	queue_remove(t, slot);
	t->own--;
}

void connections_undo(struct connections *t, uint32_t slot)
{
	connection_remove(t, slot);
	atomic_store(&connections_slot(t, slot)->pid, slot_reserved(t->owner));
}

void connections_close(struct connections *t, uint32_t slot)
{
	connection_remove(t, slot);
	free_push(t, slot);
}

uint32_t connections_find(const struct connections *t, pid_t pid)
{
	uint32_t slot = *head_of(t, pid);

	while (slot != 0 && t->at[slot].pid != pid)
		slot = t->at[slot].chain;
	return slot;
}

void connections_move(struct connections *t, uint32_t slot, enum connection_state state,
		      int64_t now)
{
	queue_remove(t, slot);
	t->at[slot].state = state;
	t->at[slot].since = now;
	queue_push(t, slot);
}
