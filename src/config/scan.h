/*
 * scan.h: the statements of a config's text, with their lines, before libconfuse sees them.
 *
 * The caller says what may stand where (struct syntax). Values are libconfuse's business: the scan
 * leaves the text of each section to be parsed on its own.
 */
#ifndef UDSD_SCAN_H
#define UDSD_SCAN_H

#include "config/arena.h"
#include "config/diagnostics.h"

#include <stdbool.h>
#include <stddef.h>

/* What may stand in a text or in a section of it; the tables are ended by a name of NULL. */
struct syntax {
	const char *name;
	bool list;   /* an option: { a, b } */
	bool titled; /* a section: it has a name, and there may be many */
	const struct syntax *section; /* its options; NULL: this is an option */
};

/* An option that was found. */
struct statement {
	struct statement *next;
	const struct syntax *syntax;
	struct place at;
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
	char *text;         /* what stands in it and is known, for libconfuse */
	unsigned text_line; /* where that begins */
};

/* Scans `text` (which is terminated and has `len` bytes): the section "", then the others, in the
 * arena; but the text of "" is `text` itself, where all that is not its own was overwritten with
 * blanks. NULL if it has not the form of a config; faults in names are only reported. */
struct section *scan_text(struct arena *arena, const char *file, char *text, size_t len,
			  const struct syntax *syntax, struct faults *faults);

/* The option of a section (NULL: of none), or NULL if it is not there. */
const struct statement *section_find(const struct section *section, const char *option);

#endif
