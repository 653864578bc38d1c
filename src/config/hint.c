/*
 * hint.c: near names among the words that an option takes, other spellings of units,
 * lists that were written as one text, and names of users and groups.
 *
 * Users and groups are looked for in the files only: a name service is not asked for all
 * that it has.
 */
#include "config/hint.h"

#include "common/near.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct {
	const char *unit; /* as others write it */
	bool size;
	int factor;
	const char *ours;
} units[] = {
	{"d", false, 24, "h"},      {"day", false, 24, "h"},   {"days", false, 24, "h"},
	{"w", false, 168, "h"},     {"h", false, 1, "h"},      {"hr", false, 1, "h"},
	{"hour", false, 1, "h"},    {"hours", false, 1, "h"},  {"m", false, 1, "m"},
	{"min", false, 1, "m"},     {"mins", false, 1, "m"},   {"minute", false, 1, "m"},
	{"minutes", false, 1, "m"}, {"s", false, 1, "s"},      {"sec", false, 1, "s"},
	{"secs", false, 1, "s"},    {"second", false, 1, "s"}, {"seconds", false, 1, "s"},
	{"ms", false, 1, "ms"},     {"msec", false, 1, "ms"},  {"b", true, 1, ""},
	{"bytes", true, 1, ""},     {"k", true, 1, "K"},       {"kb", true, 1, "K"},
	{"kib", true, 1, "K"},      {"m", true, 1, "M"},       {"mb", true, 1, "M"},
	{"mib", true, 1, "M"},      {"g", true, 1, "G"},       {"gb", true, 1, "G"},
	{"gib", true, 1, "G"},      {"t", true, 1024, "G"},    {"tb", true, 1024, "G"},
	{"tib", true, 1024, "G"}};
static const char *const all[] = {"unlimited", "infinite", "inf",     "none",
				  "max",       "-1",       "infinity"};

const char *hint_spelled(const char *text, bool size)
{
	static char spelled[40];
	size_t len = strspn(text, "0123456789");
	int64_t n = len > 0 && len < 10 ? atoll(text) : -1;
	const char *unit = text + len + strspn(text + len, " ");

	for (size_t i = 0; size && i < sizeof(all) / sizeof(*all); i++)
		if (strcasecmp(text, all[i]) == 0)
			return "infinity";
	for (size_t i = 0; n >= 0 && i < sizeof(units) / sizeof(*units); i++) {
		if (units[i].size != size || strcasecmp(unit, units[i].unit) != 0)
			continue;
		snprintf(spelled, sizeof(spelled), "%" PRId64 "%s", n * units[i].factor,
			 units[i].ours);
		return spelled;
	}
	return NULL;
}

/* Tries the words of an error that enumerates what can be written, but for those that are
 * not values. */
static void hint_words(struct near *near, const char *error)
{
	static char words[200];
	char *next = words;

	snprintf(words, sizeof(words), "%s", error);
	for (char *word; (word = strsep(&next, " ,:()")) != NULL;)
		if (strlen(word) > 3 && strcmp(word, "must") != 0)
			near_try(near, word);
}

const char *hint_list(const char *text)
{
	static char list[300];
	int len = snprintf(list, sizeof(list), ", a list is { "), room = sizeof(list);

	if (strpbrk(text, " ,\t") == NULL)
		return "";
	while (*(text += strspn(text, " ,\t")) != '\0' && len < room) {
		int word = (int)strcspn(text, " ,\t");

		len += snprintf(list + len, (size_t)(room - len), "%s\"%.*s\"",
				list[len - 2] == '{' ? "" : ", ", word, text);
		text += word;
	}
	if (len < room)
		len += snprintf(list + len, (size_t)(room - len), " }");
	return len < room ? list : "";
}

/* The nearest name in passwd(5) or group(5). */
static const char *hint_account(const char *text)
{
	bool group = strncmp(text, "group:", 6) == 0;
	const char *prefix = strchr(text, ':');
	struct near near = {.word = prefix != NULL ? prefix + 1 : text};
	static char names[64];
	char line[1024];
	FILE *f = fopen(group ? "/etc/group" : "/etc/passwd", "re");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		line[strcspn(line, ":\n")] = '\0';
		near_try(&near, line);
		if (near.name != line)
			continue;
		(void)snprintf(names, sizeof(names), "%.63s", line);
		near.name = names;
	}
	if (f != NULL)
		fclose(f);
	return near_hint(near.name);
}

/* A name without its kind, or with one that is misspelt. */
static const char *hint_rule(const char *text)
{
	static const char *const kinds[] = {"user", "group", "uid", "gid", NULL};
	static char rule[64];
	const char *name = strchr(text, ':'), *kind = "user";
	char word[16];

	snprintf(word, sizeof(word), "%.*s", (int)strcspn(text, ":"), text);
	if (name != NULL)
		kind = near_name(word, kinds, sizeof(*kinds));
	snprintf(rule, sizeof(rule), "%s:%.40s", kind != NULL ? kind : "",
		 name != NULL ? name + 1 : text);
	return near_hint(kind != NULL ? rule : NULL);
}

const char *hint_value(enum hint_kind kind, const char *text, size_t count,
		       const char *error, int lookup)
{
	struct near near = {.word = text};

	if (kind == HINT_LIST && count == 1 && strpbrk(text, " ,\t") != NULL)
		return hint_list(text);
	if (lookup == ENOENT)
		return hint_account(text);
	if (lookup != 0)
		return "";
	if (kind == HINT_LIST && strncmp(error, "must be user:", 13) == 0)
		return hint_rule(text);
	if (kind == HINT_SIZE || kind == HINT_DURATION) {
		near.name = hint_spelled(text, kind == HINT_SIZE);
		return near_hint(near.name != NULL && strcmp(near.name, text) != 0
					 ? near.name
					 : NULL);
	}
	if (kind == HINT_BOOL && (strcmp(text, "1") == 0 || strcmp(text, "0") == 0))
		return near_hint(*text == '1' ? "true" : "false");
	if (kind == HINT_BOOL || kind == HINT_WORDS)
		hint_words(&near, error);
	return near_hint(near.name);
}
