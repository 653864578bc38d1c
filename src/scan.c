/*
 * scan.c: walks a config text before libconfuse parses it.
 *
 * A tokenizer with the rules of libconfuse's lexer, but stricter, and a walker of statements:
 *     name = value        name = { value, ... }        name title { statements }
 * Invariant: a text that passes is one that libconfuse parses to its very end.
 */
#include "scan.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum token {
	TOKEN_END,
	TOKEN_WORD,
	TOKEN_STRING,
	TOKEN_PUNCTUATION, /* one of { } = , */
	TOKEN_BAD,         /* reported */
};

struct walk {
	struct scan *scan;
	struct faults *faults;
	scan_known *known;
	char *at, *end;
	unsigned line;       /* of `at` */
	size_t section;      /* the mark of the section we are in, SIZE_MAX: in none */
	enum token token;    /* the current one */
	char *start;         /* where it begins */
	size_t len;          /* its bytes, without quotes */
	unsigned token_line; /* where it begins */
};

static void bad(struct walk *w, unsigned line, const char *what)
{
	if (w->token != TOKEN_BAD)
		fault_add(w->faults, w->scan->file, line, "%s", what);
	w->token = TOKEN_BAD;
}

static bool starts(const struct walk *w, const char *s)
{
	size_t len = strlen(s);

	return (size_t)(w->end - w->at) >= len && memcmp(w->at, s, len) == 0;
}

/* Overwrites text that libconfuse is not to see, but keeps the lines. */
static void blank(char *from, const char *to)
{
	for (; from < to; from++)
		if (*from != '\n')
			*from = ' ';
}

/* Skips white space and comments; false if a comment does not end. Comments are overwritten:
 * libconfuse does not take them inside of lists. */
static bool skip_blanks(struct walk *w)
{
	while (w->at < w->end) {
		unsigned line = w->line;
		char *start = w->at;

		if (*w->at == '\n') {
			w->line++;
			w->at++;
		} else if (strchr(" \t\r", *w->at) != NULL && *w->at != '\0') {
			w->at++;
		} else if (*w->at == '#' || starts(w, "//")) {
			while (w->at < w->end && *w->at != '\n')
				w->at++;
			blank(start, w->at);
		} else if (starts(w, "/*")) {
			for (w->at += 2; w->at < w->end && !starts(w, "*/"); w->at++)
				w->line += *w->at == '\n';
			if (w->at == w->end) {
				bad(w, line, "this comment does not end");
				return false;
			}
			w->at += 2;
			blank(start, w->at);
		} else {
			break;
		}
	}
	return true;
}

/* Whether the escape at w->at stands for a byte 0, which would cut the string in silence. */
static bool is_zero(const struct walk *w)
{
	const char *digits = w->at + 1;
	bool hex = *digits == 'x';
	size_t len;

	digits += hex;
	len = strspn(digits, hex ? "0123456789abcdefABCDEF" : "01234567");
	if (len > (hex ? 2U : 3U))
		len = hex ? 2 : 3;
	return len > 0 && strspn(digits, "0") >= len;
}

static void read_string(struct walk *w)
{
	char quote = *w->at++;

	w->token = TOKEN_STRING;
	w->start = w->at;
	while (w->at < w->end && *w->at != quote) {
		if (quote == '"' && starts(w, "${"))
			bad(w, w->line,
			    "${ is refused: the environment does not change a config");
		if (quote == '"' && *w->at == '\\' && is_zero(w))
			bad(w, w->line, "a byte 0 in a string");
		if (*w->at == '\\' && w->at + 1 < w->end)
			w->at++;
		w->line += *w->at == '\n';
		w->at++;
	}
	if (w->at >= w->end) {
		bad(w, w->token_line, "this string does not end");
		return;
	}
	w->len = (size_t)(w->at++ - w->start);
}

