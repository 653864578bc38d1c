/*
 * scratch.h: a directory of the test's own below /tmp.
 */
#ifndef UDSD_TESTS_SCRATCH_H
#define UDSD_TESTS_SCRATCH_H

#include "cases.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch[] = "/tmp/udsd-unit-XXXXXX";

static inline int scratch_open(void **state)
{
	(void)state;
	umask(022); /* modes are as the tests say */
	return mkdtemp(scratch) != NULL && chmod(scratch, 0755) == 0 ? 0 : -1;
}

static inline int scratch_remove(const char *path, const struct stat *st, int kind,
				 struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static inline int scratch_close(void **state)
{
	(void)state;
	return nftw(scratch, scratch_remove, 8, FTW_DEPTH | FTW_PHYS);
}

/* The path of something in it; valid until the fourth next call. */
static inline char *scratch_path(const char *name)
{
	static char paths[4][300];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(*paths), "%s/%s", scratch, name);
	return path;
}

/* Writes a file, which others may read. Its path. */
static inline char *scratch_write(const char *name, const char *text)
{
	char *path = scratch_path(name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0644), 0);
	return path;
}

#endif
