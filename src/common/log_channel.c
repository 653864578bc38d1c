/*
 * log_channel.c: makes pipes, and passes their reading ends.
 */
#include "common/log_channel.h"

#include "common/unixsock.h"

#include <fcntl.h>
#include <unistd.h>

struct log_channel log_channel_own = {.in = -1, .out = -1};
struct log_channel log_channel_orders = {.in = -1, .out = -1};

int log_channel_open(struct log_channel *c)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	*c = (struct log_channel){.in = fd[1], .out = fd[0]};
	return 0;
}

int log_channels_open(void)
{
	int fd[2];

	if (log_channel_open(&log_channel_own) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) < 0)
		return -1;
	log_channel_orders = (struct log_channel){.in = fd[1], .out = fd[0]};
	return 0;
}

void log_channel_close(struct log_channel *c)
{
	if (c->in >= 0)
		close(c->in);
	if (c->out >= 0)
		close(c->out);
	c->in = c->out = -1;
}

void log_channel_pass(struct log_channel *c)
{
	const char order = LOG_ORDER_CHANNEL;

	if (!c->known)
		c->known = unixsock_send(log_channel_orders.in, &order, 1, c->out) == 0;
}

void log_channel_set_facility(int facility)
{
	const char order[2] = {LOG_ORDER_FACILITY, (char)(facility >> 3)};

	(void)unixsock_send(log_channel_orders.in, order, sizeof(order), -1);
}
