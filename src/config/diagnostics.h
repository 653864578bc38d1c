/* diagnostics.h: what is wrong with a config, gathered to be reported all at once. */
#ifndef UDSD_DIAGNOSTICS_H
#define UDSD_DIAGNOSTICS_H

#include <stddef.h>

/* Where something stands. file NULL: on the command line; line 0: the whole file. */
struct place {
	const char *file;
	unsigned line;
};

#define PLACE_NONE ((struct place){NULL, 0})

struct faults {
	size_t errors;  /* lines that refuse the config */
	char *text;     /* all errors, lines `FILE:LINE: text`; NULL: none */
	char *warnings; /* likewise; they refuse nothing */
};

/* Adds a line, without a prefix if it has no file. A line that is there already is not repeated. */
void fault_add(struct faults *faults, struct place at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void fault_warn(struct faults *faults, struct place at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

void faults_free(struct faults *faults);

#endif
