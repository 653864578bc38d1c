/* diagnostics.h: what is wrong with a config, gathered to be told all at once. */
#ifndef UDSD_DIAGNOSTICS_H
#define UDSD_DIAGNOSTICS_H

#include <stddef.h>

struct faults {
	size_t errors;  /* lines that refuse the config */
	char *text;     /* all errors, lines `FILE:LINE: text`; NULL: none */
	char *warnings; /* likewise; they refuse nothing */
};

/* Adds a line. file NULL: the command line, without a prefix; line 0: the whole file. A line that
 * is there already is not repeated. */
void fault_add(struct faults *faults, const char *file, unsigned line, const char *format,
	       ...) __attribute__((format(printf, 4, 5)));
void fault_warn(struct faults *faults, const char *file, unsigned line,
		const char *format, ...) __attribute__((format(printf, 4, 5)));

void faults_free(struct faults *faults);

#endif
