/*
 * load.c: a closed loop of clients. Each connects, sends 64 bytes, shuts its writing side down,
 * reads to the end, checks every byte, and begins again.
 *
 * usage: load SOCKET CLIENTS SECONDS [GREETING]    GREETING: what the server says first
 * prints: connections a second, p50 and p99 of first byte and of whole connections in
 * microseconds, and how many failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PAYLOAD 64
#define GREETING_MAX 64
#define SAMPLES (1 << 20)
#define CLIENTS 1024
#define PATIENCE 20 /* seconds: then a server that hangs ends us */

struct client {
	int fd;
	int64_t begun, first;
	size_t got;
	char data[GREETING_MAX + PAYLOAD + 1];
};

static struct sockaddr_un sun = {.sun_family = AF_UNIX};
static char expected[GREETING_MAX + PAYLOAD];
static size_t greeting, length; /* of what is expected */
static int poller;
static uint32_t *firsts, *wholes;
static size_t done, failed;

static int64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void begin(struct client *c)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};

	*c = (struct client){.begun = now()};
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&sun, sizeof(sun)) < 0) {
		perror("load: connect");
		exit(1);
	}
	/* a server that turns us away may have closed already */
	if (send(c->fd, expected + greeting, PAYLOAD, MSG_NOSIGNAL) == PAYLOAD)
		shutdown(c->fd, SHUT_WR);
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
	epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event);
}

static void end(struct client *c)
{
	if (c->got != length || memcmp(c->data, expected, length) != 0) {
		failed++;
	} else if (done < SAMPLES) {
		firsts[done] = (uint32_t)((c->first - c->begun) / 1000);
		wholes[done++] = (uint32_t)((now() - c->begun) / 1000);
	}
	close(c->fd);
}

static void receive(struct client *c)
{
	ssize_t n;

	while ((n = read(c->fd, c->data + c->got, sizeof(c->data) - c->got)) > 0) {
		if (c->got == 0)
			c->first = now();
		c->got += (size_t)n;
		if (c->got == sizeof(c->data))
			break;
	}
	if (n < 0 && errno == EAGAIN)
		return;
	end(c);
	begin(c);
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static uint32_t percentile(const uint32_t *values, unsigned percent)
{
	return done > 0 ? values[done * percent / 100] : 0;
}

static int prepare(const char *path, const char *first)
{
	greeting = strlen(first);
	length = greeting + PAYLOAD;
	if (strlen(path) >= sizeof(sun.sun_path) || greeting > GREETING_MAX)
		return -1;
	strcpy(sun.sun_path, path);
	memcpy(expected, first, greeting);
	for (size_t i = 0; i < PAYLOAD; i++)
		expected[greeting + i] = (char)('a' + i % 26);
	firsts = calloc(SAMPLES, sizeof(*firsts));
	wholes = calloc(SAMPLES, sizeof(*wholes));
	poller = epoll_create1(EPOLL_CLOEXEC);
	return firsts == NULL || wholes == NULL || poller < 0 ? -1 : 0;
}

/* The clients' loop; the seconds that it really took. */
static double run(int clients, double seconds)
{
	static struct client all[CLIENTS];
	int64_t start = now(), stop = start + (int64_t)(seconds * 1e9);

	for (int i = 0; i < clients; i++)
		begin(&all[i]);
	while (now() < stop) {
		struct epoll_event events[64];
		int n = epoll_wait(poller, events, 64, 100);

		for (int i = 0; i < n; i++)
			receive(events[i].data.ptr);
	}
	return (double)(now() - start) / 1e9;
}

int main(int argc, char **argv)
{
	int clients = argc >= 4 ? atoi(argv[2]) : 0;
	double seconds = argc >= 4 ? atof(argv[3]) : 0;

	if (clients < 1 || clients > CLIENTS)
		return 64;
	if (prepare(argv[1], argc > 4 ? argv[4] : "hello\r\n") < 0)
		return 71;
	alarm((unsigned)seconds + PATIENCE);
	seconds = run(clients, seconds);
	qsort(firsts, done, sizeof(*firsts), compare);
	qsort(wholes, done, sizeof(*wholes), compare);
	printf("%.1f %u %u %u %u %zu\n", (double)done / seconds, percentile(firsts, 50),
	       percentile(firsts, 99), percentile(wholes, 50), percentile(wholes, 99),
	       failed);
	return 0;
}
