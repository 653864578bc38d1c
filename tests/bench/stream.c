/*
 * stream.c: long connections: how much goes through one, how fast, and holding many.
 *
 * usage: stream bulk SOCKET SECONDS     prints MiB a second, out and back, every byte checked
 *        stream trips SOCKET SECONDS    prints p50 and p99 of a round trip of 64 bytes, in microseconds
 *        stream hold SOCKET COUNT       prints a line when COUNT connections have been greeted,
 *                                       and holds them until the end of its input
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CHUNK (256 * 1024)
#define PERIOD \
 65521 /* of the data: a prime, so that a block lost or sent twice is seen */
#define TRIP 64
#define SAMPLES (1 << 22)
#define PATIENCE 60 /* seconds: then a server that hangs ends us */

static char data[PERIOD + CHUNK], received[CHUNK];
static uint32_t samples[SAMPLES]; /* nanoseconds */

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void fail(const char *what)
{
	fprintf(stderr, "stream: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* A connection that has been greeted. */
static int greeted(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	char hello[7];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strncpy(sun.sun_path, path, sizeof(sun.sun_path) - 1);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0)
		fail("connect");
	if (recv(fd, hello, sizeof(hello), MSG_WAITALL) != sizeof(hello) ||
	    memcmp(hello, "hello\r\n", sizeof(hello)) != 0)
		fail("no greeting");
	return fd;
}

/* Reads what there is, and checks it. False at the end. */
static int take(int fd, uint64_t *got)
{
	ssize_t n = read(fd, received, CHUNK);

	if (n < 0 && errno == EAGAIN)
		return 1;
	if (n < 0)
		fail("read");
	if (memcmp(received, data + *got % PERIOD, (size_t)n) != 0)
		fail("other bytes came back");
	*got += (uint64_t)n;
	return n > 0;
}

static void bulk(int fd, double seconds)
{
	struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};
	uint64_t sent = 0, got = 0;
	double start = now();
	int more = 1;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (more) {
		if (poll(&p, 1, -1) < 0)
			fail("poll");
		if (p.revents & POLLOUT) {
			ssize_t n = send(fd, data + sent % PERIOD, CHUNK, MSG_NOSIGNAL);

			if (n < 0 && errno != EAGAIN)
				fail("send");
			sent += n > 0 ? (uint64_t)n : 0;
		}
		if (p.events & POLLOUT && now() - start > seconds) {
			shutdown(fd, SHUT_WR);
			p.events = POLLIN;
		}
		if (p.revents & (POLLIN | POLLHUP))
			more = take(fd, &got);
	}
	if (got != sent)
		fail("not all came back");
	printf("%.1f\n", (double)got / (now() - start) / (1 << 20));
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void trips(int fd, double seconds)
{
	double start = now(), before = start;
	size_t n = 0, p50, p99;

	while (n < SAMPLES && before - start < seconds) {
		double after;

		if (send(fd, data + n % PERIOD, TRIP, MSG_NOSIGNAL) != TRIP)
			fail("send");
		if (recv(fd, received, TRIP, MSG_WAITALL) != TRIP)
			fail("recv");
		if (memcmp(received, data + n % PERIOD, TRIP) != 0)
			fail("other bytes came back");
		after = now();
		samples[n++] = (uint32_t)((after - before) * 1e9);
		before = after;
	}
	qsort(samples, n, sizeof(*samples), compare);
	p50 = n / 2;
	p99 = n * 99 / 100;
	printf("%.3f %.3f\n", samples[p50] / 1e3, samples[p99] / 1e3);
}

static void hold(const char *path, int count)
{
	struct rlimit limit;
	char end;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		fail("limit");
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	alarm(PATIENCE);
	for (int i = 0; i < count; i++)
		(void)greeted(path); /* closed when we end */
	alarm(0);
	puts("held");
	fflush(stdout);
	(void)!read(STDIN_FILENO, &end, 1);
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 64;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i % PERIOD * 31 >> 3);
	if (strcmp(argv[1], "hold") == 0) {
		hold(argv[2], atoi(argv[3]));
		return 0;
	}
	alarm((unsigned)atof(argv[3]) + PATIENCE);
	if (strcmp(argv[1], "bulk") == 0)
		bulk(greeted(argv[2]), atof(argv[3]));
	else
		trips(greeted(argv[2]), atof(argv[3]));
	return 0;
}
