/*
 * problem.h: why an instance does not run, or not as it is configured: its states failed
 * and displaced.
 *
 * An instance whose service cannot run (config.h) never starts a worker. One that was
 * serving when the problem was found goes on with what it was configured before. Tried
 * again are failed ones by recheck.h, displaced ones by pathwatch.h.
 */
#ifndef UDSD_PROBLEM_H
#define UDSD_PROBLEM_H

#include "common/clock.h"
#include "common/failure.h"
#include "service/instance.h"

#define PROBLEM_RETRY (30 * NSEC_PER_SEC) /* between two rechecks */
#define PROBLEM_LOOK NSEC_PER_SEC         /* between two looks at a path that is taken */

/* Notes it. True: it is news. */
bool problem_set(struct instance *instance, const struct problem *problem);

/* The same, of a socket that could not be opened. */
bool problem_set_failure(struct instance *instance, struct failure failure);

void problem_clear(struct instance *instance);

/* What is wrong, `FILE:LINE: text`. */
static inline const char *problem_text(const struct instance *i)
{
	return i->problem.text != NULL ? i->problem.text : "out of memory";
}

/* Bytes of `FILE:LINE: ` at the beginning of a problem's text. */
size_t problem_place(const char *text);

/* Logs it, as a `fail` line. */
void problem_log(const struct instance *instance);

/* Whether it is about the socket: pathwatch.h tries that again each second if something
 * foreign is in the way, or if the socket was there before. */
bool problem_is_socket(const struct instance *instance);
bool problem_is_path(const struct instance *instance);

#endif
