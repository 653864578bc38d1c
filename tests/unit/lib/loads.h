/* loads.h: the config that a test looks at. The next one takes its place. */
#ifndef UDSD_TESTS_LOADS_H
#define UDSD_TESTS_LOADS_H

#include "cases.h"
#include "config/config.h"

static struct arena config_arena;

static inline struct arena *fresh_arena(void)
{
	arena_close(&config_arena);
	if (arena_open(&config_arena) < 0)
		abort();
	return &config_arena;
}

static inline const struct config *load_file(const char *path, struct faults *faults)
{
	const struct load_source source = {.path = path, .log_level = -1};

	return config_load(fresh_arena(), &source, faults);
}

static inline const struct config *load_text(const char *text, struct faults *faults)
{
	char *copy = strdup(text);
	const struct config *c;

	if (copy == NULL)
		abort();
	c = config_parse(fresh_arena(), copy, faults);
	free(copy);
	return c;
}

#endif
