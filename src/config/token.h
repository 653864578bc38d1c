/*
 * token.h: the words, strings and punctuation of a config's text, with their lines.
 *
 * What a token may not hold is reported, and the token is flawed, but it has its end: a
 * fault inside of one does not confuse what follows.
 */
#ifndef UDSD_TOKEN_H
#define UDSD_TOKEN_H

#include "config/diagnostics.h"

#include <stdbool.h>
#include <stddef.h>

enum token {
	TOKEN_END,
	TOKEN_WORD,
	TOKEN_STRING,
	TOKEN_PUNCTUATION, /* one of { } = , */
};

/* A copy is a mark to which one can return. */
struct tokens {
	struct faults *faults;
	char *next, *end;   /* of the text */
	struct place at;    /* where `next` is */
	enum token token;   /* the current one */
	char *start;        /* its text, */
	size_t len;         /* without quotes */
	struct place place; /* where it begins */
	const char *option; /* whose value is read, for messages; NULL: none's */
	bool flawed;        /* a fault was reported; to be cleared by the caller */
	bool in_comment;    /* the text ended inside of one */
};

enum token token_next(struct tokens *t);

/* Of the current one. */
bool token_is(const struct tokens *t, char c);
bool token_is_value(const struct tokens *t);

/* Whether the current one is a word before = or +=. */
bool token_is_name(const struct tokens *t);

/* Makes the current one the next one again. */
void token_unread(struct tokens *t);

/* Skips what cannot be understood: to the end of the line or before a closing brace;
 * where braces are open, behind the last one's end, or to a line that begins the next
 * option or section. */
void token_recover(struct tokens *t, unsigned braces);

/* Overwrites text that the parser is not to see, but keeps the lines. */
void token_blank(char *from, const char *to);

#endif
