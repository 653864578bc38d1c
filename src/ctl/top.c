/*
 * top.c: asks each second, and shows rates and how full services are, the busiest first.
 *
 * It goes on while udsd is upgraded, restarted or does not answer, and says so. Rates are
 * by our own clock; those of a supervisor that was restarted begin anew. A frame is drawn
 * over the last one, and fits the terminal, whatever its size. The terminal is left as it
 * was.
 */
#include "ctl/top.h"

#include "common/clock.h"
#include "common/counters.h"
#include "ctl/display.h"
#include "common/protocol.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define ASK_SECONDS 2
#define NOTE_TIME (10 * NSEC_PER_SEC)
#define BAR "####################...................."
#define BAR_WIDTH 20 /* of half of it */
#define BAR_LEAST 5
#define NAME_WIDTH 20
#define NAME_LEAST 8
#define LINE_BYTES 512

/* An answer, and when it came. */
struct sample {
	struct answer answer;
	struct records records;
	int64_t at;
};

struct row {
	const struct record *record;
	double connections, rejections; /* a second */
};

/* How wide columns are; 0: there is no room for it. */
struct layout {
	int name, state, connections, rejections, total, bar, live;
};

struct top {
	const char *socket;
	struct sample now, before;
	struct row *rows;
	size_t count;
	char note[LINE_BYTES]; /* what has happened */
	int64_t note_until;
	struct winsize size;
	/* the last column stays empty: what comes behind it depends on the terminal */
	int width;
	int line; /* of the frame that is drawn */
};

static volatile sig_atomic_t top_over;

static void top_note_signal(int signal)
{
	top_over = top_over || signal != SIGWINCH; /* which only ends the wait */
}

/* ---- What there is to show
 * ----------------------------------------------------------------- */

