/*
 * test_peer.c: who a client is, whether it is still connected, and the clean end of those
 * that are rejected.
 */
#include "common/peer.h"

#include "lib/cases.h"
#include "common/clock.h"
#include "common/linger.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void open_pair(int type, int fd[2])
{
	assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fd), 0);
}

static void close_pair(const int fd[2])
{
	close(fd[0]);
	close(fd[1]);
}

static void test_read(void **state)
{
	struct peer peer = {.ngroups = 77};
	int fd[2];

	(void)state;
	open_pair(SOCK_STREAM, fd);
	assert_int_equal(peer_read(fd[0], false, &peer), 0);
	assert_int_equal(peer.uid, geteuid());
	assert_int_equal(peer.gid, getegid());
	assert_int_equal(peer.pid, getpid());
	assert_int_equal(peer.ngroups, 0);
	close_pair(fd);
	assert_int_equal(peer_read(fd[0], false, &peer), -1);
	assert_int_equal(errno, EBADF);
}

static void assert_groups(const struct peer *peer)
{
	gid_t groups[1024];
	int n = getgroups(COUNT(groups), groups);

	assert_true(n >= 0);
	assert_int_equal(peer->ngroups, n);
	if (n > 0)
		assert_memory_equal(peer->groups, groups, (size_t)n * sizeof(gid_t));
}

static void test_groups(void **state)
{
	static const size_t counts[] = {0, 3, 1, 500, 2, 900, 0};
	gid_t saved[1024], groups[1024];
	int n = getgroups(COUNT(saved), saved);

	(void)state;
	assert_true(n >= 0);
	for (size_t i = 0; i < COUNT(groups); i++)
		groups[i] = (gid_t)(1000 + i);
	for (size_t i = 0; i < COUNT(counts); i++) {
		struct peer peer;
		int fd[2];

		if (geteuid() == 0) /* else the same ones again and again */
			assert_int_equal(setgroups(counts[i], groups), 0);
		open_pair(SOCK_STREAM, fd);
		assert_int_equal(peer_read(fd[0], true, &peer), 0);
		assert_groups(&peer);
		close_pair(fd);
	}
	if (geteuid() == 0)
		assert_int_equal(setgroups((size_t)n, saved), 0);
}

/* What the kernel does not know is an error, not a peer without groups. */
static void test_read_failed(void **state)
{
	struct peer peer;
	int fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	assert_int_equal(peer_read(fd[0], true, &peer), -1);
	assert_int_equal(errno, ENOTSOCK);
	close_pair(fd);
}

static void test_gone(void **state)
{
	static const struct {
		const char *text; /* sent before */
		bool half, closed;
		bool gone;
	} rows[] = {
		{"", false, false, false}, {"a", false, false, false},
		{"", true, false, false},  {"a", true, false, false},
		{"", false, true, true},   {"a", false, true, false},
		{"", true, true, true},    {"a", true, true, false},
	};
	static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET};

	(void)state;
	for (size_t i = 0; i < 2 * COUNT(rows); i++) {
		size_t k = i / 2;
		char text[8];
		int fd[2];

		open_pair(types[i % 2], fd);
		if (*rows[k].text != '\0')
			assert_int_equal(send(fd[1], rows[k].text, 1, 0), 1);
		if (rows[k].half)
			shutdown(fd[1], SHUT_WR);
		if (rows[k].closed)
			close(fd[1]);
		check(peer_disconnected(fd[0]) == rows[k].gone, "row %zu", k);
		if (rows[k].closed && recv(fd[0], text, sizeof(text), 0) >= 0)
			assert_true(peer_disconnected(
				fd[0])); /* what it left has been read */
		if (!rows[k].closed)
			close(fd[1]);
		close(fd[0]);
	}
}

/* A client: sends until it may not, then reads to the end. Its exit status is 0 if this
 * is what it met: EPIPE, the message, and a clean end. */
static int act_client(int fd, const char *message, bool sends)
{
	static char text[4096];
	size_t len = 0;
	ssize_t n;

	signal(SIGPIPE, SIG_IGN);
	alarm(20);
	while (sends && send(fd, text, sizeof(text), 0) > 0)
		;
	if (sends && errno != EPIPE)
		return 1;
	while ((n = recv(fd, text + len, sizeof(text) - len, 0)) > 0)
		len += (size_t)n;
	if (n < 0)
		return 2;
	return len != strlen(message) || memcmp(text, message, len) != 0 ? 3 : 0;
}

