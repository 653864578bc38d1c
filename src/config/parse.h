/*
 * parse.h: one text of a config: its sections, their options and the values of these.
 *
 * Hides libconfuse: nothing else includes confuse.h. Knows no option: the caller's syntax
 * says what may stand where.
 */
#ifndef UDSD_PARSE_H
#define UDSD_PARSE_H

#include "config/scan.h"

#define PARSE_MAX (1024 * 1024) /* bytes of a file */

/* Reads a file: its text, terminated, to be freed; NULL after a fault. */
char *parse_read(const char *path, size_t *len, struct faults *faults);

/* Parses a text, which is changed, and not needed any more afterwards. `path`, for
 * messages, must live as long as the result, which is in the arena: see scan_text(). NULL
 * after a fault. */
struct section *parse_text(struct arena *arena, const char *path, char *text, size_t len,
			   const struct syntax *syntax, struct faults *faults);

#endif
