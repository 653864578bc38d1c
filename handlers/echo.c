/*
 * echo: says hello, then sends back what it gets until the end of input.
 *
 * An example of a compiled handler, and the measure of what udsd costs: it has no stdio, no
 * locale, and one large buffer, of which only the pages that are used cost anything.
 *
 * A client that has gone (EPIPE, ECONNRESET) and an idle time-out (EAGAIN: udsd sets
 * SO_RCVTIMEO and SO_SNDTIMEO) are ordinary ends. On seqpacket each packet comes back as
 * one packet, as far as the buffer goes; an empty one cannot be told from the end here, and
 * is taken for it.
 */
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

static char buffer[256 * 1024];

static int output(const char *data, size_t length)
{
	while (length > 0) {
		ssize_t n = write(STDOUT_FILENO, data, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		data += n;
		length -= (size_t)n;
	}
	return 0;
}

static int echo(void)
{
	if (output("hello\r\n", 7) < 0)
		return -1;
	for (;;) {
		ssize_t n = read(STDIN_FILENO, buffer, sizeof(buffer));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return (int)n;
		if (output(buffer, (size_t)n) < 0)
			return -1;
	}
}

int main(void)
{
	const int room = sizeof(buffer); /* in the socket too: a sixth more in bulk */

	signal(SIGPIPE, SIG_IGN);
	(void)setsockopt(STDOUT_FILENO, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	if (echo() == 0 || errno == EPIPE || errno == ECONNRESET || errno == EAGAIN)
		return 0;
	return 1;
}
