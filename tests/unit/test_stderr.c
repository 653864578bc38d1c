/*
 * test_stderr.c: handlers' standard error, line by line into the log.
 */
#include "worker/stderr.h"

#include "lib/log_capture.h"
#include "lib/cases.h"
#include "common/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define START (1000 * NSEC_PER_SEC)
#define WRITERS 17 /* one more than are kept */

struct fixture {
	struct stderr_relay *relay;
	_Atomic uint64_t dropped;
	int in, out;
	pid_t known[WRITERS]; /* the handler of connection i + 1 */
};

static struct stderr_writer find(void *arg, pid_t writer)
{
	const struct fixture *f = arg;

	for (int i = 0; i < WRITERS; i++)
		if (f->known[i] == writer)
			return (struct stderr_writer){(uint64_t)i + 1, 4000 + i};
	return (struct stderr_writer){0, 0};
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	if (f == NULL || stderr_pair(&f->in, &f->out) < 0)
		return -1;
	f->relay = stderr_new(f->out, "s", find, f, &f->dropped);
	f->known[0] = getpid();
	capture_open(LOG_INFO, NULL);
	return f->relay != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	capture_close();
	close(f->in);
	close(f->out);
	free(f->relay);
	free(f);
	return 0;
}

static void put(const struct fixture *f, const char *text, size_t len)
{
	assert_int_equal(write(f->in, text, len), len);
}

static void test_pair(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(fcntl(f->in, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(f->out, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(f->in, F_GETFL) & O_NONBLOCK, 0); /* handlers may block */
}

/* Written piece by piece (after each | it is read), and the lines that come of it. */
static void test_lines(void **state)
{
	static const struct {
		const char *pieces, *lines[4];
	} rows[] = {
		{"", {NULL}},
		{"one\n", {"one"}},
		{"one\ntwo words\n\n", {"one", "\"two words\"", "\"\""}},
		{"o|n|e\n", {"one"}},
		{"one|\n", {"one"}},
		{"one\ntw|o\nthree|\n", {"one", "two", "three"}},
		{"|\n|", {"\"\""}},
		{"a\rb\x1b[0m\n", {"\"a\\x0db\\x1b[0m\""}},
		{"\xc3|\xa4\n", {"\"\xc3\xa4\""}},
		{"close service=x\n", {"\"close service=x\""}},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *piece = rows[i].pieces;

		for (;;) {
			size_t len = strcspn(piece, "|");

			put(f, piece, len);
			stderr_read(f->relay, START);
			if (piece[len] == '\0')
				break;
			piece += len + 1;
		}
		for (size_t k = 0; rows[i].lines[k] != NULL; k++) {
			char expected[128];

			snprintf(expected, sizeof(expected),
				 "6stderr service=s conn=1 pid=4000 text=%s",
				 rows[i].lines[k]);
			assert_string_equal(capture_next(), expected);
		}
		assert_string_equal(capture_next(), "");
	}
}

/* Bytes of a line, and how many of them are logged before the dots, if there are any. */
static void test_long_lines(void **state)
{
	static const size_t lengths[] = {959, 960, 961, 964, 5000, 100000};
	struct fixture *f = *state;
	char *text = malloc(100002), expected[1200];

	assert_non_null(text);
	for (size_t i = 0; i < 2 * COUNT(lengths); i++) {
		size_t len = lengths[i / 2], kept = len > 960 ? 960 : len;
		int at;

		memset(text, 'x', len);
		text[len] = '\n';
		if (i % 2 == 1) { /* in two pieces */
			put(f, text, len / 2);
			stderr_read(f->relay, START);
		}
		put(f, text + i % 2 * (len / 2), len + 1 - i % 2 * (len / 2));
		stderr_read(f->relay, START);
		at = snprintf(expected, sizeof(expected),
			      "6stderr service=s conn=1 pid=4000 text=");
		snprintf(expected + at, sizeof(expected) - (size_t)at, "%.*s%s",
			 (int)kept, text, len > 960 ? "..." : "");
		assert_string_equal(capture_next(), expected);
		assert_string_equal(capture_next(), "");
	}
	free(text);
}

/* A line of that length that is all escaped still comes whole. */
static void test_long_escaped(void **state)
{
	struct fixture *f = *state;
	char text[966];
	const char *line;

	memset(text, '\x01', sizeof(text));
	text[sizeof(text) - 1] = '\n';
	put(f, text, sizeof(text));
	stderr_read(f->relay, START);
	line = capture_next();
	assert_int_equal(strlen(line),
			 strlen("6stderr service=s conn=1 pid=4000 text=\"\"") + 4 * 960 +
				 3);
	assert_string_equal(line + strlen(line) - 8, "\\x01...\"");
}

/* Has another process write. Its pid; it has ended and was waited for. */
static pid_t put_by_child(const struct fixture *f, const char *text)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(write(f->in, text, strlen(text)) < 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return pid;
}

/* A process that writes as ordered, piece by piece, until the end. */
static pid_t start_writer(const struct fixture *f, int orders[2])
{
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, orders),
			 0);
	pid = fork();
	if (pid == 0) {
		char text[64];
		ssize_t n;

		close(orders[0]);
		while ((n = read(orders[1], text, sizeof(text))) > 0)
			if (write(f->in, text, (size_t)n) != n ||
			    write(orders[1], "", 1) != 1)
				_exit(1);
		_exit(0);
	}
	close(orders[1]);
	return pid;
}