static void try_reject(int type, const char *message, bool sends, bool reads_first)
{
	int fd[2], status;
	pid_t pid;

	open_pair(type, fd);
	if (!sends) { /* something that is never read; of packets an empty one first */
		assert_int_equal(send(fd[1], "", 0, 0), 0);
		assert_int_equal(send(fd[1], "hello", 5, 0), 5);
	}
	pid = fork();
	if (pid == 0) {
		close(fd[0]);
		_exit(act_client(fd[1], message != NULL ? message : "", sends));
	}
	close(fd[1]);
	if (reads_first) { /* so that the client has begun */
		char byte;

		assert_int_equal(recv(fd[0], &byte, 1, 0), 1);
	}
	peer_reject(fd[0], type, message);
	assert_int_equal(fcntl(fd[0], F_GETFD), -1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	check(status == 0, "%s %d %d: %x", shown(message), sends, reads_first,
	      (unsigned)status);
}

static void test_reject(void **state)
{
	static const struct {
		int type;
		const char *message;
		bool sends, reads_first;
	} rows[] = {
		{SOCK_STREAM, "not for you\r\n", true, false},
		{SOCK_STREAM, "no\n", true, true},
		{SOCK_STREAM, NULL, true, true},
		{SOCK_STREAM, "no\n", false, false},
		{SOCK_STREAM, NULL, false, false},
		{SOCK_SEQPACKET, "no\n", true, true},
		{SOCK_SEQPACKET, "no\n", false, false},
		{SOCK_SEQPACKET, NULL, false, false},
	};

	(void)state;
	for (int n = 0; n < 20; n++)
		for (size_t i = 0; i < COUNT(rows); i++)
			try_reject(rows[i].type, rows[i].message, rows[i].sends,
				   rows[i].reads_first);
}

/* A client that has disconnected, or never reads, delays and kills no process. */
static void test_reject_unread(void **state)
{
	static char text[4096];
	int fd[2];

	(void)state;
	alarm(20);
	open_pair(SOCK_STREAM, fd);
	close(fd[1]);
	peer_reject(fd[0], SOCK_STREAM, "message");
	open_pair(SOCK_STREAM, fd);
	while (send(fd[0], text, sizeof(text), MSG_DONTWAIT) > 0)
		;
	peer_reject(fd[0], SOCK_STREAM, "message");
	while (recv(fd[1], text, sizeof(text), 0) > 0)
		;
	assert_int_equal(recv(fd[1], text, sizeof(text), 0), 0);
	close(fd[1]);
	alarm(0);
}

/* A TCP connection whose other end takes nothing more, and whose last close takes ten
 * minutes. */
static void open_lingering(int fd[2])
{
	const struct linger linger = {.l_onoff = 1, .l_linger = 600};
	struct sockaddr_in sin = {.sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sin);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	static char data[65536];

	assert_int_equal(bind(listener, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&sin, &len), 0);
	fd[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd[0], (struct sockaddr *)&sin, len), 0);
	fd[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fd[1] >= 0);
	close(listener);
	while (send(fd[0], data, sizeof(data), MSG_DONTWAIT) > 0)
		;
	assert_int_equal(
		setsockopt(fd[0], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
}

static void send_fd(int by, int fd)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {.head = {.cmsg_len = CMSG_LEN(sizeof(int)),
			      .cmsg_level = SOL_SOCKET,
			      .cmsg_type = SCM_RIGHTS}};
	struct iovec part = {(char[]){"x"}, 1};
	const struct msghdr msg = {.msg_iov = &part,
				   .msg_iovlen = 1,
				   .msg_control = &control,
				   .msg_controllen = sizeof(control)};

	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	assert_int_equal(sendmsg(by, &msg, 0), 1);
}

/* Descriptors that a client sent delay no process, and none gets them. */
static void test_descriptors_that_linger(void **state)
{
	const int types[] = {SOCK_STREAM, SOCK_SEQPACKET};
	sigset_t mask, old;

	(void)state;
	if (getenv("UDSD_MEMCHECK") != NULL)
		skip(); /* valgrind lets no signal interrupt close() */
	sigemptyset(&mask);
	sigaddset(&mask, SIGALRM);
	sigprocmask(SIG_BLOCK, &mask, &old);
	linger_init(true);
	for (size_t i = 0; i < 2 * COUNT(types); i++) {
		int tcp[2], fd[2], next;
		int64_t began = clock_now();

		open_lingering(tcp);
		open_pair(types[i / 2], fd);
		send_fd(fd[0], tcp[0]);
		close(tcp[0]);
		next = tcp[0] < fd[1] ? tcp[0] : fd[1];
		if (i % 2 == 0)
			peer_reject(fd[1], types[i / 2], NULL);
		else
			peer_close(fd[1]);
		check(clock_now() - began < 10 * NSEC_PER_SEC, "row %zu", i);
		check(fcntl(next, F_GETFD) < 0, "row %zu: got it", i);
		close(fd[0]);
		close(tcp[1]);
	}
	assert_int_equal(sigprocmask(SIG_SETMASK, &old, &mask), 0);
	assert_true(sigismember(&mask, SIGALRM));
	linger_init(false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_read_failed),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_reject),
		cmocka_unit_test(test_reject_unread),
		cmocka_unit_test(test_descriptors_that_linger),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
