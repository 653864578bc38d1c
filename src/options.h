/*
 * options.h: the options of a service: their names, defaults and meanings, in one table.
 *
 * build.c asks libconfuse for the texts; this turns them into the fields of a struct service.
 */
#ifndef UDSD_OPTIONS_H
#define UDSD_OPTIONS_H

#include "config.h"

struct setter;

struct setting {
	const char *name;
	bool list;            /* { "a", "b" } */
	bool own;             /* of a single service: not in defaults */
	bool accepting;       /* udsd cannot do it where a handler accepts (wait) */
	const char *fallback; /* the default's text; NULL: none, service_finish() knows */
	/* Sets the field; NULL, or what is wrong with x->text. */
	const char *(*set)(struct setter *x);
	size_t offset;     /* of the field, where `set` wants it */
	size_t place;      /* of the struct place to note where it stands; 0: none */
	int64_t low, high; /* of numbers; low: the resource of a limit */
};

/* One option at work. */
struct setter {
	struct config *config; /* owns the accounts */
	struct service *service;
	const struct setting *setting;
	const char *text; /* the value; of a list, the element that is looked at */
	size_t count;     /* of a list */
	const char **texts;
};

extern const struct setting settings[]; /* ended by a name of NULL */

#endif