static void order(int orders, const char *text)
{
	char done;

	assert_int_equal(write(orders, text, strlen(text)), strlen(text));
	assert_int_equal(read(orders, &done, 1), 1);
}

/* Two write pieces of lines before anything is read: each line is one writer's. */
static void test_interleaved(void **state)
{
	struct fixture *f = *state;
	int one[2], two[2];

	f->known[1] = start_writer(f, one);
	f->known[2] = start_writer(f, two);
	order(one[0], "he");
	order(two[0], "good");
	order(one[0], "llo");
	order(one[0], "\nsee");
	order(two[0], "bye\n");
	order(one[0], "you\n");
	order(two[0], "last");
	stderr_read(f->relay, START);
	assert_string_equal(capture_next(),
			    "6stderr service=s conn=2 pid=4001 text=hello");
	assert_string_equal(capture_next(),
			    "6stderr service=s conn=3 pid=4002 text=goodbye");
	assert_string_equal(capture_next(),
			    "6stderr service=s conn=2 pid=4001 text=seeyou");
	assert_string_equal(capture_next(), "");
	close(one[0]);
	close(two[0]);
	assert_int_equal(waitpid(f->known[1], NULL, 0), f->known[1]);
	stderr_end(f->relay, f->known[1]); /* has nothing unfinished */
	assert_string_equal(capture_next(), "");
	assert_int_equal(waitpid(f->known[2], NULL, 0), f->known[2]);
	stderr_end(f->relay, f->known[2]);
	assert_string_equal(capture_next(),
			    "6stderr service=s conn=3 pid=4002 text=last");
	stderr_end(f->relay, f->known[2]);
	stderr_finish(f->relay);
	assert_string_equal(capture_next(), "");
}

static void test_unknown_writer(void **state)
{
	struct fixture *f = *state;

	put_by_child(f, "who am I\n");
	stderr_read(f->relay, START);
	assert_string_equal(capture_next(), "6stderr service=s text=\"who am I\"");
}

