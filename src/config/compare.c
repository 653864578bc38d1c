/*
 * compare.c: fields that are no plain values: two are the same if they mean the same to a
 * worker.
 */
#include "config/compare.h"

#include "common/directory.h"
#include "config/config.h"

#include <string.h>

static bool compare_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

bool compare_pointed(const void *a, const void *b)
{
	return compare_text(*(char *const *)a, *(char *const *)b);
}

/* However the path is written. */
bool compare_socket(const void *a, const void *b)
{
	const char *x = *(char *const *)a, *y = *(char *const *)b;

	return x != NULL && y != NULL ? directory_is_same(x, y) : x == y;
}

bool compare_rate(const void *a, const void *b)
{
	const struct rate *x = a, *y = b;

	return x->burst == y->burst && x->period == y->period;
}

bool compare_limit(const void *a, const void *b)
{
	const struct limit_setting *x = a, *y = b;

	return x->name == y->name && x->value == y->value;
}

bool compare_stderr(const void *a, const void *b)
{
	const struct stderr_target *x = a, *y = b;

	return x->kind == y->kind && compare_text(x->path, y->path);
}

/* Of an account, what handlers get to see; its groups are in the identity. */
bool compare_account(const void *a, const void *b)
{
	const struct account *x = *(const struct account *const *)a,
			     *y = *(const struct account *const *)b;

	if (x == NULL || y == NULL) /* the control socket */
		return x == y;
	return x->uid == y->uid && compare_text(x->name, y->name) &&
	       compare_text(x->home, y->home) && compare_text(x->shell, y->shell);
}

bool compare_groups(const void *a, const void *b)
{
	return identity_same(a, b);
}

bool compare_list(const void *a, const void *b)
{
	char *const *x = *(char *const *const *)a, *const *y = *(char *const *const *)b;

	while (x != NULL && y != NULL && *x != NULL && *y != NULL)
		if (strcmp(*x++, *y++) != 0)
			return false;
	return (x == NULL || *x == NULL) && (y == NULL || *y == NULL);
}

bool compare_rules(const void *a, const void *b)
{
	const struct rule_list *x = a, *y = b;

	for (size_t i = 0; x->count == y->count && i < x->count; i++)
		if (x->rules[i].kind != y->rules[i].kind ||
		    x->rules[i].low != y->rules[i].low ||
		    x->rules[i].high != y->rules[i].high ||
		    x->rules[i].except != y->rules[i].except ||
		    strcmp(x->rules[i].text, y->rules[i].text) != 0)
			return false;
	return x->count == y->count;
}
