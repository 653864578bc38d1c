/*
 * udsc: talk to a Unix-domain socket from the command line.
 *
 * One loop around poll(2) and two flows: standard input to the socket, the socket to
 * standard output. A flow reads only when it has written all that it had, and nothing is
 * written that could block, so neither flow ever holds up the other.
 */
#include "common/program.h"
#include "common/unixsock.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#define FAIL(...) (fprintf(stderr, "udsc: " __VA_ARGS__), fputc('\n', stderr), exit(1))
#define PENDING(flow) ((flow).start < (flow).end)

enum { INPUT, SOCKET, OUTPUT, POLLED }; /* what is polled, in this order */

/* One direction: bytes that have been read and not yet been written. */
struct flow {
	char *data;        /* the buffer */
	size_t size;       /* its size */
	size_t start, end; /* the bytes in it that are still to be written */
	bool eof;          /* nothing more will be read */
};

struct client {
	const char *name; /* the socket as the user gave it */
	int fd, type;     /* its connection; SOCK_STREAM or SOCK_SEQPACKET */
	int wait;         /* give up after so many ms without a byte; -1: never */
	bool verbose;     /* report connect and disconnect */
	bool shut;        /* nothing more can be sent */
	bool reset;       /* it closed without reading all, as a write has shown */
	bool hangup;      /* the server neither reads nor writes any more */
	struct flow up;   /* to the socket */
	struct flow down; /* to standard output */
};

/* Write what fd takes without blocking: a pipe that poll calls writable takes PIPE_BUF
 * bytes. -1 is an error other than "not now". */
static int flow_write(struct flow *flow, int fd)
{
	size_t n = flow->end - flow->start;
	ssize_t sent = send(fd, flow->data + flow->start, n, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (sent < 0 && errno == ENOTSOCK)
		sent = write(fd, flow->data + flow->start, n < PIPE_BUF ? n : PIPE_BUF);
	if (sent < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	flow->start += (size_t)sent;
	return 0;
}

static void flow_fill(struct flow *flow, ssize_t n, const char *from)
{
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0)
		FAIL("%s: broken connection: %s", from, strerror(errno));
	if ((size_t)n > flow->size)
		FAIL("%s: a packet of %zd bytes is too long", from, n);
	*flow = (struct flow){flow->data, flow->size, 0, (size_t)n, n == 0};
}

/* An empty packet reads as 0 too; at the end the server has closed and nothing is
 * pending. */
static void socket_read(struct client *c, short revents)
{
	int flags = MSG_DONTWAIT | MSG_TRUNC, pending = 0;

	flow_fill(&c->down, recv(c->fd, c->down.data, c->down.size, flags), c->name);
	if (c->down.eof && ioctl(c->fd, FIONREAD, &pending) == 0)
		c->down.eof = pending == 0 && revents & (POLLRDHUP | POLLHUP);
}

/* Wait until something can be done, and do it. The socket is left out while neither flow
 * wants it, else a hangup would be reported over and over. */
static void client_turn(struct client *c)
{
	bool say = PENDING(c->up) && !c->shut, print = PENDING(c->down);
	bool ask = !(c->up.eof || c->shut || c->hangup || PENDING(c->up));
	short hear = print || c->down.eof ? 0 : POLLIN | POLLRDHUP;
	struct pollfd fds[POLLED] = {
		[INPUT] = {.fd = ask ? STDIN_FILENO : -1, .events = POLLIN},
		[OUTPUT] = {.fd = print ? STDOUT_FILENO : -1, .events = POLLOUT},
		[SOCKET] = {.fd = print && !say ? -1 : c->fd},
	};

	fds[SOCKET].events = (short)(hear | (say ? POLLOUT : 0));
	if (poll(fds, POLLED, c->wait) == 0)
		FAIL("%s: time-out: no byte for %g seconds", c->name, c->wait / 1000.0);
	if (fds[OUTPUT].revents && flow_write(&c->down, STDOUT_FILENO) < 0)
		FAIL("standard output: %s", strerror(errno));
	if (hear && fds[SOCKET].revents & ~POLLOUT)
		socket_read(c, fds[SOCKET].revents);
	if (say && fds[SOCKET].revents & ~POLLIN && flow_write(&c->up, c->fd) < 0) {
		if (errno != EPIPE && errno != ECONNRESET)
			FAIL("%s: %s", c->name, strerror(errno)); /* EMSGSIZE */
		c->reset = errno == ECONNRESET;
		c->shut = true; /* but it may still have something to say */
	}
	c->hangup = c->hangup || fds[SOCKET].revents & POLLHUP;
	if (fds[INPUT].revents && !c->hangup)
		flow_fill(&c->up, read(0, c->up.data, c->up.size), "standard input");
}

/* A server that has only shut down its writing side gets the rest of the input; one that
 * has closed ends it all. What is left unsent then is no fault: a server that rejects a
 * client closes whenever it likes, and whether the input was faster is chance. */
static void client_relay(struct client *c)
{
	while (PENDING(c->down) || !c->down.eof || !(c->shut || c->hangup)) {
		client_turn(c);
		if (c->up.eof && !c->shut && !PENDING(c->up)) {
			shutdown(c->fd, SHUT_WR);
			c->shut = true;
		}
	}
	if (c->reset)
		FAIL("%s: broken connection: %s", c->name, strerror(ECONNRESET));
	if (c->verbose && PENDING(c->up))
		fprintf(stderr, "udsc: %zu bytes could not be sent\n",
			c->up.end - c->up.start);
	if (c->verbose)
		fputs("udsc: disconnected\n", stderr);
}

/* connect(2) blocks while the server's backlog is full; SO_SNDTIMEO bounds that. */
static void client_connect(struct client *c)
{
	struct timeval limit = {c->wait / 1000, c->wait % 1000 * 1000};
	struct sockaddr_un address;
	socklen_t size = unixsock_address(c->name, &address);

	if (size == 0)
		FAIL("%s: %s", c->name, strerror(*c->name != '\0' ? errno : ENOENT));
	c->fd = socket(AF_UNIX, c->type | SOCK_CLOEXEC, 0);
	if (c->wait > 0)
		setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, size) < 0)
		FAIL("%s: %s", c->name, strerror(errno == EAGAIN ? ETIMEDOUT : errno));
	if (c->verbose)
		fprintf(stderr, "udsc: connected to %s\n", c->name);
}