/* Of more unfinished lines than are kept the oldest is logged as it is. */
static void test_many_writers(void **state)
{
	struct fixture *f = *state;
	char text[128];

	for (int i = 1; i < WRITERS; i++) {
		snprintf(text, sizeof(text), "part%d", i);
		f->known[i] = put_by_child(f, text);
		stderr_read(f->relay, START);
	}
	assert_string_equal(capture_next(), "");
	put(f, "mine", 4);
	stderr_read(f->relay, START);
	assert_string_equal(capture_next(),
			    "6stderr service=s conn=2 pid=4001 text=part1");
	assert_string_equal(capture_next(), "");
	put(f, "!\n", 2);
	stderr_read(f->relay, START);
	assert_string_equal(capture_next(),
			    "6stderr service=s conn=1 pid=4000 text=mine!");
	stderr_finish(f->relay);
	for (int i = 2; i < WRITERS; i++) {
		snprintf(text, sizeof(text),
			 "6stderr service=s conn=%d pid=%d text=part%d", i + 1, 4000 + i,
			 i);
		assert_string_equal(capture_next(), text);
	}
	assert_string_equal(capture_next(), "");
}

/* Writes lines and counts those that are logged. */
static unsigned flood(const struct fixture *f, unsigned lines, int64_t now)
{
	unsigned logged = 0;

	for (; lines > 0; lines--) {
		put(f, "line\n", 5);
		stderr_read(f->relay, now);
		logged += strcmp(capture_next(),
				 "6stderr service=s conn=1 pid=4000 text=line") == 0;
	}
	return logged;
}

/* 1,000 lines a second; what is more is dropped, and counted a second later. */
static void test_flood(void **state)
{
	struct fixture *f = *state;
	int64_t end = START + NSEC_PER_SEC;

	assert_int_equal(stderr_due(f->relay), CLOCK_NEVER);
	assert_int_equal(flood(f, 1000, START), 1000);
	assert_int_equal(stderr_due(f->relay), CLOCK_NEVER);
	assert_int_equal(flood(f, 300, START + 1), 0);
	assert_int_equal(flood(f, 200, end - 1), 0);
	assert_int_equal(stderr_due(f->relay), end);
	stderr_tick(f->relay, end - 1);
	assert_string_equal(capture_next(), "");
	stderr_tick(f->relay, end);
	assert_string_equal(capture_next(), "4drop service=s stderr-lines=500");
	assert_int_equal(f->dropped, 500);
	assert_int_equal(stderr_due(f->relay), CLOCK_NEVER);
	assert_int_equal(flood(f, 1001, end + 1), 1000);
	stderr_finish(f->relay);
	assert_string_equal(capture_next(), "4drop service=s stderr-lines=1");
}

/* The end of file, when a handler has shut the pair down. */
static void test_end_of_file(void **state)
{
	struct fixture *f = *state;

	assert_true(stderr_read(f->relay, START));
	put(f, "last", 4);
	assert_int_equal(shutdown(f->in, SHUT_WR), 0);
	assert_false(stderr_read(f->relay, START));
	stderr_finish(f->relay);
	assert_string_equal(capture_next(),
			    "6stderr service=s conn=1 pid=4000 text=last");
}

/* Descriptors that a handler sends are rejected, by kernels that can, or closed. */
static void test_descriptors(void **state)
{
	struct fixture *f = *state;
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec part = {(char[]){"text\n"}, 5};
	struct msghdr msg = {.msg_iov = &part,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	int fd[2];
	ssize_t sent;
	char byte;

	assert_int_equal(pipe(fd), 0);
	control.head = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
	memcpy(CMSG_DATA(&control.head), &fd[1], sizeof(int));
	sent = sendmsg(f->in, &msg, 0);
	assert_true(sent == 5 || errno == EPERM);
	close(fd[1]);
	assert_true(stderr_read(f->relay, START));
	assert_string_equal(capture_next(),
			    sent == 5 ? "6stderr service=s conn=1 pid=4000 text=text"
				      : "");
	assert_int_equal(read(fd[0], &byte, 1), 0);
	close(fd[0]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_pair),         TEST(test_lines),
		TEST(test_long_lines),   TEST(test_long_escaped),
		TEST(test_interleaved),  TEST(test_unknown_writer),
		TEST(test_many_writers), TEST(test_flood),
		TEST(test_end_of_file),  TEST(test_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
