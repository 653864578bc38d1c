/*
 * display.c: records as tables, as text on one service, and as JSON.
 *
 * A table is a list of columns, each a key and what makes a cell of its value. Whatever
 * an answer holds can be shown: it has been escaped (ask.c), and keys that are missing
 * are empty.
 */
#include "ctl/display.h"

#include "common/counters.h"
#include "common/protocol.h"

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

/* ---- Tables
 * ------------------------------------------------------------------------------ */

struct column {
	const char *title;
	const char *(*cell)(const struct record *r, const char *key);
	const char *key;
	bool right; /* numbers are aligned there */
};

static bool display_is_true(const struct record *r, const char *key)
{
	return strcmp(record_get(r, key), "true") == 0;
}

static const char *cell_age(const struct record *r, const char *key)
{
	static char age[DISPLAY_AGE];

	return display_age(record_number(r, key), age);
}

/* A user's name, or its number. */
static const char *cell_user(const struct record *r, const char *key)
{
	const char *uid = record_get(r, key);
	const struct passwd *pw = getpwuid((uid_t)strtoul(uid, NULL, 10));

	return pw != NULL ? pw->pw_name : uid;
}

/* With `wait` only the handler knows. */
static const char *cell_count(const struct record *r, const char *key)
{
	return display_is_true(r, KEY_WAIT) ? "-" : record_get(r, key);
}

static const char *cell_process(const struct record *r, const char *key)
{
	return record_number(r, key) > 0 ? record_get(r, key) : "-";
}

static const char *cell_state(const struct record *r, const char *key)
{
	static char text[64];
	char age[DISPLAY_AGE];

	if (*record_get(r, KEY_RETRY) == '\0')
		return record_get(r, key);
	snprintf(text, sizeof(text), "%.30s %s", record_get(r, key),
		 display_age(record_number(r, KEY_RETRY) + 1, age));
	return text;
}

/* rule:3,rate:1 */
static const char *cell_rejected(const struct record *r, const char *prefix)
{
	static char text[256];
	size_t len = 0, skip = strlen(prefix);

	for (size_t i = 0; i < r->count && len < sizeof(text) - 64; i++)
		if (strncmp(r->keys[i], prefix, skip) == 0 &&
		    strcmp(r->values[i], "0") != 0)
			len += (size_t)snprintf(text + len, sizeof(text) - len,
						"%s%s:%.20s", len > 0 ? "," : "",
						r->keys[i] + skip, r->values[i]);
	return len > 0 ? text : "-";
}

static void display_cell(const struct column *column, int width, bool last,
			 const char *text)
{
	if (column->right)
		printf("%*s", width, text);
	else
		printf("%-*s", last ? 0 : width, text);
	fputs(last ? "\n" : "  ", stdout);
}

/* The records with this word (NULL: all), each in columns as wide as they have to be. */
static void display_table(const struct records *rs, const char *verb,
			  const struct column *columns, size_t count)
{
	const struct record *r = NULL;
	int width[COLUMNS];

	for (size_t i = 0; i < count; i++)
		width[i] = (int)strlen(columns[i].title);
	while ((r = record_next(rs, r, verb)) != NULL)
		for (size_t i = 0; i < count; i++) {
			int len = (int)strlen(columns[i].cell(r, columns[i].key));

			width[i] = width[i] < len ? len : width[i];
		}
	for (size_t i = 0; i < count; i++)
		display_cell(&columns[i], width[i], i == count - 1, columns[i].title);
	while ((r = record_next(rs, r, verb)) != NULL)
		for (size_t i = 0; i < count; i++)
			display_cell(&columns[i], width[i], i == count - 1,
				     columns[i].cell(r, columns[i].key));
}

void display_status(const struct records *rs)
{
	static const struct column columns[] = {
		{"SERVICE", record_get, KEY_SERVICE, false},
		{"STATE", cell_state, KEY_STATE, false},
		{"LIVE", cell_count, KEY_LIVE, true},
		{"LIMIT", cell_count, KEY_LIMIT, true},
		{"PEAK", cell_count, "peak", true},
		{"TOTAL", cell_count, "total", true},
		{"REJECTED", cell_rejected, REJECT_KEY, false},
		{"FAILED", record_get, "failures", true},
		{"WORKER", cell_process, KEY_WORKER, true},
		{"UPTIME", cell_age, KEY_UPTIME, true},
		{"SOCKET", record_get, KEY_SOCKET, false},
	};

	display_table(rs, RECORD_STATUS, columns, sizeof(columns) / sizeof(*columns));
}

/* Without the supervisor's own record, which comes first if it is there. */
static struct records display_connections(const struct records *rs)
{
	bool first = rs->count > 0 && strcmp(rs->list[0].verb, RECORD_UDSD) == 0;

	return (struct records){.count = rs->count - first, .list = rs->list + first};
}

