/*
 * scan.h: what libconfuse does not tell of a config text.
 *
 * libconfuse takes a file that ends inside a section for a whole one, lets a repeated option win in
 * silence, stops at the first unknown option, expands ${...} from the environment, and keeps no
 * line numbers. So the text is walked once before it is parsed: all that is reported here, with
 * lines, and each statement's place is noted. Values are libconfuse's business.
 */
#ifndef UDSD_SCAN_H
#define UDSD_SCAN_H

#include "diagnostics.h"

#include <stdbool.h>
#include <stddef.h>

/* A statement. The options of a section follow the mark of its beginning. */
struct scan_mark {
	bool top;    /* an option outside of sections */
	char *name;  /* of the section or option */
	char *title; /* of a section, may be ""; NULL: an option */
	unsigned line;
};

struct scan {
	const char *file;
	size_t count;
	struct scan_mark *marks;
};

/* Tells whether an option may stand in a section; section names are asked with option = NULL. */
typedef bool scan_known(const char *section, const char *option);

/* Walks `text` (which is terminated and has `len` bytes); statements with unknown names are
 * overwritten with blanks after they are reported. 0 if it has the form of a config, even with
 * faults in names; -1 if it has not and must not be parsed. scan_free() in any case. */
int scan_text(struct scan *scan, const char *file, char *text, size_t len,
	      scan_known *known, struct faults *faults);
void scan_free(struct scan *scan);

/* The place of a section among the marks, SIZE_MAX if it is not there. */
size_t scan_section(const struct scan *scan, const char *section, const char *title);

/* The line of an option of the section at that place (SIZE_MAX: outside of sections); 0 if the
 * option is not there. */
unsigned scan_line(const struct scan *scan, size_t section, const char *option);

#endif
