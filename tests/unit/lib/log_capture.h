/*
 * log_capture.h: what was logged, record by record.
 */
#ifndef UDSD_TESTS_LOG_CAPTURE_H
#define UDSD_TESTS_LOG_CAPTURE_H

#include "cases.h"
#include "common/log.h"

#include <fcntl.h>
#include <unistd.h>

static int capture_in = -1, capture_out = -1;

/* Log lines up to `level` are caught from now on. */
static inline void capture_open(int level, const char *service)
{
	int fd[2];

	assert_int_equal(pipe2(fd, O_CLOEXEC | O_NONBLOCK), 0);
	capture_in = fd[1];
	capture_out = fd[0];
	log_open(capture_in, level, service);
}

/* The next record, a digit with its level and the line; "" if there is none. Valid until the next
 * call. */
static inline const char *capture_next(void)
{
	static char text[LOG_RECORD_MAX];
	size_t n = 0;

	while (n < sizeof(text) && read(capture_out, text + n, 1) == 1 && text[n] != '\n')
		n++;
	assert_true(n < sizeof(text));
	text[n] = '\0';
	return text;
}

static inline void capture_close(void)
{
	log_open(-1, LOG_INFO, NULL);
	close(capture_in);
	close(capture_out);
}

#endif
