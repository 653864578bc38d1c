/*
 * scan.h: the statements of a config's text, with their lines, before libconfuse sees
 * them.
 *
 * The caller says what may stand where (struct syntax). Values are libconfuse's business:
 * the scan leaves the text of each section to be parsed on its own, without what it has
 * found wrong.
 */
#ifndef UDSD_SCAN_H
#define UDSD_SCAN_H

#include "config/arena.h"
#include "config/syntax.h"

#include <stddef.h>

/* Scans `text` (which is terminated and has `len` bytes): the section "", then the
 * others, in the arena; but the text of "" is `text` itself, where all that is not its
 * own was overwritten with blanks. Statements that are no good are reported, and blank.
 * NULL if it is no text. */
struct section *scan_text(struct arena *arena, const char *file, char *text, size_t len,
			  const struct syntax *syntax, struct faults *faults);

#endif
