/*
 * top.c: asks each second, and shows rates and how full services are. The terminal is left as it was.
 */
#include "ctl/top.h"

#include "common/counters.h"
#include "ctl/display.h"
#include "common/protocol.h"

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

static volatile sig_atomic_t top_over;

static void top_note(int signal)
{
	top_over = top_over || signal != SIGWINCH; /* which only ends the wait */
}

/* The sum of all keys that begin so. */
static double top_sum(const struct record *r, const char *prefix)
{
	double n = 0;

	for (size_t i = 0; i < r->count; i++)
		if (strncmp(r->keys[i], prefix, strlen(prefix)) == 0)
			n += strtod(r->values[i], NULL);
	return n;
}

/* The same record a while ago; itself if it was not there. */
static const struct record *top_before(const struct records *rs, const struct record *r)
{
	const struct record *old = NULL;

	while ((old = record_next(rs, old, r->verb)) != NULL)
		if (strcmp(record_get(old, KEY_SERVICE), record_get(r, KEY_SERVICE)) == 0)
			return old;
	return r;
}

static void top_draw_head(const struct record *r, int width)
{
	char line[256], age[DISPLAY_AGE];

	snprintf(line, sizeof(line), "udsd %s, pid %s, up %s, %s services  (q quits)",
		 record_get(r, KEY_VERSION), record_get(r, KEY_PID),
		 display_age(record_number(r, KEY_UPTIME), age),
		 record_get(r, KEY_SERVICES));
	printf("\033[H%.*s\033[K\r\n\033[7m%.*s\033[K\033[0m\r\n", width, line, width,
	       TITLES);
}

static void top_draw_row(const struct record *r, const struct record *old, double seconds,
			 int width)
{
	double live = record_number(r, KEY_LIVE), limit = record_number(r, KEY_LIMIT);
	int full = live >= 0 && live < limit ? (int)(20 * live / limit + 0.999) : 20;
	char line[256];

	snprintf(line, sizeof(line), "%-20s %-11s %8.1f %8.1f %9.0f  %.20s %.0f of %.0f",
		 record_get(r, KEY_SERVICE), record_get(r, KEY_STATE),
		 (top_sum(r, "total") - top_sum(old, "total")) / seconds,
		 (top_sum(r, REJECT_KEY) - top_sum(old, REJECT_KEY)) / seconds,
		 record_number(r, "total"), &BAR[20 - full], live, limit);
	printf("%.*s\033[K\r\n", width, line);
}

static void top_draw(const struct records *rs, const struct records *old)
{
	const struct record *udsd = rs->list,
			    *r = NULL; /* it is sorted before all services */
	double seconds = record_number(udsd, KEY_UPTIME) -
			 record_number(top_before(old, udsd), KEY_UPTIME);
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row == 0)
		size = (struct winsize){.ws_row = 24, .ws_col = 80};
	top_draw_head(udsd, size.ws_col);
	/* beside the two rows above, one stays empty */
	for (int row = 3; row < size.ws_row; row++) {
		r = record_next(rs, r, RECORD_STATUS);
		if (r == NULL)
			break;
		top_draw_row(r, top_before(old, r), seconds > 0 ? seconds : 1,
			     size.ws_col);
	}
	printf("\033[J");
	fflush(stdout);
}

/* Waits a second, or for a key or a new size of the window. False: the user wants to end. */
static bool top_wait(void)
{
	struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
	char key = 0;

	if (poll(&p, 1, 1000) == 1 && read(STDIN_FILENO, &key, 1) <= 0)
		return false;
	return !top_over && key != 'q' && key != 'Q';
}

static struct answer top_loop(const char *socket)
{
	static const char *const words[] = {"status", NULL};
	struct answer a, old = {0};
	struct records rs, before = {0};

	while ((a = ask_records(socket, 5, words, &rs)).verdict == VERDICT_OK) {
		if (rs.count > 0)
			top_draw(&rs, &before);
		free(before.list);
		answer_free(&old);
		before = rs;
		old = a;
		if (!top_wait())
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
	const struct sigaction action = {.sa_handler = top_note};
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
	a = top_loop(socket);
	printf("\033[?25h\033[?1049l");
	fflush(stdout);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &was);
	return a;
}
