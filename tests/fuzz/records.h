/*
 * records.h: what was logged, for fuzzers: none of it may hold a control character.
 */
#ifndef UDSD_TESTS_RECORDS_H
#define UDSD_TESTS_RECORDS_H

#include "log.h"

#include "../unit/hostile.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int records_out = -1;

/* Ends the fuzzer with a report unless the condition holds. */
static inline void must(int condition)
{
	if (!condition)
		abort();
}

/* Log lines are caught from now on. */
static inline void records_open(void)
{
	int fd[2];

	must(pipe2(fd, O_CLOEXEC | O_NONBLOCK) == 0);
	records_out = fd[0];
	log_open(fd[1], LOG_DEBUG, NULL);
}

/* The next record, the level and a line, which is clean; NULL: there is none. Valid until the next
 * call. */
static inline const char *records_next(void)
{
	static char text[LOG_RECORD_MAX];
	size_t n = 0;

	while (n < sizeof(text) && read(records_out, text + n, 1) == 1 && text[n] != '\n')
		n++;
	if (n == 0)
		return NULL;
	must(n < sizeof(text));
	text[n] = '\0';
	must(strlen(text) == n && is_clean(text + 1, n - 1));
	return text;
}

#endif