/* The words, joined by spaces and ended by CRLF, are all the input there is. */
static void client_say(struct client *c, char **words)
{
	FILE *line = open_memstream(&c->up.data, &c->up.end);

	for (; line && *words; words++)
		fprintf(line, "%s%s", *words, words[1] ? " " : "\r\n");
	if (!line || fclose(line) != 0)
		FAIL("%s", strerror(errno));
	c->up.eof = true;
}

static void udsc_print_usage(FILE *out)
{
	fputs("usage: udsc [-v] [-w SECONDS] [-t TYPE] SOCKET [TEXT ...]\n"
	      "       udsc -h | -V\n",
	      out);
}

static _Noreturn void udsc_usage(const char *problem, const char *word)
{
	if (problem != NULL)
		fprintf(stderr, "udsc: %s%s%s\n", problem, word != NULL ? ": " : "",
			word != NULL ? word : "");
	udsc_print_usage(stderr);
	exit(EX_USAGE);
}

static _Noreturn void udsc_help(void)
{
	udsc_print_usage(stdout);
	fputs("\n"
	      "Connects to a Unix domain socket, a path or @NAME; sends TEXT and a line end, or\n"
	      "standard input, and prints what comes back.\n"
	      "\n"
	      "  -v, --verbose       report connect, disconnect, and what could not be sent\n"
	      "  -w, --wait=SECONDS  give up after so many seconds without a byte\n"
	      "  -t, --type=TYPE     stream (the default) or seqpacket\n"
	      "  -h, --help          this text\n"
	      "  -V, --version       version\n"
	      "\n"
	      "Exit status: 0 the server closed the connection; 1 no connection, or it broke, or\n"
	      "the time was over; 64 usage.\n",
	      stdout);
	exit(program_flush() < 0);
}

static _Noreturn void udsc_version(void)
{
	puts("udsc " PACKAGE_VERSION);
	exit(program_flush() < 0);
}

static void udsc_set_wait(struct client *c, const char *word)
{
	char *end;
	double seconds = strtod(word, &end);

	if (end == word || *end || !(seconds >= 0.001 && seconds <= 1e6))
		udsc_usage("-w wants seconds, from 0.001 to 1000000", word);
	c->wait = (int)(seconds * 1000);
}

static void udsc_set_type(struct client *c, const char *word)
{
	if (strcmp(word, "stream") != 0 && strcmp(word, "seqpacket") != 0)
		udsc_usage("-t wants stream or seqpacket", word);
	c->type = strcmp(word, "stream") == 0 ? SOCK_STREAM : SOCK_SEQPACKET;
}

static void udsc_options(struct client *c, int argc, char **argv)
{
	static const struct option options[] = {
		{"verbose", 0, 0, 'v'}, {"wait", 1, 0, 'w'},    {"type", 1, 0, 't'},
		{"help", 0, 0, 'h'},    {"version", 0, 0, 'V'}, {0}};

	opterr = 0;
	for (int o; (o = getopt_long(argc, argv, "+:vw:t:hV", options, NULL)) != -1;) {
		if (o == 'v')
			c->verbose = true;
		else if (o == 'w')
			udsc_set_wait(c, optarg);
		else if (o == 't')
			udsc_set_type(c, optarg);
		else if (o == 'h')
			udsc_help();
		else if (o == 'V')
			udsc_version();
		else {
			program_wrong_option(o, options, argv);
			udsc_usage(NULL, NULL);
		}
	}
	if (optind == argc)
		udsc_usage("the SOCKET is missing", NULL);
}

int main(int argc, char **argv)
{
	static char input[64 * 1024], output[256 * 1024];
	static struct client c = {.type = SOCK_STREAM,
				  .wait = -1,
				  .up = {.data = input, .size = sizeof(input)},
				  .down = {.data = output, .size = sizeof(output)}};

	(void)program_begin("udsc");
	udsc_options(&c, argc, argv);
	c.name = argv[optind];
	client_connect(&c);
	if (argv[optind + 1])
		client_say(&c, argv + optind + 1);
	client_relay(&c);
	return 0;
}