static void sample_free(struct sample *s)
{
	free(s->records.list);
	answer_free(&s->answer);
	*s = (struct sample){0};
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
static const struct record *top_before(const struct top *t, const struct record *r)
{
	const struct record *old = NULL;

	while ((old = record_next(&t->before.records, old, r->verb)) != NULL)
		if (strcmp(record_get(old, KEY_SERVICE), record_get(r, KEY_SERVICE)) == 0)
			return old;
	return r;
}

/* Rates do not fall below 0, where a service was removed and is there again. */
static double top_rate(const struct top *t, const struct record *r, const char *prefix)
{
	double seconds = (double)(t->now.at - t->before.at) / NSEC_PER_SEC;
	double n = top_sum(r, prefix) - top_sum(top_before(t, r), prefix);

	return n > 0 && seconds > 0 ? n / seconds : 0;
}

/* The busiest first; equals stay in the order of their names. */
static int top_compare(const void *va, const void *vb)
{
	const struct row *a = va, *b = vb;
	double x = a->connections + a->rejections, y = b->connections + b->rejections;

	if (x != y)
		return x < y ? 1 : -1;
	return strcmp(record_get(a->record, KEY_SERVICE),
		      record_get(b->record, KEY_SERVICE));
}

static void top_sort(struct top *t)
{
	struct row *rows = calloc(t->now.records.count + 1, sizeof(*rows));

	free(t->rows);
	t->rows = rows;
	t->count = 0;
	if (rows == NULL)
		return;
	for (const struct record *r = NULL;
	     (r = record_next(&t->now.records, r, RECORD_STATUS)) != NULL;)
		rows[t->count++] = (struct row){r, top_rate(t, r, "total"),
						top_rate(t, r, REJECT_KEY)};
	qsort(rows, t->count, sizeof(*rows), top_compare);
}

static void top_say(struct top *t, int64_t until, const char *text, const char *more)
{
	snprintf(t->note, sizeof(t->note), "%s%s", text, more);
	t->note[strcspn(t->note, "\n")] = '\0';
	t->note_until = until;
}

/* Whether the counters go on; says what else has happened. */
static bool top_is_same(struct top *t, const struct record *udsd)
{
	const struct record *old = top_before(t, udsd);
	bool same = strcmp(record_get(old, KEY_PID), record_get(udsd, KEY_PID)) == 0;
	bool younger = record_number(udsd, KEY_UPTIME) < record_number(old, KEY_UPTIME);

	if (!same)
		top_say(t, t->now.at + NOTE_TIME, "udsd was restarted", "");
	else if (younger)
		top_say(t, t->now.at + NOTE_TIME, "udsd was upgraded", "");
	else if (t->note_until == CLOCK_NEVER)
		t->note_until = 0; /* it answers again */
	if (*record_get(udsd, KEY_STOPPING) != '\0')
		top_say(t, CLOCK_NEVER, record_get(udsd, KEY_STOPPING), "");
	return same;
}

/* A new sample; the last one stays if there is none. The verdict of the answer. */
static enum verdict top_ask(struct top *t)
{
	static const char *const words[] = {"status", NULL};
	struct sample new = {0};
	const struct record *udsd;

	new.answer = ask_records(t->socket, ASK_SECONDS, words, &new.records);
	new.at = clock_now();
	if (new.answer.verdict != VERDICT_OK) {
		enum verdict verdict = new.answer.verdict;

		top_say(t, CLOCK_NEVER, "trying again: ",
			new.answer.text != NULL ? new.answer.text : "out of memory");
		if (t->now.at == 0) /* the first one: our caller says why */
			t->now = new;
		else
			sample_free(&new);
		return verdict;
	}
	sample_free(&t->before);
	t->before = t->now;
	t->now = new;
	udsd = record_next(&t->now.records, NULL, RECORD_UDSD);
	if (udsd != NULL && t->before.at != 0 && !top_is_same(t, udsd))
		sample_free(&t->before);
	top_sort(t);
	return VERDICT_OK;
}

/* ---- A frame
 * ------------------------------------------------------------------------------- */

static int top_width(const struct layout *l)
{
	return l->name + l->state + l->connections + l->rejections + l->total + l->bar +
	       l->live;
}

/* Takes from a column what is too much, down to `least`; below that all of it. */
static void top_shrink(const struct layout *l, int *column, int least, int width)
{
	int excess = top_width(l) - width;

	if (excess > 0)
		*column = *column - excess >= least ? *column - excess : least;
}

static void top_drop(const struct layout *l, int *column, int width)
{
	if (top_width(l) > width)
		*column = 0;
}

static int top_live(const struct record *r, char text[64])
{
	return snprintf(text, 64, "%.0f of %.0f", record_number(r, KEY_LIVE),
			record_number(r, KEY_LIMIT));
}

/* Columns with the blanks in front of them. What says most of activity goes last. */
static struct layout top_layout(const struct top *t)
{
	struct layout l = {NAME_WIDTH, 12, 9, 9, 10, BAR_WIDTH + 1, 6};
	int width = t->width;
	char text[64];

	for (size_t i = 0; i < t->count; i++) {
		int live = top_live(t->rows[i].record, text) + 1;

		l.live = live > l.live && live < 32 ? live : l.live;
	}
	l.live++;
	top_shrink(&l, &l.bar, 0, width);
	if (l.bar <= BAR_LEAST)
		l.bar = 0;
	top_shrink(&l, &l.name, NAME_LEAST, width);
	top_drop(&l, &l.total, width);
	top_drop(&l, &l.state, width);
	top_drop(&l, &l.live, width);
	top_drop(&l, &l.rejections, width);
	return l;
}

/* The next line, unless the frame is full; what does not fit is cut. */
static void top_line(struct top *t, const char *text, bool inverse)
{
	if (t->line >= t->size.ws_row)
		return;
	printf("%s%s\033[K%.*s%s", t->line++ > 0 ? "\r\n" : "", inverse ? "\033[7m" : "",
	       t->width, text, inverse ? "\033[0m" : "");
}

static void top_draw_head(struct top *t)
{
	const struct record *r =
		t->now.records.list; /* it is sorted before all services */
	char line[LINE_BYTES], age[DISPLAY_AGE];

	if (t->now.records.count == 0)
		return;
	snprintf(line, sizeof(line), "udsd %s, pid %s, up %s, %s services  (q quits)",
		 record_get(r, KEY_VERSION), record_get(r, KEY_PID),
		 display_age(record_number(r, KEY_UPTIME), age),
		 record_get(r, KEY_SERVICES));
	top_line(t, line, false);
}

static void top_draw_titles(struct top *t, const struct layout *l)
{
	char line[LINE_BYTES];

	snprintf(line, sizeof(line), "%-*s%-*.*s%*.*s%*.*s%*.*s%s%.*s", l->name,
		 "SERVICE", l->state, l->state, " STATE", l->connections, l->connections,
		 "CONN/S", l->rejections, l->rejections, "REJECT/S", l->total, l->total,
		 "TOTAL", l->live > 0 ? "  " : "", l->live, "LIVE");
	top_line(t, line, true);
}

/* "  ######.... 3 of 5" */
static int top_put_live(char *to, size_t size, const struct record *r,
			const struct layout *l)
{
	double live = record_number(r, KEY_LIVE), limit = record_number(r, KEY_LIMIT);
	int width = l->bar > 0 ? l->bar - 1 : 0, full = width;
	char text[64];

	if (live >= 0 && live < limit)
		full = (int)(width * live / limit + 0.999);
	(void)top_live(r, text);
	return snprintf(to, size, "  %.*s%s%s", width, &BAR[BAR_WIDTH - full],
			width > 0 ? " " : "", text);
}

static void top_draw_row(struct top *t, const struct layout *l, const struct row *row)
{
	const struct record *r = row->record;
	const char *name = record_get(r, KEY_SERVICE);
	bool cut = strlen(name) > (size_t)l->name;
	char line[LINE_BYTES];
	int n = snprintf(line, sizeof(line), "%-*.*s%s", l->name - cut, l->name - cut,
			 name, cut ? "~" : "");

	if (l->state > 0)
		n += snprintf(line + n, sizeof(line) - (size_t)n, " %-11.11s",
			      record_get(r, KEY_STATE));
	n += snprintf(line + n, sizeof(line) - (size_t)n, " %8.1f", row->connections);
	if (l->rejections > 0)
		n += snprintf(line + n, sizeof(line) - (size_t)n, " %8.1f",
			      row->rejections);
	if (l->total > 0 && n < LINE_BYTES)
		n += snprintf(line + n, sizeof(line) - (size_t)n, " %9.0f",
			      record_number(r, "total"));
	if (l->live > 0 && n < LINE_BYTES)
		(void)top_put_live(line + n, sizeof(line) - (size_t)n, r, l);
	top_line(t, line, false);
}

static void top_draw_rows(struct top *t)
{
	struct layout l = top_layout(t);
	size_t room, shown;
	char line[64];

	top_draw_titles(t, &l);
	room = t->size.ws_row > t->line ? (size_t)(t->size.ws_row - t->line) : 0;
	shown = t->count <= room ? t->count : room > 0 ? room - 1 : 0;
	for (size_t i = 0; i < shown; i++)
		top_draw_row(t, &l, &t->rows[i]);
	snprintf(line, sizeof(line), "%zu more service%s", t->count - shown,
		 t->count - shown == 1 ? " does not fit" : "s do not fit");
	if (shown < t->count)
		top_line(t, line, false);
}

static void top_draw(struct top *t)
{
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &t->size) < 0 || t->size.ws_row == 0 ||
	    t->size.ws_col == 0)
		t->size = (struct winsize){.ws_row = 24, .ws_col = 80};
	t->width = t->size.ws_col > 1 ? t->size.ws_col - 1 : 1;
	t->line = 0;
	printf("\033[H");
	top_draw_head(t);
	if (clock_now() < t->note_until)
		top_line(t, t->note, false);
	top_draw_rows(t);
	printf("\033[J");
	fflush(stdout);
}

