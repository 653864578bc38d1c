/*
 * userlimit.c: per-user counts and token buckets. Pure: time is an argument.
 *
 * A fixed array of users, chained by hash and in a list from the one seen last to the one
 * unseen for longest. Invariant: there are USERLIMIT_SPARE more entries than live
 * connections, so one without any can always be found at the end of the list or near it.
 */
#include "worker/userlimit.h"

#include "common/clock.h"

#include <stdlib.h>

#define USERLIMIT_SPARE 1024 /* users remembered for their rate alone */

/* Entry 0 is not used, so that zeroed memory is an empty table. */
#define NIL 0

struct user {
	uid_t uid;
	uint32_t live;   /* connections */
	int64_t full_at; /* when the bucket is full again; in the past: it is */
	uint32_t chain;  /* next with the same hash, or in the free list */
	uint32_t newer, older;
};

struct userlimit {
	struct userlimit_rule rule;
	int64_t interval;  /* nanoseconds that refill one token */
	int64_t full_at;   /* the latest full_at of any bucket */
	uint32_t capacity; /* entries in users */
	uint32_t used;     /* entries ever used */
	uint32_t mask;     /* of the hash */
	uint32_t newest, oldest;
	uint32_t *heads; /* mask + 1 chains, touched only where used; so are the users */
	struct user users[];
};

struct userlimit *userlimit_new(const struct userlimit_rule *rule, uint32_t live)
{
	uint32_t capacity = 1 + live + USERLIMIT_SPARE, buckets = 256;
	struct userlimit *l = malloc(sizeof(*l) + capacity * sizeof(*l->users));

	if (l == NULL)
		return NULL;
	while (buckets < capacity)
		buckets *= 2;
	*l = (struct userlimit){
		.rule = *rule,
		.interval = rule->burst > 0 ? rule->period / rule->burst : 0,
		.capacity = capacity,
		.used = 1,
		.mask = buckets - 1,
		.heads = calloc(buckets, sizeof(*l->heads)),
	};
	if (l->heads != NULL)
		return l;
	free(l);
	return NULL;
}

void userlimit_free(struct userlimit *l)
{
	if (l != NULL)
		free(l->heads);
	free(l);
}

static uint32_t *chain_of(const struct userlimit *l, uid_t uid)
{
	return &l->heads[(uid * UINT32_C(2654435761) >> 8) & l->mask];
}

static void list_remove(struct userlimit *l, uint32_t i)
{
	struct user *u = &l->users[i];

	*(u->newer == NIL ? &l->newest : &l->users[u->newer].older) = u->older;
	*(u->older == NIL ? &l->oldest : &l->users[u->older].newer) = u->newer;
}

static void list_push(struct userlimit *l, uint32_t i)
{
	struct user *u = &l->users[i];

	u->newer = NIL;
	u->older = l->newest;
	*(l->newest == NIL ? &l->oldest : &l->users[l->newest].newer) = i;
	l->newest = i;
}

/* An entry for a new user: a fresh one, or that of the user unseen for longest that has
 * no connection. */
static uint32_t entry_get(struct userlimit *l)
{
	uint32_t i, *link;

	if (l->used < l->capacity)
		return l->used++;
	for (i = l->oldest; i != NIL && l->users[i].live > 0; i = l->users[i].newer)
		;
	if (i == NIL)
		return NIL;
	for (link = chain_of(l, l->users[i].uid); *link != i;
	     link = &l->users[*link].chain)
		;
	*link = l->users[i].chain;
	list_remove(l, i);
	return i;
}

/* The user's entry, made if need be and moved to the front; NULL only if every entry is
 * live. */
static struct user *user_get(struct userlimit *l, uid_t uid)
{
	uint32_t *head = chain_of(l, uid), i = *head;

	while (i != NIL && l->users[i].uid != uid)
		i = l->users[i].chain;
	if (i != NIL) {
		list_remove(l, i);
	} else if ((i = entry_get(l)) != NIL) {
		l->users[i] = (struct user){.uid = uid, .chain = *head};
		*head = i;
	} else {
		return NULL;
	}
	list_push(l, i);
	return &l->users[i];
}

enum userlimit_verdict userlimit_take(struct userlimit *l, uid_t uid, int64_t now)
{
	struct user *u = user_get(l, uid);

	if (u == NULL || (l->rule.per_user > 0 && u->live >= l->rule.per_user))
		return USERLIMIT_USER;
	if (l->rule.burst > 0) {
		int64_t from = clock_max(u->full_at, now);

		if (from + l->interval - now > l->interval * l->rule.burst)
			return USERLIMIT_RATE;
		u->full_at = from + l->interval;
		l->full_at = clock_max(l->full_at, u->full_at);
	}
	u->live++;
	return USERLIMIT_OK;
}

void userlimit_hold(struct userlimit *l, uid_t uid)
{
	struct user *u = user_get(l, uid);

	if (u != NULL)
		u->live++;
}

void userlimit_give(struct userlimit *l, uid_t uid)
{
	struct user *u = user_get(l, uid);

	if (u != NULL && u->live > 0)
		u->live--;
}

int64_t userlimit_full_at(const struct userlimit *l)
{
	return l->full_at;
}