static void read_word(struct walk *w)
{
	w->token = TOKEN_WORD;
	w->start = w->at;
	while (w->at < w->end && strchr(" #\"'\t\n\r={}()+,", *w->at) == NULL) {
		if (starts(w, "${"))
			bad(w, w->line,
			    "${ is refused: the environment does not change a config");
		if (*w->at == '*' || starts(w, "//"))
			bad(w, w->line,
			    "* and // are taken for comments: quote this word");
		w->at++;
	}
	w->len = (size_t)(w->at - w->start);
	if (w->len == 0)
		bad(w, w->line, "a character that has no meaning here");
}

static enum token next(struct walk *w)
{
	if (w->token == TOKEN_BAD || !skip_blanks(w))
		return w->token;
	w->token_line = w->line;
	w->start = w->at;
	w->len = 1;
	if (w->at == w->end) {
		w->token = TOKEN_END;
	} else if (strchr("{}=,", *w->at) != NULL && *w->at != '\0') {
		w->token = TOKEN_PUNCTUATION;
		w->at++;
	} else if (starts(w, "+=")) {
		w->token = TOKEN_PUNCTUATION;
		w->start++; /* the same as =, but may come again */
		w->at += 2;
	} else if (*w->at == '"' || *w->at == '\'') {
		read_string(w);
	} else {
		read_word(w);
	}
	return w->token;
}

static bool is(const struct walk *w, char c)
{
	return w->token == TOKEN_PUNCTUATION && *w->start == c;
}

static bool is_value(const struct walk *w)
{
	return w->token == TOKEN_WORD || w->token == TOKEN_STRING;
}

/* Notes an option (title NULL) or the beginning of a section. */
static void mark(struct walk *w, bool top, const char *name, const char *title,
		 unsigned line)
{
	struct scan *s = w->scan;
	struct scan_mark *more = reallocarray(s->marks, s->count + 1, sizeof(*more));

	if (more == NULL) {
		bad(w, line, "no memory left");
		return;
	}
	s->marks = more;
	more += s->count;
	*more = (struct scan_mark){top, strdup(name),
				   title != NULL ? strdup(title) : NULL, line};
	if (more->name == NULL || (title != NULL && more->title == NULL)) {
		free(more->name);
		bad(w, line, "no memory left");
		return;
	}
	s->count++;
}

static void already(struct walk *w, unsigned line, const char *what, const char *name,
		    unsigned before)
{
	fault_add(w->faults, w->scan->file, line, "%s %s is there already, on line %u",
		  what, name, before);
}

/* The rest of a list, up to its closing brace. */
static void walk_list(struct walk *w, const char *name)
{
	if (next(w) == TOKEN_PUNCTUATION && is(w, '}'))
		return;
	while (is_value(w)) {
		next(w);
		if (is(w, '}'))
			return;
		if (!is(w, ','))
			break;
		next(w);
	}
	if (w->token != TOKEN_BAD)
		fault_add(
			w->faults, w->scan->file, w->token_line,
			"%s: the list does not end, or a comma is missing or out of place",
			name);
	w->token = TOKEN_BAD;
}

/* The value after `=`: one word or string, or a list of them in braces. */
static void walk_value(struct walk *w, const char *name)
{
	next(w);
	if (is(w, '{'))
		walk_list(w, name);
	else if (!is_value(w))
		bad(w, w->token_line, "a value is missing after =");
}

static void walk_option(struct walk *w, const char *section, const char *name,
			char *start, unsigned line)
{
	bool append = w->start > start && w->start[-1] == '+';
	unsigned before;

	walk_value(w, name);
	if (w->token == TOKEN_BAD)
		return;
	if (w->known(section, name)) {
		before = scan_line(w->scan, w->section, name);
		if (before == 0) {
			mark(w, *section == '\0', name, NULL, line);
			return;
		}
		if (append)
			return;
		already(w, line, "option", name, before);
		blank(start, w->at);
		return;
	}
	fault_add(w->faults, w->scan->file, line, "unknown option %s%s%s", name,
		  *section ? " in " : "", section);
	blank(start, w->at);
}

static void walk_statements(struct walk *w, const char *section);

