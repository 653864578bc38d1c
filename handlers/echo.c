/*
 * echo: says hello, then sends back what it gets until the end of input.
 *
 * An example of a compiled handler, and the measure of what udsd costs: it has no stdio, no
 * locale, and one large buffer, of which only the pages that are used cost anything.
 *
 * A client that has disconnected (EPIPE, ECONNRESET) and an idle time-out (EAGAIN: udsd sets
 * SO_RCVTIMEO and SO_SNDTIMEO) are ordinary ends. On seqpacket each packet comes back as
 * one packet, as far as the buffer goes; an empty one looks like the end here, and
 * is taken for it.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
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

static void complain(const char *what, const char *why)
{
	struct iovec parts[] = {{"echo: ", 6},
				{(void *)(uintptr_t)what, strlen(what)},
				{": ", 2},
				{(void *)(uintptr_t)why, strlen(why)},
				{"\n", 1}};

	(void)!writev(STDERR_FILENO, parts, 5);
}

/* Options, for a user who tries it by hand. */
static int obey(const char *option)
{
	static const char help[] =
		"usage: echo\n"
		"       echo -h | -V\n\n"
		"A handler for udsd: says hello, then sends back what it "
		"reads.\n";
	static const char version[] = "echo " PACKAGE_VERSION "\n";
	bool wants_help = strcmp(option, "-h") == 0 || strcmp(option, "--help") == 0;
	bool wants_version =
		strcmp(option, "-V") == 0 || strcmp(option, "--version") == 0;

	if (!wants_help && !wants_version) {
		complain("unknown option", option);
		return 64;
	}
	if (output(wants_help ? help : version, strlen(wants_help ? help : version)) == 0)
		return 0;
	complain("standard output", strerror(errno));
	return 1;
}

int main(int argc, char **argv)
{
	const int room = sizeof(buffer); /* in the socket too: a sixth more in bulk */

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	if (argc > 1 && argv[1][0] == '-')
		return obey(argv[1]);
	(void)setsockopt(STDOUT_FILENO, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	if (echo() == 0 || errno == EPIPE || errno == ECONNRESET || errno == EAGAIN)
		return 0;
	complain("input or output", strerror(errno));
	return 1;
}
