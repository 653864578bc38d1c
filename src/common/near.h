/*
 * near.h: the known name that is nearest to an unknown one (`did you mean`).
 *
 * For a table whose rows begin with the name: near_name(word, table, sizeof(*table)). For
 * names that are not in a table: a struct near with its word, near_try() for each, and
 * then its name.
 */
#ifndef UDSD_NEAR_H
#define UDSD_NEAR_H

#include <stddef.h>

struct near {
	const char *word;
	const char *name; /* the nearest so far; NULL: none is near */
	size_t distance;  /* of it */
};

void near_try(struct near *near, const char *name);

/* The nearest of a table, whose rows begin with a `const char *` and which is ended by
 * one that is NULL. NULL if none is near. */
const char *near_name(const char *word, const void *table, size_t row_bytes);

/* For the end of a message: `, did you mean NAME?`, or "" for NULL. Valid until the next
 * call. */
const char *near_hint(const char *name);

#endif