void display_list(const struct records *rs)
{
	static const struct column columns[] = {
		{"SERVICE", record_get, KEY_SERVICE, false},
		{"CONN", record_get, KEY_CONN, true},
		{"PID", record_get, KEY_PID, true},
		{"USER", cell_user, KEY_PEER_UID, false},
		{"PEER-PID", record_get, KEY_PEER_PID, true},
		{"AGE", cell_age, KEY_AGE, true},
		{"RULE", record_get, KEY_RULE, false},
	};
	struct records connections = display_connections(rs);

	display_table(&connections, NULL, columns, sizeof(columns) / sizeof(*columns));
}

/* ---- All there is to say of one
 * ----------------------------------------------------------- */

static void detail_service(const struct record *r)
{
	const char *worker = cell_process(r, KEY_WORKER);
	bool wait = display_is_true(r, KEY_WAIT);

	printf("%s: %s\n", record_get(r, KEY_SERVICE), cell_state(r, KEY_STATE));
	if (*record_get(r, KEY_ERROR) != '\0')
		printf("  why                  %s\n"
		       "  once it is fixed     udsctl enable %s\n",
		       record_get(r, KEY_ERROR), record_get(r, KEY_SERVICE));
	printf("  socket               %s, for %s\n", record_get(r, KEY_SOCKET),
	       cell_age(r, KEY_UPTIME));
	printf("  %s              %s\n", wait ? "handler" : "worker ", worker);
	if (wait)
		return;
	printf("  live                 %s of %s\n", record_get(r, KEY_LIVE),
	       record_get(r, KEY_LIMIT));
	for (size_t i = 0; i < counter_row_count; i++)
		if (*record_get(r, counter_rows[i].key) != '\0')
			printf("  %-20s %-9s %s\n", counter_rows[i].key,
			       record_get(r, counter_rows[i].key), counter_rows[i].help);
}

void display_detail(const struct records *rs)
{
	for (const struct record *r = NULL; (r = record_next(rs, r, NULL)) != NULL;) {
		if (strcmp(r->verb, RECORD_STATUS) == 0)
			detail_service(r);
		else if (strcmp(r->verb, RECORD_EXITS) == 0)
			printf("  ended %-14s %s\n", record_get(r, KEY_STATUS),
			       record_get(r, KEY_COUNT));
	}
}

/* ---- JSON
 * ---------------------------------------------------------------------------------- */

/* What the log escaped stays so; a backslash of it becomes two. */
static void json_text(const char *text)
{
	putchar('"');
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
	putchar('"');
}

/* Whether a value is written as it is: a number, or `true`. Names may look so, too. */
static bool json_is_literal(const char *key, const char *value)
{
	static const char *const names[] = {KEY_SERVICE, KEY_SOCKET, KEY_RULE,
					    KEY_VERSION, KEY_ERROR};
	size_t len = strlen(value), digits = strspn(value, "0123456789");

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(key, names[i]) == 0)
			return false;
	if (digits > 0 && value[digits] == '.')
		digits += 1 + strspn(value + digits + 1, "0123456789");
	return strcmp(value, "true") == 0 ||
	       (digits > 0 && digits == len && value[len - 1] != '.');
}

static void json_pairs(const struct record *r)
{
	for (size_t i = 0; i < r->count; i++) {
		printf("%s", i > 0 ? ", " : "");
		json_text(r->keys[i]);
		printf(": ");
		if (json_is_literal(r->keys[i], r->values[i]))
			printf("%s", r->values[i]);
		else
			json_text(r->values[i]);
	}
}

/* The exits records that follow a service's. */
static size_t json_exits(const struct records *rs, size_t i)
{
	const char *comma = "";

	printf(", \"exits\": {");
	for (; i < rs->count && strcmp(rs->list[i].verb, RECORD_EXITS) == 0; i++) {
		printf("%s", comma);
		json_text(record_get(&rs->list[i], KEY_STATUS));
		printf(": %s", record_get(&rs->list[i], KEY_COUNT));
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
	if (rs->count > 0 && strcmp(rs->list[0].verb, RECORD_UDSD) == 0)
		json_pairs(&rs->list[i++]);
	printf("}, \"services\": [");
	while (i < rs->count) {
		printf("%s  {", comma);
		json_pairs(&rs->list[i]);
		i = json_exits(rs, i + 1);
		putchar('}');
		comma = ",\n";
	}
	printf("\n]}\n");
}

void display_json_list(const struct records *rs)
{
	const struct records connections = display_connections(rs);
	const char *comma = "\n";

	putchar('[');
	for (const struct record *r = NULL; (r = record_next(&connections, r, NULL));) {
		printf("%s  {", comma);
		json_pairs(r);
		printf(", \"peer-user\": ");
		json_text(cell_user(r, KEY_PEER_UID));
		putchar('}');
		comma = ",\n";
	}
	printf("\n]\n");
}
