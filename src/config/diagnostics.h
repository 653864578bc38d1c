/*
 * diagnostics.h: what is wrong with a config, gathered to be reported all at once.
 *
 * Faults are sorted by who can cause them. An error is one of the config's own text and
 * refuses it everywhere. A problem is the state of something else (a user, a file, a
 * directory, the name service): it is noted at the service that cannot run, refuses `udsd
 * -t`, and a reload only where that service is new or changed; at a start or an upgrade
 * it is that service's state.
 */
#ifndef UDSD_DIAGNOSTICS_H
#define UDSD_DIAGNOSTICS_H

#include <stdbool.h>
#include <stddef.h>

/* Where something stands. file NULL: on the command line; line 0: the whole file. */
struct place {
	const char *file;
	unsigned line;
};

#define PLACE_NONE ((struct place){NULL, 0})

enum problem_kind {
	PROBLEM_NONE,
	PROBLEM_FAILED,    /* it lasts until it is fixed */
	PROBLEM_PASSING,   /* it may pass by itself: the name service does not answer */
	PROBLEM_DISPLACED, /* something foreign is at the socket's path */
};

/* Why a service cannot run, or be run as configured. */
struct problem {
	enum problem_kind kind;
	const char *step; /* the option that it is about, or what failed */
	const char *text; /* `FILE:LINE: text` */
};

struct fault;

struct faults {
	struct arena *arena; /* of texts of problems; NULL: they are not kept */
	size_t errors;       /* which refuse the config */
	size_t problems;     /* which refuse some of it */
	size_t lasting;      /* of both, those that do not pass by themselves */
	size_t warnings;     /* which refuse nothing */
	char *text;          /* made by faults_finish(); NULL: there are none */
	struct fault *first;
};

/* Adds a fault, unless the same is there already. The place's file must live until
 * faults_finish(). */
void fault_add(struct faults *faults, struct place at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Adds an error of the system, by errno, behind `what`. It may pass if a resource is
 * lacking. */
void fault_system(struct faults *faults, struct place at, const char *what);

/* Adds a fault about the state of something that is not the config's text. The first of a
 * service (that it is displaced counts least) is kept as its problem. `step` is an
 * option's name. */
void fault_problem(struct faults *faults, struct problem *first, enum problem_kind kind,
		   const char *step, struct place at, const char *format, ...)
	__attribute__((format(printf, 6, 7)));
void fault_warn(struct faults *faults, struct place at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Makes the text: lines `FILE:LINE: error: TEXT` (a problem too) or `...: warning: TEXT`,
 * sorted by file and line; `udsd: error: TEXT` where there is no file. Done once. */
void faults_finish(struct faults *faults);

/* Whether a text has a character that looks like a space or like nothing, but is none. */
bool fault_invisible(const char *text, size_t len);

void faults_free(struct faults *faults);

#endif
