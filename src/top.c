/*
 * top.c: asks each second, and shows rates and how full services are. The terminal is left as it was.
 */
#include "top.h"

#include "display.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define BAR "####################...................."
#define TITLES "SERVICE              STATE         CONN/S REJECT/S     TOTAL  LIVE"

static volatile sig_atomic_t over;

static void note(int signal)
{
	over = over || signal != SIGWINCH; /* which only ends the wait */
}

/* The sum of all keys that begin so. */
static double sum(const struct record *r, const char *prefix)
{
	double n = 0;

	for (size_t i = 0; i < r->count; i++)
		if (strncmp(r->keys[i], prefix, strlen(prefix)) == 0)
			n += strtod(r->values[i], NULL);
	return n;
}

/* The same record a while ago; itself if it was not there. */
static const struct record *find(const struct records *rs, const struct record *like)
{
	for (size_t i = 0; i < rs->count; i++)
		if (strcmp(rs->list[i].verb, like->verb) == 0 &&
		    strcmp(record_get(&rs->list[i], "service"),
			   record_get(like, "service")) == 0)
			return &rs->list[i];
	return like;
}

static void draw_udsd(const struct record *r, int width)
{
	char line[256], age[DISPLAY_AGE];

	snprintf(line, sizeof(line), "udsd %s, pid %s, up %s, %s services  (q quits)",
		 record_get(r, "version"), record_get(r, "pid"),
		 display_age(sum(r, "uptime"), age), record_get(r, "services"));
	printf("\033[H%.*s\033[K\r\n\033[7m%.*s\033[K\033[0m\r\n", width, line, width,
	       TITLES);
}

static void draw(const struct record *r, const struct record *old, double seconds,
		 int width)
{
	double live = sum(r, "live"), limit = sum(r, "limit");
	int full = live >= 0 && live < limit ? (int)(20 * live / limit + 0.999) : 20;
	char line[256];

	snprintf(line, sizeof(line), "%-20s %-11s %8.1f %8.1f %9.0f  %.20s %.0f of %.0f",
		 record_get(r, "service"), record_get(r, "state"),
		 (sum(r, "total") - sum(old, "total")) / seconds,
		 (sum(r, "rejected-") - sum(old, "rejected-")) / seconds, sum(r, "total"),
		 &BAR[20 - full], live, limit);
	printf("%.*s\033[K\r\n", width, line);
}

static void draw_all(const struct records *rs, const struct records *old)
{
	struct winsize size;
	double seconds = sum(rs->list, "uptime") - sum(find(old, rs->list), "uptime");
	int rows = 3; /* the first two, and one that stays empty */

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row == 0)
		size = (struct winsize){.ws_row = 24, .ws_col = 80};
	draw_udsd(rs->list, size.ws_col); /* it is sorted before all services */
	for (size_t i = 1; i < rs->count && rows < size.ws_row; i++) {
		if (strcmp(rs->list[i].verb, "status") != 0)
			continue;
		draw(&rs->list[i], find(old, &rs->list[i]), seconds > 0 ? seconds : 1,
		     size.ws_col);
		rows++;
	}
	printf("\033[J");
	fflush(stdout);
}

/* Waits a second, or for a key or a new size of the window. False: it is enough. */
static bool go_on(void)
{
	struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
	char key = 0;

	if (poll(&p, 1, 1000) == 1 && read(STDIN_FILENO, &key, 1) <= 0)
		return false;
	return !over && key != 'q' && key != 'Q';
}

static struct answer show(const char *socket)
{
	static const char *const words[] = {"status", NULL};
	struct answer a, old = {0};
	struct records rs, before = {0};

	while ((a = ask_records(socket, 5, words, &rs)).verdict == VERDICT_OK) {
		if (rs.count > 0)
			draw_all(&rs, &before);
		free(before.list);
		answer_free(&old);
		before = rs;
		old = a;
		if (!go_on())
			break;
	}
	free(before.list);
	if (a.all != old.all)
		answer_free(&old);
	return a;
}

struct answer top(const char *socket)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH};
	const struct sigaction action = {.sa_handler = note};
	struct termios was, raw;
	struct answer a;

	tcgetattr(STDIN_FILENO, &was);
	raw = was;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VSUSP] = _POSIX_VDISABLE;
	for (int i = 0; i < 4; i++)
		sigaction(signals[i], &action, NULL);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw);
	printf("\033[?1049h\033[?25l"); /* another screen, without a cursor */
	a = show(socket);
	printf("\033[?25h\033[?1049l");
	fflush(stdout);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &was);
	return a;
}
