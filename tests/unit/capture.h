/*
 * capture.h: what was logged, record by record.
 */
#ifndef UDSD_TESTS_CAPTURE_H
#define UDSD_TESTS_CAPTURE_H

#include "cases.h"
#include "log.h"

#include <sys/socket.h>
#include <unistd.h>

static int capture_in = -1, capture_out = -1;

/* Log lines up to `level` are caught from now on. */
static inline void capture_open(int level, const char *service)
{
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd), 0);
	capture_in = fd[0];
	capture_out = fd[1];
	log_open(capture_in, level, service);
}

/* The next record, a digit with its level and the line; "" if there is none. Valid until the next
 * call. */
static inline const char *capture_next(void)
{
	static char text[2 * LOG_RECORD_MAX];
	ssize_t n = recv(capture_out, text, sizeof(text) - 1, MSG_DONTWAIT);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static inline void capture_close(void)
{
	log_open(-1, LOG_INFO, NULL);
	close(capture_in);
	close(capture_out);
}

#endif