/* ---- The loop
 * ------------------------------------------------------------------------------ */

/* Waits a second; draws again for a new size of the window. False: the user wants to
 * end. */
static bool top_wait(struct top *t)
{
	struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
	int64_t now, until = clock_now() + NSEC_PER_SEC;
	char key = 0;

	while (!top_over && (now = clock_now()) < until) {
		int n = poll(&p, 1, clock_timeout(now, until));

		if (n < 0 && errno == EINTR && !top_over)
			top_draw(t);
		if (n == 1 &&
		    (read(STDIN_FILENO, &key, 1) <= 0 || key == 'q' || key == 'Q'))
			return false;
	}
	return !top_over;
}

static void top_run(struct top *t)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH};
	const struct sigaction action = {.sa_handler = top_note_signal};
	struct termios was, raw;

	tcgetattr(STDIN_FILENO, &was);
	raw = was;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VSUSP] = _POSIX_VDISABLE;
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		sigaction(signals[i], &action, NULL);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw);
	printf("\033[?1049h\033[?25l"); /* another screen, without a cursor */
	top_draw(t);
	while (top_wait(t)) {
		(void)top_ask(t);
		top_draw(t);
	}
	printf("\033[?25h\033[?1049l");
	fflush(stdout);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &was);
}

struct answer top(const char *socket)
{
	struct top t = {.socket = socket};
	struct answer a;

	if (top_ask(&t) == VERDICT_OK)
		top_run(&t);
	sample_free(&t.before);
	free(t.rows);
	free(t.now.records.list);
	a = t.now.answer;
	return a;
}
