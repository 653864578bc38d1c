/*
 * failure.h: what a function returns that can fail at several points: which operation
 * failed, and why.
 *
 * The operation is a constant in the words of the log (`step=`). Nothing else needs to be
 * carried along: no errno, no text through an argument.
 */
#ifndef UDSD_FAILURE_H
#define UDSD_FAILURE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

struct failure {
	const char *operation; /* NULL: there was none */
	int error;             /* errno of it */
};

#define SUCCESS ((struct failure){0})

/* The operation has just failed, and errno says why. */
static inline struct failure failure(const char *operation)
{
	return (struct failure){operation, errno};
}

static inline struct failure failure_of(const char *operation, int error)
{
	return (struct failure){operation, error};
}

static inline bool failed(struct failure f)
{
	return f.operation != NULL;
}

#endif
