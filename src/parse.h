/*
 * parse.h: one text of a config, scanned and parsed: options and their texts.
 *
 * Hides libconfuse: nothing else includes confuse.h.
 */
#ifndef UDSD_PARSE_H
#define UDSD_PARSE_H

#include "diagnostics.h"
#include "scan.h"

#define SOURCE_MAX (1024 * 1024) /* bytes of a file */

struct source {
	const char *path; /* NULL: the command line; not owned */
	char *text;
	struct scan scan;
	void *parsed; /* libconfuse's tree */
};

/* A section of a source. */
struct section {
	const struct source *source;
	void *parsed;      /* NULL: it is not there */
	const char *title; /* of a service */
	size_t mark; /* its place in the scan, SIZE_MAX: options outside of sections */
	unsigned line;
};

/* The options that may stand outside of sections. */
extern const char *const source_globals[]; /* ended by NULL */

/* Reads a file. An included one may have service sections only. 0, or -1 after a fault;
 * source_close() in any case. */
int source_read(struct source *source, const char *path, bool included,
		struct faults *faults);

/* The same for a text; it is taken over. */
int source_take(struct source *source, char *text, struct faults *faults);
void source_close(struct source *source);

struct section source_top(const struct source *source);
struct section source_defaults(const struct source *source);
struct section source_service(const struct source *source, unsigned index);
unsigned source_services(const struct source *source);

/* The texts of an option: *texts is an array of *count, to be freed (but not what is in it).
 * Returns the line where it stands, 0 if it does not; then nothing is to be freed. Without memory
 * there are none, and a fault. */
unsigned section_texts(const struct section *section, const char *name,
		       const char ***texts, size_t *count, struct faults *faults);

#endif
