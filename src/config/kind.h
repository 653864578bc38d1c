/*
 * kind.h: a row of a table of options, and what follows from it.
 *
 * A row says an option's name, kind, field and default and where it may stand. Syntax,
 * reading, comparing and printing go by the kind. There are two tables: options.c for a
 * service, globals.c for all.
 */
#ifndef UDSD_KIND_H
#define UDSD_KIND_H

#include "config/config.h"
#include "config/scan.h"

/* The type of the field, and how its value is written. */
enum option_kind {
	KIND_BOOL,         /* bool */
	KIND_INT,          /* int, between low and high */
	KIND_DURATION,     /* int64_t, nanoseconds */
	KIND_MODE,         /* mode_t */
	KIND_LEVEL,        /* int, LOG_* */
	KIND_FACILITY,     /* int, LOG_* */
	KIND_TYPE,         /* int, SOCK_* */
	KIND_OVERFLOW,     /* bool, whether clients are rejected */
	KIND_RATE,         /* struct rate */
	KIND_LIMIT,        /* struct limit_setting */
	KIND_STDERR,       /* struct stderr_target */
	KIND_TEXT,         /* char *, NULL if it is empty */
	KIND_PATH,         /* char * */
	KIND_SOCKET,       /* char * */
	KIND_MAYBE_PATH,   /* char *, may be empty */
	KIND_MAYBE_SOCKET, /* char *, NULL if it is empty */
	KIND_ACCOUNT,      /* const struct account * */
	KIND_USER,         /* uid_t */
	KIND_GROUP,        /* gid_t */
	/* lists */
	KIND_GROUPS,      /* groups of a struct identity */
	KIND_LIST,        /* char ** */
	KIND_HANDLER,     /* char **, a path first */
	KIND_ENVIRONMENT, /* char **, added to what is there */
	KIND_PASS,        /* names, the same */
	KIND_RULES,       /* struct rule_list */
};

enum option_flags {
	OPTION_OWN = 1,       /* of a single service: not in defaults */
	OPTION_ACCEPTS = 2,   /* udsd cannot do it where a handler accepts (wait) */
	OPTION_APPLIED = 4,   /* to a socket that exists: see service_same_socket() */
	OPTION_NO_WORKER = 8, /* means nothing to a worker: see service_same() */
};

struct option_row {
	const char *name; /* NULL ends a table */
	enum option_kind kind;
	size_t offset; /* of the field */
	const char
		*fallback; /* the default's text; NULL: none, or service_finish() knows */
	const char *(*find_fallback)(void); /* the same, where it is not a constant */
	unsigned flags;
	int low, high; /* KIND_INT */
};

/* A config while it is built. */
struct build {
	struct arena *arena;   /* of all that is kept */
	struct arena *scratch; /* of what is not */
	struct config *config;
	struct faults *faults;
};

bool option_is_list(const struct option_row *row);

/* Sets the field of `of` (a struct service, or what the table is for) to what was given,
 * or, if that is NULL, to the default. */
void option_set(const struct build *build, void *of, const struct option_row *row,
		const struct statement *given);

/* Whether both have the same value. */
bool option_same(const void *a, const void *b, const struct option_row *row);

#endif
