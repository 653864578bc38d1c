/*
 * limits.c: hard limits above which only root may go, and values with which nothing
 * works.
 */
#include "config/limits.h"

#include <errno.h>

#define DESCRIPTORS 4 /* the connection, standard error, and one to load libraries */
#define ADDRESSES (1024 * 1024)

const char *limits_raise(const struct service *s)
{
	for (int i = 0; i < RLIM_NLIMITS; i++) {
		const struct limit_setting *l = &s->limits[i];
		struct rlimit limit;

		if (l->name == NULL)
			continue;
		if (getrlimit((__rlimit_resource_t)i, &limit) < 0)
			return l->name;
		if (l->value <= limit.rlim_max)
			continue;
		limit.rlim_max = l->value;
		if (setrlimit((__rlimit_resource_t)i, &limit) < 0)
			return l->name;
	}
	return NULL;
}

const char *limits_warning(const struct service *s, int resource)
{
	rlim_t value = s->limits[resource].value;

	if (s->limits[resource].name == NULL)
		return NULL;
	if (resource == RLIMIT_NOFILE && value < DESCRIPTORS)
		return "too few descriptors for a program to start: 4 at least";
	if (resource == RLIMIT_AS && value < ADDRESSES)
		return "too little memory for a program to start (K, M and G are units)";
	if (resource == RLIMIT_CPU && value == 0)
		return "ends each handler after a second at most";
	if (resource == RLIMIT_FSIZE && value == 0)
		return "lets handlers write to no file";
	return NULL;
}
