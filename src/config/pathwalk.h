/* pathwalk.h: who could put another file in the place of one. */
#ifndef UDSD_PATHWALK_H
#define UDSD_PATHWALK_H

#include <sys/types.h>

/* The part of a path that a user other than root and `uid` could replace, links included;
 * NULL: none. Valid until the next call. What is not there counts as none. */
const char *pathwalk_replaceable(const char *path, uid_t uid);

#endif
