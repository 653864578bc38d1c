/*
 * display.c: tables and JSON.
 */
#include "display.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS 12

const char *display_age(double seconds, char text[DISPLAY_AGE])
{
	long s = seconds > 0 && seconds < 1e12 ? (long)seconds : 0;

	if (s < 60)
		snprintf(text, DISPLAY_AGE, "%lds", s);
	else if (s < 3600)
		snprintf(text, DISPLAY_AGE, "%ldm%02lds", s / 60, s % 60);
	else if (s < 86400)
		snprintf(text, DISPLAY_AGE, "%ldh%02ldm", s / 3600, s / 60 % 60);
	else
		snprintf(text, DISPLAY_AGE, "%ldd%02ldh", s / 86400, s / 3600 % 24);
	return text;
}

const char *display_user(const char *uid)
{
	const struct passwd *pw = getpwuid((uid_t)strtoul(uid, NULL, 10));

	return pw != NULL ? pw->pw_name : uid;
}

/* ---- Tables ------------------------------------------------------------------------------ */

/* Cells row by row; `right` has a letter for each column: l or r. */
struct grid {
	const char *align;
	size_t columns, count;
	char **cells;
};

static void put(struct grid *g, const char *text)
{
	char **more = reallocarray(g->cells, g->count + 1, sizeof(*more));

	if (more == NULL || (more[g->count] = strdup(text)) == NULL) {
		perror("udsctl");
		exit(1);
	}
	g->cells = more;
	g->count++;
}

static void print(struct grid *g)
{
	int width[COLUMNS] = {0};

	for (size_t i = 0; i < g->count; i++)
		if (width[i % g->columns] < (int)strlen(g->cells[i]))
			width[i % g->columns] = (int)strlen(g->cells[i]);
	for (size_t i = 0; i < g->count; i++) {
		size_t column = i % g->columns;
		bool last = column == g->columns - 1;
		int w = width[column];

		if (g->align[column] == 'l')
			printf("%-*s%s", last ? 0 : w, g->cells[i], last ? "\n" : "  ");
		else
			printf("%*s%s", w, g->cells[i], last ? "\n" : "  ");
		free(g->cells[i]);
	}
	free(g->cells);
}

/* A row of titles, cut at spaces. */
static struct grid grid_of(const char *align, const char *titles)
{
	struct grid g = {.align = align, .columns = strlen(align)};
	char text[256], *rest = text, *title;

	snprintf(text, sizeof(text), "%s", titles);
	while ((title = strsep(&rest, " ")) != NULL)
		put(&g, title);
	return g;
}

/* rule:3,rate:1, with these between; `none` if nobody was rejected. */
static const char *rejected(const struct record *r, const char *colon, const char *comma,
			    const char *none)
{
	static char text[256];
	size_t len = 0;

	for (size_t i = 0; i < r->count && len < sizeof(text) - 64; i++)
		if (strncmp(r->keys[i], "rejected-", 9) == 0 &&
		    strcmp(r->values[i], "0") != 0)
			len += (size_t)snprintf(text + len, sizeof(text) - len,
						"%s%s%s%.20s", len > 0 ? comma : "",
						r->keys[i] + 9, colon, r->values[i]);
	return len > 0 ? text : none;
}

static const char *state(const struct record *r)
{
	static char text[64];
	char age[DISPLAY_AGE];

	if (*record_get(r, "retry") == '\0')
		return record_get(r, "state");
	snprintf(text, sizeof(text), "%.30s %s", record_get(r, "state"),
		 display_age(record_number(r, "retry") + 1, age));
	return text;
}

static bool is_true(const struct record *r, const char *key)
{
	return strcmp(record_get(r, key), "true") == 0;
}

void display_status(const struct records *rs)
{
	static const char *const keys[] = {"live", "limit", "peak", "total"};
	struct grid g = grid_of("llrrrrlrrrl", "SERVICE STATE LIVE LIMIT PEAK TOTAL "
					       "REJECTED FAILED WORKER UPTIME SOCKET");
	char age[DISPLAY_AGE];

	for (size_t i = 0; i < rs->count; i++) {
		const struct record *r = &rs->list[i];

		if (strcmp(r->verb, "status") != 0)
			continue;
		put(&g, record_get(r, "service"));
		put(&g, state(r));
		for (size_t k = 0; k < 4; k++) /* wait: only the handler could tell */
			put(&g, is_true(r, "wait") ? "-" : record_get(r, keys[k]));
		put(&g, rejected(r, ":", ",", "-"));
		put(&g, record_get(r, "failures"));
		put(&g, record_number(r, "worker") > 0 ? record_get(r, "worker") : "-");
		put(&g, display_age(record_number(r, "uptime"), age));
		put(&g, record_get(r, "socket"));
	}
	print(&g);
}

