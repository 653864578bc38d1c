/*
 * records.h: what was logged, for fuzzers: none of it may hold a control character.
 */
#ifndef UDSD_TESTS_RECORDS_H
#define UDSD_TESTS_RECORDS_H

#include "log.h"

#include "../unit/hostile.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

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

	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) == 0);
	records_out = fd[1];
	log_open(fd[0], LOG_DEBUG, NULL);
}

/* The next record, the level and a line, which is clean; NULL: there is none. Valid until the next
 * call. */
static inline const char *records_next(void)
{
	static char text[2 * LOG_RECORD_MAX];
	ssize_t n = recv(records_out, text, sizeof(text) - 1, MSG_DONTWAIT);

	if (n <= 0)
		return NULL;
	text[n] = '\0';
	must(n <= LOG_RECORD_MAX && strlen(text) == (size_t)n);
	must(is_clean(text + 1, (size_t)n - 1));
	return text;
}

#endif
