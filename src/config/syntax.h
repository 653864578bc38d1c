/*
 * syntax.h: what may stand where in a config, and what was found.
 *
 * The tables are the caller's. A name that is not in the table of its place is looked for
 * nowhere else: what may be meant there, but belongs elsewhere, is in it, too.
 */
#ifndef UDSD_SYNTAX_H
#define UDSD_SYNTAX_H

#include "config/diagnostics.h"

#include <stdbool.h>
#include <stddef.h>

/* What may stand in a text or in a section of it; the tables are ended by a name of
 * NULL. */
struct syntax {
	const char *name;
	bool list;             /* an option: { a, b } */
	bool adds;             /* a list: += is possible */
	bool titled;           /* a section: it has a name, and there may be many */
	const char *elsewhere; /* it may not stand here: to be printed after its name */
	const struct syntax *section; /* its options; NULL: this is an option */
};

/* An option that was found. */
struct statement {
	struct statement *next;
	const struct syntax *syntax;
	struct place at;
	bool append;  /* by += only */
	bool bad;     /* it was reported, and has no value */
	size_t count; /* values; set by the parser, as texts is */
	const char **texts;
};

struct section {
	struct section *next;
	const char *name;  /* "": what stands outside of sections */
	const char *title; /* "": none */
	struct place at;
	const struct syntax *syntax; /* what may stand in it; NULL: it is unknown */
	struct statement *statements;
	bool bad;           /* more may stand in it: its end was not found */
	char *text;         /* what stands in it and is known, for libconfuse */
	unsigned text_line; /* where that begins */
};

/* The row of a name; NULL: it is unknown, as all is where `syntax` is NULL. */
const struct syntax *syntax_find(const struct syntax *syntax, const char *name);

/* Whether this row (or NULL) is an option that may stand here. */
bool syntax_is_option(const struct syntax *syntax);

/* For the end of a message: the option or section that may be meant by an unknown
 * name. */
const char *syntax_hint(const struct syntax *syntax, const char *name, bool section);

/* Whether an option may stand in this section, with += or not, as a list or as one value;
 * else that is reported. */
bool syntax_allows(const struct section *in, const char *name, bool append, bool list,
		   struct place at, struct faults *faults);

struct statement *statement_find(const struct section *section, const char *option);

/* The option of a section (NULL: of none), or NULL if it is not there. */
const struct statement *section_find(const struct section *section, const char *option);

#endif
