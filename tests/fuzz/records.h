/*
 * records.h: what was logged, for fuzzers: none of it may hold a control character.
 */
#ifndef UDSD_TESTS_RECORDS_H
#define UDSD_TESTS_RECORDS_H

#include "common/log.h"

#include "../unit/lib/escaped_text.h"

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
	static char text[16 * LOG_RECORD_MAX];
	static size_t from, to;
	char *record = text + from, *end = memchr(record, '\n', to - from);
	ssize_t n;

	if (end == NULL) { /* writes are whole records, but reads are not */
		to -= from;
		memmove(text, record, to);
		from = 0;
		n = read(records_out, text + to, sizeof(text) - to);
		if (n <= 0)
			return NULL;
		to += (size_t)n;
		return records_next();
	}
	*end = '\0';
	from = (size_t)(end + 1 - text);
	must(end - record < LOG_RECORD_MAX && strlen(record) == (size_t)(end - record));
	must(is_clean(record + 1, (size_t)(end - record) - 1));
	return record;
}

#endif
