/*
 * log_channel.c: makes pipes, and passes their reading ends. What the log process could
 * not write is counted in memory that it shares with the supervisor, a row for each
 * channel.
 */
#include "common/log_channel.h"

#include "common/unixsock.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define ROWS 8192 /* more channels than this share the first one */

static _Atomic uint64_t *unwritten;
static bool rows_used[ROWS];

struct log_channel log_channel_own = {.in = -1, .out = -1};
struct log_channel log_channel_orders = {.in = -1, .out = -1};

/* The next one, so that what is late for a channel that was closed is not another's. */
static unsigned log_channel_take_row(void)
{
	static unsigned last;

	for (unsigned i = 1; i <= ROWS; i++) {
		unsigned row = (last + i) % ROWS;

		if (row == 0 || rows_used[row])
			continue;
		rows_used[row] = true;
		last = row;
		return row;
	}
	return 0;
}

int log_channel_open(struct log_channel *c)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	*c = (struct log_channel){
		.in = fd[1], .out = fd[0], .row = log_channel_take_row()};
	return 0;
}

int log_channels_open(void)
{
	int fd[2];

	unwritten = mmap(NULL, ROWS * sizeof(*unwritten), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (unwritten == MAP_FAILED || log_channel_open(&log_channel_own) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) < 0)
		return -1;
	log_channel_own.row = 0;
	log_channel_orders = (struct log_channel){.in = fd[1], .out = fd[0]};
	return 0;
}

void log_channel_close(struct log_channel *c)
{
	if (c->in >= 0)
		close(c->in);
	if (c->out >= 0)
		close(c->out);
	rows_used[c->row] = false;
	*c = (struct log_channel){.in = -1, .out = -1};
}

void log_channel_pass(struct log_channel *c)
{
	const char order[LOG_ORDER_BYTES] = {LOG_ORDER_CHANNEL, (char)(c->row >> 8),
					     (char)c->row};

	if (!c->known)
		c->known = unixsock_send(log_channel_orders.in, order, sizeof(order),
					 c->out) == 0;
}

void log_channel_set_facility(int facility)
{
	const char order[2] = {LOG_ORDER_FACILITY, (char)(facility >> 3)};

	(void)unixsock_send(log_channel_orders.in, order, sizeof(order), -1);
}

_Atomic uint64_t *log_channel_unwritten(unsigned row)
{
	return &unwritten[row % ROWS];
}