static void detail(const struct record *r)
{
	char age[DISPLAY_AGE];

	printf("%s: %s\n", record_get(r, "service"), state(r));
	printf("  socket       %s, for %s\n", record_get(r, "socket"),
	       display_age(record_number(r, "uptime"), age));
	printf("  %s      %s\n", is_true(r, "wait") ? "handler" : "worker ",
	       record_number(r, "worker") > 0 ? record_get(r, "worker") : "none");
	if (is_true(r, "wait"))
		return;
	printf("  live         %s of %s, at most %s at once so far\n",
	       record_get(r, "live"), record_get(r, "limit"), record_get(r, "peak"));
	printf("  connections  %s; those that have ended took %s s\n",
	       record_get(r, "total"), record_get(r, "seconds"));
	printf("  rejected     %s\n", rejected(r, " ", ", ", "nobody"));
	printf("  failures     %s handlers not started, %s clients gone before theirs was\n",
	       record_get(r, "failures"), record_get(r, "gone"));
	printf("  dropped      %s lines of the log, %s of standard error\n",
	       record_get(r, "log-dropped"), record_get(r, "stderr-dropped"));
}

void display_detail(const struct records *rs)
{
	for (size_t i = 0; i < rs->count; i++) {
		const struct record *r = &rs->list[i];

		if (strcmp(r->verb, "status") == 0)
			detail(r);
		else if (strcmp(r->verb, "exits") == 0)
			printf("  ended        %s %s\n", record_get(r, "status"),
			       record_get(r, "count"));
	}
}

void display_list(const struct records *rs)
{
	struct grid g = grid_of("lrrlrrl", "SERVICE CONN PID USER PEER-PID AGE RULE");
	char age[DISPLAY_AGE];

	for (size_t i = 0; i < rs->count; i++) {
		const struct record *r = &rs->list[i];

		put(&g, record_get(r, "service"));
		put(&g, record_get(r, "conn"));
		put(&g, record_get(r, "pid"));
		put(&g, display_user(record_get(r, "peer-uid")));
		put(&g, record_get(r, "peer-pid"));
		put(&g, display_age(record_number(r, "age"), age));
		put(&g, record_get(r, "rule"));
	}
	print(&g);
}

/* ---- JSON ---------------------------------------------------------------------------------- */

/* What the log escaped stays so; a backslash of it becomes two. */
static void put_json(const char *text)
{
	putchar('"');
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
	putchar('"');
}

static bool is_number(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	return digits > 0 &&
	       (text[digits] == '\0' ||
		(text[digits] == '.' &&
		 strspn(text + digits + 1, "0123456789") == strlen(text + digits + 1)));
}

static bool is_text(const char *key)
{
	static const char *const keys[] = {"service", "socket", "rule", "version"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (strcmp(key, keys[i]) == 0)
			return true;
	return false;
}

static void put_pairs(const struct record *r)
{
	for (size_t i = 0; i < r->count; i++) {
		printf("%s", i > 0 ? ", " : "");
		put_json(r->keys[i]);
		printf(": ");
		if (!is_text(r->keys[i]) &&
		    (is_number(r->values[i]) || strcmp(r->values[i], "true") == 0))
			printf("%s", r->values[i]);
		else
			put_json(r->values[i]);
	}
}

/* The exits records that follow a service's. */
static size_t put_exits(const struct records *rs, size_t i)
{
	const char *comma = "";

	printf(", \"exits\": {");
	for (; i < rs->count && strcmp(rs->list[i].verb, "exits") == 0; i++) {
		printf("%s", comma);
		put_json(record_get(&rs->list[i], "status"));
		printf(": %s", record_get(&rs->list[i], "count"));
		comma = ", ";
	}
	putchar('}');
	return i;
}

void display_json_status(const struct records *rs)
{
	const char *comma = "\n";
	size_t i = 0;

	printf("{\"udsd\": {");
	if (rs->count > 0 && strcmp(rs->list[0].verb, "udsd") == 0)
		put_pairs(&rs->list[i++]);
	printf("}, \"services\": [");
	while (i < rs->count) {
		printf("%s  {", comma);
		put_pairs(&rs->list[i]);
		i = put_exits(rs, i + 1);
		putchar('}');
		comma = ",\n";
	}
	printf("\n]}\n");
}

void display_json_list(const struct records *rs)
{
	const char *comma = "\n";

	putchar('[');
	for (size_t i = 0; i < rs->count; i++) {
		printf("%s  {", comma);
		put_pairs(&rs->list[i]);
		printf(", \"peer-user\": ");
		put_json(display_user(record_get(&rs->list[i], "peer-uid")));
		putchar('}');
		comma = ",\n";
	}
	printf("\n]\n");
}
