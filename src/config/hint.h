/*
 * hint.h: what may be meant by a value that is wrong, for the end of a message.
 *
 * Each function's result is valid until the next call.
 */
#ifndef UDSD_HINT_H
#define UDSD_HINT_H

#include <stdbool.h>
#include <stddef.h>

enum hint_kind {
	HINT_NONE,
	HINT_WORDS, /* the error enumerates them */
	HINT_BOOL,
	HINT_SIZE,
	HINT_DURATION,
	HINT_LIST,
};

/* For a text (one of `count` in a list) with this error; `lookup` is the errno of a
 * name's look-up, or 0. "": nothing is known. */
const char *hint_value(enum hint_kind kind, const char *text, size_t count,
		       const char *error, int lookup);

/* A list in the place of one text with its pieces, `, a list is { "a", "b" }`; "" if it
 * is one piece. */
const char *hint_list(const char *text);

/* How a size or duration that is wrong would be written; NULL: unknown. */
const char *hint_spelled(const char *text, bool size);

#endif