static void walk_known(struct walk *w, const char *name, const char *title, char *start,
		       unsigned line)
{
	size_t before = scan_section(w->scan, name, title);

	if (before != SIZE_MAX)
		already(w, line, name, title, w->scan->marks[before].line);
	w->section = w->scan->count;
	mark(w, false, name, title, line);
	walk_statements(w, name);
	w->section = SIZE_MAX;
	if (before != SIZE_MAX && w->token != TOKEN_BAD)
		blank(start, w->at);
}

/* A section from its title or opening brace on. */
static void walk_section(struct walk *w, const char *name, char *start, unsigned line)
{
	char *title = NULL;

	if (is_value(w)) {
		if (memchr(w->start, '\\', w->len) != NULL)
			bad(w, w->token_line, "a name with a backslash");
		title = strndup(w->start, w->len);
		if (title == NULL)
			bad(w, line, "no memory left");
		next(w);
	}
	if (!is(w, '{')) {
		bad(w, line, "= or { is missing after a name");
	} else if (!w->known(name, NULL)) {
		fault_add(w->faults, w->scan->file, line, "unknown section %s", name);
		walk_statements(w, name);
		if (w->token != TOKEN_BAD)
			blank(start, w->at);
	} else {
		walk_known(w, name, title != NULL ? title : "", start, line);
	}
	free(title);
}

/* Statements up to the closing brace of `section`, or to the end of the text outside of any. */
static void walk_statements(struct walk *w, const char *section)
{
	unsigned opened = w->token_line;

	while (next(w) == TOKEN_WORD) {
		char *start = w->start, *name = strndup(w->start, w->len);
		unsigned line = w->token_line;

		if (name == NULL) {
			bad(w, line, "no memory left");
			return;
		}
		next(w);
		if (is(w, '='))
			walk_option(w, section, name, start, line);
		else if (*section == '\0')
			walk_section(w, name, start, line);
		else if (w->token != TOKEN_BAD) {
			fault_add(w->faults, w->scan->file, line, "= is missing after %s",
				  name);
			w->token = TOKEN_BAD;
		}
		free(name);
	}
	if (w->token == TOKEN_END && *section != '\0')
		bad(w, opened, "this section does not end");
	else if (w->token != TOKEN_END && !(is(w, '}') && *section != '\0'))
		bad(w, w->token_line, "a name is missing here");
}

int scan_text(struct scan *scan, const char *file, char *text, size_t len,
	      scan_known *known, struct faults *faults)
{
	struct walk w = {.scan = scan,
			 .faults = faults,
			 .known = known,
			 .at = text,
			 .end = text + len,
			 .line = 1,
			 .section = SIZE_MAX};

	*scan = (struct scan){.file = file};
	if (memchr(text, '\0', len) != NULL) {
		fault_add(faults, file, 1, "not a text: it has a byte 0");
		return -1;
	}
	walk_statements(&w, "");
	return w.token == TOKEN_BAD ? -1 : 0;
}

void scan_free(struct scan *scan)
{
	for (size_t i = 0; i < scan->count; i++) {
		free(scan->marks[i].name);
		free(scan->marks[i].title);
	}
	free(scan->marks);
	*scan = (struct scan){0};
}

size_t scan_section(const struct scan *scan, const char *section, const char *title)
{
	for (size_t i = 0; i < scan->count; i++) {
		const struct scan_mark *m = &scan->marks[i];

		if (m->title != NULL && strcmp(m->title, title) == 0 &&
		    strcmp(m->name, section) == 0)
			return i;
	}
	return SIZE_MAX;
}

unsigned scan_line(const struct scan *scan, size_t section, const char *option)
{
	bool top = section == SIZE_MAX;

	for (size_t i = top ? 0 : section + 1; i < scan->count; i++) {
		const struct scan_mark *m = &scan->marks[i];

		if (!top && m->title != NULL)
			break;
		if (m->title == NULL && m->top == top && strcmp(m->name, option) == 0)
			return m->line;
	}
	return 0;
}
